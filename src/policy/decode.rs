//! TOML → [`RuleSet`]. In: rule files in order. Out: categories and roles with the place of everything that a later
//! complaint may be about. Invariant: strict; an unknown key, a second definition or a wrong type is a complaint.

use std::{collections::HashMap, sync::Arc};

use toml::de::DeTable;

use super::{
    decode_role::decode_role,
    decode_settings::{complain_of_misplaced, decode_functions},
    decode_subject::Subjects,
    pattern,
    rules::{At, CategoryRule, ColumnRule, Complaints, NONE, RoleRule, RuleFile, RuleSet},
    toml_reader::{Table, Value},
};
use crate::diagnostic::{Diagnostics, suggestion};

/// Decodes `files`, which stand in order.
pub(super) fn decode(files: Vec<RuleFile>, hash: String) -> Result<RuleSet, Diagnostics> {
    let mut complaints = Complaints::new(&files);
    let parsed: Vec<_> = files.iter().enumerate().map(|(index, file)| parse(index, file, &mut complaints)).collect();
    // What a file that cannot be read defines is missing everywhere else.
    if !complaints.is_empty() {
        return Err(complaints.into_diagnostics());
    }
    let mut policy: Option<(At, String)> = None;
    let mut categories: Vec<CategoryRule> = Vec::new();
    let mut role_tables: Vec<Table<'_>> = Vec::new();
    let mut subjects = Subjects::default();
    let mut writes_no_temporary_tables = Vec::new();
    for (index, document) in parsed.iter().enumerate() {
        let start = At { file: index, start: 0, end: 0 };
        let mut table = Table::new(index, start, "a rule file", document);
        if let Some(entry) = table.take_entry("policy") {
            decode_policy(&entry.value, entry.key_at, &mut policy, &mut complaints);
        }
        if let Some(value) = table.take("writes_no_temporary_tables") {
            let key = "writes_no_temporary_tables";
            writes_no_temporary_tables.extend(decode_functions(key, &value, &mut complaints));
        }
        if let Some(value) = table.take("category")
            && let Some(mut all) = value.table("category", &mut complaints)
        {
            for entry in all.take_all() {
                decode_category(entry.key, entry.key_at, &entry.value, &mut categories, &mut complaints);
            }
        }
        if let Some(value) = table.take("role") {
            let items = value.list("role (write `[[role]]`)", &mut complaints).unwrap_or_default();
            role_tables.extend(items.iter().filter_map(|item| item.table("[[role]]", &mut complaints)));
        }
        subjects.take(&mut table, &mut complaints);
        complain_of_misplaced(&mut table, &mut complaints);
        table.finish(&mut complaints);
    }
    let mut roles = Vec::new();
    let mut names: HashMap<String, At> = HashMap::new();
    for table in role_tables {
        let entries = decode_role(table, &categories, &mut complaints);
        if let Some(role) = entries.first()
            && !role.name.is_empty()
            && let Some(first) = names.insert(role.name.clone(), role.at)
        {
            let message = format!("role \"{}\" is defined twice", role.name);
            let help = format!("The first definition is at {}.", complaints.origin(first));
            complaints.add_with_help(role.at, message, help);
        }
        roles.extend(entries);
    }
    let grants = subjects.grants(&categories, &roles, &mut complaints);
    let Subjects { subject, consent, refusal, erasure, deadlines, .. } = subjects;
    complain_of_switches(&roles, &mut complaints);
    let whole = files.first().map_or_else(|| Arc::from("rules"), |file| file.path.clone());
    if complaints.is_empty() {
        if policy.is_none() {
            complaints.add_whole(whole, "no rule file sets policy", "Add a line such as `policy = \"shop-2026-01\"`.");
        } else if roles.is_empty() {
            let help = "Add at least one; a connection that matches no role is refused.";
            complaints.add_whole(whole, "no rule file has a [[role]]", help);
        } else if roles.len() > usize::from(u16::MAX) {
            complaints.add_whole(whole, "there are too many roles", "At most 65535 roles are possible.");
        }
    }
    if !complaints.is_empty() {
        return Err(complaints.into_diagnostics());
    }
    let policy = policy.map(|(_, name)| name).unwrap_or_default();
    drop(parsed);
    Ok(RuleSet {
        files,
        policy,
        hash,
        categories,
        roles,
        subject,
        consent,
        refusal,
        erasure,
        deadlines,
        grants,
        writes_no_temporary_tables,
    })
}

/// A restricted role by `application_name` before an exempt one for the same user would let the client choose.
fn complain_of_switches(roles: &[RoleRule], complaints: &mut Complaints<'_>) {
    for (index, exempt) in roles.iter().enumerate().filter(|(_, role)| role.exempt || role.observe) {
        let earlier = roles.iter().take(index).find(|role| {
            let users = role.matching.user.iter().flatten();
            let same = |user: &String| exempt.matching.user.as_ref().is_none_or(|users| users.contains(user));
            let shared = role.matching.user.is_none() || users.into_iter().any(same);
            !role.exempt && !role.observe && role.matching.application_name.is_some() && shared
        });
        if let Some(earlier) = earlier {
            let message = format!("clients can leave role \"{}\" for exempt role \"{}\"", earlier.name, exempt.name);
            let help = "Both match the same user and the first one asks for an application_name, which clients choose; \
                        match the first by user or member_of alone.";
            complaints.add_with_help(exempt.at, message, help);
        }
    }
}

/// The TOML of one file; empty after a syntax error, which is complained about.
pub(super) fn parse<'t>(index: usize, file: &'t RuleFile, complaints: &mut Complaints<'_>) -> DeTable<'t> {
    let (document, errors) = DeTable::parse_recoverable(&file.text);
    if errors.is_empty() {
        return document.into_inner();
    }
    // What follows the first error is mostly its consequence.
    if let Some(error) = errors.first() {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        let at = At { file: index, start: span.start, end: span.end };
        if message.contains("must be quoted") {
            let help = "Texts stand in straight double quotes, \"like this\"; numbers, true and false stand without.";
            complaints.add_with_help(at, message, help);
        } else {
            complaints.add(at, message);
        }
    }
    DeTable::new()
}

fn decode_policy(value: &Value<'_>, key_at: At, policy: &mut Option<(At, String)>, complaints: &mut Complaints<'_>) {
    let Some(text) = value.text("policy", complaints) else { return };
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        complaints.add(value.at, "policy must be a name of at least one character, without control characters");
    } else if let Some((first, _)) = policy {
        let help = format!("It is already set at {}.", complaints.origin(*first));
        complaints.add_with_help(key_at, "policy is set twice", help);
    } else {
        *policy = Some((key_at, text.to_owned()));
    }
}

fn decode_category(
    name: &str,
    key_at: At,
    value: &Value<'_>,
    categories: &mut Vec<CategoryRule>,
    complaints: &mut Complaints<'_>,
) {
    let what = format!("[category.{name}]");
    let Some(mut table) = value.table(&what, complaints) else { return };
    if let Some(first) = categories.iter().find(|category| &*category.name == name) {
        let help = format!("The first definition is at {}.", complaints.origin(first.at));
        complaints.add_with_help(key_at, format!("category \"{name}\" is defined twice"), help);
    }
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if name == "unclassified" || name.is_empty() || !name.chars().all(valid) {
        let help = "Use lower-case letters, digits, `_` and `-`; `unclassified` is reserved.";
        complaints.add_with_help(key_at, format!("\"{name}\" cannot be the name of a category"), help);
    }
    let title = table.take("title").and_then(|value| value.text("title", complaints)).map(str::to_owned);
    let sensitive = table.take("sensitivity").and_then(|value| {
        let text = value.text("sensitivity", complaints)?;
        if !["basic", "sensitive"].contains(&text) {
            let message = format!("unknown sensitivity \"{text}\"");
            complaints.add_with_help(value.at, message, "Write \"basic\" or \"sensitive\".");
        }
        Some(text == "sensitive")
    });
    let columns = match table.take("columns") {
        Some(value) => {
            let texts = value.texts("columns", complaints).unwrap_or_default();
            texts.into_iter().filter_map(|(at, text)| decode_column(at, text, complaints)).collect()
        }
        None => Vec::new(),
    };
    table.finish(complaints);
    let sensitive = sensitive.unwrap_or(false);
    categories.push(CategoryRule { name: name.into(), at: key_at, columns, title, sensitive });
}

pub(super) fn decode_column(at: At, text: &str, complaints: &mut Complaints<'_>) -> Option<ColumnRule> {
    let help = "Write schema.table.column, each part as the catalog stores it; a part that contains a dot in double \
                quotes, `*` for any.";
    match pattern::split(text).map(<[pattern::Part; 3]>::try_from) {
        Ok(Ok(parts)) => Some(ColumnRule { parts, text: text.to_owned(), at }),
        Ok(Err(parts)) => {
            let message = format!("a column name has three parts, this one has {}", parts.len());
            complaints.add_with_help(at, message, help);
            None
        }
        Err(why) => {
            complaints.add_with_help(at, format!("not a column name: {why}"), help);
            None
        }
    }
}

/// The index of category `name`, or a complaint.
pub(super) fn category_index(
    name: &str,
    at: At,
    categories: &[CategoryRule],
    complaints: &mut Complaints<'_>,
) -> Option<usize> {
    let index = categories.iter().position(|category| &*category.name == name);
    if index.is_none() {
        // Of what is not personal no role says what it sees.
        let personal = categories.iter().map(|category| &*category.name).filter(|name| *name != NONE);
        let help = suggestion(name, "categories", personal);
        complaints.add_with_suggestion(at, format!("unknown category \"{name}\""), help);
    }
    index
}
