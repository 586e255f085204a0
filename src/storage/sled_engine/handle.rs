//! sled at arm's length: opening it on files that may be damaged, and letting go of it when its disk is
//! full.
//!
//! sled 0.34.7 can panic on a damaged file, in the calling thread and in threads of its own, and dropping
//! a handle writes. Whatever it does here ends as a value, and nothing but our own error is printed.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::fault::Fault;

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
        match guarded(|| config().open().map_err(Fault::from_sled)) {
            Err(Fault::Io(error)) if error.raw_os_error().is_none() && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

/// Runs what may panic on damaged bytes; a panic becomes damage, and is not printed.
pub(super) fn guarded<T>(run: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    let _quiet = Quiet::begin();
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no reason given");
        // sled unwraps some errors of the operating system; a full disk is no damage.
        if text.contains("Os { code: ") {
            return Err(Fault::Io(io::Error::other(text.to_owned())));
        }
        Err(Fault::Damaged(format!("reading it failed: {}", text.lines().next().unwrap_or_default())))
    })
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

thread_local! {
    /// How many guards of this thread are open.
    static QUIET_HERE: Cell<usize> = const { Cell::new(0) };
}

/// How many guards are open in all; while there are any, sled's own threads are quiet too.
static QUIET_ANYWHERE: AtomicUsize = AtomicUsize::new(0);

/// While it lives, a panic of this thread or of one of sled's is not printed.
///
/// The hook is set once and asks each time, rather than being set and restored: two threads that open
/// stores at once would restore each other's.
struct Quiet;

impl Quiet {
    fn begin() -> Quiet {
        static HOOK: OnceLock<()> = OnceLock::new();
        HOOK.get_or_init(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if !is_quiet() {
                    before(info);
                }
            }));
        });
        QUIET_HERE.with(|guards| guards.set(guards.get() + 1));
        QUIET_ANYWHERE.fetch_add(1, Ordering::SeqCst);
        Quiet
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        QUIET_HERE.with(|guards| guards.set(guards.get() - 1));
        QUIET_ANYWHERE.fetch_sub(1, Ordering::SeqCst);
    }
}

fn is_quiet() -> bool {
    QUIET_HERE.try_with(Cell::get).unwrap_or(0) > 0
        || (QUIET_ANYWHERE.load(Ordering::SeqCst) > 0
            && thread::current().name().is_some_and(|name| name.starts_with("sled-")))
}
