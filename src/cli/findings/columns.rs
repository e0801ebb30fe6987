//! Findings about columns: in no category, or personal by their looks where the rules say otherwise. Columns of a table that
//! are in no category and look like nothing are one finding: a rule set that is begun has hundreds.

use super::{
    NONE_LOOKS_PERSONAL, OPEN_DOCUMENTS, Pass, UNCLASSIFIED, UNGOVERNED_LOOKS_PERSONAL, column_name, table_name,
};
use crate::{
    catalog::Relation,
    cli::detect::{documents, guess, holds_rows, inherited},
    policy::RolePolicy,
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
    open_documents(pass, role);
}

/// Documents of tables without categories: nobody has said what is in them. One finding, for many shops keep one in each table.
fn open_documents(pass: &mut Pass<'_>, role: &RolePolicy) {
    let (catalog, samples) = (pass.catalog, pass.samples);
    let open = pass.relations().filter(|relation| holds_rows(relation) && role.relation(relation.oid).is_none());
    let names = open.flat_map(|relation| {
        let inherited = inherited(relation.oid, catalog);
        let own =
            documents(relation, samples).into_iter().filter(move |column| !inherited.contains(column.name.as_str()));
        own.map(|column| column_name(relation, column)).collect::<Vec<_>>()
    });
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        return;
    }
    let message = format!(
        "are in clear for every role, and may hold anything of a person; look into them, or let --sample do so: {}",
        names.join(", ")
    );
    pass.add(OPEN_DOCUMENTS, "documents of tables without categories", message, None);
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
