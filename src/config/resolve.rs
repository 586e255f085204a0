//! From flags to the configuration: what goes together, what follows, what is refused.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::flags::{Flags, LimitFlags, PushFlags, WebFlags};
use super::sources::Sourced;
use super::{Config, OnDamage, Store, WebFile, WebFileError, paths};
use crate::aggregation::UntypedMode;
use crate::gateway::{self, Durability, Effect, Limits, QueueLimits};
use crate::http;
use crate::model::NameScheme;
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
    /// The web configuration file cannot be followed.
    #[error("--web.config.file: {0}")]
    WebFile(#[from] WebFileError),
    /// A path under which nothing could be answered, or that others use.
    #[error("{flag}={value}: {reason}")]
    Path {
        /// The flag.
        flag: &'static str,
        /// What was given.
        value: String,
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
    let Sourced { flags, durability_is_explicit, values } = sourced;
    refuse_not_built(&flags)?;
    let mut warnings = Vec::new();
    let store = store(&flags, durability_is_explicit, &mut warnings)?;
    let durability = durability(&flags, &store)?;
    let web_file = Path::new(&flags.web.config_file);
    let web_file = (!web_file.as_os_str().is_empty()).then(|| WebFile::read(web_file)).transpose()?;
    warnings.extend(web_file.iter().flat_map(|file| file.settings().remarks.clone()));
    Ok(Config {
        web_file,
        unix_socket_mode: flags.web.unix_socket_mode,
        systemd_socket: flags.web.systemd_socket,
        net: net_options(&flags)?,
        http: http::Options {
            flags: values,
            names: if flags.push.enable_utf8_names { NameScheme::Utf8 } else { NameScheme::Legacy },
            ..http_options(&flags.web, &flags.push, &flags.limits)?
        },
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
    let asked_for = [("--help-man", flags.help_man)];
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
    let prefixes = paths::prefixes(flags)?;
    Ok(http::Options {
        route_prefix: prefixes.route,
        link_prefix: prefixes.link,
        telemetry_path: paths::telemetry_path(flags)?,
        lifecycle: flags.enable_lifecycle,
        admin_api: flags.enable_admin_api,
        flags: BTreeMap::new(),
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
        openmetrics: flags.enable_openmetrics,
        openmetrics_created: flags.enable_openmetrics_created,
        kept_bytes_max: limits.kept_bytes,
        ..http::Options::default()
    })
}
