//! What the rules forbid: refused columns and searches, relations, functions, operators, types, masked sources.

use std::{collections::HashSet, ops::Range};

use super::{
    Edits, Job,
    domains::{Taking, has_constants},
    functions, leaving,
    names::{hidden, protected, qualified, relation, treatment},
};
use crate::{
    bind::{Assigned, Reference, RelationUse, Role, Usages},
    catalog::{
        Relation,
        data::{FunctionData, OperatorData, RelationKind, TypeData},
        system::{SystemRelation, is_refused_anywhere, system_relation},
    },
    error::{Refusal, RefusalCode},
    names::{FIRST_USER_OID, Oid},
    policy::{ColumnPolicy, RolePolicy, Search, Treatment, WriteBack},
    sql::{Kind, Nesting, Token},
};

/// Judges a bound statement; qualifies function names that something in the catalog could shadow.
///
/// # Errors
/// The first thing that is forbidden.
pub fn check(job: &Job<'_>, edits: &mut Edits) -> Result<(), Refusal> {
    path(job)?;
    relations(job)?;
    columns(job)?;
    for function in &job.bound.functions {
        functions::check_function(job, function, edits)?;
    }
    for (name, tokens) in &job.bound.types {
        job.catalog.usable_type(name).map_err(|refusal| at(job, refusal, tokens.start))?;
        if job.catalog.types_named(name).any(|user| runs_unlisted(job.role, user)) {
            let refusal = Refusal::new(RefusalCode::TypeNotAllowed, format!("type {name} is not allowed"))
                .with_hint("A cast of this type runs a function that the rules do not list.");
            return Err(at(job, refusal, tokens.start));
        }
        if job.catalog.types_named(name).any(|user| is_compared_by_unlisted(job.role, user)) {
            return Err(at(job, compared_by_unlisted(format!("type {name} is not allowed")), tokens.start));
        }
    }
    casts(job)?;
    leaving::check(job)?;
    compared(job)?;
    assigned(job)
}

/// Types, collations and the like that a search path puts before those of `pg_catalog` with the same names: what the client's words and
/// the rules' conditions mean would be another thing.
fn path(job: &Job<'_>) -> Result<(), Refusal> {
    let before = || job.path.iter().take_while(|schema| *schema != "pg_catalog");
    let shadows = job.catalog.data().shadows.iter().filter(|shadow| before().any(|schema| *schema == shadow.schema));
    for shadow in shadows {
        let token = || job.tokens.iter().position(|token| token.is_name() && token.name() == shadow.name);
        let Some(place) = (if shadow.row { token() } else { Some(0) }) else { continue };
        let message = format!("{}.{} stands before that of pg_catalog in search_path", shadow.schema, shadow.name);
        let hint = "Put pg_catalog first in search_path, or leave it out: it is searched first then.";
        return Err(at(job, Refusal::new(RefusalCode::TypeNotAllowed, message).with_hint(hint), place));
    }
    Ok(())
}

/// Types that functions of the database compare, where neither a column nor a name in the text shows that there are values of one: what
/// functions of the database return, and any expression, if the type is built-in.
fn compared(job: &Job<'_>) -> Result<(), Refusal> {
    let types = job.catalog.data().types.iter();
    if let Some(kind) = types.clone().find(|kind| unlisted(job.role, &kind.cast_by)) {
        let message = format!("functions of the database cast values of built-in types to {}", kind.name);
        return Err(Refusal::new(RefusalCode::TypeNotAllowed, message).with_hint(
            "CREATE CAST names them. List them for this role, or no statement of it can be told not to run them.",
        ));
    }
    let unlisted: Vec<&TypeData> = types.filter(|kind| is_compared_by_unlisted(job.role, kind)).collect();
    if unlisted.is_empty() {
        return Ok(());
    }
    if let Some(kind) = unlisted.iter().find(|kind| kind.oid < FIRST_USER_OID) {
        let message = format!("functions of the database compare all values of type {}", kind.name);
        return Err(Refusal::new(RefusalCode::TypeNotAllowed, message).with_hint(
            "They are in its default operator class. List them for this role, or no statement of it can be told not to run them.",
        ));
    }
    for function in &job.bound.functions {
        let gives = |user: &FunctionData| {
            let named = user.result_type.is_none_or(|result| unlisted.iter().any(|kind| kind.oid == result));
            user.extension.is_none() && (named || !user.out_names.is_empty())
        };
        if job.catalog.functions_named(&function.name).any(gives) {
            let message = format!("function {} may give values of a type that is not allowed", function.name);
            return Err(at(job, compared_by_unlisted(message), function.token));
        }
    }
    let operators = job.tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Operator);
    for (index, token) in operators {
        let gives = |user: &OperatorData| unlisted.iter().any(|kind| user.result == Some(kind.oid));
        if job.catalog.operators_named(token.name()).any(gives) {
            let message = format!("operator {} may give values of a type that is not allowed", token.name());
            return Err(at(job, compared_by_unlisted(message), index));
        }
    }
    Ok(())
}

const BECOMES: &str = "A constant that becomes a value of this type runs a function that the rules do not list. The column may be \
     shown as it is, by a query without others inside.";

/// Columns whose type runs a user's function without a cast in the text: when it is cast without being asked, or when a constant that
/// meets a value of it becomes one (`coalesce(tags, '{…}')`), which checks the elements of an array, the fields of a row, the bounds of
/// a range. What a constant becomes beside a domain of scalars says [`super::domains`].
fn casts(job: &Job<'_>) -> Result<(), Refusal> {
    // Types of PostgreSQL's own are listed for casts to or from others, which a text would have to name.
    let checks = |kind: &TypeData| runs_unlisted(job.role, kind) && kind.oid >= FIRST_USER_OID;
    let implicitly = |kind: &TypeData| {
        kind.casts_implicitly && (kind.implicitly_by.is_empty() || unlisted(job.role, &kind.implicitly_by))
    };
    let compares = |kind: &TypeData| is_compared_by_unlisted(job.role, kind);
    let types = job.catalog.data().types.iter();
    let running: Vec<_> = types.filter(|kind| implicitly(kind) || checks(kind) || compares(kind)).collect();
    if running.is_empty() {
        return Ok(());
    }
    let taking = Taking::of(job);
    for function in &job.bound.functions {
        // A constant beside an array or a row becomes one, beside a scalar only where something takes both. What else it gives is not known.
        let gives = |user: &FunctionData| {
            let checked = |kind: &&&TypeData| user.result_type == Some(kind.oid) && checks(kind);
            if let Some(kind) = running.iter().find(checked) {
                return taking.is_some() || (kind.kind != 'd' && has_constants(job, function.token));
            }
            let columns = user.extension.is_none() && !user.out_names.is_empty();
            columns && taking.is_some() && running.iter().any(|kind| checks(kind))
        };
        if job.catalog.functions_named(&function.name).any(gives) {
            let message = format!("function {} gives values of a type that is not allowed", function.name);
            let refusal = Refusal::new(RefusalCode::TypeNotAllowed, message);
            return Err(at(job, refusal.with_hint(BECOMES), function.token));
        }
    }
    for (id, used) in job.bound.relations.iter().enumerate() {
        let columns = relation(job, used)?.columns.iter().zip(&used.marks);
        for (position, (column, mark)) in columns.enumerate() {
            let Some(kind) = running.iter().find(|kind| kind.oid == column.type_oid) else { continue };
            let alone = !mark.usages.any(Usages::COMPARED) && is_shown_alone(job, id, position);
            if compares(kind) && (used.whole_row.is_some() || (mark.used && !alone)) {
                let message = format!("column {} is of a type that is not allowed", column.name);
                return Err(at(job, compared_by_unlisted(message), used.name.start));
            }
            let checks = checks(kind);
            let parts = matches!(column.type_category, 'A' | 'C' | 'R');
            let whole = used.whole_row.is_some() && checks && (parts || column.type_kind == 'd');
            let inside = mark.used
                && checks
                && (parts || taking.as_ref().is_some_and(|taking| taking.takes(job, (id, position))))
                && !is_shown_alone(job, id, position);
            if whole || inside || (mark.used && implicitly(kind)) {
                let refusal = Refusal::new(
                    RefusalCode::TypeNotAllowed,
                    format!("column {} is of a type that is not allowed", column.name),
                )
                .with_hint(if implicitly(kind) {
                    "PostgreSQL may cast it by a function that the rules do not list."
                } else {
                    BECOMES
                });
                return Err(at(job, refusal, used.name.start));
            }
        }
    }
    Ok(())
}

fn compared_by_unlisted(message: String) -> Refusal {
    Refusal::new(RefusalCode::TypeNotAllowed, message).with_hint(
        "PostgreSQL compares its values by functions that the rules do not list. A column may be shown as it is, by a query without \
         others inside.",
    )
}

/// Whether values of a type are compared by functions of the database that the rules do not list, also where no operator is written.
pub fn is_compared_by_unlisted(role: &RolePolicy, kind: &TypeData) -> bool {
    unlisted(role, &kind.compared_by)
}

/// Whether one of these functions may not be run by the role.
pub(super) fn unlisted(role: &RolePolicy, functions: &[Oid]) -> bool {
    functions.iter().any(|function| !role.functions.contains(function))
}

/// Whether making a value of a type, or casting one, may run a function of the database that the rules do not list.
pub(super) fn runs_unlisted(role: &RolePolicy, kind: &TypeData) -> bool {
    kind.has_user_cast && (kind.run_by.is_empty() || unlisted(role, &kind.run_by))
}

/// Whether every reference to a column is an output on its own, of a statement that is a single query block.
pub(super) fn is_shown_alone(job: &Job<'_>, id: usize, position: usize) -> bool {
    let references =
        job.bound.references.iter().filter(|one| one.relation == id && one.column == Some(position)).count();
    let outputs = job.bound.outputs.iter().filter(|output| output.plain == Some((id, position))).count();
    // A star makes outputs without references.
    job.bound.blocks.len() <= 1 && references <= outputs && (references == 0 || job.bound.stars.is_empty())
}

/// `refusal` with the place of a token.
pub(super) fn at(job: &Job<'_>, refusal: Refusal, index: usize) -> Refusal {
    match job.tokens.get(index) {
        Some(token) => refusal.at(token.start),
        None => refusal,
    }
}

fn relations(job: &Job<'_>) -> Result<(), Refusal> {
    for used in &job.bound.relations {
        let data = relation(job, used)?;
        job.catalog.usable(data).map_err(|refusal| at(job, refusal, used.name.start))?;
        let refused = if data.is_system() {
            matches!(system_relation(&data.schema, &data.name), SystemRelation::Refused)
        } else {
            is_refused_anywhere(&data.name)
        };
        if used.role != Role::Source && runs_rules(job, data) {
            let refusal = Refusal::new(RefusalCode::RelationNotAllowed, format!("permission denied for {}", data.name))
                .with_hint("A rule (CREATE RULE) makes other statements of a write to it, and those are not analysed.");
            return Err(at(job, refusal, used.name.start));
        }
        if refused || (data.is_system() && used.role != Role::Source) {
            let refusal = Refusal::new(RefusalCode::RelationNotAllowed, format!("permission denied for {}", data.name))
                .with_hint("Restricted roles may not use this system relation.");
            return Err(at(job, refusal, used.name.start));
        }
        if let Some(reason) = protected(job.role, used).and_then(|policy| policy.refuse.as_ref()) {
            let refusal =
                Refusal::new(RefusalCode::ViewNotUnderstood, format!("permission denied for view {}", data.name))
                    .with_hint(format!("Refused because {reason}. Rules that name all its columns lift this."));
            return Err(at(job, refusal, used.name.start));
        }
    }
    Ok(())
}

/// Whether a write to a relation could run rules: its own, or, as PostgreSQL writes through views, those of what its query uses.
fn runs_rules(job: &Job<'_>, data: &Relation) -> bool {
    let mut seen = HashSet::new();
    let mut under = vec![data];
    while let Some(data) = under.pop() {
        if data.has_rules {
            return true;
        }
        if data.kind == RelationKind::View {
            let used = data.uses_columns.iter().map(|used| used.relation).filter(|oid| seen.insert(*oid));
            under.extend(used.filter_map(|oid| job.catalog.relation(oid)));
        }
    }
    false
}

fn columns(job: &Job<'_>) -> Result<(), Refusal> {
    for (id, used) in job.bound.relations.iter().enumerate() {
        let Some(policy) = protected(job.role, used) else { continue };
        let data = relation(job, used)?;
        for (position, mark) in used.marks.iter().enumerate() {
            let Some(column) = hidden(policy, position) else { continue };
            let name = data.columns.get(position).map_or("", |column| column.name.as_str());
            let place = || {
                let mut references = job.bound.references.iter();
                references
                    .find(|reference| reference.relation == id && reference.column == Some(position))
                    .map_or(used.name.start, |reference| reference.tokens.start)
            };
            if mark.used && column.treatment == Treatment::Refuse {
                let refusal = Refusal::new(
                    RefusalCode::ColumnRefused,
                    format!("permission denied for column {name} of {}", data.name),
                )
                .with_hint("Name the columns that you need and leave this one out.")
                .with_rule(&*column.rule);
                return Err(at(job, refusal, place()));
            }
            if column.search == Search::Refuse && mark.usages.any(Usages::COMPARED) {
                let refusal = Refusal::new(
                    RefusalCode::SearchRefused,
                    format!("column {name} of {} may not be searched or sorted by", data.name),
                )
                .with_hint("Search by another column.")
                .with_rule(&*column.rule);
                return Err(at(job, refusal, place()));
            }
        }
    }
    Ok(())
}

fn assigned(job: &Job<'_>) -> Result<(), Refusal> {
    for assigned in &job.bound.assigned {
        let target = job.bound.relations.get(assigned.relation);
        let target = target.map(|used| relation(job, used)).transpose()?;
        if target.is_some_and(|target| job.catalog.is_temporary(target)) {
            // A mask destroys nothing there.
            continue;
        }
        for (id, position) in &assigned.deps {
            let Some(source) = job.bound.relations.get(*id) else { continue };
            if job.catalog.holds_masks(relation(job, source)?) {
                // Which of its columns hold them is not kept.
                let refusal = Refusal::new(RefusalCode::MaskedSource, "a masked value would be stored").with_hint(
                    "The temporary table has taken in values of columns that this role does not see in clear. Storing \
                     them elsewhere would destroy data.",
                );
                return Err(at(job, refusal, source.name.start));
            }
            let Some(policy) = protected(job.role, source) else { continue };
            // Behind a gate a value is the stored one or NULL: what is stored is never a mask.
            let gated =
                hidden(policy, *position).and_then(|column| column.gate.as_ref()).is_some_and(|gate| gate.clear);
            if *treatment(policy, *position) != Treatment::Clear
                && !gated
                && !keeps_itself(job, assigned, *id, *position)
            {
                return Err(masked_source(job, assigned, *id, *position));
            }
        }
        let Some(target) = job.bound.relations.get(assigned.relation) else { continue };
        leads(job, assigned, target)?;
        let Some(column) = protected(job.role, target).and_then(|policy| hidden(policy, assigned.column)) else {
            continue;
        };
        if assigned.update && column.write_back == WriteBack::Refuse {
            let refusal =
                Refusal::new(RefusalCode::WriteBackRefused, "this role may not change a column that it does not see")
                    .with_rule(&*column.rule);
            return Err(at(job, refusal, target.name.start));
        }
        if assigned.update && assigned.partial {
            let refusal =
                Refusal::new(RefusalCode::Unsupported, "an element or a field of a masked column cannot be assigned")
                    .with_hint("Assign the whole column.");
            return Err(at(job, refusal, target.name.start));
        }
        if column.stored_mask.is_some() && !assigned.default && !values_known(assigned) {
            let refusal = Refusal::new(
                RefusalCode::Unsupported,
                "values of a column that this role sees masked cannot be told in this form of a write",
            )
            .with_hint(
                "The rules refuse masks as values (store_masks). Write VALUES, or a SELECT that names its columns, without DISTINCT, GROUP BY \
                 and UNION; in MERGE and COPY leave the column out.",
            );
            return Err(at(job, refusal, target.name.start));
        }
        if assigned.update && assigned.value.is_none() && column.write_back == WriteBack::Keep {
            let refusal =
                Refusal::new(RefusalCode::Unsupported, "a masked column cannot be assigned together with others")
                    .with_hint("Assign it on its own: SET column = value.");
            return Err(at(job, refusal, target.name.start));
        }
    }
    Ok(())
}

/// Names the column that is read and the one that would take its mask in, as far as that is known, and points to where it is read.
fn masked_source(job: &Job<'_>, assigned: &Assigned, id: usize, position: usize) -> Refusal {
    let name = |id: usize, position: usize| {
        let used = job.bound.relations.get(id)?;
        relation(job, used).ok()?.columns.get(position).map(|column| column.name.as_str())
    };
    let reads = |reference: &&Reference| {
        let inside = assigned.value.as_ref().is_none_or(|value| value.contains(&reference.tokens.start));
        inside && reference.relation == id && reference.column == Some(position)
    };
    let place = job.bound.references.iter().find(reads).map(|reference| reference.tokens.start);
    // Every source of an INSERT counts for every column; where its values stand says which.
    let takes_in = |other: &&Assigned| {
        let rows = other.rows.iter().flatten();
        other.relation == assigned.relation && rows.into_iter().any(|row| place.is_some_and(|at| row.contains(&at)))
    };
    let alone = || {
        let mut inserted =
            job.bound.assigned.iter().filter(|other| other.relation == assigned.relation && !other.update);
        inserted.next().filter(|_| inserted.next().is_none())
    };
    let target = if assigned.update { Some(assigned) } else { job.bound.assigned.iter().find(takes_in).or_else(alone) };
    let stored = target.and_then(|target| name(target.relation, target.column));
    let message = match (name(id, position), stored) {
        (Some(read), Some(stored)) => format!("a masked value of column {read} would be stored in column {stored}"),
        (Some(read), None) => format!("a masked value of column {read} would be stored"),
        (None, _) => "a masked value would be stored".to_owned(),
    };
    let refusal = Refusal::new(RefusalCode::MaskedSource, message).with_hint(
        "A column that this role does not see in clear cannot be the source of a write: it would destroy data.",
    );
    match place.or_else(|| job.bound.relations.get(id).map(|used| used.name.start)) {
        Some(token) => at(job, refusal, token),
        None => refusal,
    }
}

/// Whether it is known where the values of an assignment stand.
fn values_known(assigned: &Assigned) -> bool {
    let known = if assigned.update { assigned.value.is_some() } else { assigned.rows.is_some() };
    known && !assigned.partial
}

/// Whether a column is assigned nothing but itself and values that are computed of no hidden column: `SET a = a`, `SET a = CASE
/// WHEN … THEN $1 ELSE a END`, and `SET a = coalesce($1, a)`. The guard against writing masks back then keeps what is stored.
fn keeps_itself(job: &Job<'_>, assigned: &Assigned, id: usize, position: usize) -> bool {
    let Some(value) = assigned.value.clone().filter(|_| assigned.update && !assigned.partial) else { return false };
    let kept = protected_rule(job, id, position).is_some_and(|rule| rule.write_back == WriteBack::Keep);
    let mut own = job.bound.references.iter().filter(|reference| {
        value.contains(&reference.tokens.start) && reference.relation == id && reference.column == Some(position)
    });
    let plain = own.clone().any(|reference| reference.tokens == value);
    let mut whole = |parts: &[Range<usize>]| {
        own.clone().next().is_some() && own.all(|reference| !reference.outer && parts.contains(&reference.tokens))
    };
    kept && (id, position) == (assigned.relation, assigned.column)
        && (plain
            || branches(job.tokens, &value)
                .or_else(|| alternatives(job.tokens, &value))
                .is_some_and(|parts| whole(&parts)))
}

/// The results of the CASE that is all of `value`, when no other stands in it.
fn branches(tokens: &[Token], value: &Range<usize>) -> Option<Vec<Range<usize>>> {
    let word = |at: usize, words: &[&str]| {
        value.contains(&at) && tokens.get(at).is_some_and(|token| words.iter().any(|word| token.is_word(word)))
    };
    let cases = value.clone().filter(|at| word(*at, &["case"])).count();
    let is_case = cases == 1 && word(value.start, &["case"]) && word(value.end.checked_sub(1)?, &["end"]);
    is_case.then(|| {
        let begins = value.clone().filter(|at| word(*at, &["then", "else"])).map(|at| at + 1);
        let end = |start: usize| (start..value.end).find(|at| word(*at, &["when", "else", "end"])).unwrap_or(value.end);
        begins.map(|start| start..end(start)).collect()
    })
}

/// The arguments of the `coalesce(…)` that is all of `value`.
fn alternatives(tokens: &[Token], value: &Range<usize>) -> Option<Vec<Range<usize>>> {
    let open = value.start + 1;
    let is_call = tokens.get(value.start)?.is_word("coalesce") && tokens.get(open)?.kind == Kind::Open;
    is_call.then_some(())?;
    let (mut depth, mut start, mut parts) = (0_usize, open + 1, Vec::new());
    for at in open..value.end {
        let token = tokens.get(at)?;
        match token.kind.nesting() {
            Nesting::Opens => depth += 1,
            Nesting::Closes => depth = depth.checked_sub(1)?,
            Nesting::Stays => {}
        }
        let closes = depth == 0;
        if closes || (depth == 1 && token.kind == Kind::Comma) {
            parts.push(start..at);
            start = at + 1;
        }
        if closes {
            return (at + 1 == value.end).then_some(parts);
        }
    }
    None
}

/// Assignments that would tie rows to other subjects, and cannot be kept from doing so in hidden rows.
fn leads(job: &Job<'_>, assigned: &Assigned, target: &RelationUse) -> Result<(), Refusal> {
    let leading = job.role.leads(target.oid, assigned.column).filter(|_| assigned.update && !job.role.exempt);
    let Some(leading) = leading else { return Ok(()) };
    let hint = if leading.open.is_none() {
        "Rows lead to their data subject by this column, and this role may not see the data of every subject."
    } else if assigned.partial || assigned.default || assigned.value.is_none() {
        "Rows lead to their data subject by this column. Assign it on its own: SET column = value."
    } else {
        return Ok(());
    };
    let data = relation(job, target)?;
    let column = data.columns.get(assigned.column).map_or("", |column| column.name.as_str());
    let message = format!("column {column} of {} cannot be changed so", data.name);
    Err(at(job, Refusal::new(RefusalCode::LeadsElsewhere, message).with_hint(hint), target.name.start))
}

fn protected_rule<'a>(job: &Job<'a>, id: usize, position: usize) -> Option<&'a ColumnPolicy> {
    hidden(protected(job.role, job.bound.relations.get(id)?)?, position)
}

/// The schema-qualified name of a relation for messages.
pub(super) fn label(job: &Job<'_>, used: &RelationUse) -> String {
    relation(job, used).map(qualified).unwrap_or_default()
}
