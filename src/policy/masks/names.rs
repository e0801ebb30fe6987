//! Masks for names of persons, in the Vietnamese order: family name first, given name last. Words are what stands between
//! white space; a value of one word shows no more than its first letter.

use super::{
    Built, MaskDef,
    keyed::KEYED_PARAMS,
    params::{Params, TEXT_PARAMS},
    site::{Site, case, lit},
};

pub(super) const MASKS: &[MaskDef] = &[
    MaskDef { name: "name_initials", params: TEXT_PARAMS, build: initials },
    MaskDef { name: "name_family", params: TEXT_PARAMS, build: family },
    MaskDef { name: "name_given", params: TEXT_PARAMS, build: given },
    MaskDef { name: "name_words", params: TEXT_PARAMS, build: words },
    MaskDef { name: "name_pseudo", params: KEYED_PARAMS, build: pseudo },
];

const SEVERAL_WORDS: &str = r"\S\s+\S";

/// `Nguyễn Thị Minh Khai` → `N*** K***`
fn initials(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    site.need_room(9)?;
    let last = site.call("left", &[&site.substring(r"\S+\s*$"), "1"]);
    let several = site.concat(&[&site.substring(r"\S"), &lit("*** "), &last]);
    // Stars are trimmed too, so that masking twice changes nothing.
    let one = site.call("left", &[&site.call("ltrim", &[&site.x(), "' *'"]), "1"]);
    let letters = case(&site.like(SEVERAL_WORDS), &several, &one);
    Ok(Built::Text(site.concat(&[&letters, &site.fixed("***")])))
}

/// `Nguyễn Thị Minh Khai` → `Nguyễn ***`
fn family(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    site.need_room(5)?;
    let several = site.concat(&[&site.substring(r"\S+"), &lit(" ***")]);
    Ok(Built::Text(case(&site.like(SEVERAL_WORDS), &several, &site.fixed("***"))))
}

/// `Nguyễn Thị Minh Khai` → `*** Khai`
fn given(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    site.need_room(5)?;
    let several = site.concat(&[&lit("*** "), &site.substring(r"(\S+)\s*$")]);
    Ok(Built::Text(case(&site.like(SEVERAL_WORDS), &several, &site.fixed("***"))))
}

/// `Nguyễn Thị Minh Khai` → `N*** T*** M*** K***`
fn words(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    site.need_room(4)?;
    let (pattern, replacement) = (lit(r"(\S)\S*"), lit(r"\1***"));
    Ok(Built::Text(site.call("regexp_replace", &[&site.x(), &pattern, &replacement, "'g'"])))
}

/// `Nguyễn Thị Minh Khai` → `Khách 4QK7ZD`, whatever case and white space.
fn pseudo(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    site.need_room(12)?;
    let digest = site.keyed(params, "name", &site.lower())?;
    Ok(Built::Text(site.unless_empty(&site.concat(&[&lit("Khách "), &site.letters(&digest, 6)]))))
}
