//! What text 0.0.4 has no words for: what a push may hold of it, what a group then holds by the plain reading of
//! the rules, and what a scrape in protobuf must show of it. All families of it begin with `x_`.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tallygate::model::{
    Counts, Exemplar, ExemplarPlace, Histogram, LabelSet, MetricType, NativeCounts, NativeHistogram,
    StateSet, Value,
};

use super::{Eighths, LABELS, PushedHistogram, any_histogram, by_label, classic_buckets, eighths};
use crate::support::bodies::{Format, Piece};

const STATES: [&str; 3] = ["on", "off", "it depends"];
const THRESHOLDS: [f64; 3] = [0.0, 0.5, 1.5];
/// The schema of the finest pushed native histograms.
const FINEST: i8 = 3;

/// A pushed histogram with exponential buckets; its counts are in whole numbers, or in eighths.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PushedNative {
    schema: i8,
    threshold: f64,
    is_float: bool,
    zero: u16,
    positive: BTreeMap<i32, u16>,
    negative: BTreeMap<i32, u16>,
    sum: Eighths,
}

/// What one push holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Rich {
    pub(super) natives: BTreeMap<usize, PushedNative>,
    pub(super) gauge_histograms: BTreeMap<usize, PushedHistogram>,
    pub(super) state_sets: BTreeMap<usize, [Option<bool>; STATES.len()]>,
    /// By label, the rest of the label set.
    pub(super) infos: BTreeMap<usize, u8>,
    /// Counters, each with an exemplar of its increment.
    pub(super) examples: BTreeMap<usize, u16>,
}

/// What a group holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Held {
    /// All that was pushed to each.
    natives: BTreeMap<usize, Vec<PushedNative>>,
    gauge_histograms: BTreeMap<usize, PushedHistogram>,
    state_sets: BTreeMap<usize, [Option<bool>; STATES.len()]>,
    infos: BTreeMap<usize, u8>,
    /// The total, and the increment of the newest exemplar.
    examples: BTreeMap<usize, (u64, u16)>,
}

impl PushedNative {
    /// What one count stands for.
    fn unit(&self) -> f64 {
        if self.is_float { 0.125 } else { 1.0 }
    }

    fn histogram(&self) -> Histogram {
        let native = shown_of(std::slice::from_ref(self), self.schema, self.threshold);
        Histogram {
            sum: Some(eighths(self.sum)),
            count: Some(native.count()),
            native: Some(Box::new(native)),
            ..Histogram::default()
        }
    }

    /// Its populated buckets at a coarser schema: whether positive, index and count.
    fn buckets_at(&self, schema: i8) -> impl Iterator<Item = (bool, i32, f64)> {
        let sides = [(true, &self.positive), (false, &self.negative)];
        sides.into_iter().flat_map(move |(is_positive, side)| {
            side.iter().filter(|(_, count)| **count > 0).map(move |(&index, &count)| {
                let index = (index - 1).div_euclid(1 << (self.schema - schema)) + 1;
                (is_positive, index, f64::from(count) * self.unit())
            })
        })
    }
}

fn upper(index: i32, schema: i8) -> f64 {
    (f64::from(index) * f64::from(-schema).exp2()).exp2()
}

/// All that was pushed, at a schema and with a zero threshold that cuts no populated bucket.
fn shown_of(pushed: &[PushedNative], schema: i8, zero_threshold: f64) -> NativeHistogram {
    let mut counts = Counts::<f64>::default();
    let (mut positive, mut negative) = (BTreeMap::<i32, f64>::new(), BTreeMap::<i32, f64>::new());
    for one in pushed {
        counts.zero += f64::from(one.zero) * one.unit();
        for (is_positive, index, count) in one.buckets_at(schema) {
            let side = if is_positive { &mut positive } else { &mut negative };
            if upper(index, schema) <= zero_threshold {
                counts.zero += count;
            } else {
                *side.entry(index).or_default() += count;
            }
        }
    }
    counts.count = counts.zero + positive.values().chain(negative.values()).sum::<f64>();
    counts.positive = positive.into_iter().collect();
    counts.negative = negative.into_iter().collect();
    let counts = if pushed.iter().any(|one| one.is_float) {
        NativeCounts::Float(counts)
    } else {
        NativeCounts::Integer(whole(&counts))
    };
    NativeHistogram { schema, zero_threshold, custom_bounds: Vec::new(), counts, sum: None }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole numbers below 2^53")]
fn whole(counts: &Counts<f64>) -> Counts<u64> {
    let side = |side: &[(i32, f64)]| side.iter().map(|&(index, count)| (index, count as u64)).collect();
    Counts {
        count: counts.count as u64,
        zero: counts.zero as u64,
        positive: side(&counts.positive),
        negative: side(&counts.negative),
    }
}

/// The smallest schema, and the largest zero threshold, widened to the outer bound of a populated bucket that it
/// would cut.
fn merged(pushed: &[PushedNative]) -> Histogram {
    let schema = pushed.iter().map(|one| one.schema).min().unwrap();
    let largest = pushed.iter().map(|one| one.threshold).fold(0.0, f64::max);
    let buckets = pushed.iter().flat_map(|one| one.buckets_at(schema));
    let mut bounds = buckets.map(|(_, index, _)| (upper(index - 1, schema), upper(index, schema)));
    let cut = bounds.find(|(lower, outer)| *lower < largest && largest < *outer);
    let native = shown_of(pushed, schema, cut.map_or(largest, |(_, outer)| outer));
    Histogram {
        sum: Some(pushed.iter().map(|one| eighths(one.sum)).sum()),
        count: Some(native.count()),
        native: Some(Box::new(native)),
        ..Histogram::default()
    }
}

fn gauge_histogram(pushed: &PushedHistogram) -> Value {
    let (buckets, count) = classic_buckets(pushed);
    let sum = Some(eighths(pushed.2));
    Value::GaugeHistogram(Box::new(Histogram { buckets, sum, count: Some(count), ..Histogram::default() }))
}

fn exemplar(increment: u16) -> Exemplar {
    let labels = LabelSet::new([("trace_id", &*format!("of {increment}"))]);
    Exemplar { place: ExemplarPlace::Series, labels, value: f64::from(increment), timestamp: None }
}

fn labels_of(l: usize) -> Vec<(String, String)> {
    if LABELS[l].is_empty() { Vec::new() } else { vec![("l".to_owned(), LABELS[l].to_owned())] }
}

pub(super) fn piece(name: &str, l: usize, value: Value) -> Piece {
    let metric_type = value.metric_type();
    Piece { name: name.to_owned(), metric_type, labels: labels_of(l), value, exemplars: Vec::new() }
}

fn info(l: usize, v: u8, value: Value) -> Piece {
    let mut info = piece("x_i_info", l, value);
    info.labels.push(("v".to_owned(), v.to_string()));
    info
}

impl Rich {
    /// What is left of it in a format.
    pub(super) fn in_format(self, format: Format) -> Self {
        match format {
            Format::Text => Self::default(),
            Format::OpenMetrics => Self { natives: BTreeMap::new(), ..self },
            // State sets and infos would be gauges.
            Format::Protobuf => Self { state_sets: BTreeMap::new(), infos: BTreeMap::new(), ..self },
        }
    }

    /// What adds up, so that the order of several pushes does not matter.
    pub(super) fn additive(&self) -> Self {
        Self { natives: self.natives.clone(), ..Self::default() }
    }

    pub(super) fn pieces(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (&l, native) in &self.natives {
            pieces.push(piece("x_n", l, Value::Histogram(Box::new(native.histogram()))));
        }
        for (&l, pushed) in &self.gauge_histograms {
            pieces.push(piece("x_gh", l, gauge_histogram(pushed)));
        }
        for (&l, states) in &self.state_sets {
            let states = said(states).map(|(name, is_on)| (name.into(), is_on)).collect();
            pieces.push(piece("x_st", l, Value::StateSet(Box::new(StateSet { states, defect: None }))));
        }
        pieces.extend(self.infos.iter().map(|(&l, &v)| info(l, v, Value::Info)));
        for (&l, &increment) in &self.examples {
            let exemplars = vec![exemplar(increment)];
            pieces.push(Piece { exemplars, ..piece("x_e_total", l, Value::Counter(f64::from(increment))) });
        }
        pieces
    }
}

/// The states that a push says there are.
fn said(states: &[Option<bool>; STATES.len()]) -> impl Iterator<Item = (&'static str, bool)> {
    STATES.into_iter().zip(*states).filter_map(|(name, is_on)| Some((name, is_on?)))
}

impl Held {
    /// Forgets the families that a push has, which takes their place.
    pub(super) fn make_way_for(&mut self, push: &Rich) {
        super::clear(&mut self.natives, &push.natives);
        super::clear(&mut self.gauge_histograms, &push.gauge_histograms);
        super::clear(&mut self.state_sets, &push.state_sets);
        super::clear(&mut self.infos, &push.infos);
        super::clear(&mut self.examples, &push.examples);
    }

    pub(super) fn push(&mut self, push: &Rich) {
        for (&l, native) in &push.natives {
            self.natives.entry(l).or_default().push(native.clone());
        }
        self.gauge_histograms.extend(push.gauge_histograms.clone());
        self.state_sets.extend(push.state_sets.clone());
        // The label sets of the newest push are what the family says.
        super::clear(&mut self.infos, &push.infos);
        self.infos.extend(push.infos.clone());
        for (&l, &increment) in &push.examples {
            let (total, newest) = self.examples.entry(l).or_default();
            *total += u64::from(increment);
            *newest = increment;
        }
    }

    /// The series that a scrape in protobuf must show, less the grouping labels.
    pub(super) fn shown(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for (&l, pushed) in &self.natives {
            pieces.push(piece("x_n", l, Value::Histogram(Box::new(merged(pushed)))));
        }
        for (&l, pushed) in &self.gauge_histograms {
            pieces.push(piece("x_gh", l, gauge_histogram(pushed)));
        }
        for (&l, states) in &self.state_sets {
            for (name, is_on) in said(states) {
                let mut state = piece("x_st", l, Value::Gauge(f64::from(u8::from(is_on))));
                state.labels.push(("x_st".to_owned(), name.to_owned()));
                pieces.push(state);
            }
        }
        pieces.extend(self.infos.iter().map(|(&l, &v)| info(l, v, Value::Gauge(1.0))));
        for (&l, &(total, newest)) in &self.examples {
            let exemplars = vec![exemplar(newest)];
            pieces.push(Piece { exemplars, ..piece("x_e_total", l, Value::Counter(total as f64)) });
        }
        pieces
    }
}

/// A series with its value, so that two readings can be compared: a bound is the same up to its last digits, and
/// the bucket `+Inf` is the count.
pub(super) fn told(value: &Value, exemplars: &[Exemplar]) -> String {
    match value {
        Value::Histogram(histogram) | Value::GaugeHistogram(histogram) => {
            let finite = histogram.buckets.iter().filter(|bucket| bucket.upper_bound.is_finite());
            let buckets: Vec<_> = finite.map(|b| (b.upper_bound, b.cumulative_count)).collect();
            let native = histogram
                .native
                .as_deref()
                .map(|part| (part.schema, format!("{:.9e}", part.zero_threshold), part.counts.clone()));
            format!(
                "{:?} {buckets:?} {} {:?} {native:?}",
                value.metric_type(),
                histogram.total(),
                histogram.sum
            )
        }
        value => format!("{value:?} {exemplars:?}"),
    }
}

fn any_native() -> impl Strategy<Value = PushedNative> {
    let side = |most| proptest::collection::btree_map(-12..20_i32, any::<u16>(), 0..most);
    let threshold = prop::sample::select(THRESHOLDS.to_vec());
    // It is one that can be told from a classic histogram without buckets: with something in its zero bucket.
    let zero = 1..u16::MAX;
    (0..=FINEST, threshold, any::<bool>(), zero, side(6), side(3), -10_000..10_000).prop_map(
        |(schema, threshold, is_float, zero, positive, negative, sum)| {
            // What the zero bucket would cut or swallow is not pushed, so that what is pushed is what is shown of it.
            let is_beyond = |index: &i32| upper(*index - 1, schema) >= threshold;
            let beyond =
                |side: BTreeMap<i32, u16>| side.into_iter().filter(|(index, _)| is_beyond(index)).collect();
            let (positive, negative) = (beyond(positive), beyond(negative));
            PushedNative { schema, threshold, is_float, zero, positive, negative, sum }
        },
    )
}

pub(super) fn any_rich() -> impl Strategy<Value = Rich> {
    let states = || {
        let is_on = || any::<Option<bool>>();
        (is_on(), is_on(), any::<bool>()).prop_map(|(a, b, c)| [a, b, Some(c)])
    };
    (
        by_label(any_native()),
        by_label(any_histogram()),
        by_label(states()),
        by_label(0..3_u8),
        by_label(any::<u16>()),
    )
        .prop_map(|(natives, gauge_histograms, state_sets, infos, examples)| Rich {
            natives,
            gauge_histograms,
            state_sets,
            infos,
            examples,
        })
}

/// Series that are wrong, each in a push of a format.
pub(super) fn wrong_native() -> Piece {
    let counts = Counts { count: 1, zero: 2, ..Counts::default() };
    let native = NativeHistogram {
        schema: 0,
        zero_threshold: 0.5,
        custom_bounds: Vec::new(),
        counts: NativeCounts::Integer(counts),
        sum: None,
    };
    let histogram = Histogram {
        sum: Some(1.0),
        count: Some(1.0),
        native: Some(Box::new(native)),
        ..Histogram::default()
    };
    Piece { metric_type: MetricType::Histogram, ..piece("x_n", 1, Value::Histogram(Box::new(histogram))) }
}

pub(super) fn wrong_states() -> Piece {
    let states = vec![("on".into(), true), ("off".into(), false), ("on".into(), false)];
    piece("x_st", 1, Value::StateSet(Box::new(StateSet { states, defect: None })))
}
