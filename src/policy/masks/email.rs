//! Masks for e-mail addresses. The domain is what follows the last `@`. A domain that is not on the list of public ones
//! may name a firm of three: only its last label is shown, and only when it is a word of letters.

use super::{
    Built, MaskDef,
    keyed::KEYED_PARAMS,
    params::{EMPTY, NULL, ParamDef, ParamKind, Params},
    site::{Site, case, lit},
};

pub(super) const MASKS: &[MaskDef] = &[
    MaskDef { name: "email", params: EMAIL, build: email },
    MaskDef { name: "email_domain", params: &[NULL, EMPTY], build: domain },
    MaskDef { name: "email_anon", params: &[NULL, EMPTY], build: anon },
    MaskDef { name: "email_pseudo", params: KEYED_PARAMS, build: pseudo },
];

const EMAIL: &[ParamDef] = &[
    ParamDef { name: "public_domains", kind: ParamKind::Texts, required: false },
    ParamDef { name: "hidden_domain", kind: ParamKind::Text, required: false },
    NULL,
    EMPTY,
];

const PUBLIC_DOMAINS: &str = "gmail.com,yahoo.com,yahoo.com.vn,hotmail.com,outlook.com,icloud.com,live.com";

/// The last label of an address, when it is a word of letters.
const LAST_LABEL: &str = "[.][a-zA-Z]{2,18}$";

/// `minh.khai@gmail.com` → `m***@gmail.com`, `a@b.vn` → `a***@***.vn`, or `a***@example.com` where the rules name a domain to show
/// in the place of hidden ones: then the mask is an address that forms take, also of what is none.
fn email(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    let hidden = params.text("hidden_domain");
    let room = hidden.map_or(12, |domain| i64::try_from(domain.len()).unwrap_or(i64::MAX).saturating_add(5));
    site.need_room(room.max(12))?;
    let domains = match params.texts("public_domains") {
        Some(domains) if domains.iter().all(|domain| is_domain(domain)) => domains.join(","),
        Some(_) => return Err("public_domains must be domain names in lower-case letters".to_owned()),
        None => PUBLIC_DOMAINS.to_owned(),
    };
    let part = site.last_part(&site.x(), "@");
    // What is compared is what is shown: in some locales letters that nobody writes have the small letter of another.
    let part = site.call("lower", &[&part]);
    let public = site.any_of(&part, &lit(&format!("{{{domains}}}")));
    let is_address = is_address(site);
    let Some(domain) = hidden else {
        let label = format!("coalesce({},'')", site.substring(LAST_LABEL));
        let domain = case(&public, &part, &site.concat(&["'***'", &label]));
        let shown = site.concat(&[&site.left(1), "'***@'", &domain]);
        return Ok(Built::Text(case(&is_address, &shown, &site.stars())));
    };
    if !is_domain(domain) || !domain.contains('.') {
        return Err("hidden_domain must be a domain name in lower-case letters, such as example.com".to_owned());
    }
    // What may begin a local part without quotes.
    let first = format!("coalesce({},'*')", site.substring("^[a-zA-Z0-9]"));
    let open = site.concat(&[&first, "'***@'", &part]);
    let closed = site.concat(&[&first, &lit(&format!("***@{domain}"))]);
    let none = site.fixed(&format!("****@{domain}"));
    Ok(Built::Text(case(&is_address, &case(&public, &open, &closed), &none)))
}

/// Something before the first `@`.
fn is_address(site: &Site<'_>) -> String {
    site.op(&site.call("strpos", &[&site.x(), "'@'"]), ">", "1")
}

fn is_domain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c))
}

/// `minh.khai@gmail.com` → `***@gmail.com`
fn domain(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    site.need_room(5)?;
    let shown = site.concat(&["'***'", &site.substring("@[a-zA-Z0-9.-]+$")]);
    Ok(Built::Text(case(&site.like("@[a-zA-Z0-9.-]+$"), &shown, &site.stars())))
}

/// `minh.khai@gmail.com` → `mi***@gm***.com`; parts of fewer than four characters are hidden.
fn anon(site: &Site<'_>, _: &Params<'_>) -> Result<Built, String> {
    site.need_room(12)?;
    let piece = |pattern: &str| format!("coalesce({},'')", site.substring(pattern));
    let shown = site.concat(&[
        &piece("^([^@]{2})[^@]{2}"),
        "'***@'",
        &piece("@([^@.]{2})[^@.]{2}[^@]*$"),
        "'***'",
        &piece(LAST_LABEL),
    ]);
    Ok(Built::Text(case(&is_address(site), &shown, &site.stars())))
}

/// `minh.khai@gmail.com` → `u3fa9c2b17d@example.invalid`, which nobody can be (RFC 2606). That of one stays as it is.
fn pseudo(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    site.need_room(27)?;
    let digest = site.keyed(params, "email", &site.lower())?;
    let hex = site.call("left", &[&site.call("encode", &[&digest, "'hex'"]), "10"]);
    let shown = site.concat(&["'u'", &hex, "'@example.invalid'"]);
    let masked = site.like("^u[0-9a-f]{10}@example[.]invalid$");
    Ok(Built::Text(case(&masked, &site.x(), &site.unless_empty(&shown))))
}
