//! When a push to a group was last refused: `push_failure_time_seconds`.
//!
//! A refusal shows in the next scrape, before it is written anywhere: it is noted here by the request
//! itself, and written with the next commit. Groups that hold nothing else are bounded, so that
//! refused pushes cannot fill the memory.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::model::{GroupingKey, Stamp};

/// The failure times of all groups.
#[derive(Debug)]
pub(crate) struct Failures {
    times: HashMap<Arc<GroupingKey>, Failure>,
    /// Groups that hold nothing but their failure time, the oldest first.
    alone: BTreeSet<(Stamp, Arc<GroupingKey>)>,
    alone_max: usize,
    /// What changed since it was last written.
    unwritten: HashSet<Arc<GroupingKey>>,
}

/// When a push was last refused, and whether the store may hold a record of any such time for the group.
#[derive(Clone, Copy, Debug)]
struct Failure {
    time: Stamp,
    may_be_stored: bool,
}

impl Failures {
    pub(crate) fn new(alone_max: usize) -> Self {
        Self { times: HashMap::new(), alone: BTreeSet::new(), alone_max, unwritten: HashSet::new() }
    }

    /// Notes a refusal; `is_alone` says that no group of this key exists.
    pub(crate) fn record(&mut self, key: &Arc<GroupingKey>, time: Stamp, is_alone: bool) {
        // A removal that was still to be written speaks of a record that is still there.
        let removal_is_due = !self.unwritten.insert(Arc::clone(key)) && !self.times.contains_key(key);
        self.set(key, Failure { time, may_be_stored: removal_is_due }, is_alone);
    }

    /// Notes what a store holds.
    pub(crate) fn restore(&mut self, key: &Arc<GroupingKey>, time: Stamp, is_alone: bool) {
        self.set(key, Failure { time, may_be_stored: true }, is_alone);
    }

    fn set(&mut self, key: &Arc<GroupingKey>, mut failure: Failure, is_alone: bool) {
        if let Some(earlier) = self.times.get(key) {
            failure.may_be_stored |= earlier.may_be_stored;
            self.alone.remove(&(earlier.time, Arc::clone(key)));
        }
        self.times.insert(Arc::clone(key), failure);
        if is_alone {
            self.alone.insert((failure.time, Arc::clone(key)));
            if self.alone.len() > self.alone_max {
                self.drop_oldest();
            }
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, key)) = self.alone.pop_first() {
            self.remove(&key);
        }
    }

    /// A group of this key now exists.
    pub(crate) fn joined(&mut self, key: &Arc<GroupingKey>) {
        if let Some(failure) = self.times.get(key) {
            self.alone.remove(&(failure.time, Arc::clone(key)));
        }
    }

    /// Forgets a failure time, with its group. Its record is to be removed if there may be one; otherwise
    /// it leaves no trace, so that refused pushes cannot pile up here either.
    pub(crate) fn remove(&mut self, key: &Arc<GroupingKey>) {
        let Some(failure) = self.times.remove(key) else { return };
        self.alone.remove(&(failure.time, Arc::clone(key)));
        if failure.may_be_stored {
            self.unwritten.insert(Arc::clone(key));
        } else {
            self.unwritten.remove(key);
        }
    }

    /// When a push to this group was last refused.
    pub(crate) fn get(&self, key: &GroupingKey) -> Option<Stamp> {
        self.times.get(key).map(|failure| failure.time)
    }

    /// The groups to which a push was ever refused.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Arc<GroupingKey>> {
        self.times.keys()
    }

    /// Groups that hold nothing but their failure time, the oldest first.
    pub(crate) fn alone(&self) -> impl Iterator<Item = (&Arc<GroupingKey>, Stamp)> {
        self.alone.iter().map(|(time, key)| (key, *time))
    }

    /// Whether the store may hold any of them.
    pub(crate) fn any_may_be_stored(&self) -> bool {
        self.times.values().any(|failure| failure.may_be_stored)
    }

    /// What changed since the last call.
    pub(crate) fn take_unwritten(&mut self) -> HashSet<Arc<GroupingKey>> {
        for key in &self.unwritten {
            if let Some(failure) = self.times.get_mut(key) {
                failure.may_be_stored = true;
            }
        }
        std::mem::take(&mut self.unwritten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(job: &str) -> Arc<GroupingKey> {
        Arc::new(GroupingKey::new(job, []).unwrap())
    }

    #[test]
    fn groups_with_nothing_but_a_failure_are_bounded_and_the_oldest_go() {
        let mut failures = Failures::new(2);
        for (time, job) in ["a", "b", "c"].iter().enumerate() {
            failures.record(&key(job), Stamp(time as u64), true);
        }
        assert_eq!(failures.get(&key("a")), None);
        assert_eq!(failures.get(&key("c")), Some(Stamp(2)));
        assert_eq!(failures.alone().count(), 2);
        assert_eq!(failures.take_unwritten().len(), 2, "the one that went was never written");
        failures.record(&key("d"), Stamp(9), true);
        assert_eq!(failures.take_unwritten(), HashSet::from([key("b"), key("d")]), "and this one was");
        assert!(failures.take_unwritten().is_empty());
    }

    #[test]
    fn a_group_that_comes_into_being_keeps_its_failure_time_and_no_longer_counts() {
        let mut failures = Failures::new(1);
        failures.record(&key("a"), Stamp(1), true);
        failures.joined(&key("a"));
        failures.record(&key("b"), Stamp(2), true);
        assert_eq!(failures.get(&key("a")), Some(Stamp(1)));
        assert_eq!(failures.alone().count(), 1);
    }

    #[test]
    fn a_removal_that_is_due_is_not_forgotten_by_another_refusal() {
        let mut failures = Failures::new(1);
        failures.record(&key("a"), Stamp(1), true);
        failures.take_unwritten();
        failures.record(&key("b"), Stamp(2), true);
        failures.record(&key("a"), Stamp(3), true);
        failures.record(&key("c"), Stamp(4), true);
        assert!(failures.take_unwritten().contains(&key("a")));
    }

    #[test]
    fn what_is_refused_and_deleted_between_two_writes_leaves_nothing() {
        let mut failures = Failures::new(5);
        failures.record(&key("a"), Stamp(1), true);
        failures.remove(&key("a"));
        assert!(failures.take_unwritten().is_empty());
    }

    #[test]
    fn a_later_failure_replaces_an_earlier_one() {
        let mut failures = Failures::new(5);
        failures.record(&key("a"), Stamp(1), true);
        failures.record(&key("a"), Stamp(5), true);
        assert_eq!(failures.alone().map(|(_, time)| time).collect::<Vec<_>>(), [Stamp(5)]);
        failures.remove(&key("a"));
        assert_eq!(failures.alone().count(), 0);
    }
}
