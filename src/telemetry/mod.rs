//! What the gateway tells about itself: its own metrics, its log, and how it was built.
//!
//! Knows nothing of who reads it, of routes or of what is stored. Invariant: a metric is declared in one
//! place, with name, type, help and labels, and no hot path takes a lock.

pub mod build;
mod instruments;
mod labels;
mod logging;
mod metrics;
mod process;
mod window;

pub use instruments::{Bounds, Counter, CounterPer, Family, Gauge, Histogram};
pub use labels::{Handler, LabelValue, LeftOut, Method, Outcome, PushMethod, Reason, StatusCode};
pub use logging::{LogFormat, LogLevel, init};
pub use metrics::{Declaration, Metrics, PushSizes, Seconds};
pub use window::{AsBytes, AsSeconds, SummaryPer, Unit, Window};
