//! What stands between operators, where the database has some of its own. In: expressions that were bound. Out: [`OperatorUse`]s.
//! Invariant: an operator whose place or operands are not noted here counts as one that could mean any of its name.

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, InTarget, ObjectNamePart, Spanned, UnaryOperator,
};

use super::{
    binder::{Binder, Context},
    bound::OperatorUse,
    figure::first_token,
    query::unbracketed,
};
use crate::{catalog::overloads::Typed, error::Refusal, sql::parse};

impl Binder<'_> {
    /// Notes what stands between operators, and what the words of the grammar compare that PostgreSQL looks an operator up for.
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "an operator that is not noted here is refused where a user made one"
    )]
    pub(super) fn operators(&mut self, expression: &Expr, context: &Context) -> Result<(), Refusal> {
        if self.overloads().is_none() {
            return Ok(());
        }
        match expression {
            Expr::BinaryOp { left, op, right } => {
                let pairs = self.pairs(left, &[&**right], context)?;
                let place = [self.start(left), self.start(right)];
                self.operator_use(&op.to_string(), false, place, pairs);
            }
            Expr::UnaryOp { op: op @ (UnaryOperator::Minus | UnaryOperator::Plus), expr } => {
                let operand = self.type_of(expr, context)?;
                let place = [self.start(expr); 2];
                self.operator_use(&op.to_string(), false, place, vec![(None, operand)]);
            }
            Expr::AnyOp { left, compare_op, right, is_some: _ } | Expr::AllOp { left, compare_op, right } => {
                let one = self.type_of(left, context)?;
                let many = match (unbracketed(right), self.type_of(right, context)?) {
                    (Expr::Subquery(_), column) => column,
                    (_, Typed::Known(array)) => {
                        let element = self.overloads().and_then(|all| all.element_of(array));
                        element.map_or(Typed::Any, Typed::Known)
                    }
                    (_, other) => other,
                };
                let place = [self.start(left), self.start(right)];
                self.operator_use(&compare_op.to_string(), true, place, vec![(Some(one), many)]);
            }
            Expr::In { expr, target, negated: _, global: _ } => match target {
                InTarget::List(list) => {
                    let pairs = self.pairs(expr, &list.iter().collect::<Vec<_>>(), context)?;
                    let place = [self.start(expr), list.first().and_then(first_token)];
                    self.operator_use("in", false, place, pairs);
                }
                InTarget::Subquery(query) => {
                    let at = parse::token_index(query.span());
                    let columns = at.and_then(|at| self.queries.get(&at)).cloned().unwrap_or_default();
                    let mut pairs = Vec::new();
                    match unbracketed(expr) {
                        Expr::Tuple(fields) if fields.len() == columns.len() => {
                            for (field, column) in fields.iter().zip(&columns) {
                                pairs.push((Some(self.type_of(field, context)?), *column));
                            }
                        }
                        _ => pairs.push((Some(self.type_of(expr, context)?), self.query_type(query))),
                    }
                    let place = [self.start(expr), at];
                    self.operator_use("in", false, place, pairs);
                }
                InTarget::Unnest(_) | InTarget::Table { name: _, args: _ } => {}
            },
            Expr::Position { expr, r#in } => {
                let place = [self.start(expr), self.start(r#in)];
                self.operator_use("in", false, place, Vec::new());
            }
            Expr::Between { expr, negated: _, low, high } => {
                let pairs = self.pairs(expr, &[&**low, &**high], context)?;
                let place = [self.start(expr), self.start(low)];
                self.operator_use("between", false, place, pairs);
            }
            Expr::Like { negated: _, any: _, expr, pattern, escape_char: _ } => {
                self.word_between("like", expr, pattern, context)?;
            }
            Expr::ILike { negated: _, any: _, expr, pattern, escape_char: _ } => {
                self.word_between("ilike", expr, pattern, context)?;
            }
            Expr::SimilarTo { negated: _, expr, pattern, escape_char: _ } => {
                self.word_between("similar", expr, pattern, context)?;
            }
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                self.word_between("distinct", left, right, context)?;
            }
            Expr::Case { case_token, end_token: _, operand, conditions, else_result: _ } => {
                let pairs = match operand {
                    Some(operand) => {
                        let values: Vec<&Expr> = conditions.iter().map(|when| &when.condition).collect();
                        self.pairs(operand, &values, context)?
                    }
                    None => Vec::new(),
                };
                self.operator_use("case", false, [parse::token_index(case_token.0.span); 2], pairs);
            }
            Expr::Function(function) => {
                if let [ObjectNamePart::Identifier(ident)] = function.name.0.as_slice()
                    && let FunctionArguments::List(list) = &function.args
                    && ident.quote_style.is_none()
                    && ident.value == "nullif"
                    && let [
                        FunctionArg::Unnamed(FunctionArgExpr::Expr(left)),
                        FunctionArg::Unnamed(FunctionArgExpr::Expr(right)),
                    ] = list.args.as_slice()
                {
                    let pairs = self.pairs(left, &[right], context)?;
                    self.operator_use("nullif", false, [parse::ident_index(ident); 2], pairs);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn word_between(&mut self, word: &str, left: &Expr, right: &Expr, context: &Context) -> Result<(), Refusal> {
        let pairs = self.pairs(left, &[right], context)?;
        let place = [self.start(left), self.start(right)];
        self.operator_use(word, false, place, pairs);
        Ok(())
    }

    /// The types of what is compared; of rows field by field.
    fn pairs(
        &mut self,
        left: &Expr,
        rights: &[&Expr],
        context: &Context,
    ) -> Result<Vec<(Option<Typed>, Typed)>, Refusal> {
        let mut pairs = Vec::new();
        for right in rights {
            if let (Expr::Tuple(lefts), Expr::Tuple(rights)) = (unbracketed(left), unbracketed(right))
                && lefts.len() == rights.len()
            {
                for (left, right) in lefts.iter().zip(rights) {
                    pairs.push((Some(self.type_of(left, context)?), self.type_of(right, context)?));
                }
            } else {
                pairs.push((Some(self.type_of(left, context)?), self.type_of(right, context)?));
            }
        }
        Ok(pairs)
    }

    /// As many words are noted as there are in the text: nothing else tells their places.
    pub(super) fn word_use(&mut self, word: &str, operands: Vec<(Option<Typed>, Typed)>) {
        if self.overloads().is_some() {
            let place = (self.bound.operators.len(), usize::MAX);
            self.bound.operators.push(OperatorUse { name: word.to_owned(), array: false, place, operands });
        }
    }

    fn operator_use(
        &mut self,
        name: &str,
        array: bool,
        place: [Option<usize>; 2],
        operands: Vec<(Option<Typed>, Typed)>,
    ) {
        // What has no place cannot be told from others, and is not vouched for.
        if let [Some(left), Some(right)] = place {
            let one = OperatorUse { name: name.to_owned(), array, place: (left, right), operands };
            self.bound.operators.push(one);
        }
    }
}
