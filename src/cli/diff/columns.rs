//! What a role gets of one column, as a comparison sees it: which of two shows more, and how to call each. In: roles of two policies.
//! Out: the direction, and labels that differ where what they name does.

use std::collections::BTreeSet;

use super::Sight;
use crate::{
    names::{Oid, quote_ident},
    policy::{Gate, RolePolicy, Search, SqlTemplate, Treatment, compiled::Row},
};

/// What a role gets of one column.
pub(super) struct View<'a> {
    treatment: &'a Treatment,
    /// [`Search::Exact`] shows more than [`Search::Masked`]; only where the treatment is not clear.
    search: Search,
    /// What must hold of the row for anything to be seen, or found.
    gate: Option<&'a Gate>,
    pub rule: Option<&'a str>,
}

impl<'a> View<'a> {
    pub fn of(role: &'a RolePolicy, relation: Oid, position: usize) -> Self {
        let Some(governed) = role.relation(relation) else {
            return Self { treatment: &Treatment::Clear, search: Search::Masked, gate: None, rule: None };
        };
        if governed.refuse.is_some() {
            return Self { treatment: &Treatment::Refuse, search: Search::Masked, gate: None, rule: None };
        }
        match governed.columns.get(position) {
            Some(column) => {
                let hidden = matches!(column.treatment, Treatment::Mask(_) | Treatment::Withhold);
                let search = if hidden { column.search } else { Search::Masked };
                let gate = column.gate.as_ref();
                Self { treatment: &column.treatment, search, gate, rule: Some(&column.rule) }
            }
            None => Self { treatment: &Treatment::Withhold, search: Search::Masked, gate: None, rule: None },
        }
    }

    fn openness(&self) -> u8 {
        match self.treatment {
            Treatment::Clear => 4,
            Treatment::Mask(_) if self.gate.is_some_and(|gate| gate.clear) => 3,
            Treatment::Mask(_) => 2,
            Treatment::Withhold => 1,
            Treatment::Refuse => 0,
        }
    }

    /// Which way the change from here to `new` goes; none when there is none.
    pub fn compared(&self, new: &Self) -> Option<Sight> {
        let by_treatment = match self.openness().cmp(&new.openness()) {
            std::cmp::Ordering::Less => Some(Sight::More),
            // Of subjects whom a condition hid, a mask shows more than nothing.
            std::cmp::Ordering::Greater if new.shows() && !conditions(self).is_subset(&conditions(new)) => {
                Some(Sight::Else)
            }
            std::cmp::Ordering::Greater => Some(Sight::Less),
            std::cmp::Ordering::Equal if self.treatment == new.treatment => None,
            std::cmp::Ordering::Equal => Some(by_conditions(self.treatment.label(), new.treatment.label())),
        };
        let hidden = |view: &Self| matches!(view.treatment, Treatment::Mask(_) | Treatment::Withhold);
        let by_search = if hidden(self) && hidden(new) {
            match searchable(new.search).cmp(&searchable(self.search)) {
                std::cmp::Ordering::Greater => Some(Sight::More),
                std::cmp::Ordering::Less => Some(Sight::Less),
                std::cmp::Ordering::Equal => None,
            }
        } else {
            None
        };
        let finds = |view: &Self| view.search == Search::Exact;
        let by_gate = (finds(self) && finds(new) && self.gate != new.gate).then_some(Sight::Else);
        // What shows more in one respect shows more.
        by_treatment.into_iter().chain(by_search).chain(by_treatment.is_none().then_some(by_gate).flatten()).min()
    }

    fn shows(&self) -> bool {
        match self.treatment {
            Treatment::Clear | Treatment::Mask(_) => true,
            Treatment::Withhold | Treatment::Refuse => false,
        }
    }

    fn label(&self) -> String {
        let label = self.treatment.label();
        match self.search {
            Search::Masked => label.to_owned(),
            Search::Exact => format!("{label}; search exact"),
            Search::Refuse => format!("{label}; search refuse"),
        }
    }

    /// How to call what was and what is, for the column `name`; where that is the same, with what of the SQL is not.
    pub fn shown(&self, new: &Self, name: &str) -> (String, String) {
        let (old_label, new_label) = (self.label(), new.label());
        if old_label != new_label {
            return (old_label, new_label);
        }
        let (old, new) = (self.sql(name), new.sql(name));
        let (old, new) = differing(&old, &new);
        (format!("{old_label} [{old}]"), format!("{new_label} [{new}]"))
    }

    fn sql(&self, name: &str) -> String {
        let filled = |sql: &SqlTemplate| sql.fill_row(&quote_ident(name), Row { name: "row", few: false });
        let shown = match self.treatment {
            Treatment::Mask(mask) => filled(&mask.sql),
            Treatment::Clear | Treatment::Withhold | Treatment::Refuse => String::new(),
        };
        shown + &self.gate.map(|gate| filled(&gate.sql)).unwrap_or_default()
    }
}

/// Characters of a differing part, and around it, that are shown.
const SHOWN: (usize, usize) = (60, 12);

/// The parts of two texts in which they differ, with a little of what stands around.
fn differing(old: &str, new: &str) -> (String, String) {
    let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
    let same = |(a, b): &(&char, &char)| a == b;
    let shorter = old.len().min(new.len());
    let before = old.iter().zip(&new).take_while(same).count();
    let behind = old.iter().rev().zip(new.iter().rev()).take_while(same).count().min(shorter - before);
    let part = |text: &[char]| {
        let from = before.saturating_sub(SHOWN.1);
        let until = (text.len() - behind + SHOWN.1).min(text.len());
        let until = until.min(from + SHOWN.0);
        let dots = |cut: bool| if cut { "…" } else { "" };
        let middle: String = text.iter().skip(from).take(until.saturating_sub(from)).collect();
        format!("{}{middle}{}", dots(from > 0), dots(until < text.len()))
    };
    (part(&old), part(&new))
}

/// What must hold of the subject, by the label of a treatment.
fn conditions(view: &View<'_>) -> BTreeSet<&'static str> {
    CONDITIONS.into_iter().filter(|word| view.treatment.label().split_whitespace().any(|own| own == *word)).collect()
}

/// The words by which labels tell of conditions.
pub(super) const CONDITIONS: [&str; 3] = ["consented", "refused", "erased"];

/// Of two treatments that depend on the row: fewer conditions show more, if the rest is the same.
fn by_conditions(old: &str, new: &str) -> Sight {
    let parts = |label: &str| -> (String, BTreeSet<String>) {
        let mut words = label.split_whitespace();
        let base: Vec<&str> = words.by_ref().take_while(|word| !["if", "unless"].contains(word)).collect();
        let found = label.split_whitespace().filter(|word| CONDITIONS.contains(word));
        (base.join(" "), found.map(str::to_owned).collect())
    };
    let ((old_base, old), (new_base, new)) = (parts(old), parts(new));
    if old_base != new_base || old == new {
        Sight::Else
    } else if new.is_subset(&old) {
        Sight::More
    } else if old.is_subset(&new) {
        Sight::Less
    } else {
        Sight::Else
    }
}

fn searchable(search: Search) -> u8 {
    match search {
        Search::Exact => 2,
        Search::Masked => 1,
        Search::Refuse => 0,
    }
}
