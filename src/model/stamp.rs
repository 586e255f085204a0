//! The order of pushes.

use serde::{Deserialize, Serialize};

/// When something was pushed, in nanoseconds since the Unix epoch, made strictly increasing by whoever
/// hands stamps out: a later stamp is a later push, whatever the wall clock did meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp(pub u64);

impl Stamp {
    /// The stamp of the next push: the wall clock, or one more than the last stamp where the clock stood
    /// still or stepped back.
    #[must_use]
    pub fn next(self, wall_clock_ns: u64) -> Self {
        Self(wall_clock_ns.max(self.0.saturating_add(1)))
    }

    /// Seconds since the Unix epoch, as Prometheus exposes times.
    #[allow(clippy::cast_precision_loss, reason = "an f64 of seconds is what the exposition format has")]
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_grow_even_when_the_clock_steps_back() {
        let first = Stamp(0).next(1_000);
        assert_eq!(first, Stamp(1_000));
        assert_eq!(first.next(900), Stamp(1_001));
        assert_eq!(first.next(2_000), Stamp(2_000));
    }

    #[test]
    fn seconds_keep_their_fraction() {
        assert!((Stamp(1_500_000_000).as_seconds() - 1.5).abs() < f64::EPSILON);
    }
}
