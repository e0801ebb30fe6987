//! Stage `upstream`: what depends on columns beside views, for `check` and catalog files. One query each.

use super::{CatalogError, Reader};
use crate::{
    catalog::dependents::{Dependents, FunctionUsesData, IndexData, PartitionKeyData},
    names::{AttNum, Oid},
};

/// `indkey` counts from 0, and holds 0 for an expression; included columns stand behind the key columns. What expressions
/// and predicates use is what `pg_depend` says beside the key columns.
const INDEXES: &str = "
SELECT i.indrelid, c.relname::text, i.indisunique, i.indisprimary, m.amname = 'btree',
       ARRAY(SELECT k.number FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
              WHERE k.place <= i.indnkeyatts AND k.number > 0 ORDER BY k.place),
       ARRAY(SELECT DISTINCT d.refobjsubid::int2 FROM pg_depend d
              WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid > 0
                AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
                AND d.refobjsubid <> ALL (i.indkey::int2[]) ORDER BY 1),
       NOT i.indimmediate
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_am m ON m.oid = c.relam
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname !~ '^pg_(toast_)?temp_'
 ORDER BY i.indexrelid";

/// A column that a partition key uses cannot be dropped alone: it depends internally on its own table.
const PARTITION_KEYS: &str = "
SELECT p.partrelid,
       ARRAY(SELECT k FROM unnest(p.partattrs::int2[]) k WHERE k > 0
             UNION
             SELECT d.objsubid::int2 FROM pg_depend d
              WHERE d.classid = 'pg_class'::regclass AND d.objid = p.partrelid AND d.objsubid > 0
                AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p.partrelid AND d.refobjsubid = 0
                AND d.deptype = 'i'
             ORDER BY 1)
  FROM pg_partitioned_table p ORDER BY 1";

const FUNCTION_USES: &str = "
SELECT DISTINCT p.oid, n.nspname::text, p.proname::text, r.oid,
       CASE WHEN d.refclassid = 'pg_class'::regclass THEN d.refobjsubid ELSE 0 END::int2
  FROM pg_depend d
  JOIN pg_proc p ON p.oid = d.objid
  JOIN pg_namespace n ON n.oid = p.pronamespace
  LEFT JOIN pg_type t ON d.refclassid = 'pg_type'::regclass AND t.oid = d.refobjid
  LEFT JOIN pg_type e ON e.typarray = t.oid
  JOIN pg_class r ON r.oid = CASE WHEN d.refclassid = 'pg_class'::regclass THEN d.refobjid
                                  ELSE coalesce(nullif(t.typrelid, 0), e.typrelid) END
 WHERE d.classid = 'pg_proc'::regclass AND d.refclassid IN ('pg_class'::regclass, 'pg_type'::regclass)
   AND r.relkind IN ('r', 'p', 'v', 'm', 'f') AND r.oid >= 16384
 ORDER BY 1, 4, 5";

/// By what stands in the body: EXECUTE, functions that take a query, a relation or a cursor, the calls by which other languages run
/// SQL. A body in a language that is not known here, and one in C that is not immutable, may do anything. Numbers, dates and the like
/// cannot carry SQL.
const RUNS_SQL: &str = r"
SELECT p.oid
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_language l ON l.oid = p.prolang
 CROSS JOIN LATERAL (SELECT coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)) AS b (body)
 WHERE p.oid >= 16384 AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast_)?temp_'
   AND CASE l.lanname
           WHEN 'sql' THEN b.body ~* '(query|table|cursor|schema|database)_to_xml|ts_stat|ts_rewrite|dblink|xpath_table|crosstab|connectby'
           WHEN 'plpgsql' THEN b.body ~* '\mexecute\M|(query|table|cursor|schema|database)_to_xml|ts_stat|ts_rewrite|dblink|xpath_table|crosstab|connectby|refcursor'
           WHEN 'plpython3u' THEN b.body ~ '\mplpy\M'
           WHEN 'plperl' THEN b.body ~ '\mspi_'
           WHEN 'plperlu' THEN b.body ~ '\mspi_'
           WHEN 'pltcl' THEN b.body ~ '\mspi_'
           WHEN 'pltclu' THEN b.body ~ '\mspi_'
           WHEN 'internal' THEN p.provolatile <> 'i'
           WHEN 'c' THEN p.provolatile <> 'i'
           ELSE true
       END
   AND (b.body ~* 'current_setting'
        OR EXISTS (SELECT FROM unnest(p.proargtypes::oid[]) a (type) JOIN pg_type t ON t.oid = a.type
                    WHERE t.typname ~ '^reg' OR t.typcategory NOT IN ('N', 'B', 'D', 'T', 'E', 'G', 'I', 'V', 'R')))
 ORDER BY 1";

pub(super) async fn read(reader: &Reader<'_>) -> Result<Dependents, CatalogError> {
    let numbers = |list: Vec<i16>| list.into_iter().map(AttNum).collect::<Vec<_>>();
    Ok(Dependents {
        indexes: reader
            .rows("indexes", INDEXES, |row| {
                Ok(IndexData {
                    relation: Oid(row.try_get(0)?),
                    name: row.try_get(1)?,
                    unique: row.try_get(2)?,
                    primary: row.try_get(3)?,
                    ordered: row.try_get(4)?,
                    keys: numbers(row.try_get(5)?),
                    uses: numbers(row.try_get(6)?),
                    deferrable: row.try_get(7)?,
                })
            })
            .await?,
        partition_keys: reader
            .rows("partition keys", PARTITION_KEYS, |row| {
                Ok(PartitionKeyData { relation: Oid(row.try_get(0)?), columns: numbers(row.try_get(1)?) })
            })
            .await?,
        function_uses: reader
            .rows("functions that use tables", FUNCTION_USES, |row| {
                let column: i16 = row.try_get(4)?;
                Ok(FunctionUsesData {
                    function: Oid(row.try_get(0)?),
                    schema: row.try_get(1)?,
                    name: row.try_get(2)?,
                    relation: Oid(row.try_get(3)?),
                    column: (column > 0).then_some(AttNum(column)),
                })
            })
            .await?,
        runs_sql: reader.rows("functions that run SQL", RUNS_SQL, |row| Ok(Oid(row.try_get(0)?))).await?,
    })
}
