//! Which format a reader gets, by what it says it accepts.
//!
//! Knows nothing of what is shown. Invariant: every reader gets something: text 0.0.4 if nothing else fits.

use super::names::Escaping;

/// A format of what is pushed or shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// Text format 0.0.4.
    #[default]
    Text,
    /// OpenMetrics 1.0, as text.
    OpenMetrics,
    /// Length-delimited messages `io.prometheus.client.MetricFamily`.
    Protobuf,
}

impl Format {
    /// The content type of an answer in this format whose names are escaped in this way.
    pub fn content_type(self, escaping: Escaping) -> String {
        let format = match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        };
        format!("{format}; escaping={}", escaping.as_str())
    }
}

/// When a reader that accepts OpenMetrics gets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenMetricsIs {
    /// Only if it does not take text 0.0.4 as well: OpenMetrics renames counters and the bounds of buckets, and
    /// Prometheus names it first.
    #[default]
    LastResort,
    /// If it prefers it.
    Offered,
}

/// The format that a reader gets, and what becomes of names in it.
///
/// `accept` is the header `Accept`, several of them with commas between. The rules are Pushgateway's: what is
/// preferred comes first; the parameter `escaping` of each entry up to the one that fits is taken over, the last
/// one counts; wildcards fit text only, at the end. An entry with `q=0` is none.
pub fn negotiate(accept: &str, openmetrics: OpenMetricsIs) -> (Format, Escaping) {
    let mut entries: Vec<Entry<'_>> = split(accept, ',').filter_map(Entry::read).collect();
    // Stable: what is equally preferred stays in the order given, wildcards behind the others.
    entries.sort_by_key(|entry| (std::cmp::Reverse(entry.q), entry.is_wildcard()));
    let takes_text = entries.iter().any(|entry| entry.is_text() || entry.is_wildcard());
    let has_openmetrics = openmetrics == OpenMetricsIs::Offered || !takes_text;
    let mut escaping = Escaping::default();
    for entry in &entries {
        escaping = entry.parameter("escaping").and_then(Escaping::from_name).unwrap_or(escaping);
        if entry.is_text() {
            return (Format::Text, escaping);
        }
        if entry.is_openmetrics() && has_openmetrics {
            return (Format::OpenMetrics, escaping);
        }
        if entry.is_protobuf() {
            return (Format::Protobuf, escaping);
        }
    }
    (Format::Text, escaping)
}

/// One thing that a reader accepts.
struct Entry<'a> {
    media_type: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    /// How much it is preferred, in thousandths; at least 1.
    q: u16,
}

impl<'a> Entry<'a> {
    /// Reads an entry; `None` if nothing is accepted by it.
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = split(text, ';');
        let media_type = parts.next()?.trim();
        let parameters: Vec<_> = parts
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
            .collect();
        let entry = Self { media_type, parameters, q: 1 };
        let q = entry.parameter("q").map_or(Some(1000), thousandths)?;
        (q > 0 && !media_type.is_empty()).then_some(Self { q, ..entry })
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    fn is(&self, media_type: &str) -> bool {
        self.media_type.eq_ignore_ascii_case(media_type)
    }

    fn has_version(&self, version: &str) -> bool {
        self.parameter("version").is_none_or(|own| own == version)
    }

    fn is_text(&self) -> bool {
        self.is("text/plain") && self.has_version("0.0.4")
    }

    fn is_wildcard(&self) -> bool {
        self.is("*/*") || self.is("text/*")
    }

    fn is_openmetrics(&self) -> bool {
        self.is("application/openmetrics-text") && self.has_version("1.0.0")
    }

    fn is_protobuf(&self) -> bool {
        self.is("application/vnd.google.protobuf")
            && self.parameter("proto") == Some("io.prometheus.client.MetricFamily")
            && self.parameter("encoding") == Some("delimited")
    }
}

/// A preference from 0 to 1 in thousandths.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
fn thousandths(q: &str) -> Option<u16> {
    let q: f64 = q.parse().ok()?;
    (0.0..=1.0).contains(&q).then_some((q * 1000.0).round() as u16)
}

/// The parts between separators that do not stand in quotes.
pub fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |c| {
        is_quoted ^= c == '"';
        c == separator && !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTOBUF: &str =
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0";

    #[track_caller]
    fn assert_gets(accept: &str, openmetrics: OpenMetricsIs, format: Format, escaping: Escaping) {
        assert_eq!(negotiate(accept, openmetrics), (format, escaping), "{accept}");
    }

    #[test]
    fn prometheus_gets_text_unless_openmetrics_is_offered() {
        // Versions 2 and 3 with their defaults, and with native histograms.
        let two = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                   text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let three = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                     application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;\
                     escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        let native = format!("{PROTOBUF};q=0.6,{three}");
        for (accept, by_default, offered, escaping) in [
            (two, Format::Text, Format::OpenMetrics, Escaping::Underscores),
            (three, Format::Text, Format::OpenMetrics, Escaping::AllowUtf8),
        ] {
            assert_gets(accept, OpenMetricsIs::LastResort, by_default, escaping);
            assert_gets(accept, OpenMetricsIs::Offered, offered, escaping);
        }
        assert_gets(&native, OpenMetricsIs::LastResort, Format::Protobuf, Escaping::Underscores);
    }

    #[test]
    fn who_does_not_take_text_gets_openmetrics() {
        for accept in
            [OPENMETRICS, "Application/OpenMetrics-Text", "application/openmetrics-text;q=0.1,image/png"]
        {
            assert_gets(accept, OpenMetricsIs::LastResort, Format::OpenMetrics, Escaping::Underscores);
        }
        for text in ["text/plain", "text/plain;q=0.001", "text/*", "*/*", "text/plain;version=0.0.4"] {
            let accept = format!("{OPENMETRICS},{text}");
            assert_gets(&accept, OpenMetricsIs::LastResort, Format::Text, Escaping::Underscores);
        }
        for no_text in ["text/plain;q=0", "text/plain;version=1.0.0", "*/*;q=0"] {
            let accept = format!("{no_text},{OPENMETRICS}");
            assert_gets(&accept, OpenMetricsIs::LastResort, Format::OpenMetrics, Escaping::Underscores);
        }
    }

    #[test]
    fn what_nothing_fits_gets_text() {
        for accept in [
            "",
            ",",
            "nonsense",
            "image/png",
            "*/*",
            "text/html,*/*;q=0.8",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=x",
            "application/vnd.google.protobuf",
            "application/vnd.google.protobuf;proto=other;encoding=delimited",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
        ] {
            assert_gets(accept, OpenMetricsIs::Offered, Format::Text, Escaping::Underscores);
        }
    }

    #[test]
    fn the_preferred_format_wins_and_wildcards_do_not_count() {
        let gets = |accept: &str| negotiate(accept, OpenMetricsIs::Offered).0;
        assert_eq!(gets(&format!("text/plain;q=0.5,{PROTOBUF};q=0.6")), Format::Protobuf);
        assert_eq!(gets(&format!("text/plain;q=0.5,{PROTOBUF};q=0.5")), Format::Text);
        assert_eq!(gets(&format!("*/*,{PROTOBUF};q=0.5")), Format::Protobuf);
        assert_eq!(gets(&format!("{OPENMETRICS};q=0.2,text/plain;q=0.3")), Format::Text);
        let quoted = "application/vnd.google.protobuf; x=\",;\"; proto=\"io.prometheus.client.MetricFamily\"; \
                      encoding=delimited";
        assert_eq!(gets(quoted), Format::Protobuf);
    }

    #[test]
    fn the_last_escaping_up_to_the_format_that_fits_is_taken() {
        for (accept, escaping) in [
            ("text/plain;escaping=dots", Escaping::Dots),
            ("image/png;escaping=values,text/plain;q=0.5", Escaping::Values),
            ("image/png;escaping=values,text/plain;escaping=unknown;q=0.5", Escaping::Values),
            ("text/plain,image/png;escaping=values;q=0.5", Escaping::Underscores),
            ("*/*;escaping=allow-utf-8", Escaping::AllowUtf8),
        ] {
            assert_gets(accept, OpenMetricsIs::LastResort, Format::Text, escaping);
        }
    }

    #[test]
    fn content_types_name_the_escaping() {
        assert_eq!(Format::Text.content_type(Escaping::Underscores), crate::exposition::text::CONTENT_TYPE);
        assert_eq!(
            Format::OpenMetrics.content_type(Escaping::AllowUtf8),
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
        );
        assert_eq!(
            Format::Protobuf.content_type(Escaping::Dots),
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; \
             escaping=dots"
        );
    }
}
