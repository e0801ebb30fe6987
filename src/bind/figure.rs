//! The names that PostgreSQL gives to output columns without alias (`FigureColname` in `parse_target.c`).

use sqlparser::ast::{
    AccessExpr, CastKind, DataType, Expr, Ident, ObjectNamePart, Query, SelectItem, SetExpr, Spanned, Subscript,
};

use crate::sql::{gaps, parse};

/// The name of an item; none when it is not derived here.
pub(super) fn column_name(expression: &Expr) -> Option<String> {
    match figure(expression) {
        Figure::Name(name) | Figure::Weak(name) => Some(name),
        Figure::Nothing => Some("?column?".to_owned()),
        Figure::Unknown => None,
    }
}

/// The number of the first token of an expression that has a place; brackets and prefix operators before it left out.
pub(super) fn first_token(expression: &Expr) -> Option<usize> {
    parse::token_index(expression.span())
}

enum Figure {
    /// A name that a cast around it keeps.
    Name(String),
    /// A name that a cast around it replaces.
    Weak(String),
    Nothing,
    Unknown,
}

fn last(ident: &Ident) -> Figure {
    Figure::Name(ident.value.clone())
}

#[allow(clippy::wildcard_enum_match_arm, reason = "an unknown name is asked for by the rewrite: nothing depends on it")]
fn figure(expression: &Expr) -> Figure {
    match expression {
        Expr::Identifier(ident) => last(ident),
        Expr::CompoundIdentifier(idents) => idents.last().map_or(Figure::Unknown, last),
        Expr::CompoundFieldAccess { root, access_chain } => {
            for access in access_chain.iter().rev() {
                match access {
                    AccessExpr::Dot(Expr::Identifier(ident)) => return last(ident),
                    AccessExpr::Dot(_) => return Figure::Unknown,
                    AccessExpr::Subscript(Subscript::Index { .. } | Subscript::Slice { .. }) => {}
                }
            }
            figure(root)
        }
        Expr::Nested(inner) | Expr::Collate { expr: inner, collation: _ } => figure(inner),
        Expr::Function(function) => match function.name.0.last() {
            // COLLATION FOR
            Some(ObjectNamePart::Identifier(ident)) if ident.value == gaps::GAP => {
                Figure::Name("pg_collation_for".to_owned())
            }
            // `(VALUES (a))` looks like a call.
            Some(ObjectNamePart::Identifier(ident))
                if ident.value == "values" && ident.quote_style.is_none() && function.name.0.len() == 1 =>
            {
                Figure::Name("column1".to_owned())
            }
            Some(ObjectNamePart::Identifier(ident)) => Figure::Name(ident.value.clone()),
            Some(ObjectNamePart::Function(_)) | None => Figure::Unknown,
        },
        Expr::Cast { data_type, .. } if is_gap(data_type) => Figure::Unknown,
        Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, format: None } => {
            match figure(expr) {
                Figure::Name(name) => Figure::Name(name),
                Figure::Weak(_) | Figure::Nothing => type_name(data_type),
                Figure::Unknown => Figure::Unknown,
            }
        }
        Expr::Case { else_result, .. } => match else_result.as_deref().map(figure) {
            Some(Figure::Name(name)) => Figure::Name(name),
            Some(Figure::Unknown) => Figure::Unknown,
            Some(Figure::Weak(_) | Figure::Nothing) | None => Figure::Weak("case".to_owned()),
        },
        Expr::Exists { .. } => Figure::Name("exists".to_owned()),
        Expr::Array(_) => Figure::Name("array".to_owned()),
        Expr::Tuple(_) => Figure::Name("row".to_owned()),
        Expr::Extract { .. } => Figure::Name("extract".to_owned()),
        Expr::Position { .. } => Figure::Name("position".to_owned()),
        Expr::Substring { shorthand, .. } => Figure::Name(if *shorthand { "substr" } else { "substring" }.to_owned()),
        Expr::Overlay { .. } => Figure::Name("overlay".to_owned()),
        Expr::AtTimeZone { .. } => Figure::Name("timezone".to_owned()),
        Expr::Interval(_) => Figure::Weak("interval".to_owned()),
        Expr::TypedString(typed) => type_name(&typed.data_type),
        Expr::Subquery(query) => subquery(query),
        Expr::BinaryOp { .. }
        | Expr::UnaryOp { .. }
        | Expr::Value(_)
        | Expr::In { .. }
        | Expr::Between { .. }
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::Like { .. }
        | Expr::ILike { .. }
        | Expr::AnyOp { .. }
        | Expr::AllOp { .. }
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_)
        | Expr::SimilarTo { .. } => figure_value(expression),
        _other => Figure::Unknown,
    }
}

/// Whether a type is the mark of `(expression).*`.
fn is_gap(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Custom(name, _)
        if matches!(name.0.as_slice(), [ObjectNamePart::Identifier(ident)] if ident.value == gaps::GAP))
}

fn figure_value(expression: &Expr) -> Figure {
    // TRUE and FALSE are casts to bool in PostgreSQL 14, plain constants later.
    let truth = matches!(expression, Expr::Value(value) if matches!(value.value, sqlparser::ast::Value::Boolean(_)));
    if truth { Figure::Unknown } else { Figure::Nothing }
}

fn subquery(query: &Query) -> Figure {
    let SetExpr::Select(select) = &*query.body else { return Figure::Unknown };
    match select.projection.first() {
        Some(SelectItem::ExprWithAlias { alias, .. }) => last(alias),
        Some(SelectItem::UnnamedExpr(expression)) => figure(expression),
        Some(SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_))
        | None => Figure::Unknown,
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "an unknown name is asked for by the rewrite: nothing depends on it")]
fn type_name(data_type: &DataType) -> Figure {
    let name = match data_type {
        DataType::Custom(name, _) => match name.0.last() {
            Some(ObjectNamePart::Identifier(ident)) => return Figure::Weak(ident.value.clone()),
            Some(ObjectNamePart::Function(_)) | None => return Figure::Unknown,
        },
        DataType::Text => "text",
        DataType::Integer(_) | DataType::Int(_) | DataType::Int4(_) => "int4",
        DataType::BigInt(_) | DataType::Int8(_) => "int8",
        DataType::SmallInt(_) | DataType::Int2(_) => "int2",
        DataType::Bool | DataType::Boolean => "bool",
        DataType::Varchar(_) | DataType::CharacterVarying(_) => "varchar",
        DataType::Numeric(_) | DataType::Decimal(_) => "numeric",
        DataType::Date => "date",
        DataType::JSON => "json",
        DataType::JSONB => "jsonb",
        DataType::Uuid => "uuid",
        DataType::Bytea => "bytea",
        DataType::Regclass => "regclass",
        DataType::DoublePrecision | DataType::Float8 => "float8",
        DataType::Real | DataType::Float4 => "float4",
        _other => return Figure::Unknown,
    };
    Figure::Weak(name.to_owned())
}
