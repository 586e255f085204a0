//! The log: one line per event on stderr, as logfmt or JSON, with the keys that Prometheus's own programs
//! use (`ts`, `level`, `msg`, then the event's fields).
//!
//! Knows nothing of what is logged. Invariant: an event is exactly one line, whatever its texts hold;
//! nobody who pushes can make up a log line or send control characters to a terminal.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

/// Which events are logged: those of this level and the more severe ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything, each refused push among it.
    Debug,
    /// What an operator wants to know once.
    Info,
    /// What may need attention.
    Warn,
    /// What went wrong.
    Error,
}

impl LogLevel {
    /// Every level, as its flag spells it.
    pub const NAMES: [&'static str; 4] = ["debug", "info", "warn", "error"];

    fn filter(self) -> LevelFilter {
        match self {
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warn => LevelFilter::WARN,
            Self::Error => LevelFilter::ERROR,
        }
    }
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "debug" => Ok(Self::Debug),
            "info" => Ok(Self::Info),
            "warn" => Ok(Self::Warn),
            "error" => Ok(Self::Error),
            _ => Err(format!("must be one of {}, got '{text}'", Self::NAMES.join(","))),
        }
    }
}

/// How an event is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `ts=... level=info msg="..." key=value`
    Logfmt,
    /// `{"ts":"...","level":"info","msg":"...","key":"value"}`
    Json,
}

impl LogFormat {
    /// Every format, as its flag spells it.
    pub const NAMES: [&'static str; 2] = ["logfmt", "json"];
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "logfmt" => Ok(Self::Logfmt),
            "json" => Ok(Self::Json),
            _ => Err(format!("must be one of {}, got '{text}'", Self::NAMES.join(","))),
        }
    }
}

/// Starts logging to stderr for the whole process; only the first call has an effect.
pub fn init(level: LogLevel, format: LogFormat) {
    // The library of HTTP/2 tells of every frame at level debug.
    let http2 = level.filter().min(LevelFilter::WARN);
    let filter = Targets::new().with_default(level.filter()).with_target("h2", http2);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level.filter())
        .with_writer(std::io::stderr)
        .event_format(Lines(format))
        .finish()
        .with(filter);
    // Fails only where a logger is set already, as in a test that runs several gateways in one process.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Writes events as lines.
struct Lines(LogFormat);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut fields = Fields::default();
        event.record(&mut fields);

        let mut line = Line { format: self.0, text: String::new() };
        line.push("ts", &FieldValue::Text(time));
        line.push("level", &FieldValue::Text(level_name(*event.metadata().level()).to_owned()));
        line.push("msg", &FieldValue::Text(fields.message));
        for (key, value) in &fields.others {
            line.push(key, value);
        }
        writer.write_str(&line.finish())
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

enum FieldValue {
    Text(String),
    /// A number or a boolean, which needs no quotes in either format.
    Bare(String),
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, FieldValue)>,
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.others.push((field.name(), FieldValue::Bare(value.to_string())));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.others.push((field.name(), FieldValue::Bare(value.to_string())));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.others.push((field.name(), FieldValue::Bare(value.to_string())));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinity.
        let value = if value.is_finite() { FieldValue::Bare } else { FieldValue::Text }(value.to_string());
        self.others.push((field.name(), value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_text(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            // Many errors already end in the text of their source.
            let more = error.to_string();
            if !text.ends_with(&more) {
                let _ = write!(text, ": {more}");
            }
            cause = error.source();
        }
        self.record_text(field, text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_text(field, format!("{value:?}"));
    }
}

impl Fields {
    fn record_text(&mut self, field: &Field, text: String) {
        if field.name() == "message" {
            self.message = text;
        } else {
            self.others.push((field.name(), FieldValue::Text(text)));
        }
    }
}

struct Line {
    format: LogFormat,
    text: String,
}

impl Line {
    fn push(&mut self, key: &str, value: &FieldValue) {
        let (separator, colon) = match self.format {
            LogFormat::Logfmt => (if self.text.is_empty() { "" } else { " " }, "="),
            LogFormat::Json => (if self.text.is_empty() { "{" } else { "," }, ":"),
        };
        self.text.push_str(separator);
        match self.format {
            LogFormat::Logfmt => self.text.push_str(key),
            LogFormat::Json => push_quoted(&mut self.text, key),
        }
        self.text.push_str(colon);
        match (value, self.format) {
            (FieldValue::Bare(text), _) => self.text.push_str(text),
            (FieldValue::Text(text), LogFormat::Logfmt) if is_plain(text) => self.text.push_str(text),
            (FieldValue::Text(text), _) => push_quoted(&mut self.text, text),
        }
    }

    fn finish(mut self) -> String {
        if self.format == LogFormat::Json {
            self.text.push('}');
        }
        self.text.push('\n');
        self.text
    }
}

/// Whether a text can stand in logfmt without quotes.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\'))
}

/// Quotes as JSON does, which a reader of logfmt understands too. Every control character is escaped,
/// also those that JSON lets pass and a terminal obeys.
fn push_quoted(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: LogLevel, format: LogFormat, log: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level.filter())
            .with_writer(move || writer.clone())
            .event_format(Lines(format))
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn example() {
        let error = io::Error::other("disk full");
        tracing::warn!(
            path = "/a b",
            count = 3,
            ok = true,
            error = &error as &dyn std::error::Error,
            "it went wrong"
        );
    }

    #[test]
    fn logfmt_has_the_keys_of_prometheus() {
        let line = logged(LogLevel::Info, LogFormat::Logfmt, example);
        let rest = r#" level=warn msg="it went wrong" path="/a b" count=3 ok=true error="disk full""#;
        assert!(line.starts_with("ts=20"), "{line}");
        assert!(line.ends_with(&format!("Z{rest}\n")), "{line}");
    }

    #[test]
    fn json_has_the_same_keys_and_is_flat() {
        let line = logged(LogLevel::Info, LogFormat::Json, example);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["level"], "warn");
        assert_eq!(value["msg"], "it went wrong");
        assert_eq!((&value["count"], &value["ok"]), (&Value::from(3), &Value::from(true)));
        assert!(value["ts"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn the_level_filters() {
        let both = || {
            tracing::info!("one");
            tracing::error!("two");
        };
        assert_eq!(logged(LogLevel::Error, LogFormat::Logfmt, both).lines().count(), 1);
        assert_eq!(logged(LogLevel::Debug, LogFormat::Logfmt, both).lines().count(), 2);
    }

    proptest! {
        #[test]
        fn an_event_is_one_line_whatever_it_holds(text: String, number: f64) {
            for format in [LogFormat::Logfmt, LogFormat::Json] {
                let line = logged(LogLevel::Info, format, || tracing::info!(text, number, "{text}"));
                prop_assert!(line.ends_with('\n'));
                prop_assert!(!line[..line.len() - 1].chars().any(char::is_control), "{line:?}");
                if format == LogFormat::Json {
                    let value: Value = serde_json::from_str(&line).unwrap();
                    prop_assert_eq!(&value["msg"], &text);
                    prop_assert_eq!(&value["text"], &text);
                }
            }
        }
    }
}
