//! Properties: round trips, agreement with another parser, and no panic whatever the bytes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::model::{Bucket, Families, Histogram, Label, MetricType, Quantile, Summary, Value};

use super::super::{parse, write_header, write_series};
use super::{read, written};

/// A family as it is to be written.
#[derive(Clone, Debug, PartialEq)]
struct Plan {
    name: String,
    help: Option<String>,
    metric_type: MetricType,
    /// Label sets, each with its value.
    series: Vec<(Vec<(String, String)>, Value)>,
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-1_000_000_i32..1_000_000).prop_map(f64::from),
        any::<f64>().prop_filter("a NaN is not equal to itself", |number| !number.is_nan()),
        Just(f64::INFINITY),
    ]
}

fn value(metric_type: MetricType) -> BoxedStrategy<Value> {
    match metric_type {
        MetricType::Counter => number().prop_map(Value::Counter).boxed(),
        MetricType::Gauge => number().prop_map(Value::Gauge).boxed(),
        MetricType::Untyped => number().prop_map(Value::Untyped).boxed(),
        MetricType::GaugeHistogram | MetricType::Info | MetricType::StateSet => {
            unreachable!("nobody asks for it")
        }
        MetricType::Histogram => (proptest::collection::vec((number(), number()), 0..6), number(), number())
            .prop_map(|(buckets, sum, count)| Value::Histogram(Box::new(histogram(&buckets, sum, count))))
            .boxed(),
        MetricType::Summary => (proptest::collection::vec((number(), number()), 0..6), number(), number())
            .prop_map(|(quantiles, sum, count)| {
                let quantiles =
                    quantiles.into_iter().map(|(quantile, value)| Quantile { quantile, value }).collect();
                Value::Summary(Box::new(Summary {
                    quantiles,
                    sum: Some(sum),
                    count: Some(count),
                    defect: None,
                }))
            })
            .boxed(),
    }
}

/// A histogram with the bucket `+Inf`, which the writer would else add.
fn histogram(buckets: &[(f64, f64)], sum: f64, count: f64) -> Histogram {
    let mut buckets: Vec<_> = buckets
        .iter()
        .map(|&(upper_bound, cumulative_count)| Bucket { upper_bound, cumulative_count })
        .collect();
    buckets.push(Bucket { upper_bound: f64::INFINITY, cumulative_count: count });
    Histogram { buckets, sum: Some(sum), count: Some(count), defect: None, native: None }
}

fn metric_type() -> impl Strategy<Value = MetricType> {
    prop::sample::select(vec![
        MetricType::Counter,
        MetricType::Gauge,
        MetricType::Histogram,
        MetricType::Summary,
        MetricType::Untyped,
    ])
}

/// Families whose names do not derive from each other; label names are not `le` or `quantile`, and label
/// values not empty, which is no label.
fn plans(name: &'static str, label_value: &'static str) -> impl Strategy<Value = Vec<Plan>> {
    let labels = proptest::collection::btree_map("[a-d_][a-z0-9_]{0,3}", label_value, 0..4);
    let family =
        (proptest::option::of(".{0,20}"), metric_type()).prop_flat_map(move |(help, metric_type)| {
            let series = proptest::collection::btree_map(labels.clone(), value(metric_type), 1..6);
            (Just(help), Just(metric_type), series)
        });
    proptest::collection::btree_map(name, family, 1..6).prop_map(|families| {
        let families = families.into_iter().map(|(name, (help, metric_type, series))| Plan {
            name,
            // Blanks in front are not kept, and a text of blanks is none.
            help: help
                .map(|help| help.trim_start_matches([' ', '\t']).to_owned())
                .filter(|help| !help.is_empty()),
            metric_type,
            series: series.into_iter().map(|(labels, value)| (labels.into_iter().collect(), value)).collect(),
        });
        families.collect()
    })
}

fn write_plans(plans: &[Plan]) -> Vec<u8> {
    let mut out = Vec::new();
    for plan in plans {
        write_header(&mut out, &plan.name, plan.help.as_deref(), plan.metric_type);
        for (labels, value) in &plan.series {
            let labels = labels.iter().map(|(name, value)| Label { name, value });
            write_series(&mut out, &plan.name, labels, value);
        }
    }
    out
}

fn as_plans(families: &Families<'_>) -> Vec<Plan> {
    let families_as_plans = families.families.iter().map(|family| Plan {
        name: family.name.to_string(),
        help: family.help.as_ref().map(ToString::to_string),
        metric_type: family.metric_type,
        series: family
            .series
            .iter()
            .map(|series| {
                let labels = families.labels_of(series).iter();
                let labels = labels.map(|label| (label.name.to_string(), label.value.to_string()));
                (labels.collect(), series.value.clone())
            })
            .collect(),
    });
    families_as_plans.collect()
}

/// The lines of a body after its headers, in another order that keeps those of each series in theirs.
fn interleave(body: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(body).unwrap();
    let (headers, samples): (Vec<&str>, Vec<&str>) =
        text.split_inclusive('\n').partition(|line| line.starts_with('#'));
    let (even, odd): (Vec<_>, Vec<_>) = samples.into_iter().enumerate().partition(|(i, _)| i % 2 == 0);
    headers
        .into_iter()
        .chain(even.into_iter().chain(odd).map(|(_, line)| line))
        .collect::<String>()
        .into_bytes()
}

/// A sample of prometheus-parse or the like: name, labels, and numbers in order.
type FlatSample = (String, BTreeMap<String, String>, &'static str, Vec<u64>);

/// What prometheus-parse makes of a body. It keeps neither sum nor count of histograms and summaries
/// together with their buckets, but as samples of no type.
fn read_by_oracle(body: &str) -> BTreeSet<FlatSample> {
    let lines = body.lines().map(|line| Ok(line.to_owned()));
    let scrape = prometheus_parse::Scrape::parse(lines).unwrap();
    let samples = scrape.samples.into_iter().map(|sample| {
        let (kind, numbers) = match &sample.value {
            prometheus_parse::Value::Counter(value) => ("counter", vec![value.to_bits()]),
            prometheus_parse::Value::Gauge(value) => ("gauge", vec![value.to_bits()]),
            prometheus_parse::Value::Untyped(value) => ("untyped", vec![value.to_bits()]),
            prometheus_parse::Value::Histogram(buckets) => {
                let numbers =
                    buckets.iter().flat_map(|bucket| [bucket.less_than.to_bits(), bucket.count.to_bits()]);
                ("histogram", numbers.collect())
            }
            prometheus_parse::Value::Summary(quantiles) => {
                let numbers =
                    quantiles.iter().flat_map(|part| [part.quantile.to_bits(), part.count.to_bits()]);
                ("summary", numbers.collect())
            }
        };
        let labels = sample.labels.iter().map(|(name, value)| (name.clone(), value.clone()));
        (sample.metric, labels.collect(), kind, numbers)
    });
    samples.collect()
}

/// What we make of it, in the oracle's terms.
fn read_by_us(body: &str) -> BTreeSet<FlatSample> {
    let families = read(body.as_bytes());
    let mut samples = BTreeSet::new();
    for family in &families.families {
        for series in &family.series {
            let labels = families.labels_of(series).iter();
            let labels: BTreeMap<_, _> =
                labels.map(|label| (label.name.to_string(), label.value.to_string())).collect();
            let mut add = |suffix: &str, kind, numbers: Vec<u64>| {
                samples.insert((format!("{}{suffix}", family.name), labels.clone(), kind, numbers));
            };
            match &series.value {
                Value::Counter(value) => add("", "counter", vec![value.to_bits()]),
                Value::Gauge(value) => add("", "gauge", vec![value.to_bits()]),
                Value::Untyped(value) => add("", "untyped", vec![value.to_bits()]),
                Value::GaugeHistogram(_) | Value::Info | Value::StateSet(_) => unreachable!("never made"),
                Value::Histogram(histogram) => {
                    let numbers = histogram.buckets.iter();
                    let numbers = numbers
                        .flat_map(|bucket| [bucket.upper_bound.to_bits(), bucket.cumulative_count.to_bits()]);
                    add("", "histogram", numbers.collect());
                    add("_sum", "untyped", vec![histogram.sum.unwrap().to_bits()]);
                    add("_count", "untyped", vec![histogram.count.unwrap().to_bits()]);
                }
                Value::Summary(summary) => {
                    let numbers = summary.quantiles.iter();
                    let numbers: Vec<_> =
                        numbers.flat_map(|part| [part.quantile.to_bits(), part.value.to_bits()]).collect();
                    if !numbers.is_empty() {
                        add("", "summary", numbers);
                    }
                    add("_sum", "untyped", vec![summary.sum.unwrap().to_bits()]);
                    add("_count", "untyped", vec![summary.count.unwrap().to_bits()]);
                }
            }
        }
    }
    samples
}

/// One change to a body's bytes.
#[derive(Clone, Debug)]
enum Mutation {
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
    Cut(prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let pieces = [
        "\"", "{", "}", "\\", "\n", "=", ",", " ", "#", "# TYPE ", "# HELP ", "le=\"1\"", "_sum", "\u{e9}",
        ":",
    ];
    let piece = prop::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec());
    prop_oneof![
        (any::<prop::sample::Index>(), 1_usize..8).prop_map(|(at, len)| Mutation::Remove(at, len)),
        (any::<prop::sample::Index>(), piece).prop_map(|(at, piece)| Mutation::Insert(at, piece)),
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Insert(at, vec![byte])),
        any::<prop::sample::Index>().prop_map(Mutation::Cut),
    ]
}

fn mutate(body: &mut Vec<u8>, mutation: &Mutation) {
    match mutation {
        Mutation::Remove(at, len) => {
            let at = at.index(body.len() + 1);
            let end = (at + len).min(body.len());
            body.drain(at..end);
        }
        Mutation::Insert(at, piece) => {
            let at = at.index(body.len() + 1);
            body.splice(at..at, piece.iter().copied());
        }
        Mutation::Cut(at) => body.truncate(at.index(body.len() + 1)),
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(plans in plans("[a-zA-Z:][a-zA-Z0-9:]{0,8}", ".{1,12}")) {
        let body = write_plans(&plans);
        let families = read(&body);
        prop_assert_eq!(&as_plans(&families), &plans);
        prop_assert_eq!(written(&families), body);
    }

    #[test]
    fn the_order_of_lines_does_not_matter_to_what_series_there_are(
        plans in plans("[a-zA-Z:][a-zA-Z0-9:]{0,8}", "[a-z\\\\\"]{1,3}")
    ) {
        let body = interleave(&write_plans(&plans));
        let sorted = |plans: Vec<Plan>| {
            let mut plans = plans;
            for plan in &mut plans {
                plan.series.sort_by(|one, other| one.0.cmp(&other.0));
                for (_, value) in &mut plan.series {
                    // The parts of a series may have changed their order.
                    match value {
                        Value::Histogram(histogram) => {
                            histogram.buckets.sort_by(|one, other| {
                                let key = |bucket: &Bucket| (bucket.upper_bound, bucket.cumulative_count);
                                key(one).partial_cmp(&key(other)).unwrap()
                            });
                        }
                        Value::Summary(summary) => {
                            summary.quantiles.sort_by(|one, other| {
                                let key = |part: &Quantile| (part.quantile, part.value);
                                key(one).partial_cmp(&key(other)).unwrap()
                            });
                        }
                        _ => {}
                    }
                }
            }
            plans
        };
        prop_assert_eq!(sorted(as_plans(&read(&body))), sorted(plans));
    }

    // prometheus-parse reads names without colons, and values without commas, equals signs and braces, none
    // of which begin or end with a quote; escapes it leaves as they are.
    #[test]
    fn prometheus_parse_reads_the_same(plans in plans("[a-zA-Z][a-zA-Z0-9]{0,8}", "[a-z0-9./ -]{1,12}")) {
        let body = String::from_utf8(write_plans(&plans)).unwrap();
        prop_assert_eq!(read_by_us(&body), read_by_oracle(&body));
    }

    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&body);
    }

    #[test]
    fn no_change_to_a_valid_body_makes_it_panic(
        plans in plans("[a-zA-Z:][a-zA-Z0-9:]{0,8}", ".{0,6}"),
        mutations in proptest::collection::vec(mutation(), 1..6),
    ) {
        let mut body = write_plans(&plans);
        for mutation in &mutations {
            mutate(&mut body, mutation);
        }
        let lines = u32::try_from(body.split(|&byte| byte == b'\n').count()).unwrap();
        match parse(&body) {
            Ok(families) => {
                let first_lines = families.families.iter().flat_map(|family| &family.series);
                for series in first_lines {
                    prop_assert!((1..=lines).contains(&series.line));
                }
            }
            Err(error) => {
                prop_assert!((1..=lines).contains(&error.line), "{}", error);
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}
