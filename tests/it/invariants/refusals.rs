//! A refused push changes nothing but the failure time of its group, and that only if it could be read.

use axum::body::Body;
use axum::http::Request;
use tallygate::gateway::{Limits, Options};
use tallygate::http;
use tallygate::storage::MemoryEngine;

use super::{push, run};
use crate::support::in_process::InProcess;

/// A push that is refused, and whether it moves the failure time of its group.
struct Refused {
    what: &'static str,
    path: &'static str,
    /// Behind lines that are fine by themselves.
    body: String,
    headers: &'static [(&'static str, &'static str)],
    status: u16,
    moves_failure: bool,
}

/// What refused pushes meet: families of every type to clash with.
const STORED: &str = "# TYPE c counter\nc{l=\"1\"} 1\n# TYPE g gauge\ng 2\nu 3\n\
    # TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 2\nh_sum 3\n# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_count 1\ns_sum 2\n";

/// Lines that would change every one of those families, were the push not refused.
const FINE: &str = "# HELP c Changed.\n# TYPE c counter\nc{l=\"1\"} 1\nc{l=\"2\"} 1\n# TYPE g gauge\ng 9\nu 1\n\
    # TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\n# TYPE s summary\ns_count 1\nfresh 1\n";

/// Limits that a short push can exceed.
fn low_limits() -> Limits {
    Limits {
        series_per_push_max: 40,
        labels_per_series_max: 5,
        name_bytes_max: 20,
        value_bytes_max: 30,
        help_bytes_max: 30,
        histogram_bounds_max: 4,
        series_per_group_max: 30,
        ..Limits::default()
    }
}

fn low_http_limits() -> http::Options {
    http::Options {
        body_bytes_max: 4_000,
        inflated_bytes_max: 6_000,
        path_bytes_max: 300,
        ..http::Options::default()
    }
}

/// Refused by admission: the failure time moves.
fn inadmissible() -> Vec<Refused> {
    let many =
        |count: usize| (0..count).fold(String::new(), |body, i| body + &format!("many{{n=\"{i}\"}} 1\n"));
    let cases: Vec<(&'static str, u16, String)> = vec![
        ("a negative counter", 400, "# TYPE x counter\nx -1\n".into()),
        ("an infinite counter", 400, "# TYPE x counter\nx +Inf\n".into()),
        ("a counter that is no number", 400, "# TYPE x counter\nx NaN\n".into()),
        ("an infinite untyped value", 400, "x +Inf\n".into()),
        ("a timestamp", 400, "x 1 1000\n".into()),
        ("a series twice", 400, "x 1\nx 2\n".into()),
        ("a series twice but for an empty label", 400, "x 1\nx{e=\"\"} 2\n".into()),
        (
            "a series twice but for the job, which the path overrides",
            400,
            "x 1\nfresh{job=\"other\"} 1\n".into(),
        ),
        ("another type", 400, "# TYPE seed_g counter\nseed_g 1\n".into()),
        ("another type of a histogram", 400, "seed_h 1\n".into()),
        ("a derived name", 400, "seed_h_count 1\n".into()),
        ("a name that derives a stored one", 400, "# TYPE seed summary\nseed_count 1\n".into()),
        ("a name and a derived one in one push", 400, "x_sum 1\n# TYPE x histogram\nx_count 1\n".into()),
        (
            "falling buckets",
            400,
            "# TYPE x histogram\nx_bucket{le=\"1\"} 2\nx_bucket{le=\"+Inf\"} 1\n".into(),
        ),
        ("count against +Inf", 400, "# TYPE x histogram\nx_bucket{le=\"+Inf\"} 1\nx_count 2\n".into()),
        ("neither count nor +Inf", 400, "# TYPE x histogram\nx_bucket{le=\"1\"} 2\n".into()),
        (
            "a bucket twice",
            400,
            "# TYPE x histogram\nx_bucket{le=\"1\"} 2\nx_bucket{le=\"1.0\"} 2\nx_count 2\n".into(),
        ),
        ("a bare sample of a histogram", 400, "# TYPE x histogram\nx 2\nx_count 2\n".into()),
        ("a bound that is no number", 400, "# TYPE x histogram\nx_bucket{le=\"NaN\"} 2\nx_count 2\n".into()),
        ("half an observation", 400, "# TYPE x histogram\nx_count 2.5\n".into()),
        ("more observations than are exact", 400, "# TYPE x histogram\nx_count 9007199254740994\n".into()),
        ("an infinite sum", 400, "# TYPE x histogram\nx_count 1\nx_sum +Inf\n".into()),
        ("a quantile beyond one", 400, "# TYPE x summary\nx{quantile=\"2\"} 1\n".into()),
        ("a negative count", 400, "# TYPE x summary\nx_count -1\n".into()),
        ("a reserved name", 400, "tallygate_x 1\n".into()),
        ("a reserved name of Pushgateway", 400, "pushgateway_x 1\n".into()),
        ("a reserved label", 400, "x{__y=\"1\"} 1\n".into()),
        ("too many series", 429, many(41)),
        ("too many series for the group", 429, many(28)),
        ("too many labels", 429, "x{a=\"1\",b=\"1\",c=\"1\",d=\"1\",e=\"1\"} 1\n".into()),
        ("a long name", 429, "xxxxxxxxxxxxxxxxxxxxx 1\n".into()),
        ("a long label name", 429, "x{xxxxxxxxxxxxxxxxxxxxx=\"1\"} 1\n".into()),
        ("a long value", 429, format!("x{{a=\"{}\"}} 1\n", "v".repeat(31))),
        ("a long HELP", 429, format!("# HELP x {}\nx 1\n", "h".repeat(31))),
        (
            "too many bounds",
            429,
            "# TYPE x histogram\nx_bucket{le=\"1\"} 1\nx_bucket{le=\"2\"} 1\n\
            x_bucket{le=\"3\"} 1\nx_bucket{le=\"4\"} 1\nx_bucket{le=\"+Inf\"} 1\n"
                .into(),
        ),
    ];
    let refused = |(what, status, body)| Refused {
        what,
        path: "/metrics/job/j",
        body,
        headers: &[],
        status,
        moves_failure: true,
    };
    cases.into_iter().map(refused).collect()
}

/// Refused before admission: the failure time stays.
fn unreadable() -> Vec<Refused> {
    let parse = [
        "m m 1",
        "x{ 1\n",
        "x{a=\"1\",a=\"2\"} 1\n",
        "x 1",
        "# TYPE x y\n",
        "x one\n",
        "x{a=\"\u{0}\\q\"} 1\n",
    ];
    let at = |what, path, body: &str, headers, status| Refused {
        what,
        path,
        body: body.to_owned(),
        headers,
        status,
        moves_failure: false,
    };
    let mut refused: Vec<Refused> =
        parse.map(|body| at("not the text format", "/metrics/job/j", body, &[], 400)).into();
    refused.extend([
        at("an invalid label name", "/metrics/job/j/1a/x", "x 1\n", &[], 400),
        at("an odd path", "/metrics/job/j/a", "x 1\n", &[], 400),
        at("invalid base64", "/metrics/job/j/a@base64/!", "x 1\n", &[], 400),
        at("no job", "/metrics/job@base64/=", "x 1\n", &[], 400),
        at("another encoding", "/metrics/job/j", "x 1\n", &[("content-encoding", "br")], 415),
        at("not gzip", "/metrics/job/j", "x 1\n", &[("content-encoding", "gzip")], 400),
        at("not snappy", "/metrics/job/j", "x 1\n", &[("content-encoding", "snappy")], 400),
        at("not zstd", "/metrics/job/j", "x 1\n", &[("content-encoding", "zstd")], 400),
        at(
            "not protobuf",
            "/metrics/job/j",
            "x 1\n",
            &[(
                "content-type",
                "application/vnd.google.protobuf; \
            proto=io.prometheus.client.MetricFamily; encoding=delimited",
            )],
            400,
        ),
        at("an idempotency key", "/metrics/job/j", "x 1\n", &[("idempotency-key", "k")], 501),
        at("a dry run", "/metrics/job/j?dry_run=1", "x 1\n", &[], 501),
        Refused {
            what: "a large body",
            path: "/metrics/job/j",
            body: "x 1\n".repeat(1_001),
            headers: &[],
            status: 413,
            moves_failure: false,
        },
    ]);
    refused
}

fn failure_times(scrape: &str) -> Vec<&str> {
    scrape.lines().filter(|line| line.starts_with("push_failure_time_seconds")).collect()
}

fn without_failure_times(scrape: &str) -> String {
    let kept = scrape.lines().filter(|line| !line.contains("push_failure_time_seconds"));
    kept.flat_map(|line| [line, "\n"]).collect()
}

async fn send(gateway: &InProcess, refused: &Refused) -> (u16, String) {
    let mut request = Request::post(refused.path);
    for (name, value) in refused.headers {
        request = request.header(*name, *value);
    }
    let body = format!("{FINE}{}", refused.body);
    let (status, text) = gateway.request(request.body(Body::from(body)).unwrap()).await;
    (status.as_u16(), text)
}

#[test]
fn a_refused_push_changes_nothing_but_the_failure_time() {
    run(async {
        let options = Options { limits: low_limits(), ..Options::default() };
        let gateway = InProcess::open_with(Box::new(MemoryEngine::default()), options, low_http_limits());
        push(&gateway, "/metrics/job/j", STORED).await;
        push(
            &gateway,
            "/metrics/job/other",
            "fresh 1\n# TYPE seed_g gauge\nseed_g 1\n# TYPE seed_h histogram\nseed_h_count 1\nseed_count 1\n",
        )
        .await;
        let mut now = 2_000;
        for refused in inadmissible().iter().chain(&unreadable()) {
            now += 1;
            gateway.clock.set_seconds(now);
            let before = gateway.scrape().await;
            let (status, text) = send(&gateway, refused).await;
            assert_eq!(status, refused.status, "{}: {text}", refused.what);
            let after = gateway.scrape().await;
            assert_eq!(without_failure_times(&after), without_failure_times(&before), "{}", refused.what);
            let moved = format!("push_failure_time_seconds{{instance=\"\",job=\"j\"}} {}", seconds(now));
            assert_eq!(
                failure_times(&after).contains(&&*moved),
                refused.moves_failure,
                "{}\n{after}",
                refused.what
            );
            if !refused.moves_failure {
                assert_eq!(failure_times(&after), failure_times(&before), "{}", refused.what);
            }
        }
        // None of them is refused for what stands before it.
        push(&gateway, "/metrics/job/j", FINE).await;
    });
}

/// A time as a scrape shows it.
fn seconds(seconds: u64) -> String {
    format!("{seconds}")
}
