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
    /// Labels of a series, those of the grouping key included; also of a sample as it was sent, those without a value
    /// included.
    pub labels_per_series_max: usize,
    /// Bytes of a metric name or label name.
    pub name_bytes_max: usize,
    /// Bytes of a label value.
    pub value_bytes_max: usize,
    /// Bytes of a HELP text.
    pub help_bytes_max: usize,
    /// Different sets of grouping label names among the groups of one job. Whether another group holds a
    /// new series is looked up once for each of them.
    pub shapes_per_job_max: usize,
    /// Distinct upper bounds of one histogram, `+Inf` included; also quantiles of one summary.
    pub histogram_bounds_max: usize,
    /// Groups that hold nothing but the time of a refused push; over it the oldest go.
    pub failure_only_groups_max: usize,
}

/// The flags that set the limits, for messages and for the command line alike.
impl Limits {
    /// Sets [`Self::groups_max`].
    pub const GROUPS_FLAG: &'static str = "--limit.groups";
    /// Sets [`Self::series_max`].
    pub const SERIES_FLAG: &'static str = "--limit.series";
    /// Sets [`Self::series_per_push_max`].
    pub const SERIES_PER_PUSH_FLAG: &'static str = "--limit.series-per-push";
    /// Sets [`Self::series_per_group_max`].
    pub const SERIES_PER_GROUP_FLAG: &'static str = "--limit.series-per-group";
    /// Sets [`Self::labels_per_series_max`].
    pub const LABELS_PER_SERIES_FLAG: &'static str = "--limit.labels-per-series";
    /// Sets [`Self::name_bytes_max`].
    pub const NAME_BYTES_FLAG: &'static str = "--limit.name-bytes";
    /// Sets [`Self::value_bytes_max`].
    pub const VALUE_BYTES_FLAG: &'static str = "--limit.value-bytes";
    /// Sets [`Self::help_bytes_max`].
    pub const HELP_BYTES_FLAG: &'static str = "--limit.help-bytes";
    /// Sets [`Self::shapes_per_job_max`].
    pub const SHAPES_PER_JOB_FLAG: &'static str = "--limit.grouping-shapes-per-job";
    /// Sets [`Self::histogram_bounds_max`].
    pub const HISTOGRAM_BOUNDS_FLAG: &'static str = "--limit.histogram-bounds";
    /// Sets [`Self::failure_only_groups_max`].
    pub const FAILURE_ONLY_GROUPS_FLAG: &'static str = "--limit.failure-only-groups";
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
            shapes_per_job_max: 20,
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

/// The flags that set the limits.
impl QueueLimits {
    /// Sets [`Self::requests_max`].
    pub const REQUESTS_FLAG: &'static str = "--limit.queued-pushes";
    /// Sets [`Self::bytes_max`].
    pub const BYTES_FLAG: &'static str = "--limit.queued-bytes";
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { requests_max: 4_096, bytes_max: 256 << 20 }
    }
}
