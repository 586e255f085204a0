//! Pushes that take the place of what is there, and wiping: what stays, what goes, and what is free again.

use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use tallygate::exposition::text;
use tallygate::gateway::{Options, Snapshot};
use tallygate::http;
use tallygate::model::{GroupingKey, MetricType, Stamp, Value};
use tallygate::storage::MemoryEngine;

use crate::support::in_process::InProcess;
use crate::support::records::{Disk, Failure};
use crate::support::samples::value;

const PATH: &str = "/metrics/job/j";
const OTHER: &str = "/metrics/job/other";
const FAMILY: u8 = 1;
const GROUP: u8 = 2;
const PAGE: u8 = 4;
const SECOND: u64 = 1_000_000_000;

fn replacing() -> (Disk, InProcess) {
    let disk = Disk::default();
    let gateway = InProcess::open_replacing(disk.engine(), Options::default());
    (disk, gateway)
}

async fn send(gateway: &InProcess, method: &str, path: &str, body: &str, expected: u16) -> String {
    let (status, text) = gateway.send(method, path, body.to_owned()).await;
    assert_eq!(status, expected, "{method} {path}: {body}: {text}");
    text
}

/// What is scraped, less the push times, as a restart must show it too.
async fn shown(disk: &Disk, gateway: &InProcess) -> String {
    let scrape = gateway.scrape().await;
    let restarted = InProcess::open_replacing(disk.engine(), Options::default());
    assert_eq!(restarted.scrape().await, scrape);
    gateway.scrape_pushed().await
}

#[tokio::test]
async fn a_put_is_the_whole_group_and_an_empty_one_leaves_its_two_times() {
    let (disk, gateway) = replacing();
    send(&gateway, "PUT", PATH, "# TYPE a counter\na 5\n# TYPE b gauge\nb{l=\"1\"} 1\nb{l=\"2\"} 2\n", 200)
        .await;
    send(&gateway, "PUT", PATH, "a -1 5\n", 400).await;
    gateway.clock.set_seconds(2_000);
    send(&gateway, "PUT", PATH, "# TYPE a counter\na 3\n# TYPE c gauge\nc 1\n", 200).await;
    let expected =
        "# TYPE a counter\na{instance=\"\",job=\"j\"} 3\n# TYPE c gauge\nc{instance=\"\",job=\"j\"} 1\n";
    assert_eq!(gateway.scrape_pushed().await, expected);
    gateway.clock.set_seconds(3_000);
    send(&gateway, "PUT", PATH, "", 200).await;
    let scrape = gateway.scrape().await;
    assert_eq!(gateway.scrape_pushed().await, "", "{scrape}");
    let time = |name: &str| value(&scrape, &format!("{name}{{instance=\"\",job=\"j\"}}"));
    assert_eq!([time("push_time_seconds"), time("push_failure_time_seconds")], [3_000.0, 1_000.0]);
    assert_eq!(shown(&disk, &gateway).await, "");
}

#[tokio::test]
async fn a_post_is_the_families_that_it_has_and_others_stay() {
    let (disk, gateway) = replacing();
    send(&gateway, "POST", PATH, "# TYPE a gauge\na{l=\"1\"} 1\na{l=\"2\"} 2\n# TYPE b counter\nb 7\n", 200)
        .await;
    send(&gateway, "POST", PATH, "# TYPE a gauge\na{l=\"2\"} 3\n", 200).await;
    send(&gateway, "POST", PATH, "", 200).await;
    let expected = "# TYPE a gauge\na{instance=\"\",job=\"j\",l=\"2\"} 3\n# TYPE b counter\nb{instance=\"\",job=\"j\"} 7\n";
    assert_eq!(shown(&disk, &gateway).await, expected);
}

#[tokio::test]
async fn what_is_pushed_is_what_is_there_for_every_type() {
    let (disk, gateway) = replacing();
    let body = |n: u32| {
        format!(
            "# TYPE c counter\nc {n}\n# TYPE h histogram\nh_bucket{{le=\"{n}\"}} {n}\nh_bucket{{le=\"+Inf\"}} {n}\n\
             h_sum {n}\nh_count {n}\n# TYPE s summary\ns{{quantile=\"0.5\"}} {n}\ns_sum {n}\ns_count {n}\nu {n}\n"
        )
    };
    for n in [3, 5, 2, 2] {
        send(&gateway, "POST", PATH, &body(n), 200).await;
    }
    let scrape = shown(&disk, &gateway).await;
    for name in ["c", "u", "h_sum", "h_count", "s_sum", "s_count"] {
        assert_eq!(value(&scrape, &format!("{name}{{instance=\"\",job=\"j\"}}")), 2.0, "{name}: {scrape}");
    }
    assert_eq!(value(&scrape, "s{instance=\"\",job=\"j\",quantile=\"0.5\"}"), 2.0);
    assert_eq!(scrape.matches("h_bucket").count(), 2, "{scrape}");
}

#[tokio::test]
async fn what_cannot_be_added_up_is_shown_by_every_format_that_has_it() {
    let (disk, gateway) = replacing();
    let openmetrics = async || {
        let request = Request::get("/metrics").header("accept", "application/openmetrics-text");
        gateway.request(request.body(Body::empty()).unwrap()).await.1
    };
    // A repeated text takes a way of its own.
    for number in ["5", "NaN", "-1", "6", "6", "NaN", "NaN", "NaN", "+Inf", "-Inf", "7"] {
        let body = format!(
            "# TYPE c counter\nc {number}\n# TYPE h histogram\nh_bucket{{le=\"+Inf\"}} 2\nh_sum {number}\nh_count 2\n\
             # TYPE s summary\ns_sum {number}\ns_count 2\nu {number}\n"
        );
        send(&gateway, "PUT", PATH, &body, 200).await;
        let text = gateway.scrape_pushed().await;
        let native = gateway.scrape_natively().await;
        for name in ["c", "h_sum", "s_sum", "u"] {
            let line = format!("\n{name}{{instance=\"\",job=\"j\"}} {number}\n");
            assert!(text.contains(&line), "{line}: {text}");
        }
        let parsed: f64 = number.parse().unwrap();
        assert!(format!("{native:?}").contains(&format!("Counter({parsed:?})")), "{native:?}");
        // Where a counter, or the sum of one, has to be a number that is not negative.
        let is_in_openmetrics = parsed >= 0.0;
        let scrape = openmetrics().await;
        for name in ["c_total", "h_sum", "s_sum"] {
            let line = format!("\n{name}{{instance=\"\",job=\"j\"}} {number}\n");
            assert_eq!(scrape.contains(&line), is_in_openmetrics, "{line}: {scrape}");
            assert_eq!(
                scrape.matches(&format!("\n{name}{{")).count(),
                usize::from(is_in_openmetrics),
                "{scrape}"
            );
        }
        assert!(scrape.contains(&format!("\nu{{instance=\"\",job=\"j\"}} {number}\n")), "{scrape}");
    }
    send(&gateway, "PUT", PATH, "# TYPE c counter\nc NaN\nu -Inf\n", 200).await;
    assert!(shown(&disk, &gateway).await.contains("c{instance=\"\",job=\"j\"} NaN\n"));
}

#[tokio::test]
async fn a_type_may_change_where_no_other_group_has_the_name() {
    for method in ["POST", "PUT"] {
        let (disk, gateway) = replacing();
        send(&gateway, method, PATH, "# TYPE a counter\na 1\n", 200).await;
        send(&gateway, method, PATH, "# TYPE a gauge\na 2\n", 200).await;
        assert!(gateway.scrape_pushed().await.starts_with("# TYPE a gauge\n"));
        send(&gateway, method, OTHER, "# TYPE a counter\na 1\n", 400).await;
        send(&gateway, method, OTHER, "# TYPE a gauge\na 1\n", 200).await;
        let text = send(&gateway, method, PATH, "# TYPE a counter\na 1\n", 400).await;
        assert!(
            text.contains("is a counter and not a gauge") && text.contains("DELETE /metrics/job/other"),
            "{text}"
        );
        // A name that is let go of is free, and what was of the old type does not come back.
        send(&gateway, "PUT", OTHER, "", 200).await;
        send(&gateway, method, PATH, "# TYPE a histogram\na_count 1\na_sum 1\n", 200).await;
        send(&gateway, "POST", OTHER, "a_count 1\n", 400).await;
        send(&gateway, "PUT", PATH, "b 1\n", 200).await;
        send(&gateway, "POST", OTHER, "a_count 1\n", 200).await;
        let scrape = shown(&disk, &gateway).await;
        assert_eq!(scrape.lines().filter(|line| !line.starts_with('#')).count(), 2, "{scrape}");
    }
}

#[tokio::test]
async fn names_collide_only_with_what_stays() {
    let (_, gateway) = replacing();
    send(&gateway, "PUT", PATH, "# TYPE h histogram\nh_count 1\nh_sum 1\n", 200).await;
    send(&gateway, "POST", PATH, "h_count 1\n", 400).await;
    send(&gateway, "PUT", PATH, "# TYPE h histogram\nh_count 1\nh_sum 1\n# TYPE h_sum gauge\nh_sum 1\n", 400)
        .await;
    send(&gateway, "PUT", PATH, "h_count 1\n", 200).await;
    send(&gateway, "POST", PATH, "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\n", 400).await;
}

#[tokio::test]
async fn series_of_other_groups_stand_in_the_way_only_while_they_are_there() {
    let (disk, gateway) = replacing();
    let longer = "/metrics/job/j/l/1";
    let body = "# TYPE a gauge\na{l=\"1\"} 1\na{l=\"2\"} 1\n";
    send(&gateway, "POST", PATH, body, 200).await;
    send(&gateway, "POST", longer, "# TYPE a gauge\na 1\n", 400).await;
    send(&gateway, "POST", PATH, "# TYPE a gauge\na{l=\"2\"} 1\n", 200).await;
    send(&gateway, "POST", longer, "# TYPE a gauge\na 1\n", 200).await;
    // Its own slot is still there, but another group has the series now.
    send(&gateway, "POST", PATH, body, 400).await;
    send(&gateway, "PUT", longer, "", 200).await;
    send(&gateway, "POST", PATH, body, 200).await;
    assert_eq!(shown(&disk, &gateway).await.matches("a{").count(), 2);
}

#[tokio::test]
async fn of_an_info_the_newest_label_sets_count_though_all_else_merges() {
    let disk = Disk::default();
    let gateway = InProcess::open(disk.engine(), Options::default());
    let push = async |body: &str| {
        let mut families = text::parse(body.as_bytes()).unwrap();
        let info = &mut families.families[0];
        info.metric_type = MetricType::Info;
        info.series.iter_mut().for_each(|series| series.value = Value::Info);
        let key = GroupingKey::new("j", []).unwrap();
        let push = gateway.gateway.resolve(&key, &families, body.len()).unwrap();
        gateway.gateway.submit(push).await.unwrap();
    };
    let counter = "# TYPE c counter\nc 1\n";
    push(&format!("v_info{{v=\"1\"}} 1\nv_info{{v=\"2\"}} 1\n{counter}")).await;
    push(&format!("v_info{{v=\"2\"}} 1\nv_info{{v=\"3\"}} 1\n{counter}")).await;
    // A push without it leaves it as it is.
    send(&gateway, "POST", PATH, counter, 200).await;
    let scrape = gateway.scrape().await;
    let label = |v: &str| value(&scrape, &format!("v_info{{instance=\"\",job=\"j\",v=\"{v}\"}}"));
    assert_eq!(["1", "2", "3"].map(label), [0.0, 1.0, 1.0]);
    assert_eq!(value(&scrape, "c{instance=\"\",job=\"j\"}"), 3.0);
    assert_eq!(InProcess::open(disk.engine(), Options::default()).scrape().await, scrape);
}

/// How many series there are, the push times aside, and how many groups.
fn counted(gateway: &InProcess) -> [usize; 2] {
    let snapshot = gateway.gateway.snapshot();
    let pushed = snapshot.families().into_iter().filter(|family| !family.name.starts_with("push_"));
    [pushed.map(|family| family.series().len()).sum(), snapshot.groups().len()]
}

async fn until_records_are_few(disk: &Disk, most: usize) {
    for _ in 0..1_000 {
        if disk.len() <= most {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{} records are left", disk.len());
}

#[tokio::test]
async fn ever_new_series_in_the_place_of_old_ones_do_not_pile_up() {
    for method in ["POST", "PUT"] {
        let (disk, gateway) = replacing();
        // Of each push some series are those of the one before.
        for run in 0..100 {
            let mut body = "# TYPE a gauge\n".to_owned();
            for n in 0..20 {
                writeln!(body, "a{{n=\"{}\"}} {run}", 15 * run + n).unwrap();
            }
            body.push_str("# TYPE keeps counter\nkeeps 1\n");
            send(&gateway, method, PATH, &body, 200).await;
            assert_eq!(counted(&gateway), [21, 1], "{method} {run}");
        }
        // Two families, a group, and a layout and a page or two; what is left of groups before goes.
        until_records_are_few(&disk, 2 + 1 + 4).await;
        assert_eq!(shown(&disk, &gateway).await.matches("a{").count(), 20);
    }
}

#[tokio::test]
async fn a_post_rewrites_no_page_that_it_has_nothing_to_do_with() {
    let (disk, gateway) = replacing();
    let mut large = "# TYPE a gauge\n".to_owned();
    (0..1_000).for_each(|n| writeln!(large, "a{{n=\"{n}\"}} 1").unwrap());
    send(&gateway, "POST", PATH, &large, 200).await;
    let before = disk.values_of_kind(PAGE);
    send(&gateway, "POST", PATH, "# TYPE b gauge\nb{l=\"1\"} 1\nb{l=\"2\"} 1\n", 200).await;
    send(&gateway, "POST", PATH, "# TYPE b gauge\nb{l=\"2\"} 1\n", 200).await;
    let after = disk.values_of_kind(PAGE);
    let same = before.iter().filter(|page| after.contains(page)).count();
    assert!(same >= before.len() - 1, "{same} of {} pages are as they were", before.len());
}

fn created(snapshot: &Snapshot, family: &str) -> Stamp {
    let family = snapshot.families().into_iter().find(|view| view.name == family).unwrap();
    family.series()[0].created()
}

#[tokio::test]
async fn a_series_begins_again_where_it_falls_or_was_gone() {
    let (disk, gateway) = replacing();
    let at = |seconds| Stamp(seconds * SECOND);
    for (seconds, body, expected) in [
        (2_000, "# TYPE c counter\nc 5\nkeeps 1\n", at(2_000)),
        (3_000, "# TYPE c counter\nc 6\n", at(2_000)),
        (4_000, "# TYPE c counter\nc 2\n", at(4_000)),
        (5_000, "# TYPE c counter\nc{l=\"1\"} 2\n", at(5_000)),
        (6_000, "# TYPE c counter\nc 9\n", at(6_000)),
    ] {
        gateway.clock.set_seconds(seconds);
        send(&gateway, "POST", PATH, body, 200).await;
        assert_eq!(created(&gateway.gateway.snapshot(), "c"), expected, "{body}");
        assert_eq!(created(&gateway.gateway.snapshot(), "keeps"), at(2_000));
    }
    let restarted = InProcess::open_replacing(disk.engine(), Options::default());
    assert_eq!(created(&restarted.gateway.snapshot(), "c"), at(6_000));
}

#[tokio::test]
async fn groups_are_in_order_with_their_families_and_the_last_push_to_each() {
    let disk = Disk::default();
    let gateway = InProcess::open(disk.engine(), Options::default());
    for (seconds, path, body, status) in [
        (
            2_000,
            "/metrics/job/b",
            "# TYPE m counter\nm 1\n# HELP n Help.\n# TYPE n gauge\nn{l=\"1\"} 1\nn{l=\"2\"} 2\n",
            200,
        ),
        (3_000, "/metrics/job/a/z/1", "# TYPE m counter\nm 1\n", 200),
        (4_000, "/metrics/job/b", "# TYPE m counter\nm 1\n", 200),
        (5_000, "/metrics/job/c", "m -1\n", 400),
        (6_000, "/metrics/job/b", "m -1\n", 400),
    ] {
        gateway.clock.set_seconds(seconds);
        send(&gateway, "POST", path, body, status).await;
    }
    let told = |gateway: &InProcess| {
        let snapshot = gateway.gateway.snapshot();
        let mut text = String::new();
        for group in snapshot.groups() {
            let times = [group.push_time(), group.push_failure_time()].map(|time| time.0 / SECOND);
            writeln!(text, "{} {times:?} {}", group.key(), group.last_push_succeeded()).unwrap();
            for family in group.families() {
                let (view, last) = (&family.view, family.last_push.0 / SECOND);
                let series = view.series();
                let first = series[0].value();
                writeln!(text, "  {} {} {last}: {}, {first:?}", view.name, view.metric_type, series.len())
                    .unwrap();
            }
        }
        text
    };
    let expected = "\
{job=\"a\",z=\"1\"} [3000, 0] true
  m counter 3000: 1, Counter(1.0)
  push_failure_time_seconds gauge 0: 1, Gauge(0.0)
  push_time_seconds gauge 3000: 1, Gauge(3000.0)
{job=\"b\"} [4000, 6000] false
  m counter 4000: 1, Counter(2.0)
  n gauge 2000: 2, Gauge(1.0)
  push_failure_time_seconds gauge 6000: 1, Gauge(6000.0)
  push_time_seconds gauge 4000: 1, Gauge(4000.0)
{job=\"c\"} [0, 5000] false
  push_failure_time_seconds gauge 5000: 1, Gauge(5000.0)
  push_time_seconds gauge 0: 1, Gauge(0.0)
";
    assert_eq!(told(&gateway), expected);
    // Failure times are written with the next commit.
    gateway.gateway.stop().await.unwrap();
    assert_eq!(told(&InProcess::open(disk.engine(), Options::default())), expected);
}

#[tokio::test]
async fn a_wipe_is_durable_and_leaves_nothing() {
    for failure in [None, Some(Failure::Lost), Some(Failure::Landed)] {
        let (disk, gateway) = replacing();
        for group in 0..300 {
            send(&gateway, "PUT", &format!("/metrics/job/{group}"), "# TYPE a counter\na 1\n", 200).await;
        }
        send(&gateway, "PUT", "/metrics/job/refused", "a 1 1\n", 400).await;
        disk.fail_next(failure);
        let wiped = gateway.gateway.wipe().await;
        assert_eq!(wiped.is_err(), failure.is_some());
        while gateway.gateway.wipe().await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(disk.bytes_of_kind(GROUP).len(), 0, "{failure:?}");
        assert_eq!((counted(&gateway), shown(&disk, &gateway).await), ([0, 0], String::new()));
        let restarted = InProcess::open_replacing(disk.engine(), Options::default());
        send(&restarted, "PUT", PATH, "# TYPE a gauge\na 1\n", 200).await;
        until_records_are_few(&disk, 4).await;
        assert_eq!(disk.bytes_of_kind(FAMILY).len(), 1);
    }
}

#[tokio::test]
async fn without_the_consistency_check_only_the_status_is_another() {
    let options = http::Options { answers_checked: false, ..http::Options::default() };
    let gateway = InProcess::open_with(Box::new(MemoryEngine::default()), Options::default(), options);
    for _ in 0..4 {
        send(&gateway, "PUT", PATH, "# TYPE a counter\na 1\n", 202).await;
        send(&gateway, "POST", PATH, "# TYPE a gauge\na 1\n", 400).await;
    }
    assert_eq!(value(&gateway.scrape().await, "a{instance=\"\",job=\"j\"}"), 4.0);
}
