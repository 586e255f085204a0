//! What is refused, with the whole message.

use std::time::{Duration, Instant};

use super::super::{parse, parse_up_to};
use crate::exposition::ReadLimits;
use crate::model::NameScheme;

fn error(body: &[u8]) -> String {
    match parse(body) {
        Ok(families) => panic!("{:?} gave {families:?}", String::from_utf8_lossy(body)),
        Err(error) => error.to_string(),
    }
}

/// The messages for bodies whose only line is wrong.
#[track_caller]
fn assert_refused(cases: &[(&[u8], &str)]) {
    for (body, message) in cases {
        let expected = format!("text format parsing error in line 1: {message}");
        assert_eq!(error(body), expected, "for {:?}", String::from_utf8_lossy(body));
    }
}

#[test]
fn a_body_must_end_with_a_line_feed_wherever_it_ends() {
    let line = "{\"m\", l = \"v\\n\" , k=\"\"} 1.5 12345";
    for end in 1..line.len() {
        assert_refused(&[(&line.as_bytes()[..end], "unexpected end of input stream")]);
    }
    for body in [
        "a",
        "a ",
        "a 1",
        "a 1 ",
        "a 1 5",
        "#",
        "# foo",
        "# HELP a b",
        "# HELP a \\",
        "# TYPE a counter",
        "# TYPE \"a",
    ] {
        assert_refused(&[(body.as_bytes(), "unexpected end of input stream")]);
    }
}

#[test]
fn metric_names() {
    assert_refused(&[
        (b"1a 1\n", "invalid metric name"),
        (b"-a 1\n", "invalid metric name"),
        (b"\xef\xbb\xbfa 1\n", "invalid metric name"),
        (b"\r\n", "invalid metric name"),
        (b"}\n", "invalid metric name"),
        (b"{} 1\n", "invalid metric name"),
        (b"{}", "invalid metric name"),
        (b"{ } 1\n", "invalid metric name"),
        (b"{l=\"v\"} 1\n", "invalid metric name"),
        (b"{l=\"v\",} 1\n", "invalid metric name"),
        (b"{\"m\"=\"v\"} 1\n", "invalid metric name"),
        (b"\"\" 1\n", "invalid metric name"),
        (b"\"a.b\" 1\n", "invalid metric name \"a.b\""),
        (b"{\"a.b\"} 1\n", "invalid metric name \"a.b\""),
        (b"\"1a\" 1\n", "invalid metric name \"1a\""),
        (b"{\"m\\n\"} 1\n", "invalid metric name \"m\\n\""),
        (b"\"a\\\"b\" 1\n", "invalid metric name \"a\\\"b\""),
        (b"{\"\xff\"} 1\n", "invalid metric name \"\\xff\""),
        (b"\"m\n", "metric name \"m\" contains unescaped new-line"),
        (b"\"m\\\\\n", "metric name \"m\\\\\" contains unescaped new-line"),
        (b"{\"m\n\"} 1\n", "label name \"m\" contains unescaped new-line"),
        (b"{\"m\",\"n\"} 1\n", "multiple metric names for metric \"m\""),
        (b"{m,n} 1\n", "multiple metric names for metric \"m\""),
        (b"{\"m\" l=\"v\"} 1\n", "unexpected end of metric name 'l'"),
        (b"{a:b} 1\n", "unexpected end of metric name ':'"),
        (b"{\"m\"\n} 1\n", "unexpected end of metric name '\\n'"),
        (b"{\"m\"\xff} 1\n", "unexpected end of metric name 'ÿ'"),
        (b"\"m\\x\" 1\n", "invalid escape sequence '\\x'"),
    ]);
}

#[test]
fn label_names() {
    assert_refused(&[
        (b"a{=\"\"} 1\n", "invalid label name for metric \"a\""),
        (b"a{,} 1\n", "invalid label name for metric \"a\""),
        (b"a{b=\"c\",,} 1\n", "invalid label name for metric \"a\""),
        (b"a{1a=\"b\"} 1\n", "invalid label name for metric \"a\""),
        (b"a{\"\"=\"x\"} 1\n", "invalid label name for metric \"a\""),
        (b"{\"\"} 1\n", "invalid label name for metric \"\""),
        (b"{{ 1\n", "invalid label name for metric \"\""),
        (b"a{\"x.y\"=\"v\"} 1\n", "invalid label name \"x.y\""),
        (b"a{\"a:b\"=\"v\"} 1\n", "invalid label name \"a:b\""),
        (b"a{\"1a\"=\"v\"} 1\n", "invalid label name \"1a\""),
        (b"a{\"\xff\"=\"v\"} 1\n", "invalid label name \"\\xff\""),
        (b"a{b=\"c\",b=\"d\"} 1\n", "duplicate label names for metric \"a\""),
        (b"a{b=\"c\",\"b\"=\"c\"} 1\n", "duplicate label names for metric \"a\""),
        (b"{l=\"v\",l=\"w\",\"m\"} 1\n", "duplicate label names for metric \"\""),
        (b"a{__name__=\"c\"} 1\n", "label name \"__name__\" is reserved"),
        (b"a{\"__name__\"=\"c\"} 1\n", "label name \"__name__\" is reserved"),
        (b"{\"a\",__name__=\"c\"} 1\n", "label name \"__name__\" is reserved"),
        (b"a{b} 1\n", "expected '=' after label name, found '}'"),
        (b"a{b,} 1\n", "expected '=' after label name, found ','"),
        (b"a{b-c=\"d\"} 1\n", "expected '=' after label name, found '-'"),
        (b"a{b.c=\"d\"} 1\n", "expected '=' after label name, found '.'"),
        (b"a{b:c=\"d\"} 1\n", "expected '=' after label name, found ':'"),
        (b"a{\"b\"} 1\n", "expected '=' after label name, found '}'"),
        (b"a{b\n", "expected '=' after label name, found '\\n'"),
    ]);
}

#[test]
fn the_many_labels_of_a_series_must_differ_too() {
    for count in [15, 16, 17, 40] {
        let labels: String = (0..count).map(|i| format!("l{i}=\"\",")).collect();
        for duplicate in [0, count / 2, count - 1] {
            assert_refused(&[(
                format!("a{{{labels}l{duplicate}=\"\"}} 1\n").as_bytes(),
                "duplicate label names for metric \"a\"",
            )]);
        }
    }
}

#[test]
fn label_values() {
    assert_refused(&[
        (b"a{b=} 1\n", "expected '\"' at start of label value, found '}'"),
        (b"a{b=c} 1\n", "expected '\"' at start of label value, found 'c'"),
        (b"a{b='c'} 1\n", "expected '\"' at start of label value, found '\\''"),
        (b"a{b=\n", "expected '\"' at start of label value, found '\\n'"),
        (b"a{b=\"c} 1\n", "label value \"c} 1\" contains unescaped new-line"),
        (b"a{b=\"c\nd\"} 1\n", "label value \"c\" contains unescaped new-line"),
        (b"a{b=\"\\\"c\nd\"} 1\n", "label value \"\\\"c\" contains unescaped new-line"),
        (b"a{b=\"\xff\"} 1\n", "invalid label value \"\\xff\""),
        (b"a{b=\"\\\\\xff\"} 1\n", "invalid label value \"\\\\\\xff\""),
        (b"a{b=\"\xc3\"} 1\n", "invalid label value \"\\xc3\""),
        (b"a{b=\"c\" d=\"e\"} 1\n", "unexpected end of label value \"c\""),
        (b"a{b=\"c\"\n", "unexpected end of label value \"c\""),
        (b"a{b=\"\\x\"} 1\n", "invalid escape sequence '\\x'"),
        (b"a{b=\"\\t\"} 1\n", "invalid escape sequence '\\t'"),
    ]);
}

#[test]
fn values() {
    for word in ["0x10", "0x1p-2", "1_000", "1e400", "-1e400", "+nan", "x", "1,5", ".", "infinit", "="] {
        assert_refused(&[(
            format!("a {word}\n").as_bytes(),
            &format!("expected float as value, got \"{word}\""),
        )]);
    }
    assert_refused(&[
        (b"a\n", "expected float as value, got \"\""),
        (b"a \n", "expected float as value, got \"\""),
        (b"a{}\n", "expected float as value, got \"\""),
        (b"a{b=\"c\"} \n", "expected float as value, got \"\""),
        (b"a 1\r\n", "expected float as value, got \"1\\r\""),
        (b"a-b 1\n", "expected float as value, got \"-b\""),
        (b"a.b 1\n", "expected float as value, got \".b\""),
        (b"a\0 1\n", "expected float as value, got \"\\x00\""),
        (b"blablabla\n", "expected float as value, got \"\""),
    ]);
}

#[test]
fn messages_quote_as_go_quotes() {
    assert_refused(&[(
        "a \u{a0}e\u{301}\u{200b}\u{7f}\u{1}\u{ad}😀\u{e0001}\u{7}\u{b}\n".as_bytes(),
        "expected float as value, got \"\\u00a0e\u{301}\\u200b\\x7f\\x01\\u00ad😀\\U000e0001\\a\\v\"",
    )]);
}

#[test]
fn timestamps() {
    assert_refused(&[
        (b"a 1 \n", "expected integer as timestamp, got \"\""),
        (b"a 1 1000.5\n", "expected integer as timestamp, got \"1000.5\""),
        (b"a 1 # {x=\"y\"} 1\n", "expected integer as timestamp, got \"#\""),
        (b"a{b=\"c\"} 1 x\n", "expected integer as timestamp, got \"x\""),
        (b"a 1 9223372036854775808\n", "expected integer as timestamp, got \"9223372036854775808\""),
        (b"a 1 1_0\n", "expected integer as timestamp, got \"1_0\""),
        (b"a 1 \xff\n", "expected integer as timestamp, got \"\\xff\""),
        (b"a 1 5\r\n", "expected integer as timestamp, got \"5\\r\""),
        (b"a 1 5 \n", "spurious string after timestamp: \" \""),
        (b"a 1 5 x\n", "spurious string after timestamp: \" x\""),
    ]);
}

#[test]
fn help_and_type_lines() {
    assert_refused(&[
        (b"# HELP 1a x\n", "invalid metric name in comment"),
        (b"# HELP a-b x\n", "invalid metric name in comment"),
        (b"# TYPE a{ counter\n", "invalid metric name in comment"),
        (b"# TYPE \"a\"counter\n", "invalid metric name in comment"),
        (b"# TYPE \"a.b\" counter\n", "invalid metric name \"a.b\""),
        (b"# HELP \"\" x\n", "invalid metric name \"\""),
        (b"# HELP \"a\nb\" x\n", "metric name \"a\" contains unescaped new-line"),
        (b"# HELP a \\x\n", "invalid escape sequence '\\x'"),
        (b"# TYPE a unknown\n", "unknown metric type \"unknown\""),
        (b"# TYPE a info\n", "unknown metric type \"info\""),
        (b"# TYPE a stateset\n", "unknown metric type \"stateset\""),
        (b"# TYPE a counter\r\n", "unknown metric type \"counter\\r\""),
        (b"# TYPE a counter \n", "unknown metric type \"counter \""),
        (b"# TYPE a counter x\n", "unknown metric type \"counter x\""),
    ]);
    let second_type = "second TYPE line for metric name \"a\", or TYPE reported after samples";
    for (body, line, message) in [
        ("# HELP a x\n# HELP a x\n", 2, "second HELP line for metric name \"a\""),
        ("# HELP a x\na 1\n# HELP a y\n", 3, "second HELP line for metric name \"a\""),
        ("# TYPE a counter\n# TYPE a counter\n", 2, second_type),
        ("a 1\n# TYPE a counter\n", 2, second_type),
        ("# TYPE a histogram\n# TYPE a_count counter\n", 2, second_type),
        ("# TYPE a histogram\n\n# TYPE a_bucket counter\n", 3, second_type),
        ("# TYPE a summary\n# TYPE a_sum counter\n", 2, second_type),
        ("# TYPE a summary\n# HELP a_sum x\n# HELP a y\n", 3, "second HELP line for metric name \"a\""),
    ] {
        let expected = format!("text format parsing error in line {line}: {message}");
        assert_eq!(error(body.as_bytes()), expected, "for {body:?}");
    }
}

#[test]
fn bounds_and_quantiles() {
    for (metric_type, sample, label) in [
        ("histogram", "a_bucket{le=\"x\"}", "le"),
        ("histogram", "a_sum{b=\"c\",le=\"x\",d=\"e\"}", "le"),
        ("histogram", "{le=\"x\",a_bucket}", "le"),
        ("summary", "a{quantile=\"x\"}", "quantile"),
        ("summary", "a_count{quantile=\"x\"}", "quantile"),
    ] {
        let body = format!("# TYPE a {metric_type}\n{sample} 1\n");
        let expected = format!(
            "text format parsing error in line 2: expected float as value for '{label}' label, got \"x\""
        );
        assert_eq!(error(body.as_bytes()), expected, "for {body:?}");
    }
    assert_eq!(
        error(b"# TYPE h histogram\nh_bucket{a=\"1\",le=\"1\",a=\"2\"} 1\n"),
        "text format parsing error in line 2: duplicate label names for metric \"h\""
    );
}

#[test]
fn the_line_is_the_one_that_is_wrong() {
    assert_eq!(
        error(b"# HELP a \\n\\n\n\n \na{b=\"\\n\"} 1\na x\na y\n"),
        "text format parsing error in line 5: expected float as value, got \"x\""
    );
}

#[test]
fn a_message_quotes_only_a_part_of_what_is_long() {
    let body = format!("a {}\n", "x".repeat(1 << 20));
    let message = error(body.as_bytes());
    assert!(message.ends_with("xxx\"..."), "{message}");
    assert!(message.len() < 400, "{message}");
}

/// What costs linear time takes milliseconds here; what is quadratic would take minutes.
#[test]
fn nothing_that_can_be_sent_takes_more_than_linear_time() {
    let labels: String = (0..200_000).map(|i| format!("l{i}=\"{i}\",")).collect();
    let interleaved: String = ["_sum", "_count", "_sum"]
        .iter()
        .flat_map(|part| (0..100_000).map(move |i| format!("h{part}{{a=\"{i}\"}} 1\n")))
        .collect();
    let same_series: String = (0..200_000).map(|i| format!("h_bucket{{le=\"{i}\"}} 1\n")).collect();
    let start = Instant::now();
    for body in [
        format!("a{{{labels}}} 1\n"),
        format!(
            "# TYPE h histogram\nh_sum{{{labels}}} 1\nh_count{{b=\"\",{labels}}} 1\nh_sum{{{labels}}} 1\n"
        ),
        format!("# TYPE h histogram\n{interleaved}"),
        format!("# TYPE h histogram\n{same_series}"),
        (0..100_000).map(|i| format!("# TYPE a{i} summary\na{i}_sum 1\n")).collect(),
        (0..100_000).map(|i| format!("a{i} 1\n")).collect(),
        format!("a{{b=\"{}\"}} 1\n", "\\n".repeat(1 << 20)),
        format!("# HELP a {}\na 1\n", "\\n".repeat(1 << 20)),
        "\n".repeat(1 << 20),
    ] {
        parse(body.as_bytes()).expect("well formed");
    }
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

/// What is said of a body under these limits; `None` if it is read.
fn under(limits: ReadLimits, body: &str) -> Option<String> {
    parse_up_to(body.as_bytes(), NameScheme::Utf8, limits).err().map(|error| error.to_string())
}

#[test]
fn a_sample_has_so_many_labels_and_no_more() {
    let two = ReadLimits { labels_max: 2, ..ReadLimits::NONE };
    for within in [
        "m{a=\"1\",b=\"2\"} 1\n",
        "{a=\"1\",\"m\",b=\"2\"} 1\n",
        "m{a=\"1\",b=\"2\"} 1\nm{a=\"2\",b=\"2\"} 1\n",
        // Bounds do not count, wherever they stand.
        "# TYPE h histogram\nh_bucket{a=\"1\",le=\"1\",b=\"2\"} 1\n",
        "# TYPE s summary\n{a=\"1\",b=\"2\",quantile=\"1\",\"s\"} 1\n",
    ] {
        assert_eq!(under(two, within), None, "{within}");
    }
    for (over, line, metric) in [
        ("m{a=\"1\",b=\"2\",c=\"3\"} 1\n", 1, "m"),
        // One without a value takes as much room.
        ("n 1\nm{a=\"\",b=\"\",c=\"\"} 1\n", 2, "m"),
        ("{a=\"1\",b=\"2\",c=\"3\",\"m\"} 1\n", 1, "m"),
        ("m{a=\"1\",b=\"2\",le=\"3\"} 1\n", 1, "m"),
        ("# TYPE h histogram\nh_bucket{a=\"1\",b=\"2\",le=\"1\",c=\"3\"} 1\n", 2, "h"),
    ] {
        let found = if over.contains("le=\"1\"") { 4 } else { 3 };
        let text = format!("labels of metric \"{metric}\": {found} is over the limit of 2");
        assert_eq!(
            under(two, over),
            Some(format!("text format parsing error in line {line}: {text}")),
            "{over}"
        );
    }
    let none = ReadLimits { labels_max: 0, ..ReadLimits::NONE };
    assert_eq!(under(none, "m{} 1\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\n"), None);
    assert!(under(none, "m{a=\"\"} 1\n").is_some());
}

#[test]
fn of_a_million_labels_few_are_read() {
    let labels: String = (0..1_000_000).map(|i| format!("l{i}=\"\",")).collect();
    let limits = ReadLimits { labels_max: 64, ..ReadLimits::NONE };
    // One of them may have been a bound.
    let text = "text format parsing error in line 1: labels of metric \"m\": 66 is over the limit of 64";
    assert_eq!(under(limits, &format!("m{{{labels}}} 1\n")).as_deref(), Some(text));
    assert!(under(limits, &format!("{{{labels}\"m\"}} 1\n")).unwrap().contains("66 is over the limit of 64"));
}

#[test]
fn a_body_has_so_many_buckets_and_quantiles_and_no_more() {
    let body = "# TYPE h histogram\n# TYPE s summary\ns 1\nh_sum 1\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 1\n\
                h_bucket{le=\"3\",a=\"1\"} 1\ns{quantile=\"1\"} 1\n";
    let limits = |parts_max| ReadLimits { parts_max, ..ReadLimits::NONE };
    assert_eq!(under(limits(4), body), None);
    for (parts, line) in [(3, 8), (2, 7), (1, 6), (0, 5)] {
        let text = under(limits(parts), body).unwrap();
        let start =
            format!("text format parsing error in line {line}: the body has more than {parts} buckets");
        assert!(text.starts_with(&start), "{text}");
    }
}

#[test]
fn names_without_a_sample_are_bounded_and_others_are_not_taken_for_them() {
    let limits = ReadLimits { series_max: 3, ..ReadLimits::NONE };
    let names: String = (0..5).map(|i| format!("# TYPE a{i} gauge\n")).collect();
    let text =
        "text format parsing error in line 4: the body declares more than 3 metric names without a sample";
    assert_eq!(under(limits, &names).as_deref(), Some(text));
    let families: String = (0..9).map(|i| format!("# TYPE a{i} gauge\na{i} 1\n")).collect();
    let read = parse_up_to(families.as_bytes(), NameScheme::Legacy, limits).unwrap();
    assert_eq!(read.series_count(), 4, "which is told from what has as many as there may be");
}
