//! Where the rules say something, for reports: file and line of what names a column or a table, and of links.

use super::{
    pattern::Part,
    rules::{At, ColumnRule, LinkRule, NamedRecordsRule, RecordsRule, RuleSet},
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

/// One table of the rules about subjects, `[erasure]` and the like, as a list of what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// `subject`, `consent`, `refusal` or `erasure`.
    pub name: &'static str,
    /// What it says.
    pub says: Vec<String>,
    /// File (as the user named it) and line.
    pub place: (String, usize),
}

impl RuleSet {
    /// What the rules say about subjects.
    pub fn sections(&self) -> Vec<Section> {
        let mut found = Vec::new();
        let mut add = |name, says, at| {
            let place = self.place(at).map_or_else(|| (String::new(), 1), |(file, line)| (file.to_owned(), line));
            found.push(Section { name, says, place });
        };
        if let Some(subject) = &self.subject {
            let links = subject.links.iter().map(|LinkRule { from, to, columns }| match columns {
                None => format!("{} -> {}", from.text, to.text),
                Some(about) => {
                    let about: Vec<&str> = about.iter().map(|(name, _)| name.as_str()).collect();
                    format!("{} -> {}, about {}", from.text, to.text, about.join(", "))
                }
            });
            let unlinked = subject.unlinked.iter().map(|(name, _)| format!("{} unlinked", table(name)));
            let key = format!("key {}", subject.key.text);
            add("subject", [key].into_iter().chain(links).chain(unlinked).collect(), subject.at);
        }
        for (name, named) in [("consent", &self.consent), ("refusal", &self.refusal)] {
            let Some(NamedRecordsRule { records, of, categories }) = named else { continue };
            let mut says = said(records);
            says.push(format!("by {of}"));
            says.extend(categories.iter().map(|(name, of)| {
                let of: Vec<&str> = of.iter().map(|(category, _)| category.as_str()).collect();
                format!("{name} stands for {}", of.join(", "))
            }));
            add(name, says, records.at);
        }
        if let Some(records) = &self.erasure {
            add("erasure", said(records), records.at);
        }
        found
    }

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

fn said(records: &RecordsRule) -> Vec<String> {
    let RecordsRule { table: name, subject, condition, at: _ } = records;
    let mut says = vec![format!("records {}", table(name)), format!("subject {subject}")];
    says.extend(condition.iter().map(|(text, _)| format!("where {text}")));
    says
}

fn table(name: &[Part; 2]) -> String {
    let part = |part: &Part| match part {
        Part::Name(name) => name.clone(),
        Part::Any => "*".to_owned(),
    };
    name.iter().map(part).collect::<Vec<_>>().join(".")
}
