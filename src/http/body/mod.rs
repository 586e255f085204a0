//! Receiving a request body: whole, under its limits, inflated.
//!
//! Knows nothing of what a body says. Invariant: a body that comes out is all that the client meant to
//! send; a cut one never does, for half a push would be counted and then sent again.

mod gzip;
mod inflate;
mod memory;
mod snappy;
mod zstd;

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::HeaderMap;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};

use super::options::Options;

pub(super) use memory::Memory;
use memory::Reservation;
pub use snappy::unsnap;

/// Up to this size work on a body is done where it is; a larger one is not left to block an async thread.
const INLINE_BYTES_MAX: usize = 256 << 10;

/// How long a refused body is read on, so that a client that is still sending sees the answer.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// The encodings that are understood, as a header `Accept-Encoding` lists them.
pub(super) const ACCEPTED_ENCODINGS: &str = "gzip, snappy, zstd";

/// Why a body could not be received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    /// Encoded in a way that is not understood.
    #[error("the Content-Encoding {0:?} is not supported; send {ACCEPTED_ENCODINGS}, or identity for none")]
    UnsupportedEncoding(String),
    /// Longer than allowed.
    #[error("the {what} has more than {max} bytes; push less at once, or raise {flag}")]
    TooLarge {
        /// Which of the two sizes.
        what: &'static str,
        /// Bytes it may have.
        max: usize,
        /// The flag that sets the limit.
        flag: &'static str,
    },
    /// It ended before it should have, as sent or as compressed.
    #[error("unexpected EOF")]
    UnexpectedEnd,
    /// Said to be compressed, and empty.
    #[error("EOF")]
    NothingToInflate,
    /// Not gzip, or damaged.
    #[error("gzip: {0}")]
    Gzip(String),
    /// Not snappy's framed format, or damaged.
    #[error("snappy: {0}")]
    Snappy(&'static str),
    /// Not zstd, or damaged.
    #[error("zstd: {0}")]
    Zstd(String),
    /// The transfer itself is malformed.
    #[error("the body could not be read: {0}")]
    Malformed(String),
    /// It did not arrive in time.
    #[error("the body did not arrive within {} s; send it again", .0.as_secs_f64())]
    TimedOut(Duration),
    /// Too much is being received at this moment.
    #[error("too many bytes of pushes are being received; try again")]
    NoMemory,
}

/// A body as its sender meant it. Its bytes count as buffered until it is dropped.
#[derive(Debug)]
pub(super) struct Received {
    bytes: Bytes,
    _reservation: Reservation,
}

impl Received {
    /// The bytes, inflated.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    /// Its framed format.
    Snappy,
    Zstd,
}

/// Receives the body of a request. The time limit ends once the last byte has come.
pub(super) async fn receive(
    headers: &HeaderMap,
    body: &mut Body,
    options: &Options,
    memory: &Memory,
) -> Result<Received, BodyError> {
    let encoding = encoding(headers)?;
    let mut reservation = memory.reserve_nothing();
    let sent = tokio::time::timeout(options.body_timeout, collect(headers, body, options, &mut reservation))
        .await
        .map_err(|_| BodyError::TimedOut(options.body_timeout))??;
    let bytes = match encoding {
        Encoding::Gzip => gzip::inflate(&sent, options.inflated_bytes_max, &mut reservation)?.into(),
        Encoding::Snappy => snappy::inflate(&sent, options.inflated_bytes_max, &mut reservation)?.into(),
        Encoding::Zstd => zstd::inflate(&sent, options.inflated_bytes_max, &mut reservation)?.into(),
        Encoding::Identity if sent.len() > options.inflated_bytes_max => {
            return Err(inflate::too_large(options.inflated_bytes_max));
        }
        Encoding::Identity => sent,
    };
    Ok(Received { bytes, _reservation: reservation })
}

/// Reads on, within bounds, what is left of a body that is refused: while a client is still sending,
/// closing the connection would often cost it the answer. A client that waits for leave to send is not
/// given any.
pub(super) async fn discard(headers: &HeaderMap, mut body: Body, options: &Options) {
    if headers.contains_key(EXPECT) {
        return;
    }
    let discard = async {
        let mut discarded = 0;
        while let Some(Ok(frame)) = body.frame().await {
            discarded += frame.data_ref().map_or(0, Bytes::len);
            if discarded > options.body_bytes_max {
                break;
            }
        }
    };
    // Whether it ended or was given up, the answer follows.
    let _ = tokio::time::timeout(DISCARD_TIMEOUT.min(options.body_timeout), discard).await;
}

/// Does work on `bytes` bytes, moving other tasks off this thread first where it will take long.
pub(super) fn without_blocking<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    let has_other_threads =
        Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    if bytes > INLINE_BYTES_MAX && has_other_threads { tokio::task::block_in_place(work) } else { work() }
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, BodyError> {
    let values: Vec<_> =
        headers.get_all(CONTENT_ENCODING).iter().map(|v| v.as_bytes().trim_ascii()).collect();
    let all = values.join(&b", "[..]);
    match all.to_ascii_lowercase().as_slice() {
        b"" | b"identity" => Ok(Encoding::Identity),
        b"gzip" => Ok(Encoding::Gzip),
        b"snappy" => Ok(Encoding::Snappy),
        b"zstd" => Ok(Encoding::Zstd),
        _ => Err(BodyError::UnsupportedEncoding(String::from_utf8_lossy(&all).into_owned())),
    }
}

/// All bytes as sent.
async fn collect(
    headers: &HeaderMap,
    body: &mut Body,
    options: &Options,
    reservation: &mut Reservation,
) -> Result<Bytes, BodyError> {
    let max = options.body_bytes_max;
    let too_large = BodyError::TooLarge { what: "body", max, flag: Options::BODY_BYTES_FLAG };
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > max as u64) {
        return Err(too_large);
    }
    // Most bodies come in one piece, which then is the body.
    let mut whole = Bytes::new();
    let mut sent = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| transfer_error(&error))?;
        // Trailers say nothing about the data.
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > max - whole.len() - sent.len() {
            return Err(too_large);
        }
        reservation.add(data.len())?;
        if whole.is_empty() && sent.is_empty() {
            whole = data;
            continue;
        }
        if sent.is_empty() {
            sent.extend_from_slice(&std::mem::take(&mut whole));
        }
        sent.extend_from_slice(&data);
    }
    Ok(if sent.is_empty() { whole } else { sent.into() })
}

/// Tells an end that came too early from other defects of a transfer.
fn transfer_error(error: &axum::Error) -> BodyError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut innermost = String::new();
    while let Some(error) = cause {
        let is_incomplete =
            error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message);
        let is_end = error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::UnexpectedEof);
        if is_incomplete || is_end {
            return BodyError::UnexpectedEnd;
        }
        innermost = error.to_string();
        cause = error.source();
    }
    BodyError::Malformed(innermost)
}

#[cfg(test)]
mod tests;
