//! Masks for telephone numbers. A value that is more than one number (a name behind it, say) is hidden whole: the
//! patterns accept digits and separators only. Stars count as digits, so that masking twice changes nothing.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a kind of type that a mask does not list does not fit, which is the safe answer for new kinds too"
)]

use super::{
    Built, MaskDef,
    family::Family,
    keyed::KEYED_PARAMS,
    params::{EMPTY, NULL, ParamDef, Params, TEXT_PARAMS, flag, integer},
    site::{STARS, Site, case, lit},
};

pub(super) const MASKS: &[MaskDef] = &[
    MaskDef { name: "phone_vn", params: TEXT_PARAMS, build: vn },
    MaskDef { name: "phone_last", params: LAST, build: last },
    MaskDef { name: "phone_format", params: TEXT_PARAMS, build: format },
    MaskDef { name: "phone_bigint", params: &[], build: bigint },
    MaskDef { name: "phone_e164_hash", params: KEYED_PARAMS, build: e164_hash },
    MaskDef { name: "phone_valid_fake", params: KEYED_PARAMS, build: valid_fake },
];

const LAST: &[ParamDef] = &[integer("n", 1, 4), flag("strip"), NULL, EMPTY];

/// `0901234567` → `090*****67`: the carrier's prefix and the last two characters.
fn vn(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    site.need_room(12)?;
    let number = site.like(r"^(0[ .()-]*[0-9]|84|[+]84)([ .()-]*[0-9*]){7,}$|^(0|84|[+]84)[^*]{2}[*]{5}..$");
    let first = site.left(1);
    let prefix = format!(
        "CASE WHEN {} THEN 3 WHEN {} THEN 4 ELSE 5 END",
        site.op(&first, "=", "'0'"),
        site.op(&first, "=", "'8'")
    );
    let shown = site.concat(&[&site.call("left", &[&site.x(), &prefix]), "'*****'", &site.right(2)]);
    Ok(Built::Text(case(&number, &shown, &site.stars())))
}

/// `0901234567` → `*****567`
fn last(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    let n = params.integer("n", 3);
    site.need_room(n + 5)?;
    let number = site.like("^[+]?([ .()-]*[0-9]){9,}$");
    let end = if params.flag("strip") {
        let digits = site.call("translate", &[&site.x(), "' .-()+'", "''"]);
        site.call("right", &[&digits, &n.to_string()])
    } else {
        site.call("ltrim", &[&site.right(n), "' .-()'"])
    };
    let shown = site.concat(&["'*****'", &end]);
    // What was masked before stays, and so do NULL and, unless the rule hides it, an empty text.
    let masked = format!("[*]{{5}}[0-9][0-9 .()-]{{0,{}}}", n - 1);
    let stays = if site.keeps_empty() { format!("^({masked})?$") } else { format!("^{masked}$") };
    let other = site.op(&site.x(), "!~", &lit(&stays));
    let (hidden, x) = (lit(STARS), site.x());
    Ok(Built::Text(format!("CASE WHEN {number} THEN {shown} WHEN {other} THEN {hidden} ELSE {x} END")))
}

/// `+84 90 123 45 67` → `+** ** *** *5 67`: every digit but the last three, separators kept.
fn format(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    site.need_room(5)?;
    let number = site.like("^[ +.()-]*([0-9*][ .()-]*){6,}$");
    let pattern = lit("[0-9](?=([^0-9]*[0-9]){3})");
    let shown = site.call("regexp_replace", &[&site.x(), &pattern, "'*'", "'g'"]);
    Ok(Built::Text(case(&number, &shown, &site.stars())))
}

/// `84901234567` → `84900000067`; a number of other than 8 to 12 digits → 0.
fn bigint(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    let x = site.raw();
    let (prefix, end) = match site.family {
        Family::Integer { max, .. } if max > i64::from(i16::MAX) => {
            (site.op(&site.op(&x, "/", "10000000"), "*", "10000000"), site.call("mod", &[&x, "100"]))
        }
        Family::Numeric { .. } => {
            let prefix = site.op(&site.call("div", &[&x, "10000000"]), "*", "10000000");
            (prefix, site.call("mod", &[&site.call("trunc", &[&x]), "100"]))
        }
        _ => return Err(site.misfit("an integer, bigint or numeric column")),
    };
    let least = site.op(&x, ">=", "10000000");
    let most = site.op(&x, "<", "1000000000000");
    let shown = site.op(&prefix, "+", &end);
    Ok(Built::Cast(format!("CASE WHEN {least} AND {most} THEN {shown} WHEN {x} IS NOT NULL THEN 0 END")))
}

/// The number as it is dialled from abroad, without `+`: `84901234567`, however a number of Vietnam is stored, with or
/// without country code, leading zero and separators. Numbers of other countries lose `+` and `00`.
fn canonical(site: &Site<'_>) -> String {
    let dialled = site.call("regexp_replace", &[&site.digits(), "'^00'", "''"]);
    // Nine digits (mobile) or ten (land line) after the zero; a bigint lost the zero.
    let national = lit("^(84)?0?([1-9][0-9]{8,9})$");
    site.call("regexp_replace", &[&dialled, &national, &lit(r"84\2")])
}

/// `0901234567`, `+84 90 123 45 67` → `ph_6FQ2XK7ZDM`; what has no digits is hidden.
fn e164_hash(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    site.need_room(13)?;
    let digest = site.keyed(params, "phone", &canonical(site))?;
    let shown = site.concat(&["'ph_'", &site.letters(&digest, 10)]);
    let masked = site.like("^ph_[A-Z2-9]{10}$");
    let number = site.like("[0-9０-９]");
    let (x, stars) = (site.x(), site.stars());
    Ok(Built::Text(format!("CASE WHEN {masked} THEN {x} WHEN {number} THEN {shown} ELSE {stars} END")))
}

/// `0901234567` → `0000482913`: ten digits, as forms demand, that cannot be dialled.
fn valid_fake(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    site.need_room(10)?;
    let digest = site.keyed(params, "phone", &canonical(site))?;
    let number = site.cast(&site.remainder(&digest, 1_000_000), "text");
    let shown = site.concat(&["'0000'", &site.call("lpad", &[&number, "6", "'0'"])]);
    Ok(Built::Text(case(&site.like("^0000[0-9]{6}$"), &site.x(), &site.unless_empty(&shown))))
}
