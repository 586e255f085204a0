//! The names and values of labels.

use crate::model::NameScheme;

use super::error::{Failure, ParseErrorKind, excerpt};

/// The label name that stands for the metric's own name.
const METRIC_NAME_LABEL: &str = "__name__";

/// A label's name, if a push may set one of this name. What begins with two underscores is left to admission,
/// which refuses it in every format.
pub(super) fn name(bytes: &[u8], scheme: NameScheme) -> Result<&str, Failure> {
    if bytes.is_empty() {
        return Err(ParseErrorKind::NoLabelName.into());
    }
    let name = text(bytes, "a label name")?;
    if name == METRIC_NAME_LABEL {
        return Err(ParseErrorKind::ReservedLabelName(excerpt(bytes)).into());
    }
    if name.starts_with("__") && scheme.is_metric_name(name) && !name.contains(':') {
        return Ok(name);
    }
    if scheme.is_pushable_label_name(name) {
        return Ok(name);
    }
    Err(match scheme {
        NameScheme::Legacy => ParseErrorKind::LabelName(excerpt(bytes)),
        NameScheme::Utf8 => ParseErrorKind::ReservedLabelName(excerpt(bytes)),
    }
    .into())
}

/// A label's value.
pub(super) fn value(bytes: &[u8]) -> Result<&str, Failure> {
    text(bytes, "a label value")
}

/// A text of the body; `what` says which.
pub(super) fn text<'a>(bytes: &'a [u8], what: &'static str) -> Result<&'a str, Failure> {
    str::from_utf8(bytes).map_err(|_| ParseErrorKind::NotUtf8 { what, beginning: excerpt(bytes) }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_says_which_names_there_are() {
        for (bytes, legacy, utf8) in [
            (&b"a"[..], true, true),
            (b"_a9", true, true),
            (b"le", true, true),
            // Refused by admission.
            (b"__a", true, true),
            (b"__a.b", false, true),
            (b"a.b", false, true),
            (b"a:b", false, true),
            (b"9a", false, true),
            (b"..a", false, false),
            (b"__name__", false, false),
            (b"", false, false),
            (b"a\xff", false, false),
        ] {
            assert_eq!(name(bytes, NameScheme::Legacy).is_ok(), legacy, "{bytes:?}");
            assert_eq!(name(bytes, NameScheme::Utf8).is_ok(), utf8, "{bytes:?}");
        }
    }

    #[test]
    fn a_value_is_any_text() {
        assert_eq!(value("\0\né".as_bytes()).unwrap(), "\0\né");
        assert_eq!(value(b"").unwrap(), "");
        let error = value(b"a\xffb").unwrap_err().to_string();
        assert_eq!(error, r#"a label value is not valid UTF-8: "a\xffb""#);
    }
}
