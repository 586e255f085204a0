//! Native histograms: buckets at regular places, of which only the populated ones are kept.
//!
//! The terms are those of the Prometheus data model, version 1.0 of the native histograms specification.

/// The schema of a native histogram whose bounds are written out.
pub const CUSTOM_BUCKETS_SCHEMA: i8 = -53;

/// The coarsest exponential schema.
pub const SCHEMA_MIN: i8 = -4;

/// The finest exponential schema.
pub const SCHEMA_MAX: i8 = 8;

/// A native histogram as pushed or as exposed: counts are absolute and not cumulative. Its sum is that of the
/// [`Histogram`](super::Histogram) that it is a part of.
#[derive(Clone, Debug, PartialEq)]
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
}

/// The counts of a native histogram, whole or not.
#[derive(Clone, Debug, PartialEq)]
pub enum NativeCounts {
    /// Of observations.
    Integer(Counts<u64>),
    /// Of whatever a client has made of observations, as by scaling.
    Float(Counts<f64>),
}

/// The counts of a native histogram.
#[derive(Clone, Debug, Default, PartialEq)]
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
