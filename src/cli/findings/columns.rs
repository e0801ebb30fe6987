//! Findings about columns: in no category, or personal by their looks where the rules say otherwise.

use super::{NONE_LOOKS_PERSONAL, Pass, UNCLASSIFIED, UNGOVERNED_LOOKS_PERSONAL, column_name};
use crate::cli::detect::{guess, holds_rows, inherited};

pub(super) fn find(pass: &mut Pass<'_>) {
    let Some(role) = pass.restricted().next() else { return };
    for relation in pass.relations().filter(|relation| holds_rows(relation)) {
        let inherited = inherited(relation.oid, pass.catalog);
        let governed = role.relation(relation.oid);
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
                (Some(_), None, looks) => {
                    let looks = looks.map_or_else(
                        || "put it into one, or into category none".to_owned(),
                        |guess| format!("it looks like category {}: {}", guess.kind, guess.reason),
                    );
                    let message = format!("is in no category, so that restricted roles read NULL; {looks}");
                    pass.add(UNCLASSIFIED, &name, message, pass.spot_of_table(relation));
                }
                (Some(_), Some(_), Some(guess)) if known.is_some_and(|known| !known.personal) => {
                    let message =
                        format!("is in category none and looks like personal data ({}): {}", guess.kind, guess.reason);
                    pass.add(NONE_LOOKS_PERSONAL, &name, message, pass.spot_of_column(relation, column));
                }
                (Some(_), Some(_), _) | (None, _, None) => {}
            }
        }
    }
}
