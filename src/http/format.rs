//! In which format a body is, by its content type.
//!
//! Invariant: only what declares itself as delimited protobuf or OpenMetrics is taken for it; everything else is text,
//! as with Pushgateway, for clients send text under all sorts of types.

use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;

use crate::exposition::negotiation::{Format, split};

/// The format of the body under these headers.
pub(super) fn of(headers: &HeaderMap) -> Format {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let mut parts = split(content_type, ';');
    let media_type = parts.next().unwrap_or("").trim();
    if media_type.eq_ignore_ascii_case("application/openmetrics-text") {
        return Format::OpenMetrics;
    }
    if !media_type.eq_ignore_ascii_case("application/vnd.google.protobuf") {
        return Format::Text;
    }
    let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
    let has = |name: &str, value: &str| {
        parameters
            .iter()
            .find(|(own, _)| own.trim().eq_ignore_ascii_case(name))
            .is_some_and(|(_, own)| own.trim().trim_matches('"') == value)
    };
    let is_delimited = has("encoding", "delimited") && has("proto", "io.prometheus.client.MetricFamily");
    if is_delimited { Format::Protobuf } else { Format::Text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(content_type: &str) -> Format {
        of(&HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]))
    }

    #[test]
    fn only_delimited_metric_families_are_protobuf() {
        for content_type in [
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
            "Application/Vnd.Google.Protobuf;ENCODING=\"delimited\";PROTO=io.prometheus.client.MetricFamily",
            "application/vnd.google.protobuf; x=\"a;b\"; proto=io.prometheus.client.MetricFamily; \
             encoding=delimited; y",
        ] {
            assert_eq!(format(content_type), Format::Protobuf, "{content_type}");
        }
    }

    #[test]
    fn openmetrics_is_told_by_its_media_type() {
        for content_type in [
            "application/openmetrics-text",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "Application/OpenMetrics-Text;version=0.0.1",
        ] {
            assert_eq!(format(content_type), Format::OpenMetrics, "{content_type}");
        }
    }

    #[test]
    fn everything_else_is_text() {
        assert_eq!(of(&HeaderMap::new()), Format::Text);
        for content_type in [
            "",
            "garbage;;",
            "application/json",
            "application/x-www-form-urlencoded",
            "text/plain; version=0.0.4",
            "application/vnd.google.protobuf",
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=text",
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=DELIMITED",
            "application/vnd.google.protobuf; proto=other; encoding=delimited",
        ] {
            assert_eq!(format(content_type), Format::Text, "{content_type}");
        }
    }
}
