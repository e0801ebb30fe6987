//! One text through all stages, statement by statement.

use std::{ops::Range, sync::Arc};

use super::{
    access, command,
    foresight::Foresight,
    plan::{
        Access, Effect, Inputs, OutputColumn, Permit, Places, Plan, PlannedStatement, Protocol, QueryContext, Refused,
        Stored,
    },
    template::Template,
    verify::verify,
};
use crate::{
    bind::{Bound, Parameters, bind_judged, bind_statement},
    catalog::temporary::TEMPORARY_SCHEMA,
    error::{Refusal, RefusalCode, Source},
    names::rule_part,
    policy::{RoleId, RolePolicy},
    rewrite::{Edits, Job, Place, Printed, Searched, rewrite, sets_path},
    sql::{Kind, Reads, Token, command::classify, emit, forms, lex, parse, split, template::Hole},
};

/// What every step needs.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub inputs: &'a Inputs,
    pub role: &'a RolePolicy,
    pub path: &'a [String],
    /// What the parameters of the statement are declared to be.
    pub parameters: &'a Parameters,
}

/// One planned statement and its text.
pub(super) struct Planned {
    pub text: String,
    /// Of the tokens in the text, as far as they are the client's.
    pub places: Vec<Place>,
    pub statement: PlannedStatement,
    /// What a template for other literals needs to know; none when there can be none.
    pub fillable: Option<Fillable>,
}

/// Of a verified query or data modification: what a plan for other literals needs.
pub(super) struct Fillable {
    /// Where the client's literals stand in the text.
    pub holes: Vec<Hole>,
    /// Literals whose content decided something.
    pub reads: Reads,
}

/// A plan, and one for all texts of its shape where there can be one.
pub(super) struct Judged {
    pub plan: Plan,
    pub template: Option<Template>,
}

/// Plans a text for a restricted role.
pub(super) fn restricted(text: &str, context: &QueryContext, run: &Run<'_>) -> Result<Judged, Box<Refused>> {
    let tokens = lex::lex(text)?;
    let ranges = split::statements(&tokens);
    if context.protocol != Protocol::Simple && ranges.len() > 1 {
        let refusal = Refusal::new(RefusalCode::BadToken, "cannot insert multiple commands into a prepared statement");
        return Err(refusal.into());
    }
    let mut text = String::new();
    let mut places = Vec::new();
    let mut statements: Vec<Arc<PlannedStatement>> = Vec::with_capacity(ranges.len());
    let mut fillable = None;
    let mut acting = Acting { run, role: run.role, foresight: Foresight::default(), kept: Vec::new() };
    for range in ranges {
        let own = tokens.get(range).unwrap_or(&[]);
        let run = &Run { role: acting.role, ..*run };
        let planned = command::plan(own, run).and_then(|planned| {
            if context.protocol == Protocol::Simple && matches!(planned.statement.effect, Effect::PurposeGiven(_)) {
                return Err(purpose_not_given());
            }
            acting.foresight.without_tables().judge(&planned.statement)?;
            has_its_tables(&planned.statement, &statements)?;
            acting.take_in(&planned.statement, context.role)?;
            Ok(planned)
        });
        let planned = planned.map_err(|refusal| {
            let kind = command::kind(&classify(own), own);
            let refusal = acting.foresight.without_tables().judge_refused(kind).err().unwrap_or(refusal);
            let made = statements.iter().any(|earlier| matches!(earlier.effect, Effect::Temporary(Some(_))));
            let unknown = made && refusal.code == RefusalCode::UnknownRelation;
            let hint = "Send the statement that makes a temporary table on its own.";
            refused(if unknown { refusal.with_hint(hint) } else { refusal }, own, run)
        })?;
        if statements.is_empty() {
            (text, places) = (planned.text, planned.places);
        } else {
            text.push_str("; ");
            places.extend(moved(planned.places, text.len()));
            text.push_str(&planned.text);
        }
        statements.push(Arc::new(planned.statement));
        fillable = planned.fillable.filter(|_| statements.len() == 1);
    }
    // A statement on its own was read to its end by its verification.
    let printed = || lex::lex_sent(&text).map(|tokens| split::statements(&tokens).len());
    if fillable.is_none() && printed() != Ok(statements.len()) {
        return Err(Refusal::new(RefusalCode::VerifyFailed, "the rewritten text failed its check").into());
    }
    let places = Places::Listed(places.into());
    let plan = Plan { permit: Permit::new(text.into()), statements: statements.into(), analysed: true, places };
    let template = fillable.and_then(|found| Template::new(&plan, &tokens, Some(&found.holes), &found.reads));
    Ok(Judged { plan, template })
}

/// For which purpose the next statement of a message is judged: what names mean, and what they are used for, must not change
/// before it to something that only the server knows.
struct Acting<'a> {
    run: &'a Run<'a>,
    /// The entry of the role for the purpose that holds now.
    role: &'a RolePolicy,
    foresight: Foresight,
    /// Purposes for which the message has prepared statements or opened cursors.
    kept: Vec<&'a str>,
}

impl Acting<'_> {
    /// Takes in the next statement of a connection whose role is `id`, or another purpose of it.
    fn take_in(&mut self, planned: &PlannedStatement, id: RoleId) -> Result<(), Refusal> {
        let purpose = self.role.purpose.as_str();
        let other = |what: &str| {
            Refusal::new(
                RefusalCode::PurposeNotAllowed,
                format!("{what} for another purpose earlier in the same message"),
            )
            .with_hint("Send the statement that changes pgscrim.purpose on its own.")
        };
        match &planned.effect {
            Effect::Purpose(Some(named)) => {
                let policy = &self.run.inputs.policy;
                let found = policy.for_purpose(id, named).and_then(|found| policy.role(found));
                let gone =
                    || Refusal::new(RefusalCode::PurposeNotAllowed, format!("purpose \"{named}\" is not allowed"));
                let role = found.ok_or_else(gone)?;
                self.role = role.observed.as_deref().unwrap_or(role);
            }
            Effect::Prepare { .. } | Effect::DeclareCursor { .. } => self.kept.push(purpose),
            // Whatever its name: what was made for one purpose is not used for another.
            Effect::Execute(_) | Effect::Fetch(_) if self.kept.iter().any(|kept| *kept != purpose) => {
                return Err(other("a statement was prepared, or a cursor opened,"));
            }
            Effect::None
            | Effect::Execute(_)
            | Effect::Deallocate(_)
            | Effect::Fetch(_)
            | Effect::CloseCursor(_)
            | Effect::SearchPath
            | Effect::Purpose(None)
            | Effect::PurposeGiven(_)
            | Effect::DiscardAll
            | Effect::Temporary(_)
            | Effect::Catalog => {}
        }
        // Which purpose they were made for was looked up for the first.
        if purpose != self.run.role.purpose && planned.uses_temporary() {
            return Err(Refusal::new(
                RefusalCode::TemporaryTable,
                "pgscrim.purpose changes earlier in the same message",
            )
            .with_hint("Send the statement that changes it on its own."));
        }
        self.foresight.see(planned.kind, &planned.effect);
        Ok(())
    }
}

/// Nor may a temporary table that it uses be made or dropped.
fn has_its_tables(planned: &PlannedStatement, earlier: &[Arc<PlannedStatement>]) -> Result<(), Refusal> {
    let temporary = |planned: &PlannedStatement| matches!(planned.effect, Effect::Temporary(_));
    let uses = if let Effect::Temporary(Some(made)) = &planned.effect {
        // Those that its query reads; that cannot be what it makes.
        let own = format!("{TEMPORARY_SCHEMA}.{}", rule_part(&made.name));
        planned.temporary_tables().any(|used| used != own)
    } else {
        planned.uses_temporary()
    };
    if !uses || !earlier.iter().any(|earlier| temporary(earlier)) {
        return Ok(());
    }
    Err(Refusal::new(RefusalCode::TemporaryTable, "a temporary table is made or dropped earlier in the same message")
        .with_hint("Send the statement that makes or drops it on its own."))
}

/// The places when so many bytes stand before the text.
pub(super) fn moved(places: Vec<Place>, before: usize) -> impl Iterator<Item = Place> {
    places
        .into_iter()
        .filter_map(move |place| Some(Place { sent: place.sent.checked_add(u32::try_from(before).ok()?)?, ..place }))
}

/// Analyses a text of an exempt role, whose bytes go on as they are.
pub(super) fn exempt(text: &str, run: &Run<'_>) -> Judged {
    let permit = Permit::new(Arc::from(text));
    let Ok(tokens) = lex::lex(text) else {
        let statements = Arc::from([Arc::new(unknown(Access::default()))]);
        let plan = Plan { permit, statements, analysed: false, places: Places::Listed(Box::default()) };
        return Judged { plan, template: None };
    };
    let mut analysed = true;
    let mut statements = Vec::new();
    let mut reads = None;
    for range in split::statements(&tokens) {
        let own = tokens.get(range).unwrap_or(&[]);
        let observed = command::observe(own, run);
        analysed &= observed.understood;
        statements.push(Arc::new(observed.statement));
        reads = observed.reads.filter(|_| statements.len() == 1);
    }
    let plan = Plan { permit, statements: statements.into(), analysed, places: Places::Listed(Box::default()) };
    let template = reads.filter(|_| analysed).and_then(|reads| Template::new(&plan, &tokens, None, &reads));
    Judged { plan, template }
}

fn unknown(access: Access) -> PlannedStatement {
    let access = Access { decision: "forward", ..access };
    PlannedStatement { kind: "UNKNOWN", access, effect: Effect::Catalog, outputs: None }
}

fn refused(refusal: Refusal, tokens: &[Token], run: &Run<'_>) -> Box<Refused> {
    let text = emit::redacted(tokens).into();
    // What the rules forbid is recorded with what it would have read.
    let wanted = match refusal.code.source() {
        Source::Policy => command::observe(tokens, run).statement.access,
        Source::Client | Source::Upstream | Source::Internal => Access::default(),
    };
    let Access { relations, oids, columns, .. } = wanted;
    let access = Access { text, relations, oids, columns, decision: "refuse", ..Access::default() };
    Box::new(Refused { refusal, kind: command::kind(&classify(tokens), tokens), access })
}

/// A query or data modification, rewritten and verified.
pub(super) struct Rewritten {
    pub printed: Printed,
    pub bound: Bound,
    /// Columns whose stored values it compares.
    pub exact: Vec<(usize, usize)>,
    /// With how many values.
    pub searched: Searched,
    pub changed: bool,
    /// Whether it sets the search path by a function.
    pub sets_path: bool,
    /// Literals whose content decided something.
    pub reads: Reads,
    /// The login that it sets the session's role to.
    pub login: Option<Arc<str>>,
}

/// As [`rewrite_alone`], for what stands within something else: nothing of it may be left to be judged at Bind.
pub(super) fn rewrite_statement(tokens: &[Token], run: &Run<'_>) -> Result<Rewritten, Refusal> {
    let rewritten = rewrite_alone(tokens, run)?;
    let takes = matches!(command::configured(tokens, run, &mut Reads::default()), Effect::PurposeGiven(_));
    if rewritten.sets_path && takes { Err(purpose_not_given()) } else { Ok(rewritten) }
}

/// The refusal of a purpose that is taken from a parameter where there is no Bind.
fn purpose_not_given() -> Refusal {
    Refusal::new(RefusalCode::FunctionNotAllowed, "permission denied for function set_config").with_hint(
        "A parameter may give pgscrim.purpose in a statement of its own that is prepared by the protocol. Use SET.",
    )
}

/// Parses, binds, judges, rewrites, prints and verifies the tokens of one query or data modification.
pub(super) fn rewrite_alone(tokens: &[Token], run: &Run<'_>) -> Result<Rewritten, Refusal> {
    let tokens = &*forms::plain(tokens);
    let statement = parse::parse_statement(tokens, 0)?;
    let (catalog, path) = (&run.inputs.catalog, run.path);
    let bound = if run.role.judged {
        bind_judged(&statement, tokens, catalog, path, run.parameters)?
    } else {
        bind_statement(&statement, tokens, catalog, path)?
    };
    let job = Job::new(&bound, tokens, &run.inputs.catalog, run.role, run.path);
    let edits = rewrite(&job)?;
    let printed = edits.print(tokens, 0..tokens.len());
    verify(&printed, &job, run)?;
    let changed = edits.any_trusted();
    let mut reads = edits.reads;
    reads.extend(&bound.reads);
    let sets_path = sets_path(&bound, tokens, &mut reads);
    let (exact, searched, login) = (edits.exact, edits.searched, edits.login);
    Ok(Rewritten { printed, bound, exact, searched, changed, sets_path, reads, login })
}

/// The planned form of a rewritten statement with `prefix` tokens before it.
pub(super) fn planned(
    kind: &'static str,
    effect: Effect,
    all: &[Token],
    prefix: Range<usize>,
    rewritten: Rewritten,
    run: &Run<'_>,
) -> Planned {
    let Rewritten { printed, bound, exact, searched, changed, sets_path, reads: _, login } = rewritten;
    // What it reads was read when the call was judged.
    let configured = || command::configured(all, run, &mut Reads::default());
    let effect = if effect == Effect::None && sets_path { configured() } else { effect };
    let own_kind = command::with_kind(all.get(prefix.end..).unwrap_or(&[]));
    let (text, places) = if prefix.is_empty() {
        (printed.text, printed.places)
    } else {
        let before = Edits::default().print(all, prefix.clone());
        let (mut text, mut places) = (before.text, before.places);
        text.push(' ');
        places.extend(moved(printed.places, text.len()));
        text.push_str(&printed.text);
        (text, places)
    };
    let decision = if changed { "rewrite" } else { "forward" };
    let mut access = access::access(&bound, &exact, searched, run, emit::redacted(all), decision);
    access.login = login;
    access.stored = access::stored(&bound, own_kind, run);
    access.discloses |= access.stored != Stored::Nothing;
    access.fills = access::fills(&bound, run);
    access.keeps_masks = access::keeps_masks(&bound, run);
    if run.role.judged && all.iter().any(|token| token.kind == Kind::Parameter) {
        access.typed_by = access::typed_by(&bound, run);
    }
    let outputs = outputs(&bound, run);
    Planned { text, places, statement: PlannedStatement { kind, access, effect, outputs }, fillable: None }
}

/// The outputs in terms of the catalog.
pub(super) fn outputs(bound: &Bound, run: &Run<'_>) -> Option<Vec<OutputColumn>> {
    bound.returns_rows.then(|| {
        let column = |(id, position): &(usize, usize)| {
            let used = bound.relations.get(*id)?;
            let column = run.inputs.catalog.relation(used.oid)?.columns.get(*position)?;
            Some((used.oid, column.attnum))
        };
        bound
            .outputs
            .iter()
            .map(|output| OutputColumn {
                name: output.name.as_deref().map(Arc::from),
                sources: output.deps.iter().filter_map(column).collect(),
            })
            .collect()
    })
}
