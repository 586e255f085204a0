//! Putting many series in the order of the exposition.
//!
//! Each series has a key whose bytes compare as the series do: the number of labels, then their values.
//! Keys are compared by eight bytes at a time, and what all of a range have in common is passed over.

use std::cmp::Ordering;

use crate::model::Label;

/// Beyond so many steps into the keys they are compared as a whole.
const DEPTH_MAX: usize = 64;

/// The keys of many series.
#[derive(Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    /// The series, once they are in order.
    items: Vec<Item>,
}

#[derive(Clone, Copy)]
struct Item {
    /// The eight bytes of the key that are looked at.
    word: u64,
    index: u32,
}

impl Keys {
    /// Forgets all keys, and keeps the memory for others.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.items.clear();
    }

    /// Adds the key of a series with these labels.
    ///
    /// A value ends with 0 and has none in it, so that no key is the beginning of another one.
    pub(super) fn push<'l>(&mut self, labels: impl ExactSizeIterator<Item = Label<'l>>) {
        let count = u32::try_from(labels.len()).expect("labels of a series are limited");
        self.bytes.extend_from_slice(&count.to_be_bytes());
        labels.for_each(|label| self.push_value(label.value));
        self.ends.push(self.bytes.len());
    }

    fn push_value(&mut self, value: &str) {
        let value = value.as_bytes();
        if value.iter().all(|byte| *byte > 1) {
            self.bytes.extend_from_slice(value);
        } else {
            for &byte in value {
                match byte {
                    0 | 1 => self.bytes.extend_from_slice(&[1, byte + 1]),
                    byte => self.bytes.push(byte),
                }
            }
        }
        self.bytes.push(0);
    }

    fn get(&self, index: u32) -> &[u8] {
        let index = index as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }

    /// Puts the series in the order of their keys; `tie` decides between those of equal keys.
    pub(super) fn put_in_order(&mut self, tie: impl Fn(u32, u32) -> Ordering) {
        let count = u32::try_from(self.ends.len()).expect("as many series as there are places for");
        let mut items = std::mem::take(&mut self.items);
        items.clear();
        items.extend((0..count).map(|index| Item { word: 0, index }));
        self.sort(&mut items, 0, 0, &tie);
        self.items = items;
    }

    /// The numbers of the series, in order.
    pub(super) fn in_order(&self) -> impl Iterator<Item = u32> {
        self.items.iter().map(|item| item.index)
    }

    /// Sorts series whose keys have their first `start` bytes in common.
    fn sort(&self, items: &mut [Item], start: usize, depth: usize, tie: &impl Fn(u32, u32) -> Ordering) {
        let start = start + self.common(items, start);
        let whole =
            |a: &Item, b: &Item| self.get(a.index).cmp(self.get(b.index)).then_with(|| tie(a.index, b.index));
        if depth >= DEPTH_MAX || items.len() <= 2 || start >= self.get(items[0].index).len() {
            items.sort_by(whole);
            return;
        }
        for item in &mut *items {
            item.word = word(self.get(item.index), start);
        }
        // Finds sorted runs and merges them.
        items.sort_by_key(|item| item.word);
        for equal in items.chunk_by_mut(|a, b| a.word == b.word).filter(|equal| equal.len() > 1) {
            self.sort(equal, start + size_of::<u64>(), depth + 1, tie);
        }
    }

    /// How many bytes from `start` on all of these keys have in common.
    fn common(&self, items: &[Item], start: usize) -> usize {
        let rest = |item: &Item| self.get(item.index).get(start..).unwrap_or_default();
        let Some((first, others)) = items.split_first() else { return 0 };
        let mut common = rest(first);
        for other in others {
            let other = rest(other);
            if !other.starts_with(common) {
                let same = common.iter().zip(other).take_while(|(a, b)| a == b).count();
                common = &common[..same];
            }
            if common.is_empty() {
                break;
            }
        }
        common.len()
    }
}

/// Eight bytes of a key, as a number that compares as they do; behind the end of the key there are zeros.
fn word(key: &[u8], start: usize) -> u64 {
    let rest = key.get(start..).unwrap_or_default();
    if let Some(whole) = rest.first_chunk() {
        return u64::from_be_bytes(*whole);
    }
    let mut bytes = [0; size_of::<u64>()];
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_sort_as_the_values_do(
            series in proptest::collection::vec(
                proptest::collection::vec("[\u{0}\u{1}\u{2}ab\u{e9}]{0,12}", 0..4),
                0..60,
            )
        ) {
            let mut keys = Keys::default();
            for values in &series {
                keys.push(values.iter().map(|value| Label { name: "l", value }));
            }
            let mut expected: Vec<u32> = (0..).take(series.len()).collect();
            expected.sort_by_key(|&index| (series[index as usize].len(), &series[index as usize], index));
            keys.put_in_order(|a, b| a.cmp(&b));
            prop_assert_eq!(keys.in_order().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn keys_that_differ_late_again_and_again_are_sorted_too() {
        let mut keys = Keys::default();
        let value = |i: usize| format!("{}b", "a".repeat(20 * i));
        for i in 0..300 {
            keys.push([Label { name: "l", value: &value(i * 7 % 300) }].into_iter());
        }
        keys.put_in_order(|a, b| a.cmp(&b));
        let order: Vec<usize> = keys.in_order().map(|i| i as usize * 7 % 300).collect();
        assert_eq!(order, (0..300).rev().collect::<Vec<_>>());
    }
}
