//! Stage `session`: authentication. In: a client that has sent its start-up packet. Out: [`Authenticated`], which only
//! this file makes. Invariant: the server itself has accepted the login, by its own exchange that passes through
//! unchanged; no credential is kept.
//!
//! Where the leg to the server is TLS, the client's channel is another, so channel binding cannot work: SCRAM-SHA-256-PLUS
//! is taken off the server's list (libpq gives up when it reads it without TLS). A client with TLS that says it would have
//! bound the channel (`y`) is then refused by the server as a victim of a downgrade; it gets an error that says so.
//! <https://www.postgresql.org/docs/current/sasl-authentication.html>

use bytes::{BufMut, BytesMut};

use super::{Ended, Shared, cancel::KeyGuard, link::Leg, options::Request, scrub};
use crate::{
    error::{Refusal, RefusalCode},
    metrics::{ConnectionOutcome, UpstreamErrorKind},
    net::ByteStream,
    policy::{
        LoginIdentity, RoleId, RolePolicy,
        settings::{PURPOSE, purpose_allowed},
    },
    upstream::{self, ConnectError},
    wire::{Fields, backend, build, frame, startup},
};

/// Longest message of either side before authentication is over.
const LIMIT: usize = 64 * 1024;
/// Longest message of the server between authentication and ReadyForQuery.
const SERVER_LIMIT: usize = 1024 * 1024;

/// ParameterStatus names that say nothing about stored data.
const PARAMETERS: &[&str] = &[
    "application_name",
    "client_encoding",
    "DateStyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "IntervalStyle",
    "is_superuser",
    "scram_iterations",
    "search_path",
    "server_encoding",
    "server_version",
    "session_authorization",
    "standard_conforming_strings",
    "TimeZone",
];

/// A connection that the server has accepted and the rules know. The client has not been told of ReadyForQuery yet.
pub(super) struct Authenticated {
    pub client: Leg,
    pub server: Leg,
    /// Policy role.
    pub role: RoleId,
    pub request: Request,
    /// The ReadyForQuery frame that is still to be sent.
    pub ready: BytesMut,
    pub key: Option<KeyGuard>,
}

/// Connects to the server, relays the exchange, and looks up the policy role.
pub(super) async fn authenticate(
    shared: &Shared,
    stream: Box<dyn ByteStream>,
    request: Request,
) -> Result<Authenticated, Ended> {
    let mut client = Leg::new(stream);
    if request.database != shared.config.upstream.database {
        let refusal = Refusal {
            sqlstate: Some("3D000".to_owned()),
            ..Refusal::new(RefusalCode::NoRole, format!("database \"{}\" is not served here", request.database))
        };
        let hint = format!("Connect to database \"{}\".", shared.config.upstream.database);
        return Err(Ended::told(&mut client, refusal.with_hint(hint)).await);
    }
    let (role, exempt) = match role_of(shared, &request) {
        Ok(found) => found.map_or((None, false), |(role, exempt)| (Some(role), exempt)),
        Err(refusal) => return Err(Ended::told(&mut client, refusal).await),
    };
    let inputs = shared.inputs.current();
    let policy = role.and_then(|role| inputs.as_ref()?.policy.role(role));
    let permitted = policy.map(RolePolicy::permitted).unwrap_or_default();
    let parameters = if policy.is_some_and(|policy| policy.observed.is_some()) {
        // What would have been refused its events say.
        Ok(request.parameters.clone())
    } else if exempt {
        let purpose = request.setting(PURPOSE).unwrap_or_default();
        purpose_allowed(&purpose, permitted.purposes).map(|()| request.parameters.clone())
    } else {
        request.restricted(permitted)
    };
    let parameters = match parameters {
        Ok(parameters) => parameters,
        Err(refusal) => return Err(Ended::told(&mut client, refusal).await),
    };
    let stream = match upstream::connect(&shared.config.upstream).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(%error, "no connection to the server for a client");
            shared.metrics.upstream_error(kind(&error));
            let refusal = Refusal::new(RefusalCode::UpstreamUnavailable, "could not connect to the server")
                .with_hint("Try again later; the log of pgscrim says why.");
            return Err(Ended::told(&mut client, refusal).await);
        }
    };
    let mut server = Leg::new(Box::new(stream));
    server.output = startup::message(request.version, &parameters);
    if server.flush().await.is_err() {
        return Err(Ended::lost_server(&mut client).await);
    }
    exchange(&mut client, &mut server).await?;
    let known = match role_of(shared, &request) {
        Ok(known) => known,
        Err(refusal) => return Err(Ended::told(&mut client, refusal).await),
    };
    let Some((now, now_exempt)) = known else {
        let refusal = Refusal::new(
            RefusalCode::NoRole,
            format!("no role of the rules matches user \"{}\" and database \"{}\"", request.user, request.database),
        )
        .with_hint("Add a [[role]] that matches this connection to the rules.");
        return Err(Ended::told(&mut client, refusal).await);
    };
    if now_exempt != exempt || role.is_none() {
        let refusal = Refusal::new(RefusalCode::NotReady, "the rules changed while the connection was made")
            .with_hint("Connect again.");
        return Err(Ended::told(&mut client, refusal).await);
    }
    let mut made = Authenticated { client, server, role: now, request, ready: BytesMut::new(), key: None };
    made.settle(shared, exempt).await?;
    Ok(made)
}

fn role_of(shared: &Shared, request: &Request) -> Result<Option<(RoleId, bool)>, Refusal> {
    let inputs = shared.inputs.current().ok_or_else(|| {
        Refusal::new(RefusalCode::NotReady, "rules and catalog are not loaded")
            .with_hint("The log of pgscrim says why.")
    })?;
    let who = LoginIdentity {
        user: request.user.clone(),
        database: request.database.clone(),
        application_name: request.application.clone(),
    };
    Ok(inputs
        .policy
        .role_for(&who, &inputs.catalog)
        .and_then(|id| inputs.policy.role(id).map(|role| (id, role.exempt))))
}

fn kind(error: &ConnectError) -> UpstreamErrorKind {
    match error {
        ConnectError::Timeout { .. } => UpstreamErrorKind::Timeout,
        ConnectError::Connect { .. } | ConnectError::TlsOnUnixSocket { .. } => UpstreamErrorKind::Connect,
        ConnectError::Request { .. }
        | ConnectError::TlsNotOffered { .. }
        | ConnectError::Tls { .. }
        | ConnectError::Authorities { .. }
        | ConnectError::NoAuthorities
        | ConnectError::ServerName { .. } => UpstreamErrorKind::Tls,
    }
}

/// Relays until the server has said AuthenticationOk, which is then in the client's output, unsent.
async fn exchange(client: &mut Leg, server: &mut Leg) -> Result<(), Ended> {
    let mut plus_taken_off = false;
    loop {
        let Ok(Some(frame)) = server.frame(LIMIT).await else { return Err(Ended::lost_server(client).await) };
        let body = frame::body(&frame);
        match frame.first() {
            Some(b'R') => {
                let code = Fields::new(body).u32().unwrap_or(u32::MAX);
                if code == 0 {
                    client.output.extend_from_slice(&frame);
                    return Ok(());
                }
                if code == 10 {
                    plus_taken_off |= offer_without_plus(&mut client.output, body);
                } else {
                    client.output.extend_from_slice(&frame);
                }
                flush(client).await?;
                // 12 is AuthenticationSASLFinal, which has no answer.
                if code != 12 {
                    answer(client, server, plus_taken_off && code == 10).await?;
                }
            }
            // NegotiateProtocolVersion and notices.
            Some(b'v' | b'N') => client.output.extend_from_slice(&frame),
            Some(b'E') => {
                client.output.extend_from_slice(&frame);
                let _ = client.finish().await;
                return Err(Ended::quiet(ConnectionOutcome::AuthenticationFailed));
            }
            _ => return Err(Ended::lost_server(client).await),
        }
    }
}

/// Passes one message of the client to the server, unless the server speaks first (its own time-out).
async fn answer(client: &mut Leg, server: &mut Leg, check_binding: bool) -> Result<(), Ended> {
    // A second frame of the server would be read by the caller: only the client's is awaited here, while an end or an
    // error of the server wakes the caller through its own input.
    let frame = tokio::select! {
        frame = client.frame(LIMIT) => frame,
        frame = server.frame(LIMIT) => {
            if let Ok(Some(frame)) = frame {
                client.output.extend_from_slice(&frame);
            }
            let _ = client.finish().await;
            return Err(Ended::quiet(ConnectionOutcome::AuthenticationFailed));
        }
    };
    let frame = match frame {
        Ok(Some(frame)) if frame.first() == Some(&b'p') => frame,
        Ok(Some(_)) => {
            let refusal = Refusal::new(RefusalCode::ProtocolViolation, "expected a password or SASL response");
            return Err(Ended::told(client, refusal).await);
        }
        Ok(None) => return Err(Ended::quiet(ConnectionOutcome::AuthenticationFailed)),
        Err(_) => return Err(Ended::quiet(ConnectionOutcome::ClientLost)),
    };
    if check_binding && says_y(frame::body(&frame)) {
        let refusal = Refusal {
            sqlstate: Some("28000".to_owned()),
            ..Refusal::new(RefusalCode::ProtocolViolation, "channel binding cannot pass through a proxy that ends TLS")
        }
        .with_hint(
            "Set channel_binding=disable in the connection string, or connect pgscrim to the server over a Unix socket.",
        );
        return Err(Ended::told(client, refusal).await);
    }
    server.output.extend_from_slice(&frame);
    if server.flush().await.is_err() {
        return Err(Ended::lost_server(client).await);
    }
    Ok(())
}

/// Appends AuthenticationSASL without the mechanisms that bind the channel; answers whether one was taken off.
fn offer_without_plus(out: &mut BytesMut, body: &[u8]) -> bool {
    let mut fields = Fields::new(body);
    let _ = fields.u32();
    let mut taken_off = false;
    build::frame(out, b'R', |out| {
        out.put_u32(10);
        while let Ok(mechanism) = fields.cstr() {
            if mechanism.is_empty() {
                break;
            }
            if mechanism.ends_with(b"-PLUS") {
                taken_off = true;
            } else {
                out.put_slice(mechanism);
                out.put_u8(0);
            }
        }
        out.put_u8(0);
    });
    taken_off
}

/// Whether a SASLInitialResponse says `y`: the client could bind and believes that the server cannot.
fn says_y(body: &[u8]) -> bool {
    let mut fields = Fields::new(body);
    fields.cstr().is_ok() && fields.u32().is_ok() && fields.u8() == Ok(b'y')
}

async fn flush(client: &mut Leg) -> Result<(), Ended> {
    client.flush().await.map_err(|_| Ended::quiet(ConnectionOutcome::ClientLost))
}

impl Authenticated {
    /// From AuthenticationOk to ReadyForQuery.
    async fn settle(&mut self, shared: &Shared, exempt: bool) -> Result<(), Ended> {
        loop {
            let Ok(Some(frame)) = self.server.frame(SERVER_LIMIT).await else {
                return Err(Ended::lost_server(&mut self.client).await);
            };
            let body = frame::body(&frame);
            let out = &mut self.client.output;
            match frame.first() {
                Some(b'Z') => {
                    self.ready = frame;
                    return Ok(());
                }
                Some(b'K') => {
                    self.key = Some(shared.keys.register(body));
                    out.extend_from_slice(&frame);
                }
                Some(b'S') if exempt || parameter_passes(body) => out.extend_from_slice(&frame),
                Some(b'S') => {}
                Some(kind @ (b'N' | b'E')) => {
                    if exempt {
                        out.extend_from_slice(&frame);
                    } else if scrub::scrub(out, *kind, body, |_| None).is_err() {
                        return Err(Ended::lost_server(&mut self.client).await);
                    }
                    if *kind == b'E' {
                        let _ = self.client.finish().await;
                        return Err(Ended::quiet(ConnectionOutcome::UpstreamLost));
                    }
                }
                Some(_) if exempt => out.extend_from_slice(&frame),
                _ => return Err(Ended::lost_server(&mut self.client).await),
            }
        }
    }
}

/// Whether a restricted role may read this ParameterStatus.
pub(super) fn parameter_passes(body: &[u8]) -> bool {
    backend::parameter_status(body)
        .is_ok_and(|(name, _)| PARAMETERS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name)))
}
