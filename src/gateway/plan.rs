//! What the committer is to do for a push that was admitted.

use std::sync::Arc;

use crate::aggregation::Contribution;
use crate::model::{Exemplar, LabelSet, MetricType};

use super::family::{Family, Texts};
use super::page::SlotRef;
use super::resolve::KnownSeries;
use super::slot_set::SlotSet;

/// What an admitted push does.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) absorb: Vec<KnownSeries>,
    /// Whether what is to be absorbed takes the place of what is there.
    pub(crate) replaces: bool,
    /// The exemplars of series that are to be absorbed.
    pub(crate) exemplars: Vec<(SlotRef, Vec<Exemplar>)>,
    pub(crate) texts: Vec<(Arc<Family>, Texts)>,
    pub(crate) families: Vec<PlannedFamily>,
    /// By page, slots that are to be vacated; none of them is absorbed into.
    pub(crate) vacate: Vec<(usize, SlotSet)>,
    pub(crate) renewal: Renewal,
}

impl Plan {
    /// How many slots it adds to the group.
    pub(crate) fn added(&self) -> usize {
        self.families.iter().map(|family| family.series.len()).sum()
    }
}

/// Whether the group goes on as another incarnation of it, without the slots that are vacant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// It stays the one that it is.
    #[default]
    None,
    /// Nothing of it stays: it ends, and the push begins another one.
    Before,
    /// More of it would be vacant than not: what there is then is moved to another one.
    After,
}

/// A family that gets new series in the group.
#[derive(Debug)]
pub(crate) struct PlannedFamily {
    /// `None` if nobody holds the name yet.
    pub(crate) known: Option<Arc<Family>>,
    pub(crate) name: Arc<str>,
    pub(crate) metric_type: MetricType,
    pub(crate) texts: Texts,
    pub(crate) series: Vec<PlannedSeries>,
}

/// A series that is new to the group.
#[derive(Debug)]
pub(crate) struct PlannedSeries {
    /// Less those of the grouping key.
    pub(crate) labels: LabelSet,
    pub(crate) contribution: Contribution,
    pub(crate) exemplars: Vec<Exemplar>,
}
