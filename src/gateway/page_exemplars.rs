//! The exemplars of the series of a page. Nearly always there are none, and then they take no room.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::aggregation::Exemplars;
use crate::model::{Exemplar, MetricType, Stamp};

/// The exemplars of the series of a page, by slot. A copy of a page has them in common with it until either
/// changes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PageExemplars(Option<Arc<BTreeMap<u8, Exemplars>>>);

impl PageExemplars {
    /// Takes in what came with a push to the series in a slot.
    pub(crate) fn absorb(&mut self, slot: usize, of: MetricType, pushed: &[Exemplar], stamp: Stamp) {
        if pushed.is_empty() {
            return;
        }
        let exemplars = self.by_slot().entry(number(slot)).or_default();
        exemplars.absorb(pushed, stamp, Exemplars::of_series_max(of));
    }

    /// Forgets those of a slot.
    pub(crate) fn forget(&mut self, slot: usize) {
        if self.get(slot).is_some() {
            self.by_slot().remove(&number(slot));
        }
    }

    /// Those of a slot, if there are any.
    pub(crate) fn get(&self, slot: usize) -> Option<&Exemplars> {
        self.0.as_ref()?.get(&number(slot))
    }

    /// Puts in those of a slot as they were.
    pub(crate) fn set(&mut self, slot: usize, exemplars: Option<&Exemplars>) {
        self.forget(slot);
        if let Some(exemplars) = exemplars {
            self.by_slot().insert(number(slot), exemplars.clone());
        }
    }

    /// All of them, by slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u8, &Exemplars)> {
        self.0.iter().flat_map(|all| all.iter()).map(|(slot, exemplars)| (*slot, exemplars))
    }

    /// Roughly the bytes that they take.
    pub(crate) fn weight(&self) -> usize {
        self.iter().map(|(_, exemplars)| exemplars.weight()).sum()
    }

    fn by_slot(&mut self) -> &mut BTreeMap<u8, Exemplars> {
        Arc::make_mut(self.0.get_or_insert_default())
    }
}

fn number(slot: usize) -> u8 {
    u8::try_from(slot).expect("a page has at most 256 slots")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ExemplarPlace, LabelSet};

    #[test]
    fn each_slot_has_its_own_and_a_copy_is_not_touched() {
        let exemplar = |value| Exemplar {
            place: ExemplarPlace::Series,
            labels: LabelSet::default(),
            value,
            timestamp: None,
        };
        let values = |page: &PageExemplars| -> Vec<(u8, f64)> {
            page.iter().map(|(slot, kept)| (slot, kept.iter().next().unwrap().value)).collect()
        };
        let mut page = PageExemplars::default();
        page.absorb(3, MetricType::Counter, &[], Stamp(1));
        assert_eq!(page, PageExemplars::default());
        page.absorb(3, MetricType::Counter, &[exemplar(1.0)], Stamp(1));
        page.absorb(2, MetricType::Counter, &[exemplar(2.0)], Stamp(1));
        let copy = page.clone();
        page.absorb(3, MetricType::Counter, &[exemplar(3.0)], Stamp(2));
        page.forget(2);
        assert_eq!(values(&page), [(3, 3.0)]);
        assert_eq!(values(&copy), [(2, 2.0), (3, 1.0)]);
        page.set(0, copy.get(2));
        page.set(3, copy.get(7));
        assert_eq!(values(&page), [(0, 2.0)]);
    }
}
