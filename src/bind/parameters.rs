//! What the parameters of a statement may be, as far as it decides what can fail on a value.

use super::failing::shape;
use crate::names::Oid;

/// What a client may declare the parameters of a statement to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// Of any type: a cast may fail on their values, and be evaluated row by row, and a column may be cast to their type.
    Any,
    /// Of types to and from which only some casts fail: see [`is_known_parameter`].
    Known(Declared),
    /// Of the types that the statement gives them, or integers and booleans: see [`is_plain_parameter`].
    Plain,
}

/// Types that a client declares parameters to be, and whose values may be cast to another and fail, or those of another to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Declared(u8);

impl Declared {
    /// `date`
    pub const DATE: Self = Self(1);
    /// `timestamp`
    pub const TIMESTAMP: Self = Self(2);
    /// `timestamptz`
    pub const ZONED: Self = Self(4);
    /// `numeric`
    pub const NUMERIC: Self = Self(8);
    /// `float4` and `float8`
    pub const FLOAT: Self = Self(16);

    /// These, and what this type is of them.
    #[must_use]
    pub fn with(self, oid: u32) -> Self {
        let more = match oid {
            1082 | 1182 => Self::DATE,
            1114 | 1115 => Self::TIMESTAMP,
            1184 | 1185 => Self::ZONED,
            1700 | 1231 => Self::NUMERIC,
            700 | 701 | 1021 | 1022 => Self::FLOAT,
            _other => Self::default(),
        };
        Self(self.0 | more.0)
    }

    fn any(self, others: &[Self]) -> bool {
        others.iter().any(|other| self.0 & other.0 != 0)
    }
}

impl Parameters {
    /// Whether a parameter may be compared with values of this type, and neither it nor they are cast so that it fails on some.
    pub(super) fn may_meet(self, oid: Oid) -> bool {
        match self {
            Self::Plain => true,
            Self::Known(declared) => match oid {
                shape::DATE => !declared.any(&[Declared::TIMESTAMP, Declared::ZONED]),
                shape::TIMESTAMP => !declared.any(&[Declared::DATE, Declared::ZONED]),
                shape::TIMESTAMPTZ => !declared.any(&[Declared::DATE, Declared::TIMESTAMP]),
                shape::FLOAT4 | shape::FLOAT8 => !declared.any(&[Declared::NUMERIC]),
                shape::NUMERIC => !declared.any(&[Declared::FLOAT]),
                _other => true,
            },
            // A bigint beside an oid is cast to it.
            Self::Any => !matches!(
                oid,
                shape::INT8
                    | shape::NUMERIC
                    | shape::FLOAT4
                    | shape::FLOAT8
                    | shape::DATE
                    | shape::TIMESTAMP
                    | shape::TIMESTAMPTZ
            ),
        }
    }
}

/// Whether values of a type that a client declares a parameter to be (0: what the statement says) pass every cast to the types that
/// constants are cast to without failing: `bool`, `int2`, `int4`, `uuid`.
pub fn is_plain_parameter(oid: u32) -> bool {
    matches!(oid, 0 | 16 | 21 | 23 | 2950)
}

/// Whether it is known what is cast to and from this type: all common ones but `oid`, and their arrays.
pub fn is_known_parameter(oid: u32) -> bool {
    let array = matches!(
        oid,
        1000 | 1001 | 1005 | 1007 | 1009 | 1014..=1016 | 1021 | 1022 | 1115 | 1182 | 1183 | 1185 | 1231 | 2951 | 3807
    );
    array
        || matches!(
            oid,
            0 | 16
                ..=21
                    | 23
                    | 25
                    | 114
                    | 700
                    | 701
                    | 1042
                    | 1043
                    | 1082
                    | 1083
                    | 1114
                    | 1184
                    | 1186
                    | 1266
                    | 1700
                    | 2950
                    | 3802
        )
}
