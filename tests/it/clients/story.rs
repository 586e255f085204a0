//! The story that each client tells, and what the scrape must show of it.
//!
//! To each group two jobs are pushed, the first with one method, the second with the other: 2 and 3.5 to a counter,
//! 7 and 4 to a gauge, 0.25 and 2, then 0.75 and 8 to a histogram, 8 and 16 to a summary. A histogram under the name
//! of the gauge is refused. The last group is deleted.

use std::collections::BTreeMap;

use serde_json::Value;

use super::programs::{Client, Door, run, steps};
use crate::support::process::{Process, scratch};
use crate::support::samples::{samples, value};

/// The labels of a series; the scrape has them in this order.
type Labels<'a> = BTreeMap<&'a str, String>;

impl Client {
    /// The grouping keys beside the plain ones: as strange as the library can tell them.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Python => &[
                "job=keys/and more,path=/var/tmp",
                "job=keys/and more,empty=,name=with space",
                "job=keys/and more,city=Köln",
            ],
            // It writes a slash as %2F, which is a slash of the path.
            Self::Node => &["job=keys and more,name=with space", "job=keys and more,city=Köln"],
            Self::Go | Self::Java | Self::JavaSimpleclient => {
                &["job=keys/and more,path=/var/tmp", "job=keys,empty=,name=with space", "job=keys,city=Köln"]
            }
            Self::Cpp | Self::Rust => &["job=keys,name=of_a_label"],
        }
    }

    /// How the scrape shows a grouping key: what is empty is no label, and what some libraries write for a space is
    /// a plus in a path.
    fn shown(self, key: &str) -> Labels<'_> {
        let has_plus = matches!(self, Self::Go | Self::Java | Self::JavaSimpleclient);
        let labels = key.split(',').filter_map(|label| label.split_once('='));
        let labels = labels.filter(|(_, value)| !value.is_empty()).map(|(name, value)| {
            let is_plus = has_plus && !value.contains('/');
            (name, if is_plus { value.replace(' ', "+") } else { value.to_owned() })
        });
        [("instance", String::new())].into_iter().chain(labels).collect()
    }

    fn has_summaries(self) -> bool {
        self != Self::Rust
    }

    fn can_delete(self) -> bool {
        self != Self::Rust
    }

    /// Whether its error says what the gateway has answered, and not the status alone.
    fn tells_reasons(self) -> bool {
        matches!(self, Self::Python | Self::Node | Self::Go | Self::Java | Self::JavaSimpleclient)
    }

    /// The grouping keys that are pushed to and stay.
    fn kept(self, mode: &str) -> Vec<String> {
        std::iter::once(format!("job={mode}"))
            .chain(self.keys().iter().map(|key| (*key).to_owned()))
            .collect()
    }
}

/// Lets a client tell the story to a gateway of its own, and looks at what has come of it.
pub fn holds(client: Client, mode: &str) {
    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &[]);
    holds_at(client, mode, &Door::open(&gateway), || gateway.scrape());
}

/// The same at a gateway that is there, and has no story yet.
pub fn holds_at(client: Client, mode: &str, door: &Door, scrape: impl FnOnce() -> String) {
    let Some(output) = run(client, mode, door) else { return };
    let steps = steps(&output);
    check_steps(client, mode, &steps);
    let scrape = scrape();
    let shown = samples(&scrape).into_iter().filter(|(series, _)| series.starts_with("client_"));
    let shown: BTreeMap<String, f64> = shown.map(|(series, value)| (series.to_owned(), value)).collect();
    assert_eq!(shown, expected(client, mode), "{client:?} with {mode}: {steps:?}\n{scrape}");
    assert!(!scrape.contains("job=\"gone\""), "that group was deleted: {scrape}");
    let failed = value(&scrape, "push_failure_time_seconds{instance=\"\",job=\"refused\"}");
    assert!(failed > 0.0, "a push was refused: {scrape}");
}

/// The client has done what it should, and has been told why a push was refused.
fn check_steps(client: Client, mode: &str, steps: &[Value]) {
    let merged = |key: &String| format!("merged {key}");
    let kept = client.kept(mode);
    let mut expected = vec![merged(&kept[0]), "refused ".to_owned()];
    expected.extend(kept[1..].iter().map(merged));
    if client.can_delete() {
        expected.extend(["merged job=gone", "deleted job=gone"].map(str::to_owned));
    }
    let text = |step: &Value, name: &str| step[name].as_str().unwrap_or_default().to_owned();
    let found: Vec<_> =
        steps.iter().map(|step| format!("{} {}", text(step, "did"), text(step, "group"))).collect();
    assert_eq!(found, expected, "{client:?} with {mode}: {steps:?}");

    let said = text(&steps[1], "said");
    assert!(said.contains("400"), "{said}");
    assert!(!client.tells_reasons() || said.contains("client_last"), "the reason names the metric: {said}");
}

/// Every sample of the story, and no others.
fn expected(client: Client, mode: &str) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for key in client.kept(mode) {
        let group = client.shown(&key);
        let mut add = |name: &str, own: &[(&'static str, &str)], value: f64| {
            all.insert(series(name, &group, own), value);
        };
        add("client_jobs_total", &[("kind", "full")], 5.5);
        add("client_last", &[], 4.0);
        for (le, count) in [("0.5", 1.0), ("1", 2.0), ("5", 3.0), ("+Inf", 4.0)] {
            add("client_seconds_bucket", &[("le", le)], count);
        }
        add("client_seconds_sum", &[], 11.0);
        add("client_seconds_count", &[], 4.0);
        // Its quantiles went with the second push.
        if client.has_summaries() {
            add("client_sizes_sum", &[], 24.0);
            add("client_sizes_count", &[], 2.0);
        }
    }
    all
}

/// A series as the scrape writes it: its labels by name, but `le` last.
fn series(name: &str, group: &Labels<'_>, own: &[(&'static str, &str)]) -> String {
    let mut labels: Vec<(&str, &str)> = group.iter().map(|(name, value)| (*name, value.as_str())).collect();
    labels.extend(own);
    labels.sort_by_key(|(name, _)| (*name == "le", *name));
    let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    format!("{name}{{{}}}", labels.join(","))
}
