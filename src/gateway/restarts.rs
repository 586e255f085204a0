//! Whether a value that takes the place of another one makes its series begin again: what only grows has fallen.

use crate::model::{Counts, Histogram, NativeCounts, NativeHistogram, Value};

/// Whether what was shown before cannot have grown to what is shown after. Of gauges and the like that cannot be
/// told, and nobody asks.
pub(crate) fn restarts(before: &Value, after: &Value) -> bool {
    match (before, after) {
        // Something else than a number is followed by nothing that it has grown to.
        (Value::Counter(before), Value::Counter(after)) => {
            after < before || (before.is_nan() != after.is_nan())
        }
        (Value::Histogram(before), Value::Histogram(after)) => histogram_restarts(before, after),
        (Value::Summary(before), Value::Summary(after)) => {
            after.count.unwrap_or(0.0) < before.count.unwrap_or(0.0)
        }
        _ => false,
    }
}

fn histogram_restarts(before: &Histogram, after: &Histogram) -> bool {
    let mut buckets = before.buckets.iter().zip(&after.buckets);
    before.count.unwrap_or(0.0) > after.count.unwrap_or(0.0)
        || before.buckets.len() != after.buckets.len()
        || buckets.any(|(before, after)| {
            before.upper_bound != after.upper_bound || after.cumulative_count < before.cumulative_count
        })
        || match (&before.native, &after.native) {
            (None, None) => false,
            (Some(before), Some(after)) => native_restarts(before, after),
            (None, Some(_)) | (Some(_), None) => true,
        }
}

fn native_restarts(before: &NativeHistogram, after: &NativeHistogram) -> bool {
    let same_make = before.schema == after.schema
        && before.zero_threshold == after.zero_threshold
        && before.custom_bounds == after.custom_bounds;
    !same_make
        || match (&before.counts, &after.counts) {
            (NativeCounts::Integer(before), NativeCounts::Integer(after)) => counts_fall(before, after),
            (NativeCounts::Float(before), NativeCounts::Float(after)) => counts_fall(before, after),
            (NativeCounts::Integer(_), NativeCounts::Float(_))
            | (NativeCounts::Float(_), NativeCounts::Integer(_)) => true,
        }
}

fn counts_fall<N: Copy + Default + PartialOrd>(before: &Counts<N>, after: &Counts<N>) -> bool {
    let bucket_falls = |before: &[(i32, N)], after: &[(i32, N)]| {
        before.iter().any(|&(index, count)| {
            let now = after.binary_search_by_key(&index, |bucket| bucket.0);
            now.map_or(N::default(), |at| after[at].1) < count
        })
    };
    after.count < before.count
        || after.zero < before.zero
        || bucket_falls(&before.positive, &after.positive)
        || bucket_falls(&before.negative, &after.negative)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Bucket;

    fn histogram(buckets: &[(f64, f64)], native: Option<NativeHistogram>) -> Value {
        let bucket = |&(upper_bound, cumulative_count)| Bucket { upper_bound, cumulative_count };
        Value::Histogram(Box::new(Histogram {
            buckets: buckets.iter().map(bucket).collect(),
            count: buckets.last().map(|bucket| bucket.1),
            native: native.map(Box::new),
            ..Histogram::default()
        }))
    }

    fn native(schema: i8, count: u64, positive: &[(i32, u64)]) -> NativeHistogram {
        NativeHistogram {
            schema,
            zero_threshold: 0.0,
            custom_bounds: Vec::new(),
            counts: NativeCounts::Integer(Counts { count, positive: positive.to_vec(), ..Counts::default() }),
            sum: None,
        }
    }

    #[test]
    fn what_grows_goes_on_and_what_falls_begins_again() {
        let restart = |before: f64, after: f64| restarts(&Value::Counter(before), &Value::Counter(after));
        assert!(!restart(1.0, 1.0) && !restart(1.0, 2.0) && restart(2.0, 1.0));
        assert!(restart(1.0, f64::NAN) && restart(f64::NAN, 2.0) && !restart(f64::NAN, f64::NAN));
        assert!(!restart(1.0, f64::INFINITY) && restart(f64::INFINITY, 1.0));
        assert!(!restarts(&Value::Gauge(2.0), &Value::Gauge(1.0)));
        let before = histogram(&[(1.0, 2.0), (f64::INFINITY, 5.0)], None);
        let grown = histogram(&[(1.0, 2.0), (f64::INFINITY, 6.0)], None);
        assert!(!restarts(&before, &grown) && restarts(&grown, &before));
        let moved = histogram(&[(1.0, 1.0), (f64::INFINITY, 9.0)], None);
        let other_bounds = histogram(&[(2.0, 5.0), (f64::INFINITY, 9.0)], None);
        assert!(restarts(&before, &moved) && restarts(&before, &other_bounds));
    }

    #[test]
    fn a_native_histogram_goes_on_if_none_of_its_buckets_falls() {
        let of = |native| histogram(&[], Some(native));
        let before = of(native(3, 5, &[(1, 2), (4, 3)]));
        assert!(!restarts(&before, &of(native(3, 7, &[(1, 2), (2, 1), (4, 4)]))));
        assert!(restarts(&before, &of(native(3, 7, &[(1, 7)]))));
        assert!(restarts(&before, &of(native(2, 7, &[(1, 2), (4, 5)]))));
        assert!(restarts(&before, &histogram(&[], None)));
    }
}
