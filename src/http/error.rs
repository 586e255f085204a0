//! The one place for status codes and for the texts of errors on the wire.
//!
//! Knows nothing of how requests are handled. The plain form of an error is Pushgateway's: the message
//! and a line feed, as `text/plain; charset=utf-8`, with `X-Content-Type-Options: nosniff`.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use hyper::header::{
    ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, StatusCode};

use super::access::Denied;
use super::body::{self, BodyError};
use super::options::Options;
use super::path::PathError;
use crate::exposition::text::ParseError;
use crate::exposition::{openmetrics, protobuf};
use crate::gateway::{PushError, Rejection, Unavailable};
use crate::telemetry::Reason;

/// The content type of what is plain text.
pub(super) const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// What the texts of refused pushes start with.
const REJECTED_PREFIX: &str = "pushed metrics are invalid or inconsistent with existing metrics";

/// When to come back where only this moment is unsuitable.
const SOON: Duration = Duration::from_secs(1);

/// When to come back where somebody or something has to recover first.
const LATER: Duration = Duration::from_secs(5);

/// Every way in which a request does not get what it asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The client may not do that, or not now.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The path is not one to push to.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The body could not be received.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The body is not what its format demands.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The body is not OpenMetrics.
    #[error(transparent)]
    ParseOpenMetrics(#[from] openmetrics::ParseError),
    /// The body is not what protobuf demands.
    #[error(transparent)]
    Protobuf(#[from] protobuf::ParseError),
    /// The push was not accepted.
    #[error(transparent)]
    Push(#[from] PushError),
    /// The deletion was not possible just now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The request asks for what is not built; doing the rest of it would not be what was meant.
    #[error("{0} is not supported by this version; nothing was applied, send the request without it")]
    Unsupported(String),
    /// No such route.
    #[error("404 page not found")]
    NotFound,
    /// The route has other methods.
    #[error("Method Not Allowed")]
    MethodNotAllowed {
        /// Those that it has.
        allowed: &'static str,
    },
    /// The path is a misspelling of this one.
    #[error("see {location}")]
    Elsewhere {
        /// The right path.
        location: String,
        /// The method asked for.
        method: Method,
    },
    /// Stopping over HTTP is not enabled.
    #[error("Lifecycle API is not enabled.")]
    LifecycleDisabled,
    /// Too many scrapes wait or are being served.
    #[error(
        "{max} scrapes are waiting or being served, which is the limit; try again, or raise {flag}",
        flag = Options::SCRAPES_FLAG
    )]
    TooManyScrapes {
        /// How many there may be.
        max: usize,
    },
    /// Too many lists of all groups are being made.
    #[error("{max} lists of all groups are being made, which is the limit; try again")]
    TooManyListings {
        /// How many there may be.
        max: usize,
    },
    /// What clients have not read yet of earlier scrapes takes too much memory.
    #[error("scrapes that are read slowly hold too much memory; try again, or read faster")]
    SlowScrapes,
    /// Pushes are not accepted now.
    #[error("not ready: {0}")]
    NotReady(String),
    /// A defect of this program.
    #[error("internal error; the gateway's log says more")]
    Internal,
}

impl Error {
    /// Its status code.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Denied(denied) => denied_status(denied),
            Self::Path(PathError::TooLong { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Path(PathError::NotAPushPath) | Self::NotFound => StatusCode::NOT_FOUND,
            Self::Body(error) => body_status(error),
            Self::Push(PushError::Rejected(Rejection::Limit(_))) => StatusCode::TOO_MANY_REQUESTS,
            Self::Path(_)
            | Self::Parse(_)
            | Self::ParseOpenMetrics(_)
            | Self::Protobuf(_)
            | Self::Push(PushError::Rejected(_)) => StatusCode::BAD_REQUEST,
            Self::Push(PushError::Unavailable(_))
            | Self::Unavailable(_)
            | Self::TooManyScrapes { .. }
            | Self::TooManyListings { .. }
            | Self::SlowScrapes
            | Self::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unsupported(_) => StatusCode::NOT_IMPLEMENTED,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Elsewhere { method, .. } if *method == Method::GET => StatusCode::MOVED_PERMANENTLY,
            // Keeps the method, which a client drops at 301.
            Self::Elsewhere { .. } => StatusCode::TEMPORARY_REDIRECT,
            Self::LifecycleDisabled => StatusCode::FORBIDDEN,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What a push that ends with it counts as among the refused ones; `None` where no push was read that
    /// far.
    pub(super) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Denied(_) => Some(Reason::Access),
            Self::Path(PathError::TooLong { .. }) => Some(Reason::Size),
            Self::Path(_) => Some(Reason::Path),
            Self::Body(error) => Some(body_reason(error)),
            Self::Parse(_) | Self::ParseOpenMetrics(_) | Self::Protobuf(_) => Some(Reason::Parse),
            Self::Push(PushError::Rejected(rejection)) => Some(rejection_reason(rejection)),
            Self::Push(PushError::Unavailable(error)) | Self::Unavailable(error) => {
                Some(unavailable_reason(error))
            }
            Self::Unsupported(_) => Some(Reason::NotImplemented),
            Self::NotFound
            | Self::MethodNotAllowed { .. }
            | Self::Elsewhere { .. }
            | Self::LifecycleDisabled
            | Self::TooManyScrapes { .. }
            | Self::TooManyListings { .. }
            | Self::SlowScrapes
            | Self::NotReady(_)
            | Self::Internal => None,
        }
    }

    /// Whether a body could not be had in the clear, as against not at all.
    fn is_of_decoding(&self) -> bool {
        let is_cut = matches!(
            self,
            Self::Body(BodyError::UnexpectedEnd | BodyError::Malformed(_) | BodyError::TimedOut(_))
        );
        self.reason() == Some(Reason::Encoding) && !is_cut
    }

    /// The text on the wire, without the line feed that the plain form adds.
    fn text(&self) -> String {
        match self {
            Self::Push(PushError::Rejected(rejection)) => format!("{REJECTED_PREFIX}: {rejection}"),
            other => other.to_string(),
        }
    }

    /// When to try again, where that may help.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Push(PushError::Unavailable(error)) | Self::Unavailable(error) => Some(match error {
                Unavailable::QueueFull => SOON,
                Unavailable::Storage { .. } | Unavailable::ShuttingDown => LATER,
            }),
            Self::Denied(Denied::TooManyRequests | Denied::Busy)
            | Self::Body(BodyError::NoMemory)
            | Self::TooManyScrapes { .. }
            | Self::TooManyListings { .. }
            | Self::SlowScrapes => Some(SOON),
            Self::NotReady(_) => Some(LATER),
            _ => None,
        }
    }

    /// Whether the connection cannot be used further: where a request ends on it is not known.
    fn closes(&self) -> bool {
        match self {
            Self::Path(PathError::PercentEncoding) => true,
            Self::Body(error) => match error {
                BodyError::TooLarge { .. }
                | BodyError::UnexpectedEnd
                | BodyError::Malformed(_)
                | BodyError::TimedOut(_)
                | BodyError::NoMemory => true,
                BodyError::UnsupportedEncoding(_)
                | BodyError::NothingToInflate
                | BodyError::Gzip(_)
                | BodyError::Snappy(_)
                | BodyError::Zstd(_) => false,
            },
            _ => false,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = match &self {
            // These two are not in the plain form with Pushgateway either.
            Self::Path(PathError::PercentEncoding) | Self::LifecycleDisabled => bare(status, self.text()),
            Self::Elsewhere { location, method } => redirect(status, location, method),
            _ => plain(status, &self.text()),
        };
        let headers = response.headers_mut();
        if let Self::MethodNotAllowed { allowed } = self {
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        if let Self::Body(BodyError::UnsupportedEncoding(_)) = self {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(body::ACCEPTED_ENCODINGS));
        }
        if let Self::Denied(Denied::Unauthorized) = self {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
        }
        if let Some(wait) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        if self.closes() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self.is_of_decoding() {
            response.extensions_mut().insert(OfDecoding);
        }
        response
    }
}

/// Marks the answer to a body that could not be had in the clear.
#[derive(Clone, Copy)]
struct OfDecoding;

/// Whether this answers a body that could not be had in the clear. Pushgateway decodes before it looks for a
/// handler, so that none counts such a request.
pub(super) fn is_of_decoding(response: &Response) -> bool {
    response.extensions().get::<OfDecoding>().is_some()
}

/// An empty response to OPTIONS, with the methods allowed, if a certain route was asked about.
pub(super) fn options(allowed: Option<&'static str>) -> Response {
    let mut response = StatusCode::OK.into_response();
    if let Some(allowed) = allowed {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    }
    response
}

/// Text as it is, without a line feed.
pub(super) fn bare(status: StatusCode, text: impl Into<Body>) -> Response {
    (status, [(CONTENT_TYPE, PLAIN)], text.into()).into_response()
}

fn plain(status: StatusCode, text: &str) -> Response {
    let nosniff: (HeaderName, HeaderValue) = (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    (status, [(CONTENT_TYPE, PLAIN), nosniff], format!("{text}\n")).into_response()
}

/// `location` is one of the paths of our own routes, behind a prefix that is as plain, so it needs no escaping
/// beyond that of a header.
fn redirect(status: StatusCode, location: &str, method: &Method) -> Response {
    let mut response = if *method == Method::GET {
        let html = format!("<a href=\"{location}\">Moved Permanently</a>.\n\n");
        (status, [(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], html).into_response()
    } else {
        status.into_response()
    };
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn denied_status(denied: &Denied) -> StatusCode {
    match denied {
        Denied::Unauthorized => StatusCode::UNAUTHORIZED,
        Denied::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Denied::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Denied::Right { .. } | Denied::Job { .. } => StatusCode::FORBIDDEN,
    }
}

fn body_status(error: &BodyError) -> StatusCode {
    match error {
        BodyError::UnsupportedEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::UnexpectedEnd
        | BodyError::NothingToInflate
        | BodyError::Gzip(_)
        | BodyError::Snappy(_)
        | BodyError::Zstd(_)
        | BodyError::Malformed(_) => StatusCode::BAD_REQUEST,
        BodyError::TimedOut(_) => StatusCode::REQUEST_TIMEOUT,
        BodyError::NoMemory => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn body_reason(error: &BodyError) -> Reason {
    match error {
        BodyError::TooLarge { .. } => Reason::Size,
        BodyError::NoMemory => Reason::QueueFull,
        BodyError::UnsupportedEncoding(_)
        | BodyError::UnexpectedEnd
        | BodyError::NothingToInflate
        | BodyError::Gzip(_)
        | BodyError::Snappy(_)
        | BodyError::Zstd(_)
        | BodyError::Malformed(_)
        | BodyError::TimedOut(_) => Reason::Encoding,
    }
}

fn rejection_reason(rejection: &Rejection) -> Reason {
    match rejection {
        Rejection::Timestamp { .. } => Reason::Timestamp,
        Rejection::ReservedName { .. }
        | Rejection::LabelName { .. }
        | Rejection::ReservedLabel { .. }
        | Rejection::NameCollision { .. } => Reason::Name,
        Rejection::DuplicateSeries { .. } => Reason::Duplicate,
        Rejection::TypeClash { .. } => Reason::Type,
        Rejection::Value { .. } => Reason::Value,
        Rejection::Limit(_) => Reason::Limit,
    }
}

fn unavailable_reason(error: &Unavailable) -> Reason {
    match error {
        Unavailable::QueueFull => Reason::QueueFull,
        Unavailable::Storage { .. } => Reason::Storage,
        Unavailable::ShuttingDown => Reason::Shutdown,
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::gateway::LimitExceeded;

    async fn on_the_wire(error: Error) -> (u16, Option<String>, String) {
        let response = error.into_response();
        let status = response.status().as_u16();
        let retry = response.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, retry, String::from_utf8(body.to_vec()).unwrap())
    }

    fn rejected(rejection: Rejection) -> Error {
        Error::Push(PushError::Rejected(rejection))
    }

    #[tokio::test]
    async fn a_rejection_is_400_with_the_prefix_of_pushgateway() {
        let (status, retry, text) =
            on_the_wire(rejected(Rejection::Timestamp { family: "m".to_owned(), line: 3 })).await;
        assert_eq!((status, retry), (400, None));
        assert!(
            text.starts_with(
                "pushed metrics are invalid or inconsistent with existing metrics: \
                 pushed metrics must not have timestamps"
            ),
            "{text}"
        );
        assert!(text.ends_with('\n'));
    }

    #[tokio::test]
    async fn a_limit_is_429_and_names_its_flag() {
        let limit = LimitExceeded { what: "groups".to_owned(), found: 2, max: 1, flag: "--limit.groups" };
        let (status, _, text) = on_the_wire(rejected(Rejection::Limit(limit))).await;
        assert_eq!(status, 429);
        assert!(text.contains("--limit.groups"), "{text}");
    }

    #[tokio::test]
    async fn what_may_work_later_is_503_and_says_when() {
        let storage = || Unavailable::Storage { reason: "no space left on device".to_owned() };
        for (error, wait) in [
            (Error::Push(PushError::Unavailable(Unavailable::QueueFull)), "1"),
            (Error::Push(PushError::Unavailable(storage())), "5"),
            (Error::Unavailable(storage()), "5"),
            (Error::Unavailable(Unavailable::ShuttingDown), "5"),
            (Error::Body(BodyError::NoMemory), "1"),
            (Error::TooManyScrapes { max: 1 }, "1"),
            (Error::NotReady("disk full".to_owned()), "5"),
        ] {
            let shown = format!("{error:?}");
            let (status, retry, _) = on_the_wire(error).await;
            assert_eq!((status, retry.as_deref()), (503, Some(wait)), "{shown}");
        }
    }

    #[test]
    fn statuses_of_bodies() {
        let too_large = BodyError::TooLarge { what: "body", max: 1, flag: Options::BODY_BYTES_FLAG };
        for (error, status) in [
            (BodyError::UnsupportedEncoding("br".to_owned()), 415),
            (too_large, 413),
            (BodyError::UnexpectedEnd, 400),
            (BodyError::NothingToInflate, 400),
            (BodyError::Gzip("invalid header".to_owned()), 400),
            (BodyError::Snappy("corrupt input"), 400),
            (BodyError::Zstd("corrupt input".to_owned()), 400),
            (BodyError::TimedOut(LATER), 408),
        ] {
            assert_eq!(Error::Body(error.clone()).status(), status, "{error}");
        }
    }
}
