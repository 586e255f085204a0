//! Counters, gauges and histograms made of atomics, and the families that they are read as.
//!
//! Knows nothing of which metrics there are. Invariant: updating takes no lock and never waits, and what
//! is read of a histogram is consistent in itself: its `+Inf` bucket equals its count.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::labels::LabelValue;
use crate::model::{self, LabelSet, MetricType, Value};

/// One of the gateway's own families, as a scrape shows it among the pushed ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The metric's name.
    pub name: &'static str,
    /// The HELP text.
    pub help: &'static str,
    /// The type.
    pub metric_type: MetricType,
    /// The series in a fixed order; their values' variants agree with the type.
    pub series: Vec<(LabelSet, Value)>,
}

/// What can be read as the series of a family.
pub(super) trait Instrument: Default {
    const TYPE: MetricType;
    const LABELS: &'static [&'static str];

    fn series(&self) -> Vec<(LabelSet, Value)>;
}

/// A number of events since the start.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one event.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Counts `events` events.
    pub fn add(&self, events: u64) {
        self.0.fetch_add(events, Relaxed);
    }

    /// The events so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Instrument for Counter {
    const TYPE: MetricType = MetricType::Counter;
    const LABELS: &'static [&'static str] = &[];

    fn series(&self) -> Vec<(LabelSet, Value)> {
        vec![(LabelSet::default(), Value::Counter(as_float(self.get())))]
    }
}

/// A whole number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets the number.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Instrument for Gauge {
    const TYPE: MetricType = MetricType::Gauge;
    const LABELS: &'static [&'static str] = &[];

    fn series(&self) -> Vec<(LabelSet, Value)> {
        vec![(LabelSet::default(), Value::Gauge(as_float(self.get())))]
    }
}

/// One counter for each value of a label (or each combination of values) whose values are known beforehand.
/// A counter that has counted nothing is not shown where [`LabelValue::SHOW_ZEROS`] says so.
#[derive(Debug)]
pub struct CounterPer<K> {
    counters: Box<[Counter]>,
    key: PhantomData<fn(K)>,
}

impl<K: LabelValue> Default for CounterPer<K> {
    fn default() -> Self {
        Self { counters: (0..K::COUNT).map(|_| Counter::default()).collect(), key: PhantomData }
    }
}

impl<K: LabelValue> CounterPer<K> {
    /// The counter for `key`.
    pub fn of(&self, key: K) -> &Counter {
        &self.counters[key.index()]
    }
}

impl<K: LabelValue> Instrument for CounterPer<K> {
    const TYPE: MetricType = MetricType::Counter;
    const LABELS: &'static [&'static str] = K::LABELS;

    fn series(&self) -> Vec<(LabelSet, Value)> {
        self.counters
            .iter()
            .enumerate()
            .filter(|(_, counter)| K::SHOW_ZEROS || counter.get() > 0)
            .map(|(index, counter)| (K::labels(index), Value::Counter(as_float(counter.get()))))
            .collect()
    }
}

/// The upper bounds of a histogram.
pub trait Bounds {
    /// The bounds, ascending, without `+Inf`.
    const BOUNDS: &'static [f64];
}

/// A distribution over fixed buckets.
#[derive(Debug)]
pub struct Histogram<B> {
    /// Observations per bucket, not cumulative; the last is `+Inf`.
    buckets: Box<[AtomicU64]>,
    /// The bits of the sum.
    sum: AtomicU64,
    bounds: PhantomData<fn(B)>,
}

impl<B: Bounds> Default for Histogram<B> {
    fn default() -> Self {
        Self {
            buckets: (0..=B::BOUNDS.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0f64.to_bits()),
            bounds: PhantomData,
        }
    }
}

impl<B: Bounds> Histogram<B> {
    /// Counts one observation; seconds where the histogram is of seconds.
    pub fn observe(&self, value: f64) {
        let bucket = B::BOUNDS.partition_point(|bound| *bound < value);
        self.buckets[bucket].fetch_add(1, Relaxed);
        // Without a lock: tried again where another observation came between.
        let _ = self.sum.try_update(Relaxed, Relaxed, |sum| Some((f64::from_bits(sum) + value).to_bits()));
    }
}

impl<B: Bounds> Instrument for Histogram<B> {
    const TYPE: MetricType = MetricType::Histogram;
    const LABELS: &'static [&'static str] = &[];

    fn series(&self) -> Vec<(LabelSet, Value)> {
        let mut cumulative = 0;
        let bounds = B::BOUNDS.iter().copied().chain([f64::INFINITY]);
        let buckets = bounds
            .zip(&self.buckets)
            .map(|(upper_bound, count)| {
                cumulative += count.load(Relaxed);
                model::Bucket { upper_bound, cumulative_count: as_float(cumulative) }
            })
            .collect();
        let histogram = model::Histogram {
            buckets,
            sum: Some(f64::from_bits(self.sum.load(Relaxed))),
            count: Some(as_float(cumulative)),
            defect: None,
            native: None,
        };
        vec![(LabelSet::default(), Value::Histogram(Box::new(histogram)))]
    }
}

#[allow(clippy::cast_precision_loss, reason = "past 2^53 a count of our own events may be off by one")]
fn as_float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::super::labels::Outcome;
    use super::*;

    struct Two;

    impl Bounds for Two {
        const BOUNDS: &'static [f64] = &[1.0, 2.0];
    }

    fn histogram_of(histogram: &Histogram<Two>) -> model::Histogram {
        match histogram.series().remove(0).1 {
            Value::Histogram(histogram) => *histogram,
            other => panic!("not a histogram: {other:?}"),
        }
    }

    #[test]
    fn a_bound_is_inclusive_and_buckets_are_cumulative() {
        let histogram = Histogram::<Two>::default();
        for value in [0.5, 1.0, 1.5, 2.5] {
            histogram.observe(value);
        }
        let read = histogram_of(&histogram);
        let counts: Vec<f64> = read.buckets.iter().map(|bucket| bucket.cumulative_count).collect();
        assert_eq!(counts, [2.0, 3.0, 4.0]);
        assert_eq!((read.sum, read.count), (Some(5.5), Some(4.0)));
    }

    #[test]
    fn no_observation_is_lost_between_threads() {
        let histogram = Histogram::<Two>::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| histogram.observe(1.0)));
            }
        });
        let read = histogram_of(&histogram);
        assert_eq!((read.sum, read.count), (Some(40_000.0), Some(40_000.0)));
    }

    #[test]
    fn each_label_value_has_a_counter_of_its_own() {
        let counters = CounterPer::<Outcome>::default();
        counters.of(Outcome::Failure).add(3);
        let series = counters.series();
        assert_eq!(series.len(), 2);
        assert_eq!(series[1].0.to_string(), r#"{outcome="failure"}"#);
        assert_eq!(series[1].1, Value::Counter(3.0));
        assert_eq!(series[0].1, Value::Counter(0.0));
    }
}
