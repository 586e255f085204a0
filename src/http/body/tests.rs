//! Bodies as they come over a real connection, whole and not.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::http::testing;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn served(options: Options) -> SocketAddr {
    testing::serve(testing::router(options))
}

/// Sends bytes, stops sending, and reads all of the answer.
async fn exchange(address: SocketAddr, sent: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(sent).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut answer = Vec::new();
    // An end by reset is an end.
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn request(headers: &str, body: &[u8]) -> Vec<u8> {
    [format!("PUT /metrics/job/j HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes(), body].concat()
}

fn with_length(length: usize, more: &str, body: &[u8]) -> Vec<u8> {
    request(&format!("Content-Length: {length}\r\n{more}"), body)
}

async fn scrape(address: SocketAddr) -> String {
    exchange(address, b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await
}

#[tokio::test]
async fn a_cut_body_is_refused_and_leaves_no_trace() {
    let address = served(Options::default());
    let gzipped = gzip(b"m_total 1\nn_total 2\n");
    for (sent, expected) in [
        // Cut at the end of a line, where the text alone would look complete.
        (with_length(20, "", b"m_total 1\n"), "unexpected EOF\n"),
        (request("Transfer-Encoding: chunked\r\n", b"a\r\nm_total 1\n\r\n"), "unexpected EOF\n"),
        (request("Transfer-Encoding: chunked\r\n", b"a\r\nm_tot"), "unexpected EOF\n"),
        (
            with_length(gzipped.len() - 5, "Content-Encoding: gzip\r\n", &gzipped[..gzipped.len() - 5]),
            "unexpected EOF\n",
        ),
        (
            with_length(
                gzipped.len() + 10,
                "Content-Encoding: gzip\r\n",
                &[&*gzipped, b"0123456789"].concat(),
            ),
            "gzip: invalid header\n",
        ),
        (with_length(0, "Content-Encoding: gzip\r\n", b""), "EOF\n"),
        (request("Transfer-Encoding: chunked\r\n", b"zz\r\nm_total 1\n"), "the body could not be read: "),
    ] {
        let shown = String::from_utf8_lossy(&sent).into_owned();
        let answer = exchange(address, &sent).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{shown}\n{answer}");
        assert!(answer.split_once("\r\n\r\n").unwrap().1.starts_with(expected), "{shown}\n{answer}");
    }
    assert!(!scrape(address).await.contains("job=\"j\""));
}

#[tokio::test]
async fn a_whole_body_is_accepted_in_every_transfer() {
    let address = served(Options::default());
    let gzipped = gzip(b"m_total 1\n");
    let members = [gzipped.clone(), gzip(b"n_total 1\n")].concat();
    for sent in [
        with_length(10, "", b"m_total 1\n"),
        request("Transfer-Encoding: chunked\r\n", b"4\r\nm_to\r\n6\r\ntal 1\n\r\n0\r\nX-Trailer: y\r\n\r\n"),
        with_length(gzipped.len(), "Content-Encoding:  GZip \r\n", &gzipped),
        with_length(members.len(), "Content-Encoding: gzip\r\n", &members),
    ] {
        let answer = exchange(address, &sent).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.to_lowercase().contains("content-length: 0\r\n"), "{answer}");
        assert!(!answer.to_lowercase().contains("content-type"), "{answer}");
    }
    let scrape = scrape(address).await;
    assert!(scrape.lines().any(|line| line.starts_with("m_total{") && line.ends_with(" 4")), "{scrape}");
    assert!(scrape.lines().any(|line| line.starts_with("n_total{") && line.ends_with(" 1")), "{scrape}");
}

#[tokio::test]
async fn sizes_are_limited_to_the_byte() {
    let options = Options { body_bytes_max: 60, inflated_bytes_max: 100, ..Options::default() };
    let address = served(options);
    let text = |bytes: usize| format!("{}\nm 1\n", "#".repeat(bytes - 5)).into_bytes();
    let chunked =
        |bytes: usize| [format!("{bytes:x}\r\n").as_bytes(), &text(bytes), b"\r\n0\r\n\r\n"].concat();
    for (sent, status, flag) in [
        (with_length(60, "", &text(60)), 200, ""),
        (with_length(61, "", &text(61)), 413, Options::BODY_BYTES_FLAG),
        (request("Transfer-Encoding: chunked\r\n", &chunked(60)), 200, ""),
        (request("Transfer-Encoding: chunked\r\n", &chunked(61)), 413, Options::BODY_BYTES_FLAG),
        // Refused by what it announces, before it is sent.
        (with_length(1 << 40, "Expect: 100-continue\r\n", b""), 413, Options::BODY_BYTES_FLAG),
        (with_length(gzip(&text(100)).len(), "Content-Encoding: gzip\r\n", &gzip(&text(100))), 200, ""),
        (
            with_length(gzip(&text(101)).len(), "Content-Encoding: gzip\r\n", &gzip(&text(101))),
            413,
            Options::INFLATED_BYTES_FLAG,
        ),
    ] {
        let answer = exchange(address, &sent).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains(flag), "{answer}");
        assert!(!answer.contains("100 Continue"), "{answer}");
    }
    let plain_only = Options { body_bytes_max: 100, inflated_bytes_max: 60, ..Options::default() };
    let answer = exchange(served(plain_only), &with_length(61, "", &text(61))).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains(Options::INFLATED_BYTES_FLAG), "{answer}");
}

#[tokio::test]
async fn a_client_that_is_still_sending_gets_its_refusal() {
    let address = served(Options { body_bytes_max: 4 << 20, ..Options::default() });
    let body = vec![b'#'; 3 << 20];
    let answer = exchange(address, &with_length(body.len(), "Content-Encoding: br\r\n", &body)).await;
    assert!(answer.starts_with("HTTP/1.1 415 "), "{answer:?}");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let address = served(Options { body_timeout: Duration::from_millis(50), ..Options::default() });
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(&with_length(20, "", b"m_total 1\n")).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    assert!(!scrape(address).await.contains("m_total"));
}

#[tokio::test]
async fn bodies_together_are_limited_too() {
    let options = Options { buffered_bytes_max: 4 << 10, ..Options::default() };
    let address = served(options);
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(&with_length(5_000, "", &[b'#'; 3_500])).await.unwrap();
    let second = with_length(2_000, "", &[&[b'#'; 1_999][..], b"\n"].concat());
    // Until the server has read what the first one sent.
    let refused = loop {
        let answer = exchange(address, &second).await;
        if !answer.starts_with("HTTP/1.1 200 ") {
            break answer;
        }
    };
    assert!(
        refused.starts_with("HTTP/1.1 503 ") && refused.to_lowercase().contains("retry-after: 1"),
        "{refused}"
    );
    drop(first);
    let accepted = async {
        while !exchange(address, &second).await.starts_with("HTTP/1.1 200 ") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), accepted).await.expect("given back by who left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_is_inflated_and_read_beside_the_async_threads() {
    let address = served(Options::default());
    let text = [vec![b'#'; 4 << 20], b"\nm_total 1\n".to_vec()].concat();
    let gzipped = gzip(&text);
    let answer = exchange(address, &with_length(gzipped.len(), "Content-Encoding: gzip\r\n", &gzipped)).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let answer = exchange(address, &with_length(text.len(), "", &text)).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(scrape(address).await.contains("m_total"));
}

proptest! {
    #[test]
    fn whatever_is_compressed_comes_back_in_members_of_any_size(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..5),
    ) {
        let sent: Vec<u8> = parts.iter().flat_map(|part| gzip(part)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, "gzip".parse().unwrap())]);
        let options = Options::default();
        let memory = Memory::new(options.buffered_bytes_max);
        let mut body = Body::from(sent);
        let received = runtime.block_on(receive(&headers, &mut body, &options, &memory)).unwrap();
        prop_assert_eq!(received.bytes(), parts.concat());
    }
}
