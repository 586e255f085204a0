//! Where flags come from: arguments first, then environment variables, then defaults.
//!
//! Knows nothing of what flags mean. Invariant: the environment is read by the names of the flags only,
//! so that whatever else stands there (`TALLYGATE_PORT=tcp://...` in Kubernetes, say) does no harm.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command, CommandFactory as _, FromArgMatches as _};

use super::flags::Flags;
use super::{Exit, duration};
use crate::telemetry::build;

/// The flags with what the user has set, and whether durability was among it.
pub(super) struct Sourced {
    pub(super) flags: Flags,
    pub(super) durability_is_explicit: bool,
    /// What every flag is set to, as text, by name.
    pub(super) values: BTreeMap<String, String>,
}

/// Reads all sources. Help and version are answered whatever else was given.
pub(super) fn read(
    arguments: Vec<OsString>,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Sourced, Exit> {
    let command = Flags::command();
    let arguments = kingpin_booleans(&command, arguments);
    let typed = parse(&command, &arguments)?;
    if typed.get_flag("version") {
        return Err(Exit::Asked(version_text()));
    }
    let mut all = arguments_from_environment(&command, &typed, environment)?;
    all.extend(arguments);
    let matches = parse(&command, &all)?;
    let flags = Flags::from_arg_matches(&matches).map_err(|error| usage(&error))?;
    let durability_is_explicit = matches.value_source("durability") == Some(ValueSource::CommandLine);
    let values = settable(&command)
        .map(|(argument, name)| (name.to_owned(), value(&matches, argument.get_id().as_str())))
        .collect();
    Ok(Sourced { flags, durability_is_explicit, values })
}

/// What a flag is set to: durations as Go writes them, all else as it was given; several values with commas
/// between.
fn value(matches: &ArgMatches, flag: &str) -> String {
    if let Ok(Some(duration)) = matches.try_get_one::<Duration>(flag) {
        return duration::display(*duration);
    }
    let given = matches.get_raw(flag).into_iter().flatten();
    given.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(",")
}

/// The environment variable that sets a flag.
pub(super) fn variable(flag: &str) -> String {
    format!("TALLYGATE_{}", flag.to_ascii_uppercase().replace(['.', '-'], "_"))
}

/// The flags that take a value, hidden ones aside, by their names without dashes.
fn settable(command: &Command) -> impl Iterator<Item = (&clap::Arg, &str)> {
    command
        .get_arguments()
        .filter(|argument| matches!(argument.get_action(), ArgAction::Set | ArgAction::Append))
        .filter_map(|argument| Some((argument, argument.get_long()?)))
}

/// Turns `--no-flag` into `--flag=false` for the flags that are on or off.
fn kingpin_booleans(command: &Command, arguments: Vec<OsString>) -> Vec<OsString> {
    let negation = |argument: &OsStr| -> Option<OsString> {
        let flag = argument.to_str()?.strip_prefix("--no-")?;
        let is_boolean = settable(command).any(|(own, name)| name == flag && own.is_require_equals_set());
        is_boolean.then(|| format!("--{flag}=false").into())
    };
    arguments.into_iter().map(|argument| negation(&argument).unwrap_or(argument)).collect()
}

/// What the environment sets, as arguments, for the flags that are not among the typed ones.
fn arguments_from_environment(
    command: &Command,
    typed: &ArgMatches,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Vec<OsString>, Exit> {
    let mut arguments = Vec::new();
    for (argument, flag) in settable(command) {
        if typed.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine) {
            continue;
        }
        let variable = variable(flag);
        let Some(value) = environment(&variable).filter(|value| !value.is_empty()) else { continue };
        let mut text = OsString::from(format!("--{flag}="));
        text.push(value);
        // Tried alone first, so that a mistake is told of the variable and not of a flag that nobody has
        // typed.
        parse(command, std::slice::from_ref(&text)).map_err(|exit| match exit {
            Exit::Usage(what) => Exit::Usage(format!("environment variable {variable}: {what}")),
            Exit::Asked(text) => Exit::Asked(text),
        })?;
        arguments.push(text);
    }
    Ok(arguments)
}

fn parse(command: &Command, arguments: &[OsString]) -> Result<ArgMatches, Exit> {
    let with_name = std::iter::once(OsString::from("tallygate")).chain(arguments.iter().cloned());
    command.clone().try_get_matches_from(with_name).map_err(|error| usage(&error))
}

/// One line for what clap tells in several.
fn usage(error: &clap::Error) -> Exit {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(","),
        _ => String::new(),
    };
    let argument = context(ContextKind::InvalidArg);
    // clap shows `--flag <VALUE>`; the flag alone reads better.
    let flag = argument.split([' ', '=', '[']).next().unwrap_or_default().to_owned();
    let value = context(ContextKind::InvalidValue);
    Exit::Usage(match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => return Exit::Asked(error.to_string()),
        ErrorKind::UnknownArgument if flag.starts_with("--") => format!("unknown long flag '{flag}'"),
        ErrorKind::UnknownArgument if flag.starts_with('-') => format!("unknown short flag '{flag}'"),
        ErrorKind::UnknownArgument => format!("unexpected '{argument}', only flags are accepted"),
        ErrorKind::ArgumentConflict => format!("flag '{flag}' cannot be repeated"),
        ErrorKind::InvalidValue if value.is_empty() => format!("expected argument for flag '{flag}'"),
        ErrorKind::InvalidValue => {
            format!("{flag} must be one of {}, got '{value}'", context(ContextKind::ValidValue))
        }
        ErrorKind::TooManyValues => format!("flag '{flag}' takes no argument, got '{value}'"),
        ErrorKind::ValueValidation => {
            let reason = std::error::Error::source(error).map(ToString::to_string);
            format!("{flag}: {}", reason.unwrap_or_else(|| format!("'{value}' is not accepted")))
        }
        _ => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            line.strip_prefix("error: ").unwrap_or(line).to_owned()
        }
    })
}

/// What `--version` prints; its first line is laid out as all of Prometheus's programs lay it out.
fn version_text() -> String {
    format!(
        "tallygate, version {} (branch: {}, revision: {})\n  compiler: {}\n  platform: {}\n",
        build::VERSION,
        build::BRANCH,
        build::REVISION,
        build::RUSTC,
        build::TARGET
    )
}
