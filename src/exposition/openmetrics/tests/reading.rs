//! What is accepted, and what it says.

use crate::model::{ExemplarPlace, MetricType, NameScheme, Value};

use super::super::parse_up_to;
use super::{parse, with_eof, written};
use crate::exposition::ReadLimits;

/// Every type, as it is written.
const EVERY_TYPE: &str = "\
# HELP files Files that were \\\"copied\\\".
# TYPE files counter
files_total{kind=\"full\"} 3 # {trace_id=\"a\\\"b\"} 1.5 1520879607.789
files_total{kind=\"part\"} 0.5
# TYPE size_bytes gauge
# UNIT size_bytes bytes
size_bytes 5.2e+09
# TYPE copy_seconds histogram
copy_seconds_bucket{le=\"1.0\"} 2
copy_seconds_bucket{le=\"1e+06\"} 3 # {} 17
copy_seconds_bucket{le=\"+Inf\"} 4
copy_seconds_sum 25.5
copy_seconds_count 4
# TYPE queue gaugehistogram
queue_bucket{a=\"b\",le=\"+Inf\"} 4
queue_gsum{a=\"b\"} 25.5
queue_gcount{a=\"b\"} 4
# TYPE check summary
check{quantile=\"0.5\"} 1
check{quantile=\"1.0\"} NaN
check_sum 2
check_count 2
# TYPE build info
build_info{version=\"1\"} 1
# TYPE state stateset
state{host=\"h\",state=\"on\"} 1
state{host=\"h\",state=\"off\"} 0
# TYPE anything unknown
anything{l=\"\\\\ \\n\"} -1
# EOF
";

#[test]
fn every_type_is_read_and_written_as_it_was() {
    let families = parse(EVERY_TYPE).unwrap();
    assert_eq!(written(&families), EVERY_TYPE);
    let shown: Vec<_> = families.families.iter().map(|family| (&*family.name, family.metric_type)).collect();
    assert_eq!(
        shown,
        [
            ("files_total", MetricType::Counter),
            ("size_bytes", MetricType::Gauge),
            ("copy_seconds", MetricType::Histogram),
            ("queue", MetricType::GaugeHistogram),
            ("check", MetricType::Summary),
            ("build_info", MetricType::Info),
            ("state", MetricType::StateSet),
            ("anything", MetricType::Untyped),
        ]
    );
    let [files, size, ..] = &*families.families else { panic!() };
    assert_eq!(files.help.as_deref(), Some("Files that were \"copied\"."));
    assert_eq!(size.unit.as_deref(), Some("bytes"));
    assert_eq!((files.series[1].line, files.series.len()), (4, 2));
    let exemplar = &files.series[0].exemplars.as_ref().unwrap()[0];
    assert_eq!((exemplar.place, exemplar.value), (ExemplarPlace::Series, 1.5));
    assert_eq!(exemplar.timestamp, Some(1_520_879_607.789));
    assert_eq!(exemplar.labels.get("trace_id"), Some("a\"b"));
    let exemplar = &families.families[2].series[0].exemplars.as_ref().unwrap()[0];
    assert_eq!((exemplar.place, exemplar.timestamp), (ExemplarPlace::Bucket(1e6), None));
    let Value::StateSet(states) = &families.families[6].series[0].value else { panic!() };
    assert_eq!(states.states, [("on".into(), true), ("off".into(), false)]);
    assert_eq!(families.labels_of(&families.families[6].series[0]).len(), 1);
}

#[test]
fn created_timestamps_are_read_and_dropped() {
    let body = with_eof(
        "# TYPE a counter\na_created{l=\"1\"} 5\na_total{l=\"1\"} 1\na_total{l=\"2\"} 1\na_created{l=\"2\"} 1.5\n\
         # TYPE s summary\ns_count 1\ns_sum 1\ns_created 1\n",
    );
    let families = parse(&body).unwrap();
    assert_eq!(families.families.len(), 2);
    assert_eq!((families.families[0].series.len(), families.families[1].series.len()), (2, 1));
    assert_eq!(families.families[0].series[1].value, Value::Counter(1.0));
}

#[test]
fn timestamps_are_noted() {
    let body = with_eof("a 1 1.5e3\nb 1\nc{l=\"v\"} 1 -5\n");
    let families = parse(&body).unwrap();
    let noted: Vec<_> = families.families.iter().map(|family| family.series[0].has_timestamp).collect();
    assert_eq!(noted, [true, false, true]);
}

#[test]
fn samples_without_a_type_are_unknown_families() {
    let body = with_eof("a_total 1\n# HELP b x\nb 1\n# TYPE c counter\nc_total 1\nd 1\n");
    let families = parse(&body).unwrap();
    let shown: Vec<_> = families
        .families
        .iter()
        .map(|family| (&*family.name, family.metric_type, family.type_is_declared))
        .collect();
    assert_eq!(
        shown,
        [
            ("a_total", MetricType::Untyped, false),
            ("b", MetricType::Untyped, false),
            ("c_total", MetricType::Counter, true),
            ("d", MetricType::Untyped, false)
        ]
    );
}

#[test]
fn the_last_line_feed_may_be_missing_and_nothing_is_enough() {
    assert_eq!(parse("# EOF").unwrap().families, []);
    assert_eq!(parse("# EOF\n").unwrap().families, []);
    assert_eq!(parse("# TYPE a counter\n# EOF").unwrap().families, []);
    assert_eq!(parse("a{} 1\n# EOF").unwrap().series_count(), 1);
}

#[test]
fn quoted_names_are_judged_by_the_scheme() {
    let body = "# TYPE \"a.b\" counter\n{\"a.b_total\",\"l.m\"=\"v\"} 1\n# EOF\n";
    let families = parse_up_to(body.as_bytes(), NameScheme::Utf8, ReadLimits::NONE).unwrap();
    assert_eq!(families.families[0].name, "a.b_total");
    assert_eq!(families.labels[0].name, "l.m");
    assert_eq!(written(&families), body);
    assert!(parse(body).unwrap_err().to_string().contains("invalid metric name \"a.b\""));
    let legacy = "# TYPE \"a\" gauge\n{\"l\"=\"v\",\"a\"} 1\n{\"a\",l=\"w\"} 1\n# EOF\n";
    assert_eq!(parse(legacy).unwrap().series_count(), 2);
}

#[test]
fn no_more_is_read_than_tells_that_there_is_too_much() {
    let lines: String = (0..10).fold(String::new(), |body, i| body + &format!("a{{l=\"{i}\"}} 1\n"));
    let families =
        parse_up_to(lines.as_bytes(), NameScheme::Legacy, ReadLimits { series_max: 3, ..ReadLimits::NONE })
            .unwrap();
    assert!(families.series_count() > 3);
    let names: String = (0..10).fold(String::new(), |body, i| body + &format!("# TYPE a{i} gauge\n"));
    let error =
        parse_up_to(names.as_bytes(), NameScheme::Legacy, ReadLimits { series_max: 3, ..ReadLimits::NONE })
            .unwrap_err();
    assert_eq!(
        (error.line, error.kind.to_string().as_str()),
        (4, "the body declares more than 3 metric families without a sample")
    );
}
