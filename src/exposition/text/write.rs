//! Writing families in text format 0.0.4.
//!
//! Whatever strings are given, a line stays one line and a value stays one value. The order is the
//! caller's, and so is how names are shown: one that is no legacy name stands in quotes.

use memchr::memchr2;

use crate::exposition::number;
use crate::exposition::sample::{
    Name, SeriesStart, write_labels, write_state_set, write_up_to_special, write_value,
};
use crate::model::{Histogram, Label, MetricType, Summary, Value};

/// Appends the HELP line, if there is a help text, and the TYPE line.
pub fn write_header(out: &mut Vec<u8>, name: &str, help: Option<&str>, metric_type: MetricType) {
    let name = Name::new(name);
    if let Some(help) = help {
        out.extend_from_slice(b"# HELP ");
        name.write(out);
        out.push(b' ');
        write_help(out, help);
        out.push(b'\n');
    }
    out.extend_from_slice(b"# TYPE ");
    name.write(out);
    out.push(b' ');
    out.extend_from_slice(word(metric_type).as_bytes());
    out.push(b'\n');
}

/// The type as this format has it: what only OpenMetrics has a word for is shown as what it is made of.
fn word(metric_type: MetricType) -> &'static str {
    match metric_type {
        MetricType::GaugeHistogram => MetricType::Histogram.as_str(),
        MetricType::Info | MetricType::StateSet => MetricType::Gauge.as_str(),
        metric_type => metric_type.as_str(),
    }
}

/// Appends the lines of one series, its labels in the order given, `le` or `quantile` behind them.
///
/// A summary is written as its quantiles, sum and count; a histogram as its classic buckets, a bucket `+Inf` if
/// there is none among them, sum and count. What is missing is 0, save that a missing count is that of
/// the bucket `+Inf` or else of the native histogram.
pub fn write_series<'l>(
    out: &mut Vec<u8>,
    name: &str,
    labels: impl Iterator<Item = Label<'l>>,
    value: &Value,
) {
    write_series_with(out, Name::new(name), |out| write_labels(out, labels), value);
}

/// Like [`write_series`], for a caller that appends the labels itself, as
/// [`LabelTemplate::write`](crate::exposition::LabelTemplate::write) does.
pub fn write_series_with(
    out: &mut Vec<u8>,
    name: Name<'_>,
    labels: impl FnOnce(&mut Vec<u8>),
    value: &Value,
) {
    match value {
        Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => {
            name.write_once(out, "", labels);
            write_value(out, *value);
        }
        Value::Info => {
            name.write_once(out, "", labels);
            write_value(out, 1.0);
        }
        Value::Histogram(histogram) | Value::GaugeHistogram(histogram) => {
            write_histogram(out, &SeriesStart::new(name, labels), histogram);
        }
        Value::Summary(summary) => write_summary(out, &SeriesStart::new(name, labels), summary),
        Value::StateSet(set) => write_state_set(out, &SeriesStart::new(name, labels), set),
    }
}

fn write_histogram(out: &mut Vec<u8>, start: &SeriesStart<'_>, histogram: &Histogram) {
    for bucket in histogram.buckets_to_infinity() {
        start.write_with(out, "_bucket", "le", |out| number::write(out, bucket.upper_bound));
        write_value(out, bucket.cumulative_count);
    }
    write_sum_and_count(out, start, histogram.sum, histogram.total());
}

fn write_summary(out: &mut Vec<u8>, start: &SeriesStart<'_>, summary: &Summary) {
    for quantile in &summary.quantiles {
        start.write_with(out, "", "quantile", |out| number::write(out, quantile.quantile));
        write_value(out, quantile.value);
    }
    write_sum_and_count(out, start, summary.sum, summary.count.unwrap_or(0.0));
}

fn write_sum_and_count(out: &mut Vec<u8>, start: &SeriesStart<'_>, sum: Option<f64>, count: f64) {
    start.write(out, "_sum");
    write_value(out, sum.unwrap_or(0.0));
    start.write(out, "_count");
    write_value(out, count);
}

fn write_help(out: &mut Vec<u8>, help: &str) {
    let mut rest = help.as_bytes();
    while let Some(place) = memchr2(b'\\', b'\n', rest) {
        rest = write_up_to_special(out, rest, place);
    }
    out.extend_from_slice(rest);
}
