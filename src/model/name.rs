//! Which names are valid, by the Prometheus data model.

use std::fmt::Write as _;

/// Which names a push may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameScheme {
    /// Letters, digits and underscores, and in metric names colons.
    #[default]
    Legacy,
    /// Any text that is not empty.
    Utf8,
}

impl NameScheme {
    /// Whether a metric may have this name.
    pub fn is_metric_name(self, name: &str) -> bool {
        match self {
            Self::Legacy => is_metric_name(name),
            Self::Utf8 => !name.is_empty(),
        }
    }

    /// Whether this is the name of a label, of one that a push may set or of one that begins with `__`.
    pub fn is_label_name(self, name: &str) -> bool {
        match self {
            Self::Legacy => is_label_name(name),
            Self::Utf8 => name.starts_with("__") || self.is_pushable_label_name(name),
        }
    }

    /// Whether a push may set a label of this name. Reserved for internal use by the data model is what begins
    /// with `__`, here also where it does so once what a legacy name may not hold is shown as `_`.
    pub fn is_pushable_label_name(self, name: &str) -> bool {
        match self {
            Self::Legacy => is_pushable_label_name(name),
            Self::Utf8 => {
                let shown_as_underscore = |shown: char| !shown.is_ascii_alphanumeric();
                let mut start = name.chars();
                let is_reserved = start.next().is_some_and(|first| !first.is_ascii_alphabetic())
                    && start.next().is_some_and(shown_as_underscore);
                !name.is_empty() && !is_reserved
            }
        }
    }
}

/// The name as letters, digits and underscores that say all of it: after `U__` each `_` as `__`, and what is none of
/// these as its code point in hexadecimal digits between underscores. A digit in front is none of these. With
/// `has_colons` a colon is a letter, as in metric names.
pub fn values_encoded(name: &str, has_colons: bool) -> String {
    let mut encoded = String::with_capacity(name.len() + 8);
    encoded.push_str("U__");
    for (at, c) in name.char_indices() {
        if c == '_' {
            encoded.push_str("__");
        } else if c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit()) || (has_colons && c == ':') {
            encoded.push(c);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "_{:x}_", u32::from(c));
        }
    }
    encoded
}

/// Whether `name` matches `[a-zA-Z_:][a-zA-Z0-9_:]*`, the rule for metric names.
pub fn is_metric_name(name: &str) -> bool {
    is_name(name, |byte| byte == b':')
}

/// Whether `name` matches `[a-zA-Z_][a-zA-Z0-9_]*`, the rule for label names.
pub fn is_label_name(name: &str) -> bool {
    is_name(name, |_| false)
}

/// Whether `name` is a label name that a push may set: valid, and not starting with `__`, which is
/// reserved for internal use by the data model.
pub fn is_pushable_label_name(name: &str) -> bool {
    is_label_name(name) && !name.starts_with("__")
}

fn is_name(name: &str, also: impl Fn(u8) -> bool) -> bool {
    let start = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || also(byte);
    match name.as_bytes() {
        [] => false,
        [first, rest @ ..] => start(*first) && rest.iter().all(|&byte| start(byte) || byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_may_hold_colons_and_label_names_may_not() {
        assert!(is_metric_name("job:m_total"));
        assert!(is_metric_name(":m"));
        assert!(!is_label_name("a:b"));
        assert!(is_label_name("_a9"));
    }

    #[test]
    fn names_do_not_start_with_a_digit_nor_hold_other_characters() {
        for name in ["", "1a", "a-b", "a.b", "é", "a b", "a\n"] {
            assert!(!is_metric_name(name), "{name:?}");
            assert!(!is_label_name(name), "{name:?}");
        }
    }

    #[test]
    fn with_utf8_names_all_texts_are_names_but_the_reserved_ones() {
        let scheme = NameScheme::Utf8;
        for name in ["a.b", "é", "a b\n", "1a", "_a", ".a", "a..b"] {
            assert!(scheme.is_metric_name(name) && scheme.is_pushable_label_name(name), "{name:?}");
        }
        for name in ["", "__a", "..a", "_.a", "éé"] {
            assert!(!scheme.is_pushable_label_name(name), "{name:?}");
        }
        assert!(!scheme.is_metric_name(""));
        assert!(!NameScheme::Legacy.is_metric_name("a.b"));
    }

    #[test]
    fn two_leading_underscores_are_reserved() {
        assert!(is_label_name("__a"));
        assert!(!is_pushable_label_name("__a"));
        assert!(is_pushable_label_name("_a"));
    }
}
