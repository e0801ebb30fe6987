//! Masks for telephone numbers. A value that is more than one number (a name behind it, say) is hidden whole: the
//! patterns accept digits and separators only. Stars count as digits, so that masking twice changes nothing.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a kind of type that a mask does not list does not fit, which is the safe answer for new kinds too"
)]

use super::{
    Built, MaskDef,
    family::Family,
    params::{EMPTY, NULL, ParamDef, Params, TEXT_PARAMS, flag, integer},
    site::{Site, case, lit},
};

pub(super) const MASKS: &[MaskDef] = &[
    MaskDef { name: "phone_vn", params: TEXT_PARAMS, build: vn },
    MaskDef { name: "phone_last", params: LAST, build: last },
    MaskDef { name: "phone_format", params: TEXT_PARAMS, build: format },
    MaskDef { name: "phone_bigint", params: &[], build: bigint },
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
    let masked = site.like(&format!("^[*]{{5}}[0-9][0-9 .()-]{{0,{}}}$", n - 1));
    let x = site.x();
    let stars = site.stars();
    Ok(Built::Text(format!("CASE WHEN {number} THEN {shown} WHEN {masked} THEN {x} ELSE {stars} END")))
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
