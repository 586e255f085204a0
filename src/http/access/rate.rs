//! The rate limit: a bucket of tokens that everybody shares.
//!
//! Invariant: in any time there are at most `burst` requests more than whole intervals in it.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How many requests there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// One request is let through in this time; longer than 0.
    pub interval: Duration,
    /// So many may come at once after a pause; at least 1.
    pub burst: u32,
}

/// A bucket.
pub(super) struct Limiter {
    limit: RateLimit,
    bucket: Mutex<Bucket>,
}

struct Bucket {
    tokens: f64,
    seen: Instant,
}

impl Limiter {
    /// A full one.
    pub(super) fn new(limit: RateLimit, now: Instant) -> Self {
        Self { limit, bucket: Mutex::new(Bucket { tokens: f64::from(limit.burst), seen: now }) }
    }

    pub(super) fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Takes a token, if there is one.
    pub(super) fn admits(&self, now: Instant) -> bool {
        let mut bucket = self.bucket.lock();
        let since = now.saturating_duration_since(bucket.seen);
        let gained = since.as_secs_f64() / self.limit.interval.as_secs_f64();
        bucket.tokens = (bucket.tokens + gained).min(f64::from(self.limit.burst));
        bucket.seen = bucket.seen.max(now);
        let admits = bucket.tokens >= 1.0;
        if admits {
            bucket.tokens -= 1.0;
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_through_and_then_one_for_each_interval() {
        let start = Instant::now();
        let limit = RateLimit { interval: Duration::from_secs(2), burst: 3 };
        let limiter = Limiter::new(limit, start);
        let at = |seconds| limiter.admits(start + Duration::from_secs(seconds));
        assert_eq!([0; 5].map(at), [true, true, true, false, false]);
        assert_eq!([1, 2, 3, 4].map(at), [false, true, false, true]);
        // A long pause fills it to the brim and no further.
        assert_eq!([1_000; 5].map(at), [true, true, true, false, false]);
        // A clock that was read earlier gives nothing.
        assert!(!at(999));
    }
}
