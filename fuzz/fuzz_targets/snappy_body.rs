//! Feeds arbitrary bytes to the inflating of snappy bodies.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/snappy_body.rs"]
mod snappy_body;

fuzz_target!(|body: &[u8]| snappy_body::check(body));
