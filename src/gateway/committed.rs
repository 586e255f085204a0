//! What is committed: all that scrapes show and that pushes are judged against.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::DefaultHashBuilder;
use parking_lot::{Mutex, RwLock};

use crate::model::GroupingKey;

use super::clock::Clock;
use super::failure::Failures;
use super::group::GroupEntry;
use super::options::Options;

/// The groups as of one commit. Only the committer changes it, at publication, under the write lock.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    pub(crate) groups: HashMap<Arc<GroupingKey>, GroupEntry, DefaultHashBuilder>,
    pub(crate) series: usize,
    pub(crate) pages: usize,
}

/// What requests, scrapes and the committer share.
pub(crate) struct Shared {
    pub(crate) committed: RwLock<Committed>,
    /// Changed by requests, at the moment of a refusal; its lock is taken after that of `committed`.
    pub(crate) failures: Mutex<Failures>,
    /// Moves with everything that a scrape could see.
    revision: AtomicU64,
    /// Why nothing can be written, while that is so.
    outage: RwLock<Option<String>>,
    /// One for all indexes: random for each process, so that nobody can send colliding labels.
    pub(crate) hasher: DefaultHashBuilder,
    pub(crate) options: Options,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Shared {
    pub(crate) fn new(options: Options, clock: Arc<dyn Clock>) -> Self {
        Self {
            committed: RwLock::default(),
            failures: Mutex::new(Failures::new(options.limits.failure_only_groups_max)),
            revision: AtomicU64::new(1),
            outage: RwLock::new(None),
            hasher: DefaultHashBuilder::default(),
            options,
            clock,
        }
    }

    /// The number of the newest change.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// To be called after a change, before the request that made it is answered.
    pub(crate) fn changed(&self) {
        self.revision.fetch_add(1, Ordering::AcqRel);
    }

    /// Why nothing can be written just now; `None` if it can.
    pub(crate) fn outage(&self) -> Option<String> {
        self.outage.read().clone()
    }

    pub(crate) fn set_outage(&self, reason: Option<String>) {
        *self.outage.write() = reason;
    }
}
