//! `pgscrim check`: arguments, reading and printing around [`super::check`].

use std::{collections::BTreeMap, time::Duration};

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use super::{
    Failure, args, check,
    discover::take_samples,
    findings::{self, CODES, Finding, INVALID, NOT_TAKEN},
    output::{self, Format, Level, Remark, Spot},
    print,
};
use crate::{
    catalog::CatalogSnapshot,
    diagnostic::{Diagnostic, Diagnostics, Place},
    policy::{
        Probe,
        rules::{RuleFile, RuleSet},
    },
    upstream::catalog::{
        privileges::{unreadable, writable},
        probes::{Objection, objections},
        recorded::counted,
    },
};

/// How long the server is asked about conditions and masks.
const ASKING: Duration = Duration::from_secs(30);

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
        return Err(invalid(complaints, format, INVALID));
    }
    let catalog = given.catalog_in_full(matches)?;
    let mut samples = take_samples(&given, matches, &catalog)?;
    let catalog = CatalogSnapshot::new(catalog, 1);
    if !matches.contains_id("catalog") {
        let compiled = RuleSet::parse(&files).and_then(|rules| rules.compile(&catalog).map(|policy| (rules, policy)));
        let (rules, policy) = match compiled {
            Ok(compiled) => compiled,
            Err(complaints) => return Err(invalid(complaints, format, INVALID)),
        };
        let probes = rules.probes(&policy, &catalog);
        let said = args::block_on(objections(&given.upstream()?, &probes, ASKING))?.map_err(Failure::new)?;
        let (wrong, not_asked) = split(&probes, said);
        if !wrong.is_empty() {
            return Err(invalid(rules.complaints(wrong), format, NOT_TAKEN));
        }
        samples.not_asked = not_asked;
        let wanted = findings::privileges::wanted(&policy.enforced(), &catalog);
        if matches.get_flag("sample") {
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
        Err(complaints) => return Err(invalid(complaints, format, INVALID)),
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

/// Complaints about what PostgreSQL does not take; and why it could not be asked, with the first that it concerns and how many more.
fn split(probes: &[Probe], said: Vec<(usize, Objection)>) -> (Vec<Diagnostic>, Vec<(String, String, usize)>) {
    let (mut wrong, mut not_asked) = (Vec::new(), Vec::<(String, String, usize)>::new());
    for (probe, objection) in said.into_iter().filter_map(|(at, objection)| Some((probes.get(at)?, objection))) {
        match objection {
            Objection::Wrong { code, message } => wrong.push(probe.complaint(&code, &message)),
            Objection::NotAsked { why, passes: _ } => match not_asked.iter_mut().find(|(_, known, _)| *known == why) {
                Some((_, _, more)) => *more += 1,
                None => not_asked.push((probe.what.clone(), why, 0)),
            },
        }
    }
    (wrong, not_asked)
}

/// Invalid rules, told on standard output too where a program reads it.
fn invalid(complaints: Diagnostics, format: Format, code: &'static str) -> Failure {
    let texts: BTreeMap<_, _> = complaints.sources.iter().map(|(file, text)| (file, text)).collect();
    let line = |item: &crate::diagnostic::Diagnostic| {
        let start = item.span.as_ref().map_or(0, |span| span.start);
        texts.get(&item.file).map_or(1, |text| Place::of(text, start).line)
    };
    let remarks = output::complaints(&complaints, code);
    let text = match format {
        Format::Human => String::new(),
        Format::Json => output::pretty(&json!({
            "errors": complaints.items.iter().map(|item| json!({
                "code": code, "file": &*item.file, "line": line(item), "message": item.message, "help": item.help,
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
