//! What the demo asks, and what the answer must be. In: the logins of the shop, the rules. Out: answers through the proxy,
//! each judged against the server's own data with the rule's masks put on by hand. Invariant: an answer that shows more, or
//! less, than the rules say is a complaint.

use std::sync::Arc;

use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::shop;
use crate::{
    engine::Inputs,
    names::quote_literal,
    policy::{ColumnPolicy, LoginIdentity, RoleId, RolePolicy, Search, Treatment, compiled::Row},
};

/// The logins, in the order in which they are shown, with what they are.
pub const LOGINS: &[(&str, &str)] = &[
    ("shop_owner", "database owner, exempt"),
    ("packing_app", "packing"),
    ("order_processing_app", "order processing"),
    ("customer_care_app", "customer care"),
    ("service_development_app", "statistics"),
    ("carrier_app", "carrier"),
    ("payment_app", "payment provider"),
    ("marketing_app", "marketing"),
    ("authority_app", "authority"),
];

/// A column of a scene: table's alias, table, name.
type Place = (&'static str, &'static str, &'static str);

/// One statement that every login sends.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// What it is about.
    pub title: &'static str,
    columns: &'static [Place],
    from: &'static str,
    /// Aliases and tables in `from`.
    tables: &'static [(&'static str, &'static str)],
    /// Fixed conditions, on columns that are not personal.
    condition: &'static str,
    /// A personal column compared with a literal.
    search: Option<(Place, &'static str)>,
}

/// What is shown.
pub const SCENES: &[Scene] = &[
    Scene {
        title: "A customer",
        columns: &[
            ("c", "customers", "full_name"),
            ("c", "customers", "phone"),
            ("c", "customers", "email"),
            ("c", "customers", "birth_date"),
        ],
        from: "customers c",
        tables: &[("c", "customers")],
        condition: "c.id = 1",
        search: None,
    },
    Scene {
        title: "Her order",
        columns: &[
            ("o", "orders", "order_no"),
            ("o", "orders", "ship_phone"),
            ("o", "orders", "ship_address"),
            ("s", "shipments", "tracking_no"),
        ],
        from: "orders o JOIN shipments s ON s.order_id = o.id",
        tables: &[("o", "orders"), ("s", "shipments")],
        condition: "o.id = 1",
        search: None,
    },
    Scene {
        title: "Her payment",
        columns: &[
            ("p", "payments", "card_pan"),
            ("p", "payments", "card_holder"),
            ("p", "payments", "bank_account"),
            ("p", "payments", "status"),
        ],
        from: "payments p",
        tables: &[("p", "payments")],
        condition: "p.order_id = 1",
        search: None,
    },
    Scene {
        title: "Her warranty claim",
        columns: &[("w", "warranty_claims", "description"), ("w", "warranty_claims", "video_url")],
        from: "warranty_claims w",
        tables: &[("w", "warranty_claims")],
        condition: "w.order_id = 1",
        search: None,
    },
    Scene {
        title: "One who agreed to marketing, one who asked to be erased, one who declines to give a telephone number",
        columns: &[
            ("c", "customers", "id"),
            ("c", "customers", "full_name"),
            ("c", "customers", "phone"),
            ("c", "customers", "email"),
        ],
        from: "customers c",
        tables: &[("c", "customers")],
        condition: "c.id IN (1, 2, 3) ORDER BY c.id",
        search: None,
    },
    Scene {
        title: "Who has this telephone number?",
        columns: &[("c", "customers", "id"), ("c", "customers", "full_name"), ("c", "customers", "phone")],
        from: "customers c",
        tables: &[("c", "customers")],
        condition: "",
        search: Some((("c", "customers", "phone"), "0901234567")),
    },
];

/// What a login got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Rows of values.
    Rows(Vec<Vec<Option<String>>>),
    /// An error: SQLSTATE, message and hint.
    Error(String, String, String),
}

impl Scene {
    /// The statement as an application writes it.
    pub fn sql(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|(alias, _, name)| format!("{alias}.{name}")).collect();
        let search = self.search.map(|((alias, _, name), value)| format!("{alias}.{name} = {}", quote_literal(value)));
        self.statement(&columns, search)
    }

    /// Names of the columns.
    pub fn heads(&self) -> Vec<&'static str> {
        self.columns.iter().map(|(_, _, name)| *name).collect()
    }

    fn statement(&self, columns: &[String], search: Option<String>) -> String {
        let condition = search.unwrap_or_else(|| self.condition.to_owned());
        self.with_condition(columns, &condition)
    }

    fn with_condition(&self, columns: &[String], condition: &str) -> String {
        format!("SELECT {} FROM {} WHERE {condition}", columns.join(", "), self.from)
    }

    /// The statement whose answer, on the server itself, is what `role` may see; none when it must be refused.
    fn expected(&self, role: &RolePolicy, inputs: &Inputs) -> Option<String> {
        let mut columns = Vec::new();
        for place in self.columns {
            columns.push(seen(*place, role, inputs)?);
        }
        let search = match self.search {
            None => None,
            Some((place, value)) => {
                let (alias, _, name) = place;
                let column = column_policy(place, role, inputs);
                let operand = match column.map(|column| (&column.treatment, column.search)) {
                    None | Some((Treatment::Clear, _) | (_, Search::Exact)) => format!("{alias}.{name}"),
                    Some((_, Search::Refuse)) => return None,
                    Some((_, Search::Masked)) => seen(place, role, inputs)?,
                };
                Some(format!("{operand} = {}", quote_literal(value)))
            }
        };
        let mut condition = search.unwrap_or_else(|| self.condition.to_owned());
        for (alias, table) in self.tables {
            let relation = inputs.catalog.relation_named("public", table)?;
            if let Some(scope) = role.relation(relation.oid).and_then(|policy| policy.scope.as_ref()) {
                condition = format!("({}) AND {condition}", scope.sql.fill_row("", Row { name: alias, few: false }));
            }
        }
        Some(self.with_condition(&columns, &condition))
    }
}

fn column_policy<'a>((_, table, name): Place, role: &'a RolePolicy, inputs: &Inputs) -> Option<&'a ColumnPolicy> {
    let relation = inputs.catalog.relation_named("public", table)?;
    let position = relation.columns.iter().position(|column| column.name == name)?;
    role.relation(relation.oid)?.columns.get(position)
}

/// SQL for what `role` sees of a column; none when it is refused.
fn seen(place: Place, role: &RolePolicy, inputs: &Inputs) -> Option<String> {
    let column = format!("{}.{}", place.0, place.2);
    match column_policy(place, role, inputs).map(|column| &column.treatment) {
        None | Some(Treatment::Clear) => Some(column),
        Some(Treatment::Mask(mask)) => Some(mask.sql.fill_row(&column, Row { name: place.0, few: false })),
        Some(Treatment::Withhold) => Some("NULL::text".to_owned()),
        Some(Treatment::Refuse) => None,
    }
}

/// The policy role of a login of the shop.
pub fn role_of<'a>(login: &str, inputs: &'a Inputs) -> Option<(RoleId, &'a RolePolicy)> {
    let who = LoginIdentity {
        user: login.to_owned(),
        database: shop::DATABASE.to_owned(),
        application_name: "demo".to_owned(),
    };
    let id = inputs.policy.role_for(&who, &inputs.catalog)?;
    Some((id, inputs.policy.role(id)?))
}

/// A session; it ends when the client is dropped.
///
/// # Errors
/// What the server or the proxy said.
pub async fn connect(host: &str, port: u16, login: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config.host(host).port(port).user(login).password(shop::PASSWORD).dbname(shop::DATABASE).application_name("demo");
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move {
        // Its end shows in the client.
        let _ = connection.await;
    });
    Ok(client)
}

/// What the server answers; a lost connection is an answer too.
pub async fn ask(client: &Client, sql: &str) -> Answer {
    match client.simple_query(sql).await {
        Ok(messages) => {
            let mut rows = Vec::new();
            for message in messages {
                if let SimpleQueryMessage::Row(row) = message {
                    rows.push((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect());
                }
            }
            Answer::Rows(rows)
        }
        Err(error) => refusal(&error).unwrap_or_else(|| {
            Answer::Error("08006".to_owned(), format!("the connection was lost: {error}"), String::new())
        }),
    }
}

/// The error as the server or the proxy put it; none when there was no answer.
pub fn refusal(error: &tokio_postgres::Error) -> Option<Answer> {
    error.as_db_error().map(|error| {
        Answer::Error(
            error.code().code().to_owned(),
            error.message().to_owned(),
            error.hint().unwrap_or_default().to_owned(),
        )
    })
}

/// What is wrong with an answer; none when it is what the rules say. `direct` is the superuser's session on the server.
pub async fn complaint(
    scene: &Scene,
    login: &str,
    answer: &Answer,
    direct: &Client,
    inputs: &Arc<Inputs>,
) -> Option<String> {
    let expected = match role_of(login, inputs) {
        None => None,
        Some((_, role)) => match scene.expected(role, inputs) {
            None => None,
            Some(sql) => Some(ask(direct, &sql).await),
        },
    };
    // Values are invented and printed above; still only who and where is said.
    match (expected, answer) {
        (None, Answer::Error(sqlstate, _, _)) if sqlstate == "42501" || sqlstate == "28000" => None,
        (None, _) => Some(format!("{login}: \"{}\" was not refused as the rules say", scene.title)),
        (Some(expected), answer) if expected == *answer => None,
        (Some(_), Answer::Error(sqlstate, message, _)) => {
            Some(format!("{login}: \"{}\" failed: {message} ({sqlstate})", scene.title))
        }
        (Some(_), Answer::Rows(_)) => Some(format!("{login}: \"{}\" is not what the rules say", scene.title)),
    }
}
