//! Exponential buckets: at regular places, of which only the populated ones are kept.
//!
//! The schema is the smallest one pushed, or a smaller one at which there are few enough buckets. Which that is
//! depends on what was pushed and not on the order: whatever is reduced on the way has at least as many
//! buckets in the end, at any schema, so it would have to be reduced by as much, and reducing in steps gives
//! what reducing at once gives.

use serde::{Deserialize, Serialize};

use crate::model::SCHEMA_MIN;

use super::super::error::ValueError;
use super::super::exact_sum::ExactSum;
use super::bounds;
use super::tallies::Tallies;

/// Populated buckets, both sides together. At the coarsest schema there may be more: that has 133 on each side.
const BUCKETS_MAX: usize = 160;

/// Distinct zero thresholds.
const ZERO_THRESHOLDS_MAX: usize = 16;

/// Zero buckets and the populated ones on both sides.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Exponential {
    schema: i8,
    /// By threshold. Kept apart: at which threshold they are shown depends on all that has been pushed, and
    /// a count that was moved from one to the other could not go back.
    zero: Tallies<f64>,
    positive: Tallies<i32>,
    negative: Tallies<i32>,
}

impl Clone for Exponential {
    fn clone(&self) -> Self {
        Self {
            schema: self.schema,
            zero: self.zero.clone(),
            positive: self.positive.clone(),
            negative: self.negative.clone(),
        }
    }

    fn clone_from(&mut self, source: &Self) {
        self.schema = source.schema;
        self.zero.clone_from(&source.zero);
        self.positive.clone_from(&source.positive);
        self.negative.clone_from(&source.negative);
    }
}

impl Exponential {
    /// Of checked buckets and one zero bucket: its threshold and its count.
    pub(super) fn new(
        schema: i8,
        zero: (f64, f64),
        positive: &[(i32, f64)],
        negative: &[(i32, f64)],
    ) -> Self {
        let populated =
            |side: &[(i32, f64)]| Tallies::new(side.iter().copied().filter(|(_, count)| *count > 0.0));
        let (positive, negative) = (populated(positive), populated(negative));
        let mut buckets = Self { schema, zero: Tallies::new([zero]), positive, negative };
        buckets.fit();
        buckets
    }

    pub(super) fn schema(&self) -> i8 {
        self.schema
    }

    /// All counts.
    pub(super) fn counts(&self) -> impl Iterator<Item = &ExactSum> {
        let zero = self.zero.iter().map(|(_, count)| count);
        zero.chain(self.positive.iter().chain(self.negative.iter()).map(|(_, count)| count))
    }

    /// Whether others can be combined with them: there may be so many zero thresholds and no more.
    pub(super) fn check(&self, other: &Self) -> Result<(), ValueError> {
        let found = self.zero.len_with(&other.zero);
        if found <= ZERO_THRESHOLDS_MAX || found == self.zero.len() {
            Ok(())
        } else {
            Err(ValueError::TooManyZeroThresholds { found, max: ZERO_THRESHOLDS_MAX })
        }
    }

    /// Adds others, at the smaller of the two schemas.
    pub(super) fn combine(&mut self, other: &Self) {
        if other.schema < self.schema {
            self.coarsen(self.schema - other.schema);
        }
        let by = other.schema - self.schema;
        self.zero.combine(&other.zero);
        for (own, other) in [(&mut self.positive, &other.positive), (&mut self.negative, &other.negative)] {
            own.add(other.iter().map(|(index, count)| (bounds::coarser(*index, by), count)));
        }
        self.fit();
    }

    /// Whether they are what this code makes, as against what a store could hold.
    pub(super) fn is_sound(&self, is_sound: impl Fn(&ExactSum) -> bool) -> bool {
        let schemas = SCHEMA_MIN..=crate::model::SCHEMA_MAX;
        if !schemas.contains(&self.schema) {
            return false;
        }
        let range = bounds::range(self.schema);
        let side_is_sound = |side: &Tallies<i32>| {
            side.is_sound(|count| is_sound(count) && count.value() > 0.0)
                && side.iter().all(|(index, _)| range.contains(index))
        };
        self.zero.is_sound(&is_sound)
            && self.zero.len() > 0
            && self.zero.iter().all(|(threshold, _)| threshold.is_finite() && threshold.is_sign_positive())
            && side_is_sound(&self.positive)
            && side_is_sound(&self.negative)
            && (self.schema == SCHEMA_MIN || self.populated() <= BUCKETS_MAX)
    }

    /// Roughly the bytes that they take.
    pub(super) fn weight(&self) -> usize {
        self.zero.weight() + self.positive.weight() + self.negative.weight()
    }

    /// One zero bucket, its threshold first, and the populated buckets outside of it, the positive ones first.
    ///
    /// The threshold is the largest one pushed, or, if that cuts a populated bucket, the outer bound of
    /// that: so much of what is in it as is above the threshold cannot be told from the rest. Neither the
    /// threshold nor a count ever falls from push to push, and no bucket vanishes but into this one.
    pub(super) fn resolved(&self) -> (f64, ExactSum, [Vec<(i32, &ExactSum)>; 2]) {
        let sides = [&self.positive, &self.negative];
        let largest = self.zero.last().expect("there is a zero bucket in every push");
        let cut = sides.iter().find_map(|side| self.bucket_cut_by(largest, side));
        let threshold = cut.map_or(largest, |index| bounds::upper(index, self.schema));
        let mut zero = ExactSum::default();
        self.zero.iter().for_each(|(_, count)| zero.combine(count));
        let outside = sides.map(|side| {
            let mut outside = Vec::with_capacity(side.len());
            for (index, count) in side.iter() {
                if self.lower(*index) < threshold {
                    zero.combine(count);
                } else {
                    outside.push((*index, count));
                }
            }
            outside
        });
        (threshold, zero, outside)
    }

    /// The populated bucket that has this threshold inside, if there is one. On both sides that is the same one.
    fn bucket_cut_by(&self, threshold: f64, side: &Tallies<i32>) -> Option<i32> {
        let within = side.iter().map(|(index, _)| *index).take_while(|index| self.lower(*index) < threshold);
        within.last().filter(|index| threshold < bounds::upper(*index, self.schema))
    }

    fn lower(&self, index: i32) -> f64 {
        bounds::upper(index - 1, self.schema)
    }

    fn populated(&self) -> usize {
        self.positive.len() + self.negative.len()
    }

    fn fit(&mut self) {
        while self.populated() > BUCKETS_MAX && self.schema > SCHEMA_MIN {
            self.coarsen(1);
        }
    }

    fn coarsen(&mut self, by: i8) {
        self.schema -= by;
        self.positive.coarsen(by);
        self.negative.coarsen(by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(schema: i8, zero: (f64, f64), positive: &[(i32, f64)], negative: &[(i32, f64)]) -> Exponential {
        Exponential::new(schema, zero, positive, negative)
    }

    type Side = Vec<(i32, f64)>;

    fn shown(buckets: &Exponential) -> (f64, f64, Side, Side) {
        let (threshold, zero, [positive, negative]) = buckets.resolved();
        let numbers = |side: Vec<(i32, &ExactSum)>| side.iter().map(|(i, sum)| (*i, sum.value())).collect();
        (threshold, zero.value(), numbers(positive), numbers(negative))
    }

    #[test]
    fn the_smaller_schema_counts() {
        let fine = of(1, (0.0, 1.0), &[(-1, 1.0), (0, 1.0), (1, 2.0), (2, 4.0), (3, 8.0)], &[(4, 1.0)]);
        let coarse = of(0, (0.0, 2.0), &[(1, 16.0)], &[]);
        let (mut there, mut back) = (fine.clone(), coarse.clone());
        there.combine(&coarse);
        back.combine(&fine);
        assert_eq!(there, back);
        assert_eq!(there.schema(), 0);
        assert_eq!(shown(&there), (0.0, 3.0, vec![(0, 2.0), (1, 22.0), (2, 8.0)], vec![(2, 1.0)]));
    }

    #[test]
    fn a_threshold_inside_a_populated_bucket_is_widened_to_its_outer_bound() {
        // Bucket 1 of schema 0 is from 1 to 2.
        let buckets = of(0, (1.5, 1.0), &[(0, 2.0), (1, 4.0), (2, 8.0)], &[(1, 16.0), (3, 32.0)]);
        assert_eq!(shown(&buckets), (2.0, 23.0, vec![(2, 8.0)], vec![(3, 32.0)]));
        let only_negative = of(0, (1.5, 1.0), &[(2, 8.0)], &[(1, 16.0)]);
        assert_eq!(shown(&only_negative), (2.0, 17.0, vec![(2, 8.0)], vec![]));
        let uncut = of(0, (1.5, 1.0), &[(0, 2.0), (2, 8.0)], &[]);
        assert_eq!(shown(&uncut), (1.5, 3.0, vec![(2, 8.0)], vec![]));
        let at_a_bound = of(0, (2.0, 1.0), &[(1, 2.0), (2, 8.0)], &[]);
        assert_eq!(shown(&at_a_bound), (2.0, 3.0, vec![(2, 8.0)], vec![]));
    }

    #[test]
    fn zero_buckets_are_kept_apart_and_shown_at_the_largest_threshold() {
        let mut buckets = of(0, (0.25, 1.0), &[(0, 1.0)], &[]);
        buckets.combine(&of(0, (0.0, 2.0), &[(-5, 1.0)], &[]));
        buckets.combine(&of(0, (0.25, 4.0), &[], &[]));
        assert_eq!(buckets.zero.len(), 2);
        assert_eq!(shown(&buckets), (0.25, 8.0, vec![(0, 1.0)], vec![]));
    }

    #[test]
    fn sixteen_thresholds_are_the_most() {
        let with = |threshold: u8| of(0, (f64::from(threshold), 0.0), &[], &[]);
        let mut buckets = with(0);
        for threshold in 1..16 {
            assert_eq!(buckets.check(&with(threshold)), Ok(()));
            buckets.combine(&with(threshold));
        }
        assert_eq!(buckets.check(&with(3)), Ok(()));
        assert_eq!(
            buckets.check(&with(16)),
            Err(ValueError::TooManyZeroThresholds { found: 17, max: ZERO_THRESHOLDS_MAX })
        );
    }

    #[test]
    fn the_schema_falls_until_the_buckets_fit() {
        let many = |count: i32| (1..=count).map(|index| (index, 1.0)).collect::<Vec<_>>();
        assert_eq!(of(3, (0.0, 0.0), &many(80), &many(80)).schema(), 3);
        assert_eq!(of(3, (0.0, 0.0), &many(81), &many(80)).schema(), 2);
        let mut step_by_step = of(3, (0.0, 0.0), &many(160), &[]);
        step_by_step.combine(&of(3, (0.0, 0.0), &[(1000, 1.0)], &[]));
        assert_eq!((step_by_step.schema(), step_by_step.positive.len()), (2, 81));
        let all: Vec<_> = bounds::range(SCHEMA_MIN).map(|index| (index, 1.0)).collect();
        let coarsest = of(SCHEMA_MIN, (0.0, 0.0), &all, &all);
        assert_eq!(coarsest.populated(), 266);
        assert!(coarsest.is_sound(ExactSum::is_sound));
    }

    #[test]
    fn what_a_store_must_not_hold_is_noticed() {
        let sound = |change: &dyn Fn(&mut Exponential)| {
            let mut buckets = of(0, (0.25, 1.0), &[(0, 1.0), (5, 1.0)], &[(3, 1.0)]);
            change(&mut buckets);
            buckets.is_sound(ExactSum::is_sound)
        };
        let index = |index: i32| Tallies::new([(index, 1.0)]);
        assert!(sound(&|_| {}));
        assert!(!sound(&|buckets| buckets.schema = 9));
        assert!(!sound(&|buckets| buckets.schema = -5));
        assert!(!sound(&|buckets| buckets.positive = index(i32::MIN)));
        assert!(!sound(&|buckets| buckets.negative = index(1026)));
        assert!(!sound(&|buckets| buckets.positive = Tallies::new([(2, 1.0), (1, 1.0)])));
        assert!(!sound(&|buckets| buckets.positive = Tallies::new([(2, 0.0)])));
        assert!(!sound(&|buckets| buckets.zero = Tallies::new([])));
        assert!(!sound(&|buckets| buckets.zero = Tallies::new([(f64::NAN, 1.0)])));
        assert!(!sound(&|buckets| buckets.zero = Tallies::new([(-0.0, 1.0)])));
        assert!(!sound(&|buckets| buckets.positive = Tallies::new((0..161).map(|index| (index, 1.0)))));
    }
}
