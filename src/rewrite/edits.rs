//! Edits on token ranges, and printing with them.

use std::{cmp::Reverse, collections::HashSet, ops::Range, sync::Arc};

use foldhash::fast::FixedState;

use crate::{
    bind::Compared,
    error::{Refusal, RefusalCode},
    sql::{
        Kind, MAX_SENT, Reads, Token, emit,
        template::{self, Hole},
    },
};

/// Stands in a wrapping edit's text for the tokens that it wraps; no client text can hold it there.
pub const HOLE: &str = "\u{1}";
const HOLE_BYTE: u8 = 1;
const _: () = assert!(matches!(HOLE.as_bytes(), [HOLE_BYTE]));

/// Replaces tokens by text. An empty range inserts before its token.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The tokens that go.
    pub tokens: Range<usize>,
    /// What stands in their place; literals in it as holes ([`emit::text_with_holes`]).
    pub text: String,
    /// Whether [`HOLE`] in the text is printed as the replaced tokens, with the edits inside them.
    pub wraps: bool,
    /// Whether the text may name stored values of protected columns (a mask, a derived table, a guard).
    pub trusted: bool,
    /// Whether it is the mask of a reference: what PostgreSQL finds fault with in it is the client's reference.
    pub mask: bool,
    /// Where it stands among the insertions before the same token.
    order: Order,
}

/// The order of insertions before one token, so that what is put around tokens nests whatever was decided first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    /// Belongs to the token before.
    Suffix,
    /// Ends what is around tokens: first that which begins last, and of those that begin together the one that was made last.
    Closes { begins: Reverse<usize>, made: Reverse<usize> },
    /// Stands by itself.
    Between,
    /// Begins what is around tokens: first that which ends last, and of those that end together the one that was made first.
    Opens { ends: Reverse<usize>, made: usize },
    /// Belongs to the token.
    Prefix,
}

/// Edits of one statement.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    list: Vec<Edit>,
    /// Of their texts, also of those that are not kept because they are too many.
    bytes: usize,
    /// Tokens before which a name was restored.
    restored: HashSet<usize, FixedState>,
    /// Columns whose stored value is compared: index into [`crate::bind::Bound::relations`] and position.
    pub exact: Vec<(usize, usize)>,
    /// With how many values they are compared.
    pub searched: Searched,
    /// Literals whose content decided something.
    pub reads: Reads,
    /// The login that the session's role is set to.
    pub login: Option<Arc<str>>,
}

/// How many values a statement compares with stored ones that the role does not see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Searched {
    /// In its text; the most there can be where that is not known.
    pub constants: u64,
    /// Parameters, as often as each is compared, and whether the elements of an array are.
    pub parameters: Vec<(u16, bool)>,
}

impl Searched {
    /// Adds the values that a comparison names; each of them may be an array of more.
    pub fn add(&mut self, tokens: &[Token], compared: &Compared, reads: &mut Reads) {
        for token in compared.constants.iter().filter_map(|at| tokens.get(*at)) {
            if token.kind == Kind::Parameter {
                // Numbers that are none are refused by the server.
                self.parameters.push((token.name().parse().unwrap_or(u16::MAX), compared.elements));
            } else {
                // The length of an array is the one thing here that a literal's content decides.
                let list = if compared.elements { token.literal(reads) } else { None };
                let values = list.map_or(1, |list| elements(list.as_bytes()));
                self.constants = self.constants.saturating_add(values);
            }
        }
    }

    /// Adds what EXECUTE gives to a statement, of which each value may be an array.
    pub fn add_arguments(&mut self, tokens: &[Token]) {
        let mut casts = 0;
        for (at, token) in tokens.iter().enumerate() {
            let opens = tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Open);
            // A value that becomes another kind of value twice: what was one element, as JSON has it, may be more as an array.
            casts = if token.kind == Kind::Comma { 0 } else { casts + usize::from(casts_here(token)) };
            let computes = token.kind == Kind::Operator && !matches!(token.name(), "+" | "-");
            if token.kind == Kind::Parameter {
                self.parameters.push((token.name().parse().unwrap_or(u16::MAX), true));
            } else if token.is_literal() {
                self.constants = self.constants.saturating_add(elements(token.content().as_bytes()));
            } else if (token.is_name() && opens && !token.is_word("cast"))
                || token.is_word("select")
                || computes
                || casts > 1
            {
                // A function or an operator may make an array of any length.
                self.constants = u64::MAX;
            }
        }
    }
}

fn casts_here(token: &Token) -> bool {
    token.kind == Kind::Typecast || token.is_word("cast")
}

/// The elements of an array in text format, or more. Those of `int2vector` and `oidvector` are numbers with blanks between.
pub fn elements(value: &[u8]) -> u64 {
    let count = |wanted: fn(&u8) -> bool| value.iter().filter(|byte| wanted(byte)).count() as u64;
    // Of C, where a vertical tab is one.
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let numbers = value.iter().all(|byte| byte.is_ascii_digit() || is_blank(byte) || matches!(byte, b'-' | b'+'));
    let blanks = if numbers { count(is_blank) } else { 0 };
    1 + blanks.max(count(|byte| *byte == b','))
}

/// Text printed with edits, and the byte ranges in it that are ours and may name protected columns.
#[derive(Clone, Debug, Default)]
pub struct Printed {
    /// The text.
    pub text: String,
    /// Trusted edits.
    pub trusted: Vec<Trusted>,
    /// Parts of trusted edits in which the client's tokens stand, as often as they do, in bytes.
    pub wrapped: Vec<Range<usize>>,
    /// Trusted edits inside of those.
    pub inside: Vec<Trusted>,
    /// The client's literals in it, in order.
    pub holes: Vec<Hole>,
    /// Where the client wrote what starts where in the text; in ascending order.
    pub places: Vec<Place>,
}

/// Text that is ours and may name protected columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// In the text printed, in bytes.
    pub bytes: Range<usize>,
    /// The tokens in whose place it stands.
    pub tokens: Range<usize>,
}

/// Where something starts, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// In the text that the server gets.
    pub sent: u32,
    /// In the client's text.
    pub given: u32,
}

impl Printed {
    /// Puts the client's literals in their places.
    fn fill(&mut self, tokens: &[Token]) {
        let filled = template::fill(std::mem::take(&mut self.text), tokens);
        if !filled.holes.is_empty() {
            let trusted = self.trusted.iter_mut().chain(&mut self.inside).map(|trusted| &mut trusted.bytes);
            for bytes in trusted.chain(&mut self.wrapped) {
                *bytes = filled.place(bytes.start)..filled.place(bytes.end);
            }
            for place in &mut self.places {
                let sent = usize::try_from(place.sent).ok().map(|sent| filled.place(sent));
                place.sent = sent.and_then(|sent| u32::try_from(sent).ok()).unwrap_or(u32::MAX);
            }
        }
        (self.text, self.holes) = (filled.text, filled.holes);
    }

    fn started(&mut self, at: usize, token: &Token) {
        if let Ok(sent) = u32::try_from(at) {
            self.places.push(Place { sent, given: token.start });
        }
    }
}

impl Edits {
    /// Keeps an edit; when all that there are together are too long, the statement will be refused.
    fn push(&mut self, edit: Edit) {
        self.bytes = self.bytes.saturating_add(edit.text.len());
        if self.bytes <= MAX_SENT / 2 {
            self.list.push(edit);
        }
    }

    /// Replaces `tokens` by `text`.
    pub fn replace(&mut self, tokens: Range<usize>, text: String, trusted: bool) {
        self.push(Edit { tokens, text, wraps: false, trusted, mask: false, order: Order::Between });
    }

    /// Replaces a reference by its mask.
    pub fn mask(&mut self, tokens: Range<usize>, text: String) {
        self.push(Edit { tokens, text, wraps: false, trusted: true, mask: true, order: Order::Between });
    }

    /// Puts `text`, in which [`HOLE`] stands for the tokens themselves, around `tokens`.
    pub fn wrap(&mut self, tokens: Range<usize>, text: String) {
        self.push(Edit { tokens, text, wraps: true, trusted: true, mask: false, order: Order::Between });
    }

    fn put(&mut self, at: usize, text: String, trusted: bool, order: Order) {
        self.push(Edit { tokens: at..at, text, wraps: false, trusted, mask: false, order });
    }

    /// Inserts `text` before token `at`.
    pub fn insert(&mut self, at: usize, text: String) {
        self.put(at, text, false, Order::Between);
    }

    /// Inserts text of our own, which may name protected columns, before token `at`.
    pub fn insert_own(&mut self, at: usize, text: String) {
        self.put(at, text, true, Order::Between);
    }

    /// Inserts `text` that belongs to token `at`: nothing else is inserted between.
    pub fn prefix(&mut self, at: usize, text: String) {
        self.put(at, text, false, Order::Prefix);
    }

    /// Inserts text of our own, which may name protected columns, that belongs to token `at`: nothing else is inserted between.
    pub fn suffix_own(&mut self, at: usize, text: String) {
        self.put(at + 1, text, true, Order::Suffix);
    }

    /// Inserts `open` and `close` around tokens, in which other edits may be.
    pub fn around(&mut self, tokens: &Range<usize>, open: String, close: String) {
        self.enclose(tokens, open, close, false);
    }

    /// The same with text of our own, which may name protected columns.
    pub fn around_own(&mut self, tokens: &Range<usize>, open: String, close: String) {
        self.enclose(tokens, open, close, true);
    }

    fn enclose(&mut self, tokens: &Range<usize>, open: String, close: String, trusted: bool) {
        let made = self.list.len();
        self.put(tokens.start, open, trusted, Order::Opens { ends: Reverse(tokens.end), made });
        let order = Order::Closes { begins: Reverse(tokens.start), made: Reverse(made) };
        self.put(tokens.end, close, trusted, order);
    }

    /// Gives an item its name back: `text` before token `at`, once.
    pub fn restore(&mut self, at: usize, text: String) {
        if self.restored.insert(at) {
            self.insert_own(at, text);
        }
    }

    /// Whether nothing is edited.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether any edit is a mask, a derived table or a guard.
    pub fn any_trusted(&self) -> bool {
        self.list.iter().any(|edit| edit.trusted)
    }

    /// Puts the edits in order; they may nest only inside a wrapping one, and what is around tokens only as brackets do.
    ///
    /// # Errors
    /// [`RefusalCode::Unsupported`] when two edits overlap.
    pub fn sort(&mut self) -> Result<(), Refusal> {
        // What starts where a wrapping edit starts belongs inside it; an insertion stands before a replacement.
        self.list.sort_by_key(|edit| {
            (edit.tokens.start, !edit.wraps, !edit.tokens.is_empty(), edit.order, Reverse(edit.tokens.end))
        });
        for (number, edit) in self.list.iter().enumerate() {
            for later in self.list.iter().skip(number + 1).take_while(|later| later.tokens.start < edit.tokens.end) {
                if !(edit.wraps && later.tokens.end <= edit.tokens.end) {
                    return Err(overlap());
                }
            }
        }
        let mut open = Vec::new();
        for edit in &self.list {
            match edit.order {
                Order::Opens { made, .. } => open.push(made),
                Order::Closes { made, .. } if open.pop() != Some(made.0) => return Err(overlap()),
                Order::Closes { .. } | Order::Suffix | Order::Between | Order::Prefix => {}
            }
        }
        Ok(())
    }

    /// Refuses what would be too long to send. The edits are in order.
    ///
    /// # Errors
    /// [`RefusalCode::TextTooLong`].
    pub fn check_length(&self, tokens: &[Token]) -> Result<(), Refusal> {
        let fits = self.bytes <= MAX_SENT / 2 && (self.at_most(tokens) <= MAX_SENT || self.length(tokens) <= MAX_SENT);
        if fits { Ok(()) } else { Err(too_long(RefusalCode::TextTooLong)) }
    }

    /// Never less than [`Edits::length`], and known without looking at the tokens: each is at most three times as long as it was
    /// written, a space included, and stands there at most as often as all wrapping edits together repeat it.
    fn at_most(&self, tokens: &[Token]) -> usize {
        let written = tokens.last().map_or(0, |token| usize::try_from(token.end).unwrap_or(usize::MAX));
        let wrapping = self.list.iter().filter(|edit| edit.wraps);
        let times = wrapping.fold(1_usize, |times, edit| times.saturating_mul(holes(edit).max(1)));
        self.bytes.saturating_add(written.saturating_mul(3)).saturating_mul(times)
    }

    /// About how long the tokens are with the edits: what a wrapping edit wraps counts as often as it stands there.
    fn length(&self, tokens: &[Token]) -> usize {
        let mut length = 0_usize;
        // Wrapping edits around: where each ends, and how often what is inside stands there.
        let mut around: Vec<(usize, usize)> = Vec::new();
        let mut at = 0;
        let mut add = |bytes: usize, times: usize| length = length.saturating_add(bytes.saturating_mul(times));
        let times = |around: &[(usize, usize)]| around.last().map_or(1, |(_, times)| *times);
        let mut edits = self.list.iter().peekable();
        while at <= tokens.len() {
            while around.last().is_some_and(|(end, _)| *end <= at) {
                around.pop();
            }
            let mut skipped = at;
            while let Some(edit) = edits.next_if(|edit| edit.tokens.start <= at) {
                add(edit.text.len(), times(&around));
                if edit.wraps {
                    around.push((edit.tokens.end, times(&around).saturating_mul(holes(edit))));
                } else {
                    skipped = skipped.max(edit.tokens.end);
                }
            }
            if skipped > at {
                at = skipped;
                continue;
            }
            if let Some(token) = tokens.get(at) {
                let doubled = if token.is_literal() {
                    memchr::memchr2_iter(b'\'', b'\\', token.content().as_bytes()).count()
                } else {
                    0
                };
                add(token.content().len() + doubled + 1, times(&around));
            }
            at += 1;
        }
        length
    }

    /// Prints `range` of the tokens with the edits.
    pub fn print(&self, tokens: &[Token], range: Range<usize>) -> Printed {
        let mut out = Printed::default();
        let own: usize = self.list.iter().map(|edit| edit.text.len() + 1).sum();
        // A word is a few letters.
        out.text.reserve(own + range.len() * 6);
        out.places.reserve(range.len());
        print_range(&mut out, tokens, range, &self.list);
        out.fill(tokens);
        out
    }
}

fn overlap() -> Refusal {
    Refusal::new(RefusalCode::Unsupported, "statement needs two changes in one place")
        .with_hint("Write it in a simpler form.")
}

/// How often the text of a wrapping edit repeats what it wraps.
fn holes(edit: &Edit) -> usize {
    memchr::memchr_iter(HOLE_BYTE, edit.text.as_bytes()).count()
}

/// The refusal of a statement that is too long as it would be sent.
pub fn too_long(code: RefusalCode) -> Refusal {
    Refusal::new(code, "statement is too long with what stands for protected columns in it")
        .with_hint("It names such columns too often, or assigns too much to them; split it.")
}

fn print_range(out: &mut Printed, tokens: &[Token], range: Range<usize>, edits: &[Edit]) {
    let mut index = range.start;
    for (number, edit) in edits.iter().enumerate() {
        if edit.tokens.start < index {
            continue; // Printed inside a wrapping edit.
        }
        if edit.tokens.start > range.end {
            break;
        }
        push_tokens(out, tokens, index..edit.tokens.start);
        print_edit(out, tokens, edit, edits.get(number + 1..).unwrap_or(&[]));
        index = edit.tokens.end;
    }
    push_tokens(out, tokens, index..range.end);
}

fn push_tokens(out: &mut Printed, tokens: &[Token], range: Range<usize>) {
    for token in tokens.get(range).unwrap_or(&[]) {
        let start = emit::push_with_hole(&mut out.text, token);
        out.started(start, token);
    }
}

/// Where in a mask its first token that is no bracket stands, and its operand for the first time.
fn points(mask: &str, operand: &str) -> (usize, Option<usize>) {
    let whole = mask.len() - mask.trim_start_matches('(').len();
    let begins = |at: &usize| {
        let before = mask.get(..*at).and_then(|before| before.chars().next_back());
        before.is_none_or(|before| !(before.is_alphanumeric() || matches!(before, '_' | '.' | '"' | '$')))
    };
    let mut found = mask.match_indices(operand).map(|(at, _)| at);
    (whole, found.find(|at| !operand.is_empty() && begins(at)))
}

fn print_edit(out: &mut Printed, tokens: &[Token], edit: &Edit, later: &[Edit]) {
    if edit.text.is_empty() {
        return;
    }
    if !out.text.is_empty() && !out.text.ends_with(['(', ' ']) {
        out.text.push(' ');
    }
    let start = out.text.len();
    if !edit.wraps
        && let Some(replaced) = tokens.get(edit.tokens.clone()).and_then(<[Token]>::first)
    {
        out.started(start, replaced);
        if edit.mask {
            let operand = tokens.get(edit.tokens.clone()).map(emit::name).unwrap_or_default();
            // Most errors are those of the whole mask, or of the first place where the column stands in it.
            let (whole, column) = points(&edit.text, &operand);
            for point in [Some(whole), column.filter(|column| *column > whole)].into_iter().flatten() {
                if point > 0 {
                    out.started(start + point, replaced);
                }
            }
        }
    }
    if edit.wraps {
        // In order, and no other edit reaches into this one ([`Edits::sort`]).
        let inside = later.iter().take_while(|other| other.tokens.start < edit.tokens.end).count();
        let mut nested = Printed::default();
        print_range(&mut nested, tokens, edit.tokens.clone(), later.get(..inside).unwrap_or(&[]));
        let mut parts = edit.text.split(HOLE);
        out.text.push_str(parts.next().unwrap_or(""));
        for part in parts {
            if let Ok(before) = u32::try_from(out.text.len()) {
                let moved = |place: &Place| Place { sent: before.saturating_add(place.sent), ..*place };
                out.places.extend(nested.places.iter().map(moved));
            }
            let before = out.text.len();
            let moved = |bytes: &Range<usize>| bytes.start + before..bytes.end + before;
            let trusted = nested.trusted.iter().chain(&nested.inside);
            out.inside.extend(trusted.map(|ours| Trusted { bytes: moved(&ours.bytes), tokens: ours.tokens.clone() }));
            out.wrapped.extend(nested.wrapped.iter().map(moved));
            out.wrapped.push(before..before + nested.text.len());
            out.text.push_str(&nested.text);
            out.text.push_str(part);
        }
    } else {
        out.text.push_str(&edit.text);
    }
    if edit.trusted {
        out.trusted.push(Trusted { bytes: start..out.text.len(), tokens: edit.tokens.clone() });
    }
}
