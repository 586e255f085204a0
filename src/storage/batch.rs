//! What a commit writes.

/// Writes and removals that are applied as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    writes: Vec<Write>,
}

/// One write: a record's new value, or its removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The record's key; never empty.
    pub key: Vec<u8>,
    /// The record's new value; `None` removes the record, and removing one that is not there is no error.
    pub value: Option<Vec<u8>>,
}

impl Batch {
    /// Bytes of a key at most.
    pub const KEY_BYTES_MAX: usize = 256;

    /// Adds a record's new value. The key must not be in the batch yet.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        debug_assert!((1..=Self::KEY_BYTES_MAX).contains(&key.len()));
        self.writes.push(Write { key, value: Some(value) });
    }

    /// Adds a record's removal. The key must not be in the batch yet.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.writes.push(Write { key, value: None });
    }

    /// The writes, in the order added.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// How many writes there are.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}
