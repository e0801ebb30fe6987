//! `pgscrim install`: prints the SQL that keyed masks need in the database, for a DBA to read and run. In: the key, from
//! a file or the environment. Out: a script for psql on standard output; nothing is connected to.
//!
//! The script holds the key, in another form: whoever has it can compute every pseudonym. It belongs into a pipe.

mod key;
mod script;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use serde_json::json;

use super::{
    Failure, args,
    output::{self, Format},
    print,
};
pub use key::{Key, KeyError};
pub use script::{install, uninstall};

pub(super) fn command() -> Command {
    Command::new("install")
        .about("Print the SQL that keyed masks need in the database: a table with the key, and a function")
        .after_help(
            "The SQL holds the key; pipe it into psql as the owner of the schema to be, or into a file of your own.\n\n\
             Examples:\n  \
             (umask 077; openssl rand -hex 32 > mask.key)\n  \
             pgscrim install --key-file mask.key --grant-to support_app,packing_app | psql -X -d shop\n  \
             pgscrim install --key-file mask2.key --key-version 2 | psql -X -d shop\n  \
             pgscrim install --uninstall | psql -X -d shop\n\n\
             PGSCRIM_MASK_KEY may hold the key itself instead of a file.",
        )
        .arg(
            Arg::new("key-file")
                .long("key-file")
                .env("PGSCRIM_MASK_KEY_FILE")
                .value_name("FILE")
                .help("File with the key, at least 32 bytes, that its owner alone may read"),
        )
        .arg(
            Arg::new("key-version")
                .long("key-version")
                .env("PGSCRIM_MASK_KEY_VERSION")
                .value_name("NUMBER")
                .value_parser(value_parser!(i32).range(1..))
                .help("Version under which rules name the key [default: 1; with --uninstall, all of them and the function]"),
        )
        .arg(
            Arg::new("grant-to")
                .long("grant-to")
                .env("PGSCRIM_GRANT_TO")
                .value_name("ROLE[,ROLE]")
                .value_delimiter(',')
                .action(ArgAction::Append)
                .help("Roles that may call the function: the logins of restricted applications, or their groups"),
        )
        .args(args::format(&[Format::Human, Format::Json]))
        .arg(
            Arg::new("uninstall")
                .long("uninstall")
                .env("PGSCRIM_UNINSTALL")
                .action(ArgAction::SetTrue)
                .help("Print the SQL that takes it away again"),
        )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let version = matches.get_one::<i32>("key-version").copied();
    if matches.get_flag("uninstall") {
        return told(matches, "uninstall", version, &[], uninstall(version));
    }
    let roles = matches.get_many::<String>("grant-to").into_iter().flatten().map(|role| role.trim());
    let roles: Vec<&str> = roles.filter(|role| !role.is_empty()).collect();
    // Quotes do not make it a role's name.
    if roles.iter().any(|role| role.eq_ignore_ascii_case("public")) {
        return Err(Failure::new("--grant-to names roles; public would let everybody try values"));
    }
    let key = match matches.get_one::<String>("key-file").filter(|path| !path.is_empty()) {
        Some(path) => Key::from_file(path.as_ref()),
        None => match std::env::var_os("PGSCRIM_MASK_KEY").filter(|value| !value.is_empty()) {
            Some(value) => Key::new(std::os::unix::ffi::OsStrExt::as_bytes(value.as_os_str())),
            None => return Err(Failure::new("a key is needed: --key-file FILE, or PGSCRIM_MASK_KEY")),
        },
    };
    let number = version.unwrap_or(1);
    told(matches, "install", Some(number), &roles, install(&key.map_err(Failure::new)?, number, &roles))
}

/// Prints the script, alone or in a JSON object.
fn told(matches: &ArgMatches, does: &str, version: Option<i32>, roles: &[&str], sql: String) -> Result<(), Failure> {
    print(&match args::chosen_format(matches) {
        Format::Json => output::pretty(&json!({ "does": does, "key_version": version, "grant_to": roles, "sql": sql })),
        Format::Human | Format::Github | Format::Sarif => sql,
    })
}
