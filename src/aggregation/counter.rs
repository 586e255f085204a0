//! Counters: what is pushed adds up, exactly.

use serde::{Deserialize, Serialize};

use crate::model::Value;

use super::error::{ValueError, increment};
use super::exact_sum::ExactSum;

/// What a push may add: finite and not negative.
pub(super) fn contribution(value: f64) -> Result<f64, ValueError> {
    increment("the value of a counter", value)
}

/// The total so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counter(ExactSum);

impl Counter {
    /// Adds an increment. True if the total is now beyond what can be shown.
    pub(super) fn absorb(&mut self, value: f64) -> bool {
        self.0.add(value);
        self.0.is_saturated()
    }

    /// Appends the total to a record.
    #[inline]
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    pub(super) fn combine(&mut self, other: &Self) {
        self.0.combine(&other.0);
    }

    /// Whether it is what this code makes, as against what a store could hold.
    pub(super) fn is_sound(&self) -> bool {
        self.0.is_sound()
    }

    pub(super) fn expose(&self) -> Value {
        Value::Counter(self.0.value())
    }
}
