//! The shape of the crate, read from its sources: which stage may use which, which stages are pure, how files open and
//! how long they are. The map these tests enforce is the crate document of `src/lib.rs`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic, reason = "a test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Stages from the bottom up. A stage may use those of smaller rank, and those of its own rank in the same row.
const STAGES: &[&[&str]] = &[
    &["names", "diagnostic", "error"],
    &["sql"],
    &["catalog"],
    &["bind"],
    &["policy"],
    &["rewrite"],
    &["engine"],
    &["config", "metrics", "audit"],
    &["wire", "net", "upstream", "reload"],
    &["session"],
    &["cli"],
];

/// Uses against the direction, each with its reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    // Quoting an identifier needs the server's keyword table, which is data of the lexer.
    ("names", "sql"),
];

/// Stages that do no I/O, read no clock and know no wire protocol.
const PURE: &[&str] = &["names", "diagnostic", "error", "sql", "catalog", "bind", "policy", "rewrite", "engine"];

/// Stages in which a forgotten case is a leak.
const SECURITY: &[&str] = &["sql", "catalog", "bind", "policy", "rewrite", "engine"];

/// What a pure stage may not name.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::io",
    "std::os",
    "std::time::SystemTime",
    "std::time::Instant",
    "SystemTime::now",
    "Instant::now",
    "tokio",
    "tokio_postgres",
    "tokio_rustls",
    "rustls",
    "pgwire",
    "hyper",
    "socket2",
    "rustix",
    "prometheus",
];

struct Source {
    path: PathBuf,
    /// First component under `src`, without `.rs`.
    stage: String,
    text: String,
    /// `text` with comments, literals and test code blanked; same length in lines.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    files.sort();
    assert!(files.len() > 20, "only {} source files found under {}", files.len(), root.display());
    files
        .into_iter()
        .map(|path| {
            let relative = path.strip_prefix(&root).unwrap();
            let first = relative.iter().next().unwrap().to_str().unwrap();
            let stage = first.strip_suffix(".rs").unwrap_or(first).to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let code = without_tests(&blank(&text), &path);
            Source { path: relative.to_owned(), stage, text, code }
        })
        .collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Replaces comments, and the insides of string and character literals, by blanks. Line breaks stay.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let skip = |out: &mut String, chars: &[char]| {
        for &c in chars {
            out.push(if c == '\n' { '\n' } else { ' ' });
        }
    };
    while at < chars.len() {
        let rest = &chars[at..];
        let length = match rest {
            ['/', '/', ..] => rest.iter().position(|&c| c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => block_comment(rest),
            ['"', ..] => string(rest, 1),
            ['b' | 'c', '"', ..] if !word_before(&chars, at) => string(rest, 2),
            ['r', '"' | '#', ..] if !word_before(&chars, at) => raw_string(rest, 1),
            ['b' | 'c', 'r', '"' | '#', ..] if !word_before(&chars, at) => raw_string(rest, 2),
            ['\'', '\\', ..] => 2 + rest[2..].iter().skip(1).position(|&c| c == '\'').map_or(1, |n| n + 2),
            ['\'', _, '\'', ..] => 3,
            _ => 0,
        };
        if length == 0 {
            out.push(chars[at]);
            at += 1;
        } else {
            skip(&mut out, &rest[..length]);
            at += length;
        }
    }
    out
}

fn word_before(chars: &[char], at: usize) -> bool {
    at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_')
}

fn block_comment(rest: &[char]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] if depth == 1 => return at + 2,
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn string(rest: &[char], prefix: usize) -> usize {
    let mut at = prefix;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Length of a raw string, 0 when it is not one (`r#type`).
fn raw_string(rest: &[char], prefix: usize) -> usize {
    let hashes = rest[prefix..].iter().take_while(|&&c| c == '#').count();
    let start = prefix + hashes;
    if rest.get(start) != Some(&'"') {
        return 0;
    }
    let mut at = start + 1;
    while at < rest.len() {
        if rest[at] == '"' && rest[at + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    rest.len()
}

/// Blanks every item under `#[cfg(test)]`; a whole file whose module is declared so.
fn without_tests(code: &str, path: &Path) -> String {
    if is_test_file(path) {
        return code.chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
    }
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let rest = &out[start..];
        let semicolon = rest.find(';').unwrap_or(usize::MAX);
        let end = match rest.find('{') {
            Some(brace) if brace < semicolon => brace + matching(&rest[brace..]),
            _ => semicolon.saturating_add(1).min(rest.len()),
        };
        let blanked: String = rest[..end].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
        out = format!("{}{}{}", &out[..start], blanked, &rest[end..]);
    }
    out
}

/// `tests.rs` and files of a `tests` folder, which their parent declares under `#[cfg(test)]`.
fn is_test_file(path: &Path) -> bool {
    let declared = |module: &Path, parent: &Path| {
        let name = module.file_stem().unwrap().to_str().unwrap();
        [parent.join("mod.rs"), parent.with_extension("rs")].iter().any(|file| {
            fs::read_to_string(file).is_ok_and(|text| {
                text.contains(&format!("#[cfg(test)]\nmod {name};"))
                    || text.contains(&format!("#[cfg(test)]\npub(crate) mod {name};"))
            })
        })
    };
    path.ancestors()
        .take_while(|step| !step.ends_with("src"))
        .any(|step| step.parent().is_some_and(|parent| declared(step, parent)))
}

fn matching(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// Names that follow `crate::` in `code`, with their offsets; groups `crate::{a::…, b}` are taken apart.
fn crate_uses(code: &str) -> Vec<(usize, String)> {
    let mut uses = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if word_before_byte(code, at) {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.trim_start().strip_prefix('{') {
            let body_length = matching(rest.trim_start());
            let body = &group[..body_length.saturating_sub(2)];
            let mut depth = 0;
            for part in body.split(|c| {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                c == ',' && depth == 0
            }) {
                uses.push((at, first_word(part)));
            }
        } else {
            uses.push((at, first_word(rest)));
        }
    }
    uses.retain(|(_, name)| !name.is_empty());
    uses
}

fn word_before_byte(code: &str, at: usize) -> bool {
    code[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$')
}

fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn rank(stage: &str) -> Option<usize> {
    STAGES.iter().position(|row| row.contains(&stage))
}

fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn stages_use_only_stages_below_them() {
    let mut problems = Vec::new();
    for source in sources() {
        if matches!(source.stage.as_str(), "lib" | "main") {
            continue;
        }
        let Some(own) = rank(&source.stage) else {
            problems.push(format!("src/{}: `{}` is no stage of the map", source.path.display(), source.stage));
            continue;
        };
        for (at, used) in crate_uses(&source.code) {
            let allowed = rank(&used).is_some_and(|other| other <= own)
                || EXCEPTIONS.contains(&(source.stage.as_str(), used.as_str()));
            if !allowed {
                problems.push(format!(
                    "src/{}:{}: `{}` may not use `crate::{used}`",
                    source.path.display(),
                    line_of(&source.code, at),
                    source.stage,
                ));
            }
        }
    }
    report(&problems);
}

#[test]
fn pure_stages_do_no_io() {
    let mut problems = Vec::new();
    for source in sources().iter().filter(|source| PURE.contains(&source.stage.as_str())) {
        let flat = flatten_std(&source.code);
        for name in IMPURE {
            for (at, _) in flat.match_indices(name) {
                let after = flat[at + name.len()..].chars().next();
                if word_before_byte(&flat, at) || after.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                    continue;
                }
                problems.push(format!(
                    "src/{}:{}: a pure stage names `{name}`",
                    source.path.display(),
                    line_of(&flat, at)
                ));
            }
        }
    }
    report(&problems);
}

/// Spells `use std::{fs, time::Instant}` as `std::fs std::time::Instant` on the line where the group opens.
fn flatten_std(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("std::{") {
        out.push_str(&rest[..at]);
        let group = &rest[at + "std::".len()..];
        let length = matching(group);
        for path in leaves(&group[1..length - 1]) {
            out.push_str(" std::");
            out.push_str(&path);
        }
        out.extend(group[..length].chars().filter(|&c| c == '\n'));
        rest = &group[length..];
    }
    out.push_str(rest);
    out
}

/// The paths of a use group's body: `fs, time::{Duration, Instant}` gives three.
fn leaves(body: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut depth = 0;
    for part in body.split(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    }) {
        match part.find('{') {
            Some(open) => {
                let prefix = part[..open].trim();
                let end = open + matching(&part[open..]);
                paths.extend(leaves(&part[open + 1..end - 1]).iter().map(|leaf| format!("{prefix}{leaf}")));
            }
            None => paths.push(part.trim().to_owned()),
        }
    }
    paths
}

#[test]
fn every_file_opens_with_its_document() {
    let problems: Vec<String> = sources()
        .iter()
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| format!("src/{}: does not open with `//!`", source.path.display()))
        .collect();
    report(&problems);
}

#[test]
fn files_stay_short() {
    let problems: Vec<String> = sources()
        .iter()
        .filter_map(|source| {
            // Documentation and code count; what was blanked as test code does not.
            let lines = source.text.lines().zip(source.code.lines().chain(std::iter::repeat("")));
            let tests = first_test_line(&source.code, &source.text);
            let count = lines.enumerate().filter(|(number, _)| !tests.contains(&(number + 1))).count();
            (count > 600).then(|| format!("src/{}: {count} lines without tests, more than 600", source.path.display()))
        })
        .collect();
    report(&problems);
}

/// Numbers of the lines that belong to test code: blank in `code`, and inside an item under `#[cfg(test)]`.
fn first_test_line(code: &str, text: &str) -> BTreeSet<usize> {
    let blanked = blank(text);
    blanked
        .lines()
        .zip(code.lines())
        .enumerate()
        .filter(|(_, (before, after))| !before.trim().is_empty() && after.trim().is_empty())
        .map(|(number, _)| number + 1)
        .collect()
}

#[test]
fn parser_nodes_are_destructured_in_full() {
    let mut problems = Vec::new();
    for source in sources().iter().filter(|source| SECURITY.contains(&source.stage.as_str())) {
        let nodes = parser_names(&source.code);
        for (at, _) in source.code.match_indices("..") {
            let after = source.code[at + 2..].trim_start();
            if !after.starts_with('}') || source.code[..at].ends_with('.') {
                continue;
            }
            let Some((_, name)) = pattern_head(&source.code[..at]) else { continue };
            let is_node = name.contains("ast::") || nodes.contains(name.split("::").next().unwrap());
            // What leads to a refusal, or to the name of an output column, may ignore what a node holds.
            let bare = source.code[..at].trim_end().ends_with('{');
            let arm = source.code[at..].split_once("=>").map_or("", |(_, arm)| arm.trim_start());
            let refused = arm.starts_with("Err(") || arm.starts_with("return Err(");
            if is_node && !(bare && refused) && !source.path.ends_with("figure.rs") {
                problems.push(format!(
                    "src/{}:{}: `{name} {{ .. }}` hides fields of the parser's tree: name each one",
                    source.path.display(),
                    line_of(&source.code, at),
                ));
            }
        }
    }
    report(&problems);
}

/// What a file imports from `sqlparser`.
fn parser_names(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("sqlparser::") {
        let rest = &code[at..];
        let end = rest.find(';').unwrap_or(rest.len());
        for word in rest[..end].split(|c: char| !(c.is_alphanumeric() || c == '_')) {
            if word.chars().next().is_some_and(char::is_uppercase) {
                names.insert(word.to_owned());
            }
        }
    }
    names
}

/// The path before the brace that is open at the end of `before`.
fn pattern_head(before: &str) -> Option<(usize, &str)> {
    let mut depth = 0;
    for (at, c) in before.char_indices().rev() {
        match c {
            '}' => depth += 1,
            '{' if depth == 0 => {
                let head = before[..at].trim_end();
                let start = head
                    .char_indices()
                    .rev()
                    .take_while(|(_, c)| c.is_alphanumeric() || *c == '_' || *c == ':')
                    .last()?
                    .0;
                return Some((start, &head[start..]));
            }
            '{' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[test]
fn the_checks_themselves_see_what_they_look_for() {
    let code = blank(
        "use crate::{session, wire::{a, b}}; // crate::cli\nlet s = \"crate::net\"; 'a'; '\\''; r#\"crate::x\"#;",
    );
    let used: Vec<String> = crate_uses(&code).into_iter().map(|(_, name)| name).collect();
    assert_eq!(used, ["session", "wire"]);
    assert!(flatten_std("use std::{fs, time::{Duration, Instant}};").contains("std::time::Instant"));
    assert_eq!(
        without_tests("a #[cfg(test)] mod t { x { } } b", Path::new("x")).split_whitespace().collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(pattern_head("match x { ast::Query { with, "), Some((10, "ast::Query")));
}
