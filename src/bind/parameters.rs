//! What the parameters of a statement may be, as far as it decides what can fail on a value.

use std::sync::Arc;

use super::failing::shape::{self, Shape};
use crate::{catalog::CatalogSnapshot, names::Oid};

/// What a client declares the parameters of a statement to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Parameters {
    /// Any types: nothing is known.
    #[default]
    Any,
    /// None: the statement gives them their types.
    Inferred,
    /// These types in order, as far as what can fail tells them apart. To those that are missing, or [`Parameters::LEFT`], the statement gives
    /// their types.
    Declared(Arc<[Oid]>),
}

impl Parameters {
    /// In a list of types: the statement gives the parameter its type.
    pub const LEFT: Oid = Oid(0);
    /// In a list of types: one of which nothing is known.
    pub const OTHER: Oid = Oid(u32::MAX);

    /// What a list declares for a text of `length` bytes.
    pub fn declared(types: impl Iterator<Item = Oid> + Clone, length: usize) -> Self {
        if types.clone().all(|oid| oid == Self::LEFT) {
            return Self::Inferred;
        }
        // No text has more parameters; what is kept must not be longer than the text by much.
        let most = length / 2;
        if types.clone().nth(most).is_some() {
            return Self::Any;
        }
        Self::Declared(types.map(shape::representative).collect())
    }

    /// The type that a word means in the list of PREPARE, where the database has none of its own of that name.
    pub fn named(word: &str) -> Oid {
        match word {
            "bool" | "boolean" => shape::BOOL,
            "int" | "int2" | "int4" | "integer" | "smallint" => shape::INT4,
            "bigint" | "int8" => shape::INT8,
            "decimal" | "numeric" => shape::NUMERIC,
            "float" | "float4" | "float8" | "real" => shape::FLOAT8,
            "text" | "varchar" => shape::TEXT,
            "uuid" => shape::UUID,
            "date" => shape::DATE,
            "timestamp" => shape::TIMESTAMP,
            "timestamptz" => shape::TIMESTAMPTZ,
            _other => Self::OTHER,
        }
    }

    /// The type of the parameter at a token.
    pub(super) fn shape(&self, name: &str, at: usize, catalog: &CatalogSnapshot) -> Shape {
        let declared = match self {
            Self::Any => return Shape::Unknown,
            Self::Inferred => return Shape::Parameter(at),
            Self::Declared(types) => types,
        };
        match number(name).map(|number| number.checked_sub(1).and_then(|index| declared.get(index))) {
            Some(None | Some(&Self::LEFT)) => Shape::Parameter(at),
            Some(Some(oid)) => Shape::of_declared(*oid, catalog),
            None => Shape::Unknown,
        }
    }
}

/// The number of a parameter: `$01` is `$1`.
pub(super) fn number(name: &str) -> Option<usize> {
    name.trim_start_matches('$').parse().ok()
}
