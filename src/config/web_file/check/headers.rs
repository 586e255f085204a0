//! The headers of every answer: which can be set, and to what.

use hyper::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS, X_XSS_PROTECTION,
};

use super::super::Fault;
use super::super::raw::{RawHttp, Text};
use super::fault;

/// The headers that may be set, and the values that they may have where that is not free.
const HEADERS: [(HeaderName, &[&str]); 5] = [
    (CONTENT_SECURITY_POLICY, &[]),
    (STRICT_TRANSPORT_SECURITY, &[]),
    (X_CONTENT_TYPE_OPTIONS, &["nosniff"]),
    (X_FRAME_OPTIONS, &["deny", "sameorigin"]),
    (X_XSS_PROTECTION, &[]),
];

/// Those that are set, by name and value.
pub(super) fn headers(raw: &RawHttp) -> Result<Vec<(HeaderName, HeaderValue)>, Fault> {
    raw.headers.iter().flatten().map(|(name, value)| header(name, value)).collect()
}

fn header(name: &str, text: &Text) -> Result<(HeaderName, HeaderValue), Fault> {
    let key = format!("http_server_config.headers.{name}");
    let found = HEADERS.into_iter().find(|(own, _)| name.eq_ignore_ascii_case(own.as_str()));
    let Some((name, values)) = found else {
        return Err(fault(
            text,
            &key,
            "this header cannot be set; Content-Security-Policy, Strict-Transport-Security, \
             X-Content-Type-Options, X-Frame-Options and X-XSS-Protection can",
        ));
    };
    if !values.is_empty() && !values.contains(&text.value.as_str()) {
        return Err(fault(text, &key, format!("it must be {}, got {:?}", values.join(" or "), text.value)));
    }
    let value = HeaderValue::from_str(&text.value)
        .map_err(|_| fault(text, &key, "it has characters that no header may have"))?;
    Ok((name, value))
}
