//! State sets: the newest push counts.

use serde::{Deserialize, Serialize};

use crate::model::{Defect, Stamp, StateSet as Pushed, Value};

use super::error::ValueError;
use super::gauge_histogram::is_newer;

/// The states that one push says there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSetContribution {
    /// In the order pushed, each once.
    states: Vec<(Box<str>, bool)>,
}

impl StateSetContribution {
    /// Checks a pushed state set.
    pub(super) fn new(pushed: &Pushed) -> Result<Self, ValueError> {
        match pushed.defect {
            Some(Defect::BareSample | Defect::BucketWithoutLe | Defect::SecondSum | Defect::SecondCount) => {
                return Err(ValueError::BareSample {
                    metric_type: "stateset",
                    expected: "samples with a label that is named as the metric and whose value is the state",
                });
            }
            None => {}
        }
        match repeated(&pushed.states) {
            Some(state) => Err(ValueError::StateTwice { state: state.into() }),
            None => Ok(Self { states: pushed.states.clone() }),
        }
    }

    /// How many states there are.
    pub(super) fn len(&self) -> usize {
        self.states.len()
    }
}

/// A state that is there more than once.
fn repeated(states: &[(Box<str>, bool)]) -> Option<&str> {
    let mut names: Vec<&str> = states.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

/// A state set; the newest push counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSet {
    stamp: Stamp,
    newest: StateSetContribution,
}

impl StateSet {
    pub(super) fn new(pushed: &StateSetContribution, stamp: Stamp) -> Self {
        Self { stamp, newest: pushed.clone() }
    }

    pub(super) fn absorb(&mut self, pushed: &StateSetContribution, stamp: Stamp) {
        if is_newer((stamp, pushed), (self.stamp, &self.newest)) {
            *self = Self::new(pushed, stamp);
        }
    }

    pub(super) fn combine(&mut self, other: &Self) {
        self.absorb(&other.newest, other.stamp);
    }

    /// Whether it is what this code makes, as against what a store could hold.
    pub(super) fn is_sound(&self) -> bool {
        repeated(&self.newest.states).is_none()
    }

    /// Roughly the bytes that it takes.
    pub(super) fn weight(&self) -> usize {
        let of_one = |(name, _): &(Box<str>, bool)| size_of::<(Box<str>, bool)>() + name.len();
        size_of::<Self>() + self.newest.states.iter().map(of_one).sum::<usize>()
    }

    pub(super) fn expose(&self) -> Value {
        Value::StateSet(Box::new(Pushed { states: self.newest.states.clone(), defect: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(states: &[(&str, bool)]) -> Pushed {
        Pushed { states: states.iter().map(|&(name, is_on)| (name.into(), is_on)).collect(), defect: None }
    }

    #[test]
    fn the_newest_push_counts_whatever_the_order() {
        let parts =
            [("a", Stamp(1)), ("b", Stamp(3)), ("c", Stamp(2)), ("d", Stamp(3))].map(|(name, stamp)| {
                (StateSetContribution::new(&pushed(&[("z", false), (name, true)])).unwrap(), stamp)
            });
        let of = |order: &[usize]| {
            let mut state = StateSet::new(&parts[order[0]].0, parts[order[0]].1);
            for &part in order {
                state.absorb(&parts[part].0, parts[part].1);
            }
            state
        };
        let newest = of(&[0, 1, 2, 3]);
        let Value::StateSet(shown) = newest.expose() else { unreachable!() };
        assert_eq!(*shown, pushed(&[("z", false), ("d", true)]));
        assert_eq!(of(&[3, 2, 1, 0]), newest);
        let mut combined = of(&[1, 0]);
        combined.combine(&of(&[3, 2]));
        assert_eq!(combined, newest);
        assert!(newest.is_sound() && newest.weight() > size_of::<StateSet>());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let twice = StateSetContribution::new(&pushed(&[("a", true), ("b", false), ("a", false)]));
        assert_eq!(twice, Err(ValueError::StateTwice { state: "a".into() }));
        let bare = Pushed { defect: Some(Defect::BareSample), ..pushed(&[]) };
        assert!(matches!(StateSetContribution::new(&bare), Err(ValueError::BareSample { .. })));
        let states = vec![("a".into(), true), ("a".into(), true)];
        assert!(!StateSet { stamp: Stamp(1), newest: StateSetContribution { states } }.is_sound());
    }
}
