//! What can fail on no value: the words, operators, constants and casts of conditions, token by token.
//!
//! In: tokens. Out: whether what stands at a token can fail on a value of a row, and so could tell of one that a row scope hides. Invariant: what
//! is not listed here counts as what can. Where a constant decides, its content is read last, and noted.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    catalog::CatalogSnapshot,
    names::{FIRST_USER_OID, Oid},
    sql::{Kind, Nesting, Reads, Token},
};

/// Words before a bracket that call nothing, and aggregates that fail on no value.
const QUIET_BEFORE_BRACKET: &[&str] = &[
    "all", "and", "any", "as", "by", "count", "exists", "from", "in", "join", "lateral", "max", "min", "not", "on",
    "or", "set", "some", "where",
];
/// Functions that fail on no text.
const QUIET_FUNCTIONS: &[&str] = &["lower", "upper"];
/// Words that stand for what can fail on a value: functions, operators, and expressions that choose a type for values of several
/// (the server casts them then, and the client's own values may be what fails).
const LOUD: &[&str] = &[
    "case", "cast", "collate", "escape", "having", "ilike", "json", "like", "natural", "operator", "overlaps",
    "similar", "using", "values", "window",
];
/// System columns: an `oid` among them, to which a `bigint` beside it is cast.
const SYSTEM_COLUMNS: &[&str] = &["cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"];
/// Comparisons of built-in types fail on no value.
const QUIET_OPERATORS: &[&str] = &["=", "<>", "!=", "<", ">", "<=", ">="];
/// The operators behind LIKE and ILIKE.
const PATTERN_OPERATORS: &[&str] = &["~~", "!~~", "~~*", "!~~*"];
/// Words before the bracket of a sub-select that may have any number of rows; ALL and FROM where they are not those of `SELECT ALL`
/// and `IS DISTINCT FROM`.
const OPENS_ROWS: &[&str] = &["all", "any", "as", "exists", "from", "in", "join", "lateral", "some"];
/// Words that a number follows which the server may not take, and the rows of frames.
const COUNTS: &[&str] = &["limit", "offset"];
const FRAMES: &[&str] = &["following", "preceding"];
/// Words before a string that do not make it a constant of some type, as `oid '1'` is.
const BEFORE_TEXT: &[&str] =
    &["and", "between", "distinct", "limit", "not", "offset", "on", "or", "select", "symmetric", "where"];
/// Types that a constant is read as when the statement is, or not at all, whatever rows there are.
const CONSTANT_TYPES: &[&str] = &[
    "bigint",
    "bool",
    "boolean",
    "date",
    "double",
    "float",
    "float4",
    "float8",
    "int",
    "int2",
    "int4",
    "int8",
    "integer",
    "interval",
    "numeric",
    "real",
    "smallint",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "varchar",
];
/// Those that an integer or a boolean may not fit into.
const NARROW: &[&str] = &["int2", "smallint"];
/// Further words of the name of a type.
const TYPE_WORDS: &[&str] = &["precision", "time", "varying", "with", "without", "zone"];
/// Units of an interval, and how many digits their number may have: all that can be taken from or added to a moment of these millennia.
const UNITS: &[(&str, usize)] =
    &[("second", 6), ("minute", 6), ("hour", 6), ("day", 4), ("week", 4), ("month", 4), ("year", 3)];

/// What a client may declare the parameters of a statement to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// Of any type: a cast may fail on their values, and be evaluated row by row, and a column may be cast to their type.
    Any,
    /// Of types to and from which only some casts fail: see [`is_known_parameter`].
    Known(Declared),
    /// Of the types that the statement gives them, or integers and booleans: see [`is_plain_parameter`].
    Plain,
}

/// Types that a client declares parameters to be, and whose values may be cast to another and fail, or those of another to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Declared(u8);

impl Declared {
    /// `date`
    pub const DATE: Self = Self(1);
    /// `timestamp`
    pub const TIMESTAMP: Self = Self(2);
    /// `timestamptz`
    pub const ZONED: Self = Self(4);
    /// `numeric`
    pub const NUMERIC: Self = Self(8);
    /// All of them.
    pub const ANY: Self = Self(15);

    /// These, and what this type is of them.
    #[must_use]
    pub fn with(self, oid: u32) -> Self {
        let more = match oid {
            1082 | 1182 => Self::DATE,
            1114 | 1115 => Self::TIMESTAMP,
            1184 | 1185 => Self::ZONED,
            1700 | 1231 => Self::NUMERIC,
            _other => Self::default(),
        };
        Self(self.0 | more.0)
    }

    /// These and those.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any of `other` is among them.
    pub fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Whether values of a type that a client declares a parameter to be (0: what the statement says) pass every cast to the types that
/// this module knows: `bool`, `int2`, `int4`, `uuid`.
pub fn is_plain_parameter(oid: u32) -> bool {
    matches!(oid, 0 | 16 | 21 | 23 | 2950)
}

/// Whether it is known what is cast to and from this type: all common ones but `float4`, `float8` and `oid`, and their arrays.
pub fn is_known_parameter(oid: u32) -> bool {
    let array =
        matches!(oid, 1000 | 1001 | 1005 | 1007 | 1009 | 1014..=1016 | 1115 | 1182 | 1183 | 1185 | 1231 | 2951 | 3807);
    array
        || matches!(
            oid,
            0 | 16..=21 | 23 | 25 | 114 | 1042 | 1043 | 1082 | 1083 | 1114 | 1184 | 1186 | 1266 | 1700 | 2950 | 3802
        )
}

/// What a constant must be like.
#[derive(Clone, Copy, Debug)]
enum Content {
    /// A pattern of LIKE without backslashes.
    Pattern,
    /// A number of units: `30 days`.
    Interval,
    /// A number of days.
    Days,
}

/// The tokens of a statement.
pub(super) struct Quiet<'a> {
    pub tokens: &'a [Token],
    catalog: &'a CatalogSnapshot,
    /// Tokens that what stands around them makes quiet, if the constants hold.
    harmless: BTreeSet<usize>,
    constants: Vec<(usize, Content)>,
    /// Parameters that are cast to one type wherever they stand.
    cast: BTreeSet<&'a str>,
    /// Whether the database brings what could stand behind any comparison: see [`brings_conversions`].
    anything: bool,
}

impl<'a> Quiet<'a> {
    pub fn new(tokens: &'a [Token], catalog: &'a CatalogSnapshot, parameters: Parameters) -> Self {
        let cast = match parameters {
            Parameters::Any | Parameters::Known(_) => BTreeSet::new(),
            Parameters::Plain => cast_parameters(tokens, catalog),
        };
        let anything = brings_conversions(catalog);
        let mut quiet = Self { tokens, catalog, harmless: BTreeSet::new(), constants: Vec::new(), cast, anything };
        let mut depth = 0_usize;
        for (at, token) in tokens.iter().enumerate() {
            match token.kind.nesting() {
                Nesting::Opens => depth += 1,
                Nesting::Closes => depth = depth.saturating_sub(1),
                Nesting::Stays => {}
            }
            if depth == 0 && COUNTS.iter().any(|word| token.is_word(word)) && quiet.is_kind(at + 1, Kind::Parameter) {
                // Looked at once, whatever rows there are.
                quiet.harmless.insert(at);
            }
            if (token.is_word("like") || token.is_word("ilike")) && !is_label(tokens, at) {
                quiet.pattern(at);
            } else if token.is_operator("+") || token.is_operator("-") {
                quiet.moment(at);
            }
        }
        quiet
    }

    /// Whether the constants that are quiet by what they hold are so. Asked when all else is.
    pub fn constants_hold(&self, reads: &mut Reads) -> bool {
        self.constants.iter().all(|(at, content)| {
            let Some(text) = self.tokens.get(*at).and_then(|token| token.literal(reads)) else { return false };
            let few = |digits: &str, most: usize| {
                !digits.is_empty() && digits.len() <= most && digits.bytes().all(|byte| byte.is_ascii_digit())
            };
            match content {
                Content::Pattern => !text.contains('\\'),
                Content::Days => few(text, 6),
                Content::Interval => text.split_once(' ').is_some_and(|(number, unit)| {
                    let unit = unit.strip_suffix('s').unwrap_or(unit);
                    UNITS.iter().any(|(known, digits)| *known == unit && few(number, *digits))
                }),
            }
        })
    }

    /// Whether the LIKE or ILIKE at `at` is followed by a constant.
    pub fn is_constant_pattern(&self, at: usize) -> bool {
        self.harmless.contains(&at)
    }

    fn get(&self, at: usize) -> Option<&'a Token> {
        self.tokens.get(at)
    }

    fn is_kind(&self, at: usize, kind: Kind) -> bool {
        self.get(at).is_some_and(|token| token.kind == kind)
    }

    fn has_operators(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.catalog.operators_named(name).next().is_some())
    }

    /// Whether a function that fails on no text is called at `at`.
    fn calls_quietly(&self, at: usize) -> bool {
        let known = |token: &Token| QUIET_FUNCTIONS.iter().any(|name| token.is_word(name));
        !is_label(self.tokens, at)
            && self
                .get(at)
                .is_some_and(|token| known(token) && self.catalog.functions_named(token.name()).next().is_none())
            && self.is_kind(at + 1, Kind::Open)
    }

    /// `LIKE 'a%'` and `LIKE upper('a%')`.
    fn pattern(&mut self, at: usize) {
        let constant = if self.calls_quietly(at + 1) && self.is_kind(at + 4, Kind::Close) { at + 3 } else { at + 1 };
        let alone = !self.is_kind(constant + 1, Kind::Text);
        if self.is_kind(constant, Kind::Text) && alone && !self.has_operators(PATTERN_OPERATORS) {
            self.harmless.extend([at, constant]);
            self.constants.push((constant, Content::Pattern));
        }
    }

    /// `now() - interval '30 days'`, `current_timestamp - '30 days'::interval`, `current_date - 30`.
    fn moment(&mut self, at: usize) {
        let word = |at: Option<usize>, words: &[&str]| {
            at.is_some_and(|at| {
                !is_label(self.tokens, at)
                    && words.iter().any(|word| self.get(at).is_some_and(|token| token.is_word(word)))
            })
        };
        let called =
            at.checked_sub(3).filter(|now| self.is_kind(now + 1, Kind::Open) && self.is_kind(now + 2, Kind::Close));
        let now = word(called, &["now"]) && self.catalog.functions_named("now").next().is_none();
        let today = word(at.checked_sub(1), &["current_date"]);
        let moment = now || today || word(at.checked_sub(1), &["current_timestamp", "localtimestamp"]);
        if !moment || self.has_operators(&["+", "-"]) {
            return;
        }
        let interval =
            |at: usize| word(Some(at), &["interval"]) && self.catalog.types_named("interval").next().is_none();
        let (constant, content, all) = if today && self.is_kind(at + 1, Kind::Number) {
            (at + 1, Content::Days, at..at + 2)
        } else if interval(at + 1) && self.is_kind(at + 2, Kind::Text) {
            (at + 2, Content::Interval, at..at + 3)
        } else if self.is_kind(at + 1, Kind::Text) && self.is_kind(at + 2, Kind::Typecast) && interval(at + 3) {
            (at + 1, Content::Interval, at..at + 4)
        } else {
            return;
        };
        if self.is_kind(all.end, Kind::Text)
            || self.is_kind(all.end, Kind::Open)
            || self.is_kind(all.end, Kind::OpenBracket)
        {
            return;
        }
        self.harmless.extend(all);
        self.constants.push((constant, content));
    }

    /// Whether a cast at `at` makes text of a value, which fails on none.
    fn makes_text(&self, at: usize) -> bool {
        let word = self.get(at + 1).filter(|token| token.is_word("text") || token.is_word("varchar"));
        let ends = ![Kind::Open, Kind::Dot, Kind::OpenBracket].iter().any(|kind| self.is_kind(at + 2, *kind));
        ends && word.is_some_and(|token| self.catalog.types_named(token.name()).next().is_none())
    }

    /// Whether something at the token can fail on a value of a row.
    pub fn is_loud_at(&self, at: usize) -> bool {
        let (tokens, catalog) = (self.tokens, self.catalog);
        let before = |at: usize| at.checked_sub(1).and_then(|at| tokens.get(at));
        let Some(token) = tokens.get(at) else { return true };
        if self.anything {
            return true;
        }
        if self.harmless.contains(&at) {
            return false;
        }
        match token.kind {
            Kind::Word | Kind::Quoted => {
                let word = token.kind == Kind::Word && !is_label(tokens, at);
                let opens = self.is_kind(at + 1, Kind::Open);
                let listed = |words: &[&str]| word && words.contains(&token.name());
                // A scalar sub-select fails on a second row.
                let scalar = word
                    && matches!(token.name(), "select" | "with" | "table")
                    && before(at).is_some_and(|open| open.kind == Kind::Open)
                    && !self.takes_rows(at - 1);
                let counts = listed(COUNTS) && !self.counts_quietly(at + 1);
                let fetches = listed(&["fetch"]) && !self.fetches_quietly(at + 1);
                let frames = listed(FRAMES)
                    && !before(at).is_some_and(|count| count.kind == Kind::Number || count.is_word("unbounded"));
                let now = listed(&["now"])
                    && self.is_kind(at + 2, Kind::Close)
                    && catalog.functions_named("now").next().is_none();
                let own = catalog.functions_named(token.name()).next().is_some();
                let called = opens && !now && (own || !listed(QUIET_BEFORE_BRACKET)) && !self.calls_quietly(at);
                let zone = listed(&["at"])
                    && tokens.get(at + 1).is_some_and(|next| next.is_word("time") || next.is_word("local"));
                let system = SYSTEM_COLUMNS.contains(&token.name());
                // `(o.total).int4` calls what has the name of a field.
                let field = is_label(tokens, at)
                    && at
                        .checked_sub(2)
                        .is_some_and(|at| self.is_kind(at, Kind::Close) || self.is_kind(at, Kind::CloseBracket));
                field || called || listed(LOUD) || system || scalar || zone || counts || fetches || frames
            }
            Kind::Text => before(at).is_some_and(|before| {
                before.kind == Kind::Quoted
                    || (before.kind == Kind::Word
                        && !BEFORE_TEXT.iter().any(|known| before.is_word(known))
                        && !(is_constant_type(tokens, at - 1, catalog) && begins_operand(tokens, at - 1)))
            }),
            Kind::Operator if token.is_operator("*") => !before(at).is_some_and(|before| {
                matches!(before.kind, Kind::Open | Kind::Comma | Kind::Dot)
                    || ["select", "distinct", "all", "returning"].iter().any(|word| before.is_word(word))
            }),
            // A number with its sign.
            Kind::Operator if token.is_operator("-") => {
                !(begins_operand(tokens, at) && self.is_kind(at + 1, Kind::Number))
            }
            Kind::Operator => !QUIET_OPERATORS.contains(&token.name()),
            Kind::Typecast => {
                let constant = at > 0 && is_constant(tokens, at - 1) && is_constant_type(tokens, at + 1, catalog);
                let given =
                    before(at).is_some_and(|given| given.kind == Kind::Parameter && self.cast.contains(given.name()));
                !(constant || given || self.makes_text(at))
            }
            Kind::OpenBracket | Kind::CloseBracket => !self.is_constant_array(at),
            Kind::National | Kind::Bits | Kind::Hex | Kind::Colon | Kind::Assign | Kind::Arrow | Kind::Semicolon => {
                true
            }
            Kind::Number | Kind::Parameter | Kind::Open | Kind::Close | Kind::Comma | Kind::Dot => false,
        }
    }

    /// Whether the bracket at `open` is that of a sub-select which may have any number of rows.
    fn takes_rows(&self, open: usize) -> bool {
        let word = |back: usize, words: &[&str]| {
            open.checked_sub(back).is_some_and(|at| {
                !is_label(self.tokens, at)
                    && words.iter().any(|word| self.get(at).is_some_and(|token| token.is_word(word)))
            })
        };
        let operator = open.checked_sub(2).is_some_and(|at| self.is_kind(at, Kind::Operator));
        if word(1, &["from"]) {
            !word(2, &["distinct"])
        } else if word(1, &["all"]) {
            operator || word(2, &["union", "except", "intersect"])
        } else {
            word(1, OPENS_ROWS)
        }
    }

    /// Whether LIMIT or OFFSET is followed by what the server takes, or refuses whatever rows there are.
    fn counts_quietly(&self, at: usize) -> bool {
        let alone = !matches!(
            self.get(at + 1).map(|token| token.kind),
            Some(Kind::Operator | Kind::Typecast | Kind::Open | Kind::OpenBracket | Kind::Dot)
        );
        alone
            && self
                .get(at)
                .is_some_and(|count| count.kind == Kind::Number || count.is_word("all") || count.is_word("null"))
    }

    /// `FETCH FIRST 5 ROWS ONLY`, or without a number.
    fn fetches_quietly(&self, at: usize) -> bool {
        let word =
            |at: usize, words: &[&str]| words.iter().any(|word| self.get(at).is_some_and(|token| token.is_word(word)));
        word(at, &["first", "next"])
            && (word(at + 1, &["row", "rows"])
                || (self.is_kind(at + 1, Kind::Number) && word(at + 2, &["row", "rows"])))
    }

    /// Whether a bracket is that of an array of constants, or of the name of an array type behind the cast of a constant or a parameter.
    fn is_constant_array(&self, at: usize) -> bool {
        let tokens = self.tokens;
        let Some(open) = (0..=at).rev().find(|at| self.is_kind(*at, Kind::OpenBracket)) else { return false };
        let before = |back: usize| open.checked_sub(back).and_then(|at| tokens.get(at));
        let constant = |token: &&Token| matches!(token.kind, Kind::Number | Kind::Text | Kind::Comma);
        let inside = tokens.iter().skip(open + 1).take_while(constant).count();
        let closes = self.is_kind(open + 1 + inside, Kind::CloseBracket);
        let array = before(1).is_some_and(|token| token.is_word("array"));
        // The cast itself is judged by what it stands behind.
        closes && if inside == 0 { before(2).is_some_and(|token| token.kind == Kind::Typecast) } else { array }
    }
}

/// Whether a comparison of built-in types may run what the shop has made: a cast that is made without being asked for (`CREATE CAST … WITH
/// INOUT AS IMPLICIT`), or an operator that is called like a built-in one and takes its types, or enums.
fn brings_conversions(catalog: &CatalogSnapshot) -> bool {
    let is_enum = |oid: Oid| catalog.data().types.iter().any(|kind| kind.oid == oid && kind.kind == 'e');
    let built_in = |oid: Option<Oid>| oid.is_some_and(|oid| oid < FIRST_USER_OID || is_enum(oid));
    let operators = QUIET_OPERATORS.iter().flat_map(|name| catalog.operators_named(name));
    let mut own = operators.filter(|operator| operator.extension.is_none());
    catalog.data().casts_implicitly || own.any(|operator| built_in(operator.left) && built_in(Some(operator.right)))
}

/// Whether a parameter stands in several places: each may want another type of it, and the server casts the one that it has.
pub(super) fn repeats_parameters(tokens: &[Token]) -> bool {
    let mut seen = BTreeSet::new();
    let mut parameters = tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Parameter);
    parameters.any(|(_, token)| !seen.insert(token.name()))
}

/// Parameters whose every use is the operand of a cast to the same type: the statement gives them that type, or the client one that
/// each value of can be cast to it.
fn cast_parameters<'a>(tokens: &'a [Token], catalog: &CatalogSnapshot) -> BTreeSet<&'a str> {
    let mut types: BTreeMap<&str, Option<&[Token]>> = BTreeMap::new();
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Parameter) {
        let cast = tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Typecast).then(|| type_at(tokens, at + 2));
        let cast = cast.flatten().filter(|name| {
            let narrow = name.first().is_none_or(|word| NARROW.iter().any(|narrow| word.is_word(narrow)));
            !narrow && is_constant_type(tokens, at + 2, catalog)
        });
        let same = |known: &[Token]| {
            let words = cast.unwrap_or_default();
            words.len() == known.len()
                && words.iter().zip(known).all(|(one, other)| one.kind == other.kind && one.name() == other.name())
        };
        match types.get_mut(token.name()) {
            None => drop(types.insert(token.name(), cast)),
            Some(known) if known.is_some_and(same) => {}
            Some(known) => *known = None,
        }
    }
    types.into_iter().filter_map(|(name, cast)| cast.map(|_| name)).collect()
}

/// The name of a type that begins at `at`, with the brackets of an array.
fn type_at(tokens: &[Token], at: usize) -> Option<&[Token]> {
    let word = |at: usize| tokens.get(at).is_some_and(|token| TYPE_WORDS.iter().any(|word| token.is_word(word)));
    let mut end = at + 1;
    while word(end) {
        end += 1;
    }
    let kind = |at: usize| tokens.get(at).map(|token| token.kind);
    if kind(end) == Some(Kind::OpenBracket) && kind(end + 1) == Some(Kind::CloseBracket) {
        end += 2;
    }
    let ends = !matches!(kind(end), Some(Kind::OpenBracket | Kind::Open | Kind::Dot));
    tokens.get(at..end).filter(|_| ends)
}

/// Whether the token is a label: it stands behind a dot.
pub(super) fn is_label(tokens: &[Token], at: usize) -> bool {
    at.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(|before| before.kind == Kind::Dot)
}

/// Whether the word at `at` names a type that constants are read as, and no other type of the database.
fn is_constant_type(tokens: &[Token], at: usize, catalog: &CatalogSnapshot) -> bool {
    let typmod = tokens.get(at + 1).is_some_and(|next| matches!(next.kind, Kind::Open | Kind::Dot));
    let known = |token: &Token| {
        CONSTANT_TYPES.iter().any(|name| token.is_word(name)) && catalog.types_named(token.name()).next().is_none()
    };
    !typmod && !is_label(tokens, at) && tokens.get(at).is_some_and(known)
}

/// Whether the token at `at` is a constant that stands for itself, with nothing before it that it belongs to.
fn is_constant(tokens: &[Token], at: usize) -> bool {
    let constant = tokens.get(at).is_some_and(|token| matches!(token.kind, Kind::Text | Kind::Number));
    constant && begins_operand(tokens, at)
}

/// Whether an operand begins at `at`.
fn begins_operand(tokens: &[Token], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).and_then(|at| tokens.get(at)) else { return false };
    let compared = before.kind == Kind::Operator && QUIET_OPERATORS.contains(&before.name());
    let word = !is_label(tokens, at - 1) && BEFORE_TEXT.iter().any(|word| before.is_word(word));
    compared || word || matches!(before.kind, Kind::Open | Kind::OpenBracket | Kind::Comma)
}
