//! Feeds arbitrary bytes to the text format's parser.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/families.rs"]
mod families;
#[path = "../checks/text_parser.rs"]
mod text_parser;

fuzz_target!(|body: &[u8]| text_parser::check(body));
