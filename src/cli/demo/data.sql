-- Data of the ACROS shop: invented, and the same at every run. Every choice is a hash of a row's number and of the
-- name of the choice. Run by the superuser in database shop, after schema.sql; indexes are made in the end.
BEGIN;
CREATE SCHEMA demo_data;
SET LOCAL search_path = demo_data, public;
-- The rows are consistent by construction: keys need no checks while they come in. The planner's compiler costs more than it
-- gains.
SET LOCAL session_replication_role = replica;
SET LOCAL jit = off;

CREATE FUNCTION roll(n bigint, what text, sides integer) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT (('x' || substr(md5(what || n::text), 1, 7))::bit(28)::integer % sides) $$;
CREATE FUNCTION pick(n bigint, what text, choices text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT choices[1 + roll(n, what, cardinality(choices))] $$;
CREATE FUNCTION plain(t text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT translate(t,
        'àáảãạăằắẳẵặâầấẩẫậđèéẻẽẹêềếểễệìíỉĩịòóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵÀÁẢÃẠĂẰẮẲẴẶÂẦẤẨẪẬĐÈÉẺẼẸÊỀẾỂỄỆÌÍỈĨỊÒÓỎÕỌÔỒỐỔỖỘƠỜỚỞỠỢÙÚỦŨỤƯỪỨỬỮỰỲÝỶỸỴ',
        'aaaaaaaaaaaaaaaaadeeeeeeeeeeeiiiiiooooooooooooooooouuuuuuuuuuuyyyyyAAAAAAAAAAAAAAAAADEEEEEEEEEEEIIIIIOOOOOOOOOOOOOOOOOUUUUUUUUUUUYYYYY') $$;
-- Ten digits after 0, as people, web forms and imports write them.
CREATE FUNCTION written(digits text, how integer) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN how < 70 THEN digits
        WHEN how < 78 THEN substr(digits, 1, 4) || ' ' || substr(digits, 5, 3) || ' ' || substr(digits, 8)
        WHEN how < 84 THEN substr(digits, 1, 3) || '.' || substr(digits, 4, 3) || '.' || substr(digits, 7)
        WHEN how < 93 THEN '+84' || substr(digits, 2)
        WHEN how < 97 THEN '+84 ' || substr(digits, 2, 3) || ' ' || substr(digits, 5, 3) || ' ' || substr(digits, 8)
        ELSE '84' || substr(digits, 2)
    END $$;

-- Wards before and after the reform; a place without a district is a new one.
CREATE TABLE places (n serial, ward text, district text, province text);
INSERT INTO places (ward, district, province) VALUES
    ('Phường Bến Nghé', 'Quận 1', 'TP. Hồ Chí Minh'), ('Phường Đa Kao', 'Quận 1', 'TP. Hồ Chí Minh'),
    ('Phường Võ Thị Sáu', 'Quận 3', 'TP. Hồ Chí Minh'), ('Phường 5', 'Quận 10', 'TP. Hồ Chí Minh'),
    ('Phường Tân Định', 'Quận 1', 'TP. Hồ Chí Minh'), ('Phường 22', 'Quận Bình Thạnh', 'TP. Hồ Chí Minh'),
    ('Phường Tân Phong', 'Quận 7', 'TP. Hồ Chí Minh'), ('Phường Linh Trung', 'TP. Thủ Đức', 'TP. Hồ Chí Minh'),
    ('Phường Thảo Điền', 'TP. Thủ Đức', 'TP. Hồ Chí Minh'), ('Thị trấn Củ Chi', 'Huyện Củ Chi', 'TP. Hồ Chí Minh'),
    ('Phường Hàng Bài', 'Quận Hoàn Kiếm', 'Hà Nội'), ('Phường Cống Vị', 'Quận Ba Đình', 'Hà Nội'),
    ('Phường Dịch Vọng Hậu', 'Quận Cầu Giấy', 'Hà Nội'), ('Phường Láng Hạ', 'Quận Đống Đa', 'Hà Nội'),
    ('Phường Bạch Mai', 'Quận Hai Bà Trưng', 'Hà Nội'), ('Xã Kim Chung', 'Huyện Đông Anh', 'Hà Nội'),
    ('Phường Thạch Thang', 'Quận Hải Châu', 'Đà Nẵng'), ('Phường An Hải Bắc', 'Quận Sơn Trà', 'Đà Nẵng'),
    ('Phường Cẩm Nam', 'TP. Hội An', 'Quảng Nam'), ('Phường Máy Tơ', 'Quận Ngô Quyền', 'Hải Phòng'),
    ('Phường Tân An', 'Quận Ninh Kiều', 'Cần Thơ'), ('Phường Phú Hội', 'TP. Huế', 'Thừa Thiên Huế'),
    ('Phường Lộc Thọ', 'TP. Nha Trang', 'Khánh Hòa'), ('Phường 1', 'TP. Đà Lạt', 'Lâm Đồng'),
    ('Phường Tân Lợi', 'TP. Buôn Ma Thuột', 'Đắk Lắk'), ('Phường Phú Cường', 'TP. Thủ Dầu Một', 'Bình Dương'),
    ('Phường Quyết Thắng', 'TP. Biên Hòa', 'Đồng Nai'), ('Phường Hồng Gai', 'TP. Hạ Long', 'Quảng Ninh'),
    ('Phường Suối Hoa', 'TP. Bắc Ninh', 'Bắc Ninh'), ('Phường Lê Mao', 'TP. Vinh', 'Nghệ An'),
    ('Phường Sài Gòn', NULL, 'TP. Hồ Chí Minh'), ('Phường Bến Thành', NULL, 'TP. Hồ Chí Minh'),
    ('Phường Xuân Hòa', NULL, 'TP. Hồ Chí Minh'), ('Phường Thủ Dầu Một', NULL, 'TP. Hồ Chí Minh'),
    ('Phường Hoàn Kiếm', NULL, 'Hà Nội'), ('Phường Ngọc Hà', NULL, 'Hà Nội'), ('Phường Cầu Giấy', NULL, 'Hà Nội'),
    ('Phường Hải Châu', NULL, 'Đà Nẵng'), ('Phường Hội An', NULL, 'Đà Nẵng'), ('Phường Ninh Kiều', NULL, 'Cần Thơ'),
    ('Phường Thuận Hóa', NULL, 'Huế'), ('Xã Côn Đảo', NULL, 'TP. Hồ Chí Minh');

INSERT INTO customers (id, full_name, phone, email, birth_date, gender, note, meta, created_at)
SELECT n,
    CASE WHEN roll(n, 'spelling', 100) < 3 THEN normalize(who, NFD)
         WHEN roll(n, 'spelling', 100) < 6 THEN plain(who) ELSE who END,
    CASE WHEN roll(n, 'no phone', 100) < 3 THEN NULL ELSE written(digits, roll(n, 'written', 100)) END,
    CASE WHEN roll(n, 'no email', 100) < 6 THEN NULL
         ELSE lower(replace(plain(given), ' ', '')) || pick(n, 'dot', '{"",".","_"}')
              || lower(plain(family)) || n::text || '@'
              || pick(n, 'domain', '{gmail.com,gmail.com,gmail.com,gmail.com,gmail.com,yahoo.com,yahoo.com.vn,outlook.com,icloud.com,example.vn}') END,
    CASE WHEN company OR roll(n, 'no birthday', 100) < 8 THEN NULL ELSE date '1950-01-01' + roll(n, 'birthday', 21000) END,
    CASE WHEN company OR roll(n, 'no gender', 100) < 10 THEN NULL WHEN woman THEN 'nữ' ELSE 'nam' END,
    CASE roll(n, 'note', 20)
        WHEN 0 THEN 'Gọi trước khi giao, số phụ ' || written(overlay(digits placing pick(n, 'other', '{09,03,07}') from 1 for 2), 0)
        WHEN 1 THEN 'Giao giờ hành chính, gửi bảo vệ'
        WHEN 2 THEN 'Khách quen, hay đổi ý'
        WHEN 3 THEN 'Xuất hóa đơn về ' || lower(replace(plain(given), ' ', '')) || '@example.vn'
        WHEN 4 THEN 'Nhà có chó dữ'
        WHEN 5 THEN ''
    END,
    CASE WHEN roll(n, 'no meta', 100) < 5 THEN NULL
         ELSE jsonb_build_object('tier', pick(n, 'tier', '{bronze,bronze,silver,silver,gold,diamond}'),
                                 'language', pick(n, 'language', '{vi,vi,vi,vi,en}'),
                                 'zalo', digits, 'points', roll(n, 'points', 5000)) END,
    timestamptz '2022-01-01 00:00:00+07' + make_interval(mins => roll(n, 'created', 2500000))
FROM (
    SELECT n, company, woman, family, given,
        CASE WHEN company THEN pick(n, 'form', '{"Công ty TNHH","Công ty Cổ phần","Hộ kinh doanh","Cửa hàng"}') || ' ' || given
                 || ' ' || pick(n, 'line of trade', '{"Thương mại","Xây dựng","Vận tải","Điện máy","Phát"}')
             ELSE family || ' ' || given END AS who,
        '0' || pick(n, 'prefix', '{32,33,34,35,36,37,38,39,56,58,70,76,77,78,79,81,82,83,84,85,86,88,89,90,91,93,94,96,97,98,99}')
            || lpad(roll(n, 'phone', 10000000)::text, 7, '0') AS digits
    FROM (
        SELECT n, roll(n, 'company', 100) < 3 AS company, roll(n, 'woman', 2) = 1 AS woman,
            pick(n, 'family', '{Nguyễn,Nguyễn,Nguyễn,Nguyễn,Nguyễn,Nguyễn,Nguyễn,Trần,Trần,Lê,Lê,Phạm,Phạm,Huỳnh,Hoàng,Phan,Vũ,Võ,Đặng,Bùi,Đỗ,Hồ,Ngô,Dương,Lý,Đinh,Trương,Lâm,Mai,Tôn Nữ}') AS family,
            CASE WHEN roll(n, 'woman', 2) = 1
                THEN pick(n, 'middle', '{Thị,Thị,Thị,Ngọc,Thanh,Thu,"Thị Minh","Thị Thu",Bảo,Phương,Kim,Mỹ,Diệu,Hoàng}')
                     || ' ' || pick(n, 'given', '{Lan,Hoa,Hương,Mai,Linh,Trang,Thảo,Vy,Ngân,Hà,Yến,Nhung,Quỳnh,Châu,Trâm,Phượng,Khánh,My,Hạnh,Dung,Tuyết,Loan,Oanh,Khai}')
                ELSE pick(n, 'middle', '{Văn,Văn,Văn,Hữu,Đức,Minh,Quốc,Thành,Gia,Anh,Xuân,Công,Trọng,"Hoàng Minh"}')
                     || ' ' || pick(n, 'given', '{Hùng,Dũng,Nam,Long,Phúc,Khoa,Tuấn,Huy,Sơn,Hải,Quân,Bình,Tài,Đạt,Kiên,Thắng,Vinh,Trí,Nghĩa,Phong,Lộc,Ân,Ý,Quý}')
            END AS given
        FROM generate_series(1, 24000) n
    ) AS draft
) AS person;

INSERT INTO addresses (id, customer_id, recipient_name, phone, line, ward, district, province, is_default)
SELECT row_number() OVER (ORDER BY c.id, k), c.id,
    CASE WHEN k = 1 THEN c.full_name ELSE pick(c.id, 'heir', '{"Chị Hoa","Anh Tuấn","Lễ tân","Mẹ Lan","Phòng hành chính"}') END,
    c.phone,
    CASE roll(c.id * 3 + k, 'house', 5)
        WHEN 0 THEN 'Hẻm ' || 1 + roll(c.id, 'lane', 300) || '/' || 1 + roll(c.id, 'door', 40)
        WHEN 1 THEN 'Căn hộ ' || pick(c.id, 'tower', '{A,B,C,S1,S2}') || '-' || 100 + roll(c.id, 'flat', 2900) || ', chung cư ' || pick(c.id, 'block', '{Sunrise,"Hoàng Anh","Ngô Gia Tự",Eco Green}')
        ELSE 'Số ' || 1 + roll(c.id * 3 + k, 'number', 900)
    END || ' ' || pick(c.id * 3 + k, 'street', '{"Nguyễn Trãi","Lê Lợi","Trần Hưng Đạo","Điện Biên Phủ","Cách Mạng Tháng Tám","Hai Bà Trưng","Lý Thường Kiệt","Phan Chu Trinh","Võ Văn Tần","Nguyễn Huệ","Quang Trung","Hùng Vương","Lạc Long Quân","Tô Hiến Thành"}'),
    p.ward, p.district, p.province, k = 1
FROM customers c
CROSS JOIN LATERAL generate_series(1, 1 + (roll(c.id, 'addresses', 10) < 4)::integer) k
JOIN places p ON p.n = 1 + roll(c.id * 3 + k, 'place', 42);

INSERT INTO products (id, sku, name, price, stock)
SELECT n, 'AC-' || lpad(n::text, 4, '0'),
    pick(n, 'kind', '{"Máy lọc không khí","Nồi chiên không dầu","Máy hút bụi","Tai nghe","Loa di động","Đồng hồ thông minh","Quạt điều hòa","Bếp từ"}')
        || ' ' || pick(n, 'brand', '{Acros,Miza,Sanko,Lumi,Vela}') || ' ' || 100 + n,
    (29 + roll(n, 'price', 900)) * 10000, roll(n, 'stock', 500)
FROM generate_series(1, 400) n;

CREATE TEMP TABLE draft ON COMMIT DROP AS
SELECT n AS id, c.id AS customer_id, a.recipient_name, a.phone,
    concat_ws(', ', a.line, a.ward, a.district, a.province) AS address,
    pick(n, 'status', '{pending,paid,packed,shipped,shipped,delivered,delivered,delivered,delivered,delivered,delivered,returned,cancelled}') AS status,
    timestamptz '2024-01-01 07:00:00+07' + make_interval(mins => (n * 22 + roll(n, 'ordered', 400))::integer) AS at,
    1 + (n * 7 + 1) % 400 AS product, 1 + roll(n, 'items', 3) AS items
FROM generate_series(1, 66000) n
JOIN customers c ON c.id = 1 + roll(n, 'buyer', 24000)
JOIN addresses a ON a.customer_id = c.id AND a.is_default;

CREATE TEMP TABLE draft_items ON COMMIT DROP AS
SELECT d.id AS order_id, p.id AS product_id, 1 + roll(d.id * 5 + k, 'quantity', 3) AS quantity, p.price
FROM draft d
CROSS JOIN LATERAL generate_series(1, d.items) k
JOIN products p ON p.id = 1 + (d.product + k * 37) % 400;

INSERT INTO orders (id, customer_id, order_no, status, ship_name, ship_phone, ship_address, total, note, created_at)
SELECT d.id, d.customer_id, 'DH' || to_char(d.at AT TIME ZONE 'Asia/Ho_Chi_Minh', 'YYMMDD') || '-' || lpad(d.id::text, 6, '0'),
    d.status, d.recipient_name, d.phone, d.address, i.total,
    CASE roll(d.id, 'order note', 25)
        WHEN 0 THEN 'Giao sau 18h, gọi ' || coalesce(d.phone, 'trước')
        WHEN 1 THEN 'Gói quà giúp, không kèm hóa đơn'
        WHEN 2 THEN 'Để ở quầy lễ tân'
    END, d.at
FROM draft d
JOIN (SELECT order_id, sum(quantity * price) AS total FROM draft_items GROUP BY 1) i ON i.order_id = d.id;

INSERT INTO order_items (order_id, product_id, quantity, price)
SELECT order_id, product_id, quantity, price FROM draft_items ORDER BY 1, 2;

INSERT INTO shipments (order_id, carrier, tracking_no, status, recipient_phone, shipped_at)
SELECT id, carrier, left(carrier, 3) || lpad(id::text, 9, '0') || 'VN',
    CASE status WHEN 'shipped' THEN 'in transit' WHEN 'returned' THEN 'returned' ELSE 'delivered' END,
    phone, at + make_interval(hours => 6 + roll(id, 'shipped', 60))
FROM (SELECT *, pick(id, 'carrier', '{GHN,GHTK,VNPOST,VIETTEL}') AS carrier FROM draft) d
WHERE status IN ('shipped', 'delivered', 'returned') ORDER BY id;

INSERT INTO payments (order_id, method, card_pan, card_holder, bank_account, amount, status, paid_at)
SELECT o.id, o.method,
    CASE WHEN method = 'card' THEN pick(o.id, 'bank', '{970436,970418,970422,970407,412345}') || lpad(roll(o.id, 'card', 100000000)::text, 10, '0') END,
    CASE WHEN method = 'card' THEN upper(plain(normalize(o.ship_name, NFC))) END,
    CASE WHEN method = 'transfer' THEN lpad(roll(o.customer_id, 'account', 200000000)::text, 10 + roll(o.customer_id, 'length', 4), '1') END,
    o.total,
    CASE WHEN o.status IN ('pending', 'cancelled') THEN 'open' WHEN o.status = 'returned' THEN 'refunded' ELSE 'paid' END,
    CASE WHEN o.status IN ('pending', 'cancelled') THEN NULL ELSE o.created_at + make_interval(mins => roll(o.id, 'paid', 90)) END
FROM (SELECT *, pick(id, 'method', '{cod,cod,card,card,transfer,wallet}') AS method FROM orders) o ORDER BY o.id;

INSERT INTO warranty_claims (order_id, customer_id, description, video_url, photo_urls, status, created_at)
SELECT id, customer_id,
    pick(id, 'fault', '{"Máy không lên nguồn","Thiếu phụ kiện","Vỡ khi vận chuyển","Kêu to khi chạy","Pin tụt nhanh"}')
        || CASE WHEN roll(id, 'call', 3) = 0 THEN ', gọi lại số ' || coalesce(phone, 'cũ') ELSE '' END,
    CASE WHEN roll(id, 'no video', 10) > 0 THEN 'https://media.example.vn/unboxing/' || md5('video' || id) || '.mp4?customer=' || customer_id END,
    ARRAY(SELECT 'https://media.example.vn/photos/' || md5('photo' || id || '/' || k) || '.jpg' FROM generate_series(1, roll(id, 'photos', 4)) k),
    pick(id, 'claim', '{open,accepted,repaired,replaced,rejected}'), at + interval '9 days'
FROM draft WHERE status IN ('delivered', 'returned') AND roll(id, 'claimed', 100) < 6 ORDER BY id;

INSERT INTO consents (customer_id, purpose, granted_at, revoked_at)
SELECT c.id, p.purpose, c.created_at,
    CASE WHEN roll(c.id, p.purpose || ' revoked', 10) = 0 THEN c.created_at + interval '200 days' END
FROM customers c, unnest('{order-handling,marketing,statistics}'::text[]) AS p(purpose)
WHERE p.purpose = 'order-handling' OR roll(c.id, p.purpose, 100) < 45 ORDER BY c.id, p.purpose;

INSERT INTO erasure_requests (customer_id, requested_at, done_at)
SELECT id, created_at + interval '400 days', CASE WHEN roll(id, 'erased', 2) = 0 THEN created_at + interval '412 days' END
FROM customers WHERE id > 1 AND roll(id, 'erase', 200) = 0 ORDER BY id;

INSERT INTO consents (customer_id, purpose, category, granted_at)
SELECT c.id, 'refusal', k.category, c.created_at + interval '10 days'
FROM customers c, unnest('{phone,email,birth}'::text[]) AS k(category)
WHERE c.id > 3 AND roll(c.id, k.category || ' refused', 100) < 2 ORDER BY c.id, k.category;

-- Those whom the demo shows: the first has agreed to marketing, the second has asked to be erased, the third declines to
-- give a telephone number.
DELETE FROM consents WHERE customer_id IN (1, 2, 3) AND purpose <> 'order-handling';
DELETE FROM erasure_requests WHERE customer_id IN (1, 2, 3);
INSERT INTO consents (customer_id, purpose, category, granted_at)
SELECT v.customer_id, v.purpose, v.category, c.created_at
FROM (VALUES (1, 'marketing', NULL), (2, 'marketing', NULL), (3, 'marketing', NULL), (3, 'refusal', 'phone'))
    AS v(customer_id, purpose, category) JOIN customers c ON c.id = v.customer_id;
INSERT INTO erasure_requests (customer_id, requested_at) VALUES (2, '2026-10-01 08:00+07');

-- The customer whom the demo shows.
UPDATE customers SET full_name = 'Nguyễn Thị Minh Khai', phone = '0901234567', email = 'minhkhai@gmail.com',
    birth_date = '1990-05-17', gender = 'nữ', note = 'Gọi trước khi giao, số phụ 0912345678',
    meta = '{"tier": "gold", "language": "vi", "zalo": "0901234567", "points": 1250}' WHERE id = 1;
UPDATE addresses SET recipient_name = 'Nguyễn Thị Minh Khai', phone = '0901234567', line = 'Số 12 Nguyễn Huệ',
    ward = 'Phường Bến Nghé', district = 'Quận 1', province = 'TP. Hồ Chí Minh' WHERE customer_id = 1 AND is_default;
UPDATE orders SET customer_id = 1, status = 'delivered', ship_name = 'Nguyễn Thị Minh Khai', ship_phone = '0901234567',
    ship_address = 'Số 12 Nguyễn Huệ, Phường Bến Nghé, Quận 1, TP. Hồ Chí Minh', note = NULL WHERE id = 1;
DELETE FROM shipments WHERE order_id = 1;
INSERT INTO shipments (order_id, carrier, tracking_no, status, recipient_phone, shipped_at)
    SELECT 1, 'GHN', 'GHN000000001VN', 'delivered', '0901234567', created_at + interval '1 day' FROM orders WHERE id = 1;
UPDATE payments SET method = 'card', card_pan = '9704361234567890', card_holder = 'NGUYEN THI MINH KHAI',
    bank_account = '0071001234567', status = 'paid', paid_at = (SELECT created_at FROM orders WHERE id = 1) WHERE order_id = 1;
DELETE FROM warranty_claims WHERE order_id = 1;
INSERT INTO warranty_claims (order_id, customer_id, description, video_url, photo_urls, status, created_at)
    SELECT 1, 1, 'Vỡ khi vận chuyển, gọi lại số 0901234567', 'https://media.example.vn/unboxing/4f2a9c.mp4?customer=1',
        '{https://media.example.vn/photos/4f2a9c-1.jpg}', 'open', created_at + interval '9 days' FROM orders WHERE id = 1;

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY '{customers,addresses,products,orders}'::text[] LOOP
        EXECUTE format('SELECT setval(pg_get_serial_sequence(%L, ''id''), max(id)) FROM public.%I', t, t);
    END LOOP;
END $$;
DROP SCHEMA demo_data CASCADE;
COMMIT;

SET SESSION AUTHORIZATION shop_owner;
CREATE INDEX ON customers (phone);
CREATE INDEX ON addresses (customer_id);
CREATE INDEX ON orders (customer_id);
CREATE INDEX ON orders (created_at);
CREATE INDEX ON orders (ship_phone);
CREATE INDEX ON order_items (order_id);
CREATE INDEX ON order_items (product_id);
CREATE INDEX ON shipments (order_id);
CREATE INDEX ON shipments (tracking_no);
CREATE INDEX ON payments (order_id);
CREATE INDEX ON warranty_claims (order_id);
CREATE INDEX ON warranty_claims (customer_id);
CREATE INDEX ON consents (customer_id, purpose);
CREATE INDEX ON erasure_requests (customer_id);
REFRESH MATERIALIZED VIEW monthly_sales;
RESET SESSION AUTHORIZATION;
ANALYZE;
