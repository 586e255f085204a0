//! Sizes in bytes: plain, or with a unit such as `64MiB` or `10MB`.

/// Bytes per unit; upper and lower case mean the same.
const UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("b", 1),
    ("kb", 1_000),
    ("kib", 1 << 10),
    ("mb", 1_000_000),
    ("mib", 1 << 20),
    ("gb", 1_000_000_000),
    ("gib", 1 << 30),
];

/// Parses a size; the error says what is accepted.
pub(super) fn parse(text: &str) -> Result<usize, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.to_ascii_lowercase();
    let scale = UNITS.iter().find(|(name, _)| *name == unit).filter(|_| !number.is_empty());
    let Some((_, scale)) = scale else {
        return Err(format!("'{text}' is not a size, write for example 65536, 64KiB, 10MB or 1GiB"));
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*scale));
    bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(|| format!("'{text}' is too large a size"))
}

/// The shortest exact spelling.
pub(super) fn display(bytes: usize) -> String {
    for (unit, scale) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= scale && bytes.is_multiple_of(scale) {
            return format!("{}{unit}", bytes / scale);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_have_units_in_tens_and_in_twos() {
        for (text, bytes) in
            [("0", 0), ("7", 7), ("7B", 7), ("64KiB", 65_536), ("10MB", 10_000_000), ("1gib", 1 << 30)]
        {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size() {
        for text in ["", "MiB", "1.5MiB", "-1", "+1", "1 MiB", "1M", "1TiB", "1é"] {
            assert!(parse(text).unwrap_err().contains("is not a size"), "{text:?}");
        }
        for text in ["99999999999999999999", "18446744073709551615KiB"] {
            assert!(parse(text).unwrap_err().contains("too large"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(bytes: usize) {
            prop_assert_eq!(parse(&display(bytes)), Ok(bytes));
        }
    }
}
