//! The values of metric labels. Invariant: every label but the policy role comes from one of these finite lists; no
//! text of a client ever becomes a label.

macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every value, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The value of the label.
            pub fn label(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

label! {
    /// How a client connection ended.
    ConnectionOutcome {
        /// The client said goodbye, or hung up between statements.
        Completed = "completed",
        /// The client disappeared in the middle of something.
        ClientLost = "client_lost",
        /// The server ended the connection or disappeared.
        UpstreamLost = "upstream_lost",
        /// The server did not accept the credentials.
        AuthenticationFailed = "authentication_failed",
        /// pgscrim refused the connection: no role, TLS required, limits, bad start-up.
        Refused = "refused",
        /// Start-up took too long.
        TimedOut = "timed_out",
        /// A message that breaks the protocol.
        Protocol = "protocol",
        /// A cancel request, which is a connection of its own.
        Cancel = "cancel",
        /// Ended by the proxy's own shutdown.
        Drained = "drained",
        /// A defect of pgscrim or a lack of resources.
        Internal = "internal",
    }
}

label! {
    /// What was decided for a statement.
    DecisionLabel {
        /// The client's text was sent as it was, or in canonical form without masks.
        Forward = "forward",
        /// Masks or row conditions were put in.
        Rewrite = "rewrite",
        /// Nothing of it was sent.
        Refuse = "refuse",
    }
}

impl DecisionLabel {
    /// From [`crate::engine::Access::decision`].
    pub fn from_access(decision: &str) -> Self {
        match decision {
            "forward" => Self::Forward,
            "rewrite" => Self::Rewrite,
            _ => Self::Refuse,
        }
    }
}

label! {
    /// A part of the work on one statement text.
    PlanStage {
        /// From the client's text to the plan, whatever the cache says.
        Total = "total",
        /// Look-up in the plan cache.
        Lookup = "lookup",
        /// Filling the literals into a template of the same shape.
        Template = "template",
        /// The whole pipeline, when the cache had nothing.
        Pipeline = "pipeline",
    }
}

label! {
    /// What the plan cache answered.
    CacheResult {
        /// The same text was planned before.
        Hit = "hit",
        /// A text of the same shape was planned before.
        Template = "template",
        /// The pipeline had to run.
        Miss = "miss",
        /// The text is not kept: too long, or not analysed.
        Bypass = "bypass",
    }
}

label! {
    /// Which way bytes went, seen from the client.
    Direction {
        /// From client to proxy.
        Received = "received",
        /// From proxy to client.
        Sent = "sent",
    }
}

label! {
    /// What failed between proxy and server.
    UpstreamErrorKind {
        /// Name resolution, refused, unreachable.
        Connect = "connect",
        /// No answer in time.
        Timeout = "timeout",
        /// Certificate or handshake.
        Tls = "tls",
        /// The service login was not accepted.
        Authentication = "authentication",
        /// A catalog query failed.
        Catalog = "catalog",
        /// The connection broke in the middle of a session.
        Broken = "broken",
        /// The server broke the protocol.
        Protocol = "protocol",
    }
}

label! {
    /// What could not be loaded anew; the last good one stays in force.
    ReloadKind {
        /// The rule files.
        Rules = "rules",
        /// The catalog.
        Catalog = "catalog",
        /// The TLS certificate.
        Certificate = "certificate",
        /// The audit file could not be opened anew.
        Audit = "audit",
    }
}

label! {
    /// What became of a cancel request.
    CancelOutcome {
        /// Passed to the server.
        Forwarded = "forwarded",
        /// The server could not be reached.
        Failed = "failed",
        /// Held back by the rate limit.
        Limited = "limited",
        /// Malformed, or in clear where TLS is required.
        Refused = "refused",
    }
}
