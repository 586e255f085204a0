//! The messages of the published schema that hold values, field by field.
//!
//! `MetricFamily`, `Metric` and the labels of a metric are not among them: these are read where they stand, so
//! that names and label values borrow from the body. Texts are bytes here, which are the same on the wire, so
//! that what is not UTF-8 gets an error of ours.

use prost::Message;

/// The numbers of the fields of `MetricFamily`.
pub(super) mod family {
    pub(in super::super) const NAME: u32 = 1;
    pub(in super::super) const HELP: u32 = 2;
    pub(in super::super) const TYPE: u32 = 3;
    pub(in super::super) const METRIC: u32 = 4;
    pub(in super::super) const UNIT: u32 = 5;
}

/// The numbers of the fields of `Metric`.
pub(super) mod metric {
    pub(in super::super) const LABEL: u32 = 1;
    pub(in super::super) const GAUGE: u32 = 2;
    pub(in super::super) const COUNTER: u32 = 3;
    pub(in super::super) const SUMMARY: u32 = 4;
    pub(in super::super) const UNTYPED: u32 = 5;
    pub(in super::super) const TIMESTAMP_MS: u32 = 6;
    pub(in super::super) const HISTOGRAM: u32 = 7;
}

/// The numbers of the fields of `LabelPair`.
pub(super) mod label_pair {
    pub(in super::super) const NAME: u32 = 1;
    pub(in super::super) const VALUE: u32 = 2;
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Timestamp {
    /// Since the Unix epoch.
    #[prost(int64, optional, tag = "1")]
    pub(super) seconds: Option<i64>,
    /// Never negative, less than a second.
    #[prost(int32, optional, tag = "2")]
    pub(super) nanos: Option<i32>,
}

/// A label of an exemplar.
#[derive(Clone, PartialEq, Message)]
pub(super) struct LabelPair {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(super) name: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(super) value: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    pub(super) label: Vec<LabelPair>,
    #[prost(double, optional, tag = "2")]
    pub(super) value: Option<f64>,
    #[prost(message, optional, tag = "3")]
    pub(super) timestamp: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Gauge {
    #[prost(double, optional, tag = "1")]
    pub(super) value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Counter {
    #[prost(double, optional, tag = "1")]
    pub(super) value: Option<f64>,
    #[prost(message, optional, tag = "2")]
    pub(super) exemplar: Option<Exemplar>,
    #[prost(message, optional, tag = "3")]
    pub(super) created_timestamp: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Untyped {
    #[prost(double, optional, tag = "1")]
    pub(super) value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Quantile {
    #[prost(double, optional, tag = "1")]
    pub(super) quantile: Option<f64>,
    #[prost(double, optional, tag = "2")]
    pub(super) value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Summary {
    #[prost(uint64, optional, tag = "1")]
    pub(super) sample_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(super) sample_sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    pub(super) quantile: Vec<Quantile>,
    #[prost(message, optional, tag = "4")]
    pub(super) created_timestamp: Option<Timestamp>,
}

/// A classic bucket.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Bucket {
    #[prost(uint64, optional, tag = "1")]
    pub(super) cumulative_count: Option<u64>,
    /// Overrides the whole one if it is above 0.
    #[prost(double, optional, tag = "4")]
    pub(super) cumulative_count_float: Option<f64>,
    #[prost(double, optional, tag = "2")]
    pub(super) upper_bound: Option<f64>,
    /// Boxed, so that an empty bucket, two bytes on the wire, takes little memory.
    #[prost(message, optional, boxed, tag = "3")]
    pub(super) exemplar: Option<Box<Exemplar>>,
}

/// Native buckets whose indexes follow each other.
#[derive(Clone, PartialEq, Message)]
pub(super) struct BucketSpan {
    /// The index of the first one, if this is the first span; else the gap to the span before.
    #[prost(sint32, optional, tag = "1")]
    pub(super) offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    pub(super) length: Option<u32>,
}

/// A histogram, classic or native or both; a gauge histogram too.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    pub(super) sample_count: Option<u64>,
    /// Overrides the whole one if it is above 0.
    #[prost(double, optional, tag = "4")]
    pub(super) sample_count_float: Option<f64>,
    #[prost(double, optional, tag = "2")]
    pub(super) sample_sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    pub(super) bucket: Vec<Bucket>,
    #[prost(message, optional, tag = "15")]
    pub(super) created_timestamp: Option<Timestamp>,
    #[prost(sint32, optional, tag = "5")]
    pub(super) schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    pub(super) zero_threshold: Option<f64>,
    #[prost(uint64, optional, tag = "7")]
    pub(super) zero_count: Option<u64>,
    /// Overrides the whole one if it is above 0.
    #[prost(double, optional, tag = "8")]
    pub(super) zero_count_float: Option<f64>,
    #[prost(message, repeated, tag = "9")]
    pub(super) negative_span: Vec<BucketSpan>,
    /// Each count less the one before it.
    #[prost(sint64, repeated, packed = "false", tag = "10")]
    pub(super) negative_delta: Vec<i64>,
    /// The counts themselves, of a float histogram.
    #[prost(double, repeated, packed = "false", tag = "11")]
    pub(super) negative_count: Vec<f64>,
    #[prost(message, repeated, tag = "12")]
    pub(super) positive_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, packed = "false", tag = "13")]
    pub(super) positive_delta: Vec<i64>,
    #[prost(double, repeated, packed = "false", tag = "14")]
    pub(super) positive_count: Vec<f64>,
    /// Of the native part.
    #[prost(message, repeated, tag = "16")]
    pub(super) exemplars: Vec<Exemplar>,
}
