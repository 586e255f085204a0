//! Exemplars: single observations with a reference to what they came from.

use serde::{Deserialize, Serialize};

use super::LabelSet;

/// One observation, with labels that lead to a trace or the like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exemplar {
    /// What of the series it is an example of.
    pub place: ExemplarPlace,
    /// Its own labels, such as `trace_id`.
    pub labels: LabelSet,
    /// The value observed.
    pub value: f64,
    /// When it was observed, in seconds since the Unix epoch, if that is known.
    pub timestamp: Option<f64>,
}

/// What of a series an exemplar is an example of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum ExemplarPlace {
    /// The value of a counter, or a native histogram as a whole.
    Series,
    /// The classic bucket with this upper bound.
    Bucket(f64),
}
