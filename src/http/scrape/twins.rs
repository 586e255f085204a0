//! Series of one family that cannot be told apart in a view, since escaping makes one name of several labels' names,
//! and those in which it makes the name of a label one that is reserved, as `__name__` is.
//!
//! Invariant: of those that would look alike one is shown, and that is the one whose labels are shown as they were
//! pushed, if there is one: nobody can push another one's series out of the scrape.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use super::view::View;
use crate::exposition::names::Escaping;
use crate::model::{Label, is_label_name};

/// Whether any two different ones of these names of labels are one in the view, or any is reserved only there. If not,
/// all series can be shown.
pub(super) fn are_confused<'l>(view: View, mut names: impl Iterator<Item = &'l str> + Clone) -> bool {
    if view.escaping == Escaping::AllowUtf8 || names.clone().all(is_label_name) {
        return false;
    }
    let mut by_shown: HashMap<Cow<'_, str>, &str> = HashMap::new();
    names.any(|name| {
        let shown = view.escaping.label_name(name);
        is_reserved(&shown) || *by_shown.entry(shown).or_insert(name) != name
    })
}

/// Which of a family's series are left out: those in which two labels would have one name or one of them a reserved
/// one, and those that look like one that is shown. `labels_of` gives the labels of each of the `count` series.
pub(super) fn left_out<'l, L>(view: View, count: usize, labels_of: impl Fn(usize) -> L) -> HashSet<usize>
where
    L: Iterator<Item = Label<'l>> + Clone,
{
    let hasher = RandomState::new();
    let mut left_out = HashSet::new();
    let mut by_hash: HashMap<u64, Vec<usize>> = HashMap::new();
    let is_as_pushed = |series: usize| labels_of(series).all(|label| is_label_name(label.name));
    let (as_pushed, escaped): (Vec<usize>, Vec<usize>) = (0..count).partition(|series| is_as_pushed(*series));
    for series in as_pushed.into_iter().chain(escaped) {
        let shown = shown(view, labels_of(series));
        if shown.iter().any(|(name, _)| is_reserved(name))
            || shown.windows(2).any(|pair| pair[0].0 == pair[1].0)
        {
            left_out.insert(series);
            continue;
        }
        let alike = by_hash.entry(hasher.hash_one(&shown)).or_default();
        if alike.iter().any(|other| self::shown(view, labels_of(*other)) == shown) {
            left_out.insert(series);
        } else {
            alike.push(series);
        }
    }
    left_out
}

/// Whether Prometheus would take it for the name of the metric. Nobody can push one. Others that begin with `__` cannot
/// be pushed either, but do no harm where an escaping makes them.
fn is_reserved(name: &str) -> bool {
    name == "__name__"
}

/// Labels as the view shows them, by name.
fn shown<'l>(view: View, labels: impl Iterator<Item = Label<'l>>) -> Vec<(Cow<'l, str>, &'l str)> {
    let mut shown: Vec<_> = labels.map(|label| (view.escaping.label_name(label.name), label.value)).collect();
    shown.sort_unstable();
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNDERSCORES: View = View {
        escaping: Escaping::Underscores,
        format: crate::exposition::negotiation::Format::Text,
        with_created: false,
    };

    /// Which of these series are left out, in order.
    fn out(escaping: Escaping, series: &[&[(&'static str, &'static str)]]) -> Vec<usize> {
        let labels_of = |at: usize| series[at].iter().map(|&(name, value)| Label { name, value });
        let mut out: Vec<_> =
            left_out(View { escaping, ..UNDERSCORES }, series.len(), labels_of).into_iter().collect();
        out.sort_unstable();
        out
    }

    #[test]
    fn the_one_that_is_shown_as_it_was_pushed_stays() {
        let series: [&[_]; 5] =
            [&[("a.b", "1")], &[("a_b", "1")], &[("a.b", "2")], &[("a b", "2")], &[("a-b", "3")]];
        assert_eq!(out(Escaping::Underscores, &series), [0, 3]);
        assert!(out(Escaping::Values, &series).is_empty());
        assert!(out(Escaping::AllowUtf8, &series).is_empty());
        assert_eq!(out(Escaping::Dots, &[&[("a b", "1")], &[("a-b", "1")]]), [1]);
    }

    #[test]
    fn the_order_of_labels_makes_no_other_series() {
        let series: [&[_]; 2] = [&[("a.b", "1"), ("a0", "2")], &[("a0", "2"), ("a_b", "1")]];
        assert_eq!(out(Escaping::Underscores, &series), [0]);
    }

    #[test]
    fn a_series_with_one_name_twice_is_left_out_and_takes_nobodys_place() {
        let series: [&[_]; 2] = [&[("a.b", "1"), ("a_b", "1")], &[("a_b", "1")]];
        assert_eq!(out(Escaping::Underscores, &series), [0]);
    }

    #[test]
    fn a_series_with_a_name_that_is_reserved_only_there_is_left_out() {
        let series: [&[_]; 2] = [&[("\u{e9}name\u{e9}", "1")], &[("a.b", "1")]];
        assert!(Escaping::Dots.label_name(series[0][0].0) == "__name__");
        assert_eq!(out(Escaping::Dots, &series), [0]);
        assert!(out(Escaping::Values, &series).is_empty());
        let dots = View { escaping: Escaping::Dots, ..UNDERSCORES };
        assert!(are_confused(dots, std::iter::once("\u{e9}name\u{e9}")));
        for harmless in ["a.b", "_a.b", "\u{e9}\u{e9}"] {
            assert!(!are_confused(dots, std::iter::once(harmless)), "{harmless}");
        }
    }

    #[test]
    fn names_are_confused_only_where_two_become_one() {
        let names = |names: &'static [&'static str]| names.iter().copied();
        assert!(are_confused(UNDERSCORES, names(&["a.b", "c", "a_b"])));
        assert!(!are_confused(UNDERSCORES, names(&["a.b", "c", "a.b"])));
        assert!(!are_confused(View { escaping: Escaping::AllowUtf8, ..UNDERSCORES }, names(&["a.b", "a_b"])));
    }
}
