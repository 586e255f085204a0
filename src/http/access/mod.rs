//! Who may do what: rate limit, passwords, rights, and the headers that every answer gets.
//!
//! Knows nothing of files and of what requests do. Invariants: without a right password nothing is told but that one
//! is needed; where roles are given, what no role allows is refused; neither right nor wrong passwords hold up a thread
//! that serves requests.

mod hashes;
mod passwords;
mod rate;
mod roles;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use parking_lot::RwLock;

use super::body;
use super::error::Error;
use super::options::Options;
use super::path::PushPath;
use crate::model::NameScheme;

pub use hashes::{PasswordHash, PasswordHashError};
pub use rate::RateLimit;
pub use roles::{JobPattern, JobPatternError, Right, RightError, Role};

use hashes::{Compared, Decoys};
use passwords::Passwords;
use rate::Limiter;

/// What can be set about access.
#[derive(Clone, Debug, Default)]
pub struct AccessOptions {
    /// The users by name; without any, everybody may do everything.
    pub users: BTreeMap<String, User>,
    /// Whether the health endpoints need no password and are not counted by the rate limit.
    pub open_health: bool,
    /// How many requests there may be, from everybody together.
    pub rate_limit: Option<RateLimit>,
    /// What is added to every answer that does not have it.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// A user.
#[derive(Clone, Debug)]
pub struct User {
    /// What the password is compared with.
    pub password: PasswordHash,
    /// What the user may do.
    pub role: Role,
}

/// Why a request is not let through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denied {
    /// No user, or not that user's password; which of them is not told.
    #[error("Unauthorized")]
    Unauthorized,
    /// The rate limit.
    #[error("Too Many Requests")]
    TooManyRequests,
    /// The password would have to be checked, and too many others wait for that.
    #[error("too many passwords wait to be checked; try again")]
    Busy,
    /// The user's role lacks a right.
    #[error(
        "the user {user:?} lacks the right {right:?}; it is given by roles in the web configuration file"
    )]
    Right {
        /// The user's name.
        user: String,
        /// The right that is missing.
        right: &'static str,
    },
    /// The user's role does not allow the job.
    #[error("the user {user:?} has no right to push to or delete the job {job:?}; its role allows {allowed}")]
    Job {
        /// The user's name.
        user: String,
        /// The job of the path, decoded.
        job: String,
        /// The patterns of the role.
        allowed: String,
    },
}

/// What a request needs to be let through.
#[derive(Clone, Copy, Debug)]
pub(super) enum Need<'p> {
    /// It asks for the gateway's health.
    Health,
    /// A password, no right: it gets nothing but an error or a list of methods.
    Password,
    /// It reads what is stored.
    Read,
    /// It pushes to a group or deletes it; the path's names are judged by this scheme.
    Push(PushPath<'p>, NameScheme),
    /// It changes what belongs to everybody.
    Admin,
}

/// The rules in force; cheap to clone, and all clones are one.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    rules: RwLock<Arc<Rules>>,
    passwords: Passwords,
}

struct Rules {
    options: AccessOptions,
    /// What passwords are compared with beside the user's hash, so that those of unknown users take as long as others.
    decoys: Decoys,
    limiter: Option<Arc<Limiter>>,
}

impl Access {
    /// Begins with these rules. An error if there is no thread or no randomness to be had.
    pub fn new(options: AccessOptions) -> io::Result<Self> {
        let rules = RwLock::new(Arc::new(Rules::new(options, None)));
        Ok(Self(Arc::new(Inner { rules, passwords: Passwords::new()? })))
    }

    /// Follows other rules from the next request on.
    pub fn replace(&self, options: AccessOptions) {
        let mut rules = self.0.rules.write();
        *rules = Arc::new(Rules::new(options, rules.limiter.as_ref()));
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.0.rules.read())
    }

    /// Lets a request through or says why not.
    pub(super) async fn admit(
        &self,
        need: Need<'_>,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
    ) -> Result<(), Denied> {
        let rules = self.rules();
        if matches!(need, Need::Health) && rules.options.open_health {
            return Ok(());
        }
        if rules.limiter.as_ref().is_some_and(|limiter| !limiter.admits(Instant::now())) {
            return Err(Denied::TooManyRequests);
        }
        if rules.options.users.is_empty() {
            return Ok(());
        }
        let (name, password) = credentials(headers).ok_or(Denied::Unauthorized)?;
        let user = rules.options.users.get(&name);
        let compared = Compared::with(user.map(|user| &user.password), &rules.decoys);
        let is_right = self.0.passwords.is_right(&name, &password, &compared, peer).await?;
        match user {
            Some(user) if is_right => user.role.allows(&name, need),
            _ => Err(Denied::Unauthorized),
        }
    }

    /// Gives an answer the headers that every answer gets.
    pub(super) fn dress(&self, response: &mut Response) {
        for (name, value) in &self.rules().options.headers {
            response.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
    }
}

impl Rules {
    fn new(options: AccessOptions, limiter: Option<&Arc<Limiter>>) -> Self {
        let limiter = options.rate_limit.map(|limit| match limiter {
            // What is used up stays used up.
            Some(limiter) if limiter.limit() == limit => Arc::clone(limiter),
            _ => Arc::new(Limiter::new(limit, Instant::now())),
        });
        let decoys = Decoys::beside(options.users.values().map(|user| &user.password));
        Self { options, decoys, limiter }
    }
}

/// Answers a request that was not let through. What it still sends is dealt with as for a refused push.
pub(super) async fn refuse(request: Request, denied: Denied, options: &Options) -> Response {
    let (head, body) = request.into_parts();
    tracing::debug!(error = %denied, path = head.uri.path(), "request denied");
    body::discard(&head.headers, body, options).await;
    Error::from(denied).into_response()
}

/// User and password of a request (RFC 7617).
fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim_ascii()).ok()?;
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    // The file's names are text, so another one is a stranger's, whatever replaces what is no text in it.
    let name = String::from_utf8_lossy(&decoded[..colon]).into_owned();
    Some((name, decoded[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests;
