//! Which versions of which pages the kept text was made from.
//!
//! Invariant: a place is given to another page only once no kept text speaks of it any more.

use crate::gateway::{GroupId, PageVersion, PageView, SLOTS_PER_PAGE, SeriesView, SlotSet, Snapshot};

/// Where a series stands: the place of its page here, and its slot; in one word, because there is one for
/// each series that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At(u32);

impl At {
    pub(super) fn new(place: usize, slot: usize) -> Self {
        debug_assert!(slot < SLOTS_PER_PAGE);
        Self(u32::try_from(place * SLOTS_PER_PAGE + slot).expect("33 million pages do not fit into memory"))
    }

    pub(super) fn place(self) -> usize {
        self.0 as usize / SLOTS_PER_PAGE
    }

    pub(super) fn slot(self) -> usize {
        self.0 as usize % SLOTS_PER_PAGE
    }
}

/// All pages that were shown, each at a place of its own.
#[derive(Debug, Default)]
pub(super) struct Pages {
    /// By number.
    groups: Vec<KeptGroup>,
    places: Vec<KeptPage>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct KeptGroup {
    id: GroupId,
    /// The places of its pages.
    places: Vec<u32>,
}

#[derive(Debug, Default)]
struct KeptPage {
    version: Option<PageVersion>,
    /// How many slots there were, and which of them held no series.
    slots: u32,
    vacant: SlotSet,
}

/// A snapshot beside what was kept of the one before.
pub(super) struct Seen<'s> {
    /// By place; `None` where the page is gone or none is.
    pages: Vec<Option<SeenPage<'s>>>,
    /// By place: whether it has another version than the one kept.
    changed: Vec<bool>,
    /// The places of pages that are gone.
    gone: Vec<u32>,
}

/// A page of the snapshot.
#[derive(Clone, Copy)]
pub(super) struct SeenPage<'s> {
    pub(super) view: PageView<'s>,
    /// How many of its slots were there the last time.
    pub(super) known: usize,
}

impl Pages {
    /// Moves on to another snapshot.
    pub(super) fn advance<'s>(&mut self, snapshot: &'s Snapshot) -> Seen<'s> {
        let mut seen = Seen {
            pages: vec![None; self.places.len()],
            changed: vec![false; self.places.len()],
            gone: Vec::new(),
        };
        let mut before = std::mem::take(&mut self.groups).into_iter().peekable();
        for group in snapshot.pages() {
            while let Some(gone) = before.next_if(|kept| kept.id < group.id) {
                seen.gone.extend(gone.places);
            }
            let kept = before.next_if(|kept| kept.id == group.id);
            let mut places = kept.map(|kept| kept.places).unwrap_or_default();
            for (number, view) in group.iter().enumerate() {
                if number == places.len() {
                    places.push(self.new_place());
                }
                // With other slots vacant it is shown as another page.
                let kept = &self.places[places[number] as usize];
                if kept.version.is_some() && kept.vacant != view.vacant() {
                    seen.gone.push(places[number]);
                    places[number] = self.new_place();
                }
                self.see(places[number] as usize, view, &mut seen);
            }
            places.shrink_to_fit();
            self.groups.push(KeptGroup { id: group.id, places });
        }
        seen.gone.extend(before.flat_map(|gone| gone.places));
        seen
    }

    fn see<'s>(&mut self, place: usize, view: PageView<'s>, seen: &mut Seen<'s>) {
        if seen.pages.len() <= place {
            seen.pages.resize(place + 1, None);
            seen.changed.resize(place + 1, false);
        }
        let kept = &mut self.places[place];
        seen.pages[place] = Some(SeenPage { view, known: kept.slots as usize });
        if !kept.version.as_ref().is_some_and(|version| view.is(version)) {
            seen.changed[place] = kept.version.is_some();
            kept.version = Some(view.version());
            kept.slots = u32::try_from(view.slots()).expect("a page is small");
            kept.vacant = view.vacant();
        }
    }

    fn new_place(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.places.push(KeptPage::default());
            u32::try_from(self.places.len() - 1).expect("33 million pages do not fit into memory")
        })
    }

    /// How many places there are, free ones included.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    /// Lets go of the pages that are gone; to be called once no text speaks of them.
    pub(super) fn release(&mut self, seen: Seen<'_>) {
        for place in seen.gone {
            self.places[place as usize] = KeptPage::default();
            self.free.push(place);
        }
    }
}

impl<'s> Seen<'s> {
    /// All pages that there are, with their places.
    pub(super) fn pages(&self) -> impl Iterator<Item = (usize, SeenPage<'s>)> {
        self.pages.iter().enumerate().filter_map(|(place, page)| Some((place, (*page)?)))
    }

    /// The pages of which another version was kept.
    pub(super) fn changed_pages(&self) -> impl Iterator<Item = PageView<'s>> {
        let of = |(page, changed): (&Option<SeenPage<'s>>, &bool)| page.filter(|_| *changed);
        self.pages.iter().zip(&self.changed).filter_map(of).map(|page| page.view)
    }

    /// Whether any page is gone.
    pub(super) fn any_gone(&self) -> bool {
        !self.gone.is_empty()
    }

    /// Whether the page of a series is still there.
    pub(super) fn has(&self, at: At) -> bool {
        self.pages[at.place()].is_some()
    }

    /// Whether the page of a series has another version than the one kept.
    pub(super) fn is_changed(&self, at: At) -> bool {
        self.changed[at.place()]
    }

    /// The page of a series that is there.
    pub(super) fn page(&self, at: At) -> PageView<'s> {
        self.pages[at.place()].expect("asked for pages that are there").view
    }

    /// A series that is there.
    pub(super) fn series(&self, at: At) -> SeriesView<'s> {
        self.page(at).at(at.slot())
    }
}
