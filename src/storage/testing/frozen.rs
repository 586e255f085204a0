//! An engine whose commits wait until they are let go.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::storage::{Batch, CommitError, Compaction, Engine, LoadError, Visitor};

/// Wraps an engine; while its [`Freezer`] is frozen, a commit blocks before it does anything.
pub struct FrozenEngine<E> {
    inner: E,
    freezer: Freezer,
}

/// Freezes and thaws the engine that was made with it.
#[derive(Clone, Default)]
pub struct Freezer {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    frozen: bool,
    waiting: usize,
}

impl Freezer {
    /// From now on commits block.
    pub fn freeze(&self) {
        self.lock().frozen = true;
    }

    /// Lets the blocked commits and all later ones through.
    pub fn thaw(&self) {
        self.lock().frozen = false;
        self.shared.1.notify_all();
    }

    /// Returns once a commit is blocked.
    pub fn wait_until_blocked(&self) {
        let _state = self
            .shared
            .1
            .wait_while(self.lock(), |state| state.waiting == 0)
            .unwrap_or_else(PoisonError::into_inner);
    }

    fn pass(&self) {
        let mut state = self.lock();
        state.waiting += 1;
        self.shared.1.notify_all();
        let mut state =
            self.shared.1.wait_while(state, |state| state.frozen).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Engine> FrozenEngine<E> {
    /// An engine that obeys `freezer`.
    pub fn new(inner: E, freezer: Freezer) -> Self {
        FrozenEngine { inner, freezer }
    }
}

impl<E: Engine> Engine for FrozenEngine<E> {
    fn load(&mut self, visit: &mut Visitor<'_>) -> Result<(), LoadError> {
        self.inner.load(visit)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        self.freezer.pass();
        self.inner.commit(batch)
    }

    fn reopen(&mut self) -> Result<(), CommitError> {
        self.inner.reopen()
    }

    fn stored_bytes(&self) -> u64 {
        self.inner.stored_bytes()
    }

    fn compact_step(&mut self) -> Result<Compaction, CommitError> {
        self.inner.compact_step()
    }

    fn close(self: Box<Self>) -> Result<(), CommitError> {
        Box::new(self.inner).close()
    }
}
