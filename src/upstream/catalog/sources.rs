//! Stage `upstream`: what functions of users and extensions are made of, and whether anything uses them.

use super::{CatalogError, Reader};
use crate::{
    catalog::data::{CatalogData, SourceData},
    names::Oid,
};

/// The same functions as are listed. What uses one is watched ([`super::watch`]).
const SOURCES: &str = "
SELECT p.oid, l.lanname::text,
       CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE coalesce(pg_get_function_sqlbody(p.oid), '') END,
       coalesce((SELECT string_agg(encode(g.tgargs, 'escape'), ' ') FROM pg_trigger g
                  WHERE g.tgfoid = p.oid AND g.tgnargs > 0), ''),
       coalesce((SELECT array_agg(DISTINCT d.refobjid) FROM pg_depend d
                  WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                    AND d.refclassid = 'pg_proc'::regclass AND d.refobjid >= 16384), '{}'),
       EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid
                  AND d.classid <> 'pg_proc'::regclass)
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_language l ON l.oid = p.prolang
 WHERE n.nspname !~ '^pg_temp_' AND (n.nspname NOT IN ('pg_catalog', 'information_schema') OR p.oid >= 16384)
 ORDER BY p.oid";

pub(super) async fn read(reader: &Reader<'_>, data: &mut CatalogData) -> Result<(), CatalogError> {
    let sources = reader.rows("sources of functions", SOURCES, |row| {
        Ok(SourceData {
            function: Oid(row.try_get(0)?),
            language: row.try_get::<_, String>(1)?.into(),
            text: row.try_get::<_, String>(2)?.into(),
            arguments: row.try_get::<_, String>(3)?.into(),
            uses: row.try_get::<_, Vec<u32>>(4)?.into_iter().map(Oid).collect(),
            used: row.try_get(5)?,
        })
    });
    data.sources = sources.await?;
    Ok(())
}
