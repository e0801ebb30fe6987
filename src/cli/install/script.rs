//! The SQL of `pgscrim install`, for psql. Invariants: all or nothing; the key stands in no statement, but in the data
//! of a COPY; what is there already and is not ours is left alone, with an error.

use super::Key;
use crate::{
    names::{quote_ident, quote_literal},
    policy::masks::keyed::{FUNCTION, SCHEMA, TABLE, VERSIONS},
};

const ARGUMENTS: &str = "(integer, text, text)";

/// The script that installs `key` under `version`; `roles` may call the function.
pub fn install(key: &Key, version: i32, roles: &[&str]) -> String {
    let [inner, outer] = key.pads();
    let (grants, listed) = (grants(roles), listed());
    format!(
        r"-- pgscrim install: what keyed masks need in the database. Made by pgscrim {package}; for psql.
--
-- THE DATA LINE UNDER `COPY` HOLDS THE KEY, in another form. Do not keep this text, and do not run it with psql -a.
--
-- The key stands in no statement, so that neither the server's log (log_statement) nor pg_stat_activity nor
-- pg_stat_statements shows it: of a COPY these record the command, and not the data. psql stops at the first error; if
-- it went on behind a COPY that failed, it would take the data for a statement.
--
-- Run it as the role that shall own the schema. That role, superusers and whoever reads the server's files or its
-- backups can compute pseudonyms. pg_dump by others than the owner and superusers needs --exclude-schema={SCHEMA}.

\set ON_ERROR_STOP on
BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE SCHEMA IF NOT EXISTS {SCHEMA};

-- A schema that somebody else made in advance could hold a function of theirs.
DO $pgscrim$
BEGIN
  IF (SELECT pg_get_userbyid(nspowner) <> current_user FROM pg_namespace WHERE nspname = '{SCHEMA}') THEN
    RAISE EXCEPTION 'schema {SCHEMA} belongs to another role than %', current_user;
  END IF;
  IF EXISTS (SELECT FROM pg_class WHERE relname = '{TABLE}' AND relnamespace = '{SCHEMA}'::regnamespace
                AND pg_get_userbyid(relowner) <> current_user)
     OR EXISTS (SELECT FROM pg_proc WHERE proname = '{FUNCTION}' AND pronamespace = '{SCHEMA}'::regnamespace
                   AND pg_get_userbyid(proowner) <> current_user) THEN
    RAISE EXCEPTION 'schema {SCHEMA} holds objects of another role than %', current_user;
  END IF;
END
$pgscrim$;
REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC;

CREATE TABLE IF NOT EXISTS {SCHEMA}.{TABLE} (
  version integer PRIMARY KEY CHECK (version > 0),
  inner_pad bytea NOT NULL CHECK (octet_length(inner_pad) = 64),
  outer_pad bytea NOT NULL CHECK (octet_length(outer_pad) = 64)
);
-- Row-level security without a policy: members of pg_read_all_data see no row. They can read pg_statistic, where ANALYZE
-- would put what it finds in a column.
ALTER TABLE {SCHEMA}.{TABLE} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {SCHEMA}.{TABLE} ALTER COLUMN inner_pad SET STATISTICS 0, ALTER COLUMN outer_pad SET STATISTICS 0;

-- From everybody but the owner, also what ALTER DEFAULT PRIVILEGES gave.
REVOKE ALL ON TABLE {SCHEMA}.{TABLE} FROM PUBLIC;
DO $pgscrim$
DECLARE
  granted record;
BEGIN
  FOR granted IN
    SELECT DISTINCT a.grantee::regrole AS role FROM pg_class c, aclexplode(c.relacl) a
     WHERE c.oid = '{SCHEMA}.{TABLE}'::regclass AND a.grantee NOT IN (0, c.relowner)
  LOOP
    EXECUTE format('REVOKE ALL ON TABLE {SCHEMA}.{TABLE} FROM %s CASCADE', granted.role);
  END LOOP;
  -- A second function of the name could be the closer match for what masks call.
  FOR granted IN
    SELECT DISTINCT a.grantee::regrole AS role FROM pg_namespace n, aclexplode(n.nspacl) a
     WHERE n.nspname = '{SCHEMA}' AND a.privilege_type = 'CREATE' AND a.grantee NOT IN (0, n.nspowner)
  LOOP
    EXECUTE format('REVOKE CREATE ON SCHEMA {SCHEMA} FROM %s CASCADE', granted.role);
  END LOOP;
  IF EXISTS (SELECT FROM {SCHEMA}.{TABLE} k WHERE k.version = {version}) THEN
    RAISE EXCEPTION 'key version {version} is installed already'
      USING HINT = 'Another key under the same version would change every pseudonym. Take another version.';
  END IF;
END
$pgscrim$;

COPY {SCHEMA}.{TABLE} (version, inner_pad, outer_pad) FROM stdin;
{version}	\\x{inner}	\\x{outer}
\.

{listed}
-- HMAC-SHA256 of domain and value; no text holds the byte 0 between them. It runs as its owner, who may read the
-- table, and its errors show no value.
CREATE OR REPLACE FUNCTION {SCHEMA}.{FUNCTION}(version integer, domain text, value text) RETURNS bytea
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $pgscrim$
DECLARE
  digest bytea;
BEGIN
  SELECT sha256(k.outer_pad || sha256(k.inner_pad || convert_to($2, 'UTF8') || decode('00', 'hex') || convert_to($3, 'UTF8')))
    INTO digest FROM {SCHEMA}.{TABLE} k WHERE k.version = $1;
  IF digest IS NULL THEN
    RAISE EXCEPTION 'key version % of pgscrim''s masks is not installed', $1
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = format('Run pgscrim install --key-version %s.', $1);
  END IF;
  RETURN digest;
END
$pgscrim$;
COMMENT ON FUNCTION {SCHEMA}.{FUNCTION}{ARGUMENTS} IS 'Called by pgscrim''s masks. Whoever may call it can find the value of a pseudonym by trying.';
REVOKE ALL ON FUNCTION {SCHEMA}.{FUNCTION}{ARGUMENTS} FROM PUBLIC;

-- Masks run as the login role of the application, so these may call it. Whoever connects past the proxy as one of them
-- can try values, such as all telephone numbers: close the server's own port for them.
{grants}
COMMIT;
",
        package = env!("CARGO_PKG_VERSION"),
    )
}

/// Writes the versions into the comment of the table, where pgscrim finds them when it checks rules.
fn listed() -> String {
    format!(
        "DO $pgscrim$\nBEGIN\n  \
           EXECUTE format('COMMENT ON TABLE {SCHEMA}.{TABLE} IS %L', 'Keys of the masks of pgscrim, for its owner alone; {VERSIONS}'\n    \
             || (SELECT coalesce(string_agg(k.version::text, ', ' ORDER BY k.version), '') FROM {SCHEMA}.{TABLE} k));\n\
         END\n$pgscrim$;\n"
    )
}

fn grants(roles: &[&str]) -> String {
    if roles.is_empty() {
        return format!(
            "-- GRANT USAGE ON SCHEMA {SCHEMA} TO …;\n-- GRANT EXECUTE ON FUNCTION {SCHEMA}.{FUNCTION}{ARGUMENTS} TO …;\n"
        );
    }
    let roles = roles.iter().map(|role| quote_ident(role)).collect::<Vec<_>>().join(", ");
    format!(
        "GRANT USAGE ON SCHEMA {SCHEMA} TO {roles};\nGRANT EXECUTE ON FUNCTION {SCHEMA}.{FUNCTION}{ARGUMENTS} TO {roles};\n"
    )
}

/// The script that takes away the key of one version, or everything.
pub fn uninstall(version: Option<i32>) -> String {
    let removal = match version {
        Some(version) => format!(
            "-- Masks of rules that name this key fail from now on; the function stays for the others.\n\
             DELETE FROM {SCHEMA}.{TABLE} WHERE version = {version};\n{}",
            listed()
        ),
        None => format!(
            "-- Statements that need a keyed mask fail from now on, and rules with one are invalid.\n\
             DROP FUNCTION IF EXISTS {SCHEMA}.{FUNCTION}{ARGUMENTS};\n\
             DROP TABLE IF EXISTS {SCHEMA}.{TABLE};\n\
             DO $pgscrim$\n\
             BEGIN\n  \
               EXECUTE {drop};\n\
             EXCEPTION WHEN dependent_objects_still_exist THEN\n  \
               RAISE NOTICE 'schema {SCHEMA} stays: it holds other objects';\n\
             END\n\
             $pgscrim$;\n",
            drop = quote_literal(&format!("DROP SCHEMA IF EXISTS {SCHEMA}")),
        ),
    };
    format!(
        "-- pgscrim install --uninstall, for psql.\n\\set ON_ERROR_STOP on\nBEGIN;\n\
         SET LOCAL search_path = pg_catalog, pg_temp;\n{removal}COMMIT;\n"
    )
}
