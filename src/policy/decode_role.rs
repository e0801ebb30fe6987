//! One `[[role]]` → a [`RoleRule`] for each of its purposes. In: its table and the categories. Out: the role, complaints.

use std::{collections::HashSet, sync::Arc};

use super::{
    decode_settings::{self, choice},
    rules::{At, CategoryRule, Complaints, Kind, RoleMatch, RoleRule},
    settings::own_setting,
    toml_reader::Table,
};
use crate::diagnostic::suggestion;

const RECIPIENTS: [&str; 5] = ["internal", "carrier", "payment", "authority", "processor"];

pub(super) fn decode_role(
    mut table: Table<'_>,
    categories: &[CategoryRule],
    complaints: &mut Complaints<'_>,
) -> Vec<RoleRule> {
    let at = table.at();
    let name = if let Some(value) = table.take("name") {
        let name = value.text("name", complaints).unwrap_or_default();
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            complaints.add(value.at, "name must have at least one character, and no control characters");
        }
        name.to_owned()
    } else {
        complaints.add_with_help(at, "this role has no name", "Add `name = \"…\"`.");
        String::new()
    };
    let matching = decode_match(&mut table, complaints);
    let purposes = decode_purposes(&mut table, complaints);
    let application_purposes = decode_application_purposes(&mut table, &purposes, complaints);
    let own_settings = decode_own_settings(&mut table, complaints);
    let recipient = table.take("recipient").and_then(|value| {
        let text = value.text("recipient", complaints)?;
        choice(value.at, "recipient", text, &RECIPIENTS, complaints)
    });
    let exempt = table.take("exempt").and_then(|value| value.flag("exempt", complaints)).unwrap_or(false);
    let legal_duty = table.take("legal_duty").and_then(|value| value.flag("legal_duty", complaints)).unwrap_or(false);
    let observe = table.take("observe").and_then(|value| value.flag("observe", complaints)).unwrap_or(false);
    let lifts = decode_lifts(&mut table, exempt, complaints);
    let differing = table.take_entry("for");
    if (exempt || observe) && matching.application_name.is_some() {
        let help = "Clients choose their application_name: match by user or member_of.";
        let what = if exempt { "exempt" } else { "observed" };
        complaints.add_with_help(at, format!("an {what} role cannot be matched by application_name"), help);
    }
    if exempt {
        if observe {
            complaints.add(at, "an exempt role cannot be observed: nothing of it would be masked or refused");
        }
        for (key, key_at) in
            decode_settings::keys(&table).chain(differing.iter().map(|entry| (entry.key, entry.key_at)))
        {
            let message = format!("an exempt role sees everything, {key} has no meaning there");
            complaints.add_with_help(key_at, message, "Remove it, or remove `exempt = true`.");
        }
        if legal_duty {
            let help = "A legal duty sees what its grants say; remove one of the two.";
            complaints.add_with_help(at, "a role cannot be exempt and have a legal duty", help);
        }
    }
    let base = decode_settings::decode(&mut table, None, categories, complaints);
    let mut settings: Vec<_> = purposes.iter().map(|_| base.clone()).collect();
    let needs_consent = base.consent;
    if let Some(mut given) = differing.and_then(|entry| entry.value.table("for", complaints)) {
        for entry in given.take_all() {
            let position = purposes.iter().position(|purpose| purpose == entry.key);
            if position.is_none() {
                let help = suggestion(entry.key, "purposes", named(&purposes));
                complaints.add_with_suggestion(entry.key_at, format!("unknown purpose \"{}\"", entry.key), help);
            }
            let what = format!("for.{}", entry.key);
            let Some(mut own) = entry.value.table(&what, complaints) else { continue };
            let own_settings = decode_settings::decode(&mut own, Some(&base), categories, complaints);
            own.finish(complaints);
            if let Some(slot) = position.and_then(|position| settings.get_mut(position)) {
                *slot = own_settings;
            }
        }
    }
    let consents = settings.iter().filter_map(|settings| settings.consent).chain(needs_consent);
    if let Some(consent_at) = consents.min_by_key(|at| at.start) {
        if legal_duty {
            let help =
                "A legal duty sees what its grants say, whatever subjects have consented to; remove one of the two.";
            complaints.add_with_help(consent_at, "a role cannot need consent and have a legal duty", help);
        } else if named(&purposes).next().is_none() {
            let help = "Add `purposes = [\"…\"]`: consent is given to a purpose.";
            complaints.add_with_help(consent_at, "this role needs consent, and has no purpose", help);
        }
    }
    table.finish(complaints);
    let all: Arc<[String]> = purposes.iter().filter(|purpose| !purpose.is_empty()).cloned().collect();
    let application_purposes: Arc<[(String, String)]> = application_purposes.into();
    let own_settings: Arc<[(String, At)]> = own_settings.into();
    let lifts: Arc<[Kind]> = lifts.into();
    let recipient = recipient.unwrap_or_default();
    let entry = |(purpose, settings)| RoleRule {
        name: name.clone(),
        at,
        matching: matching.clone(),
        purpose,
        purposes: Arc::clone(&all),
        application_purposes: Arc::clone(&application_purposes),
        own_settings: Arc::clone(&own_settings),
        recipient: recipient.clone(),
        exempt,
        legal_duty,
        lifts: Arc::clone(&lifts),
        observe,
        settings,
    };
    purposes.into_iter().zip(settings).map(entry).collect()
}

/// `lifts`: the records of subjects that the role may write so that more is seen.
fn decode_lifts(table: &mut Table<'_>, exempt: bool, complaints: &mut Complaints<'_>) -> Vec<Kind> {
    let Some(value) = table.take("lifts") else { return Vec::new() };
    if exempt {
        let help = "Remove it, or remove `exempt = true`.";
        complaints.add_with_help(value.at, "an exempt role writes everything, lifts has no meaning there", help);
    }
    let mut found = Vec::new();
    for (at, text) in value.texts("lifts", complaints).unwrap_or_default() {
        let known = ["consent", "refusal", "erasure"];
        let chosen = choice(at, "kind of records", text, &known, complaints);
        found.extend(chosen.and_then(|text| match text.as_str() {
            "consent" => Some(Kind::Consent),
            "refusal" => Some(Kind::Refusal),
            "erasure" => Some(Kind::Erasure),
            _ => None,
        }));
    }
    found
}

/// The purposes, at least one: the empty one when none is given.
fn decode_purposes(table: &mut Table<'_>, complaints: &mut Complaints<'_>) -> Vec<String> {
    let given = table.take("purposes").and_then(|value| value.texts("purposes", complaints)).unwrap_or_default();
    let mut seen = HashSet::new();
    for (at, purpose) in &given {
        if purpose.trim() != *purpose || purpose.is_empty() || purpose.chars().any(char::is_control) {
            let help = "A name has at least one character, no white space around it, and no control characters.";
            complaints.add_with_help(*at, format!("\"{purpose}\" cannot be the name of a purpose"), help);
        }
        if !seen.insert(*purpose) {
            complaints.add(*at, format!("purpose \"{purpose}\" is listed twice"));
        }
    }
    if given.is_empty() {
        return vec![String::new()];
    }
    given.into_iter().map(|(_, purpose)| purpose.to_owned()).collect()
}

/// Without the empty one, which stands for a role without purposes.
fn named(purposes: &[String]) -> impl Iterator<Item = &str> {
    purposes.iter().map(String::as_str).filter(|purpose| !purpose.is_empty())
}

/// `application_purposes`: the purpose of connections with an `application_name` that ask for none.
fn decode_application_purposes(
    table: &mut Table<'_>,
    purposes: &[String],
    complaints: &mut Complaints<'_>,
) -> Vec<(String, String)> {
    let given = table.take("application_purposes").and_then(|value| value.table("application_purposes", complaints));
    let mut found = Vec::new();
    for entry in given.map(|mut given| given.take_all()).unwrap_or_default() {
        let Some(purpose) = entry.value.text("application_purposes", complaints) else { continue };
        let known: Vec<&str> = named(purposes).collect();
        if let Some(purpose) = choice(entry.value.at, "purpose", purpose, &known, complaints) {
            found.push((entry.key.to_owned(), purpose));
        }
    }
    found
}

/// `settings`: those of applications, `app.tenant` or `app.*`, that the role may set to anything.
fn decode_own_settings(table: &mut Table<'_>, complaints: &mut Complaints<'_>) -> Vec<(String, At)> {
    let given = table.take("settings").and_then(|value| value.texts("settings", complaints)).unwrap_or_default();
    let mut found = Vec::new();
    for (at, name) in given {
        match own_setting(name, &[]) {
            Ok(()) => found.push((name.to_owned(), at)),
            Err(why) => {
                complaints.add_with_help(at, format!("setting \"{name}\" cannot be given to a role: {why}"), HELP);
            }
        }
    }
    found
}

/// What settings are for.
pub(super) const HELP: &str = "Only settings of applications themselves can be, such as \"app.tenant\": row-level policies and functions read \
     them, and the server knows nothing of them.";

fn decode_match(table: &mut Table<'_>, complaints: &mut Complaints<'_>) -> RoleMatch {
    let help = "Add `match = { user = [\"…\"] }`; its keys are user, member_of, database and application_name.";
    let Some(value) = table.take("match") else {
        complaints.add_with_help(table.at(), "this role matches no connection: it has no match", help);
        return RoleMatch::default();
    };
    let Some(mut keys) = value.table("match", complaints) else { return RoleMatch::default() };
    let mut values = |key: &'static str| -> Option<Vec<String>> {
        let value = keys.take(key)?;
        if let Some(single) = value.raw.as_str() {
            return Some(vec![single.to_owned()]);
        }
        let Some(texts) = value.texts(key, complaints) else { return Some(Vec::new()) };
        if texts.is_empty() {
            complaints.add(value.at, format!("{key} lists nothing, so that the role matches no connection"));
        }
        Some(texts.into_iter().map(|(_, text)| text.to_owned()).collect())
    };
    let matching = RoleMatch {
        user: values("user"),
        member_of: values("member_of"),
        database: values("database"),
        application_name: values("application_name"),
    };
    if matching == RoleMatch::default() {
        complaints.add_with_help(value.at, "match names nothing to match by", help);
    }
    keys.finish(complaints);
    matching
}
