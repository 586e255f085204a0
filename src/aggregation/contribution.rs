//! What one accepted series of a push adds.

use crate::model::{MetricType, Value};

use super::error::ValueError;
use super::gauge_histogram::GaugeHistogramContribution;
use super::histogram::HistogramContribution;
use super::native_histogram::NativeHistogram;
use super::state_set::StateSetContribution;
use super::summary::SummaryContribution;
use super::untyped::UntypedMode;
use super::{counter, gauge, untyped};

/// What one accepted series of a push adds.
#[derive(Clone, Debug, PartialEq)]
pub enum Contribution {
    /// A number that adds up; finite, unless it is to replace what is there.
    Add(f64),
    /// A number that replaces; any, with one bit pattern for all that are not numbers.
    Set(f64),
    /// Observations of a histogram.
    Histogram(Box<HistogramContribution>),
    /// Observations of a summary.
    Summary(Box<SummaryContribution>),
    /// Observations of a histogram with a native part.
    Native(Box<NativeHistogram>),
    /// Buckets that replace others.
    GaugeHistogram(Box<GaugeHistogramContribution>),
    /// That an info is there.
    Info,
    /// States that replace others.
    StateSet(Box<StateSetContribution>),
}

impl Contribution {
    /// Checks a pushed value against the family's settled type and makes a contribution of it. An untyped
    /// value in a family that is a counter or a gauge is one.
    pub fn new(
        value: &Value,
        settled: MetricType,
        name: &str,
        mode: UntypedMode,
    ) -> Result<Self, ValueError> {
        match (settled, value) {
            (MetricType::Counter, Value::Counter(value) | Value::Untyped(value)) => {
                counter::contribution(*value).map(Self::Add)
            }
            (MetricType::Gauge, Value::Gauge(value) | Value::Untyped(value)) => {
                Ok(Self::Set(gauge::contribution(*value)))
            }
            (MetricType::Untyped, Value::Untyped(value)) => untyped::contribution(*value, name, mode),
            (MetricType::Histogram, Value::Histogram(value)) => match &value.native {
                Some(part) => NativeHistogram::new(value, part).map(|native| Self::Native(Box::new(native))),
                None => {
                    HistogramContribution::new(value).map(|histogram| Self::Histogram(Box::new(histogram)))
                }
            },
            (MetricType::Summary, Value::Summary(value)) => {
                SummaryContribution::new(value).map(|summary| Self::Summary(Box::new(summary)))
            }
            (MetricType::GaugeHistogram, Value::GaugeHistogram(value)) => {
                GaugeHistogramContribution::new(value).map(|pushed| Self::GaugeHistogram(Box::new(pushed)))
            }
            (MetricType::Info, Value::Info) => Ok(Self::Info),
            (MetricType::StateSet, Value::StateSet(value)) => {
                StateSetContribution::new(value).map(|pushed| Self::StateSet(Box::new(pushed)))
            }
            (
                MetricType::Counter
                | MetricType::Gauge
                | MetricType::Untyped
                | MetricType::Histogram
                | MetricType::Summary
                | MetricType::GaugeHistogram
                | MetricType::Info
                | MetricType::StateSet,
                value,
            ) => {
                Err(ValueError::OtherType { pushed: value.metric_type().as_str(), settled: settled.as_str() })
            }
        }
    }

    /// Like [`Self::new`], for a push that replaces: where nothing is added, a counter may also be negative, and no
    /// value and no sum needs to be finite.
    pub fn replacing(
        value: &Value,
        settled: MetricType,
        name: &str,
        mode: UntypedMode,
    ) -> Result<Self, ValueError> {
        let adding = Self::new(value, settled, name, mode);
        if !matches!(adding, Err(ValueError::NotFinite { .. } | ValueError::Negative { .. })) {
            return adding;
        }
        match (settled, value) {
            (MetricType::Counter, Value::Counter(value) | Value::Untyped(value)) => Ok(Self::Add(*value)),
            (MetricType::Untyped, Value::Untyped(value)) => Ok(Self::Set(gauge::contribution(*value))),
            (MetricType::Histogram, Value::Histogram(value)) => {
                match &value.native {
                    Some(part) => NativeHistogram::with_any_sum(value, part)
                        .map(|native| Self::Native(Box::new(native))),
                    None => HistogramContribution::with_any_sum(value)
                        .map(|pushed| Self::Histogram(Box::new(pushed))),
                }
            }
            (MetricType::Summary, Value::Summary(value)) => {
                SummaryContribution::with_any_sum(value).map(|pushed| Self::Summary(Box::new(pushed)))
            }
            _ => adding,
        }
    }

    /// How many buckets (`+Inf` included), quantiles or states it has, as far as it is not bounded by itself; 0 for
    /// what is one number.
    pub fn parts(&self) -> usize {
        match self {
            Self::Histogram(histogram) => histogram.bounds(),
            Self::Summary(summary) => summary.quantiles(),
            Self::Native(native) => native.bounds(),
            Self::GaugeHistogram(pushed) => pushed.bounds(),
            Self::StateSet(pushed) => pushed.len(),
            Self::Add(_) | Self::Set(_) | Self::Info => 0,
        }
    }

    /// Whether [`State::check`](super::State::check) may refuse it.
    pub fn is_limited(&self) -> bool {
        matches!(self, Self::Histogram(_) | Self::Native(_))
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::State;
    use super::*;
    use crate::model::Stamp;

    fn new(value: &Value, settled: MetricType) -> Result<Contribution, ValueError> {
        Contribution::new(value, settled, "m", UntypedMode::Sum)
    }

    #[test]
    fn an_untyped_value_takes_the_type_of_its_family() {
        let value = Value::Untyped(2.0);
        assert_eq!(new(&value, MetricType::Counter), Ok(Contribution::Add(2.0)));
        assert_eq!(new(&value, MetricType::Gauge), Ok(Contribution::Set(2.0)));
        assert_eq!(new(&value, MetricType::Untyped), Ok(Contribution::Add(2.0)));
        assert!(matches!(new(&value, MetricType::Histogram), Err(ValueError::OtherType { .. })));
        assert!(new(&Value::Untyped(-2.0), MetricType::Counter).is_err());
        assert!(new(&Value::Untyped(-2.0), MetricType::Untyped).is_ok());
    }

    #[test]
    fn what_replaces_need_not_be_something_that_adds_up() {
        let replacing =
            |value: &Value, settled| Contribution::replacing(value, settled, "m", UntypedMode::Sum);
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.5] {
            for (value, settled) in [
                (Value::Counter(number), MetricType::Counter),
                (Value::Untyped(number), MetricType::Counter),
                (Value::Untyped(number), MetricType::Untyped),
            ] {
                let pushed = replacing(&value, settled).unwrap();
                let shown = match State::new(settled, &pushed, Stamp(1)).expose() {
                    Value::Counter(shown) | Value::Untyped(shown) => shown,
                    other => panic!("{other:?}"),
                };
                assert_eq!(shown.to_bits(), number.to_bits(), "{value:?} as {settled}");
            }
            let buckets = vec![crate::model::Bucket { upper_bound: f64::INFINITY, cumulative_count: 2.0 }];
            let histogram = crate::model::Histogram { buckets, sum: Some(number), ..Default::default() };
            let pushed = replacing(&Value::Histogram(Box::new(histogram)), MetricType::Histogram).unwrap();
            let Value::Histogram(shown) = State::new(MetricType::Histogram, &pushed, Stamp(1)).expose()
            else {
                panic!("a histogram is shown as one");
            };
            assert_eq!((shown.count, shown.sum.map(f64::to_bits)), (Some(2.0), Some(number.to_bits())));
            let summary = crate::model::Summary { sum: Some(number), count: Some(3.0), ..Default::default() };
            let pushed = replacing(&Value::Summary(Box::new(summary)), MetricType::Summary).unwrap();
            let Value::Summary(shown) = State::new(MetricType::Summary, &pushed, Stamp(1)).expose() else {
                panic!("a summary is shown as one");
            };
            assert_eq!((shown.count, shown.sum.map(f64::to_bits)), (Some(3.0), Some(number.to_bits())));
        }
        let summary = crate::model::Summary { count: Some(-3.0), ..Default::default() };
        assert!(replacing(&Value::Summary(Box::new(summary)), MetricType::Summary).is_err());
        assert!(replacing(&Value::Gauge(1.0), MetricType::Counter).is_err());
    }

    #[test]
    fn types_do_not_mix() {
        assert!(matches!(new(&Value::Gauge(1.0), MetricType::Counter), Err(ValueError::OtherType { .. })));
        assert!(matches!(new(&Value::Counter(1.0), MetricType::Untyped), Err(ValueError::OtherType { .. })));
    }
}
