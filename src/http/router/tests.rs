//! Every route from outside: status, headers and body of what it answers.

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::HeaderMap;
use hyper::header::{ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS};

use super::*;
use crate::http::testing::{self, gateway};
use crate::telemetry::{self, Reason, StatusCode};

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
        // Without a route.
        ("GET", "/favicon.ico", 404),
        ("GET", "/api/v1/metrics", 404),
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
        (("content-type", protobuf), "", 415, "the Content-Type application/vnd.google.protobuf"),
        (("content-encoding", "br"), "m 1\n", 415, "the Content-Encoding \"br\" is not supported; send gzip"),
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

#[tokio::test]
async fn requests_and_refusals_are_counted() {
    let metrics = Arc::new(Metrics::default());
    let router = Router::new(gateway(), Arc::clone(&metrics), Options::default());
    ask(&router, "PUT", "/metrics/job/j").await;
    ask(&router, "PUT", "/metrics/job/j/odd").await;
    ask(&router, "PUT", "/metrics//job/j").await;
    ask(&router, "DELETE", "/metrics/job/j/odd").await;
    ask(&router, "BREW", "/coffee").await;
    let count = |handler, method, code| metrics.http_requests.of((handler, method, StatusCode(code))).get();
    assert_eq!(count(Handler::Push, telemetry::Method::Put, 200), 1);
    assert_eq!(count(Handler::Push, telemetry::Method::Put, 400), 1);
    assert_eq!(count(Handler::Delete, telemetry::Method::Delete, 400), 1);
    assert_eq!(count(Handler::Other, telemetry::Method::Other, 404), 1);
    assert_eq!(metrics.pushes_refused.of(Reason::Path).get(), 2);
}
