//! One text through all stages, statement by statement.

use std::{ops::Range, sync::Arc};

use super::{
    access, command,
    plan::{Access, Effect, Inputs, OutputColumn, Permit, Plan, PlannedStatement, Protocol, QueryContext, Refused},
    verify::verify,
};
use crate::{
    bind::{Bound, bind_statement},
    error::{Refusal, RefusalCode},
    policy::RolePolicy,
    rewrite::{Edits, Job, Place, Printed, rewrite},
    sql::{Token, command::classify, emit, forms, lex, parse, split},
};

/// What every step needs.
pub(super) struct Run<'a> {
    pub inputs: &'a Inputs,
    pub role: &'a RolePolicy,
    pub path: &'a [String],
}

/// One planned statement and its text.
pub(super) struct Planned {
    pub text: String,
    /// Of the tokens in the text, as far as they are the client's.
    pub places: Vec<Place>,
    pub statement: PlannedStatement,
}

/// Plans a text for a restricted role.
pub(super) fn restricted(text: &str, context: &QueryContext, run: &Run<'_>) -> Result<Plan, Box<Refused>> {
    let tokens = lex::lex(text)?;
    let ranges = split::statements(&tokens);
    if context.protocol == Protocol::Extended && ranges.len() > 1 {
        let refusal = Refusal::new(RefusalCode::BadToken, "cannot insert multiple commands into a prepared statement");
        return Err(refusal.into());
    }
    let mut text = String::new();
    let mut places = Vec::new();
    let mut statements = Vec::with_capacity(ranges.len());
    for range in ranges {
        let own = tokens.get(range).unwrap_or(&[]);
        let planned = command::plan(own, run).map_err(|refusal| refused(refusal, own))?;
        if !statements.is_empty() {
            text.push_str("; ");
        }
        places.extend(moved(planned.places, text.len()));
        text.push_str(&planned.text);
        statements.push(Arc::new(planned.statement));
    }
    let printed = lex::lex(&text).map(|tokens| split::statements(&tokens).len());
    if printed != Ok(statements.len()) {
        return Err(Refusal::new(RefusalCode::VerifyFailed, "the rewritten text failed its check").into());
    }
    Ok(Plan { permit: Permit::new(text.into()), statements, analysed: true, places: places.into() })
}

/// The places when so many bytes stand before the text.
pub(super) fn moved(places: Vec<Place>, before: usize) -> impl Iterator<Item = Place> {
    places
        .into_iter()
        .filter_map(move |place| Some(Place { sent: place.sent.checked_add(u32::try_from(before).ok()?)?, ..place }))
}

/// Analyses a text of an exempt role, whose bytes go on as they are.
pub(super) fn exempt(text: &str, run: &Run<'_>) -> Plan {
    let permit = Permit::new(Arc::from(text));
    let Ok(tokens) = lex::lex(text) else {
        let statements = vec![Arc::new(unknown(Access::default()))];
        return Plan { permit, statements, analysed: false, places: Box::default() };
    };
    let mut analysed = true;
    let mut statements = Vec::new();
    for range in split::statements(&tokens) {
        let own = tokens.get(range).unwrap_or(&[]);
        let (statement, understood) = command::observe(own, run);
        analysed &= understood;
        statements.push(Arc::new(statement));
    }
    Plan { permit, statements, analysed, places: Box::default() }
}

fn unknown(access: Access) -> PlannedStatement {
    let access = Access { decision: "forward", ..access };
    PlannedStatement { kind: "UNKNOWN", access, effect: Effect::Catalog, outputs: None }
}

fn refused(refusal: Refusal, tokens: &[Token]) -> Box<Refused> {
    let access = Access { text: emit::redacted(tokens).into(), decision: "refuse", ..Access::default() };
    Box::new(Refused { refusal, kind: command::kind(&classify(tokens), tokens), access })
}

/// A query or data modification, rewritten and verified.
pub(super) struct Rewritten {
    pub printed: Printed,
    pub bound: Bound,
    /// Columns whose stored values it compares.
    pub exact: Vec<(usize, usize)>,
    pub changed: bool,
}

/// Parses, binds, judges, rewrites, prints and verifies the tokens of one query or data modification.
pub(super) fn rewrite_statement(tokens: &[Token], run: &Run<'_>) -> Result<Rewritten, Refusal> {
    let tokens = &*forms::plain(tokens);
    let statement = parse::parse_statement(tokens, 0)?;
    let bound = bind_statement(&statement, tokens, &run.inputs.catalog, run.path)?;
    let job = Job { bound: &bound, tokens, catalog: &run.inputs.catalog, role: run.role };
    let edits = rewrite(&job)?;
    let printed = edits.print(tokens, 0..tokens.len());
    verify(&printed, tokens, &bound, run)?;
    let changed = edits.any_trusted();
    Ok(Rewritten { printed, bound, exact: edits.exact, changed })
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
    let Rewritten { printed, bound, exact, changed } = rewritten;
    let effect = if effect == Effect::None && sets_path(&bound) { Effect::SearchPath } else { effect };
    let before = Edits::default().print(all, prefix);
    let (mut text, mut places) = (before.text, before.places);
    if !text.is_empty() {
        text.push(' ');
    }
    places.extend(moved(printed.places, text.len()));
    text.push_str(&printed.text);
    let decision = if changed { "rewrite" } else { "forward" };
    let access = access::access(&bound, &exact, run, emit::redacted(all), decision);
    let outputs = outputs(&bound, run);
    Planned { text, places, statement: PlannedStatement { kind, access, effect, outputs } }
}

/// Whether the statement calls `set_config('search_path', …)`.
pub(super) fn sets_path(bound: &Bound) -> bool {
    bound.functions.iter().any(|function| {
        let name = function.literals.first().and_then(Option::as_deref);
        function.name == "set_config" && name.is_none_or(|name| name.eq_ignore_ascii_case("search_path"))
    })
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
