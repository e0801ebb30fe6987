//! Masks for JSON documents, on `jsonb` only: `json` keeps duplicate keys and escapes that a conversion loses or refuses.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a kind of type that a mask does not list does not fit, which is the safe answer for new kinds too"
)]

use super::{
    Built, MaskDef, MaskSpec,
    family::Family,
    json_path::{self, Node},
    params::{ParamDef, ParamKind, Params, required},
    site::{Site, case, lit},
};
use crate::catalog::Column;

pub(super) const MASKS: &[MaskDef] = &[
    MaskDef { name: "json", params: JSON, build: json },
    MaskDef { name: "json_keep", params: &[required("allow", ParamKind::Texts)], build: json_keep },
];

const JSON: &[ParamDef] = &[
    required("paths", ParamKind::Masks),
    ParamDef { name: "unknown", kind: ParamKind::Choice(&["pass", "drop", "mask"]), required: false },
];

const HIDDEN: &str = "'\"*****\"'";

fn need_jsonb(site: &Site<'_>) -> Result<(), String> {
    match site.family {
        Family::Jsonb => Ok(()),
        Family::Json => {
            Err("json keeps duplicate keys, which no expression can mask; use full, constant or withhold, \
                             or make the column jsonb"
                .to_owned())
        }
        _ => Err(site.misfit("a jsonb column")),
    }
}

/// Only the members named at the top level are shown; what is no object is hidden.
fn json_keep(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    need_jsonb(site)?;
    let allowed = params.texts("allow").unwrap_or_default();
    let kept = kept(site, allowed);
    Ok(Built::Cast(guarded(site, &kept)))
}

/// The members of the operand whose keys are in `keys`, without a sub-select: the text is planned with each statement.
fn kept(site: &Site<'_>, keys: &[String]) -> String {
    let members = keys.iter().map(|key| {
        let key = lit(key);
        let value = site.op(&site.raw(), "->", &key);
        member(site, &value, &key, &value)
    });
    together(site, &members.collect::<Vec<_>>())
}

/// An object of one member, or an empty one where there is no `value`.
fn member(site: &Site<'_>, value: &str, key: &str, shown: &str) -> String {
    let object = site.call("jsonb_build_object", &[key, shown]);
    format!("CASE WHEN {value} IS NOT NULL THEN {object} ELSE {} END", site.cast("'{}'", "jsonb"))
}

/// Objects put together; of two members with one key, the later one.
fn together(site: &Site<'_>, objects: &[String]) -> String {
    let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
    format!("({})", site.concat(&objects))
}

/// Masks on paths; members that are not named are left out, at every level that a path leads through, unless `unknown`
/// says otherwise.
fn json(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    need_jsonb(site)?;
    let root = json_path::tree(params.masks("paths"))?;
    let document = Document { site, unknown: params.text("unknown").unwrap_or("drop") };
    let x = site.raw();
    let (kind, shown) = match &root {
        Node::Object(members) => ("object", document.object(&x, members, 0)?),
        Node::Array(element) => ("array", document.array(&x, element, 0)?),
        Node::Mask(_) => return Err("a path names a member or elements".to_owned()),
    };
    let fits = document.is(&x, kind);
    Ok(Built::Cast(format!("CASE WHEN {fits} THEN {shown} WHEN {x} IS NOT NULL THEN {HIDDEN} END")))
}

/// One document, and what becomes of members that no path names.
struct Document<'a> {
    site: &'a Site<'a>,
    unknown: &'a str,
}

impl Document<'_> {
    fn is(&self, value: &str, kind: &str) -> String {
        self.site.op(&self.site.call("jsonb_typeof", &[value]), "=", &lit(kind))
    }

    /// What is shown of `value`, which is `text` as a text. What is not of the kind that the paths say is hidden.
    fn shown(&self, value: &str, text: &str, name: &str, node: &Node<'_>, depth: usize) -> Result<String, String> {
        let (kind, shown) = match node {
            Node::Mask(spec) => ("string", self.masked(text, name, spec)?),
            Node::Object(members) => ("object", self.object(value, members, depth)?),
            Node::Array(element) => ("array", self.array(value, element, depth)?),
        };
        let (null, hidden) = (self.site.cast("'null'", "jsonb"), self.site.cast(HIDDEN, "jsonb"));
        Ok(format!(
            "CASE WHEN {} THEN {shown} WHEN {} THEN {null} ELSE {hidden} END",
            self.is(value, kind),
            self.is(value, "null")
        ))
    }

    fn masked(&self, text: &str, name: &str, spec: &MaskSpec) -> Result<String, String> {
        let column = member_column(self.site.column, name);
        spec.check_secret(&column)?;
        let params = Params::new(spec.def.params, &spec.given);
        let inner = self.site.inner(&column, &params, text.to_owned())?;
        Ok(self.site.call("to_jsonb", &[&inner.finish((spec.def.build)(&inner, &params)?)]))
    }

    fn object(&self, value: &str, members: &[(&str, Node<'_>)], depth: usize) -> Result<String, String> {
        let site = self.site;
        let mut objects = match self.unknown {
            "pass" => vec![value.to_owned()],
            "mask" => {
                let keys = array_literal(site, members.iter().map(|(key, _)| *key))?;
                vec![hidden_but(site, value, &keys)]
            }
            _ => Vec::new(),
        };
        for (key, node) in members {
            let literal = lit(key);
            let inside = format!("({})", site.op(value, "->", &literal));
            let text = format!("({})", site.op(value, "->>", &literal));
            let shown = self.shown(&inside, &text, key, node, depth)?;
            objects.push(member(site, &inside, &literal, &shown));
        }
        Ok(together(site, &objects))
    }

    fn array(&self, value: &str, element: &Node<'_>, depth: usize) -> Result<String, String> {
        let site = self.site;
        let (e, i) = (format!("e{depth}"), format!("i{depth}"));
        let text = format!("({})", site.op(&e, "#>>", &site.cast("'{}'", "_text")));
        let shown = self.shown(&e, &text, "", element, depth + 1)?;
        let elements = site.call("jsonb_array_elements", &[value]);
        let list = site.call("jsonb_agg", &[&format!("{shown} ORDER BY {i}")]);
        let empty = site.cast("'[]'", "jsonb");
        Ok(format!("coalesce((SELECT {list} FROM {elements} WITH ORDINALITY pgs_a{depth}({e},{i})),{empty})"))
    }
}

/// `value`, an object, with stars in place of every member whose key is not in the list `keys`.
fn hidden_but(site: &Site<'_>, value: &str, keys: &str) -> String {
    let known = site.any_of("k", keys);
    let each = site.call("jsonb_each", &[value]);
    let empty = site.cast("'{}'", "jsonb");
    let members = site.call("jsonb_object_agg", &["k", &case(&known, "v", &site.cast(HIDDEN, "jsonb"))]);
    format!("coalesce((SELECT {members} FROM {each} pgs_e(k,v)),{empty})")
}

/// `object` where the operand is an object, stars for other values, NULL for NULL.
fn guarded(site: &Site<'_>, object: &str) -> String {
    let x = site.raw();
    let is_object = site.op(&site.call("jsonb_typeof", &[&x]), "=", "'object'");
    format!("CASE WHEN {is_object} THEN {object} WHEN {x} IS NOT NULL THEN {HIDDEN} END")
}

/// A text array. Keys of letters, digits, `_`, `-` and spaces need no escapes within its double quotes.
fn array_literal<'k>(site: &Site<'_>, keys: impl IntoIterator<Item = &'k str>) -> Result<String, String> {
    let mut items = Vec::new();
    for key in keys {
        if key.contains(['"', '\\']) {
            return Err(format!("key {key} holds a double quote or backslash"));
        }
        let bare = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !key.eq_ignore_ascii_case("null");
        items.push(if bare { key.to_owned() } else { format!("\"{key}\"") });
    }
    Ok(site.cast(&lit(&format!("{{{}}}", items.join(","))), "_text"))
}

/// A column for a string inside a document: text, nullable.
fn member_column(column: &Column, name: &str) -> Column {
    Column {
        name: if name.is_empty() { column.name.clone() } else { name.to_owned() },
        type_oid: crate::names::Oid(25),
        typmod: -1,
        type_sql: "pg_catalog.text".to_owned(),
        type_sql_plain: "pg_catalog.text".to_owned(),
        assigned_as: None,
        type_name: "text".to_owned(),
        type_kind: 'b',
        type_category: 'S',
        not_null: false,
        generated_from: None,
        collation: None,
        ..column.clone()
    }
}
