//! A condition that a rule writes as SQL → an [`SqlTemplate`] over the name of the row. Invariants: it reads one row of its
//! relation and whatever sub-selects name with their schema; nothing in it means something else on another search path.

use std::{collections::BTreeSet, ops::Range};

use super::operators::{self, Foreign, is_foreign};
use crate::{
    bind::{Bound, Failing, Reference, Role, bind_condition},
    catalog::{CatalogSnapshot, Relation},
    names::{Oid, quote_ident},
    policy::{
        SqlTemplate,
        compiled::{ROW, Row},
    },
    sql::{Kind, Nesting, RESERVED_PREFIX, Reads, Token, emit, lex::lex, parse::parse_statement},
};

/// A condition on the rows of a relation.
#[derive(Debug)]
pub(super) struct Condition {
    pub sql: SqlTemplate,
    /// Positions of the columns of the row that it reads.
    pub own: BTreeSet<usize>,
    /// What its sub-selects read: relations, and positions of their columns.
    pub reads: Vec<(Oid, BTreeSet<usize>)>,
    /// Whether it can fail on a row, and so tell that there is one that matches what was evaluated before.
    pub fails: bool,
    /// Positions of columns that are compared with settings, where it fails when PostgreSQL plans the statement, if at all.
    pub settled: BTreeSet<usize>,
}

impl Condition {
    /// The relations that it reads beside the row.
    pub fn needs(&self) -> Vec<Oid> {
        self.reads.iter().map(|(oid, _)| *oid).collect()
    }
}

/// The condition `text` on rows of `relation`.
///
/// # Errors
/// Why it cannot be used.
pub(super) fn condition(text: &str, relation: &Relation, catalog: &CatalogSnapshot) -> Result<Condition, String> {
    if text.chars().any(char::is_control) {
        return Err("it holds control characters".to_owned());
    }
    is_one_expression(text)?;
    let before = format!("SELECT 1 FROM {}.{} WHERE (", quote_ident(&relation.schema), quote_ident(&relation.name));
    let start = lex(&before).map_err(|refusal| refusal.message)?.len();
    let (mut tokens, mut bound) = read(&before, text, catalog, true)?;
    let quiet = is_quiet(&bound, &tokens);
    let when_planned = quiet && !read(&before, text, catalog, false).is_ok_and(|(own, bound)| is_quiet(&bound, &own));
    let foreign = foreign(&bound, start, catalog);
    let inside = tokens.get(start..tokens.len().saturating_sub(1)).unwrap_or(&[]);
    if let Some(text) = operators::qualified(inside, &foreign, catalog)? {
        (tokens, bound) = read(&before, &text, catalog, true)?;
    }
    let end = tokens.len().saturating_sub(1);
    let Some(own) = bound.relations.first().filter(|own| own.oid == relation.oid) else {
        return Err("it does not stand on its own".to_owned());
    };
    if own.whole_row.is_some() || !own.system.is_empty() || own.starred {
        return Err("it reads the row as a whole, or a system column".to_owned());
    }
    if bound.relations.iter().any(|used| used.role != Role::Source) {
        return Err("it writes".to_owned());
    }
    for function in bound.functions.iter().filter(|function| function.schema.is_none()) {
        if catalog.functions_named(&function.name).next().is_some() {
            return Err(format!("function {} needs its schema, or pg_catalog, before its name", function.name));
        }
    }
    bare_names(tokens.get(start..end).unwrap_or(&[]), catalog)?;
    // What was put in the place of its operators leaves nothing to be said otherwise.
    if operators::qualified(tokens.get(start..end).unwrap_or(&[]), &[], catalog)?.is_some() {
        return Err("which operators it means depends on the search path".to_owned());
    }
    for (name, types) in &bound.types {
        if types.len() == 1 && catalog.types_named(name).next().is_some() {
            return Err(format!("type {name} needs its schema, or pg_catalog, before its name"));
        }
    }
    let mut out = String::new();
    let mut print = |part: &str| {
        if !out.is_empty() && !part.is_empty() {
            out.push(' ');
        }
        out.push_str(part);
    };
    let mut printed: Vec<usize> = Vec::new();
    let mut references: Vec<_> = bound.references.iter().filter(|reference| reference.relation == 0).collect();
    references.sort_by_key(|reference| reference.tokens.start);
    let mut at = start;
    for reference in references {
        let column = reference.column.and_then(|position| relation.columns.get(position));
        let column = column.ok_or("it reads a column that is not known")?;
        let between = tokens.get(at..reference.tokens.start).ok_or("it reads one column in two ways")?;
        printed.extend(at..reference.tokens.start);
        print(&emit::text(between));
        print(&format!("{ROW}.{}", quote_ident(&column.name)));
        at = reference.tokens.end;
    }
    let rest = tokens.get(at..end).unwrap_or(&[]);
    printed.extend(at..end);
    print(&emit::text(rest));
    let columns = no_rows(&bound);
    let names = printed.into_iter().filter(|at| !columns.contains(at)).filter_map(|at| tokens.get(at));
    let names = names.filter(|token| token.is_name()).map(|token| token.name().into());
    let own = columns_read(&bound, 0, catalog)?.1;
    let settled = if when_planned { settled(&bound, &own) } else { BTreeSet::new() };
    let reads = (1..bound.relations.len()).map(|id| columns_read(&bound, id, catalog)).collect::<Result<_, _>>()?;
    Ok(Condition { sql: SqlTemplate::new(&out).capturing(names), own, reads, fails: !quiet, settled })
}

/// Complains about names that the session's search path could give another meaning: collations of the database, and `substring(a, b)`, which is
/// looked up as functions are, unlike the forms of the grammar.
fn bare_names(tokens: &[Token], catalog: &CatalogSnapshot) -> Result<(), String> {
    let is = |at: usize, kind: Kind| tokens.get(at).is_some_and(|token| token.kind == kind);
    for (at, token) in tokens.iter().enumerate() {
        if token.is_word("collate")
            && !is(at + 2, Kind::Dot)
            && let Some(name) = tokens.get(at + 1)
            && catalog.data().collations.iter().any(|(_, known)| *known == *name.name())
        {
            return Err(format!("collation {} needs its schema before its name", name.name()));
        }
        let called = (token.is_word("substring") || token.is_word("overlay"))
            && is(at + 1, Kind::Open)
            && !at.checked_sub(1).is_some_and(|before| is(before, Kind::Dot))
            && catalog.functions_named(token.name()).next().is_some();
        if called && has_comma(tokens, at + 1) {
            return Err(format!("function {} needs its schema, or pg_catalog, before its name", token.name()));
        }
    }
    Ok(())
}

/// Whether a comma stands in the brackets that open at `open`, and in none within.
fn has_comma(tokens: &[Token], open: usize) -> bool {
    let mut depth = 0_usize;
    for token in tokens.iter().skip(open) {
        match token.kind.nesting() {
            Nesting::Opens => depth += 1,
            Nesting::Closes => depth = depth.saturating_sub(1),
            Nesting::Stays if depth == 1 && token.kind == Kind::Comma => return true,
            Nesting::Stays => {}
        }
        if depth == 0 {
            return false;
        }
    }
    false
}

/// The columns of the row that are compared with settings, of those that are read: all, where that is not certain. A column of a sub-select
/// that the condition compares with nothing else can be compared with nothing by a statement either.
fn settled(bound: &Bound, own: &BTreeSet<usize>) -> BTreeSet<usize> {
    let column = |token: &Option<usize>| {
        let token = (*token)?;
        let found = bound.references.iter().find(|reference| reference.tokens.contains(&token))?;
        let column = found.column?;
        let same = |other: &&Reference| other.relation == found.relation && other.column == found.column;
        let merged =
            bound.relations.get(found.relation).and_then(|used| used.marks.get(column)).is_none_or(|mark| mark.merged);
        let alone = || !merged && bound.references.iter().filter(same).count() == 1;
        if found.relation == 0 { Some(Some(column)) } else { alone().then_some(None) }
    };
    let beside = bound.failing.iter().flat_map(|failing| &failing.beside_settings);
    let columns: Option<Vec<_>> = beside.map(column).collect();
    columns.map_or_else(|| own.clone(), |columns| columns.into_iter().flatten().collect())
}

/// Whether a condition of ours on rows of `relation` can fail on a row, or on one that it reads; one that cannot be read may.
pub(super) fn fails(sql: &SqlTemplate, relation: &Relation, catalog: &CatalogSnapshot) -> bool {
    let name = format!("{RESERVED_PREFIX}row");
    let text = sql.fill_row("", Row { name: &name, few: false });
    let table = format!("{}.{}", quote_ident(&relation.schema), quote_ident(&relation.name));
    let read = read(&format!("SELECT 1 FROM {table} AS {name} WHERE ("), text.as_str(), catalog, false);
    !read.is_ok_and(|(tokens, bound)| is_quiet(&bound, &tokens))
}

/// Whether what was bound can fail on no value.
fn is_quiet(bound: &Bound, tokens: &[Token]) -> bool {
    let holds = |found: &Failing| !found.conditions && found.constants_hold(tokens, &mut Reads::default());
    bound.failing.as_ref().is_some_and(holds)
}

/// The tokens of a query that ends with the condition in brackets, and what they mean ([`bind_condition`]).
fn read(before: &str, text: &str, catalog: &CatalogSnapshot, planned: bool) -> Result<(Vec<Token>, Bound), String> {
    let tokens = lex(&format!("{before}{text})")).map_err(|refusal| refusal.message)?;
    let statement = parse_statement(&tokens, 0).map_err(|refusal| refusal.message)?;
    let bound = bind_condition(&statement, &tokens, catalog, planned).map_err(|refusal| refusal.message)?;
    Ok((tokens, bound))
}

/// Where values of types that are no built-in ones come in, by number of the token in the condition, which `start` stand before.
fn foreign(bound: &Bound, start: usize, catalog: &CatalogSnapshot) -> Vec<Foreign> {
    let place = |tokens: &Range<usize>| tokens.start.saturating_sub(start)..tokens.end.saturating_sub(start);
    let columns = bound.references.iter().filter_map(|reference| {
        let relation = catalog.relation(bound.relations.get(reference.relation)?.oid)?;
        let column = relation.columns.get(reference.column?)?;
        let what = || format!("{} is {}", column.name, column.type_sql_plain);
        is_foreign(column, catalog).then(|| Foreign { tokens: place(&reference.tokens), what: what() })
    });
    // One without a schema is complained about by itself.
    let functions =
        bound.functions.iter().filter(|function| function.schema.as_deref().is_some_and(|one| one != "pg_catalog"));
    let functions = functions.filter(|function| catalog.functions_named(&function.name).next().is_some());
    let functions = functions.map(|function| Foreign {
        tokens: place(&(function.token..function.token + 1)),
        what: format!("{} may return any type", function.name),
    });
    let types = bound.types.iter().filter(|(name, _)| {
        let name = name.rsplit('.').next().unwrap_or(name);
        catalog.types_named(name).any(|one| matches!(one.kind, 'b' | 'd'))
    });
    let types =
        types.map(|(name, tokens)| Foreign { tokens: place(tokens), what: format!("{name} is no built-in type") });
    columns.chain(functions).chain(types).collect()
}

/// Tokens that give no name to rows: columns at the end of references, and tables that have an alias.
fn no_rows(bound: &Bound) -> BTreeSet<usize> {
    let named = bound.references.iter().filter(|reference| reference.column.is_some());
    let columns = named.filter_map(|reference| reference.tokens.end.checked_sub(1));
    let tables = bound.relations.iter().filter(|used| used.has_alias).flat_map(|used| used.name.clone());
    columns.chain(tables).collect()
}

/// The columns of a relation on which a condition may depend: all, where that is not certain.
fn columns_read(bound: &Bound, id: usize, catalog: &CatalogSnapshot) -> Result<(Oid, BTreeSet<usize>), String> {
    let unknown = || "it reads a relation that is not known".to_owned();
    let used = bound.relations.get(id).ok_or_else(unknown)?;
    let starred = bound.stars.iter().any(|star| star.relations.contains(&id) && !star.ignored);
    let all = starred || used.whole_row.is_some() || used.entangled || !used.system.is_empty();
    let width = catalog.relation(used.oid).ok_or_else(unknown)?.columns.len();
    let merged = used.marks.iter().enumerate().filter(|(_, mark)| mark.merged).map(|(position, _)| position);
    let referred = bound.references.iter().filter(|one| one.relation == id);
    let named = referred.filter_map(|one| one.column).chain(merged);
    Ok((used.oid, if all { (0..width).collect() } else { named.collect() }))
}

/// Complains of a text that would end the brackets around it.
fn is_one_expression(text: &str) -> Result<(), String> {
    let tokens = lex(text).map_err(|refusal| refusal.message)?;
    let mut depth = 0_usize;
    for token in &tokens {
        match token.kind.nesting() {
            Nesting::Opens => depth += 1,
            Nesting::Closes => depth = depth.checked_sub(1).ok_or("a bracket is closed that was not opened")?,
            Nesting::Stays => {}
        }
        if token.kind == Kind::Semicolon {
            return Err("it is more than one expression".to_owned());
        }
        if token.kind == Kind::Parameter {
            return Err("it has a parameter".to_owned());
        }
        if token.is_name() && token.name().starts_with(RESERVED_PREFIX) {
            return Err(format!("names that start with \"{RESERVED_PREFIX}\" are reserved"));
        }
    }
    match (tokens.is_empty(), depth) {
        (true, _) => Err("it is empty".to_owned()),
        (false, 0) => Ok(()),
        (false, _) => Err("a bracket is not closed".to_owned()),
    }
}
