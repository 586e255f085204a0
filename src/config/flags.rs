//! The flags, exactly as the user types them. This is the one definition of each.
//!
//! Knows nothing of the environment and of what values go together.

use std::ffi::OsString;
use std::time::Duration;

use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser as _};
use clap::{ArgAction, Args, Parser};

use super::{duration, size};
use crate::gateway::{Limits, QueueLimits};
use crate::http;
use crate::net::{self, ListenAddress};
use crate::storage::EngineKind;
use crate::telemetry::{LogFormat, LogLevel};

/// All flags.
#[derive(Debug, Parser)]
#[command(
    name = "tallygate",
    about = "A Pushgateway-compatible gateway that sums counters and merges histograms across pushes.",
    after_help = "Every flag can also be set by an environment variable: TALLYGATE_ and the flag's name in \
                  capitals, with '.' and '-' as '_', for example TALLYGATE_WEB_LISTEN_ADDRESS. A flag on the \
                  command line wins. \
                  Durations are written as 30s, 5m or 1h30m, sizes as 65536, 64KiB or 10MB.",
    disable_help_flag = true,
    disable_version_flag = true,
    args_override_self = false,
    override_usage = "tallygate [--flag=value ...]",
    max_term_width = 110
)]
pub(super) struct Flags {
    #[command(flatten)]
    pub(super) web: WebFlags,
    #[command(flatten)]
    pub(super) persistence: PersistenceFlags,
    #[command(flatten)]
    pub(super) push: PushFlags,
    #[command(flatten)]
    pub(super) limits: LimitFlags,
    #[command(flatten)]
    pub(super) log: LogFlags,

    /// Shows this help.
    #[arg(short = 'h', long = "help", alias = "help-long", action = ArgAction::HelpShort, help_heading = "Others")]
    help: Option<bool>,
    /// Shows the version and how the program was built.
    #[arg(long = "version", action = ArgAction::SetTrue, help_heading = "Others")]
    pub(super) version: bool,
    /// Would show a manual page.
    #[arg(long = "help-man", action = ArgAction::SetTrue, hide = true)]
    pub(super) help_man: bool,
}

/// Listening and answering.
#[derive(Debug, Args)]
#[command(next_help_heading = "Web")]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct WebFlags {
    /// Address to listen on; may be given several times, or with commas. ':9091' means all interfaces,
    /// `unix:///run/tallygate/tallygate.sock` is a unix socket.
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS",
        default_value = ":9091",
        value_delimiter = ','
    )]
    pub(super) listen_address: Vec<ListenAddress>,
    /// Path under which a scrape gets the metrics, behind the prefix.
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics")]
    pub(super) telemetry_path: String,
    /// Scrapes under way at a time; more are answered 503.
    #[arg(long = long(http::Options::SCRAPES_FLAG), value_name = "N",
          default_value_t = http::Options::default().scrapes_max, value_parser = at_least_one)]
    pub(super) max_scrapes: usize,
    /// How long a scrape may take, until its last byte was sent.
    #[arg(long = "web.scrape-timeout", value_name = "DURATION", default_value = "1m",
          value_parser = timeout)]
    pub(super) scrape_timeout: Duration,
    /// Answers in OpenMetrics whoever prefers it, as Prometheus does, which then names every counter with
    /// '_total'. Without it only those get it that do not take the text format as well.
    #[arg(long = "web.enable-openmetrics", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    pub(super) enable_openmetrics: bool,
    /// Says in OpenMetrics when each series began, by lines of their own ('_created').
    #[arg(long = "web.enable-openmetrics-created", value_name = "BOOL", num_args = 0..=1,
          require_equals = true, default_missing_value = "true", default_value_t = false,
          action = ArgAction::Set)]
    pub(super) enable_openmetrics_created: bool,
    /// How long the body of a push may take to arrive.
    #[arg(long = "web.body-timeout", value_name = "DURATION", default_value = "1m", value_parser = timeout)]
    pub(super) body_timeout: Duration,
    /// How long the head of a request may take, and how long a connection may be idle.
    #[arg(long = "web.header-timeout", value_name = "DURATION", default_value = "30s",
          value_parser = timeout)]
    pub(super) header_timeout: Duration,
    /// File with TLS, passwords, roles, a rate limit and headers; it is read again when it changes.
    #[arg(long = "web.config.file", value_name = "FILE", default_value = "",
          value_parser = OsStringValueParser::new())]
    pub(super) config_file: OsString,
    /// Permissions of unix sockets, in octal: who may write may connect.
    #[arg(long = "web.unix-socket-mode", value_name = "MODE", default_value = "0660",
          value_parser = file_mode)]
    pub(super) unix_socket_mode: u32,
    /// Listen on the sockets that systemd passes, and not on --web.listen-address.
    #[arg(long = "web.systemd-socket", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    pub(super) systemd_socket: bool,
    /// Lets a PUT or POST of '/-/quit' stop the gateway.
    #[arg(long = "web.enable-lifecycle", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    pub(super) enable_lifecycle: bool,
    /// Lets a PUT of '/api/v1/admin/wipe' delete all groups.
    #[arg(long = "web.enable-admin-api", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    pub(super) enable_admin_api: bool,
    /// URL under which the gateway is reached from outside; its path is the prefix of links, and of all paths unless
    /// --web.route-prefix says otherwise.
    #[arg(long = "web.external-url", value_name = "URL", default_value = "")]
    pub(super) external_url: String,
    /// Prefix of all paths; '/' for none.
    #[arg(long = "web.route-prefix", value_name = "PATH", default_value = "")]
    pub(super) route_prefix: String,
}

/// Keeping.
#[derive(Debug, Args)]
#[command(next_help_heading = "Persistence")]
pub(super) struct PersistenceFlags {
    /// Directory of the store, created where it is missing; empty keeps everything in memory only.
    #[arg(long = "persistence.file", value_name = "PATH", default_value = "tallygate.sled",
          value_parser = OsStringValueParser::new())]
    pub(super) file: OsString,
    /// What keeps the store. A store can only be opened by the engine that made it.
    #[arg(long = "persistence.engine", value_name = "ENGINE", default_value = EngineKind::default().name(),
          value_parser = choice(EngineKind::NAMES))]
    pub(super) engine: String,
    /// How much later than the push the store is written, with --persistence.durability=interval.
    #[arg(long = "persistence.interval", value_name = "DURATION", default_value = "5m",
          value_parser = duration::parse)]
    pub(super) interval: Duration,
    /// When the store is written: before a push is acknowledged, every interval, or only at a clean stop.
    #[arg(long = "persistence.durability", value_name = "WHEN", default_value = "always",
          value_parser = choice(["always", "interval", "none"]))]
    pub(super) durability: String,
    /// Whether a damaged store stops the start or is renamed aside, to start empty.
    #[arg(long = "persistence.on-damage", value_name = "WHAT", default_value = "refuse",
          value_parser = choice(["refuse", "quarantine"]))]
    pub(super) on_damage: String,
    /// Memory that the store may use to cache what it has on disk; from 16MiB to 64MiB.
    #[arg(long = "persistence.cache-bytes", value_name = "SIZE", default_value = "16MiB",
          value_parser = size::parse)]
    pub(super) cache_bytes: usize,
}

/// Merging.
#[derive(Debug, Args)]
#[command(next_help_heading = "Push")]
pub(super) struct PushFlags {
    /// Whether pushes add to what is stored, or take its place as in Pushgateway. --push.put and --push.post say it
    /// for one method.
    #[arg(long = "push.mode", value_name = "MODE", default_value = "aggregate",
          value_parser = choice(["aggregate", "pushgateway"]))]
    pub(super) mode: String,
    /// Whether a PUT is merged into its group or takes its place: 'merge' or 'replace'; by default as --push.mode
    /// says.
    #[arg(long = "push.put", value_name = "HOW", value_parser = choice(["merge", "replace"]))]
    pub(super) put: Option<String>,
    /// Whether the families of a POST are merged into those of the same names or take their place: 'merge' or
    /// 'replace'; by default as --push.mode says.
    #[arg(long = "push.post", value_name = "HOW", value_parser = choice(["merge", "replace"]))]
    pub(super) post: Option<String>,
    /// How metrics without a TYPE merge: add up, keep the newest, or add up those named like counters.
    #[arg(long = "push.untyped", value_name = "HOW", default_value = "sum",
          value_parser = choice(["sum", "last", "by_suffix"]))]
    pub(super) untyped: String,
    /// Accepts any text as a metric's or label's name, quoted in the body, and decodes the names of labels in the
    /// path that begin with 'U__'.
    #[arg(long = "push.enable-utf8-names", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    pub(super) enable_utf8_names: bool,
    /// Answer a push 202 and not 200, as Pushgateway does without its check. It is checked all the same.
    #[arg(long = "push.disable-consistency-check", value_name = "BOOL", num_args = 0..=1,
          require_equals = true, default_missing_value = "true", default_value_t = false,
          action = ArgAction::Set)]
    pub(super) disable_consistency_check: bool,
}

/// Limits.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitFlags {
    /// Groups stored.
    #[arg(long = long(Limits::GROUPS_FLAG), value_name = "N",
          default_value_t = Limits::default().groups_max)]
    pub(super) groups: usize,
    /// Series stored in all groups; a histogram or a summary is one.
    #[arg(long = long(Limits::SERIES_FLAG), value_name = "N",
          default_value_t = Limits::default().series_max)]
    pub(super) series: usize,
    /// Series in one push.
    #[arg(long = long(Limits::SERIES_PER_PUSH_FLAG), value_name = "N",
          default_value_t = Limits::default().series_per_push_max)]
    pub(super) series_per_push: usize,
    /// Series in one group.
    #[arg(long = long(Limits::SERIES_PER_GROUP_FLAG), value_name = "N",
          default_value_t = Limits::default().series_per_group_max)]
    pub(super) series_per_group: usize,
    /// Labels of a series, those of the path included; also of a sample, those without a value included.
    #[arg(long = long(Limits::LABELS_PER_SERIES_FLAG), value_name = "N",
          default_value_t = Limits::default().labels_per_series_max)]
    pub(super) labels_per_series: usize,
    /// Bytes of a metric or label name.
    #[arg(long = long(Limits::NAME_BYTES_FLAG), value_name = "SIZE",
          default_value = shown(Limits::default().name_bytes_max), value_parser = size::parse)]
    pub(super) name_bytes: usize,
    /// Bytes of a label value.
    #[arg(long = long(Limits::VALUE_BYTES_FLAG), value_name = "SIZE",
          default_value = shown(Limits::default().value_bytes_max), value_parser = size::parse)]
    pub(super) value_bytes: usize,
    /// Bytes of a HELP text.
    #[arg(long = long(Limits::HELP_BYTES_FLAG), value_name = "SIZE",
          default_value = shown(Limits::default().help_bytes_max), value_parser = size::parse)]
    pub(super) help_bytes: usize,
    /// Different sets of grouping label names among the groups of one job.
    #[arg(long = long(Limits::SHAPES_PER_JOB_FLAG), value_name = "N",
          default_value_t = Limits::default().shapes_per_job_max)]
    pub(super) shapes_per_job: usize,
    /// Distinct bounds of a histogram, '+Inf' included; also quantiles of a summary.
    #[arg(long = long(Limits::HISTOGRAM_BOUNDS_FLAG), value_name = "N",
          default_value_t = Limits::default().histogram_bounds_max)]
    pub(super) histogram_bounds: usize,
    /// Groups that hold nothing but the time of a refused push; the oldest go first.
    #[arg(long = long(Limits::FAILURE_ONLY_GROUPS_FLAG), value_name = "N",
          default_value_t = Limits::default().failure_only_groups_max)]
    pub(super) failure_only_groups: usize,
    /// Pushes that wait to be stored; more are answered 503.
    #[arg(long = long(QueueLimits::REQUESTS_FLAG), value_name = "N",
          default_value_t = QueueLimits::default().requests_max, value_parser = at_least_one)]
    pub(super) queued_pushes: usize,
    /// Bytes of pushes that wait to be stored; more are answered 503.
    #[arg(long = long(QueueLimits::BYTES_FLAG), value_name = "SIZE",
          default_value = shown(QueueLimits::default().bytes_max), value_parser = size::parse)]
    pub(super) queued_bytes: usize,
    /// Bytes of a push as it is sent.
    #[arg(long = long(http::Options::BODY_BYTES_FLAG), value_name = "SIZE",
          default_value = shown(http::Options::default().body_bytes_max), value_parser = size::parse)]
    pub(super) body_bytes: usize,
    /// Bytes of a compressed push once it is inflated.
    #[arg(long = long(http::Options::INFLATED_BYTES_FLAG), value_name = "SIZE",
          default_value = shown(http::Options::default().inflated_bytes_max), value_parser = size::parse)]
    pub(super) inflated_bytes: usize,
    /// Bytes of all pushes together that are arriving or wait to be stored; more are answered 503.
    #[arg(long = long(http::Options::BUFFERED_BYTES_FLAG), value_name = "SIZE",
          default_value = shown(http::Options::default().buffered_bytes_max), value_parser = size::parse)]
    pub(super) buffered_bytes: usize,
    /// Bytes kept to recognise pushes that repeat earlier ones with other numbers, which makes them cheap;
    /// 0 for none.
    #[arg(long = long(http::Options::REPEAT_BYTES_FLAG), value_name = "SIZE",
          default_value = shown(http::Options::default().repeat_bytes_max), value_parser = size::parse)]
    pub(super) repeat_bytes: usize,
    /// Bytes of text kept from one scrape for the next, which makes it cheap; what is beyond is written anew
    /// each time.
    #[arg(long = long(http::Options::KEPT_BYTES_FLAG), value_name = "SIZE",
          default_value = shown(http::Options::default().kept_bytes_max), value_parser = size::parse)]
    pub(super) kept_bytes: usize,
    /// Bytes of a request's path; at most 1MiB.
    #[arg(long = long(http::Options::PATH_BYTES_FLAG), value_name = "SIZE",
          default_value = shown(http::Options::default().path_bytes_max), value_parser = size::parse)]
    pub(super) path_bytes: usize,
    /// Connections at a time; more wait until one ends.
    #[arg(long = long(net::Options::CONNECTIONS_FLAG), value_name = "N",
          default_value_t = net::Options::default().connections_max, value_parser = at_least_one)]
    pub(super) connections: usize,
}

/// Logging.
#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
pub(super) struct LogFlags {
    /// Only events of this level and the more severe ones are logged.
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info",
          value_parser = choice(LogLevel::NAMES).try_map(|name| name.parse::<LogLevel>()))]
    pub(super) level: LogLevel,
    /// How events are written.
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt",
          value_parser = choice(LogFormat::NAMES).try_map(|name| name.parse::<LogFormat>()))]
    pub(super) format: LogFormat,
}

/// The flag without its dashes, as clap wants it.
fn long(flag: &'static str) -> &'static str {
    flag.strip_prefix("--").expect("every flag begins with two dashes")
}

fn choice<const N: usize>(names: [&'static str; N]) -> PossibleValuesParser {
    PossibleValuesParser::new(names)
}

fn shown(bytes: usize) -> String {
    size::display(bytes)
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err(format!("'{text}' is not a whole number")),
    }
}

fn file_mode(text: &str) -> Result<u32, String> {
    let is_octal = text.len() <= 4 && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    match u32::from_str_radix(text, 8) {
        Ok(mode @ 0..=0o777) if is_octal => Ok(mode),
        _ => Err(format!("'{text}' is not a file mode, 0660 is for example")),
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    match duration::parse(text)? {
        Duration::ZERO => Err("must be longer than 0".to_owned()),
        duration => Ok(duration),
    }
}
