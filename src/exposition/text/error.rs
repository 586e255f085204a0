//! What can be wrong with a body.
//!
//! The texts are those of Pushgateway, to which tools and people are used. An error never holds more than a
//! small part of the body.

use std::fmt;

use super::quote;
use crate::exposition::{TooManyLabels, TooManyParts};

/// A body that is not text format 0.0.4.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("text format parsing error in line {line}: {kind}")]
pub struct ParseError {
    /// The 1-based line of the body.
    pub line: u32,
    /// What is wrong with it.
    pub kind: ParseErrorKind,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseErrorKind {
    /// The body ends within a line; the last line needs a line feed, too.
    #[error("unexpected end of input stream")]
    UnexpectedEnd,
    /// The body is longer than can be counted in 32 bits.
    #[error("the body is longer than 4 GiB")]
    TooLong,
    /// More metric names without a sample than there may be series.
    #[error("the body declares more than {max} metric names without a sample")]
    TooManyNames {
        /// How many there may be.
        max: usize,
    },
    /// More labels than a series may have.
    #[error(transparent)]
    TooManyLabels(#[from] TooManyLabels),
    /// More buckets and quantiles than a body may have.
    #[error(transparent)]
    TooManyParts(#[from] TooManyParts),
    /// There is no metric name where one must be.
    #[error("invalid metric name")]
    NoMetricName,
    /// A quoted metric name is not valid: with legacy names it must match `[a-zA-Z_:][a-zA-Z0-9_:]*`, with UTF-8
    /// names it must be text without escapes.
    #[error("invalid metric name {0}")]
    MetricName(Excerpt),
    /// What follows `# HELP` or `# TYPE` is not a metric name.
    #[error("invalid metric name in comment")]
    MetricNameInComment,
    /// A second metric name between the braces.
    #[error("multiple metric names for metric {0}")]
    SecondMetricName(Excerpt),
    /// A metric name between the braces is followed by neither a comma nor a closing brace.
    #[error("unexpected end of metric name {0}")]
    AfterMetricName(FoundByte),
    /// A quoted metric name runs over the end of the line.
    #[error("metric name {0} contains unescaped new-line")]
    NewlineInMetricName(Excerpt),
    /// A quoted name between the braces runs over the end of the line.
    #[error("label name {0} contains unescaped new-line")]
    NewlineInLabelName(Excerpt),
    /// A quoted label name is not valid: the same, without the colon.
    #[error("invalid label name {0}")]
    LabelName(Excerpt),
    /// There is no label name where one must be.
    #[error("invalid label name for metric {metric}")]
    NoLabelName {
        /// The metric's name, as far as it is known.
        metric: Excerpt,
    },
    /// The label name that stands for the metric's own name.
    #[error("label name \"__name__\" is reserved")]
    ReservedLabelName,
    /// A label name stands twice.
    #[error("duplicate label names for metric {metric}")]
    DuplicateLabelName {
        /// The metric's name, as far as it is known.
        metric: Excerpt,
    },
    /// No equals sign after a label name.
    #[error("expected '=' after label name, found {0}")]
    NoEqualsSign(FoundByte),
    /// A label value that is not quoted.
    #[error("expected '\"' at start of label value, found {0}")]
    NoOpeningQuote(FoundByte),
    /// A label value runs over the end of the line.
    #[error("label value {0} contains unescaped new-line")]
    NewlineInLabelValue(Excerpt),
    /// A label value is not UTF-8.
    #[error("invalid label value {0}")]
    LabelValue(Excerpt),
    /// A label value is followed by neither a comma nor a closing brace.
    #[error("unexpected end of label value {0}")]
    AfterLabelValue(Excerpt),
    /// A backslash before a character that it does not go with.
    #[error("invalid escape sequence '\\{}'", char::from(*.0))]
    Escape(u8),
    /// The value is not a number.
    #[error("expected float as value, got {0}")]
    Value(Excerpt),
    /// The bound of a bucket, or the quantile of a summary, is not a number.
    #[error("expected float as value for '{label}' label, got {value}")]
    BoundLabel {
        /// `le` or `quantile`.
        label: &'static str,
        /// Its value.
        value: Excerpt,
    },
    /// The timestamp is not an integer of 64 bits.
    #[error("expected integer as timestamp, got {0}")]
    Timestamp(Excerpt),
    /// Something follows the timestamp.
    #[error("spurious string after timestamp: {0}")]
    AfterTimestamp(Excerpt),
    /// A second HELP line.
    #[error("second HELP line for metric name {0}")]
    SecondHelp(Excerpt),
    /// A second TYPE line, or one after the samples.
    #[error("second TYPE line for metric name {0}, or TYPE reported after samples")]
    SecondType(Excerpt),
    /// A type that this format does not have.
    #[error("unknown metric type {0}")]
    UnknownType(Excerpt),
}

/// What is wrong with a line, boxed: the result of a step that succeeds, as nearly all do, stays small.
pub(super) type Failure = Box<ParseErrorKind>;

/// The failure at the end of the body.
#[cold]
#[allow(clippy::unnecessary_box_returns, reason = "it is what every step fails with")]
pub(super) fn unexpected_end() -> Failure {
    ParseErrorKind::UnexpectedEnd.into()
}

/// A piece of the body, quoted in a message: its beginning, where it is long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    beginning: Box<[u8]>,
    is_cut: bool,
}

impl Excerpt {
    /// A message quotes no more of a body than this.
    const BYTES_MAX: usize = 256;

    pub(in crate::exposition) fn new(bytes: &[u8]) -> Self {
        let len = bytes.len().min(Self::BYTES_MAX);
        Self { beginning: bytes[..len].into(), is_cut: len < bytes.len() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.beginning.is_empty()
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        quote::string(f, &self.beginning)?;
        f.write_str(if self.is_cut { "..." } else { "" })
    }
}

/// The byte found where another one must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundByte(pub u8);

impl fmt::Display for FoundByte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        quote::byte(f, self.0)
    }
}
