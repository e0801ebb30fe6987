//! Columns of rows that are written as calls (`phone(c)`), and calls that are written as columns (`(x).name`). In: the names. Out: what
//! they mean, or a refusal where only the server knows.

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments};

use super::{
    binder::{Binder, Context},
    bound::Deps,
};
use crate::{
    catalog::functions::{Builtin, builtin, is_volatile},
    error::{Refusal, RefusalCode},
    sql::keywords,
};

impl Binder<'_> {
    /// `phone(c)`: a column of a row, written as a call. None when it is a call.
    pub(super) fn functional_notation(
        &mut self,
        parts: &[String],
        start: usize,
        args: &FunctionArguments,
        context: &Context,
    ) -> Result<Option<Deps>, Refusal> {
        let [name] = parts else { return Ok(None) };
        let FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses }) = args else {
            return Ok(None);
        };
        let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = args.as_slice() else { return Ok(None) };
        let is_function = builtin(name).is_some() || self.catalog.functions_named(name).next().is_some();
        if is_function || !clauses.is_empty() || keywords::is_keyword(name) && !matches!(argument, Expr::Identifier(_))
        {
            return Ok(None);
        }
        let mut root = argument;
        while let Expr::Nested(inner) = root {
            root = inner;
        }
        let row = if let Expr::Identifier(ident) = root { Self::item(&ident.value, None, context) } else { None };
        let Some(item) = row.filter(|item| item.column(name).is_some()) else {
            if let Expr::Identifier(_) | Expr::CompoundIdentifier(_) = root
                && keywords::is_keyword(name)
            {
                return Ok(None);
            }
            let refusal = Refusal::new(RefusalCode::FunctionNotAllowed, format!("function {name} does not exist"))
                .with_hint("No function of this name is known.")
                .with_sqlstate("42883");
            return Err(self.at(refusal, start));
        };
        let before = self.bound.references.len();
        let deps = self.expr(argument, context)?;
        if Self::may_be_column(item.name.as_deref().unwrap_or_default(), context) {
            // PostgreSQL takes a column of the row's name before the row.
            return Ok(Some(deps));
        }
        // Only a column of the row is used: the row needs no type of its own.
        for reference in self.bound.references.iter_mut().skip(before) {
            reference.row = false;
        }
        Ok(Some(item.column(name).map(|column| column.deps.clone()).unwrap_or_default()))
    }

    /// Whether a column of any level may have this name: PostgreSQL takes it before a row of the same name.
    pub(super) fn may_be_column(name: &str, context: &Context) -> bool {
        let mut level = Some(&context.scope);
        while let Some(scope) = level {
            if scope.items.iter().any(|item| item.open || item.column(name).is_some()) {
                return true;
            }
            level = scope.parent.as_ref();
        }
        false
    }

    /// Whether a column of any level surely has this name.
    pub(super) fn is_column(name: &str, context: &Context) -> bool {
        std::iter::successors(Some(&context.scope), |scope| scope.parent.as_ref())
            .any(|scope| scope.items.iter().any(|item| item.columns_visible && item.column(name).is_some()))
    }

    /// Whether `name` is a column of the row that `root` is.
    pub(super) fn is_field_of_row(root: &Expr, name: &str, context: &Context) -> bool {
        let mut root = root;
        while let Expr::Nested(inner) = root {
            root = inner;
        }
        let Expr::Identifier(ident) = root else { return false };
        !Self::may_be_column(&ident.value, context)
            && Self::item(&ident.value, None, context).is_some_and(|item| item.column(name).is_some())
    }

    /// `(x).name` where it is not known whether `x` has a field of that name: PostgreSQL calls the function `name(x)` when
    /// it has not, or casts it to the type of that name. Only a function that may be called anyway may have the name, or a type whose casts
    /// run none.
    ///
    /// # Errors
    /// [`RefusalCode::FunctionNotAllowed`], [`RefusalCode::TypeNotAllowed`].
    pub(super) fn attribute(&mut self, name: &str, index: usize, deps: &Deps, field: bool) -> Result<(), Refusal> {
        // The type of arrays has its name behind an underscore.
        let types = [name, name.trim_start_matches('_')];
        if types.iter().any(|name| self.catalog.types_named(name).any(|user| user.has_user_cast)) {
            let refusal = Refusal::new(RefusalCode::TypeNotAllowed, format!("type {name} is not allowed")).with_hint(
                "A field of this name may be a cast to the type, which runs a function that the rules do not list.",
            );
            return Err(self.at(refusal, index));
        }
        if builtin(name) != Some(Builtin::Refused) && self.catalog.functions_named(name).next().is_none() {
            // A column of a function's result is no field, but may be a call, too.
            if builtin(name).is_some() && (field || is_volatile(name)) {
                self.function_use(&[name.to_owned()], index, vec![None], deps.clone(), None)?;
            }
            return Ok(());
        }
        let refusal = Refusal::new(RefusalCode::FunctionNotAllowed, format!("permission denied for function {name}"))
            .with_hint("A field of this name may be a call of the function; write (alias).field of a table's row.");
        Err(self.at(refusal, index))
    }
}
