//! A connection with nothing between the test and the bytes: requests may be slow, cut or wrong, and a
//! lost answer is an error instead of another attempt.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::process::PATIENCE;

/// A connection to a gateway.
pub struct Connection(BufReader<TcpStream>);

/// An answer with its head.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    pub body: String,
}

impl Connection {
    pub fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends these bytes and no others.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.get_mut().write_all(bytes.as_ref())
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) -> io::Result<()> {
        self.0.get_mut().shutdown(std::net::Shutdown::Write)
    }

    /// Sends a request with further header lines, each ended by CR LF, and waits for the answer.
    pub fn request(&mut self, method: &str, path: &str, headers: &str, body: &str) -> io::Result<Reply> {
        self.send(request(method, path, headers, body))?;
        self.reply()
    }

    pub fn post(&mut self, path: &str, body: &str) -> io::Result<Reply> {
        self.request("POST", path, "", body)
    }

    /// The next answer; an error if the connection ends before it is whole.
    pub fn reply(&mut self) -> io::Result<Reply> {
        let head = self.head()?;
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("not an answer: {head}")))?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = Vec::new();
        if let Some(length) = length.and_then(|text| text.parse().ok()) {
            body.resize(length, 0);
            self.0.read_exact(&mut body)?;
        }
        let body = String::from_utf8(body).map_err(io::Error::other)?;
        Ok(Reply { status, head, body })
    }

    /// Whether the other side closes the connection without sending anything more.
    pub fn is_closed_without_answer(&mut self) -> bool {
        match self.0.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    /// Whether anything comes back in this time.
    pub fn has_answer_within(&mut self, time: Duration) -> bool {
        self.0.get_mut().set_read_timeout(Some(time)).unwrap();
        let has_answer = self.0.fill_buf().is_ok_and(|bytes| !bytes.is_empty());
        self.0.get_mut().set_read_timeout(Some(PATIENCE)).unwrap();
        has_answer
    }

    fn head(&mut self) -> io::Result<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(head.to_ascii_lowercase())
    }
}

/// A request as it is sent.
pub fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}
