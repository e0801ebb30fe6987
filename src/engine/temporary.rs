//! Temporary tables of restricted roles: CREATE TABLE … AS and SELECT INTO, DROP TABLE, CREATE INDEX, ANALYZE. What a
//! query puts into one was masked when it was read, so the table reads in clear.
//!
//! A grammar of our own, on tokens. Every name is sent as `pg_temp.name`. A name that something of the catalog has is
//! refused: unqualified names in functions and triggers would mean the temporary table.

use std::ops::Range;

use super::{
    access, columns,
    command::{not_allowed, with_kind},
    copy::{resolve, written},
    pipeline::{self, Planned, Rewritten, Run, rewrite_statement},
    plan::{Effect, MadeTable, PlannedStatement, Stored},
};
use crate::{
    bind::Bound,
    catalog::{
        Relation,
        data::FunctionData,
        temporary::{Bar, TEMPORARY_SCHEMA},
    },
    error::{Refusal, RefusalCode},
    names::quote_ident,
    rewrite,
    sql::{
        Kind, Nesting, RESERVED_PREFIX, Token,
        command::{Command, classify},
        forms,
        keywords::{Category, category},
    },
};

/// Plans a statement that is neither a query nor a data modification and may concern temporary tables.
pub(super) fn plan(what: &'static str, tokens: &[Token], run: &Run<'_>) -> Result<Planned, Refusal> {
    match what {
        "CREATE" => create(tokens, run),
        "DROP" => drop_tables(tokens, run),
        "ANALYZE" => analyze(tokens, run),
        _ => Err(not_allowed(what)),
    }
}

/// Reads tokens one after another.
pub(super) struct Reader<'a> {
    pub tokens: &'a [Token],
    pub at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(tokens: &'a [Token]) -> Self {
        Self { tokens, at: 0 }
    }

    pub fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    /// Whether the next tokens are these words; they are then passed.
    pub fn words(&mut self, words: &[&str]) -> bool {
        let found = words
            .iter()
            .enumerate()
            .all(|(offset, word)| self.tokens.get(self.at + offset).is_some_and(|token| token.is_word(word)));
        self.at += if found { words.len() } else { 0 };
        found
    }

    pub fn kind(&mut self, kind: Kind) -> bool {
        let found = self.peek().is_some_and(|token| token.kind == kind);
        self.at += usize::from(found);
        found
    }

    /// A name as columns and tables have it: no word that the grammar keeps to itself.
    pub fn name(&mut self) -> Option<&'a Token> {
        let kept = |token: &Token| {
            let category = if token.kind == Kind::Word { category(token.name()) } else { None };
            matches!(category, Some(Category::Reserved | Category::TypeOrFunction))
        };
        self.label().filter(|token| !kept(token))
    }

    /// A name behind a dot.
    fn label(&mut self) -> Option<&'a Token> {
        let token = self.peek().filter(|token| token.is_name())?;
        self.at += 1;
        Some(token)
    }

    /// What stands in the brackets that open here, without them; none where they are not closed.
    pub fn brackets(&mut self) -> Option<Range<usize>> {
        self.peek().filter(|token| token.kind == Kind::Open)?;
        let (start, mut depth) = (self.at + 1, 0_usize);
        let inside = self.tokens.iter().skip(self.at).position(|token| {
            match token.kind.nesting() {
                Nesting::Opens => depth += 1,
                Nesting::Closes => depth = depth.saturating_sub(1),
                Nesting::Stays => {}
            }
            depth == 0
        })?;
        self.at += inside + 1;
        Some(start..self.at - 1)
    }

    /// A name with its dots.
    pub fn dotted(&mut self) -> Option<Vec<String>> {
        let mut parts = vec![self.name()?.name().to_owned()];
        while self.kind(Kind::Dot) {
            parts.push(self.label()?.name().to_owned());
        }
        Some(parts)
    }

    pub fn done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub fn here(&self, refusal: Refusal) -> Refusal {
        match self.peek() {
            Some(token) => refusal.at(token.start),
            None => refusal,
        }
    }
}

/// The refusal of a form that this module does not know.
pub(super) fn form(what: &str) -> Refusal {
    Refusal::new(RefusalCode::TemporaryTable, format!("{what} is not supported for restricted roles"))
        .with_hint("Temporary tables may be made with plain columns, or from a query.")
}

fn create(tokens: &[Token], run: &Run<'_>) -> Result<Planned, Refusal> {
    let mut reader = Reader::new(tokens);
    reader.at = 1;
    let unique = reader.words(&["unique"]);
    if reader.words(&["index"]) {
        return create_index(reader, unique, tokens, run);
    }
    let scoped = reader.words(&["local"]) || reader.words(&["global"]);
    let temporary = reader.words(&["temporary"]) || reader.words(&["temp"]);
    let unlogged = !scoped && !temporary && reader.words(&["unlogged"]);
    if unique || (scoped && !temporary) || !reader.words(&["table"]) {
        return Err(not_allowed("CREATE"));
    }
    let lenient = reader.words(&["if", "not", "exists"]);
    let at = reader.at;
    let parts = reader.dotted().ok_or_else(|| not_allowed("CREATE"))?;
    let (named, name) = own_name(&parts)?;
    if unlogged || !(temporary || named) {
        return Err(Refusal::new(RefusalCode::StatementNotAllowed, "CREATE TABLE is not allowed for restricted roles")
            .with_hint(
                "The columns of a new table would be in no category. CREATE TEMPORARY TABLE makes one of the session.",
            ));
    }
    new_name(name, tokens, at, run)?;
    let exists = if lenient { "IF NOT EXISTS " } else { "" };
    let head = format!("CREATE TEMPORARY TABLE {exists}{TEMPORARY_SCHEMA}.{}", quote_ident(name));
    let body = reader.brackets();
    let commit = on_commit(&mut reader)?;
    if reader.words(&["as"]) {
        let list = body.map(|range| columns::names(tokens.get(range).unwrap_or(&[]))).transpose()?.unwrap_or_default();
        let mut made = MadeTable { name: name.to_owned(), columns: Vec::new() };
        made.columns.extend(list.iter().map(|token| token.name().to_owned()));
        let list: Vec<_> = list.iter().map(|token| quote_ident(token.name())).collect();
        let list = if list.is_empty() { String::new() } else { format!(" ({})", list.join(", ")) };
        let (query, end) = stored_query(tokens, reader.at)?;
        let planned = stored("CREATE", &format!("{head}{list}{commit} AS "), query, end, made, tokens, run)?;
        return unfilled(name, tokens, at, run).map(|()| planned);
    }
    let Some(body) = body.filter(|_| reader.done()) else { return Err(reader.here(form("this form of CREATE TABLE"))) };
    let (definitions, columns) = columns::definitions(tokens.get(body).unwrap_or(&[]), run)?;
    let text = format!("{head} ({definitions}){commit}");
    let made = MadeTable { name: name.to_owned(), columns };
    unfilled(name, tokens, at, run)?;
    Ok(planned("CREATE", text, Effect::Temporary(Some(made)), written(&[], tokens)))
}

/// `pg_temp.name` or `name`, and whether it is qualified.
fn own_name(parts: &[String]) -> Result<(bool, &str), Refusal> {
    match parts {
        [name] => Ok((false, name)),
        [schema, name] if schema == TEMPORARY_SCHEMA => Ok((true, name)),
        _ => Err(Refusal::new(RefusalCode::StatementNotAllowed, "CREATE is not allowed for restricted roles")
            .with_hint("They may make temporary tables only.")),
    }
}

/// Refuses a new table that something else could fill, so that it is known early. What comes to do so later is looked for
/// at each use.
fn unfilled(name: &str, tokens: &[Token], at: usize, run: &Run<'_>) -> Result<(), Refusal> {
    let Some(filler) = run.role.fillers.of(name) else { return Ok(()) };
    let refusal = Bar::Filled(filler).refusal(name);
    Err(match tokens.get(at) {
        Some(token) => refusal.at(token.start),
        None => refusal,
    })
}

/// A name that a new temporary relation may have.
pub(super) fn new_name(name: &str, tokens: &[Token], at: usize, run: &Run<'_>) -> Result<(), Refusal> {
    let place = |refusal: Refusal| match tokens.get(at) {
        Some(token) => refusal.at(token.start),
        None => refusal,
    };
    if name.starts_with(RESERVED_PREFIX) || name.starts_with("pg_") {
        let message = format!("names that start with \"{RESERVED_PREFIX}\" or \"pg_\" are reserved");
        return Err(place(Refusal::new(RefusalCode::ReservedName, message).with_hint("Choose another name.")));
    }
    match run.inputs.catalog.shadowed_by(name) {
        None => Ok(()),
        Some(other) => {
            let message = format!("a temporary table may not have the name \"{name}\"");
            let hint = format!("It would stand for {other} wherever that is not qualified. Choose another name.");
            Err(place(Refusal::new(RefusalCode::TemporaryTable, message).with_hint(hint)))
        }
    }
}

/// `ON COMMIT …` as it is sent.
fn on_commit(reader: &mut Reader<'_>) -> Result<&'static str, Refusal> {
    if !reader.words(&["on", "commit"]) {
        return Ok("");
    }
    if reader.words(&["preserve", "rows"]) {
        Ok(" ON COMMIT PRESERVE ROWS")
    } else if reader.words(&["delete", "rows"]) {
        Ok(" ON COMMIT DELETE ROWS")
    } else if reader.words(&["drop"]) {
        Ok(" ON COMMIT DROP")
    } else {
        Err(reader.here(form("this form of CREATE TABLE")))
    }
}

/// The query from `from` on, and what stands behind it.
fn stored_query(tokens: &[Token], from: usize) -> Result<(&[Token], &'static str), Refusal> {
    let own = tokens.get(from..).unwrap_or(&[]);
    if own.first().is_some_and(|token| token.is_word("execute")) {
        return Err(form("CREATE TABLE AS EXECUTE").with_hint("Write the query itself behind AS."));
    }
    let ends = |words: &[&str]| {
        own.len() > words.len() && own.iter().rev().zip(words.iter().rev()).all(|(token, word)| token.is_word(word))
    };
    Ok(if ends(&["with", "no", "data"]) {
        (own.get(..own.len() - 3).unwrap_or(&[]), " WITH NO DATA")
    } else if ends(&["with", "data"]) {
        (own.get(..own.len() - 2).unwrap_or(&[]), "")
    } else {
        (own, "")
    })
}

/// `SELECT … INTO`: none when the statement has no INTO.
pub(super) fn select_into(tokens: &[Token], run: &Run<'_>) -> Option<Result<Planned, Refusal>> {
    let into = forms::into(tokens).filter(|_| with_kind(tokens) == "SELECT")?;
    Some(selected(tokens, into, run))
}

fn selected(tokens: &[Token], into: usize, run: &Run<'_>) -> Result<Planned, Refusal> {
    let mut reader = Reader { tokens, at: into + 1 };
    let scoped = reader.words(&["local"]) || reader.words(&["global"]);
    let temporary = reader.words(&["temporary"]) || reader.words(&["temp"]);
    let unlogged = !scoped && !temporary && reader.words(&["unlogged"]);
    let table = reader.words(&["table"]);
    let at = reader.at;
    let parts = reader.dotted().ok_or_else(|| reader.here(form("this form of SELECT INTO")))?;
    let (named, name) = own_name(&parts)?;
    if unlogged || (scoped && !temporary) || !(temporary || named) {
        let refusal = Refusal::new(RefusalCode::StatementNotAllowed, "SELECT INTO is not allowed for restricted roles")
            .with_hint(
                "The columns of a new table would be in no category. SELECT INTO TEMPORARY makes one of the session.",
            );
        return Err(match tokens.get(into) {
            Some(token) => refusal.at(token.start),
            None => refusal,
        });
    }
    // Without TABLE these are words of the grammar, as they were read above.
    debug_assert!(table || !parts.is_empty(), "a name was read");
    new_name(name, tokens, at, run)?;
    let query = forms::without_into(tokens).ok_or_else(|| form("this form of SELECT INTO"))?;
    let head = format!("CREATE TEMPORARY TABLE {TEMPORARY_SCHEMA}.{} AS ", quote_ident(name));
    let made = MadeTable { name: name.to_owned(), columns: Vec::new() };
    let planned = stored("SELECT", &head, &query, "", made, tokens, run)?;
    unfilled(name, tokens, at, run).map(|()| planned)
}

/// The plan of a query whose rows become the temporary table `made`, of which the first columns may have names.
fn stored(
    kind: &'static str,
    head: &str,
    query: &[Token],
    end: &str,
    mut made: MadeTable,
    tokens: &[Token],
    run: &Run<'_>,
) -> Result<Planned, Refusal> {
    if classify(query) != Command::Query || with_kind(query) != "SELECT" {
        return Err(form("a table of anything but a query"));
    }
    let rewritten = rewrite_statement(query, run)?;
    let Rewritten { printed: _, bound, exact: _, searched: _, changed: _, sets_path, reads: _, login: _ } = &rewritten;
    if *sets_path {
        return Err(Refusal::new(
            RefusalCode::SettingNotAllowed,
            "search_path, pgscrim.purpose and role may not be set from inside here",
        )
        .with_hint("Use SET."));
    }
    row_type(&made, query, bound, run)?;
    let alone = bound.assigned.is_empty();
    let masked = bound.outputs.iter().any(|output| access::masked(&output.deps, bound, run));
    let unnamed = bound.outputs.iter().skip(made.columns.len());
    made.columns.extend(unnamed.map(|output| output.name.clone().unwrap_or_default()));
    let name = made.name.clone();
    let mut planned = pipeline::planned(kind, Effect::Temporary(Some(made)), query, 0..0, rewritten, run);
    planned.text = format!("{head}{}{end}", planned.text);
    planned.places = pipeline::moved(planned.places, head.len()).collect();
    let statement = &mut planned.statement;
    statement.outputs = None;
    let access = &mut statement.access;
    access.text = crate::sql::emit::redacted(tokens).into();
    access.fills |= !access.oids.is_empty();
    if masked {
        access.keeps_masks.push(name.as_str().into());
    }
    let own = format!("{TEMPORARY_SCHEMA}.{}", crate::names::rule_part(&name)).into();
    if let Err(place) = access.relations.binary_search(&own) {
        access.relations.insert(place, own);
    }
    // Its rows are those of the tag, unless it stores others beside.
    access.stored = match (access.discloses, alone) {
        (false, _) => Stored::Nothing,
        (true, true) => Stored::Counted,
        (true, false) => Stored::Uncounted,
    };
    Ok(planned)
}

/// Refuses a table with a column whose type runs a function: its row type would make values of that type of any text.
fn row_type(made: &MadeTable, query: &[Token], bound: &Bound, run: &Run<'_>) -> Result<(), Refusal> {
    let catalog = &run.inputs.catalog;
    let harmful = |(id, position): &(usize, usize)| {
        let relation = bound.relations.get(*id).and_then(|used| catalog.relation(used.oid));
        let column = relation.and_then(|relation| relation.columns.get(*position));
        column.is_none_or(|column| !catalog.is_harmless_column(column.type_oid))
            && !rewrite::is_cast(bound, query, (*id, *position))
    };
    // What functions of the database give is not known by columns.
    let gives = |user: &FunctionData| {
        let result = user.result_type.is_none_or(|of| !catalog.is_harmless_column(of));
        let runs = || catalog.data().types.iter().any(|kind| kind.has_user_cast || !kind.compared_by.is_empty());
        user.extension.is_none() && (result || (!user.out_names.is_empty() && runs()))
    };
    if let Some(call) = bound.functions.iter().find(|call| catalog.functions_named(&call.name).any(gives)) {
        return Err(Bar::Column(call.name.as_str().into()).refusal(&made.name));
    }
    let mut outputs = bound.outputs.iter().enumerate();
    let Some((at, output)) = outputs.find(|(_, output)| output.deps.iter().any(harmful)) else { return Ok(()) };
    let name = made.columns.get(at).or(output.name.as_ref()).map_or("?column?", String::as_str);
    Err(Bar::Column(name.into()).refusal(&made.name))
}

/// A plan without places: its text is ours.
fn planned(kind: &'static str, text: String, effect: Effect, access: super::plan::Access) -> Planned {
    let statement = PlannedStatement { kind, access, effect, outputs: None };
    Planned { text, places: Vec::new(), statement, fillable: None }
}

/// `DROP TABLE [IF EXISTS] name, … [CASCADE | RESTRICT]`
fn drop_tables(tokens: &[Token], run: &Run<'_>) -> Result<Planned, Refusal> {
    let mut reader = Reader::new(tokens);
    if !reader.words(&["drop", "table"]) {
        return Err(not_allowed("DROP"));
    }
    let lenient = reader.words(&["if", "exists"]);
    let mut names = Vec::new();
    loop {
        let at = reader.at;
        let parts = reader.dotted().ok_or_else(|| reader.here(not_allowed("DROP")))?;
        let found = resolve_any(&parts, run);
        let name = match (found, parts.as_slice()) {
            (Some(relation), _) if run.inputs.catalog.is_temporary(relation) => relation.name.as_str(),
            // What is not there is skipped.
            (None, [name]) if lenient => name,
            (None, [schema, name]) if lenient && schema == TEMPORARY_SCHEMA => name,
            (None, _) => {
                let message = format!("table \"{}\" does not exist", parts.join("."));
                let refusal = Refusal::new(RefusalCode::UnknownRelation, message)
                    .with_hint("Restricted roles may drop temporary tables of their session only.");
                return Err(Reader { tokens, at }.here(refusal));
            }
            (Some(_), _) => {
                let refusal = not_allowed("DROP").with_hint("They may drop temporary tables of their session only.");
                return Err(Reader { tokens, at }.here(refusal));
            }
        };
        names.push(format!("{TEMPORARY_SCHEMA}.{}", quote_ident(name)));
        if !reader.kind(Kind::Comma) {
            break;
        }
    }
    let end = if reader.words(&["cascade"]) { " CASCADE" } else { "" };
    let _ = end.is_empty() && reader.words(&["restrict"]);
    if !reader.done() {
        return Err(reader.here(not_allowed("DROP")));
    }
    let exists = if lenient { "IF EXISTS " } else { "" };
    let text = format!("DROP TABLE {exists}{}{end}", names.join(", "));
    Ok(planned("DROP", text, Effect::Temporary(None), written(&[], tokens)))
}

/// The relation of a name, usable or not.
fn resolve_any<'a>(parts: &[String], run: &Run<'a>) -> Option<&'a Relation> {
    match parts {
        [name] => crate::catalog::search_path::resolve_relation(&run.inputs.catalog, run.path, name),
        [schema, name] => run.inputs.catalog.relation_named(schema, name),
        _ => None,
    }
}

/// A temporary table of the session.
fn own_table<'a>(reader: &mut Reader<'_>, what: &'static str, run: &Run<'a>) -> Result<&'a Relation, Refusal> {
    let start = Reader { tokens: reader.tokens, at: reader.at };
    let parts = reader.dotted().ok_or_else(|| start.here(not_allowed(what)))?;
    let relation = resolve(&parts, run).map_err(|refusal| start.here(refusal))?;
    if run.inputs.catalog.is_temporary(relation) {
        return Ok(relation);
    }
    Err(start.here(not_allowed(what).with_hint("They may run it on temporary tables of their session only.")))
}

/// `ANALYZE name [(columns)], …`
fn analyze(tokens: &[Token], run: &Run<'_>) -> Result<Planned, Refusal> {
    let mut reader = Reader::new(tokens);
    reader.at = 1;
    let mut list = Vec::new();
    let mut relations = Vec::new();
    loop {
        let relation = own_table(&mut reader, "ANALYZE", run)?;
        let columns = match reader.brackets() {
            None => String::new(),
            Some(range) => format!(" ({})", columns::list(tokens.get(range).unwrap_or(&[]))?),
        };
        list.push(format!("{TEMPORARY_SCHEMA}.{}{columns}", quote_ident(&relation.name)));
        relations.push(relation);
        if !reader.kind(Kind::Comma) {
            break;
        }
    }
    if !reader.done() {
        return Err(reader.here(not_allowed("ANALYZE")));
    }
    let text = format!("ANALYZE {}", list.join(", "));
    Ok(planned("ANALYZE", text, Effect::None, written(&relations, tokens)))
}

/// `CREATE [UNIQUE] INDEX [[IF NOT EXISTS] name] ON name [USING method] (columns)`
fn create_index(mut reader: Reader<'_>, unique: bool, tokens: &[Token], run: &Run<'_>) -> Result<Planned, Refusal> {
    let lenient = reader.words(&["if", "not", "exists"]);
    let mut name = String::new();
    if !reader.words(&["on"]) {
        let at = reader.at;
        let token = reader.name().ok_or_else(|| reader.here(not_allowed("CREATE INDEX")))?;
        new_name(token.name(), tokens, at, run)?;
        name = format!("{} ", quote_ident(token.name()));
        if !reader.words(&["on"]) {
            return Err(reader.here(not_allowed("CREATE INDEX")));
        }
    }
    if reader.words(&["only"]) {
        return Err(reader.here(not_allowed("CREATE INDEX … ON ONLY")));
    }
    let relation = own_table(&mut reader, "CREATE INDEX", run)?;
    let types = &run.inputs.catalog.data().types;
    let unlisted = |oid| types.iter().any(|kind| kind.oid == oid && rewrite::is_compared_by_unlisted(run.role, kind));
    if relation.columns.iter().any(|column| unlisted(column.type_oid)) {
        return Err(reader.here(form("an index of a table with a type that functions of the database compare")));
    }
    let mut method = String::new();
    if reader.words(&["using"]) {
        let token = reader.name().filter(|token| ["btree", "hash", "brin"].contains(&token.name()));
        let token = token.ok_or_else(|| reader.here(form("this kind of index")))?;
        method = format!(" USING {}", token.name());
    }
    let keys = reader.brackets().ok_or_else(|| reader.here(form("this form of CREATE INDEX")))?;
    if !reader.done() {
        return Err(reader.here(form("this form of CREATE INDEX")));
    }
    let keys = columns::keys(tokens.get(keys).unwrap_or(&[]))?;
    let exists = if lenient { "IF NOT EXISTS " } else { "" };
    let unique = if unique { "UNIQUE " } else { "" };
    let table = quote_ident(&relation.name);
    let text = format!("CREATE {unique}INDEX {exists}{name}ON {TEMPORARY_SCHEMA}.{table}{method} ({keys})");
    Ok(planned("CREATE", text, Effect::None, written(&[relation], tokens)))
}
