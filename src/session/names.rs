//! Stage `session`: the names of statements, portals and cursors that messages use. In: what was sent, and what the server has confirmed by the
//! time of its answer. Out: a refusal, or the end of the session. Invariant: what answers under a name is what was judged under it.

use super::{
    inflight::{Name, Prepared},
    relay::{Relay, Stop},
};
use crate::{
    engine::{Effect, PlannedStatement},
    error::{Refusal, RefusalCode},
};

/// What a message or statement that was sent names, and the server may find something else under.
#[derive(Debug)]
pub(super) enum Named {
    /// A prepared statement.
    Statement(Name),
    /// A portal or cursor.
    Opened(Name),
}

/// What a statement that was sent names, and what stood under the name then; none where its own text has made that.
#[derive(Debug)]
pub(super) struct Expected {
    pub named: Named,
    pub prepared: Option<Prepared>,
}

/// The names that stand behind a statement that was sent.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The statement or cursor that EXECUTE or FETCH names.
    pub named: Option<Box<Expected>>,
    /// The portal that it is of; code of the server opens none without a name.
    pub portal: Option<Box<Expected>>,
    /// Whether these are still to be looked at, when its answer begins.
    pub unchecked: bool,
}

impl Named {
    /// What EXECUTE or FETCH names.
    pub fn by(effect: &Effect) -> Option<Self> {
        match effect {
            Effect::Execute(name) => Some(Self::Statement(Name::new(name.as_bytes()))),
            Effect::Fetch(name) => Some(Self::Opened(Name::new(name.as_bytes()))),
            Effect::None
            | Effect::Prepare { .. }
            | Effect::Deallocate(_)
            | Effect::DeclareCursor { .. }
            | Effect::CloseCursor(_)
            | Effect::SearchPath
            | Effect::Purpose(_)
            | Effect::PurposeGiven(_)
            | Effect::DiscardAll
            | Effect::Temporary(_)
            | Effect::Catalog => None,
        }
    }
}

impl Named {
    /// Whether running what stands under the name is all told by what that reads and writes. What else it changes in the session (its cursors and
    /// statements, transactions, settings, temporary tables, or what it names in turn) would not be taken in.
    fn passes_through(&self, found: &PlannedStatement) -> bool {
        match &found.effect {
            Effect::Prepare { name, .. } => matches!(self, Self::Statement(own) if *own == Name::new(name.as_bytes())),
            Effect::DeclareCursor { name, .. } => {
                matches!(self, Self::Opened(own) if *own == Name::new(name.as_bytes()))
            }
            // A portal of the protocol is proved, counted and limited when it is executed.
            Effect::None => matches!(self, Self::Statement(_)) && QUERIES.contains(&found.kind),
            Effect::Execute(_)
            | Effect::Fetch(_)
            | Effect::Deallocate(_)
            | Effect::CloseCursor(_)
            | Effect::SearchPath
            | Effect::Purpose(_)
            | Effect::PurposeGiven(_)
            | Effect::DiscardAll
            | Effect::Temporary(_)
            | Effect::Catalog => false,
        }
    }
}

/// Whether MOVE in a portal of the protocol says no more than Execute would, as drivers send it (asyncpg): how many rows there are. It is proved as
/// Execute is; searches are counted when a portal is executed, and what a write may take from temporary tables is looked at then.
fn is_moved_in(found: &PlannedStatement) -> bool {
    let access = &found.access;
    found.effect == Effect::None
        && found.kind == "SELECT"
        && access.searched.constants == 0
        && access.searched.parameters.is_empty()
        && !found.uses_temporary()
}

/// What reads and writes, and changes nothing of the session.
const QUERIES: &[&str] = &["DELETE", "EXPLAIN", "INSERT", "MERGE", "SELECT", "SHOW", "UPDATE"];

impl Relay {
    /// The refusal of an EXECUTE or FETCH whose statement or cursor this session has not made. Code of the server may have: that
    /// was never judged.
    pub(super) fn names_nothing(&self, planned: &PlannedStatement) -> Option<Refusal> {
        let named = Named::by(&planned.effect)?;
        let (found, sqlstate, what, name) = match &named {
            Named::Opened(name) => (self.model.portal(name), "34000", "cursor", name),
            Named::Statement(name) => (self.model.statement(name), "26000", "prepared statement", name),
        };
        if let Some(found) = found {
            let moves = planned.kind == "MOVE";
            let found = found
                .planned
                .as_ref()
                .filter(|found| !(named.passes_through(found) || (moves && is_moved_in(found))))?;
            let what = if matches!(named, Named::Opened(_)) { "portal of" } else { "prepared" };
            let message = format!("{} of a {what} {} is not supported", planned.kind, found.kind);
            return Some(
                Refusal::new(RefusalCode::Unsupported, message)
                    .with_hint("Send the statement that it names itself, or execute it by the protocol."),
            );
        }
        let name = String::from_utf8_lossy(name.bytes());
        Some(Refusal {
            sqlstate: Some(sqlstate.to_owned()),
            ..Refusal::new(RefusalCode::UnknownName, format!("{what} \"{name}\" does not exist"))
        })
    }

    /// An answer begins: whether what its statement names is what this session has made. It was when the statement was sent, unless something
    /// before it failed, or took it away; then code of the server has made what answers, and that was never judged.
    pub(super) fn names_what_was_made(&mut self) -> Result<(), Stop> {
        let exempt = self.exempt;
        let Some(run) = self.current_run().filter(|run| run.names.unchecked) else { return Ok(()) };
        // Once, not for every row.
        run.names.unchecked = false;
        if exempt {
            return Ok(());
        }
        let (named, portal) = (run.names.named.take(), run.names.portal.take());
        self.is_as_expected(named.as_deref())?;
        self.is_as_expected(portal.as_deref())?;
        if let Some(run) = self.current_run() {
            run.names.portal = portal;
        }
        Ok(())
    }

    pub(super) fn is_as_expected(&mut self, expected: Option<&Expected>) -> Result<(), Stop> {
        if self.exempt || expected.is_none_or(|expected| self.model.holds(expected)) {
            return Ok(());
        }
        let refusal =
            Refusal::new(RefusalCode::UnknownName, "a cursor or prepared statement was not made by this session")
                .with_hint("Something on the server has made one of the same name. Connect again.");
        Err(self.stop_answer(refusal))
    }
}
