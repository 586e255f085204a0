//! TLS: what a handshake needs, made once from what is configured, and replaced while connections go on.
//!
//! Knows nothing of files. Invariants: a [`TlsConfig`] that exists can serve; a handshake uses the newest one, and a
//! connection keeps the one it began with.

mod build;
mod clients;
mod names;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub use build::{TlsError, TlsOptions};
pub use names::{CipherSuite, ClientAuth, Curve, TlsNameError, TlsVersion};

/// What a client is told that speaks HTTP in the clear, byte for byte as Go's server tells it.
const NOT_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// How long, and how far, we read what such a client still sends, so that it gets to see the answer.
const PLAIN_TIMEOUT: Duration = Duration::from_secs(1);
const PLAIN_BYTES_MAX: u64 = 64 << 10;

/// Everything that a handshake needs.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    server: Arc<ServerConfig>,
    guards: Arc<TlsGuards>,
}

/// What turns clients away in a handshake.
#[derive(Debug)]
pub struct TlsGuards {
    /// Whether and how clients show certificates.
    pub client_auth: ClientAuth,
    /// The certificates of the authorities that may sign those of clients; none where nothing is verified.
    pub client_authorities: Vec<CertificateDer<'static>>,
    /// Names of which a client's certificate must have one; all will do if there are none.
    pub client_allowed_sans: Vec<String>,
    /// The oldest version spoken.
    pub min_version: TlsVersion,
}

impl TlsConfig {
    /// Whom it turns away.
    pub fn guards(&self) -> &TlsGuards {
        &self.guards
    }
}

/// The configuration in force; cheap to clone, and all clones are one.
#[derive(Clone, Debug)]
pub struct Tls(Arc<RwLock<TlsConfig>>);

impl Tls {
    /// Begins with this configuration.
    pub fn new(config: TlsConfig) -> Self {
        Self(Arc::new(RwLock::new(config)))
    }

    /// Uses another one from the next handshake on. Sessions that the old one has begun cannot be resumed.
    pub fn replace(&self, config: TlsConfig) {
        *self.0.write() = config;
    }

    /// The server's part of a handshake.
    pub(super) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = Arc::clone(&self.0.read().server);
        TlsAcceptor::from(config).accept(stream).await
    }
}

/// Whether a connection that begins with this byte speaks HTTP in the clear: methods are capital letters, and no
/// record of TLS begins with one.
pub(super) fn is_plain_http(first: u8) -> bool {
    first.is_ascii_uppercase()
}

/// Whether both sides have agreed on HTTP/2.
pub(super) fn speaks_http2<S>(stream: &TlsStream<S>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(&b"h2"[..])
}

/// Tells a client that speaks HTTP in the clear what is wrong.
pub(super) async fn refuse_plain_http<S>(mut stream: S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let refuse = async {
        stream.write_all(NOT_TLS).await?;
        stream.shutdown().await?;
        let mut rest = stream.take(PLAIN_BYTES_MAX);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.map(drop)
    };
    tokio::time::timeout(PLAIN_TIMEOUT, refuse).await.unwrap_or(Ok(()))
}
