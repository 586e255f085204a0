//! Reading a number.

/// The longest run of digits that is sure to fit a `u64` and, below 2^53, to be exact in an `f64`.
const EXACT_DIGITS_MAX: usize = 15;

/// Reads a number as Prometheus does: an optional sign, decimal digits with at most one point, an optional
/// exponent; or, in any case, `inf` and `infinity` with an optional sign, and `nan` without one.
///
/// `None` for everything else (hexadecimal, underscores, blanks, nothing at all) and for a number too large
/// for an `f64`. A number too small for one is zero.
pub fn parse(token: &[u8]) -> Option<f64> {
    if (1..=EXACT_DIGITS_MAX).contains(&token.len())
        && let Some(integer) = plain_integer(token)
    {
        return Some(integer);
    }
    let (negative, magnitude) = match token {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, token),
    };
    let value = match magnitude.first()? {
        b'0'..=b'9' | b'.' => {
            fast_float2::parse::<f64, _>(magnitude).ok().filter(|value| value.is_finite())?
        }
        b'i' | b'I' => is_infinity(magnitude).then_some(f64::INFINITY)?,
        // No sign is allowed here.
        b'n' | b'N' => return token.eq_ignore_ascii_case(b"nan").then_some(f64::NAN),
        _ => return None,
    };
    Some(if negative { -value } else { value })
}

/// The value of a token that consists of digits only, the most frequent number there is.
#[allow(clippy::cast_precision_loss, reason = "at most 15 digits are below 2^53")]
fn plain_integer(token: &[u8]) -> Option<f64> {
    let mut value = 0_u64;
    for byte in token {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value as f64)
}

fn is_infinity(magnitude: &[u8]) -> bool {
    magnitude.eq_ignore_ascii_case(b"inf") || magnitude.eq_ignore_ascii_case(b"infinity")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (token, value) in [
            ("0", 0.0),
            ("1", 1.0),
            ("007", 7.0),
            ("+1.5E3", 1500.0),
            ("-2", -2.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("-.5e-1", -0.05),
            ("1e3", 1e3),
            ("999999999999999", 999_999_999_999_999.0),
            ("9007199254740993", 9_007_199_254_740_992.0),
            ("1e-400", 0.0),
            ("4.9e-324", f64::from_bits(1)),
            ("1.7976931348623157e308", f64::MAX),
            ("Inf", f64::INFINITY),
            ("+Inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
            ("INFINITY", f64::INFINITY),
            ("-infinity", f64::NEG_INFINITY),
        ] {
            assert_eq!(parse(token.as_bytes()), Some(value), "{token}");
        }
        assert!(parse(b"-0").unwrap().is_sign_negative());
        for token in ["NaN", "nan", "NAN"] {
            assert!(parse(token.as_bytes()).unwrap().is_nan(), "{token}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for token in [
            "",
            "+",
            "-",
            ".",
            "e",
            "1e",
            "1e+",
            ".e1",
            "1e400",
            "-1e400",
            "0x10",
            "0x1p-2",
            "1_000",
            "+nan",
            "-nan",
            "in",
            "infinit",
            "infinityx",
            "nanx",
            "1 ",
            " 1",
            "1,5",
            "--1",
            "+-1",
            "1.5.2",
            "1\r",
            "1f",
            "١",
            "1e5.5",
            "1e1e1",
        ] {
            assert_eq!(parse(token.as_bytes()), None, "{token:?}");
        }
        assert_eq!(parse(b"1\xff"), None);
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_standard_library_on_plain_decimals(
            token in "[+-]?([0-9]{1,20}(\\.[0-9]{0,20})?|\\.[0-9]{1,20})([eE][+-]?[0-9]{1,4})?"
        ) {
            let expected = token.parse::<f64>().unwrap();
            let expected = expected.is_finite().then_some(expected.to_bits());
            prop_assert_eq!(parse(token.as_bytes()).map(f64::to_bits), expected);
        }

        #[test]
        fn no_bytes_make_it_panic(token in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse(&token);
        }
    }
}
