//! Which function or operator PostgreSQL takes for a name and the types of its arguments (`func_get_detail`, `oper`), where the
//! database has some of its own beside those of `pg_catalog`.
//!
//! In: signatures, types and implicit casts as the server has them ([`Overloads`], read only where there is something to decide).
//! Out: [`Choice`]. Invariant: [`Choice::Builtin`] is answered only where no function of the database could be taken; what is
//! not known for certain is [`Choice::Unclear`].

use serde::{Deserialize, Serialize};

use super::data::{CatalogData, FunctionData, OperatorData};
use crate::names::{FIRST_USER_OID, Oid};

/// `unknown`, the type of a constant in quotes.
const UNKNOWN: Oid = Oid(705);
/// `pg_type.typcategory` of texts.
const STRINGS: char = 'S';

/// What is known of the type of an expression before it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Typed {
    /// Nothing.
    #[default]
    Any,
    /// A constant in quotes, or NULL: it becomes what is asked for.
    Literal,
    /// A parameter that stands once in the statement: as a constant, unless the client declares its type.
    Parameter,
    /// The row of some table.
    Row,
    /// This one.
    Known(Oid),
}

/// A function of `pg_catalog`, or what is asked of another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    /// `proname`
    pub name: Box<str>,
    /// `proargtypes`
    pub arguments: Box<[Oid]>,
    /// Type of the arguments that the last one may be repeated as (`provariadic`).
    #[serde(default)]
    pub variadic: Option<Oid>,
    /// `pronargdefaults`
    #[serde(default)]
    pub defaults: u16,
    /// `prorettype`
    pub result: Oid,
    /// Types of the OUT columns, when there are any (`proallargtypes`).
    #[serde(default)]
    pub outputs: Box<[Oid]>,
}

/// An operator of `pg_catalog`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatorSignature {
    /// `oprname`
    pub name: Box<str>,
    /// `oprleft`; none of a prefix operator.
    pub left: Option<Oid>,
    /// `oprright`
    pub right: Oid,
    /// `oprresult`
    pub result: Oid,
}

/// What the choice asks of a type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TypeShape {
    /// `pg_type.oid`
    pub oid: Oid,
    /// `typname`, of types of `pg_catalog`.
    pub name: Option<Box<str>>,
    /// `typtype`
    pub kind: char,
    /// `typcategory`
    pub category: char,
    /// `typispreferred`
    pub preferred: bool,
    /// What a domain is over, down to the type that is none.
    pub base: Option<Oid>,
    /// `typarray`
    pub array: Option<Oid>,
}

/// What is asked where functions or operators of the database share names with those of `pg_catalog`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overloads {
    /// Functions of `pg_catalog`.
    pub functions: Vec<Signature>,
    /// Operators of `pg_catalog`.
    pub operators: Vec<OperatorSignature>,
    /// Types in the order of their OIDs, rows of tables left out.
    pub types: Vec<TypeShape>,
    /// Casts that need not be written: source and target.
    pub casts: Vec<(Oid, Oid)>,
}

/// What PostgreSQL takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Choice<'a, T> {
    /// One of `pg_catalog`, with the type of its result where it is known.
    Builtin(Typed),
    /// One of the database.
    User(&'a T),
    /// It cannot be told.
    Unclear,
}

/// Whether anything of the database may be taken in the place of what `pg_catalog` has.
pub fn has_overloads(data: &CatalogData, is_builtin: impl Fn(&str) -> bool) -> bool {
    let runs = |extension: Option<&str>, volatility: char| extension.is_none() || volatility != 'i';
    data.functions.iter().any(|user| is_builtin(&user.name) && runs(user.extension.as_deref(), user.volatility))
        || data.operators.iter().any(|user| runs(user.extension.as_deref(), user.volatility))
}

/// One that may be taken, with its arguments as many as the call has.
struct Candidate<'a, T> {
    arguments: Vec<Oid>,
    repeated: bool,
    result: Oid,
    user: Option<&'a T>,
}

/// The arguments of a function for a call of `count`; and whether its last was repeated for it.
fn arguments_for(declared: &[Oid], variadic: Option<Oid>, defaults: u16, count: usize) -> Option<(Vec<Oid>, bool)> {
    if let Some(element) = variadic.filter(|_| count >= declared.len()) {
        let mut all = declared.to_vec();
        all.pop();
        all.resize(count, element);
        return Some((all, true));
    }
    let few = count < declared.len() && count + usize::from(defaults) >= declared.len();
    (count == declared.len() || few).then(|| (declared.get(..count).unwrap_or_default().to_vec(), false))
}

/// Whether PostgreSQL compares numbers of the two types by an operator that takes the first on its left as it is.
fn is_wider(left: Oid, right: Oid) -> bool {
    const INT2: Oid = Oid(21);
    const INT4: Oid = Oid(23);
    const INT8: Oid = Oid(20);
    const FLOAT4: Oid = Oid(700);
    const FLOAT8: Oid = Oid(701);
    const NUMERIC: Oid = Oid(1700);
    let integers = [INT2, INT4, INT8].contains(&right);
    match left {
        INT2 | INT4 | INT8 | NUMERIC => integers,
        FLOAT8 => integers || right == NUMERIC || right == FLOAT4,
        _other => false,
    }
}

impl Overloads {
    fn shape(&self, oid: Oid) -> Option<&TypeShape> {
        let at = self.types.binary_search_by_key(&oid, |shape| shape.oid).ok()?;
        self.types.get(at)
    }

    /// The type of `pg_catalog` with this name.
    pub fn named(&self, name: &str) -> Option<Oid> {
        self.types.iter().find(|shape| shape.name.as_deref() == Some(name)).map(|shape| shape.oid)
    }

    /// Whether it can be told what a type is taken for.
    pub fn knows(&self, oid: Oid) -> bool {
        self.shape(oid).is_some()
    }

    /// The type of arrays of a type.
    pub fn array_of(&self, oid: Oid) -> Option<Oid> {
        self.shape(oid)?.array
    }

    /// The type of the elements of an array.
    pub fn element_of(&self, array: Oid) -> Option<Oid> {
        self.types.iter().find(|shape| shape.array == Some(array)).map(|shape| shape.oid)
    }

    /// The types of the OUT columns of the functions of `pg_catalog` with this name, when they are those of all.
    pub fn outputs(&self, name: &str) -> &[Oid] {
        let mut all =
            self.functions.iter().filter(|function| &*function.name == name).map(|function| &*function.outputs);
        let first = all.next().unwrap_or_default();
        if all.all(|other| other == first) { first } else { &[] }
    }

    /// Whether a value of the type is one column in FROM.
    pub fn is_scalar(&self, oid: Oid) -> bool {
        self.shape(oid).is_some_and(|shape| matches!(shape.kind, 'b' | 'e' | 'r' | 'm'))
    }

    fn base(&self, oid: Oid) -> Oid {
        self.shape(oid).and_then(|shape| shape.base).unwrap_or(oid)
    }

    /// `select_common_type`: the type of two expressions that become one column or one value.
    pub fn common(&self, one: Typed, other: Typed) -> Typed {
        let (first, second) = match (one, other) {
            (Typed::Literal, Typed::Literal) => return Typed::Literal,
            (Typed::Known(first), Typed::Known(second)) if first == second => return one,
            (Typed::Known(known), Typed::Literal) | (Typed::Literal, Typed::Known(known)) => {
                return Typed::Known(self.base(known));
            }
            (Typed::Known(first), Typed::Known(second)) => (self.base(first), self.base(second)),
            (Typed::Any | Typed::Parameter | Typed::Row | Typed::Known(_), _)
            | (Typed::Literal, Typed::Any | Typed::Parameter | Typed::Row) => return Typed::Any,
        };
        let plain = |oid| self.shape(oid).is_some_and(|shape| matches!(shape.kind, 'b' | 'e'));
        if first == second {
            Typed::Known(first)
        } else if !plain(first) || !plain(second) || self.category(first) != self.category(second) {
            Typed::Any
        } else if !self.is_preferred(first) && self.takes(second, first) && !self.takes(first, second) {
            Typed::Known(second)
        } else {
            Typed::Known(first)
        }
    }

    /// The type of `nullif`: that of the left operand of the operator `=` of `pg_catalog` between the two.
    pub fn compared(&self, left: Typed, right: Typed) -> Typed {
        const VARCHAR: Oid = Oid(1043);
        const TEXT: Oid = Oid(25);
        let Typed::Known(left) = left else { return Typed::Any };
        let operand = |oid| Some(self.base(oid)).map(|base| if base == VARCHAR { TEXT } else { base });
        let compared = operand(left).filter(|compared| match right {
            Typed::Literal => true,
            Typed::Known(right) => operand(right).is_some_and(|right| right == *compared || is_wider(*compared, right)),
            Typed::Any | Typed::Parameter | Typed::Row => false,
        });
        let equals = |oid: &Oid| {
            let exact = |own: &OperatorSignature| &*own.name == "=" && own.left == Some(*oid) && own.right == *oid;
            self.operators.iter().any(exact)
        };
        compared.filter(equals).map_or(Typed::Any, Typed::Known)
    }

    fn category(&self, oid: Oid) -> char {
        if oid == UNKNOWN { 'X' } else { self.shape(oid).map_or('U', |shape| shape.category) }
    }

    fn is_preferred(&self, oid: Oid) -> bool {
        self.shape(oid).is_some_and(|shape| shape.preferred)
    }

    /// `can_coerce_type` without a cast in the text; types of any kind (`anyelement`) take all that could fit, whatever the others are.
    fn takes(&self, target: Oid, source: Oid) -> bool {
        if source == target || source == UNKNOWN {
            return true;
        }
        let (base, wanted) = (self.base(source), self.base(target));
        let casts = self.casts.contains(&(base, wanted));
        // Rows of tables are not listed.
        let kind = |oid| self.shape(oid).map_or('c', |shape| shape.kind);
        let (kind_of_target, kind_of_source) = (kind(wanted), kind(base));
        if base == wanted || casts {
            return true;
        }
        let is_array = self.element_of(base).is_some();
        match target.0 {
            // anyarray, anycompatiblearray
            2277 | 5078 => return is_array,
            // anynonarray, anycompatiblenonarray
            2776 | 5079 => return !is_array,
            3500 => return kind_of_source == 'e',
            // anyrange, anycompatiblerange
            3831 | 5080 => return kind_of_source == 'r',
            // anymultirange, anycompatiblemultirange
            4537 | 4538 => return kind_of_source == 'm',
            _ => {}
        }
        // Rows become records and rows of parents.
        if kind_of_target == 'p' || (kind_of_target == 'c' && matches!(kind_of_source, 'c' | 'p')) {
            return true;
        }
        match (self.element_of(base), self.element_of(wanted)) {
            (Some(from), Some(to)) => self.takes(to, from),
            (Some(_) | None, _) => false,
        }
    }

    /// Whether a value of which this is known could be taken for one of the type.
    fn may_take(&self, target: Oid, value: Typed) -> bool {
        match value {
            Typed::Any | Typed::Literal | Typed::Parameter => true,
            Typed::Row => self.takes_row(target),
            Typed::Known(source) => self.takes(target, source),
        }
    }

    /// Whether a row of some table could be taken: for a row, or by a cast from one, which are no types that are listed.
    fn takes_row(&self, target: Oid) -> bool {
        let wanted = self.base(target);
        self.shape(wanted).is_none_or(|shape| matches!(shape.kind, 'c' | 'p'))
            || self.casts.iter().any(|(from, to)| *to == wanted && self.shape(*from).is_none())
    }

    /// Whether a function of the database could be taken for a call with these arguments.
    pub fn fits(&self, user: &FunctionData, arguments: &[Typed]) -> bool {
        arguments_for(&user.argument_types, user.variadic, user.defaults, arguments.len()).is_some_and(
            |(declared, _)| declared.iter().zip(arguments).all(|(target, value)| self.may_take(*target, *value)),
        )
    }

    /// Whether an operator of the database could be taken between these operands.
    pub fn operates(&self, user: &OperatorData, left: Option<Typed>, right: Typed) -> bool {
        let fits = match (user.left, left) {
            (Some(target), Some(value)) => self.may_take(target, value),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        fits && self.may_take(user.right, right)
    }

    /// Whether an operator of the database could be taken for an operand of this type, whatever the other is.
    pub fn takes_operand(&self, user: &OperatorData, oid: Oid) -> bool {
        let known = if self.knows(oid) { Typed::Known(oid) } else { Typed::Any };
        user.left.into_iter().chain([user.right]).any(|target| self.may_take(target, known))
    }

    /// What PostgreSQL takes for a call of `name` with these arguments on this path; `users` are the functions of that name.
    pub fn function<'a>(
        &self,
        name: &str,
        arguments: &[Typed],
        users: impl Iterator<Item = &'a FunctionData>,
        path: &[String],
    ) -> Choice<'a, FunctionData> {
        let own = place(path, "pg_catalog");
        let mut candidates = Vec::new();
        let builtin = self.functions.iter().filter(|function| &*function.name == name);
        for function in builtin {
            let found = arguments_for(&function.arguments, function.variadic, function.defaults, arguments.len());
            candidates.extend(found.map(|(arguments, repeated)| {
                (own, Candidate { arguments, repeated, result: function.result, user: None })
            }));
        }
        let mut any = false;
        for user in users {
            // What is in no schema of the path is not seen.
            let Some(at) = path.iter().position(|schema| *schema == user.schema) else { continue };
            let found = arguments_for(&user.argument_types, user.variadic, user.defaults, arguments.len());
            any |= self.fits(user, arguments);
            let result = user.result_type.unwrap_or(UNKNOWN);
            candidates.extend(
                found.map(|(arguments, repeated)| (at, Candidate { arguments, repeated, result, user: Some(user) })),
            );
        }
        let seen = first_alike(candidates);
        // `text(x)`: a cast, unless a function takes exactly this.
        let casts = self.named(name).filter(|_| arguments.len() == 1);
        self.choose(seen, arguments, any, casts, |types| (types.to_vec(), types.to_vec()))
    }

    /// What PostgreSQL takes for an operator between these operands. On a path the operators of its schemas count, without one those of
    /// every schema, before built-in ones.
    pub fn operator<'a>(
        &self,
        name: &str,
        left: Option<Typed>,
        right: Typed,
        users: impl Iterator<Item = &'a OperatorData>,
        path: Option<&[String]>,
    ) -> Choice<'a, OperatorData> {
        let sides = |left: Option<Oid>, right: Oid| left.into_iter().chain([right]).collect::<Vec<_>>();
        let made = |arguments, result, user| Candidate { arguments, repeated: false, result, user };
        let at = |schema: &str| path.map_or(Some(0), |path| path.iter().position(|one| one == schema));
        let mut candidates = Vec::new();
        let mut any = false;
        for user in users.filter(|user| user.left.is_some() == left.is_some()) {
            let Some(place) = at(&user.schema) else { continue };
            any |= self.operates(user, left, right);
            let result = user.result.unwrap_or(UNKNOWN);
            candidates.push((place, made(sides(user.left, user.right), result, Some(user))));
        }
        let own = at("pg_catalog").unwrap_or(usize::MAX);
        let builtin = self.operators.iter().filter(|own| &*own.name == name && own.left.is_some() == left.is_some());
        candidates.extend(builtin.map(|found| (own, made(sides(found.left, found.right), found.result, None))));
        let candidates = first_alike(candidates);
        let operands: Vec<Typed> = left.into_iter().chain([right]).collect();
        self.choose(candidates, &operands, any, None, |types| {
            // A constant is taken for what it is compared with, then for what that is made of.
            let known = types.iter().find(|one| **one != UNKNOWN).copied().unwrap_or(UNKNOWN);
            let alike = |fill: Oid| types.iter().map(|one| if *one == UNKNOWN { fill } else { *one }).collect();
            let base: Vec<Oid> = if types.contains(&UNKNOWN) {
                types.iter().map(|_| self.base(known)).collect()
            } else {
                types.to_vec()
            };
            (alike(known), base)
        })
    }

    fn choose<'a, T>(
        &self,
        candidates: Vec<Candidate<'a, T>>,
        arguments: &[Typed],
        any: bool,
        casts: Option<Oid>,
        exact: impl Fn(&[Oid]) -> (Vec<Oid>, Vec<Oid>),
    ) -> Choice<'a, T> {
        // What a client declares of a parameter is not known here, and matters where one of the database could be taken. Types of the
        // database that matter are refused when they are declared (`takes_operand`).
        let types: Option<Vec<Oid>> = arguments
            .iter()
            .enumerate()
            .map(|(at, value)| match value {
                Typed::Any | Typed::Row => None,
                Typed::Literal => Some(UNKNOWN),
                Typed::Parameter => {
                    let of_pg = |one: &Candidate<'a, T>| one.arguments.get(at).is_none_or(|oid| *oid < FIRST_USER_OID);
                    let declared = candidates.iter().any(|one| one.user.is_some() && of_pg(one));
                    (!(any && declared)).then_some(UNKNOWN)
                }
                Typed::Known(oid) => Some(*oid),
            })
            .collect();
        let unsure = if any { Choice::Unclear } else { Choice::Builtin(Typed::Any) };
        let Some(types) = types else {
            let mut results = candidates.iter().filter(|one| one.user.is_none()).map(|one| one.result);
            let one = results.next().filter(|first| results.all(|other| other == *first));
            let known = one.filter(|one| !any && self.shape(*one).is_some_and(|shape| shape.kind != 'p'));
            return known.map_or(unsure, |one| Choice::Builtin(Typed::Known(one)));
        };
        let taken = |one: &Candidate<'a, T>| match one.user {
            Some(user) => Choice::User(user),
            None => Choice::Builtin(self.result(one, &types)),
        };
        let (first, second) = exact(&types);
        for wanted in [&first, &second] {
            if let Some(found) = candidates.iter().find(|one| one.arguments == *wanted) {
                return taken(found);
            }
        }
        if let Some(target) = casts {
            let cast = types.iter().all(|from| *from == UNKNOWN || *from == target);
            return if cast { Choice::Builtin(Typed::Known(target)) } else { unsure };
        }
        let fits = |one: &Candidate<'a, T>| one.arguments.iter().zip(&types).all(|(to, from)| self.takes(*to, *from));
        let left: Vec<_> = candidates.into_iter().filter(fits).collect();
        if left.iter().all(|one| one.user.is_none()) {
            // None of the database: which of the others matters only for its type.
            return self.select(left, &types).map_or(Choice::Builtin(Typed::Any), |one| taken(&one));
        }
        self.select(left, &types).map_or(unsure, |one| taken(&one))
    }

    /// `func_select_candidate`
    fn select<'a, T>(&self, mut left: Vec<Candidate<'a, T>>, types: &[Oid]) -> Option<Candidate<'a, T>> {
        let known: Vec<Oid> = types.iter().map(|one| self.base(*one)).collect();
        let best = |left: Vec<Candidate<'a, T>>, fits: &dyn Fn(usize, Oid) -> bool| {
            let score = |one: &Candidate<'a, T>| {
                let places = one.arguments.iter().enumerate();
                places.filter(|(at, to)| known.get(*at) != Some(&UNKNOWN) && fits(*at, **to)).count()
            };
            let most = left.iter().map(score).max().unwrap_or_default();
            left.into_iter().filter(|one| score(one) == most).collect::<Vec<_>>()
        };
        left = best(left, &|at, to| known.get(at) == Some(&to));
        if left.len() <= 1 {
            return left.pop();
        }
        left = best(left, &|at, to| {
            let own = known.get(at).copied().unwrap_or(UNKNOWN);
            own == to || (self.category(to) == self.category(own) && self.is_preferred(to))
        });
        let unknown: Vec<usize> = (0..known.len()).filter(|at| known.get(*at) == Some(&UNKNOWN)).collect();
        if left.len() <= 1 || unknown.is_empty() {
            return (left.len() <= 1).then(|| left.pop()).flatten();
        }
        let mut slots = Vec::new();
        for at in &unknown {
            let all = left.iter().filter_map(|one| one.arguments.get(*at).copied());
            let categories: Vec<char> = all.clone().map(|to| self.category(to)).collect();
            let first = categories.first().copied()?;
            let category = if categories.contains(&STRINGS) { STRINGS } else { first };
            let same = categories.iter().all(|one| *one == first);
            slots.push((same || category == STRINGS).then(|| {
                let preferred = all.filter(|to| self.category(*to) == category).any(|to| self.is_preferred(to));
                (*at, category, preferred)
            }));
        }
        if let Some(slots) = slots.into_iter().collect::<Option<Vec<_>>>() {
            let fits = |one: &Candidate<'a, T>| {
                slots.iter().all(|(at, category, preferred)| {
                    let to = one.arguments.get(*at).copied().unwrap_or(UNKNOWN);
                    self.category(to) == *category && (!preferred || self.is_preferred(to))
                })
            };
            if left.iter().any(fits) {
                left.retain(fits);
            }
            if left.len() == 1 {
                return left.pop();
            }
        }
        let mut given = known.iter().filter(|one| **one != UNKNOWN);
        let one = *given.next()?;
        if given.any(|other| *other != one) {
            return None;
        }
        left.retain(|candidate| candidate.arguments.iter().all(|to| self.takes(*to, one)));
        if left.len() == 1 { left.pop() } else { None }
    }

    /// The type of what a function of `pg_catalog` gives, where it is one of its own or that of an argument.
    fn result<T>(&self, taken: &Candidate<'_, T>, types: &[Oid]) -> Typed {
        let shape = self.shape(taken.result);
        if shape.is_some_and(|shape| shape.kind != 'p') {
            return Typed::Known(taken.result);
        }
        let argument = |wanted: &[u32]| {
            let places = taken.arguments.iter().zip(types);
            let mut fits =
                places.filter(|(to, from)| wanted.contains(&to.0) && **from != UNKNOWN).map(|(_, from)| *from);
            fits.next().map(|oid| self.base(oid))
        };
        let found = match taken.result.0 {
            2283 | 2776 => {
                argument(&[2283, 2776]).or_else(|| argument(&[2277]).and_then(|array| self.element_of(array)))
            }
            2277 => argument(&[2277]).or_else(|| argument(&[2283, 2776]).and_then(|element| self.array_of(element))),
            _ => None,
        };
        found.map_or(Typed::Any, Typed::Known)
    }
}

/// Of the same arguments the first on the path is taken, and one that repeats nothing first of all.
fn first_alike<T>(mut candidates: Vec<(usize, Candidate<'_, T>)>) -> Vec<Candidate<'_, T>> {
    candidates.sort_by_key(|(at, candidate)| (candidate.repeated, *at));
    let mut seen: Vec<Candidate<'_, T>> = Vec::new();
    for (_, candidate) in candidates {
        if seen.iter().all(|earlier| earlier.arguments != candidate.arguments) {
            seen.push(candidate);
        }
    }
    seen
}

fn place(path: &[String], schema: &str) -> usize {
    path.iter().position(|one| one == schema).unwrap_or(usize::MAX)
}
