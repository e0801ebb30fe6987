//! What is known of the types of what conditions compare. In: columns and types of the catalog. Out: [`Shape`]s, and whether two of them meet
//! without a cast that fails on some values. Invariant: of what is not listed here nothing is known, and it meets nothing.

use crate::{
    catalog::{CatalogSnapshot, Column, data::TypeData},
    names::{FIRST_USER_OID, Oid},
};

pub const BOOL: Oid = Oid(16);
pub const BYTEA: Oid = Oid(17);
pub const NAME: Oid = Oid(19);
pub const INT8: Oid = Oid(20);
pub const INT2: Oid = Oid(21);
pub const INT4: Oid = Oid(23);
pub const TEXT: Oid = Oid(25);
pub const CIDR: Oid = Oid(650);
pub const FLOAT4: Oid = Oid(700);
pub const FLOAT8: Oid = Oid(701);
pub const INET: Oid = Oid(869);
pub const BPCHAR: Oid = Oid(1042);
pub const VARCHAR: Oid = Oid(1043);
pub const DATE: Oid = Oid(1082);
pub const TIME: Oid = Oid(1083);
pub const TIMESTAMP: Oid = Oid(1114);
pub const TIMESTAMPTZ: Oid = Oid(1184);
pub const INTERVAL: Oid = Oid(1186);
pub const NUMERIC: Oid = Oid(1700);
pub const UUID: Oid = Oid(2950);
pub const JSONB: Oid = Oid(3802);

/// Types of columns of which comparing two values fails on none.
const COMPARABLE: &[Oid] = &[
    BOOL,
    BYTEA,
    INT8,
    INT2,
    INT4,
    TEXT,
    CIDR,
    FLOAT4,
    FLOAT8,
    INET,
    BPCHAR,
    VARCHAR,
    DATE,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    INTERVAL,
    NUMERIC,
    UUID,
    JSONB,
];

/// What is known of the type of an expression, as far as it decides whether a comparison can fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// Nothing, or that comparing two values of it may fail.
    #[default]
    Unknown,
    /// A constant in quotes, or NULL: it becomes what it meets when the statement is parsed, or not at all.
    Literal,
    /// A number, which is cast when the statement is planned.
    Number,
    /// The parameter at this token.
    Parameter(usize),
    /// A date or a moment that stands in the statement, at this token, or is the one at hand: its type, which it may be cast to one with more from.
    Moment(Oid, Option<usize>),
    /// Of this type.
    Of(Oid),
    /// An array of values of this type.
    Elements(Oid),
}

/// Types of arrays that parameters are declared as, and those of their elements.
const ARRAYS: &[(Oid, Oid)] = &[
    (Oid(1000), BOOL),
    (Oid(1001), BYTEA),
    (Oid(1007), INT4),
    (Oid(1009), TEXT),
    (Oid(1016), INT8),
    (Oid(1022), FLOAT8),
    (Oid(1115), TIMESTAMP),
    (Oid(1182), DATE),
    (Oid(1183), TIME),
    (Oid(1185), TIMESTAMPTZ),
    (Oid(1187), INTERVAL),
    (Oid(1231), NUMERIC),
    (Oid(2951), UUID),
    (Oid(3807), JSONB),
];

/// The type that stands for all of which the same can fail as of a type that a parameter is declared to be, so that one plan serves them.
pub fn representative(oid: Oid) -> Oid {
    match oid {
        INT2 => INT4,
        FLOAT4 => FLOAT8,
        VARCHAR | BPCHAR => TEXT,
        // Arrays of these.
        Oid(1005) => Oid(1007),
        Oid(1021) => Oid(1022),
        Oid(1014 | 1015) => Oid(1009),
        other => other,
    }
}

impl Shape {
    /// That of a parameter which is declared to be of a type.
    pub fn of_declared(oid: Oid, catalog: &CatalogSnapshot) -> Self {
        if COMPARABLE.contains(&oid) {
            return Self::Of(oid);
        }
        if let Some((_, element)) = ARRAYS.iter().find(|(array, _)| *array == oid) {
            return Self::Elements(*element);
        }
        let is_enum = |found: &TypeData| found.oid == oid && found.kind == 'e' && oid >= FIRST_USER_OID;
        if catalog.data().types.iter().any(is_enum) { Self::Of(oid) } else { Self::Unknown }
    }

    /// That of a column.
    pub fn of_column(column: &Column) -> Self {
        let stored = COMPARABLE.contains(&column.type_oid) && column.collation.is_none();
        let is_enum = column.type_kind == 'e' && column.type_oid >= FIRST_USER_OID;
        if stored || is_enum { Self::Of(column.type_oid) } else { Self::Unknown }
    }

    /// What it is as a column of a sub-select: constants have types there.
    pub fn settled(self) -> Self {
        match self {
            Self::Literal => Self::Of(TEXT),
            // It may have a fraction.
            Self::Number => Self::Of(NUMERIC),
            // What becomes of it the statement around says.
            Self::Parameter(_) => Self::Unknown,
            Self::Moment(oid, _) => Self::Of(oid),
            Self::Unknown | Self::Of(_) | Self::Elements(_) => self,
        }
    }

    /// What it is as an item of a list that is united with others.
    pub fn settled_in_list(self) -> Self {
        match self {
            Self::Literal => self,
            Self::Unknown | Self::Number | Self::Parameter(_) | Self::Moment(..) | Self::Of(_) | Self::Elements(_) => {
                self.settled()
            }
        }
    }

    pub fn is_text(self) -> bool {
        matches!(self, Self::Of(oid) if TEXTS.contains(&oid))
    }

    /// What two become that are compared, or united in one column; none where that may take a cast that fails on some values. Of parameters and
    /// moments only [`super::Judge::agree`] knows.
    pub fn meets(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Unknown | Self::Parameter(_) | Self::Moment(..), _)
            | (_, Self::Unknown | Self::Parameter(_) | Self::Moment(..))
            | (Self::Elements(_), Self::Number | Self::Of(_))
            | (Self::Number | Self::Of(_), Self::Elements(_)) => None,
            (Self::Literal, known) | (known, Self::Literal) => Some(known),
            (Self::Number, Self::Number) => Some(Self::Number),
            (Self::Number, Self::Of(oid)) | (Self::Of(oid), Self::Number) => {
                if INTEGERS.contains(&oid) || oid == NUMERIC {
                    Some(Self::Of(NUMERIC))
                } else {
                    FLOATS.contains(&oid).then_some(Self::Of(FLOAT8))
                }
            }
            (Self::Of(one), Self::Of(other)) => common(one, other).map(Self::Of),
            (Self::Elements(one), Self::Elements(other)) => (one == other).then_some(self),
        }
    }
}

/// Whether moments of these millennia of one type are moments of the other.
pub fn dates(one: Oid, other: Oid) -> bool {
    let order = [DATE, TIMESTAMP, TIMESTAMPTZ];
    let place = |oid| order.iter().position(|known| *known == oid);
    place(one).zip(place(other)).is_some_and(|(one, other)| one <= other)
}

const INTEGERS: &[Oid] = &[INT2, INT4, INT8];
const FLOATS: &[Oid] = &[FLOAT4, FLOAT8];
const TEXTS: &[Oid] = &[TEXT, VARCHAR, BPCHAR, NAME];

/// The type that values of two types have in common, to which both are cast without failing. A numeric may not fit a float, nor a date a timestamp.
pub fn common(one: Oid, other: Oid) -> Option<Oid> {
    let both = |types: &[Oid]| types.contains(&one) && types.contains(&other);
    let between = |types: &[Oid], wide: &[Oid]| {
        (types.contains(&one) && wide.contains(&other)) || (wide.contains(&one) && types.contains(&other))
    };
    if one == other {
        Some(one)
    } else if both(INTEGERS) {
        Some(if one == INT8 || other == INT8 { INT8 } else { INT4 })
    } else if between(INTEGERS, &[NUMERIC]) {
        Some(NUMERIC)
    } else if both(FLOATS) || between(INTEGERS, FLOATS) {
        Some(FLOAT8)
    } else {
        both(TEXTS).then_some(TEXT)
    }
}

/// Whether a comparison of built-in types may run what the shop has made: a cast that is made without being asked for (`CREATE CAST … WITH
/// INOUT AS IMPLICIT`), or an operator that is called like a built-in one and takes its types, or enums.
pub fn brings_conversions(catalog: &CatalogSnapshot) -> bool {
    let is_enum = |oid: Oid| catalog.data().types.iter().any(|kind| kind.oid == oid && kind.kind == 'e');
    let built_in = |oid: Option<Oid>| oid.is_some_and(|oid| oid < FIRST_USER_OID || is_enum(oid));
    let comparisons = ["=", "<>", "!=", "<", ">", "<=", ">="];
    let operators = comparisons.iter().flat_map(|name| catalog.operators_named(name));
    let mut own = operators.filter(|operator| operator.extension.is_none());
    catalog.data().casts_implicitly || own.any(|operator| built_in(operator.left) && built_in(Some(operator.right)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_fit_meets_nothing() {
        let of = Shape::Of;
        for (one, other) in [
            (NUMERIC, FLOAT8),
            (NUMERIC, FLOAT4),
            (DATE, TIMESTAMP),
            (DATE, TIMESTAMPTZ),
            (TIMESTAMP, TIMESTAMPTZ),
            (TEXT, INT4),
            (Oid(20_000), Oid(20_001)),
        ] {
            assert_eq!(of(one).meets(of(other)), None, "{one:?} {other:?}");
            assert_eq!(of(other).meets(of(one)), None, "{other:?} {one:?}");
        }
        assert_eq!(of(INT4).meets(of(INT8)), Some(of(INT8)));
        assert_eq!(of(INT2).meets(of(FLOAT4)), Some(of(FLOAT8)));
        assert_eq!(of(BPCHAR).meets(of(NAME)), Some(of(TEXT)));
        assert_eq!(of(INT4).meets(Shape::Number), Some(of(NUMERIC)));
        // `1.5` beside an integer, and beside a float later.
        assert_eq!(of(INT4).meets(Shape::Number).unwrap().meets(of(FLOAT8)), None);
        assert_eq!(Shape::Unknown.meets(Shape::Literal), None);
    }
}
