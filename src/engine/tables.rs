//! LOCK TABLE and TRUNCATE: nothing is read, whether they may is for the server to say. Names are resolved as for any
//! statement, and sent qualified.

use std::collections::HashSet;

use super::{
    command::not_allowed,
    copy::{resolve, written},
    pipeline::{Planned, Run},
    plan::{Effect, PlannedStatement},
};
use crate::{
    catalog::Relation,
    error::{Refusal, RefusalCode},
    names::{Oid, quote_ident},
    rewrite::shows_more,
    sql::{Kind, Token},
};

/// What may stand behind the names.
const LOCK_WORDS: &[&str] = &["in", "access", "share", "row", "update", "exclusive", "mode", "nowait"];
const TRUNCATE_WORDS: &[&str] = &["restart", "continue", "identity", "cascade", "restrict"];

/// Plans `LOCK TABLE` or `TRUNCATE TABLE` (the tag says which) for a restricted role.
pub(super) fn plan(tag: &'static str, tokens: &[Token], run: &Run<'_>) -> Result<Planned, Refusal> {
    let (verb, words) =
        if tag == "LOCK TABLE" { ("LOCK TABLE", LOCK_WORDS) } else { ("TRUNCATE TABLE", TRUNCATE_WORDS) };
    let word = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is_word(word));
    let unknown = |at: usize| match tokens.get(at) {
        Some(token) => not_allowed(tag).at(token.start),
        None => not_allowed(tag),
    };
    let mut at = if word(1, "table") { 2 } else { 1 };
    let mut list = Vec::new();
    let mut relations = Vec::new();
    loop {
        let only = word(at, "only");
        at += usize::from(only);
        let start = at;
        let mut parts = Vec::new();
        loop {
            parts.push(tokens.get(at).filter(|token| token.is_name()).ok_or_else(|| unknown(at))?.name().to_owned());
            at += 1;
            if tokens.get(at).is_none_or(|token| token.kind != Kind::Dot) {
                break;
            }
            at += 1;
        }
        let relation = resolve(&parts, run).map_err(|refusal| match tokens.get(start) {
            Some(token) => refusal.at(token.start),
            None => refusal,
        })?;
        let refused = run.role.relation(relation.oid).is_some_and(|policy| policy.refuse.is_some());
        if relation.is_system() || refused {
            return Err(Refusal::new(
                RefusalCode::RelationNotAllowed,
                format!("permission denied for {}", relation.name),
            ));
        }
        if let Some(scope) = run.role.relation(relation.oid).and_then(|policy| policy.scope.as_ref())
            && tag != "LOCK TABLE"
        {
            let message = format!("{tag} is not possible on {}", relation.name);
            return Err(Refusal::new(RefusalCode::RowScope, message)
                .with_hint("This role sees some of its rows only.")
                .with_rule(&*scope.rule));
        }
        if let Some(deciding) = run.role.deciding.get(&relation.oid).filter(|one| one.deletes && tag != "LOCK TABLE") {
            return Err(shows_more(&format!("{tag} of {}", relation.name), Some(deciding)));
        }
        relations.push(relation);
        let only = if only { "ONLY " } else { "" };
        list.push(format!("{only}{}.{}", quote_ident(&relation.schema), quote_ident(&relation.name)));
        at += usize::from(tokens.get(at).is_some_and(|token| token.is_operator("*")));
        if tokens.get(at).is_none_or(|token| token.kind != Kind::Comma) {
            break;
        }
        at += 1;
    }
    let mut text = format!("{verb} {}", list.join(", "));
    for (number, token) in tokens.iter().enumerate().skip(at) {
        if token.kind != Kind::Word || !words.contains(&token.name()) {
            return Err(unknown(number));
        }
        if token.is_word("cascade") {
            along(&relations, run)?;
        }
        text.push(' ');
        text.push_str(token.name());
    }
    let access = written(&relations, tokens);
    let statement = PlannedStatement { kind: tag, access, effect: Effect::None, outputs: None };
    Ok(Planned { text, places: Vec::new(), statement, fillable: None })
}

/// Judges the tables that CASCADE empties along with others: those whose foreign keys refer to one, and so on.
fn along(relations: &[&Relation], run: &Run<'_>) -> Result<(), Refusal> {
    let catalog = &run.inputs.catalog;
    let mut open: Vec<Oid> = relations.iter().map(|relation| relation.oid).collect();
    let mut seen: HashSet<Oid> = open.iter().copied().collect();
    while let Some(oid) = open.pop() {
        let referring = catalog.data().foreign_keys.iter().filter(|key| key.target == oid).map(|key| key.relation);
        // A key of a partitioned table is one of its partitions, on both of its ends.
        let relatives = catalog.parents(oid).iter().chain(catalog.children(oid)).copied();
        open.extend(referring.chain(relatives).filter(|one| seen.insert(*one)));
    }
    for relation in seen.iter().filter_map(|oid| catalog.relation(*oid)) {
        let what = || format!("TRUNCATE with CASCADE, which reaches {},", relation.name);
        if let Some(deciding) = run.role.deciding.get(&relation.oid).filter(|deciding| deciding.deletes) {
            return Err(shows_more(&what(), Some(deciding)));
        }
        if let Some(scope) = run.role.relation(relation.oid).and_then(|policy| policy.scope.as_ref()) {
            let message = format!("{} is not possible", what());
            return Err(Refusal::new(RefusalCode::RowScope, message)
                .with_hint("This role sees some of the rows of that table only.")
                .with_rule(&*scope.rule));
        }
    }
    Ok(())
}
