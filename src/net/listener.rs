//! Binding sockets.
//!
//! Knows nothing of what is served. Invariant: a bind that fails names the address and what to do about it.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::address::{Host, ListenAddress, TcpAddress};
use super::socket::{Peer, Socket};
use super::unix::{self, SocketFile};

/// Connections that the kernel holds while the limit on connections keeps us from accepting them. The
/// kernel lowers it to its own limit, `net.core.somaxconn`.
const BACKLOG: i32 = 4_096;

/// A bound socket that connections can be accepted from.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
    local: LocalAddress,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    /// With its file, which goes with it, if we have made that.
    Unix {
        listener: UnixListener,
        _file: Option<SocketFile>,
    },
}

/// What a listener is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalAddress {
    /// An address and the port, chosen by the operating system where 0 was asked for.
    Tcp(SocketAddr),
    /// The path of a unix socket; empty if it has none.
    Unix(PathBuf),
}

impl LocalAddress {
    /// The address, if it is one of TCP.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for LocalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

impl Listener {
    /// What it is bound to.
    pub fn local_address(&self) -> &LocalAddress {
        &self.local
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<(Socket, Peer)> {
        match &self.kind {
            Kind::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((stream.into(), Peer::Tcp(peer)))
            }
            Kind::Unix { listener, .. } => Ok((listener.accept().await?.0.into(), Peer::Local)),
        }
    }

    /// A listener that accepts from a bound TCP socket. Must be called within a tokio runtime.
    pub(super) fn from_tcp(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let local = LocalAddress::Tcp(listener.local_addr()?);
        Ok(Self { kind: Kind::Tcp(listener), local })
    }

    /// A listener that accepts from a bound unix socket, and takes care of its file if it has one to take care of. Must
    /// be called within a tokio runtime.
    pub(super) fn from_unix(
        listener: std::os::unix::net::UnixListener,
        file: Option<SocketFile>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let path = match &file {
            Some(file) => file.path().to_owned(),
            None => listener.local_addr()?.as_pathname().map(PathBuf::from).unwrap_or_default(),
        };
        Ok(Self { kind: Kind::Unix { listener, _file: file }, local: LocalAddress::Unix(path) })
    }
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{advice}", advice = advice(source))]
pub struct BindError {
    /// The address as it was given.
    pub address: String,
    /// What the operating system said.
    pub source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => "; stop the program that uses it, or choose another --web.listen-address",
        ErrorKind::PermissionDenied => {
            "; ports below 1024 need CAP_NET_BIND_SERVICE, choose one above; the directory of a unix socket must be \
             one to write to"
        }
        ErrorKind::AddrNotAvailable => {
            "; this machine has no such address, choose another --web.listen-address"
        }
        _ => "",
    }
}

/// Binds every address, or none. The files of unix sockets get `unix_mode`. Must be called within a tokio runtime.
pub fn bind(addresses: &[ListenAddress], unix_mode: u32) -> Result<Vec<Listener>, BindError> {
    let bind = |address: &ListenAddress| match address {
        ListenAddress::Tcp(address) => bind_tcp(address),
        ListenAddress::Unix(path) => {
            let (listener, file) = unix::bind(path, unix_mode)?;
            Listener::from_unix(listener, Some(file))
        }
    };
    addresses
        .iter()
        .map(|address| bind(address).map_err(|source| BindError { address: address.to_string(), source }))
        .collect()
}

fn bind_tcp(address: &TcpAddress) -> io::Result<Listener> {
    let socket = match &address.host {
        Host::All => match open(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), address.port)) {
            Err(error) if !matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) => {
                // A kernel without IPv6, as in many containers.
                open(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port))
            }
            other => other,
        },
        Host::Ip(ip) => open(SocketAddr::new(*ip, address.port)),
        Host::Name(name) => open(resolve(name, address.port)?),
    }?;
    Listener::from_tcp(socket.into())
}

/// One address of the name: of several an IPv4 one first, as Go does it.
fn resolve(name: &str, port: u16) -> io::Result<SocketAddr> {
    let all: Vec<SocketAddr> = (name, port).to_socket_addrs()?.collect();
    all.iter()
        .find(|address| address.is_ipv4())
        .or(all.first())
        .copied()
        .ok_or_else(|| io::Error::new(ErrorKind::NotFound, "the name has no address"))
}

fn open(address: SocketAddr) -> io::Result<RawSocket> {
    let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for connections of the last run to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> ListenAddress {
        text.parse().unwrap()
    }

    const MODE: u32 = 0o660;

    async fn reaches(target: SocketAddr) -> bool {
        tokio::net::TcpStream::connect(target).await.is_ok()
    }

    #[tokio::test]
    async fn no_host_means_both_families() {
        let listener = bind(&[address(":0")], MODE).unwrap().remove(0);
        let local = listener.local_address().tcp().unwrap();
        let port = local.port();
        assert_ne!(port, 0);
        assert!(reaches(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)).await);
        if local.is_ipv6() {
            assert!(reaches(SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port)).await);
        }
    }

    #[tokio::test]
    async fn a_name_and_an_address_are_bound_to_themselves_only() {
        for text in ["localhost:0", "127.0.0.1:0"] {
            let listener = bind(&[address(text)], MODE).unwrap().remove(0);
            assert!(listener.local_address().tcp().unwrap().ip().is_loopback(), "{text}");
        }
    }

    #[tokio::test]
    async fn an_address_in_use_is_named_with_what_to_do() {
        let listener = bind(&[address("127.0.0.1:0")], MODE).unwrap().remove(0);
        let taken = listener.local_address().to_string();
        let error = bind(&[address("127.0.0.1:0"), address(&taken)], MODE).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on {taken}: ")), "{error}");
        assert!(error.contains("another --web.listen-address"), "{error}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_and_an_unknown_name_are_refused() {
        let error = bind(&[address("192.0.2.1:0")], MODE).unwrap_err().to_string();
        assert!(error.contains("no such address"), "{error}");
        assert!(bind(&[address("no-such-host.invalid:0")], MODE).is_err());
    }

    #[tokio::test]
    async fn all_are_bound_or_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.sock");
        let unix = address(&format!("unix://{}", path.display()));
        let taken = bind(&[address("127.0.0.1:0")], MODE).unwrap();
        let addresses = [unix.clone(), address(&taken[0].local_address().to_string())];
        bind(&addresses, MODE).unwrap_err();
        assert!(!path.exists());
        let bound = bind(&[unix.clone(), address("127.0.0.1:0")], MODE).unwrap();
        assert_eq!(bound[0].local_address().to_string(), unix.to_string());
        let error = bind(&[unix], MODE).unwrap_err().to_string();
        assert!(error.contains("stop the program that uses it"), "{error}");
        drop(bound);
        assert!(!path.exists());
    }
}
