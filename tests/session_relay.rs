//! Sessions as frame scripts: a client on a pipe, a scripted server on a Unix socket, the session between them. What
//! each side sends is given byte by byte; what the other side must then see is asserted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test"
)]

#[path = "common/script.rs"]
mod script;

use std::time::Duration;

use script::{
    Script, bind, bound, closed, columns, complete, error, execute, expect, frame, limits, parse, parsed, query,
    read_message, read_packet, ready, row, startup, sync, world,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn a_greeting_passes_without_what_is_not_known_to_be_safe() {
    let (_, told) = world(limits()).session("support").await;
    let kinds: String = told.iter().map(|message| char::from(message.0)).collect();
    assert_eq!(kinds, "RSSKZ");
    assert_eq!(told[3].1, [0, 0, 0, 1, 9, 9, 9, 9]);
    let (_, told) = world(limits()).session("owner").await;
    let kinds: String = told.iter().map(|message| char::from(message.0)).collect();
    assert_eq!(kinds, "RSSSKZ", "an exempt role sees all");
}

#[tokio::test]
async fn one_byte_at_a_time() {
    let world = world(limits());
    let (mut client, _shutdown) = world.dial();
    let mut bytes = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30].to_vec();
    bytes.extend([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
    for byte in bytes {
        client.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(client.read_u16().await.unwrap(), u16::from_be_bytes(*b"NN"));
    for byte in startup(0x0003_0002, &[("user", "owner"), ("database", "shop")]) {
        client.write_all(&[byte]).await.unwrap();
    }
    let (mut server, _) = world.listener.accept().await.unwrap();
    let packet = read_packet(&mut server).await;
    assert_eq!(packet[..4], [0, 3, 0, 2], "the version is the server's to judge");
    let long_key = [&[0, 0, 0, 1][..], &[7; 60]].concat();
    let greeting =
        [frame(b'v', &[0, 3, 0, 0, 0, 0, 0, 0]), frame(b'R', &[0; 4]), frame(b'K', &long_key), ready(b'I')].concat();
    for byte in greeting {
        server.write_all(&[byte]).await.unwrap();
    }
    let told = expect(&mut client, "vRKZ").await;
    assert_eq!(told[2].1, long_key);
    for byte in [query("SELECT 1"), query("SELECT 2")].concat() {
        client.write_all(&[byte]).await.unwrap();
    }
    let seen = expect(&mut server, "QQ").await;
    assert_eq!(seen[1].text(), "SELECT 2|");
    for byte in [columns(&[(0, 0)]), row(&["1"]), complete("SELECT 1"), ready(b'I')].concat() {
        server.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(expect(&mut client, "TDCZ").await[1].1, row(&["1"])[5..]);
}

#[tokio::test]
async fn a_password_exchange_passes_through() {
    let world = world(limits());
    let (mut client, _shutdown) = world.dial();
    client.write_all(&startup(0x0003_0000, &[("user", "owner"), ("database", "shop")])).await.unwrap();
    let (mut server, _) = world.listener.accept().await.unwrap();
    read_packet(&mut server).await;
    let mechanisms = frame(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0");
    for (ask, answer) in [
        (mechanisms.clone(), frame(b'p', b"SCRAM-SHA-256\0\0\0\0\x04n,,x")),
        (frame(b'R', b"\0\0\0\x0bcontinue"), frame(b'p', b"final")),
    ] {
        server.write_all(&ask).await.unwrap();
        assert_eq!(read_message(&mut client).await.unwrap().1, ask[5..]);
        client.write_all(&answer).await.unwrap();
        assert_eq!(read_message(&mut server).await.unwrap().1, answer[5..]);
    }
    let refused = frame(b'E', b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0Dx\0\0");
    server.write_all(&[frame(b'R', b"\0\0\0\x0cv=x"), refused.clone()].concat()).await.unwrap();
    let told = expect(&mut client, "RE").await;
    assert_eq!(told[1].1, refused[5..], "before authentication the server's own words pass");
    assert!(read_message(&mut client).await.is_none());
}

#[tokio::test]
async fn connections_are_refused_with_a_reason() {
    for (parameters, code) in [
        (&[("user", "owner"), ("database", "other")][..], "3D000"),
        (&[("user", "owner"), ("database", "shop"), ("replication", "true")], "PGS0402"),
        (&[("user", "support"), ("database", "shop"), ("options", "-c log_statement=all")], "PGS0403"),
        (&[("database", "shop")], "28000"),
    ] {
        let world = world(limits());
        let (mut client, _shutdown) = world.dial();
        client.write_all(&startup(0x0003_0000, parameters)).await.unwrap();
        let told = expect(&mut client, "E").await;
        assert!(told[0].text().contains(code), "{code}: {}", told[0].text());
        assert!(read_message(&mut client).await.is_none());
    }
    // A login that the server accepts and the rules do not know.
    let world = world(limits());
    let (mut client, _shutdown) = world.dial();
    client.write_all(&startup(0x0003_0000, &[("user", "stranger"), ("database", "shop")])).await.unwrap();
    let (mut server, _) = world.listener.accept().await.unwrap();
    read_packet(&mut server).await;
    server.write_all(&frame(b'R', &[0; 4])).await.unwrap();
    let told = expect(&mut client, "E").await;
    assert!(told[0].text().contains("PGS0401"), "{}", told[0].text());
}

#[tokio::test]
async fn errors_are_scrubbed_for_restricted_roles_only() {
    let failing = error("22P02", "invalid input syntax for type integer: \"0901\"", "0901");
    let (mut script, _) = world(limits()).session("support").await;
    script.say(&query("SELECT 1")).await;
    script.server_sees("Q").await;
    let notice = frame(b'N', b"SNOTICE\0C00000\0Mphone 0901\0\0");
    let notification = frame(b'A', b"\0\0\0\x01channel\0payload 0901\0");
    let parameter = frame(b'S', b"plugin.last\x000901\0");
    script.reply(&[notice, notification, parameter, failing.clone(), ready(b'I')]).await;
    let told = script.client_sees("NAEZ").await;
    assert!(told.iter().all(|message| !message.text().contains("0901")), "{told:?}");
    assert_eq!(told[1].text(), "\u{0}\u{0}\u{0}\u{1}channel\u{0}\u{0}".replace('\0', "|"));
    assert!(told[2].text().contains("C22P02|Minvalid text representation|"), "{}", told[2].text());
    let events = script.events();
    assert_eq!(events[0]["sqlstate"], "22P02");

    let (mut script, _) = world(limits()).session("owner").await;
    script.say(&query("SELECT 1")).await;
    script.server_sees("Q").await;
    script.reply(&[failing.clone(), ready(b'I')]).await;
    assert_eq!(script.client_sees("EZ").await[0].1, failing[5..]);
}

#[tokio::test]
async fn the_tripwire_stops_a_result_before_its_first_row() {
    let world = world(limits());
    let customers = world.customers;
    let (mut script, _) = world.session("support").await;
    script.say(&query("SELECT 1")).await;
    script.server_sees("Q").await;
    script.reply(&[columns(&[(customers, 1), (customers, 2)]), row(&["1", "0901"]), complete("SELECT 1")]).await;
    let told = script.client_sees("E").await;
    assert!(told[0].text().contains("PGS0303"), "{}", told[0].text());
    assert!(read_message(&mut script.client).await.is_none());
    let metrics = String::from_utf8(script.shared.metrics.render()).unwrap();
    assert!(metrics.contains("pgscrim_tripwire_total 1"), "{metrics}");
}

/// It came in by the name of one that is known: no defect, but nobody can tell what it holds.
#[tokio::test]
async fn a_relation_that_nobody_knows_is_not_shown() {
    let world = world(limits());
    let (mut script, _) = world.session("support").await;
    script.say(&query("SELECT 1")).await;
    script.server_sees("Q").await;
    script.reply(&[columns(&[(4_000_000, 1)]), row(&["0901"]), complete("SELECT 1")]).await;
    let told = script.client_sees("E").await;
    assert!(told[0].text().contains("the schema changed while a statement ran"), "{}", told[0].text());
    assert!(read_message(&mut script.client).await.is_none());
    let metrics = String::from_utf8(script.shared.metrics.render()).unwrap();
    assert!(metrics.contains("pgscrim_tripwire_total 0"), "{metrics}");
}

#[tokio::test]
async fn refusals_keep_their_place_in_a_pipeline() {
    let (mut script, _) = world(limits()).session("support").await;
    let one = [parse("", "SELECT 1"), bind("", ""), execute("")].concat();
    // The second Bind names a statement that nobody knows: it must not overtake the answers before it.
    script.say(&[one.clone(), bind("", "nobody"), execute(""), sync(), one, sync()].concat()).await;
    let seen = script.server_sees("PBEPES").await;
    assert!(seen[3].text().contains("refused by pgscrim"), "{}", seen[3].text());
    script.server_sees("PBES").await;
    let answers = [frame(b'1', b""), frame(b'2', b""), row(&["1"]), complete("SELECT 1")];
    script.reply(&answers).await;
    script.client_sees("12DC").await;
    script.reply(&[error("42601", "syntax error at or near \"refused\"", ""), ready(b'I')]).await;
    let told = script.client_sees("EZ").await;
    assert!(told[0].text().contains("C26000|"), "{}", told[0].text());
    script.reply(&answers).await;
    script.reply(&[ready(b'I')]).await;
    script.client_sees("12DCZ").await;
    let events = script.events();
    let refused = events.iter().filter(|event| event["decision"] == "refuse").count();
    assert_eq!((events.len(), refused), (3, 1), "{events:#?}");
}

#[tokio::test]
async fn long_statements_and_function_calls_are_refused_and_the_session_goes_on() {
    let (mut script, _) = world(limits()).session("support").await;
    let long = format!("SELECT '{}'", "x".repeat(2_000_000));
    let client = async {
        script.client.write_all(&[query(&long), frame(b'F', &[0; 10])].concat()).await.unwrap();
        script.client
    };
    let server = async {
        let seen = expect(&mut script.server, "QQ").await;
        assert!(seen.iter().all(|message| message.text() == "refused by pgscrim|"), "{seen:?}");
        script.server
    };
    let (mut client, mut server) = tokio::join!(client, server);
    let failed = [error("42601", "syntax error", ""), ready(b'I')].concat();
    server.write_all(&[failed.clone(), failed].concat()).await.unwrap();
    let told = expect(&mut client, "EZEZ").await;
    assert!(told[0].text().contains("PGS0002"), "{}", told[0].text());
    assert!(told[2].text().contains("PGS0404"), "{}", told[2].text());
}

#[tokio::test]
async fn copy_in_swallows_sync_and_a_late_end_is_harmless() {
    let (mut script, _) = world(limits()).session("owner").await;
    // The Sync behind Execute waits until it is known that COPY swallows it; the one behind CopyDone counts.
    let copy = [parse("", "COPY t FROM STDIN"), bind("", ""), execute(""), sync()].concat();
    script.say(&copy).await;
    script.server_sees("PBEH").await;
    script.reply(&[frame(b'1', b""), frame(b'2', b""), frame(b'G', b"\0\0\0")]).await;
    script.client_sees("12G").await;
    script.say(&[frame(b'd', b"1\n"), frame(b'c', b""), sync()].concat()).await;
    script.server_sees("dcH").await;
    script.reply(&[complete("COPY 1")]).await;
    script.client_sees("C").await;
    script.server_sees("S").await;
    script.reply(&[ready(b'I')]).await;
    script.client_sees("Z").await;
    // The server gives up in the middle; the client's end comes too late and means nothing.
    script.say(&query("COPY t FROM STDIN")).await;
    script.server_sees("Q").await;
    script.reply(&[frame(b'G', b"\0\0\0"), error("22P04", "bad", ""), ready(b'I')]).await;
    script.client_sees("GEZ").await;
    script.say(&[frame(b'd', b"x"), frame(b'c', b""), query("SELECT 1")].concat()).await;
    script.server_sees("dcQ").await;
    script.reply(&[complete("SELECT 5"), ready(b'I')]).await;
    script.client_sees("CZ").await;
    let events = script.events();
    let ends: Vec<_> = events.iter().map(|event| (event["rows"].as_u64(), event["sqlstate"].as_str())).collect();
    assert_eq!(ends, [(Some(1), Some("00000")), (Some(0), Some("22P04")), (Some(5), Some("00000"))], "{events:#?}");
}

#[tokio::test]
async fn hostile_frames_end_the_session() {
    for bytes in [
        b"Q\0\0\0\x02".to_vec(),
        b"Q\xff\xff\xff\xff".to_vec(),
        frame(b'Q', b"SELECT 1\0SELECT 2\0"),
        frame(b'Q', b"SELECT 1"),
        frame(b'P', b"x\0SELECT 1\0\0\x05"),
        frame(b'D', b"Xname\0"),
        frame(b'E', b"\0\0"),
        frame(b'?', b""),
        frame(b'p', b"password\0"),
    ] {
        let (mut script, _) = world(limits()).session("support").await;
        script.say(&bytes).await;
        let told = script.client_sees("E").await;
        assert!(told[0].text().contains("C08P01|"), "{bytes:?}: {}", told[0].text());
        assert!(read_message(&mut script.client).await.is_none());
        let mut rest = Vec::new();
        script.server.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "{bytes:?}: the server saw {rest:?}");
    }
}

#[tokio::test]
async fn a_broken_server_is_told_and_recorded() {
    let (mut script, _) = world(limits()).session("owner").await;
    script.say(&query("SELECT 1")).await;
    script.server_sees("Q").await;
    script.reply(&[columns(&[(0, 0)]), row(&["1"])]).await;
    let Script { server, .. } = &mut script;
    server.shutdown().await.unwrap();
    script.client_sees("TD").await;
    assert!(read_message(&mut script.client).await.is_none());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(script.events().len(), 1);
}

#[tokio::test]
async fn a_cancel_request_reaches_the_server_unchanged() {
    let world = world(limits());
    let (mut client, _shutdown) = world.dial();
    let long_key = [7_u8; 64];
    let packet = [&76_u32.to_be_bytes()[..], &80_877_102_u32.to_be_bytes(), &[0, 0, 0, 9], &long_key].concat();
    client.write_all(&packet).await.unwrap();
    let (mut server, _) = world.listener.accept().await.unwrap();
    assert_eq!(read_packet(&mut server).await, packet[4..]);
    // The client's connection is held until the server has closed its own.
    let early = tokio::time::timeout(Duration::from_millis(100), client.read_u8()).await;
    assert!(early.is_err(), "{early:?}");
    drop(server);
    assert!(client.read_u8().await.is_err());
}

#[tokio::test]
async fn shutdown_ends_idle_sessions_and_lets_others_finish() {
    let world = world(limits());
    let (mut client, shutdown) = world.dial();
    client.write_all(&startup(0x0003_0000, &[("user", "owner"), ("database", "shop")])).await.unwrap();
    let (mut server, _) = world.listener.accept().await.unwrap();
    read_packet(&mut server).await;
    server.write_all(&[frame(b'R', &[0; 4]), ready(b'I')].concat()).await.unwrap();
    expect(&mut client, "RZ").await;
    client.write_all(&query("SELECT 1")).await.unwrap();
    expect(&mut server, "Q").await;
    shutdown.send(true).unwrap();
    let early = tokio::time::timeout(Duration::from_millis(100), client.read_u8()).await;
    assert!(early.is_err(), "{early:?}");
    server.write_all(&[complete("SELECT 1"), ready(b'I')].concat()).await.unwrap();
    let told = expect(&mut client, "CZE").await;
    assert!(told[2].text().contains("C57P01|"), "{}", told[2].text());
}

/// What a server must not say, of an answer to a query of a restricted role: the session ends, at once.
#[tokio::test]
async fn a_server_that_breaks_the_protocol_ends_the_session() {
    let too_short = frame(b'T', &[0, 5, b'c', 0]);
    let negative = frame(b'T', &[0xff, 0xff]);
    let more_than_said = [columns(&[(0, 0)])[..].to_vec(), vec![0; 9]].concat();
    for (what, bytes) in [
        ("a length that is none", b"T\0\0\0\x03".to_vec()),
        ("a negative length", b"E\xff\xff\xff\xff".to_vec()),
        ("more columns than there are", too_short),
        ("a negative number of columns", negative),
        ("a message that is too long", [&b"T"[..], &0x7fff_fff0_u32.to_be_bytes()].concat()),
        ("a parse that nobody asked for", parsed()),
        ("a bind that nobody asked for", bound()),
        ("a close that nobody asked for", closed()),
        ("an authentication request", frame(b'R', &[0, 0, 0, 3])),
        ("another key", frame(b'K', &[0, 0, 0, 1, 9, 9, 9, 9])),
        ("a function's result", frame(b'V', &[0, 0, 0, 1, b'x'])),
        ("a stream in both directions", frame(b'W', &[0, 0, 0])),
        ("another version", frame(b'v', &[0; 8])),
        ("an unknown message", frame(b'?', b"0901")),
        ("an error without an end", frame(b'E', b"SERROR\0C22000\0M0901")),
        ("a notice without an end", frame(b'N', b"SNOTICE\0C00000\0M0901")),
        ("a notification of nothing", frame(b'A', b"\0\0")),
        ("a description with something behind it", more_than_said),
    ] {
        let (mut script, _) = world(limits()).session("support").await;
        script.say(&query("SELECT 1")).await;
        script.server_sees("Q").await;
        script.reply(&[bytes]).await;
        let mut rest = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(10), script.client.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "{what}: the session goes on");
        assert!(!rest.windows(4).any(|window| window == b"0901"), "{what}: {rest:?}");
        if what != "a description with something behind it" {
            assert!(rest.is_empty(), "{what}: {rest:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(script.events().len(), 1, "{what}: what was sent is recorded");
    }
}

/// The answer to pgscrim's own question, in every other form than the one that is expected.
#[tokio::test]
async fn a_question_that_is_answered_otherwise_ends_the_session() {
    let none = r#"{"pid":7,"schema":null,"relations":null}"#;
    let good = row(&["{pg_catalog}", "on", "UTF8", "", none]);
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("no row", vec![closed(), parsed(), bound(), complete("SELECT 0")]),
        ("two rows", vec![closed(), parsed(), bound(), good.clone(), good.clone()]),
        ("a description", vec![closed(), parsed(), bound(), columns(&[(0, 0)])]),
        ("no bind", vec![closed(), parsed(), good.clone()]),
        ("ready too early", vec![closed(), parsed(), ready(b'I')]),
        (
            "one close less",
            vec![closed(), parsed(), bound(), good.clone(), complete("SELECT 1"), closed(), ready(b'I')],
        ),
        (
            "one close more",
            vec![closed(), parsed(), bound(), good.clone(), complete("SELECT 1"), closed(), closed(), closed()],
        ),
        ("a row behind an error", vec![closed(), error("57014", "canceling", ""), good.clone()]),
        ("a row that is none", vec![closed(), parsed(), bound(), frame(b'D', &[0, 9, 0])]),
        ("text that is none", vec![closed(), parsed(), bound(), frame(b'D', &[0, 1, 0, 0, 0, 1, 0xff])]),
    ];
    for (what, answer) in cases {
        let (mut script, _) = world(limits()).session("support").await;
        script.say(&[query("SET search_path = other"), query("SELECT 1")].concat()).await;
        script.server_sees("Q").await;
        script.reply(&[complete("SET"), ready(b'I')]).await;
        script.client_sees("CZ").await;
        script.server_sees("CPBECCS").await;
        script.reply(&answer).await;
        assert!(read_message(&mut script.client).await.is_none(), "{what}");
        let mut rest = Vec::new();
        script.server.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "{what}: the statement is not sent: {rest:?}");
    }
    // An answer that says nothing of use: what waits for it is refused, or the session told to end.
    for (values, kinds, said) in [
        (row(&["{public}", "on", "UTF8", "", "no json"]), "E", "temporary tables"),
        (row(&["{public}", "off", "UTF8", "", none]), "E", "standard_conforming_strings"),
        (row(&["{public}", "on", "LATIN1", "", none]), "E", "client_encoding"),
        (row(&["no array", "on", "UTF8", "", none]), "E", "client_encoding"),
        (row(&["{public}", "on", "UTF8", "advertising", none]), "E", "purpose"),
        (row(&["{public}"]), "E", "client_encoding"),
    ] {
        let (mut script, _) = world(limits()).session("support").await;
        script.say(&[query("SET search_path = other"), query("SELECT 1")].concat()).await;
        script.server_sees("Q").await;
        script.reply(&[complete("SET"), ready(b'I')]).await;
        script.client_sees("CZ").await;
        script.server_sees("CPBECCS").await;
        script
            .reply(&[closed(), parsed(), bound(), values, complete("SELECT 1"), closed(), closed(), ready(b'I')])
            .await;
        if said == "temporary tables" {
            let seen = script.server_sees("Q").await;
            assert_eq!(seen[0].text(), "refused by pgscrim|");
            script.reply(&[error("42601", "syntax error", ""), ready(b'I')]).await;
        }
        let told = script.client_sees(kinds).await;
        assert!(told[0].text().contains(said), "{said}: {}", told[0].text());
    }
}

/// In a pipeline the server is asked between two messages; what is before it is answered, and what fails is the client's next message.
#[tokio::test]
async fn a_question_in_a_pipeline() {
    let pipeline = || {
        let one = |text: &str| [parse("", text), bind("", ""), execute("")].concat();
        [one("SET search_path = other"), one("SELECT 1"), sync()].concat()
    };
    let none = r#"{"pid":7,"schema":null,"relations":null}"#;
    let values = row(&["{pg_catalog}", "on", "UTF8", "", none]);
    let set = [parsed(), bound(), complete("SET")];
    let (mut script, _) = world(limits()).session("support").await;
    script.say(&pipeline()).await;
    let seen = script.server_sees("PBECPBECCH").await;
    assert_eq!(seen[3].text(), "Spgs_question|");
    script.reply(&set).await;
    script.client_sees("12C").await;
    script.reply(&[closed(), parsed(), bound(), values, complete("SELECT 1"), closed(), closed()]).await;
    script.server_sees("PBES").await;
    script.reply(&[parsed(), bound(), row(&["1"]), complete("SELECT 1"), ready(b'I')]).await;
    script.client_sees("12DCZ").await;
    assert_eq!(script.events().len(), 2);

    let (mut script, _) = world(limits()).session("support").await;
    script.say(&pipeline()).await;
    script.server_sees("PBECPBECCH").await;
    script.reply(&set).await;
    script.reply(&[closed(), error("57014", "canceling statement due to user request", "")]).await;
    let told = script.client_sees("12CE").await;
    assert!(told[3].text().contains("C57014|Mcanceling statement due to user request|"), "{}", told[3].text());
    // What waited is not sent.
    script.server_sees("S").await;
    script.reply(&[ready(b'I')]).await;
    script.client_sees("Z").await;
    script.say(&query("SELECT 1")).await;
    script.server_sees("CPBECCS").await;
    script.answer("{pg_catalog}").await;
    script.server_sees("Q").await;
}

/// Messages that come at any time, without end, to a client that does not read: what is kept of them is bounded, and the server is not read on.
#[tokio::test]
async fn floods_are_held_back() {
    for (what, message) in [
        ("notices", frame(b'N', b"SNOTICE\0VNOTICE\0C00000\0Mhello\0\0")),
        ("notifications", frame(b'A', b"\0\0\0\x01channel\0payload\0")),
        ("parameters", frame(b'S', b"DateStyle\0ISO, MDY\0")),
        ("rows", row(&["x"])),
    ] {
        let (mut script, _) = world(limits()).session("support").await;
        script.say(&query("SELECT 1")).await;
        script.server_sees("Q").await;
        script.reply(&[columns(&[(0, 0)])]).await;
        let chunk = message.repeat(1000);
        let mut written = 0;
        // 64 MB, if nobody held them back.
        while written < 64_000_000 {
            match tokio::time::timeout(Duration::from_millis(500), script.server.write(&chunk)).await {
                Ok(count) => written += count.unwrap(),
                Err(_) => break,
            }
        }
        assert!(written < 8_000_000, "{what}: {written} bytes were taken in");
    }
}

/// One that never says that it is ready: the client waits, as it would without pgscrim, and may go.
#[tokio::test]
async fn a_server_that_is_never_ready() {
    let (mut script, _) = world(limits()).session("support").await;
    script.say(&query("SELECT 1")).await;
    script.server_sees("Q").await;
    script.reply(&[columns(&[(0, 0)]), row(&["1"]), complete("SELECT 1")]).await;
    script.client_sees("TDC").await;
    let early = tokio::time::timeout(Duration::from_millis(200), script.client.read_u8()).await;
    assert!(early.is_err(), "{early:?}");
    script.client.shutdown().await.unwrap();
    // The server hears of it.
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(5), script.server.read_to_end(&mut rest)).await.unwrap().unwrap();
}
