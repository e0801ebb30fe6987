//! The ways from a row to its data subjects. In: the links of the rules. Out: SQL about each subject of a row, or of one of its
//! columns. Invariant: a row of which any way ends elsewhere leads to no subject at all, so that it is hidden.

use super::subjects::{Place, Subjects};
use crate::{
    catalog::CatalogSnapshot,
    diagnostic::suggestion,
    names::{Oid, QualifiedName, quote_ident},
    policy::{
        compiled::{FEW, ROW},
        rules::{At, Complaints},
    },
};

/// Longest chain of links.
const LONGEST_CHAIN: usize = 8;
/// The most subjects that one row may have.
pub(super) const MOST_ROUTES: usize = 16;

/// How rows of a relation lead to one of their subjects.
#[derive(Debug)]
pub(super) struct Link {
    pub column: String,
    pub to: Place,
    /// Columns that are about this subject alone; none when it matters to all of its relation.
    pub only: Option<Vec<String>>,
}

/// Links from a row to one of its subjects, in order; none for a row that is the subject.
type Route<'s> = Vec<&'s Link>;

impl Subjects<'_> {
    /// That something holds of all subjects of the row: `each` says it of one after the other. Who is not known, because a link is
    /// NULL, does not count beside others; a row without any is not about somebody of whom it holds.
    pub(super) fn of_all(&self, relation: Oid, column: Option<&str>, each: &[String]) -> Option<String> {
        if let [one] = each {
            return Some(one.clone());
        }
        let leads = self.follow(relation, column, &|key| format!("{key} IS NOT NULL"))?;
        let all = each.iter().zip(leads).map(|(holds, leads)| format!("({holds} OR NOT ({leads})) AND "));
        Some(format!("{}({})", all.collect::<String>(), each.join(" OR ")))
    }

    /// What `about` says of each subject of a row of `relation`, or of one of its columns, given the SQL of its key.
    pub(super) fn follow(
        &self,
        relation: Oid,
        column: Option<&str>,
        about: &dyn Fn(&str) -> String,
    ) -> Option<Vec<String>> {
        let routes = self.routes(relation, column, 0)?;
        Some(routes.iter().map(|route| self.walk(route, &ROW.to_string(), 0, about)).collect())
    }

    /// The ways from a row of `relation`, or from one of its columns, to its subjects; none when any ends elsewhere. `depth`
    /// links were followed.
    pub(super) fn routes(&self, relation: Oid, column: Option<&str>, depth: usize) -> Option<Vec<Route<'_>>> {
        if self.family(relation).any(|member| member == self.key.relation) {
            return Some(vec![Vec::new()]);
        }
        let links = self.family(relation).find_map(|member| self.links.get(&member))?;
        let applies = |link: &&Link| match (&link.only, column) {
            (Some(only), Some(column)) => only.iter().any(|name| name == column),
            (_, _) => true,
        };
        // A column of which no link says that it matters is about everybody.
        let applying: Vec<&Link> = links.iter().filter(applies).collect();
        let applying = if applying.is_empty() { links.iter().collect() } else { applying };
        let mut routes = Vec::new();
        for link in applying {
            if link.to == self.key {
                routes.push(vec![link]);
                continue;
            }
            if depth == LONGEST_CHAIN {
                return None;
            }
            let further = self.routes(link.to.relation, None, depth + 1)?;
            routes.extend(further.into_iter().map(|rest| [&[link], rest.as_slice()].concat()));
            if routes.len() > MOST_ROUTES {
                return None;
            }
        }
        Some(routes)
    }

    /// What `about` says of the subject that `route` leads to from the row `row`; `depth` links were followed.
    fn walk(&self, route: &[&Link], row: &str, depth: usize, about: &dyn Fn(&str) -> String) -> String {
        let Some((link, rest)) = route.split_first() else {
            return about(&format!("{row}.{}", quote_ident(&self.key.column)));
        };
        let reference = format!("{row}.{}", quote_ident(&link.column));
        if link.to == self.key {
            return about(&reference);
        }
        let next = format!("pgs_l{depth}");
        let inner = self.walk(rest, &next, depth + 1, about);
        let (table, target, equals) = (&link.to.table, quote_ident(&link.to.column), &link.to.equals);
        let few = looked_up(&reference);
        format!("EXISTS (SELECT 1 FROM {table} AS {next} WHERE {next}.{target} {equals} {reference} AND {inner}{few})")
    }

    /// That none of the ways from a row of `relation`, or from one of its columns, breaks off at a row which is not there: who has asked
    /// for what is not known then. One condition for each way of which no foreign key proves it; a link that is NULL is no way.
    pub(super) fn unbroken(&self, relation: Oid, column: Option<&str>) -> Vec<String> {
        let routes = self.routes(relation, column, 0).unwrap_or_default();
        let mut found: Vec<String> = Vec::new();
        for condition in routes.iter().filter_map(|route| self.arrives(relation, route, &ROW.to_string(), 0)) {
            if !found.contains(&condition) {
                found.push(condition);
            }
        }
        found
    }

    /// That `route` leads from the row `row` of `relation` to a subject, or stops at NULL; none where it always does.
    fn arrives(&self, relation: Oid, route: &[&Link], row: &str, depth: usize) -> Option<String> {
        let (link, rest) = route.split_first()?;
        let next = format!("pgs_l{depth}");
        let further = self.arrives(link.to.relation, rest, &next, depth + 1);
        if further.is_none() && self.catalog.always_finds(relation, &link.column, link.to.relation, &link.to.column) {
            return None;
        }
        let reference = format!("{row}.{}", quote_ident(&link.column));
        let (table, target, equals) = (&link.to.table, quote_ident(&link.to.column), &link.to.equals);
        let (further, few) =
            (further.map_or_else(String::new, |further| format!(" AND {further}")), looked_up(&reference));
        let found = format!("{next}.{target} {equals} {reference}{further}{few}");
        Some(format!("({reference} IS NULL OR EXISTS (SELECT 1 FROM {table} AS {next} WHERE {found}))"))
    }

    /// The key of the subject of a column of `relation`, as text; of several the first that the rules name. NULL where the row
    /// leads to none.
    pub fn key_of(&self, relation: Oid, column: &str) -> Option<String> {
        let routes = self.routes(relation, Some(column), 0)?;
        Some(self.key_from(routes.first()?, &ROW.to_string(), 0))
    }

    fn key_from(&self, route: &[&Link], row: &str, depth: usize) -> String {
        let text = |column: &str| format!("{row}.{}::pg_catalog.text", quote_ident(column));
        let Some((link, rest)) = route.split_first() else { return text(&self.key.column) };
        if link.to == self.key {
            return text(&link.column);
        }
        let next = format!("pgs_l{depth}");
        let inner = self.key_from(rest, &next, depth + 1);
        let (table, target, equals, column) =
            (&link.to.table, quote_ident(&link.to.column), &link.to.equals, quote_ident(&link.column));
        // An aggregate: what a link refers to may have several rows, of which a scalar sub-select would make an error.
        format!("(SELECT pg_catalog.max({inner}) FROM {table} AS {next} WHERE {next}.{target} {equals} {row}.{column})")
    }
}

/// What keeps PostgreSQL from making a hash table of a sub-select: a use of the outer row beside its comparison. A reference
/// that is not to the outermost row is a join, which is planned well without.
pub(super) fn looked_up(reference: &str) -> String {
    let outermost = reference.starts_with(ROW);
    if outermost { format!("{} AND {reference} IS NOT NULL{}", FEW.0, FEW.1) } else { String::new() }
}

/// The columns that a link alone matters to.
pub(super) fn only(
    names: &[(String, At)],
    relation: Oid,
    catalog: &CatalogSnapshot,
    complaints: &mut Complaints<'_>,
) -> Vec<String> {
    let Some(relation) = catalog.relation(relation) else { return Vec::new() };
    for (name, at) in names.iter().filter(|(name, _)| relation.column(name).is_none()) {
        let near = suggestion(name, "columns", relation.columns.iter().map(|column| column.name.as_str()));
        let table = QualifiedName::new(&relation.schema, &relation.name);
        complaints.add_with_suggestion(*at, format!("unknown column \"{name}\" of {table}"), near);
    }
    names.iter().map(|(name, _)| name.clone()).collect()
}
