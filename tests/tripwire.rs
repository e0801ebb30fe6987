//! The last line of defence: the origin that the server names of each column is compared with the rules before the first row of a result
//! passes, in whatever way the result was asked for; and the settings that decide how text is read are watched. A scripted server
//! says what no real one would.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

#[path = "common/script.rs"]
mod script;

use script::{
    Message, Script, bind, bound, columns, complete, execute, frame, limits, parse, parsed, query, read_message, ready,
    row, sync, world,
};

fn describe(kind: u8, name: &str) -> Vec<u8> {
    frame(b'D', &[&[kind], name.as_bytes(), b"\0"].concat())
}

/// Types of no parameters.
fn parameters() -> Vec<u8> {
    frame(b't', &[0, 0])
}

async fn session(user: &str) -> (Script, u32) {
    let world = world(limits());
    let customers = world.customers;
    (world.session(user).await.0, customers)
}

/// The rest of the session: an error of this code, its end, and no row.
async fn ends(mut script: Script, code: &str, alarms: usize) {
    let mut told: Vec<Message> = Vec::new();
    while let Some(message) = read_message(&mut script.client).await {
        told.push(message);
    }
    assert!(told.iter().all(|message| message.0 != b'D'), "a row: {told:?}");
    assert!(told.iter().all(|message| !message.text().contains("0901")), "{told:?}");
    let last = told.last().unwrap_or_else(|| panic!("nothing was said"));
    assert!(last.0 == b'E' && last.text().contains("FATAL") && last.text().contains(code), "{told:?}");
    let metrics = String::from_utf8(script.shared.metrics.render()).unwrap();
    assert!(metrics.contains(&format!("pgscrim_tripwire_total {alarms}")), "{metrics}");
}

#[tokio::test]
async fn describe_of_a_statement() {
    let (mut script, customers) = session("support").await;
    script.say(&[parse("p", "SELECT 1"), describe(b'S', "p"), sync()].concat()).await;
    script.server_sees("PDS").await;
    script.reply(&[parsed(), parameters(), columns(&[(customers, 2)]), ready(b'I')]).await;
    ends(script, "PGS0303", 1).await;
}

#[tokio::test]
async fn describe_of_a_portal() {
    let (mut script, customers) = session("support").await;
    let pipeline = [parse("", "SELECT 1"), bind("", ""), describe(b'P', ""), execute(""), sync()].concat();
    script.say(&pipeline).await;
    script.server_sees("PBDES").await;
    let result = [columns(&[(0, 0), (customers, 2)]), row(&["1", "0901"]), complete("SELECT 1"), ready(b'I')];
    script.reply(&[[parsed(), bound()].concat(), result.concat()]).await;
    ends(script, "PGS0303", 1).await;
}

/// What is described without an alarm, and later otherwise.
#[tokio::test]
async fn describe_of_each_run() {
    let (mut script, customers) = session("support").await;
    script.say(&[parse("p", "SELECT 1"), describe(b'S', "p"), sync()].concat()).await;
    script.server_sees("PDS").await;
    script.reply(&[parsed(), parameters(), columns(&[(customers, 1)]), ready(b'I')]).await;
    script.client_sees("1tTZ").await;
    script.say(&[bind("", "p"), describe(b'P', ""), execute(""), sync()].concat()).await;
    script.server_sees("BDES").await;
    script.reply(&[bound(), columns(&[(customers, 2)]), row(&["0901"]), complete("SELECT 1"), ready(b'I')]).await;
    ends(script, "PGS0303", 1).await;
}

/// What the server names unasked counts as well.
#[tokio::test]
async fn execute_without_describe() {
    let (mut script, customers) = session("support").await;
    script.say(&[parse("", "SELECT 1"), bind("", ""), execute(""), sync()].concat()).await;
    script.server_sees("PBES").await;
    let result = [parsed(), bound(), columns(&[(customers, 2)]), row(&["0901"]), complete("SELECT 1"), ready(b'I')];
    script.reply(&result).await;
    ends(script, "PGS0303", 1).await;
}

/// FETCH tells of its columns as every query does.
#[tokio::test]
async fn fetch_and_execute_in_sql() {
    for (first, second) in [("DECLARE c CURSOR FOR SELECT 1", "FETCH c"), ("PREPARE c AS SELECT 1", "EXECUTE c")] {
        let (mut script, customers) = session("support").await;
        script.say(&query("BEGIN")).await;
        script.server_sees("Q").await;
        script.reply(&[complete("BEGIN"), ready(b'T')]).await;
        script.client_sees("CZ").await;
        script.say(&query(first)).await;
        script.server_sees("Q").await;
        script.reply(&[complete("DONE"), ready(b'T')]).await;
        script.client_sees("CZ").await;
        script.say(&query(second)).await;
        script.server_sees("Q").await;
        script.reply(&[columns(&[(customers, 2)]), row(&["0901"]), complete("FETCH 1"), ready(b'T')]).await;
        ends(script, "PGS0303", 1).await;
    }
}

/// Each result of a message.
#[tokio::test]
async fn the_second_result_of_a_message() {
    let (mut script, customers) = session("support").await;
    script.say(&query("SELECT 1; SELECT 2")).await;
    script.server_sees("Q").await;
    script.reply(&[columns(&[(customers, 1)]), row(&["1"]), complete("SELECT 1")]).await;
    script.client_sees("TDC").await;
    script.reply(&[columns(&[(customers, 2)]), row(&["0901"]), complete("SELECT 1"), ready(b'I')]).await;
    ends(script, "PGS0303", 1).await;
}

#[tokio::test]
async fn exempt_roles_see_everything() {
    let (mut script, customers) = session("owner").await;
    script.say(&[parse("", "SELECT 1"), bind("", ""), describe(b'P', ""), execute(""), sync()].concat()).await;
    script.server_sees("PBDES").await;
    let result = [parsed(), bound(), columns(&[(customers, 2)]), row(&["0901"]), complete("SELECT 1"), ready(b'I')];
    script.reply(&result).await;
    script.client_sees("12TDCZ").await;
}

/// Text would be read otherwise from now on, or sent otherwise: the session ends, whenever that is told.
#[tokio::test]
async fn settings_that_decide_how_text_is_read() {
    for (name, value, ends_it) in [
        ("standard_conforming_strings", "off", true),
        ("client_encoding", "SJIS", true),
        ("client_encoding", "SQL_ASCII", true),
        ("client_encoding", "UTF8", false),
        ("client_encoding", "utf-8", false),
        ("standard_conforming_strings", "on", false),
        ("DateStyle", "SQL, DMY", false),
    ] {
        for idle in [true, false] {
            let status = frame(b'S', format!("{name}\0{value}\0").as_bytes());
            let (mut script, _) = session("support").await;
            if !idle {
                script.say(&query("SELECT 1")).await;
                script.server_sees("Q").await;
            }
            script
                .reply(
                    &[status.clone(), columns(&[(0, 0)]), row(&["0901"]), complete("SELECT 1"), ready(b'I')]
                        [..if idle { 1 } else { 5 }],
                )
                .await;
            if ends_it {
                ends(script, "PGS0208", 0).await;
            } else {
                script.client_sees(if idle { "S" } else { "STDCZ" }).await;
            }
            // An exempt role may do as it likes.
            let (mut script, _) = session("owner").await;
            script.reply(&[status]).await;
            script.client_sees("S").await;
        }
    }
}

/// The name of an application passes only as the client gave it: code of the server may write anything there.
#[tokio::test]
async fn the_name_of_the_application() {
    let (mut script, _) = session("support").await;
    script.say(&query("SELECT 1")).await;
    script.server_sees("Q").await;
    let name = |name: &str| frame(b'S', format!("application_name\0{name}\0").as_bytes());
    script.reply(&[name("0901"), name(""), complete("SELECT 1"), ready(b'I')]).await;
    let told = script.client_sees("SCZ").await;
    assert_eq!(told[0].text(), "application_name||");
}
