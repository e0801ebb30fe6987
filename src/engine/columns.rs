//! What stands in the brackets of CREATE TABLE and CREATE INDEX for a temporary table. In: its tokens. Out: the text that
//! is sent. Invariant: nothing in it runs a function that the rules do not list, or reads a relation.

use super::{
    copy::resolve,
    pipeline::Run,
    temporary::{Reader, form, new_name},
};
use crate::{
    bind::bind_expressions,
    catalog::data::TypeData,
    error::{Refusal, RefusalCode},
    names::quote_ident,
    rewrite::{Job, is_compared_by_unlisted, rewrite, sets_path},
    sql::{Kind, Nesting, Token, emit, parse},
};

/// Words that a constraint of a column begins with.
const CONSTRAINTS: &[&str] = &[
    "not",
    "null",
    "default",
    "primary",
    "unique",
    "check",
    "references",
    "generated",
    "collate",
    "constraint",
    "deferrable",
    "initially",
    "storage",
    "compression",
    "options",
];

/// Words of options of an identity column.
const IDENTITY: &[&str] =
    &["start", "with", "increment", "by", "minvalue", "maxvalue", "no", "cache", "cycle", "restart"];

/// What LIKE may copy: nothing that runs.
const COPIED: &[&str] = &["identity", "comments", "storage", "compression"];

/// Names parted by commas.
pub(super) fn names(tokens: &[Token]) -> Result<Vec<&Token>, Refusal> {
    parts(tokens)
        .into_iter()
        .map(|part| match part {
            [name] if name.is_name() => Ok(name),
            _ => Err(at(form("this list of columns"), part)),
        })
        .collect()
}

/// The same as it is sent.
pub(super) fn list(tokens: &[Token]) -> Result<String, Refusal> {
    let names = names(tokens)?;
    Ok(names.iter().map(|token| quote_ident(token.name())).collect::<Vec<_>>().join(", "))
}

/// The columns of an index.
pub(super) fn keys(tokens: &[Token]) -> Result<String, Refusal> {
    let mut list = Vec::new();
    for part in parts(tokens) {
        let mut reader = Reader::new(part);
        let name = reader.name().ok_or_else(|| at(form("an index on an expression"), part))?;
        let mut key = quote_ident(name.name()).into_owned();
        for (words, text) in [
            (&["text_pattern_ops"][..], " text_pattern_ops"),
            (&["varchar_pattern_ops"], " varchar_pattern_ops"),
            (&["asc"], " ASC"),
            (&["desc"], " DESC"),
            (&["nulls", "first"], " NULLS FIRST"),
            (&["nulls", "last"], " NULLS LAST"),
        ] {
            if reader.words(words) {
                key.push_str(text);
            }
        }
        if !reader.done() {
            return Err(reader.here(form("this form of CREATE INDEX")));
        }
        list.push(key);
    }
    Ok(list.join(", "))
}

/// Columns and constraints of a new table, and the names of the columns.
pub(super) fn definitions(tokens: &[Token], run: &Run<'_>) -> Result<(String, Vec<String>), Refusal> {
    let mut names = Vec::new();
    if tokens.is_empty() {
        return Ok((String::new(), names));
    }
    let list: Result<Vec<_>, _> = parts(tokens).into_iter().map(|part| definition(part, run, &mut names)).collect();
    list.map(|list| (list.join(", "), names))
}

fn definition(tokens: &[Token], run: &Run<'_>, names: &mut Vec<String>) -> Result<String, Refusal> {
    let mut reader = Reader::new(tokens);
    if reader.words(&["like"]) {
        return like(reader, run, names);
    }
    let mut out = String::new();
    let starts = |words: &[&str]| tokens.first().is_some_and(|token| words.iter().any(|word| token.is_word(word)));
    if starts(&["constraint", "primary", "unique", "check", "foreign", "exclude"]) {
        constraint_name(&mut reader, &mut out, run)?;
        let key = if reader.words(&["primary", "key"]) {
            "PRIMARY KEY"
        } else if reader.words(&["unique"]) {
            if reader.words(&["nulls", "not", "distinct"]) { "UNIQUE NULLS NOT DISTINCT" } else { "UNIQUE" }
        } else {
            return Err(reader.here(form("this constraint")));
        };
        let list = reader.brackets().ok_or_else(|| reader.here(form("this constraint")))?;
        let list = self::list(tokens.get(list).unwrap_or(&[]))?;
        if !reader.done() {
            return Err(reader.here(form("this constraint")));
        }
        out.push_str(&[key, " (", &list, ")"].concat());
        return Ok(out);
    }
    let name = reader.name().ok_or_else(|| reader.here(form("this column")))?;
    out.push_str(&quote_ident(name.name()));
    names.push(name.name().to_owned());
    column_type(&mut reader, &mut out, run)?;
    while !reader.done() {
        column_constraint(&mut reader, &mut out, run)?;
    }
    Ok(out)
}

fn column_type(reader: &mut Reader<'_>, out: &mut String, run: &Run<'_>) -> Result<(), Refusal> {
    let start = reader.at;
    let mut depth = 0_usize;
    while let Some(token) = reader.peek() {
        if depth == 0 && CONSTRAINTS.iter().any(|word| token.is_word(word)) {
            break;
        }
        match token.kind.nesting() {
            Nesting::Opens => depth += 1,
            Nesting::Closes => depth = depth.saturating_sub(1),
            Nesting::Stays => {}
        }
        let plain = matches!(
            token.kind,
            Kind::Word
                | Kind::Quoted
                | Kind::Number
                | Kind::Open
                | Kind::Close
                | Kind::OpenBracket
                | Kind::CloseBracket
                | Kind::Comma
                | Kind::Dot
        );
        if token.is_name() {
            run.inputs.catalog.usable_type(token.name()).map_err(|refusal| reader.here(refusal))?;
        }
        let runs_some = |kind: &TypeData| runs_a_function(kind) || is_compared_by_unlisted(run.role, kind);
        let runs = token.is_name() && run.inputs.catalog.types_named(token.name()).any(runs_some);
        if runs {
            let refusal = Refusal::new(RefusalCode::TypeNotAllowed, format!("type {} is not allowed", token.name()));
            return Err(
                reader.here(refusal.with_hint("A value of this type runs a function that the rules do not list."))
            );
        }
        if !plain {
            return Err(reader.here(form("this type of a column")));
        }
        reader.at += 1;
    }
    let own = reader.tokens.get(start..reader.at).unwrap_or(&[]);
    if own.is_empty() {
        return Err(reader.here(form("a column without a type")));
    }
    out.push(' ');
    out.push_str(&emit::text(own));
    Ok(())
}

/// Whether a column of the type runs a user's function when it gets a value, or none.
fn runs_a_function(kind: &TypeData) -> bool {
    kind.has_user_cast || kind.casts_implicitly || kind.has_computed_default
}

fn constraint_name(reader: &mut Reader<'_>, out: &mut String, run: &Run<'_>) -> Result<(), Refusal> {
    if reader.words(&["constraint"]) {
        let at = reader.at;
        let name = reader.name().ok_or_else(|| reader.here(form("this constraint")))?;
        // The index of a key has its name.
        new_name(name.name(), reader.tokens, at, run)?;
        out.push_str(&["CONSTRAINT ", &quote_ident(name.name()), " "].concat());
    }
    Ok(())
}

fn column_constraint(reader: &mut Reader<'_>, out: &mut String, run: &Run<'_>) -> Result<(), Refusal> {
    out.push(' ');
    constraint_name(reader, out, run)?;
    for (words, text) in [
        (&["not", "null"][..], "NOT NULL"),
        (&["null"], "NULL"),
        (&["primary", "key"], "PRIMARY KEY"),
        (&["unique", "nulls", "not", "distinct"], "UNIQUE NULLS NOT DISTINCT"),
        (&["unique"], "UNIQUE"),
        (&["generated", "always", "as", "identity"], "GENERATED ALWAYS AS IDENTITY"),
        (&["generated", "by", "default", "as", "identity"], "GENERATED BY DEFAULT AS IDENTITY"),
    ] {
        if !reader.words(words) {
            continue;
        }
        out.push_str(text);
        if text.ends_with("IDENTITY")
            && let Some(range) = reader.brackets()
        {
            let own = reader.tokens.get(range).unwrap_or(&[]);
            let known = |token: &&Token| match token.kind {
                Kind::Word => IDENTITY.contains(&token.name()),
                Kind::Number => true,
                Kind::Operator => token.is_operator("-") || token.is_operator("+"),
                Kind::Quoted
                | Kind::Text
                | Kind::National
                | Kind::Bits
                | Kind::Hex
                | Kind::Parameter
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
                | Kind::Arrow => false,
            };
            if let Some(other) = own.iter().find(|token| !known(token)) {
                return Err(form("this form of an identity column").at(other.start));
            }
            out.push_str(&[" (", &emit::text(own), ")"].concat());
        }
        return Ok(());
    }
    if reader.words(&["collate"]) {
        let parts = reader.dotted().ok_or_else(|| reader.here(form("this collation")))?;
        let parts: Vec<_> = parts.iter().map(|part| quote_ident(part)).collect();
        out.push_str(&["COLLATE ", &parts.join(".")].concat());
        return Ok(());
    }
    if reader.words(&["default"]) {
        return default(reader, out, run);
    }
    Err(reader.here(form("this constraint of a column")))
}

/// What a DEFAULT is computed from is judged as arguments of EXECUTE are.
fn default(reader: &mut Reader<'_>, out: &mut String, run: &Run<'_>) -> Result<(), Refusal> {
    let start = reader.at;
    let mut depth = 0_usize;
    while let Some(token) = reader.peek() {
        let ends = CONSTRAINTS.iter().any(|word| token.is_word(word)) && !token.is_word("collate");
        if depth == 0 && reader.at > start && ends {
            break;
        }
        match token.kind.nesting() {
            Nesting::Opens => depth += 1,
            Nesting::Closes => depth = depth.saturating_sub(1),
            Nesting::Stays => {}
        }
        reader.at += 1;
    }
    let own = reader.tokens.get(start..reader.at).unwrap_or(&[]);
    let expressions = parse::parse_expressions(own, 0)?;
    let [_] = expressions.as_slice() else { return Err(at(form("this default"), own)) };
    let bound = bind_expressions(&expressions, own, &run.inputs.catalog, run.path)?;
    let job = Job::new(&bound, own, &run.inputs.catalog, run.role, run.path);
    let mut edits = rewrite(&job)?;
    if !bound.relations.is_empty() || sets_path(&bound, own, &mut edits.reads) {
        return Err(at(form("this default"), own));
    }
    out.push_str("DEFAULT ");
    out.push_str(&edits.print(own, 0..own.len()).text);
    Ok(())
}

/// `LIKE relation`: names and types of columns, and nothing that runs.
fn like(mut reader: Reader<'_>, run: &Run<'_>, names: &mut Vec<String>) -> Result<String, Refusal> {
    let start = Reader { tokens: reader.tokens, at: reader.at };
    let parts = reader.dotted().ok_or_else(|| start.here(form("this form of LIKE")))?;
    let relation = resolve(&parts, run).map_err(|refusal| start.here(refusal))?;
    let refused = run.role.relation(relation.oid).is_some_and(|policy| policy.refuse.is_some());
    if relation.is_system() || refused {
        return Err(start
            .here(Refusal::new(RefusalCode::RelationNotAllowed, format!("permission denied for {}", relation.name))));
    }
    let types = &run.inputs.catalog.data().types;
    let runs = |oid| types.iter().any(|kind| kind.oid == oid && runs_a_function(kind));
    if relation.columns.iter().any(|column| runs(column.type_oid)) {
        let refusal = Refusal::new(RefusalCode::TypeNotAllowed, "a column is of a type that is not allowed");
        return Err(start.here(refusal.with_hint("A value of this type runs a function that the rules do not list.")));
    }
    names.extend(relation.columns.iter().map(|column| column.name.clone()));
    let mut out = format!("LIKE {}.{}", quote_ident(&relation.schema), quote_ident(&relation.name));
    while !reader.done() {
        let including = reader.words(&["including"]);
        if !including && !reader.words(&["excluding"]) {
            return Err(reader.here(form("this form of LIKE")));
        }
        let word = reader.name().map(Token::name).unwrap_or_default();
        if including && !COPIED.contains(&word) {
            let refusal = form("LIKE with defaults, constraints, indexes or generated columns");
            return Err(
                start.here(refusal.with_hint("They may run functions that the rules do not list. Use LIKE alone."))
            );
        }
        if including {
            out.push_str(&[" INCLUDING ", &word.to_uppercase()].concat());
        }
    }
    Ok(out)
}

/// What stands between commas outside brackets.
fn parts(tokens: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0_usize;
    tokens
        .split(|token| {
            match token.kind.nesting() {
                Nesting::Opens => depth += 1,
                Nesting::Closes => depth = depth.saturating_sub(1),
                Nesting::Stays => {}
            }
            depth == 0 && token.kind == Kind::Comma
        })
        .collect()
}

fn at(refusal: Refusal, tokens: &[Token]) -> Refusal {
    match tokens.first() {
        Some(token) => refusal.at(token.start),
        None => refusal,
    }
}
