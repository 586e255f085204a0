//! The web configuration file as it is written: which keys there are. Every value knows its line, and a section that
//! is there without anything in it is told from one that is not there.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

/// A text with its line.
pub(super) type Text = Spanned<String>;

/// What stands under a key that is there; `None` for nothing at all, which YAML calls null.
pub(super) type Given<T> = Spanned<Option<T>>;

/// The roles by the names of users.
pub(super) type RawRoles = Given<BTreeMap<String, Spanned<RawRole>>>;

/// Reads what stands under a key that is there. By itself an `Option` is `None` for null, too.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Given<T>>, D::Error> {
    Spanned::deserialize(deserializer).map(Some)
}

/// What may stand in a file without anything in it.
pub(super) trait Emptiable {
    /// Whether nothing is in it.
    fn is_empty(&self) -> bool;
}

impl<T> Emptiable for Vec<T> {
    fn is_empty(&self) -> bool {
        Vec::is_empty(self)
    }
}

impl<T> Emptiable for BTreeMap<String, T> {
    fn is_empty(&self) -> bool {
        BTreeMap::is_empty(self)
    }
}

impl Emptiable for RawTls {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Emptiable for RawRateLimit {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// All of the file. Keys that are not here are mistakes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    #[serde(default, deserialize_with = "given")]
    pub(super) tls_server_config: Option<Given<RawTls>>,
    #[serde(default, deserialize_with = "given")]
    pub(super) http_server_config: Option<Given<RawHttp>>,
    #[serde(default, deserialize_with = "given")]
    pub(super) basic_auth_users: Option<Given<BTreeMap<String, Text>>>,
    #[serde(default, deserialize_with = "given")]
    pub(super) rate_limit: Option<Given<RawRateLimit>>,
    #[serde(default, deserialize_with = "given")]
    pub(super) roles: Option<RawRoles>,
    pub(super) open_health: Option<bool>,
}

/// TLS.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    pub(super) cert_file: Option<Text>,
    pub(super) cert: Option<Text>,
    pub(super) key_file: Option<Text>,
    pub(super) key: Option<Text>,
    pub(super) client_auth_type: Option<Text>,
    pub(super) client_ca_file: Option<Text>,
    pub(super) client_ca: Option<Text>,
    #[serde(default, deserialize_with = "given")]
    pub(super) client_allowed_sans: Option<Given<Vec<Text>>>,
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
#[derive(Debug, Default, PartialEq, Deserialize)]
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
    #[serde(default, deserialize_with = "given")]
    pub(super) jobs: Option<Given<Vec<Text>>>,
}
