//! Addresses to listen on: those of TCP written as Go writes them, those of unix sockets as URLs.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What the address of a unix socket begins with; its path follows.
const UNIX_PREFIX: &str = "unix://";

/// Bytes that the path of a unix socket may have: those that the system has room for (unix(7)), less the suffix
/// that it has while it is made.
const UNIX_PATH_BYTES_MAX: usize = 100;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// On a port of this machine's addresses.
    Tcp(TcpAddress),
    /// On a unix socket with this absolute path.
    Unix(PathBuf),
}

/// A host and a TCP port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpAddress {
    /// The host.
    pub host: Host,
    /// The port; 0 lets the operating system choose.
    pub port: u16,
}

/// The host part of an address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// None given: all interfaces, IPv6 and IPv4.
    All,
    /// An address of one interface, or all of one family.
    Ip(IpAddr),
    /// A name, resolved when it is bound.
    Name(String),
}

/// Why a text is not an address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenAddressError {
    /// No port.
    #[error("missing port, write for example ':9091' or 'localhost:9091'")]
    NoPort,
    /// Not a number below 65,536.
    #[error("'{0}' is not a port, a number from 0 to 65535 is")]
    Port(String),
    /// An IPv6 address without brackets, or a bracket without its other.
    #[error("'{0}' is not a host, write an IPv6 address in brackets: '[::1]:9091'")]
    Brackets(String),
    /// Characters that no host name has.
    #[error("'{0}' is neither an IP address nor a host name")]
    Host(String),
    /// A unix socket whose path depends on the working directory, or which names none.
    #[error("'{0}' is not an absolute path, write for example 'unix:///run/tallygate/tallygate.sock'")]
    RelativePath(String),
    /// A path that the system has no room for.
    #[error("the path of a unix socket has at most {UNIX_PATH_BYTES_MAX} bytes, '{0}' has more")]
    LongPath(String),
}

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, ListenAddressError> {
        match text.strip_prefix(UNIX_PREFIX) {
            Some(path) => parse_path(path).map(Self::Unix),
            None => text.parse().map(Self::Tcp),
        }
    }
}

fn parse_path(text: &str) -> Result<PathBuf, ListenAddressError> {
    let path = Path::new(text);
    if !path.is_absolute() || path.file_name().is_none() || text.ends_with('/') {
        return Err(ListenAddressError::RelativePath(text.to_owned()));
    }
    if text.len() > UNIX_PATH_BYTES_MAX {
        return Err(ListenAddressError::LongPath(text.to_owned()));
    }
    Ok(path.to_owned())
}

impl FromStr for TcpAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, ListenAddressError> {
        let (host, port) = text.rsplit_once(':').ok_or(ListenAddressError::NoPort)?;
        // `[::1]` has colons, but none of them begins a port.
        if port.ends_with(']') {
            return Err(ListenAddressError::NoPort);
        }
        // Digits only: `u16::from_str` would take a leading plus sign too.
        let port = (port.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| port.parse().ok())
            .flatten()
            .ok_or_else(|| ListenAddressError::Port(port.to_owned()))?;
        Ok(Self { host: parse_host(host)?, port })
    }
}

fn parse_host(host: &str) -> Result<Host, ListenAddressError> {
    if host.is_empty() {
        return Ok(Host::All);
    }
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let ip = inner.parse().map_err(|_| ListenAddressError::Brackets(host.to_owned()))?;
        return Ok(Host::Ip(IpAddr::V6(ip)));
    }
    if host.contains([':', '[', ']']) {
        return Err(ListenAddressError::Brackets(host.to_owned()));
    }
    if let Ok(ip) = host.parse() {
        return Ok(Host::Ip(ip));
    }
    let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    if is_name { Ok(Host::Name(host.to_owned())) } else { Err(ListenAddressError::Host(host.to_owned())) }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX_PREFIX}{}", path.display()),
        }
    }
}

impl fmt::Display for TcpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::All => write!(f, ":{}", self.port),
            Host::Ip(IpAddr::V4(ip)) => write!(f, "{ip}:{}", self.port),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_go_are_read_and_written_alike() {
        for text in [
            ":9091",
            "localhost:9091",
            "0.0.0.0:9091",
            "[::1]:9091",
            "[::]:0",
            "a-b.example:80",
            "unix:///run/x.sock",
        ] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        assert_eq!(":9091".parse(), Ok(ListenAddress::Tcp(TcpAddress { host: Host::All, port: 9091 })));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, message) in [
            ("9091", "missing port"),
            ("", "missing port"),
            ("[::1]", "missing port"),
            ("::1:9091", "in brackets"),
            ("[::1:9091", "in brackets"),
            ("[a]:9091", "in brackets"),
            (":http", "'http' is not a port"),
            (":65536", "'65536' is not a port"),
            (":+1", "'+1' is not a port"),
            (":", "'' is not a port"),
            ("http://localhost:9091", "brackets"),
            ("a b:1", "neither"),
            ("unix://run/x.sock", "'run/x.sock' is not an absolute path"),
            ("unix://", "not an absolute path"),
            ("unix:///", "not an absolute path"),
            ("unix:///run/", "not an absolute path"),
            ("unix:/run/x.sock", "is not a port"),
            (format!("unix:///{}", "x".repeat(100)).as_str(), "at most 100 bytes"),
        ] {
            let error = text.parse::<ListenAddress>().unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
