//! From what is written to settings that can be followed: what each value means and what goes together, a file for each
//! section.

mod headers;
mod pem;
mod rate_limit;
mod tls;
mod users;

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::str::FromStr;

use serde_saphyr::Spanned;

use super::raw::{Emptiable, Given, RawFile, RawTls, Text};
use super::{Fault, WebSettings};
use crate::http::access::AccessOptions;

/// Reads a file that is named relative to the web configuration file.
type ReadNamed<'r> = dyn FnMut(&Path) -> io::Result<Vec<u8>> + 'r;

/// The settings; `read` reads the files that they name.
pub(super) fn settings(raw: RawFile, read: &mut ReadNamed<'_>) -> Result<WebSettings, Fault> {
    let others = remarks(&raw);
    let tls_is_off = raw.tls_server_config.as_ref().map(tls_is_off);
    let has_roles = raw.roles.is_some();
    let http = given(raw.http_server_config);
    let access = AccessOptions {
        users: users::users(given(raw.basic_auth_users), raw.roles.as_ref())?,
        open_health: raw.open_health.unwrap_or(false),
        rate_limit: rate_limit::rate_limit(&given(raw.rate_limit))?,
        headers: headers::headers(&http)?,
    };
    let tls = tls::tls(&given(raw.tls_server_config), http.http2.unwrap_or(true), read)?;
    let remarks = tls_is_off.filter(|_| tls.is_none()).into_iter().chain(others).collect();
    Ok(WebSettings { tls, access, remarks, has_roles })
}

/// What stands in a section; an empty one is as good as none, as with Prometheus's programs.
fn given<T: Default>(section: Option<Given<T>>) -> T {
    section.and_then(|section| section.value).unwrap_or_default()
}

/// The sections other than that of TLS that protect something elsewhere, and are there without protecting anything
/// here.
fn remarks(raw: &RawFile) -> Vec<String> {
    let tls = raw.tls_server_config.as_ref();
    let sans = tls.and_then(|tls| tls.value.as_ref()).and_then(|tls| tls.client_allowed_sans.as_ref());
    [
        raw.basic_auth_users
            .as_ref()
            .and_then(|users| remark(users, "basic_auth_users", "nobody is asked for a password")),
        raw.rate_limit.as_ref().and_then(|limit| remark(limit, "rate_limit", "there is no limit")),
        sans.and_then(|sans| {
            remark(sans, "tls_server_config.client_allowed_sans", "a certificate with any name will do")
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The remark on a section about TLS without a certificate.
fn tls_is_off(section: &Given<RawTls>) -> String {
    const EFFECT: &str = "TLS is off";
    remark(section, "tls_server_config", EFFECT).unwrap_or_else(|| {
        let line = section.referenced.line();
        format!("web configuration file, line {line}: tls_server_config has neither cert nor key: {EFFECT}")
    })
}

fn remark<T: Emptiable>(section: &Given<T>, key: &str, effect: &str) -> Option<String> {
    let is_empty = section.value.as_ref().is_none_or(Emptiable::is_empty);
    is_empty.then(|| {
        format!("web configuration file, line {}: {key} is empty: {effect}", section.referenced.line())
    })
}

/// A fault of a value, named by its key.
fn fault<T>(value: &Spanned<T>, key: &str, what: impl Display) -> Fault {
    Fault::at(value.referenced.line(), format!("{key}: {what}"))
}

fn parsed<T: FromStr<Err: Display>>(text: &Text, key: &str) -> Result<T, Fault> {
    text.value.parse().map_err(|error| fault(text, key, error))
}

fn all_parsed<T: FromStr<Err: Display>>(texts: Option<&Vec<Text>>, key: &str) -> Result<Vec<T>, Fault> {
    texts.into_iter().flatten().map(|text| parsed(text, key)).collect()
}
