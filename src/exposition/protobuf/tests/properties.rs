//! Properties: round trips, and no panic whatever the bytes.

use std::borrow::Cow;

use proptest::prelude::*;

use crate::model::{
    BorrowedLabel, Bucket, CUSTOM_BUCKETS_SCHEMA, Counts, Exemplar, ExemplarPlace, Histogram, LabelSet,
    MetricFamily, MetricType, NativeCounts, NativeHistogram, Quantile, Series, StateSet, Summary, Value,
};

use super::super::number;
use super::{Families, NameScheme, parse, read, shown, write_families};

/// A series as it is to be written.
#[derive(Clone, Debug)]
struct Planned {
    labels: Vec<(String, String)>,
    value: Value,
    exemplars: Vec<Exemplar>,
}

/// A family as it is to be written.
#[derive(Clone, Debug)]
struct Plan {
    name: String,
    help: Option<String>,
    unit: Option<String>,
    metric_type: MetricType,
    series: Vec<Planned>,
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![(-1_000_000_i32..1_000_000).prop_map(f64::from), prop::num::f64::ANY]
}

/// Whole, with a fraction, and beyond 64 bits.
fn count() -> impl Strategy<Value = f64> {
    prop_oneof![(0_u64..1 << 53).prop_map(number::as_float), 0.01..1e3, Just(1e30)]
}

fn exemplar(place: ExemplarPlace) -> impl Strategy<Value = Exemplar> {
    let labels = proptest::collection::btree_map("[a-c]{1,2}", ".{1,8}", 0..3);
    let seconds = (0_u32..2_000_000_000).prop_map(|quarters| f64::from(quarters) / 4.0);
    (labels, number(), proptest::option::of(seconds)).prop_map(move |(labels, value, timestamp)| {
        let labels = LabelSet::new(labels.iter().map(|(name, value)| (&**name, &**value)));
        Exemplar { place, labels, value, timestamp }
    })
}

fn native() -> impl Strategy<Value = NativeHistogram> {
    let side = || proptest::collection::btree_map(-60..60_i32, 1..u64::MAX >> 1, 0..6);
    let whole = (any::<u64>(), any::<u64>(), side(), side()).prop_map(|(count, zero, positive, negative)| {
        let (positive, negative) = (positive.into_iter().collect(), negative.into_iter().collect());
        NativeCounts::Integer(Counts { count, zero, positive, negative })
    });
    let side = || proptest::collection::btree_map(-60..60_i32, 0.01..1e12, 0..6);
    let float = (count(), count(), side(), side()).prop_map(|(count, zero, positive, negative)| {
        let (positive, negative) = (positive.into_iter().collect(), negative.into_iter().collect());
        NativeCounts::Float(Counts { count, zero, positive, negative })
    });
    let threshold = prop::sample::select(vec![0.0, 1e-128, 0.5]);
    (-4..=8_i8, threshold, prop_oneof![whole, float]).prop_map(|(schema, zero_threshold, counts)| {
        NativeHistogram { schema, zero_threshold, custom_bounds: Vec::new(), counts, sum: None }
    })
}

/// A histogram, each of whose buckets may have an exemplar, and its native part too.
fn histogram() -> impl Strategy<Value = (Histogram, Vec<Exemplar>)> {
    let bucket = (count(), proptest::option::of(exemplar(ExemplarPlace::Series)));
    let buckets = proptest::collection::btree_map(-50..50_i32, bucket, 0..5);
    let of_native = proptest::collection::vec(exemplar(ExemplarPlace::Series), 0..3);
    let native = proptest::option::of((native(), of_native));
    (buckets, native, proptest::option::of(number()), count()).prop_map(|(pairs, native, sum, count)| {
        let mut histogram = Histogram { sum, count: Some(count), ..Histogram::default() };
        let mut exemplars = Vec::new();
        for (bound, (cumulative_count, exemplar)) in pairs {
            let upper_bound = if bound == 49 { f64::INFINITY } else { f64::from(bound) };
            histogram.buckets.push(Bucket { upper_bound, cumulative_count });
            let place = ExemplarPlace::Bucket(upper_bound);
            exemplars.extend(exemplar.map(|exemplar| Exemplar { place, ..exemplar }));
        }
        if let Some((native, of_native)) = native {
            histogram.count = Some(match &native.counts {
                NativeCounts::Integer(counts) => number::as_float(counts.count),
                NativeCounts::Float(counts) => counts.count,
            });
            histogram.native = Some(Box::new(native));
            exemplars.extend(of_native);
        }
        (histogram, exemplars)
    })
}

fn value(metric_type: MetricType) -> BoxedStrategy<(Value, Vec<Exemplar>)> {
    let alone = |value| (value, Vec::new());
    match metric_type {
        MetricType::Counter => {
            let exemplars = proptest::collection::vec(exemplar(ExemplarPlace::Series), 0..2);
            (number().prop_map(Value::Counter), exemplars).boxed()
        }
        MetricType::Gauge => number().prop_map(move |value| alone(Value::Gauge(value))).boxed(),
        MetricType::Untyped => number().prop_map(move |value| alone(Value::Untyped(value))).boxed(),
        MetricType::Info => Just(alone(Value::Info)).boxed(),
        MetricType::StateSet => proptest::collection::btree_map(".{1,8}", any::<bool>(), 1..4)
            .prop_map(move |states| {
                let states =
                    states.into_iter().map(|(state, is_on)| (state.into_boxed_str(), is_on)).collect();
                alone(Value::StateSet(Box::new(StateSet { states, defect: None })))
            })
            .boxed(),
        MetricType::Summary => {
            let quantiles = proptest::collection::vec((number(), number()), 0..4);
            let count = proptest::option::of((0_u64..1 << 53).prop_map(number::as_float));
            (quantiles, proptest::option::of(number()), count)
                .prop_map(move |(quantiles, sum, count)| {
                    let quantiles =
                        quantiles.into_iter().map(|(quantile, value)| Quantile { quantile, value }).collect();
                    alone(Value::Summary(Box::new(Summary { quantiles, sum, count, defect: None })))
                })
                .boxed()
        }
        MetricType::Histogram => histogram()
            .prop_map(|(histogram, exemplars)| (Value::Histogram(Box::new(histogram)), exemplars))
            .boxed(),
        MetricType::GaugeHistogram => histogram()
            .prop_map(|(histogram, exemplars)| (Value::GaugeHistogram(Box::new(histogram)), exemplars))
            .boxed(),
    }
}

fn metric_type() -> impl Strategy<Value = MetricType> {
    prop::sample::select(MetricType::ALL.to_vec())
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let labels = proptest::collection::btree_map("[a-d][a-z0-9_]{0,3}", ".{0,12}", 0..4);
    let text = || proptest::option::of(".{0,20}");
    let family = (text(), text(), metric_type()).prop_flat_map(move |(help, unit, metric_type)| {
        let series = proptest::collection::vec((labels.clone(), value(metric_type)), 1..5);
        (Just(help), Just(unit), Just(metric_type), series)
    });
    proptest::collection::btree_map("[m-z][a-zA-Z0-9_]{0,8}", family, 1..5).prop_map(|families| {
        let plans = families.into_iter().map(|(name, (help, unit, metric_type, series))| {
            let series = series.into_iter().map(|(labels, (value, exemplars))| Planned {
                labels: labels.into_iter().collect(),
                value,
                exemplars,
            });
            Plan { name, help, unit, metric_type, series: series.collect() }
        });
        plans.collect()
    })
}

/// What is read of a plan that was written: the schema tells info and state sets by gauges.
fn as_read(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    if matches!(plan.metric_type, MetricType::Info | MetricType::StateSet) {
        plan.metric_type = MetricType::Gauge;
    }
    let series = std::mem::take(&mut plan.series);
    plan.series = series
        .into_iter()
        .flat_map(|series| match series.value {
            Value::Info => vec![Planned { value: Value::Gauge(1.0), ..series }],
            Value::StateSet(ref set) => {
                let states = set.states.iter().map(|(state, is_on)| {
                    let mut labels = series.labels.clone();
                    labels.push((plan.name.clone(), state.to_string()));
                    let value = Value::Gauge(f64::from(u8::from(*is_on)));
                    Planned { labels, value, exemplars: Vec::new() }
                });
                states.collect()
            }
            _ => vec![series],
        })
        .collect();
    plan
}

/// Plans in the form that is written and read.
fn families(plans: &[Plan]) -> Families<'_> {
    let mut families = Families::default();
    for plan in plans {
        let mut series = Vec::new();
        for planned in &plan.series {
            let first = u32::try_from(families.labels.len()).unwrap();
            families.labels.extend(
                planned
                    .labels
                    .iter()
                    .map(|(name, value)| BorrowedLabel { name, value: Cow::Borrowed(value) }),
            );
            let exemplars = planned.exemplars.clone();
            series.push(Series {
                labels: first..u32::try_from(families.labels.len()).unwrap(),
                value: planned.value.clone(),
                line: 0,
                has_timestamp: false,
                exemplars: if exemplars.is_empty() { None } else { Some(Box::new(exemplars)) },
            });
        }
        families.families.push(MetricFamily {
            name: Cow::Borrowed(&plan.name),
            metric_type: plan.metric_type,
            type_is_declared: true,
            help: plan.help.as_deref().map(Cow::Borrowed),
            unit: plan.unit.as_deref().map(Cow::Borrowed),
            series,
        });
    }
    families
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(plans in plans()) {
        let body = write_families(&families(&plans));
        let expected: Vec<Plan> = plans.iter().map(as_read).collect();
        let read = read(&body);
        prop_assert_eq!(shown(&read), shown(&families(&expected)));
        prop_assert_eq!(write_families(&read), body);
    }

    #[test]
    fn custom_bounds_are_read_back_as_the_classic_buckets_that_they_are(
        bounds in proptest::collection::btree_set(-50..50_i32, 0..5),
        counts in proptest::collection::vec(0_u64..1_000, 6),
    ) {
        let custom_bounds: Vec<f64> = bounds.into_iter().map(f64::from).collect();
        let mut buckets = Vec::new();
        let (mut total, mut positive) = (0, Vec::new());
        for (index, &upper_bound) in (0..).zip(custom_bounds.iter().chain([&f64::INFINITY])) {
            let count = counts[usize::try_from(index).unwrap()];
            total += count;
            buckets.push(Bucket { upper_bound, cumulative_count: number::as_float(total) });
            if count > 0 {
                positive.push((index, count));
            }
        }
        let counts = Counts { count: total, positive, ..Counts::default() };
        let counts = NativeCounts::Integer(counts);
        let native =
            NativeHistogram { schema: CUSTOM_BUCKETS_SCHEMA, zero_threshold: 0.0, custom_bounds, counts, sum: None };
        let histogram = Histogram { native: Some(Box::new(native)), ..Histogram::default() };
        let plan = |histogram| Plan {
            name: "m".to_owned(),
            help: None,
            unit: None,
            metric_type: MetricType::Histogram,
            series: vec![Planned {
                labels: vec![],
                value: Value::Histogram(Box::new(histogram)),
                exemplars: vec![],
            }],
        };
        let count = Some(number::as_float(total));
        let expected = [plan(Histogram { buckets, count, ..Histogram::default() })];
        let body = write_families(&families(&[plan(histogram)]));
        prop_assert_eq!(shown(&read(&body)), shown(&families(&expected)));
    }

    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for scheme in [NameScheme::Legacy, NameScheme::Utf8] {
            let _ = parse(&body, scheme);
        }
    }

    #[test]
    fn no_change_to_a_valid_body_makes_it_panic_and_what_is_read_can_be_written(
        plans in plans(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut body = write_families(&families(&plans));
        for (place, byte) in &changes {
            let place = place.index(body.len());
            body[place] = *byte;
        }
        match parse(&body, NameScheme::Legacy) {
            Ok(families) => {
                let again = write_families(&families);
                prop_assert_eq!(shown(&read(&again)), shown(&families));
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
