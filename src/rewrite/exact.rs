//! `search = "exact"`: which comparisons of a hidden column with constants see its stored value, and how they are printed.
//!
//! The binder says what is compared ([`Compared`]): this is decided on its findings, and on what the rules permit. A role
//! may learn whether a stored value equals one that it names, and nothing else of it:
//!
//! - a comparison may not fail on a stored value, so none may choose a type for the column that has fewer values;
//! - where the role does not see whether there is a value at all, NULL and false must mean the same;
//! - what is compared behind a GROUP BY must be one value for each group.

use std::fmt::Write as _;

use super::{
    Edits, Job,
    scope::{compares_safely, is_behind_gate},
};
use crate::{
    bind::{Compared, Reference},
    catalog::Column,
    policy::{ColumnPolicy, Gate, Search, Treatment},
    sql::{Kind, Reads, Token, emit},
};

/// The comparison of a reference that may see the stored value: by the rules, or because the role sees the value itself
/// wherever the gate of the column is open. There the gate makes NULL of a value and `false` of a comparison, so the
/// comparison must stand where both mean the same.
pub fn searched<'a>(
    job: &Job<'_>,
    reference: &'a Reference,
    rule: &ColumnPolicy,
    reads: &mut Reads,
) -> Option<&'a Compared> {
    let compared = reference.compared.as_deref()?;
    let column = column(job, reference)?;
    let alone = compared.alone;
    let permitted = match (&rule.treatment, rule.search) {
        (Treatment::Mask(mask), Search::Exact) => alone || mask.shows_null,
        (Treatment::Withhold, Search::Exact) => alone,
        (Treatment::Mask(_) | Treatment::Withhold, Search::Masked) => {
            rule.gate.as_ref().is_some_and(|gate| gate.clear) && alone && fails_on_no_value(job, column, compared)
        }
        (Treatment::Refuse | Treatment::Clear, _) | (Treatment::Mask(_) | Treatment::Withhold, Search::Refuse) => false,
    };
    let fits = permitted
        && compares_whole(job, column, compared, reads)
        && (alone || !compared.nulls)
        && casts(job, column, compared).is_some()
        && (!reference.grouped || is_of_group(job, reference));
    fits.then_some(compared)
}

/// A comparison in the place of which stands a column of a derived table: its text, with `operand` as the column.
pub(super) fn inside(job: &Job<'_>, reference: &Reference, compared: &Compared, operand: &str) -> String {
    let casts = column(job, reference).and_then(|column| casts(job, column, compared)).unwrap_or_default();
    let mut text = String::new();
    for at in compared.tokens.clone() {
        let Some(token) = job.tokens.get(at) else { continue };
        if at == reference.tokens.start {
            if !text.is_empty() && !text.ends_with(['(', ' ']) {
                text.push(' ');
            }
            text.push_str(operand);
        } else if !reference.tokens.contains(&at) {
            emit::push_with_hole(&mut text, token);
        }
        if let Some((_, cast)) = casts.iter().find(|(parameter, _)| *parameter == at) {
            let _ = write!(text, "::{cast}");
        }
    }
    text
}

/// Edits for a comparison that stays where it stands, in brackets of ours: whatever is around, it is a truth value.
///
/// `gate` is what must hold of the row besides.
pub(super) fn in_place(
    job: &Job<'_>,
    reference: &Reference,
    compared: &Compared,
    gate: Option<(&Gate, &str)>,
    edits: &mut Edits,
) {
    let (open, close) = match gate {
        None => ("(".to_owned(), ")"),
        Some((gate, sql)) if compared.alone && !is_behind_gate(job, gate) => (format!("(({sql}) AND"), ")"),
        // Where the gate is closed the value is NULL, and nothing is compared.
        Some((_, sql)) => (format!("(CASE WHEN ({sql}) THEN"), "END)"),
    };
    let operand = job.tokens.get(reference.tokens.clone()).map(emit::text).unwrap_or_default();
    edits.around_own(&compared.tokens, open, close.to_owned());
    edits.replace(reference.tokens.clone(), operand, true);
    for (at, cast) in column(job, reference).and_then(|column| casts(job, column, compared)).unwrap_or_default() {
        edits.suffix_own(at, format!("::{cast}"));
    }
}

fn column<'a>(job: &Job<'a>, reference: &Reference) -> Option<&'a Column> {
    let used = job.bound.relations.get(reference.relation)?;
    job.catalog.relation(used.oid)?.columns.get(reference.column?)
}

/// Whether comparing the stored value cannot fail: no cast chooses another type for it (SQLAlchemy casts what it compares with a text: `$1::VARCHAR`). The type of a parameter is the client's
/// to say, and a bigint is cast where that is oid.
fn fails_on_no_value(job: &Job<'_>, column: &Column, compared: &Compared) -> bool {
    let tokens = job.tokens.get(compared.tokens.clone()).unwrap_or(&[]);
    // Texts are compared as texts, whichever of their types a constant is cast to; of nothing else could a list of them be.
    let is_text = is_text(column);
    let as_text = |at: usize| {
        let word = |at: usize, words: &[&str]| {
            tokens.get(at).is_some_and(|token| words.iter().any(|word| token.is_word(word)))
        };
        word(at + 1, &["text", "varchar"]) || (word(at + 1, &["character"]) && word(at + 2, &["varying"]))
    };
    let chooses = |(at, token): (usize, &Token)| {
        let casts = token.kind == Kind::Typecast && !(is_text && as_text(at));
        casts || token.is_word("cast") || (token.is_word("array") && !is_text)
    };
    let typed = tokens.windows(2).any(|pair| {
        let name = |token: &Token| token.is_name() && !["like", "ilike", "from"].iter().any(|word| token.is_word(word));
        matches!(pair, [before, text] if name(before) && text.kind == Kind::Text)
    });
    let parameter = tokens.iter().any(|token| token.kind == Kind::Parameter);
    let bigint = parameter && column.type_name == "int8";
    compares_safely(column) && !bigint && !typed && !tokens.iter().enumerate().any(chooses)
}

/// Whether the comparison is one of whole values, for this type of column.
fn compares_whole(job: &Job<'_>, column: &Column, compared: &Compared, reads: &mut Reads) -> bool {
    // Of these `=` compares areas or numbers of points.
    let of_domain = column.type_kind == 'd' && column.type_category == 'G';
    if of_domain || matches!(column.type_name.as_str(), "box" | "circle" | "path") {
        return false;
    }
    let is_text = is_text(column) || compared.as_text;
    // A setting says how many digits the text of a float has.
    if compared.as_text && !writes_whole(column) {
        return false;
    }
    // Of a range `upper` is a bound, and would tell a part of the value: only texts are folded.
    if compared.folded && !is_text {
        return false;
    }
    // A pattern without wildcards is the text itself.
    let mut plain = |at| {
        let content = job.tokens.get(at).and_then(|token: &Token| token.literal(reads));
        content.is_some_and(|content| !content.contains(['%', '_', '\\']))
    };
    compared.pattern.is_none_or(|at| is_text && plain(at))
}

/// Whether values of a column are texts; `bpchar` too, for its blanks do not count.
pub(super) fn is_text(column: &Column) -> bool {
    match column.type_kind {
        'b' => matches!(column.type_name.as_str(), "text" | "varchar" | "bpchar" | "citext"),
        'd' => column.type_category == 'S',
        _other => false,
    }
}

/// Whether different values of a column are different texts, whatever the session's settings.
fn writes_whole(column: &Column) -> bool {
    const TYPES: &[&str] =
        &["bool", "date", "int2", "int4", "int8", "json", "jsonb", "numeric", "timestamp", "timestamptz", "uuid"];
    is_text(column) || (column.type_kind == 'b' && TYPES.contains(&column.type_name.as_str()))
}

/// Parameters that need a cast, and to what; none where no cast makes the comparison one of whole values.
///
/// A client may say of a parameter that it is an oid, or a float: then the server casts a bigint or a numeric to that, which
/// fails on some values and makes others equal. And an array among the elements of ARRAY would be more values than one.
fn casts(job: &Job<'_>, column: &Column, compared: &Compared) -> Option<Vec<(usize, String)>> {
    let token = |at: usize| job.tokens.get(at);
    // What has a cast of the client's own has its type.
    let bare = |at: &usize| {
        token(*at).is_some_and(|token| token.kind == Kind::Parameter)
            && !token(at + 1).is_some_and(|next| next.kind == Kind::Typecast || next.is_word("as"))
    };
    let parameters = || compared.constants.iter().copied().filter(bare);
    let plain = match column.type_name.as_str() {
        _any if compared.as_text || column.type_category != 'N' => "",
        "int8" if column.type_kind == 'b' => "bigint",
        "numeric" if column.type_kind == 'b' => "numeric",
        // Of whatever number a domain is, a numeric is compared with it whole.
        _any if column.type_kind == 'd' => "numeric",
        // Casts from these to other types of numbers lose nothing.
        _other => "",
    };
    let known = ["bool", "date", "int2", "int4", "time", "timestamp", "timestamptz", "uuid"];
    let cast = if !compared.array || compared.elements || !plain.is_empty() {
        plain
    } else if column.type_kind == 'b' && column.type_name == "citext" && !compared.as_text && !compared.folded {
        // As texts, `A` and `a` would differ.
        &column.type_sql_plain
    } else if is_text(column) || compared.as_text {
        "pg_catalog.text"
    } else if column.type_kind == 'b' && known.contains(&column.type_name.as_str()) {
        &column.type_sql_plain
    } else {
        return parameters().next().is_none().then(Vec::new);
    };
    let array = if compared.elements { "[]" } else { "" };
    Some(if cast.is_empty() { Vec::new() } else { parameters().map(|at| (at, format!("{cast}{array}"))).collect() })
}

/// Whether a comparison behind GROUP BY is one value for each group: the primary key of its table is grouped by.
fn is_of_group(job: &Job<'_>, reference: &Reference) -> bool {
    let Some(used) = job.bound.relations.get(reference.relation) else { return false };
    let Some((number, block)) = used.block.and_then(|at| Some((at, job.bound.blocks.get(at)?))) else { return false };
    !block.groups || super::derived::groups_by_key(job, number, reference.relation)
}
