//! `[subject]`, `[consent]`, `[refusal]`, `[erasure]` and `[[grant]]`. In: their tables. Out: rules, complaints.

use super::{
    decode::{category_index, decode_column},
    decode_settings::{choice, decode_see, decode_table_name},
    rules::{
        At, CategoryRule, ColumnRule, Complaints, DeadlinesRule, Given, GrantRule, LinkRule, Moment, NamedRecordsRule,
        Orphans, RecordsRule, RoleRule, SubjectRule, TreatmentRule, Within,
    },
    toml_reader::{Table, Value},
};
use crate::diagnostic::suggestion;

/// What the rule files say of data subjects; grants wait until roles and categories are known.
#[derive(Default)]
pub(super) struct Subjects<'t> {
    pub subject: Option<SubjectRule>,
    pub consent: Option<NamedRecordsRule>,
    pub refusal: Option<NamedRecordsRule>,
    pub erasure: Option<RecordsRule>,
    pub deadlines: Option<DeadlinesRule>,
    grants: Vec<Table<'t>>,
}

impl<'t> Subjects<'t> {
    /// Takes what one file says.
    pub fn take(&mut self, file: &mut Table<'t>, complaints: &mut Complaints<'_>) {
        if let Some(entry) = file.take_entry("subject")
            && let Some(table) = entry.value.table("[subject]", complaints)
        {
            let first = self.subject.as_ref().map(|subject| subject.at);
            once("[subject]", entry.key_at, first, complaints);
            self.subject = decode_subject(table, entry.key_at, complaints).or(self.subject.take());
        }
        for (key, of, slot) in [("consent", "purpose", &mut self.consent), ("refusal", "category", &mut self.refusal)] {
            if let Some(entry) = file.take_entry(key) {
                let what = format!("[{key}]");
                once(&what, entry.key_at, slot.as_ref().map(|named| named.records.at), complaints);
                if let Some(mut table) = entry.value.table(&what, complaints) {
                    let of = needed(&mut table, of, &what, entry.key_at, complaints)
                        .and_then(|value| value.text(of, complaints).map(str::to_owned));
                    let categories =
                        if key == "refusal" { decode_stands_for(&mut table, complaints) } else { Vec::new() };
                    let records = decode_records(table, &what, entry.key_at, complaints);
                    let found = records.zip(of).map(|(records, of)| NamedRecordsRule { records, of, categories });
                    *slot = found.or(slot.take());
                }
            }
        }
        if let Some(entry) = file.take_entry("erasure") {
            once("[erasure]", entry.key_at, self.erasure.as_ref().map(|records| records.at), complaints);
            if let Some(mut table) = entry.value.table("[erasure]", complaints) {
                self.deadlines = decode_deadlines(&mut table, complaints).or(self.deadlines.take());
                self.erasure = decode_records(table, "[erasure]", entry.key_at, complaints).or(self.erasure.take());
            }
        }
        if let Some(value) = file.take("grant") {
            let items = value.list("grant (write `[[grant]]`)", complaints).unwrap_or_default();
            self.grants.extend(items.iter().filter_map(|item| item.table("[[grant]]", complaints)));
        }
    }

    /// Decodes the grants; complains about records without a `[subject]`.
    pub fn grants(
        &mut self,
        categories: &[CategoryRule],
        roles: &[RoleRule],
        complaints: &mut Complaints<'_>,
    ) -> Vec<GrantRule> {
        if self.subject.is_none() {
            let named = |named: &Option<NamedRecordsRule>| named.as_ref().map(|named| named.records.at);
            let known = [
                ("[consent]", named(&self.consent)),
                ("[refusal]", named(&self.refusal)),
                ("[erasure]", self.erasure.as_ref().map(|records| records.at)),
            ];
            for (what, at) in known {
                if let Some(at) = at {
                    let help = "Add `[subject]` with `key = \"schema.table.column\"` and the `links` that lead to it.";
                    complaints.add_with_help(at, format!("{what} without [subject]"), help);
                }
            }
        }
        for (name, at) in self.refusal.iter().flat_map(|refusal| &refusal.categories).flat_map(|(_, named)| named) {
            category_index(name, *at, categories, complaints);
        }
        for role in roles {
            if let (Some(at), None) = (role.settings.consent, &self.consent) {
                let help = "Add `[consent]`, which says where consent is recorded.";
                complaints.add_with_help(at, "consent is needed, and the rules do not say where it is recorded", help);
            }
        }
        let tables = std::mem::take(&mut self.grants);
        tables.into_iter().filter_map(|table| decode_grant(table, categories, roles, complaints)).collect()
    }
}

/// `categories = { address = ["street", "province"] }`: what a stored category stands for.
fn decode_stands_for(table: &mut Table<'_>, complaints: &mut Complaints<'_>) -> Vec<(String, Vec<(String, At)>)> {
    let given = table.take("categories").and_then(|value| value.table("categories", complaints));
    let mut found = Vec::new();
    for entry in given.map(|mut given| given.take_all()).unwrap_or_default() {
        let named = entry.value.texts("categories", complaints).unwrap_or_default();
        if named.is_empty() {
            complaints.add_with_help(
                entry.value.at,
                "no category is named here",
                "Write the names of categories in a list.",
            );
        }
        found.push((entry.key.to_owned(), named.into_iter().map(|(at, name)| (name.to_owned(), at)).collect()));
    }
    found
}

fn once(what: &str, at: At, first: Option<At>, complaints: &mut Complaints<'_>) {
    if let Some(first) = first {
        let help = format!("The first definition is at {}.", complaints.origin(first));
        complaints.add_with_help(at, format!("{what} is defined twice"), help);
    }
}

fn decode_subject(mut table: Table<'_>, at: At, complaints: &mut Complaints<'_>) -> Option<SubjectRule> {
    let key = table.take("key").and_then(|value| {
        let text = value.text("key", complaints)?;
        exact_column(value.at, text, complaints)
    });
    if key.is_none() {
        complaints.add_with_help(at, "[subject] has no key", "Add `key = \"schema.table.column\"`, a unique column.");
    }
    let mut links = Vec::new();
    if let Some(mut given) = table.take("links").and_then(|value| value.table("links", complaints)) {
        for entry in given.take_all() {
            let from = exact_column(entry.key_at, entry.key, complaints);
            let (to, columns) = match entry.value.raw.as_table() {
                Some(_) => decode_link(&entry.value, complaints),
                None => (entry.value.text("links", complaints).map(|to| (entry.value.at, to)), None),
            };
            let to = to.and_then(|(at, to)| exact_column(at, to, complaints));
            links.extend(from.zip(to).map(|(from, to)| LinkRule { from, to, columns }));
        }
    }
    let unlinked = table.take("unlinked").and_then(|value| value.texts("unlinked", complaints)).unwrap_or_default();
    let unlinked = unlinked.into_iter().filter_map(|(at, text)| Some((decode_table_name(text, at, complaints)?, at)));
    let unlinked = unlinked.collect();
    let orphans = table.take("orphans").and_then(|value| {
        let text = value.text("orphans", complaints)?;
        choice(value.at, "value of orphans", text, &["hide", "show"], complaints)
    });
    let orphans = if orphans.as_deref() == Some("show") { Orphans::Show } else { Orphans::Hide };
    table.finish(complaints);
    Some(SubjectRule { key: key?, links, unlinked, orphans, at })
}

/// What a link refers to, with its place, and the names of columns that it alone matters to.
type DecodedLink<'t> = (Option<(At, &'t str)>, Option<Vec<(String, At)>>);

/// `{ to = "…", columns = […] }`.
fn decode_link<'t>(value: &Value<'t>, complaints: &mut Complaints<'_>) -> DecodedLink<'t> {
    let Some(mut table) = value.table("links", complaints) else { return (None, None) };
    let to = needed(&mut table, "to", "this link", value.at, complaints);
    let to = to.and_then(|to| Some((to.at, to.text("to", complaints)?)));
    let columns = table.take("columns").and_then(|given| {
        let names = given.texts("columns", complaints)?;
        if names.is_empty() {
            complaints.add_with_help(given.at, "this link names no columns", "Name some, or leave `columns` out.");
        }
        Some(names.into_iter().map(|(at, name)| (name.to_owned(), at)).collect())
    });
    table.finish(complaints);
    (to, columns)
}

/// A column name without `*`.
fn exact_column(at: At, text: &str, complaints: &mut Complaints<'_>) -> Option<ColumnRule> {
    let column = decode_column(at, text, complaints)?;
    if column.parts.contains(&super::pattern::Part::Any) {
        complaints.add_with_help(at, "`*` cannot stand here", "Name one column: \"schema.table.column\".");
        return None;
    }
    Some(column)
}

/// The value of a key that must be there.
fn needed<'t>(
    table: &mut Table<'t>,
    key: &'static str,
    what: &str,
    at: At,
    complaints: &mut Complaints<'_>,
) -> Option<Value<'t>> {
    let value = table.take(key);
    if value.is_none() {
        complaints.add_with_help(at, format!("{what} has no {key}"), format!("Add `{key} = \"…\"`."));
    }
    value
}

fn decode_records(mut table: Table<'_>, what: &str, at: At, complaints: &mut Complaints<'_>) -> Option<RecordsRule> {
    let mut need = |key: &'static str| needed(&mut table, key, what, at, complaints);
    let (records, subject) = (need("records"), need("subject"));
    let records = records.and_then(|value| {
        let text = value.text("records", complaints)?;
        decode_table_name(text, value.at, complaints)
    });
    let subject = subject.and_then(|value| value.text("subject", complaints));
    let condition = table.take("where").and_then(|value| {
        let text = value.text("where", complaints)?;
        Some((text.to_owned(), value.at))
    });
    table.finish(complaints);
    Some(RecordsRule { table: records?, subject: subject?.to_owned(), condition, at })
}

/// `requested_at`, `answer_within` and `carry_out_within` of `[erasure]`.
fn decode_deadlines(table: &mut Table<'_>, complaints: &mut Complaints<'_>) -> Option<DeadlinesRule> {
    let requested = table.take("requested_at");
    let answer = table.take("answer_within");
    let carry_out = table.take("carry_out_within");
    let mut read = |value: Option<&Value<'_>>, key: &str| {
        let value = value?;
        if requested.is_none() {
            let help = "Add `requested_at = \"…\"`, the column with the moment of the request.";
            complaints.add_with_help(value.at, format!("{key} without requested_at"), help);
        }
        let found = within(value.text(key, complaints)?);
        if found.is_none() {
            let help =
                "Write a number from 1 to 3650 with its unit: \"20 days\" or \"2 working days\" (Monday to Friday).";
            complaints.add_with_help(value.at, format!("{key} is no number of days"), help);
        }
        found
    };
    let (answer, carry_out) = (read(answer.as_ref(), "answer_within"), read(carry_out.as_ref(), "carry_out_within"));
    let requested_at = requested.as_ref()?.text("requested_at", complaints)?.to_owned();
    Some(DeadlinesRule { requested_at, answer, carry_out })
}

/// `20 days` or `2 working days`.
fn within(text: &str) -> Option<Within> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (number, working) = match words.as_slice() {
        [number, "day" | "days"] => (number, false),
        [number, "working", "day" | "days"] => (number, true),
        _ => return None,
    };
    let days = number.parse().ok().filter(|days| (1..=3650).contains(days))?;
    Some(Within { days, working })
}

fn decode_grant(
    mut table: Table<'_>,
    categories: &[CategoryRule],
    roles: &[RoleRule],
    complaints: &mut Complaints<'_>,
) -> Option<GrantRule> {
    let at = table.at();
    let mut need = |key: &'static str| -> Option<Value<'_>> {
        let value = table.take(key);
        if value.is_none() {
            complaints.add_with_help(at, format!("this grant has no {key}"), format!("Add `{key} = …`."));
        }
        value
    };
    let keys = ["role", "document", "from", "until", "subjects", "see"];
    let [role, document, from, until, subjects, see_value] = keys.map(&mut need);
    let role = role.and_then(|value| Some((value.text("role", complaints)?.to_owned(), value.at)));
    if let Some((name, role_at)) = &role {
        match roles.iter().find(|role| role.name == *name) {
            None => {
                let help = suggestion(name, "roles", roles.iter().map(|role| role.name.as_str()));
                complaints.add_with_suggestion(*role_at, format!("unknown role \"{name}\""), help);
            }
            Some(role) if !role.legal_duty => {
                let help = "Add `legal_duty = true` to the role: only such a role is opened by grants.";
                complaints.add_with_help(*role_at, format!("role \"{name}\" has no legal duty"), help);
            }
            Some(_) => {}
        }
    }
    let document = document.and_then(|value| {
        let text = value.text("document", complaints)?;
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            complaints.add(value.at, "document must be a number or name of at least one character");
        }
        Some(text.to_owned())
    });
    let from_at = from.map(|value| value.at);
    let from = from.and_then(|value| moment(&value, "from", complaints));
    let until = until.and_then(|value| moment(&value, "until", complaints));
    if let (Some(from), Some(until), Some(at)) = (&from, &until, from_at)
        && from.seconds >= until.seconds
    {
        complaints.add(at, "this grant ends before it begins");
    }
    let subjects = subjects.and_then(|value| decode_subjects(&value, complaints));
    let mut see: Vec<Option<Given>> = categories.iter().map(|_| None).collect();
    if let Some(value) = see_value {
        decode_see(&value, categories, &mut see, complaints);
        let opens = |given: &Given| matches!(given.treatment, TreatmentRule::Clear | TreatmentRule::Mask(_));
        let understood = see.iter().flatten().count();
        if value.raw.as_table().is_some_and(|table| table.len() == understood) && !see.iter().flatten().any(opens) {
            let help = "Write what it shows, such as `see = { name = \"clear\" }`, or take the grant out.";
            complaints.add_with_help(value.at, "this grant opens nothing", help);
        }
    }
    table.finish(complaints);
    Some(GrantRule { role: role?, document: document?, from: from?, until: until?, subjects: subjects?, see, at })
}

/// `subjects = "all"`, or a list of keys: integers or strings.
#[expect(clippy::option_option, reason = "outer: sound or not; inner: some subjects or all")]
fn decode_subjects(value: &Value<'_>, complaints: &mut Complaints<'_>) -> Option<Option<Vec<String>>> {
    if value.raw.as_str() == Some("all") {
        return Some(None);
    }
    let help = "Write the keys of the subjects, such as [17, 4211], or \"all\".";
    let Some(array) = value.raw.as_array() else {
        complaints.add_with_help(value.at, "subjects must be a list of keys, or \"all\"", help);
        return None;
    };
    let mut keys = Vec::new();
    for item in array {
        let raw = item.get_ref();
        match (raw.as_str(), raw.as_integer()) {
            (Some(text), _) if !text.chars().any(char::is_control) => keys.push(text.to_owned()),
            (None, Some(number)) => keys.push(number.as_str().replace('_', "")),
            (_, _) => {
                complaints.add_with_help(value.at, "a subject's key is an integer or a string", help);
                return None;
            }
        }
    }
    if keys.is_empty() {
        complaints.add_with_help(value.at, "subjects lists nobody", help);
        return None;
    }
    Some(Some(keys))
}

/// A date and time with offset.
fn moment(value: &Value<'_>, what: &str, complaints: &mut Complaints<'_>) -> Option<Moment> {
    let read = value.raw.as_datetime().and_then(|datetime| {
        let text = datetime.to_string();
        Some(Moment { seconds: text.parse::<jiff::Timestamp>().ok()?.as_second(), text })
    });
    if read.is_none() {
        let help = "Write a date and time with its offset and without quotes, such as 2026-12-01T00:00:00+07:00.";
        complaints.add_with_help(value.at, format!("{what} is not a moment"), help);
    }
    read
}
