//! Tells the program which branch and revision it was built from, where git knows, and how.
//!
//! Best effort: a source archive has no git, and then both are "unknown". The script runs again only when
//! one of the named files changes, so that builds stay cached.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let branch = git(&["rev-parse", "--abbrev-ref", "HEAD"]);
    let revision = git(&["rev-parse", "--short=12", "HEAD"]);
    set("TALLYGATE_BUILD_BRANCH", branch.as_deref());
    set("TALLYGATE_BUILD_REVISION", revision.as_deref());
    let date = git(&["show", "--no-patch", "--date=format-local:%Y%m%d-%H:%M:%S", "--format=%cd", "HEAD"]);
    set("TALLYGATE_BUILD_DATE", date.as_deref());
    let compiler = output(&std::env::var("RUSTC").unwrap_or_default(), &["--version"]);
    set("TALLYGATE_BUILD_RUSTC", compiler.as_deref());
    set("TALLYGATE_BUILD_TARGET", std::env::var("TARGET").ok().as_deref());
    let features = std::env::var("CARGO_CFG_FEATURE").ok().filter(|features| !features.is_empty());
    set("TALLYGATE_BUILD_FEATURES", features.as_deref());
    // The log of HEAD moves with every commit and every checkout; HEAD itself covers a repository without
    // logs. Cargo reruns the script on every build for a file that is missing, hence the check.
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]).filter(|path| Path::new(path).exists()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
}

fn set(variable: &str, value: Option<&str>) {
    println!("cargo:rustc-env={variable}={}", value.unwrap_or("unknown"));
}

fn git(arguments: &[&str]) -> Option<String> {
    output("git", arguments)
}

/// The command's first line of output, if it succeeds.
fn output(command: &str, arguments: &[&str]) -> Option<String> {
    // Dates in UTC, wherever it is built.
    let output = Command::new(command).args(arguments).env("TZ", "UTC").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}
