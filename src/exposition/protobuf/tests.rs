//! Reading and writing whole bodies.

mod properties;
mod reading;
mod refusing;
mod writing;

use std::fmt::Write as _;

use prost::Message;

use super::messages::{Counter, Gauge, Histogram, LabelPair, Summary, Untyped};
use super::*;
use crate::model::{Families, NameScheme, Value};

/// `Metric` of the published schema, as prost would have it: what our own reading and writing is held to.
#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Gauge>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Counter>,
    #[prost(message, optional, tag = "4")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "5")]
    untyped: Option<Untyped>,
    #[prost(int64, optional, tag = "6")]
    timestamp_ms: Option<i64>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

/// `MetricFamily` of the published schema.
#[derive(Clone, PartialEq, Message)]
struct MetricFamily {
    #[prost(bytes = "vec", optional, tag = "1")]
    name: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    help: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "3")]
    r#type: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Metric>,
    #[prost(bytes = "vec", optional, tag = "5")]
    unit: Option<Vec<u8>>,
}

const COUNTER: i32 = 0;
const GAUGE: i32 = 1;
const SUMMARY: i32 = 2;
const UNTYPED: i32 = 3;
const HISTOGRAM: i32 = 4;
const GAUGE_HISTOGRAM: i32 = 5;

fn labels(pairs: &[(&str, &str)]) -> Vec<LabelPair> {
    let pair = |(name, value): &(&str, &str)| LabelPair {
        name: Some(name.as_bytes().to_vec()),
        value: Some(value.as_bytes().to_vec()),
    };
    pairs.iter().map(pair).collect()
}

fn counter(pairs: &[(&str, &str)], value: f64) -> Metric {
    let counter = Counter { value: Some(value), ..Counter::default() };
    Metric { label: labels(pairs), counter: Some(counter), ..Metric::default() }
}

fn gauge(pairs: &[(&str, &str)], value: f64) -> Metric {
    Metric { label: labels(pairs), gauge: Some(Gauge { value: Some(value) }), ..Metric::default() }
}

fn histogram(histogram: Histogram) -> Metric {
    Metric { histogram: Some(histogram), ..Metric::default() }
}

fn family(name: &str, r#type: i32, metric: Vec<Metric>) -> MetricFamily {
    let name = Some(name.as_bytes().to_vec());
    MetricFamily { name, r#type: Some(r#type), metric, ..MetricFamily::default() }
}

fn body(families: &[MetricFamily]) -> Vec<u8> {
    families.iter().flat_map(Message::encode_length_delimited_to_vec).collect()
}

fn read(body: &[u8]) -> Families<'_> {
    parse(body, NameScheme::Legacy).unwrap_or_else(|error| panic!("{error}"))
}

/// Everything that is told, a line for each series, in a form that can be compared whatever numbers there are.
/// A count that is missing is that of the bucket `+Inf`, as it is when it is written, and exemplars of buckets
/// that cannot be told apart are left out.
fn shown(families: &Families<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for family in &families.families {
        let (name, help, unit) = (&family.name, &family.help, &family.unit);
        lines.push(format!("{name} {} {help:?} {unit:?}", family.metric_type));
        for series in &family.series {
            let mut line = String::new();
            for label in families.labels_of(series) {
                write!(line, "{}={:?} ", label.name, label.value).unwrap();
            }
            let mut value = series.value.clone();
            let mut exemplars = series.exemplars.as_ref();
            if let Value::Histogram(histogram) | Value::GaugeHistogram(histogram) = &mut value {
                let infinite = histogram.buckets.iter().find(|bucket| bucket.upper_bound == f64::INFINITY);
                histogram.count = histogram.count.or(infinite.map(|bucket| bucket.cumulative_count));
                let mut bounds: Vec<f64> =
                    histogram.buckets.iter().map(|bucket| bucket.upper_bound + 0.0).collect();
                bounds.sort_by(f64::total_cmp);
                // A bound that is no number is not even its own.
                let are_told_apart =
                    bounds.is_sorted_by(|one, next| one < next) && bounds.iter().all(|bound| !bound.is_nan());
                exemplars = exemplars.filter(|_| are_told_apart);
            }
            lines.push(format!("{line}{value:?} {exemplars:?}"));
        }
    }
    lines
}
