//! Every URL on one page: which paths there are, which methods they have and what answers them.
//!
//! Knows nothing of what the handlers do. Matching works on the path once it is percent-decoded, as
//! Pushgateway's does, which a router of patterns cannot; hence this one. Invariant: no path under which
//! somebody might mean to push is ever redirected.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use hyper::Method;

use super::body::Memory;
use super::error::{self, Error};
use super::options::Options;
use super::path::{self, PathError, PushPath, Shape};
use super::repeats::Repeats;
use super::scrape::Scrapes;
use super::{delete, health, home, middleware, push};
use crate::gateway::Gateway;
use crate::telemetry::{Handler, Metrics};

/// What all handlers share.
pub(super) struct Shared {
    pub(super) gateway: Gateway,
    pub(super) metrics: Arc<Metrics>,
    pub(super) options: Options,
    pub(super) memory: Memory,
    pub(super) scrapes: Scrapes,
    pub(super) repeats: Repeats,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route<'p> {
    Home,
    Telemetry,
    Healthy,
    Ready,
    Quit,
    Push(PushPath<'p>),
}

/// Answers every request; cheap to clone.
#[derive(Clone)]
pub struct Router(Arc<Shared>);

impl Router {
    /// Answers for this gateway.
    pub fn new(gateway: Gateway, metrics: Arc<Metrics>, options: Options) -> Self {
        Self(Arc::new(Shared {
            memory: Memory::new(options.buffered_bytes_max),
            repeats: Repeats::new(options.repeat_bytes_max),
            scrapes: Scrapes::new(gateway.clone(), Arc::clone(&metrics), &options),
            gateway,
            metrics,
            options,
        }))
    }

    /// Answers a request.
    pub async fn answer(self, request: Request) -> Response {
        middleware::stack(&self.0.metrics, request, |request| answer(&self.0, request)).await
    }
}

/// Answers a request: path, then method, then handler. Says what has answered.
async fn answer(shared: &Arc<Shared>, request: Request) -> (Handler, Response) {
    let method = request.method().clone();
    let decoded = decode(&shared.options, request.uri().path());
    let route = match decoded.as_ref().map(|decoded| route(decoded, &method, &shared.options)) {
        Ok(Ok(Some(route))) => route,
        Ok(Ok(None)) => return (Handler::Other, error::options(None)),
        Ok(Err(error)) => return (Handler::Other, unrouted(shared, &method, error)),
        Err(error) => return (Handler::Other, unrouted(shared, &method, Error::Path(error.clone()))),
    };
    let response = if method == Method::OPTIONS {
        error::options(Some(route.allowed()))
    } else if route.has(&method) {
        dispatch(shared, route, request).await
    } else {
        Error::MethodNotAllowed { allowed: route.allowed() }.into_response()
    };
    (route.handler(&method), response)
}

/// Answers what leads nowhere; a push is counted as refused if its path is to blame.
fn unrouted(shared: &Shared, method: &Method, error: Error) -> Response {
    if let Some(reason) = error.reason().filter(|_| matches!(*method, Method::PUT | Method::POST)) {
        shared.metrics.pushes_refused.of(reason).increment();
    }
    error.into_response()
}

/// Calls the handler of a route that has the request's method.
async fn dispatch(shared: &Arc<Shared>, route: Route<'_>, request: Request) -> Response {
    match route {
        Route::Home => home::page(&shared.options),
        // Boxed, so that the many pushes do not carry the room that a scrape takes.
        Route::Telemetry => Box::pin(shared.scrapes.serve(request.headers())).await,
        Route::Healthy => health::healthy(),
        Route::Ready => health::ready(&shared.gateway),
        Route::Quit => Error::LifecycleDisabled.into_response(),
        Route::Push(path) if request.method() == Method::DELETE => {
            Box::pin(delete::delete(shared, path, request)).await
        }
        Route::Push(path) => push::push(shared, path, request).await,
    }
}

/// The path, decoded; too long a one is not looked at.
fn decode(options: &Options, path: &str) -> Result<Vec<u8>, PathError> {
    if path.len() > options.path_bytes_max {
        let (found, max) = (path.len(), options.path_bytes_max);
        return Err(PathError::TooLong { found, max, flag: Options::PATH_BYTES_FLAG });
    }
    path::decode(path)
}

/// What a decoded path leads to; `None` for the `*` of `OPTIONS *`.
fn route<'p>(decoded: &'p [u8], method: &Method, options: &Options) -> Result<Option<Route<'p>>, Error> {
    if decoded == b"*" && method == Method::OPTIONS {
        return Ok(None);
    }
    if let Some((_, route)) = fixed(options).into_iter().find(|(path, _)| path.as_bytes() == decoded) {
        return Ok(Some(route));
    }
    match path::shape(decoded) {
        Shape::Push(path) => Ok(Some(Route::Push(path))),
        Shape::Misspelt => Err(path::misspelling(decoded).into()),
        Shape::Other => Err(elsewhere(decoded, method, options).unwrap_or(Error::NotFound)),
    }
}

/// The routes that are one path each.
fn fixed(options: &Options) -> [(&str, Route<'static>); 6] {
    [
        (&options.telemetry_path, Route::Telemetry),
        ("/", Route::Home),
        ("/status", Route::Home),
        ("/-/healthy", Route::Healthy),
        ("/-/ready", Route::Ready),
        ("/-/quit", Route::Quit),
    ]
}

/// The redirect to the route that a path means but for letter case, a slash at the end or a part to be
/// cleaned, if that route has the method.
fn elsewhere(decoded: &[u8], method: &Method, options: &Options) -> Option<Error> {
    let cleaned = path::clean(decoded);
    let (location, _) = fixed(options).into_iter().find(|(path, route)| {
        route.has(method) && cleaned.eq_ignore_ascii_case(&path::clean(path.as_bytes()))
    })?;
    Some(Error::Elsewhere { location: location.to_owned(), method: method.clone() })
}

impl Route<'_> {
    /// Its methods and OPTIONS, in the form of a header `Allow`: sorted.
    fn allowed(self) -> &'static str {
        match self {
            Self::Home | Self::Telemetry | Self::Healthy | Self::Ready => "GET, OPTIONS",
            Self::Quit => "OPTIONS, POST, PUT",
            Self::Push(_) => "DELETE, OPTIONS, POST, PUT",
        }
    }

    /// Whether it has a method, OPTIONS aside.
    fn has(self, method: &Method) -> bool {
        method != Method::OPTIONS && self.allowed().split(", ").any(|allowed| allowed == method.as_str())
    }

    /// What counts its requests.
    fn handler(self, method: &Method) -> Handler {
        match self {
            Self::Home => Handler::Status,
            Self::Telemetry => Handler::Metrics,
            Self::Healthy => Handler::Healthy,
            Self::Ready => Handler::Ready,
            Self::Quit => Handler::Quit,
            Self::Push(_) if *method == Method::DELETE => Handler::Delete,
            Self::Push(_) => Handler::Push,
        }
    }
}

#[cfg(test)]
mod tests;
