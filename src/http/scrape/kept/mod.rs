//! The text of the families as it was at the last scrape, kept for the next one.
//!
//! What has not changed since is handed out again as it is; of what has, only the lines of the changed pages
//! are written anew. Invariants: what is shown is what would be written from nothing; no more is kept than
//! allowed; of what is deleted nothing is left after the next scrape.

mod family;
mod lines;
mod order;
mod pages;

use std::collections::{HashMap, HashSet};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::gateway::{Family, FamilyId, Snapshot};
use crate::telemetry::LeftOut;

use super::view::View;

use family::FamilyText;
use lines::Written;
use pages::{At, Pages, Seen};

/// For fewer new series than this another thread is not worth its start.
const SERIES_PER_THREAD: usize = 20_000;

/// What is kept of one scrape for the next.
#[derive(Debug, Default)]
pub(super) struct Kept {
    view: View,
    pages: Pages,
    /// All families of the last scrape.
    families: HashMap<FamilyId, KeptFamily>,
}

#[derive(Debug)]
struct KeptFamily {
    family: Arc<Family>,
    /// `None` if it would be too much, or could not be written.
    text: Option<FamilyText>,
}

/// A scrape under way.
pub(super) struct Update<'k, 's> {
    kept: &'k mut Kept,
    seen: Seen<'s>,
    /// Series to be added to what is kept of their families, page by page.
    new: HashMap<FamilyId, Vec<At>>,
    /// Families with series on pages that have changed.
    touched: HashSet<FamilyId>,
    bytes: usize,
    bytes_max: usize,
    written: Written,
    /// Texts that are written already.
    prepared: HashMap<FamilyId, Result<Prepared, LeftOut>>,
    series_left_out: usize,
}

impl Kept {
    /// Nothing yet.
    pub(super) fn new(view: View) -> Self {
        Self { view, ..Self::default() }
    }

    /// Moves on to another snapshot; at the end at most `bytes_max` bytes of text are kept.
    pub(super) fn update<'k, 's>(&'k mut self, snapshot: &'s Snapshot, bytes_max: usize) -> Update<'k, 's> {
        let seen = self.pages.advance(snapshot);
        if seen.any_gone() {
            self.families.values_mut().filter_map(|kept| kept.text.as_mut()).for_each(|text| {
                text.remove_gone(&seen);
            });
        }
        let new = self.find_new(&seen);
        self.families.retain(|id, kept| {
            new.contains_key(id) || kept.text.as_ref().is_some_and(|text| text.series() > 0)
        });
        let changed = seen.changed_pages().flat_map(|page| page.families());
        let touched = changed.map(|family| family.id).collect();
        Update {
            kept: self,
            seen,
            new,
            touched,
            bytes: 0,
            bytes_max,
            written: Written::default(),
            prepared: HashMap::new(),
            series_left_out: 0,
        }
    }

    /// The series that no kept text shows. Families that are new are added to what is kept.
    fn find_new(&mut self, seen: &Seen<'_>) -> HashMap<FamilyId, Vec<At>> {
        let without_text = self.families.values().any(|kept| kept.text.is_none());
        let mut new = NewSeries::default();
        let mut of_page = Vec::new();
        for (place, page) in seen.pages() {
            let (slots, vacant) = (page.view.slots(), page.view.vacant());
            if page.known == slots && !without_text {
                continue;
            }
            of_page.clear();
            of_page.extend(page.view.families().iter().map(|family| {
                let first_new = if self.has_text(family) { page.known } else { 0 };
                (first_new, new.list_of(family.id))
            }));
            let first_new = of_page.iter().map(|(first_new, _)| *first_new).min().unwrap_or(slots);
            for slot in (first_new..slots).filter(|slot| !vacant.contains(*slot)) {
                let (first_new, list) = of_page[page.view.family_index(slot)];
                if slot >= first_new {
                    new.lists[list].1.push(At::new(place, slot));
                }
            }
        }
        new.lists.into_iter().filter(|(_, series)| !series.is_empty()).collect()
    }

    /// Whether there is a text of this family. A new one is noted.
    fn has_text(&mut self, family: &Arc<Family>) -> bool {
        let new = || KeptFamily { family: Arc::clone(family), text: None };
        self.families.entry(family.id).or_insert_with(new).text.is_some()
    }
}

/// Series that are not shown yet, by family.
#[derive(Default)]
struct NewSeries {
    lists: Vec<(FamilyId, Vec<At>)>,
    by_family: HashMap<FamilyId, usize>,
}

impl NewSeries {
    fn list_of(&mut self, family: FamilyId) -> usize {
        *self.by_family.entry(family).or_insert_with(|| {
            self.lists.push((family, Vec::new()));
            self.lists.len() - 1
        })
    }
}

impl Update<'_, '_> {
    /// All families, in no order.
    pub(super) fn families(&self) -> Vec<Arc<Family>> {
        self.kept.families.values().map(|kept| Arc::clone(&kept.family)).collect()
    }

    /// Writes the texts of families with new series, on as many threads as there are processors, if there is
    /// much to write. What is not written here is written when it is asked for.
    pub(super) fn prepare(&mut self) {
        let series: usize = self.new.values().map(Vec::len).sum();
        let threads = thread::available_parallelism().map_or(1, NonZero::get).min(series / SERIES_PER_THREAD);
        if threads > 1 {
            self.prepare_on(threads);
        }
    }

    fn prepare_on(&mut self, threads: usize) {
        let mut tasks: Vec<Task> = std::mem::take(&mut self.new)
            .into_iter()
            .filter_map(|(id, new)| {
                Some(self.kept.families.get_mut(&id)?.task(self.kept.view, new, self.touched.contains(&id)))
            })
            .collect();
        // The largest ones first, so that none is left to one thread at the end.
        tasks.sort_unstable_by_key(|task| task.new.len());
        let (seen, tasks) = (&self.seen, Mutex::new(tasks));
        let work = || {
            let (mut done, mut written) = (Vec::new(), Written::default());
            loop {
                // A statement of its own: the lock must not be held while the family is written.
                let task = tasks.lock().pop();
                let Some(task) = task else { return done };
                done.push((task.family.id, task.run(seen, &mut written)));
            }
        };
        thread::scope(|scope| {
            let others: Vec<_> =
                (1..threads).filter_map(|_| thread::Builder::new().spawn_scoped(scope, work).ok()).collect();
            self.prepared.extend(work());
            for other in others {
                // Families that cannot be written do not get here; what else does ends the scrape.
                self.prepared.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
            }
        });
    }

    /// The text of a family, brought up to date, with or without its header. To be asked for once.
    pub(super) fn text(&mut self, family: &Family, with_header: bool) -> Result<Vec<Bytes>, LeftOut> {
        let view = self.kept.view;
        let kept = self.kept.families.get_mut(&family.id).ok_or(LeftOut::Failed)?;
        let Prepared { text, left_out } = if let Some(prepared) = self.prepared.remove(&family.id) {
            prepared?
        } else {
            let new = self.new.remove(&family.id).unwrap_or_default();
            kept.task(view, new, self.touched.contains(&family.id)).run(&self.seen, &mut self.written)?
        };
        let chunks = text.chunks(with_header).collect();
        self.series_left_out += left_out;
        // What lacks series cannot be brought up to date.
        if left_out == 0 && self.bytes.saturating_add(text.bytes()) <= self.bytes_max {
            self.bytes += text.bytes();
            kept.text = Some(text);
        }
        Ok(chunks)
    }

    /// How many series of the texts so far are left out, since they look like others.
    pub(super) fn series_left_out(&self) -> usize {
        self.series_left_out
    }

    /// Keeps nothing of a family, whose text is not asked for.
    pub(super) fn leave_out(&mut self, family: &Family) {
        if let Some(kept) = self.kept.families.get_mut(&family.id) {
            kept.text = None;
        }
    }

    /// Ends it. All families have been asked for or left out. The bytes that are kept.
    pub(super) fn finish(self) -> usize {
        self.kept.pages.release(self.seen);
        self.bytes
    }
}

impl KeptFamily {
    /// What is to be done about its text, which is taken out: what fails half way is not kept.
    fn task(&mut self, view: View, new: Vec<At>, is_touched: bool) -> Task {
        Task { view, family: Arc::clone(&self.family), before: self.text.take(), new, is_touched }
    }
}

/// A text that is up to date.
struct Prepared {
    text: FamilyText,
    /// How many series it lacks, since they look like others.
    left_out: usize,
}

/// A text that is to be brought up to date.
struct Task {
    view: View,
    family: Arc<Family>,
    before: Option<FamilyText>,
    new: Vec<At>,
    is_touched: bool,
}

impl Task {
    fn run(self, seen: &Seen<'_>, written: &mut Written) -> Result<Prepared, LeftOut> {
        let Self { view, family, before, new, is_touched } = self;
        let name = view.name(&family.name, family.metric_type);
        if !view.has_place_for(&name, family.metric_type) {
            return Err(LeftOut::Name);
        }
        let write = AssertUnwindSafe(|| {
            let mut text = match before {
                Some(mut text) => {
                    text.update(view, &family, seen, &new, is_touched, written);
                    text
                }
                None => FamilyText::new(view, &family, seen, &new, written),
            };
            let left_out = text.tell_apart(view, &family, seen, written);
            (text, left_out)
        });
        let (text, left_out) = catch_unwind(write).map_err(|_| LeftOut::Failed)?;
        let is_empty = left_out > 0 && text.series() == 0;
        if is_empty { Err(LeftOut::Name) } else { Ok(Prepared { text, left_out }) }
    }
}

#[cfg(test)]
mod tests;
