//! Column and function names as rule files write them: `schema.table.column`, a part that contains a dot in double
//! quotes, `*` for any part. In: text. Out: parts, exactly as the catalog stores them.

/// One part of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// `*`
    Any,
    /// A name, exactly as in the catalog.
    Name(String),
}

impl Part {
    /// Whether `name` is meant.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Name(own) => own == name,
        }
    }
}

/// Splits `text` into parts.
///
/// # Errors
/// What is wrong with the text, for a diagnostic.
pub fn split(text: &str) -> Result<Vec<Part>, &'static str> {
    let mut parts = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        let mut name = String::new();
        let mut quoted = false;
        if chars.peek() == Some(&'"') {
            quoted = true;
            chars.next();
            loop {
                match chars.next() {
                    Some('"') if chars.peek() == Some(&'"') => {
                        chars.next();
                        name.push('"');
                    }
                    Some('"') => break,
                    Some(c) => name.push(c),
                    None => return Err("a double quote is not closed"),
                }
            }
            if chars.peek().is_some_and(|c| *c != '.') {
                return Err("a closing double quote must be followed by a dot or the end");
            }
        } else {
            while let Some(c) = chars.next_if(|c| *c != '.') {
                if c == '"' {
                    return Err("a double quote stands within a part");
                }
                name.push(c);
            }
        }
        if name.is_empty() {
            return Err("a part is empty");
        }
        parts.push(if name == "*" && !quoted { Part::Any } else { Part::Name(name) });
        if chars.next().is_none() {
            return Ok(parts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_as_the_manual_says() {
        let name = |text: &str| Part::Name(text.to_owned());
        assert_eq!(split("a.b.c"), Ok(vec![name("a"), name("b"), name("c")]));
        assert_eq!(split(r#"a."b.c".*"#), Ok(vec![name("a"), name("b.c"), Part::Any]));
        assert_eq!(split(r#""*"."x""y""#), Ok(vec![name("*"), name("x\"y")]));
        for bad in ["", ".", "a.", "a..b", "\"a", "\"a\"b", "a\"b.c"] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }
}
