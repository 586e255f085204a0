//! `/api/v1/status`: how the program was built, how it was started, and when.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::time::rfc3339;
use super::json;
use crate::telemetry::build;

/// The body of the answer. The keys are Pushgateway's; the compiler stands in the place of Go.
pub(super) fn body(flags: &BTreeMap<String, String>, started: SystemTime) -> Vec<u8> {
    let mut out = br#"{"status":"success","data":{"build_information":"#.to_vec();
    let build = [
        ("branch", build::BRANCH),
        ("buildDate", build::DATE),
        ("buildUser", build::USER),
        ("goVersion", build::RUSTC),
        ("revision", build::REVISION),
        ("version", build::VERSION),
    ];
    json::object(&mut out, build, json::string);
    out.extend_from_slice(br#","flags":"#);
    json::object(&mut out, flags, |out, value| json::string(out, value));
    out.extend_from_slice(br#","start_time":"#);
    // A clock before 1970 or after 2554 is broken, and either end will do.
    let since = started.duration_since(UNIX_EPOCH).unwrap_or_default();
    json::string(&mut out, &rfc3339(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)));
    out.extend_from_slice(b"}}");
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_status_has_the_keys_of_pushgateway_in_order() {
        let flags = [("b", "x\"y"), ("a.b", "true")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let body = body(&flags.into(), UNIX_EPOCH + Duration::new(1, 500_000_000));
        let text = String::from_utf8(body).unwrap();
        assert!(text.starts_with(r#"{"status":"success","data":{"build_information":{"branch":""#), "{text}");
        let end = r#"},"flags":{"a.b":"true","b":"x\"y"},"start_time":"1970-01-01T00:00:01.5Z"}}"#;
        assert!(text.ends_with(end), "{text}");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let build = json["data"]["build_information"].as_object().unwrap();
        let keys: Vec<&str> = build.keys().map(String::as_str).collect();
        assert_eq!(keys, ["branch", "buildDate", "buildUser", "goVersion", "revision", "version"]);
        assert!(build.values().all(|value| !value.as_str().unwrap().is_empty()));
        assert_eq!(build["version"], env!("CARGO_PKG_VERSION"));
    }
}
