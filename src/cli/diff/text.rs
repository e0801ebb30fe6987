//! A difference for people: one line for each cause, with the roles and columns that it reaches. In: the changes. Out: text, and annotations
//! of GitHub.

use std::fmt::Write as _;

use super::{Change, Difference, Kind, Sight, word};
use crate::cli::output::{self, Level, Remark, Spot};

/// The longest list of names that is told in full.
const NAMED: usize = 3;
/// Names that are told of a longer one.
const SOME: usize = 2;

/// Changes that are told as one.
struct Group<'a> {
    first: &'a Change,
    who: Vec<&'a str>,
    what: Vec<&'a str>,
    places: Vec<&'a Spot>,
}

/// Puts changes together: all of one cause; else columns of the same role that change alike, and roles for which the same do.
fn groups<'a>(changes: impl Iterator<Item = &'a Change>) -> Vec<Group<'a>> {
    let mut found: Vec<Group<'a>> = Vec::new();
    let alike = |a: &Change, b: &Change| a.kind == b.kind && a.old == b.old && a.new == b.new;
    for change in changes {
        let own = |group: &&mut Group<'a>| {
            let who = group.first.who == change.who && change.kind == Kind::Column;
            let same = alike(group.first, change) && who && group.first.spot == change.spot;
            group.first.cause == change.cause && (change.cause.is_some() || same)
        };
        if let Some(group) = found.iter_mut().find(own) {
            add(&mut group.who, &change.who);
            add(&mut group.what, &change.what);
        } else {
            let (who, what, places) =
                (vec![change.who.as_str()], vec![change.what.as_str()], change.spot.iter().collect());
            found.push(Group { first: change, who, what, places });
        }
    }
    let mut merged: Vec<Group<'a>> = Vec::new();
    for group in found {
        let own = |other: &&mut Group<'a>| {
            other.first.cause.is_none()
                && group.first.cause.is_none()
                && alike(other.first, group.first)
                && other.what == group.what
        };
        if let Some(other) = merged.iter_mut().find(own) {
            group.who.into_iter().for_each(|who| add(&mut other.who, who));
            for place in group.places {
                if !other.places.contains(&place) {
                    other.places.push(place);
                }
            }
        } else {
            merged.push(group);
        }
    }
    merged
}

fn add<'a>(list: &mut Vec<&'a str>, name: &'a str) {
    if !list.contains(&name) {
        list.push(name);
    }
}

impl Group<'_> {
    fn who(&self) -> String {
        named(&self.who, "roles")
    }

    fn what(&self) -> String {
        named(&self.what, "columns")
    }

    fn change(&self) -> String {
        let Change { old, new, cause, .. } = self.first;
        cause.clone().unwrap_or_else(|| format!("{old} -> {new}"))
    }

    fn place(&self) -> Option<String> {
        let first = self.places.first()?;
        let more = if self.places.len() > 1 { format!(" and {} more", self.places.len() - 1) } else { String::new() };
        Some(format!("{}:{}{more}", first.file, first.line))
    }
}

/// The names; of many the first, with their number.
fn named(names: &[&str], of: &str) -> String {
    match names.get(..SOME) {
        Some(some) if names.len() > NAMED => format!("{} {of}: {}, …", names.len(), some.join(", ")),
        Some(_) | None => names.join(", "),
    }
}

/// For people; with a line for each change where `details` are wanted.
pub(super) fn human(difference: &Difference, details: bool) -> String {
    let mut out = format!("old  {}\nnew  {}\n", difference.old, difference.new);
    let of = |sight: Sight| difference.changes.iter().filter(move |change| change.sight == sight);
    let mut shortened = false;
    for (sight, title) in [
        (Sight::More, "sees more"),
        (Sight::Else, "sees something else (which may be more)"),
        (Sight::Less, "sees less"),
        (Sight::Same, "changed, and sees the same"),
    ] {
        let groups = if details {
            of(sight).flat_map(|change| groups([change].into_iter())).collect()
        } else {
            groups(of(sight))
        };
        shortened |= groups.iter().any(|group| group.who.len() > NAMED || group.what.len() > NAMED);
        let lines: Vec<Vec<String>> = groups
            .iter()
            .map(|group| [group.who(), group.what(), group.change()].into_iter().chain(group.place()).collect())
            .collect();
        if !lines.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(out, "\n{title}\n{}", output::table(&lines, 2));
        }
    }
    let count = |sight: Sight| of(sight).count();
    let (more, other, less) = (count(Sight::More), count(Sight::Else), count(Sight::Less));
    let sum = if more + other == 0 { ": nobody sees more" } else { "" };
    let hint = if shortened { "\n--details names every role and column" } else { "" };
    let _ = writeln!(out, "\n{more} more, {other} something else, {less} less{sum}{hint}");
    out
}

/// Annotations, one for each line.
pub(super) fn github(difference: &Difference) -> String {
    let groups = groups(difference.changes.iter().filter(|change| change.sight != Sight::Same));
    let remarks = groups.iter().map(|group| {
        let sight = group.first.sight;
        Remark {
            level: if sight == Sight::Less { Level::Note } else { Level::Warning },
            code: format!("sees-{}", word(sight).replace(' ', "-")).into(),
            message: format!("{} sees {}: {} {}", group.who(), word(sight), group.what(), group.change()),
            spot: group.places.first().map(|spot| (*spot).clone()),
        }
    });
    output::github(&remarks.collect::<Vec<_>>())
}
