//! Families that cannot be shown beside others in one view, since a name of one is a name of another there.
//!
//! As they were pushed all names differ; OpenMetrics adds `_total` to counters, and escaping makes one name of
//! several. Invariant: of families that share a name the gateway's own is shown, then one whose name is shown as it was
//! pushed, so that nobody can push another one's family out of the scrape.

use std::borrow::Cow;
use std::collections::HashSet;

use super::view::View;
use crate::exposition::negotiation::Format;
use crate::model::MetricType;

/// A family by its name as it was pushed and its type; whether it is the gateway's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'f> {
    pub(super) name: &'f str,
    pub(super) metric_type: MetricType,
    pub(super) is_own: bool,
}

/// For each family whether it is left out.
pub(super) fn left_out<'f>(view: View, families: &(impl Iterator<Item = Claim<'f>> + Clone)) -> Vec<bool> {
    let count = families.clone().count();
    // Names as they were pushed do not clash.
    if view.format != Format::OpenMetrics && !families.clone().any(|claim| claim.is_escaped(view)) {
        return vec![false; count];
    }
    let mut claims: Vec<(usize, Claim<'f>)> = families.clone().enumerate().collect();
    claims.sort_by_key(|(at, claim)| (claim.rank(view), *at));
    let mut left_out = vec![true; count];
    let mut taken = HashSet::new();
    for (at, claim) in claims {
        left_out[at] = !claim.take(view, &mut taken);
    }
    left_out
}

impl Claim<'_> {
    fn is_escaped(self, view: View) -> bool {
        matches!(view.escaping.metric_name(self.name), Cow::Owned(_))
    }

    /// Who comes first: the gateway's own, then what keeps its name, and counters before what is named like a part of
    /// them.
    fn rank(self, view: View) -> impl Ord {
        let is_counter = self.metric_type == MetricType::Counter;
        let is_renamed = view.format == Format::OpenMetrics && is_counter && !self.name.ends_with("_total");
        (!self.is_own, is_renamed || self.is_escaped(view), !is_counter)
    }

    /// Takes all of its names, or none of them if one is taken.
    fn take(self, view: View, taken: &mut HashSet<String>) -> bool {
        let name = view.name(self.name, self.metric_type);
        let suffixes = view.claimed_suffixes(self.metric_type).iter();
        let names: Vec<String> =
            std::iter::once(&"").chain(suffixes).map(|suffix| format!("{name}{suffix}")).collect();
        let is_free = names.iter().all(|name| !taken.contains(name));
        if is_free {
            taken.extend(names);
        }
        is_free
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::names::Escaping;

    /// The names of those that are left out.
    fn out(format: Format, escaping: Escaping, families: &[(&'static str, MetricType)]) -> Vec<&'static str> {
        let view = View { format, escaping, ..View::default() };
        let claims = families.iter().map(|&(name, metric_type)| Claim {
            name,
            metric_type,
            is_own: name.starts_with("own"),
        });
        let left_out = left_out(view, &claims);
        families.iter().zip(left_out).filter(|(_, out)| *out).map(|((name, _), _)| *name).collect()
    }

    const COUNTER: MetricType = MetricType::Counter;
    const GAUGE: MetricType = MetricType::Gauge;
    const HISTOGRAM: MetricType = MetricType::Histogram;

    #[test]
    fn with_total_added_names_may_clash_in_openmetrics_only() {
        let counters = [("foo", COUNTER), ("foo_total", COUNTER), ("bar", COUNTER), ("bar_total", GAUGE)];
        assert_eq!(out(Format::OpenMetrics, Escaping::Underscores, &counters), ["foo", "bar"]);
        for format in [Format::Text, Format::Protobuf] {
            assert!(out(format, Escaping::Underscores, &counters).is_empty());
        }
        let infos = [("a", GAUGE), ("a_info", MetricType::Info), ("b_created", GAUGE), ("b_total", COUNTER)];
        assert_eq!(out(Format::OpenMetrics, Escaping::AllowUtf8, &infos), ["a_info", "b_created"]);
    }

    #[test]
    fn escaped_names_may_clash() {
        let families = [("a.b", GAUGE), ("a_b", GAUGE), ("c d", HISTOGRAM), ("c_d_sum", GAUGE)];
        assert_eq!(out(Format::Text, Escaping::Underscores, &families), ["a.b", "c d"]);
        for escaping in [Escaping::AllowUtf8, Escaping::Dots, Escaping::Values] {
            assert!(out(Format::Text, escaping, &families).is_empty(), "{escaping:?}");
        }
    }

    #[test]
    fn the_gateways_own_families_come_first() {
        let families = [("own x", GAUGE), ("own_x", GAUGE), ("a", GAUGE)];
        assert_eq!(out(Format::Text, Escaping::Underscores, &families), ["own x"]);
        let families = [("ow.n", GAUGE), ("own", GAUGE), ("ow_n", GAUGE)];
        assert_eq!(out(Format::Text, Escaping::Underscores, &families), ["ow.n"]);
    }
}
