//! The conformance suite: each case of `tests/conformance` against this gateway in both modes, and, where it
//! is meant for that one too, against Debian's Pushgateway, which proves the case.
//!
//! `CONFORMANCE=<part of a name>` runs those cases only, `CONFORMANCE_PROGRAM` another build than the one under
//! test. `CONFORMANCE_URL` and the ignored test run the suite against any gateway that is empty.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;

use crate::support::process::is_installed;
use case::{Case, Target};

mod case;
mod departures;
mod exchange;
mod expect;
mod payload;
mod protobuf;
mod reader;
mod rules;
mod run;
mod scrape;
mod server;

/// Cases that run at the same time: they wait more than they work.
const WORKERS: usize = 4;

/// How many behaviours of Pushgateway's own tests there are; the names of their cases begin with the number.
const BEHAVIOURS: usize = 58;

/// The cases for a target, less those that the environment leaves out.
fn cases_for(target: Target) -> Vec<Case> {
    let part = std::env::var("CONFORMANCE").unwrap_or_default();
    let cases = case::sources().into_iter().filter(|source| source.name.contains(&part));
    cases.map(|source| source.read(target)).filter(|case| case.applies).collect()
}

/// Runs cases, some at a time, and tells all that fail.
fn run_all(cases: &[Case], workers: usize, run: impl Fn(&Case) -> Result<(), String> + Sync) {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = run(case) {
                        failures.lock().insert(case.name.clone(), error);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner();
    let told: String = failures.iter().map(|(name, error)| format!("[{name}]\n{error}\n\n")).collect();
    println!("{} of {} cases hold", cases.len() - failures.len(), cases.len());
    assert!(failures.is_empty(), "{} of {} cases fail:\n\n{told}", failures.len(), cases.len());
}

fn run_on(target: Target) {
    run_all(&cases_for(target), WORKERS, |case| run::on_a_server_of_its_own(case, target));
}

#[test]
fn this_gateway_as_pushgateway() {
    run_on(Target::Replacing);
}

#[test]
fn this_gateway_with_its_defaults() {
    run_on(Target::Merging);
}

#[test]
fn pushgateway_itself() {
    if is_installed("prometheus-pushgateway") {
        run_on(Target::Original);
    }
}

#[test]
#[ignore = "needs CONFORMANCE_URL, the address of a gateway that is empty; it deletes what it pushes"]
fn a_gateway_at_an_address() {
    let url = std::env::var("CONFORMANCE_URL").expect("CONFORMANCE_URL is http://host:port");
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let kind = std::env::var("CONFORMANCE_KIND").unwrap_or_else(|_| "replacing".to_owned());
    let target = Target::ALL.into_iter().find(|target| target.name() == kind);
    let target = target.expect("CONFORMANCE_KIND is replacing, merging or original");
    let scrape = run::get(address, "/metrics").unwrap();
    let text = String::from_utf8_lossy(&scrape.body).into_owned();
    assert_eq!(scrape::groups(&text), [""; 0], "the gateway must be empty, since the suite deletes groups");
    let mut cases = cases_for(target);
    // The original does not recover from some of its faults, so they would spoil all that comes after them.
    cases.retain(|case| target != Target::Original || case.file != "bugs.case");
    cases.retain(run::is_fit_for_a_url);
    run_all(&cases, 1, |case| run::at(address, case, target));
}

#[test]
fn every_behaviour_of_the_original_has_a_case() {
    let sources = case::sources();
    let names: BTreeSet<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names.len(), sources.len(), "every case has a name of its own");
    let numbers = names.iter().filter_map(|name| name.split_once(": ")?.0.parse::<usize>().ok());
    let numbers: BTreeSet<usize> = numbers.collect();
    assert_eq!(numbers, (1..=BEHAVIOURS).collect());
    // Each runs on this gateway at least, and says so.
    for source in &sources {
        let applies = Target::ALL.map(|target| source.read(target).applies);
        assert!(applies[0] || applies[1], "[{}] does not run on this gateway", source.name);
    }
}
