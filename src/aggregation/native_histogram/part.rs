//! The native part: its buckets, whole or not, exponential or with custom bounds.

use serde::{Deserialize, Serialize};

use crate::model::{
    CUSTOM_BUCKETS_SCHEMA, Counts, NativeCounts, NativeHistogram as Pushed, SCHEMA_MAX, SCHEMA_MIN,
};

use super::super::error::{COUNT_MAX, ValueError, increment};
use super::super::exact_sum::ExactSum;
use super::super::state::Absorbed;
use super::exponential::Exponential;
use super::tallies::Tallies;
use super::{Observations, Sum, bounds, is_count};

/// What was pushed with native buckets.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::aggregation) struct NativePart {
    /// All that was pushed with them; observations that are not a number are in no bucket.
    observations: Observations,
    /// Whether any push had counts that need not be whole. Then the whole is shown so, too.
    is_float: bool,
    buckets: Buckets,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Buckets {
    Exponential(Exponential),
    /// By upper bound, `+Inf` last; counts that are zero included, for the sake of the bound.
    Custom(Tallies<f64>),
}

impl Clone for NativePart {
    fn clone(&self) -> Self {
        Self {
            observations: self.observations.clone(),
            is_float: self.is_float,
            buckets: self.buckets.clone(),
        }
    }

    fn clone_from(&mut self, source: &Self) {
        self.observations.clone_from(&source.observations);
        self.is_float = source.is_float;
        self.buckets.clone_from(&source.buckets);
    }
}

impl Clone for Buckets {
    fn clone(&self) -> Self {
        match self {
            Self::Exponential(buckets) => Self::Exponential(buckets.clone()),
            Self::Custom(buckets) => Self::Custom(buckets.clone()),
        }
    }

    fn clone_from(&mut self, source: &Self) {
        match (self, source) {
            (Self::Exponential(own), Self::Exponential(source)) => own.clone_from(source),
            (Self::Custom(own), Self::Custom(source)) => own.clone_from(source),
            (own, source) => *own = source.clone(),
        }
    }
}

impl NativePart {
    /// Checks what was pushed, with the sum that came with it.
    pub(super) fn new(pushed: &Pushed, sum: Sum) -> Result<Self, ValueError> {
        let is_float = matches!(pushed.counts, NativeCounts::Float(_));
        let counts = match &pushed.counts {
            NativeCounts::Integer(counts) => checked(counts, whole)?,
            NativeCounts::Float(counts) => checked(counts, increment)?,
        };
        let buckets = if pushed.schema == CUSTOM_BUCKETS_SCHEMA {
            Buckets::Custom(custom(pushed, &counts)?)
        } else {
            Buckets::Exponential(exponential(pushed, &counts)?)
        };
        let observations = Observations { count: ExactSum::of(counts.count), sum };
        let part = Self { observations, is_float, buckets };
        if part.adds_up() {
            return Ok(part);
        }
        Err(ValueError::NativeCountContradiction { buckets: part.in_buckets().value(), count: counts.count })
    }

    pub(super) fn observations(&self) -> &Observations {
        &self.observations
    }

    /// How many custom bounds it has, `+Inf` included.
    pub(super) fn bounds(&self) -> usize {
        match &self.buckets {
            Buckets::Exponential(_) => 0,
            Buckets::Custom(buckets) => buckets.len(),
        }
    }

    /// Whether another one can be combined with it.
    pub(super) fn check(&self, other: &Self, bounds_max: usize) -> Result<(), ValueError> {
        match (&self.buckets, &other.buckets) {
            (Buckets::Exponential(own), Buckets::Exponential(other)) => own.check(other),
            (Buckets::Custom(own), Buckets::Custom(other)) => {
                let found = own.len_with(other);
                if found <= bounds_max || found == own.len() {
                    Ok(())
                } else {
                    Err(ValueError::TooManyBounds { found, max: bounds_max })
                }
            }
            (own, other) => Err(ValueError::OtherBuckets { pushed: other.kind(), stored: own.kind() }),
        }
    }

    /// Adds another one. Where one is exponential and the other is not, which [`Self::check`] refuses and only
    /// two gateways that know nothing of each other can have come to, the exponential one stands.
    pub(super) fn combine(&mut self, other: &Self) -> Absorbed {
        let mut restarted = false;
        match (&mut self.buckets, &other.buckets) {
            (Buckets::Exponential(own), Buckets::Exponential(other)) => own.combine(other),
            (Buckets::Custom(own), Buckets::Custom(other)) => restarted = own.combine(other),
            (Buckets::Exponential(_), Buckets::Custom(_)) => return Absorbed::default(),
            (Buckets::Custom(_), Buckets::Exponential(_)) => {
                self.clone_from(other);
                return Absorbed::default();
            }
        }
        self.observations.combine(&other.observations);
        self.is_float |= other.is_float;
        Absorbed { saturated: self.observations.is_saturated(), restarted }
    }

    /// Whether it is what this code makes, as against what a store could hold.
    pub(super) fn is_sound(&self) -> bool {
        let is_sound = |sum: &ExactSum| is_count(sum) && (self.is_float || sum.is_whole());
        let buckets_are_sound = match &self.buckets {
            Buckets::Exponential(buckets) => buckets.is_sound(is_sound),
            Buckets::Custom(buckets) => {
                buckets.is_sound(is_sound)
                    && buckets.last() == Some(f64::INFINITY)
                    && buckets.iter().rev().skip(1).all(|(bound, _)| bound.is_finite())
            }
        };
        buckets_are_sound
            && self.observations.is_sound()
            && (self.is_float || self.observations.count.is_whole() && self.adds_up())
    }

    /// Roughly the bytes that it takes, itself aside.
    pub(super) fn weight(&self) -> usize {
        match &self.buckets {
            Buckets::Exponential(buckets) => buckets.weight(),
            Buckets::Custom(buckets) => buckets.weight(),
        }
    }

    /// What is shown of it, without a sum of its own. Whole counts are shown as such up to 2^64 - 1.
    pub(super) fn shown(&self) -> Pushed {
        let (schema, zero_threshold, custom_bounds, sums) = match &self.buckets {
            Buckets::Exponential(buckets) => {
                let (zero_threshold, zero, [positive, negative]) = buckets.resolved();
                let count = &self.observations.count;
                (buckets.schema(), zero_threshold, Vec::new(), Sums { count, zero, positive, negative })
            }
            Buckets::Custom(buckets) => {
                let bounds = buckets.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite());
                let populated =
                    (0..).zip(buckets.iter()).map(|(index, (_, count))| (index, count)).filter(is_populated);
                let count = &self.observations.count;
                let positive = populated.collect();
                let sums = Sums { count, zero: ExactSum::default(), positive, negative: Vec::new() };
                (CUSTOM_BUCKETS_SCHEMA, 0.0, bounds.collect(), sums)
            }
        };
        let whole = if self.is_float { None } else { sums.shown(ExactSum::as_count) };
        let counts = match whole {
            Some(counts) => NativeCounts::Integer(counts),
            None => NativeCounts::Float(sums.shown(|sum| Some(sum.value())).expect("all sums have a value")),
        };
        Pushed { schema, zero_threshold, custom_bounds, counts, sum: None }
    }

    /// Whether the buckets hold what the count says.
    fn adds_up(&self) -> bool {
        /// What counts that are not whole may be off, relatively: a client may have added them up in any order.
        const SLACK: f64 = 1e-9;
        let count = &self.observations.count;
        let mut excess = self.in_buckets();
        excess.subtract(count);
        let slack = if self.is_float { count.value() * SLACK } else { 0.0 };
        excess.value() <= slack && (self.observations.sum.is_nan || excess.value() >= -slack)
    }

    /// What all buckets hold.
    fn in_buckets(&self) -> ExactSum {
        let mut total = ExactSum::default();
        match &self.buckets {
            Buckets::Exponential(buckets) => buckets.counts().for_each(|count| total.combine(count)),
            Buckets::Custom(buckets) => buckets.iter().for_each(|(_, count)| total.combine(count)),
        }
        total
    }
}

impl Buckets {
    fn kind(&self) -> &'static str {
        match self {
            Self::Exponential(_) => "exponential",
            Self::Custom(_) => "custom",
        }
    }
}

/// The sums that are to be shown.
struct Sums<'s> {
    count: &'s ExactSum,
    zero: ExactSum,
    positive: Vec<(i32, &'s ExactSum)>,
    negative: Vec<(i32, &'s ExactSum)>,
}

impl Sums<'_> {
    /// All of them as numbers of one kind, if all are.
    fn shown<N>(&self, number: impl Fn(&ExactSum) -> Option<N>) -> Option<Counts<N>> {
        let side = |sums: &[(i32, &ExactSum)]| -> Option<Vec<(i32, N)>> {
            sums.iter().map(|(index, sum)| Some((*index, number(sum)?))).collect()
        };
        Some(Counts {
            count: number(self.count)?,
            zero: number(&self.zero)?,
            positive: side(&self.positive)?,
            negative: side(&self.negative)?,
        })
    }
}

fn is_populated((_, count): &(i32, &ExactSum)) -> bool {
    count.value() > 0.0
}

/// The counts as floating-point numbers, each of them checked, without the buckets that hold nothing.
fn checked<N: Copy>(
    counts: &Counts<N>,
    number: impl Fn(&'static str, N) -> Result<f64, ValueError>,
) -> Result<Counts<f64>, ValueError> {
    let side = |buckets: &[(i32, N)]| -> Result<Vec<(i32, f64)>, ValueError> {
        if let Some(pair) = buckets.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
            return Err(ValueError::BucketsOutOfOrder { before: pair[0].0, index: pair[1].0 });
        }
        buckets
            .iter()
            .map(|(index, n)| Ok((*index, number("the count of a native bucket", *n)? + 0.0)))
            .collect()
    };
    Ok(Counts {
        count: number("the count", counts.count)?,
        zero: number("the count of the zero bucket", counts.zero)?,
        positive: side(&counts.positive)?,
        negative: side(&counts.negative)?,
    })
}

#[allow(clippy::cast_precision_loss, reason = "none up to the largest one, and beyond that for show")]
fn whole(what: &'static str, number: u64) -> Result<f64, ValueError> {
    let value = number as f64;
    if number > COUNT_MAX { Err(ValueError::CountTooLarge { what, value }) } else { Ok(value) }
}

fn exponential(pushed: &Pushed, counts: &Counts<f64>) -> Result<Exponential, ValueError> {
    let schema = pushed.schema;
    if !(SCHEMA_MIN..=SCHEMA_MAX).contains(&schema) {
        return Err(ValueError::UnknownSchema { schema });
    }
    if !pushed.custom_bounds.is_empty() {
        return Err(ValueError::OutOfPlace { what: "custom bounds", schema });
    }
    // Minus zero is zero.
    let threshold = pushed.zero_threshold + 0.0;
    if !threshold.is_finite() || threshold < 0.0 {
        return Err(ValueError::ZeroThreshold { threshold });
    }
    let range = bounds::range(schema);
    let all = counts.positive.iter().chain(&counts.negative);
    if let Some(&(index, _)) = all.clone().find(|(index, _)| !range.contains(index)) {
        let (min, max) = (*range.start(), *range.end());
        return Err(ValueError::BucketOutOfRange { index, schema, min, max });
    }
    Ok(Exponential::new(schema, (threshold, counts.zero), &counts.positive, &counts.negative))
}

fn custom(pushed: &Pushed, counts: &Counts<f64>) -> Result<Tallies<f64>, ValueError> {
    let schema = pushed.schema;
    let out_of_place = |what| Err(ValueError::OutOfPlace { what, schema });
    if pushed.zero_threshold != 0.0 {
        return out_of_place("a zero threshold");
    }
    if counts.zero != 0.0 {
        return out_of_place("a zero bucket");
    }
    if !counts.negative.is_empty() {
        return out_of_place("negative buckets");
    }
    // Minus zero is zero.
    let bounds: Vec<f64> = pushed.custom_bounds.iter().map(|bound| bound + 0.0).collect();
    let is_wrong = |at: usize| !bounds[at].is_finite() || (at > 0 && bounds[at] <= bounds[at - 1]);
    if let Some(at) = (0..bounds.len()).find(|at| is_wrong(*at)) {
        return Err(ValueError::CustomBound { bound: bounds[at] });
    }
    let mut all: Vec<(f64, f64)> =
        bounds.into_iter().chain([f64::INFINITY]).map(|bound| (bound, 0.0)).collect();
    for &(index, count) in &counts.positive {
        let bucket = usize::try_from(index).ok().and_then(|index| all.get_mut(index));
        let Some(bucket) = bucket else {
            let max = i32::try_from(all.len() - 1).unwrap_or(i32::MAX);
            return Err(ValueError::BucketOutOfRange { index, schema, min: 0, max });
        };
        bucket.1 = count;
    }
    Ok(Tallies::new(all))
}
