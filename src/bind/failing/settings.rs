//! Settings of the session in conditions of the rules: `tenant = current_setting('app.tenant')::int`. One that is not set, or is no number, is an
//! error. PostgreSQL computes what a column is compared with when it plans the statement, for its estimate, and so fails whatever rows there
//! are. In: comparisons. Out: what of them is excused. Invariant: nothing is that PostgreSQL computes only when it comes to a row, as long as
//! the statement compares the column with nothing else (of `tenant = 5` and `tenant = setting` it makes `5 = setting`, of which it makes no
//! estimate), and sets no setting.

use sqlparser::ast::{CastKind, Expr, Ident, Statement};

use super::{Judge, calls::Call, quiet::is_comparison, shape, shape::Shape};
use crate::{
    bind::{Bound, binder::Binder, query::unbracketed, typed::Kept},
    catalog::CatalogSnapshot,
    error::Refusal,
    sql::{Token, parse},
};

/// As [`crate::bind::bind_own`], of what a condition of the rules reads, and says whether that can fail on a value ([`Bound::failing`]); with
/// `planned`, what fails when PostgreSQL plans the statement does not count.
///
/// # Errors
/// As [`crate::bind::bind_statement`].
pub fn bind_condition(
    statement: &Statement,
    tokens: &[Token],
    catalog: &CatalogSnapshot,
    planned: bool,
) -> Result<Bound, Refusal> {
    let mut binder = Binder::new(tokens, catalog, &[]);
    binder.own_text = true;
    binder.judge = Some(Box::new(Judge::of_rules(tokens, binder.seen, catalog, planned)));
    binder.whole(statement)
}

#[allow(clippy::wildcard_enum_match_arm, reason = "nothing else is known to be computed when the statement is planned")]
impl Binder<'_> {
    /// Excuses what a column is compared with, in a condition of the rules: one on rows, or joined to others by AND and OR. Within CASE or
    /// `coalesce` no estimate is made of it.
    pub(in crate::bind) fn excuse_settings(&mut self, comparison: &Expr) {
        if self.judge.as_ref().is_none_or(|judge| !judge.excuses) {
            return;
        }
        let (left, right) = match comparison {
            Expr::BinaryOp { left, op, right } if is_comparison(op) => (left, right),
            Expr::AnyOp { left, compare_op, right, is_some: _ } if is_comparison(compare_op) => (left, right),
            _ => return,
        };
        for (column, given) in [(left, right), (right, left)] {
            if let Some(column) = column_in(column)
                && self.setting(given).is_some()
            {
                self.excuse(given);
                if let Some(judge) = &mut self.judge {
                    judge.failing.beside_settings.push(parse::ident_index(column));
                }
            }
        }
    }

    /// The type of a setting of the session, as text or cast to another type.
    pub(super) fn setting(&self, expression: &Expr) -> Option<Shape> {
        match unbracketed(expression) {
            Expr::Function(function) => match self.call(function)? {
                Call::Splits(inner) => self.setting(inner).map(|_| Shape::Elements(shape::TEXT)),
                Call::Setting(inner) if inner.is_none_or(|inner| self.setting(inner).is_some()) => {
                    Some(Shape::Of(shape::TEXT))
                }
                _ => None,
            },
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, format: None } => {
                self.setting(expr)?;
                self.constant_type(data_type)
            }
            _ => None,
        }
    }

    fn excuse(&mut self, expression: &Expr) {
        let inner = unbracketed(expression);
        let deeper = match inner {
            Expr::Cast { kind: _, expr, data_type: _, format: _ } => Some(&**expr),
            Expr::Function(function) => match self.call(function) {
                Some(Call::Setting(deeper)) => deeper,
                Some(Call::Splits(deeper)) => Some(deeper),
                _ => None,
            },
            _ => None,
        };
        if let Some(excused) = self.judge.as_mut().and_then(|judge| judge.excused.as_mut()) {
            excused.insert(Kept::address(inner));
        }
        if let Some(deeper) = deeper {
            self.excuse(deeper);
        }
    }
}

/// The name of a column, or of one that is cast.
#[allow(clippy::wildcard_enum_match_arm, reason = "nothing else is one")]
fn column_in(expression: &Expr) -> Option<&Ident> {
    match unbracketed(expression) {
        Expr::Identifier(name) => Some(name),
        Expr::CompoundIdentifier(names) => names.last(),
        Expr::Cast { kind: _, expr, data_type: _, format: None } => column_in(expr),
        _ => None,
    }
}
