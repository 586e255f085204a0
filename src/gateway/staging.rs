//! What a batch of requests would change, beside what is committed: nothing of it is visible, and
//! dropping it undoes it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;

use crate::aggregation::State;
use crate::model::{GroupingKey, Label, LabelSet, Stamp};

use super::admission::{Plan, PlannedFamily};
use super::committed::Committed;
use super::family::{Family, FamilyId};
use super::group::{FamilyInGroup, Group, GroupEntry, GroupId, PushTimes};
use super::layout::PageLayout;
use super::ledger::{Ledger, NewShapes};
use super::page::{Page, SLOTS_PER_PAGE, SlotRef};
use super::resolve::KnownSeries;
use super::spares::Spares;
use super::staged_pages::{StagedPage, StagedPages};

/// A family with this many series in one group gets pages of its own there; smaller ones share pages.
pub(crate) const OWN_PAGES_FROM: usize = SLOTS_PER_PAGE / 2;

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

/// A group as the batch would leave it: what differs from its committed state, or all of it if it is new.
pub(crate) struct StagedGroup {
    pub(crate) group: Arc<Group>,
    pub(crate) is_new: bool,
    pub(crate) pages: StagedPages,
    pub(crate) page_count: usize,
    pub(crate) series: usize,
    pub(crate) times: PushTimes,
    /// What new series change; `None` as long as there are none, which is nearly always so.
    pub(crate) growth: Option<Box<Growth>>,
}

/// What new series change in their group.
#[derive(Default)]
pub(crate) struct Growth {
    pub(crate) shared_page: Option<usize>,
    pub(crate) families: HashMap<Arc<str>, FamilyInGroup>,
    /// The series that are not in the group's index yet.
    added: HashMap<(FamilyId, LabelSet), SlotRef>,
}

/// A family that is new, that gets a holder, or whose HELP changes.
pub(crate) struct StagedFamily {
    pub(crate) family: Arc<Family>,
    pub(crate) is_new: bool,
    pub(crate) holders: Vec<GroupId>,
    pub(crate) help: Option<Arc<str>>,
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
                Some(LiveGroup { entry: entry.filter(|_| !staged.is_new), staged: Some(staged) })
            }
            None => entry.map(|entry| LiveGroup { entry: Some(entry), staged: None }),
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
        for (family, help) in plan.helps {
            self.stage_family(&family).help = Some(help);
        }
        let entry = committed.groups.get(key);
        let group = self.stage_group(ledger, entry, key);
        let entry = entry.filter(|_| !group.is_new);
        group.times = PushTimes { push_time: now, last_stamp: stamp };
        let pages_before = group.pages.len();
        let mut saturated = 0;
        for of_page in plan.absorb.chunk_by(|a, b| a.slot.page() == b.slot.page()) {
            let StagedPage { page, changed, .. } =
                group.page_mut(entry, of_page[0].slot.page(), |page| spares.copy(page));
            for KnownSeries { slot, contribution, .. } in of_page {
                let absorbed = page.values[slot.slot()].absorb(contribution, stamp);
                saturated += usize::from(absorbed.saturated);
                changed.insert(slot.slot());
            }
        }
        self.pages_touched += group.pages.len() - pages_before;
        for family in plan.families {
            self.apply_family(ledger, entry, key, family, stamp);
        }
        (saturated, plan.absorb)
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
            help: None,
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
        let family = match planned.known {
            Some(family) => family,
            None => self.new_family(ledger, &planned.name, &planned),
        };
        if let Some(help) = planned.help.filter(|help| !family.has_help(help)) {
            self.stage_family(&family).help = Some(help);
        }
        let Some(StagedFate::Lives(group)) = self.groups.get_mut(key) else {
            unreachable!("the group was staged before its families");
        };
        let is_held = group.family(&family.name).is_some();
        let pages_before = group.pages.len();
        let added = planned.series.len();
        for (labels, contribution) in planned.series {
            let state = State::new(family.metric_type, &contribution, stamp);
            group.add(entry, &family, labels, state, stamp);
        }
        self.pages_touched += group.pages.len() - pages_before;
        let id = group.group.id;
        self.series_change += i64::try_from(added).expect("series are limited");
        if !is_held {
            self.stage_family(&family).holders.push(id);
        }
    }

    /// Makes a family of a name that nobody holds.
    fn new_family(&mut self, ledger: &mut Ledger, name: &Arc<str>, planned: &PlannedFamily) -> Arc<Family> {
        let id = ledger.new_family_id();
        let family = Arc::new(Family::new(id, Arc::clone(name), planned.metric_type, planned.help.clone()));
        let staged = StagedFamily {
            family: Arc::clone(&family),
            is_new: true,
            holders: Vec::new(),
            help: planned.help.clone(),
        };
        self.families.insert(Arc::clone(name), staged);
        family
    }
}

impl StagedGroup {
    fn new(group: Arc<Group>) -> Self {
        Self {
            group,
            is_new: true,
            pages: StagedPages::default(),
            page_count: 0,
            series: 0,
            times: PushTimes::default(),
            growth: None,
        }
    }

    fn of(entry: &GroupEntry) -> Self {
        Self {
            is_new: false,
            page_count: entry.pages.len(),
            series: entry.series,
            times: entry.times,
            ..Self::new(Arc::clone(&entry.group))
        }
    }

    /// What the group would hold of the family of this name.
    fn family(&self, name: &str) -> Option<FamilyInGroup> {
        if let Some(family) = self.growth.as_ref().and_then(|growth| growth.families.get(name)) {
            return Some(family.clone());
        }
        if self.is_new { None } else { self.group.index.read().family(name).cloned() }
    }

    /// What new series change, to be added to.
    fn growth_mut(&mut self) -> &mut Growth {
        self.growth.get_or_insert_with(|| {
            let shared_page = if self.is_new { None } else { self.group.index.read().shared_page };
            Box::new(Growth { shared_page, ..Growth::default() })
        })
    }

    /// The staged version of a page, made from the committed one by `copy` if it is not staged yet.
    fn page_mut(
        &mut self,
        entry: Option<&GroupEntry>,
        number: usize,
        copy: impl FnOnce(&Page) -> Page,
    ) -> &mut StagedPage {
        self.pages.get_or_insert_with(number, || {
            let committed = entry.and_then(|entry| entry.pages.get(number));
            committed.map_or_else(
                || Page { layout: Arc::new(PageLayout::default()), values: Vec::new() },
                |page| copy(page),
            )
        })
    }

    /// Adds a series that is not in the group.
    fn add(
        &mut self,
        entry: Option<&GroupEntry>,
        family: &Arc<Family>,
        labels: LabelSet,
        state: State,
        created: Stamp,
    ) {
        let mut held = self.family(&family.name).unwrap_or_else(|| FamilyInGroup {
            family: Arc::clone(family),
            series: 0,
            own_page: None,
        });
        let at = self.page_with_room(entry, &mut held);
        let page = self.page_mut(entry, at, Page::clone);
        Arc::make_mut(&mut page.page.layout).push(family, labels.iter(), created);
        page.page.values.push(state);
        page.layout_changed = true;
        let slot = SlotRef::new(at, page.page.values.len() - 1);
        held.series += 1;
        let growth = self.growth_mut();
        growth.families.insert(Arc::clone(&family.name), held);
        growth.added.insert((family.id, labels), slot);
        self.series += 1;
    }

    /// The page that takes the next series of a family: its own if it is large, else the shared one.
    fn page_with_room(&mut self, entry: Option<&GroupEntry>, family: &mut FamilyInGroup) -> usize {
        let is_large = family.series >= OWN_PAGES_FROM;
        let open = if is_large { family.own_page } else { self.growth_mut().shared_page };
        if let Some(page) = open
            && self.page_mut(entry, page, Page::clone).page.has_room()
        {
            return page;
        }
        let page = self.page_count;
        self.page_count += 1;
        *(if is_large { &mut family.own_page } else { &mut self.growth_mut().shared_page }) = Some(page);
        page
    }
}

/// A group as the batch would leave it, for reading: staged, committed, or committed with staged changes.
#[derive(Clone, Copy)]
pub(crate) struct LiveGroup<'s> {
    entry: Option<&'s GroupEntry>,
    staged: Option<&'s StagedGroup>,
}

impl<'s> LiveGroup<'s> {
    pub(crate) fn group(&self) -> &'s Arc<Group> {
        match (self.staged, self.entry) {
            (Some(staged), _) => &staged.group,
            (None, Some(entry)) => &entry.group,
            (None, None) => unreachable!("a live group is staged or committed"),
        }
    }

    fn growth(&self) -> Option<&'s Growth> {
        self.staged.and_then(|staged| staged.growth.as_deref())
    }

    /// How many series it has.
    pub(crate) fn series(&self) -> usize {
        self.staged.map_or_else(|| self.entry.map_or(0, |entry| entry.series), |staged| staged.series)
    }

    /// How many pages it has.
    pub(crate) fn pages(&self) -> usize {
        self.staged
            .map_or_else(|| self.entry.map_or(0, |entry| entry.pages.len()), |staged| staged.page_count)
    }

    /// The family of this name that it holds.
    pub(crate) fn family(&self, name: &str) -> Option<Arc<Family>> {
        if let Some(family) = self.growth().and_then(|growth| growth.families.get(name)) {
            return Some(Arc::clone(&family.family));
        }
        let index = self.entry?.group.index.read();
        index.family(name).map(|held| Arc::clone(&held.family))
    }

    /// The slot of a series, given its labels less those of the grouping key.
    pub(crate) fn find(
        &self,
        hasher: &DefaultHashBuilder,
        family: FamilyId,
        labels: &LabelSet,
    ) -> Option<SlotRef> {
        if let Some(growth) = self.growth()
            && let Some(slot) = growth.added.get(&(family, labels.clone()))
        {
            return Some(*slot);
        }
        let index = self.entry?.group.index.read();
        index.find(hasher, family, &labels.iter())
    }

    /// The state in a slot.
    pub(crate) fn state(&self, slot: SlotRef) -> &'s State {
        if let Some(page) = self.staged.and_then(|staged| staged.pages.get(slot.page())) {
            return &page.page.values[slot.slot()];
        }
        let entry = self.entry.expect("a slot outside the staged pages is in a committed one");
        &entry.pages[slot.page()].values[slot.slot()]
    }

    /// The family and labels (less those of the grouping key) of a slot.
    pub(crate) fn identity(&self, slot: SlotRef) -> (Arc<str>, LabelSet) {
        let of = |layout: &PageLayout| {
            let labels = layout.labels(slot.slot()).map(|Label { name, value }| (name, value));
            (Arc::clone(&layout.family(slot.slot()).name), LabelSet::new(labels))
        };
        match self.staged.and_then(|staged| staged.pages.get(slot.page())) {
            Some(page) => of(&page.page.layout),
            None => of(&self.entry.expect("as in `state`").pages[slot.page()].layout),
        }
    }
}
