//! A consistent view of everything committed, by family for a scrape, and by group.
//!
//! Taking one costs a reference count for each page, under one short lock; it never waits for the disk and
//! shows no half push and nothing that a crash could take back.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Range;
use std::sync::Arc;

use crate::aggregation::Exemplars;
use crate::model::{Exemplar, GroupingKey, Label, MetricType, Stamp, Value};

use super::committed::Shared;
use super::family::Family;
use super::group::{GroupId, PushTimes};
use super::group_view::GroupView;
use super::layout::PageLayout;
use super::page::Page;
use super::page_view::GroupPages;
use super::{PUSH_FAILURE_TIME, PUSH_TIME};

const PUSH_TIME_HELP: &str = "Last Unix time when changing this group in the gateway succeeded.";
const PUSH_FAILURE_TIME_HELP: &str = "Last Unix time when changing this group in the gateway failed.";

/// What is committed at one moment.
pub struct Snapshot {
    revision: u64,
    groups: Vec<HeldGroup>,
}

/// One group of a snapshot.
pub(super) struct HeldGroup {
    /// None if it holds nothing but its failure time.
    pub(super) id: Option<GroupId>,
    pub(super) key: Arc<GroupingKey>,
    pub(super) pages: Vec<Arc<Page>>,
    pub(super) times: PushTimes,
    pub(super) failure_time: Stamp,
}

impl Snapshot {
    pub(crate) fn take(shared: &Shared) -> Self {
        // Read before the state: a change in between makes the snapshot newer than it says, never older.
        let revision = shared.revision();
        let committed = shared.committed.read();
        let failures = shared.failures.lock();
        let mut groups: Vec<HeldGroup> = committed
            .groups
            .values()
            .map(|entry| HeldGroup {
                id: Some(entry.group.id),
                key: Arc::clone(&entry.group.key),
                pages: entry.pages.clone(),
                times: entry.times,
                failure_time: failures.get(&entry.group.key).unwrap_or_default(),
            })
            .collect();
        groups.extend(failures.alone().map(|(key, time)| HeldGroup {
            id: None,
            key: Arc::clone(key),
            pages: Vec::new(),
            times: PushTimes::default(),
            failure_time: time,
        }));
        drop(failures);
        drop(committed);
        groups.sort_unstable_by_key(|group| group.id);
        Self { revision, groups }
    }

    /// The number of the newest change that it shows.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The pages of all groups, by the groups' numbers.
    pub(crate) fn pages(&self) -> impl Iterator<Item = GroupPages<'_>> {
        self.groups.iter().filter_map(|group| Some(GroupPages::new(group.id?, &group.key, &group.pages)))
    }

    /// The groups, ordered by the labels of their grouping keys, with those that hold nothing but the time of
    /// a refused push.
    pub fn groups(&self) -> Vec<GroupView<'_>> {
        let mut groups: Vec<&HeldGroup> = self.groups.iter().collect();
        groups.sort_unstable_by(|a, b| a.key.labels().cmp(b.key.labels()));
        groups.into_iter().map(GroupView::new).collect()
    }

    /// The families that are on no page: the two push times, by name. None while there is no group.
    pub(crate) fn push_times(&self) -> Vec<FamilyView<'_>> {
        push_times(&self.groups)
    }

    /// All families, by name; the two push times among them.
    pub fn families(&self) -> Vec<FamilyView<'_>> {
        families(&self.groups)
    }
}

/// The two push times of these groups, by name.
pub(super) fn push_times(groups: &[HeldGroup]) -> Vec<FamilyView<'_>> {
    if groups.is_empty() {
        return Vec::new();
    }
    let times = |name: &'static str, help: &str, time: fn(&HeldGroup) -> Stamp| FamilyView {
        name,
        metric_type: MetricType::Gauge,
        help: Some(help.into()),
        unit: None,
        groups,
        source: Source::Times { time },
    };
    vec![
        times(PUSH_FAILURE_TIME, PUSH_FAILURE_TIME_HELP, |group| group.failure_time),
        times(PUSH_TIME, PUSH_TIME_HELP, |group| group.times.push_time),
    ]
}

/// The families of these groups, by name; the two push times among them.
pub(super) fn families(groups: &[HeldGroup]) -> Vec<FamilyView<'_>> {
    let mut families: BTreeMap<&str, FamilyView<'_>> = BTreeMap::new();
    for (at, group) in groups.iter().enumerate() {
        for page in &group.pages {
            let all = page.layout.families().iter().enumerate();
            for (index, family) in all.filter(|(index, _)| page.holds_family(*index)) {
                let view = families.entry(&family.name).or_insert_with(|| stored(groups, family));
                if let Source::Stored { pages, .. } = &mut view.source {
                    pages.push(PageOfFamily { group: at, page, family: index });
                }
            }
        }
    }
    families.extend(push_times(groups).into_iter().map(|view| (view.name, view)));
    families.into_values().collect()
}

fn stored<'s>(groups: &'s [HeldGroup], family: &'s Arc<Family>) -> FamilyView<'s> {
    FamilyView {
        name: &family.name,
        metric_type: family.metric_type,
        help: family.help(),
        unit: family.unit(),
        groups,
        source: Source::Stored { pages: Vec::new() },
    }
}

/// One family of a snapshot, or of one of its groups.
pub struct FamilyView<'s> {
    /// Its name.
    pub name: &'s str,
    /// Its type.
    pub metric_type: MetricType,
    /// Its HELP text, if one was ever pushed.
    pub help: Option<Arc<str>>,
    /// Its unit, if one was ever pushed.
    pub unit: Option<Arc<str>>,
    groups: &'s [HeldGroup],
    source: Source<'s>,
}

enum Source<'s> {
    Stored { pages: Vec<PageOfFamily<'s>> },
    Times { time: fn(&HeldGroup) -> Stamp },
}

struct PageOfFamily<'s> {
    group: usize,
    page: &'s Arc<Page>,
    /// Which of the page's families it is.
    family: usize,
}

impl<'s> FamilyView<'s> {
    /// The stamp of the last push to it, in any of the groups.
    pub(super) fn last_push(&self) -> Stamp {
        match &self.source {
            Source::Times { time } => self.groups.iter().map(time).max(),
            Source::Stored { pages } => pages.iter().map(|on| on.page.touched.of(on.family)).max(),
        }
        .unwrap_or_default()
    }

    /// Its series, in the order of the exposition: by number of labels, then by the labels' values, in the
    /// order of the labels' names (the names themselves are not compared).
    pub fn series(&self) -> Vec<SeriesView<'s>> {
        let groups = self.groups;
        let mut series = Unordered::default();
        match &self.source {
            Source::Times { time } => {
                for group in groups {
                    let value = Held::Time(time(group));
                    series.push(SeriesView { key: &group.key, layout: None, slot: 0, value });
                }
            }
            Source::Stored { pages } => {
                for PageOfFamily { group, page, family } in pages {
                    let (key, layout) = (&groups[*group].key, Some(&*page.layout));
                    let of_family = |slot: &usize| page.layout.family_index(*slot) == *family;
                    for slot in page.held_slots().filter(of_family) {
                        series.push(SeriesView { key, layout, slot, value: Held::Stored(page) });
                    }
                }
            }
        }
        series.into_ordered()
    }

    /// Its series group by group, in each in the order in which they were first pushed. Takes no memory.
    pub fn stored_series(&self) -> impl Iterator<Item = SeriesView<'s>> {
        let groups = self.groups;
        let (pages, time) = match &self.source {
            Source::Stored { pages } => (&**pages, None),
            Source::Times { time } => (&[][..], Some(*time)),
        };
        let times = time.into_iter().flat_map(move |time| {
            let value = move |group: &HeldGroup| Held::Time(time(group));
            groups.iter().map(move |group| SeriesView {
                key: &group.key,
                layout: None,
                slot: 0,
                value: value(group),
            })
        });
        let stored = pages.iter().flat_map(move |PageOfFamily { group, page, family }| {
            let (page, family): (&'s Arc<Page>, usize) = (*page, *family);
            let slots = (0..page.values.len()).filter(move |&slot| page.layout.family_index(slot) == family);
            slots.map(move |slot| SeriesView::of_page(&groups[*group].key, page, slot))
        });
        stored.chain(times)
    }
}

/// One series of a snapshot.
pub struct SeriesView<'s> {
    key: &'s GroupingKey,
    layout: Option<&'s PageLayout>,
    slot: usize,
    value: Held<'s>,
}

enum Held<'s> {
    Stored(&'s Page),
    Time(Stamp),
}

impl<'s> SeriesView<'s> {
    /// The series in a slot of a page.
    pub(super) fn of_page(key: &'s GroupingKey, page: &'s Page, slot: usize) -> Self {
        Self { key, layout: Some(&page.layout), slot, value: Held::Stored(page) }
    }

    /// Its place in the exposition, against another series of its family.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let values = |series: &Self| series.labels().map(|label| label.value);
        let by_count = self.labels().count().cmp(&other.labels().count());
        by_count.then_with(|| values(self).cmp(values(other))).then_with(|| self.labels().cmp(other.labels()))
    }

    /// All labels, by name; `instance=""` among them where there is no other.
    pub fn labels(&self) -> impl Iterator<Item = Label<'s>> + Clone + use<'s> {
        let own = self.layout.map(|layout| layout.labels(self.slot)).into_iter().flatten();
        WithInstance {
            labels: Merge { a: self.key.iter().peekable(), b: own.peekable() }.peekable(),
            is_due: true,
        }
    }

    /// When its first push came since it began; the epoch for the push times, which nobody pushes.
    pub fn created(&self) -> Stamp {
        self.layout.map_or_else(Stamp::default, |layout| layout.created(self.slot))
    }

    /// Its exemplars: that of the series as a whole first, then those of buckets, by bound. There are nearly
    /// always none.
    pub fn exemplars(&self) -> impl Iterator<Item = &'s Exemplar> + use<'s> {
        let exemplars = match self.value {
            Held::Stored(page) => page.exemplars.get(self.slot),
            Held::Time(_) => None,
        };
        exemplars.into_iter().flat_map(Exemplars::iter)
    }

    /// The value to be exposed.
    pub fn value(&self) -> Value {
        match self.value {
            Held::Stored(page) => page.values[self.slot].expose(),
            Held::Time(time) => Value::Gauge(time.as_seconds()),
        }
    }
}

/// Series that are to be put in order. The labels of each are put together once, and not once for each
/// comparison.
#[derive(Default)]
struct Unordered<'s> {
    series: Vec<(Range<usize>, SeriesView<'s>)>,
    /// The label values of all series, one series after the other.
    values: Vec<&'s str>,
}

impl<'s> Unordered<'s> {
    fn push(&mut self, series: SeriesView<'s>) {
        let start = self.values.len();
        self.values.extend(series.labels().map(|label| label.value));
        self.series.push((start..self.values.len(), series));
    }

    fn into_ordered(mut self) -> Vec<SeriesView<'s>> {
        self.series.sort_by(|(a, one), (b, other)| {
            let by_values = || self.values[a.clone()].cmp(&self.values[b.clone()]);
            let by_names = || one.labels().cmp(other.labels());
            a.len().cmp(&b.len()).then_with(by_values).then_with(by_names)
        });
        self.series.into_iter().map(|(_, series)| series).collect()
    }
}

/// Two sorted sequences of labels as one. No name is in both.
#[derive(Clone)]
struct Merge<'s, A: Iterator<Item = Label<'s>>, B: Iterator<Item = Label<'s>>> {
    a: Peekable<A>,
    b: Peekable<B>,
}

impl<'s, A: Iterator<Item = Label<'s>>, B: Iterator<Item = Label<'s>>> Iterator for Merge<'s, A, B> {
    type Item = Label<'s>;

    fn next(&mut self) -> Option<Label<'s>> {
        match (self.a.peek(), self.b.peek()) {
            (Some(a), Some(b)) if b.name < a.name => self.b.next(),
            (None, _) => self.b.next(),
            _ => self.a.next(),
        }
    }
}

const INSTANCE: &str = "instance";

/// Sorted labels, with an empty `instance` put where it belongs if there is none.
#[derive(Clone)]
struct WithInstance<'s, I: Iterator<Item = Label<'s>>> {
    labels: Peekable<I>,
    /// Whether `instance` has not been passed yet.
    is_due: bool,
}

impl<'s, I: Iterator<Item = Label<'s>>> Iterator for WithInstance<'s, I> {
    type Item = Label<'s>;

    fn next(&mut self) -> Option<Label<'s>> {
        if self.is_due {
            let next = self.labels.peek().map(|label| label.name);
            if next.is_none_or(|name| name >= INSTANCE) {
                self.is_due = false;
                if next != Some(INSTANCE) {
                    return Some(Label { name: INSTANCE, value: "" });
                }
            }
        }
        self.labels.next()
    }
}
