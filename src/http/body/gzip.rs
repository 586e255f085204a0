//! Bodies compressed with gzip.
//!
//! Invariant: members of one stream are concatenated.

use std::io::{self, ErrorKind};

use flate2::bufread::MultiGzDecoder;

use super::memory::Reservation;
use super::{BodyError, inflate};

/// Inflates `sent`, at most `bytes_max` bytes of it.
pub(super) fn inflate(sent: &[u8], bytes_max: usize, memory: &mut Reservation) -> Result<Vec<u8>, BodyError> {
    if sent.is_empty() {
        return Err(BodyError::NothingToInflate);
    }
    inflate::inflate(MultiGzDecoder::new(sent), sent.len(), bytes_max, memory, defect)
}

/// The texts of Pushgateway where it has one.
fn defect(error: &io::Error) -> BodyError {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::UnexpectedEof => BodyError::UnexpectedEnd,
        _ if text.contains("header") => BodyError::Gzip("invalid header".to_owned()),
        _ if text.contains("checksum") => BodyError::Gzip("invalid checksum".to_owned()),
        _ => BodyError::Gzip(format!("corrupt input: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::super::Memory;
    use super::super::inflate::checks;
    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn inflated(sent: &[u8], max: usize) -> Result<Vec<u8>, BodyError> {
        inflate(sent, max, &mut Memory::new(64 << 20).reserve_nothing())
    }

    #[test]
    fn members_are_concatenated_and_empty_ones_count() {
        let sent = [gzip(b"a 1\n"), gzip(b""), gzip(b"b 2\n")].concat();
        assert_eq!(inflated(&sent, 100), Ok(b"a 1\nb 2\n".to_vec()));
        assert_eq!(inflated(&gzip(b""), 0), Ok(Vec::new()));
    }

    #[test]
    fn every_cut_is_an_unexpected_end() {
        checks::every_cut_is_an_unexpected_end(gzip, inflated);
    }

    #[test]
    fn what_is_not_gzip_or_follows_it_is_refused() {
        let invalid_header = Err(BodyError::Gzip("invalid header".to_owned()));
        assert_eq!(inflated(b"some_metric 1\n", 100), invalid_header);
        assert_eq!(inflated(&[gzip(b"a 1\n"), b"some more junk".to_vec()].concat(), 100), invalid_header);
        assert_eq!(inflated(&[gzip(b"a 1\n"), vec![0; 16]].concat(), 100), invalid_header);
    }

    #[test]
    fn every_flipped_bit_behind_the_header_is_noticed() {
        let text = b"some_metric 1\nanother_metric{a=\"b\"} 2\n";
        let sent = gzip(text);
        for at in 10 * 8..sent.len() * 8 {
            let mut damaged = sent.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            if let Ok(bytes) = inflated(&damaged, 1_000) {
                assert_eq!(bytes, text, "bit {at}");
            }
        }
        let mut damaged = sent.clone();
        *damaged.iter_mut().rev().nth(5).unwrap() ^= 1;
        assert_eq!(inflated(&damaged, 1_000), Err(BodyError::Gzip("invalid checksum".to_owned())));
    }

    #[test]
    fn the_limit_is_on_the_byte_and_a_bomb_stops_at_it() {
        checks::the_limit_is_on_the_byte_and_a_bomb_stops_at_it(gzip, inflated);
    }

    #[test]
    fn inflating_stops_where_memory_ends() {
        let sent = gzip(&vec![b' '; 1 << 20]);
        let memory = Memory::new(512 << 10);
        assert_eq!(inflate(&sent, 1 << 20, &mut memory.reserve_nothing()), Err(BodyError::NoMemory));
    }
}
