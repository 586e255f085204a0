//! Metric families, their series and values: what a parser yields and what an exposition shows.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{BorrowedLabel, Exemplar, NativeCounts, NativeHistogram};

/// The type of a metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MetricType {
    /// Only ever grows; pushes add up.
    Counter,
    /// Goes up and down; the newest push counts.
    Gauge,
    /// Counts per bucket, with sum and count.
    Histogram,
    /// Quantiles, with sum and count.
    Summary,
    /// Of no declared type; OpenMetrics says `unknown`.
    Untyped,
    /// Counts per bucket of what is there now; the newest push counts.
    GaugeHistogram,
    /// Facts in labels, each series with the value 1; the newest push's label sets count.
    Info,
    /// Which of several states are on; the newest push counts.
    StateSet,
}

impl MetricType {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Counter,
        Self::Gauge,
        Self::Histogram,
        Self::Summary,
        Self::Untyped,
        Self::GaugeHistogram,
        Self::Info,
        Self::StateSet,
    ];

    /// Its name, as `# TYPE` lines of OpenMetrics write it; of an untyped one, as text format 0.0.4 does.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Untyped => "untyped",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }

    /// Its name in a sentence: "a counter", "an info".
    pub fn with_article(self) -> String {
        let name = self.as_str();
        let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        format!("{article} {name}")
    }
}

impl fmt::Display for MetricType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Everything in one body, grouped by family. The labels of all series stand in one vector, so that
/// reading a body allocates per family and not per series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Families<'a> {
    /// The families, in the order in which their names first appear.
    pub families: Vec<MetricFamily<'a>>,
    /// The labels that [`Series::labels`] points into.
    pub labels: Vec<BorrowedLabel<'a>>,
}

impl<'a> Families<'a> {
    /// The labels of a series, in the order pushed; names are unique, values may be empty.
    pub fn labels_of(&self, series: &Series) -> &[BorrowedLabel<'a>] {
        &self.labels[series.labels.start as usize..series.labels.end as usize]
    }

    /// How many series there are in all families.
    pub fn series_count(&self) -> usize {
        self.families.iter().map(|family| family.series.len()).sum()
    }
}

/// A metric family: all series of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricFamily<'a> {
    /// The metric's name, as text format 0.0.4 has it in its `# TYPE` line: with the `_total` of a counter and
    /// the `_info` of an info, without the `_bucket`, `_sum` and `_count` of a histogram or summary.
    pub name: Cow<'a, str>,
    /// The type declared, [`MetricType::Untyped`] where none was.
    pub metric_type: MetricType,
    /// Whether the type was declared, as against assumed.
    pub type_is_declared: bool,
    /// The HELP text, unescaped, if there was one.
    pub help: Option<Cow<'a, str>>,
    /// The unit, if one was declared.
    pub unit: Option<Cow<'a, str>>,
    /// At least one series.
    pub series: Vec<Series>,
}

/// One series: a label set with its value. A histogram or summary is one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Where in [`Families::labels`] its labels are; without `le` of a histogram, `quantile` of
    /// a summary and the label of a state set that is named as the family.
    pub labels: Range<u32>,
    /// The value; its variant agrees with the family's type.
    pub value: Value,
    /// The 1-based line of the body that its first sample stands on.
    pub line: u32,
    /// Whether any of its samples carried a timestamp.
    pub has_timestamp: bool,
    /// The exemplars that came with it. There are nearly always none.
    #[allow(clippy::box_collection, reason = "there is one for each series of a body, and a box is small")]
    pub exemplars: Option<Box<Vec<Exemplar>>>,
}

/// What one series holds, as pushed or as exposed. Most series are numbers, so what is larger is boxed.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The value of a counter.
    Counter(f64),
    /// The value of a gauge.
    Gauge(f64),
    /// The value of an untyped metric.
    Untyped(f64),
    /// A histogram, classic or native or both.
    Histogram(Box<Histogram>),
    /// A summary.
    Summary(Box<Summary>),
    /// A gauge histogram, classic or native or both.
    GaugeHistogram(Box<Histogram>),
    /// An info, whose labels are all that it says.
    Info,
    /// A state set.
    StateSet(Box<StateSet>),
}

impl Value {
    /// The type of the families that have such values.
    pub fn metric_type(&self) -> MetricType {
        match self {
            Self::Counter(_) => MetricType::Counter,
            Self::Gauge(_) => MetricType::Gauge,
            Self::Untyped(_) => MetricType::Untyped,
            Self::Histogram(_) => MetricType::Histogram,
            Self::Summary(_) => MetricType::Summary,
            Self::GaugeHistogram(_) => MetricType::GaugeHistogram,
            Self::Info => MetricType::Info,
            Self::StateSet(_) => MetricType::StateSet,
        }
    }
}

/// A histogram as written in an exposition, not yet checked: its classic buckets, cumulative and in the order
/// pushed, and its native part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// The `_bucket` samples, `+Inf` among them if it was written.
    pub buckets: Vec<Bucket>,
    /// The `_sum` sample, if there was one.
    pub sum: Option<f64>,
    /// The `_count` sample, if there was one.
    pub count: Option<f64>,
    /// The first thing wrong with the samples, if anything is.
    pub defect: Option<Defect>,
    /// The native part, if there is one. With it there may be no classic buckets.
    pub native: Option<Box<NativeHistogram>>,
}

impl Histogram {
    /// How many observations there are: the `_count`, else that of the bucket `+Inf`, else that of the native
    /// part, else none.
    #[allow(clippy::cast_precision_loss, reason = "what is shown is an f64")]
    pub fn total(&self) -> f64 {
        let infinite = || self.buckets.iter().find(|bucket| bucket.upper_bound == f64::INFINITY);
        let native = || match &self.native.as_ref()?.counts {
            NativeCounts::Integer(counts) => Some(counts.count as f64),
            NativeCounts::Float(counts) => Some(counts.count),
        };
        let count = self.count.or_else(|| infinite().map(|bucket| bucket.cumulative_count));
        count.or_else(native).unwrap_or(0.0)
    }

    /// The classic buckets as text formats show them: `+Inf`, which holds all observations, is always among them.
    pub fn buckets_to_infinity(&self) -> impl Iterator<Item = Bucket> {
        let has_infinite = self.buckets.iter().any(|bucket| bucket.upper_bound == f64::INFINITY);
        let infinite = Bucket { upper_bound: f64::INFINITY, cumulative_count: self.total() };
        self.buckets.iter().copied().chain((!has_infinite).then_some(infinite))
    }
}

/// Which states there are, and which of them are on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateSet {
    /// The states in the order pushed: the value of the label that is named as the family, and whether the
    /// sample was 1.
    pub states: Vec<(Box<str>, bool)>,
    /// The first thing wrong with the samples, if anything is.
    pub defect: Option<Defect>,
}

/// What is wrong with the samples that make up one histogram or summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// A sample under the family's bare name (for a summary: without a label `quantile`), which means
    /// nothing.
    BareSample,
    /// A `_bucket` sample has no label `le`.
    BucketWithoutLe,
    /// A second `_sum` sample.
    SecondSum,
    /// A second `_count` sample.
    SecondCount,
}

/// One `_bucket` sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// The label `le`: the inclusive upper bound.
    pub upper_bound: f64,
    /// Observations at or below the bound.
    pub cumulative_count: f64,
}

/// A summary as written in an exposition, in the order pushed, not yet checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// The samples with a label `quantile`.
    pub quantiles: Vec<Quantile>,
    /// The `_sum` sample, if there was one.
    pub sum: Option<f64>,
    /// The `_count` sample, if there was one.
    pub count: Option<f64>,
    /// The first thing wrong with the samples, if anything is.
    pub defect: Option<Defect>,
}

/// One sample with a label `quantile`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    /// The label `quantile`, 0 to 1.
    pub quantile: f64,
    /// The value at that quantile.
    pub value: f64,
}

#[cfg(test)]
mod tests {
    use super::MetricType;

    #[test]
    fn types_stand_in_a_sentence() {
        let named =
            [MetricType::Counter, MetricType::Untyped, MetricType::Info].map(MetricType::with_article);
        assert_eq!(named, ["a counter", "an untyped", "an info"]);
    }
}
