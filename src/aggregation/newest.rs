//! What is not added up: the newest push counts.

#[cfg(test)]
mod properties;

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::model::Stamp;

/// What the newest push said, and which push that was. A number on its own has
/// [`Last`](super::gauge::Last), which compares no records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Newest<T> {
    stamp: Stamp,
    value: T,
}

impl<T: Clone + Serialize> Newest<T> {
    pub(super) fn new(value: &T, stamp: Stamp) -> Self {
        Self { stamp, value: value.clone() }
    }

    pub(super) fn value(&self) -> &T {
        &self.value
    }

    /// Keeps the newer of the two.
    pub(super) fn absorb(&mut self, value: &T, stamp: Stamp) {
        if self.is_older_than(value, stamp) {
            self.stamp = stamp;
            self.value.clone_from(value);
        }
    }

    pub(super) fn combine(&mut self, other: &Self) {
        self.absorb(&other.value, other.stamp);
    }

    /// Of two with one stamp the newer is the one whose record is the greater, so that the order in which they come
    /// does not matter.
    fn is_older_than(&self, value: &T, stamp: Stamp) -> bool {
        let record = |value: &T| postcard::to_stdvec(value).expect("writing to a vector cannot fail");
        match stamp.cmp(&self.stamp) {
            Ordering::Less => false,
            Ordering::Equal => record(value) > record(&self.value),
            Ordering::Greater => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_counts_whatever_the_order() {
        let parts =
            [("a", 1), ("b", 3), ("c", 2), ("d", 3)].map(|(value, stamp)| (value.to_owned(), Stamp(stamp)));
        let of = |order: &[usize]| {
            let mut newest = Newest::new(&parts[order[0]].0, parts[order[0]].1);
            for &part in order {
                newest.absorb(&parts[part].0, parts[part].1);
            }
            newest
        };
        let newest = of(&[0, 1, 2, 3]);
        assert_eq!(newest.value(), "d", "of two with one stamp, the one with the greater record");
        for order in [[3, 2, 1, 0], [1, 3, 0, 2], [3, 1, 2, 0]] {
            assert_eq!(of(&order), newest);
        }
        let mut combined = of(&[1, 0]);
        combined.combine(&of(&[2, 3]));
        assert_eq!(combined, newest);
    }

    /// Stored records begin with the stamp.
    #[test]
    fn its_record_is_the_stamp_and_what_was_pushed() {
        let record = postcard::to_stdvec(&Newest::new(&"ab".to_owned(), Stamp(300))).unwrap();
        assert_eq!(record, [0xac, 2, 2, b'a', b'b']);
    }
}
