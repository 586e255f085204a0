//! An engine whose records outlive it, so that a gateway can be "killed" and started again in one
//! process, and which fails when told to, in both ways in which a real commit can fail.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tallygate::storage::{Batch, CommitError, Engine, LoadError, Visitor};

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// The records, as a disk would keep them, and the failures that are planned.
#[derive(Clone, Default)]
pub struct Disk {
    records: Arc<Mutex<Records>>,
    plan: Arc<Mutex<VecDeque<Failure>>>,
    /// The number of the newest engine: those before it are of processes that were "killed".
    newest: Arc<AtomicU64>,
}

/// How one commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing of it is there.
    Lost,
    /// All of it is there, and the caller does not learn it.
    Landed,
}

impl Disk {
    /// An engine on this disk; the end of all those before it.
    pub fn engine(&self) -> Box<dyn Engine> {
        let number = self.newest.fetch_add(1, Ordering::SeqCst) + 1;
        Box::new(DiskEngine { disk: self.clone(), number, is_in_doubt: false })
    }

    /// Makes the next commits fail, in this order, and those after them succeed.
    pub fn fail_next(&self, failures: impl IntoIterator<Item = Failure>) {
        *self.plan.lock() = failures.into_iter().collect();
    }

    /// How many bytes the values of the records of one kind take, record by record.
    pub fn bytes_of_kind(&self, kind: u8) -> Vec<usize> {
        let records = self.records.lock();
        records.iter().filter(|(key, _)| key[4] == kind).map(|(_, value)| value.len()).collect()
    }

    /// The values of the records of one kind.
    pub fn values_of_kind(&self, kind: u8) -> Vec<Vec<u8>> {
        let records = self.records.lock();
        records.iter().filter(|(key, _)| key[4] == kind).map(|(_, value)| value.clone()).collect()
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.lock().len()
    }
}

struct DiskEngine {
    disk: Disk,
    number: u64,
    is_in_doubt: bool,
}

impl DiskEngine {
    fn apply(&self, batch: &Batch) {
        let mut records = self.disk.records.lock();
        for write in batch.writes() {
            match &write.value {
                Some(value) => records.insert(write.key.clone(), value.clone()),
                None => records.remove(&write.key),
            };
        }
    }
}

impl Engine for DiskEngine {
    fn load(&mut self, visit: &mut Visitor<'_>) -> Result<(), LoadError> {
        for (key, value) in self.disk.records.lock().iter() {
            visit(key, value);
        }
        Ok(())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        if self.number != self.disk.newest.load(Ordering::SeqCst) {
            return Err(CommitError::Write { reason: "this process was killed".to_owned() });
        }
        assert!(!self.is_in_doubt, "a commit before the engine was opened again");
        let mut keys: Vec<_> = batch.writes().iter().map(|write| &write.key).collect();
        keys.sort();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "a key is twice in a batch");
        let failure = self.disk.plan.lock().pop_front();
        if failure != Some(Failure::Lost) {
            self.apply(batch);
        }
        self.is_in_doubt = failure.is_some();
        match failure {
            None => Ok(()),
            Some(failure) => Err(CommitError::Write { reason: format!("planned: {failure:?}") }),
        }
    }

    fn reopen(&mut self) -> Result<(), CommitError> {
        self.is_in_doubt = false;
        Ok(())
    }

    fn stored_bytes(&self) -> u64 {
        self.disk.records.lock().values().map(|value| value.len() as u64).sum()
    }

    fn close(self: Box<Self>) -> Result<(), CommitError> {
        Ok(())
    }
}
