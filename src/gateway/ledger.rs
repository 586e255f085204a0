//! What the committer alone knows: the catalog, the numbers handed out, and what is left of deleted groups.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::model::{GroupingKey, Stamp};

use super::catalog::Catalog;
use super::family::{Family, FamilyId};
use super::group::{FamilyInGroup, Group, GroupEntry, GroupId};
use super::patches::Patches;
use super::record::RecordKey;

/// The names of the labels of a grouping key, by name.
pub(crate) type Shape = Box<[Box<str>]>;

/// The shape of a grouping key.
pub(crate) fn shape_of(key: &GroupingKey) -> Shape {
    key.iter().map(|label| label.name.into()).collect()
}

/// The committer's own books.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) catalog: Catalog,
    /// The committed groups, by number.
    pub(crate) live: HashMap<GroupId, Arc<GroupingKey>>,
    /// For each job the shapes of its groups, with the number of groups. Two groups can hold one
    /// series only if their jobs are the same and their shapes differ.
    shapes: HashMap<Box<str>, HashMap<Shape, usize>>,
    pub(crate) next_group: u64,
    pub(crate) next_family: u64,
    /// The newest stamp handed out.
    pub(crate) last_stamp: Stamp,
    /// What is still to be released of deleted groups, and of groups that hold less than they did.
    graveyard: VecDeque<Remains>,
    /// Records that the graveyard may come to.
    backlog: usize,
    /// Records that belong to nothing, found at the start.
    pub(crate) orphans: Vec<RecordKey>,
    /// Which pages the store may hold patches of.
    pub(crate) patches: Patches,
}

/// What is to be released.
#[derive(Debug)]
enum Remains {
    /// What is left of a deleted group; freed as it is released, since freeing a large group takes a while.
    Group(GroupEntry),
    /// The hold of a group on a family of which it has no series any more.
    Family { group: Arc<Group>, family: Arc<Family> },
}

impl Ledger {
    pub(crate) fn new_group_id(&mut self) -> GroupId {
        self.next_group += 1;
        GroupId(self.next_group)
    }

    pub(crate) fn new_family_id(&mut self) -> FamilyId {
        self.next_family += 1;
        FamilyId(self.next_family)
    }

    /// The shapes of the groups of a job.
    pub(crate) fn shapes(&self, job: &str) -> impl Iterator<Item = &Shape> {
        self.shapes.get(job).into_iter().flat_map(HashMap::keys)
    }

    /// Notes a group that is now committed.
    pub(crate) fn add_group(&mut self, group: &Group) {
        self.live.insert(group.id, Arc::clone(&group.key));
        let shapes = self.shapes.entry(group.key.job().into()).or_default();
        *shapes.entry(shape_of(&group.key)).or_default() += 1;
    }

    /// Notes that a group is gone; what is left of it is released later.
    pub(crate) fn bury_group(&mut self, entry: GroupEntry) {
        self.live.remove(&entry.group.id);
        self.remove_shape(&entry.group.key);
        self.backlog += 2 * entry.pages.len() + entry.group.index.read().families_len();
        self.graveyard.push_back(Remains::Group(entry));
    }

    /// Notes that a group has no series of a family any more; its hold on the name is released later.
    pub(crate) fn forsake_family(&mut self, group: Arc<Group>, family: Arc<Family>) {
        self.backlog += 1;
        self.graveyard.push_back(Remains::Family { group, family });
    }

    fn remove_shape(&mut self, key: &GroupingKey) {
        let Some(shapes) = self.shapes.get_mut(key.job()) else { return };
        let shape = shape_of(key);
        if let Some(groups) = shapes.get_mut(&shape) {
            *groups -= 1;
            if *groups == 0 {
                shapes.remove(&shape);
            }
        }
        if shapes.is_empty() {
            self.shapes.remove(key.job());
        }
    }

    /// Whether there is anything to release.
    pub(crate) fn has_remains(&self) -> bool {
        !self.graveyard.is_empty() || !self.orphans.is_empty()
    }

    /// Takes some of what deleted groups have left, at least `steps_min` pages and families: frees it,
    /// frees the names that nobody holds any more, and gives back the records to be removed from the store.
    ///
    /// The more there is left, the more is taken, so that it cannot pile up.
    pub(crate) fn release(&mut self, steps_min: usize) -> Vec<RecordKey> {
        let steps = steps_min.max(self.backlog / 16);
        let keep = self.orphans.len().saturating_sub(steps);
        let mut released = self.orphans.split_off(keep);
        for _ in released.len()..steps {
            match self.graveyard.front_mut() {
                None => break,
                Some(Remains::Group(entry)) => {
                    let id = entry.group.id;
                    if entry.pages.pop().is_some() {
                        let page = entry.pages.len();
                        released.extend([RecordKey::Layout(id, page), RecordKey::Page(id, page)]);
                        if self.patches.remove(id, page) {
                            released.push(RecordKey::Patch(id, page));
                        }
                        self.backlog -= 2;
                        continue;
                    }
                    let held = entry.group.index.write().pop_family();
                    if let Some(FamilyInGroup { family, .. }) = held {
                        if self.catalog.release(&family.name, family.id, id) {
                            released.push(RecordKey::Family(family.id, Arc::clone(&family.name)));
                        }
                        self.backlog -= 1;
                    } else {
                        self.graveyard.pop_front();
                    }
                }
                Some(Remains::Family { group, family }) => {
                    // It may hold the family again by now.
                    let is_held = self.live.contains_key(&group.id) && group.index.read().holds(family);
                    if !is_held && self.catalog.release(&family.name, family.id, group.id) {
                        released.push(RecordKey::Family(family.id, Arc::clone(&family.name)));
                    }
                    self.backlog -= 1;
                    self.graveyard.pop_front();
                }
            }
        }
        released
    }
}

/// Shapes that appear with the groups of one batch.
#[derive(Debug, Default)]
pub(crate) struct NewShapes(HashMap<Box<str>, HashSet<Shape>>);

impl NewShapes {
    pub(crate) fn add(&mut self, key: &GroupingKey) {
        self.0.entry(key.job().into()).or_default().insert(shape_of(key));
    }

    pub(crate) fn of(&self, job: &str) -> impl Iterator<Item = &Shape> {
        self.0.get(job).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::super::group::PushTimes;
    use super::super::page::Page;
    use super::*;

    fn group(id: u64, labels: &[(&'static str, &'static str)], pages: usize) -> GroupEntry {
        let key = GroupingKey::new("j", labels.iter().copied()).unwrap();
        GroupEntry {
            group: Arc::new(Group::new(GroupId(id), Arc::new(key))),
            pages: (0..pages).map(|_| Arc::new(Page::default())).collect(),
            series: 0,
            vacant: 0,
            times: PushTimes::default(),
        }
    }

    #[test]
    fn a_job_has_the_shapes_of_its_groups_for_as_long_as_they_live() {
        let mut ledger = Ledger::default();
        let (plain, one, other) = (group(1, &[], 0), group(2, &[("a", "1")], 0), group(3, &[("a", "2")], 0));
        for entry in [&plain, &one, &other] {
            ledger.add_group(&entry.group);
        }
        assert_eq!(ledger.shapes("j").count(), 2);
        ledger.bury_group(one);
        assert_eq!(ledger.shapes("j").count(), 2);
        ledger.bury_group(other);
        assert_eq!(ledger.shapes("j").count(), 1);
        ledger.bury_group(plain);
        assert_eq!(ledger.shapes("j").count(), 0);
        assert!(ledger.live.is_empty());
    }

    #[test]
    fn what_a_group_leaves_is_released_in_small_parts() {
        let mut ledger = Ledger::default();
        ledger.bury_group(group(1, &[], 5));
        assert_eq!(ledger.release(2).len(), 4);
        assert!(ledger.has_remains());
        assert_eq!(ledger.release(100).len(), 6);
        assert!(!ledger.has_remains());
        assert_eq!(ledger.backlog, 0);
    }

    #[test]
    fn a_family_without_series_is_released_unless_it_has_some_again() {
        let mut ledger = Ledger::default();
        let entry = group(1, &[], 0);
        ledger.add_group(&entry.group);
        let texts = super::super::family::Texts::default();
        let family = Family::new(FamilyId(1), "a".into(), crate::model::MetricType::Gauge, texts);
        let family = Arc::new(family);
        ledger.catalog.hold(&family, entry.group.id);
        let held = |series| FamilyInGroup { series, ..FamilyInGroup::none_of(&family) };
        entry.group.index.write().set_family(held(1));
        ledger.forsake_family(Arc::clone(&entry.group), Arc::clone(&family));
        assert!(ledger.release(10).is_empty() && !ledger.has_remains());
        entry.group.index.write().set_family(held(0));
        ledger.forsake_family(Arc::clone(&entry.group), Arc::clone(&family));
        assert_eq!(ledger.release(10), [RecordKey::Family(family.id, "a".into())]);
        assert!(ledger.catalog.latest("a").is_none());
        assert_eq!(ledger.backlog, 0);
    }

    #[test]
    fn the_more_is_left_the_more_is_released_at_once() {
        let mut ledger = Ledger::default();
        ledger.bury_group(group(1, &[], 1_000));
        assert!(ledger.release(1).len() >= 2 * 1_000 / 16);
    }
}
