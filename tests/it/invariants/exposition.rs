//! No family spoils the scrape of another, and the exposition is deterministic.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use axum::body::Body;
use proptest::prelude::*;
use tallygate::exposition::text;
use tallygate::gateway::Options;
use tallygate::model::{Bucket, Counts, Families, Histogram, NativeCounts, NativeHistogram, StateSet, Value};
use tallygate::telemetry::LeftOut;

use super::parts::{Pushed, any_pushed_in_text, written};
use super::{in_memory, one_by_one, push, run};
use crate::support::bodies::{Format, Piece, body};
use crate::support::in_process::InProcess;
use crate::support::records::Disk;
use crate::support::samples::value;

/// Within each histogram: bounds rise, counts never fall, `+Inf` is there and equals the count.
pub(super) fn check_histograms(scrape: &str) {
    let families = text::parse(scrape.as_bytes()).expect("a scrape can be parsed");
    for series in families.families.iter().flat_map(|family| &family.series) {
        let Value::Histogram(histogram) = &series.value else { continue };
        let rises = |a: &Bucket, b: &Bucket| {
            a.upper_bound < b.upper_bound && a.cumulative_count <= b.cumulative_count
        };
        assert!(histogram.buckets.is_sorted_by(rises), "{scrape}");
        let last = histogram.buckets.last().expect("there is always +Inf");
        assert_eq!(last.upper_bound, f64::INFINITY, "{scrape}");
        assert_eq!(Some(last.cumulative_count), histogram.count, "{scrape}");
    }
}

/// A label value as the text format quotes it.
fn quoted(value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// Families as strange as they come: names that look like parts of other families, any text in HELP and
/// labels, any value.
#[derive(Clone, Debug)]
struct Strange {
    job: u8,
    name: String,
    metric_type: &'static str,
    help: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Strange {
    /// The format that has words for it, and the body.
    fn body(&self) -> (Format, Vec<u8>) {
        let bucket = |upper_bound, cumulative_count| Bucket { upper_bound, cumulative_count };
        let pushed = || Histogram {
            buckets: vec![bucket(0.5, 1.0), bucket(f64::INFINITY, 3.0)],
            sum: Some(self.value),
            count: Some(3.0),
            ..Histogram::default()
        };
        let (format, value) = match self.metric_type {
            "native histogram" => {
                let counts = Counts { count: 3, zero: 1, positive: vec![(1, 2)], negative: Vec::new() };
                let counts = NativeCounts::Integer(counts);
                let native = NativeHistogram {
                    schema: 1,
                    zero_threshold: 0.5,
                    custom_bounds: Vec::new(),
                    counts,
                    sum: None,
                };
                let native = Some(Box::new(native));
                (Format::Protobuf, Value::Histogram(Box::new(Histogram { native, ..pushed() })))
            }
            "gaugehistogram" => (Format::Protobuf, Value::GaugeHistogram(Box::new(pushed()))),
            "stateset" => {
                let states = vec![(self.help.as_str().into(), true), ("off".into(), false)];
                (Format::OpenMetrics, Value::StateSet(Box::new(StateSet { states, defect: None })))
            }
            _ => return (Format::Text, self.text().into_bytes()),
        };
        let metric_type = value.metric_type();
        let labels = self.labels.clone().into_iter().collect();
        let piece = Piece { name: self.name.clone(), metric_type, labels, value, exemplars: Vec::new() };
        (format, body(format, &[piece]))
    }

    fn text(&self) -> String {
        let Self { name, metric_type, .. } = self;
        let help = self.help.replace('\\', "\\\\").replace('\n', "\\n");
        let mut body = format!("# HELP {name} {help}\n");
        if *metric_type != "untyped" {
            writeln!(body, "# TYPE {name} {metric_type}").unwrap();
        }
        let labels: Vec<String> =
            self.labels.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
        let labels = format!("{{{}}}", labels.join(","));
        let value = written(self.value);
        let _ = match *metric_type {
            "histogram" => writeln!(body, "{name}_count{labels} 3\n{name}_sum{labels} {value}"),
            "summary" => writeln!(body, "{name}_sum{labels} {value}\n{name}{{quantile=\"0.5\"}} NaN"),
            _ => writeln!(body, "{name}{labels} {value}"),
        };
        body
    }
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z0-9]{0,6}",
        1 => "\\PC{0,8}",
        1 => prop::sample::select(vec!["\"", "\\", "\n", "}", "a\"} 1\nb{c=\"", "\\n", "\r", "\t", " ", "# TYPE a b", "é", "\u{2028}", "0"])
            .prop_map(str::to_owned),
    ]
}

fn any_strange() -> impl Strategy<Value = Strange> {
    let name = prop_oneof![
        3 => prop::sample::select(vec![
            "x", "x_total", "x_bucket", "x_count", "x_sum", "x_created", "x_info", "push_time", "push_time_seconds_count",
            "process_cpu_seconds_total", "process_start_time_seconds", "process_max_fds", "up", "le", "quantile", "NaN", "Inf", "HELP", "TYPE", "go_goroutines",
        ]).prop_map(str::to_owned),
        1 => "[a-zA-Z_:][a-zA-Z0-9_:]{0,5}",
    ];
    let label = prop_oneof![
        3 => prop::sample::select(vec!["a", "b", "A", "_", "job", "instance", "le", "quantile", "NaN"]).prop_map(str::to_owned),
        1 => "[a-zA-Z][a-zA-Z0-9_]{0,4}",
    ];
    let labels = proptest::collection::btree_map(label, any_text(), 0..4);
    let metric_type = prop::sample::select(vec![
        "counter",
        "gauge",
        "untyped",
        "histogram",
        "summary",
        "native histogram",
        "gaugehistogram",
        "stateset",
    ]);
    (0..3_u8, name, metric_type, any_text(), labels, any::<u64>().prop_map(f64::from_bits)).prop_map(
        |(job, name, metric_type, help, labels, value)| Strange {
            job,
            name,
            metric_type,
            help,
            labels,
            value,
        },
    )
}

/// What a scrape must be whatever was pushed: it parses, every family is there once with one TYPE line, in
/// the order of the names, and no series is there twice.
fn check_scrape(scrape: &str) -> Families<'_> {
    let families = text::parse(scrape.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{scrape}"));
    let mut series = BTreeSet::new();
    for family in &families.families {
        assert!(family.type_is_declared, "{} has no TYPE\n{scrape}", family.name);
        for one in &family.series {
            let labels: Vec<_> =
                families.labels_of(one).iter().map(|label| (&label.name, &label.value)).collect();
            // The label of a state set that names the state stands behind the others.
            let in_order = labels.split_last().filter(|(last, _)| last.0 == &family.name);
            let in_order = in_order.map_or(&labels[..], |(_, others)| others);
            assert!(in_order.is_sorted_by(|a, b| a.0 < b.0), "{labels:?}");
            assert!(
                series.insert((&family.name, labels)),
                "{} line {} is there twice\n{scrape}",
                family.name,
                one.line
            );
        }
    }
    let types: Vec<&str> = heads(scrape, "# TYPE ");
    assert!(types.is_sorted_by(|a, b| a < b), "{types:?}");
    let helps: Vec<&str> = heads(scrape, "# HELP ");
    assert!(helps.is_sorted_by(|a, b| a < b), "{helps:?}");
    check_histograms(scrape);
    families
}

fn heads<'s>(scrape: &'s str, head: &str) -> Vec<&'s str> {
    scrape.split('\n').filter_map(|line| line.strip_prefix(head)?.split(' ').next()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_family_can_spoil_the_scrape_of_another(pushes in proptest::collection::vec(any_strange(), 1..40)) {
        run(async {
            let disk = Disk::default();
            let gateway = InProcess::open(disk.engine(), Options::default());
            push(&gateway, "/metrics/job/witness", "# TYPE witness counter\nwitness 7\n").await;
            let mut names = BTreeSet::from(["witness"]);
            for strange in &pushes {
                let (format, body) = strange.body();
                let path = format!("/metrics/job/{}", strange.job);
                let (status, text) = gateway.send_as(format, "POST", &path, body).await;
                assert!(status == 200 || status == 400, "{text}");
                if status == 200 {
                    names.insert(&strange.name);
                }
            }
            for gateway in [&gateway, &InProcess::open(disk.engine(), Options::default())] {
                let (status, scrape) = gateway.send("GET", "/metrics", Body::empty()).await;
                assert_eq!(status, 200);
                let families = check_scrape(&scrape);
                let shown: BTreeSet<&str> = families.families.iter().map(|family| &*family.name).collect();
                assert!(names.is_subset(&shown), "{names:?} {shown:?}");
                assert_eq!(value(&scrape_of_witness(&scrape), "witness{instance=\"\",job=\"witness\"}"), 7.0);
                let left_out = |reason| gateway.gateway.metrics().families_left_out.of(reason).get();
                assert_eq!((left_out(LeftOut::Failed), left_out(LeftOut::Name)), (0, 0));
                // A metric of the process gives way to a pushed one of another type.
                let of_process = names.iter().filter(|name| name.starts_with("process_")).count();
                assert!(left_out(LeftOut::Type) <= of_process as u64);
                gateway.scrape_natively().await;
                assert_eq!(left_out(LeftOut::Failed), 0, "in protobuf");
            }
        });
    }
}

fn scrape_of_witness(scrape: &str) -> String {
    scrape.split('\n').filter(|line| line.starts_with("witness")).collect::<Vec<_>>().join("\n")
}

/// Samples as prometheus-parse reads them: name and labels, and value; a histogram's and a summary's parts
/// as samples of their own.
fn read_independently(scrape: &str) -> BTreeMap<String, f64> {
    let lines = scrape.lines().map(|line| Ok(line.to_owned()));
    let parsed = prometheus_parse::Scrape::parse(lines).expect("prometheus-parse can read it");
    let mut samples = BTreeMap::new();
    for sample in parsed.samples {
        let labels: BTreeMap<&String, &String> = sample.labels.iter().collect();
        let mut add = |suffix: &str, own: &str, value: f64| {
            samples.insert(format!("{}{suffix}{labels:?}{own}", sample.metric), value);
        };
        match &sample.value {
            prometheus_parse::Value::Counter(value)
            | prometheus_parse::Value::Gauge(value)
            | prometheus_parse::Value::Untyped(value) => add("", "", *value),
            prometheus_parse::Value::Histogram(buckets) => {
                for bucket in buckets {
                    add("_bucket", &bucket.less_than.to_string(), bucket.count);
                }
            }
            prometheus_parse::Value::Summary(quantiles) => {
                for quantile in quantiles {
                    add("", &quantile.quantile.to_string(), quantile.count);
                }
            }
        }
    }
    samples
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn an_independent_parser_reads_the_same_numbers(parts in proptest::collection::vec(any_pushed_in_text(), 1..20)) {
        let numbered: Vec<(usize, &Pushed)> = parts.iter().enumerate().collect();
        let scrape = run(async { one_by_one(&numbered).await.scrape_pushed().await });
        let ours = text::parse(scrape.as_bytes()).unwrap();
        let mut expected = BTreeMap::new();
        for family in &ours.families {
            for series in &family.series {
                let labels: BTreeMap<String, String> = ours
                    .labels_of(series)
                    .iter()
                    .map(|label| (label.name.to_string(), label.value.to_string()))
                    .collect();
                let mut add = |suffix: &str, own: &str, value: f64| {
                    expected.insert(format!("{}{suffix}{labels:?}{own}", family.name), value);
                };
                match &series.value {
                    Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => add("", "", *value),
                    Value::Histogram(histogram) => {
                        for bucket in &histogram.buckets {
                            add("_bucket", &bucket.upper_bound.to_string(), bucket.cumulative_count);
                        }
                        add("_sum", "", histogram.sum.unwrap());
                        add("_count", "", histogram.count.unwrap());
                    }
                    Value::Summary(summary) => {
                        add("_sum", "", summary.sum.unwrap());
                        add("_count", "", summary.count.unwrap());
                    }
                    Value::GaugeHistogram(_) | Value::Info | Value::StateSet(_) => unreachable!("never pushed"),
                }
            }
        }
        let read = read_independently(&scrape);
        let bits = |samples: &BTreeMap<String, f64>| -> BTreeMap<String, u64> {
            let bits = |value: f64| if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
            samples.iter().map(|(series, value)| (series.clone(), bits(*value))).collect()
        };
        // It takes sums and counts of histograms and summaries for samples of their own, or leaves them out.
        let (read, expected) = (bits(&read), bits(&expected));
        for (series, value) in &expected {
            let is_part = series.contains("_sum{") || series.contains("_count{");
            match read.get(series) {
                Some(found) => prop_assert_eq!(found, value, "{}", series),
                None => prop_assert!(is_part, "{} is missing among {:?}", series, read),
            }
        }
        prop_assert!(read.keys().all(|series| expected.contains_key(series)), "{:?} {:?}", read, expected);
    }
}

/// A series for the order of the exposition: the labels of its group and its own, which never share a name.
type Labelled = (BTreeMap<&'static str, &'static str>, BTreeMap<&'static str, &'static str>, usize);

fn any_labelled() -> impl Strategy<Value = Labelled> {
    let value = || prop::sample::select(vec!["", "1", "10", "2", "Z", "a", "\u{e9}", "-", "a b"]);
    let of = |names: Vec<&'static str>| {
        proptest::collection::btree_map(prop::sample::select(names), value(), 0..4)
    };
    (of(vec!["instance", "a", "zone", "K"]), of(vec!["b", "code", "l", "A", "zz"]), 0..5_usize)
}

async fn push_labelled(gateway: &InProcess, (group, own, family): &Labelled) {
    let mut path = "/metrics/job/j".to_owned();
    for (name, value) in group.iter().filter(|(_, value)| !value.is_empty()) {
        write!(path, "/{name}/{}", value.replace(' ', "%20").replace('\u{e9}', "%C3%A9")).unwrap();
    }
    let labels: Vec<String> = own.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    let labels = labels.join(",");
    let name = ["c", "b_seconds", "Z", "c_x", "_m"][*family];
    let body = match family {
        1 => format!(
            "# HELP {name} H\n# TYPE {name} histogram\n{name}_bucket{{{labels}{}le=\"7\"}} 1\n\
            {name}_count{{{labels}}} 2\n",
            if labels.is_empty() { "" } else { "," }
        ),
        2 => format!("# TYPE {name} summary\n{name}_count{{{labels}}} 1\n"),
        _ => format!("# HELP {name} H\n# TYPE {name} counter\n{name}{{{labels}}} 1\n"),
    };
    push(gateway, &path, &body).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_exposition_has_one_order_whatever_the_order_of_the_pushes(
        (series, shuffled) in proptest::collection::vec(any_labelled(), 1..40)
            .prop_flat_map(|series| (Just(series.clone()), Just(series).prop_shuffle()))
    ) {
        run(async {
            let (disk, other) = (Disk::default(), in_memory());
            let first = InProcess::open(disk.engine(), Options::default());
            for (one, another) in series.iter().zip(&shuffled) {
                push_labelled(&first, one).await;
                push_labelled(&other, another).await;
            }
            let scrape = first.scrape().await;
            assert_eq!(other.scrape_pushed().await, first.scrape_pushed().await, "another order of pushes");
            let restarted = InProcess::open(disk.engine(), Options::default());
            assert_eq!(restarted.scrape().await, scrape, "after a restart");

            let families = check_scrape(&scrape);
            for family in &families.families {
                let order: Vec<(usize, Vec<&str>)> = family
                    .series
                    .iter()
                    .map(|series| families.labels_of(series))
                    .map(|labels| (labels.len(), labels.iter().map(|label| &*label.value).collect()))
                    .collect();
                assert!(order.is_sorted(), "{}: {order:?}", family.name);
            }
        });
    }
}
