//! The engine for tests, without a proxy: rules compiled against the catalog of a real server.

use std::{sync::Arc, time::Duration};

use pgscrim::{
    catalog::CatalogSnapshot,
    config::{Secret, UpstreamAddress, UpstreamConfig, UpstreamTlsConfig, UpstreamTlsMode},
    engine::{Inputs, Protocol, QueryContext},
    policy::{
        LoginIdentity,
        rules::{RuleFile, RuleSet},
    },
    upstream,
};

use super::Postgres;

/// These rules and the catalog of `database`.
pub fn inputs(postgres: &Postgres, database: &str, rules: &str) -> Inputs {
    let catalog = catalog(postgres, database);
    let rules = RuleSet::parse(&[RuleFile { path: "rules.toml".into(), text: rules.into() }])
        .unwrap_or_else(|complaints| panic!("{complaints}"));
    let policy = rules.compile(&catalog).unwrap_or_else(|complaints| panic!("{complaints}"));
    Inputs { catalog, policy: Arc::new(policy) }
}

/// The catalog of `database`, as the service login `pgscrim` reads it.
pub fn catalog(postgres: &Postgres, database: &str) -> Arc<CatalogSnapshot> {
    let config = UpstreamConfig {
        address: UpstreamAddress::Tcp("127.0.0.1".to_owned(), postgres.port),
        user: "pgscrim".to_owned(),
        password: Some(Secret::new("catalog".to_owned())),
        database: database.to_owned(),
        tls: UpstreamTlsConfig { mode: UpstreamTlsMode::Off, ca: None, server_name: None },
        connect_timeout: Duration::from_secs(10),
        catalog_refresh: Duration::from_secs(60),
        ddl_guard: pgscrim::config::DdlGuard::Relayed,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let data = runtime.block_on(upstream::read_catalog(&config)).unwrap().0;
    CatalogSnapshot::new(data, 1)
}

/// The context of the role that `user` has.
pub fn context(inputs: &Inputs, user: &str) -> QueryContext {
    let who = LoginIdentity {
        user: user.to_owned(),
        database: inputs.catalog.data().database.clone(),
        application_name: String::new(),
    };
    let role = inputs.policy.role_for(&who, &inputs.catalog).unwrap();
    QueryContext {
        role,
        search_path: vec!["pg_catalog".to_owned(), "public".to_owned()].into(),
        protocol: Protocol::Simple,
    }
}
