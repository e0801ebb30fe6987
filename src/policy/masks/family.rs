//! What kinds of column types masks tell apart.

use crate::catalog::Column;

/// A group of types that masks treat alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// text, varchar, char(n), citext; `room` is the declared length.
    Text { room: Option<i64> },
    /// smallint, integer, bigint by their least and greatest value.
    Integer { min: i64, max: i64 },
    /// numeric; digits before the point and after it, when declared.
    Numeric { digits: Option<(i32, i32)> },
    /// real and double precision
    Float,
    /// boolean
    Boolean,
    /// date
    Date,
    /// timestamp without time zone
    Timestamp,
    /// timestamp with time zone
    TimestampTz,
    /// json
    Json,
    /// jsonb
    Jsonb,
    /// Any array.
    Array,
    /// An enum.
    Enum,
    /// A domain.
    Domain,
    /// A built-in type with a neutral constant, given as its text.
    Neutral(&'static str),
    /// Anything else: only `null` fits.
    Other,
}

impl Family {
    pub fn of(column: &Column) -> Self {
        match column.type_kind {
            'e' => return Self::Enum,
            'd' => return Self::Domain,
            'm' => return Self::Neutral("{}"),
            'r' => return Self::Neutral("empty"),
            'b' => {}
            _ => return Self::Other,
        }
        let modifier = (column.typmod >= 4).then(|| column.typmod - 4);
        match column.type_oid.0 {
            25 => Self::Text { room: None },
            1042 | 1043 => Self::Text { room: modifier.map(i64::from) },
            21 => Self::Integer { min: i64::from(i16::MIN), max: i64::from(i16::MAX) },
            23 => Self::Integer { min: i64::from(i32::MIN), max: i64::from(i32::MAX) },
            20 => Self::Integer { min: i64::MIN, max: i64::MAX },
            1700 => Self::Numeric { digits: modifier.map(numeric_digits) },
            700 | 701 => Self::Float,
            16 => Self::Boolean,
            1082 => Self::Date,
            1114 => Self::Timestamp,
            1184 => Self::TimestampTz,
            114 => Self::Json,
            3802 => Self::Jsonb,
            1083 => Self::Neutral("00:00"),
            1266 => Self::Neutral("00:00+00"),
            2950 => Self::Neutral("00000000-0000-0000-0000-000000000000"),
            17 => Self::Neutral("\\x"),
            869 => Self::Neutral("0.0.0.0"),
            650 => Self::Neutral("0.0.0.0/0"),
            // interval and money
            1186 | 790 => Self::Neutral("0"),
            3614 | 3615 => Self::Neutral(""),
            _ if column.type_category == 'A' => Self::Array,
            _ if column.type_name == "citext" && column.type_category == 'S' => Self::Text { room: None },
            _ => Self::Other,
        }
    }
}

/// Digits before and after the point from the modifier of numeric (without its offset of 4): precision in the upper
/// half, an 11-bit signed scale in the lower (`numeric_typmod_scale` of PostgreSQL 15; up to 14 the scale was
/// unsigned, where the same bits mean the same for its range of 0 to 1000).
fn numeric_digits(modifier: i32) -> (i32, i32) {
    let precision = (modifier >> 16) & 0xffff;
    let scale = ((modifier & 0x7ff) ^ 1024) - 1024;
    (precision - scale, scale)
}
