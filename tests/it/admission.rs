//! What a push may say and what is told to it otherwise: names and who holds them, labels, limits, the
//! failure time; and what happens when contradicting requests share one commit.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tallygate::gateway::{Limits, Options};
use tallygate::storage::MemoryEngine;
use tallygate::storage::testing::{Freezer, FrozenEngine};

use crate::support::bodies::Format;
use crate::support::in_process::InProcess;
use crate::support::records::Disk;
use crate::support::samples::{samples, value};

fn in_memory() -> InProcess {
    InProcess::open(Box::new(MemoryEngine::default()), Options::default())
}

fn limited(limits: Limits) -> Options {
    Options { limits, ..Options::default() }
}

async fn push(gateway: &InProcess, path: &str, body: &str) {
    let (status, text) = gateway.push(path, body).await;
    assert_eq!(status, 200, "{text}");
}

async fn refused(gateway: &InProcess, path: &str, body: &str) -> String {
    let (status, text) = gateway.push(path, body).await;
    assert_eq!(status, 400, "{text}");
    text
}

async fn delete(gateway: &InProcess, path: &str) {
    let (status, text) = gateway.send("DELETE", path, "").await;
    assert_eq!(status, 202, "{text}");
}

/// Does what an error text advises: sends the DELETE request that it names. Gives back the path.
async fn follow_advice(gateway: &InProcess, text: &str) -> String {
    let (_, path) = text.trim_end().split_once("DELETE ").unwrap_or_else(|| panic!("no advice: {text}"));
    delete(gateway, path).await;
    path.to_owned()
}

/// Waits until nothing is left of what was deleted but these records.
async fn until_swept(disk: &Disk, records: usize) {
    for _ in 0..5_000 {
        if disk.len() == records {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("{} records are left and not {records}", disk.len());
}

#[tokio::test]
async fn a_series_that_another_group_holds_is_refused_in_either_order() {
    for (first, second) in [
        (("/metrics/job/j/a/1", "m 1\n"), ("/metrics/job/j", "m{a=\"1\"} 1\n")),
        (("/metrics/job/j", "m{a=\"1\"} 1\n"), ("/metrics/job/j/a/1", "m 1\n")),
        (("/metrics/job/j/a/1", "m{b=\"2\"} 1\n"), ("/metrics/job/j/b/2", "m{a=\"1\"} 1\n")),
        (("/metrics/job/j/a/1/b/2", "m 1\n"), ("/metrics/job/j/b/2", "other 1\nm{a=\"1\"} 1\n")),
    ] {
        let gateway = in_memory();
        push(&gateway, first.0, first.1).await;
        let before = gateway.scrape_pushed().await;
        let text = refused(&gateway, second.0, second.1).await;
        assert!(text.contains("was collected before with the same name and label values"), "{text}");
        assert_eq!(gateway.scrape_pushed().await, before);
        assert_eq!(follow_advice(&gateway, &text).await, first.0);
        push(&gateway, second.0, second.1).await;
        assert_eq!(
            samples(&gateway.scrape_pushed().await).values().filter(|value| **value != 1.0).count(),
            0
        );
    }
}

#[tokio::test]
async fn other_labels_in_another_group_are_another_series() {
    let gateway = in_memory();
    push(&gateway, "/metrics/job/j/a/1", "m 1\n").await;
    push(&gateway, "/metrics/job/j", "m{a=\"2\"} 1\nm 1\nother{a=\"1\"} 1\n").await;
    push(&gateway, "/metrics/job/k", "m{a=\"1\"} 1\n").await;
    assert_eq!(samples(&gateway.scrape_pushed().await).len(), 5);
}

#[tokio::test]
async fn the_advice_of_a_type_clash_works_whatever_the_group_is_called() {
    for (holder, shown) in [
        ("/metrics/job/holder", "{job=\"holder\"}"),
        ("/metrics/job/holder/instance/a%20b", "{instance=\"a b\",job=\"holder\"}"),
        ("/metrics/job@base64/YS9i/x@base64/Li4", "{job=\"a/b\",x=\"..\"}"),
        ("/metrics/job/%C3%A9%22%5C", "{job=\"é\\\"\\\\\"}"),
        ("/metrics/job/a%0Ab/k/DELETE%20%2Bx", "{job=\"a\\nb\",k=\"DELETE +x\"}"),
    ] {
        let gateway = in_memory();
        push(&gateway, "/metrics/job/bystander", "n 1\n").await;
        push(&gateway, holder, "# TYPE m gauge\nm 1\n").await;
        let text = refused(&gateway, "/metrics/job/late", "# TYPE m counter\nm 1\n").await;
        assert!(text.contains("\"m\" (line 2) is a counter and not a gauge"), "{text}");
        assert!(text.contains(shown), "{text} does not name {shown}");
        // The last one: a group's name may itself contain the word.
        let (_, path) = text.trim_end().rsplit_once("DELETE /").expect("there is advice");
        delete(&gateway, &format!("/{path}")).await;
        push(&gateway, "/metrics/job/late", "# TYPE m counter\nm 1\n").await;
        let scrape = gateway.scrape_pushed().await;
        assert_eq!(samples(&scrape).len(), 2, "{scrape}");
        assert!(scrape.contains("# TYPE m counter"), "{scrape}");
    }
}

#[tokio::test]
async fn a_metric_without_type_takes_that_of_a_counter_or_gauge_and_no_other() {
    let gateway = in_memory();
    push(
        &gateway,
        "/metrics/job/a",
        "# TYPE c counter\nc 1\n# TYPE g gauge\ng 1\n# TYPE h histogram\nh_count 1\n",
    )
    .await;
    push(&gateway, "/metrics/job/b", "c 2\ng 2\n").await;
    push(&gateway, "/metrics/job/a", "c 2\ng 5\n").await;
    let scrape = gateway.scrape_pushed().await;
    assert_eq!(value(&scrape, "c{instance=\"\",job=\"a\"}"), 3.0);
    assert_eq!(value(&scrape, "g{instance=\"\",job=\"a\"}"), 5.0);
    assert!(refused(&gateway, "/metrics/job/b", "c -1\n").await.contains("line 1"));
    refused(&gateway, "/metrics/job/b", "h 1\n").await;
    push(&gateway, "/metrics/job/b", "u 1\n").await;
    refused(&gateway, "/metrics/job/a", "# TYPE u counter\nu 1\n").await;
}

#[tokio::test]
async fn derived_names_collide_both_ways_and_the_advice_works() {
    for (stored, pushed) in [
        ("# TYPE x histogram\nx_count 1\n", "x_bucket 1\n"),
        ("# TYPE x histogram\nx_count 1\n", "x_sum 1\n"),
        ("# TYPE x summary\nx_count 1\n", "# TYPE x_count gauge\nx_count 1\n"),
        ("x_sum 1\n", "# TYPE x summary\nx_count 1\n"),
        ("x_bucket 1\n", "# TYPE x histogram\nx_count 1\n"),
    ] {
        let gateway = in_memory();
        push(&gateway, "/metrics/job/a", stored).await;
        let text = refused(&gateway, "/metrics/job/b", pushed).await;
        assert!(text.contains("collides with previously collected"), "{text}");
        assert_eq!(follow_advice(&gateway, &text).await, "/metrics/job/a");
        push(&gateway, "/metrics/job/b", pushed).await;
    }
    // A summary has no buckets.
    let gateway = in_memory();
    push(&gateway, "/metrics/job/a", "# TYPE x summary\nx_count 1\n").await;
    push(&gateway, "/metrics/job/b", "x_bucket 1\n").await;
}

#[tokio::test]
async fn a_name_is_free_again_once_its_last_group_is_deleted() {
    let disk = Disk::default();
    let mut gateway = InProcess::open(disk.engine(), Options::default());
    let many = |head: &str| (0..1_000).fold(head.to_owned(), |body, i| body + &format!("m{{i=\"{i}\"}} 1\n"));
    push(&gateway, "/metrics/job/a", &many("# TYPE m counter\n")).await;
    push(&gateway, "/metrics/job/b", &many("# TYPE m counter\n")).await;
    delete(&gateway, "/metrics/job/a").await;
    let text = refused(&gateway, "/metrics/job/a", &many("# TYPE m gauge\n")).await;
    assert!(text.contains("{job=\"b\"}"), "{text}");
    delete(&gateway, "/metrics/job/b").await;
    // What the groups have left is swept up in parts; nothing waits for that.
    push(&gateway, "/metrics/job/a", &many("# TYPE m gauge\n")).await;
    delete(&gateway, "/metrics/job/a").await;
    until_swept(&disk, 0).await;
    push(&gateway, "/metrics/job/c", "# TYPE m_count counter\nm_count 1\n").await;
    let records = disk.len();
    refused(&gateway, "/metrics/job/a", "# TYPE m histogram\nm_count 1\n").await;
    delete(&gateway, "/metrics/job/c").await;
    // Killed before the rest is swept, and started again.
    gateway = {
        drop(gateway);
        InProcess::open(disk.engine(), Options::default())
    };
    push(&gateway, "/metrics/job/a", "# TYPE m histogram\nm_count 1\n").await;
    assert!(gateway.scrape_pushed().await.starts_with("# TYPE m histogram\n"));
    delete(&gateway, "/metrics/job/a").await;
    until_swept(&disk, 0).await;
    assert!(records > 0);
    assert_eq!(gateway.scrape().await, "");
}

#[tokio::test]
async fn the_newest_help_that_is_not_empty_wins_and_stays() {
    let help =
        |scrape: &str| scrape.lines().find_map(|line| line.strip_prefix("# HELP m ")).map(str::to_owned);
    for restarts in [false, true] {
        let disk = Disk::default();
        let mut gateway = InProcess::open(disk.engine(), Options::default());
        for (path, body, expected) in [
            ("/metrics/job/a", "m 1\n", None),
            ("/metrics/job/a", "# HELP m first\nm 1\n", Some("first")),
            ("/metrics/job/b", "# HELP m second \\\\ \\n third\nm 1\n", Some("second \\\\ \\n third")),
            ("/metrics/job/a", "m 1\n", Some("second \\\\ \\n third")),
            ("/metrics/job/a", "# HELP m\nm 1\n", Some("second \\\\ \\n third")),
            ("/metrics/job/a", "# HELP m fourth\nm 1\n", Some("fourth")),
            ("/metrics/job/a", "# HELP m fifth\nm 1\nm{new=\"1\"} 1\n", Some("fifth")),
        ] {
            push(&gateway, path, body).await;
            if restarts {
                gateway = InProcess::open(disk.engine(), Options::default());
            }
            assert_eq!(help(&gateway.scrape_pushed().await).as_deref(), expected, "{body}");
        }
        refused(&gateway, "/metrics/job/a", "# HELP m sixth\nm 1\nm 1\n").await;
        assert_eq!(help(&gateway.scrape_pushed().await).as_deref(), Some("fifth"));
    }
}

#[tokio::test]
async fn groups_with_nothing_but_a_failure_are_bounded_and_the_oldest_go() {
    let disk = Disk::default();
    let gateway = InProcess::open(disk.engine(), Options::default());
    push(&gateway, "/metrics/job/real", "m 1\n").await;
    for job in 0..1_001 {
        gateway.clock.set_seconds(2_000 + job);
        refused(&gateway, &format!("/metrics/job/f{job}"), "m 1 1000\n").await;
    }
    let failed = |scrape: &str| {
        let times =
            samples(scrape).into_iter().filter(|(series, _)| series.starts_with("push_failure_time_seconds"));
        times.filter(|(_, time)| *time > 0.0).map(|(series, _)| series.to_owned()).collect::<Vec<_>>()
    };
    let scrape = gateway.scrape().await;
    let jobs = failed(&scrape);
    assert_eq!(jobs.len(), 1_000);
    assert!(!jobs.iter().any(|series| series.contains("\"f0\"")), "the oldest is still there");
    assert_eq!(value(&scrape, "push_failure_time_seconds{instance=\"\",job=\"f1000\"}"), 3_000.0);
    // Written with the next commit, so also there after a restart; and a DELETE removes one.
    push(&gateway, "/metrics/job/real", "m 1\n").await;
    let scrape = gateway.scrape().await;
    let restarted = InProcess::open(disk.engine(), Options::default());
    assert_eq!(restarted.scrape().await, scrape);
    delete(&restarted, "/metrics/job/f7").await;
    assert_eq!(failed(&restarted.scrape().await).len(), 999);
    // A group that is then pushed to keeps its failure time and no longer counts.
    push(&restarted, "/metrics/job/f8", "m 1\n").await;
    refused(&restarted, "/metrics/job/g1", "m 1 1000\n").await;
    refused(&restarted, "/metrics/job/g2", "m 1 1000\n").await;
    assert_eq!(failed(&restarted.scrape().await).len(), 1_001);
    refused(&restarted, "/metrics/job/g3", "m 1 1000\n").await;
    assert_eq!(failed(&restarted.scrape().await).len(), 1_001);
}

/// A gateway whose commits can be held back, so that what is sent meanwhile shares the next one.
struct Held {
    gateway: Arc<InProcess>,
    freezer: Freezer,
}

impl Held {
    fn open(options: Options) -> Self {
        let freezer = Freezer::default();
        let engine = FrozenEngine::new(MemoryEngine::default(), freezer.clone());
        Self { gateway: Arc::new(InProcess::open(Box::new(engine), options)), freezer }
    }

    /// Sends the requests in this order, all of them for one commit, and gives back their status codes.
    async fn in_one_batch(&self, requests: &[(&'static str, String, &'static str)]) -> Vec<u16> {
        self.freezer.freeze();
        let blocking = Arc::clone(&self.gateway);
        let first = tokio::spawn(async move { blocking.push("/metrics/job/blocking", "blocking 1\n").await });
        tokio::task::yield_now().await;
        let freezer = self.freezer.clone();
        tokio::task::spawn_blocking(move || freezer.wait_until_blocked()).await.unwrap();
        let answers = requests.iter().map(|(method, path, body)| self.gateway.send(method, path, *body));
        let answers = join_all(answers);
        let thaw = async {
            // The answers have been polled once, in order, and each request is in the queue.
            assert_eq!(self.queued(), requests.len());
            self.freezer.thaw();
        };
        let (answers, ()) = futures_util::future::join(answers, thaw).await;
        first.await.unwrap();
        answers.into_iter().map(|(status, _)| status.as_u16()).collect()
    }

    fn queued(&self) -> usize {
        drop(self.gateway.gateway.snapshot());
        usize::try_from(self.gateway.gateway.metrics().queued_requests.get()).unwrap()
    }
}

fn pushes(paths: &[&str], body: &'static str) -> Vec<(&'static str, String, &'static str)> {
    paths.iter().map(|path| ("POST", (*path).to_owned(), body)).collect()
}

#[tokio::test]
async fn limits_hold_within_one_batch() {
    // The blocking push has a group and a series of its own.
    let held = Held::open(limited(Limits { groups_max: 3, ..Limits::default() }));
    let paths = ["/metrics/job/a", "/metrics/job/b", "/metrics/job/a", "/metrics/job/c", "/metrics/job/d"];
    assert_eq!(held.in_one_batch(&pushes(&paths, "m 1\n")).await, [200, 200, 200, 429, 429]);

    let held = Held::open(limited(Limits { series_max: 5, ..Limits::default() }));
    let body = "m{a=\"1\"} 1\nm{a=\"2\"} 1\n";
    assert_eq!(held.in_one_batch(&pushes(&paths, body)).await, [200, 200, 200, 429, 429]);
    let scrape = held.gateway.scrape_pushed().await;
    assert_eq!(samples(&scrape).len(), 5, "{scrape}");
    assert_eq!(value(&scrape, "m{a=\"1\",instance=\"\",job=\"a\"}"), 2.0);

    let held = Held::open(limited(Limits { series_per_group_max: 1, ..Limits::default() }));
    let mut requests = pushes(&["/metrics/job/a"], "m 1\n");
    requests.extend(pushes(&["/metrics/job/a"], "n 1\n"));
    requests.extend(pushes(&["/metrics/job/a"], "m 1\n"));
    assert_eq!(held.in_one_batch(&requests).await, [200, 429, 200]);

    // A deletion in the batch makes room in it.
    let held = Held::open(limited(Limits { groups_max: 2, ..Limits::default() }));
    push(&held.gateway, "/metrics/job/a", "m 1\n").await;
    let requests = [
        ("POST", "/metrics/job/b".to_owned(), "m 1\n"),
        ("DELETE", "/metrics/job/a".to_owned(), ""),
        ("POST", "/metrics/job/b".to_owned(), "m 1\n"),
        ("POST", "/metrics/job/c".to_owned(), "m 1\n"),
    ];
    assert_eq!(held.in_one_batch(&requests).await, [429, 202, 200, 429]);
}

#[tokio::test]
async fn clashes_are_seen_within_one_batch() {
    let held = Held::open(Options::default());
    let requests = [
        ("POST", "/metrics/job/a".to_owned(), "# TYPE m counter\nm 1\n"),
        ("POST", "/metrics/job/b".to_owned(), "# TYPE m gauge\nm 1\n"),
        ("POST", "/metrics/job/c".to_owned(), "# TYPE m_x histogram\nm_x_count 1\n"),
        ("POST", "/metrics/job/d".to_owned(), "m_x_sum 1\n"),
        ("POST", "/metrics/job/a/x/1".to_owned(), "n 1\n"),
        ("POST", "/metrics/job/a".to_owned(), "n{x=\"1\"} 1\n"),
        ("DELETE", "/metrics/job/a".to_owned(), ""),
        ("POST", "/metrics/job/b".to_owned(), "# TYPE m gauge\nm 1\n"),
    ];
    assert_eq!(held.in_one_batch(&requests).await, [200, 400, 200, 400, 200, 400, 202, 200]);
    assert!(held.gateway.scrape_pushed().await.contains("# TYPE m gauge\nm{instance=\"\",job=\"b\"} 1\n"));
}

#[tokio::test]
async fn a_delete_a_push_and_a_delete_in_one_batch_leave_nothing() {
    let held = Held::open(Options::default());
    let requests = [
        ("DELETE", "/metrics/job/a".to_owned(), ""),
        ("POST", "/metrics/job/a".to_owned(), "m 1\n"),
        ("DELETE", "/metrics/job/a".to_owned(), ""),
    ];
    assert_eq!(held.in_one_batch(&requests).await, [202, 200, 202]);
    let scrape = held.gateway.scrape().await;
    assert!(!scrape.contains("job=\"a\""), "{scrape}");
}

#[tokio::test]
async fn a_push_between_two_deletes_of_its_group_counts_on_its_own_or_not_at_all() {
    let held = Held::open(Options::default());
    push(&held.gateway, "/metrics/job/a", "m 10\nold 1\n").await;
    let requests = [
        ("DELETE", "/metrics/job/a".to_owned(), ""),
        ("POST", "/metrics/job/a".to_owned(), "m 1\n"),
        ("DELETE", "/metrics/job/a".to_owned(), ""),
    ];
    // The push has found its series in the group that ends, so it is resolved again, behind both.
    assert_eq!(held.in_one_batch(&requests).await, [202, 200, 202]);
    let scrape = held.gateway.scrape_pushed().await;
    assert_eq!(value(&scrape, "m{instance=\"\",job=\"a\"}"), 1.0, "{scrape}");
    assert!(!scrape.contains("old"), "{scrape}");
}

#[tokio::test]
async fn names_of_the_gateway_are_reserved_and_push_times_in_a_body_ignored() {
    let gateway = in_memory();
    for name in ["tallygate_x", "tallygate_", "pushgateway_build_info", "tallygate_groups"] {
        let text =
            refused(&gateway, "/metrics/job/a", &format!("fine 1\n# TYPE {name} gauge\n{name} 1\n")).await;
        assert!(text.contains("reserved"), "{text}");
    }
    let body =
        "# TYPE push_time_seconds counter\npush_time_seconds 5\npush_failure_time_seconds{a=\"1\"} 6\nm 1\n";
    gateway.clock.set_seconds(77);
    push(&gateway, "/metrics/job/a", body).await;
    let scrape = gateway.scrape().await;
    assert_eq!(samples(&scrape).len(), 3, "{scrape}");
    assert!(
        scrape.contains("# TYPE push_time_seconds gauge\npush_time_seconds{instance=\"\",job=\"a\"} 77\n"),
        "{scrape}"
    );
    assert!(refused(&gateway, "/metrics/job/a", "push_time_seconds 5 1000\n").await.contains("timestamps"));
}

#[tokio::test]
async fn a_state_set_cannot_have_the_name_of_a_reserved_label() {
    let gateway = in_memory();
    for (name, expected) in [("__name__", 400), ("__on", 400), ("_on", 200)] {
        let body = format!("# TYPE {name} stateset\n{name}{{{name}=\"on\"}} 1\n# EOF\n").into_bytes();
        let (status, text) = gateway.send_as(Format::OpenMetrics, "POST", "/metrics/job/a", body).await;
        assert_eq!(status, expected, "{name}: {text}");
    }
}

#[tokio::test]
async fn labels_are_what_they_mean_and_not_how_they_are_written() {
    let gateway = in_memory();
    push(&gateway, "/metrics/job/a", "m{x=\"\",b=\"1\",a=\"2\"} 1\n").await;
    push(&gateway, "/metrics/job/a", "m{a=\"2\",b=\"1\"} 1\n").await;
    push(&gateway, "/metrics/job/a/x@base64/=", "m{a=\"2\",instance=\"\",b=\"1\",job=\"ignored\"} 1\n").await;
    push(&gateway, "/metrics/job/a/instance/i", "m{instance=\"ignored\"} 1\n").await;
    push(&gateway, "/metrics/job/b", "m{instance=\"own\"} 1\n").await;
    let expected = "# TYPE m untyped\n\
        m{instance=\"i\",job=\"a\"} 1\n\
        m{instance=\"own\",job=\"b\"} 1\n\
        m{a=\"2\",b=\"1\",instance=\"\",job=\"a\"} 3\n";
    assert_eq!(gateway.scrape_pushed().await, expected);
    for label in ["__x", "__address__", "__"] {
        let text = refused(&gateway, "/metrics/job/a", &format!("m{{{label}=\"1\"}} 1\n")).await;
        assert!(text.contains(label), "{text}");
    }
    push(&gateway, "/metrics/job/a", "m{_x=\"1\"} 1\n").await;
}
