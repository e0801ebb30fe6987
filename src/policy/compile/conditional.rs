//! Treatments and searches that depend on the row: on what its subject has consented to, refused or asked for, or on a grant.
//! In: the treatment by the rules of the role. Out: SQL that decides row by row. Invariant: what may not be seen of a row may
//! not be found by either.

use std::{fmt::Write as _, sync::Arc};

use super::{
    CategoryId, condition,
    inherit::is_view,
    roles::{Pass, stricter},
    subjects::{Asked, Wanted, grants_of},
};
use crate::{
    catalog::{Column, Relation},
    names::QualifiedName,
    policy::{
        Gate, Keeps, Mask, Search, SqlTemplate, Treatment,
        compiled::{BY_GRANT, OPERAND, withheld},
        rules::{Complaints, Given, TreatmentRule},
    },
};

/// What a role gets of a column, and how it may search by it, of a row.
pub(super) struct Conditional {
    pub treatment: Treatment,
    pub gate: Option<Gate>,
    pub search: Search,
}

impl Conditional {
    /// Of rows of which nobody knows whom they are about.
    fn hidden(self) -> Self {
        Self { treatment: Treatment::Withhold, gate: None, search: self.search.without_exact() }
    }
}

impl Pass<'_> {
    fn gate(&self, sql: SqlTemplate, clear: bool, relation: &Relation) -> Gate {
        let fails = condition::fails(&sql, relation, self.catalog);
        Gate { sql, clear, fails }
    }

    /// What becomes of a treatment, and of searches, that depend on the row: on its subject's records, or on a grant. What may not
    /// be seen of a row may not be found by either.
    pub fn conditional(
        &mut self,
        relation: &Relation,
        column: &Column,
        categories: &[CategoryId],
        given: &Given,
        free: Conditional,
        complaints: &mut Complaints<'_>,
    ) -> Conditional {
        if self.role.legal_duty {
            return self.granted(relation, column, categories, free, complaints);
        }
        let shown = match &free.treatment {
            Treatment::Withhold if free.search == Search::Exact => None,
            Treatment::Withhold | Treatment::Refuse => return free,
            Treatment::Clear => Some((OPERAND.to_string(), true, true, Keeps { null: true, empty: None })),
            Treatment::Mask(mask) => Some((mask.sql.text().to_owned(), false, mask.shows_null, mask.keeps)),
        };
        let Some(subjects) = self.subjects else { return free };
        let names: Vec<Arc<str>> =
            categories.iter().filter(|id| !self.rules.is_none(**id)).map(|id| self.rules.category_name(*id)).collect();
        let consent = self.role.settings.consent.map(|_| self.role.purpose.as_str());
        match subjects.ask(relation, Some(&column.name), Wanted { consent, refusal: &names, erasure: true }) {
            Asked::Nothing => free,
            Asked::Condition(condition, label) => {
                let Some((shown, clear, shows_null, keeps)) = shown else {
                    return Conditional { gate: Some(self.gate(condition, false, relation)), ..free };
                };
                let sql = format!("CASE WHEN {} THEN {shown} ELSE {} END", condition.text(), withheld(column));
                let name = format!("{}{label}", free.treatment.label()).into();
                let sql = SqlTemplate::new(&sql).capturing(condition.captures().iter().cloned());
                // Where the gate is closed, a comparison with the stored value is NULL too.
                let treatment = Treatment::Mask(Mask { name, sql, strict: false, shows_null, keeps });
                Conditional { treatment, gate: Some(self.gate(condition, clear, relation)), ..free }
            }
            Asked::NoSubject if subjects.is_unlinked(relation.oid) && consent.is_none() => free,
            Asked::NoSubject => {
                if !is_view(relation.kind) && !subjects.is_unlinked(relation.oid) {
                    let name = QualifiedName::new(&relation.schema, &relation.name);
                    let help = format!(
                        "Add `\"{name}.…\" = \"…\"` to its links, or {name} to its list `unlinked` if its data is about \
                         nobody in the table of subjects."
                    );
                    let at = self.rules.subject.as_ref().map_or(given.at, |subject| subject.at);
                    let message =
                        format!("{name} has personal data, and no link of [subject] leads from it to the subject");
                    complaints.add_with_help(at, message, help);
                }
                free.hidden()
            }
        }
    }

    /// What the grants of a legal duty open, and where it may search.
    fn granted(
        &mut self,
        relation: &Relation,
        column: &Column,
        categories: &[CategoryId],
        free: Conditional,
        complaints: &mut Complaints<'_>,
    ) -> Conditional {
        let mut arms = String::new();
        let mut opens: Vec<String> = Vec::new();
        for grant in grants_of(self.rules, self.role) {
            let opened = categories.iter().filter(|id| !self.rules.is_none(**id));
            let opened: Option<Vec<_>> = opened.map(|id| Some((*id, grant.see.get(id.0)?.as_ref()?.clone()))).collect();
            let Some(opened) = opened.and_then(|all| all.into_iter().reduce(stricter)) else { continue };
            let shown = match &opened.1.treatment {
                TreatmentRule::Clear => OPERAND.to_string(),
                TreatmentRule::Withhold | TreatmentRule::Refuse => continue,
                TreatmentRule::Mask(spec) => match self.fit(spec, relation, column) {
                    Ok(Some(mask)) => mask.sql.text().to_owned(),
                    Ok(None) => continue,
                    Err(why) => {
                        self.misfit(relation, column, opened.0, &opened.1, &spec.label(), &why, complaints);
                        continue;
                    }
                },
            };
            let Some(subjects) = self.subjects else {
                let help = "Add `[subject]`: a grant names subjects by their key.";
                complaints.add_with_help(grant.at, "a grant, and the rules do not say who the subjects are", help);
                continue;
            };
            if let Some(condition) = subjects.granted(relation, &column.name, grant) {
                let _ = write!(arms, " WHEN {condition} THEN {shown}");
                opens.push(format!("({condition})"));
            }
        }
        if arms.is_empty() {
            return Conditional { search: free.search.without_exact(), ..free };
        }
        let otherwise = match &free.treatment {
            Treatment::Clear => OPERAND.to_string(),
            Treatment::Mask(mask) => mask.sql.text().to_owned(),
            Treatment::Withhold | Treatment::Refuse => withheld(column),
        };
        let sql = SqlTemplate::new(&format!("CASE{arms} ELSE {otherwise} END"));
        let treatment = Treatment::Mask(Mask {
            name: BY_GRANT.into(),
            sql,
            strict: false,
            shows_null: false,
            keeps: Keeps::default(),
        });
        // A link that is NULL leads to nobody.
        let open = || SqlTemplate::new(&format!("(({}) IS TRUE)", opens.join(" OR ")));
        let gate = (free.search == Search::Exact).then(|| self.gate(open(), false, relation));
        Conditional { treatment, gate, search: free.search }
    }
}
