//! The check of the fuzz target `snappy_body`, shared with the test that replays its corpus: a body is inflated
//! within its limit, to the byte, or refused with a text.

use std::io::Write as _;

use tallygate::http::unsnap;

/// The bytes that a body may have once it is inflated.
const BYTES_MAX: usize = 1 << 20;

/// Inflates, with limits around what comes out, and inflates it compressed anew. Panics where these differ.
pub(crate) fn check(body: &[u8]) {
    let bytes = match unsnap(body, BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) => return assert!(!error.is_empty()),
    };
    assert!(bytes.len() <= BYTES_MAX);
    assert_eq!(unsnap(body, bytes.len()).as_ref(), Ok(&bytes));
    if let Some(less) = bytes.len().checked_sub(1) {
        assert!(unsnap(body, less).is_err(), "more than the limit of {less} bytes");
    }
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(&bytes).expect("a vector can be written");
    let sent = encoder.into_inner().expect("a vector can be written");
    assert_eq!(unsnap(&sent, BYTES_MAX), Ok(bytes));
}
