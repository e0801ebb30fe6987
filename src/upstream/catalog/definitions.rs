//! Stage `upstream`: definitions of views. Printing one takes a lock on every table that it reads, and waits for whoever changes one of them; what is
//! known, and cannot have changed since, is not printed again. In: what was read before, and what the catalog is now. Out: the definitions.

use std::collections::HashMap;

use super::{CatalogError, CatalogState, Marks, Moment, Reader};
use crate::{
    catalog::{CatalogData, data::UsesColumn},
    names::Oid,
};

const DEFINITIONS: &str = "
SELECT c.oid, pg_get_viewdef(c.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('v', 'm') AND n.nspname !~ '^pg_(toast_)?temp_'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema')";

/// Definitions of views as they were at a moment.
#[derive(Debug)]
pub struct Definitions {
    state: CatalogState,
    marks: Marks,
    by_view: HashMap<Oid, String>,
}

impl Definitions {
    /// Those of a catalog, and the moment that it is a picture of.
    pub fn of(data: &CatalogData, moment: &Moment) -> Self {
        let known = data.relations.iter().filter_map(|relation| Some((relation.oid, relation.definition.clone()?)));
        Self { state: moment.state.clone(), marks: moment.marks.clone(), by_view: known.collect() }
    }

    /// Whether neither the view nor anything that it reads was touched since, nor anything but relations.
    fn holds(&self, view: Oid, now: &Moment, uses: &HashMap<Oid, Vec<UsesColumn>>) -> bool {
        let (mut open, mut seen) = (vec![view], vec![view]);
        while let Some(oid) = open.pop() {
            if self.marks.get(&oid) != now.marks.get(&oid) {
                return false;
            }
            for used in uses.get(&oid).into_iter().flatten() {
                if !seen.contains(&used.relation) {
                    seen.push(used.relation);
                    open.push(used.relation);
                }
            }
        }
        self.state.differs_in_relations_alone(&now.state)
    }
}

/// The definition of each view; none of one that was dropped meanwhile.
pub(super) async fn read(
    reader: &Reader<'_>,
    now: &Moment,
    uses: &HashMap<Oid, Vec<UsesColumn>>,
) -> Result<HashMap<Oid, Option<String>>, CatalogError> {
    let known = reader.definitions.into_iter().flat_map(|known| {
        let holding = known.by_view.iter().filter(|(view, _)| known.holds(**view, now, uses));
        holding.map(|(view, text)| (*view, Some(text.clone())))
    });
    let mut found: HashMap<Oid, Option<String>> = known.collect();
    let sql = if found.is_empty() {
        DEFINITIONS.to_owned()
    } else {
        let numbers: Vec<String> = found.keys().map(|oid| oid.0.to_string()).collect();
        format!("{DEFINITIONS} AND c.oid NOT IN ({})", numbers.join(", "))
    };
    found.extend(reader.rows("view definitions", &sql, |row| Ok((Oid(row.try_get(0)?), row.try_get(1)?))).await?);
    Ok(found)
}
