//! The groups and everything that may happen to them: admission, commit, snapshots.
//!
//! Knows nothing of wire formats and status codes. One writer, the committer, owns every change; requests
//! resolve in parallel, and scrapes read immutable pages. `docs/architecture.md` walks through a push and
//! a scrape.

mod admission;
mod catalog;
mod clock;
mod committed;
mod committer;
mod duplicates;
mod effect;
mod failure;
mod family;
mod group;
mod group_view;
mod layout;
mod ledger;
mod live_group;
mod options;
mod page;
mod page_exemplars;
mod page_list;
mod page_view;
mod patches;
mod pieces;
mod plan;
mod publish;
mod record;
mod rejection;
mod repeat;
mod resolve;
mod restarts;
mod restore;
mod slot_set;
mod snapshot;
mod spares;
mod staged_group;
mod staged_pages;
mod staging;
mod touched;
mod writes;

use std::sync::{Arc, Weak};
use std::thread;

use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::model::{Families, GroupingKey, Stamp};
use crate::storage::{CommitError, Engine};
use crate::telemetry::Metrics;

pub use clock::{Clock, SystemClock};
pub use effect::Effect;
pub use group_view::{GroupFamily, GroupView};
pub use options::{Durability, Limits, Options, QueueLimits};
pub use rejection::{LimitExceeded, PushError, Rejection, Unavailable};
pub use restore::RestoreError;
pub use snapshot::{FamilyView, SeriesView, Snapshot};

pub(crate) use family::{Family, FamilyId};
pub(crate) use group::GroupId;
pub(crate) use page::SLOTS_PER_PAGE;
pub(crate) use page_view::{PageVersion, PageView};
pub(crate) use slot_set::SlotSet;

use committed::Shared;
use committer::{Committer, PushReply, Request};

/// The metric that shows when a group was last pushed to.
pub const PUSH_TIME: &str = "push_time_seconds";

/// The metric that shows when a push to a group was last refused.
pub const PUSH_FAILURE_TIME: &str = "push_failure_time_seconds";

/// What names of pushed metrics must not begin with: they are the gateway's own.
pub const RESERVED_PREFIXES: [&str; 2] = ["pushgateway_", "tallygate_"];

/// A push that was found good by itself, with its series found; to be submitted.
#[derive(Debug)]
pub struct ResolvedPush {
    push: resolve::ResolvedPush,
    series: u64,
    weight: usize,
}

impl ResolvedPush {
    /// Whether it brings nothing but values: its series and texts are all there already.
    pub fn brings_nothing_new(&self) -> bool {
        self.push.fresh.is_empty() && self.push.texts.is_empty()
    }
}

/// Where the numbers of a push go that repeats an earlier one with other numbers. Equal for groups to which the same
/// was pushed.
#[derive(Debug, PartialEq, Hash)]
pub struct Repeat(repeat::Repeat);

/// The group that repeated pushes go to, for as long as it lives.
#[derive(Debug)]
pub struct RepeatedGroup(Weak<group::Group>);

impl Repeat {
    /// Roughly the bytes that it takes.
    pub fn weight(&self) -> usize {
        self.0.weight()
    }
}

/// What became of a push that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It is carried out.
    Applied,
    /// It is not: the group was deleted, or emptied in part, since the push was resolved. Resolve and submit it
    /// again.
    Outdated,
}

/// The way in: cheap to clone, shared by all requests.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    queue: mpsc::Sender<Request>,
    /// The bytes of bodies that may still join the queue.
    queue_bytes: Arc<Semaphore>,
}

impl Gateway {
    /// Loads what the engine holds and starts the committer on a thread of its own.
    pub fn open(
        mut engine: Box<dyn Engine>,
        options: Options,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, RestoreError> {
        let queue_limits = options.queue;
        let shared = Arc::new(Shared::new(options, clock));
        let ledger = restore::restore(&shared, engine.as_mut())?;
        let (sender, receiver) = mpsc::channel(queue_limits.requests_max.max(1));
        let mut committer =
            Committer::new(Arc::clone(&shared), Arc::clone(&metrics), engine, ledger, receiver);
        committer.observe();
        spawn(committer);
        let bytes_max = queue_limits.bytes_max.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Ok(Self { shared, metrics, queue: sender, queue_bytes: Arc::new(Semaphore::new(bytes_max)) })
    }

    /// Judges a push by itself and finds its series. Takes processor time in proportion to its size, on the
    /// caller's thread, and changes nothing yet.
    ///
    /// `body_bytes` is what it weighs, at least, among the pushes that wait.
    pub fn resolve(
        &self,
        key: &GroupingKey,
        families: &Families<'_>,
        body_bytes: usize,
    ) -> Result<ResolvedPush, PushError> {
        self.resolve_as(Effect::Merge, key, families, body_bytes)
    }

    /// Like [`Self::resolve`], for a push that has another effect.
    pub fn resolve_as(
        &self,
        effect: Effect,
        key: &GroupingKey,
        families: &Families<'_>,
        body_bytes: usize,
    ) -> Result<ResolvedPush, PushError> {
        self.refuse_in_outage()?;
        let key = Arc::new(key.clone());
        resolve::check_key(&key, &self.shared.options.limits)?;
        match resolve::resolve(&self.shared, &key, families, effect) {
            Ok(push) => {
                Ok(ResolvedPush { weight: push.weight().max(body_bytes), series: push.series() as u64, push })
            }
            Err(rejection) => {
                self.record_failure(&key);
                Err(rejection.into())
            }
        }
    }

    /// Refuses a push of which not all was read, since it is over a limit, as [`Self::resolve`] refuses one that was.
    pub fn refuse(&self, key: &GroupingKey, over: LimitExceeded) -> PushError {
        let check = self.refuse_in_outage().map_err(PushError::from);
        let check = check.and_then(|()| Ok(resolve::check_key(key, &self.shared.options.limits)?));
        if let Err(error) = check {
            return error;
        }
        self.record_failure(&Arc::new(key.clone()));
        Rejection::Limit(over).into()
    }

    /// Learns where the numbers of a push go, so that one which repeats it with other numbers need not be
    /// resolved again. In `places` each number is its own place among the numbers of the push: the first is 0,
    /// the next 1. `None` if the group does not have all of its series.
    pub fn learn(&self, key: &GroupingKey, places: &Families<'_>) -> Option<(RepeatedGroup, Repeat)> {
        let (group, repeat) = repeat::Repeat::learn(&self.shared, key, places)?;
        Some((RepeatedGroup(group), Repeat(repeat)))
    }

    /// Like [`Self::resolve`], for a push that is known but for its numbers, to a group from which `repeat` or its
    /// equal was [learned](Self::learn). `None` if it must be resolved by what it says, be it only to tell what is
    /// wrong with it.
    pub fn repeat(
        &self,
        effect: Effect,
        group: &RepeatedGroup,
        repeat: &Repeat,
        numbers: &[f64],
        body_bytes: usize,
    ) -> Result<Option<ResolvedPush>, PushError> {
        self.refuse_in_outage()?;
        Ok(repeat.0.resolve(&group.0, numbers, effect).map(|push| ResolvedPush {
            weight: push.weight().max(body_bytes),
            series: push.series() as u64,
            push,
        }))
    }

    /// Carries out a resolved push, and returns once it is as durable as the options say.
    pub async fn submit(&self, push: ResolvedPush) -> Result<Submitted, PushError> {
        let ResolvedPush { push, series, weight } = push;
        let key = Arc::clone(&push.key);
        match self.wait_for_commit(push, weight).await? {
            PushReply::Applied(spent) => {
                drop(spent);
                self.metrics.pushes_accepted.increment();
                self.metrics.samples_merged.add(series);
                Ok(Submitted::Applied)
            }
            PushReply::Stale => Ok(Submitted::Outdated),
            PushReply::Rejected(rejection) => {
                self.record_failure(&key);
                Err(rejection.into())
            }
            PushReply::Unavailable(unavailable) => Err(unavailable.into()),
        }
    }

    async fn wait_for_commit(
        &self,
        push: resolve::ResolvedPush,
        weight: usize,
    ) -> Result<PushReply, Unavailable> {
        // A push that weighs more than all that may wait takes the whole of it, rather than waiting for ever.
        let bytes_max = self.shared.options.queue.bytes_max.max(1);
        let weight = u32::try_from(weight.clamp(1, bytes_max)).unwrap_or(u32::MAX);
        let bytes = Arc::clone(&self.queue_bytes)
            .try_acquire_many_owned(weight)
            .map_err(|_| Unavailable::QueueFull)?;
        let (reply, outcome) = oneshot::channel();
        self.enqueue(Request::Push { push, reply, _bytes: bytes })?;
        Ok(answer(outcome).await)
    }

    /// What a push, a group and the whole gateway may hold.
    pub fn limits(&self) -> &Limits {
        &self.shared.options.limits
    }

    /// Deletes a group, and returns once that is as durable as the options say. That there is no such group
    /// is no error.
    pub async fn delete(&self, key: &GroupingKey) -> Result<(), Unavailable> {
        self.refuse_in_outage()?;
        let (reply, outcome) = oneshot::channel();
        self.enqueue(Request::Delete { key: Arc::new(key.clone()), reply })?;
        answer(outcome).await
    }

    /// Deletes all groups that there are once the requests before it are carried out, and returns once that is
    /// as durable as the options say.
    pub async fn wipe(&self) -> Result<(), Unavailable> {
        self.refuse_in_outage()?;
        let (reply, outcome) = oneshot::channel();
        self.enqueue(Request::Wipe { reply })?;
        answer(outcome).await
    }

    fn enqueue(&self, request: Request) -> Result<(), Unavailable> {
        self.queue.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Unavailable::QueueFull,
            mpsc::error::TrySendError::Closed(_) => Unavailable::ShuttingDown,
        })
    }

    fn refuse_in_outage(&self) -> Result<(), Unavailable> {
        self.shared.outage().map_or(Ok(()), |reason| Err(Unavailable::Storage { reason }))
    }

    /// Notes that a push to a group was refused; visible in the next scrape, written with the next commit.
    fn record_failure(&self, key: &Arc<GroupingKey>) {
        let now = Stamp(self.shared.clock.now_ns());
        let committed = self.shared.committed.read();
        let is_alone = !committed.groups.contains_key(key);
        self.shared.failures.lock().record(key, now, is_alone);
        drop(committed);
        self.shared.changed();
    }

    /// Everything committed, at this moment.
    pub fn snapshot(&self) -> Snapshot {
        self.metrics.queued_requests.set(self.queue_length() as u64);
        Snapshot::take(&self.shared)
    }

    /// Moves whenever a snapshot would show something else; a snapshot's own number is at least that of
    /// any change before it was taken.
    pub fn revision(&self) -> u64 {
        self.shared.revision()
    }

    /// Why nothing is accepted just now, if that is so: the store cannot be written.
    pub fn outage(&self) -> Option<String> {
        self.shared.outage()
    }

    /// The gateway's own metrics.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Requests that wait for the committer.
    fn queue_length(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Carries out what waits, writes everything and closes the store. Requests after it are told that the
    /// gateway is shutting down.
    pub async fn stop(&self) -> Result<(), CommitError> {
        let (reply, outcome) = oneshot::channel();
        if self.queue.send(Request::Stop { reply }).await.is_err() {
            return Ok(());
        }
        outcome.await.unwrap_or(Ok(()))
    }
}

/// Waits for the committer's answer. It always gives one: should it ever panic, the process ends (see
/// [`spawn`]), since whether a push was applied could not be told any more.
async fn answer<T>(outcome: oneshot::Receiver<T>) -> T {
    match outcome.await {
        Ok(answer) => answer,
        Err(_) => std::future::pending().await,
    }
}

/// Runs the committer on a thread of its own, where it may wait for the disk.
fn spawn(committer: Committer) {
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime without I/O needs nothing from the system");
        let run = std::panic::AssertUnwindSafe(|| runtime.block_on(committer.run()));
        if std::panic::catch_unwind(run).is_err() {
            // Its pushes are neither known to be applied nor known not to be: nobody may get an answer.
            // What was acknowledged is durable, and the next start finds it.
            tracing::error!("the committer has panicked, which is a bug; the process ends");
            std::process::abort();
        }
    };
    thread::Builder::new().name("committer".to_owned()).spawn(work).expect("the system can start a thread");
}
