//! Stage `upstream`: schemas, relations, columns, keys, view definitions and what views use, inheritance. One query
//! each; columns come as one row of arrays a relation, and the spelling of types once per type and modifier.

use std::collections::HashMap;

use super::{CatalogError, Moment, Reader, definitions, letter};
use crate::{
    catalog::{
        data::{CatalogData, ColumnData, InheritsData, RelationData, RelationKind, SchemaData, UsesColumn},
        keys::ForeignKeyData,
    },
    names::{AttNum, Oid},
};

/// Temporary schemas belong to one session each; no other session can reach them by name.
const SCHEMAS: &str = "
SELECT oid, nspname::text FROM pg_namespace
 WHERE nspname !~ '^pg_(toast_)?temp_' ORDER BY oid";

const RELATIONS: &str = "
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind, d.description,
       EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type <> '1'), c.relrowsecurity
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 't', 'c') AND n.nspname !~ '^pg_(toast_)?temp_'
 ORDER BY c.oid";

const COLUMNS: &str = "
SELECT a.attrelid, array_agg(a.attnum ORDER BY a.attnum), array_agg(a.attname::text ORDER BY a.attnum),
       array_agg(a.atttypid ORDER BY a.attnum), array_agg(a.atttypmod ORDER BY a.attnum),
       array_agg(a.attnotnull ORDER BY a.attnum), array_agg(a.attgenerated <> '' ORDER BY a.attnum),
       array_agg(CASE WHEN a.attcollation <> t.typcollation
                      THEN quote_ident(cn.nspname) || '.' || quote_ident(co.collname) END ORDER BY a.attnum),
       array_agg(d.description ORDER BY a.attnum)
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 't', 'c')
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_collation co ON co.oid = a.attcollation
  LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
  LEFT JOIN pg_description d
         ON d.objoid = a.attrelid AND d.classoid = 'pg_class'::regclass AND d.objsubid = a.attnum
 WHERE a.attnum > 0 AND NOT a.attisdropped
 GROUP BY a.attrelid";

/// `format_type` prints the types that the grammar knows by keyword, and those cannot be redirected by a search path:
/// `integer`, `character varying(20)`. All other types of `pg_catalog` it prints bare, because that schema is always
/// searched; they get the schema here. `bit` and `bpchar` without a modifier are printed as `"bit"` and `bpchar`,
/// because the keywords would mean a length of one. What domains, and arrays of them, are made of is spelled beside them, and `interval` with
/// its fields.
const TYPES: &str = "
WITH RECURSIVE used AS (
    SELECT DISTINCT atttypid, atttypmod FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped
), steps (domain, type, typmod) AS (
    SELECT oid, typbasetype, typtypmod FROM pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT s.domain, t.typbasetype, CASE WHEN s.typmod = -1 THEN t.typtypmod ELSE s.typmod END
      FROM steps s JOIN pg_type t ON t.oid = s.type AND t.typtype = 'd'
), bare AS (
    SELECT s.domain, s.type, s.typmod FROM steps s JOIN pg_type t ON t.oid = s.type AND t.typtype <> 'd'
), whole AS (
    SELECT u.atttypid, u.atttypmod, coalesce(b.type, u.atttypid) AS type,
           CASE WHEN b.domain IS NULL THEN u.atttypmod ELSE b.typmod END AS typmod
      FROM used u LEFT JOIN bare b ON b.domain = u.atttypid
), assigned AS (
    SELECT w.atttypid, w.atttypmod, w.type AS through, coalesce(a.typarray, w.type) AS type,
           CASE WHEN b.domain IS NULL THEN w.typmod ELSE b.typmod END AS typmod
      FROM whole w
      LEFT JOIN pg_type e ON e.typarray = w.type
      LEFT JOIN bare b ON b.domain = e.oid
      LEFT JOIN pg_type a ON a.oid = b.type
), spelled AS (
    SELECT s.atttypid, s.atttypmod,
           CASE WHEN coalesce(e.typnamespace, t.typnamespace) = 'pg_catalog'::regnamespace
                 AND coalesce(e.oid, t.oid) NOT IN (16, 20, 21, 23, 700, 701, 1043, 1083, 1114, 1184, 1186, 1266, 1562, 1700)
                THEN 'pg_catalog.' ELSE '' END
           || format_type(s.type, CASE WHEN coalesce(e.oid, t.oid) = 1186 THEN s.typmod ELSE -1 END) AS sql
      FROM assigned s
      JOIN pg_type t ON t.oid = s.type
      LEFT JOIN pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
     WHERE s.type <> s.atttypid OR (coalesce(e.oid, t.oid) = 1186 AND s.typmod <> -1)
), based AS (
    SELECT u.atttypid, u.atttypmod, t.typname, t.typtype, t.typcategory, coalesce(e.oid, t.oid) AS base,
           coalesce(e.typnamespace, t.typnamespace) = 'pg_catalog'::regnamespace AS builtin
      FROM used u
      JOIN pg_type t ON t.oid = u.atttypid
      LEFT JOIN pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
)
SELECT atttypid, atttypmod, typname::text, typtype, typcategory,
       CASE WHEN builtin AND NOT (base IN (16, 20, 21, 23, 700, 701, 1043, 1083, 1114, 1184, 1186, 1266, 1562, 1700)
                                  OR base IN (1042, 1560) AND atttypmod <> -1)
            THEN 'pg_catalog.' ELSE '' END || format_type(atttypid, atttypmod),
       CASE WHEN builtin AND base NOT IN (16, 20, 21, 23, 700, 701, 1043, 1083, 1114, 1184, 1186, 1266, 1562, 1700)
            THEN 'pg_catalog.' ELSE '' END || format_type(atttypid, -1),
       (SELECT s.sql FROM spelled s WHERE s.atttypid = based.atttypid AND s.atttypmod = based.atttypmod)
  FROM based";

/// Before PostgreSQL 15 the column itself depends on what the expression uses, later its `pg_attrdef` row does. The
/// second also depends on its own column, which is no use.
const GENERATED: &str = "
SELECT ad.adrelid, ad.adnum,
       coalesce(array_agg(DISTINCT d.refobjsubid::int2)
                FILTER (WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = ad.adrelid
                          AND d.refobjsubid > 0 AND d.refobjsubid <> ad.adnum), '{}'),
       coalesce(array_agg(DISTINCT p.oid) FILTER (WHERE p.oid IS NOT NULL), '{}')
  FROM pg_attrdef ad
  JOIN pg_attribute a ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum AND a.attgenerated <> ''
  LEFT JOIN pg_depend d
    ON (d.classid = 'pg_attrdef'::regclass AND d.objid = ad.oid)
    OR (d.classid = 'pg_class'::regclass AND d.objid = ad.adrelid AND d.objsubid = ad.adnum)
  LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
  LEFT JOIN pg_proc p
    ON p.oid = CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END
   AND (p.pronamespace <> 'pg_catalog'::regnamespace OR p.oid >= 16384)
 GROUP BY ad.adrelid, ad.adnum";

/// Only a key that is not deferrable lets GROUP BY leave out the other columns (`check_functional_grouping`).
const PRIMARY_KEYS: &str = "
SELECT conrelid, conkey FROM pg_constraint WHERE contype = 'p' AND conrelid <> 0 AND NOT condeferrable";

const VIEW_USES_COLUMNS: &str = "
SELECT DISTINCT r.ev_class, d.refobjid, d.refobjsubid::int2
  FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
 WHERE r.ev_type = '1' AND d.deptype = 'n' AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
 ORDER BY 1, 2, 3";

const VIEW_USES_FUNCTIONS: &str = "
SELECT DISTINCT r.ev_class, p.oid
  FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
  LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
  JOIN pg_proc p ON p.oid = CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END
 WHERE r.ev_type = '1' AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)
   AND (p.pronamespace <> 'pg_catalog'::regnamespace OR p.oid >= 16384)
 ORDER BY 1, 2";

/// Those of temporary tables are of no concern to other sessions.
const FOREIGN_KEYS: &str = "
SELECT k.conname::text, k.conrelid, k.conkey, k.confrelid, k.confkey, k.confdeltype, k.condeferrable, k.confmatchtype, k.convalidated
  FROM pg_constraint k
  JOIN pg_class c ON c.oid = k.conrelid AND c.relpersistence <> 't'
 WHERE k.contype = 'f' AND k.conparentid = 0 ORDER BY k.oid";

const INHERITS: &str = "SELECT inhrelid, inhparent FROM pg_inherits ORDER BY 1, 2";

/// How a type is written and what it is.
struct Spelling {
    name: String,
    kind: char,
    category: char,
    sql: String,
    sql_plain: String,
    assigned: Option<String>,
}

pub(super) async fn read(reader: &Reader<'_>, now: &Moment, data: &mut CatalogData) -> Result<(), CatalogError> {
    data.schemas = reader
        .rows("schemas", SCHEMAS, |row| Ok(SchemaData { oid: Oid(row.try_get(0)?), name: row.try_get(1)? }))
        .await?;
    let mut columns = read_columns(reader).await?;
    let mut keys: HashMap<Oid, Vec<AttNum>> = reader
        .rows("primary keys", PRIMARY_KEYS, |row| {
            Ok((Oid(row.try_get(0)?), row.try_get::<_, Vec<i16>>(1)?.into_iter().map(AttNum).collect()))
        })
        .await?
        .into_iter()
        .collect();
    let mut uses_columns: HashMap<Oid, Vec<UsesColumn>> = HashMap::new();
    for (view, used) in reader
        .rows("columns used by views", VIEW_USES_COLUMNS, |row| {
            let number: i16 = row.try_get(2)?;
            let column = (number != 0).then_some(AttNum(number));
            Ok((Oid(row.try_get(0)?), UsesColumn { relation: Oid(row.try_get(1)?), column }))
        })
        .await?
    {
        uses_columns.entry(view).or_default().push(used);
    }
    let mut definitions = definitions::read(reader, now, &uses_columns).await?;
    let mut uses_functions: HashMap<Oid, Vec<Oid>> = HashMap::new();
    for (view, function) in reader
        .rows("functions used by views", VIEW_USES_FUNCTIONS, |row| Ok((Oid(row.try_get(0)?), Oid(row.try_get(1)?))))
        .await?
    {
        uses_functions.entry(view).or_default().push(function);
    }
    let numbers = |list: Vec<i16>| list.into_iter().map(AttNum).collect::<Vec<_>>();
    data.foreign_keys = reader
        .rows("foreign keys", FOREIGN_KEYS, |row| {
            Ok(ForeignKeyData {
                name: row.try_get(0)?,
                relation: Oid(row.try_get(1)?),
                columns: numbers(row.try_get(2)?),
                target: Oid(row.try_get(3)?),
                target_columns: numbers(row.try_get(4)?),
                on_delete: Some(letter(row, 5)?),
                deferrable: row.try_get(6)?,
                matches: Some(letter(row, 7)?),
                validated: row.try_get(8)?,
            })
        })
        .await?;
    for generated in read_generated(reader).await? {
        if let Some(column) = columns
            .get_mut(&generated.relation)
            .and_then(|columns| columns.iter_mut().find(|column| column.attnum == generated.column))
        {
            column.generated_from = Some(generated.from);
        }
        let functions = uses_functions.entry(generated.relation).or_default();
        functions.extend(generated.functions);
        functions.sort_unstable();
        functions.dedup();
    }

    let relations = reader
        .rows("relations", RELATIONS, |row| {
            let oid = Oid(row.try_get(0)?);
            let names: (String, String) = (row.try_get(1)?, row.try_get(2)?);
            Ok((oid, names, letter(row, 3)?, row.try_get(4)?, (row.try_get(5)?, row.try_get(6)?)))
        })
        .await?;
    for (oid, (schema, name), kind, comment, (has_rules, has_policies)) in relations {
        let Some(kind) = relation_kind(kind) else { continue };
        data.relations.push(RelationData {
            oid,
            schema,
            name,
            kind,
            columns: columns.remove(&oid).unwrap_or_default(),
            primary_key: keys.remove(&oid).unwrap_or_default(),
            definition: definitions.remove(&oid).flatten(),
            uses_columns: uses_columns.remove(&oid).unwrap_or_default(),
            uses_functions: uses_functions.remove(&oid).unwrap_or_default(),
            comment,
            has_rules,
            has_policies,
        });
    }
    data.inherits = reader
        .rows("inheritance", INHERITS, |row| {
            Ok(InheritsData { child: Oid(row.try_get(0)?), parent: Oid(row.try_get(1)?) })
        })
        .await?;
    Ok(())
}

async fn read_columns(reader: &Reader<'_>) -> Result<HashMap<Oid, Vec<ColumnData>>, CatalogError> {
    let types: HashMap<(u32, i32), Spelling> = reader
        .rows("column types", TYPES, |row| {
            let spelling = Spelling {
                name: row.try_get(2)?,
                kind: letter(row, 3)?,
                category: letter(row, 4)?,
                sql: row.try_get(5)?,
                sql_plain: row.try_get(6)?,
                assigned: row.try_get(7)?,
            };
            Ok(((row.try_get(0)?, row.try_get(1)?), spelling))
        })
        .await?
        .into_iter()
        .collect();
    let rows = reader
        .rows("columns", COLUMNS, |row| {
            let numbers: Vec<i16> = row.try_get(1)?;
            let names: Vec<String> = row.try_get(2)?;
            let type_oids: Vec<u32> = row.try_get(3)?;
            let typmods: Vec<i32> = row.try_get(4)?;
            let not_null: Vec<bool> = row.try_get(5)?;
            let generated: Vec<bool> = row.try_get(6)?;
            let collations: Vec<Option<String>> = row.try_get(7)?;
            let comments: Vec<Option<String>> = row.try_get(8)?;
            // All arrays come from the same rows in the same order, so zipping loses nothing.
            let columns = numbers
                .into_iter()
                .zip(names)
                .zip(type_oids.into_iter().zip(typmods))
                .zip(not_null.into_iter().zip(generated))
                .zip(collations.into_iter().zip(comments))
                .map(|((((attnum, name), of_type), flags), texts)| (attnum, name, of_type, flags, texts))
                .collect::<Vec<_>>();
            Ok((Oid(row.try_get(0)?), columns))
        })
        .await?;
    let mut all = HashMap::with_capacity(rows.len());
    for (relation, columns) in rows {
        let mut list = Vec::with_capacity(columns.len());
        for (attnum, name, (type_oid, typmod), (not_null, generated), (collation, comment)) in columns {
            // `???` is format_type's answer for a type that is gone.
            let spelling = types.get(&(type_oid, typmod)).filter(|spelling| !spelling.sql.contains("???"));
            let Some(spelling) = spelling else {
                return Err(CatalogError::Query {
                    part: "column types",
                    database: reader.database.to_owned(),
                    reason: "a type was dropped while the catalog was read".to_owned(),
                    locked: true,
                });
            };
            list.push(ColumnData {
                attnum: AttNum(attnum),
                name,
                type_oid: Oid(type_oid),
                typmod,
                type_sql: spelling.sql.clone(),
                type_sql_plain: spelling.sql_plain.clone(),
                assigned_as: spelling.assigned.clone(),
                type_name: spelling.name.clone(),
                type_kind: spelling.kind,
                type_category: spelling.category,
                not_null,
                generated_from: generated.then(Vec::new),
                collation,
                comment,
            });
        }
        all.insert(relation, list);
    }
    Ok(all)
}

/// What the expression of one generated column uses.
struct Generated {
    relation: Oid,
    column: AttNum,
    from: Vec<AttNum>,
    functions: Vec<Oid>,
}

async fn read_generated(reader: &Reader<'_>) -> Result<Vec<Generated>, CatalogError> {
    reader
        .rows("generated columns", GENERATED, |row| {
            Ok(Generated {
                relation: Oid(row.try_get(0)?),
                column: AttNum(row.try_get(1)?),
                from: row.try_get::<_, Vec<i16>>(2)?.into_iter().map(AttNum).collect(),
                functions: row.try_get::<_, Vec<u32>>(3)?.into_iter().map(Oid).collect(),
            })
        })
        .await
}

fn relation_kind(letter: char) -> Option<RelationKind> {
    Some(match letter {
        'r' => RelationKind::Table,
        'p' => RelationKind::PartitionedTable,
        'v' => RelationKind::View,
        'm' => RelationKind::MaterializedView,
        'f' => RelationKind::ForeignTable,
        'S' => RelationKind::Sequence,
        't' => RelationKind::Toast,
        'c' => RelationKind::Composite,
        _ => return None,
    })
}
