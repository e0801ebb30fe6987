//! Statement kinds: the exhaustive table of what restricted roles may run, and how.

use std::sync::Arc;

use super::{
    access, copy,
    pipeline::{self, Fillable, Planned, Rewritten, Run, rewrite_alone, rewrite_statement},
    plan::{Access, Effect, PlannedStatement, Stored},
    tables, temporary,
};
use crate::{
    bind::{Bound, Parameters, Usages, bind_expressions, bind_statement},
    catalog::data::TypeData,
    error::{Refusal, RefusalCode},
    names::quote_literal,
    policy::settings::{PURPOSE, Permitted, is_tracked, setting_allowed},
    rewrite::{self, Configured, Edits, Job, Searched, Value, own_role, rewrite, sets_path},
    sql::{
        Kind, RESERVED_PREFIX, Reads, Token,
        command::{Command, classify},
        emit, forms, parse,
    },
};

/// Plans one statement of a restricted role.
pub(super) fn plan(tokens: &[Token], run: &Run<'_>) -> Result<Planned, Refusal> {
    let command = classify(tokens);
    let kind = kind(&command, tokens);
    let name = |at: &usize| tokens.get(*at).map(|token| token.name().to_owned()).unwrap_or_default();
    let as_is = |effect: Effect| Ok(pass(kind, effect, tokens));
    match &command {
        Command::Query | Command::Modify(_) => {
            if let Some(planned) = temporary::select_into(tokens, run) {
                return planned;
            }
            let rewritten = rewrite_alone(tokens, run)?;
            let (holes, reads) = (rewritten.printed.holes.clone(), rewritten.reads.clone());
            let fillable = Fillable { holes, reads };
            let planned = pipeline::planned(kind, Effect::None, tokens, 0..0, rewritten, run);
            Ok(Planned { fillable: Some(fillable), ..planned })
        }
        Command::Tables(tag) => tables::plan(tag, tokens, run),
        Command::Copy => copy::plan(tokens, run),
        Command::Explain(at) => {
            if !run.role.explain {
                return Err(not_allowed("EXPLAIN").with_hint(
                    "Plans and row estimates tell of stored values; the rules can allow it with explain = true.",
                ));
            }
            let rewritten = inner(tokens, *at, run)?;
            let mut planned = pipeline::planned(kind, Effect::None, tokens, 0..*at, rewritten, run);
            planned.statement.outputs = None;
            // With ANALYZE it is executed, and its tag says nothing of that.
            if planned.statement.access.stored != Stored::Nothing {
                planned.statement.access.stored = Stored::Uncounted;
            }
            Ok(planned)
        }
        Command::Prepare(at, body) => {
            reserved(tokens, *at)?;
            let types = tokens.get(*at + 1..*body).unwrap_or(&[]);
            parameter_types(types, run)?;
            let parameters = declared_types(types, run);
            let rewritten = inner(tokens, *body, &Run { parameters: &parameters, ..*run })?;
            let text = rewritten.printed.text.as_str().into();
            Ok(pipeline::planned(kind, prepared(name(at), text, tokens, *body), tokens, 0..*body, rewritten, run))
        }
        Command::Execute(at, args) => {
            reserved(tokens, *at)?;
            let list = tokens.get(args.clone()).unwrap_or(&[]);
            let expressions = parse::parse_expressions(list, 0)?;
            let bound = bind_expressions(&expressions, list, &run.inputs.catalog, run.path)?;
            let job = Job::new(&bound, list, &run.inputs.catalog, run.role, run.path);
            let mut edits = rewrite(&job)?;
            if sets_path(&bound, list, &mut edits.reads) {
                return Err(Refusal::new(
                    RefusalCode::SettingNotAllowed,
                    "search_path, pgscrim.purpose and role may not be set from inside here",
                )
                .with_hint("Use SET."));
            }
            if !edits.is_empty() {
                return Err(Refusal::new(
                    RefusalCode::Unsupported,
                    "arguments of EXECUTE that read relations are not supported",
                ));
            }
            let mut planned = pass(kind, Effect::Execute(name(at)), tokens);
            planned.statement.access.searched.add_arguments(list);
            Ok(planned)
        }
        Command::Declare(at, body) => {
            reserved(tokens, *at)?;
            let rewritten = inner(tokens, *body, run)?;
            let text = rewritten.printed.text.as_str().into();
            Ok(pipeline::planned(kind, declared(name(at), text, tokens, *body), tokens, 0..*body, rewritten, run))
        }
        Command::Fetch(_, at) => as_is(Effect::Fetch(name(at))),
        Command::Close(at) => as_is(Effect::CloseCursor(at.as_ref().map(name))),
        Command::Deallocate(at) => {
            at.map_or(Ok(()), |at| reserved(tokens, at))?;
            as_is(Effect::Deallocate(at.as_ref().map(name)))
        }
        Command::Transaction("PREPARE TRANSACTION") => Err(not_allowed("PREPARE TRANSACTION")),
        Command::Show if shows_purpose(tokens) => {
            let purpose = quote_literal(&run.role.purpose);
            let planned = pass(kind, Effect::None, tokens);
            Ok(Planned {
                text: format!("SELECT {purpose}::pg_catalog.text AS \"{PURPOSE}\""),
                places: Vec::new(),
                ..planned
            })
        }
        Command::Transaction(_) | Command::Show | Command::Notification(_) => as_is(Effect::None),
        Command::Set(at) => match sets_role(tokens, *at)? {
            Some(login) => {
                // `"$user"` of the path is the role.
                let mut planned = pass(kind, Effect::SearchPath, tokens);
                planned.statement.access.login = login;
                Ok(planned)
            }
            None => as_is(set(tokens, *at, run.role.permitted())?),
        },
        Command::Reset(at) => {
            let setting = name(at);
            if tokens.len() == 2 && setting == "all" {
                return as_is(Effect::SearchPath);
            }
            // Back to the login role.
            let authorization = setting == "session" && tokens.get(at + 1).is_some_and(|t| t.is_word("authorization"));
            if (setting == "role" && tokens.len() == 2) || (authorization && tokens.len() == 3) {
                return as_is(Effect::SearchPath);
            }
            let setting = if setting == "time" { "timezone".to_owned() } else { dotted(tokens, *at).0 };
            setting_allowed(&setting, None, run.role.permitted())?;
            as_is(effect_of(&setting, None))
        }
        Command::Discard(true) => as_is(Effect::DiscardAll),
        Command::Discard(false) => as_is(Effect::Temporary(None)),
        Command::Other("UNKNOWN") => Err(parse::syntax_error(Some(0), tokens, 0)),
        Command::Other(what) => temporary::plan(what, tokens, run),
    }
}

/// What is known of one statement of an exempt role.
pub(super) struct Observed {
    pub statement: PlannedStatement,
    pub understood: bool,
    /// Literals whose content decided something; none when other literals may mean another statement.
    pub reads: Option<Reads>,
}

/// Looks at one statement of an exempt role.
pub(super) fn observe(tokens: &[Token], run: &Run<'_>) -> Observed {
    let command = classify(tokens);
    let kind = kind(&command, tokens);
    let name = |at: &usize| tokens.get(*at).map(|token| token.name().to_owned()).unwrap_or_default();
    let plain = |effect: Effect, understood: bool| {
        let access = Access { text: emit::redacted(tokens).into(), decision: "forward", ..Access::default() };
        let statement = PlannedStatement { kind, access, effect, outputs: None };
        Observed { statement, understood, reads: None }
    };
    let analyse = |own: &[Token]| {
        let own = &*forms::plain(own);
        parse::parse_statement(own, 0)
            .and_then(|statement| bind_statement(&statement, own, &run.inputs.catalog, run.path))
    };
    let bound = |from: usize, effect: Effect| {
        let own = tokens.get(from..).unwrap_or(&[]);
        let analysed = analyse(own).or_else(|refusal| {
            let stored = forms::without_into(own).ok_or(refusal)?;
            analyse(&stored).map(stores)
        });
        match analysed {
            Ok(bound) => {
                let access = access::access(&bound, &[], Searched::default(), run, emit::redacted(tokens), "forward");
                let outputs = pipeline::outputs(&bound, run);
                // SELECT INTO makes a table; its own tokens were analysed without that, so their numbers are of no use.
                let stores = effect == Effect::None && !bound.returns_rows && with_kind(tokens) == "SELECT";
                let mut reads = bound.reads.clone();
                let calls = bound.functions.iter().any(|function| function.name == "set_config");
                let effect = if stores {
                    Effect::Catalog
                } else if calls && effect == Effect::None && from == 0 {
                    let own = &*forms::plain(own);
                    let sets = configured(own, run, &mut reads);
                    if !sets_path(&bound, own, &mut reads) {
                        Effect::None
                    } else if let Effect::PurposeGiven(_) = sets {
                        // The server is asked for what a parameter gave.
                        Effect::SearchPath
                    } else {
                        sets
                    }
                } else {
                    effect
                };
                let reads = (from == 0 && !stores).then_some(reads);
                Observed { statement: PlannedStatement { kind, access, effect, outputs }, understood: true, reads }
            }
            // What is not understood may change the catalog.
            Err(_) => plain(if effect == Effect::None { Effect::Catalog } else { effect }, false),
        }
    };
    match &command {
        Command::Query | Command::Modify(_) => bound(0, Effect::None),
        Command::Copy => {
            let (statement, understood) = copy::observe(tokens, run);
            Observed { statement, understood, reads: None }
        }
        Command::Explain(at) => bound(*at, Effect::None),
        Command::Prepare(at, body) => {
            let text = emit::text(tokens.get(*body..).unwrap_or(&[])).into();
            bound(*body, prepared(name(at), text, tokens, *body))
        }
        Command::Execute(at, _) => plain(Effect::Execute(name(at)), true),
        Command::Declare(at, body) => bound(*body, declared(name(at), Arc::default(), tokens, *body)),
        Command::Fetch(_, at) => plain(Effect::Fetch(name(at)), true),
        Command::Close(at) => plain(Effect::CloseCursor(at.as_ref().map(name)), true),
        Command::Deallocate(at) => plain(Effect::Deallocate(at.as_ref().map(name)), true),
        Command::Transaction(_) | Command::Show | Command::Notification(_) | Command::Tables(_) => {
            plain(Effect::None, true)
        }
        Command::Set(at) => plain(observed_set(tokens, *at), true),
        Command::Reset(_) => plain(Effect::SearchPath, true),
        Command::Discard(all) => plain(if *all { Effect::DiscardAll } else { Effect::None }, true),
        Command::Other(what) => {
            let mut observed = plain(Effect::Catalog, *what != "UNKNOWN");
            let query = forms::created_from(tokens).and_then(|at| analyse(tokens.get(at..)?).ok());
            if let Some(bound) = query.map(stores) {
                observed.statement.access =
                    access::access(&bound, &[], Searched::default(), run, emit::redacted(tokens), "forward");
            }
            observed
        }
    }
}

/// What a query reads whose rows become a table.
fn stores(mut bound: Bound) -> Bound {
    bound.returns_rows = false;
    for (id, position) in std::mem::take(&mut bound.outputs).into_iter().flat_map(|output| output.deps) {
        if let Some(mark) = bound.relations.get_mut(id).and_then(|used| used.marks.get_mut(position)) {
            mark.usages = Usages(mark.usages.0 & !Usages::PROJECTED.0 | Usages::STORED.0);
        }
    }
    bound
}

/// The command tag's first words.
pub(super) fn kind(command: &Command, tokens: &[Token]) -> &'static str {
    match command {
        Command::Query => with_kind(tokens),
        Command::Modify(tag)
        | Command::Fetch(tag, _)
        | Command::Transaction(tag)
        | Command::Notification(tag)
        | Command::Tables(tag)
        | Command::Other(tag) => tag,
        Command::Copy => "COPY",
        Command::Explain(_) => "EXPLAIN",
        Command::Prepare(..) => "PREPARE",
        Command::Execute(..) => "EXECUTE",
        Command::Declare(..) => "DECLARE CURSOR",
        Command::Close(_) => "CLOSE CURSOR",
        Command::Deallocate(_) => "DEALLOCATE",
        Command::Set(_) => "SET",
        Command::Reset(_) => "RESET",
        Command::Show => "SHOW",
        Command::Discard(_) => "DISCARD",
    }
}

/// `WITH … INSERT` is an INSERT: the first command word outside parentheses decides.
pub(super) fn with_kind(tokens: &[Token]) -> &'static str {
    let mut depth = 0_usize;
    for token in tokens {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            Kind::Word if depth == 0 => match token.name() {
                "insert" => return "INSERT",
                "update" => return "UPDATE",
                "delete" => return "DELETE",
                "merge" => return "MERGE",
                "select" | "values" | "table" => return "SELECT",
                _other => {}
            },
            Kind::Word
            | Kind::Quoted
            | Kind::Text
            | Kind::National
            | Kind::Bits
            | Kind::Hex
            | Kind::Number
            | Kind::Parameter
            | Kind::Operator
            | Kind::OpenBracket
            | Kind::CloseBracket
            | Kind::Comma
            | Kind::Semicolon
            | Kind::Dot
            | Kind::Colon
            | Kind::Typecast
            | Kind::Assign
            | Kind::Arrow => {}
        }
    }
    "SELECT"
}

fn pass(kind: &'static str, effect: Effect, tokens: &[Token]) -> Planned {
    let access = Access { text: emit::redacted(tokens).into(), decision: "forward", ..Access::default() };
    let printed = Edits::default().print(tokens, 0..tokens.len());
    let statement = PlannedStatement { kind, access, effect, outputs: None };
    Planned { text: printed.text, places: printed.places, statement, fillable: None }
}

pub(super) fn not_allowed(what: &str) -> Refusal {
    Refusal::new(RefusalCode::StatementNotAllowed, format!("{what} is not allowed for restricted roles"))
        .with_hint("Only an exempt role can run it.")
}

/// PREPARE, whose statement begins at token `body`.
fn prepared(name: String, text: Arc<str>, tokens: &[Token], body: usize) -> Effect {
    Effect::Prepare { name, text, kind: with_kind(tokens.get(body..).unwrap_or(&[])) }
}

/// The statement inside PREPARE, EXPLAIN or DECLARE: a query or data modification.
fn inner(tokens: &[Token], from: usize, run: &Run<'_>) -> Result<Rewritten, Refusal> {
    let own = tokens.get(from..).unwrap_or(&[]);
    match classify(own) {
        Command::Query | Command::Modify(_) => {
            let rewritten = rewrite_statement(own, run)?;
            if rewritten.sets_path {
                return Err(Refusal::new(
                    RefusalCode::SettingNotAllowed,
                    "search_path, pgscrim.purpose and role may not be set from inside here",
                )
                .with_hint("Use SET."));
            }
            Ok(rewritten)
        }
        Command::Copy
        | Command::Tables(_)
        | Command::Explain(_)
        | Command::Prepare(..)
        | Command::Execute(..)
        | Command::Declare(..)
        | Command::Fetch(..)
        | Command::Close(_)
        | Command::Deallocate(_)
        | Command::Transaction(_)
        | Command::Set(_)
        | Command::Reset(_)
        | Command::Show
        | Command::Discard(_)
        | Command::Notification(_)
        | Command::Other(_) => Err(not_allowed("a statement of this kind here")),
    }
}

/// Types of parameters run code when a value comes in, as casts do.
fn parameter_types(tokens: &[Token], run: &Run<'_>) -> Result<(), Refusal> {
    let mut types = tokens.iter().filter(|token| token.is_name());
    for token in types.clone() {
        run.inputs.catalog.usable_type(token.name()).map_err(|refusal| refusal.at(token.start))?;
    }
    let operates = |found: &TypeData| {
        let mut oids = [Some(found.oid), found.array_oid].into_iter().flatten();
        oids.any(|oid| rewrite::takes_operand(&run.inputs.catalog, run.role, oid))
    };
    let refused = types
        .find(|token| run.inputs.catalog.types_named(token.name()).any(|found| found.has_user_cast || operates(found)));
    match refused {
        None => Ok(()),
        Some(token) => {
            let refusal = Refusal::new(RefusalCode::TypeNotAllowed, format!("type {} is not allowed", token.name()));
            let hint = "A value of this type, or an operator for it, runs a function that the rules do not list.";
            Err(refusal.at(token.start).with_hint(hint))
        }
    }
}

/// What the list between the name of PREPARE and AS declares its parameters to be.
fn declared_types(tokens: &[Token], run: &Run<'_>) -> Parameters {
    let [open, list @ .., close, _as] = tokens else { return Parameters::Inferred };
    // `numeric(10, 2)` has a comma of its own.
    let nested = list.iter().any(|token| matches!(token.kind, Kind::Open | Kind::Close));
    if open.kind != Kind::Open || close.kind != Kind::Close || nested {
        return Parameters::Any;
    }
    let declared = |words: &[Token]| match words {
        [word] if run.inputs.catalog.types_named(word.name()).next().is_none() => Parameters::named(word.name()),
        _ => Parameters::OTHER,
    };
    Parameters::declared(list.split(|token| token.kind == Kind::Comma).map(declared), usize::MAX)
}

fn reserved(tokens: &[Token], at: usize) -> Result<(), Refusal> {
    match tokens.get(at) {
        Some(token) if token.name().starts_with(RESERVED_PREFIX) => Err(Refusal::new(
            RefusalCode::ReservedName,
            format!("names that start with \"{RESERVED_PREFIX}\" are reserved"),
        )
        .at(token.start)),
        Some(_) | None => Ok(()),
    }
}

/// `SHOW pgscrim.purpose`: the server knows what was set, and not what holds without.
fn shows_purpose(tokens: &[Token]) -> bool {
    let (name, next) = dotted(tokens, 1);
    next == tokens.len() && name.eq_ignore_ascii_case(PURPOSE)
}

/// A setting's name with its dots, and the token after it.
fn dotted(tokens: &[Token], at: usize) -> (String, usize) {
    let mut name = String::new();
    let mut next = at;
    while let Some(part) = tokens.get(next).filter(|token| token.is_name()) {
        name.push_str(part.name());
        next += 1;
        if tokens.get(next).is_none_or(|token| token.kind != Kind::Dot) {
            break;
        }
        name.push('.');
        next += 1;
    }
    (name, next)
}

/// Whether SET is about the session's role, and the login that it must be then, if one is named: pools and ORMs go back to their login
/// between two users of a connection.
#[expect(clippy::option_option, reason = "another setting, any login and one login are three answers")]
fn sets_role(tokens: &[Token], at: usize) -> Result<Option<Option<Arc<str>>>, Refusal> {
    let is = |index: usize, word: &str| tokens.get(index).is_some_and(|token| token.is_name() && token.name() == word);
    let value = if is(at, "role") {
        let signed = tokens.get(at + 1).is_some_and(|token| token.is_operator("=") || token.is_word("to"));
        at + 1 + usize::from(signed)
    } else if is(at, "session_authorization") || (is(at, "session") && is(at + 1, "authorization")) {
        // A sign, or the second word.
        at + 2
    } else {
        return Ok(None);
    };
    let other = || match tokens.get(at) {
        Some(token) => Refusal::other_role().at(token.start),
        None => Refusal::other_role(),
    };
    let Some([only]) = tokens.get(value..) else { return Err(other()) };
    if only.is_word("default") || (only.is_word("none") && is(at, "role")) {
        return Ok(Some(None));
    }
    match only.kind {
        // Quoted or not, PostgreSQL takes "none" for NONE.
        Kind::Word | Kind::Quoted | Kind::Text => {
            let mut login = None;
            own_role(only.content(), &mut login).map_err(|_| other())?;
            Ok(Some(login))
        }
        Kind::National
        | Kind::Bits
        | Kind::Hex
        | Kind::Number
        | Kind::Parameter
        | Kind::Operator
        | Kind::Open
        | Kind::Close
        | Kind::OpenBracket
        | Kind::CloseBracket
        | Kind::Comma
        | Kind::Semicolon
        | Kind::Dot
        | Kind::Colon
        | Kind::Typecast
        | Kind::Assign
        | Kind::Arrow => Err(other()),
    }
}

/// Judges SET.
fn set(tokens: &[Token], at: usize, permitted: Permitted<'_>) -> Result<Effect, Refusal> {
    let word = |index: usize| match tokens.get(index) {
        Some(token) if token.kind == Kind::Word => token.name(),
        Some(_) | None => "",
    };
    let value = |from: usize| -> Result<String, Refusal> {
        let list = tokens.get(from..).unwrap_or(&[]);
        let mut text = String::new();
        for token in list {
            match token.kind {
                Kind::Comma => text.push_str(", "),
                Kind::Word | Kind::Quoted | Kind::Text | Kind::Number => text.push_str(token.content()),
                Kind::Operator if token.is_operator("-") || token.is_operator("+") => text.push_str(token.content()),
                Kind::National
                | Kind::Bits
                | Kind::Hex
                | Kind::Parameter
                | Kind::Operator
                | Kind::Open
                | Kind::Close
                | Kind::OpenBracket
                | Kind::CloseBracket
                | Kind::Semicolon
                | Kind::Dot
                | Kind::Colon
                | Kind::Typecast
                | Kind::Assign
                | Kind::Arrow => {
                    return Err(
                        Refusal::new(RefusalCode::SettingNotAllowed, "this form of SET is not allowed").at(token.start)
                    );
                }
            }
        }
        if list.is_empty() {
            return Err(Refusal::new(RefusalCode::SettingNotAllowed, "SET without a value"));
        }
        Ok(text)
    };
    let place = |refusal: Refusal| match tokens.get(at) {
        Some(token) => refusal.at(token.start),
        None => refusal,
    };
    match (word(at), word(at + 1)) {
        // The value of TIME ZONE is an interval or a name; none of these can carry data out.
        ("transaction" | "constraints", _) | ("session", "characteristics") | ("time", "zone") | ("xml", "option") => {
            return Ok(Effect::None);
        }
        ("names", "default") if tokens.len() == at + 2 => return Ok(Effect::None),
        ("names", _) => {
            setting_allowed("client_encoding", Some(&value(at + 1)?), permitted).map_err(place)?;
            return Ok(Effect::None);
        }
        ("schema", _) => {
            setting_allowed("search_path", Some(&value(at + 1)?), permitted).map_err(place)?;
            return Ok(Effect::SearchPath);
        }
        _ => {}
    }
    let (name, next) = dotted(tokens, at);
    let has_sign = tokens.get(next).is_some_and(|token| token.is_operator("=") || token.is_word("to"));
    if !has_sign {
        return Err(place(Refusal::new(RefusalCode::SettingNotAllowed, "this form of SET is not allowed")));
    }
    let default = word(next + 1) == "default" && tokens.len() == next + 2;
    let value = if default { None } else { Some(value(next + 1)?) };
    setting_allowed(&name, value.as_deref(), permitted).map_err(place)?;
    Ok(effect_of(&name, value.as_deref()))
}

/// What a change of a setting is to the session.
fn effect_of(name: &str, value: Option<&str>) -> Effect {
    if name.eq_ignore_ascii_case(PURPOSE) {
        // Without a value, or with an empty one, it is what the session started with, or a default.
        return Effect::Purpose(value.filter(|value| !value.is_empty()).map(Arc::from));
    }
    if is_tracked(name) { Effect::SearchPath } else { Effect::None }
}

/// What a query does that calls `set_config` for a setting that the session tracks, or may: `SELECT set_config('pgscrim.purpose',
/// '…', true)` is as good as SET.
pub(super) fn configured(tokens: &[Token], run: &Run<'_>, reads: &mut Reads) -> Effect {
    let Some(Configured { name, value }) = rewrite::configured(tokens, &run.inputs.catalog) else {
        return Effect::SearchPath;
    };
    let Some(name) = name.literal(reads) else { return Effect::SearchPath };
    match value {
        Value::Literal(value) => effect_of(name, value.literal(reads)),
        Value::Parameter(number) if name.eq_ignore_ascii_case(PURPOSE) => Effect::PurposeGiven(number),
        Value::Parameter(_) => Effect::SearchPath,
    }
}

/// What SET does in an exempt session, where anything may be set.
fn observed_set(tokens: &[Token], at: usize) -> Effect {
    let (name, sign) = dotted(tokens, at);
    match tokens.get(sign + 1..) {
        Some([value]) if name.eq_ignore_ascii_case(PURPOSE) && value.kind == Kind::Text => {
            effect_of(&name, Some(value.content()))
        }
        Some(_) | None => Effect::SearchPath,
    }
}
/// What DECLARE does, of which the query begins at the token `body`.
fn declared(name: String, text: Arc<str>, tokens: &[Token], body: usize) -> Effect {
    let before = tokens.get(..body).unwrap_or(&[]);
    let hold = before.windows(2).any(|pair| matches!(pair, [one, two] if one.is_word("with") && two.is_word("hold")));
    Effect::DeclareCursor { name, text, hold }
}
