//! What passwords are compared with.
//!
//! Invariant: every password is compared with one hash of each cost that users have, whoever sends it, so that no name
//! can be found by the time that an answer takes.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bcrypt::HashParts;

/// The highest cost of a hash: a check then takes a few seconds, and twice as long with each step beyond.
const COST_MAX: u32 = 16;

/// What a password is compared with: a bcrypt hash.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: Arc<str>,
    cost: u32,
}

/// Why a text is not a hash to compare with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordHashError {
    /// No bcrypt hash.
    #[error("it is not a bcrypt hash, make one with: htpasswd -nBC 10 '' ({0})")]
    Malformed(String),
    /// One that takes too long to compare with, or is broken in no time.
    #[error("the hash has the cost {0}, and a cost from 4 to {COST_MAX} is accepted; 10 or 12 is usual")]
    Cost(u32),
}

/// Without the hash: nobody has to see that in a log.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHash").field("cost", &self.cost).finish_non_exhaustive()
    }
}

impl FromStr for PasswordHash {
    type Err = PasswordHashError;

    fn from_str(text: &str) -> Result<Self, PasswordHashError> {
        let parts: HashParts = text
            .parse()
            .map_err(|error: bcrypt::BcryptError| PasswordHashError::Malformed(error.to_string()))?;
        let cost = parts.get_cost();
        if !(4..=COST_MAX).contains(&cost) {
            return Err(PasswordHashError::Cost(cost));
        }
        Ok(Self { text: text.into(), cost })
    }
}

impl PasswordHash {
    /// A hash that no user has.
    pub(super) fn of_nobody(cost: u32) -> Self {
        let text = format!("$2b${cost:02}${}{}", ".".repeat(22), ".".repeat(31));
        Self { text: text.into(), cost }
    }

    /// Takes its time.
    fn is_of(&self, password: &[u8]) -> bool {
        bcrypt::verify(password, &self.text).unwrap_or(false)
    }
}

/// Hashes of nobody's password, one of each cost that users have, the cheapest first; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decoys(Arc<[PasswordHash]>);

impl Decoys {
    /// Those that belong beside the hashes of these users.
    pub(super) fn beside<'a>(users: impl Iterator<Item = &'a PasswordHash>) -> Self {
        let costs: BTreeSet<u32> = users.map(|hash| hash.cost).collect();
        Self(costs.into_iter().map(PasswordHash::of_nobody).collect())
    }
}

/// What a password is compared with: the hash of the user that it is sent for, if there is one of that name, and a
/// decoy of every other cost. For a stranger all are decoys. So all cost the same.
#[derive(Clone)]
pub(super) struct Compared {
    own: Option<PasswordHash>,
    decoys: Decoys,
}

impl Compared {
    /// For a user with this hash, or for a stranger. The decoys must be those beside that user's hash and others.
    pub(super) fn with(own: Option<&PasswordHash>, decoys: &Decoys) -> Self {
        Self { own: own.cloned(), decoys: decoys.clone() }
    }

    /// One hash of each cost, and whether it is the user's.
    fn hashes(&self) -> impl Iterator<Item = (&PasswordHash, bool)> {
        self.decoys.0.iter().map(|decoy| match &self.own {
            Some(own) if own.cost == decoy.cost => (own, true),
            _ => (decoy, false),
        })
    }

    /// The hashes, one of each cost.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.hashes().map(|(hash, _)| &*hash.text)
    }

    /// Whether a password is the user's. Takes its time, the same for all that have the same decoys: no comparison is
    /// left out, whatever came of those before.
    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        self.hashes().fold(false, |is_right, (hash, is_own)| (hash.is_of(password) && is_own) || is_right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_hash_is_refused_and_what_takes_too_long_too() {
        for (text, reason) in [
            ("", "not a bcrypt hash"),
            ("secret", "htpasswd"),
            ("$2y$10$short", "not a bcrypt hash"),
            ("$1y$10$ZH5bTkUcxRYLz/vxGOGvZe54Q2yX2DBLhXi3XMlGz97hG7VXkR3Jm", "not a bcrypt hash"),
        ] {
            let error = text.parse::<PasswordHash>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        for (cost, is_accepted) in [("03", false), ("04", true), ("16", true), ("17", false), ("31", false)] {
            let text = format!("$2y${cost}${}", ".".repeat(53));
            assert_eq!(text.parse::<PasswordHash>().is_ok(), is_accepted, "{cost}");
        }
    }

    #[test]
    fn users_and_strangers_cost_the_same_whatever_hashes_there_are() {
        let users = [10, 4, 12, 10]
            .map(|cost| format!("$2y${cost:02}${}", ".".repeat(53)).parse::<PasswordHash>().unwrap());
        let decoys = Decoys::beside(users.iter());
        let costs = |compared: &Compared| compared.hashes().map(|(hash, _)| hash.cost).collect::<Vec<_>>();
        let stranger = Compared::with(None, &decoys);
        assert_eq!(costs(&stranger), [4, 10, 12]);
        assert!(stranger.hashes().all(|(hash, is_own)| !is_own && hash.text.parse().as_ref() == Ok(hash)));
        for user in &users {
            let compared = Compared::with(Some(user), &decoys);
            assert_eq!(costs(&compared), costs(&stranger));
            let own: Vec<_> = compared.hashes().filter(|(_, is_own)| *is_own).collect();
            assert_eq!(own, [(user, true)]);
        }
    }

    #[test]
    fn only_the_hash_of_the_user_counts() {
        let users = [4, 5, 6].map(|cost| bcrypt::hash(cost.to_string(), cost).unwrap());
        let users = users.map(|text| text.parse::<PasswordHash>().unwrap());
        let decoys = Decoys::beside(users.iter());
        for user in &users {
            let compared = Compared::with(Some(user), &decoys);
            for cost in [4, 5, 6] {
                assert_eq!(compared.is_of(cost.to_string().as_bytes()), cost == user.cost);
            }
        }
        assert!(!Compared::with(None, &decoys).is_of(b"4"));
    }
}
