//! The parts of one push agree in every scrape that is taken meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tallygate::model::{Bucket, Counts, Histogram, NativeCounts, NativeHistogram, Summary, Value};

use super::{in_memory, run};
use crate::support::bodies::{Format, Piece, body};
use crate::support::in_process::InProcess;
use crate::support::samples::samples;

/// More series than stand on a page, so that one push changes several.
const SERIES: usize = 300;

/// All that one push adds to; every number in it is 1, or 2 where the bucket holds two.
fn agreeing_body() -> String {
    let mut body = "# TYPE n counter\n".to_owned();
    for i in 0..SERIES {
        writeln!(body, "n{{i=\"{i}\"}} 1").unwrap();
    }
    body.push_str("u 1\n# TYPE s summary\ns_count 1\ns_sum 1\n# TYPE h histogram\n");
    body.push_str("h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n");
    body
}

/// The same in protobuf, and the histogram has native buckets too.
fn agreeing_natively() -> Vec<u8> {
    let piece = |name: &str, labels, value: Value| {
        let metric_type = value.metric_type();
        Piece { name: name.to_owned(), metric_type, labels, value, exemplars: Vec::new() }
    };
    let counter = |i: usize| piece("n", vec![("i".to_owned(), i.to_string())], Value::Counter(1.0));
    let mut pieces: Vec<Piece> = (0..SERIES).map(counter).collect();
    let one = Some(1.0);
    let bucket = |upper_bound| Bucket { upper_bound, cumulative_count: 1.0 };
    let counts = NativeCounts::Integer(Counts { count: 1, positive: vec![(0, 1)], ..Counts::default() });
    let native =
        NativeHistogram { schema: 0, zero_threshold: 0.0, custom_bounds: Vec::new(), counts, sum: None };
    let histogram = Histogram {
        buckets: vec![bucket(1.0), bucket(f64::INFINITY)],
        sum: one,
        count: one,
        defect: None,
        native: Some(Box::new(native)),
    };
    pieces.extend([
        piece("u", Vec::new(), Value::Untyped(1.0)),
        piece(
            "s",
            Vec::new(),
            Value::Summary(Box::new(Summary { sum: one, count: one, ..Summary::default() })),
        ),
        piece("h", Vec::new(), Value::Histogram(Box::new(histogram))),
    ]);
    body(Format::Protobuf, &pieces)
}

/// The native buckets of the group that is pushed to in protobuf agree with a counter of it.
async fn check_natively(gateway: &InProcess) {
    let scrape = gateway.scrape_natively().await;
    let counter = format!("n{{i=\"{}\",job=\"2\"}}", SERIES - 1);
    let (Some((Value::Counter(count), _)), Some((Value::Histogram(histogram), _))) =
        (scrape.get(&counter), scrape.get("h{job=\"2\"}"))
    else {
        assert!(!scrape.keys().any(|series| series.contains("job=\"2\"")), "parts of a push are missing");
        return;
    };
    let part = histogram.native.as_deref().expect("it was pushed with native buckets");
    let NativeCounts::Integer(counts) = &part.counts else { panic!("{part:?}") };
    assert_eq!((part.count(), histogram.total(), histogram.sum), (*count, *count, Some(*count)));
    assert_eq!(counts.positive, [(0, counts.count)]);
}

/// The number of pushes that each group shows, which all of its samples must agree on.
fn agreed(scrape: &str) -> BTreeMap<String, f64> {
    let mut by_group = BTreeMap::<String, BTreeSet<u64>>::new();
    let mut counts = BTreeMap::<String, usize>::new();
    for (series, value) in samples(scrape) {
        let group = series.split("job=\"").nth(1).unwrap().split('"').next().unwrap();
        by_group.entry(group.to_owned()).or_default().insert(value.to_bits());
        *counts.entry(group.to_owned()).or_default() += 1;
    }
    assert!(counts.values().all(|&count| count == SERIES + 7), "parts of a push are missing: {counts:?}");
    by_group
        .into_iter()
        .map(|(group, values)| {
            assert_eq!(values.len(), 1, "the parts of the pushes to {group} do not agree");
            (group, f64::from_bits(values.into_iter().next().unwrap()))
        })
        .collect()
}

#[test]
fn the_parts_of_one_push_agree_in_every_scrape_under_load() {
    const WRITERS: usize = 6;
    const PUSHES_MIN: u32 = 40;
    const PUSHES_MAX: u32 = 4_000;
    /// So many different scrapes are to be taken while pushes come in, however busy the machine is.
    const SCRAPES_BETWEEN: usize = 10;
    run(async {
        let gateway = Arc::new(in_memory());
        let between = Arc::new(AtomicUsize::new(0));
        let in_text = (Format::Text, agreeing_body().into_bytes());
        let in_protobuf = (Format::Protobuf, agreeing_natively());
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                // Two writers share a group.
                let (group, path) = (writer / 2, format!("/metrics/job/{}", writer / 2));
                let (gateway, between) = (Arc::clone(&gateway), Arc::clone(&between));
                let in_its_format = [&in_text, &in_protobuf][group / 2].clone();
                tokio::spawn(async move {
                    let mut pushed = 0;
                    let is_enough = || between.load(Ordering::SeqCst) >= SCRAPES_BETWEEN;
                    while pushed < PUSHES_MIN || (pushed < PUSHES_MAX && !is_enough()) {
                        let (format, body) = in_its_format.clone();
                        let (status, text) = gateway.send_as(format, "POST", &path, body).await;
                        assert_eq!(status, 200, "{text}");
                        pushed += 1;
                    }
                    pushed
                })
            })
            .collect();
        let is_over = Arc::new(AtomicBool::new(false));
        let scrapers: Vec<_> = (0..2)
            .map(|_| {
                let (gateway, is_over, between) =
                    (Arc::clone(&gateway), Arc::clone(&is_over), Arc::clone(&between));
                tokio::spawn(async move {
                    let mut before = BTreeMap::new();
                    while !is_over.load(Ordering::SeqCst) {
                        let now = agreed(&gateway.scrape_pushed().await);
                        for (group, count) in &before {
                            assert!(now[group] >= *count, "the pushes to {group} fell from {count}");
                        }
                        if now != before && !is_over.load(Ordering::SeqCst) {
                            between.fetch_add(1, Ordering::SeqCst);
                        }
                        before = now;
                    }
                })
            })
            .collect();
        let native_scraper = {
            let (gateway, is_over) = (Arc::clone(&gateway), Arc::clone(&is_over));
            tokio::spawn(async move {
                while !is_over.load(Ordering::SeqCst) {
                    check_natively(&gateway).await;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
        };
        let mut pushed = BTreeMap::<String, f64>::new();
        for (writer, pushes) in writers.into_iter().enumerate() {
            *pushed.entry((writer / 2).to_string()).or_default() += f64::from(pushes.await.unwrap());
        }
        is_over.store(true, Ordering::SeqCst);
        for scraper in scrapers.into_iter().chain([native_scraper]) {
            scraper.await.unwrap();
        }
        assert_eq!(agreed(&gateway.scrape_pushed().await), pushed);
        check_natively(&gateway).await;
        let between = between.load(Ordering::SeqCst);
        assert!(between >= SCRAPES_BETWEEN, "only {between} scrapes were taken while pushes came in");
    });
}
