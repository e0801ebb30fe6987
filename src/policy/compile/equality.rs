//! Equality of what identifies subjects: which operator it is, and which columns it may compare. In: columns of the rules about subjects.
//! Out: the operator in SQL, whatever the search path of a session. Invariant: it is the one that PostgreSQL takes for a foreign key between
//! such columns; a domain has that of the type that it is made of.

use super::subjects::Place;
use crate::{
    catalog::{CatalogSnapshot, Column, data::TypeData},
    names::{FIRST_USER_OID, Oid, quote_ident},
    policy::rules::{At, Complaints},
};

/// Types that are compared with each other.
#[derive(PartialEq, Eq)]
enum Class {
    Integer,
    Text,
    Other(Oid, String),
}

impl Class {
    fn of(column: &Column, catalog: &CatalogSnapshot) -> Self {
        let base = catalog.base_type(column.type_oid);
        match base.0 {
            20 | 21 | 23 => Self::Integer,
            25 | 1042 | 1043 => Self::Text,
            _other if base == column.type_oid => Self::Other(base, column.type_name.clone()),
            _of_domain => {
                let known = catalog.data().types.iter().find(|kind| kind.oid == base);
                Self::Other(base, known.map_or_else(String::new, |kind| kind.name.clone()))
            }
        }
    }

    /// What a column of it is, for people.
    fn describe(&self, column: &Column) -> String {
        match self {
            Self::Integer => "an integer".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Other(..) => column.type_sql.clone(),
        }
    }
}

/// Complains of two columns of types that have no common equality, or one that is not known.
pub(super) fn comparable(a: &Place, b: &Place, at: At, catalog: &CatalogSnapshot, complaints: &mut Complaints<'_>) {
    let column = |place: &Place| catalog.relation(place.relation)?.column(&place.column);
    let (Some(first), Some(second)) = (column(a), column(b)) else { return };
    let (one, other) = (Class::of(first, catalog), Class::of(second, catalog));
    if one != other {
        let (one, other) = (one.describe(first), other.describe(second));
        let message = format!("{}.{} is {one}, and {}.{} is {other}", a.table, a.column, b.table, b.column);
        complaints.add_with_help(at, message, "Link columns of one type.");
    } else if is_unknown(second, catalog) {
        let message =
            format!("{}.{} is {}, and what is equal of that type is not known", b.table, b.column, second.type_sql);
        let help = "Link columns of a type of PostgreSQL's own, of an enum, or of a type of an extension that has an operator =.";
        complaints.add_with_help(at, message, help);
    }
}

/// Whether a column is of a type that brings no equality along: PostgreSQL might cast its values to another type, and compare them there.
fn is_unknown(column: &Column, catalog: &CatalogSnapshot) -> bool {
    let base = catalog.base_type(column.type_oid);
    let types = &catalog.data().types;
    let is_array = || types.iter().any(|kind| kind.array_oid == Some(base));
    let made = types.iter().any(|kind| kind.oid == base && kind.kind == 'b' && base >= FIRST_USER_OID);
    made && own(column, catalog).is_none() && !is_array()
}

/// The operator of equality of built-in types.
pub(super) fn built_in_equality(catalog: &CatalogSnapshot) -> &'static str {
    if catalog.operators_named("=").next().is_some() { "OPERATOR(pg_catalog.=)" } else { "=" }
}

/// Equality as the type of a column has it, whatever the search path: that of an extension, such as citext, regards other values as equal than
/// PostgreSQL's own would.
pub(super) fn equality(column: &Column, catalog: &CatalogSnapshot) -> String {
    own(column, catalog).map_or_else(
        || built_in_equality(catalog).to_owned(),
        |kind| format!("OPERATOR({}.=)", quote_ident(&kind.schema)),
    )
}

/// The type of a column, or that its domain is made of, where it is of an extension that has an operator of equality for it.
fn own<'c>(column: &Column, catalog: &'c CatalogSnapshot) -> Option<&'c TypeData> {
    let base = catalog.base_type(column.type_oid);
    let of_extension = |kind: &&TypeData| kind.oid == base && kind.kind == 'b' && kind.extension.is_some();
    catalog.data().types.iter().find(of_extension).filter(|kind| {
        let mut named = catalog.operators_named("=");
        named.any(|one| one.schema == kind.schema && one.extension == kind.extension)
    })
}
