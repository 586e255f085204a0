//! The JSON API: `/api/v1/status`, `/api/v1/metrics` and `/api/v1/admin/wipe`.
//!
//! Knows nothing of routes. Invariants: the list of all groups is never in memory as a whole, and at most
//! [`LISTINGS_MAX`] of them are made at a time; a client never takes a part for the whole.

mod group;
mod json;
mod native;
mod series;
mod status;
mod stream;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use hyper::StatusCode;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, CONTENT_TYPE, HeaderValue,
};
use tokio::sync::Semaphore;

use super::error::Error;
use super::middleware::closing_if_it_panics;
use super::options::Options;
use crate::gateway::Gateway;

/// How many lists of all groups may be made at a time.
const LISTINGS_MAX: usize = 4;

/// What the API needs beside the gateway.
pub(super) struct Api {
    started: SystemTime,
    listings: Arc<Semaphore>,
    timeout: Duration,
}

impl Api {
    /// The API of a gateway that starts now; a list of all groups may take `timeout`.
    pub(super) fn new(timeout: Duration) -> Self {
        Self { started: SystemTime::now(), listings: Arc::new(Semaphore::new(LISTINGS_MAX)), timeout }
    }

    /// Answers `/api/v1/status`.
    pub(super) fn status(&self, options: &Options) -> Response {
        json(status::body(&options.flags, self.started).into())
    }

    /// Answers `/api/v1/metrics`.
    pub(super) fn metrics(&self, gateway: &Gateway) -> Response {
        let Ok(place) = Arc::clone(&self.listings).try_acquire_owned() else {
            return Error::TooManyListings { max: LISTINGS_MAX }.into_response();
        };
        let gateway = gateway.clone();
        let write = move |out: &mut stream::Stream| group::write_all(out, &gateway.snapshot());
        json(Body::new(stream::start(write, place, self.timeout)))
    }
}

/// Answers `PUT /api/v1/admin/wipe`: 202 once every group that there is now is gone for good.
pub(super) async fn wipe(gateway: &Gateway) -> Response {
    match closing_if_it_panics(pin!(gateway.wipe())).await {
        Ok(()) => {
            tracing::info!("everything was wiped by a request");
            StatusCode::ACCEPTED.into_response()
        }
        Err(error) => {
            tracing::debug!(%error, "wiping refused");
            Error::Unavailable(error).into_response()
        }
    }
}

/// Answers OPTIONS of any path of the API.
pub(super) fn options() -> Response {
    open_to_all_origins(StatusCode::OK.into_response())
}

fn json(body: Body) -> Response {
    let content_type = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    open_to_all_origins((StatusCode::OK, [content_type], body).into_response())
}

/// Lets pages of other origins read the answer. What changes anything does not get here, and pages of other
/// origins are not told that it could be asked for.
fn open_to_all_origins(mut response: Response) -> Response {
    response.headers_mut().extend([
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("Accept, Authorization, Content-Type, Origin"),
        ),
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, OPTIONS")),
        (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Date")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate")),
    ]);
    response
}
