//! Masks for payment cards, bank accounts, identity and tax numbers, vehicle plates. PCI DSS 4.0.1 requirement 3.4.1
//! allows at most the first six (eight) and the last four digits of a card number; no checksum decides what is shown.

use super::{
    Built, MaskDef,
    params::{EMPTY, NULL, ParamDef, Params, flag, integer},
    site::{Site, case, lit},
};

pub(super) const MASKS: &[MaskDef] = &[
    MaskDef { name: "pan", params: &[flag("bin8"), NULL, EMPTY], build: pan },
    MaskDef { name: "pan_last4", params: PLAIN, build: pan_last4 },
    MaskDef { name: "bank_account", params: PLAIN, build: bank_account },
    MaskDef { name: "iban", params: PLAIN, build: iban },
    MaskDef { name: "cccd", params: &[integer("last", 0, 3), NULL, EMPTY], build: cccd },
    MaskDef { name: "cmnd", params: PLAIN, build: cmnd },
    MaskDef { name: "mst", params: PLAIN, build: mst },
    MaskDef { name: "plate", params: PLAIN, build: plate },
];

const PLAIN: &[ParamDef] = &[NULL, EMPTY];

/// The operand without the separators that card numbers are written with.
fn stripped(site: &Site<'_>) -> String {
    site.call("translate", &[&site.x(), "' .-'", "''"])
}

/// `9704 3612 3456 1234` → `970436******1234`
fn pan(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    let (first, pattern, room) = if params.flag("bin8") {
        ("8", "^[0-9]{8}[0-9*]{4,7}[0-9]{4}$", 18)
    } else {
        ("6", "^[0-9]{6}[0-9*]{2,9}[0-9]{4}$", 16)
    };
    site.need_room(room)?;
    let digits = stripped(site);
    let shown = site.concat(&[&site.call("left", &[&digits, first]), "'******'", &site.call("right", &[&digits, "4"])]);
    Ok(Built::Text(case(&site.op(&digits, "~", &lit(pattern)), &shown, &site.stars())))
}

/// `9704361234561234` → `************1234`
fn pan_last4(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    site.need_room(16)?;
    let digits = stripped(site);
    let shown = site.concat(&["'************'", &site.call("right", &[&digits, "4"])]);
    let card = site.op(&digits, "~", &lit("^[0-9*]{8,15}[0-9]{4}$"));
    Ok(Built::Text(case(&card, &shown, &site.stars())))
}

/// `0071000123789` → `*****789`
fn bank_account(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    site.need_room(8)?;
    let shown = site.concat(&["'*****'", &site.right(3)]);
    Ok(Built::Text(case(&site.op(&site.length(), ">=", "8"), &shown, &site.stars())))
}

/// `DE89 3704 0044 0532 0130 00` → `DE*******3000`
fn iban(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    site.need_room(13)?;
    let plain = site.call("translate", &[&site.x(), "' '", "''"]);
    let shown = site.concat(&[&site.call("left", &[&plain, "2"]), "'*******'", &site.call("right", &[&plain, "4"])]);
    let pattern = lit("^[A-Za-z]{2}([0-9]{2}[0-9A-Za-z]{7,26}|[*]{7})[0-9A-Za-z]{4}$");
    Ok(Built::Text(case(&site.op(&plain, "~", &pattern), &shown, &site.stars())))
}

/// Twelve digits: at most the last three. The first six encode province, century, sex and year of birth.
fn cccd(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    let last = params.integer("last", 3);
    ends(site, "[0-9]{12}", last)
}

/// Nine digits: the last two.
fn cmnd(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    ends(site, "[0-9]{9}", 2)
}

/// Ten digits, or thirteen with or without a hyphen: the last two.
fn mst(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    ends(site, "[0-9]{10}(-?[0-9]{3})?", 2)
}

/// Stars and the last `n` characters of what matches `pattern`, or of what was masked so before.
fn ends(site: &Site<'_>, pattern: &str, n: i64) -> Result<Built, String> {
    site.need_room(5 + n)?;
    if n == 0 {
        return Ok(Built::Text(site.stars()));
    }
    let number = site.like(&format!("^({pattern}|[*]{{5}}[0-9]{{{n}}})$"));
    let shown = site.concat(&["'*****'", &site.right(n)]);
    Ok(Built::Text(case(&number, &shown, &site.stars())))
}

/// `59X1-123.45` → `59*****`: the province.
fn plate(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    site.need_room(7)?;
    let shown = site.concat(&[&site.left(2), "'*****'"]);
    Ok(Built::Text(case(&site.like("^[0-9]{2}[A-Za-z*-].{4,}$"), &shown, &site.stars())))
}
