//! Native histograms: those of the Go library, which both writes and reads them, and those of the Java one.

use serde_json::json;
use tallygate::model::{Counts, NativeCounts, Value};

use super::programs::{Client, Door, run, steps};
use crate::support::bodies;
use crate::support::process::{Process, scratch};
use crate::support::samples::samples;

/// What `tests/clients/go` pushes: 0, 1, 2, 4 at schema 3, then 0.5, 2, 2, -4 at schema 2.
pub fn push(gateway: &Process) -> Option<Vec<serde_json::Value>> {
    Some(steps(&run(Client::Go, "native", &Door::open(gateway))?))
}

#[test]
fn native_histograms_of_two_resolutions_merge_at_the_lower_one() {
    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &[]);
    let Some(steps) = push(&gateway) else { return };

    // Bucket i of schema 2 ends at 2^(i/4): 0.5 is in bucket -4, 1 in 0, 2 in 4 and 4 in 8.
    let merged = json!({
        "did": "read", "schema": 2, "zero": 1, "count": 8, "sum": 7.5,
        "positive": { "-4": 1, "0": 1, "4": 3, "8": 1 }, "negative": { "8": 1 },
    });
    assert_eq!(steps.last(), Some(&merged));

    // Text has no words for native buckets.
    let scrape = gateway.scrape();
    let shown: Vec<_> =
        samples(&scrape).into_iter().filter(|(series, _)| series.starts_with("client_")).collect();
    let expected = [
        ("client_native_bucket{instance=\"\",job=\"native\",le=\"+Inf\"}", 8.0),
        ("client_native_count{instance=\"\",job=\"native\"}", 8.0),
        ("client_native_sum{instance=\"\",job=\"native\"}", 7.5),
    ];
    assert_eq!(shown, expected, "{scrape}");
}

#[test]
fn the_native_parts_that_java_pushes_merge_beside_the_classic_ones() {
    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &[]);
    if run(Client::Java, "protobuf", &Door::open(&gateway)).is_none() {
        return;
    }
    let series = bodies::series(&gateway.scrape_by_protobuf());
    let (Value::Histogram(merged), _) = &series["client_seconds{job=\"protobuf\"}"] else {
        panic!("{series:?}")
    };
    let buckets: Vec<_> = merged.buckets.iter().map(|one| (one.upper_bound, one.cumulative_count)).collect();
    assert_eq!(buckets, [(0.5, 1.0), (1.0, 2.0), (5.0, 3.0), (f64::INFINITY, 4.0)]);
    assert_eq!((merged.sum, merged.count), (Some(11.0), Some(4.0)));
    // Bucket i of schema 5 ends at 2^(i/32): 0.25 and 2 were in the first push, 0.75 and 8 in the second.
    let native = merged.native.as_ref().expect("it has a native part");
    let positive = vec![(-64, 1), (-13, 1), (32, 1), (96, 1)];
    let counts = NativeCounts::Integer(Counts { count: 4, positive, ..Counts::default() });
    assert_eq!((native.schema, &native.counts), (5, &counts));
}
