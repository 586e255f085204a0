//! The outside world below HTTP's meaning: listeners, connections, signals and the service manager.
//!
//! Knows nothing of routes and metrics. Invariant: whatever a stranger does with a connection is bounded:
//! their number, the time until a request's head is complete, and the time a peer may take to read
//! nothing.

mod address;
mod listener;
mod readers;
mod serve;
mod shutdown;
mod stall;
pub mod systemd;

pub use address::{ListenAddress, ListenAddressError};
pub use listener::{BindError, Listener, bind};
pub use readers::readers_runtime;
pub use serve::{Options, serve};
pub use shutdown::{Signal, signals};
