//! The catalog: which names are taken, by which type, and who holds them.
//!
//! One type per name in the whole gateway, and a name is free again with its last series. A group that was
//! deleted, or whose series of a family were all replaced, is not looked for in the catalog: it is passed over
//! here from that moment and released little by little afterwards, so that deleting costs the same whatever is
//! deleted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::model::MetricType;

use super::family::{Family, FamilyId};
use super::group::GroupId;

/// Names taken, with their families. Only the committer has one.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    entries: HashMap<Arc<str>, Entry>,
}

#[derive(Debug)]
struct Entry {
    family: Arc<Family>,
    holders: Holders,
}

/// The groups that hold a family; most families of a large store are held by one group or by thousands.
#[derive(Debug)]
enum Holders {
    One(GroupId),
    Many(HashSet<GroupId>),
}

/// A name that is taken: by which family, and one group that holds it.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) family: Arc<Family>,
    pub(crate) holder: GroupId,
}

impl Catalog {
    /// Who holds the name, if a group does for which `is_live` is true, given the family. Holders for which
    /// `is_gone` is true are forgotten.
    pub(crate) fn find(
        &mut self,
        name: &str,
        is_live: impl Fn(&Family, GroupId) -> bool,
        is_gone: impl Fn(GroupId) -> bool,
    ) -> Option<Taken> {
        let Entry { family, holders } = self.entries.get_mut(name)?;
        let family = &*family;
        let holder = holders.find(|group| is_live(family, group), is_gone)?;
        Some(Taken { family: Arc::clone(family), holder })
    }

    /// The family that last had the name, held or not.
    pub(crate) fn latest(&self, name: &str) -> Option<FamilyId> {
        self.entries.get(name).map(|entry| entry.family.id)
    }

    /// Notes that a group holds a family. A family of the same name that was there before is forgotten;
    /// the caller has made sure that no live group holds it.
    pub(crate) fn hold(&mut self, family: &Arc<Family>, group: GroupId) {
        match self.entries.get_mut(&family.name) {
            Some(entry) if entry.family.id == family.id => entry.holders.insert(group),
            _ => {
                let entry = Entry { family: Arc::clone(family), holders: Holders::One(group) };
                self.entries.insert(Arc::clone(&family.name), entry);
            }
        }
    }

    /// Notes that a group no longer holds a family. True if that was the last one: the family is gone.
    pub(crate) fn release(&mut self, name: &str, family: FamilyId, group: GroupId) -> bool {
        let Some(entry) = self.entries.get_mut(name) else { return false };
        if entry.family.id != family || !entry.holders.remove(group) {
            return false;
        }
        self.entries.remove(name);
        true
    }

    /// The family of a name, for its record.
    pub(crate) fn family(&self, name: &str) -> Option<&Arc<Family>> {
        self.entries.get(name).map(|entry| &entry.family)
    }
}

impl Holders {
    fn find(
        &mut self,
        is_live: impl Fn(GroupId) -> bool,
        is_gone: impl Fn(GroupId) -> bool,
    ) -> Option<GroupId> {
        let mut gone = Vec::new();
        let live = match self {
            Self::One(holder) => is_live(*holder).then_some(*holder),
            Self::Many(holders) => holders.iter().copied().find(|&holder| {
                if is_gone(holder) {
                    gone.push(holder);
                }
                is_live(holder)
            }),
        };
        if let Self::Many(holders) = self {
            for holder in gone {
                holders.remove(&holder);
            }
        }
        live
    }

    fn insert(&mut self, group: GroupId) {
        match self {
            Self::One(holder) if *holder == group => {}
            Self::One(holder) => *self = Self::Many(HashSet::from([*holder, group])),
            Self::Many(holders) => {
                holders.insert(group);
            }
        }
    }

    /// Removes a holder; true if none is left.
    fn remove(&mut self, group: GroupId) -> bool {
        match self {
            Self::One(holder) => *holder == group,
            Self::Many(holders) => {
                holders.remove(&group);
                holders.is_empty()
            }
        }
    }
}

/// A suffix of the names of samples, and of which types of families they are. The suffixes that `OpenMetrics`
/// adds (`_total`, `_info`, `_created`) are not among them, since Pushgateway takes `a` beside `a_total`.
struct Derived {
    suffix: &'static str,
    of: &'static [MetricType],
}

const DERIVED: [Derived; 5] = [
    Derived {
        suffix: "_count",
        of: &[MetricType::Histogram, MetricType::Summary, MetricType::GaugeHistogram],
    },
    Derived { suffix: "_sum", of: &[MetricType::Histogram, MetricType::Summary, MetricType::GaugeHistogram] },
    Derived { suffix: "_bucket", of: &[MetricType::Histogram, MetricType::GaugeHistogram] },
    Derived { suffix: "_gcount", of: &[MetricType::GaugeHistogram] },
    Derived { suffix: "_gsum", of: &[MetricType::GaugeHistogram] },
];

/// The names that a new family would collide with, with the types for which it would (none named: any
/// type): those that it exposes itself, and the histogram or the like that exposes its name.
pub(crate) fn colliding_names(name: &str, metric_type: MetricType) -> Vec<(String, &'static [MetricType])> {
    let exposed = DERIVED
        .iter()
        .filter(|derived| derived.of.contains(&metric_type))
        .map(|derived| (format!("{name}{}", derived.suffix), [].as_slice()));
    let exposing = DERIVED
        .iter()
        .filter_map(|derived| Some((name.strip_suffix(derived.suffix)?.to_owned(), derived.of)))
        .filter(|(base, _)| !base.is_empty());
    exposed.chain(exposing).collect()
}

/// Whether a family of this type is one of those that [`colliding_names`] names.
pub(crate) fn collides(metric_type: MetricType, of: &[MetricType]) -> bool {
    of.is_empty() || of.contains(&metric_type)
}

#[cfg(test)]
mod tests {
    use super::super::family::Texts;
    use super::*;

    fn family(id: u64, name: &str) -> Arc<Family> {
        Arc::new(Family::new(FamilyId(id), name.into(), MetricType::Counter, Texts::default()))
    }

    #[test]
    fn a_name_is_taken_while_a_live_group_holds_it() {
        let mut catalog = Catalog::default();
        let a = family(1, "a");
        catalog.hold(&a, GroupId(1));
        catalog.hold(&a, GroupId(2));

        let taken = catalog.find("a", |_, group| group == GroupId(2), |group| group != GroupId(2));
        assert_eq!(taken.map(|taken| taken.holder), Some(GroupId(2)));
        assert!(catalog.find("a", |_, _| false, |_| false).is_none());
        assert!(catalog.find("b", |_, _| true, |_| false).is_none());
    }

    #[test]
    fn the_last_release_frees_the_name() {
        let mut catalog = Catalog::default();
        let a = family(1, "a");
        catalog.hold(&a, GroupId(1));
        catalog.hold(&a, GroupId(2));
        assert!(!catalog.release("a", a.id, GroupId(1)));
        assert!(catalog.release("a", a.id, GroupId(2)));
        assert!(catalog.latest("a").is_none());
    }

    #[test]
    fn releasing_a_family_that_was_replaced_changes_nothing() {
        let mut catalog = Catalog::default();
        let (old, new) = (family(1, "a"), family(2, "a"));
        catalog.hold(&old, GroupId(1));
        catalog.hold(&new, GroupId(2));
        assert!(!catalog.release("a", old.id, GroupId(1)));
        assert_eq!(catalog.latest("a"), Some(new.id));
    }

    #[test]
    fn names_collide_as_a_scrape_would_show_them_twice() {
        let names = |name, metric_type| -> Vec<String> {
            colliding_names(name, metric_type).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names("x", MetricType::Histogram), ["x_count", "x_sum", "x_bucket"]);
        assert_eq!(names("x", MetricType::Summary), ["x_count", "x_sum"]);
        assert_eq!(
            names("x", MetricType::GaugeHistogram),
            ["x_count", "x_sum", "x_bucket", "x_gcount", "x_gsum"]
        );
        assert_eq!(names("x_sum", MetricType::Gauge), ["x"]);
        assert!(names("x_total", MetricType::Counter).is_empty());
        assert!(names("_sum", MetricType::Gauge).is_empty());
    }
}
