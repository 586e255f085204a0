//! Loss of power under load, and the proof that no push is acknowledged before it is synced.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tallygate::gateway::Options;
use tallygate::storage::testing::{Cut, LosingDisk};
use tallygate::storage::{
    CompactionOptions, Engine, OpenError, Proportion, RedbEngine, RedbOptions, SledEngine, SledOptions,
};
use tallygate::telemetry::Outcome;

use crate::support::engines::{REDB, SLED, on_every_engine, records_file};
use crate::support::in_process::InProcess;
use crate::support::process::{Process, is_installed, scratch, wait_until};
use crate::support::workload::{Doubtful, Watch, Writer, acknowledged, settle};

on_every_engine!(no_push_is_answered_before_its_sync);

const WRITERS: usize = 8;
const CUTS: usize = 36;

/// Compacts all the time: a cut meets every part of it.
const EAGER: CompactionOptions =
    CompactionOptions { log_bytes_min: 0, times_live: 0, step_bytes: 2_000, pause: Duration::ZERO };

/// Copies the store at every start.
const EAGER_AT_START: Proportion = Proportion { file_bytes_min: 0, times_live: 0 };

fn try_open(path: &Path, engine: &str, disk: &Arc<LosingDisk>) -> Result<Box<dyn Engine>, OpenError> {
    let disk = disk.clone();
    Ok(if engine == REDB {
        let options = RedbOptions { disk, proportion: EAGER_AT_START, ..RedbOptions::default() };
        Box::new(RedbEngine::open(path, &options)?)
    } else {
        let options = SledOptions { disk, compaction: EAGER, ..SledOptions::default() };
        Box::new(SledEngine::open(path, &options)?)
    })
}

fn open(path: &Path, engine: &str, disk: &Arc<LosingDisk>) -> InProcess {
    let engine = try_open(path, engine, disk).expect("the store can be opened after a cut");
    InProcess::open(engine, Options::default())
}

async fn push_for_ever(gateway: Arc<InProcess>, crew: Arc<Mutex<Vec<Writer>>>, number: usize) {
    loop {
        let (path, body) = {
            let writer = &mut crew.lock()[number];
            (writer.path(), writer.next_push())
        };
        let (status, text) = gateway.push(&path, &body).await;
        assert_eq!(status, 200, "{text}");
        crew.lock()[number].acknowledge();
    }
}

/// Lets all writers push, and cuts the power while they do, once so many pushes were acknowledged. What was
/// acknowledged just before.
async fn run_and_cut(
    gateway: &Arc<InProcess>,
    crew: &Arc<Mutex<Vec<Writer>>>,
    pushes: usize,
    cut: impl FnOnce(),
) -> Vec<Writer> {
    let tasks: Vec<_> = (0..WRITERS)
        .map(|number| tokio::spawn(push_for_ever(Arc::clone(gateway), Arc::clone(crew), number)))
        .collect();
    while acknowledged(&crew.lock()) < pushes {
        assert!(tasks.iter().all(|task| !task.is_finished()), "a writer has failed");
        tokio::task::yield_now().await;
    }
    let before = crew.lock().clone();
    tokio::task::block_in_place(cut);
    for task in tasks {
        assert!(!task.is_finished(), "a writer has failed");
        task.abort();
        let _ = task.await;
    }
    before
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_push_is_lost_doubled_or_half_on_sled() {
    no_acknowledged_push_is_lost_doubled_or_half(SLED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_push_is_lost_doubled_or_half_on_redb() {
    no_acknowledged_push_is_lost_doubled_or_half(REDB).await;
}

async fn no_acknowledged_push_is_lost_doubled_or_half(engine: &str) {
    let (scratch, _) = scratch();
    let disk = Arc::new(LosingDisk::default());
    let crew = Arc::new(Mutex::new(Writer::crew(WRITERS)));
    let mut before = crew.lock().clone();
    let (mut watch, mut doubtful, mut done) = (Watch::default(), Doubtful::default(), 0);
    let mut compactions = 0;
    let store = |number: usize| scratch.path().join(format!("store-{number}"));
    for number in 0..=CUTS {
        let gateway = Arc::new(open(&store(number), engine, &disk));
        let scrape = gateway.scrape().await;
        watch.see(&scrape);
        done += acknowledged(&before);
        let found = settle(&mut crew.lock(), &before, &scrape);
        doubtful.landed += found.landed;
        doubtful.lost += found.lost;
        if number < CUTS {
            let how = if number % 3 == 0 { Cut::LosesAll } else { Cut::LosesSome(number as u64 * 7_919) };
            let cut = || disk.cut(&store(number), &store(number + 1), how).unwrap();
            before = run_and_cut(&gateway, &crew, 5 + number * 29 % 61, cut).await;
        }
        gateway.gateway.stop().await.unwrap();
        compactions += gateway.gateway.metrics().compactions.of(Outcome::Success).get();
    }
    eprintln!("{CUTS} cuts, {compactions} compactions, {done} acknowledged, in doubt {doubtful:?}");
    if engine == SLED {
        assert!(compactions > CUTS as u64 / 2, "{compactions} compactions");
    } else {
        // Every start but the first has copied the store.
        assert!(store(CUTS).join(format!("gen-{}", CUTS + 1)).is_dir());
    }
    assert!(doubtful.landed + doubtful.lost > 0, "the cuts hit pushes under way: {doubtful:?}");
}

/// The proof that the test above would see a push that is acknowledged before it is synced.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_sync_would_be_noticed_on_sled() {
    a_missing_sync_would_be_noticed(SLED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_sync_would_be_noticed_on_redb() {
    a_missing_sync_would_be_noticed(REDB).await;
}

async fn a_missing_sync_would_be_noticed(engine: &str) {
    let (scratch, store) = scratch();
    let disk = Arc::new(LosingDisk::default());
    let gateway = open(&store, engine, &disk);
    disk.lie();
    let mut writer = Writer::crew(1).remove(0);
    assert_eq!(gateway.push(&writer.path(), &writer.next_push()).await.0, 200);
    let after = scratch.path().join("after");
    disk.cut(&store, &after, Cut::LosesAll).unwrap();
    let is_seen = match try_open(&after, engine, &disk) {
        Ok(engine) => {
            let found = InProcess::open(engine, Options::default());
            !found.scrape().await.contains("own_total")
        }
        Err(_) => true,
    };
    assert!(is_seen, "a push that was never synced has survived");
}

/// Whether this machine lets one process trace another.
fn can_trace() -> bool {
    if !is_installed("strace") {
        return false;
    }
    let traced = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    let works = traced.is_ok_and(|output| output.status.success());
    if !works {
        eprintln!("SKIPPED: tracing of processes is blocked on this machine");
    }
    works
}

/// What a trace says about syncs and answers.
struct Trace {
    /// How a trace shows the file with the records.
    file: String,
    /// Whether a sync that began after the last request was read has ended well.
    is_synced: bool,
    /// Processes that are in a sync of the records that began after the last request was read.
    syncing: Vec<String>,
    requests: usize,
    answers: usize,
}

impl Trace {
    fn read(&mut self, line: &str) {
        let Some((process, call)) = line.split_once(' ') else { return };
        let call = call.trim_start();
        if call.contains("\"POST /metrics/") {
            self.is_synced = false;
            self.syncing.clear();
            self.requests += 1;
        } else if call.starts_with("fdatasync(") && call.contains(&self.file) {
            self.syncing.push(process.to_owned());
        }
        if call.contains("fdatasync") && call.ends_with("= 0") && self.syncing.iter().any(|p| p == process) {
            self.is_synced = true;
        }
        if call.contains("\"HTTP/1.1 200 OK") {
            assert!(self.is_synced, "answered before the sync: {line}");
            self.answers += 1;
        }
    }
}

fn no_push_is_answered_before_its_sync(engine: &str) {
    const PUSHES: usize = 25;
    if !can_trace() {
        return;
    }
    let (scratch, store) = scratch();
    let output = scratch.path().join("trace");
    let mut command = Command::new("strace");
    command
        .args(["-D", "-f", "-y", "-s", "64", "-e"])
        .arg("trace=fdatasync,fsync,read,recvfrom,recvmsg,write,writev,sendto,sendmsg")
        .arg("-o")
        .arg(&output)
        .arg(env!("CARGO_BIN_EXE_tallygate"))
        .args(["--web.listen-address=127.0.0.1:0", engine])
        .arg(format!("--persistence.file={}", store.display()));
    let gateway = Process::spawn(command).expect("the gateway starts under strace");
    let mut writer = Writer::crew(1).remove(0);
    for _ in 0..PUSHES {
        let mut connection = gateway.connect();
        assert_eq!(connection.post(&writer.path(), &writer.next_push()).unwrap().status, 200);
    }
    assert!(gateway.stop().success());
    let mut text = String::new();
    wait_until("the trace is complete", || {
        text = String::from_utf8_lossy(&fs::read(&output).unwrap()).into_owned();
        text.lines().any(|line| line.ends_with("+++ exited with 0 +++"))
    });
    let file = format!("/{}>", records_file(engine).display());
    let mut trace = Trace { file, is_synced: false, syncing: Vec::new(), requests: 0, answers: 0 };
    text.lines().for_each(|line| trace.read(line));
    assert_eq!((trace.requests, trace.answers), (PUSHES, PUSHES), "all of them are in the trace");
}
