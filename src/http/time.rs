//! Points in time as Go writes them into JSON: RFC 3339 with as many digits of the second as it takes.

const NS_PER_SECOND: u64 = 1_000_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// The time so many nanoseconds after the Unix epoch, in UTC: `2026-11-21T14:05:00.25Z`.
pub(super) fn rfc3339(ns: u64) -> String {
    let (seconds, fraction) = (ns / NS_PER_SECOND, ns % NS_PER_SECOND);
    let (days, second) = (seconds / SECONDS_PER_DAY, seconds % SECONDS_PER_DAY);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = match fraction {
        0 => String::new(),
        _ => format!(".{fraction:09}").trim_end_matches('0').to_owned(),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Year, month and day so many days after 1 January 1970, in the Gregorian calendar.
fn date(mut days: u64) -> (u64, usize, u64) {
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    for (month, length) in (1..).zip(lengths) {
        if days < length {
            return (year, month, days + 1);
        }
        days -= length;
    }
    unreachable!("what is left of the days is less than a year")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        for (seconds, ns, expected) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (0, 1, "1970-01-01T00:00:00.000000001Z"),
            (951_827_696, 500_000_000, "2000-02-29T12:34:56.5Z"),
            (1_583_781_848, 25_745_000, "2020-03-09T19:24:08.025745Z"),
            (1_735_689_599, 999_999_999, "2024-12-31T23:59:59.999999999Z"),
            (1_735_689_600, 120, "2025-01-01T00:00:00.00000012Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00Z"),
            (4_107_542_399, 0, "2100-02-28T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds * NS_PER_SECOND + ns), expected);
        }
        assert_eq!(&rfc3339(u64::MAX)[..4], "2554");
    }
}
