//! Whether a value is a mask: what an application has read, and would store as if it were somebody's data. In: a mask and a column. Out:
//! SQL over the value, or none where stored values may look the same (dates, numbers, texts that the mask may leave as they are).
//!
//! Masks with stars leave a mask as it is: a value that holds a star and is its own mask is one. Others make texts of one shape.

use super::{MaskSpec, params::Params, site::Site};
use crate::{
    catalog::{CatalogSnapshot, Column},
    policy::SqlTemplate,
};

/// How the masks of one kind are known.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    /// The value holds this, and is its own mask.
    Holds(String),
    /// The value is its own mask.
    Whole,
    /// A regular expression.
    Pattern(String),
    /// Stored values may be the same.
    Unknown,
}

impl MaskSpec {
    /// SQL that is true of a value which looks like this mask of the column; none where that cannot be told.
    pub fn stored(&self, column: &Column, catalog: &CatalogSnapshot) -> Option<SqlTemplate> {
        let params = Params::new(self.def.params, &self.given);
        let site = Site::new(column, catalog, &params).ok()?;
        // Of an array each element would have to be looked at.
        if column.type_category == 'A' {
            return None;
        }
        let itself = || {
            let mask = self.fit(column, catalog).ok()?;
            let plain = !mask.sql.names_row() && !mask.sql.needs_subject();
            plain.then(|| site.op(&site.raw(), "=", &format!("({})", mask.sql.text())))
        };
        let text = site.need_text().is_ok();
        let sql = match shape(self.def.name, &params)? {
            Shape::Holds(sign) if text => {
                let holds = site.op(&site.call("strpos", &[&site.x(), &super::site::lit(&sign)]), ">", "0");
                format!("{holds} AND {}", itself()?)
            }
            Shape::Whole if text || column.type_name == "bytea" => itself()?,
            // A number that ends in zeros but for two digits; 0 is also a number of its own.
            Shape::Whole => format!("{} AND {}", site.op(&site.raw(), "<>", "0"), itself()?),
            Shape::Pattern(pattern) if text => site.like(&pattern),
            Shape::Holds(_) | Shape::Pattern(_) | Shape::Unknown => return None,
        };
        Some(SqlTemplate::new(&sql))
    }
}

/// The shape of a mask; none for one that nobody has thought of, which a test does not let pass.
fn shape(name: &str, params: &Params<'_>) -> Option<Shape> {
    let stars = || Shape::Holds("*".to_owned());
    Some(match name {
        "full"
        | "text_redact"
        | "name_initials"
        | "name_family"
        | "name_given"
        | "name_words"
        | "phone_vn"
        | "phone_last"
        | "phone_format"
        | "email"
        | "email_domain"
        | "email_anon"
        | "address_province"
        | "address_area"
        | "address_street_hidden"
        | "postcode_first"
        | "pan"
        | "pan_last4"
        | "bank_account"
        | "iban"
        | "cccd"
        | "cmnd"
        | "mst"
        | "plate"
        | "url_host"
        | "url_ext" => stars(),
        "partial" => Shape::Holds(params.text("fill").unwrap_or("*").to_owned()),
        "constant" | "url_placeholder" | "data_uri" | "bytea_placeholder" | "range_text" | "phone_bigint" => {
            Shape::Whole
        }
        "text_scrub" | "text_first" => Shape::Pattern(r"\[(email|url|thẻ|cccd|sđt|số)\]".to_owned()),
        "hash" => Shape::Pattern(format!("^[0-9a-f]{{{}}}$", params.integer("len", 16))),
        "pseudonym" => {
            let prefix = params.text("prefix").unwrap_or_default().replace('.', "[.]");
            Shape::Pattern(format!("^{prefix}_[A-Z2-9]{{10}}$"))
        }
        "name_pseudo" => Shape::Pattern("^Khách [A-Z2-9]{6}$".to_owned()),
        "phone_e164_hash" => Shape::Pattern("^ph_[A-Z2-9]{10}$".to_owned()),
        "phone_valid_fake" => Shape::Pattern("^0000[0-9]{6}$".to_owned()),
        "email_pseudo" => Shape::Pattern("^u[0-9a-f]{10}@example[.]invalid$".to_owned()),
        "null" | "url_signed_strip" | "json" | "json_keep" | "date_year" | "date_month" | "birth_band"
        | "date_const" | "ts_hour" | "ts_day" | "num_zero" | "num_const" | "num_round" | "num_bucket" | "num_sign"
        | "geo_round" | "date_shift_keyed" | "pseudo_int" => Shape::Unknown,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::masks::all;

    #[test]
    fn every_mask_has_been_thought_of() {
        for def in all() {
            assert!(shape(def.name, &Params::new(def.params, &[])).is_some(), "{}", def.name);
        }
    }
}
