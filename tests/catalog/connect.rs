//! Connections to the server.

use std::time::Duration;

use pgscrim::{
    config::UpstreamAddress,
    upstream::{CatalogError, ConnectError, connect, read_catalog},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::{
    common::{Folder, Postgres},
    unix_socket, upstream, with_tls,
};

const TRUST: &str = "host all all 127.0.0.1/32 trust\nlocal all all trust\n";

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server with `ssl = on`, whose certificate is for `name`, and the PEM file of its authority.
fn tls_server(folder: &Folder, name: &str, hba: &str) -> (Postgres, std::path::PathBuf) {
    let ca = authority();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    let ca_file = folder.write("ca.pem", &ca.pem());
    let settings = format!(
        "password_encryption = 'scram-sha-256'\nssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\n",
        folder.write("server.crt", &certificate.pem()).display(),
        private_key(folder, &key).display()
    );
    (Postgres::start_with(&settings, hba), ca_file)
}

/// PostgreSQL wants its key file readable by its own user (or root and its group) alone.
fn private_key(folder: &Folder, key: &KeyPair) -> std::path::PathBuf {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let file = folder.write("server.key", &key.serialize_pem());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    if std::fs::metadata(&file).unwrap().uid() == 0 {
        super::common::run(std::process::Command::new("chown").arg("postgres").arg(&file));
    }
    file
}

#[tokio::test]
async fn tcp_and_unix_sockets_lead_to_the_server() {
    let postgres = Postgres::start();
    let mut config = upstream(&postgres, "postgres", "postgres");
    let stream = connect(&config).await.unwrap();
    assert!(!stream.is_tls());
    assert_eq!(read_catalog(&config).await.unwrap().0.database, "postgres");
    config.address = unix_socket(&postgres);
    assert!(!connect(&config).await.unwrap().is_tls());
    assert_eq!(read_catalog(&config).await.unwrap().0.database, "postgres");
    config.address = UpstreamAddress::Tcp("localhost".to_owned(), postgres.port);
    connect(&config).await.unwrap();
}

#[tokio::test]
async fn tls_is_verified_in_full() {
    let folder = Folder::new();
    // Only TLS with a password gets in, so that a plain connection could not go unnoticed.
    let hba = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
    let (postgres, ca) = tls_server(&folder, "127.0.0.1", hba);
    postgres.sql("postgres", "CREATE ROLE watcher LOGIN PASSWORD 'sesame'");

    let config = with_tls(upstream(&postgres, "watcher", "postgres"), ca.clone());
    assert!(connect(&config).await.unwrap().is_tls());
    assert_eq!(read_catalog(&config).await.unwrap().0.database, "postgres");

    let stranger = folder.write("stranger.pem", &authority().pem());
    let error = connect(&with_tls(config.clone(), stranger)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
    assert!(error.to_string().contains("not signed by a trusted authority"), "{error}");

    let mut other_host = config.clone();
    other_host.tls.server_name = Some("db.example".to_owned());
    let error = connect(&other_host).await.unwrap_err();
    assert!(error.to_string().contains("for another name"), "{error}");

    let mut no_authority = config.clone();
    no_authority.tls.ca = Some(folder.write("empty.pem", "nothing here\n"));
    let error = connect(&no_authority).await.unwrap_err();
    assert!(error.to_string().contains("holds no certificate"), "{error}");
    no_authority.tls.ca = Some(folder.join("missing.pem"));
    let error = connect(&no_authority).await.unwrap_err();
    assert!(error.to_string().contains("missing.pem"), "{error}");

    // Without a CA file the system's authorities count, and they do not know ours.
    let mut system = config.clone();
    system.tls.ca = None;
    let error = connect(&system).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls { .. } | ConnectError::NoAuthorities), "{error}");
}

#[tokio::test]
async fn another_name_can_be_verified() {
    let folder = Folder::new();
    let (postgres, ca) = tls_server(&folder, "db.example", TRUST);
    let mut config = with_tls(upstream(&postgres, "postgres", "postgres"), ca);
    let error = connect(&config).await.unwrap_err();
    assert!(error.to_string().contains("for another name"), "{error}");
    config.tls.server_name = Some("db.example".to_owned());
    assert!(connect(&config).await.unwrap().is_tls());
}

#[tokio::test]
async fn tls_never_falls_back_to_plain_text() {
    let folder = Folder::new();
    let postgres = Postgres::start();
    let ca = folder.write("ca.pem", &authority().pem());
    let mut config = with_tls(upstream(&postgres, "postgres", "postgres"), ca);
    let error = connect(&config).await.unwrap_err();
    assert!(matches!(error, ConnectError::TlsNotOffered { .. }), "{error}");
    config.address = unix_socket(&postgres);
    let error = connect(&config).await.unwrap_err();
    assert!(matches!(error, ConnectError::TlsOnUnixSocket { .. }), "{error}");
}

#[tokio::test]
async fn plain_bytes_behind_the_tls_answer_break_the_handshake() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let folder = Folder::new();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 8];
        socket.read_exact(&mut request).await.unwrap();
        assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47]);
        // An answer, and what a man in the middle puts behind it: AuthenticationOk.
        socket.write_all(b"SR\0\0\0\x08\0\0\0\0").await.unwrap();
        let _ = socket.read_to_end(&mut Vec::new()).await;
    });
    let postgres = Postgres::start();
    let mut config = with_tls(upstream(&postgres, "postgres", "postgres"), folder.write("ca.pem", &authority().pem()));
    config.address = UpstreamAddress::Tcp("127.0.0.1".to_owned(), port);
    let error = connect(&config).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
    server.await.unwrap();
}

#[tokio::test]
async fn failures_name_the_place_and_the_cure() {
    let postgres = Postgres::start_with("", "host all all 127.0.0.1/32 scram-sha-256\nlocal all all trust\n");
    postgres.sql("postgres", "CREATE ROLE watcher LOGIN PASSWORD 'other'");
    let mut config = upstream(&postgres, "watcher", "postgres");
    let error = read_catalog(&config).await.unwrap_err();
    assert!(matches!(error, CatalogError::Login { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("watcher") && text.contains("pg_hba.conf") && !text.contains("sesame"), "{text}");

    config.address = UpstreamAddress::Tcp("127.0.0.1".to_owned(), super::common::free_port());
    let text = connect(&config).await.unwrap_err().to_string();
    assert!(text.contains("could not connect to the server at 127.0.0.1:"), "{text}");

    config.address = UpstreamAddress::Unix("/nonexistent/.s.PGSQL.1".into());
    let text = connect(&config).await.unwrap_err().to_string();
    assert!(text.contains("/nonexistent/.s.PGSQL.1"), "{text}");

    // A server that accepts and never answers.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let folder = Folder::new();
    let mut config = with_tls(config, folder.write("ca.pem", &authority().pem()));
    config.address = UpstreamAddress::Tcp("127.0.0.1".to_owned(), silent.local_addr().unwrap().port());
    config.connect_timeout = Duration::from_millis(300);
    let error = connect(&config).await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error}");
}
