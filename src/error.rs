//! Refusals: a "no" with words for the client. Every stage from `sql` to `session` answers with the same type, so that
//! a client sees one format: PostgreSQL's SQLSTATE, a message in PostgreSQL's style, and a hint that starts with a
//! stable code (`PGS0102`).

use serde::{Deserialize, Serialize};

/// Where an error comes from; a label of metrics and audit events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The client sent something malformed or unsupported.
    Client,
    /// The rules forbid it.
    Policy,
    /// The server behind the proxy failed.
    Upstream,
    /// A defect of pgscrim, or a lack of resources.
    Internal,
}

macro_rules! refusal_codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $sqlstate:literal, $source:ident;)*) => {
        /// The stable code of a refusal. Codes are never reused; the README lists them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum RefusalCode { $($(#[$doc])* $variant,)* }

        impl RefusalCode {
            /// Every code, for documentation and metrics.
            pub const ALL: &'static [RefusalCode] = &[$(RefusalCode::$variant,)*];

            /// The stable text, such as `PGS0102`.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The SQLSTATE that the client sees.
            pub fn sqlstate(self) -> &'static str {
                match self { $(Self::$variant => $sqlstate,)* }
            }

            /// Who is at fault.
            pub fn source(self) -> Source {
                match self { $(Self::$variant => Source::$source,)* }
            }
        }
    };
}

refusal_codes! {
    /// The statement text is not valid UTF-8.
    NotUtf8 = "PGS0001", "22021", Client;
    /// The statement text, or what would be sent in its stead, is longer than the limit.
    TextTooLong = "PGS0002", "54000", Client;
    /// The statement has more tokens than the limit.
    TooManyTokens = "PGS0003", "54000", Client;
    /// The statement is nested more deeply than the limit, or uses too many columns of too many tables.
    TooDeep = "PGS0004", "54001", Client;
    /// The text cannot be split into PostgreSQL tokens.
    BadToken = "PGS0005", "42601", Client;

    /// The statement could not be parsed, and so could reach protected data.
    NotParsed = "PGS0101", "42601", Client;
    /// A relation name that the catalog does not hold.
    UnknownRelation = "PGS0102", "42P01", Client;
    /// A column name that no visible relation has.
    UnknownColumn = "PGS0103", "42703", Client;
    /// A column name that several visible relations have.
    AmbiguousColumn = "PGS0104", "42702", Client;
    /// A token that the binder did not account for.
    UnaccountedToken = "PGS0105", "0A000", Client;
    /// A construct that pgscrim does not handle for restricted roles.
    Unsupported = "PGS0106", "0A000", Client;
    /// A name with the prefix that pgscrim keeps for itself.
    ReservedName = "PGS0107", "42939", Client;
    /// A table name used twice in one FROM.
    DuplicateAlias = "PGS0108", "42712", Client;
    /// A cursor or prepared statement, named in SQL, that the session has not made.
    UnknownName = "PGS0109", "34000", Client;

    /// A column whose treatment is `refuse`.
    ColumnRefused = "PGS0201", "42501", Policy;
    /// A column that may not be searched or sorted by.
    SearchRefused = "PGS0202", "42501", Policy;
    /// A function that is not on the allow-list.
    FunctionNotAllowed = "PGS0203", "42501", Policy;
    /// A relation that restricted roles may not read.
    RelationNotAllowed = "PGS0204", "42501", Policy;
    /// A kind of statement that restricted roles may not run.
    StatementNotAllowed = "PGS0205", "42501", Policy;
    /// A masked value as the source of a write.
    MaskedSource = "PGS0206", "42501", Policy;
    /// A whole row of a write target.
    WholeRow = "PGS0207", "42501", Policy;
    /// A run-time setting that restricted roles may not change.
    SettingNotAllowed = "PGS0208", "42501", Policy;
    /// An assignment to a column that the role sees masked, where the rules say `refuse`.
    WriteBackRefused = "PGS0209", "42501", Policy;
    /// An operator that runs a function that is not on the allow-list.
    OperatorNotAllowed = "PGS0210", "42501", Policy;
    /// A type whose input or casts run a function that is not on the allow-list.
    TypeNotAllowed = "PGS0211", "42501", Policy;
    /// A view over protected data whose definition is not understood.
    ViewNotUnderstood = "PGS0212", "42501", Policy;
    /// A purpose that is not one of the role's.
    PurposeNotAllowed = "PGS0213", "42501", Policy;
    /// A write that could reach rows which the role may not see.
    RowScope = "PGS0214", "42501", Policy;
    /// Personal data for a legal duty, and no grant is in force.
    NoGrant = "PGS0215", "42501", Policy;
    /// More personal data in clear, or more searches, than the role may have.
    LimitExceeded = "PGS0216", "53400", Policy;
    /// An assignment that would tie rows to another subject.
    LeadsElsewhere = "PGS0217", "42501", Policy;
    /// A temporary table of a form or a name that restricted roles may not use, or that something else could fill.
    TemporaryTable = "PGS0218", "42501", Policy;
    /// A write of what row scopes or records of subjects are read from, which could show the role more.
    ShowsMore = "PGS0219", "42501", Policy;

    /// The rewritten statement failed its own check: a defect of pgscrim.
    VerifyFailed = "PGS0301", "XX000", Internal;
    /// Rules or catalog are not available.
    NotReady = "PGS0302", "57P03", Internal;
    /// A masked column appeared in clear in a row description: a defect of pgscrim.
    Tripwire = "PGS0303", "XX000", Internal;
    /// The audit log cannot be written.
    AuditUnavailable = "PGS0304", "53100", Internal;
    /// The catalog changed while a statement ran, and its answer may not be the one that was judged.
    CatalogChanged = "PGS0305", "57P01", Upstream;
    /// A prepared statement that another purpose, other rules or another catalog would rewrite otherwise.
    PreparedOtherwise = "PGS0306", "0A000", Internal;

    /// No `[[role]]` of the rules matches the connection.
    NoRole = "PGS0401", "28000", Policy;
    /// A replication connection.
    ReplicationRefused = "PGS0402", "28000", Policy;
    /// A start-up parameter that the policy does not allow.
    StartupParameter = "PGS0403", "42501", Policy;
    /// The FunctionCall message.
    FunctionCallRefused = "PGS0404", "42501", Policy;
    /// A message that breaks the protocol.
    ProtocolViolation = "PGS0405", "08P01", Client;
    /// The server cannot be reached.
    UpstreamUnavailable = "PGS0406", "08006", Upstream;
    /// Plain TCP where TLS is required.
    TlsRequired = "PGS0407", "28000", Policy;
    /// Too many connections.
    TooManyConnections = "PGS0408", "53300", Internal;
    /// The proxy is shutting down.
    ShuttingDown = "PGS0409", "57P01", Internal;
}

/// An answer of "no" for one statement or one connection.
///
/// Never holds a literal, parameter or result value: it is shown to the client, logged and audited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Stable code.
    pub code: RefusalCode,
    /// SQLSTATE, when it differs from the code's own (PostgreSQL's answer for the same mistake).
    pub sqlstate: Option<String>,
    /// Primary message: lower-case, no full stop.
    pub message: String,
    /// What the user can do, a sentence. The code is put before it on the wire.
    pub hint: String,
    /// Byte offset into the client's text where the cause stands.
    pub offset: Option<u32>,
    /// Where the determining rule stands, as `file:line`.
    pub rule: Option<String>,
}

impl Refusal {
    /// A refusal with its message; add the rest with the `with_…` methods.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, sqlstate: None, message: message.into(), hint: String::new(), offset: None, rule: None }
    }

    /// What PostgreSQL says of everything but the end of a transaction that has failed.
    pub fn failed_transaction() -> Self {
        let message = "current transaction is aborted, commands ignored until end of transaction block";
        Self { sqlstate: Some("25P02".to_owned()), ..Self::new(RefusalCode::StatementNotAllowed, message) }
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Adds the byte offset of the cause in the client's text, unless an inner stage has set one.
    #[must_use]
    pub fn at(mut self, offset: u32) -> Self {
        self.offset.get_or_insert(offset);
        self
    }

    /// A role would be taken on that is not the session's own.
    #[must_use]
    pub fn other_role() -> Self {
        Self::new(RefusalCode::SettingNotAllowed, "restricted roles may not change their role")
            .with_hint("The policy belongs to the login role.")
    }

    /// Sets PostgreSQL's own SQLSTATE for the same mistake.
    #[must_use]
    pub fn with_sqlstate(mut self, sqlstate: &str) -> Self {
        self.sqlstate = Some(sqlstate.to_owned());
        self
    }

    /// Adds the determining rule as `file:line`.
    #[must_use]
    pub fn with_rule(mut self, rule: impl Into<String>) -> Self {
        self.rule = Some(rule.into());
        self
    }

    /// A prepared statement that the server or its catalog, rules or path have left behind: as PostgreSQL says it, and drivers
    /// know it.
    pub fn replan() -> Self {
        Self::new(RefusalCode::PreparedOtherwise, "cached plan must not change result type")
            .with_hint("Purpose, rules, catalog or search_path have changed: prepare the statement again.")
    }

    /// Whether it is [`Self::replan`].
    pub fn is_replan(&self) -> bool {
        self.code == RefusalCode::PreparedOtherwise
    }

    /// The SQLSTATE that the client sees.
    pub fn sqlstate(&self) -> &str {
        self.sqlstate.as_deref().unwrap_or(self.code.sqlstate())
    }

    /// The hint as it goes to the client, code first.
    pub fn client_hint(&self) -> String {
        match (&self.rule, self.hint.is_empty()) {
            (Some(rule), true) => format!("{}: decided by {rule}.", self.code.code()),
            (Some(rule), false) => format!("{}: {} Decided by {rule}.", self.code.code(), self.hint),
            (None, true) => self.code.code().to_owned(),
            (None, false) => format!("{}: {}", self.code.code(), self.hint),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}, {})", self.message, self.sqlstate(), self.code.code())
    }
}

impl std::error::Error for Refusal {}
