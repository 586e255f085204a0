//! `GET` of the telemetry path: everything that is stored, and the gateway's own metrics.
//!
//! Invariants: at most so many scrapes wait or are served at one time, each for a bounded time; those that
//! wait together share one walk through the store.

mod chunks;
mod kept;
mod render;
mod walks;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use hyper::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, StatusCode};
use tokio::sync::Semaphore;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};
use tower_http::compression::CompressionLayer;

use super::error::Error;
use super::options::Options;
use crate::exposition::text;
use crate::gateway::Gateway;
use crate::telemetry::{Metrics, Outcome};

use chunks::ChunksBody;
use render::{BytesAlive, Stored};
use walks::Walks;

/// Bytes of expositions that clients may still be reading when another scrape begins. Each that reads slowly can
/// hold another exposition, and together they must not fill the memory.
const BYTES_ALIVE_MAX: u64 = 1 << 30;

/// All scrapes of one gateway.
pub(super) struct Scrapes {
    walks: Arc<Walks>,
    places: Arc<Semaphore>,
    places_max: usize,
    alive: BytesAlive,
    timeout: Duration,
    metrics: Arc<Metrics>,
}

impl Scrapes {
    /// No scrape yet.
    pub(super) fn new(gateway: Gateway, metrics: Arc<Metrics>, options: &Options) -> Self {
        let alive = BytesAlive::default();
        Self {
            walks: Walks::new(Stored::new(
                gateway,
                Arc::clone(&metrics),
                Arc::clone(&alive),
                options.kept_bytes_max,
            )),
            alive,
            places: Arc::new(Semaphore::new(options.scrapes_max.min(Semaphore::MAX_PERMITS))),
            places_max: options.scrapes_max,
            timeout: options.scrape_timeout,
            metrics,
        }
    }

    /// Answers a scrape.
    pub(super) async fn serve(&self, headers: &HeaderMap) -> Response {
        match self.body().await {
            Ok(body) => {
                self.metrics.scrapes.of(Outcome::Success).increment();
                let content_type = HeaderValue::from_static(text::CONTENT_TYPE);
                compressed(headers, ([(CONTENT_TYPE, content_type)], body).into_response()).await
            }
            Err(error) => {
                self.metrics.scrapes.of(Outcome::Failure).increment();
                tracing::debug!(%error, "scrape refused");
                error.into_response()
            }
        }
    }

    async fn body(&self) -> Result<Body, Error> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Error::TooManyScrapes { max: self.places_max })?;
        if self.alive.load(Ordering::Relaxed) >= BYTES_ALIVE_MAX {
            return Err(Error::SlowScrapes);
        }
        let rendered = self.walks.rendered().await.map_err(|walks::WalkFailed| Error::Internal)?;
        Ok(Body::new(ChunksBody::new(rendered, place, self.timeout)))
    }
}

/// The response with gzip where the client asks for it. 406, which the layer answers to a client that
/// accepts neither gzip nor plain text, is what HTTP has for that.
async fn compressed(headers: &HeaderMap, response: Response) -> Response {
    let mut request = Request::new(Body::empty());
    for value in headers.get_all(ACCEPT_ENCODING) {
        request.headers_mut().append(ACCEPT_ENCODING, value.clone());
    }
    let mut response = Some(response);
    let inner = service_fn(move |_: Request| {
        let response = response.take().unwrap_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response());
        std::future::ready(Ok::<_, std::convert::Infallible>(response))
    });
    let Ok(response) =
        ServiceBuilder::new().layer(CompressionLayer::new()).service(inner).oneshot(request).await;
    response.map(Body::new)
}

#[cfg(test)]
mod tests;
