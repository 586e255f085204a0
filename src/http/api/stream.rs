//! A body that is written while it is read, so that it is never in memory as a whole.
//!
//! Knows nothing of what is written. Invariants: a few chunks wait for the reader and no more; when the time is
//! up, or the writer has failed, the body ends with an error, which no client takes for its end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Sleep, sleep};

/// A chunk is handed on once it has this many bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// How many chunks may wait for the reader.
const CHUNKS_WAITING_MAX: usize = 2;

/// Nobody reads any more; there is no use in writing on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// Where a writer writes to.
pub(super) struct Stream {
    /// What is not handed on yet.
    pub(super) out: Vec<u8>,
    chunks: mpsc::Sender<Part>,
}

enum Part {
    Chunk(Bytes),
    /// The body is whole.
    End,
}

impl Stream {
    /// Hands on what is written if that is enough; waits for the reader if there is much that it has not
    /// read. To be called off the async threads.
    pub(super) fn pass_on_if_full(&mut self) -> Result<(), Gone> {
        if self.out.len() >= CHUNK_BYTES { self.pass_on() } else { Ok(()) }
    }

    fn pass_on(&mut self) -> Result<(), Gone> {
        let chunk = std::mem::take(&mut self.out);
        if chunk.is_empty() {
            return Ok(());
        }
        self.chunks.blocking_send(Part::Chunk(chunk.into())).map_err(|_| Gone)
    }
}

/// Runs `write` off the async threads; its body must be read within `timeout`. `place` is held until nothing
/// is left of it.
pub(super) fn start(
    write: impl FnOnce(&mut Stream) -> Result<(), Gone> + Send + 'static,
    place: OwnedSemaphorePermit,
    timeout: Duration,
) -> ReadBody {
    let (chunks, waiting) = mpsc::channel(CHUNKS_WAITING_MAX);
    tokio::task::spawn_blocking(move || {
        let mut stream = Stream { out: Vec::new(), chunks };
        // That nobody reads any more is no failure.
        let _ = write(&mut stream)
            .and_then(|()| stream.pass_on())
            .and_then(|()| stream.chunks.blocking_send(Part::End).map_err(|_| Gone));
        drop(place);
    });
    ReadBody { waiting: Some(waiting), deadline: Box::pin(sleep(timeout)) }
}

/// The reading end.
pub(super) struct ReadBody {
    /// None once it has ended. The writer notices when this is gone.
    waiting: Option<mpsc::Receiver<Part>>,
    deadline: Pin<Box<Sleep>>,
}

impl Body for ReadBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        let Some(waiting) = &mut this.waiting else { return Poll::Ready(None) };
        if this.deadline.as_mut().poll(context).is_ready() {
            this.waiting = None;
            return Poll::Ready(Some(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "it was not read in time",
            ))));
        }
        match ready!(waiting.poll_recv(context)) {
            Some(Part::Chunk(chunk)) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            Some(Part::End) => {
                this.waiting = None;
                Poll::Ready(None)
            }
            None => {
                this.waiting = None;
                Poll::Ready(Some(Err(io::Error::other("it could not be written to its end"))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt as _;
    use tokio::sync::Semaphore;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn place(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
        Arc::clone(places).try_acquire_owned().unwrap()
    }

    async fn until_free(places: &Arc<Semaphore>) {
        drop(places.acquire().await.unwrap());
    }

    /// Writes for as long as somebody reads.
    fn endless(stream: &mut Stream) -> Result<(), Gone> {
        loop {
            stream.out.extend_from_slice(&[b'x'; 1000]);
            stream.pass_on_if_full()?;
        }
    }

    #[tokio::test]
    async fn what_is_written_is_read_in_order_and_frees_its_place() {
        let places = Arc::new(Semaphore::new(1));
        let write = |stream: &mut Stream| -> Result<(), Gone> {
            for number in 0..100_000 {
                stream.out.extend_from_slice(format!("{number} ").as_bytes());
                stream.pass_on_if_full()?;
            }
            Ok(())
        };
        let body = start(write, place(&places), MINUTE).collect().await.unwrap().to_bytes();
        let numbers =
            str::from_utf8(&body).unwrap().split_whitespace().map(|word| word.parse::<u32>().unwrap());
        assert!(numbers.eq(0..100_000));
        until_free(&places).await;
    }

    #[tokio::test]
    async fn a_reader_that_leaves_ends_the_writer() {
        let places = Arc::new(Semaphore::new(1));
        let mut body = start(endless, place(&places), MINUTE);
        assert!(body.frame().await.unwrap().unwrap().data_ref().unwrap().len() >= CHUNK_BYTES);
        assert_eq!(places.available_permits(), 0);
        drop(body);
        until_free(&places).await;
    }

    #[tokio::test]
    async fn the_time_is_limited_and_a_part_is_no_whole() {
        let places = Arc::new(Semaphore::new(1));
        let body = start(endless, place(&places), Duration::from_millis(20));
        assert!(body.collect().await.is_err());
        until_free(&places).await;
    }

    #[tokio::test]
    async fn a_writer_that_fails_shows_as_an_error() {
        let places = Arc::new(Semaphore::new(1));
        // A panic, but without its message among the output of the tests.
        let write = |_: &mut Stream| -> Result<(), Gone> {
            std::panic::resume_unwind(Box::new("cannot be written"));
        };
        assert!(start(write, place(&places), MINUTE).collect().await.is_err());
        until_free(&places).await;
    }
}
