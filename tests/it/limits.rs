//! Every limit: over it a push is refused, the answer names the flag, and nothing is stored.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use flate2::write::GzEncoder;
use tallygate::exposition::protobuf;
use tallygate::gateway::{Options, QueueLimits};
use tallygate::model::{Label, MetricType, Value};
use tallygate::storage::MemoryEngine;
use tallygate::storage::testing::{Freezer, FrozenEngine};

use crate::support::in_process::InProcess;
use crate::support::process::{Process, wait_until};
use crate::support::samples::{value, without_own, without_push_times};
use crate::support::wire::Connection;

const PATH: &str = "/metrics/job/j";

/// A flag and what exceeds it.
struct Case {
    flag: &'static str,
    max: &'static str,
    /// Accepted first.
    before: Option<(&'static str, &'static str)>,
    path: String,
    body: String,
    is_compressed: bool,
    status: u16,
}

fn case(flag: &'static str, max: &'static str, body: &str) -> Case {
    let (path, body) = (PATH.to_owned(), body.to_owned());
    Case { flag, max, before: Some((PATH, "a 1\n")), path, body, is_compressed: false, status: 429 }
}

fn cases() -> Vec<Case> {
    let long = "x".repeat(200);
    let histogram =
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 1\nh_bucket{le=\"+Inf\"} 1\n";
    let on = |path: &str, case: Case| Case { path: path.to_owned(), ..case };
    let size = |case: Case| Case { status: 413, ..case };
    vec![
        on("/metrics/job/other", case("--limit.groups", "1", "m 1\n")),
        case("--limit.series", "2", "a 1\nm 1\nn 1\n"),
        case("--limit.series-per-push", "2", "a 1\nm 1\nn 1\n"),
        case("--limit.series-per-group", "2", "m 1\nn 1\n"),
        case("--limit.labels-per-series", "3", "a 1\nm{p=\"1\",q=\"2\",r=\"3\"} 1\n"),
        case("--limit.name-bytes", "100B", &format!("a 1\nm{long} 1\n")),
        case("--limit.name-bytes", "100B", &format!("a 1\nm{{{long}=\"1\"}} 1\n")),
        case("--limit.value-bytes", "100B", &format!("a 1\nm{{l=\"{long}\"}} 1\n")),
        case("--limit.help-bytes", "100B", &format!("# HELP m {long}\nm 1\na 1\n")),
        case("--limit.histogram-bounds", "2", &format!("a 1\n{histogram}")),
        Case {
            before: Some(("/metrics/job/j/p/1", "a 1\n")),
            ..on("/metrics/job/j/q/1", case("--limit.grouping-shapes-per-job", "1", "m 1\n"))
        },
        size(case("--limit.body-bytes", "100B", &format!("m 1\n#{long}\n"))),
        Case {
            is_compressed: true,
            ..size(case("--limit.inflated-bytes", "100B", &format!("m 1\n#{long}\n")))
        },
        size(on(&format!("{PATH}/l/{long}"), case("--limit.path-bytes", "100B", "m 1\n"))),
    ]
}

fn send(gateway: &Process, case: &Case) -> (u16, String) {
    let mut connection = gateway.connect();
    let (body, header) = if case.is_compressed {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(case.body.as_bytes()).unwrap();
        (encoder.finish().unwrap(), "Content-Encoding: gzip\r\n")
    } else {
        (case.body.clone().into_bytes(), "")
    };
    let (path, length) = (&case.path, body.len());
    let head = format!("PUT {path} HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n{header}\r\n");
    connection.send([head.as_bytes(), &body].concat()).unwrap();
    let reply = connection.reply().unwrap();
    (reply.status, reply.body)
}

/// What is stored, to be compared.
fn pushed(gateway: &Process) -> String {
    without_push_times(&without_own(&gateway.scrape()))
}

#[test]
fn over_a_limit_a_push_is_refused_by_the_name_of_its_flag() {
    for case in cases() {
        let flags = format!("{}={}", case.flag, case.max);
        let gateway = Process::spawn(Process::command(&["--persistence.file=", &flags])).unwrap();
        if let Some((path, body)) = &case.before {
            assert_eq!(gateway.post(path, body).status, 200, "{flags}: what is within the limit");
        }
        let before = pushed(&gateway);
        let (status, text) = send(&gateway, &case);
        assert_eq!(status, case.status, "{flags}: {text}");
        assert!(text.contains(case.flag), "{flags}: {text}");
        assert_eq!(pushed(&gateway), before, "{flags}: something of it was stored");
        // The same push, without the limit.
        let free = Process::spawn(Process::command(&["--persistence.file="])).unwrap();
        assert_eq!(send(&free, &case).0, 200, "{flags}: only the limit is in the way");
    }
}

#[test]
fn groups_of_refused_pushes_are_bounded() {
    let flags = ["--persistence.file=", "--limit.failure-only-groups=2"];
    let gateway = Process::spawn(Process::command(&flags)).unwrap();
    for job in 0..5 {
        assert_eq!(gateway.post(&format!("/metrics/job/{job}"), "m 1 1000\n").status, 400);
    }
    let scrape = gateway.scrape();
    let failures = scrape.lines().filter(|line| line.starts_with("push_failure_time_seconds{"));
    let jobs: Vec<&str> =
        failures.filter_map(|line| line.split("job=\"").nth(1)?.split('"').next()).collect();
    assert_eq!(jobs, ["3", "4"], "the newest stay");
}

#[test]
fn bytes_under_way_are_bounded() {
    let flags = ["--persistence.file=", "--limit.buffered-bytes=64KiB"];
    let gateway = Process::spawn(Process::command(&flags)).unwrap();
    let reply = gateway.connect().post(PATH, &format!("m 1\n#{}\n", "x".repeat(100_000))).unwrap();
    assert_eq!(reply.status, 503, "{}", reply.body);
    assert!(reply.head.contains("\r\nretry-after: "), "{}", reply.head);
    assert_eq!(gateway.post(PATH, "m 1\n").status, 200);
    assert_eq!(value(&gateway.scrape(), "m{instance=\"\",job=\"j\"}"), 1.0);
}

/// While the store is busy pushes wait, so many and no more.
#[tokio::test(flavor = "multi_thread")]
async fn pushes_that_wait_are_bounded() {
    let freezer = Freezer::default();
    let engine = FrozenEngine::new(MemoryEngine::default(), freezer.clone());
    let queue = QueueLimits { requests_max: 1, ..QueueLimits::default() };
    let gateway = Arc::new(InProcess::open(Box::new(engine), Options { queue, ..Options::default() }));
    let push = || {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move { gateway.push(PATH, "m 1\n").await.0 })
    };
    freezer.freeze();
    let first = push();
    tokio::task::block_in_place(|| freezer.wait_until_blocked());
    // Of the two, the one that comes second finds the queue full.
    let (second, third) = (push(), push());
    let refused = futures_util::future::select(second, third).await;
    let (status, waiting) = refused.factor_first();
    assert_eq!(status.unwrap(), 503);
    freezer.thaw();
    assert_eq!(first.await.unwrap(), 200);
    assert_eq!(waiting.await.unwrap(), 200);
    assert_eq!(value(&gateway.scrape().await, "m{instance=\"\",job=\"j\"}"), 2.0);
}

#[test]
fn connections_over_the_limit_wait_for_their_turn() {
    let flags = ["--persistence.file=", "--limit.connections=1"];
    let gateway = Process::spawn(Process::command(&flags)).unwrap();
    let mut first = gateway.connect();
    assert_eq!(first.post(PATH, "m 1\n").unwrap().status, 200);
    let mut second = gateway.connect();
    second.send(crate::support::wire::request("POST", PATH, "", "m 1\n")).unwrap();
    assert!(!second.has_answer_within(Duration::from_millis(300)), "there is one place");
    assert_eq!(first.post(PATH, "m 1\n").unwrap().status, 200);
    drop(first);
    assert_eq!(second.reply().unwrap().status, 200);
    drop(second);
    assert_eq!(value(&gateway.scrape(), "m{instance=\"\",job=\"j\"}"), 3.0);
}

/// More than the sockets on both sides hold.
fn push_much(gateway: &Process) {
    let mut body = String::new();
    let long = "x".repeat(4_000);
    for series in 0..6_000 {
        writeln!(body, "m{{l=\"{series}-{long}\"}} 1").unwrap();
    }
    assert_eq!(gateway.post(PATH, &body).status, 200);
}

#[test]
fn scrapes_are_bounded_and_a_slow_reader_is_cut_off() {
    let flags = ["--persistence.file=", "--web.max-scrapes=1", "--web.scrape-timeout=3s"];
    let gateway = Process::spawn(Process::command(&flags)).unwrap();
    push_much(&gateway);
    let scrape = |connection: &mut Connection| connection.request("GET", "/metrics", "", "").unwrap();
    let mut slow = gateway.connect();
    slow.send(crate::support::wire::request("GET", "/metrics", "", "")).unwrap();
    assert!(slow.has_answer_within(crate::support::process::PATIENCE));
    let refused = scrape(&mut gateway.connect());
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.head.contains("\r\nretry-after: 1\r\n"), "{}", refused.head);
    assert!(refused.body.contains("--web.max-scrapes"), "{}", refused.body);
    // It never reads on; its place is free again nevertheless.
    wait_until("the slow reader is cut off", || scrape(&mut gateway.connect()).status == 200);
    assert!(slow.reply().is_err(), "a part is not taken for the whole");
    assert_eq!(gateway.post(PATH, "n 1\n").status, 200);
}

#[test]
fn a_body_that_ends_early_is_refused_whole() {
    let gateway = Process::spawn(Process::command(&["--persistence.file="])).unwrap();
    let mut connection = gateway.connect();
    connection
        .send("POST /metrics/job/j HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nm 1\nn 1\n")
        .unwrap();
    connection.finish().unwrap();
    let reply = connection.reply().unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (400, "unexpected EOF\n"));
    assert_eq!(pushed(&gateway), "");
}

#[test]
fn what_is_unsupported_is_refused_and_not_ignored() {
    let gateway = Process::spawn(Process::command(&["--persistence.file="])).unwrap();
    let mut connection = gateway.connect();
    for (query, header, name) in [
        ("", "Idempotency-Key: 1\r\n", "Idempotency-Key"),
        ("", "X-Push-Temporality: cumulative\r\n", "X-Push-Temporality"),
        ("", "X-Push-Source: a\r\n", "X-Push-Source"),
        ("?temporality=cumulative", "", "temporality"),
        ("?dry_run=true", "", "dry_run"),
    ] {
        let reply = connection.request("POST", &format!("{PATH}{query}"), header, "m 1\n").unwrap();
        assert_eq!(reply.status, 501, "{name}: {}", reply.body);
        assert!(reply.body.contains(name), "{}", reply.body);
    }
    assert_eq!(pushed(&gateway), "");
    assert_eq!(connection.post(PATH, "m 1\n").unwrap().status, 200);
}

#[test]
fn of_a_million_labels_few_are_read_in_every_format() {
    const PROTOBUF: &str =
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    let gateway = Process::spawn(Process::command(&["--persistence.file="])).unwrap();
    let names: Vec<String> = (0..1_000_000).map(|i| format!("l{i}")).collect();
    let mut labels = String::new();
    for name in &names {
        write!(labels, "{name}=\"\",").unwrap();
    }
    let mut message = protobuf::header("m", None, MetricType::Gauge, None);
    let pairs = names.iter().map(|name| Label { name, value: "" });
    protobuf::write_metric(&mut message, "m", pairs, &Value::Gauge(1.0), &[], None);
    let mut delimited = protobuf::length_prefix(message.len());
    delimited.extend(message);
    for (group, content_type, body, found) in [
        ("t", "text/plain", format!("m{{{labels}}} 1\n").into_bytes(), 66),
        ("o", "application/openmetrics-text", format!("m{{{labels}l=\"\"}} 1\n# EOF\n").into_bytes(), 66),
        ("p", PROTOBUF, delimited, 65),
    ] {
        let length = body.len();
        let mut connection = gateway.connect();
        let head = format!(
            "POST {PATH}/f/{group} HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\nContent-Type: \
             {content_type}\r\n\r\n"
        );
        connection.send([head.as_bytes(), &body].concat()).unwrap();
        let reply = connection.reply().unwrap();
        // As whoever counts afterwards would say it.
        let text = format!(
            "pushed metrics are invalid or inconsistent with existing metrics: labels of metric \"m\" (line 1): \
             {found} is over the limit of 64; raise it with --limit.labels-per-series or push less\n"
        );
        assert_eq!((reply.status, reply.body.as_str()), (429, text.as_str()), "{content_type}");
        let scrape = gateway.scrape();
        let failed = scrape.lines().find(|line| {
            line.starts_with("push_failure_time_seconds{") && line.contains(&format!("f=\"{group}\""))
        });
        assert!(failed.is_some_and(|line| !line.ends_with(" 0")), "{content_type}: {scrape}");
    }
}
