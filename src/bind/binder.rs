//! The binder's state, its entry points, and the resolution of names.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
    rc::Rc,
};

use foldhash::fast::FixedState;
use sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart, Query, Statement};

use super::{
    bound::{Bound, Clause, ColumnMark, Deps, Output, Reference, RelationUse, Role, Usages, WholeUse},
    budget::KEPT,
    compare::Place,
    failing::Judge,
    marks::mark_deps,
    parameters::Parameters,
    scope::{Cte, Scope, ScopeColumn, ScopeItem, merge},
    typed::Kept,
    typed::is_value_keyword,
};
use crate::{
    catalog::{CatalogSnapshot, Relation, overloads::Typed, search_path::resolve_relation},
    error::{Refusal, RefusalCode},
    sql::{Kind, RESERVED_PREFIX, Token, gaps, parse},
};

/// Names of system columns.
const SYSTEM_COLUMNS: &[&str] = &["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

/// The state of one run over one statement.
pub struct Binder<'a> {
    pub(super) catalog: &'a CatalogSnapshot,
    pub(super) path: &'a [String],
    pub(super) tokens: &'a [Token],
    pub(super) bound: Bound,
    pub(super) ctes: Vec<Cte>,
    /// The first token of the list of RETURNING that is bound, where others stand before it.
    pub(super) list_start: Option<usize>,
    /// What was done so far ([`super::budget`]).
    pub(super) work: usize,
    /// Joins that merged columns.
    pub(super) merges: usize,
    /// Query blocks around, in whose select list, HAVING or ORDER BY the sub-select at hand stands.
    pub(super) grouped: Vec<usize>,
    /// Whether names with the reserved prefix may stand in the text: only in our own.
    pub(super) own_text: bool,
    /// What was found of operators and calls, of which each is asked for again by the one around it.
    pub(super) kept: Kept,
    /// By the first token of a sub-select, the types of its columns.
    pub(super) queries: HashMap<usize, Vec<Typed>, FixedState>,
    /// Numbers of the parameters that stand in several places, once that was asked.
    pub(super) repeated: Option<BTreeSet<Option<u32>>>,
    /// Whether the parser was shown the tokens as they are.
    pub(super) seen: bool,
    /// What can fail on a value, where that is asked.
    pub(super) judge: Option<Box<Judge>>,
}

/// Where an expression stands.
#[derive(Clone)]
pub(super) struct Context {
    pub scope: Rc<Scope>,
    pub clause: Clause,
    pub aggregate: bool,
    pub place: Place,
}

impl Context {
    pub fn new(scope: Rc<Scope>, clause: Clause) -> Self {
        Self { scope, clause, aggregate: false, place: Place::of(clause) }
    }
}

/// Binds a query or a data-modifying statement.
///
/// # Errors
/// Names that do not resolve, and constructs that are not handled.
pub fn bind_statement(
    statement: &Statement,
    tokens: &[Token],
    catalog: &CatalogSnapshot,
    path: &[String],
) -> Result<Bound, Refusal> {
    Binder::new(tokens, catalog, path).whole(statement)
}

/// As [`bind_statement`], and says what in it can fail on a value ([`Bound::failing`]) if its parameters are such.
///
/// # Errors
/// As [`bind_statement`].
pub fn bind_judged(
    statement: &Statement,
    tokens: &[Token],
    catalog: &CatalogSnapshot,
    path: &[String],
    parameters: &Parameters,
) -> Result<Bound, Refusal> {
    let mut binder = Binder::new(tokens, catalog, path);
    binder.judge = Some(Box::new(Judge::new(tokens, binder.seen, catalog, parameters.clone())));
    binder.whole(statement)
}

/// Binds a statement that pgscrim itself has printed: every relation is schema-qualified, and names with the reserved
/// prefix are allowed.
///
/// # Errors
/// As [`bind_statement`].
pub fn bind_own(statement: &Statement, tokens: &[Token], catalog: &CatalogSnapshot) -> Result<Bound, Refusal> {
    let mut binder = Binder::new(tokens, catalog, &[]);
    binder.own_text = true;
    binder.whole(statement)
}

/// Binds a query alone.
///
/// # Errors
/// As [`bind_statement`].
pub fn bind_query(
    query: &Query,
    tokens: &[Token],
    catalog: &CatalogSnapshot,
    path: &[String],
) -> Result<Bound, Refusal> {
    let mut binder = Binder::new(tokens, catalog, path);
    let outputs = binder.query(query, None)?;
    Ok(binder.finish(outputs, true))
}

/// Binds expressions that see no relation (arguments of EXECUTE).
///
/// # Errors
/// As [`bind_statement`].
pub fn bind_expressions(
    expressions: &[Expr],
    tokens: &[Token],
    catalog: &CatalogSnapshot,
    path: &[String],
) -> Result<Bound, Refusal> {
    let mut binder = Binder::new(tokens, catalog, path);
    let context = Context::new(Rc::default(), Clause::Other);
    for expression in expressions {
        binder.expr_used(expression, &context)?;
    }
    Ok(binder.finish(Vec::new(), false))
}

/// A resolved bare or qualified name.
pub(super) enum Resolved {
    Column(ScopeColumn),
    /// A column of an item whose columns are not known, or of no catalog relation.
    Opaque(Deps),
    System(usize, String),
    /// A FROM item as a row; or a column of that name that a function has, with what it depends on.
    Row(ScopeItem, Deps),
}

impl<'a> Binder<'a> {
    pub(super) fn new(tokens: &'a [Token], catalog: &'a CatalogSnapshot, path: &'a [String]) -> Self {
        let mut bound = Bound { accounted: vec![false; tokens.len()], ..Bound::default() };
        let gaps = gaps::find(tokens);
        let seen = gaps.is_empty();
        for label in gaps.labels {
            if let Some(accounted) = bound.accounted.get_mut(label) {
                *accounted = true;
            }
        }
        Self {
            catalog,
            path,
            tokens,
            bound,
            ctes: Vec::new(),
            list_start: None,
            work: 0,
            merges: 0,
            grouped: Vec::new(),
            own_text: false,
            kept: Kept::default(),
            queries: HashMap::default(),
            repeated: None,
            seen,
            judge: None,
        }
    }

    pub(super) fn whole(mut self, statement: &Statement) -> Result<Bound, Refusal> {
        let (outputs, returns_rows) = self.statement(statement, None)?;
        Ok(self.finish(outputs, returns_rows))
    }

    fn finish(mut self, outputs: Vec<Output>, returns_rows: bool) -> Bound {
        for output in &outputs {
            mark_deps(&mut self.bound, &output.deps, Usages::PROJECTED);
        }
        let assigned = std::mem::take(&mut self.bound.assigned);
        for assigned in &assigned {
            let target = self.bound.relations.get(assigned.relation);
            let target = target.and_then(|used| self.catalog.relation(used.oid));
            // What reaches a temporary table can be read there in clear.
            let shown = target.is_some_and(|target| self.catalog.is_temporary(target));
            mark_deps(&mut self.bound, &assigned.deps, if shown { Usages::PROJECTED } else { Usages::STORED });
        }
        self.bound.assigned = assigned;
        self.bound.outputs = outputs;
        self.bound.returns_rows = returns_rows;
        self.bound.failing =
            self.judge.take().map(|judge| judge.finish(self.tokens, self.catalog, self.bound.relations.len()));
        self.bound
    }

    pub(super) fn unsupported(what: &str) -> Refusal {
        Refusal::new(RefusalCode::Unsupported, format!("{what} is not supported for restricted roles"))
            .with_hint("pgscrim sends on only what it has analysed; write the statement in another form.")
    }

    /// Accounts for `ident` and answers with its token number.
    pub(super) fn take(&mut self, ident: &Ident) -> Result<usize, Refusal> {
        let index = parse::ident_index(ident)
            .filter(|index| self.tokens.get(*index).is_some_and(|token| token.is_name() && token.name() == ident.value))
            .ok_or_else(|| Refusal::new(RefusalCode::UnaccountedToken, "a name could not be found in the statement"))?;
        if let Some(accounted) = self.bound.accounted.get_mut(index) {
            *accounted = true;
        }
        Ok(index)
    }

    /// The first of the tokens that `ident` stands for, when it stands for tokens that the parser did not see.
    pub(super) fn gap(&self, ident: &Ident) -> Option<usize> {
        let index = parse::ident_index(ident).filter(|_| ident.value == gaps::GAP)?;
        self.tokens.get(index).filter(|token| token.name() != gaps::GAP).map(|_| index)
    }

    /// Accounts for the name at token `index`, which the parser did not see.
    pub(super) fn take_token(&mut self, index: usize) -> Result<String, Refusal> {
        let name = self.tokens.get(index).filter(|token| token.is_name());
        let name = name.ok_or_else(|| Refusal::new(RefusalCode::UnaccountedToken, "a name is missing"))?;
        if let Some(accounted) = self.bound.accounted.get_mut(index) {
            *accounted = true;
        }
        Ok(name.name().to_owned())
    }

    /// Parses the tokens of expressions that the parser did not see.
    pub(super) fn expressions(&mut self, tokens: Range<usize>) -> Result<Rc<[Expr]>, Refusal> {
        self.spend(tokens.len())?;
        let parsed = parse::parse_expressions(self.tokens.get(tokens.clone()).unwrap_or(&[]), tokens.start)?;
        let parsed: Rc<[Expr]> = parsed.into();
        self.kept.parsed.push(Rc::clone(&parsed));
        Ok(parsed)
    }

    /// As [`Self::take`], for a name that the client makes up: it may not have the reserved prefix.
    pub(super) fn take_new(&mut self, ident: &Ident) -> Result<usize, Refusal> {
        let index = self.take(ident)?;
        self.not_reserved(&ident.value, index)?;
        Ok(index)
    }

    pub(super) fn not_reserved(&self, name: &str, index: usize) -> Result<(), Refusal> {
        if !self.own_text && name.starts_with(RESERVED_PREFIX) {
            return Err(self.at(
                Refusal::new(
                    RefusalCode::ReservedName,
                    format!("names that start with \"{RESERVED_PREFIX}\" are reserved"),
                )
                .with_hint("Choose another name."),
                index,
            ));
        }
        Ok(())
    }

    /// `refusal` with the place of token `index`.
    pub(super) fn at(&self, refusal: Refusal, index: usize) -> Refusal {
        match self.tokens.get(index) {
            Some(token) => refusal.at(token.start),
            None => refusal,
        }
    }

    /// The parts of a dotted name with their tokens.
    pub(super) fn parts(&mut self, name: &ObjectName) -> Result<(Vec<String>, Range<usize>), Refusal> {
        let mut parts = Vec::with_capacity(name.0.len());
        let mut range: Option<Range<usize>> = None;
        for part in &name.0 {
            match part {
                ObjectNamePart::Identifier(ident) => {
                    let index = self.take(ident)?;
                    range = Some(range.map_or(index, |range| range.start)..index + 1);
                    parts.push(ident.value.clone());
                }
                ObjectNamePart::Function(_) => return Err(Self::unsupported("a computed name")),
            }
        }
        range.map(|range| (parts, range)).ok_or_else(|| Self::unsupported("an empty name"))
    }

    /// The catalog relation that a dotted name means.
    pub(super) fn relation(&mut self, parts: &[String], tokens: &Range<usize>) -> Result<&'a Relation, Refusal> {
        let unknown = |name: String| {
            Refusal::new(RefusalCode::UnknownRelation, format!("relation \"{name}\" does not exist"))
                .with_hint("The name is in no schema of the session's search_path, or the object is temporary.")
        };
        let found = match parts {
            [name] => resolve_relation(self.catalog, self.path, name).ok_or_else(|| unknown(name.clone())),
            [schema, name] => {
                self.catalog.relation_named(schema, name).ok_or_else(|| unknown(format!("{schema}.{name}")))
            }
            [database, schema, name] if *database == self.catalog.data().database => {
                self.catalog.relation_named(schema, name).ok_or_else(|| unknown(format!("{schema}.{name}")))
            }
            _ => Err(Refusal::new(RefusalCode::Unsupported, "cross-database references are not implemented")),
        };
        let found = found.map_err(|refusal| self.at(refusal, tokens.start))?;
        self.spend(found.columns.len() * KEPT)?;
        Ok(found)
    }

    /// Registers a use and makes the item that expressions see.
    pub(super) fn use_relation(
        &mut self,
        relation: &Relation,
        role: Role,
        name: Range<usize>,
        whole: Range<usize>,
        alias: Option<&str>,
        block: Option<usize>,
    ) -> (usize, ScopeItem) {
        let id = self.bound.relations.len();
        let visible: Rc<str> = alias.unwrap_or(&relation.name).into();
        let columns: Rc<[ScopeColumn]> = relation
            .columns
            .iter()
            .enumerate()
            .map(|(position, column)| ScopeColumn {
                name: column.name.as_str().into(),
                deps: Deps::from_slice(&[(id, position)]),
                origin: Some((id, position)),
                qualifier: Some(visible.clone()),
                merged: None,
                doubtful: false,
                typed: Typed::Any,
                nature: self.stored_nature(relation.kind, column),
            })
            .collect();
        self.bound.relations.push(RelationUse {
            oid: relation.oid,
            role,
            only: whole.start < name.start,
            name,
            whole,
            alias: visible.to_string(),
            has_alias: alias.is_some(),
            sample: None,
            marks: vec![ColumnMark::default(); relation.columns.len()],
            system: Vec::new(),
            whole_row: None,
            starred: false,
            block,
            entangled: false,
        });
        let item = ScopeItem {
            name: Some(visible),
            schema: alias.is_none().then(|| relation.schema.as_str().into()),
            relation: Some(id),
            columns,
            columns_visible: true,
            name_visible: true,
            version: false,
            open: false,
            deps: Deps::new(),
        };
        (id, item)
    }

    /// Whether a reference to relation `id` must be covered by its block's GROUP BY.
    fn is_ungrouped(&self, id: usize, context: &Context) -> bool {
        let block = self.bound.relations.get(id).and_then(|relation| relation.block);
        let covered = matches!(context.clause, Clause::Where | Clause::On | Clause::Group) || context.aggregate;
        !(covered && block == context.scope.block)
    }

    fn refer(&mut self, mut reference: Reference, context: &Context) {
        // The target of ON CONFLICT names columns and reads nothing.
        if let Some(position) = reference.column.filter(|_| context.clause != Clause::Conflict) {
            let ungrouped = self.is_ungrouped(reference.relation, context);
            self.mark_used(reference.relation, position, ungrouped);
            reference.ungrouped = ungrouped;
        }
        let block = self.bound.relations.get(reference.relation).and_then(|relation| relation.block);
        (reference.clause, reference.outer) = (context.clause, block != context.scope.block);
        reference.grouped = block.is_some_and(|block| self.grouped.contains(&block));
        self.bound.references.push(reference);
    }

    /// A bare name in an expression.
    pub(super) fn identifier(
        &mut self,
        ident: &Ident,
        context: &Context,
    ) -> Result<(Deps, Option<(usize, usize)>), Refusal> {
        let index = self.take(ident)?;
        self.look(context)?;
        self.not_reserved(&ident.value, index)?;
        let quoted = self.tokens.get(index).is_some_and(|token| token.kind == Kind::Quoted);
        match self.bare(&ident.value, context, index)? {
            Some(resolved) => Ok(self.resolved(resolved, index..index + 1, false, context)),
            // Keywords that stand for values: current_user and the like.
            None if !quoted && is_value_keyword(&ident.value) => Ok((Deps::new(), None)),
            None => Err(self.at(
                Refusal::new(RefusalCode::UnknownColumn, format!("column \"{}\" does not exist", ident.value)),
                index,
            )),
        }
    }

    pub(super) fn resolved(
        &mut self,
        resolved: Resolved,
        tokens: Range<usize>,
        schema_qualified: bool,
        context: &Context,
    ) -> (Deps, Option<(usize, usize)>) {
        let reference = |relation: usize, column: Option<usize>, row: bool| Reference {
            relation,
            column,
            tokens: tokens.clone(),
            row,
            schema_qualified,
            clause: context.clause,
            ungrouped: false,
            outer: false,
            grouped: false,
            naming: false,
            compared: None,
        };
        match resolved {
            Resolved::Column(column) => {
                if let Some((id, position)) = column.origin {
                    if column.doubtful || column.deps.as_slice() != [(id, position)] {
                        self.entangle(id);
                    }
                    self.refer(reference(id, Some(position), false), context);
                } else {
                    // A column of a sub-select or a merged column: its sources stand under it.
                    for (id, position) in &column.deps {
                        let ungrouped = self.is_ungrouped(*id, context);
                        self.mark_used(*id, *position, ungrouped);
                    }
                }
                (column.deps, column.origin)
            }
            Resolved::Opaque(deps) => (deps, None),
            Resolved::System(id, name) => {
                if let Some(relation) = self.bound.relations.get_mut(id)
                    && !relation.system.contains(&name)
                {
                    relation.system.push(name);
                }
                self.refer(reference(id, None, false), context);
                (Deps::new(), None)
            }
            Resolved::Row(item, open) => {
                self.mark_row(&item, WholeUse::Expression(tokens.start));
                if let Some(id) = item.relation {
                    self.refer(reference(id, None, true), context);
                }
                let mut deps = item.all_deps();
                merge(&mut deps, &open);
                (deps, None)
            }
        }
    }

    /// What a bare name means: a column, a system column, or a FROM item as a row; innermost level first.
    pub(super) fn bare(&self, name: &str, context: &Context, index: usize) -> Result<Option<Resolved>, Refusal> {
        let mut level = Some(&context.scope);
        let mut open: Option<Deps> = None;
        while let Some(scope) = level {
            let mut found: Option<Resolved> = None;
            let ambiguous = || {
                self.at(
                    Refusal::new(RefusalCode::AmbiguousColumn, format!("column reference \"{name}\" is ambiguous")),
                    index,
                )
            };
            for item in scope.items.iter().filter(|item| item.columns_visible) {
                let mut columns = item.columns.iter().filter(|column| *column.name == *name);
                if let Some(column) = columns.next() {
                    if found.is_some() || columns.next().is_some() {
                        return Err(ambiguous());
                    }
                    found = Some(Resolved::Column(column.clone()));
                } else if item.open {
                    let deps = open.get_or_insert_default();
                    merge(deps, &item.all_deps());
                }
            }
            if found.is_none() && SYSTEM_COLUMNS.contains(&name) {
                let mut tables =
                    scope.items.iter().filter_map(|item| item.relation.filter(|_| item.name_visible && !item.version));
                if let Some(id) = tables.next() {
                    if tables.next().is_some() {
                        return Err(ambiguous());
                    }
                    found = Some(Resolved::System(id, name.to_owned()));
                }
            }
            if let Some(Resolved::Column(column)) = &mut found
                && let Some(deps) = &open
            {
                // An inner function may have a column of that name: whichever it is, both are accounted for.
                merge(&mut column.deps, deps);
                column.doubtful = true;
            }
            if found.is_some() {
                return Ok(found);
            }
            level = scope.parent.as_ref();
        }
        Ok(match (Self::item(name, None, context), open) {
            // A function's row may have a column of that name: whichever it is, both are accounted for.
            (Some(item), open) => Some(Resolved::Row(item, open.unwrap_or_default())),
            (None, open) => open.map(Resolved::Opaque),
        })
    }

    /// The FROM item that a name means, innermost level first.
    pub(super) fn item(name: &str, schema: Option<&str>, context: &Context) -> Option<ScopeItem> {
        let mut level = Some(&context.scope);
        while let Some(scope) = level {
            let found = scope.items.iter().find(|item| {
                item.name_visible
                    && item.name.as_deref() == Some(name)
                    && schema.is_none_or(|schema| item.schema.as_deref() == Some(schema))
            });
            if let Some(item) = found {
                return Some(item.clone());
            }
            level = scope.parent.as_ref();
        }
        None
    }

    /// A dotted name in an expression.
    pub(super) fn compound(
        &mut self,
        idents: &[Ident],
        context: &Context,
    ) -> Result<(Deps, Option<(usize, usize)>), Refusal> {
        self.look(context)?;
        let mut first = None;
        let mut last = 0;
        for ident in idents {
            last = self.take(ident)?;
            self.not_reserved(&ident.value, last)?;
            first.get_or_insert(last);
        }
        let tokens = first.unwrap_or(last)..last + 1;
        let names: Vec<&str> = idents.iter().map(|ident| ident.value.as_str()).collect();
        let (schema, table, column) = match names.as_slice() {
            [table, column] => (None, *table, *column),
            [schema, table, column] => (Some(*schema), *table, *column),
            [database, schema, table, column] if *database == self.catalog.data().database => {
                (Some(*schema), *table, *column)
            }
            _ => return Err(self.at(Self::unsupported("a name of this form"), tokens.start)),
        };
        let Some(item) = Self::item(table, schema, context) else {
            let refusal =
                Refusal::new(RefusalCode::UnknownRelation, format!("missing FROM-clause entry for table \"{table}\""));
            return Err(self.at(refusal, tokens.start));
        };
        let resolved = if let Some(found) = item.column(column) {
            Resolved::Column(found.clone())
        } else if let (true, Some(id)) = (SYSTEM_COLUMNS.contains(&column), item.relation) {
            Resolved::System(id, column.to_owned())
        } else if item.open {
            let deps = item.all_deps();
            self.attribute(column, tokens.end - 1, &deps, false)?;
            Resolved::Opaque(deps)
        } else {
            let refusal = Refusal::new(RefusalCode::UnknownColumn, format!("column {table}.{column} does not exist"));
            return Err(self.at(refusal, tokens.start));
        };
        Ok(self.resolved(resolved, tokens, schema.is_some(), context))
    }

    /// The number of the token before `index`.
    pub(super) fn before(&self, index: usize) -> Option<&'a Token> {
        index.checked_sub(1).and_then(|index| self.tokens.get(index))
    }
}
