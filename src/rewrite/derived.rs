//! Sources: the masked derived table in the place of each protected relation, and the repairs around it.

use std::{collections::HashSet, fmt::Write as _};

use foldhash::fast::FixedState;

use super::{
    Edits, Job,
    exact::{inside, searched},
    inline,
    locking::{Locking, locking, refused},
    names::{
        derived_from, derived_item, hidden, lacks_equality, protected, qualified, relation, scope_clause, treatment,
    },
    scope::{is_barrier, is_behind_gate, is_unsure},
};
use crate::{
    bind::{Reference, RelationUse, Role, WholeUse},
    error::{Refusal, RefusalCode},
    names::quote_ident,
    policy::{RelationPolicy, Search, Treatment, compiled::withheld},
    sql::{RESERVED_PREFIX, emit},
};

/// References (by number) whose comparison sees the stored value.
pub(super) type Exact = HashSet<usize, FixedState>;

/// Rewrites every source; answers with the references that were moved inside, or stay, as exact comparisons.
pub(super) fn sources(job: &Job<'_>, references: &[Vec<usize>], edits: &mut Edits) -> Result<Exact, Refusal> {
    let mut exact = Exact::default();
    let mut expand = vec![false; job.bound.relations.len()];
    let own = |id: usize| references.get(id).map_or(&[][..], Vec::as_slice);
    for (id, used) in job.bound.relations.iter().enumerate() {
        let data = relation(job, used)?;
        let policy = protected(job.role, used);
        match (used.role, policy) {
            (Role::Source, Some(policy)) if !job.is_inline(id) => {
                source(job, id, own(id), policy, edits, &mut exact, &mut expand)?;
            }
            (Role::Source | Role::Update | Role::Delete | Role::Insert | Role::Merge, _) => {
                if job.tokens.get(used.name.clone()).map(emit::text).as_deref() != Some(&qualified(data)) {
                    edits.replace(used.name.clone(), qualified(data), used.role != Role::Source);
                }
                if let Some(policy) = policy.filter(|_| used.role == Role::Source) {
                    inline::references(job, id, own(id), policy, edits, &mut exact)?;
                }
            }
        }
    }
    rows(job, edits)?;
    stars(job, &expand, edits)?;
    groups(job, references, &exact, edits)?;
    Ok(exact)
}

fn source(
    job: &Job<'_>,
    id: usize,
    references: &[usize],
    policy: &RelationPolicy,
    edits: &mut Edits,
    exact: &mut Exact,
    expand: &mut [bool],
) -> Result<(), Refusal> {
    let Some(used) = job.bound.relations.get(id) else { return Ok(()) };
    let data = relation(job, used)?;
    let mut list: Vec<String> = Vec::new();
    let every = used.starred || used.whole_row.is_some();
    for (position, column) in data.columns.iter().enumerate() {
        let marked = used.marks.get(position).is_some_and(|mark| mark.used);
        if !every && !marked {
            continue;
        }
        let item = derived_item(policy, position, column, job.few);
        list.push(match &policy.scope {
            // Rows that are here meet the scope: the value is the same, and is no column of which there are statistics.
            Some(scope) if *treatment(policy, position) == Treatment::Clear && job.scoping.pattern => format!(
                "CASE WHEN {} THEN {} ELSE {} END AS {}",
                scope.sql.fill_row("", job.inner_row()),
                quote_ident(&column.name),
                withheld(column),
                quote_ident(&column.name)
            ),
            Some(_) | None => item,
        });
    }
    let mut extra = used.system.clone();
    let mut asked = Vec::new();
    let references = || references.iter().filter_map(|number| Some((*number, job.bound.references.get(*number)?)));
    for (number, reference) in references() {
        if reference.compared.is_none() {
            continue;
        }
        let Some(position) = reference.column else { continue };
        let Some(rule) = hidden(policy, position) else { continue };
        let stars_known =
            || job.bound.stars.iter().filter(|star| star.relations.contains(&id)).all(|star| star.complete);
        if used.whole_row.is_some() || !stars_known() {
            continue;
        }
        let Some(compared) = searched(job, reference, rule, &mut edits.reads) else { continue };
        let column = data.columns.get(position).map_or("", |column| column.name.as_str());
        let name = format!("{RESERVED_PREFIX}{number}");
        let text = inside(job, reference, compared, &quote_ident(column));
        list.push(match &rule.gate {
            None => format!("{text} AS {name}"),
            Some(gate) => {
                let sql = gate.sql.fill_row("", job.inner_row());
                if compared.conjunct && is_behind_gate(job, gate) && !gate.fails && asks_first(job, used, policy) {
                    asked.push(format!("({text} AND {sql})"));
                    format!("true AS {name}")
                } else if compared.alone && !is_behind_gate(job, gate) {
                    format!("({text} AND {sql}) AS {name}")
                } else {
                    format!("CASE WHEN {sql} THEN {text} END AS {name}")
                }
            }
        });
        edits.replace(compared.tokens.clone(), format!("{}.{name}", quote_ident(&used.alias)), false);
        extra.push(name);
        exact.insert(number);
        if rule.search == Search::Exact {
            edits.exact.push((id, position));
            edits.searched.add(job.tokens, compared, &mut edits.reads);
        }
    }
    let mut barrier = policy.scope.as_ref().is_some_and(|scope| is_barrier(job, scope));
    if let Some(scope) = policy.scope.as_ref().filter(|_| barrier) {
        match locking(job, used) {
            Locking::No => {}
            Locking::Among => return Err(refused(job, used, scope)),
            Locking::Alone(condition) => {
                barrier = false;
                if let Some(range) = condition {
                    let name = format!("{RESERVED_PREFIX}scope");
                    list.push(format!("({}) AS {name}", scope.sql.fill_row("", job.inner_row())));
                    let open = format!("CASE WHEN {}.{name} THEN (", quote_ident(&used.alias));
                    edits.around(&range, open, ") ELSE false END".to_owned());
                    extra.push(name);
                }
            }
        }
    }
    if !used.system.is_empty() {
        if let Some(WholeUse::Expression(_) | WholeUse::AliasColumns | WholeUse::Natural) = used.whole_row {
            return Err(Refusal::new(
                RefusalCode::Unsupported,
                format!("system columns together with the whole row of {} are not supported", data.name),
            ));
        }
        list.extend(used.system.iter().cloned());
    }
    if !extra.is_empty()
        && let Some(flag) = expand.get_mut(id)
    {
        *flag = true;
    }

    let mut text = String::from("(SELECT ");
    text.push_str(&list.join(", "));
    let _ = write!(text, " FROM {}", derived_from(policy, used, data));
    if let Some(sample) = &used.sample {
        let clause = job.tokens.get(sample.clone()).map(emit::text_with_holes).unwrap_or_default();
        let _ = write!(text, " {clause}");
        edits.replace(sample.clone(), String::new(), false);
    }
    if let Some(scope) = &policy.scope {
        text.push_str(&scope_clause(scope, job.few, barrier));
    }
    if let Some((first, others)) = asked.split_first() {
        let _ = write!(text, " WHERE {first}");
        // A constant of another may fail: it is computed behind the first and its gate.
        if !others.is_empty() {
            let _ = write!(text, " AND CASE WHEN {first} THEN {} ELSE false END", others.join(" AND "));
        }
        text.push_str(" OFFSET 0");
    }
    text.push(')');
    if !used.has_alias {
        let _ = write!(text, " AS {}", quote_ident(&used.alias));
    }
    edits.replace(used.whole.clone(), text, true);

    for (number, reference) in references() {
        if reference.schema_qualified && !exact.contains(&number) {
            let end = reference.tokens.end;
            let column = job.tokens.get(end - 1..end).map(emit::text).unwrap_or_default();
            edits.replace(reference.tokens.clone(), format!("{}.{column}", quote_ident(&used.alias)), false);
        }
    }
    Ok(())
}

/// Whether what WHERE asks of a hidden value may be asked before all else, in the derived table, so that only rows which it is true of reach
/// the rest of the statement. Rows would be locked there that the rest does not want; and a scope, what a view computes and policies of the database
/// may fail, and would be evaluated between the comparison and its gate.
fn asks_first(job: &Job<'_>, used: &RelationUse, policy: &RelationPolicy) -> bool {
    let plain = !is_unsure(job.catalog, used) && !job.catalog.reads_more(used.oid);
    policy.scope.is_none() && plain && matches!(locking(job, used), Locking::No)
}

/// A row keeps its type. Above an outer join the cast would make a row of NULLs of a NULL row, so there it stays a record.
fn rows(job: &Job<'_>, edits: &mut Edits) -> Result<(), Refusal> {
    if job.tokens.iter().any(|token| ["left", "right", "full"].iter().any(|word| token.is_word(word))) {
        return Ok(());
    }
    for reference in job.bound.references.iter().filter(|reference| reference.row) {
        let Some(used) = job.bound.relations.get(reference.relation) else { continue };
        if used.role == Role::Source && !job.is_inline(reference.relation) && protected(job.role, used).is_some() {
            let row = job.tokens.get(reference.tokens.clone()).map(emit::text).unwrap_or_default();
            let text = format!("({row})::{}", qualified(relation(job, used)?));
            edits.replace(reference.tokens.clone(), text, false);
        }
    }
    Ok(())
}

/// Stars over relations whose derived list has more columns than the table, and schema-qualified stars.
fn stars(job: &Job<'_>, expand: &[bool], edits: &mut Edits) -> Result<(), Refusal> {
    for star in &job.bound.stars {
        let target =
            star.relations.iter().any(|id| job.bound.relations.get(*id).is_some_and(|used| used.role != Role::Source));
        if target {
            continue; // RETURNING: with the targets.
        }
        let hides = inline::hides(job, star);
        let mut columns = star.columns.iter().filter_map(|column| column.origin);
        let one = !star.ignored && columns.any(|(id, position)| is_one_of_group(job, id, position));
        if hides || one || star.relations.iter().any(|id| expand.get(*id).copied().unwrap_or(false)) {
            if !star.complete || star.columns.is_empty() {
                return Err(Refusal::new(RefusalCode::Unsupported, "this use of * is not supported here")
                    .with_hint("Name the columns."));
            }
            edits.replace(star.tokens.clone(), inline::masked_star(job, star), hides);
        } else if star.tokens.len() > 3 {
            let derived = star
                .relations
                .iter()
                .filter(|id| !job.is_inline(**id))
                .find_map(|id| job.bound.relations.get(*id).filter(|used| protected(job.role, used).is_some()));
            if let Some(used) = derived {
                edits.replace(star.tokens.clone(), format!("{}.*", quote_ident(&used.alias)), false);
            }
        }
    }
    Ok(())
}

/// `GROUP BY primary_key` covers a table's other columns, but not a derived table's: they are added.
fn groups(job: &Job<'_>, references: &[Vec<usize>], exact: &Exact, edits: &mut Edits) -> Result<(), Refusal> {
    for (block_number, block) in job.bound.blocks.iter().enumerate() {
        let Some(insert_at) = block.insert_at else { continue };
        let mut added = String::new();
        for (id, used) in job.bound.relations.iter().enumerate() {
            let derived = used.role == Role::Source && !job.is_inline(id) && protected(job.role, used).is_some();
            if used.block != Some(block_number) || !derived {
                continue;
            }
            if !groups_by_key(job, block_number, id) {
                continue;
            }
            let data = relation(job, used)?;
            let grouped = |position: usize| block.grouped.contains(&(id, position));
            for (position, column) in data.columns.iter().enumerate() {
                let needed = used.marks.get(position).is_some_and(|mark| mark.ungrouped);
                if needed && !grouped(position) && lacks_equality(column) {
                    let own = references.get(id).map_or(&[][..], Vec::as_slice).iter();
                    let own = own.filter_map(|number| job.bound.references.get(*number));
                    for reference in own.filter(|r| r.column == Some(position) && r.ungrouped && !r.schema_qualified) {
                        reference_of_group(job, reference, edits);
                    }
                } else if needed && !grouped(position) {
                    let _ = write!(added, "{}.{}, ", quote_ident(&used.alias), quote_ident(&column.name));
                }
            }
        }
        for number in exact {
            let Some(reference) = job.bound.references.get(*number).filter(|reference| reference.grouped) else {
                continue;
            };
            let used = job.bound.relations.get(reference.relation).filter(|used| used.block == Some(block_number));
            if let Some(used) = used.filter(|_| !job.is_inline(reference.relation)) {
                let _ = write!(added, "{}.{RESERVED_PREFIX}{number}, ", quote_ident(&used.alias));
            }
        }
        if !added.is_empty() {
            edits.insert(insert_at, added);
        }
    }
    Ok(())
}

/// Whether a block groups by the primary key of a relation in it.
pub(super) fn groups_by_key(job: &Job<'_>, block: usize, id: usize) -> bool {
    let used = job.bound.relations.get(id).filter(|used| used.block == Some(block));
    let data = used.and_then(|used| job.catalog.relation(used.oid));
    let Some((data, block)) = data.zip(job.bound.blocks.get(block)) else { return false };
    let position = |key: &_| data.columns.iter().position(|column| column.attnum == *key);
    let grouped = |key: &_| position(key).is_some_and(|position| block.grouped.contains(&(id, position)));
    !data.primary_key.is_empty() && data.primary_key.iter().all(grouped)
}

/// Whether a column of a derived table is one that GROUP BY of the table's primary key covers, and that cannot be added to it.
pub(super) fn is_one_of_group(job: &Job<'_>, id: usize, position: usize) -> bool {
    let used = job.bound.relations.get(id).filter(|used| used.role == Role::Source && !job.is_inline(id));
    let Some((used, block)) = used.and_then(|used| Some((used, used.block?))) else { return false };
    let column = job.catalog.relation(used.oid).and_then(|data| data.columns.get(position));
    protected(job.role, used).is_some()
        && column.is_some_and(lacks_equality)
        && groups_by_key(job, block, id)
        && job.bound.blocks.get(block).is_some_and(|block| !block.grouped.contains(&(id, position)))
}

/// A column that cannot be grouped by has one value in a group of one row: any of them is it.
pub(super) fn one_of_group(operand: &str) -> String {
    format!("(pg_catalog.array_agg({operand}))[1]")
}

/// The same for a reference, which may give its name to an item.
fn reference_of_group(job: &Job<'_>, reference: &Reference, edits: &mut Edits) {
    let operand = job.tokens.get(reference.tokens.clone()).map(emit::text).unwrap_or_default();
    edits.replace(reference.tokens.clone(), one_of_group(&operand), false);
    let item = job.item_around(reference.tokens.start);
    if let Some((at, text)) = item.and_then(inline::restored_name) {
        edits.restore(at, text);
    }
}
