//! Whether something in a statement can fail on a value of a row that a row scope hides ([`super::quiet`] says what can), where it could tell.
//!
//! PostgreSQL evaluates conditions beside a scope in any order, so what can fail in one of them tells of hidden rows. What select lists,
//! GROUP BY and ORDER BY hold is computed of rows that have passed all conditions of their query, and so matters only as a column
//! of a sub-select in FROM or of WITH that a condition elsewhere names, for that condition may move into the sub-select.
//!
//! In: tokens. Out: yes, or no. Invariant: what is not understood counts as a condition, and a name that could be that of such a column as its name.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::quiet::{Quiet, is_label};
use crate::{
    bind::Bound,
    sql::{
        Kind, Nesting, Token,
        keywords::{self, Category},
    },
};

/// Whether something in the statement can fail on a value of a row that the scope hides.
pub(super) fn is_loud(quiet: &Quiet<'_>, bound: &Bound) -> bool {
    let tokens = quiet.tokens;
    let writes = ["delete", "insert", "merge", "recursive", "update"];
    if tokens.iter().any(|token| writes.iter().any(|word| token.is_word(word))) {
        let aside = behind_condition(tokens, bound, select_list(tokens));
        let judged = |at: &usize| !aside.iter().any(|range| range.contains(at));
        return (0..tokens.len()).filter(judged).any(|at| quiet.is_loud_at(at));
    }
    let mut parts =
        Parts { tokens, stands: vec![Stands::Aside; tokens.len()], items: Vec::new(), sources: BTreeSet::new() };
    parts.query(0..tokens.len(), Place::Outermost).is_none() || parts.are_loud(quiet)
}

/// The same where the scope may become a join: PostgreSQL computes columns of sub-selects, and what is grouped, sorted or made distinct, below
/// it, of rows that the scope hides. So only the outermost select list is aside, of a query that does none of that.
pub(super) fn is_loud_beside_join(quiet: &Quiet<'_>, bound: &Bound) -> bool {
    let tokens = quiet.tokens;
    let sorts = ["distinct", "except", "group", "intersect", "order", "over", "union", "window"];
    let word = |token: &Token| sorts.iter().any(|word| token.is_word(word));
    let list = if tokens.iter().any(word) { 0..0 } else { select_list(tokens) };
    let aside = behind_condition(tokens, bound, list);
    let judged = |at: &usize| !aside.iter().any(|range| range.contains(at));
    (0..tokens.len()).filter(judged).any(|at| quiet.is_loud_at(at))
}

/// Where a query stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Its columns go to the client, or into a value of a select list.
    Outermost,
    /// In FROM, or in WITH: its columns have names.
    Named,
}

/// What a token belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Stands {
    /// A select list, GROUP BY, ORDER BY.
    Aside,
    From,
    Condition,
}

#[derive(Clone, Copy, PartialEq)]
enum Clause {
    /// Before SELECT, and between the queries of UNION.
    Start,
    With,
    List,
    From,
    /// Behind ON.
    Joined,
    Condition,
    /// GROUP BY and ORDER BY.
    Sorted,
}

/// A column of a sub-select in FROM or WITH.
struct Item {
    tokens: Range<usize>,
    query: Range<usize>,
    /// All columns of queries that are united: which has which name is not looked at.
    united: bool,
}

/// Queries that are remembered for a name; one of more counts as a name of any.
const QUERIES: usize = 8;

/// What columns that can fail may be called, each with the queries whose columns they are.
#[derive(Default)]
struct Names<'a> {
    known: BTreeMap<&'a str, Vec<Range<usize>>>,
    count: usize,
}

impl<'a> Names<'a> {
    fn add(&mut self, name: &'a str, query: &Range<usize>) {
        let queries = self.known.entry(name).or_default();
        if queries.len() <= QUERIES && !queries.contains(query) {
            queries.push(query.clone());
            self.count += 1;
        }
    }

    /// Whether the name, where it stands, may be that of such a column: a query does not see its own columns by their names.
    fn may_mean(&self, name: &str, at: usize) -> bool {
        let any =
            |queries: &Vec<Range<usize>>| queries.len() > QUERIES || queries.iter().any(|query| !query.contains(&at));
        self.known.get(name).is_some_and(any)
    }
}

struct Parts<'a> {
    tokens: &'a [Token],
    stands: Vec<Stands>,
    items: Vec<Item>,
    /// Names of relations and what they are called.
    sources: BTreeSet<&'a str>,
}

impl<'a> Parts<'a> {
    fn word(&self, at: usize, words: &[&str]) -> bool {
        // Behind a dot it is a label.
        !is_label(self.tokens, at)
            && self.tokens.get(at).is_some_and(|token| words.iter().any(|word| token.is_word(word)))
    }

    fn before(&self, at: usize, words: &[&str]) -> bool {
        at.checked_sub(1).is_some_and(|at| self.word(at, words))
    }

    /// Whether the token may be the name of a relation: a word that the grammar keeps to itself is none.
    fn may_name(&self, at: usize) -> bool {
        let Some(token) = self.tokens.get(at).filter(|token| token.is_name()) else { return false };
        token.kind == Kind::Quoted
            || match keywords::category(token.name()) {
                None | Some(Category::Unreserved | Category::ColumnName) => true,
                Some(Category::TypeOrFunction | Category::Reserved) => false,
            }
    }

    /// Whether the token stands for a whole row of a relation.
    fn is_row(&self, at: usize) -> bool {
        let dotted = self.tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Dot);
        let named = self.tokens.get(at).is_some_and(|token| token.is_name() && self.sources.contains(token.name()));
        named && !dotted && !is_label(self.tokens, at)
    }

    /// The star of `x.*`.
    fn is_star(&self, at: usize) -> bool {
        is_label(self.tokens, at) && self.tokens.get(at).is_some_and(|token| token.kind == Kind::Operator)
    }

    fn mark(&mut self, range: Range<usize>, stands: Stands) {
        for token in self.stands.get_mut(range).into_iter().flatten() {
            *token = stands;
        }
    }

    /// The bracket that closes the one at `open`.
    fn close(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        (open..self.tokens.len()).find(|at| {
            match self.tokens.get(*at).map(|token| token.kind.nesting()) {
                Some(Nesting::Opens) => depth += 1,
                Some(Nesting::Closes) => depth = depth.saturating_sub(1),
                Some(Nesting::Stays) | None => {}
            }
            depth == 0
        })
    }

    fn begins_query(&self, inner: &Range<usize>) -> bool {
        let mut at = inner.start;
        while self.tokens.get(at).is_some_and(|token| token.kind == Kind::Open) && at < inner.end {
            at += 1;
        }
        at < inner.end && self.word(at, &["select", "with", "values", "table"])
    }

    /// Reads a query; none where it is not understood.
    fn query(&mut self, range: Range<usize>, place: Place) -> Option<()> {
        let (mut clause, mut at, mut starts, mut united) = (Clause::Start, range.start, Vec::new(), false);
        while at < range.end {
            let kind = self.tokens.get(at)?.kind;
            match kind.nesting() {
                Nesting::Closes => return None,
                Nesting::Opens => {
                    let close = self.close(at).filter(|close| *close < range.end)?;
                    self.bracket(at, close, clause, place)?;
                    at = close + 1;
                    continue;
                }
                Nesting::Stays => {}
            }
            let from_of_distinct = self.before(at, &["distinct"]) && at >= 2 && self.before(at - 1, &["is", "not"]);
            let begins = self.word(at, keywords::AFTER_LIST)
                && !(self.word(at, &["from"]) && from_of_distinct)
                // DISTINCT ON (…)
                && !(clause == Clause::List && self.word(at, &["on"]))
                && (!self.word(at, &["group", "order"]) || self.word(at + 1, &["by"]));
            if begins {
                // A word of the grammar may be a label behind AS.
                (!self.before(at, &["as"])).then_some(())?;
                if clause == Clause::List {
                    self.list(&mut starts, at, &range, place);
                }
                clause = self.next(clause, at)?;
                united |= clause == Clause::Start;
            } else if self.word(at, &["select"]) {
                matches!(clause, Clause::Start | Clause::With).then_some(())?;
                clause = Clause::List;
                starts.push(at + 1);
                at += 1;
                continue;
            } else if clause == Clause::List && kind == Kind::Comma {
                starts.push(at + 1);
            } else if (clause == Clause::Joined) && (kind == Kind::Comma || self.word(at, &["join"])) {
                clause = Clause::From;
            } else if clause == Clause::Start {
                if self.word(at, &["with"]) {
                    clause = Clause::With;
                } else if !self.word(at, &["all", "distinct"]) {
                    // VALUES, TABLE, and what no query begins with.
                    return None;
                }
            }
            // Which of the rows that have passed are shown; in a sub-select of a condition it is part of that.
            let counted = begins
                && self.word(at, &["limit", "offset"])
                && self.tokens.get(at + 1).is_some_and(|count| count.kind == Kind::Parameter);
            let stands = match clause {
                Clause::Condition if counted => Stands::Aside,
                Clause::Start | Clause::List | Clause::Sorted => Stands::Aside,
                Clause::With | Clause::From => Stands::From,
                Clause::Joined | Clause::Condition => Stands::Condition,
            };
            if stands == Stands::From && self.may_name(at) {
                self.sources.insert(self.tokens.get(at)?.name());
            }
            self.mark(at..at + 1, stands);
            at += 1;
        }
        if clause == Clause::List {
            self.list(&mut starts, range.end, &range, place);
        }
        // The columns of all its queries have the names of the first.
        if united && place == Place::Named {
            self.items.push(Item { tokens: range.clone(), query: range, united: true });
        }
        Some(())
    }

    /// The clause that begins at `at`.
    fn next(&self, clause: Clause, at: usize) -> Option<Clause> {
        Some(match self.tokens.get(at)?.name() {
            "from" if clause == Clause::List => Clause::From,
            "on" if clause == Clause::From => Clause::Joined,
            "except" | "intersect" | "union" => Clause::Start,
            "group" | "order" => Clause::Sorted,
            "where" | "having" | "window" | "limit" | "offset" | "fetch" | "for" => Clause::Condition,
            _ => return None,
        })
    }

    fn list(&mut self, starts: &mut Vec<usize>, end: usize, query: &Range<usize>, place: Place) {
        let ends = starts.iter().skip(1).map(|next| next - 1).chain([end]);
        if place == Place::Named {
            let items = starts.iter().zip(ends).map(|(start, end)| Item {
                tokens: *start..end,
                query: query.clone(),
                united: false,
            });
            self.items.extend(items);
        }
        starts.clear();
    }

    fn bracket(&mut self, open: usize, close: usize, clause: Clause, place: Place) -> Option<()> {
        let inner = open + 1..close;
        match clause {
            Clause::Start => self.query(inner, place),
            Clause::List | Clause::Sorted => self.value(inner),
            Clause::With | Clause::From if self.begins_query(&inner) => {
                // The word before a sub-select of FROM calls nothing.
                self.before(open, &["as", "materialized", "from", "join", "lateral"]).then_some(()).or_else(|| {
                    let before = self.tokens.get(open.checked_sub(1)?)?;
                    (before.kind == Kind::Comma).then_some(())
                })?;
                self.query(inner, Place::Named)
            }
            // A join in brackets. Behind a name they hold arguments, or give columns other names.
            Clause::With | Clause::From if !self.before(open, &["from", "join"]) => None,
            Clause::With | Clause::From | Clause::Joined | Clause::Condition => {
                self.mark(open..close + 1, Stands::Condition);
                Some(())
            }
        }
    }

    /// What stands in brackets, computed of rows that have passed: a sub-select, or an expression in which some may be.
    fn value(&mut self, inner: Range<usize>) -> Option<()> {
        if self.begins_query(&inner) {
            return self.query(inner, Place::Outermost);
        }
        let mut at = inner.start;
        while at < inner.end {
            if self.tokens.get(at)?.kind.nesting() == Nesting::Opens {
                let close = self.close(at).filter(|close| *close < inner.end)?;
                self.value(at + 1..close)?;
                at = close;
            }
            at += 1;
        }
        Some(())
    }

    fn are_loud(&self, quiet: &Quiet<'_>) -> bool {
        let loud = |at: usize| quiet.is_loud_at(at);
        let places = || (0..self.tokens.len()).zip(&self.stands);
        if places().any(|(at, stands)| *stands != Stands::Aside && loud(at)) {
            return true;
        }
        let mut names = Names::default();
        loop {
            let known = names.count;
            for item in &self.items {
                let carries = item.tokens.clone().any(|at| {
                    let used = self.tokens.get(at).is_some_and(|token| names.known.contains_key(token.name()));
                    // A row holds all columns of its relation.
                    let row = names.count > 0 && (self.is_row(at) || self.is_star(at));
                    loud(at) || used || row
                });
                if carries {
                    match self.called(item) {
                        Called::Name(name) => names.add(name, &item.query),
                        Called::AsItWas => {}
                        Called::Anything => names.add(ANYTHING, &item.query),
                    }
                }
            }
            if names.count == known {
                break;
            }
        }
        let condition = |at: usize| {
            let Some(token) = self.tokens.get(at) else { return true };
            let meant = names.may_mean(token.name(), at) || (self.may_name(at) && names.may_mean(ANYTHING, at));
            self.is_row(at) || self.is_star(at) || (token.is_name() && meant)
        };
        names.count > 0 && places().any(|(at, stands)| *stands == Stands::Condition && condition(at))
    }

    /// What a column is called, where the text says it; PostgreSQL has names of its own for many forms (`a::bigint` is `int8`).
    fn called(&self, item: &Item) -> Called<'a> {
        let Range { start, end } = item.tokens;
        let kind = |at: usize| self.tokens.get(at).map(|token| token.kind);
        let Some(last) = end.checked_sub(1).filter(|last| *last >= start && !item.united) else {
            return Called::Anything;
        };
        let Some(token) = self.tokens.get(last) else { return Called::Anything };
        let tokens = || item.tokens.clone();
        let dotted = |last: usize| {
            tokens().take_while(|at| *at <= last).all(|at| {
                let names = (at - start).is_multiple_of(2);
                if names { self.tokens.get(at).is_some_and(Token::is_name) } else { kind(at) == Some(Kind::Dot) }
            })
        };
        // A label, with AS or behind a bracket, where no word of the grammar stands without it.
        let labelled = last > start && token.is_name() && self.before(last, &["as"]);
        let is_plain =
            token.kind == Kind::Quoted || (token.kind == Kind::Word && keywords::category(token.name()).is_none());
        let bare = last > start && is_plain && kind(last - 1) == Some(Kind::Close);
        // A column, or a star, by itself.
        if labelled || bare || (token.is_name() && (last - start).is_multiple_of(2) && dotted(last)) {
            Called::Name(token.name())
        } else if self.is_star(last) && dotted(last - 2) || (last == start && token.is_operator("*")) {
            Called::AsItWas
        } else {
            Called::Anything
        }
    }
}

/// What a column of a sub-select is called.
enum Called<'a> {
    Name(&'a str),
    /// Columns under the names that they had.
    AsItWas,
    /// What the text does not say.
    Anything,
}

/// Stands for every name: it is none.
const ANYTHING: &str = "";

/// The tokens of the outermost select list; none where it holds a sub-select.
fn select_list(tokens: &[Token]) -> Range<usize> {
    let mut depth = 0_usize;
    let mut start = None;
    for (at, token) in tokens.iter().enumerate() {
        match token.kind.nesting() {
            Nesting::Opens => depth += 1,
            Nesting::Closes => depth = depth.saturating_sub(1),
            Nesting::Stays => {}
        }
        // Behind a dot it is a label.
        let word = |word: &str| token.is_word(word) && !is_label(tokens, at);
        match start {
            None if depth == 0 && ["update", "delete", "merge"].iter().any(|verb| word(verb)) => return 0..0,
            None if depth == 0 && word("select") => start = Some(at + 1),
            // A set operation has conditions in front of its second list; that one is judged like any other text.
            Some(start) if depth == 0 && word("from") => return start..at,
            Some(_) if word("select") => return 0..0,
            Some(_) | None => {}
        }
    }
    0..0
}

/// What is computed of rows that have passed the condition of the statement: `list`, and of an UPDATE or DELETE what it assigns and returns, where
/// no sub-select stands in it.
fn behind_condition(tokens: &[Token], bound: &Bound, list: Range<usize>) -> Vec<Range<usize>> {
    let verb = |word: &str| tokens.first().is_some_and(|token| token.is_word(word));
    let queries = |range: &Range<usize>| {
        let words = ["select", "table", "values", "with"];
        let own = tokens.get(range.clone()).unwrap_or(&[]);
        own.iter().any(|token| words.iter().any(|word| token.is_word(word)))
    };
    let mut aside = vec![list];
    if verb("update") {
        aside.extend(bound.assigned.iter().filter(|assigned| assigned.update).filter_map(|one| one.value.clone()));
    }
    if verb("update") || verb("delete") {
        aside.push(returning(tokens));
    }
    aside.retain(|range| !queries(range));
    aside
}

/// What stands behind RETURNING.
fn returning(tokens: &[Token]) -> Range<usize> {
    let mut depth = 0_usize;
    let found = tokens.iter().enumerate().find(|(at, token)| {
        match token.kind.nesting() {
            Nesting::Opens => depth += 1,
            Nesting::Closes => depth = depth.saturating_sub(1),
            Nesting::Stays => {}
        }
        depth == 0 && token.is_word("returning") && !is_label(tokens, *at)
    });
    found.map_or(0..0, |(at, _)| at + 1..tokens.len())
}
