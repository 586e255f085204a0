//! A scrape, from its request to the last byte of its answer, without a network: the first one, and those
//! that come after it with nothing or little changed; beside copying as many bytes.

#![allow(clippy::unwrap_used, reason = "writing to a string does not fail")]

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use http_body_util::BodyExt as _;
use hyper::Request;
use tallygate::gateway::{Gateway, Options, SystemClock};
use tallygate::http;
use tallygate::storage::MemoryEngine;
use tokio::runtime::{Builder, Runtime};

/// Groups, of which each holds a hundredth of its series in each of ten families.
const GROUPS: usize = 100;
/// Series of a group.
const SERIES: usize = 1_000;

fn main() {
    divan::main();
}

/// What a group pushes. `first` says where the first label stands among those of the group: its values
/// decide the order, so the groups' series stand together or mixed.
fn body(first: &str, round: usize) -> String {
    let mut out = String::new();
    for family in 0..SERIES / 100 {
        writeln!(out, "# TYPE events_{family}_total counter").unwrap();
        for i in 0..100 {
            let (shelf, i, value) = (i / 10, family * 100 + i, i + round);
            let labels = format!("{first}=\"h-{i}\",code=\"200\",shelf=\"{shelf}\",zone=\"eu-central-1\"");
            writeln!(out, "events_{family}_total{{{labels}}} {value}").unwrap();
        }
    }
    out
}

struct Service {
    router: http::Router,
    runtime: Runtime,
    first: &'static str,
}

impl Service {
    fn new(first: &'static str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let metrics = Arc::default();
        let engine = Box::new(MemoryEngine::default());
        let gateway =
            Gateway::open(engine, Options::default(), Arc::new(SystemClock), Arc::clone(&metrics)).unwrap();
        let router = http::Router::new(gateway, metrics, http::Options::default());
        let service = Self { router, runtime, first };
        service.push(0..GROUPS, 0);
        service
    }

    fn push(&self, groups: std::ops::Range<usize>, round: usize) {
        let body = body(self.first, round);
        for group in groups {
            let path = format!("/metrics/job/job-{group}/instance/db-{group}:9100");
            let request = Request::post(path).body(Body::from(body.clone())).unwrap();
            let response = self.runtime.block_on(self.router.clone().answer(request));
            assert_eq!(response.status(), 200);
        }
    }

    /// How many bytes a scrape has.
    fn scrape(&self) -> usize {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        self.runtime.block_on(async {
            let mut body = self.router.clone().answer(request).await.into_body();
            let mut bytes = 0;
            while let Some(frame) = body.frame().await {
                bytes += black_box(frame.unwrap()).data_ref().map_or(0, Bytes::len);
            }
            bytes
        })
    }
}

/// A label that stands before all others and one that stands behind `job`.
const FIRST: [&str; 2] = ["a", "label"];

#[divan::bench(args = FIRST, sample_count = 20)]
fn first(bencher: Bencher<'_, '_>, first: &'static str) {
    bencher
        .counter(ItemsCount::new(GROUPS * SERIES))
        .with_inputs(|| Service::new(first))
        .bench_local_refs(|service| service.scrape());
}

#[divan::bench(args = FIRST)]
fn unchanged(bencher: Bencher<'_, '_>, first: &'static str) {
    let service = Service::new(first);
    service.scrape();
    bencher.counter(ItemsCount::new(GROUPS * SERIES)).bench_local(|| service.scrape());
}

/// One group of a hundred was pushed again.
#[divan::bench(args = FIRST)]
fn one_percent_changed(bencher: Bencher<'_, '_>, first: &'static str) {
    let service = Service::new(first);
    service.scrape();
    let mut round = 0;
    bencher
        .counter(ItemsCount::new(GROUPS * SERIES))
        .with_inputs(|| {
            round += 1;
            service.push(7..8, round % 2);
        })
        .bench_local_values(|()| service.scrape());
}

/// What could not be beaten if the bytes of a scrape had to be copied.
#[divan::bench(args = FIRST)]
fn copying_as_many_bytes(bencher: Bencher<'_, '_>, first: &'static str) {
    let from = vec![b'x'; Service::new(first).scrape()];
    let mut to = from.clone();
    bencher.counter(BytesCount::new(from.len())).bench_local(|| to.copy_from_slice(black_box(&from)));
}
