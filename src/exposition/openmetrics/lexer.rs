//! A place in a line, and what can be read from there.

use std::borrow::Cow;

use super::error::ParseErrorKind;
use crate::exposition::number;
use crate::exposition::text::Excerpt;
use crate::model::{BorrowedLabel, NameScheme};

/// What is wrong with a line, boxed: the result of a step that succeeds stays small.
pub(super) type Failure = Box<ParseErrorKind>;

/// The label name that stands for the metric's own name.
const METRIC_NAME_LABEL: &str = "__name__";

/// Up to so many labels are compared with each other one by one, more by sorting.
const FEW_LABELS: usize = 16;

/// A place in a line.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    scheme: NameScheme,
}

impl<'a> Lexer<'a> {
    /// The beginning of a line, or of a part of one, whose names are judged by this scheme.
    pub(super) fn new(line: &'a str, scheme: NameScheme) -> Self {
        Self { rest: line, scheme }
    }

    /// What has not been read.
    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    /// Steps over `text` if it stands here, and says whether it did.
    pub(super) fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Steps over `text`, which must stand here.
    pub(super) fn expect(&mut self, text: &str, expected: &'static str) -> Result<(), Failure> {
        if self.take(text) { Ok(()) } else { Err(self.not_found(expected)) }
    }

    /// Something else must stand here.
    #[allow(clippy::unnecessary_box_returns, reason = "it is the error of all that read")]
    pub(super) fn not_found(&self, expected: &'static str) -> Failure {
        ParseErrorKind::Expected { expected, found: excerpt(self.rest) }.into()
    }

    /// The text up to the next blank or the end of the line.
    pub(super) fn word(&mut self) -> &'a str {
        let end = self.rest.find(' ').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// A metric's name, quoted or not.
    pub(super) fn metric_name(&mut self) -> Result<&'a str, Failure> {
        if self.rest.starts_with('"') {
            return self.quoted_metric_name();
        }
        match self.bare_name(true) {
            "" => Err(ParseErrorKind::NoMetricName.into()),
            name => Ok(name),
        }
    }

    fn quoted_metric_name(&mut self) -> Result<&'a str, Failure> {
        match self.quoted("a metric name in quotes")? {
            Cow::Borrowed(name) if self.scheme.is_metric_name(name) => Ok(name),
            name => Err(ParseErrorKind::MetricName(excerpt(&name)).into()),
        }
    }

    /// What stands between braces, the opening one read, up to and with the closing one: labels, which are
    /// appended to `labels`, and among them the metric's name if `may_have_name`. The name that was found.
    ///
    /// Where there are more than `labels_max`, one more is read and nothing behind it.
    pub(super) fn labels(
        &mut self,
        labels: &mut Vec<BorrowedLabel<'a>>,
        mut may_have_name: bool,
        labels_max: usize,
    ) -> Result<Option<&'a str>, Failure> {
        let first = labels.len();
        let mut metric = None;
        if self.take("}") {
            return Ok(None);
        }
        loop {
            let is_metric = may_have_name && self.quoted_is_alone();
            if is_metric {
                metric = Some(self.quoted_metric_name()?);
                may_have_name = false;
            } else {
                labels.push(self.label()?);
            }
            if labels.len() - first > labels_max || self.take("}") {
                break;
            }
            self.expect(",", "',' or '}' behind a label")?;
        }
        check_names(&labels[first..])?;
        Ok(metric)
    }

    /// Whether a quoted string stands here without an equals sign behind it.
    fn quoted_is_alone(&self) -> bool {
        let mut ahead = Lexer { rest: self.rest, scheme: self.scheme };
        self.rest.starts_with('"') && ahead.quoted("").is_ok() && !ahead.rest.starts_with('=')
    }

    fn label(&mut self) -> Result<BorrowedLabel<'a>, Failure> {
        let name = if self.rest.starts_with('"') {
            match self.quoted("a label name in quotes")? {
                Cow::Borrowed(name) if self.scheme.is_label_name(name) => name,
                name => return Err(ParseErrorKind::LabelName(excerpt(&name)).into()),
            }
        } else {
            self.bare_name(false)
        };
        match name {
            "" => return Err(self.not_found("a label name")),
            METRIC_NAME_LABEL => return Err(ParseErrorKind::ReservedLabelName.into()),
            _ => {}
        }
        self.expect("=", "'=' behind a label name")?;
        let value = self.quoted("a label value in quotes")?;
        Ok(BorrowedLabel { name, value })
    }

    /// The longest legacy name that begins here; empty if none does.
    fn bare_name(&mut self, has_colons: bool) -> &'a str {
        let is_start = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || (has_colons && byte == b':');
        let bytes = self.rest.as_bytes();
        let end = bytes.iter().position(|&byte| !is_start(byte) && !byte.is_ascii_digit());
        let end = if bytes.first().is_some_and(u8::is_ascii_digit) { 0 } else { end.unwrap_or(bytes.len()) };
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        name
    }

    /// The quoted string that begins here, its escapes resolved.
    fn quoted(&mut self, expected: &'static str) -> Result<Cow<'a, str>, Failure> {
        let Some(inner) = self.rest.strip_prefix('"') else { return Err(self.not_found(expected)) };
        let mut is_escaped = false;
        let end = inner.bytes().position(|byte| {
            let is_end = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            is_end
        });
        let Some(end) = end else { return Err(self.not_found(expected)) };
        self.rest = &inner[end + 1..];
        Ok(unescape(&inner[..end]))
    }

    /// A sample's value, after its blank.
    pub(super) fn value(&mut self) -> Result<f64, Failure> {
        self.expect(" ", "a blank before the value")?;
        let word = self.word();
        number::parse(word.as_bytes()).ok_or_else(|| ParseErrorKind::Value(excerpt(word)).into())
    }

    /// A timestamp, after its blank.
    pub(super) fn timestamp(&mut self) -> Result<f64, Failure> {
        self.expect(" ", "a blank before the timestamp")?;
        let word = self.word();
        let timestamp = number::parse(word.as_bytes()).filter(|timestamp| timestamp.is_finite());
        timestamp.ok_or_else(|| ParseErrorKind::Timestamp(excerpt(word)).into())
    }
}

/// Checks that no name stands twice.
fn check_names(labels: &[BorrowedLabel<'_>]) -> Result<(), Failure> {
    let twice = if labels.len() <= FEW_LABELS {
        (1..labels.len()).find(|&at| labels[..at].iter().any(|label| label.name == labels[at].name))
    } else {
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_unstable_by_key(|&at| labels[at].name);
        order.windows(2).find(|pair| labels[pair[0]].name == labels[pair[1]].name).map(|pair| pair[1])
    };
    match twice {
        Some(at) => Err(ParseErrorKind::DuplicateLabelName(excerpt(labels[at].name)).into()),
        None => Ok(()),
    }
}

/// The text without its escapes. A backslash before anything but a backslash, a quote or `n` is itself.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut resolved = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        resolved.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        let mut after = behind.chars();
        match after.next() {
            Some(c @ ('\\' | '"')) => resolved.push(c),
            Some('n') => resolved.push('\n'),
            Some(c) => resolved.extend(['\\', c]),
            None => resolved.push('\\'),
        }
        rest = after.as_str();
    }
    resolved.push_str(rest);
    Cow::Owned(resolved)
}

pub(super) fn excerpt(text: &str) -> Excerpt {
    Excerpt::new(text.as_bytes())
}
