//! Protobuf: length-delimited `io.prometheus.client.MetricFamily` messages, read from pushes and written for
//! scrapes.
//!
//! Knows nothing of which push may be accepted. The schema is that of the published `metrics.proto`
//! (`client_model` 0.6); a field that it does not have is passed over. What bounds the work and the memory
//! that a body can cost stands in `parse`.

mod error;
mod exemplar;
mod histogram;
mod label;
mod messages;
mod number;
mod parse;
mod spans;
mod value;
mod wire;
mod write;

#[cfg(test)]
mod tests;

pub use error::{ParseError, ParseErrorKind, Place};
pub use parse::{parse, parse_up_to};
pub use write::{header, length_prefix, write_families, write_metric};

/// The media type, with its parameters, of bodies and answers in this format.
pub const CONTENT_TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
