//! Prometheus scrapes the gateway, and promtool reads what it shows.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::neighbour::Neighbour;
use crate::support::process::{Process, is_installed, scratch, wait_until};

/// One of each type, with names that promtool has nothing to say about.
const EVERY_TYPE: &str = "\
# HELP files_total Files that were copied.
# TYPE files_total counter
files_total{kind=\"full\"} 0.1
# HELP last_size_bytes What the last copy took.
# TYPE last_size_bytes gauge
last_size_bytes 5.2e9
# HELP copy_seconds How long a copy took.
# TYPE copy_seconds histogram
copy_seconds_bucket{le=\"1\"} 2
copy_seconds_bucket{le=\"10\"} 3
copy_seconds_bucket{le=\"+Inf\"} 4
copy_seconds_sum 25.5
copy_seconds_count 4
# HELP check_seconds How long a check took.
# TYPE check_seconds summary
check_seconds{quantile=\"0.5\"} 1
check_seconds_sum 2
check_seconds_count 2
# HELP anything Of no type.
anything 1
";

const PATH: &str = "/metrics/job/backup/instance/db1";

#[test]
fn prometheus_sees_the_exact_sums_under_their_own_labels() {
    if !is_installed("prometheus") {
        return;
    }
    let (directory, store) = scratch();
    let gateway = Process::start(&store, &[]);
    for _ in 0..10 {
        assert_eq!(gateway.post(PATH, EVERY_TYPE).status, 200);
    }
    let prometheus = scraping(&gateway, directory.path());

    // One tenth ten times is one: the sum is exact, where adding up floating-point numbers gives 0.999...
    let expected = [
        (r#"files_total{job="backup",instance="db1",kind="full"}"#, "1"),
        (r#"last_size_bytes{job="backup",instance="db1"}"#, "5200000000"),
        (r#"copy_seconds_bucket{job="backup",instance="db1",le="1"}"#, "20"),
        (r#"copy_seconds_bucket{job="backup",instance="db1",le="+Inf"}"#, "40"),
        (r#"copy_seconds_sum{job="backup",instance="db1"}"#, "255"),
        (r#"check_seconds_count{job="backup",instance="db1"}"#, "20"),
        (r#"anything{job="backup",instance="db1"}"#, "10"),
        (r#"up{job="tallygate"}"#, "1"),
    ];
    for (query, value) in expected {
        wait_until(&format!("{query} is {value}"), || ask(&prometheus, query).as_deref() == Some(value));
    }
    // The summary has lost its quantiles with the second push.
    assert_eq!(ask(&prometheus, "check_seconds"), None);
}

/// A Prometheus that scrapes the gateway every second, with its default `Accept`, and keeps its files there.
pub fn scraping(gateway: &Process, directory: &Path) -> Neighbour {
    Neighbour::prometheus(&gateway.address, directory, &[])
}

/// The value of the one series that a query finds.
pub fn ask(prometheus: &Neighbour, query: &str) -> Option<String> {
    let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let answer = prometheus.get(&format!("/api/v1/query?query={query}"));
    let answer: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let found = answer["data"]["result"].as_array()?;
    assert!(found.len() <= 1, "{answer}");
    Some(found.first()?["value"][1].as_str()?.to_owned())
}

#[test]
fn promtool_accepts_the_scrape() {
    if !is_installed("promtool") {
        return;
    }
    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &[]);
    assert_eq!(gateway.post(PATH, EVERY_TYPE).status, 200);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(gateway.scrape().as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert_eq!(said, "");
}
