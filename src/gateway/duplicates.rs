//! Refusing a series that is there twice: in one push, or in two groups whose grouping keys and labels come to
//! the same labels.

use std::collections::HashSet;
use std::sync::Arc;

use crate::model::{GroupingKey, LabelSet};

use super::committed::{Committed, Shared};
use super::family::Family;
use super::ledger::{Ledger, Shape, shape_of};
use super::live_group::LiveGroup;
use super::page::SlotRef;
use super::rejection::{Rejection, deletion};
use super::resolve::{KnownSeries, ResolvedPush, with_key};
use super::staging::Staging;

/// Refuses a push that has a series twice, as far as that shows before it is admitted.
pub(crate) fn refuse_within(push: &ResolvedPush) -> Result<(), Rejection> {
    if let Some((slot, line)) = twice(&push.known)
        && let Some(group) = &push.group
    {
        let index = group.index.read();
        let layout = index.layout(slot.page());
        let labels = LabelSet::new(layout.labels(slot.slot()).map(|label| (label.name, label.value)));
        return Err(within(&layout.family(slot.slot()).name, &push.key, &labels, line));
    }
    for family in &push.fresh {
        let mut seen = HashSet::with_capacity(family.series.len());
        for series in &family.series {
            if !seen.insert(&series.labels) {
                return Err(within(&family.name, &push.key, &series.labels, series.line));
            }
        }
    }
    Ok(())
}

/// Refuses a push that has a series twice which was new when one of its lines was looked up, and there when the
/// other was or the push was admitted: another push has brought it in between.
pub(crate) fn refuse_twice(group: LiveGroup<'_>, absorb: &[KnownSeries]) -> Result<(), Rejection> {
    let Some((slot, line)) = twice(absorb) else { return Ok(()) };
    let (family, labels) = group.identity(slot);
    Err(within(&family.name, &group.group().key, &labels, line))
}

/// A slot that is there twice, with the later of two lines that have it.
fn twice(known: &[KnownSeries]) -> Option<(SlotRef, u32)> {
    let mut slots: Vec<(SlotRef, u32)> = known.iter().map(|known| (known.slot, known.line)).collect();
    slots.sort_unstable();
    slots.windows(2).find(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1])
}

fn within(family: &str, key: &GroupingKey, labels: &LabelSet, line: u32) -> Rejection {
    Rejection::DuplicateSeries {
        family: family.to_owned(),
        labels: with_key(key, labels).to_string(),
        line,
        place: "this push".to_owned(),
    }
}

/// The groups that can hold a series of a group under the same labels. They are of the same job and have another
/// set of grouping label names, and of each such set it is only one.
#[derive(Default)]
pub(crate) struct OtherShapes(Vec<Shape>);

impl OtherShapes {
    /// The sets of grouping label names that the groups of the key's job have, the key's own apart.
    pub(crate) fn of(ledger: &Ledger, staging: &Staging, key: &GroupingKey) -> Self {
        let own = shape_of(key);
        let mut others: Vec<Shape> =
            ledger.shapes(key.job()).filter(|shape| **shape != own).cloned().collect();
        for shape in staging.shapes.of(key.job()) {
            if *shape != own && !others.contains(shape) {
                others.push(shape.clone());
            }
        }
        Self(others)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Refuses a series of the group `key` that one of them holds under the same labels. `own_labels` are its
    /// labels less those of the key.
    pub(crate) fn refuse(
        &self,
        shared: &Shared,
        committed: &Committed,
        staging: &Staging,
        key: &Arc<GroupingKey>,
        (family, own_labels, line): (&Family, &LabelSet, u32),
    ) -> Result<(), Rejection> {
        if self.0.is_empty() {
            return Ok(());
        }
        let has = |name: &str| own_labels.get(name).is_some() || key.labels().get(name).is_some();
        for shape in self.0.iter().filter(|shape| shape.iter().all(|name| has(name))) {
            let labels = with_key(key, own_labels);
            let Some((key, rest)) = split(&labels, shape) else { continue };
            let holds = staging.group(committed, &key).is_some_and(|other| {
                let slot = other.find(&shared.hasher, family.id, &rest);
                slot.is_some_and(|slot| !other.is_vacant(slot))
            });
            if holds {
                return Err(Rejection::DuplicateSeries {
                    family: family.name.to_string(),
                    labels: labels.to_string(),
                    line,
                    place: format!("the group {key}; to delete that group: {}", deletion(&key)),
                });
            }
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{Gateway, Options, PushError, SeriesView, Submitted, SystemClock};
    use crate::model::{BorrowedLabel, Families, MetricFamily, MetricType, Series, Value};
    use crate::storage::MemoryEngine;
    use crate::telemetry::Metrics;

    /// A body of the counter `c{n="..."} 1`, each series on a line of its own.
    fn counters(n: &[&'static str]) -> Families<'static> {
        let labels = n.iter().map(|&value| BorrowedLabel { name: "n", value: value.into() }).collect();
        let series = |at: u32| Series {
            labels: at..at + 1,
            value: Value::Counter(1.0),
            line: at + 1,
            has_timestamp: false,
            exemplars: None,
        };
        let family = MetricFamily {
            name: "c".into(),
            metric_type: MetricType::Counter,
            type_is_declared: true,
            help: None,
            unit: None,
            series: (0..u32::try_from(n.len()).unwrap()).map(series).collect(),
        };
        Families { families: vec![family], labels }
    }

    fn values(gateway: &Gateway) -> Vec<Value> {
        let snapshot = gateway.snapshot();
        let families = snapshot.families();
        let family = families.iter().find(|family| family.name == "c").unwrap();
        family.series().iter().map(SeriesView::value).collect()
    }

    #[tokio::test]
    async fn a_series_that_comes_between_the_looks_at_its_two_lines_is_not_added_twice() {
        let engine = Box::new(MemoryEngine::default());
        let options = Options::default();
        let gateway =
            Gateway::open(engine, options, Arc::new(SystemClock), Arc::new(Metrics::default())).unwrap();
        let key = GroupingKey::new("j", []).unwrap();
        let resolve = |n: &[&'static str]| gateway.resolve(&key, &counters(n), 0).unwrap();
        let first = resolve(&["other"]);
        assert_eq!(gateway.submit(first).await, Ok(Submitted::Applied));

        // Its first line is looked up before another push brings the series, its second one after.
        let mut push = resolve(&["x"]);
        assert_eq!(gateway.submit(resolve(&["x"])).await, Ok(Submitted::Applied));
        push.push
            .known
            .extend(resolve(&["x"]).push.known.into_iter().map(|known| KnownSeries { line: 2_000, ..known }));

        let refused = gateway.submit(push).await.unwrap_err();
        let PushError::Rejected(Rejection::DuplicateSeries { labels, line, place, .. }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!((&*labels, line, &*place), (r#"{job="j",n="x"}"#, 2_000, "this push"));
        assert_eq!(values(&gateway), [Value::Counter(1.0), Value::Counter(1.0)]);
    }
}
