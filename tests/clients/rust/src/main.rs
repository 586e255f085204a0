//! Pushes with the crate `prometheus`: push URL MODE [OPTION=VALUE]...
//!
//! The mode is protobuf, and nothing else. The options: user and password. Each line of the output says as JSON what
//! was done; `tests/it/clients.rs` knows what must come of it.

use std::collections::HashMap;

use prometheus::core::Collector;
use prometheus::{
    BasicAuthentication, Counter, CounterVec, Gauge, Histogram, HistogramOpts, Opts, Result,
    push_add_collector, push_collector,
};
use serde_json::json;

type Collectors = Vec<Box<dyn Collector>>;

struct Pusher {
    url: String,
    options: HashMap<String, String>,
}

/// A job, and the rest of the grouping key.
type Group<'a> = (&'a str, &'a [(&'a str, &'a str)]);

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(mode)) = (arguments.next(), arguments.next()) else {
        panic!("push URL MODE [OPTION=VALUE]...");
    };
    let options = arguments.filter_map(|option| {
        let (name, value) = option.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    let pusher = Pusher { url, options: options.collect() };

    pusher.merge((&mode, &[]))?;
    pusher.be_refused()?;
    // A slash is refused by the client, and it writes nothing and a space as they are.
    pusher.merge(("keys", &[("name", "of_a_label")]))?;
    // The client cannot delete.
    Ok(())
}

impl Pusher {
    fn authentication(&self) -> Option<BasicAuthentication> {
        let username = self.options.get("user")?.clone();
        let password = self.options.get("password")?.clone();
        Some(BasicAuthentication { username, password })
    }

    /// Pushes two jobs to a group, with each of the two methods.
    fn merge(&self, (job, labels): Group<'_>) -> Result<()> {
        let key: HashMap<String, String> =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        push_collector(job, key.clone(), &self.url, work(2.0, 7.0, &[0.25, 2.0])?, self.authentication())?;
        push_add_collector(job, key, &self.url, work(3.5, 4.0, &[0.75, 8.0])?, self.authentication())?;
        let labels: String = labels.iter().map(|(name, value)| format!(",{name}={value}")).collect();
        println!("{}", json!({ "did": "merged", "group": format!("job={job}{labels}") }));
        Ok(())
    }

    /// Pushes a histogram under the name of the gauge. The client keeps the reason to itself.
    fn be_refused(&self) -> Result<()> {
        let other = Histogram::with_opts(HistogramOpts::new("client_last", "No gauge."))?;
        other.observe(1.0);
        let key = HashMap::<String, String>::new();
        if let Err(error) =
            push_collector("refused", key, &self.url, vec![Box::new(other)], self.authentication())
        {
            println!("{}", json!({ "did": "refused", "said": error.to_string() }));
        }
        Ok(())
    }
}

/// What one short-lived job has to tell. The client has no summaries.
fn work(jobs: f64, last: f64, seconds: &[f64]) -> Result<Collectors> {
    let done = CounterVec::new(Opts::new("client_jobs_total", "Jobs."), &["kind"])?;
    let counter: Counter = done.with_label_values(&["full"]);
    counter.inc_by(jobs);
    let newest = Gauge::new("client_last", "The newest.")?;
    newest.set(last);
    let durations = Histogram::with_opts(
        HistogramOpts::new("client_seconds", "Durations.").buckets(vec![0.5, 1.0, 5.0]),
    )?;
    for value in seconds {
        durations.observe(*value);
    }
    Ok(vec![Box::new(done), Box::new(newest), Box::new(durations)])
}
