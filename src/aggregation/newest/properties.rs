//! Properties of what is not added up: gauge histograms, state sets and infos. Whatever the order and however the
//! pushes are spread over parts, the newest push is what is shown, and nothing is left of the others.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use crate::model::{Bucket, Histogram, MetricType, Stamp, StateSet, Value};

use super::super::native_histogram::properties::{model_of_one, with_native};
use super::super::properties::{combined, encoded, permuted, record};
use super::super::{Contribution, State, UntypedMode};

/// A push: its value, and when it came. Two pushes may have one stamp, as two gateways may give the same.
type Push = (Value, Stamp);

const BOUNDS: [f64; 6] = [-1e300, -1.0, -0.0, 0.1, 1.0, f64::MAX];

/// Any sum, or none; those that are not a number have any payload.
fn sum() -> impl Strategy<Value = Option<f64>> {
    proptest::option::of(prop_oneof![any::<u64>().prop_map(f64::from_bits), Just(-0.0), Just(2.5)])
}

/// Classic buckets with counts that need not be whole, in any order; `+Inf` or `_gcount` may be missing.
fn classic() -> impl Strategy<Value = Histogram> {
    let counts = vec((0_u32..1_000).prop_map(|eighths| f64::from(eighths) / 8.0), BOUNDS.len() + 1);
    (subsequence(&BOUNDS[..], 0..=BOUNDS.len()), counts, sum(), 0_u8..3, any::<bool>()).prop_map(
        |(bounds, counts, sum, shown, falling)| {
            let mut total = 0.0;
            let mut buckets: Vec<_> = bounds
                .into_iter()
                .chain([f64::INFINITY])
                .zip(counts)
                .map(|(upper_bound, count)| {
                    total += count;
                    Bucket { upper_bound, cumulative_count: total }
                })
                .collect();
            if shown == 0 {
                buckets.pop();
            }
            if falling {
                buckets.reverse();
            }
            let count = (shown != 1).then_some(total);
            Histogram { buckets, sum, count, ..Histogram::default() }
        },
    )
}

fn gauge_histogram() -> impl Strategy<Value = Value> {
    let native = (with_native(), any::<bool>()).prop_map(|(pushed, has_count)| {
        let count = pushed.count.filter(|_| has_count);
        Histogram { count, ..pushed }
    });
    prop_oneof![classic(), native].prop_map(|pushed| Value::GaugeHistogram(Box::new(pushed)))
}

/// States that share their names with those of other pushes, in any order.
fn state_set() -> impl Strategy<Value = Value> {
    let names = subsequence(vec!["", "a", "b", "B", "\u{e9}", "a b"], 0..=6).prop_shuffle();
    (names, vec(any::<bool>(), 6)).prop_map(|(names, are_on)| {
        let states = names.into_iter().map(Into::into).zip(are_on).collect();
        Value::StateSet(Box::new(StateSet { states, defect: None }))
    })
}

/// One to a dozen pushes to one series.
fn pushes() -> impl Strategy<Value = (MetricType, Vec<Push>)> {
    select(vec![MetricType::GaugeHistogram, MetricType::StateSet, MetricType::Info]).prop_flat_map(
        |settled| {
            let value = match settled {
                MetricType::GaugeHistogram => gauge_histogram().boxed(),
                MetricType::StateSet => state_set().boxed(),
                _ => Just(Value::Info).boxed(),
            };
            (Just(settled), vec((value, (0_u64..6).prop_map(Stamp)), 1..12))
        },
    )
}

fn contribution(value: &Value) -> Contribution {
    Contribution::new(value, value.metric_type(), "m", UntypedMode::Sum).unwrap()
}

/// The state after these pushes; `None` after none.
fn state<'a>(pushes: impl IntoIterator<Item = &'a Push>) -> Option<State> {
    let mut state: Option<State> = None;
    for (value, stamp) in pushes {
        let contribution = contribution(value);
        match &mut state {
            Some(state) => {
                assert_eq!(state.check(&contribution, 512), Ok(()));
                state.absorb(&contribution, *stamp);
            }
            None => state = Some(State::new(value.metric_type(), &contribution, *stamp)),
        }
    }
    state
}

/// What is to be shown of one push, alone.
fn model(value: &Value) -> Value {
    let Value::GaugeHistogram(pushed) = value else { return value.clone() };
    let mut shown = (**pushed).clone();
    let has_classic = shown.native.is_none() || !shown.buckets.is_empty();
    let infinite = shown.buckets.iter().find(|bucket| bucket.upper_bound == f64::INFINITY).copied();
    let of_native = shown.native.as_ref().map(|part| part.count());
    let count = shown.count.or(of_native).or(infinite.map(|bucket| bucket.cumulative_count)).unwrap();
    if has_classic && infinite.is_none() {
        shown.buckets.push(Bucket { upper_bound: f64::INFINITY, cumulative_count: count });
    }
    for bucket in &mut shown.buckets {
        bucket.upper_bound += 0.0;
    }
    shown.buckets.sort_by(|a, b| a.upper_bound.total_cmp(&b.upper_bound));
    shown.count = Some(count);
    shown.sum = Some(shown.sum.unwrap_or(0.0));
    shown.native = shown.native.map(|part| Box::new(model_of_one(&part)));
    Value::GaugeHistogram(Box::new(shown))
}

/// A value, said so that those that are not a number are equal.
fn said(value: &Value) -> String {
    format!("{value:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_order_and_any_partition_gives_one_state(
        (_, pushes) in pushes(),
        picks in vec(any::<Index>(), 12),
        parts in vec(0_usize..4, 12),
    ) {
        let whole = record(&state(&pushes).unwrap());
        let permuted = permuted(&pushes, &picks);
        prop_assert_eq!(&record(&state(&permuted).unwrap()), &whole);
        let of_part = |part: usize| {
            state(permuted.iter().zip(&parts).filter(|(_, of)| **of == part).map(|(push, _)| push))
        };
        let [a, b, c, d] = [0, 1, 2, 3].map(of_part);
        // A part without a push is nothing, and changes nothing.
        let states = |parts: &[&Option<State>]| -> Vec<State> {
            parts.iter().copied().flatten().cloned().collect()
        };
        prop_assert_eq!(&record(&combined(states(&[&a, &b, &c, &d]))), &whole);
        prop_assert_eq!(&record(&combined(states(&[&d, &b, &c, &a]))), &whole);
        let halves = [states(&[&c, &a]), states(&[&b, &d])].into_iter().filter(|half| !half.is_empty());
        prop_assert_eq!(&record(&combined(halves.map(combined))), &whole);
    }

    #[test]
    fn what_is_shown_is_what_the_newest_push_said((settled, pushes) in pushes()) {
        let state = state(&pushes).unwrap();
        prop_assert_eq!(state.metric_type(), settled);
        prop_assert!(state.is_sound());
        let newest = pushes.iter().map(|(_, stamp)| *stamp).max().unwrap();
        // Which of those with one stamp it is does not matter; that it is always the same is said above.
        let of_newest: Vec<String> = pushes
            .iter()
            .filter(|(_, stamp)| *stamp == newest)
            .map(|(value, _)| said(&model(value)))
            .collect();
        let shown = state.expose();
        prop_assert!(of_newest.contains(&said(&shown)), "{shown:?} is none of {of_newest:?}");
        if let Value::GaugeHistogram(shown) = &shown {
            let sum = shown.sum.unwrap();
            prop_assert!(!sum.is_nan() || sum.to_bits() == f64::NAN.to_bits(), "it may be a staleness marker");
        }
    }

    /// What is there already, and what is older, changes nothing.
    #[test]
    fn a_second_time_changes_nothing(
        (_, pushes) in pushes(),
        older in any::<Index>(),
        late in any::<Index>(),
    ) {
        let mut state = state(&pushes).unwrap();
        let before = record(&state);
        for (value, stamp) in &pushes {
            state.absorb(&contribution(value), *stamp);
        }
        prop_assert_eq!(&record(&state), &before);
        let copy = state.clone();
        state.combine(&copy);
        prop_assert_eq!(&record(&state), &before);
        let newest = pushes.iter().map(|(_, stamp)| stamp.0).max().unwrap();
        if newest > 0 {
            let stamp = Stamp(u64::try_from(older.index(usize::try_from(newest).unwrap())).unwrap());
            state.absorb(&contribution(&pushes[late.index(pushes.len())].0), stamp);
            prop_assert_eq!(&record(&state), &before);
        }
    }

    #[test]
    fn a_record_is_read_back_and_goes_on_as_if_nothing_had_been(
        (_, pushes) in pushes(),
        cut in any::<Index>(),
    ) {
        let (before, after) = pushes.split_at(1 + cut.index(pushes.len()));
        let mut state = state(before).unwrap();
        prop_assert_eq!(encoded(&state), record(&state));
        let mut restored: State = postcard::from_bytes(&record(&state)).unwrap();
        prop_assert!(restored.is_sound());
        prop_assert_eq!(said(&restored.expose()), said(&state.expose()));
        for (value, stamp) in after {
            state.absorb(&contribution(value), *stamp);
            restored.absorb(&contribution(value), *stamp);
        }
        prop_assert_eq!(record(&restored), record(&state));
    }
}
