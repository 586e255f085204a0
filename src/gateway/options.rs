//! What can be set about the gateway: how it merges, when it writes, and its limits.

use std::time::Duration;

use crate::aggregation::UntypedMode;

/// Everything that can be set.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How untyped metrics merge.
    pub untyped: UntypedMode,
    /// When a push is written to the store.
    pub durability: Durability,
    /// What a push, a group and the whole gateway may hold.
    pub limits: Limits,
    /// How many pushes may wait, and for how many bytes of them.
    pub queue: QueueLimits,
}

/// When what was pushed is written to the store, as against when it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// Before it is acknowledged and before a scrape shows it.
    #[default]
    Always,
    /// Afterwards, at most this much later; a crash may lose that much.
    Interval(Duration),
    /// At a clean stop only.
    None,
}

/// Upper limits on what is stored; over one of them a push is refused whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Groups that hold series or were pushed to.
    pub groups_max: usize,
    /// Series in all groups; a histogram or a summary is one.
    pub series_max: usize,
    /// Series in one push.
    pub series_per_push_max: usize,
    /// Series in one group.
    pub series_per_group_max: usize,
    /// Labels of a series, those of the grouping key included.
    pub labels_per_series_max: usize,
    /// Bytes of a metric name or label name.
    pub name_bytes_max: usize,
    /// Bytes of a label value.
    pub value_bytes_max: usize,
    /// Bytes of a HELP text.
    pub help_bytes_max: usize,
    /// Distinct upper bounds of one histogram, `+Inf` included.
    pub histogram_bounds_max: usize,
    /// Groups that hold nothing but the time of a refused push; over it the oldest go.
    pub failure_only_groups_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            groups_max: 100_000,
            series_max: 5_000_000,
            series_per_push_max: 100_000,
            series_per_group_max: 1_000_000,
            labels_per_series_max: 64,
            name_bytes_max: 1_024,
            value_bytes_max: 4_096,
            help_bytes_max: 8_192,
            histogram_bounds_max: 512,
            failure_only_groups_max: 1_000,
        }
    }
}

/// How much may wait to be committed; beyond it pushes are told to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Requests that wait.
    pub requests_max: usize,
    /// Bytes of bodies whose pushes wait.
    pub bytes_max: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { requests_max: 4_096, bytes_max: 256 << 20 }
    }
}
