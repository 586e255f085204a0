//! What a batch of requests would change, beside what is committed: nothing of it is visible, and
//! dropping it undoes it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;

use crate::aggregation::State;
use crate::model::{GroupingKey, Stamp};

use super::committed::Committed;
use super::family::{Family, Texts};
use super::group::{Group, GroupEntry, GroupId, PushTimes};
use super::ledger::{Ledger, NewShapes};
use super::live_group::LiveGroup;
use super::plan::{Plan, PlannedFamily, Renewal};
use super::resolve::KnownSeries;
use super::spares::Spares;
use super::staged_group::{NewSeries, StagedGroup};

/// What a batch would change.
#[derive(Default)]
pub(crate) struct Staging {
    pub(crate) groups: HashMap<Arc<GroupingKey>, StagedFate, DefaultHashBuilder>,
    pub(crate) families: HashMap<Arc<str>, StagedFamily>,
    /// Groups that this batch ends, committed ones and its own.
    pub(crate) ended: HashSet<GroupId>,
    /// Groups that this batch begins.
    pub(crate) begun: HashMap<GroupId, Arc<GroupingKey>>,
    pub(crate) shapes: NewShapes,
    /// Series that there would be more than are committed, less those of groups that would be gone.
    pub(crate) series_change: i64,
    /// The same for groups.
    pub(crate) groups_change: i64,
    /// Pages of which the batch holds a new version.
    pub(crate) pages_touched: usize,
    /// Groups whose failure times go with them.
    pub(crate) forgotten_failures: HashSet<Arc<GroupingKey>>,
}

/// What becomes of a group.
pub(crate) enum StagedFate {
    /// It lives, changed.
    Lives(StagedGroup),
    /// It is deleted.
    Ends,
}

/// A family that is new, that gets a holder, or whose texts change.
pub(crate) struct StagedFamily {
    pub(crate) family: Arc<Family>,
    pub(crate) is_new: bool,
    pub(crate) holders: Vec<GroupId>,
    /// Those that are new.
    pub(crate) texts: Texts,
}

impl Staging {
    /// Nothing yet, with room for the groups of so many requests.
    pub(crate) fn with_capacity(requests: usize) -> Self {
        let groups = HashMap::with_capacity_and_hasher(requests, DefaultHashBuilder::default());
        Self { groups, ..Self::default() }
    }

    /// Whether it would change nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.forgotten_failures.is_empty()
    }

    /// The group of this key as it would be, if there is one.
    pub(crate) fn group<'s>(&'s self, committed: &'s Committed, key: &GroupingKey) -> Option<LiveGroup<'s>> {
        let entry = committed.groups.get(key);
        match self.groups.get(key) {
            Some(StagedFate::Ends) => None,
            Some(StagedFate::Lives(staged)) => {
                Some(LiveGroup::staged(staged, entry.filter(|_| !staged.is_new)))
            }
            None => entry.map(LiveGroup::committed),
        }
    }

    /// Whether a family is there after the batch: not if it is new and all its groups have ended again.
    pub(crate) fn outlives_batch(&self, staged: &StagedFamily) -> bool {
        !staged.is_new || staged.holders.iter().any(|holder| !self.ended.contains(holder))
    }

    /// Whether a group lives, given the committed ones.
    pub(crate) fn is_live(&self, ledger_live: &HashMap<GroupId, Arc<GroupingKey>>, group: GroupId) -> bool {
        !self.ended.contains(&group) && (self.begun.contains_key(&group) || ledger_live.contains_key(&group))
    }

    /// Carries out what was admitted. Gives back how many totals are now beyond what can be shown, and what is
    /// left of the push.
    pub(crate) fn apply(
        &mut self,
        ledger: &mut Ledger,
        spares: &mut Spares,
        committed: &Committed,
        key: &Arc<GroupingKey>,
        plan: Plan,
        now: Stamp,
    ) -> (usize, Vec<KnownSeries>) {
        let stamp = ledger.last_stamp.next(now.0);
        ledger.last_stamp = stamp;
        for (family, texts) in plan.texts {
            self.stage_family(&family).texts.update(texts);
        }
        if plan.renewal == Renewal::Before {
            self.end(committed, key);
        }
        let entry = committed.groups.get(key);
        let group = self.stage_group(ledger, entry, key);
        let entry = entry.filter(|_| !group.is_new);
        group.times = PushTimes { push_time: now, last_stamp: stamp };
        let (id, pages_before, series_before) = (group.group.id, group.pages.len(), group.series);
        let mut saturated = 0;
        let mut begun = Vec::new();
        for of_page in plan.absorb.chunk_by(|a, b| a.slot.page() == b.slot.page()) {
            let staged = group.page_mut(entry, of_page[0].slot.page(), |page| spares.copy(page));
            saturated += if plan.replaces || !staged.page.vacant.is_empty() {
                staged.put(of_page, plan.replaces, stamp, &mut begun)
            } else {
                staged.absorb(of_page, stamp)
            };
            staged.page.touch(of_page.iter().map(|known| known.slot.slot()), stamp);
        }
        for (slot, exemplars) in &plan.exemplars {
            group.page_mut(entry, slot.page(), |page| spares.copy(page)).add_exemplars(
                slot.slot(),
                exemplars,
                stamp,
            );
        }
        let held_again = group.hold_again(&begun);
        for (page, slots) in &plan.vacate {
            group.vacate(entry, *page, slots, |page| spares.copy(page));
        }
        let (pages, series) = (group.pages.len() - pages_before, group.series);
        self.pages_touched += pages;
        self.series_change += difference(series, series_before);
        for family in held_again {
            self.stage_family(&family).holders.push(id);
        }
        for family in plan.families {
            self.apply_family(ledger, entry, key, family, stamp);
        }
        if plan.renewal == Renewal::After {
            self.rebuild(ledger, entry, key);
        }
        (saturated, plan.absorb)
    }

    /// Moves all that a staged group holds to a new incarnation of it, which has no vacant slots. `entry` is the
    /// committed one, unless the group is new.
    fn rebuild(&mut self, ledger: &mut Ledger, entry: Option<&GroupEntry>, key: &Arc<GroupingKey>) {
        let Some(StagedFate::Lives(old)) = self.groups.remove(key) else {
            unreachable!("only a staged group is rebuilt");
        };
        self.ended.insert(old.group.id);
        let id = ledger.new_group_id();
        self.begun.insert(id, Arc::clone(key));
        self.shapes.add(key);
        let mut group = StagedGroup::new(Arc::new(Group::new(id, Arc::clone(key))));
        group.times = old.times;
        group.take_over(LiveGroup::staged(&old, entry));
        debug_assert_eq!(group.series, old.series);
        self.pages_touched += group.pages.len();
        for family in group.families() {
            self.stage_family(&family).holders.push(id);
        }
        self.groups.insert(Arc::clone(key), StagedFate::Lives(group));
    }

    /// Ends a group. False if there is none.
    pub(crate) fn end(&mut self, committed: &Committed, key: &Arc<GroupingKey>) -> bool {
        let Some(live) = self.group(committed, key) else { return false };
        let (id, series) = (live.group().id, live.series());
        self.ended.insert(id);
        self.series_change -= i64::try_from(series).expect("series are limited");
        self.groups_change -= 1;
        self.groups.insert(Arc::clone(key), StagedFate::Ends);
        true
    }

    /// The group of this key as the batch would leave it, begun if there is none. `entry` is the committed one.
    fn stage_group(
        &mut self,
        ledger: &mut Ledger,
        entry: Option<&GroupEntry>,
        key: &Arc<GroupingKey>,
    ) -> &mut StagedGroup {
        let mut begin = || {
            let id = ledger.new_group_id();
            self.begun.insert(id, Arc::clone(key));
            self.groups_change += 1;
            self.shapes.add(key);
            StagedGroup::new(Arc::new(Group::new(id, Arc::clone(key))))
        };
        let fate = match self.groups.entry(Arc::clone(key)) {
            Entry::Occupied(staged) => {
                let fate = staged.into_mut();
                if matches!(fate, StagedFate::Ends) {
                    *fate = StagedFate::Lives(begin());
                }
                fate
            }
            Entry::Vacant(place) => {
                place.insert(StagedFate::Lives(entry.map_or_else(begin, StagedGroup::of)))
            }
        };
        let StagedFate::Lives(group) = fate else { unreachable!("what has ended was begun anew") };
        group
    }

    fn stage_family(&mut self, family: &Arc<Family>) -> &mut StagedFamily {
        self.families.entry(Arc::clone(&family.name)).or_insert_with(|| StagedFamily {
            family: Arc::clone(family),
            is_new: false,
            holders: Vec::new(),
            texts: Texts::default(),
        })
    }

    fn apply_family(
        &mut self,
        ledger: &mut Ledger,
        entry: Option<&GroupEntry>,
        key: &Arc<GroupingKey>,
        planned: PlannedFamily,
        stamp: Stamp,
    ) {
        let family = match &planned.known {
            Some(family) => Arc::clone(family),
            None => self.new_family(ledger, &planned),
        };
        let PlannedFamily { series, texts, .. } = planned;
        if !family.has(texts.help.as_deref(), texts.unit.as_deref()) {
            self.stage_family(&family).texts.update(texts);
        }
        let Some(StagedFate::Lives(group)) = self.groups.get_mut(key) else {
            unreachable!("the group was staged before its families");
        };
        let is_held = group.holds(&family);
        let (pages_before, added) = (group.pages.len(), series.len());
        for planned in series {
            let state = State::new(family.metric_type, &planned.contribution, stamp);
            let new = NewSeries { labels: planned.labels, state, created: stamp, touched: stamp };
            let slot = group.add(entry, &family, new);
            if !planned.exemplars.is_empty() {
                let page = group.page_mut(entry, slot.page(), Clone::clone);
                page.add_exemplars(slot.slot(), &planned.exemplars, stamp);
            }
        }
        let (id, pages) = (group.group.id, group.pages.len() - pages_before);
        self.pages_touched += pages;
        self.series_change += difference(added, 0);
        if !is_held && added > 0 {
            self.stage_family(&family).holders.push(id);
        }
    }

    /// Makes a family of a name that nobody holds.
    fn new_family(&mut self, ledger: &mut Ledger, planned: &PlannedFamily) -> Arc<Family> {
        let (id, name) = (ledger.new_family_id(), &planned.name);
        let family = Arc::new(Family::new(id, Arc::clone(name), planned.metric_type, planned.texts.clone()));
        let staged = StagedFamily {
            family: Arc::clone(&family),
            is_new: true,
            holders: Vec::new(),
            texts: Texts::default(),
        };
        self.families.insert(Arc::clone(name), staged);
        family
    }
}

/// How many more there are than before.
fn difference(now: usize, before: usize) -> i64 {
    let signed = |count| i64::try_from(count).expect("series are limited");
    signed(now) - signed(before)
}
