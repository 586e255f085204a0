//! Compaction of a store that takes too much room, under load: the gateway goes on, and a kill at any moment
//! of it loses nothing.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tallygate::gateway::Options;
use tallygate::storage::{
    Batch, CommitError, Compaction, Engine, LoadError, MemoryEngine, SledEngine, SledOptions, Visitor,
};
use tallygate::telemetry::Outcome;

use crate::support::in_process::InProcess;
use crate::support::process::{Process, scratch, wait_until};
use crate::support::samples::value;
use crate::support::workload::{Doubtful, Writer, push_until_lost, settle};

const WRITERS: usize = 4;
/// Pushes and series of a push that are stored when the compaction begins, of about a kilobyte each.
const PUSHES: usize = 120;
const SERIES: usize = 100;
/// Records of 12 KB that are written and removed again, so that the log outgrows what is in it.
const REMOVED: usize = 7_000;

const BEGUN: &str = "the store takes too much room; copying it";
const ENDED: &str = "the store is copied";

fn engine(store: &Path) -> Box<dyn Engine> {
    Box::new(SledEngine::open(store, &SledOptions::default()).unwrap())
}

/// A closed store with some megabytes of series in a log of about ninety.
async fn build(store: &Path) {
    let gateway = InProcess::open(engine(store), Options::default());
    let long = "x".repeat(1_000);
    for push in 0..PUSHES {
        let mut body = String::from("# TYPE s counter\n");
        for series in 0..SERIES {
            writeln!(body, "s{{l=\"{series}-{long}\"}} 1").unwrap();
        }
        let (status, text) = gateway.push(&format!("/metrics/job/stored/instance/{push}"), &body).await;
        assert_eq!(status, 200, "{text}");
    }
    gateway.gateway.stop().await.unwrap();
    let mut engine = engine(store);
    let key = |number: usize| format!("removed {number}").into_bytes();
    for first in (0..REMOVED).step_by(100) {
        let mut batch = Batch::default();
        for number in first..first + 100 {
            batch.put(key(number), vec![u8::try_from(number % 251).unwrap(); 12_000]);
        }
        engine.commit(&batch).unwrap();
    }
    for first in (0..REMOVED).step_by(100) {
        let mut batch = Batch::default();
        (first..first + 100).for_each(|number| batch.remove(key(number)));
        engine.commit(&batch).unwrap();
    }
    engine.close().unwrap();
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").args(["-r", "--reflink=auto"]).args([from, to]).status().unwrap();
    assert!(status.success());
}

fn has_logged(gateway: &Process, text: &str) -> bool {
    gateway.log().contains(text)
}

/// All that was stored before is there.
fn check_stored(scrape: &str) {
    let stored = scrape.lines().filter(|line| line.starts_with("s{"));
    assert!(stored.clone().all(|line| line.ends_with(" 1")), "a stored series has changed");
    assert_eq!(stored.count(), PUSHES * SERIES);
}

fn compactions(scrape: &str) -> [f64; 2] {
    ["success", "failure"]
        .map(|outcome| value(scrape, &format!("tallygate_store_compactions_total{{outcome=\"{outcome}\"}}")))
}

/// Lets all writers push until the gateway is killed, which is when `until` returns.
fn run_and_kill(gateway: Process, writers: &mut [Writer], until: impl FnOnce(&Process)) {
    let address = gateway.address.clone();
    let acknowledged = AtomicUsize::new(0);
    thread::scope(|scope| {
        for writer in writers {
            scope.spawn(|| push_until_lost(&address, writer, &acknowledged));
        }
        until(&gateway);
        gateway.kill();
    });
}

/// Runs a whole compaction under load and sees the gateway and its store afterwards. How long it took.
fn see_it_through(store: &Path) -> Duration {
    let mut writers = Writer::crew(WRITERS);
    let mut took = Duration::ZERO;
    run_and_kill(Process::start(store, &[]), &mut writers, |gateway| {
        let before = value(&gateway.scrape(), "tallygate_stored_bytes");
        assert!(before > f64::from(80 << 20), "{before} bytes");
        wait_until("the store is being copied", || has_logged(gateway, BEGUN));
        let begun = Instant::now();
        wait_until("the store is copied", || has_logged(gateway, ENDED));
        took = begun.elapsed();
        wait_until("the old generation is gone", || !store.join("gen-1").exists());
        wait_until("the size of the store is looked at", || {
            value(&gateway.scrape(), "tallygate_stored_bytes") < before / 2.0
        });
        let scrape = gateway.scrape();
        check_stored(&scrape);
        assert_eq!(compactions(&scrape), [1.0, 0.0]);
    });
    let gateway = Process::start(store, &[]);
    let before = writers.clone();
    settle(&mut writers, &before, &gateway.scrape());
    check_stored(&gateway.scrape());
    assert!(!has_logged(&gateway, BEGUN), "it is in proportion");
    assert!(gateway.stop().success());
    took
}

/// Kills a gateway under load at a moment after a compaction has begun, or as soon as it has ended, and sees
/// that nothing is lost. Whether the kill left both generations.
fn kill_and_look(store: &Path, moment: Option<Duration>, doubtful: &mut Doubtful) -> bool {
    let mut writers = Writer::crew(WRITERS);
    run_and_kill(Process::start(store, &[]), &mut writers, |gateway| {
        wait_until("the store is being copied", || has_logged(gateway, BEGUN));
        match moment {
            Some(moment) => thread::sleep(moment),
            None => wait_until("the store is copied", || has_logged(gateway, ENDED)),
        }
    });
    let has_both = store.join("gen-1").exists() && store.join("gen-2").exists();
    let gateway = Process::start(store, &[]);
    let scrape = gateway.scrape();
    check_stored(&scrape);
    let before = writers.clone();
    let found = settle(&mut writers, &before, &scrape);
    doubtful.landed += found.landed;
    doubtful.lost += found.lost;
    wait_until("one generation is left", || store.join("gen-1").exists() != store.join("gen-2").exists());
    has_both
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_copied_under_load_and_a_kill_loses_nothing() {
    let (scratch, store) = scratch();
    let built = scratch.path().join("built");
    build(&built).await;
    copy(&built, &store);
    let took = see_it_through(&store);
    let mut doubtful = Doubtful::default();
    let mut with_both = 0;
    // At these parts of the way, and then as soon as the copy is in use.
    let moments = [0, 45, 90].map(|percent| Some(took * percent / 100));
    for moment in moments.into_iter().chain([None]) {
        fs::remove_dir_all(&store).unwrap();
        copy(&built, &store);
        with_both += usize::from(kill_and_look(&store, moment, &mut doubtful));
    }
    eprintln!(
        "4 kills in a compaction of {took:?}, {with_both} left both generations, in doubt {doubtful:?}"
    );
    assert!(with_both >= 2, "{with_both} of 4 kills left both generations");
}

/// An engine whose compactions go as they are told.
struct Scripted {
    inner: MemoryEngine,
    steps: VecDeque<Result<Compaction, CommitError>>,
    /// Steps that are still to come, and how often the store was opened again.
    left: Arc<AtomicUsize>,
    reopened: Arc<AtomicUsize>,
    has_failed: bool,
}

impl Engine for Scripted {
    fn load(&mut self, visit: &mut Visitor<'_>) -> Result<(), LoadError> {
        self.inner.load(visit)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        assert!(!self.has_failed, "it is opened again first");
        self.inner.commit(batch)
    }

    fn reopen(&mut self) -> Result<(), CommitError> {
        self.has_failed = false;
        self.reopened.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn compact_step(&mut self) -> Result<Compaction, CommitError> {
        assert!(!self.has_failed, "nothing is compacted in an outage");
        let step = self.steps.pop_front().unwrap_or(Ok(Compaction::Idle));
        self.left.store(self.steps.len(), Ordering::SeqCst);
        self.has_failed = step.is_err();
        step
    }

    fn stored_bytes(&self) -> u64 {
        0
    }

    fn close(self: Box<Self>) -> Result<(), CommitError> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_follow_commits_and_each_other_and_a_failed_one_is_an_outage() {
    let (left, reopened) = (Arc::new(AtomicUsize::new(usize::MAX)), Arc::new(AtomicUsize::new(0)));
    let failed = || CommitError::Write { reason: "the marker is in doubt".to_owned() };
    let engine = Scripted {
        inner: MemoryEngine::default(),
        steps: VecDeque::from([
            Ok(Compaction::UnderWay),
            Ok(Compaction::UnderWay),
            Ok(Compaction::GivenUp),
            Ok(Compaction::UnderWay),
            Err(failed()),
            Ok(Compaction::UnderWay),
            Ok(Compaction::Done),
        ]),
        left: Arc::clone(&left),
        reopened: Arc::clone(&reopened),
        has_failed: false,
    };
    let gateway = InProcess::open(Box::new(engine), Options::default());
    let push = || gateway.push("/metrics/job/j", "# TYPE c counter\nc 1\n");
    let counted = || {
        let compactions = &gateway.gateway.metrics().compactions;
        [Outcome::Success, Outcome::Failure].map(|outcome| compactions.of(outcome).get())
    };
    // Without a commit: the store may be out of proportion when it is opened.
    wait_until("a compaction is given up", || counted() == [0, 1]);
    assert_eq!(left.load(Ordering::SeqCst), 4, "it is not tried again before the next commit");
    assert_eq!(push().await.0, 200);
    wait_until("the store has failed and recovered", || {
        reopened.load(Ordering::SeqCst) == 1 && gateway.gateway.outage().is_none()
    });
    assert_eq!(left.load(Ordering::SeqCst), 2);
    assert_eq!(push().await.0, 200);
    wait_until("the store is compacted", || counted() == [1, 1]);
    assert!(gateway.scrape().await.contains("c{instance=\"\",job=\"j\"} 2"));
    gateway.gateway.stop().await.unwrap();
}
