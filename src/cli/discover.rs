//! `pgscrim discover`: a first category file from a live database or a catalog file. In: the catalog, and samples where they
//! were asked for. Out: TOML that `check` takes as soon as a role is added: categories with the columns guessed and the
//! reason beside each, keys that tell rows apart in category `none`, everything else as comments to review, and roles to begin with as
//! comments too. Invariant: no content of a row, and no comment of the database, is in it.

mod roles;

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    path::Path,
};

use clap::{Arg, ArgMatches, Command};
use serde::Serialize;

use self::roles::Proposed;
use super::{
    Failure, args,
    detect::{Guess, Kind, documents, guess, holds_rows, inherited, samples::Samples},
    output::{self, Format},
    print,
};
use crate::{
    catalog::{CatalogData, CatalogSnapshot, Column, Relation},
    names::{AttNum, Oid},
};

pub(super) fn command() -> Command {
    Command::new("discover")
        .about("Write a first category file: which columns look like personal data")
        .after_help(
            "Columns are guessed by name (Vietnamese and English), comment and type. With --sample, up to 300 rows of each \
             table are looked at too, in a read-only transaction with a limit of 3 s: telephone numbers, e-mail addresses, \
             card numbers, identity cards, names, addresses. No value is printed, logged or kept. The service login then needs \
             to read the tables: GRANT pg_read_all_data TO it, or give another login with --upstream-url.\n\n\
             The file is a start, not a decision: read each line, then add roles (rules/README.md) and run `pgscrim check`.\n\n\
             Examples:\n  \
             pgscrim discover --config pgscrim.toml --out my-rules/10-data.toml\n  \
             pgscrim discover --upstream-url postgres://postgres@127.0.0.1/shop --sample\n  \
             pgscrim discover --catalog shop.catalog.json --format json",
        )
        .args([
            Arg::new("out")
                .long("out")
                .env("PGSCRIM_OUT")
                .value_name("FILE")
                .help("Write to this file, which must not exist yet, instead of standard output"),
            args::sample(),
        ])
        .args([args::config_file(), args::catalog_file()])
        .args(args::format(&[Format::Human, Format::Json]))
        .args(args::keys(|key| key.starts_with("upstream.")))
}

/// What was found out about one database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Discovery {
    /// Database of the catalog.
    pub database: String,
    /// Tables, by schema and name.
    pub tables: Vec<Table>,
    /// Tables that could not be sampled, with the reason.
    pub not_sampled: Vec<String>,
    /// What a role that works with masks could get of each category.
    pub proposed: Vec<Proposed>,
    /// Logins that are no superusers, by name.
    pub logins: Vec<String>,
    /// Superusers that may log in, by name.
    pub superusers: Vec<String>,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    /// `schema.table`, as rule files write it.
    pub name: String,
    /// Its columns in order.
    pub columns: Vec<Found>,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// `schema.table.column`, as rule files write it.
    pub column: String,
    /// What it looks like; none when nothing speaks for personal data.
    pub guess: Option<Guess>,
    /// Whether it tells rows apart and is nothing else, so that applications need it and it need not be reviewed.
    pub key: bool,
    /// Whether it holds documents (JSON, XML, hstore) of which nothing is known.
    pub document: bool,
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let given = args::Given::new(matches)?;
    let catalog = given.catalog_in_full(matches)?;
    let samples = take_samples(&given, matches, &catalog)?;
    let mut discovery = discover(&CatalogSnapshot::new(catalog, 1), &samples);
    // The service login reads the catalogs for pgscrim; no application is behind it.
    if let Ok(upstream) = given.upstream() {
        discovery.logins.retain(|login| *login != upstream.user);
    }
    if discovery.tables.is_empty() {
        let _ = writeln!(
            std::io::stderr(),
            "pgscrim: database \"{}\" has no tables; is it the one that the applications use? (upstream.url names it)",
            discovery.database
        );
    }
    let text = match args::chosen_format(matches) {
        Format::Json => output::pretty(&discovery),
        Format::Human | Format::Github | Format::Sarif => as_toml(&discovery),
    };
    let Some(path) = matches.get_one::<String>("out").filter(|path| !path.is_empty()) else { return print(&text) };
    write_new(Path::new(path), &text).map_err(|why| Failure::new(format!("could not write {path}: {why}")))
}

/// Writes a file that must not exist yet: somebody has reviewed what is there. Its folder is made.
fn write_new(path: &Path, text: &str) -> Result<(), String> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|error| format!("folder {}: {error}", folder.display()))?;
    }
    let mut file = File::create_new(path).map_err(|error| {
        let exists = error.kind() == std::io::ErrorKind::AlreadyExists;
        let help = "it exists, and somebody may have reviewed it; --out names a new file";
        if exists { help.to_owned() } else { error.to_string() }
    })?;
    file.write_all(text.as_bytes()).map_err(|error| error.to_string())
}

/// Samples where `--sample` asks for them; says on standard error what could not be looked at.
pub(super) fn take_samples(
    given: &args::Given,
    matches: &ArgMatches,
    catalog: &CatalogData,
) -> Result<Samples, Failure> {
    if !matches.get_flag("sample") {
        return Ok(Samples::default());
    }
    let samples = args::block_on(Samples::take(&given.upstream()?, catalog))?.map_err(Failure::new)?;
    if samples.tables == 0
        && let Some(missed) = samples.missed.first()
    {
        return Err(Failure::new(format!("no table could be sampled; {}: {}", missed.table, missed.reason)));
    }
    for missed in &samples.missed {
        let _ = writeln!(std::io::stderr(), "pgscrim: {} was not sampled: {}", missed.table, missed.reason);
    }
    Ok(samples)
}

/// What the columns of `catalog` look like. Pure. Views take what their sources have, and partitions what their parents
/// have, so that neither is listed.
pub fn discover(catalog: &CatalogSnapshot, samples: &Samples) -> Discovery {
    let data = catalog.data();
    let keys = keys(data);
    let mut tables: Vec<Table> = Vec::new();
    for relation in data.relations.iter().filter(|relation| holds_rows(relation)) {
        let inherited = inherited(relation.oid, catalog);
        let documents = documents(relation, samples);
        let columns: Vec<Found> = relation
            .columns
            .iter()
            .filter(|column| !inherited.contains(column.name.as_str()))
            .map(|column| {
                let guess = guess(relation, column, samples.of(relation.oid, column.attnum));
                let key = guess.is_none() && keys.contains(&(relation.oid, column.attnum));
                let document = guess.is_none() && documents.iter().any(|one| one.attnum == column.attnum);
                Found { column: column_name(relation, column), guess, key, document }
            })
            .collect();
        if !columns.is_empty() {
            tables.push(Table { name: table_name(relation), columns });
        }
    }
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    let not_sampled = samples.missed.iter().map(|missed| format!("{}: {}", missed.table, missed.reason)).collect();
    let proposed = roles::propose(catalog, samples);
    let logins = |superuser: bool| -> Vec<String> {
        let found = data.roles.iter().filter(|role| role.can_login && role.superuser == superuser);
        let mut names: Vec<String> = found.map(|role| role.name.clone()).collect();
        names.sort();
        names
    };
    let (logins, superusers) = (logins(false), logins(true));
    Discovery { database: data.database.clone(), tables, not_sampled, proposed, logins, superusers }
}

/// Primary keys of one column that is a whole number or a UUID, and columns that refer to one by a foreign key. A number that stands
/// for something else, such as one of an identity card, is known by its name.
fn keys(data: &CatalogData) -> HashSet<(Oid, AttNum)> {
    let plain = |relation: &&Relation| match relation.primary_key.as_slice() {
        [number] => relation
            .column_numbered(*number)
            .filter(|column| matches!(column.type_name.as_str(), "int2" | "int4" | "int8" | "uuid"))
            .map(|column| (relation.oid, column.attnum)),
        [] | [_, _, ..] => None,
    };
    let mut keys: HashSet<(Oid, AttNum)> = data.relations.iter().filter_map(|relation| plain(&relation)).collect();
    for key in &data.foreign_keys {
        if let ([own], [other]) = (key.columns.as_slice(), key.target_columns.as_slice())
            && keys.contains(&(key.target, *other))
        {
            keys.insert((key.relation, *own));
        }
    }
    keys
}

/// A part of a name as rule files write it. A star of its own would mean any name there.
fn part(text: &str) -> String {
    if text == "*" { "\"*\"".to_owned() } else { crate::names::rule_part(text).into_owned() }
}

fn table_name(relation: &Relation) -> String {
    format!("{}.{}", part(&relation.schema), part(&relation.name))
}

pub(super) fn column_name(relation: &Relation, column: &Column) -> String {
    format!("{}.{}", table_name(relation), part(&column.name))
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            // Writing to a string cannot fail.
            c if c.is_control() => drop(write!(out, "\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

fn as_toml(discovery: &Discovery) -> String {
    let Discovery { database, tables, not_sampled, .. } = discovery;
    let clean: String =
        database.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
    let mut out = format!(
        "# A first guess of `pgscrim discover` at where personal data is in database {clean}. Read each line: move columns that \
         were guessed\n# wrongly, and put the columns listed under category none, or others, where they belong.\n\n\
         policy = \"{clean}-draft\"\n"
    );
    for line in not_sampled {
        let _ = writeln!(out, "\n# not sampled: {}", line.replace(char::is_control, " "));
    }
    let mut by_kind: BTreeMap<Kind, Vec<&Found>> = BTreeMap::new();
    let mut review: Vec<(&Table, Vec<&Found>)> = Vec::new();
    let mut free: Vec<&Table> = Vec::new();
    for table in tables {
        if table.columns.iter().all(|column| column.guess.is_none()) {
            free.push(table);
            continue;
        }
        for column in &table.columns {
            if let Some(guess) = &column.guess {
                by_kind.entry(guess.kind).or_default().push(column);
            }
        }
        let rest: Vec<&Found> = table.columns.iter().filter(|column| column.guess.is_none()).collect();
        review.push((table, rest));
    }
    for (kind, columns) in &by_kind {
        let (name, title, sensitive) = kind.category();
        let sensitivity = if sensitive { "sensitive" } else { "basic" };
        let _ = writeln!(
            out,
            "\n[category.{name}]\ntitle = {}\nsensitivity = \"{sensitivity}\"\ncolumns = [",
            quoted(title)
        );
        for column in columns {
            let reason = column.guess.as_ref().map(|guess| guess.reason.as_str()).unwrap_or_default();
            let _ = writeln!(out, "    {}, # {reason}", quoted(&column.column));
        }
        out += "]\n";
    }
    out += "\n# Columns without a guess, of tables that have one. Take the # away from those that are not personal; what stays a \
            comment is\n# withheld (NULL) from every role. Keys that are numbers or UUIDs, and what refers to them, have none.\n\
            # Once every line has been read, and what is personal moved, this takes all of them away but for documents, of which each is to be \
            looked into:\n\
            #     sed -i.bak 's/^    # \\(\".*\",\\) # review$/    \\1/' FILE\n\
            [category.none]\ntitle = \"Reviewed: not personal\"\ncolumns = [\n";
    for (_, columns) in &review {
        for column in columns {
            let (sign, why) = match (column.key, column.document) {
                (true, _) => ("", "key"),
                (false, true) => ("# ", "review: a document may hold anything"),
                (false, false) => ("# ", "review"),
            };
            let _ = writeln!(out, "    {sign}{}, # {why}", quoted(&column.column));
        }
    }
    out += "]\n";
    if !free.is_empty() {
        out += "\n# Tables without any guess: not governed, in clear for every role. Put a column of them into a category to \
                change that.\n# A document may hold anything: look into it, or let --sample do so.\n";
        for table in free {
            let names = table.columns.iter().filter(|column| column.document);
            let names: Vec<&str> =
                names.filter_map(|column| column.column.strip_prefix(&table.name)?.strip_prefix('.')).collect();
            let holds = if names.is_empty() { String::new() } else { format!(" # documents: {}", names.join(", ")) };
            let _ = writeln!(out, "# {}{}", quoted(&table.name), holds.replace(char::is_control, " "));
        }
    }
    out + &roles::as_toml(discovery)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalog::{
            data::InheritsData,
            testing::{database, table},
        },
        policy::rules::{RuleFile, RuleSet},
    };

    #[test]
    fn the_file_is_valid_with_a_role_whatever_names_there_are() {
        let mut data = database();
        data.database = "sh\"op\n".to_owned();
        table(&mut data, "customers", "id bigint, phone text, sdt.2 text, e\"mail text, x text, meta jsonb");
        data.relations.last_mut().unwrap().primary_key = vec![AttNum(1)];
        data.relations.last_mut().unwrap().columns[4].name = "dòng\n\"mới\" ghi chú".to_owned();
        let parent = table(&mut data, "*", "email text, nothing int");
        let child = table(&mut data, "child", "email text, nothing int, dia_chi text");
        data.inherits.push(InheritsData { child, parent });
        table(&mut data, "products", "id bigint, sku text");
        table(&mut data, "sessions", "id bigint, context jsonb, state json");
        let catalog = CatalogSnapshot::new(data, 1);
        let discovery = discover(&catalog, &Samples::default());
        let text = as_toml(&discovery);
        assert!(text.contains("\n# \"public.products\"\n"), "{text}");
        assert!(text.contains("    # \"public.customers.meta\", # review: a document may hold anything\n"), "{text}");
        assert!(text.contains("\n# \"public.sessions\" # documents: context, state\n"), "{text}");
        assert!(text.contains("    \"public.customers.id\", # key\n"), "{text}");
        assert_eq!(text.matches("child").count(), 1, "only its own column is listed: {text}");
        let rules = format!("{text}\n[[role]]\nname = \"r\"\nmatch = {{ user = \"u\" }}\n");
        let file = RuleFile { path: "r.toml".into(), text: rules.into() };
        let policy = RuleSet::parse(&[file]).and_then(|rules| rules.compile(&catalog));
        let policy = policy.unwrap_or_else(|diagnostics| panic!("{text}\n{diagnostics}"));
        let category = |table: &str, position: usize| {
            let oid = catalog.relation_named("public", table).unwrap().oid;
            policy.roles[0].relation(oid).unwrap().columns[position].category.clone()
        };
        let of = |table: &str, position: usize| category(table, position).map(|name| name.to_string());
        assert_eq!(of("customers", 1).as_deref(), Some("phone"));
        assert_eq!(of("customers", 2).as_deref(), Some("phone"));
        assert_eq!(of("customers", 3).as_deref(), Some("email"));
        assert_eq!(of("customers", 4).as_deref(), Some("free_text"));
        // A key is left as it is.
        assert_eq!(of("customers", 0).as_deref(), Some("none"));
        // The roles at the end are valid too, once the signs are taken away, and fit every column.
        let with_roles = text.replace("#: ", "").replace("#:\n", "\n");
        let file = RuleFile { path: "r.toml".into(), text: with_roles.clone().into() };
        let policy = RuleSet::parse(&[file]).and_then(|rules| rules.compile(&catalog));
        let policy = policy.unwrap_or_else(|diagnostics| panic!("{with_roles}\n{diagnostics}"));
        let names: Vec<&str> = policy.roles.iter().map(|role| role.name.as_str()).collect();
        assert_eq!(names, ["shop", "staff", "owner"]);
        assert_eq!(of("*", 0).as_deref(), Some("email"));
        assert_eq!(of("child", 0).as_deref(), Some("email"));
        assert_eq!(of("child", 2).as_deref(), Some("address"));
    }
}
