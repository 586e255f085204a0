//! The body of a scrape: chunks that many may share, handed out to one client within a time limit.
//!
//! Invariant: once the time is up, the chunks and the place among the scrapes are free, even if the client
//! has stopped reading and nobody polls this body any more; a client never takes a part for the whole.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;

use super::render::Rendered;

/// A body that hands out a [`Rendered`].
pub(super) struct ChunksBody {
    serving: Arc<Mutex<Option<Serving>>>,
    bytes_left: u64,
    clock: AbortHandle,
}

struct Serving {
    rendered: Rendered,
    next: usize,
    _place: OwnedSemaphorePermit,
}

impl ChunksBody {
    /// Serves `rendered`, for at most `timeout`.
    pub(super) fn new(rendered: Rendered, place: OwnedSemaphorePermit, timeout: Duration) -> Self {
        let bytes_left = rendered.bytes();
        let serving = Arc::new(Mutex::new(Some(Serving { rendered, next: 0, _place: place })));
        let clock = tokio::spawn({
            let serving = Arc::clone(&serving);
            async move {
                tokio::time::sleep(timeout).await;
                drop(serving.lock().take());
            }
        });
        Self { serving, bytes_left, clock: clock.abort_handle() }
    }
}

impl Body for ChunksBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.bytes_left == 0 {
            return Poll::Ready(None);
        }
        let chunk = self.serving.lock().as_mut().and_then(|serving| {
            serving.next += 1;
            serving.rendered.chunks().get(serving.next - 1).cloned()
        });
        let Some(chunk) = chunk else {
            let late = io::Error::new(io::ErrorKind::TimedOut, "the scrape was not read in time");
            return Poll::Ready(Some(Err(late)));
        };
        self.bytes_left -= chunk.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes_left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes_left)
    }
}

impl Drop for ChunksBody {
    fn drop(&mut self) {
        self.clock.abort();
        drop(self.serving.lock().take());
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tokio::sync::Semaphore;

    use super::*;

    fn rendered() -> Rendered {
        Rendered::new(vec![Bytes::from("one"), Bytes::from("two")], &Arc::default())
    }

    fn place(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
        Arc::clone(places).try_acquire_owned().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_in_time_is_whole_and_frees_its_place() {
        let places = Arc::new(Semaphore::new(1));
        let body = ChunksBody::new(rendered(), place(&places), Duration::from_secs(10));
        assert_eq!(body.size_hint().exact(), Some(6));
        assert_eq!(places.available_permits(), 0);
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert_eq!(body.collect().await.unwrap().to_bytes(), "onetwo");
        assert_eq!(places.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stops_reading_loses_its_place_and_does_not_get_the_rest() {
        let places = Arc::new(Semaphore::new(1));
        let mut body = ChunksBody::new(rendered(), place(&places), Duration::from_secs(10));
        assert!(body.frame().await.unwrap().is_ok());
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert_eq!(places.available_permits(), 1);
        assert_eq!(body.frame().await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_leaves_frees_its_place() {
        let places = Arc::new(Semaphore::new(1));
        drop(ChunksBody::new(rendered(), place(&places), Duration::from_secs(10)));
        assert_eq!(places.available_permits(), 1);
    }
}
