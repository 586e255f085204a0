//! Quoting for error messages, as Pushgateway's messages quote: Go's `%q`.
//!
//! Whatever bytes go in, what comes out is printable.

use std::fmt::{self, Write as _};

/// Writes the bytes as a double-quoted string.
pub(super) fn string(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_char('"')?;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            character(f, c, '"')?;
        }
        for byte in chunk.invalid() {
            write!(f, "\\x{byte:02x}")?;
        }
    }
    f.write_char('"')
}

/// Writes the byte, taken as the character of that number, between single quotes.
pub(super) fn byte(f: &mut fmt::Formatter<'_>, byte: u8) -> fmt::Result {
    f.write_char('\'')?;
    character(f, char::from(byte), '\'')?;
    f.write_char('\'')
}

fn character(f: &mut fmt::Formatter<'_>, c: char, quote: char) -> fmt::Result {
    match c {
        '\x07' => f.write_str("\\a"),
        '\x08' => f.write_str("\\b"),
        '\x0c' => f.write_str("\\f"),
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        '\x0b' => f.write_str("\\v"),
        '\\' => f.write_str("\\\\"),
        c if c == quote => write!(f, "\\{c}"),
        ' '..='~' => f.write_char(c),
        '\0'..='\x7f' => write!(f, "\\x{:02x}", u32::from(c)),
        c if is_printable(c) => f.write_char(c),
        '\u{80}'..='\u{ffff}' => write!(f, "\\u{:04x}", u32::from(c)),
        _ => write!(f, "\\U{:08x}", u32::from(c)),
    }
}

/// Whether the standard library shows the character as it is, when it follows another one (alone, a
/// combining character would be escaped too).
fn is_printable(c: char) -> bool {
    let mut bytes = [b'a'; 5];
    let len = c.encode_utf8(&mut bytes[1..]).len();
    std::str::from_utf8(&bytes[..=len]).is_ok_and(|pair| pair.escape_debug().count() == 2)
}
