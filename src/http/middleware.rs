//! What every request passes through, on one page.
//!
//! Invariant: a panic costs at most the request it happens in, and where it is not known whether a push was
//! applied nobody is told that it was not.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use hyper::header::CONTENT_LENGTH;

use super::error::Error;
use crate::telemetry::{Handler, Method, Metrics, StatusCode};

/// The stack around `answer`, which says what has answered, too, if that is counted by itself. Layers of
/// `tower` would box every request several times, which costs more than all else that is done for a small
/// push.
pub(super) async fn stack<F: Future<Output = (Option<Handler>, Response)>>(
    metrics: &Metrics,
    request: Request,
    answer: impl FnOnce(Request) -> F,
) -> Response {
    let method = request.method().clone();
    let path = tracing::enabled!(tracing::Level::DEBUG).then(|| request.uri().path().to_owned());
    // 500 instead of a closed connection, which survives.
    let answering = pin!(answer(request));
    let (handler, response) = caught(answering).await.unwrap_or_else(|response| (None, response));
    // Counts what is really answered, 500 included.
    let status = response.status().as_u16();
    let (by_method, by_code) = (Method::of(method.as_str()), StatusCode(status));
    match handler {
        Some(handler) => metrics.http_requests.of((handler, by_method, by_code)).increment(),
        None => metrics.http_other_requests.of((by_method, by_code)).increment(),
    }
    if let Some(path) = path {
        tracing::debug!(%method, path, status, "request");
    }
    response
}

/// Roughly the bytes of a request as it was sent, its body as announced and not as inflated.
pub(super) fn approximate_size(request: &Request) -> u64 {
    let headers: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    let head = request.method().as_str().len() + path + "HTTP/1.1".len() + headers;
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    (head as u64).saturating_add(length.and_then(|length| length.parse().ok()).unwrap_or(0))
}

/// What comes of `answering`, or the answer to its panic.
///
/// Pinned by the caller: a future that is handed over by value is kept twice.
async fn caught<T>(mut answering: Pin<&mut impl Future<Output = T>>) -> Result<T, Response> {
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(context))) {
        Ok(outcome) => outcome.map(Ok),
        Err(payload) => std::task::Poll::Ready(Err(panicked(payload))),
    })
    .await
}

/// Runs what may apply a push. If it panics, whether it was applied is not known: no answer is right
/// then, and the connection is closed.
pub(super) async fn closing_if_it_panics<T>(mut applying: Pin<&mut impl Future<Output = T>>) -> T {
    poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| applying.as_mut().poll(context)))
            .unwrap_or_else(|_| resume_unwind(Box::new(OutcomeUnknown)))
    })
    .await
}

/// The payload of a panic that must not be answered.
struct OutcomeUnknown;

/// Answers a panic, or passes it on so that the connection closes.
fn panicked(payload: Box<dyn Any + Send>) -> Response {
    if payload.is::<OutcomeUnknown>() {
        tracing::error!("a request panicked while it was being applied; its connection is closed");
        resume_unwind(payload);
    }
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no text");
    tracing::error!(panic = text, "a request panicked");
    Error::Internal.into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn answered(
        metrics: &Metrics,
        answering: impl Future<Output = (Option<Handler>, Response)>,
    ) -> Response {
        stack(metrics, Request::new(Body::empty()), |_| answering).await
    }

    #[tokio::test]
    async fn a_panic_is_answered_and_counted() {
        let metrics = Metrics::default();
        let response = answered(&metrics, async { panic!("before anything was applied") }).await;
        assert_eq!(response.status(), 500);
        assert_eq!(metrics.http_other_requests.of((Method::Get, StatusCode(500))).get(), 1);
    }

    #[test]
    fn the_size_of_a_request_is_that_of_its_head_and_of_what_it_announces() {
        let request = |length: &str| {
            let request = Request::builder().method("PUT").uri("http://h/metrics/job/j?x").header("a", "bc");
            request.header("content-length", length).body(Body::empty()).unwrap()
        };
        let head =
            "PUT".len() + "/metrics/job/j?x".len() + "HTTP/1.1".len() + "abc".len() + "content-length".len();
        assert_eq!(approximate_size(&request("100")), head as u64 + 3 + 100);
        assert_eq!(approximate_size(&request("many")), head as u64 + 4);
        let endless = approximate_size(&request("18446744073709551615"));
        assert_eq!(endless, u64::MAX);
    }

    #[tokio::test]
    async fn a_panic_while_a_push_is_applied_is_not_answered() {
        let outcome = tokio::spawn(async {
            let applying = async { closing_if_it_panics(pin!(async { panic!("while applying") })).await };
            answered(&Metrics::default(), applying).await
        });
        let error = outcome.await.expect_err("the panic reaches the connection");
        assert!(error.into_panic().is::<OutcomeUnknown>());
    }
}
