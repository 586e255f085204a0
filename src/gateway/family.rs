//! A metric family as the gateway knows it: one name, one type, for all groups.

use std::sync::Arc;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::model::MetricType;

/// Numbers the families; never used twice while the store has anything of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct FamilyId(pub(crate) u64);

/// What is said of a family beside its name and type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    /// The HELP text, not empty.
    pub(crate) help: Option<Arc<str>>,
    /// The unit, not empty.
    pub(crate) unit: Option<Arc<str>>,
}

impl Texts {
    pub(crate) fn new(help: Option<&str>, unit: Option<&str>) -> Self {
        Self { help: help.map(Arc::from), unit: unit.map(Arc::from) }
    }

    /// Whether they say nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.help.is_none() && self.unit.is_none()
    }

    /// Takes over what `newer` says.
    pub(crate) fn update(&mut self, newer: Self) {
        self.help = newer.help.or(self.help.take());
        self.unit = newer.unit.or(self.unit.take());
    }
}

/// A family. Name and type stay what they are for as long as any group holds it; its texts are the newest that
/// were pushed.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) id: FamilyId,
    pub(crate) name: Arc<str>,
    pub(crate) metric_type: MetricType,
    /// Written at publication only, read by scrapes: a lock of its own keeps a change of HELP from
    /// making new versions of all the pages that hold the family.
    texts: RwLock<Texts>,
}

impl Family {
    pub(crate) fn new(id: FamilyId, name: Arc<str>, metric_type: MetricType, texts: Texts) -> Self {
        Self { id, name, metric_type, texts: RwLock::new(texts) }
    }

    /// The HELP text, if one was ever pushed.
    pub(crate) fn help(&self) -> Option<Arc<str>> {
        self.texts.read().help.clone()
    }

    /// The unit, if one was ever pushed.
    pub(crate) fn unit(&self) -> Option<Arc<str>> {
        self.texts.read().unit.clone()
    }

    /// All texts.
    pub(crate) fn texts(&self) -> Texts {
        self.texts.read().clone()
    }

    /// Whether it has those of these texts that are there.
    pub(crate) fn has(&self, help: Option<&str>, unit: Option<&str>) -> bool {
        let own = self.texts.read();
        help.is_none_or(|help| own.help.as_deref() == Some(help))
            && unit.is_none_or(|unit| own.unit.as_deref() == Some(unit))
    }

    /// Takes over newer texts.
    pub(crate) fn update(&self, newer: Texts) {
        self.texts.write().update(newer);
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
    fn a_text_stays_until_a_newer_one_is_pushed() {
        let texts = Texts::new(Some("one"), None);
        let family = Family::new(FamilyId(1), "a".into(), MetricType::Counter, texts);
        assert!(
            family.has(None, None) && family.has(Some("one"), None) && !family.has(Some("one"), Some("s"))
        );
        family.update(Texts::new(None, Some("s")));
        assert!(family.has(Some("one"), Some("s")) && !family.has(Some("two"), Some("s")));
        assert_eq!(family.texts(), Texts::new(Some("one"), Some("s")));
    }

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
