//! `pgscrim catalog dump`: the catalog of the live server as a file, for `check` and `explain` without a server. Names
//! and definitions alone; no row of any table is read.

use clap::{ArgMatches, Command};

use super::{Failure, args, print};

pub(super) fn command() -> Command {
    let dump = Command::new("dump")
        .about("Print the catalog of the server as JSON")
        .after_help("Example:\n  pgscrim catalog dump --config pgscrim.toml > shop.catalog.json")
        .arg(args::config_file())
        .args(args::keys(|key| key.starts_with("upstream.")));
    Command::new("catalog").about("Catalog files").subcommand_required(true).subcommand(dump)
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let Some(("dump", matches)) = matches.subcommand() else { return Err(Failure::new("no such command")) };
    let data = args::Given::new(matches)?.catalog_in_full(matches)?;
    let text = serde_json::to_string_pretty(&data).map_err(Failure::new)?;
    print(&format!("{text}\n"))
}
