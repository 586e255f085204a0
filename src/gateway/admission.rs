//! Judging a push against what is there: the committed state and what the batch has staged before it.
//!
//! All of a push is admitted before any of it is applied. Costs follow the push: nothing here walks a
//! group, a family or the catalog.

use std::collections::HashMap;
use std::sync::Arc;

use crate::aggregation::Contribution;
use crate::model::{GroupingKey, LabelSet, MetricType};

use super::catalog::{Taken, collides, colliding_names};
use super::committed::{Committed, Shared};
use super::family::{Family, settle_type};
use super::group::GroupId;
use super::ledger::{Ledger, Shape, shape_of};
use super::options::Limits;
use super::page::{SLOTS_PER_PAGE, SlotRef};
use super::rejection::Rejection;
use super::resolve::{FreshFamily, FreshSeries, KnownSeries, ResolvedPush, contribution, limited, with_key};
use super::staging::{LiveGroup, Staging};

/// What an admitted push does.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) absorb: Vec<KnownSeries>,
    pub(crate) helps: Vec<(Arc<Family>, Arc<str>)>,
    pub(crate) families: Vec<PlannedFamily>,
}

/// A family that gets new series in the group.
#[derive(Debug)]
pub(crate) struct PlannedFamily {
    /// `None` if nobody holds the name yet.
    pub(crate) known: Option<Arc<Family>>,
    pub(crate) name: Arc<str>,
    pub(crate) metric_type: MetricType,
    pub(crate) help: Option<Arc<str>>,
    /// The new series, with their labels less those of the grouping key.
    pub(crate) series: Vec<(LabelSet, Contribution)>,
}

/// Why a push was not admitted.
#[derive(Debug)]
pub(crate) enum NotAdmitted {
    /// The group that it was resolved against is no more; it must be resolved again.
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
    let other_shapes = if live.is_none() || !push.fresh.is_empty() {
        other_shapes(ledger, staging, &push.key)
    } else {
        Vec::new()
    };
    let mut admission = Admission {
        shared,
        committed,
        ledger,
        staging,
        key: &push.key,
        live,
        other_shapes,
        new: HashMap::new(),
    };
    admission.group_limits()?;
    let mut plan = Plan { absorb: push.known, helps: push.helps, families: Vec::new() };
    for family in push.fresh {
        let planned = admission.family(family, &mut plan.absorb)?;
        plan.families.push(planned);
    }
    admission.bounds(&plan.absorb)?;
    admission.series_limits(&plan)?;
    Ok(plan)
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
    other_shapes: Vec<Shape>,
    /// The families that this push itself would make.
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

    fn family(
        &mut self,
        fresh: FreshFamily,
        absorb: &mut Vec<KnownSeries>,
    ) -> Result<PlannedFamily, Rejection> {
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
            help: fresh.help,
            series: Vec::with_capacity(fresh.series.len()),
        };
        for series in fresh.series {
            let FreshSeries { labels, value, line } = &series;
            let contribution =
                contribution(self.shared, self.key, &planned.name, metric_type, value, *line, || {
                    labels.clone()
                })?;
            if let Some(slot) = self.find(&planned, &series) {
                absorb.push(KnownSeries { slot, contribution, line: series.line });
                continue;
            }
            self.refuse_duplicate(&planned, &series)?;
            planned.series.push((series.labels, contribution));
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
        let Some(taken) = in_group.or_else(|| self.taken(&fresh.name)) else { return Ok(None) };
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

    /// Who holds a name.
    fn taken(&mut self, name: &str) -> Option<Taken> {
        let (staging, live) = (self.staging, &self.ledger.live);
        if let Some(staged) = staging.families.get(name)
            && let Some(&holder) = staged.holders.iter().find(|&&holder| staging.is_live(live, holder))
        {
            return Some(Taken { family: Arc::clone(&staged.family), holder });
        }
        self.ledger.catalog.find(
            name,
            |group| staging.is_live(live, group),
            |group| !live.contains_key(&group),
        )
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

    /// The slot of a series that an earlier push of the batch, or one since resolving, has brought.
    fn find(&self, family: &PlannedFamily, series: &FreshSeries) -> Option<SlotRef> {
        let known = family.known.as_ref()?;
        self.live?.find(&self.shared.hasher, known.id, &series.labels)
    }

    /// Refuses a series that another group of the job holds under the same labels. Only groups with another
    /// set of grouping label names can, and of each such set only one.
    fn refuse_duplicate(&self, family: &PlannedFamily, series: &FreshSeries) -> Result<(), Rejection> {
        let Some(known) = &family.known else { return Ok(()) };
        if self.other_shapes.is_empty() {
            return Ok(());
        }
        let has = |name: &str| series.labels.get(name).is_some() || self.key.labels().get(name).is_some();
        for shape in self.other_shapes.iter().filter(|shape| shape.iter().all(|name| has(name))) {
            let labels = with_key(self.key, &series.labels);
            let Some((key, rest)) = split(&labels, shape) else { continue };
            let holds = self
                .staging
                .group(self.committed, &key)
                .is_some_and(|other| other.find(&self.shared.hasher, known.id, &rest).is_some());
            if holds {
                return Err(Rejection::DuplicateSeries {
                    family: family.name.to_string(),
                    labels: labels.to_string(),
                    line: series.line,
                    place: format!("the group {key}; to delete that group: {}", deletion(&key)),
                });
            }
        }
        Ok(())
    }

    /// Refuses a histogram that would have too many bounds together with the stored one.
    fn bounds(&self, absorb: &[KnownSeries]) -> Result<(), Rejection> {
        let bounds_max = self.shared.options.limits.histogram_bounds_max;
        for known in absorb.iter().filter(|known| known.contribution.is_limited()) {
            let live = self.live.expect("known series are in a live group");
            if let Err(error) = live.state(known.slot).check(&known.contribution, bounds_max) {
                let (family, labels) = live.identity(known.slot);
                return Err(Rejection::Value {
                    family: family.to_string(),
                    labels: with_key(self.key, &labels).to_string(),
                    line: known.line,
                    error,
                });
            }
        }
        Ok(())
    }

    fn series_limits(&self, plan: &Plan) -> Result<(), Rejection> {
        let added: usize = plan.families.iter().map(|family| family.series.len()).sum();
        if added == 0 {
            return Ok(());
        }
        let limits = &self.shared.options.limits;
        let in_group = self.live.map_or(0, |live| live.series()) + added;
        let what = || format!("series in the group {}", self.key);
        limited(what, in_group, limits.series_per_group_max, Limits::SERIES_PER_GROUP_FLAG)?;
        // Each family may leave one page partly filled; the number of pages is bounded with that of the
        // series.
        let pages_max = SlotRef::PAGES_MAX - added.div_ceil(SLOTS_PER_PAGE) - 2 * plan.families.len();
        let pages = self.live.map_or(0, |live| live.pages());
        limited(what, pages, pages_max, Limits::SERIES_PER_GROUP_FLAG)?;
        let in_all = changed(self.committed.series, self.staging.series_change) + added;
        limited(|| "series in all groups".to_owned(), in_all, limits.series_max, Limits::SERIES_FLAG)
    }

    fn key_of(&self, group: GroupId) -> Arc<GroupingKey> {
        let key = self.staging.begun.get(&group).or_else(|| self.ledger.live.get(&group));
        Arc::clone(key.expect("a holder was found live"))
    }
}

/// The sets of grouping label names that the groups of the key's job have, the key's own apart.
fn other_shapes(ledger: &Ledger, staging: &Staging, key: &GroupingKey) -> Vec<Shape> {
    let own = shape_of(key);
    let mut others: Vec<Shape> = ledger.shapes(key.job()).filter(|shape| **shape != own).cloned().collect();
    for shape in staging.shapes.of(key.job()) {
        if *shape != own && !others.contains(shape) {
            others.push(shape.clone());
        }
    }
    others
}

/// The grouping key of the group of this shape that could hold a series of these labels, and the labels
/// that are left; `None` if the series lacks one of the shape's labels.
fn split(labels: &LabelSet, shape: &Shape) -> Option<(GroupingKey, LabelSet)> {
    let in_shape = |name: &str| shape.binary_search_by(|own| (**own).cmp(name)).is_ok();
    let pick = |wanted: bool| {
        let picked = labels.iter().filter(|label| in_shape(label.name) == wanted);
        LabelSet::new(picked.map(|label| (label.name, label.value)))
    };
    let key = pick(true);
    if key.len() != shape.len() {
        return None;
    }
    Some((GroupingKey::from_labels(key)?, pick(false)))
}

/// The request that deletes a group.
fn deletion(key: &GroupingKey) -> String {
    format!("DELETE {}", key.url_path())
}

/// A committed number with the change that a batch has staged.
fn changed(committed: usize, change: i64) -> usize {
    let committed = i64::try_from(committed).expect("what is stored is limited");
    usize::try_from(committed + change).unwrap_or(0)
}
