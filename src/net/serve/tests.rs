//! Real sockets against a small router.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::{any, get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tower::ServiceExt as _;

use super::super::listener::bind;
use super::*;

/// Long enough for any of these steps on a busy machine, short of hanging for ever.
const PATIENCE: Duration = Duration::from_secs(20);

struct TestServer {
    addresses: Vec<SocketAddr>,
    /// Lets one request to `/wait` end.
    release: Arc<Notify>,
    /// Told of each request to `/wait` that has begun.
    begun: Arc<Notify>,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<usize>,
}

impl TestServer {
    fn start(listeners: usize, options: Options) -> Self {
        Self::start_with_readers(listeners, options, Handle::current())
    }

    fn start_with_readers(listeners: usize, options: Options, readers: Handle) -> Self {
        let (release, begun) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let waiting = {
            let (release, begun) = (Arc::clone(&release), Arc::clone(&begun));
            move || async move {
                begun.notify_one();
                release.notified().await;
                "released"
            }
        };
        let router = Router::new()
            .route("/hello", get(|| async { "hello" }))
            .route("/wait", get(waiting))
            .route("/thread", any(|| async { format!("{:?}!", std::thread::current().name()) }))
            .route("/length", post(|body: bytes::Bytes| async move { body.len().to_string() }))
            .route("/much", get(|| async { vec![b'x'; 64 << 20] }));
        let answer = move |request: Request<Incoming>, _: Peer| {
            let router = router.clone();
            async move { router.oneshot(request).await.unwrap_or_else(|never| match never {}) }
        };
        let listeners = bind(&vec!["127.0.0.1:0".parse().unwrap(); listeners], 0o660).unwrap();
        let addresses = listeners.iter().map(|listener| listener.local_address().tcp().unwrap()).collect();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { stopped.await.unwrap_or(()) };
        let ended = tokio::spawn(serve(listeners, None, answer, options, readers, stopped));
        Self { addresses, release, begun, stop: Some(stop), ended }
    }

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.addresses[0]).await.unwrap())
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    async fn ended(self) -> usize {
        timeout(PATIENCE, self.ended).await.unwrap().unwrap()
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, request: &str) {
        self.0.write_all(request.as_bytes()).await.unwrap();
    }

    async fn get(&mut self, path: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
    }

    /// Reads until `end` has come.
    async fn receive(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            let mut byte = [0];
            let read = timeout(PATIENCE, self.0.read(&mut byte)).await.unwrap().unwrap();
            assert_ne!(read, 0, "closed after {:?}", String::from_utf8_lossy(&text));
            text.push(byte[0]);
        }
        String::from_utf8(text).unwrap()
    }

    /// Reads until the other side closes.
    async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match timeout(PATIENCE, self.0.read_to_end(&mut bytes)).await.unwrap() {
            Ok(_) => bytes,
            // Closed with something unread.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => bytes,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn every_listener_answers_and_more_than_once() {
    let server = TestServer::start(2, Options::default());
    for address in &server.addresses {
        let mut client = Client(TcpStream::connect(address).await.unwrap());
        client.get("/hello").await;
        assert!(client.receive("hello").await.starts_with("HTTP/1.1 200 OK\r\n"));
        client.get("/hello").await;
        client.receive("hello").await;
    }
}

#[tokio::test]
async fn who_reads_is_served_by_threads_that_give_way() {
    let readers = super::super::readers_runtime().unwrap();
    let server = TestServer::start_with_readers(1, Options::default(), readers.handle().clone());
    for (method, is_reader) in [("GET", true), ("POST", false), ("DELETE", false), ("PUT", false)] {
        let mut client = server.connect().await;
        // Not in one piece: the first byte decides.
        client.send(&method[..1]).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        client.send(&format!("{} /thread HTTP/1.1\r\nHost: h\r\n\r\n", &method[1..])).await;
        let answer = client.receive("!").await;
        assert_eq!(answer.ends_with("Some(\"readers\")!"), is_reader, "{method}: {answer}");
    }
    // What begins with a GET stays where it is.
    let mut client = server.connect().await;
    client.get("/hello").await;
    client.receive("hello").await;
    client.send("POST /thread HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(client.receive("!").await.ends_with("Some(\"readers\")!"));
    readers.shutdown_background();
}

#[tokio::test]
async fn an_open_request_is_answered_before_the_end_and_idle_connections_are_closed() {
    let mut server = TestServer::start(1, Options::default());
    let (mut idle, mut fresh, mut busy) =
        (server.connect().await, server.connect().await, server.connect().await);
    idle.get("/hello").await;
    idle.receive("hello").await;
    busy.get("/wait").await;
    server.begun.notified().await;
    server.stop();
    assert_eq!(idle.rest().await, b"");
    assert_eq!(fresh.rest().await, b"");
    assert!(TcpStream::connect(server.addresses[0]).await.is_err(), "still accepts");
    server.release.notify_one();
    busy.receive("released").await;
    assert_eq!(busy.rest().await, b"");
    assert_eq!(server.ended().await, 0);
}

#[tokio::test]
async fn a_request_that_does_not_end_is_closed_without_an_answer() {
    let options = Options { drain_timeout: Duration::from_millis(100), ..Options::default() };
    let mut server = TestServer::start(1, options);
    let mut busy = server.connect().await;
    busy.get("/wait").await;
    server.begun.notified().await;
    server.stop();
    assert_eq!(busy.rest().await, b"");
    assert_eq!(server.ended().await, 1);
}

#[tokio::test]
async fn over_the_limit_a_connection_waits_for_its_turn() {
    let server = TestServer::start(2, Options { connections_max: 1, ..Options::default() });
    let mut first = server.connect().await;
    first.get("/wait").await;
    server.begun.notified().await;
    let mut second = Client(TcpStream::connect(server.addresses[1]).await.unwrap());
    second.get("/wait").await;
    // Were the limit not kept, the second request would begin now.
    assert!(timeout(Duration::from_millis(200), server.begun.notified()).await.is_err());
    server.release.notify_one();
    first.receive("released").await;
    drop(first);
    timeout(PATIENCE, server.begun.notified()).await.unwrap();
    server.release.notify_one();
    second.receive("released").await;
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let server =
        TestServer::start(1, Options { header_timeout: Duration::from_millis(100), ..Options::default() });
    // Nothing sent; half a head; nothing more after an answer.
    let mut silent = server.connect().await;
    silent.rest().await;
    let mut half = server.connect().await;
    half.send("GET /hello HTTP/1.1\r\nHo").await;
    half.rest().await;
    let mut idle = server.connect().await;
    idle.get("/hello").await;
    idle.receive("hello").await;
    idle.rest().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = TestServer::start(1, Options { header_bytes_max: 8 << 10, ..Options::default() });
    let mut client = server.connect().await;
    client.send(&format!("GET /hello HTTP/1.1\r\nA: {}", "x".repeat(10 << 10))).await;
    assert!(client.rest().await.starts_with(b"HTTP/1.1 431 "));
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_closed() {
    let mut server =
        TestServer::start(1, Options { write_timeout: Duration::from_millis(100), ..Options::default() });
    let mut client = server.connect().await;
    client.get("/much").await;
    client.receive("HTTP/1.1 200 OK").await;
    server.stop();
    // It ends by itself, long before the stop would end it.
    assert_eq!(server.ended().await, 0);
    assert!(client.rest().await.len() < 64 << 20);
}

#[tokio::test]
async fn a_body_arrives_whole() {
    let server = TestServer::start(1, Options::default());
    let mut client = server.connect().await;
    client.send("POST /length HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello").await;
    client.receive("\r\n\r\n5").await;
}

#[tokio::test]
async fn a_client_that_stops_sending_is_still_answered() {
    let server = TestServer::start(1, Options::default());
    let mut client = server.connect().await;
    client.get("/wait").await;
    server.begun.notified().await;
    client.0.shutdown().await.unwrap();
    server.release.notify_one();
    client.receive("released").await;
}

#[test]
fn only_errors_of_a_single_connection_are_passed_over_without_a_pause() {
    // EMFILE and ENFILE.
    for code in [24, 23] {
        assert!(!concerns_one_connection(&io::Error::from_raw_os_error(code)));
    }
    assert!(concerns_one_connection(&io::Error::from(ErrorKind::ConnectionAborted)));
}
