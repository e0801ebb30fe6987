//! Masks with a secret key: the same value gives the same pseudonym in every table that shares a domain, so that joins
//! and counts work, and nobody without the key can tell which value it stands for, not even by trying all telephone
//! numbers.
//!
//! The key never stands in SQL: a function of the database, which `pgscrim install` prints, holds it and answers with
//! HMAC-SHA256 of domain and value. Here is the check that the database has that function, exactly as installed; a
//! function that is anything else would be handed stored values.
//!
//! What is hashed is the value in NFC, so that both ways of writing a Vietnamese letter give one pseudonym.

use super::{
    Built, MaskDef,
    family::Family,
    numbers::holds,
    params::{EMPTY, NULL, ParamDef, ParamKind, Params, integer, required},
    site::{Site, case, lit},
};
use crate::{
    catalog::{CatalogSnapshot, data::FunctionData},
    names::Oid,
};

/// Schema of what `pgscrim install` makes.
pub const SCHEMA: &str = "pgscrim";
/// The function that hashes, in [`SCHEMA`]: `keyed(version integer, domain text, value text) returns bytea`.
pub const FUNCTION: &str = "keyed";
/// The table with the keys, in [`SCHEMA`]. No restricted role reads a relation of this name through the proxy
/// ([`is_refused_anywhere`](crate::catalog::system::is_refused_anywhere)).
pub const TABLE: &str = "pgscrim_key";
/// In the comment of [`TABLE`], what stands before the versions of the keys in it, which are divided by commas: all that
/// the catalog shows of them.
pub const VERSIONS: &str = "versions: ";

pub(super) const MASKS: &[MaskDef] = &[
    MaskDef { name: "hash", params: HASH, build: hash },
    MaskDef { name: "pseudonym", params: PSEUDONYM, build: pseudonym },
    MaskDef { name: "pseudo_int", params: PSEUDO_INT, build: pseudo_int },
];

/// Values are joinable within a domain, and not between two.
pub(super) const DOMAIN: ParamDef = ParamDef { name: "domain", kind: ParamKind::Text, required: false };
/// Version of the key.
pub(super) const KEY: ParamDef = integer("key", 1, i32::MAX as i64);
/// What keyed masks of texts take that have no parameters of their own.
pub(super) const KEYED_PARAMS: &[ParamDef] = &[DOMAIN, KEY, NULL, EMPTY];

/// What of a value counts: all of it, letters whatever their case and white space, digits alone.
const FORM: ParamDef =
    ParamDef { name: "form", kind: ParamKind::Choice(&["exact", "lower", "digits"]), required: false };
const HASH: &[ParamDef] = &[integer("len", 8, 64), FORM, DOMAIN, KEY, NULL, EMPTY];
const PSEUDONYM: &[ParamDef] = &[required("prefix", ParamKind::Text), FORM, DOMAIN, KEY, NULL, EMPTY];
const PSEUDO_INT: &[ParamDef] = &[
    required("lo", ParamKind::Integer(i64::MIN, i64::MAX)),
    required("hi", ParamKind::Integer(i64::MIN, i64::MAX)),
    DOMAIN,
    KEY,
];

pub(super) const FULL_WIDTH_DIGITS: &str = "'０１２３４５６７８９'";
const DIGITS: &str = "'0123456789'";

const INTEGER: Oid = Oid(23);
const TEXT: Oid = Oid(25);
const BYTEA: Oid = Oid(17);

/// `9f2c41…`: the first `len` hexadecimal digits, 16 unless given.
fn hash(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    let len = params.integer("len", 16);
    site.need_room(len)?;
    let digest = site.keyed(params, "hash", &formed(site, params))?;
    let hex = site.call("encode", &[&digest, "'hex'"]);
    Ok(Built::Text(site.unless_empty(&site.call("left", &[&hex, &len.to_string()]))))
}

/// `kh_4QK7ZD…`: ten characters, in which two of `n` values are alike with a chance of about n²/2^51.
fn pseudonym(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    let prefix = params.text("prefix").unwrap_or_default();
    if !is_word(prefix) {
        return Err("prefix must be 1 to 40 letters, digits, \"_\", \".\" or \"-\" of ASCII".to_owned());
    }
    site.need_room(i64::try_from(prefix.len()).unwrap_or(i64::MAX).saturating_add(11))?;
    let digest = site.keyed(params, "pseudonym", &formed(site, params))?;
    let shown = site.concat(&[&lit(&format!("{prefix}_")), &site.letters(&digest, 10)]);
    Ok(Built::Text(site.unless_empty(&shown)))
}

/// A number from `lo` to `hi`. Several values share one: never for keys.
fn pseudo_int(site: &Site<'_>, params: &Params<'_>) -> Result<Built, String> {
    let (lo, hi) = (params.integer("lo", 0), params.integer("hi", 0));
    holds(site, lo)?;
    holds(site, hi)?;
    // Of 56 bits, a remainder by more would show its bias.
    let count = hi.checked_sub(lo).and_then(|more| more.checked_add(1)).filter(|count| (2..=1 << 40).contains(count));
    let Some(count) = count else {
        return Err("hi must be greater than lo, by less than 2^40".to_owned());
    };
    let x = site.raw();
    let value = match site.family {
        Family::Integer { .. } => site.cast(&x, "text"),
        // 5 and 5.00 are one number.
        Family::Numeric { .. } => site.cast(&site.call("trim_scale", &[&x]), "text"),
        Family::Text { .. }
        | Family::Float
        | Family::Boolean
        | Family::Date
        | Family::Timestamp
        | Family::TimestampTz
        | Family::Json
        | Family::Jsonb
        | Family::Array
        | Family::Enum
        | Family::Domain
        | Family::Neutral(_)
        | Family::Other => return Err(site.misfit("an integer or numeric column")),
    };
    let digest = site.keyed(params, "pseudo_int", &value)?;
    Ok(Built::Cast(site.op(&site.remainder(&digest, count), "+", &lit(&lo.to_string()))))
}

/// What of the operand counts.
fn formed(site: &Site<'_>, params: &Params<'_>) -> String {
    match params.text("form") {
        Some("lower") => site.lower(),
        // What has no digits is told apart by its letters.
        Some("digits") => {
            let digits = site.digits();
            // NULLIF would take an operator of the database.
            let digits = if site.catalog().operators_named("=").next().is_some() {
                format!("CASE WHEN {} THEN {digits} END", site.op(&digits, "<>", "''"))
            } else {
                site.call("nullif", &[&digits, "''"])
            };
            format!("coalesce({digits},{})", site.lower())
        }
        _ => site.call("normalize", &[&site.x()]),
    }
}

impl Site<'_> {
    /// HMAC-SHA256 of the text `value`, as bytea; NULL for NULL.
    ///
    /// # Errors
    /// When the database has not what computes it, or the rule's domain is no word.
    pub fn keyed(&self, params: &Params<'_>, domain: &str, value: &str) -> Result<String, String> {
        self.need_utf8()?;
        let version = params.integer("key", 1);
        installed(self.catalog(), version)?;
        let domain = params.text("domain").unwrap_or(domain);
        if !is_word(domain) {
            return Err("domain must be 1 to 40 letters, digits, \"_\", \".\" or \"-\" of ASCII".to_owned());
        }
        Ok(format!("{SCHEMA}.{FUNCTION}({version},{},{value})", lit(domain)))
    }

    /// `n` letters and digits of a digest, without 0 and 1: five bits a character. Base64 without its signs, letters made
    /// capital: `upper` would follow the collation.
    pub fn letters(&self, digest: &str, n: i64) -> String {
        let base64 = self.call("encode", &[digest, "'base64'"]);
        let (small, capital) = ("'abcdefghijklmnopqrstuvwxyz01+/='", "'ABCDEFGHIJKLMNOPQRSTUVWXYZ'");
        self.call("left", &[&self.call("translate", &[&base64, small, capital]), &n.to_string()])
    }

    /// A digest modulo `count`, as bigint.
    pub fn remainder(&self, digest: &str, count: i64) -> String {
        let hex = self.call("left", &[&self.call("encode", &[digest, "'hex'"]), "14"]);
        // Types of the grammar, which nothing can shadow.
        let bits = format!("({})::bit(56)::bigint", self.concat(&["'x'", &hex]));
        self.call("mod", &[&bits, &count.to_string()])
    }

    /// The operand in small letters, words one space apart.
    pub fn lower(&self) -> String {
        let lower = self.call("lower", &[&self.call("normalize", &[&self.x()])]);
        self.call("btrim", &[&self.call("regexp_replace", &[&lower, &lit(r"\s+"), "' '", "'g'"])])
    }

    /// The digits of the operand.
    pub fn digits(&self) -> String {
        let plain = self.call("translate", &[&self.x(), FULL_WIDTH_DIGITS, DIGITS]);
        self.call("regexp_replace", &[&plain, "'[^0-9]'", "''", "'g'"])
    }

    /// `shown`, but for an empty text what the rule says of empty texts.
    pub fn unless_empty(&self, shown: &str) -> String {
        case(&self.op(&self.x(), "=", "''"), &self.stars(), shown)
    }
}

/// Whether the database has the one function that `pgscrim install` makes, and this version of the key.
fn installed(catalog: &CatalogSnapshot, version: i64) -> Result<(), String> {
    let mut found = catalog.functions_named(FUNCTION).filter(|function| function.schema == SCHEMA);
    let Some(function) = found.next() else {
        return Err(format!(
            "it needs the function {SCHEMA}.{FUNCTION}, which the database does not have; run `pgscrim install`"
        ));
    };
    let FunctionData {
        oid: _,
        schema: _,
        name: _,
        volatility,
        extension,
        kind,
        security_definer,
        returns_set,
        out_names: _,
        argument_types,
        constructs: _,
        variadic: _,
        defaults: _,
        result_type,
    } = function;
    let as_made = matches!(volatility, 's' | 'i')
        && extension.is_none()
        && *kind == 'f'
        && *security_definer
        && !*returns_set
        && *argument_types == [INTEGER, TEXT, TEXT]
        && *result_type == Some(BYTEA);
    // A second one of the name could be the closer match.
    if !as_made || found.next().is_some() {
        return Err(format!(
            "the function {SCHEMA}.{FUNCTION} of the database is not the one that `pgscrim install` makes; find out whose it \
             is, drop it, and run `pgscrim install`"
        ));
    }
    let comment = catalog.relation_named(SCHEMA, TABLE).and_then(|table| table.comment.as_deref()).unwrap_or_default();
    let versions = comment.split_once(VERSIONS).map_or("", |(_, versions)| versions);
    if versions.split(',').any(|known| known.trim().parse() == Ok(version)) {
        Ok(())
    } else {
        Err(format!("key version {version} is not installed; run `pgscrim install --key-version {version}`"))
    }
}

fn is_word(text: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    (1..=40).contains(&text.len()) && text.chars().all(valid)
}
