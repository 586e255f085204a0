//! Where the gateway listens: several addresses, unix sockets, sockets of the service manager.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output};

use crate::support::process::{Process, is_installed, scratch, wait_until};
use crate::support::samples::value;

const BODY: &str = "# TYPE m counter\nm 1\n";
const M: &str = "m{instance=\"\",job=\"j\"}";

/// What the log says it listens on.
fn addresses(gateway: &Process) -> Vec<String> {
    let log = gateway.log();
    let lines = log.lines().filter(|line| line.contains("msg=listening"));
    lines
        .map(|line| {
            line.split("address=").nth(1).unwrap().split(' ').next().unwrap().trim_matches('"').to_owned()
        })
        .collect()
}

/// Runs curl against a unix socket.
fn curl(socket: &Path, arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--fail-with-body", "--unix-socket"])
        .arg(socket)
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// The whole answer to a request over a unix socket.
fn ask(socket: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn all_addresses_are_one_gateway() {
    if !is_installed("curl") {
        return;
    }
    let (scratch, store) = scratch();
    let socket = scratch.path().join("x.sock");
    let listen = format!("--web.listen-address=127.0.0.1:0,unix://{}", socket.display());
    let gateway = Process::start(&store, &[&listen, "--web.unix-socket-mode=0600"]);
    wait_until("it listens on all", || addresses(&gateway).len() == 3);
    let listening = addresses(&gateway);
    assert_eq!(listening[2], format!("unix://{}", socket.display()));
    assert_eq!(fs::metadata(&socket).unwrap().mode() & 0o777, 0o600);

    for address in &listening[..2] {
        let mut stream = TcpStream::connect(address).unwrap();
        let length = BODY.len();
        let request = format!(
            "POST /metrics/job/j HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{BODY}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    curl(&socket, &["--data-binary", BODY, "http://localhost/metrics/job/j"]);
    assert_eq!(value(&curl(&socket, &["http://localhost/metrics"]), M), 3.0);
    assert_eq!(value(&gateway.scrape(), M), 3.0);
    assert!(ask(&socket, "DELETE /metrics/job/j HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 202"));

    assert!(gateway.stop().success());
    assert!(!socket.exists(), "the socket's file goes with the gateway");
}

#[test]
fn a_stop_finishes_what_came_over_a_unix_socket() {
    let (scratch, store) = scratch();
    let socket = scratch.path().join("x.sock");
    let listen = format!("--web.listen-address=unix://{}", socket.display());
    let mut gateway = Process::start(&store, &[&listen]);
    wait_until("it listens on all", || addresses(&gateway).len() == 2);
    let mut stream = UnixStream::connect(&socket).unwrap();
    let length = BODY.len();
    let head = format!(
        "POST /metrics/job/j HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut leave = [0; 25];
    stream.read_exact(&mut leave).unwrap();
    assert!(leave.starts_with(b"HTTP/1.1 100 Continue"));
    gateway.signal("TERM");
    wait_until("it stops accepting", || !socket.exists());
    stream.write_all(BODY.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(gateway.wait().success(), "{}", gateway.log());
}

#[test]
fn a_socket_left_behind_is_replaced_and_one_in_use_is_not() {
    let (scratch, store) = scratch();
    let socket = scratch.path().join("x.sock");
    let listen = format!("--web.listen-address=unix://{}", socket.display());
    let first = Process::start(&store, &[&listen]);
    wait_until("it listens on all", || addresses(&first).len() == 2);
    let other = store.with_extension("other");
    let second = || Process::try_start(&other, &[&listen]);
    let (status, log) = second().err().expect("the socket is taken");
    assert_eq!(status.code(), Some(75));
    assert!(log.contains(&format!("cannot listen on unix://{}: ", socket.display())), "{log}");
    assert!(socket.exists() && !other.exists());
    first.kill();
    assert!(socket.exists(), "a killed gateway leaves its socket behind");
    let second = second().expect("nobody uses the socket any more");
    wait_until("it listens on all", || addresses(&second).len() == 2);
    assert!(ask(&socket, "GET /-/ready HTTP/1.0\r\n\r\n").ends_with("OK"));
    assert!(second.stop().success());

    fs::write(&socket, "precious").unwrap();
    let (status, log) = Process::spawn(Process::command(&[&listen, "--persistence.file="])).err().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("not a socket"), "{log}");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
}

/// Runs the gateway as systemd does, by a program of systemd that passes sockets.
fn activated(store: &Path, listen: &[&str]) -> Command {
    let mut command = Command::new("systemd-socket-activate");
    for address in listen {
        command.args(["--listen", address]);
    }
    command
        .arg(env!("CARGO_BIN_EXE_tallygate"))
        .arg("--web.systemd-socket")
        .arg(format!("--persistence.file={}", store.display()));
    command
}

#[test]
fn sockets_of_systemd_are_used() {
    if !is_installed("systemd-socket-activate") {
        return;
    }
    let (scratch, store) = scratch();
    let socket = scratch.path().join("x.sock");
    // Free just now, and soon taken again.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let command = activated(&store, &[&address, &socket.display().to_string()]);
    // It starts the gateway with the first connection.
    let knocking = socket.clone();
    let knock = std::thread::spawn(move || {
        wait_until("systemd listens", || UnixStream::connect(&knocking).is_ok());
    });
    let mut gateway = Process::spawn(command).expect("it starts");
    knock.join().unwrap();
    wait_until("it listens on all", || addresses(&gateway).len() == 2);
    assert_eq!(addresses(&gateway), [address, format!("unix://{}", socket.display())]);
    assert_eq!(gateway.post("/metrics/job/j", BODY).status, 200);
    assert!(ask(&socket, "GET /metrics HTTP/1.0\r\n\r\n").contains(&format!("{M} 1\n")));
    gateway.signal("TERM");
    assert!(gateway.wait().success());
    assert!(socket.exists(), "the socket is systemd's");
}

fn run(command: &mut Command) -> Output {
    command.env("TALLYGATE_PERSISTENCE_DURABILITY", "none").output().unwrap()
}

#[test]
fn without_a_usable_socket_of_systemd_it_does_not_start() {
    let (_scratch, store) = scratch();
    let file = format!("--persistence.file={}", store.display());
    let gateway = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tallygate"));
        command.args(["--web.systemd-socket", &file]);
        command
    };
    // None; those of another process; one that is no socket.
    let others = [("LISTEN_FDS", "1"), ("LISTEN_PID", "1")];
    for (environment, text) in [
        (&[][..], "no socket activation file descriptors found"),
        (&others[..], "no socket activation file descriptors found"),
        (&others[..1], "cannot listen on socket 1 of those that systemd passed"),
    ] {
        let output = run(gateway().envs(environment.iter().copied()));
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(log.contains(text), "{log}");
    }
    assert!(!store.exists(), "no store is made where nothing can be served");
}

#[test]
fn a_socket_of_another_program_is_left_alone() {
    let (scratch, _) = scratch();
    let socket = scratch.path().join("x.sock");
    let _listening = UnixListener::bind(&socket).unwrap();
    let listen = format!("--web.listen-address=unix://{}", socket.display());
    let (status, log) = Process::spawn(Process::command(&[&listen, "--persistence.file="])).err().unwrap();
    assert_eq!(status.code(), Some(75));
    assert!(log.contains("stop the program that uses it"), "{log}");
}
