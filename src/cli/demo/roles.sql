-- The logins of the ACROS shop. Each password is "demo": the server is private and its data invented.
-- Run by the superuser, in any database.
CREATE ROLE shop_owner LOGIN PASSWORD 'demo';

-- The service login of pgscrim: it reads the system catalogs, which every login may, and nothing else.
CREATE ROLE pgscrim LOGIN PASSWORD 'demo';

-- The applications. What the server grants them is what a shop that grew over years grants: whole tables. What they see
-- of it is decided by rules/acros.
CREATE ROLE packing_app LOGIN PASSWORD 'demo';
CREATE ROLE order_processing_app LOGIN PASSWORD 'demo';
CREATE ROLE customer_care_app LOGIN PASSWORD 'demo';
CREATE ROLE service_development_app LOGIN PASSWORD 'demo';
CREATE ROLE carrier_app LOGIN PASSWORD 'demo';
CREATE ROLE payment_app LOGIN PASSWORD 'demo';
CREATE ROLE marketing_app LOGIN PASSWORD 'demo';
CREATE ROLE authority_app LOGIN PASSWORD 'demo';

CREATE DATABASE shop OWNER shop_owner TEMPLATE template0;
REVOKE ALL ON DATABASE shop FROM PUBLIC;
GRANT CONNECT ON DATABASE shop TO pgscrim, packing_app, order_processing_app, customer_care_app,
    service_development_app, carrier_app, payment_app, marketing_app, authority_app;
