//! Why many columns change at once: one table of the rules about subjects does. In: changes, and what both rule sets say about
//! subjects. Out: the same changes, each with its cause and the place of that where there is one.

use std::collections::BTreeSet;

use super::{Change, Kind, columns::CONDITIONS};
use crate::{
    cli::output::Spot,
    policy::{
        places::{Link, Section},
        rules::RuleSet,
    },
};

/// What of the rules says something else than before, or is new, or gone.
struct Cause {
    /// The table of the rules.
    name: &'static str,
    /// For links, the table of the database that they lead from.
    from: Option<String>,
    text: String,
    spot: Spot,
}

/// Finds the cause of each change of a column.
pub(super) fn find(changes: &mut [Change], old: &RuleSet, new: &RuleSet) {
    let (sections, links) = ((old.sections(), new.sections()), (old.links(), new.links()));
    let of = |sections: &[Section], name| sections.iter().find(|section| section.name == name).cloned();
    let mut causes: Vec<Cause> = ["subject", "consent", "refusal", "erasure"]
        .into_iter()
        .filter_map(|name| cause(name, of(&sections.0, name).as_ref(), of(&sections.1, name).as_ref()))
        .collect();
    let tables: BTreeSet<String> = links.0.iter().chain(&links.1).map(Link::table).collect();
    causes.extend(tables.into_iter().filter_map(|table| of_links(table, &links.0, &links.1)));
    for change in changes.iter_mut().filter(|change| change.kind == Kind::Column) {
        let Some(concerned) = concerned(&change.old, &change.new) else { continue };
        let is_from =
            |table: &String| change.what.strip_prefix(table.as_str()).is_some_and(|rest| rest.starts_with('.'));
        let mut own: Vec<&Cause> = causes
            .iter()
            .filter(|cause| concerned.contains(cause.name) || cause.from.as_ref().is_some_and(is_from))
            .collect();
        // How rows lead to subjects, step by step, matters to every condition.
        if own.is_empty() {
            own = causes.iter().filter(|cause| cause.name == "subject").collect();
        }
        if let Some(first) = own.first() {
            change.spot = Some(first.spot.clone());
            change.cause = Some(own.iter().map(|cause| cause.text.as_str()).collect::<Vec<_>>().join("; "));
        }
    }
}

/// That the links of one table have changed.
fn of_links(table: String, old: &[Link<'_>], new: &[Link<'_>]) -> Option<Cause> {
    let own = |links: &[Link<'_>]| -> Vec<(String, Spot)> {
        let own = links.iter().filter(|link| link.table() == table);
        own.map(|link| (link.says(), Spot { file: link.place.0.to_owned(), line: link.place.1 })).collect()
    };
    let (old, new) = (own(old), own(new));
    let says = |links: &[(String, Spot)]| links.iter().map(|(says, _)| says.clone()).collect::<Vec<_>>();
    let (before, after) = (says(&old), says(&new));
    if before == after {
        return None;
    }
    let other = |(says, _): &&(String, Spot)| !before.contains(says) || !after.contains(says);
    let spot = new.iter().find(other).or_else(|| old.iter().find(other)).or(new.first())?.1.clone();
    let text = match (lacking(&before, &after), lacking(&after, &before)) {
        (None, None) => "in another order".to_owned(),
        (Some(gone), None) => format!("{gone} was taken out"),
        (None, Some(added)) => format!("{added} was added"),
        (Some(gone), Some(added)) => format!("{gone} became {added}"),
    };
    Some(Cause { name: "subject", text: format!("[subject.links] of {table}: {text}"), from: Some(table), spot })
}

/// What of `says` the other has not.
fn lacking(says: &[String], other: &[String]) -> Option<String> {
    let own: Vec<&str> = says.iter().filter(|said| !other.contains(said)).map(String::as_str).collect();
    (!own.is_empty()).then(|| own.join(", "))
}

/// The tables that can be why a label became another: those of the conditions that came or went, or else of all that it has. None where
/// something else than conditions changed.
fn concerned(old: &str, new: &str) -> Option<BTreeSet<&'static str>> {
    let base = |label: &str| -> Vec<String> {
        let label = label.split(" [").next().unwrap_or_default();
        let (treatment, search) = label.split_once("; ").unwrap_or((label, ""));
        let words = treatment.split_whitespace().take_while(|word| !["if", "unless"].contains(word));
        words.chain([search]).map(str::to_owned).collect()
    };
    let conditions = |label: &str| -> BTreeSet<&str> {
        CONDITIONS.into_iter().filter(|word| label.split([' ', ';']).any(|own| own == *word)).collect()
    };
    if base(old) != base(new) {
        return None;
    }
    let (before, after) = (conditions(old), conditions(new));
    let changed: BTreeSet<&str> = before.symmetric_difference(&after).copied().collect();
    let of = if changed.is_empty() { before } else { changed };
    let tables = of.into_iter().filter_map(|word| match word {
        "consented" => Some("consent"),
        "refused" => Some("refusal"),
        "erased" => Some("erasure"),
        _ => None,
    });
    Some(tables.collect())
}

fn cause(name: &'static str, old: Option<&Section>, new: Option<&Section>) -> Option<Cause> {
    let (text, place) = match (old, new) {
        (None, None) => return None,
        (Some(old), None) => (format!("[{name}] was taken out ({})", old.says.join(", ")), &old.place),
        (None, Some(new)) => (format!("[{name}] was added ({})", new.says.join(", ")), &new.place),
        (Some(old), Some(new)) => {
            let lacking =
                |of: &Section, other: &Section| lacking(&of.says, &other.says).unwrap_or("nothing".to_owned());
            if old.says == new.says {
                return None;
            }
            (format!("[{name}]: {} -> {}", lacking(old, new), lacking(new, old)), &new.place)
        }
    };
    Some(Cause { name, from: None, text, spot: Spot { file: place.0.clone(), line: place.1 } })
}
