//! Histograms that are pushed again and again with the same bounds: in which order their counts stand is
//! found out once.

use std::hash::{Hash, Hasher};

use crate::model::Histogram as Pushed;

use super::contribution::Contribution;
use super::error::{count, finite};
use super::histogram::HistogramContribution;

/// Where in a push's numbers those of a histogram stand.
#[derive(Debug, PartialEq)]
pub struct RepeatedHistogram {
    /// By bound, ascending, `+Inf` last: the place of the cumulative count.
    buckets: Box<[(f64, u32)]>,
    sum: Option<u32>,
    /// Where the count stands, if it stands there beside the bucket `+Inf`.
    count: Option<u32>,
}

impl RepeatedHistogram {
    /// Takes over where the numbers stand from a histogram that has their places for numbers. `None` if
    /// it could not be pushed.
    pub fn of(places: &Pushed) -> Option<Self> {
        if places.defect.is_some() {
            return None;
        }
        let mut buckets: Vec<(f64, u32)> = places
            .buckets
            .iter()
            .map(|bucket| (bucket.upper_bound + 0.0, as_place(bucket.cumulative_count)))
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut count = places.count.map(as_place);
        if buckets.last().is_none_or(|last| last.0 != f64::INFINITY) {
            buckets.push((f64::INFINITY, count.take()?));
        }
        let ascends = buckets.is_sorted_by(|a, b| a.0 < b.0) && !buckets[0].0.is_nan();
        ascends.then(|| Self { buckets: buckets.into(), sum: places.sum.map(as_place), count })
    }

    /// What the histogram with these numbers adds, or, if it `replaces`, what takes the place of what is there.
    /// `None` if it must be refused.
    pub fn contribution(&self, numbers: &[f64], replaces: bool) -> Option<Contribution> {
        let number = |place: u32| numbers[place as usize];
        let mut below = 0;
        let mut alone = Vec::with_capacity(self.buckets.len());
        for &(bound, place) in &self.buckets {
            let cumulative = count("the count of a bucket", number(place)).ok()?;
            alone.push((bound, cumulative.checked_sub(below)?));
            below = cumulative;
        }
        if let Some(place) = self.count
            && count("_count", number(place)).ok()? != below
        {
            return None;
        }
        let sum = self.sum.map_or(0.0, number);
        if !replaces {
            finite("_sum", sum).ok()?;
        }
        Some(Contribution::Histogram(Box::new(HistogramContribution::checked(alone, sum))))
    }

    /// Roughly the bytes that it takes.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.buckets)
    }
}

impl Hash for RepeatedHistogram {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { buckets, sum, count } = self;
        buckets.iter().for_each(|(bound, place)| (bound.to_bits(), place).hash(state));
        (sum, count).hash(state);
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place is a small whole number")]
fn as_place(number: f64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Bucket;

    const BOUNDS: [f64; 7] = [f64::INFINITY, 1.0, 0.5, -0.0, 0.0, f64::NAN, 2.5];

    /// A histogram with the numbers that stand at its places.
    fn with_numbers(places: &Pushed, numbers: &[f64]) -> Pushed {
        let number = |place: f64| numbers[as_place(place) as usize];
        let buckets = places
            .buckets
            .iter()
            .map(|bucket| Bucket { cumulative_count: number(bucket.cumulative_count), ..*bucket });
        Pushed {
            buckets: buckets.collect(),
            sum: places.sum.map(number),
            count: places.count.map(number),
            defect: places.defect,
            native: None,
        }
    }

    proptest! {
        #[test]
        fn it_adds_what_the_histogram_adds_that_it_was_made_of(
            bounds in prop::collection::vec(prop::sample::select(&BOUNDS[..]), 0..4),
            has_sum in any::<bool>(),
            has_count in any::<bool>(),
            numbers in prop::collection::vec(
                prop_oneof![
                    4 => (0_u32..4).prop_map(f64::from),
                    1 => prop::sample::select(vec![0.5, -1.0, f64::NAN, f64::INFINITY, 1e16, -0.0]),
                ],
                6,
            ),
            ascending in any::<bool>(),
        ) {
            let mut places = (0..).map(f64::from);
            let mut next = || places.next().unwrap();
            let bucket = |upper_bound| Bucket { upper_bound, cumulative_count: next() };
            let buckets: Vec<_> = bounds.into_iter().map(bucket).collect();
            let sum = has_sum.then(&mut next);
            let count = has_count.then(&mut next);
            let places = Pushed { buckets, sum, count, defect: None, native: None };
            let mut numbers = numbers;
            if ascending {
                numbers.sort_by(f64::total_cmp);
            }
            let expected = HistogramContribution::new(&with_numbers(&places, &numbers)).ok();
            let found = RepeatedHistogram::of(&places).and_then(|repeated| repeated.contribution(&numbers, false));
            prop_assert_eq!(found, expected.map(|histogram| Contribution::Histogram(Box::new(histogram))));
        }
    }

    #[test]
    fn what_replaces_may_have_any_sum() {
        let bucket = Bucket { upper_bound: f64::INFINITY, cumulative_count: 0.0 };
        let places = Pushed { buckets: vec![bucket], sum: Some(1.0), ..Pushed::default() };
        let repeated = RepeatedHistogram::of(&places).unwrap();
        for sum in [f64::INFINITY, f64::NAN] {
            assert_eq!(repeated.contribution(&[2.0, sum], false), None);
            assert!(repeated.contribution(&[2.0, sum], true).is_some());
        }
        assert_eq!(repeated.contribution(&[1.5, 1.0], true), None);
    }
}
