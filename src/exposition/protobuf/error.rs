//! What can be wrong with a body.
//!
//! Where Pushgateway has a text for it, the error begins like that one. An error never holds more than a small
//! part of the body.

use std::fmt;

use crate::exposition::{TooManyLabels, TooManyParts};
use crate::model::MetricType;

use super::wire::Malformed;

/// A body that is not delimited `MetricFamily` messages, or whose messages contradict themselves.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub struct ParseError {
    /// What of the body it is about.
    pub place: Place,
    /// What is wrong with it.
    pub kind: ParseErrorKind,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, kind } = self;
        match kind {
            // As the original has these.
            ParseErrorKind::UnexpectedEnd => write!(f, "{kind} ({place})"),
            ParseErrorKind::Malformed(_) => {
                write!(f, "proto: cannot parse invalid wire-format data ({place}): {kind}")
            }
            _ => write!(f, "protobuf format parsing error in {place}: {kind}"),
        }
    }
}

/// A part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A message that has no readable name.
    Message {
        /// Its number in the body, from 1.
        number: u32,
    },
    /// A metric family.
    Family {
        /// Its name; the beginning, if it is long.
        name: String,
    },
    /// A metric.
    Metric {
        /// Its number among the metrics of the body, from 1.
        number: u32,
        /// Its family's name; the beginning, if it is long.
        family: String,
        /// Its labels as far as they were read, `{a="b"}`; the beginning, if they are many.
        labels: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message { number } => write!(f, "message {number} of the body"),
            Self::Family { name } => write!(f, "the family {name}"),
            Self::Metric { number, family, labels } => {
                write!(f, "metric {number} of the body, {labels} of the family {family}")
            }
        }
    }
}

/// What is wrong with a part of a body.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ParseErrorKind {
    /// The body is longer than can be counted in 32 bits.
    #[error("the body is longer than 4 GiB")]
    TooLong,
    /// The body ends within a message, or within the length of one.
    #[error("unexpected EOF: a message is shorter than the length in front of it says; send it whole")]
    UnexpectedEnd,
    /// Bytes that are no message of the schema.
    #[error("{0}")]
    Malformed(String),
    /// A text that is not UTF-8.
    #[error("{what} is not valid UTF-8: {beginning}")]
    NotUtf8 {
        /// What it is, such as `the HELP`.
        what: &'static str,
        /// How it begins.
        beginning: String,
    },
    /// A family without a name, or with an empty one.
    #[error("invalid metric name \"\": every family needs a name")]
    NoMetricName,
    /// A metric name that is only valid as a UTF-8 name.
    #[error(
        "invalid metric name: it must match [a-zA-Z_:][a-zA-Z0-9_:]* without --push.enable-utf8-names; rename \
         it, or set that flag"
    )]
    MetricName,
    /// A number that stands for no type.
    #[error("unknown metric type {0}; the types are 0 (COUNTER) to 5 (GAUGE_HISTOGRAM)")]
    UnknownType(u64),
    /// A label without a name, or with an empty one.
    #[error("invalid label name \"\": every label needs a name")]
    NoLabelName,
    /// A label name that is only valid as a UTF-8 name.
    #[error(
        "invalid label name {0}: it must match [a-zA-Z_][a-zA-Z0-9_]* without --push.enable-utf8-names; rename \
         it, or set that flag"
    )]
    LabelName(String),
    /// A label name that the data model keeps for itself.
    #[error("label name {0} is reserved; rename it")]
    ReservedLabelName(String),
    /// A label name that stands for what its family's type has other fields for.
    #[error("a {metric_type} must not have an explicit \"{label}\" label; it stands in a field of its own")]
    ReservedLabel {
        /// The family's type.
        metric_type: MetricType,
        /// `le` or `quantile`.
        label: &'static str,
    },
    /// A label name twice.
    #[error("two or more labels have the same name: {0}")]
    DuplicateLabelName(String),
    /// A metric holds the value of another type.
    #[error(
        "it holds a {found} and is not a {expected}, which its family is (the type of a family that sets none is \
         COUNTER); set the family's type, or the field {expected} of the metric"
    )]
    OtherValue {
        /// The field that it has.
        found: &'static str,
        /// What the family's type is.
        expected: &'static str,
    },
    /// A metric holds no value.
    #[error("it holds no value and is not a {expected}, which its family is; set that field of the metric")]
    NoValue {
        /// What the family's type is.
        expected: &'static str,
    },
    /// A metric holds several values.
    #[error("it holds several values ({first} and {second}); leave in what its family is")]
    SeveralValues {
        /// The field found first.
        first: &'static str,
        /// The next one.
        second: &'static str,
    },
    /// The message that is a metric's value is too large.
    #[error("its value takes {found} bytes, and at most {max} are read; push fewer buckets")]
    ValueTooLarge {
        /// The bytes that it takes.
        found: usize,
        /// How many it may take.
        max: usize,
    },
    /// More labels than a series may have.
    #[error(transparent)]
    TooManyLabels(#[from] TooManyLabels),
    /// More buckets and the like than a body may have.
    #[error(transparent)]
    TooManyParts(#[from] TooManyParts),
    /// More metric families without a metric than there may be series.
    #[error("the body declares more than {max} metric families without a metric")]
    TooManyFamilies {
        /// How many there may be.
        max: usize,
    },
    /// More metrics than there may be series, most of them in families that a later one of their name replaces.
    #[error(
        "the body has more than {max} metrics, those of families that stand twice included; send each family once"
    )]
    TooManyReplaced {
        /// How many there may be.
        max: usize,
    },
    /// A timestamp whose nanoseconds are not those of one second.
    #[error("the {0} timestamp has {1} nanoseconds, and must have 0 to 999999999")]
    Nanoseconds(&'static str, i32),
    /// The labels of an exemplar are longer than exemplars may have them.
    #[error("the labels of an exemplar have {found} characters, and may have at most {max} together")]
    LongExemplar {
        /// How many they have.
        found: usize,
        /// How many they may have.
        max: usize,
    },
    /// The native part of a histogram contradicts itself.
    #[error("native histogram: {}{defect}", .side.map_or("", Side::as_prefix))]
    Native {
        /// On which side of zero, if it is on one.
        side: Option<Side>,
        /// What is wrong.
        defect: NativeDefect,
    },
}

impl From<Malformed> for ParseErrorKind {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed.0.to_owned())
    }
}

/// A side of zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Above zero.
    Positive,
    /// Below zero.
    Negative,
}

impl Side {
    fn as_prefix(self) -> &'static str {
        match self {
            Self::Positive => "on the positive side, ",
            Self::Negative => "on the negative side, ",
        }
    }
}

/// What is wrong with the native part of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NativeDefect {
    /// A schema that there is not.
    #[error("the schema {0} is not known; those from -4 to 8 are")]
    Schema(i32),
    /// Bounds that this format has no field for.
    #[error(
        "the schema -53 (custom bounds) cannot be pushed in this format, which has no field for the bounds; push \
         classic buckets"
    )]
    CustomBounds,
    /// A zero bucket of a width that no bucket has.
    #[error("the zero threshold is {0}, and must be a finite number that is not negative")]
    ZeroThreshold(f64),
    /// As many counts as buckets there must be.
    #[error("there are spans of {spans} buckets and {counts} counts; there must be as many of both")]
    Lengths {
        /// How many buckets the spans have together.
        spans: u64,
        /// How many counts there are.
        counts: usize,
    },
    /// A span that begins before the one in front of it ends.
    #[error("a span after the first has a negative offset; give the spans in order")]
    FallingIndexes,
    /// Differences that lead below zero or beyond 64 bits.
    #[error("a bucket's count falls below 0 or beyond 64 bits; each delta is a count less the one before it")]
    FallingBelowZero,
    /// A bucket in which nothing can be.
    #[error(
        "the index {index} is of no floating-point number in schema {schema}; look at the spans' offsets"
    )]
    Index {
        /// The index.
        index: i64,
        /// The schema.
        schema: i8,
    },
    /// Counts of both kinds.
    #[error(
        "there are deltas in a histogram whose counts are floating-point numbers; push counts of one kind"
    )]
    MixedCounts,
}

/// What is wrong, boxed: the result of a step that succeeds, as nearly all do, stays small.
pub(super) type Failure = Box<ParseErrorKind>;

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self::new(malformed.into())
    }
}

/// A text of the body, quoted for a message: its beginning, where it is long.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    const BYTES_MAX: usize = 256;
    let (beginning, dots) = if bytes.len() > BYTES_MAX { (&bytes[..BYTES_MAX], "...") } else { (bytes, "") };
    let mut quoted = String::from("\"");
    for chunk in beginning.utf8_chunks() {
        quoted.extend(chunk.valid().chars().flat_map(char::escape_debug));
        quoted.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    quoted + "\"" + dots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_readable_and_short() {
        assert_eq!(excerpt("a.b".as_bytes()), r#""a.b""#);
        assert_eq!(excerpt(b"a\xff\"\n\xc3\xa9"), "\"a\\xff\\\"\\n\u{e9}\"");
        assert_eq!(excerpt(&[b'a'; 300]), format!("\"{}\"...", "a".repeat(256)));
    }

    #[test]
    fn an_error_says_where_and_what() {
        let place = Place::Metric { number: 3, family: "\"m\"".into(), labels: "{a=\"b\"}".into() };
        let kind = ParseErrorKind::OtherValue { found: "GAUGE", expected: "COUNTER" };
        let text = ParseError { place, kind }.to_string();
        assert!(
            text.starts_with(
                "protobuf format parsing error in metric 3 of the body, {a=\"b\"} of the family \"m\": it holds a \
                 GAUGE and is not a COUNTER"
            ),
            "{text}"
        );
        let end = ParseError { place: Place::Message { number: 2 }, kind: ParseErrorKind::UnexpectedEnd };
        assert!(end.to_string().starts_with("unexpected EOF"), "{end}");
        let malformed = ParseErrorKind::Malformed("it ends within a number".to_owned());
        let text = ParseError { place: Place::Family { name: "\"m\"".into() }, kind: malformed }.to_string();
        assert_eq!(
            text,
            "proto: cannot parse invalid wire-format data (the family \"m\"): it ends within a number"
        );
    }
}
