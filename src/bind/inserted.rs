//! Where the values of an INSERT stand in its text. In: its source. Out: the tokens of each value, row by row, for sources whose items are
//! written out: VALUES, and a SELECT whose list is stored as it stands. Invariant: what is not certainly one value of one column is
//! answered with none, and who needs the values refuses the statement.

use std::ops::Range;

use sqlparser::ast::{GroupByExpr, Query, Select, SelectItem, SetExpr};

use super::binder::Binder;
use crate::sql::{Kind, Token, keywords};

impl Binder<'_> {
    /// The tokens of the values that `source` gives, from token `after` on; none where they cannot be told.
    pub(super) fn inserted(&self, source: &Query, after: usize) -> Option<Vec<Vec<Range<usize>>>> {
        match &*source.body {
            SetExpr::Values(values) => {
                let counts = values.rows.iter().map(|row| row.content.len());
                self.rows_of_values(counts, self.word_from(after, "values")? + 1)
            }
            SetExpr::Select(select) => Some(vec![self.items_of_list(select, self.word_from(after, "select")? + 1)?]),
            SetExpr::Query(_)
            | SetExpr::SetOperation { op: _, set_quantifier: _, left: _, right: _ }
            | SetExpr::Insert(_)
            | SetExpr::Update(_)
            | SetExpr::Delete(_)
            | SetExpr::Merge(_)
            | SetExpr::Table(_) => None,
        }
    }

    /// The first `word` outside brackets.
    fn word_from(&self, after: usize, word: &str) -> Option<usize> {
        let at = self.find_level(after, |_, token| token.is_word(word));
        self.tokens.get(at).filter(|token| token.is_word(word)).map(|_| at)
    }

    fn rows_of_values(&self, counts: impl Iterator<Item = usize>, first: usize) -> Option<Vec<Vec<Range<usize>>>> {
        let kind = |at: usize| self.tokens.get(at).map(|token| token.kind);
        let mut rows = Vec::new();
        let mut at = first;
        for count in counts {
            if !rows.is_empty() {
                (kind(at) == Some(Kind::Comma)).then_some(())?;
                at += 1;
            }
            (kind(at) == Some(Kind::Open)).then_some(())?;
            let mut items = Vec::new();
            loop {
                let end = self.item_end(at + 1);
                items.push(self.value(at + 1..end)?);
                at = end;
                if kind(at) != Some(Kind::Comma) {
                    break;
                }
            }
            (kind(at) == Some(Kind::Close) && items.len() == count).then_some(())?;
            at += 1;
            rows.push(items);
        }
        Some(rows)
    }

    fn items_of_list(&self, select: &Select, first: usize) -> Option<Vec<Range<usize>>> {
        // Where rows are compared with each other, another expression would compare them otherwise.
        let plain = select.distinct.is_none()
            && matches!(&select.group_by, GroupByExpr::Expressions(list, modifiers) if list.is_empty() && modifiers.is_empty());
        plain.then_some(())?;
        let mut start =
            if self.tokens.get(first).is_some_and(|token| token.is_word("all")) { first + 1 } else { first };
        let mut items = Vec::new();
        for item in &select.projection {
            if !items.is_empty() {
                (self.tokens.get(start).map(|token| token.kind) == Some(Kind::Comma)).then_some(())?;
                start += 1;
            }
            let end = self.find_level(start, |at, token| token.kind == Kind::Comma || self.ends_list(at, token));
            let value = match item {
                SelectItem::UnnamedExpr(_) => start..end,
                SelectItem::ExprWithAlias { expr: _, alias: _ } => {
                    let before = end.checked_sub(2)?;
                    let word = self.tokens.get(before).is_some_and(|token| token.is_word("as"));
                    start..if word { before } else { before + 1 }
                }
                SelectItem::ExprWithAliases { expr: _, aliases: _ }
                | SelectItem::QualifiedWildcard(_, _)
                | SelectItem::Wildcard(_) => return None,
            };
            items.push(self.value(value)?);
            start = end;
        }
        Some(items)
    }

    /// Whether a word ends the list of a SELECT.
    fn ends_list(&self, at: usize, token: &Token) -> bool {
        let before = |word: &str| self.before(at).is_some_and(|before| before.is_word(word));
        let named = self.before(at).is_some_and(|before| before.kind == Kind::Dot);
        let ends = keywords::AFTER_LIST.iter().any(|word| token.is_word(word));
        let part = (token.is_word("from") && before("distinct")) || (token.is_word("group") && before("within"));
        ends && !named && !part
    }

    /// One value; none for what may be several, such as `(x).*`.
    fn value(&self, range: Range<usize>) -> Option<Range<usize>> {
        let tokens = self.tokens.get(range.clone())?;
        let expands =
            tokens.windows(2).any(|pair| matches!(pair, [dot, star] if dot.kind == Kind::Dot && star.is_operator("*")));
        (!tokens.is_empty() && !expands).then_some(range)
    }
}
