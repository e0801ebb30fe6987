//! Where the rules say something, for reports: file and line of what names a column or a table, and of links.

use super::{
    pattern::Part,
    rules::{At, ColumnRule, LinkRule, NamedRecordsRule, Orphans, RecordsRule, RuleSet},
};
use crate::diagnostic::Place;

/// One link of `[subject]`, each column as schema, table and column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link<'r> {
    /// The column that refers.
    pub from: [String; 3],
    /// What it refers to.
    pub to: [String; 3],
    /// Columns of its table that are about this subject alone.
    pub about: Option<Vec<&'r str>>,
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

impl Link<'_> {
    /// `schema.table`
    pub fn table(&self) -> String {
        let [schema, table, _column] = &self.from;
        format!("{schema}.{table}")
    }

    /// `column -> schema.table.column, about column, column`
    pub fn says(&self) -> String {
        let [_schema, _table, column] = &self.from;
        let about = self.about.as_ref().map_or_else(String::new, |about| format!(", about {}", about.join(", ")));
        format!("{column} -> {}{about}", self.to.join("."))
    }
}

/// Of the links of one table, those that lead from its `column` to subjects: what none says that it matters to is about all of them.
pub fn leading<'l, 'r>(links: &'l [Link<'r>], column: &str) -> Vec<&'l Link<'r>> {
    let matters = |link: &&Link<'_>| link.about.as_ref().is_none_or(|about| about.contains(&column));
    let own: Vec<_> = links.iter().filter(matters).collect();
    if own.is_empty() { links.iter().collect() } else { own }
}

impl RuleSet {
    /// What the rules say about subjects, links left out.
    pub fn sections(&self) -> Vec<Section> {
        let mut found = Vec::new();
        let mut add = |name, says, at| {
            let place = self.place(at).map_or_else(|| (String::new(), 1), |(file, line)| (file.to_owned(), line));
            found.push(Section { name, says, place });
        };
        if let Some(subject) = &self.subject {
            let unlinked = subject.unlinked.iter().map(|(name, _)| format!("{} unlinked", table(name)));
            let key = format!("key {}", subject.key.text);
            let orphans = (subject.orphans == Orphans::Show).then(|| "orphans shown".to_owned());
            add("subject", [key].into_iter().chain(unlinked).chain(orphans).collect(), subject.at);
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
            .filter_map(|LinkRule { from, to, columns }| {
                let about = columns.as_ref().map(|about| about.iter().map(|(name, _)| name.as_str()).collect());
                Some(Link { from: named(from)?, to: named(to)?, about, place: self.place(from.at)? })
            })
            .collect()
    }

    /// File and line of `[subject]`, and its key as schema, table and column.
    pub fn key(&self) -> Option<Link<'_>> {
        let subject = self.subject.as_ref()?;
        let [Part::Name(schema), Part::Name(table), Part::Name(column)] = &subject.key.parts else { return None };
        let key = [schema.clone(), table.clone(), column.clone()];
        Some(Link { from: key.clone(), to: key, about: None, place: self.place(subject.key.at)? })
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

    /// Whether rows that lead to a row which is not there are shown all the same.
    pub fn shows_orphans(&self) -> bool {
        self.subject.as_ref().is_some_and(|subject| subject.orphans == Orphans::Show)
    }

    /// Whether something is shown to those alone to whom subjects have consented (`[consent]`).
    pub fn shows_by_consent(&self) -> bool {
        self.consent.is_some()
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
