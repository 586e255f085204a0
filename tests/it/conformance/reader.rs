//! Reads the lines of a case one after the other: steps, requests, bodies, expectations.
//!
//! Knows nothing of targets: it gets the lines of one.

use super::case::{Action, Command, Expected, JsonShape, Outcome, Request, Run, Step};
use super::{payload, protobuf};

/// Goes through the lines of a case.
pub struct Reader<'s> {
    file: &'s str,
    lines: Vec<(usize, String)>,
    next: usize,
}

impl<'s> Reader<'s> {
    /// Reads these lines, which have their numbers in a file.
    pub fn new(file: &'s str, lines: Vec<(usize, String)>) -> Self {
        Self { file, lines, next: 0 }
    }

    /// The next line.
    pub fn peek(&self) -> Option<&str> {
        self.lines.get(self.next).map(|(_, line)| line.as_str())
    }

    /// The next line, if this finds in it what it looks for.
    fn take<T>(&mut self, find: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let found = find(self.peek()?)?;
        self.next += 1;
        Some(found)
    }

    /// Goes past the next line.
    pub fn skip(&mut self) {
        self.next += 1;
    }

    fn after(&mut self, prefix: &str) -> Option<String> {
        self.take(|line| line.strip_prefix(prefix).map(str::to_owned))
    }

    fn number(&self) -> usize {
        let at = self.next.min(self.lines.len() - 1);
        self.lines[at].0
    }

    fn fail(&self, what: &str) -> ! {
        panic!("{}:{}: {what}: {:?}", self.file, self.number(), self.peek())
    }

    /// Reads a step.
    pub fn step(&mut self) -> Step {
        let line = self.number();
        let text = self.peek().unwrap_or_default().to_owned();
        self.next += 1;
        let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let what = match word {
            "shows" => Action::Shows(self.quoted()),
            "has" => Action::Has(self.quoted()),
            "lacks" => Action::Lacks(self.quoted()),
            "exits" => Action::Exits(rest.to_owned()),
            "restart" => Action::Restart,
            "stop" => Action::Stop,
            "kill" => Action::Kill,
            "start" => Action::Start,
            "signal" => Action::Signal(rest.to_owned()),
            "logs" => Action::Logs(self.unescape(rest)),
            "run" => {
                let arguments = rest.split_whitespace().map(str::to_owned).collect();
                Action::Run(self.run(Command::Server(arguments)))
            }
            "shell" => Action::Run(self.run(Command::Shell(rest.to_owned()))),
            _ if word.bytes().all(|byte| byte.is_ascii_uppercase()) && !rest.is_empty() => {
                let path = payload::expand(rest);
                Action::Request(self.request(word.to_owned(), path))
            }
            _ => {
                self.next -= 1;
                self.fail("no step begins so")
            }
        };
        Step { line, what }
    }

    fn request(&mut self, method: String, path: String) -> Request {
        let headers = std::iter::from_fn(|| self.take(header)).collect();
        let body = self.body();
        let Some(outcome) = self.after("=> ") else { self.fail("not an expected status") };
        let status = |text: &str| text.parse().unwrap_or_else(|_| self.fail("no status above this line"));
        let outcome = match (outcome.as_str(), outcome.strip_suffix(" or dropped")) {
            ("dropped", _) => Outcome::Dropped,
            ("hangs", _) => Outcome::Hangs,
            (_, Some(text)) => Outcome::StatusOrDropped(status(text)),
            (text, None) => Outcome::Status(status(text)),
        };
        let expected = std::iter::from_fn(|| self.expected()).collect();
        Request { method, path, headers, body, outcome, expected }
    }

    fn run(&mut self, command: Command) -> Run {
        let Some(status) = self.after("=> ") else { self.fail("not an expected exit status") };
        let mut output = Vec::new();
        while let Some(text) = self.after("output contains ") {
            output.push(self.unescape(&text));
        }
        Run { command, status, output }
    }

    fn expected(&mut self) -> Option<Expected> {
        if let Some(name) = self.after("no header ") {
            return Some(Expected::NoHeader(name));
        }
        if let Some(header) = self.after("header ") {
            return Some(match header.split_once(": ").or_else(|| header.split_once(" begins ")) {
                Some((name, value)) if header.contains(&format!("{name}: ")) => {
                    Expected::HeaderIs(name.to_owned(), value.to_owned())
                }
                Some((name, value)) => Expected::HeaderBegins(name.to_owned(), value.to_owned()),
                None => self.fail("neither `header NAME: VALUE` nor `header NAME begins VALUE`"),
            });
        }
        if let Some(what) = self.after("body ") {
            let (word, text) = what.split_once(' ').unwrap_or((&what, ""));
            return Some(match word {
                "empty" => Expected::BodyIs(Vec::new()),
                "is" => Expected::BodyIs(self.bytes(text)),
                "begins" => Expected::BodyBegins(self.bytes(text)),
                "contains" => Expected::BodyContains(self.bytes(text)),
                "lacks" => Expected::BodyLacks(self.bytes(text)),
                _ => self.fail("no such expectation of a body above this line"),
            });
        }
        if let Some(what) = self.after("json ") {
            return Some(self.json(&what));
        }
        if self.take(|line| (line == "families").then_some(())).is_some() {
            return Some(Expected::Families(self.quoted()));
        }
        self.take(|line| (line == "closes").then_some(Expected::Closes))
    }

    /// `POINTER = VALUE`, `POINTER is KIND` or `POINTER missing`; the pointer `.` is the whole document.
    fn json(&self, text: &str) -> Expected {
        let (pointer, shape) = if let Some((pointer, value)) = text.split_once(" = ") {
            let value = serde_json::from_str(value).unwrap_or_else(|_| self.fail("no JSON above this line"));
            (pointer, JsonShape::Is(value))
        } else if let Some((pointer, kind)) = text.split_once(" is ") {
            (pointer, JsonShape::Kind(kind.to_owned()))
        } else if let Some(pointer) = text.strip_suffix(" missing") {
            (pointer, JsonShape::Missing)
        } else {
            self.fail("no such expectation of JSON above this line")
        };
        Expected::Json(pointer.trim_start_matches('.').to_owned(), shape)
    }

    /// Lines after `| `.
    fn quoted(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.take(plain) {
            lines.push(payload::expand(&line));
        }
        lines
    }

    /// What is sent or stands in a file: lines after `| `, quoted pieces, bytes, protobuf; then encoded.
    pub fn body(&mut self) -> Vec<u8> {
        let encodings = self.after("encode ").unwrap_or_default();
        let mut body = Vec::new();
        if self.take(|line| (line == "protobuf").then_some(())).is_some() {
            for family in self.quoted() {
                let message = protobuf::encode(&family).unwrap_or_else(|error| self.fail(&error));
                body.extend(message);
            }
        }
        loop {
            if let Some(line) = self.take(plain) {
                body.extend(payload::expand(&line).into_bytes());
                body.push(b'\n');
            } else if let Some(digits) = self.after("hex ") {
                body.extend(payload::hex(&digits).unwrap_or_else(|| self.fail("bad digits above this line")));
            } else if let Some(text) = self.take(|line| line.starts_with('"').then(|| line.to_owned())) {
                body.extend(self.bytes(&text));
            } else {
                break;
            }
        }
        let encodings = encodings.split(", ").filter(|name| !name.is_empty());
        encodings.fold(body, |body, name| {
            payload::encode(name, &body).unwrap_or_else(|| self.fail("no such encoding above this line"))
        })
    }

    fn bytes(&self, quoted: &str) -> Vec<u8> {
        let bytes = payload::unquote(quoted);
        bytes.unwrap_or_else(|| self.fail("not a quoted text above this line"))
    }

    fn unescape(&self, quoted: &str) -> String {
        String::from_utf8(self.bytes(quoted)).unwrap_or_else(|_| self.fail("not UTF-8 above this line"))
    }
}

/// The text after `| `.
fn plain(line: &str) -> Option<String> {
    let rest = line.strip_prefix('|')?;
    Some(rest.strip_prefix(' ').unwrap_or(rest).to_owned())
}

/// A header line: a name, a colon and a value.
fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(": ")?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (!name.is_empty() && name.bytes().all(is_token)).then(|| (name.to_owned(), value.to_owned()))
}
