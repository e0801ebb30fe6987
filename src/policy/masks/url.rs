//! Masks for addresses of images, videos and files. Query string and user information never survive: they hold
//! pre-signed tokens and passwords.

use super::{
    Built, MaskDef,
    params::{EMPTY, NULL, ParamDef, ParamKind, Params, required},
    site::{Site, case, lit},
};

pub(super) const MASKS: &[MaskDef] = &[
    MaskDef { name: "url_placeholder", params: PLACEHOLDER, build: placeholder },
    MaskDef { name: "url_host", params: PLAIN, build: host },
    MaskDef { name: "url_ext", params: PLAIN, build: ext },
    MaskDef { name: "url_signed_strip", params: PLAIN, build: signed_strip },
    MaskDef { name: "data_uri", params: PLAIN, build: data_uri },
    MaskDef { name: "bytea_placeholder", params: FILE, build: bytea_placeholder },
];

const PLACEHOLDER: &[ParamDef] = &[required("url", ParamKind::Text), NULL, EMPTY];
const FILE: &[ParamDef] = &[ParamDef { name: "kind", kind: ParamKind::Choice(&["png", "mp4"]), required: false }];
const PLAIN: &[ParamDef] = &[NULL, EMPTY];

/// A grey picture of one pixel, in hexadecimal and in base64.
const PIXEL_HEX: &str = "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a4944415478da6368000000820081da45083b0000000049454e44ae426082";
const PIXEL: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCB2kUIOwAAAABJRU5ErkJggg==";

/// A film without pictures: the boxes `ftyp` (isom, mp41) and an empty `mdat`.
const FILM_HEX: &str = "000000186674797069736f6d0000020069736f6d6d703431000000086d646174";

const SCHEME: &str = "^[a-zA-Z][a-zA-Z0-9+.-]*://";
/// Anchored at both ends, so that user information is never taken for a host.
const HOST: &str = "^[a-zA-Z][a-zA-Z0-9+.-]*://(?:[^/?#]*@)?([a-zA-Z0-9.-]+)(?::[0-9]*)?(?:[/?#].*)?$";
const EXTENSION: &str = "(?i)^[^?#]*([.](?:jpg|jpeg|png|webp|mp4|mov|m3u8|pdf))(?:[?#]|$)";

/// The address of a picture on the operator's own host.
fn placeholder(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    let url = params.text("url").unwrap_or_default();
    site.need_room(i64::try_from(url.chars().count()).unwrap_or(i64::MAX))?;
    Ok(Built::Text(site.fixed(url)))
}

/// `https://cdn.shop.vn/avatars/1.jpg?token=…` → `https://cdn.shop.vn/***`
fn host(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    shown(site, "'/***'")
}

/// `https://cdn.shop.vn/claims/1.mp4?token=…` → `https://cdn.shop.vn/***.mp4`
fn ext(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    let extension = format!("coalesce({},'')", site.substring(EXTENSION));
    shown(site, &site.concat(&["'/***'", &extension]))
}

fn shown(site: &Site<'_>, end: &str) -> Result<Built, String> {
    site.need_room(16)?;
    let whole = site.concat(&[&site.substring(SCHEME), &site.substring(HOST), end]);
    Ok(Built::Text(format!("coalesce({whole},{})", site.stars())))
}

/// Scheme, host and path; what follows `?` or `#` is dropped.
fn signed_strip(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    site.need_room(16)?;
    let whole = site.concat(&[&site.substring(SCHEME), &site.substring("^[^:]*://(?:[^/?#]*@)?([^?#@]*)(?:[?#]|$)")]);
    Ok(Built::Text(format!("coalesce({whole},{})", site.stars())))
}

/// `data:image/jpeg;base64,…` → a picture of one pixel; other texts are hidden.
fn data_uri(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    site.need_room(i64::try_from(PIXEL.len()).unwrap_or(i64::MAX))?;
    let is_data = site.op(&site.left(5), "=", "'data:'");
    Ok(Built::Text(case(&is_data, &lit(PIXEL), &site.stars())))
}

/// A picture of one pixel, or an empty film, in place of any file.
fn bytea_placeholder(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    if site.column.type_oid.0 != 17 {
        return Err(site.misfit("a bytea column"));
    }
    let file = if params.text("kind") == Some("mp4") { FILM_HEX } else { PIXEL_HEX };
    let file = lit(&format!("\\x{file}"));
    Ok(Built::Cast(format!("CASE WHEN {} IS NOT NULL THEN {file} END", site.raw())))
}
