-- The catalog of tests/golden.rs on a real server, for tests/binder.rs.
CREATE ROLE support LOGIN;
CREATE ROLE care LOGIN;
CREATE ROLE owner LOGIN SUPERUSER;
CREATE TABLE customers (
    id bigint PRIMARY KEY,
    full_name text NOT NULL,
    phone varchar(20),
    note text,
    born date,
    city text
);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, amount numeric(12, 2));
CREATE TABLE files (id bigint PRIMARY KEY, owner text, doc json);
CREATE TABLE settings (key text, value int);
CREATE TABLE customers_2024 (extra text) INHERITS (customers);
CREATE VIEW tails AS SELECT id, phone AS tel, right(phone::text, 4) AS tail FROM customers;
CREATE VIEW southern AS SELECT id FROM customers WHERE city = 'Cần Thơ';
CREATE VIEW odd AS SELECT x.id FROM XMLTABLE('/a' PASSING '<a/>' COLUMNS id bigint) x;
CREATE FUNCTION listed(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
GRANT ALL ON ALL TABLES IN SCHEMA public TO support, care;
