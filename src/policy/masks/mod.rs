//! Masks: named, deterministic SQL expressions of built-ins. In: a name with parameters from a rule file, then a column
//! of a catalog snapshot. Out: a [`Mask`] of exactly the column's type, modifier and collation, or why there is none.
//!
//! Invariants, tested against a real server in `tests/masks.rs`: NULL stays NULL and an empty text empty (unless the
//! rule says `hide`), short values are hidden whole, no input of the column's type makes a mask fail (an error would
//! print the value), and the SQL holds no name that an object of the database can shadow.

mod address;
mod arrays;
mod dates;
mod email;
mod family;
mod generic;
mod json;
mod json_path;
pub mod keyed;
mod names;
mod numbers;
mod params;
mod payment;
mod phone;
pub mod schema;
mod site;
mod stored;
mod text;
mod url;

use super::{
    Keeps, Mask, SqlTemplate,
    rules::{At, Complaints},
    toml_reader::Value,
};
use crate::{
    catalog::{CatalogSnapshot, Column},
    diagnostic::suggestion,
};

pub(super) use params::ParamValue;
use params::{ParamDef, Params};
use site::Site;

/// A kind of mask: its name in rule files, its parameters, how its SQL is made.
#[derive(Debug)]
pub struct MaskDef {
    /// Name in rule files.
    pub name: &'static str,
    params: &'static [ParamDef],
    build: fn(&Site<'_>, &Params<'_>) -> Result<Built, String>,
}

impl PartialEq for MaskDef {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// What a mask makes of a column, before the cast to the column's type.
pub(super) enum Built {
    /// An expression of type text: gets the options of text masks and a cast where the column is not text.
    Text(String),
    /// An expression that a cast brings to the column's type.
    Cast(String),
}

/// A mask as a rule names it, parameters checked.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskSpec {
    def: &'static MaskDef,
    given: Vec<(&'static str, ParamValue)>,
}

const FAMILIES: [&[MaskDef]; 11] = [
    generic::MASKS,
    names::MASKS,
    phone::MASKS,
    email::MASKS,
    address::MASKS,
    payment::MASKS,
    url::MASKS,
    dates::MASKS,
    numbers::MASKS,
    text::MASKS,
    keyed::MASKS,
];

/// Masks that people know from other tools, why there are none, and what to use instead.
const REFUSED: [(&str, &str, &str); 1] =
    [("blur", "needs the image, which is not in the column", "Use url_placeholder, or url_host.")];

/// Masks that a proxy cannot offer: repeated reading would average noise away, and DISTINCT, joins and paging break.
const VOLATILE: [&str; 4] = ["shuffle", "noise", "random", "fake"];

/// Every mask there is.
pub fn all() -> impl Iterator<Item = &'static MaskDef> {
    FAMILIES.into_iter().flatten().chain(json::MASKS)
}

impl MaskSpec {
    /// Name and given parameters, such as `partial(3,2)`.
    pub fn label(&self) -> String {
        let mut shown = Vec::new();
        for param in self.def.params {
            if let Some((_, value)) = self.given.iter().find(|(name, _)| *name == param.name)
                && let Some(text) = value.label()
            {
                shown.push(text);
            }
        }
        if shown.is_empty() { self.def.name.to_owned() } else { format!("{}({})", self.def.name, shown.join(",")) }
    }

    /// The mask made ready for `column`.
    ///
    /// # Errors
    /// Why it does not fit the column.
    pub fn fit(&self, column: &Column, catalog: &CatalogSnapshot) -> Result<Mask, String> {
        let params = Params::new(self.def.params, &self.given);
        let site = Site::new(column, catalog, &params)?;
        self.check_secret(column)?;
        let built = match arrays::element(column).filter(|_| !self.is_whole()) {
            Some(element) => arrays::each(&site, &element, self.def, &params)?,
            None => (self.def.build)(&site, &params)?,
        };
        let empty = matches!(built, Built::Text(_)).then(|| site.keeps_empty());
        let keeps = Keeps { null: site.keeps_null(), empty };
        let sql = SqlTemplate::new(&site.finish(built));
        // A sub-select in an expression is another place for what stands around it.
        let alone = !sql.names_row() && !sql.needs_subject() && !sql.text().to_ascii_lowercase().contains("select");
        let strict = site.keeps_null() && column.collation.is_none() && alone;
        // Masks of dates and others are NULL for some values too, and a key that is not there makes NULL of all.
        let partly = matches!(self.def.name, "null" | "geo_round");
        let shows_null = site.keeps_null() && alone && !partly && matches!(column.type_category, 'S' | 'N');
        Ok(Mask { name: self.label().into(), sql, strict, shows_null, keeps })
    }

    /// Whether it puts something in the place of the whole value, whatever is in it.
    fn is_whole(&self) -> bool {
        ["null", "constant", "full"].contains(&self.def.name)
    }

    /// Complains when a part of a secret would be shown.
    fn check_secret(&self, column: &Column) -> Result<(), String> {
        if is_secret(&column.name) && !self.is_whole() {
            return Err(format!("{} holds secrets and takes only the masks null, constant and full", column.name));
        }
        Ok(())
    }

    /// A mask from its name and parameters in TOML, for tests.
    #[doc(hidden)]
    pub fn parse(name: &str, parameters: &str) -> Result<Self, String> {
        let text = format!(
            "policy = \"p\"\n[category.c]\n[[role]]\nname = \"r\"\nmatch = {{ user = \"u\" }}\n\
             see = {{ c = {{ mask = \"{name}\"{}{parameters} }} }}\n",
            if parameters.is_empty() { "" } else { ", " }
        );
        let file = super::rules::RuleFile { path: "mask".into(), text: text.into() };
        let rules = super::rules::RuleSet::parse(&[file]).map_err(|diagnostics| diagnostics.to_string())?;
        let given = rules.roles.first().and_then(|role| role.settings.see.first()).cloned().flatten();
        match given.map(|given| given.treatment) {
            Some(super::rules::TreatmentRule::Mask(spec)) => Ok(spec),
            _ => Err("not a mask".to_owned()),
        }
    }
}

/// Columns that hold log-in or card secrets by their name: PCI DSS 4.0.1 requirement 3.3.1 and common sense.
fn is_secret(column: &str) -> bool {
    let is_mark = |c: &char| ('\u{300}'..='\u{36f}').contains(c);
    let name: String = column.to_lowercase().chars().filter(|c| c.is_alphanumeric() && !is_mark(c)).collect();
    ["cvv", "cvv2", "cvc", "cvc2", "pin", "otp", "mk"].contains(&name.as_str())
        || name.starts_with("password")
        || name.starts_with("matkhau")
        || name.starts_with("mậtkhẩu")
}

/// A mask by its name alone (`parameters` none) or with the rest of its inline table.
pub(super) fn decode(
    name: &str,
    at: At,
    parameters: Option<super::toml_reader::Table<'_>>,
    complaints: &mut Complaints<'_>,
) -> Option<MaskSpec> {
    let Some(def) = all().find(|def| def.name == name) else {
        if let Some((_, why, help)) = REFUSED.iter().find(|(refused, ..)| *refused == name) {
            complaints.add_with_help(at, format!("mask \"{name}\" is not offered: it {why}"), *help);
        } else if VOLATILE.iter().any(|prefix| name.starts_with(prefix)) {
            let help = "Reading it again and again would reveal the value; masks are deterministic.";
            complaints.add_with_help(at, format!("mask \"{name}\" is random and not offered"), help);
        } else {
            let known = ["clear", "withhold", "refuse"].into_iter().chain(all().map(|def| def.name));
            complaints.add_with_suggestion(
                at,
                format!("unknown treatment \"{name}\""),
                suggestion(name, "treatments", known),
            );
        }
        if let Some(mut table) = parameters {
            drop(table.take_all());
        }
        return None;
    };
    let given = params::decode(def, at, parameters, complaints)?;
    Some(MaskSpec { def, given })
}

/// A mask with parameters: `{ mask = "partial", first = 3, last = 2 }`.
pub(super) fn decode_table(value: &Value<'_>, complaints: &mut Complaints<'_>) -> Option<MaskSpec> {
    let mut table = value.table("a treatment", complaints)?;
    let Some(name) = table.take("mask") else {
        let help = "Write { mask = \"partial\", first = 3, last = 2 }.";
        complaints.add_with_help(value.at, "a treatment with parameters names its mask", help);
        return None;
    };
    let text = name.text("mask", complaints)?;
    decode(text, name.at, Some(table), complaints)
}
