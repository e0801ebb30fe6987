//! Where the rules say something, for reports: file and line of what names a column or a table, and of links.

use super::{
    pattern::Part,
    rules::{At, ColumnRule, LinkRule, RuleSet},
};
use crate::diagnostic::Place;

/// One link of `[subject]`, each column as schema, table and column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link<'r> {
    /// The column that refers.
    pub from: [String; 3],
    /// What it refers to.
    pub to: [String; 3],
    /// File (as the user named it) and line.
    pub place: (&'r str, usize),
}

impl RuleSet {
    /// File (as the user named it) and line of the entry of `columns` that names `schema.table.column`.
    pub fn place_of_column(&self, schema: &str, table: &str, column: &str) -> Option<(&str, usize)> {
        let own =
            |rule: &&ColumnRule| rule.parts.iter().zip([schema, table, column]).all(|(part, name)| part.matches(name));
        self.place(self.column_rules().find(own)?.at)
    }

    /// The same of the first entry that names any column of `schema.table`.
    pub fn place_of_table(&self, schema: &str, table: &str) -> Option<(&str, usize)> {
        let own = |rule: &&ColumnRule| {
            let [first, second, _]: &[Part; 3] = &rule.parts;
            first.matches(schema) && second.matches(table)
        };
        self.place(self.column_rules().find(own)?.at)
    }

    /// The links of `[subject]`: column, what it refers to, file and line.
    pub fn links(&self) -> Vec<Link<'_>> {
        let named = |rule: &ColumnRule| match &rule.parts {
            [Part::Name(schema), Part::Name(table), Part::Name(column)] => {
                Some([schema.clone(), table.clone(), column.clone()])
            }
            [_, _, _] => None,
        };
        let links = self.subject.iter().flat_map(|subject| &subject.links);
        links
            .filter_map(|LinkRule { from, to, columns: _ }| {
                Some(Link { from: named(from)?, to: named(to)?, place: self.place(from.at)? })
            })
            .collect()
    }

    /// File and line of `[consent]`.
    pub fn place_of_consent(&self) -> Option<(&str, usize)> {
        self.place(self.consent.as_ref()?.records.at)
    }

    /// The same of `[refusal]`.
    pub fn place_of_refusal(&self) -> Option<(&str, usize)> {
        self.place(self.refusal.as_ref()?.records.at)
    }

    /// The same of `[erasure]`.
    pub fn place_of_erasure(&self) -> Option<(&str, usize)> {
        self.place(self.erasure.as_ref()?.at)
    }

    /// Whether something that subjects have asked for hides what rows lead to (`[refusal]`, `[erasure]`): a row that leads to nobody
    /// is hidden by neither.
    pub fn hides_by_request(&self) -> bool {
        self.refusal.is_some() || self.erasure.is_some()
    }

    fn column_rules(&self) -> impl Iterator<Item = &ColumnRule> {
        self.categories.iter().flat_map(|category| &category.columns)
    }

    fn place(&self, at: At) -> Option<(&str, usize)> {
        let file = self.files.get(at.file)?;
        Some((&file.path, Place::of(&file.text, at.start).line))
    }
}
