//! What a push does to what its group holds already.

use crate::model::MetricType;

/// What a push does to what its group holds already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// What is pushed is added to what is there.
    #[default]
    Merge,
    /// The families of the push take the place of those of the same names; others stay.
    ReplaceFamilies,
    /// The group becomes what is pushed, and nothing else.
    ReplaceGroup,
}

impl Effect {
    /// Whether a value that is pushed takes the place of the one that is there.
    pub(crate) fn replaces(self) -> bool {
        self != Self::Merge
    }

    /// Whether the series of a family of the push that it does not bring again go. Of an info they do in any case:
    /// its newest label sets are what it says.
    pub(crate) fn supersedes(self, metric_type: MetricType) -> bool {
        self.replaces() || metric_type == MetricType::Info
    }
}
