//! Stage `session`: the temporary tables of a session. In: what the server says of them, in this session, and which ones
//! its own statements made. Out: the inputs by which statements that may mention them are judged. Invariant: what no
//! statement of the session made through pgscrim is barred, and what was made for one purpose is barred for others.

use std::sync::Arc;

use serde::Deserialize;

use super::relay::Relay;
use crate::{
    catalog::{
        Relation,
        temporary::{Bar, TEMPORARY_SCHEMA, TemporaryRelation},
    },
    engine::{Effect, Inputs, PlanCache},
    names::Oid,
};

/// Memory for plans that mention temporary tables, of one session.
const PLANS: usize = 1024 * 1024;

/// The question, as one column of text: none without a temporary schema. A function that holds the name of a table may fill
/// it with what was not masked, and so may one that puts statements together while it runs, or that is in a language other
/// than SQL and PL/pgSQL; those of extensions are of no such kind.
pub(super) const COLUMN: &str = r"CASE WHEN pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.=) '0'::pg_catalog.oid
 THEN NULL ELSE pg_catalog.json_build_object('schema', (SELECT nspname FROM pg_catalog.pg_namespace
   WHERE oid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()), 'relations', (
 SELECT pg_catalog.json_agg(pg_catalog.json_build_object('relation', pg_catalog.json_build_object(
   'oid', c.oid::pg_catalog.int8, 'schema', 'pg_temp', 'name', c.relname, 'kind', 'table', 'columns', coalesce((
     SELECT pg_catalog.json_agg(pg_catalog.json_build_object('attnum', a.attnum, 'name', a.attname,
       'type_oid', a.atttypid::pg_catalog.int8, 'typmod', a.atttypmod,
       'type_sql', pg_catalog.format_type(a.atttypid, a.atttypmod),
       'type_sql_plain', pg_catalog.format_type(a.atttypid, NULL), 'type_name', t.typname,
       'type_kind', t.typtype::pg_catalog.text, 'type_category', t.typcategory::pg_catalog.text,
       'not_null', a.attnotnull, 'generated_from', NULL, 'collation', NULL, 'comment', NULL) ORDER BY a.attnum)
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
   'function', (SELECT pg_catalog.min(p.oid::pg_catalog.regproc::pg_catalog.text) FROM pg_catalog.pg_proc p
     WHERE p.pronamespace OPERATOR(pg_catalog.<>) '11'::pg_catalog.oid
       AND (p.prosrc OPERATOR(pg_catalog.~*) '\mexecute\M' OR p.prolang OPERATOR(pg_catalog.<>) ALL (ARRAY(
           SELECT l.oid FROM pg_catalog.pg_language l
           WHERE l.lanname OPERATOR(pg_catalog.=) ANY ('{internal,sql,plpgsql}'::pg_catalog.name[])))
         OR (pg_catalog.strpos(pg_catalog.lower(p.prosrc), pg_catalog.lower(c.relname::pg_catalog.text))
             OPERATOR(pg_catalog.>) 0
           AND (c.relname::pg_catalog.text OPERATOR(pg_catalog.!~) '^\w+$'
             OR p.prosrc OPERATOR(pg_catalog.~*) pg_catalog.concat('\m', c.relname, '\M'))))
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
         WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid
           AND d.objid OPERATOR(pg_catalog.=) p.oid AND d.deptype OPERATOR(pg_catalog.=) 'e'::pg_catalog.char))
   )) FROM pg_catalog.pg_class c
 WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
   AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f}'::pg_catalog.char[])))::pg_catalog.text END";

#[derive(Debug, Deserialize)]
struct Answer {
    schema: String,
    relations: Option<Vec<Seen>>,
}

/// One relation as the server tells of it.
#[derive(Debug, Deserialize)]
struct Seen {
    relation: Relation,
    plain: bool,
    #[serde(rename = "type")]
    type_taken: bool,
    function: Option<String>,
}

/// One relation with what is known of its origin.
#[derive(Clone, Debug, PartialEq)]
struct Learned {
    relation: Relation,
    bar: Option<Bar>,
    /// The purpose for which a statement of the session made it; none for what none made.
    made_for: Option<Arc<str>>,
}

/// The temporary relations of a session.
#[derive(Debug, Default)]
pub(super) struct Temporary {
    learned: Arc<[Learned]>,
    /// Names of tables that statements made since the server was asked, with the purpose of each.
    made: Vec<(String, Arc<str>)>,
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
    /// A statement of the session has made a table.
    pub fn made(&mut self, name: &str, purpose: &str) {
        self.made.push((name.to_owned(), purpose.into()));
    }

    pub fn is_empty(&self) -> bool {
        self.learned.is_empty()
    }

    /// Takes in an answer, and calls the session's own schema in `path` what it is called here. None when it cannot be read.
    pub fn learn(&mut self, answer: Option<&str>, path: &mut [String]) -> Option<()> {
        let Some(answer) = answer else {
            (self.learned, self.made) = (Arc::default(), Vec::new());
            return Some(());
        };
        let Answer { schema, relations } = serde_json::from_str(answer).ok()?;
        for own in path.iter_mut().filter(|own| **own == schema) {
            TEMPORARY_SCHEMA.clone_into(own);
        }
        let made = std::mem::take(&mut self.made);
        let learned: Arc<[Learned]> = relations
            .unwrap_or_default()
            .into_iter()
            .map(|Seen { relation, plain, type_taken, function }| {
                let known = |oid: Oid| self.learned.iter().find(|known| known.relation.oid == oid);
                let made_for = match known(relation.oid) {
                    Some(known) => known.made_for.clone(),
                    None => made.iter().rfind(|(name, _)| *name == relation.name).map(|(_, purpose)| purpose.clone()),
                };
                let bar = match function {
                    _ if made_for.is_none() || !plain => Some(Bar::Foreign),
                    Some(function) => Some(Bar::Named(function)),
                    None => type_taken.then_some(Bar::Type),
                };
                Learned { relation, bar, made_for }
            })
            .collect();
        if *self.learned != *learned {
            self.learned = learned;
        }
        Some(())
    }

    /// What statements are judged by that may mention a temporary relation; none when there is none.
    pub fn overlay(&mut self, inputs: &Inputs, purpose: &str) -> Option<Overlay> {
        if self.learned.is_empty() {
            return None;
        }
        let relations = self.learned.iter().map(|Learned { relation, bar, made_for }| {
            let other = made_for.as_deref().is_some_and(|made_for| made_for != purpose);
            let bar = bar.clone().or_else(|| other.then_some(Bar::Purpose));
            TemporaryRelation { relation: relation.clone(), bar }
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

impl Overlay {
    /// Whether a text may mention one of the relations. None of them is called as a relation or type of the catalog is, so a
    /// text that does not is judged the same without them.
    pub fn may_concern(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        self.learned.iter().any(|learned| {
            let name = &learned.relation.name;
            name.contains('"') || text.contains(&name.to_ascii_lowercase())
        })
    }
}

impl Relay {
    /// What a completed statement does to temporary tables.
    pub(super) fn note_temporary(&mut self, run: &super::ledger::Run) {
        if let Effect::Temporary(Some(name)) = &run.planned.effect {
            let stamp = &run.origin.stamp;
            let purpose = stamp.inputs.policy.role(stamp.role).map_or("", |role| role.purpose.as_str());
            self.temporary.made(name, purpose);
        }
    }
}
