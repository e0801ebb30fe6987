//! Syntax of PostgreSQL that the parser does not know, and how the parser is shown it.
//!
//! In: the tokens of one statement. Out: [`Gaps`]: tokens that are kept from the parser, and tokens that it is shown in
//! their stead. Nothing is changed in what is printed: PostgreSQL gets the client's tokens. Invariants: whatever is kept
//! from the parser either names nothing of the database (labels of XML, words of the grammar), or stands in the tree as
//! the name [`GAP`] with the number of its first token; [`crate::bind`] accepts that name only where it binds the tokens
//! that it stands for, and a name token that nobody accounts for refuses the statement.
//!
//! | written | the parser sees |
//! |---|---|
//! | `ON CONFLICT (lower(a) COLLATE b) WHERE c DO …` | `ON CONFLICT (GAP) DO …` |
//! | `SELECT a ON CONFLICT …` | `SELECT a WHERE TRUE ON CONFLICT …` |
//! | `WHERE CURRENT OF c` | `WHERE GAP` |
//! | `SET a[1] = …`, `INSERT INTO t (a[1])` | `SET a.GAP = …` |
//! | `RETURNING WITH (OLD AS o) a` | `RETURNING GAP, a` |
//! | `FROM ROWS FROM (f(), g())` | `FROM GAP(f(), g())` |
//! | `FROM a JOIN b CROSS JOIN c ON d` | `FROM a JOIN (b CROSS JOIN c) ON d` |
//! | `FROM f() AS (a int, b text)` | `FROM f() AS GAP (a int, b text)` |
//! | `WITH RECURSIVE … ) SEARCH … CYCLE …` | `WITH RECURSIVE … )` |
//! | `RANGE '1 day'::interval PRECEDING` | `RANGE ('1 day'::interval) PRECEDING` |
//! | `(expression).*` | `(expression)::GAP` |
//! | `COLLATION FOR (a)` | `GAP (a)` |
//! | `FETCH FIRST (a) ROWS`, `REPEATABLE (a)` | `FETCH FIRST 0 ROWS`, `REPEATABLE (0)` |
//! | `c.*::text`, `c.* = d.*` | `(c.*)::text`, `(c.*) = (d.*)` |
//! | `GROUP BY DISTINCT a`, `GROUP BY ALL a` | `GROUP BY a` |
//! | `GROUPING SETS (a, GROUPING SETS (b, ()))` | `GROUPING SETS (a, b, ())` |
//! | `a = ANY (VALUES (1), (b))` | `a = ANY (SELECT 1 UNION ALL SELECT b)` |
//! | `ROLLUP ((a)::date, (SELECT 1))` | `ROLLUP (((a)::date), ((SELECT 1)))` |
//! | `SELECT interval FROM t`, `SELECT top FROM t` | `SELECT "interval" FROM t`, `SELECT "top" FROM t` |
//! | SQL/JSON | see [`super::gaps_json`] |
//! | `MERGE INTO t USING a JOIN b ON c ON d` | `MERGE INTO t USING (a JOIN b ON c) ON d` |
//! | `THEN INSERT DEFAULT VALUES`, `THEN INSERT … OVERRIDING …` | `THEN INSERT VALUES (DEFAULT)`, `THEN INSERT …` |
//! | `substring(a SIMILAR b ESCAPE c)`, `normalize(a, NFC)` | `substring(a, b, c)`, `normalize(a)` |
//! | `xmlelement(NAME x, …)`, `xmlforest(a AS x)` and others of XML | the same without their words and labels |
//! | `a IS DOCUMENT` | `a IS NULL` |
//! | `a @> ANY (b)`, `a OPERATOR(s.=) ANY (b)` | `a = ANY (b)` |
//! | `a AT LOCAL` | `a AT TIME ZONE ''` |
//! | `a ISNULL`, `a NOTNULL` | `a IS NULL`, `a IS NOT NULL` |
//! | `!! a`, `@-@ a` and other prefix operators | `@ a` |
//! | `((SELECT a) UNION SELECT b)`, `((SELECT a) LIMIT 1)` | `(SELECT a UNION SELECT b)`, `(SELECT a LIMIT 1)` |

use std::{collections::BTreeMap, ops::Range};

use super::{
    Kind, Nesting, Token,
    gaps_from::{defines_columns, joins_crossed, rows_from, values_of_any},
    gaps_grouping, gaps_json, gaps_names,
    gaps_writes::{assignments, ends_list, inserted, merge_insert, merge_source},
    gaps_xml,
    keywords::{Category, category},
    parse::knows_operator,
};

pub use super::gaps_json::json_columns;
pub use super::gaps_writes::{ConflictTarget, ReturningVersions, conflict_target, current_of, returning_versions};

/// The name that stands for tokens which the parser does not see. A client's quoted identifier of this value is a
/// token of this value, which the token that a gap begins with never is.
pub const GAP: &str = "\u{1}";

/// What the parser sees otherwise than it is written.
#[derive(Debug, Default)]
pub struct Gaps {
    steps: BTreeMap<usize, Step>,
    /// Tokens that name nothing of the database.
    pub labels: Vec<usize>,
}

/// What happens at one token.
#[derive(Debug, Default)]
pub struct Step {
    /// What the parser sees before it.
    pub shown: Vec<(Kind, &'static str)>,
    /// How many tokens from it on the parser does not see.
    pub dropped: usize,
}

impl Gaps {
    /// Whether the parser sees the tokens as they are.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What happens at token `index`.
    pub fn at(&self, index: usize) -> Option<&Step> {
        self.steps.get(&index)
    }

    /// The parser sees `shown` in the place of `tokens`.
    pub(super) fn replace(&mut self, tokens: Range<usize>, shown: &[(Kind, &'static str)]) {
        let step = self.steps.entry(tokens.start).or_default();
        step.shown.extend(shown);
        step.dropped = step.dropped.max(tokens.len());
    }

    pub(super) fn drop(&mut self, tokens: Range<usize>) {
        self.replace(tokens, &[]);
    }

    pub(super) fn brackets(&mut self, tokens: Range<usize>) {
        self.replace(tokens.start..tokens.start, &[(Kind::Open, "(")]);
        self.replace(tokens.end..tokens.end, &[(Kind::Close, ")")]);
    }
}

pub(super) const WORD: Kind = Kind::Word;
pub(super) const COMMA: (Kind, &str) = (Kind::Comma, ",");

/// Finds what the parser would not understand.
pub fn find(tokens: &[Token]) -> Gaps {
    let mut gaps = Gaps::default();
    let (mut assigned, mut merged) = (0, 0);
    for (at, token) in tokens.iter().enumerate() {
        // Behind a dot every word is a name.
        let after_dot = at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|t| t.kind == Kind::Dot);
        if token.kind == Kind::Dot {
            star(tokens, at, &mut gaps);
            if fields_of(tokens, at) {
                gaps.replace(at..at + 2, &[(Kind::Typecast, "::"), (WORD, GAP)]);
            }
        }
        if token.kind == Kind::Operator && !after_dot {
            if compares_array(tokens, at) {
                gaps.replace(at..at + 1, &[(Kind::Operator, "=")]);
            } else if !knows_operator(&token.value) && stands_before(tokens, at) {
                gaps.replace(at..at + 1, &[(Kind::Operator, "@")]);
            }
        }
        if token.kind == Kind::Open
            && let Some(close) = first_operand(tokens, at + 1)
        {
            // `(((SELECT a)) UNION SELECT b)`
            let deeper = (0..).map_while(|more| {
                let (open, close) = (at + 1 + more, close.checked_sub(more)?);
                (more == 0 || is_bracketed(tokens, open, close)).then_some([open, close])
            });
            for bracket in deeper.flatten() {
                gaps.drop(bracket..bracket + 1);
            }
        }
        if token.kind != Kind::Word || after_dot {
            continue;
        }
        match &*token.value {
            "on" => {
                if ends_list(tokens, at) {
                    gaps.replace(at..at, &[(WORD, "where"), (WORD, "true")]);
                }
                if let Some(target) = conflict_target(tokens, at + 2).filter(|target| !target.plain) {
                    let shown = [(Kind::Open, "("), (WORD, GAP), (Kind::Close, ")")];
                    gaps.replace(target.whole, &shown);
                }
            }
            "operator" => {
                if let Some(behind) = qualified_before_array(tokens, at) {
                    gaps.replace(at..behind, &[(Kind::Operator, "=")]);
                }
            }
            "where" if current_of(tokens, at + 1).is_some() => gaps.replace(at + 1..at + 4, &[(WORD, GAP)]),
            // SET lists do not nest, and are read once.
            "set" if at >= assigned => assigned = assignments(tokens, at + 1, &mut gaps),
            "merge" if at >= merged && word(tokens, at + 1, "into") => merged = merge_source(tokens, at + 2, &mut gaps),
            "insert" if word(tokens, at + 1, "into") => inserted(tokens, at + 2, &mut gaps),
            "insert" if at.checked_sub(1).is_some_and(|then| word(tokens, then, "then")) => {
                merge_insert(tokens, at + 1, &mut gaps);
            }
            "local" if at_local(tokens, at) => {
                gaps.replace(at..at + 1, &[(WORD, "time"), (WORD, "zone"), (Kind::Text, "")]);
            }
            "isnull" | "notnull" if ends_expression(tokens, at) => {
                let not = &*token.value == "notnull";
                let shown = [(WORD, "is"), (WORD, "not"), (WORD, "null")];
                gaps.replace(at..at + 1, if not { &shown } else { &[(WORD, "is"), (WORD, "null")] });
            }
            "returning" => {
                if let Some(versions) = returning_versions(tokens, at + 1) {
                    gaps.replace(versions.tokens, &[(WORD, GAP), COMMA]);
                }
            }
            "collation" if word(tokens, at + 1, "for") && kind(tokens, at + 2) == Some(Kind::Open) => {
                gaps.replace(at..at + 2, &[(WORD, GAP)]);
            }
            "fetch" => {
                if let Some(count) = fetched(tokens, at) {
                    gaps.replace(count, &[(Kind::Number, "0")]);
                }
            }
            // The binder reads what stands in the brackets.
            "repeatable" if sampled(tokens, at) => {
                let close = level_end(tokens, at + 2, |_| false);
                if close > at + 3 {
                    gaps.replace(at + 2..close, &[(Kind::Number, "0")]);
                }
            }
            "as" if defines_columns(tokens, at) => gaps.replace(at + 1..at + 1, &[(WORD, GAP)]),
            "join" => joins_crossed(tokens, at, &mut gaps),
            "rows" if rows_from(tokens, at) => gaps.replace(at..at + 2, &[(WORD, GAP)]),
            "search" | "cycle" if at > 0 && kind(tokens, at - 1) == Some(Kind::Close) => {
                // A CYCLE behind a SEARCH is in its range.
                if let Some(clauses) = recursion(tokens, at) {
                    gaps.drop(clauses.tokens);
                }
            }
            "rows" | "range" | "groups" => frame(tokens, at, &mut gaps),
            "group"
                if word(tokens, at + 1, "by") && (word(tokens, at + 2, "distinct") || word(tokens, at + 2, "all")) =>
            {
                gaps.drop(at + 2..at + 3);
            }
            "any" | "all" | "some" => values_of_any(tokens, at, &mut gaps),
            "substring" => similar(tokens, at, &mut gaps),
            "normalize" if is_call(tokens, at) => normal_form(tokens, at, &mut gaps),
            "grouping" | "rollup" | "cube" => gaps_grouping::find(tokens, at, &mut gaps),
            other => {
                gaps_json::find(other, tokens, at, &mut gaps);
                gaps_names::find(other, tokens, at, &mut gaps);
                gaps_xml::find(other, tokens, at, &mut gaps);
            }
        }
    }
    gaps
}

/// Whether the word at `at` stands in `expression AT LOCAL`, and is no alias of a table called `at`.
fn at_local(tokens: &[Token], at: usize) -> bool {
    let is_at = at.checked_sub(1).is_some_and(|before| word(tokens, before, "at"));
    let table = ["from", "join", "into", "update", "using", "only", "as"];
    let before = at.checked_sub(2).and_then(|before| tokens.get(before));
    let named = before.is_none_or(|before| {
        matches!(before.kind, Kind::Comma | Kind::Dot) || table.iter().any(|name| before.is_word(name))
    });
    is_at && !named && ends_expression(tokens, at - 1)
}

/// Whether an expression ends before `at`, and no call or label begins there.
fn ends_expression(tokens: &[Token], at: usize) -> bool {
    let ended = at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|before| {
        before.is_literal()
            || matches!(before.kind, Kind::Parameter | Kind::Close | Kind::CloseBracket | Kind::Quoted)
            || (before.kind == WORD && category(&before.value) != Some(Category::Reserved))
    });
    ended && kind(tokens, at + 1) != Some(Kind::Open)
}

/// Whether the operator at `at` has no left operand, for nothing before it ends one, and has a right one. Which operator it is does not
/// matter to the tree: operators are judged by their tokens.
fn stands_before(tokens: &[Token], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| tokens.get(before));
    let begins = operand_follows(tokens, at)
        || before.is_some_and(|before| matches!(before.kind, Kind::Assign | Kind::Arrow) || before.is_word("by"));
    // `OPERATOR(@-@)` names one.
    begins && !matches!(kind(tokens, at + 1), None | Some(Kind::Close | Kind::Comma | Kind::Semicolon))
}

/// Where the bracket at `open` closes, if it stands around the first operand of a set operation, or around a query that has ORDER BY or LIMIT
/// behind the bracket, and is not needed: the query in it has neither. The parser knows no such bracket at the beginning of an
/// expression. How INTERSECT binds is of no consequence: each column of the result depends on that of every operand.
fn first_operand(tokens: &[Token], open: usize) -> Option<usize> {
    (kind(tokens, open) == Some(Kind::Open)).then_some(())?;
    let first = tokens.get(open + 1..)?.iter().find(|token| token.kind != Kind::Open)?;
    first.is_word("select").then_some(())?;
    let any = |index: usize, words: &[&str]| words.iter().any(|name| word(tokens, index, name));
    let close = level_end(tokens, open + 1, |index| any(index, &["order", "limit", "offset", "fetch", "for", "into"]));
    let goes_on = any(close + 1, &["union", "intersect", "except", "order", "limit", "offset", "fetch"]);
    (goes_on && kind(tokens, close) == Some(Kind::Close)).then_some(close)
}

/// Whether these are brackets that belong together.
fn is_bracketed(tokens: &[Token], open: usize, close: usize) -> bool {
    kind(tokens, open) == Some(Kind::Open)
        && kind(tokens, close) == Some(Kind::Close)
        && level_end(tokens, open + 1, |_| false) == close
}

/// Operators that the parser knows before ANY and ALL.
const BEFORE_ANY: &[&str] =
    &["=", "<>", "!=", "<", ">", "<=", ">=", "~", "~*", "!~", "!~*", "~~", "~~*", "!~~", "!~~*"];

/// Whether the operator at `at` stands before `ANY (` or `ALL (`, where the parser knows some only.
fn compares_array(tokens: &[Token], at: usize) -> bool {
    let array = ["any", "all", "some"].iter().any(|name| word(tokens, at + 1, name));
    array
        && kind(tokens, at + 2) == Some(Kind::Open)
        && tokens.get(at).is_some_and(|token| !BEFORE_ANY.contains(&token.name()))
}

/// The token behind `OPERATOR(schema.op)` before `ANY (` or `ALL (`, where the parser knows bare operators only.
fn qualified_before_array(tokens: &[Token], at: usize) -> Option<usize> {
    let is = |at: usize, wanted: Kind| (kind(tokens, at) == Some(wanted)).then_some(());
    is(at + 1, Kind::Open)?;
    tokens.get(at + 2).filter(|schema| schema.is_name())?;
    is(at + 3, Kind::Dot)?;
    is(at + 4, Kind::Operator)?;
    is(at + 5, Kind::Close)?;
    ["any", "all", "some"].iter().find(|name| word(tokens, at + 6, name))?;
    is(at + 7, Kind::Open)?;
    Some(at + 6)
}

/// Whether the word at `at` is surely a call, and no alias with a list of columns: `FROM (…) AS normalize(a, nfc)` names
/// columns, which may not be kept from the parser.
pub(super) fn is_call(tokens: &[Token], at: usize) -> bool {
    if kind(tokens, at + 1) != Some(Kind::Open) {
        return false;
    }
    let before = |back: usize| at.checked_sub(back).and_then(|index| tokens.get(index));
    let before_is = |back: usize, name: &str| before(back).is_some_and(|token| token.is_word(name));
    let by = before_is(1, "by") && (before_is(2, "group") || before_is(2, "order"));
    // XMLTABLE('path' PASSING …)
    let passing = before_is(1, "passing") && before(2).is_some_and(|two| two.kind == Kind::Text);
    let xml = (before_is(1, "content") || before_is(1, "document"))
        && before(2).is_some_and(|two| two.kind == Kind::Open)
        && (before_is(3, "xmlserialize") || before_is(3, "xmlparse"));
    let begins = operand_follows(tokens, at) || by || passing || xml;
    // A query of WITH: `, normalize(a, nfc) AS (…)`.
    let close = level_end(tokens, at + 2, |_| false);
    let query = word(tokens, close + 1, "as")
        && (kind(tokens, close + 2) == Some(Kind::Open)
            || word(tokens, close + 2, "materialized")
            || word(tokens, close + 2, "not"));
    begins && !query
}

/// Whether what stands before `at` ends no expression and no item of FROM, so that an operand begins there.
fn operand_follows(tokens: &[Token], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|index| tokens.get(index));
    before(1).is_some_and(|token| match token.kind {
        Kind::Open | Kind::Comma | Kind::OpenBracket => true,
        // `FROM t *` may have an alias, and of `c.* = d.*` the star is no operator.
        Kind::Operator => !token.is_operator("*"),
        // Behind a dot every word is a name.
        Kind::Word => {
            let is = |back: usize, word: &str| before(back).is_some_and(|token| token.is_word(word));
            let distinct = is(1, "from") && is(2, "distinct") && (is(3, "is") || (is(3, "not") && is(4, "is")));
            let follows = EXPRESSION_FOLLOWS.contains(&&*token.value);
            distinct || (follows && before(2).is_none_or(|two| two.kind != Kind::Dot))
        }
        Kind::Quoted
        | Kind::Text
        | Kind::National
        | Kind::Bits
        | Kind::Hex
        | Kind::Number
        | Kind::Parameter
        | Kind::Close
        | Kind::CloseBracket
        | Kind::Semicolon
        | Kind::Dot
        | Kind::Colon
        | Kind::Typecast
        | Kind::Assign
        | Kind::Arrow => false,
    })
}

/// Reserved words, with which no item of FROM can end.
const EXPRESSION_FOLLOWS: &[&str] =
    &["select", "distinct", "where", "and", "or", "not", "on", "case", "when", "then", "else", "having", "returning"];

/// What stands behind a query of WITH RECURSIVE.
#[derive(Debug)]
pub struct Recursion {
    /// All of it.
    pub tokens: Range<usize>,
    /// Columns of the query that are named.
    pub columns: Vec<usize>,
    /// Names of columns that are added.
    pub added: Vec<usize>,
}

/// `SEARCH DEPTH|BREADTH FIRST BY a, … SET b` and `CYCLE a, … SET b [TO x DEFAULT y] USING c`, the first of which begins at
/// `start`.
pub fn recursion(tokens: &[Token], start: usize) -> Option<Recursion> {
    let mut found = Recursion { tokens: start..start, columns: Vec::new(), added: Vec::new() };
    let mut at = start;
    if word(tokens, at, "search") {
        let order = word(tokens, at + 1, "depth") || word(tokens, at + 1, "breadth");
        if !(order && word(tokens, at + 2, "first") && word(tokens, at + 3, "by")) {
            return None;
        }
        at = columns_set(tokens, at + 4, &mut found)?;
    }
    if word(tokens, at, "cycle") {
        at = columns_set(tokens, at + 1, &mut found)?;
        if word(tokens, at, "to") {
            let constant = |at: usize| {
                let truth = word(tokens, at, "true") || word(tokens, at, "false");
                truth || tokens.get(at).is_some_and(Token::is_literal)
            };
            if !(constant(at + 1) && word(tokens, at + 2, "default") && constant(at + 3)) {
                return None;
            }
            at += 4;
        }
        if !(word(tokens, at, "using") && tokens.get(at + 1).is_some_and(Token::is_name)) {
            return None;
        }
        found.added.push(at + 1);
        at += 2;
    }
    found.tokens = start..at;
    (at > start).then_some(found)
}

/// `a, … SET b`: the token after it.
fn columns_set(tokens: &[Token], mut at: usize, found: &mut Recursion) -> Option<usize> {
    loop {
        tokens.get(at).filter(|token| token.is_name())?;
        found.columns.push(at);
        if kind(tokens, at + 1) != Some(Kind::Comma) {
            break;
        }
        at += 2;
    }
    tokens.get(at + 2).filter(|token| token.is_name())?;
    if !word(tokens, at + 1, "set") {
        return None;
    }
    found.added.push(at + 2);
    Some(at + 3)
}

/// The longest bound of a window frame that is looked at, in tokens.
const MAX_BOUND: usize = 64;

/// Bounds of a window frame that begin with a string but are more than that.
fn frame(tokens: &[Token], at: usize, gaps: &mut Gaps) {
    let mut start = at + if word(tokens, at + 1, "between") { 2 } else { 1 };
    let tokens = tokens.get(..tokens.len().min(at + MAX_BOUND)).unwrap_or(&[]);
    loop {
        let end = level_end(tokens, start, |index| {
            word(tokens, index, "preceding") || word(tokens, index, "following") || word(tokens, index, "row")
        });
        if word(tokens, end, "preceding") || word(tokens, end, "following") {
            if kind(tokens, start) == Some(Kind::Text) && end > start + 1 {
                gaps.brackets(start..end);
            }
        } else if !word(tokens, end, "row") {
            return;
        }
        if !word(tokens, end + 1, "and") {
            return;
        }
        start = end + 2;
    }
}

/// `c.*` that is a part of an expression.
fn star(tokens: &[Token], dot: usize, gaps: &mut Gaps) {
    let Some(name) = dot.checked_sub(1).filter(|name| tokens.get(*name).is_some_and(Token::is_name)) else { return };
    if !tokens.get(dot + 1).is_some_and(|token| token.is_operator("*")) {
        return;
    }
    let mut start = name;
    while start >= 2 && kind(tokens, start - 1) == Some(Kind::Dot) && tokens.get(start - 2).is_some_and(Token::is_name)
    {
        start -= 2;
    }
    let follows = tokens.get(dot + 2).is_some_and(|token| match token.kind {
        Kind::Operator | Kind::Typecast => true,
        Kind::Word => matches!(&*token.value, "is" | "isnull" | "notnull" | "in" | "not" | "between"),
        Kind::Quoted
        | Kind::Text
        | Kind::National
        | Kind::Bits
        | Kind::Hex
        | Kind::Number
        | Kind::Parameter
        | Kind::Open
        | Kind::Close
        | Kind::OpenBracket
        | Kind::CloseBracket
        | Kind::Comma
        | Kind::Semicolon
        | Kind::Dot
        | Kind::Colon
        | Kind::Assign
        | Kind::Arrow => false,
    });
    let before = start.checked_sub(1).and_then(|before| tokens.get(before));
    let operand = before.is_some_and(|token| {
        token.kind == Kind::Operator || ["and", "or", "between"].iter().any(|word| token.is_word(word))
    });
    if follows || operand {
        gaps.brackets(start..dot + 2);
    }
}

/// `(expression).*`, whose star follows the dot: all fields of a row.
fn fields_of(tokens: &[Token], dot: usize) -> bool {
    let Some(close) = dot.checked_sub(1).filter(|close| kind(tokens, *close) == Some(Kind::Close)) else {
        return false;
    };
    if !tokens.get(dot + 1).is_some_and(|token| token.is_operator("*")) {
        return false;
    }
    let mut depth = 0_usize;
    for (at, token) in tokens.get(..close).unwrap_or(&[]).iter().enumerate().rev() {
        match token.kind.nesting() {
            Nesting::Closes => depth += 1,
            // A name before the bracket would make it a call.
            Nesting::Opens if depth == 0 => return !at.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(names),
            Nesting::Opens => depth -= 1,
            Nesting::Stays => {}
        }
    }
    false
}

/// `TABLESAMPLE method (…) REPEATABLE (`, and no other use of that word.
fn sampled(tokens: &[Token], at: usize) -> bool {
    let behind = at.checked_sub(1).is_some_and(|before| kind(tokens, before) == Some(Kind::Close));
    let near = (at.saturating_sub(12)..at).any(|before| word(tokens, before, "tablesample"));
    behind && near && kind(tokens, at + 1) == Some(Kind::Open)
}

/// The bracket of `FETCH FIRST (expression) ROWS` that opens at `open`: its tokens.
fn fetched(tokens: &[Token], at: usize) -> Option<Range<usize>> {
    let open = at + 2;
    let first = word(tokens, at + 1, "first") || word(tokens, at + 1, "next");
    if !first || kind(tokens, open) != Some(Kind::Open) {
        return None;
    }
    let close = level_end(tokens, open + 1, |_| false);
    (word(tokens, close + 1, "row") || word(tokens, close + 1, "rows")).then_some(open..close + 1)
}

/// `substring(a SIMILAR b ESCAPE c)`
fn similar(tokens: &[Token], at: usize, gaps: &mut Gaps) {
    if kind(tokens, at + 1) != Some(Kind::Open) {
        return;
    }
    let similar = level_end(tokens, at + 2, |index| word(tokens, index, "similar") && !word(tokens, index + 1, "to"));
    let escape = level_end(tokens, similar + 1, |index| word(tokens, index, "escape"));
    if word(tokens, similar, "similar") && word(tokens, escape, "escape") {
        gaps.replace(similar..similar + 1, &[COMMA]);
        gaps.replace(escape..escape + 1, &[COMMA]);
    }
}

/// `normalize(a, NFC)`
fn normal_form(tokens: &[Token], at: usize, gaps: &mut Gaps) {
    if kind(tokens, at + 1) != Some(Kind::Open) {
        return;
    }
    let comma = level_end(tokens, at + 2, |index| kind(tokens, index) == Some(Kind::Comma));
    let form = ["nfc", "nfd", "nfkc", "nfkd"].iter().any(|form| word(tokens, comma + 1, form));
    if form && kind(tokens, comma + 2) == Some(Kind::Close) {
        gaps.drop(comma..comma + 2);
    }
}

/// From `start` on, the first token outside inner brackets that `ends` picks; else the bracket that closes the level, or the
/// end.
pub(super) fn level_end(tokens: &[Token], start: usize, ends: impl Fn(usize) -> bool) -> usize {
    let mut depth = 0_usize;
    let mut index = start;
    while let Some(token) = tokens.get(index) {
        match token.kind.nesting() {
            Nesting::Opens => depth += 1,
            Nesting::Closes if depth == 0 => break,
            Nesting::Closes => depth -= 1,
            Nesting::Stays if depth == 0 && ends(index) => break,
            Nesting::Stays => {}
        }
        index += 1;
    }
    index
}

pub(super) fn word(tokens: &[Token], at: usize, word: &str) -> bool {
    tokens.get(at).is_some_and(|token| token.is_word(word))
}

pub(super) fn kind(tokens: &[Token], at: usize) -> Option<Kind> {
    tokens.get(at).map(|token| token.kind)
}

/// Whether a token can be a column's name where a query could also begin.
pub(super) fn names(token: &Token) -> bool {
    token.kind == Kind::Quoted
        || (token.kind == WORD && category(&token.value) != Some(Category::Reserved)) && !token.is_word("values")
}
