//! What a user may do: rights, and the jobs that they hold for.
//!
//! Invariant: a job is judged as it is stored, decoded, so that no way to write a path leads around it.

use std::str::FromStr;

use super::{Denied, Need};

/// A right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// To push and to delete groups.
    Push,
    /// To see what is stored: scrapes, the API, the web page.
    Read,
    /// To wipe everything and to stop the gateway.
    Admin,
}

/// Why a text is not a right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a right; push, read and admin are")]
pub struct RightError(String);

impl Right {
    fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Right {
    type Err = RightError;

    fn from_str(text: &str) -> Result<Self, RightError> {
        [Self::Push, Self::Read, Self::Admin]
            .into_iter()
            .find(|right| right.name() == text)
            .ok_or_else(|| RightError(text.to_owned()))
    }
}

/// A pattern of job names, in which `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPattern(String);

/// Why a text is not a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pattern of job names must not be empty; '*' allows every job")]
pub struct JobPatternError;

impl FromStr for JobPattern {
    type Err = JobPatternError;

    fn from_str(text: &str) -> Result<Self, JobPatternError> {
        if text.is_empty() { Err(JobPatternError) } else { Ok(Self(text.to_owned())) }
    }
}

impl JobPattern {
    /// Whether it matches every job that another pattern matches, as far as their texts tell: a star of the other one
    /// can only fall to a star of this one.
    fn covers(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }

    fn matches(&self, job: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = job.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        // Whatever stands between is best found as early as possible.
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// What a user may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// The rights.
    pub rights: Vec<Right>,
    /// The jobs that may be pushed to and deleted; `None` for all.
    pub jobs: Option<Vec<JobPattern>>,
}

impl Role {
    /// Everything.
    pub fn all() -> Self {
        Self { rights: vec![Right::Push, Right::Read, Right::Admin], jobs: None }
    }

    /// What this role allows that another does not, in words that go on after a user's name.
    pub fn beyond(&self, other: &Self) -> Vec<String> {
        let mut more: Vec<_> = self
            .rights
            .iter()
            .filter(|right| !other.rights.contains(right))
            .map(|right| format!("gets the right {:?}", right.name()))
            .collect();
        if self.rights.contains(&Right::Push) && other.rights.contains(&Right::Push) {
            match (&self.jobs, &other.jobs) {
                (None, Some(_)) => more.push("may push to every job".to_owned()),
                (Some(jobs), Some(before)) => more.extend(
                    jobs.iter()
                        .filter(|job| !before.iter().any(|before| before.covers(job)))
                        .map(|job| format!("may push to the jobs {:?}", job.0)),
                ),
                (_, None) => {}
            }
        }
        more
    }

    /// Lets a user's request through or says what is missing.
    pub(super) fn allows(&self, user: &str, need: Need<'_>) -> Result<(), Denied> {
        let right = match need {
            Need::Health | Need::Password => return Ok(()),
            Need::Read => Right::Read,
            Need::Push(..) => Right::Push,
            Need::Admin => Right::Admin,
        };
        if !self.rights.contains(&right) {
            return Err(Denied::Right { user: user.to_owned(), right: right.name() });
        }
        let (Need::Push(path, names), Some(jobs)) = (need, &self.jobs) else { return Ok(()) };
        // A path that names no group gets its own error; nothing is stored under it.
        let Ok(key) = path.grouping_key(names) else { return Ok(()) };
        if jobs.iter().any(|pattern| pattern.matches(key.job())) {
            return Ok(());
        }
        let allowed: Vec<_> = jobs.iter().map(|pattern| format!("{:?}", pattern.0)).collect();
        Err(Denied::Job { user: user.to_owned(), job: key.job().to_owned(), allowed: allowed.join(", ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, yes, no) in [
            ("backup", &["backup"][..], &["backups", "a backup", ""][..]),
            ("ci-*", &["ci-", "ci-1", "ci-a/b"], &["ci", "xci-1"]),
            ("*", &["", "anything"], &[]),
            ("*-nightly", &["-nightly", "a-nightly"], &["a-nightly-b"]),
            ("a*b*c", &["abc", "a-b-b-c", "abcbc"], &["acb", "ab", "abcd"]),
            ("a*a", &["aa", "aba"], &["a"]),
            ("a**b", &["ab", "axb"], &["a"]),
        ] {
            let pattern: JobPattern = pattern.parse().unwrap();
            for job in yes {
                assert!(pattern.matches(job), "{pattern:?} {job}");
            }
            for job in no {
                assert!(!pattern.matches(job), "{pattern:?} {job}");
            }
        }
        assert_eq!("".parse::<JobPattern>(), Err(JobPatternError));
    }

    #[test]
    fn what_a_role_allows_beyond_another_is_named() {
        let role = |rights: &[Right], jobs: Option<&[&str]>| Role {
            rights: rights.to_vec(),
            jobs: jobs.map(|jobs| jobs.iter().map(|job| job.parse().unwrap()).collect()),
        };
        let push = |jobs| role(&[Right::Push], Some(jobs));
        for (role, other, more) in [
            (Role::all(), Role::all(), &[][..]),
            (Role::default(), Role::all(), &[]),
            (
                Role::all(),
                role(&[Right::Push], None),
                &["gets the right \"read\"", "gets the right \"admin\""],
            ),
            (role(&[Right::Push], None), push(&["a"]), &["may push to every job"]),
            (push(&["a"]), role(&[Right::Push], None), &[]),
            (push(&["ci-a", "ci-*-b", "ci-*"]), push(&["x", "ci-*"]), &[]),
            (push(&["ci-a", "c*"]), push(&["ci-*"]), &["may push to the jobs \"c*\""]),
            (push(&["*"]), push(&["a*b", "a"]), &["may push to the jobs \"*\""]),
            (push(&["a"]), Role::default(), &["gets the right \"push\""]),
        ] {
            assert_eq!(role.beyond(&other), more, "{role:?} {other:?}");
        }
    }

    #[test]
    fn rights_have_names() {
        assert_eq!("push".parse(), Ok(Right::Push));
        let error = "write".parse::<Right>().unwrap_err().to_string();
        assert_eq!(error, "'write' is not a right; push, read and admin are");
    }

    #[test]
    fn a_missing_right_is_named() {
        let reader = Role { rights: vec![Right::Read], jobs: None };
        assert_eq!(reader.allows("r", Need::Read), Ok(()));
        assert_eq!(reader.allows("r", Need::Health), Ok(()));
        assert_eq!(reader.allows("r", Need::Password), Ok(()));
        let denied = reader.allows("r", Need::Admin).unwrap_err();
        assert_eq!(denied, Denied::Right { user: "r".to_owned(), right: "admin" });
        assert!(denied.to_string().contains("the user \"r\" lacks the right \"admin\""), "{denied}");
    }
}
