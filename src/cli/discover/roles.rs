//! Roles to begin with, for the categories that `discover` found and the logins that the server has. In: the catalog, what was
//! found. Out: for each category a mask that fits all its columns, and TOML as comments. Nothing of it is in force until a person takes
//! the signs away.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;

use super::{Discovery, quoted};
use crate::{
    catalog::{CatalogSnapshot, Column},
    cli::detect::{Kind, guess, holds_rows, samples::Samples},
    policy::masks::MaskSpec,
};

/// What a role that works with masks could get of a category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proposed {
    /// Name of the category.
    pub category: String,
    /// The treatment in TOML.
    pub treatment: String,
    /// Whether customers are looked up by it.
    pub searched: bool,
}

/// Masks for a kind, with their parameters, the best first. All keep what forms and NOT NULL demand where that is possible.
fn masks(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::Name => &[("name_initials", ""), ("full", "")],
        Kind::Phone => &[("phone_last", ""), ("phone_bigint", ""), ("full", "")],
        Kind::Email => &[("email", "hidden_domain = \"example.com\""), ("full", "")],
        Kind::Address => &[("address_area", ""), ("full", "")],
        Kind::Birth => &[("birth_band", "years = 10"), ("full", "")],
        Kind::Card => &[("pan_last4", ""), ("full", "")],
        Kind::BankAccount => &[("bank_account", ""), ("full", "")],
        Kind::FreeText => &[("text_redact", ""), ("full", "")],
        Kind::Account
        | Kind::Gender
        | Kind::IdCard
        | Kind::TaxCode
        | Kind::Location
        | Kind::Network
        | Kind::Media
        | Kind::Plate
        | Kind::Special => &[("full", "")],
        // Who compares it, to log somebody in, needs it in clear, and nobody else anything of it.
        Kind::Secret => &[],
    }
}

/// A treatment for each kind that was found.
pub(super) fn propose(catalog: &CatalogSnapshot, samples: &Samples) -> Vec<Proposed> {
    let mut columns: BTreeMap<Kind, Vec<&Column>> = BTreeMap::new();
    for relation in catalog.data().relations.iter().filter(|relation| holds_rows(relation)) {
        for column in &relation.columns {
            if let Some(guess) = guess(relation, column, samples.of(relation.oid, column.attnum)) {
                columns.entry(guess.kind).or_default().push(column);
            }
        }
    }
    let mut proposed = Vec::new();
    for (kind, columns) in columns {
        let fits = |(name, parameters): &&(&str, &str)| {
            let spec = MaskSpec::parse(name, parameters);
            spec.is_ok_and(|spec| columns.iter().all(|column| spec.fit(column, catalog).is_ok()))
        };
        let treatment = match masks(kind).iter().find(fits) {
            Some((name, "")) => quoted(name),
            Some((name, parameters)) => format!("{{ mask = {}, {parameters} }}", quoted(name)),
            None => quoted("withhold"),
        };
        let searched = matches!(kind, Kind::Phone | Kind::Email) && treatment != quoted("withhold");
        proposed.push(Proposed { category: kind.category().0.to_owned(), treatment, searched });
    }
    proposed
}

/// The login of the role that sees what it enters, until a person writes another.
const SHOP: &str = "shop_app";

/// The roles as comments.
pub(super) fn as_toml(discovery: &Discovery) -> String {
    let Discovery { proposed, logins, superusers, .. } = discovery;
    let list = |names: &[String], otherwise: &str| {
        let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        if names.is_empty() { quoted(otherwise) } else { names.join(", ") }
    };
    let mut see: String = String::new();
    for Proposed { category, treatment, .. } in proposed {
        let why = match category.as_str() {
            "secret" | "account" => "    # who logs people in compares it: \"clear\" for such an application",
            _ => "",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(see, "#: see.{category} = {treatment}{why}");
    }
    // The login that stands for the shop's own in the role before: none has two.
    let staff: Vec<String> = logins.iter().filter(|name| *name != SHOP).cloned().collect();
    let searched: Vec<String> =
        proposed.iter().filter(|one| one.searched).map(|one| format!("{} = \"exact\"", one.category)).collect();
    let search = if searched.is_empty() {
        String::new()
    } else {
        format!("#: search = {{ {} }}    # may look people up by what it knows\n", searched.join(", "))
    };
    format!(
        "\n# Who sees what kind: roles to begin with. The first that matches a login is taken; a login that none matches cannot \
         connect.\n# Sort the logins of your server into them, say what each sees (rules/README.md lists the masks), and take the signs \
         away:\n#     sed -i.bak 's/^#: \\{{0,1\\}}//' FILE\n\
         #: [[role]]\n#: name = \"shop\"                      # enters the data, and shows people their own\n\
         #: match = {{ user = [\"{SHOP}\"] }}\n#: otherwise = \"clear\"\n#:\n\
         #: [[role]]\n#: name = \"staff\"                     # works with masks\n\
         #: match = {{ user = [{}] }}\n#: observe = true                     # nothing is enforced; events say what would be\n\
         {see}{search}#: otherwise = \"withhold\"             # categories not named in see\n#:\n\
         #: [[role]]\n#: name = \"owner\"                     # migrations and backups: audited, never rewritten\n\
         #: match = {{ user = [{}] }}\n#: exempt = true\n",
        list(&staff, "staff_app"),
        list(superusers, "shop_owner"),
    )
}
