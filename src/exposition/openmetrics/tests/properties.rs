//! Properties: what is written is read back, and no bytes make the parser panic.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::exposition::ReadLimits;
use crate::model::{
    Bucket, Exemplar, ExemplarPlace, Families, Histogram, Label, LabelSet, MetricType, NameScheme, Quantile,
    StateSet, Summary, Value,
};

use super::super::{EOF, Extras, family_name, parse_up_to, write_header, write_series};
use super::written;

/// A family as it is to be written.
#[derive(Clone, Debug, PartialEq)]
struct Plan {
    name: String,
    help: Option<String>,
    metric_type: MetricType,
    series: Vec<PlannedSeries>,
}

#[derive(Clone, Debug, PartialEq)]
struct PlannedSeries {
    labels: Vec<(String, String)>,
    value: Value,
    exemplars: Vec<Exemplar>,
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-1_000_000_i32..1_000_000).prop_map(f64::from),
        any::<f64>().prop_filter("a NaN is not equal to itself", |number| !number.is_nan()),
    ]
}

/// A number that a sum may be.
fn sum() -> impl Strategy<Value = f64> {
    number().prop_map(|number| number.abs() + 0.0)
}

fn histogram() -> impl Strategy<Value = Box<Histogram>> {
    (proptest::collection::btree_map(0..1000_i32, 0..5_u32, 0..5), sum(), 0..5_u32).prop_map(
        |(buckets, sum, last)| {
            let mut total = 0.0;
            let mut bucket = |upper_bound, count: u32| {
                total += f64::from(count);
                Bucket { upper_bound, cumulative_count: total }
            };
            let mut buckets: Vec<_> =
                buckets.into_iter().map(|(bound, count)| bucket(f64::from(bound) / 8.0, count)).collect();
            buckets.push(bucket(f64::INFINITY, last));
            Box::new(Histogram { buckets, sum: Some(sum), count: Some(total), ..Histogram::default() })
        },
    )
}

fn summary() -> impl Strategy<Value = Box<Summary>> {
    (proptest::collection::btree_map(0..=8_u8, sum(), 0..4), sum(), 0..100_u32).prop_map(
        |(quantiles, sum, count)| {
            let quantiles = quantiles
                .into_iter()
                .map(|(eighths, value)| Quantile { quantile: f64::from(eighths) / 8.0, value })
                .collect();
            Box::new(Summary { quantiles, sum: Some(sum), count: Some(f64::from(count)), defect: None })
        },
    )
}

fn value(metric_type: MetricType) -> BoxedStrategy<Value> {
    match metric_type {
        MetricType::Counter => sum().prop_map(Value::Counter).boxed(),
        MetricType::Gauge => number().prop_map(|number| Value::Gauge(number + 0.0)).boxed(),
        MetricType::Untyped => number().prop_map(|number| Value::Untyped(number + 0.0)).boxed(),
        MetricType::Histogram => histogram().prop_map(Value::Histogram).boxed(),
        MetricType::GaugeHistogram => histogram().prop_map(Value::GaugeHistogram).boxed(),
        MetricType::Summary => summary().prop_map(Value::Summary).boxed(),
        MetricType::Info => Just(Value::Info).boxed(),
        MetricType::StateSet => proptest::collection::btree_map(".{0,4}", any::<bool>(), 1..4)
            .prop_map(|states| {
                let states = states.into_iter().map(|(state, is_on)| (state.into(), is_on)).collect();
                Value::StateSet(Box::new(StateSet { states, defect: None }))
            })
            .boxed(),
    }
}

fn exemplar() -> impl Strategy<Value = Exemplar> {
    let labels = proptest::collection::btree_map("[a-z][a-z.]{0,2}", ".{1,12}", 0..3);
    (labels, number(), proptest::option::of(0..2_000_000_000_u32)).prop_map(|(labels, value, timestamp)| {
        Exemplar {
            place: ExemplarPlace::Series,
            labels: LabelSet::new(labels.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
            value: value + 0.0,
            timestamp: timestamp.map(|timestamp| f64::from(timestamp) + 0.25),
        }
    })
}

/// A series whose exemplar, if there is one, is where it may be.
fn series(metric_type: MetricType) -> impl Strategy<Value = (Value, Vec<Exemplar>)> {
    (value(metric_type), proptest::option::of(exemplar())).prop_map(|(value, exemplar)| {
        let place = match &value {
            Value::Counter(_) => Some(ExemplarPlace::Series),
            Value::Histogram(histogram) | Value::GaugeHistogram(histogram) => {
                Some(ExemplarPlace::Bucket(histogram.buckets[0].upper_bound))
            }
            _ => None,
        };
        let exemplars = place.zip(exemplar).map(|(place, exemplar)| Exemplar { place, ..exemplar });
        (value, exemplars.into_iter().collect())
    })
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let metric_type = prop::sample::select(MetricType::ALL.to_vec());
    let family = (proptest::option::of(".{1,12}"), metric_type).prop_flat_map(|(help, metric_type)| {
        // Names that neither are the family's nor mean something by themselves.
        let labels = proptest::collection::btree_map("[a-d][a-d.\"é]{0,3}x", ".{1,6}", 0..4);
        let labels = labels.prop_map(|labels: BTreeMap<String, String>| {
            labels.into_iter().filter(|(name, _)| !name.contains('"')).collect::<BTreeMap<_, _>>()
        });
        let series = proptest::collection::btree_map(labels, series(metric_type), 1..5);
        (Just(help), Just(metric_type), series)
    });
    proptest::collection::btree_map("[e-z:.é][e-z0-9:.é]{0,8}", family, 1..5).prop_map(|families| {
        let plan = |(stem, (help, metric_type, series)): (String, (_, MetricType, BTreeMap<_, _>))| {
            let suffix = match metric_type {
                MetricType::Counter => "_total",
                MetricType::Info => "_info",
                _ => "",
            };
            let planned = |(labels, (value, exemplars)): (BTreeMap<String, String>, _)| PlannedSeries {
                labels: labels.into_iter().collect(),
                value,
                exemplars,
            };
            let series = series.into_iter().map(planned).collect();
            Plan { name: stem + suffix, help, metric_type, series }
        };
        // The name of a state set is that of a label, too.
        let may_be = |plan: &Plan| {
            plan.metric_type != MetricType::StateSet || NameScheme::Utf8.is_pushable_label_name(&plan.name)
        };
        families.into_iter().map(plan).filter(may_be).collect()
    })
}

fn write_plans(plans: &[Plan]) -> String {
    let mut out = Vec::new();
    for plan in plans {
        let name = family_name(&plan.name, plan.metric_type);
        write_header(&mut out, name, plan.help.as_deref(), plan.metric_type, None);
        for series in &plan.series {
            let labels = series.labels.iter().map(|(name, value)| Label { name, value });
            let extras = Extras {
                exemplars: &series.exemplars,
                escaping: crate::exposition::names::Escaping::AllowUtf8,
                ..Extras::default()
            };
            write_series(&mut out, name, labels, &series.value, &extras);
        }
    }
    out.extend_from_slice(EOF);
    String::from_utf8(out).unwrap()
}

fn as_plans(families: &Families<'_>) -> Vec<Plan> {
    let plan = |family: &crate::model::MetricFamily<'_>| Plan {
        name: family.name.to_string(),
        help: family.help.as_ref().map(ToString::to_string),
        metric_type: family.metric_type,
        series: family
            .series
            .iter()
            .map(|series| PlannedSeries {
                labels: families
                    .labels_of(series)
                    .iter()
                    .map(|label| (label.name.to_string(), label.value.to_string()))
                    .collect(),
                value: series.value.clone(),
                exemplars: series.exemplars.as_ref().map(|exemplars| exemplars.to_vec()).unwrap_or_default(),
            })
            .collect(),
    };
    families.families.iter().map(plan).collect()
}

/// One change to a body's bytes.
#[derive(Clone, Debug)]
enum Mutation {
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, &'static str),
    Cut(prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let pieces = [
        "\"", "{", "}", "\\", "\n", "=", ",", " ", "#", "# TYPE ", " # {", "le=\"1\"", "_sum", "\u{e9}",
        "# EOF\n",
    ];
    prop_oneof![
        (any::<prop::sample::Index>(), 1_usize..8).prop_map(|(at, len)| Mutation::Remove(at, len)),
        (any::<prop::sample::Index>(), prop::sample::select(pieces.to_vec()))
            .prop_map(|(at, piece)| Mutation::Insert(at, piece)),
        any::<prop::sample::Index>().prop_map(Mutation::Cut),
    ]
}

fn mutate(body: &mut Vec<u8>, mutation: &Mutation) {
    match mutation {
        Mutation::Remove(at, len) => {
            let at = at.index(body.len() + 1);
            body.drain(at..(at + len).min(body.len()));
        }
        Mutation::Insert(at, piece) => {
            let at = at.index(body.len() + 1);
            body.splice(at..at, piece.bytes());
        }
        Mutation::Cut(at) => body.truncate(at.index(body.len() + 1)),
    }
}

fn read(body: &[u8]) -> Result<Families<'_>, super::ParseError> {
    parse_up_to(body, NameScheme::Utf8, ReadLimits::NONE)
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(plans in plans()) {
        let body = write_plans(&plans);
        let families = read(body.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{body}"));
        prop_assert_eq!(as_plans(&families), plans, "{}", body);
    }

    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&body);
    }

    #[test]
    fn no_change_to_a_valid_body_makes_it_panic(
        plans in plans(),
        mutations in proptest::collection::vec(mutation(), 1..6),
    ) {
        let mut body = write_plans(&plans).into_bytes();
        for mutation in &mutations {
            mutate(&mut body, mutation);
        }
        let lines = u32::try_from(body.split(|&byte| byte == b'\n').count()).unwrap();
        match read(&body) {
            Ok(families) => {
                // What was accepted can be written, and is then accepted as the same.
                let again = written(&families);
                prop_assert!(again.ends_with("# EOF\n"));
            }
            Err(error) => prop_assert!((1..=lines).contains(&error.line), "{}", error),
        }
    }
}
