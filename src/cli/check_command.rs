//! `pgscrim check`: arguments, reading and printing around [`super::check`].

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use super::{
    Failure, args, check,
    discover::take_samples,
    findings::{self, CODES, Finding, INVALID},
    output::{self, Format, Level, Remark, Spot},
    print,
};
use crate::{
    catalog::CatalogSnapshot,
    diagnostic::{Diagnostics, Place},
    policy::rules::{RuleFile, RuleSet},
    upstream::catalog::{
        privileges::{unreadable, writable},
        recorded::counted,
    },
};

pub(super) fn command() -> Command {
    Command::new("check")
        .about("Check rules against a catalog, show what each role gets of each column, and what leaks around the rules")
        .after_help(
            "Prints the matrix of columns and roles, and findings with stable codes (README.md lists them): logins that do not \
             exist, columns in no category, columns that look like personal data by name, comment or (--sample) content, \
             masked keys, and views, functions, generated columns, indexes, partitions and foreign keys that depend on what a \
             role does not see in clear. No content is printed.\n\n\
             Examples:\n  \
             pgscrim check --config pgscrim.toml\n  \
             pgscrim check --config pgscrim.toml --sample --strict\n  \
             pgscrim check --rules rules/acros --catalog shop.catalog.json --format sarif > pgscrim.sarif\n\n\
             Exit codes: 0 fine, also with findings; 1 could not run, or warnings with --strict; 3 rules invalid.",
        )
        .args([
            Arg::new("strict")
                .long("strict")
                .env("PGSCRIM_STRICT")
                .action(ArgAction::SetTrue)
                .help("End with exit code 1 when there are warnings"),
            args::sample(),
        ])
        .args([args::config_file(), args::catalog_file()])
        .args(args::format(&[Format::Human, Format::Json, Format::Github, Format::Sarif]))
        .args(args::keys(|key| key == "rules" || key.starts_with("upstream.")))
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let format = args::chosen_format(matches);
    let given = args::Given::new(matches)?;
    let files = given.rule_files()?;
    // Before the server is asked: most mistakes need no catalog to be found.
    if let Err(complaints) = RuleSet::parse(&files) {
        return Err(invalid(complaints, format));
    }
    let catalog = given.catalog_in_full(matches)?;
    let mut samples = take_samples(&given, matches, &catalog)?;
    let catalog = CatalogSnapshot::new(catalog, 1);
    if !matches.contains_id("catalog") {
        let wanted = match RuleSet::parse(&files).and_then(|rules| rules.compile(&catalog)) {
            Ok(policy) => findings::privileges::wanted(&policy.enforced(), &catalog),
            Err(complaints) => return Err(invalid(complaints, format)),
        };
        if matches.get_flag("sample") {
            let rules = RuleSet::parse(&files).map_err(Failure::RulesInvalid)?;
            let records = rules.recorded_names(&catalog);
            samples.misspelt =
                args::block_on(counted(&given.upstream()?, &records, &mut samples.missed))?.map_err(Failure::new)?;
        }
        if !wanted.is_empty() {
            samples.unreadable = args::block_on(unreadable(&given.upstream()?, &wanted))?.map_err(Failure::new)?;
        }
        let written = findings::privileges::deciding(&files, &catalog);
        if !written.is_empty() {
            samples.writable = args::block_on(writable(&given.upstream()?, &written))?.map_err(Failure::new)?;
        }
    }
    let report = match check::check(&files, &catalog, &samples) {
        Ok(report) => report,
        Err(complaints) => return Err(invalid(complaints, format)),
    };
    let remarks: Vec<Remark> = report.findings.iter().map(Finding::remark).collect();
    print(&match format {
        Format::Human => format!("{}\n", report.to_text().trim_end()),
        Format::Json => report.to_json(),
        Format::Github => output::github(&remarks),
        Format::Sarif => sarif(remarks.clone(), &files),
    })?;
    let warnings = report.findings.iter().filter(|finding| finding.level >= Level::Warning).count();
    if matches.get_flag("strict") && warnings > 0 {
        return Err(Failure::Negative(format!("--strict takes no warnings, and there are some: {warnings}")));
    }
    Ok(())
}

/// Invalid rules, told on standard output too where a program reads it.
fn invalid(complaints: Diagnostics, format: Format) -> Failure {
    let texts: BTreeMap<_, _> = complaints.sources.iter().map(|(file, text)| (file, text)).collect();
    let line = |item: &crate::diagnostic::Diagnostic| {
        let start = item.span.as_ref().map_or(0, |span| span.start);
        texts.get(&item.file).map_or(1, |text| Place::of(text, start).line)
    };
    let remarks = output::complaints(&complaints, INVALID);
    let text = match format {
        Format::Human => String::new(),
        Format::Json => output::pretty(&json!({
            "errors": complaints.items.iter().map(|item| json!({
                "code": INVALID, "file": &*item.file, "line": line(item), "message": item.message, "help": item.help,
            })).collect::<Vec<_>>(),
        })),
        Format::Github => output::github(&remarks),
        Format::Sarif => sarif(remarks, &[]),
    };
    match print(&text) {
        Ok(()) => Failure::RulesInvalid(complaints),
        Err(failure) => failure,
    }
}

/// Code scanning takes no result without a place: what concerns the rules as a whole stands at their beginning.
fn sarif(mut remarks: Vec<Remark>, files: &[RuleFile]) -> String {
    for remark in &mut remarks {
        if let (None, Some(first)) = (&remark.spot, files.first()) {
            remark.spot = Some(Spot { file: first.path.to_string(), line: 1 });
        }
    }
    let rules: Vec<(&str, &str)> = CODES.iter().map(|(code, _, text)| (*code, *text)).collect();
    output::pretty(&output::sarif(&remarks, &rules))
}
