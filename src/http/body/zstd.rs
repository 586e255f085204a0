//! Bodies compressed with zstd.
//!
//! Invariant: frames of one stream are concatenated; a frame that needs a larger window than RFC 9659 lets a
//! `Content-Encoding` have is refused before memory is taken for it.

use std::io::{self, ErrorKind};

use zstd::stream::read::Decoder;

use super::memory::Reservation;
use super::{BodyError, inflate};

/// The logarithm of the bytes of a window, at most: 8 MiB, as RFC 9659 has it.
const WINDOW_LOG_MAX: u32 = 23;

/// Inflates `sent`, at most `bytes_max` bytes of it.
pub(super) fn inflate(sent: &[u8], bytes_max: usize, memory: &mut Reservation) -> Result<Vec<u8>, BodyError> {
    if sent.is_empty() {
        return Err(BodyError::NothingToInflate);
    }
    let mut decoder = Decoder::with_buffer(sent).map_err(|error| defect(&error))?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(|error| defect(&error))?;
    // What the decoder looks back on, which it holds beside what has been inflated.
    let mut window = memory.for_a_while();
    window.add(bytes_max.min(1 << WINDOW_LOG_MAX))?;
    inflate::inflate(decoder, sent.len(), bytes_max, memory, defect)
}

fn defect(error: &io::Error) -> BodyError {
    match error.kind() {
        ErrorKind::UnexpectedEof => BodyError::UnexpectedEnd,
        _ => BodyError::Zstd(format!("corrupt input: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::Memory;
    use super::super::inflate::checks;
    use super::*;

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 3).unwrap()
    }

    fn inflated(sent: &[u8], max: usize) -> Result<Vec<u8>, BodyError> {
        inflate(sent, max, &mut Memory::new(64 << 20).reserve_nothing())
    }

    #[test]
    fn frames_are_concatenated_and_empty_ones_count() {
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, b'x', b'y'];
        let sent = [zstd(b"a 1\n"), zstd(b""), skippable.to_vec(), zstd(b"b 2\n")].concat();
        assert_eq!(inflated(&sent, 100), Ok(b"a 1\nb 2\n".to_vec()));
        assert_eq!(inflated(&zstd(b""), 0), Ok(Vec::new()));
    }

    #[test]
    fn every_cut_is_an_unexpected_end() {
        checks::every_cut_is_an_unexpected_end(zstd, inflated);
    }

    #[test]
    fn what_is_not_zstd_or_follows_it_is_refused() {
        let sent = zstd(b"a 1\n");
        for sent in
            [b"some_metric 1\n".to_vec(), [&sent[..], b"some more junk"].concat(), [&sent[..], b"x"].concat()]
        {
            let error = inflated(&sent, 100).unwrap_err().to_string();
            assert!(error.starts_with("zstd: corrupt input: "), "{error}");
        }
    }

    #[test]
    fn damage_is_noticed_by_the_checksum() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(b"some_metric 1\n").unwrap();
        let mut sent = encoder.finish().unwrap();
        assert!(inflated(&sent, 100).is_ok());
        *sent.last_mut().unwrap() ^= 1;
        assert!(matches!(inflated(&sent, 100), Err(BodyError::Zstd(_))));
    }

    #[test]
    fn the_limit_is_on_the_byte_and_a_bomb_stops_at_it() {
        checks::the_limit_is_on_the_byte_and_a_bomb_stops_at_it(zstd, inflated);
    }

    #[test]
    fn a_large_window_is_refused_and_a_small_memory_too() {
        let with_window = |log| {
            let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
            encoder.set_parameter(zstd::zstd_safe::CParameter::WindowLog(log)).unwrap();
            encoder.write_all(b"some_metric 1\n").unwrap();
            encoder.finish().unwrap()
        };
        assert_eq!(inflated(&with_window(WINDOW_LOG_MAX), 100), Ok(b"some_metric 1\n".to_vec()));
        assert!(matches!(inflated(&with_window(WINDOW_LOG_MAX + 1), 100), Err(BodyError::Zstd(_))));
        let memory = Memory::new(512 << 10);
        let refused = inflate(&zstd(b"a 1\n"), 1 << 20, &mut memory.reserve_nothing());
        assert_eq!(refused, Err(BodyError::NoMemory));
    }
}
