//! The value of a metric, in whichever field it stands.

use prost::Message;

use crate::exposition::limits::{EXEMPLAR_PARTS, Parts};
use crate::model::{Exemplar, ExemplarPlace, MetricType, NameScheme, Quantile, Summary, Value};

use super::error::{Failure, ParseErrorKind};
use super::messages::{self, metric};
use super::{exemplar, histogram, number};

/// The bytes that the message of one value may take. Decoding makes up to 28 times as much of it for a moment.
pub(super) const VALUE_BYTES_MAX: usize = 1 << 20;

/// A field of a metric that holds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Gauge,
    Counter,
    Summary,
    Untyped,
    Histogram,
}

impl Slot {
    /// The slot that is the field of this number.
    pub(super) fn of(field: u32) -> Option<Self> {
        match field {
            metric::GAUGE => Some(Self::Gauge),
            metric::COUNTER => Some(Self::Counter),
            metric::SUMMARY => Some(Self::Summary),
            metric::UNTYPED => Some(Self::Untyped),
            metric::HISTOGRAM => Some(Self::Histogram),
            _ => None,
        }
    }

    /// Its name, in capitals like that of a type.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gauge => "GAUGE",
            Self::Counter => "COUNTER",
            Self::Summary => "SUMMARY",
            Self::Untyped => "UNTYPED",
            Self::Histogram => "HISTOGRAM",
        }
    }

    /// The slot of families of a type.
    fn of_type(metric_type: MetricType) -> Self {
        match metric_type {
            MetricType::Counter => Self::Counter,
            MetricType::Gauge | MetricType::Info | MetricType::StateSet => Self::Gauge,
            MetricType::Summary => Self::Summary,
            MetricType::Untyped => Self::Untyped,
            MetricType::Histogram | MetricType::GaugeHistogram => Self::Histogram,
        }
    }
}

/// The type that stands for a number, by the schema's `MetricType`.
pub(super) fn metric_type(number: u64) -> Option<MetricType> {
    match number {
        0 => Some(MetricType::Counter),
        1 => Some(MetricType::Gauge),
        2 => Some(MetricType::Summary),
        3 => Some(MetricType::Untyped),
        4 => Some(MetricType::Histogram),
        5 => Some(MetricType::GaugeHistogram),
        _ => None,
    }
}

/// The number of a type; of one that the schema does not have, that of what it is made of.
pub(super) fn type_number(metric_type: MetricType) -> u64 {
    match metric_type {
        MetricType::Counter => 0,
        MetricType::Gauge | MetricType::Info | MetricType::StateSet => 1,
        MetricType::Summary => 2,
        MetricType::Untyped => 3,
        MetricType::Histogram => 4,
        MetricType::GaugeHistogram => 5,
    }
}

/// A type's name in the schema.
fn type_name(metric_type: MetricType) -> &'static str {
    match metric_type {
        MetricType::GaugeHistogram => "GAUGE_HISTOGRAM",
        metric_type => Slot::of_type(metric_type).name(),
    }
}

/// What a metric of a family of this type holds. Its parts are taken from those `left`: of a bucket one byte on the
/// wire can be enough, so it is not the bytes that bound what is kept.
pub(super) fn read(
    held: Option<(Slot, &[u8])>,
    metric_type: MetricType,
    scheme: NameScheme,
    left: &mut Parts,
) -> Result<(Value, Vec<Exemplar>), Failure> {
    let expected = type_name(metric_type);
    let (slot, bytes) = held.ok_or(ParseErrorKind::NoValue { expected })?;
    if slot != Slot::of_type(metric_type) {
        return Err(ParseErrorKind::OtherValue { found: slot.name(), expected }.into());
    }
    if bytes.len() > VALUE_BYTES_MAX {
        return Err(ParseErrorKind::ValueTooLarge { found: bytes.len(), max: VALUE_BYTES_MAX }.into());
    }
    let (value, exemplars) = match slot {
        Slot::Gauge => {
            let gauge: messages::Gauge = decode(bytes)?;
            (Value::Gauge(gauge.value.unwrap_or(0.0)), Vec::new())
        }
        Slot::Untyped => {
            let untyped: messages::Untyped = decode(bytes)?;
            (Value::Untyped(untyped.value.unwrap_or(0.0)), Vec::new())
        }
        Slot::Counter => {
            let counter: messages::Counter = decode(bytes)?;
            exemplar::check_created(counter.created_timestamp.as_ref())?;
            let of = counter.exemplar.iter();
            let exemplars = of.map(|of| exemplar::read(of, ExemplarPlace::Series, scheme));
            (Value::Counter(counter.value.unwrap_or(0.0)), exemplars.collect::<Result<_, _>>()?)
        }
        Slot::Summary => (Value::Summary(Box::new(summary(&decode(bytes)?)?)), Vec::new()),
        Slot::Histogram => {
            let (histogram, exemplars) = histogram::read(&decode(bytes)?, scheme)?;
            let value = match metric_type {
                MetricType::GaugeHistogram => Value::GaugeHistogram(Box::new(histogram)),
                _ => Value::Histogram(Box::new(histogram)),
            };
            (value, exemplars)
        }
    };
    let parts = parts(&value) + EXEMPLAR_PARTS * exemplars.len();
    left.spend(parts).map_err(ParseErrorKind::from)?;
    Ok((value, exemplars))
}

fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M, Failure> {
    M::decode(bytes).map_err(|error| ParseErrorKind::Malformed(error.to_string()).into())
}

fn summary(summary: &messages::Summary) -> Result<Summary, Failure> {
    exemplar::check_created(summary.created_timestamp.as_ref())?;
    let quantile = |quantile: &messages::Quantile| Quantile {
        quantile: quantile.quantile.unwrap_or(0.0),
        value: quantile.value.unwrap_or(0.0),
    };
    Ok(Summary {
        quantiles: summary.quantile.iter().map(quantile).collect(),
        sum: summary.sample_sum,
        count: summary.sample_count.map(number::as_float),
        defect: None,
    })
}

/// How many buckets and quantiles a value has.
fn parts(value: &Value) -> usize {
    match value {
        Value::Histogram(histogram) | Value::GaugeHistogram(histogram) => {
            histogram.buckets.len() + histogram.native.as_ref().map_or(0, |native| native.populated())
        }
        Value::Summary(summary) => summary.quantiles.len(),
        Value::StateSet(set) => set.states.len(),
        Value::Counter(_) | Value::Gauge(_) | Value::Untyped(_) | Value::Info => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::{ReadLimits, TooManyParts};

    #[test]
    fn a_body_has_so_many_buckets_quantiles_and_exemplars_and_no_more() {
        let quantile = messages::Quantile { quantile: Some(0.5), value: Some(1.0) };
        let summary = messages::Summary { quantile: vec![quantile; 3], ..Default::default() };
        let exemplar = Some(messages::Exemplar::default());
        let counter = messages::Counter { exemplar, ..Default::default() };
        let (summary, counter) = (summary.encode_to_vec(), counter.encode_to_vec());
        let max = 3 + EXEMPLAR_PARTS;
        let mut left = Parts::new(ReadLimits { parts_max: max, ..ReadLimits::NONE });
        let mut read = |slot, bytes: &[u8], metric_type| {
            super::read(Some((slot, bytes)), metric_type, NameScheme::Legacy, &mut left).map(|_| ())
        };
        assert_eq!(read(Slot::Summary, &summary, MetricType::Summary), Ok(()));
        assert_eq!(read(Slot::Counter, &counter, MetricType::Counter), Ok(()));
        assert_eq!(read(Slot::Counter, &[], MetricType::Counter), Ok(()), "which takes nothing");
        let error = read(Slot::Summary, &summary, MetricType::Summary).unwrap_err();
        assert_eq!(*error, ParseErrorKind::TooManyParts(TooManyParts { max }));
    }

    #[test]
    fn types_are_numbered_as_in_the_schema() {
        for number in 0..6 {
            assert_eq!(metric_type(number).map(type_number), Some(number));
        }
        assert_eq!(metric_type(6), None);
        assert_eq!(type_number(MetricType::StateSet), type_number(MetricType::Gauge));
    }
}
