//! `make install`: what it puts where.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::process::is_installed;

/// Installs the program under test below a directory, as a package would be made.
fn install(below: &Path) -> PathBuf {
    let built = below.join("built");
    fs::create_dir_all(built.join("release")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_tallygate"), built.join("release/tallygate")).unwrap();
    let root = below.join("root");
    let output = Command::new("make")
        .args(["install", "PREFIX=/usr"])
        // Of the make that may run the tests.
        .env_remove("MAKEFLAGS")
        .args([format!("DESTDIR={}", root.display()), format!("TARGET_DIR={}", built.display())])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    root.join("usr")
}

/// The files below a directory whose names end in `.md`.
fn documents(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { documents(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

/// Where the links of a document lead that stay on this machine, less what they name within a document.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let files = targets.filter_map(|(target, _)| target.split('#').next());
    files.filter(|file| !file.is_empty() && !file.contains("://"))
}

#[test]
fn the_program_its_units_and_its_documents_are_installed_whole() {
    if !is_installed("make") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let installed = install(directory.path());
    let program = installed.join("bin/tallygate");
    assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);
    let version = Command::new(&program).arg("--version").output().unwrap();
    assert!(version.status.success());

    let units = installed.join("lib/systemd/system");
    let service = fs::read_to_string(units.join("tallygate.service")).unwrap();
    assert!(service.contains("\nExecStart=/usr/bin/tallygate"), "{service}");
    assert!(units.join("tallygate.socket").is_file());

    let documents = documents(&installed.join("share/doc/tallygate"));
    assert!(documents.len() > 10, "{documents:?}");
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            let target = document.parent().unwrap().join(link);
            assert!(target.exists(), "{}: {link} leads nowhere", document.display());
        }
    }
}
