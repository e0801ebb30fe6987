//! Findings about records of consent and refusal that do nothing, because the rules know no such purpose or category. In: what
//! the server counted. Out: findings. Invariant: no name that was read is shown; the nearest that the rules know is.

use std::collections::BTreeMap;

use super::{MISSPELT, Pass};
use crate::{cli::output::Spot, diagnostic::suggestion, upstream::catalog::recorded::Counted};

pub(super) fn find(pass: &mut Pass<'_>) {
    let samples = pass.samples;
    for Counted { records, names } in &samples.misspelt {
        let mut by_nearest: BTreeMap<Option<String>, i64> = BTreeMap::new();
        for (name, count) in names {
            let near = suggestion(name, "names", records.known.iter().map(String::as_str));
            // A list of all that is known is no hint at one.
            let near = near.filter(|near| near.starts_with("Did you mean"));
            *by_nearest.entry(near).or_default() += count;
        }
        for (near, count) in by_nearest {
            let many = if count == 1 { "1 record has".to_owned() } else { format!("{count} records have") };
            let message = format!(
                "{many} a {} (column {}) which is none of the rules', and no effect. {}",
                records.what,
                records.column,
                near.unwrap_or_else(|| format!("The rules know: {}.", records.known.join(", ")))
            );
            pass.add(MISSPELT, &records.table, message.trim_end(), Spot::of_origin(&records.origin, pass.files));
        }
    }
}
