//! The buckets of a native histogram with their bounds.

use crate::model::{CUSTOM_BUCKETS_SCHEMA, Counts, NativeCounts, NativeHistogram};

/// Which of a bucket's bounds belong to it, by the numbers that Prometheus's own API uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// The upper bound only.
    OpenLeft = 0,
    /// The lower bound only.
    OpenRight = 1,
    /// Both.
    ClosedBoth = 3,
}

/// A bucket that holds something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    pub(super) rule: Rule,
    pub(super) lower: f64,
    pub(super) upper: f64,
    pub(super) count: f64,
}

/// All observations.
pub(super) fn count(histogram: &NativeHistogram) -> f64 {
    match &histogram.counts {
        NativeCounts::Integer(counts) => as_float(counts.count),
        NativeCounts::Float(counts) => counts.count,
    }
}

/// The buckets that hold something, from the lowest to the highest.
pub(super) fn buckets(histogram: &NativeHistogram) -> Vec<Bucket> {
    match &histogram.counts {
        NativeCounts::Integer(counts) => of_counts(histogram, counts, as_float),
        NativeCounts::Float(counts) => of_counts(histogram, counts, |count| count),
    }
}

#[allow(clippy::cast_precision_loss, reason = "a count past 2^53 may be shown off by one")]
fn as_float(count: u64) -> f64 {
    count as f64
}

fn of_counts<N: Copy>(histogram: &NativeHistogram, counts: &Counts<N>, float: fn(N) -> f64) -> Vec<Bucket> {
    let negative = counts.negative.iter().rev().map(|&(index, count)| {
        let Bucket { lower, upper, .. } = positive(histogram, index, float(count));
        Bucket { rule: Rule::OpenRight, lower: -upper, upper: -lower, count: float(count) }
    });
    let threshold = histogram.zero_threshold;
    let zero =
        Bucket { rule: Rule::ClosedBoth, lower: -threshold, upper: threshold, count: float(counts.zero) };
    let positive = counts.positive.iter().map(|&(index, count)| positive(histogram, index, float(count)));
    negative.chain([zero]).chain(positive).filter(|bucket| bucket.count != 0.0).collect()
}

fn positive(histogram: &NativeHistogram, index: i32, count: f64) -> Bucket {
    if histogram.schema != CUSTOM_BUCKETS_SCHEMA {
        let (lower, upper) =
            (bound(histogram.schema, index.saturating_sub(1)), bound(histogram.schema, index));
        return Bucket { rule: Rule::OpenLeft, lower, upper, count };
    }
    let custom = |index: Option<usize>| index.and_then(|index| histogram.custom_bounds.get(index)).copied();
    let index = usize::try_from(index).ok();
    let upper = custom(index).unwrap_or(f64::INFINITY);
    match index {
        // Nothing is below the first bucket.
        Some(0) | None => Bucket { rule: Rule::ClosedBoth, lower: f64::NEG_INFINITY, upper, count },
        Some(index) => {
            let lower = custom(Some(index - 1)).unwrap_or(f64::INFINITY);
            Bucket { rule: Rule::OpenLeft, lower, upper, count }
        }
    }
}

/// The upper bound of an exponential bucket: 2 to the power of `index / 2^schema`.
fn bound(schema: i8, index: i32) -> f64 {
    let upper = if schema <= 0 {
        let step = f64::from(1_u32 << u32::from(schema.unsigned_abs()).min(31));
        (f64::from(index) * step).exp2()
    } else {
        let steps = 1_i32 << schema.min(30);
        let (whole, part) = (index.div_euclid(steps), index.rem_euclid(steps));
        // Apart, since the power of a large number loses digits.
        (f64::from(part) / f64::from(steps)).exp2() * f64::from(whole).exp2()
    };
    // The last bucket ends at the largest number; infinities have the one behind it.
    if upper.is_finite() { upper } else { f64::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(histogram: &NativeHistogram) -> Vec<(u8, f64, f64, f64)> {
        buckets(histogram).iter().map(|at| (at.rule as u8, at.lower, at.upper, at.count)).collect()
    }

    #[test]
    fn exponential_buckets_go_from_the_most_negative_up_and_empty_ones_are_left_out() {
        let counts = Counts {
            count: 12,
            zero: 2,
            positive: vec![(0, 1), (1, 0), (2, 3)],
            negative: vec![(1, 4), (3, 2)],
        };
        let histogram = NativeHistogram {
            schema: 0,
            zero_threshold: 0.5,
            custom_bounds: Vec::new(),
            counts: NativeCounts::Integer(counts),
            sum: None,
        };
        let expected = [
            (1, -8.0, -4.0, 2.0),
            (1, -2.0, -1.0, 4.0),
            (3, -0.5, 0.5, 2.0),
            (0, 0.5, 1.0, 1.0),
            (0, 2.0, 4.0, 3.0),
        ];
        assert_eq!(shown(&histogram), expected);
        assert_eq!(count(&histogram), 12.0);
    }

    #[test]
    fn custom_buckets_are_open_at_both_ends_of_their_bounds() {
        let counts = Counts {
            count: 3.5,
            zero: 0.0,
            positive: vec![(0, 1.0), (1, 0.5), (2, 2.0)],
            negative: Vec::new(),
        };
        let histogram = NativeHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            zero_threshold: 0.0,
            custom_bounds: vec![1.0, 2.5],
            counts: NativeCounts::Float(counts),
            sum: None,
        };
        let infinity = f64::INFINITY;
        let expected = [(3, -infinity, 1.0, 1.0), (0, 1.0, 2.5, 0.5), (0, 2.5, infinity, 2.0)];
        assert_eq!(shown(&histogram), expected);
    }

    #[test]
    fn bounds_are_powers_of_two_and_their_roots() {
        assert_eq!(bound(0, 10), 1024.0);
        assert_eq!(bound(-4, 1), 65536.0);
        assert_eq!(bound(-4, -1), 1.0 / 65536.0);
        assert_eq!(bound(3, 8), 2.0);
        assert_eq!(bound(3, -8), 0.5);
        assert!((bound(3, 1) - 1.090_507_732_665_257_7).abs() < 1e-15);
        assert!((bound(8, -1) - 1.0 / 1.002_711_275_050_202_5).abs() < 1e-15);
        assert_eq!(bound(0, 1024), f64::MAX);
        assert_eq!(bound(8, i32::MAX), f64::MAX);
        assert_eq!(bound(0, -1074), f64::from_bits(1));
    }
}
