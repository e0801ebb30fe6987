//! WITH. In: the queries of one WITH clause. Out: the common table expressions that the statement sees.
//!
//! In WITH RECURSIVE a query may refer to itself and to later ones; they are bound in an order in which each comes after
//! those that it names, as PostgreSQL sorts them (`TopologicalSort` in `parse_cte.c`). SEARCH and CYCLE add columns that
//! are made of those that they name.

use std::{ops::Range, rc::Rc};

use sqlparser::ast::{Cte as CteAst, Query, SetExpr, With};

use super::{
    binder::Binder,
    bound::{Deps, Output, Usages},
    query::columns_of,
    scope::{Cte, Scope, ScopeColumn, merge},
};
use crate::{
    error::{Refusal, RefusalCode},
    sql::{gaps, parse},
};

impl Binder<'_> {
    pub(super) fn with(&mut self, with: &With, parent: Option<&Rc<Scope>>) -> Result<(), Refusal> {
        let With { with_token: _, recursive, cte_tables } = with;
        let first = self.ctes.len();
        if !*recursive {
            for cte in cte_tables {
                let bound = self.common_table(cte, parent, None)?;
                self.ctes.push(bound);
            }
            return Ok(());
        }
        for cte in cte_tables {
            let name = cte.alias.name.value.clone();
            self.ctes.push(Cte { name, columns: Rc::from([]), open: false, later: true, shows: false });
        }
        for number in self.order(cte_tables) {
            let Some(cte) = cte_tables.get(number) else { continue };
            let bound = self.common_table(cte, parent, Some(first + number))?;
            if let Some(place) = self.ctes.get_mut(first + number) {
                *place = bound;
            }
        }
        Ok(())
    }

    /// One common table expression; `place` is where those of WITH RECURSIVE stand.
    fn common_table(&mut self, cte: &CteAst, parent: Option<&Rc<Scope>>, place: Option<usize>) -> Result<Cte, Refusal> {
        let CteAst { alias, query, from, materialized: _, closing_paren_token } = cte;
        if from.is_some() || alias.at.is_some() {
            return Err(Self::unsupported("this form of WITH"));
        }
        self.take_new(&alias.name)?;
        let mut names = Vec::new();
        for column in &alias.columns {
            if column.data_type.is_some() {
                return Err(Self::unsupported("a typed column list"));
            }
            self.take_new(&column.name)?;
            names.push(column.name.value.clone());
        }
        let close = parse::token_index(closing_paren_token.0.span);
        let clauses = close.and_then(|close| gaps::recursion(self.tokens, close + 1));
        let inside = clauses.iter().flat_map(|clauses| clauses.tokens.clone());
        if inside.filter_map(|at| self.tokens.get(at)).any(|token| token.is_word("using")) {
            // CYCLE compares rows by no operator that is looked up.
            self.word_use("using", Vec::new());
        }
        let mut added = Vec::new();
        for index in clauses.iter().flat_map(|clauses| &clauses.added) {
            let name = self.take_token(*index)?;
            self.not_reserved(&name, *index)?;
            added.push(name);
        }
        let before = self.found_failing();
        let mut outputs = self.named(|binder| match place {
            Some(place) => binder.recursive(query, parent.cloned(), place, &names, &added),
            None => binder.query(query, parent.cloned()),
        })?;
        if let Some(clauses) = clauses {
            let columns = columns_of(outputs.clone(), &names, &alias.name.value);
            let mut deps = Deps::new();
            for index in clauses.columns {
                let name = self.take_token(index)?;
                let column = columns.iter().find(|column| *column.name == *name).ok_or_else(|| {
                    let refusal = Refusal::new(RefusalCode::UnknownColumn, format!("column \"{name}\" does not exist"));
                    self.at(refusal, index)
                })?;
                merge(&mut deps, &column.deps);
            }
            self.mark(&deps, Usages::ORDER);
            outputs.extend(added.iter().map(|name| added_column(name, &deps)));
            names.truncate(columns.len());
        }
        Ok(Cte {
            name: alias.name.value.clone(),
            open: outputs.iter().any(|output| output.name.is_none()),
            columns: with_added(columns_of(outputs, &names, &alias.name.value), added.len()),
            later: false,
            shows: self.found_failing() > before,
        })
    }

    /// The order in which queries are bound. Whether one names another is seen on its words: a column of the same name
    /// counts too, and where that makes a circle the queries stay in the order in which they are written.
    fn order(&self, ctes: &[CteAst]) -> Vec<usize> {
        let written = || (0..ctes.len()).collect::<Vec<_>>();
        let mut needs: Vec<Vec<usize>> = Vec::with_capacity(ctes.len());
        let names: std::collections::BTreeMap<&str, usize> =
            ctes.iter().enumerate().map(|(number, cte)| (cte.alias.name.value.as_str(), number)).collect();
        for (number, cte) in ctes.iter().enumerate() {
            let Some(body) = body(cte) else { return written() };
            let words = self.tokens.get(body).unwrap_or(&[]).iter().filter(|token| token.is_name());
            let mut list: Vec<usize> = words.filter_map(|token| names.get(token.name()).copied()).collect();
            list.retain(|other| *other != number);
            list.sort_unstable();
            list.dedup();
            needs.push(list);
        }
        let mut users: Vec<Vec<usize>> = vec![Vec::new(); ctes.len()];
        let mut open: Vec<usize> = needs.iter().map(Vec::len).collect();
        for (number, list) in needs.iter().enumerate() {
            for other in list {
                if let Some(users) = users.get_mut(*other) {
                    users.push(number);
                }
            }
        }
        let mut ready: std::collections::BTreeSet<usize> =
            open.iter().enumerate().filter(|(_, count)| **count == 0).map(|(number, _)| number).collect();
        let mut order = Vec::with_capacity(ctes.len());
        while let Some(number) = ready.pop_first() {
            order.push(number);
            for user in users.get(number).map_or(&[][..], Vec::as_slice) {
                if let Some(count) = open.get_mut(*user) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        ready.insert(*user);
                    }
                }
            }
        }
        if order.len() == ctes.len() { order } else { written() }
    }

    /// One query of WITH RECURSIVE. When it refers to itself, every column may come to depend on every other.
    fn recursive(
        &mut self,
        query: &Query,
        parent: Option<Rc<Scope>>,
        place: usize,
        names: &[String],
        added: &[String],
    ) -> Result<Vec<Output>, Refusal> {
        let Query {
            with,
            body,
            order_by: None,
            limit_clause: None,
            fetch: None,
            locks,
            for_clause: None,
            settings: None,
            format_clause: None,
            pipe_operators,
        } = query
        else {
            return self.query(query, parent);
        };
        let SetExpr::SetOperation { left, op: _, set_quantifier: _, right } = &**body else {
            return self.query(query, parent);
        };
        if !locks.is_empty() || !pipe_operators.is_empty() {
            // PostgreSQL has none of these in a query that refers to itself; one that does is refused as a reference to a
            // later query.
            return self.query(query, parent);
        }
        let ctes = self.ctes.len();
        if let Some(with) = with {
            self.with(with, parent.as_ref())?;
        }
        let (mut outputs, _) = self.body(left, parent.clone(), None)?;
        let name = self.ctes.get(place).map(|cte| cte.name.clone()).unwrap_or_default();
        let mut visible = outputs.clone();
        let mut all = Deps::new();
        for output in &outputs {
            merge(&mut all, &output.deps);
        }
        let names = names.get(..outputs.len()).unwrap_or(names);
        visible.extend(added.iter().map(|name| added_column(name, &all)));
        let open = visible.iter().any(|output| output.name.is_none());
        let columns = with_added(columns_of(visible, names, &name), added.len());
        // Whatever stands in WITH RECURSIVE counts as what can fail anyway.
        let own = Cte { columns, name, open, later: false, shows: false };
        if let Some(slot) = self.ctes.get_mut(place) {
            *slot = own;
        }
        let (right, _) = self.body(right, parent, None)?;
        self.ctes.truncate(ctes);
        for output in &right {
            merge(&mut all, &output.deps);
        }
        let same = outputs.iter().zip(&right).all(|(a, b)| b.deps.iter().all(|dep| a.deps.contains(dep)));
        for output in &mut outputs {
            output.plain = None;
            if !same {
                output.deps.clone_from(&all);
            }
        }
        Ok(outputs)
    }
}

/// Marks the last `count` columns: PostgreSQL leaves them out of stars in sub-selects (`addRangeTableEntryForCTE`).
fn with_added(columns: Rc<[ScopeColumn]>, count: usize) -> Rc<[ScopeColumn]> {
    if count == 0 {
        return columns;
    }
    let first = columns.len().saturating_sub(count);
    columns
        .iter()
        .enumerate()
        .map(|(position, column)| ScopeColumn { doubtful: position >= first, ..column.clone() })
        .collect()
}

fn added_column(name: &str, deps: &Deps) -> Output {
    Output::unknown(Some(name), deps.clone())
}

/// The tokens of a query of WITH, from its name to its closing bracket.
fn body(cte: &CteAst) -> Option<Range<usize>> {
    let start = parse::ident_index(&cte.alias.name)?;
    let end = parse::token_index(cte.closing_paren_token.0.span)?;
    (start < end).then_some(start + 1..end)
}
