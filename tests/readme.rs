//! The tables of the README against the program: a code, a key or a metric that is new, gone or renamed shows here.

#![allow(clippy::unwrap_used, clippy::panic, clippy::string_slice, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeSet;

use clap::{Arg, Command};
use pgscrim::{
    cli,
    config::KEYS,
    error::RefusalCode,
    metrics::{DecisionLabel, Metrics},
};

const README: &str = include_str!("../README.md");

/// The cells of every table row between a heading and the next, of any level.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let mut lines = README.lines().skip_while(|line| line.trim_start_matches('#') != format!(" {heading}"));
    assert!(lines.next().is_some(), "no heading {heading}");
    lines.take_while(|line| !line.starts_with('#')).filter(|line| line.starts_with("| ")).skip(1).map(cells).collect()
}

fn cells(row: &str) -> Vec<String> {
    row.trim_matches(['|', ' ']).split(" | ").map(|cell| cell.trim().to_owned()).collect()
}

#[test]
fn every_refusal_code_is_explained() {
    let written: BTreeSet<(String, String)> =
        rows("Refusal codes").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let real = RefusalCode::ALL.iter().map(|code| (code.code().to_owned(), code.sqlstate().to_owned())).collect();
    assert_eq!(written, real);
    for row in rows("Refusal codes") {
        assert!(row.len() == 4 && row[3].ends_with('.'), "{row:?}");
    }
}

#[test]
fn every_finding_of_check_is_explained() {
    let real: Vec<Vec<String>> = cli::findings::CODES
        .iter()
        .map(|(code, level, meaning)| vec![format!("`{code}`"), level.name().to_owned(), (*meaning).to_owned()])
        .collect();
    assert_eq!(rows("What check finds"), real);
}

#[test]
fn every_key_is_listed_with_its_flag_and_variable() {
    let written: Vec<Vec<String>> = rows("Configuration");
    let real: Vec<Vec<String>> = KEYS
        .iter()
        .map(|key| {
            let quoted = [key.path, &format!("--{}", key.flag), key.env, &key.value.replace('|', "\\|")]
                .map(|cell| format!("`{cell}`"));
            quoted.into_iter().chain([key.help.to_owned()]).collect()
        })
        .collect();
    assert_eq!(written, real);
}

/// The commands that do something, with their names as they are typed.
fn leaves(command: &Command, name: &str, found: &mut Vec<(String, Command)>) {
    if !command.has_subcommands() {
        found.push((name.to_owned(), command.clone()));
    }
    for inner in command.get_subcommands() {
        leaves(inner, format!("{name} {}", inner.get_name()).trim_start(), found);
    }
}

#[test]
fn every_command_and_option_is_listed() {
    let mut commands = Vec::new();
    leaves(&cli::command(), "", &mut commands);
    let names = commands.iter().map(|(name, _)| format!("pgscrim {name}"));
    let listed: BTreeSet<String> = rows("Commands").iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    assert_eq!(listed, names.collect());

    let is_key = |arg: &Arg| {
        KEYS.iter().any(|key| {
            arg.get_long() == Some(key.flag) && arg.get_help().is_some_and(|help| help.to_string() == key.help)
        })
    };
    let mut real = BTreeSet::new();
    for (name, command) in &commands {
        for arg in command.get_arguments().filter(|arg| !is_key(arg)) {
            let option =
                arg.get_long().map_or_else(|| arg.get_id().to_string().to_uppercase(), |long| format!("--{long}"));
            let env = arg.get_env().unwrap_or_else(|| panic!("{name} {option} has no variable")).to_str().unwrap();
            real.insert(format!("`{name}` | `{option}` | `{env}` | {}", arg.get_help().unwrap()));
        }
    }
    let options: BTreeSet<String> = rows("Options").iter().map(|row| row.join(" | ")).collect();
    assert_eq!(options, real);
}

#[test]
fn exit_codes_are_listed() {
    // Their use is tested in tests/cli.rs; here, that the page and the help name the same ones.
    let help = cli::command().render_long_help().to_string();
    let listed = help.split("Exit codes: ").nth(1).unwrap().split('.').next().unwrap();
    for (entry, row) in listed.split(", ").zip(rows("Exit codes").iter()) {
        let (number, meaning) = entry.split_once(' ').unwrap();
        assert_eq!(row[0], number);
        assert!(row[1].starts_with(meaning), "{row:?}");
    }
    assert_eq!(listed.split(", ").count(), rows("Exit codes").len());
}

/// The table of the module that writes the lines is the page's own; `tests/audit.rs` compares both with a written line.
#[test]
fn audit_fields_are_explained_as_in_the_source() {
    let source: Vec<Vec<String>> = include_str!("../src/audit/line.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! "))
        .filter(|line| line.starts_with("| `"))
        .map(cells)
        .collect();
    assert!(source.len() > 15);
    assert_eq!(rows("Audit log"), source);
}

#[test]
fn every_metric_is_listed_with_its_type_and_labels() {
    let metrics = Metrics::new();
    // Families without samples are not exported.
    metrics.role("support").statement("SELECT", DecisionLabel::Rewrite);
    metrics.refused(RefusalCode::NotUtf8);
    metrics.rules_published("acros", "hash");
    let text = String::from_utf8(metrics.render()).unwrap();
    let real: BTreeSet<(String, String)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    let written =
        rows("Metrics").into_iter().map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone())).collect();
    assert_eq!(real, written);
    for row in rows("Metrics") {
        let name = row[0].trim_matches('`').to_owned();
        let labels: BTreeSet<&str> = text
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name}_bucket{{")))
            .flat_map(|line| line[line.find('{').unwrap() + 1..line.find('}').unwrap()].split(','))
            .filter_map(|label| label.split('=').next())
            .filter(|label| *label != "le")
            .collect();
        let listed: BTreeSet<&str> = row[2].split('`').skip(1).step_by(2).collect();
        assert_eq!(listed, labels, "{name}");
    }
}

#[test]
fn links_lead_somewhere() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    // As GitHub makes them.
    let anchor = |line: &str| -> Option<String> {
        let title = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?.to_lowercase().replace(' ', "-");
        Some(title.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect())
    };
    for link in README.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        if link.starts_with("http") {
            continue;
        }
        let (file, heading) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
        assert!(folder.join(file).exists(), "{link}");
        let Some(heading) = heading else { continue };
        let text = std::fs::read_to_string(folder.join(if file.is_empty() { "README.md" } else { file })).unwrap();
        assert!(text.lines().filter_map(anchor).any(|known| known == heading), "no heading for {link}");
    }
}
