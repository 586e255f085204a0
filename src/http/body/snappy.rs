//! Bodies compressed with snappy, in its framed format: a stream of chunks, each with a checksum.
//!
//! Such a stream has no end mark: one that is cut between two chunks is told only by the length of its
//! transfer.

use std::io::{self, ErrorKind};

use snap::Error;
use snap::read::FrameDecoder;

use super::memory::{Memory, Reservation};
use super::{BodyError, inflate};

/// Inflates `sent`, at most `bytes_max` bytes of it. Nothing at all is a stream without chunks.
pub(super) fn inflate(sent: &[u8], bytes_max: usize, memory: &mut Reservation) -> Result<Vec<u8>, BodyError> {
    inflate::inflate(FrameDecoder::new(sent), sent.len(), bytes_max, memory, defect)
}

/// Inflates a body like that of a push with `Content-Encoding: snappy`, to at most `bytes_max` bytes; the error
/// is the text that its sender gets.
pub fn unsnap(sent: &[u8], bytes_max: usize) -> Result<Vec<u8>, String> {
    // Room to spare: what is counted is rounded up.
    let memory = Memory::new(bytes_max.saturating_add(1 << 20));
    inflate(sent, bytes_max, &mut memory.reserve_nothing()).map_err(|error| error.to_string())
}

/// The texts begin with those of Pushgateway.
fn defect(error: &io::Error) -> BodyError {
    if error.kind() == ErrorKind::UnexpectedEof {
        return BodyError::UnexpectedEnd;
    }
    BodyError::Snappy(match error.get_ref().and_then(|error| error.downcast_ref::<Error>()) {
        Some(Error::UnsupportedChunkType { .. }) => {
            "unsupported input: a chunk has a type that must not be skipped"
        }
        Some(Error::Checksum { .. }) => "corrupt input: a chunk does not have its checksum",
        Some(Error::StreamHeader { .. } | Error::StreamHeaderMismatch { .. }) => {
            "corrupt input: not the framed format, which begins with ff 06 00 00 73 4e 61 50 70 59; a raw block is \
             not taken, so compress with the framed (stream) format"
        }
        _ => "corrupt input",
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::inflate::too_large;
    use super::*;

    fn snappy(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = snap::write::FrameEncoder::new(Vec::new());
        encoder.write_all(bytes).unwrap();
        encoder.into_inner().unwrap()
    }

    fn inflated(sent: &[u8], max: usize) -> Result<Vec<u8>, BodyError> {
        inflate(sent, max, &mut Memory::new(64 << 20).reserve_nothing())
    }

    #[test]
    fn streams_are_concatenated_and_empty_ones_count() {
        let sent = [snappy(b"a 1\n"), snappy(b""), snappy(b"b 2\n")].concat();
        assert_eq!(inflated(&sent, 100), Ok(b"a 1\nb 2\n".to_vec()));
        assert_eq!(inflated(b"", 0), Ok(Vec::new()));
    }

    #[test]
    fn every_cut_within_a_chunk_is_an_unexpected_end() {
        let sent = snappy(b"some_metric 1\n");
        let header = 10;
        for end in (1..sent.len()).filter(|end| *end != header) {
            assert_eq!(inflated(&sent[..end], 100), Err(BodyError::UnexpectedEnd), "cut at {end}");
        }
    }

    #[test]
    fn what_is_not_the_framed_format_or_follows_it_is_refused() {
        let raw = snap::raw::Encoder::new().compress_vec(b"some_metric 1\n").unwrap();
        for sent in [&raw[..], b"some_metric 1\n", b"\xff\x06\x00\x00sNaPpX"] {
            let error = inflated(sent, 100).unwrap_err().to_string();
            assert!(error.starts_with("snappy: corrupt input: not the framed format"), "{error}");
        }
        let sent = snappy(b"a 1\n");
        let junk = inflated(&[&sent[..], b"some junk"].concat(), 100).unwrap_err().to_string();
        assert!(junk.starts_with("snappy: "), "{junk}");
        let reserved = inflated(&[&sent[..], &[0x02, 0, 0, 0]].concat(), 100).unwrap_err().to_string();
        assert!(reserved.starts_with("snappy: unsupported input"), "{reserved}");
        let skippable = [&sent[..], &[0x80, 2, 0, 0, b'x', b'y'], &[0xfe, 1, 0, 0, 0]].concat();
        assert_eq!(inflated(&skippable, 100), Ok(b"a 1\n".to_vec()));
    }

    #[test]
    fn every_flipped_bit_of_the_data_is_noticed() {
        let text = b"some_metric 1\nanother_metric{a=\"b\"} 2\n".repeat(20);
        let sent = snappy(&text);
        for at in 0..sent.len() * 8 {
            let mut damaged = sent.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            if let Ok(bytes) = inflated(&damaged, 10_000) {
                // A chunk whose type has become one that is skipped is left out whole.
                assert!(bytes == text || bytes.is_empty(), "bit {at}");
            }
        }
    }

    #[test]
    fn the_limit_is_on_the_byte_and_a_bomb_stops_at_it() {
        let zeros = vec![b' '; 1 << 20];
        let sent = snappy(&zeros);
        assert_eq!(inflated(&sent, 1 << 20).map(|bytes| bytes.len()), Ok(1 << 20));
        assert_eq!(inflated(&sent, (1 << 20) - 1), Err(too_large((1 << 20) - 1)));
        assert_eq!(inflated(&sent, 10), Err(too_large(10)));
        let memory = Memory::new(512 << 10);
        assert_eq!(inflate(&sent, 1 << 20, &mut memory.reserve_nothing()), Err(BodyError::NoMemory));
        assert_eq!(unsnap(&sent, 1 << 20), Ok(zeros));
        assert_eq!(unsnap(&sent, 10), Err(too_large(10).to_string()));
    }
}
