//! A long time under load: pushes, refused pushes, deletions, scrapes, kills and restarts, with memory, disk
//! and correctness watched.
//!
//! `make soak MINUTES=30` runs it for that long and ends with a verdict; among the other tests it runs for
//! seconds, which shows that the load and the checks work. `SOAK_FLAGS` holds further flags of the gateway.
//!
//! First comes a rough part, with a kill or a stop every few seconds; then, on one process, a steady part,
//! in which memory and disk must not grow.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::support::process::{Process, scratch};
use crate::support::samples::{without_own, without_push_times};
use crate::support::wire::Connection;
use crate::support::workload::{Watch, Writer, settle};

const WRITERS: usize = 6;

/// Groups that come and go, and how many series are pushed to each, under labels that never come back.
const CHURNING_GROUPS: usize = 8;
const CHURNING_SERIES: usize = 100;

const SCRAPE_EVERY: Duration = Duration::from_millis(250);
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// What memory may grow by from the second quarter of the steady part to the last, beside a twentieth.
const MEMORY_SLACK_BYTES: u64 = 4 << 20;

/// The same for the largest store, beside a tenth: sled's log breathes by some of its segments of 1 MiB.
const DISK_GROWTH_SLACK_BYTES: u64 = 8 << 20;

/// What a store may take at most: so many times what is shown of it, and so much beside.
const DISK_TIMES: u64 = 8;
const DISK_SLACK_BYTES: u64 = 64 << 20;

/// What was seen at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    /// Bytes.
    memory: u64,
    /// Bytes.
    disk: u64,
    /// Pushes until then.
    acknowledged: usize,
}

/// What was done.
#[derive(Default)]
struct Done {
    acknowledged: AtomicUsize,
    refused: AtomicUsize,
    deleted: AtomicUsize,
}

/// Everything that goes on from run to run of the gateway.
struct Soak<'s> {
    store: &'s Path,
    flags: Vec<String>,
    writers: Vec<Writer>,
    watch: Mutex<Watch>,
    done: Done,
    samples: Vec<Sample>,
}

/// How a run of the gateway ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Kill,
    Stop,
}

impl Soak<'_> {
    fn start(&self) -> Process {
        let flags: Vec<_> = self.flags.iter().map(String::as_str).collect();
        Process::start(self.store, &flags)
    }

    /// Starts the gateway, checks that it shows what was acknowledged, loads it for a time and ends it.
    fn run(&mut self, time: Duration, end: End) {
        let gateway = self.start();
        let scrape = gateway.scrape();
        self.watch.lock().see(&scrape);
        let before = self.writers.clone();
        settle(&mut self.writers, &before, &scrape);
        self.load(&gateway, time, end);
        match end {
            End::Kill => gateway.kill(),
            End::Stop => {
                let shown = gateway.scrape();
                assert!(gateway.stop().success(), "it stops cleanly");
                let again = self.start();
                assert_eq!(pushed(&again.scrape()), pushed(&shown), "a restart shows the same");
                assert!(again.stop().success());
            }
        }
    }

    /// Pushes, deletes and scrapes for a time. Before a kill the load goes on until it is lost.
    fn load(&mut self, gateway: &Process, time: Duration, end: End) {
        let over = AtomicBool::new(false);
        let (done, watch, over) = (&self.done, &self.watch, &over);
        let load = Load { address: &gateway.address, done, over, end };
        thread::scope(|scope| {
            for writer in &mut self.writers {
                scope.spawn(move || load.write(writer));
            }
            scope.spawn(move || load.churn());
            scope.spawn(move || load.scrape(watch));
            let deadline = Instant::now() + time;
            while Instant::now() < deadline {
                thread::sleep(SAMPLE_EVERY.min(time / 8));
                self.samples.push(Sample {
                    memory: resident_bytes(gateway.pid()),
                    disk: bytes_under(self.store),
                    acknowledged: done.acknowledged.load(Ordering::SeqCst),
                });
            }
            if end == End::Kill {
                gateway.signal("KILL");
            }
            over.store(true, Ordering::SeqCst);
        });
    }
}

/// The load of one run of the gateway.
#[derive(Clone, Copy)]
struct Load<'l> {
    address: &'l str,
    done: &'l Done,
    over: &'l AtomicBool,
    end: End,
}

impl Load<'_> {
    fn is_over(self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// What went well; nothing once a gateway that is to be killed is gone. No other may lose anybody.
    fn unless_killed<T>(self, outcome: io::Result<T>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                assert!(self.end == End::Kill, "a connection was lost: {error}");
                None
            }
        }
    }

    /// One writer's pushes, until time is up or the connection is lost.
    fn write(self, writer: &mut Writer) {
        let Some(mut connection) = self.unless_killed(Connection::open(self.address)) else { return };
        while !self.is_over() {
            let body = writer.next_push();
            let Some(reply) = self.unless_killed(connection.post(&writer.path(), &body)) else { return };
            assert_eq!(reply.status, 200, "{}", reply.body);
            writer.acknowledge();
            self.done.acknowledged.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Fills groups with series that were never there before, deletes them, and pushes what must be refused.
    fn churn(self) {
        static ROUND: AtomicUsize = AtomicUsize::new(0);
        let Some(mut connection) = self.unless_killed(Connection::open(self.address)) else { return };
        while !self.is_over() {
            let round = ROUND.fetch_add(1, Ordering::SeqCst);
            let path = format!("/metrics/job/churn/instance/{}", round % CHURNING_GROUPS);
            let mut body = String::from("# TYPE churning_total counter\n");
            for series in 0..CHURNING_SERIES {
                writeln!(body, "churning_total{{round=\"{round}\",series=\"{series}\"}} 1").unwrap();
            }
            let Some(reply) = self.unless_killed(connection.post(&path, &body)) else { return };
            assert_eq!(reply.status, 200, "{}", reply.body);
            let refused = connection.post(&path, "# TYPE churning_total counter\nchurning_total -1\n");
            let Some(reply) = self.unless_killed(refused) else { return };
            assert_eq!(reply.status, 400, "{}", reply.body);
            self.done.refused.fetch_add(1, Ordering::SeqCst);
            if round % 3 == 2 {
                let gone = format!("/metrics/job/churn/instance/{}", (round / 3) % CHURNING_GROUPS);
                let deleted = connection.request("DELETE", &gone, "", "");
                let Some(reply) = self.unless_killed(deleted) else { return };
                assert_eq!(reply.status, 202, "{}", reply.body);
                self.done.deleted.fetch_add(1, Ordering::SeqCst);
            }
            // Deletions keep up with what comes in only if nothing comes in as fast as it can.
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn scrape(self, watch: &Mutex<Watch>) {
        let Some(mut connection) = self.unless_killed(Connection::open(self.address)) else { return };
        while !self.is_over() {
            let scraped = connection.request("GET", "/metrics", "", "");
            let Some(reply) = self.unless_killed(scraped) else { return };
            assert_eq!(reply.status, 200, "{}", reply.body);
            watch.lock().see(&reply.body);
            thread::sleep(SCRAPE_EVERY);
        }
    }
}

/// What was pushed, as a scrape shows it.
fn pushed(scrape: &str) -> String {
    without_push_times(&without_own(scrape))
}

/// The resident memory of a process; 0 once it has ended.
fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}

/// What the files of a directory take. Files may go while it is read.
fn bytes_under(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_under(&entry.path()),
            Ok(metadata) => metadata.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

fn largest(samples: &[Sample], of: fn(&Sample) -> u64) -> u64 {
    samples.iter().map(of).max().unwrap_or_default()
}

fn median(samples: &[Sample], of: fn(&Sample) -> u64) -> u64 {
    let mut values: Vec<_> = samples.iter().map(of).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// How many pushes were acknowledged between the first of some moments and the last.
fn pushes(samples: &[Sample]) -> usize {
    let [first, .., last] = samples else { return 0 };
    last.acknowledged - first.acknowledged
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// What is wrong with the steady part, if anything is.
fn verdict(samples: &[Sample], shown_bytes: u64) -> Result<String, String> {
    let quarter = samples.len() / 4;
    let (early, late) = (&samples[quarter..2 * quarter], &samples[3 * quarter..]);
    let memory = (median(early, |s| s.memory), median(late, |s| s.memory));
    let disk = (largest(early, |s| s.disk), largest(late, |s| s.disk));
    let text = format!(
        "memory {:.1} MiB in the second quarter and {:.1} MiB in the last, disk {:.1} MiB and {:.1} MiB at most",
        mib(memory.0),
        mib(memory.1),
        mib(disk.0),
        mib(disk.1),
    );
    if memory.1 > memory.0 + memory.0 / 20 + MEMORY_SLACK_BYTES {
        return Err(format!("memory grows: {text}"));
    }
    if disk.1 > disk.0 + disk.0 / 10 + DISK_GROWTH_SLACK_BYTES {
        return Err(format!("the store grows: {text}"));
    }
    if disk.1 > DISK_TIMES * shown_bytes + DISK_SLACK_BYTES {
        return Err(format!("the store is too large: {text}"));
    }
    if let Some(at) = samples.chunks_exact(quarter).position(|part| pushes(part) == 0) {
        return Err(format!("nothing was pushed in quarter {}: {text}", at + 1));
    }
    Ok(text)
}

fn soak(total: Duration) {
    let (_scratch, store) = scratch();
    let flags = std::env::var("SOAK_FLAGS").unwrap_or_default();
    let mut soak = Soak {
        store: &store,
        flags: flags.split_whitespace().map(ToOwned::to_owned).collect(),
        writers: Writer::crew(WRITERS),
        watch: Mutex::default(),
        done: Done::default(),
        samples: Vec::new(),
    };
    let begun = Instant::now();
    let run = (total / 24).min(Duration::from_secs(10));
    let mut runs = 0;
    while begun.elapsed() < total / 3 {
        let end = if runs % 3 == 2 { End::Stop } else { End::Kill };
        soak.run(run, end);
        runs += 1;
    }
    soak.samples.clear();
    soak.run(total.saturating_sub(begun.elapsed()), End::Stop);

    let gateway = soak.start();
    let shown = gateway.scrape();
    let before = soak.writers.clone();
    settle(&mut soak.writers, &before, &shown);
    assert!(gateway.stop().success());
    let done = |count: &AtomicUsize| count.load(Ordering::SeqCst);
    eprintln!(
        "{} minutes, {runs} kills and stops before the steady part: {} pushes acknowledged, {} refused, {} groups \
         deleted, {} scrapes; none lost, doubled or half",
        begun.elapsed().as_secs() / 60,
        done(&soak.done.acknowledged),
        done(&soak.done.refused),
        done(&soak.done.deleted),
        soak.watch.lock().scrapes,
    );
    match verdict(&soak.samples, shown.len() as u64) {
        Ok(text) => eprintln!("SOUND: {text}"),
        Err(text) => panic!("NOT SOUND: {text}"),
    }
}

#[test]
fn a_short_soak_is_sound() {
    soak(Duration::from_secs(12));
}

#[test]
#[ignore = "as long as SOAK_MINUTES says; make soak runs it"]
fn a_long_soak_is_sound() {
    let minutes = std::env::var("SOAK_MINUTES").unwrap_or_else(|_| "30".to_owned());
    soak(Duration::from_mins(minutes.parse().expect("SOAK_MINUTES is a whole number of minutes")));
}

#[test]
fn growth_is_noticed() {
    let samples = |memory: fn(u64) -> u64, disk: fn(u64) -> u64, pushed: fn(usize) -> usize| -> Vec<Sample> {
        let sample = |n: u32| Sample {
            memory: memory(n.into()) << 20,
            disk: disk(n.into()) << 20,
            acknowledged: pushed(n as usize),
        };
        (0..100).map(sample).collect()
    };
    let verdict = |samples: Vec<Sample>| verdict(&samples, 1 << 20).map(|_| ());
    let begins = |outcome: Result<(), String>, with: &str| outcome.unwrap_err().starts_with(with);
    assert_eq!(verdict(samples(|_| 50, |n| 10 + n % 30, |n| n)), Ok(()));
    assert!(begins(verdict(samples(|n| 50 + n / 5, |_| 10, |n| n)), "memory grows"));
    assert!(begins(verdict(samples(|_| 50, |n| 10 + n / 4, |n| n)), "the store grows"));
    assert!(begins(verdict(samples(|_| 50, |_| 80, |n| n)), "the store is too large"));
    assert!(begins(verdict(samples(|_| 50, |_| 10, |n| n.min(60))), "nothing was pushed in quarter 4"));
}
