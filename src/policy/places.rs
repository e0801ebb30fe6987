//! Where the rules say something, for reports: file and line of what names a column or a table.

use super::{
    pattern::Part,
    rules::{At, ColumnRule, RuleSet},
};
use crate::diagnostic::Place;

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

    fn column_rules(&self) -> impl Iterator<Item = &ColumnRule> {
        self.categories.iter().flat_map(|category| &category.columns)
    }

    fn place(&self, at: At) -> Option<(&str, usize)> {
        let file = self.files.get(at.file)?;
        Some((&file.path, Place::of(&file.text, at.start).line))
    }
}
