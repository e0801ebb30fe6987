//! Text for a terminal: columns that line up, long SQL over several lines. In: values as the server sent them. Out: lines.
//! Invariant: nothing that a terminal would obey comes out of a value.

use std::fmt::Write as _;

/// Widest cell, in columns of the terminal.
const WIDEST: usize = 46;

/// How a piece of text stands out, where the terminal can show it.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    colour: bool,
}

impl Style {
    /// With escape sequences, or without any.
    pub fn new(colour: bool) -> Self {
        Self { colour }
    }

    /// A heading.
    pub fn bold(self, text: &str) -> String {
        self.sequence("1", text)
    }

    /// What matters less.
    pub fn dim(self, text: &str) -> String {
        self.sequence("2", text)
    }

    /// A refusal.
    pub fn red(self, text: &str) -> String {
        self.sequence("31", text)
    }

    fn sequence(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// One line of a table: what it is about, then its values or a remark in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// One value a column; none for NULL.
    Cells(String, Vec<Option<String>>),
    /// Something else than values.
    Remark(String, String),
}

/// Columns of the terminal that `text` takes: letters with combining marks (`ễ` in decomposed form) take one.
pub fn width(text: &str) -> usize {
    text.chars().filter(|c| !is_combining(*c)).map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

fn is_combining(c: char) -> bool {
    matches!(u32::from(c), 0x300..=0x36f | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x200b..=0x200f | 0x20d0..=0x20ff | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f)
}

fn is_wide(c: char) -> bool {
    matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd)
}

/// `text` in at most [`WIDEST`] columns, without control characters.
fn fit(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if width(&clean) <= WIDEST {
        return clean;
    }
    let mut out = String::new();
    let mut taken = 0;
    for c in clean.chars() {
        taken += width(c.encode_utf8(&mut [0; 4]));
        if taken >= WIDEST {
            break;
        }
        out.push(c);
    }
    out + "…"
}

fn padded(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(missing))
}

/// A table with a heading. `first` heads the column of subjects.
pub fn table(style: Style, first: &str, heads: &[&str], lines: &[Line]) -> String {
    let mut widths: Vec<usize> = heads.iter().map(|head| width(head)).collect();
    let mut subject = width(first);
    for line in lines {
        match line {
            Line::Cells(name, cells) => {
                subject = subject.max(width(name));
                for (wide, cell) in widths.iter_mut().zip(cells) {
                    *wide = (*wide).max(cell.as_deref().map_or(4, |cell| width(&fit(cell))));
                }
            }
            Line::Remark(name, _) => subject = subject.max(width(name)),
        }
    }
    let mut out = String::new();
    let head: Vec<String> = heads.iter().zip(&widths).map(|(head, wide)| padded(head, *wide)).collect();
    let head = format!("{}  {}", padded(first, subject), head.join("  "));
    // Writing to a string cannot fail.
    let _ = writeln!(out, "  {}", style.bold(head.trim_end()));
    for line in lines {
        match line {
            Line::Cells(name, cells) => {
                let shown: Vec<String> = cells
                    .iter()
                    .zip(&widths)
                    .map(|(cell, wide)| match cell {
                        Some(text) => padded(&fit(text), *wide),
                        None => style.dim(&padded("NULL", *wide)),
                    })
                    .collect();
                let _ = writeln!(out, "  {}", format!("{}  {}", padded(name, subject), shown.join("  ")).trim_end());
            }
            Line::Remark(name, remark) => {
                let _ = writeln!(out, "  {}  {}", padded(name, subject), style.red(remark));
            }
        }
    }
    out
}

/// SQL over several lines of at most `columns`, where a word fits; never broken within a literal or a quoted name.
pub fn wrapped(sql: &str, columns: usize, indent: &str) -> String {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in sql.chars() {
        match quote {
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if c == open => quote = None,
            None | Some(_) => {}
        }
        if quote.is_none() && c.is_whitespace() {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    let mut out = String::from(indent);
    let mut taken = 0;
    for word in words.iter().filter(|word| !word.is_empty()) {
        if taken > 0 && taken + 1 + width(word) > columns {
            out.push('\n');
            out.push_str(indent);
            taken = 0;
        }
        if taken > 0 {
            out.push(' ');
            taken += 1;
        }
        out.push_str(word);
        taken += width(word);
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vietnamese_lines_up_composed_and_decomposed() {
        let composed = "Nguyễn Thị Hường";
        let decomposed = "Nguye\u{302}\u{303}n Thi\u{323} Hu\u{31b}o\u{31b}\u{300}ng";
        assert_eq!((width(composed), width(decomposed)), (16, 16));
        let lines = [
            Line::Cells("a".into(), vec![Some(composed.into()), Some("x".into())]),
            Line::Cells("b".into(), vec![Some(decomposed.into()), None]),
            Line::Remark("c".into(), "no".into()),
        ];
        let shown = table(Style::new(false), "role", &["full_name", "y"], &lines);
        let columns: Vec<usize> = shown
            .lines()
            .take(3)
            .map(|line| line.rfind("  ").map(|at| width(line.get(..at).unwrap())).unwrap())
            .collect();
        assert_eq!(columns, [24, 24, 24], "{shown}");
        assert!(shown.ends_with("  c     no\n"), "{shown}");
    }

    #[test]
    fn what_a_terminal_would_obey_is_taken_out() {
        let lines = [Line::Cells("a".into(), vec![Some("x\u{1b}[2Jy\nz".into())])];
        let shown = table(Style::new(false), "role", &["v"], &lines);
        assert!(!shown.contains('\u{1b}') && shown.lines().count() == 2, "{shown}");
        assert_eq!(width(&fit(&"ế".repeat(200))), WIDEST);
    }

    #[test]
    fn sql_is_wrapped_outside_quotes() {
        assert_eq!(wrapped("SELECT a  FROM t", 9, "  "), "  SELECT a\n  FROM t\n");
        assert_eq!(wrapped("SELECT 'a b c d' , \"x y\"", 8, ""), "SELECT\n'a b c d'\n, \"x y\"\n");
    }
}
