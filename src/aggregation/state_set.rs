//! State sets: the newest push counts.

use serde::{Deserialize, Serialize};

use crate::model::{Defect, Stamp, StateSet as Pushed, Value};

use super::error::ValueError;
use super::newest::Newest;

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
pub struct StateSet(Newest<StateSetContribution>);

impl StateSet {
    pub(super) fn new(pushed: &StateSetContribution, stamp: Stamp) -> Self {
        Self(Newest::new(pushed, stamp))
    }

    pub(super) fn absorb(&mut self, pushed: &StateSetContribution, stamp: Stamp) {
        self.0.absorb(pushed, stamp);
    }

    pub(super) fn combine(&mut self, other: &Self) {
        self.0.combine(&other.0);
    }

    /// Whether it is what this code makes, as against what a store could hold.
    pub(super) fn is_sound(&self) -> bool {
        repeated(&self.0.value().states).is_none()
    }

    /// Roughly the bytes that it takes.
    pub(super) fn weight(&self) -> usize {
        let of_one = |(name, _): &(Box<str>, bool)| size_of::<(Box<str>, bool)>() + name.len();
        size_of::<Self>() + self.0.value().states.iter().map(of_one).sum::<usize>()
    }

    pub(super) fn expose(&self) -> Value {
        Value::StateSet(Box::new(Pushed { states: self.0.value().states.clone(), defect: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(states: &[(&str, bool)]) -> Pushed {
        Pushed { states: states.iter().map(|&(name, is_on)| (name.into(), is_on)).collect(), defect: None }
    }

    #[test]
    fn the_states_of_the_newest_push_are_shown_in_their_order() {
        let of = |states: &[(&str, bool)]| StateSetContribution::new(&pushed(states)).unwrap();
        let mut state = StateSet::new(&of(&[("z", false), ("d", true)]), Stamp(2));
        state.absorb(&of(&[("a", true)]), Stamp(1));
        let Value::StateSet(shown) = state.expose() else { unreachable!() };
        assert_eq!(*shown, pushed(&[("z", false), ("d", true)]));
        assert!(state.is_sound() && state.weight() > size_of::<StateSet>());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let twice = StateSetContribution::new(&pushed(&[("a", true), ("b", false), ("a", false)]));
        assert_eq!(twice, Err(ValueError::StateTwice { state: "a".into() }));
        let bare = Pushed { defect: Some(Defect::BareSample), ..pushed(&[]) };
        assert!(matches!(StateSetContribution::new(&bare), Err(ValueError::BareSample { .. })));
        let states = vec![("a".into(), true), ("a".into(), true)];
        assert!(!StateSet::new(&StateSetContribution { states }, Stamp(1)).is_sound());
    }
}
