//! The place where a mask is built: one column, and how SQL is written there. Names and operators stay bare, because the
//! server reads the text at every plan, unless the database holds something of that name outside `pg_catalog`, which a
//! search path or a closer argument type could put in its place; then they are qualified.

use super::{Built, family::Family, params::Params};
use crate::{
    catalog::{CatalogSnapshot, Column},
    names::quote_literal,
    policy::compiled::short_type,
};

/// Stands for the operand until the template is made. Parameters cannot hold it.
pub(super) const OPERAND: &str = "\u{1}";
const _: () = assert!(matches!(crate::policy::compiled::OPERAND, '\u{1}'));

/// The fixed stars of text masks.
pub(super) const STARS: &str = "*****";

/// One column, and how SQL is written for it.
pub(super) struct Site<'a> {
    pub column: &'a Column,
    pub family: Family,
    catalog: &'a CatalogSnapshot,
    hide_null: bool,
    hide_empty: bool,
    normalize: bool,
    /// What stands for the operand.
    operand: String,
}

impl<'a> Site<'a> {
    pub fn new(column: &'a Column, catalog: &'a CatalogSnapshot, params: &Params<'_>) -> Result<Self, String> {
        let normalize = params.text("normalize") == Some("nfc");
        let utf8 = catalog.data().server_encoding.eq_ignore_ascii_case("UTF8");
        if normalize && !utf8 {
            return Err("normalize = \"nfc\" needs a database whose encoding is UTF8".to_owned());
        }
        Ok(Self {
            column,
            family: Family::of(column),
            catalog,
            hide_null: params.text("null") == Some("hide"),
            hide_empty: params.text("empty") == Some("hide"),
            normalize,
            operand: OPERAND.to_owned(),
        })
    }

    /// The same site for a text taken out of the column, such as a member of a JSON document.
    pub fn inner<'b>(&'b self, column: &'b Column, params: &Params<'_>, operand: String) -> Result<Site<'b>, String> {
        Ok(Site { operand, ..Site::new(column, self.catalog, params)? })
    }

    /// Whether an empty text stays empty.
    pub fn keeps_empty(&self) -> bool {
        !self.hide_empty
    }

    /// Whether NULL stays NULL.
    pub fn keeps_null(&self) -> bool {
        !self.hide_null
    }

    /// The catalog that the mask is made for.
    pub fn catalog(&self) -> &'a CatalogSnapshot {
        self.catalog
    }

    /// The operand as it stands.
    pub fn raw(&self) -> String {
        self.operand.clone()
    }

    /// The operand as text, under a collation in which every function works (pattern matching refuses
    /// non-deterministic collations up to PostgreSQL 17).
    pub fn x(&self) -> String {
        let mut x = self.operand.clone();
        // Patterns see the padding of char(n), a cast takes it off.
        if !matches!(self.column.type_oid.0, 25 | 1043) {
            x = self.cast(&x, "text");
        }
        if self.column.collation.is_some() {
            x = format!("({x} COLLATE pg_catalog.\"default\")");
        }
        if self.normalize { self.call("normalize", &[&x]) } else { x }
    }

    /// A call of a function of `pg_catalog`.
    pub fn call(&self, name: &str, arguments: &[&str]) -> String {
        let shadowed = self.catalog.functions_named(name).next().is_some();
        format!("{}{name}({})", if shadowed { "pg_catalog." } else { "" }, arguments.join(","))
    }

    /// `left operator right`, in parentheses where the qualified form would bind differently.
    pub fn op(&self, left: &str, operator: &str, right: &str) -> String {
        if self.catalog.operators_named(operator).next().is_some() {
            format!("({left} OPERATOR(pg_catalog.{operator}) {right})")
        } else {
            format!("{left}{operator}{right}")
        }
    }

    /// Whether `x` is one of the texts of the array literal `list`.
    pub fn any_of(&self, x: &str, list: &str) -> String {
        if self.catalog.operators_named("=").next().is_none() {
            return format!("{x}=ANY({list})");
        }
        // The parser does not read OPERATOR(…) before ANY; this compares by the type's own equality.
        let array = if list.contains("::") { list.to_owned() } else { self.cast(list, "_text") };
        format!("{} IS NOT NULL", self.call("array_position", &[&array, x]))
    }

    /// Concatenation; the operands are atomic.
    pub fn concat(&self, operands: &[&str]) -> String {
        if self.catalog.operators_named("||").next().is_none() {
            return operands.join("||");
        }
        let mut all = operands.iter();
        let first = all.next().map(|operand| (*operand).to_owned()).unwrap_or_default();
        all.fold(first, |left, right| self.op(&left, "||", right))
    }

    /// A cast to a type of `pg_catalog`; `expression` is atomic.
    pub fn cast(&self, expression: &str, ty: &str) -> String {
        let shadowed = self.catalog.types_named(ty).next().is_some();
        format!("{expression}::{}{ty}", if shadowed { "pg_catalog." } else { "" })
    }

    /// Whether the operand matches a regular expression.
    pub fn like(&self, pattern: &str) -> String {
        self.op(&self.x(), "~", &lit(pattern))
    }

    /// The first match of a regular expression in the operand, or its first group.
    pub fn substring(&self, pattern: &str) -> String {
        self.call("substring", &[&self.x(), &lit(pattern)])
    }

    /// `length(x)`
    pub fn length(&self) -> String {
        self.call("length", &[&self.x()])
    }

    /// The first `n` characters.
    pub fn left(&self, n: i64) -> String {
        self.call("left", &[&self.x(), &n.to_string()])
    }

    /// The last `n` characters.
    pub fn right(&self, n: i64) -> String {
        self.call("right", &[&self.x(), &n.to_string()])
    }

    /// The stars for a value that is hidden whole: nothing for an empty text, NULL for NULL.
    pub fn stars(&self) -> String {
        self.fixed(STARS)
    }

    /// A constant in place of the whole value: nothing for an empty text, NULL for NULL.
    pub fn fixed(&self, text: &str) -> String {
        let n = text.chars().count();
        // Whether there is a character at all; the length of a text of half a gigabyte times `n` would be beyond an integer.
        let (literal, length) = (lit(text), self.call("length", &[&self.left(1)]));
        let count = if self.hide_empty {
            let more = self.op(&length, "+", "1");
            self.op(&if more.starts_with('(') { more } else { format!("({more})") }, "*", &n.to_string())
        } else {
            self.op(&length, "*", &n.to_string())
        };
        self.call("left", &[&literal, &count])
    }

    /// Complains when the column is no text.
    pub fn need_text(&self) -> Result<(), String> {
        let is_text = matches!(self.family, Family::Text { .. });
        if is_text { Ok(()) } else { Err(self.misfit("a text column")) }
    }

    /// Complains when the column is no text, or is declared too short for `n` characters.
    pub fn need_room(&self, n: i64) -> Result<(), String> {
        self.need_text()?;
        if let Family::Text { room: Some(room) } = self.family
            && room < n
        {
            return Err(format!("it needs room for {n} characters, and the column is {}", self.column.type_sql));
        }
        Ok(())
    }

    /// Complains when the database cannot hold every character.
    pub fn need_utf8(&self) -> Result<(), String> {
        if self.catalog.data().server_encoding.eq_ignore_ascii_case("UTF8") {
            Ok(())
        } else {
            Err("it needs a database whose encoding is UTF8".to_owned())
        }
    }

    /// The last part of `text` between separators `separator`.
    pub fn last_part(&self, text: &str, separator: &str) -> String {
        let literal = lit(separator);
        if self.catalog.data().server_version_num >= 140_000 {
            return self.call("split_part", &[text, &literal, "-1"]);
        }
        // split_part counts from the end only since PostgreSQL 14.
        let reversed = self.call("reverse", &[text]);
        self.call("reverse", &[&self.call("split_part", &[&reversed, &literal, "1"])])
    }

    /// "it fits a …, and the column is …"
    pub fn misfit(&self, wanted: &str) -> String {
        format!("it fits {wanted}, and the column is {}", self.column.type_sql)
    }

    /// Labels of the column's enum type.
    pub fn enum_labels(&self) -> &'a [String] {
        let mut types = self.catalog.types_named(&self.column.type_name);
        types.find(|ty| ty.oid == self.column.type_oid).map_or(&[], |ty| &ty.enum_labels)
    }

    /// Brings what a mask built to the column's type, modifier and collation.
    pub fn finish(&self, built: Built) -> String {
        let (expression, is_text) = match built {
            Built::Cast(expression) => (expression, false),
            Built::Text(expression) if self.hide_null => (format!("coalesce({expression},{})", lit(STARS)), true),
            Built::Text(expression) => (expression, true),
        };
        let is_plain_text = is_text && self.column.type_oid.0 == 25;
        let case = expression.starts_with("CASE ") && expression.ends_with(" END");
        let atomic = case || expression.starts_with("coalesce(");
        let ty = short_type(&self.column.type_sql);
        // `(e)::type[1]` would read a subscript as part of the type; `CAST(…)` does not.
        let subscripted = matches!(self.family, Family::Array | Family::Jsonb);
        let typed = match (is_plain_text, subscripted) {
            (true, _) if atomic => expression,
            (true, _) => format!("({expression})"),
            (false, true) => format!("CAST({expression} AS {ty})"),
            (false, false) if atomic => format!("{expression}::{ty}"),
            (false, false) => format!("({expression})::{ty}"),
        };
        match &self.column.collation {
            Some(collation) => format!("({typed} COLLATE {collation})"),
            None => typed,
        }
    }
}

/// A literal.
pub(super) fn lit(text: &str) -> String {
    quote_literal(text)
}

/// `CASE WHEN condition THEN then ELSE otherwise END`
pub(super) fn case(condition: &str, then: &str, otherwise: &str) -> String {
    format!("CASE WHEN {condition} THEN {then} ELSE {otherwise} END")
}
