//! Stage `session`: the temporary tables of a session. In: what the server says of them, in this session, and which ones
//! its own statements made. Out: the inputs by which statements that may mention them are judged. Invariant: what no
//! statement of the session made through pgscrim is barred, and what was made for one purpose is barred for others.

use std::sync::Arc;

use serde::Deserialize;

use super::relay::Relay;
use crate::{
    catalog::{
        Relation,
        temporary::{Bar, TEMPORARY_SCHEMA, TemporaryRelation, temporary_relation},
    },
    engine::{Effect, Inputs, MadeTable, PlanCache},
    names::Oid,
    policy::RoleId,
};

/// Memory for plans that mention temporary tables, of one session.
const PLANS: usize = 1024 * 1024;

/// The most tables of which it is known what they were when a transaction that dropped them is rolled back.
const MOST_GONE: usize = 1000;

/// The question, as one column of text.
pub(super) const COLUMN: &str = r"pg_catalog.json_build_object('pid', pg_catalog.pg_backend_pid(), 'schema', (
 SELECT nspname FROM pg_catalog.pg_namespace
  WHERE oid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()),
 'relations', CASE WHEN pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) '0'::pg_catalog.oid THEN (
 SELECT pg_catalog.json_agg(pg_catalog.json_build_object('relation', pg_catalog.json_build_object(
   'oid', c.oid::pg_catalog.int8, 'schema', 'pg_temp', 'name', c.relname, 'kind', 'table', 'columns', coalesce((
     SELECT pg_catalog.json_agg(pg_catalog.json_build_object('attnum', a.attnum, 'name', a.attname,
       'type_oid', a.atttypid::pg_catalog.int8, 'typmod', a.atttypmod,
       'type_sql', pg_catalog.format_type(a.atttypid, a.atttypmod),
       'type_sql_plain', pg_catalog.format_type(a.atttypid, NULL), 'type_name', t.typname,
       'type_kind', t.typtype::pg_catalog.text, 'type_category', t.typcategory::pg_catalog.text,
       'not_null', a.attnotnull, 'generated_from', NULL,
       'collation', CASE WHEN a.attcollation OPERATOR(pg_catalog.<>) t.typcollation THEN (
         SELECT pg_catalog.concat(pg_catalog.quote_ident(cn.nspname), '.', pg_catalog.quote_ident(co.collname))
         FROM pg_catalog.pg_collation co JOIN pg_catalog.pg_namespace cn ON cn.oid OPERATOR(pg_catalog.=) co.collnamespace
         WHERE co.oid OPERATOR(pg_catalog.=) a.attcollation) END, 'comment', NULL) ORDER BY a.attnum)
     FROM pg_catalog.pg_attribute a
     JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) a.atttypid
     WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped),
     '[]'::pg_catalog.json),
   'primary_key', coalesce((SELECT pg_catalog.to_json(k.conkey) FROM pg_catalog.pg_constraint k
     WHERE k.conrelid OPERATOR(pg_catalog.=) c.oid AND k.contype OPERATOR(pg_catalog.=) 'p'::pg_catalog.char
       AND NOT k.condeferrable), '[]'::pg_catalog.json)),
   'plain', c.relkind OPERATOR(pg_catalog.=) 'r'::pg_catalog.char AND NOT c.relhastriggers AND NOT c.relhasrules
     AND NOT c.relhassubclass AND NOT c.relrowsecurity,
   'type', EXISTS (SELECT FROM pg_catalog.pg_type t
     WHERE t.typnamespace OPERATOR(pg_catalog.=) '11'::pg_catalog.oid AND (t.typname OPERATOR(pg_catalog.=) c.relname
       OR t.typname::pg_catalog.text OPERATOR(pg_catalog.=)
         pg_catalog.concat('_', c.relname))),
   'computed', (SELECT pg_catalog.min(a.attname::pg_catalog.text) FROM pg_catalog.pg_attribute a
     JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) a.atttypid
     WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
       AND t.typdefaultbin::pg_catalog.text OPERATOR(pg_catalog.!~) '^[{]CONST ')
   )) FROM pg_catalog.pg_class c
 WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
   AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f}'::pg_catalog.char[])) END)::pg_catalog.text";

#[derive(Debug, Deserialize)]
struct Answer {
    pid: i32,
    schema: Option<String>,
    relations: Option<Vec<Seen>>,
}

/// One relation as the server tells of it.
#[derive(Debug, Deserialize)]
struct Seen {
    relation: Relation,
    plain: bool,
    #[serde(rename = "type")]
    type_taken: bool,
    /// A column whose type has a default that is computed.
    computed: Option<String>,
}

/// One relation with what is known of its origin.
#[derive(Clone, Debug, PartialEq)]
struct Learned {
    relation: Relation,
    bar: Option<Bar>,
    /// The purpose for which a statement of the session made it; none for what none made.
    made_for: Option<Arc<str>>,
    masked: bool,
}

/// A table that a statement of the session made.
#[derive(Debug)]
struct Made {
    name: Box<str>,
    purpose: Arc<str>,
    masked: bool,
}

/// The temporary relations of a session.
#[derive(Debug, Default)]
pub(super) struct Temporary {
    learned: Arc<[Learned]>,
    /// Were there, and come back when the transaction at hand, or a part of it, is rolled back.
    gone: Vec<Learned>,
    /// Since the server was asked.
    made: Vec<Made>,
    /// Names of tables that statements fill with masks, since the server was asked.
    filling: Vec<Box<str>>,
    /// The process of the server that answered last.
    pid: Option<i32>,
    /// Several have answered: which of them executes a statement is not known.
    pooled: bool,
    plans: Option<Arc<PlanCache>>,
}

/// Inputs with the temporary relations laid over the catalog.
#[derive(Clone, Debug)]
pub(super) struct Overlay {
    learned: Arc<[Learned]>,
    pub inputs: Arc<Inputs>,
    pub plans: Arc<PlanCache>,
}

impl Temporary {
    /// Takes in an answer that was given within a transaction or not, and calls the session's own schema in `path` what it is called here.
    /// None when it cannot be read.
    pub fn learn(&mut self, answer: &str, within: bool, path: &mut [String]) -> Option<()> {
        let Answer { pid, schema, relations } = serde_json::from_str(answer).ok()?;
        self.pooled |= self.pid.replace(pid).is_some_and(|before| before != pid);
        for own in path.iter_mut().filter(|own| Some(own.as_str()) == schema.as_deref()) {
            TEMPORARY_SCHEMA.clone_into(own);
        }
        let (made, filling) = (std::mem::take(&mut self.made), std::mem::take(&mut self.filling));
        let learned: Arc<[Learned]> = relations
            .unwrap_or_default()
            .into_iter()
            .map(|Seen { relation, plain, type_taken, computed }| {
                let mut known = self.learned.iter().chain(&self.gone);
                let known = known.find(|known| known.relation.oid == relation.oid);
                let (made_for, masked) = match known {
                    Some(known) => (known.made_for.clone(), known.masked),
                    None => self.origin(&relation.name, &made, &filling),
                };
                let bar = if made_for.is_none() || !plain {
                    Some(Bar::Foreign)
                } else if self.pooled {
                    Some(Bar::Pooled)
                } else if type_taken {
                    Some(Bar::Type)
                } else if let Some(column) = computed {
                    // As the server has it now; the catalog may be a moment older.
                    Some(Bar::Column(column.into()))
                } else {
                    // What could fill it once may have done so.
                    known.and_then(|known| known.bar.clone()).filter(is_lasting)
                };
                Learned { relation, bar, made_for, masked }
            })
            .collect();
        let is_there = |old: &Learned| learned.iter().any(|known| known.relation.oid == old.relation.oid);
        for old in self.learned.iter().filter(|old| !is_there(old)) {
            // What it was last counts.
            self.gone.retain(|known| known.relation.oid != old.relation.oid);
            self.gone.push(old.clone());
        }
        self.gone.truncate(if within { MOST_GONE } else { 0 });
        if *self.learned != *learned {
            self.learned = learned;
        }
        Some(())
    }

    /// The purpose that a new table was made for, if a statement made it, and whether it may hold masks.
    fn origin(&self, name: &str, made: &[Made], filling: &[Box<str>]) -> (Option<Arc<str>>, bool) {
        let found = made.iter().rfind(|made| *made.name == *name);
        // One text may drop a table, make it again and fill it.
        let before = self.learned.iter().any(|old| old.relation.name == name && old.masked);
        let filled = before || filling.iter().any(|filled| **filled == *name);
        (found.map(|made| Arc::clone(&made.purpose)), filled || found.is_none_or(|made| made.masked))
    }

    /// Notes what an observed session makes; the server is not asked there, and what it would say does not matter.
    fn suppose(&mut self, made: &MadeTable, purpose: &str) {
        let kept = self.learned.iter().filter(|known| known.relation.name != made.name).cloned();
        let number = u32::try_from(self.learned.len()).unwrap_or_default();
        let relation = temporary_relation(Oid(u32::MAX - number), &made.name, &made.columns);
        let new = Learned { relation, bar: None, made_for: Some(purpose.into()), masked: false };
        self.learned = kept.chain([new]).collect();
    }

    /// Notes that tables take in masks; whether any of them did not before.
    pub fn mask(&mut self, names: &[Box<str>]) -> bool {
        for name in names {
            if !self.filling.contains(name) {
                self.filling.push(name.clone());
            }
        }
        let new = |known: &Learned| !known.masked && names.iter().any(|name| **name == *known.relation.name);
        if !self.learned.iter().any(new) {
            return false;
        }
        let marked = self.learned.iter().map(|known| Learned { masked: known.masked || new(known), ..known.clone() });
        self.learned = marked.collect();
        true
    }

    /// What statements are judged by that may mention a temporary relation; none when there is none. `role` is that of the
    /// session, which is enforced or observed.
    pub fn overlay(&mut self, inputs: &Inputs, role: RoleId, purpose: &str) -> Option<Overlay> {
        if self.learned.is_empty() {
            return None;
        }
        let role = inputs.policy.role(role);
        let role = role.map(|role| role.observed.as_deref().unwrap_or(role));
        let filled = |known: &Learned| match role {
            Some(role) if !inputs.policy.reduced => role.fillers.of(&known.relation.name).map(Bar::Filled),
            Some(_) | None => Some(Bar::Unsettled),
        };
        // What a column's type runs is not found by the table's name: it fills the table by being its value.
        let runs = |known: &Learned| {
            let mut columns = known.relation.columns.iter();
            columns
                .find(|column| !inputs.catalog.is_harmless_column(column.type_oid))
                .map(|column| Bar::Column(column.name.as_str().into()))
        };
        let learned: Arc<[Learned]> = self
            .learned
            .iter()
            .map(|known| Learned {
                bar: known.bar.clone().or_else(|| runs(known)).or_else(|| filled(known)),
                ..known.clone()
            })
            .collect();
        if *self.learned != *learned {
            self.learned = learned;
        }
        let relations = self.learned.iter().map(|Learned { relation, bar, made_for, masked }| {
            let other = made_for.as_deref().is_some_and(|made_for| made_for != purpose);
            let bar = bar.clone().or_else(|| other.then_some(Bar::Purpose));
            TemporaryRelation { relation: relation.clone(), bar, masked: *masked }
        });
        let catalog = inputs.catalog.with_temporary(relations);
        let inputs = Arc::new(Inputs { catalog, policy: Arc::clone(&inputs.policy) });
        let plans = Arc::clone(self.plans.get_or_insert_with(|| Arc::new(PlanCache::new(PLANS))));
        Some(Overlay { learned: Arc::clone(&self.learned), inputs, plans })
    }

    /// Whether `overlay` is of what is known now.
    pub fn is_current(&self, overlay: Option<&Overlay>) -> bool {
        match overlay {
            None => self.learned.is_empty(),
            Some(overlay) => Arc::ptr_eq(&overlay.learned, &self.learned),
        }
    }
}

/// Whether a bar stays when its reason is gone.
fn is_lasting(bar: &Bar) -> bool {
    match bar {
        Bar::Filled(_) | Bar::Unsettled | Bar::Column(_) => true,
        Bar::Foreign | Bar::Pooled | Bar::Purpose | Bar::Type => false,
    }
}

/// Bytes of a name that are left of it wherever it is cut.
const LONGEST_KEPT: usize = 58;

impl Overlay {
    /// Whether a text may mention one of the relations. None of them is called as a relation or type of the catalog is, so a
    /// text that does not is judged the same without them.
    pub fn may_concern(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        self.learned.iter().any(|learned| {
            let name = &learned.relation.name;
            // The name of its type of arrays may be cut.
            let end = (0..=name.len().min(LONGEST_KEPT)).rev().find(|at| name.is_char_boundary(*at));
            let name = end.and_then(|end| name.get(..end)).unwrap_or(name);
            name.contains('"') || text.contains(&name.to_ascii_lowercase())
        })
    }
}

impl Relay {
    /// What a completed statement does to temporary tables.
    pub(super) fn note_temporary(&mut self, run: &super::ledger::Run) {
        let purpose = &*run.facts.purpose;
        let access = &run.planned.access;
        if let Effect::Temporary(Some(made)) = &run.planned.effect {
            let masked = access.keeps_masks.iter().any(|name| **name == *made.name);
            self.temporary.made.push(Made { name: made.name.as_str().into(), purpose: purpose.into(), masked });
        }
        if let Some(observed) = access.observed.as_ref().filter(|_| self.exempt) {
            if let Some(made) = &observed.makes {
                self.temporary.suppose(made, purpose);
                if !self.path.schemas.iter().any(|schema| schema == TEMPORARY_SCHEMA) {
                    let own = std::iter::once(TEMPORARY_SCHEMA.to_owned());
                    self.path.schemas = own.chain(self.path.schemas.iter().cloned()).collect();
                }
            }
            self.temporary.mask(&access.keeps_masks);
        }
    }
}
