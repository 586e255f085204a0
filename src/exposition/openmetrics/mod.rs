//! OpenMetrics 1.0 as text: reading pushes and writing scrapes.
//!
//! Knows nothing of which push may be accepted. The names of the model are those of text 0.0.4; here, at the border,
//! a counter's `_total` and an info's `_info` are taken off the family's name and put on its samples'. What is
//! written is what the strictest reader accepts: what OpenMetrics forbids is left out, never the rest of it.

mod error;
mod exemplar;
mod lexer;
mod parse;
mod series;
mod taken;
mod write;

#[cfg(test)]
mod tests;

pub use error::{ParseError, ParseErrorKind};
pub use parse::parse_up_to;
pub use write::{EOF, Extras, claimed_suffixes, family_name, write_header, write_series, write_series_with};
