//! Prometheus scrapes merged native histograms, which it does by protobuf, and asks for their quantiles.

use super::native;
use crate::prometheus::ask;
use crate::support::neighbour::Neighbour;
use crate::support::process::{Process, is_installed, scratch, wait_until};

/// One of each type that has no native buckets.
const OTHERS: &str = "\
# TYPE files_total counter
files_total{kind=\"full\"} 0.1
# TYPE copy_seconds histogram
copy_seconds_bucket{le=\"10\"} 3
copy_seconds_bucket{le=\"+Inf\"} 4
copy_seconds_sum 25.5
copy_seconds_count 4
# TYPE check_seconds summary
check_seconds{quantile=\"0.5\"} 1
check_seconds_sum 2
check_seconds_count 2
anything 1
";

/// The value of the one series that a query finds, as a number.
fn number(prometheus: &Neighbour, query: &str) -> Option<f64> {
    ask(prometheus, query)?.parse().ok()
}

#[test]
fn quantiles_of_merged_native_histograms_are_right() {
    if !is_installed("prometheus") {
        return;
    }
    let (directory, store) = scratch();
    let gateway = Process::start(&store, &[]);
    if native::push(&gateway).is_none() {
        return;
    }
    assert_eq!(gateway.post("/metrics/job/others", OTHERS).status, 200);
    let flags = ["--enable-feature=native-histograms"];
    let prometheus = Neighbour::prometheus(&gateway.address, directory.path(), &flags);

    // Eight observations: -4, 0, 0.5, 1, 2, 2, 2, 4, of which each but -4 ends its bucket.
    let series = r#"client_native{job="native"}"#;
    let count = format!("histogram_count({series})");
    wait_until("the histogram is there", || number(&prometheus, &count) == Some(8.0));
    assert_eq!(number(&prometheus, &format!("histogram_sum({series})")), Some(7.5));
    let quantile = |q: f64| number(&prometheus, &format!("histogram_quantile({q}, {series})")).unwrap();
    // The rank of these is the last observation of a bucket, so that there is nothing to interpolate.
    for (q, value) in [(3.0 / 8.0, 0.5), (4.0 / 8.0, 1.0), (7.0 / 8.0, 2.0), (1.0, 4.0)] {
        assert!((quantile(q) - value).abs() < 1e-9, "{q}: {}", quantile(q));
    }
    // Two thirds into the bucket from 2^0.75 to 2: in a line, or, as newer ones do it, in an exponential curve.
    let lower = 2_f64.powf(0.75);
    let (line, curve) = (lower + (2.0 - lower) * 2.0 / 3.0, lower * (2.0 / lower).powf(2.0 / 3.0));
    let found = quantile(6.0 / 8.0);
    assert!((found - line).abs() < 1e-9 || (found - curve).abs() < 1e-9, "{found} is not {line}");

    // What has no native buckets comes by protobuf too; bounds are numbers there, and Prometheus writes 10 as 10.0.
    for (query, value) in [
        (r#"files_total{job="others",kind="full"}"#, "0.1"),
        (r#"copy_seconds_bucket{job="others",le=~"10(.0)?"}"#, "3"),
        (r#"check_seconds{job="others",quantile="0.5"}"#, "1"),
        (r#"anything{job="others"}"#, "1"),
    ] {
        assert_eq!(ask(&prometheus, query).as_deref(), Some(value), "{query}");
    }
}
