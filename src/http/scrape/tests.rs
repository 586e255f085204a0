//! Scrapes from outside: compression, limits, slow readers, many at once.

use std::io::Read as _;

use flate2::read::GzDecoder;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use hyper::header::{CONTENT_ENCODING, RETRY_AFTER};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::exposition::{ReadLimits, protobuf, text};
use crate::http::router::Router;
use crate::http::testing;
use crate::model::{Families, NameScheme, Value};

async fn get(router: &Router, accept_encoding: Option<&str>) -> Response {
    let mut request = Request::builder().uri("/metrics");
    if let Some(accepted) = accept_encoding {
        request = request.header(ACCEPT_ENCODING, accepted);
    }
    router.clone().answer(request.body(Body::empty()).unwrap()).await
}

async fn bytes(response: Response) -> Vec<u8> {
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

/// A service that holds so many families in one group, each of one series.
async fn filled(options: Options, families: usize) -> Router {
    filled_at("/metrics/job/j", options, families).await
}

async fn filled_at(path: &str, options: Options, families: usize) -> Router {
    let router = testing::router(options);
    let body = (0..families).fold(String::new(), |body, i| body + &format!("metric_number_{i}_total 1\n"));
    let request = Request::builder().method("PUT").uri(path).body(Body::from(body)).unwrap();
    assert_eq!(router.clone().answer(request).await.status(), 200);
    router
}

#[tokio::test]
async fn compression_is_sent_to_those_who_ask_for_it() {
    let router = filled(Options::default(), 10).await;
    for (accepted, encoding) in [
        (None, None),
        (Some(""), None),
        (Some("identity"), None),
        (Some("gzip"), Some("gzip")),
        (Some("GZIP"), Some("gzip")),
        (Some("deflate, gzip;q=0.5"), Some("gzip")),
        (Some("gzip;q=0"), None),
        (Some("*"), None),
        (Some("gzip;q=0, *"), None),
        (Some("zstd;q=0.5 , * ;q=1"), Some("zstd")),
        (Some("gzip;q=0.1, identity;q=0.5"), None),
        (Some("br, zstd"), Some("zstd")),
        (Some("zstd;q=1, gzip;q=0.9, identity;q=0.1"), Some("zstd")),
        (Some("zstd;q=0.1, gzip;q=0.9"), Some("gzip")),
        (Some("zstd;q=0, identity"), None),
        // Not 406, though nothing is accepted.
        (Some("*;q=0"), None),
        (Some("*;q=0, gzip"), Some("gzip")),
        (Some("*;q=0, identity"), None),
        (Some("nonsense;;;q=x"), None),
    ] {
        let response = get(&router, accepted).await;
        assert_eq!(response.status(), 200, "{accepted:?}");
        let sent = response.headers().get(CONTENT_ENCODING).map(|value| value.to_str().unwrap());
        assert_eq!(sent, encoding, "{accepted:?}");
        assert_eq!(response.headers()[CONTENT_TYPE], text::CONTENT_TYPE);
        assert_varies(&response);
        // What the server makes the Content-Length of.
        assert_eq!(response.body().size_hint().exact().is_some(), encoding.is_none(), "{accepted:?}");
        let mut body = bytes(response).await;
        if encoding == Some("gzip") {
            let compressed = std::mem::take(&mut body);
            GzDecoder::new(&*compressed).read_to_end(&mut body).unwrap();
        }
        if encoding == Some("zstd") {
            body = zstd::decode_all(&*body).unwrap();
        }
        let text = String::from_utf8(body).unwrap();
        assert_eq!(text.lines().filter(|line| line.starts_with("metric_number_")).count(), 10);
    }
}

/// Whether a cache is told that the answer depends on what is accepted.
#[track_caller]
fn assert_varies(response: &Response) {
    let all: Vec<_> = response.headers().get_all(VARY).iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(all, ["accept", "accept-encoding"]);
}

/// The content type and the text that a reader gets who accepts this.
async fn get_as(router: &Router, accept: &str) -> (String, String) {
    let request = Request::builder().uri("/metrics").header(ACCEPT, accept).body(Body::empty()).unwrap();
    let response = router.clone().answer(request).await;
    assert_eq!(response.status(), 200);
    let content_type = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
    (content_type, String::from_utf8(bytes(response).await).unwrap())
}

async fn push(router: &Router, body: &str) {
    let request =
        Request::builder().method("PUT").uri("/metrics/job/j").body(Body::from(body.to_owned())).unwrap();
    assert_eq!(router.clone().answer(request).await.status(), 200, "{body}");
}

const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0";

#[tokio::test]
async fn openmetrics_answers_who_takes_no_text_and_with_the_switch_who_prefers_it() {
    let both = format!("{OPENMETRICS},text/plain;version=0.0.4;q=0.5,*/*;q=0.1");
    let offered = Options { openmetrics: true, ..Options::default() };
    for (options, by_both) in [(Options::default(), "text/plain"), (offered, "application/openmetrics-text")]
    {
        let router = testing::router(options);
        push(&router, "# TYPE c counter\nc 1\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\n").await;
        let (content_type, text) = get_as(&router, OPENMETRICS).await;
        assert_eq!(
            content_type,
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
        );
        assert!(text.contains("# TYPE c counter\nc_total{instance=\"\",job=\"j\"} 1\n"), "{text}");
        assert!(text.contains("h_bucket{instance=\"\",job=\"j\",le=\"1.0\"} 1\n"), "{text}");
        assert!(text.ends_with("\n# EOF\n") && text.matches("# EOF").count() == 1, "{text}");
        assert!(!text.contains("_created"), "{text}");
        let (content_type, text) = get_as(&router, &both).await;
        assert!(content_type.starts_with(by_both), "{content_type}");
        assert_eq!(text.contains("\nc{"), by_both == "text/plain", "{text}");
        // Whatever was asked for before, text is text.
        let (content_type, text) = get_as(&router, "*/*").await;
        assert_eq!(content_type, text::CONTENT_TYPE);
        assert!(text.contains("\nc{instance=\"\",job=\"j\"} 1\n") && !text.contains("# EOF"), "{text}");
    }
}

#[tokio::test]
async fn protobuf_says_what_text_says() {
    const ACCEPTED: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                            encoding=delimited;q=0.6,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    let router = filled(Options::default(), 3).await;
    // One whose chunks are shared, and one that the gateway has itself.
    let long = "x".repeat(3_000);
    let many = (0..100)
        .fold("# TYPE c counter\n".to_owned(), |body, i| body + &format!("c{{l=\"{i}{long}\"}} {i}\n"));
    push(&router, &many).await;
    push(&router, "# TYPE process_open_fds gauge\nprocess_open_fds 1\n").await;
    // What counts scrapes is there from the first one on.
    get_as(&router, "text/plain").await;
    for _ in 0..2 {
        let request =
            Request::builder().uri("/metrics").header(ACCEPT, ACCEPTED).body(Body::empty()).unwrap();
        let response = router.clone().answer(request).await;
        assert_eq!(
            response.headers()[CONTENT_TYPE],
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; \
             escaping=underscores"
        );
        let body = bytes(response).await;
        let protobuf = protobuf::parse_up_to(&body, NameScheme::Legacy, ReadLimits::NONE).unwrap();
        let (_, body) = get_as(&router, "text/plain").await;
        let text = text::parse(body.as_bytes()).unwrap();
        let shown = |families: &Families<'_>| -> Vec<_> {
            let each = families.families.iter();
            each.map(|family| (family.name.to_string(), family.metric_type, family.series.len())).collect()
        };
        assert_eq!(shown(&protobuf), shown(&text));
        let values = |families: &Families<'_>| -> Vec<Value> {
            let counters = families.families.iter().find(|family| family.name == "c").unwrap();
            counters.series.iter().map(|series| series.value.clone()).collect()
        };
        assert_eq!(values(&protobuf), values(&text));
        assert_eq!(values(&text).len(), 100);
    }
}

#[tokio::test]
async fn names_are_escaped_as_the_reader_asks() {
    let router = testing::router(Options { names: NameScheme::Utf8, ..Options::default() });
    push(&router, "# TYPE \"a.b\" gauge\n{\"a.b\",\"l.m\"=\"v\"} 1\n").await;
    for (escaping, lines) in [
        ("allow-utf-8", "# TYPE \"a.b\" gauge\n{\"a.b\",instance=\"\",job=\"j\",\"l.m\"=\"v\"} 1\n"),
        ("underscores", "# TYPE a_b gauge\na_b{instance=\"\",job=\"j\",l_m=\"v\"} 1\n"),
        ("dots", "# TYPE a_dot_b gauge\na_dot_b{instance=\"\",job=\"j\",l_dot_m=\"v\"} 1\n"),
        ("values", "# TYPE U__a_2e_b gauge\nU__a_2e_b{instance=\"\",job=\"j\",U__l_2e_m=\"v\"} 1\n"),
    ] {
        for format in ["text/plain;version=0.0.4", OPENMETRICS] {
            let (content_type, text) = get_as(&router, &format!("{format};escaping={escaping}")).await;
            assert!(content_type.ends_with(&format!("; escaping={escaping}")), "{content_type}");
            assert!(text.contains(lines), "{text}");
        }
    }
}

#[tokio::test]
async fn families_whose_names_clash_are_left_out_and_counted_and_come_back() {
    let router = testing::router(Options { names: NameScheme::Utf8, ..Options::default() });
    push(
        &router,
        "# TYPE foo counter\nfoo 1\n# TYPE foo_total counter\nfoo_total 2\n# TYPE \"a.b\" gauge\n\
                   {\"a.b\"} 1\n# TYPE a_b gauge\na_b 2\n",
    )
    .await;
    let left_out = |text: &str| {
        let line =
            text.lines().find(|line| line.contains("families_left_out_total{reason=\"name\"}")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    };
    for round in 0..3 {
        // OpenMetrics leaves out two of them, text one, and text that allows all names none.
        let (_, text) = get_as(&router, OPENMETRICS).await;
        assert_eq!(text.matches("\nfoo_total{").count(), 1, "{text}");
        assert_eq!(text.matches("\na_b{").count(), 1, "{text}");
        let (_, text) = get_as(&router, "text/plain").await;
        assert_eq!((text.matches("\nfoo{").count(), text.matches("\nfoo_total{").count()), (1, 1), "{text}");
        assert_eq!(text.matches("\na_b{").count(), 1, "{text}");
        let (_, text) = get_as(&router, "text/plain;escaping=allow-utf-8").await;
        assert_eq!((text.matches("\n{\"a.b\",").count(), text.matches("\na_b{").count()), (1, 1), "{text}");
        assert_eq!(left_out(&text), 3 * (round + 1), "{text}");
    }
    // Once nothing stands in their way they are shown, as they are now.
    let delete = Request::builder().method("DELETE").uri("/metrics/job/j").body(Body::empty()).unwrap();
    assert_eq!(router.clone().answer(delete).await.status(), 202);
    push(&router, "# TYPE foo_total counter\nfoo_total 5\n").await;
    assert!(get_as(&router, OPENMETRICS).await.1.contains("\nfoo_total{instance=\"\",job=\"j\"} 5\n"));
}

#[tokio::test]
async fn own_and_stored_families_are_one_list_by_name() {
    let text = String::from_utf8(bytes(get(&filled(Options::default(), 3).await, None).await).await).unwrap();
    let names: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    assert!(names.contains(&"push_time_seconds") && names.contains(&"pushgateway_build_info"), "{names:?}");
    assert!(names.contains(&"metric_number_2_total"), "{names:?}");
}

#[tokio::test]
async fn over_the_limit_a_scrape_is_told_to_come_again() {
    let router = filled(Options { scrapes_max: 2, ..Options::default() }, 1).await;
    let open = [get(&router, None).await, get(&router, Some("gzip")).await];
    let refused = get(&router, None).await;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()[RETRY_AFTER]),
        (503, &HeaderValue::from_static("1"))
    );
    let text = String::from_utf8(bytes(refused).await).unwrap();
    assert!(text.contains(Options::SCRAPES_FLAG), "{text}");
    for response in open {
        assert!(!bytes(response).await.is_empty());
        assert_eq!(get(&router, None).await.status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_is_cut_off_and_keeps_nobody_waiting() {
    let timeout = Duration::from_millis(300);
    let options = Options { scrapes_max: 1, scrape_timeout: timeout, ..Options::default() };
    // Some 32 MB, more than what the kernel and the server buffer for one connection.
    let path = format!("/metrics/job/j/long/{}", "x".repeat(4_000));
    let router = filled_at(&path, options, 8_000).await;
    let address = testing::serve(router.clone());
    let mut stuck = TcpStream::connect(address).await.unwrap();
    stuck.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut start = [0; 15];
    stuck.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200 OK");
    assert_eq!(get(&router, None).await.status(), 503);
    let freed = async {
        while get(&router, None).await.status() != 200 {
            tokio::time::sleep(timeout / 10).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), freed).await.expect("the place is given back");
    let mut rest = Vec::new();
    // An end by reset is an end.
    let _ = stuck.read_to_end(&mut rest).await;
    let (head, body) = rest.split_at(rest.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4);
    let head = String::from_utf8_lossy(head).to_lowercase();
    let announced = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    assert!(body.len() < announced.parse().unwrap(), "all {announced} bytes came");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_scrapes_and_pushes_at_once_all_see_what_was_pushed_before_them() {
    let router = filled(Options::default(), 1).await;
    let workers = (0..8).map(|worker| {
        let router = router.clone();
        tokio::spawn(async move {
            for round in 1..=50 {
                let path = format!("/metrics/job/worker_{worker}");
                let request =
                    Request::builder().method("POST").uri(path).body(Body::from("m_total 1\n")).unwrap();
                assert_eq!(router.clone().answer(request).await.status(), 200);
                let text = String::from_utf8(bytes(get(&router, None).await).await).unwrap();
                let own = format!("job=\"worker_{worker}\"");
                let line =
                    text.lines().find(|line| line.starts_with("m_total{") && line.contains(&own)).unwrap();
                assert!(line.ends_with(&format!(" {round}")), "{line}");
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
}
