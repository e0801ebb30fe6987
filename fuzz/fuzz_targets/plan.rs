//! Plans.

#![no_main]

#[path = "../../tests/common/properties.rs"]
#[allow(dead_code, missing_docs, reason = "each target uses a part")]
mod properties;

static PLANNER: std::sync::LazyLock<properties::Planner> = std::sync::LazyLock::new(properties::Planner::new);

libfuzzer_sys::fuzz_target!(|text: &str| {
    PLANNER.plan(text);
});
