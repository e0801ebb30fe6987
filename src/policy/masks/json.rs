//! Masks for JSON documents, on `jsonb` only: `json` keeps duplicate keys and escapes that a conversion loses or refuses.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a kind of type that a mask does not list does not fit, which is the safe answer for new kinds too"
)]

use super::{
    Built, MaskDef, MaskSpec,
    family::Family,
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
    let mut members = Vec::new();
    for key in keys {
        let key = lit(key);
        let member = site.op(&site.raw(), "->", &key);
        let object = site.call("jsonb_build_object", &[&key, &member]);
        let empty = site.cast("'{}'", "jsonb");
        members.push(format!("CASE WHEN {member} IS NOT NULL THEN {object} ELSE {empty} END"));
    }
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    format!("({})", site.concat(&members))
}

/// The operand with stars in place of every member whose key is not in `keys`.
fn hidden_but(site: &Site<'_>, keys: &[String]) -> Result<String, String> {
    let list = array_literal(site, keys.iter().map(String::as_str))?;
    let known = site.any_of("k", &list);
    let each = site.call("jsonb_each", &[&site.raw()]);
    let empty = site.cast("'{}'", "jsonb");
    let members = site.call("jsonb_object_agg", &["k", &case(&known, "v", &site.cast(HIDDEN, "jsonb"))]);
    Ok(format!("coalesce((SELECT {members} FROM {each} pgs_e(k,v)),{empty})"))
}

/// `object` where the operand is an object, stars for other values, NULL for NULL.
fn guarded(site: &Site<'_>, object: &str) -> String {
    let x = site.raw();
    let is_object = site.op(&site.call("jsonb_typeof", &[&x]), "=", "'object'");
    format!("CASE WHEN {is_object} THEN {object} WHEN {x} IS NOT NULL THEN {HIDDEN} END")
}

/// Masks on paths of one or two keys; members that are not named are left out unless `unknown` says otherwise.
fn json(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    need_jsonb(site)?;
    let masks = params.masks("paths");
    let mut paths: Vec<(Vec<&str>, &MaskSpec)> = Vec::new();
    for (text, spec) in masks {
        paths.push((path(text)?, spec));
    }
    let mut keys: Vec<String> = paths.iter().filter_map(|(path, _)| path.first().map(|k| (*k).to_owned())).collect();
    keys.sort();
    keys.dedup();
    let mut document = match params.text("unknown") {
        Some("pass") => site.raw(),
        Some("mask") => hidden_but(site, &keys)?,
        _ => kept(site, &keys),
    };
    for (path, spec) in &paths {
        let member = member_column(site.column);
        let here = array_literal(site, path.iter().copied())?;
        let text = site.op(&site.raw(), "#>>", &here);
        let inner_params = Params::new(spec.def.params, &spec.given);
        let inner = site.inner(&member, &inner_params, format!("({text})"))?;
        let masked = inner.finish((spec.def.build)(&inner, &inner_params)?);
        let kind = site.call("jsonb_typeof", &[&format!("({})", site.op(&site.raw(), "#>", &here))]);
        let hidden = site.cast(HIDDEN, "jsonb");
        let null = site.cast("'null'", "jsonb");
        let value = format!(
            "CASE WHEN {} THEN {} WHEN {} THEN {null} ELSE {hidden} END",
            site.op(&kind, "=", "'string'"),
            site.call("to_jsonb", &[&masked]),
            site.op(&kind, "=", "'null'"),
        );
        document = match path.as_slice() {
            [_] => site.call("jsonb_set", &[&document, &here, &value, "false"]),
            [parent, ..] => {
                // Where the parent is no object there is no such member: the parent is hidden instead.
                let above = array_literal(site, [*parent])?;
                let parent_kind = site.call("jsonb_typeof", &[&format!("({})", site.op(&site.raw(), "#>", &above))]);
                let is_object = site.op(&parent_kind, "=", "'object'");
                let target = format!("CASE WHEN {is_object} THEN {here} ELSE {above} END");
                let new = format!("CASE WHEN {is_object} THEN {value} ELSE {hidden} END");
                site.call("jsonb_set", &[&document, &target, &new, "false"])
            }
            [] => document,
        };
    }
    Ok(Built::Cast(guarded(site, &document)))
}

/// `$.contact.email` → its keys.
fn path(text: &str) -> Result<Vec<&str>, String> {
    let keys: Vec<&str> = text.strip_prefix("$.").unwrap_or_default().split('.').collect();
    let valid = |key: &&str| !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if text.contains(['[', '*']) {
        return Err(format!("path \"{text}\" reaches into arrays, which is not supported yet"));
    }
    if !keys.iter().all(valid) || keys.len() > 2 {
        return Err(format!("path \"{text}\" is not understood; write \"$.key\" or \"$.key.key\""));
    }
    Ok(keys)
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
fn member_column(column: &Column) -> Column {
    Column {
        type_oid: crate::names::Oid(25),
        typmod: -1,
        type_sql: "pg_catalog.text".to_owned(),
        type_sql_plain: "pg_catalog.text".to_owned(),
        type_name: "text".to_owned(),
        type_kind: 'b',
        type_category: 'S',
        not_null: false,
        generated_from: None,
        collation: None,
        ..column.clone()
    }
}
