//! Series of histograms that have a native part, alone or beside classic buckets.
//!
//! What is kept is an element of a commutative monoid, and a push is the element that holds that push alone: to
//! absorb it is to combine the two. Each part holds what was pushed to it, so that neither has to guess what it
//! was not told; the count and the sum of the series hold everything.

mod bounds;
mod exponential;
mod part;
#[cfg(test)]
pub(super) mod properties;
#[cfg(test)]
mod resets;
mod tallies;

use serde::{Deserialize, Serialize};

use crate::model::{Histogram as Pushed, NativeHistogram as PushedPart, Value};

use super::error::{ValueError, finite};
use super::exact_sum::ExactSum;
use super::histogram::{Histogram, HistogramContribution, of_defect};
use super::state::Absorbed;

pub(super) use part::NativePart;

/// All observations so far of a series with a native part.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct NativeHistogram {
    /// What was pushed with classic buckets, those included that had no native part.
    classic: Option<Histogram>,
    /// What the classic part does not hold: the observations of pushes without classic buckets.
    apart: Observations,
    /// What was pushed with a native part.
    native: NativePart,
}

/// How many observations there are, and what they add up to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Observations {
    count: ExactSum,
    sum: Sum,
}

/// A sum, of which one that is not a number makes nothing else for good.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sum {
    exact: ExactSum,
    is_nan: bool,
}

impl Clone for NativeHistogram {
    fn clone(&self) -> Self {
        Self { classic: self.classic.clone(), apart: self.apart.clone(), native: self.native.clone() }
    }

    /// Allocates nothing where there is room for as many buckets.
    fn clone_from(&mut self, source: &Self) {
        self.classic.clone_from(&source.classic);
        self.apart.clone_from(&source.apart);
        self.native.clone_from(&source.native);
    }
}

impl NativeHistogram {
    /// Checks a pushed histogram with this native part.
    pub(super) fn new(pushed: &Pushed, part: &PushedPart) -> Result<Self, ValueError> {
        Self::with_sum(pushed, part, &Sum::new(pushed.sum.unwrap_or(0.0))?)
    }

    /// Like [`Self::new`], with any sum.
    pub(super) fn with_any_sum(pushed: &Pushed, part: &PushedPart) -> Result<Self, ValueError> {
        Self::with_sum(pushed, part, &Sum::any(pushed.sum.unwrap_or(0.0)))
    }

    fn with_sum(pushed: &Pushed, part: &PushedPart, sum: &Sum) -> Result<Self, ValueError> {
        if let Some(defect) = pushed.defect {
            return Err(of_defect(defect));
        }
        let native = NativePart::new(part, sum.clone())?;
        let count = native.observations().count.value();
        if let Some(of_both) = pushed.count.filter(|of_both| *of_both != count) {
            return Err(ValueError::PartsContradiction { count: of_both, native: count });
        }
        if pushed.buckets.is_empty() {
            return Ok(Self { classic: None, apart: native.observations().clone(), native });
        }
        let mut classic = Histogram::default();
        classic.absorb(&HistogramContribution::of_buckets(&pushed.buckets, count, sum.exact.value())?);
        let rest = Sum { is_nan: sum.is_nan, ..Sum::default() };
        Ok(Self {
            classic: Some(classic),
            apart: Observations { sum: rest, ..Observations::default() },
            native,
        })
    }

    /// The most bounds that one of its parts has, `+Inf` included; 0 if they are exponential.
    pub(super) fn bounds(&self) -> usize {
        self.classic.as_ref().map_or(0, Histogram::bounds).max(self.native.bounds())
    }

    /// Whether another one can be combined with it.
    pub(super) fn check(&self, other: &Self, bounds_max: usize) -> Result<(), ValueError> {
        if let Some(classic) = &other.classic {
            self.check_combined(classic, bounds_max)?;
        }
        self.native.check(&other.native, bounds_max)
    }

    /// Whether it can be combined with a series that was classic so far.
    pub(super) fn check_onto(&self, classic: &Histogram, bounds_max: usize) -> Result<(), ValueError> {
        match &self.classic {
            Some(own) => classic.check_combined(own, bounds_max),
            None => Ok(()),
        }
    }

    /// Whether a push without a native part can be absorbed.
    pub(super) fn check_classic(
        &self,
        contribution: &HistogramContribution,
        bounds_max: usize,
    ) -> Result<(), ValueError> {
        match &self.classic {
            Some(own) => own.check(contribution, bounds_max),
            None => Ok(()),
        }
    }

    fn check_combined(&self, classic: &Histogram, bounds_max: usize) -> Result<(), ValueError> {
        match &self.classic {
            Some(own) => own.check_combined(classic, bounds_max),
            None => Ok(()),
        }
    }

    /// Adds another one.
    pub(super) fn combine(&mut self, other: &Self) -> Absorbed {
        let mut absorbed = self.native.combine(&other.native);
        self.apart.combine(&other.apart);
        absorbed.saturated |= self.apart.is_saturated();
        if let Some(classic) = &other.classic {
            absorbed.saturated |= self.combine_classic(classic);
        }
        absorbed
    }

    /// Adds a series that was classic so far. True if a total is now beyond what can be shown.
    pub(super) fn combine_classic(&mut self, classic: &Histogram) -> bool {
        self.classic.get_or_insert_default().combine(classic)
    }

    /// Adds a push without a native part. True if a total is now beyond what can be shown.
    pub(super) fn absorb_classic(&mut self, contribution: &HistogramContribution) -> bool {
        self.classic.get_or_insert_default().absorb(contribution)
    }

    /// Whether it is what this code makes, as against what a store could hold.
    pub(super) fn is_sound(&self) -> bool {
        self.classic.as_ref().is_none_or(Histogram::is_sound)
            && self.apart.is_sound()
            && self.native.is_sound()
    }

    /// Roughly the bytes that it takes.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.classic.as_ref().map_or(0, Histogram::weight) + self.native.weight()
    }

    /// The classic part, if there is one, with everything in its bucket `+Inf`, and the native part.
    pub(super) fn expose(&self) -> Value {
        let mut shown = self.classic.as_ref().map(Histogram::shown).unwrap_or_default();
        let mut whole = self.apart.clone();
        if let Some(classic) = &self.classic {
            whole.count.combine(&ExactSum::of_count(classic.count()));
            whole.sum.exact.combine(classic.sum());
        }
        let count = whole.count.value();
        if let Some(infinite) = shown.buckets.last_mut() {
            infinite.cumulative_count = count;
        }
        shown.count = Some(count);
        shown.sum = Some(whole.sum.value());
        let mut native = self.native.shown();
        let own = self.native.observations();
        native.sum = (*own != whole).then(|| own.sum.value());
        shown.native = Some(Box::new(native));
        Value::Histogram(Box::new(shown))
    }
}

impl Observations {
    fn combine(&mut self, other: &Self) {
        self.count.combine(&other.count);
        self.sum.exact.combine(&other.sum.exact);
        self.sum.is_nan |= other.sum.is_nan;
    }

    fn is_saturated(&self) -> bool {
        self.count.is_saturated() || self.sum.exact.is_saturated()
    }

    fn is_sound(&self) -> bool {
        is_count(&self.count) && self.sum.exact.is_sound()
    }
}

impl Sum {
    /// Of a sum that was pushed: any but an infinite one.
    fn new(value: f64) -> Result<Self, ValueError> {
        if value.is_infinite() {
            finite("_sum", value)?;
        }
        Ok(Self::any(value))
    }

    fn any(value: f64) -> Self {
        if value.is_nan() { Self::not_a_number() } else { Self { exact: ExactSum::of(value), is_nan: false } }
    }

    fn not_a_number() -> Self {
        Self { exact: ExactSum::default(), is_nan: true }
    }

    fn value(&self) -> f64 {
        if self.is_nan { f64::NAN } else { self.exact.value() }
    }
}

/// Whether a stored sum can be that of counts.
fn is_count(sum: &ExactSum) -> bool {
    sum.is_sound() && sum.is_finite() && sum.value() >= 0.0
}

/// The native part of what was pushed to a gauge histogram, checked and in the shape in which one is shown.
pub(super) fn canonical(part: &PushedPart, sum: f64) -> Result<PushedPart, ValueError> {
    let sum = if sum.is_nan() { Sum::not_a_number() } else { Sum::default() };
    NativePart::new(part, sum).map(|part| part.shown())
}
