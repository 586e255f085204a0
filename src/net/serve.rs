//! Accepting connections and serving HTTP on them, until told to stop.
//!
//! Knows nothing of routes. HTTP/1.1 is spoken everywhere, HTTP/2 (`http2`) where both sides agree on it in a TLS
//! handshake. Invariants: there are never more connections than
//! [`Options::connections_max`], plus one per listener that waits for its turn; no connection without a
//! request under way outlives [`Options::header_timeout`], which begins anew with the first byte; when
//! [`serve`] returns, every connection is closed.
//!
//! Connections that begin with a GET or HEAD, once they are decrypted, are served on a runtime of their own, so that
//! pushes do not wait for whoever reads much: what is shown may be millions of lines, and be compressed as well.
//!
//! Over the limit a connection waits, first in our hands and then in the kernel's queue, and is not
//! answered 503: a push takes milliseconds, so a burst is served a moment later instead of being refused.
//! Idle connections cannot hold their places for ever, because the header timeout ends them too.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use super::http2;
use super::listener::Listener;
use super::socket::{Peer, Socket};
use super::stall::WriteStall;
use super::tls::{self, Tls};

/// The pause after a failed accept doubles from the one to the other.
const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(5);
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// What can be set about connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Connections served at a time; more wait.
    pub connections_max: usize,
    /// How long the head of a request may take, counted from the end of the request before: it bounds idle
    /// connections too.
    pub header_timeout: Duration,
    /// Bytes of a request's head, its path included; at least 8 KiB. More is answered 431.
    pub header_bytes_max: usize,
    /// How long a peer may take to read 64 KiB of an answer.
    pub write_timeout: Duration,
    /// How long open requests may take after a stop was asked for; then they are closed without an answer.
    pub drain_timeout: Duration,
}

impl Options {
    /// The flag that sets [`Self::connections_max`].
    pub const CONNECTIONS_FLAG: &'static str = "--limit.connections";
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections_max: 1_000,
            header_timeout: Duration::from_secs(30),
            header_bytes_max: 64 << 10,
            write_timeout: Duration::from_mins(1),
            drain_timeout: Duration::from_secs(15),
        }
    }
}

/// Serves `answer` on all listeners, with TLS if there is a configuration for it, until `shutdown` resolves; then stops
/// accepting, lets open requests end and closes what is left after [`Options::drain_timeout`]. Connections that begin
/// with a GET or HEAD are served on the runtime `readers`, all others on the one that this is called in. Returns, when
/// all connections are closed, how many had to be closed without an answer.
pub async fn serve<A, F>(
    listeners: Vec<Listener>,
    tls: Option<Tls>,
    answer: A,
    options: Options,
    readers: Handle,
    shutdown: impl Future<Output = ()>,
) -> usize
where
    A: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let (stop, stopped) = watch::channel(false);
    let places = Arc::new(Semaphore::new(options.connections_max));
    let server = Server { answer, tls, options, readers, places, stopped };
    let mut listening = JoinSet::new();
    for listener in listeners {
        listening.spawn(server.clone().listen(listener));
    }
    shutdown.await;
    stop.send_replace(true);
    listening.join_all().await.into_iter().sum()
}

#[derive(Clone)]
struct Server<A> {
    answer: A,
    tls: Option<Tls>,
    options: Options,
    readers: Handle,
    places: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
}

/// A connection that was accepted, and may have been decrypted since.
struct Accepted<S> {
    stream: S,
    peer: Peer,
    /// Its place among the connections served.
    place: OwnedSemaphorePermit,
}

/// A stream whose socket can be given to another runtime.
trait Movable: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    fn socket(&mut self) -> &mut Socket;
}

impl Movable for WriteStall<Socket> {
    fn socket(&mut self) -> &mut Socket {
        self.get_mut()
    }
}

impl<S: Movable> Movable for TlsStream<S> {
    fn socket(&mut self) -> &mut Socket {
        self.get_mut().0.socket()
    }
}

/// The connections of readers, which whoever sorts them adds to.
type Readers = Arc<Mutex<JoinSet<()>>>;

impl<A, F> Server<A>
where
    A: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    /// Serves one listener to the end; the number of connections that were closed without an answer.
    async fn listen(self, listener: Listener) -> usize {
        let mut connections = Connections::default();
        let mut stop = pin!(told_to_stop(self.stopped.clone()));
        loop {
            // A connection first and a place then: the other way round, a listener without visitors could hold
            // the last place.
            let (socket, peer) = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&listener) => accepted,
            };
            let place = tokio::select! {
                () = &mut stop => break,
                place = Arc::clone(&self.places).acquire_owned() => place.expect("the semaphore is never closed"),
            };
            connections.reap();
            let stream = WriteStall::new(socket, self.options.write_timeout);
            let readers = Arc::clone(&connections.readers);
            connections.new.spawn(self.clone().sort(Accepted { stream, peer, place }, readers));
        }
        drop(listener);
        if timeout(self.options.drain_timeout, connections.ended()).await.is_ok() {
            return 0;
        }
        let left = connections.len();
        tracing::warn!(connections = left, "requests were still open; closing them without an answer");
        connections.close().await;
        left
    }

    /// Waits for the first byte of a connection, by which it is known where it is to be served, or whether it speaks
    /// TLS.
    async fn sort(self, mut accepted: Accepted<WriteStall<Socket>>, readers: Readers) {
        let first = self.begun(accepted.stream.socket().peek()).await;
        match (first, self.tls.clone()) {
            (Some(first), None) => self.serve_in_place(first, accepted, readers).await,
            // Boxed: connections in the clear do not carry the room that a handshake takes.
            (Some(first), Some(tls)) => Box::pin(self.secure(tls, first, accepted, readers)).await,
            (None, _) => {}
        }
    }

    /// What a new connection comes to that must not take longer than the head of a request; `None` if it comes to
    /// nothing.
    async fn begun<T>(&self, beginning: impl Future<Output = io::Result<Option<T>>>) -> Option<T> {
        tokio::select! {
            () = told_to_stop(self.stopped.clone()) => None,
            begun = timeout(self.options.header_timeout, beginning) => begun.ok()?.ok()?,
        }
    }

    /// Shakes hands on TLS, and sorts the connection by what comes then.
    async fn secure(self, tls: Tls, first: u8, accepted: Accepted<WriteStall<Socket>>, readers: Readers) {
        let Accepted { stream, peer, place } = accepted;
        if tls::is_plain_http(first) {
            tracing::debug!(%peer, "a client speaks HTTP to a port of HTTPS");
            if let Err(error) = tls::refuse_plain_http(stream).await {
                tracing::debug!(%peer, %error, "a connection is lost");
            }
            return;
        }
        if let Err(error) = stream.get_ref().send_at_once() {
            tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
        }
        let handshake = async {
            tls.accept(stream).await.map(Some).inspect_err(|error| {
                tracing::debug!(%peer, %error, "a TLS handshake failed");
            })
        };
        let Some(mut stream) = self.begun(handshake).await else { return };
        if tls::speaks_http2(&stream) {
            return self.serve_http2(Accepted { stream, peer, place }).await;
        }
        let first = self.begun(async { Ok(stream.fill_buf().await?.first().copied()) }).await;
        if let Some(first) = first {
            self.serve_in_place(first, Accepted { stream, peer, place }, readers).await;
        }
    }

    /// Serves a connection on the runtime that is for those that begin with this byte.
    async fn serve_in_place<S: Movable>(self, first: u8, mut accepted: Accepted<S>, readers: Readers) {
        // GET or HEAD.
        if !matches!(first, b'G' | b'H') {
            return self.serve_http1(accepted).await;
        }
        match accepted.stream.socket().leave() {
            Ok(()) => {
                let handle = self.readers.clone();
                readers.lock().spawn_on(self.serve_reader(accepted), &handle);
            }
            Err(error) => tracing::debug!(peer = %accepted.peer, %error, "a connection is lost"),
        }
    }

    /// Serves a connection on the runtime that it was not accepted on.
    async fn serve_reader<S: Movable>(self, mut accepted: Accepted<S>) {
        match accepted.stream.socket().enter() {
            Ok(()) => self.serve_http1(accepted).await,
            Err(error) => tracing::debug!(peer = %accepted.peer, %error, "a connection is lost"),
        }
    }

    async fn serve_http1<S: Movable>(self, accepted: Accepted<S>) {
        let Accepted { mut stream, peer, place } = accepted;
        if let Err(error) = stream.socket().send_at_once() {
            tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
        }
        let answer = self.answer;
        let service = hyper::service::service_fn(move |request| {
            let answering = answer(request, peer);
            async move { Ok::<_, Infallible>(answering.await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.options.header_timeout)
            .max_buf_size(self.options.header_bytes_max)
            // A client may stop sending once its request is sent (as `nc -N` does) and still wait for the
            // answer; a push whose sender is closed upon would be applied, and then sent again.
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = told_to_stop(self.stopped) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            // The peer's doing, nearly always: it went away, or was not understood.
            tracing::debug!(%peer, error = &error as &dyn std::error::Error, "connection ended with an error");
        }
        drop(place);
    }

    async fn serve_http2<S: Movable>(self, accepted: Accepted<S>) {
        let Accepted { stream, peer, place } = accepted;
        let answer = self.answer;
        let answer = move |request| answer(request, peer);
        let stop = told_to_stop(self.stopped);
        if let Err(error) = http2::serve(stream, answer, self.options, self.readers, stop).await {
            tracing::debug!(%peer, error = &error as &dyn std::error::Error, "connection ended with an error");
        }
        drop(place);
    }
}

/// The connections of one listener.
#[derive(Default)]
struct Connections {
    /// Those not yet known to be of readers.
    new: JoinSet<()>,
    readers: Readers,
}

impl Connections {
    /// Frees what ended connections leave behind.
    fn reap(&mut self) {
        while self.new.try_join_next().is_some() {}
        let mut readers = self.readers.lock();
        while readers.try_join_next().is_some() {}
    }

    /// Waits until all have ended; no more are accepted.
    async fn ended(&mut self) {
        while self.new.join_next().await.is_some() {}
        let next = |cx: &mut Context<'_>| self.readers.lock().poll_join_next(cx);
        while poll_fn(next).await.is_some() {}
    }

    fn len(&self) -> usize {
        self.new.len() + self.readers.lock().len()
    }

    /// Closes them all.
    async fn close(mut self) {
        self.new.shutdown().await;
        let mut readers = std::mem::take(&mut *self.readers.lock());
        readers.shutdown().await;
    }
}

/// Resolves when the stop begins.
async fn told_to_stop(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it whoever waits for us.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// The next connection. Errors are waited out: none of them means that the listener is broken.
async fn accept(listener: &Listener) -> (Socket, Peer) {
    let mut pause = ACCEPT_PAUSE_MIN;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                // Out of file descriptors or memory: trying again at once would only burn the CPU.
                tracing::warn!(address = %listener.local_address(), %error, "cannot accept connections");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(ACCEPT_PAUSE_MAX);
            }
        }
    }
}

/// Whether only the connection that was to be accepted is lost.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests;
