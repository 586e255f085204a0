//! Sets of slots of one page.

use super::page::SLOTS_PER_PAGE;

const WORDS: usize = SLOTS_PER_PAGE.div_ceil(u64::BITS as usize);

/// A set of slots of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlotSet([u64; WORDS]);

impl SlotSet {
    /// All slots that a page can have.
    pub(crate) const ALL: Self = Self([u64::MAX; WORDS]);

    pub(crate) fn insert(&mut self, slot: usize) {
        self.0[slot / 64] |= 1 << (slot % 64);
    }

    pub(crate) fn remove(&mut self, slot: usize) {
        self.0[slot / 64] &= !(1 << (slot % 64));
    }

    pub(crate) fn contains(&self, slot: usize) -> bool {
        self.0[slot / 64] >> (slot % 64) & 1 == 1
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The slots, in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + use<> {
        (0..).step_by(64).zip(self.0).flat_map(|(first, mut word)| {
            std::iter::from_fn(move || {
                let slot = first + word.trailing_zeros() as usize;
                (word != 0).then(|| {
                    word &= word - 1;
                    slot
                })
            })
        })
    }

    /// The slots of both.
    pub(crate) fn with(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(own, other)| *own |= other);
        self
    }
}

impl FromIterator<usize> for SlotSet {
    fn from_iter<I: IntoIterator<Item = usize>>(slots: I) -> Self {
        let mut set = Self::default();
        slots.into_iter().for_each(|slot| set.insert(slot));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_in_and_not_taken_out() {
        let slots = [0, 1, 63, 64, SLOTS_PER_PAGE - 1];
        let mut set: SlotSet = slots.into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), slots);
        assert_eq!((set.len(), set.is_empty()), (slots.len(), false));
        set.remove(63);
        set.remove(7);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 1, 64, SLOTS_PER_PAGE - 1]);
        for slot in slots {
            set.remove(slot);
        }
        assert!(set.is_empty());
        assert_eq!(SlotSet::ALL.len(), SLOTS_PER_PAGE);
    }
}
