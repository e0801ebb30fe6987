//! Masks for names of persons, in the Vietnamese order: family name first, given name last. Words are what stands between
//! white space (initials: between spaces); a value of one word shows no more than its first letter, and a word of one letter, which
//! would be shown whole, nothing.
//!
//! No pattern here may look at the rest of the text again from every letter: a long value would hold the server.

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

/// `Nguyễn Thị Minh Khai` → `N*** K***`, `An` → `A***`; nothing of `A` and `A B`.
fn initials(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    site.need_room(9)?;
    let first = site.call("left", &[&site.call("ltrim", &[&site.x()]), "1"]);
    let last = site.call("left", &[&site.last_part(&site.call("rtrim", &[&site.x()]), " "), "1"]);
    let several = site.concat(&[&first, &lit("*** "), &last]);
    // A letter with something after it. Stars are passed over, so that masking twice changes nothing.
    let one = format!("coalesce({},'')", site.substring(r"([^\s*])\S"));
    let letters = case(&site.like("[^ ]([^ ] +| +[^ ])[^ ]"), &several, &one);
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
    let several = site.concat(&[&lit("*** "), &site.substring(r"\s(\S+)\s*$")]);
    Ok(Built::Text(case(&site.like(SEVERAL_WORDS), &several, &site.fixed("***"))))
}

/// `Nguyễn Thị Minh Khai` → `N*** T*** M*** K***`, `A Bình` → `*** B***`
fn words(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    site.need_room(4)?;
    let (pattern, replacement) = (lit(r"([^\s*]?)\S+"), lit(r"\1***"));
    Ok(Built::Text(site.call("regexp_replace", &[&site.x(), &pattern, &replacement, "'g'"])))
}

/// `Nguyễn Thị Minh Khai` → `Khách 4QK7ZD`, whatever case and white space.
fn pseudo(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    site.need_room(12)?;
    let digest = site.keyed(params, "name", &site.lower())?;
    Ok(Built::Text(site.unless_empty(&site.concat(&[&lit("Khách "), &site.letters(&digest, 6)]))))
}
