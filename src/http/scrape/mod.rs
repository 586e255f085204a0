//! `GET` of the telemetry path: everything that is stored, and the gateway's own metrics.
//!
//! Invariants: at most so many scrapes wait or are served at one time, each for a bounded time; those that
//! wait together for the same view share one walk through the store; every reader gets a format, whatever it
//! says that it accepts.

mod chunks;
mod clashes;
mod kept;
mod render;
mod shelf;
mod twins;
mod view;
mod walks;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use hyper::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};
use tower_http::compression::CompressionLayer;

use super::error::Error;
use super::options::Options;
use crate::exposition::negotiation::{self, Format, OpenMetricsIs};
use crate::gateway::Gateway;
use crate::telemetry::{Metrics, Outcome};

use chunks::ChunksBody;
use render::{BytesAlive, Stored};
use shelf::Shelf;
use view::View;
use walks::Walks;

/// Bytes of expositions that clients may still be reading when another scrape begins. Each that reads slowly can
/// hold another exposition, and together they must not fill the memory.
const BYTES_ALIVE_MAX: u64 = 1 << 30;

/// All scrapes of one gateway.
pub(super) struct Scrapes {
    gateway: Gateway,
    /// Those of each view, from the first scrape of it on. There are few views.
    walks: Mutex<HashMap<View, Arc<Walks>>>,
    shelf: Arc<Shelf>,
    places: Arc<Semaphore>,
    places_max: usize,
    alive: BytesAlive,
    timeout: Duration,
    openmetrics: OpenMetricsIs,
    with_created: bool,
    metrics: Arc<Metrics>,
}

impl Scrapes {
    /// No scrape yet.
    pub(super) fn new(gateway: Gateway, metrics: Arc<Metrics>, options: &Options) -> Self {
        Self {
            gateway,
            walks: Mutex::default(),
            shelf: Arc::new(Shelf::new(options.kept_bytes_max)),
            alive: BytesAlive::default(),
            places: Arc::new(Semaphore::new(options.scrapes_max.min(Semaphore::MAX_PERMITS))),
            places_max: options.scrapes_max,
            timeout: options.scrape_timeout,
            openmetrics: if options.openmetrics { OpenMetricsIs::Offered } else { OpenMetricsIs::LastResort },
            with_created: options.openmetrics_created,
            metrics,
        }
    }

    /// Answers a scrape.
    pub(super) async fn serve(&self, headers: &HeaderMap) -> Response {
        let view = self.view(headers);
        match self.body(view).await {
            Ok(body) => {
                self.metrics.scrapes.of(Outcome::Success).increment();
                let content_type = view.format.content_type(view.escaping);
                let content_type =
                    HeaderValue::try_from(content_type).expect("it is of ASCII letters and signs");
                let head = [(CONTENT_TYPE, content_type), (VARY, HeaderValue::from_static("accept"))];
                compressed(headers, (head, body).into_response()).await
            }
            Err(error) => {
                self.metrics.scrapes.of(Outcome::Failure).increment();
                tracing::debug!(%error, "scrape refused");
                error.into_response()
            }
        }
    }

    /// What a reader gets that sends these headers.
    fn view(&self, headers: &HeaderMap) -> View {
        let accepted: Vec<_> =
            headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        let (format, escaping) = negotiation::negotiate(&accepted.join(","), self.openmetrics);
        View { format, escaping, with_created: self.with_created && format == Format::OpenMetrics }
    }

    async fn body(&self, view: View) -> Result<Body, Error> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Error::TooManyScrapes { max: self.places_max })?;
        if self.alive.load(Ordering::Relaxed) >= BYTES_ALIVE_MAX {
            return Err(Error::SlowScrapes);
        }
        let rendered = self.walks(view).rendered().await.map_err(|walks::WalkFailed| Error::Internal)?;
        Ok(Body::new(ChunksBody::new(rendered, place, self.timeout)))
    }

    fn walks(&self, view: View) -> Arc<Walks> {
        let stored = || {
            let (metrics, alive) = (Arc::clone(&self.metrics), Arc::clone(&self.alive));
            Stored::new(self.gateway.clone(), metrics, alive, view, Arc::clone(&self.shelf))
        };
        Arc::clone(self.walks.lock().entry(view).or_insert_with(|| Walks::new(stored())))
    }
}

/// The response with gzip or zstd where the client asks for it; as it is where the client accepts nothing that there
/// is, as Pushgateway does it.
async fn compressed(headers: &HeaderMap, response: Response) -> Response {
    let mut request = Request::new(Body::empty());
    for value in headers.get_all(ACCEPT_ENCODING).iter().filter_map(by_name) {
        request.headers_mut().append(ACCEPT_ENCODING, value);
    }
    let mut response = Some(response);
    let inner = service_fn(move |_: Request| {
        let response = response.take().unwrap_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response());
        std::future::ready(Ok::<_, std::convert::Infallible>(response))
    });
    let Ok(mut response) =
        ServiceBuilder::new().layer(CompressionLayer::new()).service(inner).oneshot(request).await;
    if response.status() == StatusCode::NOT_ACCEPTABLE {
        *response.status_mut() = StatusCode::OK;
    }
    response.map(Body::new)
}

/// The entries of an `Accept-Encoding` that name an encoding. Whoever takes any gets none, as from Pushgateway.
fn by_name(accepted: &HeaderValue) -> Option<HeaderValue> {
    let has_name = |entry: &&str| entry.split(';').next().is_some_and(|name| name.trim() != "*");
    let named: Vec<&str> = accepted.to_str().ok()?.split(',').filter(has_name).collect();
    HeaderValue::from_str(&named.join(",")).ok()
}

#[cfg(test)]
mod tests;
