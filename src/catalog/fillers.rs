//! Which functions could put something into a temporary table of a restricted role. In: the sources of functions, what
//! depends on them, what the rules let the role call, and what they vouch for. Out: [`Fillers`], asked by the name of a
//! table. Invariant: a function that no statement of the role can run is left out, and one that could write to a table in
//! a way that is not seen counts for every table.
//!
//! # The argument
//!
//! A session's temporary tables are reached from that session alone. Of what runs there, pgscrim judges the statements, and
//! functions do the rest. They are run because
//!
//! - the rules let the role call them, or a condition of the rules or a mask does,
//! - something of the catalog uses them: a trigger, an event trigger, a view, a default, a check, a policy, an index, an
//!   operator, a cast, a type. `pg_depend` has a row for each. Whether the role reaches that thing is not asked;
//! - another function runs them, and then its source holds their name, or `pg_depend` has a row for that too (an aggregate,
//!   `BEGIN ATOMIC`).
//!
//! So what can run is what can be reached in these ways. A statement in SQL or PL/pgSQL that writes to a table holds the
//! table's name, wherever that stands in the source. What puts statements together while it runs (EXECUTE, and functions
//! that take a query as text), writes names as escapes or is in another language may name any table, and may run any
//! function. Functions of extensions do not know a table of the session; those that other functions name, or that the rules
//! list, are looked at all the same, because they may run what they are given.

use std::collections::{HashMap, HashSet};

use foldhash::fast::FixedState;

use super::{
    CatalogSnapshot,
    data::{FunctionData, SourceData},
};
use crate::names::{Oid, QualifiedName};

/// Functions that run a query given as text, of PostgreSQL and its extensions.
const RUNNERS: &[&str] = &[
    "query_to_xml",
    "query_to_xmlschema",
    "query_to_xml_and_xmlschema",
    "ts_stat",
    "ts_rewrite",
    "crosstab",
    "crosstab2",
    "crosstab3",
    "crosstab4",
    "connectby",
];

/// Names of this many bytes may be longer in a source: PostgreSQL cuts them.
const CUT: usize = 60;

/// What could fill temporary tables of a role.
#[derive(Clone, Debug, Default)]
pub struct Fillers {
    any: Option<Filler>,
    reached: Vec<Reached>,
}

/// A function that could fill a temporary table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filler {
    /// `schema.name`, as in rules.
    pub function: Box<str>,
    /// Why.
    pub why: Why,
}

/// Why a function could fill a temporary table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its source, or an argument of a trigger that runs it, holds the table's name.
    Named,
    /// It puts statements together while it runs.
    Dynamic,
    /// It is in this language.
    Language(Box<str>),
    /// Its source was not read.
    Unknown,
}

#[derive(Clone, Debug)]
struct Reached {
    function: Box<str>,
    /// In lower case.
    source: Box<str>,
}

impl Fillers {
    /// A function that could fill the temporary table `table`.
    pub fn of(&self, table: &str) -> Option<Filler> {
        let table = lower(table);
        let named = self.reached.iter().find(|reached| mentions(&reached.source, &table));
        let named = named.map(|reached| Filler { function: reached.function.clone(), why: Why::Named });
        named.or_else(|| self.any.clone())
    }
}

impl CatalogSnapshot {
    /// What could fill temporary tables of a role that may call the functions `listed`, and those that `conditions` name
    /// (SQL of the rules), where those of `vouched` do not.
    pub fn fillers(
        &self,
        listed: &HashSet<Oid, FixedState>,
        conditions: &str,
        vouched: &HashSet<Oid, FixedState>,
    ) -> Fillers {
        let data = self.data();
        let sources: HashMap<Oid, &SourceData, FixedState> =
            data.sources.iter().map(|source| (source.function, source)).collect();
        let mut plain: HashMap<String, Vec<&FunctionData>, FixedState> = HashMap::default();
        let mut special: Vec<(String, &FunctionData)> = Vec::new();
        for function in &data.functions {
            let name = lower(&function.name);
            if is_plain(&name) {
                plain.entry(name).or_default().push(function);
            } else {
                special.push((name, function));
            }
        }
        let by_oid: HashMap<Oid, &FunctionData, FixedState> =
            data.functions.iter().map(|function| (function.oid, function)).collect();
        let mut fillers = Fillers::default();
        let mut seen: HashSet<Oid, FixedState> = HashSet::default();
        let named = |text: &str, open: &mut Vec<_>| {
            open.extend(words(text).filter_map(|word| plain.get(word)).flatten().copied());
            open.extend(special.iter().filter(|(name, _)| mentions(text, name)).map(|(_, function)| *function));
        };
        let mut open: Vec<&FunctionData> = Vec::new();
        named(&lower(conditions), &mut open);
        for function in &data.functions {
            let used = sources.get(&function.oid).is_none_or(|source| source.used);
            if listed.contains(&function.oid) || (used && function.extension.is_none()) {
                open.push(function);
            } else if let Some(source) = sources.get(&function.oid)
                && !source.arguments.is_empty()
            {
                let source = lower(&source.arguments).into();
                fillers.reached.push(Reached { function: full_name(function), source });
            }
        }
        while let Some(function) = open.pop() {
            if vouched.contains(&function.oid) || !seen.insert(function.oid) {
                continue;
            }
            let Some(source) = sources.get(&function.oid) else {
                fillers.suspect(function, Why::Unknown);
                continue;
            };
            let text = lower(&format!("{} {}", source.text, source.arguments));
            if let Some(why) = opaque(function, source, &text) {
                fillers.suspect(function, why);
                continue;
            }
            named(&text, &mut open);
            open.extend(source.uses.iter().filter_map(|oid| by_oid.get(oid)).copied());
            fillers.reached.push(Reached { function: full_name(function), source: text.into() });
        }
        fillers
    }
}

impl Fillers {
    fn suspect(&mut self, function: &FunctionData, why: Why) {
        if self.any.is_none() {
            self.any = Some(Filler { function: full_name(function), why });
        }
    }
}

/// Why what a function does cannot be seen from its source, which is `text` in lower case.
fn opaque(function: &FunctionData, source: &SourceData, text: &str) -> Option<Why> {
    match (&*source.language, &function.extension) {
        ("sql" | "plpgsql" | "internal", _) => {
            let dynamic = |word: &str| word == "execute" || RUNNERS.contains(&word);
            (words(text).any(dynamic) || text.contains("u&\"")).then_some(Why::Dynamic)
        }
        ("c", Some(_)) => RUNNERS.contains(&function.name.as_str()).then_some(Why::Dynamic),
        (language, _) => Some(Why::Language(language.into())),
    }
}

fn full_name(function: &FunctionData) -> Box<str> {
    QualifiedName::new(&function.schema, &function.name).to_string().into()
}

/// In lower case, letter by letter: what stands around a letter must not change what becomes of it (as a final sigma).
fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Whether a name, in lower case, is a word that stands in a source whole.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.len() < CUT && name.bytes().all(is_word)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The words of a source. Digits may stand before a word without a blank: `1fn` is read as `1 fn`.
fn words(source: &str) -> impl Iterator<Item = &str> {
    let runs = source.split(|c: char| !u8::try_from(c).is_ok_and(is_word)).filter(|run| !run.is_empty());
    runs.flat_map(|run| {
        let rest = run.trim_start_matches(|c: char| c.is_ascii_digit());
        [Some(run), Some(rest).filter(|rest| rest.len() < run.len() && !rest.is_empty())].into_iter().flatten()
    })
}

/// Whether a source may hold a name; both in lower case.
fn mentions(source: &str, name: &str) -> bool {
    if is_plain(name) {
        return source.contains(name) && words(source).any(|word| word == name);
    }
    // A quotation mark is written twice, and a long name may be cut anywhere in its last character.
    name.contains('"') || source.contains(cut(name))
}

fn cut(name: &str) -> &str {
    let end = (0..=CUT.min(name.len())).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    name.get(..end).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalog::{CatalogData, CatalogSnapshot};

    /// `oid name language extension used source`
    struct Sample(u32, &'static str, &'static str, Option<&'static str>, bool, &'static str);

    fn catalog(functions: &[Sample]) -> Arc<CatalogSnapshot> {
        let mut data = CatalogData::default();
        for Sample(oid, name, language, extension, used, text) in functions {
            data.functions.push(FunctionData {
                oid: Oid(*oid),
                schema: "public".to_owned(),
                name: (*name).to_owned(),
                volatility: 'v',
                extension: extension.map(str::to_owned),
                kind: 'f',
                security_definer: false,
                returns_set: false,
                out_names: Vec::new(),
                argument_types: Vec::new(),
                result_type: None,
                constructs: false,
                variadic: None,
                defaults: 0,
            });
            data.sources.push(SourceData {
                function: Oid(*oid),
                language: (*language).into(),
                text: (*text).into(),
                arguments: "".into(),
                uses: Vec::new(),
                used: *used,
            });
        }
        CatalogSnapshot::new(data, 1)
    }

    fn filler(catalog: &CatalogSnapshot, table: &str, listed: &[u32], vouched: &[u32]) -> Option<(String, Why)> {
        let set = |oids: &[u32]| oids.iter().copied().map(Oid).collect();
        let found = catalog.fillers(&set(listed), "", &set(vouched)).of(table)?;
        Some((found.function.to_string(), found.why))
    }

    #[test]
    fn what_cannot_run_is_left_out() {
        let all = catalog(&[
            Sample(1, "stamp", "plpgsql", None, true, "BEGIN NEW.at := now(); PERFORM helper(1); RETURN NEW; END"),
            Sample(2, "helper", "plpgsql", None, false, "BEGIN INSERT INTO seen VALUES ($1); END"),
            Sample(3, "build", "plpgsql", None, false, "BEGIN EXECUTE 'x'; END"),
            Sample(4, "py", "plpython3u", None, false, ""),
        ]);
        assert_eq!(filler(&all, "t", &[], &[]), None);
        assert_eq!(filler(&all, "seen", &[], &[]), Some(("public.helper".into(), Why::Named)));
        assert_eq!(filler(&all, "SEEN", &[], &[]), Some(("public.helper".into(), Why::Named)));
        assert_eq!(filler(&all, "seen", &[], &[2]), None);
        assert_eq!(filler(&all, "t", &[3], &[]), Some(("public.build".into(), Why::Dynamic)));
        assert_eq!(filler(&all, "t", &[3], &[3]), None);
        assert_eq!(filler(&all, "t", &[4], &[]), Some(("public.py".into(), Why::Language("plpython3u".into()))));
    }

    #[test]
    fn what_conditions_name_can_run() {
        let all =
            catalog(&[Sample(1, "Is Mine", "sql", None, false, "x"), Sample(2, "own", "sql", None, false, "execute")]);
        let fillers = |text: &str| all.fillers(&HashSet::default(), text, &HashSet::default());
        assert!(fillers("true").of("x").is_none());
        assert!(fillers("public.\"Is Mine\"(id)").of("x").is_some());
        assert!(fillers("public.OWN(id)").of("t").is_some());
    }

    #[test]
    fn names_are_found_however_they_are_written() {
        let long = "n".repeat(63);
        let finds = |text: &str, table: &str| {
            let mut data = catalog(&[Sample(1, "f", "sql", None, true, "")]).data().clone();
            data.sources[0].text = text.into();
            filler(&CatalogSnapshot::new(data, 1), table, &[], &[]).is_some()
        };
        assert!(finds("insert into \"T\" select 1", "t"));
        assert!(finds("insert into pg_temp.t$x", "t"));
        assert!(finds("select 1t", "t"));
        assert!(finds(&format!("insert into {long}nnn"), &long));
        assert!(finds("insert into \"a\"\"b\"", "a\"b"));
        assert!(finds("insert into \"a b\"", "a b"));
        assert!(finds("insert into é", "é"));
        assert!(finds("insert into U&\"\\0074\" values (1)", "t"));
        assert!(finds("select query_to_xml('x')", "t"));
        assert!(!finds("insert into tt", "t"));
        assert!(!finds("insert into a_t", "t"));
    }

    #[test]
    fn extensions_are_trusted_until_they_run_what_they_are_given() {
        let all = catalog(&[
            Sample(1, "used", "plpgsql", Some("e"), true, "BEGIN EXECUTE x; END"),
            Sample(2, "runs", "plpgsql", Some("e"), false, "BEGIN EXECUTE $1; END"),
            Sample(3, "crosstab", "c", Some("tablefunc"), false, "crosstab"),
            Sample(4, "unaccent", "c", Some("unaccent"), false, "unaccent_dict"),
            Sample(5, "mine", "sql", None, false, "select runs('insert')"),
            Sample(6, "own", "c", None, false, "own"),
        ]);
        assert_eq!(filler(&all, "t", &[4], &[]), None);
        assert_eq!(filler(&all, "t", &[3], &[]), Some(("public.crosstab".into(), Why::Dynamic)));
        assert_eq!(filler(&all, "t", &[5], &[]), Some(("public.runs".into(), Why::Dynamic)));
        assert_eq!(filler(&all, "t", &[6], &[]), Some(("public.own".into(), Why::Language("c".into()))));
    }

    #[test]
    fn arguments_of_triggers_and_functions_without_a_source_count() {
        let mut data = catalog(&[Sample(1, "versioning", "c", Some("e"), true, "versioning")]).data().clone();
        data.sources[0].arguments = "period history".into();
        assert_eq!(filler(&CatalogSnapshot::new(data.clone(), 1), "t", &[], &[]), None);
        let found = filler(&CatalogSnapshot::new(data.clone(), 1), "history", &[], &[]);
        assert_eq!(found, Some(("public.versioning".into(), Why::Named)));
        data.functions[0].extension = None;
        data.sources.clear();
        let found = filler(&CatalogSnapshot::new(data, 1), "t", &[], &[]);
        assert_eq!(found, Some(("public.versioning".into(), Why::Unknown)));
    }
}
