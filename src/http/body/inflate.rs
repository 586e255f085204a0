//! Inflating a body under a byte limit, whatever it is compressed with.
//!
//! Invariant: never more than the limit and one buffer is held; everything up to the last byte is checked.

use std::io::{self, ErrorKind, Read};

use super::memory::Reservation;
use super::{BodyError, INLINE_BYTES_MAX, Options, without_blocking};

/// Bytes inflated at a time.
const STEP_BYTES: usize = 32 << 10;

/// What the inflated size may be, exceeded.
pub(super) fn too_large(max: usize) -> BodyError {
    BodyError::TooLarge { what: "inflated body", max, flag: Options::INFLATED_BYTES_FLAG }
}

/// All that `decoder` makes of `sent_bytes` bytes, at most `bytes_max` of it. `defect` says what one of its
/// errors means.
pub(super) fn inflate(
    mut decoder: impl Read,
    sent_bytes: usize,
    bytes_max: usize,
    memory: &mut Reservation,
    defect: impl Fn(&io::Error) -> BodyError,
) -> Result<Vec<u8>, BodyError> {
    let mut inflated = Vec::new();
    // How large it is shows only on the way: the rest of a large one leaves the async threads alone.
    let mut step = |pause_at: usize| {
        let mut buffer = vec![0; STEP_BYTES];
        while inflated.len() < pause_at {
            let read = match decoder.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(defect(&error)),
            };
            if read > bytes_max - inflated.len() {
                return Err(too_large(bytes_max));
            }
            memory.add(read)?;
            inflated.extend_from_slice(&buffer[..read]);
        }
        Ok(false)
    };
    if !without_blocking(sent_bytes, || step(INLINE_BYTES_MAX))? {
        without_blocking(usize::MAX, || step(usize::MAX))?;
    }
    Ok(inflated)
}

/// What holds of each kind of compression whose streams may follow each other.
#[cfg(test)]
pub(super) mod checks {
    use super::*;

    type Inflated = Result<Vec<u8>, BodyError>;

    pub(in super::super) fn every_cut_is_an_unexpected_end(
        compress: impl Fn(&[u8]) -> Vec<u8>,
        inflated: impl Fn(&[u8], usize) -> Inflated,
    ) {
        let sent = compress(b"some_metric 1\n");
        assert_eq!(inflated(&[], 100), Err(BodyError::NothingToInflate));
        for end in 1..sent.len() {
            assert_eq!(inflated(&sent[..end], 100), Err(BodyError::UnexpectedEnd), "cut at {end}");
        }
        let two = [sent.clone(), sent.clone()].concat();
        for end in sent.len() + 1..two.len() {
            assert_eq!(inflated(&two[..end], 100), Err(BodyError::UnexpectedEnd), "cut at {end}");
        }
    }

    pub(in super::super) fn the_limit_is_on_the_byte_and_a_bomb_stops_at_it(
        compress: impl Fn(&[u8]) -> Vec<u8>,
        inflated: impl Fn(&[u8], usize) -> Inflated,
    ) {
        let sent = compress(&vec![b' '; 1 << 20]);
        assert!(sent.len() < 2_000, "{} bytes", sent.len());
        assert_eq!(inflated(&sent, 1 << 20).map(|bytes| bytes.len()), Ok(1 << 20));
        assert_eq!(inflated(&sent, (1 << 20) - 1), Err(too_large((1 << 20) - 1)));
        assert_eq!(inflated(&sent, 10), Err(too_large(10)));
    }
}
