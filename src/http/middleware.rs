//! What every request passes through, on one page.
//!
//! Invariant: a panic costs at most the request it happens in, and where it is not known whether a push was
//! applied nobody is told that it was not.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use tower_http::catch_panic::CatchPanicLayer;

use super::error::Error;
use crate::telemetry::{Handler, Method, Metrics, StatusCode};

/// The stack; a request enters at the bottom.
pub(super) fn stack(router: Router, metrics: Arc<Metrics>) -> Router {
    router
        // 500 instead of a closed connection, which survives.
        .layer(CatchPanicLayer::custom(panicked))
        // Sees what is really answered, 500 included.
        .layer(from_fn_with_state(metrics, observe))
}

/// Notes on a response what has answered, for [`observe`].
pub(super) fn answered_by(handler: Handler, mut response: Response) -> Response {
    response.extensions_mut().insert(AnsweredBy(handler));
    response
}

/// Runs what may apply a push. If it panics, whether it was applied is not known: no answer is right
/// then, and the connection is closed.
pub(super) async fn closing_if_it_panics<T>(applying: impl Future<Output = T>) -> T {
    let mut applying = pin!(applying);
    poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| applying.as_mut().poll(context)))
            .unwrap_or_else(|_| resume_unwind(Box::new(OutcomeUnknown)))
    })
    .await
}

#[derive(Clone, Copy)]
struct AnsweredBy(Handler);

/// The payload of a panic that must not be answered.
struct OutcomeUnknown;

/// Counts a request by what answered it, method and status, and logs it for those who debug.
async fn observe(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = tracing::enabled!(tracing::Level::DEBUG).then(|| request.uri().path().to_owned());
    let response = next.run(request).await;
    let AnsweredBy(handler) = response.extensions().get().copied().unwrap_or(AnsweredBy(Handler::Other));
    let status = response.status().as_u16();
    metrics.http_requests.of((handler, Method::of(method.as_str()), StatusCode(status))).increment();
    if let Some(path) = path {
        tracing::debug!(%method, path, status, "request");
    }
    response
}

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
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    fn panicking() -> Router {
        async fn before() {
            panic!("before anything was applied")
        }
        async fn applying() {
            closing_if_it_panics(async { panic!("while applying") }).await;
        }
        Router::new().route("/before", get(before)).route("/while", get(applying))
    }

    fn request(path: &str) -> Request {
        Request::builder().uri(path).body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn a_panic_is_answered_and_counted() {
        let metrics = Arc::new(Metrics::default());
        let response = stack(panicking(), Arc::clone(&metrics)).oneshot(request("/before")).await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(metrics.http_requests.of((Handler::Other, Method::Get, StatusCode(500))).get(), 1);
    }

    #[tokio::test]
    async fn a_panic_while_a_push_is_applied_is_not_answered() {
        let router = stack(panicking(), Arc::new(Metrics::default()));
        let outcome = tokio::spawn(router.oneshot(request("/while"))).await;
        let error = outcome.expect_err("the panic reaches the connection");
        assert!(error.into_panic().is::<OutcomeUnknown>());
    }
}
