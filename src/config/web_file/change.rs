//! What a change of the settings opens: restrictions that are gone, which a running gateway does not follow, and those
//! that let in more than before, which it follows and names.
//!
//! Only what decides who is let in counts here, and what they may do.

use std::collections::BTreeMap;

use super::WebSettings;
use crate::http::access::{RateLimit, Right, Role, User};
use crate::net::{TlsConfig, TlsGuards};

/// The restriction that is gone, and what to do about it.
pub(super) fn removed(old: &WebSettings, new: &WebSettings) -> Option<String> {
    let off = |what: &str| Some(format!("{what} cannot be switched off while the gateway runs; restart it"));
    if old.tls.is_some() != new.tls.is_some() {
        return Some("TLS cannot be switched on or off while the gateway runs; restart it".to_owned());
    }
    if let Some((old, new)) = guards(old).zip(guards(new)) {
        if old.client_auth.requires() && !new.client_auth.requires() {
            return off("the need of a client certificate");
        }
        if old.client_auth.verifies() && !new.client_auth.verifies() {
            return off("the check of client certificates");
        }
        if !old.client_allowed_sans.is_empty() && new.client_allowed_sans.is_empty() {
            return off("client_allowed_sans");
        }
    }
    if !old.access.users.is_empty() && new.access.users.is_empty() {
        return off("passwords");
    }
    if old.has_roles && !new.has_roles {
        return off("roles");
    }
    unbound(&old.access.users, &new.access.users).map(|name| {
        format!(
            "roles.{name}.jobs is gone; write jobs: [\"*\"] if every job is meant, or restart the gateway"
        )
    })
}

/// A user who could push to some jobs only, and could now push to all because nothing is said about jobs any more.
fn unbound<'u>(old: &BTreeMap<String, User>, new: &'u BTreeMap<String, User>) -> Option<&'u str> {
    let lost = |(name, user): &(&String, &User)| {
        let before = old.get(*name).is_some_and(|old| old.role.jobs.is_some());
        let may_push = user.role.rights.contains(&Right::Push);
        before && may_push && user.role.jobs.is_none() && !user.role.beyond(&old[*name].role).is_empty()
    };
    new.iter().find(lost).map(|(name, _)| name.as_str())
}

/// What is let in that was not before, each in words.
pub(super) fn opened(old: &WebSettings, new: &WebSettings) -> Vec<String> {
    let mut opened = Vec::new();
    if let Some((old, new)) = guards(old).zip(guards(new)) {
        opened.extend(opened_to_certificates(old, new));
    }
    let has_passwords = !old.access.users.is_empty();
    if has_passwords {
        opened.extend(opened_to_users(&old.access.users, &new.access.users));
    }
    let limit = old.access.rate_limit;
    if limit.is_some_and(|limit| is_wider(new.access.rate_limit, limit)) {
        opened.push("rate_limit lets more requests through".to_owned());
    }
    if (has_passwords || limit.is_some()) && !old.access.open_health && new.access.open_health {
        opened.push("open_health: the health endpoints are open to everybody".to_owned());
    }
    opened
}

fn guards(settings: &WebSettings) -> Option<&TlsGuards> {
    settings.tls.as_ref().map(TlsConfig::guards)
}

fn opened_to_certificates(old: &TlsGuards, new: &TlsGuards) -> Vec<String> {
    let mut opened = Vec::new();
    if new.min_version < old.min_version {
        opened.push("min_version: an older version of TLS is spoken".to_owned());
    }
    let is_known = |authority| old.client_authorities.contains(authority);
    if old.client_auth.verifies() && !new.client_authorities.iter().all(is_known) {
        opened.push("client_ca: client certificates of another authority are accepted".to_owned());
    }
    if !old.client_allowed_sans.is_empty() {
        let names = new.client_allowed_sans.iter().filter(|name| !old.client_allowed_sans.contains(name));
        opened.extend(names.map(|name| format!("client_allowed_sans: the name {name:?} is accepted")));
    }
    opened
}

fn opened_to_users(old: &BTreeMap<String, User>, new: &BTreeMap<String, User>) -> Vec<String> {
    let nothing = Role::default();
    let more = |(name, user): (&String, &User)| {
        let before = old.get(name).map_or(&nothing, |old| &old.role);
        let more = user.role.beyond(before);
        more.into_iter().map(|what| format!("the user {name:?} {what}")).collect::<Vec<_>>()
    };
    new.iter().flat_map(more).collect()
}

fn is_wider(new: Option<RateLimit>, old: RateLimit) -> bool {
    new.is_none_or(|new| new.interval < old.interval || new.burst > old.burst)
}
