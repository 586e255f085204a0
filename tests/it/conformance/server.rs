//! The server that a case runs against: started on a free address, with its stderr in a file.

use std::fs::{self, File};
use std::net::{TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::case::{self, Case, Target};

/// How long a start or an end may take; far more than any does.
const PATIENCE: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(2);

/// A place to run one case in. What runs is killed when this is dropped.
pub struct Server {
    target: Target,
    directory: tempfile::TempDir,
    flags: Vec<String>,
    persists: bool,
    pub address: String,
    child: Option<Child>,
}

impl Server {
    /// Makes the place; nothing is started yet.
    pub fn new(case: &Case, target: Target) -> Self {
        let directory = tempfile::tempdir().expect("there is room for a scratch directory");
        for (name, bytes) in &case.files {
            fs::write(directory.path().join(name), bytes).expect("there is room for a file");
        }
        if case.has_certificate {
            make_certificate(directory.path());
        }
        let (flags, persists) = (case.flags.clone(), case.persists);
        Self { target, directory, flags, persists, address: free_address(), child: None }
    }

    /// Starts the server and waits until it takes connections.
    pub fn start(&mut self) -> Result<(), String> {
        let mut arguments = vec!["--web.listen-address={address}", "--persistence.file={store}"];
        if !self.persists {
            arguments[1] = "--persistence.file=";
        }
        if self.target == Target::Replacing {
            arguments.push("--push.mode=pushgateway");
        }
        let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        arguments.extend(self.flags.iter().cloned());
        let log =
            File::options().append(true).create(true).open(self.log_path()).map_err(|e| e.to_string())?;
        let command = &mut self.command(&arguments);
        let child = command.stdout(Stdio::null()).stderr(log).spawn().map_err(|e| e.to_string())?;
        self.child = Some(child);
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(&self.address).is_err() {
            if let Some(status) = self.ended() {
                return Err(format!("it ended at its start with {status}:\n{}", self.log()));
            }
            if Instant::now() > deadline {
                return Err(format!("it does not listen:\n{}", self.log()));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Runs a command to its end; the status and all it wrote.
    pub fn run(&self, command: &case::Command) -> Result<(ExitStatus, String), String> {
        let path = self.directory.path().join("output");
        let file = File::create(&path).map_err(|e| e.to_string())?;
        let copy = file.try_clone().map_err(|e| e.to_string())?;
        let mut command = match command {
            case::Command::Server(arguments) => self.command(arguments),
            case::Command::Shell(line) => {
                let mut command = Command::new("sh");
                command.args(["-c", &self.filled(line)]).stdin(Stdio::null());
                command
            }
        };
        let mut child = command.stdout(copy).stderr(file).spawn().map_err(|e| e.to_string())?;
        let status = wait(&mut child);
        let _ = child.kill();
        let _ = child.wait();
        let output = fs::read_to_string(path).map_err(|e| e.to_string())?;
        let status = status.ok_or_else(|| format!("it does not end:\n{output}"))?;
        Ok((status, output))
    }

    /// What the server has written to stderr.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    pub fn signal(&self, name: &str) -> Result<(), String> {
        let child = self.child.as_ref().ok_or("it does not run")?;
        let status = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
        status.is_ok_and(|status| status.success()).then_some(()).ok_or_else(|| format!("no signal {name}"))
    }

    /// Waits until it ends.
    pub fn wait(&mut self) -> Result<ExitStatus, String> {
        let child = self.child.as_mut().ok_or("it does not run")?;
        let status = wait(child).ok_or_else(|| format!("it does not end:\n{}", self.log()))?;
        self.child = None;
        Ok(status)
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok()?
    }

    fn command(&self, arguments: &[String]) -> Command {
        let mut command = match self.target {
            Target::Replacing | Target::Merging => {
                let program = std::env::var_os("CONFORMANCE_PROGRAM");
                Command::new(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_tallygate").into()))
            }
            Target::Original => {
                // Programs in Go go on ignoring a signal that they find ignored, as below nohup.
                let mut command = Command::new("env");
                command.args(["--default-signal=HUP", "prometheus-pushgateway"]);
                command
            }
        };
        command.args(arguments.iter().map(|argument| self.filled(argument)));
        // Not where the files of the case are: what is relative to them must not be found by chance.
        let elsewhere = self.directory.path().join("elsewhere");
        std::fs::create_dir_all(&elsewhere).expect("the directory of the case can be written");
        command.current_dir(elsewhere).stdin(Stdio::null());
        command
    }

    /// An argument with its places filled: the address of the server, another one that is free, the directory
    /// of the case, the store in it.
    fn filled(&self, argument: &str) -> String {
        let directory = self.directory.path().to_str().expect("a scratch directory has a plain name");
        let filled = argument.replace("{address}", &self.address).replace("{dir}", directory);
        filled.replace("{store}", &format!("{directory}/store")).replace("{free}", &free_address())
    }

    fn log_path(&self) -> PathBuf {
        Path::new(self.directory.path()).join("stderr")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Makes `cert.pem` and `key.pem`, for localhost and signed by itself.
fn make_certificate(directory: &Path) {
    const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem";
    const CERTIFICATE: &str =
        "-out cert.pem -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost";
    let mut command = Command::new("openssl");
    command.args(["req", "-x509"]).args(KEY.split_whitespace()).args(CERTIFICATE.split_whitespace());
    command.current_dir(directory);
    let output = command.output().expect("openssl is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn wait(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        thread::sleep(POLL);
    }
    None
}

/// An address that nobody else uses. A server cannot say which port it got before it is asked, and a free port
/// may be taken before it starts; so each gets a loopback address that follows from our process, too.
fn free_address() -> String {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let number = 1 + STARTED.fetch_add(1, Ordering::Relaxed) % 250;
    let process = std::process::id();
    let host = format!("127.{}.{}.{number}", 20 + process % 80, process / 80 % 250);
    // Not a listener: a program that is just being started by another thread would keep it open for a moment,
    // and take the first connections.
    let socket = UdpSocket::bind((host, 0)).expect("loopback has free ports");
    socket.local_addr().expect("it is bound").to_string()
}
