//! Everything that an HTTP client sees: which URL there is, what it answers and what an error says.
//!
//! Knows nothing of how merging or storing works. Invariants: statuses and wire texts of errors stand in
//! `error` alone; once a push is applied its only answers are 200 and a closed connection.

pub mod access;
mod api;
mod body;
mod delete;
mod error;
mod format;
mod health;
mod home;
mod middleware;
mod options;
pub mod path;
mod push;
mod quit;
mod repeats;
mod router;
mod scrape;
mod shared;
#[cfg(test)]
mod testing;
mod time;
mod unsupported;

pub use body::unsnap;
pub use options::Options;
pub use router::Router;
