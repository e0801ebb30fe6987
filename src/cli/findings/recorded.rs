//! Findings about records of consent and refusal that do nothing, because the rules know no such purpose or category. In: what
//! the server counted. Out: findings. Invariant: a name is shown only where it looks like one.

use super::{MISSPELT, Pass};
use crate::{cli::output::Spot, diagnostic::suggestion, upstream::catalog::recorded::Counted};

pub(super) fn find(pass: &mut Pass<'_>) {
    let samples = pass.samples;
    for Counted { records, names } in &samples.misspelt {
        let what = records.what;
        for (name, count) in names {
            let shown =
                name.as_ref().map_or_else(|| "that looks like no name".to_owned(), |name| format!("\"{name}\""));
            let near =
                name.as_ref().and_then(|name| suggestion(name, "names", records.known.iter().map(String::as_str)));
            let many = if *count == 1 { "1 record has".to_owned() } else { format!("{count} records have") };
            let message = format!(
                "{many} a {what} {shown}, which is none of the rules', and no effect. {}",
                near.unwrap_or_else(|| format!("The rules know: {}.", records.known.join(", ")))
            );
            pass.add(MISSPELT, &records.table, message.trim_end(), Spot::of_origin(&records.origin, pass.files));
        }
    }
}
