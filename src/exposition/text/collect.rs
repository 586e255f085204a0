//! Gathers samples into families and series.
//!
//! Invariant: what a sample costs does not depend on how many came before it, in whatever order they come.

use std::borrow::Cow;
use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashMap, HashSet, HashTable};

use crate::exposition::number;
use crate::model::{
    BorrowedLabel, Bucket, Defect, Families, Histogram, MetricFamily, MetricType, Quantile, Series, Summary,
    Value,
};

use super::error::{Excerpt, Failure, ParseErrorKind};

/// Up to so many labels are compared with each other one by one, more by hash.
const FEW_LABELS: usize = 16;

/// So many names are compared with each other one by one.
const FIRST_NAMES: usize = 4;

/// The family that a sample belongs to, and as what.
#[derive(Clone, Copy)]
pub(super) struct Target {
    family: u32,
    part: Part,
}

/// What a sample is to its family, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// It has the family's name.
    Bare,
    /// It is `_bucket`, of a histogram.
    Bucket,
    /// It is `_sum`, of a histogram or summary.
    Sum,
    /// It is `_count`, of a histogram or summary.
    Count,
}

/// What is to be known about the line that a sample stands on.
#[derive(Clone, Copy)]
pub(super) struct Line {
    /// Its number in the body, from 1.
    pub(super) number: u32,
    /// The sample's labels are those from here on.
    pub(super) first_label: u32,
    pub(super) has_timestamp: bool,
}

/// The bound of a bucket, or the quantile of a summary's sample.
#[derive(Clone, Copy)]
pub(super) struct Bound {
    pub(super) value: f64,
    /// Whether no label stood behind it.
    pub(super) was_last_label: bool,
}

/// A series made up of several samples.
struct FoldedSeries {
    family: u32,
    series: u32,
    hash: u64,
}

/// Where names lead.
#[derive(Default)]
struct Targets<'a> {
    /// The first names: many a body has no others, and these take no allocation.
    first: [Option<(&'a str, Target)>; FIRST_NAMES],
    /// All other names.
    others: HashMap<&'a str, Target>,
}

impl<'a> Targets<'a> {
    fn get(&self, name: &str) -> Option<Target> {
        let first = self.first.iter().map_while(|entry| entry.as_ref()).find(|(own, _)| *own == name);
        first.map(|(_, target)| *target).or_else(|| self.others.get(name).copied())
    }

    /// Notes where a name leads that was not noted yet.
    fn insert(&mut self, name: &'a str, target: Target) {
        match self.first.iter_mut().find(|entry| entry.is_none()) {
            Some(free) => *free = Some((name, target)),
            None => {
                self.others.insert(name, target);
            }
        }
    }
}

/// The families of a body, as far as it has been read.
#[derive(Default)]
pub(super) struct Collector<'a> {
    families: Vec<MetricFamily<'a>>,
    labels: Vec<BorrowedLabel<'a>>,
    /// Series in all families.
    series: usize,
    /// Where each name seen leads. Once a name leads somewhere, no later line can change that.
    targets: Targets<'a>,
    /// The name resolved last: the next is likely to be the same.
    last: Option<(&'a str, Target)>,
    /// The histograms and summaries, by family and set of labels.
    folded: HashTable<FoldedSeries>,
    /// The family and index of the series folded last: the next sample is likely to belong to it.
    last_folded: Option<(u32, u32)>,
    /// The label names of the series being read, where there are many.
    label_names: HashSet<&'a str>,
    hasher: DefaultHashBuilder,
}

impl<'a> Collector<'a> {
    /// The families that have samples.
    pub(super) fn finish(mut self) -> Families<'a> {
        self.families.retain(|family| !family.series.is_empty());
        Families { families: self.families, labels: self.labels }
    }

    /// How many series there are so far.
    pub(super) fn series(&self) -> usize {
        self.series
    }

    /// How many families there are so far, those without a sample included.
    pub(super) fn families(&self) -> usize {
        self.families.len()
    }

    /// Where a sample, HELP or TYPE line of this name belongs: to the family of exactly that name, else to
    /// the histogram or summary whose derived name it is, else to a new family.
    #[inline]
    pub(super) fn resolve(&mut self, name: &'a str) -> Target {
        if let Some((last, target)) = self.last
            && last == name
        {
            return target;
        }
        let target = self.resolve_anew(name);
        self.last = Some((name, target));
        target
    }

    fn resolve_anew(&mut self, name: &'a str) -> Target {
        if let Some(target) = self.targets.get(name) {
            return target;
        }
        let target = self.derived(name).unwrap_or_else(|| {
            let family = index(self.families.len());
            self.families.push(MetricFamily {
                name: Cow::Borrowed(name),
                metric_type: MetricType::Untyped,
                type_is_declared: false,
                help: None,
                unit: None,
                series: Vec::new(),
            });
            Target { family, part: Part::Bare }
        });
        self.targets.insert(name, target);
        target
    }

    /// The histogram or summary whose derived name this is.
    fn derived(&self, name: &str) -> Option<Target> {
        const COUNT_AND_SUM: &[MetricType] =
            &[MetricType::Histogram, MetricType::Summary, MetricType::GaugeHistogram];
        const SUFFIXES: [(&str, Part, &[MetricType]); 5] = [
            ("_count", Part::Count, COUNT_AND_SUM),
            ("_sum", Part::Sum, COUNT_AND_SUM),
            ("_bucket", Part::Bucket, &[MetricType::Histogram, MetricType::GaugeHistogram]),
            ("_gcount", Part::Count, &[MetricType::GaugeHistogram]),
            ("_gsum", Part::Sum, &[MetricType::GaugeHistogram]),
        ];
        SUFFIXES.into_iter().find_map(|(suffix, part, of)| {
            let base = self.targets.get(name.strip_suffix(suffix)?)?;
            let fits =
                base.part == Part::Bare && of.contains(&self.families[base.family as usize].metric_type);
            fits.then_some(Target { family: base.family, part })
        })
    }

    pub(super) fn family(&mut self, target: Target) -> &mut MetricFamily<'a> {
        &mut self.families[target.family as usize]
    }

    pub(super) fn family_name(&self, target: Target) -> &str {
        &self.families[target.family as usize].name
    }

    /// How many labels there are; the next label gets this index.
    #[inline]
    pub(super) fn label_count(&self) -> u32 {
        index(self.labels.len())
    }

    /// Checks that the series whose labels begin at `first_label` has no label of this name yet.
    #[inline]
    pub(super) fn check_label_name(&mut self, name: &'a str, first_label: u32) -> Result<(), ()> {
        let labels = &self.labels[first_label as usize..];
        let is_new = if labels.len() < FEW_LABELS {
            labels.iter().all(|label| label.name != name)
        } else {
            if labels.len() == FEW_LABELS {
                // To clear a set takes as long as it is large.
                if self.label_names.capacity() > 16 * FEW_LABELS {
                    self.label_names = HashSet::default();
                }
                self.label_names.clear();
                self.label_names.extend(labels.iter().map(|label| label.name));
            }
            self.label_names.insert(name)
        };
        is_new.then_some(()).ok_or(())
    }

    #[inline]
    pub(super) fn push_label(&mut self, label: BorrowedLabel<'a>) {
        self.labels.push(label);
    }

    /// Takes the label out of a sample that is the bound of its bucket or its quantile: `le` for a
    /// histogram, `quantile` for a summary.
    #[inline]
    pub(super) fn take_bound(&mut self, target: Target, first_label: u32) -> Result<Option<Bound>, Failure> {
        let name = match self.families[target.family as usize].metric_type {
            MetricType::Histogram | MetricType::GaugeHistogram => "le",
            MetricType::Summary => "quantile",
            MetricType::Counter
            | MetricType::Gauge
            | MetricType::Untyped
            | MetricType::Info
            | MetricType::StateSet => return Ok(None),
        };
        let labels = &self.labels[first_label as usize..];
        // It is nearly always the last one.
        let Some(place) = labels.iter().rposition(|label| label.name == name) else { return Ok(None) };
        let was_last_label = place + 1 == labels.len();
        let bound = self.labels.remove(first_label as usize + place).value;
        match number::parse(bound.as_bytes()) {
            Some(value) => Ok(Some(Bound { value, was_last_label })),
            None => {
                Err(ParseErrorKind::BoundLabel { label: name, value: Excerpt::new(bound.as_bytes()) }.into())
            }
        }
    }

    /// Adds a sample, whose labels have been pushed already.
    #[inline]
    pub(super) fn add(&mut self, target: Target, line: Line, bound: Option<f64>, value: f64) {
        match self.families[target.family as usize].metric_type {
            MetricType::Counter => self.push_series(target.family, line, Value::Counter(value)),
            MetricType::Gauge => self.push_series(target.family, line, Value::Gauge(value)),
            MetricType::Untyped => self.push_series(target.family, line, Value::Untyped(value)),
            MetricType::Histogram => {
                let whole = self.folded_series(target.family, line, || Value::Histogram(Box::default()));
                fold(whole, target.part, bound, value);
            }
            MetricType::Summary => {
                let whole = self.folded_series(target.family, line, || Value::Summary(Box::default()));
                fold(whole, target.part, bound, value);
            }
            MetricType::GaugeHistogram => {
                let whole = self.folded_series(target.family, line, || Value::GaugeHistogram(Box::default()));
                fold(whole, target.part, bound, value);
            }
            MetricType::Info | MetricType::StateSet => unreachable!("this format has no word for them"),
        }
    }

    /// Adds a sample to the series that the sample before it was added to, which had the same name and
    /// labels.
    #[inline]
    pub(super) fn add_to_last(&mut self, target: Target, has_timestamp: bool, bound: f64, value: f64) {
        let (family, series) = self.last_folded.expect("the sample before it had a bound, so it was folded");
        let series = &mut self.families[family as usize].series[series as usize];
        series.has_timestamp |= has_timestamp;
        fold(&mut series.value, target.part, Some(bound), value);
    }

    fn push_series(&mut self, family: u32, line: Line, value: Value) {
        let labels = line.first_label..self.label_count();
        let series = &mut self.families[family as usize].series;
        if series.is_empty() {
            // Most families are small; the least that a vector takes by itself would be several series.
            series.reserve_exact(1);
        }
        let Line { number: line, has_timestamp, .. } = line;
        series.push(Series { labels, value, line, has_timestamp, exemplars: None });
        self.series += 1;
    }

    /// The value of the series that the sample is a part of, new if it is the first part.
    fn folded_series(&mut self, family: u32, line: Line, new: impl FnOnce() -> Value) -> &mut Value {
        let series = if let Some(series) = self.find_folded(family, line.first_label) {
            self.labels.truncate(line.first_label as usize);
            series
        } else {
            let series = index(self.families[family as usize].series.len());
            let hash = self.label_set_hash(family, line.first_label);
            self.push_series(family, line, new());
            self.folded.insert_unique(hash, FoldedSeries { family, series, hash }, |folded| folded.hash);
            series
        };
        self.last_folded = Some((family, series));
        let series = &mut self.families[family as usize].series[series as usize];
        series.has_timestamp |= line.has_timestamp;
        &mut series.value
    }

    /// The series of this family that has the labels from `first_label` on, as a set.
    fn find_folded(&self, family: u32, first_label: u32) -> Option<u32> {
        let labels = &self.labels[first_label as usize..];
        if let Some((last_family, series)) = self.last_folded
            && last_family == family
            && self.labels_of(family, series) == labels
        {
            return Some(series);
        }
        let hash = self.label_set_hash(family, first_label);
        self.folded
            .find(hash, |folded| {
                folded.family == family && is_same_set(self.labels_of(family, folded.series), labels)
            })
            .map(|folded| folded.series)
    }

    fn labels_of(&self, family: u32, series: u32) -> &[BorrowedLabel<'a>] {
        let range = &self.families[family as usize].series[series as usize].labels;
        &self.labels[range.start as usize..range.end as usize]
    }

    /// A hash of the family and the set of labels from `first_label` on, whatever their order.
    fn label_set_hash(&self, family: u32, first_label: u32) -> u64 {
        // Equal sets have equal sums; the sum is hashed again so that it spreads over all bits.
        let sum = present(&self.labels[first_label as usize..])
            .map(|label| self.hasher.hash_one((label.name, &*label.value)))
            .fold(0_u64, u64::wrapping_add);
        self.hasher.hash_one((family, sum))
    }
}

/// Adds a sample to the histogram or summary that it is a part of.
fn fold(whole: &mut Value, part: Part, bound: Option<f64>, value: f64) {
    match whole {
        Value::Histogram(histogram) | Value::GaugeHistogram(histogram) => {
            fold_into_histogram(histogram, part, bound, value);
        }
        Value::Summary(summary) => fold_into_summary(summary, part, bound, value),
        Value::Counter(_) | Value::Gauge(_) | Value::Untyped(_) | Value::Info | Value::StateSet(_) => {
            unreachable!(
                "only histograms and summaries have parts, and a family's type is fixed by its first sample"
            )
        }
    }
}

fn fold_into_histogram(histogram: &mut Histogram, part: Part, bound: Option<f64>, value: f64) {
    let defect = match (part, bound) {
        (Part::Bare, _) => Some(Defect::BareSample),
        (Part::Bucket, None) => Some(Defect::BucketWithoutLe),
        (Part::Bucket, Some(upper_bound)) => {
            histogram.buckets.push(Bucket { upper_bound, cumulative_count: value });
            None
        }
        (Part::Sum, _) => set_once(&mut histogram.sum, value, Defect::SecondSum),
        (Part::Count, _) => set_once(&mut histogram.count, value, Defect::SecondCount),
    };
    histogram.defect = histogram.defect.or(defect);
}

fn fold_into_summary(summary: &mut Summary, part: Part, quantile: Option<f64>, value: f64) {
    let defect = match (part, quantile) {
        (Part::Bare, Some(quantile)) => {
            summary.quantiles.push(Quantile { quantile, value });
            None
        }
        (Part::Bare, None) | (Part::Bucket, _) => Some(Defect::BareSample),
        (Part::Sum, _) => set_once(&mut summary.sum, value, Defect::SecondSum),
        (Part::Count, _) => set_once(&mut summary.count, value, Defect::SecondCount),
    };
    summary.defect = summary.defect.or(defect);
}

/// The labels that count: an empty value means that there is no label.
fn present<'l, 'a>(labels: &'l [BorrowedLabel<'a>]) -> impl Iterator<Item = &'l BorrowedLabel<'a>> {
    labels.iter().filter(|label| !label.value.is_empty())
}

/// Whether both are the same set of labels, each name standing at most once in each.
fn is_same_set(one: &[BorrowedLabel<'_>], other: &[BorrowedLabel<'_>]) -> bool {
    if present(one).count() != present(other).count() {
        return false;
    }
    if one.len().max(other.len()) <= FEW_LABELS {
        return present(one).all(|label| other.contains(label));
    }
    let sorted = |labels| {
        let mut pairs: Vec<(&str, &str)> = present(labels).map(|label| (label.name, &*label.value)).collect();
        pairs.sort_unstable();
        pairs
    };
    sorted(one) == sorted(other)
}

fn set_once(place: &mut Option<f64>, value: f64, second: Defect) -> Option<Defect> {
    if place.is_some() {
        return Some(second);
    }
    *place = Some(value);
    None
}

fn index(len: usize) -> u32 {
    u32::try_from(len).expect("there are fewer labels and series than bytes, and those fit 32 bits")
}
