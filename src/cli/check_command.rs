//! `pgscrim check`: arguments, reading and printing around [`super::check`].

use clap::{ArgMatches, Command};

use super::{Failure, args, check, output::Format, print};

pub(super) fn command() -> Command {
    Command::new("check")
        .about("Check rules against a catalog and show what each role gets of each column")
        .after_help(
            "Examples:\n  \
             pgscrim check --config pgscrim.toml\n  \
             pgscrim check --rules rules/acros --catalog shop.catalog.json --json",
        )
        .args([args::config_file(), args::catalog_file()])
        .args(args::format(&[Format::Human, Format::Json]))
        .args(args::keys(|key| key == "rules" || key.starts_with("upstream.")))
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let given = args::Given::new(matches)?;
    let files = given.rule_files()?;
    // Before the server is asked: most mistakes need no catalog to be found.
    crate::policy::rules::RuleSet::parse(&files).map_err(Failure::RulesInvalid)?;
    let catalog = given.snapshot(matches)?;
    let report = check::check(&files, &catalog).map_err(Failure::RulesInvalid)?;
    let text = if args::chosen_format(matches) == Format::Json { report.to_json() } else { report.to_text() };
    print(&format!("{}\n", text.trim_end()))
}
