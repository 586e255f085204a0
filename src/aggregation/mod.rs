//! Merging: what one push adds to what is there, per metric type.

use serde::{Deserialize, Serialize};

/// How untyped metrics merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum UntypedMode {
    /// They add up, as counters do.
    #[default]
    Sum,
    /// The newest push counts, as with gauges.
    Last,
    /// Those named `*_total`, `*_count`, `*_sum` and `*_bucket` add up, of the others the newest push counts.
    BySuffix,
}

/// Why a pushed value is not one that its metric type can have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// A counter, bucket or count below zero.
    #[error("{what} is negative: {value}")]
    Negative {
        /// What it is the value of.
        what: &'static str,
        /// The value.
        value: f64,
    },
}
