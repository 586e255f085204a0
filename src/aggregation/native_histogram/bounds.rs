//! Where the buckets of exponential native histograms are: bit for bit where Prometheus and the Go client have
//! them.
//!
//! A bound is an irrational number, nearly always, and those two do not round it to the nearest one. The zero
//! threshold of a client, or one that is widened here, is such a bound, and whether it cuts a bucket is
//! decided by the last bit.

/// How many bounds there are from each power of two to the next in the finest schema; those of the others are
/// among them.
const FINEST: usize = 1 << 8;

/// 2^(2^-schema) for the schemas from 1 to 8, as Go's `math.Exp2` rounds it.
const FACTOR_BITS: [u64; 8] = [
    0x3ff6_a09e_667f_3bcc,
    0x3ff3_06fe_0a31_b715,
    0x3ff1_72b8_3c7d_517b,
    0x3ff0_b558_6cf9_890f,
    0x3ff0_59b0_d315_8574,
    0x3ff0_2c9a_3e77_8061,
    0x3ff0_163d_a9fb_3335,
    0x3ff0_0b1a_fa5a_bcbf,
];

/// The bounds from 1/2 up to 1, of the finest schema.
const FRACTIONS: [f64; FINEST] = fractions();

/// Each schema has the bounds of the one that is coarser, and between two of them the lower one times its
/// factor: this is how the published tables were made.
const fn fractions() -> [f64; FINEST] {
    let mut fractions = [0.5; FINEST];
    let mut schema = 1;
    while schema <= FACTOR_BITS.len() {
        let step = FINEST >> schema;
        let mut at = step;
        while at < FINEST {
            fractions[at] = fractions[at - step] * f64::from_bits(FACTOR_BITS[schema - 1]);
            at += 2 * step;
        }
        schema += 1;
    }
    fractions
}

/// The upper bound of a positive bucket, which belongs to it; that of the bucket before is its lower bound, which
/// does not. The last bucket of finite numbers ends at the largest one, and the one behind it at infinity.
///
/// The index must be one of [`range`], or the one before them.
pub(super) fn upper(index: i32, schema: i8) -> f64 {
    let (fraction, exponent) = if schema < 0 {
        (0.5, (index << -schema) + 1)
    } else {
        let at = index.rem_euclid(1 << schema) << (8 - schema);
        (FRACTIONS[usize::try_from(at).expect("it is not negative")], index.div_euclid(1 << schema) + 1)
    };
    if fraction == 0.5 && exponent == 1025 { f64::MAX } else { scaled(fraction, exponent) }
}

/// The indexes that buckets of numbers can have: from the bucket of the smallest one to that of infinity.
pub(super) fn range(schema: i8) -> std::ops::RangeInclusive<i32> {
    /// The exponents of the smallest number and of the largest bound, which is above all finite numbers.
    const EXPONENTS: (i32, i32) = (-1074, 1024);
    if schema < 0 {
        coarser(EXPONENTS.0, -schema)..=coarser(EXPONENTS.1 + 1, -schema)
    } else {
        (EXPONENTS.0 << schema)..=(EXPONENTS.1 << schema) + 1
    }
}

/// The bucket that a bucket is in when the schema falls by so much.
pub(super) fn coarser(index: i32, by: i8) -> i32 {
    ((index - 1) >> by) + 1
}

/// `fraction * 2^exponent`, rounded once.
fn scaled(fraction: f64, exponent: i32) -> f64 {
    let power = |exponent: i32| {
        f64::from_bits(u64::try_from(exponent + 1023).expect("half of an exponent is in range") << 52)
    };
    let half = exponent / 2;
    // The first product is neither rounded nor subnormal.
    fraction * power(half) * power(exponent - half)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{SCHEMA_MAX, SCHEMA_MIN};

    /// A few bounds of the published tables of schemas 2, 6 and 8, among them some that are not the nearest
    /// numbers.
    #[test]
    #[allow(clippy::approx_constant, reason = "it is not the nearest number to it")]
    fn bounds_are_those_of_the_published_tables() {
        let fractions = |schema: i8, indexes: [i32; 3]| indexes.map(|index| upper(index, schema) / 2.0);
        assert_eq!(
            fractions(2, [1, 2, 3]),
            [0.594_603_557_501_360_5, 0.707_106_781_186_547_5, 0.840_896_415_253_714_4]
        );
        assert_eq!(
            fractions(6, [1, 17, 63]),
            [0.505_444_643_025_850_2, 0.601_078_365_726_351_5, 0.989_228_013_193_975_2]
        );
        assert_eq!(
            fractions(8, [1, 127, 255]),
            [0.501_355_637_525_101_3, 0.705_194_804_108_635_2, 0.997_296_056_085_469_8]
        );
        // The sum of the bits of all of them.
        let sum = FRACTIONS.iter().fold(0_u64, |sum, fraction| sum.wrapping_add(fraction.to_bits()));
        assert_eq!(sum, 0xe70d_4851_c3a1_0d23);
    }

    #[test]
    fn powers_of_two_are_bounds_of_every_schema() {
        for schema in 0..=SCHEMA_MAX {
            for exponent in [-1074, -1030, -1022, -128, -1, 0, 1, 1023] {
                let expected = if exponent < -1022 {
                    f64::from_bits(1 << (exponent + 1074))
                } else {
                    f64::from_bits(u64::try_from(exponent + 1023).unwrap() << 52)
                };
                assert_eq!(upper(exponent << schema, schema), expected, "2^{exponent} of {schema}");
            }
        }
        assert_eq!(upper(1, -4), 65_536.0);
        assert_eq!(upper(-1, -2), 0.0625);
    }

    #[test]
    fn the_ends_of_the_range_are_the_smallest_number_and_infinity() {
        for schema in SCHEMA_MIN..=SCHEMA_MAX {
            let range = range(schema);
            assert!(upper(*range.start(), schema) >= 5e-324, "{schema}");
            assert!(upper(*range.start() - 1, schema) <= 5e-324, "{schema}");
            assert_eq!(upper(*range.end(), schema), f64::INFINITY, "{schema}");
            assert_eq!(upper(*range.end() - 1, schema), f64::MAX, "{schema}");
        }
        assert_eq!(range(-4), -67..=65);
        assert_eq!(range(0), -1074..=1025);
    }

    proptest! {
        #[test]
        fn a_coarser_bucket_has_the_bounds_of_the_finer_ones_in_it(
            (schema, index) in (SCHEMA_MIN..=SCHEMA_MAX).prop_flat_map(|schema| (Just(schema), range(schema))),
            by in 0_i8..12,
        ) {
            let coarse_schema = (schema - by).max(SCHEMA_MIN);
            let coarse = coarser(index, schema - coarse_schema);
            prop_assert!(range(coarse_schema).contains(&coarse));
            prop_assert!(upper(coarse - 1, coarse_schema) <= upper(index - 1, schema));
            prop_assert!(upper(index, schema) <= upper(coarse, coarse_schema));
            prop_assert!(upper(index - 1, schema) <= upper(index, schema));
            // And in as many steps as one likes.
            let stepwise = (0..schema - coarse_schema).fold(index, |index, _| coarser(index, 1));
            prop_assert_eq!(stepwise, coarse);
            // The last of the finer ones ends where the coarser one ends.
            let last = (i64::from(coarse)) << (schema - coarse_schema);
            if last < i64::from(*range(schema).end()) {
                let last = i32::try_from(last).unwrap();
                prop_assert_eq!(upper(last, schema).to_bits(), upper(coarse, coarse_schema).to_bits());
            }
        }
    }
}
