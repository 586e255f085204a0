//! One HTTP exchange over a bare socket, so that the path and the headers arrive as the case has them.
//!
//! Every exchange has a connection of its own.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use flate2::read::GzDecoder;

use super::case::Request;

/// How long an answer may take; far more than any does.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// How long nothing must come for a request to count as hanging.
const HANG: Duration = Duration::from_millis(700);

/// What came back.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// Inflated, if it came as gzip.
    pub body: Vec<u8>,
    connection: BufReader<TcpStream>,
}

/// How an exchange went.
pub enum Exchange {
    Answered(Answer),
    /// The connection ended before an answer.
    Dropped,
    /// Nothing came for longer than an answer takes.
    Hung,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<String> {
        let is_it = |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
        let all: Vec<&str> = self.headers.iter().filter(is_it).map(|(_, value)| value.as_str()).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    /// Whether the server closes the connection without being asked to.
    pub fn is_closed(&mut self) -> bool {
        self.connection.get_mut().set_read_timeout(Some(HANG)).expect("it can be set");
        match self.connection.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

/// Sends a request. Where its `Content-Length` promises more than it has, nothing more is sent.
pub fn exchange(address: &str, request: &Request, may_hang: bool) -> io::Result<Exchange> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(if may_hang { HANG } else { ANSWER_MAX }))?;
    let is_given = |name: &str| request.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    if !is_given("Host") {
        head.push_str("Host: test\r\n");
    }
    let has_own_length = is_given("Content-Length") || is_given("Transfer-Encoding");
    if !has_own_length && !matches!(request.method.as_str(), "GET" | "HEAD") {
        let _ = write!(head, "Content-Length: {}\r\n", request.body.len());
    }
    for (name, value) in &request.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    // A server may answer and close before it has read everything.
    let sent = stream.write_all(&[head.as_bytes(), &request.body].concat());
    if has_own_length {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut connection = BufReader::new(stream);
    let head = match head_of(&mut connection) {
        Ok(Some(head)) => head,
        Ok(None) => return Ok(Exchange::Dropped),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Exchange::Dropped),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            return Ok(Exchange::Hung);
        }
        Err(error) => return Err(sent.err().unwrap_or(error)),
    };
    answer(request, &head, connection).map(Exchange::Answered)
}

/// The lines of a head; `None` if the connection ends before it does.
fn head_of(connection: &mut BufReader<TcpStream>) -> io::Result<Option<Vec<String>>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(Some(lines));
        }
        lines.push(line.to_owned());
    }
}

fn answer(request: &Request, head: &[String], mut connection: BufReader<TcpStream>) -> io::Result<Answer> {
    let [first, lines @ ..] = head else { return Err(io::Error::other("an empty head")) };
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("not HTTP: {first}")))?;
    let headers = lines.iter().filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    let headers: Vec<(String, String)> = headers;
    let has_body = request.method != "HEAD" && !matches!(status, 204 | 304);
    let mut body = if has_body { body_of(&headers, &mut connection)? } else { Vec::new() };
    if header(&headers, "Content-Encoding") == Some("gzip") {
        let mut inflated = Vec::new();
        GzDecoder::new(body.as_slice()).read_to_end(&mut inflated)?;
        body = inflated;
    }
    Ok(Answer { status, headers, body, connection })
}

fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    let is_it = |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
    headers.iter().find(is_it).map(|(_, value)| value.as_str())
}

fn body_of(headers: &[(String, String)], connection: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    if header(headers, "Transfer-Encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return chunks(connection);
    }
    let mut body = Vec::new();
    if let Some(length) = header(headers, "Content-Length") {
        body.resize(length.parse().map_err(io::Error::other)?, 0);
        connection.read_exact(&mut body)?;
    } else {
        connection.read_to_end(&mut body)?;
    }
    Ok(body)
}

fn chunks(connection: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        connection.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        let start = body.len();
        // The chunk and the line break after it.
        body.resize(start + length + 2, 0);
        connection.read_exact(&mut body[start..])?;
        body.truncate(start + length);
        if length == 0 {
            return Ok(body);
        }
    }
}
