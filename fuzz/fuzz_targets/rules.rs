//! Rule files.

#![no_main]

#[path = "../../tests/common/properties.rs"]
#[allow(dead_code, missing_docs, reason = "each target uses a part")]
mod properties;

libfuzzer_sys::fuzz_target!(|text: &str| properties::rules(text));
