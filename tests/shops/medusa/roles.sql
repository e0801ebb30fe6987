-- The logins of the walk, and the database that Medusa is installed into. Whatever the owner makes, the other two may use.
CREATE ROLE pgscrim LOGIN;
CREATE ROLE shop_owner LOGIN;
CREATE ROLE shop_app LOGIN;
CREATE ROLE shop_support LOGIN;
CREATE DATABASE medusa_template OWNER shop_owner;
\connect medusa_template
ALTER SCHEMA public OWNER TO shop_owner;
GRANT ALL ON SCHEMA public TO shop_app, shop_support;
ALTER DEFAULT PRIVILEGES FOR ROLE shop_owner IN SCHEMA public GRANT ALL ON TABLES TO shop_app, shop_support;
ALTER DEFAULT PRIVILEGES FOR ROLE shop_owner IN SCHEMA public GRANT ALL ON SEQUENCES TO shop_app, shop_support;
ALTER DEFAULT PRIVILEGES FOR ROLE shop_owner IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO shop_app, shop_support;
