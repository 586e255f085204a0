//! The whole gateway against a plain model of the merge rules, with stops, kills and failing commits in
//! between.
//!
//! Covers the invariants: what is restored equals what was acknowledged; a refused push changes nothing
//! but the failure time; the exposition is deterministic and consistent; order does not matter to what
//! adds.

mod rich;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;
use tallygate::gateway::{Durability, Options};
use tallygate::model::{Bucket, Histogram, Summary, Value};

use crate::support::bodies::{Format, Piece, body};
use crate::support::in_process::InProcess;
use crate::support::records::{Disk, Failure};
use rich::{Held, Rich, any_rich, piece, told, wrong_native, wrong_states};

const JOBS: [&str; 2] = ["a", "b"];
const INSTANCES: [Option<&str>; 3] = [None, Some("1"), Some("2")];
const LABELS: [&str; 3] = ["", "x", "y"];
/// Upper bounds that pushed histograms choose from.
const BOUNDS: [&str; 4] = ["0.5", "1", "2.5", "10"];

/// How many series the wide family has: more than half a page.
const WIDE: usize = 80;

/// A grouping key of the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    job: usize,
    instance: usize,
}

impl Key {
    fn path(self) -> String {
        let job = JOBS[self.job];
        INSTANCES[self.instance].map_or_else(
            || format!("/metrics/job/{job}"),
            |instance| format!("/metrics/job/{job}/instance/{instance}"),
        )
    }
}

/// A value that adds up without rounding, so that the model may use plain floating-point numbers.
type Eighths = i32;

/// Non-cumulative counts for the bounds that are there, the count for `+Inf`, and the sum.
type PushedHistogram = (Vec<(usize, u16)>, u16, Eighths);

/// What one push holds; each kind of metric in a family of its own.
#[derive(Clone, Debug)]
struct Push {
    format: Format,
    counters: BTreeMap<usize, u16>,
    gauges: BTreeMap<usize, Eighths>,
    untyped: BTreeMap<usize, Eighths>,
    histograms: BTreeMap<usize, PushedHistogram>,
    summaries: BTreeMap<usize, (u16, Eighths)>,
    /// Counters that fill a page, so that pushes of few of them change few of its slots.
    wide: BTreeMap<usize, u16>,
    /// A family that may be a counter or a gauge, if its name is free or it is that already: which of the two, and
    /// its value.
    either: Option<(bool, u16)>,
    /// What text has no words for; nothing of it in text.
    rich: Rich,
    /// Makes the push one that must be refused.
    defect: Option<Defect>,
}

#[derive(Clone, Copy, Debug)]
enum Defect {
    Fraction,
    Timestamp,
    Duplicate,
    TypeClash,
    FallingBuckets,
    Reserved,
    Collision,
    Syntax,
}

#[derive(Clone, Debug)]
enum Step {
    Push(Key, Push),
    /// A push that takes the place of its whole group.
    Put(Key, Push),
    Delete(Key),
    /// Deletes all groups.
    Wipe(Vec<bool>),
    /// Several pushes at once, so that they share commits.
    Together(Vec<(Key, Push)>),
    /// The next commit fails, so or so; what is pushed then is pushed again until it is accepted.
    FailingPush(Key, Push, Vec<bool>),
    FailingPut(Key, Push, Vec<bool>),
    FailingDelete(Key, Vec<bool>),
    Stop,
    Kill,
}

fn eighths(value: Eighths) -> f64 {
    f64::from(value) / 8.0
}

fn label(index: usize) -> String {
    if LABELS[index].is_empty() { String::new() } else { format!("l=\"{}\"", LABELS[index]) }
}

fn labels(index: usize, more: &str) -> String {
    [label(index).as_str(), more]
        .iter()
        .filter(|part| !part.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join(",")
}

impl Push {
    /// A push of nothing.
    fn empty() -> Self {
        Self {
            format: Format::Text,
            counters: BTreeMap::new(),
            gauges: BTreeMap::new(),
            untyped: BTreeMap::new(),
            histograms: BTreeMap::new(),
            summaries: BTreeMap::new(),
            wide: BTreeMap::new(),
            either: None,
            rich: Rich::default(),
            defect: None,
        }
    }

    fn body(&self) -> Vec<u8> {
        if self.format == Format::Text {
            return self.text().into_bytes();
        }
        let mut pieces = self.pieces();
        if let Some(defect) = self.defect {
            pieces.push(piece("m_total", 0, Value::Counter(1.0)));
            pieces.last_mut().unwrap().labels = vec![("l".to_owned(), "z".to_owned())];
            pieces.extend(self.wrong(defect));
        }
        let mut bytes = body(self.format, &pieces);
        if matches!(self.defect, Some(Defect::Syntax)) {
            bytes.truncate(bytes.len() - 2);
        }
        bytes
    }

    /// What makes it one that must be refused.
    fn wrong(&self, defect: Defect) -> Option<Piece> {
        let bucket = |upper_bound, cumulative_count| Bucket { upper_bound, cumulative_count };
        Some(match defect {
            // Neither format has a word for what is wrong with it that the other has.
            Defect::Fraction | Defect::Timestamp if self.format == Format::Protobuf => wrong_native(),
            Defect::Fraction | Defect::Timestamp => wrong_states(),
            Defect::Duplicate => {
                let mut again = piece("m_total", 0, Value::Counter(2.0));
                again.labels = vec![("l".to_owned(), "z".to_owned())];
                again
            }
            Defect::TypeClash => piece("seed", 0, Value::Gauge(1.0)),
            Defect::FallingBuckets => {
                let buckets = vec![bucket(1.0, 2.0), bucket(f64::INFINITY, 1.0)];
                let count = Some(1.0);
                let falling = Histogram { buckets, count, sum: Some(1.0), ..Histogram::default() };
                piece("x_w", 0, Value::GaugeHistogram(Box::new(falling)))
            }
            Defect::Reserved => piece("tallygate_x", 0, Value::Gauge(1.0)),
            Defect::Collision => piece("seed_h_count", 0, Value::Gauge(1.0)),
            Defect::Syntax => return None,
        })
    }

    fn pieces(&self) -> Vec<Piece> {
        let mut pieces = self.rich.pieces();
        let mut add = |name: &str, l: usize, value: Value| pieces.push(piece(name, l, value));
        for (&l, value) in &self.counters {
            add("m_total", l, Value::Counter(f64::from(*value)));
        }
        for (&l, &value) in &self.gauges {
            add("g", l, Value::Gauge(eighths(value)));
        }
        for (&l, &value) in &self.untyped {
            add("u", l, Value::Untyped(eighths(value)));
        }
        for (&l, pushed) in &self.histograms {
            let (buckets, count) = classic_buckets(pushed);
            let sum = Some(eighths(pushed.2));
            let histogram = Histogram { buckets, sum, count: Some(count), ..Histogram::default() };
            add("h", l, Value::Histogram(Box::new(histogram)));
        }
        for (&l, &(count, sum)) in &self.summaries {
            let (sum, count) = (Some(eighths(sum)), Some(f64::from(count)));
            add("s", l, Value::Summary(Box::new(Summary { sum, count, ..Summary::default() })));
        }
        if let Some((is_counter, value)) = self.either {
            let value = f64::from(value);
            add("either", 0, if is_counter { Value::Counter(value) } else { Value::Gauge(value) });
        }
        for (n, &value) in &self.wide {
            let mut wide = piece("w_total", 0, Value::Counter(f64::from(value)));
            wide.labels = vec![("n".to_owned(), n.to_string())];
            pieces.push(wide);
        }
        pieces
    }

    /// The same push in a format, with as much of it as that has words for.
    fn in_format(self, format: Format) -> Self {
        let mut push = Self { format, rich: self.rich.in_format(format), ..self };
        if format == Format::OpenMetrics {
            // A counter has `_total` behind its name there, and sums are not negative.
            push.either = None;
            push.histograms.values_mut().for_each(|(_, _, sum)| *sum = sum.abs());
            push.summaries.values_mut().for_each(|(_, sum)| *sum = sum.abs());
            push.rich.gauge_histograms.values_mut().for_each(|(_, _, sum)| *sum = sum.abs());
        }
        push
    }

    /// The push as text; `key` makes the names of one job differ from those of the other nowhere.
    fn text(&self) -> String {
        let mut body = String::new();
        let out = &mut body;
        if !self.counters.is_empty() || self.defect.is_some() {
            writeln!(out, "# TYPE m_total counter").unwrap();
        }
        for (&l, value) in &self.counters {
            writeln!(out, "m_total{{{}}} {value}", label(l)).unwrap();
        }
        if !self.wide.is_empty() {
            writeln!(out, "# TYPE w_total counter").unwrap();
        }
        for (n, value) in &self.wide {
            writeln!(out, "w_total{{n=\"{n}\"}} {value}").unwrap();
        }
        if !self.gauges.is_empty() {
            writeln!(out, "# TYPE g gauge").unwrap();
        }
        for (&l, &value) in &self.gauges {
            writeln!(out, "g{{{}}} {}", label(l), eighths(value)).unwrap();
        }
        for (&l, &value) in &self.untyped {
            writeln!(out, "u{{{}}} {}", label(l), eighths(value)).unwrap();
        }
        if !self.histograms.is_empty() {
            writeln!(out, "# TYPE h histogram").unwrap();
        }
        for (&l, (buckets, over, sum)) in &self.histograms {
            let mut total = 0_u32;
            for (bound, count) in buckets {
                total += u32::from(*count);
                writeln!(out, "h_bucket{{{}}} {total}", labels(l, &format!("le=\"{}\"", BOUNDS[*bound])))
                    .unwrap();
            }
            total += u32::from(*over);
            writeln!(out, "h_bucket{{{}}} {total}", labels(l, "le=\"+Inf\"")).unwrap();
            writeln!(out, "h_sum{{{}}} {}", label(l), eighths(*sum)).unwrap();
            writeln!(out, "h_count{{{}}} {total}", label(l)).unwrap();
        }
        if !self.summaries.is_empty() {
            writeln!(out, "# TYPE s summary").unwrap();
        }
        for (&l, (count, sum)) in &self.summaries {
            writeln!(out, "s_sum{{{}}} {}\ns_count{{{}}} {count}", label(l), eighths(*sum), label(l))
                .unwrap();
        }
        if let Some((is_counter, value)) = self.either {
            let metric_type = if is_counter { "counter" } else { "gauge" };
            writeln!(out, "# TYPE either {metric_type}\neither {value}").unwrap();
        }
        if let Some(defect) = self.defect {
            out.push_str(match defect {
                Defect::Fraction => "m_total{l=\"z\"} 1\n# TYPE f summary\nf_count 1.5\n",
                Defect::Timestamp => "m_total{l=\"z\"} 1 1000\n",
                Defect::Duplicate => "m_total{l=\"z\"} 1\nm_total{l=\"z\",n=\"\"} 1\n",
                Defect::TypeClash => "m_total{l=\"z\"} 1\n# TYPE seed gauge\nseed 1\n",
                Defect::FallingBuckets => {
                    "# TYPE w histogram\nw_bucket{le=\"1\"} 2\nw_bucket{le=\"+Inf\"} 1\n"
                }
                Defect::Reserved => "m_total{l=\"z\"} 1\ntallygate_x 1\n",
                Defect::Collision => "m_total{l=\"z\"} 1\nseed_h_count 1\n",
                Defect::Syntax => "m_total{l=\"z\"} 1\nm total 1\n",
            });
        }
        body
    }
}

/// What a group holds, by the plain reading of the rules.
#[derive(Clone, Debug, Default, PartialEq)]
struct Group {
    counters: BTreeMap<usize, f64>,
    gauges: BTreeMap<usize, f64>,
    untyped: BTreeMap<usize, f64>,
    /// Non-cumulative counts by bound, `BOUNDS.len()` for `+Inf`; and the sum.
    histograms: BTreeMap<usize, (BTreeMap<usize, u64>, f64)>,
    summaries: BTreeMap<usize, (u64, f64)>,
    wide: BTreeMap<usize, f64>,
    either: Option<(bool, f64)>,
    rich: Held,
}

fn clear<A, B>(own: &mut BTreeMap<usize, A>, pushed: &BTreeMap<usize, B>) {
    if !pushed.is_empty() {
        own.clear();
    }
}

/// Cumulative buckets, `+Inf` among them, and the count.
fn classic_buckets((buckets, over, _): &PushedHistogram) -> (Vec<Bucket>, f64) {
    let own = buckets.iter().map(|&(bound, count)| (BOUNDS[bound].parse().unwrap(), count));
    let mut total = 0.0;
    let cumulative = own.chain([(f64::INFINITY, *over)]).map(|(upper_bound, count)| {
        total += f64::from(count);
        Bucket { upper_bound, cumulative_count: total }
    });
    let buckets: Vec<Bucket> = cumulative.collect();
    (buckets, total)
}

impl Group {
    /// Forgets the families that a push has, which takes their place.
    fn make_way_for(&mut self, push: &Push) {
        clear(&mut self.counters, &push.counters);
        clear(&mut self.gauges, &push.gauges);
        clear(&mut self.untyped, &push.untyped);
        clear(&mut self.histograms, &push.histograms);
        clear(&mut self.summaries, &push.summaries);
        clear(&mut self.wide, &push.wide);
        self.either = self.either.filter(|_| push.either.is_none());
        self.rich.make_way_for(&push.rich);
    }
}

/// What POST and PUT do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Merging,
    Replacing,
}

#[derive(Clone, Debug, Default)]
struct Model(BTreeMap<Key, Group>);

impl Model {
    /// Whether a push has another type for a name than one that it would stand beside.
    fn clashes(&self, key: Key, push: &Push, mode: Mode) -> bool {
        let Some((is_counter, _)) = push.either else { return false };
        let others = self.0.iter().filter(|(own, _)| mode == Mode::Merging || **own != key);
        others.filter_map(|(_, group)| group.either).any(|(stored, _)| stored != is_counter)
    }

    fn post(&mut self, key: Key, push: &Push, mode: Mode) {
        if mode == Mode::Replacing {
            self.0.entry(key).or_default().make_way_for(push);
        }
        self.push(key, push);
    }

    fn put(&mut self, key: Key, push: &Push, mode: Mode) {
        if mode == Mode::Replacing {
            self.0.remove(&key);
        }
        self.push(key, push);
    }

    fn push(&mut self, key: Key, push: &Push) {
        let group = self.0.entry(key).or_default();
        if let Some((is_counter, value)) = push.either {
            let before = group.either.filter(|_| is_counter).map_or(0.0, |(_, before)| before);
            group.either = Some((is_counter, before + f64::from(value)));
        }
        for (&l, &value) in &push.counters {
            *group.counters.entry(l).or_default() += f64::from(value);
        }
        for (&l, &value) in &push.gauges {
            group.gauges.insert(l, eighths(value));
        }
        for (&l, &value) in &push.untyped {
            *group.untyped.entry(l).or_default() += eighths(value);
        }
        for (&l, (buckets, over, sum)) in &push.histograms {
            let (counts, total) = group.histograms.entry(l).or_default();
            for &(bound, count) in buckets {
                *counts.entry(bound).or_default() += u64::from(count);
            }
            *counts.entry(BOUNDS.len()).or_default() += u64::from(*over);
            *total += eighths(*sum);
        }
        for (&l, &(count, sum)) in &push.summaries {
            let (counts, total) = group.summaries.entry(l).or_default();
            *counts += u64::from(count);
            *total += eighths(sum);
        }
        for (&n, &value) in &push.wide {
            *group.wide.entry(n).or_default() += f64::from(value);
        }
        group.rich.push(&push.rich);
    }

    /// All series that a scrape in protobuf must show of what text has no words for, and no others.
    fn rich(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for (key, group) in &self.0 {
            for mut piece in group.rich.shown() {
                piece.labels.push(("job".to_owned(), JOBS[key.job].to_owned()));
                let instance = INSTANCES[key.instance];
                piece.labels.extend(instance.map(|value| ("instance".to_owned(), value.to_owned())));
                piece.labels.sort();
                let labels: Vec<_> =
                    piece.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
                let series = format!("{}{{{}}}", piece.name, labels.join(","));
                all.insert(series, told(&piece.value, &piece.exemplars));
            }
        }
        all
    }

    /// All samples that a scrape must show, and no others.
    fn samples(&self) -> BTreeMap<String, f64> {
        let mut samples = BTreeMap::new();
        for (key, group) in &self.0 {
            let instance = INSTANCES[key.instance].unwrap_or("");
            for (n, value) in &group.wide {
                let job = JOBS[key.job];
                samples.insert(format!("w_total{{instance=\"{instance}\",job=\"{job}\",n=\"{n}\"}}"), *value);
            }
            let mut add = |name: &str, l: usize, last: &str, value: f64| {
                let own = format!("instance=\"{instance}\",job=\"{}\"", JOBS[key.job]);
                let parts = [own, label(l), last.to_owned()];
                let labels: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
                samples.insert(format!("{name}{{{}}}", labels.join(",")), value);
            };
            if let Some((_, value)) = group.either {
                add("either", 0, "", value);
            }
            for (&l, &value) in &group.counters {
                add("m_total", l, "", value);
            }
            for (&l, &value) in &group.gauges {
                add("g", l, "", value);
            }
            for (&l, &value) in &group.untyped {
                add("u", l, "", value);
            }
            for (&l, (counts, sum)) in &group.histograms {
                let mut total = 0;
                for (&bound, count) in counts {
                    total += count;
                    let le = BOUNDS.get(bound).copied().unwrap_or("+Inf");
                    add("h_bucket", l, &format!("le=\"{le}\""), total as f64);
                }
                add("h_sum", l, "", *sum);
                add("h_count", l, "", total as f64);
            }
            for (&l, &(count, sum)) in &group.summaries {
                add("s_sum", l, "", sum);
                add("s_count", l, "", count as f64);
            }
        }
        samples
    }
}

fn any_key() -> impl Strategy<Value = Key> {
    (0..JOBS.len(), 0..INSTANCES.len()).prop_map(|(job, instance)| Key { job, instance })
}

fn by_label<T: Clone + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = BTreeMap<usize, T>> {
    proptest::collection::btree_map(0..LABELS.len(), value, 0..=2)
}

fn any_histogram() -> impl Strategy<Value = PushedHistogram> {
    let buckets = proptest::collection::btree_map(0..BOUNDS.len(), any::<u16>(), 0..=3);
    (buckets, any::<u16>(), -10_000..10_000)
        .prop_map(|(buckets, over, sum)| (buckets.into_iter().collect(), over, sum))
}

fn any_defect() -> impl Strategy<Value = Defect> {
    prop_oneof![
        Just(Defect::Fraction),
        Just(Defect::Timestamp),
        Just(Defect::Duplicate),
        Just(Defect::TypeClash),
        Just(Defect::FallingBuckets),
        Just(Defect::Reserved),
        Just(Defect::Collision),
        Just(Defect::Syntax),
    ]
}

fn any_wide() -> impl Strategy<Value = BTreeMap<usize, u16>> {
    let all = proptest::collection::vec(any::<u16>(), WIDE).prop_map(|values| values.into_iter().enumerate());
    prop_oneof![
        2 => Just(BTreeMap::new()),
        2 => all.prop_map(Iterator::collect),
        4 => proptest::collection::btree_map(0..WIDE, any::<u16>(), 1..=3),
    ]
}

fn any_push() -> impl Strategy<Value = Push> {
    let defect = prop_oneof![4 => Just(None), 1 => any_defect().prop_map(Some)];
    (
        by_label(any::<u16>()),
        by_label(-10_000..10_000),
        by_label(-10_000..10_000),
        by_label(any_histogram()),
        by_label((any::<u16>(), -10_000..10_000)),
        any_wide(),
        prop_oneof![2 => Just(None), 1 => any::<(bool, u16)>().prop_map(Some)],
        any_rich(),
        defect,
        prop::sample::select(vec![Format::Text, Format::OpenMetrics, Format::Protobuf]),
    )
        .prop_map(
            |(counters, gauges, untyped, histograms, summaries, wide, either, rich, defect, format)| {
                let push = Push {
                    format,
                    counters,
                    gauges,
                    untyped,
                    histograms,
                    summaries,
                    wide,
                    either,
                    rich,
                    defect,
                };
                push.in_format(format)
            },
        )
}

/// A push to replace with: often one of nothing.
fn any_put() -> impl Strategy<Value = Push> {
    prop_oneof![1 => Just(Push::empty()), 4 => any_push()]
}

fn any_step() -> impl Strategy<Value = Step> {
    let failures = || proptest::collection::vec(any::<bool>(), 1..=2);
    prop_oneof![
        8 => (any_key(), any_push()).prop_map(|(key, push)| Step::Push(key, push)),
        4 => (any_key(), any_put()).prop_map(|(key, push)| Step::Put(key, push)),
        1 => (any_key(), any_put(), failures()).prop_map(|(key, push, fail)| Step::FailingPut(key, push, fail)),
        1 => proptest::collection::vec(any::<bool>(), 0..=2).prop_map(Step::Wipe),
        2 => any_key().prop_map(Step::Delete),
        3 => proptest::collection::vec((any_key(), any_push()), 2..=6).prop_map(Step::Together),
        2 => (any_key(), any_push(), failures()).prop_map(|(key, push, fail)| Step::FailingPush(key, push, fail)),
        1 => (any_key(), failures()).prop_map(|(key, fail)| Step::FailingDelete(key, fail)),
        1 => Just(Step::Stop),
        1 => Just(Step::Kill),
    ]
}

/// Steps for a gateway that writes later: what is not written yet ends with a kill, and no push waits for
/// a commit that could fail.
fn any_step_written_later() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any_key(), any_push()).prop_map(|(key, push)| Step::Push(key, push)),
        4 => (any_key(), any_put()).prop_map(|(key, push)| Step::Put(key, push)),
        1 => Just(Step::Wipe(Vec::new())),
        3 => any_key().prop_map(Step::Delete),
        3 => proptest::collection::vec((any_key(), any_push()), 2..=6).prop_map(Step::Together),
        2 => Just(Step::Stop),
    ]
}

/// The gateway under test beside the model of it.
struct Pair {
    disk: Disk,
    options: Options,
    mode: Mode,
    real: InProcess,
    model: Model,
}

/// Families that the defects clash with; in a group that no step touches.
const SEED: &str = "# TYPE seed counter\nseed 1\n# TYPE seed_h histogram\nseed_h_count 1\nseed_h_sum 1\n";

impl Pair {
    async fn new(durability: Durability, mode: Mode) -> Self {
        let disk = Disk::default();
        let options = Options { durability, ..Options::default() };
        let real = open(&disk, &options, mode);
        let pair = Self { disk, options, mode, real, model: Model::default() };
        pair.seed().await;
        pair
    }

    async fn seed(&self) {
        let (status, body) = self.real.push("/metrics/job/seed", SEED).await;
        assert_eq!(status, 200, "{body}");
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Push(key, push) => {
                let status = self.until_accepted("POST", *key, push.format, push.body()).await;
                self.judge("POST", *key, push, status);
            }
            Step::Put(key, push) => {
                let status = self.until_accepted("PUT", *key, push.format, push.body()).await;
                self.judge("PUT", *key, push, status);
            }
            Step::FailingPut(key, push, fail) => {
                self.plan(fail);
                let status = self.until_accepted("PUT", *key, push.format, push.body()).await;
                self.judge("PUT", *key, push, status);
            }
            Step::Wipe(fail) => {
                self.plan(fail);
                while self.real.gateway.wipe().await.is_err() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                self.disk.fail_next([]);
                self.model.0.clear();
                self.seed().await;
            }
            Step::Delete(key) => {
                assert_eq!(self.until_accepted("DELETE", *key, Format::Text, Vec::new()).await, 202);
                self.model.0.remove(key);
            }
            Step::Together(pushes) => self.together(pushes).await,
            Step::FailingPush(key, push, fail) => {
                self.plan(fail);
                let status = self.until_accepted("POST", *key, push.format, push.body()).await;
                self.judge("POST", *key, push, status);
            }
            Step::FailingDelete(key, fail) => {
                self.plan(fail);
                assert_eq!(self.until_accepted("DELETE", *key, Format::Text, Vec::new()).await, 202);
                self.model.0.remove(key);
            }
            Step::Stop => {
                self.disk.fail_next([]);
                self.real.gateway.stop().await.expect("nothing is planned to fail");
                self.real = self.open();
            }
            Step::Kill => self.real = self.open(),
        }
    }

    fn open(&self) -> InProcess {
        open(&self.disk, &self.options, self.mode)
    }

    fn plan(&self, fail: &[bool]) {
        self.disk.fail_next(fail.iter().map(|&lost| if lost { Failure::Lost } else { Failure::Landed }));
    }

    /// Pushes at the same time. Gauges that two of them set could end up either way, so each keeps its own
    /// group's.
    async fn together(&mut self, pushes: &[(Key, Push)]) {
        let without = |push: &Push| Push {
            gauges: BTreeMap::new(),
            either: None,
            rich: push.rich.additive(),
            ..push.clone()
        };
        // Of those that replace the last one counts, whichever that is: one for each group.
        let mut seen = BTreeSet::new();
        let is_alone = |(key, _): &&(Key, Push)| self.mode == Mode::Merging || seen.insert(*key);
        let pushes: Vec<(Key, Push)> =
            pushes.iter().filter(is_alone).map(|(key, push)| (*key, without(push))).collect();
        let paths: Vec<String> = pushes.iter().map(|(key, _)| key.path()).collect();
        let answers = pushes
            .iter()
            .zip(&paths)
            .map(|((_, push), path)| self.real.send_as(push.format, "POST", path, push.body()));
        let answers = futures_util::future::join_all(answers).await;
        for ((key, push), (status, _)) in pushes.iter().zip(answers) {
            let mut status = status.as_u16();
            if status == 503 {
                status = self.until_accepted("POST", *key, push.format, push.body()).await;
            }
            self.judge("POST", *key, push, status);
        }
    }

    /// Sends a request again until the store works. While it does not, the scrape must stay as it was.
    async fn until_accepted(&self, method: &str, key: Key, format: Format, body: Vec<u8>) -> u16 {
        loop {
            let before = self.real.scrape_pushed().await;
            let (status, text) = self.real.send_as(format, method, &key.path(), body.clone()).await;
            if status != 503 {
                self.disk.fail_next([]);
                return status.as_u16();
            }
            assert!(text.contains("store"), "{text}");
            assert_eq!(self.real.scrape_pushed().await, before);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn judge(&mut self, method: &str, key: Key, push: &Push, status: u16) {
        let is_refused = push.defect.is_some() || self.model.clashes(key, push, self.mode);
        assert_eq!(
            status,
            if is_refused { 400 } else { 200 },
            "{push:?}\n{}",
            String::from_utf8_lossy(&push.body())
        );
        match method {
            _ if is_refused => {}
            "PUT" => self.model.put(key, push, self.mode),
            _ => self.model.post(key, push, self.mode),
        }
    }

    async fn compare(&self) {
        let scrape = self.real.scrape_pushed().await;
        let shown: BTreeMap<String, f64> = crate::support::samples::samples(&scrape)
            .into_iter()
            .filter(|(series, _)| !series.contains("job=\"seed\"") && !series.starts_with("x_"))
            .map(|(series, value)| (series.to_owned(), value))
            .collect();
        // Labels stand in name order, which puts `l` after `instance` and `job`, as the model writes them.
        assert_eq!(shown, self.model.samples(), "{scrape}");
        let natively = self.real.scrape_natively().await;
        let rich: BTreeMap<String, String> = natively
            .iter()
            .filter(|(series, _)| series.starts_with("x_"))
            .map(|(series, (value, exemplars))| (series.clone(), told(value, exemplars)))
            .collect();
        assert_eq!(rich, self.model.rich(), "{natively:?}");
    }
}

fn open(disk: &Disk, options: &Options, mode: Mode) -> InProcess {
    match mode {
        Mode::Merging => InProcess::open(disk.engine(), options.clone()),
        Mode::Replacing => InProcess::open_replacing(disk.engine(), options.clone()),
    }
}

/// Runs the steps against both, compares after each, and ends with a stop and a start.
fn run(steps: &[Step], durability: Durability, mode: Mode) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut pair = Pair::new(durability, mode).await;
        for step in steps {
            pair.step(step).await;
            pair.compare().await;
        }
        pair.disk.fail_next([]);
        let before = pair.real.scrape().await;
        assert_eq!(pair.real.scrape().await, before, "two scrapes with nothing in between differ");
        pair.real.gateway.stop().await.expect("nothing is planned to fail");
        let natively = format!("{:?}", pair.real.scrape_natively().await);
        let again = pair.open();
        assert_eq!(again.scrape().await, before, "a stop and a start have changed something");
        assert_eq!(format!("{:?}", again.scrape_natively().await), natively);
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_gateway_equals_the_plain_model(steps in proptest::collection::vec(any_step(), 1..25)) {
        run(&steps, Durability::Always, Mode::Merging);
    }

    #[test]
    fn it_does_so_too_when_pushes_replace(steps in proptest::collection::vec(any_step(), 1..25)) {
        run(&steps, Durability::Always, Mode::Replacing);
    }

    #[test]
    fn it_does_so_too_when_it_writes_later(
        steps in proptest::collection::vec(any_step_written_later(), 1..25),
        durability in prop_oneof![
            Just(Durability::None),
            Just(Durability::Interval(Duration::from_millis(5))),
            Just(Durability::Interval(Duration::from_hours(1))),
        ],
        mode in prop_oneof![Just(Mode::Merging), Just(Mode::Replacing)],
    ) {
        run(&steps, durability, mode);
    }
}
