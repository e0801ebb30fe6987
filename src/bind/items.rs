//! Stage `bind`: the items of SELECT and RETURNING, stars included. In: one item. Out: the outputs it makes, with their
//! names, lineage and tokens.

use std::{collections::HashMap, ops::Range};

use foldhash::fast::FixedState;
use sqlparser::ast::{
    CastKind, DataType, Expr, ObjectNamePart, SelectItem, SelectItemQualifiedWildcardKind, WildcardAdditionalOptions,
};

use super::{
    binder::{Binder, Context},
    bound::{Clause, Deps, Item, Output, Reference, Star, StarColumn, Usages},
    budget::{BESIDE, KEPT},
    figure,
    scope::ScopeItem,
};
use crate::{
    error::{Refusal, RefusalCode},
    sql::{Kind, Nesting, Token, keywords, parse},
};

/// The most columns that PostgreSQL lets a query have (`MaxTupleAttributeNumber`).
const MAX_COLUMNS: usize = 1664;

/// Refuses a list of more items than PostgreSQL lets it have.
fn few(items: usize) -> Result<(), Refusal> {
    if items > MAX_COLUMNS {
        let message = format!("target lists can have at most {MAX_COLUMNS} entries");
        return Err(Refusal::new(RefusalCode::Unsupported, message).with_sqlstate("54011"));
    }
    Ok(())
}

/// Whether no column that stands without the name of its FROM item shares its own name with another.
fn names_tell(columns: &[StarColumn]) -> bool {
    if columns.iter().all(|column| column.qualifier.is_some()) {
        return true;
    }
    let mut seen: HashMap<&str, bool, FixedState> = HashMap::default();
    columns.iter().all(|column| {
        let bare = column.qualifier.is_none();
        seen.insert(&column.name, bare).is_none_or(|other| !(bare || other))
    })
}

impl Binder<'_> {
    pub(super) fn select_item(
        &mut self,
        item: &SelectItem,
        context: &Context,
        outputs: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        match item {
            SelectItem::UnnamedExpr(Expr::Cast { kind: CastKind::DoubleColon, expr, data_type, format: None })
                if let Some(dot) = self.fields_of(data_type) =>
            {
                self.fields(expr, dot, context, outputs)?;
            }
            SelectItem::UnnamedExpr(expression) => {
                let (before, failing) = (self.bound.references.len(), self.found_failing());
                let deps = self.expr(expression, context)?;
                let nature = self.item_nature(expression, failing, context)?;
                let plain = self.plain(expression, before, &deps);
                let name = figure::column_name(expression);
                let start = figure::first_token(expression);
                if let (Clause::Returning, Some(start)) = (context.clause, start) {
                    let start = self.item_start(start);
                    self.bound.items.push(Item { tokens: start..self.item_end(start), name: name.clone() });
                }
                self.named_by_reference(expression, before, name.as_deref(), context);
                let typed = self.output_type(expression, context)?;
                outputs.push(Output { name, deps, plain, typed, nature });
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                let (before, failing) = (self.bound.references.len(), self.found_failing());
                let deps = self.expr(expr, context)?;
                let nature = self.item_nature(expr, failing, context)?;
                self.take_new(alias)?;
                let plain = self.plain(expr, before, &deps);
                let typed = self.output_type(expr, context)?;
                outputs.push(Output { name: Some(alias.value.clone()), deps, plain, typed, nature });
            }
            SelectItem::ExprWithAliases { expr: _, aliases: _ } => return Err(Self::unsupported("a list of aliases")),
            SelectItem::QualifiedWildcard(kind, options) => {
                let star = Self::star_token(options)?;
                match kind {
                    SelectItemQualifiedWildcardKind::ObjectName(name) => {
                        let (parts, tokens) = self.parts(name)?;
                        let (schema, table) = match parts.as_slice() {
                            [table] => (None, table),
                            [schema, table] => (Some(schema.as_str()), table),
                            [database, schema, table] if *database == self.catalog.data().database => {
                                (Some(schema.as_str()), table)
                            }
                            _ => return Err(self.at(Self::unsupported("a name of this form"), tokens.start)),
                        };
                        let Some(item) = Self::item(table, schema, context) else {
                            let refusal = Refusal::new(
                                RefusalCode::UnknownRelation,
                                format!("missing FROM-clause entry for table \"{table}\""),
                            );
                            return Err(self.at(refusal, tokens.start));
                        };
                        self.star(&[item], tokens.start..star + 1, outputs, context)?;
                    }
                    SelectItemQualifiedWildcardKind::Expr(expression) => {
                        // (c).*: every field, in an order that the server knows.
                        let deps = self.expr(expression, context)?;
                        self.fails(context.clause);
                        outputs.push(Output::unknown(None, deps));
                    }
                }
            }
            SelectItem::Wildcard(options) => {
                let star = Self::star_token(options)?;
                let items: Vec<ScopeItem> =
                    context.scope.items.iter().filter(|item| item.columns_visible).cloned().collect();
                self.star(&items, star..star + 1, outputs, context)?;
            }
        }
        Ok(())
    }

    /// `(expression).*`, of which the dot is token `dot`.
    fn fields(
        &mut self,
        expression: &Expr,
        dot: usize,
        context: &Context,
        outputs: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        // PostgreSQL takes a column of the name before the row.
        if let Expr::Nested(inner) = expression
            && let Expr::Identifier(ident) = &**inner
            && !Self::is_column(&ident.value, context)
            && let Some(item) = Self::item(&ident.value, None, context)
        {
            let name = self.take(ident)?;
            if Self::may_be_column(&ident.value, context) {
                return Err(self.at(Self::unsupported("a star of this name"), name));
            }
            return self.star(&[item], name.saturating_sub(1)..dot + 2, outputs, context);
        }
        // Every field, in an order that the server knows.
        let deps = self.expr(expression, context)?;
        self.fails(context.clause);
        outputs.push(Output::unknown(None, deps));
        Ok(())
    }

    /// The dot of `(expression).*`, if a type is what the parser saw in the place of dot and star.
    pub(super) fn fields_of(&self, data_type: &DataType) -> Option<usize> {
        let DataType::Custom(name, _) = data_type else { return None };
        let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return None };
        self.gap(ident).filter(|dot| self.tokens.get(*dot).is_some_and(|token| token.kind == Kind::Dot))
    }

    /// An item may have its name from a column in it, and would lose it with the column. A name of a plain column, also under
    /// casts, can be restored; other items keep their columns.
    fn named_by_reference(&mut self, expression: &Expr, before: usize, name: Option<&str>, context: &Context) {
        let own = self.bound.references.get(before..).unwrap_or(&[]);
        let names = |reference: &Reference| {
            let last = reference.tokens.end.checked_sub(1).and_then(|at| self.tokens.get(at)).map(Token::name);
            name.is_none_or(|name| last == Some(name))
        };
        let restorable = match own {
            [reference] => name.zip(self.item_of(expression, &reference.tokens)),
            _ => None,
        };
        let returning = context.clause == Clause::Returning && name.is_some();
        if returning || !own.iter().any(names) {
            return;
        }
        if let Some((name, tokens)) = restorable {
            self.bound.items.push(Item { tokens, name: Some(name.to_owned()) });
            return;
        }
        for reference in self.bound.references.iter_mut().skip(before) {
            let last = reference.tokens.end.checked_sub(1).and_then(|at| self.tokens.get(at)).map(Token::name);
            reference.naming = name.is_none_or(|name| last == Some(name));
        }
    }

    /// The tokens of an item that is nothing but a column's name, brackets and casts.
    #[allow(clippy::wildcard_enum_match_arm, reason = "other items keep their columns: the derived table serves them")]
    fn item_of(&self, expression: &Expr, name: &Range<usize>) -> Option<Range<usize>> {
        let end_of = |inner: &Expr| self.item_of(inner, name);
        match expression {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => Some(name.clone()),
            Expr::Nested(inner) => {
                let inner = end_of(inner)?;
                let closes = self.tokens.get(inner.end).is_some_and(|token| token.kind == Kind::Close);
                closes.then_some(inner.start.checked_sub(1)?..inner.end + 1)
            }
            Expr::Cast { kind: CastKind::DoubleColon, expr, data_type: _, format: None } => {
                let inner = end_of(expr)?;
                let ends = |_, token: &Token| {
                    token.kind == Kind::Comma || keywords::AFTER_LIST.iter().any(|word| token.is_word(word))
                };
                Some(inner.start..self.find_level(inner.end, ends))
            }
            Expr::Cast { kind: CastKind::Cast, expr, data_type: _, format: None } => {
                let inner = end_of(expr)?;
                Some(inner.start.checked_sub(2)?..self.find_level(inner.end, |_, _| false) + 1)
            }
            _ => None,
        }
    }

    /// The first token of the RETURNING item around token `inside`: what stands before it are brackets and prefix words.
    fn item_start(&self, inside: usize) -> usize {
        let mut start = inside;
        while let Some(before) = self.before(start) {
            if before.kind == Kind::Comma || before.is_word("returning") || self.list_start == Some(start) {
                break;
            }
            start -= 1;
        }
        start
    }

    /// The token after the item that starts at `start`: a comma, or the end of the list.
    pub(super) fn item_end(&self, start: usize) -> usize {
        self.find_level(start, |_, token| token.kind == Kind::Comma)
    }

    /// From `start` on, the first token outside inner brackets that `ends` picks; else the bracket that closes the level, or
    /// the end.
    pub(super) fn find_level(&self, start: usize, ends: impl Fn(usize, &Token) -> bool) -> usize {
        let mut depth = 0_usize;
        let mut index = start;
        while let Some(token) = self.tokens.get(index) {
            match token.kind.nesting() {
                Nesting::Opens => depth += 1,
                Nesting::Closes if depth == 0 => break,
                Nesting::Closes => depth -= 1,
                Nesting::Stays if depth == 0 && ends(index, token) => break,
                Nesting::Stays => {}
            }
            index += 1;
        }
        index
    }

    /// The base column that an expression is, when it is nothing but a name.
    fn plain(&self, expression: &Expr, before: usize, deps: &Deps) -> Option<(usize, usize)> {
        if let Expr::Nested(inner) = expression {
            return self.plain(inner, before, deps);
        }
        let (Expr::Identifier(_) | Expr::CompoundIdentifier(_)) = expression else { return None };
        let reference = self.bound.references.get(before)?;
        let column = (reference.relation, reference.column?);
        (deps.as_slice() == [column]).then_some(column)
    }

    fn star_token(options: &WildcardAdditionalOptions) -> Result<usize, Refusal> {
        let WildcardAdditionalOptions {
            wildcard_token,
            opt_ilike,
            opt_exclude,
            opt_except,
            opt_replace,
            opt_rename,
            opt_alias,
        } = options;
        let foreign = opt_ilike.is_some()
            || opt_exclude.is_some()
            || opt_except.is_some()
            || opt_replace.is_some()
            || opt_rename.is_some()
            || opt_alias.is_some();
        match parse::token_index(wildcard_token.0.span) {
            Some(index) if !foreign => Ok(index),
            Some(_) | None => Err(Self::unsupported("this form of *")),
        }
    }

    /// Whether token `star` stands in `EXISTS (SELECT *`: rows are looked for, and no column of them is used.
    fn only_exists(&self, star: usize) -> bool {
        let is = |back: usize, fits: fn(&Token) -> bool| {
            star.checked_sub(back).and_then(|at| self.tokens.get(at)).is_some_and(fits)
        };
        is(1, |token| token.is_word("select"))
            && is(2, |token| token.kind == Kind::Open)
            && is(3, |token| token.is_word("exists"))
    }

    /// Expands a star over `items`.
    fn star(
        &mut self,
        items: &[ScopeItem],
        tokens: std::ops::Range<usize>,
        outputs: &mut Vec<Output>,
        context: &Context,
    ) -> Result<(), Refusal> {
        let ignored = self.only_exists(tokens.start);
        let mut star = Star { tokens, columns: Vec::new(), relations: Vec::new(), complete: true, ignored };
        for item in items {
            self.spend(item.columns.len() * KEPT + self.bound.relations.len() / BESIDE)?;
            star.complete &= !item.open;
            few(outputs.len() + item.columns.len()).map_err(|refusal| self.at(refusal, star.tokens.start))?;
            for column in item.columns.iter() {
                for (id, position) in &column.deps {
                    self.mark_star(*id, *position, !ignored, !context.aggregate);
                }
                if column.doubtful {
                    star.complete = false;
                    self.fails(context.clause);
                    outputs.push(Output::unknown(None, column.deps.clone()));
                    continue;
                }
                if let Some((id, _)) = column.origin
                    && !star.relations.contains(&id)
                {
                    star.relations.push(id);
                }
                star.columns.push(StarColumn {
                    qualifier: column.qualifier.as_deref().map(str::to_owned),
                    name: column.name.to_string(),
                    origin: column.origin,
                });
                outputs.push(Output {
                    name: Some(column.name.to_string()),
                    deps: if ignored { Deps::new() } else { column.deps.clone() },
                    plain: column.origin.filter(|_| !ignored),
                    typed: self.shown_type(column),
                    nature: self.starred(column, context.clause),
                });
            }
            if item.open {
                self.fails(context.clause);
                outputs.push(Output::unknown(None, item.all_deps()));
            }
            star.relations.extend(item.relation.filter(|id| !star.relations.contains(id)));
        }
        star.complete &= names_tell(&star.columns);
        for id in &star.relations {
            if let Some(relation) = self.bound.relations.get_mut(*id) {
                relation.starred = true;
            }
        }
        if context.clause == Clause::Returning {
            let deps = star.columns.iter().filter_map(|column| column.origin).collect::<Deps>();
            self.mark(&deps, Usages::RETURNED);
        }
        self.bound.stars.push(star);
        Ok(())
    }
}
