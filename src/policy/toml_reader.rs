//! Reads TOML with the place of every key and value. In: a file. Out: typed values, complaints with spans. Invariant:
//! [`Table::finish`] complains about every key that nobody took, so that nothing in a file is skipped.

use std::{borrow::Cow, collections::BTreeMap};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::rules::{At, Complaints};
use crate::diagnostic::suggestion;

/// A key, its place and its value.
pub(super) struct Entry<'t> {
    pub key: &'t str,
    pub key_at: At,
    pub value: Value<'t>,
}

/// A value and its place.
#[derive(Clone, Copy)]
pub(super) struct Value<'t> {
    pub at: At,
    pub raw: &'t DeValue<'t>,
}

/// A table being taken apart.
pub(super) struct Table<'t> {
    at: At,
    what: String,
    known: Vec<&'static str>,
    rest: BTreeMap<&'t str, (At, Value<'t>)>,
}

/// The place of a span in file `file`.
pub(super) fn place<T>(file: usize, spanned: &Spanned<T>) -> At {
    let span = spanned.span();
    At { file, start: span.start, end: span.end }
}

impl<'t> Table<'t> {
    /// A reader of `table`, which messages call `what`.
    pub fn new(file: usize, at: At, what: impl Into<String>, table: &'t DeTable<'t>) -> Self {
        let rest = table
            .iter()
            .map(|(key, value): (&Spanned<Cow<'_, str>>, _)| {
                let entry = (place(file, key), Value { at: place(file, value), raw: value.get_ref() });
                (key.get_ref().as_ref(), entry)
            })
            .collect();
        Self { at, what: what.into(), known: Vec::new(), rest }
    }

    /// Where the table stands.
    pub fn at(&self) -> At {
        self.at
    }

    /// Where those of `keys` stand that nobody has taken.
    pub fn places(&self, keys: &[&'static str]) -> Vec<(&'t str, At)> {
        let found = keys.iter().filter_map(|key| self.rest.get_key_value(key));
        found.map(|(key, (at, _))| (*key, *at)).collect()
    }

    /// Takes out `keys` that have their place elsewhere: they do not count among those that are known here.
    pub fn take_misplaced(&mut self, keys: &[&'static str]) -> Vec<(&'t str, At)> {
        let found = self.places(keys);
        self.rest.retain(|key, _| !keys.contains(key));
        found
    }

    /// Takes the value of `key`.
    pub fn take(&mut self, key: &'static str) -> Option<Value<'t>> {
        self.take_entry(key).map(|entry| entry.value)
    }

    /// Takes `key` with its place.
    pub fn take_entry(&mut self, key: &'static str) -> Option<Entry<'t>> {
        self.known.push(key);
        let (key, (key_at, value)) = self.rest.remove_entry(key)?;
        Some(Entry { key, key_at, value })
    }

    /// Takes everything left, in file order.
    pub fn take_all(&mut self) -> Vec<Entry<'t>> {
        let mut entries: Vec<_> = std::mem::take(&mut self.rest)
            .into_iter()
            .map(|(key, (key_at, value))| Entry { key, key_at, value })
            .collect();
        entries.sort_by_key(|entry| entry.key_at.start);
        entries
    }

    /// Complains about every parameter of mask `mask` left.
    pub fn finish_params(mut self, mask: &str, complaints: &mut Complaints<'_>) {
        self.what = format!("mask \"{mask}\"");
        self.finish(complaints);
    }

    /// Complains about every key left.
    pub fn finish(mut self, complaints: &mut Complaints<'_>) {
        for entry in self.take_all() {
            let message = format!("unknown key \"{}\" in {}", entry.key, self.what);
            let help = suggestion(entry.key, "keys", self.known.iter().copied());
            let help = help.unwrap_or_else(|| "It takes no parameters.".to_owned());
            complaints.add_with_help(entry.key_at, message, help);
        }
    }
}

impl<'t> Value<'t> {
    /// A string.
    pub fn text(&self, what: &str, complaints: &mut Complaints<'_>) -> Option<&'t str> {
        let text = self.raw.as_str();
        if text.is_none() {
            self.expected("a string", what, complaints);
        }
        text
    }

    /// A Boolean.
    pub fn flag(&self, what: &str, complaints: &mut Complaints<'_>) -> Option<bool> {
        let flag = self.raw.as_bool();
        if flag.is_none() {
            self.expected("true or false", what, complaints);
        }
        flag
    }

    /// The elements of an array.
    pub fn list(&self, what: &str, complaints: &mut Complaints<'_>) -> Option<Vec<Value<'t>>> {
        let Some(array) = self.raw.as_array() else {
            self.expected("an array", what, complaints);
            return None;
        };
        let file = self.at.file;
        Some(array.iter().map(|item| Value { at: place(file, item), raw: item.get_ref() }).collect())
    }

    /// An array of strings with their places.
    pub fn texts(&self, what: &str, complaints: &mut Complaints<'_>) -> Option<Vec<(At, &'t str)>> {
        let items = self.list(what, complaints)?;
        Some(items.iter().filter_map(|item| Some((item.at, item.text(what, complaints)?))).collect())
    }

    /// A table, as a reader.
    pub fn table(&self, what: &str, complaints: &mut Complaints<'_>) -> Option<Table<'t>> {
        let Some(table) = self.raw.as_table() else {
            self.expected("a table", what, complaints);
            return None;
        };
        Some(Table::new(self.at.file, self.at, what, table))
    }

    fn expected(&self, kind: &str, what: &str, complaints: &mut Complaints<'_>) {
        complaints.add(self.at, format!("{what} must be {kind}, not {}", article(self.raw.type_str())));
    }
}

fn article(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}
