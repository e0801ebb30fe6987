//! Masks for free text. `text_scrub` finds addresses and runs of digits; names, postal addresses and numbers in words it
//! does not find: best effort, never the only control.

use super::{
    Built, MaskDef,
    keyed::FULL_WIDTH_DIGITS,
    params::{EMPTY, NULL, ParamDef, ParamKind, Params, integer, required},
    site::{Site, case, lit},
};

pub(super) const MASKS: &[MaskDef] = &[
    MaskDef { name: "text_redact", params: &[NULL, EMPTY], build: redact },
    MaskDef { name: "text_first", params: FIRST, build: first },
    MaskDef { name: "text_scrub", params: SCRUB, build: scrub },
    MaskDef { name: "range_text", params: RANGE, build: range },
];

const FIRST: &[ParamDef] = &[integer("n", 1, 200), NULL];
const SCRUB: &[ParamDef] = &[ParamDef { name: "kinds", kind: ParamKind::Texts, required: false }, NULL];

const RANGE: &[ParamDef] = &[
    required("bounds", ParamKind::Integers),
    ParamDef { name: "labels", kind: ParamKind::Texts, required: false },
    NULL,
    EMPTY,
];

/// Kind, pattern, what stands in its place; in the order in which they are looked for. Long runs come first, so that
/// no shorter pattern leaves the rest of one. `~` stands for what may separate digits ([`SEPARATORS`]).
const KINDS: [(&str, &str, &str); 6] = [
    ("email", r#"[^][\s<>(),;:"]+@[^][\s<>(),;:"]+"#, "[email]"),
    ("url", r"(?i)(https?|ftp)://\S+|www[.]\S+", "[url]"),
    ("card", "[0-9](~[0-9]){12,}", "[thẻ]"),
    ("cccd", "(?<![0-9])[0-9](~[0-9]){11}(?![0-9])", "[cccd]"),
    ("phone", "(?<![0-9])([+]?84|0)(~[0-9]){8,10}(?![0-9])", "[sđt]"),
    ("number", "[0-9](~[0-9]){8,}", "[số]"),
];

/// What people, web pages and documents put between the digits of a number: spaces of any width, also of none and between lines,
/// dashes, dots, brackets, soft hyphens. Written out, for what is a space otherwise depends on the collation.
const SEPARATORS: &str = r"[ .,()/_\t\n\r\v\f\u0085\u00a0\u00ad\u00b7\u034f\u061c\u1680\u180e\u2000-\u2015\u2022\u2024\u2028-\u202f\u2043\u2044\u205f-\u2064\u2066-\u206f\u2212\u2215\u3000\u30fb\ufe00-\ufe0f\ufe58\ufe63\ufeff\uff0d\uff0e-]{0,4}";

fn redact(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    site.need_room(5)?;
    Ok(Built::Text(site.stars()))
}

/// The first `n` characters (default 20) of the scrubbed text.
fn first(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    let n = params.integer("n", 20);
    let scrubbed = scrubbed(site, None)?;
    Ok(Built::Text(site.call("left", &[&scrubbed, &n.to_string()])))
}

fn scrub(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    Ok(Built::Text(scrubbed(site, params.texts("kinds"))?))
}

fn scrubbed(site: &Site<'_>, kinds: Option<&[String]>) -> Result<String, String> {
    site.need_room(7)?;
    site.need_utf8()?;
    if let Some(unknown) = kinds.into_iter().flatten().find(|kind| KINDS.iter().all(|(name, ..)| name != kind)) {
        return Err(format!("unknown kind \"{unknown}\"; kinds are email, url, card, phone, cccd and number"));
    }
    // Full-width digits are digits to the reader.
    let mut text = site.call("translate", &[&site.x(), FULL_WIDTH_DIGITS, "'0123456789'"]);
    for (name, pattern, token) in KINDS {
        if kinds.is_none_or(|kinds| kinds.iter().any(|kind| kind == name)) {
            text = site.call("regexp_replace", &[&text, &lit(&pattern.replace('~', SEPARATORS)), &lit(token), "'g'"]);
        }
    }
    Ok(text)
}

/// `bounds = [1000000, 2000000]`: a whole number that is stored as text, thousands apart or not, becomes the range that it
/// is in: `<1000000`, `1000000–1999999`, `≥2000000`, or the rule's own label of that range. Other texts are hidden.
fn range(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    site.need_utf8()?;
    let bounds = params.integers("bounds").unwrap_or_default();
    if !bounds.is_sorted_by(|a, b| a < b) || bounds.iter().any(|bound| *bound < 0) {
        return Err("bounds must be in ascending order, from 0".to_owned());
    }
    let labels = match params.texts("labels") {
        Some(labels) => labels.to_vec(),
        None => range_labels(bounds),
    };
    if labels.len() != bounds.len() + 1 {
        return Err(format!("{} bounds make {} ranges, each of which needs a label", bounds.len(), bounds.len() + 1));
    }
    // The label of a range stays as it is, so that masking twice changes nothing; a number must not pass for one.
    let number = |label: &String| label.is_empty() || label.chars().all(|c| c.is_ascii_digit() || " .,".contains(c));
    if labels.iter().any(number) {
        return Err("a label must hold more than digits".to_owned());
    }
    let longest = labels.iter().map(|label| label.chars().count()).max().unwrap_or_default();
    site.need_room(i64::try_from(longest.max(5)).unwrap_or(i64::MAX))?;
    let x = site.x();
    let digits = format!("{}::bigint", site.call("translate", &[&x, "' .,'", "''"]));
    let mut arms = String::new();
    for (bound, label) in bounds.iter().zip(labels.iter().skip(1)).rev() {
        arms += &["WHEN ", &site.op(&digits, ">=", &bound.to_string()), " THEN ", &lit(label), " "].concat();
    }
    let lowest = lit(labels.first().map_or("", String::as_str));
    let ranged = format!("CASE {arms}ELSE {lowest} END");
    let is_label = labels.iter().map(|label| site.op(&x, "=", &lit(label))).collect::<Vec<_>>().join(" OR ");
    let shown = case(&site.like("^[0-9]{1,3}([ .,]?[0-9]{3}){0,5}$"), &ranged, &site.stars());
    Ok(Built::Text(case(&is_label, &x, &shown)))
}

fn range_labels(bounds: &[i64]) -> Vec<String> {
    let mut labels = Vec::new();
    let mut least = None;
    for bound in bounds {
        labels.push(match least {
            None => format!("<{bound}"),
            Some(least) => format!("{least}–{}", bound - 1),
        });
        least = Some(bound);
    }
    labels.extend(least.map(|least| format!("≥{least}")));
    labels
}
