//! Counts, which this schema has twice each: whole, and as floating-point numbers.

/// From here on floating-point numbers are beyond 64 bits.
const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

/// The count that a pair of fields says: the floating-point one if it is above 0, else the whole one. One that
/// stands alone is taken whatever it is, so that nonsense is judged and not passed over. `None` if there is
/// neither.
pub(super) fn count(whole: Option<u64>, float: Option<f64>) -> Option<f64> {
    match (whole, float) {
        (_, Some(float)) if float > 0.0 => Some(float),
        (Some(whole), _) => Some(as_float(whole)),
        // Minus zero is zero.
        (None, float) => float.map(|float| float + 0.0),
    }
}

/// The fields that say a count, in the order of [`count`].
pub(super) fn fields(count: f64) -> (Option<u64>, Option<f64>) {
    let whole = as_whole(count);
    (whole, if whole.is_none() { Some(count) } else { None })
}

/// A count for a field that only takes whole ones: the next below, at most the largest. `None` of what is no
/// count.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is too large becomes the largest"
)]
pub(super) fn saturated(count: f64) -> Option<u64> {
    (count >= 0.0).then_some(count as u64)
}

/// The whole number of 64 bits that a count is, if it is one.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and in range")]
fn as_whole(count: f64) -> Option<u64> {
    ((0.0..TWO_TO_64).contains(&count) && count.trunc() == count).then_some(count as u64)
}

/// A whole number as a floating-point one; never less, so that a count too large to be exact stays too large.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is lost is looked at"
)]
pub(super) fn as_float(count: u64) -> f64 {
    let float = count as f64;
    if (float as u64) < count { float.next_up() } else { float }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floating_point_count_wins_if_it_is_above_zero() {
        assert_eq!(count(Some(3), Some(0.5)), Some(0.5));
        assert_eq!(count(Some(3), Some(0.0)), Some(3.0));
        assert_eq!(count(Some(3), Some(f64::NAN)), Some(3.0));
        assert_eq!(count(None, Some(-1.0)), Some(-1.0));
        assert_eq!(count(Some(3), None), Some(3.0));
        assert_eq!(count(None, None), None);
    }

    #[test]
    fn whole_counts_are_written_whole_as_far_as_they_fit() {
        assert_eq!(fields(3.0), (Some(3), None));
        assert_eq!(fields(-0.0), (Some(0), None));
        assert_eq!(fields(0.5), (None, Some(0.5)));
        assert_eq!(fields(-1.0), (None, Some(-1.0)));
        assert_eq!(fields(TWO_TO_64), (None, Some(TWO_TO_64)));
        assert_eq!(fields(TWO_TO_64.next_down()), (Some(u64::MAX - 2_047), None));
        assert_eq!(fields(f64::INFINITY), (None, Some(f64::INFINITY)));
    }

    #[test]
    fn a_count_that_must_be_whole_is_the_next_that_is() {
        assert_eq!([3.0, 3.9, TWO_TO_64, f64::INFINITY].map(saturated), [3, 3, u64::MAX, u64::MAX].map(Some));
        assert_eq!([-1.0, f64::NAN].map(saturated), [None, None]);
    }

    #[test]
    fn a_count_is_never_made_smaller() {
        for whole in [0, 1, 1 << 53, u64::MAX - 2_047] {
            assert_eq!(fields(as_float(whole)), (Some(whole), None));
        }
        assert_eq!(as_float((1 << 53) + 1), 9_007_199_254_740_994.0);
        assert_eq!(as_float(u64::MAX), TWO_TO_64);
    }
}
