//! Quantiles of the last minutes, made of atomics.
//!
//! Observations fall into buckets whose bounds are at most 1/32 of their value apart, so that a quantile is known
//! within 2%. There is such a set of buckets for each of the last slices of time, used in turn. Invariants: memory
//! is fixed, and observing takes no lock and never waits. While a slice is emptied for its next use, a few
//! observations may be missing from the quantiles, but none from count and sum.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use super::instruments::Instrument;
use super::labels::LabelValue;
use crate::model::{LabelSet, MetricType, Quantile, Summary, Value};

/// The quantiles shown.
const QUANTILES: [f64; 3] = [0.1, 0.5, 0.9];

/// How long a slice is. The window is between 8 and 10 minutes long, as with the Go client.
const SLICE_SECONDS: u64 = 120;
const SLICES: u64 = 5;

/// Each power of two is divided into so many buckets.
const BUCKETS_PER_POWER: u32 = 32;
const BUCKET_BITS: u32 = BUCKETS_PER_POWER.ilog2();

/// What is not below 2 to the power of this counts as just below it: 5 hours of nanoseconds, 16 TiB.
const POWERS: u32 = 44;
const BUCKETS: usize = ((POWERS - BUCKET_BITS + 1) * BUCKETS_PER_POWER) as usize;

/// What is observed, and what is shown of it.
pub trait Unit {
    /// What one observed unit is in the unit shown.
    const SCALE: f64;
}

/// Observed in nanoseconds and shown in seconds.
#[derive(Debug)]
pub struct AsSeconds;

impl Unit for AsSeconds {
    const SCALE: f64 = 1e-9;
}

/// Observed and shown in bytes.
#[derive(Debug)]
pub struct AsBytes;

impl Unit for AsBytes {
    const SCALE: f64 = 1.0;
}

/// The distribution of what was observed of late, and count and sum since the start.
#[derive(Debug)]
pub struct Window {
    origin: Instant,
    count: AtomicU64,
    sum: AtomicU64,
    slices: Box<[Slice]>,
}

#[derive(Debug)]
struct Slice {
    /// Which slice since the origin it is; none of them before its first use.
    number: AtomicU64,
    buckets: Box<[AtomicU32]>,
}

impl Default for Window {
    fn default() -> Self {
        let buckets = || (0..BUCKETS).map(|_| AtomicU32::new(0)).collect();
        let slice = |_| Slice { number: AtomicU64::new(u64::MAX), buckets: buckets() };
        Self {
            origin: Instant::now(),
            count: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            slices: (0..SLICES).map(slice).collect(),
        }
    }
}

impl Window {
    /// Counts one observation of `amount`, made at `now`.
    pub fn observe(&self, amount: u64, now: Instant) {
        self.count.fetch_add(1, Relaxed);
        self.sum.fetch_add(amount, Relaxed);
        self.slice(self.number(now)).buckets[bucket_of(amount)].fetch_add(1, Relaxed);
    }

    fn number(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.origin).as_secs() / SLICE_SECONDS
    }

    /// The slice of this number, emptied if it is its turn again.
    #[allow(clippy::cast_possible_truncation, reason = "a remainder of 5")]
    fn slice(&self, number: u64) -> &Slice {
        let slice = &self.slices[(number % SLICES) as usize];
        let held = slice.number.load(Relaxed);
        if held != number && slice.number.compare_exchange(held, number, Relaxed, Relaxed).is_ok() {
            slice.buckets.iter().for_each(|bucket| bucket.store(0, Relaxed));
        }
        slice
    }

    /// What is shown of it, with quantiles in units of `scale`.
    fn summary(&self, scale: f64, now: Instant) -> Summary {
        let number = self.number(now);
        let is_recent = |slice: &&Slice| {
            number.checked_sub(slice.number.load(Relaxed)).is_some_and(|slices_ago| slices_ago < SLICES)
        };
        let mut counts = vec![0; BUCKETS];
        for slice in self.slices.iter().filter(is_recent) {
            for (count, bucket) in counts.iter_mut().zip(&slice.buckets) {
                *count += u64::from(bucket.load(Relaxed));
            }
        }
        let value = |quantile| quantile_of(&counts, quantile).map_or(f64::NAN, |amount| amount * scale);
        Summary {
            quantiles: QUANTILES.map(|quantile| Quantile { quantile, value: value(quantile) }).to_vec(),
            sum: Some(as_float(self.sum.load(Relaxed)) * scale),
            count: Some(as_float(self.count.load(Relaxed))),
            defect: None,
        }
    }
}

/// The bucket of an amount: below [`BUCKETS_PER_POWER`] each amount has its own, from there on each power of
/// two has as many.
#[allow(clippy::cast_possible_truncation, reason = "there are fewer buckets than fit any integer")]
fn bucket_of(amount: u64) -> usize {
    let amount = amount.min((1 << POWERS) - 1);
    let power = amount.checked_ilog2().unwrap_or(0);
    let shift = power.saturating_sub(BUCKET_BITS);
    (u64::from(shift * BUCKETS_PER_POWER) + (amount >> shift)) as usize
}

/// The middle of a bucket.
fn amount_of(bucket: usize) -> f64 {
    let (bucket, per_power) = (bucket as u64, u64::from(BUCKETS_PER_POWER));
    // From twice the number on, each power of two is one shift more.
    let shift = (bucket / per_power).saturating_sub(1);
    let start = (bucket - shift * per_power) << shift;
    let width = 1_u64 << shift;
    as_float(start) + as_float(width - 1) / 2.0
}

/// The amount below or at which that share of the observations is; `None` if there are none.
fn quantile_of(counts: &[u64], quantile: f64) -> Option<f64> {
    let total: u64 = counts.iter().sum();
    let rank = (as_float(total) * quantile).ceil().max(1.0);
    let mut passed = 0;
    let bucket = counts.iter().position(|count| {
        passed += count;
        as_float(passed) >= rank
    })?;
    Some(amount_of(bucket))
}

#[allow(clippy::cast_precision_loss, reason = "past 2^53 a total of our own may be off by one")]
fn as_float(count: u64) -> f64 {
    count as f64
}

/// One window for each value of a label; those that have never observed anything are not shown.
#[derive(Debug)]
pub struct SummaryPer<K, U> {
    windows: Box<[Window]>,
    kinds: PhantomData<fn(K, U)>,
}

impl<K: LabelValue, U> Default for SummaryPer<K, U> {
    fn default() -> Self {
        Self { windows: (0..K::COUNT).map(|_| Window::default()).collect(), kinds: PhantomData }
    }
}

impl<K: LabelValue, U> SummaryPer<K, U> {
    /// The window for `key`.
    pub fn of(&self, key: K) -> &Window {
        &self.windows[key.index()]
    }
}

impl<K: LabelValue, U: Unit> Instrument for SummaryPer<K, U> {
    const TYPE: MetricType = MetricType::Summary;
    const LABELS: &'static [&'static str] = K::LABELS;

    fn series(&self) -> Vec<(LabelSet, Value)> {
        let now = Instant::now();
        let used = self.windows.iter().enumerate().filter(|(_, window)| window.count.load(Relaxed) > 0);
        used.map(|(index, window)| {
            (K::labels(index), Value::Summary(Box::new(window.summary(U::SCALE, now))))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::labels::PushMethod;
    use super::*;

    fn quantiles(window: &Window, after: Duration) -> Vec<f64> {
        let summary = window.summary(1.0, window.origin + after);
        summary.quantiles.iter().map(|at| at.value).collect()
    }

    #[test]
    fn quantiles_are_those_of_what_was_observed() {
        let window = Window::default();
        for amount in 1..=1_000_000 {
            window.observe(amount, window.origin);
        }
        for (found, exact) in quantiles(&window, Duration::ZERO).into_iter().zip([1e5, 5e5, 9e5]) {
            assert!((found / exact - 1.0).abs() < 0.02, "{found} for {exact}");
        }
        let summary = window.summary(1e-9, window.origin);
        assert_eq!(summary.count, Some(1e6));
        assert!((summary.sum.unwrap() - 500.0005).abs() < 1e-9);
    }

    #[test]
    fn small_amounts_are_exact() {
        let window = Window::default();
        for amount in [0, 7, 7, 31, 31] {
            window.observe(amount, window.origin);
        }
        assert_eq!(quantiles(&window, Duration::ZERO), [0.0, 7.0, 31.0]);
    }

    #[test]
    fn what_is_older_than_the_window_leaves_it_and_count_and_sum_stay() {
        let window = Window::default();
        let minutes = Duration::from_mins;
        window.observe(10, window.origin);
        assert_eq!(quantiles(&window, minutes(9))[1], 10.0);
        window.observe(20, window.origin + minutes(5));
        assert_eq!(quantiles(&window, minutes(9)), [10.0, 10.0, 20.0]);
        assert_eq!(quantiles(&window, minutes(10)), [20.0; 3]);
        // The first slice is used again, and by then without what it held.
        window.observe(30, window.origin + minutes(10));
        assert_eq!(quantiles(&window, minutes(11)), [20.0, 20.0, 30.0]);
        let much_later = window.summary(1.0, window.origin + minutes(600));
        assert!(much_later.quantiles.iter().all(|at| at.value.is_nan()));
        assert_eq!((much_later.count, much_later.sum), (Some(3.0), Some(60.0)));
    }

    #[test]
    fn only_windows_in_use_are_shown() {
        let summaries = SummaryPer::<PushMethod, AsSeconds>::default();
        assert!(summaries.series().is_empty());
        summaries.of(PushMethod::Post).observe(1_500_000_000, Instant::now());
        let series = summaries.series();
        assert_eq!(series.len(), 1);
        assert_eq!(series[0].0.to_string(), r#"{method="post"}"#);
        let Value::Summary(summary) = &series[0].1 else { panic!("not a summary") };
        assert_eq!((summary.count, summary.sum), (Some(1.0), Some(1.5)));
        assert!((summary.quantiles[2].value - 1.5).abs() < 0.03);
    }

    proptest! {
        #[test]
        fn an_amount_is_near_the_middle_of_its_bucket(bits in 0_u32..64, random in any::<u64>()) {
            let amount = random >> bits;
            let bucket = bucket_of(amount);
            prop_assert!(bucket < BUCKETS);
            if amount < 1 << POWERS {
                let off = (amount_of(bucket) - as_float(amount)).abs();
                prop_assert!(off <= as_float(amount) / 60.0, "{} is shown as {}", amount, amount_of(bucket));
            } else {
                prop_assert_eq!(bucket, BUCKETS - 1);
            }
        }

        #[test]
        fn larger_amounts_never_have_lower_buckets(a in any::<u64>(), b in any::<u64>()) {
            prop_assert!(bucket_of(a.min(b)) <= bucket_of(a.max(b)));
        }
    }
}
