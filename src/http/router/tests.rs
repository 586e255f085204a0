//! Every route from outside: status, headers and body of what it answers.

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::HeaderMap;
use hyper::header::{ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS};

use super::*;
use crate::http::testing::{self, gateway};
use crate::model::Value;
use crate::telemetry::Reason;

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: impl hyper::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

async fn send(router: &Router, request: Request) -> Answer {
    let response = router.clone().answer(request).await;
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

async fn ask(router: &Router, method: &str, path: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    send(router, request).await
}

fn plain_router() -> Router {
    testing::router(Options::default())
}

#[tokio::test]
async fn statuses_of_every_path_and_method() {
    let router = plain_router();
    for (method, path, status) in [
        ("GET", "/", 200),
        ("GET", "/status", 200),
        ("GET", "/-/healthy", 200),
        ("GET", "/-/ready", 200),
        ("GET", "/metrics", 200),
        ("GET", "/metrics?name[]=x", 200),
        ("GET", "/%6detrics", 200),
        ("PUT", "/metrics/job/j", 200),
        ("POST", "/metrics/job/j/a/b", 200),
        ("PUT", "/metrics/job@base64/ag", 200),
        ("PUT", "/metrics/job/j/", 200),
        ("PUT", "/metrics/job/j?x=1", 200),
        ("DELETE", "/metrics/job/j", 202),
        ("DELETE", "/metrics/job/never/a@base64/=", 202),
        ("PUT", "/-/quit", 403),
        ("POST", "/-/quit", 403),
        ("GET", "/api/v1/status", 200),
        ("GET", "/api/v1/metrics", 200),
        ("OPTIONS", "/api/v1/metrics", 200),
        ("OPTIONS", "/api/v1/admin/wipe", 200),
        ("OPTIONS", "/api/v1/nothing", 200),
        ("OPTIONS", "/api/v1/", 200),
        // Without a route.
        ("GET", "/favicon.ico", 404),
        ("GET", "/api/v1/", 404),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v2/status", 404),
        ("PUT", "/api/v1/admin/wipe", 404),
        ("POST", "/api/v1", 404),
        ("OPTIONS", "/api/v1", 404),
        ("PUT", "/metrics/job", 404),
        ("PUT", "/metrics/job/", 404),
        ("GET", "/metrics/job@base64/", 404),
        ("PUT", "/metrics/jobs/x", 404),
        ("PUT", "/metrics/job@foo/x", 404),
        ("PUT", "/metrics/foo/bar/job/x", 404),
        ("DELETE", "/metrics/foo", 404),
        ("OPTIONS", "/nowhere", 404),
        ("HEAD", "/nowhere", 404),
        ("PUT", "/metrics/", 404),
        ("HEAD", "/METRICS", 404),
        // With a route that has other methods.
        ("HEAD", "/metrics", 405),
        ("HEAD", "/-/healthy", 405),
        ("HEAD", "/metrics/job/j", 405),
        ("GET", "/metrics/job/j", 405),
        ("GET", "/metrics/job/j/odd", 405),
        ("PATCH", "/metrics/job/j", 405),
        ("FOO", "/metrics", 405),
        ("PUT", "/metrics", 405),
        ("POST", "/", 405),
        ("GET", "/-/quit", 405),
        ("DELETE", "/-/ready", 405),
        ("PUT", "/api/v1/status", 405),
        ("HEAD", "/api/v1/metrics", 405),
        ("OPTIONS", "/metrics", 200),
        ("OPTIONS", "/metrics/job/j/odd", 200),
        ("OPTIONS", "*", 200),
        ("GET", "*", 404),
        // Refused for the path, whatever the method.
        ("PUT", "/metrics/job/j/odd", 400),
        ("DELETE", "/metrics/job/j/odd", 400),
        ("DELETE", "/metrics/job/%ff", 400),
        ("PUT", "/metrics//job/x", 400),
        ("GET", "/metrics//job/x", 400),
        ("PUT", "/METRICS/job/x", 400),
        ("DELETE", "/metrics/job/x/../y", 400),
        ("PUT", "/x/../metrics/job/x", 400),
        ("GET", "/%zz", 400),
        ("PUT", "/metrics/job/%", 400),
    ] {
        let answer = ask(&router, method, path).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert!(status == 301 || answer.header(LOCATION).is_none(), "{method} {path}");
    }
}

#[tokio::test]
async fn allow_lists_the_methods_sorted() {
    let router = plain_router();
    for (path, allowed) in [
        ("/metrics", "GET, OPTIONS"),
        ("/", "GET, OPTIONS"),
        ("/-/quit", "OPTIONS, POST, PUT"),
        ("/metrics/job/j", "DELETE, OPTIONS, POST, PUT"),
    ] {
        let refused = ask(&router, "PATCH", path).await;
        assert_eq!((refused.status, refused.header(ALLOW)), (405, Some(allowed)));
        assert_eq!(refused.body, "Method Not Allowed\n");
        assert_eq!(refused.header(CONTENT_TYPE), Some("text/plain; charset=utf-8"));
        assert_eq!(refused.header(X_CONTENT_TYPE_OPTIONS), Some("nosniff"));
        let options = ask(&router, "OPTIONS", path).await;
        assert_eq!((options.status, options.header(ALLOW)), (200, Some(allowed)));
        assert_eq!(options.body, "");
        assert!(options.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
    }
    assert_eq!(ask(&router, "OPTIONS", "*").await.header(ALLOW), None);
}

#[tokio::test]
async fn bodies_that_clients_may_compare() {
    let router = plain_router();
    let healthy = ask(&router, "GET", "/-/healthy").await;
    assert_eq!(healthy.body, "OK");
    assert_eq!(healthy.header(CONTENT_TYPE), Some("text/plain; charset=utf-8"));
    let quit = ask(&router, "PUT", "/-/quit").await;
    assert_eq!(quit.body, "Lifecycle API is not enabled.");
    assert_eq!(quit.header(X_CONTENT_TYPE_OPTIONS), None);
    assert_eq!(ask(&router, "GET", "/x").await.body, "404 page not found\n");
    let escape = ask(&router, "GET", "/%4").await;
    assert_eq!((escape.body.as_str(), escape.header(CONNECTION)), ("400 Bad Request", Some("close")));
    let home = ask(&router, "GET", "/").await;
    assert!(home.body.contains("href=\"/metrics\""));
    assert_eq!(home.header(CONTENT_TYPE), Some("text/html; charset=utf-8"));
}

#[tokio::test]
async fn a_push_answers_nothing_but_its_status() {
    let router = plain_router();
    for (method, status) in [("PUT", 200), ("POST", 200), ("DELETE", 202)] {
        let answer = ask(&router, method, "/metrics/job/j").await;
        assert_eq!((answer.status, answer.body.as_str()), (status, ""));
        assert_eq!(answer.header(CONTENT_TYPE), None);
        assert_eq!(answer.header(CONTENT_LENGTH).unwrap_or("0"), "0");
    }
}

#[tokio::test]
async fn paths_other_than_pushes_are_redirected_to_what_they_mean() {
    let router = plain_router();
    for (path, location) in [
        ("/metrics/", "/metrics"),
        ("/METRICS", "/metrics"),
        ("/Metrics/", "/metrics"),
        ("//metrics", "/metrics"),
        ("/./metrics", "/metrics"),
        ("/Status", "/status"),
        ("/status/?q=1", "/status"),
        ("/-/HEALTHY/", "/-/healthy"),
        ("/api/v1", "/api/v1/"),
        ("/api/v1/status/", "/api/v1/status"),
        ("/x/../", "/"),
    ] {
        let answer = ask(&router, "GET", path).await;
        assert_eq!((answer.status, answer.header(LOCATION)), (301, Some(location)), "{path}");
        assert_eq!(answer.body, format!("<a href=\"{location}\">Moved Permanently</a>.\n\n"));
    }
    let answer = ask(&router, "PUT", "/-/quit/").await;
    assert_eq!((answer.status, answer.header(LOCATION), answer.body.as_str()), (307, Some("/-/quit"), ""));
}

#[tokio::test]
async fn another_telemetry_path_leaves_the_push_paths_where_they_are() {
    let router = testing::router(Options { telemetry_path: "/Own/scrape/".to_owned(), ..Options::default() });
    assert_eq!(ask(&router, "GET", "/Own/scrape/").await.status, 200);
    assert_eq!(ask(&router, "GET", "/own/scrape").await.header(LOCATION), Some("/Own/scrape/"));
    assert_eq!(ask(&router, "GET", "/metrics").await.status, 404);
    assert_eq!(ask(&router, "PUT", "/metrics/job/j").await.status, 200);
}

#[tokio::test]
async fn a_path_may_have_its_limit_and_not_a_byte_more() {
    let path = "/metrics/job/0123456789";
    let limited = |max| testing::router(Options { path_bytes_max: max, ..Options::default() });
    assert_eq!(ask(&limited(path.len()), "PUT", path).await.status, 200);
    let answer = ask(&limited(path.len() - 1), "PUT", path).await;
    assert_eq!(answer.status, 413);
    assert!(answer.body.contains("23 bytes and may have 22") && answer.body.contains("--limit.path-bytes"));
}

#[tokio::test]
async fn what_is_pushed_is_scraped_and_what_is_deleted_is_not() {
    let router = plain_router();
    let push = |path: &str, body: &'static str| {
        Request::builder().method("POST").uri(path).body(Body::from(body)).unwrap()
    };
    assert_eq!(send(&router, push("/metrics/job/some%20job/a/b", "m_total 2\n")).await.status, 200);
    assert_eq!(send(&router, push("/metrics/job@base64/c29tZSBqb2I/a/b", "m_total 3\n")).await.status, 200);
    let scrape = ask(&router, "GET", "/metrics").await;
    assert_eq!(scrape.header(CONTENT_TYPE), Some(crate::exposition::text::CONTENT_TYPE));
    let sample = scrape.body.lines().find(|line| line.starts_with("m_total{")).expect("pushed");
    assert!(sample.contains("job=\"some job\"") && sample.ends_with(" 5"), "{sample}");
    assert_eq!(
        ask(&router, "DELETE", "/metrics/job/some job/a/b".replace(' ', "%20").as_str()).await.status,
        202
    );
    assert!(!ask(&router, "GET", "/metrics").await.body.contains("m_total"));
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_leaves_no_trace() {
    let router = plain_router();
    let push = |header: (&str, &str), body: &'static str| {
        Request::builder()
            .method("PUT")
            .uri("/metrics/job/refused")
            .header(header.0, header.1)
            .body(Body::from(body))
            .unwrap()
    };
    let protobuf =
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    for (header, body, status, text) in [
        (("x", "y"), "blablabla\n", 400, "text format parsing error in line 1: "),
        (("content-type", protobuf), "m 1\n", 400, "unexpected EOF"),
        (
            ("content-encoding", "br"),
            "m 1\n",
            415,
            "the Content-Encoding \"br\" is not supported; send gzip, snappy,",
        ),
        (("content-encoding", "x-snappy-framed"), "m 1\n", 415, "the Content-Encoding"),
        (("content-encoding", "snappy"), "m 1\n", 400, "snappy: corrupt input"),
        (("content-encoding", "zstd"), "m 1\n", 400, "zstd: corrupt input"),
        (("content-encoding", "gzip, identity"), "m 1\n", 415, "the Content-Encoding"),
        (("content-encoding", "gzip"), "m_total 1\n", 400, "gzip: invalid header"),
        (("content-encoding", " GZIP "), "", 400, "EOF"),
        (("idempotency-key", "k"), "m 1\n", 501, "the header Idempotency-Key is not supported"),
        (("x-push-source", "s"), "m 1\n", 501, "the header X-Push-Source is not supported"),
        (("x-push-temporality", "delta"), "m 1\n", 501, "the header X-Push-Temporality is not"),
    ] {
        let answer = send(&router, push(header, body)).await;
        assert_eq!(answer.status, status, "{header:?}: {}", answer.body);
        assert!(answer.body.starts_with(text) && answer.body.ends_with('\n'), "{}", answer.body);
        assert_eq!(answer.header(X_CONTENT_TYPE_OPTIONS), Some("nosniff"));
    }
    for method in ["PUT", "POST", "DELETE"] {
        for query in ["temporality=cumulative", "dry_run=1"] {
            let answer = ask(&router, method, &format!("/metrics/job/refused?{query}")).await;
            assert_eq!(answer.status, 501, "{method} {query}");
        }
    }
    assert!(!ask(&router, "GET", "/metrics").await.body.contains("refused\""));
    for header in
        [("content-encoding", "identity"), ("content-encoding", ""), ("content-type", "application/json")]
    {
        assert_eq!(send(&router, push(header, "m 1\n")).await.status, 200, "{header:?}");
    }
}

/// A router whose paths all begin with `/Some/path`.
fn prefixed_router() -> Router {
    testing::router(Options {
        route_prefix: "/Some/path".to_owned(),
        link_prefix: "/Some/path".to_owned(),
        telemetry_path: "/scrape".to_owned(),
        admin_api: true,
        lifecycle: true,
        ..Options::default()
    })
}

#[tokio::test]
async fn with_a_prefix_every_route_is_behind_it_and_none_before() {
    let router = prefixed_router();
    for (method, path, status) in [
        ("GET", "/", 200),
        ("GET", "/status", 200),
        ("GET", "/scrape", 200),
        ("GET", "/-/healthy", 200),
        ("GET", "/-/ready", 200),
        ("GET", "/-/quit", 405),
        ("PUT", "/-/quit", 200),
        ("POST", "/-/quit", 200),
        ("GET", "/api/v1/status", 200),
        ("GET", "/api/v1/metrics", 200),
        ("PUT", "/api/v1/admin/wipe", 202),
        ("OPTIONS", "/api/v1/x", 200),
        ("OPTIONS", "/scrape", 200),
        ("PUT", "/metrics/job/j", 200),
        ("DELETE", "/metrics/job/j", 202),
        ("PUT", "/metrics/job/j/odd", 400),
    ] {
        let answer = ask(&router, method, &format!("/Some/path{path}")).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert_eq!(ask(&router, method, path).await.status, 404, "{method} {path} without the prefix");
    }
    assert_eq!(ask(&router, "GET", "/Some/path/metrics").await.status, 404);
    assert_eq!(ask(&router, "GET", "/Some/pathology").await.status, 404);
    assert_eq!(ask(&router, "PUT", "/Some/pathmetrics/job/j").await.status, 404);
    assert_eq!(ask(&router, "OPTIONS", "*").await.status, 200);
}

#[tokio::test]
async fn redirects_keep_the_prefix_and_a_push_is_never_redirected() {
    let router = prefixed_router();
    for (method, path, status, location) in [
        ("GET", "/Some/path", 301, Some("/Some/path/")),
        ("GET", "/some/PATH/Status/", 301, Some("/Some/path/status")),
        ("GET", "//Some/path/scrape", 301, Some("/Some/path/scrape")),
        ("GET", "/Some/path/api/v1", 301, Some("/Some/path/api/v1/")),
        ("GET", "/Some/path/api/v1/metrics/", 301, Some("/Some/path/api/v1/metrics")),
        ("PUT", "/Some/path/api/v1/admin/wipe/", 307, Some("/Some/path/api/v1/admin/wipe")),
        ("POST", "/Some/path/-/Quit", 307, Some("/Some/path/-/quit")),
        ("GET", "/scrape/", 404, None),
        ("PUT", "/some/path/metrics/job/j", 400, None),
        ("PUT", "//Some/path/metrics/job/j", 400, None),
        ("PUT", "/Some/path/METRICS/job/j", 400, None),
        ("PUT", "/Some/path/x/../metrics/job/j", 400, None),
        ("DELETE", "/x/../Some/path/metrics/job/j", 400, None),
    ] {
        let answer = ask(&router, method, path).await;
        assert_eq!((answer.status, answer.header(LOCATION)), (status, location), "{method} {path}");
    }
    let advice = ask(&router, "PUT", "/some/path/metrics/job@base64/ag").await.body;
    assert_eq!(
        advice,
        "the path must start with /Some/path/metrics/job@base64/, in this letter case; \
         it starts with \"/some/path/metrics/job@base64\"\n"
    );
}

#[tokio::test]
async fn only_the_json_api_is_open_to_other_origins() {
    let router = prefixed_router();
    let cors = [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "GET, OPTIONS"),
        ("access-control-allow-headers", "Accept, Authorization, Content-Type, Origin"),
        ("access-control-expose-headers", "Date"),
        ("cache-control", "no-cache, no-store, must-revalidate"),
    ];
    for (method, path, is_open) in [
        ("GET", "/api/v1/status", true),
        ("GET", "/api/v1/metrics", true),
        ("OPTIONS", "/api/v1/metrics", true),
        ("OPTIONS", "/api/v1/nothing", true),
        ("PUT", "/api/v1/metrics", false),
        ("GET", "/api/v1/nothing", false),
        ("PUT", "/api/v1/admin/wipe", false),
        ("PUT", "/metrics/job/j", false),
        ("OPTIONS", "/metrics/job/j", false),
        ("DELETE", "/metrics/job/j", false),
        ("GET", "/scrape", false),
        ("GET", "/", false),
        ("GET", "/-/healthy", false),
    ] {
        let answer = ask(&router, method, &format!("/Some/path{path}")).await;
        for (name, value) in cors {
            assert_eq!(answer.header(name), is_open.then_some(value), "{method} {path}: {name}");
        }
    }
    let json = ask(&router, "GET", "/Some/path/api/v1/metrics").await;
    assert_eq!(json.header(CONTENT_TYPE), Some("application/json"));
    let options = ask(&router, "OPTIONS", "/Some/path/api/v1/metrics").await;
    assert_eq!((options.body.as_str(), options.header(CONTENT_TYPE)), ("", None));
    let refused = ask(&router, "POST", "/Some/path/api/v1/admin/wipe").await;
    assert_eq!((refused.status, refused.header(ALLOW)), (405, Some("OPTIONS, PUT")));
    let wiped = ask(&router, "PUT", "/Some/path/api/v1/admin/wipe").await;
    assert_eq!((wiped.status, wiped.body.as_str(), wiped.header(CONTENT_TYPE)), (202, "", None));
}

#[tokio::test]
async fn a_stop_is_asked_for_by_whoever_may() {
    let plain = plain_router();
    ask(&plain, "PUT", "/-/quit").await;
    let quit = plain.quit_requested();
    assert!(tokio::time::timeout(std::time::Duration::from_millis(20), quit).await.is_err());
    let router = prefixed_router();
    for method in ["PUT", "POST"] {
        let answer = ask(&router, method, "/Some/path/-/quit").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "Requesting termination... Goodbye!"));
        assert_eq!(answer.header(CONTENT_TYPE), Some("text/plain; charset=utf-8"));
    }
    router.quit_requested().await;
}

#[tokio::test]
async fn requests_and_refusals_are_counted() {
    let metrics = Arc::new(Metrics::default());
    let options = Options { admin_api: true, lifecycle: true, ..Options::default() };
    let router = Router::new(gateway(), Arc::clone(&metrics), options);
    let broken = Request::builder().method("PUT").uri("/metrics/job/j").header("content-encoding", "gzip");
    send(&router, broken.body(Body::from("this is not what gzip begins with")).unwrap()).await;
    for (method, path) in [
        ("PUT", "/metrics/job/j"),
        ("PUT", "/metrics/job/j/odd"),
        ("DELETE", "/metrics/job/j/odd"),
        ("GET", "/"),
        ("GET", "/status"),
        ("GET", "/-/healthy"),
        ("GET", "/-/ready"),
        ("GET", "/api/v1/status"),
        ("GET", "/api/v1/metrics"),
        ("OPTIONS", "/api/v1/metrics"),
        ("PUT", "/api/v1/admin/wipe"),
        // And what no handler has answered, or what is not counted with Pushgateway either.
        ("PUT", "/metrics//job/j"),
        ("BREW", "/coffee"),
        ("GET", "/metrics"),
        ("PUT", "/-/quit"),
        ("GET", "/-/ready/"),
        ("PATCH", "/metrics/job/j"),
        ("OPTIONS", "/metrics"),
    ] {
        ask(&router, method, path).await;
    }
    let families = metrics.families();
    let series_of = |name: &str| -> Vec<String> {
        let family = families.iter().find(|family| family.name == name).expect(name);
        let series = family.series.iter().map(|(labels, value)| match value {
            Value::Counter(value) => format!("{labels} {value}"),
            Value::Summary(summary) => format!("{labels} {:?}", summary.count),
            other => panic!("{name}: {other:?}"),
        });
        let mut series: Vec<String> = series.collect();
        series.sort();
        series
    };
    let expected = [
        r#"{code="200",handler="api/v1/metrics",method="get"} 1"#,
        r#"{code="200",handler="api/v1/options",method="options"} 1"#,
        r#"{code="200",handler="api/v1/status",method="get"} 1"#,
        r#"{code="200",handler="healthy",method="get"} 1"#,
        r#"{code="200",handler="push",method="put"} 1"#,
        r#"{code="200",handler="ready",method="get"} 1"#,
        r#"{code="200",handler="status",method="get"} 2"#,
        r#"{code="202",handler="wipe",method="put"} 1"#,
        r#"{code="400",handler="delete",method="delete"} 1"#,
        r#"{code="400",handler="push",method="put"} 1"#,
    ];
    assert_eq!(series_of("pushgateway_http_requests_total"), expected);
    let others = [
        r#"{code="200",method="get"} 1"#,
        r#"{code="200",method="options"} 1"#,
        r#"{code="200",method="put"} 1"#,
        r#"{code="301",method="get"} 1"#,
        r#"{code="400",method="put"} 2"#,
        r#"{code="404",method="other"} 1"#,
        r#"{code="405",method="other"} 1"#,
    ];
    assert_eq!(series_of("tallygate_http_other_requests_total"), others);
    // The one that could not be inflated reached a handler of ours.
    for name in ["pushgateway_http_push_duration_seconds", "pushgateway_http_push_size_bytes"] {
        assert_eq!(series_of(name), [r#"{method="put"} Some(3.0)"#]);
    }
    assert_eq!(metrics.pushes_refused.of(Reason::Path).get(), 2);
    assert_eq!(metrics.pushes_refused.of(Reason::Encoding).get(), 1);
}
