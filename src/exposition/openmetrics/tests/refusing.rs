//! What is refused, with the whole message.

use super::super::parse_up_to;
use super::{parse, with_eof};
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
    let error = parse_up_to(b"a 1\nb{l=\"\xff\"} 1\n# EOF\n", NameScheme::Legacy, usize::MAX).unwrap_err();
    assert_eq!(error.to_string(), "openmetrics parsing error in line 2: the line is not valid UTF-8");
}
