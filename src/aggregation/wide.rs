//! A fixed-point number that can hold any sum of floating-point numbers exactly.
//!
//! Two's complement, in units of the smallest subnormal number. It spans the whole range of `f64` and 64
//! bits more, so it would take 2^64 additions of the largest number to overflow it.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bits below the binary point: the smallest subnormal is 2^-1074.
const MANTISSA_BITS: u32 = 52;

/// 1074 bits below one, 1024 above, 64 for carries, a sign: 2163 bits.
const LIMBS: usize = 34;

/// The number; the lowest limb first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wide([u64; LIMBS]);

impl Default for Wide {
    fn default() -> Self {
        Self([0; LIMBS])
    }
}

impl Wide {
    /// Adds a finite number.
    pub(crate) fn add(&mut self, value: f64) {
        let bits = value.to_bits();
        let exponent = (bits >> MANTISSA_BITS) & 0x7ff;
        let fraction = bits & ((1 << MANTISSA_BITS) - 1);
        let mantissa = if exponent == 0 { fraction } else { fraction | (1 << MANTISSA_BITS) };
        let shift = usize::try_from(exponent.saturating_sub(1)).expect("eleven bits fit");
        let (limb, shift) = (shift / 64, shift % 64);
        let spread = u128::from(mantissa) << shift;
        #[allow(clippy::cast_possible_truncation, reason = "the two halves of the number are taken apart")]
        let parts = [spread as u64, (spread >> 64) as u64];
        if value.is_sign_negative() {
            self.subtract_at(limb, parts);
        } else {
            self.add_at(limb, parts);
        }
    }

    /// Adds another number.
    pub(crate) fn combine(&mut self, other: &Self) {
        let mut carry = false;
        for (own, other) in self.0.iter_mut().zip(other.0) {
            (*own, carry) = add_with_carry(*own, other, carry);
        }
    }

    /// Whether it is zero.
    pub(crate) fn is_zero(&self) -> bool {
        self.0.iter().all(|&limb| limb == 0)
    }

    /// The nearest floating-point number, ties to even; infinite if it is beyond the finite ones.
    pub(crate) fn rounded(&self) -> f64 {
        let is_negative = self.is_negative();
        let magnitude = if is_negative { self.negated() } else { self.clone() };
        let Some(top) = magnitude.highest_bit() else { return 0.0 };
        // Up to 53 bits are a subnormal or normal number as they stand.
        let dropped = top.saturating_sub(MANTISSA_BITS as usize);
        let mut mantissa = magnitude.bits_from(dropped);
        if dropped > 0 && magnitude.bit(dropped - 1) {
            let is_tie = magnitude.is_zero_below(dropped - 1);
            if !is_tie || mantissa & 1 == 1 {
                mantissa += 1;
            }
        }
        // `dropped` bits up: the exponent field counts from 1 for those that drop nothing and are normal. A
        // mantissa that rounding carried over adds one to the exponent by itself.
        let bits = if dropped == 0 { mantissa } else { ((dropped as u64) << MANTISSA_BITS) + mantissa };
        let finite = bits < f64::INFINITY.to_bits();
        let value = if finite { f64::from_bits(bits) } else { f64::INFINITY };
        if is_negative { -value } else { value }
    }

    fn is_negative(&self) -> bool {
        self.0[LIMBS - 1] >> 63 == 1
    }

    /// The number with the other sign.
    pub(crate) fn negated(&self) -> Self {
        let mut negated = Self(self.0.map(|limb| !limb));
        negated.add_at(0, [1, 0]);
        negated
    }

    fn add_at(&mut self, limb: usize, parts: [u64; 2]) {
        let mut carry = false;
        for (i, own) in self.0.iter_mut().enumerate().skip(limb) {
            let part = parts.get(i - limb).copied().unwrap_or(0);
            (*own, carry) = add_with_carry(*own, part, carry);
            if !carry && i > limb {
                break;
            }
        }
    }

    fn subtract_at(&mut self, limb: usize, parts: [u64; 2]) {
        let mut borrow = false;
        for (i, own) in self.0.iter_mut().enumerate().skip(limb) {
            let part = parts.get(i - limb).copied().unwrap_or(0);
            let (difference, first) = own.overflowing_sub(part);
            let (difference, second) = difference.overflowing_sub(u64::from(borrow));
            (*own, borrow) = (difference, first || second);
            if !borrow && i > limb {
                break;
            }
        }
    }

    fn highest_bit(&self) -> Option<usize> {
        let limb = self.0.iter().rposition(|&limb| limb != 0)?;
        Some(limb * 64 + 63 - self.0[limb].leading_zeros() as usize)
    }

    fn bit(&self, bit: usize) -> bool {
        self.0[bit / 64] >> (bit % 64) & 1 == 1
    }

    /// The 64 bits from this one up.
    fn bits_from(&self, bit: usize) -> u64 {
        let (limb, shift) = (bit / 64, bit % 64);
        let low = self.0[limb] >> shift;
        let above = self.0.get(limb + 1).copied().unwrap_or(0);
        if shift == 0 { low } else { low | above << (64 - shift) }
    }

    fn is_zero_below(&self, bit: usize) -> bool {
        let (limb, shift) = (bit / 64, bit % 64);
        self.0[..limb].iter().all(|&limb| limb == 0) && self.0[limb] & ((1 << shift) - 1) == 0
    }
}

fn add_with_carry(a: u64, b: u64, carry: bool) -> (u64, bool) {
    let (sum, first) = a.overflowing_add(b);
    let (sum, second) = sum.overflowing_add(u64::from(carry));
    (sum, first || second)
}

/// Written without the limbs at the top that only repeat the sign.
impl Serialize for Wide {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sign = if self.is_negative() { u64::MAX } else { 0 };
        let used = self.0.iter().rposition(|&limb| limb != sign).map_or(0, |last| last + 1);
        (self.is_negative(), &self.0[..used]).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Wide {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (is_negative, used) = <(bool, Vec<u64>)>::deserialize(deserializer)?;
        let mut limbs = [if is_negative { u64::MAX } else { 0 }; LIMBS];
        limbs
            .get_mut(..used.len())
            .ok_or_else(|| D::Error::custom("a sum has too many digits"))?
            .copy_from_slice(&used);
        let wide = Self(limbs);
        if wide.is_negative() != is_negative {
            return Err(D::Error::custom("a sum contradicts its sign"));
        }
        Ok(wide)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_finite_number_comes_back_as_it_was(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let mut wide = Wide::default();
            wide.add(value);
            prop_assert_eq!(wide.rounded(), value);
            wide.add(-value);
            prop_assert!(wide.is_zero());
        }
    }

    #[test]
    fn rounding_is_to_nearest_with_ties_to_even() {
        let rounded = |values: &[f64]| {
            let mut wide = Wide::default();
            for &value in values {
                wide.add(value);
            }
            wide.rounded()
        };
        let big = 9_007_199_254_740_992.0; // 2^53
        assert_eq!(rounded(&[big, 1.0]), big);
        assert_eq!(rounded(&[big, 1.0, 5e-324]), big + 2.0);
        assert_eq!(rounded(&[big, 2.0, 1.0]), big + 4.0);
        assert_eq!(rounded(&[-big, -1.0, -5e-324]), -big - 2.0);
        assert_eq!(rounded(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(rounded(&[f64::MIN_POSITIVE, -5e-324]), f64::MIN_POSITIVE.next_down());
    }

    /// Ten bytes are the most that one limb takes; a number of either sign takes only those below its top.
    #[test]
    fn a_record_is_no_longer_than_the_number() {
        for value in [5e-324, -5e-324, f64::MIN_POSITIVE, -f64::MIN_POSITIVE] {
            let mut wide = Wide::default();
            wide.add(value);
            let bytes = postcard::to_stdvec(&wide).unwrap();
            assert!(bytes.len() <= 2 + 10, "{value:e} takes {} bytes", bytes.len());
            assert_eq!(postcard::from_bytes::<Wide>(&bytes).unwrap(), wide);
        }
    }

    #[test]
    fn a_record_that_no_sum_has_is_refused() {
        let read = |is_negative: bool, limbs: Vec<u64>| {
            postcard::from_bytes::<Wide>(&postcard::to_stdvec(&(is_negative, limbs)).unwrap())
        };
        assert!(read(false, vec![1; LIMBS]).is_ok());
        assert!(read(false, vec![1; LIMBS + 1]).is_err(), "too many digits");
        assert!(read(false, vec![u64::MAX; LIMBS]).is_err(), "the top digit says negative");
        assert!(read(true, vec![1; LIMBS]).is_err(), "the top digit says positive");
    }
}
