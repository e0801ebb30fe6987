//! [`Settings`]: the values given for each key, by command line, environment or file, strongest first. In: overrides
//! and the text of a file. Out: values with their places. Invariant: a key that nobody knows is an error.

use std::{collections::BTreeMap, ops::Range, path::Path, path::PathBuf, sync::Arc};

use toml::de::{DeTable, DeValue};

use super::{
    keys::{KEYS, Key},
    url,
};
use crate::diagnostic::{Diagnostic, Diagnostics, closest};

/// One value given on the command line or in the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// [`Key::path`]
    pub key: &'static str,
    /// The text.
    pub value: String,
    /// Where it came from, for messages: `--listen` or `PGSCRIM_LISTEN`.
    pub origin: String,
}

/// A value and where it was given.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub items: Vec<String>,
    pub origin: Arc<str>,
    pub span: Option<Range<usize>>,
    /// Folder that a relative path starts from.
    pub folder: PathBuf,
}

/// What was given, and what was wrong with it so far.
pub(super) struct Settings {
    values: BTreeMap<&'static str, Given>,
    pub diagnostics: Diagnostics,
}

impl Settings {
    /// Merges the overrides over the file.
    pub fn merge(file: Option<(&Path, &str)>, overrides: &[Override]) -> Self {
        let mut settings = Self { values: BTreeMap::new(), diagnostics: Diagnostics::default() };
        if let Some((path, text)) = file {
            settings.read_file(path, text);
        }
        for given in overrides {
            let items = given.value.split(',').map(|item| item.trim().to_owned()).collect::<Vec<_>>();
            let items = if given.key == "listen" { items } else { vec![given.value.clone()] };
            let folder = PathBuf::new();
            settings
                .values
                .insert(given.key, Given { items, origin: given.origin.as_str().into(), span: None, folder });
        }
        settings
    }

    fn read_file(&mut self, path: &Path, text: &str) {
        let name: Arc<str> = path.display().to_string().into();
        self.diagnostics.sources.push((Arc::clone(&name), url::redact(text).into()));
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        match DeTable::parse(text) {
            Ok(table) => self.read_table("", table.get_ref(), &name, &folder),
            Err(error) => {
                // Of the parser's message only the first line: the rest quotes the file, which may hold a password.
                let message = error.message().lines().next().unwrap_or("not valid TOML").to_owned();
                self.diagnostics.items.push(Diagnostic::new(name, error.span(), message));
            }
        }
    }

    fn read_table(&mut self, prefix: &str, table: &DeTable<'_>, file: &Arc<str>, folder: &Path) {
        for (key, value) in table {
            let path =
                if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
            let table_prefix = format!("{path}.");
            if let Some(known) = KEYS.iter().find(|known| known.path == path) {
                match items(value.get_ref()) {
                    Some(items) => {
                        let given = Given {
                            items,
                            origin: Arc::clone(file),
                            span: Some(value.span()),
                            folder: folder.to_owned(),
                        };
                        self.values.insert(known.path, given);
                    }
                    None => self.complain(file, value.span(), format!("\"{path}\" must be {}", known.value), None),
                }
            } else if KEYS.iter().any(|known| known.path.starts_with(&table_prefix)) {
                match value.get_ref().as_table() {
                    Some(inner) => self.read_table(&path, inner, file, folder),
                    None => self.complain(file, value.span(), format!("\"{path}\" must be a table"), None),
                }
            } else {
                let help = match closest(&path, KEYS.iter().map(|known: &Key| known.path)) {
                    Some(near) => format!("Did you mean \"{near}\"?"),
                    None => "`pgscrim serve --help` lists the keys.".to_owned(),
                };
                self.complain(file, key.span(), format!("unknown key \"{path}\""), Some(help));
            }
        }
    }

    fn complain(&mut self, file: &Arc<str>, span: Range<usize>, message: String, help: Option<String>) {
        let mut diagnostic = Diagnostic::new(Arc::clone(file), Some(span), message);
        diagnostic.help = help;
        self.diagnostics.items.push(diagnostic);
    }

    /// What was given for `key`.
    pub fn given(&self, key: &'static str) -> Option<&Given> {
        self.values.get(key)
    }

    /// The one value given for `key`.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        let given = self.values.get(key)?.clone();
        if let [one] = given.items.as_slice() {
            return Some(one.clone());
        }
        self.wrong(key, "must be one value, not a list");
        None
    }

    /// The value of `key` read by `parse`; none when not given or wrong.
    pub fn parsed<T>(&mut self, key: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        match parse(&self.text(key)?) {
            Ok(value) => Some(value),
            Err(message) => {
                self.wrong(key, message);
                None
            }
        }
    }

    /// The path given for `key`; relative ones start from the folder of the file that holds them.
    pub fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let folder = self.given(key)?.folder.clone();
        let text = self.text(key)?;
        Some(folder.join(text))
    }

    /// Complains about the value of `key`.
    pub fn wrong(&mut self, key: &'static str, message: impl AsRef<str>) {
        let message = format!("{key}: {}", message.as_ref());
        let diagnostic = match self.values.get(key) {
            Some(given) => Diagnostic::new(Arc::clone(&given.origin), given.span.clone(), message),
            None => Diagnostic::new("configuration".into(), None, message),
        };
        self.diagnostics.items.push(diagnostic);
    }

    /// Complains that `key` is missing.
    pub fn missing(&mut self, key: &'static str, why: &str) {
        let known = KEYS.iter().find(|known| known.path == key);
        let file =
            self.diagnostics.sources.first().map_or_else(|| "configuration".into(), |(name, _)| Arc::clone(name));
        let mut diagnostic = Diagnostic::new(file, None, format!("\"{key}\" is missing{why}"));
        diagnostic.help =
            known.map(|known| format!("Set it in the file, with --{} or with {}.", known.flag, known.env));
        self.diagnostics.items.push(diagnostic);
    }
}

/// Scalars and lists of scalars as texts; none for anything else.
fn items(value: &DeValue<'_>) -> Option<Vec<String>> {
    match value.as_array() {
        Some(array) => array.iter().map(|item| scalar(item.get_ref())).collect(),
        None => scalar(value).map(|text| vec![text]),
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    if let Some(text) = value.as_str() {
        return Some(text.to_owned());
    }
    if let Some(flag) = value.as_bool() {
        return Some(flag.to_string());
    }
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
}
