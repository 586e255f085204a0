//! The vocabulary: what a pushed or exposed metric is, before anybody parses, merges, stores or serves it.
//!
//! Knows nothing of bytes on a wire, clocks or async. Every other room may import it; it imports none.

mod exemplar;
mod family;
mod grouping_key;
mod label;
mod name;
mod native_histogram;
mod stamp;

pub use exemplar::{Exemplar, ExemplarPlace};
pub use family::{
    Bucket, Defect, Families, Histogram, MetricFamily, MetricType, Quantile, Series, StateSet, Summary, Value,
};
pub use grouping_key::GroupingKey;
pub use label::{BorrowedLabel, Label, LabelSet};
pub use name::{NameScheme, is_label_name, is_metric_name, is_pushable_label_name, values_encoded};
pub use native_histogram::{
    CUSTOM_BUCKETS_SCHEMA, Counts, NativeCounts, NativeHistogram, SCHEMA_MAX, SCHEMA_MIN,
};
pub use stamp::Stamp;
