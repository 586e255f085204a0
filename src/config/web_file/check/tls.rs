//! TLS: what goes together, and what needs what.

use super::super::Fault;
use super::super::raw::{RawTls, Text};
use super::pem::PemText;
use super::{ReadNamed, all_parsed, fault, parsed};
use crate::net::{ClientAuth, TlsConfig, TlsError, TlsOptions, TlsVersion};

/// `None` without a certificate and everything else that would need one.
pub(super) fn tls(raw: &RawTls, http2: bool, read: &mut ReadNamed<'_>) -> Result<Option<TlsConfig>, Fault> {
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
        client_allowed_sans: client_allowed_sans(raw).iter().map(|name| name.value.clone()).collect(),
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
    if let Some(name) = client_allowed_sans(raw).first() {
        return Some(fault(name, "tls_server_config.client_allowed_sans", WHAT));
    }
    raw.client_auth_type
        .as_ref()
        .filter(|text| !matches!(text.value.as_str(), "" | "NoClientCert"))
        .map(|text| fault(text, "tls_server_config.client_auth_type", WHAT))
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
    match client_allowed_sans(raw).first() {
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

fn client_allowed_sans(raw: &RawTls) -> &[Text] {
    raw.client_allowed_sans.as_ref().and_then(|names| names.value.as_deref()).unwrap_or_default()
}
