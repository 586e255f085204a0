//! The grouping key in a request path: `/metrics/job[@base64]/<job>{/<label>[@base64]/<value>}`.
//!
//! Knows nothing of methods and status codes. Order of the checks and texts of the errors are those of
//! Pushgateway. Invariant: the path is percent-decoded once, as a whole, before it is split, and a key that
//! comes out holds valid label names and UTF-8 only.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::exposition::names;
use crate::model::{GroupingKey, NameScheme};

/// Base64 as Pushgateway reads it once padding is stripped: trailing bits may be anything.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// What follows a name whose value is base64-encoded.
const BASE64_SUFFIX: &[u8] = b"@base64";

/// Why a path is not one to push to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A `%` that two hexadecimal digits do not follow.
    #[error("400 Bad Request")]
    PercentEncoding,
    /// The path as sent is longer than allowed.
    #[error("the path has {found} bytes and may have {max}; shorten it, or raise {flag}")]
    TooLong {
        /// Bytes of the path, not decoded.
        found: usize,
        /// Bytes it may have.
        max: usize,
        /// The flag that sets the limit.
        flag: &'static str,
    },
    /// Not a path of the push API at all.
    #[error("404 page not found")]
    NotAPushPath,
    /// An empty segment, `.` or `..`. Redirecting to the path without it would push to another group.
    #[error(
        "the path holds \"{0}\", which a path must not hold once it is decoded; base64-encode the value, as in \
         /metrics/job@base64/<job>/<label>@base64/<value>, where \"=\" stands for an empty value"
    )]
    NotClean(&'static str),
    /// The fixed part in other letter case.
    #[error("the path must start with {expected}, in this letter case; it starts with {}", quote(.found))]
    LetterCase {
        /// How it starts.
        found: Vec<u8>,
        /// How it should.
        expected: String,
    },
    /// The value of `job@base64`.
    #[error(
        "invalid base64 encoding in job name {}: illegal base64 data at input byte {offset}",
        quote(.decoded)
    )]
    JobEncoding {
        /// What could be decoded.
        decoded: Vec<u8>,
        /// The offset of the first byte that could not be.
        offset: usize,
    },
    /// A label name without a value.
    #[error("odd number of components in label string {}", quote(.0))]
    OddComponents(Vec<u8>),
    /// A name that no label may have.
    #[error("improper label name {}", quote(.0))]
    LabelName(Vec<u8>),
    /// The value of a label with the suffix `@base64`.
    #[error(
        "invalid base64 encoding for label {name}={}: illegal base64 data at input byte {offset}",
        quote(.value)
    )]
    ValueEncoding {
        /// The label's name.
        name: String,
        /// The value as sent.
        value: Vec<u8>,
        /// The offset of the first byte that could not be decoded.
        offset: usize,
    },
    /// The job is empty.
    #[error("job name is required")]
    NoJob,
    /// The job or a value is not text.
    #[error("the value of the label {name} is not valid UTF-8: {}; encode the text as UTF-8", quote(.value))]
    NotUtf8 {
        /// The label's name, `job` among them.
        name: String,
        /// The value.
        value: Vec<u8>,
    },
}

/// What a decoded path is to the push API, judged by its fixed part alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape<'p> {
    /// A push path.
    Push(PushPath<'p>),
    /// It would be one, were it written properly; the path is refused whatever the method.
    Misspelt,
    /// Something else.
    Other,
}

/// A decoded push path, split behind the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PushPath<'p> {
    job_is_base64: bool,
    job: &'p [u8],
    /// Empty, or starts with a slash.
    labels: &'p [u8],
}

/// Reads the grouping key out of a path as it stands in the request line, without its query; names are legacy names.
pub fn parse(path: &str) -> Result<GroupingKey, PathError> {
    let decoded = decode(path)?;
    match shape(&decoded) {
        Shape::Push(push) => push.grouping_key(NameScheme::Legacy),
        Shape::Misspelt => Err(misspelling(&decoded, "")),
        Shape::Other => Err(PathError::NotAPushPath),
    }
}

/// Percent-decodes a path, once and as a whole. A plus sign stays one.
pub(super) fn decode(path: &str) -> Result<Vec<u8>, PathError> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digit = |i: usize| after.get(i).and_then(|&digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else { return Err(PathError::PercentEncoding) };
        decoded.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits make a byte"));
        rest = &after[2..];
    }
    Ok(decoded)
}

/// Tells a push path from others, by its fixed part.
pub(super) fn shape(decoded: &[u8]) -> Shape<'_> {
    let push = [&b"/metrics/job/"[..], b"/metrics/job@base64/"]
        .iter()
        .find_map(|prefix| Some((prefix.len(), decoded.strip_prefix(*prefix)?)));
    match push {
        // A route needs something in the place of the job.
        Some((_, [])) => Shape::Other,
        Some((prefix_bytes, rest)) if unclean_part(decoded).is_none() => {
            let end = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
            let (job, labels) = rest.split_at(end);
            Shape::Push(PushPath { job_is_base64: prefix_bytes > b"/metrics/job/".len(), job, labels })
        }
        Some(_) => Shape::Misspelt,
        None if would_be_push(decoded) => Shape::Misspelt,
        None => Shape::Other,
    }
}

/// What is wrong with a path of [`Shape::Misspelt`], and what to do; `decoded` is the whole path, `prefix`
/// what it should begin with.
pub(super) fn misspelling(decoded: &[u8], prefix: &str) -> PathError {
    if let Some(part) = unclean_part(decoded) {
        return PathError::NotClean(part);
    }
    let parts = prefix.matches('/').count() + 3;
    let start = decoded.splitn(parts + 1, |&byte| byte == b'/').take(parts).collect::<Vec<_>>().join(&b'/');
    let is_base64 = start.to_ascii_lowercase().ends_with(BASE64_SUFFIX);
    let expected = if is_base64 { "/metrics/job@base64/" } else { "/metrics/job/" };
    PathError::LetterCase { found: start, expected: format!("{prefix}{expected}") }
}

/// What follows the prefix in a path; `None` for a path that does not begin with it.
pub(super) fn below<'p>(decoded: &'p [u8], prefix: &str) -> Option<&'p [u8]> {
    decoded.strip_prefix(prefix.as_bytes()).filter(|rest| rest.starts_with(b"/"))
}

/// Whether a path that is not below the prefix would be a push path, were it cleaned up and in the right
/// letter case.
pub(super) fn would_be_push_below(decoded: &[u8], prefix: &str) -> bool {
    let cleaned = clean(decoded);
    cleaned.split_at_checked(prefix.len()).is_some_and(|(start, rest)| {
        start.eq_ignore_ascii_case(prefix.as_bytes()) && rest.starts_with(b"/") && would_be_push(rest)
    })
}

/// The path without empty segments, `.` and `..`, and without a trailing slash; `/` at least.
pub(super) fn clean(decoded: &[u8]) -> Vec<u8> {
    let mut segments = Vec::new();
    for segment in decoded.split(|&byte| byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    [b"/", &*segments.join(&b'/')].concat()
}

/// Whether the path would be a push path after a clean-up or in lower case: then nobody must be sent
/// there, for the group would be another than the one that was meant, or the method would get lost.
fn would_be_push(decoded: &[u8]) -> bool {
    let is_push = |path: &[u8]| {
        let mut segments = path.split(|&byte| byte == b'/').filter(|segment| !segment.is_empty());
        segments.next().is_some_and(|segment| segment.eq_ignore_ascii_case(b"metrics"))
            && segments.next().is_some_and(|segment| {
                segment.eq_ignore_ascii_case(b"job") || segment.eq_ignore_ascii_case(b"job@base64")
            })
            && segments.next().is_some()
    };
    is_push(decoded) || is_push(&clean(decoded))
}

/// The first part of the path that a clean-up would remove. A trailing slash is none.
fn unclean_part(decoded: &[u8]) -> Option<&'static str> {
    let mut segments = decoded.strip_prefix(b"/").unwrap_or(decoded).split(|&byte| byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            b"" if segments.peek().is_some() => return Some("//"),
            b"." => return Some("/./"),
            b".." => return Some("/../"),
            _ => {}
        }
    }
    None
}

impl PushPath<'_> {
    /// Reads the labels, in Pushgateway's order of checks; whether all is text comes last. With UTF-8 names those
    /// that begin with `U__` are decoded.
    pub(super) fn grouping_key(&self, names: NameScheme) -> Result<GroupingKey, PathError> {
        let job = if self.job_is_base64 {
            decode_base64(self.job).map_err(|(offset, decoded)| PathError::JobEncoding { decoded, offset })?
        } else {
            self.job.to_vec()
        };
        let labels = self.labels(names)?;
        if job.is_empty() {
            return Err(PathError::NoJob);
        }
        let job = into_text("job", job)?;
        let labels = labels
            .into_iter()
            .map(|(name, value)| into_text(&name, value).map(|value| (name, value)))
            .collect::<Result<Vec<_>, _>>()?;
        GroupingKey::new(&job, labels.iter().map(|(name, value)| (&**name, value.as_str())))
            .ok_or(PathError::NoJob)
    }

    /// The pairs behind the job, values decoded.
    fn labels(&self, names: NameScheme) -> Result<Vec<DecodedLabel<'_>>, PathError> {
        let Some(labels) = self.labels.strip_prefix(b"/").filter(|labels| !labels.is_empty()) else {
            return Ok(Vec::new());
        };
        let parts: Vec<&[u8]> = labels.split(|&byte| byte == b'/').collect();
        if !parts.len().is_multiple_of(2) {
            return Err(PathError::OddComponents(self.labels.to_vec()));
        }
        parts.chunks_exact(2).map(|pair| label(names, pair[0], pair[1])).collect()
    }
}

/// A label's name and value.
type DecodedLabel<'p> = (Cow<'p, str>, Vec<u8>);

/// One label of the path.
fn label<'p>(names: NameScheme, name: &'p [u8], value: &[u8]) -> Result<DecodedLabel<'p>, PathError> {
    let (name, is_base64) = match name.strip_suffix(BASE64_SUFFIX) {
        Some(name) => (name, true),
        None => (name, false),
    };
    let name = str::from_utf8(name)
        .ok()
        .map(|name| match names {
            NameScheme::Legacy => Cow::Borrowed(name),
            NameScheme::Utf8 => names::unescape(name),
        })
        .filter(|name| names.is_pushable_label_name(name))
        .ok_or_else(|| PathError::LabelName(name.to_vec()))?;
    if !is_base64 {
        return Ok((name, value.to_vec()));
    }
    match decode_base64(value) {
        Ok(decoded) => Ok((name, decoded)),
        Err((offset, _)) => {
            Err(PathError::ValueEncoding { name: name.into_owned(), value: value.to_vec(), offset })
        }
    }
}

/// Decodes URL-safe base64 with any number of padding characters. The error is the offset of the first
/// byte that does not fit, and what the whole groups of four before it decode to.
fn decode_base64(encoded: &[u8]) -> Result<Vec<u8>, (usize, Vec<u8>)> {
    let padding = encoded.iter().rev().take_while(|&&byte| byte == b'=').count();
    let encoded = &encoded[..encoded.len() - padding];
    let is_of_alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let offset = match encoded.iter().position(|byte| !is_of_alphabet(byte)) {
        Some(offset) => offset,
        // A single character left over holds six bits, which make no byte.
        None if encoded.len() % 4 == 1 => encoded.len() - 1,
        None => return Ok(decode_groups(encoded)),
    };
    Err((offset, decode_groups(&encoded[..offset / 4 * 4])))
}

fn decode_groups(encoded: &[u8]) -> Vec<u8> {
    BASE64.decode(encoded).expect("alphabet and length were checked")
}

fn into_text(name: &str, value: Vec<u8>) -> Result<String, PathError> {
    String::from_utf8(value)
        .map_err(|error| PathError::NotUtf8 { name: name.to_owned(), value: error.into_bytes() })
}

/// The bytes in double quotes, escaped as Go quotes strings, which is what the texts of Pushgateway show.
fn quote(bytes: &[u8]) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            push_quoted(&mut quoted, character);
        }
        for byte in chunk.invalid() {
            let _ = write!(quoted, "\\x{byte:02x}");
        }
    }
    quoted.push('"');
    quoted
}

fn push_quoted(quoted: &mut String, character: char) {
    let short = match character {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\u{b}' => "\\v",
        '\u{c}' => "\\f",
        '\'' => "'",
        _ => "",
    };
    let code = u32::from(character);
    // Writing to a string cannot fail.
    let _ = match code {
        _ if !short.is_empty() => quoted.write_str(short),
        _ if character.escape_debug().len() == 1 => quoted.write_char(character),
        0..0x80 => write!(quoted, "\\x{code:02x}"),
        0x80..0x1_0000 => write!(quoted, "\\u{code:04x}"),
        _ => write!(quoted, "\\U{code:08x}"),
    };
}

#[cfg(test)]
mod tests;
