//! A push that changes few series of a large page writes a patch of the page and not the page.

use std::fmt::Write as _;
use std::time::Duration;

use tallygate::gateway::{Durability, Options};

use crate::support::in_process::InProcess;
use crate::support::records::{Disk, Failure};
use crate::support::samples::value;

const PAGE: u8 = 4;
const PATCH: u8 = 6;
const SERIES: usize = 64;
const PATH: &str = "/metrics/job/j";

/// A push of 1 to the first so many series.
fn body(series: usize) -> String {
    let mut body = "# TYPE n_total counter\n".to_owned();
    for n in 0..series {
        writeln!(body, "n_total{{n=\"{n}\"}} 1").unwrap();
    }
    body
}

fn shown(scrape: &str, n: usize) -> f64 {
    value(scrape, &format!("n_total{{instance=\"\",job=\"j\",n=\"{n}\"}}"))
}

async fn push(gateway: &InProcess, series: usize) {
    let (status, text) = gateway.push(PATH, &body(series)).await;
    assert_eq!(status, 200, "{text}");
}

async fn wide_group(disk: &Disk) -> InProcess {
    let gateway = InProcess::open(disk.engine(), Options::default());
    push(&gateway, SERIES).await;
    assert_eq!((disk.bytes_of_kind(PAGE).len(), disk.bytes_of_kind(PATCH).len()), (1, 0));
    gateway
}

#[tokio::test]
async fn few_changed_series_are_a_patch_until_they_are_too_many() {
    let disk = Disk::default();
    let gateway = wide_group(&disk).await;
    let page = disk.bytes_of_kind(PAGE)[0];
    for series in [1, 2, 1, 8] {
        push(&gateway, series).await;
        let patch = disk.bytes_of_kind(PATCH)[0];
        assert!(patch * 4 < page, "a patch of {patch} bytes for a page of {page}");
    }
    let killed = InProcess::open(disk.engine(), Options::default());
    let scrape = killed.scrape().await;
    assert_eq!(scrape, gateway.scrape().await);
    assert_eq!([shown(&scrape, 0), shown(&scrape, 1), shown(&scrape, 63)], [5.0, 3.0, 1.0]);
    push(&killed, 9).await;
    assert!(disk.bytes_of_kind(PATCH).is_empty(), "the page was written whole");
    let again = InProcess::open(disk.engine(), Options::default());
    assert_eq!(again.scrape().await, killed.scrape().await);
}

#[tokio::test]
async fn a_patch_goes_with_its_group() {
    let disk = Disk::default();
    let gateway = wide_group(&disk).await;
    push(&gateway, 1).await;
    assert_eq!(disk.bytes_of_kind(PATCH).len(), 1);
    assert_eq!(gateway.send("DELETE", PATH, "").await.0, 202);
    for _ in 0..1_000 {
        if disk.len() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{} records are left", disk.len());
}

#[tokio::test]
async fn after_a_failed_commit_the_page_is_written_whole() {
    for failure in [Failure::Lost, Failure::Landed] {
        let disk = Disk::default();
        let gateway = wide_group(&disk).await;
        push(&gateway, 1).await;
        disk.fail_next([failure]);
        assert_eq!(gateway.push(PATH, &body(2)).await.0, 503);
        while gateway.push(PATH, &body(0)).await.0 == 503 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(disk.bytes_of_kind(PATCH).is_empty(), "{failure:?}");
        push(&gateway, 3).await;
        assert_eq!(disk.bytes_of_kind(PATCH).len(), 1);
        let scrape = InProcess::open(disk.engine(), Options::default()).scrape().await;
        assert_eq!([shown(&scrape, 0), shown(&scrape, 1), shown(&scrape, 2)], [3.0, 2.0, 2.0], "{failure:?}");
    }
}

#[tokio::test]
async fn what_is_written_later_is_written_whole() {
    let disk = Disk::default();
    let gateway = wide_group(&disk).await;
    push(&gateway, 1).await;
    let later = Options { durability: Durability::None, ..Options::default() };
    let gateway = InProcess::open(disk.engine(), later);
    push(&gateway, 1).await;
    let scrape = gateway.scrape().await;
    gateway.gateway.stop().await.unwrap();
    assert!(disk.bytes_of_kind(PATCH).is_empty());
    assert_eq!(InProcess::open(disk.engine(), Options::default()).scrape().await, scrape);
}
