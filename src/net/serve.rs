//! Accepting connections and serving HTTP/1.1 on them, until told to stop.
//!
//! Knows nothing of routes. Invariants: there are never more connections than
//! [`Options::connections_max`], plus one per listener that waits for its turn; no connection without a
//! request under way outlives [`Options::header_timeout`]; when [`serve`] returns, every connection is
//! closed.
//!
//! Over the limit a connection waits, first in our hands and then in the kernel's queue, and is not
//! answered 503: a push takes milliseconds, so a burst is served a moment later instead of being refused.
//! Idle connections cannot hold their places for ever, because the header timeout ends them too.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::listener::Listener;
use super::stall::WriteStall;

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

/// Serves `answer` on all listeners until `shutdown` resolves, then stops accepting, lets open requests
/// end and closes what is left after [`Options::drain_timeout`]. Returns, when all connections are
/// closed, how many had to be closed without an answer.
pub async fn serve<A, F>(
    listeners: Vec<Listener>,
    answer: A,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> usize
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let (stop, stopped) = watch::channel(false);
    let server =
        Server { answer, options, places: Arc::new(Semaphore::new(options.connections_max)), stopped };
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
    options: Options,
    places: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
}

impl<A, F> Server<A>
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    /// Serves one listener to the end; the number of connections that were closed without an answer.
    async fn listen(self, listener: Listener) -> usize {
        let mut connections = JoinSet::new();
        let mut stop = pin!(told_to_stop(self.stopped.clone()));
        loop {
            // A connection first and a place then: the other way round, a listener without visitors could hold
            // the last place.
            let (stream, peer) = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&listener) => accepted,
            };
            let place = tokio::select! {
                () = &mut stop => break,
                place = Arc::clone(&self.places).acquire_owned() => place.expect("the semaphore is never closed"),
            };
            // Frees what ended connections leave behind.
            while connections.try_join_next().is_some() {}
            connections.spawn(self.clone().serve_connection(stream, peer, place));
        }
        drop(listener);
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.options.drain_timeout, drained).await.is_ok() {
            return 0;
        }
        let left = connections.len();
        tracing::warn!(connections = left, "requests were still open; closing them without an answer");
        connections.shutdown().await;
        left
    }

    async fn serve_connection(self, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
        // Answers are written whole; waiting to fill a packet would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
        }
        let answer = self.answer;
        let service = hyper::service::service_fn(move |request| {
            let answering = answer(request);
            async move { Ok::<_, Infallible>(answering.await) }
        });
        let io = TokioIo::new(WriteStall::new(stream, self.options.write_timeout));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.options.header_timeout)
            .max_buf_size(self.options.header_bytes_max)
            // A client may stop sending once its request is sent (as `nc -N` does) and still wait for the
            // answer; a push whose sender is closed upon would be applied, and then sent again.
            .half_close(true)
            .serve_connection(io, service);
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
}

/// Resolves when the stop begins.
async fn told_to_stop(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it whoever waits for us.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// The next connection. Errors are waited out: none of them means that the listener is broken.
async fn accept(listener: &Listener) -> (TcpStream, SocketAddr) {
    let mut pause = ACCEPT_PAUSE_MIN;
    loop {
        match listener.socket.accept().await {
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
