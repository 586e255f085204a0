//! One series in `/api/v1/metrics`: its labels and its value, in the shape of its type.

use super::{json, native};
use crate::model::{Histogram, Label, MetricType, Summary, Value};

/// The name of a type. What Pushgateway does not know is shown as the gauges that its series are in the text
/// format.
pub(super) fn type_name(metric_type: MetricType) -> &'static str {
    match metric_type {
        MetricType::Counter => "COUNTER",
        MetricType::Gauge | MetricType::Info | MetricType::StateSet => "GAUGE",
        MetricType::Histogram => "HISTOGRAM",
        MetricType::Summary => "SUMMARY",
        MetricType::Untyped => "UNTYPED",
        MetricType::GaugeHistogram => "GAUGE_HISTOGRAM",
    }
}

/// Appends a series of the family `family`. A state set is several, one for each state, with commas between.
/// Says whether there is anything.
pub(super) fn write<'l>(
    out: &mut Vec<u8>,
    family: &str,
    labels: impl Iterator<Item = Label<'l>> + Clone,
    value: &Value,
) -> bool {
    match value {
        Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => number(out, labels, *value),
        Value::Info => number(out, labels, 1.0),
        Value::StateSet(set) => {
            for (at, (state, is_on)) in set.states.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                number(
                    out,
                    with_state(labels.clone(), family, state).into_iter(),
                    f64::from(u8::from(*is_on)),
                );
            }
            return !set.states.is_empty();
        }
        Value::Summary(summary) => write_summary(out, labels, summary),
        Value::Histogram(histogram) | Value::GaugeHistogram(histogram) => {
            write_histogram(out, labels, histogram);
        }
    }
    true
}

/// The labels with that of a state put where it belongs.
fn with_state<'a, 'l: 'a>(
    labels: impl Iterator<Item = Label<'l>>,
    family: &'a str,
    state: &'a str,
) -> Vec<Label<'a>> {
    let mut all: Vec<Label<'a>> = labels.filter(|label| label.name != family).collect();
    let place = all.partition_point(|label| label.name < family);
    all.insert(place, Label { name: family, value: state });
    all
}

fn number<'l>(out: &mut Vec<u8>, labels: impl Iterator<Item = Label<'l>>, value: f64) {
    out.push(b'{');
    write_labels(out, labels);
    out.extend_from_slice(br#","value":"#);
    json::number(out, value);
    out.push(b'}');
}

/// Appends `"labels":{...}`.
pub(super) fn write_labels<'l>(out: &mut Vec<u8>, labels: impl Iterator<Item = Label<'l>>) {
    out.extend_from_slice(br#""labels":"#);
    json::object(out, labels.map(|label| (label.name, label.value)), json::string);
}

fn write_summary<'l>(out: &mut Vec<u8>, labels: impl Iterator<Item = Label<'l>>, summary: &Summary) {
    out.extend_from_slice(br#"{"count":"#);
    json::number(out, summary.count.unwrap_or(0.0));
    out.push(b',');
    write_labels(out, labels);
    out.extend_from_slice(br#","quantiles":"#);
    by_key(out, summary.quantiles.iter().map(|at| (at.quantile, at.value)));
    out.extend_from_slice(br#","sum":"#);
    json::number(out, summary.sum.unwrap_or(0.0));
    out.push(b'}');
}

/// Of a histogram that is native as well as classic the native part is shown.
fn write_histogram<'l>(out: &mut Vec<u8>, labels: impl Iterator<Item = Label<'l>>, histogram: &Histogram) {
    out.extend_from_slice(br#"{"buckets":"#);
    match &histogram.native {
        Some(native) => {
            out.push(b'[');
            for (at, bucket) in native::buckets(native).into_iter().enumerate() {
                out.extend_from_slice(if at > 0 { b",[" } else { b"[" });
                out.push(b'0' + bucket.rule as u8);
                for number in [bucket.lower, bucket.upper, bucket.count] {
                    out.push(b',');
                    json::number(out, number);
                }
                out.push(b']');
            }
            out.push(b']');
        }
        None => by_key(out, histogram.buckets.iter().map(|at| (at.upper_bound, at.cumulative_count))),
    }
    let count = histogram.count.or_else(|| histogram.native.as_deref().map(native::count));
    out.extend_from_slice(br#","count":"#);
    json::number(out, count.unwrap_or(0.0));
    out.push(b',');
    write_labels(out, labels);
    out.extend_from_slice(br#","sum":"#);
    json::number(out, histogram.sum.unwrap_or(0.0));
    out.push(b'}');
}

/// An object whose keys are numbers, in the order of their texts, as Go sorts the keys of a map.
fn by_key(out: &mut Vec<u8>, numbers: impl Iterator<Item = (f64, f64)>) {
    let mut members: Vec<(String, f64)> =
        numbers.map(|(key, value)| (json::number_key(key), value)).collect();
    members.sort_by(|(a, _), (b, _)| a.cmp(b));
    json::object(out, members, json::number);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Bucket, Counts, LabelSet, NativeCounts, NativeHistogram, Quantile, StateSet};

    fn shown(value: &Value) -> String {
        let labels = LabelSet::new([("job", "Björn"), ("a", "<\"&")]);
        let mut out = Vec::new();
        let is_any = write(&mut out, "f", labels.iter(), value);
        assert_eq!(is_any, !out.is_empty());
        let text = String::from_utf8(out).unwrap();
        // One more pair of brackets makes a list of what may be several.
        serde_json::from_str::<serde_json::Value>(&format!("[{text}]")).expect(&text);
        text
    }

    const LABELS: &str = r#""labels":{"a":"\u003c\"\u0026","job":"Björn"}"#;

    #[test]
    fn numbers_are_values() {
        for value in [Value::Counter(2.5e7), Value::Gauge(2.5e7), Value::Untyped(2.5e7)] {
            assert_eq!(shown(&value), format!(r#"{{{LABELS},"value":"2.5e+07"}}"#));
        }
        assert_eq!(shown(&Value::Gauge(-0.0)), format!(r#"{{{LABELS},"value":"-0"}}"#));
        assert_eq!(shown(&Value::Info), format!(r#"{{{LABELS},"value":"1"}}"#));
    }

    #[test]
    fn a_state_set_is_a_series_for_each_state() {
        let set = StateSet { states: vec![("on".into(), true), ("off".into(), false)], defect: None };
        let with = |state: &str, value: &str| {
            format!(r#"{{"labels":{{"a":"\u003c\"\u0026","f":"{state}","job":"Björn"}},"value":"{value}"}}"#)
        };
        assert_eq!(
            shown(&Value::StateSet(Box::new(set))),
            format!("{},{}", with("on", "1"), with("off", "0"))
        );
        assert_eq!(shown(&Value::StateSet(Box::default())), "");
    }

    #[test]
    fn summaries_have_their_quantiles_by_text() {
        let quantile = |quantile, value| Quantile { quantile, value };
        let summary = Summary {
            quantiles: vec![quantile(0.5, 1.0), quantile(0.05, f64::NAN), quantile(1e-6, 3.0)],
            sum: Some(1.5),
            count: Some(3.0),
            defect: None,
        };
        let expected = format!(
            r#"{{"count":"3",{LABELS},"quantiles":{{"0.05":"NaN","0.5":"1","1e-06":"3"}},"sum":"1.5"}}"#
        );
        assert_eq!(shown(&Value::Summary(Box::new(summary))), expected);
        let empty = format!(r#"{{"count":"0",{LABELS},"quantiles":{{}},"sum":"0"}}"#);
        assert_eq!(shown(&Value::Summary(Box::default())), empty);
    }

    #[test]
    fn classic_histograms_have_their_buckets_by_text() {
        let bucket = |upper_bound, cumulative_count| Bucket { upper_bound, cumulative_count };
        let histogram = Histogram {
            buckets: vec![bucket(0.1, 1.0), bucket(10.0, 2.0), bucket(2.5, 2.0), bucket(f64::INFINITY, 3.0)],
            sum: Some(12.0),
            count: Some(3.0),
            ..Histogram::default()
        };
        let buckets = r#"{"+Inf":"3","0.1":"1","10":"2","2.5":"2"}"#;
        let expected = format!(r#"{{"buckets":{buckets},"count":"3",{LABELS},"sum":"12"}}"#);
        for value in [Value::Histogram, Value::GaugeHistogram] {
            assert_eq!(shown(&value(Box::new(histogram.clone()))), expected);
        }
    }

    #[test]
    fn native_histograms_have_a_list_of_buckets() {
        let counts = Counts { count: 5, zero: 1, positive: vec![(2, 3)], negative: vec![(0, 1)] };
        let native = NativeHistogram {
            schema: 0,
            zero_threshold: 0.25,
            custom_bounds: Vec::new(),
            counts: NativeCounts::Integer(counts),
            sum: None,
        };
        let histogram = Histogram { sum: Some(8.0), native: Some(Box::new(native)), ..Histogram::default() };
        let buckets = r#"[[1,"-1","-0.5","1"],[3,"-0.25","0.25","1"],[0,"2","4","3"]]"#;
        let expected = format!(r#"{{"buckets":{buckets},"count":"5",{LABELS},"sum":"8"}}"#);
        assert_eq!(shown(&Value::Histogram(Box::new(histogram))), expected);
    }
}
