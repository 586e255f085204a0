//! The layout of a page: whose values stand on it.
//!
//! There is one entry for each stored series in memory, so what series have in common is written once: the
//! texts of their labels, the names of their labels together with their family, the stamps of their first
//! pushes. A series is then a few small numbers.

use std::sync::Arc;

use crate::model::{Label, Stamp};

use super::family::Family;
use super::page::SLOTS_PER_PAGE;
use super::pieces::Pieces;

// Families, shapes and stamps of a page are numbered in a byte each; there are no more of them than slots.
const _: () = assert!(SLOTS_PER_PAGE <= 1 << u8::BITS);

/// The identities of the series of one page: family and labels, written once when a series first appears.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageLayout {
    /// The families that have series here, in order of appearance.
    families: Vec<Arc<Family>>,
    /// When series here were first pushed, in order of appearance.
    stamps: Vec<Stamp>,
    pieces: Pieces,
    shapes: Vec<Shape>,
    /// Pieces: of each slot the values of its labels; before them the names, where its shape first appears.
    words: Words,
    slots: Vec<SlotIdentity>,
}

/// What series that differ in nothing but the values of their labels have in common.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// Where the names of the labels begin in `words`.
    names: u32,
    /// How many labels there are.
    labels: u32,
    /// Into `families`.
    family: u8,
}

#[derive(Clone, Copy, Debug)]
struct SlotIdentity {
    /// One past the values of its labels in `words`.
    end: u32,
    /// Into `shapes`.
    shape: u8,
    /// Into `stamps`.
    created: u8,
}

impl PageLayout {
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The families that have series on this page.
    pub(crate) fn families(&self) -> &[Arc<Family>] {
        &self.families
    }

    /// The index in [`Self::families`] of the family of a slot.
    pub(crate) fn family_index(&self, slot: usize) -> usize {
        self.shape(slot).family.into()
    }

    pub(crate) fn family(&self, slot: usize) -> &Arc<Family> {
        &self.families[self.family_index(slot)]
    }

    /// When the series in this slot was first pushed.
    pub(crate) fn created(&self, slot: usize) -> Stamp {
        self.stamps[usize::from(self.slots[slot].created)]
    }

    /// The labels of a slot, by name, less those of the grouping key.
    pub(crate) fn labels(&self, slot: usize) -> impl ExactSizeIterator<Item = Label<'_>> + Clone {
        let shape = self.shape(slot);
        let (labels, names) = (shape.labels as usize, shape.names as usize);
        let values = self.slots[slot].end as usize - labels;
        (0..labels).map(move |label| Label {
            name: self.pieces.get(self.words.get(names + label)),
            value: self.pieces.get(self.words.get(values + label)),
        })
    }

    /// Roughly the bytes that it takes.
    pub(crate) fn weight(&self) -> usize {
        size_of_val(&*self.families)
            + size_of_val(&*self.stamps)
            + self.pieces.weight()
            + size_of_val(&*self.shapes)
            + self.words.weight()
            + size_of_val(&*self.slots)
    }

    /// Adds a series; the caller makes sure that the page has room.
    pub(crate) fn push<'a>(
        &mut self,
        family: &Arc<Family>,
        labels: impl Iterator<Item = Label<'a>> + Clone,
        created: Stamp,
    ) {
        debug_assert!(self.len() < SLOTS_PER_PAGE);
        let family = number_of(&mut self.families, |own| Arc::ptr_eq(own, family), || Arc::clone(family));
        let created = number_of(&mut self.stamps, |own| *own == created, || created);
        let shape = self.shape_of(family, labels.clone().map(|label| label.name));
        for label in labels {
            self.words.push(self.pieces.intern(label.value));
        }
        self.slots.push(SlotIdentity { end: self.words.end(), shape, created });
    }

    /// Sets anew when the series in a slot was first pushed, since it begins again.
    pub(crate) fn set_created(&mut self, slot: usize, created: Stamp) {
        if self.stamps.len() >= SLOTS_PER_PAGE {
            self.forget_unused_stamps();
        }
        self.slots[slot].created = number_of(&mut self.stamps, |own| *own == created, || created);
    }

    fn forget_unused_stamps(&mut self) {
        let all = std::mem::take(&mut self.stamps);
        for slot in &mut self.slots {
            let created = all[usize::from(slot.created)];
            slot.created = number_of(&mut self.stamps, |own| *own == created, || created);
        }
    }

    /// The same, without room for more: what is kept for long should not take more than it needs.
    pub(crate) fn without_spare_room(&self) -> Self {
        // A copy of a vector has no spare room; shrinking one is left to the allocator, which may decline.
        self.clone()
    }

    fn shape(&self, slot: usize) -> Shape {
        self.shapes[usize::from(self.slots[slot].shape)]
    }

    /// The number of the shape of this family and these names, which is a new one if there is none.
    fn shape_of<'a>(&mut self, family: u8, names: impl Iterator<Item = &'a str> + Clone) -> u8 {
        let is_it = |own: &Shape| {
            let start = own.names as usize;
            let own_names = start..start + own.labels as usize;
            own.family == family
                && own_names.map(|word| self.pieces.get(self.words.get(word))).eq(names.clone())
        };
        let index = self.shapes.iter().rposition(is_it).unwrap_or_else(|| {
            let start = self.words.end();
            for name in names {
                self.words.push(self.pieces.intern(name));
            }
            self.shapes.push(Shape { names: start, labels: self.words.end() - start, family });
            self.shapes.len() - 1
        });
        byte(index)
    }
}

/// The number of the item in a list for which `is_it` is true, which is a new one if there is none.
fn number_of<T>(list: &mut Vec<T>, is_it: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> u8 {
    byte(list.iter().rposition(is_it).unwrap_or_else(|| {
        list.push(new());
        list.len() - 1
    }))
}

fn byte(index: usize) -> u8 {
    u8::try_from(index).expect("there are no more of them than slots")
}

/// Numbers of pieces, in two bytes each for as long as they fit.
#[derive(Clone, Debug)]
enum Words {
    Narrow(Vec<u16>),
    /// A page gets there by series with thousands of labels only.
    Wide(Vec<u32>),
}

impl Default for Words {
    fn default() -> Self {
        Self::Narrow(Vec::new())
    }
}

impl Words {
    fn push(&mut self, word: u32) {
        match self {
            Self::Narrow(words) => {
                if let Ok(word) = u16::try_from(word) {
                    words.push(word);
                } else {
                    let wide = words.iter().copied().map(u32::from);
                    *self = Self::Wide(wide.chain([word]).collect());
                }
            }
            Self::Wide(words) => words.push(word),
        }
    }

    fn get(&self, index: usize) -> u32 {
        match self {
            Self::Narrow(words) => words[index].into(),
            Self::Wide(words) => words[index],
        }
    }

    fn end(&self) -> u32 {
        let words = match self {
            Self::Narrow(words) => words.len(),
            Self::Wide(words) => words.len(),
        };
        u32::try_from(words).expect("labels of a page are limited")
    }

    fn weight(&self) -> usize {
        match self {
            Self::Narrow(words) => size_of_val(&**words),
            Self::Wide(words) => size_of_val(&**words),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::family::{FamilyId, Texts};
    use super::*;
    use crate::model::{LabelSet, MetricType};

    fn family(id: u64) -> Arc<Family> {
        let name = format!("family_{id}").into();
        Arc::new(Family::new(FamilyId(id), name, MetricType::Counter, Texts::default()))
    }

    fn series_of(layout: &PageLayout, slot: usize) -> (FamilyId, LabelSet, Stamp) {
        let labels = LabelSet::new(layout.labels(slot).map(|label| (label.name, label.value)));
        (layout.family(slot).id, labels, layout.created(slot))
    }

    fn any_series() -> impl Strategy<Value = (u64, LabelSet, Stamp)> {
        // Few texts, so that names are values elsewhere, and series differ in one label only.
        let text = prop_oneof![4 => "[ab]{1,2}", 1 => "\\PC{1,9}"];
        let labels = proptest::collection::vec((text.clone(), text), 0..5)
            .prop_map(|labels| LabelSet::new(labels.iter().map(|(name, value)| (&**name, &**value))));
        (0_u64..5, labels, (0_u64..4).prop_map(Stamp))
    }

    proptest! {
        #[test]
        fn a_layout_gives_back_what_was_pushed(
            pushed in proptest::collection::vec(any_series(), 0..=SLOTS_PER_PAGE),
            copied_after in any::<prop::sample::Index>(),
        ) {
            let families: Vec<_> = (0..5).map(family).collect();
            let mut layout = PageLayout::default();
            for (slot, (family, labels, created)) in pushed.iter().enumerate() {
                if slot == copied_after.index(SLOTS_PER_PAGE) {
                    layout = layout.without_spare_room();
                }
                layout.push(&families[usize::try_from(*family).unwrap()], labels.iter(), *created);
            }
            prop_assert_eq!(layout.len(), pushed.len());
            for (slot, (family, labels, created)) in pushed.iter().enumerate() {
                prop_assert_eq!(series_of(&layout, slot), (FamilyId(*family), labels.clone(), *created));
                prop_assert_eq!(layout.labels(slot).len(), labels.len());
            }
            let in_order = |slot: usize| layout.labels(slot).is_sorted_by(|a, b| a.name < b.name);
            prop_assert!((0..pushed.len()).all(in_order));
            let used: std::collections::HashSet<_> = pushed.iter().map(|(family, ..)| *family).collect();
            prop_assert_eq!(layout.families().len(), used.len());
        }
    }

    #[test]
    fn every_slot_may_have_a_family_a_stamp_and_names_of_its_own() {
        let mut layout = PageLayout::default();
        for slot in 0..SLOTS_PER_PAGE as u64 {
            let labels = LabelSet::new([(&*format!("name_{slot}"), &*format!("value {slot}"))]);
            layout.push(&family(slot), labels.iter(), Stamp(slot));
        }
        for slot in 0..SLOTS_PER_PAGE {
            let number = slot as u64;
            let labels = LabelSet::new([(&*format!("name_{number}"), &*format!("value {number}"))]);
            assert_eq!(series_of(&layout, slot), (FamilyId(number), labels, Stamp(number)));
        }
    }

    #[test]
    fn series_may_begin_again_however_often() {
        let mut layout = PageLayout::default();
        for slot in 0..SLOTS_PER_PAGE as u64 {
            let labels = LabelSet::new([("l", &*format!("{slot}"))]);
            layout.push(&family(1), labels.iter(), Stamp(slot));
        }
        for again in 0..3 * SLOTS_PER_PAGE as u64 {
            let slot = usize::try_from(again * 7).unwrap() % SLOTS_PER_PAGE;
            layout.set_created(slot, Stamp(1_000 + again));
            assert_eq!(layout.created(slot), Stamp(1_000 + again));
        }
        let created: std::collections::HashSet<_> =
            (0..layout.len()).map(|slot| layout.created(slot)).collect();
        assert_eq!(created.len(), SLOTS_PER_PAGE);
    }

    #[test]
    fn more_texts_than_two_bytes_can_number_are_kept_all_the_same() {
        let labels: Vec<(String, String)> =
            (0..40_000).map(|number| (format!("n{number:05}"), format!("v{number}"))).collect();
        let labels = LabelSet::new(labels.iter().map(|(name, value)| (&**name, &**value)));
        let (one, few) = (family(1), LabelSet::new([("n00001", "v2")]));
        let mut layout = PageLayout::default();
        layout.push(&one, few.iter(), Stamp(1));
        layout.push(&one, labels.iter(), Stamp(1));
        layout.push(&one, few.iter(), Stamp(2));
        assert!(matches!(layout.words, Words::Wide(_)));
        assert_eq!(series_of(&layout, 0), (one.id, few.clone(), Stamp(1)));
        assert_eq!(series_of(&layout, 1), (one.id, labels, Stamp(1)));
        assert_eq!(series_of(&layout, 2), (one.id, few, Stamp(2)));
    }

    #[test]
    fn a_counter_with_four_labels_takes_few_bytes() {
        let (methods, codes) = (["GET", "PUT", "POST", "HEAD", "DELETE"], ["200", "302", "404", "500"]);
        let one = family(1);
        let mut layout = PageLayout::default();
        for slot in 0..SLOTS_PER_PAGE {
            let (path, rest) = (slot / 4, slot % 5);
            let path = format!("/api/v1/items/{path:02}");
            let labels = [
                ("code", codes[slot % 4]),
                ("handler", "item"),
                ("method", methods[rest]),
                ("path", path.as_str()),
            ];
            layout.push(&one, LabelSet::new(labels).iter(), Stamp(1));
        }
        let per_series = layout.weight() / SLOTS_PER_PAGE;
        assert!(per_series <= 24, "{per_series}");
    }
}
