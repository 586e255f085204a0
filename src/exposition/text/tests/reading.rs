//! What is accepted, and what it means.

use std::borrow::Cow;

use crate::exposition::ReadLimits;
use crate::model::{MetricType, NameScheme, Value};

use super::super::parse_up_to;
use super::{labels, read, written};

/// The value of the body's only sample, which must have no type.
fn only_value(body: &[u8]) -> f64 {
    let families = read(body);
    assert_eq!(families.series_count(), 1);
    match families.families[0].series[0].value {
        Value::Untyped(value) => value,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_no_families() {
    for body in ["", "\n", "\n\n \t\n", "# foo\n", "#\n", "# \n", "  ", "# TYPE a counter\n", "# HELP a b\n"]
    {
        assert!(read(body.as_bytes()).families.is_empty(), "{body:?}");
    }
}

#[test]
fn blanks_may_stand_between_tokens() {
    for body in [
        "a 1\n",
        " \t a 1\n",
        "a\t1\n",
        "a  \t 1\n",
        "a 1\n  ",
        "a 1\n\t",
        "\n\na 1\n\n",
        "a{} 1\n",
        "a{}1\n",
        "a {} 1\n",
        "a { } 1\n",
        "a { }\t1\n",
    ] {
        assert_eq!(only_value(body.as_bytes()), 1.0, "{body:?}");
        assert_eq!(labels(&read(body.as_bytes()), 0, 0), "", "{body:?}");
    }
}

#[test]
fn labels_are_read_in_every_layout() {
    for body in [
        r#"a{b="c",d="e"} 1"#,
        r#"a{b="c",d="e",} 1"#,
        r#"a{b="c",d="e"}1"#,
        r#"a { b = "c" , d = "e" , } 1"#,
        r#"a{"b"="c","d"="e"} 1"#,
        r#""a"{b="c","d"="e"} 1"#,
        r#"{"a",b="c",d="e"} 1"#,
        r#"{b="c","a",d="e"} 1"#,
        r#"{b="c",d="e","a"} 1"#,
        r#"{ b = "c" , d="e" , "a" , } 1"#,
        r#"{a,b="c",d="e"} 1"#,
        r#"{"a","b"="c",d="e"}1"#,
    ] {
        let line = format!("{body}\n");
        let families = read(line.as_bytes());
        assert_eq!(families.families[0].name, "a", "{body}");
        assert_eq!(labels(&families, 0, 0), "b=c,d=e", "{body}");
    }
}

#[test]
fn names_may_have_colons_and_underscores() {
    for name in ["a:b", ":a", "_", "__a", "A9_z", "NaN", "_sum"] {
        let body = format!("{name} 1\n");
        assert_eq!(read(body.as_bytes()).families[0].name, name);
        for body in [format!("\"{name}\" 1\n"), format!("{{\"{name}\"}} 1\n")] {
            assert_eq!(read(body.as_bytes()).families[0].name, name, "{body}");
        }
    }
}

#[test]
fn values_are_what_go_reads() {
    for (word, value) in [
        ("+1.5E3", 1500.0),
        ("Inf", f64::INFINITY),
        ("+Inf", f64::INFINITY),
        ("-inf", f64::NEG_INFINITY),
        ("infinity", f64::INFINITY),
        ("1e-400", 0.0),
        ("1.", 1.0),
        (".5", 0.5),
    ] {
        assert_eq!(only_value(format!("a {word}\n").as_bytes()), value, "{word}");
    }
    assert!(only_value(b"a NaN\n").is_nan());
    assert!(only_value(b"a nan\n").is_nan());
}

#[test]
fn escapes_in_label_values_are_resolved_and_only_then_is_anything_copied() {
    let families = read(b"a{b=\"plain \xc3\xa9\",c=\"\\\\ \\\" \\n end\",d=\"\"} 1\n");
    let labels = families.labels_of(&families.families[0].series[0]);
    assert_eq!(labels[0].value, "plain é");
    assert!(matches!(labels[0].value, Cow::Borrowed(_)));
    assert_eq!(labels[1].value, "\\ \" \n end");
    assert!(matches!(labels[1].value, Cow::Owned(_)));
    assert_eq!(labels[2].value, "");
}

#[test]
fn any_other_byte_may_stand_in_a_label_value() {
    let families = read(b"a{b=\"\0\t\r,=}{# \x7f\"} 1\n");
    assert_eq!(labels(&families, 0, 0), "b=\0\t\r,=}{# \x7f");
}

#[test]
fn types_are_read_in_any_case_and_blanks() {
    for (word, metric_type) in [
        ("counter", MetricType::Counter),
        ("Gauge", MetricType::Gauge),
        ("SUMMARY", MetricType::Summary),
        ("hIsToGrAm", MetricType::Histogram),
        ("untyped", MetricType::Untyped),
    ] {
        for line in [
            format!("# TYPE a {word}"),
            format!("#TYPE a {word}"),
            format!("  #\t TYPE \t a \t {word}"),
            format!("# TYPE \"a\" {word}"),
        ] {
            let body = format!("{line}\na 1\n");
            let families = read(body.as_bytes());
            assert_eq!(families.families[0].metric_type, metric_type, "{line}");
            assert!(families.families[0].type_is_declared, "{line}");
        }
    }
}

#[test]
fn without_a_type_line_a_family_is_untyped() {
    for body in
        ["a 1\n", "# HELP a text\na 1\n", "# TYPE a\na 1\n", "# TYPE a \na 1\n", "## TYPE a gauge\na 1\n"]
    {
        let families = read(body.as_bytes());
        assert_eq!(families.families[0].metric_type, MetricType::Untyped, "{body:?}");
        assert!(!families.families[0].type_is_declared, "{body:?}");
    }
}

#[test]
fn each_type_has_its_value() {
    let families = read(b"# TYPE c counter\nc 1\n# TYPE g gauge\ng 2\nu 3\n");
    let values: Vec<_> = families.families.iter().map(|family| family.series[0].value.clone()).collect();
    assert_eq!(values, [Value::Counter(1.0), Value::Gauge(2.0), Value::Untyped(3.0)]);
}

#[test]
fn other_comments_are_skipped_whatever_they_hold() {
    for comment in [
        "# EOF",
        "# UNIT a seconds",
        "#",
        "# \u{fffd}",
        "## HELP a text",
        "# HELPx a b",
        "# help a b",
        "# HELP",
    ] {
        let body = format!("{comment}\na 1\n");
        assert_eq!(read(body.as_bytes()).families[0].help, None, "{comment}");
    }
    assert_eq!(only_value(b"# \xff\xfe \"\na 1\n"), 1.0);
}

#[test]
fn help_is_trimmed_in_front_and_its_escapes_are_resolved() {
    for (line, help) in [
        ("# HELP a text", Some("text")),
        ("#HELP a text", Some("text")),
        ("# HELP\ta\ttext", Some("text")),
        ("# HELP \"a\" text", Some("text")),
        ("# HELP a   two  words  ", Some("two  words  ")),
        (r#"# HELP a \\ \n \" end"#, Some("\\ \n \" end")),
        ("# HELP a \"quoted\"", Some("\"quoted\"")),
        ("# HELP a é", Some("é")),
        ("# HELP a", None),
        ("# HELP a   ", None),
    ] {
        let body = format!("{line}\na 1\n");
        assert_eq!(read(body.as_bytes()).families[0].help.as_deref(), help, "{line}");
    }
}

#[test]
fn help_that_is_not_utf8_is_accepted_and_made_so() {
    let families = read(b"# HELP a x\xffy\na{b=\"\xc3\xa9\"} 1\n# HELP b \xfe\\\\\nb 1\n");
    assert_eq!(families.families[0].help.as_deref(), Some("x\u{fffd}y"));
    assert_eq!(families.families[1].help.as_deref(), Some("\u{fffd}\\"));
    // The label is checked although the body as a whole is not UTF-8.
    assert_eq!(labels(&families, 0, 0), "b=é");
}

#[test]
fn help_may_follow_the_samples_once() {
    assert_eq!(read(b"a 1\n# HELP a text\n").families[0].help.as_deref(), Some("text"));
    assert_eq!(read(b"# HELP a  \n# HELP a text\na 1\n").families[0].help.as_deref(), Some("text"));
}

#[test]
fn timestamps_are_noted_and_do_not_change_the_value() {
    for (body, has_timestamp) in [
        ("a 1\n", false),
        ("a 1 0\n", true),
        ("a 1 -5\n", true),
        ("a 1 +5\n", true),
        ("a 1 \t 1395066363000\n", true),
    ] {
        let families = read(body.as_bytes());
        assert_eq!(families.families[0].series[0].has_timestamp, has_timestamp, "{body:?}");
        assert_eq!(families.families[0].series[0].value, Value::Untyped(1.0));
    }
    assert!(only_value(b"a 1 9223372036854775807\n") == 1.0);
}

#[test]
fn families_keep_the_order_of_their_first_lines_and_may_be_interleaved() {
    let families = read(b"# TYPE z counter\na 1\nb 2\n# TYPE empty gauge\nz 3\na{x=\"1\"} 4\n");
    let names: Vec<_> = families.families.iter().map(|family| &*family.name).collect();
    assert_eq!(names, ["z", "a", "b"]);
    assert_eq!(families.families[1].series.len(), 2);
    assert_eq!(labels(&families, 1, 1), "x=1");
}

#[test]
fn a_series_knows_the_line_of_its_first_sample() {
    let families = read(b"\n# HELP a b\na 1\n\nh 1\n# TYPE s summary\ns_sum 1\ns_count 1\n");
    let lines: Vec<_> = families.families.iter().map(|family| family.series[0].line).collect();
    assert_eq!(lines, [3, 5, 7]);
}

#[test]
fn duplicate_series_are_left_to_others() {
    assert_eq!(read(b"a{b=\"c\"} 1\na{b=\"c\"} 2\n").families[0].series.len(), 2);
}

#[test]
fn many_labels_are_fine() {
    let many: Vec<_> = (0..1_000).map(|i| format!("l{i}=\"{i}\"")).collect();
    let body = format!("a{{{}}} 1\n", many.join(","));
    let families = read(body.as_bytes());
    assert_eq!(families.labels_of(&families.families[0].series[0]).len(), 1_000);
}

#[test]
fn a_gauge_histogram_has_two_names_and_the_lines_of_a_histogram() {
    for word in ["gaugehistogram", "gauge_histogram", "Gauge_Histogram"] {
        let body = format!("# TYPE h {word}\nh_bucket{{le=\"+Inf\"}} 2\nh_sum 3\nh_count 2\n");
        let families = read(body.as_bytes());
        let [family] = &*families.families else { panic!("{families:?}") };
        assert_eq!((family.metric_type, family.series.len()), (MetricType::GaugeHistogram, 1));
        let Value::GaugeHistogram(histogram) = &family.series[0].value else { panic!() };
        assert_eq!((histogram.sum, histogram.count, histogram.buckets.len()), (Some(3.0), Some(2.0), 1));
    }
}

#[test]
fn with_utf8_names_quoted_names_may_be_any_text() {
    let body = "# HELP \"m.x\" Some.\n# TYPE \"m.x\" histogram\n{\"m.x_bucket\",\"l.y\"=\"v\",le=\"1\"} 1\n\
                {\"l.y\"=\"v\",le=\"+Inf\",\"m.x_bucket\"} 2\n{\"m.x_count\",\"l.y\"=\"v\"} 2\n\"é:1\" 1\na{\"a:b\"=\"v\"} 1\n";
    let families = parse_up_to(body.as_bytes(), NameScheme::Utf8, ReadLimits::NONE).unwrap();
    let names: Vec<_> = families.families.iter().map(|family| &*family.name).collect();
    assert_eq!(names, ["m.x", "é:1", "a"]);
    assert_eq!(families.families[0].help.as_deref(), Some("Some."));
    let Value::Histogram(histogram) = &families.families[0].series[0].value else { panic!() };
    assert_eq!((families.families[0].series.len(), histogram.buckets.len()), (1, 2));
    assert_eq!((labels(&families, 0, 0).as_str(), labels(&families, 2, 0).as_str()), ("l.y=v", "a:b=v"));
    assert_eq!(
        String::from_utf8(written(&families)).unwrap(),
        "# HELP \"m.x\" Some.\n# TYPE \"m.x\" histogram\n{\"m.x_bucket\",\"l.y\"=\"v\",le=\"1\"} 1\n\
         {\"m.x_bucket\",\"l.y\"=\"v\",le=\"+Inf\"} 2\n{\"m.x_sum\",\"l.y\"=\"v\"} 0\n{\"m.x_count\",\"l.y\"=\"v\"} 2\n\
         # TYPE \"é:1\" untyped\n{\"é:1\"} 1\n# TYPE a untyped\na{\"a:b\"=\"v\"} 1\n"
    );
    // A name that would need escapes in its quotes is none, and neither is an empty one.
    for line in ["{\"a\\\"b\"} 1\n", "a{\"l\\\\m\"=\"v\"} 1\n", "{\"\"} 1\n", "a{\"\"=\"v\"} 1\n", "a.b 1\n"]
    {
        assert!(parse_up_to(line.as_bytes(), NameScheme::Utf8, ReadLimits::NONE).is_err(), "{line}");
    }
    assert!(parse_up_to(body.as_bytes(), NameScheme::Legacy, ReadLimits::NONE).is_err());
}
