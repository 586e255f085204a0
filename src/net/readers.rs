//! The runtime of those who read: its threads give way to all others.
//!
//! A scrape of a million series keeps a processor busy for a while, and compressing it even longer. Were it to
//! share threads with pushes, or to compete with them as an equal, pushes would wait for it. Invariant: nothing
//! that a push needs runs here.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// How nice the threads are to others, from 0 to 19: with this they get about a tenth of the time of a
/// processor that others want too (nice(1), setpriority(2)).
const NICENESS: i32 = 10;

/// A runtime on threads of low priority, those for blocking work included.
pub fn readers_runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().thread_name("readers").on_thread_start(give_way).enable_all().build()
}

/// Lowers the priority of this thread for good.
#[cfg(target_os = "linux")]
pub fn give_way() {
    use rustix::{process, thread};

    // Linux takes the number of a thread for that of a process here, and so sets the one alone.
    if let Err(error) = process::setpriority_process(Some(thread::gettid()), NICENESS) {
        tracing::debug!(%error, "cannot lower the priority of a thread");
    }
}

/// Elsewhere the whole process would get the priority.
#[cfg(not(target_os = "linux"))]
pub fn give_way() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::{process, thread};

    use super::*;

    fn niceness() -> i32 {
        process::getpriority_process(Some(thread::gettid())).expect("everybody may ask")
    }

    #[test]
    fn its_threads_give_way_and_others_do_not() {
        let before = niceness();
        let runtime = readers_runtime().unwrap();
        let worker = runtime.block_on(runtime.spawn(async { niceness() })).unwrap();
        let blocking = runtime.block_on(runtime.spawn_blocking(niceness)).unwrap();
        assert_eq!((worker, blocking), (NICENESS.max(before), NICENESS.max(before)));
        assert_eq!(niceness(), before);
    }
}
