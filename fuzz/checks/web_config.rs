//! The check of the fuzz target `web_config`, shared with the test that replays its corpus: a web configuration file is
//! accepted, or refused with an error in one line, without control characters.

use tallygate::config::check_web_file;

/// Reads a file without those that it names. Panics where the error is not one that can be logged.
pub(crate) fn check(file: &[u8]) {
    let Ok(text) = str::from_utf8(file) else { return };
    if let Err(error) = check_web_file(text) {
        assert!(!error.is_empty(), "an error without a text");
        assert!(!error.contains(char::is_control), "{error:?}");
    }
}
