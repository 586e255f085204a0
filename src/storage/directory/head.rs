//! The head record: what every batch says about the whole store.
//!
//! sled gives back an older or a torn state without an error when its file is damaged. The head stands in
//! the same batch as the records it describes, so a state whose records do not add up to its head is not
//! one that was committed.
//!
//! A head also says of which format it and all beside it is. Where it stands decides what the number means: the
//! rows of each engine and the witness have formats of their own.

use twox_hash::XxHash3_128;

/// Bytes of an encoded head without its check.
const BODY_BYTES: usize = 4 + 8 + 8 + 16;
/// Bytes of the check that ends every encoded head.
const CHECK_BYTES: usize = 16;
/// Bytes of an encoded head.
pub(in crate::storage) const HEAD_BYTES: usize = BODY_BYTES + CHECK_BYTES;

/// A committed state in short. Two states of one store with equal heads hold the same records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::storage) struct Head {
    /// How many batches have been committed.
    pub(in crate::storage) sequence: u64,
    /// How many records there are.
    pub(in crate::storage) records: u64,
    /// The wrapping sum of the [hashes](record_hash) of all records.
    pub(in crate::storage) sum: u128,
}

/// Why bytes are not a head of this version.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::storage) enum HeadError {
    /// The check does not fit, or the length is wrong.
    Damaged,
    /// A newer version wrote it, in this format.
    Newer(u32),
}

impl Head {
    /// The bytes of the head: format, sequence, records and sum in little-endian order, then a check over
    /// them.
    pub(in crate::storage) fn encode(&self, format: u32) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[0..4].copy_from_slice(&format.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.records.to_le_bytes());
        bytes[20..36].copy_from_slice(&self.sum.to_le_bytes());
        let check = XxHash3_128::oneshot(&bytes[..BODY_BYTES]);
        bytes[BODY_BYTES..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// Reads an encoded head of a format from 1 to `newest`, and says of which. The check comes last in every
    /// format, so damage is told from a newer format.
    pub(in crate::storage) fn decode(bytes: &[u8], newest: u32) -> Result<(u32, Head), HeadError> {
        let (body, check) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or(HeadError::Damaged)?;
        if XxHash3_128::oneshot(body) != u128::from_le_bytes(*check) {
            return Err(HeadError::Damaged);
        }
        let (format, rest) = body.split_first_chunk::<4>().ok_or(HeadError::Damaged)?;
        let format = u32::from_le_bytes(*format);
        match format {
            0 => return Err(HeadError::Damaged),
            newer if newer > newest => return Err(HeadError::Newer(newer)),
            _ => {}
        }
        let (sequence, rest) = rest.split_first_chunk::<8>().ok_or(HeadError::Damaged)?;
        let (records, rest) = rest.split_first_chunk::<8>().ok_or(HeadError::Damaged)?;
        let sum: &[u8; 16] = rest.try_into().map_err(|_| HeadError::Damaged)?;
        let head = Head {
            sequence: u64::from_le_bytes(*sequence),
            records: u64::from_le_bytes(*records),
            sum: u128::from_le_bytes(*sum),
        };
        Ok((format, head))
    }
}

/// The hash of one record. The key's length goes in as well: no record's bytes can pass for another's.
pub(in crate::storage) fn record_hash(key: &[u8], value: &[u8]) -> u128 {
    let mut hasher = XxHash3_128::new();
    hasher.write(&(key.len() as u64).to_le_bytes());
    hasher.write(key);
    hasher.write(value);
    hasher.finish_128()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head { sequence: 7, records: 3, sum: 1 << 100 };

    #[test]
    fn a_head_is_read_as_it_was_written() {
        for format in [1, 2] {
            assert_eq!(Head::decode(&HEAD.encode(format), 2), Ok((format, HEAD)));
        }
        assert_eq!(Head::decode(&HEAD.encode(2), 1), Err(HeadError::Newer(2)));
        assert_eq!(Head::decode(&HEAD.encode(0), 1), Err(HeadError::Damaged));
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let good = HEAD.encode(1);
        for bit in 0..HEAD_BYTES * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::decode(&bad, 9), Err(HeadError::Damaged), "bit {bit}");
        }
        for length in 0..HEAD_BYTES {
            assert_eq!(Head::decode(&good[..length], 9), Err(HeadError::Damaged), "length {length}");
        }
    }

    #[test]
    fn a_newer_format_of_another_length_is_told_from_damage() {
        let mut body = 9_u32.to_le_bytes().to_vec();
        body.extend_from_slice(b"something that comes later");
        let check = XxHash3_128::oneshot(&body).to_le_bytes();
        body.extend_from_slice(&check);
        assert_eq!(Head::decode(&body, 8), Err(HeadError::Newer(9)));
    }

    #[test]
    fn a_record_hash_separates_key_from_value() {
        assert_ne!(record_hash(b"ab", b"c"), record_hash(b"a", b"bc"));
        assert_ne!(record_hash(b"a", b""), record_hash(b"", b"a"));
    }
}
