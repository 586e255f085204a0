//! What is refused, with the whole message.

use std::time::{Duration, Instant};

use super::super::parse_up_to;
use super::{parse, with_eof};
use crate::exposition::ReadLimits;
use crate::model::NameScheme;

/// The message for a body that must be refused, as its line and what follows the prefix.
#[track_caller]
fn assert_refused(body: &str, line: u32, message: &str) {
    match parse(body) {
        Ok(families) => panic!("{body:?} gave {families:?}"),
        Err(error) => assert_eq!(
            error.to_string(),
            format!("openmetrics parsing error in line {line}: {message}"),
            "for {body:?}"
        ),
    }
}

#[test]
fn the_end_must_be_marked_and_nothing_may_follow() {
    let no_end = "the body does not end with \"# EOF\"; it may be cut short";
    assert_refused("", 1, no_end);
    assert_refused("a 1\n", 1, no_end);
    assert_refused("a 1\nb 1", 2, no_end);
    assert_refused("# EOF\n\n", 2, "text after \"# EOF\"");
    assert_refused("a 1\n# EOF\nb 1\n", 3, "text after \"# EOF\"");
    assert_refused("a 1\n\n# EOF\n", 2, "blank line");
    for cut in 1..26 {
        assert!(parse(&"# TYPE a counter\na_total 1\n# EOF"[..cut]).is_err());
    }
}

#[test]
fn comments() {
    let text = "; a comment is # TYPE, # HELP, # UNIT or # EOF, with one blank between words";
    for comment in
        ["#", "# some text", "#TYPE a counter", "#  TYPE a counter", "# EOF ", "# eof", "# TYPES a"]
    {
        let quoted = format!("invalid comment \"{comment}\"{text}");
        assert_refused(&with_eof(&format!("{comment}\n")), 1, &quoted);
    }
    for (lines, line, message) in [
        ("# TYPE a untyped\n", 1, "unknown metric type \"untyped\""),
        ("# TYPE a Counter\n", 1, "unknown metric type \"Counter\""),
        ("# TYPE a\n", 1, "expected a blank behind the metric's name, found \"\""),
        ("# TYPE a-b gauge\n", 1, "expected a blank behind the metric's name, found \"-b gauge\""),
        ("# TYPE 1a gauge\n", 1, "invalid metric name"),
        ("# TYPE a gauge\n# TYPE a gauge\n", 2, "second TYPE line for metric family \"a\""),
        ("# HELP a x\n# HELP a y\n", 2, "second HELP line for metric family \"a\""),
        ("# UNIT a_s s\n# UNIT a_s s\n", 2, "second UNIT line for metric family \"a_s\""),
        ("a 1\n# HELP a x\n", 2, "HELP line after the samples of metric family \"a\""),
    ] {
        assert_refused(&with_eof(lines), line, message);
    }
}

#[test]
fn families_stand_together_and_share_no_name() {
    let taken = |name: &str| {
        format!(
            "the name \"{name}\" belongs to an earlier metric family; the lines of a family must stand together, \
             and no two may share a name"
        )
    };
    for (lines, line, name) in [
        ("a 1\nb 1\na{l=\"v\"} 1\n", 3, "a"),
        ("# TYPE a gauge\n# TYPE b gauge\n# TYPE a gauge\n", 3, "a"),
        ("# TYPE a counter\na_total 1\n# TYPE b gauge\nb 1\na_total{l=\"v\"} 1\n", 5, "a_total"),
        ("a_total 1\n# TYPE a counter\na_total{l=\"v\"} 1\n", 2, "a_total"),
        (
            "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\n# TYPE a_created gauge\na_created 1\n",
            3,
            "a_created",
        ),
    ] {
        assert_refused(&with_eof(lines), line, &taken(name));
    }
}

#[test]
fn samples_have_the_suffixes_of_their_type() {
    for (metric_type, suffixes) in [
        ("counter", "_total or _created"),
        ("histogram", "_bucket, _sum, _count or _created"),
        ("gaugehistogram", "_bucket, _gsum or _gcount"),
        ("info", "_info"),
    ] {
        let message = format!("sample \"a\" of a {metric_type} must have a name that ends with {suffixes}");
        assert_refused(&with_eof(&format!("# TYPE a {metric_type}\na 1\n")), 2, &message);
    }
    assert_refused(
        &with_eof("# TYPE a counter\na_created 1\n"),
        2,
        "a counter of \"a\" has no sample that ends with _total",
    );
}

#[test]
fn units_are_the_end_of_the_name() {
    for (metric_type, name, unit) in [
        ("gauge", "a", "s"),
        ("gauge", "as", "s"),
        ("gauge", "a_s", "a_s"),
        ("gauge", "a", ""),
        ("info", "a_s", "s"),
    ] {
        let lines = format!("# TYPE {name} {metric_type}\n# UNIT {name} {unit}\n");
        let message = format!(
            "the unit \"{unit}\" is not the end of the name of {metric_type} \"{name}\", or that type has no unit"
        );
        assert_refused(&with_eof(&lines), 2, &message);
    }
}

#[test]
fn series_stand_once_and_together() {
    let repeated = |sample: &str| {
        format!(
            "sample \"{sample}\" stands twice with the same labels, or apart from the others of its series"
        )
    };
    for (lines, line, sample) in [
        ("a 1\na 2\n", 2, "a"),
        ("a{l=\"v\",m=\"w\"} 1\na{m=\"w\",l=\"v\",n=\"\"} 2\n", 2, "a"),
        ("a{l=\"v\"} 1\na 1\na{l=\"v\"} 2\n", 3, "a"),
        ("# TYPE a counter\na_total 1\na_total 1\n", 3, "a_total"),
        ("# TYPE a counter\na_total 1\na_created 1\na_created 1\n", 4, "a_created"),
        ("# TYPE a counter\na_total 1\na_total{l=\"v\"} 1\na_created 1\n", 4, "a_created"),
        ("# TYPE a summary\na_sum 1\na_sum 1\n", 3, "a_sum"),
        ("# TYPE a summary\na{quantile=\"1\"} 1\na{quantile=\"1.0\"} 1\n", 3, "a"),
        ("# TYPE a info\na_info 1\na_info 1\n", 3, "a_info"),
        ("# TYPE a stateset\na{a=\"x\"} 1\na{a=\"x\"} 0\n", 3, "a"),
        ("# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 1\na_count 1\n", 4, "a_count"),
    ] {
        assert_refused(&with_eof(lines), line, &repeated(sample));
    }
}

#[test]
fn histograms_summaries_and_states_are_whole() {
    for (lines, line, message) in [
        ("# TYPE a histogram\na_bucket 1\n", 2, "sample \"a_bucket\" has no label \"le\""),
        ("# TYPE a histogram\na_bucket{le=\"x\"} 1\n", 2, "invalid value \"x\" of the label le"),
        ("# TYPE a histogram\na_bucket{le=\"NaN\"} 1\n", 2, "invalid value \"NaN\" of the label le"),
        (
            "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"1.0\"} 1\n",
            3,
            "the buckets of \"a_bucket\" do not stand in ascending order of le, each once",
        ),
        (
            "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_count 1\na_sum 1\n",
            2,
            "a histogram of \"a\" has no bucket with le=\"+Inf\"",
        ),
        (
            "# TYPE a gaugehistogram\na_gcount 1\n",
            2,
            "a gaugehistogram of \"a\" has no bucket with le=\"+Inf\"",
        ),
        (
            "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\n",
            2,
            "a histogram of \"a\" has only one of sum and count; it must have both or none",
        ),
        ("# TYPE a summary\na 1\n", 2, "sample \"a\" has no label \"quantile\""),
        ("# TYPE a summary\na{quantile=\"1.5\"} 1\n", 2, "invalid value \"1.5\" of the label quantile"),
        ("# TYPE a info\na_info 2\n", 2, "the value of info \"a_info\" must be 1"),
        ("# TYPE a stateset\na 1\n", 2, "sample \"a\" has no label \"a\""),
        ("# TYPE a stateset\na{a=\"x\"} 2\n", 2, "a value of state set \"a\" must be 0 or 1"),
    ] {
        assert_refused(&with_eof(lines), line, message);
    }
}

#[test]
fn labels_and_numbers() {
    for (line, message) in [
        ("1a 1", "invalid metric name"),
        ("{} 1", "invalid metric name"),
        ("{l=\"v\"} 1", "invalid metric name"),
        ("{\"a.b\"} 1", "invalid metric name \"a.b\""),
        ("\"a\\nb\" 1", "invalid metric name \"a\\nb\""),
        ("a{\"l.m\"=\"v\"} 1", "invalid label name \"l.m\""),
        ("a{l=\"v\",l=\"w\"} 1", "duplicate label name \"l\""),
        ("a{__name__=\"v\"} 1", "label name \"__name__\" is reserved"),
        ("a{l=\"v\",} 1", "expected a label name, found \"} 1\""),
        ("a{ l=\"v\"} 1", "expected a label name, found \" l=\\\"v\\\"} 1\""),
        ("a{l =\"v\"} 1", "expected '=' behind a label name, found \" =\\\"v\\\"} 1\""),
        ("a{l=v} 1", "expected a label value in quotes, found \"v} 1\""),
        ("a{l=\"v} 1", "expected a label value in quotes, found \"\\\"v} 1\""),
        ("a{l=\"v\" 1", "expected ',' or '}' behind a label, found \" 1\""),
        ("a", "expected a blank before the value, found \"\""),
        ("a{l=\"v\"}1", "expected a blank before the value, found \"1\""),
        ("a  1", "expected a number as value, got \"\""),
        ("a x", "expected a number as value, got \"x\""),
        ("a 1 ", "expected a number as timestamp, got \"\""),
        ("a 1 x", "expected a number as timestamp, got \"x\""),
        ("a 1 NaN", "expected a number as timestamp, got \"NaN\""),
        ("a 1 5 6", "expected the end of the line or an exemplar, ' # {...} value', found \" 6\""),
        ("a 1\r", "expected a number as value, got \"1\\r\""),
    ] {
        assert_refused(&with_eof(&format!("{line}\n")), 1, message);
    }
    let names = (0..20).fold(String::new(), |labels, i| labels + &format!("l{i}=\"\","));
    assert_refused(&with_eof(&format!("a{{{names}l3=\"\"}} 1\n")), 1, "duplicate label name \"l3\"");
}

#[test]
fn exemplars() {
    let counter = |exemplar: &str| with_eof(&format!("# TYPE a counter\na_total 1{exemplar}\n"));
    for (exemplar, message) in [
        (" #", "expected the end of the line or an exemplar, ' # {...} value', found \" #\""),
        (" # {}", "expected a blank before the value, found \"\""),
        (" # {} x", "expected a number as value, got \"x\""),
        (" # {} 1 x", "expected a number as timestamp, got \"x\""),
        (" # {} 1 2 3", "expected the end of the line, found \" 3\""),
        (" # {l=\"v\",l=\"v\"} 1", "duplicate label name \"l\""),
    ] {
        assert_refused(&counter(exemplar), 2, message);
    }
    // Characters, not bytes.
    let labels = |count: usize| counter(&format!(" # {{l=\"{}\"}} 1", "é".repeat(count)));
    assert!(parse(&labels(127)).is_ok());
    assert_refused(&labels(128), 2, "the labels of the exemplar have 129 characters and may have 128");
    for lines in [
        "# TYPE a gauge\na 1 # {} 1\n",
        "# TYPE a summary\na_count 1 # {} 1\n",
        "# TYPE a histogram\na_sum 1 # {} 1\n",
    ] {
        assert!(
            parse(&with_eof(lines)).unwrap_err().to_string().contains("may not have an exemplar"),
            "{lines}"
        );
    }
}

#[test]
fn what_is_not_utf8_is_refused_in_its_line() {
    let error =
        parse_up_to(b"a 1\nb{l=\"\xff\"} 1\n# EOF\n", NameScheme::Legacy, ReadLimits::NONE).unwrap_err();
    assert_eq!(error.to_string(), "openmetrics parsing error in line 2: the line is not valid UTF-8");
}

/// What is said of a body of these lines under limits; `None` if it is read.
fn under(limits: ReadLimits, lines: &str) -> Option<String> {
    let error = parse_up_to(with_eof(lines).as_bytes(), NameScheme::Utf8, limits).err()?;
    Some(error.to_string())
}

#[test]
fn a_sample_has_so_many_labels_and_no_more() {
    let two = ReadLimits { labels_max: 2, ..ReadLimits::NONE };
    let histogram = "# TYPE h histogram\nh_bucket{a=\"1\",le=\"+Inf\",b=\"2\"} 1\n";
    for within in [
        "m{a=\"1\",b=\"2\"} 1\n",
        "{a=\"1\",\"m\",b=\"2\"} 1\n",
        "m{a=\"1\",b=\"2\"} 1\nm{a=\"2\",b=\"2\"} 1\n",
        // What tells a sample from others of its series does not count.
        histogram,
        "# TYPE s summary\n{a=\"1\",b=\"2\",quantile=\"1\",\"s\"} 1\n",
        "# TYPE s stateset\ns{a=\"1\",b=\"2\",s=\"on\"} 1\n",
        // Nor do those of an exemplar.
        "# TYPE c counter\nc_total{a=\"1\",b=\"2\"} 1 # {a=\"1\",b=\"2\",c=\"3\",d=\"4\"} 1\n",
    ] {
        assert_eq!(under(two, within), None, "{within}");
    }
    let over_histogram = format!("{histogram}h_count{{a=\"1\",b=\"2\",c=\"3\"}} 1\n");
    for (over, line, metric, found) in [
        ("m{a=\"1\",b=\"2\",c=\"3\"} 1\n", 1, "m", 3),
        // One without a value takes as much room.
        ("n 1\nm{a=\"\",b=\"\",c=\"\"} 1\n", 2, "m", 3),
        ("{a=\"1\",b=\"2\",c=\"3\",\"m\"} 1\n", 1, "m", 3),
        ("m{a=\"1\",b=\"2\",le=\"3\"} 1\n", 1, "m", 3),
        ("# TYPE c counter\nc_total{a=\"1\",b=\"2\",c=\"3\"} 1\n", 2, "c_total", 3),
        (&over_histogram, 3, "h", 3),
        ("# TYPE h histogram\nh_bucket{a=\"1\",b=\"2\",le=\"1\",c=\"3\"} 1\n", 2, "h", 4),
    ] {
        let text = format!("labels of metric \"{metric}\": {found} is over the limit of 2");
        assert_eq!(
            under(two, over),
            Some(format!("openmetrics parsing error in line {line}: {text}")),
            "{over}"
        );
    }
    let none = ReadLimits { labels_max: 0, ..ReadLimits::NONE };
    assert_eq!(under(none, "m{} 1\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\n"), None);
    assert!(under(none, "m{a=\"\"} 1\n").is_some());
}

#[test]
fn of_a_million_labels_few_are_read() {
    let labels = (0..1_000_000).fold(String::new(), |labels, i| labels + &format!("l{i}=\"\","));
    let limits = ReadLimits { labels_max: 64, ..ReadLimits::NONE };
    // One of them may have been a bound.
    let text = "openmetrics parsing error in line 1: labels of metric \"m\": 66 is over the limit of 64";
    assert_eq!(under(limits, &format!("m{{{labels}l=\"\"}} 1\n")).as_deref(), Some(text));
    let inside = under(limits, &format!("{{{labels}\"m\"}} 1\n")).unwrap();
    assert!(inside.contains("66 is over the limit of 64"), "{inside}");
    // Of an exemplar as many are read as its characters can be labels.
    let exemplar = under(limits, &format!("# TYPE c counter\nc_total 1 # {{{labels}l=\"\"}} 1\n")).unwrap();
    let characters: usize = (0..129).map(|i| format!("l{i}").len()).sum();
    let text = format!("the labels of the exemplar have {characters} characters and may have 128");
    assert!(exemplar.ends_with(&text), "{exemplar}");
}

#[test]
fn a_body_has_so_many_parts_and_no_more() {
    let limits = |parts_max| ReadLimits { parts_max, ..ReadLimits::NONE };
    for (lines, parts) in [
        ("# TYPE s stateset\ns{s=\"a\"} 1\ns{s=\"b\"} 1\ns{s=\"a\",l=\"1\"} 1\n", 12),
        ("# TYPE s summary\ns_sum 1\ns{quantile=\"0\"} 1\ns{quantile=\"1\"} 1\n", 2),
        ("# TYPE h gaugehistogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1 # {} 1\n", 10),
        ("# TYPE c counter\nc_total 1 # {} 1\nc_total{l=\"1\"} 1\n", 8),
        ("a 1\n# TYPE c counter\nc_total 1\n", 0),
    ] {
        assert_eq!(under(limits(parts), lines), None, "{lines}");
        if parts > 0 {
            let text = under(limits(parts - 1), lines).unwrap();
            let start = format!("the body has more than {} buckets", parts - 1);
            assert!(text.contains(&start), "{lines}: {text}");
        }
    }
}

#[test]
fn families_with_a_sample_are_not_taken_for_those_without() {
    let limits = ReadLimits { series_max: 3, ..ReadLimits::NONE };
    let families = (0..9).fold(String::new(), |body, i| body + &format!("# TYPE a{i} gauge\na{i} 1\n"));
    let read = parse_up_to(families.as_bytes(), NameScheme::Legacy, limits).unwrap();
    assert_eq!(read.series_count(), 4, "which is told from what has as many as there may be");
}

/// What costs linear time takes milliseconds here; what is quadratic would take minutes.
#[test]
fn nothing_that_can_be_sent_takes_more_than_linear_time() {
    let lines = |count: usize, line: fn(usize) -> String| -> String {
        (0..count).fold(String::new(), |lines, i| lines + &line(i))
    };
    let long = "x".repeat(1 << 20);
    let start = Instant::now();
    for body in [
        // A table that has grown once must not be cleared for each family that follows.
        lines(200_000, |i| format!("a{{l=\"{i}\"}} 1\n")) + &lines(200_000, |i| format!("b{i} 1\n")),
        lines(100_000, |i| format!("# TYPE a{i} histogram\n")),
        format!("# TYPE s stateset\n{}", lines(200_000, |i| format!("s{{s=\"{i}\"}} 1\n"))),
        format!("# TYPE s summary\n{}", lines(200_000, |i| format!("s{{quantile=\"0.{i}1\"}} 1\n"))),
        format!("a{{{}l=\"\"}} 1\n", lines(200_000, |i| format!("l{i}=\"\","))),
        format!("# TYPE {long} histogram\n{long}_bucket{{le=\"+Inf\"}} 1\n# TYPE {long}_ histogram\n"),
        format!("a{{l=\"{}\"}} 1\n", "\\n".repeat(1 << 20)),
    ] {
        parse(&with_eof(&body)).expect("well formed");
    }
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}
