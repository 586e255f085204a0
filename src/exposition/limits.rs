//! How much is read of one body, whatever its format.
//!
//! A body is small beside what can be made of it, so what is kept is bounded while the body is read. Whoever
//! counts afterwards has paid for all of it already.

use super::text::Excerpt;

/// How many parts an exemplar counts as, by the room that it takes.
pub(super) const EXEMPLAR_PARTS: usize = 8;

/// How many parts a state of a state set counts as, by the room that it takes beside its text.
pub(super) const STATE_PARTS: usize = 4;

/// How much of a body is read at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// Series. A body is read no further than it takes to know that it holds more: a result with more is
    /// incomplete, and to be refused for its size. There may be as many metric names
    /// without a series, too.
    pub series_max: usize,
    /// Labels that a sample is written with, those without a value too; not the one that is the bound of a
    /// bucket, a quantile or a state.
    pub labels_max: usize,
    /// Parts: what takes room beside the series themselves. A bucket or a quantile is one, a state four, an
    /// exemplar eight.
    pub parts_max: usize,
}

impl ReadLimits {
    /// The parts that a push may have: up to 128 MiB are kept of them.
    pub const PARTS_MAX: usize = 8 << 20;

    /// All of the body is read.
    pub const NONE: Self = Self { series_max: usize::MAX, labels_max: usize::MAX, parts_max: usize::MAX };
}

/// A sample with more labels than [`ReadLimits::labels_max`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("labels of metric {metric}: {found} is over the limit of {max}")]
pub struct TooManyLabels {
    /// The metric's name, as far as it is known.
    pub metric: Excerpt,
    /// How many were read when it was known that they are too many.
    pub found: usize,
    /// How many there may be.
    pub max: usize,
}

/// A body with more than [`ReadLimits::parts_max`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the body has more than {max} buckets and quantiles (a state counts as {STATE_PARTS} of them, an exemplar as \
     {EXEMPLAR_PARTS}); push less at once"
)]
pub struct TooManyParts {
    /// How many it may have.
    pub max: usize,
}

/// The parts that a body may still have.
#[derive(Debug)]
pub(super) struct Parts {
    left: usize,
    max: usize,
}

impl Parts {
    /// All that these limits allow.
    pub(super) fn new(limits: ReadLimits) -> Self {
        Self { left: limits.parts_max, max: limits.parts_max }
    }

    /// Takes so many of them.
    #[inline]
    pub(super) fn spend(&mut self, parts: usize) -> Result<(), TooManyParts> {
        self.left = self.left.checked_sub(parts).ok_or(TooManyParts { max: self.max })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_parts_are_spent_and_no_more() {
        let mut parts = Parts::new(ReadLimits { parts_max: 3, ..ReadLimits::NONE });
        assert_eq!(parts.spend(2), Ok(()));
        assert_eq!(parts.spend(2), Err(TooManyParts { max: 3 }));
        assert_eq!(parts.spend(1), Ok(()), "what was refused took nothing");
        assert_eq!(parts.spend(0), Ok(()));
        assert_eq!(parts.spend(1), Err(TooManyParts { max: 3 }));
    }
}
