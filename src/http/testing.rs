//! What the tests of this room start from.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::gateway::{self, Gateway, SystemClock};
use crate::net;
use crate::storage::MemoryEngine;

use super::options::Options;
use super::router::Router;

/// A gateway that holds nothing yet.
pub(super) fn gateway() -> Gateway {
    Gateway::open(
        Box::new(MemoryEngine::default()),
        gateway::Options::default(),
        Arc::new(SystemClock),
        Arc::default(),
    )
    .expect("an empty memory holds nothing damaged")
}

/// The whole service over such a gateway.
pub(super) fn router(options: Options) -> Router {
    Router::new(gateway(), Arc::default(), options)
}

/// Serves `router` on a port of this machine, until the test ends.
pub(super) fn serve(router: Router) -> SocketAddr {
    let listeners = net::bind(&["127.0.0.1:0".parse().unwrap()], 0o660).unwrap();
    let address = listeners[0].local_address().tcp().unwrap();
    let answer =
        move |request: hyper::Request<_>, _| router.clone().answer(request.map(axum::body::Body::new));
    let readers = Handle::current();
    let stop = std::future::pending();
    tokio::spawn(net::serve(listeners, None, answer, net::Options::default(), readers, stop));
    address
}
