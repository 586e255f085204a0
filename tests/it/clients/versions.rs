//! The table of client libraries in the documents, and the versions that the programs are locked to.

use std::fs;
use std::path::Path;

/// A file of the project.
fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands between two texts, the first time.
fn between(text: &str, before: &str, after: &str) -> String {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("there is no {before} in {text}"));
    rest.split_once(after).unwrap_or_else(|| panic!("there is no {after} after {before}")).0.trim().to_owned()
}

/// Each library, and the version that its lock file names.
fn locked() -> Vec<(&'static str, String)> {
    let pom = read("tests/clients/java/pom.xml");
    let java = |artifact: &str| {
        let rest = between(&pom, &format!("<artifactId>{artifact}</artifactId>"), "</dependency>");
        between(&rest, "<version>", "</version>")
    };
    let modern = "prometheus-metrics-exporter-pushgateway";
    vec![
        (
            "prometheus_client",
            between(&read("tests/clients/python/requirements.txt"), "prometheus_client==", "\n"),
        ),
        ("prom-client", prom_client(&read("tests/clients/node/package-lock.json"))),
        ("client_golang", between(&read("tests/clients/go/go.mod"), "prometheus/client_golang v", "\n")),
        ("io.prometheus:prometheus-metrics-exporter-pushgateway", java(modern)),
        ("io.prometheus:simpleclient_pushgateway", java("simpleclient_pushgateway")),
        ("prometheus-cpp", between(&read("tests/clients/cpp/CMakeLists.txt"), "prometheus-cpp-push>=", ")")),
        (
            "prometheus",
            between(&read("tests/clients/rust/Cargo.lock"), "name = \"prometheus\"\nversion = \"", "\""),
        ),
    ]
}

fn prom_client(lock: &str) -> String {
    let lock: serde_json::Value = serde_json::from_str(lock).unwrap();
    lock["packages"]["node_modules/prom-client"]["version"].as_str().expect("it is locked").to_owned()
}

#[test]
fn the_table_of_client_libraries_names_the_locked_versions() {
    let page = read("docs/pushgateway-compatibility.md");
    let (_, table) = page.split_once("## Client libraries").expect("there is such a section");
    for (library, version) in locked() {
        let library = format!("`{library}`");
        let row =
            table.lines().find(|line| line.split('|').nth(1).is_some_and(|cell| cell.contains(&library)));
        let row = row.unwrap_or_else(|| panic!("{library} is not in the table"));
        assert_eq!(row.split('|').nth(2).map(str::trim), Some(version.as_str()), "{row}");
    }
}

#[test]
fn lock_files_name_no_place_to_get_things_from() {
    let lock = read("tests/clients/node/package-lock.json");
    assert!(
        !lock.contains("\"resolved\""),
        "npm wrote down where it found things: set omit-lockfile-registry-resolved"
    );
    assert!(!read("tests/clients/java/pom.xml").contains("<repository>"));
}
