//! Diagnostics for people who edit files: what, where (file, line, column, caret) and how to mend it. Shared by every
//! stage that reads files. Out: text in the manner of rustc. Invariant: printing never fails, whatever the span.

use std::{borrow::Cow, fmt, ops::Range, sync::Arc};

/// One complaint about one place of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// File as the user named it.
    pub file: Arc<str>,
    /// Byte range in the file; none when it concerns the file as a whole.
    pub span: Option<Range<usize>>,
    /// What is wrong: lower-case, no full stop.
    pub message: String,
    /// How to mend it, a sentence.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A complaint about `span` of `file`.
    pub fn new(file: Arc<str>, span: Option<Range<usize>>, message: impl Into<String>) -> Self {
        Self { file, span, message: message.into(), help: None }
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// All complaints about a set of files, with the texts needed to print them. `Display` prints them all with carets.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Diagnostics {
    /// The complaints in file order.
    pub items: Vec<Diagnostic>,
    /// `(file, text)` of every file that a span points into.
    pub sources: Vec<(Arc<str>, Arc<str>)>,
}

impl Diagnostics {
    /// Puts the complaints in file order: by file as in `sources`, then by place.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        let rank = |file: &str| self.sources.iter().position(|(name, _)| &**name == file);
        self.items.sort_by_key(|item| (rank(&item.file), item.span.as_ref().map(|span| span.start)));
        self
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            let text = self.sources.iter().find(|(file, _)| *file == item.file).map(|(_, text)| &**text);
            write_item(f, item, text)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

fn write_item(f: &mut fmt::Formatter<'_>, item: &Diagnostic, text: Option<&str>) -> fmt::Result {
    writeln!(f, "error: {}", item.message)?;
    let mut gutter = 1;
    if let (Some(span), Some(text)) = (&item.span, text) {
        let place = Place::of(text, span.start);
        let number = place.line.to_string();
        gutter = number.len();
        let marked_end = span.end.clamp(span.start, place.line_end.max(span.start));
        let before = shown(&last(text.get(place.line_start..span.start.min(text.len())).unwrap_or_default()));
        let marked = shown(&first(text.get(span.start..marked_end).unwrap_or_default()));
        let after = shown(&first(text.get(marked_end..place.line_end).unwrap_or_default()));
        writeln!(f, "{:gutter$}--> {}:{}:{}", "", item.file, place.line, place.column)?;
        writeln!(f, "{:gutter$} |", "")?;
        writeln!(f, "{number} | {before}{marked}{after}")?;
        writeln!(f, "{:gutter$} | {}{}", "", " ".repeat(width(&before)), "^".repeat(width(&marked).max(1)))?;
    } else {
        writeln!(f, " --> {}", item.file)?;
    }
    if let Some(help) = item.help.as_ref().filter(|help| !help.is_empty()) {
        writeln!(f, "{:gutter$} = help: {help}", "")?;
    }
    Ok(())
}

/// Where a byte offset stands in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    line_start: usize,
    line_end: usize,
}

impl Place {
    /// The place of byte `offset` in `text`; beyond the end, the end.
    pub fn of(text: &str, offset: usize) -> Self {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let (before, after) = text.split_at(offset);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let rest = after.find('\n').unwrap_or(after.len());
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        let line_end = offset + after.get(..rest).unwrap_or_default().trim_end_matches('\r').len();
        Self { line: before.matches('\n').count() + 1, column, line_start, line_end }
    }
}

/// Characters of a long line that are shown before, in and behind what is meant.
const SHOWN: usize = 120;

/// The beginning of a piece of a line.
fn first(piece: &str) -> Cow<'_, str> {
    match piece.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}…", piece.get(..cut).unwrap_or_default()).into(),
        None => piece.into(),
    }
}

/// The end of a piece of a line.
fn last(piece: &str) -> Cow<'_, str> {
    match piece.char_indices().rev().nth(SHOWN) {
        Some((cut, c)) => format!("…{}", piece.get(cut + c.len_utf8()..).unwrap_or_default()).into(),
        None => piece.into(),
    }
}

/// A piece of a source line as a terminal can show it: tabs as four spaces, control characters as a dot.
fn shown(piece: &str) -> String {
    piece
        .chars()
        .map(|c| match c {
            '\t' => "    ".to_owned(),
            c if c.is_control() => "·".to_owned(),
            c => c.to_string(),
        })
        .collect()
}

/// Terminal cells that `text` takes: marks none, East Asian wide characters and most emoji two.
fn width(text: &str) -> usize {
    text.chars()
        .map(|c| match u32::from(c) {
            0x0300..=0x036F | 0x1AB0..=0x1AFF | 0x200B..=0x200F | 0x20D0..=0x20FF | 0xFE00..=0xFE0F => 0,
            0x1100..=0x115F
            | 0x2E80..=0xA4CF
            | 0xAC00..=0xD7A3
            | 0xF900..=0xFAFF
            | 0xFE30..=0xFE6F
            | 0xFF00..=0xFF60
            | 0xFFE0..=0xFFE6
            | 0x1F300..=0x1FAFF
            | 0x20000..=0x3FFFD => 2,
            _ => 1,
        })
        .sum()
}

/// The candidate that `word` was most likely meant to be; none when none is near.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// "Did you mean …?", or what there is (`what` in the plural) when nothing is near.
pub fn suggestion<'a>(word: &str, what: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // Of keys, which are few, the one that was meant should not be among those left out.
    let most = if what == "keys" { 40 } else { 12 };
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(same) = candidates.iter().find(|known| look_alike(known, word)) {
        return Some(format!(
            "\"{same}\" looks the same, but its marks are composed otherwise (NFC or NFD): copy the name from the database."
        ));
    }
    if let Some(near) = closest(word, candidates.iter().copied()) {
        return Some(format!("Did you mean \"{near}\"?"));
    }
    let shown = candidates.iter().take(most).copied().collect::<Vec<_>>().join(", ");
    match candidates.len() {
        0 => None,
        n if n > most => Some(format!("Known {what}: {shown} and {} more.", n - most)),
        _ => Some(format!("Known {what}: {shown}.")),
    }
}

/// Whether two names that differ have the same letters, some with their marks as code points of their own.
fn look_alike(one: &str, other: &str) -> bool {
    let letters = |word: &str| {
        let mut letters: Vec<(char, bool)> = Vec::new();
        for c in word.chars() {
            match letters.last_mut() {
                Some((_, marked)) if matches!(u32::from(c), 0x0300..=0x036F) => *marked = true,
                Some(_) | None => letters.push((c, false)),
            }
        }
        letters
    };
    let (first, second) = (letters(one), letters(other));
    let composed = |letter: (char, bool), parts: (char, bool)| parts.1 && !letter.0.is_ascii();
    one != other
        && first.len() == second.len()
        && first.iter().zip(&second).all(|(x, y)| x.0 == y.0 || composed(*x, *y) || composed(*y, *x))
        && first.iter().zip(&second).any(|(x, y)| composed(*x, *y) || composed(*y, *x))
}

/// Changes of one character, and swaps of two neighbours, that lead from `a` to `b` (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX - 1);
            let mut best = (cell(&row, j + 1) + 1).min(cell(&next, j) + 1).min(cell(&row, j) + usize::from(x != *y));
            let swapped = j.checked_sub(1).filter(|k| previous == Some(*y) && b.get(*k) == Some(&x));
            if let Some(k) = swapped {
                best = best.min(cell(&before, k) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
        previous = Some(x);
    }
    row.last().copied().unwrap_or_default()
}

/// Text of clients for a line of a log or a terminal: without what would end the line, be obeyed, or turn the direction of what follows.
pub fn printable(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let ends = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.chars().map(|c| if ends(c) || turns(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caret_stands_under_the_span_whatever_the_width_of_what_precedes_it() {
        let text: Arc<str> = "a = 1\ntên\u{0302} = \"電話\" x\n".into();
        let start = text.find(" x").unwrap() + 1;
        let diagnostics = Diagnostics {
            items: vec![Diagnostic::new("r.toml".into(), Some(start..start + 1), "bad").with_help("Mend it.")],
            sources: vec![("r.toml".into(), text.clone())],
        };
        let expected = format!(
            "error: bad\n --> r.toml:2:13\n  |\n2 | tên\u{0302} = \"電話\" x\n  | {}^\n  = help: Mend it.\n",
            " ".repeat(13)
        );
        assert_eq!(diagnostics.to_string(), expected);
    }

    #[test]
    fn of_a_long_line_the_part_around_the_span_is_shown() {
        let text: Arc<str> =
            format!("columns = [{}\"wrong\", {}]", "\"a.b.ế\", ".repeat(9000), "\"a.b.c\", ".repeat(9000)).into();
        let start = text.find("\"wrong").unwrap();
        let item = Diagnostic::new("f".into(), Some(start..start + 7), "bad");
        let shown = Diagnostics { items: vec![item], sources: vec![("f".into(), text.clone())] }.to_string();
        let lines: Vec<&str> = shown.lines().collect();
        let column = text.split("\"wrong").next().unwrap().chars().count() + 1;
        assert!(lines[1].ends_with(&format!("f:1:{column}")), "{shown}");
        let (line, caret) = (lines[3].trim_start_matches("1 | "), lines[4].trim_start_matches("  | "));
        assert!(line.starts_with('…') && line.ends_with('…') && line.chars().count() < 260, "{shown}");
        let at = caret.chars().take_while(|c| *c == ' ').count();
        assert_eq!(line.chars().skip(at).take(7).collect::<String>(), "\"wrong\"", "{shown}");
        // All of it is meant.
        let item = Diagnostic::new("f".into(), Some(0..text.len()), "bad");
        let shown = Diagnostics { items: vec![item], sources: vec![("f".into(), text)] }.to_string();
        assert!(shown.contains("^\n") && shown.len() < 800, "{shown}");
    }

    #[test]
    fn odd_spans_do_not_panic() {
        let text: Arc<str> = "ế\r\n".into();
        for (start, end) in [(0, 0), (1, 2), (2, 100), (100, 200), (5, 1)] {
            let item = Diagnostic::new("f".into(), Some(start..end), "bad");
            let shown = Diagnostics { items: vec![item], sources: vec![("f".into(), text.clone())] }.to_string();
            assert!(shown.contains('^'), "{shown}");
        }
    }

    #[test]
    fn suggestions_are_near() {
        assert_eq!(closest("colums", ["title", "columns"]), Some("columns"));
        assert_eq!(closest("excat", ["masked", "exact"]), Some("exact"));
        assert_eq!(closest("phone", ["email", "address"]), None);
        assert_eq!(suggestion("zzz", "keys", ["a", "b"]), Some("Known keys: a, b.".to_owned()));
    }
}
