//! The bytes that a case sends: quoted text, bytes in hexadecimal, repetitions, compressions.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Reads a text in double quotes with the escapes `\n`, `\r`, `\t`, `\\`, `\"` and `\xHH`, and repetitions.
pub fn unquote(quoted: &str) -> Option<Vec<u8>> {
    let text = expand(quoted.strip_prefix('"')?.strip_suffix('"')?);
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&escape, after) = rest.split_first()?;
        rest = after;
        match escape {
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'\\' | b'"' => bytes.push(escape),
            b'x' => {
                let (digits, after) = rest.split_at_checked(2)?;
                bytes.extend(hex(std::str::from_utf8(digits).ok()?)?);
                rest = after;
            }
            _ => return None,
        }
    }
    Some(bytes)
}

/// Reads bytes as pairs of hexadecimal digits, with blanks between them.
pub fn hex(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> =
        digits.chars().filter(|c| *c != ' ').map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    digits.chunks(2).map(|pair| u8::try_from(pair.first()? * 16 + pair.get(1)?).ok()).collect()
}

/// Replaces each `{{N*text}}` by the text N times, with the number of the repetition, from 0, for `#`.
pub fn expand(text: &str) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, repetition, after)) = repetition(rest) {
        expanded.push_str(before);
        let (times, piece) = repetition;
        for number in 0..times {
            expanded.push_str(&piece.replace('#', &number.to_string()));
        }
        rest = after;
    }
    expanded + rest
}

fn repetition(text: &str) -> Option<(&str, (usize, &str), &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (inner, after) = rest.split_once("}}")?;
    let (times, piece) = inner.split_once('*')?;
    Some((before, (times.parse().ok()?, piece), after))
}

/// Encodes a body in one way: `gzip`, `snappy` (framed), `snappy-block`, `zstd`, or `cut N`, which takes its last
/// bytes away.
pub fn encode(name: &str, body: &[u8]) -> Option<Vec<u8>> {
    match name {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body).expect("memory takes everything");
            Some(encoder.finish().expect("memory takes everything"))
        }
        "snappy" => Some(framed_snappy(body)),
        "snappy-block" => Some(block_snappy(body)),
        "zstd" => zstd(body),
        other => {
            let length = body.len().checked_sub(other.strip_prefix("cut ")?.parse().ok()?)?;
            Some(body[..length].to_vec())
        }
    }
}

/// The framed format: a stream identifier, then one chunk that is not compressed.
fn framed_snappy(body: &[u8]) -> Vec<u8> {
    let mut framed = b"\xff\x06\x00\x00sNaPpY".to_vec();
    if body.is_empty() {
        return framed;
    }
    let crc = crc32c(body);
    let masked = crc.rotate_right(15).wrapping_add(0xa282_ead8);
    let length = u32::try_from(body.len() + 4).expect("a case is small");
    framed.push(1);
    framed.extend(&length.to_le_bytes()[..3]);
    framed.extend(masked.to_le_bytes());
    framed.extend(body);
    framed
}

/// The block format: the length, then one literal of at most 60 bytes.
fn block_snappy(body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(body.len()).ok().filter(|length| (1..=60).contains(length));
    let length = length.expect("a block in a case has 1 to 60 bytes");
    [&[length, (length - 1) << 2], body].concat()
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// One frame with one block that is not compressed, of less than 256 bytes.
fn zstd(body: &[u8]) -> Option<Vec<u8>> {
    let length = u8::try_from(body.len()).ok()?;
    let block = (u32::from(length) << 3 | 1).to_le_bytes();
    Some([&b"\x28\xb5\x2f\xfd\x20"[..], &[length], &block[..3], body].concat())
}

/// Bytes as a text that can be read, for messages.
pub fn shown(bytes: &[u8]) -> String {
    const SHOWN_MAX: usize = 2_000;
    let text = String::from_utf8_lossy(bytes);
    let mut end = text.len().min(SHOWN_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut shown = text[..end].to_owned();
    if end < text.len() {
        let _ = write!(shown, "... ({} bytes)", bytes.len());
    }
    shown
}

#[test]
fn what_is_sent_is_what_is_written() {
    assert_eq!(unquote(r#""a\n\x00\"\\""#), Some(b"a\n\0\"\\".to_vec()));
    assert_eq!(unquote(r#""\q""#), None);
    assert_eq!(hex("ff 00"), Some(vec![255, 0]));
    assert_eq!(hex("f"), None);
    assert_eq!(expand("/x{{3*/l#/v}}/y"), "/x/l0/v/l1/v/l2/v/y");
    assert_eq!(encode("cut 2", b"abc"), Some(b"a".to_vec()));
    // The check value of the polynomial.
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    assert_eq!(block_snappy(b"ab"), b"\x02\x04ab");
}
