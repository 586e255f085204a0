//! A consistent view of everything committed, for a scrape.
//!
//! Taking one costs a reference count for each page, under one short lock; it never waits for the disk and
//! shows no half push and nothing that a crash could take back.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Range;
use std::sync::Arc;

use crate::model::{GroupingKey, Label, MetricType, Stamp, Value};

use super::committed::Shared;
use super::family::Family;
use super::group::GroupId;
use super::layout::PageLayout;
use super::page::Page;
use super::page_view::GroupPages;
use super::{PUSH_FAILURE_TIME, PUSH_TIME};

const PUSH_TIME_HELP: &str = "Last Unix time when changing this group in the gateway succeeded.";
const PUSH_FAILURE_TIME_HELP: &str = "Last Unix time when changing this group in the gateway failed.";

/// What is committed at one moment.
pub struct Snapshot {
    revision: u64,
    groups: Vec<GroupView>,
}

struct GroupView {
    /// None if it holds nothing but its failure time.
    id: Option<GroupId>,
    key: Arc<GroupingKey>,
    pages: Vec<Arc<Page>>,
    push_time: Stamp,
    failure_time: Stamp,
}

impl Snapshot {
    pub(crate) fn take(shared: &Shared) -> Self {
        // Read before the state: a change in between makes the snapshot newer than it says, never older.
        let revision = shared.revision();
        let committed = shared.committed.read();
        let failures = shared.failures.lock();
        let mut groups: Vec<GroupView> = committed
            .groups
            .values()
            .map(|entry| GroupView {
                id: Some(entry.group.id),
                key: Arc::clone(&entry.group.key),
                pages: entry.pages.clone(),
                push_time: entry.times.push_time,
                failure_time: failures.get(&entry.group.key).unwrap_or_default(),
            })
            .collect();
        groups.extend(failures.alone().map(|(key, time)| GroupView {
            id: None,
            key: Arc::clone(key),
            pages: Vec::new(),
            push_time: Stamp::default(),
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

    /// The families that are on no page: the two push times, by name. None while there is no group.
    pub(crate) fn push_times(&self) -> Vec<FamilyView<'_>> {
        if self.groups.is_empty() {
            return Vec::new();
        }
        vec![
            self.times(PUSH_FAILURE_TIME, PUSH_FAILURE_TIME_HELP, |group| group.failure_time),
            self.times(PUSH_TIME, PUSH_TIME_HELP, |group| group.push_time),
        ]
    }

    /// All families, by name; the two push times among them.
    pub fn families(&self) -> Vec<FamilyView<'_>> {
        let mut families: BTreeMap<&str, FamilyView<'_>> = BTreeMap::new();
        for (at, group) in self.groups.iter().enumerate() {
            for page in &group.pages {
                for (index, family) in page.layout.families().iter().enumerate() {
                    let view = families.entry(&family.name).or_insert_with(|| self.stored(family));
                    if let Source::Stored { pages, .. } = &mut view.source {
                        pages.push(PageOfFamily { group: at, page, family: index });
                    }
                }
            }
        }
        families.extend(self.push_times().into_iter().map(|view| (view.name, view)));
        families.into_values().collect()
    }

    fn stored<'s>(&'s self, family: &'s Arc<Family>) -> FamilyView<'s> {
        FamilyView {
            name: &family.name,
            metric_type: family.metric_type,
            help: family.help(),
            snapshot: self,
            source: Source::Stored { pages: Vec::new() },
        }
    }

    fn times<'s>(&'s self, name: &'s str, help: &str, time: fn(&GroupView) -> Stamp) -> FamilyView<'s> {
        FamilyView {
            name,
            metric_type: MetricType::Gauge,
            help: Some(help.into()),
            snapshot: self,
            source: Source::Times { time },
        }
    }
}

/// One family of a snapshot.
pub struct FamilyView<'s> {
    /// Its name.
    pub name: &'s str,
    /// Its type.
    pub metric_type: MetricType,
    /// Its HELP text, if one was ever pushed.
    pub help: Option<Arc<str>>,
    snapshot: &'s Snapshot,
    source: Source<'s>,
}

enum Source<'s> {
    Stored { pages: Vec<PageOfFamily<'s>> },
    Times { time: fn(&GroupView) -> Stamp },
}

struct PageOfFamily<'s> {
    group: usize,
    page: &'s Arc<Page>,
    /// Which of the page's families it is.
    family: usize,
}

impl<'s> FamilyView<'s> {
    /// Its series, in the order of the exposition: by number of labels, then by the labels' values, in the
    /// order of the labels' names (the names themselves are not compared).
    pub fn series(&self) -> Vec<SeriesView<'s>> {
        let groups = &self.snapshot.groups;
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
                    let slots = 0..page.values.len();
                    for slot in slots.filter(|&slot| page.layout.family_index(slot) == *family) {
                        series.push(SeriesView { key, layout, slot, value: Held::Stored(page) });
                    }
                }
            }
        }
        series.into_ordered()
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
