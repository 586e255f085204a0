//! Pushes of protobuf bodies, plain and compressed, over HTTP.

use std::io::Write as _;

use tallygate::exposition::protobuf::{CONTENT_TYPE, header, length_prefix, parse, write_metric};
use tallygate::model::{
    Bucket, Counts, Histogram, Label, MetricType, NameScheme, NativeCounts, NativeHistogram, Quantile,
    Summary, Value,
};

use crate::support::bodies;
use crate::support::process::{Process, scratch};
use crate::support::samples::{without_own, without_push_times};
use crate::support::wire::Reply;

/// A body of one family.
fn family(name: &str, metric_type: MetricType, series: &[(&[(&str, &str)], Value)]) -> Vec<u8> {
    let mut message = header(name, Some("of a test"), metric_type, None);
    for (labels, value) in series {
        let labels = labels.iter().map(|&(name, value)| Label { name, value });
        write_metric(&mut message, name, labels, value, &[], None);
    }
    [length_prefix(message.len()), message].concat()
}

fn counter(name: &str, value: f64) -> Vec<u8> {
    family(name, MetricType::Counter, &[(&[("l", "v")], Value::Counter(value))])
}

fn push_with(gateway: &Process, headers: &str, body: &[u8]) -> Reply {
    let head = format!(
        "POST /metrics/job/j HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    let mut connection = gateway.connect();
    connection.send([head.as_bytes(), body].concat()).unwrap();
    connection.reply().unwrap()
}

fn push(gateway: &Process, body: &[u8]) -> Reply {
    push_with(gateway, &format!("Content-Type: {CONTENT_TYPE}\r\n"), body)
}

fn scrape_pushed(gateway: &Process) -> String {
    without_push_times(&without_own(&gateway.scrape()))
}

/// A body with each type that merges, and one state of all of them.
fn everything() -> Vec<u8> {
    let bucket = |upper_bound, cumulative_count| Bucket { upper_bound, cumulative_count };
    let histogram = Histogram {
        // Without the bucket `+Inf`, as the Go client has it.
        buckets: vec![bucket(0.5, 1.0), bucket(1.0, 3.0)],
        sum: Some(4.25),
        count: Some(5.0),
        ..Histogram::default()
    };
    let quantiles = vec![Quantile { quantile: 0.5, value: 2.0 }];
    let summary = Summary { quantiles, sum: Some(1.5), count: Some(3.0), defect: None };
    [
        family(
            "c_total",
            MetricType::Counter,
            &[(&[("l", "v")], Value::Counter(0.25)), (&[], Value::Counter(2.0))],
        ),
        family("g", MetricType::Gauge, &[(&[("instance", "i")], Value::Gauge(-1.5))]),
        family("h", MetricType::Histogram, &[(&[], Value::Histogram(Box::new(histogram)))]),
        family("s", MetricType::Summary, &[(&[], Value::Summary(Box::new(summary)))]),
        family("u", MetricType::Untyped, &[(&[], Value::Untyped(4.0))]),
    ]
    .concat()
}

#[test]
fn protobuf_pushes_merge_with_each_other_and_with_text() {
    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &[]);
    for _ in 0..2 {
        let reply = push(&gateway, &everything());
        assert_eq!((reply.status, &*reply.body), (200, ""));
    }
    let expected = "\
# HELP c_total of a test
# TYPE c_total counter
c_total{instance=\"\",job=\"j\"} 4
c_total{instance=\"\",job=\"j\",l=\"v\"} 0.5
# HELP g of a test
# TYPE g gauge
g{instance=\"i\",job=\"j\"} -1.5
# HELP h of a test
# TYPE h histogram
h_bucket{instance=\"\",job=\"j\",le=\"0.5\"} 2
h_bucket{instance=\"\",job=\"j\",le=\"1\"} 6
h_bucket{instance=\"\",job=\"j\",le=\"+Inf\"} 10
h_sum{instance=\"\",job=\"j\"} 8.5
h_count{instance=\"\",job=\"j\"} 10
# HELP s of a test
# TYPE s summary
s_sum{instance=\"\",job=\"j\"} 3
s_count{instance=\"\",job=\"j\"} 6
# HELP u of a test
# TYPE u untyped
u{instance=\"\",job=\"j\"} 8
";
    assert_eq!(scrape_pushed(&gateway), expected);
    // A push of text in between, thrice so that it is known and repeated.
    for _ in 0..3 {
        assert_eq!(gateway.post("/metrics/job/j", "# TYPE c_total counter\nc_total 1\n").status, 200);
    }
    assert_eq!(push(&gateway, &counter("c_total", 0.25)).status, 200);
    let scrape = scrape_pushed(&gateway);
    assert!(scrape.contains("c_total{instance=\"\",job=\"j\"} 7\n"), "{scrape}");
    assert!(scrape.contains("c_total{instance=\"\",job=\"j\",l=\"v\"} 0.75\n"), "{scrape}");
    // An empty body is a push of nothing.
    assert_eq!(push(&gateway, b"").status, 200);
    assert_eq!(scrape_pushed(&gateway), scrape);
    assert!(gateway.stop().success());
    assert_eq!(scrape_pushed(&Process::start(&store, &[])), scrape, "after a restart");
}

#[test]
fn of_a_family_that_stands_twice_only_the_last_counts() {
    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &[]);
    let body = [counter("c_total", 1.0), counter("d_total", 1.0), counter("c_total", 5.0)].concat();
    assert_eq!(push(&gateway, &body).status, 200);
    let scrape = scrape_pushed(&gateway);
    assert!(scrape.contains("c_total{instance=\"\",job=\"j\",l=\"v\"} 5\n"), "{scrape}");
    assert!(scrape.contains("d_total{instance=\"\",job=\"j\",l=\"v\"} 1\n"), "{scrape}");
}

#[test]
fn native_histograms_merge_and_are_shown_in_text_as_what_it_has_words_for() {
    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &[]);
    let native = |schema, positive: &[(i32, u64)], sum| {
        let count = 1 + positive.iter().map(|(_, count)| count).sum::<u64>();
        let counts = Counts { count, zero: 1, positive: positive.to_vec(), negative: vec![] };
        let counts = NativeCounts::Integer(counts);
        let native =
            NativeHistogram { schema, zero_threshold: 0.001, custom_bounds: vec![], counts, sum: None };
        let native = Some(Box::new(native));
        let histogram = Histogram { native, sum: Some(sum), ..Histogram::default() };
        family("n", MetricType::Histogram, &[(&[], Value::Histogram(Box::new(histogram)))])
    };
    for body in [native(3, &[(1, 2), (9, 4)], 1.5), native(2, &[(5, 1)], 2.5)] {
        let reply = push(&gateway, &body);
        assert_eq!((reply.status, &*reply.body), (200, ""));
    }
    let expected = "\
# HELP n of a test
# TYPE n histogram
n_bucket{instance=\"\",job=\"j\",le=\"+Inf\"} 9
n_sum{instance=\"\",job=\"j\"} 4
n_count{instance=\"\",job=\"j\"} 9
";
    assert_eq!(scrape_pushed(&gateway), expected);
    // More in the buckets than there are observations.
    let mut wrong = native(3, &[(1, 2)], 1.0);
    let count = wrong.windows(2).position(|bytes| bytes == [0x08, 3]).expect("the count stands in field 1");
    wrong[count + 1] = 1;
    let reply = push(&gateway, &wrong);
    assert_eq!(reply.status, 400, "{}", reply.body);
    assert_eq!(scrape_pushed(&gateway), expected);
}

#[test]
fn what_was_pushed_natively_is_scraped_natively() {
    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &[]);
    let native = |positive: &[(i32, u64)]| {
        let count = positive.iter().map(|(_, count)| count).sum();
        let counts = Counts { count, positive: positive.to_vec(), ..Counts::default() };
        let counts = NativeCounts::Integer(counts);
        NativeHistogram { schema: 3, zero_threshold: 0.5, custom_bounds: vec![], counts, sum: None }
    };
    for positive in [&[(1, 2), (9, 4)][..], &[(2, 1), (9, 1)]] {
        let native = Some(Box::new(native(positive)));
        let histogram = Histogram { native, sum: Some(1.25), ..Histogram::default() };
        let body = family("n", MetricType::Histogram, &[(&[], Value::Histogram(Box::new(histogram)))]);
        assert_eq!(push(&gateway, &body).status, 200);
    }
    let body = gateway.scrape_by_protobuf();
    let families = parse(&body, NameScheme::Legacy).unwrap();
    let n = families.families.iter().find(|family| family.name == "n").expect("it is there");
    let Value::Histogram(histogram) = &n.series[0].value else { panic!("{n:?}") };
    assert_eq!(histogram.native.as_deref(), Some(&native(&[(1, 2), (2, 1), (9, 5)])));
    assert_eq!((histogram.sum, histogram.count), (Some(2.5), Some(8.0)));
    let labels: Vec<_> =
        families.labels_of(&n.series[0]).iter().map(|label| (label.name, &*label.value)).collect();
    assert_eq!(labels, [("instance", ""), ("job", "j")]);
}

#[test]
fn a_native_histogram_that_replaces_may_have_any_sum() {
    let (_directory, store) = scratch();
    let flags = ["--push.mode=pushgateway"];
    let counts = Counts { count: 3, zero: 1, positive: vec![(1, 2)], negative: vec![] };
    let counts = NativeCounts::Integer(counts);
    let native = NativeHistogram { schema: 3, zero_threshold: 0.5, custom_bounds: vec![], counts, sum: None };
    for sum in [f64::INFINITY, 2.5, f64::NAN, f64::NEG_INFINITY, -1.5] {
        let native = Some(Box::new(native.clone()));
        let histogram = Histogram { native, sum: Some(sum), ..Histogram::default() };
        let body = family("n", MetricType::Histogram, &[(&[], Value::Histogram(Box::new(histogram)))]);
        let gateway = Process::start(&store, &flags);
        let reply = push(&gateway, &body);
        assert_eq!((reply.status, &*reply.body), (200, ""), "{sum}");
        gateway.kill();
        let gateway = Process::start(&store, &flags);
        let series = bodies::series(&gateway.scrape_by_protobuf());
        let (Value::Histogram(found), _) = &series["n{job=\"j\"}"] else { panic!("{series:?}") };
        assert_eq!((found.count, found.native.is_some()), (Some(3.0), true));
        assert_eq!(found.sum.unwrap().to_string(), sum.to_string());
    }
}

#[test]
fn with_utf8_names_names_with_dots_are_accepted() {
    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &["--push.enable-utf8-names"]);
    let body = family("a.b", MetricType::Counter, &[(&[("x.y", "1")], Value::Counter(1.0))]);
    for _ in 0..2 {
        let reply = push(&gateway, &body);
        assert_eq!((reply.status, &*reply.body), (200, ""));
    }
    let scrape = scrape_pushed(&gateway);
    assert!(scrape.contains("a_b{instance=\"\",job=\"j\",x_y=\"1\"} 2\n"), "{scrape}");
}

/// A counter whose metric has this field besides: its key and what follows.
fn counter_with(field: &[u8]) -> Vec<u8> {
    let metric = [&[0x1a, 9, 0x09][..], &1_f64.to_le_bytes(), field].concat();
    let message = [&[0x0a, 1, b'c', 0x22, u8::try_from(metric.len()).unwrap()][..], &metric].concat();
    [length_prefix(message.len()), message].concat()
}

#[test]
fn what_is_refused_leaves_the_scrape_as_it_was() {
    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &["--limit.series-per-push=5"]);
    assert_eq!(push(&gateway, &everything()[..counter_len()]).status, 200);
    let before = scrape_pushed(&gateway);
    let good = counter("good_total", 1.0);
    let gauge_in_counters = family("m", MetricType::Counter, &[(&[], Value::Gauge(1.0))]);
    let label = |name: &str| family("m", MetricType::Counter, &[(&[(name, "x")], Value::Counter(1.0))]);
    let six: Vec<Vec<u8>> = (0..6).map(|i| counter(&format!("m{i}"), 1.0)).collect();
    for (what, body, status, text) in [
        ("cut", counter("m", 1.0)[..9].to_vec(), 400, "unexpected EOF"),
        ("a number that does not end", vec![0xff], 400, "unexpected EOF"),
        ("text", b"m_total 1\n".to_vec(), 400, "unexpected EOF"),
        ("no message", vec![2, 0xff, 0xff], 400, "proto: cannot parse invalid wire-format data"),
        (
            "another value",
            gauge_in_counters,
            400,
            "protobuf format parsing error in metric 2 of the body, {} of the family \"m\": it holds a GAUGE and is not a COUNTER",
        ),
        ("a name with a dot", counter("a.b", 1.0), 400, "--push.enable-utf8-names"),
        ("an empty name", counter("", 1.0), 400, "invalid metric name"),
        ("a label with a dot", label("x.y"), 400, "--push.enable-utf8-names"),
        ("no label name", label(""), 400, "invalid label name"),
        ("a reserved label name", label("__name__"), 400, "is reserved"),
        ("a label of the data model", label("__x"), 400, "label with an invalid name: __x"),
        ("a timestamp", counter_with(&[0x30, 0]), 400, "must not have timestamps"),
        ("a negative counter", counter("m", -1.0), 400, "must not be negative"),
        (
            "another type",
            family("c_total", MetricType::Gauge, &[(&[], Value::Gauge(1.0))]),
            400,
            "is a gauge and not a counter",
        ),
        ("too many series", six.concat(), 429, "--limit.series-per-push"),
    ] {
        let reply = push(&gateway, &[good.clone(), body].concat());
        assert_eq!(reply.status, status, "{what}: {}", reply.body);
        assert!(reply.body.contains(text), "{what}: {}", reply.body);
        assert_eq!(scrape_pushed(&gateway), before, "{what}");
    }
    assert_eq!(push(&gateway, &good).status, 200, "and what stood beside it is accepted alone");
}

/// The bytes of the first family of [`everything`].
fn counter_len() -> usize {
    let body = everything();
    usize::from(body[0]) + 1
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.into_inner().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// What compresses a body.
type Compress = fn(&[u8]) -> Vec<u8>;

/// The encodings, each as some client might write it.
const ENCODINGS: [(&str, Compress); 6] = [
    ("gzip", gzip),
    (" GZip ", gzip),
    ("snappy", snappy),
    (" SNAPPY", snappy),
    ("zstd", zstd),
    ("Zstd ", zstd),
];

#[test]
fn bodies_are_inflated_whatever_their_format_and_encoding() {
    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &[]);
    for (encoding, compress) in ENCODINGS {
        let encoding = format!("Content-Encoding: {encoding}\r\n");
        let headers = format!("Content-Type: {CONTENT_TYPE}\r\n{encoding}");
        let reply = push_with(&gateway, &headers, &compress(&counter("p_total", 1.0)));
        assert_eq!(reply.status, 200, "{encoding}: {}", reply.body);
        let reply = push_with(&gateway, &encoding, &compress(b"# TYPE t_total counter\nt_total 1\n"));
        assert_eq!(reply.status, 200, "{encoding}: {}", reply.body);
    }
    let scrape = scrape_pushed(&gateway);
    assert!(scrape.contains("p_total{instance=\"\",job=\"j\",l=\"v\"} 6\n"), "{scrape}");
    assert!(scrape.contains("t_total{instance=\"\",job=\"j\"} 6\n"), "{scrape}");
}

#[test]
fn what_cannot_be_inflated_is_refused_and_a_bomb_stops_at_the_limit() {
    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &["--limit.inflated-bytes=1MiB"]);
    let text = b"m_total 1\n";
    let bomb = vec![b'\n'; 64 << 20];
    for (encoding, compress) in ENCODINGS {
        let headers = format!("Content-Encoding: {encoding}\r\n");
        let sent = compress(text);
        let reply = push_with(&gateway, &headers, &sent[..sent.len() - 1]);
        assert_eq!((reply.status, &*reply.body), (400, "unexpected EOF\n"), "{encoding}");
        let reply = push_with(&gateway, &headers, &[&sent[..], b"and some junk"].concat());
        assert_eq!(reply.status, 400, "{encoding}: {}", reply.body);
        let name = encoding.trim().to_lowercase();
        assert!(reply.body.starts_with(&format!("{name}: ")), "{encoding}: {}", reply.body);
        let reply = push_with(&gateway, &headers, &compress(&bomb));
        assert_eq!(reply.status, 413, "{encoding}: {}", reply.body);
        assert!(reply.body.contains("--limit.inflated-bytes"), "{}", reply.body);
        // To the byte: a comment that fills the limit is accepted, one byte more is not.
        let filled = |bytes: usize| format!("{}\n", "#".repeat(bytes - 1));
        assert_eq!(push_with(&gateway, &headers, &compress(filled(1 << 20).as_bytes())).status, 200);
        assert_eq!(push_with(&gateway, &headers, &compress(filled((1 << 20) + 1).as_bytes())).status, 413);
    }
    let raw = snap::raw::Encoder::new().compress_vec(text).unwrap();
    let reply = push_with(&gateway, "Content-Encoding: snappy\r\n", &raw);
    assert_eq!(reply.status, 400);
    assert!(reply.body.contains("snappy: corrupt input") && reply.body.contains("framed"), "{}", reply.body);
    for encoding in ["br", "deflate", "x-snappy-framed", "gzip, zstd"] {
        let reply = push_with(&gateway, &format!("Content-Encoding: {encoding}\r\n"), text);
        assert_eq!(reply.status, 415, "{encoding}");
        assert!(reply.body.contains("gzip, snappy, zstd"), "{}", reply.body);
        assert!(reply.head.contains("accept-encoding: gzip, snappy, zstd\r\n"), "{}", reply.head);
    }
    assert_eq!(scrape_pushed(&gateway), "");
}
