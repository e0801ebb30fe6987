//! Every line of the table of failures, without a server.

use std::sync::Arc;

use super::{Keeper, Outcome};
use crate::{
    catalog::{
        CatalogData,
        data::{
            ColumnData, FunctionData, InheritsData, OperatorData, RelationData, RelationKind, SchemaData, UsesColumn,
        },
    },
    engine::{Inputs, Protocol, QueryContext, plan},
    names::{AttNum, Oid},
    policy::{
        RoleId,
        rules::{RuleFile, RuleSet},
    },
};

fn column(attnum: i16, name: &str) -> ColumnData {
    ColumnData {
        attnum: AttNum(attnum),
        name: name.to_owned(),
        type_oid: Oid(25),
        typmod: -1,
        type_sql: "pg_catalog.text".to_owned(),
        type_sql_plain: "pg_catalog.text".to_owned(),
        assigned_as: None,
        type_name: "text".to_owned(),
        type_kind: 'b',
        type_category: 'S',
        not_null: false,
        generated_from: None,
        collation: None,
        comment: None,
    }
}

fn table(oid: u32, name: &str, columns: &[&str]) -> RelationData {
    RelationData {
        oid: Oid(oid),
        schema: "public".to_owned(),
        name: name.to_owned(),
        kind: RelationKind::Table,
        columns: columns.iter().zip(1..).map(|(name, attnum)| column(attnum, name)).collect(),
        primary_key: Vec::new(),
        definition: None,
        uses_columns: Vec::new(),
        uses_functions: Vec::new(),
        comment: None,
        has_rules: false,
        has_policies: false,
    }
}

fn catalog() -> CatalogData {
    let mut view = table(20_003, "v", &["id"]);
    view.kind = RelationKind::MaterializedView;
    view.definition = Some(" SELECT customers.id\n   FROM public.customers;".to_owned());
    view.uses_columns = vec![UsesColumn { relation: Oid(20_001), column: Some(AttNum(1)) }];
    CatalogData {
        database: "shop".to_owned(),
        server_version_num: 150_000,
        schemas: vec![SchemaData { oid: Oid(2200), name: "public".to_owned() }],
        relations: vec![
            table(20_001, "customers", &["id", "phone", "note"]),
            table(20_002, "orders", &["id", "address"]),
            view,
        ],
        ..CatalogData::default()
    }
}

fn renamed() -> CatalogData {
    let mut data = catalog();
    data.relations[0].columns[1].name = "tel".to_owned();
    data
}

fn rules(phone: &str) -> Arc<RuleSet> {
    let text = format!(
        "policy = \"p-{phone}\"\n[category.phone]\ntitle = \"Phone\"\nsensitivity = \"basic\"\n\
         columns = [\"public.customers.{phone}\", \"public.orders.address\"]\n\
         [category.none]\ncolumns = [\"public.customers.id\", \"public.orders.id\"]\n\
         [[role]]\nname = \"support\"\nmatch = {{ user = [\"support\"] }}\nsee = {{}}\notherwise = \"withhold\"\n"
    );
    let file = RuleFile { path: Arc::from("rules.toml"), text: Arc::from(text) };
    Arc::new(RuleSet::parse(&[file]).unwrap_or_else(|complaint| panic!("{complaint}")))
}

fn loaded() -> (Keeper, Arc<RuleSet>, Inputs) {
    let mut keeper = Keeper::default();
    let good = rules("phone");
    keeper.catalog(catalog());
    let outcome = keeper.try_rules(Some(&good));
    assert!(outcome.complaint.is_none(), "{:?}", outcome.complaint);
    (keeper, good, outcome.publish.unwrap())
}

fn names(outcome: &Outcome) -> Vec<&str> {
    let inputs = outcome.publish.as_ref().unwrap();
    inputs.catalog.data().relations.iter().map(|relation| relation.name.as_str()).collect()
}

#[test]
fn rules_wait_for_a_catalog_and_a_catalog_for_rules() {
    let mut keeper = Keeper::default();
    assert!(keeper.try_rules(Some(&rules("phone"))).publish.is_none());
    keeper.catalog(catalog());
    assert!(keeper.try_rules(None).publish.is_none());
    assert!(keeper.try_rules(Some(&rules("phone"))).publish.is_some());
}

#[test]
fn an_equal_catalog_changes_nothing() {
    let (mut keeper, good, inputs) = loaded();
    keeper.catalog(catalog());
    let outcome = keeper.try_rules(Some(&good));
    assert!(outcome.publish.is_none() && outcome.unchanged);
    assert_eq!(keeper.latest().unwrap().version(), inputs.catalog.version());
}

#[test]
fn a_changed_catalog_gets_a_new_version_and_the_policy_follows() {
    let (mut keeper, good, inputs) = loaded();
    let mut data = catalog();
    data.relations.push(table(20_009, "new", &["id"]));
    keeper.catalog(data);
    let published = keeper.try_rules(Some(&good)).publish.unwrap();
    assert!(published.catalog.version() > inputs.catalog.version());
    assert_eq!(published.policy.catalog_version, published.catalog.version());
}

#[test]
fn wrong_new_rules_leave_the_good_ones_in_force() {
    let (mut keeper, good, _) = loaded();
    let wrong = rules("mobile");
    let outcome = keeper.try_rules(Some(&wrong));
    assert!(outcome.publish.is_none() && outcome.complaint.is_some());
    assert!(keeper.try_rules(Some(&wrong)).unchanged, "reported once");

    // The catalog moves on; the good rules follow it although the files are wrong.
    let mut data = catalog();
    data.relations.push(table(20_009, "new", &["id"]));
    keeper.catalog(data);
    let outcome = keeper.try_rules(Some(&wrong));
    let published = outcome.publish.unwrap();
    assert_eq!(published.policy.hash, good.hash());
    assert!(published.catalog.relation_named("public", "new").is_some());
    assert!(outcome.complaint.is_some() && !outcome.reduced);
}

#[test]
fn a_renamed_protected_column_takes_its_relation_and_what_reads_it_away() {
    let (mut keeper, good, inputs) = loaded();
    keeper.catalog(renamed());
    let outcome = keeper.try_rules(Some(&good));
    assert!(outcome.reduced && outcome.complaint.is_some());
    assert_eq!(names(&outcome), ["orders"]);
    let published = outcome.publish.unwrap();
    assert!(published.catalog.version() > inputs.catalog.version());
    assert_eq!(published.policy.catalog_version, published.catalog.version());
    assert!(published.policy.roles[0].relation(Oid(20_002)).unwrap().protected);
    // Who names what is left out hears why.
    let context =
        QueryContext { role: RoleId(0), search_path: ["public".to_owned()].into(), protocol: Protocol::Simple };
    let refusal = plan("SELECT 1 FROM customers", &context, &published).unwrap_err().refusal;
    assert_eq!(refusal.sqlstate(), "42P01");
    assert!(
        refusal.message.ends_with("the rules no longer fit it") && refusal.hint.contains("pgscrim check"),
        "{refusal}"
    );
    assert!(plan("SELECT 1 FROM orders", &context, &published).is_ok());

    // Nothing more happens until catalog or rules change.
    keeper.catalog(renamed());
    assert!(keeper.try_rules(Some(&good)).unchanged);
    // Rules that fit bring everything back.
    let outcome = keeper.try_rules(Some(&rules("tel")));
    assert_eq!(names(&outcome), ["customers", "orders", "v"]);
    assert!(outcome.complaint.is_none());
}

#[test]
fn the_catalog_may_return_to_what_it_was() {
    let (mut keeper, good, _) = loaded();
    keeper.catalog(renamed());
    let reduced = keeper.try_rules(Some(&good)).publish.unwrap();
    keeper.catalog(catalog());
    let back = keeper.try_rules(Some(&good));
    assert_eq!(names(&back), ["customers", "orders", "v"]);
    assert!(back.publish.unwrap().catalog.version() > reduced.catalog.version(), "no version is used twice");
}

#[test]
fn new_relations_stay_out_while_the_rules_do_not_fit() {
    let (mut keeper, good, _) = loaded();
    let mut data = renamed();
    data.relations.push(table(20_008, "orders_2026", &["id", "address"]));
    keeper.catalog(data.clone());
    assert_eq!(names(&keeper.try_rules(Some(&good))), ["orders"]);

    // A parent with a new child is not what it was.
    data.inherits.push(InheritsData { child: Oid(20_008), parent: Oid(20_002) });
    keeper.catalog(data);
    let outcome = keeper.try_rules(Some(&good));
    assert!(outcome.publish.unwrap().catalog.data().relations.is_empty());
}

#[test]
fn a_column_that_takes_the_name_of_another_is_not_read_with_its_treatment() {
    let (mut keeper, good, _) = loaded();
    let mut data = catalog();
    // DROP COLUMN note; RENAME phone TO note.
    data.relations[0].columns.remove(2);
    data.relations[0].columns[1].name = "note".to_owned();
    keeper.catalog(data);
    let outcome = keeper.try_rules(Some(&good));
    assert!(outcome.publish.unwrap().catalog.relation_named("public", "customers").is_none());
}

#[test]
fn a_relation_falls_with_what_its_rows_depend_on() {
    let text = "policy = \"p\"\n[category.phone]\ncolumns = [\"public.customers.phone\"]\n[category.none]\n\
                columns = [\"public.customers.id\", \"public.orders.id\", \"public.orders.address\"]\n\
                [[role]]\nname = \"support\"\nmatch = { user = [\"support\"] }\n\
                rows = { \"public.orders\" = \"EXISTS (SELECT 1 FROM public.customers c WHERE c.phone = address)\" }\n";
    let rules = Arc::new(RuleSet::parse(&[RuleFile { path: "rules.toml".into(), text: text.into() }]).unwrap());
    let mut keeper = Keeper::default();
    keeper.catalog(catalog());
    assert!(keeper.try_rules(Some(&rules)).publish.is_some());
    keeper.catalog(renamed());
    assert!(keeper.try_rules(Some(&rules)).publish.unwrap().catalog.data().relations.is_empty());
}

/// A mask names functions and operators without their schemas where there are no others; once there are, it could mean those.
#[test]
fn a_relation_falls_when_its_masks_could_mean_something_new() {
    let text = "policy = \"p\"\n[category.phone]\ncolumns = [\"public.customers.phone\", \"public.orders.address\"]\n[category.none]\n\
                columns = [\"public.customers.id\", \"public.orders.id\"]\n\
                [[role]]\nname = \"support\"\nmatch = { user = [\"support\"] }\nsee = { phone = \"phone_last\" }\n";
    let rules = Arc::new(RuleSet::parse(&[RuleFile { path: "rules.toml".into(), text: text.into() }]).unwrap());
    let function = |name: &str| FunctionData {
        oid: Oid(30_000),
        schema: "public".to_owned(),
        name: name.to_owned(),
        volatility: 'i',
        extension: None,
        kind: 'f',
        security_definer: false,
        returns_set: false,
        out_names: Vec::new(),
        argument_types: Vec::new(),
        result_type: None,
        constructs: false,
        variadic: None,
        defaults: 0,
    };
    let operator = OperatorData {
        schema: "public".to_owned(),
        name: "~".to_owned(),
        extension: None,
        volatility: 'i',
        left: Some(Oid(1043)),
        right: Oid(25),
        result: None,
        functions: Vec::new(),
    };
    let left_of = |change: &dyn Fn(&mut CatalogData)| {
        let mut keeper = Keeper::default();
        keeper.catalog(catalog());
        assert!(keeper.try_rules(Some(&rules)).publish.is_some());
        let mut data = renamed();
        data.relations.push(table(20_009, "plain", &["id"]));
        change(&mut data);
        keeper.catalog(data);
        let outcome = keeper.try_rules(Some(&rules));
        assert!(outcome.reduced);
        names(&outcome).len()
    };
    assert_eq!(left_of(&|_| ()), 1);
    assert_eq!(left_of(&|data| data.functions.push(function("price_of"))), 1);
    assert_eq!(left_of(&|data| data.functions.push(function("right"))), 0);
    assert_eq!(left_of(&|data| data.operators.push(operator.clone())), 0);
}
