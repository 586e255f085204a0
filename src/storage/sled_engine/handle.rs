//! sled at arm's length: opening it on files that may be damaged, and letting go of it when its disk is
//! full.
//!
//! sled 0.34.7 can panic on a damaged file, in the calling thread and in threads of its own, and dropping
//! a handle writes. Whatever it does here ends as a value, and nothing but our own error is printed.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::fault::{Fault, os_error_in};
use super::guard::{Quiet, guarded};

/// The length of a segment of sled's log. Fixed for ever: sled refuses a store with another one.
pub(super) const SEGMENT_BYTES: usize = 1 << 20;

/// How long another handle's lock on the file is waited for: sled's own threads hold it for a moment
/// longer than the handle.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Removes the snapshots that a killed open has left half written.
pub(super) fn remove_half_snapshots(dir: &Path) -> io::Result<()> {
    remove_snapshots(dir, |name| name.ends_with(".generating"))
}

/// Removes all snapshots; sled then reads its log from the beginning.
pub(super) fn remove_all_snapshots(dir: &Path) -> io::Result<()> {
    remove_snapshots(dir, |_| true)
}

/// Fills the log's last segment with zeros where the file ends within it.
///
/// sled gives free segments at the end of the file back, and a loss of power may leave one of them in part:
/// not every file system shortens a file in one step. sled 0.34.7 takes the end of the file for the end of the
/// log, stops there, and finds no page of what comes later. In a segment that is whole it takes zeros for the
/// end of the segment and goes on. Where the log does end in the last segment, sled writes such zeros itself.
///
/// Not for a log that a handle may still be letting go of: it could grow in between, and lose its end here.
pub(super) fn fill_last_segment(dir: &Path) -> io::Result<()> {
    let log = match File::options().write(true).open(dir.join("db")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let bytes = log.metadata()?.len();
    let whole = bytes.next_multiple_of(SEGMENT_BYTES as u64);
    if bytes == whole { Ok(()) } else { log.set_len(whole) }
}

/// Opens sled in `dir`. It fails on what a killed open leaves there, which is to be removed first.
pub(super) fn open(dir: &Path, cache_bytes: u64) -> Result<::sled::Db, Fault> {
    let config = || {
        ::sled::Config::new()
            .path(dir)
            .segment_size(SEGMENT_BYTES)
            .cache_capacity(cache_bytes)
            .use_compression(false)
            .flush_every_ms(None)
    };
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match guarded(|| config().open().map_err(fault_from)) {
            Err(Fault::Io(error)) if error.raw_os_error().is_none() && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

/// Drops a handle on a thread of its own, where it may panic or hang. An error where it has not ended in
/// time; the handle then stays locked, and a later open says so.
pub(super) fn release(db: ::sled::Db, wait: Duration) -> io::Result<()> {
    let (done, ended) = mpsc::channel();
    thread::Builder::new().name("sled-release".to_owned()).spawn(move || {
        let _quiet = Quiet::begin();
        let _panicked = catch_unwind(AssertUnwindSafe(move || drop(db)));
        let _nobody_waits = done.send(());
    })?;
    ended
        .recv_timeout(wait)
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the engine does not let go of its files"))
}

fn remove_snapshots(dir: &Path, which: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && which(&name) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Sorts sled's errors: what the operating system said is no damage; what sled found in the bytes is.
pub(super) fn fault_from(error: ::sled::Error) -> Fault {
    match error {
        ::sled::Error::Io(error) if error.raw_os_error().is_some() || is_lock(&error) => Fault::Io(error),
        // What one of sled's threads has met comes as a copy.
        ::sled::Error::Io(error) => match os_error_in(&error.to_string()) {
            Some(error) => Fault::Io(error),
            None => Fault::Damaged(format!("reading it ends early: {error}")),
        },
        ::sled::Error::Corruption { .. } => Fault::Damaged("a checksum does not fit".to_owned()),
        other @ (::sled::Error::CollectionNotFound(_)
        | ::sled::Error::Unsupported(_)
        | ::sled::Error::ReportableBug(_)) => Fault::Damaged(other.to_string()),
    }
}

/// sled wraps the refusal of its own lock into an error without an errno.
fn is_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other && error.to_string().contains("could not acquire lock")
}
