//! What the model promises of families, whatever they were read from.

use std::collections::HashSet;

use tallygate::exposition::ReadLimits;
use tallygate::model::{Families, MetricFamily};

/// Limits that are soon reached.
pub(crate) const FEW: ReadLimits = ReadLimits { series_max: 3, labels_max: 2, parts_max: 8 };

/// Looks at each family, and hands it on to `check` for what its format alone promises. Panics where a promise is
/// not kept.
pub(crate) fn check(families: &Families<'_>, mut check: impl FnMut(&MetricFamily<'_>)) {
    for family in &families.families {
        assert!(!family.series.is_empty(), "the family {} is empty", family.name);
        for series in &family.series {
            let mut labels = HashSet::new();
            for label in families.labels_of(series) {
                assert!(labels.insert(label.name), "the label {} stands twice", label.name);
            }
            assert_eq!(family.metric_type, series.value.metric_type());
        }
        check(family);
    }
}

/// Checks that what was read under [`FEW`], unless it has more series than it may, is what is read without limits, and
/// within them.
pub(crate) fn check_limited(limited: &Families<'_>, all: &Families<'_>) {
    if limited.series_count() > FEW.series_max {
        return;
    }
    // Debug, since numbers may be no numbers.
    assert_eq!(format!("{limited:?}"), format!("{all:?}"));
    for series in limited.families.iter().flat_map(|family| &family.series) {
        assert!(limited.labels_of(series).len() <= FEW.labels_max, "a series has more labels than it may");
    }
}
