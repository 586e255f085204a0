//! A gateway in a process of its own: the real binary, a real store, real signals.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tallygate::exposition::protobuf::CONTENT_TYPE;

use super::wire::Connection;

/// How long anything may take before a test gives up; far more than it ever does.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A running gateway. Killed when dropped.
pub struct Process {
    child: Child,
    /// Its address: `127.0.0.1:port`.
    pub address: String,
    log: Arc<Mutex<String>>,
}

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Process {
    /// The command that starts a gateway on a free port with these flags.
    pub fn command(flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tallygate"));
        command.arg("--web.listen-address=127.0.0.1:0").args(flags);
        command
    }

    /// Starts a gateway with its store in a directory.
    pub fn start(store: &Path, flags: &[&str]) -> Self {
        Self::try_start(store, flags).expect("the gateway starts")
    }

    /// The same where it may not start; the exit code and the log then.
    pub fn try_start(store: &Path, flags: &[&str]) -> Result<Self, (ExitStatus, String)> {
        let file = format!("--persistence.file={}", store.display());
        let mut all = vec![file.as_str()];
        all.extend(flags);
        Self::spawn(Self::command(&all))
    }

    /// Runs a command that starts a gateway; the log if it ends before it listens.
    pub fn spawn(mut command: Command) -> Result<Self, (ExitStatus, String)> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be run");
        let log = Arc::new(Mutex::new(String::new()));
        let (sender, addresses) = mpsc::channel();
        let lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let copy = Arc::clone(&log);
        let reader = thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(address) = listening_address(&line) {
                    let _ = sender.send(address);
                }
                let mut log = copy.lock();
                log.push_str(&line);
                log.push('\n');
            }
        });
        if let Ok(address) = addresses.recv_timeout(PATIENCE) {
            Ok(Self { child, address, log })
        } else {
            let _ = child.kill();
            let status = child.wait().expect("it is our child");
            reader.join().expect("reading a log cannot fail");
            let log = log.lock().clone();
            Err((status, log))
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().clone()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        send(ureq::post(self.url(path)).config().http_status_as_error(false).build().send(body))
    }

    pub fn get(&self, path: &str) -> Answer {
        send(ureq::get(self.url(path)).config().http_status_as_error(false).build().call())
    }

    pub fn delete(&self, path: &str) -> Answer {
        send(ureq::delete(self.url(path)).config().http_status_as_error(false).build().call())
    }

    /// The scrape.
    pub fn scrape(&self) -> String {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    /// The scrape in protobuf, as Prometheus asks for it when it stores native histograms.
    pub fn scrape_by_protobuf(&self) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        // By HTTP/1.0, so that the body is not in chunks.
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: test\r\nAccept: {CONTENT_TYPE}\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("the head ends") + 4;
        let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_ascii_lowercase();
        assert!(head.contains("content-type: application/vnd.google.protobuf"), "{head}");
        answer.split_off(end)
    }

    /// Ends it as a loss of power would end the process: without any warning.
    pub fn kill(mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }

    /// Sends a signal, by name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Opens a connection to it.
    pub fn connect(&self) -> Connection {
        Connection::open(&self.address).expect("it accepts connections")
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Waits until it ends.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("the gateway does not end; its log:\n{}", self.log());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in a line of the log, as logfmt or JSON, that says where it listens. All interfaces are
/// reached as this machine.
fn listening_address(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("address=").or_else(|| line.split_once("\"address\":\""))?;
    let end = rest.trim_start_matches('"');
    let address = end.split(['"', ' ', ',', '}']).next().unwrap_or(end);
    line.contains("listening").then(|| address.replace("[::]", "127.0.0.1").replace("0.0.0.0", "127.0.0.1"))
}

fn send(outcome: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
    match outcome {
        Ok(mut response) => Answer {
            status: response.status().as_u16(),
            body: response.body_mut().with_config().limit(u64::MAX).read_to_string().unwrap(),
        },
        Err(error) => panic!("no answer: {error}"),
    }
}

/// A scratch directory, removed at the end.
pub fn scratch() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("there is room for a scratch directory");
    let store = directory.path().join("store");
    (directory, store)
}

/// Waits until something holds; `what` says what it is.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a program that a test needs is there. Says so if not; where nothing may be skipped, that is a
/// failure.
pub fn is_installed(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", "command -v \"$0\"", program])
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        skip_without(program);
    }
    found
}

/// The same for what `tests/setup.sh` makes.
pub fn is_made(path: &Path) -> bool {
    let found = path.exists();
    if !found {
        skip_without(&path.display().to_string());
    }
    found
}

fn skip_without(what: &str) {
    let text = format!("SKIPPED: {what} is not installed; run tests/setup.sh");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{text}");
    eprintln!("{text}");
}
