//! Writers whose every push can be told from what is scraped: whether it is there, wholly, and once.
//!
//! Each push carries one increment in four ways: to a counter and a histogram of its writer, and to a
//! counter and a histogram that all writers of its group share. A writer pushes one after the other, so
//! its total says how many of its pushes have landed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::samples::samples;
use super::wire::Connection;

const GROUPS: usize = 3;

/// One writer and what it knows about its pushes.
#[derive(Clone, Debug)]
pub struct Writer {
    pub number: usize,
    /// What was found to be there before this run of the gateway.
    settled: u64,
    /// Pushes of all runs; makes the increments different.
    pushes: u64,
    /// The increments pushed in this run, in order.
    pushed: Vec<u64>,
    /// How many of them were acknowledged.
    acknowledged: usize,
}

/// What became of the pushes that were in doubt.
#[derive(Clone, Copy, Debug, Default)]
pub struct Doubtful {
    pub landed: usize,
    pub lost: usize,
}

impl Writer {
    pub fn crew(count: usize) -> Vec<Self> {
        (0..count)
            .map(|number| Self { number, settled: 0, pushes: 0, pushed: Vec::new(), acknowledged: 0 })
            .collect()
    }

    fn group(&self) -> usize {
        self.number % GROUPS
    }

    pub fn path(&self) -> String {
        format!("/metrics/job/work/instance/{}", self.group())
    }

    /// The next push. From now on it may land.
    pub fn next_push(&mut self) -> String {
        let increment = 1 + (self.pushes * 7 + self.number as u64) % 97;
        self.pushes += 1;
        self.pushed.push(increment);
        let low = increment / 2;
        let mut body = String::from("# TYPE own_total counter\n# TYPE shared_total counter\n");
        let own = format!("writer=\"{}\"", self.number);
        writeln!(body, "own_total{{{own}}} {increment}\nshared_total {increment}").unwrap();
        for (name, labels) in [("own_h", own.as_str()), ("shared_h", "")] {
            let comma = if labels.is_empty() { "" } else { "," };
            writeln!(body, "# TYPE {name} histogram").unwrap();
            writeln!(body, "{name}_bucket{{{labels}{comma}le=\"1\"}} {low}").unwrap();
            writeln!(body, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {increment}").unwrap();
            writeln!(body, "{name}_sum{{{labels}}} {increment}\n{name}_count{{{labels}}} {increment}")
                .unwrap();
        }
        body
    }

    /// The last push was answered 200.
    pub fn acknowledge(&mut self) {
        self.acknowledged = self.pushed.len();
    }

    fn own_total(&self, scrape: &BTreeMap<&str, f64>) -> f64 {
        let (group, writer) = (self.group(), self.number);
        let series = format!("own_total{{instance=\"{group}\",job=\"work\",writer=\"{writer}\"}}");
        scrape.get(series.as_str()).copied().unwrap_or(0.0)
    }

    /// Compares what is scraped after a crash with what this writer knows; `before` is the writer as it
    /// was just before the crash, so what was acknowledged by then must be there.
    fn settle(&mut self, before: &Self, scrape: &BTreeMap<&str, f64>) -> Doubtful {
        let found = self.own_total(scrape);
        let total = |count: usize| (self.settled + self.pushed[..count].iter().sum::<u64>()) as f64;
        let landed = (before.acknowledged..=self.pushed.len()).find(|count| total(*count) == found);
        let Some(landed) = landed else {
            panic!(
                "writer {}: found {found}, but {} of {} pushes were acknowledged, in all {}, and all would be {}",
                self.number,
                before.acknowledged,
                self.pushed.len(),
                total(before.acknowledged),
                total(self.pushed.len()),
            );
        };
        let doubtful = Doubtful { landed: landed - before.acknowledged, lost: self.pushed.len() - landed };
        self.settled += self.pushed.drain(..).take(landed).sum::<u64>();
        self.acknowledged = 0;
        doubtful
    }
}

/// Pushes over one connection until it is lost, and counts what was acknowledged.
pub fn push_until_lost(address: &str, writer: &mut Writer, acknowledged: &AtomicUsize) {
    let Ok(mut connection) = Connection::open(address) else { return };
    loop {
        let body = writer.next_push();
        let Ok(reply) = connection.post(&writer.path(), &body) else { return };
        assert_eq!(reply.status, 200, "{}", reply.body);
        writer.acknowledge();
        acknowledged.fetch_add(1, Ordering::SeqCst);
    }
}

/// Settles all writers by the first scrape after a crash.
pub fn settle(writers: &mut [Writer], before: &[Writer], body: &str) -> Doubtful {
    check_consistent(body);
    let scrape = samples(body);
    let mut all = Doubtful::default();
    for (writer, before) in writers.iter_mut().zip(before) {
        let one = writer.settle(before, &scrape);
        all.landed += one.landed;
        all.lost += one.lost;
    }
    all
}

/// How many pushes were acknowledged in this run.
pub fn acknowledged(writers: &[Writer]) -> usize {
    writers.iter().map(|writer| writer.acknowledged).sum()
}

/// What always goes together must agree in every scrape: there is no half push.
pub fn check_consistent(body: &str) {
    let scrape = samples(body);
    for group in 0..GROUPS {
        let labels = format!("instance=\"{group}\",job=\"work\"");
        let one = |name: &str, more: &str| {
            scrape.get(format!("{name}{{{labels}{more}}}").as_str()).copied().unwrap_or(0.0)
        };
        let sum = |name: &str| -> f64 {
            let start = format!("{name}{{{labels},");
            scrape.iter().filter(|(series, _)| series.starts_with(&start)).map(|(_, value)| value).sum()
        };
        let values = [
            one("shared_total", ""),
            one("shared_h_count", ""),
            one("shared_h_sum", ""),
            one("shared_h_bucket", ",le=\"+Inf\""),
            sum("own_total"),
            sum("own_h_count"),
            sum("own_h_sum"),
        ];
        assert!(values.iter().all(|value| *value == values[0]), "group {group} is torn: {values:?}");
    }
}

/// Checks that nothing falls from one scrape to the next.
#[derive(Default)]
pub struct Watch {
    last: BTreeMap<String, f64>,
    pub scrapes: usize,
}

impl Watch {
    pub fn see(&mut self, body: &str) {
        check_consistent(body);
        let scrape = samples(body);
        for (series, last) in &self.last {
            let now = scrape.get(series.as_str()).copied();
            assert!(now >= Some(*last), "{series} fell from {last} to {now:?}");
        }
        let mine = |series: &&str| series.starts_with("own_") || series.starts_with("shared_");
        self.last =
            scrape.iter().filter(|(series, _)| mine(series)).map(|(s, v)| ((*s).to_owned(), *v)).collect();
        self.scrapes += 1;
    }
}
