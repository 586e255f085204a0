//! Fields of messages as they stand on the wire: reading them where they stand, and writing them.

use prost::Message;

/// The wire types: what follows a key.
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const GROUP_START: u8 = 3;
const GROUP_END: u8 = 4;
const FIXED32: u8 = 5;

/// Unknown groups may hold others this deep.
const GROUP_DEPTH_MAX: u32 = 32;

/// What makes bytes no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// What follows a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Field<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Of a kind that the schema has in no message that is read here.
    Other,
}

impl<'a> Field<'a> {
    /// The bytes, of a field that the schema says holds a text or a message.
    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Other => Err(Malformed("a text or message is of another wire type")),
        }
    }

    /// The number, of a field that the schema says holds a whole one.
    pub(super) fn varint(self) -> Result<u64, Malformed> {
        match self {
            Self::Varint(number) => Ok(number),
            Self::Bytes(_) | Self::Other => Err(Malformed("a whole number is of another wire type")),
        }
    }
}

/// Why there is no number where one must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoVarint {
    /// The bytes end within it.
    End,
    /// It does not fit 64 bits.
    TooLong,
}

/// Takes a number off the front of `bytes`.
#[inline]
pub(super) fn take_varint(bytes: &mut &[u8]) -> Result<u64, NoVarint> {
    let mut number = 0_u64;
    for (place, &byte) in bytes.iter().take(10).enumerate() {
        // The tenth byte has one bit to give.
        if place == 9 && byte > 1 {
            return Err(NoVarint::TooLong);
        }
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            *bytes = &bytes[place + 1..];
            return Ok(number);
        }
    }
    Err(if bytes.len() < 10 { NoVarint::End } else { NoVarint::TooLong })
}

/// Takes so many bytes off the front of `bytes`, if there are as many.
#[inline]
pub(super) fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(taken)
}

/// The fields of a message, in the order in which they stand. Groups, which the schema does not have, are
/// passed over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    /// The next field with its number; `None` at the end of the message.
    #[inline]
    pub(super) fn advance(&mut self) -> Result<Option<(u32, Field<'a>)>, Malformed> {
        while !self.0.is_empty() {
            let (number, wire_type) = self.key()?;
            if wire_type == GROUP_START {
                self.skip_group(number, GROUP_DEPTH_MAX)?;
                continue;
            }
            return Ok(Some((number, self.value(wire_type)?)));
        }
        Ok(None)
    }

    #[inline]
    fn key(&mut self) -> Result<(u32, u8), Malformed> {
        let key = u32::try_from(self.varint()?).map_err(|_| Malformed("a field's number is too large"))?;
        let number = key >> 3;
        if number == 0 {
            return Err(Malformed("a field has the number 0"));
        }
        Ok((number, (key & 7).to_le_bytes()[0]))
    }

    #[inline]
    fn value(&mut self, wire_type: u8) -> Result<Field<'a>, Malformed> {
        match wire_type {
            VARINT => self.varint().map(Field::Varint),
            BYTES => {
                let length = self.varint()?;
                self.take(length).map(Field::Bytes)
            }
            FIXED64 => self.take(8).map(|_| Field::Other),
            FIXED32 => self.take(4).map(|_| Field::Other),
            GROUP_END => Err(Malformed("a group ends that has not begun")),
            _ => Err(Malformed("a field has a wire type that there is not")),
        }
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        take_varint(&mut self.0).map_err(|error| match error {
            NoVarint::End => Malformed("it ends within a number"),
            NoVarint::TooLong => Malformed("a number does not fit 64 bits"),
        })
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        take(&mut self.0, length).ok_or(Malformed("a field is longer than its message"))
    }

    fn skip_group(&mut self, number: u32, depth: u32) -> Result<(), Malformed> {
        let deeper = depth.checked_sub(1).ok_or(Malformed("groups stand in each other too deep"))?;
        loop {
            match self.key()? {
                (inner, GROUP_START) => self.skip_group(inner, deeper)?,
                (inner, GROUP_END) if inner == number => return Ok(()),
                (_, wire_type) => {
                    self.value(wire_type)?;
                }
            }
        }
    }
}

/// Appends a number.
#[inline]
pub(super) fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Appends a field that holds a whole number.
pub(super) fn write_number(out: &mut Vec<u8>, field: u32, number: u64) {
    write_key(out, field, VARINT);
    write_varint(out, number);
}

/// Appends a field that holds a text.
#[inline]
pub(super) fn write_text(out: &mut Vec<u8>, field: u32, text: &str) {
    write_key(out, field, BYTES);
    write_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a field that holds a message.
pub(super) fn write_message(out: &mut Vec<u8>, field: u32, message: &impl Message) {
    write_key(out, field, BYTES);
    message.encode_length_delimited(out).expect("a vector grows as far as it must");
}

/// Appends a field that holds a message, whose fields `write` appends.
#[inline]
pub(super) fn write_nested(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    write_key(out, field, BYTES);
    // The length stands before what it is the length of. Most take one byte, and two are the next most.
    let start = out.len();
    out.push(0);
    write(out);
    let length = out.len() - start - 1;
    if length < 0x80 {
        out[start] = length.to_le_bytes()[0];
    } else {
        let mut prefix = Vec::with_capacity(5);
        write_varint(&mut prefix, length as u64);
        out.splice(start..=start, prefix);
    }
}

#[inline]
fn write_key(out: &mut Vec<u8>, field: u32, wire_type: u8) {
    write_varint(out, u64::from((field << 3) | u32::from(wire_type)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(message: &[u8]) -> Result<Vec<(u32, Field<'_>)>, Malformed> {
        let mut fields = Fields(message);
        let mut found = Vec::new();
        while let Some(field) = fields.advance()? {
            found.push(field);
        }
        Ok(found)
    }

    #[test]
    fn numbers_are_read_as_written_and_never_wrap() {
        for number in [0, 1, 127, 128, 300, 1 << 32, u64::MAX] {
            let mut bytes = Vec::new();
            write_varint(&mut bytes, number);
            bytes.push(7);
            let mut rest = &*bytes;
            assert_eq!(take_varint(&mut rest), Ok(number));
            assert_eq!(rest, [7]);
            for end in 0..bytes.len() - 1 {
                assert_eq!(take_varint(&mut &bytes[..end]), Err(NoVarint::End), "{number} cut at {end}");
            }
        }
        assert_eq!(take_varint(&mut &[0xff; 11][..]), Err(NoVarint::TooLong));
        let ten = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(take_varint(&mut &ten[..]), Err(NoVarint::TooLong));
        assert_eq!(take_varint(&mut &[0x80, 0x00, 9][..]), Ok(0), "zeros in front are allowed");
    }

    #[test]
    fn all_kinds_of_fields_are_told_apart_and_groups_passed_over() {
        let mut message = vec![0x08, 0x05, 0x12, 0x02, b'a', b'b', 0x19];
        message.extend([0; 8]);
        message.extend([0x25, 0, 0, 0, 0]);
        // A group 5 that holds a number, another group 6 and a text.
        message.extend([0x2b, 0x08, 0x01, 0x33, 0x34, 0x12, 0x01, b'x', 0x2c, 0x38, 0x01]);
        let expected = [
            (1, Field::Varint(5)),
            (2, Field::Bytes(b"ab")),
            (3, Field::Other),
            (4, Field::Other),
            (7, Field::Varint(1)),
        ];
        assert_eq!(fields(&message).unwrap(), expected);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for message in [
            &[0x08][..],
            &[0x08, 0x80],
            &[0x12, 0x02, b'a'],
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0x19, 0, 0, 0],
            &[0x00, 0x01],
            &[0x0e],
            &[0x2c],
            &[0x2b],
            &[0x2b, 0x34],
            &[0xf8, 0xff, 0xff, 0xff, 0x7f, 0x01],
            &[0x2b; 100],
        ] {
            assert!(fields(message).is_err(), "{message:x?}");
        }
    }

    #[test]
    fn a_nested_message_has_its_length_in_front() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 100_000] {
            let mut out = b"before".to_vec();
            write_nested(&mut out, 4, |out| out.extend(std::iter::repeat_n(9, length)));
            let message = out.strip_prefix(b"before").unwrap();
            assert_eq!(fields(message).unwrap(), [(4, Field::Bytes(&vec![9; length]))]);
        }
    }
}
