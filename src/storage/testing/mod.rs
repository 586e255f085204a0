//! Engines and disks that misbehave on command, for this crate's tests and its users'.
//!
//! Nothing of the gateway itself uses them.

mod chance;
mod failing;
mod frozen;
mod power;

pub use chance::Chance;
pub use failing::{FailingEngine, Fate};
pub use frozen::{Freezer, FrozenEngine};
pub use power::{Cut, LosingDisk};

/// Nothing where a file has gone since its name was read.
pub(in crate::storage) fn unless_gone<T>(found: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}
