//! `pgscrim report erasure`: a statement that counts what is still stored of subjects who have asked to be erased. In:
//! rules and a catalog. Out: SQL on standard output, for a role that may read the tables; nothing is run, for pgscrim has
//! no login that may.

use clap::{ArgMatches, Command};

use serde_json::json;

use super::{
    Failure, args,
    output::{self, Format},
    print,
};
use crate::policy::rules::RuleSet;

pub(super) fn command() -> Command {
    let erasure = Command::new("erasure")
        .about("Print SQL that counts what is still stored of subjects who have asked to be erased")
        .after_help(
            "The rules say where requests are recorded ([erasure]) and how rows lead to subjects ([subject]). The statement counts \
             values of personal columns and shows none. With requested_at, answer_within and carry_out_within in [erasure], a first \
             statement counts requests past each deadline, and overdue says how many values should be gone by now.\n\n\
             Example:\n  \
             pgscrim report erasure --config pgscrim.toml | psql -X -d shop -U shop_owner",
        )
        .args([args::config_file(), args::catalog_file()])
        .args(args::format(&[Format::Human, Format::Json]))
        .args(args::keys(|key| key == "rules" || key.starts_with("upstream.")));
    Command::new("report").about("Reports on what is stored").subcommand_required(true).subcommand(erasure)
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let Some(("erasure", matches)) = matches.subcommand() else { return Err(Failure::new("no such command")) };
    let given = args::Given::new(matches)?;
    let rules = RuleSet::parse(&given.rule_files()?).map_err(Failure::RulesInvalid)?;
    let catalog = given.snapshot(matches)?;
    match rules.stored_of_erased(&catalog).map_err(Failure::RulesInvalid)? {
        Some(sql) => print(&match args::chosen_format(matches) {
            Format::Json => output::pretty(&json!({
                "policy": rules.policy(), "hash": rules.hash(), "database": catalog.data().database, "sql": sql,
            })),
            Format::Human | Format::Github | Format::Sarif => sql,
        }),
        None => Err(Failure::new(
            "the rules do not say where requests for erasure are recorded: add [erasure] and [subject]",
        )),
    }
}
