//! Stage `session`: the relay of an authenticated connection. In: bytes of both legs. Out: bytes to both legs. One task
//! moves both directions, so nothing waits for another task, and each direction is held back only by its own reader.
//! Invariant: made only from [`Authenticated`]; for a restricted role, text reaches the server only inside a permit.

use std::{
    future::poll_fn,
    io,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::BytesMut;
use tokio::sync::watch;

use super::{
    Shared,
    auth::Authenticated,
    cancel::KeyGuard,
    clock::Clock,
    down::Down,
    inflight::{Entry, Model},
    ledger::Run,
    limits::Meter,
    link::{HIGH, Leg},
    options::Request,
    outstanding::Share,
    path::SearchPath,
    planning::Stamp,
    prepared::Variants,
    scrub,
    temporary::Temporary,
};
use crate::{
    audit::event::{ConnectionFacts, Outcome},
    engine::Inputs,
    error::{Refusal, RefusalCode},
    metrics::{ConnectionOutcome, Direction, RoleMetrics, UpstreamErrorKind},
    net::Peer,
    policy::{RoleId, settings::PURPOSE},
    reload::Changing,
};

/// Why a session ends.
#[derive(Debug)]
pub(super) enum Stop {
    /// Both sides have said their last.
    Done,
    ClientLost,
    ServerLost,
    /// The server has said why it ends the session, and the client will be told.
    ServerEnded,
    /// The client is told, then the connection closes.
    Tell(Refusal),
    /// The proxy shuts down.
    Drained,
}

/// One session between its two legs.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not the states of one machine")]
pub(super) struct Relay {
    pub shared: Arc<Shared>,
    pub client: Leg,
    pub server: Leg,
    pub request: Request,
    pub exempt: bool,
    /// Why the connection would have been refused if its role were not observed.
    pub unwelcome: Option<Refusal>,
    pub role: RoleId,
    /// The purpose that the session has asked for; empty for the default.
    pub asked_purpose: String,
    pub facts: Arc<ConnectionFacts>,
    /// Statements of the login that wait for their answers.
    pub share: Share,
    pub counters: Arc<RoleMetrics>,
    pub stamp: Arc<Stamp>,
    pub path: SearchPath,
    pub temporary: Temporary,
    /// Statements that were prepared for the client's under other purposes.
    pub variants: Variants,
    pub model: Model,
    /// Bytes of a client's frame that are still to be passed on, or left out.
    pub client_passing: usize,
    pub client_dropping: usize,
    /// Bytes of a server's frame that are still to be passed on.
    pub server_passing: usize,
    /// Statements so far.
    pub statements: u64,
    /// The client's next message waits until the server has come to rest.
    pub waiting: bool,
    /// The client has said goodbye.
    pub goodbye: bool,
    /// The answer in front must be proved before it passes.
    pub holding: bool,
    /// The client was the last to say something.
    heard_client: bool,
    /// DDL of this exempt session is under way, or its transaction is open.
    pub changing: Option<Changing>,
    /// What the client has called its application by SET, the last first.
    pub own_names: Vec<Box<str>>,
    /// Personal data that this connection has had in clear.
    pub disclosed: Meter,
    pub clock: Clock,
    _key: Option<KeyGuard>,
}

impl Relay {
    pub fn new(
        shared: Arc<Shared>,
        inputs: Arc<Inputs>,
        authenticated: Authenticated,
        peer: &Peer,
        connection: Arc<str>,
    ) -> Option<(Self, BytesMut)> {
        let Authenticated { client, server, role, request, ready, key } = authenticated;
        let asked_purpose = request.setting(PURPOSE).unwrap_or_default();
        let (role, exempt, unwelcome, facts) = {
            let acting = inputs.policy.acting(role, &asked_purpose, &request.application);
            let observed = inputs.policy.role(role)?.observed.is_some();
            // An observed role is let in whatever it asks for.
            let role = acting.or(observed.then_some(role))?;
            let policy = inputs.policy.role(role)?;
            let unwelcome = Self::unwelcome(&request, policy);
            let facts = ConnectionFacts {
                connection,
                client: Arc::clone(&peer.address),
                application: request.application.as_str().into(),
                user: request.user.as_str().into(),
                role: policy.name.as_str().into(),
                purpose: policy.purpose.as_str().into(),
                recipient: policy.recipient.as_str().into(),
                database: request.database.as_str().into(),
            };
            (role, policy.exempt, unwelcome, Arc::new(facts))
        };
        let schemas: Arc<[String]> = default_path(&request, &inputs).into();
        let transaction = ready.last().map_or('I', |status| char::from(*status));
        let known = shared.inputs.known(&inputs);
        let relay = Self {
            counters: shared.metrics.role(&facts.role),
            share: shared.outstanding.of(&facts.user),
            stamp: Arc::new(Stamp::new(inputs, role, Arc::clone(&schemas), known, None)),
            path: SearchPath::new(schemas, !exempt),
            temporary: Temporary::default(),
            variants: Variants::default(),
            model: Model::new(transaction),
            shared,
            client,
            server,
            request,
            exempt,
            unwelcome,
            role,
            asked_purpose,
            facts,
            client_passing: 0,
            client_dropping: 0,
            server_passing: 0,
            statements: 0,
            waiting: false,
            goodbye: false,
            holding: false,
            heard_client: false,
            changing: None,
            own_names: Vec::new(),
            disclosed: Meter::default(),
            clock: Clock::new(),
            _key: key,
        };
        Some((relay, ready))
    }

    /// Relays until the session ends. `ready` is the first ReadyForQuery.
    pub async fn run(mut self, ready: BytesMut, shutdown: watch::Receiver<bool>) -> ConnectionOutcome {
        let stop = match self.work(&ready, shutdown).await {
            Ok(()) => Stop::Done,
            Err(stop) => stop,
        };
        self.end(stop).await
    }

    async fn work(&mut self, ready: &BytesMut, shutdown: watch::Receiver<bool>) -> Result<(), Stop> {
        if !self.exempt {
            // Until then the client has not come in.
            let limit = self.shared.config.limits.startup;
            tokio::time::timeout(limit, self.learn_path()).await.map_err(|_| Stop::Tell(too_late()))??;
        }
        self.client.output.extend_from_slice(ready);
        let mut draining = false;
        let mut down = Down::new(shutdown);
        loop {
            poll_fn(|cx| match self.poll_move(cx, draining) {
                Poll::Pending if !draining && down.poll(cx).is_ready() => {
                    draining = true;
                    Poll::Ready(Ok(()))
                }
                moved @ (Poll::Ready(_) | Poll::Pending) => moved,
            })
            .await?;
            self.hear_server().await?;
            self.take_from_client().await?;
            if draining && self.model.is_idle() && self.model.transaction == 'I' && self.client.output.is_empty() {
                return Err(Stop::Drained);
            }
            if self.server.ended && self.client.output.is_empty() {
                return Ok(());
            }
            if (self.goodbye || self.client.ended)
                && !self.waiting
                && self.server.output.is_empty()
                && !self.server.ended
            {
                // The server reads the end, finishes what it was asked, and closes.
                self.drain_server().await?;
                return Ok(());
            }
        }
    }

    /// Writes what can be written and reads what may be read; ready when something was read, or written and somebody waits
    /// for that: most of the time the next that can happen is that more is read.
    pub(super) fn poll_move(&mut self, cx: &mut Context<'_>, ending: bool) -> Poll<Result<(), Stop>> {
        // Input that is left over may wait for room in an output.
        let writes_count =
            ending || self.client.ended || self.server.ended || self.goodbye || !self.client.input.is_empty();
        let mut moved = false;
        let pending = self.client.output.len();
        match self.client.poll_write(cx) {
            Poll::Ready(Ok(())) => {
                moved = writes_count;
                self.shared.metrics.bytes(Direction::Sent, as_u64(pending - self.client.output.len()));
            }
            Poll::Ready(Err(_)) => return Poll::Ready(Err(Stop::ClientLost)),
            Poll::Pending => {}
        }
        match self.server.poll_write(cx) {
            Poll::Ready(Ok(())) => moved |= writes_count,
            // What the server said last is still to be read.
            Poll::Ready(Err(_)) => {
                self.server.output.clear();
                moved = true;
            }
            Poll::Pending => {}
        }
        // Whoever was heard last is asked last: mostly it is the other's turn, and nobody waits for long.
        let order = if self.heard_client { [false, true] } else { [true, false] };
        for client in order {
            let read = if client { self.poll_client(cx) } else { self.poll_server(cx) };
            if let Poll::Ready(read) = read {
                self.heard_client = client;
                return Poll::Ready(read);
            }
        }
        if moved { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        if self.client.ended || self.goodbye || self.waiting || self.server.output.len() >= HIGH {
            return Poll::Pending;
        }
        self.client.poll_read(cx).map(|read| {
            let count = read.map_err(|_| Stop::ClientLost)?;
            self.shared.metrics.bytes(Direction::Received, as_u64(count));
            Ok(())
        })
    }

    fn poll_server(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        if self.server.ended || self.client.output.len() >= HIGH {
            return Poll::Pending;
        }
        self.server.poll_read(cx).map(|read| {
            if read.is_err() {
                self.server.ended = true;
            }
            Ok(())
        })
    }

    /// The client has ended: passes on what the server still says.
    async fn drain_server(&mut self) -> Result<(), Stop> {
        // A Terminate or the end of the stream says the same to the server.
        self.server.finish().await.map_err(|_| Stop::ServerLost)?;
        self.goodbye = true;
        while !self.server.ended || !self.client.output.is_empty() {
            poll_fn(|cx| self.poll_move(cx, true)).await?;
            self.hear_server().await?;
        }
        Ok(())
    }

    /// Tells the client if there is something to tell, and closes.
    async fn end(mut self, stop: Stop) -> ConnectionOutcome {
        let busy = !self.model.is_idle() || self.model.transaction != 'I';
        let outcome = match stop {
            Stop::Done if self.goodbye || self.client.ended => {
                if self.client.ended && !self.goodbye && busy {
                    ConnectionOutcome::ClientLost
                } else {
                    ConnectionOutcome::Completed
                }
            }
            Stop::Done | Stop::ServerLost => {
                self.shared.metrics.upstream_error(UpstreamErrorKind::Broken);
                ConnectionOutcome::UpstreamLost
            }
            Stop::ServerEnded => ConnectionOutcome::UpstreamLost,
            Stop::ClientLost => ConnectionOutcome::ClientLost,
            Stop::Drained => {
                let refusal =
                    Refusal::new(RefusalCode::ShuttingDown, "terminating connection due to shutdown of pgscrim")
                        .with_hint("Connect again.");
                self.tell(&refusal).await;
                ConnectionOutcome::Drained
            }
            Stop::Tell(refusal) => {
                self.tell(&refusal).await;
                self.shared.metrics.refused(refusal.code);
                if refusal.code == RefusalCode::ProtocolViolation {
                    ConnectionOutcome::Protocol
                } else {
                    ConnectionOutcome::Refused
                }
            }
        };
        // Neither side is waited for.
        let limit = std::time::Duration::from_secs(5);
        let _ = tokio::time::timeout(limit, self.client.finish()).await;
        if self.changing.is_some() && !self.server.ended {
            self.record_rest();
            tokio::spawn(self.outlive());
        } else {
            let _ = tokio::time::timeout(limit, self.server.finish()).await;
        }
        outcome
    }

    /// DDL goes on without the client that sent it, and what was sent behind it is run before the server sees that nobody is there: answers
    /// wait for proof until it has closed.
    async fn outlive(mut self) {
        let _ = self.server.finish().await;
        while !self.server.ended && poll_fn(|cx| self.server.poll_read(cx)).await.is_ok() {
            self.server.input.clear();
        }
    }

    /// However a session ends, what was sent to the server is recorded.
    fn record_rest(&mut self) {
        self.clock.look();
        for entry in std::mem::take(&mut self.model.queue) {
            match entry {
                Entry::Execute(Some(run)) | Entry::FunctionCall(Some(run)) => self.finish(*run, Outcome::Broken),
                Entry::Query(batch) => {
                    for run in batch.runs {
                        self.finish(run, Outcome::Broken);
                    }
                }
                Entry::Execute(None)
                | Entry::FunctionCall(None)
                | Entry::Parse(..)
                | Entry::Bind(..)
                | Entry::Describe(_)
                | Entry::CloseStatement(_)
                | Entry::ClosePortal(_)
                | Entry::Sync
                | Entry::CopyEnd
                | Entry::Question(_)
                | Entry::Refused(_) => {}
            }
        }
    }

    async fn tell(&mut self, refusal: &Refusal) {
        // In the middle of a frame an error could not be read as one.
        if self.server_passing == 0 {
            scrub::refuse(&mut self.client.output, "FATAL", refusal, "");
        }
        // A session that ends in the middle of a statement must not leave it running.
        self.server.output.clear();
        let limit = std::time::Duration::from_secs(5);
        let _ = tokio::time::timeout(limit, self.client.flush()).await;
    }

    pub fn finish(&self, mut run: Run, outcome: Outcome) {
        if let Some(allowance) = &mut run.allowance {
            allowance.count(run.rows);
        }
        run.finish(outcome, self.clock.last());
    }
}

fn too_late() -> Refusal {
    Refusal::new(RefusalCode::NotReady, "the server does not answer")
        .with_hint("Try again later; `limits.startup` says how long it may take to come in.")
}

/// The client broke the protocol.
pub(super) fn violation(what: &str) -> Stop {
    Stop::Tell(Refusal::new(RefusalCode::ProtocolViolation, what))
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// What the path most likely is, for the analysis of exempt sessions, whose server is asked nothing.
fn default_path(request: &Request, inputs: &Inputs) -> Vec<String> {
    let given = request.setting("search_path");
    let setting = given.as_deref().unwrap_or(&inputs.catalog.data().default_search_path);
    let mut path = vec!["pg_catalog".to_owned()];
    for item in setting.split(',') {
        let item = item.trim();
        let name = match item.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => item.to_ascii_lowercase(),
        };
        let name = if name == "$user" { request.user.clone() } else { name };
        if inputs.catalog.has_schema(&name) && !path.contains(&name) {
            path.push(name);
        }
    }
    path
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.record_rest();
    }
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Self::ClientLost
    }
}
