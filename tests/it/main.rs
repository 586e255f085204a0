//! Everything that is tested from outside: through HTTP, or on a whole gateway.

// A test says by a panic what went wrong, and the binary has no users who could reach or read its items.
#![allow(
    clippy::approx_constant,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::format_collect,
    missing_docs,
    unreachable_pub
)]

mod admission;
mod api;
mod clients;
mod compaction;
mod conformance;
mod curl;
mod full_disk;
mod installing;
mod invariants;
mod kill;
mod limits;
mod listeners;
mod old_formats;
mod openmetrics;
mod patches;
mod power_cut;
mod prometheus;
mod protobuf;
mod python_client;
mod reference;
mod regression;
mod repeats;
mod replace;
mod routes;
mod running;
mod soak;
mod store;
mod support;
mod web_config;
