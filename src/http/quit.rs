//! `/-/quit`: a stop by request, where that is enabled.

use axum::response::{IntoResponse as _, Response};
use hyper::StatusCode;

use super::error::{Error, bare};
use super::shared::Shared;

/// Answers a request to stop. Requests that are open, this one among them, are finished first.
pub(super) fn quit(shared: &Shared) -> Response {
    if !shared.options.lifecycle {
        return Error::LifecycleDisabled.into_response();
    }
    shared.quit.notify_one();
    bare(StatusCode::OK, "Requesting termination... Goodbye!")
}
