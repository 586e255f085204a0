//! How many bytes all bodies together may take while they are received and wait to be stored.
//!
//! Invariant: what is reserved is given back when the reservation is dropped, whatever became of the
//! request.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::BodyError;

/// One permit stands for this many bytes, so that small reads cost no bookkeeping of single bytes.
const BYTES_PER_PERMIT: usize = 1 << 10;

/// What there is for all bodies.
#[derive(Clone, Debug)]
pub(in crate::http) struct Memory(Arc<Semaphore>);

impl Memory {
    /// So many bytes for all bodies.
    pub(in crate::http) fn new(bytes_max: usize) -> Self {
        let permits = (bytes_max / BYTES_PER_PERMIT).clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(permits)))
    }

    /// The start of a body.
    pub(super) fn reserve_nothing(&self) -> Reservation {
        Reservation { memory: Arc::clone(&self.0), held: None, bytes: 0 }
    }
}

/// What one body takes.
#[derive(Debug)]
pub(super) struct Reservation {
    memory: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Reservation {
    /// Another one, of what a body takes for a while only.
    pub(super) fn for_a_while(&self) -> Self {
        Self { memory: Arc::clone(&self.memory), held: None, bytes: 0 }
    }

    /// Takes more; an error if that much is not there.
    pub(super) fn add(&mut self, bytes: usize) -> Result<(), BodyError> {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = (self.bytes + bytes).div_ceil(BYTES_PER_PERMIT).saturating_sub(held);
        if missing > 0 {
            let missing = u32::try_from(missing).map_err(|_| BodyError::NoMemory)?;
            let more =
                Arc::clone(&self.memory).try_acquire_many_owned(missing).map_err(|_| BodyError::NoMemory)?;
            match &mut self.held {
                Some(held) => held.merge(more),
                None => self.held = Some(more),
            }
        }
        self.bytes += bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_share_what_there_is_and_give_it_back() {
        let memory = Memory::new(4 << 10);
        let mut one = memory.reserve_nothing();
        let mut other = memory.reserve_nothing();
        one.add(100).expect("there is room");
        one.add(900).expect("within the same permit");
        other.add(3 << 10).expect("exactly what is left");
        assert_eq!(one.add(25), Err(BodyError::NoMemory));
        drop(other);
        one.add(25).expect("what the other gave back");
        drop(one);
        assert_eq!(memory.0.available_permits(), 4);
    }
}
