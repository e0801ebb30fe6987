//! Stage `upstream`: functions, operators and types that users and extensions made.

use super::{CatalogError, Reader, letter};
use crate::{
    catalog::data::{CatalogData, FunctionData, OperatorData, ShadowData, TypeData},
    names::Oid,
};

/// Functions that users put into `pg_catalog` itself are listed too: they may shadow a built-in of the same name.
const FUNCTIONS: &str = "
SELECT p.oid, n.nspname::text, p.proname::text, p.provolatile, x.extname::text, p.prokind, p.prosecdef, p.proretset,
       p.proargnames, coalesce(p.proargmodes::text[], '{}'),
       coalesce((SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
                  WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), '{}'),
       p.proargtypes::oid[], p.prorettype, p.prolang = 12 AND p.prosrc ~ '^(multi)?range_constructor[0-3]$',
       nullif(p.provariadic, 0), p.pronargdefaults
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_type t ON t.oid = p.prorettype
  LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
                       AND d.refclassid = 'pg_extension'::regclass
  LEFT JOIN pg_extension x ON x.oid = d.refobjid
 WHERE n.nspname !~ '^pg_temp_' AND (n.nspname NOT IN ('pg_catalog', 'information_schema') OR p.oid >= 16384)
 ORDER BY p.oid";

const OPERATORS: &str = "
SELECT n.nspname::text, o.oprname::text, x.extname::text, coalesce(p.provolatile, 'v'),
       nullif(o.oprleft, 0), o.oprright, nullif(o.oprresult, 0),
       (SELECT array_agg(other.oprcode::oid) FROM pg_operator other
         WHERE other.oid IN (o.oid, o.oprcom, o.oprnegate) AND other.oprcode <> 0)
  FROM pg_operator o
  JOIN pg_namespace n ON n.oid = o.oprnamespace
  LEFT JOIN pg_proc p ON p.oid = o.oprcode
  LEFT JOIN pg_depend d ON d.classid = 'pg_operator'::regclass AND d.objid = o.oid AND d.deptype = 'e'
                       AND d.refclassid = 'pg_extension'::regclass
  LEFT JOIN pg_extension x ON x.oid = d.refobjid
 WHERE n.nspname !~ '^pg_temp_' AND (n.nspname <> 'pg_catalog' OR o.oid >= 16384)
 ORDER BY o.oid";

/// A cast runs user code when its function is a user's, when the type is a domain with such a function in a CHECK, or
/// a range with such a function, and when it is made of such types. Built-in types are listed when that is so. What puts ranges
/// together is no user's function, though CREATE TYPE makes it.
const TYPES: &str = "
WITH RECURSIVE user_function AS (
    SELECT p.oid FROM pg_proc p
     WHERE p.oid >= 16384 AND NOT (p.prolang = 12 AND p.prosrc ~ '^(multi)?range_constructor[0-3]$')
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                          AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass)
), user_cast AS (
    SELECT unnest(ARRAY[castsource, casttarget]) AS type, castfunc::oid AS function
      FROM pg_cast WHERE castfunc IN (SELECT oid FROM user_function)
    UNION
    SELECT c.contypid, CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END
      FROM pg_constraint c
      JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = c.oid
      LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
     WHERE c.contypid <> 0
       AND CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END
           IN (SELECT oid FROM user_function)
    UNION
    SELECT r.rngtypid, f.function FROM pg_range r CROSS JOIN unnest(ARRAY[r.rngcanonical::oid, r.rngsubdiff::oid]) AS f (function)
     WHERE f.function IN (SELECT oid FROM user_function)
    UNION
    SELECT r.rngtypid, m.amproc::oid FROM pg_range r JOIN pg_opclass o ON o.oid = r.rngsubopc JOIN pg_amproc m ON m.amprocfamily = o.opcfamily
     WHERE m.amproc IN (SELECT oid FROM user_function)
    UNION
    SELECT t.oid, f.function FROM pg_type t CROSS JOIN unnest(ARRAY[t.typinput::oid, t.typoutput::oid]) AS f (function)
     WHERE f.function IN (SELECT oid FROM user_function)
), part AS (
    SELECT c.reltype AS whole, a.atttypid AS part
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
     WHERE c.reltype <> 0 AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT typarray, oid FROM pg_type WHERE typarray <> 0
    UNION ALL SELECT oid, typbasetype FROM pg_type WHERE typbasetype <> 0
    UNION ALL SELECT rngtypid, rngsubtype FROM pg_range
    UNION ALL SELECT rngmultitypid, rngtypid FROM pg_range
    -- A CHECK that casts to another domain, or to a row, depends on that alone.
    UNION ALL SELECT c.contypid, d.refobjid FROM pg_constraint c
      JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_type'::regclass
     WHERE c.contypid <> 0 AND d.refobjid <> c.contypid
), tainted AS (
    SELECT type, function FROM user_cast
    UNION
    SELECT p.whole, t.function FROM tainted t JOIN part p ON p.part = t.type WHERE t.type >= 16384
), leaving AS (
    SELECT castsource AS type, castfunc::oid AS function FROM pg_cast
     WHERE castfunc IN (SELECT oid FROM user_function) AND castsource >= 16384
    UNION
    SELECT p.whole, l.function FROM leaving l JOIN part p ON p.part = l.type
), compared AS (
    -- A range is compared by the operator class that it was made with.
    SELECT k.type, f.function
      FROM pg_opclass o
      JOIN pg_am m ON m.oid = o.opcmethod AND m.amname IN ('btree', 'hash')
     CROSS JOIN LATERAL (
           SELECT o.opcintype AS type WHERE o.opcdefault UNION SELECT r.rngtypid FROM pg_range r WHERE r.rngsubopc = o.oid) k
     CROSS JOIN LATERAL (
           -- in_range, too, which takes another type on its right
           SELECT p.amproc::oid AS function FROM pg_amproc p
            WHERE p.amprocfamily = o.opcfamily AND p.amproclefttype = o.opcintype
              AND (p.amprocrighttype = o.opcintype OR p.amprocnum = 3)
           UNION SELECT op.oprcode::oid FROM pg_amop a JOIN pg_operator op ON op.oid = a.amopopr
                  WHERE a.amopfamily = o.opcfamily AND a.amoplefttype = o.opcintype AND a.amoprighttype = o.opcintype) f
     WHERE f.function IN (SELECT oid FROM user_function)
    UNION
    SELECT p.whole, c.function FROM compared c JOIN part p ON p.part = c.type
)
SELECT t.oid, n.nspname::text, t.typname::text, t.typtype, x.extname::text,
       EXISTS (SELECT FROM tainted u WHERE u.type = t.oid),
       coalesce((SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum e
                  WHERE e.enumtypid = t.oid), '{}'),
       EXISTS (SELECT FROM pg_cast k WHERE k.castsource = t.oid AND (k.castcontext = 'i' OR k.castcontext = 'a' AND t.oid >= 16384)
                  AND k.castfunc IN (SELECT oid FROM user_function)),
       coalesce(t.typdefaultbin::text !~ '^[{]CONST ', false), nullif(t.typarray, 0), nullif(t.typbasetype, 0),
       coalesce((SELECT array_agg(DISTINCT c.function) FROM compared c WHERE c.type = t.oid), '{}'),
       coalesce((SELECT array_agg(k.castfunc::oid) FROM pg_cast k WHERE k.casttarget = t.oid AND t.oid < 16384 AND k.castsource < 16384
                    AND k.castfunc IN (SELECT oid FROM user_function)), '{}'),
       coalesce((SELECT array_agg(DISTINCT u.function) FROM tainted u WHERE u.type = t.oid), '{}'),
       coalesce((SELECT array_agg(DISTINCT l.function) FROM leaving l WHERE l.type = t.oid), '{}'),
       coalesce((SELECT array_agg(DISTINCT k.castfunc::oid) FROM pg_cast k WHERE k.casttarget = t.oid AND k.castcontext <> 'e'
                    AND k.castfunc IN (SELECT oid FROM user_function)), '{}'),
       coalesce((SELECT array_agg(DISTINCT k.castfunc::oid) FROM pg_cast k WHERE k.castsource = t.oid
                    AND (k.castcontext = 'i' OR k.castcontext = 'a' AND t.oid >= 16384)
                    AND k.castfunc IN (SELECT oid FROM user_function)), '{}')
  FROM pg_type t
  JOIN pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_class c ON c.oid = t.typrelid
  LEFT JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
                       AND d.refclassid = 'pg_extension'::regclass
  LEFT JOIN pg_extension x ON x.oid = d.refobjid
 WHERE n.nspname !~ '^pg_(toast_)?temp_'
   AND (n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND (t.typtype <> 'c' OR c.relkind = 'c')
        AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
        OR EXISTS (SELECT FROM tainted u WHERE u.type = t.oid) OR EXISTS (SELECT FROM compared c WHERE c.type = t.oid))
 ORDER BY t.oid";

/// What is looked up along the search path beside relations, functions and operators, which are printed or judged otherwise.
const SHADOWS: &str = "\
SELECT n.nspname::text, s.name::text, s.row
  FROM (SELECT t.typnamespace AS schema, t.typname AS name, coalesce(c.relkind <> 'c', false) AS row
          FROM pg_type t
          LEFT JOIN pg_type e ON e.typarray = t.oid
          LEFT JOIN pg_class c ON c.oid = coalesce(e.typrelid, t.typrelid)
          WHERE EXISTS (SELECT FROM pg_type b WHERE b.typnamespace = 'pg_catalog'::regnamespace AND b.typname = t.typname)
        UNION SELECT o.collnamespace, o.collname, false FROM pg_collation o
          WHERE EXISTS (SELECT FROM pg_collation b WHERE b.collnamespace = 'pg_catalog'::regnamespace AND b.collname = o.collname)
        UNION SELECT o.cfgnamespace, o.cfgname, false FROM pg_ts_config o
          WHERE EXISTS (SELECT FROM pg_ts_config b WHERE b.cfgnamespace = 'pg_catalog'::regnamespace AND b.cfgname = o.cfgname)
        UNION SELECT o.dictnamespace, o.dictname, false FROM pg_ts_dict o
          WHERE EXISTS (SELECT FROM pg_ts_dict b WHERE b.dictnamespace = 'pg_catalog'::regnamespace AND b.dictname = o.dictname)) s
  JOIN pg_namespace n ON n.oid = s.schema
 WHERE n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_(toast_)?temp_'
 ORDER BY 1, 2, 3";

const COLLATIONS: &str = "\
SELECT n.nspname::text, o.collname::text FROM pg_collation o JOIN pg_namespace n ON n.oid = o.collnamespace
 WHERE n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_(toast_)?temp_' ORDER BY 1, 2";

/// Implicit casts that neither the server nor an extension brings, and that do more than to take the bytes as they are.
const CASTS: &str = "\
SELECT EXISTS (SELECT FROM pg_cast k WHERE k.oid >= 16384 AND k.castcontext = 'i' AND k.castmethod <> 'b' AND NOT EXISTS (
           SELECT FROM pg_depend d WHERE d.classid = 'pg_cast'::regclass AND d.objid = k.oid AND d.deptype = 'e'))";

pub(super) async fn read(reader: &Reader<'_>, data: &mut CatalogData) -> Result<(), CatalogError> {
    data.functions = reader
        .rows("functions", FUNCTIONS, |row| {
            let names: Option<Vec<String>> = row.try_get(8)?;
            let modes: Vec<String> = row.try_get(9)?;
            let columns: Vec<String> = row.try_get(10)?;
            Ok(FunctionData {
                oid: Oid(row.try_get(0)?),
                schema: row.try_get(1)?,
                name: row.try_get(2)?,
                volatility: letter(row, 3)?,
                extension: row.try_get(4)?,
                kind: letter(row, 5)?,
                security_definer: row.try_get(6)?,
                returns_set: row.try_get(7)?,
                out_names: out_names(&names.unwrap_or_default(), &modes, columns),
                argument_types: row.try_get::<_, Vec<u32>>(11)?.into_iter().map(Oid).collect(),
                result_type: Some(Oid(row.try_get(12)?)),
                constructs: row.try_get(13)?,
                variadic: row.try_get::<_, Option<u32>>(14)?.map(Oid),
                defaults: row.try_get::<_, i16>(15)?.unsigned_abs(),
            })
        })
        .await?;
    data.operators = reader
        .rows("operators", OPERATORS, |row| {
            Ok(OperatorData {
                schema: row.try_get(0)?,
                name: row.try_get(1)?,
                extension: row.try_get(2)?,
                volatility: letter(row, 3)?,
                left: row.try_get::<_, Option<u32>>(4)?.map(Oid),
                right: Oid(row.try_get(5)?),
                result: row.try_get::<_, Option<u32>>(6)?.map(Oid),
                functions: row.try_get::<_, Option<Vec<u32>>>(7)?.unwrap_or_default().into_iter().map(Oid).collect(),
            })
        })
        .await?;
    data.casts_implicitly = reader.rows("casts", CASTS, |row| row.try_get(0)).await?.contains(&true);
    data.shadows = reader
        .rows("names of pg_catalog", SHADOWS, |row| {
            Ok(ShadowData { schema: row.try_get(0)?, name: row.try_get(1)?, row: row.try_get(2)? })
        })
        .await?;
    data.collations = reader.rows("collations", COLLATIONS, |row| Ok((row.try_get(0)?, row.try_get(1)?))).await?;
    data.types = reader
        .rows("types", TYPES, |row| {
            Ok(TypeData {
                oid: Oid(row.try_get(0)?),
                schema: row.try_get(1)?,
                name: row.try_get(2)?,
                kind: letter(row, 3)?,
                extension: row.try_get(4)?,
                has_user_cast: row.try_get(5)?,
                enum_labels: row.try_get(6)?,
                casts_implicitly: row.try_get(7)?,
                has_computed_default: row.try_get(8)?,
                array_oid: row.try_get::<_, Option<u32>>(9)?.map(Oid),
                base_oid: row.try_get::<_, Option<u32>>(10)?.map(Oid),
                compared_by: row.try_get::<_, Vec<u32>>(11)?.into_iter().map(Oid).collect(),
                cast_by: row.try_get::<_, Vec<u32>>(12)?.into_iter().map(Oid).collect(),
                run_by: row.try_get::<_, Vec<u32>>(13)?.into_iter().map(Oid).collect(),
                leaves_by: row.try_get::<_, Vec<u32>>(14)?.into_iter().map(Oid).collect(),
                assigned_by: row.try_get::<_, Vec<u32>>(15)?.into_iter().map(Oid).collect(),
                implicitly_by: row.try_get::<_, Vec<u32>>(16)?.into_iter().map(Oid).collect(),
            })
        })
        .await?;
    Ok(())
}

/// The names of the result columns: of OUT, INOUT and TABLE arguments, else of the composite type returned. PostgreSQL
/// names an argument without a name `columnN` (`build_function_result_tupdesc_d`).
fn out_names(names: &[String], modes: &[String], composite: Vec<String>) -> Vec<String> {
    let out: Vec<String> = modes
        .iter()
        .enumerate()
        .filter(|(_, mode)| matches!(mode.as_str(), "o" | "b" | "t"))
        .enumerate()
        .map(|(position, (argument, _))| match names.get(argument) {
            Some(name) if !name.is_empty() => name.clone(),
            Some(_) | None => format!("column{}", position + 1),
        })
        .collect();
    if out.is_empty() { composite } else { out }
}

#[cfg(test)]
mod tests {
    use super::out_names;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn out_arguments_keep_their_order_and_get_names() {
        let modes = strings(&["i", "o", "b", "o"]);
        let names = strings(&["a", "x", "y", ""]);
        assert_eq!(out_names(&names, &modes, Vec::new()), ["x", "y", "column3"]);
        assert_eq!(out_names(&[], &strings(&["o", "i", "t"]), Vec::new()), ["column1", "column2"]);
    }

    #[test]
    fn a_composite_result_gives_its_columns() {
        assert_eq!(out_names(&[], &[], strings(&["id", "phone"])), ["id", "phone"]);
        assert!(out_names(&strings(&["a"]), &[], Vec::new()).is_empty());
    }
}
