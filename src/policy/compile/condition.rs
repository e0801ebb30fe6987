//! A condition that a rule writes as SQL → an [`SqlTemplate`] over the name of the row. Invariants: it reads one row of its
//! relation and whatever sub-selects name with their schema; nothing in it means something else on another search path.

use std::{collections::BTreeSet, ops::Range};

use super::operators::{self, Foreign, is_foreign};
use crate::{
    bind::{Bound, Role, bind_condition},
    catalog::{CatalogSnapshot, Relation},
    names::{Oid, quote_ident},
    policy::{SqlTemplate, compiled::ROW},
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
    let (mut tokens, mut bound) = read(&before, text, catalog)?;
    let failing = bound.failing.take();
    let quiet = failing.is_some_and(|found| !found.conditions && found.constants_hold(&tokens, &mut Reads::default()));
    let foreign = foreign(&bound, start, catalog);
    let inside = tokens.get(start..tokens.len().saturating_sub(1)).unwrap_or(&[]);
    if let Some(text) = operators::qualified(inside, &foreign, catalog)? {
        (tokens, bound) = read(&before, &text, catalog)?;
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
    let reads = (1..bound.relations.len()).map(|id| columns_read(&bound, id, catalog)).collect::<Result<_, _>>()?;
    Ok(Condition {
        sql: SqlTemplate::new(&out).capturing(names),
        own: columns_read(&bound, 0, catalog)?.1,
        reads,
        fails: !quiet,
    })
}

/// The tokens of a query that ends with the condition in brackets, and what they mean.
fn read(before: &str, text: &str, catalog: &CatalogSnapshot) -> Result<(Vec<Token>, Bound), String> {
    let tokens = lex(&format!("{before}{text})")).map_err(|refusal| refusal.message)?;
    let statement = parse_statement(&tokens, 0).map_err(|refusal| refusal.message)?;
    let bound = bind_condition(&statement, &tokens, catalog).map_err(|refusal| refusal.message)?;
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
