//! Names for readers that know all names, and for those that know legacy names only.
//!
//! Invariant: what an escaping makes of a name is a legacy name, unless it leaves all names as they are; and a
//! legacy name stays what it is. Two names may become one: whoever shows them has to look.

use std::borrow::Cow;

use crate::model::{is_label_name, is_metric_name, values_encoded};

/// What becomes of names that are not legacy names, by its name in the content types of Prometheus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Escaping {
    /// What a legacy name may not hold becomes `_`.
    #[default]
    Underscores,
    /// Nothing: the name is shown in quotes.
    AllowUtf8,
    /// `.` becomes `_dot_`, `_` becomes `__`, and so does what a legacy name may not hold.
    Dots,
    /// After `U__`, `_` becomes `__`, and what a legacy name may not hold its code point between underscores.
    Values,
}

impl Escaping {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Underscores, Self::AllowUtf8, Self::Dots, Self::Values];

    /// Its name in content types.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Underscores => "underscores",
            Self::AllowUtf8 => "allow-utf-8",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    /// The escaping of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|escaping| escaping.as_str() == name)
    }

    /// What a metric's name is shown as.
    pub fn metric_name(self, name: &str) -> Cow<'_, str> {
        if self == Self::AllowUtf8 || is_metric_name(name) {
            return Cow::Borrowed(name);
        }
        Cow::Owned(self.escape(name, true))
    }

    /// What a label's name is shown as.
    pub fn label_name(self, name: &str) -> Cow<'_, str> {
        if self == Self::AllowUtf8 || is_label_name(name) {
            return Cow::Borrowed(name);
        }
        Cow::Owned(self.escape(name, false))
    }

    fn escape(self, name: &str, has_colons: bool) -> String {
        if self == Self::Values {
            return values_encoded(name, has_colons);
        }
        let is_legacy = |at: usize, c: char| {
            c.is_ascii_alphabetic() || c == '_' || (has_colons && c == ':') || (at > 0 && c.is_ascii_digit())
        };
        let mut escaped = String::with_capacity(name.len() + 8);
        for (at, c) in name.char_indices() {
            match (self, c) {
                (Self::Dots, '.') => escaped.push_str("_dot_"),
                (Self::Dots, '_') => escaped.push_str("__"),
                (_, c) if is_legacy(at, c) => escaped.push(c),
                (Self::Dots, _) => escaped.push_str("__"),
                (Self::Underscores | Self::AllowUtf8 | Self::Values, _) => escaped.push('_'),
            }
        }
        escaped
    }
}

/// The name that [`Escaping::Values`] has made this one of. One that does not begin with `U__`, or is not well
/// formed behind that, is the name itself.
pub fn unescape(name: &str) -> Cow<'_, str> {
    name.strip_prefix("U__").and_then(unescape_values).map_or(Cow::Borrowed(name), Cow::Owned)
}

fn unescape_values(escaped: &str) -> Option<String> {
    /// No code point has more hexadecimal digits.
    const DIGITS_MAX: usize = 6;
    let mut name = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        name.push_str(&rest[..at]);
        let (code, behind) = rest[at + 1..].split_once('_')?;
        if code.is_empty() {
            name.push('_');
        } else {
            let is_code = code.len() <= DIGITS_MAX && code.bytes().all(|byte| byte.is_ascii_hexdigit());
            let code = if is_code { u32::from_str_radix(code, 16).ok()? } else { return None };
            name.push(char::from_u32(code)?);
        }
        rest = behind;
    }
    name.push_str(rest);
    Some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_escaping_has_its_own_way() {
        use Escaping::{AllowUtf8, Dots, Underscores, Values};
        for (escaping, name, shown) in [
            (Underscores, "a.b", "a_b"),
            (Underscores, "1é:b", "__:b"),
            (AllowUtf8, "a.b", "a.b"),
            (Dots, "a.b", "a_dot_b"),
            (Dots, "a_b.c d", "a__b_dot_c__d"),
            (Values, "a.b", "U__a_2e_b"),
            (Values, "a_b é", "U__a__b_20__e9_"),
            (Values, "😊", "U___1f60a_"),
        ] {
            assert_eq!(escaping.metric_name(name), shown, "{escaping:?}");
        }
        assert_eq!(Underscores.label_name("a:b"), "a_b");
        assert_eq!(Values.label_name("a:b"), "U__a_3a_b");
    }

    #[test]
    fn legacy_names_stay_what_they_are() {
        for escaping in Escaping::ALL {
            for name in ["a_b", "a:b", "_", "U__x"] {
                assert_eq!(escaping.metric_name(name), name);
            }
            assert_eq!(escaping.label_name("a_b"), "a_b");
            assert_eq!(Escaping::from_name(escaping.as_str()), Some(escaping));
        }
        assert_eq!(Escaping::from_name("Underscores"), None);
    }

    #[test]
    fn names_of_code_points_are_read_back() {
        for (escaped, name) in [
            ("U__foo_2e_bar", "foo.bar"),
            ("U___55_____foo__2e__bar", "U__foo_2e_bar"),
            ("U___2f_", "/"),
            ("U___1F60A_", "😊"),
            ("U__instance", "instance"),
            ("U__a_40_base64", "a@base64"),
            ("U__", ""),
            ("U______x", "__x"),
            ("U__é", "é"),
        ] {
            assert_eq!(unescape(escaped), name);
        }
    }

    #[test]
    fn what_is_not_well_formed_is_a_name_itself() {
        for name in [
            "foo.bar",
            "U_2e_",
            "U__in_xxx_valid",
            "U__a_",
            "U__a_2e",
            "U___0000041_",
            "U___d800_",
            "U___+41_",
            "U___110000_",
        ] {
            assert_eq!(unescape(name), name);
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_a_legacy_name_and_values_are_read_back(name in ".{1,12}") {
            for escaping in [Escaping::Underscores, Escaping::Dots, Escaping::Values] {
                prop_assert!(is_metric_name(&escaping.metric_name(&name)));
                prop_assert!(is_label_name(&escaping.label_name(&name)));
            }
            if !is_label_name(&name) {
                let escaped = Escaping::Values.label_name(&name);
                prop_assert_eq!(&*unescape(&escaped), &*name);
            }
        }
    }
}
