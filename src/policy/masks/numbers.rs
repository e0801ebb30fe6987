//! Masks for numbers. Rounding never leaves the column's range: values at its ends are moved inwards first.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a kind of type that a mask does not list does not fit, which is the safe answer for new kinds too"
)]

use super::{
    Built, MaskDef,
    family::Family,
    params::{ParamKind, ParamValue, Params, required},
    site::{Site, lit},
};

pub(super) const MASKS: &[MaskDef] = &[
    MaskDef { name: "num_zero", params: &[], build: zero },
    MaskDef { name: "num_const", params: &[required("value", ParamKind::Scalar)], build: constant },
    MaskDef { name: "num_round", params: &[ROUND], build: round },
    MaskDef { name: "num_bucket", params: &[required("bounds", ParamKind::Integers)], build: bucket },
    MaskDef { name: "num_sign", params: &[], build: sign },
];

const ROUND: super::params::ParamDef =
    super::params::ParamDef { name: "k", ..required("k", ParamKind::Integer(2, 1_000_000_000_000)) };

/// Whether `value` is a value of the column.
pub(super) fn holds(site: &Site<'_>, value: i64) -> Result<(), String> {
    let fits = match site.family {
        Family::Integer { min, max } => (min..=max).contains(&value),
        Family::Numeric { digits: None } | Family::Float => true,
        Family::Numeric { digits: Some((before, _)) } => {
            value == 0
                || before >= 19
                || 10_i128.checked_pow(before.max(0).unsigned_abs()).is_some_and(|end| i128::from(value).abs() < end)
        }
        _ => return Err(site.misfit("a column of numbers")),
    };
    if fits { Ok(()) } else { Err(format!("{value} is no value of {}", site.column.type_sql)) }
}

fn zero(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    fixed(site, 0)
}

fn constant(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    match params.value("value") {
        Some(ParamValue::Integer(value)) => fixed(site, *value),
        Some(ParamValue::Decimal(text)) => {
            holds_decimal(site, text)?;
            Ok(Built::Cast(format!("CASE WHEN {} IS NOT NULL THEN {} END", site.raw(), lit(text))))
        }
        _ => Err("value must be a number".to_owned()),
    }
}

/// Whether the column holds `text`, a number with a fraction, as it is.
fn holds_decimal(site: &Site<'_>, text: &str) -> Result<(), String> {
    let (whole, fraction) = text.trim_start_matches(['-', '+']).split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return Err(format!("{text} is not written in digits"));
    }
    let whole = whole.trim_start_matches('0').chars().count();
    let fits = match site.family {
        Family::Float => true,
        Family::Numeric { digits: None } => text.len() < 1000,
        Family::Numeric { digits: Some((before, behind)) } => {
            let (before, behind) = (usize::try_from(before).unwrap_or(0), usize::try_from(behind).unwrap_or(0));
            whole <= before && fraction.trim_end_matches('0').chars().count() <= behind
        }
        Family::Integer { .. } => false,
        _ => return Err(site.misfit("a column of numbers")),
    };
    if fits { Ok(()) } else { Err(format!("{text} is no value of {}", site.column.type_sql)) }
}

fn fixed(site: &Site<'_>, value: i64) -> Result<Built, String> {
    holds(site, value)?;
    let literal = lit(&value.to_string());
    Ok(Built::Cast(format!("CASE WHEN {} IS NOT NULL THEN {literal} END", site.raw())))
}

/// `k = 10000`: 1,234,567 → 1,230,000. Integers are rounded down, numeric to the nearest, floating point towards zero.
fn round(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    let k = params.integer("k", 1);
    let x = site.raw();
    let step = k.to_string();
    let expression = match site.family {
        Family::Integer { min, max } => {
            if k > max / 2 {
                return Err(format!("k is too large for {}", site.column.type_sql));
            }
            // The least multiple of k in the type: division cuts towards zero. Below it nothing can be rounded down to.
            let least = min / k * k;
            let lit = lit(&least.to_string());
            let remainder = site.call("mod", &[&x, &step]);
            let positive = site.call("mod", &[&site.op(&remainder, "+", &step), &step]);
            let rounded = site.op(&x, "-", &positive);
            format!("CASE WHEN {} THEN {lit} ELSE {rounded} END", site.op(&x, "<", &lit))
        }
        Family::Numeric { digits } => {
            let quotient = site.op(&x, "/", &step);
            let nearest = site.op(&site.call("round", &[&quotient]), "*", &step);
            let towards_zero = site.op(&site.call("trunc", &[&quotient]), "*", &step);
            match digits {
                None => towards_zero_at_the_ends(site, &x, &nearest, &towards_zero),
                Some((before, _)) => {
                    let end = 10_i128.checked_pow(before.max(0).unsigned_abs()).filter(|_| before <= 30);
                    match end {
                        Some(end) => {
                            let most = (end - 1).div_euclid(i128::from(k)) * i128::from(k);
                            let (high, low) = (lit(&most.to_string()), lit(&(-most).to_string()));
                            format!(
                                "CASE WHEN {} THEN {high} WHEN {} THEN {low} ELSE {nearest} END",
                                site.op(&x, ">", &high),
                                site.op(&x, "<", &low)
                            )
                        }
                        None => towards_zero,
                    }
                }
            }
        }
        Family::Float => {
            let absolute = site.call("abs", &[&x]);
            let quotient = site.op(&x, "/", &step);
            let cut = site.op(&site.call("trunc", &[&quotient]), "*", &step);
            let sign = site.op(&site.call("sign", &[&x]), "*", "1e15");
            // Small quotients would underflow, large products overflow, and both errors print nothing but fail.
            format!(
                "CASE WHEN {} THEN 0 WHEN {} THEN {cut} ELSE {sign} END",
                site.op(&absolute, "<", &step),
                site.op(&absolute, "<", "1e15")
            )
        }
        _ => return Err(site.misfit("a column of numbers")),
    };
    Ok(Built::Cast(expression))
}

/// Rounding up could leave the range of numeric itself, far beyond what is a number in practice.
fn towards_zero_at_the_ends(site: &Site<'_>, x: &str, nearest: &str, towards_zero: &str) -> String {
    let small = site.op(&site.call("abs", &[x]), "<", "1e1000");
    format!("CASE WHEN {small} THEN {nearest} ELSE {towards_zero} END")
}

/// The lower bound of the bucket; below the first bound, the first bound.
fn bucket(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    let bounds = params.integers("bounds").unwrap_or_default();
    if !bounds.is_sorted_by(|a, b| a < b) {
        return Err("bounds must be in ascending order".to_owned());
    }
    for bound in bounds {
        holds(site, *bound)?;
    }
    let x = site.raw();
    let mut arms = String::new();
    for bound in bounds.iter().skip(1).rev() {
        let literal = lit(&bound.to_string());
        arms += &["WHEN ", &site.op(&x, ">=", &literal), " THEN ", &literal, " "].concat();
    }
    let lowest = bounds.first().copied().unwrap_or_default();
    Ok(Built::Cast(format!("CASE {arms}WHEN {x} IS NOT NULL THEN {} END", lit(&lowest.to_string()))))
}

/// -1, 0 or 1.
fn sign(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    holds(site, 1)?;
    let x = site.raw();
    let (positive, negative) = (site.op(&x, ">", "0"), site.op(&x, "<", "0"));
    Ok(Built::Cast(format!("CASE WHEN {positive} THEN 1 WHEN {negative} THEN '-1' WHEN {x} IS NOT NULL THEN 0 END")))
}
