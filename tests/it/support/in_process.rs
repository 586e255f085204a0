//! A gateway in this process: the real router and the real committer, on an engine and a clock of the
//! test's choice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use tallygate::gateway::{Clock, Effect, Gateway, Options};
use tallygate::http;
use tallygate::model::{Exemplar, Value};
use tallygate::storage::Engine;
use tallygate::telemetry::Metrics;

use super::bodies::Format;

/// A clock that stands still until the test moves it.
#[derive(Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    pub fn set_seconds(&self, seconds: u64) {
        self.0.store(seconds * 1_000_000_000, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ns(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A gateway without a process of its own.
pub struct InProcess {
    router: http::Router,
    pub gateway: Gateway,
    pub clock: Arc<ManualClock>,
}

impl InProcess {
    pub fn open(engine: Box<dyn Engine>, options: Options) -> Self {
        Self::open_with(engine, options, http::Options::default())
    }

    pub fn open_with(engine: Box<dyn Engine>, options: Options, http_options: http::Options) -> Self {
        let clock = Arc::new(ManualClock::default());
        clock.set_seconds(1_000);
        let metrics = Arc::new(Metrics::default());
        let gateway =
            Gateway::open(engine, options, Arc::clone(&clock) as Arc<dyn Clock>, Arc::clone(&metrics))
                .expect("the store can be loaded");
        let router = http::Router::new(gateway.clone(), metrics, http_options);
        Self { router, gateway, clock }
    }

    /// Sends a request without a connection.
    pub async fn send(&self, method: &str, path: &str, body: impl Into<Body>) -> (StatusCode, String) {
        self.request(Request::builder().method(method).uri(path).body(body.into()).unwrap()).await
    }

    /// Sends a request with whatever headers it has.
    pub async fn request(&self, request: Request<Body>) -> (StatusCode, String) {
        let (status, body) = self.bytes(request).await;
        (status, String::from_utf8(body).unwrap())
    }

    async fn bytes(&self, request: Request<Body>) -> (StatusCode, Vec<u8>) {
        let response = self.router.clone().answer(request).await;
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, body.to_vec())
    }

    /// Sends a body in a format.
    pub async fn send_as(
        &self,
        format: Format,
        method: &str,
        path: &str,
        body: Vec<u8>,
    ) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("content-type", format.content_type());
        self.request(request.body(body.into()).unwrap()).await
    }

    /// What is scraped in protobuf, less the gateway's own metrics and the push times: series by name and labels.
    pub async fn scrape_natively(&self) -> BTreeMap<String, (Value, Vec<Exemplar>)> {
        let request = Request::get("/metrics").header("accept", Format::Protobuf.content_type());
        let (status, body) = self.bytes(request.body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::OK);
        super::bodies::series(&body)
    }

    /// Like [`Self::open`], with the effects that PUT and POST have in Pushgateway.
    pub fn open_replacing(engine: Box<dyn Engine>, options: Options) -> Self {
        let http_options = http::Options {
            put: Effect::ReplaceGroup,
            post: Effect::ReplaceFamilies,
            ..http::Options::default()
        };
        Self::open_with(engine, options, http_options)
    }

    pub async fn push(&self, path: &str, body: &str) -> (StatusCode, String) {
        self.send("POST", path, body.to_owned()).await
    }

    /// The scrape, less the gateway's own metrics.
    pub async fn scrape(&self) -> String {
        let (status, body) = self.send("GET", "/metrics", Body::empty()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        super::samples::without_own(&body)
    }

    /// The scrape, less the gateway's own metrics and the push times.
    pub async fn scrape_pushed(&self) -> String {
        super::samples::without_push_times(&self.scrape().await)
    }
}
