//! Properties of merging native histograms: the same state whatever the order, and what it shows is what a plain
//! model shows, which keeps every bucket that was pushed and adds up big integers at the end.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::model::{
    Bucket, CUSTOM_BUCKETS_SCHEMA, Counts, Histogram, MetricType, NativeCounts, NativeHistogram, SCHEMA_MAX,
    SCHEMA_MIN, Stamp, Value,
};

use super::super::properties::{combined, encoded, model_histogram, model_sum, permuted, record};
use super::super::{Contribution, State, UntypedMode};
use super::bounds::{range, upper};

/// Mostly small ones, beside which there is something left to show: bounds of buckets of fine and coarse schemas,
/// numbers between them, and both ends.
fn threshold() -> impl Strategy<Value = f64> {
    let small = vec![0.0, -0.0, 5e-324, 1e-320, 2.938_735_877_055_719e-39, 0.001];
    let middle = vec![upper(-3, 2), upper(1, 8), 1.0, upper(5, 3), 1.5, upper(77, 6)];
    let large = vec![1e10, f64::MAX.next_down(), f64::MAX];
    prop_oneof![24 => select(small), 6 => select(middle), 1 => select(large)]
}

const CUSTOM_BOUNDS: [f64; 6] = [-1e300, -1.0, -0.0, 0.1, 1.0, f64::MAX];

/// What counts of floating-point numbers are taken from.
#[derive(Clone, Copy, Debug)]
pub(in crate::aggregation) enum Fractions {
    /// Any, so that adding them up in another order would round otherwise.
    Any,
    /// Such as can be added up without rounding.
    Eighths,
}

fn fraction(of: Fractions) -> BoxedStrategy<f64> {
    let eighths = (0_u16..2_000).prop_map(|count| f64::from(count) / 8.0);
    match of {
        Fractions::Any => prop_oneof![eighths, select(vec![0.1, 5e-324, 1e300, 1e17, 1.0 / 3.0])].boxed(),
        Fractions::Eighths => eighths.boxed(),
    }
}

fn index(schema: i8) -> impl Strategy<Value = i32> {
    let (first, last) = (*range(schema).start(), *range(schema).end());
    prop_oneof![
        8 => -120_i32..200,
        1 => first..first + 20,
        1 => last - 20..=last,
    ]
    .prop_map(move |index| index.clamp(first, last))
}

/// Buckets with their indexes, ascending.
type Side<N> = Vec<(i32, N)>;

/// The zero bucket and both sides of an exponential histogram, with counts of one kind.
fn sides<N: Clone + std::fmt::Debug + 'static>(
    schema: i8,
    count: impl Strategy<Value = N> + Clone + 'static,
) -> BoxedStrategy<(N, Side<N>, Side<N>)> {
    let side = |most: usize| btree_map(index(schema), count.clone(), 0..most);
    (count.clone(), side(60), side(30))
        .prop_map(|(zero, positive, negative)| {
            (zero, positive.into_iter().collect(), negative.into_iter().collect())
        })
        .boxed()
}

fn whole_count() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![4 => 0_u64..100, 1 => 0_u64..1 << 44]
}

/// Counts whose total is that of the buckets, and so many more that are in none.
fn whole(zero: u64, positive: Vec<(i32, u64)>, negative: Vec<(i32, u64)>, more: u64) -> NativeCounts {
    let count = zero + positive.iter().chain(&negative).map(|(_, count)| count).sum::<u64>() + more;
    NativeCounts::Integer(Counts { count, zero, positive, negative })
}

fn fractional(zero: f64, positive: Vec<(i32, f64)>, negative: Vec<(i32, f64)>, more: u64) -> NativeCounts {
    let in_buckets = positive.iter().chain(&negative).map(|(_, count)| count);
    let count = model_sum(in_buckets.chain([&zero, &as_float(more)]));
    NativeCounts::Float(Counts { count, zero, positive, negative })
}

#[allow(clippy::cast_precision_loss, reason = "counts below 2^53, and totals that are to be rounded")]
fn as_float(count: u64) -> f64 {
    count as f64
}

/// A histogram with this native part; if there are observations that are not a number, so is the sum. With whole
/// counts it may have classic buckets.
fn with_part(part: NativeHistogram, sum: f64, not_numbers: u64, classic: Option<f64>) -> Histogram {
    let count = part.count();
    let is_whole = matches!(part.counts, NativeCounts::Integer(_));
    let buckets = classic.filter(|_| is_whole).map_or(Vec::new(), |upper_bound| {
        vec![
            Bucket { upper_bound, cumulative_count: (count / 3.0).floor() },
            Bucket { upper_bound: f64::INFINITY, cumulative_count: count },
        ]
    });
    let sum = Some(if not_numbers > 0 { f64::NAN } else { sum });
    Histogram { buckets, sum, count: Some(count), defect: None, native: Some(Box::new(part)) }
}

fn not_numbers() -> impl Strategy<Value = u64> {
    prop_oneof![20 => Just(0_u64), 1 => 1_u64..5]
}

fn sum() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.1), Just(-1e17), (-1_000_i16..1_000).prop_map(f64::from)]
}

fn classic_bound() -> impl Strategy<Value = Option<f64>> {
    proptest::option::of(select(vec![1.0, 2.5]))
}

fn exponential(fractions: Fractions, schemas: RangeInclusive<i8>) -> impl Strategy<Value = Histogram> {
    let counts = (schemas, not_numbers()).prop_flat_map(move |(schema, more)| {
        let whole_counts = sides(schema, whole_count())
            .prop_map(move |(zero, positive, negative)| whole(zero, positive, negative, more));
        let fractional_counts = sides(schema, fraction(fractions))
            .prop_map(move |(zero, positive, negative)| fractional(zero, positive, negative, more));
        (Just((schema, more)), prop_oneof![3 => whole_counts, 1 => fractional_counts])
    });
    (counts, threshold(), sum(), classic_bound()).prop_map(
        |(((schema, more), counts), zero_threshold, sum, classic)| {
            let part =
                NativeHistogram { schema, zero_threshold, custom_bounds: Vec::new(), counts, sum: None };
            with_part(part, sum, more, classic)
        },
    )
}

fn custom(fractions: Fractions) -> impl Strategy<Value = Histogram> {
    let bounds = proptest::sample::subsequence(&CUSTOM_BOUNDS[..], 0..=CUSTOM_BOUNDS.len());
    let counts = (bounds, not_numbers()).prop_flat_map(move |(custom_bounds, more)| {
        let last = i32::try_from(custom_bounds.len()).unwrap();
        let indexes = btree_map(0..=last, whole_count(), 0..8);
        let whole_counts =
            indexes.prop_map(move |counts| whole(0, counts.into_iter().collect(), Vec::new(), more));
        let indexes = btree_map(0..=last, fraction(fractions), 0..8);
        let fractional_counts =
            indexes.prop_map(move |counts| fractional(0.0, counts.into_iter().collect(), Vec::new(), more));
        (Just((custom_bounds, more)), prop_oneof![3 => whole_counts, 1 => fractional_counts])
    });
    (counts, sum(), classic_bound()).prop_map(|(((custom_bounds, more), counts), sum, classic)| {
        let schema = CUSTOM_BUCKETS_SCHEMA;
        let part = NativeHistogram { schema, zero_threshold: 0.0, custom_bounds, counts, sum: None };
        with_part(part, sum, more, classic)
    })
}

/// A push with a native part of any kind.
pub(in crate::aggregation) fn with_native() -> impl Strategy<Value = Histogram> {
    prop_oneof![3 => exponential(Fractions::Any, SCHEMA_MIN..=SCHEMA_MAX), 1 => custom(Fractions::Any)]
}

/// A push without a native part; it always holds something.
fn classic() -> impl Strategy<Value = Histogram> {
    (1_u64..100, sum(), classic_bound()).prop_map(|(count, sum, bound)| {
        let count = as_float(count);
        let bucket = |upper_bound| Bucket { upper_bound, cumulative_count: (count / 2.0).ceil() };
        let buckets = bound.map(bucket).into_iter().collect();
        Histogram { buckets, sum: Some(sum), count: Some(count), defect: None, native: None }
    })
}

/// One to a dozen pushes to one series, nearly all of them with a native part of one kind.
pub(super) fn pushes(fractions: Fractions) -> impl Strategy<Value = Vec<Histogram>> {
    let of = move |schemas| vec(prop_oneof![8 => exponential(fractions, schemas), 1 => classic()], 1..12);
    // Of schemas that are all fine there are too many buckets before long.
    let alike = (SCHEMA_MIN..SCHEMA_MAX).prop_flat_map(move |schema| of(schema..=schema + 1));
    prop_oneof![
        2 => of(SCHEMA_MIN..=SCHEMA_MAX),
        2 => alike,
        1 => vec(prop_oneof![8 => custom(fractions), 1 => classic()], 1..12),
    ]
}

pub(super) fn contribution(pushed: &Histogram) -> Contribution {
    let value = Value::Histogram(Box::new(pushed.clone()));
    Contribution::new(&value, MetricType::Histogram, "h", UntypedMode::Sum).unwrap()
}

/// The state after these pushes; `None` after none.
pub(super) fn state<'a>(pushes: impl IntoIterator<Item = &'a Histogram>) -> Option<State> {
    let mut state: Option<State> = None;
    for pushed in pushes {
        let contribution = contribution(pushed);
        match &mut state {
            Some(state) => {
                assert_eq!(state.check(&contribution, 512), Ok(()));
                state.absorb(&contribution, Stamp(1));
            }
            None => state = Some(State::new(MetricType::Histogram, &contribution, Stamp(1))),
        }
    }
    state
}

pub(super) fn shown(state: &State) -> Histogram {
    let Value::Histogram(shown) = state.expose() else { unreachable!("it is a histogram") };
    *shown
}

/// A bucket as it was pushed: whether it is a positive one, its index, and what it holds.
type PushedBucket = (bool, i32, f64);

/// All that one push has in buckets but the zero bucket; that, and the count.
fn flat(part: &NativeHistogram) -> (Vec<PushedBucket>, f64, f64) {
    let counts = match &part.counts {
        NativeCounts::Float(counts) => counts.clone(),
        NativeCounts::Integer(counts) => {
            let side = |side: &[(i32, u64)]| side.iter().map(|&(index, n)| (index, as_float(n))).collect();
            Counts {
                count: as_float(counts.count),
                zero: as_float(counts.zero),
                positive: side(&counts.positive),
                negative: side(&counts.negative),
            }
        }
    };
    let positive = counts.positive.iter().map(|&(index, count)| (true, index, count));
    let negative = counts.negative.iter().map(|&(index, count)| (false, index, count));
    (positive.chain(negative).filter(|bucket| bucket.2 > 0.0).collect(), counts.zero, counts.count)
}

/// What populated buckets there are at a schema, each with all that was pushed to it.
fn at_schema(parts: &[&NativeHistogram], schema: i8) -> BTreeMap<(bool, i32), Vec<f64>> {
    let mut at_schema: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    for part in parts {
        let width = 1 << (part.schema - schema);
        for (is_positive, index, count) in flat(part).0 {
            let index = (index - 1).div_euclid(width) + 1;
            at_schema.entry((is_positive, index)).or_default().push(count);
        }
    }
    at_schema
}

/// The counts as they are to be shown: as whole numbers if all are.
fn kind(parts: &[&NativeHistogram], counts: &Counts<Vec<f64>>) -> NativeCounts {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole numbers")]
    fn whole(counts: &[f64]) -> u64 {
        counts.iter().map(|count| *count as u64).sum()
    }
    fn all<N>(counts: &Counts<Vec<f64>>, number: impl Fn(&[f64]) -> N) -> Counts<N> {
        let side =
            |side: &[(i32, Vec<f64>)]| side.iter().map(|(index, counts)| (*index, number(counts))).collect();
        Counts {
            count: number(&counts.count),
            zero: number(&counts.zero),
            positive: side(&counts.positive),
            negative: side(&counts.negative),
        }
    }
    if parts.iter().any(|part| matches!(part.counts, NativeCounts::Float(_))) {
        NativeCounts::Float(all(counts, |counts| model_sum(counts)))
    } else {
        NativeCounts::Integer(all(counts, whole))
    }
}

fn model_exponential(parts: &[&NativeHistogram]) -> NativeHistogram {
    let finest = parts.iter().map(|part| part.schema).min().unwrap();
    let fits = |schema: &i8| *schema == SCHEMA_MIN || at_schema(parts, *schema).len() <= 160;
    let schema = (SCHEMA_MIN..=finest).rev().find(fits).unwrap();
    let buckets = at_schema(parts, schema);
    let bounds = |index: i32| (upper(index - 1, schema), upper(index, schema));
    let largest = parts.iter().map(|part| part.zero_threshold + 0.0).fold(0.0, f64::max);
    let cut = buckets.keys().map(|(_, index)| bounds(*index)).find(|b| b.0 < largest && largest < b.1);
    let zero_threshold = cut.map_or(largest, |(_, outer)| outer);
    let mut counts: Counts<Vec<f64>> = Counts::default();
    for part in parts {
        let (_, zero, count) = flat(part);
        counts.zero.push(zero);
        counts.count.push(count);
    }
    for ((is_positive, index), pushed) in buckets {
        if bounds(index).0 < zero_threshold {
            counts.zero.extend(pushed);
        } else if is_positive {
            counts.positive.push((index, pushed));
        } else {
            counts.negative.push((index, pushed));
        }
    }
    let counts = kind(parts, &counts);
    NativeHistogram { schema, zero_threshold, custom_bounds: Vec::new(), counts, sum: None }
}

fn model_custom(parts: &[&NativeHistogram]) -> NativeHistogram {
    let mut bounds: Vec<f64> =
        parts.iter().flat_map(|part| &part.custom_bounds).map(|bound| bound + 0.0).collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    let mut counts: Counts<Vec<f64>> = Counts::default();
    let mut buckets: BTreeMap<i32, Vec<f64>> = BTreeMap::new();
    for part in parts {
        let (pushed, zero, count) = flat(part);
        counts.count.push(count);
        counts.zero.push(zero);
        for (_, index, count) in pushed {
            let bound = part.custom_bounds.get(usize::try_from(index).unwrap());
            let place =
                bound.map_or(bounds.len(), |bound| bounds.iter().position(|own| own == bound).unwrap());
            buckets.entry(i32::try_from(place).unwrap()).or_default().push(count);
        }
    }
    counts.positive = buckets.into_iter().collect();
    NativeHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        zero_threshold: 0.0,
        custom_bounds: bounds,
        counts: kind(parts, &counts),
        sum: None,
    }
}

/// What is to be shown of one native part, alone.
pub(in crate::aggregation) fn model_of_one(part: &NativeHistogram) -> NativeHistogram {
    if part.schema == CUSTOM_BUCKETS_SCHEMA { model_custom(&[part]) } else { model_exponential(&[part]) }
}

/// The sum of these, or that it is not a number, in bits.
fn model_sum_bits<'a>(pushes: impl Iterator<Item = &'a Histogram> + Clone) -> u64 {
    let mut sums = pushes.map(|pushed| pushed.sum.unwrap());
    if sums.clone().any(f64::is_nan) {
        f64::NAN.to_bits()
    } else {
        model_sum(&sums.by_ref().collect::<Vec<_>>()).to_bits()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_order_and_any_partition_gives_one_state(
        pushes in pushes(Fractions::Any),
        picks in vec(any::<Index>(), 12),
        parts in vec(0_usize..4, 12),
    ) {
        let whole = record(&state(&pushes).unwrap());
        let permuted = permuted(&pushes, &picks);
        prop_assert_eq!(&record(&state(&permuted).unwrap()), &whole);
        let of_part = |part: usize| {
            state(permuted.iter().zip(&parts).filter(|(_, of)| **of == part).map(|(pushed, _)| pushed))
        };
        let [a, b, c, d] = [0, 1, 2, 3].map(of_part);
        let states = |parts: &[&Option<State>]| -> Vec<State> {
            parts.iter().copied().flatten().cloned().collect()
        };
        prop_assert_eq!(&record(&combined(states(&[&a, &b, &c, &d]))), &whole);
        prop_assert_eq!(&record(&combined(states(&[&d, &b, &c, &a]))), &whole);
        let halves = [states(&[&c, &a]), states(&[&b, &d])].into_iter().filter(|half| !half.is_empty());
        prop_assert_eq!(&record(&combined(halves.map(combined))), &whole);
    }

    #[test]
    fn what_is_shown_is_what_the_model_shows(pushes in pushes(Fractions::Any)) {
        let state = state(&pushes).unwrap();
        prop_assert_eq!(state.metric_type(), MetricType::Histogram);
        prop_assert!(state.is_sound());
        let mut shown = shown(&state);
        prop_assert_eq!(shown.sum.unwrap().to_bits(), model_sum_bits(pushes.iter()));
        let counts: Vec<f64> = pushes.iter().map(|pushed| pushed.count.unwrap()).collect();
        prop_assert_eq!(shown.count, Some(model_sum(&counts)));

        let classic: Vec<_> =
            pushes.iter().filter(|one| one.native.is_none() || !one.buckets.is_empty()).collect();
        if let Some(infinite) = shown.buckets.last_mut() {
            prop_assert_eq!(Some(infinite.cumulative_count), shown.count);
            let mut expected = model_histogram(&classic).buckets;
            expected.last_mut().unwrap().cumulative_count = infinite.cumulative_count;
            prop_assert_eq!(&shown.buckets, &expected);
        } else {
            prop_assert!(classic.is_empty());
        }

        let parts: Vec<_> = pushes.iter().filter_map(|pushed| pushed.native.as_deref()).collect();
        let Some(mut native) = shown.native else {
            prop_assert!(parts.is_empty());
            return Ok(());
        };
        let of_its_own = pushes.iter().any(|pushed| pushed.native.is_none()).then(|| {
            model_sum_bits(pushes.iter().filter(|pushed| pushed.native.is_some()))
        });
        prop_assert_eq!(native.sum.take().map(f64::to_bits), of_its_own);
        let is_custom = parts[0].schema == CUSTOM_BUCKETS_SCHEMA;
        let expected = if is_custom { model_custom(&parts) } else { model_exponential(&parts) };
        prop_assert_eq!(*native, expected);
    }

    #[test]
    fn a_record_is_read_back_and_goes_on_as_if_nothing_had_been(
        pushes in pushes(Fractions::Any),
        cut in any::<Index>(),
    ) {
        let (before, after) = pushes.split_at(1 + cut.index(pushes.len()));
        let mut state = state(before).unwrap();
        prop_assert_eq!(encoded(&state), record(&state));
        let mut restored: State = postcard::from_bytes(&record(&state)).unwrap();
        prop_assert!(restored.is_sound());
        let mut copy = State::new(MetricType::Histogram, &contribution(&pushes[0]), Stamp(1));
        copy.clone_from(&restored);
        prop_assert_eq!(&copy, &restored);
        for pushed in after {
            let contribution = contribution(pushed);
            prop_assert_eq!(state.absorb(&contribution, Stamp(1)), restored.absorb(&contribution, Stamp(1)));
        }
        prop_assert_eq!(record(&restored), record(&state));
        prop_assert_eq!(restored, state);
    }

    /// Whatever a damaged record is read as: it is refused, or nothing that is done with it panics.
    #[test]
    fn a_damaged_record_is_refused_or_harmless(
        pushes in pushes(Fractions::Any),
        at in any::<Index>(),
        byte in any::<u8>(),
        more in pushes(Fractions::Any),
    ) {
        let mut bytes = record(&state(&pushes).unwrap());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let damaged = postcard::from_bytes::<State>(&bytes).ok().filter(State::is_sound);
        let Some(mut state) = damaged.filter(|state| state.metric_type() == MetricType::Histogram) else {
            return Ok(());
        };
        for pushed in &more {
            let contribution = contribution(pushed);
            if state.check(&contribution, 512).is_ok() {
                state.absorb(&contribution, Stamp(1));
            }
        }
        let (copy, _) = (state.clone(), state.expose());
        state.combine(&copy);
        prop_assert!(state.weight() > 0);
    }
}
