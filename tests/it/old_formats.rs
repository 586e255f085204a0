//! Stores that earlier versions wrote load in this one and show what they showed.
//!
//! `tests/fixtures/store-v1` is a store as a clean stop left it, `tests/fixtures/store-v1.scrape` what it
//! showed then; so with the others. A format that can no longer be read needs a migration, not a new
//! fixture. To write the fixture of a new format, name it in `FORMATS` and run
//! `BLESS=1 cargo test --test it old_formats`; that refuses to replace one that is there.

use std::fs;
use std::path::{Path, PathBuf};

use tallygate::aggregation::UntypedMode;
use tallygate::gateway::Options;
use tallygate::storage::{Engine, SledEngine, SledOptions};

use crate::support::in_process::InProcess;
use crate::support::process::scratch;
use crate::support::samples::value;

/// All formats, of which there must be fixtures; the newest is what is written today.
const FORMATS: [&str; 4] = ["store-v1", "store-v2", "store-v3", "store-v4"];

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
    // A group that is gone, so that there are numbers that are not used again.
    gateway.push("/metrics/job/gone", "gone 1\n").await;
    gateway.send("DELETE", "/metrics/job/gone", "").await;
    fs::write(scrape, gateway.scrape().await).unwrap();
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
    assert_eq!(gateway.scrape().await, expected);

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
    gateway.gateway.stop().await.unwrap();
    assert_eq!(open(&scratch).scrape().await, scrape);
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
    }
    assert_eq!(fs::read_to_string(kept.with_extension("scrape")).unwrap(), written);
}
