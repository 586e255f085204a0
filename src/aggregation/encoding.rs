//! States as bytes: postcard's encoding, like all else in a record, with a short way for what is encoded most,
//! counters and histograms.
//!
//! Invariant: the bytes are those that postcard makes.

use serde::Serialize;

use super::State;

impl State {
    /// The first byte of a counter, and that of a histogram: their places among the alternatives.
    const COUNTER: u8 = 0;
    const HISTOGRAM: u8 = 3;

    /// Appends the state to a record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Counter(counter) => {
                out.push(Self::COUNTER);
                counter.encode(out);
            }
            Self::Histogram(histogram) => {
                out.push(Self::HISTOGRAM);
                histogram.encode(out);
            }
            Self::Gauge(_)
            | Self::Untyped(_)
            | Self::Summary(_)
            | Self::Native(_)
            | Self::GaugeHistogram(_)
            | Self::Info
            | Self::StateSet(_) => append(out, self),
        }
    }
}

/// Appends what has no short way.
pub(super) fn append(out: &mut Vec<u8>, value: &impl Serialize) {
    *out = postcard::to_extend(value, std::mem::take(out)).expect("writing to a vector cannot fail");
}

/// Appends an integer: seven bits to a byte, the lowest first.
#[inline]
pub(super) fn append_integer(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let byte = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}
