//! The programs in `tests/clients`, one for each library: how they are started, and what they say they did.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::process::{Process, is_installed, is_made};

/// A client library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    Python,
    Node,
    Go,
    Java,
    JavaSimpleclient,
    Cpp,
    Rust,
}

impl Client {
    /// Each with the format in which it pushes by itself.
    pub const ALL: [(Self, &str); 7] = [
        (Self::Python, "text"),
        (Self::Node, "text"),
        (Self::Go, "protobuf"),
        (Self::Java, "protobuf"),
        (Self::JavaSimpleclient, "text"),
        (Self::Cpp, "text"),
        (Self::Rust, "protobuf"),
    ];

    /// How its program is started, less its own arguments; nothing if what it needs is missing, which is said.
    fn command(self) -> Option<Command> {
        let (program, arguments, made) = self.parts();
        (is_made(Path::new(&made)) && is_installed(&program)).then(|| {
            let mut command = Command::new(program);
            command.args(arguments);
            command
        })
    }

    /// The program, its first arguments, and what `tests/setup.sh` has made for it.
    fn parts(self) -> (String, Vec<String>, String) {
        let root = env!("CARGO_MANIFEST_DIR");
        let source = |path: &str| format!("{root}/tests/clients/{path}");
        let made = |path: &str| format!("{root}/target/clients/{path}");
        let java = |file: &str| {
            let arguments = vec!["-cp".to_owned(), made("java/*"), source(&format!("java/{file}"))];
            ("java".to_owned(), arguments, made("java"))
        };
        match self {
            Self::Python => {
                let python = format!("{root}/.venv/bin/python");
                (python.clone(), vec![source("python/push.py")], python)
            }
            Self::Node => ("node".to_owned(), vec![made("node/push.js")], made("node/push.js")),
            Self::Go => (made("go/push"), Vec::new(), made("go/push")),
            Self::Java => java("PushMetrics.java"),
            Self::JavaSimpleclient => java("PushSimpleclient.java"),
            Self::Cpp => (made("cpp/push"), Vec::new(), made("cpp/push")),
            Self::Rust => (made("rust/debug/push"), Vec::new(), made("rust/debug/push")),
        }
    }
}

/// Where a gateway is, and what it asks of a client.
#[derive(Clone, Debug, Default)]
pub struct Door {
    pub url: String,
    /// Further arguments of the program: `user=somebody`.
    pub options: Vec<String>,
    pub environment: Option<(&'static str, String)>,
}

impl Door {
    pub fn open(gateway: &Process) -> Self {
        Self { url: gateway.url(""), ..Self::default() }
    }
}

/// Runs a client's program to its end; nothing if it is not there.
pub fn run(client: Client, mode: &str, door: &Door) -> Option<Output> {
    let mut command = client.command()?;
    command.arg(&door.url).arg(mode).args(&door.options).envs(door.environment.clone());
    Some(command.output().expect("the program can be run"))
}

/// What a program that has ended well says it did, step by step. Beside that, a library may print what the gateway has
/// answered.
pub fn steps(output: &Output) -> Vec<Value> {
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let steps = said.lines().filter(|line| line.starts_with('{'));
    steps.map(|line| serde_json::from_str(line).expect("a step is JSON")).collect()
}
