//! Under which paths the gateway answers: the prefix, the URL seen from outside, the scrape's path.
//!
//! Invariant: paths hold plain characters only, so that they can stand in a page, a header or a redirect as
//! they are.

use hyper::Uri;

use super::ConfigError;
use super::flags::WebFlags;

/// What paths begin with; empty, or with a slash at the start and none at the end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prefixes {
    /// In the requests that arrive here.
    pub(super) route: String,
    /// In the requests that clients send, before a proxy changes them.
    pub(super) link: String,
}

/// The prefixes, of which that of the external URL is the default for both.
pub(super) fn prefixes(flags: &WebFlags) -> Result<Prefixes, ConfigError> {
    let external = match flags.external_url.as_str() {
        "" => None,
        url => Some(external_path(url).map_err(|reason| refused("--web.external-url", url, reason))?),
    };
    let route = match (flags.route_prefix.as_str(), &external) {
        ("", None) => String::new(),
        ("", Some(path)) => path.clone(),
        (prefix, _) => normalised(prefix).map_err(|reason| refused("--web.route-prefix", prefix, reason))?,
    };
    Ok(Prefixes { link: external.unwrap_or_else(|| route.clone()), route })
}

/// The scrape's path, which must be one that a request can have and that no other route answers.
pub(super) fn telemetry_path(flags: &WebFlags) -> Result<String, ConfigError> {
    let path = &flags.telemetry_path;
    check_telemetry_path(path).map_err(|reason| refused("--web.telemetry-path", path, reason))?;
    Ok(path.clone())
}

fn refused(flag: &'static str, value: &str, reason: &'static str) -> ConfigError {
    ConfigError::Path { flag, value: value.to_owned(), reason }
}

/// The path of a URL, or of what is a path already.
fn external_path(url: &str) -> Result<String, &'static str> {
    const FORM: &str = "write it as http://host/path, https://host/path or /path";
    let uri: Uri = url.parse().map_err(|_| FORM)?;
    let has_host = uri.authority().is_some_and(|authority| !authority.host().is_empty());
    if !matches!((uri.scheme_str(), has_host), (Some("http" | "https"), true) | (None, false)) {
        return Err(FORM);
    }
    if url.contains(['?', '#']) {
        return Err("only the path of it is used, so it must have no '?' and no '#'");
    }
    normalised(uri.path())
}

/// A prefix with a slash before and none behind it.
fn normalised(prefix: &str) -> Result<String, &'static str> {
    let inner = prefix.trim_end_matches('/');
    if inner.is_empty() {
        return Ok(String::new());
    }
    let normalised = if inner.starts_with('/') { inner.to_owned() } else { format!("/{inner}") };
    check_plain(&normalised)?;
    Ok(normalised)
}

fn check_telemetry_path(path: &str) -> Result<(), &'static str> {
    let lies_under =
        |root: &str| path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
    if !path.starts_with('/') {
        return Err("a path begins with '/'");
    }
    if path == "/" || path == "/status" {
        return Err("this is the path of the gateway's own page, choose another");
    }
    check_plain(path)?;
    let taken = ["/-", "/api", "/static", "/metrics/job", "/metrics/job@base64"];
    if taken.into_iter().any(lies_under) {
        return Err("this path belongs to the gateway's other requests, choose another");
    }
    Ok(())
}

/// Whether a path that begins with a slash stands for itself, whoever decodes or cleans it.
fn check_plain(path: &str) -> Result<(), &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    if !path.bytes().all(plain) {
        return Err("only letters, digits and / - . _ ~ are accepted");
    }
    if path.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) {
        return Err("a path has no empty, '.' or '..' component and no slash at its end");
    }
    Ok(())
}
