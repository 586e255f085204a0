//! Histograms and gauge histograms, both ways: classic buckets, the native part and their exemplars.

use crate::model::{
    Bucket, CUSTOM_BUCKETS_SCHEMA, Counts, Exemplar, ExemplarPlace, Histogram, NameScheme, NativeCounts,
    NativeHistogram,
};

use super::error::{Failure, NativeDefect, ParseErrorKind, Side};
use super::messages::{self, BucketSpan};
use super::{exemplar, number, spans};

/// A histogram with its exemplars, those of the buckets first.
pub(super) fn read(
    message: &messages::Histogram,
    scheme: NameScheme,
) -> Result<(Histogram, Vec<Exemplar>), Failure> {
    exemplar::check_created(message.created_timestamp.as_ref())?;
    let native = if is_native(message) { Some(Box::new(native(message)?)) } else { None };
    let count = match native.as_ref().map(|native| &native.counts) {
        Some(NativeCounts::Integer(counts)) => Some(number::as_float(counts.count)),
        Some(NativeCounts::Float(counts)) => Some(counts.count),
        None => number::count(message.sample_count, message.sample_count_float),
    };
    let mut exemplars = Vec::new();
    let mut buckets = Vec::with_capacity(message.bucket.len());
    for bucket in &message.bucket {
        let upper_bound = bucket.upper_bound.unwrap_or(0.0);
        let held = number::count(bucket.cumulative_count, bucket.cumulative_count_float);
        buckets.push(Bucket { upper_bound, cumulative_count: held.unwrap_or(0.0) });
        if let Some(of) = &bucket.exemplar {
            exemplars.push(exemplar::read(of, ExemplarPlace::Bucket(upper_bound), scheme)?);
        }
    }
    for of in &message.exemplars {
        let exemplar = exemplar::read(of, ExemplarPlace::Series, scheme)?;
        // By the schema they are only of use beside a native part.
        exemplars.extend(native.is_some().then_some(exemplar));
    }
    Ok((Histogram { buckets, sum: message.sample_sum, count, defect: None, native }, exemplars))
}

/// Whether a message has a native part. Prometheus decides like this, save that it takes counts without spans
/// for nothing; here they count, and are then refused. A native histogram without any of this has a span of
/// no buckets, by which it is known.
fn is_native(message: &messages::Histogram) -> bool {
    !message.positive_span.is_empty()
        || !message.negative_span.is_empty()
        || has_deltas(message)
        || has_counts(message)
        || is_above_zero(message.zero_threshold)
        || is_above_zero(message.zero_count_float)
        || message.zero_count.is_some_and(|count| count > 0)
}

fn is_above_zero(number: Option<f64>) -> bool {
    number.is_some_and(|number| number > 0.0)
}

fn has_deltas(message: &messages::Histogram) -> bool {
    !message.positive_delta.is_empty() || !message.negative_delta.is_empty()
}

fn has_counts(message: &messages::Histogram) -> bool {
    !message.positive_count.is_empty() || !message.negative_count.is_empty()
}

fn native(message: &messages::Histogram) -> Result<NativeHistogram, Failure> {
    let defect = |defect| Failure::from(ParseErrorKind::Native { side: None, defect });
    let number = message.schema.unwrap_or(0);
    if number == i32::from(CUSTOM_BUCKETS_SCHEMA) {
        return Err(defect(NativeDefect::CustomBounds));
    }
    let schema = spans::schema(number).ok_or_else(|| defect(NativeDefect::Schema(number)))?;
    let zero_threshold = message.zero_threshold.unwrap_or(0.0);
    if !(zero_threshold.is_finite() && zero_threshold >= 0.0) {
        return Err(defect(NativeDefect::ZeroThreshold(zero_threshold)));
    }
    let counts = if !is_float(message) {
        let side =
            |side, spans: &[BucketSpan], deltas: &[i64]| spans::from_deltas(side, schema, spans, deltas);
        NativeCounts::Integer(Counts {
            count: message.sample_count.unwrap_or(0),
            zero: message.zero_count.unwrap_or(0),
            positive: side(Side::Positive, &message.positive_span, &message.positive_delta)?,
            negative: side(Side::Negative, &message.negative_span, &message.negative_delta)?,
        })
    } else if has_deltas(message) {
        return Err(defect(NativeDefect::MixedCounts));
    } else {
        let side =
            |side, spans: &[BucketSpan], counts: &[f64]| spans::from_counts(side, schema, spans, counts);
        let count = |whole, float| number::count(whole, float).unwrap_or(0.0);
        NativeCounts::Float(Counts {
            count: count(message.sample_count, message.sample_count_float),
            zero: count(message.zero_count, message.zero_count_float),
            positive: side(Side::Positive, &message.positive_span, &message.positive_count)?,
            negative: side(Side::Negative, &message.negative_span, &message.negative_count)?,
        })
    };
    Ok(NativeHistogram { schema, zero_threshold, custom_bounds: Vec::new(), counts, sum: None })
}

/// Whether the counts of a native part need not be whole: where one of them stands in the field for such. Some
/// encoders fill in zeros there, which say nothing unless no count stands in the field for whole ones.
fn is_float(message: &messages::Histogram) -> bool {
    let has_float_only = message.sample_count.is_none() && message.sample_count_float.is_some();
    has_counts(message)
        || is_above_zero(message.sample_count_float)
        || is_above_zero(message.zero_count_float)
        || (has_float_only && !has_deltas(message))
}

/// The message that says a histogram, without its created timestamp.
///
/// A missing count is that of the bucket `+Inf`. A native part that counts fewer observations than the classic
/// one stands alone: there is one count and one sum for both, and who reads this format is after the native
/// part. One with custom bounds, for which the schema has no field, is told by classic buckets, if there are
/// none anyway.
pub(super) fn message(histogram: &Histogram, exemplars: &[Exemplar]) -> messages::Histogram {
    let native = histogram.native.as_deref();
    let mut message = messages::Histogram::default();
    let custom = native.filter(|native| native.schema == CUSTOM_BUCKETS_SCHEMA);
    let is_native = native.is_some() && custom.is_none();
    let own_sum = native.filter(|_| is_native).and_then(|native| native.sum);
    message.sample_sum = own_sum.or(histogram.sum);
    let of_custom = custom.filter(|_| histogram.buckets.is_empty()).map(classic_buckets);
    let buckets = of_custom.as_deref().unwrap_or(&histogram.buckets);
    let infinite = buckets.iter().find(|bucket| bucket.upper_bound == f64::INFINITY);
    if let Some(count) = histogram.count.or(infinite.map(|bucket| bucket.cumulative_count)) {
        (message.sample_count, message.sample_count_float) = number::fields(count);
    }
    if own_sum.is_none() {
        message.bucket = buckets.iter().map(bucket).collect();
    }
    for exemplar in exemplars {
        add_exemplar(&mut message, exemplar, is_native);
    }
    if let Some(native) = native.filter(|_| is_native) {
        add_native(&mut message, native);
    }
    message
}

fn bucket(bucket: &Bucket) -> messages::Bucket {
    let (cumulative_count, cumulative_count_float) = number::fields(bucket.cumulative_count);
    messages::Bucket {
        cumulative_count,
        cumulative_count_float,
        upper_bound: Some(bucket.upper_bound),
        exemplar: None,
    }
}

/// Puts an exemplar where it belongs; one of no bucket that there is goes to the native part, or to the first
/// bucket that holds its value.
fn add_exemplar(message: &mut messages::Histogram, exemplar: &Exemplar, is_native: bool) {
    let place = match exemplar.place {
        ExemplarPlace::Series => None,
        ExemplarPlace::Bucket(bound) => message.bucket.iter().position(|b| b.upper_bound == Some(bound)),
    };
    let holds = |b: &messages::Bucket| b.upper_bound.is_some_and(|bound| exemplar.value <= bound);
    let place = place.or_else(|| if is_native { None } else { message.bucket.iter().position(holds) });
    let told = exemplar::message(exemplar);
    match place {
        Some(place) => message.bucket[place].exemplar = Some(Box::new(told)),
        None if is_native => message.exemplars.push(told),
        None => {}
    }
}

fn add_native(message: &mut messages::Histogram, native: &NativeHistogram) {
    message.schema = Some(i32::from(native.schema));
    message.zero_threshold = Some(native.zero_threshold);
    match &native.counts {
        NativeCounts::Integer(counts) => match both_deltas(counts) {
            Some((positive, negative)) => {
                (message.sample_count, message.sample_count_float) = (Some(counts.count), None);
                message.zero_count = Some(counts.zero);
                message.positive_span = spans::of(&counts.positive);
                message.negative_span = spans::of(&counts.negative);
                message.positive_delta = positive;
                message.negative_delta = negative;
            }
            None => add_float_counts(message, &as_float_counts(counts)),
        },
        NativeCounts::Float(counts) => add_float_counts(message, counts),
    }
    if message.positive_span.is_empty() && message.negative_span.is_empty() {
        // By which it is known as native, whatever else it has.
        message.positive_span.push(BucketSpan { offset: Some(0), length: Some(0) });
    }
}

/// The differences of both sides, if all of them fit.
fn both_deltas(counts: &Counts<u64>) -> Option<(Vec<i64>, Vec<i64>)> {
    Some((spans::deltas(&counts.positive)?, spans::deltas(&counts.negative)?))
}

fn as_float_counts(counts: &Counts<u64>) -> Counts<f64> {
    let side = |buckets: &[(i32, u64)]| {
        buckets.iter().map(|&(index, count)| (index, number::as_float(count))).collect()
    };
    Counts {
        count: number::as_float(counts.count),
        zero: number::as_float(counts.zero),
        positive: side(&counts.positive),
        negative: side(&counts.negative),
    }
}

fn add_float_counts(message: &mut messages::Histogram, counts: &Counts<f64>) {
    let of = |buckets: &[(i32, f64)]| buckets.iter().map(|(_, count)| *count).collect();
    (message.sample_count, message.sample_count_float) = (None, Some(counts.count));
    message.zero_count_float = Some(counts.zero);
    message.positive_span = spans::of(&counts.positive);
    message.negative_span = spans::of(&counts.negative);
    message.positive_count = of(&counts.positive);
    message.negative_count = of(&counts.negative);
}

/// The cumulative buckets of a native part with custom bounds, the one up to infinity too.
fn classic_buckets(native: &NativeHistogram) -> Vec<Bucket> {
    match &native.counts {
        NativeCounts::Integer(counts) => {
            accumulated(&native.custom_bounds, &as_float_counts(counts).positive)
        }
        NativeCounts::Float(counts) => accumulated(&native.custom_bounds, &counts.positive),
    }
}

fn accumulated(bounds: &[f64], counts: &[(i32, f64)]) -> Vec<Bucket> {
    let mut counts = counts.iter().peekable();
    let mut total = 0.0;
    bounds
        .iter()
        .copied()
        .chain([f64::INFINITY])
        .zip(0_i32..)
        .map(|(upper_bound, index)| {
            while let Some((_, count)) = counts.next_if(|(own, _)| *own <= index) {
                total += count;
            }
            Bucket { upper_bound, cumulative_count: total }
        })
        .collect()
}
