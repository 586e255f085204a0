//! The web configuration file as it is written: which keys there are. Every value knows its line.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

/// A text with its line.
pub(super) type Text = Spanned<String>;

/// All of the file. Keys that are not here are mistakes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    pub(super) tls_server_config: Option<RawTls>,
    pub(super) http_server_config: Option<RawHttp>,
    pub(super) basic_auth_users: Option<BTreeMap<String, Text>>,
    pub(super) rate_limit: Option<RawRateLimit>,
    pub(super) roles: Option<BTreeMap<String, Spanned<RawRole>>>,
    pub(super) open_health: Option<bool>,
}

/// TLS.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    pub(super) cert_file: Option<Text>,
    pub(super) cert: Option<Text>,
    pub(super) key_file: Option<Text>,
    pub(super) key: Option<Text>,
    pub(super) client_auth_type: Option<Text>,
    pub(super) client_ca_file: Option<Text>,
    pub(super) client_ca: Option<Text>,
    pub(super) client_allowed_sans: Option<Vec<Text>>,
    pub(super) min_version: Option<Text>,
    pub(super) max_version: Option<Text>,
    pub(super) cipher_suites: Option<Vec<Text>>,
    pub(super) curve_preferences: Option<Vec<Text>>,
    pub(super) prefer_server_cipher_suites: Option<bool>,
}

/// HTTP.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHttp {
    pub(super) http2: Option<bool>,
    pub(super) headers: Option<BTreeMap<String, Text>>,
}

/// The rate limit.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRateLimit {
    pub(super) interval: Option<Text>,
    pub(super) burst: Option<Spanned<u32>>,
}

/// What a user may do.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRole {
    pub(super) rights: Vec<Text>,
    pub(super) jobs: Option<Vec<Text>>,
}
