//! Signals of the operating system.
//!
//! Knows nothing of what a stop involves. Invariant: the first signal asks for a clean stop, the second
//! ends the process at once, so that a stop that hangs can be ended by hand.

use std::io;

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// A write beyond the file-size limit. Its default would kill the process; handled, the write fails
/// instead, and the store reports it as any other full disk. The number is that of Linux on x86, ARM,
/// RISC-V and POWER, and of macOS.
const SIGXFSZ: i32 = 25;

/// A request of the operating system to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// What service managers send.
    Terminate,
}

impl Signal {
    /// The exit code of a process that this signal has ended, by the shells' convention.
    fn exit_code(self) -> i32 {
        match self {
            Self::Interrupt => 128 + 2,
            Self::Terminate => 128 + 15,
        }
    }
}

/// Takes over the signals and returns what resolves with the first one that asks for a stop. From then on
/// a second one ends the process at once, without any further writing, with 130 or 143. SIGHUP and
/// SIGXFSZ no longer end it at all. Must be called within a tokio runtime.
pub fn signals() -> io::Result<impl Future<Output = Signal> + Send + 'static> {
    let mut stops =
        Stops { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? };
    let mut hangup = signal(SignalKind::hangup())?;
    // The handler stays for the life of the process, also without its stream.
    drop(signal(SignalKind::from_raw(SIGXFSZ))?);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::info!("SIGHUP is ignored; the web configuration file is read again whenever it changes");
        }
    });
    let (first, received) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        // A receiver that is gone has been stopped by other means; the second signal still counts.
        let _ = first.send(stops.next().await);
        let second = stops.next().await;
        tracing::warn!("second signal; exiting at once");
        std::process::exit(second.exit_code());
    });
    Ok(async move {
        match received.await {
            Ok(signal) => signal,
            // The task above ends only with the runtime, and then nobody waits here.
            Err(_) => std::future::pending().await,
        }
    })
}

struct Stops {
    interrupt: Stream,
    terminate: Stream,
}

impl Stops {
    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// Not a test by itself: the process that the tests below send signals to.
    #[tokio::test]
    #[ignore = "started by the other tests as a process of its own"]
    async fn process_under_signals() {
        let first = signals().unwrap();
        println!("\nready");
        println!("\nfirst {:?}", first.await);
        std::future::pending::<()>().await;
    }

    struct Process {
        child: Child,
        lines: BufReader<std::process::ChildStdout>,
    }

    impl Process {
        fn start() -> Self {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "net::shutdown::tests::process_under_signals", "--ignored", "--nocapture"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap());
            let mut process = Self { child, lines };
            process.wait_for("ready");
            process
        }

        fn send(&self, signal: &str) {
            let sent =
                Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status().unwrap();
            assert!(sent.success());
        }

        fn wait_for(&mut self, text: &str) {
            let mut line = String::new();
            while line.trim() != text {
                line.clear();
                assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "ended before {text:?}");
            }
        }

        fn exit_code(mut self) -> Option<i32> {
            self.lines.read_to_end(&mut Vec::new()).unwrap();
            self.child.wait().unwrap().code()
        }
    }

    #[test]
    fn the_first_signal_is_reported_and_the_second_ends_the_process() {
        for (signal, name, code) in [("TERM", "Terminate", 143), ("INT", "Interrupt", 130)] {
            let mut process = Process::start();
            process.send(signal);
            process.wait_for(&format!("first {name}"));
            process.send(signal);
            assert_eq!(process.exit_code(), Some(code));
        }
    }

    #[test]
    fn a_hangup_and_a_file_size_signal_do_not_end_the_process() {
        let mut process = Process::start();
        process.send("HUP");
        process.send("XFSZ");
        process.send("TERM");
        process.wait_for("first Terminate");
        process.send("INT");
        assert_eq!(process.exit_code(), Some(130));
    }
}
