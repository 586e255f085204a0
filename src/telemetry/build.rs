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
