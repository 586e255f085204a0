//! `DELETE` of a group.
//!
//! Invariant: 202 says that the group is gone for good, whether or not it was there; a body is ignored.

use std::pin::pin;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use hyper::StatusCode;
use hyper::http::request::Parts;

use super::error::Error;
use super::middleware::closing_if_it_panics;
use super::path::PushPath;
use super::shared::Shared;
use super::unsupported;

/// Answers a deletion: 202 once it is stored.
pub(super) async fn delete(shared: &Arc<Shared>, path: PushPath<'_>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    match remove(shared, path, &head).await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(error) => {
            tracing::debug!(%error, path = head.uri.path(), "deletion refused");
            error.into_response()
        }
    }
}

async fn remove(shared: &Arc<Shared>, path: PushPath<'_>, head: &Parts) -> Result<(), Error> {
    unsupported::refuse(head)?;
    let key = path.grouping_key(shared.options.names)?;
    closing_if_it_panics(pin!(shared.gateway.delete(&key))).await?;
    Ok(())
}
