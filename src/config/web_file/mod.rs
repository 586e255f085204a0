//! The web configuration file: TLS, passwords, roles, rate limit and headers, in the format that Prometheus's programs
//! share, and with what is ours.
//!
//! Knows nothing of what the settings do. Invariants: settings that exist are valid as a whole; an error names the
//! line and the key; reading the file again never opens what was closed.

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
    has_roles: bool,
}

/// A web configuration file that was read, and what is needed to see that it has changed.
#[derive(Clone, Debug)]
pub struct WebFile {
    path: PathBuf,
    settings: WebSettings,
    files: Files,
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
    fn new(what: impl Into<String>) -> Self {
        Self { line: None, what: what.into() }
    }

    fn at(line: u64, what: impl Into<String>) -> Self {
        // 0 stands for an unknown one.
        Self { line: (line > 0).then_some(line), what: what.into() }
    }
}

impl WebFile {
    /// Reads a file and all that it names.
    pub fn read(path: &Path) -> Result<Self, WebFileError> {
        let mut files = Files::default();
        let settings = settings(path, &mut files)?;
        Ok(Self { path: path.to_owned(), settings, files })
    }

    /// What it said when it was last read well.
    pub fn settings(&self) -> &WebSettings {
        &self.settings
    }

    /// Reads everything again, if anything has changed since this was last called; `None` if nothing has. After an
    /// error the old settings stay. So they do where the new ones would leave something open that was closed: half a
    /// file, in the moment it is written, must not do that.
    pub fn read_again(&mut self) -> Option<Result<&WebSettings, WebFileError>> {
        if self.files.are_unchanged() {
            return None;
        }
        let mut files = Files::default();
        let outcome = settings(&self.path, &mut files).and_then(|new| match self.settings.opened_by(&new) {
            Some(what) => Err(Fault::new(what).in_file(&self.path)),
            None => Ok(new),
        });
        // What was not looked at this time may be what has to change before it works again.
        files.add_all(&self.files);
        self.files = files;
        Some(match outcome {
            Ok(new) => {
                self.settings = new;
                Ok(&self.settings)
            }
            Err(error) => Err(error),
        })
    }
}

impl WebSettings {
    /// What other settings would open that these have closed.
    fn opened_by(&self, new: &Self) -> Option<&'static str> {
        if self.tls.is_some() != new.tls.is_some() {
            return Some("TLS cannot be switched on or off while the gateway runs; restart it");
        }
        let verifies = |settings: &Self| settings.tls.as_ref().is_some_and(TlsConfig::verifies_clients);
        let lost = |had: bool, has: bool| had && !has;
        if lost(verifies(self), verifies(new)) {
            return Some(
                "the check of client certificates cannot be switched off while the gateway runs; restart it",
            );
        }
        if lost(!self.access.users.is_empty(), !new.access.users.is_empty()) {
            return Some("passwords cannot be switched off while the gateway runs; restart it");
        }
        lost(self.has_roles, new.has_roles)
            .then_some("roles cannot be switched off while the gateway runs; restart it")
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
mod tests;
