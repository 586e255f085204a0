//! An engine without a disk: for a gateway that keeps nothing, and for tests.

use std::collections::BTreeMap;

use super::{Batch, CommitError, Engine, LoadError, Visitor};

/// Keeps the records in memory; they end with it.
#[derive(Clone, Debug, Default)]
pub struct MemoryEngine {
    records: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Engine for MemoryEngine {
    fn load(&mut self, visit: &mut Visitor<'_>) -> Result<(), LoadError> {
        for (key, value) in &self.records {
            visit(key, value);
        }
        Ok(())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        for write in batch.writes() {
            match &write.value {
                Some(value) => self.records.insert(write.key.clone(), value.clone()),
                None => self.records.remove(&write.key),
            };
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), CommitError> {
        Ok(())
    }

    fn stored_bytes(&self) -> u64 {
        0
    }

    fn close(self: Box<Self>) -> Result<(), CommitError> {
        Ok(())
    }
}
