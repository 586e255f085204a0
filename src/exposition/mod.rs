//! Wire formats: bytes to metric families and back, and how numbers are written in them.
//!
//! Knows nothing of HTTP, storage or merging. What is parsed is well formed, and no more than that:
//! whether a histogram's counts make sense, a name is reserved or a timestamp is allowed is judged
//! elsewhere.

mod label_template;
mod limits;
pub mod names;
pub mod negotiation;
pub mod number;
pub mod openmetrics;
pub mod protobuf;
mod sample;
pub mod text;

pub use label_template::LabelTemplate;
pub use limits::{ReadLimits, TooManyLabels, TooManyParts};
pub use sample::Name;
