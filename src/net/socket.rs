//! A connection of any kind that is listened on, and who is at its other end.
//!
//! Knows nothing of what is sent. A socket belongs to the runtime that it was accepted on; to be served by another one
//! it leaves the first and enters the second.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A process somewhere, by its address.
    Tcp(SocketAddr),
    /// A process of this machine, by a unix socket.
    Local,
}

impl Peer {
    /// Its IP address, where it has one.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Local => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Local => f.write_str("a unix socket"),
        }
    }
}

/// A connection.
pub(super) struct Socket(Kind);

enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Of no runtime.
    AwayTcp(std::net::TcpStream),
    AwayUnix(std::os::unix::net::UnixStream),
    /// Lost while it changed runtimes.
    Lost,
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self(Kind::Tcp(stream))
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self(Kind::Unix(stream))
    }
}

impl Socket {
    /// Waits for the first byte and leaves it where it is; `None` at the end of the stream.
    pub(super) async fn peek(&self) -> io::Result<Option<u8>> {
        let mut first = [0];
        let count = match &self.0 {
            Kind::Tcp(stream) => stream.peek(&mut first).await?,
            Kind::Unix(stream) => {
                let peek = || Ok(rustix::net::recv(stream, &mut first[..], RecvFlags::PEEK)?.1);
                stream.async_io(Interest::READABLE, peek).await?
            }
            _ => return Err(ErrorKind::NotConnected.into()),
        };
        Ok((count > 0).then_some(first[0]))
    }

    /// Sends what is written at once: answers are written whole, and waiting to fill a packet would only delay them.
    pub(super) fn send_at_once(&self) -> io::Result<()> {
        match &self.0 {
            Kind::Tcp(stream) => stream.set_nodelay(true),
            _ => Ok(()),
        }
    }

    /// Takes it from the runtime that it belongs to; until [`Self::enter`] it cannot be read or written.
    pub(super) fn leave(&mut self) -> io::Result<()> {
        self.0 = match std::mem::replace(&mut self.0, Kind::Lost) {
            Kind::Tcp(stream) => Kind::AwayTcp(stream.into_std()?),
            Kind::Unix(stream) => Kind::AwayUnix(stream.into_std()?),
            other => other,
        };
        Ok(())
    }

    /// Gives it to the runtime that this is called in.
    pub(super) fn enter(&mut self) -> io::Result<()> {
        self.0 = match std::mem::replace(&mut self.0, Kind::Lost) {
            Kind::AwayTcp(stream) => Kind::Tcp(TcpStream::from_std(stream)?),
            Kind::AwayUnix(stream) => Kind::Unix(UnixStream::from_std(stream)?),
            other => other,
        };
        Ok(())
    }
}

/// Passes a call on to the stream of a socket, if it belongs to a runtime.
macro_rules! on_stream {
    ($socket:ident, $method:ident($($argument:expr),*)) => {
        match &mut $socket.get_mut().0 {
            Kind::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            Kind::Unix(stream) => Pin::new(stream).$method($($argument),*),
            _ => Poll::Ready(Err(ErrorKind::NotConnected.into())),
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_stream!(self, poll_read(cx, buffer))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        on_stream!(self, poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn the_first_byte_of_a_unix_socket_stays_where_it_is() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut ours = Socket::from(ours);
        theirs.write_all(b"GET").await.unwrap();
        assert_eq!(ours.peek().await.unwrap(), Some(b'G'));
        let mut read = [0; 3];
        ours.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"GET");
        drop(theirs);
        assert_eq!(ours.peek().await.unwrap(), None);
    }

    #[test]
    fn a_socket_changes_runtimes() {
        let runtimes = [(); 2].map(|()| {
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made")
        });
        let (mut socket, mut theirs) = runtimes[0].block_on(async {
            let (ours, theirs) = UnixStream::pair().unwrap();
            (Socket::from(ours), theirs.into_std().unwrap())
        });
        runtimes[0].block_on(async { socket.leave() }).unwrap();
        let away = runtimes[1].block_on(async { socket.write_all(b"x").await });
        assert_eq!(away.unwrap_err().kind(), ErrorKind::NotConnected);
        runtimes[1].block_on(async {
            socket.enter().unwrap();
            socket.write_all(b"hello").await.unwrap();
        });
        theirs.set_nonblocking(false).unwrap();
        let mut read = [0; 5];
        std::io::Read::read_exact(&mut theirs, &mut read).unwrap();
        assert_eq!(&read, b"hello");
    }
}
