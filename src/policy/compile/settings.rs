//! Settings of applications that a role may set. In: the names in its rule, and the classes of settings that the database knows. Out: the
//! names that are an application's own, complaints about others.

use std::sync::Arc;

use crate::{
    catalog::CatalogSnapshot,
    policy::{
        decode_role,
        rules::{Complaints, RoleRule},
        settings::own_setting,
    },
};

/// The settings that the role may set. One whose class an extension of the database has taken is complained about, and left out.
pub(super) fn settings(role: &RoleRule, catalog: &CatalogSnapshot, complaints: &mut Complaints<'_>) -> Arc<[String]> {
    let mut allowed = Vec::new();
    for (name, at) in role.own_settings.iter() {
        match own_setting(name, &catalog.data().setting_classes) {
            Ok(()) => allowed.push(name.clone()),
            Err(why) => {
                complaints.add_with_help(
                    *at,
                    format!("setting \"{name}\" cannot be given to a role: {why}"),
                    decode_role::HELP,
                );
            }
        }
    }
    allowed.into()
}
