//! Tallygate: a Pushgateway-compatible gateway that sums counters and merges histograms across pushes.
//!
//! `docs/architecture.md` describes how the modules stand to each other.

pub mod aggregation;
pub mod app;
pub mod config;
pub mod exposition;
pub mod gateway;
pub mod http;
pub mod model;
pub mod net;
pub mod storage;
pub mod telemetry;
