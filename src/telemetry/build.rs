//! How this program was built.

/// The version, as in the changelog.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The git branch built from, `unknown` where git did not tell.
pub const BRANCH: &str = env!("TALLYGATE_BUILD_BRANCH");
/// The git revision built from, `unknown` where git did not tell.
pub const REVISION: &str = env!("TALLYGATE_BUILD_REVISION");
/// The compiler.
pub const RUSTC: &str = env!("TALLYGATE_BUILD_RUSTC");
/// The platform built for, as a target triple.
pub const TARGET: &str = env!("TALLYGATE_BUILD_TARGET");
/// The Cargo features that it was built with, as `a,b`, `unknown` where there were none: what Go's build tags are
/// to Pushgateway, which says `unknown` as well.
pub const FEATURES: &str = env!("TALLYGATE_BUILD_FEATURES");
/// When the revision was made, as `20261121-14:05:00` in UTC, `unknown` where git did not tell. Not when it
/// was built: one revision makes one program.
pub const DATE: &str = env!("TALLYGATE_BUILD_DATE");
/// Who has built it, which is not recorded.
pub const USER: &str = "unknown";

/// The operating system built for, as Go names it.
pub const OS: &str = match std::env::consts::OS.as_bytes() {
    b"macos" => "darwin",
    _ => std::env::consts::OS,
};

/// The processor built for, as Go names it.
pub const ARCHITECTURE: &str = match std::env::consts::ARCH.as_bytes() {
    b"x86_64" => "amd64",
    b"aarch64" => "arm64",
    b"x86" => "386",
    b"powerpc64" => "ppc64",
    _ => std::env::consts::ARCH,
};
