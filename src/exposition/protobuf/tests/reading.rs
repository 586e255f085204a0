//! What bodies say.

use crate::model::{
    Bucket, Counts, ExemplarPlace, MetricType, NativeCounts, NativeHistogram, Quantile, Value,
};

use super::super::messages::{self, BucketSpan, Exemplar, Timestamp};
use super::super::number;
use super::*;
use crate::exposition::ReadLimits;

fn spans(spans: &[(i32, u32)]) -> Vec<BucketSpan> {
    let span = |&(offset, length): &(i32, u32)| BucketSpan { offset: Some(offset), length: Some(length) };
    spans.iter().map(span).collect()
}

/// The histogram that a body of one metric holds.
fn read_histogram(message: Histogram) -> crate::model::Histogram {
    let body = body(&[family("h", HISTOGRAM, vec![histogram(message)])]);
    let mut families = read(&body);
    match families.families.remove(0).series.remove(0).value {
        Value::Histogram(histogram) => *histogram,
        other => panic!("{other:?}"),
    }
}

fn native(message: Histogram) -> NativeHistogram {
    *read_histogram(message).native.expect("it has a native part")
}

#[test]
fn all_simple_types_are_read_with_their_labels() {
    let untyped = Metric { untyped: Some(Untyped { value: Some(3.0) }), ..Metric::default() };
    let mut first =
        family("c_total", COUNTER, vec![counter(&[("a", "1"), ("b", "")], 1.5), counter(&[], 2.0)]);
    first.help = Some("what\nit is".as_bytes().to_vec());
    first.unit = Some(b"seconds".to_vec());
    let body =
        body(&[first, family("g", GAUGE, vec![gauge(&[], -1.0)]), family("u", UNTYPED, vec![untyped])]);
    let families = read(&body);
    let [c, g, u] = &families.families[..] else { panic!("{families:?}") };
    assert_eq!((&*c.name, c.metric_type, c.type_is_declared), ("c_total", MetricType::Counter, true));
    assert_eq!((c.help.as_deref(), c.unit.as_deref()), (Some("what\nit is"), Some("seconds")));
    assert_eq!((g.metric_type, u.metric_type), (MetricType::Gauge, MetricType::Untyped));
    assert_eq!((&g.help, &g.unit), (&None, &None));
    let values: Vec<_> = families.families.iter().flat_map(|family| &family.series).collect();
    let lines: Vec<u32> = values.iter().map(|series| series.line).collect();
    assert_eq!(lines, [1, 2, 3, 4]);
    let values: Vec<_> = values.iter().map(|series| series.value.clone()).collect();
    assert_eq!(values, [Value::Counter(1.5), Value::Counter(2.0), Value::Gauge(-1.0), Value::Untyped(3.0)]);
    let labels: Vec<_> =
        families.labels_of(&c.series[0]).iter().map(|label| (label.name, &*label.value)).collect();
    assert_eq!(labels, [("a", "1"), ("b", "")]);
    assert_eq!(families.labels_of(&c.series[1]), []);
}

#[test]
fn what_is_missing_has_the_default_of_the_schema() {
    // A family without a type, whose metric has an empty counter: `4 metric { 3 counter {} }`.
    let body = [&[7][..], &[0x0a, 1, b'm', 0x22, 2, 0x1a, 0]].concat();
    let families = read(&body);
    assert_eq!(families.families[0].metric_type, MetricType::Counter);
    assert!(families.families[0].type_is_declared);
    assert_eq!(families.families[0].series[0].value, Value::Counter(0.0));
    assert!(read(b"").families.is_empty());
}

#[test]
fn the_order_of_the_fields_does_not_matter_and_unknown_ones_neither() {
    // A metric with an empty gauge and a field 25, then fields 6 to 9 of four kinds around the type, and the
    // name twice.
    let message = [
        &[0x22, 5, 0x12, 0, 0xc8, 1, 5][..],
        &[0x32, 2, b'h', b'i', 0x18, 1, 0x39, 0, 0, 0, 0, 0, 0, 0, 0, 0x45, 0, 0, 0, 0, 0x48, 9],
        &[0x0a, 1, b'x', 0x0a, 1, b'm'],
    ]
    .concat();
    let body = [&[u8::try_from(message.len()).unwrap()][..], &message].concat();
    let families = read(&body);
    assert_eq!((&*families.families[0].name, families.families[0].metric_type), ("m", MetricType::Gauge));
    assert_eq!(families.families[0].series[0].value, Value::Gauge(0.0));
}

#[test]
fn of_a_name_that_stands_twice_the_last_family_counts_and_empty_ones_do_not() {
    let body = body(&[
        family("m", COUNTER, vec![counter(&[("a", "1")], 1.0), counter(&[("a", "2")], 2.0)]),
        family("other", COUNTER, vec![counter(&[], 3.0)]),
        family("empty", GAUGE, vec![]),
        family("m", GAUGE, vec![gauge(&[("b", "1")], 4.0)]),
    ]);
    let families = read(&body);
    let [m, other] = &families.families[..] else { panic!("{families:?}") };
    assert_eq!((&*m.name, m.metric_type, m.series.len()), ("m", MetricType::Gauge, 1));
    assert_eq!(families.labels_of(&m.series[0])[0].name, "b");
    assert_eq!(m.series[0].line, 4);
    assert_eq!(&*other.name, "other");
    assert_eq!(families.series_count(), 2);
    let emptied = super::body(&[family("m", COUNTER, vec![counter(&[], 1.0)]), family("m", COUNTER, vec![])]);
    assert!(read(&emptied).families.is_empty());
}

#[test]
fn a_timestamp_is_noted_whatever_it_says() {
    for milliseconds in [0, -1, 1_700_000_000_000] {
        let metric = Metric { timestamp_ms: Some(milliseconds), ..counter(&[], 1.0) };
        let body = body(&[family("m", COUNTER, vec![metric, counter(&[("a", "1")], 1.0)])]);
        let series = read(&body).families.remove(0).series;
        assert!(series[0].has_timestamp && !series[1].has_timestamp);
    }
}

#[test]
fn a_summary_has_its_quantiles() {
    let quantile = messages::Quantile { quantile: Some(0.5), value: Some(2.0) };
    let summary = Summary {
        sample_count: Some(3),
        sample_sum: Some(6.5),
        quantile: vec![quantile],
        created_timestamp: None,
    };
    let metric = Metric { summary: Some(summary), ..Metric::default() };
    let empty = Metric { summary: Some(Summary::default()), ..Metric::default() };
    let body = body(&[family("s", SUMMARY, vec![metric, empty])]);
    let series = read(&body).families.remove(0).series;
    let Value::Summary(summary) = &series[0].value else { panic!("{series:?}") };
    assert_eq!((summary.count, summary.sum), (Some(3.0), Some(6.5)));
    assert_eq!(summary.quantiles, [Quantile { quantile: 0.5, value: 2.0 }]);
    let Value::Summary(summary) = &series[1].value else { panic!("{series:?}") };
    assert_eq!((summary.count, summary.sum), (None, None));
}

#[test]
fn a_classic_histogram_has_its_buckets_as_they_stand() {
    let bucket = |count, float, bound| messages::Bucket {
        cumulative_count: count,
        cumulative_count_float: float,
        upper_bound: Some(bound),
        exemplar: None,
    };
    let read = read_histogram(Histogram {
        sample_count: Some(5),
        sample_sum: Some(1.5),
        schema: Some(3),
        bucket: vec![
            bucket(Some(2), None, 1.0),
            bucket(Some(3), Some(2.5), 2.0),
            bucket(Some(4), Some(0.0), 0.5),
        ],
        ..Histogram::default()
    });
    let bucket = |upper_bound, cumulative_count| Bucket { upper_bound, cumulative_count };
    assert_eq!(read.buckets, [bucket(1.0, 2.0), bucket(2.0, 2.5), bucket(0.5, 4.0)]);
    assert_eq!((read.count, read.sum), (Some(5.0), Some(1.5)));
    assert_eq!(read.native, None, "a schema alone makes no native part");
    assert_eq!(read_histogram(Histogram::default()).count, None);
}

#[test]
fn a_native_histogram_has_whole_counts_at_their_indexes() {
    let read = read_histogram(Histogram {
        sample_count: Some(20),
        sample_sum: Some(-3.0),
        schema: Some(2),
        zero_threshold: Some(0.001),
        zero_count: Some(4),
        negative_span: spans(&[(-3, 1)]),
        negative_delta: vec![2],
        positive_span: spans(&[(0, 2), (3, 1)]),
        positive_delta: vec![5, -2, 3],
        ..Histogram::default()
    });
    let counts =
        Counts { count: 20, zero: 4, positive: vec![(0, 5), (1, 3), (5, 6)], negative: vec![(-3, 2)] };
    let expected = NativeHistogram {
        schema: 2,
        zero_threshold: 0.001,
        custom_bounds: vec![],
        counts: NativeCounts::Integer(counts),
        sum: None,
    };
    assert_eq!(read.native.as_deref(), Some(&expected));
    assert_eq!((read.count, read.sum), (Some(20.0), Some(-3.0)));
    assert!(read.buckets.is_empty());
}

#[test]
fn counts_that_need_not_be_whole_are_told_by_their_fields() {
    let read = native(Histogram {
        sample_count_float: Some(7.5),
        zero_count_float: Some(0.5),
        schema: Some(-4),
        positive_span: spans(&[(-1, 3)]),
        positive_count: vec![3.25, 0.0, 3.75],
        ..Histogram::default()
    });
    let counts = Counts { count: 7.5, zero: 0.5, positive: vec![(-1, 3.25), (1, 3.75)], negative: vec![] };
    assert_eq!(read.counts, NativeCounts::Float(counts));
    // Zeros in the fields for such counts say nothing.
    let read = native(Histogram {
        sample_count: Some(1),
        sample_count_float: Some(0.0),
        zero_count_float: Some(0.0),
        positive_span: spans(&[(0, 1)]),
        positive_delta: vec![1],
        ..Histogram::default()
    });
    let counts = Counts { count: 1, zero: 0, positive: vec![(0, 1)], negative: vec![] };
    assert_eq!(read.counts, NativeCounts::Integer(counts));
}

#[test]
fn a_native_histogram_is_known_by_a_span_a_threshold_or_a_zero_count() {
    let empty = NativeCounts::Integer(Counts::default());
    let marker = Histogram { schema: Some(1), positive_span: spans(&[(0, 0)]), ..Histogram::default() };
    assert_eq!((native(marker.clone()).schema, native(marker.clone()).counts), (1, empty.clone()));
    assert_eq!(read_histogram(marker).count, Some(0.0));
    let threshold = Histogram { zero_threshold: Some(1e-128), ..Histogram::default() };
    assert_eq!((native(threshold.clone()).zero_threshold, native(threshold).counts), (1e-128, empty));
    for zeros in [
        Histogram { zero_count: Some(2), ..Histogram::default() },
        Histogram { zero_count_float: Some(2.0), ..Histogram::default() },
    ] {
        let zero = match native(zeros).counts {
            NativeCounts::Integer(counts) => number::as_float(counts.zero),
            NativeCounts::Float(counts) => counts.zero,
        };
        assert_eq!(zero, 2.0);
    }
}

#[test]
fn a_gauge_histogram_is_none_that_adds_up() {
    let message = Histogram { sample_count: Some(1), ..Histogram::default() };
    let body = body(&[family("h", GAUGE_HISTOGRAM, vec![histogram(message)])]);
    let families = read(&body);
    assert_eq!(families.families[0].metric_type, MetricType::GaugeHistogram);
    assert!(matches!(families.families[0].series[0].value, Value::GaugeHistogram(_)));
}

#[test]
fn exemplars_say_what_they_are_of() {
    let exemplar = |value, seconds: Option<i64>| Exemplar {
        label: labels(&[("trace_id", "abc")]),
        value: Some(value),
        timestamp: seconds.map(|seconds| Timestamp { seconds: Some(seconds), nanos: Some(500_000_000) }),
    };
    let created = Some(Timestamp { seconds: Some(1), nanos: Some(0) });
    let with_exemplar =
        Counter { value: Some(1.0), exemplar: Some(exemplar(0.5, None)), created_timestamp: created.clone() };
    let bucket = messages::Bucket {
        cumulative_count: Some(1),
        upper_bound: Some(2.0),
        exemplar: Some(Box::new(exemplar(1.5, Some(10)))),
        ..messages::Bucket::default()
    };
    let both = Histogram {
        sample_count: Some(1),
        bucket: vec![bucket],
        exemplars: vec![exemplar(1.75, Some(20))],
        zero_count: Some(1),
        created_timestamp: created,
        ..Histogram::default()
    };
    let body = body(&[
        family("c", COUNTER, vec![Metric { counter: Some(with_exemplar), ..Metric::default() }]),
        family("h", HISTOGRAM, vec![histogram(both)]),
    ]);
    let families = read(&body);
    let exemplars: Vec<_> = families
        .families
        .iter()
        .flat_map(|family| family.series[0].exemplars.as_deref().unwrap())
        .map(|exemplar| {
            assert_eq!(exemplar.labels.get("trace_id"), Some("abc"));
            (exemplar.place, exemplar.value, exemplar.timestamp)
        })
        .collect();
    let expected = [
        (ExemplarPlace::Series, 0.5, None),
        (ExemplarPlace::Bucket(2.0), 1.5, Some(10.5)),
        (ExemplarPlace::Series, 1.75, Some(20.5)),
    ];
    assert_eq!(exemplars, expected);
}

#[test]
fn a_body_is_read_no_further_than_it_takes_to_know_that_it_is_too_large() {
    let metrics = (0..5).map(|i| counter(&[("i", &i.to_string())], 1.0)).collect();
    let mut body = body(&[family("m", COUNTER, metrics)]);
    body.extend(b"junk that is not looked at");
    let up_to = |series_max| ReadLimits { series_max, ..ReadLimits::NONE };
    let families = parse_up_to(&body, NameScheme::Legacy, up_to(3)).unwrap();
    assert_eq!(families.series_count(), 4);
    assert!(parse_up_to(&body, NameScheme::Legacy, up_to(5)).is_err());
}

#[test]
fn with_utf8_names_names_are_any_text() {
    let body = body(&[family("a.b é", COUNTER, vec![counter(&[("x.y", "1")], 1.0)])]);
    let families = parse(&body, NameScheme::Utf8).unwrap();
    assert_eq!(families.families[0].name, "a.b é");
    assert_eq!(families.labels[0].name, "x.y");
}

#[test]
fn many_labels_are_read() {
    let names: Vec<String> = (0..1_000).map(|i| format!("l{i}")).collect();
    let pairs: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "v")).collect();
    let mut families = vec![family("m", COUNTER, vec![counter(&pairs, 1.0), counter(&pairs, 1.0)])];
    assert_eq!(read(&body(&families)).labels.len(), 2_000);
    families[0].metric[1].label.push(labels(&[("l999", "w")]).remove(0));
    assert!(parse(&body(&families), NameScheme::Legacy).is_err());
}
