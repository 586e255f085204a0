//! The outside world below HTTP's meaning: listeners, TLS, connections, signals and the service manager.
//!
//! Knows nothing of routes and metrics. Invariant: whatever a stranger does with a connection is bounded:
//! their number, the time until a request's head is complete, and the time a peer may take to read
//! nothing.

mod address;
mod http2;
mod listener;
mod readers;
mod serve;
mod shutdown;
mod socket;
mod stall;
pub mod systemd;
mod tls;
mod unix;

pub use address::{ListenAddress, ListenAddressError, TcpAddress};
pub use listener::{BindError, Listener, LocalAddress, bind};
pub use readers::{give_way, readers_runtime};
pub use serve::{Options, serve};
pub use shutdown::{Signal, signals};
pub use socket::Peer;
pub use tls::{
    CipherSuite, ClientAuth, Curve, Tls, TlsConfig, TlsError, TlsGuards, TlsNameError, TlsOptions, TlsVersion,
};
