//! What can be wrong with a body.
//!
//! An error never holds more than a small part of the body.

use crate::exposition::text::Excerpt;
use crate::exposition::{TooManyLabels, TooManyParts};
use crate::model::MetricType;

use super::exemplar::CHARACTERS_MAX;

/// A body that is not OpenMetrics 1.0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("openmetrics parsing error in line {line}: {kind}")]
pub struct ParseError {
    /// The 1-based line of the body.
    pub line: u32,
    /// What is wrong with it.
    pub kind: ParseErrorKind,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseErrorKind {
    /// The body is longer than can be counted in 32 bits.
    #[error("the body is longer than 4 GiB")]
    TooLong,
    /// Something is not text.
    #[error("the line is not valid UTF-8")]
    NotUtf8,
    /// More metric families without a sample than there may be series.
    #[error("the body declares more than {max} metric families without a sample")]
    TooManyFamilies {
        /// How many there may be.
        max: usize,
    },
    /// More labels than a series may have.
    #[error(transparent)]
    TooManyLabels(#[from] TooManyLabels),
    /// More buckets and the like than a body may have.
    #[error(transparent)]
    TooManyParts(#[from] TooManyParts),
    /// The body ends without `# EOF`.
    #[error("the body does not end with \"# EOF\"; it may be cut short")]
    NoEof,
    /// Something follows `# EOF`.
    #[error("text after \"# EOF\"")]
    AfterEof,
    /// A line without anything.
    #[error("blank line")]
    BlankLine,
    /// A line that begins with a hash and is none of those that there are.
    #[error(
        "invalid comment {0}; a comment is # TYPE, # HELP, # UNIT or # EOF, with one blank between words"
    )]
    Comment(Excerpt),
    /// A type that this format does not have.
    #[error("unknown metric type {0}")]
    UnknownType(Excerpt),
    /// A second HELP, TYPE or UNIT line.
    #[error("second {word} line for metric family {family}")]
    SecondMetadata {
        /// Which line.
        word: &'static str,
        /// The family.
        family: Excerpt,
    },
    /// HELP, TYPE or UNIT behind the samples.
    #[error("{word} line after the samples of metric family {family}")]
    MetadataAfterSamples {
        /// Which line.
        word: &'static str,
        /// The family.
        family: Excerpt,
    },
    /// A name that another family of the body has.
    #[error(
        "the name {0} belongs to an earlier metric family; the lines of a family must stand together, and no two \
         may share a name"
    )]
    NameTaken(Excerpt),
    /// A sample has its family's bare name, where its type demands a suffix.
    #[error("sample {sample} of a {metric_type} must have a name that ends with {suffixes}")]
    NoSuffix {
        /// The sample's name.
        sample: Excerpt,
        /// The family's type.
        metric_type: MetricType,
        /// What it may end with.
        suffixes: &'static str,
    },
    /// The unit is not the end of the name, or the type has none.
    #[error("the unit {unit} is not the end of the name of {metric_type} {family}, or that type has no unit")]
    Unit {
        /// The unit.
        unit: Excerpt,
        /// The family's type.
        metric_type: MetricType,
        /// The family.
        family: Excerpt,
    },
    /// There is no metric name where one must be.
    #[error("invalid metric name")]
    NoMetricName,
    /// A quoted metric name is not valid.
    #[error("invalid metric name {0}")]
    MetricName(Excerpt),
    /// A quoted label name is not valid.
    #[error("invalid label name {0}")]
    LabelName(Excerpt),
    /// The label name that stands for the metric's own name.
    #[error("label name \"__name__\" is reserved")]
    ReservedLabelName,
    /// A label name stands twice.
    #[error("duplicate label name {0}")]
    DuplicateLabelName(Excerpt),
    /// Something else must stand here.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What must stand here.
        expected: &'static str,
        /// What stands here.
        found: Excerpt,
    },
    /// The value is not a number.
    #[error("expected a number as value, got {0}")]
    Value(Excerpt),
    /// The timestamp is not a number.
    #[error("expected a number as timestamp, got {0}")]
    Timestamp(Excerpt),
    /// A bucket without its bound, a quantile without its label or a state without its name.
    #[error("sample {sample} has no label {label}")]
    NoBound {
        /// The sample's name.
        sample: Excerpt,
        /// The label that is missing.
        label: Excerpt,
    },
    /// The bound of a bucket, or the quantile of a summary, is not one.
    #[error("invalid value {value} of the label {label}")]
    Bound {
        /// `le` or `quantile`.
        label: &'static str,
        /// Its value.
        value: Excerpt,
    },
    /// The bounds do not ascend.
    #[error("the buckets of {0} do not stand in ascending order of le, each once")]
    BucketOrder(Excerpt),
    /// There is no bucket `+Inf`.
    #[error("a {metric_type} of {family} has no bucket with le=\"+Inf\"")]
    NoInfiniteBucket {
        /// The family's type.
        metric_type: MetricType,
        /// The family.
        family: Excerpt,
    },
    /// Sum and count do not come together.
    #[error("a {metric_type} of {family} has only one of sum and count; it must have both or none")]
    SumOrCountAlone {
        /// The family's type.
        metric_type: MetricType,
        /// The family.
        family: Excerpt,
    },
    /// A counter has a created timestamp only.
    #[error("a counter of {0} has no sample that ends with _total")]
    NoTotal(Excerpt),
    /// The samples of a series do not stand together, or one of them stands twice.
    #[error("sample {0} stands twice with the same labels, or apart from the others of its series")]
    Repeated(Excerpt),
    /// The value of an info is not 1.
    #[error("the value of info {0} must be 1")]
    InfoValue(Excerpt),
    /// The value of a state is neither 0 nor 1.
    #[error("a value of state set {0} must be 0 or 1")]
    StateValue(Excerpt),
    /// An exemplar where none may be.
    #[error("sample {0} may not have an exemplar; only buckets and the _total of a counter may")]
    ExemplarPlace(Excerpt),
    /// The labels of an exemplar are too long.
    #[error(
        "the labels of the exemplar have {found} characters and may have {max}",
        max = CHARACTERS_MAX
    )]
    ExemplarLabels {
        /// How many they have.
        found: usize,
    },
}
