//! Whether a native histogram looks to Prometheus as if it had been reset between two scrapes.
//!
//! The rule is that of Prometheus's `FloatHistogram.DetectReset` for exponential buckets, written anew from its
//! description.

use std::collections::BTreeMap;

use tallygate::model::{Counts, Exemplar, NativeCounts, NativeHistogram, Value};

/// The native parts of the histograms of a scrape.
pub(super) fn native_parts(
    scrape: &BTreeMap<String, (Value, Vec<Exemplar>)>,
) -> BTreeMap<String, NativeHistogram> {
    let native = |value: &Value| match value {
        Value::Histogram(histogram) => histogram.native.as_deref().cloned(),
        _ => None,
    };
    scrape.iter().filter_map(|(series, (value, _))| Some((series.clone(), native(value)?))).collect()
}

fn as_floats(part: &NativeHistogram) -> Counts<f64> {
    let side = |side: &[(i32, u64)]| side.iter().map(|&(index, n)| (index, n as f64)).collect();
    match &part.counts {
        NativeCounts::Float(counts) => counts.clone(),
        NativeCounts::Integer(counts) => Counts {
            count: counts.count as f64,
            zero: counts.zero as f64,
            positive: side(&counts.positive),
            negative: side(&counts.negative),
        },
    }
}

/// The upper bound of a bucket, nearly.
fn upper(index: i32, schema: i8) -> f64 {
    (f64::from(index) * f64::from(-schema).exp2()).exp2()
}

/// What is beyond the zero bucket of `now`, by the index at its schema; and what is not.
fn divided(schema: i8, side: &[(i32, f64)], now: &NativeHistogram) -> (BTreeMap<i32, f64>, Vec<f64>) {
    // A bound that is the threshold may come out a little larger.
    let threshold = now.zero_threshold * (1.0 + 1e-9);
    let (mut beyond, mut inside) = (BTreeMap::new(), Vec::new());
    for &(index, count) in side {
        if upper(index, schema) <= threshold {
            inside.push(count);
        } else {
            *beyond.entry(((index - 1) >> (schema - now.schema)) + 1).or_default() += count;
        }
    }
    (beyond, inside)
}

/// Whether the second cannot have grown out of the first.
pub(super) fn looks_reset(before: &NativeHistogram, now: &NativeHistogram) -> bool {
    let (old, new) = (as_floats(before), as_floats(now));
    if new.count < old.count || now.schema > before.schema || now.zero_threshold < before.zero_threshold {
        return true;
    }
    let mut least_zero = vec![old.zero];
    for (old, new) in [(&old.positive, &new.positive), (&old.negative, &new.negative)] {
        let (beyond, inside) = divided(before.schema, old, now);
        least_zero.extend(inside);
        let (held, _) = divided(now.schema, new, now);
        // Sums of shown numbers, each of which was rounded.
        let falls =
            |(index, count): (&i32, &f64)| held.get(index).copied().unwrap_or(0.0) < *count * (1.0 - 1e-12);
        if beyond.iter().any(falls) {
            return true;
        }
    }
    new.zero < least_zero.iter().sum::<f64>() * (1.0 - 1e-12)
}

#[test]
fn the_rule_knows_a_reset() {
    let part = |schema, zero_threshold, zero, positive: &[(i32, u64)]| {
        let count = zero + positive.iter().map(|(_, count)| count).sum::<u64>();
        let counts = Counts { count, zero, positive: positive.to_vec(), negative: Vec::new() };
        let counts = NativeCounts::Integer(counts);
        NativeHistogram { schema, zero_threshold, custom_bounds: Vec::new(), counts, sum: None }
    };
    let before = part(1, 0.5, 2, &[(1, 4), (2, 5), (5, 6)]);
    assert!(!looks_reset(&before, &before));
    assert!(!looks_reset(&before, &part(0, 2.0, 11, &[(3, 6)])), "coarser, and a wider zero bucket");
    assert!(looks_reset(&before, &part(0, 2.0, 10, &[(3, 7)])), "the zero bucket has lost one");
    assert!(looks_reset(&before, &part(1, 0.5, 2, &[(1, 4), (2, 4), (5, 7)])), "a bucket has lost one");
    assert!(looks_reset(&before, &part(2, 0.5, 2, &[(1, 4), (2, 5), (5, 60)])), "finer");
    assert!(looks_reset(&before, &part(1, 0.1, 2, &[(1, 4), (2, 5), (5, 6)])), "a narrower zero bucket");
    assert!(looks_reset(&before, &part(1, 0.5, 2, &[(1, 4), (2, 5)])), "fewer");
}
