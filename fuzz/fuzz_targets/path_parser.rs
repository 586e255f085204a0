//! Feeds arbitrary paths to the parser of grouping keys.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/path_parser.rs"]
mod path_parser;

fuzz_target!(|path: &[u8]| path_parser::check(path));
