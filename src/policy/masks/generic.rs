//! Masks for any column: `null`, `constant`, `full`, `partial`.

use super::{
    Built, MaskDef,
    family::Family,
    params::{EMPTY, NORMALIZE, NULL, ParamDef, ParamKind, ParamValue, Params, flag, integer, required},
    site::{STARS, Site, case, lit},
};

pub(super) const MASKS: &[MaskDef] = &[
    MaskDef { name: "null", params: &[flag("allow_null_in_not_null")], build: null },
    MaskDef { name: "constant", params: &[required("value", ParamKind::Scalar), NULL], build: constant },
    MaskDef { name: "full", params: &[flag("keep_length"), NULL, EMPTY], build: full },
    MaskDef { name: "partial", params: PARTIAL, build: partial },
];

const PARTIAL: &[ParamDef] = &[
    integer("first", 0, 100),
    integer("last", 0, 100),
    ParamDef { name: "fill", kind: ParamKind::Text, required: false },
    integer("min", 1, 1000),
    flag("keep_length"),
    NULL,
    EMPTY,
    NORMALIZE,
];

fn null(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    if site.column.not_null && !params.flag("allow_null_in_not_null") {
        return Err("the column is NOT NULL and clients may not expect NULL; write { mask = \"null\", \
                    allow_null_in_not_null = true } to do it all the same"
            .to_owned());
    }
    Ok(Built::Cast("NULL".to_owned()))
}

fn constant(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    let value = match params.value("value") {
        Some(ParamValue::Text(text)) => text.clone(),
        Some(ParamValue::Integer(number)) => number.to_string(),
        Some(ParamValue::Decimal(number)) => number.clone(),
        Some(ParamValue::Flag(flag)) => flag.to_string(),
        _ => return Err("it needs a value".to_owned()),
    };
    check_constant(site, &value)?;
    Ok(in_place_of(site, params, &value))
}

/// Complains unless the type's input function is sure to take `value`.
fn check_constant(site: &Site<'_>, value: &str) -> Result<(), String> {
    let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
    let fits = match site.family {
        Family::Text { room } => room.is_none_or(|room| i64::try_from(value.chars().count()).is_ok_and(|n| n <= room)),
        Family::Integer { min, max } => value.parse::<i64>().is_ok_and(|number| (min..=max).contains(&number)),
        Family::Numeric { digits } => number.is_some_and(|number| {
            digits.is_none_or(|(before, _)| number.abs() < 10_f64.powi(before) - 1.0 || number == 0.0)
        }),
        Family::Float => number.is_some_and(|number| number == 0.0 || (1e-30..1e30).contains(&number.abs())),
        Family::Boolean => ["true", "false"].contains(&value),
        Family::Date => super::dates::is_date(value),
        Family::Timestamp | Family::TimestampTz => super::dates::is_timestamp(value),
        Family::Json | Family::Jsonb => serde_json::from_str::<serde_json::Value>(value).is_ok(),
        Family::Enum => site.enum_labels().iter().any(|label| label == value),
        // What a domain checks is not known here; its error would print the constant alone.
        Family::Domain => true,
        Family::Neutral(neutral) => value == neutral,
        Family::Array | Family::Other => return Err(format!("no constant fits {}", site.column.type_sql)),
    };
    if fits { Ok(()) } else { Err(format!("its value is no value of {}", site.column.type_sql)) }
}

fn full(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    let value = match site.family {
        Family::Text { .. } if params.flag("keep_length") => {
            return Ok(Built::Text(site.call("repeat", &["'*'", &site.length()])));
        }
        Family::Text { .. } => {
            site.need_room(5)?;
            return Ok(Built::Text(site.stars()));
        }
        Family::Integer { .. } | Family::Numeric { .. } | Family::Float => "0",
        Family::Boolean => "false",
        Family::Date => "1970-01-01",
        Family::Timestamp => "1970-01-01 00:00:00",
        Family::TimestampTz => "1970-01-01 00:00:00Z",
        Family::Json | Family::Jsonb => "\"*****\"",
        Family::Array => "{}",
        Family::Neutral(neutral) => neutral,
        Family::Enum | Family::Domain | Family::Other => {
            return Err(format!("no constant fits {}; use null or withhold", site.column.type_sql));
        }
    };
    Ok(in_place_of(site, params, value))
}

/// `value` in place of everything but NULL, or in place of that too.
fn in_place_of(site: &Site<'_>, params: &Params<'_>, value: &str) -> Built {
    let literal = lit(value);
    if params.text("null") == Some("hide") {
        Built::Cast(literal)
    } else {
        Built::Cast(format!("CASE WHEN {} IS NOT NULL THEN {literal} END", site.raw()))
    }
}

fn partial(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    let (first, last) = (params.integer("first", 0), params.integer("last", 0));
    let fill = params.text("fill").unwrap_or("*");
    if fill.chars().count() != 1 {
        return Err("fill must be one character".to_owned());
    }
    let min = params.integer("min", (first + last + 4).max(2 * (first + last)));
    if min < 2 * (first + last) || min <= first + last {
        return Err(format!(
            "it would reveal more than half of a short value: min must be at least {}",
            (2 * (first + last)).max(first + last + 1)
        ));
    }
    if params.flag("keep_length") {
        return partial_of_length(site, first, last, min, fill);
    }
    site.need_room(first + last + 5)?;
    let fixed = STARS.replace('*', fill);
    let mut short = site.op(&site.length(), "<", &min.to_string());
    if min > first + last + 5 {
        // The mask's own output is shorter than `min`: left as it is, so that masking twice changes nothing.
        let middle = site.call("substr", &[&site.x(), &(first + 1).to_string(), "5"]);
        short = format!("{short} AND {}", site.op(&middle, "<>", &lit(&fixed)));
    }
    let mut shown = Vec::new();
    if first > 0 {
        shown.push(site.left(first));
    }
    shown.push(lit(&fixed));
    if last > 0 {
        shown.push(site.right(last));
    }
    if first + last == 0 {
        return Ok(Built::Text(site.fixed(&fixed)));
    }
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    Ok(Built::Text(case(&short, &site.fixed(&fixed), &site.concat(&shown))))
}

/// As many characters as the value has: its length is shown too, which tells people apart.
fn partial_of_length(site: &Site<'_>, first: i64, last: i64, min: i64, fill: &str) -> Result<Built, String> {
    site.need_text()?;
    let fill = lit(fill);
    let hidden = site.call("repeat", &[&fill, &site.op(&site.length(), "-", &(first + last).to_string())]);
    let all = site.call("repeat", &[&fill, &site.length()]);
    let short = site.op(&site.length(), "<", &min.to_string());
    Ok(Built::Text(case(&short, &all, &site.concat(&[&site.left(first), &hidden, &site.right(last)]))))
}
