//! Protobuf messages of the published schema `io.prometheus.client`, written as fields: what a case sends, and
//! what it expects of a scrape.
//!
//! A second implementation on purpose: the gateway's own would agree with its own mistakes. The text is
//! protobuf's: `name: "a" type: GAUGE metric { gauge { value: 1 } }`.

use std::fmt::Write as _;

use super::payload;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Double,
    /// Unsigned.
    Varint,
    /// Zigzag.
    Signed,
    Type,
    Message(&'static str),
}

/// Message, field, number, kind.
const FIELDS: &[(&str, &str, u64, Kind)] = &[
    ("MetricFamily", "name", 1, Kind::Text),
    ("MetricFamily", "help", 2, Kind::Text),
    ("MetricFamily", "type", 3, Kind::Type),
    ("MetricFamily", "metric", 4, Kind::Message("Metric")),
    ("MetricFamily", "unit", 5, Kind::Text),
    ("Metric", "label", 1, Kind::Message("LabelPair")),
    ("Metric", "gauge", 2, Kind::Message("Value")),
    ("Metric", "counter", 3, Kind::Message("Counter")),
    ("Metric", "summary", 4, Kind::Message("Summary")),
    ("Metric", "untyped", 5, Kind::Message("Value")),
    ("Metric", "timestamp_ms", 6, Kind::Varint),
    ("Metric", "histogram", 7, Kind::Message("Histogram")),
    ("LabelPair", "name", 1, Kind::Text),
    ("LabelPair", "value", 2, Kind::Text),
    ("Value", "value", 1, Kind::Double),
    ("Counter", "value", 1, Kind::Double),
    ("Counter", "exemplar", 2, Kind::Message("Exemplar")),
    ("Counter", "created_timestamp", 3, Kind::Message("Timestamp")),
    ("Summary", "sample_count", 1, Kind::Varint),
    ("Summary", "sample_sum", 2, Kind::Double),
    ("Summary", "quantile", 3, Kind::Message("Quantile")),
    ("Summary", "created_timestamp", 4, Kind::Message("Timestamp")),
    ("Quantile", "quantile", 1, Kind::Double),
    ("Quantile", "value", 2, Kind::Double),
    ("Histogram", "sample_count", 1, Kind::Varint),
    ("Histogram", "sample_sum", 2, Kind::Double),
    ("Histogram", "bucket", 3, Kind::Message("Bucket")),
    ("Histogram", "sample_count_float", 4, Kind::Double),
    ("Histogram", "schema", 5, Kind::Signed),
    ("Histogram", "zero_threshold", 6, Kind::Double),
    ("Histogram", "zero_count", 7, Kind::Varint),
    ("Histogram", "zero_count_float", 8, Kind::Double),
    ("Histogram", "negative_span", 9, Kind::Message("BucketSpan")),
    ("Histogram", "negative_delta", 10, Kind::Signed),
    ("Histogram", "negative_count", 11, Kind::Double),
    ("Histogram", "positive_span", 12, Kind::Message("BucketSpan")),
    ("Histogram", "positive_delta", 13, Kind::Signed),
    ("Histogram", "positive_count", 14, Kind::Double),
    ("Histogram", "created_timestamp", 15, Kind::Message("Timestamp")),
    ("Histogram", "exemplars", 16, Kind::Message("Exemplar")),
    ("Bucket", "cumulative_count", 1, Kind::Varint),
    ("Bucket", "upper_bound", 2, Kind::Double),
    ("Bucket", "exemplar", 3, Kind::Message("Exemplar")),
    ("Bucket", "cumulative_count_float", 4, Kind::Double),
    ("BucketSpan", "offset", 1, Kind::Signed),
    ("BucketSpan", "length", 2, Kind::Varint),
    ("Exemplar", "label", 1, Kind::Message("LabelPair")),
    ("Exemplar", "value", 2, Kind::Double),
    ("Exemplar", "timestamp", 3, Kind::Message("Timestamp")),
    ("Timestamp", "seconds", 1, Kind::Varint),
    ("Timestamp", "nanos", 2, Kind::Varint),
];

const TYPES: [&str; 6] = ["COUNTER", "GAUGE", "SUMMARY", "UNTYPED", "HISTOGRAM", "GAUGE_HISTOGRAM"];

/// A family written as fields, as one delimited message.
pub fn encode(text: &str) -> Result<Vec<u8>, String> {
    let tokens = tokens(text)?;
    let mut rest = tokens.as_slice();
    let message = message("MetricFamily", &mut rest)?;
    if !rest.is_empty() {
        return Err(format!("this is too much: {rest:?}"));
    }
    let mut delimited = Vec::new();
    varint(message.len() as u64, &mut delimited);
    delimited.extend(message);
    Ok(delimited)
}

/// Words, texts with their quotes, and braces.
fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => quoted_length(rest).ok_or("a text does not end")?,
            '{' | '}' => 1,
            _ => rest.find([' ', '{', '}', '"']).unwrap_or(rest.len()),
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn quoted_length(text: &str) -> Option<usize> {
    let mut is_escaped = true; // the opening quote is not the closing one
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The fields up to a closing brace or the end.
fn message(of: &str, rest: &mut &[String]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some((field, after)) = rest.split_first().filter(|(field, _)| *field != "}") {
        let name = field.trim_end_matches(':');
        let found = FIELDS.iter().find(|(message, field, ..)| *message == of && *field == name);
        let (.., number, kind) = found.ok_or_else(|| format!("{of} has no field {name}"))?;
        let (value, after) = after.split_first().ok_or("a value is missing")?;
        *rest = after;
        let bad = || format!("{value} is no value of {name}");
        match kind {
            Kind::Message(inner) => {
                if value != "{" {
                    return Err(bad());
                }
                let message = message(inner, rest)?;
                // A message ends at a brace or at the end of all.
                let (_, after) = rest.split_first().ok_or("a brace is not closed")?;
                *rest = after;
                chunk(*number, &message, &mut bytes);
            }
            Kind::Text => {
                let text = payload::unquote(value).ok_or_else(bad)?;
                chunk(*number, &text, &mut bytes);
            }
            Kind::Double => {
                varint(number << 3 | 1, &mut bytes);
                let double: f64 = value.parse().map_err(|_| bad())?;
                bytes.extend(double.to_le_bytes());
            }
            Kind::Varint => {
                varint(number << 3, &mut bytes);
                varint(value.parse::<i64>().map_err(|_| bad())?.cast_unsigned(), &mut bytes);
            }
            Kind::Signed => {
                let signed: i64 = value.parse().map_err(|_| bad())?;
                varint(number << 3, &mut bytes);
                varint((signed << 1 ^ signed >> 63).cast_unsigned(), &mut bytes);
            }
            Kind::Type => {
                let known = TYPES.iter().position(|name| name == value);
                let number_of = known.or_else(|| value.parse().ok()).ok_or_else(bad)?;
                varint(number << 3, &mut bytes);
                varint(number_of as u64, &mut bytes);
            }
        }
    }
    Ok(bytes)
}

fn chunk(number: u64, bytes: &[u8], out: &mut Vec<u8>) {
    varint(number << 3 | 2, out);
    varint(bytes.len() as u64, out);
    out.extend(bytes);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// The families of a delimited stream, each written as fields. The time of a timestamp is written `T`.
pub fn decode(mut bytes: &[u8]) -> Result<Vec<String>, String> {
    let mut families = Vec::new();
    while !bytes.is_empty() {
        let message = take_chunk(&mut bytes)?;
        families.push(fields("MetricFamily", message)?);
    }
    Ok(families)
}

fn fields(of: &str, mut bytes: &[u8]) -> Result<String, String> {
    let mut text = String::new();
    while !bytes.is_empty() {
        let key = take_varint(&mut bytes)?;
        let found = FIELDS.iter().find(|(message, _, number, _)| *message == of && *number == key >> 3);
        let (_, name, _, kind) = found.ok_or_else(|| format!("{of} has no field {}", key >> 3))?;
        if !text.is_empty() {
            text.push(' ');
        }
        let packed = key & 7 == 2 && matches!(kind, Kind::Signed | Kind::Double);
        if packed {
            return Err(format!("{of}.{name} is packed, which the schema does not say"));
        }
        match kind {
            Kind::Message("Timestamp") => {
                take_chunk(&mut bytes)?;
                let _ = write!(text, "{name} {{ T }}");
            }
            Kind::Message(inner) => {
                let message = take_chunk(&mut bytes)?;
                let inner = fields(inner, message)?;
                let blank = if inner.is_empty() { "" } else { " " };
                let _ = write!(text, "{name} {{{blank}{inner} }}");
            }
            Kind::Text => {
                let _ = write!(text, "{name}: {:?}", payload::shown(take_chunk(&mut bytes)?));
            }
            Kind::Double => {
                let (double, after) = bytes.split_first_chunk().ok_or("a double is cut")?;
                bytes = after;
                let _ = write!(text, "{name}: {}", f64::from_le_bytes(*double));
            }
            Kind::Varint => {
                let _ = write!(text, "{name}: {}", take_varint(&mut bytes)?.cast_signed());
            }
            Kind::Signed => {
                let zigzag = take_varint(&mut bytes)?;
                let signed = (zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed());
                let _ = write!(text, "{name}: {signed}");
            }
            Kind::Type => {
                let number = usize::try_from(take_varint(&mut bytes)?).unwrap_or(usize::MAX);
                let _ = write!(text, "{name}: {}", TYPES.get(number).ok_or("no such type")?);
            }
        }
    }
    Ok(text)
}

fn take_chunk<'b>(bytes: &mut &'b [u8]) -> Result<&'b [u8], String> {
    let length = usize::try_from(take_varint(bytes)?).map_err(|_| "a length is too large")?;
    let (chunk, after) = bytes.split_at_checked(length).ok_or("a message is cut")?;
    *bytes = after;
    Ok(chunk)
}

fn take_varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = bytes.split_first().ok_or("a number is cut")?;
        *bytes = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number is too long".to_owned())
}

#[test]
fn a_message_is_read_as_it_was_written() {
    let text = r#"name: "a\n" type: GAUGE metric { label { name: "l" value: "v {" } gauge { value: -1.5 } }"#;
    let bytes = encode(text).unwrap();
    assert_eq!(&bytes[..6], b"\x1d\x0a\x02a\n\x18");
    assert_eq!(decode(&bytes).unwrap(), [text]);
    let text = "type: HISTOGRAM metric { histogram { schema: -53 positive_delta: 2 positive_delta: -1 } }";
    assert_eq!(decode(&encode(text).unwrap()).unwrap(), [text]);
    assert!(encode("nome: 1").is_err());
    assert!(decode(b"\x05\x0a").is_err());
}
