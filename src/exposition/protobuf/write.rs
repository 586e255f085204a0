//! Writing families, in pieces that a scrape may keep: the head of a family, each of its metrics, and the
//! length that stands in front of both.
//!
//! The order is the caller's.

use crate::model::{Exemplar, ExemplarPlace, Families, Label, MetricType, Stamp, StateSet, Value};

use super::messages::{Counter, Gauge, Quantile, Summary, Untyped, family, label_pair, metric};
use super::wire::{write_message, write_nested, write_number, write_text, write_varint};
use super::{exemplar, histogram, number, value};

/// The beginning of a `MetricFamily` message: all of its fields but the metrics. Info and state set, which the
/// schema does not have, are gauges.
pub fn header(name: &str, help: Option<&str>, metric_type: MetricType, unit: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    write_text(&mut out, family::NAME, name);
    if let Some(help) = help {
        write_text(&mut out, family::HELP, help);
    }
    write_number(&mut out, family::TYPE, value::type_number(metric_type));
    if let Some(unit) = unit {
        write_text(&mut out, family::UNIT, unit);
    }
    out
}

/// The length of a message, as it stands in front of it: a family is this of the bytes of its header and all
/// of its metrics, then the header, then the metrics.
pub fn length_prefix(bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    write_varint(&mut out, bytes as u64);
    out
}

/// A whole body: the families with their series, as a client pushes them.
pub fn write_families(families: &Families<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    for family in &families.families {
        let mut message =
            header(&family.name, family.help.as_deref(), family.metric_type, family.unit.as_deref());
        for series in &family.series {
            let labels = families.labels_of(series).iter();
            let labels = labels.map(|label| Label { name: label.name, value: &label.value });
            let exemplars = series.exemplars.as_ref().map_or(&[][..], |exemplars| exemplars);
            write_metric(&mut message, &family.name, labels, &series.value, exemplars, None);
        }
        body.extend(length_prefix(message.len()));
        body.extend(message);
    }
    body
}

/// Appends a series of the family `name` as a field `metric` of its message, its labels in the order given. A
/// state set is one such field for each state, with a label that is named as the family.
///
/// Where only one exemplar has room, the last one is written. `created` is when the series began; it is
/// written where the type has a field for it.
pub fn write_metric<'l>(
    out: &mut Vec<u8>,
    name: &str,
    labels: impl Iterator<Item = Label<'l>>,
    value: &Value,
    exemplars: &[Exemplar],
    created: Option<Stamp>,
) {
    if let Value::StateSet(set) = value {
        return write_state_set(out, name, labels, set);
    }
    write_nested(out, family::METRIC, |out| {
        for label in labels {
            write_label(out, label.name, label.value);
        }
        write_value(out, value, exemplars, created);
    });
}

fn write_state_set<'l>(
    out: &mut Vec<u8>,
    name: &str,
    labels: impl Iterator<Item = Label<'l>>,
    set: &StateSet,
) {
    let mut common = Vec::new();
    for label in labels {
        write_label(&mut common, label.name, label.value);
    }
    for (state, is_on) in &set.states {
        write_nested(out, family::METRIC, |out| {
            out.extend_from_slice(&common);
            write_label(out, name, state);
            let value = Some(f64::from(u8::from(*is_on)));
            write_message(out, metric::GAUGE, &Gauge { value });
        });
    }
}

#[inline]
fn write_label(out: &mut Vec<u8>, name: &str, value: &str) {
    write_nested(out, metric::LABEL, |out| {
        write_text(out, label_pair::NAME, name);
        write_text(out, label_pair::VALUE, value);
    });
}

/// Appends the field that holds the value; the states of a state set are told by metrics of their own.
fn write_value(out: &mut Vec<u8>, value: &Value, exemplars: &[Exemplar], created: Option<Stamp>) {
    let created_timestamp = created.map(exemplar::of_stamp);
    match value {
        Value::Counter(value) => {
            let mut of_series = exemplars.iter().rev();
            let exemplar = of_series.find(|exemplar| exemplar.place == ExemplarPlace::Series);
            let exemplar = exemplar.map(exemplar::message);
            let counter = Counter { value: Some(*value), exemplar, created_timestamp };
            write_message(out, metric::COUNTER, &counter);
        }
        Value::Gauge(value) => write_message(out, metric::GAUGE, &Gauge { value: Some(*value) }),
        Value::Info => write_message(out, metric::GAUGE, &Gauge { value: Some(1.0) }),
        Value::Untyped(value) => write_message(out, metric::UNTYPED, &Untyped { value: Some(*value) }),
        Value::Summary(summary) => {
            let quantiles = summary
                .quantiles
                .iter()
                .map(|quantile| Quantile { quantile: Some(quantile.quantile), value: Some(quantile.value) });
            let summary = Summary {
                sample_count: summary.count.and_then(number::saturated),
                sample_sum: summary.sum,
                quantile: quantiles.collect(),
                created_timestamp,
            };
            write_message(out, metric::SUMMARY, &summary);
        }
        Value::Histogram(histogram) => {
            let mut message = histogram::message(histogram, exemplars);
            message.created_timestamp = created_timestamp;
            write_message(out, metric::HISTOGRAM, &message);
        }
        // What it shows is what is there now, which has no beginning.
        Value::GaugeHistogram(histogram) => {
            write_message(out, metric::HISTOGRAM, &histogram::message(histogram, exemplars));
        }
        Value::StateSet(_) => {}
    }
}
