//! What only the tokens show: operators that run functions of the database, and names that nobody accounted for.

use std::collections::{BTreeSet, HashSet};

use super::{Edits, Job, names::lacks_equality};
use crate::{
    bind::{OperatorUse, RelationUse},
    catalog::{
        CatalogSnapshot, Column,
        data::OperatorData,
        functions::{Builtin, builtin},
        overloads::{Choice, Typed},
    },
    error::{Refusal, RefusalCode},
    names::{FIRST_USER_OID, Oid},
    policy::RolePolicy,
    sql::{Kind, Token, keywords},
};

/// `text`
const TEXT: Oid = Oid(25);

/// Judges the tokens. An operator that one of the database could be taken for stays as it is where the types of its operands say that it
/// is the built-in one; else it is printed as that.
///
/// # Errors
/// [`RefusalCode::OperatorNotAllowed`], [`RefusalCode::UnaccountedToken`].
pub fn check_tokens(job: &Job<'_>, edits: &mut Edits) -> Result<(), Refusal> {
    let mut operators = Operators { job, judged: Vec::new() };
    for (index, token) in job.tokens.iter().enumerate() {
        if token.kind == Kind::Operator && !is_qualified_operator(job.tokens, index) && !assigns(job, index) {
            operators.operator(index, token, edits)?;
        }
        if token.kind == Kind::Word && implies(job.tokens, index) {
            operators.word(token)?;
        }
        let accounted = job.bound.accounted.get(index).copied().unwrap_or(false);
        if token.is_name() && !accounted && !is_syntax(job.tokens, index, job.catalog) {
            return Err(Refusal::new(RefusalCode::UnaccountedToken, "a name in the statement was not understood")
                .with_hint("pgscrim sends on only what it has analysed; write the statement in another form.")
                .at(token.start));
        }
    }
    Ok(())
}

/// Operators and words that were judged, once each.
struct Operators<'a, 'j> {
    job: &'a Job<'j>,
    judged: Vec<(&'a str, bool)>,
}

impl<'a> Operators<'a, '_> {
    fn operator(&mut self, index: usize, token: &'a Token, edits: &mut Edits) -> Result<(), Refusal> {
        let name = token.name();
        if !self.is_made(name) || self.is_builtin(name, &[name]) {
            return Ok(());
        }
        if OPERATORS.contains(&name) && self.is_builtin_here(name) {
            edits.replace(index..index + 1, format!("OPERATOR(pg_catalog.{name})"), false);
            return Ok(());
        }
        let refusal = Refusal::new(RefusalCode::OperatorNotAllowed, format!("operator {name} is not allowed"));
        Err(refusal
            .with_hint("The database has an operator of this name that could be meant, and the rules do not list its function.")
            .at(token.start))
    }

    fn word(&mut self, token: &'a Token) -> Result<(), Refusal> {
        let names = keywords::implied_operators(token.name());
        let Some(operator) = names.iter().find(|operator| self.is_made(operator)) else { return Ok(()) };
        if self.is_builtin(token.name(), names) {
            return Ok(());
        }
        let refusal = Refusal::new(
            RefusalCode::OperatorNotAllowed,
            format!("{} is not allowed: it may mean a user's operator {operator}", token.name().to_uppercase()),
        );
        Err(refusal.with_hint("Write a built-in operator as OPERATOR(pg_catalog.…).").at(token.start))
    }

    /// The operators of this name that may not run.
    fn made(&self, name: &str) -> impl Iterator<Item = &'a OperatorData> + use<'a, '_> {
        let job = self.job;
        job.catalog.operators_named(name).filter(move |user| !may_run(job.role, user))
    }

    fn is_made(&self, name: &str) -> bool {
        self.made(name).next().is_some()
    }

    /// Whether all operators, or words, `name` in the statement mean built-in operators, or such that may run; `operators` are what they
    /// may mean.
    fn is_builtin(&mut self, name: &'a str, operators: &[&str]) -> bool {
        if let Some((_, judged)) = self.judged.iter().find(|(known, _)| *known == name) {
            return *judged;
        }
        let tokens = self.job.tokens;
        let uses: Vec<&OperatorUse> = self.job.bound.operators.iter().filter(|used| used.name == name).collect();
        // Each place in the text must be one that was bound: as many of each form. The parser is shown `=` for others before ANY.
        let written = |array: bool| {
            let stands = |index: &usize| {
                let Some(token) = tokens.get(*index) else { return false };
                if token.kind == Kind::Word {
                    return !array && token.is_word(name) && implies(tokens, *index);
                }
                let shown = array && name == "=";
                token.kind == Kind::Operator
                    && (token.is_operator(name) || shown)
                    && !is_qualified_operator(tokens, *index)
                    && !assigns(self.job, *index)
                    && before_array(tokens, *index) == array
            };
            (0..tokens.len()).filter(stands).count()
        };
        let bound = |array: bool| {
            uses.iter().filter(|used| used.array == array).map(|used| used.place).collect::<BTreeSet<_>>().len()
        };
        let complete = written(false) == bound(false) && written(true) == bound(true);
        let operands = operands(&uses);
        let builtin = complete && operators.iter().all(|operator| self.stays(operator, &operands));
        self.judged.push((name, builtin));
        builtin
    }

    /// Whether the operator means the built-in one on the session's path: it is printed so, and the path then matters no more.
    fn is_builtin_here(&self, name: &str) -> bool {
        let job = self.job;
        let visible = |user: &&OperatorData| job.path.contains(&user.schema);
        let Some(overloads) =
            job.catalog.data().overloads.as_ref().filter(|_| self.made(name).any(|user| visible(&user)))
        else {
            return true;
        };
        let uses: Vec<&OperatorUse> = job.bound.operators.iter().filter(|used| used.name == name).collect();
        let written = |index: &usize| {
            let operator = job.tokens.get(*index).is_some_and(|token| token.is_operator(name));
            operator && !is_qualified_operator(job.tokens, *index)
        };
        let bound = uses.iter().map(|used| used.place).collect::<BTreeSet<_>>().len();
        let is_builtin = |(left, right): &(Option<Typed>, Typed)| {
            let others = job.catalog.operators_named(name);
            matches!(overloads.operator(name, *left, *right, others, Some(job.path)), Choice::Builtin(_))
        };
        (0..job.tokens.len()).filter(written).count() == bound && operands(&uses).iter().all(is_builtin)
    }

    /// Whether an operator means none of the database that may not run, by the types that it stands between: on the session's path, and
    /// were all schemas on it.
    fn stays(&self, operator: &str, operands: &HashSet<(Option<Typed>, Typed)>) -> bool {
        let Some(overloads) = &self.job.catalog.data().overloads else { return false };
        let others = || self.job.catalog.operators_named(operator);
        operands.iter().all(|(left, right)| {
            let mut made = self.made(operator).filter(|own| overloads.operates(own, *left, *right));
            made.next().is_none()
                || [Some(self.job.path), None].into_iter().all(|path| {
                    match overloads.operator(operator, *left, *right, others(), path) {
                        Choice::Builtin(_) => true,
                        Choice::User(own) => may_run(self.job.role, own),
                        Choice::Unclear => false,
                    }
                })
        })
    }
}

/// What operators stand between, each pair once: there are few, however many operators there are.
fn operands(uses: &[&OperatorUse]) -> HashSet<(Option<Typed>, Typed)> {
    uses.iter().flat_map(|used| used.operands.iter().copied()).collect()
}

/// Whether an operator of the database may run: an extension's, or one of which the rules list the function, and those of the operators
/// that PostgreSQL may put in its place.
fn may_run(role: &RolePolicy, user: &OperatorData) -> bool {
    let listed = !user.functions.is_empty() && user.functions.iter().all(|oid| role.functions.contains(oid));
    listed || (user.extension.is_some() && user.volatility != 'v')
}

/// Whether an operator of the database that may not run takes values of this type, which is one of the database too: of a parameter
/// that a client declares so the judgement of a text knows nothing.
pub fn takes_operand(catalog: &CatalogSnapshot, role: &RolePolicy, oid: Oid) -> bool {
    let data = catalog.data();
    let takes = |user: &OperatorData| match &data.overloads {
        Some(overloads) => overloads.takes_operand(user, oid),
        None => true,
    };
    oid >= FIRST_USER_OID && data.operators.iter().any(|user| !may_run(role, user) && takes(user))
}

/// Whether PostgreSQL compares values of a column's type by its own operator where a guard of ours says `IS NOT DISTINCT FROM`.
///
/// # Errors
/// [`RefusalCode::OperatorNotAllowed`].
pub(super) fn compares_built_in(job: &Job<'_>, used: &RelationUse, column: &Column) -> Result<(), Refusal> {
    let equals = || job.catalog.operators_named("=");
    if equals().all(|user| may_run(job.role, user)) {
        return Ok(());
    }
    let of_text = lacks_equality(column);
    let compared = Typed::Known(if of_text { TEXT } else { column.type_oid });
    let casts = !of_text && job.catalog.types_named(&column.type_name).any(|found| found.has_user_cast);
    let known = job.catalog.data().overloads.as_ref().filter(|all| !casts && (of_text || all.knows(column.type_oid)));
    let builtin = known.is_some_and(|all| {
        let mut made = equals().filter(|user| !may_run(job.role, user) && all.operates(user, Some(compared), compared));
        made.next().is_none()
            || matches!(all.operator("=", Some(compared), compared, equals(), None), Choice::Builtin(_))
    });
    if builtin {
        return Ok(());
    }
    let refusal = Refusal::new(RefusalCode::OperatorNotAllowed, format!("column {} cannot be assigned", column.name))
        .with_hint("The database has an operator = for its type, and the rules do not list its function.");
    Err(match job.tokens.get(used.name.start) {
        Some(token) => refusal.at(token.start),
        None => refusal,
    })
}

/// Whether the operator at `index` is the `=` of an assignment.
fn assigns(job: &Job<'_>, index: usize) -> bool {
    job.bound.equals.contains(&index) && job.tokens.get(index).is_some_and(|token| token.is_operator("="))
}

/// Whether the word at `index` is one that PostgreSQL looks operators up for.
fn implies(tokens: &[Token], index: usize) -> bool {
    let before = |back: usize| index.checked_sub(back).and_then(|at| tokens.get(at));
    let qualifies = before(1).is_some_and(|t| t.kind == Kind::Open) && before(2).is_some_and(|t| t.is_word("operator"));
    if qualifies && tokens.get(index).is_some_and(|token| token.is_name() && token.name() == "pg_catalog") {
        return true;
    }
    let Some(token) = tokens.get(index).filter(|token| token.kind == Kind::Word) else { return false };
    let word = |back: usize, word: &str| before(back).is_some_and(|token| token.is_word(word));
    if before(1).is_some_and(|token| token.kind == Kind::Dot) {
        return false;
    }
    match token.name() {
        // SELECT DISTINCT, count(DISTINCT a): by the operator class of the type.
        "distinct" => word(1, "is") || (word(1, "not") && word(2, "is")),
        // The frame of a window compares by the operator class of the type, too.
        "between" if ["rows", "range", "groups"].iter().any(|unit| word(1, unit)) => !bounds_frame(tokens, index),
        name => !keywords::implied_operators(name).is_empty(),
    }
}

/// Whether what stands between BETWEEN and its AND is a bound of a window frame, and not a value.
fn bounds_frame(tokens: &[Token], between: usize) -> bool {
    let and = (between..tokens.len()).find(|at| tokens.get(*at).is_some_and(|token| token.is_word("and")));
    let last = and.and_then(|and| tokens.get(and.checked_sub(1)?));
    last.is_some_and(|token| ["preceding", "following", "row"].iter().any(|word| token.is_word(word)))
}

/// Whether the operator at `index` stands before ANY or ALL.
fn before_array(tokens: &[Token], index: usize) -> bool {
    let array = |token: &Token| ["any", "all", "some"].iter().any(|word| token.is_word(word));
    tokens.get(index + 1).is_some_and(array) && tokens.get(index + 2).is_some_and(|open| open.kind == Kind::Open)
}

/// Binary operators of `pg_catalog` that bind like `OPERATOR(…)` does, so that the qualified form means the same.
const OPERATORS: &[&str] = &[
    "||", "->", "->>", "#>", "#>>", "#-", "@>", "<@", "?", "?|", "?&", "@?", "@@", "&&", "<<", ">>", "&<", "&>", "-|-",
    "~", "!~", "~*", "!~*", "~~", "!~~", "~~*", "!~~*", "&", "|", "#", "^@", "<->",
];

/// `OPERATOR(pg_catalog.op)`
fn is_qualified_operator(tokens: &[Token], index: usize) -> bool {
    let before = |back: usize| index.checked_sub(back).and_then(|at| tokens.get(at));
    before(1).is_some_and(|t| t.kind == Kind::Dot)
        && before(2).is_some_and(|t| t.is_name() && t.name() == "pg_catalog")
        && before(3).is_some_and(|t| t.kind == Kind::Open)
        && before(4).is_some_and(|t| t.is_word("operator"))
}

/// Whether a word that names nothing is part of the grammar.
fn is_syntax(tokens: &[Token], index: usize, catalog: &CatalogSnapshot) -> bool {
    let before = |back: usize| index.checked_sub(back).and_then(|at| tokens.get(at));
    let qualifies = before(1).is_some_and(|t| t.kind == Kind::Open) && before(2).is_some_and(|t| t.is_word("operator"));
    if qualifies && tokens.get(index).is_some_and(|token| token.is_name() && token.name() == "pg_catalog") {
        return true;
    }
    let Some(token) = tokens.get(index).filter(|token| token.kind == Kind::Word) else { return false };
    let opens = tokens.get(index + 1).is_some_and(|next| next.kind == Kind::Open);
    let word: &str = token.name();
    keywords::is_keyword(word)
        || TYPES.contains(&word)
        // EXTRACT(field FROM …)
        || (before(1).is_some_and(|t| t.kind == Kind::Open) && before(2).is_some_and(|t| t.is_word("extract")))
        // Functions that the parser knows by name.
        || (opens
            && matches!(builtin(word), Some(Builtin::Allowed))
            && catalog.functions_named(word).next().is_none())
}

/// Types of `pg_catalog` that the parser knows by name and PostgreSQL's grammar does not.
const TYPES: &[&str] = &[
    "uuid",
    "date",
    "text",
    "bytea",
    "json",
    "jsonb",
    "regclass",
    "bool",
    "int2",
    "int4",
    "int8",
    "float4",
    "float8",
    "varbit",
    "tsvector",
    "tsquery",
    "timestamptz",
    "timetz",
    "point",
    "line",
    "lseg",
    "box",
    "path",
    "polygon",
    "circle",
];
