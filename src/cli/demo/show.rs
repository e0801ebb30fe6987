//! The performance: every login sends every statement through the proxy; answers, rewritten SQL and audit events are
//! printed, then judged. In: a [`Stage`]. Out: text, or what was not as the rules say.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc, time::Duration};

use serde_json::Value;
use tokio_postgres::Client;

use super::{
    Stage,
    postgres::SUPERUSER,
    scenes::{self, Answer, LOGINS, SCENES, Scene},
    shop,
    text::{Line, Style, table, wrapped},
};
use crate::{
    catalog::CatalogSnapshot,
    cli::{Failure, print},
    config::{Secret, UpstreamAddress, UpstreamConfig, UpstreamTlsConfig, UpstreamTlsMode},
    engine::{self, Inputs, Protocol, QueryContext},
    policy::rules::RuleSet,
    reload::read_rule_files,
    upstream::read_catalog,
};

/// Columns of a terminal that SQL takes.
const COLUMNS: usize = 108;

/// Logins whose rewritten statements are shown.
const SHOWN: [&str; 2] = ["packing_app", "customer_care_app"];

/// How long events may take to reach the file.
const AUDIT_LIMIT: Duration = Duration::from_secs(10);

/// Shows and judges everything.
///
/// # Errors
/// When something could not be asked, or was not as the rules say.
pub(super) async fn perform(stage: &Stage, style: Style) -> Result<(), Failure> {
    let inputs = Arc::new(inputs(stage).await?);
    print(&format!("  policy {} ({})\n", inputs.policy.id, inputs.policy.hash))?;
    let socket = stage.server.socket_folder().display().to_string();
    let direct = connect_directly(&socket, stage.server.port()).await?;
    let mut sessions = Vec::new();
    for (login, _) in LOGINS {
        sessions.push(match scenes::connect("127.0.0.1", stage.proxy.port(), login).await {
            Ok(client) => Ok(client),
            Err(error) => Err(scenes::refusal(&error)
                .ok_or_else(|| Failure::new(format!("{login} could not connect to the proxy: {error}")))?),
        });
    }
    let mut complaints = Vec::new();
    let mut sent = 0;
    for scene in SCENES {
        print(&format!("\n{}\n{}\n", style.bold(scene.title), wrapped(&scene.sql(), COLUMNS, "  ")))?;
        let mut lines = Vec::new();
        for ((login, _), session) in LOGINS.iter().zip(&sessions) {
            let answer = match session {
                Ok(client) => {
                    sent += 1;
                    scenes::ask(client, &scene.sql()).await
                }
                Err(refused) => refused.clone(),
            };
            complaints.extend(scenes::complaint(scene, login, &answer, &direct, &inputs).await);
            lines.extend(as_lines(login, &answer));
        }
        print(&table(style, "login", &scene.heads(), &lines))?;
    }
    print(&rewritten(&inputs, style))?;
    let (events, log) = audit_events(stage, sent).await?;
    print(&audit(&events, style))?;
    complaints.extend(judge_log(&log, sent, &events, &direct).await?);
    let metrics = stage.proxy.metrics_text().map_err(|error| Failure::new(format!("no metrics: {error}")))?;
    if !metrics.lines().any(|line| line == "pgscrim_tripwire_total 0") {
        complaints.push("the tripwire stopped a result: a masked column was about to appear in clear".to_owned());
    }
    print(&connections(stage, style))?;
    if complaints.is_empty() {
        let restricted = LOGINS.iter().filter(|(login, _)| restricted(login, &inputs)).count();
        print(&format!(
            "\nChecked: {sent} answers are what the rules say, {restricted} restricted logins saw no value that they may \
             not, and the audit log holds none.\n"
        ))
    } else {
        Err(Failure::new(format!("the demo is not as it should be:\n  {}", complaints.join("\n  "))))
    }
}

/// The last lines, before it waits.
pub(super) fn invitation(stage: &Stage, style: Style) -> String {
    let rules = if stage.proxy.has_own_rules() {
        String::new()
    } else {
        format!("Edit {} and ask again: rules are loaded anew.\n", stage.proxy.rules().display())
    };
    format!("\n{rules}{}\n", style.bold("Ctrl-C ends the demo and removes it."))
}

/// Catalog and rules, as the proxy has them.
async fn inputs(stage: &Stage) -> Result<Inputs, Failure> {
    let config = UpstreamConfig {
        address: UpstreamAddress::Tcp(stage.server.host().to_owned(), stage.server.port()),
        user: shop::SERVICE_LOGIN.to_owned(),
        password: Some(Secret::new(shop::PASSWORD.to_owned())),
        database: shop::DATABASE.to_owned(),
        tls: UpstreamTlsConfig { mode: UpstreamTlsMode::Off, ca: None, server_name: None },
        connect_timeout: Duration::from_secs(10),
        catalog_refresh: Duration::from_secs(60),
        ddl_guard: crate::config::DdlGuard::Relayed,
    };
    let catalog = CatalogSnapshot::new(read_catalog(&config).await.map_err(Failure::new)?.0, 1);
    let files = read_rule_files(stage.proxy.rules()).map_err(Failure::new)?;
    let rules = RuleSet::parse(&files).map_err(Failure::RulesInvalid)?;
    let policy = rules.compile(&catalog).map_err(Failure::RulesInvalid)?;
    Ok(Inputs { catalog, policy: Arc::new(policy) })
}

/// The superuser's session through the socket, past the proxy.
async fn connect_directly(folder: &str, port: u16) -> Result<Client, Failure> {
    scenes::connect(folder, port, SUPERUSER)
        .await
        .map_err(|error| Failure::new(format!("could not connect to the private server: {error}")))
}

fn restricted(login: &str, inputs: &Inputs) -> bool {
    scenes::role_of(login, inputs).is_none_or(|(_, role)| !role.exempt)
}

fn as_lines(login: &str, answer: &Answer) -> Vec<Line> {
    match answer {
        Answer::Rows(rows) if rows.is_empty() => vec![Line::Remark(login.to_owned(), "no rows".to_owned())],
        Answer::Rows(rows) => {
            // More than a few are not for reading.
            rows.iter().take(3).map(|row| Line::Cells(login.to_owned(), row.clone())).collect()
        }
        Answer::Error(sqlstate, message, hint) => {
            let code = hint.split([':', ' ']).next().unwrap_or_default();
            vec![Line::Remark(login.to_owned(), format!("refused: {message} ({sqlstate} {code})"))]
        }
    }
}

/// What the proxy sends in place of the first statement, and of the search.
fn rewritten(inputs: &Inputs, style: Style) -> String {
    let mut out = format!("\n{}\n", style.bold("What the server is sent instead"));
    let scenes = [SCENES.first(), SCENES.last()];
    for (login, scene) in
        SHOWN.into_iter().flat_map(|login| scenes.into_iter().flatten().map(move |scene| (login, scene)))
    {
        out.push_str(&rewritten_for(login, scene, inputs, style));
    }
    out
}

fn rewritten_for(login: &str, scene: &Scene, inputs: &Inputs, style: Style) -> String {
    let Some((role, _)) = scenes::role_of(login, inputs) else { return String::new() };
    let search_path = ["pg_catalog", "public"].map(str::to_owned).as_slice().into();
    let context = QueryContext { role, search_path, protocol: Protocol::Simple };
    let text = match engine::plan(&scene.sql(), &context, inputs) {
        Ok(plan) => wrapped(plan.permit.text(), COLUMNS, "    "),
        Err(refused) => format!("    refused: {}\n", refused.refusal),
    };
    format!("\n  {login}: {}\n{text}", style.dim(scene.title))
}

/// The events of the performance, and the whole log.
async fn audit_events(stage: &Stage, sent: usize) -> Result<(Vec<Value>, String), Failure> {
    let path = stage.proxy.audit_path();
    let begin = std::time::Instant::now();
    loop {
        let log = std::fs::read_to_string(&path)
            .map_err(|error| Failure::new(format!("could not read {}: {error}", path.display())))?;
        let whole = log.ends_with('\n') && log.lines().count() >= sent;
        if whole || begin.elapsed() > AUDIT_LIMIT {
            let events = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
            return Ok((events, log));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn field<'a>(event: &'a Value, name: &str) -> &'a str {
    event.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The first event of each login, and one of them in full.
fn audit(events: &[Value], style: Style) -> String {
    let mut out = format!("\n{}\n", style.bold("What the audit log says of the first statement"));
    let first = |login: &str| events.iter().find(|event| field(event, "user") == login);
    let mut lines = Vec::new();
    for event in LOGINS.iter().filter_map(|(login, _)| first(login)) {
        let mut treatments: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for column in event.get("columns").and_then(Value::as_array).into_iter().flatten() {
            let name = field(column, "column");
            let name = name.rsplit_once('.').map_or(name, |(_, name)| name);
            treatments.entry(field(column, "treatment")).or_default().push(name);
        }
        let shown: Vec<String> =
            treatments.iter().map(|(treatment, columns)| format!("{treatment}: {}", columns.join(" "))).collect();
        let text = |text: &str| Some(text.to_owned());
        lines.push(Line::Cells(
            field(event, "user").to_owned(),
            vec![
                text(field(event, "role")),
                text(field(event, "purpose")),
                text(field(event, "kind")),
                text(field(event, "decision")),
                event.get("rows").map(ToString::to_string),
                text(&shown.join(", ")),
            ],
        ));
    }
    out.push_str(&table(style, "user", &["role", "purpose", "kind", "decision", "rows", "personal columns"], &lines));
    if let Some(event) = SHOWN.last().and_then(|login| first(login)) {
        out.push_str("\n  in full:\n");
        out.push_str(&wrapped(&event.to_string().replace(",\"", ", \""), COLUMNS, "    "));
    }
    out
}

/// Whether every statement is in the log, and no value of the customer's.
async fn judge_log(log: &str, sent: usize, events: &[Value], direct: &Client) -> Result<Vec<String>, Failure> {
    let mut complaints = Vec::new();
    if events.len() < sent {
        complaints.push(format!("{sent} statements were sent, and {} audit events written", events.len()));
    }
    let values = "SELECT c.full_name, c.phone, c.email, p.card_pan, p.bank_account, w.video_url \
                  FROM customers c JOIN orders o ON o.customer_id = c.id JOIN payments p ON p.order_id = o.id \
                  JOIN warranty_claims w ON w.order_id = o.id WHERE o.id = 1";
    let Answer::Rows(rows) = scenes::ask(direct, values).await else {
        return Err(Failure::new("the private server did not answer"));
    };
    let values: Vec<String> = rows.into_iter().flatten().flatten().collect();
    if values.len() < 6 {
        complaints.push("the customer of the demo is incomplete".to_owned());
    }
    if values.iter().any(|value| log.contains(value.as_str())) {
        complaints.push("a value of the customer's stands in the audit log".to_owned());
    }
    Ok(complaints)
}

/// How to look for oneself.
fn connections(stage: &Stage, style: Style) -> String {
    let psql = if in_path("psql") {
        "psql".to_owned()
    } else {
        format!("'{}'", stage.server.programs().join("psql").display())
    };
    let widest = LOGINS.iter().map(|(_, title)| title.len()).max().unwrap_or_default();
    let mut out = format!("\n{}\n", style.bold("See for yourself"));
    for (login, title) in LOGINS {
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "  {}  {psql} \"postgresql://{login}:{}@127.0.0.1:{}/{}\"",
            style.dim(&format!("{title:<widest$}")),
            shop::PASSWORD,
            stage.proxy.port(),
            shop::DATABASE
        );
    }
    let program = std::env::current_exe().map_or_else(|_| "pgscrim".to_owned(), |path| path.display().to_string());
    let _ = writeln!(
        out,
        "\n  metrics  {}\n  audit    '{program}' audit tail --audit-path '{}'",
        stage.proxy.metrics_url(),
        stage.proxy.audit_path().display()
    );
    out
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
