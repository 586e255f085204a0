//! Numbers as the Prometheus formats write them.
//!
//! Parsing and formatting are inverse: what [`write()`] writes, [`parse()`] reads back to the same bits
//! (minus zero aside, which is written as `0`, and NaN, which is written without its payload).

mod format;
mod parse;

pub use format::write;
pub use parse::parse;
