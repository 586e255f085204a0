//! Feeds arbitrary texts to the parser of the web configuration file.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/web_config.rs"]
mod web_config;

fuzz_target!(|file: &[u8]| web_config::check(file));
