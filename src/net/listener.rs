//! Binding sockets.
//!
//! Knows nothing of what is served. Invariant: a bind that fails names the address and what to do about it.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::address::{Host, ListenAddress};

/// Connections that the kernel holds while the limit on connections keeps us from accepting them. The
/// kernel lowers it to its own limit, `net.core.somaxconn`.
const BACKLOG: i32 = 4_096;

/// A bound socket that connections can be accepted from.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: TcpListener,
    local: SocketAddr,
}

impl Listener {
    /// The address bound, with the port that the operating system chose where 0 was asked for.
    pub fn local_address(&self) -> SocketAddr {
        self.local
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
        ErrorKind::AddrInUse => {
            "; stop the program that uses the port, or choose another --web.listen-address"
        }
        ErrorKind::PermissionDenied => "; ports below 1024 need CAP_NET_BIND_SERVICE, choose one above",
        ErrorKind::AddrNotAvailable => {
            "; this machine has no such address, choose another --web.listen-address"
        }
        _ => "",
    }
}

/// Binds every address, or none. Must be called within a tokio runtime.
pub fn bind(addresses: &[ListenAddress]) -> Result<Vec<Listener>, BindError> {
    addresses
        .iter()
        .map(|address| bind_one(address).map_err(|source| BindError { address: address.to_string(), source }))
        .collect()
}

fn bind_one(address: &ListenAddress) -> io::Result<Listener> {
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
    let socket = TcpListener::from_std(socket.into())?;
    let local = socket.local_addr()?;
    Ok(Listener { socket, local })
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

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
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

    async fn reaches(target: SocketAddr) -> bool {
        tokio::net::TcpStream::connect(target).await.is_ok()
    }

    #[tokio::test]
    async fn no_host_means_both_families() {
        let listener = bind(&[address(":0")]).unwrap().remove(0);
        let port = listener.local_address().port();
        assert_ne!(port, 0);
        assert!(reaches(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)).await);
        if listener.local_address().is_ipv6() {
            assert!(reaches(SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port)).await);
        }
    }

    #[tokio::test]
    async fn a_name_and_an_address_are_bound_to_themselves_only() {
        for text in ["localhost:0", "127.0.0.1:0"] {
            let listener = bind(&[address(text)]).unwrap().remove(0);
            assert!(listener.local_address().ip().is_loopback(), "{text}");
        }
    }

    #[tokio::test]
    async fn an_address_in_use_is_named_with_what_to_do() {
        let listener = bind(&[address("127.0.0.1:0")]).unwrap().remove(0);
        let taken = listener.local_address().to_string();
        let error = bind(&[address("127.0.0.1:0"), address(&taken)]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on {taken}: ")), "{error}");
        assert!(error.contains("another --web.listen-address"), "{error}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_and_an_unknown_name_are_refused() {
        let error = bind(&[address("192.0.2.1:0")]).unwrap_err().to_string();
        assert!(error.contains("no such address"), "{error}");
        assert!(bind(&[address("no-such-host.invalid:0")]).is_err());
    }
}
