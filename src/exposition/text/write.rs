//! Writing families in text format 0.0.4.
//!
//! Whatever strings are given, a line stays one line and a value stays one value. The order is the
//! caller's.

use memchr::{memchr2, memchr3};

use crate::exposition::number;
use crate::model::{Bucket, Histogram, Label, MetricType, StateSet, Summary, Value};

/// Appends the HELP line, if there is a help text, and the TYPE line.
pub fn write_header(out: &mut Vec<u8>, name: &str, help: Option<&str>, metric_type: MetricType) {
    if let Some(help) = help {
        out.extend_from_slice(b"# HELP ");
        out.extend_from_slice(name.as_bytes());
        out.push(b' ');
        write_help(out, help);
        out.push(b'\n');
    }
    out.extend_from_slice(b"# TYPE ");
    out.extend_from_slice(name.as_bytes());
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
/// A summary is written as its quantiles, sum and count; a histogram as its buckets, a bucket `+Inf` if
/// there is none among them, sum and count. What is missing is 0, save that a missing count is that of
/// the bucket `+Inf`.
pub fn write_series<'l>(
    out: &mut Vec<u8>,
    name: &str,
    labels: impl Iterator<Item = Label<'l>>,
    value: &Value,
) {
    write_series_with(out, name, |out| write_labels(out, labels), value);
}

/// Like [`write_series`], for a caller that appends the labels itself: each as `name="value"`, the first
/// after `{`, the others after `,`, without a `}` behind them; or nothing where there is none.
pub(super) fn write_series_with(
    out: &mut Vec<u8>,
    name: &str,
    labels: impl FnOnce(&mut Vec<u8>),
    value: &Value,
) {
    match value {
        Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => {
            out.extend_from_slice(name.as_bytes());
            let before = out.len();
            labels(out);
            let end: &[u8] = if out.len() > before { b"} " } else { b" " };
            out.extend_from_slice(end);
            write_value(out, *value);
        }
        Value::Info => write_series_with(out, name, labels, &Value::Gauge(1.0)),
        Value::Histogram(histogram) | Value::GaugeHistogram(histogram) => {
            SeriesWriter::new(name, labels).histogram(out, histogram);
        }
        Value::Summary(summary) => SeriesWriter::new(name, labels).summary(out, summary),
        Value::StateSet(set) => SeriesWriter::new(name, labels).state_set(out, set),
    }
}

/// Appends the value of a sample and the end of its line.
pub fn write_value(out: &mut Vec<u8>, value: f64) {
    number::write(out, value);
    out.push(b'\n');
}

fn write_labels<'l>(out: &mut Vec<u8>, labels: impl Iterator<Item = Label<'l>>) {
    let mut separator = b'{';
    for label in labels {
        out.push(separator);
        separator = b',';
        out.extend_from_slice(label.name.as_bytes());
        out.extend_from_slice(b"=\"");
        write_label_value(out, label.value);
        out.push(b'"');
    }
}

/// What all lines of a series have in common.
struct SeriesWriter<'n> {
    name: &'n str,
    labels: Vec<u8>,
}

impl<'n> SeriesWriter<'n> {
    fn new(name: &'n str, labels: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut text = Vec::new();
        labels(&mut text);
        Self { name, labels: text }
    }

    fn histogram(&self, out: &mut Vec<u8>, histogram: &Histogram) {
        let bucket = |out: &mut Vec<u8>, bucket: Bucket| {
            self.sample(out, "_bucket", Some(("le", bucket.upper_bound)), bucket.cumulative_count);
        };
        for &written in &histogram.buckets {
            bucket(out, written);
        }
        let infinite = histogram.buckets.iter().find(|bucket| bucket.upper_bound == f64::INFINITY);
        let count = histogram.count.or(infinite.map(|bucket| bucket.cumulative_count)).unwrap_or(0.0);
        if infinite.is_none() {
            bucket(out, Bucket { upper_bound: f64::INFINITY, cumulative_count: count });
        }
        self.sum_and_count(out, histogram.sum, count);
    }

    fn summary(&self, out: &mut Vec<u8>, summary: &Summary) {
        for quantile in &summary.quantiles {
            self.sample(out, "", Some(("quantile", quantile.quantile)), quantile.value);
        }
        self.sum_and_count(out, summary.sum, summary.count.unwrap_or(0.0));
    }

    fn sum_and_count(&self, out: &mut Vec<u8>, sum: Option<f64>, count: f64) {
        self.sample(out, "_sum", None, sum.unwrap_or(0.0));
        self.sample(out, "_count", None, count);
    }

    /// A sample for each state, with a label that is named as the family.
    fn state_set(&self, out: &mut Vec<u8>, set: &StateSet) {
        for (state, is_on) in &set.states {
            out.extend_from_slice(self.name.as_bytes());
            out.extend_from_slice(&self.labels);
            out.push(if self.labels.is_empty() { b'{' } else { b',' });
            out.extend_from_slice(self.name.as_bytes());
            out.extend_from_slice(b"=\"");
            write_label_value(out, state);
            out.extend_from_slice(b"\"} ");
            write_value(out, f64::from(u8::from(*is_on)));
        }
    }

    /// Appends one line.
    fn sample(&self, out: &mut Vec<u8>, suffix: &str, bound: Option<(&str, f64)>, value: f64) {
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(suffix.as_bytes());
        out.extend_from_slice(&self.labels);
        if let Some((name, bound)) = bound {
            out.push(if self.labels.is_empty() { b'{' } else { b',' });
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"=\"");
            number::write(out, bound);
            out.push(b'"');
        }
        if bound.is_some() || !self.labels.is_empty() {
            out.push(b'}');
        }
        out.push(b' ');
        write_value(out, value);
    }
}

fn write_help(out: &mut Vec<u8>, help: &str) {
    let mut rest = help.as_bytes();
    while let Some(place) = memchr2(b'\\', b'\n', rest) {
        rest = write_up_to_special(out, rest, place);
    }
    out.extend_from_slice(rest);
}

/// Appends the value of a label, escaped.
pub(super) fn write_label_value(out: &mut Vec<u8>, value: &str) {
    let mut rest = value.as_bytes();
    // Most values are short, and looking at each byte costs less than a call.
    if rest.len() <= 32 && !rest.iter().any(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
        out.extend_from_slice(rest);
        return;
    }
    while let Some(place) = memchr3(b'\\', b'"', b'\n', rest) {
        rest = write_up_to_special(out, rest, place);
    }
    out.extend_from_slice(rest);
}

/// Appends the bytes before the special one at `place`, then that one escaped; what is left follows it.
fn write_up_to_special<'t>(out: &mut Vec<u8>, text: &'t [u8], place: usize) -> &'t [u8] {
    out.extend_from_slice(&text[..place]);
    out.push(b'\\');
    out.push(if text[place] == b'\n' { b'n' } else { text[place] });
    &text[place + 1..]
}
