//! OpenMetrics: pushed, and scraped by those who are strict about it: the Python client's parser and Prometheus.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::prometheus::{ask, scraping};
use crate::support::process::{Process, is_installed, scratch, wait_until};
use crate::support::wire::Reply;

const PATH: &str = "/metrics/job/j";

const PUSHED: &str = "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";

const ACCEPTED: &str = "Accept: application/openmetrics-text; version=1.0.0\r\n";

/// One of each type.
const EVERY_TYPE: &str = "\
# HELP files Files that were \\\"copied\\\".
# TYPE files counter
files_total{kind=\"full\"} 0.1 # {trace_id=\"abc\"} 1.5 1520879607.789
files_created{kind=\"full\"} 1520430000
# TYPE size_bytes gauge
# UNIT size_bytes bytes
size_bytes 5.2e+09
# TYPE copy_seconds histogram
# UNIT copy_seconds seconds
copy_seconds_bucket{le=\"1.0\"} 2
copy_seconds_bucket{le=\"10.0\"} 3 # {trace_id=\"def\"} 9.5
copy_seconds_bucket{le=\"+Inf\"} 4
copy_seconds_sum 25.5
copy_seconds_count 4
# TYPE cold histogram
cold_bucket{le=\"-1.0\"} 2
cold_bucket{le=\"+Inf\"} 4
# TYPE queue gaugehistogram
queue_bucket{le=\"1.0\"} 2
queue_bucket{le=\"+Inf\"} 4
queue_gsum 25.5
queue_gcount 4
# TYPE check_seconds summary
check_seconds{quantile=\"0.5\"} 1
check_seconds_sum 2
check_seconds_count 2
# TYPE build info
build_info{version=\"1\"} 1
# TYPE door stateset
door{door=\"open\"} 1
door{door=\"shut\"} 0
# TYPE anything unknown
anything 1
# EOF
";

fn send(gateway: &Process, method: &str, path: &str, headers: &str, body: &str) -> Reply {
    gateway.connect().request(method, path, headers, body).unwrap()
}

fn push(gateway: &Process, body: &str) -> Reply {
    send(gateway, "POST", PATH, PUSHED, body)
}

/// The scrape as OpenMetrics.
fn scrape(gateway: &Process) -> String {
    let reply = send(gateway, "GET", "/metrics", ACCEPTED, "");
    assert_eq!(reply.status, 200);
    assert!(
        reply.head.contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{}",
        reply.head
    );
    reply.body
}

#[test]
fn what_is_pushed_adds_up_and_is_shown_in_both_formats() {
    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &[]);
    for _ in 0..10 {
        let reply = push(&gateway, EVERY_TYPE);
        assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    }
    let text = gateway.scrape();
    for line in [
        "# HELP files_total Files that were \"copied\".",
        "# TYPE files_total counter",
        "files_total{instance=\"\",job=\"j\",kind=\"full\"} 1",
        "copy_seconds_bucket{instance=\"\",job=\"j\",le=\"10\"} 30",
        "copy_seconds_sum{instance=\"\",job=\"j\"} 255",
        "# TYPE build_info gauge",
        "build_info{instance=\"\",job=\"j\",version=\"1\"} 1",
        "# TYPE anything untyped",
        "anything{instance=\"\",job=\"j\"} 10",
    ] {
        assert!(text.lines().any(|own| own == line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains("_created") && !text.contains("abc"), "{text}");
    let openmetrics = scrape(&gateway);
    for line in [
        "# HELP files Files that were \\\"copied\\\".",
        "# TYPE files counter",
        "copy_seconds_bucket{instance=\"\",job=\"j\",le=\"1.0\"} 20",
        "queue_gcount{instance=\"\",job=\"j\"} 4",
        "build_info{instance=\"\",job=\"j\",version=\"1\"} 1",
        "door{instance=\"\",job=\"j\",door=\"open\"} 1",
        "# TYPE anything unknown",
    ] {
        assert!(openmetrics.lines().any(|own| own == line), "{line} is missing in\n{openmetrics}");
    }
    assert!(openmetrics.contains("\nfiles_total{instance=\"\",job=\"j\",kind=\"full\"} 1"), "{openmetrics}");
}

#[test]
fn what_is_not_whole_changes_nothing() {
    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &[]);
    assert_eq!(push(&gateway, "# TYPE a counter\na_total 1\n# EOF\n").status, 200);
    let cut = push(&gateway, "# TYPE a counter\na_total 1\n");
    assert_eq!(
        (cut.status, cut.body.as_str()),
        (
            400,
            "openmetrics parsing error in line 2: the body does not end with \"# EOF\"; it may be cut short\n"
        )
    );
    let timed = push(&gateway, "# TYPE a counter\na_total 1 1520879607.789\n# EOF\n");
    assert_eq!(timed.status, 400);
    assert!(timed.body.contains("pushed metrics must not have timestamps"), "{}", timed.body);
    // As text the same bytes say something else: a counter without a sample, and one without a type.
    let reply = send(&gateway, "POST", "/metrics/job/text", "", "# TYPE a counter\na_total 1\n# EOF\n");
    assert_eq!(reply.status, 200);
    assert!(gateway.scrape().contains("\na_total{instance=\"\",job=\"j\"} 1\n"));
}

#[test]
fn the_python_clients_parser_accepts_every_type() {
    const READ: &str = "\
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    print(family.name, family.type, family.unit, len(family.samples))
";
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
    if !is_installed(&python.display().to_string()) {
        return;
    }
    for flags in [&[][..], &["--web.enable-openmetrics-created"]] {
        let (_directory, store) = scratch();
        let gateway = Process::start(&store, flags);
        assert_eq!(push(&gateway, EVERY_TYPE).status, 200);
        assert_eq!(gateway.post("/metrics/job/k", "# TYPE plain counter\nplain 5\n").status, 200);
        let exposition = scrape(&gateway);
        assert_eq!(exposition.contains("\nfiles_created{"), !flags.is_empty(), "{exposition}");
        let mut reader = Command::new(&python)
            .args(["-c", READ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        reader.stdin.take().unwrap().write_all(exposition.as_bytes()).unwrap();
        let output = reader.wait_with_output().unwrap();
        assert!(output.status.success(), "{}\n{exposition}", String::from_utf8_lossy(&output.stderr));
        let read = String::from_utf8(output.stdout).unwrap();
        let created = usize::from(!flags.is_empty());
        for family in [
            format!("files counter  {}", 1 + created),
            "size_bytes gauge bytes 1".to_owned(),
            format!("copy_seconds histogram seconds {}", 5 + created),
            format!("cold histogram  {}", 2 + created),
            "queue gaugehistogram  4".to_owned(),
            format!("check_seconds summary  {}", 3 + created),
            "build info  1".to_owned(),
            "door stateset  2".to_owned(),
            "anything unknown  1".to_owned(),
            format!("plain counter  {}", 1 + created),
        ] {
            assert!(read.lines().any(|line| line == family), "{family} is missing in\n{read}{exposition}");
        }
    }
}

#[test]
fn prometheus_sees_counters_under_their_pushed_names_unless_openmetrics_is_enabled() {
    if !is_installed("prometheus") {
        return;
    }
    for (flags, present, absent) in
        [(&[][..], "jobs", "jobs_total"), (&["--web.enable-openmetrics"], "jobs_total", "jobs")]
    {
        let (directory, store) = scratch();
        let gateway = Process::start(&store, flags);
        assert_eq!(push(&gateway, EVERY_TYPE).status, 200);
        assert_eq!(gateway.post(PATH, "# TYPE jobs counter\njobs 5\n").status, 200);
        let prometheus = scraping(&gateway, directory.path());
        wait_until(&format!("{present} is there"), || ask(&prometheus, present).as_deref() == Some("5"));
        assert_eq!(ask(&prometheus, absent), None);
        for (query, value) in [
            ("files_total", "0.1"),
            ("size_bytes", "5200000000"),
            ("copy_seconds_count", "4"),
            ("check_seconds_sum", "2"),
            ("build_info", "1"),
            ("door{door=\"open\"}", "1"),
            ("anything", "1"),
            ("up", "1"),
        ] {
            assert_eq!(ask(&prometheus, query).as_deref(), Some(value), "{query} with {flags:?}");
        }
        let bound = if flags.is_empty() { "10" } else { "10.0" };
        let query = format!("copy_seconds_bucket{{le=\"{bound}\"}}");
        assert_eq!(ask(&prometheus, &query).as_deref(), Some("3"));
        let gauge_histogram = if flags.is_empty() { "queue_count" } else { "queue_gcount" };
        assert_eq!(ask(&prometheus, gauge_histogram).as_deref(), Some("4"));
    }
}

#[test]
fn names_in_utf8_are_accepted_with_the_switch_only() {
    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &["--push.enable-utf8-names"]);
    let body = "# TYPE \"http.requests\" counter\n{\"http.requests\",\"http.status\"=\"500\"} 1\n";
    for _ in 0..3 {
        assert_eq!(gateway.post("/metrics/job/j/U__host_2e_name/h", body).status, 200);
    }
    let quoted = send(&gateway, "GET", "/metrics", "Accept: text/plain;escaping=allow-utf-8\r\n", "");
    let line =
        "\n{\"http.requests\",\"host.name\"=\"h\",\"http.status\"=\"500\",instance=\"\",job=\"j\"} 3\n";
    assert!(quoted.body.contains(line), "{}", quoted.body);
    let line = "\nhttp_requests{host_name=\"h\",http_status=\"500\",instance=\"\",job=\"j\"} 3\n";
    assert!(gateway.scrape().contains(line), "{}", gateway.scrape());
    assert_eq!(gateway.delete("/metrics/job/j/U__host_2e_name/h").status, 202);
    assert!(!gateway.scrape().contains("\nhttp_requests"));
    // It would be shown as a name that begins with two underscores.
    assert_eq!(gateway.post("/metrics/job/j/U______x/v", "a 1\n").status, 400);
    assert_eq!(gateway.post("/metrics/job/j", "a{\"..x\"=\"v\"} 1\n").status, 400);

    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &[]);
    let refused = gateway.post(PATH, body);
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("invalid metric name \"http.requests\""), "{}", refused.body);
    assert_eq!(gateway.post("/metrics/job/j/U__host_2e_name/h", "a 1\n").status, 200);
    assert!(gateway.scrape().contains("U__host_2e_name=\"h\""), "a name like any other");
}

#[test]
fn the_states_of_a_state_set_are_limited_as_values_are() {
    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &["--limit.value-bytes=100"]);
    let push = |state: &str| {
        let body = format!("# TYPE s stateset\ns{{s=\"{state}\"}} 1\n# EOF\n");
        send(&gateway, "POST", "/metrics/job/j", "Content-Type: application/openmetrics-text\r\n", &body)
    };
    assert_eq!(push(&"x".repeat(100)).status, 200);
    let refused = push(&"x".repeat(101));
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert!(refused.body.contains("bytes of a state of metric \"s\" (line 2)"), "{}", refused.body);
}
