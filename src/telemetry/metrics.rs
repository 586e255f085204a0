//! The gateway's own metrics: the one place where each is declared.
//!
//! Who owns what is counted updates it; a scrape reads all by [`Metrics::families`].

use super::build;
use super::instruments::{Bounds, Counter, CounterPer, Family, Gauge, Histogram, Instrument};
use super::labels::{Handler, LeftOut, Method, Outcome, PushMethod, Reason, StatusCode};
use super::process;
use super::window::{AsBytes, AsSeconds, SummaryPer};
use crate::model::{LabelSet, MetricType, Value};

/// What a metric is, apart from its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// The name; it ends in the unit, where there is one.
    pub name: &'static str,
    /// The HELP text.
    pub help: &'static str,
    /// The type.
    pub metric_type: MetricType,
    /// The label names.
    pub labels: &'static [&'static str],
}

/// Bounds in seconds, for a commit as for a scrape.
#[derive(Debug)]
pub struct Seconds;

impl Bounds for Seconds {
    const BOUNDS: &'static [f64] =
        &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
}

/// Bounds for how many pushes share a commit.
#[derive(Debug)]
pub struct PushSizes;

impl Bounds for PushSizes {
    const BOUNDS: &'static [f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];
}

/// Makes the struct, its declarations and its families from one list.
macro_rules! metrics {
    ($($field:ident: $instrument:ty = $name:literal, $help:literal;)+) => {
        /// All of the gateway's own metrics. Shared by reference; every field may be updated at any time.
        #[allow(clippy::doc_markdown, reason = "the texts are HELP texts first, where backticks would be shown")]
        #[derive(Debug, Default)]
        pub struct Metrics {
            $(#[doc = $help] pub $field: $instrument,)+
        }

        impl Metrics {
            /// What there is, by name, those of the build and of the process included.
            pub fn declarations() -> Vec<Declaration> {
                let mut all = vec![
                    BUILD_INFO,
                    $(Declaration {
                        name: $name,
                        help: $help,
                        metric_type: <$instrument as Instrument>::TYPE,
                        labels: <$instrument as Instrument>::LABELS,
                    },)+
                ];
                all.extend(process::DECLARATIONS);
                all.sort_by_key(|declaration| declaration.name);
                all
            }

            /// All families with their values now, by name.
            pub fn families(&self) -> Vec<Family> {
                let mut all = vec![
                    build_info(),
                    $(Family {
                        name: $name,
                        help: $help,
                        metric_type: <$instrument as Instrument>::TYPE,
                        series: self.$field.series(),
                    },)+
                ];
                all.extend(process::families());
                // A family whose every label combination is still unheard of has nothing to show.
                all.retain(|family| !family.series.is_empty());
                all.sort_by_key(|family| family.name);
                all
            }
        }
    };
}

metrics! {
    pushes_accepted: Counter = "tallygate_pushes_accepted_total",
        "Pushes that were merged and acknowledged.";
    pushes_repeated: Counter = "tallygate_pushes_repeated_total",
        "Accepted pushes that were recognised as earlier ones with other numbers, which makes them cheap.";
    pushes_refused: CounterPer<Reason> = "tallygate_pushes_refused_total",
        "Pushes that were not accepted and changed nothing, by reason.";
    samples_merged: Counter = "tallygate_series_merged_total",
        "Series of accepted pushes; a histogram or a summary is one.";
    saturated_values: Counter = "tallygate_saturated_values_total",
        "Merged totals that reached the largest number they can hold and stay there.";
    groups: Gauge = "tallygate_groups",
        "Groups stored.";
    series: Gauge = "tallygate_series",
        "Series stored in all groups; a histogram or a summary is one.";
    pages: Gauge = "tallygate_pages",
        "Pages that the stored series take.";
    queued_requests: Gauge = "tallygate_queued_requests",
        "Pushes and deletions that wait to be committed.";
    commits: CounterPer<Outcome> = "tallygate_commits_total",
        "Batches handed to the store, by outcome.";
    commit_seconds: Histogram<Seconds> = "tallygate_commit_duration_seconds",
        "How long the store took to make a batch durable.";
    commit_requests: Histogram<PushSizes> = "tallygate_commit_requests",
        "How many pushes and deletions one commit carried.";
    stored_bytes: Gauge = "tallygate_stored_bytes",
        "Bytes that the store takes on disk; 0 without one.";
    compactions: CounterPer<Outcome> = "tallygate_store_compactions_total",
        "Times that the store took too much room on disk and was to be copied, by outcome; a failure harms nothing and is tried again.";
    store_healthy: Gauge = "tallygate_store_healthy",
        "Whether the store can be written: 1 if so, 0 while pushes are answered 503.";
    scrapes: CounterPer<Outcome> = "tallygate_scrapes_total",
        "Scrapes, by outcome; a scrape refused because too many were under way is a failure.";
    scrape_seconds: Histogram<Seconds> = "tallygate_scrape_duration_seconds",
        "How long it took to gather and encode a scrape, without sending it.";
    families_left_out: CounterPer<LeftOut> = "tallygate_scrape_families_left_out_total",
        "Families left out of a scrape, by reason: they cannot be written, are our own and a stored one has another type, or share a name in its format.";
    series_left_out: Counter = "tallygate_scrape_series_left_out_total",
        "Series left out of a scrape: escaped as it asks for, they look like others, or a label has a reserved name.";
    http_requests: CounterPer<(Handler, Method, StatusCode)> = "pushgateway_http_requests_total",
        "Requests that a handler has answered, by handler, method and status code. Scrapes are not among them, nor are 404, 405 and redirects.";
    push_seconds: SummaryPer<PushMethod, AsSeconds> = "pushgateway_http_push_duration_seconds",
        "How long pushes took to be answered; quantiles of the last 8 to 10 minutes, within 2%.";
    push_bytes: SummaryPer<PushMethod, AsBytes> = "pushgateway_http_push_size_bytes",
        "How large the requests of pushes were as they were sent, heads included; quantiles of the last 8 to 10 minutes, within 2%.";
    http_other_requests: CounterPer<(Method, StatusCode)> = "tallygate_http_other_requests_total",
        "Requests answered that are not among pushgateway_http_requests_total, scrapes included.";
}

const BUILD_INFO: Declaration = Declaration {
    name: "pushgateway_build_info",
    help: "How the program was built; always 1. The version is Tallygate's, the compiler stands in the place of Go, Cargo features in that of tags.",
    metric_type: MetricType::Gauge,
    labels: &["branch", "goarch", "goos", "goversion", "revision", "tags", "version"],
};

fn build_info() -> Family {
    let labels = LabelSet::new([
        ("branch", build::BRANCH),
        ("goarch", build::ARCHITECTURE),
        ("goos", build::OS),
        ("goversion", build::RUSTC),
        ("revision", build::REVISION),
        ("tags", build::FEATURES),
        ("version", build::VERSION),
    ]);
    Family {
        name: BUILD_INFO.name,
        help: BUILD_INFO.help,
        metric_type: BUILD_INFO.metric_type,
        series: vec![(labels, Value::Gauge(1.0))],
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::time::Instant;

    use super::*;
    use crate::model::is_metric_name;

    #[test]
    fn names_follow_the_conventions() {
        let declarations = Metrics::declarations();
        for pair in declarations.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} is declared twice", pair[1].name);
        }
        for Declaration { name, help, metric_type, .. } in declarations {
            let prefixes = ["tallygate_", "pushgateway_", "process_"];
            assert!(is_metric_name(name) && prefixes.iter().any(|prefix| name.starts_with(prefix)), "{name}");
            assert_eq!(name.ends_with("_total"), metric_type == MetricType::Counter, "{name}");
            assert!(help.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn bounds_ascend() {
        for bounds in [Seconds::BOUNDS, PushSizes::BOUNDS] {
            assert!(bounds.is_sorted_by(|a, b| a < b), "{bounds:?}");
        }
    }

    /// Metrics of which each has something to show.
    fn metrics_in_use() -> Metrics {
        let metrics = Metrics::default();
        metrics.http_requests.of((Handler::Push, Method::Put, StatusCode(200))).add(2);
        metrics.http_other_requests.of((Method::Get, StatusCode(404))).increment();
        metrics.push_seconds.of(PushMethod::Put).observe(1_000_000_000, Instant::now());
        metrics.push_bytes.of(PushMethod::Put).observe(100, Instant::now());
        metrics
    }

    #[test]
    fn families_are_what_was_declared_with_what_was_counted() {
        let metrics = metrics_in_use();
        metrics.pushes_accepted.increment();
        let families = metrics.families();
        let declared: Vec<_> = Metrics::declarations().iter().map(|own| own.name).collect();
        let shown: Vec<_> = families.iter().map(|family| family.name).collect();
        assert_eq!(shown, declared);
        let value = |name| &families.iter().find(|family| family.name == name).unwrap().series[0].1;
        assert_eq!(value("tallygate_pushes_accepted_total"), &Value::Counter(1.0));
        assert_eq!(value("pushgateway_http_requests_total"), &Value::Counter(2.0));
    }

    #[test]
    fn the_values_fit_the_types() {
        let metrics = metrics_in_use();
        for family in metrics.families() {
            for (_, value) in &family.series {
                assert_eq!(value.metric_type(), family.metric_type, "{}", family.name);
            }
        }
    }

    /// Compares the part of the documentation between two marks with a table; with `BLESS=1`, writes it anew.
    fn documentation_has(mark: &str, table: &str) {
        // The tests that bless write one file.
        static PAGE: parking_lot::Mutex<()> = parking_lot::Mutex::new(());
        let _guard = PAGE.lock();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (start, end) = (format!("<!-- {mark}: start -->\n\n"), format!("\n<!-- {mark}: end -->"));
        let from = text.find(&start).unwrap() + start.len();
        let to = text.find(&end).unwrap();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, format!("{}{table}{}", &text[..from], &text[to..])).unwrap();
            return;
        }
        assert_eq!(&text[from..to], table, "docs/metrics.md is out of date; run this test with BLESS=1");
    }

    #[test]
    fn the_documentation_lists_exactly_these_metrics() {
        let mut table = String::from("| name | type | labels | meaning |\n| --- | --- | --- | --- |\n");
        for Declaration { name, help, metric_type, labels } in Metrics::declarations() {
            let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
            writeln!(table, "| `{name}` | {metric_type} | {} | {help} |", labels.join(", ")).unwrap();
        }
        documentation_has("metrics", &table);
    }

    #[test]
    fn the_documentation_lists_exactly_these_reasons() {
        for (mark, meanings) in
            [("refused pushes", Reason::MEANINGS), ("families left out", LeftOut::MEANINGS)]
        {
            let mut table = String::from("| `reason` | meaning |\n| --- | --- |\n");
            for (text, meaning) in meanings {
                writeln!(table, "| `{text}` | {meaning} |").unwrap();
            }
            documentation_has(mark, &table);
        }
    }
}
