//! An engine whose commits fail when they are told to.

use crate::storage::{Batch, CommitError, Compaction, Engine, LoadError, Visitor};

/// What becomes of a commit, or of an attempt to reopen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done.
    Succeeds,
    /// It fails before anything is written.
    FailsBefore,
    /// It is done and reported as failed, as where a write lands and its sync does not return.
    FailsAfter,
}

/// Wraps an engine; the failures are those of a disk: sticky until it is opened again.
pub struct FailingEngine<E> {
    inner: E,
    commits: Box<dyn FnMut() -> Fate + Send>,
    reopens: Box<dyn FnMut() -> Fate + Send>,
    failed: bool,
}

impl<E: Engine> FailingEngine<E> {
    /// Asks `commits` before every commit that reaches the engine and `reopens` before every attempt to
    /// reopen, for which both kinds of failure are one.
    pub fn new(
        inner: E,
        commits: impl FnMut() -> Fate + Send + 'static,
        reopens: impl FnMut() -> Fate + Send + 'static,
    ) -> Self {
        FailingEngine { inner, commits: Box::new(commits), reopens: Box::new(reopens), failed: false }
    }

    /// The engine inside.
    pub fn into_inner(self) -> E {
        self.inner
    }

    fn fail(&mut self) -> CommitError {
        self.failed = true;
        CommitError::Write { reason: "the test says so".to_owned() }
    }
}

impl<E: Engine> Engine for FailingEngine<E> {
    fn load(&mut self, visit: &mut Visitor<'_>) -> Result<(), LoadError> {
        self.inner.load(visit)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        if self.failed {
            return Err(CommitError::NotReopened);
        }
        match (self.commits)() {
            Fate::Succeeds => self.inner.commit(batch),
            Fate::FailsBefore => Err(self.fail()),
            Fate::FailsAfter => {
                self.inner.commit(batch)?;
                Err(self.fail())
            }
        }
    }

    fn reopen(&mut self) -> Result<(), CommitError> {
        match (self.reopens)() {
            Fate::Succeeds => {
                self.inner.reopen()?;
                self.failed = false;
                Ok(())
            }
            Fate::FailsBefore | Fate::FailsAfter => Err(self.fail()),
        }
    }

    fn stored_bytes(&self) -> u64 {
        self.inner.stored_bytes()
    }

    fn compact_step(&mut self) -> Result<Compaction, CommitError> {
        if self.failed { Ok(Compaction::Idle) } else { self.inner.compact_step() }
    }

    fn close(self: Box<Self>) -> Result<(), CommitError> {
        let failed = self.failed;
        let closed = Box::new(self.inner).close();
        if failed { Err(CommitError::NotReopened) } else { closed }
    }
}
