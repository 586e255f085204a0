//! The part of a push that needs no writer: judging what it says by itself, and finding its series.
//!
//! Runs in the request, in parallel, holding no more than a read lock on one group's index. What it finds
//! may be outdated when the committer sees it; the committer checks that, and the request then resolves
//! anew.

use std::collections::HashSet;
use std::sync::Arc;

use crate::aggregation::Contribution;
use crate::model::{
    Exemplar, Families, GroupingKey, Label, LabelSet, MetricFamily, MetricType, Series, Value,
};

use super::committed::Shared;
use super::duplicates;
use super::effect::Effect;
use super::family::{Family, Texts, settle_type};
use super::group::Group;
use super::options::Limits;
use super::page::SlotRef;
use super::rejection::{LimitExceeded, Rejection};

/// Series that are looked up before the group's index is let go, so that a large push does not keep a
/// commit from being published.
const SERIES_PER_LOOK: usize = 1_024;

/// A push whose known series are slots and numbers.
#[derive(Debug)]
pub(crate) struct ResolvedPush {
    pub(crate) key: Arc<GroupingKey>,
    /// The group that `known` refers to; `None` if there was none.
    pub(crate) group: Option<Arc<Group>>,
    pub(crate) effect: Effect,
    /// No slot twice.
    pub(crate) known: Vec<KnownSeries>,
    /// Texts that differ from the stored ones, for families of which no series is new.
    pub(crate) texts: Vec<(Arc<Family>, Texts)>,
    /// Families that the group holds and of which nothing is to stay that the push does not bring again.
    pub(crate) superseded: Vec<Arc<Family>>,
    /// The exemplars of known series, for those alone that have any.
    pub(crate) exemplars: Vec<(SlotRef, Vec<Exemplar>)>,
    /// Families with series that the group does not have yet.
    pub(crate) fresh: Vec<FreshFamily>,
}

/// A series that the group has, and what the push adds to it.
#[derive(Debug)]
pub(crate) struct KnownSeries {
    pub(crate) slot: SlotRef,
    pub(crate) contribution: Contribution,
    pub(crate) line: u32,
}

/// A family of which at least one series is new to the group.
#[derive(Debug)]
pub(crate) struct FreshFamily {
    pub(crate) name: Arc<str>,
    pub(crate) metric_type: MetricType,
    pub(crate) type_is_declared: bool,
    pub(crate) texts: Texts,
    pub(crate) series: Vec<FreshSeries>,
}

/// A series that is new to the group. No two in a push are the same.
#[derive(Debug)]
pub(crate) struct FreshSeries {
    /// Less those of the grouping key.
    pub(crate) labels: LabelSet,
    pub(crate) value: Value,
    pub(crate) exemplars: Vec<Exemplar>,
    pub(crate) line: u32,
}

/// Judges the push by itself and finds its series.
pub(crate) fn resolve(
    shared: &Shared,
    key: &Arc<GroupingKey>,
    families: &Families<'_>,
    effect: Effect,
) -> Result<ResolvedPush, Rejection> {
    let limits = &shared.options.limits;
    refuse_timestamps(families)?;
    limited(
        || "series in this push".to_owned(),
        families.series_count(),
        limits.series_per_push_max,
        Limits::SERIES_PER_PUSH_FLAG,
    )?;

    let group = shared.committed.read().groups.get(key).map(|entry| Arc::clone(&entry.group));
    let mut push = ResolvedPush {
        // The group's own, where there is one: that it is the same is then seen without comparing labels.
        key: Arc::clone(group.as_ref().map_or(key, |group| &group.key)),
        group: group.clone(),
        effect,
        known: Vec::with_capacity(families.series_count()),
        texts: Vec::new(),
        superseded: Vec::new(),
        exemplars: Vec::new(),
        fresh: Vec::new(),
    };
    let mut resolver = Resolver::new(shared, key, families, group.as_deref(), effect);
    for family in &families.families {
        if !resolver.is_metric(family) {
            continue;
        }
        let mut fresh = Vec::new();
        let known = resolver.family(family, |resolver, series, found| {
            let exemplars = exemplars(family, series, limits)?;
            if let Some(Found { slot, settled }) = found {
                let contribution = resolver.contribution(family, series, settled)?;
                push.known.push(KnownSeries { slot, contribution, line: series.line });
                if !exemplars.is_empty() {
                    push.exemplars.push((slot, exemplars));
                }
            } else {
                fresh.push(FreshSeries {
                    labels: label_set(&resolver.scratch),
                    value: series.value.clone(),
                    exemplars,
                    line: series.line,
                });
            }
            Ok(())
        })?;
        push.finish_family(family, known.as_ref(), fresh);
    }
    duplicates::refuse_within(&push)?;
    Ok(push)
}

/// Where a series was found.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) slot: SlotRef,
    /// The type of its family, which one that is pushed without a type takes on.
    pub(crate) settled: MetricType,
}

/// Finds the series of one push in the group that it is for.
pub(crate) struct Resolver<'r, 'b> {
    shared: &'r Shared,
    key: &'r GroupingKey,
    families: &'r Families<'b>,
    group: Option<&'r Group>,
    effect: Effect,
    /// Names that, with `_created` behind them, name created timestamps in this push.
    created: HashSet<&'r str>,
    /// The labels of the series at hand, less those of the grouping key; kept to save allocations.
    scratch: Vec<Label<'r>>,
}

impl ResolvedPush {
    /// Notes what is left to be said of a family once its known series are noted.
    fn finish_family(
        &mut self,
        family: &MetricFamily<'_>,
        known: Option<&Arc<Family>>,
        series: Vec<FreshSeries>,
    ) {
        let (help, unit) = texts(family);
        if let Some(known) = known.filter(|known| self.effect.supersedes(known.metric_type)) {
            self.superseded.push(Arc::clone(known));
        }
        if series.is_empty() {
            if let Some(known) = known.filter(|known| !known.has(help, unit)) {
                self.texts.push((Arc::clone(known), Texts::new(help, unit)));
            }
            return;
        }
        self.fresh.push(FreshFamily {
            name: known.map_or_else(|| Arc::from(&*family.name), |known| Arc::clone(&known.name)),
            metric_type: family.metric_type,
            type_is_declared: family.type_is_declared,
            texts: Texts::new(help, unit),
            series,
        });
    }

    /// Roughly the bytes that it takes while it waits.
    pub(crate) fn weight(&self) -> usize {
        const KNOWN: usize = size_of::<KnownSeries>();
        const FRESH: usize = 256;
        self.known.len() * KNOWN + self.fresh_series() * FRESH
    }

    /// How many series it has.
    pub(crate) fn series(&self) -> usize {
        self.known.len() + self.fresh_series()
    }

    fn fresh_series(&self) -> usize {
        self.fresh.iter().map(|family| family.series.len()).sum()
    }
}

impl<'r, 'b> Resolver<'r, 'b> {
    pub(crate) fn new(
        shared: &'r Shared,
        key: &'r GroupingKey,
        families: &'r Families<'b>,
        group: Option<&'r Group>,
        effect: Effect,
    ) -> Self {
        let created = names_with_created_timestamps(families);
        Self { shared, key, families, group, effect, created, scratch: Vec::new() }
    }

    /// Whether the family is a metric, as against what clients add about one. What is not is passed over.
    pub(crate) fn is_metric(&self, family: &MetricFamily<'_>) -> bool {
        !is_push_time(&family.name) && !self.is_created_timestamp(family)
    }

    /// Judges a family by itself and looks its series up; `visit` is told for each whether the group has
    /// it. Gives back the group's family of that name.
    pub(crate) fn family(
        &mut self,
        family: &'r MetricFamily<'b>,
        mut visit: impl FnMut(&Self, &'r Series, Option<Found>) -> Result<(), Rejection>,
    ) -> Result<Option<Arc<Family>>, Rejection> {
        check_family(family, self.key, &self.shared.options.limits)?;
        let known = self.known_family(family);
        for chunk in family.series.chunks(SERIES_PER_LOOK) {
            let index = self.group.filter(|_| known.is_some()).map(|group| group.index.read());
            for series in chunk {
                self.labels(family, series)?;
                let found = known.as_ref().zip(index.as_deref()).and_then(|(known, index)| {
                    let slot = index.find(&self.shared.hasher, known.id, &self.scratch.iter().copied())?;
                    Some(Found { slot, settled: known.metric_type })
                });
                visit(self, series, found)?;
            }
        }
        Ok(known)
    }

    /// Whether the samples are the created timestamps of another family of the push, which are no metrics
    /// of their own: summed up they would mean nothing.
    fn is_created_timestamp(&self, family: &MetricFamily<'_>) -> bool {
        let is_simple = matches!(family.metric_type, MetricType::Gauge | MetricType::Untyped);
        let base = family.name.strip_suffix("_created").filter(|_| is_simple);
        base.is_some_and(|base| self.created.contains(base))
    }

    /// The family of this name that the group holds, if the types agree. Where they do not, the committer
    /// says so. What replaces a family does not take on its type.
    fn known_family(&self, family: &MetricFamily<'_>) -> Option<Arc<Family>> {
        let index = self.group?.index.read();
        let known = &index.family(&family.name).filter(|held| held.series > 0)?.family;
        let settled = settle_type(family.metric_type, family.type_is_declared, known.metric_type)?;
        (settled == family.metric_type || !self.effect.replaces()).then(|| Arc::clone(known))
    }

    /// Fills `scratch` with the canonical labels of a series: sorted, without empty ones, without those
    /// that the grouping key overrides.
    fn labels(&mut self, family: &MetricFamily<'_>, series: &'r Series) -> Result<(), Rejection> {
        let key = self.key;
        let limits = &self.shared.options.limits;
        self.scratch.clear();
        for label in self.families.labels_of(series) {
            if label.name.starts_with("__") {
                return Err(Rejection::LabelName {
                    family: family.name.to_string(),
                    label: excerpt(label.name),
                    line: series.line,
                });
            }
            if !label.value.is_empty() && key.labels().get(label.name).is_none() {
                self.scratch.push(Label { name: label.name, value: &label.value });
            }
        }
        self.scratch.sort_unstable_by(|a, b| a.name.cmp(b.name));
        check_labels(family, series.line, &self.scratch, key.labels().len(), limits)
    }

    fn contribution(
        &self,
        family: &MetricFamily<'_>,
        series: &Series,
        settled: MetricType,
    ) -> Result<Contribution, Rejection> {
        let rules = (self.shared, self.effect);
        contribution(rules, self.key, &family.name, settled, &series.value, series.line, || {
            label_set(&self.scratch)
        })
    }
}

/// What a series adds, if its value is one that its type can have and not too large. `labels` are asked
/// for only for the error.
pub(crate) fn contribution(
    (shared, effect): (&Shared, Effect),
    key: &GroupingKey,
    family: &str,
    settled: MetricType,
    value: &Value,
    line: u32,
    labels: impl FnOnce() -> LabelSet,
) -> Result<Contribution, Rejection> {
    let checked = if effect.replaces() { Contribution::replacing } else { Contribution::new };
    let made = checked(value, settled, family, shared.options.untyped);
    let contribution = made.map_err(|error| Rejection::Value {
        family: family.to_owned(),
        labels: with_key(key, &labels()).to_string(),
        line,
        error,
    })?;
    let parts_max = shared.options.limits.histogram_bounds_max;
    let what = || format!("buckets or quantiles of metric \"{family}\" (line {line})");
    limited(what, contribution.parts(), parts_max, Limits::HISTOGRAM_BOUNDS_FLAG)?;
    if let Value::StateSet(set) = value {
        let longest = set.states.iter().map(|(state, _)| state.len()).max().unwrap_or(0);
        let what = || format!("bytes of a state of metric \"{family}\" (line {line})");
        limited(what, longest, shared.options.limits.value_bytes_max, Limits::VALUE_BYTES_FLAG)?;
    }
    Ok(contribution)
}

/// The exemplars of a series, within the limits for its own labels.
fn exemplars(
    family: &MetricFamily<'_>,
    series: &Series,
    limits: &Limits,
) -> Result<Vec<Exemplar>, Rejection> {
    let Some(exemplars) = &series.exemplars else { return Ok(Vec::new()) };
    let what = || format!("exemplars of one series of metric \"{}\" (line {})", family.name, series.line);
    limited(what, exemplars.len(), limits.histogram_bounds_max, Limits::HISTOGRAM_BOUNDS_FLAG)?;
    let mut labels = Vec::new();
    for exemplar in &**exemplars {
        labels.clear();
        labels.extend(exemplar.labels.iter());
        check_labels(family, series.line, &labels, 0, limits)?;
    }
    Ok(exemplars.to_vec())
}

/// HELP and unit of a family, unless they are empty.
pub(crate) fn texts<'f>(family: &'f MetricFamily<'_>) -> (Option<&'f str>, Option<&'f str>) {
    let help = family.help.as_deref().filter(|help| !help.is_empty());
    (help, family.unit.as_deref().filter(|unit| !unit.is_empty()))
}

fn label_set(labels: &[Label<'_>]) -> LabelSet {
    LabelSet::new(labels.iter().map(|label| (label.name, label.value)))
}

/// The families of a push that may have created timestamps, by the names to which `_created` is added:
/// those of counters without their `_total`, and those of histograms and summaries.
fn names_with_created_timestamps<'f>(families: &'f Families<'_>) -> HashSet<&'f str> {
    let families = &families.families;
    if !families.iter().any(|family| family.name.ends_with("_created")) {
        return HashSet::new();
    }
    let base = |family: &'f MetricFamily<'_>| match family.metric_type {
        MetricType::Counter => Some(family.name.strip_suffix("_total").unwrap_or(&family.name)),
        MetricType::Histogram | MetricType::Summary => Some(&*family.name),
        MetricType::Gauge
        | MetricType::Untyped
        | MetricType::GaugeHistogram
        | MetricType::Info
        | MetricType::StateSet => None,
    };
    families.iter().filter_map(base).collect()
}

/// All labels of a series: its own and those of the grouping key.
pub(crate) fn with_key(key: &GroupingKey, labels: &LabelSet) -> LabelSet {
    LabelSet::new(labels.iter().chain(key.iter()).map(|label| (label.name, label.value)))
}

/// Refuses `found` if it is over `max`. `what` is asked for only for the error.
pub(crate) fn limited(
    what: impl FnOnce() -> String,
    found: usize,
    max: usize,
    flag: &'static str,
) -> Result<(), Rejection> {
    if found <= max {
        return Ok(());
    }
    Err(Rejection::Limit(LimitExceeded { what: what(), found, max, flag }))
}

fn is_push_time(name: &str) -> bool {
    matches!(name, super::PUSH_TIME | super::PUSH_FAILURE_TIME)
}

fn refuse_timestamps(families: &Families<'_>) -> Result<(), Rejection> {
    for family in &families.families {
        if let Some(series) = family.series.iter().find(|series| series.has_timestamp) {
            return Err(Rejection::Timestamp { family: excerpt(&family.name), line: series.line });
        }
    }
    Ok(())
}

/// Refuses a grouping key over the limits. Nothing is noted of such a key.
pub(crate) fn check_key(key: &GroupingKey, limits: &Limits) -> Result<(), Rejection> {
    limited(
        || "labels in the grouping key".to_owned(),
        key.labels().len(),
        limits.labels_per_series_max,
        Limits::LABELS_PER_SERIES_FLAG,
    )?;
    for label in key.iter() {
        let Label { name, value } = label;
        let what = || format!("bytes of a label name in the grouping key (\"{}\")", excerpt(name));
        limited(what, name.len(), limits.name_bytes_max, Limits::NAME_BYTES_FLAG)?;
        let what = || format!("bytes of the value of the grouping label \"{}\"", excerpt(name));
        limited(what, value.len(), limits.value_bytes_max, Limits::VALUE_BYTES_FLAG)?;
    }
    Ok(())
}

fn check_family(family: &MetricFamily<'_>, key: &GroupingKey, limits: &Limits) -> Result<(), Rejection> {
    let name = &*family.name;
    let line = family.series.first().map_or(0, |series| series.line);
    if super::RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Err(Rejection::ReservedName { family: excerpt(name), line });
    }
    if family.metric_type == MetricType::StateSet && name.starts_with("__") {
        // It is the name of a label, too.
        return Err(Rejection::LabelName { family: excerpt(name), label: excerpt(name), line });
    }
    let what = || format!("bytes of the metric name \"{}\" (line {line})", excerpt(name));
    limited(what, name.len(), limits.name_bytes_max, Limits::NAME_BYTES_FLAG)?;
    let help_bytes = family.help.as_ref().map_or(0, |help| help.len());
    let what = || format!("bytes of HELP of metric \"{name}\"");
    limited(what, help_bytes, limits.help_bytes_max, Limits::HELP_BYTES_FLAG)?;
    let unit_bytes = family.unit.as_ref().map_or(0, |unit| unit.len());
    let what = || format!("bytes of the unit of metric \"{name}\"");
    limited(what, unit_bytes, limits.name_bytes_max, Limits::NAME_BYTES_FLAG)?;
    let reserved = match family.metric_type {
        MetricType::Histogram | MetricType::GaugeHistogram => Some("le"),
        MetricType::Summary => Some("quantile"),
        // Its states are the values of a label of its own name.
        MetricType::StateSet => Some(name),
        MetricType::Counter | MetricType::Gauge | MetricType::Untyped | MetricType::Info => None,
    };
    match reserved.filter(|label| key.labels().get(label).is_some()) {
        Some(label) => Err(Rejection::ReservedLabel {
            family: name.to_owned(),
            metric_type: family.metric_type,
            label: label.to_owned(),
            line,
        }),
        None => Ok(()),
    }
}

fn check_labels(
    family: &MetricFamily<'_>,
    line: u32,
    labels: &[Label<'_>],
    key_labels: usize,
    limits: &Limits,
) -> Result<(), Rejection> {
    let (found, max) = (labels.len() + key_labels, limits.labels_per_series_max);
    if found > max {
        let metric = format_args!("\"{}\"", family.name);
        return Err(Rejection::Limit(LimitExceeded::labels(metric, line, found, max)));
    }
    for label in labels {
        let what = || format!("bytes of a label name of metric \"{}\" (line {line})", family.name);
        limited(what, label.name.len(), limits.name_bytes_max, Limits::NAME_BYTES_FLAG)?;
        let what = || {
            let label_name = excerpt(label.name);
            format!("bytes of label \"{label_name}\" of metric \"{}\" (line {line})", family.name)
        };
        limited(what, label.value.len(), limits.value_bytes_max, Limits::VALUE_BYTES_FLAG)?;
    }
    Ok(())
}

/// The beginning of a name that may be very long, for an error text.
fn excerpt(name: &str) -> String {
    const CHARS_MAX: usize = 64;
    match name.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}
