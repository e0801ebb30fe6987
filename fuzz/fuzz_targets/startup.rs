//! Start-up packets.

#![no_main]

#[path = "../../tests/common/properties.rs"]
#[allow(dead_code, missing_docs, reason = "each target uses a part")]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::startup_packet(bytes));
