//! Classic histograms: counts per bucket, added over the union of the bounds.
//!
//! Kept as non-cumulative counts; the exposition accumulates. The result is exact at every bound that all
//! pushes share, and never above the truth elsewhere. Cumulative counts cannot be added over a union of
//! bounds: a bucket that a push does not have would be missing its observations.

use serde::{Deserialize, Serialize};

use crate::model::{Bucket, Defect, Histogram as Pushed, Value};

use super::encoding::append_integer;
use super::error::{ValueError, count, finite};
use super::exact_sum::ExactSum;

/// The observations of one push.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramContribution {
    /// By bound, each bound once, `+Inf` last; the counts are not cumulative.
    buckets: Vec<(f64, u64)>,
    sum: f64,
}

impl HistogramContribution {
    /// Checks a pushed histogram and takes the counts apart.
    pub(super) fn new(pushed: &Pushed) -> Result<Self, ValueError> {
        if let Some(defect) = pushed.defect {
            return Err(of_defect(defect));
        }
        let buckets = cumulative(&pushed.buckets, pushed.count)?;
        let sum = finite("_sum", pushed.sum.unwrap_or(0.0))?;
        Ok(Self { buckets: apart(&buckets)?, sum })
    }

    /// Like [`Self::new`], with any sum.
    pub(super) fn with_any_sum(pushed: &Pushed) -> Result<Self, ValueError> {
        let checked = Self::new(&Pushed { sum: None, ..pushed.clone() })?;
        Ok(Self { sum: pushed.sum.unwrap_or(0.0), ..checked })
    }

    /// Of the classic buckets of a histogram that has more than these, with its count.
    pub(super) fn of_buckets(buckets: &[Bucket], count: f64, sum: f64) -> Result<Self, ValueError> {
        Ok(Self { buckets: apart(&cumulative(buckets, Some(count))?)?, sum })
    }

    /// The observations as this type holds them.
    pub(super) fn checked(buckets: Vec<(f64, u64)>, sum: f64) -> Self {
        debug_assert!(buckets.is_sorted_by(|a, b| a.0 < b.0));
        Self { buckets, sum }
    }

    /// How many bounds it has, `+Inf` included.
    pub(super) fn bounds(&self) -> usize {
        self.buckets.len()
    }
}

pub(super) fn of_defect(defect: Defect) -> ValueError {
    match defect {
        Defect::BareSample => {
            ValueError::BareSample { metric_type: "histogram", expected: "_bucket, _sum and _count" }
        }
        Defect::BucketWithoutLe => ValueError::BucketWithoutLe,
        Defect::SecondSum => ValueError::Twice { what: "_sum" },
        Defect::SecondCount => ValueError::Twice { what: "_count" },
    }
}

/// The buckets by bound, each bound once, `+Inf` last. The counts are not yet checked, but that of `+Inf` agrees
/// with the count.
pub(super) fn cumulative(buckets: &[Bucket], count: Option<f64>) -> Result<Vec<Bucket>, ValueError> {
    let mut buckets = sorted(buckets)?;
    complete(&mut buckets, count)?;
    Ok(buckets)
}

/// The buckets by bound, each bound once; a bound of minus zero is zero.
fn sorted(buckets: &[Bucket]) -> Result<Vec<Bucket>, ValueError> {
    if buckets.iter().any(|bucket| bucket.upper_bound.is_nan()) {
        return Err(ValueError::BoundNotANumber);
    }
    let mut buckets: Vec<Bucket> =
        buckets.iter().map(|bucket| Bucket { upper_bound: bucket.upper_bound + 0.0, ..*bucket }).collect();
    if !buckets.is_sorted_by(|a, b| a.upper_bound < b.upper_bound) {
        buckets.sort_by(|a, b| a.upper_bound.total_cmp(&b.upper_bound));
    }
    match buckets.windows(2).find(|pair| pair[0].upper_bound == pair[1].upper_bound) {
        Some(pair) => Err(ValueError::BucketTwice { bound: pair[0].upper_bound }),
        None => Ok(buckets),
    }
}

/// Takes `+Inf` from the count where it is missing, and compares the two where it is not.
fn complete(buckets: &mut Vec<Bucket>, count: Option<f64>) -> Result<(), ValueError> {
    let infinite = buckets.last().filter(|last| last.upper_bound == f64::INFINITY);
    match (infinite.map(|bucket| bucket.cumulative_count), count) {
        (None, None) => Err(ValueError::CountMissing),
        (None, Some(count)) => {
            buckets.push(Bucket { upper_bound: f64::INFINITY, cumulative_count: count });
            Ok(())
        }
        (Some(_), None) => Ok(()),
        // Compared so that a count that is not a number is refused as such, later.
        (Some(infinite), Some(count)) if infinite == count || count.is_nan() || infinite.is_nan() => {
            if count.is_nan() { finite("_count", count).map(|_| ()) } else { Ok(()) }
        }
        (Some(infinite), Some(count)) => Err(ValueError::CountContradiction { infinite, count }),
    }
}

/// From cumulative counts to those of each bucket alone.
fn apart(buckets: &[Bucket]) -> Result<Vec<(f64, u64)>, ValueError> {
    let mut below = 0;
    let mut alone = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        let cumulative = count("the count of a bucket", bucket.cumulative_count)?;
        let own = cumulative.checked_sub(below).ok_or_else(|| ValueError::FallingBuckets {
            bound: bucket.upper_bound,
            count: bucket.cumulative_count,
            below: as_float(below),
        })?;
        alone.push((bucket.upper_bound, own));
        below = cumulative;
    }
    Ok(alone)
}

#[allow(clippy::cast_precision_loss, reason = "the exposition format has floating-point numbers")]
fn as_float(count: u64) -> f64 {
    count as f64
}

/// All observations so far.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// By bound, each bound once, `+Inf` last; the counts are not cumulative, and saturate.
    buckets: Box<[(f64, u64)]>,
    sum: ExactSum,
}

impl Clone for Histogram {
    fn clone(&self) -> Self {
        Self { buckets: self.buckets.clone(), sum: self.sum.clone() }
    }

    /// Allocates nothing where there are as many buckets.
    fn clone_from(&mut self, source: &Self) {
        self.buckets.clone_from(&source.buckets);
        self.sum.clone_from(&source.sum);
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: Box::new([(f64::INFINITY, 0)]), sum: ExactSum::default() }
    }
}

impl Histogram {
    /// How many bounds there are.
    pub(super) fn bounds(&self) -> usize {
        self.buckets.len()
    }

    /// Whether it is what this code makes, as against what a store could hold: bounds that ascend, up to
    /// `+Inf`.
    pub(super) fn is_sound(&self) -> bool {
        self.buckets.is_sorted_by(|a, b| a.0 < b.0)
            && self.buckets.last().is_some_and(|last| last.0 == f64::INFINITY)
            && !self.buckets[0].0.is_nan()
            && self.sum.is_sound()
    }

    /// Roughly the bytes that it takes.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.buckets.len() * size_of::<(f64, u64)>()
    }

    /// Whether a push can be absorbed: there may be so many bounds and no more.
    pub(super) fn check(
        &self,
        contribution: &HistogramContribution,
        bounds_max: usize,
    ) -> Result<(), ValueError> {
        self.check_bounds(&contribution.buckets, bounds_max)
    }

    /// Whether another one can be combined with it.
    pub(super) fn check_combined(&self, other: &Self, bounds_max: usize) -> Result<(), ValueError> {
        self.check_bounds(&other.buckets, bounds_max)
    }

    fn check_bounds(&self, pushed: &[(f64, u64)], bounds_max: usize) -> Result<(), ValueError> {
        // All have +Inf. Most are so far from the limit that the bounds need not be looked at.
        if self.buckets.len() + pushed.len() - 1 <= bounds_max {
            return Ok(());
        }
        let found = self.bounds_with(pushed);
        if found <= bounds_max || found == self.buckets.len() {
            Ok(())
        } else {
            Err(ValueError::TooManyBounds { found, max: bounds_max })
        }
    }

    /// How many bounds there would be together with those of a push.
    fn bounds_with(&self, buckets: &[(f64, u64)]) -> usize {
        if self.has_bounds_of(buckets) {
            return self.buckets.len();
        }
        let new = buckets
            .iter()
            .filter(|(bound, _)| self.buckets.binary_search_by(|(own, _)| own.total_cmp(bound)).is_err());
        self.buckets.len() + new.count()
    }

    /// Adds the observations of a push. True if a total is now beyond what can be shown.
    pub(super) fn absorb(&mut self, contribution: &HistogramContribution) -> bool {
        self.sum.add(contribution.sum);
        self.add(&contribution.buckets) || self.count_saturates() || self.sum.is_saturated()
    }

    /// Whether all buckets together are more than the count can show.
    fn count_saturates(&self) -> bool {
        self.buckets.iter().try_fold(0_u64, |total, (_, count)| total.checked_add(*count)).is_none()
    }

    /// All observations.
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |total, (_, count)| total.saturating_add(*count))
    }

    /// Their sum.
    pub(super) fn sum(&self) -> &ExactSum {
        &self.sum
    }

    /// Appends the observations to a record.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        append_integer(out, self.buckets.len() as u64);
        for (bound, count) in &self.buckets {
            out.extend_from_slice(&bound.to_le_bytes());
            append_integer(out, *count);
        }
        self.sum.encode(out);
    }

    /// Adds those of another one. True if a total is now beyond what can be shown.
    pub(super) fn combine(&mut self, other: &Self) -> bool {
        self.sum.combine(&other.sum);
        self.add(&other.buckets) || self.count_saturates() || self.sum.is_saturated()
    }

    /// Adds counts bound by bound; true if one saturates.
    fn add(&mut self, buckets: &[(f64, u64)]) -> bool {
        let mut saturated = false;
        let mut add = |own: &mut u64, count: u64| {
            saturated |= own.checked_add(count).is_none();
            *own = own.saturating_add(count);
        };
        if self.has_bounds_of(buckets) {
            for ((_, own), (_, count)) in self.buckets.iter_mut().zip(buckets) {
                add(own, *count);
            }
            return saturated;
        }
        let mut union = Vec::with_capacity(self.buckets.len() + buckets.len());
        let (mut own, mut other) = (self.buckets.iter().peekable(), buckets.iter().peekable());
        while let Some(&&(bound, count)) =
            own.peek().into_iter().chain(other.peek()).min_by(|a, b| a.0.total_cmp(&b.0))
        {
            let mut total = 0;
            for side in [&mut own, &mut other] {
                if let Some((_, count)) = side.next_if(|(next, _)| *next == bound) {
                    add(&mut total, *count);
                }
            }
            debug_assert!(total >= count);
            union.push((bound, total));
        }
        self.buckets = union.into();
        saturated
    }

    fn has_bounds_of(&self, buckets: &[(f64, u64)]) -> bool {
        self.buckets.len() == buckets.len()
            && self.buckets.iter().zip(buckets).all(|(own, other)| own.0 == other.0)
    }

    pub(super) fn expose(&self) -> Value {
        Value::Histogram(Box::new(self.shown()))
    }

    /// What is shown of it.
    pub(super) fn shown(&self) -> Pushed {
        let mut total = 0_u64;
        let buckets = self.buckets.iter().map(|&(upper_bound, count)| {
            total = total.saturating_add(count);
            Bucket { upper_bound, cumulative_count: as_float(total) }
        });
        Pushed {
            buckets: buckets.collect(),
            sum: Some(self.sum.value()),
            count: Some(as_float(total)),
            defect: None,
            native: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pushed(buckets: &[(f64, f64)], count: Option<f64>) -> Pushed {
        let buckets = buckets
            .iter()
            .map(|&(upper_bound, cumulative_count)| Bucket { upper_bound, cumulative_count })
            .collect();
        Pushed { buckets, sum: Some(1.5), count, defect: None, native: None }
    }

    fn merged(parts: &[&[(f64, f64)]]) -> Vec<(f64, f64)> {
        let mut histogram = Histogram::default();
        for part in parts {
            histogram.absorb(&HistogramContribution::new(&pushed(part, None)).unwrap());
        }
        shown(&histogram)
    }

    fn shown(histogram: &Histogram) -> Vec<(f64, f64)> {
        let Value::Histogram(shown) = histogram.expose() else { unreachable!() };
        assert_eq!(shown.count, shown.buckets.last().map(|bucket| bucket.cumulative_count));
        shown.buckets.iter().map(|bucket| (bucket.upper_bound, bucket.cumulative_count)).collect()
    }

    const INF: f64 = f64::INFINITY;

    #[test]
    fn buckets_are_added_over_the_union_of_their_bounds() {
        let shown = merged(&[&[(1.0, 10.0), (INF, 10.0)], &[(2.0, 1.0), (INF, 1.0)]]);
        assert_eq!(shown, [(1.0, 10.0), (2.0, 11.0), (INF, 11.0)]);
    }

    #[test]
    fn equal_bounds_add_in_place() {
        let shown = merged(&[&[(1.0, 1.0), (INF, 3.0)], &[(1.0, 2.0), (INF, 2.0)]]);
        assert_eq!(shown, [(1.0, 3.0), (INF, 5.0)]);
    }

    #[test]
    fn the_order_of_the_lines_does_not_matter() {
        assert_eq!(merged(&[&[(INF, 3.0), (-0.0, 1.0), (2.0, 2.0)]]), [(0.0, 1.0), (2.0, 2.0), (INF, 3.0)]);
    }

    #[test]
    fn infinity_is_taken_from_the_count_and_the_other_way_round() {
        let contribution = |buckets, count| HistogramContribution::new(&pushed(buckets, count));
        let both = contribution(&[(1.0, 1.0), (INF, 2.0)], Some(2.0)).unwrap();
        assert_eq!(contribution(&[(1.0, 1.0)], Some(2.0)).unwrap(), both);
        assert_eq!(contribution(&[(1.0, 1.0), (INF, 2.0)], None).unwrap(), both);
        assert_eq!(contribution(&[(1.0, 1.0)], None), Err(ValueError::CountMissing));
        let contradiction = contribution(&[(INF, 2.0)], Some(3.0));
        assert!(matches!(contradiction, Err(ValueError::CountContradiction { .. })));
        assert!(matches!(contribution(&[(1.0, 3.0)], Some(2.0)), Err(ValueError::FallingBuckets { .. })));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused =
            |buckets: &[(f64, f64)]| HistogramContribution::new(&pushed(buckets, None)).unwrap_err();
        assert!(matches!(refused(&[(1.0, 2.0), (INF, 1.0)]), ValueError::FallingBuckets { .. }));
        assert_eq!(refused(&[(1.0, 1.0), (1.0, 1.0), (INF, 1.0)]), ValueError::BucketTwice { bound: 1.0 });
        assert_eq!(refused(&[(0.0, 1.0), (-0.0, 1.0), (INF, 1.0)]), ValueError::BucketTwice { bound: 0.0 });
        assert_eq!(refused(&[(f64::NAN, 1.0), (INF, 1.0)]), ValueError::BoundNotANumber);
        assert!(matches!(refused(&[(1.0, 0.5), (INF, 1.0)]), ValueError::NotWhole { .. }));
        assert!(matches!(refused(&[(INF, -1.0)]), ValueError::Negative { .. }));
        assert!(matches!(refused(&[(INF, f64::NAN)]), ValueError::NotFinite { .. }));
        let nan_count = HistogramContribution::new(&pushed(&[(INF, 1.0)], Some(f64::NAN)));
        assert!(matches!(nan_count, Err(ValueError::NotFinite { .. })));
        let infinite = Pushed { sum: Some(INF), ..pushed(&[(INF, 1.0)], None) };
        assert!(matches!(HistogramContribution::new(&infinite), Err(ValueError::NotFinite { .. })));
        for (defect, text) in [
            (Defect::BareSample, "bare name"),
            (Defect::BucketWithoutLe, "\"le\""),
            (Defect::SecondSum, "_sum"),
            (Defect::SecondCount, "_count"),
        ] {
            let pushed = Pushed { defect: Some(defect), ..pushed(&[(INF, 1.0)], None) };
            let error = HistogramContribution::new(&pushed).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn counts_saturate_and_stay_consistent() {
        let mut histogram =
            Histogram { buckets: Box::new([(1.0, u64::MAX - 1), (INF, 5)]), ..Histogram::default() };
        let more = HistogramContribution::new(&pushed(&[(1.0, 3.0), (INF, 4.0)], None)).unwrap();
        assert!(histogram.absorb(&more));
        let shown = shown(&histogram);
        assert!(shown[0].1 <= shown[1].1);
    }

    #[test]
    fn a_total_that_saturates_is_told_even_where_no_bucket_does() {
        let half = 1 << 63;
        let mut histogram =
            Histogram { buckets: Box::new([(1.0, half), (INF, half - 2)]), ..Histogram::default() };
        let one = HistogramContribution::new(&pushed(&[(1.0, 1.0), (INF, 1.0)], None)).unwrap();
        assert!(!histogram.absorb(&one), "it is just what a count can hold");
        assert!(histogram.absorb(&one));
    }

    fn any_part() -> impl Strategy<Value = Vec<(f64, f64)>> {
        let bounds = proptest::collection::btree_set(0_u8..6, 0..5);
        (bounds, proptest::collection::vec(0_u16..100, 6)).prop_map(|(bounds, counts)| {
            let mut total = 0.0;
            let mut part = Vec::new();
            for (bound, count) in bounds.iter().map(|bound| f64::from(*bound)).chain([INF]).zip(counts) {
                total += f64::from(count);
                part.push((bound, total));
            }
            part
        })
    }

    proptest! {
        #[test]
        fn order_and_grouping_do_not_matter_and_buckets_never_fall(
            parts in proptest::collection::vec(any_part(), 1..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let of = |parts: &[Vec<(f64, f64)>]| {
                let mut histogram = Histogram::default();
                for part in parts {
                    let contribution = HistogramContribution::new(&pushed(part, None)).unwrap();
                    let bounds = histogram.bounds_with(&contribution.buckets);
                    histogram.absorb(&contribution);
                    assert_eq!(histogram.buckets.len(), bounds);
                }
                histogram
            };
            let whole = of(&parts);
            let (left, right) = parts.split_at(cut.index(parts.len() + 1));
            let mut combined = of(right);
            combined.combine(&of(left));
            prop_assert_eq!(&combined, &whole);
            let reversed: Vec<_> = parts.iter().rev().cloned().collect();
            prop_assert_eq!(&of(&reversed), &whole);

            let shown = shown(&whole);
            prop_assert!(shown.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
            // Never above the truth, and exact where all have the bound.
            for &(bound, count) in &shown {
                let at = |part: &Vec<(f64, f64)>| part.iter().find(|own| own.0 == bound).map(|own| own.1);
                if let Some(exact) = parts.iter().map(at).collect::<Option<Vec<f64>>>() {
                    prop_assert_eq!(count, exact.iter().sum::<f64>());
                }
            }
        }
    }
}
