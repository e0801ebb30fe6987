//! Catalogs built by hand, for unit tests of every stage. Out: [`CatalogData`] with made-up OIDs.

use super::data::{
    CatalogData, ColumnData, FunctionData, RelationData, RelationKind, RoleData, SchemaData, UsesColumn,
};
use crate::names::{AttNum, Oid};

/// An empty UTF-8 database `shop` of PostgreSQL 15 with schemas `pg_catalog` and `public`.
pub fn database() -> CatalogData {
    CatalogData {
        database: "shop".to_owned(),
        server_version_num: 150_018,
        server_encoding: "UTF8".to_owned(),
        default_search_path: "\"$user\", public".to_owned(),
        schemas: vec![
            SchemaData { oid: Oid(11), name: "pg_catalog".to_owned() },
            SchemaData { oid: Oid(2200), name: "public".to_owned() },
        ],
        databases: vec!["shop".to_owned()],
        ..CatalogData::default()
    }
}

/// Adds table `public.name` with columns `"id bigint, phone varchar(20)"`, the first being the primary key; answers its OID.
pub fn table(data: &mut CatalogData, name: &str, columns: &str) -> Oid {
    let oid = relation(data, name, RelationKind::Table, columns);
    if let Some(table) = data.relations.last_mut() {
        table.primary_key = vec![AttNum(1)];
    }
    oid
}

/// Adds view `public.name` that uses whole relations `uses`; answers its OID.
pub fn view(data: &mut CatalogData, name: &str, columns: &str, definition: &str, uses: &[Oid]) -> Oid {
    let oid = relation(data, name, RelationKind::View, columns);
    if let Some(view) = data.relations.last_mut() {
        view.definition = Some(definition.to_owned());
        view.uses_columns = uses.iter().map(|relation| UsesColumn { relation: *relation, column: None }).collect();
    }
    oid
}

/// Adds relation `public.name`; answers its OID.
pub fn relation(data: &mut CatalogData, name: &str, kind: RelationKind, columns: &str) -> Oid {
    let oid = Oid(16_384 + u32::try_from(data.relations.len()).unwrap_or_default());
    let mut attnum = 0;
    let columns = split(columns).into_iter().map(|text| {
        attnum += 1;
        column(attnum, text)
    });
    data.relations.push(RelationData {
        oid,
        schema: "public".to_owned(),
        name: name.to_owned(),
        kind,
        columns: columns.collect(),
        primary_key: Vec::new(),
        definition: None,
        uses_columns: Vec::new(),
        uses_functions: Vec::new(),
        comment: None,
        has_rules: false,
        has_policies: false,
    });
    oid
}

/// Adds a login role.
pub fn role(data: &mut CatalogData, name: &str, member_of: &[&str]) {
    let member_of = member_of.iter().map(|group| (*group).to_owned()).collect();
    data.roles.push(RoleData { name: name.to_owned(), superuser: false, can_login: true, member_of });
}

/// Adds the function that `pgscrim install` makes for keyed masks.
pub fn keyed_function(data: &mut CatalogData) {
    data.schemas.push(SchemaData { oid: Oid(30_000), name: "pgscrim".to_owned() });
    relation(data, "pgscrim_key", RelationKind::Table, "version integer not null, inner_pad bytea, outer_pad bytea");
    if let Some(table) = data.relations.last_mut() {
        "pgscrim".clone_into(&mut table.schema);
        table.comment = Some("Keys; versions: 1, 2".to_owned());
    }
    data.functions.push(FunctionData {
        oid: Oid(30_001),
        schema: "pgscrim".to_owned(),
        name: "keyed".to_owned(),
        volatility: 's',
        extension: None,
        kind: 'f',
        security_definer: true,
        returns_set: false,
        out_names: Vec::new(),
        argument_types: vec![Oid(23), Oid(25), Oid(25)],
        result_type: Some(Oid(17)),
        constructs: false,
        variadic: None,
        defaults: 0,
    });
}

/// Splits at commas outside parentheses.
fn split(columns: &str) -> Vec<&str> {
    let mut depth = 0;
    columns
        .split(|c| {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            c == ',' && depth == 0
        })
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .collect()
}

/// A column from `name type [not null]`. Types that are not listed are enums of users.
pub fn column(attnum: i16, text: &str) -> ColumnData {
    let (name, ty) = text.split_once(' ').unwrap_or((text, "text"));
    if let Some(element) = ty.strip_suffix("[]") {
        return array(column(attnum, &format!("{name} {element}")));
    }
    let (ty, not_null) = ty.strip_suffix(" not null").map_or((ty, false), |ty| (ty, true));
    let (base, modifier) = match ty.split_once('(') {
        Some((base, modifier)) => (base, Some(modifier.trim_end_matches(')'))),
        None => (ty, None),
    };
    let numbers: Vec<i32> = modifier.unwrap_or_default().split(',').filter_map(|n| n.trim().parse().ok()).collect();
    let typmod = match (base, numbers.as_slice()) {
        ("numeric", [precision, scale]) => ((precision << 16) | (scale & 0x7ff)) + 4,
        ("numeric", [precision]) => (precision << 16) + 4,
        (_, [n]) => n + 4,
        _ => -1,
    };
    let (oid, type_name, sql, category) = match base {
        "bigint" => (20, "int8", "bigint", 'N'),
        "integer" | "int" => (23, "int4", "integer", 'N'),
        "smallint" => (21, "int2", "smallint", 'N'),
        "numeric" => (1700, "numeric", "numeric", 'N'),
        "real" => (700, "float4", "real", 'N'),
        "float8" => (701, "float8", "double precision", 'N'),
        "boolean" | "bool" => (16, "bool", "boolean", 'B'),
        "text" => (25, "text", "pg_catalog.text", 'S'),
        "varchar" => (1043, "varchar", "character varying", 'S'),
        "char" => (1042, "bpchar", "character", 'S'),
        "date" => (1082, "date", "pg_catalog.date", 'D'),
        "timestamp" => (1114, "timestamp", "timestamp without time zone", 'D'),
        "timestamptz" => (1184, "timestamptz", "timestamp with time zone", 'D'),
        "json" => (114, "json", "pg_catalog.json", 'U'),
        "jsonb" => (3802, "jsonb", "pg_catalog.jsonb", 'U'),
        "uuid" => (2950, "uuid", "pg_catalog.uuid", 'U'),
        "bytea" => (17, "bytea", "pg_catalog.bytea", 'U'),
        "inet" => (869, "inet", "pg_catalog.inet", 'I'),
        _ => (16_000, base, base, 'E'),
    };
    ColumnData {
        attnum: AttNum(attnum),
        name: name.to_owned(),
        type_oid: Oid(oid),
        typmod,
        type_sql: modifier.map_or_else(|| sql.to_owned(), |modifier| format!("{sql}({modifier})")),
        type_sql_plain: sql.to_owned(),
        assigned_as: None,
        type_name: type_name.to_owned(),
        type_kind: if category == 'E' { 'e' } else { 'b' },
        type_category: category,
        not_null,
        generated_from: None,
        collation: None,
        comment: None,
    }
}

/// An array column with elements like the values of `element`.
fn array(element: ColumnData) -> ColumnData {
    let type_oid = match element.type_oid.0 {
        25 => 1009,
        1043 => 1015,
        1042 => 1014,
        _ => 16_001,
    };
    ColumnData {
        type_oid: Oid(type_oid),
        type_sql: format!("{}[]", element.type_sql),
        type_sql_plain: format!("{}[]", element.type_sql_plain),
        assigned_as: None,
        type_name: format!("_{}", element.type_name),
        type_kind: 'b',
        type_category: 'A',
        ..element
    }
}
