//! Text format 0.0.4: reading pushes and writing scrapes.
//!
//! Knows nothing of which push may be accepted. Every byte of a body is read once, in order; what is
//! kept borrows from the body, so that reading allocates per family and not per series.

mod collect;
mod cursor;
mod error;
mod parse;
mod quote;
mod template;
mod write;

#[cfg(test)]
mod tests;

pub use super::sample::write_value;
pub use error::{Excerpt, FoundByte, ParseError, ParseErrorKind};
pub use parse::{parse, parse_up_to};
pub use template::Template;
pub use write::{write_header, write_series, write_series_with};

/// The `Content-Type` of an answer in this format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
