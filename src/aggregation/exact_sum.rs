//! The exact sum of floating-point numbers.
//!
//! Equal sums have equal states, bit for bit, whatever was added in whatever order: the state is the
//! mathematical sum and nothing else. Nearly always it is one or two floating-point numbers.

use serde::{Deserialize, Serialize};

use super::encoding::append;
use super::wide::Wide;

/// Beyond this the error-free addition of two numbers could overflow.
const PAIR_MAX: f64 = f64::MAX / 8.0;

/// The exact sum of everything added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExactSum(Repr);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Repr {
    /// The sum is exactly `high + low`, and `high` is the sum correctly rounded. There is at most one such
    /// pair.
    Pair { high: f64, low: f64 },
    /// Any other sum.
    Wide(Box<Wide>),
}

impl Default for ExactSum {
    fn default() -> Self {
        Self(Repr::Pair { high: 0.0, low: 0.0 })
    }
}

impl ExactSum {
    /// Adds a finite number.
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        debug_assert!(value.is_finite());
        match &mut self.0 {
            Repr::Pair { high, low } => {
                let (sum, error) = two_sum(*high, value);
                if *low == 0.0 && error == 0.0 && sum.abs() <= PAIR_MAX {
                    // Nothing was rounded. Adding zero turns a negative zero into a positive one.
                    *high = sum + 0.0;
                } else {
                    self.add_to_pair(value);
                }
            }
            Repr::Wide(wide) => {
                wide.add(value);
                self.narrow();
            }
        }
    }

    /// Appends the sum to a record.
    #[inline]
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Repr::Pair { high, low } => {
                // The first byte says that it is a pair. One write: there are many sums.
                let mut bytes = [0; 1 + 8 + 8];
                bytes[1..9].copy_from_slice(&high.to_le_bytes());
                bytes[9..].copy_from_slice(&low.to_le_bytes());
                out.extend_from_slice(&bytes);
            }
            Repr::Wide(_) => append(out, self),
        }
    }

    /// Adds another sum.
    pub(crate) fn combine(&mut self, other: &Self) {
        match &other.0 {
            Repr::Pair { high, low } => {
                self.add(*high);
                self.add(*low);
            }
            Repr::Wide(other) => {
                let mut wide = self.to_wide();
                wide.combine(other);
                self.0 = Repr::Wide(Box::new(wide));
                self.narrow();
            }
        }
    }

    /// The sum, rounded to the nearest number, ties to even. A sum beyond the finite numbers is the largest
    /// of them.
    pub(crate) fn value(&self) -> f64 {
        match &self.0 {
            Repr::Pair { high, .. } => *high,
            Repr::Wide(wide) => wide.rounded().clamp(-f64::MAX, f64::MAX),
        }
    }

    /// Whether the sum is beyond the finite numbers, so that [`Self::value`] is less than it.
    pub(crate) fn is_saturated(&self) -> bool {
        match &self.0 {
            Repr::Pair { .. } => false,
            Repr::Wide(wide) => wide.rounded().is_infinite(),
        }
    }

    /// Whether it is what this code makes, as against what a store could hold.
    pub(crate) fn is_sound(&self) -> bool {
        match &self.0 {
            Repr::Pair { high, low } => high.is_finite() && two_sum(*high, *low) == (*high, *low),
            Repr::Wide(_) => true,
        }
    }

    fn add_to_pair(&mut self, value: f64) {
        let Repr::Pair { high, low } = self.0 else { unreachable!("called for a pair only") };
        if high.abs() <= PAIR_MAX
            && value.abs() <= PAIR_MAX
            && let Some((high, low)) = pair_of_three(high, low, value)
            && high.abs() <= PAIR_MAX
        {
            self.0 = Repr::Pair { high: high + 0.0, low: low + 0.0 };
            return;
        }
        let mut wide = self.to_wide();
        wide.add(value);
        self.0 = Repr::Wide(Box::new(wide));
        self.narrow();
    }

    fn to_wide(&self) -> Wide {
        match &self.0 {
            Repr::Pair { high, low } => {
                let mut wide = Wide::default();
                wide.add(*high);
                wide.add(*low);
                wide
            }
            Repr::Wide(wide) => Wide::clone(wide),
        }
    }

    /// Turns a wide sum into a pair where there is one.
    fn narrow(&mut self) {
        let Repr::Wide(wide) = &self.0 else { return };
        let high = wide.rounded();
        if high.abs() > PAIR_MAX {
            return;
        }
        let mut rest = Wide::clone(wide);
        rest.add(-high);
        let low = rest.rounded();
        rest.add(-low);
        if rest.is_zero() {
            self.0 = Repr::Pair { high: high + 0.0, low: low + 0.0 };
        }
    }
}

/// The rounded sum of two numbers and what the rounding lost, exactly (Knuth's branch-free form, The Art of
/// Computer Programming vol. 2, 4.2.2, theorem B). Neither the numbers nor their sum may overflow.
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    let a_part = sum - b_part;
    (sum, (a - a_part) + (b - b_part))
}

/// The canonical pair of a sum of three, if a few error-free additions find it.
fn pair_of_three(a: f64, b: f64, c: f64) -> Option<(f64, f64)> {
    let (mut parts, mut rest) = (two_sum(a, c), b);
    for _ in 0..3 {
        let (middle, low) = two_sum(parts.1, rest);
        let (high, middle) = two_sum(parts.0, middle);
        if low == 0.0 {
            // `high` is the rounded sum of `high + middle`, as `two_sum` gives it.
            return Some((high, middle));
        }
        (parts, rest) = ((high, middle), low);
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(values: &[f64]) -> ExactSum {
        let mut sum = ExactSum::default();
        for &value in values {
            sum.add(value);
        }
        sum
    }

    /// The sum by arbitrary-precision integers, in units of the smallest subnormal: an independent
    /// formulation.
    fn oracle(values: &[f64]) -> num_bigint::BigInt {
        use num_bigint::BigInt;
        values
            .iter()
            .map(|value| {
                let bits = value.to_bits();
                let exponent = (bits >> 52) & 0x7ff;
                let fraction = bits & ((1 << 52) - 1);
                let mantissa = if exponent == 0 { fraction } else { fraction | (1 << 52) };
                let magnitude = BigInt::from(mantissa) << (exponent.max(1) - 1);
                if value.is_sign_negative() { -magnitude } else { magnitude }
            })
            .sum()
    }

    /// Rounds to the nearest, ties to even, by comparing with both neighbours.
    fn is_nearest(exact: &num_bigint::BigInt, value: f64) -> bool {
        let distance = |other: f64| {
            let distance = exact - oracle(&[other]);
            if distance < num_bigint::BigInt::from(0) { -distance } else { distance }
        };
        let own = distance(value);
        [value.next_up(), value.next_down()].into_iter().filter(|other| other.is_finite()).all(|other| {
            let other_distance = distance(other);
            own < other_distance || (own == other_distance && value.to_bits() & 1 == 0)
        })
    }

    fn finite() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite()),
            (-1_000_000_i32..1_000_000).prop_map(|value| f64::from(value) / 8.0),
            prop_oneof![
                Just(0.1),
                Just(1e16),
                Just(1.0),
                Just(-1e16),
                Just(f64::MAX),
                Just(-f64::MAX),
                Just(5e-324)
            ],
        ]
    }

    #[test]
    fn nothing_is_lost_beyond_two_to_the_53() {
        let mut total = sum(&[9_007_199_254_740_992.0]);
        for _ in 0..3 {
            total.add(1.0);
        }
        assert_eq!(total.value(), 9_007_199_254_740_996.0);
    }

    #[test]
    fn opposite_numbers_cancel_whatever_came_between() {
        let total = sum(&[1e300, 1.0, -1e300, 5e-324]);
        assert_eq!(total, sum(&[1.0, 5e-324]));
        assert_eq!(sum(&[-0.0]).value().to_bits(), 0);
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX, -f64::MAX]), ExactSum::default());
    }

    #[test]
    fn beyond_the_finite_numbers_the_largest_is_shown_and_nothing_forgotten() {
        let mut total = sum(&[f64::MAX, f64::MAX]);
        assert_eq!(total.value(), f64::MAX);
        assert!(total.is_saturated());
        total.add(-f64::MAX);
        assert_eq!(total.value(), f64::MAX);
        assert!(!total.is_saturated());
        assert_eq!(sum(&[-f64::MAX, -f64::MAX]).value(), -f64::MAX);
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<ExactSum>() <= 24);
    }

    proptest! {
        #[test]
        fn it_is_the_exact_sum_correctly_rounded(values in proptest::collection::vec(finite(), 0..40)) {
            let total = sum(&values);
            let exact = oracle(&values);
            if total.is_saturated() {
                prop_assert_eq!(total.value().abs(), f64::MAX);
            } else {
                prop_assert!(is_nearest(&exact, total.value()), "{} for {}", total.value(), exact);
            }
        }

        #[test]
        fn neither_order_nor_grouping_matters(
            mut values in proptest::collection::vec(finite(), 0..40),
            picks in proptest::collection::vec(any::<prop::sample::Index>(), 40),
            cut in any::<prop::sample::Index>(),
        ) {
            let total = sum(&values);
            let (left, right) = values.split_at(cut.index(values.len() + 1));
            let mut combined = sum(right);
            combined.combine(&sum(left));
            prop_assert_eq!(&combined, &total);

            for i in (1..values.len()).rev() {
                values.swap(i, picks[i].index(i + 1));
            }
            prop_assert_eq!(&sum(&values), &total);
        }

        #[test]
        fn it_is_written_and_read_back(values in proptest::collection::vec(finite(), 0..10)) {
            let total = sum(&values);
            let bytes = postcard::to_stdvec(&total).unwrap();
            prop_assert_eq!(postcard::from_bytes::<ExactSum>(&bytes).unwrap(), total);
        }
    }
}
