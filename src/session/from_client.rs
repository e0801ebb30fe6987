//! Stage `session`: client to server. In: bytes of the client. Out: for an exempt role the same bytes; for a restricted
//! role the frames that the rules allow, texts replaced by what the engine permits. Every statement has its place in the
//! audit queue before it is sent. A refused one is replaced by one that fails at once, so that order, transactions and
//! skipping stay the server's.

use std::sync::Arc;

use super::{
    inflight::{Batch, Entry, Name, Prepared, Stand},
    kept::{MOST_OPEN, too_many_open, too_much_kept},
    ledger::{attributed, refused},
    link::consume,
    path::Settled,
    planning::not_analysed,
    prepared::Again,
    purpose,
    relay::{Relay, Stop, violation},
    spare,
};
use crate::{
    audit::event::Outcome,
    engine::{Access, Effect, PlannedStatement, Protocol, Refused},
    error::{Refusal, RefusalCode},
    wire::{Header, build, frame, frontend},
};

/// Fails in the server's parser, whatever the state of the session, and shows in its log why.
const FAILING: &str = "refused by pgscrim";
/// A statement name for failing texts, so that the unnamed statement stays.
const FAILING_NAME: &[u8] = b"refused by pgscrim";
/// Longest message that holds names only.
pub(super) const SMALL: usize = 64 * 1024;
/// Room for names and types beside a text.
const BESIDE: usize = 512 * 1024;

/// What became of a frame.
pub(super) enum Step {
    /// Go on with the next.
    Next,
    /// More bytes are needed.
    More,
    /// The server must come to rest first.
    Wait,
}

/// What became of a frame at once.
pub(super) enum Now {
    Done(Step),
    /// It is left out, and a statement that fails takes its place.
    Refused(Box<Refused>),
    /// Nothing yet: something has to be asked or waited for.
    Later,
}

impl Relay {
    /// Takes in what the client has said.
    pub(super) async fn take_from_client(&mut self) -> Result<(), Stop> {
        self.waiting = false;
        if self.client.input.is_empty() {
            return Ok(());
        }
        self.clock.look();
        spare::provide(&mut self.server.output);
        while !self.client.input.is_empty() && !self.goodbye && self.server.output.len() < super::link::HIGH {
            if self.client_passing > 0 {
                let step = self.client_passing.min(self.client.input.len());
                self.server.output.extend_from_slice(self.client.input.get(..step).unwrap_or_default());
                consume(&mut self.client.input, step);
                self.client_passing -= step;
                continue;
            }
            if self.client_dropping > 0 {
                let step = self.client_dropping.min(self.client.input.len());
                consume(&mut self.client.input, step);
                self.client_dropping -= step;
                continue;
            }
            let header = match Header::read(&self.client.input) {
                Ok(Some(header)) => header,
                Ok(None) => return Ok(()),
                Err(_) if self.exempt => {
                    // The server says what it thinks of it.
                    self.client_passing = self.client.input.len();
                    continue;
                }
                Err(_) => return Err(violation("invalid message length")),
            };
            let step = match self.at_once(header)? {
                Now::Done(step) => step,
                Now::Refused(refused) => {
                    consume(&mut self.client.input, header.total);
                    self.refuse(refused, "", false, None).await;
                    Step::Next
                }
                Now::Later => self.frame(header).await?,
            };
            match step {
                Step::Next => {}
                Step::More => return Ok(()),
                Step::Wait => {
                    self.waiting = true;
                    return Ok(());
                }
            }
        }
        // Output is full: go on when it has been written.
        Ok(())
    }

    /// What can be done with a frame at once, which is nearly always all: nothing is asked, and nobody waited for.
    fn at_once(&mut self, header: Header) -> Result<Now, Stop> {
        if let Some(now) = self.during_copy(header)? {
            return Ok(now);
        }
        if header.total > SMALL && header.total > self.longest(header.kind) {
            return Ok(Now::Later);
        }
        if self.model.skipping && !matches!(header.kind, b'S' | b'X') {
            // The server would skip it as well.
            if self.exempt {
                self.client_passing = header.total;
            } else {
                self.client_dropping = header.total;
            }
            return Ok(Now::Done(Step::Next));
        }
        if self.holds_back(header) {
            return Ok(Now::Done(Step::Wait));
        }
        match header.kind {
            b'd' => self.client_passing = header.total,
            b'c' | b'f' => {
                if self.model.is_answering() {
                    // The end of what the server may be about to take; else it ignores it.
                    self.model.queue.push_back(Entry::CopyEnd);
                }
                self.client_passing = header.total;
            }
            b'B' => return self.bind_at_once(header),
            b'E' => return Ok(self.execute_at_once(header)),
            b'D' if !self.exempt => return Ok(self.describe_at_once(header)),
            b'F' | b'Q' | b'P' => return Ok(Now::Later),
            _ => return Ok(Now::Done(self.plain(header)?)),
        }
        Ok(Now::Done(Step::Next))
    }

    /// Bytes of the longest message of a kind that is looked at.
    fn longest(&self, kind: u8) -> usize {
        match kind {
            b'Q' | b'P' => self.shared.config.limits.statement_bytes + BESIDE,
            b'B' | b'd' | b'c' | b'f' | b'F' => usize::MAX,
            _ => SMALL,
        }
    }

    /// A malformed message of an exempt role: the server says what it thinks of it, and goes on behind the next Sync.
    pub(super) fn fails_by_itself(&mut self) -> Result<(), Stop> {
        if !self.exempt {
            return Err(violation("malformed message"));
        }
        self.model.open = true;
        self.model.queue.push_back(Entry::Describe(Arc::clone(&self.facts.purpose)));
        Ok(())
    }

    /// A message that says nothing of data.
    fn plain(&mut self, header: Header) -> Result<Step, Stop> {
        let Some(whole) = self.client.input.get(..header.total) else { return Ok(Step::More) };
        let empty = header.total == frame::HEADER;
        match header.kind {
            b'D' => {
                self.model.open = true;
                self.model.queue.push_back(Entry::Describe(Arc::clone(&self.facts.purpose)));
            }
            b'C' => {
                let entry = frontend::target(frame::body(whole)).map(|(kind, name)| match kind {
                    b'S' => Entry::CloseStatement(Name::new(name)),
                    _portal => Entry::ClosePortal(Name::new(name)),
                });
                match entry {
                    Ok(entry) => self.model.queue.push_back(entry),
                    Err(_) => self.fails_by_itself()?,
                }
                self.model.open = true;
            }
            b'S' if empty || self.exempt => {
                // It may end a transaction, and undo in it what the server was asked for since.
                self.path.moving |= self.path.may_move_back();
                self.model.queue.push_back(Entry::Sync);
                self.model.open = false;
                self.model.skipping = false;
            }
            b'H' if empty => {}
            b'S' | b'H' => self.fails_by_itself()?,
            b'X' => self.goodbye = true,
            _ if self.exempt => {}
            _ => return Err(violation("unexpected message type")),
        }
        self.server.output.extend_from_slice(self.client.input.get(..header.total).unwrap_or_default());
        consume(&mut self.client.input, header.total);
        Ok(Step::Next)
    }

    /// A frame for which something may have to be asked or waited for.
    async fn frame(&mut self, header: Header) -> Result<Step, Stop> {
        if header.total > self.longest(header.kind) {
            return self.too_long(header).await;
        }
        match header.kind {
            b'B' => return self.bind(header).await,
            b'F' => return self.function_call(header).await,
            b'D' if !self.exempt => return self.describe(header).await,
            _ => {}
        }
        if self.client.input.len() < header.total {
            return Ok(Step::More);
        }
        if matches!(header.kind, b'Q' | b'P') {
            if self.rests_before_path() {
                return Ok(Step::Wait);
            }
            let body = self.client.input.get(frame::HEADER..header.total).unwrap_or_default();
            let text = match header.kind {
                _any if !self.path.is_unsure() => Vec::new(),
                b'Q' => frontend::query(body).unwrap_or_default().to_vec(),
                _parse => frontend::parse(body).map(|parse| parse.text.to_vec()).unwrap_or_default(),
            };
            match self.settle_path(&text) {
                Settled::Yes => {}
                Settled::Later => return Ok(Step::Wait),
                Settled::No(refusal) => {
                    let whole = self.client.input.split_to(header.total);
                    let name = frontend::parse(frame::body(&whole)).map(|parse| parse.name.to_vec()).ok();
                    let simple = header.kind == b'Q';
                    self.refuse(refusal.into(), "", simple, name.as_deref().filter(|_| !simple)).await;
                    return Ok(Step::Next);
                }
            }
        }
        // A portal is kept from another purpose, which a statement before it may have set.
        if header.kind == b'E' && self.may_change_purpose() {
            let body = self.client.input.get(frame::HEADER..header.total).unwrap_or_default();
            let portal = frontend::execute(body).ok().and_then(|portal| self.model.portal(&Name::new(portal)));
            let text = portal.as_ref().map(|portal| Arc::clone(&portal.origin.text)).unwrap_or_default();
            match self.settle_path(text.as_bytes()) {
                Settled::Yes => {}
                Settled::Later => return Ok(Step::Wait),
                Settled::No(refusal) => {
                    consume(&mut self.client.input, header.total);
                    self.refuse(refusal.into(), "", false, None).await;
                    return Ok(Step::Next);
                }
            }
        }
        // Nothing is read while a frame is looked at.
        let mut input = std::mem::take(&mut self.client.input);
        let whole = input.get(..header.total).unwrap_or_default();
        let body = frame::body(whole);
        match header.kind {
            b'Q' => self.query(whole, body).await?,
            b'P' => self.parse(whole, body).await?,
            _execute => {
                self.model.open = true;
                self.execute(whole, body).await?;
            }
        }
        consume(&mut input, header.total);
        self.client.input = input;
        Ok(Step::Next)
    }

    /// Whether the purpose of a restricted session may be changing.
    pub(super) fn may_change_purpose(&self) -> bool {
        !self.exempt && self.path.is_unsure() && self.has_purposes()
    }

    /// A message beyond its limit. For an exempt role it passes unread; a statement of a restricted role is refused.
    async fn too_long(&mut self, header: Header) -> Result<Step, Stop> {
        if self.exempt {
            let stamp = self.inputs()?;
            if header.kind == b'Q' {
                let origin = not_analysed(Protocol::Simple, stamp);
                let runs = self.runs(&origin).await?;
                match runs {
                    Ok(runs) => self.model.queue.push_back(Entry::Query(Batch { runs, answered: false })),
                    Err(refused) => {
                        self.client_dropping = header.total;
                        self.refuse(refused, "", true, None).await;
                        return Ok(Step::Next);
                    }
                }
            } else if header.kind == b'P' {
                let origin = not_analysed(Protocol::EXTENDED, stamp);
                self.model.open = true;
                // Its name is beyond the bytes at hand only for a hostile client; the record then says UNKNOWN.
                let name = self.client.input.get(frame::HEADER..).and_then(|start| {
                    let end = memchr::memchr(0, start)?;
                    Some(Name::new(start.get(..end)?))
                });
                let name = name.unwrap_or_else(|| Name::new(b""));
                self.model.queue.push_back(Entry::Parse(name, Prepared::first(origin, None)));
            }
            self.client_passing = header.total;
            return Ok(Step::Next);
        }
        if !matches!(header.kind, b'Q' | b'P') {
            return Err(violation("message too long"));
        }
        self.client_dropping = header.total;
        if !self.model.skipping {
            let refusal = self.too_long_text();
            let simple = header.kind == b'Q';
            self.refuse(refusal.into(), "", simple, None).await;
        }
        Ok(Step::Next)
    }

    fn too_long_text(&self) -> Refusal {
        let limit = self.shared.config.limits.statement_bytes;
        Refusal::new(RefusalCode::TextTooLong, format!("statement is longer than {limit} bytes"))
            .with_hint("Split it, or raise `limits.statement_bytes`.")
    }

    async fn query(&mut self, whole: &[u8], body: &[u8]) -> Result<(), Stop> {
        if std::mem::take(&mut self.model.open) {
            // It ends the transaction that messages without a Sync have begun, and undoes what it was asked for within.
            self.path.moving |= self.path.may_move_back();
        }
        let text = frontend::query(body);
        if self.exempt {
            let origin = match text.map(std::str::from_utf8) {
                Ok(Ok(text)) => self.judge(text, Protocol::Simple).await?,
                _ => Ok(not_analysed(Protocol::Simple, self.inputs()?)),
            };
            let runs = match origin {
                Ok(origin) => self.runs(&origin).await?,
                Err(refused) => Err(refused),
            };
            match runs {
                Ok(runs) => {
                    self.model.queue.push_back(Entry::Query(Batch { runs, answered: false }));
                    self.server.output.extend_from_slice(whole);
                }
                Err(refused) => self.refuse(refused, "", true, None).await,
            }
            return Ok(());
        }
        let Ok(text) = text else { return Err(violation("malformed Query message")) };
        let Ok(text) = std::str::from_utf8(text) else {
            self.refuse(not_utf8().into(), "", true, None).await;
            return Ok(());
        };
        if text.len() > self.shared.config.limits.statement_bytes {
            let refusal = self.too_long_text();
            self.refuse(refusal.into(), "", true, None).await;
            return Ok(());
        }
        let origin = match self.judge(text, Protocol::Simple).await? {
            Ok(origin) => origin,
            Err(refused) => {
                self.refuse(refused, text, true, None).await;
                return Ok(());
            }
        };
        match (self.runs(&origin).await?, origin.permit()) {
            (Ok(runs), Some(permit)) => {
                build::query(&mut self.server.output, permit);
                self.model.queue.push_back(Entry::Query(Batch { runs, answered: false }));
            }
            (Ok(_), None) => return Err(violation("statement without a permit")),
            (Err(refused), _) => self.refuse(refused, text, true, None).await,
        }
        Ok(())
    }

    async fn parse(&mut self, whole: &[u8], body: &[u8]) -> Result<(), Stop> {
        self.model.open = true;
        let parsed = frontend::parse(body);
        if self.exempt {
            let text = parsed.ok().and_then(|parse| std::str::from_utf8(parse.text).ok());
            let origin = match text {
                Some(text) => self.judge(text, Protocol::EXTENDED).await?,
                None => Ok(not_analysed(Protocol::EXTENDED, self.inputs()?)),
            };
            let name = Name::new(parsed.map(|parse| parse.name).unwrap_or_default());
            if let Ok(origin) = origin {
                self.model.queue.push_back(Entry::Parse(name, Prepared::first(origin, None)));
            }
            self.server.output.extend_from_slice(whole);
            return Ok(());
        }
        let Ok(parse) = parsed else { return Err(violation("malformed Parse message")) };
        let Ok(text) = std::str::from_utf8(parse.text) else {
            self.refuse(not_utf8().into(), "", false, Some(parse.name)).await;
            return Ok(());
        };
        if text.len() > self.shared.config.limits.statement_bytes {
            let refusal = self.too_long_text();
            self.refuse(refusal.into(), "", false, Some(parse.name)).await;
            return Ok(());
        }
        if super::prepared::is_reserved(parse.name) {
            let refusal = Refusal::new(RefusalCode::ReservedName, "names that start with \"pgs_\" are reserved");
            self.refuse(refusal.into(), "", false, None).await;
            return Ok(());
        }
        let protocol = Protocol::of_parse(frontend::types(parse.types), text);
        let origin = match self.judge(text, protocol).await? {
            Ok(origin) => origin,
            Err(refused) => {
                self.refuse(refused, text, false, Some(parse.name)).await;
                return Ok(());
            }
        };
        if !origin.stamp.takes_parameters(parse.types) {
            let refusal = Refusal::new(RefusalCode::TypeNotAllowed, "the type of a parameter is not allowed")
                .with_hint("A value of this type, or an operator for it, runs a function that the rules do not list.");
            self.refuse(refusal.into(), "", false, Some(parse.name)).await;
            return Ok(());
        }
        if let Some(planned) = origin.statements().first().filter(|planned| !purpose::takes_text(planned, parse.types))
        {
            self.refuse(refused(purpose::not_given(), planned), text, false, Some(parse.name)).await;
            return Ok(());
        }
        if !parse.name.is_empty() && !self.model.can_keep(origin.bytes()) {
            self.refuse(too_much_kept().into(), "", false, Some(parse.name)).await;
            return Ok(());
        }
        let Some(permit) = origin.permit() else { return Err(violation("statement without a permit")) };
        build::parse(&mut self.server.output, parse.name, permit, parse.types);
        let prepared = Prepared::first(origin, Some(parse.types.into()));
        self.model.queue.push_back(Entry::Parse(Name::new(parse.name), prepared));
        Ok(())
    }

    async fn execute(&mut self, whole: &[u8], body: &[u8]) -> Result<(), Stop> {
        self.still_matched()?;
        if self.will_be_skipped() {
            return Ok(());
        }
        let name = match frontend::execute(body) {
            Ok(portal) => Name::new(portal),
            Err(_) if self.exempt => Name::new(b""),
            Err(_) => return Err(violation("malformed Execute message")),
        };
        let known = self.model.portal(&name);
        let prepared = match known {
            Some(prepared) => prepared,
            None if self.exempt => Prepared::first(not_analysed(Protocol::EXTENDED, self.inputs()?), None),
            None => {
                let refusal = Refusal {
                    sqlstate: Some("34000".to_owned()),
                    ..Refusal::new(RefusalCode::StatementNotAllowed, "portal does not exist")
                };
                self.refuse(refusal.into(), "", false, None).await;
                return Ok(());
            }
        };
        if !self.exempt && !self.serves_purpose(&prepared) {
            let refusal = other_purpose("portal");
            let refused = prepared.planned.as_ref().map(|planned| refused(refusal.clone(), planned));
            self.refuse(refused.unwrap_or_else(|| refusal.into()), "", false, None).await;
            return Ok(());
        }
        if prepared.planned.is_none() {
            self.model.queue.push_back(Entry::Execute(None));
            self.server.output.extend_from_slice(whole);
            return Ok(());
        }
        let (prepared, planned) = match self.may_execute(&name, &prepared).await? {
            Ok(may) => may,
            Err(refused) => {
                self.refuse(refused, "", false, None).await;
                return Ok(());
            }
        };
        match self.recorded(&prepared.origin, &planned, prepared.searched, None).await {
            Ok(run) => {
                self.model.queue.push_back(Entry::Execute(Some(Box::new(run.of_portal(name, prepared)))));
                self.server.output.extend_from_slice(whole);
            }
            Err(refusal) => self.refuse(refused(refusal, &planned), "", false, None).await,
        }
        Ok(())
    }

    async fn function_call(&mut self, header: Header) -> Result<Step, Stop> {
        if !self.exempt {
            self.client_dropping = header.total;
            let refusal = Refusal::new(RefusalCode::FunctionCallRefused, "the FunctionCall message is not allowed")
                .with_hint("Call the function with SELECT.");
            self.refuse(refusal.into(), "", true, None).await;
            return Ok(Step::Next);
        }
        let origin = not_analysed(Protocol::Simple, self.inputs()?);
        let runs = self.runs(&origin).await?;
        match runs {
            Ok(mut runs) => {
                self.model.queue.push_back(Entry::FunctionCall(runs.pop_front().map(Box::new)));
                self.client_passing = header.total;
            }
            Err(refused) => {
                self.client_dropping = header.total;
                self.refuse(refused, "", true, None).await;
            }
        }
        Ok(Step::Next)
    }

    /// Whether `prepared` was judged for the purpose of now: rows that were computed for one purpose are not handed out for another.
    pub(super) fn serves_purpose(&self, prepared: &Prepared) -> bool {
        *prepared.purpose == *self.facts.purpose
    }

    /// Whether the statement or cursor that EXECUTE or FETCH names is still what was judged.
    pub(super) async fn executable(
        &mut self,
        planned: &Arc<PlannedStatement>,
    ) -> Result<Result<(), Box<Refused>>, Stop> {
        if let Some(refusal) = self.names_nothing(planned) {
            return Ok(Err(refused(refusal, planned)));
        }
        if let Effect::Fetch(name) = &planned.effect
            && let Some(cursor) = self.model.portal(&Name::new(name.as_bytes()))
        {
            if !self.serves_purpose(&cursor) {
                return Ok(Err(refused(other_purpose("cursor"), &attributed(planned, Some(&cursor)))));
            }
            if let Err(other) = self.by_rules_in_force(&Name::new(name.as_bytes()), &cursor).await? {
                return Ok(Err(refused(other.refusal, &attributed(planned, Some(&cursor)))));
            }
        }
        if let Effect::DeclareCursor { .. } = &planned.effect
            && (self.model.opened() >= MOST_OPEN || !self.model.can_keep(2 * planned.access.text.len()))
        {
            return Ok(Err(refused(too_many_open(), planned)));
        }
        if let Effect::Prepare { text, .. } = &planned.effect
            && !self.model.can_keep(2 * text.len())
        {
            return Ok(Err(refused(too_much_kept(), planned)));
        }
        let Effect::Execute(name) = &planned.effect else { return Ok(Ok(())) };
        let name = Name::new(name.as_bytes());
        let Some(prepared) = self.model.statement(&name) else { return Ok(Ok(())) };
        Ok(match self.again(&prepared).await? {
            Again::Same(again) => {
                self.model.renew_statement(&name, &again);
                Ok(())
            }
            Again::Other(other) => Err(refused(Refusal::replan(), &attributed(planned, Some(&other)))),
            Again::Refused(other) => Err(refused(other.refusal, &attributed(planned, Some(&prepared)))),
        })
    }

    /// Sends a statement that fails in place of a refused one, and records the refusal.
    pub(super) async fn refuse(&mut self, refused: Box<Refused>, text: &str, simple: bool, name: Option<&[u8]>) {
        let Refused { refusal, kind, access } = *refused;
        self.shared.metrics.refused(refusal.code);
        if simple {
            build::own_query(&mut self.server.output, FAILING);
            self.model.open = false;
        } else {
            build::own_parse(&mut self.server.output, name.unwrap_or(FAILING_NAME), FAILING);
            self.model.open = true;
        }
        let stand = Stand { refusal: refusal.clone(), text: text.to_owned(), simple };
        self.model.queue.push_back(Entry::Refused(Box::new(stand)));
        // Without a place in the log nothing was accessed either.
        let slot = match self.shared.audit.try_reserve() {
            Some(slot) => Some(slot),
            None if refusal.code == RefusalCode::AuditUnavailable => None,
            None => self.shared.audit.reserve().await.ok(),
        };
        let Some(slot) = slot else { return };
        self.statements += 1;
        let access = Access { decision: "refuse", ..access };
        let planned = Arc::new(PlannedStatement { kind, access, effect: Effect::None, outputs: None });
        let protocol = if simple { Protocol::Simple } else { Protocol::EXTENDED };
        let origin = not_analysed(protocol, Arc::clone(&self.stamp));
        let documents = self.documents_in_force();
        let run = self.begun(slot, planned, documents, origin);
        let run = run.understood(kind != "UNKNOWN");
        self.finish(run, Outcome::Refused(refusal));
    }
}

fn not_utf8() -> Refusal {
    Refusal::new(RefusalCode::NotUtf8, "invalid byte sequence for encoding \"UTF8\"")
        .with_hint("Send statements in UTF-8.")
}

fn other_purpose(what: &str) -> Refusal {
    Refusal::new(RefusalCode::PurposeNotAllowed, format!("the {what} was opened for another purpose"))
        .with_hint("Set pgscrim.purpose back, or open it again.")
}
