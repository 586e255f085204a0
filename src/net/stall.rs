//! A connection whose peer must take what is sent: one that reads too slowly is closed.
//!
//! Knows nothing of HTTP. Invariant: while there is something to send, at least [`PROGRESS_BYTES`] go out
//! within the time allowed, or the write fails.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// What a peer must take within the time allowed. Less would let it hold a connection with a byte now and
/// then.
const PROGRESS_BYTES: usize = 64 << 10;

/// A stream with a bound on how slowly its peer may read.
pub(super) struct WriteStall<S> {
    stream: S,
    timeout: Duration,
    /// Set while the peer is behind.
    window: Option<Window>,
}

struct Window {
    deadline: Pin<Box<Sleep>>,
    written: usize,
}

impl<S> WriteStall<S> {
    pub(super) fn new(stream: S, timeout: Duration) -> Self {
        Self { stream, timeout, window: None }
    }

    /// The stream itself.
    pub(super) fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// What a write has come to, seen against the clock.
    fn judge(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Ok(written)) => {
                if let Some(window) = &mut self.window {
                    window.written += written;
                    if window.written >= PROGRESS_BYTES {
                        self.window = None;
                    }
                }
                result
            }
            Poll::Ready(Err(_)) => result,
            Poll::Pending => {
                let timeout = self.timeout;
                let window = self.window.get_or_insert_with(|| Window {
                    deadline: Box::pin(tokio::time::sleep_until(Instant::now() + timeout)),
                    written: 0,
                });
                ready!(window.deadline.as_mut().poll(cx));
                Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the peer reads too slowly")))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteStall<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Everything was sent if the connection reads again: what comes next has its own time.
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteStall<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.judge(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        // Nothing waits any more: the next answer is measured anew.
        self.window = None;
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_nothing_is_given_up() {
        let (ours, _theirs) = tokio::io::duplex(1 << 10);
        let start = Instant::now();
        let error = WriteStall::new(ours, TIMEOUT).write_all(&[0; 4 << 10]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), TIMEOUT.as_secs());
    }

    /// Writes `len` bytes while the peer takes `step` bytes each ten seconds.
    async fn write_to_slow_peer(len: usize, step: usize) -> io::Result<()> {
        let (ours, mut theirs) = tokio::io::duplex(1 << 10);
        let reader = tokio::spawn(async move {
            let mut buffer = vec![0; step];
            loop {
                tokio::time::sleep(Duration::from_secs(10)).await;
                if theirs.read_exact(&mut buffer).await.is_err() {
                    break;
                }
            }
        });
        let result = WriteStall::new(ours, TIMEOUT).write_all(&vec![0; len]).await;
        reader.abort();
        result
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_is_not_enough() {
        assert_eq!(write_to_slow_peer(1 << 20, 1).await.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_that_keeps_reading_is_served() {
        write_to_slow_peer(1 << 20, 32 << 10).await.unwrap();
    }
}
