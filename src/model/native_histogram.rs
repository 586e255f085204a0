//! Native histograms: buckets at regular places, of which only the populated ones are kept.
//!
//! The terms are those of the Prometheus data model, version 1.0 of the native histograms specification.

use serde::{Deserialize, Serialize};

/// The schema of a native histogram whose bounds are written out.
pub const CUSTOM_BUCKETS_SCHEMA: i8 = -53;

/// The coarsest exponential schema.
pub const SCHEMA_MIN: i8 = -4;

/// The finest exponential schema.
pub const SCHEMA_MAX: i8 = 8;

/// A native histogram as pushed or as exposed: counts are absolute and not cumulative. It is a part of a
/// [`Histogram`](super::Histogram). Where some pushes had no native part, it counts fewer observations than that:
/// then the two counts differ, and it has a sum of its own. A format that has one count for both parts can show
/// but one of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NativeHistogram {
    /// How fine the buckets are. For [`SCHEMA_MIN`] to [`SCHEMA_MAX`], positive bucket `i` holds what is above
    /// 2^((i-1)/2^schema) and at most 2^(i/2^schema). For [`CUSTOM_BUCKETS_SCHEMA`], bucket `i` holds what is
    /// above custom bound `i-1` and at most custom bound `i`; the one behind the last bound is open upwards.
    pub schema: i8,
    /// The zero bucket holds what is from minus this to plus this.
    pub zero_threshold: f64,
    /// The bounds, ascending, without `+Inf`; empty unless the schema is [`CUSTOM_BUCKETS_SCHEMA`].
    pub custom_bounds: Vec<f64>,
    /// The counts.
    pub counts: NativeCounts,
    /// The sum of what is counted here; none where it is that of the histogram, as in whatever is pushed.
    pub sum: Option<f64>,
}

/// The counts of a native histogram, whole or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum NativeCounts {
    /// Of observations.
    Integer(Counts<u64>),
    /// Of whatever a client has made of observations, as by scaling.
    Float(Counts<f64>),
}

/// The counts of a native histogram.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts<N> {
    /// All observations, those that are not a number included.
    pub count: N,
    /// Those in the zero bucket.
    pub zero: N,
    /// The populated positive buckets with their indexes, ascending.
    pub positive: Vec<(i32, N)>,
    /// The populated negative buckets with their indexes, ascending, so the one nearest to zero first.
    pub negative: Vec<(i32, N)>,
}

impl NativeHistogram {
    /// All observations, those that are not a number included.
    #[allow(clippy::cast_precision_loss, reason = "the exposition formats have floating-point numbers")]
    pub fn count(&self) -> f64 {
        match &self.counts {
            NativeCounts::Integer(counts) => counts.count as f64,
            NativeCounts::Float(counts) => counts.count,
        }
    }

    /// How many populated buckets it has, the zero bucket aside.
    pub fn populated(&self) -> usize {
        match &self.counts {
            NativeCounts::Integer(counts) => counts.positive.len() + counts.negative.len(),
            NativeCounts::Float(counts) => counts.positive.len() + counts.negative.len(),
        }
    }
}
