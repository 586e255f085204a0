//! The groups and everything that may happen to them: admission, commit, snapshots.
//!
//! Knows nothing of wire formats and status codes.

mod options;
mod rejection;

pub use options::{Durability, Limits, Options, QueueLimits};
pub use rejection::{LimitExceeded, PushError, Rejection, Unavailable};
