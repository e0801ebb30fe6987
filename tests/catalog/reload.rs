//! Publication of rules and catalog, with a real server and real files.

use std::{sync::Arc, time::Duration};

use pgscrim::{
    config::UpstreamAddress,
    engine::Inputs,
    error::RefusalCode,
    metrics::Metrics,
    reload::{InputsHandle, LoadError, Sources, Status, start},
};

use super::{
    common::{Folder, Postgres, free_port},
    upstream,
};

const RULES: &str = r#"
policy = "first"

[category.phone]
title = "Phone"
sensitivity = "basic"
columns = ["public.customers.phone"]

[category.none]
columns = ["public.customers.id", "public.customers.note"]

[[role]]
name = "support"
match = { user = ["support"] }
see = { phone = "withhold" }
otherwise = "withhold"
"#;

fn server() -> Postgres {
    let postgres = Postgres::start();
    postgres.sql(
        "postgres",
        "CREATE TABLE customers (id int PRIMARY KEY, phone text, note text); CREATE TABLE other (id int)",
    );
    postgres
}

fn sources(postgres: &Postgres, folder: &Folder) -> Sources {
    Sources { rules: folder.join("rules"), upstream: upstream(postgres, "postgres", "postgres") }
}

async fn until(handle: &InputsHandle, what: &str, condition: impl Fn(&InputsHandle) -> bool) {
    for _ in 0..200 {
        if condition(handle) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain for {what}: {:?}", handle.status());
}

fn policy(handle: &InputsHandle) -> String {
    handle.current().map(|inputs| inputs.policy.id.clone()).unwrap_or_default()
}

fn has(inputs: &Inputs, name: &str) -> bool {
    inputs.catalog.relation_named("public", name).is_some()
}

#[tokio::test]
async fn a_refresh_sees_new_relations_and_leaves_an_equal_catalog_alone() {
    let (postgres, folder) = (server(), Folder::new());
    folder.write("rules/a.toml", RULES);
    let metrics = Metrics::new();
    let handle = start(sources(&postgres, &folder), Arc::clone(&metrics));
    handle.first_load().await.unwrap();
    assert_eq!(*handle.status(), Status::Ready);
    let first = handle.current().unwrap();
    assert_eq!((first.policy.id.as_str(), first.policy.catalog_version), ("first", first.catalog.version()));

    let same = handle.refresh().await.unwrap();
    assert!(Arc::ptr_eq(&same, &first), "an equal catalog was published again");

    postgres.sql("postgres", "CREATE TABLE fresh (id int)");
    let (one, two) = tokio::join!(handle.refresh(), handle.refresh());
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(has(&one, "fresh") && Arc::ptr_eq(&one, &two));
    assert!(one.catalog.version() > first.catalog.version());

    postgres.sql("postgres", "CREATE TABLE later (id int)");
    handle.request_refresh();
    until(&handle, "the table `later`", |handle| handle.current().is_some_and(|inputs| has(&inputs, "later"))).await;
    let text = String::from_utf8(metrics.render()).unwrap();
    assert!(text.contains("pgscrim_rules_info") && text.contains("policy=\"first\""), "{text}");
}

#[tokio::test]
async fn files_that_change_come_into_force_and_bad_ones_do_not() {
    let (postgres, folder) = (server(), Folder::new());
    folder.write("rules/a.toml", RULES);
    let metrics = Metrics::new();
    let handle = start(sources(&postgres, &folder), Arc::clone(&metrics));
    handle.first_load().await.unwrap();
    folder.write("rules/notes.txt", "no rules");
    folder.write("rules/.a.toml.swp", "an editor's");

    folder.write("rules/a.toml", &RULES.replace("\"first\"", "\"second\""));
    until(&handle, "the second rules", |handle| policy(handle) == "second").await;
    assert_eq!(*handle.status(), Status::Ready);

    folder
        .write("rules/a.toml", &RULES.replace("\"first\"", "\"third\"").replace("customers.phone", "customers.mobile"));
    until(&handle, "a complaint", |handle| matches!(*handle.status(), Status::Degraded(_))).await;
    assert_eq!(policy(&handle), "second");
    let Status::Degraded(complaint) = (*handle.status()).clone() else { panic!() };
    assert!(complaint.contains("mobile") && complaint.contains("a.toml"), "{complaint}");

    // Bad rules stay reported while the catalog moves on under the good ones.
    postgres.sql("postgres", "CREATE TABLE fresh (id int)");
    assert!(has(&handle.refresh().await.unwrap(), "fresh"));
    assert_eq!(policy(&handle), "second");
    assert!(matches!(*handle.status(), Status::Degraded(_)));

    folder.write("rules/a.toml", "policy = ");
    until(&handle, "another complaint", |handle| {
        **match &*handle.status() {
            Status::Degraded(text) => text,
            Status::Ready | Status::NotReady(_) => return false,
        } != *complaint
    })
    .await;
    assert_eq!(policy(&handle), "second");

    // A truncated file is no rule set, and the same content again is one.
    folder.write("rules/a.toml", "");
    until(
        &handle,
        "a complaint about the empty file",
        |handle| matches!(&*handle.status(), Status::Degraded(text) if text.contains("is empty")),
    )
    .await;
    assert_eq!(policy(&handle), "second");
    folder.write("rules/a.toml", &RULES.replace("\"first\"", "\"second\""));
    until(&handle, "the second rules again", |handle| *handle.status() == Status::Ready).await;

    folder.write("rules/a.toml", &RULES.replace("\"first\"", "\"fourth\""));
    until(&handle, "the fourth rules", |handle| policy(handle) == "fourth").await;
    assert_eq!(*handle.status(), Status::Ready);
    let text = String::from_utf8(metrics.render()).unwrap();
    assert!(!text.contains("pgscrim_reload_failures_total{what=\"rules\"} 0"), "{text}");
}

#[tokio::test]
async fn a_renamed_protected_column_takes_its_table_away_until_the_rules_follow() {
    let (postgres, folder) = (server(), Folder::new());
    folder.write("rules/a.toml", RULES);
    let handle = start(sources(&postgres, &folder), Metrics::new());
    handle.first_load().await.unwrap();

    postgres.sql("postgres", "ALTER TABLE customers DROP note; ALTER TABLE customers RENAME phone TO note");
    let inputs = handle.refresh().await.unwrap();
    assert!(!has(&inputs, "customers") && has(&inputs, "other"));
    assert!(matches!(*handle.status(), Status::Degraded(_)));

    folder.write(
        "rules/a.toml",
        &RULES.replace("customers.phone", "customers.note").replace(", \"public.customers.note\"]", "]"),
    );
    until(&handle, "the table's return", |handle| handle.current().is_some_and(|inputs| has(&inputs, "customers")))
        .await;
    assert_eq!(*handle.status(), Status::Ready);
}

#[tokio::test]
async fn a_server_that_comes_late_is_waited_for_and_one_that_goes_keeps_the_last_good_inputs() {
    let (postgres, folder) = (server(), Folder::new());
    folder.write("rules/a.toml", RULES);
    let mut nowhere = sources(&postgres, &folder);
    nowhere.upstream.address = UpstreamAddress::Tcp("127.0.0.1".to_owned(), free_port());
    let handle = start(nowhere, Metrics::new());
    let error = handle.first_load().await.unwrap_err();
    assert!(matches!(*error, LoadError::Catalog(_)), "{error}");
    assert!(matches!(&*handle.status(), Status::NotReady(Some(_))));
    assert_eq!(handle.refresh().await.unwrap_err().code, RefusalCode::NotReady);

    // The same port, opened later: a plain forwarder to the server stands in for one that starts.
    let port = free_port();
    let mut late = sources(&postgres, &folder);
    late.upstream.address = UpstreamAddress::Tcp("127.0.0.1".to_owned(), port);
    let handle = start(late, Metrics::new());
    assert!(handle.first_load().await.is_err());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let server_port = postgres.port;
    let forwarder = tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = tokio::net::TcpStream::connect(("127.0.0.1", server_port)).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        }
    });
    until(&handle, "the late server", |handle| *handle.status() == Status::Ready).await;

    forwarder.abort();
    let _ = forwarder.await;
    let inputs = handle.refresh().await.unwrap();
    assert!(has(&inputs, "customers"), "the last good inputs stay");
    assert!(matches!(*handle.status(), Status::Degraded(_)));
}

#[tokio::test]
async fn wrong_rules_at_the_start_are_an_answer() {
    let (postgres, folder) = (server(), Folder::new());
    folder.write("rules/a.toml", "policy = 1");
    let handle = start(sources(&postgres, &folder), Metrics::new());
    let error = handle.first_load().await.unwrap_err();
    assert!(matches!(*error, LoadError::Rules(_)), "{error}");
    assert!(handle.current().is_none());
    folder.write("rules/a.toml", RULES);
    until(&handle, "good rules", |handle| policy(handle) == "first").await;

    let mut missing = sources(&postgres, &folder);
    missing.rules = folder.join("nowhere");
    let error = start(missing, Metrics::new()).first_load().await.unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}

/// Rules with a condition that the server does not take never come into force; and those that are in force stay when a change of the
/// schema makes one wrong, with the complaint in the status.
#[tokio::test]
async fn conditions_that_the_server_does_not_take_are_told_before_a_session_meets_them() {
    let (postgres, folder) = (server(), Folder::new());
    let rows = |condition: &str| RULES.to_owned() + &format!("rows = {{ \"public.customers\" = \"{condition}\" }}\n");
    folder.write("rules/a.toml", &rows("note"));
    let handle = start(sources(&postgres, &folder), Metrics::new());
    let error = handle.first_load().await.unwrap_err().to_string();
    assert!(error.contains("argument of WHERE must be type boolean, not type text (42804)"), "{error}");
    assert!(error.contains("a.toml:") && handle.current().is_none(), "{error}");
    assert!(matches!(*handle.status(), Status::NotReady(Some(_))));

    // The schema follows: the same files are right now.
    postgres.sql("postgres", "ALTER TABLE customers ALTER note TYPE bool USING true");
    until(&handle, "the rules", |handle| *handle.status() == Status::Ready).await;
    folder.write("rules/a.toml", &rows("id = 'x'").replace("\"first\"", "\"second\""));
    let complains =
        |handle: &InputsHandle, of: &str| matches!(&*handle.status(), Status::Degraded(text) if text.contains(of));
    until(&handle, "a complaint", |handle| complains(handle, "22P02")).await;
    assert_eq!(policy(&handle), "first");
    folder.write("rules/a.toml", &rows("note"));
    until(&handle, "the first rules again", |handle| *handle.status() == Status::Ready).await;

    postgres.sql("postgres", "ALTER TABLE customers ALTER note TYPE text");
    let after = handle.refresh().await.unwrap();
    assert_eq!(after.catalog.relation_named("public", "customers").unwrap().column("note").unwrap().type_name, "text");
    until(&handle, "a complaint about the rules in force", |handle| complains(handle, "42804")).await;
    assert_eq!((policy(&handle).as_str(), after.policy.reduced), ("first", false));
    postgres.sql("postgres", "ALTER TABLE customers ALTER note TYPE bool USING true");
    handle.request_refresh();
    until(&handle, "rules that fit", |handle| *handle.status() == Status::Ready).await;

    // A lock does not hold up what comes into force.
    let mut locker =
        crate::common::wire::Client::connect(&postgres.address(), &[("user", "postgres"), ("database", "postgres")])
            .unwrap();
    locker.simple("BEGIN; LOCK customers IN ACCESS EXCLUSIVE MODE");
    folder.write("rules/a.toml", &rows("note").replace("\"first\"", "\"third\""));
    until(&handle, "the third rules", |handle| policy(handle) == "third").await;
    // What could not be asked meanwhile is asked soon, without any change of rules or schema.
    folder.write("rules/a.toml", &rows("id = 'x'").replace("\"first\"", "\"fourth\""));
    until(&handle, "the fourth rules", |handle| policy(handle) == "fourth").await;
    assert_eq!(*handle.status(), Status::Ready);
    locker.simple("COMMIT");
    until(&handle, "a complaint about what was locked", |handle| complains(handle, "22P02")).await;
    assert_eq!(policy(&handle), "fourth");
}
