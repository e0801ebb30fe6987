//! Verification without a second parse: the printed text is read with PostgreSQL's eyes, token by token, and every token
//! must be the client's own or one that we may put in its place.
//!
//! What is recognised:
//!
//! - the client's tokens, in order and complete;
//! - in the place of a protected source, a derived table `(SELECT items FROM [ONLY] schema.table [AS row] [WHERE scope
//!   [OFFSET 0]]) [AS alias]` whose items are known ones of that table, each once, in the table's order, and whose scope is
//!   the one of the policy. An item is known after it was parsed and bound on its own: one output of the column's name,
//!   computed from that column of that table alone, without parameters; or such a one behind the gate of the policy, with
//!   NULL where that is closed;
//! - in the place of a protected source that stays a table ([`Job::is_inline`]), its name with its schema; in the place of
//!   each reference to a hidden column of it the mask of that column, which is a known item of it, in brackets, or the reference
//!   itself in a comparison that the rules permit; in the place of a star over it all columns, masked likewise; and
//!   behind an item the name that it had from such a column;
//! - in the place of a protected target, its name with its schema; in the place of each reference to a hidden column of it, and of a
//!   star over it, the same as for a source that stays a table;
//! - around a value that is assigned to a hidden column the guard against writing masks back, and to a column that decides what
//!   the role sees the one that keeps its value ([`super::guard`]), in which the value is the client's own;
//! - in the place of a name of another relation, the name with its schema;
//! - in the place of `schema.table.column`, `alias.column`.
//!
//! All else is not recognised, which is no verdict: the whole text is then parsed and bound again ([`super::verify`]).
//!
//! Why that is sound, though the rewriter is not trusted:
//!
//! - *What stays a table is read through masks alone.* Its references are those that the binder found in the client's text, each
//!   of them, and every other use of a row or column of it makes it a derived table.
//! - *No other protected relation is named outside a derived table.* The name of a relation is a token of its own in every text
//!   that PostgreSQL reads, and it is the last of its dotted parts. So outside derived tables no name token may equal the
//!   name of any protected relation of the role, in whichever schema, unless a dot follows (it qualifies something), or it
//!   is qualified by a schema in which that name is not protected, or it is the alias right behind a derived table, where
//!   the grammar has no place for a relation. This looks at more than the binder does and takes nothing from it.
//! - *The structure is the client's.* A derived table is a balanced bracket that stands where a table's name stood; no
//!   other bracket, keyword or operator differs from what was parsed, bound and judged. There are no comments and no
//!   semicolons, so parts that lex on their own lex the same side by side: what is before a derived table ends before its
//!   bracket, and what follows begins with a byte that is part of no word.
//! - *Outputs keep names and number.* Select lists are the client's tokens, or columns in brackets with their names; where a star or a whole row is read, the derived
//!   table must have every column of the table in its order.
//! - *Parameters* are tokens like others; known items have none.
//! - *Write targets* that are protected stay tables, and are read as sources that do. What ON CONFLICT names is never read.

use std::ops::Range;

use super::{
    guard::{Guarded, captures},
    pipeline::Run,
};
use crate::{
    bind::{Clause, Item, Reference, RelationUse, Role, Star, bind_own},
    catalog::Relation,
    names::quote_ident,
    policy::{
        RelationPolicy, Search, Treatment,
        compiled::{Row, withheld},
    },
    rewrite::{
        AddedScope, Job, Printed, ROW_ALIAS, Trusted, added_scope, derived_from, derived_item, masked_star, protected,
        qualified, restored_name, returned_star, row_of, scope_clause, searched, shows_target, strip_seen, treatment,
        updates_on_conflict,
    },
    sql::{
        Kind, Nesting, Reads, Token, emit,
        keywords::{Category, category},
        lex::{Lexeme, Lexer, lex},
        parse,
    },
};

/// Whether the printed statement is recognised as the client's, with masks in the place of protected relations.
pub(super) fn recognises(printed: &Printed, job: &Job<'_>, run: &Run<'_>) -> bool {
    recognise(printed, job, run).is_some()
}

fn recognise(printed: &Printed, job: &Job<'_>, run: &Run<'_>) -> Option<()> {
    let (client, bound) = (job.tokens, job.bound);
    let mut names: Vec<(usize, Name<'_>)> = Vec::with_capacity(bound.relations.len());
    let mut added = Vec::new();
    let mut left: i64 = 0;
    let mut tables = Vec::new();
    for (id, used) in bound.relations.iter().enumerate() {
        if let Some(policy) = protected(run.role, used) {
            if used.role == Role::Source && !job.is_inline(id) {
                left += 1;
                continue;
            }
            if used.role != Role::Source && !is_plain_target(used, policy) {
                return None;
            }
            match (used.role, &policy.scope) {
                // Nothing of the rows that are there is read where rows are inserted.
                (Role::Insert, Some(_)) if !updates_on_conflict(bound, id) => {}
                (Role::Update | Role::Delete | Role::Insert, Some(scope)) => {
                    let captured = scope.sql.captures().iter().any(|name| **name == *used.alias);
                    match added_scope(job, used, scope).filter(|_| !captured)? {
                        AddedScope::Around { condition, open, close } => {
                            added.extend([(condition.start, open), (condition.end, close.to_owned())]);
                        }
                        AddedScope::Where { at, text } => added.push((at, text)),
                    }
                }
                (Role::Merge, Some(_)) => return None,
                (Role::Source, Some(_)) | (_, None) => {}
            }
            tables.push(used.name.clone());
        }
        names.push((used.name.start, Name::Relation(used)));
    }
    for reference in &bound.references {
        let used = bound.relations.get(reference.relation)?;
        if masked(job, reference).is_some() {
            // A comparison with the stored value stands in brackets.
            left += if compared(job, reference).is_some() { 3 } else { 1 };
        } else if reference.schema_qualified {
            names.push((reference.tokens.start, Name::Column(used, reference.tokens.clone())));
        }
    }
    left += i64::try_from(bound.stars.iter().filter(|star| is_expanded(job, star)).count()).ok()?;
    left +=
        i64::try_from(bound.assigned.iter().filter(|assigned| Guarded::of(job, assigned).is_some()).count()).ok()?;
    names.sort_unstable_by_key(|(start, _)| *start);
    tables.sort_unstable_by_key(|table: &Range<usize>| table.start);
    let mut reader = Reader { client, names, tables, run, at: 0, before: Before::default() };
    left += i64::try_from(added.len()).ok()?;
    let mut ours = ours(job);
    ours.extend(added.iter().map(|(at, text)| (*at, Ours::Inserted(text))));
    ours.sort_by_key(|(start, _)| *start);
    let mut from = 0;
    for Trusted { bytes, tokens } in &printed.trusted {
        reader.read(printed.text.get(from..bytes.start)?)?;
        let own = printed.text.get(bytes.clone())?;
        let byte = |at: Option<usize>| at.and_then(|at| printed.text.as_bytes().get(at));
        let begins = matches!(byte(bytes.start.checked_sub(1)), None | Some(b' ' | b'('));
        // A bracket is a token of its own, whatever follows.
        let ends = own.ends_with('(') || matches!(byte(Some(bytes.end)), None | Some(b' ' | b',' | b')' | b'[' | b':'));
        if reader.at != tokens.start || !begins || !ends {
            return None;
        }
        let first = ours.partition_point(|(start, _)| *start < tokens.start);
        let mut candidates = ours.get(first..)?.iter().take_while(|(start, _)| *start == tokens.start);
        let Known { counts, derived, inside } = candidates.find_map(|(_, one)| trusted(job, *one, own, tokens, run))?;
        left -= i64::from(counts);
        if let Some(inside) = inside {
            reader.before = Before::default();
            reader.read(inside)?;
            (reader.at == tokens.end).then_some(())?;
        }
        reader.before = Before { derived, ..Before::default() };
        reader.at = tokens.end;
        from = bytes.end;
    }
    reader.read(printed.text.get(from..)?)?;
    (reader.at == client.len() && left == 0).then_some(())
}

/// What may be replaced by text of ours, or where a name may stand again.
#[derive(Clone, Copy)]
enum Ours<'a> {
    Inserted(&'a str),
    Name(&'a Item),
    Masked(&'a Reference),
    Star(&'a Star),
    Relation(&'a RelationUse),
    Guard(Guarded<'a>),
}

/// What is known of a text of ours.
#[derive(Default)]
struct Known<'a> {
    /// It is one of those that must be there.
    counts: bool,
    /// An alias may follow.
    derived: bool,
    /// A part of it that is the client's, and is yet to be read.
    inside: Option<&'a str>,
}

/// Whether a protected target is one of which nothing is read but by references and stars of RETURNING.
fn is_plain_target(used: &RelationUse, policy: &RelationPolicy) -> bool {
    policy.refuse.is_none() && used.whole_row.is_none() && !used.entangled && used.marks.iter().all(|mark| !mark.merged)
}

/// Whether all columns must stand in the place of a star.
fn is_expanded(job: &Job<'_>, star: &Star) -> bool {
    job.hides(star) || shows_target(job, star)
}

/// Those of the client's statement, with their first tokens.
fn ours<'a>(job: &Job<'a>) -> Vec<(usize, Ours<'a>)> {
    let bound = job.bound;
    let mut list: Vec<(usize, Ours<'a>)> = Vec::new();
    let named = |item: &'a Item| restored_name(item).map(|(at, _)| (at, Ours::Name(item)));
    list.extend(bound.items.iter().filter_map(named));
    let hidden = bound.references.iter().filter(|reference| masked(job, reference).is_some());
    for reference in hidden {
        list.push((reference.tokens.start, Ours::Masked(reference)));
        if let Some(range) = compared(job, reference) {
            list.push((range.start, Ours::Inserted("(")));
            list.push((range.end, Ours::Inserted(")")));
        }
    }
    let guarded = bound.assigned.iter().filter_map(|assigned| Guarded::of(job, assigned));
    list.extend(guarded.map(|guarded| (guarded.value.start, Ours::Guard(guarded))));
    let stars = bound.stars.iter().filter(|star| is_expanded(job, star));
    list.extend(stars.map(|star| (star.tokens.start, Ours::Star(star))));
    for used in &bound.relations {
        list.push((used.whole.start, Ours::Relation(used)));
        if used.name.start != used.whole.start {
            list.push((used.name.start, Ours::Relation(used)));
        }
    }
    list
}

/// Judges text of ours in the place of tokens.
fn trusted<'a>(job: &Job<'_>, one: Ours<'_>, own: &'a str, tokens: &Range<usize>, run: &Run<'_>) -> Option<Known<'a>> {
    let optional = Known::default();
    let needed = Known { counts: true, ..Known::default() };
    match one {
        Ours::Inserted(text) => (tokens.is_empty() && own == text).then_some(needed),
        Ours::Name(item) => {
            let (at, text) = restored_name(item)?;
            (*tokens == (at..at) && text == own).then_some(optional)
        }
        Ours::Masked(reference) => {
            (reference.tokens == *tokens && is_masked(job, reference, own, run)).then_some(needed)
        }
        Ours::Guard(guarded) => {
            let known = !guarded.shows_mask() || is_known(job, guarded.used, guarded.position, run);
            (*guarded.value == *tokens && known).then_some(())?;
            Some(Known { inside: Some(guarded.client_part(own, job)?), ..needed })
        }
        Ours::Star(star) => {
            let known = star.columns.iter().filter_map(|column| column.origin).all(|(id, position)| {
                let used = job.bound.relations.get(id);
                let stays = |used: &RelationUse| used.role != Role::Source || job.is_inline(id);
                used.is_some_and(|used| !stays(used) || is_known(job, used, position, run))
            });
            let columns = if shows_target(job, star) { returned_star(job, star).ok()? } else { masked_star(job, star) };
            (star.tokens == *tokens && known && own == columns).then_some(needed)
        }
        Ours::Relation(used) => {
            if let Some(policy) = protected(run.role, used).filter(|_| used.role == Role::Source) {
                let alias = (!used.has_alias).then_some(used.alias.as_str());
                (used.whole == *tokens).then_some(())?;
                derived(own, used, alias, policy, job.reads_few(), run)?;
                return Some(Known { derived: used.has_alias, ..needed });
            }
            let relation = run.inputs.catalog.relation(used.oid)?;
            let derived = used.has_alias && protected(run.role, used).is_some();
            (used.name == *tokens && own == qualified(relation)).then_some(Known { derived, ..optional })
        }
    }
}

/// The relation and column of a reference that must not stand as the client wrote it.
fn masked<'a>(job: &Job<'a>, reference: &Reference) -> Option<(&'a RelationPolicy, usize)> {
    let used = job.bound.relations.get(reference.relation)?;
    let stays = match used.role {
        Role::Source => job.is_inline(reference.relation),
        Role::Insert => reference.clause != Clause::Conflict,
        Role::Update | Role::Delete | Role::Merge => true,
    };
    let policy = protected(job.role, used).filter(|_| stays)?;
    let position = reference.column?;
    (*treatment(policy, position) != Treatment::Clear).then_some((policy, position))
}

/// The comparison of a reference with stored values that the rules permit.
fn compared(job: &Job<'_>, reference: &Reference) -> Option<Range<usize>> {
    let (policy, position) = masked(job, reference)?;
    let rule = policy.columns.get(position).filter(|rule| rule.search == Search::Exact)?;
    // What is read of literals was noted when the statement was rewritten.
    searched(job, reference, rule, &mut Reads::default()).map(|compared| compared.tokens.clone())
}

/// Whether `own` is the mask of a reference, or the reference itself where the stored value may be compared.
fn is_masked(job: &Job<'_>, reference: &Reference, own: &str, run: &Run<'_>) -> bool {
    let found = masked(job, reference).zip(job.bound.relations.get(reference.relation));
    let Some(((policy, position), used)) = found else { return false };
    let relation = run.inputs.catalog.relation(used.oid);
    let column = relation.and_then(|relation| relation.columns.get(position));
    let Some(column) = column else { return false };
    let tokens = job.tokens.get(reference.tokens.clone()).unwrap_or_default();
    if compared(job, reference).is_some() {
        // Behind a gate the comparison stands in other text, which is not recognised.
        let gated = policy.columns.get(position).is_none_or(|rule| rule.gate.is_some());
        return !gated && own == emit::text(tokens);
    }
    let operand = emit::name(tokens);
    let row = match used.role {
        Role::Source => "",
        Role::Update | Role::Delete | Role::Insert | Role::Merge => row_of(job, reference, used),
    };
    let name = quote_ident(row);
    let mask = own.strip_prefix('(').and_then(|own| own.strip_suffix(')'));
    let behind = mask.and_then(|mask| {
        let row = Row { name: &name, few: used.role != Role::Source && job.reads_few() };
        strip_seen(mask, policy, position, column, &operand, row)
    });
    behind == Some("") && !captures(policy, position, row) && is_known(job, used, position, run)
}

/// Whether the mask of a column is known to show that column alone.
fn is_known(job: &Job<'_>, used: &RelationUse, position: usize, run: &Run<'_>) -> bool {
    let Some(relation) = run.inputs.catalog.relation(used.oid) else { return false };
    let policy = protected(run.role, used);
    policy.is_some_and(|policy| item(relation, policy, position, job.reads_few(), run).is_some())
}

/// What may stand in the place of a name.
enum Name<'a> {
    /// The relation with its schema.
    Relation(&'a RelationUse),
    /// The column of these tokens with the relation's alias.
    Column(&'a RelationUse, Range<usize>),
}

/// What stands before a token.
#[derive(Clone, Copy, Default)]
struct Before<'a> {
    /// The token before is a dot, and this the name before it.
    qualifier: Option<&'a str>,
    /// A name stands right before.
    name: Option<&'a str>,
    /// A derived table stands right before, or only AS between.
    derived: bool,
}

/// Reads printed text against the client's tokens.
struct Reader<'a> {
    client: &'a [Token],
    /// By number of the token, in order.
    names: Vec<(usize, Name<'a>)>,
    /// Where protected relations are named that stay tables, in order.
    tables: Vec<Range<usize>>,
    run: &'a Run<'a>,
    /// The client's token that comes next.
    at: usize,
    before: Before<'a>,
}

impl<'a> Reader<'a> {
    /// Reads a part of the text.
    fn read(&mut self, text: &'a str) -> Option<()> {
        let mut lexer = Lexer::new(text);
        let mut next = lexer.read().ok()?;
        while let Some(lexeme) = next {
            next = lexer.read().ok()?;
            let token = self.client.get(self.at)?;
            if token.kind == lexeme.kind && lexeme.body.is(token.content()) {
                self.passed(token.kind, token.name(), next.as_ref())?;
                self.at += 1;
            } else {
                self.replaced(&lexeme, &mut next, &mut lexer)?;
            }
        }
        (!lexer.commented).then_some(())
    }

    /// Reads `schema.name` or `alias.column`, of which the first token is read, and `next` the second.
    fn replaced(&mut self, first: &Lexeme<'a>, next: &mut Option<Lexeme<'a>>, lexer: &mut Lexer<'a>) -> Option<()> {
        let found = self.names.binary_search_by_key(&self.at, |(start, _)| *start).ok()?;
        // Borrowed from the catalog or the binder, not from the text: the contents are equal.
        let (qualifier, name, end): (&'a str, &'a str, usize) = match &self.names.get(found)?.1 {
            Name::Relation(used) => {
                let relation = self.run.inputs.catalog.relation(used.oid)?;
                (&relation.schema, &relation.name, used.name.end)
            }
            Name::Column(used, tokens) => {
                let column = self.client.get(tokens.end.checked_sub(1)?)?;
                (&used.alias, column.name(), tokens.end)
            }
        };
        let is_name =
            |lexeme: &Lexeme<'_>, name: &str| matches!(lexeme.kind, Kind::Word | Kind::Quoted) && lexeme.body.is(name);
        let dot = next.take().filter(|dot| dot.kind == Kind::Dot)?;
        let last = lexer.read().ok()??;
        *next = lexer.read().ok()?;
        if !is_name(first, qualifier) || !is_name(&last, name) {
            return None;
        }
        self.passed(first.kind, qualifier, Some(&dot))?;
        self.passed(Kind::Dot, "", Some(&last))?;
        self.passed(last.kind, name, next.as_ref())?;
        self.at = end;
        Some(())
    }

    /// Judges one token of the text; none when it may name a protected relation.
    fn passed(&mut self, kind: Kind, name: &'a str, next: Option<&Lexeme<'_>>) -> Option<()> {
        let before = std::mem::take(&mut self.before);
        match kind {
            Kind::Word | Kind::Quoted => {
                let is_as = kind == Kind::Word && name == "as";
                let qualifies = next.is_some_and(|next| next.kind == Kind::Dot);
                let keyword = kind == Kind::Word && category(name) == Some(Category::Reserved);
                let before_here = self.tables.partition_point(|table| table.start <= self.at);
                let table = before_here.checked_sub(1).and_then(|last| self.tables.get(last));
                let table = table.is_some_and(|table| table.contains(&self.at));
                if !qualifies && !keyword && !table && self.run.role.protected_names.contains(name) {
                    let other = match before.qualifier {
                        Some(schema) => !self.is_protected(schema, name),
                        None => before.derived,
                    };
                    other.then_some(())?;
                }
                let derived = table || (before.derived && is_as);
                self.before = Before { qualifier: None, name: Some(name), derived };
            }
            Kind::Dot => self.before = Before { qualifier: Some(before.name?), name: None, derived: false },
            Kind::Semicolon => return None,
            Kind::Text
            | Kind::National
            | Kind::Bits
            | Kind::Hex
            | Kind::Number
            | Kind::Parameter
            | Kind::Operator
            | Kind::Open
            | Kind::Close
            | Kind::OpenBracket
            | Kind::CloseBracket
            | Kind::Comma
            | Kind::Colon
            | Kind::Typecast
            | Kind::Assign
            | Kind::Arrow => {}
        }
        Some(())
    }

    fn is_protected(&self, schema: &str, name: &str) -> bool {
        let relation = self.run.inputs.catalog.relation_named(schema, name);
        relation.and_then(|relation| self.run.role.relation(relation.oid)).is_some_and(RelationPolicy::is_governed)
    }
}

/// Whether `text` is a derived table of known items over the relation.
fn derived(
    text: &str,
    used: &RelationUse,
    alias: Option<&str>,
    policy: &RelationPolicy,
    few: bool,
    run: &Run<'_>,
) -> Option<()> {
    let relation = run.inputs.catalog.relation(used.oid)?;
    let every = used.starred || used.whole_row.is_some();
    let mut rest = text.strip_prefix("(SELECT ")?;
    let mut first = true;
    for position in 0..relation.columns.len() {
        let needed = every || used.marks.get(position).is_none_or(|mark| mark.used);
        let item = item(relation, policy, position, few, run);
        let behind = item.and_then(|item| {
            let list = if first { rest } else { rest.strip_prefix(", ")? };
            list.strip_prefix(item).filter(|behind| behind.starts_with([',', ' ']))
        });
        match behind {
            Some(behind) => (rest, first) = (behind, false),
            None if needed => return None,
            None => {}
        }
    }
    rest = rest.strip_prefix(" FROM ")?.strip_prefix(derived_from(policy, used, relation).as_str())?;
    if let Some(scope) = &policy.scope {
        let barrier = scope_clause(scope, few, true);
        rest = rest.strip_prefix(barrier.as_str()).or_else(|| {
            // Whether it is needed is no question of what is named.
            if scope.barrier { None } else { rest.strip_prefix(scope_clause(scope, few, false).as_str()) }
        })?;
    }
    rest = rest.strip_prefix(')')?;
    if let Some(alias) = alias {
        rest = rest.strip_prefix(" AS ")?.strip_prefix(&*quote_ident(alias))?;
    }
    rest.is_empty().then_some(())
}

/// The item of a derived table for one column, when it is known to show that column alone.
fn item<'a>(
    relation: &Relation,
    policy: &'a RelationPolicy,
    position: usize,
    few: bool,
    run: &Run<'_>,
) -> Option<&'a str> {
    let column = policy.columns.get(position)?;
    let checked = || {
        let data = relation.columns.get(position)?;
        let text = derived_item(policy, position, data, few);
        let shown = match &column.gate {
            None => shows_one_column(&text, relation, position, run),
            Some(gate) => {
                let name = quote_ident(&data.name);
                let gate = gate.sql.fill_row("", Row { name: ROW_ALIAS, few });
                let shown = text.strip_prefix("CASE WHEN ").and_then(|rest| rest.strip_prefix(gate.as_str()));
                let shown = shown.and_then(|rest| rest.strip_prefix(" THEN "));
                let closed = format!(" ELSE {} END AS {name}", withheld(data));
                let shown = shown.and_then(|rest| rest.strip_suffix(closed.as_str()));
                shown.is_some_and(|shown| {
                    shows_one_column(&format!("{shown} AS {name}"), relation, position, run)
                        && is_condition(&gate, relation, run)
                })
            }
        };
        shown.then(|| text.into())
    };
    column.item.get(usize::from(few))?.get_or_init(checked).as_deref()
}

/// Whether a text is one condition on the row of a derived table over `relation`.
fn is_condition(gate: &str, relation: &Relation, run: &Run<'_>) -> bool {
    let text = format!("SELECT 1 FROM {} AS {ROW_ALIAS} WHERE ({gate})", qualified(relation));
    let Ok(tokens) = lex(&text) else { return false };
    let Ok(statement) = parse::parse_statement(&tokens, 0) else { return false };
    let parameters = tokens.iter().any(|token| token.kind == Kind::Parameter);
    let bound = bind_own(&statement, &tokens, &run.inputs.catalog);
    balanced(gate)
        && !parameters
        && bound.is_ok_and(|bound| bound.relations.iter().all(|used| used.role == Role::Source))
}

/// Whether no bracket of the text belongs to what stands around it, and nothing in it ends a part of a statement.
fn balanced(text: &str) -> bool {
    let mut lexer = Lexer::new(text);
    let mut depth = 0_usize;
    while let Ok(Some(lexeme)) = lexer.read() {
        let from = lexeme.kind == Kind::Word && lexeme.body.is("from");
        let parts = from || matches!(lexeme.kind, Kind::Comma | Kind::Semicolon);
        match lexeme.kind.nesting() {
            Nesting::Opens => depth += 1,
            Nesting::Closes if depth == 0 => return false,
            Nesting::Closes => depth -= 1,
            Nesting::Stays if lexeme.kind == Kind::Parameter || (parts && depth == 0) => return false,
            Nesting::Stays => {}
        }
    }
    depth == 0 && !lexer.commented
}

/// Whether a select item over `relation` shows the column at `position` under its name, and looks at nothing else.
fn shows_one_column(item: &str, relation: &Relation, position: usize, run: &Run<'_>) -> bool {
    if !balanced(item) {
        return false;
    }
    let text = format!("SELECT {item} FROM {}", qualified(relation));
    let Ok(tokens) = lex(&text) else { return false };
    let Ok(statement) = parse::parse_statement(&tokens, 0) else { return false };
    let Ok(bound) = bind_own(&statement, &tokens, &run.inputs.catalog) else { return false };
    let ([used], [output]) = (bound.relations.as_slice(), bound.outputs.as_slice()) else { return false };
    let only = |mark: (usize, &crate::bind::ColumnMark)| mark.0 == position || !mark.1.used;
    used.oid == relation.oid
        && used.whole_row.is_none()
        && used.system.is_empty()
        && bound.stars.is_empty()
        && used.marks.iter().enumerate().all(only)
        && output.name.as_deref() == relation.columns.get(position).map(|column| column.name.as_str())
}

#[cfg(test)]
mod tests;
