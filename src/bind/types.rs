//! Type names: those that are grammar keywords pass, others are looked up later by name.

use sqlparser::ast::{ArrayElemTypeDef, DataType, ExactNumberInfo, ObjectNamePart, TimezoneInfo};

use super::binder::Binder;
use crate::{catalog::overloads::Typed, error::Refusal, names::Oid};

impl Binder<'_> {
    /// Accounts for a type name.
    pub(super) fn data_type(&mut self, data_type: &DataType) -> Result<(), Refusal> {
        match data_type {
            DataType::Custom(name, _modifiers) => {
                let (parts, tokens) = self.parts(name)?;
                if let Some(last) = parts.last() {
                    self.bound.types.push((last.clone(), tokens));
                }
                Ok(())
            }
            DataType::Array(ArrayElemTypeDef::SquareBracket(inner, _) | ArrayElemTypeDef::Qualified(inner, _)) => {
                self.data_type(inner)
            }
            DataType::Character(_)
            | DataType::Char(_)
            | DataType::CharacterVarying(_)
            | DataType::CharVarying(_)
            | DataType::Varchar(_)
            | DataType::Uuid
            | DataType::Numeric(_)
            | DataType::Decimal(_)
            | DataType::Dec(_)
            | DataType::Float(_)
            | DataType::Int2(_)
            | DataType::SmallInt(_)
            | DataType::Int(_)
            | DataType::Int4(_)
            | DataType::Int8(_)
            | DataType::Integer(_)
            | DataType::BigInt(_)
            | DataType::Float4
            | DataType::Real
            | DataType::Float8
            | DataType::DoublePrecision
            | DataType::Bool
            | DataType::Boolean
            | DataType::Date
            | DataType::Time(..)
            | DataType::Timestamp(..)
            | DataType::Interval { fields: _, precision: _ }
            | DataType::JSON
            | DataType::JSONB
            | DataType::Regclass
            | DataType::Text
            | DataType::Bytea
            | DataType::Bit(_)
            | DataType::BitVarying(_)
            | DataType::VarBit(_)
            | DataType::GeometricType(_)
            | DataType::TsVector
            | DataType::TsQuery => Ok(()),
            DataType::Array(
                ArrayElemTypeDef::None
                | ArrayElemTypeDef::AngleBracket(_)
                | ArrayElemTypeDef::Parenthesis(_)
                | ArrayElemTypeDef::ParenthesisNotNull(_),
            )
            | DataType::Table(_)
            | DataType::NamedTable { .. }
            | DataType::Nvarchar(_)
            | DataType::CharacterLargeObject(_)
            | DataType::CharLargeObject(_)
            | DataType::Clob(_)
            | DataType::Binary(_)
            | DataType::Varbinary(_)
            | DataType::Blob(_)
            | DataType::TinyBlob
            | DataType::MediumBlob
            | DataType::LongBlob
            | DataType::Bytes(_)
            | DataType::DecimalUnsigned(_)
            | DataType::BigNumeric(_)
            | DataType::BigDecimal(_)
            | DataType::DecUnsigned(_)
            | DataType::FloatUnsigned(_)
            | DataType::TinyInt(_)
            | DataType::TinyIntUnsigned(_)
            | DataType::UTinyInt
            | DataType::Int2Unsigned(_)
            | DataType::SmallIntUnsigned(_)
            | DataType::USmallInt
            | DataType::MediumInt(_)
            | DataType::MediumIntUnsigned(_)
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Int128
            | DataType::Int256
            | DataType::IntUnsigned(_)
            | DataType::Int4Unsigned(_)
            | DataType::IntegerUnsigned(_)
            | DataType::HugeInt
            | DataType::UHugeInt
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64
            | DataType::UInt128
            | DataType::UInt256
            | DataType::BigIntUnsigned(_)
            | DataType::UBigInt
            | DataType::Int8Unsigned(_)
            | DataType::Signed
            | DataType::SignedInteger
            | DataType::Unsigned
            | DataType::UnsignedInteger
            | DataType::Float32
            | DataType::Float64
            | DataType::RealUnsigned
            | DataType::Double(_)
            | DataType::DoubleUnsigned(_)
            | DataType::DoublePrecisionUnsigned
            | DataType::Zerofill(_)
            | DataType::Date32
            | DataType::Datetime(_)
            | DataType::Datetime64(..)
            | DataType::TimestampNtz(_)
            | DataType::TinyText
            | DataType::MediumText
            | DataType::LongText
            | DataType::String(_)
            | DataType::Collate(..)
            | DataType::FixedString(_)
            | DataType::Map(..)
            | DataType::Tuple(_)
            | DataType::Nested(_)
            | DataType::Object(_)
            | DataType::Enum(..)
            | DataType::Set(_)
            | DataType::Struct(..)
            | DataType::Union(_)
            | DataType::Nullable(_)
            | DataType::LowCardinality(_)
            | DataType::Unspecified
            | DataType::Trigger
            | DataType::AnyType => Err(Self::unsupported("this type name")),
        }
    }

    /// The type that a name means, when it is one of `pg_catalog` that no other stands beside, or the only one of the database.
    #[allow(clippy::wildcard_enum_match_arm, reason = "of all other forms nothing is known, which is always right")]
    pub(super) fn type_named(&self, data_type: &DataType) -> Typed {
        let Some(overloads) = self.overloads() else { return Typed::Any };
        let oid = match data_type {
            DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) => Some(1700),
            DataType::SmallInt(_) => Some(21),
            DataType::Int(_) | DataType::Integer(_) => Some(23),
            DataType::BigInt(_) => Some(20),
            DataType::Real => Some(700),
            DataType::DoublePrecision | DataType::Float(ExactNumberInfo::None) => Some(701),
            DataType::Boolean => Some(16),
            DataType::CharacterVarying(_) | DataType::Varchar(_) => Some(1043),
            DataType::Character(_) | DataType::Char(_) => Some(1042),
            DataType::Timestamp(_, zone) => Some(if has_zone(*zone) { 1184 } else { 1114 }),
            DataType::Time(_, zone) => Some(if has_zone(*zone) { 1266 } else { 1083 }),
            DataType::Interval { fields: _, precision: _ } => Some(1186),
            _ => None,
        };
        if let Some(oid) = oid {
            return self.known(Oid(oid));
        }
        let name = match data_type {
            DataType::Array(ArrayElemTypeDef::SquareBracket(inner, _)) => {
                let Typed::Known(element) = self.type_named(inner) else { return Typed::Any };
                return overloads.array_of(element).map_or(Typed::Any, Typed::Known);
            }
            DataType::Custom(name, _) => match name.0.as_slice() {
                [ObjectNamePart::Identifier(ident)] => ident.value.clone(),
                _ => return Typed::Any,
            },
            DataType::Text => "text".to_owned(),
            DataType::Uuid => "uuid".to_owned(),
            DataType::Date => "date".to_owned(),
            DataType::JSON => "json".to_owned(),
            DataType::JSONB => "jsonb".to_owned(),
            DataType::Bytea => "bytea".to_owned(),
            DataType::Bool => "bool".to_owned(),
            DataType::Int2(_) => "int2".to_owned(),
            DataType::Int4(_) => "int4".to_owned(),
            DataType::Int8(_) => "int8".to_owned(),
            DataType::Float4 => "float4".to_owned(),
            DataType::Float8 => "float8".to_owned(),
            _ => return Typed::Any,
        };
        let mut users = self.catalog.types_named(&name).filter(|user| self.path.contains(&user.schema));
        match (overloads.named(&name), users.next(), users.next()) {
            (Some(oid), None, _) => Typed::Known(oid),
            (None, Some(user), None) => self.known(user.oid),
            (_, _, _) => Typed::Any,
        }
    }
}

fn has_zone(zone: TimezoneInfo) -> bool {
    matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz)
}
