//! What can be set about the HTTP side, and the flags that set it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::gateway::Effect;
use crate::model::NameScheme;

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is switched by itself")]
pub struct Options {
    /// What all paths begin with: nothing, or a slash and more, without a slash at the end.
    pub route_prefix: String,
    /// What paths begin with for those who come through a proxy: where the links of pages lead to.
    pub link_prefix: String,
    /// The path of the scrape, behind the prefix; starts with a slash. Push paths start with `/metrics`
    /// whatever it is.
    pub telemetry_path: String,
    /// Whether the gateway can be stopped by a request.
    pub lifecycle: bool,
    /// Whether everything can be wiped by a request.
    pub admin_api: bool,
    /// All flags with their values, by name, as the JSON API shows them.
    pub flags: BTreeMap<String, String>,
    /// What a PUT does to the group that it is sent to.
    pub put: Effect,
    /// What a POST does to the group that it is sent to.
    pub post: Effect,
    /// Whether a push that is stored is answered 200, and not 202 as Pushgateway answers one that it has not looked
    /// at yet. It changes nothing else.
    pub answers_checked: bool,
    /// Bytes of a request path as sent, its query aside.
    pub path_bytes_max: usize,
    /// Bytes of a request body as sent.
    pub body_bytes_max: usize,
    /// Bytes of a request body once inflated.
    pub inflated_bytes_max: usize,
    /// Bytes of all bodies together that are being received or wait to be stored, inflated ones included.
    pub buffered_bytes_max: usize,
    /// Bytes that may be kept to recognise pushes that repeat earlier ones.
    pub repeat_bytes_max: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// Scrapes that wait or are being served at one time.
    pub scrapes_max: usize,
    /// How long a client may take to read a scrape.
    pub scrape_timeout: Duration,
    /// Whether a reader that prefers OpenMetrics gets it, even if it takes text 0.0.4 as well.
    pub openmetrics: bool,
    /// Whether OpenMetrics says when series began.
    pub openmetrics_created: bool,
    /// Which names pushes may use.
    pub names: NameScheme,
    /// Bytes of exposition text that are kept from one scrape for the next.
    pub kept_bytes_max: usize,
}

impl Options {
    /// The flag that sets [`Options::path_bytes_max`].
    pub const PATH_BYTES_FLAG: &str = "--limit.path-bytes";
    /// The flag that sets [`Options::body_bytes_max`].
    pub const BODY_BYTES_FLAG: &str = "--limit.body-bytes";
    /// The flag that sets [`Options::inflated_bytes_max`].
    pub const INFLATED_BYTES_FLAG: &str = "--limit.inflated-bytes";
    /// The flag that sets [`Options::buffered_bytes_max`].
    pub const BUFFERED_BYTES_FLAG: &str = "--limit.buffered-bytes";
    /// The flag that sets [`Options::repeat_bytes_max`].
    pub const REPEAT_BYTES_FLAG: &str = "--limit.repeat-bytes";
    /// The flag that sets [`Options::scrapes_max`].
    pub const SCRAPES_FLAG: &str = "--web.max-scrapes";
    /// The flag that sets [`Options::kept_bytes_max`].
    pub const KEPT_BYTES_FLAG: &str = "--limit.kept-bytes";
}

impl Default for Options {
    fn default() -> Self {
        Self {
            route_prefix: String::new(),
            link_prefix: String::new(),
            telemetry_path: "/metrics".to_owned(),
            lifecycle: false,
            admin_api: false,
            flags: BTreeMap::new(),
            put: Effect::Merge,
            post: Effect::Merge,
            answers_checked: true,
            path_bytes_max: 32 << 10,
            body_bytes_max: 32 << 20,
            inflated_bytes_max: 128 << 20,
            buffered_bytes_max: 512 << 20,
            repeat_bytes_max: 32 << 20,
            body_timeout: Duration::from_mins(1),
            scrapes_max: 64,
            scrape_timeout: Duration::from_mins(1),
            openmetrics: false,
            openmetrics_created: false,
            names: NameScheme::default(),
            kept_bytes_max: 256 << 20,
        }
    }
}
