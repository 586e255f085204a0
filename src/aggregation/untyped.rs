//! Untyped metrics: they add up, or the newest push counts, as configured.

use serde::{Deserialize, Serialize};

use crate::model::{Stamp, Value};

use super::contribution::Contribution;
use super::error::{ValueError, finite};
use super::exact_sum::ExactSum;
use super::gauge::{self, Last};

/// How untyped metrics merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum UntypedMode {
    /// They add up, as counters do, but may also go down.
    #[default]
    Sum,
    /// The newest push counts, as with gauges.
    Last,
    /// Those named `*_total`, `*_count`, `*_sum` and `*_bucket` add up, of the others the newest push
    /// counts.
    BySuffix,
}

impl UntypedMode {
    fn adds(self, name: &str) -> bool {
        match self {
            Self::Sum => true,
            Self::Last => false,
            Self::BySuffix => {
                ["_total", "_count", "_sum", "_bucket"].iter().any(|suffix| name.ends_with(suffix))
            }
        }
    }
}

/// What a push may do.
pub(super) fn contribution(value: f64, name: &str, mode: UntypedMode) -> Result<Contribution, ValueError> {
    if mode.adds(name) {
        finite("an untyped value that adds up", value).map(Contribution::Add)
    } else {
        Ok(Contribution::Set(gauge::contribution(value)))
    }
}

/// An untyped metric: a sum, or the value of the newest push.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Untyped(Kind);

/// Which of the two it is follows from what was pushed last, so that a change of mode takes effect with
/// the next push.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Sum(ExactSum),
    Last(Last),
}

impl Untyped {
    pub(super) fn sum() -> Self {
        Self(Kind::Sum(ExactSum::default()))
    }

    pub(super) fn last(value: f64, stamp: Stamp) -> Self {
        Self(Kind::Last(Last::new(value, stamp)))
    }

    /// Adds an increment. Where the newest push counted before, its value is where the sum starts, unless
    /// it is not finite. True if the total is now beyond what can be shown.
    pub(super) fn add(&mut self, value: f64) -> bool {
        if let Kind::Last(last) = &self.0 {
            let mut sum = ExactSum::default();
            if last.value().is_finite() {
                sum.add(last.value());
            }
            self.0 = Kind::Sum(sum);
        }
        let Kind::Sum(sum) = &mut self.0 else { unreachable!("made a sum just before") };
        sum.add(value);
        sum.is_saturated()
    }

    /// Replaces the value. What was added up before is gone.
    pub(super) fn set(&mut self, value: f64, stamp: Stamp) {
        match &mut self.0 {
            Kind::Sum(_) => *self = Self::last(value, stamp),
            Kind::Last(last) => last.combine(Last::new(value, stamp)),
        }
    }

    /// Two sums are added, of two newest values the newer counts. Where one adds up and the other does not,
    /// which is a mistake in the nodes' modes, the sum stands. Adding the value to it would depend on whether
    /// it had met a newer one before.
    pub(super) fn combine(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (Kind::Sum(sum), Kind::Sum(other)) => sum.combine(other),
            (Kind::Last(last), Kind::Last(other)) => last.combine(*other),
            (Kind::Sum(_), Kind::Last(_)) => {}
            (Kind::Last(_), Kind::Sum(_)) => *self = other.clone(),
        }
    }

    /// Whether it is what this code makes, as against what a store could hold.
    pub(super) fn is_sound(&self) -> bool {
        match &self.0 {
            Kind::Sum(sum) => sum.is_sound(),
            Kind::Last(_) => true,
        }
    }

    pub(super) fn expose(&self) -> Value {
        Value::Untyped(match &self.0 {
            Kind::Sum(sum) => sum.value(),
            Kind::Last(last) => last.value(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_decide_where_they_are_told_to() {
        for name in ["a_total", "a_count", "a_sum", "a_bucket"] {
            assert!(UntypedMode::BySuffix.adds(name), "{name}");
        }
        assert!(!UntypedMode::BySuffix.adds("total"));
        assert!(UntypedMode::Sum.adds("a"));
        assert!(!UntypedMode::Last.adds("a_total"));
    }

    #[test]
    fn what_adds_up_must_be_finite_and_may_be_negative() {
        assert_eq!(contribution(-1.5, "a", UntypedMode::Sum), Ok(Contribution::Add(-1.5)));
        assert!(contribution(f64::INFINITY, "a", UntypedMode::Sum).is_err());
        assert!(contribution(f64::INFINITY, "a", UntypedMode::Last).is_ok());
    }

    #[test]
    fn after_a_change_of_mode_the_shown_value_is_where_it_goes_on() {
        let mut untyped = Untyped::last(3.0, Stamp(1));
        untyped.add(2.0);
        assert_eq!(untyped.expose(), Value::Untyped(5.0));
        untyped.set(1.0, Stamp(2));
        assert_eq!(untyped.expose(), Value::Untyped(1.0));
        let mut infinite = Untyped::last(f64::INFINITY, Stamp(1));
        infinite.add(2.0);
        assert_eq!(infinite.expose(), Value::Untyped(2.0));
    }

    #[test]
    fn combining_is_commutative_even_across_modes() {
        let mut sum = Untyped::sum();
        sum.add(4.0);
        let last = Untyped::last(3.0, Stamp(1));
        let (mut ab, mut ba) = (sum.clone(), last.clone());
        ab.combine(&last);
        ba.combine(&sum);
        assert_eq!(ab, ba);
    }

    #[test]
    fn combining_is_associative_even_across_modes() {
        let sum = |value: f64| {
            let mut sum = Untyped::sum();
            sum.add(value);
            sum
        };
        let states = [sum(4.0), sum(0.5), Untyped::last(3.0, Stamp(1)), Untyped::last(5.0, Stamp(2))];
        let combined = |a: &Untyped, b: &Untyped| {
            let mut a = a.clone();
            a.combine(b);
            a
        };
        for a in &states {
            for b in &states {
                for c in &states {
                    assert_eq!(
                        combined(&combined(a, b), c),
                        combined(a, &combined(b, c)),
                        "{a:?} {b:?} {c:?}"
                    );
                }
            }
        }
    }
}
