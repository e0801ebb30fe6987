//! Stage `upstream`: the state of the catalog, as one short text that differs as soon as anything that plans depend on was
//! made, changed or deleted. In: the configuration. Out: a call about every second, and answers to whoever asks what the
//! state is now. Invariants: DDL that did not pass through this proxy is seen within about [`PAUSE`], for as long as the server
//! answers; an answer was read after it was asked for.
//!
//! A picture of the whole catalog is expensive; a sum over the transaction ids and OIDs of its rows is not. A row that
//! changes gets the id of another transaction, and never an old one back: two equal states mean that nothing has changed in
//! between. Of a relation's own row only what plans depend on counts, because TRUNCATE, VACUUM FULL and REFRESH give it new
//! files; that nobody renames or moves it and back again is seen from its row type, which is renamed and moved with it. Temporary objects of other sessions are left out, and so is what `initdb` made: only a superuser who edits the
//! catalogs by hand changes that.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use foldhash::fast::FixedState;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_postgres::Row;

use super::{CatalogError, Moment, Reader, login};
use crate::{config::UpstreamConfig, names::Oid};

/// Between two looks that nobody asked for, at least.
const PAUSE: Duration = Duration::from_secs(1);
/// A look that takes long on a large catalog is taken less often: this many times as long as it took.
const LOAD: u32 = 20;
/// Questions that may wait for one look.
const QUESTIONS: usize = 4096;
/// Limit for one look.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// Two texts for every state of the catalog: of relations, with all that is a relation's own ([`MARKS`]), and of the rest. The transaction and the
/// row that it made are kept apart in what is hashed: combined, two changes of two rows could cancel each other out. Functions are
/// qualified: the service login may have a search path. Ids are read by functions: a cast from text to a number may be the database's own,
/// and tell anything. What uses a function is of `pg_depend`, where no other row below changes with it: a trigger, a policy, an index.
const STATE: &str = "
WITH lasting AS MATERIALIZED (
    SELECT oid, pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', oid, relname, relnamespace, reltype, reloftype, relkind,
        relpersistence, relhasrules, relispartition, relrowsecurity, relforcerowsecurity, reloptions, relpartbound), 0) AS state
      FROM pg_catalog.pg_class
     WHERE oid >= 16384 AND relpersistence <> 't' AND relkind NOT IN ('i', 'I', 't')
), kinds AS MATERIALIZED (
    SELECT t.typrelid <> 0 OR EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid AND e.typrelid <> 0) AS own,
           pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(t.xmin)) << 32) | t.oid::int8, 0) AS state
      FROM pg_catalog.pg_type t
      JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.oid >= 16384 AND n.nspname !~ '^pg_(toast_)?temp_'
), parts (own, state) AS (
    SELECT true, pg_catalog.sum(state) FROM lasting
    UNION ALL SELECT true, pg_catalog.sum(pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(a.xmin)) << 32) | a.attrelid::int8, a.attnum::int8))
      FROM pg_catalog.pg_attribute a WHERE a.attrelid >= 16384 AND EXISTS (SELECT FROM lasting l WHERE l.oid = a.attrelid)
    UNION ALL SELECT true, pg_catalog.sum(pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(r.xmin)) << 32) | r.oid::int8, 0))
      FROM pg_catalog.pg_rewrite r WHERE r.oid >= 16384 AND EXISTS (SELECT FROM lasting l WHERE l.oid = r.ev_class)
    UNION ALL SELECT true, pg_catalog.sum(pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(xmin)) << 32) | oid::int8, 0)) FROM pg_catalog.pg_constraint
     WHERE oid >= 16384 AND conrelid IN (SELECT oid FROM lasting)
    UNION ALL SELECT true, pg_catalog.sum(pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(xmin)) << 32) | inhrelid::int8, 0)) FROM pg_catalog.pg_inherits
     WHERE inhrelid IN (SELECT oid FROM lasting)
    UNION ALL SELECT true, pg_catalog.sum(state) FROM kinds WHERE own
    UNION ALL SELECT false, pg_catalog.sum(state) FROM kinds WHERE NOT own
    UNION ALL SELECT false, pg_catalog.sum(pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(xmin)) << 32) | oid::int8, 0)) FROM pg_catalog.pg_namespace
     WHERE nspname !~ '^pg_(toast_)?temp_'
    UNION ALL SELECT false, pg_catalog.sum(pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(xmin)) << 32) | oid::int8, 0)) FROM pg_catalog.pg_proc
     WHERE oid >= 16384
    UNION ALL SELECT false, pg_catalog.sum(pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(xmin)) << 32) | objid::int8, refobjid::int8))
      FROM pg_catalog.pg_depend
     WHERE refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND refobjid >= 16384
       AND classid <> ALL (ARRAY['pg_catalog.pg_proc', 'pg_catalog.pg_rewrite', 'pg_catalog.pg_attrdef', 'pg_catalog.pg_type',
                                 'pg_catalog.pg_constraint']::pg_catalog.regclass[])
    UNION ALL SELECT false, pg_catalog.sum(pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(xmin)) << 32) | oid::int8, 0)) FROM pg_catalog.pg_operator
     WHERE oid >= 16384
    UNION ALL SELECT false, pg_catalog.sum(pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(xmin)) << 32) | oid::int8, 0)) FROM pg_catalog.pg_cast
     WHERE oid >= 16384
    UNION ALL SELECT false, pg_catalog.sum(pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(xmin)) << 32) | oid::int8, 0)) FROM pg_catalog.pg_enum
    UNION ALL SELECT false, pg_catalog.sum(pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(xmin)) << 32) | oid::int8, 0)) FROM pg_catalog.pg_constraint
     WHERE oid >= 16384 AND conrelid = 0
    UNION ALL SELECT false, pg_catalog.sum(pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(xmin)) << 32) | roleid::int8, member::int8))
      FROM pg_catalog.pg_auth_members
    UNION ALL SELECT false, pg_catalog.sum(pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(xmin)) << 32) | setdatabase::int8, setrole::int8))
      FROM pg_catalog.pg_db_role_setting
    UNION ALL SELECT false, pg_catalog.sum(pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(xmin)) << 32) | objid::int8, (classid::int8 << 32) | refobjid::int8))
      FROM pg_catalog.pg_depend WHERE refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND deptype = 'e'
    UNION ALL SELECT false, pg_catalog.sum(pg_catalog.hashtext(rolname::text || rolsuper::text || rolcanlogin::text)::int8)
      FROM pg_catalog.pg_roles
)
SELECT pg_catalog.string_agg(coalesce(state, 0)::text, ' ') FILTER (WHERE own),
       pg_catalog.string_agg(coalesce(state, 0)::text, ' ') FILTER (WHERE NOT own) FROM parts";

/// One number for every state of a relation and of all that is its own: columns, the definition of a view, constraints, what it inherits from and
/// what inherits from it.
const MARKS: &str = "
SELECT c.oid, (pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', c.oid, c.relname, c.relnamespace, c.reltype, c.reloftype,
       c.relkind, c.relpersistence, c.relhasrules, c.relispartition, c.relrowsecurity, c.relforcerowsecurity, c.reloptions,
       c.relpartbound), 0)::numeric
   + coalesce((SELECT pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(t.xmin)) << 32) | t.oid::int8, 0)
                 FROM pg_catalog.pg_type t WHERE t.oid = c.reltype), 0)
   + coalesce((SELECT pg_catalog.sum(pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(a.xmin)) << 32) | a.attrelid::int8, a.attnum::int8))
                 FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid), 0)
   + coalesce((SELECT pg_catalog.sum(pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(r.xmin)) << 32) | r.oid::int8, 0))
                 FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid), 0)
   + coalesce((SELECT pg_catalog.sum(pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(xmin)) << 32) | oid::int8, 0))
                 FROM pg_catalog.pg_constraint WHERE conrelid = c.oid), 0)
   + coalesce((SELECT pg_catalog.sum(pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(xmin)) << 32) | inhrelid::int8, 0))
                 FROM pg_catalog.pg_inherits WHERE inhrelid = c.oid), 0)
   + coalesce((SELECT pg_catalog.sum(pg_catalog.hashint8extended((pg_catalog.int8in(pg_catalog.xidout(xmin)) << 32) | inhrelid::int8, 0))
                 FROM pg_catalog.pg_inherits WHERE inhparent = c.oid), 0))::text
  FROM pg_catalog.pg_class c
 WHERE c.oid >= 16384 AND c.relpersistence <> 't' AND c.relkind NOT IN ('i', 'I', 't')";

/// What the catalog was at one moment. Equal: nothing has changed in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogState {
    relations: Box<str>,
    rest: Box<str>,
}

impl CatalogState {
    fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self { relations: row.try_get::<_, String>(0)?.into(), rest: row.try_get::<_, String>(1)?.into() })
    }

    /// Whether nothing has changed in between but what belongs to relations.
    pub fn differs_in_relations_alone(&self, other: &Self) -> bool {
        self.rest == other.rest
    }
}

/// Asks the watch.
#[derive(Clone, Debug)]
pub struct Watch {
    questions: mpsc::Sender<oneshot::Sender<CatalogState>>,
}

/// What the watch is asked.
#[derive(Debug)]
pub struct Questions(mpsc::Receiver<oneshot::Sender<CatalogState>>);

impl Watch {
    /// A watch, and the questions that [`watch`] answers.
    pub fn new() -> (Self, Questions) {
        let (questions, receiver) = mpsc::channel(QUESTIONS);
        (Self { questions }, Questions(receiver))
    }

    /// The state of the catalog at a moment after the call; none when the server does not say.
    pub async fn state(&self) -> Option<CatalogState> {
        let (sender, answer) = oneshot::channel();
        self.questions.send(sender).await.ok()?;
        answer.await.ok()
    }
}

/// Answers questions, and tells `seen` the state about every second; until the last [`Watch`] is gone. A server that cannot be
/// reached is tried again: the timer of the catalog says so in the log. Questions fail meanwhile.
pub async fn watch(config: &UpstreamConfig, mut questions: Questions, seen: impl Fn(&CatalogState)) {
    // The connection is kept as long as it works.
    while let Err(Broken) = look(config, &mut questions, &seen).await {
        let deadline = tokio::time::Instant::now() + PAUSE;
        loop {
            match tokio::time::timeout_at(deadline, questions.0.recv()).await {
                // Dropped without an answer.
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(_) => break,
            }
        }
    }
}

/// The connection cannot be used.
struct Broken;

async fn look(config: &UpstreamConfig, questions: &mut Questions, seen: &impl Fn(&CatalogState)) -> Result<(), Broken> {
    let (client, connection) = login(config).await.map_err(|_| Broken)?;
    let _connection = Abort(tokio::spawn(connection));
    let settings = client.batch_execute("SET statement_timeout = '10s'; SET jit = off");
    settings.await.map_err(|_| Broken)?;
    let statement = client.prepare(STATE).await.map_err(|_| Broken)?;
    let mut asked = Vec::new();
    loop {
        while let Ok(question) = questions.0.try_recv() {
            asked.push(question);
        }
        let started = Instant::now();
        let row = tokio::time::timeout(LOOK_LIMIT, client.query_one(&statement, &[])).await;
        let row = row.map_err(|_| Broken)?.map_err(|_| Broken)?;
        let now = CatalogState::read(&row).map_err(|_| Broken)?;
        seen(&now);
        for question in asked.drain(..) {
            let _: Result<(), CatalogState> = question.send(now.clone());
        }
        match tokio::time::timeout(PAUSE.max(started.elapsed() * LOAD), questions.0.recv()).await {
            Ok(Some(question)) => asked.push(question),
            Ok(None) => return Ok(()),
            Err(_) => {}
        }
    }
}

/// The state as the transaction of `reader` sees it.
pub(super) async fn state(reader: &Reader<'_>) -> Result<CatalogState, CatalogError> {
    let rows = reader.rows("state", STATE, CatalogState::read).await?;
    let nothing = || reader.is_odd("state", "the server has sent no row");
    rows.into_iter().next().ok_or_else(nothing)
}

/// By relation, a text that changes with it and never comes back.
pub type Marks = HashMap<Oid, Box<str>, FixedState>;

/// The marks of all relations as the transaction of `reader` sees them.
pub(super) async fn marks(reader: &Reader<'_>) -> Result<Marks, CatalogError> {
    let rows = reader.rows("state of relations", MARKS, |row| {
        Ok((Oid(row.try_get::<_, u32>(0)?), row.try_get::<_, String>(1)?.into_boxed_str()))
    });
    Ok(rows.await?.into_iter().collect())
}

/// Whether what was read at `before` is what stood there then, though some of it is told as it is when it is read (definitions of views,
/// spellings of types) and the state is another by now: all that was there at both moments is as it was. What was
/// made in between was not read, and nothing that was uses it; what was dropped is gone for every statement that is judged by what was read.
pub(super) async fn is_whole(reader: &Reader<'_>, before: &Moment) -> Result<bool, CatalogError> {
    let now = state(reader).await?;
    if now == before.state {
        return Ok(true);
    }
    if !now.differs_in_relations_alone(&before.state) {
        return Ok(false);
    }
    let now = marks(reader).await?;
    Ok(before.marks.iter().all(|(oid, mark)| now.get(oid).is_none_or(|now| now == mark)))
}

/// Ends the task of a connection.
struct Abort(JoinHandle<Result<(), tokio_postgres::Error>>);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}
