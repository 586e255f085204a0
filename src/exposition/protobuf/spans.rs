//! The buckets of a native histogram, which stand on the wire as spans of indexes and, apart from these, their
//! counts.
//!
//! Invariant: no work is done for what a span only claims: there must be as many counts as it is long.

use std::ops::RangeInclusive;

use super::error::{Failure, NativeDefect, ParseErrorKind, Side};
use super::messages::BucketSpan;
use crate::model::{SCHEMA_MAX, SCHEMA_MIN};

/// The exponents of the smallest and the largest power of 2 that bounds a bucket that can be populated.
const EXPONENTS: RangeInclusive<i32> = -1074..=1024;

/// The exponential schema of this number, if there is one.
pub(super) fn schema(number: i32) -> Option<i8> {
    i8::try_from(number).ok().filter(|schema| (SCHEMA_MIN..=SCHEMA_MAX).contains(schema))
}

/// The indexes that a bucket can have that holds something: from that of the smallest floating-point number to
/// the one behind that of the largest, where infinity is.
fn indexes(schema: i8) -> RangeInclusive<i64> {
    let index = |exponent: i32| {
        let exponent = i64::from(exponent);
        if schema < 0 { exponent >> -schema } else { exponent << schema }
    };
    index(*EXPONENTS.start())..=index(*EXPONENTS.end()) + 1
}

/// The populated buckets of a histogram with whole counts.
pub(super) fn from_deltas(
    side: Side,
    schema: i8,
    spans: &[BucketSpan],
    deltas: &[i64],
) -> Result<Vec<(i32, u64)>, Failure> {
    let mut count = 0_u64;
    let counts = deltas.iter().map(|&delta| {
        count = count.checked_add_signed(delta)?;
        Some(count)
    });
    place(side, schema, spans, counts, |count| *count != 0)
}

/// The populated buckets of a histogram with counts that need not be whole.
pub(super) fn from_counts(
    side: Side,
    schema: i8,
    spans: &[BucketSpan],
    counts: &[f64],
) -> Result<Vec<(i32, f64)>, Failure> {
    place(side, schema, spans, counts.iter().map(|&count| Some(count)), |count| *count != 0.0)
}

/// Gives each count its index; `None` is a count that there cannot be.
fn place<N>(
    side: Side,
    schema: i8,
    spans: &[BucketSpan],
    mut counts: impl ExactSizeIterator<Item = Option<N>>,
    is_populated: impl Fn(&N) -> bool,
) -> Result<Vec<(i32, N)>, Failure> {
    let defect = |defect| Failure::from(ParseErrorKind::Native { side: Some(side), defect });
    let length: u64 = spans.iter().map(|span| u64::from(span.length.unwrap_or(0))).sum();
    if length != counts.len() as u64 {
        return Err(defect(NativeDefect::Lengths { spans: length, counts: counts.len() }));
    }
    let possible = indexes(schema);
    let mut buckets = Vec::new();
    let mut next = 0_i64;
    for (number, span) in spans.iter().enumerate() {
        let offset = span.offset.unwrap_or(0);
        if number > 0 && offset < 0 {
            return Err(defect(NativeDefect::FallingIndexes));
        }
        next += i64::from(offset);
        for index in next..next + i64::from(span.length.unwrap_or(0)) {
            let count = counts.next().flatten().ok_or_else(|| defect(NativeDefect::FallingBelowZero))?;
            if !is_populated(&count) {
                continue;
            }
            let in_range = i32::try_from(index).ok().filter(|_| possible.contains(&index));
            let index = in_range.ok_or_else(|| defect(NativeDefect::Index { index, schema }))?;
            buckets.push((index, count));
        }
        next += i64::from(span.length.unwrap_or(0));
    }
    Ok(buckets)
}

/// The spans of buckets with ascending indexes.
pub(super) fn of<N>(buckets: &[(i32, N)]) -> Vec<BucketSpan> {
    let mut spans: Vec<BucketSpan> = Vec::new();
    // Where the last span ends.
    let mut end = 0;
    for (index, _) in buckets {
        match spans.last_mut() {
            Some(BucketSpan { length: Some(length), .. }) if *index == end => *length += 1,
            _ => spans.push(BucketSpan { offset: Some(index.wrapping_sub(end)), length: Some(1) }),
        }
        end = index.wrapping_add(1);
    }
    spans
}

/// Each count less the one before it; `None` where a difference does not fit.
pub(super) fn deltas(buckets: &[(i32, u64)]) -> Option<Vec<i64>> {
    let mut before = 0;
    buckets
        .iter()
        .map(|&(_, count)| {
            let delta = i64::try_from(i128::from(count) - i128::from(before)).ok();
            before = count;
            delta
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans(spans: &[(i32, u32)]) -> Vec<BucketSpan> {
        spans
            .iter()
            .map(|&(offset, length)| BucketSpan { offset: Some(offset), length: Some(length) })
            .collect()
    }

    fn read(pairs: &[(i32, u32)], deltas: &[i64]) -> Result<Vec<(i32, u64)>, String> {
        from_deltas(Side::Positive, 0, &spans(pairs), deltas).map_err(|failure| failure.to_string())
    }

    #[test]
    fn spans_say_where_and_deltas_how_many() {
        let buckets = read(&[(-2, 2), (0, 1), (3, 0), (4, 2)], &[1, 2, -3, 5, 0]).unwrap();
        assert_eq!(buckets, [(-2, 1), (-1, 3), (8, 5), (9, 5)]);
        assert_eq!(read(&[], &[]).unwrap(), []);
        assert_eq!(read(&[(0, 0)], &[]).unwrap(), []);
    }

    #[test]
    fn what_does_not_fit_together_is_refused_without_work() {
        for (pairs, deltas, text) in [
            (&[(0, 2)][..], &[1][..], "spans of 2 buckets and 1 counts"),
            (&[(0, 1)], &[1, 1], "spans of 1 buckets and 2 counts"),
            (&[(0, u32::MAX), (0, u32::MAX)], &[1], "spans of 8589934590 buckets and 1 counts"),
            (&[], &[1], "spans of 0 buckets and 1 counts"),
            (&[(0, 1), (-1, 1)], &[1, 1], "negative"),
            (&[(0, 2)], &[1, -2], "below 0"),
            (&[(0, 3)], &[i64::MAX, i64::MAX, i64::MAX], "below 0"),
            (&[(1_026, 1)], &[1], "index 1026"),
            (&[(-1_075, 1)], &[1], "index -1075"),
            (&[(i32::MAX, 2)], &[1, 0], "index 2147483647"),
            (&[(i32::MAX, 1), (i32::MAX, 1)], &[0, 1], "index 4294967295"),
            (&[(i32::MIN, 1)], &[1], "index -2147483648"),
        ] {
            let error = read(pairs, deltas).unwrap_err();
            assert!(error.contains(text), "{pairs:?}: {error}");
        }
    }

    #[test]
    fn the_indexes_of_all_floating_point_numbers_are_possible_and_no_others() {
        assert_eq!(indexes(0), -1_074..=1_025);
        assert_eq!(indexes(8), -274_944..=262_145);
        assert_eq!(indexes(-4), -68..=65);
        for (index, is_possible) in [(-274_944, true), (262_145, true), (-274_945, false), (262_146, false)] {
            let read = from_deltas(Side::Negative, 8, &spans(&[(index, 1)]), &[1]);
            assert_eq!(read.is_ok(), is_possible, "{index}");
        }
        assert_eq!((schema(8), schema(-4)), (Some(8), Some(-4)));
        assert_eq!((schema(9), schema(-5), schema(-53), schema(i32::MIN)), (None, None, None, None));
    }

    #[test]
    fn counts_beyond_what_a_delta_holds_have_none() {
        assert_eq!(deltas(&[(0, 1), (1, 5), (2, 2)]), Some(vec![1, 4, -3]));
        assert_eq!(deltas(&[(0, u64::MAX)]), None);
        let rising = [(0, 1 << 62), (1, u64::MAX >> 1), (2, u64::MAX)];
        assert_eq!(deltas(&rising).map(|deltas| deltas.len()), None);
    }

    proptest! {
        #[test]
        fn buckets_are_read_as_written(
            buckets in proptest::collection::btree_map(-1_074..1_026_i32, 1..u64::MAX >> 1, 0..20),
        ) {
            let buckets: Vec<(i32, u64)> = buckets.into_iter().collect();
            let deltas = deltas(&buckets).expect("they are small enough");
            prop_assert_eq!(from_deltas(Side::Positive, 0, &of(&buckets), &deltas).unwrap(), buckets.clone());
            let floats: Vec<(i32, f64)> =
                buckets.iter().map(|&(index, count)| (index, super::super::number::as_float(count))).collect();
            let counts: Vec<f64> = floats.iter().map(|(_, count)| *count).collect();
            prop_assert_eq!(from_counts(Side::Negative, 0, &of(&floats), &counts).unwrap(), floats);
        }
    }
}
