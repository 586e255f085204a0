//! A metric family as the gateway knows it: one name, one type, for all groups.

use std::sync::Arc;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::model::MetricType;

/// Numbers the families; never used twice while the store has anything of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct FamilyId(pub(crate) u64);

/// A family. Name and type stay what they are for as long as any group holds it; the HELP text is the
/// newest that was pushed.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) id: FamilyId,
    pub(crate) name: Arc<str>,
    pub(crate) metric_type: MetricType,
    /// Written at publication only, read by scrapes: a lock of its own keeps a change of HELP from
    /// making new versions of all the pages that hold the family.
    help: RwLock<Option<Arc<str>>>,
}

impl Family {
    pub(crate) fn new(id: FamilyId, name: Arc<str>, metric_type: MetricType, help: Option<Arc<str>>) -> Self {
        Self { id, name, metric_type, help: RwLock::new(help) }
    }

    /// The HELP text, if one was ever pushed.
    pub(crate) fn help(&self) -> Option<Arc<str>> {
        self.help.read().clone()
    }

    /// Whether the HELP text is this one.
    pub(crate) fn has_help(&self, help: &str) -> bool {
        self.help.read().as_deref() == Some(help)
    }

    pub(crate) fn set_help(&self, help: Arc<str>) {
        *self.help.write() = Some(help);
    }
}

/// The type that a family of the push has, given the type stored under its name: a family that does not
/// declare a type takes the stored one where that is counter or gauge. `None` where the two contradict.
pub(crate) fn settle_type(pushed: MetricType, is_declared: bool, stored: MetricType) -> Option<MetricType> {
    let adopts = !is_declared && matches!(stored, MetricType::Counter | MetricType::Gauge);
    (pushed == stored || adopts).then_some(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_undeclared_type_adopts_and_only_counter_or_gauge() {
        use MetricType::{Counter, Gauge, Histogram, Untyped};
        assert_eq!(settle_type(Untyped, false, Counter), Some(Counter));
        assert_eq!(settle_type(Untyped, false, Gauge), Some(Gauge));
        assert_eq!(settle_type(Untyped, false, Histogram), None);
        assert_eq!(settle_type(Untyped, true, Counter), None);
        assert_eq!(settle_type(Counter, true, Untyped), None);
        assert_eq!(settle_type(Counter, true, Counter), Some(Counter));
    }
}
