//! One role: treatments of categories → treatments of columns, each mask fitted to its column.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock},
};

use foldhash::fast::FixedState;

use super::{Assignments, Bases, Basis, CategoryId, RelationBasis};
use crate::{
    catalog::{
        CatalogSnapshot, Column, Relation,
        system::{SystemRelation, is_refused_anywhere, system_relation},
    },
    diagnostic::suggestion,
    names::{Oid, QualifiedName, rule_part},
    policy::{
        ColumnPolicy, RelationPolicy, RolePolicy, Search, Treatment, WriteBack,
        masks::keyed,
        rules::{At, Complaints, Given, RoleRule, RuleSet, TreatmentRule},
    },
};

struct Pass<'a> {
    role: &'a RoleRule,
    rules: &'a RuleSet,
    assignments: &'a Assignments,
    catalog: &'a CatalogSnapshot,
    origins: HashMap<(usize, usize), Arc<str>>,
}

pub(super) fn role(
    role: &RoleRule,
    rules: &RuleSet,
    assignments: &Assignments,
    bases: &Bases,
    catalog: &CatalogSnapshot,
    complaints: &mut Complaints<'_>,
) -> RolePolicy {
    let functions = functions(role, catalog, complaints);
    let mut pass = Pass { role, rules, assignments, catalog, origins: HashMap::new() };
    let mut governed: HashMap<Oid, RelationPolicy, FixedState> = HashMap::default();
    for relation in &catalog.data().relations {
        let policy = match bases.get(&relation.oid) {
            Some(found) => Some(pass.relation(relation, found, &functions, complaints)),
            None => pass.system_relation(relation),
        };
        if let Some(policy) = policy {
            governed.insert(relation.oid, policy);
        }
    }
    let protected = catalog.data().relations.iter();
    let protected = protected.filter(|relation| governed.get(&relation.oid).is_some_and(RelationPolicy::is_governed));
    let protected_names = protected.map(|relation| relation.name.as_str().into()).collect();
    RolePolicy {
        name: role.name.clone(),
        origin: rules.origin(role.at).to_string(),
        matching: role.matching.clone(),
        exempt: role.exempt,
        purpose: role.purposes.first().cloned().unwrap_or_default(),
        recipient: role.recipient.clone(),
        explain: role.explain,
        governed,
        protected_names,
        functions,
    }
}

fn functions(role: &RoleRule, catalog: &CatalogSnapshot, complaints: &mut Complaints<'_>) -> HashSet<Oid, FixedState> {
    let mut allowed = HashSet::default();
    for rule in &role.functions {
        if (rule.schema.as_str(), rule.name.as_str()) == (keyed::SCHEMA, keyed::FUNCTION) {
            let help = "With it a client finds the value of a pseudonym by trying; masks call it without being listed.";
            complaints.add_with_help(rule.at, "the function of keyed masks may not be listed", help);
            continue;
        }
        let found: Vec<_> = catalog.functions_named(&rule.name).filter(|f| f.schema == rule.schema).collect();
        if found.is_empty() {
            let all = catalog.data().functions.iter().filter(|function| function.schema == rule.schema);
            let near = suggestion(&rule.name, "functions", all.map(|function| function.name.as_str()));
            let name = QualifiedName::new(&rule.schema, &rule.name);
            complaints.add_with_suggestion(rule.at, format!("unknown function {name}"), near);
        }
        allowed.extend(found.into_iter().map(|function| function.oid));
    }
    allowed
}

impl Pass<'_> {
    fn relation(
        &mut self,
        relation: &Relation,
        basis: &RelationBasis,
        functions: &HashSet<Oid, FixedState>,
        complaints: &mut Complaints<'_>,
    ) -> RelationPolicy {
        let mut columns = Vec::with_capacity(relation.columns.len());
        for (position, column) in relation.columns.iter().enumerate() {
            let basis = basis.columns.get(position).unwrap_or(&Basis::Unclassified);
            columns.push(self.column(relation, column, basis, complaints));
        }
        let refuse = if self.role.exempt || basis.explicit {
            None
        } else if let Some(why) = &basis.problem {
            Some(why.clone())
        } else if let Some((name, _)) = basis.decides.iter().find(|(_, basis)| !self.sees_clear(basis)) {
            Some(format!("what rows it has, or their order, depends on {name}, which this role does not see in clear"))
        } else {
            let unlisted = basis.functions.iter().find(|oid| !functions.contains(oid));
            unlisted.map(|oid| match self.catalog.data().functions.iter().find(|function| function.oid == *oid) {
                Some(function) => format!("it calls function {}.{}", function.schema, function.name),
                None => "it calls a function that is not known".to_owned(),
            })
        };
        let protected = columns.iter().any(|column| column.treatment != Treatment::Clear);
        RelationPolicy { columns, protected, refuse }
    }

    /// Whether the role gets stored values of a column with this basis.
    fn sees_clear(&self, basis: &Basis) -> bool {
        match basis {
            Basis::Free => true,
            Basis::Unclassified | Basis::Derived => false,
            Basis::Categories(categories) => categories.iter().all(|category| {
                let see = self.role.see.get(category.0).and_then(Option::as_ref);
                let given = see.unwrap_or(&self.role.otherwise);
                self.rules.is_none(*category) || matches!(given.treatment, TreatmentRule::Clear)
            }),
        }
    }

    fn column(
        &mut self,
        relation: &Relation,
        column: &Column,
        basis: &Basis,
        complaints: &mut Complaints<'_>,
    ) -> ColumnPolicy {
        let role_at = self.role.at;
        let free = ColumnPolicy {
            attnum: column.attnum,
            category: None,
            personal: false,
            treatment: Treatment::Clear,
            search: Search::Masked,
            write_back: WriteBack::Keep,
            rule: self.origin(role_at),
            item: OnceLock::new(),
        };
        match basis {
            Basis::Free => free,
            Basis::Unclassified | Basis::Derived => ColumnPolicy {
                personal: true,
                treatment: if self.role.exempt { Treatment::Clear } else { Treatment::Withhold },
                write_back: self.role.write_back,
                ..free
            },
            Basis::Categories(categories) => self.classified(relation, column, categories, free, complaints),
        }
    }

    fn classified(
        &mut self,
        relation: &Relation,
        column: &Column,
        categories: &[CategoryId],
        free: ColumnPolicy,
        complaints: &mut Complaints<'_>,
    ) -> ColumnPolicy {
        let clear = Given { treatment: TreatmentRule::Clear, at: self.role.at };
        let mut chosen: Option<(CategoryId, Given)> = None;
        let mut search = Search::Exact;
        for category in categories {
            let given = if self.role.exempt || self.rules.is_none(*category) {
                clear.clone()
            } else {
                let see = self.role.see.get(category.0).cloned().flatten();
                see.unwrap_or_else(|| self.role.otherwise.clone())
            };
            let own = self.role.search.get(category.0).copied().unwrap_or(Search::Masked);
            if !self.rules.is_none(*category) {
                search = stricter_search(search, own);
            }
            chosen = Some(match chosen {
                None => (*category, given),
                Some(before) => stricter(before, (*category, given)),
            });
        }
        let Some((category, given)) = chosen else { return free };
        let personal = categories.iter().any(|category| !self.rules.is_none(*category));
        let treatment = match &given.treatment {
            TreatmentRule::Clear => Treatment::Clear,
            TreatmentRule::Withhold => Treatment::Withhold,
            TreatmentRule::Refuse => Treatment::Refuse,
            TreatmentRule::Mask(spec) => match spec.fit(column, self.catalog) {
                Ok(mask) => Treatment::Mask(mask),
                Err(why) => {
                    self.misfit(relation, column, category, &given, &spec.label(), &why, complaints);
                    Treatment::Withhold
                }
            },
        };
        ColumnPolicy {
            category: Some(self.rules.category_name(category)),
            personal,
            treatment,
            search: if personal { search } else { Search::Masked },
            write_back: self.role.write_back,
            rule: self.origin(given.at),
            ..free
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one complaint names everything involved")]
    fn misfit(
        &self,
        relation: &Relation,
        column: &Column,
        category: CategoryId,
        given: &Given,
        label: &str,
        why: &str,
        complaints: &mut Complaints<'_>,
    ) {
        let name = QualifiedName::new(&relation.schema, &relation.name);
        let message = format!("mask {label} does not fit column {name}.{}: {why}", rule_part(&column.name));
        let help = match self.assignments.get(&(relation.oid, column.attnum)) {
            Some(assignment) => format!(
                "The column is in category {} by {}; choose another mask, or another category for it.",
                self.rules.category_name(category),
                self.rules.origin(assignment.at)
            ),
            None => format!(
                "The column takes category {} from a column that it hands on or inherits; choose another mask, or \
                 classify {name}.{} itself.",
                self.rules.category_name(category),
                rule_part(&column.name)
            ),
        };
        complaints.add_with_help(given.at, message, help);
    }

    /// For restricted roles, the columns of system relations that they do not get, and relations that show other sessions.
    fn system_relation(&mut self, relation: &Relation) -> Option<RelationPolicy> {
        if self.role.exempt {
            return None;
        }
        // The views of monitoring extensions stand in whatever schema the extension was put into.
        let refuse = (!relation.is_system() && is_refused_anywhere(&relation.name))
            .then(|| "it shows statements or pages of other sessions".to_owned());
        let hidden = match system_relation(&relation.schema, &relation.name) {
            SystemRelation::Without(hidden) => hidden,
            SystemRelation::Allowed | SystemRelation::Refused if refuse.is_some() => &[],
            SystemRelation::Allowed | SystemRelation::Refused => return None,
        };
        let rule = self.origin(self.role.at);
        let columns = relation.columns.iter().map(|column| ColumnPolicy {
            attnum: column.attnum,
            category: None,
            personal: false,
            treatment: if refuse.is_some() || hidden.contains(&column.name.as_str()) {
                Treatment::Withhold
            } else {
                Treatment::Clear
            },
            search: Search::Masked,
            write_back: WriteBack::Refuse,
            rule: rule.clone(),
            item: OnceLock::new(),
        });
        Some(RelationPolicy { columns: columns.collect(), protected: true, refuse })
    }

    fn origin(&mut self, at: At) -> Arc<str> {
        let rules = self.rules;
        self.origins.entry((at.file, at.start)).or_insert_with(|| rules.origin(at)).clone()
    }
}

/// The stricter of two treatments: clear < mask < withhold < refuse; of two different masks, neither.
fn stricter(first: (CategoryId, Given), second: (CategoryId, Given)) -> (CategoryId, Given) {
    let rank = |given: &Given| match given.treatment {
        TreatmentRule::Clear => 0,
        TreatmentRule::Mask(_) => 1,
        TreatmentRule::Withhold => 2,
        TreatmentRule::Refuse => 3,
    };
    match (&first.1.treatment, &second.1.treatment) {
        (TreatmentRule::Mask(a), TreatmentRule::Mask(b)) if a != b => {
            (first.0, Given { treatment: TreatmentRule::Withhold, at: first.1.at })
        }
        _ if rank(&second.1) > rank(&first.1) => second,
        _ => first,
    }
}

fn stricter_search(a: Search, b: Search) -> Search {
    match (a, b) {
        (Search::Refuse, _) | (_, Search::Refuse) => Search::Refuse,
        (Search::Masked, _) | (_, Search::Masked) => Search::Masked,
        (Search::Exact, Search::Exact) => Search::Exact,
    }
}
