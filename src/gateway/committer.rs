//! The one writer: takes requests off the queue, admits, stages, commits and publishes them, batch by
//! batch.
//!
//! What is not durable was never visible (with durability `always`): a batch that cannot be committed is
//! dropped, and nothing has to be undone.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;

use crate::model::{GroupingKey, Stamp};
use crate::storage::{Batch, CommitError, Compaction, Engine};
use crate::telemetry::{Metrics, Outcome};

use super::admission::{NotAdmitted, admit};
use super::committed::Shared;
use super::ledger::Ledger;
use super::options::Durability;
use super::publish::{self, Sink as _};
use super::record::RecordKey;
use super::rejection::{Rejection, Unavailable};
use super::resolve::{KnownSeries, ResolvedPush};
use super::spares::Spares;
use super::staging::Staging;
use super::writes::{Notes, Numbers, RecordKeys, Writes};

/// Pages that one commit writes at most, give or take those of one push.
const PAGES_PER_COMMIT_MAX: usize = 1_000;

/// Requests that are taken off the queue at once.
const REQUESTS_PER_BATCH_MAX: usize = 1_024;

/// Pages and names of deleted groups that are released with one commit, at least.
const REMAINS_PER_COMMIT: usize = 128;

/// How soon after a failed write the next one is tried, at first and at last.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(5);

/// How often the size of the store is looked at.
const SIZE_EVERY: Duration = Duration::from_secs(1);

/// How long it is to take, at least, from the begin of a commit to that of the next, while so many requests
/// are in flight. A commit costs the processor as much as tens of pushes, so that under load many small ones
/// would slow down everybody who waits for them. In the time given, about half of those in flight come in again,
/// so that while a batch is written the other half is answered and asks again.
fn pace(in_flight: usize) -> Duration {
    const PER_REQUEST: Duration = Duration::from_micros(6);
    const MAX: Duration = Duration::from_millis(3);
    u32::try_from(in_flight).map_or(MAX, |in_flight| (PER_REQUEST * in_flight).min(MAX))
}

/// A change that somebody asks for.
pub(crate) enum Request {
    Push {
        push: ResolvedPush,
        reply: oneshot::Sender<PushReply>,
        /// Its share of the bytes that may wait.
        _bytes: OwnedSemaphorePermit,
    },
    Delete {
        key: Arc<GroupingKey>,
        reply: oneshot::Sender<Result<(), Unavailable>>,
    },
    /// Delete all groups.
    Wipe {
        reply: oneshot::Sender<Result<(), Unavailable>>,
    },
    /// Finish what waits, write everything, close the store.
    Stop {
        reply: oneshot::Sender<Result<(), CommitError>>,
    },
}

/// What became of a push.
#[derive(Debug)]
pub(crate) enum PushReply {
    /// Comes with what is left of the push, to be freed where it was allocated: that is cheaper than here,
    /// and the committer has more to do.
    Applied(Vec<KnownSeries>),
    /// The group it was resolved against is no more.
    Stale,
    Rejected(Rejection),
    Unavailable(Unavailable),
}

/// Answers that wait for the commit.
#[derive(Default)]
struct Replies {
    pushes: Vec<(oneshot::Sender<PushReply>, PushReply)>,
    deletes: Vec<oneshot::Sender<Result<(), Unavailable>>>,
}

/// The writer and what belongs to it.
pub(crate) struct Committer {
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    engine: Box<dyn Engine>,
    ledger: Ledger,
    queue: mpsc::Receiver<Request>,
    /// Records whose committed state is not in the store yet, or may not be: after a failed commit, and
    /// with a durability other than `always`.
    unwritten: RecordKeys,
    spares: Spares,
    /// The numbers that records in the store may carry.
    stored: Numbers,
    /// When what is unwritten is to be written.
    write_at: Option<Instant>,
    /// How long to wait after the next failure; `None` while the store is in order.
    retry_after: Option<Duration>,
    /// When the size of the store was last looked at.
    sized_at: Option<Instant>,
    /// Whether the store is being compacted, or may have to be.
    is_compacting: bool,
}

impl Committer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        metrics: Arc<Metrics>,
        engine: Box<dyn Engine>,
        ledger: Ledger,
        queue: mpsc::Receiver<Request>,
    ) -> Self {
        let stored = Numbers::of(&ledger, &shared);
        metrics.store_healthy.set(1);
        Self {
            shared,
            metrics,
            engine,
            ledger,
            queue,
            unwritten: RecordKeys::default(),
            spares: Spares::default(),
            stored,
            write_at: None,
            retry_after: None,
            sized_at: None,
            is_compacting: true,
        }
    }

    /// Works until it is told to stop or until nobody can ask for anything any more.
    pub(crate) async fn run(mut self) {
        let mut requests = Vec::new();
        loop {
            requests.clear();
            tokio::select! {
                biased;
                () = Self::sleep_until(self.write_at) => self.write_unwritten(),
                received = self.queue.recv_many(&mut requests, REQUESTS_PER_BATCH_MAX) => {
                    if received == 0 {
                        let _ = self.stop();
                        return;
                    }
                    let begun = std::time::Instant::now();
                    let served = requests.len();
                    let reply = self.serve(&mut requests);
                    let pace = pace(served + self.queue.len());
                    if let Some(reply) = reply {
                        self.finish_queue().await;
                        let _ = reply.send(self.stop());
                        return;
                    }
                    // Nothing else runs on this thread, and the timers of its runtime are too coarse.
                    if let Some(rest) = pace.checked_sub(begun.elapsed()) {
                        thread::sleep(rest);
                    }
                }
                () = std::future::ready(()), if self.ledger.has_remains() && self.retry_after.is_none() => {
                    self.commit(Staging::default(), Replies::default());
                }
                () = std::future::ready(()), if self.is_compacting && self.retry_after.is_none() => {
                    self.compact();
                }
            }
        }
    }

    async fn sleep_until(deadline: Option<Instant>) {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    }

    /// Serves what still waits, and takes nothing more.
    async fn finish_queue(&mut self) {
        self.queue.close();
        let mut requests = Vec::new();
        while self.queue.recv_many(&mut requests, REQUESTS_PER_BATCH_MAX).await > 0 {
            // Only the first stop is answered with the outcome; a second one learns that there is none left.
            drop(self.serve(&mut requests));
        }
    }

    /// Serves requests in order, in as few commits as their size allows. Gives back the answer channel of a
    /// stop.
    fn serve(&mut self, requests: &mut Vec<Request>) -> Option<oneshot::Sender<Result<(), CommitError>>> {
        let mut stop = None;
        let mut requests = requests.drain(..).peekable();
        while requests.peek().is_some() {
            let mut staging = Staging::with_capacity(requests.len());
            let mut replies = Replies::default();
            for request in requests.by_ref() {
                match request {
                    Request::Push { push, reply, .. } => self.push(&mut staging, &mut replies, push, reply),
                    Request::Delete { key, reply } => self.delete(&mut staging, &mut replies, &key, reply),
                    Request::Wipe { reply } => self.wipe(&mut staging, &mut replies, reply),
                    Request::Stop { reply } => stop = Some(reply),
                }
                if staging.pages_touched >= PAGES_PER_COMMIT_MAX {
                    break;
                }
            }
            self.commit(staging, replies);
        }
        stop
    }

    fn push(
        &mut self,
        staging: &mut Staging,
        replies: &mut Replies,
        push: ResolvedPush,
        reply: oneshot::Sender<PushReply>,
    ) {
        if let Some(reason) = self.shared.outage() {
            replies.pushes.push((reply, PushReply::Unavailable(Unavailable::Storage { reason })));
            return;
        }
        let key = Arc::clone(&push.key);
        let committed = self.shared.committed.read();
        let outcome = match admit(&self.shared, &committed, &mut self.ledger, staging, push) {
            Ok(plan) => {
                let now = Stamp(self.shared.clock.now_ns());
                let (saturated, spent) =
                    staging.apply(&mut self.ledger, &mut self.spares, &committed, &key, plan, now);
                self.metrics.saturated_values.add(saturated as u64);
                PushReply::Applied(spent)
            }
            Err(NotAdmitted::Stale) => PushReply::Stale,
            Err(NotAdmitted::Rejected(rejection)) => PushReply::Rejected(rejection),
        };
        replies.pushes.push((reply, outcome));
    }

    fn delete(
        &mut self,
        staging: &mut Staging,
        replies: &mut Replies,
        key: &Arc<GroupingKey>,
        reply: oneshot::Sender<Result<(), Unavailable>>,
    ) {
        if let Some(reason) = self.shared.outage() {
            let _ = reply.send(Err(Unavailable::Storage { reason }));
            return;
        }
        staging.end(&self.shared.committed.read(), key);
        staging.forgotten_failures.insert(Arc::clone(key));
        replies.deletes.push(reply);
    }

    fn wipe(
        &mut self,
        staging: &mut Staging,
        replies: &mut Replies,
        reply: oneshot::Sender<Result<(), Unavailable>>,
    ) {
        if let Some(reason) = self.shared.outage() {
            let _ = reply.send(Err(Unavailable::Storage { reason }));
            return;
        }
        let committed = self.shared.committed.read();
        let begun: Vec<_> = staging.begun.values().cloned().collect();
        for key in committed.groups.keys().chain(&begun) {
            staging.end(&committed, key);
        }
        staging.forgotten_failures.extend(self.shared.failures.lock().keys().cloned());
        replies.deletes.push(reply);
    }

    /// Makes a batch durable, then visible, then known to those who asked.
    fn commit(&mut self, staging: Staging, replies: Replies) {
        let is_kept = match self.shared.options.durability {
            Durability::Always => self.write_staged(&staging),
            Durability::Interval(interval) => {
                self.note_staged(&staging);
                self.write_at.get_or_insert_with(|| Instant::now() + interval);
                Ok(())
            }
            Durability::None => {
                self.note_staged(&staging);
                Ok(())
            }
        };
        match is_kept {
            Ok(()) => {
                let is_empty = staging.is_empty();
                let replaced = publish::publish(&self.shared, &mut self.ledger, staging);
                if !is_empty {
                    self.metrics.commit_requests.observe(replies.count());
                }
                replies.send();
                self.spares.take_in(replaced);
            }
            Err(error) => replies.fail(&Unavailable::Storage { reason: error.to_string() }),
        }
        if self.is_interval()
            && self.retry_after.is_none()
            && self.unwritten.len() >= 2 * PAGES_PER_COMMIT_MAX
        {
            self.write_unwritten();
        }
        self.compact();
        self.observe();
    }

    fn is_interval(&self) -> bool {
        matches!(self.shared.options.durability, Durability::Interval(_))
    }

    /// Writes a batch and, with it, what else is to be written.
    fn write_staged(&mut self, staging: &Staging) -> Result<(), CommitError> {
        let has_remains = self.ledger.has_remains() && self.retry_after.is_none();
        if staging.is_empty() && !has_remains {
            return Ok(());
        }
        let mut writes = Writes::with_capacity(staging.pages_touched);
        publish::records(&self.shared, &mut self.ledger, staging, &mut writes);
        for key in self.loose_records() {
            let value = publish::committed_record(&self.shared, &self.ledger, &key);
            writes.add_unless_there(key, value);
        }
        let Writes { batch, keys } = writes;
        let outcome = self.engine_commit(&batch);
        if let Err(error) = &outcome {
            for key in keys {
                // Whether the patch is there is in doubt, so its page is written whole.
                if let RecordKey::Patch(group, page) = key {
                    self.ledger.patches.remove(group, page);
                    self.unwritten.insert(RecordKey::Page(group, page));
                }
                self.unwritten.insert(key);
            }
            self.fail(error);
        }
        outcome
    }

    /// Notes the records of a batch that is published now and written later.
    fn note_staged(&mut self, staging: &Staging) {
        let released = self.ledger.release(REMAINS_PER_COMMIT);
        let mut notes = Notes { unwritten: &mut self.unwritten, stored: self.stored };
        publish::records(&self.shared, &mut self.ledger, staging, &mut notes);
        for key in released {
            notes.remove(key);
        }
    }

    /// Records that are to be written with whatever is written next: failure times, and what deleted
    /// groups have left.
    fn loose_records(&mut self) -> Vec<RecordKey> {
        let failures = self.shared.failures.lock().take_unwritten();
        let mut loose: Vec<RecordKey> = failures.into_iter().map(RecordKey::Failure).collect();
        loose.extend(self.ledger.release(REMAINS_PER_COMMIT));
        loose
    }

    /// Writes the committed state of all records that are not known to be in the store; opens
    /// the store again first where it has failed.
    fn write_unwritten(&mut self) {
        self.write_at = None;
        match self.try_write_unwritten() {
            Ok(()) => self.recover(),
            Err(error) => self.fail(&error),
        }
        self.observe();
    }

    fn try_write_unwritten(&mut self) -> Result<(), CommitError> {
        if self.retry_after.is_some() {
            self.engine.reopen()?;
        }
        let loose = self.loose_records();
        self.unwritten.extend(loose);
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let mut writes = Writes::with_capacity(self.unwritten.len());
        for key in self.unwritten.iter().cloned() {
            let value = publish::committed_record(&self.shared, &self.ledger, &key);
            writes.add_unless_there(key, value);
        }
        self.engine_commit(&writes.batch)?;
        self.unwritten.clear();
        self.stored = Numbers::of(&self.ledger, &self.shared);
        Ok(())
    }

    fn engine_commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        let started = Instant::now();
        let outcome = self.engine.commit(batch);
        self.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
        let label = if outcome.is_ok() { Outcome::Success } else { Outcome::Failure };
        self.metrics.commits.of(label).increment();
        outcome
    }

    /// Does the next part of a compaction of the store, where one is due: a part after each commit, and as
    /// many as there are while nobody asks for anything.
    fn compact(&mut self) {
        if self.retry_after.is_some() {
            return;
        }
        let outcome = self.engine.compact_step();
        self.is_compacting = matches!(outcome, Ok(Compaction::UnderWay));
        match outcome {
            Ok(Compaction::Idle | Compaction::UnderWay) => {}
            Ok(Compaction::Done) => self.metrics.compactions.of(Outcome::Success).increment(),
            Ok(Compaction::GivenUp) => self.metrics.compactions.of(Outcome::Failure).increment(),
            Err(error) => self.fail(&error),
        }
    }

    /// The store has failed: nothing is accepted until it can be written again.
    fn fail(&mut self, error: &CommitError) {
        let reason = error.to_string();
        if self.retry_after.is_none() {
            tracing::error!(err = %reason, "cannot write to the store; pushes are answered 503 until it works again");
        }
        self.shared.set_outage(Some(reason));
        self.metrics.store_healthy.set(0);
        let after = self.retry_after.map_or(RETRY_FIRST, |after| (after * 2).min(RETRY_LAST));
        self.retry_after = Some(after);
        self.write_at = Some(Instant::now() + after);
    }

    fn recover(&mut self) {
        if self.retry_after.take().is_some() {
            tracing::info!("the store can be written again");
        }
        self.shared.set_outage(None);
        self.metrics.store_healthy.set(1);
    }

    /// Writes everything and closes the store.
    fn stop(mut self) -> Result<(), CommitError> {
        // What deleted groups have left stays for the next start; only their records decide.
        let outcome = if self.engine.is_lasting() { self.try_write_unwritten() } else { Ok(()) };
        if let Err(error) = &outcome {
            tracing::error!(err = %error, "cannot write to the store at the stop");
        }
        outcome.and(self.engine.close())
    }

    /// Sets the gauges that follow from what is committed.
    pub(crate) fn observe(&mut self) {
        let committed = self.shared.committed.read();
        self.metrics.groups.set(committed.groups.len() as u64);
        self.metrics.series.set(committed.series as u64);
        self.metrics.pages.set(committed.pages as u64);
        drop(committed);
        // Asks the file system, which takes longer than all else here.
        if self.sized_at.is_none_or(|at| at.elapsed() >= SIZE_EVERY) {
            self.sized_at = Some(Instant::now());
            self.metrics.stored_bytes.set(self.engine.stored_bytes());
        }
    }
}

impl Replies {
    /// How many there are.
    #[allow(clippy::cast_precision_loss, reason = "a batch is small")]
    fn count(&self) -> f64 {
        (self.pushes.len() + self.deletes.len()) as f64
    }

    fn send(self) {
        // Whoever asked may be gone; what was applied stays applied.
        for (reply, outcome) in self.pushes {
            let _ = reply.send(outcome);
        }
        for reply in self.deletes {
            let _ = reply.send(Ok(()));
        }
    }

    fn fail(self, error: &Unavailable) {
        for (reply, _) in self.pushes {
            let _ = reply.send(PushReply::Unavailable(error.clone()));
        }
        for reply in self.deletes {
            let _ = reply.send(Err(error.clone()));
        }
    }
}
