//! A push on its way through the gateway, and a scrape of what it holds.
//!
//! Most steps are private to the gateway and measured through it. On an engine in memory a push is resolve,
//! a place in the queue, admission, merge, the encoding of the pages and publication; on sled the wait for
//! the disk comes on top, which belongs to the machine. `resolve` is that alone. Parsing and recognising are not
//! part of any: see the bench `exposition`; what encoding a state costs tells the bench `aggregation`.

#![allow(clippy::unwrap_used, reason = "writing to a string does not fail")]

use std::fmt::Write as _;
use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use futures_util::future::join_all;
use tallygate::exposition::text;
use tallygate::gateway::{
    Effect, Gateway, Options, PushError, Repeat, RepeatedGroup, Submitted, SystemClock,
};
use tallygate::model::{Families, GroupingKey};
use tallygate::storage::{Engine, MemoryEngine, SledEngine, SledOptions};
use tallygate::telemetry::Metrics;
use tokio::runtime::{Builder, Runtime};

/// Series in a push: counters, and one histogram for every ten of them.
const SERIES: [usize; 4] = [1, 10, 100, 1_000];
/// Pushes that are under way at one time.
const WRITERS: [usize; 3] = [1, 16, 256];
/// Series in the store that is scraped.
const STORED: [usize; 2] = [1_000, 100_000];

fn main() {
    divan::main();
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn open(engine: Box<dyn Engine>) -> Gateway {
    Gateway::open(engine, Options::default(), Arc::new(SystemClock), Arc::new(Metrics::default()))
        .expect("an empty store")
}

fn in_memory() -> Gateway {
    open(Box::new(MemoryEngine::default()))
}

fn key(job: usize) -> GroupingKey {
    GroupingKey::new(&format!("job-{job}"), [("instance", "db1")]).expect("it has a job")
}

/// What a job pushes.
fn body(series: usize) -> String {
    let mut out = "# TYPE events_total counter\n".to_owned();
    let histograms = series / 10;
    for i in histograms..series {
        writeln!(out, "events_total{{host=\"host-{i}\",kind=\"k{}\"}} {i}.5", i % 10).unwrap();
    }
    out.push_str("# TYPE d_seconds histogram\n");
    for i in 0..histograms {
        for (count, bound) in (1..).zip(["0.005", "0.01", "0.05", "0.1", "0.5", "1", "5", "+Inf"]) {
            writeln!(out, "d_seconds_bucket{{handler=\"/{i}\",le=\"{bound}\"}} {count}").unwrap();
        }
        writeln!(out, "d_seconds_sum{{handler=\"/{i}\"}} 3.25\nd_seconds_count{{handler=\"/{i}\"}} 8")
            .unwrap();
    }
    out
}

/// A push, from its families to its answer.
async fn merge(
    gateway: &Gateway,
    key: &GroupingKey,
    families: &Families<'_>,
    body_bytes: usize,
) -> Result<Submitted, PushError> {
    gateway.submit(gateway.resolve(key, families, body_bytes)?).await
}

/// Pushes that meet the series that they have made before.
fn push(bencher: Bencher<'_, '_>, gateway: &Gateway, series: usize) {
    let runtime = runtime();
    let body = body(series);
    let families = text::parse(body.as_bytes()).expect("the body is well formed");
    let key = key(0);
    let push = || runtime.block_on(merge(gateway, &key, &families, body.len())).expect("it is accepted");
    push();
    bencher.counter(ItemsCount::new(series)).bench_local(push);
}

#[divan::bench(args = SERIES)]
fn push_known_series(bencher: Bencher<'_, '_>, series: usize) {
    push(bencher, &in_memory(), series);
}

/// Each push makes a group.
#[divan::bench(args = SERIES, max_time = 3)]
fn push_new_series(bencher: Bencher<'_, '_>, series: usize) {
    let (gateway, runtime) = (in_memory(), runtime());
    let body = body(series);
    let families = text::parse(body.as_bytes()).expect("the body is well formed");
    let mut job = 0;
    bencher
        .counter(ItemsCount::new(series))
        .with_inputs(|| {
            // What earlier pushes have left would slow none of this down, but it would fill the memory.
            runtime.block_on(gateway.delete(&key(job))).expect("it is accepted");
            job += 1;
            key(job)
        })
        .bench_local_values(|key| {
            runtime.block_on(merge(&gateway, &key, &families, body.len())).expect("it is accepted");
        });
}

/// Finding the series of a push that has been pushed before.
#[divan::bench(args = SERIES)]
fn resolve(bencher: Bencher<'_, '_>, series: usize) {
    let (gateway, runtime) = (in_memory(), runtime());
    let body = body(series);
    let families = text::parse(body.as_bytes()).expect("the body is well formed");
    let key = key(0);
    runtime.block_on(merge(&gateway, &key, &families, body.len())).expect("it is accepted");
    bencher
        .counter(ItemsCount::new(series))
        .bench_local(|| gateway.resolve(&key, &families, body.len()).expect("it is accepted"));
}

/// Pushes of ten series by many writers at one time, which share commits.
fn push_at_once(bencher: Bencher<'_, '_>, gateway: &Gateway, writers: usize) {
    let runtime = runtime();
    let body = body(10);
    let families = text::parse(body.as_bytes()).expect("the body is well formed");
    let keys: Vec<GroupingKey> = (0..writers).map(key).collect();
    let push = || {
        let pushes = keys.iter().map(|key| merge(gateway, key, &families, body.len()));
        let outcomes = runtime.block_on(join_all(pushes));
        assert!(outcomes.iter().all(Result::is_ok), "all are accepted");
    };
    push();
    bencher.counter(ItemsCount::new(writers)).bench_local(push);
}

#[divan::bench(args = WRITERS)]
fn push_at_once_to_memory(bencher: Bencher<'_, '_>, writers: usize) {
    push_at_once(bencher, &in_memory(), writers);
}

#[divan::bench(args = WRITERS, max_time = 3)]
fn push_at_once_to_sled(bencher: Bencher<'_, '_>, writers: usize) {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let store = directory.path().join("store");
    let engine = SledEngine::open(&store, &SledOptions::default()).expect("a new store");
    let gateway = open(Box::new(engine));
    push_at_once(bencher, &gateway, writers);
    runtime().block_on(gateway.stop()).expect("everything can be written");
}

/// What a job of many pushes: 50 counters and 5 histograms of 12 buckets, each number given by its place
/// among the numbers.
fn numbered_body(number: impl Fn(usize) -> usize) -> (String, usize) {
    let mut numbers = (0..).map(number);
    let mut next = || numbers.next().expect("there is always another one");
    let mut out = "# TYPE events_total counter\n".to_owned();
    for i in 0..50 {
        writeln!(out, "events_total{{host=\"host-{i}\"}} {}", next()).unwrap();
    }
    out.push_str("# TYPE d_seconds histogram\n");
    for i in 0..5 {
        for bound in (1..12).map(|bound| bound.to_string()).chain(["+Inf".to_owned()]) {
            writeln!(out, "d_seconds_bucket{{handler=\"/{i}\",le=\"{bound}\"}} {}", next()).unwrap();
        }
        writeln!(out, "d_seconds_sum{{handler=\"/{i}\"}} {}", next()).unwrap();
    }
    (out, 50 + 5 * 13)
}

/// Pushes that repeat earlier ones, 80 at one time, each to another of 1,000 groups.
#[divan::bench]
fn push_repeats_to_many_groups(bencher: Bencher<'_, '_>) {
    const GROUPS: usize = 1_000;
    const AT_ONCE: usize = 80;
    let (gateway, runtime) = (in_memory(), runtime());
    let (body, numbers) = numbered_body(|place| place);
    let places = text::parse(body.as_bytes()).expect("the body is well formed");
    let numbers: Vec<f64> = (0..numbers).map(|place| if place < 50 { 1.5 } else { 3.0 }).collect();
    let begin = |group| {
        let key = key(group);
        runtime.block_on(merge(&gateway, &key, &places, body.len())).expect("it is accepted");
        gateway.learn(&key, &places).expect("all of its series are there")
    };
    let repeats: Vec<(RepeatedGroup, Repeat)> = (0..GROUPS).map(begin).collect();
    let mut round = repeats.iter().cycle();
    bencher.counter(ItemsCount::new(AT_ONCE)).bench_local(|| {
        let pushes = round.by_ref().take(AT_ONCE).map(|(group, repeat)| {
            let push = gateway.repeat(Effect::Merge, group, repeat, &numbers, body.len());
            let push = push.expect("the store works");
            gateway.submit(push.expect("nothing has changed"))
        });
        let pushes: Vec<_> = pushes.collect();
        let outcomes = runtime.block_on(join_all(pushes));
        assert!(outcomes.iter().all(Result::is_ok), "all are accepted");
    });
}

/// A gateway that holds so many series in groups of 100.
fn filled(series: usize) -> Gateway {
    let gateway = in_memory();
    let body = body(100);
    let families = text::parse(body.as_bytes()).expect("the body is well formed");
    let runtime = runtime();
    for job in 0..series / 100 {
        runtime.block_on(merge(&gateway, &key(job), &families, body.len())).expect("it is accepted");
    }
    gateway
}

/// One moment of everything: what a scrape holds the lock for.
#[divan::bench(args = STORED)]
fn snapshot(bencher: Bencher<'_, '_>, series: usize) {
    let gateway = filled(series);
    bencher.counter(ItemsCount::new(series)).bench_local(|| black_box(gateway.snapshot()));
}

/// A whole scrape as text, uncompressed.
#[divan::bench(args = STORED)]
fn render(bencher: Bencher<'_, '_>, series: usize) {
    let gateway = filled(series);
    let mut out = Vec::new();
    bencher.counter(ItemsCount::new(series)).bench_local(|| {
        out.clear();
        let snapshot = gateway.snapshot();
        for family in snapshot.families() {
            text::write_header(&mut out, family.name, family.help.as_deref(), family.metric_type);
            for series in family.series() {
                text::write_series(&mut out, family.name, series.labels(), &series.value());
            }
        }
        black_box(out.len())
    });
}
