//! Native histograms of the Go library, which both writes and reads them.

use serde_json::json;

use super::programs::{Client, Door, run, steps};
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
