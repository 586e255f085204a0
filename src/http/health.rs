//! `/-/healthy` and `/-/ready`.
//!
//! Healthy is whether the process works at all, so that nobody restarts it for a full disk, from which it
//! recovers by itself; ready is whether it accepts pushes.

use axum::response::{IntoResponse as _, Response};
use hyper::StatusCode;

use super::error::{Error, bare};
use crate::gateway::Gateway;

/// Answers `/-/healthy`.
pub(super) fn healthy() -> Response {
    bare(StatusCode::OK, "OK")
}

/// Answers `/-/ready`.
pub(super) fn ready(gateway: &Gateway) -> Response {
    readiness(gateway.outage())
}

fn readiness(outage: Option<String>) -> Response {
    match outage {
        None => bare(StatusCode::OK, "OK"),
        Some(reason) => Error::NotReady(reason).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn shown(response: Response) -> (StatusCode, String) {
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_written_shows_in_readiness_alone() {
        let outage = Some("no space left on device".to_owned());
        let not_ready = (StatusCode::SERVICE_UNAVAILABLE, "not ready: no space left on device\n".to_owned());
        assert_eq!(shown(readiness(outage)).await, not_ready);
        assert_eq!(shown(readiness(None)).await, (StatusCode::OK, "OK".to_owned()));
        assert_eq!(shown(healthy()).await, (StatusCode::OK, "OK".to_owned()));
    }
}
