//! Stage `session`: server to client. In: bytes of the server. Out: the same bytes, in runs, for all that needs no
//! change. For restricted roles errors and notices are scrubbed, notifications lose their payload, unknown parameters and
//! messages do not pass, and the tripwire reads every RowDescription.

use std::sync::Arc;

use super::{
    auth::parameter_passes,
    copying::Given,
    inflight::{Batch, Entry},
    link::consume,
    names::{Expected, Named},
    planning::Origin,
    prepared::Variants,
    relay::{Relay, Stop},
    scrub, spare,
};
use crate::{
    audit::event::{ConnectionFacts, Outcome},
    engine::{Effect, Stored, may_undo, plan::may_appear_in_clear},
    error::{Refusal, RefusalCode},
    metrics::UpstreamErrorKind,
    names::{AttNum, Oid, QualifiedName, rule_part},
    policy::settings::is_utf8,
    wire::{Fields, Header, backend, build, frame},
};

/// Longest message that is held whole.
const WHOLE: usize = 64 * 1024 * 1024;
/// Longest message that is held whole only to be recorded, for exempt roles.
const RECORDED: usize = 64 * 1024;
/// An ErrorResponse of which nothing is read.
const UNREAD: &[u8] = b"E\0\0\0\x04";

impl Relay {
    /// Takes in what the server has said.
    pub(super) fn take_from_server(&mut self) -> Result<(), Stop> {
        if self.server.input.is_empty() {
            return Ok(());
        }
        self.clock.look();
        let mut input = std::mem::take(&mut self.server.input);
        let mut at = 0;
        let mut run = 0;
        let result = loop {
            let rest = input.get(at..).unwrap_or_default();
            if self.server_passing > 0 {
                let step = self.server_passing.min(rest.len());
                self.server_passing -= step;
                at += step;
                if self.server_passing > 0 {
                    break Ok(());
                }
                continue;
            }
            let header = match Header::read(rest) {
                Ok(Some(header)) => header,
                Ok(None) => break Ok(()),
                Err(_) => break Err(self.server_broke()),
            };
            if self.must_wait(header.kind) {
                self.holding = true;
                break Ok(());
            }
            if matches!(header.kind, b'D' | b'd')
                && let Err(stop) = self.take_row(header)
            {
                break Err(stop);
            }
            match self.passes_by_header(header) {
                Ok(true) => {
                    self.server_passing = header.total;
                    continue;
                }
                Ok(false) => {}
                Err(stop) => break Err(stop),
            }
            let Some(whole) = rest.get(..header.total) else {
                if header.total > WHOLE {
                    break Err(self.server_broke());
                }
                break Ok(());
            };
            // Changed frames are written behind the run of unchanged ones before them.
            let before = input.get(run..at).unwrap_or_default();
            let mark = self.client.output.len();
            match self.whole(header.kind, whole, before) {
                Ok(true) => at += header.total,
                Ok(false) => {
                    at += header.total;
                    run = at;
                }
                Err(stop) => {
                    self.client.output.truncate(mark);
                    break Err(stop);
                }
            }
        };
        if run == 0 && at == input.len() && self.client.output.is_empty() {
            self.client.output = input;
            return result;
        }
        spare::provide(&mut self.client.output);
        self.client.output.extend_from_slice(input.get(run..at).unwrap_or_default());
        consume(&mut input, at);
        self.server.input = input;
        result
    }

    pub(super) fn server_broke(&self) -> Stop {
        self.shared.metrics.upstream_error(UpstreamErrorKind::Protocol);
        Stop::ServerLost
    }

    /// Counts a row, which passes next.
    fn take_row(&mut self, header: Header) -> Result<(), Stop> {
        let Some(run) = self.current_run() else {
            // An empty text has no rows: something else is open under the name of its portal.
            let own = matches!(self.model.front(), Some(Entry::Question(_)));
            return if self.exempt || own { Ok(()) } else { Err(self.server_broke()) };
        };
        if run.names.unchecked {
            self.names_what_was_made()?;
        }
        let Some(run) = self.current_run() else { return Ok(()) };
        if let Some(allowance) = &mut run.allowance
            && let Err(refusal) = allowance.take_row()
            && let Err(refusal) = run.beyond(refusal)
        {
            return Err(self.stop_answer(refusal));
        }
        run.rows += 1;
        run.bytes += u64::try_from(header.total - frame::HEADER).unwrap_or_default();
        Ok(())
    }

    /// Whether a frame passes without its body being looked at.
    fn passes_by_header(&mut self, header: Header) -> Result<bool, Stop> {
        if self.answers_question(header.kind) {
            return Ok(false);
        }
        let long = self.exempt && header.total > RECORDED;
        match header.kind {
            b'D' | b'd' | b't' | b'c' => Ok(true),
            b'S' | b'N' | b'A' => Ok(long),
            // Whatever they say, they are the answer of what is in front.
            b'T' if long => Ok(self.described()),
            b'E' if long => self.error(UNREAD, b""),
            _ => Ok(false),
        }
    }

    /// The statement whose answer is coming in.
    pub(super) fn current_run(&mut self) -> Option<&mut super::ledger::Run> {
        match self.model.front()? {
            Entry::Execute(run) | Entry::FunctionCall(run) => run.as_deref_mut(),
            Entry::Query(batch) => batch.runs.front_mut(),
            Entry::Parse(..)
            | Entry::Bind(..)
            | Entry::Describe(_)
            | Entry::CloseStatement(_)
            | Entry::ClosePortal(_)
            | Entry::Sync
            | Entry::CopyEnd
            | Entry::Question(_)
            | Entry::Refused(_) => None,
        }
    }

    /// Takes in a whole frame. True: it passes as it is. False: it does not, and what stands for it has been written
    /// behind `before`.
    fn whole(&mut self, kind: u8, whole: &[u8], before: &[u8]) -> Result<bool, Stop> {
        let body = frame::body(whole);
        if self.answers_question(kind) {
            self.client.output.extend_from_slice(before);
            self.take_answer(kind, body)?;
            return Ok(false);
        }
        if !self.fits(kind) {
            return Err(self.server_broke());
        }
        match kind {
            b'1' => {
                if let Some(Entry::Parse(..)) = self.model.front()
                    && let Some(Entry::Parse(name, prepared)) = self.model.queue.pop_front()
                {
                    self.model.confirm_statement(name, prepared);
                    return Ok(true);
                }
                self.unexpected()
            }
            b'2' => {
                if let Some(Entry::Bind(..)) = self.model.front()
                    && let Some(Entry::Bind(name, prepared)) = self.model.queue.pop_front()
                {
                    // Code of the server prepares nothing without a name.
                    let bound = prepared.as_ref().filter(|prepared| !prepared.statement.is_unnamed());
                    let expected = bound.map(|prepared| Expected {
                        named: Named::Statement(prepared.statement.clone()),
                        prepared: Some(prepared.clone()),
                    });
                    self.is_as_expected(expected.as_ref())?;
                    self.model.confirm_portal(name, prepared);
                    return Ok(true);
                }
                self.unexpected()
            }
            b'3' => match self.model.front() {
                Some(Entry::CloseStatement(_) | Entry::ClosePortal(_)) => {
                    match self.model.queue.pop_front() {
                        Some(Entry::CloseStatement(name)) => self.model.forget_statement(&name),
                        Some(Entry::ClosePortal(name)) => self.model.forget_portal(&name),
                        _ => {}
                    }
                    Ok(true)
                }
                _ => self.unexpected(),
            },
            b'T' => {
                self.names_what_was_made()?;
                if !self.exempt {
                    let purpose = match self.model.front() {
                        Some(Entry::Describe(purpose)) => Some(Arc::clone(purpose)),
                        _ => self.current_run().map(|run| Arc::clone(&run.facts.purpose)),
                    };
                    self.tripwire(body, purpose.as_deref())?;
                }
                Ok(self.described())
            }
            b'n' => Ok(self.described()),
            b'C' => {
                self.names_what_was_made()?;
                let rows = backend::command_rows(body).ok();
                // What is in a temporary table is never read when it is too much: the table goes with the session.
                if let Some(run) = self.current_run()
                    && run.planned.access.stored != Stored::Nothing
                    && let Some(allowance) = &run.allowance
                    && let Err(refusal) = allowance.check(rows.unwrap_or(run.rows))
                    && let Err(refusal) = run.beyond(refusal)
                {
                    return Err(self.stop_answer(refusal));
                }
                self.completed(rows);
                Ok(true)
            }
            b'I' | b's' => {
                self.names_what_was_made()?;
                self.completed(None);
                Ok(true)
            }
            b'G' => {
                self.model.begin_copy();
                Ok(true)
            }
            b'H' => Ok(true),
            b'Z' => {
                self.ready(body);
                Ok(true)
            }
            b'E' => self.error(whole, before),
            b'N' | b'A' | b'S' => {
                if self.exempt {
                    self.note_parameter(kind, body)?;
                    return Ok(true);
                }
                self.client.output.extend_from_slice(before);
                self.passing(whole)?;
                Ok(false)
            }
            _ if self.exempt => Ok(true),
            _ => Err(self.server_broke()),
        }
    }

    /// A message that may come at any time, for a restricted role.
    pub(super) fn passing(&mut self, whole: &[u8]) -> Result<(), Stop> {
        let body = frame::body(whole);
        let kind = whole.first().copied().unwrap_or_default();
        match kind {
            b'N' => {
                let origin = self.origin_in_front();
                let place = |sent| origin.as_ref()?.position(sent);
                scrub::scrub(&mut self.client.output, b'N', body, place).map_err(|_| self.server_broke())?;
            }
            b'A' => {
                let mut fields = Fields::new(body);
                let parts = (fields.u32(), fields.cstr());
                let (Ok(process), Ok(channel)) = parts else { return Err(self.server_broke()) };
                build::notification(&mut self.client.output, process.cast_signed(), channel);
            }
            _ => {
                self.note_parameter(kind, body)?;
                if parameter_passes(body) && self.is_own_name(body) {
                    self.client.output.extend_from_slice(whole);
                }
            }
        }
        Ok(())
    }

    fn note_parameter(&mut self, kind: u8, body: &[u8]) -> Result<(), Stop> {
        if kind != b'S' {
            return Ok(());
        }
        let Ok((name, value)) = backend::parameter_status(body) else { return Ok(()) };
        let value = String::from_utf8_lossy(value);
        let fits = match name {
            b"client_encoding" => is_utf8(&value),
            b"standard_conforming_strings" => value == "on",
            b"application_name" => {
                let mut facts = ConnectionFacts::clone(&self.facts);
                facts.application = value.as_ref().into();
                self.facts = facts.into();
                true
            }
            _ => true,
        };
        if fits || self.exempt {
            return Ok(());
        }
        Err(Stop::Tell(
            Refusal::new(
                RefusalCode::SettingNotAllowed,
                "restricted roles need client_encoding UTF8 and standard_conforming_strings on",
            )
            .with_hint("Leave these settings alone."),
        ))
    }

    /// Whether what is answered, or the cursor or statement that it runs, was judged by other rules than those in force.
    fn other_rules(&mut self, now: &str) -> bool {
        let Some(run) = self.current_run() else { return false };
        let (origin, planned) = (Arc::clone(&run.origin), Arc::clone(&run.planned));
        let other = |origin: &Origin| *origin.stamp.basis.policy_hash != *now;
        other(&origin) || self.inner(&planned).is_some_and(|inner| other(&inner.origin))
    }

    /// Stops a result that would show a masked column in clear. `purpose` is what its statement was judged for.
    fn tripwire(&mut self, body: &[u8], purpose: Option<&str>) -> Result<(), Stop> {
        let columns = backend::row_description(body).map_err(|_| self.server_broke())?;
        let stamp = self.inputs()?;
        let policy = &stamp.inputs.policy;
        // Other statements of its message or pipeline may have another.
        let Some(purpose) = purpose else { return Err(self.server_broke()) };
        let role = policy.for_purpose(self.role, purpose).and_then(|role| policy.role(role));
        let Some(role) = role else {
            let message =
                "terminating connection because the rules no longer know the purpose of a statement under way";
            return Err(self.stop_answer(Refusal::new(RefusalCode::NoRole, message).with_hint("Connect again.")));
        };
        let catalog = &stamp.view().catalog;
        let mut tripped = columns.iter().filter(|(relation, attnum)| {
            *relation != 0 && !may_appear_in_clear(role, catalog, Oid(*relation), AttNum(*attnum))
        });
        let Some(first) = tripped.next() else { return Ok(()) };
        // A relation that came in by the name of one that is known: nobody can tell what it holds.
        if std::iter::once(first).chain(tripped).all(|(relation, _)| catalog.relation(Oid(*relation)).is_none()) {
            self.shared.inputs.request_refresh();
            return Err(self.stop_changed());
        }
        if self.other_rules(&stamp.basis.policy_hash) {
            return Err(self.stop_changed());
        }
        self.shared.metrics.tripwire();
        tracing::error!(role = %self.facts.role, "tripwire: a masked column was about to be shown in clear");
        let refusal = Refusal::new(RefusalCode::Tripwire, "a protected column was about to be shown in clear")
            .with_hint("This is a defect of pgscrim; please report the statement.");
        Err(self.stop_answer(refusal))
    }

    fn described(&mut self) -> bool {
        if let Some(Entry::Describe(_)) = self.model.front() {
            self.model.queue.pop_front();
        }
        true
    }

    /// CommandComplete, EmptyQueryResponse or PortalSuspended. `rows` are those of the tag.
    fn completed(&mut self, rows: Option<u64>) {
        let run = match self.model.front() {
            Some(Entry::Execute(_)) => match self.model.queue.pop_front() {
                Some(Entry::Execute(run)) => run.map(|run| *run),
                _ => None,
            },
            Some(Entry::Query(batch)) => {
                batch.answered = true;
                // How many statements a text holds that was not understood, only its end tells.
                let last = batch.runs.len() == 1;
                match batch.runs.front_mut() {
                    Some(run) if last && !run.origin.analysed() => {
                        run.rows = run.rows.max(rows.unwrap_or_default());
                        None
                    }
                    _ => batch.runs.pop_front(),
                }
            }
            _ => None,
        };
        self.model.copying = false;
        self.model.given = Given::default();
        if let Some(mut run) = run {
            // The tag of SHOW and EXPLAIN says no number.
            run.rows = rows.unwrap_or(run.rows).max(run.rows);
            self.applied(&run);
            self.finish(run, Outcome::Completed);
        }
    }

    /// What a completed statement changes in the session.
    fn applied(&mut self, run: &super::ledger::Run) {
        self.model.apply(run);
        self.note_own_name(run);
        self.note_temporary(run);
        match &run.planned.effect {
            Effect::Deallocate(None) => self.variants = Variants::default(),
            Effect::DiscardAll => {
                self.variants = Variants::default();
                (self.path.stale, self.path.touched) = (true, true);
            }
            Effect::SearchPath | Effect::Purpose(_) | Effect::PurposeGiven(_) | Effect::Temporary(_) => {
                (self.path.stale, self.path.touched) = (true, true);
            }
            Effect::Catalog
            | Effect::None
            | Effect::Prepare { .. }
            | Effect::Execute(_)
            | Effect::Deallocate(Some(_))
            | Effect::DeclareCursor { .. }
            | Effect::Fetch(_)
            | Effect::CloseCursor(_) => {}
        }
        if self.path.touched && may_undo(run.planned.kind) {
            self.path.stale = true;
        }
    }

    fn ready(&mut self, body: &[u8]) {
        let transaction = body.first().map_or('I', |status| char::from(*status));
        // An entry that is not ended by ReadyForQuery belongs to a Sync that COPY has swallowed.
        let entry = match self.model.front() {
            Some(Entry::Sync | Entry::Query(_) | Entry::FunctionCall(_)) => self.model.queue.pop_front(),
            _ => None,
        };
        match entry {
            Some(Entry::Query(batch)) => {
                for run in batch.runs {
                    // Only a text that was not understood is left over; others were not executed.
                    if !run.origin.analysed() {
                        self.applied(&run);
                        self.finish(run, Outcome::Completed);
                    }
                }
            }
            Some(Entry::FunctionCall(Some(run))) => self.finish(*run, Outcome::Completed),
            _ => {}
        }
        self.model.copying = false;
        self.model.ready(transaction);
        if self.model.is_idle() {
            // All that was on its way has been answered.
            self.path.moving = false;
            self.path.foresight.rest(transaction != 'I');
        }
        if transaction == 'I' {
            if std::mem::take(&mut self.path.touched) {
                self.path.stale = true;
            }
            if self.model.queue.is_empty() {
                self.changing = None;
            }
        }
    }

    /// The text whose answer the server is giving.
    fn origin_in_front(&mut self) -> Option<Arc<Origin>> {
        let origin = match self.model.front()? {
            Entry::Parse(_, prepared) => &prepared.origin,
            Entry::Bind(_, prepared) => &prepared.as_ref()?.origin,
            Entry::Query(batch) => &batch.runs.front()?.origin,
            Entry::Execute(run) => &run.as_ref()?.origin,
            Entry::Describe(_)
            | Entry::CloseStatement(_)
            | Entry::ClosePortal(_)
            | Entry::Sync
            | Entry::FunctionCall(_)
            | Entry::CopyEnd
            | Entry::Question(_)
            | Entry::Refused(_) => return None,
        };
        Some(Arc::clone(origin))
    }

    /// An ErrorResponse.
    fn error(&mut self, whole: &[u8], before: &[u8]) -> Result<bool, Stop> {
        let body = frame::body(whole);
        let said = match scrub::read(body) {
            Ok(said) => said,
            Err(_) if self.exempt => scrub::Said::default(),
            Err(_) => return Err(self.server_broke()),
        };
        let origin = self.origin_in_front();
        self.model.copying = false;
        self.model.open_names.fail();
        let mut stand = None;
        let mut failed = None;
        let mut skip = true;
        match self.model.front() {
            Some(Entry::Query(batch)) => {
                batch.answered = true;
                failed = batch.runs.pop_front();
                batch.runs.clear();
                skip = false;
            }
            Some(Entry::FunctionCall(run)) => {
                failed = run.take().map(|run| *run);
                skip = false;
            }
            Some(Entry::Refused(refused)) if refused.simple => {
                let refused = std::mem::replace(refused, Box::new(super::inflight::Stand::none()));
                if let Some(entry) = self.model.queue.front_mut() {
                    *entry = Entry::Query(Batch { answered: true, ..Batch::default() });
                }
                stand = Some(refused);
                skip = false;
            }
            Some(Entry::Sync) => skip = false,
            // What ends the session comes unasked.
            None if self.exempt || said.fatal => skip = false,
            None => return Err(self.server_broke()),
            Some(
                Entry::Parse(..)
                | Entry::Bind(..)
                | Entry::Describe(_)
                | Entry::Execute(_)
                | Entry::CloseStatement(_)
                | Entry::ClosePortal(_)
                | Entry::CopyEnd
                | Entry::Question(_)
                | Entry::Refused(_),
            ) => {}
        }
        if skip {
            match self.model.queue.pop_front() {
                Some(Entry::Refused(refused)) => stand = Some(refused),
                Some(Entry::Execute(run)) => failed = run.map(|run| *run),
                // The server has dropped the old unnamed statement before it looked at the new text.
                Some(Entry::Parse(name, _)) if name.is_unnamed() => self.model.forget_statement(&name),
                _ => {}
            }
            self.model.skip_to_sync();
        }
        self.send_kept_sync();
        // A guard of ours failed: it is pgscrim that refuses.
        let guarded = if self.exempt || said.fatal { None } else { self.guarded(body)? };
        if let Some(run) = failed {
            let outcome = match &guarded {
                Some(refusal) => Outcome::Refused(refusal.clone()),
                None => Outcome::Failed(said.sqlstate.as_str().into()),
            };
            self.finish(run, outcome);
        }
        if self.exempt && (stand.is_none() || said.fatal) {
            return Ok(true);
        }
        self.client.output.extend_from_slice(before);
        match stand {
            Some(mut stand) if !said.fatal => {
                // In a failed transaction the server looks for no name.
                if stand.refusal.code == RefusalCode::UnknownName && self.model.transaction == 'E' {
                    stand.refusal = Refusal::failed_transaction();
                }
                scrub::refuse(&mut self.client.output, "ERROR", &stand.refusal, &stand.text);
            }
            _ => {
                if let Some(refusal) = guarded {
                    self.shared.metrics.refused(refusal.code);
                    scrub::refuse(&mut self.client.output, "ERROR", &refusal, "");
                    return Ok(false);
                }
                let place = |sent| origin.as_ref()?.position(sent);
                scrub::scrub(&mut self.client.output, b'E', body, place).map_err(|_| self.server_broke())?;
            }
        }
        Ok(false)
    }

    /// What is refused where an error is one of a guard.
    fn guarded(&mut self, body: &[u8]) -> Result<Option<Refusal>, Stop> {
        let found = scrub::guarded(body).map_err(|_| self.server_broke())?;
        Ok(found.map(|(guard, relation, column)| scrub::told(guard, self.column_name(relation, column).as_deref())))
    }

    /// `schema.table.column`, of a column that the catalog holds.
    fn column_name(&mut self, relation: Oid, column: AttNum) -> Option<String> {
        let stamp = self.inputs().ok()?;
        let relation = stamp.inputs.catalog.relation(relation)?;
        let name = QualifiedName::new(&relation.schema, &relation.name);
        Some(format!("{name}.{}", rule_part(&relation.column_numbered(column)?.name)))
    }
}
