//! Engines without a disk: one that keeps nothing, and one that keeps its records in memory, for tests.

use std::collections::BTreeMap;

use super::{Batch, CommitError, Engine, LoadError, Visitor};

/// Keeps the records in memory; they end with it.
#[derive(Clone, Debug, Default)]
pub struct MemoryEngine {
    records: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Keeps nothing: for a gateway that forgets everything at its stop.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEngine;

impl Engine for NoEngine {
    fn load(&mut self, _: &mut Visitor<'_>) -> Result<(), LoadError> {
        Ok(())
    }

    fn commit(&mut self, _: &Batch) -> Result<(), CommitError> {
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), CommitError> {
        Ok(())
    }

    fn stored_bytes(&self) -> u64 {
        0
    }

    fn is_lasting(&self) -> bool {
        false
    }

    fn close(self: Box<Self>) -> Result<(), CommitError> {
        Ok(())
    }
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
