//! What a DBA runs beside the proxy, from the outside: `test`, `diff`, `discover`, the findings of `check`, and the JSON
//! Schema of the rule files.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice, reason = "a test")]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use pgscrim::catalog::{
    CatalogData,
    testing::{database, role, table},
};

/// Where the program runs: a folder with `rules/` and `catalog.json`.
struct Desk(common::Folder);

impl Desk {
    fn new(catalog: &CatalogData) -> Self {
        let folder = common::Folder::new();
        folder.write("catalog.json", &serde_json::to_string(catalog).unwrap());
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) {
        self.0.write(name, text);
    }

    fn copy_pack(&self, pack: &str, to: &str) {
        for entry in fs::read_dir(packs().join(pack)).unwrap() {
            let path = entry.unwrap().path();
            self.write(
                &format!("{to}/{}", path.file_name().unwrap().to_str().unwrap()),
                &fs::read_to_string(&path).unwrap(),
            );
        }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgscrim"));
        command.args(arguments).stdin(Stdio::null()).current_dir(self.0.path());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PGSCRIM_")) {
            command.env_remove(name);
        }
        let Output { status, stdout, stderr } = command.output().unwrap();
        Ran { code: status.code().unwrap(), out: common::text(&stdout), err: common::text(&stderr) }
    }

    /// Runs with the catalog file; the exit code must be `code`.
    fn offline(&self, code: i32, arguments: &[&str]) -> Ran {
        let ran = self.run(&[arguments, &["--catalog", "catalog.json"]].concat());
        assert_eq!(ran.code, code, "{arguments:?}\n{}\n{}", ran.out, ran.err);
        ran
    }
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

fn packs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")
}

/// The schema that the starter pack is written for.
fn starter() -> CatalogData {
    let mut data = database();
    table(&mut data, "customers", "id bigint, full_name text, phone varchar(20), email text, created_at timestamptz");
    for login in ["support_app", "reporting_app", "shop_owner"] {
        role(&mut data, login, &[]);
    }
    data
}

/// How `support` of the starter pack sees addresses.
const EMAIL: &str = "email = { mask = \"email\", hidden_domain = \"example.com\" }";

const TEST: &str = "[[test]]\nname = \"t\"\nrole = \"support\"\n";

/// A test, and explain, act for the purpose that a session would have: the one asked for, the login's own setting, the
/// application's, the role's first.
#[test]
fn purposes_are_those_that_a_session_would_have() {
    const RULES: &str = r#"
policy = "p"
[category.phone]
columns = ["public.customers.phone"]
[category.none]
columns = ["public.customers.id"]
[[role]]
name = "shop"
match = { user = ["shop_app", "night_app"] }
purposes = ["orders", "checks", "reports"]
application_purposes = { metabase = "reports" }
see = { phone = "clear" }
[role.for.checks]
see = { phone = "withhold" }
[role.for.reports]
see = { phone = "phone_last" }
"#;
    let mut data = database();
    table(&mut data, "customers", "id bigint, phone varchar(20)");
    for login in ["shop_app", "night_app"] {
        role(&mut data, login, &[]);
    }
    data.settings.push(pgscrim::catalog::data::SettingData {
        database: None,
        role: Some("night_app".to_owned()),
        name: "pgscrim.purpose".to_owned(),
        value: "checks".to_owned(),
    });
    let desk = Desk::new(&data);
    desk.write("rules/rules.toml", RULES);
    let mut tests = Vec::new();
    for (number, (user, application, purpose, treatment)) in [
        ("shop_app", "", "", "clear"),
        ("shop_app", "metabase", "", "phone_last"),
        ("shop_app", "metabase", "checks", "withhold"),
        ("night_app", "", "", "withhold"),
        ("night_app", "metabase", "", "withhold"),
        ("night_app", "metabase", "orders", "clear"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut arguments = vec!["explain", "--rules", "rules", "--user", user, "--application", application];
        tests.push(format!("[[test]]\nname = \"{number}\"\nuser = \"{user}\""));
        if !application.is_empty() {
            tests.push(format!("application_name = \"{application}\""));
        }
        if !purpose.is_empty() {
            arguments.extend(["--purpose", purpose]);
            tests.push(format!("purpose = \"{purpose}\""));
        }
        tests.push(format!("sql = \"SELECT phone FROM customers\"\nexpect = {{ phone = \"{treatment}\" }}"));
        arguments.extend(["--json", "SELECT phone FROM customers"]);
        let json = desk.offline(0, &arguments).json();
        assert_eq!(json["statements"][0]["columns"][0]["treatment"], treatment, "{arguments:?}");
    }
    desk.write("rules/rules.test.toml", &tests.join("\n"));
    let ran = desk.offline(0, &["test", "rules"]);
    assert!(ran.out.ends_with("6 passed, 0 failed\n"), "{}", ran.out);
}

#[test]
fn the_tests_of_the_starter_pack_pass_and_notice_a_change_of_the_rules() {
    let desk = Desk::new(&starter());
    desk.copy_pack("starter", "rules");
    let ran = desk.offline(0, &["test", "rules"]);
    assert!(ran.out.contains("ok      support sees names") && ran.out.ends_with("6 passed, 0 failed\n"), "{}", ran.out);
    // The same by the configured directory, and by one file of tests.
    desk.offline(0, &["test", "--rules", "rules"]);
    desk.offline(0, &["test", "rules/starter.test.toml"]);

    let rules = fs::read_to_string(packs().join("starter/rules.toml")).unwrap();
    desk.write("rules/broken.test.toml", &format!("{TEST}sql = \"SELECT 1\"\nexpect = 1\n"));
    let ran = desk.offline(2, &["test", "rules", "--format", "github"]);
    assert!(
        ran.out.contains("::error title=rule-test,file=rules/broken.test.toml,line=5::expect must be a table"),
        "{}",
        ran.out
    );
    std::fs::remove_file(desk.0.join("rules/broken.test.toml")).unwrap();
    desk.write("rules/rules.toml", &rules.replace(EMAIL, "email = \"clear\""));
    let ran = desk.offline(1, &["test", "rules"]);
    assert!(ran.out.contains("FAILED  support sees names"), "{}", ran.out);
    assert!(ran.out.contains("(rules/starter.test.toml:5)\n        email: expected email, got clear\n"), "{}", ran.out);
    let json = desk.offline(1, &["test", "rules", "--format", "json"]).json();
    assert_eq!((&json[0]["passed"], &json[0]["line"]), (&false.into(), &5.into()));
    let both = desk.offline(1, &["test", "rules", "--json", "--format", "human"]).out;
    assert!(both.starts_with("FAILED"), "{both}");
    assert_eq!(json[0]["got"]["columns"][2]["treatments"][0], "partial(3,2)");
    let github = desk.offline(1, &["test", "rules", "--format", "github"]).out;
    assert!(
        github.starts_with("::error title=rule-test,file=rules/starter.test.toml,line=5::support sees names"),
        "{github}"
    );
    assert_eq!(github.lines().count(), 1);
}

#[test]
fn tests_say_what_came_out_instead() {
    let desk = Desk::new(&starter());
    desk.copy_pack("starter", "rules");
    for (test, problem) in [
        (
            "sql = \"SELECT phone FROM customers\"\nexpect = {}",
            "phone: personal and not named in `expect`, got partial(3,2)",
        ),
        (
            "sql = \"SELECT id FROM customers\"\nexpect = { phone = \"clear\" }",
            "there is no output column phone (there are: id)",
        ),
        (
            "sql = \"SELECT phone || email AS b FROM customers\"\nexpect = { b = \"email\" }",
            "b: expected email, got email + partial(3,2)",
        ),
        (
            "sql = \"SELECT phone FROM customers\"\nrefuse = \"PGS0201\"",
            "expected refusal PGS0201, but the statement is allowed",
        ),
        ("sql = \"SELECT nothing FROM customers\"\nrefuse = \"PGS0201\"", "expected refusal PGS0201, got PGS0103"),
        ("sql = \"SELECT nothing FROM customers\"\nexpect = {}", "expected columns, got refusal PGS0103"),
        ("sql = \"SELECT 1; SELECT 2\"\nexpect = {}", "a test has one statement, this text has 2"),
        (
            "sql = \"SELECT phone FROM customers\"\nexpect = { \"#1\" = \"partial(3,2)\" }\nrules = [\"other.toml\"]",
            "other.toml did not decide; rules.toml:",
        ),
    ] {
        desk.write("rules/starter.test.toml", &format!("{TEST}{test}\n"));
        let ran = desk.offline(1, &["test", "rules"]);
        assert!(ran.out.contains(problem), "{test}\n{}", ran.out);
    }
    for test in [
        "sql = \"SELECT phone AS a, phone AS a FROM customers\"\nexpect = { a = \"partial(3,2)\" }",
        "sql = \"SELECT count(*) FROM customers\"\nexpect = {}",
        "sql = \"UPDATE customers SET created_at = now() WHERE id = 1\"\nexpect = {}",
    ] {
        desk.write("rules/starter.test.toml", &format!("{TEST}{test}\n"));
        desk.offline(0, &["test", "rules"]);
    }
}

#[test]
fn tests_that_cannot_be_judged_end_with_code_2() {
    let desk = Desk::new(&starter());
    desk.copy_pack("starter", "rules");
    let statement = "sql = \"SELECT 1\"\nexpect = {}\n";
    for (text, complaint) in [
        (format!("{TEST}{statement}"), ""),
        (format!("{TEST}{statement}extra = 1\n"), "rules/starter.test.toml:6:1"),
        (format!("{}{statement}", TEST.replace("support", "suport")), "Did you mean \"support\"?"),
        (
            format!("{}{statement}", TEST.replace("role = \"support", "user = \"stranger")),
            "no role of the rules matches",
        ),
        (format!("{TEST}purpose = \"fun\"\n{statement}"), "has no purpose \"fun\""),
        (format!("{TEST}purpose = \"customer-care\"\n{statement}"), ""),
    ] {
        desk.write("rules/starter.test.toml", &text);
        let ran = desk.offline(if complaint.is_empty() { 0 } else { 2 }, &["test", "rules"]);
        assert!(ran.err.contains(complaint), "{text}\n{}", ran.err);
    }
    fs::remove_file(desk.0.join("rules/starter.test.toml")).unwrap();
    assert!(desk.offline(2, &["test", "rules"]).err.contains("there are no tests in rules"));
    desk.offline(2, &["test", "nowhere"]);
    assert_eq!(desk.run(&["test", "rules", "--catalog", "none.json"]).code, 2);
    // A file of tests is no rule file.
    desk.write("rules/other.test.toml", "nonsense = 1\n");
    desk.offline(0, &["check", "--rules", "rules"]);
}

/// Mistakes in files and arguments are told once, with what was likely meant.
#[test]
fn mistakes_are_told_with_a_way_out() {
    let desk = Desk::new(&starter());
    let rules = fs::read_to_string(packs().join("starter/rules.toml")).unwrap();
    for (from, to, complaints) in [
        ("see = { name = \"name_initials\" }", "see = { nane = \"name_initials\" }", &["Did you mean \"name\"?"][..]),
        ("user = [\"reporting_app\"]", "user = 5", &["user must be an array, not an integer"]),
        ("user = [\"reporting_app\"]", "user = []", &["user lists nothing"]),
    ] {
        assert!(rules.contains(from), "{from}");
        desk.write("rules/rules.toml", &rules.replace(from, to));
        let ran = desk.offline(3, &["check", "--rules", "rules"]);
        assert_eq!(ran.err.matches("error: ").count(), 1, "{}", ran.err);
        assert!(complaints.iter().all(|complaint| ran.err.contains(complaint)), "{}", ran.err);
    }
    desk.write("rules/rules.toml", &rules.replace("purposes = [\"statistics\"]", ""));
    let explain = ["explain", "--rules", "rules", "--role", "reporting", "--purpose", "x", "SELECT 1"];
    let ran = desk.offline(1, &explain);
    assert!(ran.err.contains("has no purpose \"x\" (there are: none"), "{}", ran.err);
    for command in ["coverage", "tail"] {
        let ran = desk.run(&["audit", command, "--audit-path", "nothing.jsonl"]);
        assert_eq!(ran.code, 1);
        assert!(ran.err.contains("nothing.jsonl") && ran.err.contains("`pgscrim serve` writes it"), "{}", ran.err);
    }
}

/// Exit code, and the changes as `sight who what old -> new`.
fn diff(desk: &Desk, old: &str, new: &str) -> (i32, Vec<String>) {
    desk.write("old/rules.toml", old);
    desk.write("new/rules.toml", new);
    let ran = desk.run(&["diff", "old", "new", "--catalog", "catalog.json", "--json"]);
    assert!(ran.code < 2, "{}", ran.err);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let json = ran.json();
    let changes = json["changes"].as_array().unwrap().iter().map(|change| {
        let [sight, who, what, old, new] = ["sight", "who", "what", "old", "new"].map(|key| text(&change[key]));
        format!("{sight}: {who}: {what}: {old} -> {new}")
    });
    (ran.code, changes.collect())
}

#[test]
fn a_diff_tells_who_sees_more_and_who_sees_less() {
    let mut data = starter();
    role(&mut data, "anna", &["staff"]);
    let desk = Desk::new(&data);
    let old = fs::read_to_string(packs().join("starter/rules.toml")).unwrap();
    assert_eq!(diff(&desk, &old, &old), (0, vec![]));
    let both = "[[role]]\nname = \"temps\"\nmatch = { user = \"temp\", member_of = \"hired\" }\n[[role]]\nname = \"reporting\"".to_owned();
    let staff = "[[role]]\nname = \"staff\"\nmatch = { member_of = [\"staff\"] }\n";
    let email = "public.customers.email";
    for (from, to, code, expected) in [
        (EMAIL, "email = \"clear\"", 1, vec![format!("more: support: {email}: email -> clear")]),
        (EMAIL, "email = \"refuse\"", 0, vec![format!("less: support: {email}: email -> refuse")]),
        (EMAIL, "email = \"email_domain\"", 1, vec![format!("else: support: {email}: email -> email_domain")]),
        // A mask of the same name with another parameter.
        (
            "first = 3",
            "first = 4",
            1,
            vec![
                "else: support: public.customers.phone: partial(3,2); search exact -> partial(4,2); search exact"
                    .to_owned(),
            ],
        ),
        (
            "search = { phone = \"exact\" }",
            "search = { email = \"exact\" }",
            1,
            vec![
                format!("more: support: {email}: email -> email; search exact"),
                "less: support: public.customers.phone: partial(3,2); search exact -> partial(3,2)".to_owned(),
            ],
        ),
        (
            "[[role]]\nname = \"support\"",
            "[[role]]\nname = \"support\"\nexplain = true\nwrite_back = \"allow\"",
            1,
            vec![
                "more: support: explain: false -> true".to_owned(),
                "same: support: write_back: keep -> allow".to_owned(),
            ],
        ),
        // A login of nobody, and of somebody who is in the server's catalog.
        (
            "[[role]]\nname = \"reporting\"",
            &format!("{staff}[[role]]\nname = \"reporting\""),
            1,
            vec![
                "more: login anna: role: no role -> staff".to_owned(),
                "more: a member of staff: role: no role -> staff".to_owned(),
                "same: staff: role: - -> added".to_owned(),
            ],
        ),
        // A login that is still to be made, with a group beside it.
        (
            "[[role]]\nname = \"reporting\"",
            &both,
            1,
            vec!["more: login temp: role: no role -> temps".to_owned(), "same: temps: role: - -> added".to_owned()],
        ),
        // Another name for the same is no change of what anybody sees.
        (
            "name = \"support\"",
            "name = \"helpdesk\"",
            0,
            vec![
                "same: helpdesk: role: - -> added".to_owned(),
                "same: support: role: - -> removed".to_owned(),
                "same: login support_app: role: support -> helpdesk".to_owned(),
            ],
        ),
        (
            "match = { user = [\"reporting_app\"] }",
            "match = { user = [\"reports\"] }",
            1,
            vec![
                "more: login reports: role: no role -> reporting".to_owned(),
                "less: login reporting_app: role: reporting -> no role".to_owned(),
            ],
        ),
        (
            "match = { user = [\"support_app\"] }",
            "match = { user = [\"support_app\", \"reporting_app\"] }",
            1,
            vec!["more: login reporting_app: role: reporting -> support (3 more)".to_owned()],
        ),
    ] {
        let new = old.replacen(from, to, 1);
        assert_ne!(old, new, "{from}");
        assert_eq!(diff(&desk, &old, &new), (code, expected), "{from} => {to}");
    }
}

#[test]
fn a_diff_shows_what_is_no_longer_governed_and_who_becomes_exempt() {
    let desk = Desk::new(&starter());
    let old = fs::read_to_string(packs().join("starter/rules.toml")).unwrap();
    let new = old.replace("see = { name = \"name_initials\" }", "exempt = true");
    let (code, changes) = diff(&desk, &old, &new);
    assert_eq!(code, 1);
    assert!(changes.contains(&"more: reporting: exempt: false -> true".to_owned()), "{changes:?}");
    assert!(changes.contains(&"more: reporting: public.customers.phone: withhold -> clear".to_owned()), "{changes:?}");

    // Taking the last column of a table out of its category opens the whole table.
    let old = "policy = \"p\"\n[category.phone]\ncolumns = [\"public.customers.phone\"]\n[[role]]\nname = \"r\"\nmatch = { user = \"u\" }\n";
    let new = old.replace("\"public.customers.phone\"", "");
    let (code, changes) = diff(&desk, old, &new);
    assert_eq!((code, changes.len()), (1, 5), "{changes:?}");
    desk.write("new/rules.toml", &old.replace("\"u\" }", "\"u\" }\notherwise = \"clear\""));
    let ran = desk.offline(1, &["diff", "old", "new"]);
    assert!(
        ran.out.contains("sees more\n  r  public.customers.phone  withhold -> clear  new/rules.toml:7\n"),
        "{}",
        ran.out
    );
    assert!(ran.out.ends_with("1 more, 0 something else, 0 less\n"), "{}", ran.out);
    let github = desk.offline(1, &["diff", "old", "new", "--format", "github"]).out;
    assert_eq!(
        github,
        "::warning title=sees-more,file=new/rules.toml,line=7::r sees more: public.customers.phone withhold -> clear\n"
    );
    desk.write("new/rules.toml", "policy = 1\n");
    assert!(desk.offline(2, &["diff", "old", "new"]).err.contains("new/rules.toml:1:"));
    desk.offline(2, &["diff", "old", "nowhere"]);
}

/// A change of what is recorded of subjects reaches most roles and columns: it is one line, with what the rules said and say, and the
/// place where. What changed is legible where labels are the same.
#[test]
fn a_diff_tells_causes_with_their_reach() {
    const RULES: &str = r#"policy = "p"
[category.phone]
columns = ["public.customers.phone", "public.customers.mobile", "public.orders.phone"]
[category.email]
columns = ["public.customers.email", "public.orders.email"]
[category.none]
columns = ["public.*.id", "public.orders.customer_id"]
[subject]
key = "public.customers.id"
links = { "public.orders.customer_id" = "public.customers.id" }
[consent]
records = "public.consents"
subject = "customer_id"
purpose = "purpose"
[erasure]
records = "public.erasures"
subject = "customer_id"
where = "state = 'new'"
[[role]]
name = "support"
match = { user = ["support"] }
see = { phone = "phone_last", email = { mask = "email", hidden_domain = "a.example" } }
[[role]]
name = "marketing"
match = { user = ["marketing"] }
purposes = ["news", "ads"]
consent = true
see = { phone = "clear" }
limits = { login = { rows_per_day = 10 }, connection = { searches_per_minute = 3 } }
rows = { "public.orders" = { where = "id > 0", barrier = "always" } }
"#;
    let mut data = database();
    table(&mut data, "customers", "id bigint, phone text, mobile text, email text");
    table(&mut data, "orders", "id bigint, customer_id bigint, phone text, email text");
    table(&mut data, "consents", "customer_id bigint, purpose text");
    table(&mut data, "erasures", "customer_id bigint, state text");
    let desk = Desk::new(&data);
    let both = |from: &str, to: &str| {
        assert!(RULES.contains(from), "{from}");
        let (code, changes) = diff(&desk, RULES, &RULES.replacen(from, to, 1));
        for change in &changes {
            let (old, new) = change.rsplit_once(": ").unwrap().1.split_once(" -> ").unwrap();
            assert_ne!(old, new, "{change}");
        }
        (changes, desk.offline(code, &["diff", "old", "new"]).out)
    };
    let lines = |text: &str| {
        text.lines()
            .filter(|line| line.starts_with("  "))
            .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join("|"))
            .collect::<Vec<_>>()
    };

    let erasure = "[erasure]\nrecords = \"public.erasures\"\nsubject = \"customer_id\"\nwhere = \"state = 'new'\"\n";
    let (changes, text) = both(erasure, "");
    assert_eq!(
        changes
            .iter()
            .filter(|change| change.contains("public.customers.") || change.contains("public.orders."))
            .count(),
        11,
        "{changes:?}"
    );
    let found = lines(&text);
    assert_eq!(
        found.iter().filter(|line| !line.contains("kept from writing")).collect::<Vec<_>>(),
        [
            "support, marketing (news), marketing (ads)|5 columns: public.customers.phone, public.customers.mobile, …|[erasure] was taken out (records public.erasures, subject customer_id, where state = 'new')|old/rules.toml:15"
        ],
        "{text}"
    );
    assert!(text.contains("--details names every role and column"), "{text}");
    let detailed = desk.offline(1, &["diff", "old", "new", "--details"]).out;
    assert!(lines(&detailed).len() > 10 && !detailed.contains("--details"), "{detailed}");
    let json = desk.offline(1, &["diff", "old", "new", "--json"]).json();
    let column = json["changes"].as_array().unwrap().iter().find(|change| change["kind"] == "column").unwrap();
    assert!(column["cause"].as_str().unwrap().starts_with("[erasure] was taken out"), "{column}");
    assert_eq!(desk.offline(1, &["diff", "old", "new", "--format", "github"]).out.lines().count(), found.len());

    let (changes, text) = both("state = 'new'", "state = 'old'");
    assert_eq!(changes.len(), 11);
    assert_eq!(
        lines(&text),
        [
            "support, marketing (news), marketing (ads)|5 columns: public.customers.phone, public.customers.mobile, …|[erasure]: where state = 'new' -> where state = 'old'|new/rules.toml:15"
        ]
    );
    // Another domain, in a label that does not hold it; and a barrier.
    let (_, text) = both("a.example", "b.example");
    assert_eq!(lines(&text).len(), 1, "{text}");
    assert!(
        text.contains("@a.example")
            && text.contains("@b.example")
            && text.contains("public.customers.email, public.orders.email"),
        "{text}"
    );
    let (_, text) = both(", barrier = \"always\"", "");
    assert!(text.contains("marketing (news), marketing (ads)  rows of public.orders  orders.id > 0 (barrier always) -> orders.id > 0  new/rules.toml:"), "{text}");
    // Who has not consented is seen now, if by a mask.
    let (changes, _) = both("consent = true\nsee = { phone = \"clear\" }", "see = { phone = \"phone_last\" }");
    assert!(changes.iter().any(|change| change.starts_with("else: marketing (ads): public.customers.phone: clear if consented unless erased -> phone_last unless erased")), "{changes:?}");
    // Each limit by its scope.
    let (changes, _) = both("rows_per_day = 10", "rows_per_day = 20");
    assert_eq!(
        changes,
        ["more: marketing (news): login.rows_per_day: 10 -> 20", "more: marketing (ads): login.rows_per_day: 10 -> 20"]
    );
    let (changes, _) = both("searches_per_minute = 3", "searches_per_minute = 2");
    assert_eq!(changes[0], "less: marketing (news): connection.searches_per_minute: 3 -> 2");
    // Records that the role may write so that it sees more.
    let (changes, _) = both("consent = true", "consent = true\nlifts = [\"erasure\"]");
    assert!(
        changes[0].starts_with("more: marketing (news): kept from writing: DELETE FROM public.erasures, "),
        "{changes:?}"
    );
}

/// Of several links, `diff` names the one that was changed, added or taken out, with its place, for the columns of its table and of those that
/// lead through it; `explain` names the links that lead from a column.
#[test]
fn links_that_change_are_named() {
    const RULES: &str = r#"policy = "p"
[category.name]
columns = ["public.orders.recipient", "public.orders.buyer", "public.orders.note", "public.parcels.label", "public.messages.body"]
[category.none]
columns = ["public.*.id", "public.orders.buyer_id", "public.orders.recipient_id", "public.parcels.order_id", "public.messages.sender_id"]
[subject]
key = "public.customers.id"
[subject.links]
"public.orders.buyer_id" = { to = "public.customers.id", columns = ["buyer"] }
"public.orders.recipient_id" = { to = "public.customers.id", columns = ["recipient"] }
"public.parcels.order_id" = "public.orders.id"
"public.messages.sender_id" = "public.customers.id"
[erasure]
records = "public.erasures"
subject = "customer_id"
[[role]]
name = "support"
match = { user = ["support"] }
see = { name = "clear" }
"#;
    let mut data = database();
    table(&mut data, "customers", "id bigint");
    table(
        &mut data,
        "orders",
        "id bigint, buyer_id bigint, recipient_id bigint, recipient text, buyer text, note text",
    );
    table(&mut data, "parcels", "id bigint, order_id bigint, label text");
    table(&mut data, "messages", "id bigint, sender_id bigint, body text");
    table(&mut data, "erasures", "customer_id bigint");
    role(&mut data, "support", &[]);
    let desk = Desk::new(&data);
    let told = |from: &str, to: &str| -> Vec<String> {
        assert!(RULES.contains(from), "{from}");
        let (code, _) = diff(&desk, RULES, &RULES.replacen(from, to, 1));
        let json = desk.offline(code, &["diff", "old", "new", "--json"]).json();
        let changes = json["changes"].as_array().unwrap().iter().filter(|change| change["kind"] == "column");
        let shown = |change: &serde_json::Value| {
            let text = |key: &str| change[key].as_str().unwrap_or("-").to_owned();
            format!(
                "{} {} {}:{}",
                text("what"),
                text("cause"),
                change["spot"]["file"].as_str().unwrap(),
                change["spot"]["line"]
            )
        };
        changes.map(shown).collect()
    };
    let recipient = "\"public.orders.recipient_id\" = { to = \"public.customers.id\", columns = [\"recipient\"] }\n";
    let gone = "[subject.links] of public.orders: recipient_id -> public.customers.id, about recipient was taken out old/rules.toml:10";
    let found = told(recipient, "");
    // Nobody says then whom `recipient` is about, so it is about the buyer.
    assert_eq!(
        found,
        ["orders.recipient", "orders.note", "parcels.label"].map(|column| format!("public.{column} {gone}")),
    );
    let became = "[subject.links] of public.orders: recipient_id -> public.customers.id, about recipient became recipient_id -> public.customers.id, about \
                  recipient, note new/rules.toml:10";
    assert_eq!(told("[\"recipient\"]", "[\"recipient\", \"note\"]"), [format!("public.orders.note {became}")]);
    // Two tables at once: each column has its own.
    let found = told(
        "\"public.parcels.order_id\" = \"public.orders.id\"\n\"public.messages.sender_id\" = \"public.customers.id\"\n",
        "\"public.parcels.id\" = \"public.orders.id\"\n\"public.messages.id\" = \"public.customers.id\"\n",
    );
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found.iter().any(|line| line.starts_with(
            "public.parcels.label [subject.links] of public.parcels: order_id -> public.orders.id became id -> "
        ) && line.ends_with("new/rules.toml:11")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("public.messages.body [subject.links] of public.messages: sender_id -> ")
                && !line.contains("parcels")
                && line.ends_with("new/rules.toml:12")),
        "{found:?}"
    );
    // Another one, and the text for people.
    let added = told("[erasure]\n", "\"public.messages.id\" = \"public.customers.id\"\n[erasure]\n");
    assert_eq!(
        added,
        [
            "public.messages.body [subject.links] of public.messages: id -> public.customers.id was added new/rules.toml:13"
        ]
    );
    let text = desk.offline(1, &["diff", "old", "new"]).out;
    assert!(text.contains("public.messages.body") && text.contains("id -> public.customers.id was added"), "{text}");

    desk.write("rules/r.toml", RULES);
    let explain = |sql: &str| desk.offline(0, &["explain", "--rules", "rules", "--role", "support", sql]).out;
    let buyer = "             subject by link buyer_id -> public.customers.id, about buyer by rules/r.toml:9\n";
    let recipient =
        "             subject by link recipient_id -> public.customers.id, about recipient by rules/r.toml:10\n";
    for (column, links) in [("buyer", (true, false)), ("recipient", (false, true)), ("note", (true, true))] {
        let text = explain(&format!("SELECT {column} FROM orders"));
        assert_eq!((text.contains(buyer), text.contains(recipient)), links, "{column}: {text}");
    }
    assert!(
        explain("SELECT label FROM parcels")
            .contains("subject by link order_id -> public.orders.id by rules/r.toml:11\n")
    );
    assert!(!explain("SELECT id FROM orders").contains("subject by"));
}

/// Scripts for psql are to be had in JSON too, for programs.
#[test]
fn scripts_are_printed_as_json_where_that_is_asked_for() {
    let mut data = database();
    table(&mut data, "customers", "id bigint, phone text");
    table(&mut data, "erasures", "customer_id bigint");
    let desk = Desk::new(&data);
    desk.write(
        "rules/r.toml",
        "policy = \"p\"\n[category.phone]\ncolumns = [\"public.customers.phone\"]\n[subject]\nkey = \"public.customers.id\"\n\
         [erasure]\nrecords = \"public.erasures\"\nsubject = \"customer_id\"\n[[role]]\nname = \"r\"\nmatch = { user = \"u\" }\n",
    );
    let report = ["report", "erasure", "--rules", "rules"];
    let human = desk.offline(0, &report).out;
    let json = desk.offline(0, &[&report[..], &["--format", "json"]].concat()).json();
    assert_eq!((json["sql"].as_str(), json["policy"].as_str()), (Some(human.as_str()), Some("p")));
    let uninstall = desk.run(&["install", "--uninstall", "--key-version", "2"]);
    let json = desk.run(&["install", "--uninstall", "--key-version", "2", "--json"]).json();
    assert_eq!((json["sql"].as_str(), json["key_version"].as_i64()), (Some(uninstall.out.as_str()), Some(2)));
}

/// A server with tables whose names and comments tell little, and whose content tells a lot.
fn odd_shop() -> common::Postgres {
    let postgres = common::Postgres::start();
    postgres.sql(
        "postgres",
        "CREATE ROLE pgscrim LOGIN; CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader;
         CREATE TABLE people (id bigint PRIMARY KEY, a text, b varchar(30), c text, d text, e jsonb, f text, g numeric, h text[], hoten text, mail text);
         INSERT INTO people SELECT n, '09012340' || lpad(n::text, 2, '0'), 'bimat' || n || '@geheim.vn', 'Nguyễn Thị Bí Mật',
             '4111111111111111', '{\"tel\": \"0901234567\"}', 'SP-' || n, n, ARRAY['x'], 'x', 'y' FROM generate_series(1, 60) n;
         COMMENT ON COLUMN people.f IS 'CCCD của khách BÍ-MẬT-TRONG-CHÚ-THÍCH';
         CREATE TABLE big (id bigint, v text) PARTITION BY RANGE (id);
         CREATE TABLE big_1 PARTITION OF big FOR VALUES FROM (0) TO (1000000);
         INSERT INTO big SELECT n, '0901234567' FROM generate_series(1, 50000) n;
         CREATE TABLE tall (id bigint, v text);
         INSERT INTO tall SELECT n, '0901234567' FROM generate_series(1, 50000) n;
         CREATE TABLE empty (v text);
         CREATE TABLE slow (v text);
         CREATE VIEW nap AS SELECT pg_sleep(100)::text AS email;
         CREATE TABLE products (id bigint, sku text, price numeric)",
    );
    // Without it no table has a size to sample by.
    postgres.sql("postgres", "VACUUM ANALYZE");
    postgres
}

fn url(postgres: &common::Postgres, user: &str) -> String {
    format!("postgres://{user}@127.0.0.1:{}/postgres", postgres.port)
}

#[test]
fn discover_writes_a_file_that_check_takes_and_prints_no_content() {
    let postgres = odd_shop();
    let desk = Desk(common::Folder::new());
    let by_name = desk.run(&["discover", "--upstream-url", &url(&postgres, "pgscrim")]);
    assert_eq!(by_name.code, 0, "{}", by_name.err);
    assert!(by_name.out.contains("\"public.people.hoten\", # its name holds \"ho ten\""), "{}", by_name.out);
    assert!(by_name.out.contains("\"public.people.f\", # its comment holds \"cccd\""), "{}", by_name.out);
    assert!(by_name.out.contains("    # \"public.people.b\", # review"), "{}", by_name.out);
    assert!(by_name.out.contains("\n# \"public.products\"\n") && !by_name.out.contains("big_1"), "{}", by_name.out);

    let sampled =
        desk.run(&["discover", "--upstream-url", &url(&postgres, "reader"), "--sample", "--out", "10-data.toml"]);
    assert_eq!((sampled.code, sampled.out.as_str()), (0, ""), "{}", sampled.err);
    let text = fs::read_to_string(desk.0.join("10-data.toml")).unwrap();
    for line in [
        "\"public.people.a\", # 60 of 60 sampled values look like telephone numbers",
        "\"public.people.b\", # 60 of 60 sampled values look like e-mail addresses",
        "\"public.people.c\", # 60 of 60 sampled values look like names of people",
        "\"public.people.d\", # 60 of 60 sampled values look like card numbers with a valid check digit",
        "\"public.people.e\", # 60 of 60 sampled values contain an e-mail address or a telephone number",
        "\"public.tall.v\", # 300 of 300 sampled values look like telephone numbers",
        "\"public.big.v\", # 300 of 300 sampled values look like telephone numbers",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    for secret in ["0901234", "geheim", "Bí", "BÍ", "4111", "SP-", "bimat"] {
        assert!(!text.contains(secret) && !sampled.err.contains(secret), "{secret}\n{text}");
        assert!(!postgres.log().contains(secret), "{secret}");
    }
    // With a role it is a rule set.
    desk.write("rules/10-data.toml", &text);
    desk.write("rules/20-roles.toml", "[[role]]\nname = \"r\"\nmatch = { user = \"reader\" }\n");
    let check = desk.run(&["check", "--rules", "rules", "--upstream-url", &url(&postgres, "pgscrim")]);
    assert_eq!(check.code, 0, "{}", check.err);
    // What was reviewed is not overwritten.
    let again = desk.run(&["discover", "--upstream-url", &url(&postgres, "pgscrim"), "--out", "10-data.toml"]);
    assert_eq!(again.code, 1);
    assert!(again.err.contains("10-data.toml"), "{}", again.err);
    let json =
        desk.run(&["discover", "--upstream-url", &url(&postgres, "reader"), "--sample", "--format", "json"]).json();
    let people = json["tables"].as_array().unwrap().iter().find(|table| table["name"] == "public.people").unwrap();
    assert_eq!(people["columns"][1]["guess"]["kind"], "phone");
    assert_eq!(people["columns"][0]["guess"], serde_json::Value::Null);
}

#[test]
fn discover_says_which_tables_it_could_not_sample() {
    let postgres = odd_shop();
    let desk = Desk(common::Folder::new());
    let denied = desk.run(&["discover", "--upstream-url", &url(&postgres, "pgscrim"), "--sample"]);
    assert_eq!(denied.code, 1);
    assert!(denied.err.contains("no table could be sampled") && denied.err.contains("GRANT SELECT"), "{}", denied.err);
    postgres.sql("postgres", "GRANT SELECT ON people TO pgscrim");
    let some = desk.run(&["discover", "--upstream-url", &url(&postgres, "pgscrim"), "--sample"]);
    assert_eq!(some.code, 0, "{}", some.err);
    assert!(some.err.contains("public.empty was not sampled: the service login may not read it"), "{}", some.err);
    assert!(some.out.contains("\n# not sampled: public.big: ") && some.out.contains("60 of 60"), "{}", some.out);
    assert_eq!(desk.run(&["discover", "--catalog", "x.json", "--sample"]).code, 1);
    assert_eq!(desk.run(&["discover", "--upstream-url", "postgres://pgscrim@127.0.0.1:1/shop"]).code, 1);
}

/// A table that somebody holds, and a value that makes an expression of a policy fail: neither stops the rest, and the
/// server's words, which hold the value, are not repeated.
#[test]
fn a_table_that_cannot_be_read_costs_no_more_than_itself() {
    let postgres = odd_shop();
    postgres.sql(
        "postgres",
        "CREATE POLICY odd ON slow USING (v::int > 0); ALTER TABLE slow ENABLE ROW LEVEL SECURITY; INSERT INTO slow VALUES ('topsecret');
         CREATE PROCEDURE hold() LANGUAGE plpgsql AS $$ BEGIN LOCK TABLE empty IN ACCESS EXCLUSIVE MODE; PERFORM pg_sleep(20); END $$",
    );
    let port = postgres.port.to_string();
    let mut holder =
        common::psql("127.0.0.1", postgres.port, "postgres", "postgres").args(["-c", "CALL hold()"]).spawn().unwrap();
    common::wait_for("the lock", std::time::Duration::from_secs(10), || {
        let rows = postgres.sql(
            "postgres",
            "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'empty'::regclass",
        );
        (rows[0][0].as_deref() == Some("1")).then_some(())
    });
    let desk = Desk(common::Folder::new());
    let ran = desk.run(&["discover", "--upstream-url", &url(&postgres, "reader"), "--sample"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("public.empty was not sampled: it is locked"), "{} {port}", ran.err);
    assert!(ran.err.contains("public.slow was not sampled: the server answered with SQLSTATE 22P02"), "{}", ran.err);
    assert!(!ran.err.contains("topsecret") && ran.out.contains("60 of 60"), "{}", ran.out);
    let _ = holder.kill();
    let _ = holder.wait();
}

const LEAKY: &str = "
CREATE ROLE pgscrim LOGIN; CREATE ROLE care LOGIN; CREATE ROLE boss LOGIN SUPERUSER; CREATE ROLE bosses; GRANT bosses TO boss; CREATE ROLE reader LOGIN;
GRANT pg_read_all_data TO reader;
CREATE TABLE customers (
    id bigint PRIMARY KEY, email text UNIQUE, phone text NOT NULL UNIQUE, full_name text, note text, code text, plain text,
    initials text GENERATED ALWAYS AS (left(full_name, 1)) STORED,
    shout text GENERATED ALWAYS AS (upper(full_name)) STORED
);
CREATE INDEX by_name ON customers (full_name);
CREATE INDEX by_lower ON customers (lower(full_name)) WHERE note IS NULL;
CREATE INDEX by_code ON customers (code) INCLUDE (full_name);
CREATE INDEX by_hash ON customers USING hash (note);
CREATE TABLE calls (id bigint PRIMARY KEY, caller text REFERENCES customers (phone), kept text REFERENCES customers (phone));
CREATE TABLE people (email text PRIMARY KEY);
CREATE UNIQUE INDEX ON customers (plain);
CREATE INDEX by_plain ON customers (id) WHERE plain IS NULL;
CREATE TABLE wishes (id bigint PRIMARY KEY, of text REFERENCES customers (plain), about jsonb, weight jsonb);
INSERT INTO wishes (id, weight) VALUES (1, '5');
CREATE TABLE born (id bigint, birth date) PARTITION BY RANGE (extract(year FROM birth));
CREATE TABLE born_1 PARTITION OF born FOR VALUES FROM (1900) TO (2100);
CREATE VIEW names AS SELECT id, full_name AS n FROM customers;
CREATE VIEW counted AS SELECT count(*) FROM calls;
CREATE FUNCTION find_name(n bigint) RETURNS text LANGUAGE sql STABLE BEGIN ATOMIC SELECT full_name FROM customers WHERE id = n; END;
CREATE FUNCTION list_names() RETURNS SETOF customers LANGUAGE sql STABLE AS 'SELECT * FROM customers';
CREATE FUNCTION spy() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT phone FROM customers LIMIT 1';
CREATE FUNCTION anything(q text) RETURNS text LANGUAGE plpgsql AS 'DECLARE r text; BEGIN EXECUTE q INTO r; RETURN r; END';
CREATE FUNCTION numbered(n int) RETURNS text LANGUAGE plpgsql AS 'DECLARE r text; BEGIN EXECUTE ''SELECT $1'' INTO r USING n; RETURN r; END';
CREATE FUNCTION by_setting() RETURNS text LANGUAGE plpgsql AS 'DECLARE r text; BEGIN EXECUTE current_setting(''app.q'') INTO r; RETURN r; END';
CREATE FUNCTION as_xml(t regclass) RETURNS xml LANGUAGE sql AS 'SELECT table_to_xml(t, true, false, '''')';
CREATE FUNCTION plain_text(t text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN t; END';
CREATE FUNCTION harmless() RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT count(*) FROM products; END;
CREATE TABLE staff (id bigint, so_dien_thoai text, x text);
INSERT INTO staff SELECT n, 'x', 'bimat' || n || '@geheim.vn' FROM generate_series(1, 20) n;
";

const LEAKY_RULES: &str = r#"policy = "p"
[category.name]
columns = ["public.customers.full_name"]
[category.phone]
columns = ["public.customers.phone", "public.calls.kept"]
[category.email]
columns = ["public.customers.email", "public.people.email"]
[category.birth]
columns = ["public.born.birth"]
[category.none]
columns = ["public.customers.id", "public.customers.note", "public.customers.code", "public.customers.initials", "public.calls.id", "public.calls.caller", "public.born.id"]
[[role]]
name = "care"
match = { user = ["care", "gone"] }
see = { phone = "phone_last", email = "email" }
functions = ["public.list_names", "public.spy", "public.anything", "public.numbered", "public.by_setting", "public.as_xml", "public.plain_text"]
[[role]]
name = "chief"
match = { member_of = ["bosses"] }
otherwise = "clear"
[[role]]
name = "elsewhere"
match = { user = ["reader"], database = ["other"] }
otherwise = "clear"
[[role]]
name = "owner"
match = { user = ["postgres"] }
exempt = true
"#;

#[test]
fn check_finds_what_leaks_around_the_rules() {
    let postgres = common::Postgres::start();
    postgres.sql("postgres", "CREATE TABLE products (id bigint)");
    postgres.sql("postgres", LEAKY);
    let desk = Desk(common::Folder::new());
    desk.write("rules/rules.toml", LEAKY_RULES);
    let url = |user: &str| url(&postgres, user);
    let found = |json: &serde_json::Value| -> Vec<String> {
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let findings = json["findings"].as_array().unwrap().iter();
        findings.map(|finding| format!("{} {}", text(&finding["code"]), text(&finding["object"]))).collect()
    };
    let json = desk.run(&["check", "--rules", "rules", "--upstream-url", &url("pgscrim"), "--json"]).json();
    let expected = [
        "PGC101 role care",
        "PGC102 role elsewhere",
        "PGC103 role chief",
        "PGC201 public.customers",
        "PGC202 public.customers.note",
        "PGC203 public.staff.so_dien_thoai",
        "PGC301 public.people.email",
        "PGC302 public.calls.kept",
        "PGC404 public.customers.initials",
        "PGC406 function public.list_names",
        "PGC409 public.born",
        "PGC410 public.calls.caller",
        "PGC412 function public.anything",
        "PGC412 function public.as_xml",
        "PGC412 function public.by_setting",
        "PGC204 documents of tables without categories",
        "PGC303 public.customers.email",
        "PGC303 public.customers.phone",
        "PGC402 public.names",
        "PGC403 public.customers.shout",
        "PGC405 function public.find_name",
        "PGC407 index public.by_name",
        "PGC408 index public.by_lower",
        "PGC411 function public.numbered",
        "PGC411 function public.plain_text",
        "PGC411 function public.spy",
    ];
    assert_eq!(found(&json), expected, "{json:#}");
    let of = |code: &str| json["findings"].as_array().unwrap().iter().find(|finding| finding["code"] == code).unwrap();
    assert_eq!(of("PGC202")["spot"], serde_json::json!({ "file": "rules/rules.toml", "line": 11 }));
    assert_eq!(of("PGC301")["spot"]["line"], 15);
    let documents = of("PGC204")["message"].as_str().unwrap();
    assert!(documents.ends_with("public.wishes.about, public.wishes.weight"), "{documents}");
    assert!(of("PGC406")["message"].as_str().unwrap().contains("may be called by care"), "{json:#}");

    // The same from a catalog file.
    let dump = desk.run(&["catalog", "dump", "--upstream-url", &url("pgscrim")]);
    desk.write("catalog.json", &dump.out);
    let offline = desk.offline(0, &["check", "--rules", "rules", "--json"]).json();
    assert_eq!(offline["findings"], json["findings"]);

    // Content tells of one more column, and is not shown.
    let sampled = desk.run(&["check", "--rules", "rules", "--upstream-url", &url("reader"), "--sample"]);
    assert_eq!(sampled.code, 0, "{}", sampled.err);
    assert!(
        sampled.out.contains("warning PGC203: public.staff.x looks like personal data (email): 20 of 20"),
        "{}",
        sampled.out
    );
    assert!(!sampled.out.contains("geheim"), "{}", sampled.out);
    // What was looked into is no unknown document.
    assert!(sampled.out.contains("so: public.wishes.about\n"), "{}", sampled.out);
}

/// Rows that lose their subject when another row is deleted, and logins that choose their role.
#[test]
fn check_warns_of_links_that_break_and_of_roles_that_clients_choose() {
    let postgres = common::Postgres::start();
    postgres.sql(
        "postgres",
        "CREATE ROLE pgscrim LOGIN; CREATE ROLE app LOGIN; CREATE ROLE care LOGIN; CREATE ROLE clerks; CREATE ROLE clerk LOGIN IN ROLE clerks;
         CREATE TABLE customers (id bigint PRIMARY KEY, phone text);
         CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint REFERENCES customers ON DELETE SET NULL, phone text);
         CREATE TABLE kept (id bigint PRIMARY KEY, customer_id bigint REFERENCES customers ON DELETE CASCADE, phone text);
         CREATE TABLE strict (id bigint PRIMARY KEY, customer_id bigint REFERENCES customers, phone text);
         CREATE TABLE shipments (id bigint PRIMARY KEY, order_id bigint, phone text);
         CREATE TABLE parcels (id bigint, order_id bigint DEFAULT 0 REFERENCES orders ON DELETE SET DEFAULT, phone text) PARTITION BY RANGE (id);
         CREATE TABLE erasures (subject_id bigint)",
    );
    let rules = r#"policy = "p"
[category.phone]
columns = ["public.*.phone"]
[category.none]
columns = ["public.*.id", "public.*.customer_id", "public.*.order_id"]
[subject]
key = "public.customers.id"
[subject.links]
"public.orders.customer_id" = "public.customers.id"
"public.kept.customer_id" = "public.customers.id"
"public.strict.customer_id" = "public.customers.id"
"public.shipments.order_id" = "public.orders.id"
"public.parcels.order_id" = "public.orders.id"
[erasure]
records = "public.erasures"
subject = "subject_id"
[[role]]
name = "packing"
match = { user = "app", application_name = "packing" }
see = { phone = "phone_last" }
[[role]]
name = "billing"
match = { user = ["app", "care"], application_name = "billing" }
otherwise = "clear"
[[role]]
name = "rest"
match = { user = "care" }
[[role]]
name = "clerks"
match = { member_of = "clerks" }
"#;
    let desk = Desk(common::Folder::new());
    desk.write("rules/rules.toml", rules);
    let found = |code: &str| -> Vec<(String, i64)> {
        let ran = desk.run(&["check", "--rules", "rules", "--upstream-url", &url(&postgres, "pgscrim"), "--json"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let json = ran.json();
        let findings = json["findings"].as_array().unwrap().iter().filter(|finding| finding["code"] == code);
        let shown = |finding: &serde_json::Value| {
            (finding["object"].as_str().unwrap().to_owned(), finding["spot"]["line"].as_i64().unwrap_or_default())
        };
        findings.map(shown).collect()
    };
    let broken = [("orders.customer_id", 9), ("parcels.order_id", 13), ("shipments.order_id", 12)];
    assert_eq!(found("PGC304"), broken.map(|(column, line)| (format!("public.{column}"), line)));
    assert_eq!(found("PGC305"), []);
    // What refers to what is not there is hidden, unless the rules say otherwise; what is NULL is not.
    let told = || -> Vec<bool> {
        let ran = desk.run(&["check", "--rules", "rules", "--upstream-url", &url(&postgres, "pgscrim"), "--json"]);
        let json = ran.json();
        let findings = json["findings"].as_array().unwrap().iter().filter(|finding| finding["code"] == "PGC304");
        findings.map(|finding| finding["message"].as_str().unwrap().contains("hide nothing")).collect()
    };
    assert_eq!(told(), [true, true, false]);
    desk.write("rules/rules.toml", &rules.replace("[subject]\n", "[subject]\norphans = \"show\"\n"));
    assert_eq!(told(), [true, true, true]);
    desk.write("rules/rules.toml", rules);
    // One login whose every role is by an application's name, and one that falls back to another role.
    assert_eq!(found("PGC107"), [("logins app".to_owned(), 17), ("logins care".to_owned(), 21)]);

    // A key that keeps a row only as long as nobody asks it not to, only where another column is not NULL, or not those of a child.
    let keys = |more: &str| {
        postgres.sql(
            "postgres",
            &format!(
                "ALTER TABLE shipments DROP CONSTRAINT IF EXISTS k; ALTER TABLE shipments ADD CONSTRAINT k {more}"
            ),
        );
        found("PGC304").iter().any(|(column, _)| column == "public.shipments.order_id")
    };
    postgres.sql(
        "postgres",
        "ALTER TABLE orders ADD tenant int, ADD UNIQUE (id, tenant); ALTER TABLE shipments ADD tenant int",
    );
    assert!(!keys("FOREIGN KEY (order_id) REFERENCES orders"));
    assert!(keys("FOREIGN KEY (order_id) REFERENCES orders DEFERRABLE"));
    assert!(!keys("FOREIGN KEY (order_id) REFERENCES orders ON DELETE RESTRICT DEFERRABLE"));
    assert!(keys("FOREIGN KEY (order_id, tenant) REFERENCES orders (id, tenant)"));
    assert!(!keys("FOREIGN KEY (order_id, tenant) REFERENCES orders (id, tenant) MATCH FULL"));
    postgres.sql("postgres", "ALTER TABLE shipments ALTER tenant SET NOT NULL");
    assert!(!keys("FOREIGN KEY (order_id, tenant) REFERENCES orders (id, tenant)"));
    postgres.sql("postgres", "CREATE TABLE old_shipments () INHERITS (shipments)");
    assert!(keys("FOREIGN KEY (order_id) REFERENCES orders"));
    postgres.sql("postgres", "ALTER TABLE old_shipments ADD FOREIGN KEY (order_id) REFERENCES orders");
    assert!(!keys("FOREIGN KEY (order_id) REFERENCES orders"));
    postgres.sql("postgres", "DROP TABLE old_shipments; ALTER TABLE shipments DROP CONSTRAINT k");

    // By consent nothing is laid open where nobody is known, but somebody else may be put there.
    let consent = rules.replace("[erasure]\n", "[consent]\npurpose = \"purpose\"\n");
    let consent = consent
        .replace("[[role]]\nname = \"packing\"", "[[role]]\nname = \"packing\"\npurposes = [\"p\"]\nconsent = true");
    postgres.sql("postgres", "ALTER TABLE erasures ADD purpose text");
    desk.write("rules/rules.toml", &consent);
    let replaced: Vec<String> = found("PGC304").into_iter().map(|(column, _)| column).collect();
    assert_eq!(replaced, ["public.parcels.order_id", "public.shipments.order_id"]);

    // Nothing is hidden by request: nothing is laid open.
    let without = rules.replace("[erasure]\nrecords = \"public.erasures\"\nsubject = \"subject_id\"\n", "");
    assert_ne!(without, rules);
    desk.write("rules/rules.toml", &without);
    assert_eq!(found("PGC304"), []);

    // What a link refers to must be one row: a key or a whole unique index of its own.
    postgres.sql("postgres", "ALTER TABLE orders DROP CONSTRAINT orders_pkey CASCADE");
    for (index, unique) in [
        ("SELECT 1", false),
        ("CREATE INDEX i ON orders (id)", false),
        ("CREATE UNIQUE INDEX i ON orders (id, phone)", false),
        ("CREATE UNIQUE INDEX i ON orders (id) WHERE phone IS NOT NULL", false),
        ("CREATE UNIQUE INDEX i ON orders (abs(id))", false),
        ("CREATE UNIQUE INDEX i ON orders (id)", true),
        ("ALTER TABLE orders ADD UNIQUE (id)", true),
        ("ALTER TABLE orders DROP CONSTRAINT orders_id_key, ADD UNIQUE (id) DEFERRABLE", false),
        ("ALTER TABLE orders DROP CONSTRAINT orders_id_key", false),
        ("CREATE UNIQUE INDEX i ON orders (id); CREATE TABLE old_orders () INHERITS (orders)", false),
        ("DROP TABLE old_orders", false),
    ] {
        postgres.sql("postgres", index);
        let expected = if unique { vec![] } else { vec![("public.orders.id".to_owned(), 12)] };
        assert_eq!(found("PGC305"), expected, "{index}");
        postgres.sql("postgres", "DROP INDEX IF EXISTS i");
    }
    postgres.sql(
        "postgres",
        "ALTER TABLE orders ADD PRIMARY KEY (id); ALTER TABLE customers DROP CONSTRAINT customers_pkey CASCADE",
    );
    assert_eq!(found("PGC305"), [("public.customers.id".to_owned(), 7)]);
}

#[test]
fn check_speaks_the_languages_of_ci() {
    let desk = Desk::new(&starter());
    desk.copy_pack("starter", "rules");
    // The rules of the pack, without a warning.
    desk.offline(0, &["check", "--rules", "rules", "--strict"]);
    let rules = fs::read_to_string(packs().join("starter/rules.toml")).unwrap();
    desk.write("rules/rules.toml", &rules.replace(", \"public.customers.created_at\"", ""));
    desk.offline(0, &["check", "--rules", "rules"]);
    let strict = desk.offline(1, &["check", "--rules", "rules", "--strict"]);
    assert!(
        strict.out.contains("warning PGC201: public.customers.created_at") && strict.err.contains("there are some: 1"),
        "{}",
        strict.err
    );
    let github = desk.offline(0, &["check", "--rules", "rules", "--format", "github"]).out;
    assert!(
        github.starts_with("::warning title=PGC201,file=rules/rules.toml,line=11::public.customers.created_at is"),
        "{github}"
    );
    let sarif = desk.offline(0, &["check", "--rules", "rules", "--format", "sarif"]).json();
    let run = &sarif["runs"][0];
    assert_eq!(run["results"][0]["ruleId"], "PGC201");
    let known = run["tool"]["driver"]["rules"].as_array().unwrap();
    for result in run["results"].as_array().unwrap() {
        assert!(known.iter().any(|rule| rule["id"] == result["ruleId"]), "{result}");
        assert!(result["locations"][0]["physicalLocation"]["region"]["startLine"].is_u64(), "{result}");
    }
    desk.write("rules/rules.toml", &rules.replace("customers.phone", "customers.fone"));
    let github = desk.offline(3, &["check", "--rules", "rules", "--format", "github"]);
    assert!(
        github.out.starts_with("::error title=PGC001,file=rules/rules.toml,line=19::unknown column"),
        "{}",
        github.out
    );
    assert!(github.err.contains('^'));
    assert_eq!(desk.offline(3, &["check", "--rules", "rules", "--json"]).json()["errors"][0]["line"], 19);
    desk.write("rules/rules.toml", "policy = 1");
    let sarif = desk.offline(3, &["check", "--rules", "rules", "--format", "sarif"]).json();
    assert_eq!(sarif["runs"][0]["results"][0]["level"], "error");
}

#[test]
fn explain_points_at_the_rules_that_decide() {
    let desk = Desk::new(&starter());
    desk.copy_pack("starter", "rules");
    let explain = ["explain", "--rules", "rules", "--role", "support", "SELECT phone FROM customers"];
    let text = desk.offline(0, &explain).out;
    assert!(
        text.contains("  category by rules/rules.toml:19\n") && text.contains("  treatment by rules/rules.toml:32\n"),
        "{text}"
    );
    let json = desk.offline(0, &[&explain[..], &["--format", "json"]].concat()).json();
    let column = &json["statements"][0]["columns"][0];
    assert_eq!(column["category_rule"], serde_json::json!({ "file": "rules/rules.toml", "line": 19 }));
    assert_eq!(column["treatment_rule"], serde_json::json!({ "file": "rules/rules.toml", "line": 32 }));
}

/// What a treatment depends on stands beside it, with file and line: consent, refusal, erasure, and each document.
#[test]
fn explain_points_at_what_depends_on_the_row() {
    const RULES: &str = r#"policy = "p"
[category.phone]
columns = ["public.customers.phone"]
[category.none]
columns = ["public.customers.id"]
[subject]
key = "public.customers.id"
[consent]
records = "public.records"
subject = "id"
purpose = "what"
[refusal]
records = "public.records"
subject = "id"
category = "what"
[erasure]
records = "public.records"
subject = "id"
[[role]]
name = "shop"
match = { user = ["shop_app"] }
purposes = ["orders"]
consent = true
see = { phone = "phone_last" }
search = { phone = "exact" }
[[role]]
name = "court"
match = { user = ["court"] }
purposes = ["duty"]
legal_duty = true
[[grant]]
role = "court"
document = "1/QD"
from = 2020-01-01T00:00:00Z
until = 2020-02-01T00:00:00Z
subjects = "all"
see = { phone = "clear" }
"#;
    let mut data = database();
    table(&mut data, "customers", "id bigint, phone varchar(20)");
    table(&mut data, "records", "id bigint, what text");
    for login in ["shop_app", "court"] {
        role(&mut data, login, &[]);
    }
    let desk = Desk::new(&data);
    desk.write("rules/r.toml", RULES);
    let explain = |role: &str, sql: &str| desk.offline(0, &["explain", "--rules", "rules", "--role", role, sql]).out;
    let text = explain("shop", "SELECT phone FROM customers WHERE phone = '1'");
    assert!(
        text.contains("(phone): phone_last if consented unless refused or erased + exact; projected, predicate\n"),
        "{text}"
    );
    for line in ["consent by rules/r.toml:8", "refusal by rules/r.toml:12", "erasure by rules/r.toml:16"] {
        assert!(text.contains(&format!("             {line}\n")), "{line}: {text}");
    }
    assert!(text.contains("             NULL stays NULL, empty text stays empty\n"), "{text}");
    assert!(explain("shop", "SELECT id FROM customers WHERE phone = '1'").contains("(phone): exact; predicate\n"));
    let text = explain("court", "SELECT phone FROM customers");
    assert!(text.contains("             document 1/QD for all subjects, ended, by rules/r.toml:31\n"), "{text}");
    let found = desk.offline(0, &["check", "--rules", "rules"]).out;
    assert!(found.contains("PGC110") && found.contains("document 1/QD has ended"), "{found}");
}

#[test]
fn tests_and_diffs_run_against_a_live_server() {
    let postgres = common::shop::postgres();
    postgres.sql("shop", "CREATE SCHEMA app; CREATE TABLE app.customers (id int); ALTER ROLE support IN DATABASE shop SET search_path = app, public");
    let desk = Desk(common::Folder::new());
    desk.write("rules/rules.toml", common::shop::RULES);
    // The login's own search path decides which table is meant; a role has none.
    desk.write(
        "rules/a.test.toml",
        "[[test]]\nname = \"by role\"\nrole = \"support\"\nsql = \"SELECT phone FROM customers\"\nexpect = { phone = \"phone_last\" }\n\
         [[test]]\nname = \"by user\"\nuser = \"support\"\nsql = \"SELECT phone FROM customers\"\nrefuse = \"PGS0103\"\n\
         [[test]]\nname = \"by path\"\nuser = \"support\"\nsearch_path = \"public\"\nsql = \"SELECT note FROM customers\"\nrefuse = \"PGS0201\"\n",
    );
    let url = format!("postgres://pgscrim@127.0.0.1:{}/shop", postgres.port);
    let ran = desk.run(&["test", "rules", "--upstream-url", &url]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    desk.write("new/rules.toml", &common::shop::RULES.replace("note = \"refuse\"", "note = \"withhold\""));
    let ran = desk.run(&["diff", "rules", "new", "--upstream-url", &url]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.out.contains("support  public.customers.note  refuse -> withhold"), "{}", ran.out);
    assert_eq!(desk.run(&["test", "rules", "--upstream-url", "postgres://pgscrim@127.0.0.1:1/shop"]).code, 2);
}

/// Whether PostgreSQL takes a condition is asked of it: with file, line and its own words, and nothing of the condition runs.
#[test]
fn check_asks_the_server_whether_it_takes_conditions_and_masks() {
    const RULES: &str = r#"policy = "p"
[category.phone]
columns = ["public.customers.phone", "public.orders.phone"]
[category.none]
columns = ["public.customers.id", "public.orders.id", "public.orders.customer_id", "public.orders.tien"]
[subject]
key = "public.customers.id"
links = { "public.orders.customer_id" = "public.customers.id" }
[erasure]
records = "public.erasures"
subject = "customer_id"
where = "state = 'new' AND public.boom(state)"
[[role]]
name = "staff"
match = { user = "staff" }
functions = ["public.boom"]
see = { phone = "phone_last" }
rows = { "public.orders" = "tien > 0 AND public.boom(tien::text)" }
[[role]]
name = "court"
match = { user = "court" }
legal_duty = true
[[grant]]
role = "court"
document = "1/QD"
from = 2026-01-01T00:00:00Z
until = 2027-01-01T00:00:00Z
subjects = ["6f9619ff-8b86-d011-b42d-00cf4fc964ff"]
see = { phone = "clear" }
"#;
    let postgres = common::Postgres::start();
    postgres.sql(
        "postgres",
        "CREATE ROLE pgscrim LOGIN; CREATE ROLE staff LOGIN; CREATE ROLE court LOGIN;
         CREATE FUNCTION boom(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'it ran'; END $$;
         CREATE TABLE customers (id uuid PRIMARY KEY, phone varchar(20));
         CREATE TABLE orders (id int PRIMARY KEY, customer_id uuid REFERENCES customers, phone text, tien numeric(12, 2));
         CREATE TABLE erasures (customer_id uuid, state text);
         INSERT INTO orders VALUES (1, NULL, 'x', 1)",
    );
    let desk = Desk(common::Folder::new());
    let url = url(&postgres, "pgscrim");
    let check = |from: &str, to: &str, code: i32, format: &str| {
        assert!(RULES.contains(from));
        desk.write("rules/r.toml", &RULES.replace(from, to));
        let ran = desk.run(&["check", "--rules", "rules", "--upstream-url", &url, "--format", format]);
        assert_eq!(ran.code, code, "{from} -> {to}\n{}{}", ran.out, ran.err);
        ran
    };
    let fine = check("", "", 0, "human").out;
    assert!(!fine.contains("PGC503") && fine.contains("phone_last unless erased"), "{fine}");
    let wrong = [
        (
            "tien > 0 AND public.boom(tien::text)",
            "tien",
            "the rows of public.orders: argument of WHERE must be type boolean, not type numeric (42804)",
            18,
        ),
        (
            "state = 'new' AND",
            "state = 1 AND",
            "`where` of [erasure]: operator does not exist: text = integer (42883)",
            12,
        ),
        (
            "[\"6f9619ff-8b86-d011-b42d-00cf4fc964ff\"]",
            "[17]",
            "a subject of the grant by document 1/QD: invalid input syntax for type uuid: \"17\" (22P02)",
            23,
        ),
    ];
    for (from, to, message, line) in wrong {
        let ran = check(from, to, 3, "human");
        // Once, and not for every mask that holds it.
        assert_eq!(ran.err.matches("error:").count(), 1, "{}", ran.err);
        assert!(ran.err.contains(&format!("PostgreSQL does not take {message}")), "{}", ran.err);
        assert!(ran.err.contains(&format!("rules/r.toml:{line}:")) && ran.err.contains("help:"), "{}", ran.err);
        let json = check(from, to, 3, "json").json();
        assert_eq!(
            (json["errors"][0]["code"].as_str(), json["errors"][0]["line"].as_u64()),
            (Some("PGC002"), Some(line))
        );
        assert!(check(from, to, 3, "sarif").out.contains("PGC002"));
        assert!(check(from, to, 3, "github").out.starts_with("::error title=PGC002,file=rules/r.toml"));
    }
    // What cannot be asked is a note, and nothing waits for long: a locked table, a schema that is closed.
    let mut locker =
        common::wire::Client::connect(&postgres.address(), &[("user", "postgres"), ("database", "postgres")]).unwrap();
    locker.simple("BEGIN; LOCK orders IN ACCESS EXCLUSIVE MODE");
    let started = std::time::Instant::now();
    let waited = check("", "", 0, "human").out;
    assert!(
        waited.contains("note PGC503: the rows of public.orders the server could not be asked")
            && waited.contains("is locked"),
        "{waited}"
    );
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    locker.simple("ROLLBACK");
    postgres.sql("postgres", "REVOKE ALL ON SCHEMA public FROM PUBLIC");
    let closed = check("tien > 0 AND public.boom(tien::text)", "tien", 0, "human").out;
    assert!(
        closed.contains("PGC503") && closed.contains("permission denied for schema public (GRANT USAGE"),
        "{closed}"
    );
}

/// A policy has an entry for each purpose of a role; commands take them for entries of one role.
#[test]
fn entries_of_one_role_are_told_apart_by_their_purpose() {
    use pgscrim::{
        catalog::CatalogSnapshot,
        cli::{
            check::matrix,
            diff::{Sight, difference},
            test::{Got, run_tests},
        },
        engine::Inputs,
        policy::{
            Policy, Treatment,
            rule_tests::RuleTests,
            rules::{RuleFile, RuleSet},
        },
    };
    let catalog = CatalogSnapshot::new(starter(), 1);
    let text = fs::read_to_string(packs().join("starter/rules.toml")).unwrap();
    let files = [RuleFile { path: "rules.toml".into(), text: text.into() }];
    let old = RuleSet::parse(&files).and_then(|rules| rules.compile(&catalog)).unwrap();
    let with_purpose = |show: &str| -> Policy {
        let mut policy = old.clone();
        let mut entry = policy.roles[0].clone();
        entry.purpose = "marketing".to_owned();
        let customers = catalog.relation_named("public", "customers").unwrap();
        let position = customers.columns.iter().position(|column| column.name == show).unwrap();
        entry.governed.get_mut(&customers.oid).unwrap().columns[position].treatment = Treatment::Clear;
        policy.roles.insert(1, entry);
        policy
    };
    let new = with_purpose("email");
    assert_eq!(matrix(&new, &catalog).roles[..2], ["support (customer-care)", "support (marketing)"]);

    // The purpose is new: who has the role may ask for it.
    let found = difference(&old, &new, &files, &catalog).changes;
    let shown: Vec<_> = found.iter().map(|change| (change.sight, change.who.as_str(), change.what.as_str())).collect();
    let who = "support (marketing)";
    assert_eq!(shown, [(Sight::More, who, "public.customers.email"), (Sight::Same, who, "purpose")]);
    let other = with_purpose("phone");
    let found = difference(&new, &other, &files, &catalog).changes;
    let shown: Vec<_> = found.iter().map(|change| (change.sight, change.who.as_str(), change.what.as_str())).collect();
    let (phone, email) = ("public.customers.phone", "public.customers.email");
    assert_eq!(shown, [(Sight::More, who, phone), (Sight::Less, who, email)]);
    let found = difference(&new, &old, &files, &catalog).changes;
    assert_eq!((found.len(), found[0].sight, found[0].who.as_str()), (1, Sight::Less, who));

    let passes = |purpose: &str| {
        let text = format!("{TEST}{purpose}sql = \"SELECT email FROM customers\"\nexpect = {{ email = \"clear\" }}\n");
        let tests = RuleTests::parse(vec![RuleFile { path: "a.test.toml".into(), text: text.into() }]).unwrap();
        let inputs = Inputs { catalog: catalog.clone(), policy: std::sync::Arc::new(new.clone()) };
        let outcome = run_tests(&tests, &inputs).unwrap().remove(0);
        assert!(matches!(outcome.got, Got::Columns(_)));
        outcome.passed
    };
    assert!(passes("purpose = \"marketing\"\n"));
    assert!(!passes("purpose = \"customer-care\"\n") && !passes(""));
}
