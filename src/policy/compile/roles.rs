//! One role: treatments of categories → treatments of columns, each mask fitted to its column.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use foldhash::fast::FixedState;

use super::{
    Assignments, Bases, Basis, CategoryId, RelationBasis,
    conditional::Conditional,
    functions::functions,
    inherit::is_view,
    leading::{LeadingColumns, LeadingOf},
    scopes::{Scopes, scopes},
    settings,
    subjects::{Asked, Subjects, Wanted, grants_of},
};
use crate::{
    catalog::{
        CatalogSnapshot, Column, Relation,
        system::{SystemRelation, is_refused_anywhere, system_relation},
    },
    names::{Oid, QualifiedName, rule_part},
    policy::{
        ColumnPolicy, Grant, Leading, Mask, RelationPolicy, RolePolicy, Search, SqlTemplate, Treatment, WriteBack,
        masks::MaskSpec,
        rules::{At, Complaints, Given, GrantRule, NONE, RoleRule, RuleSet, TreatmentRule},
    },
};

/// What is known before a role looks at it.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub rules: &'a RuleSet,
    pub assignments: &'a Assignments,
    pub bases: &'a Bases,
    pub subjects: Option<&'a Subjects<'a>>,
    pub leading: &'a LeadingColumns,
    pub catalog: &'a CatalogSnapshot,
}

/// One role and what is known.
pub(super) struct Pass<'a> {
    pub role: &'a RoleRule,
    pub subjects: Option<&'a Subjects<'a>>,
    leading: &'a LeadingColumns,
    scopes: &'a Scopes,
    pub rules: &'a RuleSet,
    assignments: &'a Assignments,
    pub(super) catalog: &'a CatalogSnapshot,
    origins: HashMap<(usize, usize), Arc<str>>,
}

pub(super) fn role(role: &RoleRule, known: Known<'_>, complaints: &mut Complaints<'_>) -> RolePolicy {
    let Known { rules, assignments, bases, subjects, leading, catalog } = known;
    let functions = functions(role, catalog, complaints);
    let scopes = if role.exempt { Scopes::default() } else { scopes(role, rules, catalog, complaints) };
    if let (Some(at), true) = (role.settings.consent, role.purpose.is_empty()) {
        let help = "Add `purposes = [\"…\"]`: consent is given to a purpose.";
        complaints.add_with_help(at, "consent is needed, and the role has no purpose", help);
    }
    let mut pass =
        Pass { role, subjects, leading, scopes: &scopes, rules, assignments, catalog, origins: HashMap::new() };
    let mut governed: HashMap<Oid, RelationPolicy, FixedState> = HashMap::default();
    for relation in &catalog.data().relations {
        let policy = match bases.get(&relation.oid) {
            Some(found) => Some(pass.relation(relation, found, &functions, complaints)),
            None => pass.system_relation(relation).or_else(|| pass.scoped(relation)),
        };
        if let Some(policy) = policy {
            governed.insert(relation.oid, policy);
        }
    }
    let leading = if role.exempt { HashMap::default() } else { pass.leading() };
    let protected = catalog.data().relations.iter();
    let protected = protected.filter(|relation| governed.get(&relation.oid).is_some_and(RelationPolicy::is_governed));
    let protected_names = protected.map(|relation| relation.name.as_str().into()).collect();
    let is_compared_behind =
        |column: &ColumnPolicy| column.gate.as_ref().is_some_and(|gate| gate.clear || column.search == Search::Exact);
    RolePolicy {
        name: role.name.clone(),
        origin: rules.origin(role.at).to_string(),
        matching: role.matching.clone(),
        exempt: role.exempt,
        purpose: role.purpose.clone(),
        purposes: Arc::clone(&role.purposes),
        application_purposes: Arc::clone(&role.application_purposes),
        settings: settings::settings(role, catalog, complaints),
        recipient: role.recipient.clone(),
        explain: role.settings.explain,
        judged: governed.values().any(|policy| policy.scope.is_some() || policy.columns.iter().any(is_compared_behind)),
        governed,
        leading,
        deciding: Arc::default(),
        protected_names,
        legal_duty: role.legal_duty,
        limits: role.settings.limits,
        observed: None,
        grants: grants_of(rules, role).map(|grant| Arc::new(compiled_grant(grant, rules))).collect(),
        functions,
        fillers: Arc::default(),
    }
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
            let known = |oid: &Oid| self.catalog.data().functions.iter().find(|function| function.oid == *oid);
            let runs = |oid: &Oid| known(oid).is_some_and(|function| self.catalog.runs_unlisted(function));
            let unlisted = basis.functions.iter().find(|oid| !functions.contains(oid) && !runs(oid));
            unlisted.map(|oid| match self.catalog.data().functions.iter().find(|function| function.oid == *oid) {
                Some(function) => format!("it calls function {}.{}", function.schema, function.name),
                None => "it calls a function that is not known".to_owned(),
            })
        };
        let refuse = refuse.or_else(|| self.scopes.refused.get(&relation.oid).cloned());
        let scope = self.scopes.scopes.get(&relation.oid).cloned();
        let depends = |column: &ColumnPolicy| match &column.treatment {
            Treatment::Mask(mask) => mask.sql.names_row() || column.gate.is_some(),
            Treatment::Clear | Treatment::Withhold | Treatment::Refuse => column.gate.is_some(),
        };
        let mut needs = match self.subjects {
            Some(subjects) if columns.iter().any(depends) => subjects.needs(),
            Some(_) | None => Vec::new(),
        };
        needs.extend(scope.iter().flat_map(|scope| scope.needs.iter().copied()));
        let protected = scope.is_some() || columns.iter().any(|column| column.treatment != Treatment::Clear);
        RelationPolicy { columns, protected, scope, needs, refuse }
    }

    /// The columns by which rows lead to their subject, for a role that sees something of some subjects and not of others. For
    /// all purposes of the role: what one hides must not be laid open under another.
    fn leading(&self) -> HashMap<Oid, Leading, FixedState> {
        let mut found = HashMap::default();
        let Some(subjects) = self.subjects.filter(|_| !self.role.exempt) else { return found };
        let grants = grants_of(self.rules, self.role).any(|grant| grant.subjects.is_some());
        let own = self.shown(self.role);
        let siblings = || self.rules.roles.iter().filter(|other| other.name == self.role.name);
        let mut shown: Vec<Arc<str>> = siblings().flat_map(|other| self.shown(other)).collect();
        shown.sort();
        shown.dedup();
        // Whom one purpose hides for want of consent, another that shows as much may tie to whom it likes.
        let needs_consent = |other: &&RoleRule| {
            other.settings.consent.is_some()
                && (self.role.settings.consent.is_some()
                    || self.shown(other).iter().any(|category| !own.contains(category)))
        };
        let mut wanted = vec![Wanted { consent: None, refusal: &shown, erasure: true }];
        let consents = siblings().filter(needs_consent);
        wanted.extend(consents.map(|other| Wanted { consent: Some(&other.purpose), ..Wanted::default() }));
        for (oid, LeadingOf { columns, partial }) in self.leading {
            let Some(relation) = self.catalog.relation(*oid).filter(|_| !shown.is_empty() || grants) else { continue };
            let open = if self.role.legal_duty { grants.then_some(None) } else { all_of(subjects, relation, &wanted) };
            if let Some(open) = open.map(|open| open.filter(|_| !partial)) {
                let needs = if open.is_some() { subjects.needs() } else { Vec::new() };
                let between = subjects.is_between(*oid);
                found.insert(*oid, Leading { columns: columns.clone(), open, needs, between });
            }
        }
        found
    }

    /// The personal categories of which a role sees something, or finds by.
    fn shown(&self, role: &RoleRule) -> Vec<Arc<str>> {
        let shown = self.rules.categories.iter().enumerate().filter(|(id, category)| {
            let see = role.settings.see.get(*id).and_then(Option::as_ref).unwrap_or(&role.settings.otherwise);
            let finds = role.settings.search.get(*id) == Some(&Search::Exact);
            let sees = matches!(see.treatment, TreatmentRule::Clear | TreatmentRule::Mask(_));
            *category.name != *NONE && (sees || finds)
        });
        shown.map(|(_, category)| Arc::clone(&category.name)).collect()
    }

    /// Whether the role gets stored values of a column with this basis.
    fn sees_clear(&self, basis: &Basis) -> bool {
        match basis {
            Basis::Free => true,
            Basis::Unclassified | Basis::Derived => false,
            Basis::Categories(categories) => categories.iter().all(|category| {
                let see = self.role.settings.see.get(category.0).and_then(Option::as_ref);
                let given = see.unwrap_or(&self.role.settings.otherwise);
                let clear = matches!(given.treatment, TreatmentRule::Clear) && !self.is_conditional();
                self.rules.is_none(*category) || clear
            }),
        }
    }

    /// Whether what the role sees in clear is hidden in some rows: of subjects who have not consented, have refused or have
    /// asked to be erased.
    fn is_conditional(&self) -> bool {
        let asked =
            self.role.settings.consent.is_some() || self.rules.refusal.is_some() || self.rules.erasure.is_some();
        asked && !self.role.legal_duty && !self.role.exempt
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
            stored_mask: None,
            gate: None,
            item: Default::default(),
        };
        match basis {
            Basis::Free => free,
            Basis::Unclassified | Basis::Derived => ColumnPolicy {
                personal: true,
                treatment: if self.role.exempt { Treatment::Clear } else { Treatment::Withhold },
                write_back: self.role.settings.write_back,
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
        unclassified: ColumnPolicy,
        complaints: &mut Complaints<'_>,
    ) -> ColumnPolicy {
        let clear = Given { treatment: TreatmentRule::Clear, at: self.role.at };
        let mut chosen: Option<(CategoryId, Given)> = None;
        let mut search = Search::Exact;
        for category in categories {
            let given = if self.role.exempt || self.rules.is_none(*category) {
                clear.clone()
            } else {
                let see = self.role.settings.see.get(category.0).cloned().flatten();
                see.unwrap_or_else(|| self.role.settings.otherwise.clone())
            };
            let own = self.role.settings.search.get(category.0).copied().unwrap_or(Search::Masked);
            if !self.rules.is_none(*category) {
                search = stricter_search(search, own);
            }
            chosen = Some(match chosen {
                None => (*category, given),
                Some(before) => stricter(before, (*category, given)),
            });
        }
        let Some((category, given)) = chosen else { return unclassified };
        let personal = categories.iter().any(|category| !self.rules.is_none(*category));
        let treatment = match &given.treatment {
            TreatmentRule::Clear => Treatment::Clear,
            TreatmentRule::Withhold => Treatment::Withhold,
            TreatmentRule::Refuse => Treatment::Refuse,
            TreatmentRule::Mask(spec) => match self.fit(spec, relation, column) {
                Ok(Some(mask)) => Treatment::Mask(mask),
                Ok(None) => Treatment::Withhold,
                Err(why) => {
                    self.misfit(relation, column, category, &given, &spec.label(), &why, complaints);
                    Treatment::Withhold
                }
            },
        };
        let free = Conditional { treatment, gate: None, search: if personal { search } else { Search::Masked } };
        let Conditional { treatment, gate, search } = if personal && !self.role.exempt {
            self.conditional(relation, column, categories, &given, free, complaints)
        } else {
            free
        };
        let stored_mask = match &given.treatment {
            TreatmentRule::Mask(spec) if self.role.settings.refuses_masks && !self.role.exempt => {
                spec.stored(column, self.catalog)
            }
            TreatmentRule::Mask(_) | TreatmentRule::Clear | TreatmentRule::Withhold | TreatmentRule::Refuse => None,
        };
        ColumnPolicy {
            category: Some(self.rules.category_name(category)),
            personal,
            treatment,
            gate,
            stored_mask,
            search,
            write_back: self.role.settings.write_back,
            rule: self.origin(given.at),
            ..unclassified
        }
    }

    /// The mask made ready for a column; none for one that needs the row's subject, on a view that leads to none.
    pub fn fit(&self, spec: &MaskSpec, relation: &Relation, column: &Column) -> Result<Option<Mask>, String> {
        let mask = spec.fit(column, self.catalog)?;
        if !mask.sql.needs_subject() {
            return Ok(Some(mask));
        }
        let Some(subjects) = self.subjects else {
            return Err("it needs [subject], which says whom the data is about".to_owned());
        };
        match subjects.key_of(relation.oid, &column.name) {
            Some(key) => Ok(Some(Mask { sql: mask.sql.about(&key), ..mask })),
            None if is_view(relation.kind) => Ok(None),
            None => Err("no link of [subject] leads from its table to the subject".to_owned()),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one complaint names everything involved")]
    pub fn misfit(
        &self,
        relation: &Relation,
        column: &Column,
        category: CategoryId,
        given: &Given,
        label: &str,
        why: &str,
        complaints: &mut Complaints<'_>,
    ) {
        if why.contains("pgscrim install") {
            // One cause for all columns of the mask.
            let help = "Masks with a key need a function in the database; README.md says more under \"Keys of masks\".";
            return complaints.add_with_help(given.at, format!("mask {label} cannot be used: {why}"), help);
        }
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
            stored_mask: None,
            gate: None,
            item: Default::default(),
        });
        Some(RelationPolicy { columns: columns.collect(), protected: true, scope: None, needs: Vec::new(), refuse })
    }

    /// A relation without classified columns of which the role sees some rows only, or that reads one.
    fn scoped(&mut self, relation: &Relation) -> Option<RelationPolicy> {
        let scope = self.scopes.scopes.get(&relation.oid).cloned();
        let refuse = self.scopes.refused.get(&relation.oid).cloned();
        if scope.is_none() && refuse.is_none() {
            return None;
        }
        let rule = self.origin(self.role.at);
        let columns = relation.columns.iter().map(|column| ColumnPolicy {
            attnum: column.attnum,
            category: None,
            personal: false,
            treatment: Treatment::Clear,
            search: Search::Masked,
            write_back: WriteBack::Keep,
            rule: Arc::clone(&rule),
            stored_mask: None,
            gate: None,
            item: Default::default(),
        });
        let needs = scope.iter().flat_map(|scope| scope.needs.iter().copied()).collect();
        Some(RelationPolicy { columns: columns.collect(), protected: scope.is_some(), scope, needs, refuse })
    }

    fn origin(&mut self, at: At) -> Arc<str> {
        let rules = self.rules;
        self.origins.entry((at.file, at.start)).or_insert_with(|| rules.origin(at)).clone()
    }
}

/// The condition that all of `wanted` come to: outer none when nothing is to be asked, inner none when it cannot be.
#[expect(clippy::option_option, reason = "outer: whether it matters; inner: whether it can be told")]
fn all_of(subjects: &Subjects<'_>, relation: &Relation, wanted: &[Wanted<'_>]) -> Option<Option<SqlTemplate>> {
    let mut parts: Vec<SqlTemplate> = Vec::new();
    for wanted in wanted {
        match subjects.ask(relation, None, *wanted) {
            Asked::Nothing => {}
            Asked::NoSubject => return Some(None),
            Asked::Condition(sql, _) => parts.push(sql),
        }
    }
    if parts.is_empty() {
        return None;
    }
    let text = parts.iter().map(SqlTemplate::text).collect::<Vec<_>>().join(" AND ");
    let captures = parts.iter().flat_map(|part| part.captures().iter().cloned());
    Some(Some(SqlTemplate::new(&text).capturing(captures)))
}

fn compiled_grant(grant: &GrantRule, rules: &RuleSet) -> Grant {
    let opened = rules.categories.iter().zip(&grant.see).filter(|(_, see)| see.is_some());
    Grant {
        document: grant.document.as_str().into(),
        from: grant.from.seconds,
        until: grant.until.seconds,
        subjects: match &grant.subjects {
            Some(keys) => format!("subjects {}", keys.join(", ")),
            None => "all subjects".to_owned(),
        },
        categories: opened.map(|(category, _)| Arc::clone(&category.name)).collect(),
        rule: rules.origin(grant.at),
    }
}

/// The stricter of two treatments: clear < mask < withhold < refuse; of two different masks, neither.
pub(super) fn stricter(first: (CategoryId, Given), second: (CategoryId, Given)) -> (CategoryId, Given) {
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
