//! The parts of one push agree in every scrape that is taken meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{in_memory, push, run};
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
    const PUSHES: usize = 40;
    run(async {
        let gateway = Arc::new(in_memory());
        let body: Arc<str> = agreeing_body().into();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (gateway, body) = (Arc::clone(&gateway), Arc::clone(&body));
                // Two writers share a group.
                let path = format!("/metrics/job/{}", writer / 2);
                tokio::spawn(async move {
                    for _ in 0..PUSHES {
                        push(&gateway, &path, &body).await;
                    }
                })
            })
            .collect();
        let is_over = Arc::new(AtomicBool::new(false));
        let between = Arc::new(AtomicUsize::new(0));
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
                        let done = f64::from(u32::try_from(WRITERS * PUSHES).unwrap());
                        if (1.0..done).contains(&now.values().sum::<f64>()) && now != before {
                            between.fetch_add(1, Ordering::SeqCst);
                        }
                        before = now;
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        is_over.store(true, Ordering::SeqCst);
        for scraper in scrapers {
            scraper.await.unwrap();
        }
        let last = agreed(&gateway.scrape_pushed().await);
        assert!(last.values().all(|&count| count == 2.0 * 40.0), "{last:?}");
        let between = between.load(Ordering::SeqCst);
        assert!(between >= 10, "only {between} scrapes were taken while pushes came in");
    });
}
