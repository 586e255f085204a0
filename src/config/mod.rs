//! From what the user typed to one resolved, immutable [`Config`].
//!
//! Knows nothing of what the settings do. Invariants: a `Config` that exists is valid as a whole; nothing
//! else reads arguments or environment variables; every flag is defined once, in `flags`, and help,
//! environment and documentation follow from it.

mod duration;
mod exit;
mod flags;
mod paths;
mod resolve;
mod size;
mod sources;
mod web_file;

use std::path::PathBuf;

pub use exit::Exit;
pub use resolve::ConfigError;
pub use web_file::{WebChange, WebFile, WebFileError, WebSettings, check_text as check_web_file};

use crate::gateway;
use crate::http;
use crate::net;
use crate::storage::EngineKind;
use crate::telemetry::{LogFormat, LogLevel};

/// Everything that can be set, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; at least one address.
    pub listen: Vec<net::ListenAddress>,
    /// The permissions of unix sockets that are made.
    pub unix_socket_mode: u32,
    /// Whether to listen on what the service manager passes, and not on [`Self::listen`].
    pub systemd_socket: bool,
    /// The web configuration file, if there is one.
    pub web_file: Option<WebFile>,
    /// How connections are served.
    pub net: net::Options,
    /// How requests are read and answered.
    pub http: http::Options,
    /// How pushes merge, when they are written, and the limits on what is stored.
    pub gateway: gateway::Options,
    /// Where the store is.
    pub store: Store,
    /// Which events are logged.
    pub log_level: LogLevel,
    /// How they are written.
    pub log_format: LogFormat,
    /// What the user should know although it does not stop the start; to be logged once.
    pub warnings: Vec<String>,
}

/// Where what was pushed is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// Nowhere: a restart begins empty.
    MemoryOnly,
    /// In a directory.
    Directory {
        /// The directory; it may not be there yet.
        path: PathBuf,
        /// The engine that keeps it.
        engine: EngineKind,
        /// Bytes that the engine may cache.
        cache_bytes: u64,
        /// What happens when the store is damaged.
        on_damage: OnDamage,
    },
}

/// What happens when the store turns out to be damaged at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDamage {
    /// The program does not start, and the store is left as it is.
    Refuse,
    /// The store is renamed aside, and the program starts empty.
    Quarantine,
}

impl Config {
    /// Reads the arguments (without the program's name) and, for flags not among them, the environment
    /// through `environment`; looks whether the store's path is a regular file, and reads the web configuration file.
    pub fn from_sources(
        arguments: impl IntoIterator<Item = std::ffi::OsString>,
        environment: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<Self, Exit> {
        let flags = sources::read(arguments.into_iter().collect(), &environment)?;
        resolve::resolve(flags).map_err(|error| Exit::Usage(error.to_string()))
    }
}

#[cfg(test)]
mod tests;
