//! The vocabulary: what a pushed or exposed metric is, before anybody parses, merges, stores or serves it.
//!
//! Knows nothing of bytes on a wire, clocks or async. Every other room may import it; it imports none.

mod family;
mod grouping_key;
mod label;
mod name;
mod stamp;

pub use family::{
    Bucket, Defect, Families, Histogram, MetricFamily, MetricType, Quantile, Series, Summary, Value,
};
pub use grouping_key::GroupingKey;
pub use label::{BorrowedLabel, Label, LabelSet};
pub use name::{is_label_name, is_metric_name, is_pushable_label_name};
pub use stamp::Stamp;
