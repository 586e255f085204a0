//! Scrapes from outside: compression, limits, slow readers, many at once.

use std::io::Read as _;

use flate2::read::GzDecoder;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use hyper::header::{CONTENT_ENCODING, RETRY_AFTER};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::http::router::Router;
use crate::http::testing;

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
async fn gzip_is_sent_to_those_who_ask_for_it() {
    let router = filled(Options::default(), 10).await;
    for (accepted, encoding) in [
        (None, None),
        (Some(""), None),
        (Some("identity"), None),
        (Some("gzip"), Some("gzip")),
        (Some("GZIP"), Some("gzip")),
        (Some("deflate, gzip;q=0.5"), Some("gzip")),
        (Some("gzip;q=0"), None),
        (Some("gzip;q=0, *"), None),
        (Some("gzip;q=0.1, identity;q=0.5"), None),
        (Some("br, zstd"), None),
        (Some("zstd;q=1, gzip;q=0.9, identity;q=0.1"), Some("gzip")),
        (Some("*;q=0, gzip"), Some("gzip")),
        (Some("*;q=0, identity"), None),
        (Some("nonsense;;;q=x"), None),
    ] {
        let response = get(&router, accepted).await;
        assert_eq!(response.status(), 200, "{accepted:?}");
        let sent = response.headers().get(CONTENT_ENCODING).map(|value| value.to_str().unwrap());
        assert_eq!(sent, encoding, "{accepted:?}");
        assert_eq!(response.headers()[CONTENT_TYPE], text::CONTENT_TYPE);
        let is_gzip = encoding.is_some();
        // What the server makes the Content-Length of.
        assert_eq!(response.body().size_hint().exact().is_some(), !is_gzip, "{accepted:?}");
        let mut body = bytes(response).await;
        if is_gzip {
            let compressed = std::mem::take(&mut body);
            GzDecoder::new(&*compressed).read_to_end(&mut body).unwrap();
        }
        let text = String::from_utf8(body).unwrap();
        assert_eq!(text.lines().filter(|line| line.starts_with("metric_number_")).count(), 10);
    }
}

#[tokio::test]
async fn own_and_stored_families_are_one_list_by_name() {
    let text = String::from_utf8(bytes(get(&filled(Options::default(), 3).await, None).await).await).unwrap();
    let names: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    assert!(names.contains(&"push_time_seconds") && names.contains(&"tallygate_build_info"), "{names:?}");
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
