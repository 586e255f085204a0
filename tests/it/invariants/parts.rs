//! Parts of pushes: one series each, of any type and in any format that has words for it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use tallygate::model::{
    Bucket, Counts, Exemplar, ExemplarPlace, Histogram, LabelSet, NativeCounts, NativeHistogram, StateSet,
    Summary, Value,
};

use crate::support::bodies::{Format, Piece, body};

const KEYS: [&str; 4] = ["/job/a", "/job/a/i/1", "/job/a/i/2", "/job/b/i/1"];
/// Upper bounds that pushed histograms choose from, with some written unusually.
const BOUNDS: [&str; 6] = ["-1", "0.5", "1e0", "2.50", "1e300", "5e-324"];
/// Small enough for sixteen of them in one histogram to stay below 2^53, which is what one push may say.
const COUNT_MAX: u64 = 1 << 48;

/// One series of a push; whatever it is can be pushed on its own. What the newest push decides is a series that
/// this part alone sets, so that no order is needed to say what it ends up as.
#[derive(Clone, Debug)]
enum Part {
    Counter(f64),
    Untyped(f64),
    /// Of this part alone.
    Gauge(f64),
    /// Own counts by bound, those over all bounds, the sum.
    Histogram(BTreeMap<usize, u64>, u64, f64),
    Summary(u64, f64),
    /// A histogram with exponential buckets, and perhaps with classic ones beside them.
    Native(Histogram),
    /// A push without native buckets to such a series.
    BesideNative(u64, f64),
    /// Of this part alone.
    GaugeHistogram(Histogram),
    /// Of this part alone.
    StateSet(Vec<(Box<str>, bool)>),
    /// A family of this part alone.
    Info,
    /// Of this part alone: a counter or a histogram with an example of the value counted.
    WithExemplar(bool, f64),
}

/// A part, and where and how it goes.
#[derive(Clone, Debug)]
pub(super) struct Pushed {
    pub(super) key: usize,
    label: u8,
    pub(super) format: Format,
    part: Part,
}

impl Pushed {
    pub(super) fn path(&self) -> String {
        format!("/metrics{}", KEYS[self.key])
    }

    /// The body; `number` is the part's own among all parts.
    pub(super) fn body(&self, number: usize) -> Vec<u8> {
        Self::bodies(self.format, &[(number, self)])
    }

    /// One body of parts of different series, in their format.
    pub(super) fn bodies(format: Format, parts: &[(usize, &Self)]) -> Vec<u8> {
        if format != Format::Text {
            let pieces: Vec<Piece> = parts.iter().map(|(number, part)| part.piece(*number)).collect();
            return body(format, &pieces);
        }
        let mut families = BTreeMap::<&str, String>::new();
        for (number, part) in parts {
            let (head, lines) = part.text(*number);
            families.entry(head).or_default().push_str(&lines);
        }
        families.into_iter().map(|(head, lines)| format!("{head}{lines}")).collect::<String>().into_bytes()
    }

    /// What must not be twice in one body.
    pub(super) fn series(&self, number: usize) -> String {
        let piece = self.piece(number);
        format!("{}{:?}", piece.name, piece.labels)
    }

    /// The TYPE line and the samples, in text.
    fn text(&self, number: usize) -> (&'static str, String) {
        let l = format!("l=\"{}\"", self.label);
        match &self.part {
            Part::Counter(value) => ("# TYPE c_total counter\n", format!("c_total{{{l}}} {value:?}\n")),
            Part::Untyped(value) => ("", format!("u{{{l}}} {value:?}\n")),
            Part::Gauge(value) => {
                ("# TYPE g gauge\n", format!("g{{{l},n=\"{number}\"}} {}\n", written(*value)))
            }
            Part::Summary(count, sum) => {
                ("# TYPE s summary\n", format!("s_count{{{l}}} {count}\ns_sum{{{l}}} {sum:?}\n"))
            }
            Part::Histogram(counts, over, sum) => {
                ("# TYPE h histogram\n", histogram(&l, counts, *over, *sum))
            }
            Part::BesideNative(count, sum) => {
                ("# TYPE n histogram\n", format!("n_count{{{l}}} {count}\nn_sum{{{l}}} {sum:?}\n"))
            }
            Part::Native(_)
            | Part::GaugeHistogram(_)
            | Part::StateSet(_)
            | Part::Info
            | Part::WithExemplar(..) => unreachable!("text has no words for it"),
        }
    }

    fn piece(&self, number: usize) -> Piece {
        let histogram = |histogram: Histogram| Value::Histogram(Box::new(histogram));
        let (name, value, is_alone) = match &self.part {
            Part::Counter(value) => ("c_total", Value::Counter(*value), false),
            Part::Untyped(value) => ("u", Value::Untyped(*value), false),
            Part::Gauge(value) => ("g", Value::Gauge(*value), true),
            Part::Summary(count, sum) => {
                let (count, sum) = (Some(*count as f64), Some(*sum));
                ("s", Value::Summary(Box::new(Summary { sum, count, ..Summary::default() })), false)
            }
            Part::Histogram(counts, over, sum) => ("h", histogram(classic(counts, *over, *sum)), false),
            Part::Native(native) => ("n", histogram(native.clone()), false),
            Part::BesideNative(count, sum) => {
                ("n", histogram(classic(&BTreeMap::new(), *count, *sum)), false)
            }
            Part::GaugeHistogram(pushed) => ("gh", Value::GaugeHistogram(Box::new(pushed.clone())), true),
            Part::StateSet(states) => {
                let set = StateSet { states: states.clone(), defect: None };
                ("st", Value::StateSet(Box::new(set)), true)
            }
            Part::Info => ("i", Value::Info, true),
            Part::WithExemplar(true, value) => ("e_total", Value::Counter(*value), true),
            Part::WithExemplar(false, sum) => {
                ("e_h", histogram(classic(&BTreeMap::from([(1, 3)]), 1, *sum)), true)
            }
        };
        let mut labels = vec![("l".to_owned(), self.label.to_string())];
        if is_alone {
            labels.push(("n".to_owned(), number.to_string()));
        }
        let name =
            if matches!(value, Value::Info) { format!("{name}{number}_info") } else { name.to_owned() };
        let metric_type = value.metric_type();
        Piece { name, metric_type, labels, value, exemplars: self.exemplars(number) }
    }

    fn exemplars(&self, number: usize) -> Vec<Exemplar> {
        let Part::WithExemplar(is_of_series, _) = self.part else { return Vec::new() };
        let place = if is_of_series { ExemplarPlace::Series } else { ExemplarPlace::Bucket(0.5) };
        let labels = LabelSet::new([("trace_id", &*number.to_string())]);
        vec![Exemplar { place, labels, value: 0.25, timestamp: Some(number as f64 / 4.0) }]
    }

    /// The format drawn, or another one where that has no words for the part.
    fn in_its_format(self) -> Self {
        let has_native = |histogram: &Histogram| histogram.native.is_some();
        let format = match (&self.part, self.format) {
            (Part::Native(_), _) => Format::Protobuf,
            (Part::GaugeHistogram(histogram), _) if has_native(histogram) => Format::Protobuf,
            (Part::StateSet(_) | Part::Info, _)
            | (Part::GaugeHistogram(_) | Part::WithExemplar(..), Format::Text) => Format::OpenMetrics,
            (_, format) => format,
        };
        Self { format, ..self }
    }
}

/// A number as the text format spells it.
pub(super) fn written(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    format!("{value:?}")
}

/// By bound, own counts.
fn by_bound(counts: &BTreeMap<usize, u64>) -> Vec<(&'static str, f64, u64)> {
    let parsed = |bound: usize| BOUNDS[bound].parse::<f64>().unwrap();
    let mut by_bound: Vec<_> =
        counts.iter().map(|(&bound, &count)| (BOUNDS[bound], parsed(bound), count)).collect();
    by_bound.sort_by(|a, b| a.1.total_cmp(&b.1));
    by_bound
}

fn histogram(label: &str, counts: &BTreeMap<usize, u64>, over: u64, sum: f64) -> String {
    let (mut lines, mut total) = (String::new(), 0);
    for (bound, _, count) in by_bound(counts).into_iter().chain([("+Inf", f64::INFINITY, over)]) {
        total += count;
        writeln!(lines, "h_bucket{{{label},le=\"{bound}\"}} {total}").unwrap();
    }
    writeln!(lines, "h_sum{{{label}}} {sum:?}\nh_count{{{label}}} {total}").unwrap();
    lines
}

fn classic(counts: &BTreeMap<usize, u64>, over: u64, sum: f64) -> Histogram {
    let (mut buckets, mut total) = (Vec::new(), 0);
    for (_, upper_bound, count) in by_bound(counts).into_iter().chain([("+Inf", f64::INFINITY, over)]) {
        total += count;
        buckets.push(Bucket { upper_bound, cumulative_count: total as f64 });
    }
    Histogram { buckets, sum: Some(sum), count: Some(total as f64), ..Histogram::default() }
}

/// Any finite number; all exponents are equally likely, and neighbours of large and small ones too.
fn any_finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite()),
        1 => (1_u64..1 << 52).prop_map(f64::from_bits),
        1 => (0_u32..1_000).prop_map(|eighths| f64::from(eighths) / 8.0),
        1 => select(vec![f64::MAX, f64::MIN, 1e17, -1e17, 0.1, 1.0, -0.0, f64::MIN_POSITIVE]),
    ]
}

/// Counts of exponential buckets, whole or not, and so many more in none of them.
fn any_counts() -> impl Strategy<Value = NativeCounts> {
    let whole_count = || prop_oneof![4 => 0_u64..100, 1 => 0_u64..1 << 40];
    let whole_side = move |most: usize| btree_map(-40_i32..60, whole_count(), 0..most);
    let whole = (whole_count(), whole_side(60), whole_side(20), prop_oneof![20 => Just(0_u64), 1 => Just(1)])
        .prop_map(|(zero, positive, negative, more)| {
            let count = zero + positive.values().chain(negative.values()).sum::<u64>() + more;
            let (positive, negative) = (positive.into_iter().collect(), negative.into_iter().collect());
            NativeCounts::Integer(Counts { count, zero, positive, negative })
        });
    let fraction =
        || prop_oneof![(0_u16..2_000).prop_map(|n| f64::from(n) / 8.0), select(vec![0.1, 1e17, 1e300])];
    let side = move |most: usize| btree_map(-40_i32..60, fraction(), 0..most);
    let fractional = (fraction(), side(60), side(20)).prop_map(|(zero, positive, negative)| {
        let count = zero + positive.values().chain(negative.values()).sum::<f64>();
        let (positive, negative) = (positive.into_iter().collect(), negative.into_iter().collect());
        NativeCounts::Float(Counts { count, zero, positive, negative })
    });
    prop_oneof![3 => whole, 1 => fractional]
}

/// A histogram with exponential buckets of any schema, zero thresholds of a few kinds, and perhaps classic buckets.
/// What is in no bucket is not a number, and then the sum is none either.
fn any_native() -> impl Strategy<Value = Histogram> {
    let threshold = select(vec![0.0, 0.001, 0.5, 1.0, 3.0, 1e10]);
    (-4_i8..=8, threshold, any_counts(), any_finite(), any::<bool>()).prop_map(
        |(schema, zero_threshold, counts, sum, has_classic)| {
            let in_buckets = match &counts {
                NativeCounts::Integer(counts) => {
                    let sides = counts.positive.iter().chain(&counts.negative);
                    sides.map(|(_, count)| count).sum::<u64>() + counts.zero == counts.count
                }
                NativeCounts::Float(_) => true,
            };
            let is_whole = matches!(counts, NativeCounts::Integer(_));
            let part =
                NativeHistogram { schema, zero_threshold, custom_bounds: Vec::new(), counts, sum: None };
            let count = part.count();
            let bucket = |upper_bound, cumulative_count| Bucket { upper_bound, cumulative_count };
            let buckets = vec![bucket(2.5, (count / 3.0).floor()), bucket(f64::INFINITY, count)];
            Histogram {
                buckets: if has_classic && is_whole { buckets } else { Vec::new() },
                sum: Some(if in_buckets { sum } else { f64::NAN }),
                count: Some(count),
                defect: None,
                native: Some(Box::new(part)),
            }
        },
    )
}

fn any_gauge_histogram() -> impl Strategy<Value = Histogram> {
    let counts = || btree_map(0..BOUNDS.len(), 0..COUNT_MAX, 0..=4);
    let of_buckets =
        (counts(), 0..COUNT_MAX, any_finite()).prop_map(|(counts, over, sum)| classic(&counts, over, sum));
    prop_oneof![of_buckets, any_native()]
}

fn any_part() -> impl Strategy<Value = Part> {
    let counts = || btree_map(0..BOUNDS.len(), 0..COUNT_MAX, 0..=4);
    let names = subsequence(vec!["a", "b b", "\u{e9}", "c\"\\"], 1..=4).prop_shuffle();
    let states = (names, vec(any::<bool>(), 4));
    prop_oneof![
        3 => any_finite().prop_map(|value| Part::Counter(value.abs())),
        2 => any_finite().prop_map(Part::Untyped),
        1 => any::<u64>().prop_map(|bits| Part::Gauge(f64::from_bits(bits))),
        3 => (counts(), 0..COUNT_MAX, any_finite()).prop_map(|(counts, over, sum)| Part::Histogram(counts, over, sum)),
        1 => (0..COUNT_MAX, any_finite()).prop_map(|(count, sum)| Part::Summary(count, sum)),
        4 => any_native().prop_map(Part::Native),
        1 => (0..COUNT_MAX, any_finite()).prop_map(|(count, sum)| Part::BesideNative(count, sum)),
        1 => any_gauge_histogram().prop_map(Part::GaugeHistogram),
        1 => states.prop_map(|(names, are_on)| {
            Part::StateSet(names.into_iter().map(Into::into).zip(are_on).collect())
        }),
        1 => Just(Part::Info),
        1 => (any::<bool>(), 0_u8..100)
            .prop_map(|(is_of_series, value)| Part::WithExemplar(is_of_series, f64::from(value))),
    ]
}

pub(super) fn any_pushed() -> impl Strategy<Value = Pushed> {
    let format = select(vec![Format::Text, Format::OpenMetrics, Format::Protobuf]);
    (0..KEYS.len(), 0..3_u8, format, any_part())
        .prop_map(|(key, label, format, part)| Pushed { key, label, format, part }.in_its_format())
}

/// Of the types that text has, and in text.
pub(super) fn any_pushed_in_text() -> impl Strategy<Value = Pushed> {
    any_pushed().prop_filter("text has words for it", |pushed| pushed.format == Format::Text)
}
