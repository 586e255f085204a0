//! HTTP/2 on one connection, within the bounds that HTTP/1.1 has.
//!
//! Invariants: a connection without an open request ends a second after [`Options::header_timeout`] at most; what
//! reads is answered on the runtime of readers, and only sent from here; a reader that takes no part of its answer in
//! [`Options::write_timeout`] does not get the rest.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;
use http_body_util::channel::{Channel, Sender};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::server::conn::http2;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::serve::Options;

/// Requests open at a time on one connection.
const STREAMS_MAX: u32 = 100;

/// Streams that a peer may open and reset before we have looked at them; more is a flood, and ends the connection.
const RESETS_PENDING_MAX: usize = 20;

/// Streams that we may have to reset because the peer broke the rules on them; more ends the connection.
const RESETS_OWN_MAX: usize = 64;

/// Bytes of bodies that may be under way unread, on one stream and on all of a connection.
const WINDOW_BYTES: u32 = 256 << 10;

/// Bytes of answers held for each stream until they can be sent.
const SEND_BYTES_MAX: usize = 64 << 10;

/// How long a peer may take to bid farewell to a connection that has fallen idle.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves one connection until it ends, falls idle or `stop` resolves; then open requests are still answered.
pub(super) async fn serve<S, A, F>(
    stream: S,
    answer: A,
    options: Options,
    readers: Handle,
    stop: impl Future<Output = ()>,
) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let activity = Activity::default();
    let seen = activity.0.subscribe();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let open = activity.begin();
        let method = request.method().clone();
        let answering = answer(request);
        let readers = readers.clone();
        async move {
            Ok::<_, Infallible>(match method {
                Method::GET | Method::HEAD => {
                    on_readers(&readers, answering, open, options.write_timeout, method == Method::HEAD).await
                }
                _ => answering.await,
            })
        }
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
        .max_local_error_reset_streams(RESETS_OWN_MAX)
        .max_header_list_size(u32::try_from(options.header_bytes_max).unwrap_or(u32::MAX))
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_send_buf_size(SEND_BYTES_MAX);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        result = connection.as_mut() => return result,
        () = stop => {
            connection.as_mut().graceful_shutdown();
            return connection.await;
        }
        () = idle(seen, options.header_timeout) => connection.as_mut().graceful_shutdown(),
    }
    // A peer that does not take part in the farewell is not waited for.
    timeout(FAREWELL_TIMEOUT, connection).await.unwrap_or(Ok(()))
}

/// The requests of a connection: how many are open, and how many there have been.
struct Activity(watch::Sender<(usize, u64)>);

impl Default for Activity {
    fn default() -> Self {
        Self(watch::Sender::new((0, 0)))
    }
}

impl Activity {
    fn begin(&self) -> Open {
        self.0.send_modify(|(open, all)| {
            *open += 1;
            *all += 1;
        });
        Open(self.0.clone())
    }
}

/// An open request. One that does not read counts until its answer is known, which is short.
struct Open(watch::Sender<(usize, u64)>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|(open, _)| *open -= 1);
    }
}

/// Resolves when there has been no request for so long.
async fn idle(mut activity: watch::Receiver<(usize, u64)>, limit: Duration) {
    loop {
        let Ok(before) = activity.wait_for(|(open, _)| *open == 0).await.map(|state| state.1) else { return };
        if timeout(limit, activity.wait_for(|(_, all)| *all != before)).await.is_err() {
            return;
        }
    }
}

/// Answers on the runtime of readers; the answer's body is made there, too, and handed over piece by piece.
async fn on_readers<F>(
    readers: &Handle,
    answering: F,
    open: Open,
    write_timeout: Duration,
    is_head: bool,
) -> Response<Body>
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let (send_head, head) = oneshot::channel();
    let task = readers.spawn(async move {
        let (mut head, body) = answering.await.into_parts();
        if let Some(length) = body.size_hint().exact() {
            head.headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
        }
        let (sender, channel) = Channel::<Bytes, BoxError>::new(1);
        let to_send = if is_head { Body::empty() } else { Body::new(channel) };
        if send_head.send(Response::from_parts(head, to_send)).is_ok() && !is_head {
            hand_over(body, sender, write_timeout).await;
        }
        drop(open);
    });
    let mut waiting = Waiting(Some(task.abort_handle()));
    match head.await {
        Ok(response) => {
            // From here on the task ends by itself: when all is sent, or when nobody takes it.
            waiting.0 = None;
            response
        }
        Err(_) => match task.await {
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is being shut down.
            _ => std::future::pending().await,
        },
    }
}

/// The task that is waited for; it ends with whoever waits.
struct Waiting(Option<AbortHandle>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Hands a body over, piece by piece, to a peer that must take each within this time.
async fn hand_over(mut body: Body, mut to: Sender<Bytes, BoxError>, write_timeout: Duration) {
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return to.abort(error.into()),
        };
        match timeout(write_timeout, to.send(frame)).await {
            Ok(Ok(())) => {}
            // Nobody wants it any more.
            Ok(Err(_)) => return,
            Err(late) => return to.abort(late.into()),
        }
    }
}
