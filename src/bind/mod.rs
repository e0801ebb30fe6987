//! Stage `bind`: names → relations and columns, with lineage and token accounting. Pure.
//!
//! In: the syntax tree of one statement, its tokens, the catalog and the search path. Out: [`Bound`]: every use of a
//! relation, every reference to a column of one, every star, function and type name, each with its tokens. Invariant:
//! each name in the text was resolved here, or the statement is refused; nothing is skipped.

mod binder;
mod bound;
mod budget;
mod compare;
mod conflict;
mod dml;
mod expr;
mod failing;
mod figure;
mod from;
mod functions;
mod group;
mod inserted;
mod items;
mod marks;
mod merge;
mod notation;
mod operands;
mod parameters;
mod query;
mod recursive;
mod returning;
mod scope;
mod stars;
mod typed;
mod types;
pub mod views;

pub use binder::{Binder, bind_expressions, bind_judged, bind_own, bind_query, bind_statement};
pub use bound::{
    Assigned, Block, Bound, Clause, ColumnIndex, ColumnMark, Compared, Constant, Deps, FunctionUse, Item, OperatorUse,
    Output, Reference, RelationUse, Role, Star, StarColumn, Usages, WholeUse,
};
pub use failing::{Failing, bind_condition};
pub use parameters::Parameters;
