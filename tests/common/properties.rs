//! What must hold for any input: used by `tests/fuzz.rs` with bounded random inputs, and by the targets in `fuzz/`.

use pgscrim::{
    catalog::{CatalogSnapshot, testing},
    engine::{Inputs, Protocol, QueryContext, plan},
    policy::{
        RoleId,
        rules::{RuleFile, RuleSet},
    },
    sql::{Kind, Reads, Token, emit, forms, lex, split},
    wire::{Header, backend, frame, frontend, startup},
};

/// Any bytes as the bodies of messages: readers answer or refuse, and give out nothing beyond the body.
pub fn messages(bytes: &[u8]) {
    if let Ok(Some(header)) = Header::read(bytes) {
        assert!(header.total >= frame::HEADER);
        let _ = frame::body(&bytes[..header.total.min(bytes.len())]);
    }
    let inside = |part: &[u8]| {
        let (start, end) = (bytes.as_ptr() as usize, bytes.as_ptr() as usize + bytes.len());
        let at = part.as_ptr() as usize;
        assert!(part.is_empty() || at >= start && at + part.len() <= end);
        assert!(!part.contains(&0));
    };
    if let Ok(text) = frontend::query(bytes) {
        inside(text);
    }
    if let Ok(parse) = frontend::parse(bytes) {
        inside(parse.name);
        inside(parse.text);
        assert!(parse.types.len() >= 2);
    }
    if let Some((portal, statement)) = frontend::bind_names(bytes) {
        inside(portal);
        inside(statement);
    }
    let _ = frontend::check_bind(bytes);
    if let Ok((_, name)) = frontend::target(bytes) {
        inside(name);
    }
    if let Ok(portal) = frontend::execute(bytes) {
        inside(portal);
    }
    let _ = backend::row_description(bytes);
    if let Ok(fields) = backend::error_fields(bytes) {
        fields.iter().for_each(|(_, value)| inside(value));
    }
    let _ = backend::parameter_status(bytes);
    let _ = backend::command_rows(bytes);
    let _ = backend::text_row(bytes);
}

/// Any bytes as a start-up packet: it is read to its exact length, and what is understood is written again as it was.
pub fn startup_packet(bytes: &[u8]) {
    let Some((first, mut rest)) = bytes.split_first() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let Ok(packet) = runtime.block_on(startup::read_packet(&mut rest, *first)) else { return };
    assert_eq!(packet.bytes, bytes[..bytes.len() - rest.len()]);
    assert_eq!(u32::from_be_bytes(packet.bytes[..4].try_into().unwrap()) as usize, packet.bytes.len());
    if let Ok(parameters) = startup::parameters(&packet) {
        assert_eq!(startup::message(packet.code, &parameters), packet.bytes);
    }
}

/// Any text: printed tokens lex into the same tokens, and print the same again.
pub fn round_trip(text: &str) {
    let Ok(tokens) = lex::lex(text) else { return };
    let mut end = 0;
    for token in &tokens {
        assert!(end <= token.start && token.start < token.end && token.end as usize <= text.len(), "{text:?}");
        assert!(text.is_char_boundary(token.start as usize) && text.is_char_boundary(token.end as usize), "{text:?}");
        end = token.end;
    }
    let strip =
        |tokens: &[Token]| -> Vec<(Kind, String)> { tokens.iter().map(|token| (token.kind, content(token))).collect() };
    let printed = emit::text(&tokens);
    let again = lex::lex(&printed).unwrap_or_else(|refusal| panic!("{text:?} → {printed:?}: {refusal}"));
    assert_eq!(strip(&tokens), strip(&again), "{text:?} → {printed:?}");
    assert_eq!(printed, emit::text(&again));
    assert_eq!(split::statements(&tokens).len(), split::statements(&again).len());
    let plain = forms::plain(&tokens);
    assert!(lex::lex(&emit::text(&plain)).is_ok(), "{text:?}");
    emit::redacted(&tokens);
}

const RULES: &str = r#"
policy = "fuzz"
[category.name]
columns = ["public.customers.full_name"]
[category.phone]
columns = ["public.customers.phone"]
[category.note]
columns = ["public.customers.note"]
[category.none]
columns = ["public.customers.id", "public.customers.city"]
[[role]]
name = "support"
match = { user = ["support"] }
see = { name = "name_initials", phone = "phone_last", note = "refuse" }
search = { phone = "exact" }
explain = true
[[role]]
name = "owner"
match = { user = ["owner"] }
exempt = true
"#;

fn catalog() -> std::sync::Arc<CatalogSnapshot> {
    let mut data = testing::database();
    let customers = testing::table(
        &mut data,
        "customers",
        "id bigint, full_name text not null, phone varchar(20), note text, born date, city text",
    );
    testing::table(&mut data, "orders", "id bigint, customer_id bigint, amount numeric(12,2)");
    let definition = "SELECT id, phone AS tel FROM public.customers";
    testing::view(&mut data, "tails", "id bigint, tel varchar(20)", definition, &[customers]);
    CatalogSnapshot::new(data, 1)
}

/// What plans are made with.
pub struct Planner {
    inputs: Inputs,
}

impl Planner {
    pub fn new() -> Self {
        let catalog = catalog();
        let rules = RuleSet::parse(&[RuleFile { path: "rules.toml".into(), text: RULES.into() }])
            .unwrap_or_else(|complaints| panic!("{complaints}"));
        let policy = rules.compile(&catalog).unwrap_or_else(|complaints| panic!("{complaints}"));
        Self { inputs: Inputs { catalog, policy: policy.into() } }
    }

    /// Any text is planned or refused, the same way twice. What is sent has as many statements as the plan, and is planned
    /// by an exempt role as what it is. Answers whether it was planned.
    pub fn plan(&self, text: &str) -> bool {
        let context = |role: u16, protocol: Protocol| QueryContext {
            role: RoleId(role),
            search_path: vec!["pg_catalog".to_owned(), "public".to_owned()].into(),
            protocol,
        };
        let exempt = plan(text, &context(1, Protocol::Simple), &self.inputs).expect("exempt roles are never refused");
        assert_eq!(&**exempt.permit.text(), text);
        let extended = plan(text, &context(0, Protocol::EXTENDED), &self.inputs);
        let simple = plan(text, &context(0, Protocol::Simple), &self.inputs);
        let Ok(simple) = simple else {
            assert!(extended.is_err(), "{text:?}");
            return false;
        };
        let again = plan(text, &context(0, Protocol::Simple), &self.inputs).expect("as before");
        let sent = simple.permit.text();
        assert_eq!(sent, again.permit.text(), "{text:?}");
        match extended {
            Ok(extended) => assert_eq!(extended.permit.text(), sent, "{text:?}"),
            Err(_) => assert!(simple.statements.len() > 1, "{text:?}"),
        }
        let tokens = lex::lex(sent).unwrap_or_else(|refusal| panic!("{text:?} → {sent:?}: {refusal}"));
        assert_eq!(split::statements(&tokens).len(), simple.statements.len(), "{text:?} → {sent:?}");
        for position in 0..sent.chars().count().min(200) {
            let found = simple.position(text, position);
            assert!(found.is_none_or(|at| at >= 1 && at <= text.chars().count() + 1), "{text:?}");
        }
        true
    }
}

/// Any text as a rule file: complaints or rules, which compile or do not.
pub fn rules(text: &str) {
    if let Ok(rules) = RuleSet::parse(&[RuleFile { path: "rules.toml".into(), text: text.into() }]) {
        let _ = rules.compile(&catalog());
    }
}

/// A rule file to start from.
pub fn sample_rules() -> &'static str {
    RULES
}

/// What a token says, whatever its kind.
fn content(token: &Token) -> String {
    token.literal(&mut Reads::default()).unwrap_or_else(|| token.name()).to_owned()
}
