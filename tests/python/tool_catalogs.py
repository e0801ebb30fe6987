"""What graphical tools, reporting tools and API servers ask of the catalogs, as a restricted role: through pgscrim the answers are
those of the server itself.

Environment: PROXY_PORT, SERVER_PORT, ROLE. Ends with `ok`.
"""

import os
import sys

import psycopg

ROLE = os.environ["ROLE"]


def connect(port):
    return psycopg.connect(f"host=127.0.0.1 port={os.environ[port]} dbname=shop user={ROLE}", autocommit=True)


server, proxy = connect("SERVER_PORT"), connect("PROXY_PORT")
one = lambda query: server.execute(query).fetchone()[0]  # noqa: E731
TABLE = one("SELECT 'customers'::regclass::oid")
ORDERS = one("SELECT 'orders'::regclass::oid")
VIEW = one("SELECT 'customer_phones'::regclass::oid")
SCHEMA = one("SELECT oid FROM pg_namespace WHERE nspname = 'public'")
DATABASE = one("SELECT oid FROM pg_database WHERE datname = 'shop'")

TOOLS = {
    "DBeaver": [
        "SET extra_float_digits = 3",
        "SET application_name = 'DBeaver 24 - Main'",
        "SELECT current_schema(), session_user",
        "SELECT db.oid, db.* FROM pg_catalog.pg_database db WHERE datname = 'shop'",
        "SELECT n.oid, n.*, d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = n.oid AND d.objsubid = 0 AND d.classoid = 'pg_namespace'::regclass ORDER BY nspname",
        "SELECT t.oid, t.*, c.relkind, format_type(nullif(t.typbasetype, 0), t.typtypmod) AS base_type_name, d.description FROM pg_catalog.pg_type t "
        "LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid = t.typelem LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid = t.typrelid LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid = d.objoid "
        "WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c') AND (et.typcategory IS NULL OR et.typcategory <> 'C') ORDER BY t.oid LIMIT 500",
        f"SELECT c.oid, c.*, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS partition_expr, pg_catalog.pg_get_partkeydef(c.oid) AS partition_key FROM pg_catalog.pg_class c "
        f"LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass WHERE c.relnamespace = {SCHEMA} AND c.relkind NOT IN ('i', 'I', 'c') ORDER BY c.oid",
        f"SELECT c.relname, a.attrelid, a.attname, a.attnum, a.atttypid, a.attnotnull, a.atttypmod, a.attidentity, a.attgenerated, a.attacl, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) AS def_value, dsc.description, dep.objid "
        f"FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON a.attrelid = c.oid LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum "
        f"LEFT OUTER JOIN pg_catalog.pg_description dsc ON c.oid = dsc.objoid AND a.attnum = dsc.objsubid LEFT OUTER JOIN pg_depend dep ON dep.refobjid = a.attrelid AND dep.deptype = 'i' AND dep.refobjsubid = a.attnum AND dep.classid = dep.refclassid "
        f"WHERE NOT a.attisdropped AND c.relkind NOT IN ('i', 'I', 'c') AND c.oid = {TABLE} ORDER BY a.attnum",
        f"SELECT c.oid, c.*, t.relname AS tabrelname, rt.relnamespace AS refnamespace, d.description, CASE WHEN c.contype = 'c' THEN \"substring\"(pg_get_constraintdef(c.oid), 7) ELSE NULL END consrc_copy, pg_get_constraintdef(c.oid) AS condef "
        f"FROM pg_catalog.pg_constraint c INNER JOIN pg_catalog.pg_class t ON t.oid = c.conrelid LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid = c.confrelid LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 "
        f"AND d.classoid = 'pg_constraint'::regclass WHERE c.conrelid = {ORDERS} ORDER BY c.oid",
        f"SELECT i.*, i.indkey AS keys, c.relname, c.relnamespace, c.relam, c.reltablespace, tc.relname AS tabrelname, dsc.description, pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS pred_expr, pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) AS expr, "
        f"pg_catalog.pg_relation_size(i.indexrelid) AS index_rel_size, pg_catalog.pg_stat_get_numscans(i.indexrelid) AS index_num_scans FROM pg_catalog.pg_index i INNER JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
        f"INNER JOIN pg_catalog.pg_class tc ON tc.oid = i.indrelid LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid = dsc.objoid WHERE i.indrelid = {TABLE} ORDER BY tabrelname, c.relname",
        f"SELECT x.oid, x.*, p.pronamespace AS func_schema_id, d.description FROM pg_catalog.pg_trigger x LEFT OUTER JOIN pg_catalog.pg_proc p ON p.oid = x.tgfoid LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = x.oid AND d.objsubid = 0 WHERE NOT x.tgisinternal AND x.tgrelid = {TABLE}",
        f"SELECT DISTINCT dep.deptype, dep.classid, dep.objid, cl.relkind, attr.attname, pg_get_expr(ad.adbin, ad.adrelid) adefval, CASE WHEN cl.relkind IS NOT NULL THEN CASE WHEN dep.objsubid <> 0 THEN cl.relkind::text || dep.objsubid::text ELSE cl.relkind::text END ELSE '' END AS type "
        f"FROM pg_depend dep LEFT JOIN pg_class cl ON dep.objid = cl.oid LEFT JOIN pg_attribute attr ON dep.objid = attr.attrelid AND dep.objsubid = attr.attnum LEFT JOIN pg_attrdef ad ON ad.oid = dep.objid WHERE dep.refobjid = {TABLE} ORDER BY 3, 2",
        "SELECT relation.oid, pg_catalog.pg_total_relation_size(relation.oid) AS total, pg_catalog.pg_relation_size(relation.oid) AS own FROM pg_catalog.pg_class relation WHERE relnamespace = 2200 AND relkind = 'r' ORDER BY 1",
        f"SELECT pg_get_viewdef({VIEW}, true)",
        "SELECT s.pid, s.usename, s.state FROM pg_catalog.pg_stat_activity s WHERE s.datname = 'nowhere'",
        "SELECT * FROM pg_catalog.pg_enum",
        "SELECT 'customers'::regclass::oid",
        "SELECT string_agg(word, ',') FROM pg_catalog.pg_get_keywords() WHERE word <> ALL ('{a,abs,absolute}'::text[])",
        "SELECT p.oid, p.*, d.description, pg_get_function_identity_arguments(p.oid) FROM pg_proc p LEFT JOIN pg_description d ON d.objoid = p.oid WHERE p.pronamespace = 2200",
        "SELECT c.oid, c.*, s.* FROM pg_class c, LATERAL (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 ORDER BY a.attnum LIMIT 1) s WHERE c.relnamespace = 2200 AND c.relkind = 'r' ORDER BY c.oid",
    ],
    "DataGrip": [
        "SELECT version()",
        "SET application_name = 'DataGrip 2024.3'",
        "SELECT N.oid::bigint AS id, datname AS name, D.description, datistemplate AS is_template, datallowconn AS allow_connections, pg_catalog.pg_get_userbyid(N.datdba) AS \"owner\" "
        "FROM pg_catalog.pg_database N LEFT JOIN pg_catalog.pg_shdescription D ON N.oid = D.objoid ORDER BY CASE WHEN datname = pg_catalog.current_database() THEN -1::bigint ELSE N.oid::bigint END",
        "SELECT N.oid::bigint AS id, N.xmin AS state_number, nspname AS name, D.description, pg_catalog.pg_get_userbyid(N.nspowner) AS \"owner\" FROM pg_catalog.pg_namespace N LEFT JOIN pg_catalog.pg_description D ON N.oid = D.objoid ORDER BY CASE WHEN nspname = pg_catalog.current_schema() THEN -1::bigint ELSE N.oid::bigint END",
        f"SELECT T.relkind AS table_kind, T.relname AS table_name, T.oid AS table_id, T.xmin AS table_state_number, false AS table_with_oids, T.reltablespace AS tablespace_id, T.reloptions AS options, T.relpersistence AS persistence, "
        f"(SELECT pg_catalog.array_agg(inhparent::bigint ORDER BY inhseqno)::varchar FROM pg_catalog.pg_inherits WHERE T.oid = inhrelid) AS ancestors, T.relispartition AS is_partition, pg_catalog.pg_get_partkeydef(T.oid) AS partition_key, T.relam AS am_id, pg_catalog.pg_get_userbyid(T.relowner) AS \"owner\" "
        f"FROM pg_catalog.pg_class T WHERE relnamespace = {SCHEMA}::oid AND relkind IN ('r', 'm', 'v', 'p', 'f') ORDER BY table_kind, table_id",
        f"WITH T AS (SELECT DISTINCT T.oid AS table_id, T.relname AS table_name FROM pg_catalog.pg_class T, pg_catalog.pg_attribute A WHERE T.relnamespace = {SCHEMA}::oid AND T.relkind IN ('r', 'm', 'v', 'f', 'p') AND A.attrelid = T.oid) "
        "SELECT T.table_id, C.attnum AS column_position, C.attname AS column_name, C.xmin AS column_state_number, C.atttypmod AS type_mod, C.attndims AS dimensions_number, pg_catalog.format_type(C.atttypid, C.atttypmod) AS type_spec, C.atttypid AS type_id, C.attnotnull AS mandatory, "
        "pg_catalog.pg_get_expr(D.adbin, T.table_id) AS column_default_expression, NOT C.attislocal AS column_is_inherited, C.attfdwoptions AS options, C.attisdropped AS column_is_dropped, C.attidentity AS identity_kind, C.attgenerated AS generated "
        "FROM T JOIN pg_catalog.pg_attribute C ON T.table_id = C.attrelid LEFT JOIN pg_catalog.pg_attrdef D ON (C.attrelid, C.attnum) = (D.adrelid, D.adnum) WHERE attnum > 0 ORDER BY table_id, attnum",
        f"SELECT T.oid table_id, relkind AS table_kind, C.oid::bigint con_id, C.xmin::varchar::bigint con_state_id, conname con_name, contype con_kind, conkey con_columns, conindid index_id, confrelid ref_table_id, condeferrable is_deferrable, condeferred is_init_deferred, "
        f"confupdtype on_update, confdeltype on_delete, connoinherit no_inherit, pg_catalog.pg_get_expr(conbin, T.oid) con_expression, confkey ref_columns, conexclop::int[] excl_operators, array(SELECT unnest::regoper::varchar FROM unnest(conexclop)) excl_operators_str "
        f"FROM pg_catalog.pg_constraint C JOIN pg_catalog.pg_class T ON C.conrelid = T.oid WHERE relkind IN ('r', 'v', 'f', 'p') AND relnamespace = {SCHEMA}::oid AND contype IN ('p', 'u', 'f', 'c', 'x') AND connamespace = {SCHEMA}::oid ORDER BY C.oid",
        f"SELECT tab.oid AS table_id, tab.relkind AS table_kind, ind_stor.relname AS index_name, ind_head.indexrelid AS index_id, ind_stor.xmin AS state_number, ind_head.indisunique AS is_unique, ind_head.indisprimary AS is_primary, pg_catalog.pg_get_expr(ind_head.indpred, ind_head.indrelid) AS condition, "
        f"(SELECT pg_catalog.array_agg(inhparent::bigint ORDER BY inhseqno)::varchar FROM pg_catalog.pg_inherits WHERE ind_stor.oid = inhrelid) AS ancestors, opcmethod AS access_method_id FROM pg_catalog.pg_class tab JOIN pg_catalog.pg_index ind_head ON ind_head.indrelid = tab.oid "
        f"JOIN pg_catalog.pg_class ind_stor ON tab.relnamespace = ind_stor.relnamespace AND ind_stor.oid = ind_head.indexrelid JOIN pg_catalog.pg_opclass ON pg_opclass.oid = ANY(ind_head.indclass) WHERE tab.relnamespace = {SCHEMA}::oid AND tab.relkind IN ('r', 'm', 'v', 'p') AND ind_stor.relkind IN ('i', 'I') ORDER BY 4",
        f"SELECT ind_head.indexrelid index_id, k AS column_idx, k <= indnkeyatts in_key, ind_head.indkey[k - 1] column_position, ind_head.indoption[k - 1] column_options, ind_head.indcollation[k - 1] AS collation, colln.nspname AS collation_schema, collname AS collation_str, ind_head.indclass[k - 1] AS opclass, "
        f"CASE WHEN opcdefault THEN NULL ELSE opcn.nspname END AS opclass_schema, CASE WHEN indexprs IS NULL THEN NULL WHEN ind_head.indkey[k - 1] = 0 THEN chr(27) || pg_catalog.pg_get_indexdef(ind_head.indexrelid, k::int, true) ELSE pg_catalog.pg_get_indexdef(ind_head.indexrelid, k::int, true) END AS expression, "
        f"CASE WHEN pg_catalog.pg_indexam_has_property(am.oid, 'can_order') THEN (ind_head.indoption[k - 1] & 1) = 0 END AS is_asc FROM pg_catalog.pg_index ind_head JOIN pg_catalog.pg_class ind_stor ON ind_stor.oid = ind_head.indexrelid CROSS JOIN unnest(ind_head.indkey) WITH ORDINALITY u(u, k) LEFT JOIN pg_catalog.pg_collation ON pg_collation.oid = ind_head.indcollation[k - 1] "
        f"LEFT JOIN pg_catalog.pg_namespace colln ON collnamespace = colln.oid CROSS JOIN pg_catalog.pg_am am LEFT JOIN pg_catalog.pg_opclass ON pg_opclass.oid = ind_head.indclass[k - 1] LEFT JOIN pg_catalog.pg_namespace opcn ON opcnamespace = opcn.oid WHERE ind_stor.relnamespace = {SCHEMA}::oid AND am.oid = ind_stor.relam ORDER BY index_id, k",
        "SELECT R.oid::bigint AS role_id, rolname AS role_name, rolsuper AS is_super, rolinherit AS is_inherit, rolcreaterole AS can_createrole, rolcreatedb AS can_createdb, rolcanlogin AS can_login, rolreplication AS is_replication, rolconnlimit AS conn_limit, rolvaliduntil AS valid_until, rolbypassrls AS bypass_rls, rolconfig AS config, D.description "
        "FROM pg_catalog.pg_roles R LEFT JOIN pg_catalog.pg_shdescription D ON D.objoid = R.oid ORDER BY 1",
        "SELECT member id, roleid role_id, admin_option FROM pg_catalog.pg_auth_members ORDER BY id, roleid::text",
        f"SELECT T.relkind AS view_kind, T.oid AS view_id, pg_catalog.pg_get_viewdef(T.oid, true) AS source_text FROM pg_catalog.pg_class T JOIN pg_catalog.pg_namespace N ON T.relnamespace = N.oid WHERE N.oid = {SCHEMA}::oid AND T.relkind IN ('m', 'v')",
        f"SELECT E.oid AS id, E.xmin AS state_number, extname AS name, extversion AS version, extnamespace AS schema_id, nspname AS schema_name, array(SELECT unnest FROM unnest(available_versions) WHERE unnest > extversion) AS available_updates FROM pg_catalog.pg_extension E JOIN pg_namespace N ON E.extnamespace = N.oid "
        "LEFT JOIN (SELECT name, array_agg(version) AS available_versions FROM pg_available_extension_versions() GROUP BY name) V ON E.extname = V.name",
        "SELECT D.objoid id, CASE WHEN 'pg_catalog.pg_class'::regclass = classoid THEN 'C' ELSE 'O' END AS kind, D.objsubid sub_id, D.description FROM pg_catalog.pg_description D WHERE pg_catalog.pg_describe_object(classoid, objoid, objsubid) LIKE '%customers%'",
        "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ELSE pg_catalog.txid_current() > 0 END",
        "SHOW DateStyle",
    ],
    "HeidiSQL": [
        "SELECT VERSION()",
        "SELECT \"schema_name\" FROM \"information_schema\".\"schemata\" ORDER BY \"schema_name\"",
        "SELECT CURRENT_USER, current_schema()",
        "SELECT *, NULL AS data_length, pg_relation_size(QUOTE_IDENT(t.TABLE_SCHEMA) || '.' || QUOTE_IDENT(t.TABLE_NAME))::bigint AS index_length, c.reltuples, obj_description(c.oid) AS comment FROM \"information_schema\".\"tables\" AS t "
        "LEFT JOIN \"pg_namespace\" n ON t.table_schema = n.nspname LEFT JOIN \"pg_class\" c ON n.oid = c.relnamespace AND c.relname = t.table_name WHERE t.\"table_schema\" = 'public' ORDER BY t.table_name",
        "SELECT DISTINCT a.attname AS column_name, a.attnum, a.atttypid, FORMAT_TYPE(a.atttypid, a.atttypmod) AS data_type, CASE a.attnotnull WHEN false THEN 'YES' ELSE 'NO' END AS IS_NULLABLE, com.description AS column_comment, pg_get_expr(def.adbin, def.adrelid) AS column_default, NULL AS character_maximum_length "
        "FROM pg_attribute AS a JOIN pg_class AS pgc ON pgc.oid = a.attrelid LEFT JOIN pg_description AS com ON (pgc.oid = com.objoid AND a.attnum = com.objsubid) LEFT JOIN pg_attrdef AS def ON (a.attrelid = def.adrelid AND a.attnum = def.adnum) WHERE a.attnum > 0 AND pgc.oid = a.attrelid AND pg_table_is_visible(pgc.oid) AND NOT a.attisdropped AND pgc.oid = 'customers'::regclass ORDER BY a.attnum",
        "WITH ndx_list AS (SELECT pg_index.indexrelid, pg_class.oid FROM pg_index, pg_class WHERE pg_class.relname = 'customers' AND pg_class.oid = pg_index.indrelid), ndx_cols AS (SELECT pg_class.relname, UNNEST(i.indkey) AS col_ndx, CASE i.indisprimary WHEN true THEN 'PRIMARY' ELSE CASE i.indisunique WHEN true THEN 'UNIQUE' ELSE 'KEY' END END AS CONSTRAINT_TYPE, pg_class.oid "
        "FROM pg_class JOIN pg_index i ON (pg_class.oid = i.indexrelid) JOIN ndx_list ON (pg_class.oid = ndx_list.indexrelid) WHERE pg_table_is_visible(pg_class.oid)) SELECT ndx_cols.relname AS CONSTRAINT_NAME, ndx_cols.CONSTRAINT_TYPE, a.attname AS COLUMN_NAME FROM pg_attribute a JOIN ndx_cols ON (a.attnum = ndx_cols.col_ndx) JOIN ndx_list ON (ndx_list.oid = a.attrelid AND ndx_list.indexrelid = ndx_cols.oid) ORDER BY 1",
        "SELECT refc.constraint_name, refc.update_rule, refc.delete_rule, kcu.table_name, STRING_AGG(DISTINCT kcu.column_name, ',') AS columns, ccu.table_schema AS ref_schema, ccu.table_name AS ref_table, STRING_AGG(DISTINCT ccu.column_name, ',') AS ref_columns FROM information_schema.referential_constraints AS refc, information_schema.key_column_usage AS kcu, information_schema.constraint_column_usage AS ccu "
        "WHERE refc.constraint_schema = 'public' AND refc.constraint_name = kcu.constraint_name AND refc.constraint_schema = kcu.constraint_schema AND ccu.constraint_name = refc.constraint_name GROUP BY 1, 2, 3, 4, 6, 7",
        "SELECT \"p\".\"proname\", \"p\".\"proargtypes\" FROM \"pg_catalog\".\"pg_namespace\" AS \"n\" JOIN \"pg_catalog\".\"pg_proc\" AS \"p\" ON \"p\".\"pronamespace\" = \"n\".\"oid\" WHERE \"n\".\"nspname\" = 'public'",
    ],
    "Metabase": [
        "SELECT current_setting('server_version'), current_setting('TimeZone')",
        "SELECT NULL AS role, t.schemaname AS schema, t.objectname AS table, pg_catalog.has_any_column_privilege(current_user, '\"' || replace(t.schemaname, '\"', '\"\"') || '\".\"' || replace(t.objectname, '\"', '\"\"') || '\"', 'update') AS update, "
        "pg_catalog.has_table_privilege(current_user, '\"' || t.schemaname || '\".\"' || t.objectname || '\"', 'SELECT') AS select FROM (SELECT schemaname, tablename AS objectname FROM pg_catalog.pg_tables UNION SELECT schemaname, viewname FROM pg_catalog.pg_views UNION SELECT schemaname, matviewname FROM pg_catalog.pg_matviews) t "
        "WHERE t.schemaname !~ '^pg_' AND t.schemaname <> 'information_schema' ORDER BY 2, 3",
        "SELECT n.nspname AS schema, c.relname AS name, CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE NULL END AS type, d.description, NULLIF(stat.n_live_tup, 0) AS estimated_row_count FROM pg_catalog.pg_class AS c "
        "INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid LEFT JOIN pg_catalog.pg_description AS d ON (c.oid = d.objoid) AND (d.objsubid = 0) AND (d.classoid = 'pg_class'::regclass) LEFT JOIN pg_stat_user_tables AS stat ON (n.nspname = stat.schemaname) AND (c.relname = stat.relname) "
        "WHERE (c.relnamespace = n.oid) AND (n.nspname !~ '^pg_') AND (n.nspname <> 'information_schema') AND c.relkind IN ('r', 'p', 'v', 'f', 'm') ORDER BY type ASC, schema ASC, name ASC",
        "SELECT column_name AS name, CASE WHEN udt_schema IN ('public', 'pg_catalog') THEN format('%s', udt_name) ELSE format('\"%s\".\"%s\"', udt_schema, udt_name) END AS database_type, ordinal_position - 1 AS database_position, table_schema, table_name, pk.column_name IS NOT NULL AS pk, COL_DESCRIPTION(CAST(CAST(FORMAT('%I.%I', CAST(table_schema AS TEXT), CAST(table_name AS TEXT)) AS REGCLASS) AS OID), ordinal_position) AS field_comment, "
        "(column_default IS NULL OR LOWER(column_default) = 'null') AND is_nullable = 'NO' AS required FROM information_schema.columns AS c LEFT JOIN (SELECT tc.table_schema, tc.table_name, kc.column_name FROM information_schema.table_constraints AS tc INNER JOIN information_schema.key_column_usage AS kc ON (tc.constraint_name = kc.constraint_name) AND (tc.table_schema = kc.table_schema) AND (tc.table_name = kc.table_name) WHERE tc.constraint_type = 'PRIMARY KEY') AS pk USING (table_schema, table_name, column_name) "
        "WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' AND c.table_schema IN ('public') ORDER BY table_schema, table_name, database_position",
        "SELECT fk_ns.nspname AS fk_table_schema, fk_table.relname AS fk_table_name, fk_column.attname AS fk_column_name, pk_ns.nspname, pk_table.relname, pk_column.attname FROM pg_constraint c JOIN pg_class fk_table ON c.conrelid = fk_table.oid JOIN pg_namespace fk_ns ON c.connamespace = fk_ns.oid JOIN pg_attribute fk_column ON c.conrelid = fk_column.attrelid JOIN pg_class pk_table ON c.confrelid = pk_table.oid JOIN pg_namespace pk_ns ON pk_table.relnamespace = pk_ns.oid "
        "JOIN pg_attribute pk_column ON c.confrelid = pk_column.attrelid WHERE fk_ns.nspname !~ '^information_schema|catalog_history|pg_' AND c.contype = 'f'::char AND fk_column.attnum = ANY(c.conkey) AND pk_column.attnum = ANY(c.confkey) ORDER BY 1, 2",
        "SELECT nspname, typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid IN (SELECT DISTINCT enumtypid FROM pg_enum e)",
        "SELECT date_trunc('month', born) AS born, count(*) AS count FROM customers GROUP BY date_trunc('month', born) ORDER BY date_trunc('month', born) ASC",
        "SELECT count(*) FROM (SELECT customers.id, customers.full_name FROM customers) AS source",
        "SELECT \"source\".\"id\", substring(\"source\".\"full_name\", 1, 1234) IS NOT NULL AS \"s\" FROM (SELECT \"public\".\"customers\".\"id\" AS \"id\", \"public\".\"customers\".\"full_name\" AS \"full_name\" FROM \"public\".\"customers\") AS \"source\" ORDER BY 1 LIMIT 5",
    ],
    "Superset": [
        "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg_%' ORDER BY nspname",
        "SELECT datname FROM pg_database WHERE datistemplate = false AND datname = 'shop'",
        "SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['r', 'p']) AND pg_catalog.pg_class.relpersistence != 't' AND pg_catalog.pg_namespace.nspname = 'public' ORDER BY 1",
        "SELECT conname AS name, relname, conkey, pg_get_constraintdef(pg_constraint.oid, true) FROM pg_constraint JOIN pg_class ON conrelid = pg_class.oid WHERE conrelid = 'orders'::regclass ORDER BY 1",
        "SELECT DATE_TRUNC('week', placed) AS placed, sum(amount) AS \"SUM(amount)\" FROM public.orders WHERE placed >= TO_DATE('2025-06-01', 'YYYY-MM-DD') AND placed < TO_DATE('2026-06-01', 'YYYY-MM-DD') GROUP BY DATE_TRUNC('week', placed) ORDER BY \"SUM(amount)\" DESC LIMIT 10000",
        "SELECT * FROM (SELECT id, amount FROM orders) AS virtual_table ORDER BY id LIMIT 11",
    ],
    "Hasura": [
        "SELECT current_setting('server_version_num')",
        "SELECT schema.nspname AS table_schema, \"table\".relname AS table_name, coalesce(pg_catalog.to_json(columns.info), '[]'::json)::text AS columns, (SELECT pg_catalog.obj_description(\"table\".oid)) AS description FROM pg_catalog.pg_class \"table\" JOIN pg_catalog.pg_namespace schema ON schema.oid = \"table\".relnamespace "
        "LEFT JOIN LATERAL (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', \"column\".attname, 'position', \"column\".attnum, 'type', coalesce(base_type.typname, type.typname), 'is_nullable', NOT \"column\".attnotnull, 'description', pg_catalog.col_description(\"table\".oid, \"column\".attnum)) ORDER BY \"column\".attnum) AS info "
        "FROM pg_catalog.pg_attribute \"column\" LEFT JOIN pg_catalog.pg_type type ON type.oid = \"column\".atttypid LEFT JOIN pg_catalog.pg_type base_type ON type.typtype = 'd' AND base_type.oid = type.typbasetype WHERE \"column\".attrelid = \"table\".oid AND \"column\".attnum > 0 AND NOT \"column\".attisdropped) columns ON true "
        "WHERE \"table\".relkind IN ('r', 't', 'v', 'm', 'f', 'p') AND schema.nspname = 'public' ORDER BY 2",
        "SELECT coalesce(json_agg(\"root\"), '[]')::text AS \"root\" FROM (SELECT row_to_json((SELECT \"_e\" FROM (SELECT \"_root.base\".\"id\" AS \"id\", \"_root.base\".\"amount\" AS \"amount\") AS \"_e\")) AS \"root\" FROM (SELECT * FROM \"public\".\"orders\" WHERE ((\"public\".\"orders\".\"id\") < (('5')::integer))) AS \"_root.base\" ORDER BY \"_root.base\".\"id\" ASC NULLS LAST LIMIT 3) AS \"_root\"",
        "SELECT q.table_schema::text, q.table_name::text, q.constraint_name::text, min(q.ref_table_table_schema::text), json_object_agg(ac.attname, afc.attname)::text AS column_mapping, min(q.confupdtype::text) FROM (SELECT ctn.nspname AS table_schema, ct.relname AS table_name, r.conrelid AS table_id, r.conname AS constraint_name, cftn.nspname AS ref_table_table_schema, cft.relname AS ref_table, r.confrelid AS ref_table_id, r.confupdtype, r.confdeltype, "
        "unnest(r.conkey) AS column_id, unnest(r.confkey) AS ref_column_id FROM pg_constraint r JOIN pg_class ct ON r.conrelid = ct.oid JOIN pg_namespace ctn ON ct.relnamespace = ctn.oid JOIN pg_class cft ON r.confrelid = cft.oid JOIN pg_namespace cftn ON cft.relnamespace = cftn.oid WHERE r.contype = 'f'::\"char\") q JOIN pg_attribute ac ON q.column_id = ac.attnum AND q.table_id = ac.attrelid JOIN pg_attribute afc ON q.ref_column_id = afc.attnum AND q.ref_table_id = afc.attrelid GROUP BY 1, 2, 3",
    ],
    "pgAdmin": [
        "SET DateStyle=ISO; SET client_min_messages=notice; SELECT set_config('bytea_output', 'hex', false) FROM pg_show_all_settings() WHERE name = 'bytea_output'; SET client_encoding='UTF-8';",
        "SELECT CASE WHEN usesuper THEN pg_catalog.pg_is_in_recovery() ELSE FALSE END AS inrecovery, CASE WHEN usesuper AND pg_catalog.pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE FALSE END AS isreplaypaused FROM pg_catalog.pg_user WHERE usename = current_user",
        "SELECT roles.oid AS id, roles.rolname AS name, roles.rolsuper AS is_superuser, CASE WHEN roles.rolsuper THEN true ELSE roles.rolcreaterole END AS can_create_role, CASE WHEN pg_catalog.pg_has_role(roles.rolname, 'pg_signal_backend', 'MEMBER') THEN true ELSE false END AS can_signal_backend FROM pg_catalog.pg_roles AS roles WHERE rolname = current_user",
        f"SELECT db.oid AS did, db.datname AS name, ta.spcname AS spcname, db.datallowconn, db.datistemplate AS is_template, pg_catalog.has_database_privilege(db.oid, 'CREATE') AS cancreate, datdba AS owner, descr.description FROM pg_catalog.pg_database db LEFT OUTER JOIN pg_catalog.pg_tablespace ta ON db.dattablespace = ta.oid LEFT OUTER JOIN pg_catalog.pg_shdescription descr ON (db.oid = descr.objoid AND descr.classoid = 'pg_database'::regclass) WHERE db.oid = {DATABASE}::oid OR (db.oid > 16383::oid) ORDER BY datname",
        f"SELECT rel.oid, rel.relname AS name, (SELECT count(*) FROM pg_catalog.pg_trigger WHERE tgrelid = rel.oid AND tgisinternal = FALSE) AS triggercount, (SELECT count(1) FROM pg_catalog.pg_inherits WHERE inhrelid = rel.oid LIMIT 1) AS is_inherits, des.description FROM pg_catalog.pg_class rel LEFT OUTER JOIN pg_catalog.pg_description des ON (des.objoid = rel.oid AND des.objsubid = 0 AND des.classoid = 'pg_class'::regclass) "
        f"WHERE rel.relkind IN ('r', 's', 't', 'p') AND rel.relnamespace = {SCHEMA}::oid AND NOT rel.relispartition ORDER BY rel.relname",
        "SELECT 'session_stats' AS chart_name, pg_catalog.row_to_json(t) IS NOT NULL AS chart_data FROM (SELECT (SELECT count(*) FROM pg_catalog.pg_stat_activity) AS \"Total\") t UNION ALL SELECT 'tps_stats', pg_catalog.row_to_json(t) IS NOT NULL FROM (SELECT (SELECT sum(xact_commit) + sum(xact_rollback) FROM pg_catalog.pg_stat_database) AS \"Transactions\") t",
        "SELECT pid IS NOT NULL, array_to_string(pg_catalog.pg_blocking_pids(pid), ',') AS blocking_pids FROM pg_catalog.pg_stat_activity WHERE pid = pg_backend_pid()",
        "SELECT count(*) FROM pg_stat_replication",
        f"SELECT at.attname, at.attnum, ty.typname FROM pg_catalog.pg_attribute at LEFT JOIN pg_catalog.pg_type ty ON (ty.oid = at.atttypid) WHERE attrelid = {TABLE}::oid AND attnum = ANY ((SELECT con.conkey FROM pg_catalog.pg_class rel LEFT OUTER JOIN pg_catalog.pg_constraint con ON con.conrelid = rel.oid AND con.contype = 'p' WHERE rel.relkind IN ('r', 's', 't', 'p') AND rel.oid = {TABLE}::oid)::oid[])",
    ],
    "pgcli": [
        "SELECT current_setting('search_path')",
        "SELECT * FROM unnest(current_schemas(true))",
        "SELECT nspname FROM pg_catalog.pg_namespace ORDER BY 1",
        "SELECT n.nspname schema_name, c.relname table_name FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = ANY (ARRAY['r', 'p', 'f']) ORDER BY 1, 2",
        "SELECT nsp.nspname schema_name, cls.relname table_name, att.attname column_name, att.atttypid::regtype::text type_name, att.atthasdef AS has_default, pg_catalog.pg_get_expr(def.adbin, def.adrelid, true) AS default FROM pg_catalog.pg_attribute att INNER JOIN pg_catalog.pg_class cls ON att.attrelid = cls.oid INNER JOIN pg_catalog.pg_namespace nsp ON cls.relnamespace = nsp.oid LEFT OUTER JOIN pg_attrdef def ON def.adrelid = att.attrelid AND def.adnum = att.attnum "
        "WHERE cls.relkind = ANY (ARRAY['r', 'p', 'f']) AND NOT att.attisdropped AND att.attnum > 0 ORDER BY 1, 2, att.attnum",
        "SELECT s_p.nspname AS parentschema, t_p.relname AS parenttable, unnest((SELECT array_agg(attname ORDER BY i) FROM (SELECT unnest(confkey) AS attnum, generate_subscripts(confkey, 1) AS i) x JOIN pg_catalog.pg_attribute c USING (attnum) WHERE c.attrelid = fk.confrelid)) AS parentcolumn, s_c.nspname AS childschema, t_c.relname AS childtable, "
        "unnest((SELECT array_agg(attname ORDER BY i) FROM (SELECT unnest(conkey) AS attnum, generate_subscripts(conkey, 1) AS i) x JOIN pg_catalog.pg_attribute c USING (attnum) WHERE c.attrelid = fk.conrelid)) AS childcolumn FROM pg_catalog.pg_constraint fk JOIN pg_catalog.pg_class t_p ON t_p.oid = fk.confrelid JOIN pg_catalog.pg_namespace s_p ON s_p.oid = t_p.relnamespace JOIN pg_catalog.pg_class t_c ON t_c.oid = fk.conrelid JOIN pg_catalog.pg_namespace s_c ON s_c.oid = t_c.relnamespace WHERE fk.contype = 'f'",
        "SELECT n.nspname schema_name, p.proname func_name, p.proargnames, COALESCE(proallargtypes::regtype[], proargtypes::regtype[])::text[], p.proargmodes, prorettype::regtype::text return_type, p.prokind = 'a' is_aggregate, p.prokind = 'w' is_window, p.proretset is_set_returning, d.deptype = 'e' is_extension, pg_get_expr(proargdefaults, 0) AS arg_defaults "
        "FROM pg_catalog.pg_proc p INNER JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace LEFT JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e' WHERE p.prorettype::regtype != 'trigger'::regtype ORDER BY 1, 2, p.oid LIMIT 50",
        "SELECT n.nspname schema_name, t.typname type_name FROM pg_catalog.pg_type t INNER JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE (t.typrelid = 0 OR (SELECT c.relkind = 'c' FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid)) AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_type el WHERE el.oid = t.typelem AND el.typarray = t.oid) AND n.nspname <> 'information_schema' ORDER BY 1, 2",
        "SELECT d.datname FROM pg_catalog.pg_database d WHERE d.datname = 'shop'",
        "SELECT unnest(array['a', 'b'])",
    ],
}


def answer(connection, query):
    cursor = connection.execute(query)
    return [(tuple(map(str, row))) for row in cursor.fetchall()] if cursor.description else cursor.statusmessage


problems = []
asked = 0
for tool, queries in TOOLS.items():
    for query in queries:
        asked += 1
        # How often an index was scanned is not told.
        expected = answer(server, query.replace("pg_catalog.pg_stat_get_numscans(i.indexrelid)", "NULL::bigint"))
        try:
            got = answer(proxy, query)
        except psycopg.Error as error:
            problems.append(f"{tool}: {error.diag.sqlstate} {error} {error.diag.message_hint}\n    {query[:300]}")
            continue
        if got != expected:
            differing = [(a, b) for a, b in zip(expected, got) if a != b][:1]
            problems.append(f"{tool}: another answer ({len(expected)} and {len(got)} rows), such as {differing}\n    {query[:300]}")
if problems:
    print(f"{len(problems)} of {asked}", *problems, sep="\n")
    sys.exit(1)
print("ok")
