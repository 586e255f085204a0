//! Every URL on one page: which paths there are, which methods they have and what answers them.
//!
//! Knows nothing of what the handlers do. Matching works on the path once it is percent-decoded, as
//! Pushgateway's does, which a router of patterns cannot; hence this one. Invariant: no path under which
//! somebody might mean to push is ever redirected.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use hyper::Method;
use tokio::sync::Notify;

use super::access::{self, Access, Denied, Need};
use super::api::{self, Api};
use super::body::Memory;
use super::error::{self, Error};
use super::options::Options;
use super::path::{self, PathError, PushPath, Shape};
use super::repeats::Repeats;
use super::scrape::Scrapes;
use super::shared::Shared;
use super::{delete, health, home, middleware, push, quit};
use crate::gateway::Gateway;
use crate::telemetry::{Handler, Metrics, PushMethod, Reason};

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route<'p> {
    Home,
    Telemetry,
    Healthy,
    Ready,
    Quit,
    ApiStatus,
    ApiMetrics,
    ApiWipe,
    /// Any path below that of the API, whether there is something or not; has OPTIONS only.
    ApiOptions,
    Push(PushPath<'p>),
}

/// Answers every request; cheap to clone.
#[derive(Clone)]
pub struct Router(Arc<Shared>);

impl Router {
    /// Answers for this gateway, whoever asks.
    pub fn new(gateway: Gateway, metrics: Arc<Metrics>, options: Options) -> Self {
        Self::guarded(gateway, metrics, options, None)
    }

    /// Answers for this gateway what these rules allow.
    pub fn guarded(
        gateway: Gateway,
        metrics: Arc<Metrics>,
        options: Options,
        access: Option<Access>,
    ) -> Self {
        Self(Arc::new(Shared {
            access,
            memory: Memory::new(options.buffered_bytes_max),
            repeats: Repeats::new(options.repeat_bytes_max),
            scrapes: Scrapes::new(gateway.clone(), Arc::clone(&metrics), &options),
            api: Api::new(options.scrape_timeout),
            quit: Notify::new(),
            gateway,
            metrics,
            options,
        }))
    }

    /// Answers a request of somebody unknown.
    pub async fn answer(self, request: Request) -> Response {
        self.answer_to(None, request).await
    }

    /// Answers a request that comes from this address, if it comes from one.
    pub async fn answer_to(self, peer: Option<IpAddr>, request: Request) -> Response {
        let answering = |request| answer(&self.0, peer, request);
        let mut response = middleware::stack(&self.0.metrics, request, answering).await;
        if let Some(access) = &self.0.access {
            access.dress(&mut response);
        }
        response
    }

    /// Resolves once a client has asked the gateway to stop, which [`Options::lifecycle`] allows. For one
    /// waiter.
    pub fn quit_requested(&self) -> impl Future<Output = ()> + Send + use<> {
        let shared = Arc::clone(&self.0);
        async move { shared.quit.notified().await }
    }
}

/// Answers a request: path, then who asks, then method, then handler. Says which handler has answered, if
/// one has.
async fn answer(shared: &Arc<Shared>, peer: Option<IpAddr>, request: Request) -> (Option<Handler>, Response) {
    let method = request.method().clone();
    let decoded = decode(&shared.options, request.uri().path());
    let routed = decoded.as_ref().map(|decoded| route(decoded, &method, &shared.options));
    if let Some(access) = &shared.access {
        let need = match &routed {
            Ok(Ok(Some(route))) if route.has(&method) => route.need(&shared.options),
            _ => Need::Password,
        };
        // Boxed: gateways that everybody may use do not carry the room.
        if let Err(denied) = Box::pin(access.admit(need, request.headers(), peer)).await {
            return (None, deny(shared, need, request, denied).await);
        }
    }
    let route = match routed {
        Ok(Ok(Some(route))) => route,
        Ok(Ok(None)) => return (None, error::options(None)),
        Ok(Err(error)) => return (None, unrouted(shared, &method, error)),
        Err(error) => return (None, unrouted(shared, &method, Error::Path(error.clone()))),
    };
    if route == Route::ApiOptions {
        (Some(Handler::ApiOptions), api::options())
    } else if method == Method::OPTIONS {
        (None, error::options(Some(route.allowed())))
    } else if route.has(&method) {
        let response = dispatch(shared, route, request).await;
        (route.handler(&method).filter(|_| !error::is_of_decoding(&response)), response)
    } else {
        (None, Error::MethodNotAllowed { allowed: route.allowed() }.into_response())
    }
}

/// Answers what is not let through; a push is counted as refused.
async fn deny(shared: &Shared, need: Need<'_>, request: Request, denied: Denied) -> Response {
    if matches!(need, Need::Push(..)) && *request.method() != Method::DELETE {
        shared.metrics.pushes_refused.of(Reason::Access).increment();
    }
    Box::pin(access::refuse(request, denied, &shared.options)).await
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
    // All but pushes boxed, so that the many pushes do not carry the room that the others take.
    match route {
        Route::Home => Box::pin(home::page(&shared.gateway, &shared.options)).await,
        Route::Telemetry => Box::pin(shared.scrapes.serve(request.headers())).await,
        Route::Healthy => health::healthy(),
        Route::Ready => health::ready(&shared.gateway),
        Route::Quit => quit::quit(shared),
        Route::ApiStatus => shared.api.status(&shared.options),
        Route::ApiMetrics => shared.api.metrics(&shared.gateway),
        Route::ApiWipe => Box::pin(api::wipe(&shared.gateway)).await,
        Route::ApiOptions => api::options(),
        Route::Push(path) if request.method() == Method::DELETE => {
            Box::pin(delete::delete(shared, path, request)).await
        }
        Route::Push(path) => {
            let (begin, size) = (Instant::now(), middleware::approximate_size(&request));
            let put = *request.method() == Method::PUT;
            let response = push::push(shared, path, request).await;
            observe_push(&shared.metrics, if put { PushMethod::Put } else { PushMethod::Post }, begin, size);
            response
        }
    }
}

/// Notes how long a push has taken and how large its request was.
fn observe_push(metrics: &Metrics, method: PushMethod, begin: Instant, size: u64) {
    let end = Instant::now();
    let nanoseconds = u64::try_from(end.duration_since(begin).as_nanos()).unwrap_or(u64::MAX);
    metrics.push_seconds.of(method).observe(nanoseconds, end);
    metrics.push_bytes.of(method).observe(size, end);
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
    let misspelt = || Error::from(path::misspelling(decoded, &options.route_prefix));
    let nowhere = || elsewhere(decoded, method, options).unwrap_or(Error::NotFound);
    let Some(inner) = path::below(decoded, &options.route_prefix) else {
        let is_push = path::would_be_push_below(decoded, &options.route_prefix);
        return Err(if is_push { misspelt() } else { nowhere() });
    };
    let shape = path::shape(inner);
    if let Shape::Push(path) = shape {
        return Ok(Some(Route::Push(path)));
    }
    if inner.starts_with(API_ROOT.as_bytes()) && method == Method::OPTIONS {
        return Ok(Some(Route::ApiOptions));
    }
    if let Some((_, route)) = fixed(options).find(|(path, _)| path.as_bytes() == inner) {
        return Ok(Some(route));
    }
    Err(if shape == Shape::Misspelt { misspelt() } else { nowhere() })
}

/// Under which all of the API is.
const API_ROOT: &str = "/api/v1/";

/// The routes that are one path each, behind the prefix.
fn fixed(options: &Options) -> impl Iterator<Item = (&str, Route<'static>)> {
    let always = [
        (options.telemetry_path.as_str(), Route::Telemetry),
        ("/", Route::Home),
        ("/status", Route::Home),
        ("/-/healthy", Route::Healthy),
        ("/-/ready", Route::Ready),
        ("/-/quit", Route::Quit),
        ("/api/v1/status", Route::ApiStatus),
        ("/api/v1/metrics", Route::ApiMetrics),
    ];
    always.into_iter().chain(options.admin_api.then_some(("/api/v1/admin/wipe", Route::ApiWipe)))
}

/// The redirect to the route that a path means but for letter case, a slash at the end or a part to be
/// cleaned, if that route has the method.
fn elsewhere(decoded: &[u8], method: &Method, options: &Options) -> Option<Error> {
    let cleaned = path::clean(decoded);
    let prefix = &options.route_prefix;
    let redirect = |location: String| Error::Elsewhere { location, method: method.clone() };
    if *method == Method::GET && decoded == format!("{prefix}/api/v1").as_bytes() {
        return Some(redirect(format!("{prefix}{API_ROOT}")));
    }
    fixed(options)
        .filter(|(_, route)| route.has(method))
        .map(|(path, _)| format!("{prefix}{path}"))
        .find(|path| cleaned.eq_ignore_ascii_case(&path::clean(path.as_bytes())))
        .map(redirect)
}

impl<'p> Route<'p> {
    /// What a client needs to be let through to it.
    fn need(self, options: &Options) -> Need<'p> {
        match self {
            Self::Home | Self::Telemetry | Self::ApiStatus | Self::ApiMetrics | Self::ApiOptions => {
                Need::Read
            }
            Self::Healthy | Self::Ready => Need::Health,
            Self::Quit | Self::ApiWipe => Need::Admin,
            Self::Push(path) => Need::Push(path, options.names),
        }
    }

    /// Its methods and OPTIONS, in the form of a header `Allow`: sorted.
    fn allowed(self) -> &'static str {
        match self {
            Self::Home
            | Self::Telemetry
            | Self::Healthy
            | Self::Ready
            | Self::ApiStatus
            | Self::ApiMetrics => "GET, OPTIONS",
            Self::Quit => "OPTIONS, POST, PUT",
            Self::ApiWipe => "OPTIONS, PUT",
            Self::ApiOptions => "OPTIONS",
            Self::Push(_) => "DELETE, OPTIONS, POST, PUT",
        }
    }

    /// Whether it has a method, OPTIONS aside.
    fn has(self, method: &Method) -> bool {
        method != Method::OPTIONS && self.allowed().split(", ").any(|allowed| allowed == method.as_str())
    }

    /// Under which handler its requests are counted. Scrapes are counted by themselves, and whoever stops the
    /// gateway will not see a count.
    fn handler(self, method: &Method) -> Option<Handler> {
        match self {
            Self::Home => Some(Handler::Status),
            Self::Telemetry | Self::Quit => None,
            Self::Healthy => Some(Handler::Healthy),
            Self::Ready => Some(Handler::Ready),
            Self::ApiStatus => Some(Handler::ApiStatus),
            Self::ApiMetrics => Some(Handler::ApiMetrics),
            Self::ApiWipe => Some(Handler::Wipe),
            Self::ApiOptions => Some(Handler::ApiOptions),
            Self::Push(_) if *method == Method::DELETE => Some(Handler::Delete),
            Self::Push(_) => Some(Handler::Push),
        }
    }
}

#[cfg(test)]
mod tests;
