//! COPY: a table is copied out through a masked query, in through its own name. A grammar of our own, because sqlparser's
//! is narrower than PostgreSQL's.

use std::ops::Range;

use super::{
    access,
    command::not_allowed,
    pipeline::{self, Planned, Run, rewrite_statement},
    plan::{Access, Effect, PlannedStatement},
};
use crate::{
    catalog::{Column, Relation, data::RelationKind, search_path::resolve_relation},
    error::{Refusal, RefusalCode},
    names::{QualifiedName, quote_ident},
    policy::ColumnPolicy,
    rewrite::{Searched, shows_more},
    sql::{Kind, Token, command::after_brackets, emit, lex},
};

/// COPY taken apart.
struct Copy {
    /// The table's name parts, or the tokens of the query in parentheses.
    subject: Subject,
    /// Named columns.
    columns: Vec<String>,
    /// TO, not FROM.
    out: bool,
    /// From `TO` or `FROM` to the end.
    tail: Range<usize>,
}

enum Subject {
    Table(Vec<String>, Range<usize>),
    Query(Range<usize>),
}

fn take_apart(tokens: &[Token]) -> Option<Copy> {
    let kind = |at: usize| tokens.get(at).map(|token| token.kind);
    let mut at = 1;
    let mut columns = Vec::new();
    let subject = if kind(1)? == Kind::Open {
        at = after_brackets(tokens, 1);
        Subject::Query(2..at.checked_sub(1)?)
    } else {
        let mut parts = Vec::new();
        loop {
            parts.push(tokens.get(at).filter(|token| token.is_name())?.name().to_owned());
            at += 1;
            if kind(at)? != Kind::Dot {
                break;
            }
            at += 1;
        }
        let name = 1..at;
        if kind(at)? == Kind::Open {
            let end = after_brackets(tokens, at);
            for (number, token) in tokens.get(at + 1..end.checked_sub(1)?)?.iter().enumerate() {
                match (number % 2, token.kind) {
                    (0, Kind::Word | Kind::Quoted) => columns.push(token.name().to_owned()),
                    (1, Kind::Comma) => {}
                    (_, _) => return None,
                }
            }
            at = end;
        }
        Subject::Table(parts, name)
    };
    let direction = tokens.get(at)?;
    let out = direction.is_word("to");
    if !out && !direction.is_word("from") {
        return None;
    }
    Some(Copy { subject, columns, out, tail: at..tokens.len() })
}

/// Plans COPY for a restricted role.
pub(super) fn plan(tokens: &[Token], run: &Run<'_>) -> Result<Planned, Refusal> {
    let copy = take_apart(tokens).ok_or_else(|| not_allowed("this form of COPY"))?;
    let end = tokens.get(copy.tail.start + 1);
    let stream = if copy.out { "stdout" } else { "stdin" };
    if !end.is_some_and(|token| token.is_word(stream) || token.is_word("stdin") || token.is_word("stdout")) {
        return Err(not_allowed("COPY with files or programs"));
    }
    let tail_tokens = tokens.get(copy.tail.clone()).unwrap_or(&[]);
    if tail_tokens.iter().any(|token| token.is_word("where") || token.is_word("select")) {
        return Err(not_allowed("COPY with a condition"));
    }
    let tail = emit::text(tail_tokens);
    match copy.subject {
        Subject::Query(range) => {
            let own = tokens.get(range).unwrap_or(&[]);
            let rewritten = rewrite_statement(own, run)?;
            let mut planned = pipeline::planned("COPY", Effect::None, own, 0..0, rewritten, run);
            planned.text = format!("COPY ({}) {tail}", planned.text);
            planned.places = pipeline::moved(planned.places, "COPY (".len()).collect();
            planned.statement.access.text = emit::redacted(tokens).into();
            planned.statement.outputs = None;
            Ok(planned)
        }
        Subject::Table(parts, range) => {
            let relation = resolve(&parts, run).map_err(|refusal| match tokens.get(range.start) {
                Some(token) => refusal.at(token.start),
                None => refusal,
            })?;
            if copy.out {
                out(relation, &copy.columns, &tail, tokens, run)
            } else {
                load(relation, &copy.columns, &tail, tokens, run)
            }
        }
    }
}

/// The relation that a name means.
pub(super) fn resolve<'a>(parts: &[String], run: &Run<'a>) -> Result<&'a Relation, Refusal> {
    let catalog = &run.inputs.catalog;
    let found = match parts {
        [name] => resolve_relation(catalog, run.path, name),
        [schema, name] => catalog.relation_named(schema, name),
        [database, schema, name] if *database == catalog.data().database => catalog.relation_named(schema, name),
        _ => None,
    };
    let found = found.ok_or_else(|| {
        Refusal::new(RefusalCode::UnknownRelation, format!("relation \"{}\" does not exist", parts.join(".")))
    })?;
    catalog.usable(found)?;
    Ok(found)
}

/// `COPY table TO`: as PostgreSQL, the table alone, generated columns left out unless named.
fn out(
    relation: &Relation,
    columns: &[String],
    tail: &str,
    tokens: &[Token],
    run: &Run<'_>,
) -> Result<Planned, Refusal> {
    match relation.kind {
        RelationKind::Table => {}
        // PostgreSQL 18 copies them by name.
        RelationKind::MaterializedView if run.inputs.catalog.data().server_version_num >= 180_000 => {}
        RelationKind::View
        | RelationKind::MaterializedView
        | RelationKind::ForeignTable
        | RelationKind::PartitionedTable
        | RelationKind::Sequence
        | RelationKind::Toast
        | RelationKind::Composite => {
            let refusal =
                Refusal::new(RefusalCode::Unsupported, format!("cannot copy from \"{}\" by its name", relation.name));
            return Err(refusal.with_sqlstate("42809").with_hint("Try the COPY (SELECT ...) TO variant."));
        }
    }
    let generated =
        |name: &&String| relation.columns.iter().any(|column| column.generated_from.is_some() && column.name == **name);
    if let Some(name) = columns.iter().find(generated) {
        let refusal = Refusal::new(RefusalCode::Unsupported, format!("column \"{name}\" is a generated column"));
        return Err(refusal
            .with_sqlstate("42P10")
            .with_hint("Generated columns cannot be used in COPY of a table; use COPY (SELECT …)."));
    }
    let list: Vec<_> = copied(relation, columns).into_iter().map(quote_ident).collect();
    let select = format!(
        "SELECT {} FROM ONLY {}.{}",
        list.join(", "),
        quote_ident(&relation.schema),
        quote_ident(&relation.name)
    );
    let own = lex::lex(&select)?;
    let rewritten = rewrite_statement(&own, run).map_err(|mut refusal| {
        refusal.offset = None;
        refusal
    })?;
    let changed = rewritten.changed;
    let mut planned = pipeline::planned("COPY", Effect::None, &own, 0..0, rewritten, run);
    planned.text = if changed {
        format!("COPY ({}) {tail}", planned.text)
    } else {
        // An unprotected table keeps its own COPY.
        let columns_list = if columns.is_empty() { String::new() } else { format!(" ({})", list.join(", ")) };
        format!("COPY {}.{}{columns_list} {tail}", quote_ident(&relation.schema), quote_ident(&relation.name))
    };
    planned.statement.access.text = emit::redacted(tokens).into();
    planned.statement.outputs = None;
    Ok(planned)
}

fn load(
    relation: &Relation,
    columns: &[String],
    tail: &str,
    tokens: &[Token],
    run: &Run<'_>,
) -> Result<Planned, Refusal> {
    let refused = run.role.relation(relation.oid).is_some_and(|policy| policy.refuse.is_some());
    if relation.is_system() || refused {
        return Err(Refusal::new(RefusalCode::RelationNotAllowed, format!("permission denied for {}", relation.name)));
    }
    if let Some(deciding) = run.role.deciding.get(&relation.oid).filter(|deciding| deciding.inserts) {
        return Err(shows_more(&format!("COPY into {}", relation.name), Some(deciding)));
    }
    let named = |name: &str| columns.is_empty() || columns.iter().any(|column| column == name);
    let guarded = |(column, policy): (&Column, &ColumnPolicy)| policy.stored_mask.is_some() && named(&column.name);
    let guarded =
        run.role.relation(relation.oid).is_some_and(|policy| relation.columns.iter().zip(&policy.columns).any(guarded));
    if guarded {
        let refusal = Refusal::new(
            RefusalCode::WriteBackRefused,
            format!("values for columns of {} that this role sees masked may not come by COPY", relation.name),
        );
        return Err(refusal
            .with_hint("The rules refuse masks as values (store_masks), and COPY is not looked into: use INSERT."));
    }
    let list: Vec<_> = columns.iter().map(|name| quote_ident(name)).collect();
    let columns_list = if list.is_empty() { String::new() } else { format!(" ({})", list.join(", ")) };
    let text = format!("COPY {}.{}{columns_list} {tail}", quote_ident(&relation.schema), quote_ident(&relation.name));
    let access = loaded(relation, columns, tokens, run);
    let statement = PlannedStatement { kind: "COPY", access, effect: Effect::None, outputs: None };
    Ok(Planned { text, places: Vec::new(), statement, fillable: None })
}

/// The columns that COPY of a table means.
fn copied<'a>(relation: &'a Relation, columns: &'a [String]) -> Vec<&'a str> {
    if columns.is_empty() {
        let stored = relation.columns.iter().filter(|column| column.generated_from.is_none());
        stored.map(|column| column.name.as_str()).collect()
    } else {
        columns.iter().map(String::as_str).collect()
    }
}

/// The access of COPY FROM: that of an INSERT into these columns. No grant is needed for it, as nothing is read.
fn loaded(relation: &Relation, columns: &[String], tokens: &[Token], run: &Run<'_>) -> Access {
    let names = copied(relation, columns);
    let list: Vec<_> = names.iter().map(|name| quote_ident(name)).collect();
    let values = vec!["NULL"; names.len()].join(", ");
    let table = format!("{}.{}", quote_ident(&relation.schema), quote_ident(&relation.name));
    let insert = lex::lex(&format!("INSERT INTO {table} ({}) VALUES ({values})", list.join(", "))).unwrap_or_default();
    let bound = crate::sql::parse::parse_statement(&insert, 0)
        .and_then(|parsed| crate::bind::bind_statement(&parsed, &insert, &run.inputs.catalog, run.path));
    let Ok(bound) = bound else { return written(&[relation], tokens) };
    let access = access::access(&bound, &[], Searched::default(), run, emit::redacted(tokens), "forward");
    Access { grants: Vec::new(), ..access }
}

/// The access of a statement that reads nothing of the relations that it names.
pub(super) fn written(relations: &[&Relation], tokens: &[Token]) -> Access {
    let name =
        |relation: &&Relation| QualifiedName::new(relation.schema.as_str(), relation.name.as_str()).to_string().into();
    let oids = relations.iter().map(|relation| relation.oid).collect();
    let mut relations: Vec<_> = relations.iter().map(name).collect();
    relations.sort();
    relations.dedup();
    Access { text: emit::redacted(tokens).into(), relations, oids, decision: "forward", ..Access::default() }
}

/// Looks at COPY of an exempt role.
pub(super) fn observe(tokens: &[Token], run: &Run<'_>) -> (PlannedStatement, bool) {
    let statement = |access: Access| PlannedStatement { kind: "COPY", access, effect: Effect::None, outputs: None };
    let unknown = Access { text: emit::redacted(tokens).into(), decision: "forward", ..Access::default() };
    let Some(copy) = take_apart(tokens) else { return (statement(unknown), false) };
    let own = match copy.subject {
        Subject::Query(range) => tokens.get(range).unwrap_or(&[]).to_vec(),
        Subject::Table(parts, _) => {
            let Ok(relation) = resolve(&parts, run) else { return (statement(unknown), false) };
            if !copy.out {
                return (statement(loaded(relation, &copy.columns, tokens, run)), true);
            }
            let select =
                format!("SELECT * FROM ONLY {}.{}", quote_ident(&relation.schema), quote_ident(&relation.name));
            lex::lex(&select).unwrap_or_default()
        }
    };
    let analysed = crate::sql::parse::parse_statement(&own, 0)
        .and_then(|parsed| crate::bind::bind_statement(&parsed, &own, &run.inputs.catalog, run.path));
    match analysed {
        Ok(bound) => {
            (statement(access::access(&bound, &[], Searched::default(), run, emit::redacted(tokens), "forward")), true)
        }
        Err(_) => (statement(unknown), false),
    }
}
