//! Why a request was not carried out: refused for what it says, or not possible just now.

use crate::aggregation::ValueError;
use crate::model::{GroupingKey, MetricType};

use super::options::Limits;

/// A push refused for what it says. It changed nothing but the group's `push_failure_time_seconds`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Rejection {
    /// A sample carries a timestamp.
    #[error(
        "pushed metrics must not have timestamps (metric \"{family}\", line {line}); leave the timestamp out"
    )]
    Timestamp {
        /// The family's name.
        family: String,
        /// The line of the body.
        line: u32,
    },
    /// A name that only the gateway itself uses.
    #[error(
        "the metric name \"{family}\" (line {line}) is reserved for the gateway's own metrics; rename it"
    )]
    ReservedName {
        /// The family's name.
        family: String,
        /// The line of the body.
        line: u32,
    },
    /// A label name that is reserved, or that this kind of metric must not have.
    #[error("metric \"{family}\" (line {line}) has a label with an invalid name: {label}")]
    LabelName {
        /// The family's name.
        family: String,
        /// The label's name.
        label: String,
        /// The line of the body.
        line: u32,
    },
    /// `le` on a histogram, `quantile` on a summary, or its own name on a state set, from the grouping key.
    #[error(
        "the {metric_type} \"{family}\" (line {line}) must not have an explicit \"{label}\" label; \
         take it out of the grouping key"
    )]
    ReservedLabel {
        /// The family's name.
        family: String,
        /// Its type.
        metric_type: MetricType,
        /// The label's name.
        label: String,
        /// The line of the body.
        line: u32,
    },
    /// One series twice in the push, or a series that another group already holds.
    #[error(
        "collected metric \"{family}\" {labels} (line {line}) was collected before with the same name and label \
         values, in {place}"
    )]
    DuplicateSeries {
        /// The family's name.
        family: String,
        /// The series' labels.
        labels: String,
        /// The line of the body.
        line: u32,
        /// "this push" or the group that holds it.
        place: String,
    },
    /// The type differs from that of the stored family.
    #[error(
        "collected metric \"{family}\" (line {line}) is {} and not {}, which it is in the group \
         {holder}; push it as {}, under another name, or delete that group: {deletion}",
        pushed.with_article(), stored.with_article(), stored.with_article()
    )]
    TypeClash {
        /// The family's name.
        family: String,
        /// The line of the body.
        line: u32,
        /// The type in this push.
        pushed: MetricType,
        /// The type stored.
        stored: MetricType,
        /// A group that holds the family.
        holder: GroupingKey,
        /// The request that would delete that group.
        deletion: String,
    },
    /// The name is one that a stored histogram or summary exposes, or the other way round.
    #[error(
        "collected {pushed} named \"{family}\" (line {line}) collides with previously collected {stored} named \
         \"{other}\" in the group {holder}; rename it, or delete that group: {deletion}"
    )]
    NameCollision {
        /// The family's name.
        family: String,
        /// The line of the body.
        line: u32,
        /// The type in this push.
        pushed: MetricType,
        /// The stored family's name.
        other: String,
        /// The stored family's type.
        stored: MetricType,
        /// The group that holds it.
        holder: GroupingKey,
        /// The request that would delete that group.
        deletion: String,
    },
    /// The value is not one that its type can have.
    #[error("metric \"{family}\" {labels} (line {line}): {error}")]
    Value {
        /// The family's name.
        family: String,
        /// The series' labels.
        labels: String,
        /// The line of the body.
        line: u32,
        /// What is wrong with it.
        error: ValueError,
    },
    /// A limit would be exceeded.
    #[error("{0}")]
    Limit(LimitExceeded),
}

/// A limit that a push would exceed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {found} is over the limit of {max}; raise it with {flag} or push less")]
pub struct LimitExceeded {
    /// What is limited and where, for example `labels of metric "m" (line 3)`.
    pub what: String,
    /// How much there would be.
    pub found: usize,
    /// How much there may be.
    pub max: usize,
    /// The flag that sets the limit.
    pub flag: &'static str,
}

impl LimitExceeded {
    /// A series of the metric, by its quoted name, has more labels than there may be; it is that of this line of the
    /// body.
    pub fn labels(metric: impl std::fmt::Display, line: u32, found: usize, max: usize) -> Self {
        let what = format!("labels of metric {metric} (line {line})");
        Self { what, found, max, flag: Limits::LABELS_PER_SERIES_FLAG }
    }
}

/// Why a request was not carried out just now, through no fault of its own. It changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Too much waits already.
    #[error("too many pushes are waiting to be stored; try again")]
    QueueFull,
    /// The store cannot be written; the text says why.
    #[error("the store cannot be written, and nothing is accepted until it can: {reason}")]
    Storage {
        /// What the engine said.
        reason: String,
    },
    /// The gateway is stopping.
    #[error("the gateway is shutting down")]
    ShuttingDown,
}

/// What a push can end with other than success.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PushError {
    /// Refused for what it says.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Not possible just now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The request that deletes a group, for an error that advises it.
pub(crate) fn deletion(key: &GroupingKey) -> String {
    format!("DELETE {}", key.url_path())
}
