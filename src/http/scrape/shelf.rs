//! What is kept of scrapes for later ones, of all views together.
//!
//! Invariants: no more bytes are kept than allowed; a view that nobody asks for any more keeps nothing for long;
//! one view is written at a time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

use super::kept::Kept;
use super::view::View;

/// What is kept of a view is forgotten once nobody has asked for it for so long. Scrapes come far more often.
const IDLE_MAX: Duration = Duration::from_mins(10);

/// What is kept.
pub(super) struct Shelf {
    bytes_max: usize,
    /// There are as many as views, which is few.
    places: Mutex<HashMap<View, Place>>,
}

struct Place {
    kept: Kept,
    bytes: usize,
    used: Instant,
}

impl Shelf {
    /// Nothing yet; at most so many bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, places: Mutex::default() }
    }

    /// Writes a view with what is kept of it, given the bytes that may be kept afterwards. The answer of `write`
    /// is what it has written, and the bytes that it keeps. If it panics nothing is kept of the view.
    pub(super) fn update(
        &self,
        view: View,
        now: Instant,
        write: impl FnOnce(&mut Kept, usize) -> (Vec<Bytes>, usize),
    ) -> Vec<Bytes> {
        let mut places = self.places.lock();
        places.retain(|own, place| *own == view || now.saturating_duration_since(place.used) < IDLE_MAX);
        let mut kept = places.remove(&view).map_or_else(|| Kept::new(view), |place| place.kept);
        let others: usize = places.values().map(|place| place.bytes).sum();
        let (written, bytes) = write(&mut kept, self.bytes_max.saturating_sub(others));
        places.insert(view, Place { kept, bytes, used: now });
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::names::Escaping;

    fn view(escaping: Escaping) -> View {
        View { escaping, ..View::default() }
    }

    /// Keeps as many of `wanted` bytes as it may, and says how many it might.
    fn keep(shelf: &Shelf, escaping: Escaping, now: Instant, wanted: usize) -> usize {
        let mut allowed = 0;
        shelf.update(view(escaping), now, |_, bytes_max| {
            allowed = bytes_max;
            (Vec::new(), wanted.min(bytes_max))
        });
        allowed
    }

    #[test]
    fn all_views_together_keep_no_more_than_allowed() {
        let (shelf, now) = (Shelf::new(100), Instant::now());
        assert_eq!(keep(&shelf, Escaping::Underscores, now, 70), 100);
        assert_eq!(keep(&shelf, Escaping::Dots, now, 70), 30);
        assert_eq!(keep(&shelf, Escaping::Values, now, 70), 0);
        // Each may keep what it has.
        assert_eq!(keep(&shelf, Escaping::Underscores, now, 20), 70);
        assert_eq!(keep(&shelf, Escaping::Values, now, 70), 50);
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten() {
        let (shelf, start) = (Shelf::new(100), Instant::now());
        keep(&shelf, Escaping::Underscores, start, 70);
        keep(&shelf, Escaping::Dots, start + IDLE_MAX / 2, 10);
        assert_eq!(keep(&shelf, Escaping::Dots, start + IDLE_MAX, 10), 100);
        // Its own place is none of those.
        assert_eq!(keep(&shelf, Escaping::Dots, start + IDLE_MAX * 3, 10), 100);
        assert_eq!(shelf.places.lock().len(), 1);
    }

    #[test]
    fn a_view_that_cannot_be_written_keeps_nothing_and_spoils_nothing() {
        let (shelf, now) = (Shelf::new(100), Instant::now());
        keep(&shelf, Escaping::Underscores, now, 70);
        let failing = std::panic::AssertUnwindSafe(|| {
            shelf.update(view(Escaping::Underscores), now, |_, _| {
                // A panic, but without its message among the output of the tests.
                std::panic::resume_unwind(Box::new("cannot be written"))
            })
        });
        assert!(std::panic::catch_unwind(failing).is_err());
        assert_eq!(keep(&shelf, Escaping::Dots, now, 70), 100);
    }
}
