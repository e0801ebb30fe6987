//! Why many columns change at once: one table of the rules about subjects does. In: changes, and what both rule sets say about
//! subjects. Out: the same changes, each with its cause and the place of that where there is one.

use std::collections::BTreeSet;

use super::{Change, Kind, columns::CONDITIONS};
use crate::{cli::output::Spot, policy::places::Section};

/// One table of the rules that says something else than before, or is new, or gone.
struct Cause {
    name: &'static str,
    text: String,
    spot: Spot,
}

/// Finds the cause of each change of a column.
pub(super) fn find(changes: &mut [Change], old: &[Section], new: &[Section]) {
    let causes: Vec<Cause> = ["subject", "consent", "refusal", "erasure"]
        .into_iter()
        .filter_map(|name| {
            let of = |sections: &'_ [Section]| sections.iter().find(|section| section.name == name).cloned();
            cause(name, of(old).as_ref(), of(new).as_ref())
        })
        .collect();
    for change in changes.iter_mut().filter(|change| change.kind == Kind::Column) {
        let Some(concerned) = concerned(&change.old, &change.new) else { continue };
        let mut own: Vec<&Cause> = causes.iter().filter(|cause| concerned.contains(cause.name)).collect();
        // How rows lead to subjects matters to every condition.
        if own.is_empty() {
            own = causes.iter().filter(|cause| cause.name == "subject").collect();
        }
        if let Some(first) = own.first() {
            change.spot = Some(first.spot.clone());
            change.cause = Some(own.iter().map(|cause| cause.text.as_str()).collect::<Vec<_>>().join("; "));
        }
    }
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
            let lacking = |of: &Section, other: &Section| -> String {
                let own: Vec<&str> =
                    of.says.iter().filter(|said| !other.says.contains(said)).map(String::as_str).collect();
                if own.is_empty() { "nothing".to_owned() } else { own.join(", ") }
            };
            if old.says == new.says {
                return None;
            }
            (format!("[{name}]: {} -> {}", lacking(old, new), lacking(new, old)), &new.place)
        }
    };
    Some(Cause { name, text, spot: Spot { file: place.0.clone(), line: place.1 } })
}
