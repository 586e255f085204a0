//! One series, put together from its samples, which stand one behind the other.

use std::collections::HashSet;
use std::hash::BuildHasher as _;
use std::ops::Range;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::error::ParseErrorKind;
use super::lexer::{Failure, excerpt};
use crate::exposition::limits::STATE_PARTS;
use crate::exposition::number;
use crate::model::{
    Bucket, Exemplar, ExemplarPlace, Histogram, MetricType, Quantile, Series, StateSet, Summary, Value,
};

/// What a sample is to its family, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// It is the value of a gauge, of an unknown or of a counter, or that an info is there.
    Value,
    /// It is a quantile of a summary.
    Quantile,
    /// It says whether a state is on.
    State,
    /// It is a bucket.
    Bucket,
    /// It is the sum.
    Sum,
    /// It is the count.
    Count,
    /// It says when the series began.
    Created,
}

impl Part {
    /// What a sample is whose name is that of a family of this type and then `suffix`; `None` if it is not of
    /// the family.
    pub(super) fn of(metric_type: MetricType, suffix: &str) -> Option<Self> {
        let part = match (metric_type, suffix) {
            (MetricType::Gauge | MetricType::Untyped, "")
            | (MetricType::Counter, "_total")
            | (MetricType::Info, "_info") => Self::Value,
            (MetricType::Summary, "") => Self::Quantile,
            (MetricType::StateSet, "") => Self::State,
            (MetricType::Histogram | MetricType::GaugeHistogram, "_bucket") => Self::Bucket,
            (MetricType::Histogram | MetricType::Summary, "_sum") | (MetricType::GaugeHistogram, "_gsum") => {
                Self::Sum
            }
            (MetricType::Histogram | MetricType::Summary, "_count")
            | (MetricType::GaugeHistogram, "_gcount") => Self::Count,
            (MetricType::Counter | MetricType::Histogram | MetricType::Summary, "_created") => Self::Created,
            _ => return None,
        };
        Some(part)
    }

    /// How many of the parts that a body may have such a sample is.
    pub(super) fn parts(self) -> usize {
        match self {
            Self::Bucket | Self::Quantile => 1,
            Self::State => STATE_PARTS,
            Self::Value | Self::Sum | Self::Count | Self::Created => 0,
        }
    }

    /// The label of a sample that tells it from others of its series, for a family of this name.
    pub(super) fn own_label(self, family: &str) -> Option<&str> {
        match self {
            Self::Bucket => Some("le"),
            Self::Quantile => Some("quantile"),
            Self::State => Some(family),
            Self::Value | Self::Sum | Self::Count | Self::Created => None,
        }
    }
}

/// What the names of a type's samples may end with, for a message.
pub(super) fn suffixes(metric_type: MetricType) -> &'static str {
    match metric_type {
        MetricType::Counter => "_total or _created",
        MetricType::Info => "_info",
        MetricType::Histogram => "_bucket, _sum, _count or _created",
        MetricType::GaugeHistogram => "_bucket, _gsum or _gcount",
        MetricType::Gauge | MetricType::Untyped | MetricType::Summary | MetricType::StateSet => "nothing",
    }
}

/// A sample, its labels aside.
pub(super) struct Sample<'s> {
    pub(super) part: Part,
    /// Its name, for a message.
    pub(super) name: &'s str,
    pub(super) value: f64,
    /// The value of its [`Part::own_label`].
    pub(super) own_label: Option<&'s str>,
    pub(super) exemplar: Option<Exemplar>,
    pub(super) has_timestamp: bool,
}

/// A series that may not be whole yet.
pub(super) struct OpenSeries {
    labels: Range<u32>,
    line: u32,
    has_timestamp: bool,
    exemplars: Vec<Exemplar>,
    value: Value,
    /// Whether the sample that is the whole value of a simple type was there.
    has_value: bool,
    has_created: bool,
    /// The states that were there, by their places in the set, and the quantiles: there may be many.
    states: Seen,
    quantiles: HashSet<u64>,
}

/// Which states of a set were there.
#[derive(Default)]
struct Seen {
    /// Their places.
    places: HashTable<usize>,
    hasher: DefaultHashBuilder,
}

impl Seen {
    /// Whether the state is none of those in `states` that were noted; it is noted as the next one of them.
    fn insert(&mut self, states: &[(Box<str>, bool)], state: &str) -> bool {
        let hash = self.hasher.hash_one(state);
        if self.places.find(hash, |&place| *states[place].0 == *state).is_some() {
            return false;
        }
        let hash_at =
            |&place: &usize| states.get(place).map_or(hash, |(own, _)| self.hasher.hash_one(&**own));
        self.places.insert_unique(hash, states.len(), hash_at);
        true
    }
}

impl OpenSeries {
    /// A series of this type with these labels, which begins in this line.
    pub(super) fn new(metric_type: MetricType, labels: Range<u32>, line: u32) -> Self {
        let value = match metric_type {
            MetricType::Counter => Value::Counter(0.0),
            MetricType::Gauge => Value::Gauge(0.0),
            MetricType::Untyped => Value::Untyped(0.0),
            MetricType::Histogram => Value::Histogram(Box::default()),
            MetricType::Summary => Value::Summary(Box::default()),
            MetricType::GaugeHistogram => Value::GaugeHistogram(Box::default()),
            MetricType::Info => Value::Info,
            MetricType::StateSet => Value::StateSet(Box::default()),
        };
        Self {
            labels,
            line,
            has_timestamp: false,
            exemplars: Vec::new(),
            value,
            has_value: false,
            has_created: false,
            states: Seen::default(),
            quantiles: HashSet::new(),
        }
    }

    pub(super) fn labels(&self) -> Range<usize> {
        self.labels.start as usize..self.labels.end as usize
    }

    /// The line that it begins in.
    pub(super) fn line(&self) -> u32 {
        self.line
    }

    /// Adds one of its samples.
    pub(super) fn add(&mut self, sample: Sample<'_>) -> Result<(), Failure> {
        self.has_timestamp |= sample.has_timestamp;
        if sample.part == Part::Created {
            return once(std::mem::replace(&mut self.has_created, true), &sample);
        }
        let bound = match &mut self.value {
            Value::Counter(own) | Value::Gauge(own) | Value::Untyped(own) => {
                *own = sample.value;
                once(std::mem::replace(&mut self.has_value, true), &sample)?;
                None
            }
            Value::Info => {
                once(std::mem::replace(&mut self.has_value, true), &sample)?;
                if sample.value != 1.0 {
                    return Err(ParseErrorKind::InfoValue(excerpt(sample.name)).into());
                }
                None
            }
            Value::Histogram(histogram) | Value::GaugeHistogram(histogram) => {
                add_to_histogram(histogram, &sample)?
            }
            Value::Summary(summary) => {
                add_to_summary(summary, &mut self.quantiles, &sample)?;
                None
            }
            Value::StateSet(set) => {
                add_to_state_set(set, &mut self.states, &sample)?;
                None
            }
        };
        self.add_exemplar(sample, bound)
    }

    fn add_exemplar(&mut self, sample: Sample<'_>, bound: Option<f64>) -> Result<(), Failure> {
        let Some(exemplar) = sample.exemplar else { return Ok(()) };
        let place = match (bound, &self.value) {
            (Some(bound), _) => ExemplarPlace::Bucket(bound),
            (None, Value::Counter(_)) => ExemplarPlace::Series,
            _ => return Err(ParseErrorKind::ExemplarPlace(excerpt(sample.name)).into()),
        };
        self.exemplars.push(Exemplar { place, ..exemplar });
        Ok(())
    }

    /// The series, if all of it was there.
    pub(super) fn finish(self, family: &str) -> Result<Series, Failure> {
        match &self.value {
            Value::Counter(_) if !self.has_value => {
                return Err(ParseErrorKind::NoTotal(excerpt(family)).into());
            }
            Value::Histogram(histogram) | Value::GaugeHistogram(histogram) => {
                check_histogram(histogram, self.value.metric_type(), family)?;
            }
            _ => {}
        }
        Ok(Series {
            labels: self.labels,
            value: self.value,
            line: self.line,
            has_timestamp: self.has_timestamp,
            exemplars: (!self.exemplars.is_empty()).then(|| Box::new(self.exemplars)),
        })
    }
}

/// Adds a sample; the bound if it is a bucket.
fn add_to_histogram(histogram: &mut Histogram, sample: &Sample<'_>) -> Result<Option<f64>, Failure> {
    match sample.part {
        Part::Sum => set_once(&mut histogram.sum, sample).map(|()| None),
        Part::Count => set_once(&mut histogram.count, sample).map(|()| None),
        _ => {
            let upper_bound = bound(sample, "le", |bound| !bound.is_nan())?;
            if histogram.buckets.last().is_some_and(|last| last.upper_bound >= upper_bound) {
                return Err(ParseErrorKind::BucketOrder(excerpt(sample.name)).into());
            }
            histogram.buckets.push(Bucket { upper_bound, cumulative_count: sample.value });
            Ok(Some(upper_bound))
        }
    }
}

fn check_histogram(histogram: &Histogram, metric_type: MetricType, family: &str) -> Result<(), Failure> {
    let family = || excerpt(family);
    if histogram.buckets.last().is_none_or(|last| last.upper_bound != f64::INFINITY) {
        return Err(ParseErrorKind::NoInfiniteBucket { metric_type, family: family() }.into());
    }
    if histogram.sum.is_some() != histogram.count.is_some() {
        return Err(ParseErrorKind::SumOrCountAlone { metric_type, family: family() }.into());
    }
    Ok(())
}

fn add_to_summary(
    summary: &mut Summary,
    seen: &mut HashSet<u64>,
    sample: &Sample<'_>,
) -> Result<(), Failure> {
    match sample.part {
        Part::Sum => set_once(&mut summary.sum, sample),
        Part::Count => set_once(&mut summary.count, sample),
        _ => {
            let quantile = bound(sample, "quantile", |quantile| (0.0..=1.0).contains(&quantile))?;
            // Minus zero is zero.
            once(!seen.insert((quantile + 0.0).to_bits()), sample)?;
            summary.quantiles.push(Quantile { quantile, value: sample.value });
            Ok(())
        }
    }
}

fn add_to_state_set(set: &mut StateSet, seen: &mut Seen, sample: &Sample<'_>) -> Result<(), Failure> {
    if sample.value != 0.0 && sample.value != 1.0 {
        return Err(ParseErrorKind::StateValue(excerpt(sample.name)).into());
    }
    let state = sample.own_label.unwrap_or_default();
    once(!seen.insert(&set.states, state), sample)?;
    set.states.push((state.into(), sample.value == 1.0));
    Ok(())
}

/// The number that a sample's own label is.
fn bound(sample: &Sample<'_>, label: &'static str, is_valid: impl Fn(f64) -> bool) -> Result<f64, Failure> {
    let text = sample.own_label.unwrap_or_default();
    let bound = number::parse(text.as_bytes()).filter(|&bound| is_valid(bound));
    bound.ok_or_else(|| ParseErrorKind::Bound { label, value: excerpt(text) }.into())
}

fn set_once(place: &mut Option<f64>, sample: &Sample<'_>) -> Result<(), Failure> {
    once(place.replace(sample.value).is_some(), sample)
}

fn once(was_there: bool, sample: &Sample<'_>) -> Result<(), Failure> {
    if was_there { Err(ParseErrorKind::Repeated(excerpt(sample.name)).into()) } else { Ok(()) }
}
