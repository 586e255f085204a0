//! The lines of the README and of Pushgateway's tutorial, as a shell runs them.

use std::process::Command;

use crate::support::process::{Process, is_installed, scratch};
use crate::support::samples::value;

/// Runs lines of shell in which the gateway is at `localhost:9091`.
fn shell(gateway: &Process, lines: &str) {
    let lines = lines.replace("localhost:9091", &gateway.address);
    let output = Command::new("bash").args(["-euo", "pipefail", "-c", &lines]).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{lines}\n{said}");
}

/// The shell blocks of the README that push.
fn readme_blocks() -> Vec<String> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.filter(|block| block.contains("curl")).collect()
}

#[test]
fn the_readme_does_what_it_says() {
    if !is_installed("curl") {
        return;
    }
    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &[]);
    let blocks = readme_blocks();
    let [backup, some_job] = blocks.as_slice() else { panic!("the README has other blocks: {blocks:?}") };

    shell(&gateway, backup);
    shell(&gateway, backup);
    let readme = include_str!("../../README.md");
    for line in [
        "backup_files_total{instance=\"db1\",job=\"backup\",kind=\"full\"} 24\n",
        "backup_last_size_bytes{instance=\"db1\",job=\"backup\"} 5.2e+09\n",
    ] {
        assert!(readme.contains(line), "the README shows something else than {line}");
        assert!(gateway.scrape().contains(line), "{}", gateway.scrape());
    }

    let (push, delete) = some_job.split_once("curl -X DELETE").expect("it deletes in the end");
    shell(&gateway, push);
    shell(&gateway, push);
    let series = "some_metric{instance=\"\",job=\"some_job\"}";
    assert!(readme.contains("twice: 6.28"));
    assert_eq!(value(&gateway.scrape(), series), 6.28);
    shell(&gateway, &format!("curl -X DELETE{delete}"));
    assert!(!gateway.scrape().contains("some_job"));
}

#[test]
fn the_tutorial_of_pushgateway_works() {
    if !is_installed("curl") {
        return;
    }
    let (_directory, store) = scratch();
    let gateway = Process::start(&store, &[]);
    let untyped = "some_metric{instance=\"\",job=\"some_job\"}";
    shell(
        &gateway,
        "echo \"some_metric 3.14\" | curl --data-binary @- http://localhost:9091/metrics/job/some_job",
    );
    assert_eq!(value(&gateway.scrape(), untyped), 3.14);

    // Its second push makes a counter of the metric that its first push left untyped. Pushgateway refuses that too;
    // ours says which request helps, and that is one of the tutorial's own.
    let second = "cat <<EOF | curl -s --data-binary @- http://localhost:9091/metrics/job/some_job/instance/some_instance\n\
                  # TYPE some_metric counter\n\
                  some_metric{label=\"val1\"} 42\n\
                  # TYPE another_metric gauge\n\
                  # HELP another_metric Just an example.\n\
                  another_metric 2398.283\n\
                  EOF\n";
    shell(&gateway, &format!("{second}true\n"));
    assert!(!gateway.scrape().contains("another_metric"), "it was refused whole");
    shell(&gateway, "curl -X DELETE http://localhost:9091/metrics/job/some_job");
    shell(&gateway, second);
    let scrape = gateway.scrape();
    let own = "instance=\"some_instance\",job=\"some_job\"";
    assert_eq!(value(&scrape, &format!("some_metric{{{own},label=\"val1\"}}")), 42.0);
    assert_eq!(value(&scrape, &format!("another_metric{{{own}}}")), 2398.283);
    assert!(scrape.contains("# HELP another_metric Just an example.\n"), "{scrape}");

    shell(&gateway, "curl -X DELETE http://localhost:9091/metrics/job/some_job/instance/some_instance");
    assert!(!gateway.scrape().contains("some_job"));
}
