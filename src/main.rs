//! The program: arguments to configuration to [`tallygate::app`], and its outcome to an exit code.

use std::process::ExitCode;

use mimalloc::MiMalloc;
use tallygate::app;
use tallygate::config::Config;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match Config::from_sources(std::env::args_os().skip(1), |name| std::env::var_os(name)) {
        Ok(config) => app::run(&config),
        Err(exit) => ExitCode::from(exit.report()),
    }
}
