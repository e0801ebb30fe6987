//! Stage `upstream`: what the choice between functions and operators of the same name asks, where the database has some that share
//! names with those of `pg_catalog`.

use super::{CatalogError, Reader, letter};
use crate::{
    catalog::{
        data::CatalogData,
        functions::builtin,
        overloads::{OperatorSignature, Overloads, Signature, TypeShape, has_overloads},
    },
    names::Oid,
};

const FUNCTIONS: &str = "
SELECT proname::text, proargtypes::oid[], nullif(provariadic, 0), pronargdefaults, prorettype,
       coalesce((SELECT array_agg(a.type ORDER BY a.at) FROM unnest(proallargtypes, proargmodes) WITH ORDINALITY a (type, mode, at)
                  WHERE a.mode IN ('o', 'b', 't')), '{}')
  FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND oid < 16384 AND prokind <> 'p'
 ORDER BY oid";

const OPERATORS: &str = "
SELECT oprname::text, nullif(oprleft, 0), oprright, oprresult
  FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace AND oid < 16384 AND oprright <> 0 AND oprresult <> 0
 ORDER BY oid";

/// Rows of tables and arrays of them are left out: there may be many, and nothing but rows becomes one.
const TYPES: &str = "
WITH RECURSIVE base AS (
    SELECT oid, typbasetype AS base FROM pg_type WHERE typtype = 'd'
    UNION ALL SELECT b.oid, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.base WHERE t.typtype = 'd'
)
SELECT t.oid, CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN t.typname::text END, t.typtype, t.typcategory,
       t.typispreferred,
       (SELECT b.base FROM base b JOIN pg_type u ON u.oid = b.base WHERE b.oid = t.oid AND u.typtype <> 'd'),
       nullif(t.typarray, 0)
  FROM pg_type t
  LEFT JOIN pg_type e ON e.typarray = t.oid
  LEFT JOIN pg_class c ON c.oid = coalesce(nullif(t.typrelid, 0), e.typrelid)
 WHERE coalesce(c.relkind, 'c') = 'c'
 ORDER BY t.oid";

const CASTS: &str = "SELECT castsource, casttarget FROM pg_cast WHERE castcontext = 'i' ORDER BY oid";

pub(super) async fn read(reader: &Reader<'_>, data: &mut CatalogData) -> Result<(), CatalogError> {
    if !has_overloads(data, |name| builtin(name).is_some()) {
        return Ok(());
    }
    let functions = reader.rows("built-in functions", FUNCTIONS, |row| {
        Ok(Signature {
            name: row.try_get::<_, String>(0)?.into(),
            arguments: row.try_get::<_, Vec<u32>>(1)?.into_iter().map(Oid).collect(),
            variadic: row.try_get::<_, Option<u32>>(2)?.map(Oid),
            defaults: row.try_get::<_, i16>(3)?.unsigned_abs(),
            result: Oid(row.try_get(4)?),
            outputs: row.try_get::<_, Vec<u32>>(5)?.into_iter().map(Oid).collect(),
        })
    });
    let functions = functions.await?;
    let operators = reader.rows("built-in operators", OPERATORS, |row| {
        Ok(OperatorSignature {
            name: row.try_get::<_, String>(0)?.into(),
            left: row.try_get::<_, Option<u32>>(1)?.map(Oid),
            right: Oid(row.try_get(2)?),
            result: Oid(row.try_get(3)?),
        })
    });
    let operators = operators.await?;
    let types = reader.rows("shapes of types", TYPES, |row| {
        Ok(TypeShape {
            oid: Oid(row.try_get(0)?),
            name: row.try_get::<_, Option<String>>(1)?.map(Into::into),
            kind: letter(row, 2)?,
            category: letter(row, 3)?,
            preferred: row.try_get(4)?,
            base: row.try_get::<_, Option<u32>>(5)?.map(Oid),
            array: row.try_get::<_, Option<u32>>(6)?.map(Oid),
        })
    });
    let types = types.await?;
    let casts = reader.rows("casts", CASTS, |row| Ok((Oid(row.try_get(0)?), Oid(row.try_get(1)?))));
    data.overloads = Some(Overloads { functions, operators, types, casts: casts.await? });
    Ok(())
}
