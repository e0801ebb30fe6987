//! Settings that administrators give to a login or a database (`ALTER ROLE … SET`, `ALTER DATABASE … SET`): what decides how the server reads
//! text keeps the value that pgscrim relies on, or the session is refused; under all others, and after RESET and DISCARD, masks hold.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{
    Postgres, Proxy, shop,
    wire::{self, Client},
};

/// What stands in stored cells of the shop, and in no mask.
const SECRETS: [&str; 3] = ["0901234", "Thi Minh", "gmail"];

/// For the server in another schema: a table of the same name, and rivals of what masks call.
const SCHEMA: &str = "
CREATE SCHEMA evil;
CREATE FUNCTION evil.right(text, int) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION evil.never(varchar, text) RETURNS bool LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR evil.~ (LEFTARG = varchar, RIGHTARG = text, FUNCTION = evil.never);
CREATE OPERATOR evil.!~ (LEFTARG = varchar, RIGHTARG = text, FUNCTION = evil.never);
CREATE TABLE evil.orders AS SELECT id, phone AS amount FROM public.customers WHERE false;
CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN RAISE DEBUG 'phone %', (SELECT phone FROM public.customers WHERE id = 1);
      RAISE NOTICE 'phone %', (SELECT phone FROM public.customers WHERE id = 1); RETURN NEW; END$$;
CREATE TRIGGER loud BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION loud();
GRANT USAGE ON SCHEMA evil TO support; GRANT ALL ON evil.orders TO support;
";

/// Setting, its value, and what SHOW says of it in a restricted session.
const SETTINGS: &[(&str, &str, &str)] = &[
    ("standard_conforming_strings", "off", "on"),
    ("client_encoding", "latin1", "UTF8"),
    ("backslash_quote", "on", "on"),
    ("search_path", "evil, pg_catalog, public", "evil, pg_catalog, public"),
    ("client_min_messages", "debug5", "debug5"),
    ("transform_null_equals", "on", "on"),
    ("escape_string_warning", "off", "off"),
    ("row_security", "off", "off"),
    ("bytea_output", "escape", "escape"),
    ("DateStyle", "'SQL, DMY'", "SQL, DMY"),
    ("enable_seqscan", "off", "off"),
];

fn connect(proxy: &Proxy) -> Client {
    let connected = Client::connect(&proxy.address(), &[("user", "support"), ("database", shop::DATABASE)]);
    connected.unwrap_or_else(|refused| panic!("{}", wire::describe(&refused)))
}

fn shown(client: &mut Client, setting: &str) -> String {
    let answer = client.simple(&format!("SHOW {setting}"));
    wire::lines(&answer)[0].clone()
}

/// Masks hold in every form, and text is read as pgscrim reads it.
fn holds(client: &mut Client, when: &str) {
    let [name, phone] = ["N*** K***", "*****001"];
    for (sql, expected) in [
        ("SELECT full_name, phone, email FROM public.customers WHERE id = 1", format!("{name}|{phone}|-")),
        ("SELECT * FROM public.customer_phones WHERE id = 1", format!("1|{phone}")),
        // Only as long as a backslash is one, the second quote ends the constant.
        (r"SELECT '\', phone, '\' FROM public.customers WHERE id = 1", format!(r"\|{phone}|\")),
        (r"SELECT E'\\', phone, E'\x27' FROM public.customers WHERE id = 1", format!(r"\|{phone}|'")),
        ("SELECT 'é', upper(phone) FROM public.customers WHERE id = 1", format!("é|{phone}")),
        ("SELECT phone FROM public.customers WHERE full_name = full_name AND id = 1", phone.to_owned()),
        ("SELECT count(*) FROM public.customers WHERE phone || '' LIKE '0901%'", "0".to_owned()),
        ("UPDATE public.customers SET phone = '*****001' WHERE id = 1 RETURNING phone", phone.to_owned()),
    ] {
        let answer = client.simple(sql);
        assert_eq!(wire::lines(&answer), [expected.as_str()], "{when}: {sql}");
        let answer = client.extended(sql, &[], 0);
        assert_eq!(wire::lines(&answer), [expected.as_str()], "{when}: {sql}");
    }
    // `= NULL` may mean IS NULL, of what the role sees.
    for sql in [
        "SELECT id FROM public.customers WHERE phone = NULL",
        "SELECT id, email = NULL FROM public.customers WHERE full_name = NULL OR note IS NULL",
        r"SELECT E'\'', phone FROM public.customers --'",
        r"SELECT '\'' , phone FROM public.customers --'",
        "SELECT * FROM orders, customers WHERE orders.id = 1",
        "SELECT 1 / (phone = '')::int FROM public.customers",
        "INSERT INTO public.customers (id, full_name) VALUES (1, 'x')",
    ] {
        client.simple(sql);
        client.extended(sql, &[], 1);
    }
    let seen = common::text(&client.transcript);
    let found = SECRETS.iter().find(|secret| seen.contains(**secret));
    assert!(found.is_none(), "{when}: {found:?} in {seen}");
    client.forget();
}

fn each(give: impl Fn(&Postgres, &str, &str), take_back: &str) {
    let (server, proxy) = shop::start_other(&[shop::SCHEMA, SCHEMA], shop::RULES);
    let stored = |server: &Postgres| {
        server.sql(shop::DATABASE, "SELECT md5(string_agg(c::text, ',' ORDER BY id)) FROM customers c")
    };
    let before = stored(&server);
    for (setting, value, seen) in SETTINGS {
        give(&server, setting, value);
        let mut straight =
            Client::connect(&server.address(), &[("user", "support"), ("database", shop::DATABASE)]).unwrap();
        assert_eq!(shown(&mut straight, setting).to_lowercase(), value.trim_matches('\'').to_lowercase(), "{setting}");
        let mut client = connect(&proxy);
        assert_eq!(shown(&mut client, setting), *seen, "{setting}");
        holds(&mut client, setting);
        // Back to what the session began with, which is not what the administrator gave where it matters.
        for back in [
            format!("RESET {setting}"),
            format!("SET {setting} TO DEFAULT"),
            "RESET ALL".to_owned(),
            "DISCARD ALL".to_owned(),
        ] {
            let mut client = connect(&proxy);
            let answer = client.simple(&back);
            if let Some(error) = wire::error(&answer) {
                // Settings that nobody may touch: nothing has changed.
                assert!(error.field(b'H').unwrap().starts_with("PGS0208"), "{back}: {}", wire::describe(&answer));
                assert!(!back.ends_with("ALL"), "{back}");
            }
            assert_eq!(shown(&mut client, setting), *seen, "{back}");
            holds(&mut client, &back);
        }
        server.sql(shop::DATABASE, &format!("{take_back} RESET ALL"));
    }
    assert_eq!(stored(&server), before, "masks were stored");
}

#[test]
fn settings_of_a_login() {
    let give = |server: &Postgres, setting: &str, value: &str| {
        server.sql(shop::DATABASE, &format!("ALTER ROLE support SET {setting} = {value}"));
    };
    each(give, "ALTER ROLE support");
}

#[test]
fn settings_of_a_database() {
    let give = |server: &Postgres, setting: &str, value: &str| {
        server.sql(shop::DATABASE, &format!("ALTER DATABASE shop SET {setting} = {value}"));
    };
    each(give, "ALTER DATABASE shop");
}

#[test]
fn settings_of_a_login_in_a_database() {
    let give = |server: &Postgres, setting: &str, value: &str| {
        server.sql(shop::DATABASE, &format!("ALTER ROLE support IN DATABASE shop SET {setting} = {value}"));
    };
    each(give, "ALTER ROLE support IN DATABASE shop");
}

/// A function of the server's own sets what pgscrim relies on while a session works: the session ends before a statement is read otherwise.
#[test]
fn settings_that_change_in_a_session() {
    let (server, proxy) = shop::start();
    server.sql(
        shop::DATABASE,
        "CREATE FUNCTION sets() RETURNS trigger LANGUAGE plpgsql AS
             $$BEGIN PERFORM set_config('standard_conforming_strings', 'off', false); RETURN NEW; END$$;
         CREATE FUNCTION encodes() RETURNS trigger LANGUAGE plpgsql AS
             $$BEGIN PERFORM set_config('client_encoding', 'SJIS', false); RETURN NEW; END$$;
         CREATE TABLE a (i int); CREATE TABLE b (i int); GRANT ALL ON a, b TO support;
         CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION sets();
         CREATE TRIGGER t BEFORE INSERT ON b FOR EACH ROW EXECUTE FUNCTION encodes()",
    );
    for table in ["a", "b"] {
        for read in [r"SELECT '\', phone, ' --\' FROM customers", "SELECT phone FROM customers"] {
            for together in [false, true] {
                let mut client = connect(&proxy);
                let insert = format!("INSERT INTO {table} VALUES (1)");
                let answer = if together {
                    client.simple(&format!("{insert}; {read}"))
                } else {
                    [client.simple(&insert), client.simple(read)].concat()
                };
                let error = wire::error(&answer).unwrap_or_else(|| panic!("{table}: {}", wire::describe(&answer)));
                assert_eq!(error.field(b'S').as_deref(), Some("FATAL"), "{}", wire::describe(&answer));
                assert!(error.field(b'H').unwrap().starts_with("PGS0208"), "{}", wire::describe(&answer));
                let seen = common::text(&client.transcript);
                assert!(!SECRETS.iter().any(|secret| seen.contains(secret)), "{table}, {read}: {seen}");
            }
        }
    }
}
