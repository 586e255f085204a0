//! What all handlers share.

use std::sync::Arc;

use tokio::sync::Notify;

use super::access::Access;
use super::api::Api;
use super::body::Memory;
use super::options::Options;
use super::repeats::Repeats;
use super::scrape::Scrapes;
use crate::gateway::Gateway;
use crate::telemetry::Metrics;

/// What all handlers share.
pub(super) struct Shared {
    pub(super) gateway: Gateway,
    pub(super) metrics: Arc<Metrics>,
    pub(super) options: Options,
    pub(super) memory: Memory,
    pub(super) scrapes: Scrapes,
    pub(super) repeats: Repeats,
    pub(super) api: Api,
    /// Told when somebody asks the gateway to stop.
    pub(super) quit: Notify,
    /// `None`: everybody may do everything.
    pub(super) access: Option<Access>,
}
