//! Letting go of a generation that is no longer needed: its handle, then its directory.
//!
//! Both may take long, so they happen on a thread of their own, which keeps the store's lock until it has
//! ended: nobody may open the store and begin a generation under a name that is still being removed.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::Duration;

use super::{Open, handle, layout};

/// A removal that is under way.
#[derive(Debug)]
pub(super) struct Retiring {
    ended: Receiver<()>,
}

impl Retiring {
    /// Begins to let go of the handle and to remove the directory. What cannot be removed is left to the
    /// next start.
    pub(super) fn begin(open: Open, dir: PathBuf, lock: Arc<File>) -> io::Result<Retiring> {
        let (done, ended) = mpsc::channel();
        thread::Builder::new().name("store-removal".to_owned()).spawn(move || {
            let Open { db, log } = open;
            drop(log);
            let removed = handle::release(db, super::RELEASE_WAIT).and_then(|()| layout::remove(&dir));
            if let Err(error) = removed {
                tracing::warn!(path = %dir.display(), err = %error, "cannot remove an unused copy of the store");
            }
            drop(lock);
            let _nobody_waits = done.send(());
        })?;
        Ok(Retiring { ended })
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self) -> bool {
        self.ended.try_recv() != Err(TryRecvError::Empty)
    }

    /// Waits for its end, but not longer than this.
    pub(super) fn wait(&self, at_most: Duration) {
        let _ended_or_late = self.ended.recv_timeout(at_most);
    }
}
