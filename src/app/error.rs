//! Why the program ends other than by a clean stop, what to do about it, and with which exit code.

use std::io::{self, ErrorKind};

use crate::gateway::RestoreError;
use crate::net;
use crate::storage::{CommitError, OpenError};

/// The exit code where the same start may do later, although nobody changes the store or a flag: `EX_TEMPFAIL` of
/// `sysexits.h`. `packaging/systemd` starts again after it, and not after 1.
const EXIT_MAY_PASS: u8 = 75;
const EXIT_FAILURE: u8 = 1;

/// Why the program ends other than by a clean stop.
#[derive(Debug, thiserror::Error)]
pub(super) enum AppError {
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] io::Error),
    #[error("cannot handle signals: {0}")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Bind(#[from] net::BindError),
    #[error(transparent)]
    Inherit(#[from] net::systemd::InheritError),
    #[error("cannot check passwords: {0}")]
    Passwords(#[source] io::Error),
    #[error("{0}; {advice}", advice = advice(.0))]
    OpenStore(#[from] OpenError),
    #[error("{source}; {ON_DAMAGE}")]
    DamagedRecords { source: RestoreError },
    #[error(transparent)]
    Restore(RestoreError),
    #[error("{damage}; it was to be set aside, and that failed: {source}")]
    Quarantine { damage: String, source: io::Error },
    #[error("not everything could be written at the stop: {0}")]
    LastCommit(#[from] CommitError),
}

impl From<RestoreError> for AppError {
    fn from(source: RestoreError) -> Self {
        if source.is_damage() { Self::DamagedRecords { source } } else { Self::Restore(source) }
    }
}

impl AppError {
    /// Why the store is damaged, where that is what is wrong.
    pub(super) fn damage(&self) -> Option<String> {
        match self {
            Self::OpenStore(error @ OpenError::Damaged { .. }) => Some(error.to_string()),
            Self::DamagedRecords { source } => Some(source.to_string()),
            _ => None,
        }
    }

    /// What the process ends with.
    pub(super) fn exit_code(&self) -> u8 {
        let may_pass = match self {
            Self::Bind(error) => {
                matches!(error.source.kind(), ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable)
            }
            Self::OpenStore(error) => error.may_pass(),
            Self::LastCommit(_) => true,
            Self::Runtime(_)
            | Self::Signals(_)
            | Self::Inherit(_)
            | Self::Passwords(_)
            | Self::DamagedRecords { .. }
            | Self::Restore(_)
            | Self::Quarantine { .. } => false,
        };
        if may_pass { EXIT_MAY_PASS } else { EXIT_FAILURE }
    }
}

const ON_DAMAGE: &str =
    "put a backup in its place, or start empty with --persistence.on-damage=quarantine, which moves it aside";

fn advice(error: &OpenError) -> String {
    match error {
        OpenError::Io { .. } if error.is_out_of_room() => "make room on its disk, 4 MB at least".to_owned(),
        OpenError::Io { .. } | OpenError::NotAStore { .. } => {
            "--persistence.file sets where the store is".to_owned()
        }
        OpenError::InUse { .. } => {
            "stop that process, or let --persistence.file name another directory".to_owned()
        }
        OpenError::Damaged { .. } => ON_DAMAGE.to_owned(),
        OpenError::OtherEngine { found, .. } => {
            format!("--persistence.engine={found} opens it, --persistence.file names another")
        }
        OpenError::NewerFormat { .. } => "start the version that wrote it, or a newer one".to_owned(),
    }
}
