//! Identifiers as PostgreSQL stores them, and how to print them in SQL. Shared by every stage.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An object identifier of a PostgreSQL catalog row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Oid(pub u32);

/// The first OID that `initdb` does not hand out: everything at or above it was made by users (`FirstNormalObjectId`).
pub const FIRST_USER_OID: Oid = Oid(16384);

/// `pg_attribute.attnum`: 1.. for columns in their order of creation, negative for system columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttNum(pub i16);

/// A schema-qualified name, both parts exactly as in the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QualifiedName {
    /// `pg_namespace.nspname`
    pub schema: String,
    /// Name within the schema.
    pub name: String,
}

impl QualifiedName {
    /// Both parts as stored in the catalog.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }
}

impl fmt::Display for QualifiedName {
    /// As in rule files: a part that contains a dot or a double quote is double-quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", rule_part(&self.schema), rule_part(&self.name))
    }
}

/// One part of a name as rule files and audit events print it.
pub fn rule_part(part: &str) -> std::borrow::Cow<'_, str> {
    if part.contains(['.', '"']) || part.is_empty() {
        format!("\"{}\"", part.replace('"', "\"\"")).into()
    } else {
        part.into()
    }
}

/// `text` as an SQL identifier: bare when PostgreSQL would read it back unchanged whatever the keyword, else quoted.
///
/// Only names of lower-case letters, digits and underscores that are no keyword of PostgreSQL 14–18 stay bare.
pub fn quote_ident(text: &str) -> std::borrow::Cow<'_, str> {
    let mut bytes = text.bytes();
    let bare = bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !crate::sql::keywords::is_keyword(text);
    if bare { text.into() } else { format!("\"{}\"", text.replace('"', "\"\"")).into() }
}

/// `text` as an SQL string literal that reads the same whatever `standard_conforming_strings` says.
pub fn quote_literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 3);
    out.push_str(if text.contains('\\') { "E'" } else { "'" });
    let mut rest = text;
    while let Some((before, after)) =
        memchr::memchr2(b'\'', b'\\', rest.as_bytes()).and_then(|at| rest.split_at_checked(at + 1))
    {
        out.push_str(before);
        out.push_str(if before.ends_with('\'') { "'" } else { "\\" });
        rest = after;
    }
    out.push_str(rest);
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_read_the_same_whatever_the_settings() {
        for (text, literal) in [
            ("", "''"),
            ("Khai", "'Khai'"),
            ("d'Alembert", "'d''Alembert'"),
            ("''", "''''''"),
            (r"\S+", r"E'\\S+'"),
            (r"\'ậ'\", r"E'\\''ậ''\\'"),
        ] {
            assert_eq!(quote_literal(text), literal);
        }
    }
}
