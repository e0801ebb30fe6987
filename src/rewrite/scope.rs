//! Row scopes: conditions on the rows of sources (inside the derived table) and of targets of UPDATE, DELETE and ON CONFLICT
//! DO UPDATE (beside the client's own condition). A row in conflict that the role does not see stays as it is, and is not returned; that there is
//! one, INSERT alone tells too.
//!
//! PostgreSQL may evaluate what the client wrote before the scope, and an expression that fails on a value (a division, a
//! cast, a function) would tell of rows that the role does not see. So the scope becomes a barrier, by which PostgreSQL
//! evaluates it first, unless nothing in the statement can fail on a value: then indexes serve both conditions. The same holds of a comparison
//! with a stored value and the gate of its column ([`super::exact`]).

use std::ops::Range;

use super::{
    Edits, Job,
    names::{protected, relation},
};
use crate::{
    bind::{Bound, FunctionUse, Reference, RelationUse, Role, Usages},
    catalog::{CatalogSnapshot, Column, data::RelationKind},
    error::{Refusal, RefusalCode},
    names::quote_ident,
    policy::{Gate, RelationPolicy, RolePolicy, Scope, SqlTemplate, compiled::Row},
    sql::{Kind, Nesting, Reads, Token, gaps::current_of},
};

/// Types whose comparisons fail on no value.
pub(super) fn compares_safely(column: &Column) -> bool {
    column.collation.is_none()
        && matches!(
            column.type_name.as_str(),
            "bool"
                | "int2"
                | "int4"
                | "int8"
                | "numeric"
                | "float4"
                | "float8"
                | "text"
                | "varchar"
                | "bpchar"
                | "uuid"
                | "date"
                | "time"
                | "timestamp"
                | "timestamptz"
        )
}

/// What a statement means for scopes, and for comparisons behind gates; nothing where it has none.
#[derive(Clone, Debug, Default)]
pub(super) struct Scoping {
    /// Whether something in it can fail on a value of a row that a scope hides.
    loud: bool,
    /// The same, of a scope that may be joined.
    loud_beside_join: bool,
    /// Whether it holds a pattern that could.
    pub pattern: bool,
    /// Constants whose content decided.
    pub reads: Reads,
}

impl Scoping {
    /// Of a bound statement, for a role.
    pub fn of(bound: &Bound, tokens: &[Token], catalog: &CatalogSnapshot, role: &RolePolicy) -> Self {
        let scoped = |used| protected(role, used).is_some_and(|policy| policy.scope.is_some());
        let scoped = bound.relations.iter().any(scoped);
        let behind = bound.references.iter().filter(|reference| is_compared_behind_gate(bound, reference, role));
        let behind: Vec<&Reference> = behind.collect();
        if !scoped && behind.is_empty() {
            return Self::default();
        }
        // A parameter that a number is compared with is cast, and may fail where another comparison has found a row.
        let casts =
            behind.len() > 1 && behind.iter().any(|reference| compares_number(bound, reference, tokens, catalog));
        let mut reads = Reads::default();
        let fails =
            |used| protected(role, used).is_some_and(|policy| policy.scope.as_ref().is_some_and(|scope| scope.fails));
        let unsettled = |used| protected(role, used).is_some_and(|policy| is_unsettled(bound, used, policy, catalog));
        let read_beside = bound.relations.len() > 1 && bound.relations.iter().any(fails);
        // What was not asked is not known.
        let quiet = bound.failing.as_ref().filter(|failing| {
            !failing.conditions
                && !read_beside
                && !bound.relations.iter().any(unsettled)
                && !bound.relations.iter().any(|used| is_unsure(catalog, used))
                && failing.constants_hold(tokens, &mut reads)
        });
        let loud = quiet.is_none();
        let loud_beside_join = casts || quiet.is_none_or(|failing| failing.below_joins);
        let known = quiet.map_or(0, |failing| failing.patterns);
        let pattern = scoped && (has_pattern(tokens, known) || (loud && may_estimate(bound, tokens)));
        Self { loud, loud_beside_join, pattern, reads }
    }
}

/// Whether the scope must be evaluated before what the client wrote.
pub(super) fn is_barrier(job: &Job<'_>, scope: &Scope) -> bool {
    scope.barrier || job.scoping.loud || (scope.joins && job.scoping.loud_beside_join)
}

/// Whether a setting that the scope of a relation compares a column with may be computed when a row is come to, and fail then: it may have
/// become another since the statement was planned, or no estimate was made of it.
fn is_unsettled(bound: &Bound, used: &RelationUse, policy: &RelationPolicy, catalog: &CatalogSnapshot) -> bool {
    let Some(scope) = policy.scope.as_ref().filter(|scope| !scope.settled.is_empty()) else { return false };
    let sets = |call: &FunctionUse| call.name == "set_config" || catalog.functions_named(&call.name).next().is_some();
    let compares = |at: &usize| used.marks.get(*at).is_none_or(|mark| mark.merged || mark.usages.any(Usages::COMPARED));
    used.whole_row.is_some() || used.entangled || scope.settled.iter().any(compares) || bound.functions.iter().any(sets)
}

/// Whether a comparison with a stored value must be evaluated behind the gate of its column, and not in whichever order: what else fails would
/// tell what is stored where the gate is closed. Then no index serves it. The gate itself may become a join.
pub(super) fn is_behind_gate(job: &Job<'_>, gate: &Gate) -> bool {
    gate.fails || job.scoping.loud_beside_join
}

fn is_compared_behind_gate(bound: &Bound, reference: &Reference, role: &RolePolicy) -> bool {
    let policy = || protected(role, bound.relations.get(reference.relation)?);
    let gate = |position: usize| policy()?.columns.get(position)?.gate.as_ref();
    reference.compared.is_some() && reference.column.and_then(gate).is_some()
}

fn compares_number(bound: &Bound, reference: &Reference, tokens: &[Token], catalog: &CatalogSnapshot) -> bool {
    let relation = bound.relations.get(reference.relation).and_then(|used| catalog.relation(used.oid));
    let column = relation.zip(reference.column).and_then(|(relation, position)| relation.columns.get(position));
    let parameter = |at: &usize| tokens.get(*at).is_some_and(|token| token.kind == Kind::Parameter);
    column.is_none_or(|column| column.type_category == 'N')
        && reference.compared.as_ref().is_some_and(|compared| compared.constants.iter().any(parameter))
}

/// Comparing rows fails on a column without equality, and what a view or a relation of the system computes is not looked at.
pub(super) fn is_unsure(catalog: &CatalogSnapshot, used: &RelationUse) -> bool {
    let stored = |kind| match kind {
        RelationKind::Table
        | RelationKind::PartitionedTable
        | RelationKind::MaterializedView
        | RelationKind::ForeignTable => true,
        RelationKind::View | RelationKind::Sequence | RelationKind::Toast | RelationKind::Composite => false,
    };
    let known = catalog.relation(used.oid).is_some_and(|data| !data.is_system() && stored(data.kind));
    !known || used.whole_row.is_some()
}

/// Whether the statement holds a pattern that may fail on stored values: PostgreSQL's estimates try it on them when it plans, barrier or not, and
/// a backslash at its end fails on those that reach it. Then no column may be seen as one with statistics. So many are known not to.
fn has_pattern(tokens: &[Token], known: usize) -> bool {
    let held = |token: &&Token| ["like", "ilike"].iter().any(|word| token.is_word(word));
    let others =
        |token: &Token| token.is_word("similar") || (token.kind == Kind::Operator && token.name().contains('~'));
    tokens.iter().filter(held).count() != known || tokens.iter().any(others)
}

/// Functions of which PostgreSQL makes no estimate by running them on stored values.
const NOT_ESTIMATED: &[&str] = &[
    "abs",
    "avg",
    "bool_and",
    "bool_or",
    "ceil",
    "coalesce",
    "concat",
    "count",
    "date_part",
    "date_trunc",
    "extract",
    "floor",
    "greatest",
    "least",
    "left",
    "length",
    "lower",
    "max",
    "min",
    "now",
    "nullif",
    "right",
    "round",
    "row_number",
    "sum",
    "to_char",
    "trim",
    "upper",
];

/// Operators of which it makes none either, or one by comparisons.
const ESTIMATED_QUIETLY: &[&str] =
    &["!=", "#>", "#>>", "%", "*", "+", "-", "->", "->>", "/", "<", "<=", "<>", "=", ">", ">=", "||"];

/// Whether a function or an operator may be called of which PostgreSQL makes an estimate by running it on stored values, where a pattern or a
/// path fails, as `textlike(a, '%\')`.
fn may_estimate(bound: &Bound, tokens: &[Token]) -> bool {
    let operates = |token: &Token| token.kind == Kind::Operator && !ESTIMATED_QUIETLY.contains(&token.name());
    bound.functions.iter().any(|call| !NOT_ESTIMATED.contains(&call.name.as_str())) || tokens.iter().any(operates)
}

/// Refuses the name of a target's row that the text of a condition gives to rows of its own.
pub(super) fn check_capture(sql: &SqlTemplate, row: &str) -> Result<(), Refusal> {
    if sql.captures().iter().any(|name| **name == *row) {
        let message = format!("the name \"{row}\" of the table that is written stands in a condition of the rules");
        return Err(Refusal::new(RefusalCode::Unsupported, message).with_hint("Give it another alias."));
    }
    Ok(())
}

/// Keeps UPDATE and DELETE to the rows that the role sees; what cannot be kept to them is refused.
pub(super) fn targets(job: &Job<'_>, edits: &mut Edits) -> Result<(), Refusal> {
    for (id, used) in job.bound.relations.iter().enumerate() {
        let Some(scope) = protected(job.role, used).and_then(|policy| policy.scope.as_ref()) else { continue };
        let refuse = |what: &str| {
            let name = relation(job, used).map(|data| data.name.clone()).unwrap_or_default();
            let refusal = Refusal::new(RefusalCode::RowScope, format!("{what} is not possible on {name}"))
                .with_hint("This role sees some of its rows only.")
                .with_rule(&*scope.rule);
            Err(match job.tokens.get(used.name.start) {
                Some(token) => refusal.at(token.start),
                None => refusal,
            })
        };
        match used.role {
            Role::Merge => return refuse("MERGE"),
            Role::Source => {}
            Role::Insert if !updates_on_conflict(job.bound, id) => {}
            Role::Update | Role::Delete | Role::Insert => {
                check_capture(&scope.sql, &used.alias)?;
                if !add(job, used, scope, edits) {
                    let what =
                        if used.role == Role::Insert { "this ON CONFLICT DO UPDATE" } else { "WHERE CURRENT OF" };
                    return refuse(what);
                }
            }
        }
    }
    Ok(())
}

/// Whether rows of a target of INSERT are changed that are there already; `id` is its number in [`Bound::relations`].
pub fn updates_on_conflict(bound: &Bound, id: usize) -> bool {
    bound.assigned.iter().any(|assigned| assigned.relation == id && assigned.update)
}

/// Adds the scope to the condition of the statement; false when it has none that can be added to.
fn add(job: &Job<'_>, used: &RelationUse, scope: &Scope, edits: &mut Edits) -> bool {
    match added_scope(job, used, scope) {
        None => return false,
        Some(AddedScope::Around { condition, open, close }) => edits.around_own(&condition, open, close.to_owned()),
        Some(AddedScope::Where { at, text }) => edits.insert_own(at, text),
    }
    true
}

/// What keeps UPDATE, DELETE and DO UPDATE to the rows of a scope.
#[derive(Debug)]
pub enum AddedScope {
    /// Texts around the client's condition.
    Around {
        /// Its tokens.
        condition: Range<usize>,
        /// What stands before it.
        open: String,
        /// What stands behind it.
        close: &'static str,
    },
    /// A condition where the client has none.
    Where {
        /// The token before which it stands.
        at: usize,
        /// It, with WHERE.
        text: String,
    },
}

/// What keeps UPDATE, DELETE and DO UPDATE to the rows of a scope; none where the condition is one that nothing can be added to.
pub fn added_scope(job: &Job<'_>, used: &RelationUse, scope: &Scope) -> Option<AddedScope> {
    let from = if used.role == Role::Insert { do_update(job.tokens, used.whole.end)? } else { used.whole.end };
    let Clauses { condition, end } = clauses(job.tokens, from);
    let sql = scope.sql.fill_row("", Row { name: &quote_ident(&used.alias), few: job.few });
    let sql = sql.as_str();
    let Some(condition) = condition else {
        return Some(AddedScope::Where { at: end, text: ["WHERE (", sql, ")"].concat() });
    };
    if current_of(job.tokens, condition.start).is_some() {
        return None;
    }
    let (open, close) = if is_barrier(job, scope) {
        (["(", sql, ") AND CASE WHEN (", sql, ") THEN ("].concat(), ") ELSE false END")
    } else {
        (["(", sql, ") AND ("].concat(), ")")
    };
    Some(AddedScope::Around { condition, open, close })
}

/// The token behind `DO UPDATE SET` of an INSERT whose target ends at `from`: behind the condition of the conflict, and before its own.
fn do_update(tokens: &[Token], from: usize) -> Option<usize> {
    let words = ["do", "update", "set"];
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token.kind.nesting() {
            Nesting::Opens => depth += 1,
            Nesting::Closes => depth = depth.checked_sub(1)?,
            Nesting::Stays => {}
        }
        let here = tokens.get(at..at + words.len()).filter(|_| depth == 0);
        if here.is_some_and(|here| here.iter().zip(words).all(|(token, word)| token.is_word(word))) {
            return Some(at + words.len());
        }
    }
    None
}

/// The clauses of an UPDATE or DELETE behind its target, or of DO UPDATE behind what it assigns.
struct Clauses {
    /// The tokens behind WHERE.
    condition: Option<Range<usize>>,
    /// The token before which WHERE goes.
    end: usize,
}

fn clauses(tokens: &[Token], from: usize) -> Clauses {
    let mut depth = 0_usize;
    let mut start = None;
    let mut end = tokens.len();
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token.kind.nesting() {
            Nesting::Opens => depth += 1,
            Nesting::Closes if depth == 0 => {
                end = at;
                break;
            }
            Nesting::Closes => depth -= 1,
            Nesting::Stays if depth == 0 => {
                let label = at.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(|t| t.kind == Kind::Dot);
                if token.is_word("where") && !label && start.is_none() {
                    start = Some(at + 1);
                }
                if token.kind == Kind::Semicolon || (token.is_word("returning") && !label) {
                    end = at;
                    break;
                }
            }
            Nesting::Stays => {}
        }
    }
    Clauses { condition: start.map(|start| start..end), end }
}
