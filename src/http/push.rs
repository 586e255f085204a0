//! `PUT` and `POST` of metrics to a group.
//!
//! Invariant: everything that can be refused without the gateway is refused before it is asked, and nothing
//! behind the gateway's answer can fail.

use std::pin::pin;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::body::{self, BodyError};
use super::error::Error;
use super::format;
use super::middleware::closing_if_it_panics;
use super::path::PushPath;
use super::shared::Shared;
use super::unsupported;
use crate::exposition::negotiation::Format;
use crate::exposition::{ReadLimits, openmetrics, protobuf, text};
use crate::gateway::{Effect, LimitExceeded, PushError, ResolvedPush, Submitted, Unavailable};
use crate::model::GroupingKey;

/// How often a push is tried again whose group is deleted each time before it is merged.
const ATTEMPTS_MAX: usize = 16;

/// Answers a push: 200 without a body once it is stored, or 202 where that is asked for.
pub(super) async fn push(shared: &Arc<Shared>, path: PushPath<'_>, request: Request) -> Response {
    let (head, mut body) = request.into_parts();
    match store(shared, path, &head, &mut body).await {
        Ok(()) if shared.options.answers_checked => StatusCode::OK.into_response(),
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(error) => {
            if let Some(reason) = error.reason() {
                shared.metrics.pushes_refused.of(reason).increment();
            }
            tracing::debug!(%error, path = head.uri.path(), "push refused");
            if !matches!(error, Error::Body(BodyError::TimedOut(_))) {
                // Boxed, as below: the room is not needed by pushes that go well.
                Box::pin(body::discard(&head.headers, body, &shared.options)).await;
            }
            error.into_response()
        }
    }
}

async fn store(shared: &Arc<Shared>, path: PushPath<'_>, head: &Parts, body: &mut Body) -> Result<(), Error> {
    unsupported::refuse(head)?;
    let format = format::of(&head.headers);
    // Repeats are those of text: the same bytes may say something else in another format.
    let known = if format == Format::Text { shared.repeats.of(head.uri.path()) } else { None };
    let names = shared.options.names;
    let key = if known.is_none() { Some(path.grouping_key(names)?) } else { None };
    let effect = if head.method == Method::PUT { shared.options.put } else { shared.options.post };
    let received = body::receive(&head.headers, body, &shared.options, &shared.memory).await?;
    let bytes = received.bytes();
    if let Some(known) = known
        && let Some(push) =
            body::without_blocking(bytes.len(), || known.resolve(&shared.gateway, effect, bytes))?
    {
        match closing_if_it_panics(pin!(shared.gateway.submit(push))).await? {
            Submitted::Applied => {
                shared.metrics.pushes_repeated.increment();
                return Ok(());
            }
            Submitted::Outdated => shared.repeats.forget(head.uri.path()),
        }
    }
    let key = key.map_or_else(|| path.grouping_key(names), Ok)?;
    Box::pin(store_unknown(shared, effect, head.uri.path(), &key, format, bytes)).await
}

/// Stores a push that is not known to repeat another one.
async fn store_unknown(
    shared: &Arc<Shared>,
    effect: Effect,
    path: &str,
    key: &GroupingKey,
    format: Format,
    body: &[u8],
) -> Result<(), Error> {
    for _ in 0..ATTEMPTS_MAX {
        let push = body::without_blocking(body.len(), || resolve(shared, effect, key, format, body))?;
        let may_repeat = format == Format::Text && push.brings_nothing_new();
        match closing_if_it_panics(pin!(shared.gateway.submit(push))).await? {
            Submitted::Applied => {
                if may_repeat {
                    let learn = || shared.repeats.learn(&shared.gateway, path, key, body);
                    closing_if_it_panics(pin!(async { body::without_blocking(body.len(), learn) })).await;
                }
                return Ok(());
            }
            Submitted::Outdated => {}
        }
    }
    Err(Error::Push(PushError::Unavailable(Unavailable::QueueFull)))
}

/// Reads the body and finds its series. What is read goes again at once: it is larger than the body, and
/// the push may have to wait.
fn resolve(
    shared: &Shared,
    effect: Effect,
    key: &GroupingKey,
    format: Format,
    bytes: &[u8],
) -> Result<ResolvedPush, Error> {
    let (names, limits) = (shared.options.names, shared.gateway.limits());
    let limits = ReadLimits {
        series_max: limits.series_per_push_max,
        labels_max: limits.labels_per_series_max,
        parts_max: ReadLimits::PARTS_MAX,
    };
    let families = match format {
        Format::Text => text::parse_up_to(bytes, names, limits).map_err(Error::from),
        Format::OpenMetrics => openmetrics::parse_up_to(bytes, names, limits).map_err(Error::from),
        Format::Protobuf => protobuf::parse_up_to(bytes, names, limits).map_err(Error::from),
    };
    let families = families.map_err(|error| match labels_over_limit(&error) {
        Some(over) => shared.gateway.refuse(key, over).into(),
        None => error,
    })?;
    Ok(shared.gateway.resolve_as(effect, key, &families, bytes.len())?)
}

/// The limit on labels, if that is why a body was not read: the gateway's, which it would refuse the push for.
fn labels_over_limit(error: &Error) -> Option<LimitExceeded> {
    let (line, over) = match error {
        Error::Parse(text::ParseError { line, kind: text::ParseErrorKind::TooManyLabels(over) })
        | Error::ParseOpenMetrics(openmetrics::ParseError {
            line,
            kind: openmetrics::ParseErrorKind::TooManyLabels(over),
        })
        | Error::Protobuf(protobuf::ParseError {
            place: protobuf::Place::Metric { number: line, .. },
            kind: protobuf::ParseErrorKind::TooManyLabels(over),
        }) => (*line, over),
        _ => return None,
    };
    Some(LimitExceeded::labels(&over.metric, line, over.found, over.max))
}
