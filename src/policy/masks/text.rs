//! Masks for free text. `text_scrub` finds addresses and runs of digits; names, postal addresses and numbers in words it
//! does not find: best effort, never the only control.

use super::{
    Built, MaskDef,
    keyed::FULL_WIDTH_DIGITS,
    params::{EMPTY, NULL, ParamDef, ParamKind, Params, integer},
    site::{Site, lit},
};

pub(super) const MASKS: &[MaskDef] = &[
    MaskDef { name: "text_redact", params: &[NULL, EMPTY], build: redact },
    MaskDef { name: "text_first", params: FIRST, build: first },
    MaskDef { name: "text_scrub", params: SCRUB, build: scrub },
];

const FIRST: &[ParamDef] = &[integer("n", 1, 200), NULL];
const SCRUB: &[ParamDef] = &[ParamDef { name: "kinds", kind: ParamKind::Texts, required: false }, NULL];

/// Kind, pattern, what stands in its place; in the order in which they are looked for. Long runs come first, so that
/// no shorter pattern leaves the rest of one.
const KINDS: [(&str, &str, &str); 6] = [
    ("email", r#"[^][\s<>(),;:"]+@[^][\s<>(),;:"]+"#, "[email]"),
    ("url", r"(https?|ftp)://\S+|www[.]\S+", "[url]"),
    ("card", "[0-9]([ .,()/_-]{0,2}[0-9]){12,}", "[thẻ]"),
    ("cccd", "(?<![0-9])[0-9]([ .,()/_-]{0,2}[0-9]){11}(?![0-9])", "[cccd]"),
    ("phone", "(?<![0-9])([+]?84|0)([ .,()/_-]{0,2}[0-9]){8,10}(?![0-9])", "[sđt]"),
    ("number", "[0-9]([ .,()/_-]{0,2}[0-9]){8,}", "[số]"),
];

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
            text = site.call("regexp_replace", &[&text, &lit(pattern), &lit(token), "'g'"]);
        }
    }
    Ok(text)
}
