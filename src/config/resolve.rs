//! From flags to the configuration: what goes together, what follows, what is refused.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::flags::{Flags, LimitFlags, PushFlags, WebFlags};
use super::sources::Sourced;
use super::{Config, OnDamage, Store};
use crate::aggregation::UntypedMode;
use crate::gateway::{self, Durability, Effect, Limits, QueueLimits};
use crate::http;
use crate::net;
use crate::storage::EngineKind;

/// What a request's head may hold beside its path.
const HEADER_BYTES_BESIDE_PATH: usize = 32 << 10;
/// The path must fit a buffer that every connection has.
const PATH_BYTES_MAX: usize = 1 << 20;
/// With less the engine would read its own log all the time, with more it would only take memory.
const CACHE_BYTES: RangeInclusive<usize> = 16 << 20..=64 << 20;

/// A setting that is understood but cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The flag exists for compatibility and does nothing yet.
    #[error("{flag} is not supported yet; leave it at its default")]
    NotBuilt {
        /// The flag.
        flag: &'static str,
    },
    /// The scrape's path would hide another route or be hidden by it.
    #[error("--web.telemetry-path={path}: {reason}")]
    TelemetryPath {
        /// The path given.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Durable pushes were asked for, without a place to keep them.
    #[error(
        "--persistence.durability=always needs a store, but --persistence.file is empty; \
         name a path or leave one of the two out"
    )]
    DurableWithoutStore,
    /// An interval of 0.
    #[error("--persistence.interval must be longer than 0 with --persistence.durability=interval")]
    NoInterval,
    /// A number that is too small or too large to work with.
    #[error("{flag} must be {bound}")]
    OutOfRange {
        /// The flag.
        flag: &'static str,
        /// What it must be.
        bound: &'static str,
    },
}

/// Makes the configuration.
pub(super) fn resolve(sourced: Sourced) -> Result<Config, ConfigError> {
    let Sourced { flags, durability_is_explicit } = sourced;
    refuse_not_built(&flags)?;
    let mut warnings = Vec::new();
    let store = store(&flags, durability_is_explicit, &mut warnings)?;
    let durability = durability(&flags, &store)?;
    Ok(Config {
        net: net_options(&flags)?,
        http: http_options(&flags.web, &flags.push, &flags.limits)?,
        gateway: gateway::Options {
            untyped: untyped(&flags.push.untyped),
            durability,
            limits: limits(&flags.limits)?,
            queue: QueueLimits {
                requests_max: flags.limits.queued_pushes,
                bytes_max: flags.limits.queued_bytes,
            },
        },
        store,
        listen: flags.web.listen_address,
        log_level: flags.log.level,
        log_format: flags.log.format,
        warnings,
    })
}

fn refuse_not_built(flags: &Flags) -> Result<(), ConfigError> {
    let asked_for = [
        ("--help-man", flags.help_man),
        ("--web.config.file", !flags.web.config_file.is_empty()),
        ("--web.systemd-socket", flags.web.systemd_socket),
        ("--web.enable-lifecycle", flags.web.enable_lifecycle),
        ("--web.enable-admin-api", flags.web.enable_admin_api),
        ("--web.external-url", !flags.web.external_url.is_empty()),
        // A slash alone is the original's other way to say that there is no prefix.
        ("--web.route-prefix", !matches!(flags.web.route_prefix.as_str(), "" | "/")),
        ("--push.enable-utf8-names", flags.push.enable_utf8_names),
    ];
    match asked_for.into_iter().find(|(_, is_set)| *is_set) {
        Some((flag, _)) => Err(ConfigError::NotBuilt { flag }),
        None => Ok(()),
    }
}

/// Where the store goes. A regular file at its path is an old Pushgateway's, which stays as it is.
fn store(
    flags: &Flags,
    durability_is_explicit: bool,
    warnings: &mut Vec<String>,
) -> Result<Store, ConfigError> {
    let given = &flags.persistence.file;
    if given.is_empty() {
        if durability_is_explicit && flags.persistence.durability == "always" {
            return Err(ConfigError::DurableWithoutStore);
        }
        return Ok(Store::MemoryOnly);
    }
    if !CACHE_BYTES.contains(&flags.persistence.cache_bytes) {
        return Err(ConfigError::OutOfRange {
            flag: "--persistence.cache-bytes",
            bound: "from 16MiB to 64MiB",
        });
    }
    let mut path = PathBuf::from(given);
    if path.is_file() {
        let beside = beside(&path);
        warnings.push(format!(
            "--persistence.file={} is a regular file, as Pushgateway keeps one; it is left alone, \
             and the store is {}",
            path.display(),
            beside.display()
        ));
        path = beside;
    }
    let on_damage = match flags.persistence.on_damage.as_str() {
        "quarantine" => OnDamage::Quarantine,
        _ => OnDamage::Refuse,
    };
    Ok(Store::Directory {
        path,
        // The flag takes no other names than those of engines.
        engine: EngineKind::from_name(&flags.persistence.engine).unwrap_or_default(),
        cache_bytes: flags.persistence.cache_bytes as u64,
        on_damage,
    })
}

/// `<path>.tallygate`
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tallygate");
    name.into()
}

/// Without a store there is nothing to wait for, whatever was asked.
fn durability(flags: &Flags, store: &Store) -> Result<Durability, ConfigError> {
    if *store == Store::MemoryOnly {
        return Ok(Durability::None);
    }
    match flags.persistence.durability.as_str() {
        "interval" if flags.persistence.interval.is_zero() => Err(ConfigError::NoInterval),
        "interval" => Ok(Durability::Interval(flags.persistence.interval)),
        "none" => Ok(Durability::None),
        _ => Ok(Durability::Always),
    }
}

fn untyped(text: &str) -> UntypedMode {
    match text {
        "last" => UntypedMode::Last,
        "by_suffix" => UntypedMode::BySuffix,
        _ => UntypedMode::Sum,
    }
}

/// What a method does: what is said of it counts, else what the mode says.
fn effect(mode: &str, method: Option<&str>, replacing: Effect) -> Effect {
    match method.unwrap_or(mode) {
        "replace" | "pushgateway" => replacing,
        _ => Effect::Merge,
    }
}

fn limits(flags: &LimitFlags) -> Result<Limits, ConfigError> {
    if flags.histogram_bounds == 0 {
        return Err(ConfigError::OutOfRange {
            flag: Limits::HISTOGRAM_BOUNDS_FLAG,
            bound: "at least 1, for '+Inf'",
        });
    }
    Ok(Limits {
        groups_max: flags.groups,
        series_max: flags.series,
        series_per_push_max: flags.series_per_push,
        series_per_group_max: flags.series_per_group,
        labels_per_series_max: flags.labels_per_series,
        name_bytes_max: flags.name_bytes,
        value_bytes_max: flags.value_bytes,
        help_bytes_max: flags.help_bytes,
        shapes_per_job_max: flags.shapes_per_job,
        histogram_bounds_max: flags.histogram_bounds,
        failure_only_groups_max: flags.failure_only_groups,
    })
}

fn net_options(flags: &Flags) -> Result<net::Options, ConfigError> {
    // What a tokio semaphore can count to.
    if flags.limits.connections > 1_000_000 {
        return Err(ConfigError::OutOfRange {
            flag: net::Options::CONNECTIONS_FLAG,
            bound: "at most 1000000",
        });
    }
    if flags.limits.path_bytes > PATH_BYTES_MAX {
        return Err(ConfigError::OutOfRange { flag: http::Options::PATH_BYTES_FLAG, bound: "at most 1MiB" });
    }
    Ok(net::Options {
        connections_max: flags.limits.connections,
        header_timeout: flags.web.header_timeout,
        header_bytes_max: flags.limits.path_bytes + HEADER_BYTES_BESIDE_PATH,
        write_timeout: flags.web.scrape_timeout,
        ..net::Options::default()
    })
}

fn http_options(
    flags: &WebFlags,
    push: &PushFlags,
    limits: &LimitFlags,
) -> Result<http::Options, ConfigError> {
    check_telemetry_path(&flags.telemetry_path)
        .map_err(|reason| ConfigError::TelemetryPath { path: flags.telemetry_path.clone(), reason })?;
    Ok(http::Options {
        telemetry_path: flags.telemetry_path.clone(),
        put: effect(&push.mode, push.put.as_deref(), Effect::ReplaceGroup),
        post: effect(&push.mode, push.post.as_deref(), Effect::ReplaceFamilies),
        answers_checked: !push.disable_consistency_check,
        body_bytes_max: limits.body_bytes,
        inflated_bytes_max: limits.inflated_bytes,
        path_bytes_max: limits.path_bytes,
        buffered_bytes_max: limits.buffered_bytes,
        repeat_bytes_max: limits.repeat_bytes,
        scrapes_max: flags.max_scrapes,
        scrape_timeout: flags.scrape_timeout,
        body_timeout: flags.body_timeout,
        kept_bytes_max: limits.kept_bytes,
    })
}

/// The path must be one that a request can have and that no other route answers.
fn check_telemetry_path(path: &str) -> Result<(), &'static str> {
    let lies_under =
        |root: &str| path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
    if !path.starts_with('/') {
        return Err("a path begins with '/'");
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    if !path.bytes().all(plain) {
        return Err("only letters, digits and / - . _ ~ are accepted");
    }
    if path == "/" || path == "/status" {
        return Err("this is the path of the gateway's own page, choose another");
    }
    if path.ends_with('/') || path.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) {
        return Err("a path has no empty, '.' or '..' component and no slash at its end");
    }
    let taken = ["/-", "/api", "/static", "/metrics/job", "/metrics/job@base64"];
    if taken.into_iter().any(lies_under) {
        return Err("this path belongs to the gateway's other requests, choose another");
    }
    Ok(())
}
