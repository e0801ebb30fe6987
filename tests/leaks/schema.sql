-- The schema of the leak corpus. Protected cells are planted by tests/leaks.rs.
CREATE ROLE support LOGIN;
CREATE ROLE owner LOGIN SUPERUSER;
CREATE ROLE admin NOLOGIN;
GRANT admin TO support;

CREATE TABLE customers (
    id int PRIMARY KEY,
    name text NOT NULL,
    phone varchar(20),
    note text,
    meta jsonb
);
CREATE INDEX customers_phone ON customers (phone);
CREATE INDEX customers_lower_name ON customers (lower(name));
ALTER TABLE customers ADD CONSTRAINT customers_phone_digits CHECK (phone ~ '^[0-9]+$');

-- The same columns at other positions, one of them dropped.
CREATE TABLE customers_2024 (
    gone int,
    meta jsonb,
    phone varchar(20),
    note text,
    extra text DEFAULT 'plain',
    name text NOT NULL,
    id int NOT NULL PRIMARY KEY,
    CONSTRAINT customers_phone_digits CHECK (phone ~ '^[0-9]+$')
);
ALTER TABLE customers_2024 DROP COLUMN gone;
ALTER TABLE customers_2024 INHERIT customers;

CREATE TABLE orders (
    id int PRIMARY KEY,
    customer_id int NOT NULL REFERENCES customers (id),
    amount numeric(12, 2) NOT NULL
);
CREATE TABLE leads (
    lead_id int PRIMARY KEY,
    phone varchar(20) UNIQUE,
    p2 text GENERATED ALWAYS AS ('+84' || substr(phone, 2)) STORED
);
CREATE TABLE events (
    id int NOT NULL,
    day date NOT NULL,
    phone varchar(20)
) PARTITION BY RANGE (day);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE TABLE log (id int, msg text);
CREATE TABLE numbers (id int PRIMARY KEY, value int);

CREATE VIEW cust_v AS SELECT id, phone AS tel FROM customers;
CREATE VIEW cust_vv AS SELECT v.id, v.tel AS tel2 FROM cust_v v WHERE v.id > 0;
CREATE VIEW cust_derived AS SELECT id, '+84' || substr(phone, 2) AS intl, length(name) AS name_length FROM customers;
CREATE VIEW cust_words AS SELECT id, regexp_split_to_table(name, ' ') AS word FROM customers;
CREATE VIEW cust_copies AS SELECT id, generate_series(1, id) AS copy FROM customers;
CREATE VIEW cust_star AS SELECT * FROM customers;
CREATE MATERIALIZED VIEW cust_mv AS SELECT id, name, phone FROM customers WITH NO DATA;
CREATE SEQUENCE counter;

CREATE FUNCTION sd() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT phone::text FROM customers ORDER BY id LIMIT 1';
CREATE FUNCTION f(v text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT v || ''!''';
CREATE FUNCTION f(c customers) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT c.phone::text';
CREATE FUNCTION raise_value() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN IF NEW.id > 1000 THEN RAISE EXCEPTION 'bad phone %', (SELECT phone FROM customers ORDER BY id LIMIT 1); END IF;
      IF NEW.id > 900 THEN RAISE NOTICE 'phone %', (SELECT phone FROM customers ORDER BY id LIMIT 1); END IF; RETURN NEW; END$$;
CREATE TRIGGER raise_value BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION raise_value();
-- Fills a table that the session has made for it, makes one of its own, opens a cursor and prepares a statement.
CREATE FUNCTION hoard() RETURNS trigger LANGUAGE plpgsql AS
    $$DECLARE stash refcursor := 'stash'; BEGIN
      IF NEW.id = 803 THEN OPEN stash FOR SELECT phone FROM customers; END IF;
      IF NEW.id = 804 THEN PREPARE stash AS SELECT phone FROM customers; END IF;
      IF NEW.id = 801 THEN INSERT INTO hoarded SELECT phone FROM customers; END IF;
      IF NEW.id = 802 THEN CREATE TEMP TABLE hoarded_too AS SELECT phone FROM customers; END IF;
      RETURN NEW; END$$;
CREATE TRIGGER hoard AFTER INSERT ON numbers FOR EACH ROW EXECUTE FUNCTION hoard();
CREATE PROCEDURE export() LANGUAGE plpgsql AS
    $$BEGIN RAISE NOTICE 'phone %', (SELECT phone FROM customers ORDER BY id LIMIT 1); END$$;

CREATE SCHEMA evil;
CREATE TABLE evil.customers (id int, name text, phone varchar(20), note text, meta jsonb);
CREATE FUNCTION public.left(text, int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION public.right(text, int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION evil.left(text, int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE TABLE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa (
    id int,
    ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp text
);

GRANT USAGE, CREATE ON SCHEMA public, evil TO support;
GRANT ALL ON ALL TABLES IN SCHEMA public, evil TO support;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public, evil TO support;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public, evil TO support;
-- What the server would let this login do must be stopped by the proxy alone.
GRANT pg_read_all_stats, pg_monitor, pg_read_server_files, pg_write_server_files, pg_execute_server_program TO support;

-- Things of the shop's own that run code: an operator, an aggregate, a domain, a cast, a view over a function.
CREATE TYPE pair AS (a int, b text);
CREATE FUNCTION spy(text, text) RETURNS text LANGUAGE sql SECURITY DEFINER AS
    'SELECT phone::text FROM customers ORDER BY id LIMIT 1';
CREATE OPERATOR public.<~> (LEFTARG = text, RIGHTARG = text, FUNCTION = spy);
CREATE OPERATOR evil.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = spy);
CREATE FUNCTION spy_pair(pair, text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS
    $$BEGIN RAISE EXCEPTION 'phone %', (SELECT phone FROM customers ORDER BY id LIMIT 1); END$$;
CREATE OPERATOR public.= (LEFTARG = pair, RIGHTARG = text, FUNCTION = spy_pair);
CREATE OPERATOR public.+ (LEFTARG = pair, RIGHTARG = text, FUNCTION = spy_pair);
CREATE FUNCTION evil.substring(text, int) RETURNS text LANGUAGE sql SECURITY DEFINER AS
    'SELECT phone::text FROM public.customers ORDER BY id LIMIT 1';
CREATE FUNCTION evil.overlay(text, text, int) RETURNS text LANGUAGE sql SECURITY DEFINER AS
    'SELECT phone::text FROM public.customers ORDER BY id LIMIT 1';
CREATE FUNCTION evil.ceil(numeric) RETURNS text LANGUAGE sql SECURITY DEFINER AS
    'SELECT phone::text FROM public.customers ORDER BY id LIMIT 1';
CREATE FUNCTION public.abs(text) RETURNS text LANGUAGE sql SECURITY DEFINER AS
    'SELECT phone::text FROM public.customers ORDER BY id LIMIT 1';
CREATE AGGREGATE spy_all (text) (SFUNC = spy, STYPE = text, INITCOND = '');
CREATE FUNCTION spy_check(text) RETURNS boolean LANGUAGE plpgsql AS
    $$BEGIN RAISE EXCEPTION 'phone %', (SELECT phone FROM customers ORDER BY id LIMIT 1); END$$;
CREATE DOMAIN spy_domain AS text CHECK (spy_check(VALUE));
CREATE FUNCTION spy_cast(pair) RETURNS numeric LANGUAGE sql AS 'SELECT phone::numeric FROM customers ORDER BY id LIMIT 1';
CREATE CAST (pair AS numeric) WITH FUNCTION spy_cast(pair) AS IMPLICIT;
CREATE VIEW spy_view AS SELECT sd() AS x;
CREATE VIEW leads_v AS SELECT l.lead_id, l.phone FROM leads l;
CREATE VIEW joined_v AS
    SELECT o.id AS order_id, c.name AS buyer, c.phone, o.amount FROM orders o JOIN customers c ON c.id = o.customer_id;
CREATE VIEW union_v AS SELECT id, phone FROM customers UNION ALL SELECT lead_id, phone FROM leads;
CREATE VIEW agg_v AS SELECT substr(phone, 1, 4) AS prefix, count(*) AS n FROM customers GROUP BY 1;
GRANT ALL ON ALL TABLES IN SCHEMA public TO support;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO support;

-- What row scopes are read from (`l-deciding.case`): whose leads are whose. None are those of `support`.
CREATE TABLE tickets (id int PRIMARY KEY, lead_id int, agent text, remark text);
CREATE TABLE tickets_old (closed date) INHERITS (tickets);
CREATE TABLE visits (id int NOT NULL, lead_id int, agent text, remark text) PARTITION BY RANGE (id);
CREATE TABLE visits_low PARTITION OF visits FOR VALUES FROM (0) TO (100);
CREATE TABLE visits_high PARTITION OF visits DEFAULT;
CREATE VIEW tickets_v AS SELECT remark AS r, agent AS a, lead_id AS l, id AS n FROM tickets;
CREATE VIEW tickets_vv AS SELECT n, l, a FROM tickets_v WHERE n > 0;
CREATE TABLE inbox (id int, lead_id int);
CREATE RULE hand_over AS ON INSERT TO inbox DO INSTEAD INSERT INTO tickets VALUES (NEW.id, NEW.lead_id, 'support');
CREATE TABLE drafts (id int, lead_id int, agent text);
CREATE FUNCTION take_over() RETURNS int LANGUAGE sql AS 'UPDATE tickets SET agent = ''support'' RETURNING id';
INSERT INTO tickets VALUES (1, 1, 'other'), (2, 2, 'other');
INSERT INTO tickets_old VALUES (3, 3, 'other', NULL, '2025-01-01');
INSERT INTO visits VALUES (4, 1, 'other'), (104, 2, 'other');
INSERT INTO drafts VALUES (1, 1, 'support');
GRANT ALL ON ALL TABLES IN SCHEMA public TO support;
GRANT EXECUTE ON FUNCTION take_over() TO support;
