//! A full disk: pushes are answered 503 with the reason, scrapes go on, and when there is room again the
//! gateway recovers by itself. Nothing is lost or doubled.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::engines::{on_every_engine, records_path};
use crate::support::process::{Answer, Process, is_installed, scratch, wait_until};
use crate::support::samples::{value, without_own};

on_every_engine!(
    a_full_file_system_passes,
    a_gateway_killed_while_the_disk_is_full_loses_nothing,
    a_start_on_a_full_disk_serves_or_says_that_there_is_no_room,
    a_limit_on_file_sizes_passes,
);

const ROUNDS: usize = 3;
/// Series of a push, each with a long label: what fills the disk.
const SERIES: usize = 100;
const ONE: &str = "c{instance=\"\",job=\"full\"}";

/// A push that adds one to a counter and a histogram, and brings series that were never there.
fn push(number: usize) -> String {
    let mut body = String::from(
        "# TYPE c counter\nc 1\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n# TYPE s counter\n",
    );
    let long = "x".repeat(1_000);
    for series in 0..SERIES {
        writeln!(body, "s{{l=\"{number}-{series}-{long}\"}} 1").unwrap();
    }
    body
}

/// What is pushed and what is known of it.
struct Pusher {
    acknowledged: usize,
}

impl Pusher {
    fn push(&self, gateway: &Process) -> Answer {
        gateway.post("/metrics/job/full", &push(self.acknowledged))
    }

    /// Pushes until it is refused, and returns the refusal.
    fn push_until_full(&mut self, gateway: &Process) -> Answer {
        loop {
            let answer = self.push(gateway);
            if answer.status != 200 {
                return answer;
            }
            self.acknowledged += 1;
            assert!(self.acknowledged < 2_000, "it never gets full");
        }
    }

    /// Every push that was acknowledged is there once, and no other.
    fn check(&self, scrape: &str) {
        let pushes = self.acknowledged as f64;
        assert_eq!(value(scrape, ONE), pushes);
        assert_eq!(value(scrape, "h_count{instance=\"\",job=\"full\"}"), pushes);
        let series = scrape.lines().filter(|line| line.starts_with("s{"));
        assert!(series.clone().all(|line| line.ends_with(" 1")), "a series was counted twice");
        assert_eq!(series.count(), self.acknowledged * SERIES);
    }

    /// Fills the disk, sees how the gateway bears it, makes room and sees it recover.
    fn fill_and_recover(&mut self, gateway: &Process, reason: &str, make_room: impl FnOnce()) {
        let refusal = self.push_until_full(gateway);
        assert_eq!(refusal.status, 503, "{}", refusal.body);
        assert!(refusal.body.contains("the store") && refusal.body.contains(reason), "{}", refusal.body);
        let ready = gateway.get("/-/ready");
        assert!(ready.status == 503 && ready.body.contains(reason), "{ready:?}");
        assert_eq!(gateway.get("/-/healthy").status, 200);
        let scrape = gateway.scrape();
        self.check(&scrape);
        assert_eq!(value(&scrape, "tallygate_store_healthy"), 0.0);
        assert_eq!(self.push(gateway).status, 503);
        assert_eq!(gateway.delete("/metrics/job/full").status, 503);
        assert_eq!(without_own(&gateway.scrape()), without_own(&scrape), "nothing changes meanwhile");
        make_room();
        wait_until("the gateway recovers", || gateway.get("/-/ready").status == 200);
        self.check(&gateway.scrape());
        let retried = self.push(gateway);
        assert_eq!(retried.status, 200, "{}", retried.body);
        self.acknowledged += 1;
        self.check(&gateway.scrape());
    }
}

/// A small tmpfs that ends with it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Only root may mount; whoever may not is told.
    fn mount(at: PathBuf) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(&at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(at));
        }
        eprintln!("SKIPPED: no small file system can be mounted here (root is needed)");
        None
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Leaves little room.
    fn fill(&self) {
        self.fill_but(1 << 20);
    }

    /// Leaves so many bytes of room.
    fn fill_but(&self, room: u64) {
        let mut file = fs::File::options().create(true).append(true).open(self.ballast()).unwrap();
        while file.write_all(&[1; 4_096]).is_ok() {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(room)).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn a_full_file_system_passes(engine: &str) {
    let (scratch, _) = scratch();
    let Some(disk) = SmallDisk::mount(scratch.path().join("disk")) else { return };
    let store = disk.0.join("store");
    let mut pusher = Pusher { acknowledged: 0 };
    for _ in 0..ROUNDS {
        let gateway = Process::start(&store, &[engine]);
        pusher.check(&gateway.scrape());
        disk.fill();
        pusher.fill_and_recover(&gateway, "No space left on device", || {
            fs::remove_file(disk.ballast()).unwrap();
        });
        gateway.kill();
    }
    check_after_stop(&store, engine, &pusher);
}

fn a_gateway_killed_while_the_disk_is_full_loses_nothing(engine: &str) {
    let (scratch, _) = scratch();
    let Some(disk) = SmallDisk::mount(scratch.path().join("disk")) else { return };
    let store = disk.0.join("store");
    let mut pusher = Pusher { acknowledged: 0 };
    let gateway = Process::start(&store, &[engine]);
    disk.fill();
    assert_eq!(pusher.push_until_full(&gateway).status, 503);
    gateway.kill();
    fs::remove_file(disk.ballast()).unwrap();
    let gateway = Process::start(&store, &[engine]);
    // The push that was refused last is in doubt: there, wholly, or not.
    pusher.acknowledged += usize::from(value(&gateway.scrape(), ONE) > pusher.acknowledged as f64);
    pusher.check(&gateway.scrape());
    assert_eq!(pusher.push(&gateway).status, 200);
    gateway.kill();
}

/// Where there is no room even for what an open writes, the start fails as one that may do later, and never as if the
/// store were damaged: with `--persistence.on-damage=quarantine` it would be moved aside.
fn a_start_on_a_full_disk_serves_or_says_that_there_is_no_room(engine: &str) {
    let (scratch, _) = scratch();
    let Some(disk) = SmallDisk::mount(scratch.path().join("disk")) else { return };
    let store = disk.0.join("store");
    let flags = [engine, "--persistence.on-damage=quarantine"];
    let mut pusher = Pusher { acknowledged: 0 };
    let gateway = Process::start(&store, &flags);
    disk.fill();
    assert_eq!(pusher.push_until_full(&gateway).status, 503);
    gateway.kill();
    let mut checked = false;
    for room in [0, 0, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 8 << 20] {
        disk.fill_but(room);
        match Process::try_start(&store, &flags) {
            Ok(gateway) => {
                let scrape = gateway.scrape();
                if !checked {
                    // The push that was refused last is in doubt: there, wholly, or not.
                    pusher.acknowledged += usize::from(value(&scrape, ONE) > pusher.acknowledged as f64);
                    checked = true;
                }
                pusher.check(&scrape);
                gateway.kill();
            }
            Err((status, log)) => {
                assert_eq!(status.code(), Some(75), "{room} bytes of room: {log}");
                assert!(
                    log.contains("No space left on device") && log.contains("make room on its disk"),
                    "{room} bytes of room: {log}"
                );
            }
        }
    }
    assert!(checked, "with some room it starts");
    fs::remove_file(disk.ballast()).unwrap();
    let gateway = Process::start(&store, &flags);
    assert_eq!(pusher.push(&gateway).status, 200);
    pusher.acknowledged += 1;
    pusher.check(&gateway.scrape());
}

/// Limits the size of the files that a process writes, or lifts the limit.
fn limit_files(gateway: &Process, limit: &str) {
    let process = format!("--pid={}", gateway.pid());
    let status = Command::new("prlimit").args([process, format!("--fsize={limit}:unlimited")]).status();
    assert!(status.unwrap().success());
}

fn a_limit_on_file_sizes_passes(engine: &str) {
    if !is_installed("prlimit") {
        return;
    }
    let (_scratch, store) = scratch();
    let mut pusher = Pusher { acknowledged: 0 };
    for _ in 0..ROUNDS {
        let gateway = Process::start(&store, &[engine]);
        pusher.check(&gateway.scrape());
        let length = fs::metadata(records_path(&store, engine)).unwrap().len();
        limit_files(&gateway, &(length + 300_000).to_string());
        // SIGXFSZ, which this write causes, must not end the process.
        pusher.fill_and_recover(&gateway, "File too large", || limit_files(&gateway, "unlimited"));
        gateway.kill();
    }
    check_after_stop(&store, engine, &pusher);
}

/// A clean stop and a start change nothing either.
fn check_after_stop(store: &Path, engine: &str, pusher: &Pusher) {
    for _ in 0..2 {
        let gateway = Process::start(store, &[engine]);
        pusher.check(&gateway.scrape());
        assert!(gateway.stop().success());
    }
}
