//! The web configuration file: TLS, passwords, roles, rate limit and headers, in the format that Prometheus's programs
//! share, and with what is ours.
//!
//! Knows nothing of what the settings do. Invariants: settings that exist are valid as a whole; an error names the
//! line and the key; a change is followed only as it was read twice, and then removes no restriction.

mod change;
mod check;
mod files;
mod raw;

use std::path::{Path, PathBuf};

use crate::http::access::AccessOptions;
use crate::net::TlsConfig;

use files::Files;
use raw::RawFile;

/// Depth to which values may be nested; the format needs three.
const DEPTH_MAX: usize = 16;

/// Values that a file may have.
const NODES_MAX: usize = 50_000;

/// What stands in a web configuration file.
#[derive(Clone, Debug)]
pub struct WebSettings {
    /// `None`: no TLS.
    pub tls: Option<TlsConfig>,
    /// Passwords, roles, rate limit, headers.
    pub access: AccessOptions,
    /// What in the file does nothing though it looks as if it did something, each with its line.
    pub remarks: Vec<String>,
    has_roles: bool,
}

/// A web configuration file that was read, and what is needed to see that it has changed.
#[derive(Clone, Debug)]
pub struct WebFile {
    path: PathBuf,
    settings: WebSettings,
    files: Files,
    /// What was read when a change was first seen, until it is seen again.
    seen_once: Option<Files>,
}

/// A change of the file, or of what it names, that is to be followed.
#[derive(Debug)]
pub struct WebChange<'f> {
    /// What it says now.
    pub settings: &'f WebSettings,
    /// What is let in now that was not before, each in words.
    pub opened: Vec<String>,
}

/// Why a web configuration file cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {what}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct WebFileError {
    path: PathBuf,
    line: Option<u64>,
    what: String,
}

/// What is wrong, and in which line if that is known.
#[derive(Debug)]
struct Fault {
    line: Option<u64>,
    what: String,
}

impl Fault {
    fn new(what: impl AsRef<str>) -> Self {
        Self::at(0, what)
    }

    /// A fault in a line; 0 stands for an unknown one. What it quotes of the file is escaped where it would break the
    /// line that it is shown in, or speak to a terminal.
    fn at(line: u64, what: impl AsRef<str>) -> Self {
        let mut shown = String::new();
        for character in what.as_ref().chars() {
            if character.is_control() {
                shown.extend(character.escape_default());
            } else {
                shown.push(character);
            }
        }
        Self { line: (line > 0).then_some(line), what: shown }
    }
}

impl WebFile {
    /// Reads a file and all that it names.
    pub fn read(path: &Path) -> Result<Self, WebFileError> {
        let mut files = Files::default();
        let settings = settings(path, &mut files)?;
        Ok(Self { path: path.to_owned(), settings, files, seen_once: None })
    }

    /// What it said when it was last read well.
    pub fn settings(&self) -> &WebSettings {
        &self.settings
    }

    /// Looks whether anything has changed. To be called a second or so after the last time: a change counts once two
    /// looks in a row have read the same bytes, so that a file which is still being written is neither followed nor
    /// complained about. `None` if nothing has changed, or if it has and must be seen again.
    ///
    /// After an error the old settings stay. So they do where a restriction is gone in the new ones: that is what is
    /// left of a file if the disk was full.
    pub fn look_again(&mut self) -> Option<Result<WebChange<'_>, WebFileError>> {
        let seen_before = self.seen_once.take();
        if seen_before.is_none() && self.files.are_unchanged() {
            return None;
        }
        let mut files = Files::default();
        let read = settings(&self.path, &mut files);
        if !seen_before.is_some_and(|before| before.hold_the_same_as(&files)) {
            self.seen_once = Some(files);
            return None;
        }
        // What was not looked at this time may be what has to change before it works again.
        files.add_all(&self.files);
        self.files = files;
        Some(read.and_then(|new| self.follow(new)))
    }

    fn follow(&mut self, new: WebSettings) -> Result<WebChange<'_>, WebFileError> {
        if let Some(what) = change::removed(&self.settings, &new) {
            return Err(Fault::new(what).in_file(&self.path));
        }
        let opened = change::opened(&self.settings, &new);
        self.settings = new;
        Ok(WebChange { settings: &self.settings, opened })
    }
}

impl Fault {
    fn in_file(self, path: &Path) -> WebFileError {
        WebFileError { path: path.to_owned(), line: self.line, what: self.what }
    }
}

/// Reads a file and what it names; each is noted in `files`.
fn settings(path: &Path, files: &mut Files) -> Result<WebSettings, WebFileError> {
    let read = |files: &mut Files| -> Result<WebSettings, Fault> {
        let bytes = files.read(path).map_err(|error| Fault::new(error.to_string()))?;
        let text = str::from_utf8(&bytes).map_err(|_| Fault::new("it is not UTF-8"))?;
        let raw = parse(text)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        check::settings(raw, &mut |named: &Path| files.read(&directory.join(named)))
    };
    read(files).map_err(|fault| fault.in_file(path))
}

/// Checks the text of a file whose certificates and keys, if it names any, are empty files: for tests, and for the
/// fuzzer. The error is what a user would see behind the file's name.
pub fn check_text(text: &str) -> Result<(), String> {
    let outcome = parse(text).and_then(|raw| check::settings(raw, &mut |_: &Path| Ok(Vec::new())));
    outcome.map(drop).map_err(|fault| match fault.line {
        Some(line) => format!("{line}: {}", fault.what),
        None => fault.what,
    })
}

fn parse(text: &str) -> Result<RawFile, Fault> {
    let is_empty = |line: &str| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    };
    if text.lines().all(is_empty) {
        return Ok(RawFile::default());
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_documents: 1,
        },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        // One line, whatever the text quotes.
        Fault::at(line, error.without_snippet().to_string().replace('\n', " "))
    })
}

#[cfg(test)]
mod reload_tests;
#[cfg(test)]
mod tests;
