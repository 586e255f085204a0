//! Counters: what is pushed adds up, exactly.

use serde::{Deserialize, Serialize};

use crate::model::Value;

use super::error::{ValueError, increment};
use super::exact_sum::ExactSum;
use super::state::Absorbed;

/// What a push may add, unless it replaces: finite and not negative.
pub(super) fn contribution(value: f64) -> Result<f64, ValueError> {
    increment("the value of a counter", value)
}

/// The total so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counter(ExactSum);

impl Counter {
    /// Adds an increment.
    ///
    /// A total that is not finite, which a push that replaces can leave, gives way: nothing can be added to it.
    pub(super) fn absorb(&mut self, value: f64) -> Absorbed {
        let restarted = !self.0.is_finite();
        if restarted {
            self.0 = ExactSum::default();
        }
        self.0.add(value);
        Absorbed { saturated: self.0.is_saturated(), restarted }
    }

    /// Appends the total to a record.
    #[inline]
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    /// Takes in another total. Of two of which one is finite it counts alone, be it nothing: so a total that is not
    /// finite, which only a push that replaces can leave, has no neutral element.
    pub(super) fn combine(&mut self, other: &Self) {
        match (self.0.is_finite(), other.0.is_finite()) {
            (true, false) => {}
            (false, true) => *self = other.clone(),
            (true, true) | (false, false) => self.0.combine(&other.0),
        }
    }

    /// Whether it is what this code makes, as against what a store could hold.
    pub(super) fn is_sound(&self) -> bool {
        self.0.is_sound()
    }

    pub(super) fn expose(&self) -> Value {
        Value::Counter(self.0.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Counter {
        let mut counter = Counter::default();
        for value in values {
            counter.absorb(*value);
        }
        counter
    }

    #[test]
    fn a_total_that_is_not_finite_gives_way() {
        for lost in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(of(&[3.0, lost, 2.0, 4.0]), of(&[6.0]));
            assert!(of(&[lost]).absorb(1.0).restarted && !of(&[1.0]).absorb(1.0).restarted);
            let mut combined = [of(&[lost]), of(&[2.0])];
            let [one, other] = &mut combined;
            one.combine(other);
            other.combine(&of(&[lost]));
            assert_eq!(combined, [of(&[2.0]), of(&[2.0])]);
            let bytes = postcard::to_stdvec(&of(&[lost])).unwrap();
            assert_eq!(postcard::from_bytes::<Counter>(&bytes).unwrap(), of(&[lost]));
            assert!(of(&[lost]).is_sound());
        }
    }
}
