//! Which push came last to each family of a page.
//!
//! Nearly always one push brings all families of a page again, and then there is one stamp for them all.

use crate::model::Stamp;

use super::slot_set::SlotSet;

/// The stamp of the last push to each family of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Touched {
    /// It was one push to all of them.
    Together(Stamp),
    /// By family, in the order of the page's layout.
    Apart(Box<[Stamp]>),
}

impl Default for Touched {
    fn default() -> Self {
        Self::Together(Stamp::default())
    }
}

impl Touched {
    /// The stamp of the last push to a family, by its index.
    pub(crate) fn of(&self, family: usize) -> Stamp {
        match self {
            Self::Together(stamp) => *stamp,
            Self::Apart(stamps) => stamps[family],
        }
    }

    /// What has these stamps, by family.
    pub(crate) fn each(stamps: Box<[Stamp]>) -> Self {
        let mut touched = Self::Apart(stamps);
        touched.join();
        touched
    }

    /// Notes a push to some of the page's families, of which there are so many now; those that are new to the page
    /// are among them.
    pub(crate) fn touch(&mut self, families: usize, touched: impl Iterator<Item = usize>, stamp: Stamp) {
        if *self == Self::Together(stamp) {
            return;
        }
        // There are no more families than slots.
        let touched: SlotSet = if families == 1 { SlotSet::ALL } else { touched.collect() };
        if families == 1 || touched.len() == families {
            *self = Self::Together(stamp);
            return;
        }
        match self {
            Self::Apart(stamps) if stamps.len() == families => {
                touched.iter().for_each(|family| stamps[family] = stamp);
            }
            _ => {
                let of = |family| if touched.contains(family) { stamp } else { self.of(family) };
                *self = Self::Apart((0..families).map(of).collect());
            }
        }
        self.join();
    }

    /// One stamp for all where it is the same.
    fn join(&mut self) {
        if let Self::Apart(stamps) = self
            && let Some((first, others)) = stamps.split_first()
            && others.iter().all(|other| other == first)
        {
            *self = Self::Together(*first);
        }
    }

    /// How much older than the stamp of a record the stamps are: none if all are that stamp, one if all are the
    /// same, else as many as there are families. None is newer.
    pub(crate) fn ages(&self, newest: Stamp) -> Vec<u64> {
        let age = |stamp: &Stamp| newest.0.saturating_sub(stamp.0);
        match self {
            Self::Together(stamp) if *stamp == newest => Vec::new(),
            Self::Together(stamp) => vec![age(stamp)],
            Self::Apart(stamps) => stamps.iter().map(age).collect(),
        }
    }

    /// What has these ages, on a page of so many families; `None` if nothing does.
    pub(crate) fn from_ages(ages: &[u64], newest: Stamp, families: usize) -> Option<Self> {
        let stamp = |age: &u64| newest.0.checked_sub(*age).map(Stamp);
        match ages {
            [] => Some(Self::Together(newest)),
            [age] => Some(Self::Together(stamp(age)?)),
            ages if ages.len() == families => {
                Some(Self::each(ages.iter().map(stamp).collect::<Option<_>>()?))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(touched: &mut Touched, families: usize, which: &[usize], stamp: u64) {
        touched.touch(families, which.iter().copied(), Stamp(stamp));
    }

    #[test]
    fn every_family_has_the_stamp_of_its_last_push() {
        let mut touched = Touched::default();
        touch(&mut touched, 1, &[0], 1);
        assert_eq!(touched, Touched::Together(Stamp(1)));
        // Two more appear, with one push and the next.
        touch(&mut touched, 2, &[1], 1);
        touch(&mut touched, 3, &[0, 2], 2);
        assert_eq!([0, 1, 2].map(|family| touched.of(family)), [Stamp(2), Stamp(1), Stamp(2)]);
        touch(&mut touched, 3, &[0, 0, 2, 1], 3);
        assert_eq!(touched, Touched::Together(Stamp(3)));
        touch(&mut touched, 3, &[1], 4);
        assert_eq!([0, 1, 2].map(|family| touched.of(family)), [Stamp(3), Stamp(4), Stamp(3)]);
    }

    #[test]
    fn ages_are_few_and_give_back_the_stamps() {
        let apart = Touched::Apart([Stamp(7), Stamp(9), Stamp(8)].into());
        for (touched, expected) in [
            (Touched::Together(Stamp(9)), vec![]),
            (Touched::Together(Stamp(5)), vec![4]),
            (apart, vec![2, 0, 1]),
        ] {
            let ages = touched.ages(Stamp(9));
            assert_eq!(ages, expected);
            assert_eq!(Touched::from_ages(&ages, Stamp(9), 3), Some(touched));
        }
        assert_eq!(Touched::from_ages(&[1, 2], Stamp(9), 3), None);
        assert_eq!(Touched::from_ages(&[10], Stamp(9), 3), None);
    }
}
