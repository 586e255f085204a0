//! Judging a push against what is there: the committed state and what the batch has staged before it.
//!
//! All of a push is admitted before any of it is applied. Costs follow the push: nothing here walks a
//! group, a family or the catalog.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::model::{GroupingKey, LabelSet, MetricType};

use super::catalog::{Taken, collides, colliding_names};
use super::committed::{Committed, Shared};
use super::duplicates::{self, OtherShapes};
use super::effect::Effect;
use super::family::{Family, FamilyId, settle_type};
use super::group::GroupId;
use super::ledger::Ledger;
use super::live_group::LiveGroup;
use super::options::Limits;
use super::page::{SLOTS_PER_PAGE, SlotRef};
use super::plan::{Plan, PlannedFamily, PlannedSeries, Renewal};
use super::rejection::{Rejection, deletion};
use super::resolve::{FreshFamily, FreshSeries, KnownSeries, ResolvedPush, contribution, limited, with_key};
use super::slot_set::SlotSet;
use super::staging::Staging;

/// A group with fewer vacant slots than this is not moved to a new incarnation because of them.
const REBUILT_FROM: usize = 32;

/// Why a push was not admitted.
#[derive(Debug)]
pub(crate) enum NotAdmitted {
    /// The group that it was resolved against is no more, or does not hold a family any more that it did hold; it
    /// must be resolved again.
    Stale,
    /// It is refused.
    Rejected(Rejection),
}

impl From<Rejection> for NotAdmitted {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// Judges a push.
pub(crate) fn admit(
    shared: &Shared,
    committed: &Committed,
    ledger: &mut Ledger,
    staging: &Staging,
    push: ResolvedPush,
) -> Result<Plan, NotAdmitted> {
    let live = staging.group(committed, &push.key);
    if let Some(group) = &push.group
        && live.is_none_or(|live| live.group().id != group.id)
    {
        return Err(NotAdmitted::Stale);
    }
    let vacant = match live {
        Some(live) if live.vacant() > 0 => vacant_series(live, &push.known)?,
        _ => Vec::new(),
    };
    let other_shapes = if live.is_none() || !push.fresh.is_empty() || !vacant.is_empty() {
        OtherShapes::of(ledger, staging, &push.key)
    } else {
        OtherShapes::default()
    };
    let superseded = superseded(&push);
    let new = if push.effect.replaces() { types(&push) } else { HashMap::new() };
    let mut admission = Admission {
        shared,
        committed,
        ledger,
        staging,
        key: &push.key,
        live,
        other_shapes,
        effect: push.effect,
        superseded,
        new,
    };
    admission.group_limits()?;
    for (family, labels, line) in &vacant {
        admission.refuse_duplicate(family, labels, *line)?;
    }
    let mut plan = Plan {
        absorb: push.known,
        replaces: push.effect.replaces(),
        exemplars: push.exemplars,
        texts: push.texts,
        ..Plan::default()
    };
    let known = plan.absorb.len();
    for family in push.fresh {
        let planned = admission.family(family, &mut plan)?;
        plan.families.push(planned);
    }
    if let Some(live) = live
        && plan.absorb.len() > known
    {
        duplicates::refuse_twice(live, &plan.absorb)?;
    }
    if !plan.replaces {
        admission.bounds(&plan.absorb)?;
    }
    let vacated = admission.vacate(&mut plan);
    admission.series_limits(&plan, vacated)?;
    Ok(plan)
}

/// A series whose slot is vacant: its family, its labels less those of the grouping key, and its line.
type VacantSeries<'s> = (&'s Arc<Family>, LabelSet, u32);

/// Those of the known series whose slots are vacant just now.
fn vacant_series<'s>(
    live: LiveGroup<'s>,
    known: &[KnownSeries],
) -> Result<Vec<VacantSeries<'s>>, NotAdmitted> {
    let mut vacant = Vec::new();
    for known in known.iter().filter(|known| live.is_vacant(known.slot)) {
        let (family, labels) = live.identity(known.slot);
        // Without any series of it in the group the family may be gone, and the name another one's.
        if !live.holds(family) {
            return Err(NotAdmitted::Stale);
        }
        vacant.push((family, labels, known.line));
    }
    Ok(vacant)
}

/// The names of the families of which nothing is to stay in the group that the push does not bring again.
fn superseded(push: &ResolvedPush) -> HashSet<Arc<str>> {
    let known = push.superseded.iter().map(|family| &family.name);
    let fresh = push.fresh.iter().filter(|family| push.effect.supersedes(family.metric_type));
    known.chain(fresh.map(|family| &family.name)).map(Arc::clone).collect()
}

/// The families of a push that replaces, with their types.
fn types(push: &ResolvedPush) -> HashMap<Arc<str>, MetricType> {
    let known = push.superseded.iter().map(|family| (Arc::clone(&family.name), family.metric_type));
    known.chain(push.fresh.iter().map(|family| (Arc::clone(&family.name), family.metric_type))).collect()
}

struct Admission<'a> {
    shared: &'a Shared,
    committed: &'a Committed,
    ledger: &'a mut Ledger,
    staging: &'a Staging,
    key: &'a Arc<GroupingKey>,
    live: Option<LiveGroup<'a>>,
    /// The sets of grouping label names of the job's groups other than that of this push's key; empty where
    /// the push brings nothing new.
    other_shapes: OtherShapes,
    effect: Effect,
    /// The families of which nothing is to stay in the group that the push does not bring again, by name.
    superseded: HashSet<Arc<str>>,
    /// The families that this push itself would make; if it replaces, all of its families.
    new: HashMap<Arc<str>, MetricType>,
}

impl Admission<'_> {
    fn group_limits(&self) -> Result<(), Rejection> {
        if self.live.is_some() {
            return Ok(());
        }
        let limits = &self.shared.options.limits;
        let groups = changed(self.committed.groups.len(), self.staging.groups_change) + 1;
        limited(|| "groups".to_owned(), groups, limits.groups_max, Limits::GROUPS_FLAG)?;
        let what = || format!("sets of grouping label names of job \"{}\"", self.key.job());
        limited(what, self.other_shapes.len() + 1, limits.shapes_per_job_max, Limits::SHAPES_PER_JOB_FLAG)
    }

    /// Refuses a series that another group of the job holds under the same labels.
    fn refuse_duplicate(&self, family: &Family, own_labels: &LabelSet, line: u32) -> Result<(), Rejection> {
        let series = (family, own_labels, line);
        self.other_shapes.refuse(self.shared, self.committed, self.staging, self.key, series)
    }

    fn family(&mut self, fresh: FreshFamily, plan: &mut Plan) -> Result<PlannedFamily, Rejection> {
        let known = self.known_family(&fresh)?;
        let metric_type = known.as_ref().map_or(fresh.metric_type, |family| family.metric_type);
        if known.is_none() {
            self.refuse_collisions(&fresh)?;
            self.new.insert(Arc::clone(&fresh.name), metric_type);
        }
        let mut planned = PlannedFamily {
            known,
            name: fresh.name,
            metric_type,
            texts: fresh.texts,
            series: Vec::with_capacity(fresh.series.len()),
        };
        for series in fresh.series {
            let FreshSeries { labels, value, line, .. } = &series;
            let contribution = contribution(
                (self.shared, self.effect),
                self.key,
                &planned.name,
                metric_type,
                value,
                *line,
                || labels.clone(),
            )?;
            let slot = planned.known.as_ref().and_then(|known| Some((known, self.find(known, &series)?)));
            if let Some((known, slot)) = slot {
                if self.live.is_some_and(|live| live.is_vacant(slot)) {
                    self.refuse_duplicate(known, &series.labels, series.line)?;
                }
                plan.absorb.push(KnownSeries { slot, contribution, line: series.line });
                if !series.exemplars.is_empty() {
                    plan.exemplars.push((slot, series.exemplars));
                }
                continue;
            }
            if let Some(known) = &planned.known {
                self.refuse_duplicate(known, &series.labels, series.line)?;
            }
            let FreshSeries { labels, exemplars, .. } = series;
            planned.series.push(PlannedSeries { labels, contribution, exemplars });
        }
        Ok(planned)
    }

    /// The family that holds the name, if one does and the types agree.
    fn known_family(&mut self, fresh: &FreshFamily) -> Result<Option<Arc<Family>>, Rejection> {
        let line = fresh.series.first().map_or(0, |series| series.line);
        let in_group = self.live.and_then(|live| {
            let family = live.family(&fresh.name)?;
            Some(Taken { family, holder: live.group().id })
        });
        let taken = if self.effect.replaces() {
            // What is replaced itself stands in nobody's way, but may go on as what it is.
            let is_same = |own: &Taken| own.family.metric_type == fresh.metric_type;
            self.taken(&fresh.name).or_else(|| in_group.filter(is_same))
        } else {
            in_group.or_else(|| self.taken(&fresh.name))
        };
        let Some(taken) = taken else { return Ok(None) };
        let stored = taken.family.metric_type;
        if settle_type(fresh.metric_type, fresh.type_is_declared, stored).is_some() {
            return Ok(Some(taken.family));
        }
        let holder = self.key_of(taken.holder);
        Err(Rejection::TypeClash {
            family: fresh.name.to_string(),
            line,
            pushed: fresh.metric_type,
            stored,
            deletion: deletion(&holder),
            holder: GroupingKey::clone(&holder),
        })
    }

    /// Who holds a name, what the push replaces aside.
    fn taken(&mut self, name: &str) -> Option<Taken> {
        let replaces = match self.effect {
            Effect::Merge => false,
            Effect::ReplaceFamilies => self.superseded.contains(name),
            Effect::ReplaceGroup => true,
        };
        let own = self.live.filter(|_| replaces).map(|live| live.group().id);
        let (staging, committed, live) = (self.staging, self.committed, &self.ledger.live);
        let holds = |family: &Family, group: GroupId| {
            let key = staging.begun.get(&group).or_else(|| live.get(&group));
            Some(group) != own
                && staging.is_live(live, group)
                && key.and_then(|key| staging.group(committed, key)).is_some_and(|group| group.holds(family))
        };
        if let Some(staged) = staging.families.get(name)
            && let Some(&holder) = staged.holders.iter().find(|&&holder| holds(&staged.family, holder))
        {
            return Some(Taken { family: Arc::clone(&staged.family), holder });
        }
        self.ledger.catalog.find(name, holds, |group| !live.contains_key(&group))
    }

    fn refuse_collisions(&mut self, fresh: &FreshFamily) -> Result<(), Rejection> {
        let line = fresh.series.first().map_or(0, |series| series.line);
        for (other, of) in colliding_names(&fresh.name, fresh.metric_type) {
            let within =
                self.new.get(&*other).copied().map(|metric_type| (metric_type, Arc::clone(self.key)));
            let stored = within.or_else(|| {
                let taken = self.taken(&other)?;
                Some((taken.family.metric_type, self.key_of(taken.holder)))
            });
            if let Some((stored, holder)) = stored.filter(|(stored, _)| collides(*stored, of)) {
                return Err(Rejection::NameCollision {
                    family: fresh.name.to_string(),
                    line,
                    pushed: fresh.metric_type,
                    other,
                    stored,
                    deletion: deletion(&holder),
                    holder: GroupingKey::clone(&holder),
                });
            }
        }
        Ok(())
    }

    /// The slot of a series that an earlier push of the batch, or one since resolving, has brought, or that was
    /// vacated.
    fn find(&self, family: &Family, series: &FreshSeries) -> Option<SlotRef> {
        self.live?.find(&self.shared.hasher, family.id, &series.labels)
    }

    /// Refuses a histogram that would have too many bounds together with the stored one.
    fn bounds(&self, absorb: &[KnownSeries]) -> Result<(), Rejection> {
        let bounds_max = self.shared.options.limits.histogram_bounds_max;
        for known in absorb.iter().filter(|known| known.contribution.is_limited()) {
            let live = self.live.expect("known series are in a live group");
            if let Err(error) = live.state(known.slot).check(&known.contribution, bounds_max) {
                let (family, labels) = live.identity(known.slot);
                return Err(Rejection::Value {
                    family: family.name.to_string(),
                    labels: with_key(self.key, &labels).to_string(),
                    line: known.line,
                    error,
                });
            }
        }
        Ok(())
    }

    /// Plans what goes because the push takes its place, and gives back how many series that are. What is looked
    /// at are the pages of the families that are replaced.
    fn vacate(&self, plan: &mut Plan) -> usize {
        let Some(live) = self.live else { return 0 };
        let is_whole_group = self.effect == Effect::ReplaceGroup;
        if is_whole_group && plan.absorb.is_empty() {
            if live.series() + live.vacant() > 0 {
                plan.renewal = Renewal::Before;
            }
            return live.series();
        }
        if self.superseded.is_empty() && !is_whole_group {
            return 0;
        }
        let (families, pages) = if is_whole_group {
            (None, (0..live.pages()).collect())
        } else {
            let (families, pages) = self.pages_of_superseded(live);
            (Some(families), pages)
        };
        let mut kept: HashMap<usize, SlotSet> = HashMap::new();
        for known in &plan.absorb {
            kept.entry(known.slot.page()).or_default().insert(known.slot.slot());
        }
        for number in pages {
            let (page, kept) = (live.page(number), kept.get(&number).copied().unwrap_or_default());
            let goes = |slot: &usize| {
                let family = page.layout.family(*slot).id;
                !kept.contains(*slot) && families.as_ref().is_none_or(|families| families.contains(&family))
            };
            let slots: SlotSet = page.held_slots().filter(goes).collect();
            if !slots.is_empty() {
                plan.vacate.push((number, slots));
            }
        }
        let vacated = plan.vacate.iter().map(|(_, slots)| slots.len()).sum();
        let begun = self.begun(plan);
        let series = live.series() + plan.added() + begun - vacated;
        let vacant = live.vacant() + vacated - begun;
        if vacated > 0 && vacant > series && vacant >= REBUILT_FROM {
            plan.renewal = Renewal::After;
        }
        vacated
    }

    /// The families of which nothing is to stay, and the pages that their series are on, each once.
    fn pages_of_superseded(&self, live: LiveGroup<'_>) -> (HashSet<FamilyId>, Vec<usize>) {
        let (mut families, mut pages) = (HashSet::new(), Vec::new());
        for (family, own) in self.superseded.iter().filter_map(|name| live.family_with_pages(name)) {
            families.insert(family);
            pages.extend(own);
        }
        pages.sort_unstable();
        pages.dedup();
        (families, pages)
    }

    /// How many series would begin in vacant slots.
    fn begun(&self, plan: &Plan) -> usize {
        let Some(live) = self.live.filter(|live| live.vacant() > 0) else { return 0 };
        plan.absorb.iter().filter(|known| live.is_vacant(known.slot)).count()
    }

    fn series_limits(&self, plan: &Plan, vacated: usize) -> Result<(), Rejection> {
        let slots = plan.added();
        let added = slots + self.begun(plan);
        if added == 0 {
            return Ok(());
        }
        let limits = &self.shared.options.limits;
        let in_group = self.live.map_or(0, |live| live.series()) + added - vacated;
        let what = || format!("series in the group {}", self.key);
        limited(what, in_group, limits.series_per_group_max, Limits::SERIES_PER_GROUP_FLAG)?;
        // Each family may leave one page partly filled; the number of pages is bounded with that of the
        // series.
        let pages_max = SlotRef::PAGES_MAX - slots.div_ceil(SLOTS_PER_PAGE) - 2 * plan.families.len();
        let pages = self.live.map_or(0, |live| live.pages());
        limited(what, pages, pages_max, Limits::SERIES_PER_GROUP_FLAG)?;
        let in_all = changed(self.committed.series, self.staging.series_change) + added;
        let in_all = in_all.saturating_sub(vacated);
        limited(|| "series in all groups".to_owned(), in_all, limits.series_max, Limits::SERIES_FLAG)
    }

    fn key_of(&self, group: GroupId) -> Arc<GroupingKey> {
        let key = self.staging.begun.get(&group).or_else(|| self.ledger.live.get(&group));
        Arc::clone(key.expect("a holder was found live"))
    }
}

/// A committed number with the change that a batch has staged.
fn changed(committed: usize, change: i64) -> usize {
    let committed = i64::try_from(committed).expect("what is stored is limited");
    usize::try_from(committed + change).unwrap_or(0)
}
