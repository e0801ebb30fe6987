//! How commands print what they found: for people, as JSON, as annotations of GitHub, as SARIF. In: [`Remark`]s, each with
//! a place where there is one. Out: text. Invariant: what a catalog or a rule file holds cannot break out of its field.

use std::{fmt::Write as _, sync::Arc};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    diagnostic::{Diagnostics, Place},
    policy::rules::RuleFile,
};

/// What `--format` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text for people.
    Human,
    /// One JSON value.
    Json,
    /// Workflow commands of GitHub Actions, which show as annotations beside the rules.
    Github,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Human, Self::Json, Self::Github, Self::Sarif];

    /// As the option names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Json => "json",
            Self::Github => "github",
            Self::Sarif => "sarif",
        }
    }
}

/// How grave a remark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something to know.
    Note,
    /// Likely a mistake.
    Warning,
    /// A mistake.
    Error,
}

impl Level {
    /// As people, JSON and SARIF read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A place in a rule file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Spot {
    /// The file, as the user named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
}

impl Spot {
    /// The place that `origin` (`file:line`, the file without its folder, as decisions name it) means in `files`.
    pub fn of_origin(origin: &str, files: &[RuleFile]) -> Option<Self> {
        let (name, line) = origin.rsplit_once(':')?;
        let file = files.iter().find(|file| file.path.rsplit('/').next() == Some(name))?;
        Some(Self { file: file.path.to_string(), line: line.parse().ok()? })
    }
}

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// How grave it is.
    pub level: Level,
    /// Stable name of this kind of remark.
    pub code: Arc<str>,
    /// What there is to tell, one line.
    pub message: String,
    /// Where.
    pub spot: Option<Spot>,
}

/// Complaints about files, as remarks.
pub fn complaints(complaints: &Diagnostics, code: &str) -> Vec<Remark> {
    let line = |item: &crate::diagnostic::Diagnostic| {
        let text = complaints.sources.iter().find(|(file, _)| *file == item.file);
        text.map_or(1, |(_, text)| Place::of(text, item.span.as_ref().map_or(0, |span| span.start)).line)
    };
    let items = complaints.items.iter();
    items
        .map(|item| Remark {
            level: Level::Error,
            code: code.into(),
            message: item.help.iter().fold(item.message.clone(), |message, help| format!("{message}. {help}")),
            spot: Some(Spot { file: item.file.to_string(), line: line(item) }),
        })
        .collect()
}

/// Workflow commands of GitHub Actions, one line each.
///
/// <https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands>
pub fn github<'a>(remarks: impl IntoIterator<Item = &'a Remark>) -> String {
    let escape = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| escape(text).replace(':', "%3A").replace(',', "%2C");
    let mut out = String::new();
    for remark in remarks {
        let level = match remark.level {
            Level::Note => "notice",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        // Writing to a string cannot fail.
        let _ = write!(out, "::{level} title={}", property(&remark.code));
        if let Some(spot) = &remark.spot {
            let _ = write!(out, ",file={},line={}", property(&spot.file), spot.line);
        }
        let _ = writeln!(out, "::{}", escape(&remark.message));
    }
    out
}

/// SARIF 2.1.0. `rules` describes each code that may occur: its name and what it means.
///
/// <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>
pub fn sarif<'a>(remarks: impl IntoIterator<Item = &'a Remark>, rules: &[(&str, &str)]) -> Value {
    let rules: Vec<Value> =
        rules.iter().map(|(id, text)| json!({ "id": id, "shortDescription": { "text": text } })).collect();
    let results: Vec<Value> = remarks
        .into_iter()
        .map(|remark| {
            let mut result = json!({
                "ruleId": &*remark.code,
                "level": remark.level.name(),
                "message": { "text": remark.message },
            });
            if let (Some(spot), Some(map)) = (&remark.spot, result.as_object_mut()) {
                let location = json!([{ "physicalLocation": {
                    "artifactLocation": { "uri": uri(&spot.file) },
                    "region": { "startLine": spot.line },
                } }]);
                map.insert("locations".to_owned(), location);
            }
            result
        })
        .collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "pgscrim", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "results": results,
        }],
    })
}

/// A path as a URI reference.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Indented JSON with a line break at its end.
pub fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}")) + "\n"
}

/// Lines of cells, each column as wide as its widest cell, with `indent` blanks before them.
pub fn table(lines: &[Vec<String>], indent: usize) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |i: usize| lines.iter().filter_map(|line| line.get(i)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|i| width(i).unwrap_or(0)).collect();
    let mut out = String::new();
    for line in lines {
        let mut text = " ".repeat(indent);
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(text, "{cell:width$}  ");
        }
        out += text.trim_end();
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remark(message: &str, file: &str) -> Remark {
        let spot = Some(Spot { file: file.to_owned(), line: 3 });
        Remark { level: Level::Warning, code: "a-b".into(), message: message.to_owned(), spot }
    }

    #[test]
    fn annotations_cannot_be_left() {
        let text = github(&[remark("50% of\n::error::x", "a,b:c.toml")]);
        assert_eq!(text, "::warning title=a-b,file=a%2Cb%3Ac.toml,line=3::50%25 of%0A::error::x\n");
    }

    #[test]
    fn sarif_names_rule_and_place() {
        let log = sarif(&[remark("m", "rules/a b.toml")], &[("a-b", "what it means")]);
        let run = &log["runs"][0];
        assert_eq!(run["results"][0]["ruleId"], run["tool"]["driver"]["rules"][0]["id"]);
        let place = &run["results"][0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "rules/a%20b.toml");
        assert_eq!(place["region"]["startLine"], 3);
    }

    #[test]
    fn origins_are_found_among_the_files() {
        let files = [RuleFile { path: "rules/x/10-data.toml".into(), text: "".into() }];
        let spot = Spot::of_origin("10-data.toml:7", &files).unwrap();
        assert_eq!((spot.file.as_str(), spot.line), ("rules/x/10-data.toml", 7));
        assert_eq!(Spot::of_origin("data.toml:7", &files), None);
    }
}
