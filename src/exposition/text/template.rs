//! The text of a body without its numbers: what pushes have in common that repeat each other.
//!
//! Invariant: a body in which a template finds numbers is well formed, and says what the body says that the
//! template was made from, with these numbers in place of its own.

use std::io::Write as _;

use memchr::memrchr3;

use crate::exposition::number;

/// The text of a body without its numbers. A number is the value of a sample; bounds of buckets and
/// quantiles are part of the text.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Template {
    /// All that is not a number, from first to last.
    text: Box<[u8]>,
    /// Where in `text` each number stands.
    ends: Box<[u32]>,
}

impl Template {
    /// The template of a body that [`parse`](super::parse()) has accepted and that has no timestamps. `None`
    /// if it holds no numbers.
    pub fn of(body: &[u8]) -> Option<Self> {
        u32::try_from(body.len()).ok()?;
        let mut text = Vec::with_capacity(body.len());
        let mut ends = Vec::new();
        for line in body.split_inclusive(|&byte| byte == b'\n') {
            if !is_sample(line) {
                text.extend_from_slice(line);
                continue;
            }
            let sample = line.strip_suffix(b"\n")?;
            // The value is the last word, if there is no timestamp.
            let start = memrchr3(b' ', b'\t', b'}', sample)? + 1;
            number::parse(&sample[start..])?;
            text.extend_from_slice(&sample[..start]);
            ends.push(u32::try_from(text.len()).ok()?);
            text.push(b'\n');
        }
        (!ends.is_empty()).then(|| Self { text: text.into(), ends: ends.into() })
    }

    /// Puts the numbers of `body` into `numbers` if it is this text with numbers in their places. Whatever
    /// else it is, the answer is false.
    pub fn read(&self, body: &[u8], numbers: &mut Vec<f64>) -> bool {
        numbers.clear();
        numbers.reserve(self.ends.len());
        let (mut rest, mut start) = (body, 0);
        for &end in &self.ends {
            let end = end as usize;
            let Some(behind) = rest.strip_prefix(&self.text[start..end]) else { return false };
            let Some(len) = behind.iter().position(|&byte| byte == b'\n') else { return false };
            let Some(number) = number::parse(&behind[..len]) else { return false };
            numbers.push(number);
            rest = &behind[len..];
            start = end;
        }
        *rest == self.text[start..]
    }

    /// A body of this text in which each number is its own place among the numbers: the first is 0, the
    /// next 1.
    pub fn with_places(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.text.len() + 4 * self.ends.len());
        let mut start = 0;
        for (place, &end) in self.ends.iter().enumerate() {
            body.extend_from_slice(&self.text[start..end as usize]);
            write!(body, "{place}").expect("writing to memory does not fail");
            start = end as usize;
        }
        body.extend_from_slice(&self.text[start..]);
        body
    }

    /// Roughly the bytes that it takes.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.text.len() + size_of_val(&*self.ends)
    }
}

/// Whether a sample stands on the line, as against nothing or a comment.
fn is_sample(line: &[u8]) -> bool {
    let first = line.iter().find(|byte| !matches!(byte, b' ' | b'\t'));
    !matches!(first, None | Some(b'\n' | b'#'))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use crate::model::Value;

    const BODY: &[u8] =
        b"# HELP m 1 } 2\n# TYPE m counter\nm{a=\"} 1\",b=\"\\\"\"}3\n\n  n 4.5\n{\"o\"} 1e3\n";

    fn read(template: &Template, body: &[u8]) -> Option<Vec<f64>> {
        let mut numbers = vec![7.0];
        template.read(body, &mut numbers).then_some(numbers)
    }

    #[test]
    fn its_own_numbers_and_others_are_read() {
        let template = Template::of(BODY).unwrap();
        assert_eq!(read(&template, BODY), Some(vec![3.0, 4.5, 1000.0]));
        let other = String::from_utf8_lossy(BODY).replace("4.5", "-Inf").replace("}3", "}12345678.5");
        assert_eq!(read(&template, other.as_bytes()), Some(vec![12_345_678.5, f64::NEG_INFINITY, 1000.0]));
    }

    #[test]
    fn a_body_that_differs_in_anything_else_is_not_recognised() {
        let template = Template::of(BODY).unwrap();
        for place in 0..BODY.len() {
            for byte in [b' ', b'\n', b'x', b'}', b'"'] {
                let mut body = BODY.to_vec();
                body[place] = byte;
                if body == BODY {
                    continue;
                }
                assert_eq!(read(&template, &body), None, "{}", String::from_utf8_lossy(&body));
            }
            assert_eq!(read(&template, &BODY[..place]), None);
        }
        let with_timestamp = String::from_utf8_lossy(BODY).replace("4.5", "4.5 1700000000");
        assert_eq!(read(&template, with_timestamp.as_bytes()), None);
        assert_eq!(read(&template, &[BODY, b"\n"].concat()), None);
        assert_eq!(read(&template, b""), None);
    }

    #[test]
    fn places_stand_where_the_numbers_stood() {
        let body = Template::of(BODY).unwrap().with_places();
        let places = parse(&body).unwrap();
        let values: Vec<_> = places.families.iter().map(|family| &family.series[0].value).collect();
        assert_eq!(values, [&Value::Counter(0.0), &Value::Untyped(1.0), &Value::Untyped(2.0)]);
    }

    #[test]
    fn what_has_no_numbers_makes_no_template() {
        assert_eq!(Template::of(b""), None);
        assert_eq!(Template::of(b"# TYPE m counter\n\n"), None);
        assert_eq!(Template::of(b"m x\n"), None);
        assert_eq!(Template::of(b"m 1"), None);
    }
}
