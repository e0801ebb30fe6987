//! What in a statement can fail on a value of a row, where that could tell of a row that a row scope hides.
//!
//! PostgreSQL evaluates conditions beside a scope in any order, so what can fail in one of them tells of hidden rows. What select lists, GROUP BY
//! and ORDER BY hold is computed of rows that have passed all conditions of their query, and so matters only as a column of a sub-select in FROM
//! or of WITH that a condition elsewhere refers to, for that condition may move into the sub-select; and, where the scope itself may become a
//! join, as what is computed below that join.
//!
//! In: expressions, as they are bound ([`quiet`] says which can fail on no value, by their types). Out: [`Failing`]. Invariant: what is not listed
//! as failing on no value counts as what can, and what is not known to stand elsewhere as a condition.

mod calls;
mod constants;
mod dates;
mod quiet;
mod rows;
mod settings;
pub(super) mod shape;

use std::collections::{BTreeMap, HashMap, HashSet};

use foldhash::fast::FixedState;
use sqlparser::ast::{Expr, Query, Spanned, Value};

use self::shape::Shape;
pub use self::{constants::Content, settings::bind_condition};
use super::{
    binder::{Binder, Context},
    bound::{Clause, Output},
    parameters::{self, Parameters},
    query::unbracketed,
    scope::{Cte, ScopeColumn},
    typed::Kept,
};
use crate::{
    catalog::{CatalogSnapshot, Column, Relation, data::RelationKind},
    names::Oid,
    sql::{Kind, Reads, Token, parse},
};

/// What was found of one statement.
#[derive(Clone, Debug, Default)]
pub struct Failing {
    /// Something in a condition can fail.
    pub conditions: bool,
    /// Something can that is computed below a join which a scope becomes.
    pub below_joins: bool,
    /// How many LIKE and ILIKE have constants as patterns, if these hold what they should.
    pub patterns: usize,
    /// In a condition of the rules: the tokens of columns beside settings that are excused ([`bind_condition`]); none where one is not known.
    pub beside_settings: Vec<Option<usize>>,
    /// Constants by whose content something fails on no value, with their tokens.
    constants: Vec<(usize, Content)>,
}

impl Failing {
    /// Whether the constants hold what they should; asked when all else can fail on no value, for the answer leaves a trace.
    pub fn constants_hold(&self, tokens: &[Token], reads: &mut Reads) -> bool {
        self.constants.iter().all(|(at, content)| {
            let text = tokens.get(*at).and_then(|token| token.literal(reads));
            text.is_some_and(|text| content.holds(text))
        })
    }
}

/// What is known of a column.
#[derive(Clone, Copy, Debug)]
pub struct Nature {
    /// Of its type.
    pub shape: Shape,
    /// Whether computing it can fail.
    pub fails: bool,
}

impl Default for Nature {
    fn default() -> Self {
        Self { shape: Shape::Unknown, fails: true }
    }
}

/// Where the query at hand stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is the statement.
    Outermost,
    /// It is a value in a list of such a query.
    Value,
    /// In FROM, in WITH, or in a list of such a query: conditions elsewhere may refer to its columns.
    Named,
    /// In a condition, of which it is a part.
    Condition,
}

/// What a parameter was found to be compared with, or cast to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Met {
    /// With what takes any type.
    Any,
    With(Oid),
    CastTo(Oid),
    /// The same of arrays of the type.
    WithElements(Oid),
    CastToElements(Oid),
}

impl Met {
    /// Whether a parameter that has its type from one of the two is cast at the other so that it may fail.
    fn differs(self, other: Self) -> bool {
        let texts = |one: Oid, other: Oid| Shape::Of(one).is_text() && Shape::Of(other).is_text();
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => false,
            // Not even an integer and a numeric: which of them it is decides what a third place makes of it.
            (Self::CastTo(one) | Self::With(one), Self::CastTo(other) | Self::With(other)) => {
                one != other && !texts(one, other)
            }
            (
                Self::WithElements(one) | Self::CastToElements(one),
                Self::WithElements(other) | Self::CastToElements(other),
            ) => one != other,
            (Self::WithElements(_) | Self::CastToElements(_), Self::With(_) | Self::CastTo(_))
            | (Self::With(_) | Self::CastTo(_), Self::WithElements(_) | Self::CastToElements(_)) => true,
        }
    }
}

/// What is kept while a statement is judged.
#[expect(clippy::struct_excessive_bools, reason = "independent facts of a statement")]
pub(super) struct Judge {
    parameters: Parameters,
    standing: Standing,
    /// Whether rows are sorted, grouped or united somewhere: what they are sorted by is computed below joins.
    sorts: bool,
    /// Whether all of a list may be what rows are sorted by, as they are told apart, united, or seen through windows somewhere.
    compares_lists: bool,
    /// How much was found so far outside conditions.
    found: usize,
    /// Whether a sub-select in FROM or WITH locks its rows.
    locks_named: bool,
    /// Of a condition of the rules: what of it reads settings of the session, by address, and fails when the statement is planned, if at all.
    excused: Option<HashSet<usize, FixedState>>,
    /// Whether anything is.
    excuses: bool,
    /// By the token of a parameter.
    met: BTreeMap<usize, Met>,
    /// By the first token of a sub-select, its columns.
    queries: HashMap<usize, Vec<Nature>, FixedState>,
    /// The first tokens of queries that give one row.
    single_rows: HashSet<usize, FixedState>,
    failing: Failing,
}

/// What sorts rows by what it names.
const SORTS: &[&str] = &["group", "order"];
/// What may sort them by all that is in a list.
const COMPARES_LISTS: &[&str] = &["distinct", "except", "intersect", "over", "union", "window"];

impl Judge {
    pub fn new(tokens: &[Token], seen: bool, catalog: &CatalogSnapshot, parameters: Parameters) -> Self {
        let has = |words: &[&str]| tokens.iter().any(|token| words.iter().any(|word| token.is_word(word)));
        // The tree does not show what the parser was not shown, and a query that reads itself computes its lists again.
        let unknown = !seen || shape::brings_conversions(catalog) || has(&["recursive"]);
        let compares_lists = has(COMPARES_LISTS);
        Self {
            parameters,
            standing: Standing::Outermost,
            sorts: compares_lists || has(SORTS),
            compares_lists,
            found: 0,
            locks_named: false,
            excused: None,
            excuses: false,
            met: BTreeMap::new(),
            queries: HashMap::default(),
            single_rows: HashSet::default(),
            failing: Failing { conditions: unknown, ..Failing::default() },
        }
    }

    /// Of a query that holds a condition of the rules; what fails when PostgreSQL plans it is excused with `planned`.
    pub fn of_rules(tokens: &[Token], seen: bool, catalog: &CatalogSnapshot, planned: bool) -> Self {
        let excused = Some(HashSet::default());
        Self { excused, excuses: planned, ..Self::new(tokens, seen, catalog, Parameters::Any) }
    }

    /// What was found, at the end of the statement.
    pub fn finish(mut self, tokens: &[Token], catalog: &CatalogSnapshot, relations: usize) -> Failing {
        // Where it reads all that there is, no join elsewhere decides which rows it locks.
        self.failing.below_joins |= self.locks_named && relations > 1;
        self.failing.conditions |= self.repeats(tokens, catalog);
        self.failing.below_joins |= self.failing.conditions;
        self.failing
    }

    /// Notes that something can fail in a clause of the query at hand.
    fn fails(&mut self, clause: Clause) {
        let failing = &mut self.failing;
        let list = match clause {
            Clause::Where | Clause::On | Clause::Other => None,
            Clause::Select | Clause::Returning | Clause::Assign => Some(self.compares_lists),
            Clause::Group | Clause::Order => Some(true),
            // It is not evaluated.
            Clause::Conflict => return,
        };
        match (self.standing, list) {
            (Standing::Condition, _) | (_, None) => failing.conditions = true,
            (Standing::Named | Standing::Value, Some(_)) => {
                self.found += 1;
                failing.below_joins = true;
            }
            (Standing::Outermost, Some(below)) => {
                self.found += 1;
                failing.below_joins |= below;
            }
        }
    }

    /// Notes that it can be told whether the query at hand is run, or how far: it can fail whatever rows it has, or locks some.
    fn shows(&mut self) {
        match self.standing {
            Standing::Condition => self.failing.conditions = true,
            Standing::Outermost | Standing::Value | Standing::Named => self.failing.below_joins = true,
        }
        self.found += 1;
    }

    /// Whether it matters at all what stands in the clause.
    fn is_aside(&self, clause: Clause) -> bool {
        self.failing.conditions
            || (self.standing == Standing::Outermost
                && !self.sorts
                && matches!(clause, Clause::Select | Clause::Returning | Clause::Assign))
    }

    /// What all of these become that are compared with each other, the first with the others; none where one may be cast so that it fails.
    fn agree(&mut self, shapes: &[Shape]) -> Option<Shape> {
        let others = shapes.iter().filter(|shape| !matches!(shape, Shape::Parameter(_) | Shape::Moment(..)));
        let mut known = others.copied().try_fold(Shape::Literal, Shape::meets)?;
        for shape in shapes {
            let Shape::Moment(oid, at) = shape else { continue };
            match known {
                Shape::Literal => known = Shape::Of(*oid),
                Shape::Of(same) if same == *oid => {}
                Shape::Of(other) if shape::dates(*oid, other) => {
                    self.failing.constants.extend(at.map(|at| (at, Content::Moment)));
                }
                Shape::Of(_)
                | Shape::Unknown
                | Shape::Number
                | Shape::Parameter(_)
                | Shape::Moment(..)
                | Shape::Elements(_) => return None,
            }
        }
        let mut given =
            shapes.iter().filter_map(|shape| if let Shape::Parameter(at) = shape { Some(*at) } else { None });
        let Some(first) = given.next() else { return Some(known) };
        // A parameter has its type from what it is paired with, and not from all: of several types it could be any.
        let oid = |shape: &Shape| match shape {
            Shape::Of(oid) | Shape::Moment(oid, _) => Some(*oid),
            Shape::Unknown | Shape::Literal | Shape::Number | Shape::Parameter(_) | Shape::Elements(_) => None,
        };
        let mut types = shapes.iter().filter_map(oid);
        let one = types.next();
        let leads = shapes.first().is_some_and(|shape| oid(shape).is_some());
        let constants = |wanted: Shape| shapes.contains(&wanted);
        let mixed = types.any(|other| Some(other) != one)
            || (one.is_some() && !leads && (constants(Shape::Literal) || constants(Shape::Number)));
        let oid = match known {
            Shape::Of(oid) => oid,
            Shape::Number => shape::NUMERIC,
            Shape::Elements(_) | Shape::Literal | Shape::Unknown | Shape::Parameter(_) | Shape::Moment(..) => {
                return None;
            }
        };
        if mixed {
            return None;
        }
        for at in given.chain([first]) {
            self.met.insert(at, Met::With(oid));
        }
        Some(known)
    }

    /// Whether a parameter stands in several places that may want it to be of several types: it has its type from one of them, and is cast at the
    /// others.
    fn repeats(&self, tokens: &[Token], catalog: &CatalogSnapshot) -> bool {
        let mut places: BTreeMap<Option<usize>, Vec<Option<Met>>> = BTreeMap::new();
        for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Parameter) {
            // One that is declared has the same type everywhere.
            let Shape::Parameter(_) = self.parameters.shape(token.name(), at, catalog) else { continue };
            let kinds = places.entry(parameters::number(token.name())).or_default();
            let met = self.met.get(&at).copied();
            // What stands in one place only is cast to nothing.
            if !kinds.contains(&met) || kinds.len() == 1 {
                kinds.push(met);
            }
        }
        let differ =
            |one: &Option<Met>, other: &Option<Met>| one.zip(*other).is_none_or(|(one, other)| one.differs(other));
        places
            .values()
            .filter(|all| all.len() > 1)
            .any(|all| all.iter().any(|one| all.iter().any(|other| differ(one, other))))
    }
}

impl Binder<'_> {
    /// Notes what of an expression can fail, its parts left out.
    pub(super) fn judge_failing(&mut self, expression: &Expr, context: &Context) -> Result<(), crate::error::Refusal> {
        let Some(judge) = &self.judge else { return Ok(()) };
        // Patterns are counted wherever they stand.
        let pattern = matches!(
            expression,
            Expr::Like { negated: _, any: _, expr: _, pattern: _, escape_char: _ }
                | Expr::ILike { negated: _, any: _, expr: _, pattern: _, escape_char: _ }
        );
        if judge.is_aside(context.clause) && !pattern {
            return Ok(());
        }
        if judge.excused.as_ref().is_some_and(|excused| excused.contains(&Kept::address(expression))) {
            return Ok(());
        }
        self.spend(4)?;
        if !self.is_quiet(expression, context)? {
            self.fails(context.clause);
        }
        Ok(())
    }

    /// Notes that something in the clause can fail.
    pub(super) fn fails(&mut self, clause: Clause) {
        if let Some(judge) = &mut self.judge {
            judge.fails(clause);
        }
    }

    /// Notes what is read: a sample fails for a share that is none, and with some relations more is run than the statement shows: queries and
    /// policies of the database, or another server.
    pub(super) fn reads(&mut self, relation: &Relation, sampled: bool) {
        let Some(judge) = &mut self.judge else { return };
        let runs_more = match relation.kind {
            RelationKind::View => true,
            RelationKind::Table | RelationKind::PartitionedTable | RelationKind::ForeignTable => {
                self.catalog.reads_more(relation.oid)
            }
            RelationKind::MaterializedView | RelationKind::Sequence | RelationKind::Toast | RelationKind::Composite => {
                false
            }
        };
        if sampled || runs_more {
            judge.shows();
        }
    }

    /// The same of a query of WITH, which is run only where something reads it.
    pub(super) fn reads_named(&mut self, cte: &Cte) {
        if let Some(judge) = self.judge.as_mut().filter(|_| cte.shows) {
            judge.shows();
        }
    }

    /// Notes that rows are locked: the outermost query locks what it returns.
    pub(super) fn locks(&mut self) {
        let Some(judge) = &mut self.judge else { return };
        match judge.standing {
            Standing::Outermost => {}
            Standing::Condition => judge.failing.conditions = true,
            Standing::Named | Standing::Value => {
                judge.locks_named = true;
                judge.found += 1;
            }
        }
    }

    /// Notes that rows are sorted by an item of a list.
    pub(super) fn sorted_by(&mut self, nature: Nature) {
        if nature.fails {
            self.fails(Clause::Order);
        }
    }

    /// Runs something for which the query at hand stands elsewhere.
    pub(super) fn standing<T>(
        &mut self,
        chosen: impl FnOnce(Standing) -> Standing,
        run: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let before = self.judge.as_ref().map(|judge| judge.standing);
        if let Some(judge) = &mut self.judge {
            judge.standing = chosen(judge.standing);
        }
        let done = run(self);
        if let (Some(judge), Some(before)) = (&mut self.judge, before) {
            judge.standing = before;
        }
        done
    }

    /// Runs something for a sub-select in FROM or WITH.
    pub(super) fn named<T>(&mut self, run: impl FnOnce(&mut Self) -> T) -> T {
        let chosen = |around| match around {
            Standing::Condition => Standing::Condition,
            Standing::Outermost | Standing::Value | Standing::Named => Standing::Named,
        };
        self.standing(chosen, run)
    }

    /// Runs something that is a part of a condition.
    pub(super) fn in_condition<T>(&mut self, run: impl FnOnce(&mut Self) -> T) -> T {
        self.standing(|_| Standing::Condition, run)
    }

    /// Runs something for a sub-select in an expression of the clause.
    pub(super) fn in_expression<T>(&mut self, clause: Clause, run: impl FnOnce(&mut Self) -> T) -> T {
        let condition = match clause {
            Clause::Where | Clause::On | Clause::Other | Clause::Conflict => true,
            Clause::Select | Clause::Returning | Clause::Assign | Clause::Group | Clause::Order => false,
        };
        let chosen = |around| match around {
            Standing::Outermost | Standing::Value if !condition => Standing::Value,
            Standing::Named if !condition => Standing::Named,
            Standing::Outermost | Standing::Value | Standing::Named | Standing::Condition => Standing::Condition,
        };
        self.standing(chosen, run)
    }

    /// How much was found outside conditions so far, to be asked again behind an item or a query.
    pub(super) fn found_failing(&self) -> usize {
        self.judge.as_ref().map_or(0, |judge| judge.found)
    }

    /// What is known of an item of a list, of which `before` was found before it.
    pub(super) fn item_nature(
        &mut self,
        expression: &Expr,
        before: usize,
        context: &Context,
    ) -> Result<Nature, crate::error::Refusal> {
        let judged = self.judge.as_ref().filter(|judge| !judge.is_aside(context.clause));
        let Some(judge) = judged else { return Ok(Nature::default()) };
        let fails = judge.found > before;
        Ok(Nature { shape: self.shape_of(expression, context)?, fails })
    }

    /// What is known of a column that a star shows; one that can fail is noted.
    pub(super) fn starred(&mut self, column: &ScopeColumn, clause: Clause) -> Nature {
        if column.nature.fails {
            self.fails(clause);
        }
        column.nature
    }

    /// What is known of a column of a relation.
    pub(super) fn stored_nature(&self, kind: RelationKind, column: &Column) -> Nature {
        if self.judge.is_none() {
            return Nature::default();
        }
        // Since PostgreSQL 18 a generated column may be computed where it is read.
        let computed = column.generated_from.is_some() && self.catalog.data().server_version_num >= 180_000;
        let stored = match kind {
            RelationKind::Table
            | RelationKind::PartitionedTable
            | RelationKind::MaterializedView
            | RelationKind::ForeignTable => true,
            RelationKind::View | RelationKind::Sequence | RelationKind::Toast | RelationKind::Composite => false,
        };
        Nature { shape: Shape::of_column(column), fails: computed || !stored }
    }

    /// What is known of a column in which those of two queries are united, or two of a join merged. What must be cast for it is noted.
    pub(super) fn united(&mut self, one: Nature, other: Nature, clause: Clause) -> Nature {
        let Some(judge) = &mut self.judge else { return Nature::default() };
        // A number is cast when the rows are united. A parameter has its type from what it is stored in.
        if let Some(shape) = one.shape.settled_in_list().meets(other.shape.settled_in_list()) {
            return Nature { shape, fails: one.fails || other.fails };
        }
        judge.fails(clause);
        Nature::default()
    }

    /// Remembers the columns of a sub-select in an expression.
    pub(super) fn keep_natures(&mut self, query: &Query, outputs: &[Output]) {
        if let Some(judge) = &mut self.judge
            && let Some(at) = parse::token_index(query.span())
        {
            judge.queries.insert(at, outputs.iter().map(|output| output.nature).collect());
        }
    }

    /// The shapes of a sub-select's columns; none where they are not known.
    fn columns_of_query(&self, query: &Query) -> Vec<Shape> {
        let kept = parse::token_index(query.span()).and_then(|at| self.judge.as_ref()?.queries.get(&at));
        kept.map(|columns| columns.iter().map(|column| column.shape.settled()).collect()).unwrap_or_default()
    }

    /// LIMIT, OFFSET and FETCH: the server takes a number, or refuses it whatever rows there are. A parameter is looked at once in the outermost
    /// query, and in others for each row around them.
    pub(super) fn counts(&mut self, expression: &Expr) {
        let Some(judge) = &mut self.judge else { return };
        let Expr::Value(value) = unbracketed(expression) else { return judge.fails(Clause::Other) };
        if let Value::Number(..) | Value::Null = value.value {
            return;
        }
        let at = parse::token_index(value.span).filter(|_| matches!(value.value, Value::Placeholder(_)));
        let Some(at) = at.filter(|_| judge.standing != Standing::Condition) else { return judge.fails(Clause::Other) };
        judge.met.insert(at, Met::With(shape::INT8));
        if judge.standing != Standing::Outermost {
            judge.shows();
        }
    }
}
