//! `pgscrim explain`: what a role would get for a statement, without running it. In: rules, a catalog, a role, a
//! statement. Out: lineage, decision and the text that would be sent, or the refusal and exit code 2.

use std::{collections::HashMap, fmt::Write as _, sync::Arc, time::SystemTime};

use clap::{Arg, ArgMatches, Command};
use serde_json::{Value, json};

use super::{
    Failure, args,
    output::{Format, Spot},
    print,
};
use crate::{
    catalog::{CatalogSnapshot, Column, Relation},
    engine::{self, Access, Inputs, Plan, Protocol, QueryContext, Refused},
    names::{QualifiedName, rule_part},
    policy::{
        ColumnPolicy, LoginIdentity, Policy, RoleId, RolePolicy, Treatment,
        compiled::BY_GRANT,
        places::{Link, leading},
        rules::{RuleFile, RuleSet},
        settings::PURPOSE,
    },
    sql::{Kind, lex},
};

pub(super) fn command() -> Command {
    Command::new("explain")
        .about("Show what a role would get for a statement: columns used, decision, rewritten SQL")
        .after_help(
            "Nothing is run. Examples:\n  \
             pgscrim explain --config pgscrim.toml --role packing 'SELECT full_name, phone FROM customers'\n  \
             pgscrim explain --rules rules/acros --catalog shop.catalog.json --user care_app --json 'TABLE orders'",
        )
        .arg(
            Arg::new("sql")
                .value_name("SQL")
                .env("PGSCRIM_SQL")
                .hide_env_values(true)
                .required(true)
                .help("The statement, or - for standard input"),
        )
        .args([
            Arg::new("role")
                .long("role")
                .short('r')
                .env("PGSCRIM_ROLE")
                .value_name("ROLE")
                .required_unless_present("user")
                .help("Policy role, the name of a [[role]] in the rules"),
            Arg::new("user")
                .long("user")
                .short('u')
                .env("PGSCRIM_USER")
                .value_name("USER")
                .help("Login role; finds the policy role as a connection would, and stands for $user"),
            Arg::new("application")
                .long("application")
                .env("PGSCRIM_APPLICATION")
                .value_name("NAME")
                .default_value("")
                .help("application_name of the connection, with --user"),
            Arg::new("purpose")
                .long("purpose")
                .env("PGSCRIM_PURPOSE")
                .value_name("PURPOSE")
                .help("One of the role's purposes [default: as a connection would have it]"),
            Arg::new("search_path")
                .long("search-path")
                .env("PGSCRIM_SEARCH_PATH")
                .value_name("SCHEMAS")
                .help("search_path of the session [default: as the server has it for the user]"),
        ])
        .args([args::config_file(), args::catalog_file()])
        .args(args::format(&[Format::Human, Format::Json]))
        .args(args::keys(|key| key == "rules" || key.starts_with("upstream.")))
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let given = args::Given::new(matches)?;
    let files = given.rule_files()?;
    let rules = RuleSet::parse(&files).map_err(Failure::RulesInvalid)?;
    let sql = statement(matches)?;
    let catalog = given.snapshot(matches)?;
    let policy = rules.compile(&catalog).map_err(Failure::RulesInvalid)?;
    let user = matches.get_one::<String>("user").map(String::as_str);
    let role = match matches.get_one::<String>("role") {
        Some(name) => named_role(&policy, name)?,
        None => matched_role(&policy, &catalog, user.unwrap_or_default(), matches)?,
    };
    let role = acting(&policy, role, &catalog, matches)?;
    let name = policy.role(role).map(|role| role.name.clone()).unwrap_or_default();
    let observed = policy.role(role).is_some_and(|role| role.observed.is_some());
    let policy = policy.enforced();
    let path = matches.get_one::<String>("search_path").map(String::as_str);
    let path = path.unwrap_or_else(|| configured_path(user.unwrap_or_default(), &catalog));
    let search_path = effective_path(path, user.unwrap_or_default(), &catalog);
    let context = QueryContext { role, search_path, protocol: Protocol::Simple };
    let inputs = Inputs { catalog, policy: Arc::new(policy) };
    let outcome = engine::plan(&sql, &context, &inputs);
    let outcome = outcome.and_then(|plan| plan.serves(user.unwrap_or_default()).map(|()| plan));
    let reasons = reasons(&rules, &files, &inputs, role);
    let text = if args::chosen_format(matches) == Format::Json {
        let value = as_json(&name, observed, &inputs, &outcome, &reasons);
        serde_json::to_string_pretty(&value).map_err(Failure::new)? + "\n"
    } else {
        let label = if observed { " (observed: nothing is enforced yet; this is what would be)" } else { "" };
        as_text(&format!("{name}{label}"), &inputs, &outcome, &reasons)
    };
    print(&text)?;
    match outcome {
        Ok(_) => Ok(()),
        Err(refused) => Err(Failure::Refused(format!("statement is refused: {}", refused.refusal))),
    }
}

fn statement(matches: &ArgMatches) -> Result<String, Failure> {
    let text = match matches.get_one::<String>("sql").map(String::as_str) {
        Some("-") | None => std::io::read_to_string(std::io::stdin())
            .map_err(|error| Failure::new(format!("could not read the statement from standard input: {error}")))?,
        Some(text) => text.to_owned(),
    };
    // White space, comments and semicolons alone are no statement either; the server answers them with an empty response.
    let empty = lex::lex(&text).is_ok_and(|tokens| tokens.iter().all(|token| token.kind == Kind::Semicolon));
    if empty {
        return Err(Failure::new("there is no statement to explain: the text is empty"));
    }
    Ok(text)
}

fn named_role(policy: &Policy, name: &str) -> Result<RoleId, Failure> {
    let position = policy.roles.iter().position(|role| role.name == name);
    position.and_then(|position| u16::try_from(position).ok()).map(RoleId).ok_or_else(|| {
        let mut names: Vec<&str> = policy.roles.iter().map(|role| role.name.as_str()).collect();
        names.dedup();
        Failure::new(format!("the rules have no role \"{name}\" (there are: {})", names.join(", ")))
    })
}

/// The entry of the role that a session would act by.
fn acting(policy: &Policy, role: RoleId, catalog: &CatalogSnapshot, matches: &ArgMatches) -> Result<RoleId, Failure> {
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let asked = text("purpose").or_else(|| configured(PURPOSE, text("user")?, catalog)).unwrap_or_default();
    policy.acting(role, asked, text("application").unwrap_or_default()).ok_or_else(|| {
        let known = policy.role(role).map(|role| role.purposes.join(", ")).unwrap_or_default();
        let known = if known.is_empty() { "none: the rules give it no purposes".to_owned() } else { known };
        Failure::new(format!("the role has no purpose \"{asked}\" (there are: {known})"))
    })
}

fn matched_role(
    policy: &Policy,
    catalog: &CatalogSnapshot,
    user: &str,
    matches: &ArgMatches,
) -> Result<RoleId, Failure> {
    let who = LoginIdentity {
        user: user.to_owned(),
        database: catalog.data().database.clone(),
        application_name: matches.get_one::<String>("application").cloned().unwrap_or_default(),
    };
    policy
        .role_for(&who, catalog)
        .ok_or_else(|| Failure::Refused(format!("no role of the rules matches user \"{user}\": it could not connect")))
}

/// The `search_path` that a connection of `user` begins with.
pub(super) fn configured_path<'c>(user: &str, catalog: &'c CatalogSnapshot) -> &'c str {
    configured("search_path", user, catalog).unwrap_or(&catalog.data().default_search_path)
}

/// What a setting is when a connection of `user` begins: of the role in this database, of the role, of the database, or of all,
/// as `ALTER ROLE … SET` and `ALTER DATABASE … SET` decide. None where only the server says.
pub(super) fn configured<'c>(name: &str, user: &str, catalog: &'c CatalogSnapshot) -> Option<&'c str> {
    let data = catalog.data();
    let of = |role: Option<&str>, database: Option<&str>| {
        let mut settings = data.settings.iter().filter(|setting| setting.name == name);
        settings.find(|setting| setting.role.as_deref() == role && setting.database.as_deref() == database)
    };
    let (role, database) = (Some(user), Some(data.database.as_str()));
    let setting =
        of(role, database).or_else(|| of(role, None)).or_else(|| of(None, database)).or_else(|| of(None, None));
    setting.map(|setting| setting.value.as_str())
}

/// The schemas that a `search_path` setting means, as the server resolves them.
pub(super) fn effective_path(setting: &str, user: &str, catalog: &CatalogSnapshot) -> Arc<[String]> {
    let mut schemas: Vec<String> = setting
        .split(',')
        .map(|item| {
            let item = item.trim();
            match item.strip_prefix('"').and_then(|item| item.strip_suffix('"')) {
                Some(quoted) => quoted.replace("\"\"", "\""),
                None => item.to_ascii_lowercase(),
            }
        })
        .map(|name| if name == "$user" { user.to_owned() } else { name })
        .filter(|name| catalog.has_schema(name))
        .collect();
    if !schemas.iter().any(|name| name == "pg_catalog") {
        schemas.insert(0, "pg_catalog".to_owned());
    }
    schemas.into()
}

/// Why a column is treated as it is.
struct Reason {
    /// What gives the role its treatment.
    treatment: Option<Spot>,
    /// What puts the column into its category; none for one that is in none, or has it from a column that it hands on.
    category: Option<Spot>,
    /// What else decides row by row, each with its place.
    conditions: Vec<(String, Option<Spot>)>,
    /// What becomes of NULL and of empty text.
    empties: Option<&'static str>,
}

/// By `schema.table.column`, for every column that the rules govern.
type Reasons = HashMap<String, Reason>;

fn reasons(rules: &RuleSet, files: &[RuleFile], inputs: &Inputs, role: RoleId) -> Reasons {
    let mut reasons = Reasons::new();
    let Some(role) = inputs.policy.role(role) else { return reasons };
    for relation in inputs.catalog.data().relations.iter().filter(|relation| !relation.is_system()) {
        let Some(governed) = role.relation(relation.oid) else { continue };
        for (column, policy) in relation.columns.iter().zip(&governed.columns) {
            let name = QualifiedName::new(&relation.schema, &relation.name);
            let category = rules.place_of_column(&relation.schema, &relation.name, &column.name);
            reasons.insert(
                format!("{name}.{}", rule_part(&column.name)),
                Reason {
                    treatment: Spot::of_origin(&policy.rule, files),
                    category: category.map(spot),
                    conditions: conditions(policy, role, rules, files)
                        .into_iter()
                        .chain(subjects(policy, relation, column, rules, &inputs.catalog))
                        .collect(),
                    empties: empties(&policy.treatment),
                },
            );
        }
    }
    reasons
}

fn spot((file, line): (&str, usize)) -> Spot {
    Spot { file: file.to_owned(), line }
}

/// The rules by which a treatment depends on the row, as its label says.
fn conditions(
    column: &ColumnPolicy,
    role: &RolePolicy,
    rules: &RuleSet,
    files: &[RuleFile],
) -> Vec<(String, Option<Spot>)> {
    let label = column.treatment.label();
    let (_, condition) = label.split_once(" if ").or_else(|| label.split_once(" unless ")).unwrap_or_default();
    let mut found = Vec::new();
    if label == BY_GRANT {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let opening = role
            .grants
            .iter()
            .filter(|grant| column.category.as_ref().is_some_and(|category| grant.categories.contains(category)));
        found.extend(opening.map(|grant| {
            let state = match (grant.from <= now, now < grant.until) {
                (true, true) => "in force",
                (false, _) => "not begun yet",
                (true, false) => "ended",
            };
            let text = format!("document {} for {}, {state},", grant.document, grant.subjects);
            (text, Spot::of_origin(&grant.rule, files))
        }));
    }
    for (word, what, place) in [
        ("consented", "consent", rules.place_of_consent()),
        ("refused", "refusal", rules.place_of_refusal()),
        ("erased", "erasure", rules.place_of_erasure()),
    ] {
        if condition.contains(word) {
            found.push((what.to_owned(), place.map(spot)));
        }
    }
    found
}

/// By what a row leads to the subjects of whom a treatment depends: the links of its table, or the key of subjects.
fn subjects(
    policy: &ColumnPolicy,
    relation: &Relation,
    column: &Column,
    rules: &RuleSet,
    catalog: &CatalogSnapshot,
) -> Vec<(String, Option<Spot>)> {
    let label = policy.treatment.label();
    let depends = [" if ", " unless "].iter().any(|word| label.contains(word)) || label == BY_GRANT;
    if !depends && policy.gate.is_none() {
        return Vec::new();
    }
    let (links, key) = (rules.links(), rules.key());
    // A child has its parents' links, unless it has its own.
    let parents = catalog.parents(relation.oid).iter().filter_map(|oid| catalog.relation(*oid));
    for table in [relation].into_iter().chain(parents) {
        let name = format!("{}.{}", table.schema, table.name);
        if let Some(key) = key.iter().find(|key| key.table() == name) {
            return vec![("subject by its key".to_owned(), Some(spot(key.place)))];
        }
        let own: Vec<_> = links.iter().filter(|link| link.table() == name).cloned().collect();
        if !own.is_empty() {
            let link = |link: &Link<'_>| (format!("subject by link {}", link.says()), Some(spot(link.place)));
            return leading(&own, &column.name).into_iter().map(link).collect();
        }
    }
    Vec::new()
}

fn empties(treatment: &Treatment) -> Option<&'static str> {
    let Treatment::Mask(mask) = treatment else { return None };
    if &*mask.name == BY_GRANT {
        return None;
    }
    Some(match (mask.keeps.null, mask.keeps.empty) {
        (true, None) => "NULL stays NULL",
        (true, Some(true)) => "NULL stays NULL, empty text stays empty",
        (true, Some(false)) => "NULL stays NULL, empty text is masked",
        (false, None) => "NULL is masked",
        (false, Some(true)) => "NULL is masked, empty text stays empty",
        (false, Some(false)) => "NULL and empty text are masked",
    })
}

fn access_json(kind: &str, access: &Access, reasons: &Reasons) -> Value {
    let columns: Vec<Value> = access
        .columns
        .iter()
        .map(|column| {
            let usage: Vec<&str> = column.usage.iter().map(|usage| usage.label()).collect();
            let reason = reasons.get(&*column.column);
            json!({
                "column": &*column.column, "category": &*column.category, "usage": usage,
                "treatment": &*column.treatment,
                "treatment_rule": reason.and_then(|reason| reason.treatment.as_ref()),
                "category_rule": reason.and_then(|reason| reason.category.as_ref()),
                "condition_rules": reason.map(|reason| {
                    let one = |(what, spot): &(String, Option<Spot>)| json!({ "what": what.trim_end_matches(','), "rule": spot });
                    reason.conditions.iter().map(one).collect::<Vec<_>>()
                }),
                "no_value": reason.and_then(|reason| reason.empties),
            })
        })
        .collect();
    json!({
        "kind": kind,
        "decision": access.decision,
        "relations": access.relations.iter().map(|name| &**name).collect::<Vec<_>>(),
        "columns": columns,
        "rules": access.rules.iter().map(|rule| &**rule).collect::<Vec<_>>(),
        "masked_outputs": access.masked_outputs,
    })
}

fn as_json(
    role: &str,
    observed: bool,
    inputs: &Inputs,
    outcome: &Result<Plan, Box<Refused>>,
    reasons: &Reasons,
) -> Value {
    let mut value =
        json!({ "role": role, "observed": observed, "policy": inputs.policy.id, "policy_hash": inputs.policy.hash });
    let (decision, statements, rest) = match outcome {
        Ok(plan) => {
            let statements: Vec<Value> = plan
                .statements
                .iter()
                .map(|statement| {
                    let mut shown = access_json(statement.kind, &statement.access, reasons);
                    if let (Some(outputs), Some(shown)) = (&statement.outputs, shown.as_object_mut()) {
                        let outputs: Vec<Value> = outputs
                            .iter()
                            .map(|output| {
                                json!({ "name": output.name.as_deref(), "sources": sources(output, &inputs.catalog) })
                            })
                            .collect();
                        shown.insert("outputs".to_owned(), Value::Array(outputs));
                    }
                    shown
                })
                .collect();
            let decision = if plan.statements.iter().any(|statement| statement.access.decision == "rewrite") {
                "rewrite"
            } else {
                "forward"
            };
            (decision, statements, ("sql", json!(&**plan.permit.text())))
        }
        Err(refused) => {
            let refusal = &refused.refusal;
            let shown = json!({
                "code": refusal.code.code(), "sqlstate": refusal.sqlstate(), "message": refusal.message,
                "hint": refusal.client_hint(), "offset": refusal.offset, "rule": refusal.rule,
            });
            ("refuse", vec![access_json(refused.kind, &refused.access, reasons)], ("refusal", shown))
        }
    };
    if let Some(map) = value.as_object_mut() {
        map.insert("decision".to_owned(), json!(decision));
        map.insert("statements".to_owned(), Value::Array(statements));
        map.insert(rest.0.to_owned(), rest.1);
    }
    value
}

/// `schema.table.column` of each protected column that an output is computed from.
fn sources(output: &engine::OutputColumn, catalog: &CatalogSnapshot) -> Vec<String> {
    output
        .sources
        .iter()
        .filter_map(|(relation, attnum)| {
            let relation = catalog.relation(*relation)?;
            let column = relation.column_numbered(*attnum)?;
            Some(format!("{}.{}.{}", relation.schema, relation.name, column.name))
        })
        .collect()
}

fn access_text(out: &mut String, kind: &str, access: &Access, reasons: &Reasons) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{kind}: {}", access.decision);
    if !access.relations.is_empty() {
        let _ = writeln!(out, "  relations  {}", access.relations.join(", "));
    }
    for column in &access.columns {
        let usage: Vec<&str> = column.usage.iter().map(|usage| usage.label()).collect();
        let _ = writeln!(
            out,
            "  column     {} ({}): {}; {}",
            column.column,
            column.category,
            column.treatment,
            usage.join(", ")
        );
        if let Some(reason) = reasons.get(&*column.column) {
            if let Some(spot) = &reason.category {
                let _ = writeln!(out, "             category by {}:{}", spot.file, spot.line);
            }
            if let Some(spot) = &reason.treatment {
                let _ = writeln!(out, "             treatment by {}:{}", spot.file, spot.line);
            }
            for (what, spot) in &reason.conditions {
                let place = spot.as_ref().map_or_else(String::new, |spot| format!(" by {}:{}", spot.file, spot.line));
                let _ = writeln!(out, "             {what}{place}");
            }
            if let Some(empties) = reason.empties {
                let _ = writeln!(out, "             {empties}");
            }
        }
    }
    if !access.rules.is_empty() {
        let _ = writeln!(out, "  rules      {}", access.rules.join(", "));
    }
}

fn as_text(role: &str, inputs: &Inputs, outcome: &Result<Plan, Box<Refused>>, reasons: &Reasons) -> String {
    let mut out = format!("role {role}, policy {} ({})\n\n", inputs.policy.id, inputs.policy.hash);
    match outcome {
        Ok(plan) => {
            for statement in plan.statements.iter() {
                access_text(&mut out, statement.kind, &statement.access, reasons);
                for output in statement.outputs.iter().flatten() {
                    let sources = sources(output, &inputs.catalog);
                    if !sources.is_empty() {
                        let name = output.name.as_deref().unwrap_or("?column?");
                        let _ = writeln!(out, "  output     {name} <- {}", sources.join(", "));
                    }
                }
            }
            let _ = writeln!(out, "\n{}", plan.permit.text());
        }
        Err(refused) => {
            access_text(&mut out, refused.kind, &refused.access, reasons);
            let refusal = &refused.refusal;
            let _ = writeln!(out, "\nERROR:  {}\nHINT:  {}", refusal.message, refusal.client_hint());
        }
    }
    out
}
