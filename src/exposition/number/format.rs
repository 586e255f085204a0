//! Writing a number.

/// Decimal exponents of the first digit within which a number is written without an exponent.
const PLAIN_EXPONENTS: std::ops::RangeInclusive<i32> = -4..=5;

/// The integers that [`write()`] lays out by itself: all of them are within [`PLAIN_EXPONENTS`].
const SMALL_INTEGER_LIMIT: f64 = 1e6;

/// No shortest representation of an `f64` has more significant digits.
const DIGITS_MAX: usize = 17;

/// Appends the number as Prometheus writes it: the fewest digits that read back as the same number, plain
/// where the first digit's decimal exponent is -4 to 5, else `d.ddde+XX` with at least two digits of
/// exponent; integers without a fraction; `NaN`, `+Inf`, `-Inf`; and minus zero as `0`.
pub fn write(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
        return;
    }
    if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
        return;
    }
    if value < 0.0 {
        out.push(b'-');
    }
    let magnitude = value.abs();
    if magnitude < SMALL_INTEGER_LIMIT && magnitude.fract() == 0.0 {
        write_small_integer(out, magnitude);
        return;
    }
    let mut buffer = zmij::Buffer::new();
    let decimal = Decimal::read(buffer.format_finite(magnitude));
    if PLAIN_EXPONENTS.contains(&decimal.exponent) {
        decimal.write_plain(out);
    } else {
        decimal.write_with_exponent(out);
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an integer of 0 to 999,999")]
fn write_small_integer(out: &mut Vec<u8>, magnitude: f64) {
    write_integer(out, magnitude as u32);
}

fn write_integer(out: &mut Vec<u8>, mut rest: u32) {
    let mut digits = [0_u8; 10];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// A positive decimal number: its significant digits `d1 d2 d3 ...`, neither the first nor the last of
/// them zero, standing for `d1.d2d3... * 10^exponent`.
struct Decimal {
    digits: [u8; DIGITS_MAX],
    len: usize,
    exponent: i32,
}

impl Decimal {
    /// Takes apart a shortest representation, be it plain or with an exponent.
    fn read(shortest: &str) -> Self {
        let (mantissa, written_exponent) = match shortest.split_once('e') {
            Some((mantissa, exponent)) => {
                (mantissa, exponent.parse::<i32>().expect("the exponent of an f64 is a small integer"))
            }
            None => (shortest, 0),
        };
        let digits_before_point = mantissa.find('.').unwrap_or(mantissa.len());
        let mut decimal = Self { digits: [b'0'; DIGITS_MAX], len: 0, exponent: 0 };
        let mut leading_zeros = 0;
        let mut significant = 0;
        for byte in mantissa.bytes().filter(|&byte| byte != b'.') {
            if significant == 0 && byte == b'0' {
                leading_zeros += 1;
                continue;
            }
            // Trailing zeros are counted and never kept.
            if byte != b'0' {
                decimal.digits[significant] = byte;
                decimal.len = significant + 1;
            }
            significant += 1;
        }
        let before_point = i32::try_from(digits_before_point).expect("a shortest representation is short");
        decimal.exponent = written_exponent + before_point - 1 - leading_zeros;
        decimal
    }

    fn digits(&self) -> &[u8] {
        &self.digits[..self.len]
    }

    fn write_plain(&self, out: &mut Vec<u8>) {
        let digits = self.digits();
        if self.exponent < 0 {
            out.extend_from_slice(b"0.");
            out.extend((self.exponent + 1..0).map(|_| b'0'));
            out.extend_from_slice(digits);
            return;
        }
        let before_point = self.exponent.unsigned_abs() as usize + 1;
        if digits.len() <= before_point {
            out.extend_from_slice(digits);
            out.extend((digits.len()..before_point).map(|_| b'0'));
        } else {
            out.extend_from_slice(&digits[..before_point]);
            out.push(b'.');
            out.extend_from_slice(&digits[before_point..]);
        }
    }

    fn write_with_exponent(&self, out: &mut Vec<u8>) {
        let (first, rest) = self.digits().split_first().expect("a positive number has a significant digit");
        out.push(*first);
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest);
        }
        out.extend_from_slice(if self.exponent < 0 { b"e-" } else { b"e+" });
        let exponent = self.exponent.unsigned_abs();
        if exponent < 10 {
            out.push(b'0');
        }
        write_integer(out, exponent);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::parse;
    use super::*;

    fn written(value: f64) -> String {
        let mut out = Vec::new();
        write(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_prometheus_writes_them() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (0.5, "0.5"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (10.25, "10.25"),
            (0.01, "0.01"),
            (0.0001, "0.0001"),
            (0.000_123, "0.000123"),
            (0.000_09, "9e-05"),
            (1.5e-7, "1.5e-07"),
            (100_000.0, "100000"),
            (999_999.0, "999999"),
            (999_999.5, "999999.5"),
            (1e6, "1e+06"),
            (-1e6, "-1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (123_456.789, "123456.789"),
            (1_234_567.5, "1.2345675e+06"),
            (123_456_789.0, "1.23456789e+08"),
            (25_000_000.0, "2.5e+07"),
            (12_345_678_901_234_567_890.0, "1.2345678901234567e+19"),
            (2.1e21, "2.1e+21"),
            (1e15, "1e+15"),
            (1e16, "1e+16"),
            (1e17, "1e+17"),
            (1e100, "1e+100"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (f64::from_bits(1), "5e-324"),
            (-1_591_956_413_335_322.2, "-1.5919564133353222e+15"),
            (1_795_229_929.227_118_3, "1.7952299292271183e+09"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(written(value), text);
        }
    }

    /// The same rule from the standard library's shortest digits.
    fn formulated_otherwise(value: f64) -> String {
        if value == 0.0 {
            return "0".to_owned();
        }
        let scientific = format!("{value:e}");
        let (mantissa, exponent) = scientific.split_once('e').unwrap();
        let exponent: i32 = exponent.parse().unwrap();
        if (-4..=5).contains(&exponent) {
            return format!("{value}");
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}e{sign}{:02}", exponent.abs())
    }

    proptest! {
        #[test]
        fn any_finite_number_reads_back_and_follows_the_rule(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let text = written(value);
            prop_assert_eq!(parse(text.as_bytes()), Some(value));
            let other = formulated_otherwise(value);
            // Where two shortest numbers are equally near, the standard library takes the upper one; we take
            // the even one, as Go does. They differ in one digit.
            let differing = text.bytes().zip(other.bytes()).filter(|(one, other)| one != other).count();
            prop_assert!(text.len() == other.len() && differing <= 1, "{} {}", text, other);
        }

        #[test]
        fn so_do_everyday_numbers(integer in -10_000_000_i64..10_000_000, divisor in prop::sample::select(
            vec![1.0, 2.0, 10.0, 64.0, 1e3, 1e5, 1e8]
        )) {
            #[allow(clippy::cast_precision_loss)]
            let value = integer as f64 / divisor;
            let text = written(value);
            prop_assert_eq!(parse(text.as_bytes()), Some(value));
            prop_assert_eq!(text, formulated_otherwise(value));
        }
    }
}
