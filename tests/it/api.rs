//! The JSON API and the gateway's own metrics, on the real server.

use serde_json::Value;

use crate::support::neighbour::Neighbour;
use crate::support::process::{Process, is_installed, scratch};
use crate::support::samples::value;
use crate::support::wire::{Connection, Reply};

const EVERY_TYPE: &str = "\
# HELP z_total Counted <here> & \"there\".
# TYPE z_total counter
z_total{l=\"Bj\u{f6}rn\\\\ \\\"q\\\"\"} 1.5e9
# TYPE g gauge
g{l=\"b\"} NaN
g{l=\"a\"} -Inf
# TYPE h histogram
h_bucket{le=\"0.1\"} 1
h_bucket{le=\"2.5\"} 2
h_bucket{le=\"10\"} 3
h_bucket{le=\"+Inf\"} 4
h_sum 12
h_count 4
# TYPE s summary
s{quantile=\"0.5\"} 1
s_sum 2
s_count 2
# TYPE Upper gauge
Upper 1
u 3
# TYPE labels gauge
labels 1
# TYPE last_push_successful gauge
last_push_successful 1
";

fn json(gateway: &Process, path: &str) -> Value {
    let answer = gateway.get(path);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let json: Value = serde_json::from_str(&answer.body).expect(&answer.body);
    assert_eq!(json["status"], "success");
    json["data"].clone()
}

fn put(gateway: &Process, path: &str, body: &str) -> Reply {
    gateway.connect().request("PUT", path, "", body).unwrap()
}

/// The start of the only metric of a family, as it stands in the text of the answer.
fn family_text<'t>(body: &'t str, name: &str) -> &'t str {
    let start = body.find(&format!("\"{name}\":{{\"time_stamp\":")).expect(name);
    let end = body[start..].find("]}").expect(name);
    &body[start..start + end]
}

#[test]
fn an_empty_store_is_an_empty_list() {
    let (_scratch, store) = scratch();
    let gateway = Process::start(&store, &[]);
    assert_eq!(gateway.get("/api/v1/metrics").body, r#"{"status":"success","data":[]}"#);
}

#[test]
fn every_type_has_its_shape() {
    let (_scratch, store) = scratch();
    let gateway = Process::start(&store, &[]);
    let pushed = put(&gateway, "/metrics/job/Bj%C3%B6rn/instance/i", EVERY_TYPE);
    assert_eq!(pushed.status, 200, "{}", pushed.body);
    let body = gateway.get("/api/v1/metrics").body;
    let labels = |own: &str| format!(r#""labels":{{"instance":"i","job":"Björn"{own}}}"#);
    for (name, text) in [
        (
            "z_total",
            format!(
                r#""type":"COUNTER","help":"Counted \u003chere\u003e \u0026 \"there\".","metrics":[{{{},"value":"1.5e+09"}}"#,
                labels(r#","l":"Björn\\ \"q\"""#)
            ),
        ),
        (
            "g",
            format!(
                r#""type":"GAUGE","metrics":[{{{},"value":"NaN"}},{{{},"value":"-Inf"}}"#,
                labels(r#","l":"b""#),
                labels(r#","l":"a""#)
            ),
        ),
        (
            "h",
            format!(
                r#""type":"HISTOGRAM","metrics":[{{"buckets":{{"+Inf":"4","0.1":"1","10":"3","2.5":"2"}},"count":"4",{},"sum":"12"}}"#,
                labels("")
            ),
        ),
        (
            "s",
            format!(
                r#""type":"SUMMARY","metrics":[{{"count":"2",{},"quantiles":{{"0.5":"1"}},"sum":"2"}}"#,
                labels("")
            ),
        ),
        ("u", format!(r#""type":"UNTYPED","metrics":[{{{},"value":"3"}}"#, labels(""))),
    ] {
        let found = family_text(&body, name);
        assert!(found.ends_with(&text), "{name}: {found}\nand not {text}");
    }
    let data = json(&gateway, "/api/v1/metrics");
    let group = data[0].as_object().unwrap();
    assert_eq!(group["labels"], serde_json::json!({"instance": "i", "job": "Björn"}));
    assert_eq!(group["last_push_successful"], true);
    let time = group["g"]["time_stamp"].as_str().unwrap();
    assert!(time.starts_with("20") && time.ends_with('Z') && time.contains('T'), "{time}");
    assert_eq!(group["push_time_seconds"]["time_stamp"], time);
    assert_eq!(group["push_failure_time_seconds"]["metrics"][0]["value"], "0");
    assert_eq!(group["push_failure_time_seconds"]["time_stamp"], time);
    let pushed: f64 = group["push_time_seconds"]["metrics"][0]["value"].as_str().unwrap().parse().unwrap();
    assert!(pushed > 1.7e9);
    // In the text, since a parser may put keys in an order of its own.
    let keys = [
        "\"Upper\":{",
        "\"g\":{",
        "\"h\":{",
        "\"labels\":{",
        "\"last_push_successful\":true",
        "\"push_failure_time_seconds\":{",
    ];
    let places: Vec<usize> = keys.iter().map(|key| body.find(key).expect(key)).collect();
    // The labels of the first series come before those of the group.
    let of_group = body.rfind(",\"labels\":{\"instance\":\"i\",\"job\":\"Björn\"},\"last_push").unwrap();
    assert!(places[0] < places[1] && places[1] < places[2] && places[2] < of_group && of_group < places[4]);
    assert!(places[4] < places[5]);
}

/// A text with what stands between `before` and the next quote replaced by `x`.
fn without_values(text: &str, before: &str) -> String {
    let mut parts = text.split(before);
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| text + before + "x" + &part[part.find('"').unwrap()..])
}

/// What one program says of its groups, without times.
fn comparable(body: &str) -> String {
    let body = without_values(body, "\"time_stamp\":\"").replace("in the Pushgateway", "in the gateway");
    let (before, times) = body.split_once("\"push_time_seconds\":").expect("it is there");
    let (times, after) = times.split_once("]}").expect("it ends");
    format!("{before}\"push_time_seconds\":{}]}}{after}", without_values(times, "\"value\":\""))
}

#[test]
fn it_says_the_same_as_pushgateway_byte_for_byte() {
    if !is_installed("prometheus-pushgateway") {
        return;
    }
    let (_scratch, store) = scratch();
    let ours = Process::start(&store, &[]);
    let theirs = Neighbour::start("prometheus-pushgateway", "/-/ready", |address| {
        vec![format!("--web.listen-address={address}"), "--persistence.file=".to_owned()]
    });
    // Not the keys that a metric can take away there.
    let (push, _) = EVERY_TYPE.split_once("# TYPE labels").unwrap();
    for address in [&ours.address, &theirs.address] {
        let mut connection = Connection::open(address).unwrap();
        let pushed = connection.request("PUT", "/metrics/job/Bj%C3%B6rn/a/%3Cb%3E", "", push).unwrap();
        assert_eq!(pushed.status, 200, "{}", pushed.body);
    }
    let (our_body, their_body) = (ours.get("/api/v1/metrics").body, theirs.get("/api/v1/metrics").body);
    assert_eq!(comparable(&our_body), comparable(&their_body));
    let keys = |body: &str| {
        let json: Value = serde_json::from_str(body).unwrap();
        let members = |key: &str| json["data"][key].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let top: Vec<String> = json["data"].as_object().unwrap().keys().cloned().collect();
        let flags = members("flags");
        (top, members("build_information"), flags)
    };
    let (our_keys, their_keys) =
        (keys(&ours.get("/api/v1/status").body), keys(&theirs.get("/api/v1/status").body));
    assert_eq!((our_keys.0, our_keys.1), (their_keys.0, their_keys.1));
    // Debian has added a flag of its own.
    for flag in their_keys.2.into_iter().filter(|flag| flag != "web.local-assets") {
        assert!(our_keys.2.contains(&flag), "--{flag}");
    }
}

#[test]
fn groups_are_in_order_and_say_whether_their_last_push_failed() {
    let (_scratch, store) = scratch();
    let gateway = Process::start(&store, &[]);
    for path in ["/metrics/job/b", "/metrics/job/a/z/1", "/metrics/job/a", "/metrics/job/b/a/x"] {
        assert_eq!(put(&gateway, path, "m_total 1\n").status, 200);
    }
    assert_eq!(put(&gateway, "/metrics/job/a", "m_total 1 1000\n").status, 400);
    assert_eq!(put(&gateway, "/metrics/job/new", "m_total 1 1000\n").status, 400);
    let data = json(&gateway, "/api/v1/metrics");
    let groups: Vec<(String, bool)> = data
        .as_array()
        .unwrap()
        .iter()
        .map(|group| (group["labels"].to_string(), group["last_push_successful"].as_bool().unwrap()))
        .collect();
    let expected = [
        (r#"{"a":"x","job":"b"}"#, true),
        (r#"{"job":"a"}"#, false),
        (r#"{"job":"a","z":"1"}"#, true),
        (r#"{"job":"b"}"#, true),
        (r#"{"job":"new"}"#, false),
    ];
    assert_eq!(groups, expected.map(|(labels, succeeded)| (labels.to_owned(), succeeded)));
    assert!(data[4]["push_time_seconds"]["time_stamp"].as_str().unwrap().starts_with("20"));
    let page = gateway.get("/").body;
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("<tr><td>")).collect();
    assert_eq!(rows.len(), 5, "{page}");
    assert!(rows[0].contains("a=&quot;x&quot;, job=&quot;b&quot;") && !rows[0].contains("failed"), "{page}");
    assert!(rows[1].contains("Last push failed!") && rows[4].contains("never"), "{page}");
}

#[test]
fn a_long_list_arrives_whole() {
    const SERIES: usize = 60_000;
    let (_scratch, store) = scratch();
    let gateway = Process::start(&store, &[]);
    let body: String =
        (0..SERIES).map(|number| format!("long_total{{number=\"{number}\"}} {number}\n")).collect();
    assert_eq!(gateway.post("/metrics/job/j", &body).status, 200);
    let data = json(&gateway, "/api/v1/metrics");
    let metrics = data[0]["long_total"]["metrics"].as_array().unwrap();
    assert_eq!(metrics.len(), SERIES);
    let mut seen = vec![false; SERIES];
    for metric in metrics {
        let number: usize = metric["labels"]["number"].as_str().unwrap().parse().unwrap();
        let value: f64 = metric["value"].as_str().unwrap().parse().unwrap();
        assert_eq!(value, number as f64);
        seen[number] = true;
    }
    assert!(seen.into_iter().all(|seen| seen));
}

#[test]
fn the_status_tells_build_flags_and_start() {
    let (_scratch, store) = scratch();
    let gateway = Process::start(&store, &["--web.enable-admin-api", "--persistence.interval=90s"]);
    let data = json(&gateway, "/api/v1/status");
    assert_eq!(data["build_information"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(data["build_information"]["goVersion"].as_str().unwrap().starts_with("rustc "));
    let flags = &data["flags"];
    assert_eq!(flags["web.enable-admin-api"], "true");
    assert_eq!(flags["web.enable-lifecycle"], "false");
    assert_eq!(flags["persistence.interval"], "1m30s");
    assert_eq!(flags["web.listen-address"], "127.0.0.1:0");
    assert_eq!(flags["persistence.file"], store.display().to_string());
    assert!(flags.as_object().unwrap().values().all(Value::is_string));
    let start = data["start_time"].as_str().unwrap();
    assert!(start.starts_with("20") && start.ends_with('Z'), "{start}");
}

#[test]
fn wiping_deletes_every_group_for_good_where_it_is_allowed() {
    let (_scratch, store) = scratch();
    let gateway = Process::start(&store, &[]);
    for number in 0..50 {
        assert_eq!(gateway.post(&format!("/metrics/job/j{number}"), "m_total 1\n").status, 200);
    }
    assert_eq!(put(&gateway, "/metrics/job/refused", "m_total 1 1000\n").status, 400);
    assert_eq!(put(&gateway, "/api/v1/admin/wipe", "").status, 404);
    assert_eq!(json(&gateway, "/api/v1/metrics").as_array().unwrap().len(), 51);
    assert!(gateway.stop().success());

    let gateway = Process::start(&store, &["--web.enable-admin-api"]);
    let wiped = put(&gateway, "/api/v1/admin/wipe", "");
    assert_eq!((wiped.status, wiped.body.as_str()), (202, ""));
    assert_eq!(gateway.get("/api/v1/metrics").body, r#"{"status":"success","data":[]}"#);
    assert!(!gateway.scrape().contains("m_total"));
    // Acknowledged means on disk.
    gateway.kill();
    let gateway = Process::start(&store, &[]);
    assert_eq!(gateway.get("/api/v1/metrics").body, r#"{"status":"success","data":[]}"#);
    assert_eq!(gateway.post("/metrics/job/j1", "m_total 1\n").status, 200);
    assert_eq!(value(&gateway.scrape(), "m_total{instance=\"\",job=\"j1\"}"), 1.0);
}

#[test]
fn own_metrics_have_the_names_of_pushgateway() {
    let (_scratch, store) = scratch();
    let gateway = Process::start(&store, &[]);
    for _ in 0..3 {
        assert_eq!(put(&gateway, "/metrics/job/j", "m_total 1\n").status, 200);
    }
    assert_eq!(put(&gateway, "/metrics/job/j", "m_total x\n").status, 400);
    assert_eq!(gateway.post("/metrics/job/j", "m_total 1\n").status, 200);
    let scrape = gateway.scrape();
    let of = |series: &str| value(&scrape, series);
    assert_eq!(of(r#"pushgateway_http_requests_total{code="200",handler="push",method="put"}"#), 3.0);
    assert_eq!(of(r#"pushgateway_http_requests_total{code="400",handler="push",method="put"}"#), 1.0);
    assert_eq!(of(r#"pushgateway_http_requests_total{code="200",handler="push",method="post"}"#), 1.0);
    assert_eq!(of(r#"pushgateway_http_push_duration_seconds_count{method="put"}"#), 4.0);
    let median = of(r#"pushgateway_http_push_duration_seconds{method="put",quantile="0.5"}"#);
    assert!(median > 1e-5 && median < 10.0, "{median}");
    let size = of(r#"pushgateway_http_push_size_bytes{method="post",quantile="0.9"}"#);
    assert!(size > 50.0 && size < 1000.0, "{size}");
    let build = scrape.lines().find(|line| line.starts_with("pushgateway_build_info{")).expect("there");
    let names: Vec<&str> = build.split("=\"").filter_map(|part| part.rsplit(['{', ',']).next()).collect();
    assert_eq!(
        &names[..7],
        ["branch", "goarch", "goos", "goversion", "revision", "tags", "version"],
        "{build}"
    );
    for label in ["goos=\"linux\"", "goversion=\"rustc ", "tags=\"unknown\""] {
        assert!(build.contains(label), "{build}");
    }
    for name in ["process_cpu_seconds_total", "process_open_fds", "process_resident_memory_bytes"] {
        assert!(scrape.lines().any(|line| line.starts_with(&format!("{name} "))), "{name}");
    }
}

#[test]
fn a_pushed_metric_of_a_process_stands_beside_our_own_or_takes_its_place() {
    let (_scratch, store) = scratch();
    let gateway = Process::start(&store, &[]);
    let body = "# TYPE process_open_fds gauge\nprocess_open_fds 7\n# TYPE process_max_fds counter\nprocess_max_fds 9\n";
    assert_eq!(put(&gateway, "/metrics/job/j", body).status, 200);
    let scrape = gateway.scrape();
    assert_eq!(value(&scrape, "process_open_fds{instance=\"\",job=\"j\"}"), 7.0);
    assert!(value(&scrape, "process_open_fds") >= 3.0);
    assert_eq!(value(&scrape, "process_max_fds{instance=\"\",job=\"j\"}"), 9.0);
    assert!(!scrape.lines().any(|line| line.starts_with("process_max_fds ")), "{scrape}");
    assert_eq!(scrape.matches("# TYPE process_max_fds counter").count(), 1);
    assert!(value(&gateway.scrape(), "tallygate_scrape_families_left_out_total{reason=\"type\"}") >= 1.0);
}
