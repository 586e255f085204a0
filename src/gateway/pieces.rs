//! The label names and values of a page, each written once however many series have it.
//!
//! Invariant: the number of a piece never changes, and two pieces never have the same text.

use twox_hash::XxHash3_64;

/// Texts, numbered in the order in which they first appeared.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    /// All texts, one after the other.
    text: String,
    /// Where each of them ends in `text`.
    ends: Vec<u32>,
    /// Eight bits of the hash of each: the texts that a new one might be are found by looking through these.
    tags: Vec<u8>,
}

impl Pieces {
    /// The number of a text, which is a new one if it has not appeared before.
    pub(super) fn intern(&mut self, piece: &str) -> u32 {
        let tag = XxHash3_64::oneshot(piece.as_bytes()).to_le_bytes()[0];
        let known = memchr::memchr_iter(tag, &self.tags).find(|&index| self.at(index) == piece);
        let index = known.unwrap_or_else(|| {
            self.text.push_str(piece);
            self.ends.push(u32::try_from(self.text.len()).expect("label texts of a page are limited"));
            self.tags.push(tag);
            self.tags.len() - 1
        });
        u32::try_from(index).expect("there are no more texts than bytes of them")
    }

    /// The text of a number that [`Self::intern`] has given.
    pub(super) fn get(&self, number: u32) -> &str {
        self.at(number as usize)
    }

    fn at(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.text[start..self.ends[index] as usize]
    }

    /// Roughly the bytes that they take.
    pub(super) fn weight(&self) -> usize {
        self.text.len() + size_of_val(&*self.ends) + self.tags.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_one_tag_are_told_apart_and_found_again() {
        // 1,000 texts share 256 tags.
        let texts: Vec<String> = (0..1_000).map(|number| format!("text {number}")).collect();
        let mut pieces = Pieces::default();
        let numbers: Vec<u32> = texts.iter().map(|text| pieces.intern(text)).collect();
        assert_eq!(numbers, (0..1_000).collect::<Vec<_>>());
        let weight = pieces.weight();
        assert!(texts.iter().zip(&numbers).all(|(text, &number)| pieces.intern(text) == number));
        assert!(texts.iter().zip(&numbers).all(|(text, &number)| pieces.get(number) == text));
        assert_eq!(pieces.weight(), weight);
    }
}
