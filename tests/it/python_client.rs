//! The Python client library, as many processes at once use it.

use std::path::Path;
use std::process::Command;

use crate::support::process::{Process, is_installed, scratch};
use crate::support::samples::value;

/// What `tests/clients/python/workers.py` pushes: so many workers, so often.
const WORKERS: u32 = 6;
const PUSHES: u32 = 25;

#[test]
fn what_the_python_client_pushes_from_several_processes_adds_up_exactly() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".venv/bin/python");
    if !is_installed(&python.display().to_string()) {
        return;
    }
    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &[]);
    let script = root.join("tests/clients/python/workers.py");
    let output = Command::new(python).arg(script).arg(&gateway.address).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let scrape = gateway.scrape();
    let shown = |name: &str| value(&scrape, &format!("{name}{{instance=\"\",job=\"py\"}}"));
    for worker in 0..WORKERS {
        let jobs = format!("py_jobs_total{{instance=\"\",job=\"py\",worker=\"{worker}\"}}");
        assert_eq!(value(&scrape, &jobs), f64::from(PUSHES), "{scrape}");
    }
    let pushes = f64::from(WORKERS * PUSHES);
    // 150 tenths are 15, correctly rounded; a running sum of floating-point numbers ends beside it.
    assert_eq!(shown("py_tenths_total"), 15.0);
    assert_eq!(shown("py_last"), f64::from(PUSHES - 1));
    assert_eq!(shown("py_seconds_count"), 2.0 * pushes);
    assert_eq!(shown("py_seconds_sum"), 2.25 * pushes);
    let bucket =
        |le: &str| value(&scrape, &format!("py_seconds_bucket{{instance=\"\",job=\"py\",le=\"{le}\"}}"));
    assert_eq!(
        [bucket("0.5"), bucket("1"), bucket("5"), bucket("+Inf")],
        [1.0, 1.0, 2.0, 2.0].map(|n| n * pushes)
    );
    assert_eq!(shown("py_sizes_count"), pushes);
    assert_eq!(shown("py_sizes_sum"), 8.0 * pushes);
    assert!(!scrape.contains("_created"), "created timestamps are no metrics: {scrape}");
}
