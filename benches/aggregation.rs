//! Merging one contribution into one series, and encoding what it comes to: what each sample of a push costs at
//! least.

use divan::{Bencher, black_box};
use tallygate::aggregation::{Contribution, State, UntypedMode};
use tallygate::model::{Bucket, Counts, Histogram, MetricType, NativeCounts, NativeHistogram, Stamp, Value};

/// Contributions that are absorbed in one iteration, so that what is measured is longer than the clock's
/// step.
const TURNS: usize = 1_000;

fn main() {
    divan::main();
}

fn contribution(value: &Value, metric_type: MetricType) -> Contribution {
    Contribution::new(value, metric_type, "m", UntypedMode::Sum).expect("it is a value of that type")
}

fn absorb(bencher: Bencher<'_, '_>, metric_type: MetricType, contributions: &[Contribution]) {
    bencher.counter(divan::counter::ItemsCount::new(TURNS)).bench_local(|| {
        let mut state = State::new(metric_type, &contributions[0], Stamp(0));
        for turn in 0..TURNS {
            black_box(
                state.absorb(black_box(&contributions[turn % contributions.len()]), Stamp(turn as u64)),
            );
        }
        state
    });
}

/// Writes a state as it stands in a record.
fn encode(bencher: Bencher<'_, '_>, metric_type: MetricType, contribution: &Contribution) {
    let state = State::new(metric_type, contribution, Stamp(1));
    let mut out = Vec::with_capacity(1 << 20);
    bencher.counter(divan::counter::ItemsCount::new(TURNS)).bench_local(|| {
        out.clear();
        for _ in 0..TURNS {
            black_box(&state).encode(&mut out);
        }
        black_box(&mut out).len()
    });
}

#[divan::bench(args = [42.0, 0.1])]
fn encoded_counter(bencher: Bencher<'_, '_>, value: f64) {
    encode(bencher, MetricType::Counter, &counters(&[value])[0]);
}

#[divan::bench(args = [10, 100])]
fn encoded_histogram(bencher: Bencher<'_, '_>, buckets: usize) {
    encode(bencher, MetricType::Histogram, &histogram(buckets, 1));
}

fn counters(values: &[f64]) -> Vec<Contribution> {
    values.iter().map(|&value| contribution(&Value::Counter(value), MetricType::Counter)).collect()
}

/// Integers: the sum is one floating-point number.
#[divan::bench]
fn counter_of_integers(bencher: Bencher<'_, '_>) {
    absorb(bencher, MetricType::Counter, &counters(&[1.0, 7.0, 42.0, 1_000.0]));
}

/// Fractions, as seconds are: the sum is two.
#[divan::bench]
fn counter_of_fractions(bencher: Bencher<'_, '_>) {
    absorb(bencher, MetricType::Counter, &counters(&[0.1, 0.25, 3.7, 0.001_3]));
}

/// Numbers so far apart that the sum is a wide one.
#[divan::bench]
fn counter_of_all_magnitudes(bencher: Bencher<'_, '_>) {
    absorb(bencher, MetricType::Counter, &counters(&[1e-300, 0.1, 1e17, 1e300, 5e-324]));
}

#[divan::bench]
fn gauge(bencher: Bencher<'_, '_>) {
    absorb(bencher, MetricType::Gauge, &[contribution(&Value::Gauge(1.5), MetricType::Gauge)]);
}

/// A histogram with so many buckets, `+Inf` aside; every `step`th bound of those that there are.
fn histogram(buckets: usize, step: usize) -> Contribution {
    let bounds = (0..buckets).filter(|bound| bound % step == 0);
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    let buckets = bounds.map(|bound| Bucket { upper_bound: bound as f64, cumulative_count: bound as f64 });
    let value = Histogram {
        buckets: buckets.collect(),
        sum: Some(1.25),
        count: Some(1_000.0),
        defect: None,
        native: None,
    };
    contribution(&Value::Histogram(Box::new(value)), MetricType::Histogram)
}

#[divan::bench(args = [10, 100])]
fn histogram_of_equal_bounds(bencher: Bencher<'_, '_>, buckets: usize) {
    absorb(bencher, MetricType::Histogram, &[histogram(buckets, 1)]);
}

#[divan::bench(args = [10, 100])]
fn histogram_of_other_bounds(bencher: Bencher<'_, '_>, buckets: usize) {
    absorb(bencher, MetricType::Histogram, &[histogram(buckets, 1), histogram(buckets, 3)]);
}

/// A native histogram with so many populated buckets from an index on.
fn native(schema: i8, first: i32, buckets: i32) -> Contribution {
    let positive: Vec<(i32, u64)> = (first..first + buckets).zip(1..).collect();
    let count = positive.iter().map(|(_, count)| count).sum::<u64>() + 1;
    let part = NativeHistogram {
        schema,
        zero_threshold: 2.938_735_877_055_719e-39,
        custom_bounds: Vec::new(),
        counts: NativeCounts::Integer(Counts { count, zero: 1, positive, negative: Vec::new() }),
        sum: None,
    };
    let value = Histogram { sum: Some(1.25), native: Some(Box::new(part)), ..Histogram::default() };
    contribution(&Value::Histogram(Box::new(value)), MetricType::Histogram)
}

#[divan::bench(args = [10, 100])]
fn native_histogram_of_equal_buckets(bencher: Bencher<'_, '_>, buckets: i32) {
    absorb(bencher, MetricType::Histogram, &[native(3, -20, buckets)]);
}

/// Finer ones into a coarser one.
#[divan::bench(args = [10, 100])]
fn native_histogram_of_other_schema(bencher: Bencher<'_, '_>, buckets: i32) {
    absorb(bencher, MetricType::Histogram, &[native(2, -20, buckets), native(3, -20, buckets)]);
}
