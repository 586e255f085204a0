//! Successive expositions of a native histogram never look to Prometheus as if it had been reset, while pushes only
//! add.
//!
//! The rule is that of Prometheus's `FloatHistogram.DetectReset`, which its chunks refine and never exceed, written
//! anew from its description.

use proptest::prelude::*;

use crate::model::{CUSTOM_BUCKETS_SCHEMA, Counts, NativeCounts, NativeHistogram, Stamp};

use super::bounds::{coarser, upper};
use super::properties::{Fractions, contribution, pushes, shown, state};

#[allow(clippy::cast_precision_loss, reason = "as Prometheus does it")]
fn as_floats(part: &NativeHistogram) -> Counts<f64> {
    match &part.counts {
        NativeCounts::Float(counts) => counts.clone(),
        NativeCounts::Integer(counts) => {
            let side = |side: &[(i32, u64)]| side.iter().map(|&(index, n)| (index, n as f64)).collect();
            Counts {
                count: counts.count as f64,
                zero: counts.zero as f64,
                positive: side(&counts.positive),
                negative: side(&counts.negative),
            }
        }
    }
}

/// What the zero bucket would hold at a threshold that is not smaller, and where that threshold comes to lie: at the
/// outer bound of a populated bucket that it would cut.
fn widened(schema: i8, threshold: f64, counts: &Counts<f64>, mut wanted: f64) -> (f64, f64) {
    if wanted == threshold {
        return (counts.zero, wanted);
    }
    loop {
        let mut zero = counts.zero;
        let mut cut = None;
        for side in [&counts.positive, &counts.negative] {
            for &(index, count) in side {
                let (lower, outer) = (upper(index - 1, schema), upper(index, schema));
                if lower >= wanted {
                    break;
                }
                zero += count;
                if outer > wanted {
                    cut = cut.or((count != 0.0).then_some(outer));
                    break;
                }
            }
        }
        match cut {
            Some(outer) => wanted = outer,
            None => return (zero, wanted),
        }
    }
}

/// The buckets beyond a threshold, at a schema that is not larger.
fn beyond(from: i8, to: i8, threshold: f64, side: &[(i32, f64)]) -> Vec<(i32, f64)> {
    let mut reduced: Vec<(i32, f64)> = Vec::new();
    for &(index, count) in side {
        let index = coarser(index, from - to);
        match reduced.last_mut().filter(|last| last.0 == index) {
            Some(last) => last.1 += count,
            None => reduced.push((index, count)),
        }
    }
    reduced.retain(|(index, _)| upper(*index, to) > threshold);
    reduced
}

/// Whether a populated bucket is gone or holds less.
fn falls(before: &[(i32, f64)], now: &[(i32, f64)]) -> bool {
    let held_now = |index: i32| now.iter().find(|own| own.0 == index).map_or(0.0, |own| own.1);
    before.iter().any(|&(index, count)| held_now(index) < count)
}

/// Whether Prometheus takes it for one that was reset in between.
fn looks_reset(before: &NativeHistogram, now: &NativeHistogram) -> bool {
    let (old, new) = (as_floats(before), as_floats(now));
    if new.count < old.count || now.custom_bounds != before.custom_bounds {
        return true;
    }
    let is_custom = |part: &NativeHistogram| part.schema == CUSTOM_BUCKETS_SCHEMA;
    if is_custom(before) || is_custom(now) {
        return is_custom(before) != is_custom(now) || falls(&old.positive, &new.positive);
    }
    if now.schema > before.schema || now.zero_threshold < before.zero_threshold {
        return true;
    }
    let (zero, threshold) = widened(before.schema, before.zero_threshold, &old, now.zero_threshold);
    if threshold != now.zero_threshold || new.zero < zero {
        return true;
    }
    [(&old.positive, &new.positive), (&old.negative, &new.negative)].into_iter().any(|(old, new)| {
        let old = beyond(before.schema, now.schema, threshold, old);
        falls(&old, &beyond(now.schema, now.schema, threshold, new))
    })
}

/// A histogram of schema 0 with whole counts.
fn part(zero_threshold: f64, zero: u64, positive: &[(i32, u64)]) -> NativeHistogram {
    let count = zero + positive.iter().map(|(_, count)| count).sum::<u64>();
    let counts = Counts { count, zero, positive: positive.to_vec(), negative: Vec::new() };
    NativeHistogram {
        schema: 0,
        zero_threshold,
        custom_bounds: Vec::new(),
        counts: NativeCounts::Integer(counts),
        sum: None,
    }
}

#[test]
fn the_rule_sees_resets() {
    // Bucket 1 is from 1 to 2, bucket 2 from 2 to 4.
    let before = part(1.0, 1, &[(1, 5), (2, 7)]);
    assert!(!looks_reset(&before, &before));
    assert!(!looks_reset(&before, &part(1.0, 1, &[(0, 1), (1, 5), (2, 8), (5, 1)])));
    assert!(looks_reset(&before, &part(1.0, 1, &[(1, 4), (2, 20)])), "a bucket falls");
    assert!(looks_reset(&before, &part(1.0, 1, &[(2, 20)])), "a bucket is gone");
    assert!(looks_reset(&before, &part(1.0, 0, &[(1, 6), (2, 7)])), "the zero bucket falls");
    assert!(looks_reset(&before, &part(1.0, 1, &[(1, 5)])), "the count falls");
    assert!(looks_reset(&before, &part(0.5, 1, &[(1, 5), (2, 8)])), "the threshold falls");
    assert!(looks_reset(&before, &part(1.5, 20, &[(2, 8)])), "the threshold cuts a populated bucket");
    assert!(!looks_reset(&before, &part(2.0, 6, &[(2, 7)])), "the bucket is in the zero bucket");
    assert!(looks_reset(&before, &part(2.0, 5, &[(2, 8)])), "the bucket is not all in the zero bucket");
    let finer = NativeHistogram { schema: 1, ..part(1.0, 1, &[(1, 9), (2, 9)]) };
    assert!(looks_reset(&before, &finer), "the schema rises");
    let coarser = NativeHistogram { schema: -1, ..part(1.0, 1, &[(1, 12)]) };
    assert!(!looks_reset(&before, &coarser), "both are in one bucket");
    let with_bounds = |bounds: &[f64]| NativeHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        custom_bounds: bounds.to_vec(),
        ..part(0.0, 0, &[(0, 1)])
    };
    assert!(!looks_reset(&with_bounds(&[1.0]), &with_bounds(&[1.0])));
    assert!(looks_reset(&with_bounds(&[1.0]), &with_bounds(&[1.0, 2.0])), "the bounds change");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_that_only_grows_looks_reset(pushes in pushes(Fractions::Eighths)) {
        let mut state = state(&pushes[..1]).unwrap();
        let mut before = shown(&state);
        for pushed in &pushes[1..] {
            let absorbed = state.absorb(&contribution(pushed), Stamp(1));
            prop_assert!(!absorbed.saturated);
            let now = shown(&state);
            prop_assert!(now.count >= before.count);
            for bucket in &before.buckets {
                let own = now.buckets.iter().find(|own| own.upper_bound == bucket.upper_bound).unwrap();
                prop_assert!(own.cumulative_count >= bucket.cumulative_count);
            }
            let Some(part) = &now.native else { continue };
            if let Some(before) = &before.native {
                prop_assert_eq!(absorbed.restarted, part.custom_bounds != before.custom_bounds);
                prop_assert!(absorbed.restarted || !looks_reset(before, part), "{before:?} then {part:?}");
            } else {
                prop_assert!(!absorbed.restarted);
            }
            before = now;
        }
    }
}
