//! Masks for postal addresses in the Vietnamese order, small to large, parts between commas, before and after the
//! abolition of districts; for postcodes and coordinates.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a kind of type that a mask does not list does not fit, which is the safe answer for new kinds too"
)]

use super::{
    Built, MaskDef,
    family::Family,
    params::{EMPTY, NORMALIZE, NULL, ParamDef, Params, TEXT_PARAMS, flag, integer},
    site::{Site, case, lit},
};

pub(super) const MASKS: &[MaskDef] = &[
    MaskDef { name: "address_province", params: TEXT_PARAMS, build: province },
    MaskDef { name: "address_area", params: AREA, build: area },
    MaskDef { name: "address_street_hidden", params: TEXT_PARAMS, build: street_hidden },
    MaskDef { name: "postcode_first", params: POSTCODE, build: postcode_first },
    MaskDef { name: "geo_round", params: &[integer("d", 0, 4)], build: geo_round },
];

const AREA: &[ParamDef] = &[flag("keep_ward"), NULL, EMPTY, NORMALIZE];
const POSTCODE: &[ParamDef] = &[integer("n", 1, 2), NULL, EMPTY];

const DIGITS: &str = "'0123456789'";
const TEN_STARS: &str = "'**********'";

/// `12/3 Nguyễn Trãi, …, TP. Hồ Chí Minh` → `***, TP. Hồ Chí Minh`; country and postcode at the end are dropped.
fn province(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    site.need_room(5)?;
    let tail = lit(r"([\s,.]+(việt nam|vietnam|viet nam|[0-9]+))+[\s,.]*$");
    let trimmed = site.call("regexp_replace", &[&site.x(), &tail, "''", "'i'"]);
    let last = site.call("ltrim", &[&site.last_part(&trimmed, ",")]);
    let shown = site.concat(&["'***, '", &site.call("translate", &[&last, DIGITS, TEN_STARS])]);
    let several = site.op(&site.call("strpos", &[&trimmed, "','"]), ">", "0");
    site.need_utf8()?;
    Ok(Built::Text(case(&several, &shown, &site.stars())))
}

/// Four parts and more: the last two; three: the last one (two with `keep_ward`); fewer: none.
fn area(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    site.need_room(5)?;
    let two = if params.flag("keep_ward") { r"^[^,]*,\s*([^,]*,[^,]*)$" } else { r"^[^,]*,[^,]*,\s*([^,]*)$" };
    let part = |pattern: &str| site.concat(&["'***, '", &site.substring(pattern)]);
    let four = part(r"^[^,]*,.*,\s*([^,]*,[^,]*)$");
    let shown = format!("coalesce({four},{},{})", part(two), site.stars());
    let masked = site.like(r"^[*]{3}, ?[^,]*(,[^,]*)?$");
    Ok(Built::Text(case(&masked, &site.x(), &shown)))
}

/// The first part becomes `***`, digits of the others `*`.
fn street_hidden(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    site.need_room(5)?;
    let comma = site.call("strpos", &[&site.x(), "','"]);
    let rest = site.call("substr", &[&site.x(), &comma]);
    let shown = site.concat(&["'***'", &site.call("translate", &[&rest, DIGITS, TEN_STARS])]);
    Ok(Built::Text(case(&site.op(&comma, ">", "0"), &shown, &site.stars())))
}

/// `70000` → `70***`
fn postcode_first(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    let n = params.integer("n", 2);
    site.need_room(5)?;
    let shown = site.concat(&[&site.left(n), "'***'"]);
    let code = site.like(&format!("^([0-9]{{5,6}}|[0-9]{{{n}}}[*]{{3}})$"));
    Ok(Built::Text(case(&code, &shown, &site.stars())))
}

/// A latitude or longitude rounded to `d` decimals; two are about 1.1 km. What is no coordinate becomes NULL.
fn geo_round(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    let d = params.integer("d", 2);
    let function = match site.family {
        // 99.99 in numeric(4,2) would round to a number that does not fit.
        Family::Numeric { digits: Some((before, _)) } if before < 3 => "trunc",
        Family::Numeric { .. } | Family::Float => "round",
        _ => return Err(site.misfit("a numeric, real or double precision column")),
    };
    let x = site.raw();
    let inside = format!("{} AND {}", site.op(&x, ">=", "'-180'"), site.op(&x, "<=", "'180'"));
    let value = if site.family == Family::Float { site.cast(&x, "numeric") } else { x };
    let rounded = site.call(function, &[&value, &d.to_string()]);
    Ok(Built::Cast(format!("CASE WHEN {inside} THEN {rounded} END")))
}
