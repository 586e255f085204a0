//! Users: their passwords, and their roles.
//!
//! Invariant: a key that is there and says nothing never allows what leaving it out would allow.

use std::collections::BTreeMap;

use serde_saphyr::Spanned;

use super::super::Fault;
use super::super::raw::{Emptiable, Given, RawRole, RawRoles, Text};
use super::{all_parsed, fault, parsed};
use crate::http::access::{JobPattern, Right, Role, User};

/// What to do about `roles` without a role, which would allow nobody anything.
const NO_ROLES: &str = "it is empty, so that nobody could do anything; name users with their rights, \
                        or leave it out to let every user do everything";

/// What to do about `jobs` without a pattern.
const NO_JOBS: &str = "it is empty; name jobs, or leave it out to allow every job";

/// The users by name.
pub(super) fn users(
    hashes: BTreeMap<String, Text>,
    roles: Option<&RawRoles>,
) -> Result<BTreeMap<String, User>, Fault> {
    let roles = roles.map(|roles| filled(roles, "roles", NO_ROLES)).transpose()?;
    if let Some((name, role)) = roles.into_iter().flatten().find(|(name, _)| !hashes.contains_key(*name)) {
        return Err(fault(role, &format!("roles.{name}"), "there is no such user in basic_auth_users"));
    }
    let mut users = BTreeMap::new();
    for (name, hash) in hashes {
        let key = format!("basic_auth_users.{name}");
        if name.contains(':') {
            return Err(fault(&hash, &key, "a user's name must not have a colon, it could not be sent"));
        }
        let role = match roles {
            None => Role::all(),
            // Without a role among roles, nothing is allowed.
            Some(roles) => roles.get(&name).map_or_else(|| Ok(Role::default()), |raw| role(&name, raw))?,
        };
        users.insert(name, User { password: parsed(&hash, &key)?, role });
    }
    Ok(users)
}

fn role(name: &str, raw: &Spanned<RawRole>) -> Result<Role, Fault> {
    let key = |field| format!("roles.{name}.{field}");
    let rights: Vec<Right> = all_parsed(Some(&raw.value.rights), &key("rights"))?;
    let jobs = raw.value.jobs.as_ref().map(|jobs| filled(jobs, &key("jobs"), NO_JOBS)).transpose()?;
    let jobs: Option<Vec<JobPattern>> = jobs.map(|jobs| all_parsed(Some(jobs), &key("jobs"))).transpose()?;
    if jobs.is_some() && !rights.contains(&Right::Push) {
        return Err(fault(raw, &key("jobs"), "they mean nothing without the right push"));
    }
    Ok(Role { rights, jobs })
}

/// What stands under a key that must not be empty if it is there.
fn filled<'r, T: Emptiable>(given: &'r Given<T>, key: &str, what: &str) -> Result<&'r T, Fault> {
    given.value.as_ref().filter(|value| !value.is_empty()).ok_or_else(|| fault(given, key, what))
}
