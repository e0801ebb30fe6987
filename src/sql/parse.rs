//! Tokens → syntax tree (sqlparser), for queries and data modification.
//!
//! In: tokens of one statement. Out: a tree whose spans are token numbers, parsed to the end of input. Invariant: tokens
//! that are kept from the parser name nothing, or stand for themselves as [`gaps::GAP`]; all tokens are printed. The tree
//! holds no content of a literal; who needs one asks the token ([`Token::literal`]).

use sqlparser::{
    ast::{Expr, Ident, Query, SetExpr, Statement},
    dialect::PostgreSqlDialect,
    parser::{Parser, ParserError},
    tokenizer::{Location, Span, Token as Parsed, TokenWithSpan},
};

use super::{Kind, MAX_CHAIN, MAX_DEPTH, Token, gaps};
use crate::error::{Refusal, RefusalCode};

/// The number of the first token of `span`, counted in the slice that was parsed; none for an empty span.
pub fn token_index(span: Span) -> Option<usize> {
    if span.start.line == 0 { None } else { usize::try_from(span.start.column).ok()?.checked_sub(1) }
}

/// The token that `ident` is.
pub fn ident_index(ident: &Ident) -> Option<usize> {
    token_index(ident.span)
}

/// Parses one SELECT, VALUES, TABLE, INSERT, UPDATE, DELETE, MERGE or WITH statement.
///
/// # Errors
/// [`RefusalCode::NotParsed`], [`RefusalCode::TooDeep`].
pub fn parse_statement(tokens: &[Token], first: usize) -> Result<Statement, Refusal> {
    let mut parser = parser(tokens, first)?;
    let statement = parser.parse_statement().map_err(|error| refusal(&error, &parser, tokens, first))?;
    end_of_input(&parser, tokens, first)?;
    Ok(statement)
}

/// Parses a query alone.
///
/// # Errors
/// As [`parse_statement`].
pub fn parse_query(tokens: &[Token], first: usize) -> Result<Box<Query>, Refusal> {
    let mut parser = parser(tokens, first)?;
    let query = parser.parse_query().map_err(|error| refusal(&error, &parser, tokens, first))?;
    end_of_input(&parser, tokens, first)?;
    Ok(query)
}

/// Parses expressions separated by commas.
///
/// # Errors
/// As [`parse_statement`].
pub fn parse_expressions(tokens: &[Token], first: usize) -> Result<Vec<Expr>, Refusal> {
    if tokens.is_empty() {
        return Ok(Vec::new());
    }
    let mut parser = parser(tokens, first)?;
    let list =
        parser.parse_comma_separated(Parser::parse_expr).map_err(|error| refusal(&error, &parser, tokens, first))?;
    end_of_input(&parser, tokens, first)?;
    Ok(list)
}

/// Whether `body` is a plain row source; used where a data-modifying statement is not allowed.
pub fn is_row_source(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(_)
        | SetExpr::Query(_)
        | SetExpr::SetOperation { left: _, op: _, set_quantifier: _, right: _ }
        | SetExpr::Values(_)
        | SetExpr::Table(_) => true,
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => false,
    }
}

static DIALECT: PostgreSqlDialect = PostgreSqlDialect {};

fn parser(tokens: &[Token], first: usize) -> Result<Parser<'static>, Refusal> {
    check_depth(tokens)?;
    let gaps = gaps::find(tokens);
    let mut parsed = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while index <= tokens.len() {
        let column = (first + index + 1) as u64;
        let span = Span::new(Location::new(1, column), Location::new(1, column + 1));
        if let Some(step) = gaps.at(index) {
            for (kind, value) in &step.shown {
                let shown = Token { kind: *kind, value: (*value).into(), start: 0, end: 0 };
                parsed.push(TokenWithSpan::new(translate(&shown), span));
            }
            if step.dropped > 0 {
                index += step.dropped;
                continue;
            }
        }
        let Some(token) = tokens.get(index) else { break };
        let skip = unknown_words(tokens, index);
        if skip > 0 {
            index += skip;
            continue;
        }
        parsed.push(TokenWithSpan::new(translate(token), span));
        index += 1;
    }
    Ok(Parser::new(&DIALECT).with_recursion_limit(MAX_DEPTH * 4).with_tokens_with_locations(parsed))
}

/// How many tokens at `index` are words that sqlparser does not know and that change no name's meaning: the strength in
/// `FOR NO KEY UPDATE` and `FOR KEY SHARE`, `FOR READ ONLY`, `VARIADIC` before an argument, `BETWEEN SYMMETRIC`, and `EXCLUDE …` at the
/// end of a window frame.
fn unknown_words(tokens: &[Token], index: usize) -> usize {
    let word = |offset: usize, word: &str| {
        index.checked_add(offset).and_then(|at| tokens.get(at)).is_some_and(|token| token.is_word(word))
    };
    let before = index.checked_sub(1).and_then(|at| tokens.get(at));
    if before.is_some_and(|token| token.is_word("between")) && (word(0, "symmetric") || word(0, "asymmetric")) {
        return 1;
    }
    let exclusion = exclusion(tokens, index);
    if exclusion > 0 {
        return exclusion;
    }
    if word(0, "for") && word(1, "read") && word(2, "only") {
        return 3;
    }
    let after_for = before.is_some_and(|token| token.is_word("for"));
    let in_list = before.is_some_and(|token| matches!(token.kind, Kind::Open | Kind::Comma));
    if after_for && word(0, "no") && word(1, "key") && word(2, "update") {
        2
    } else {
        usize::from((after_for && word(0, "key") && word(1, "share")) || (in_list && word(0, "variadic")))
    }
}

/// The words of `EXCLUDE …` at the end of a window's definition.
fn exclusion(tokens: &[Token], index: usize) -> usize {
    let words: [&[&str]; 4] =
        [&["exclude", "current", "row"], &["exclude", "group"], &["exclude", "ties"], &["exclude", "no", "others"]];
    let framed = index
        .checked_sub(1)
        .and_then(|before| tokens.get(before))
        .is_some_and(|token| ["row", "preceding", "following"].iter().any(|word| token.is_word(word)));
    let found = words.iter().find(|words| {
        let written = tokens.get(index..index + words.len()).unwrap_or(&[]);
        written.len() == words.len() && written.iter().zip(**words).all(|(token, word)| token.is_word(word))
    });
    let ends = |length: usize| tokens.get(index + length).is_some_and(|token| token.kind == Kind::Close);
    found.filter(|words| framed && ends(words.len())).map_or(0, |words| words.len())
}

/// Refuses what would make a tree too deep: nesting, and long chains of operators at one level.
fn check_depth(tokens: &[Token]) -> Result<(), Refusal> {
    let too_deep = |token: &Token| {
        Refusal::new(RefusalCode::TooDeep, "statement is nested too deeply")
            .with_hint(format!("The limit is {MAX_DEPTH} levels and {MAX_CHAIN} operators in one chain."))
            .at(token.start)
    };
    let mut chains = vec![0_usize];
    for token in tokens {
        match token.kind {
            Kind::Open | Kind::OpenBracket => chains.push(0),
            Kind::Close | Kind::CloseBracket => {
                if chains.len() > 1 {
                    chains.pop();
                }
            }
            Kind::Comma => {
                if let Some(chain) = chains.last_mut() {
                    *chain = 0;
                }
            }
            Kind::Operator | Kind::Typecast | Kind::Word => {
                let counts = token.kind != Kind::Word
                    || matches!(
                        &*token.value,
                        "and"
                            | "or"
                            | "not"
                            | "union"
                            | "intersect"
                            | "except"
                            | "case"
                            | "join"
                            | "is"
                            | "collate"
                            | "at"
                            | "in"
                            | "like"
                    );
                if counts && let Some(chain) = chains.last_mut() {
                    *chain += 1;
                    if *chain > MAX_CHAIN {
                        return Err(too_deep(token));
                    }
                }
            }
            Kind::Quoted
            | Kind::Text
            | Kind::National
            | Kind::Bits
            | Kind::Hex
            | Kind::Number
            | Kind::Parameter
            | Kind::Semicolon
            | Kind::Dot
            | Kind::Colon
            | Kind::Assign
            | Kind::Arrow => {}
        }
        if chains.len() > MAX_DEPTH {
            return Err(too_deep(token));
        }
    }
    Ok(())
}

fn end_of_input(parser: &Parser<'_>, tokens: &[Token], first: usize) -> Result<(), Refusal> {
    let next = parser.peek_token_ref();
    if next.token == Parsed::EOF {
        return Ok(());
    }
    Err(syntax_error(token_index(next.span), tokens, first))
}

fn refusal(error: &ParserError, parser: &Parser<'_>, tokens: &[Token], first: usize) -> Refusal {
    match error {
        ParserError::RecursionLimitExceeded => Refusal::new(RefusalCode::TooDeep, "statement is nested too deeply"),
        ParserError::TokenizerError(_) | ParserError::ParserError(_) => {
            syntax_error(token_index(parser.peek_token_ref().span), tokens, first)
        }
    }
}

/// What is said of the token with this number; `first` is the number of the first token.
pub fn syntax_error(index: Option<usize>, tokens: &[Token], first: usize) -> Refusal {
    let at = index.and_then(|index| tokens.get(index.checked_sub(first)?)).or(tokens.last());
    // The word itself is quoted only when it cannot be data.
    let near = match at {
        Some(token) if matches!(token.kind, Kind::Word | Kind::Operator | Kind::Open | Kind::Close | Kind::Comma) => {
            format!("syntax not understood near \"{}\"", token.value)
        }
        Some(_) | None => "syntax not understood".to_owned(),
    };
    let refusal = Refusal::new(RefusalCode::NotParsed, near)
        .with_hint("pgscrim sends on only what it has analysed; write the statement in another form.");
    match at {
        Some(token) => refusal.at(token.start),
        None => refusal,
    }
}

/// The parser sees no content of a literal: nothing in the tree can depend on one.
fn translate(token: &Token) -> Parsed {
    match token.kind {
        Kind::Word => Parsed::make_word(&token.value, None),
        Kind::Quoted => Parsed::make_word(&token.value, Some('"')),
        Kind::Text => Parsed::SingleQuotedString(String::new()),
        Kind::National => Parsed::NationalStringLiteral(String::new()),
        Kind::Bits => Parsed::SingleQuotedByteStringLiteral(String::new()),
        Kind::Hex => Parsed::HexStringLiteral(String::new()),
        Kind::Number => Parsed::Number("0".to_owned(), false),
        Kind::Parameter => Parsed::Placeholder(["$", &*token.value].concat()),
        Kind::Open => Parsed::LParen,
        Kind::Close => Parsed::RParen,
        Kind::OpenBracket => Parsed::LBracket,
        Kind::CloseBracket => Parsed::RBracket,
        Kind::Comma => Parsed::Comma,
        Kind::Semicolon => Parsed::SemiColon,
        Kind::Dot => Parsed::Period,
        Kind::Colon => Parsed::Colon,
        Kind::Typecast => Parsed::DoubleColon,
        Kind::Assign => Parsed::Assignment,
        Kind::Arrow => Parsed::RArrow,
        Kind::Operator => operator(&token.value),
    }
}

/// Whether the parser has a token of its own for an operator; it takes others between operands only.
pub(super) fn knows_operator(text: &str) -> bool {
    !matches!(operator(text), Parsed::CustomBinaryOperator(_))
}

fn operator(text: &str) -> Parsed {
    match text {
        "=" => Parsed::Eq,
        "<>" => Parsed::Neq,
        "<" => Parsed::Lt,
        ">" => Parsed::Gt,
        "<=" => Parsed::LtEq,
        ">=" => Parsed::GtEq,
        "+" => Parsed::Plus,
        "-" => Parsed::Minus,
        "*" => Parsed::Mul,
        "/" => Parsed::Div,
        "%" => Parsed::Mod,
        "^" => Parsed::Caret,
        "||" => Parsed::StringConcat,
        "&" => Parsed::Ampersand,
        "|" => Parsed::Pipe,
        "#" => Parsed::Sharp,
        "~" => Parsed::Tilde,
        "~*" => Parsed::TildeAsterisk,
        "!~" => Parsed::ExclamationMarkTilde,
        "!~*" => Parsed::ExclamationMarkTildeAsterisk,
        "~~" => Parsed::DoubleTilde,
        "~~*" => Parsed::DoubleTildeAsterisk,
        "!~~" => Parsed::ExclamationMarkDoubleTilde,
        "!~~*" => Parsed::ExclamationMarkDoubleTildeAsterisk,
        "<<" => Parsed::ShiftLeft,
        ">>" => Parsed::ShiftRight,
        "&&" => Parsed::Overlap,
        "@" => Parsed::AtSign,
        "^@" => Parsed::CaretAt,
        "|/" => Parsed::PGSquareRoot,
        "||/" => Parsed::PGCubeRoot,
        "->" => Parsed::Arrow,
        "->>" => Parsed::LongArrow,
        "#>" => Parsed::HashArrow,
        "#>>" => Parsed::HashLongArrow,
        "#-" => Parsed::HashMinus,
        "@>" => Parsed::AtArrow,
        "<@" => Parsed::ArrowAt,
        "@?" => Parsed::AtQuestion,
        "@@" => Parsed::AtAt,
        "?" => Parsed::Question,
        "?&" => Parsed::QuestionAnd,
        "?|" => Parsed::QuestionPipe,
        other => Parsed::CustomBinaryOperator(other.to_owned()),
    }
}
