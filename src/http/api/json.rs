//! JSON as the encoder of Go's standard library writes it, so that clients get the same bytes.

use crate::exposition::number;

/// Appends a string with its quotes. What could end a script element or break a line of JavaScript is escaped,
/// as in Go; any other UTF-8 stands as it is.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for character in text.chars() {
        let short = match character {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\u{8}' => "\\b",
            '\u{c}' => "\\f",
            _ => "",
        };
        match character {
            _ if !short.is_empty() => out.extend_from_slice(short.as_bytes()),
            '\0'..' ' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
            }
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Appends a number as a string: in the format of the text exposition, but for minus zero, which is `-0`.
pub(super) fn number(out: &mut Vec<u8>, value: f64) {
    out.push(b'"');
    if value == 0.0 && value.is_sign_negative() {
        out.push(b'-');
    }
    number::write(out, value);
    out.push(b'"');
}

/// A number in the format of the text exposition, as a key.
pub(super) fn number_key(value: f64) -> String {
    let mut text = Vec::new();
    number(&mut text, value);
    String::from_utf8_lossy(&text).trim_matches('"').to_owned()
}

/// Appends `{"key":value,...}`, in the order given.
pub(super) fn object<K: AsRef<str>, V>(
    out: &mut Vec<u8>,
    members: impl IntoIterator<Item = (K, V)>,
    mut write: impl FnMut(&mut Vec<u8>, V),
) {
    out.push(b'{');
    for (at, (key, value)) in members.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        string(out, key.as_ref());
        out.push(b':');
        write(out, value);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped_as_in_go() {
        for (text, expected) in [
            ("", r#""""#),
            ("Björn\u{1F60A}", "\"Björn\u{1F60A}\""),
            ("inst'a\"n\\ce", r#""inst'a\"n\\ce""#),
            ("a\nb\rc\td\u{8}\u{c}", r#""a\nb\rc\td\b\f""#),
            ("\0\u{1f}\u{7f}", "\"\\u0000\\u001f\u{7f}\""),
            ("<b>&</b>", r#""\u003cb\u003e\u0026\u003c/b\u003e""#),
            ("\u{2027}\u{2028}\u{2029}", "\"\u{2027}\\u2028\\u2029\""),
        ] {
            let json = shown(|out| string(out, text));
            assert_eq!(json, expected);
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }

    #[test]
    fn numbers_are_strings_and_minus_zero_keeps_its_sign() {
        for (value, expected) in [
            (0.0, "\"0\""),
            (-0.0, "\"-0\""),
            (-1.5, "\"-1.5\""),
            (1_234_567.0, "\"1.234567e+06\""),
            (f64::NAN, "\"NaN\""),
            (f64::INFINITY, "\"+Inf\""),
            (f64::NEG_INFINITY, "\"-Inf\""),
        ] {
            assert_eq!(shown(|out| number(out, value)), expected);
            assert_eq!(format!("\"{}\"", number_key(value)), expected);
        }
    }

    #[test]
    fn objects_keep_the_order_given() {
        let members = [("b", 1.0), ("a", 2.0)];
        assert_eq!(shown(|out| object(out, members, number)), r#"{"b":"1","a":"2"}"#);
        assert_eq!(shown(|out| object::<&str, f64>(out, [], number)), "{}");
    }
}
