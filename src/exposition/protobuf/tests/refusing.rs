//! What bodies must not say, and what they are told.

use super::super::messages::{BucketSpan, Exemplar, Timestamp};
use super::*;
use crate::exposition::ReadLimits;

/// The error that a body is refused with.
fn refused(body: &[u8]) -> ParseError {
    match parse(body, NameScheme::Legacy) {
        Ok(families) => panic!("accepted: {families:?}"),
        Err(error) => error,
    }
}

/// The text that one family is refused with.
fn family_refused(family: MetricFamily) -> String {
    refused(&body(&[family])).to_string()
}

/// The text that one histogram is refused with.
fn histogram_refused(message: Histogram) -> String {
    family_refused(family("h", HISTOGRAM, vec![histogram(message)]))
}

#[test]
fn a_cut_body_ends_unexpectedly_wherever_it_is_cut() {
    let whole = body(&[family("m", COUNTER, vec![counter(&[("a", "1")], 1.0)]), family("n", GAUGE, vec![])]);
    let first = body(&[family("m", COUNTER, vec![counter(&[("a", "1")], 1.0)])]).len();
    for end in (1..whole.len()).filter(|end| *end != first) {
        let error = refused(&whole[..end]);
        assert!(error.to_string().starts_with("unexpected EOF"), "cut at {end}: {error}");
        let number = if end < first { 1 } else { 2 };
        assert_eq!(error.place, Place::Message { number });
    }
    assert_eq!(read(&whole).series_count(), 1);
    // A length that does not end, and one beyond all bodies.
    assert_eq!(refused(&[0xff]).kind, ParseErrorKind::UnexpectedEnd);
    let far = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(refused(&far).kind, ParseErrorKind::UnexpectedEnd);
    assert!(refused(&[0xff; 11]).to_string().starts_with("proto: "));
}

#[test]
fn what_is_no_message_is_told_by_its_place() {
    for (body, place) in [
        // Text, whose first byte is a length of 109.
        (&b"m_total 1\n"[..], "unexpected EOF"),
        (&[1, 0xff], "message 1 of the body"),
        (&[2, 0x08, 1], "message 1 of the body"),
        (&[5, 0x0a, 1, b'm', 0x22, 9], "message 1 of the body"),
        (&[7, 0x0a, 1, b'm', 0x22, 2, 0x1a, 9], "metric 1 of the body, {} of the family \"m\""),
        (&[7, 0x0a, 1, b'm', 0x22, 2, 0x18, 9], "metric 1 of the body"),
        (&[8, 0x0a, 1, b'm', 0x22, 3, 0x1a, 1, 0x09], "metric 1 of the body"),
        (&[5, 0x0a, 1, b'm', 0x20, 1], "the family \"m\""),
    ] {
        let text = refused(body).to_string();
        assert!(text.contains(place), "{body:x?}: {text}");
        assert!(text.starts_with("proto: ") || text.starts_with("unexpected EOF"), "{text}");
    }
}

#[test]
fn names_and_types_are_judged() {
    let named = |name: &[u8]| {
        let mut family = family("", COUNTER, vec![]);
        family.name = Some(name.to_vec());
        family_refused(family)
    };
    for (name, parts) in [
        (&b""[..], &["message 1 of the body", "invalid metric name", "needs a name"][..]),
        (b"a.b", &["the family \"a.b\"", "invalid metric name", "--push.enable-utf8-names"]),
        (b"a b\n", &["the family \"a b\\n\"", "invalid metric name"]),
        (b"m\xff", &["the family \"m\\xff\"", "not valid UTF-8"]),
    ] {
        let text = named(name);
        for part in parts {
            assert!(text.contains(part), "{name:?}: {text}");
        }
    }
    assert!(family_refused(MetricFamily::default()).contains("needs a name"));
    assert!(family_refused(family("m", 9, vec![])).contains("the family \"m\": unknown metric type 9"));
    assert!(family_refused(family("m", -1, vec![])).contains("unknown metric type"));
    let mut bad = family("m", COUNTER, vec![]);
    bad.help = Some(b"a\xffb".to_vec());
    assert!(
        family_refused(bad.clone()).contains("the family \"m\": the HELP is not valid UTF-8: \"a\\xffb\"")
    );
    bad.help = None;
    bad.unit = Some(vec![0xff]);
    assert!(family_refused(bad).contains("the unit is not valid UTF-8"));
    // Also in UTF-8.
    let nameless = body(&[family("", COUNTER, vec![])]);
    assert_eq!(parse(&nameless, NameScheme::Utf8).unwrap_err().kind, ParseErrorKind::NoMetricName);
}

#[test]
fn a_metric_holds_the_value_of_its_familys_type_and_no_other() {
    let mut untyped = family("m", COUNTER, vec![counter(&[], 1.0), gauge(&[("a", "1")], 1.0)]);
    untyped.r#type = None;
    let text = family_refused(untyped);
    assert!(
        text.starts_with(
            "protobuf format parsing error in metric 2 of the body, {a=\"1\"} of the family \"m\": it holds a \
             GAUGE and is not a COUNTER"
        ),
        "{text}"
    );
    for (r#type, name) in [
        (GAUGE, "GAUGE"),
        (SUMMARY, "SUMMARY"),
        (UNTYPED, "UNTYPED"),
        (HISTOGRAM, "HISTOGRAM"),
        (GAUGE_HISTOGRAM, "GAUGE_HISTOGRAM"),
    ] {
        let text = family_refused(family("m", r#type, vec![counter(&[], 1.0)]));
        assert!(text.contains(&format!("holds a COUNTER and is not a {name}")), "{text}");
        let text = family_refused(family("m", r#type, vec![Metric::default()]));
        assert!(text.contains(&format!("holds no value and is not a {name}")), "{text}");
    }
    let both = Metric { gauge: Some(Gauge::default()), ..counter(&[], 1.0) };
    let text = family_refused(family("m", COUNTER, vec![both]));
    assert!(text.contains("several values (GAUGE and COUNTER)"), "{text}");
}

#[test]
fn labels_are_judged() {
    let summary = Metric { summary: Some(Summary::default()), ..Metric::default() };
    for (family, text) in [
        (family("m", COUNTER, vec![counter(&[("x.y", "1")], 1.0)]), "invalid label name \"x.y\""),
        (family("m", COUNTER, vec![counter(&[("", "1")], 1.0)]), "invalid label name \"\""),
        (family("m", COUNTER, vec![counter(&[("a:b", "1")], 1.0)]), "invalid label name \"a:b\""),
        (
            family("m", COUNTER, vec![counter(&[("__name__", "x")], 1.0)]),
            "label name \"__name__\" is reserved",
        ),
        (
            family("m", COUNTER, vec![counter(&[("a", "1"), ("b", "2"), ("a", "1")], 1.0)]),
            "{a=\"1\",b=\"2\"} of the family \"m\": two or more labels have the same name: \"a\"",
        ),
        (
            family(
                "h",
                HISTOGRAM,
                vec![Metric { label: labels(&[("le", "1")]), ..histogram(Histogram::default()) }],
            ),
            "a histogram must not have an explicit \"le\" label",
        ),
        (
            family("h", GAUGE_HISTOGRAM, vec![Metric { label: labels(&[("le", "1")]), ..Metric::default() }]),
            "a gaugehistogram must not have an explicit \"le\" label",
        ),
        (
            family("s", SUMMARY, vec![Metric { label: labels(&[("quantile", "1")]), ..summary }]),
            "a summary must not have an explicit \"quantile\" label",
        ),
    ] {
        let found = family_refused(family);
        assert!(found.contains(text), "{found}");
    }
    let advice = family_refused(family("m", COUNTER, vec![counter(&[("x.y", "1")], 1.0)]));
    assert!(advice.contains("--push.enable-utf8-names"), "{advice}");
    for bad in [&[b'a', 0xff][..], &[0xff]] {
        let mut metric = counter(&[("l", "v")], 1.0);
        metric.label[0].value = Some(bad.to_vec());
        let text = family_refused(family("m", COUNTER, vec![metric.clone()]));
        assert!(text.contains("of the family \"m\": a label value is not valid UTF-8"), "{text}");
        metric.label[0].name = Some(bad.to_vec());
        let text = family_refused(family("m", COUNTER, vec![metric]));
        assert!(text.contains("a label name is not valid UTF-8"), "{text}");
    }
    // Allowed where it means nothing.
    let allowed = body(&[family("m", COUNTER, vec![counter(&[("le", "1"), ("quantile", "1")], 1.0)])]);
    assert_eq!(read(&allowed).series_count(), 1);
}

#[test]
fn native_parts_must_fit_together() {
    let span = |offset, length| BucketSpan { offset: Some(offset), length: Some(length) };
    let base =
        || Histogram { positive_span: vec![span(0, 1)], positive_delta: vec![1], ..Histogram::default() };
    for (message, text) in [
        (Histogram { schema: Some(9), ..base() }, "schema 9 is not known"),
        (Histogram { schema: Some(-5), ..base() }, "schema -5 is not known"),
        (Histogram { schema: Some(-53), ..base() }, "push classic buckets"),
        (Histogram { schema: Some(i32::MIN), ..base() }, "is not known"),
        (Histogram { zero_threshold: Some(f64::NAN), ..base() }, "zero threshold is NaN"),
        (Histogram { zero_threshold: Some(-1.0), ..base() }, "zero threshold is -1"),
        (Histogram { zero_threshold: Some(f64::INFINITY), ..base() }, "zero threshold is inf"),
        (
            Histogram { positive_span: vec![], ..base() },
            "on the positive side, there are spans of 0 buckets and 1",
        ),
        (
            Histogram { negative_span: vec![span(0, 1)], ..base() },
            "on the negative side, there are spans of 1",
        ),
        (Histogram { positive_delta: vec![-1], ..base() }, "falls below 0"),
        (
            Histogram { positive_count: vec![1.0], ..base() },
            "deltas in a histogram whose counts are floating-point",
        ),
        (Histogram { sample_count_float: Some(0.5), ..base() }, "deltas in a histogram"),
        (
            Histogram { positive_span: vec![span(0, u32::MAX)], ..base() },
            "spans of 4294967295 buckets and 1 counts",
        ),
        (Histogram { positive_span: vec![span(i32::MAX, 1)], ..base() }, "the index 2147483647"),
    ] {
        let found = histogram_refused(message);
        assert!(
            found.contains("metric 1 of the body, {} of the family \"h\": native histogram: "),
            "{found}"
        );
        assert!(found.contains(text), "{found}");
    }
}

#[test]
fn times_and_exemplars_are_judged() {
    let time = |nanos| Some(Timestamp { seconds: Some(1), nanos: Some(nanos) });
    let text = histogram_refused(Histogram { created_timestamp: time(-1), ..Histogram::default() });
    assert!(text.contains("created timestamp has -1 nanoseconds"), "{text}");
    let exemplar = Exemplar { timestamp: time(1_000_000_000), ..Exemplar::default() };
    let text = histogram_refused(Histogram { exemplars: vec![exemplar], ..Histogram::default() });
    assert!(text.contains("exemplar's timestamp has 1000000000 nanoseconds"), "{text}");
    let long = "x".repeat(200);
    let exemplar = Exemplar { label: labels(&[("a", &long)]), ..Exemplar::default() };
    let with_exemplar = Counter { exemplar: Some(exemplar), ..Counter::default() };
    let metric = Metric { counter: Some(with_exemplar), ..Metric::default() };
    let text = family_refused(family("m", COUNTER, vec![metric]));
    assert!(text.contains("201 characters"), "{text}");
}

#[test]
fn what_a_body_can_cost_is_bounded() {
    // Empty buckets, of two bytes each, that fill a value to the byte.
    let body_of = |bytes: usize| {
        let mut message = header("h", None, crate::model::MetricType::Histogram, None);
        wire::write_nested(&mut message, 4, |out| {
            wire::write_nested(out, 7, |out| out.extend([0x1a, 0].repeat(bytes / 2)));
        });
        [length_prefix(message.len()), message].concat()
    };
    let max = value::VALUE_BYTES_MAX;
    assert_eq!(read(&body_of(max)).series_count(), 1);
    let too_large = refused(&body_of(max + 2));
    assert_eq!(too_large.kind, ParseErrorKind::ValueTooLarge { found: max + 2, max });
    // An error quotes only a little of the body.
    let text = family_refused(family(&"a.".repeat(100_000), COUNTER, vec![]));
    assert!(text.len() < 1_000, "{}", text.len());
    let long = "v".repeat(100_000);
    let pairs: Vec<(String, &str)> = (0..100).map(|i| (format!("l{i}"), &*long)).collect();
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (&**name, *value)).collect();
    let text = family_refused(family("m", GAUGE, vec![counter(&pairs, 1.0)]));
    assert!(text.len() < 4_000, "{}", text.len());
}

/// What is said of a body under these limits; `None` if it is read.
fn under(limits: ReadLimits, families: &[MetricFamily]) -> Option<String> {
    parse_up_to(&body(families), NameScheme::Legacy, limits).err().map(|error| error.to_string())
}

#[test]
fn a_metric_has_so_many_labels_and_no_more() {
    let two = ReadLimits { labels_max: 2, ..ReadLimits::NONE };
    let of = |pairs: &[(&str, &str)]| family("m", COUNTER, vec![counter(pairs, 1.0), counter(&[], 1.0)]);
    assert_eq!(
        under(two, &[of(&[("a", "1"), ("b", "2")]), family("n", COUNTER, vec![counter(&[], 1.0)])]),
        None
    );
    // One without a value takes as much room.
    for pairs in [[("a", "1"), ("b", "2"), ("c", "3")], [("a", ""), ("b", ""), ("c", "")]] {
        let text = under(two, &[family("n", COUNTER, vec![counter(&[], 1.0)]), of(&pairs)]).unwrap();
        assert!(text.starts_with("protobuf format parsing error in metric 2 of the body, {a="), "{text}");
        assert!(text.ends_with("labels of metric \"m\": 3 is over the limit of 2"), "{text}");
    }
    let none = ReadLimits { labels_max: 0, ..ReadLimits::NONE };
    assert_eq!(under(none, &[of(&[])]), None);
    assert!(under(none, &[of(&[("a", "")])]).is_some());
}

#[test]
fn of_a_million_labels_few_are_read() {
    let names: Vec<String> = (0..1_000_000).map(|i| format!("l{i}")).collect();
    let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let limits = ReadLimits { labels_max: 64, ..ReadLimits::NONE };
    let text = under(limits, &[family("m", COUNTER, vec![counter(&pairs, 1.0)])]).unwrap();
    assert!(text.ends_with("labels of metric \"m\": 65 is over the limit of 64"), "{text}");
}

#[test]
fn families_without_a_metric_are_bounded() {
    let limits = ReadLimits { series_max: 3, ..ReadLimits::NONE };
    let families = |metrics: usize| -> Vec<MetricFamily> {
        let family = |i| family(&format!("m{i}"), COUNTER, vec![counter(&[], 1.0); metrics]);
        (0..9).map(family).collect()
    };
    let text = under(limits, &families(0)).unwrap();
    assert!(text.contains("the family \"m3\": the body declares more than 3 metric families"), "{text}");
    let body = body(&families(1));
    let read = parse_up_to(&body, NameScheme::Legacy, limits).unwrap();
    assert_eq!(read.series_count(), 4, "which is told from what has as many as there may be");
}

#[test]
fn what_is_replaced_is_bounded() {
    let limits = ReadLimits { series_max: 3, ..ReadLimits::NONE };
    let two = family("m", COUNTER, vec![counter(&[("a", "1")], 1.0), counter(&[("a", "2")], 1.0)]);
    let one = family("m", COUNTER, vec![counter(&[], 1.0)]);
    assert_eq!(under(limits, &[two.clone(), one]), None);
    let text = under(limits, &[two.clone(), two]).unwrap();
    assert!(text.contains("more than 3 metrics, those of families that stand twice included"), "{text}");
}
