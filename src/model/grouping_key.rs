//! The grouping key: the labels in the path of a push.

use std::fmt;

use super::{Label, LabelSet};

/// The labels that identify a group. Always holds a non-empty `job`; the order in the path does not matter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupingKey(LabelSet);

impl GroupingKey {
    /// Builds the key from the job and the further labels of the path, in path order. Of labels with one
    /// name the last one wins, a label `job` among them loses against the job, and empty values are no labels.
    ///
    /// `None` if the job is empty.
    pub fn new<'a>(job: &'a str, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        if job.is_empty() {
            return None;
        }
        Some(Self(LabelSet::new(labels.into_iter().chain([("job", job)]))))
    }

    /// The key that consists of these labels; `None` if `job` is missing among them.
    pub fn from_labels(labels: LabelSet) -> Option<Self> {
        labels.get("job").is_some().then_some(Self(labels))
    }

    /// The job's name; never empty.
    pub fn job(&self) -> &str {
        self.0.get("job").expect("a grouping key is only built with a job")
    }

    /// All labels, `job` among them.
    pub fn labels(&self) -> &LabelSet {
        &self.0
    }

    /// All labels, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Label<'_>> + Clone {
        self.0.iter()
    }
}

impl fmt::Display for GroupingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for GroupingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_in_the_path_does_not_matter_and_an_empty_value_is_no_label() {
        let one = GroupingKey::new("j", [("a", "1"), ("b", "2")]);
        let other = GroupingKey::new("j", [("b", "2"), ("a", "1"), ("c", "")]);
        assert_eq!(one, other);
    }

    #[test]
    fn the_leading_job_wins_and_must_not_be_empty() {
        let key = GroupingKey::new("j", [("job", "other")]).expect("has a job");
        assert_eq!(key.job(), "j");
        assert!(GroupingKey::new("", []).is_none());
        assert!(GroupingKey::from_labels(LabelSet::default()).is_none());
    }
}
