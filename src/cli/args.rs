//! Arguments that several commands share. In: [`KEYS`] and matches. Out: clap arguments, and the configuration that
//! they, the environment and the file give.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, builder::PossibleValue, parser::ValueSource};

use super::{Failure, output::Format};
use crate::{
    catalog::{CatalogData, CatalogSnapshot},
    config::{self, Config, KEYS, Override, Secret, UpstreamConfig},
    policy::rules::RuleFile,
    reload::{FilesError, read_rule_files},
    upstream,
};

/// `--config FILE`
pub fn config_file() -> Arg {
    Arg::new("config")
        .long("config")
        .short('c')
        .env("PGSCRIM_CONFIG")
        .value_name("FILE")
        .help("Configuration file; flags and environment variables win over it")
}

/// `--catalog FILE`
pub fn catalog_file() -> Arg {
    Arg::new("catalog")
        .long("catalog")
        .env("PGSCRIM_CATALOG")
        .value_name("FILE")
        .help("Catalog file, as `pgscrim catalog dump` writes it, instead of a live server")
}

/// `--format` with these choices, the first of which is the default, and `--json`, which is short for one of them.
pub fn format(choices: &'static [Format]) -> [Arg; 2] {
    let names: Vec<&str> = choices.iter().map(|format| format.name()).collect();
    // An empty variable is how many tools unset one.
    let values = names.iter().map(|name| PossibleValue::new(*name)).chain([PossibleValue::new("").hide(true)]);
    [
        Arg::new("format")
            .long("format")
            .env("PGSCRIM_FORMAT")
            .value_name("FORMAT")
            .value_parser(values.collect::<Vec<_>>())
            .hide_possible_values(true)
            .help(format!("How to print: {}", names.join(", "))),
        Arg::new("json")
            .long("json")
            .env("PGSCRIM_JSON")
            .action(ArgAction::SetTrue)
            .help("Print JSON, as --format json does"),
    ]
}

/// What `--format` and `--json` ask for; a `--format` of the command line wins over a variable.
pub fn chosen_format(matches: &ArgMatches) -> Format {
    let given = matches.value_source("format") == Some(ValueSource::CommandLine);
    if matches.get_flag("json") && !given {
        return Format::Json;
    }
    let name = matches.get_one::<String>("format").map(String::as_str).unwrap_or_default();
    Format::ALL.into_iter().find(|format| format.name() == name).unwrap_or(Format::Human)
}

/// `--sample`
pub fn sample() -> Arg {
    Arg::new("sample")
        .long("sample")
        .env("PGSCRIM_SAMPLE")
        .action(ArgAction::SetTrue)
        .conflicts_with("catalog")
        .help("Also look at some rows of each table; no value is printed, logged or kept")
}

/// One argument for each key of the configuration that `wanted` says yes to.
pub fn keys(wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = Arg> {
    KEYS.iter().filter(move |key| wanted(key.path)).map(|key| {
        let heading = key.path.split_once('.').map_or("Configuration", |(table, _)| table);
        Arg::new(key.path)
            .long(key.flag)
            .env(key.env)
            // The URL may hold a password.
            .hide_env_values(key.path == "upstream.url")
            .value_name(key.value)
            .allow_hyphen_values(true)
            .help(key.help)
            .help_heading(heading)
    })
}

/// The configuration file, and what the command line and the environment put over it.
pub struct Given {
    file: Option<(PathBuf, String)>,
    overrides: Vec<Override>,
    password: Option<Secret>,
}

impl Given {
    /// What `matches` holds.
    ///
    /// # Errors
    /// When the configuration file cannot be read.
    pub fn new(matches: &ArgMatches) -> Result<Self, Failure> {
        let file = match matches.get_one::<String>("config") {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Failure::new(format!("could not read the configuration file {path}: {error}")))?;
                Some((PathBuf::from(path), text))
            }
            None => None,
        };
        let mut overrides = Vec::new();
        for key in KEYS {
            let Ok(Some(value)) = matches.try_get_one::<String>(key.path) else { continue };
            let from_environment = matches.value_source(key.path) == Some(ValueSource::EnvVariable);
            // An empty variable is how many tools unset one.
            if from_environment && value.is_empty() {
                continue;
            }
            let origin = if from_environment { key.env.to_owned() } else { format!("--{}", key.flag) };
            overrides.push(Override { key: key.path, value: value.clone(), origin });
        }
        let password = std::env::var("PGSCRIM_UPSTREAM_PASSWORD").ok().filter(|text| !text.is_empty()).map(Secret::new);
        Ok(Self { file, overrides, password })
    }

    fn file(&self) -> Option<(&Path, &str)> {
        self.file.as_ref().map(|(path, text)| (path.as_path(), text.as_str()))
    }

    /// The whole configuration.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn config(&self) -> Result<Config, Failure> {
        config::load(self.file(), &self.overrides, self.password.clone()).map_err(Failure::new)
    }

    /// The server alone.
    ///
    /// # Errors
    /// Every mistake in that part.
    pub fn upstream(&self) -> Result<UpstreamConfig, Failure> {
        config::upstream(self.file(), &self.overrides, self.password.clone()).map_err(Failure::new)
    }

    /// The path of the audit log alone.
    ///
    /// # Errors
    /// Every mistake in that part.
    pub fn audit_path(&self) -> Result<PathBuf, Failure> {
        config::audit_path(self.file(), &self.overrides).map_err(Failure::new)
    }

    /// The rule files.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn rule_files(&self) -> Result<Vec<RuleFile>, Failure> {
        read_rule_files(&self.rules_directory()?).map_err(|error: FilesError| Failure::new(error))
    }

    /// The directory of rule files.
    ///
    /// # Errors
    /// When nothing names one.
    pub fn rules_directory(&self) -> Result<PathBuf, Failure> {
        config::rules(self.file(), &self.overrides).map_err(Failure::new)
    }

    /// The catalog: of the file named by `--catalog`, or else of the server.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn catalog(&self, matches: &ArgMatches) -> Result<CatalogData, Failure> {
        if let Some(data) = catalog_of_file(matches)? {
            return Ok(data);
        }
        let upstream = self.upstream()?;
        block_on(upstream::read_catalog(&upstream))?.map(|(data, _moment)| data).map_err(Failure::new)
    }

    /// The same with what depends on columns; a file may lack it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn catalog_in_full(&self, matches: &ArgMatches) -> Result<CatalogData, Failure> {
        if let Some(data) = catalog_of_file(matches)? {
            return Ok(data);
        }
        let upstream = self.upstream()?;
        block_on(upstream::read_catalog_in_full(&upstream))?.map_err(Failure::new)
    }

    /// The catalog, indexed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn snapshot(&self, matches: &ArgMatches) -> Result<std::sync::Arc<CatalogSnapshot>, Failure> {
        Ok(CatalogSnapshot::new(self.catalog(matches)?, 1))
    }
}

/// The catalog of the file named by `--catalog`; none without one.
fn catalog_of_file(matches: &ArgMatches) -> Result<Option<CatalogData>, Failure> {
    let Ok(Some(path)) = matches.try_get_one::<String>("catalog") else { return Ok(None) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("could not read the catalog file {path}: {error}")))?;
    let data = CatalogData::from_json(&text);
    data.map(Some).map_err(|error| Failure::new(format!("{path} is not a catalog file: {error}")))
}

/// Waits for `future` on a runtime of its own.
///
/// # Errors
/// When there can be none.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map(|runtime| runtime.block_on(future))
        .map_err(|error| Failure::new(format!("could not start the runtime: {error}")))
}
