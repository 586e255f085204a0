//! Command lines and environments, and what they come to.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::time::Duration;

use clap::CommandFactory as _;
use proptest::prelude::*;

use super::*;
use crate::aggregation::UntypedMode;
use crate::gateway::{Durability, Limits, QueueLimits};

/// The configuration of a command line (split at blanks) and some environment variables.
fn config_of(line: &str, environment: &[(&str, &str)]) -> Result<Config, Exit> {
    let arguments: Vec<OsString> = line.split(' ').filter(|word| !word.is_empty()).map(Into::into).collect();
    Config::from_sources(arguments, |name| {
        environment.iter().find(|(own, _)| *own == name).map(|(_, value)| value.into())
    })
}

fn config(line: &str) -> Config {
    config_of(line, &[]).unwrap()
}

fn usage_error(line: &str, environment: &[(&str, &str)]) -> String {
    match config_of(line, environment) {
        Err(Exit::Usage(what)) => what,
        other => panic!("{line}: no usage error but {other:?}"),
    }
}

#[test]
fn the_defaults_are_those_of_the_rooms() {
    let config = config("");
    assert_eq!(config.listen, [":9091".parse().unwrap()]);
    assert_eq!(config.http, http::Options { flags: config.http.flags.clone(), ..http::Options::default() });
    assert_eq!(config.gateway.limits, Limits::default());
    assert_eq!(config.gateway.queue, QueueLimits::default());
    assert_eq!(config.gateway.durability, Durability::Always);
    assert_eq!(config.gateway.untyped, UntypedMode::Sum);
    assert_eq!(config.net, net::Options::default());
    let Store::Directory { path, on_damage, .. } = config.store else { panic!("no store") };
    assert_eq!((path.to_str(), on_damage), (Some("tallygate.sled"), OnDamage::Refuse));
    assert!(config.warnings.is_empty());
    assert!(config.web_file.is_none() && !config.systemd_socket);
    assert_eq!(config.unix_socket_mode, 0o660);
}

#[test]
fn addresses_of_all_kinds_go_together() {
    let config = config("--web.listen-address=:1,unix:///run/x.sock --web.unix-socket-mode=600");
    assert_eq!(
        config.listen.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [":1", "unix:///run/x.sock"]
    );
    assert_eq!(config.unix_socket_mode, 0o600);
    assert!(super::tests::config("--web.systemd-socket").systemd_socket);
}

#[test]
fn the_unit_of_the_tutorials_works_unchanged() {
    let config = config(
        "--web.listen-address=:9091 --web.telemetry-path=/metrics \
         --persistence.file=/tmp/no-such/metric.store --persistence.interval=5m --log.level=info \
         --log.format=json",
    );
    assert_eq!((config.log_level, config.log_format), (LogLevel::Info, LogFormat::Json));
    assert_eq!(config.gateway.durability, Durability::Always);
}

#[test]
fn flags_are_spelled_as_kingpin_spells_them() {
    assert_eq!(config("--log.level debug").log_level, LogLevel::Debug);
    assert_eq!(config("--log.level=debug").log_level, LogLevel::Debug);
    config("--no-web.enable-lifecycle --no-push.enable-utf8-names");
    let two = config("--web.listen-address=:1 --web.listen-address localhost:2");
    assert_eq!(two.listen.iter().map(ToString::to_string).collect::<Vec<_>>(), [":1", "localhost:2"]);
}

#[test]
fn mistakes_are_told_in_one_line() {
    for (line, message) in [
        ("--nope", "unknown long flag '--nope'"),
        ("--no-log.level", "unknown long flag '--no-log.level'"),
        ("-x", "unknown short flag '-x'"),
        ("serve", "unexpected 'serve', only flags are accepted"),
        ("--log.level", "expected argument for flag '--log.level'"),
        ("--log.level=loud", "--log.level must be one of debug,info,warn,error, got 'loud'"),
        ("--log.level=info --log.level=info", "flag '--log.level' cannot be repeated"),
        ("--persistence.interval=5", "--persistence.interval: '5' is not a duration"),
        ("--limit.body-bytes=many", "--limit.body-bytes: 'many' is not a size"),
        ("--limit.groups=many", "--limit.groups: invalid digit"),
        ("--limit.connections=0", "--limit.connections: must be at least 1"),
        ("--limit.connections=9999999", "--limit.connections must be at most 1000000"),
        ("--limit.path-bytes=2MiB", "--limit.path-bytes must be at most 1MiB"),
        ("--limit.histogram-bounds=0", "--limit.histogram-bounds must be at least 1"),
        ("--web.scrape-timeout=0", "--web.scrape-timeout: must be longer than 0"),
        ("--web.listen-address=9091", "--web.listen-address: missing port"),
        ("--web.listen-address=", "--web.listen-address: missing port"),
        ("--web.listen-address=unix://x.sock", "--web.listen-address: 'x.sock' is not an absolute path"),
        ("--web.unix-socket-mode=rw", "--web.unix-socket-mode: 'rw' is not a file mode"),
        ("--web.unix-socket-mode=1777", "--web.unix-socket-mode: '1777' is not a file mode"),
        ("--web.unix-socket-mode=+77", "--web.unix-socket-mode: '+77' is not a file mode"),
        ("--web.config.file=/no/such", "--web.config.file: /no/such: cannot read /no/such: "),
        ("--persistence.cache-bytes=1", "--persistence.cache-bytes must be from 16MiB to 64MiB"),
    ] {
        let what = usage_error(line, &[]);
        assert!(what.starts_with(message), "{line}: {what}");
        assert!(!what.contains('\n'), "{line}: {what}");
    }
}

#[test]
fn help_and_version_go_to_stdout_whatever_else_is_there() {
    for line in ["-h", "--help", "--help-long", "--log.level=info --help"] {
        let Err(Exit::Asked(text)) = config_of(line, &[]) else { panic!("{line}: no help") };
        assert!(text.contains("--persistence.durability") && text.contains("Limits:"), "{text}");
    }
    let version = config_of("--version", &[("TALLYGATE_LOG_LEVEL", "loud")]);
    let Err(exit @ Exit::Asked(_)) = &version else { panic!("no version") };
    let Exit::Asked(text) = exit else { unreachable!() };
    let first = text.lines().next().unwrap();
    assert!(
        first.starts_with(concat!("tallygate, version ", env!("CARGO_PKG_VERSION"), " (branch: ")),
        "{first}"
    );
    assert!(first.contains(", revision: "), "{first}");
    assert_eq!(exit.report(), 0);
    assert_eq!(Exit::Usage("x".to_owned()).report(), 1);
}

#[test]
fn the_environment_sets_what_the_command_line_does_not() {
    let environment = [
        ("TALLYGATE_LOG_LEVEL", "debug"),
        ("TALLYGATE_LOG_FORMAT", "json"),
        ("TALLYGATE_WEB_LISTEN_ADDRESS", ":1,:2"),
        ("TALLYGATE_LIMIT_SERIES_PER_PUSH", "7"),
        ("TALLYGATE_WEB_ENABLE_LIFECYCLE", "false"),
        ("TALLYGATE_WEB_TELEMETRY_PATH", ""),
        ("TALLYGATE_PORT", "tcp://10.0.0.1:9091"),
        ("TALLYGATE_HELP", "true"),
        ("TALLYGATE_VERSION", "true"),
    ];
    let config = config_of("--log.level=warn", &environment).unwrap();
    assert_eq!((config.log_level, config.log_format), (LogLevel::Warn, LogFormat::Json));
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.gateway.limits.series_per_push_max, 7);
    assert_eq!(config.http.telemetry_path, "/metrics");
}

#[test]
fn a_mistake_in_the_environment_names_the_variable() {
    let what = usage_error("--log.format=json", &[("TALLYGATE_LOG_LEVEL", "loud")]);
    assert!(
        what.starts_with("environment variable TALLYGATE_LOG_LEVEL: --log.level must be one of"),
        "{what}"
    );
}

#[test]
fn what_is_not_built_yet_stops_the_start_only_when_it_is_set() {
    assert_eq!(usage_error("--help-man", &[]), "--help-man is not supported yet; leave it at its default");
    config("--web.config.file= --web.external-url= --web.route-prefix=/ --no-web.systemd-socket");
}

#[test]
fn an_empty_path_keeps_everything_in_memory_unless_durability_was_asked_for() {
    let memory = config("--persistence.file=");
    assert_eq!((memory.store, memory.gateway.durability), (Store::MemoryOnly, Durability::None));
    assert_eq!(config("--persistence.file= --persistence.durability=interval").store, Store::MemoryOnly);
    let always = "needs a store, but --persistence.file is empty";
    assert!(usage_error("--persistence.file= --persistence.durability=always", &[]).contains(always));
    assert!(
        usage_error("--persistence.file=", &[("TALLYGATE_PERSISTENCE_DURABILITY", "always")])
            .contains(always)
    );
}

#[test]
fn a_regular_file_at_the_path_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("metric.store");
    let line = format!("--persistence.file={}", file.display());
    let path_of = |config: &Config| match &config.store {
        Store::Directory { path, .. } => path.clone(),
        Store::MemoryOnly => panic!("no store"),
    };
    let fresh = config(&line);
    assert_eq!((path_of(&fresh), fresh.warnings.len()), (file.clone(), 0));
    std::fs::write(&file, "old").unwrap();
    let beside = config(&line);
    assert_eq!(path_of(&beside), directory.path().join("metric.store.tallygate"));
    assert!(beside.warnings[0].contains("metric.store.tallygate"), "{:?}", beside.warnings);
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert_eq!(path_of(&config(&line)), file);
}

#[test]
fn durability_and_untyped_are_followed() {
    let config =
        config("--persistence.durability=interval --persistence.interval=90s --push.untyped=by_suffix");
    assert_eq!(config.gateway.durability, Durability::Interval(Duration::from_secs(90)));
    assert_eq!(config.gateway.untyped, UntypedMode::BySuffix);
    let none = super::tests::config("--persistence.durability=none --push.untyped=last");
    assert_eq!((none.gateway.durability, none.gateway.untyped), (Durability::None, UntypedMode::Last));
    let line = "--persistence.durability=interval --persistence.interval=0";
    assert!(usage_error(line, &[]).starts_with("--persistence.interval must be longer than 0"));
    super::tests::config("--persistence.interval=0");
}

#[test]
fn a_method_does_what_is_said_of_it_and_else_what_the_mode_says() {
    use crate::gateway::Effect::{Merge, ReplaceFamilies, ReplaceGroup};
    for (line, put, post) in [
        ("", Merge, Merge),
        ("--push.mode=aggregate --push.put=replace", ReplaceGroup, Merge),
        ("--push.post=replace", Merge, ReplaceFamilies),
        ("--push.mode=pushgateway", ReplaceGroup, ReplaceFamilies),
        ("--push.mode=pushgateway --push.put=merge", Merge, ReplaceFamilies),
        ("--push.post=merge --push.mode=pushgateway", ReplaceGroup, Merge),
    ] {
        let http = config(line).http;
        assert_eq!((http.put, http.post, http.answers_checked), (put, post, true), "{line}");
    }
    assert!(!config("--push.disable-consistency-check").http.answers_checked);
}

#[test]
fn the_engine_is_chosen_by_name() {
    let engine_of = |config: Config| match config.store {
        Store::Directory { engine, .. } => engine,
        Store::MemoryOnly => panic!("no store"),
    };
    assert_eq!(engine_of(config("")), EngineKind::Sled);
    assert_eq!(engine_of(config("--persistence.engine=sled")), EngineKind::Sled);
    assert_eq!(engine_of(config("--persistence.engine=redb")), EngineKind::Redb);
    let error = usage_error("--persistence.engine=paper", &[]);
    assert!(error.contains("--persistence.engine") && error.contains("sled,redb"), "{error}");
}

#[test]
fn a_damaged_store_may_be_put_aside() {
    let Store::Directory { on_damage, cache_bytes, .. } =
        config("--persistence.on-damage=quarantine --persistence.cache-bytes=48MiB").store
    else {
        panic!("no store")
    };
    assert_eq!((on_damage, cache_bytes), (OnDamage::Quarantine, 48 << 20));
}

#[test]
fn the_prefix_is_that_of_the_external_url_unless_it_is_given() {
    for (url, prefix, route, link) in [
        ("", "", "", ""),
        ("", "/", "", ""),
        ("", "x", "/x", "/x"),
        ("", "//", "", ""),
        ("", "/x/y/", "/x/y", "/x/y"),
        ("http://ex.org/some/path/", "", "/some/path", "/some/path"),
        ("https://ex.org:8080", "", "", ""),
        ("HTTP://user@ex.org/", "", "", ""),
        ("/some/path", "", "/some/path", "/some/path"),
        ("http://ex.org/some/path/", "/", "", "/some/path"),
        ("http://ex.org/some/path/", "/x", "/x", "/some/path"),
        ("http://ex.org", "/x", "/x", ""),
    ] {
        let line = format!("--web.external-url={url} --web.route-prefix={prefix}");
        let http = config(&line).http;
        assert_eq!((http.route_prefix.as_str(), http.link_prefix.as_str()), (route, link), "{line}");
    }
    for (line, reason) in [
        ("--web.route-prefix=/a b", "--web.route-prefix=/a b: only letters"),
        ("--web.route-prefix=/a//b", "--web.route-prefix=/a//b: a path has no empty"),
        ("--web.route-prefix=/../a", "--web.route-prefix=/../a: a path has no empty"),
        ("--web.external-url=ex.org", "--web.external-url=ex.org: write it as http://host/path"),
        ("--web.external-url=ftp://ex.org/", "--web.external-url=ftp://ex.org/: write it as"),
        ("--web.external-url=http:///x", "--web.external-url=http:///x: write it as"),
        ("--web.external-url=http://ex.org/?x", "--web.external-url=http://ex.org/?x: only the path"),
        ("--web.external-url=http://ex.org/#x", "--web.external-url=http://ex.org/#x: only the path"),
        ("--web.external-url=http://ex.org/a%20b", "--web.external-url=http://ex.org/a%20b: only letters"),
    ] {
        let arguments = [OsString::from(line)];
        let Err(Exit::Usage(what)) = Config::from_sources(arguments, |_| None) else { panic!("{line}") };
        assert!(what.starts_with(reason), "{line}: {what}");
    }
}

#[test]
fn what_stops_or_wipes_the_gateway_is_off_unless_it_is_asked_for() {
    let off = config("").http;
    assert!(!off.lifecycle && !off.admin_api);
    let on = config("--web.enable-lifecycle --web.enable-admin-api").http;
    assert!(on.lifecycle && on.admin_api);
}

#[test]
fn every_flag_is_shown_with_its_value() {
    let environment = [("TALLYGATE_WEB_ENABLE_LIFECYCLE", "true")];
    let line =
        "--web.listen-address=:1 --web.listen-address=:2 --persistence.interval=90s --limit.body-bytes=1MiB";
    let shown = config_of(line, &environment).unwrap().http.flags;
    for (flag, value) in [
        ("web.listen-address", ":1,:2"),
        ("web.telemetry-path", "/metrics"),
        ("web.enable-lifecycle", "true"),
        ("web.enable-admin-api", "false"),
        ("web.external-url", ""),
        ("persistence.interval", "1m30s"),
        ("web.scrape-timeout", "1m0s"),
        ("limit.body-bytes", "1MiB"),
        ("log.level", "info"),
    ] {
        assert_eq!(shown.get(flag).map(String::as_str), Some(value), "{flag}");
    }
    for flag in ["help", "version", "help-man"] {
        assert!(!shown.contains_key(flag), "{flag}");
    }
    let documented = flags::Flags::command();
    let settable = documented.get_arguments().filter(|argument| argument.get_action().takes_values());
    assert_eq!(settable.count(), shown.len());
}

#[test]
fn a_telemetry_path_is_free_but_for_what_others_use() {
    for path in ["/m", "/metrics/all", "/metrics/jobs", "/statuses", "/a/b.c-d_e~f", "/-m"] {
        assert_eq!(config(&format!("--web.telemetry-path={path}")).http.telemetry_path, path);
    }
    for (path, reason) in [
        ("", "begins with '/'"),
        ("metrics", "begins with '/'"),
        ("/", "own page"),
        ("/status", "own page"),
        ("/-/healthy", "other requests"),
        ("/-", "other requests"),
        ("/api/v1/metrics", "other requests"),
        ("/metrics/job", "other requests"),
        ("/metrics/job/x", "other requests"),
        ("/metrics/job@base64", "only letters"),
        ("/metrics/job/x/", "no slash at its end"),
        ("/metrics/", "no slash at its end"),
        ("/a//b", "no empty"),
        ("/a/../b", "no empty"),
        ("/{a}", "only letters"),
        ("/a?b", "only letters"),
        ("/%61", "only letters"),
    ] {
        let what = usage_error(&format!("--web.telemetry-path={path}"), &[]);
        assert!(what.contains(reason), "{path}: {what}");
    }
}

#[test]
fn every_limit_reaches_its_place() {
    let flags = [
        Limits::GROUPS_FLAG,
        Limits::SERIES_FLAG,
        Limits::SERIES_PER_PUSH_FLAG,
        Limits::SERIES_PER_GROUP_FLAG,
        Limits::LABELS_PER_SERIES_FLAG,
        Limits::NAME_BYTES_FLAG,
        Limits::VALUE_BYTES_FLAG,
        Limits::HELP_BYTES_FLAG,
        Limits::SHAPES_PER_JOB_FLAG,
        Limits::HISTOGRAM_BOUNDS_FLAG,
        Limits::FAILURE_ONLY_GROUPS_FLAG,
        QueueLimits::REQUESTS_FLAG,
        QueueLimits::BYTES_FLAG,
        http::Options::BODY_BYTES_FLAG,
        http::Options::INFLATED_BYTES_FLAG,
        http::Options::PATH_BYTES_FLAG,
        http::Options::BUFFERED_BYTES_FLAG,
        http::Options::SCRAPES_FLAG,
        http::Options::KEPT_BYTES_FLAG,
        http::Options::REPEAT_BYTES_FLAG,
        net::Options::CONNECTIONS_FLAG,
    ];
    let line: Vec<String> = flags.iter().zip(1..).map(|(flag, n)| format!("{flag}={n}")).collect();
    let Config { gateway: gateway::Options { limits, queue, .. }, http, net, .. } = config(&line.join(" "));
    let found = [
        limits.groups_max,
        limits.series_max,
        limits.series_per_push_max,
        limits.series_per_group_max,
        limits.labels_per_series_max,
        limits.name_bytes_max,
        limits.value_bytes_max,
        limits.help_bytes_max,
        limits.shapes_per_job_max,
        limits.histogram_bounds_max,
        limits.failure_only_groups_max,
        queue.requests_max,
        queue.bytes_max,
        http.body_bytes_max,
        http.inflated_bytes_max,
        http.path_bytes_max,
        http.buffered_bytes_max,
        http.scrapes_max,
        http.kept_bytes_max,
        http.repeat_bytes_max,
        net.connections_max,
    ];
    assert_eq!(found.to_vec(), (1..=flags.len()).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn no_command_line_makes_it_panic(
        words in prop::collection::vec(
            "(--(no-)?(log\\.level|limit\\.groups|web\\.listen-address|help|x)=?)?[ -~]{0,8}",
            0..4,
        )
    ) {
        let arguments: Vec<OsString> = words.iter().map(Into::into).collect();
        if let Err(Exit::Usage(what)) = Config::from_sources(arguments, |_| None) {
            prop_assert!(!what.is_empty());
        }
    }
}

/// The table of all flags as the documentation shows it.
fn table_of_flags() -> String {
    let mut table = String::new();
    let mut heading = String::new();
    let command = flags::Flags::command();
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        let name = argument.get_long().unwrap();
        let own_heading = argument.get_help_heading().unwrap();
        if own_heading != heading {
            own_heading.clone_into(&mut heading);
            write!(table, "\n### {heading}\n\n| flag | default | meaning |\n| --- | --- | --- |\n").unwrap();
        }
        let defaults: Vec<_> =
            argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let default =
            if defaults.concat().is_empty() { String::new() } else { format!("`{}`", defaults.join(",")) };
        let possible: Vec<_> =
            argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        let is_boolean = argument.is_require_equals_set() || !argument.get_action().takes_values();
        let possible = if possible.is_empty() || is_boolean {
            String::new()
        } else {
            format!(" ({})", possible.join(", "))
        };
        let meaning = argument.get_help().unwrap();
        writeln!(table, "| `--{name}` | {default} | {meaning}{possible} |").unwrap();
    }
    table
}

/// Run with `BLESS=1` to write the table anew.
#[test]
fn the_documentation_lists_exactly_these_flags() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (start, end) = ("<!-- flags: start -->\n", "\n<!-- flags: end -->");
    let from = text.find(start).unwrap() + start.len();
    let to = text.find(end).unwrap();
    let table = table_of_flags();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, format!("{}{table}{}", &text[..from], &text[to..])).unwrap();
        return;
    }
    assert_eq!(&text[from..to], table, "docs/configuration.md is out of date; run this test with BLESS=1");
}
