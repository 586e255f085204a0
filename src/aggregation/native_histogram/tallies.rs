//! Counts by key: by bucket index, by zero threshold or by bound.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::super::exact_sum::ExactSum;
use super::bounds::coarser;

/// What counts stand under.
pub(super) trait Key: Copy {
    fn order(self, other: Self) -> Ordering;
}

impl Key for i32 {
    fn order(self, other: Self) -> Ordering {
        self.cmp(&other)
    }
}

impl Key for f64 {
    fn order(self, other: Self) -> Ordering {
        self.total_cmp(&other)
    }
}

/// Counts by key, ascending, each key once. Counts are exact sums, so that whole ones and others are added
/// alike and the order of adding does not matter.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tallies<K>(Vec<(K, ExactSum)>);

impl<K: Key> Clone for Tallies<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }

    /// Allocates nothing where there is room for as many.
    fn clone_from(&mut self, source: &Self) {
        self.0.clone_from(&source.0);
    }
}

impl<K: Key> Tallies<K> {
    /// Of counts by ascending key.
    pub(super) fn new(counts: impl IntoIterator<Item = (K, f64)>) -> Self {
        let counts = counts.into_iter().map(|(key, count)| (key, ExactSum::of(count)));
        Self(counts.collect())
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, (K, ExactSum)> {
        self.0.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The largest key.
    pub(super) fn last(&self) -> Option<K> {
        self.0.last().map(|(key, _)| *key)
    }

    /// How many keys there would be together with others.
    pub(super) fn len_with(&self, other: &Self) -> usize {
        let new = |key: K| self.0.binary_search_by(|(own, _)| own.order(key)).is_err();
        self.0.len() + other.0.iter().filter(|(key, _)| new(*key)).count()
    }

    /// Adds counts by ascending key, some of which may be equal. True if there are new keys among them.
    pub(super) fn add<'a>(&mut self, counts: impl IntoIterator<Item = (K, &'a ExactSum)>) -> bool {
        let mut new: Vec<(K, ExactSum)> = Vec::new();
        let mut at = 0;
        for (key, count) in counts {
            while self.0.get(at).is_some_and(|(own, _)| own.order(key) == Ordering::Less) {
                at += 1;
            }
            let own = self.0.get_mut(at).filter(|(own, _)| own.order(key) == Ordering::Equal);
            let just_added = new.last_mut().filter(|(last, _)| last.order(key) == Ordering::Equal);
            match own.or(just_added) {
                Some((_, own)) => own.combine(count),
                None => new.push((key, count.clone())),
            }
        }
        let any = !new.is_empty();
        if any {
            self.0.append(&mut new);
            // Two ascending runs, which sorting takes as such.
            self.0.sort_by(|a, b| a.0.order(b.0));
        }
        any
    }

    /// Adds those of others.
    pub(super) fn combine(&mut self, other: &Self) -> bool {
        self.add(other.0.iter().map(|(key, count)| (*key, count)))
    }

    /// Whether the keys ascend and the counts are sound.
    pub(super) fn is_sound(&self, is_sound: impl Fn(&ExactSum) -> bool) -> bool {
        self.0.is_sorted_by(|a, b| a.0.order(b.0) == Ordering::Less)
            && self.0.iter().all(|(_, count)| is_sound(count))
    }

    /// Roughly the bytes that they take.
    pub(super) fn weight(&self) -> usize {
        self.0.len() * size_of::<(K, ExactSum)>()
    }
}

impl Tallies<i32> {
    /// Moves the counts to the buckets of a schema that is lower by so much.
    pub(super) fn coarsen(&mut self, by: i8) {
        for (index, _) in &mut self.0 {
            *index = coarser(*index, by);
        }
        self.0.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            if is_same {
                kept.1.combine(&next.1);
            }
            is_same
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(counts: &[(i32, f64)]) -> Tallies<i32> {
        Tallies::new(counts.iter().copied())
    }

    #[test]
    fn counts_are_added_key_by_key() {
        let mut tallies = of(&[(1, 1.0), (5, 2.0)]);
        assert!(!tallies.combine(&of(&[(5, 3.0)])));
        assert_eq!(tallies, of(&[(1, 1.0), (5, 5.0)]));
        assert_eq!(tallies.len_with(&of(&[(0, 1.0), (5, 1.0), (7, 1.0)])), 4);
        assert!(tallies.combine(&of(&[(0, 1.0), (5, 1.0), (7, 1.0)])));
        assert_eq!(tallies, of(&[(0, 1.0), (1, 1.0), (5, 6.0), (7, 1.0)]));
        assert_eq!((tallies.len(), tallies.last()), (4, Some(7)));
    }

    #[test]
    fn keys_that_become_equal_are_added_up() {
        let mut tallies = of(&[(-1, 1.0), (0, 2.0), (1, 4.0), (2, 8.0), (3, 16.0)]);
        tallies.coarsen(1);
        assert_eq!(tallies, of(&[(0, 3.0), (1, 12.0), (2, 16.0)]));
        let mut added = of(&[(1, 1.0)]);
        let one = ExactSum::of(1.0);
        added.add([(0, &one), (0, &one), (1, &one), (1, &one), (2, &one), (2, &one)]);
        assert_eq!(added, of(&[(0, 2.0), (1, 3.0), (2, 2.0)]));
    }
}
