//! Durations as Go's `time.ParseDuration` reads them: `5m`, `1h30m`, `1.5h`, `100ms`, `0`.

use std::time::Duration;

/// Nanoseconds per unit.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The longest duration there is, as in Go: 2^63 - 1 nanoseconds, about 292 years.
const MAX_NS: u128 = (1 << 63) - 1;

/// Parses a duration; the error says what is accepted.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let invalid = || format!("'{text}' is not a duration, write for example 30s, 5m, 1h30m or 100ms");
    if text.starts_with('-') {
        return Err(format!("'{text}' is negative, a duration must not be"));
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (nanoseconds, after) = component(rest).ok_or_else(invalid)?;
        total += nanoseconds;
        if total > MAX_NS {
            return Err(format!("'{text}' is too long a duration"));
        }
        rest = after;
    }
    let nanoseconds = u64::try_from(total).expect("is at most MAX_NS");
    Ok(Duration::from_nanos(nanoseconds))
}

/// A duration as Go writes it: `5m0s`, `1.5s`, `100ms`, `0s`.
pub(super) fn display(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    let seconds = |nanoseconds| format!("{}s", decimal(nanoseconds, 1_000_000_000));
    match nanoseconds {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanoseconds}ns"),
        1_000..1_000_000 => format!("{}\u{b5}s", decimal(nanoseconds, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", decimal(nanoseconds, 1_000_000)),
        _ => {
            let (minutes, rest) = (nanoseconds / 60_000_000_000, seconds(nanoseconds % 60_000_000_000));
            match (minutes / 60, minutes % 60) {
                (0, 0) => rest,
                (0, minutes) => format!("{minutes}m{rest}"),
                (hours, minutes) => format!("{hours}h{minutes}m{rest}"),
            }
        }
    }
}

/// An amount in units of a power of ten, with as many digits as it takes.
fn decimal(amount: u128, unit: u128) -> String {
    let digits = unit.ilog10() as usize;
    let text = format!("{}.{:0digits$}", amount / unit, amount % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// One number with its unit, in nanoseconds (not above [`MAX_NS`] by much), and what follows.
fn component(text: &str) -> Option<(u128, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at(digits(text));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let unit_len = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_len);
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
    // Saturated, not refused here: the caller sees that it is too much.
    let whole = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(MAX_NS + 1).min(MAX_NS + 1) };
    // More digits than these are below a nanosecond, whatever the unit.
    let fraction = &fraction[..fraction.len().min(18)];
    let part = match fraction.parse::<u128>() {
        Ok(digits) => digits * scale / 10u128.pow(u32::try_from(fraction.len()).expect("is at most 18")),
        Err(_) => 0,
    };
    Some((whole.saturating_mul(*scale) + part, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_of_go() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("+0", 0),
            ("0s", 0),
            ("5m", 300_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("100ms", 100_000_000),
            ("1h1h", 7_200_000_000_000),
            ("+5s", 5_000_000_000),
            ("3\u{b5}s4us5ns", 7_005),
            ("0.9999999999999999999ns", 0),
            ("9223372036854775807ns", 9_223_372_036_854_775_807),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration() {
        for text in ["", "5", "m", ".", ".s", "5 m", "5m ", "1d", "1e3s", "0x1s", "5mm", "+", "1h-1m"] {
            assert!(parse(text).unwrap_err().contains("is not a duration"), "{text:?}");
        }
        assert!(parse("-5m").unwrap_err().contains("negative"));
        for text in ["9223372036854775808ns", "99999999999999999999999999999999999999999999h"] {
            assert!(parse(text).unwrap_err().contains("too long"), "{text}");
        }
    }

    #[test]
    fn durations_are_shown_as_in_go() {
        for (text, shown) in [
            ("0", "0s"),
            ("7ns", "7ns"),
            ("1.5us", "1.5\u{b5}s"),
            ("100ms", "100ms"),
            ("30s", "30s"),
            ("1.25s", "1.25s"),
            ("5m", "5m0s"),
            ("90s", "1m30s"),
            ("1h", "1h0m0s"),
            ("100h1ms", "100h0m0.001s"),
        ] {
            assert_eq!(display(parse(text).unwrap()), shown);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(nanoseconds in 0..=i64::MAX) {
            let duration = Duration::from_nanos(nanoseconds.unsigned_abs());
            prop_assert_eq!(parse(&display(duration)), Ok(duration));
        }

        #[test]
        fn nothing_makes_it_panic(text in "[0-9.hmsnuµ+-]{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn the_parts_add_up(h in 0u64..1_000_000, m in 0u64..1_000_000, ms in 0u64..1_000_000) {
            let sum = Duration::from_millis(h * 3_600_000 + m * 60_000 + ms);
            prop_assert_eq!(parse(&format!("{h}h{m}m{ms}ms")), Ok(sum));
        }
    }
}
