//! What a role gets of a bound relation, and how relations and columns are printed.

use super::Job;
use crate::{
    bind::RelationUse,
    catalog::{Column, Relation},
    error::{Refusal, RefusalCode},
    names::quote_ident,
    policy::{
        ColumnPolicy, RelationPolicy, RolePolicy, Scope, Treatment,
        compiled::{Row, withheld},
    },
};

/// What the role gets of the relation, when any of it is treated otherwise than clear.
pub fn protected<'a>(role: &'a RolePolicy, relation: &RelationUse) -> Option<&'a RelationPolicy> {
    if role.exempt {
        return None;
    }
    role.relation(relation.oid).filter(|policy| policy.is_governed())
}

/// What the role gets of a column; withheld when the policy does not know it.
pub fn treatment(policy: &RelationPolicy, position: usize) -> &Treatment {
    policy.columns.get(position).map_or(&Treatment::Withhold, |column| &column.treatment)
}

/// The policy of a column that is not clear.
pub(super) fn hidden(policy: &RelationPolicy, position: usize) -> Option<&ColumnPolicy> {
    policy.columns.get(position).filter(|column| column.treatment != Treatment::Clear)
}

pub(super) fn relation<'a>(job: &Job<'a>, used: &RelationUse) -> Result<&'a Relation, Refusal> {
    job.catalog
        .relation(used.oid)
        .ok_or_else(|| Refusal::new(RefusalCode::VerifyFailed, "relation vanished from the catalog snapshot"))
}

/// `schema.name` for SQL.
pub fn qualified(relation: &Relation) -> String {
    [&*quote_ident(&relation.schema), ".", &*quote_ident(&relation.name)].concat()
}

/// What a derived table lists for a column; `few` as in [`Row::few`].
pub fn derived_item(policy: &RelationPolicy, position: usize, column: &Column, few: bool) -> String {
    let name = quote_ident(&column.name);
    match treatment(policy, position) {
        Treatment::Clear => name.into_owned(),
        Treatment::Mask(_) | Treatment::Withhold | Treatment::Refuse => {
            let mut item = seen(policy, position, column, &name, Row { name: ROW_ALIAS, few });
            item.extend([" AS ", &*name]);
            item
        }
    }
}

/// What stands behind FROM in a derived table, without TABLESAMPLE.
pub fn derived_from(policy: &RelationPolicy, used: &RelationUse, relation: &Relation) -> String {
    let only = if used.only { "ONLY " } else { "" };
    let row = if names_row(policy) { format!(" AS {ROW_ALIAS}") } else { String::new() };
    format!("{only}{}{row}", qualified(relation))
}

/// The condition of a scope in a derived table; `few` as in [`Row::few`]. As a barrier it keeps PostgreSQL from moving conditions into the table.
pub fn scope_clause(scope: &Scope, few: bool, barrier: bool) -> String {
    format!(" WHERE {}{}", scope.sql.fill_row("", Row { name: ROW_ALIAS, few }), if barrier { " OFFSET 0" } else { "" })
}

/// Whether a mask, the gate of a search or the scope refers to the row by its name.
fn names_row(policy: &RelationPolicy) -> bool {
    let gated = |column: &ColumnPolicy| column.gate.as_ref().is_some_and(|gate| gate.sql.names_row());
    policy.scope.as_ref().is_some_and(|scope| scope.sql.names_row())
        || policy.columns.iter().any(|column| match &column.treatment {
            Treatment::Mask(mask) => mask.sql.names_row() || gated(column),
            Treatment::Clear | Treatment::Withhold | Treatment::Refuse => gated(column),
        })
}

/// The name of the row inside a derived table, where masks or scopes refer to it.
pub const ROW_ALIAS: &str = "pgs_row";

/// The SQL by which the role sees a column, `operand` being a reference to it and `row` its row. Needs no
/// parentheses as a list item.
pub(super) fn seen(policy: &RelationPolicy, position: usize, column: &Column, operand: &str, row: Row<'_>) -> String {
    let mut out = String::new();
    push_seen(&mut out, policy, position, column, operand, row);
    out
}

/// Appends what [`seen`] makes.
pub(super) fn push_seen(
    out: &mut String,
    policy: &RelationPolicy,
    position: usize,
    column: &Column,
    operand: &str,
    row: Row<'_>,
) {
    match treatment(policy, position) {
        Treatment::Clear => out.push_str(operand),
        Treatment::Mask(mask) => mask.sql.push_filled(out, operand, row),
        Treatment::Withhold | Treatment::Refuse => out.push_str(&withheld(column)),
    }
}

/// What stands in `text` behind what [`seen`] makes of a hidden column; none when it does not begin with that.
pub fn strip_seen<'a>(
    text: &'a str,
    policy: &RelationPolicy,
    position: usize,
    column: &Column,
    operand: &str,
    row: Row<'_>,
) -> Option<&'a str> {
    match treatment(policy, position) {
        Treatment::Clear => None,
        Treatment::Mask(mask) => mask.sql.strip_filled(text, operand, row),
        Treatment::Withhold | Treatment::Refuse => text.strip_prefix(withheld(column).as_str()),
    }
}

/// Whether values of a type have no equality operator, so that their text is compared.
pub(super) fn lacks_equality(column: &Column) -> bool {
    // Geometric types compare sizes, or have an operator that arrays of them do not find.
    let lacks = |name: &str| {
        let known = ["json", "jsonpath", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle"];
        known.contains(&name)
    };
    match column.type_kind {
        'b' => lacks(column.type_name.strip_prefix('_').unwrap_or(&column.type_name)),
        // What they are made of may lack it.
        'c' => true,
        'd' => matches!(column.type_category, 'U' | 'G' | 'A' | 'C'),
        _ => false,
    }
}
