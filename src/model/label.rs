//! Labels: borrowed ones as they are parsed, and canonical sets as they are kept.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One label as it stands in a body: it borrows from the body, unless an escape had to be resolved in its
/// value. In a name that would not be valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BorrowedLabel<'a> {
    /// The label's name.
    pub name: &'a str,
    /// The label's value, unescaped. May be empty, which means "no label".
    pub value: Cow<'a, str>,
}

/// One label of a [`LabelSet`], or one to be exposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label<'a> {
    /// The label's name.
    pub name: &'a str,
    /// The label's value.
    pub value: &'a str,
}

/// A canonical set of labels: sorted by name (bytewise), each name once, no empty value (an empty value
/// means that the label is absent).
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LabelSet(Box<[(Box<str>, Box<str>)]>);

impl LabelSet {
    /// Builds the set; of labels with one name the last one wins, labels with an empty value are dropped.
    pub fn new<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut pairs: Vec<(&str, &str)> = labels.into_iter().collect();
        // Stable: labels of one name stay in the order given, so that the last one can win.
        pairs.sort_by_key(|(name, _)| *name);
        let last_of_its_name = |i: usize| pairs.get(i + 1).is_none_or(|(next, _)| *next != pairs[i].0);
        Self(
            (0..pairs.len())
                .filter(|&i| last_of_its_name(i) && !pairs[i].1.is_empty())
                .map(|i| (pairs[i].0.into(), pairs[i].1.into()))
                .collect(),
        )
    }

    /// The labels, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Label<'_>> + Clone {
        self.0.iter().map(|(name, value)| Label { name, value })
    }

    /// The value of the label `name`, if it is in the set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.binary_search_by(|(own, _)| (**own).cmp(name)).ok().map(|i| &*self.0[i].1)
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Shows the labels as Prometheus writes them: `{a="1",b="x\"y"}`.
impl fmt::Display for LabelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, label) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{}={:?}", label.name, label.value)?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for LabelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_sorted_has_each_name_once_and_no_empty_values() {
        let set = LabelSet::new([("b", "1"), ("a", "2"), ("b", "3"), ("c", "")]);
        assert_eq!(set.to_string(), r#"{a="2",b="3"}"#);
        assert_eq!(set.get("b"), Some("3"));
        assert_eq!(set.get("c"), None);
    }

    #[test]
    fn the_last_of_a_name_wins_even_when_it_is_empty() {
        assert!(LabelSet::new([("a", "1"), ("a", "")]).is_empty());
    }

    #[test]
    fn order_of_the_input_does_not_matter() {
        assert_eq!(LabelSet::new([("x", "1"), ("y", "2")]), LabelSet::new([("y", "2"), ("x", "1")]));
    }
}
