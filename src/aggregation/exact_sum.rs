//! The exact sum of floating-point numbers.
//!
//! Equal sums have equal states, bit for bit, whatever was added in whatever order: the state is the
//! mathematical sum and nothing else. Nearly always it is one or two floating-point numbers. What is not finite
//! adds up as IEEE 754 has it: an infinity stays, two of opposite signs and all with a NaN are NaN.

use serde::{Deserialize, Serialize};

use super::encoding::{append, append_integer};
use super::wide::Wide;

/// Beyond this the error-free addition of two numbers could overflow.
const PAIR_MAX: f64 = f64::MAX / 8.0;

/// The exact sum of everything added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExactSum(Repr);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "Stored", try_from = "Stored")]
enum Repr {
    /// The sum is exactly `high + low`, and `high` is the sum correctly rounded. There is at most one such
    /// pair. A sum that is not finite is `high`, and `low` is 0.
    Pair { high: f64, low: f64 },
    /// Any other sum.
    Wide(Box<Wide>),
}

/// Bit for bit, so that a sum that is not a number equals itself.
impl PartialEq for Repr {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pair { high, low }, Self::Pair { high: other_high, low: other_low }) => {
                (high.to_bits(), low.to_bits()) == (other_high.to_bits(), other_low.to_bits())
            }
            (Self::Wide(wide), Self::Wide(other)) => wide == other,
            (Self::Pair { .. }, Self::Wide(_)) | (Self::Wide(_), Self::Pair { .. }) => false,
        }
    }
}

/// A sum as it is stored: those that are met most take the least room.
#[derive(Serialize, Deserialize)]
enum Stored {
    Pair {
        high: f64,
        low: f64,
    },
    Wide(Box<Wide>),
    /// A pair without a low part, up to [`WHOLE_MAX`].
    Whole(u64),
    /// Any other pair without a low part.
    Single(f64),
}

/// Up to here all whole numbers are floating-point numbers.
const WHOLE_MAX: u64 = 1 << f64::MANTISSA_DIGITS;

/// The whole number that this is, if it is one up to [`WHOLE_MAX`].
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "compared afterwards")]
#[inline]
fn whole(value: f64) -> Option<u64> {
    let number = value as u64;
    (number <= WHOLE_MAX && float(number).to_bits() == value.to_bits()).then_some(number)
}

/// Exact up to [`WHOLE_MAX`].
#[allow(clippy::cast_precision_loss, reason = "none up to the largest one")]
#[inline]
fn float(whole: u64) -> f64 {
    whole as f64
}

impl From<Repr> for Stored {
    fn from(sum: Repr) -> Self {
        match sum {
            Repr::Pair { high, low: 0.0 } => whole(high).map_or(Self::Single(high), Self::Whole),
            Repr::Pair { high, low } => Self::Pair { high, low },
            Repr::Wide(wide) => Self::Wide(wide),
        }
    }
}

impl TryFrom<Stored> for Repr {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        match stored {
            Stored::Pair { high, low } => Ok(Self::Pair { high, low }),
            Stored::Wide(wide) => Ok(Self::Wide(wide)),
            Stored::Whole(number) if number > WHOLE_MAX => Err("a whole number beyond 2^53"),
            Stored::Whole(number) => Ok(Self::Pair { high: float(number), low: 0.0 }),
            Stored::Single(high) => Ok(Self::Pair { high, low: 0.0 }),
        }
    }
}

impl Default for ExactSum {
    fn default() -> Self {
        Self(Repr::Pair { high: 0.0, low: 0.0 })
    }
}

impl ExactSum {
    /// The sum of one number.
    pub(crate) fn of(value: f64) -> Self {
        let mut sum = Self::default();
        sum.add(value);
        sum
    }

    /// The sum of so many ones.
    pub(crate) fn of_count(count: u64) -> Self {
        let low = count & u64::from(u32::MAX);
        let mut sum = Self::of(float(count - low));
        sum.add(float(low));
        sum
    }

    /// Whether it is a whole number, of those that counts can come to.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(&self.0, Repr::Pair { high, low } if high.fract() == 0.0 && low.fract() == 0.0)
    }

    /// The sum as a count, if it is one.
    #[allow(clippy::cast_possible_truncation, reason = "whole numbers, and out of range is no count")]
    pub(crate) fn as_count(&self) -> Option<u64> {
        match &self.0 {
            Repr::Pair { high, low } if self.is_whole() => {
                u64::try_from((*high as i128).saturating_add(*low as i128)).ok()
            }
            Repr::Pair { .. } | Repr::Wide(_) => None,
        }
    }

    /// Whether it is a finite number.
    #[inline]
    pub(crate) fn is_finite(&self) -> bool {
        !matches!(&self.0, Repr::Pair { high, .. } if !high.is_finite())
    }

    /// Adds a number.
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        match &mut self.0 {
            Repr::Pair { high, low } => {
                // The error is NaN where one of them is not finite.
                let (sum, error) = two_sum(*high, value);
                if *low == 0.0 && error == 0.0 && sum.abs() <= PAIR_MAX {
                    // Nothing was rounded. Adding zero turns a negative zero into a positive one.
                    *high = sum + 0.0;
                } else {
                    self.add_to_pair(value);
                }
            }
            Repr::Wide(_) if !value.is_finite() => *self = Self::not_finite(value),
            Repr::Wide(wide) => {
                wide.add(value);
                self.narrow();
            }
        }
    }

    /// The sum that is an infinity, or not a number.
    fn not_finite(sum: f64) -> Self {
        Self(Repr::Pair { high: if sum.is_nan() { f64::NAN } else { sum }, low: 0.0 })
    }

    /// Appends the sum to a record.
    #[inline]
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        // The first byte says how it is stored. One write for each: there are many sums.
        match &self.0 {
            Repr::Pair { high, low: 0.0 } => {
                if let Some(number) = whole(*high) {
                    out.push(2);
                    append_integer(out, number);
                } else {
                    let mut bytes = [3; 1 + 8];
                    bytes[1..].copy_from_slice(&high.to_le_bytes());
                    out.extend_from_slice(&bytes);
                }
            }
            Repr::Pair { high, low } => {
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
            Repr::Wide(_) if !self.is_finite() => {}
            Repr::Wide(other) => {
                let mut wide = self.to_wide();
                wide.combine(other);
                self.0 = Repr::Wide(Box::new(wide));
                self.narrow();
            }
        }
    }

    /// Takes another sum away.
    pub(crate) fn subtract(&mut self, other: &Self) {
        match &other.0 {
            Repr::Pair { high, low } => {
                self.add(-*high);
                self.add(-*low);
            }
            Repr::Wide(_) if !self.is_finite() => {}
            Repr::Wide(other) => {
                let mut wide = self.to_wide();
                wide.combine(&other.negated());
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
            Repr::Pair { high, low } if high.is_finite() => two_sum(*high, *low) == (*high, *low),
            Repr::Pair { .. } => *self == Self::not_finite(self.value()),
            Repr::Wide(_) => true,
        }
    }

    fn add_to_pair(&mut self, value: f64) {
        let Repr::Pair { high, low } = self.0 else { unreachable!("called for a pair only") };
        if !(high.is_finite() && value.is_finite()) {
            *self = Self::not_finite(high + value);
            return;
        }
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

    #[test]
    fn what_is_not_finite_adds_up_as_in_ieee_754() {
        const INF: f64 = f64::INFINITY;
        let large = [f64::MAX, f64::MAX, 1.0];
        for (values, expected) in [
            (&[1.0, INF, -5.0][..], INF),
            (&[-INF, 5.0], -INF),
            (&[INF, -INF], f64::NAN),
            (&[1e300, 1e-300, -f64::NAN, 1.0], f64::NAN),
        ] {
            let expected = ExactSum::of(expected);
            assert_eq!(sum(values), expected, "{values:?}");
            assert!(!expected.is_finite() && expected.is_sound() && !expected.is_whole());
            let mut wide = sum(&large);
            assert!(wide.is_finite());
            wide.combine(&expected);
            assert_eq!(wide, expected);
            wide.combine(&sum(&large));
            assert_eq!(wide, expected);
            wide.subtract(&sum(&large));
            assert_eq!(wide, expected);
            let mut bytes = Vec::new();
            expected.encode(&mut bytes);
            assert_eq!(bytes, postcard::to_stdvec(&expected).unwrap());
            assert_eq!(postcard::from_bytes::<ExactSum>(&bytes).unwrap(), expected);
        }
        let other_bits = ExactSum(Repr::Pair { high: -f64::NAN, low: 0.0 });
        assert!(!other_bits.is_sound());
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
    fn counts_come_back_as_they_were() {
        for count in [0, 1, (1 << 53) - 1, (1 << 53) + 1, u64::MAX - 1, u64::MAX] {
            assert_eq!(ExactSum::of_count(count).as_count(), Some(count));
        }
        let mut beyond = ExactSum::of_count(u64::MAX);
        beyond.add(1.0);
        assert_eq!(beyond.as_count(), None);
        for not_a_count in [0.5, -1.0, 1e300, f64::MAX] {
            assert_eq!(ExactSum::of(not_a_count).as_count(), None, "{not_a_count}");
        }
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<ExactSum>() <= 24);
    }

    #[test]
    fn a_sum_is_stored_in_as_little_room_as_it_needs() {
        for (values, bytes) in [
            (vec![], 2),
            (vec![127.0], 2),
            (vec![1e6], 1 + 3),
            (vec![9_007_199_254_740_992.0], 1 + 8),
            (vec![9_007_199_254_740_992.0, 2.0], 1 + 8),
            (vec![0.5], 1 + 8),
            (vec![-3.0], 1 + 8),
            (vec![0.1, 0.2], 1 + 16),
        ] {
            let sum = sum(&values);
            let stored = postcard::to_stdvec(&sum).unwrap();
            assert_eq!(stored.len(), bytes, "{values:?}");
            assert_eq!(postcard::from_bytes::<ExactSum>(&stored).unwrap(), sum);
            let mut encoded = Vec::new();
            sum.encode(&mut encoded);
            assert_eq!(encoded, stored);
        }
    }

    #[test]
    fn a_sum_of_an_earlier_version_is_read_and_one_that_nobody_writes_is_not() {
        let pair = [&[0][..], &5_f64.to_le_bytes(), &0_f64.to_le_bytes()].concat();
        assert_eq!(postcard::from_bytes::<ExactSum>(&pair).unwrap(), sum(&[5.0]));
        // 2^53 + 1.
        let beyond = [2, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
        assert!(postcard::from_bytes::<ExactSum>(&beyond).is_err());
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
