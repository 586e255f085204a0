//! Writing families in OpenMetrics 1.0.
//!
//! Whatever strings are given, a line stays one line and a value stays one value. The order is the caller's, and so
//! is how names are shown. Sources of the rules: the OpenMetrics 1.0 specification, and the Python client's parser,
//! which enforces them.

use memchr::memchr3;

use super::exemplar::write_exemplar;
use crate::exposition::names::Escaping;
use crate::exposition::number;
use crate::exposition::sample::{
    Name, SeriesStart, write_labels, write_state_set, write_up_to_special, write_value,
};
use crate::model::{Exemplar, ExemplarPlace, Histogram, Label, MetricType, Summary, Value};

/// What every exposition ends with.
pub const EOF: &[u8] = b"# EOF\n";

/// What a series has beside labels and value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extras<'e> {
    /// Its exemplars. Shown are those of a counter and of buckets whose labels are short enough.
    pub exemplars: &'e [Exemplar],
    /// When it began, in seconds since the Unix epoch, if that is to be shown.
    pub created: Option<f64>,
    /// What becomes of the names of the exemplars' labels.
    pub escaping: Escaping,
}

/// The name of a family that text 0.0.4 knows by this name: without a counter's `_total` and an info's `_info`.
pub fn family_name(name: &str, metric_type: MetricType) -> &str {
    let suffix = match metric_type {
        MetricType::Counter => "_total",
        MetricType::Info => "_info",
        MetricType::Gauge
        | MetricType::Histogram
        | MetricType::Summary
        | MetricType::Untyped
        | MetricType::GaugeHistogram
        | MetricType::StateSet => return name,
    };
    name.strip_suffix(suffix).filter(|stem| !stem.is_empty()).unwrap_or(name)
}

/// What a family of this type adds to its name to get names of its own, the name itself aside. No other family may
/// have any of these names.
pub fn claimed_suffixes(metric_type: MetricType) -> &'static [&'static str] {
    match metric_type {
        MetricType::Counter => &["_total", "_created"],
        MetricType::Summary => &["_count", "_sum", "_created"],
        MetricType::Histogram => &["_count", "_sum", "_bucket", "_created"],
        MetricType::GaugeHistogram => &["_gcount", "_gsum", "_bucket"],
        MetricType::Info => &["_info"],
        MetricType::Gauge | MetricType::Untyped | MetricType::StateSet => &[],
    }
}

/// Appends the lines HELP, TYPE and UNIT of the family `name`, a [`family_name`]. A unit that the name does not end
/// with is left out, and so is an empty help text.
pub fn write_header(
    out: &mut Vec<u8>,
    name: &str,
    help: Option<&str>,
    metric_type: MetricType,
    unit: Option<&str>,
) {
    let begin = |out: &mut Vec<u8>, word: &str| {
        out.extend_from_slice(b"# ");
        out.extend_from_slice(word.as_bytes());
        out.push(b' ');
        Name::new(name).write(out);
        out.push(b' ');
    };
    if let Some(help) = help.filter(|help| !help.is_empty()) {
        begin(out, "HELP");
        write_help(out, help);
        out.push(b'\n');
    }
    begin(out, "TYPE");
    out.extend_from_slice(word(metric_type).as_bytes());
    out.push(b'\n');
    if let Some(unit) = unit.filter(|unit| has_unit(name, metric_type, unit)) {
        begin(out, "UNIT");
        out.extend_from_slice(unit.as_bytes());
        out.push(b'\n');
    }
}

fn word(metric_type: MetricType) -> &'static str {
    match metric_type {
        MetricType::Untyped => "unknown",
        metric_type => metric_type.as_str(),
    }
}

/// Whether a family may declare this unit.
pub(super) fn has_unit(name: &str, metric_type: MetricType, unit: &str) -> bool {
    let is_word = unit.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'));
    let ends_with_it = name.strip_suffix(unit).is_some_and(|stem| stem.ends_with('_'));
    let has_none = matches!(metric_type, MetricType::Info | MetricType::StateSet);
    !unit.is_empty() && is_word && ends_with_it && !has_none
}

/// Appends the lines of one series of the family `name`, a [`family_name`]; its labels in the order given, `le` or
/// `quantile` behind them.
///
/// What is missing is 0, as in text 0.0.4. Left out is what may not be: counters that are negative or not a number;
/// negative quantiles; the sum of a summary or
/// histogram that has observed negative values, and with it a histogram's count, which its bucket `+Inf` says
/// as well. Counts are rounded to whole numbers.
pub fn write_series<'l>(
    out: &mut Vec<u8>,
    name: &str,
    labels: impl Iterator<Item = Label<'l>>,
    value: &Value,
    extras: &Extras<'_>,
) {
    write_series_with(out, Name::new(name), |out| write_labels(out, labels), value, extras);
}

/// Like [`write_series`], for a caller that appends the labels itself, as
/// [`LabelTemplate::write`](crate::exposition::LabelTemplate::write) does.
pub fn write_series_with(
    out: &mut Vec<u8>,
    name: Name<'_>,
    labels: impl FnOnce(&mut Vec<u8>),
    value: &Value,
    extras: &Extras<'_>,
) {
    let whole = |labels| Lines { start: SeriesStart::new(name, labels), extras };
    match value {
        Value::Gauge(value) | Value::Untyped(value) => {
            name.write_once(out, "", labels);
            write_value(out, *value);
        }
        Value::Info => {
            name.write_once(out, "_info", labels);
            write_value(out, 1.0);
        }
        // Neither negative nor NaN, which a push that replaces can leave.
        Value::Counter(value) if value.is_nan() || *value < 0.0 => {}
        Value::Counter(value) if extras.created.is_none() => {
            name.write_once(out, "_total", labels);
            number::write(out, *value);
            exemplar(out, extras, ExemplarPlace::Series);
            out.push(b'\n');
        }
        Value::Counter(value) => whole(labels).counter(out, *value),
        Value::Histogram(histogram) => whole(labels).histogram(out, histogram),
        Value::GaugeHistogram(histogram) => whole(labels).gauge_histogram(out, histogram),
        Value::Summary(summary) => whole(labels).summary(out, summary),
        Value::StateSet(set) => write_state_set(out, &SeriesStart::new(name, labels), set),
    }
}

/// The lines of one series.
struct Lines<'n, 'e> {
    start: SeriesStart<'n>,
    extras: &'e Extras<'e>,
}

impl Lines<'_, '_> {
    fn counter(&self, out: &mut Vec<u8>, value: f64) {
        self.start.write(out, "_total");
        number::write(out, value);
        exemplar(out, self.extras, ExemplarPlace::Series);
        out.push(b'\n');
        self.created(out);
    }

    fn histogram(&self, out: &mut Vec<u8>, histogram: &Histogram) {
        let has_negative_bounds = self.buckets(out, histogram);
        let sum = histogram.sum.unwrap_or(0.0);
        if sum >= 0.0 && !has_negative_bounds {
            self.sample(out, "_sum", sum);
            self.sample(out, "_count", histogram.total().round());
        }
        self.created(out);
    }

    fn gauge_histogram(&self, out: &mut Vec<u8>, histogram: &Histogram) {
        let has_negative_bounds = self.buckets(out, histogram);
        let sum = histogram.sum.unwrap_or(0.0);
        if sum >= 0.0 || (has_negative_bounds && !sum.is_nan()) {
            self.sample(out, "_gsum", sum);
            self.sample(out, "_gcount", histogram.total().round());
        }
    }

    /// Appends the buckets, and says whether any bound is negative.
    fn buckets(&self, out: &mut Vec<u8>, histogram: &Histogram) -> bool {
        for bucket in histogram.buckets_to_infinity() {
            self.start.write_with(out, "_bucket", "le", |out| write_bound(out, bucket.upper_bound));
            number::write(out, bucket.cumulative_count.round());
            exemplar(out, self.extras, ExemplarPlace::Bucket(bucket.upper_bound));
            out.push(b'\n');
        }
        histogram.buckets.iter().any(|bucket| bucket.upper_bound < 0.0)
    }

    fn summary(&self, out: &mut Vec<u8>, summary: &Summary) {
        let shown = summary.quantiles.iter();
        // A NaN, which says that there is no value, is none of the negative ones.
        let negative = |value: f64| value < 0.0;
        for quantile in shown.filter(|part| (0.0..=1.0).contains(&part.quantile) && !negative(part.value)) {
            self.start.write_with(out, "", "quantile", |out| write_bound(out, quantile.quantile));
            write_value(out, quantile.value);
        }
        let sum = summary.sum.unwrap_or(0.0);
        if sum >= 0.0 {
            self.sample(out, "_sum", sum);
        }
        self.sample(out, "_count", summary.count.unwrap_or(0.0).round());
        self.created(out);
    }

    fn sample(&self, out: &mut Vec<u8>, suffix: &str, value: f64) {
        self.start.write(out, suffix);
        write_value(out, value);
    }

    fn created(&self, out: &mut Vec<u8>) {
        if let Some(created) = self.extras.created {
            self.start.write(out, "_created");
            write_seconds(out, created);
            out.push(b'\n');
        }
    }
}

fn exemplar(out: &mut Vec<u8>, extras: &Extras<'_>, place: ExemplarPlace) {
    if let Some(exemplar) = extras.exemplars.iter().find(|exemplar| exemplar.place == place) {
        write_exemplar(out, exemplar, extras.escaping);
    }
}

/// Appends a bound or a quantile in its canonical form, which is that of text 0.0.4 but for a `.0` behind whole
/// numbers.
fn write_bound(out: &mut Vec<u8>, bound: f64) {
    let start = out.len();
    number::write(out, bound);
    if bound.is_finite() && !out[start..].iter().any(|byte| matches!(byte, b'.' | b'e')) {
        out.extend_from_slice(b".0");
    }
}

/// Appends a time as a plain decimal number.
pub(super) fn write_seconds(out: &mut Vec<u8>, seconds: f64) {
    out.extend_from_slice(format!("{seconds}").as_bytes());
}

fn write_help(out: &mut Vec<u8>, help: &str) {
    let mut rest = help.as_bytes();
    while let Some(place) = memchr3(b'\\', b'\n', b'"', rest) {
        rest = write_up_to_special(out, rest, place);
    }
    out.extend_from_slice(rest);
}
