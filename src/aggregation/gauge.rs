//! Gauges: the newest push counts.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::model::{Stamp, Value};

/// What a push may set: anything. All that is not a number gets one bit pattern, so that no staleness
/// marker gets in and equal states are equal.
pub(super) fn contribution(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}

/// The value of the newest push, and which push that was.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Last {
    stamp: Stamp,
    value: f64,
}

/// Bit for bit, so that a state with a value that is not a number equals itself.
impl PartialEq for Last {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(*other) == Ordering::Equal
    }
}

impl Last {
    pub(super) fn new(value: f64, stamp: Stamp) -> Self {
        Self { stamp, value }
    }

    pub(super) fn value(self) -> f64 {
        self.value
    }

    /// Keeps the newer of the two; of two with one stamp the one with the larger bits, so that the order of
    /// combining does not matter.
    pub(super) fn combine(&mut self, other: Self) {
        if other.cmp(*self) == Ordering::Greater {
            *self = other;
        }
    }

    fn cmp(self, other: Self) -> Ordering {
        (self.stamp, self.value.to_bits()).cmp(&(other.stamp, other.value.to_bits()))
    }
}

/// A gauge; the newest push counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gauge(Last);

impl Gauge {
    pub(super) fn new(value: f64, stamp: Stamp) -> Self {
        Self(Last::new(value, stamp))
    }

    pub(super) fn absorb(&mut self, value: f64, stamp: Stamp) {
        self.0.combine(Last::new(value, stamp));
    }

    pub(super) fn combine(&mut self, other: &Self) {
        self.0.combine(other.0);
    }

    pub(super) fn expose(&self) -> Value {
        Value::Gauge(self.0.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_push_counts_in_whatever_order_they_come() {
        let mut gauge = Gauge::new(1.0, Stamp(5));
        gauge.absorb(2.0, Stamp(9));
        gauge.absorb(3.0, Stamp(7));
        assert_eq!(gauge.expose(), Value::Gauge(2.0));
    }

    #[test]
    fn one_stamp_is_decided_the_same_way_round() {
        let (a, b) = (Gauge::new(1.0, Stamp(5)), Gauge::new(2.0, Stamp(5)));
        let (mut ab, mut ba) = (a, b);
        ab.combine(&b);
        ba.combine(&a);
        assert_eq!(ab, ba);
    }

    #[test]
    fn a_staleness_marker_is_an_ordinary_nan() {
        let marker = f64::from_bits(0x7ff0_0000_0000_0002);
        assert_eq!(contribution(marker).to_bits(), f64::NAN.to_bits());
    }
}
