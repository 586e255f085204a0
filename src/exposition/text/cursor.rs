//! A place in the body, and the tokens that can be read from there.
//!
//! Every token ends at a byte that is still in the body: one that runs to the body's end is an error,
//! since the last line needs its line feed, too.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr2};

use crate::exposition::number;
use crate::model::NameScheme;

use super::error::{Excerpt, Failure, ParseErrorKind, unexpected_end};

/// A byte that a label name may begin with.
const LABEL_START: u8 = 1;
/// A colon, which metric names may have, too.
const COLON: u8 = 2;
/// A digit, which no name begins with.
const DIGIT: u8 = 4;
/// A byte that ends the plain part of a quoted string.
const QUOTED_END: u8 = 8;
/// A blank, a tab or a line feed.
const SPACE: u8 = 16;

/// For each byte the classes that it is in.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        classes[byte as usize] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => LABEL_START,
            b':' => COLON,
            b'0'..=b'9' => DIGIT,
            b'"' | b'\\' => QUOTED_END,
            b'\n' => QUOTED_END | SPACE,
            b' ' | b'\t' => SPACE,
            _ => 0,
        };
        byte += 1;
    }
    classes
}

fn is(byte: u8, classes: u8) -> bool {
    CLASSES[byte as usize] & classes != 0
}

/// What is a valid name, as this format has it without the extension to UTF-8.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NameKind {
    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`.
    Metric,
    /// `[a-zA-Z_][a-zA-Z0-9_]*`.
    Label,
}

impl NameKind {
    fn start(self) -> u8 {
        match self {
            Self::Metric => LABEL_START | COLON,
            Self::Label => LABEL_START,
        }
    }
}

/// A quoted string, its escapes resolved.
pub(super) enum Quoted {
    /// Had no escapes: where it stands in the body.
    Plain(Range<usize>),
    /// Had escapes.
    Resolved(Vec<u8>),
}

/// Why a quoted string could not be read.
pub(super) enum QuotedError {
    /// It runs over the end of its line; this is what stands before that.
    Newline(Excerpt),
    /// Anything else.
    Other(Failure),
}

impl From<Failure> for QuotedError {
    fn from(kind: Failure) -> Self {
        Self::Other(kind)
    }
}

/// A place in the body.
pub(super) struct Cursor<'a> {
    body: &'a [u8],
    /// The whole body as text, where all of it is UTF-8: then no part needs to be checked again.
    text: Option<&'a str>,
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { body, text: std::str::from_utf8(body).ok(), position: 0 }
    }

    /// The byte at this place.
    #[inline]
    pub(super) fn peek(&self) -> Result<u8, Failure> {
        self.body.get(self.position).copied().ok_or_else(unexpected_end)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.position >= self.body.len()
    }

    /// Steps over the byte at this place.
    #[inline]
    pub(super) fn advance(&mut self) {
        self.position += 1;
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// The bytes from there up to this place.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        &self.body[start..self.position]
    }

    /// If `text` stands here, then a number, then a quote and a brace: that number, and a step behind the
    /// brace. Else no step.
    #[inline]
    pub(super) fn bound_after(&mut self, text: &[u8]) -> Option<f64> {
        let rest = self.rest().strip_prefix(text)?;
        let len = rest.iter().position(|&byte| is(byte, QUOTED_END))?;
        if !rest[len..].starts_with(b"\"}") {
            return None;
        }
        let bound = number::parse(&rest[..len])?;
        self.position += text.len() + len + 2;
        Some(bound)
    }

    /// Steps over blanks and tabs.
    #[inline]
    pub(super) fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t') = self.body.get(self.position) {
            self.position += 1;
        }
    }

    /// Steps over the end of the line.
    pub(super) fn skip_line(&mut self) -> Result<(), Failure> {
        self.position += memchr(b'\n', self.rest()).ok_or_else(unexpected_end)? + 1;
        Ok(())
    }

    /// The bytes up to the next blank, tab or line feed.
    #[inline]
    pub(super) fn word(&mut self) -> Result<&'a [u8], Failure> {
        let rest = self.rest();
        let len = rest.iter().position(|&byte| is(byte, SPACE)).ok_or_else(unexpected_end)?;
        self.position += len;
        Ok(&rest[..len])
    }

    /// The bytes up to the next line feed.
    pub(super) fn rest_of_line(&mut self) -> Result<&'a [u8], Failure> {
        let rest = self.rest();
        let len = memchr(b'\n', rest).ok_or_else(unexpected_end)?;
        self.position += len;
        Ok(&rest[..len])
    }

    /// The longest valid name that begins here; empty if none does.
    #[inline]
    pub(super) fn bare_name(&mut self, kind: NameKind) -> Result<&'a str, Failure> {
        let start = self.position;
        if !is(self.peek()?, kind.start()) {
            return Ok("");
        }
        let rest = &self.body[start + 1..];
        let inner = kind.start() | DIGIT;
        let len = rest.iter().position(|&byte| !is(byte, inner)).ok_or_else(unexpected_end)?;
        self.position += 1 + len;
        Ok(self.utf8(start..self.position).expect("a name is ASCII"))
    }

    /// The quoted name that begins here, if it is valid by this scheme; else what it is, for a message. A name that
    /// needs escapes is never valid.
    pub(super) fn quoted_name(
        &mut self,
        kind: NameKind,
        scheme: NameScheme,
    ) -> Result<Result<&'a str, Excerpt>, QuotedError> {
        let range = match self.quoted()? {
            Quoted::Plain(range) => range,
            Quoted::Resolved(bytes) => return Ok(Err(Excerpt::new(&bytes))),
        };
        let name = &self.body[range.clone()];
        let is_valid = match scheme {
            NameScheme::Legacy => {
                name.first().is_some_and(|&byte| is(byte, kind.start()))
                    && name.iter().all(|&byte| is(byte, kind.start() | DIGIT))
            }
            NameScheme::Utf8 => !name.is_empty(),
        };
        Ok(self.utf8(range).filter(|_| is_valid).ok_or_else(|| Excerpt::new(name)))
    }

    /// The quoted string that begins here and ends in this line.
    #[inline]
    pub(super) fn quoted(&mut self) -> Result<Quoted, QuotedError> {
        let start = self.position + 1;
        self.position = start;
        self.skip_plain()?;
        match self.body[self.position] {
            b'"' => {
                self.position += 1;
                Ok(Quoted::Plain(start..self.position - 1))
            }
            b'\n' => Err(QuotedError::Newline(Excerpt::new(&self.body[start..self.position]))),
            _ => self.quoted_with_escapes(start).map(Quoted::Resolved),
        }
    }

    /// Goes on with a quoted string, whose inner part began at `start`, from its first backslash on.
    #[cold]
    fn quoted_with_escapes(&mut self, start: usize) -> Result<Vec<u8>, QuotedError> {
        let mut resolved = self.body[start..self.position].to_vec();
        loop {
            match self.body[self.position] {
                b'"' => {
                    self.position += 1;
                    return Ok(resolved);
                }
                b'\n' => return Err(QuotedError::Newline(Excerpt::new(&resolved))),
                _ => {
                    self.position += 1;
                    resolved.push(escaped(self.peek()?)?);
                    self.position += 1;
                }
            }
            let plain = self.position;
            self.skip_plain()?;
            resolved.extend_from_slice(&self.body[plain..self.position]);
        }
    }

    /// Steps to the next byte that means something in a quoted string.
    #[inline]
    fn skip_plain(&mut self) -> Result<(), Failure> {
        let rest = self.rest();
        self.position += rest.iter().position(|&byte| is(byte, QUOTED_END)).ok_or_else(unexpected_end)?;
        Ok(())
    }

    /// The HELP text that begins here, up to and without the line feed. It need not be UTF-8: Pushgateway
    /// accepts any bytes, so what is not UTF-8 is replaced, lest a scrape that shows it be broken.
    pub(super) fn help(&mut self) -> Result<Cow<'a, str>, Failure> {
        let start = self.position;
        let mut resolved: Option<Vec<u8>> = None;
        loop {
            let rest = self.rest();
            let len = memchr2(b'\\', b'\n', rest).ok_or_else(unexpected_end)?;
            if let Some(resolved) = &mut resolved {
                resolved.extend_from_slice(&rest[..len]);
            }
            self.position += len;
            if rest[len] == b'\n' {
                break;
            }
            let resolved = resolved.get_or_insert_with(|| self.body[start..self.position].to_vec());
            self.advance();
            resolved.push(escaped(self.body.get(self.position).copied().ok_or_else(unexpected_end)?)?);
            self.advance();
        }
        Ok(match resolved {
            Some(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
            None => match self.utf8(start..self.position) {
                Some(help) => Cow::Borrowed(help),
                None => String::from_utf8_lossy(&self.body[start..self.position]),
            },
        })
    }

    /// What a quoted string says, if that is UTF-8; else its bytes, for a message.
    #[inline]
    pub(super) fn text_of(&self, quoted: Quoted) -> Result<Cow<'a, str>, Excerpt> {
        match quoted {
            Quoted::Plain(range) => {
                let bytes = &self.body[range.clone()];
                self.utf8(range).map(Cow::Borrowed).ok_or_else(|| Excerpt::new(bytes))
            }
            Quoted::Resolved(bytes) => {
                String::from_utf8(bytes).map(Cow::Owned).map_err(|error| Excerpt::new(error.as_bytes()))
            }
        }
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.body.get(self.position..).unwrap_or_default()
    }

    #[inline]
    fn utf8(&self, range: Range<usize>) -> Option<&'a str> {
        match self.text {
            Some(text) => text.get(range),
            None => std::str::from_utf8(&self.body[range]).ok(),
        }
    }
}

/// What a backslash followed by this byte stands for.
fn escaped(byte: u8) -> Result<u8, Failure> {
    match byte {
        b'\\' | b'"' => Ok(byte),
        b'n' => Ok(b'\n'),
        _ => Err(ParseErrorKind::Escape(byte).into()),
    }
}
