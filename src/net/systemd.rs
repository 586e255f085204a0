//! The service manager: notices to one that has set `NOTIFY_SOCKET`, as systemd does for `Type=notify` (without one
//! they do nothing), and the sockets that it passes by `LISTEN_FDS`, as `sd_listen_fds(3)` has it.

use std::io;
use std::os::fd::AsFd;

use listenfd::ListenFd;
use sd_notify::NotifyState;

use super::listener::Listener;

/// Why the sockets that the service manager passes cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// None were passed to this process.
    #[error(
        "no socket activation file descriptors found; start the program by a systemd socket unit, or leave \
         --web.systemd-socket out"
    )]
    None,
    /// One of them is not a stream socket of TCP or a unix socket, or does not listen.
    #[error(
        "cannot listen on socket {number} of those that systemd passed: {source}; it needs ListenStream="
    )]
    Unusable {
        /// Its place among those passed, from 1.
        number: usize,
        /// What is wrong with it.
        source: io::Error,
    },
}

/// The sockets that the service manager has passed, in its order. Must be called within a tokio runtime, and once.
pub fn inherited() -> Result<Vec<Listener>, InheritError> {
    let mut passed = ListenFd::from_env();
    if passed.len() == 0 {
        return Err(InheritError::None);
    }
    (0..passed.len())
        .map(|index| {
            listener(&mut passed, index)
                .map_err(|source| InheritError::Unusable { number: index + 1, source })
        })
        .collect()
}

fn listener(passed: &mut ListenFd, index: usize) -> io::Result<Listener> {
    // A socket of another kind is refused and stays where it is.
    if let Ok(Some(unix)) = passed.take_unix_listener(index) {
        must_listen(&unix)?;
        return Listener::from_unix(unix, None);
    }
    let tcp = passed.take_tcp_listener(index)?.ok_or(io::ErrorKind::NotFound)?;
    must_listen(&tcp)?;
    Listener::from_tcp(tcp)
}

fn must_listen(socket: &impl AsFd) -> io::Result<()> {
    if rustix::net::sockopt::socket_acceptconn(socket)? {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it does not listen"))
}

/// Tells that requests are now answered.
pub fn notify_ready() {
    notify(&[NotifyState::Ready]);
}

/// Tells that a stop has begun.
pub fn notify_stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(error = &error as &dyn std::error::Error, "cannot notify the service manager");
    }
}
