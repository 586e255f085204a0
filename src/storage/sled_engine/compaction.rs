//! Compaction: copying a store whose files are out of proportion into a new generation, a step at a time.
//!
//! sled reuses the segments of its log, but gives little back after much was deleted. So where the log is
//! many times as large as the records, they are copied into the [next generation](Successor) while the
//! store is in use. The marker then names that generation, and the old one goes.
//!
//! * A commit is durable in the generation that the marker names before it is acknowledged, as always.
//! * An error spoils the copy and nothing else: it is given up, and tried again later. The one exception is
//!   an error after which it is not known which generation the marker names on the disk; then nothing is
//!   committed until [`Engine::reopen`](crate::storage::Engine::reopen) has written the marker anew.
//! * A crash leaves one generation named and sound; the other is removed at the next start.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fault::Fault;
use super::retire::Retiring;
use super::rows::Writing;
use super::successor::Successor;
use super::{Failure, Open, SledEngine, layout};
use crate::storage::{CommitError, Compaction};

/// Room that is left to others while a copy is made, in bytes.
const SPARE_BYTES: u64 = 16 << 20;

/// When a store is out of proportion, and how it is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactionOptions {
    /// A log up to this length in bytes is never copied.
    pub log_bytes_min: u64,
    /// A log of up to this many times the bytes of the records is in proportion.
    pub times_live: u64,
    /// Bytes of rows that one step copies or compares, give or take a row.
    pub step_bytes: usize,
    /// How long after the end of one compaction, good or bad, the next may begin.
    pub pause: Duration,
}

impl Default for CompactionOptions {
    fn default() -> Self {
        CompactionOptions {
            log_bytes_min: 64 << 20,
            times_live: 6,
            step_bytes: 256 << 10,
            pause: Duration::from_mins(1),
        }
    }
}

/// What an engine knows of its compactions.
#[derive(Default)]
pub(super) struct Compactor {
    running: Option<Running>,
    /// A removal that may not have ended. The next generation may have the name that is being removed.
    retiring: Option<Retiring>,
    /// The end of the last one, where it came between the steps and is still to be told.
    untold: Option<Compaction>,
    not_before: Option<Instant>,
    /// Whether it has been said that there is no room.
    said_no_room: bool,
    /// Whether it is unknown which generation the marker names on the disk.
    is_marker_in_doubt: bool,
}

struct Running {
    successor: Successor,
    begun: Instant,
}

impl Compactor {
    /// Whether commits are to be [mirrored](SledEngine::mirror).
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Waits, a while, until nothing is being removed any more.
    pub(super) fn wait(&mut self) {
        if let Some(retiring) = self.retiring.take() {
            retiring.wait(super::RELEASE_WAIT);
        }
    }

    /// Lets go of the handle on an unfinished copy, and leaves its files to the next start.
    pub(super) fn forsake(&mut self) {
        if let Some(running) = self.running.take() {
            let _ended = super::handle::release(running.successor.open.db, super::RELEASE_WAIT);
        }
    }
}

impl SledEngine {
    /// The next part of a compaction, where one is due or under way.
    pub(super) fn compact(&mut self) -> Result<Compaction, CommitError> {
        if let Some(outcome) = self.compactor.untold.take() {
            return Ok(outcome);
        }
        if self.failure.is_some() {
            return Ok(Compaction::Idle);
        }
        let advanced = if self.compactor.is_running() {
            self.advance_compaction()
        } else if self.is_compaction_due() {
            if let Err(fault) = self.demand_room_for_both() {
                return Ok(self.give_up(&fault.reason()));
            }
            self.fold()?;
            self.begin_compaction().map(|()| false)
        } else {
            return Ok(Compaction::Idle);
        };
        match advanced {
            Ok(false) => Ok(Compaction::UnderWay),
            Ok(true) => self.switch(),
            Err(fault) => Ok(self.give_up(&fault.reason())),
        }
    }

    /// Writes to the copy, if there is one, what was committed to the store.
    pub(super) fn mirror(&mut self, writing: Option<Writing>) {
        let (Some(running), Some(writing)) = (&self.compactor.running, writing) else { return };
        if let Err(fault) = running.successor.mirror(writing) {
            self.end_compaction(&fault.reason());
        }
    }

    /// Gives up a compaction that is under way. The next step tells of it.
    pub(super) fn end_compaction(&mut self, reason: &str) {
        if self.compactor.is_running() {
            self.compactor.untold = Some(self.give_up(reason));
        }
    }

    /// Makes the marker name the generation in use, where that is in doubt.
    pub(super) fn settle_marker(&mut self) -> Result<(), Fault> {
        if self.compactor.is_marker_in_doubt {
            layout::write_marker(&self.path, super::marker(self.generation), &*self.disk)?;
            self.compactor.is_marker_in_doubt = false;
            self.end_compaction("the marker could not be replaced");
        }
        Ok(())
    }

    /// Ends what a clean stop interrupts.
    pub(super) fn close_compaction(&mut self) {
        if self.compactor.is_marker_in_doubt {
            self.compactor.forsake();
        } else if self.compactor.is_running() {
            self.give_up("the store is closed");
        }
        self.compactor.wait();
    }

    fn is_compaction_due(&self) -> bool {
        let Some(open) = &self.open else { return false };
        let in_proportion = self.ledger.live_bytes().saturating_mul(self.compaction.times_live);
        open.log_bytes() > self.compaction.log_bytes_min.max(in_proportion)
            && self.compactor.not_before.is_none_or(|instant| Instant::now() >= instant)
            && self.compactor.retiring.as_ref().is_none_or(Retiring::is_over)
    }

    fn demand_room_for_both(&self) -> Result<(), Fault> {
        // A log that is written once is less than twice as long as what is in it.
        let needed = self.ledger.live_bytes().saturating_mul(2).saturating_add(SPARE_BYTES);
        self.demand_room(needed)
    }

    /// Brings the rows up to date with the journal: what it has removed or replaced is not to be copied.
    /// This writes to the store as a commit does, and fails as one does.
    fn fold(&mut self) -> Result<(), CommitError> {
        if let Some(rows) = self.ledger.fold() {
            self.write(rows, self.ledger.head())?;
            self.ledger.note_folded();
        }
        Ok(())
    }

    fn begin_compaction(&mut self) -> Result<(), Fault> {
        let live_bytes = self.ledger.live_bytes();
        let successor = Successor::begin(&self.path, self.generation + 1, self.cache_bytes)?;
        let stored_bytes = super::allocated_bytes(&self.dir);
        tracing::info!(
            generation = successor.generation,
            live_bytes,
            stored_bytes,
            "the store takes too much room; copying it"
        );
        self.compactor.retiring = None;
        self.compactor.said_no_room = false;
        self.compactor.running = Some(Running { successor, begun: Instant::now() });
        Ok(())
    }

    /// Says whether the copy is complete, sealed and ready to take over.
    fn advance_compaction(&mut self) -> Result<bool, Fault> {
        self.demand_room(SPARE_BYTES)?;
        let (Some(running), Some(open)) = (&mut self.compactor.running, &self.open) else { return Ok(false) };
        if !running.successor.step(&open.db, self.compaction.step_bytes, &*self.disk)? {
            return Ok(false);
        }
        running.successor.seal(&self.path, self.ledger.head(), &*self.disk)?;
        Ok(true)
    }

    fn demand_room(&self, needed: u64) -> Result<(), Fault> {
        let available = self.disk.available_bytes(&self.path)?;
        if available < needed {
            let text = format!("{needed} bytes must be free, and {available} are");
            return Err(Fault::Io(io::Error::new(io::ErrorKind::StorageFull, text)));
        }
        Ok(())
    }

    /// Lets the sealed copy take over.
    fn switch(&mut self) -> Result<Compaction, CommitError> {
        let Some(running) = self.compactor.running.take() else { return Ok(Compaction::Idle) };
        let next = running.successor.generation;
        if let Err(error) = layout::write_marker(&self.path, super::marker(next), &*self.disk) {
            self.compactor.running = Some(running);
            return self.undo_switch(&error.to_string());
        }
        let Running { successor, begun } = running;
        let before_bytes = super::allocated_bytes(&self.dir);
        let after_bytes = super::allocated_bytes(&successor.dir);
        let old_dir = std::mem::replace(&mut self.dir, successor.dir);
        let old_open = self.open.replace(successor.open);
        self.generation = next;
        tracing::info!(
            generation = next,
            before_bytes,
            after_bytes,
            seconds = begun.elapsed().as_secs_f64(),
            "the store is copied; the copy is in use and the old one is removed"
        );
        if let Some(open) = old_open {
            self.retire(open, old_dir);
        }
        self.pause();
        Ok(Compaction::Done)
    }

    /// After the marker could not be replaced: it may be the old one, or the new one and not durable.
    fn undo_switch(&mut self, reason: &str) -> Result<Compaction, CommitError> {
        let is_untouched = layout::read_marker(&self.path.join(layout::MARKER))
            .is_ok_and(|found| found == super::marker(self.generation));
        if is_untouched
            || layout::write_marker(&self.path, super::marker(self.generation), &*self.disk).is_ok()
        {
            return Ok(self.give_up(reason));
        }
        let head = self.ledger.head();
        self.compactor.is_marker_in_doubt = true;
        self.failure = Some(Failure { before: head, after: head, at_sync: false });
        Err(CommitError::Write { reason: reason.to_owned() })
    }

    fn give_up(&mut self, reason: &str) -> Compaction {
        if let Some(Running { successor, .. }) = self.compactor.running.take() {
            tracing::warn!(err = reason, "copying the store is given up; the store is as it was");
            self.retire(successor.open, successor.dir);
        } else if !std::mem::replace(&mut self.compactor.said_no_room, true) {
            tracing::warn!(
                err = reason,
                "the store takes too much room and cannot be copied; trying again later"
            );
        }
        self.pause();
        Compaction::GivenUp
    }

    fn retire(&mut self, open: Open, dir: PathBuf) {
        match Retiring::begin(open, dir, Arc::clone(&self.lock)) {
            Ok(retiring) => self.compactor.retiring = Some(retiring),
            Err(error) => {
                tracing::warn!(err = %error, "an unused copy of the store is left to the next start");
            }
        }
    }

    fn pause(&mut self) {
        self.compactor.not_before = Instant::now().checked_add(self.compaction.pause);
    }
}
