//! Properties of merging, for every type alike, through what the room offers: whatever the order and
//! however the pushes are spread over parts that are combined later, the state is the same to the bit, and
//! what it shows is what a plain model of big integers shows.

use num_bigint::BigInt;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::model::{Bucket, Histogram, MetricType, Quantile, Stamp, Summary, Value};

use super::exact_sum::ExactSum;
use super::{Contribution, State, UntypedMode};

/// The bounds that histograms have, `+Inf` aside; some are shared by two histograms, some are not.
const BOUNDS: [f64; 7] = [-1e300, -1.0, 0.0, 5e-324, 0.1, 1.0, f64::MAX];

/// Exponent fields around which exact sums have something to get wrong: subnormal, the middle, one word and
/// two words above it, and where sums leave the finite numbers.
const EXPONENTS: [u64; 6] = [0, 1, 1023, 1023 + 53, 1023 + 107, 2043];

/// A push: its value, and when it came. Two pushes may have one stamp, as two gateways may give the same.
type Push = (Value, Stamp);

/// Finite numbers whose sums are ties, carries, cancellations and overflows more often than chance has it.
fn finite() -> impl Strategy<Value = f64> {
    let fraction = prop_oneof![Just(0), Just(1), Just((1 << 52) - 1), Just(1 << 51), 0_u64..1 << 52];
    let exponent = (proptest::sample::select(&EXPONENTS[..]), 0_u64..4).prop_map(|(base, more)| base + more);
    let picked = (any::<bool>(), exponent, fraction).prop_map(|(is_negative, exponent, fraction)| {
        f64::from_bits(u64::from(is_negative) << 63 | exponent << 52 | fraction)
    });
    // Few bits, one word apart: most sums of these are ties, or cancel in part.
    let words = proptest::sample::select(vec![
        1.0,
        9_007_199_254_740_992.0,
        81_129_638_414_606_681_695_789_005_144_064.0,
    ]);
    let tied = (-4_i8..=4, words).prop_map(|(times, word)| f64::from(times) * word);
    prop_oneof![
        4 => picked,
        4 => tied,
        2 => any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite()),
        1 => (-1_000_i16..1_000).prop_map(|value| f64::from(value) / 10.0),
        1 => Just(-0.0),
    ]
}

/// Any bits at all: infinities, numbers that are none with any payload.
fn any_bits() -> impl Strategy<Value = f64> {
    prop_oneof![any::<u64>().prop_map(f64::from_bits), Just(f64::NEG_INFINITY), Just(-0.0), finite()]
}

/// A well-formed histogram, its lines in any order; `+Inf` or `_count` may be missing, and so may `_sum`.
fn histogram() -> impl Strategy<Value = Value> {
    let bounds = proptest::sample::subsequence(&BOUNDS[..], 0..=BOUNDS.len());
    let lines = bounds.prop_flat_map(|bounds| {
        let counts = vec(prop_oneof![0_u64..10, 0_u64..1 << 50], bounds.len() + 1);
        (Just(bounds), counts)
    });
    (lines, proptest::option::of(finite()), 0_u8..3, any::<bool>(), any::<bool>()).prop_map(
        |((bounds, counts), sum, shown, falling, minus_zero)| {
            let mut total = 0;
            let mut buckets: Vec<_> = bounds
                .into_iter()
                .chain([f64::INFINITY])
                .zip(counts)
                .map(|(upper_bound, count)| {
                    total += count;
                    Bucket { upper_bound, cumulative_count: as_float(total) }
                })
                .collect();
            if shown == 1 {
                buckets.pop();
            }
            if falling {
                buckets.reverse();
            }
            for bucket in buckets.iter_mut().filter(|bucket| minus_zero && bucket.upper_bound == 0.0) {
                bucket.upper_bound = -0.0;
            }
            let count = (shown != 2).then(|| as_float(total));
            Value::Histogram(Box::new(Histogram { buckets, sum, count, defect: None, native: None }))
        },
    )
}

fn summary() -> impl Strategy<Value = Value> {
    let quantiles = proptest::sample::subsequence(vec![0.0, 0.5, 0.99, 1.0], 0..=4)
        .prop_flat_map(|quantiles| (vec(any_bits(), quantiles.len()), Just(quantiles)));
    let count = proptest::option::of((0_u64..1 << 53).prop_map(as_float));
    (quantiles, proptest::option::of(finite()), count).prop_map(|((values, quantiles), sum, count)| {
        let quantiles = quantiles.into_iter().zip(values);
        let quantiles = quantiles.map(|(quantile, value)| Quantile { quantile, value }).collect();
        Value::Summary(Box::new(Summary { quantiles, sum, count, defect: None }))
    })
}

fn value(settled: MetricType, mode: UntypedMode) -> BoxedStrategy<Value> {
    match (settled, mode) {
        (MetricType::Counter, _) => finite().prop_map(|value| Value::Counter(value.abs())).boxed(),
        (MetricType::Gauge, _) => any_bits().prop_map(Value::Gauge).boxed(),
        (MetricType::Untyped, UntypedMode::Sum) => finite().prop_map(Value::Untyped).boxed(),
        (MetricType::Untyped, UntypedMode::Last | UntypedMode::BySuffix) => {
            any_bits().prop_map(Value::Untyped).boxed()
        }
        (MetricType::Histogram, _) => histogram().boxed(),
        (MetricType::Summary, _) => summary().boxed(),
        (MetricType::GaugeHistogram | MetricType::Info | MetricType::StateSet, _) => {
            unreachable!("`pushes` does not ask for it")
        }
    }
}

/// One to a dozen pushes to one series of a type.
fn pushes() -> impl Strategy<Value = (MetricType, UntypedMode, Vec<Push>)> {
    let types = [
        (MetricType::Counter, UntypedMode::Sum),
        (MetricType::Gauge, UntypedMode::Sum),
        (MetricType::Untyped, UntypedMode::Sum),
        (MetricType::Untyped, UntypedMode::Last),
        (MetricType::Histogram, UntypedMode::Sum),
        (MetricType::Summary, UntypedMode::Sum),
    ];
    proptest::sample::select(types.to_vec()).prop_flat_map(|(settled, mode)| {
        let push = (value(settled, mode), (0_u64..6).prop_map(Stamp));
        (Just(settled), Just(mode), vec(push, 1..12))
    })
}

#[allow(clippy::cast_precision_loss, reason = "numbers below 2^53, and totals that are to be rounded")]
fn as_float(count: u64) -> f64 {
    count as f64
}

fn contribution(settled: MetricType, mode: UntypedMode, value: &Value) -> Contribution {
    Contribution::new(value, settled, "m", mode).unwrap()
}

/// The state after these pushes; `None` after none.
fn state<'a>(
    settled: MetricType,
    mode: UntypedMode,
    pushes: impl IntoIterator<Item = &'a Push>,
) -> Option<State> {
    let mut state: Option<State> = None;
    for (value, stamp) in pushes {
        let contribution = contribution(settled, mode, value);
        match &mut state {
            Some(state) => {
                state.absorb(&contribution, *stamp);
            }
            None => state = Some(State::new(settled, &contribution, *stamp)),
        }
    }
    state
}

pub(super) fn combined(parts: impl IntoIterator<Item = State>) -> State {
    let combine = |mut state: State, other: State| {
        state.combine(&other);
        state
    };
    parts.into_iter().reduce(combine).unwrap()
}

/// The record: two states with equal records are equal to the bit, numbers that are none included.
pub(super) fn record(state: &State) -> Vec<u8> {
    postcard::to_stdvec(state).unwrap()
}

/// What a state appends to a record that has begun already.
pub(super) fn encoded(state: &State) -> Vec<u8> {
    let mut bytes = vec![7];
    state.encode(&mut bytes);
    bytes.split_off(1)
}

/// A number in units of the smallest subnormal one.
fn exact(value: f64) -> BigInt {
    let bits = value.to_bits();
    let (exponent, fraction) = (bits >> 52 & 0x7ff, bits & ((1 << 52) - 1));
    let magnitude = match exponent {
        0 => BigInt::from(fraction),
        _ => BigInt::from(fraction | 1 << 52) << (exponent - 1),
    };
    if value.is_sign_negative() { -magnitude } else { magnitude }
}

/// The nearest finite number, by way of its exact decimal digits and the standard library's reading of them.
fn nearest(exact: &BigInt) -> f64 {
    let digits = exact * BigInt::from(5).pow(1074);
    let nearest: f64 = format!("{digits}e-1074").parse().unwrap();
    nearest.clamp(-f64::MAX, f64::MAX)
}

pub(super) fn model_sum<'a>(values: impl IntoIterator<Item = &'a f64>) -> f64 {
    nearest(&values.into_iter().map(|&value| exact(value)).sum())
}

/// The count of a histogram or a summary as pushed, by whichever line has it.
fn pushed_count(histogram: &Histogram) -> f64 {
    let infinite = histogram.buckets.iter().find(|bucket| bucket.upper_bound == f64::INFINITY);
    histogram.count.or(infinite.map(|bucket| bucket.cumulative_count)).unwrap()
}

/// What a pushed histogram is known to have at or below a bound: its largest bucket that is not above it.
fn known_at(histogram: &Histogram, bound: f64) -> f64 {
    if bound == f64::INFINITY {
        return pushed_count(histogram);
    }
    let below = histogram.buckets.iter().filter(|bucket| bucket.upper_bound <= bound);
    below.map(|bucket| bucket.cumulative_count).fold(0.0, f64::max)
}

/// Counts of one test stay far below 2^64, so that a wider integer is their exact sum.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "whole numbers up to 2^53, and a total that is to be rounded"
)]
fn model_count(counts: impl IntoIterator<Item = f64>) -> f64 {
    counts.into_iter().map(|count| count as u128).sum::<u128>() as f64
}

pub(super) fn model_histogram(pushed: &[&Histogram]) -> Histogram {
    let mut bounds: Vec<f64> =
        pushed.iter().flat_map(|one| &one.buckets).map(|b| b.upper_bound + 0.0).collect();
    bounds.push(f64::INFINITY);
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    let at = |&upper_bound: &f64| Bucket {
        upper_bound,
        cumulative_count: model_count(pushed.iter().map(|one| known_at(one, upper_bound))),
    };
    Histogram {
        buckets: bounds.iter().map(at).collect(),
        sum: Some(model_sum(pushed.iter().filter_map(|one| one.sum.as_ref()))),
        count: Some(model_count(pushed.iter().map(|one| pushed_count(one)))),
        defect: None,
        native: None,
    }
}

fn model_summary(pushed: &[&Summary]) -> Summary {
    Summary {
        quantiles: if let [only] = pushed { only.quantiles.clone() } else { Vec::new() },
        sum: Some(model_sum(pushed.iter().filter_map(|one| one.sum.as_ref()))),
        count: Some(model_count(pushed.iter().filter_map(|one| one.count))),
        defect: None,
    }
}

/// The newest; of several with one stamp, any that is the same whatever the order: the one of largest bits.
fn model_last(pushed: &[(f64, Stamp)]) -> f64 {
    let canonical = |value: f64| if value.is_nan() { f64::NAN } else { value };
    let newest = pushed.iter().map(|&(value, stamp)| (stamp, canonical(value).to_bits())).max();
    f64::from_bits(newest.unwrap().1)
}

/// What is shown, said so that numbers that are none can be compared: with their bits.
fn shown(value: &Value) -> String {
    let bits = |value: &f64| value.to_bits();
    match value {
        Value::Counter(value) => format!("counter {:x}", bits(value)),
        Value::Gauge(value) => format!("gauge {:x}", bits(value)),
        Value::Untyped(value) => format!("untyped {:x}", bits(value)),
        Value::Histogram(_) | Value::GaugeHistogram(_) | Value::Info | Value::StateSet(_) => {
            format!("{value:?}")
        }
        Value::Summary(summary) => {
            let quantiles: Vec<_> =
                summary.quantiles.iter().map(|one| (one.quantile, canonical_bits(one.value))).collect();
            format!("summary {quantiles:x?} {:?} {:?}", summary.sum, summary.count)
        }
    }
}

fn canonical_bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}

/// What these pushes come to, by the model.
fn model(settled: MetricType, mode: UntypedMode, pushes: &[Push]) -> Value {
    let numbers: Vec<(f64, Stamp)> = pushes
        .iter()
        .filter_map(|(value, stamp)| match value {
            Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => Some((*value, *stamp)),
            _ => None,
        })
        .collect();
    let sum = || model_sum(numbers.iter().map(|(value, _)| value));
    match settled {
        MetricType::Counter => Value::Counter(sum()),
        MetricType::Gauge => Value::Gauge(model_last(&numbers)),
        MetricType::Untyped => Value::Untyped(match mode {
            UntypedMode::Sum => sum(),
            UntypedMode::Last | UntypedMode::BySuffix => model_last(&numbers),
        }),
        MetricType::Histogram => {
            let values: Vec<_> = pushes.iter().filter_map(|(value, _)| as_histogram(value)).collect();
            Value::Histogram(Box::new(model_histogram(&values)))
        }
        MetricType::Summary => {
            let values: Vec<_> = pushes.iter().filter_map(|(value, _)| as_summary(value)).collect();
            Value::Summary(Box::new(model_summary(&values)))
        }
        MetricType::GaugeHistogram | MetricType::Info | MetricType::StateSet => {
            unreachable!("`pushes` does not ask for it")
        }
    }
}

fn as_histogram(value: &Value) -> Option<&Histogram> {
    if let Value::Histogram(histogram) = value { Some(histogram) } else { None }
}

fn as_summary(value: &Value) -> Option<&Summary> {
    if let Value::Summary(summary) = value { Some(summary) } else { None }
}

pub(super) fn permuted<T: Clone>(items: &[T], picks: &[Index]) -> Vec<T> {
    let mut items = items.to_vec();
    for i in (1..items.len()).rev() {
        items.swap(i, picks[i].index(i + 1));
    }
    items
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_order_and_any_partition_gives_one_state(
        (settled, mode, pushes) in pushes(),
        picks in vec(any::<Index>(), 12),
        parts in vec(0_usize..4, 12),
    ) {
        let whole = record(&state(settled, mode, &pushes).unwrap());
        let permuted = permuted(&pushes, &picks);
        prop_assert_eq!(&record(&state(settled, mode, &permuted).unwrap()), &whole);

        let of_part = |part: usize| {
            let pushes = permuted.iter().zip(&parts).filter(|(_, of)| **of == part).map(|(push, _)| push);
            state(settled, mode, pushes)
        };
        let [a, b, c, d] = [0, 1, 2, 3].map(of_part);
        let states = |parts: &[&Option<State>]| -> Vec<State> {
            parts.iter().copied().flatten().cloned().collect()
        };
        prop_assert_eq!(&record(&combined(states(&[&a, &b, &c, &d]))), &whole);
        prop_assert_eq!(&record(&combined(states(&[&d, &b, &c, &a]))), &whole);
        // And not only one after the other: pairs first.
        let halves = [states(&[&c, &a]), states(&[&b, &d])].into_iter().filter(|half| !half.is_empty());
        prop_assert_eq!(&record(&combined(halves.map(combined))), &whole);
    }

    #[test]
    fn what_is_shown_is_what_the_model_shows((settled, mode, pushes) in pushes()) {
        let state = state(settled, mode, &pushes).unwrap();
        prop_assert_eq!(state.metric_type(), settled);
        prop_assert!(state.is_sound());
        prop_assert_eq!(shown(&state.expose()), shown(&model(settled, mode, &pushes)));
    }

    #[test]
    fn a_record_is_read_back_and_goes_on_as_if_nothing_had_been(
        (settled, mode, pushes) in pushes(),
        cut in any::<Index>(),
    ) {
        let (before, after) = pushes.split_at(1 + cut.index(pushes.len()));
        let mut state = state(settled, mode, before).unwrap();
        prop_assert_eq!(encoded(&state), record(&state));
        let mut restored: State = postcard::from_bytes(&record(&state)).unwrap();
        prop_assert!(restored.is_sound());
        for (value, stamp) in after {
            let contribution = contribution(settled, mode, value);
            state.absorb(&contribution, *stamp);
            restored.absorb(&contribution, *stamp);
        }
        prop_assert_eq!(record(&restored), record(&state));
        prop_assert_eq!(restored, state);
    }

    /// Counters, counts and every bucket never fall from push to push, buckets never fall with their bound, and
    /// `+Inf` is the count.
    #[test]
    fn what_only_grows_never_falls(
        (settled, mode, pushes) in pushes().prop_filter("grows", |(settled, _, _)| {
            matches!(settled, MetricType::Counter | MetricType::Histogram | MetricType::Summary)
        }),
    ) {
        let mut earlier: Vec<(f64, f64)> = Vec::new();
        for so_far in 1..=pushes.len() {
            let now: Vec<(f64, f64)> = match state(settled, mode, &pushes[..so_far]).unwrap().expose() {
                Value::Counter(value) => vec![(0.0, value)],
                Value::Summary(summary) => vec![(0.0, summary.count.unwrap())],
                Value::Histogram(histogram) => {
                    let last = histogram.buckets.last().unwrap();
                    prop_assert_eq!(last.upper_bound, f64::INFINITY);
                    prop_assert_eq!(Some(last.cumulative_count), histogram.count);
                    histogram.buckets.iter().map(|b| (b.upper_bound, b.cumulative_count)).collect()
                }
                _ => unreachable!("filtered out above"),
            };
            prop_assert!(now.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{now:?}");
            for (bound, count) in earlier {
                let own = now.iter().find(|(own, _)| *own == bound);
                prop_assert!(own.is_some_and(|own| own.1 >= count), "{bound} fell from {count}: {now:?}");
            }
            earlier = now;
        }
    }

    /// A sum that was beyond the finite numbers on its way is the sum that never was.
    #[test]
    fn the_way_of_a_sum_leaves_no_trace(values in vec(finite(), 0..20)) {
        let sum = |values: &mut dyn Iterator<Item = f64>| {
            let mut sum = ExactSum::default();
            values.for_each(|value| sum.add(value));
            sum
        };
        let far = [f64::MAX; 4];
        let straight = sum(&mut values.iter().copied());
        let around = sum(&mut far.into_iter().chain(values.iter().copied()).chain(far.map(|value| -value)));
        prop_assert_eq!(postcard::to_stdvec(&around).unwrap(), postcard::to_stdvec(&straight).unwrap());
        prop_assert_eq!(around.value().to_bits(), model_sum(&values).to_bits());
    }
}
