//! Debian's Pushgateway and ours side by side: the same requests, the same answers, the same scrape.
//!
//! Only first pushes are compared: what a second push does is where the two differ by design. What differs
//! besides, on purpose, is in [`DEPARTURES`] with the reason.

use std::collections::BTreeSet;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::neighbour::Neighbour;
use crate::support::process::{Process, is_installed, scratch};
use crate::support::wire::{Connection, Reply};

/// A request to both.
struct Case {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    body: &'static str,
    /// What both bodies begin with; both are empty where this is.
    begin: &'static str,
}

const fn case(
    name: &'static str,
    method: &'static str,
    path: &'static str,
    body: &'static str,
    begin: &'static str,
) -> Case {
    Case { name, method, path, body, begin }
}

/// Pushes and deletions that both accept. Every metric name stands in one case only, since types are for the
/// whole gateway.
const ACCEPTED: &[Case] = &[
    case("counter by PUT", "PUT", "/metrics/job/c1", "# TYPE c1 counter\nc1{l=\"v\"} 3\n", ""),
    case("counter by POST", "POST", "/metrics/job/c2", "# TYPE c2_total counter\nc2_total 3.5\n", ""),
    case("gauge", "PUT", "/metrics/job/g1", "# HELP g1 A gauge.\n# TYPE g1 gauge\ng1 -2.25\n", ""),
    case("untyped", "POST", "/metrics/job/u1", "u1 1\n", ""),
    case("declared untyped", "POST", "/metrics/job/u2", "# TYPE u2 untyped\nu2{a=\"1\",b=\"2\"} 7\n", ""),
    case(
        "histogram",
        "PUT",
        "/metrics/job/h1/instance/i",
        "# TYPE h1 histogram\nh1_bucket{le=\"0.1\"} 1\nh1_bucket{le=\"2.5\"} 2\nh1_bucket{le=\"+Inf\"} 4\n\
         h1_sum 12.5\nh1_count 4\n",
        "",
    ),
    case(
        "several histograms of one family",
        "PUT",
        "/metrics/job/h2",
        "# TYPE h2 histogram\nh2_bucket{x=\"a\",le=\"1\"} 1\nh2_bucket{x=\"a\",le=\"+Inf\"} 1\nh2_sum{x=\"a\"} 1\n\
         h2_count{x=\"a\"} 1\nh2_bucket{x=\"b\",le=\"1\"} 0\nh2_bucket{x=\"b\",le=\"+Inf\"} 2\nh2_sum{x=\"b\"} 9\n\
         h2_count{x=\"b\"} 2\n",
        "",
    ),
    case(
        "a histogram without +Inf",
        "PUT",
        "/metrics/job/h3",
        "# TYPE h3 histogram\nh3_bucket{le=\"1\"} 1\nh3_sum 2\nh3_count 2\n",
        "",
    ),
    case(
        "summary",
        "POST",
        "/metrics/job/s1",
        "# TYPE s1 summary\ns1{quantile=\"0.5\"} 1\ns1{quantile=\"0.99\"} 2.5\ns1_sum 17\ns1_count 5\n",
        "",
    ),
    case("a summary of nothing", "PUT", "/metrics/job/s2", "# TYPE s2 summary\ns2_sum 0\ns2_count 0\n", ""),
    case(
        "HELP with escapes",
        "PUT",
        "/metrics/job/e1",
        "# HELP e1 a \\\\ b \\n c\n# TYPE e1 gauge\ne1 1\n",
        "",
    ),
    case("label escapes", "PUT", "/metrics/job/e2", "e2{l=\"q\\\"b\\\\n\\nx\",m=\"ü\"} 1\n", ""),
    case("not a number", "PUT", "/metrics/job/n1", "# TYPE n1 gauge\nn1 NaN\n", ""),
    case("infinities", "PUT", "/metrics/job/n2", "# TYPE n2 gauge\nn2{s=\"+\"} +Inf\nn2{s=\"-\"} -Inf\n", ""),
    case(
        "the number format",
        "PUT",
        "/metrics/job/n3",
        "# TYPE n3 gauge\nn3{a=\"1\"} 0.0001\nn3{a=\"2\"} 0.00009\nn3{a=\"3\"} 100000\nn3{a=\"4\"} 999999\n\
         n3{a=\"5\"} 1000000\nn3{a=\"6\"} 123456.789\nn3{a=\"7\"} 1234567.5\nn3{a=\"8\"} 1.2345678901234567e19\n\
         n3{a=\"9\"} 2.1e+21\nn3{a=\"z\"} -0\n",
        "",
    ),
    case(
        "the order of series",
        "PUT",
        "/metrics/job/o1/instance/i",
        "o1{x=\"10\"} 1\no1{x=\"2\"} 1\no1 1\n",
        "",
    ),
    case(
        "the order of series, another group",
        "PUT",
        "/metrics/job/o0",
        "o1{x=\"5\"} 1\no1{y=\"1\",a=\"9\"} 1\n",
        "",
    ),
    case(
        "blanks and comments",
        "PUT",
        "/metrics/job/b1",
        "\n# a comment\n\n  b1 { l = \"v\" , }   1\n\t b1{} 2\n",
        "",
    ),
    case("interleaved families", "PUT", "/metrics/job/i1", "i1{a=\"1\"} 1\ni2 1\ni1{a=\"2\"} 1\n", ""),
    case(
        "job and instance in the body lose",
        "PUT",
        "/metrics/job/j1/instance/p",
        "j1{job=\"x\",instance=\"y\"} 1\n",
        "",
    ),
    case("instance in the body stays", "PUT", "/metrics/job/j2", "j2{instance=\"own\"} 1\n", ""),
    case("base64 in the path", "PUT", "/metrics/job@base64/YS9i/dir@base64/L3Zhci90bXA=", "p1 1\n", ""),
    case("base64 without padding", "PUT", "/metrics/job/p2/l@base64/dGVzdA", "p2 1\n", ""),
    case("percent-encoding in the path", "PUT", "/metrics/job/p%20q/l/a%2Bb+c", "p3 1\n", ""),
    case("a trailing slash after the job", "PUT", "/metrics/job/p4/", "p4 1\n", ""),
    case("the last label of a name wins", "PUT", "/metrics/job/p5/a/1/a/2", "p5 1\n", ""),
    case("job as a further label", "PUT", "/metrics/job/p6/job/x", "p6 1\n", ""),
    case("an empty POST", "POST", "/metrics/job/empty1", "", ""),
    case("a PUT of comments", "PUT", "/metrics/job/empty2", "# nothing\n", ""),
    case("push_time_seconds in the body", "PUT", "/metrics/job/t1", "push_time_seconds 5\nt1 1\n", ""),
    case("DELETE of what is not there", "DELETE", "/metrics/job/never", "", ""),
    case("a group to be deleted", "PUT", "/metrics/job/gone/a/b", "gone 1\n", ""),
    case("DELETE with a body", "DELETE", "/metrics/job/gone/a/b", "ignored", ""),
    case("OPTIONS of a push path", "OPTIONS", "/metrics/job/x", "", ""),
    case("OPTIONS of the scrape", "OPTIONS", "/metrics", "", ""),
    case("DELETE is exact", "DELETE", "/metrics/job/c1/a/b", "", ""),
];

const PARSING: &str = "text format parsing error in line";
const REJECTED: &str = "pushed metrics are invalid or inconsistent with existing metrics";

/// Requests that both refuse, and that change nothing that a scrape shows but the failure times.
const REFUSED: &[Case] = &[
    case(
        "no metrics at all",
        "PUT",
        "/metrics/job/r",
        "blablabla\n",
        "text format parsing error in line 1: expected float",
    ),
    case(
        "no line feed at the end",
        "PUT",
        "/metrics/job/r",
        "m 1",
        "text format parsing error in line 1: unexpected end of input stream",
    ),
    case(
        "carriage returns",
        "PUT",
        "/metrics/job/r",
        "m 1\r\n",
        "text format parsing error in line 1: expected float as value, got \"1\\r\"",
    ),
    case(
        "a bad value",
        "PUT",
        "/metrics/job/r",
        "\nm x\n",
        "text format parsing error in line 2: expected float as value, got \"x\"",
    ),
    case(
        "hexadecimal",
        "PUT",
        "/metrics/job/r",
        "m 0x10\n",
        "text format parsing error in line 1: expected float as value, got \"0x10\"",
    ),
    case(
        "underscores in a number",
        "PUT",
        "/metrics/job/r",
        "m 1_000\n",
        "text format parsing error in line 1: expected float as value, got \"1_000\"",
    ),
    case(
        "a bad first character",
        "PUT",
        "/metrics/job/r",
        "1m 1\n",
        "text format parsing error in line 1: invalid metric name",
    ),
    case(
        "a dot in a name",
        "PUT",
        "/metrics/job/r",
        "a.b 1\n",
        "text format parsing error in line 1: expected float as value, got \".b\"",
    ),
    case(
        "an unknown type",
        "PUT",
        "/metrics/job/r",
        "# TYPE m unknown\nm 1\n",
        "text format parsing error in line 1: unknown metric type \"unknown\"",
    ),
    case(
        "TYPE twice",
        "PUT",
        "/metrics/job/r",
        "# TYPE m gauge\n# TYPE m gauge\nm 1\n",
        "text format parsing error in line 2: second TYPE line for metric name \"m\", or TYPE reported after samples",
    ),
    case(
        "TYPE after a sample",
        "PUT",
        "/metrics/job/r",
        "m 1\n# TYPE m gauge\n",
        "text format parsing error in line 2: second TYPE line",
    ),
    case(
        "HELP twice",
        "PUT",
        "/metrics/job/r",
        "# HELP m a\n# HELP m b\nm 1\n",
        "text format parsing error in line 2: second HELP line for metric name \"m\"",
    ),
    case(
        "an unknown escape",
        "PUT",
        "/metrics/job/r",
        "m{l=\"\\x\"} 1\n",
        "text format parsing error in line 1: invalid escape sequence '\\x'",
    ),
    case("a label twice", "PUT", "/metrics/job/r", "m{l=\"1\",l=\"2\"} 1\n", PARSING),
    case(
        "the label __name__",
        "PUT",
        "/metrics/job/r",
        "m{__name__=\"x\"} 1\n",
        "text format parsing error in line 1: label name \"__name__\" is reserved",
    ),
    case(
        "a fraction as timestamp",
        "PUT",
        "/metrics/job/r",
        "m 1 1000.5\n",
        "text format parsing error in line 1: expected integer as timestamp, got \"1000.5\"",
    ),
    case(
        "blanks after the value",
        "PUT",
        "/metrics/job/r",
        "m 1 \n",
        "text format parsing error in line 1: expected integer as timestamp, got \"\"",
    ),
    case(
        "junk after a timestamp",
        "PUT",
        "/metrics/job/r",
        "m 1 5 x\n",
        "text format parsing error in line 1: spurious string after timestamp",
    ),
    case(
        "le that is no number",
        "PUT",
        "/metrics/job/r",
        "# TYPE m histogram\nm_bucket{le=\"x\"} 1\n",
        "text format parsing error in line 2: expected float as value for 'le' label, got \"x\"",
    ),
    case(
        "a timestamp",
        "PUT",
        "/metrics/job/f1",
        "m 1 1000\n",
        "pushed metrics are invalid or inconsistent with existing metrics: pushed metrics must not have timestamps",
    ),
    case("one series twice", "PUT", "/metrics/job/f2", "m{l=\"v\"} 1\nm{l=\"v\"} 1\n", REJECTED),
    case("a type that contradicts", "PUT", "/metrics/job/f3", "# TYPE c1 gauge\nc1 1\n", REJECTED),
    case("a name that a histogram exposes", "PUT", "/metrics/job/f4", "h1_count 1\n", REJECTED),
    case(
        "a histogram that exposes a name",
        "PUT",
        "/metrics/job/f5",
        "u1_sum 1\n# TYPE u1_s summary\nu1_s_sum 1\nu1_s_count 1\nu1_s_x 1\n# TYPE g1_h histogram\ng1_h_count 1\n# TYPE c1 histogram\nc1_count 1\n",
        REJECTED,
    ),
    case("a reserved label", "PUT", "/metrics/job/f6", "m{__x=\"1\"} 1\n", REJECTED),
    case("a series of another group", "PUT", "/metrics/job/c1/l/v", "# TYPE c1 counter\nc1 1\n", REJECTED),
    case(
        "an odd number of components",
        "PUT",
        "/metrics/job/r/foo",
        "m 1\n",
        "odd number of components in label string \"/foo\"",
    ),
    case(
        "an odd number of components and a slash",
        "PUT",
        "/metrics/job/r/foo/bar/",
        "m 1\n",
        "odd number of components in label string",
    ),
    case("an improper label name", "PUT", "/metrics/job/r/a=b/c", "m 1\n", "improper label name \"a=b\""),
    case(
        "a reserved label name in the path",
        "PUT",
        "/metrics/job/r/__a/c",
        "m 1\n",
        "improper label name \"__a\"",
    ),
    case("a colon in a label name", "PUT", "/metrics/job/r/a:b/c", "m 1\n", "improper label name \"a:b\""),
    case(
        "bad base64 in a value",
        "PUT",
        "/metrics/job/r/a@base64/foo.bar",
        "m 1\n",
        "invalid base64 encoding for label a=\"foo.bar\"",
    ),
    case("an empty job", "DELETE", "/metrics/job@base64/=", "", "job name is required"),
    case("a path that is not there", "GET", "/nope", "", "404 page not found"),
    case("job is not first", "PUT", "/metrics/foo/bar/job/x", "m 1\n", "404 page not found"),
    case("another API", "GET", "/api/v2/status", "", "404 page not found"),
    case("GET of a push path", "GET", "/metrics/job/x", "", "Method Not Allowed"),
    case("PATCH of a push path", "PATCH", "/metrics/job/x", "", "Method Not Allowed"),
    case("POST of the scrape", "POST", "/metrics", "", "Method Not Allowed"),
    case("quit", "PUT", "/-/quit", "", "Lifecycle API is not enabled."),
    // The last: after it Debian's version answers no push any more.
    case(
        "bad base64 in the job",
        "PUT",
        "/metrics/job@base64/foo.bar",
        "m 1\n",
        "invalid base64 encoding in job name",
    ),
];

/// Requests that are answered differently on purpose: the status of Pushgateway 1.5.1, ours, and why.
const DEPARTURES: &[(Case, u16, u16, &str)] = &[
    (
        case("a counter below zero", "PUT", "/metrics/job/d1", "# TYPE d1 counter\nd1 -1\n", REJECTED),
        200,
        400,
        "what adds up must not be negative: the total would fall",
    ),
    (
        case(
            "buckets that fall",
            "PUT",
            "/metrics/job/d2",
            "# TYPE d2 histogram\nd2_bucket{le=\"1\"} 2\nd2_bucket{le=\"+Inf\"} 1\nd2_count 1\n",
            REJECTED,
        ),
        200,
        400,
        "such a histogram means nothing, and would spoil those that it is merged with",
    ),
    (
        case(
            "a bare sample of a histogram",
            "PUT",
            "/metrics/job/d3",
            "# TYPE d3 histogram\nd3 5\n",
            REJECTED,
        ),
        200,
        400,
        "it would be stored as a histogram of nothing",
    ),
    (
        case("a name of the gateway's own", "PUT", "/metrics/job/d4", "tallygate_x 1\n", REJECTED),
        200,
        400,
        "the names are reserved",
    ),
    (
        case("a path with two slashes", "PUT", "/metrics/job//x", "m 1\n", "the path holds"),
        301,
        400,
        "clients turn a redirected PUT into a GET, or push to another group",
    ),
    (
        case(
            "a push path in capitals",
            "PUT",
            "/METRICS/job/x",
            "m 1\n",
            "the path must start with /metrics/job/",
        ),
        307,
        400,
        "as above: a push is never redirected",
    ),
    (
        case(
            "an empty label value",
            "PUT",
            "/metrics/job/d5",
            "d5{l=\"a\"} 1\nd5{l=\"a\",e=\"\"} 1\n",
            REJECTED,
        ),
        200,
        400,
        "an empty label value is no label, so this is one series twice",
    ),
];

/// The two of them, each with nothing in it.
struct Both {
    theirs: Neighbour,
    ours: Process,
    _directory: tempfile::TempDir,
}

impl Both {
    fn start() -> Self {
        let (directory, store) = scratch();
        let theirs = Neighbour::start("prometheus-pushgateway", "/-/ready", |address| {
            // Debian's default is a file that a Pushgateway before may have left.
            vec![format!("--web.listen-address={address}"), "--persistence.file=".to_owned()]
        });
        Self { theirs, ours: Process::start(&store, &[]), _directory: directory }
    }

    fn send(&self, case: &Case) -> (Reply, Reply) {
        self.send_with(case, "")
    }

    fn send_with(&self, case: &Case, headers: &str) -> (Reply, Reply) {
        let send = |address: &str| {
            let mut connection = Connection::open(address).unwrap();
            connection.request(case.method, case.path, headers, case.body).unwrap()
        };
        (send(&self.theirs.address), send(&self.ours.address))
    }

    /// What both show, less what is each one's own. Values of push times are only zero or not.
    fn scrapes(&self) -> (Vec<String>, Vec<String>) {
        (comparable(&self.theirs.get("/metrics").body), comparable(&self.ours.scrape()))
    }
}

fn comparable(scrape: &str) -> Vec<String> {
    let own = ["go_", "process_", "promhttp_", "pushgateway_", "tallygate_"];
    let is_own = |line: &str| {
        let name = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE ")).unwrap_or(line);
        own.iter().any(|prefix| name.starts_with(prefix)) || line.starts_with("# HELP push_")
    };
    let without_time = |line: &str| match line.rsplit_once(' ') {
        Some((series, time)) if series.starts_with("push_") && time != "0" => format!("{series} some time"),
        _ => line.to_owned(),
    };
    scrape.lines().filter(|line| !is_own(line)).map(without_time).collect()
}

fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    reply.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn assert_alike(case: &Case, (theirs, ours): &(Reply, Reply)) {
    let name = case.name;
    assert_eq!(ours.status, theirs.status, "{name}: {} / {}", ours.body, theirs.body);
    for (reply, whose) in [(theirs, "Pushgateway's"), (ours, "our")] {
        assert!(reply.body.starts_with(case.begin), "{name}: {whose} answer is {:?}", reply.body);
        assert_eq!(
            reply.body.is_empty(),
            case.begin.is_empty(),
            "{name}: {whose} answer is {:?}",
            reply.body
        );
    }
    for wanted in ["allow", "x-content-type-options", "location"] {
        assert_eq!(header(ours, wanted), header(theirs, wanted), "{name}: {wanted}");
    }
    let media = |reply| header(reply, "content-type").map(|value| value.replace(' ', ""));
    assert_eq!(media(ours), media(theirs), "{name}: content-type");
}

#[test]
fn first_pushes_are_answered_and_shown_alike() {
    if !is_installed("prometheus-pushgateway") {
        return;
    }
    let both = Both::start();
    let names: BTreeSet<&str> = ACCEPTED.iter().chain(REFUSED).map(|case| case.name).collect();
    assert_eq!(names.len(), ACCEPTED.len() + REFUSED.len(), "every case has a name of its own");
    for case in ACCEPTED {
        let replies = both.send(case);
        assert_alike(case, &replies);
        let expected = if case.method == "DELETE" { 202 } else { 200 };
        assert_eq!(replies.1.status, expected, "{}: {}", case.name, replies.1.body);
        let (theirs, ours) = both.scrapes();
        assert_eq!(ours, theirs, "{}", case.name);
    }
    for case in REFUSED {
        assert_alike(case, &both.send(case));
        let (theirs, ours) = both.scrapes();
        assert_eq!(ours, theirs, "{}", case.name);
    }
}

#[test]
fn departures_are_the_known_ones() {
    if !is_installed("prometheus-pushgateway") {
        return;
    }
    let both = Both::start();
    for (case, their_status, our_status, reason) in DEPARTURES {
        let (theirs, ours) = both.send(case);
        assert_eq!((theirs.status, ours.status), (*their_status, *our_status), "{}: {reason}", case.name);
        assert!(ours.body.starts_with(case.begin), "{}: {}", case.name, ours.body);
    }
    assert!(!both.ours.scrape().contains("\nd"), "nothing of it was stored");
}

#[test]
fn encodings_are_read_alike_where_pushgateway_knows_them() {
    if !is_installed("prometheus-pushgateway") {
        return;
    }
    let both = Both::start();
    let push = case("identity", "PUT", "/metrics/job/i", "m 1\n", "");
    assert_alike(&push, &both.send_with(&push, "Content-Encoding: identity\r\n"));
    let body = {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"zipped 1\n").unwrap();
        encoder.finish().unwrap()
    };
    for address in [&both.theirs.address, &both.ours.address] {
        let mut connection = Connection::open(address).unwrap();
        let length = body.len();
        let head = format!(
            "PUT /metrics/job/z HTTP/1.1\r\nHost: test\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n"
        );
        connection.send([head.as_bytes(), &body].concat()).unwrap();
        assert_eq!(connection.reply().unwrap().status, 200);
    }
    let (theirs, ours) = both.scrapes();
    assert_eq!(ours, theirs);
    assert!(ours.contains(&"zipped{instance=\"\",job=\"z\"} 1".to_owned()));
    let junk = case("no gzip", "PUT", "/metrics/job/j", "m 1\n", "gzip: invalid header");
    let (theirs, ours) = both.send_with(&junk, "Content-Encoding: gzip\r\n");
    assert_eq!((theirs.status, ours.status), (400, 400));
    // Pushgateway takes the bytes as they are, and so compressed ones for text; we say what we can read.
    let brotli = case("brotli", "PUT", "/metrics/job/k", "m 1\n", "");
    let (theirs, ours) = both.send_with(&brotli, "Content-Encoding: br\r\n");
    assert_eq!((theirs.status, ours.status), (200, 415));
}
