//! Pushes that repeat an earlier one with other numbers: where each number goes is known from the first,
//! so that neither labels nor groups are looked up again.
//!
//! Invariant: a repeat does what resolving the push anew would do, or says that it cannot tell. Slots never
//! move while their group lives, and a name's type stays the same while a group holds it; what can change
//! is compared: whether the group lives, and the HELP texts. That the group has let go of a family shows at
//! its slots, which are vacant then: the committer finds such a repeat outdated.
//!
//! Groups to which the same was pushed have the same series in the same slots. So what is learned is kept apart from
//! the group that it was learned from: it takes its room once, and stays in the processor's caches.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};

use crate::aggregation::{Contribution, RepeatedHistogram, UntypedMode};
use crate::model::{Families, GroupingKey, MetricFamily, MetricType, Quantile, Summary, Value};

use super::committed::Shared;
use super::effect::Effect;
use super::family::Family;
use super::group::Group;
use super::page::SlotRef;
use super::resolve::{Found, KnownSeries, ResolvedPush, Resolver, texts};

/// Where the numbers of a push go, by their place among the numbers of its text. The same for every group from which
/// something equal was learned.
#[derive(Debug)]
pub(crate) struct Repeat {
    simple: Box<[Simple]>,
    composed: Box<[Composed]>,
    /// Its families.
    families: Box<[Arc<Family>]>,
    /// The HELP texts that it comes with, by index into `families`. They are the stored ones unless somebody has
    /// changed them since.
    helps: Box<[(u32, Arc<str>)]>,
    /// Whether a family took on the type of the stored one, which it does not if it replaces it.
    adopts: bool,
}

/// A series that is one number.
#[derive(Clone, Copy, Debug, PartialEq, Hash)]
struct Simple {
    slot: SlotRef,
    number: u32,
    settled: MetricType,
    /// For an untyped one: whether it adds up.
    untyped: UntypedMode,
}

/// A histogram or summary.
#[derive(Debug, PartialEq, Hash)]
struct Composed {
    slot: SlotRef,
    line: u32,
    parts: Parts,
}

#[derive(Debug, PartialEq)]
enum Parts {
    Histogram(RepeatedHistogram),
    /// With places for numbers.
    Summary(Box<Summary>),
}

impl Repeat {
    /// Learns from a push in which each number is its own place among the numbers: the first is 0, the
    /// next 1. `None` if not all of its series are in the group, or if it has none. The group is not kept alive: what
    /// a deleted group held is let go.
    pub(crate) fn learn(
        shared: &Shared,
        key: &GroupingKey,
        places: &Families<'_>,
    ) -> Option<(Weak<Group>, Self)> {
        let has_timestamp = |family: &MetricFamily<'_>| family.series.iter().any(|one| one.has_timestamp);
        if places.families.iter().any(has_timestamp) {
            return None;
        }
        let group = Arc::clone(&shared.committed.read().groups.get(key)?.group);
        let mut resolver = Resolver::new(shared, key, places, Some(&group), Effect::Merge);
        let (mut simple, mut composed) = (Vec::new(), Vec::new());
        let (mut families, mut helps, mut adopts) = (Vec::new(), Vec::new(), false);
        for family in &places.families {
            if !resolver.is_metric(family) {
                continue;
            }
            let untyped = untyped_mode(shared, family);
            let mut is_known = true;
            let known = resolver.family(family, |_, series, found| {
                let Some(Found { slot, settled }) = found else {
                    is_known = false;
                    return Ok(());
                };
                let line = series.line;
                if series.exemplars.is_some() {
                    is_known = false;
                }
                match &series.value {
                    Value::Counter(place) | Value::Gauge(place) | Value::Untyped(place) => {
                        simple.push(Simple { slot, number: as_index(*place), settled, untyped });
                    }
                    Value::Histogram(places) => match RepeatedHistogram::of(places) {
                        Some(histogram) => {
                            composed.push(Composed { slot, line, parts: Parts::Histogram(histogram) });
                        }
                        None => is_known = false,
                    },
                    Value::Summary(places) => {
                        composed.push(Composed { slot, line, parts: Parts::Summary(places.clone()) });
                    }
                    Value::GaugeHistogram(_) | Value::Info | Value::StateSet(_) => is_known = false,
                }
                Ok(())
            });
            let known = known.ok().flatten().filter(|_| is_known)?;
            let (help, unit) = texts(family);
            // Formats that have units are not among those whose texts are kept.
            if unit.is_some() {
                return None;
            }
            if let Some(help) = help {
                helps.push((u32::try_from(families.len()).ok()?, Arc::from(help)));
            }
            adopts |= known.metric_type != family.metric_type;
            families.push(known);
        }
        if simple.is_empty() && composed.is_empty() {
            return None;
        }
        let repeat = Self {
            simple: simple.into(),
            composed: composed.into(),
            families: families.into(),
            helps: helps.into(),
            adopts,
        };
        Some((Arc::downgrade(&group), repeat))
    }

    /// The push with these numbers to a group from which this, or its equal, was learned; `None` if it must be
    /// resolved anew, to do the same or to say what is wrong with it.
    pub(crate) fn resolve(
        &self,
        group: &Weak<Group>,
        numbers: &[f64],
        effect: Effect,
    ) -> Option<ResolvedPush> {
        let group = group.upgrade()?;
        let has_help =
            |(family, help): &(u32, Arc<str>)| self.families[*family as usize].has(Some(help), None);
        if !self.helps.iter().all(has_help) || (self.adopts && effect.replaces()) {
            return None;
        }
        let make = if effect.replaces() { Contribution::replacing } else { Contribution::new };
        let mut known = Vec::with_capacity(self.simple.len() + self.composed.len());
        for simple in &self.simple {
            let number = numbers[simple.number as usize];
            let value = match simple.settled {
                MetricType::Counter => Value::Counter(number),
                MetricType::Gauge => Value::Gauge(number),
                _ => Value::Untyped(number),
            };
            let contribution = make(&value, simple.settled, "", simple.untyped).ok()?;
            known.push(KnownSeries { slot: simple.slot, contribution, line: 0 });
        }
        for composed in &self.composed {
            let contribution = match &composed.parts {
                Parts::Histogram(histogram) => histogram.contribution(numbers, effect.replaces())?,
                Parts::Summary(places) => {
                    let value = Value::Summary(Box::new(filled_in(places, numbers)));
                    make(&value, MetricType::Summary, "", UntypedMode::Sum).ok()?
                }
            };
            known.push(KnownSeries { slot: composed.slot, contribution, line: composed.line });
        }
        Some(ResolvedPush {
            key: Arc::clone(&group.key),
            group: Some(group),
            effect,
            known,
            texts: Vec::new(),
            // There is no info among them.
            superseded: if effect.replaces() { self.families.to_vec() } else { Vec::new() },
            exemplars: Vec::new(),
            fresh: Vec::new(),
        })
    }

    /// Roughly the bytes that it takes.
    pub(crate) fn weight(&self) -> usize {
        let parts = |composed: &Composed| match &composed.parts {
            Parts::Histogram(histogram) => histogram.weight(),
            Parts::Summary(summary) => size_of::<Summary>() + summary.quantiles.len() * size_of::<Quantile>(),
        };
        size_of::<Self>()
            + size_of_val(&*self.simple)
            + self.composed.iter().map(|composed| size_of::<Composed>() + parts(composed)).sum::<usize>()
            + size_of_val(&*self.families)
            + self.helps.iter().map(|(_, help)| size_of::<(u32, Arc<str>)>() + help.len()).sum::<usize>()
    }
}

impl PartialEq for Repeat {
    fn eq(&self, other: &Self) -> bool {
        let Self { simple, composed, families, helps, adopts } = self;
        *simple == other.simple
            && *composed == other.composed
            && families.iter().map(Arc::as_ptr).eq(other.families.iter().map(Arc::as_ptr))
            && *helps == other.helps
            && *adopts == other.adopts
    }
}

/// Of all that is compared: what has one hash takes each other's place where they are kept.
impl Hash for Repeat {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { simple, composed, families, helps, adopts } = self;
        simple.hash(state);
        composed.hash(state);
        families.iter().for_each(|family| family.id.hash(state));
        helps.hash(state);
        adopts.hash(state);
    }
}

impl Hash for Parts {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Histogram(histogram) => histogram.hash(state),
            Self::Summary(summary) => {
                let bits = |number: Option<f64>| number.map(f64::to_bits);
                (bits(summary.sum), bits(summary.count)).hash(state);
                let quantiles = summary.quantiles.iter();
                quantiles.for_each(|one| [one.quantile, one.value].map(f64::to_bits).hash(state));
            }
        }
    }
}

/// Whether untyped samples of the family add up, or the last one counts.
fn untyped_mode(shared: &Shared, family: &MetricFamily<'_>) -> UntypedMode {
    let mode = shared.options.untyped;
    match Contribution::new(&Value::Untyped(0.0), MetricType::Untyped, &family.name, mode) {
        Ok(Contribution::Set(_)) => UntypedMode::Last,
        _ => UntypedMode::Sum,
    }
}

/// The summary with numbers instead of their places.
fn filled_in(places: &Summary, numbers: &[f64]) -> Summary {
    let number = |place: f64| numbers[as_index(place) as usize];
    let quantiles = places.quantiles.iter();
    Summary {
        quantiles: quantiles.map(|one| Quantile { value: number(one.value), ..*one }).collect(),
        sum: places.sum.map(number),
        count: places.count.map(number),
        defect: places.defect,
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place is a small whole number")]
fn as_index(place: f64) -> u32 {
    place as u32
}
