//! Stores that earlier versions wrote load in this one and show what they showed.
//!
//! `tests/fixtures/store-v1` is a store as a clean stop left it, `tests/fixtures/store-v1.scrape` what it
//! showed then; so with the others. A format that can no longer be read needs a migration, not a new
//! fixture. To write the fixture of a new format, name it in `FORMATS` and run
//! `BLESS=1 cargo test --test it old_formats`; that refuses to replace one that is there.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use tallygate::aggregation::UntypedMode;
use tallygate::exposition::text;
use tallygate::gateway::{Effect, Options};
use tallygate::model::{
    Counts, Exemplar, ExemplarPlace, Families, GroupingKey, Histogram, LabelSet, MetricFamily, NativeCounts,
    NativeHistogram, Series, StateSet, Value,
};
use tallygate::storage::{Engine, SledEngine, SledOptions};

use crate::support::in_process::InProcess;
use crate::support::process::scratch;
use crate::support::samples::value;

/// All formats, of which there must be fixtures; the newest is what is written today.
const FORMATS: [&str; 5] = ["store-v1", "store-v2", "store-v3", "store-v4", "store-v5"];

/// Pushes under `--push.untyped=by_suffix`, so that there are untyped metrics of both kinds. Every variant
/// of a state is among what they leave.
const PUSHES: [(&str, &str); 7] = [
    (
        "/metrics/job/backup/instance/db1",
        "# HELP files_total Files, \\\\ and\\na second line.\n# TYPE files_total counter\n\
         files_total{kind=\"full\"} 0.1\nfiles_total{kind=\"wide\"} 1e300\n# TYPE size_bytes gauge\nsize_bytes 5.2e9\n\
         size_bytes{state=\"unknown\"} NaN\nsize_bytes{state=\"endless\"} -Inf\nplain 3\nplain_total -1.5\n\
         pair_total 1e17\nwide_total 1e300\n",
    ),
    (
        "/metrics/job/backup/instance/db1",
        "# TYPE files_total counter\nfiles_total{kind=\"full\"} 0.2\n\
         files_total{kind=\"wide\"} 1\nplain 4\nplain_total 2\npair_total 1\nwide_total 1\n",
    ),
    (
        "/metrics/job/backup/instance/db1",
        "# TYPE files_total counter\nfiles_total{kind=\"wide\"} 1e-300\nwide_total 1e-300\n",
    ),
    (
        "/metrics/job@base64/w6kvIg/zone/a%20b",
        "# TYPE d_seconds histogram\nd_seconds_bucket{le=\"0.5\"} 1\nd_seconds_bucket{le=\"+Inf\"} 3\nd_seconds_sum 4.5\n\
         # TYPE once summary\nonce{quantile=\"0.5\"} 1\nonce{quantile=\"0.99\"} NaN\nonce_sum -2\nonce_count 3\n\
         # TYPE often summary\noften{quantile=\"0.5\"} 1\noften_sum 2\noften_count 3\n",
    ),
    (
        "/metrics/job@base64/w6kvIg/zone/a%20b",
        "# TYPE d_seconds histogram\nd_seconds_bucket{le=\"2\"} 9007199254740992\nd_seconds_count 9007199254740992\n\
         # TYPE often summary\noften{quantile=\"0.5\"} 1\noften_sum 2\noften_count 3\n",
    ),
    // Refused: a failure time of a group, and one of a group that holds nothing else.
    ("/metrics/job/backup/instance/db1", "files_total -1\n"),
    ("/metrics/job/never", "x 1 1000\n"),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn open(store: &Path) -> InProcess {
    let engine: Box<dyn Engine> =
        Box::new(SledEngine::open(store, &SledOptions::default()).expect("the store can be opened"));
    InProcess::open(engine, Options { untyped: UntypedMode::BySuffix, ..Options::default() })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A family of one series, as formats push it that can say more than text.
fn family(name: &'static str, value: Value) -> MetricFamily<'static> {
    MetricFamily {
        name: name.into(),
        metric_type: value.metric_type(),
        type_is_declared: true,
        help: None,
        unit: None,
        series: vec![Series { labels: 0..0, value, line: 1, has_timestamp: false, exemplars: None }],
    }
}

fn histogram(buckets: &[(f64, f64)], native: &NativeHistogram) -> Histogram {
    let mut text = "# TYPE h histogram\n".to_owned();
    for (bound, count) in buckets {
        writeln!(text, "h_bucket{{le=\"{bound}\"}} {count}").unwrap();
    }
    let families = text::parse(text.as_bytes()).unwrap();
    let Value::Histogram(classic) = &families.families[0].series[0].value else { unreachable!() };
    Histogram { native: Some(Box::new(native.clone())), ..Histogram::clone(classic) }
}

/// Every kind of state that text cannot push, with a unit and an exemplar.
fn rich() -> Families<'static> {
    let counts = Counts { count: 5, zero: 1, positive: vec![(-1, 2), (3, 1)], negative: vec![(0, 1)] };
    let native = NativeHistogram {
        schema: 3,
        zero_threshold: 0.5,
        custom_bounds: Vec::new(),
        counts: NativeCounts::Integer(counts),
        sum: None,
    };
    let buckets = [(1.0, 2.0), (f64::INFINITY, 5.0)];
    let states = StateSet { states: vec![("on".into(), true), ("off".into(), false)], defect: None };
    let mut counter = family("rich_seconds_total", Value::Counter(1.5));
    counter.unit = Some("seconds".into());
    counter.series[0].exemplars = Some(Box::new(vec![Exemplar {
        place: ExemplarPlace::Series,
        labels: LabelSet::new([("trace_id", "1f")]),
        value: 0.5,
        timestamp: Some(1_700_000_000.25),
    }]));
    let families = vec![
        counter,
        family("rich_native", Value::Histogram(Box::new(histogram(&buckets, &native)))),
        family("rich_gauges", Value::GaugeHistogram(Box::new(histogram(&buckets, &native)))),
        family("rich_info", Value::Info),
        family("rich_states", Value::StateSet(Box::new(states))),
    ];
    Families { families, labels: Vec::new() }
}

async fn push_as(gateway: &InProcess, effect: Effect, job: &str, families: &Families<'_>) {
    let key = GroupingKey::new(job, []).unwrap();
    let push = gateway.gateway.resolve_as(effect, &key, families, 0).unwrap();
    gateway.gateway.submit(push).await.unwrap();
}

/// What a scrape in text does not show.
fn told(gateway: &InProcess) -> String {
    let snapshot = gateway.gateway.snapshot();
    let mut text = String::new();
    for group in snapshot.groups().iter().filter(|group| group.key().job().starts_with("rich")) {
        for family in group.families() {
            let (view, last) = (&family.view, family.last_push);
            writeln!(text, "{} {} unit {:?} last {}", view.name, view.metric_type, view.unit, last.0)
                .unwrap();
            for series in view.series() {
                let exemplars: Vec<_> = series.exemplars().collect();
                let (created, value) = (series.created().0, series.value());
                writeln!(text, "  created {created} {value:?} {exemplars:?}").unwrap();
            }
        }
    }
    text
}

/// The scrape, less what is told of otherwise, since later versions may show it otherwise.
async fn scrape_of(gateway: &InProcess) -> String {
    let scrape = gateway.scrape().await;
    let is_rich = |line: &&str| line.contains("rich_");
    scrape.lines().filter(|line| !is_rich(line)).flat_map(|line| [line, "\n"]).collect()
}

/// Writes the store and its scrape.
async fn write(store: &Path, scrape: &Path) {
    let gateway = open(store);
    for (seconds, (path, body)) in (1_700_000_000..).zip(PUSHES) {
        gateway.clock.set_seconds(seconds);
        let (status, text) = gateway.push(path, body).await;
        assert!(status == 200 || status == 400, "{text}");
    }
    // A page of many series of which one has changed since: a patch.
    let wide = (0..40).map(|n| format!("wide{{n=\"{n}\"}} {n}\n")).collect::<String>();
    for body in [&wide, "wide{n=\"7\"} 0.5\n"] {
        let (status, text) = gateway.push("/metrics/job/wide", body).await;
        assert_eq!(status, 200, "{text}");
    }
    push_as(&gateway, Effect::Merge, "rich", &rich()).await;
    // Most of a page is vacant, the family of one slot is gone, and one series has begun again in its slot.
    let many = (0..40).map(|n| format!("rich_left{{n=\"{n}\"}} {n}\n")).collect::<String>();
    let bodies = [format!("{many}rich_gone 1\n"), "rich_left{n=\"1\"} 1\nrich_left{n=\"39\"} 1\n".to_owned()];
    for (seconds, body) in (1_700_000_100..).zip([&bodies[0], &many[..600].to_owned(), &bodies[1]]) {
        gateway.clock.set_seconds(seconds);
        let end = body.rfind('\n').unwrap() + 1;
        let families = text::parse(&body.as_bytes()[..end]).unwrap();
        push_as(&gateway, Effect::ReplaceGroup, "rich-replaced", &families).await;
    }
    // A group that is gone, so that there are numbers that are not used again.
    gateway.push("/metrics/job/gone", "gone 1\n").await;
    gateway.send("DELETE", "/metrics/job/gone", "").await;
    fs::write(scrape, scrape_of(&gateway).await).unwrap();
    fs::write(scrape.with_extension("told"), told(&gateway)).unwrap();
    gateway.gateway.stop().await.unwrap();
}

#[tokio::test]
async fn a_store_of_each_format_shows_what_it_showed_and_goes_on() {
    for format in FORMATS {
        shows_what_it_showed_and_goes_on(format).await;
    }
}

async fn shows_what_it_showed_and_goes_on(format: &str) {
    let (store, scrape) = (fixture(format), fixture(format).with_extension("scrape"));
    let (_directory, scratch) = scratch();
    copy(&store, &scratch);
    let expected = fs::read_to_string(scrape).unwrap();
    let gateway = open(&scratch);
    assert_eq!(scrape_of(&gateway).await, expected);
    if let Ok(expected) = fs::read_to_string(fixture(format).with_extension("told")) {
        assert_eq!(told(&gateway), expected);
    }

    // The states are there in full, and not only what is shown of them: a sum goes on exactly where it was.
    gateway.clock.set_seconds(1_800_000_000);
    let more = [
        (PUSHES[0].0, "pair_total -1e17\nwide_total -1e300\nplain 5\n"),
        (PUSHES[0].0, "wide_total -1\n# TYPE files_total counter\nfiles_total{kind=\"full\"} 1\n"),
        PUSHES[3],
        ("/metrics/job/late", "# TYPE gone gauge\ngone 1\n"),
    ];
    for (path, body) in more {
        let (status, text) = gateway.push(path, body).await;
        assert_eq!(status, 200, "{text}");
    }
    let scrape = gateway.scrape().await;
    for (series, expected) in [
        ("files_total{instance=\"db1\",job=\"backup\",kind=\"full\"}", 1.3),
        ("plain{instance=\"db1\",job=\"backup\"}", 5.0),
        ("pair_total{instance=\"db1\",job=\"backup\"}", 1.0),
        ("wide_total{instance=\"db1\",job=\"backup\"}", 1e-300),
        ("d_seconds_bucket{instance=\"\",job=\"é/\\\"\",zone=\"a b\",le=\"0.5\"}", 2.0),
        ("d_seconds_sum{instance=\"\",job=\"é/\\\"\",zone=\"a b\"}", 9.0),
        ("often_count{instance=\"\",job=\"é/\\\"\",zone=\"a b\"}", 9.0),
        ("once_count{instance=\"\",job=\"é/\\\"\",zone=\"a b\"}", 6.0),
    ] {
        assert_eq!(value(&scrape, series), expected, "{series}\n{scrape}");
    }
    assert!(!scrape.contains("quantile"), "{scrape}");
    let told_before = told(&gateway);
    gateway.gateway.stop().await.unwrap();
    let again = open(&scratch);
    assert_eq!((again.scrape().await, told(&again)), (scrape, told_before));
}

#[tokio::test]
async fn what_is_written_today_shows_the_same_as_the_fixture() {
    let (_directory, store) = scratch();
    let scrape = store.with_extension("scrape");
    write(&store, &scrape).await;
    let written = fs::read_to_string(scrape).unwrap();
    let kept = fixture(FORMATS[FORMATS.len() - 1]);
    if std::env::var_os("BLESS").is_some() && !kept.exists() {
        copy(&store, &kept);
        fs::write(kept.with_extension("scrape"), &written).unwrap();
        fs::copy(store.with_extension("told"), kept.with_extension("told")).unwrap();
    }
    assert_eq!(fs::read_to_string(kept.with_extension("scrape")).unwrap(), written);
    let told = |path: &Path| fs::read_to_string(path.with_extension("told")).unwrap();
    assert_eq!(told(&store), told(&kept));
}
