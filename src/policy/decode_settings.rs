//! What of a `[[role]]` may differ by purpose → [`Settings`]. In: the table of the role, or of one purpose with what it
//! starts from. Out: the settings, complaints.

use super::{
    Limits, Rates, Search, WriteBack,
    decode::category_index,
    masks,
    pattern::{self, Part},
    rules::{
        At, Barrier, CategoryRule, Complaints, FunctionRule, Given, Guarding, NONE, RowsRule, Settings, TreatmentRule,
    },
    toml_reader::{Entry, Table, Value},
};
use crate::diagnostic::suggestion;

/// Every key that is decoded here.
const KEYS: [&str; 10] =
    ["see", "otherwise", "search", "write_back", "store_masks", "functions", "explain", "rows", "consent", "limits"];

/// Those of them that the table has and that have no meaning for an exempt role.
pub(super) fn keys<'t>(table: &Table<'t>) -> impl Iterator<Item = (&'t str, At)> {
    table.places(&KEYS).into_iter().filter(|(key, _)| *key != "explain")
}

/// `[see]` behind a role is a table of the file, by the rules of TOML, and not one of the role.
pub(super) fn complain_of_misplaced(file: &mut Table<'_>, complaints: &mut Complaints<'_>) {
    for (key, at) in file.take_misplaced(&KEYS) {
        let help = format!("Write it among the keys of a [[role]], or as [role.{key}] behind one.");
        complaints.add_with_help(at, format!("{key} belongs to a role"), help);
    }
}

/// Decodes the settings in `table`; what it leaves out is as in `base`.
pub(super) fn decode(
    table: &mut Table<'_>,
    base: Option<&Settings>,
    categories: &[CategoryRule],
    complaints: &mut Complaints<'_>,
) -> Settings {
    let at = table.at();
    let mut settings = base.cloned().unwrap_or_else(|| Settings {
        explain: false,
        see: categories.iter().map(|_| None).collect(),
        otherwise: Given { treatment: TreatmentRule::Withhold, at },
        search: vec![Search::Masked; categories.len()],
        write_back: WriteBack::Keep,
        refuses_masks: false,
        functions: Vec::new(),
        rows: Vec::new(),
        limits: Limits::default(),
        consent: None,
    });
    if let Some(explain) = table.take("explain").and_then(|value| value.flag("explain", complaints)) {
        settings.explain = explain;
    }
    if let Some(value) = table.take("see") {
        decode_see(&value, categories, &mut settings.see, complaints);
    }
    let otherwise = table.take_entry("otherwise").and_then(|entry| decode_otherwise(&entry, complaints));
    settings.otherwise = otherwise.unwrap_or(settings.otherwise);
    if let Some(value) = table.take("search") {
        decode_search(&value, categories, &mut settings.search, complaints);
    }
    if let Some(value) = table.take("write_back") {
        let text = value.text("write_back", complaints);
        let known = ["keep", "refuse", "allow"];
        let chosen = text.and_then(|text| choice(value.at, "write_back", text, &known, complaints));
        settings.write_back = match chosen.as_deref() {
            Some("refuse") => WriteBack::Refuse,
            Some("allow") => WriteBack::Allow,
            Some("keep") => WriteBack::Keep,
            Some(_) | None => settings.write_back,
        };
    }
    if let Some(value) = table.take("store_masks") {
        let text = value.text("store_masks", complaints);
        let chosen = text.and_then(|text| choice(value.at, "store_masks", text, &["allow", "refuse"], complaints));
        settings.refuses_masks = chosen.map_or(settings.refuses_masks, |chosen| chosen == "refuse");
    }
    if let Some(value) = table.take("functions") {
        settings.functions = decode_functions("functions", &value, complaints);
    }
    if let Some(value) = table.take("rows") {
        for rows in decode_rows(&value, complaints) {
            settings.rows.retain(|other| other.table != rows.table);
            settings.rows.push(rows);
        }
    }
    if let Some(value) = table.take("limits") {
        decode_limits(&value, &mut settings.limits, complaints);
    }
    if let Some(entry) = table.take_entry("consent")
        && let Some(needed) = entry.value.flag("consent", complaints)
    {
        settings.consent = needed.then_some(join(entry.key_at, entry.value.at));
    }
    settings
}

/// Decodes `see` of a role or a grant into `see`, by index of the category.
pub(super) fn decode_see(
    value: &Value<'_>,
    categories: &[CategoryRule],
    see: &mut [Option<Given>],
    complaints: &mut Complaints<'_>,
) {
    let Some(mut given) = value.table("see", complaints) else { return };
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

fn decode_otherwise(entry: &Entry<'_>, complaints: &mut Complaints<'_>) -> Option<Given> {
    let treatment = decode_treatment(&entry.value, complaints)?;
    if let TreatmentRule::Mask(_) = treatment {
        let help = "Categories have columns of many types: name masks in `see`; here write \"withhold\", \
                    \"refuse\" or \"clear\".";
        complaints.add_with_help(entry.value.at, "otherwise cannot be a mask", help);
    }
    Some(Given { treatment, at: join(entry.key_at, entry.value.at) })
}

fn decode_search(
    value: &Value<'_>,
    categories: &[CategoryRule],
    search: &mut [Search],
    complaints: &mut Complaints<'_>,
) {
    let Some(mut given) = value.table("search", complaints) else { return };
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

/// `rows = { "schema.table" = "condition" }`, or `{ where = "condition", barrier = "always", guard = "none" }` for the condition.
fn decode_rows(value: &Value<'_>, complaints: &mut Complaints<'_>) -> Vec<RowsRule> {
    let mut found = Vec::new();
    let Some(mut given) = value.table("rows", complaints) else { return found };
    for entry in given.take_all() {
        let table = decode_table_name(entry.key, entry.key_at, complaints);
        let (mut barrier, mut guarding) = (Barrier::Auto, Guarding::Reads);
        let condition = if entry.value.raw.as_table().is_some() {
            let Some(mut own) = entry.value.table("rows", complaints) else { continue };
            let condition = own.take("where").and_then(|value| value.text("where", complaints));
            if let Some(value) = own.take("barrier") {
                let text = value.text("barrier", complaints);
                let chosen = text.and_then(|text| choice(value.at, "barrier", text, &["auto", "always"], complaints));
                if chosen.as_deref() == Some("always") {
                    barrier = Barrier::Always;
                }
            }
            if let Some(value) = own.take("guard") {
                let text = value.text("guard", complaints);
                let chosen = text.and_then(|text| choice(value.at, "guard", text, &["reads", "none"], complaints));
                if chosen.as_deref() == Some("none") {
                    guarding = Guarding::Nothing;
                }
            }
            own.finish(complaints);
            if condition.is_none() {
                complaints.add_with_help(entry.value.at, "these rows have no condition", "Add `where = \"…\"`.");
            }
            condition
        } else {
            entry.value.text("rows", complaints)
        };
        if let (Some(table), Some(condition)) = (table, condition) {
            let at = join(entry.key_at, entry.value.at);
            found.push(RowsRule { table, condition: condition.to_owned(), barrier, guarding, at });
        }
    }
    found
}

fn decode_limits(value: &Value<'_>, limits: &mut Limits, complaints: &mut Complaints<'_>) {
    let Some(mut given) = value.table("limits", complaints) else { return };
    let Limits { rows_per_statement, role, login, connection } = limits;
    decode_number(&mut given, "rows_per_statement", rows_per_statement, complaints);
    decode_rates(&mut given, role, complaints);
    for (key, rates) in [("login", login), ("connection", connection)] {
        if let Some(mut given) = given.take(key).and_then(|value| value.table(key, complaints)) {
            decode_rates(&mut given, rates, complaints);
            given.finish(complaints);
        }
    }
    given.finish(complaints);
}

fn decode_rates(given: &mut Table<'_>, rates: &mut Rates, complaints: &mut Complaints<'_>) {
    let Rates { rows_per_day, statements_per_minute, searches_per_minute } = rates;
    decode_number(given, "rows_per_day", rows_per_day, complaints);
    decode_number(given, "statements_per_minute", statements_per_minute, complaints);
    decode_number(given, "searches_per_minute", searches_per_minute, complaints);
}

fn decode_number(given: &mut Table<'_>, key: &'static str, slot: &mut Option<u64>, complaints: &mut Complaints<'_>) {
    let Some(value) = given.take(key) else { return };
    *slot = value.raw.as_integer().and_then(|number| number.as_str().replace('_', "").parse().ok());
    if slot.is_none() {
        complaints.add_with_help(
            value.at,
            format!("{key} must be a number"),
            "Write a whole number, 0 for none at all.",
        );
    }
}

/// `schema.table`
pub(super) fn decode_table_name(text: &str, at: At, complaints: &mut Complaints<'_>) -> Option<[Part; 2]> {
    if let Ok(Ok([Part::Name(schema), Part::Name(name)])) = pattern::split(text).map(<[Part; 2]>::try_from) {
        return Some([Part::Name(schema), Part::Name(name)]);
    }
    let help =
        "Write \"schema.table\", each part as the catalog stores it; a part that contains a dot in double quotes.";
    complaints.add_with_help(at, "not the name of a table", help);
    None
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

/// A list of names of functions.
pub(super) fn decode_functions(key: &str, value: &Value<'_>, complaints: &mut Complaints<'_>) -> Vec<FunctionRule> {
    let texts = value.texts(key, complaints).unwrap_or_default();
    texts.into_iter().filter_map(|(at, text)| decode_function(at, text, complaints)).collect()
}

fn decode_function(at: At, text: &str, complaints: &mut Complaints<'_>) -> Option<FunctionRule> {
    if let Ok(Ok([Part::Name(schema), Part::Name(name)])) = pattern::split(text).map(<[Part; 2]>::try_from) {
        return Some(FunctionRule { schema, name, at });
    }
    complaints.add_with_help(at, "not the name of a function", "Write schema.name, without arguments or `*`.");
    None
}

pub(super) fn choice(
    at: At,
    what: &str,
    text: &str,
    known: &[&str],
    complaints: &mut Complaints<'_>,
) -> Option<String> {
    if known.contains(&text) {
        return Some(text.to_owned());
    }
    let help = suggestion(text, "values", known.iter().copied()).unwrap_or_default();
    complaints.add_with_help(at, format!("unknown {what} \"{text}\""), help);
    None
}

/// From the start of `first` to the end of `last`.
pub(super) fn join(first: At, last: At) -> At {
    At { file: first.file, start: first.start, end: last.end }
}
