//! The rate limit.

use super::super::Fault;
use super::super::raw::RawRateLimit;
use super::fault;
use crate::config::duration;
use crate::http::access::RateLimit;

/// `None` for an interval of 0, which is how Prometheus's programs are told that there is no limit.
pub(super) fn rate_limit(raw: &RawRateLimit) -> Result<Option<RateLimit>, Fault> {
    let Some(text) = &raw.interval else {
        return match &raw.burst {
            Some(burst) => Err(fault(burst, "rate_limit.interval", "it is missing; write for example 100ms")),
            None => Ok(None),
        };
    };
    let interval = duration::parse(&text.value).map_err(|error| fault(text, "rate_limit.interval", error))?;
    if interval.is_zero() {
        return Ok(None);
    }
    match &raw.burst {
        Some(burst) if burst.value > 0 => Ok(Some(RateLimit { interval, burst: burst.value })),
        Some(burst) => {
            Err(fault(burst, "rate_limit.burst", "it must be at least 1, or nothing is let through"))
        }
        None => Err(fault(text, "rate_limit.burst", "it is missing; it must be at least 1")),
    }
}
