//! Why a pushed value is not one that its metric type can have.

use std::fmt;

/// Why a pushed value is not one that its metric type can have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// A value that adds up is below zero.
    #[error(
        "{what} is {value}, and what adds up must not be negative; use a gauge for what goes down",
        value = Shown(*value)
    )]
    Negative {
        /// What it is the value of.
        what: &'static str,
        /// The value.
        value: f64,
    },
    /// A value that adds up is not a number, or infinite.
    #[error("{what} is {value}, and what adds up must be finite; leave the sample out", value = Shown(*value))]
    NotFinite {
        /// What it is the value of.
        what: &'static str,
        /// The value.
        value: f64,
    },
    /// A count has a fraction.
    #[error("{what} is {value}, and a count must be a whole number", value = Shown(*value))]
    NotWhole {
        /// What it is the value of.
        what: &'static str,
        /// The value.
        value: f64,
    },
    /// A count is beyond 2^53, where floating-point numbers skip whole numbers.
    #[error("{what} is {value}, and one push may count up to 9007199254740992 (2^53)", value = Shown(*value))]
    CountTooLarge {
        /// What it is the value of.
        what: &'static str,
        /// The value.
        value: f64,
    },
    /// A sample under the bare name of a histogram or summary.
    #[error("a sample under the bare name of a {metric_type} means nothing; push {expected}")]
    BareSample {
        /// `histogram` or `summary`.
        metric_type: &'static str,
        /// What the type is made of.
        expected: &'static str,
    },
    /// A `_bucket` sample without `le`.
    #[error("a _bucket sample has no label \"le\"")]
    BucketWithoutLe,
    /// Two samples where one belongs.
    #[error("{what} is there twice; push it once")]
    Twice {
        /// `_sum` or `_count`.
        what: &'static str,
    },
    /// A bound that is no number.
    #[error("a bucket has le=\"NaN\", which bounds nothing")]
    BoundNotANumber,
    /// Two buckets of one bound.
    #[error("the bucket le=\"{bound}\" is there twice; push it once", bound = Shown(*bound))]
    BucketTwice {
        /// The bound.
        bound: f64,
    },
    /// Cumulative counts that fall.
    #[error(
        "the bucket le=\"{bound}\" holds {count}, less than {below} in the bucket before it; buckets are \
         cumulative and must not fall", bound = Shown(*bound), count = Shown(*count), below = Shown(*below))]
    FallingBuckets {
        /// The bound of the bucket.
        bound: f64,
        /// What it holds.
        count: f64,
        /// What the bucket below it holds.
        below: f64,
    },
    /// Neither `+Inf` nor `_count`.
    #[error("the bucket le=\"+Inf\" and _count are both missing; push at least one of them")]
    CountMissing,
    /// `+Inf` and `_count` differ.
    #[error(
        "the bucket le=\"+Inf\" holds {infinite} and _count is {count}; they must be equal",
        infinite = Shown(*infinite),
        count = Shown(*count)
    )]
    CountContradiction {
        /// What the bucket holds.
        infinite: f64,
        /// The count.
        count: f64,
    },
    /// Too many bounds in all.
    #[error(
        "the histogram would have {found} buckets, over the limit of {max}; use the same buckets in every \
         push, or raise --limit.histogram-bounds"
    )]
    TooManyBounds {
        /// How many there would be.
        found: usize,
        /// How many there may be.
        max: usize,
    },
    /// A quantile outside 0 to 1.
    #[error("quantile=\"{quantile}\" is not between 0 and 1", quantile = Shown(*quantile))]
    QuantileOutOfRange {
        /// The quantile.
        quantile: f64,
    },
    /// One quantile twice.
    #[error("quantile=\"{quantile}\" is there twice; push it once", quantile = Shown(*quantile))]
    QuantileTwice {
        /// The quantile.
        quantile: f64,
    },
    /// A schema that native histograms do not have.
    #[error("its schema is {schema}; native histograms have schemas from -4 to 8, or -53 with custom bounds")]
    UnknownSchema {
        /// The schema.
        schema: i8,
    },
    /// A bucket where there are no numbers.
    #[error("it has a native bucket {index}, and with schema {schema} there are {min} to {max}")]
    BucketOutOfRange {
        /// The index of the bucket.
        index: i32,
        /// The schema.
        schema: i8,
        /// The first index that there is.
        min: i32,
        /// The last index that there is.
        max: i32,
    },
    /// Native buckets out of order, or one twice.
    #[error("its native bucket {index} follows bucket {before}; they must ascend, each there once")]
    BucketsOutOfOrder {
        /// The index of the bucket before.
        before: i32,
        /// The index of the bucket.
        index: i32,
    },
    /// A zero bucket that is not one.
    #[error(
        "its zero threshold is {threshold}, and it must be finite and not negative",
        threshold = Shown(*threshold)
    )]
    ZeroThreshold {
        /// The threshold.
        threshold: f64,
    },
    /// Custom bounds that are none, or out of order.
    #[error("its custom bound {bound} is not finite, or not above the one before it", bound = Shown(*bound))]
    CustomBound {
        /// The bound.
        bound: f64,
    },
    /// What a native histogram of its kind does not have.
    #[error("it has {what}, which a native histogram of schema {schema} does not have")]
    OutOfPlace {
        /// What it has.
        what: &'static str,
        /// The schema.
        schema: i8,
    },
    /// The native buckets and the count contradict each other.
    #[error(
        "its native buckets hold {buckets} and its count is {count}; they must be equal, unless the sum is NaN: \
         then the buckets may hold less"
    )]
    NativeCountContradiction {
        /// What the buckets hold.
        buckets: f64,
        /// The count.
        count: f64,
    },
    /// The count of the histogram is not that of its native part.
    #[error("its _count is {count} and its native part counts {native}; they must be equal", count = Shown(*count))]
    PartsContradiction {
        /// The count of the histogram.
        count: f64,
        /// That of its native part.
        native: f64,
    },
    /// Exponential and custom buckets in one series.
    #[error(
        "it has {pushed} native buckets and what was pushed before has {stored} ones, which cannot be added; \
         push it under another name, or delete the group first"
    )]
    OtherBuckets {
        /// The kind that was pushed: `exponential` or `custom`.
        pushed: &'static str,
        /// The kind that is stored.
        stored: &'static str,
    },
    /// Too many zero thresholds in all.
    #[error(
        "the native histogram would have zero buckets with {found} different thresholds, over the limit of \
         {max}; use the same threshold in every push"
    )]
    TooManyZeroThresholds {
        /// How many there would be.
        found: usize,
        /// How many there may be.
        max: usize,
    },
    /// One state twice.
    #[error("the state {state:?} is there twice; push it once")]
    StateTwice {
        /// The state.
        state: Box<str>,
    },
    /// The value is of another type than its family.
    #[error("it is a {pushed}, and its family holds a {settled}")]
    OtherType {
        /// The type of the value.
        pushed: &'static str,
        /// The type of the family.
        settled: &'static str,
    },
}

/// A number as the exposition formats write it: `+Inf`, `-Inf`, `NaN`.
struct Shown(f64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_infinite() {
            f.write_str(if self.0 > 0.0 { "+Inf" } else { "-Inf" })
        } else {
            self.0.fmt(f)
        }
    }
}

/// A value that adds up and may be negative.
pub(super) fn finite(what: &'static str, value: f64) -> Result<f64, ValueError> {
    if value.is_finite() { Ok(value) } else { Err(ValueError::NotFinite { what, value }) }
}

/// A value that adds up and must not be negative.
pub(super) fn increment(what: &'static str, value: f64) -> Result<f64, ValueError> {
    let value = finite(what, value)?;
    if value < 0.0 { Err(ValueError::Negative { what, value }) } else { Ok(value) }
}

/// 2^53: up to here every whole number is a floating-point number.
pub(super) const COUNT_MAX: u64 = 1 << f64::MANTISSA_DIGITS;

/// A count in one push.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "compared with what it was"
)]
pub(super) fn count(what: &'static str, value: f64) -> Result<u64, ValueError> {
    const MAX: f64 = COUNT_MAX as f64;
    let whole = value as u64;
    // The conversion rounds and clamps, so that only whole numbers in range come back as they were.
    if whole as f64 == value && value <= MAX {
        return Ok(whole);
    }
    let value = increment(what, value)?;
    if value > MAX {
        return Err(ValueError::CountTooLarge { what, value });
    }
    Err(ValueError::NotWhole { what, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_they_are_pushed() {
        let error = ValueError::FallingBuckets { bound: f64::INFINITY, count: 3.0, below: 5.0 };
        assert!(error.to_string().starts_with("the bucket le=\"+Inf\" holds 3, less than 5"), "{error}");
        let error = ValueError::NotFinite { what: "_sum", value: f64::NAN };
        assert!(error.to_string().starts_with("_sum is NaN"), "{error}");
    }

    #[test]
    fn counts_are_whole_and_in_range() {
        assert_eq!(count("_count", 3.0), Ok(3));
        assert_eq!(count("_count", 9_007_199_254_740_992.0), Ok(1 << 53));
        assert!(matches!(count("_count", 1.5), Err(ValueError::NotWhole { .. })));
        assert!(matches!(count("_count", -1.0), Err(ValueError::Negative { .. })));
        assert!(matches!(count("_count", 1e17), Err(ValueError::CountTooLarge { .. })));
        assert!(matches!(count("_count", f64::NAN), Err(ValueError::NotFinite { .. })));
    }
}
