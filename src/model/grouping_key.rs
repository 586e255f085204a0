//! The grouping key: the labels in the path of a push.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::hash::{BuildHasher as _, Hash, Hasher};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hashbrown::DefaultHashBuilder;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Label, LabelSet, is_label_name, values_encoded};

/// What must be percent-encoded in a path segment: all but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Random for each process, so that nobody can send colliding labels.
static HASHER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);

/// The labels that identify a group. Always holds a non-empty `job`; the order in the path does not matter.
#[derive(Clone, Eq, PartialOrd, Ord)]
pub struct GroupingKey {
    labels: LabelSet,
    /// The hash of the labels, worked out once: a push looks its group up several times.
    hash: u64,
}

impl PartialEq for GroupingKey {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || (self.hash == other.hash && self.labels == other.labels)
    }
}

impl Hash for GroupingKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl GroupingKey {
    /// Builds the key from the job and the further labels of the path, in path order. Of labels with one
    /// name the last one wins, a label `job` among them loses against the job, and empty values are no
    /// labels.
    ///
    /// `None` if the job is empty.
    pub fn new<'a>(job: &'a str, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        if job.is_empty() {
            return None;
        }
        Some(Self::of(LabelSet::new(labels.into_iter().chain([("job", job)]))))
    }

    /// The key that consists of these labels; `None` if `job` is missing among them.
    pub fn from_labels(labels: LabelSet) -> Option<Self> {
        labels.get("job").is_some().then(|| Self::of(labels))
    }

    fn of(labels: LabelSet) -> Self {
        Self { hash: HASHER.hash_one(&labels), labels }
    }

    /// The job's name; never empty.
    pub fn job(&self) -> &str {
        self.labels.get("job").expect("a grouping key is only built with a job")
    }

    /// All labels, `job` among them.
    pub fn labels(&self) -> &LabelSet {
        &self.labels
    }

    /// All labels, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Label<'_>> + Clone {
        self.labels.iter()
    }

    /// The path under which this group is pushed and deleted: `/metrics/job/<job>`, then the further labels
    /// by name. Values stand percent-encoded, or base64-encoded where a path could not carry them (a slash,
    /// `.`, `..`) or where that is shorter.
    pub fn url_path(&self) -> String {
        let mut path = String::from("/metrics");
        push_segments(&mut path, "job", self.job());
        for label in self.iter().filter(|label| label.name != "job") {
            push_segments(&mut path, label.name, label.value);
        }
        path
    }
}

/// Appends `/<name>/<value>` to a path, or `/<name>@base64/<value>`; a name that is no legacy name as the path takes
/// it.
fn push_segments(path: &mut String, name: &str, value: &str) {
    let name = if is_label_name(name) { Cow::Borrowed(name) } else { values_encoded(name, false).into() };
    let escaped = utf8_percent_encode(value, RESERVED);
    let encoded = || format!("@base64/{}", URL_SAFE_NO_PAD.encode(value));
    let must_be_encoded = value.contains('/') || matches!(value, "" | "." | "..");
    let encoded = if must_be_encoded { Some(encoded()) } else { None }.or_else(|| {
        // Escapes take three bytes per byte, base64 four per three.
        let shorter = encoded();
        (shorter.len() <= escaped.clone().map(str::len).sum()).then_some(shorter)
    });
    // Writing to a string cannot fail.
    let _ = match encoded {
        Some(encoded) => write!(path, "/{name}{encoded}"),
        None => write!(path, "/{name}/{escaped}"),
    };
}

impl fmt::Display for GroupingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.labels.fmt(f)
    }
}

impl fmt::Debug for GroupingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.labels.fmt(f)
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
    fn the_path_is_readable_where_it_can_be_and_base64_where_it_must() {
        let path = |job: &str, value: &str| {
            GroupingKey::new(job, [("a", value), ("Z", "z")]).expect("has a job").url_path()
        };
        assert_eq!(path("some job", "x.y"), "/metrics/job/some%20job/Z/z/a/x.y");
        assert_eq!(path("test/job", "."), "/metrics/job@base64/dGVzdC9qb2I/Z/z/a@base64/Lg");
        assert_eq!(path("..", "..b"), "/metrics/job@base64/Li4/Z/z/a/..b");
        assert_eq!(path("a+b%", ""), "/metrics/job/a%2Bb%25/Z/z");
        assert_eq!(
            path("j", &"é".repeat(9)),
            format!("/metrics/job/j/Z/z/a@base64/{}", "w6nDqcOp".repeat(3))
        );
        let utf8 = GroupingKey::new("j", [("a/b", "v")]).expect("has a job");
        assert_eq!(utf8.url_path(), "/metrics/job/j/U__a_2f_b/v");
    }

    #[test]
    fn the_leading_job_wins_and_must_not_be_empty() {
        let key = GroupingKey::new("j", [("job", "other")]).expect("has a job");
        assert_eq!(key.job(), "j");
        assert!(GroupingKey::new("", []).is_none());
        assert!(GroupingKey::from_labels(LabelSet::default()).is_none());
    }
}
