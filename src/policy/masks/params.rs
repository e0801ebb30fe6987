//! Parameters of masks: what each mask takes, decoded strictly from its inline table.

use super::{MaskDef, MaskSpec, decode_table};
use crate::policy::{
    rules::{At, Complaints},
    toml_reader::{Table, Value},
};

/// One parameter.
#[derive(Debug)]
pub(super) struct ParamDef {
    pub name: &'static str,
    pub kind: ParamKind,
    pub required: bool,
}

/// What values a parameter takes.
#[derive(Debug)]
pub(super) enum ParamKind {
    Integer(i64, i64),
    Flag,
    Text,
    Choice(&'static [&'static str]),
    Texts,
    Integers,
    /// Any scalar.
    Scalar,
    /// A table of JSON paths and masks.
    Masks,
}

/// A value of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamValue {
    /// An integer.
    Integer(i64),
    /// A number with a fraction, as written.
    Decimal(String),
    /// True or false.
    Flag(bool),
    /// A text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
    /// Integers.
    Integers(Vec<i64>),
    /// Masks by path.
    Masks(Vec<(String, MaskSpec)>),
}

impl ParamValue {
    /// For the label of a mask; none for what would be long.
    pub(super) fn label(&self) -> Option<String> {
        match self {
            Self::Integer(value) => Some(value.to_string()),
            Self::Flag(value) => Some(value.to_string()),
            Self::Integers(values) => Some(values.iter().map(i64::to_string).collect::<Vec<_>>().join(",")),
            Self::Decimal(_) | Self::Text(_) | Self::Texts(_) | Self::Masks(_) => None,
        }
    }
}

/// An integer parameter.
pub(super) const fn integer(name: &'static str, min: i64, max: i64) -> ParamDef {
    ParamDef { name, kind: ParamKind::Integer(min, max), required: false }
}

/// A Boolean parameter.
pub(super) const fn flag(name: &'static str) -> ParamDef {
    ParamDef { name, kind: ParamKind::Flag, required: false }
}

/// A parameter that must be given.
pub(super) const fn required(name: &'static str, kind: ParamKind) -> ParamDef {
    ParamDef { name, kind, required: true }
}

/// `null = "hide"`: NULL reads as the constant too.
pub(super) const NULL: ParamDef =
    ParamDef { name: "null", kind: ParamKind::Choice(&["keep", "hide"]), required: false };
/// `empty = "hide"`: the empty text reads as the constant too.
pub(super) const EMPTY: ParamDef =
    ParamDef { name: "empty", kind: ParamKind::Choice(&["keep", "hide"]), required: false };
/// `normalize = "nfc"`: characters are counted after Unicode normalisation.
pub(super) const NORMALIZE: ParamDef =
    ParamDef { name: "normalize", kind: ParamKind::Choice(&["nfc", "none"]), required: false };
/// What text masks take that have no parameters of their own.
pub(super) const TEXT_PARAMS: &[ParamDef] = &[NULL, EMPTY, NORMALIZE];

/// The parameters of one mask.
pub(super) struct Params<'a> {
    defs: &'static [ParamDef],
    given: &'a [(&'static str, ParamValue)],
}

impl<'a> Params<'a> {
    pub fn new(defs: &'static [ParamDef], given: &'a [(&'static str, ParamValue)]) -> Self {
        Self { defs, given }
    }

    pub fn value(&self, name: &str) -> Option<&'a ParamValue> {
        debug_assert!(self.defs.iter().any(|def| def.name == name) || ["null", "empty", "normalize"].contains(&name));
        self.given.iter().find(|(given, _)| *given == name).map(|(_, value)| value)
    }

    pub fn integer(&self, name: &str, default: i64) -> i64 {
        match self.value(name) {
            Some(ParamValue::Integer(value)) => *value,
            _ => default,
        }
    }

    pub fn flag(&self, name: &str) -> bool {
        matches!(self.value(name), Some(ParamValue::Flag(true)))
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        match self.value(name) {
            Some(ParamValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub fn texts(&self, name: &str) -> Option<&'a [String]> {
        match self.value(name) {
            Some(ParamValue::Texts(texts)) => Some(texts),
            _ => None,
        }
    }

    pub fn integers(&self, name: &str) -> Option<&'a [i64]> {
        match self.value(name) {
            Some(ParamValue::Integers(values)) => Some(values),
            _ => None,
        }
    }

    pub fn masks(&self, name: &str) -> &'a [(String, MaskSpec)] {
        match self.value(name) {
            Some(ParamValue::Masks(masks)) => masks,
            _ => &[],
        }
    }
}

/// Decodes the parameters of `def`; `at` is the place of its name.
pub(super) fn decode(
    def: &'static MaskDef,
    at: At,
    table: Option<Table<'_>>,
    complaints: &mut Complaints<'_>,
) -> Option<Vec<(&'static str, ParamValue)>> {
    let mut given = Vec::new();
    let mut sound = true;
    let mut table = table;
    for param in def.params {
        match table.as_mut().and_then(|table| table.take(param.name)) {
            Some(value) => match decode_value(param, &value, complaints) {
                Some(value) => given.push((param.name, value)),
                None => sound = false,
            },
            None if param.required => {
                let help = format!("Write {{ mask = \"{}\", {} = … }}.", def.name, param.name);
                complaints.add_with_help(at, format!("mask \"{}\" needs parameter {}", def.name, param.name), help);
                sound = false;
            }
            None => {}
        }
    }
    if let Some(table) = table {
        table.finish_params(def.name, complaints);
    }
    sound.then_some(given)
}

fn decode_value(param: &ParamDef, value: &Value<'_>, complaints: &mut Complaints<'_>) -> Option<ParamValue> {
    let name = param.name;
    match &param.kind {
        ParamKind::Integer(min, max) => {
            let number = as_integer(value);
            if let Some(number) = number.filter(|number| (min..=max).contains(&number)) {
                return Some(ParamValue::Integer(number));
            }
            complaints.add(value.at, format!("{name} must be an integer from {min} to {max}"));
            None
        }
        ParamKind::Flag => value.flag(name, complaints).map(ParamValue::Flag),
        ParamKind::Text => plain(value.at, name, value.text(name, complaints)?, complaints).map(ParamValue::Text),
        ParamKind::Choice(known) => {
            let text = value.text(name, complaints)?;
            if known.contains(&text) {
                return Some(ParamValue::Text(text.to_owned()));
            }
            let help = format!("Write one of {}.", known.join(", "));
            complaints.add_with_help(value.at, format!("unknown value \"{text}\" of {name}"), help);
            None
        }
        ParamKind::Texts => {
            let texts = value.texts(name, complaints)?;
            if texts.is_empty() {
                complaints.add(value.at, format!("{name} lists nothing"));
                return None;
            }
            let texts = texts.into_iter().map(|(at, text)| plain(at, name, text, complaints));
            texts.collect::<Option<Vec<_>>>().map(ParamValue::Texts)
        }
        ParamKind::Integers => {
            let numbers: Option<Vec<i64>> = value.list(name, complaints)?.iter().map(as_integer).collect();
            let Some(numbers) = numbers.filter(|numbers| !numbers.is_empty()) else {
                complaints.add(value.at, format!("{name} must be a list of integers"));
                return None;
            };
            Some(ParamValue::Integers(numbers))
        }
        ParamKind::Scalar => {
            if let Some(number) = as_integer(value) {
                return Some(ParamValue::Integer(number));
            }
            if let Some(float) = value.raw.as_float() {
                return Some(ParamValue::Decimal(float.as_str().replace('_', "")));
            }
            if let Some(flag) = value.raw.as_bool() {
                return Some(ParamValue::Flag(flag));
            }
            plain(value.at, name, value.text(name, complaints)?, complaints).map(ParamValue::Text)
        }
        ParamKind::Masks => {
            let mut table = value.table(name, complaints)?;
            let mut masks = Vec::new();
            let mut sound = true;
            for entry in table.take_all() {
                let spec = match entry.value.raw.as_str() {
                    Some(mask) => decode_named(mask, &entry.value, complaints),
                    None => decode_table(&entry.value, complaints),
                };
                match spec {
                    Some(spec) => masks.push((entry.key.to_owned(), spec)),
                    None => sound = false,
                }
            }
            sound.then_some(ParamValue::Masks(masks))
        }
    }
}

fn decode_named(mask: &str, value: &Value<'_>, complaints: &mut Complaints<'_>) -> Option<MaskSpec> {
    super::decode(mask, value.at, None, complaints)
}

fn as_integer(value: &Value<'_>) -> Option<i64> {
    let integer = value.raw.as_integer()?;
    i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok()
}

/// A text that can stand in SQL: without control characters, one of which marks the operand in templates.
fn plain(at: At, name: &str, text: &str, complaints: &mut Complaints<'_>) -> Option<String> {
    if text.chars().any(char::is_control) {
        complaints.add(at, format!("{name} must not hold control characters"));
        return None;
    }
    Some(text.to_owned())
}
