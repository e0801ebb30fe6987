//! Findings about columns: in no category, or personal by their looks where the rules say otherwise. Columns of a table that
//! are in no category and look like nothing are one finding: a rule set that is begun has hundreds.

use super::{NONE_LOOKS_PERSONAL, Pass, UNCLASSIFIED, UNGOVERNED_LOOKS_PERSONAL, column_name, table_name};
use crate::{
    catalog::Relation,
    cli::detect::{guess, holds_rows, inherited},
};

pub(super) fn find(pass: &mut Pass<'_>) {
    let Some(role) = pass.restricted().next() else { return };
    for relation in pass.relations().filter(|relation| holds_rows(relation)) {
        let inherited = inherited(relation.oid, pass.catalog);
        let governed = role.relation(relation.oid);
        let mut plain = Vec::new();
        for (position, column) in relation.columns.iter().enumerate() {
            // What is wrong with a parent's column is said of the parent.
            if inherited.contains(column.name.as_str()) {
                continue;
            }
            let name = column_name(relation, column);
            let looks = guess(relation, column, pass.samples.of(relation.oid, column.attnum));
            let known = governed.and_then(|governed| governed.columns.get(position));
            match (governed, known.and_then(|known| known.category.as_deref()), looks) {
                (None, _, Some(guess)) => {
                    let message = format!(
                        "looks like personal data ({}): {}; its table is not governed, every role sees it in clear",
                        guess.kind, guess.reason
                    );
                    pass.add(UNGOVERNED_LOOKS_PERSONAL, &name, message, None);
                }
                (Some(_), None, Some(guess)) => {
                    let message = format!(
                        "is in no category, so that restricted roles read NULL; it looks like category {}: {}",
                        guess.kind, guess.reason
                    );
                    pass.add(UNCLASSIFIED, &name, message, pass.spot_of_table(relation));
                }
                (Some(_), None, None) => plain.push((name, column.name.as_str())),
                (Some(_), Some(_), Some(guess)) if known.is_some_and(|known| !known.personal) => {
                    let message =
                        format!("is in category none and looks like personal data ({}): {}", guess.kind, guess.reason);
                    pass.add(NONE_LOOKS_PERSONAL, &name, message, pass.spot_of_column(relation, column));
                }
                (Some(_), Some(_), _) | (None, _, None) => {}
            }
        }
        unclassified(pass, relation, &plain);
    }
}

fn unclassified(pass: &mut Pass<'_>, relation: &Relation, columns: &[(String, &str)]) {
    let spot = pass.spot_of_table(relation);
    let (object, message) = match columns {
        [] => return,
        [(name, _)] => {
            let message =
                "is in no category, so that restricted roles read NULL; put it into one, or into category none";
            (name.clone(), message.to_owned())
        }
        many => {
            let names: Vec<&str> = many.iter().map(|(_, name)| *name).collect();
            let message = format!(
                "has {} columns in no category, so that restricted roles read NULL; put each into one, or into category none: {}",
                names.len(),
                names.join(", ")
            );
            (table_name(relation), message)
        }
    };
    pass.add(UNCLASSIFIED, &object, message, spot);
}
