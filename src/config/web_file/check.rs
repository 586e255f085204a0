//! From what is written to settings that can be followed: what each value means and what goes together.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::str::FromStr;

use hyper::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS, X_XSS_PROTECTION,
};
use serde_saphyr::Spanned;

use super::raw::{RawFile, RawHttp, RawRateLimit, RawRole, RawTls, Text};
use super::{Fault, WebSettings};
use crate::config::duration;
use crate::http::access::{AccessOptions, JobPattern, RateLimit, Right, Role, User};
use crate::net::{ClientAuth, TlsConfig, TlsError, TlsOptions, TlsVersion};

/// The headers that may be set, and the values that they may have where that is not free.
const HEADERS: [(HeaderName, &[&str]); 5] = [
    (CONTENT_SECURITY_POLICY, &[]),
    (STRICT_TRANSPORT_SECURITY, &[]),
    (X_CONTENT_TYPE_OPTIONS, &["nosniff"]),
    (X_FRAME_OPTIONS, &["deny", "sameorigin"]),
    (X_XSS_PROTECTION, &[]),
];

/// Reads a file that is named relative to the web configuration file.
type ReadNamed<'r> = dyn FnMut(&Path) -> io::Result<Vec<u8>> + 'r;

/// The settings; `read` reads the files that they name.
pub(super) fn settings(raw: RawFile, read: &mut ReadNamed<'_>) -> Result<WebSettings, Fault> {
    let http = raw.http_server_config.unwrap_or_default();
    let has_roles = raw.roles.is_some();
    let open_health = raw.open_health.unwrap_or(false);
    let access = AccessOptions {
        users: users(raw.basic_auth_users.unwrap_or_default(), raw.roles.as_ref())?,
        open_health,
        rate_limit: raw.rate_limit.map(|limit| rate_limit(&limit)).transpose()?.flatten(),
        headers: headers(&http)?,
    };
    let tls = tls(&raw.tls_server_config.unwrap_or_default(), http.http2.unwrap_or(true), read)?;
    Ok(WebSettings { tls, access, has_roles })
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

fn users(
    hashes: BTreeMap<String, Text>,
    roles: Option<&BTreeMap<String, Spanned<RawRole>>>,
) -> Result<BTreeMap<String, User>, Fault> {
    if let Some((name, role)) = roles.into_iter().flatten().find(|(name, _)| !hashes.contains_key(*name)) {
        return Err(fault(role, &format!("roles.{name}"), "there is no such user in basic_auth_users"));
    }
    if roles.is_some() && hashes.is_empty() {
        return Err(Fault::new("roles: there are no users for them; name some in basic_auth_users"));
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
    let jobs: Option<Vec<JobPattern>> =
        raw.value.jobs.as_ref().map(|jobs| all_parsed(Some(jobs), &key("jobs"))).transpose()?;
    if jobs.is_some() && !rights.contains(&Right::Push) {
        return Err(fault(raw, &key("jobs"), "they mean nothing without the right push"));
    }
    if jobs.as_ref().is_some_and(Vec::is_empty) {
        return Err(fault(raw, &key("jobs"), "the list is empty; leave it out to allow every job"));
    }
    Ok(Role { rights, jobs })
}

/// `None` for an interval of 0, which is how Prometheus's programs are told that there is no limit.
fn rate_limit(raw: &RawRateLimit) -> Result<Option<RateLimit>, Fault> {
    let Some(text) = &raw.interval else {
        return match &raw.burst {
            Some(burst) => Err(fault(burst, "rate_limit.interval", "it is missing; write for example 100ms")),
            None => Ok(None),
        };
    };
    let interval = duration::parse(&text.value).map_err(|error| fault(text, "rate_limit.interval", error))?;
    if interval.is_zero() {
        return Ok(None);
    }
    match &raw.burst {
        Some(burst) if burst.value > 0 => Ok(Some(RateLimit { interval, burst: burst.value })),
        Some(burst) => {
            Err(fault(burst, "rate_limit.burst", "it must be at least 1, or nothing is let through"))
        }
        None => Err(fault(text, "rate_limit.burst", "it is missing; it must be at least 1")),
    }
}

fn headers(raw: &RawHttp) -> Result<Vec<(HeaderName, HeaderValue)>, Fault> {
    raw.headers.iter().flatten().map(|(name, value)| header(name, value)).collect()
}

fn header(name: &str, text: &Text) -> Result<(HeaderName, HeaderValue), Fault> {
    let key = format!("http_server_config.headers.{name}");
    let found = HEADERS.into_iter().find(|(own, _)| name.eq_ignore_ascii_case(own.as_str()));
    let Some((name, values)) = found else {
        return Err(fault(
            text,
            &key,
            "this header cannot be set; Content-Security-Policy, Strict-Transport-Security, \
             X-Content-Type-Options, X-Frame-Options and X-XSS-Protection can",
        ));
    };
    if !values.is_empty() && !values.contains(&text.value.as_str()) {
        return Err(fault(text, &key, format!("it must be {}, got {:?}", values.join(" or "), text.value)));
    }
    let value = HeaderValue::from_str(&text.value)
        .map_err(|_| fault(text, &key, "it has characters that no header may have"))?;
    Ok((name, value))
}

/// `None` without a certificate and everything else that would need one.
fn tls(raw: &RawTls, http2: bool, read: &mut ReadNamed<'_>) -> Result<Option<TlsConfig>, Fault> {
    let certificate =
        PemText::read(("cert", raw.cert.as_ref()), ("cert_file", raw.cert_file.as_ref()), read)?;
    let key = PemText::read(("key", raw.key.as_ref()), ("key_file", raw.key_file.as_ref()), read)?;
    let client_ca = PemText::read(
        ("client_ca", raw.client_ca.as_ref()),
        ("client_ca_file", raw.client_ca_file.as_ref()),
        read,
    )?;
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(pem), None) => return Err(pem.fault("key or key_file is missing beside it")),
        (None, Some(pem)) => return Err(pem.fault("cert or cert_file is missing beside it")),
        (None, None) => {
            return match setting_without_certificate(raw, client_ca.as_ref()) {
                Some(fault) => Err(fault),
                None => Ok(None),
            };
        }
    };
    let options = TlsOptions {
        client_auth: client_auth(raw, client_ca.as_ref())?,
        client_allowed_sans: raw
            .client_allowed_sans
            .iter()
            .flatten()
            .map(|name| name.value.clone())
            .collect(),
        versions: versions(raw)?,
        cipher_suites: all_parsed(raw.cipher_suites.as_ref(), "tls_server_config.cipher_suites")?,
        curves: all_parsed(raw.curve_preferences.as_ref(), "tls_server_config.curve_preferences")?,
        prefers_own_order: raw.prefer_server_cipher_suites.unwrap_or(true),
        http2,
        certificate: certificate.bytes.clone(),
        key: key.bytes.clone(),
        client_ca: client_ca.as_ref().map(|pem| pem.bytes.clone()),
    };
    options.build().map(Some).map_err(|error| match (&error, &client_ca) {
        (TlsError::Certificate(what), _) => certificate.fault(what),
        (TlsError::Key(what), _) => key.fault(what),
        (TlsError::ClientCa(what), Some(pem)) => pem.fault(what),
        _ => Fault::new(format!("tls_server_config: {error}")),
    })
}

/// Settings that somebody relies on, where there is no certificate to speak TLS with at all.
fn setting_without_certificate(raw: &RawTls, client_ca: Option<&PemText<'_>>) -> Option<Fault> {
    const WHAT: &str = "TLS needs cert or cert_file, and key or key_file, too";
    if let Some(pem) = client_ca {
        return Some(pem.fault(WHAT));
    }
    raw.client_auth_type
        .as_ref()
        .filter(|text| !matches!(text.value.as_str(), "" | "NoClientCert"))
        .map(|text| fault(text, "tls_server_config.client_auth_type", WHAT))
}

/// What is PEM in the file or in a file that it names.
struct PemText<'r> {
    key: String,
    source: &'r Text,
    bytes: Vec<u8>,
}

impl<'r> PemText<'r> {
    /// From one of two keys; empty texts count as none, as with Prometheus's programs.
    fn read(
        (inline_key, inline): (&str, Option<&'r Text>),
        (file_key, file): (&str, Option<&'r Text>),
        read: &mut ReadNamed<'_>,
    ) -> Result<Option<Self>, Fault> {
        let is_given = |text: &&Text| !text.value.is_empty();
        let key = |name: &str| format!("tls_server_config.{name}");
        match (inline.filter(is_given), file.filter(is_given)) {
            (Some(_), Some(source)) => Err(fault(
                source,
                &key(file_key),
                format!("{inline_key} is given, too; leave one of them out"),
            )),
            (Some(source), None) => {
                Ok(Some(Self { key: key(inline_key), source, bytes: source.value.clone().into_bytes() }))
            }
            (None, Some(source)) => {
                let key = key(file_key);
                let bytes = read(Path::new(&source.value)).map_err(|error| fault(source, &key, error))?;
                Ok(Some(Self { key, source, bytes }))
            }
            (None, None) => Ok(None),
        }
    }

    fn fault(&self, what: impl Display) -> Fault {
        fault(self.source, &self.key, what)
    }
}

fn client_auth(raw: &RawTls, client_ca: Option<&PemText<'_>>) -> Result<ClientAuth, Fault> {
    const KEY: &str = "tls_server_config.client_auth_type";
    let auth: ClientAuth =
        raw.client_auth_type.as_ref().map_or(Ok(ClientAuth::default()), |text| parsed(text, KEY))?;
    match (&raw.client_auth_type, client_ca) {
        (Some(text), None) if auth.verifies() => {
            return Err(fault(text, KEY, format!("{} needs client_ca or client_ca_file", text.value)));
        }
        (_, Some(pem)) if auth == ClientAuth::NoClientCert => {
            return Err(pem.fault(
                "clients are not asked for certificates; set client_auth_type to RequireAndVerifyClientCert",
            ));
        }
        _ => {}
    }
    match raw.client_allowed_sans.as_ref().and_then(|names| names.first()) {
        Some(name) if !auth.verifies() => Err(fault(
            name,
            "tls_server_config.client_allowed_sans",
            "anybody could make a certificate with that name; set client_auth_type to RequireAndVerifyClientCert",
        )),
        _ => Ok(auth),
    }
}

fn versions(raw: &RawTls) -> Result<std::ops::RangeInclusive<TlsVersion>, Fault> {
    let bound = |text: Option<&Text>, key: &str, default| match text {
        Some(text) if !text.value.is_empty() => parsed(text, key),
        _ => Ok(default),
    };
    let min = bound(raw.min_version.as_ref(), "tls_server_config.min_version", TlsVersion::Tls12)?;
    let max = bound(raw.max_version.as_ref(), "tls_server_config.max_version", TlsVersion::Tls13)?;
    match &raw.max_version {
        Some(text) if min > max => {
            Err(fault(text, "tls_server_config.max_version", "it is older than min_version"))
        }
        _ => Ok(min..=max),
    }
}
