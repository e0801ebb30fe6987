//! One `[[role]]` → [`RoleRule`]. In: its table and the categories. Out: the role, complaints.

use super::{
    Search, WriteBack,
    decode::category_index,
    masks,
    pattern::{self, Part},
    rules::{At, CategoryRule, Complaints, FunctionRule, Given, NONE, RoleMatch, RoleRule, TreatmentRule},
    toml_reader::{Table, Value},
};
use crate::diagnostic::suggestion;

const RECIPIENTS: [&str; 5] = ["internal", "carrier", "payment", "authority", "processor"];

pub(super) fn decode_role(
    mut table: Table<'_>,
    categories: &[CategoryRule],
    complaints: &mut Complaints<'_>,
) -> RoleRule {
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
    let purposes = table.take("purposes").and_then(|value| value.texts("purposes", complaints)).unwrap_or_default();
    let recipient = table.take("recipient").and_then(|value| {
        let text = value.text("recipient", complaints)?;
        choice(value.at, "recipient", text, &RECIPIENTS, complaints)
    });
    let exempt = table.take("exempt").and_then(|value| value.flag("exempt", complaints)).unwrap_or(false);
    let explain = table.take("explain").and_then(|value| value.flag("explain", complaints)).unwrap_or(false);
    let see_entry = table.take_entry("see");
    let otherwise_entry = table.take_entry("otherwise");
    let search_entry = table.take_entry("search");
    let write_back_entry = table.take_entry("write_back");
    let functions_entry = table.take_entry("functions");
    if exempt {
        if matching.application_name.is_some() {
            let help = "Clients choose their application_name: match by user or member_of.";
            complaints.add_with_help(at, "an exempt role cannot be matched by application_name", help);
        }
        let given = [&see_entry, &otherwise_entry, &search_entry, &write_back_entry, &functions_entry];
        for entry in given.into_iter().flatten() {
            let message = format!("an exempt role sees everything, {} has no meaning there", entry.key);
            complaints.add_with_help(entry.key_at, message, "Remove it, or remove `exempt = true`.");
        }
    }

    let mut see: Vec<Option<Given>> = categories.iter().map(|_| None).collect();
    if let Some(mut given) = see_entry.and_then(|entry| entry.value.table("see", complaints)) {
        for entry in given.take_all() {
            let treatment = decode_treatment(&entry.value, complaints);
            let index = category_index(entry.key, entry.key_at, categories, complaints);
            if entry.key == NONE {
                let help = "Columns of category none are reviewed and not personal: every role sees them in clear.";
                complaints.add_with_help(entry.key_at, "category none cannot be treated", help);
            }
            if let (Some(slot), Some(treatment)) = (index.and_then(|index| see.get_mut(index)), treatment) {
                *slot = Some(Given { treatment, at: join(entry.key_at, entry.value.at) });
            }
        }
    }
    let otherwise = otherwise_entry.and_then(|entry| {
        let treatment = decode_treatment(&entry.value, complaints)?;
        if let TreatmentRule::Mask(_) = treatment {
            let help = "Categories have columns of many types: name masks in `see`; here write \"withhold\", \
                        \"refuse\" or \"clear\".";
            complaints.add_with_help(entry.value.at, "otherwise cannot be a mask", help);
        }
        Some(Given { treatment, at: join(entry.key_at, entry.value.at) })
    });
    let mut search = vec![Search::Masked; categories.len()];
    if let Some(mut given) = search_entry.and_then(|entry| entry.value.table("search", complaints)) {
        for entry in given.take_all() {
            let mode = entry.value.text("search", complaints).and_then(|text| {
                let known = ["masked", "exact", "refuse"];
                match choice(entry.value.at, "search", text, &known, complaints)?.as_str() {
                    "exact" => Some(Search::Exact),
                    "refuse" => Some(Search::Refuse),
                    _ => Some(Search::Masked),
                }
            });
            let index = category_index(entry.key, entry.key_at, categories, complaints);
            if let (Some(slot), Some(mode)) = (index.and_then(|index| search.get_mut(index)), mode) {
                *slot = mode;
            }
        }
    }
    let write_back = write_back_entry.and_then(|entry| {
        let text = entry.value.text("write_back", complaints)?;
        match choice(entry.value.at, "write_back", text, &["keep", "refuse", "allow"], complaints)?.as_str() {
            "refuse" => Some(WriteBack::Refuse),
            "allow" => Some(WriteBack::Allow),
            _ => Some(WriteBack::Keep),
        }
    });
    let functions = functions_entry.and_then(|entry| entry.value.texts("functions", complaints)).unwrap_or_default();
    let functions = functions.into_iter().filter_map(|(at, text)| decode_function(at, text, complaints)).collect();
    table.finish(complaints);
    RoleRule {
        name,
        at,
        matching,
        purposes: purposes.into_iter().map(|(_, text)| text.to_owned()).collect(),
        recipient: recipient.unwrap_or_default(),
        exempt,
        explain,
        see,
        otherwise: otherwise.unwrap_or(Given { treatment: TreatmentRule::Withhold, at }),
        search,
        write_back: write_back.unwrap_or(WriteBack::Keep),
        functions,
    }
}

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
        let texts = value.texts(key, complaints).unwrap_or_default();
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

fn decode_treatment(value: &Value<'_>, complaints: &mut Complaints<'_>) -> Option<TreatmentRule> {
    if let Some(name) = value.raw.as_str() {
        return match name {
            "clear" | "pass" => Some(TreatmentRule::Clear),
            "withhold" => Some(TreatmentRule::Withhold),
            "refuse" => Some(TreatmentRule::Refuse),
            _ => masks::decode(name, value.at, None, complaints).map(TreatmentRule::Mask),
        };
    }
    if value.raw.as_table().is_none() {
        let help = "Write \"clear\", \"withhold\", \"refuse\", the name of a mask, or a mask with parameters: \
                    { mask = \"partial\", first = 3, last = 2 }.";
        complaints.add_with_help(value.at, "a treatment is a string or a table", help);
        return None;
    }
    masks::decode_table(value, complaints).map(TreatmentRule::Mask)
}

fn decode_function(at: At, text: &str, complaints: &mut Complaints<'_>) -> Option<FunctionRule> {
    if let Ok(Ok([Part::Name(schema), Part::Name(name)])) = pattern::split(text).map(<[Part; 2]>::try_from) {
        return Some(FunctionRule { schema, name, at });
    }
    complaints.add_with_help(at, "not the name of a function", "Write schema.name, without arguments or `*`.");
    None
}

fn choice(at: At, what: &str, text: &str, known: &[&str], complaints: &mut Complaints<'_>) -> Option<String> {
    if known.contains(&text) {
        return Some(text.to_owned());
    }
    let help = suggestion(text, "values", known.iter().copied()).unwrap_or_default();
    complaints.add_with_help(at, format!("unknown {what} \"{text}\""), help);
    None
}

/// From the start of `first` to the end of `last`.
fn join(first: At, last: At) -> At {
    At { file: first.file, start: first.start, end: last.end }
}
