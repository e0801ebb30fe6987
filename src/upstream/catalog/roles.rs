//! Stage `upstream`: what concerns the server as a whole: version, roles with their memberships, databases, settings.

use std::collections::{BTreeSet, HashMap};

use super::{CatalogError, Reader};
use crate::catalog::data::{CatalogData, RoleData, SettingData};

/// The oldest release whose catalogs have the columns that are read.
const OLDEST: u32 = 140_000;

/// `reset_val` is the value a session starts with. Where the service login or the database has a `search_path` of its
/// own, the server's is not visible to an ordinary role, and PostgreSQL's default is taken.
const SERVER: &str = "
SELECT pg_catalog.current_database()::pg_catalog.text, pg_catalog.current_setting('server_version_num'),
       pg_catalog.current_setting('server_encoding'),
       (SELECT CASE WHEN source IN ('database', 'user', 'database user', 'client') THEN boot_val ELSE reset_val END
          FROM pg_catalog.pg_settings WHERE name = 'search_path')";

const ROLES: &str = "SELECT oid, rolname::text, rolsuper, rolcanlogin FROM pg_roles ORDER BY oid";

const MEMBERSHIPS: &str = "SELECT DISTINCT member, roleid FROM pg_auth_members ORDER BY 1, 2";

const DATABASES: &str = "SELECT datname::text FROM pg_database WHERE datallowconn ORDER BY oid";

const SETTINGS: &str = "
SELECT d.datname::text, r.rolname::text, s.setconfig
  FROM pg_db_role_setting s
  LEFT JOIN pg_database d ON d.oid = s.setdatabase
  LEFT JOIN pg_roles r ON r.oid = s.setrole
 WHERE (s.setdatabase = 0 OR d.oid IS NOT NULL) AND (s.setrole = 0 OR r.oid IS NOT NULL)
 ORDER BY s.setdatabase, s.setrole";

/// A module that is loaded in no session yet has defined none: extensions count by their name.
const SETTING_CLASSES: &str = "
SELECT DISTINCT pg_catalog.lower(pg_catalog.split_part(name, '.', 1)) FROM pg_catalog.pg_settings WHERE name LIKE '%.%'
UNION SELECT pg_catalog.lower(extname::text) FROM pg_catalog.pg_extension ORDER BY 1";

pub(super) async fn read_server(reader: &Reader<'_>, data: &mut CatalogData) -> Result<(), CatalogError> {
    let rows = reader
        .rows("server settings", SERVER, |row| {
            // Read here: a cast from text to a number may be the database's own.
            let version: String = row.try_get(1)?;
            let path: Option<String> = row.try_get(3)?;
            Ok((row.try_get(0)?, version.parse().unwrap_or(0), row.try_get(2)?, path))
        })
        .await?;
    if let Some((database, version, encoding, path)) = rows.into_iter().next() {
        data.database = database;
        data.server_version_num = version;
        data.server_encoding = encoding;
        data.default_search_path = path.unwrap_or_else(|| "\"$user\", public".to_owned());
    }
    data.setting_classes = reader.rows("classes of settings", SETTING_CLASSES, |row| row.try_get(0)).await?;
    if data.server_version_num < OLDEST {
        return Err(CatalogError::Version { found: data.server_version_num });
    }
    Ok(())
}

pub(super) async fn read(reader: &Reader<'_>, data: &mut CatalogData) -> Result<(), CatalogError> {
    let roles: Vec<(u32, RoleData)> = reader
        .rows("roles", ROLES, |row| {
            let role = RoleData {
                name: row.try_get(1)?,
                superuser: row.try_get(2)?,
                can_login: row.try_get(3)?,
                member_of: Vec::new(),
            };
            Ok((row.try_get(0)?, role))
        })
        .await?;
    let memberships =
        reader.rows("role memberships", MEMBERSHIPS, |row| Ok((row.try_get(0)?, row.try_get(1)?))).await?;
    data.roles = with_memberships(roles, &memberships);
    data.databases = reader.rows("databases", DATABASES, |row| row.try_get(0)).await?;
    let settings = reader
        .rows("role and database settings", SETTINGS, |row| {
            let pairs: Option<Vec<String>> = row.try_get(2)?;
            Ok((row.try_get::<_, Option<String>>(0)?, row.try_get::<_, Option<String>>(1)?, pairs.unwrap_or_default()))
        })
        .await?;
    for (database, role, pairs) in settings {
        for pair in pairs {
            if let Some((name, value)) = pair.split_once('=') {
                data.settings.push(SettingData {
                    database: database.clone(),
                    role: role.clone(),
                    name: name.to_lowercase(),
                    value: value.to_owned(),
                });
            }
        }
    }
    Ok(())
}

/// Fills in all groups that each role belongs to, directly or not.
fn with_memberships(roles: Vec<(u32, RoleData)>, memberships: &[(u32, u32)]) -> Vec<RoleData> {
    let names: HashMap<u32, String> = roles.iter().map(|(oid, role)| (*oid, role.name.clone())).collect();
    let mut direct: HashMap<u32, Vec<u32>> = HashMap::new();
    for (member, group) in memberships {
        direct.entry(*member).or_default().push(*group);
    }
    roles
        .into_iter()
        .map(|(oid, mut role)| {
            let mut found = BTreeSet::new();
            let mut open = vec![oid];
            while let Some(next) = open.pop() {
                for group in direct.get(&next).into_iter().flatten() {
                    if *group != oid && found.insert(*group) {
                        open.push(*group);
                    }
                }
            }
            role.member_of = found.iter().filter_map(|group| names.get(group).cloned()).collect();
            role.member_of.sort_unstable();
            role
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::with_memberships;
    use crate::catalog::data::RoleData;

    fn role(oid: u32, name: &str) -> (u32, RoleData) {
        (oid, RoleData { name: name.to_owned(), superuser: false, can_login: true, member_of: Vec::new() })
    }

    #[test]
    fn memberships_are_transitive_and_end_in_a_circle() {
        let roles = vec![role(1, "a"), role(2, "b"), role(3, "c"), role(4, "d")];
        let roles = with_memberships(roles, &[(1, 2), (2, 3), (3, 2), (4, 9)]);
        let groups: Vec<&[String]> = roles.iter().map(|role| role.member_of.as_slice()).collect();
        assert_eq!(groups[0], ["b", "c"]);
        assert_eq!(groups[1], ["c"]);
        assert_eq!(groups[2], ["b"]);
        assert!(groups[3].is_empty(), "a group that is gone has no name");
    }
}
