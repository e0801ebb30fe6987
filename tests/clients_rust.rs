//! tokio-postgres end to end, as a restricted and as an exempt role: binary results, named statements, pipelining,
//! portals, COPY, typed errors, cancel.

#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod common;

use std::{future::poll_fn, pin::pin, time::Duration};

use common::{Proxy, shop};
use futures_util::{SinkExt, StreamExt, future::join_all};
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage, error::SqlState};

async fn connect(proxy: &Proxy, user: &str) -> Client {
    let config = format!("host=127.0.0.1 port={} user={user} dbname=shop", proxy.port);
    let (client, mut connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notice(_) = message {}
        }
    });
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokio_postgres_restricted_and_exempt() {
    let (_server, proxy) = shop::start();
    for user in ["support", "owner"] {
        let masked = user == "support";
        let phone = |n: i32| if masked { format!("*****{n:03}") } else { format!("0901234{n:03}") };
        let mut client = connect(&proxy, user).await;

        // Named statement, binary results, types.
        let statement =
            client.prepare("SELECT id, full_name, phone, email, score FROM customers WHERE id = $1").await.unwrap();
        let types: Vec<&str> = statement.columns().iter().map(|column| column.type_().name()).collect();
        assert_eq!(types, ["int4", "text", "varchar", "text", "int4"]);
        assert_eq!(statement.params()[0].name(), "int4");
        for n in 1..=20 {
            let row = client.query_one(&statement, &[&n]).await.unwrap();
            assert_eq!(row.get::<_, String>("phone"), phone(n));
            assert_eq!(row.get::<_, Option<String>>("email").is_none(), masked);
            assert_eq!(row.get::<_, i32>("score"), n * 7);
        }
        // Pipelined: all are sent before the first answer is read.
        let numbers: Vec<i32> = (1..=30).collect();
        let running = numbers.iter().map(|n| async { client.query_one(&statement, &[n]).await });
        for (n, row) in numbers.iter().zip(join_all(running).await) {
            assert_eq!(row.unwrap().get::<_, String>("phone"), phone(*n));
        }
        // Portals with partial fetch.
        let transaction = client.transaction().await.unwrap();
        let portal = transaction.bind("SELECT phone FROM customers ORDER BY id", &[]).await.unwrap();
        let first = transaction.query_portal(&portal, 3).await.unwrap();
        assert_eq!(first.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>(), [phone(1), phone(2), phone(3)]);
        let rest = transaction.query_portal(&portal, 0).await.unwrap();
        assert_eq!((rest.len(), rest[0].get::<_, String>(0)), (47, phone(4)));
        transaction.commit().await.unwrap();
        // Simple protocol with several statements.
        let messages = client.simple_query("SELECT 1 AS one; SELECT phone FROM customers WHERE id = 2; UPDATE orders SET amount = amount WHERE id < 4").await.unwrap();
        let rows: Vec<String> = messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap().to_owned()),
                _ => None,
            })
            .collect();
        assert_eq!(rows, ["1".to_owned(), phone(2)]);
        assert!(messages.iter().any(|message| matches!(message, SimpleQueryMessage::CommandComplete(3))));
        // Arrays, writes with RETURNING, counts.
        let rows = client
            .query("SELECT id FROM customers WHERE id = ANY($1) ORDER BY id", &[&vec![3_i32, 1, 2]])
            .await
            .unwrap();
        assert_eq!(rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [1, 2, 3]);
        let row = client
            .query_one(
                "INSERT INTO customers (id, full_name, phone) VALUES ($1, $2, $3) RETURNING phone",
                &[&700_i32, &"Le Van C", &"0911222333"],
            )
            .await
            .unwrap();
        assert_eq!(row.get::<_, String>(0), if masked { "*****333" } else { "0911222333" });
        assert_eq!(client.execute("DELETE FROM customers WHERE id = $1", &[&700_i32]).await.unwrap(), 1);
        // Typed errors; the connection goes on.
        let error = client.query("SELECT nothing FROM customers", &[]).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::UNDEFINED_COLUMN));
        let error = client.execute("INSERT INTO customers (id, full_name) VALUES (1, 'x')", &[]).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!((error.code(), error.constraint()), (&SqlState::UNIQUE_VIOLATION, Some("customers_pkey")));
        assert_eq!(error.detail().unwrap().contains("(***)"), masked);
        let refused = client.query("SELECT note FROM customers", &[]).await;
        assert_eq!(refused.is_err(), masked);
        if let Err(error) = refused {
            assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
            assert!(error.as_db_error().unwrap().hint().unwrap().starts_with("PGS0201"));
        }
        // Cancel.
        let token = client.cancel_token();
        let canceller = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(400)).await;
            token.cancel_query(NoTls).await.unwrap();
        });
        let error = client.query_one("SELECT count(*) FROM generate_series(1, 100000000000)", &[]).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
        canceller.await.unwrap();
        assert_eq!(client.query_one("SELECT 1::int4", &[]).await.unwrap().get::<_, i32>(0), 1);
        // COPY out.
        let stream = client.copy_out("COPY (SELECT id, phone FROM customers ORDER BY id) TO STDOUT").await.unwrap();
        let chunks: Vec<Result<bytes::Bytes, _>> = pin!(stream).collect().await;
        let bytes: Vec<u8> = chunks.into_iter().flat_map(Result::unwrap).collect();
        assert!(common::text(&bytes).starts_with(&format!("1\t{}\n2\t{}\n", phone(1), phone(2))));
        // COPY in.
        let sink = client.copy_in("COPY orders FROM STDIN").await.unwrap();
        let mut sink = pin!(sink);
        sink.send(bytes::Bytes::from_static(b"9001\t1\t2.5\t2025-06-01\n")).await.unwrap();
        sink.send(bytes::Bytes::from_static(b"9002\t2\t3.5\t2025-06-02\n")).await.unwrap();
        assert_eq!(sink.finish().await.unwrap(), 2);
        assert_eq!(client.execute("DELETE FROM orders WHERE id > 9000", &[]).await.unwrap(), 2);
    }
}
