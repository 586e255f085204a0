//! A case as its text file says it: `tests/conformance/README.md` describes the format.
//!
//! Knows nothing of servers. A file that cannot be read stops the test with its name and line.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::reader::Reader;

/// What a case runs against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// This gateway as Pushgateway's stand-in: `--push.mode=pushgateway`.
    Replacing,
    /// This gateway with its defaults, so that pushes merge.
    Merging,
    /// Pushgateway 1.5.1, the one that Debian packages.
    Original,
}

impl Target {
    pub const ALL: [Self; 3] = [Self::Replacing, Self::Merging, Self::Original];

    /// Its name in the files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Replacing => "replacing",
            Self::Merging => "merging",
            Self::Original => "original",
        }
    }

    fn is_called(self, name: &str) -> bool {
        match name {
            "all" => true,
            "ours" => self != Self::Original,
            other => other == self.name(),
        }
    }
}

/// A case before it is read for a target: its name, where it stands, and its lines with their numbers.
pub struct Source {
    pub name: String,
    pub file: String,
    lines: Vec<(usize, String)>,
}

/// A case as one target gets it.
pub struct Case {
    pub name: String,
    pub file: String,
    /// Whether it runs against the target that it was read for.
    pub applies: bool,
    /// The departures that it shows: first cells of rows of the compatibility page.
    pub departures: Vec<String>,
    /// The rules that it proves, by the names in `rules.txt`.
    pub rules: Vec<String>,
    /// Flags that the server is started with.
    pub flags: Vec<String>,
    /// Whether the server keeps a store, and not everything in memory.
    pub persists: bool,
    /// Whether it needs a certificate: `cert.pem` and `key.pem` in its directory.
    pub has_certificate: bool,
    /// Files in the directory of the case, and what they hold.
    pub files: Vec<(String, Vec<u8>)>,
    /// Where the metrics are scraped.
    pub telemetry_path: String,
    pub steps: Vec<Step>,
}

/// A step, and the line that it stands in.
pub struct Step {
    pub line: usize,
    pub what: Action,
}

/// What happens in a step.
pub enum Action {
    Request(Request),
    /// The scrape shows exactly these lines beside the gateway's own and the push times.
    Shows(Vec<String>),
    /// The scrape has these lines among others.
    Has(Vec<String>),
    /// No line of the scrape begins with one of these.
    Lacks(Vec<String>),
    /// Nobody asked the server to end, but it does; with an exit status as [`Run::status`].
    Exits(String),
    /// SIGTERM, the exit status 0, and the start of another.
    Restart,
    /// SIGTERM and the exit status 0.
    Stop,
    /// A signal by name, after which nothing is awaited.
    Signal(String),
    /// SIGKILL.
    Kill,
    Start,
    /// What the server has written to stderr contains this.
    Logs(String),
    Run(Run),
}

/// A request and what is expected of the answer.
pub struct Request {
    pub method: String,
    /// As in the request line.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub outcome: Outcome,
    pub expected: Vec<Expected>,
}

/// Whether and how a request is answered.
pub enum Outcome {
    Status(u16),
    /// This status, or the end of the connection: a server that ends may not come to answer.
    StatusOrDropped(u16),
    /// The connection ends without an answer.
    Dropped,
    /// No answer within the time that any other takes.
    Hangs,
}

/// Something that is expected of an answer.
pub enum Expected {
    HeaderIs(String, String),
    HeaderBegins(String, String),
    NoHeader(String),
    BodyIs(Vec<u8>),
    BodyBegins(Vec<u8>),
    BodyContains(Vec<u8>),
    BodyLacks(Vec<u8>),
    /// The body is JSON in which this pointer leads to this value.
    Json(String, JsonShape),
    /// The body is delimited protobuf with these families among others.
    Families(Vec<String>),
    /// The server closes the connection afterwards.
    Closes,
}

/// What is run.
pub enum Command {
    /// The server's program with these arguments.
    Server(Vec<String>),
    /// A line of shell.
    Shell(String),
}

/// What a place in a JSON document holds.
pub enum JsonShape {
    Is(Value),
    /// `string`, `number`, `object`, `array` or `bool`.
    Kind(String),
    Missing,
}

/// A program run to its end: the server's, or a shell.
pub struct Run {
    pub command: Command,
    /// `0`, another code, `not 0`, or `signal`.
    pub status: String,
    /// Texts that its output contains, stdout and stderr together.
    pub output: Vec<String>,
}

/// All cases of all files, in the order of their names.
pub fn sources() -> Vec<Source> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "case"));
    paths.sort();
    assert!(paths.len() > 5, "only {paths:?} found: is the search broken?");
    paths.iter().flat_map(|path| sources_of(path)).collect()
}

fn sources_of(path: &Path) -> Vec<Source> {
    let file = path.file_name().unwrap().to_str().unwrap();
    let text = fs::read_to_string(path).unwrap();
    let mut found: Vec<Source> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            found.push(Source { name: name.to_owned(), file: file.to_owned(), lines: Vec::new() });
        } else if let Some(source) = found.last_mut() {
            source.lines.push((number, line.to_owned()));
        } else {
            assert!(is_silent(line), "{file}:{number}: this stands before the first case");
        }
    }
    found
}

/// Whether a line says nothing: blank, or a comment.
fn is_silent(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#')
}

impl Source {
    /// Reads it as a target gets it.
    pub fn read(&self, target: Target) -> Case {
        let lines = self.lines.iter().filter(|(_, line)| !is_silent(line));
        let lines = lines.filter_map(|(number, line)| Some((*number, addressed_to(line, target)?)));
        let mut reader = Reader::new(&self.file, lines.collect());
        let mut case = Case {
            name: self.name.clone(),
            file: self.file.clone(),
            applies: false,
            departures: Vec::new(),
            rules: Vec::new(),
            flags: Vec::new(),
            persists: false,
            has_certificate: false,
            files: Vec::new(),
            telemetry_path: "/metrics".to_owned(),
            steps: Vec::new(),
        };
        let mut has_why = false;
        while let Some(line) = reader.peek() {
            let Some((key, value)) = line.split_once(':') else { break };
            let value = value.trim().to_owned();
            match key {
                "why" => has_why = !value.is_empty(),
                "on" => case.applies = value.split(", ").any(|name| target.is_called(name)),
                "rule" => case.rules.extend(value.split(", ").map(str::to_owned)),
                "departure" => case.departures.push(value),
                "flags" => case.flags.extend(value.split_whitespace().map(str::to_owned)),
                "persists" => case.persists = value == "yes",
                "certificate" => case.has_certificate = value == "yes",
                "scrape" => case.telemetry_path = value,
                "file" => {
                    reader.skip();
                    case.files.push((value, reader.body()));
                    continue;
                }
                _ => break,
            }
            reader.skip();
        }
        assert!(has_why, "{}: the case \"{}\" does not say why", self.file, self.name);
        while reader.peek().is_some() {
            case.steps.push(reader.step());
        }
        assert!(!case.applies || !case.steps.is_empty(), "{}: \"{}\" has no steps", self.file, self.name);
        case
    }
}

/// The line without the targets that it is for; `None` if this one is not among them.
fn addressed_to(line: &str, target: Target) -> Option<String> {
    for name in ["ours", "replacing", "merging", "original"] {
        if let Some(rest) = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(": ")) {
            return target.is_called(name).then(|| rest.to_owned());
        }
    }
    Some(line.to_owned())
}
