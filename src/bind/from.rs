//! FROM: relations, sub-selects, functions, joins.

use std::{collections::HashSet, ops::Range, rc::Rc};

use sqlparser::ast::{
    Ident, Join, JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor, TableFunctionArgs,
    TableInheritance, TableSampleKind, TableWithJoins,
};

use super::{
    binder::{Binder, Context},
    bound::{Clause, Deps, Output, Role, Usages, WholeUse},
    budget::KEPT,
    query::{columns_of, rename},
    scope::{Scope, ScopeColumn, ScopeItem, merge},
};
use crate::{
    error::{Refusal, RefusalCode},
    sql::Kind,
};

/// A side of a join.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// The most joins with NATURAL or USING in one statement.
const MAX_MERGES: usize = 300;

/// The most items of one FROM: each is looked at again for every one behind it.
const MAX_ITEMS: usize = 1000;

impl Binder<'_> {
    /// Binds one comma item of FROM and adds its items to `scope`.
    pub(super) fn table_with_joins(&mut self, table: &TableWithJoins, scope: &mut Scope) -> Result<(), Refusal> {
        few(scope.items.len())?;
        let mut left = self.factor(&table.relation, scope, &[])?;
        for join in &table.joins {
            left = self.join(left, join, scope)?;
        }
        scope.items.extend(left);
        Ok(())
    }

    fn join(&mut self, left: Vec<ScopeItem>, join: &Join, scope: &Scope) -> Result<Vec<ScopeItem>, Refusal> {
        let Join { relation, global, join_operator } = join;
        if *global {
            return Err(Self::unsupported("GLOBAL JOIN"));
        }
        few(left.len())?;
        // Of which side merged columns have the value.
        let (constraint, side) = match join_operator {
            JoinOperator::Join(c)
            | JoinOperator::Inner(c)
            | JoinOperator::Left(c)
            | JoinOperator::LeftOuter(c)
            | JoinOperator::CrossJoin(c) => (c, Some(Side::Left)),
            JoinOperator::Right(c) | JoinOperator::RightOuter(c) => (c, Some(Side::Right)),
            JoinOperator::FullOuter(c) => (c, None),
            JoinOperator::Semi(_)
            | JoinOperator::LeftSemi(_)
            | JoinOperator::RightSemi(_)
            | JoinOperator::Anti(_)
            | JoinOperator::LeftAnti(_)
            | JoinOperator::RightAnti(_)
            | JoinOperator::CrossApply
            | JoinOperator::OuterApply
            | JoinOperator::AsOf { .. }
            | JoinOperator::StraightJoin(_)
            | JoinOperator::ArrayJoin
            | JoinOperator::LeftArrayJoin
            | JoinOperator::InnerArrayJoin => return Err(Self::unsupported("this kind of join")),
        };
        let right = self.factor(relation, scope, &left)?;
        match constraint {
            JoinConstraint::None => {
                let mut items = left;
                items.extend(right);
                Ok(items)
            }
            JoinConstraint::On(condition) => {
                let mut items = left;
                items.extend(right);
                let inner = Rc::new(Scope { items, parent: scope.parent.clone(), block: scope.block });
                self.expr_used(condition, &Context::new(Rc::clone(&inner), Clause::On))?;
                Ok(Rc::try_unwrap(inner).map_or_else(|inner| inner.items.clone(), |inner| inner.items))
            }
            JoinConstraint::Using(names) => self.using(left, right, names, None, side),
            JoinConstraint::UsingAlias(names, alias) => self.using(left, right, names, Some(alias), side),
            JoinConstraint::Natural => {
                for item in left.iter().chain(&right) {
                    self.mark_row(item, WholeUse::Natural);
                    if item.open {
                        return Err(Self::unsupported("NATURAL JOIN with a function"));
                    }
                }
                let names: HashSet<&str> = visible(&right).map(|column| &*column.name).collect();
                let shared: Vec<String> = visible(&left)
                    .filter(|column| names.contains(&*column.name))
                    .map(|column| column.name.to_string())
                    .collect();
                self.merged(left, right, ("natural", &shared), None, side)
            }
        }
    }

    fn using(
        &mut self,
        left: Vec<ScopeItem>,
        right: Vec<ScopeItem>,
        names: &[ObjectName],
        alias: Option<&Ident>,
        side: Option<Side>,
    ) -> Result<Vec<ScopeItem>, Refusal> {
        let mut shared = Vec::new();
        for name in names {
            let (parts, tokens) = self.parts(name)?;
            match parts.as_slice() {
                [column] => shared.push(column.clone()),
                _ => return Err(self.at(Self::unsupported("a dotted name in USING"), tokens.start)),
            }
        }
        if let Some(alias) = alias {
            self.take_new(alias)?;
        }
        self.merged(left, right, ("using", &shared), alias.map(|alias| alias.value.clone()), side)
    }

    /// The result of a join that merges the columns `shared`: they come first, once.
    fn merged(
        &mut self,
        mut left: Vec<ScopeItem>,
        mut right: Vec<ScopeItem>,
        (word, shared): (&str, &[String]),
        alias: Option<String>,
        side: Option<Side>,
    ) -> Result<Vec<ScopeItem>, Refusal> {
        // A merged column comes from all tables that it was merged of, so the cost grows with the square of their number.
        self.merges += 1;
        if self.merges > MAX_MERGES {
            let refusal = Refusal::new(RefusalCode::TooDeep, "too many joins with NATURAL or USING");
            return Err(refusal.with_hint(format!("The limit is {MAX_MERGES} in one statement; use ON.")));
        }
        let width = visible(&left).count() + visible(&right).count();
        // Each shared name is looked for on both sides, and what is left is compared with all of them.
        self.spend(width * (KEPT + shared.len()))?;
        let mut columns = Vec::new();
        let mut compared = Vec::new();
        for name in shared {
            let unknown = || {
                Refusal::new(
                    RefusalCode::UnknownColumn,
                    format!("column \"{name}\" specified in USING clause does not exist in both tables"),
                )
            };
            let find = |items| visible(items).find(|column| *column.name == **name).ok_or_else(unknown);
            let (one, other) = (find(&left)?, find(&right)?);
            let (one_type, other_type) = (self.shown_type(one), self.shown_type(other));
            compared.push((Some(one_type), other_type));
            let (one_nature, other_nature) = (one.nature, other.nature);
            let mut deps = one.deps.clone();
            merge(&mut deps, &other.deps);
            let of_side = side.map(|side| if side == Side::Left { one } else { other });
            let merged = of_side.and_then(|column| column.origin.or(column.merged));
            // Where the types differ the merged column may have another one than the column of its side.
            let qualifier = of_side.and_then(|column| column.qualifier.clone()).filter(|_| self.same_type(one, other));
            self.mark(&deps, Usages::JOIN);
            let nature = self.united(one_nature, other_nature, Clause::On);
            if nature.fails {
                self.fails(Clause::On);
            }
            for (id, position) in &deps {
                self.mark_used(*id, *position, true);
                self.mark_merged(*id, *position);
            }
            columns.push(ScopeColumn {
                name: name.as_str().into(),
                deps,
                origin: None,
                qualifier,
                merged,
                doubtful: false,
                typed: self.common(one_type, other_type),
                nature,
            });
        }
        self.word_use(word, compared);
        let alias_item = alias.map(|name| ScopeItem {
            name: Some(name.into()),
            schema: None,
            relation: None,
            columns: columns.clone().into(),
            columns_visible: false,
            name_visible: true,
            version: false,
            open: false,
            deps: Deps::new(),
        });
        let mut deps = Deps::new();
        for item in left.iter().chain(&right).filter(|item| item.columns_visible && item.open) {
            merge(&mut deps, &item.deps);
        }
        let open = left.iter().chain(&right).any(|item| item.columns_visible && item.open);
        columns.extend(
            visible(&left)
                .chain(visible(&right))
                .filter(|column| !shared.iter().any(|name| **name == *column.name))
                .cloned(),
        );
        // The unnamed results of joins to the left cannot be seen any more.
        left.retain(|item| item.name_visible);
        right.retain(|item| item.name_visible);
        for item in left.iter_mut().chain(&mut right) {
            item.columns_visible = false;
        }
        let join = ScopeItem {
            name: None,
            schema: None,
            relation: None,
            columns: columns.into(),
            columns_visible: true,
            name_visible: false,
            version: false,
            open,
            deps,
        };
        left.extend(right.into_iter().chain(alias_item).chain([join]));
        Ok(left)
    }

    /// Whether two columns are base columns, or merged of such, of one type.
    fn same_type(&self, one: &ScopeColumn, other: &ScopeColumn) -> bool {
        let data = |column: &ScopeColumn| {
            let (id, position) = column.origin.or(column.merged.filter(|_| column.qualifier.is_some()))?;
            let data = self.catalog.relation(self.bound.relations.get(id)?.oid)?.columns.get(position)?;
            Some((data.type_oid, data.typmod, &data.collation))
        };
        data(one).is_some_and(|one| data(other) == Some(one))
    }

    /// One FROM item; `left` are the items to its left in the same join.
    fn factor(&mut self, factor: &TableFactor, scope: &Scope, left: &[ScopeItem]) -> Result<Vec<ScopeItem>, Refusal> {
        self.spend(scope.items.len() + left.len())?;
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_directives,
                inheritance,
            } => {
                let foreign = !with_hints.is_empty()
                    || version.is_some()
                    || !partitions.is_empty()
                    || json_path.is_some()
                    || !index_directives.is_empty();
                if foreign {
                    return Err(Self::unsupported("this form of a table reference"));
                }
                if args.is_some() || sample.is_some() {
                    // What functions compute, and what a sample is taken by.
                    self.fails(Clause::Other);
                }
                if let Some(TableFunctionArgs { args, settings: None }) = args {
                    return self.function_item(name, args, alias.as_ref(), *with_ordinality, &lateral(scope, left));
                }
                if args.is_some() || *with_ordinality {
                    return Err(Self::unsupported("this form of a table reference"));
                }
                let value = if sample.is_none() && inheritance.is_none() {
                    self.value_item(name, alias.as_ref())?
                } else {
                    None
                };
                if let Some(item) = value {
                    return Ok(vec![item]);
                }
                let item = self.table(name, alias.as_ref(), inheritance.as_ref(), sample.as_ref(), scope.block)?;
                Ok(vec![item])
            }
            TableFactor::Derived { lateral: is_lateral, subquery, alias, sample } => {
                if sample.is_some() {
                    return Err(Self::unsupported("TABLESAMPLE of a sub-select"));
                }
                let parent = if *is_lateral { Some(Rc::new(lateral(scope, left))) } else { scope.parent.clone() };
                let outputs = self.named(|binder| binder.query(subquery, parent))?;
                Ok(vec![self.derived(outputs, alias.as_ref())?])
            }
            TableFactor::Function { lateral: _, name, args, with_ordinality, alias } => {
                self.fails(Clause::Other);
                self.function_item(name, args, alias.as_ref(), *with_ordinality, &lateral(scope, left))
            }
            TableFactor::UNNEST { alias, array_exprs, with_offset, with_offset_alias, with_ordinality } => {
                if *with_offset || with_offset_alias.is_some() {
                    return Err(Self::unsupported("WITH OFFSET"));
                }
                self.fails(Clause::Other);
                let context = Context::new(Rc::new(lateral(scope, left)), Clause::Other);
                let mut outputs = Vec::new();
                for array in array_exprs {
                    let deps = self.expr(array, &context)?;
                    self.mark(&deps, Usages::ARGUMENT);
                    let typed = self.element_type(array, &context)?;
                    outputs.push(Output { typed, ..Output::unknown(Some("unnest"), deps) });
                }
                let composite = array_exprs.len() == 1;
                self.function_result(outputs, alias.as_ref(), *with_ordinality, composite, None).map(|item| vec![item])
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let mut inner = Scope { items: Vec::new(), parent: scope.parent.clone(), block: scope.block };
                // LATERAL inside the parentheses still sees what stands to the left of them.
                inner.items.extend(scope.items.iter().chain(left).cloned());
                let hidden = inner.items.len();
                self.table_with_joins(table_with_joins, &mut inner)?;
                let mut items = inner.items.split_off(hidden);
                let Some(alias) = alias else { return Ok(items) };
                let columns: Vec<ScopeColumn> = items
                    .iter()
                    .filter(|item| item.columns_visible)
                    .flat_map(|item| item.columns.iter().cloned())
                    .collect();
                let outputs = columns
                    .into_iter()
                    .map(|column| Output {
                        typed: self.shown_type(&column),
                        name: Some(column.name.to_string()),
                        deps: column.deps,
                        plain: None,
                        nature: column.nature,
                    })
                    .collect::<Vec<_>>();
                for item in &items {
                    // What the alias leads to is no reference to a column of the relations.
                    for (id, _) in item.all_deps() {
                        self.entangle(id);
                    }
                    if !alias.columns.is_empty() {
                        self.mark_row(item, WholeUse::AliasColumns);
                    }
                    if item.open {
                        return Err(Self::unsupported("an aliased join with a function"));
                    }
                }
                items.clear();
                items.push(self.derived(outputs, Some(alias))?);
                Ok(items)
            }
            TableFactor::TableFunction { .. }
            | TableFactor::JsonTable { .. }
            | TableFactor::OpenJsonTable { .. }
            | TableFactor::Pivot { .. }
            | TableFactor::Unpivot { .. }
            | TableFactor::UnpivotExpr { .. }
            | TableFactor::MatchRecognize { .. }
            | TableFactor::SemanticView { .. } => Err(Self::unsupported("this form of a table reference")),
            TableFactor::XmlTable { namespaces: _, row_expression: _, passing: _, columns: _, alias: _ } => {
                self.fails(Clause::Other);
                self.xml_table(factor, &lateral(scope, left))
            }
        }
    }

    /// A named relation or common table expression.
    fn table(
        &mut self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
        inheritance: Option<&TableInheritance>,
        sample: Option<&TableSampleKind>,
        block: Option<usize>,
    ) -> Result<ScopeItem, Refusal> {
        let (parts, tokens) = self.parts(name)?;
        self.spend(self.ctes.len())?;
        let cte = match parts.as_slice() {
            [single] => self.ctes.iter().rev().find(|cte| cte.name == *single).cloned(),
            _ => None,
        };
        if let Some(cte) = cte {
            if cte.later {
                return Err(self.at(Self::unsupported("a reference to a later query of WITH RECURSIVE"), tokens.start));
            }
            if sample.is_some() || inheritance.is_some() {
                return Err(self.at(Self::unsupported("this use of a common table expression"), tokens.start));
            }
            self.reads_named(&cte);
            let (visible, names) = self.alias(alias)?;
            let visible = visible.unwrap_or_else(|| cte.name.clone());
            let columns = rename(&cte.columns, &names, &visible);
            return Ok(ScopeItem {
                name: Some(visible.into()),
                schema: None,
                relation: None,
                columns,
                columns_visible: true,
                name_visible: true,
                version: false,
                open: cte.open,
                deps: Deps::new(),
            });
        }
        let relation = self.relation(&parts, &tokens)?;
        self.reads(relation, sample.is_some());
        let whole = self.whole_name(&tokens, inheritance)?;
        let (visible, names) = self.alias(alias)?;
        let (id, mut item) =
            self.use_relation(relation, Role::Source, tokens.clone(), whole.clone(), visible.as_deref(), block);
        if !names.is_empty() {
            self.mark_row(&item, WholeUse::AliasColumns);
            let label = visible.clone().unwrap_or_else(|| relation.name.clone());
            item.columns = item
                .columns
                .iter()
                .enumerate()
                .map(|(position, column)| ScopeColumn {
                    name: names.get(position).map_or_else(|| column.name.clone(), |name| name.as_str().into()),
                    qualifier: Some(label.as_str().into()),
                    ..column.clone()
                })
                .collect();
        }
        match sample {
            None => {}
            Some(TableSampleKind::AfterTableAlias(_)) => {
                let range = self.sample(whole.end)?;
                if let Some(relation) = self.bound.relations.get_mut(id) {
                    relation.sample = Some(range);
                }
            }
            Some(TableSampleKind::BeforeTableAlias(_)) => {
                // PostgreSQL's grammar has the alias first; without an alias both read alike.
                if alias.is_some() {
                    return Err(self.at(Self::unsupported("TABLESAMPLE before the alias"), tokens.start));
                }
                let range = self.sample(whole.end)?;
                if let Some(relation) = self.bound.relations.get_mut(id) {
                    relation.sample = Some(range);
                }
            }
        }
        Ok(item)
    }

    /// The name with `ONLY`, its parentheses, and a trailing `*`.
    pub(super) fn whole_name(
        &self,
        name: &Range<usize>,
        inheritance: Option<&TableInheritance>,
    ) -> Result<Range<usize>, Refusal> {
        let mut whole = name.clone();
        let unexpected = || self.at(Self::unsupported("this form of ONLY"), name.start);
        match inheritance {
            None => {}
            Some(TableInheritance::Only { parenthesized }) => {
                if *parenthesized {
                    whole.start = whole.start.checked_sub(1).ok_or_else(unexpected)?;
                    whole.end += 1;
                }
                whole.start = whole.start.checked_sub(1).ok_or_else(unexpected)?;
                if !self.tokens.get(whole.start).is_some_and(|token| token.is_word("only")) {
                    return Err(unexpected());
                }
            }
            Some(TableInheritance::IncludeDescendants) => {
                whole.end += 1;
                if !self.tokens.get(name.end).is_some_and(|token| token.is_operator("*")) {
                    return Err(unexpected());
                }
            }
        }
        Ok(whole)
    }

    /// The tokens of a TABLESAMPLE clause that starts at or soon after `from`: its arguments may be constants only.
    fn sample(&mut self, from: usize) -> Result<Range<usize>, Refusal> {
        let bad = || Self::unsupported("this form of TABLESAMPLE");
        let start = (from..from + 4)
            .find(|index| self.tokens.get(*index).is_some_and(|token| token.is_word("tablesample")))
            .ok_or_else(bad)?;
        let method = self.tokens.get(start + 1).ok_or_else(bad)?;
        if !(method.is_word("bernoulli") || method.is_word("system")) {
            return Err(bad());
        }
        if let Some(accounted) = self.bound.accounted.get_mut(start + 1) {
            *accounted = true;
        }
        let mut end = self.constants(start + 2).ok_or_else(bad)?;
        if self.tokens.get(end).is_some_and(|token| token.is_word("repeatable")) {
            end = self.constants(end + 1).ok_or_else(bad)?;
        }
        Ok(start..end)
    }

    /// `( constant )`, which may be cast to a number: the token after it.
    fn constants(&mut self, open: usize) -> Option<usize> {
        let kind = |index: usize| self.tokens.get(index).map(|token| token.kind);
        let constant = matches!(kind(open + 1)?, Kind::Number | Kind::Parameter);
        if kind(open)? != Kind::Open || !constant {
            return None;
        }
        let cast = kind(open + 2)? == Kind::Typecast;
        // Words of the grammar, which no type of the database can be called by.
        let is_number = |at: usize| {
            let token = self.tokens.get(at);
            token.is_some_and(|token| {
                ["real", "float", "integer", "int", "numeric"].iter().any(|word| token.is_word(word))
            })
        };
        let close = if !cast {
            open + 2
        } else if is_number(open + 3) {
            open + 4
        } else if self.tokens.get(open + 3)?.is_word("double") && self.tokens.get(open + 4)?.is_word("precision") {
            open + 5
        } else {
            return None;
        };
        (kind(close)? == Kind::Close).then_some(close + 1)
    }

    /// Accounts for an alias: its name and its column names.
    pub(super) fn alias(&mut self, alias: Option<&TableAlias>) -> Result<(Option<String>, Vec<String>), Refusal> {
        let Some(TableAlias { explicit: _, name, columns, at }) = alias else { return Ok((None, Vec::new())) };
        if at.is_some() {
            return Err(Self::unsupported("this form of an alias"));
        }
        // `AS (a int, b text)` names the columns alone.
        let unnamed = self.gap(name).is_some();
        if !unnamed {
            self.take_new(name)?;
        }
        let mut names = Vec::new();
        for column in columns {
            self.take_new(&column.name)?;
            if let Some(data_type) = &column.data_type {
                self.data_type(data_type)?;
            }
            names.push(column.name.value.clone());
        }
        Ok(((!unnamed).then(|| name.value.clone()), names))
    }

    /// A sub-select or aliased join as a FROM item.
    fn derived(&mut self, outputs: Vec<Output>, alias: Option<&TableAlias>) -> Result<ScopeItem, Refusal> {
        self.spend(outputs.len() * KEPT)?;
        let (visible, names) = self.alias(alias)?;
        let open = outputs.iter().any(|output| output.name.is_none());
        let mut deps = Deps::new();
        for output in &outputs {
            merge(&mut deps, &output.deps);
        }
        let columns = columns_of(outputs, &names, visible.as_deref().unwrap_or(""));
        let columns = if visible.is_none() {
            columns.iter().map(|column| ScopeColumn { qualifier: None, ..column.clone() }).collect()
        } else {
            columns
        };
        Ok(ScopeItem {
            name_visible: visible.is_some(),
            version: false,
            name: visible.map(Into::into),
            schema: None,
            relation: None,
            columns,
            columns_visible: true,
            open,
            deps,
        })
    }

    /// The tokens of a name, for targets of data modification.
    pub(super) fn target_alias(&mut self, alias: Option<&TableAlias>) -> Result<Option<String>, Refusal> {
        let (visible, names) = self.alias(alias)?;
        if names.is_empty() { Ok(visible) } else { Err(Self::unsupported("a column list on a target")) }
    }
}

fn few(items: usize) -> Result<(), Refusal> {
    if items <= MAX_ITEMS {
        return Ok(());
    }
    let refusal = Refusal::new(RefusalCode::TooDeep, "too many tables in one FROM");
    Err(refusal.with_hint(format!("The limit is {MAX_ITEMS} tables.")))
}

fn visible(items: &[ScopeItem]) -> impl Iterator<Item = &ScopeColumn> {
    items.iter().filter(|item| item.columns_visible).flat_map(|item| item.columns.iter())
}

/// What a LATERAL item sees.
fn lateral(scope: &Scope, left: &[ScopeItem]) -> Scope {
    Scope { items: scope.items.iter().chain(left).cloned().collect(), parent: scope.parent.clone(), block: scope.block }
}
