//! Paths as clients send them: what they mean, and what is wrong with them.

use proptest::prelude::*;

use super::*;
use crate::model::is_pushable_label_name;

fn key(labels: &[(&str, &str)]) -> GroupingKey {
    let (job, rest) = labels.split_first().expect("a job");
    GroupingKey::new(job.1, rest.iter().copied()).expect("a job that is not empty")
}

fn error(path: &str) -> String {
    parse(path).expect_err(path).to_string()
}

#[test]
fn paths_that_name_a_group() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("/metrics/job/j", &[("job", "j")]),
        ("/metrics/job/j/", &[("job", "j")]),
        ("/metrics/job/j/l1/v1/l2/v2", &[("job", "j"), ("l1", "v1"), ("l2", "v2")]),
        ("/metrics/job/j/l2/v2/l1/v1", &[("job", "j"), ("l1", "v1"), ("l2", "v2")]),
        // Decoded before it is split.
        ("/metrics/job/j/a/b%2Fc/d", &[("job", "j"), ("a", "b"), ("c", "d")]),
        ("/metrics/job/j/a%40base64/Yg", &[("job", "j"), ("a", "b")]),
        ("/%6detrics/job/j", &[("job", "j")]),
        ("/metrics/job/a+b", &[("job", "a+b")]),
        ("/metrics/job/j;x=1", &[("job", "j;x=1")]),
        ("/metrics/job/%20", &[("job", " ")]),
        ("/metrics/job/a%25zz", &[("job", "a%zz")]),
        ("/metrics/job/j/a/%00%0A%22", &[("job", "j"), ("a", "\0\n\"")]),
        ("/metrics/job/j/a/%C3%A9", &[("job", "j"), ("a", "é")]),
        ("/metrics/job/j/a/é", &[("job", "j"), ("a", "é")]),
        // An empty value is no label, in whichever way it is written.
        ("/metrics/job/j/foo/", &[("job", "j")]),
        ("/metrics/job/j/foo@base64/", &[("job", "j")]),
        ("/metrics/job/j/foo@base64/=", &[("job", "j")]),
        ("/metrics/job/j/foo@base64/==", &[("job", "j")]),
        ("/metrics/job/j/a/1/foo@base64/=/b/2", &[("job", "j"), ("a", "1"), ("b", "2")]),
        // Base64, with any padding and any trailing bits.
        ("/metrics/job@base64/dGVzdC9qb2I=", &[("job", "test/job")]),
        ("/metrics/job@base64/dGVzdC9qb2I", &[("job", "test/job")]),
        ("/metrics/job@base64/dGVzdC9qb2I====", &[("job", "test/job")]),
        ("/metrics/job/j/l1/v1/l2@base64/Zm9vL2Jhcg==", &[("job", "j"), ("l1", "v1"), ("l2", "foo/bar")]),
        ("/metrics/job/j/l2@base64/Zm9vL2Jhcg/l1/v1", &[("job", "j"), ("l1", "v1"), ("l2", "foo/bar")]),
        ("/metrics/job/j/l@base64/Zm9vL2Jhcj", &[("job", "j"), ("l", "foo/bar")]),
        ("/metrics/job@base64/Li4/a@base64/Lg", &[("job", ".."), ("a", ".")]),
        ("/metrics/job/..b", &[("job", "..b")]),
        // The last one of a name wins, and the leading job over any other.
        ("/metrics/job/j/a/b/a/c", &[("job", "j"), ("a", "c")]),
        ("/metrics/job/j/job/k", &[("job", "j")]),
        ("/metrics/job/j/_a/1", &[("job", "j"), ("_a", "1")]),
        ("/metrics/job/j/le/1/quantile/2", &[("job", "j"), ("le", "1"), ("quantile", "2")]),
        ("/metrics/job/j/U__label_2e_name2/v", &[("job", "j"), ("U__label_2e_name2", "v")]),
        ("/metrics/job/metrics/job/job", &[("job", "metrics")]),
    ];
    for (path, labels) in cases {
        assert_eq!(parse(path), Ok(key(labels)), "{path}");
    }
}

#[test]
fn paths_that_are_refused_with_the_texts_of_pushgateway() {
    let cases = [
        (
            "/metrics/job@base64/foo.bar",
            r#"invalid base64 encoding in job name "": illegal base64 data at input byte 3"#,
        ),
        (
            "/metrics/job@base64/Zm9vL2Jhcg.",
            r#"invalid base64 encoding in job name "foo/ba": illegal base64 data at input byte 10"#,
        ),
        (
            "/metrics/job@base64/a",
            r#"invalid base64 encoding in job name "": illegal base64 data at input byte 0"#,
        ),
        (
            "/metrics/job@base64/a=b",
            r#"invalid base64 encoding in job name "": illegal base64 data at input byte 1"#,
        ),
        (
            "/metrics/job@base64/Zm9v+w",
            r#"invalid base64 encoding in job name "foo": illegal base64 data at input byte 4"#,
        ),
        ("/metrics/job/j/foo", r#"odd number of components in label string "/foo""#),
        ("/metrics/job/j/foo/bar/", r#"odd number of components in label string "/foo/bar/""#),
        ("/metrics/job/j/a/b%2Fc", r#"odd number of components in label string "/a/b/c""#),
        ("/metrics/job/j/%ff%0a", r#"odd number of components in label string "/\xff\n""#),
        (
            "/metrics/job/j/a@base64/foo.bar",
            r#"invalid base64 encoding for label a="foo.bar": illegal base64 data at input byte 3"#,
        ),
        (
            "/metrics/job/j/a@base64/Zm9vL",
            r#"invalid base64 encoding for label a="Zm9vL": illegal base64 data at input byte 4"#,
        ),
        ("/metrics/job@base64/=", "job name is required"),
        ("/metrics/job@base64/==/a/b", "job name is required"),
        ("/metrics/job/%zz", "400 Bad Request"),
        ("/metrics/job/j%", "400 Bad Request"),
        ("/metrics/job/j%4", "400 Bad Request"),
    ];
    for (path, expected) in cases {
        assert_eq!(error(path), expected, "{path}");
    }
}

#[test]
fn label_names_that_are_improper() {
    for (name, shown) in [
        ("1a", "1a"),
        ("a=b", "a=b"),
        ("a:b", "a:b"),
        ("%C3%A9", "é"),
        ("a@BASE64", "a@BASE64"),
        ("a@base64@base64", "a@base64"),
        ("__a", "__a"),
        ("__name__", "__name__"),
        ("@base64", ""),
        ("a%20", "a "),
        ("%ff", "\\xff"),
    ] {
        let path = format!("/metrics/job/j/{name}/v");
        assert_eq!(error(&path), format!("improper label name \"{shown}\""), "{path}");
    }
}

#[test]
fn the_first_of_several_faults_is_reported() {
    // The job's encoding, then the labels one by one, then the empty job, then text that is none.
    assert!(error("/metrics/job@base64/./odd").starts_with("the path holds"));
    assert!(error("/metrics/job@base64/a/odd").starts_with("invalid base64 encoding in job name"));
    assert!(error("/metrics/job@base64/=/1a/v").starts_with("improper label name"));
    assert!(error("/metrics/job@base64/=/a@base64/a").starts_with("invalid base64 encoding for label"));
    assert!(error("/metrics/job/j/1a/v/b@base64/a").starts_with("improper label name"));
    assert!(error("/metrics/job/j/b@base64/a/1a/v").starts_with("invalid base64 encoding for label"));
    assert!(error("/metrics/job/%ff/1a/v").starts_with("improper label name"));
    assert!(error("/metrics/job@base64/=/a/%ff").starts_with("job name is required"));
}

#[test]
fn what_is_not_utf8_is_refused_and_named() {
    let expected = r#"the value of the label job is not valid UTF-8: "\xff"; encode the text as UTF-8"#;
    assert_eq!(error("/metrics/job/%ff"), expected);
    assert_eq!(error("/metrics/job@base64/_w"), expected);
    assert!(error("/metrics/job/j/a@base64/_w").starts_with("the value of the label a is not valid UTF-8"));
    assert!(error("/metrics/job/j/a/x%C3").starts_with("the value of the label a is not valid UTF-8"));
}

#[test]
fn a_path_that_would_need_cleaning_is_refused_with_advice() {
    for (path, part) in [
        ("/metrics//job/x", "//"),
        ("//metrics/job/x", "//"),
        ("/metrics/job//x", "//"),
        ("/metrics/job/x//", "//"),
        ("/metrics/job/x/a//b/c", "//"),
        ("/metrics/job/x/a%2F%2Fb", "//"),
        ("/metrics/job/.", "/./"),
        ("/metrics/./job/x", "/./"),
        ("/metrics/job/x/a/%2E", "/./"),
        ("/metrics/job/..", "/../"),
        ("/metrics/job/%2E%2e/a/b", "/../"),
        ("/metrics/job/x/../..", "/../"),
        ("/other/../metrics/job/x", "/../"),
        ("/METRICS//job/x", "//"),
    ] {
        let error = parse(path).expect_err(path);
        assert_eq!(error, PathError::NotClean(part), "{path}");
        assert!(error.to_string().contains("base64-encode the value"), "{error}");
    }
}

#[test]
fn letter_case_of_the_fixed_part_is_refused_with_advice() {
    assert_eq!(
        error("/METRICS/job/x"),
        "the path must start with /metrics/job/, in this letter case; it starts with \"/METRICS/job\""
    );
    assert!(error("/metrics/JOB/x").starts_with("the path must start with /metrics/job/"));
    assert!(error("/metrics/job@BASE64/x").starts_with("the path must start with /metrics/job@base64/"));
}

#[test]
fn other_paths_are_not_push_paths() {
    for path in [
        "",
        "*",
        "/",
        "/metrics",
        "/metrics/",
        "/metrics/job",
        "/metrics/job/",
        "/metrics/job@base64/",
        "/metrics/jobs/x",
        "/metrics/job@foo/x",
        "/metrics/foo/bar/job/x",
        "/job/x",
        "/api/v1/metrics/job/x",
    ] {
        assert_eq!(parse(path), Err(PathError::NotAPushPath), "{path:?}");
    }
}

#[test]
fn quoting_is_that_of_go() {
    assert_eq!(quote(b"a\"b\\\n\x07\x00\x7f'"), r#""a\"b\\\n\a\x00\x7f'""#);
    assert_eq!(quote("é\u{200b}😀\u{e0001}".as_bytes()), "\"é\\u200b😀\\U000e0001\"");
    assert_eq!(quote(b"\xc3\x28"), r#""\xc3(""#);
}

#[test]
fn five_hundred_labels_are_no_problem_of_the_path() {
    let path = (0..500).fold("/metrics/job/j".to_owned(), |path, i| format!("{path}/l{i}/v{i}"));
    assert_eq!(parse(&path).map(|key| key.iter().len()), Ok(501));
}

/// Values with all that paths make difficult.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[./=%+ ]{0,4}",
        proptest::collection::vec(
            prop_oneof![Just("/"), Just(".."), Just("%2F"), Just("a"), Just("é")],
            0..6
        )
        .prop_map(|parts| parts.concat()),
    ]
}

proptest! {
    #[test]
    fn every_key_comes_back_from_its_path(
        job in value().prop_filter("a job is never empty", |job| !job.is_empty()),
        labels in proptest::collection::vec(("[a-zA-Z_][a-zA-Z0-9_]{0,5}", value()), 0..6),
    ) {
        let labels: Vec<_> = labels.iter().filter(|(name, _)| is_pushable_label_name(name)).collect();
        let key = GroupingKey::new(&job, labels.iter().map(|(n, v)| (n.as_str(), v.as_str())))
            .expect("the job is not empty");
        prop_assert_eq!(parse(&key.url_path()), Ok(key));
    }

    #[test]
    fn no_path_panics_and_every_key_read_comes_back(path in "(/metrics)?/?(job|JOB)?(@base64)?/[ -~é/.%=@]{0,40}") {
        if let Ok(key) = parse(&path) {
            prop_assert_eq!(parse(&key.url_path()), Ok(key));
        }
    }

    #[test]
    fn base64_agrees_with_a_plain_reading_of_its_definition(encoded in "[A-Za-z0-9_=.-]{0,9}") {
        let value = |byte: u8| match byte {
            b'A'..=b'Z' => Some(byte - b'A'),
            b'a'..=b'z' => Some(byte - b'a' + 26),
            b'0'..=b'9' => Some(byte - b'0' + 52),
            b'-' => Some(62),
            b'_' => Some(63),
            _ => None,
        };
        let stripped = encoded.trim_end_matches('=').as_bytes();
        let bits: Option<Vec<u8>> = stripped.iter().map(|&byte| value(byte)).collect();
        let expected = bits.filter(|bits| bits.len() % 4 != 1).map(|bits| {
            let bits: Vec<u8> = bits.iter().flat_map(|six| (0..6).rev().map(move |i| six >> i & 1)).collect();
            bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | bit)).collect::<Vec<u8>>()
        });
        prop_assert_eq!(decode_base64(encoded.as_bytes()).ok(), expected);
    }
}
