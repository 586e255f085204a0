//! What holds for every sequence of pushes: order does not matter to what adds, a refusal changes nothing,
//! counters never fall, no family spoils another, the exposition is deterministic, and the parts of one
//! push agree in every scrape.
//!
//! Through the router, in every format, with values and names as strange as a push may have. What the totals are
//! is decided against a model in `reference.rs`.

mod agreement;
mod exposition;
mod parts;
mod refusals;
mod resets;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use proptest::prelude::*;
use tallygate::gateway::Options;
use tallygate::storage::MemoryEngine;

use crate::support::bodies::Format;
use crate::support::in_process::InProcess;
use crate::support::records::Disk;
use crate::support::samples::samples;
use exposition::check_histograms;
use parts::{Pushed, any_pushed};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn in_memory() -> InProcess {
    InProcess::open(Box::new(MemoryEngine::default()), Options::default())
}

async fn push(gateway: &InProcess, path: &str, body: &str) {
    let (status, text) = gateway.push(path, body).await;
    assert_eq!(status, 200, "{text}\n{path}\n{body}");
}

async fn push_part(gateway: &InProcess, part: &Pushed, number: usize) {
    let (status, text) = gateway.send_as(part.format, "POST", &part.path(), part.body(number)).await;
    assert_eq!(status, 200, "{text}\n{part:?}");
}

/// What is scraped in text, and what is scraped in protobuf, which says more of what has no words in text.
async fn scraped(gateway: &InProcess) -> (String, String) {
    // What is shown reads back to the same bits, so equal texts are equal numbers.
    (gateway.scrape_pushed().await, format!("{:#?}", gateway.scrape_natively().await))
}

/// Pushes each part on its own, in this order.
async fn one_by_one(parts: &[(usize, &Pushed)]) -> InProcess {
    let gateway = in_memory();
    for (number, part) in parts {
        push_part(&gateway, part, *number).await;
    }
    gateway
}

/// Pushes as much as fits into one push at once: what a group gets in a format, up to the first repetition of a
/// series.
async fn in_large_pushes(parts: &[(usize, &Pushed)]) -> InProcess {
    let gateway = in_memory();
    let targets: BTreeSet<(usize, Format)> = parts.iter().map(|(_, part)| (part.key, part.format)).collect();
    for (key, format) in targets {
        let mut waiting: Vec<_> =
            parts.iter().filter(|(_, part)| (part.key, part.format) == (key, format)).collect();
        while !waiting.is_empty() {
            let mut seen = BTreeSet::new();
            let mut taken = Vec::new();
            let path = waiting[0].1.path();
            waiting.retain(|(number, part)| {
                let is_new = seen.insert(part.series(*number));
                if is_new {
                    taken.push((*number, *part));
                }
                !is_new
            });
            let (status, text) = gateway.send_as(format, "POST", &path, Pushed::bodies(format, &taken)).await;
            assert_eq!(status, 200, "{text}\n{taken:?}");
        }
    }
    gateway
}

/// Pushes everything at the same time, from several threads, and restarts in the middle.
async fn at_once(parts: &[(usize, &Pushed)]) -> InProcess {
    let disk = Disk::default();
    let (first, second) = parts.split_at(parts.len() / 2);
    for half in [first, second] {
        let gateway = Arc::new(InProcess::open(disk.engine(), Options::default()));
        let tasks: Vec<_> = half
            .iter()
            .map(|&(number, part)| {
                let (gateway, part) = (Arc::clone(&gateway), part.clone());
                tokio::spawn(async move { push_part(&gateway, &part, number).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
    InProcess::open(disk.engine(), Options::default())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn order_and_partition_of_pushes_do_not_matter_bit_for_bit(
        (parts, order) in proptest::collection::vec(any_pushed(), 1..24).prop_flat_map(|parts| {
            let order: Vec<usize> = (0..parts.len()).collect();
            (Just(parts), Just(order).prop_shuffle())
        })
    ) {
        let numbered: Vec<(usize, &Pushed)> = parts.iter().enumerate().collect();
        let shuffled: Vec<(usize, &Pushed)> = order.iter().map(|&at| numbered[at]).collect();
        run(async {
            let plain = scraped(&one_by_one(&numbered).await).await;
            assert_eq!(scraped(&one_by_one(&shuffled).await).await, plain, "another order");
            assert_eq!(scraped(&in_large_pushes(&shuffled).await).await, plain, "another partition");
            assert_eq!(scraped(&at_once(&shuffled).await).await, plain, "at the same time");
        });
    }
}

/// What must never fall: counters, counts and buckets.
fn rising(scrape: &str) -> BTreeMap<String, f64> {
    let is_rising = |series: &str| {
        let name = series.split('{').next().unwrap();
        let is_of_series =
            matches!(name, "c_total" | "h_bucket" | "h_count" | "s_count" | "e_total" | "e_h_count");
        is_of_series || matches!(name, "n_bucket" | "n_count")
    };
    samples(scrape)
        .into_iter()
        .filter(|(series, _)| is_rising(series))
        .map(|(series, value)| (series.to_owned(), value))
        .collect()
}

#[derive(Clone, Debug)]
enum Step {
    Push(Pushed),
    /// The same push again and again, so that sums get beyond what is exact and counts saturate.
    Repeat(Pushed),
    Stop,
    Kill,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any_pushed().prop_map(Step::Push),
        1 => any_pushed().prop_map(Step::Repeat),
        1 => Just(Step::Stop),
        1 => Just(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn counters_counts_and_buckets_never_fall(steps in proptest::collection::vec(any_step(), 1..30)) {
        run(async {
            let disk = Disk::default();
            let mut gateway = InProcess::open(disk.engine(), Options::default());
            let (mut before, mut natively_before) = (BTreeMap::new(), BTreeMap::new());
            for (number, step) in steps.iter().enumerate() {
                match step {
                    Step::Push(part) => push_part(&gateway, part, number).await,
                    Step::Repeat(part) => {
                        for _ in 0..5 {
                            push_part(&gateway, part, number).await;
                        }
                    }
                    Step::Stop => {
                        gateway.gateway.stop().await.unwrap();
                        gateway = InProcess::open(disk.engine(), Options::default());
                    }
                    Step::Kill => gateway = InProcess::open(disk.engine(), Options::default()),
                }
                let scrape = gateway.scrape_pushed().await;
                let now = rising(&scrape);
                for (series, earlier) in &before {
                    let later = now.get(series).unwrap_or_else(|| panic!("{series} is gone after {step:?}"));
                    assert!(later >= earlier, "{series} fell from {earlier} to {later} after {step:?}");
                }
                check_histograms(&scrape);
                before = now;
                let natively = resets::native_parts(&gateway.scrape_natively().await);
                for (series, earlier) in &natively_before {
                    let later = natively.get(series).unwrap_or_else(|| panic!("{series} is gone after {step:?}"));
                    let looks_reset = resets::looks_reset(earlier, later);
                    assert!(!looks_reset, "{series} after {step:?}: {earlier:?}, then {later:?}");
                }
                natively_before = natively;
            }
        });
    }
}
