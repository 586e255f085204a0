//! One test for each mistake that was made once.

use tallygate::gateway::Options;

use crate::support::in_process::InProcess;
use crate::support::records::Disk;

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_refused_group_several_times_at_once_removes_its_record_once() {
    let disk = Disk::default();
    let real = InProcess::open(disk.engine(), Options::default());
    assert_eq!(real.push("/metrics/job/a", "m 1 1000\n").await.0, 400);
    assert_eq!(real.push("/metrics/job/b", "m 1\n").await.0, 200);
    let deletions = (0..20).map(|_| real.send("DELETE", "/metrics/job/a", ""));
    for (status, _) in futures_util::future::join_all(deletions).await {
        assert_eq!(status, 202);
    }
    // The disk refuses a key that is twice in a batch; the record is gone, and stays gone.
    real.gateway.stop().await.unwrap();
    let scrape = InProcess::open(disk.engine(), Options::default()).scrape().await;
    assert!(!scrape.contains("job=\"a\""), "{scrape}");
    assert!(scrape.contains("job=\"b\""), "{scrape}");
}

#[tokio::test(flavor = "multi_thread")]
async fn created_timestamps_are_no_metrics() {
    let real = InProcess::open(Disk::default().engine(), Options::default());
    let body = "# TYPE a_total counter\na_total 1\n# TYPE a_created gauge\na_created 1.7e9\n\
                # TYPE h histogram\nh_count 1\nh_sum 1\nh_created 1.7e9\n\
                # TYPE other_created gauge\nother_created 1.7e9\n";
    for _ in 0..2 {
        assert_eq!(real.push("/metrics/job/j", body).await.0, 200);
    }
    let scrape = real.scrape_pushed().await;
    assert!(!scrape.contains("\na_created") && !scrape.contains("\nh_created"), "{scrape}");
    assert!(scrape.contains("other_created{instance=\"\",job=\"j\"} 1.7e+09"), "{scrape}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_over_the_limits_leaves_no_group_behind() {
    let real = InProcess::open(Disk::default().engine(), Options::default());
    let value = "x".repeat(5_000);
    let (status, text) = real.push(&format!("/metrics/job/j/a/{value}"), "m 1\n").await;
    assert_eq!(status, 429, "{text}");
    assert_eq!(real.scrape().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_has_no_more_quantiles_than_a_histogram_has_buckets() {
    let real = InProcess::open(Disk::default().engine(), Options::default());
    let quantiles: String =
        (0..600).map(|i| format!("s{{quantile=\"{}\"}} 1\n", f64::from(i) / 1_000.0)).collect();
    let (status, text) = real.push("/metrics/job/j", &format!("# TYPE s summary\n{quantiles}")).await;
    assert_eq!(status, 429, "{text}");
    assert!(text.contains("--limit.histogram-bounds"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_with_too_many_series_is_read_no_further_than_it_takes_to_know() {
    let mut options = Options::default();
    options.limits.series_per_push_max = 10;
    let real = InProcess::open(Disk::default().engine(), options);
    let body: String =
        (0..11).map(|i| format!("m{{i=\"{i}\"}} 1\n")).chain(["no metric".to_owned()]).collect();
    let (status, text) = real.push("/metrics/job/j", &body).await;
    assert_eq!(status, 429, "{text}");
    assert!(text.contains("--limit.series-per-push"), "{text}");
    assert!(real.scrape().await.contains("push_failure_time_seconds{instance=\"\",job=\"j\"} 1000"));
}
