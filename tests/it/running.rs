//! The life of the process: how it is started, what it logs, how it stops.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::support::process::{Process, is_installed, scratch, wait_until};
use crate::support::samples::value;
use crate::support::wire::Connection;
use crate::support::workload::{Writer, push_until_lost, settle};

const BODY: &str = "# TYPE m counter\nm 1\n";
const M: &str = "m{instance=\"\",job=\"j\"}";

fn push_one(gateway: &Process) {
    let answer = gateway.post("/metrics/job/j", BODY);
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// The total after a start on a store.
fn total_after_start(store: &Path) -> f64 {
    value(&Process::start(store, &[]).scrape(), M)
}

/// A push of which the gateway has read the head and waits for the body.
fn open_push(gateway: &Process) -> Connection {
    let mut connection = gateway.connect();
    let length = BODY.len();
    let head = format!(
        "POST /metrics/job/j HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    );
    connection.send(head).unwrap();
    assert_eq!(connection.reply().unwrap().status, 100);
    connection
}

fn signal_and_wait_for_stop(gateway: &Process, signal: &str) {
    gateway.signal(signal);
    wait_until("it stops accepting", || TcpStream::connect(&gateway.address).is_err());
}

#[test]
fn systemd_understands_every_line_of_the_units() {
    if !is_installed("systemd-analyze") {
        return;
    }
    let (scratch, _) = scratch();
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    let copies = ["tallygate.service", "tallygate.socket"].map(|unit| {
        let text = fs::read_to_string(units.join(unit)).unwrap();
        let copy = scratch.path().join(unit);
        // The program is not where it will be installed.
        fs::write(&copy, text.replace("/usr/bin/tallygate", env!("CARGO_BIN_EXE_tallygate"))).unwrap();
        copy
    });
    let output = Command::new("systemd-analyze").arg("verify").args(&copies).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    // Of a key that it does not know it only tells.
    assert!(output.status.success() && !told.contains("tallygate."), "{told}");
}

#[test]
fn the_unit_of_the_tutorial_works_unchanged() {
    let (scratch, _) = scratch();
    let directory = scratch.path().display();
    let line = format!(
        "exec \"$0\" --web.listen-address=\":0\" --web.telemetry-path=\"/metrics\" \
         --persistence.file=\"{directory}/metric.store\" --persistence.interval=5m \
         --log.level=\"info\" --log.format=\"json\""
    );
    let start = || {
        let mut command = Command::new("sh");
        command.args(["-c", &line, env!("CARGO_BIN_EXE_tallygate")]);
        Process::spawn(command).expect("it starts")
    };
    let gateway = start();
    push_one(&gateway);
    // The interval does not mean that a push may be lost.
    gateway.kill();
    let gateway = start();
    assert_eq!(value(&gateway.scrape(), M), 1.0);
    let log = gateway.log();
    for line in log.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect(line);
        for key in ["ts", "level", "msg"] {
            assert!(event[key].is_string(), "{line}");
        }
    }
    assert!(log.lines().count() >= 3, "{log}");
    assert!(gateway.stop().success());
}

#[test]
fn the_environment_sets_flags_and_the_command_line_wins() {
    let (_scratch, store) = scratch();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallygate"));
    command
        .env("TALLYGATE_WEB_LISTEN_ADDRESS", "127.0.0.1:0")
        .env("TALLYGATE_PERSISTENCE_FILE", &store)
        .env("TALLYGATE_LOG_FORMAT", "json")
        .env("TALLYGATE_WEB_TELEMETRY_PATH", "/from-environment")
        // What Kubernetes puts into every container beside a service of this name.
        .env("TALLYGATE_PORT", "tcp://10.0.0.1:9091")
        .env("TALLYGATE_SERVICE_HOST", "10.0.0.1")
        .arg("--web.telemetry-path=/from-flag");
    let gateway = Process::spawn(command).expect("it starts");
    push_one(&gateway);
    assert!(gateway.get("/from-flag").body.contains(M));
    assert_eq!(gateway.get("/from-environment").status, 404);
    assert!(gateway.log().lines().all(|line| line.starts_with('{')), "{}", gateway.log());
    assert!(gateway.stop().success());
    assert_eq!(total_after_start(&store), 1.0);
}

#[test]
fn a_stop_finishes_open_requests() {
    for signal in ["TERM", "INT"] {
        let (_scratch, store) = scratch();
        let mut gateway = Process::start(&store, &[]);
        let mut connection = open_push(&gateway);
        signal_and_wait_for_stop(&gateway, signal);
        connection.send(BODY).unwrap();
        assert_eq!(connection.reply().unwrap().status, 200);
        assert!(connection.is_closed_without_answer());
        assert_eq!(gateway.wait().code(), Some(0), "{}", gateway.log());
        assert_eq!(total_after_start(&store), 1.0);
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let (_scratch, store) = scratch();
        let mut gateway = Process::start(&store, &[]);
        push_one(&gateway);
        let mut connection = open_push(&gateway);
        signal_and_wait_for_stop(&gateway, signal);
        gateway.signal(signal);
        assert_eq!(gateway.wait().code(), Some(code));
        assert!(connection.is_closed_without_answer());
        assert_eq!(total_after_start(&store), 1.0);
    }
}

/// Takes the 15 seconds that open requests are given.
#[test]
fn a_request_that_never_ends_is_cut_off_without_an_answer() {
    let (_scratch, store) = scratch();
    let mut gateway = Process::start(&store, &[]);
    push_one(&gateway);
    let mut connection = open_push(&gateway);
    gateway.signal("TERM");
    assert!(connection.is_closed_without_answer());
    assert_eq!(gateway.wait().code(), Some(0), "{}", gateway.log());
    wait_until("the log says so", || gateway.log().contains("closed without an answer"));
    assert_eq!(total_after_start(&store), 1.0);
}

#[test]
fn hangups_and_file_size_signals_do_not_end_it() {
    let (_scratch, store) = scratch();
    let gateway = Process::start(&store, &[]);
    for signal in ["HUP", "XFSZ", "PIPE"] {
        gateway.signal(signal);
        push_one(&gateway);
    }
    wait_until("the log mentions it", || gateway.log().contains("SIGHUP is ignored"));
    assert!(gateway.stop().success());
    assert_eq!(total_after_start(&store), 3.0);
}

#[test]
fn a_stop_during_pushes_keeps_every_acknowledged_one() {
    let (_scratch, store) = scratch();
    let mut writers = Writer::crew(8);
    let gateway = Process::start(&store, &[]);
    let (address, acknowledged) = (gateway.address.clone(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for writer in &mut writers {
            scope.spawn(|| push_until_lost(&address, writer, &acknowledged));
        }
        wait_until("pushes are acknowledged", || acknowledged.load(Ordering::SeqCst) >= 100);
        assert_eq!(gateway.stop().code(), Some(0));
    });
    let before = writers.clone();
    let doubtful = settle(&mut writers, &before, &Process::start(&store, &[]).scrape());
    assert_eq!(doubtful.landed, 0, "what a clean stop applies it answers");
}

#[test]
fn what_cannot_start_says_why() {
    let (_scratch, store) = scratch();
    let first = Process::start(&store, &[]);
    let other = store.with_extension("other");
    let taken = [
        format!("--web.listen-address={}", first.address),
        format!("--persistence.file={}", other.display()),
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallygate"));
    command.args(&taken);
    let (status, log) = Process::spawn(command).err().expect("the port is taken");
    assert_eq!(status.code(), Some(75));
    assert!(log.contains("cannot listen on") && log.contains(&first.address), "{log}");
    assert!(!other.exists(), "no store is made where nothing can be served");
    for (flag, text) in [
        ("--no-such-flag", "--no-such-flag"),
        ("--persistence.durability=perhaps", "--persistence.durability"),
        ("--persistence.interval=soon", "--persistence.interval"),
        ("--web.config.file=web.yml", "--web.config.file: web.yml: cannot read web.yml"),
        ("--web.telemetry-path=metrics", "--web.telemetry-path=metrics: a path begins with '/'"),
        ("--web.telemetry-path=/status", "--web.telemetry-path=/status: this is the path of"),
        ("--web.route-prefix=/a b", "--web.route-prefix=/a b: only letters"),
        ("--limit.connections=0", "--limit.connections"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tallygate"));
        command.arg(flag).current_dir(store.parent().unwrap());
        let (status, log) = Process::spawn(command).err().expect(flag);
        assert_eq!(status.code(), Some(1), "{flag}");
        assert!(log.starts_with("tallygate: error: ") && log.contains(text), "{flag}: {log}");
    }
    assert!(!store.with_file_name("tallygate.sled").exists());
}

#[test]
fn with_an_interval_what_is_older_outlives_a_kill_and_a_stop_keeps_all() {
    const WRITTEN: &str = "tallygate_commits_total{outcome=\"success\"}";
    let (_scratch, store) = scratch();
    let flags = ["--persistence.durability=interval", "--persistence.interval=200ms"];
    let gateway = Process::start(&store, &flags);
    push_one(&gateway);
    wait_until("the interval has passed", || value(&gateway.scrape(), WRITTEN) >= 1.0);
    gateway.kill();
    let flags = ["--persistence.durability=interval", "--persistence.interval=1h"];
    let gateway = Process::start(&store, &flags);
    assert_eq!(value(&gateway.scrape(), M), 1.0);
    push_one(&gateway);
    assert_eq!(value(&gateway.scrape(), M), 2.0);
    assert!(gateway.stop().success());
    assert_eq!(total_after_start(&store), 2.0);
}

#[test]
fn without_durability_a_stop_keeps_all_and_a_kill_loses_what_came_since() {
    let (_scratch, store) = scratch();
    let start = || Process::start(&store, &["--persistence.durability=none"]);
    let gateway = start();
    push_one(&gateway);
    push_one(&gateway);
    assert!(gateway.stop().success());
    let gateway = start();
    push_one(&gateway);
    assert_eq!(value(&gateway.scrape(), M), 3.0);
    gateway.kill();
    assert_eq!(total_after_start(&store), 2.0);
}

/// The pairs of a line of logfmt; panics if it is none.
fn logfmt(line: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').expect(line);
        assert!(!key.is_empty() && !key.contains([' ', '"']), "{line}");
        let end = if after.starts_with('"') {
            let mut values = serde_json::Deserializer::from_str(after).into_iter::<String>();
            values.next().expect(line).expect(line);
            values.byte_offset()
        } else {
            after.find(' ').unwrap_or(after.len())
        };
        pairs.push((key.to_owned(), after[..end].to_owned()));
        rest = &after[end..];
        assert!(rest.is_empty() || rest.starts_with(' '), "{line}");
        rest = rest.trim_start_matches(' ');
    }
    pairs
}

/// The whole log of a run with so many pushes, half of which are refused, to its clean stop.
fn log_of_run(pushes: usize, flags: &[&str]) -> String {
    let (_scratch, store) = scratch();
    let mut gateway = Process::start(&store, flags);
    for number in 0..pushes {
        let body = if number % 2 == 0 { BODY } else { "this is no metric\n" };
        gateway.post("/metrics/job/j", body);
    }
    gateway.signal("TERM");
    assert!(gateway.wait().success());
    wait_until("the log is complete", || gateway.log().contains("everything is written"));
    gateway.log()
}

#[test]
fn the_log_can_be_read_by_machines_and_does_not_grow_with_pushes() {
    let logs = log_of_run(40, &[]);
    for line in logs.lines() {
        let pairs = logfmt(line);
        let keys: Vec<&str> = pairs.iter().map(|(key, _)| key.as_str()).collect();
        assert!(keys.starts_with(&["ts", "level", "msg"]), "{line}");
    }
    assert_eq!(logs.lines().count(), log_of_run(0, &[]).lines().count(), "{logs}");
    for line in log_of_run(3, &["--log.format=json"]).lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).expect(line).is_object());
    }
    assert!(log_of_run(3, &["--log.level=debug"]).contains("level=debug"));
}
