//! Feeds arbitrary bytes to the parser of OpenMetrics.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/families.rs"]
mod families;
#[path = "../checks/openmetrics_parser.rs"]
mod openmetrics_parser;

fuzz_target!(|body: &[u8]| openmetrics_parser::check(body));
