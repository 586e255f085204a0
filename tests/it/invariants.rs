//! What holds for every sequence of pushes: order does not matter to what adds, a refusal changes nothing,
//! counters never fall, no family spoils another, the exposition is deterministic, and the parts of one
//! push agree in every scrape.
//!
//! Through the router, with values and names as strange as a push may have. What the totals are is decided
//! against a model in `reference.rs`.

mod agreement;
mod exposition;
mod refusals;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::future::Future;
use std::sync::Arc;

use proptest::prelude::*;
use tallygate::gateway::Options;
use tallygate::storage::MemoryEngine;

use crate::support::in_process::InProcess;
use crate::support::records::Disk;
use crate::support::samples::samples;
use exposition::check_histograms;

const KEYS: [&str; 4] = ["/job/a", "/job/a/i/1", "/job/a/i/2", "/job/b/i/1"];
/// Upper bounds that pushed histograms choose from, with some written unusually.
const BOUNDS: [&str; 6] = ["-1", "0.5", "1e0", "2.50", "1e300", "5e-324"];
/// Small enough for sixteen of them in one histogram to stay below 2^53, which is what one push may say.
const COUNT_MAX: u64 = 1 << 48;

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

/// One series of a push; whatever it is can be pushed on its own.
#[derive(Clone, Debug)]
enum Part {
    Counter(f64),
    Untyped(f64),
    /// Set by this part alone, so that no order is needed to say what it ends up as.
    Gauge(f64),
    /// Own counts by bound, those over all bounds, the sum.
    Histogram(BTreeMap<usize, u64>, u64, f64),
    Summary(u64, f64),
}

/// A part, and where it goes.
#[derive(Clone, Debug)]
struct Pushed {
    key: usize,
    label: u8,
    part: Part,
}

impl Pushed {
    fn path(&self) -> String {
        format!("/metrics{}", KEYS[self.key])
    }

    /// The part as text; `number` is its own among all parts.
    fn body(&self, number: usize) -> String {
        let l = format!("l=\"{}\"", self.label);
        match &self.part {
            Part::Counter(value) => format!("# TYPE c counter\nc{{{l}}} {value:?}\n"),
            Part::Untyped(value) => format!("u{{{l}}} {value:?}\n"),
            Part::Gauge(value) => format!("# TYPE g gauge\ng{{{l},n=\"{number}\"}} {}\n", written(*value)),
            Part::Summary(count, sum) => {
                format!("# TYPE s summary\ns_count{{{l}}} {count}\ns_sum{{{l}}} {sum:?}\n")
            }
            Part::Histogram(counts, over, sum) => histogram(&l, counts, *over, *sum),
        }
    }
}

/// A number as the text format spells it.
fn written(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    format!("{value:?}")
}

fn histogram(label: &str, counts: &BTreeMap<usize, u64>, over: u64, sum: f64) -> String {
    let mut by_bound: Vec<(&str, u64)> =
        counts.iter().map(|(&bound, &count)| (BOUNDS[bound], count)).collect();
    by_bound.sort_by(|a, b| a.0.parse::<f64>().unwrap().total_cmp(&b.0.parse().unwrap()));
    let mut body = "# TYPE h histogram\n".to_owned();
    let mut total = 0;
    for (bound, count) in by_bound.into_iter().chain([("+Inf", over)]) {
        total += count;
        writeln!(body, "h_bucket{{{label},le=\"{bound}\"}} {total}").unwrap();
    }
    writeln!(body, "h_sum{{{label}}} {sum:?}\nh_count{{{label}}} {total}").unwrap();
    body
}

/// Any finite number; all exponents are equally likely, and neighbours of large and small ones too.
fn any_finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite()),
        1 => (1_u64..1 << 52).prop_map(f64::from_bits),
        1 => (0_u32..1_000).prop_map(|eighths| f64::from(eighths) / 8.0),
        1 => prop::sample::select(vec![f64::MAX, f64::MIN, 1e17, -1e17, 0.1, 1.0, -0.0, f64::MIN_POSITIVE]),
    ]
}

fn any_part() -> impl Strategy<Value = Part> {
    let counts = || proptest::collection::btree_map(0..BOUNDS.len(), 0..COUNT_MAX, 0..=4);
    prop_oneof![
        3 => any_finite().prop_map(|value| Part::Counter(value.abs())),
        2 => any_finite().prop_map(Part::Untyped),
        1 => any::<u64>().prop_map(|bits| Part::Gauge(f64::from_bits(bits))),
        3 => (counts(), 0..COUNT_MAX, any_finite()).prop_map(|(counts, over, sum)| Part::Histogram(counts, over, sum)),
        1 => (0..COUNT_MAX, any_finite()).prop_map(|(count, sum)| Part::Summary(count, sum)),
    ]
}

fn any_pushed() -> impl Strategy<Value = Pushed> {
    (0..KEYS.len(), 0..3_u8, any_part()).prop_map(|(key, label, part)| Pushed { key, label, part })
}

async fn push(gateway: &InProcess, path: &str, body: &str) {
    let (status, text) = gateway.push(path, body).await;
    assert_eq!(status, 200, "{text}\n{path}\n{body}");
}

/// Pushes each part on its own, in this order.
async fn one_by_one(parts: &[(usize, &Pushed)]) -> String {
    let gateway = in_memory();
    for (number, part) in parts {
        push(&gateway, &part.path(), &part.body(*number)).await;
    }
    gateway.scrape_pushed().await
}

/// Pushes as much as fits into one push at once: what a group gets, up to the first repetition of a series.
async fn in_large_pushes(parts: &[(usize, &Pushed)]) -> String {
    let gateway = in_memory();
    for (key, path) in KEYS.iter().enumerate() {
        let mut waiting: Vec<_> = parts.iter().filter(|(_, part)| part.key == key).collect();
        while !waiting.is_empty() {
            let mut taken = BTreeMap::<String, Vec<String>>::new();
            let mut seen = BTreeSet::new();
            waiting.retain(|(number, part)| {
                let body = part.body(*number);
                let (first, rest) = body.split_once('\n').unwrap();
                let kind = (std::mem::discriminant(&part.part), part.label);
                if !matches!(part.part, Part::Gauge(_)) && !seen.insert(format!("{kind:?}")) {
                    return true;
                }
                let (head, lines) = if rest.is_empty() { ("", body.as_str()) } else { (first, rest) };
                taken.entry(head.to_owned()).or_default().push(lines.to_owned());
                false
            });
            let mut body = String::new();
            for (head, lines) in taken {
                writeln!(body, "{head}").unwrap();
                body.extend(lines);
            }
            push(&gateway, &format!("/metrics{path}"), &body).await;
        }
    }
    gateway.scrape_pushed().await
}

/// Pushes everything at the same time, from several threads, and restarts in the middle.
async fn at_once(parts: &[(usize, &Pushed)]) -> String {
    let disk = Disk::default();
    let (first, second) = parts.split_at(parts.len() / 2);
    for half in [first, second] {
        let gateway = Arc::new(InProcess::open(disk.engine(), Options::default()));
        let tasks: Vec<_> = half
            .iter()
            .map(|&(number, part)| {
                let (gateway, path, body) = (Arc::clone(&gateway), part.path(), part.body(number));
                tokio::spawn(async move { push(&gateway, &path, &body).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
    InProcess::open(disk.engine(), Options::default()).scrape_pushed().await
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
            let plain = one_by_one(&numbered).await;
            // What is shown reads back to the same bits, so equal texts are equal numbers.
            assert_eq!(one_by_one(&shuffled).await, plain, "another order");
            assert_eq!(in_large_pushes(&shuffled).await, plain, "another partition");
            assert_eq!(at_once(&shuffled).await, plain, "at the same time");
        });
    }
}

/// What must never fall: counters, counts and buckets.
fn rising(scrape: &str) -> BTreeMap<String, f64> {
    let is_rising = |series: &str| {
        let name = series.split('{').next().unwrap();
        matches!(name, "c" | "h_bucket" | "h_count" | "s_count")
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
            let mut before = BTreeMap::new();
            for (number, step) in steps.iter().enumerate() {
                match step {
                    Step::Push(part) => push(&gateway, &part.path(), &part.body(number)).await,
                    Step::Repeat(part) => {
                        for _ in 0..5 {
                            push(&gateway, &part.path(), &part.body(number)).await;
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
            }
        });
    }
}
