//! Tests that rules carry: `*.test.toml` files → [`RuleTests`]. In: file contents as text. Out: for each `[[test]]` who
//! asks what and what is expected, with the place of everything that a later complaint may be about. Invariant: strict,
//! as rule files are; a test that expects nothing is a complaint, not a success.

use std::{collections::HashMap, ops::Range, sync::Arc};

use super::{
    decode,
    rules::{At, Complaints, RuleFile},
    toml_reader::Table,
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Place, suggestion},
    error::RefusalCode,
};

/// The name that stands for every output column that no other name of `expect` means.
pub const OTHERS: &str = "*";

/// The decoded tests of one rule set.
#[derive(Debug)]
pub struct RuleTests {
    files: Vec<RuleFile>,
    /// In file order.
    pub tests: Vec<RuleTest>,
}

/// One `[[test]]`.
#[derive(Debug)]
pub struct RuleTest {
    /// `name`, unique among the tests of a rule set.
    pub name: String,
    /// Whose answer is tested.
    pub who: Who,
    /// `purpose`; without it, the one that a connection would have.
    pub purpose: Option<String>,
    /// `application_name` of the connection, empty without one.
    pub application_name: String,
    /// `search_path`, in the notation of SET; without it, the one that the login's connections begin with.
    pub search_path: Option<String>,
    /// The statement.
    pub sql: String,
    /// What is to come out.
    pub expected: Expected,
    /// What else is promised of the statement and its role.
    pub promised: Promised,
    /// Rules that must be among those that decided: `file` or `file:line`.
    pub rules: Vec<String>,
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// Where `[[test]]` stands in it, from 1.
    pub line: usize,
    who_at: Range<usize>,
}

/// Whose answer a test is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// `role`: the `[[role]]` of this name.
    Role(String),
    /// `user`: the role that a connection of this login gets.
    User(String),
}

/// What a test promises beside its columns, each only where it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promised {
    /// `search`: columns, `schema.table.column`, and whether the statement compares their stored values (`exact`) or their masks
    /// (`masked`).
    pub search: Vec<(String, String)>,
    /// `rows`: tables, `schema.table`, and the condition of which the role sees rows.
    pub rows: Vec<(String, String)>,
    /// `sends`: texts in the statement that is sent, white space aside.
    pub sends: Vec<String>,
    /// `documents` of the grants that open what the statement reads, expired ones included.
    pub documents: Option<Vec<String>>,
    /// `recipient` of the role.
    pub recipient: Option<String>,
    /// Whether the role has a legal duty.
    pub legal_duty: Option<bool>,
}

/// What a test expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// `expect`: treatments by output column (a name, `#2` for the second, [`OTHERS`]), in file order. Several
    /// treatments for a column that is computed from several.
    Columns(Vec<(String, Vec<String>)>),
    /// `refuse`: the statement is refused with this code.
    Refusal(RefusalCode),
}

impl RuleTests {
    /// Decodes `files`.
    ///
    /// # Errors
    /// Every complaint found.
    pub fn parse(files: Vec<RuleFile>) -> Result<Self, Diagnostics> {
        let mut complaints = Complaints::new(&files);
        let parsed: Vec<_> =
            files.iter().enumerate().map(|(index, file)| decode::parse(index, file, &mut complaints)).collect();
        let mut tests = Vec::new();
        let mut names: HashMap<String, At> = HashMap::new();
        for (index, document) in parsed.iter().enumerate() {
            let start = At { file: index, start: 0, end: 0 };
            let mut table = Table::new(index, start, "a file of tests", document);
            let items = table.take("test").and_then(|value| value.list("test (write `[[test]]`)", &mut complaints));
            for item in items.unwrap_or_default() {
                let Some(table) = item.table("[[test]]", &mut complaints) else { continue };
                let at = table.at();
                let Some(test) = decode_test(table, &files, &mut complaints) else { continue };
                if let Some(first) = names.insert(test.name.clone(), at) {
                    let help = format!("The first one is at {}.", complaints.origin(first));
                    complaints.add_with_help(at, format!("test \"{}\" is defined twice", test.name), help);
                }
                tests.push(test);
            }
            table.finish(&mut complaints);
        }
        if !complaints.is_empty() {
            return Err(complaints.into_diagnostics());
        }
        drop(parsed);
        Ok(Self { files, tests })
    }

    /// A complaint about the role, user or purpose of `test`, which only the compiled rules can judge.
    pub fn complaint(&self, test: &RuleTest, message: impl Into<String>, help: impl Into<String>) -> Diagnostics {
        let item = Diagnostic::new(test.file.clone(), Some(test.who_at.clone()), message).with_help(help);
        let sources = self.files.iter().map(|file| (file.path.clone(), file.text.clone())).collect();
        Diagnostics { items: vec![item], sources }
    }
}

/// One test; none when something is missing that was complained about.
fn decode_test(mut table: Table<'_>, files: &[RuleFile], complaints: &mut Complaints<'_>) -> Option<RuleTest> {
    let at = table.at();
    let mut text = |key: &'static str, complaints: &mut Complaints<'_>| {
        let value = table.take(key)?;
        let text = value.text(key, complaints)?;
        if text.trim().is_empty() {
            complaints.add(value.at, format!("{key} is empty"));
        }
        Some((value.at, text.to_owned()))
    };
    let name = text("name", complaints);
    let role = text("role", complaints);
    let user = text("user", complaints);
    let purpose = text("purpose", complaints);
    let application_name = text("application_name", complaints);
    let search_path = text("search_path", complaints);
    let sql = text("sql", complaints);
    let refuse = text("refuse", complaints);
    let expect = table.take("expect").and_then(|value| value.table("expect", complaints));
    let promised = decode_promised(&mut table, complaints);
    let rules = table.take("rules").and_then(|value| value.texts("rules", complaints)).unwrap_or_default();
    table.finish(complaints);

    if name.is_none() {
        complaints.add_with_help(at, "this test has no name", "Add `name = \"…\"`: what the rules promise.");
    }
    if sql.is_none() {
        complaints.add_with_help(at, "this test has no statement", "Add `sql = \"SELECT …\"`.");
    }
    let who = match (role, user) {
        (Some((at, role)), None) => Some((at, Who::Role(role))),
        (None, Some((at, user))) => Some((at, Who::User(user))),
        (Some(_), Some((at, _))) => {
            complaints.add_with_help(at, "this test has both a role and a user", "A login's role follows from `user`.");
            None
        }
        (None, None) => {
            complaints.add_with_help(
                at,
                "this test has neither role nor user",
                "Add `role = \"…\"`, or a login as `user`.",
            );
            None
        }
    };
    if let (Some((at, _)), Some((_, Who::Role(_)))) = (&application_name, &who) {
        complaints.add_with_help(*at, "application_name has no meaning beside role", "Give the login as `user`.");
    }
    let expected = match (expect, refuse) {
        (Some(expect), None) => Some(Expected::Columns(decode_columns(expect, complaints))),
        (None, Some((at, code))) => {
            let known = RefusalCode::ALL.iter().find(|known| known.code() == code);
            if known.is_none() {
                let near = suggestion(&code, "codes", RefusalCode::ALL.iter().map(|code| code.code()));
                complaints.add_with_suggestion(at, format!("unknown refusal code \"{code}\""), near);
            }
            known.copied().map(Expected::Refusal)
        }
        (Some(_), Some((at, _))) => {
            complaints.add_with_help(at, "this test has both expect and refuse", "What is refused has no columns.");
            None
        }
        (None, None) => {
            let help = "Add `expect = { phone = \"phone_last\" }`, or `refuse = \"PGS0201\"`.";
            complaints.add_with_help(at, "this test expects nothing", help);
            None
        }
    };
    let (who_at, who) = who?;
    let file = files.get(at.file)?;
    Some(RuleTest {
        name: name?.1,
        who,
        purpose: purpose.map(|(_, text)| text),
        application_name: application_name.map(|(_, text)| text).unwrap_or_default(),
        search_path: search_path.map(|(_, text)| text),
        sql: sql?.1,
        expected: expected?,
        promised,
        rules: rules.into_iter().map(|(_, text)| text.to_owned()).collect(),
        file: file.path.clone(),
        line: Place::of(&file.text, at.start).line,
        who_at: who_at.start..who_at.end,
    })
}

fn decode_promised(table: &mut Table<'_>, complaints: &mut Complaints<'_>) -> Promised {
    let mut texts = |key: &str, complaints: &mut Complaints<'_>| {
        let value = match key {
            "sends" => table.take("sends"),
            _ => table.take("documents"),
        }?;
        let texts = value.texts(key, complaints)?;
        if texts.iter().any(|(_, text)| text.trim().is_empty()) {
            complaints.add(value.at, format!("{key} holds an empty text"));
        }
        Some(texts.into_iter().map(|(_, text)| text.to_owned()).collect::<Vec<_>>())
    };
    let (sends, documents) = (texts("sends", complaints).unwrap_or_default(), texts("documents", complaints));
    let search =
        decode_pairs(table.take("search").and_then(|value| value.table("search", complaints)), "search", complaints);
    for (_, at, mode) in &search {
        if !["exact", "masked"].contains(&mode.as_str()) {
            complaints.add_with_help(*at, format!("unknown search \"{mode}\""), "Write \"exact\" or \"masked\".");
        }
    }
    let rows = decode_pairs(table.take("rows").and_then(|value| value.table("rows", complaints)), "rows", complaints);
    let recipient = table.take("recipient").and_then(|value| value.text("recipient", complaints)).map(str::to_owned);
    let legal_duty = table.take("legal_duty").and_then(|value| value.flag("legal_duty", complaints));
    let plain = |pairs: Vec<(String, At, String)>| pairs.into_iter().map(|(key, _, text)| (key, text)).collect();
    Promised { search: plain(search), rows: plain(rows), sends, documents, recipient, legal_duty }
}

fn decode_pairs(table: Option<Table<'_>>, what: &str, complaints: &mut Complaints<'_>) -> Vec<(String, At, String)> {
    let mut found = Vec::new();
    for entry in table.map(|mut table| table.take_all()).unwrap_or_default() {
        let text = entry.value.text(what, complaints);
        found.extend(text.map(|text| (entry.key.to_owned(), entry.value.at, text.to_owned())));
    }
    found
}

fn decode_columns(mut table: Table<'_>, complaints: &mut Complaints<'_>) -> Vec<(String, Vec<String>)> {
    let mut columns = Vec::new();
    for entry in table.take_all() {
        let treatments: Vec<String> = match entry.value.raw.as_str() {
            Some(text) => vec![text.to_owned()],
            None => entry
                .value
                .texts("what is expected of a column", complaints)
                .unwrap_or_default()
                .into_iter()
                .map(|(_, text)| text.to_owned())
                .collect(),
        };
        if treatments.is_empty() || treatments.iter().any(|text| text.trim().is_empty()) {
            let help =
                "Write \"clear\", \"withhold\", the label of a mask such as \"partial(3,2)\", or a list of them.";
            complaints.add_with_help(entry.value.at, "no treatment is named here", help);
        }
        columns.push((entry.key.to_owned(), treatments));
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RuleTests, String> {
        let file = RuleFile { path: "a.test.toml".into(), text: text.into() };
        RuleTests::parse(vec![file]).map_err(|diagnostics| diagnostics.to_string())
    }

    #[test]
    fn a_test_is_decoded_with_its_line() {
        let text = "# c\n[[test]]\nname = \"n\"\nuser = \"u\"\napplication_name = \"a\"\nsql = \"SELECT 1\"\n\
                    expect = { \"*\" = \"clear\", a = [\"x\", \"y\"] }\nrules = [\"r.toml\"]\n\
                    [[test]]\nname = \"m\"\nrole = \"r\"\npurpose = \"p\"\nsql = \"SELECT 2\"\nrefuse = \"PGS0201\"\n";
        let tests = parse(text).unwrap().tests;
        assert_eq!(tests[0].line, 2);
        let columns = [("*", vec!["clear"]), ("a", vec!["x", "y"])];
        let columns = columns.map(|(name, list)| (name.to_owned(), list.into_iter().map(str::to_owned).collect()));
        assert_eq!(tests[0].expected, Expected::Columns(columns.to_vec()));
        assert_eq!(tests[0].who, Who::User("u".to_owned()));
        assert_eq!(tests[1].expected, Expected::Refusal(RefusalCode::ColumnRefused));
        assert_eq!((tests[1].line, tests[1].purpose.as_deref()), (9, Some("p")));
    }

    #[test]
    fn what_is_missing_or_unknown_is_complained_about_with_a_caret() {
        let base = "[[test]]\nname = \"n\"\nrole = \"r\"\nsql = \"SELECT 1\"\n";
        for (text, message) in [
            (base.to_owned(), "this test expects nothing"),
            (format!("{base}expect = {{}}\nrefuse = \"PGS0201\"\n"), "both expect and refuse"),
            (format!("{base}refuse = \"PGS9999\"\n"), "unknown refusal code \"PGS9999\""),
            (format!("{base}user = \"u\"\nexpect = {{}}\n"), "both a role and a user"),
            (format!("{base}exspect = {{}}\n"), "Did you mean \"expect\"?"),
            (format!("{base}expect = {{ a = 1 }}\n"), "must be an array, not an integer"),
            (format!("{base}expect = {{ a = [] }}\n"), "no treatment is named here"),
            (format!("{base}application_name = \"a\"\nexpect = {{}}\n"), "no meaning beside role"),
            (format!("{base}expect = {{}}\n{base}expect = {{}}\n"), "defined twice"),
            ("[[test]]\nname = \"n\"\nsql = \"SELECT 1\"\nexpect = {}\n".to_owned(), "neither role nor user"),
            ("[[test]]\nrole = \"n\"\nexpect = {}\n".to_owned(), "this test has no statement"),
            ("[[role]]\nname = \"n\"\n".to_owned(), "unknown key \"role\" in a file of tests"),
            ("[[test]\n".to_owned(), "a.test.toml:1:"),
        ] {
            let complaint = parse(&text).map(|_| ()).unwrap_err();
            assert!(complaint.contains(message) && complaint.contains('^'), "{text}\n{complaint}");
        }
    }
}
