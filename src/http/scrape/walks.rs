//! Sharing one walk through the store among the scrapes that wait at the same time.
//!
//! Knows nothing of what is walked. Invariant: nobody is given anything older than their request: they
//! join a walk that has not begun, or one that shows what would be shown now.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::render::Rendered;

/// What is walked.
pub(super) trait Source: Send + Sync + 'static {
    /// A number that changes whenever a walk would show something else.
    fn revision(&self) -> u64;

    /// Takes a view of what is there at this moment. Quick; the walk itself comes later.
    fn begin(&self) -> Walk;
}

/// A walk that has its view and waits to be done.
pub(super) struct Walk {
    /// The revision of the view; the view may be newer, never older.
    pub(super) revision: u64,
    /// Walks. May take long and blocks its thread.
    pub(super) render: Box<dyn FnOnce() -> Rendered + Send>,
}

/// A walk has panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WalkFailed;

/// All walks through one source; at most one is under way.
pub(super) struct Walks {
    source: Box<dyn Source>,
    turns: Mutex<Turns>,
}

type Done = watch::Receiver<Option<Rendered>>;

#[derive(Default)]
struct Turns {
    /// The walk under way, with its revision.
    running: Option<(u64, Done)>,
    /// Those who wait for the next one.
    next: Option<watch::Sender<Option<Rendered>>>,
}

impl Walks {
    /// No walk yet.
    pub(super) fn new(source: impl Source) -> Arc<Self> {
        Arc::new(Self { source: Box::new(source), turns: Mutex::default() })
    }

    /// What the source shows, no older than this call.
    pub(super) async fn rendered(self: &Arc<Self>) -> Result<Rendered, WalkFailed> {
        let mut done = self.join();
        let rendered = done.wait_for(Option::is_some).await.map_err(|_| WalkFailed)?;
        rendered.clone().ok_or(WalkFailed)
    }

    fn join(self: &Arc<Self>) -> Done {
        let mut turns = self.turns.lock();
        match &turns.running {
            None => {
                let (sender, done) = watch::channel(None);
                self.begin(&mut turns, sender);
                done
            }
            Some((number, done)) if *number == self.source.revision() => done.clone(),
            Some(_) => turns.next.get_or_insert_with(|| watch::channel(None).0).subscribe(),
        }
    }

    /// Begins a walk, whose view is taken before the lock is released: whoever joins later finds its
    /// number.
    fn begin(self: &Arc<Self>, turns: &mut Turns, sender: watch::Sender<Option<Rendered>>) {
        let Walk { revision, render } = self.source.begin();
        turns.running = Some((revision, sender.subscribe()));
        let walks = Arc::clone(self);
        // A task of its own: it goes on when the client that began it leaves.
        tokio::spawn(async move {
            let rendered = tokio::task::spawn_blocking(render).await;
            walks.end();
            match rendered {
                Ok(rendered) => drop(sender.send_replace(Some(rendered))),
                // Dropping the sender tells those who wait.
                Err(error) => tracing::error!(%error, "a scrape failed"),
            }
        });
    }

    /// Ends the walk under way and begins the next one if somebody still waits for it.
    fn end(self: &Arc<Self>) {
        let mut turns = self.turns.lock();
        turns.running = None;
        if let Some(next) = turns.next.take().filter(|next| next.receiver_count() > 0) {
            self.begin(&mut turns, next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    use std::sync::mpsc;

    use bytes::Bytes;
    use tokio::task::JoinHandle;

    use super::*;

    /// A source whose walks wait until they are let go, and which shows its number.
    #[derive(Clone, Default)]
    struct Slow {
        number: Arc<AtomicU64>,
        walks: Arc<AtomicUsize>,
        waiting: Arc<Mutex<Vec<mpsc::Sender<bool>>>>,
    }

    impl Source for Slow {
        fn revision(&self) -> u64 {
            self.number.load(Ordering::SeqCst)
        }

        fn begin(&self) -> Walk {
            let revision = self.revision();
            self.walks.fetch_add(1, Ordering::SeqCst);
            let (sender, receiver) = mpsc::channel();
            self.waiting.lock().push(sender);
            let render = move || {
                assert!(receiver.recv().expect("the test lets every walk go"), "a walk fails");
                Rendered::new(vec![Bytes::from(revision.to_string())], &Arc::default())
            };
            Walk { revision, render: Box::new(render) }
        }
    }

    impl Slow {
        fn commit(&self) {
            self.number.fetch_add(1, Ordering::SeqCst);
        }

        /// Lets the oldest walk that waits go on, to its end or into a panic.
        fn let_go(&self, succeeds: bool) {
            self.waiting.lock().remove(0).send(succeeds).unwrap();
        }

        fn walks_begun(&self) -> usize {
            self.walks.load(Ordering::SeqCst)
        }
    }

    /// A scrape that has joined a walk.
    fn scrape(walks: &Arc<Walks>) -> JoinHandle<Result<u64, WalkFailed>> {
        let mut done = walks.join();
        tokio::spawn(async move {
            let rendered = done.wait_for(Option::is_some).await.map_err(|_| WalkFailed)?.clone();
            let chunk = rendered.expect("waited for").chunks()[0].clone();
            Ok(str::from_utf8(&chunk).unwrap().parse().unwrap())
        })
    }

    #[tokio::test]
    async fn scrapes_of_one_moment_share_a_walk() {
        let source = Slow::default();
        let walks = Walks::new(source.clone());
        let scrapes: Vec<_> = (0..10).map(|_| scrape(&walks)).collect();
        source.let_go(true);
        for scrape in scrapes {
            assert_eq!(scrape.await.unwrap(), Ok(0));
        }
        assert_eq!(source.walks_begun(), 1);
    }

    #[tokio::test]
    async fn who_comes_after_a_commit_waits_for_the_next_walk_together() {
        let source = Slow::default();
        let walks = Walks::new(source.clone());
        let early = scrape(&walks);
        source.commit();
        let late: Vec<_> = (0..10).map(|_| scrape(&walks)).collect();
        // Committed after they came and before their walk: they see it.
        source.commit();
        assert_eq!(source.walks_begun(), 1);
        source.let_go(true);
        assert_eq!(early.await.unwrap(), Ok(0));
        while source.walks_begun() < 2 {
            tokio::task::yield_now().await;
        }
        source.let_go(true);
        for scrape in late {
            assert_eq!(scrape.await.unwrap(), Ok(2));
        }
        assert_eq!(source.walks_begun(), 2);
    }

    #[tokio::test]
    async fn a_finished_walk_is_not_handed_out_again() {
        let source = Slow::default();
        let walks = Walks::new(source.clone());
        for round in 1..=3 {
            let scrape = scrape(&walks);
            source.let_go(true);
            assert_eq!(scrape.await.unwrap(), Ok(0));
            assert_eq!(source.walks_begun(), round);
        }
    }

    #[tokio::test]
    async fn a_walk_that_fails_tells_all_who_wait_and_the_next_one_goes_on() {
        let source = Slow::default();
        let walks = Walks::new(source.clone());
        let failing = [scrape(&walks), scrape(&walks)];
        source.commit();
        let next = scrape(&walks);
        source.let_go(false);
        for scrape in failing {
            assert_eq!(scrape.await.unwrap(), Err(WalkFailed));
        }
        source.let_go(true);
        assert_eq!(next.await.unwrap(), Ok(1));
    }

    #[tokio::test]
    async fn a_walk_that_nobody_waits_for_is_not_begun() {
        let source = Slow::default();
        let walks = Walks::new(source.clone());
        let early = scrape(&walks);
        source.commit();
        drop(walks.join());
        source.let_go(true);
        assert_eq!(early.await.unwrap(), Ok(0));
        let after = scrape(&walks);
        assert_eq!(source.walks_begun(), 2);
        source.let_go(true);
        assert_eq!(after.await.unwrap(), Ok(1));
    }

    #[tokio::test]
    async fn a_walk_goes_on_when_the_client_that_began_it_leaves() {
        let source = Slow::default();
        let walks = Walks::new(source.clone());
        let leaving = tokio::spawn({
            let walks = Arc::clone(&walks);
            async move { walks.rendered().await }
        });
        while source.walks_begun() < 1 {
            tokio::task::yield_now().await;
        }
        leaving.abort();
        let staying = scrape(&walks);
        source.let_go(true);
        assert_eq!(staying.await.unwrap(), Ok(0));
        assert_eq!(source.walks_begun(), 1);
    }
}
