//! Rule sets against catalogs built by hand.

use std::sync::Arc;

use crate::{
    bind::views::{ViewColumn, ViewLineage},
    catalog::{
        CatalogSnapshot,
        data::{CatalogData, FunctionData, InheritsData},
        testing::{database, role, table, view},
    },
    names::{AttNum, Oid},
    policy::{
        ColumnPolicy, LoginIdentity, Policy, RoleId, Treatment,
        rules::{RuleFile, RuleSet},
    },
};

const RULES: &str = r#"
policy = "test"
[category.none]
columns = ["public.customers.id"]
[category.phone]
columns = ["public.customers.phone"]
[category.name]
columns = ["public.customers.full_name"]
[[role]]
name = "packing"
match = { user = ["packing_app"], member_of = ["packing"] }
see = { name = "clear", phone = { mask = "partial", first = 3, last = 2 } }
[[role]]
name = "owner"
match = { user = "shop_owner" }
exempt = true
"#;

fn shop() -> (CatalogData, Oid) {
    let mut data = database();
    let columns = "id bigint not null, full_name varchar(100), phone varchar(20), note text";
    let customers = table(&mut data, "customers", columns);
    role(&mut data, "packing_app", &["packing"]);
    role(&mut data, "other", &[]);
    (data, customers)
}

fn compile(rules: &str, data: CatalogData) -> (Policy, Arc<CatalogSnapshot>) {
    let file = RuleFile { path: "rules.toml".into(), text: rules.into() };
    let catalog = CatalogSnapshot::new(data, 7);
    let rules = RuleSet::parse(&[file]).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let policy = rules.compile(&catalog).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    (policy, catalog)
}

fn labels(policy: &Policy, role: u16, relation: Oid) -> Vec<String> {
    let relation = policy.role(RoleId(role)).unwrap().relation(relation).unwrap();
    relation.columns.iter().map(|column: &ColumnPolicy| column.treatment.label().to_owned()).collect()
}

#[test]
fn classified_columns_are_treated_and_the_others_withheld() {
    let (data, customers) = shop();
    let (policy, catalog) = compile(RULES, data);
    assert_eq!(policy.catalog_version, 7);
    assert_eq!(labels(&policy, 0, customers), ["clear", "clear", "partial(3,2)", "withhold"]);
    assert_eq!(labels(&policy, 1, customers), ["clear"; 4]);
    let governed = policy.role(RoleId(0)).unwrap().relation(customers).unwrap();
    let Treatment::Mask(mask) = &governed.columns[2].treatment else { panic!("no mask") };
    assert_eq!(
        mask.sql.fill("c.phone"),
        "CASE WHEN length(c.phone)<10 THEN left('*****',length(left(c.phone,1))*5) ELSE \
         left(c.phone,3)||'*****'||right(c.phone,2) END::varchar(20)"
    );
    assert_eq!(&*governed.columns[2].rule, "rules.toml:12");
    let who =
        |user: &str| LoginIdentity { user: user.into(), database: "shop".into(), application_name: String::new() };
    assert_eq!(policy.role_for(&who("packing_app"), &catalog), Some(RoleId(0)));
    assert_eq!(policy.role_for(&who("shop_owner"), &catalog), Some(RoleId(1)));
    assert_eq!(policy.role_for(&who("other"), &catalog), None);
}

#[test]
fn what_shadows_a_builtin_is_kept_out_by_qualification() {
    let (mut data, customers) = shop();
    data.functions.push(FunctionData {
        oid: Oid(20000),
        schema: "public".into(),
        name: "left".into(),
        volatility: 'v',
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
    });
    let (policy, _) = compile(RULES, data);
    let governed = policy.role(RoleId(0)).unwrap().relation(customers).unwrap();
    let Treatment::Mask(mask) = &governed.columns[2].treatment else { panic!("no mask") };
    let sql = mask.sql.fill("c.phone");
    assert!(sql.contains("pg_catalog.left(c.phone,3)||'*****'||right("), "{sql}");
}

#[test]
fn inheritance_relatives_share_the_strictest_treatment_by_name() {
    let (mut data, customers) = shop();
    let child = table(&mut data, "customers_2024", "note text, phone text, id bigint, extra text");
    data.inherits.push(InheritsData { child, parent: customers });
    let rules = RULES.replace(
        "[[role]]\nname = \"packing\"",
        "[category.note]\ncolumns = [\"public.customers_2024.note\"]\n[[role]]\nname = \"packing\"",
    );
    let rules = rules.replace("see = {", "see = { note = \"refuse\",");
    let (policy, _) = compile(&rules, data);
    assert_eq!(labels(&policy, 0, customers), ["clear", "clear", "partial(3,2)", "refuse"]);
    assert_eq!(labels(&policy, 0, child), ["refuse", "partial(3,2)", "clear", "withhold"]);
}

#[test]
fn two_categories_of_a_name_meet_in_the_stricter() {
    let (mut data, customers) = shop();
    let child = table(&mut data, "customers_2024", "id bigint, phone varchar(20)");
    data.inherits.push(InheritsData { child, parent: customers });
    let rules = RULES
        .replace("\"public.customers.full_name\"", "\"public.customers.full_name\", \"public.customers_2024.phone\"");
    let (policy, _) = compile(&rules, data);
    assert_eq!(labels(&policy, 0, child), ["clear", "partial(3,2)"], "the parent's mask wins over the child's clear");
    assert_eq!(labels(&policy, 0, customers)[2], "partial(3,2)");
}

#[test]
fn a_view_that_is_not_understood_is_refused_only_where_it_reaches_protected_data() {
    let (mut data, customers) = shop();
    let products = table(&mut data, "products", "id bigint, title text");
    let over_customers = view(&mut data, "v1", "x text", "SELECT nonsense", &[customers]);
    let over_view = view(&mut data, "v2", "x text", "SELECT nonsense", &[over_customers]);
    let free = view(&mut data, "v3", "x text", "SELECT nonsense", &[products]);
    let (policy, _) = compile(RULES, data);
    let packing = policy.role(RoleId(0)).unwrap();
    assert!(packing.relation(over_customers).unwrap().refuse.is_some());
    assert!(packing.relation(over_view).unwrap().refuse.is_some());
    assert!(packing.relation(free).is_none());
    assert!(policy.role(RoleId(1)).unwrap().relation(over_customers).unwrap().refuse.is_none(), "exempt");
}

#[test]
fn a_view_whose_columns_are_all_classified_needs_no_understanding() {
    let (mut data, customers) = shop();
    let v = view(&mut data, "v1", "tel varchar(20), n bigint", "SELECT nonsense", &[customers]);
    let rules = RULES.replace("\"public.customers.phone\"", "\"public.customers.phone\", \"public.v1.tel\"");
    let rules = rules.replace("\"public.customers.id\"", "\"public.customers.id\", \"public.v1.n\"");
    let (policy, _) = compile(&rules, data);
    assert_eq!(labels(&policy, 0, v), ["partial(3,2)", "clear"]);
    assert!(policy.role(RoleId(0)).unwrap().relation(v).unwrap().refuse.is_none());
}

#[test]
fn a_view_that_calls_an_unlisted_function_is_refused() {
    let (mut data, _) = shop();
    let v = view(&mut data, "v1", "x text", "SELECT f()", &[]);
    data.relations.last_mut().unwrap().uses_functions = vec![Oid(20000)];
    let (policy, _) = compile(RULES, data);
    assert!(policy.role(RoleId(0)).unwrap().relation(v).unwrap().refuse.is_some());
}

/// `id`, `tel` handed through, `both` computed from name and phone, `n` computed from the id, `one` from nothing.
fn lineage_of(source: Oid) -> ViewLineage {
    let at = |n: i16| (source, AttNum(n));
    let plain = |n: i16| ViewColumn { plain: Some(at(n)), sources: vec![at(n)] };
    let from = |sources: &[i16]| ViewColumn { plain: None, sources: sources.iter().map(|n| at(*n)).collect() };
    let columns = vec![plain(1), plain(3), from(&[2, 3]), from(&[1]), from(&[])];
    ViewLineage { columns, decides: vec![at(1)] }
}

fn compile_lineage(rules: &str, data: CatalogData, views: &[(Oid, Oid)]) -> Result<Policy, String> {
    let file = RuleFile { path: "rules.toml".into(), text: rules.into() };
    let catalog = CatalogSnapshot::new(data, 7);
    let rules = RuleSet::parse(&[file]).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let views = views.to_vec();
    super::compile_with(&rules, &catalog, &move |_, oid| {
        let found = views.iter().find(|(view, _)| *view == oid);
        found.map(|(_, source)| lineage_of(*source)).ok_or_else(|| "unknown".to_owned())
    })
    .map_err(|diagnostics| diagnostics.to_string())
}

const VIEW: &str = "id bigint, tel varchar(20), both text, n bigint, one int";

#[test]
fn view_columns_take_what_they_hand_through_and_withhold_what_they_compute() {
    let (mut data, customers) = shop();
    let v = view(&mut data, "v", VIEW, "", &[customers]);
    let policy = compile_lineage(RULES, data, &[(v, customers)]).unwrap();
    assert_eq!(labels(&policy, 0, v), ["clear", "partial(3,2)", "withhold", "clear", "clear"]);
    assert_eq!(labels(&policy, 1, v), ["clear"; 5]);
    let governed = policy.role(RoleId(0)).unwrap().relation(v).unwrap();
    assert_eq!(governed.columns[1].category.as_deref(), Some("phone"));
    assert!(governed.columns[2].personal && governed.columns[2].category.is_none());
    assert!(governed.refuse.is_none());
}

#[test]
fn views_over_views_are_judged_whatever_the_order_of_the_catalog() {
    let (mut data, customers) = shop();
    // The upper view stands before the lower one.
    let upper = view(&mut data, "upper", VIEW, "", &[]);
    let lower = view(&mut data, "lower", "a bigint, b text, c varchar(20), d text, e text", "", &[customers]);
    data.relations[1].uses_columns =
        vec![crate::catalog::data::UsesColumn { relation: lower, column: Some(AttNum(2)) }];
    // lower: id, phone, both, n, one; upper hands through 1 (id) and 3 (both).
    let policy = compile_lineage(RULES, data, &[(upper, lower), (lower, customers)]).unwrap();
    assert_eq!(labels(&policy, 0, upper), ["clear", "withhold", "withhold", "clear", "clear"]);
}

#[test]
fn views_whose_rows_depend_on_what_is_hidden_are_refused() {
    for (definition, refused) in [
        ("SELECT id FROM public.customers WHERE phone LIKE '09%'", true),
        ("SELECT id FROM public.customers WHERE full_name LIKE 'A%'", false),
        ("SELECT row_number() OVER (ORDER BY phone) AS id FROM public.customers", true),
        ("SELECT count(*) AS id FROM public.customers GROUP BY phone", true),
        ("SELECT DISTINCT phone AS id FROM public.customers", true),
        ("SELECT phone AS id FROM public.customers UNION SELECT 'x'", true),
        ("SELECT phone AS id FROM public.customers UNION ALL SELECT 'x'", false),
        ("SELECT id FROM public.customers a WHERE EXISTS (SELECT 1 FROM public.customers b WHERE b.phone = 'x')", true),
        ("SELECT id FROM public.customers ORDER BY note", true),
        ("SELECT a.id FROM public.customers a JOIN public.customers b USING (phone)", true),
        ("SELECT a.id FROM public.customers a JOIN public.customers b USING (id)", false),
        ("SELECT id FROM public.customers LIMIT 3", false),
    ] {
        let (mut data, customers) = shop();
        let v = view(&mut data, "v", "id varchar(20)", definition, &[customers]);
        let upper = view(&mut data, "upper", "id varchar(20)", "SELECT v.id FROM public.v", &[v]);
        let (policy, _) = compile(RULES, data.clone());
        for oid in [v, upper] {
            let refuse = |role| policy.role(RoleId(role)).unwrap().relation(oid).and_then(|view| view.refuse.clone());
            assert_eq!(refuse(0).is_some(), refused, "{definition}: {:?}", refuse(0));
            assert_eq!(refuse(1), None, "exempt");
        }
        let explicit = RULES.replace("\"public.customers.id\"", "\"public.customers.id\", \"public.v.id\"");
        let (policy, _) = compile(&explicit, data);
        let refuse = |oid| policy.role(RoleId(0)).unwrap().relation(oid).and_then(|view| view.refuse.clone());
        assert_eq!((refuse(v), refuse(upper)), (None, None), "{definition}: the rules vouch for the view");
    }
}

#[test]
fn rules_can_name_a_computed_column() {
    let (mut data, customers) = shop();
    let v = view(&mut data, "v", VIEW, "", &[customers]);
    let rules = RULES.replace("\"public.customers.full_name\"", "\"public.customers.full_name\", \"public.v.both\"");
    let policy = compile_lineage(&rules, data, &[(v, customers)]).unwrap();
    assert_eq!(labels(&policy, 0, v)[2], "clear", "name is seen in clear");
}

#[test]
fn a_mask_is_made_for_the_type_of_the_view_column() {
    let (mut data, customers) = shop();
    let v = view(&mut data, "v", "id bigint, tel varchar(4), both text, n bigint, one int", "", &[customers]);
    let error = compile_lineage(RULES, data, &[(v, customers)]).unwrap_err();
    assert!(error.contains("does not fit column public.v.tel"), "{error}");
    assert!(error.contains("classify public.v.tel itself"), "{error}");
}

#[test]
fn a_lineage_of_another_length_is_not_understood() {
    let (mut data, customers) = shop();
    let v = view(&mut data, "v", "id bigint", "", &[customers]);
    let policy = compile_lineage(RULES, data, &[(v, customers)]).unwrap();
    assert!(policy.role(RoleId(0)).unwrap().relation(v).unwrap().refuse.is_some());
}

#[test]
fn every_key_of_match_must_match() {
    let (mut data, _) = shop();
    role(&mut data, "web", &["staff", "people"]);
    let rules = RULES.replace(
        "match = { user = [\"packing_app\"], member_of = [\"packing\"] }",
        "match = { member_of = [\"packing\", \"staff\"], database = \"shop\", application_name = [\"a\", \"b\"] }",
    );
    let (policy, catalog) = compile(rules.split("[[role]]\nname = \"owner\"").next().unwrap(), data);
    let matches = |user: &str, database: &str, application_name: &str| {
        let who =
            LoginIdentity { user: user.into(), database: database.into(), application_name: application_name.into() };
        policy.role_for(&who, &catalog).is_some()
    };
    assert!(matches("web", "shop", "a") && matches("packing_app", "shop", "b"));
    assert!(!matches("web", "other", "a"), "database");
    assert!(!matches("web", "shop", ""), "application_name");
    assert!(!matches("other", "shop", "a"), "member_of");
    assert!(!matches("ghost", "shop", "a"), "a role that the catalog does not hold");
}

#[test]
fn monitoring_views_are_refused_in_any_schema() {
    let (mut data, customers) = shop();
    let mut statements = data.relations.iter().find(|relation| relation.oid == customers).unwrap().clone();
    statements.oid = Oid(29_999);
    statements.name = "pg_stat_statements".to_owned();
    data.relations.push(statements);
    let (policy, _) = compile(RULES, data);
    let governed = policy.role(RoleId(0)).unwrap().relation(Oid(29_999)).unwrap();
    assert!(governed.refuse.is_some() && governed.protected);
    assert!(governed.columns.iter().all(|column| column.treatment == Treatment::Withhold));
    assert!(policy.role(RoleId(1)).unwrap().relation(Oid(29_999)).is_none(), "exempt");
}
