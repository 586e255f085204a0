//! Feeds arbitrary bytes to the parser of protobuf bodies.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/families.rs"]
mod families;
#[path = "../checks/protobuf_parser.rs"]
mod protobuf_parser;

fuzz_target!(|body: &[u8]| protobuf_parser::check(body));
