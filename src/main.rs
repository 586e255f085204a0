//! The program: arguments to configuration to [`tallygate::app`], and its outcome to an exit code.

use std::process::ExitCode;

use tallygate::app;
use tallygate::config::Config;
use tikv_jemallocator::Jemalloc;

/// Gives back what a large push or scrape has left; `docs/dependencies.md` compares it with others.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    match Config::from_sources(std::env::args_os().skip(1), |name| std::env::var_os(name)) {
        Ok(config) => app::run(&config),
        Err(exit) => ExitCode::from(exit.report()),
    }
}
