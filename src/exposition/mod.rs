//! Wire formats: bytes to metric families and back, and how numbers are written in them.
//!
//! Knows nothing of HTTP, storage or merging. What is parsed is well formed, and no more than that:
//! whether a histogram's counts make sense, a name is reserved or a timestamp is allowed is judged
//! elsewhere.

pub mod number;
pub mod text;
