//! The values of pages that were replaced, to be overwritten by the next versions of other pages.
//!
//! A new version of a page is a copy of the old one with other numbers. Where a page of the same make has just
//! been replaced, its memory is there already, that of its histograms too.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::aggregation::State;

use super::page::Page;

/// How many are kept at most: about as many as a commit under load replaces.
const SPARES_MAX: usize = 128;

/// The bytes that they may take.
const BYTES_MAX: usize = 1 << 20;

/// Values that nobody reads any more, the oldest first.
#[derive(Default)]
pub(crate) struct Spares {
    spares: VecDeque<Spare>,
    /// Roughly what all of them take.
    bytes: usize,
}

struct Spare {
    values: Vec<State>,
    bytes: usize,
}

impl Spares {
    /// Takes over the pages that a batch has replaced, as far as nobody else holds them. The oldest go where
    /// there would be too many.
    pub(crate) fn take_in(&mut self, replaced: Vec<Arc<Page>>) {
        for Page { values, .. } in replaced.into_iter().filter_map(Arc::into_inner) {
            let bytes = values.iter().map(State::weight).sum();
            self.spares.push_back(Spare { values, bytes });
            self.bytes += bytes;
            while self.spares.len() > SPARES_MAX || self.bytes > BYTES_MAX {
                self.bytes -= self.spares.pop_front().map_or(0, |oldest| oldest.bytes);
            }
        }
    }

    /// A copy of a page, in the memory of another one where one has as many values.
    pub(crate) fn copy(&mut self, page: &Page) -> Page {
        let fits = |Spare { values, .. }: &Spare| {
            values.len() == page.values.len() && values.capacity() == values.len()
        };
        let place = self.spares.iter().rposition(fits);
        let Some(Spare { mut values, bytes }) = place.and_then(|place| self.spares.remove(place)) else {
            return Page::clone(page);
        };
        self.bytes -= bytes;
        values.clone_from(&page.values);
        Page {
            layout: Arc::clone(&page.layout),
            values,
            vacant: page.vacant,
            touched: page.touched.clone(),
            exemplars: page.exemplars.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregation::{Contribution, UntypedMode};
    use crate::model::{Bucket, Histogram, MetricType, Stamp, Value};

    fn histogram(bounds: u32) -> State {
        let buckets = (0..bounds)
            .map(|bound| Bucket { upper_bound: f64::from(bound), cumulative_count: f64::from(bound) })
            .collect();
        let value =
            Histogram { buckets, sum: Some(2.5), count: Some(f64::from(bounds)), defect: None, native: None };
        let value = Value::Histogram(Box::new(value));
        let first = Contribution::new(&value, MetricType::Histogram, "h", UntypedMode::Sum).unwrap();
        State::new(MetricType::Histogram, &first, Stamp(1))
    }

    fn counter(value: f64) -> State {
        State::new(MetricType::Counter, &Contribution::Add(value), Stamp(1))
    }

    fn page(values: Vec<State>) -> Arc<Page> {
        Arc::new(Page { values, ..Page::default() })
    }

    #[test]
    fn a_copy_is_what_was_copied_whatever_was_there_before() {
        let pages = [
            vec![counter(1.5), histogram(3)],
            vec![counter(0.1), histogram(5)],
            vec![histogram(3), counter(7.0)],
            vec![counter(1e300), counter(1e-300)],
            vec![counter(2.0)],
        ];
        for copied in &pages {
            for replaced in &pages {
                let mut spares = Spares::default();
                spares.take_in(vec![page(replaced.clone())]);
                assert_eq!(&spares.copy(&page(copied.clone())).values, copied);
                assert_eq!(spares.spares.is_empty(), replaced.len() == copied.len());
            }
        }
    }

    #[test]
    fn a_page_that_somebody_holds_is_left_alone() {
        let held = page(vec![counter(1.0)]);
        let mut spares = Spares::default();
        spares.take_in(vec![Arc::clone(&held)]);
        assert_eq!(spares.copy(&page(vec![counter(2.0)])).values, [counter(2.0)]);
        assert_eq!(held.values, [counter(1.0)]);
    }

    #[test]
    fn only_so_many_and_so_large_are_kept_and_the_newest_of_them() {
        let mut spares = Spares::default();
        spares.take_in(vec![page(vec![counter(1.0), counter(2.0)])]);
        spares.take_in((0..2 * SPARES_MAX).map(|_| page(vec![counter(1.0)])).collect());
        assert_eq!(spares.spares.len(), SPARES_MAX);
        assert!(spares.spares.iter().all(|spare| spare.values.len() == 1));
        spares.take_in((0..SPARES_MAX).map(|_| page(vec![histogram(10_000)])).collect());
        assert!((1..10).contains(&spares.spares.len()), "so many large ones are more than {BYTES_MAX} bytes");
        while !spares.spares.is_empty() {
            spares.copy(&page(vec![counter(1.0)]));
        }
        assert_eq!(spares.bytes, 0);
    }
}
