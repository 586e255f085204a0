//! The journal: small commits as one row each.
//!
//! sled writes a batch in two rounds, first the announcement that it is one and then its rows, and wakes all
//! its threads for each. A single row needs no announcement: it is there or not. So a commit that is
//! small goes into the tree as one row with all its writes, and the rows of its records are brought up to
//! date later, with some larger batch.
//!
//! The row of commit *n* stands in slot *n* modulo [`SLOTS`]. An entry up to the sequence of the head row is
//! stale: what it says is in the rows. The others must follow the head row and each other without a gap.
//!
//! Knows nothing of what the records come to: it hands over what the entries say.

use twox_hash::XxHash3_128;

use super::fault::Fault;
use super::guard::guarded;
use super::handle;
use super::head::{HEAD_BYTES, Head};
use super::rows::{ROW_FORMAT, slot_key};
use crate::storage::{Batch, Write};

/// How many commits are in the journal at most before their records go into rows.
pub(super) const SLOTS: u8 = 16;

/// Bytes of an entry at most. sled writes a leaf anew every tenth change, and all slots may be in one leaf:
/// 64 KiB then, which is little to write and far below the quarter of a segment at which a leaf becomes
/// a file of its own (see [`CHUNK_BYTES`](super::rows::CHUNK_BYTES)).
pub(super) const ENTRY_BYTES_MAX: usize = 4 * 1024;

/// When small commits go into the journal.
///
/// What the journal holds is written twice, and soon of no use in its first place. sled makes room by
/// moving a page with every tenth change, so it falls behind where much is written with few changes:
/// in a store that is overwritten at random the log comes to 7 times the records, where without a
/// journal it comes to 5 times. So a log that is both long and out of proportion gets no entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalOptions {
    /// With a log up to this length in bytes they always do.
    pub log_bytes_min: u64,
    /// With a log of up to this many times the bytes of the records they do.
    pub times_live: u64,
}

impl Default for JournalOptions {
    fn default() -> Self {
        JournalOptions { log_bytes_min: 64 << 20, times_live: 4 }
    }
}

/// Bytes of the hash that ends an entry.
const HASH_BYTES: usize = 16;
/// What stands before a removal, and before a value.
const REMOVAL: u8 = 0;
const VALUE: u8 = 1;

/// A commit as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Journaled {
    /// The head of the store once it has landed.
    pub(super) head: Head,
    /// What it writes.
    pub(super) batch: Batch,
}

/// The slot of a commit.
pub(super) fn slot_of(sequence: u64) -> u8 {
    u8::try_from(sequence % u64::from(SLOTS)).expect("there are fewer than 256 slots")
}

/// The entry of a commit, or nothing where it would be too long.
pub(super) fn encode(head: Head, batch: &Batch) -> Option<Vec<u8>> {
    let length = HEAD_BYTES + batch.writes().iter().map(write_bytes).sum::<usize>() + HASH_BYTES;
    if length > ENTRY_BYTES_MAX {
        return None;
    }
    let mut entry = Vec::with_capacity(length);
    entry.extend_from_slice(&head.encode(ROW_FORMAT));
    for write in batch.writes() {
        entry.extend_from_slice(&u16::try_from(write.key.len()).ok()?.to_le_bytes());
        entry.extend_from_slice(&write.key);
        match &write.value {
            None => entry.push(REMOVAL),
            Some(value) => {
                entry.push(VALUE);
                entry.extend_from_slice(&u32::try_from(value.len()).ok()?.to_le_bytes());
                entry.extend_from_slice(value);
            }
        }
    }
    let hash = XxHash3_128::oneshot(&entry);
    entry.extend_from_slice(&hash.to_le_bytes());
    Some(entry)
}

/// Reads an entry; nothing where it is damaged.
pub(super) fn decode(entry: &[u8]) -> Option<Journaled> {
    let (body, hash) = entry.split_last_chunk::<HASH_BYTES>()?;
    if XxHash3_128::oneshot(body) != u128::from_le_bytes(*hash) {
        return None;
    }
    let (head, mut rest) = body.split_first_chunk::<HEAD_BYTES>()?;
    let (ROW_FORMAT, head) = Head::decode(head, ROW_FORMAT).ok()? else { return None };
    let mut batch = Batch::default();
    while !rest.is_empty() {
        let key_bytes = u16::from_le_bytes(*take_chunk(&mut rest)?);
        let key = take(&mut rest, key_bytes.into())?.to_vec();
        if !(1..=Batch::KEY_BYTES_MAX).contains(&key.len()) {
            return None;
        }
        match take_chunk(&mut rest)? {
            [REMOVAL] => batch.remove(key),
            [VALUE] => {
                let value_bytes = u32::from_le_bytes(*take_chunk(&mut rest)?);
                batch.put(key, take(&mut rest, usize::try_from(value_bytes).ok()?)?.to_vec());
            }
            _ => return None,
        }
    }
    Some(Journaled { head, batch })
}

/// The entries that count, in the order of their commits: those after the commit with which the rows were
/// written last.
pub(super) fn read(db: &::sled::Db, in_rows: u64) -> Result<Vec<Journaled>, Fault> {
    let mut found = Vec::new();
    for slot in 0..SLOTS {
        let Some(row) = guarded(|| db.get(slot_key(slot)).map_err(handle::fault_from))? else { continue };
        match decode(&row) {
            Some(entry) if slot_of(entry.head.sequence) == slot => found.push(entry),
            _ => return Err(Fault::Damaged(format!("entry {slot} of its journal is unreadable"))),
        }
    }
    found.retain(|entry| entry.head.sequence > in_rows);
    found.sort_unstable_by_key(|entry| entry.head.sequence);
    for (expected, entry) in (in_rows + 1..).zip(&found) {
        if entry.head.sequence != expected {
            return Err(Fault::Damaged(format!("its journal lacks commit {expected}")));
        }
    }
    Ok(found)
}

fn write_bytes(write: &Write) -> usize {
    2 + write.key.len() + 1 + write.value.as_ref().map_or(0, |value| 4 + value.len())
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn take_chunk<'b, const N: usize>(rest: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head { sequence: 7, records: 3, sum: 1 << 100 };

    fn batch() -> Batch {
        let mut batch = Batch::default();
        batch.put(b"a".to_vec(), Vec::new());
        batch.remove(vec![0]);
        batch.put(vec![255; Batch::KEY_BYTES_MAX], vec![9; 30]);
        batch.remove(b"last".to_vec());
        batch
    }

    /// An entry with these bytes after its head, and with the hash that they should have.
    fn sealed(body: &[u8]) -> Vec<u8> {
        let mut entry = HEAD.encode(ROW_FORMAT).to_vec();
        entry.extend_from_slice(body);
        let hash = XxHash3_128::oneshot(&entry);
        entry.extend_from_slice(&hash.to_le_bytes());
        entry
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        for batch in [batch(), Batch::default()] {
            let entry = encode(HEAD, &batch).unwrap();
            assert_eq!(decode(&entry), Some(Journaled { head: HEAD, batch }));
        }
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let good = encode(HEAD, &batch()).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&bad), None, "bit {bit}");
        }
        for length in 0..good.len() {
            assert_eq!(decode(&good[..length]), None, "length {length}");
        }
    }

    #[test]
    fn an_entry_has_its_longest_length_at_most() {
        let value_bytes = |length: usize| {
            let mut batch = Batch::default();
            batch.put(b"key".to_vec(), vec![1; length]);
            encode(HEAD, &batch).map(|entry| entry.len())
        };
        let most = ENTRY_BYTES_MAX - HEAD_BYTES - HASH_BYTES - 2 - 3 - 1 - 4;
        assert_eq!(value_bytes(most), Some(ENTRY_BYTES_MAX));
        assert_eq!(value_bytes(most + 1), None);
    }

    #[test]
    fn what_does_not_follow_the_form_is_refused_though_its_hash_fits() {
        assert!(decode(&sealed(&[1, 0, b'k', REMOVAL])).is_some());
        let bodies: [&[u8]; 6] = [
            &[1],
            &[0, 0, REMOVAL],
            &[1, 0, b'k'],
            &[1, 0, b'k', 2],
            &[1, 0, b'k', VALUE, 2, 0, 0, 0, 1],
            &[9, 0, b'k', REMOVAL],
        ];
        for body in bodies {
            assert_eq!(decode(&sealed(body)), None, "{body:?}");
        }
    }

    #[test]
    fn all_entries_together_fit_into_a_leaf() {
        assert!(usize::from(SLOTS) * ENTRY_BYTES_MAX <= super::handle::SEGMENT_BYTES / 16);
    }
}
