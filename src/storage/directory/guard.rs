//! A guard around engines that may panic on damaged files.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::fault::{Fault, os_error_in};

/// Runs what may panic on damaged bytes; a panic becomes damage, and is not printed.
pub(in crate::storage) fn guarded<T>(run: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    let _quiet = Quiet::begin();
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no reason given");
        // Engines unwrap some errors of the operating system; a full disk is no damage.
        if let Some(error) = os_error_in(text) {
            return Err(Fault::Io(error));
        }
        Err(Fault::Damaged(format!("reading it failed: {}", text.lines().next().unwrap_or_default())))
    })
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
pub(in crate::storage) struct Quiet;

impl Quiet {
    /// Begins the quiet.
    pub(in crate::storage) fn begin() -> Quiet {
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
