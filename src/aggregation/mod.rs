//! Merging: what one push adds to what is there, per metric type.
//!
//! The state of an output series is an element of a commutative monoid: applying pushes in any order and
//! any grouping gives the same state. One file for each type, with one outline: make a contribution of a
//! pushed value, absorb it, combine two states, expose.
//!
//! Knows nothing of formats that are pushed or shown, of storage or of clocks; a push's
//! [`Stamp`](crate::model::Stamp) is an argument.

mod contribution;
mod counter;
mod encoding;
mod error;
mod exact_sum;
mod exemplars;
mod gauge;
mod gauge_histogram;
mod histogram;
mod native_histogram;
mod newest;
#[cfg(test)]
mod properties;
mod repeated_histogram;
mod state;
mod state_set;
mod summary;
mod untyped;
mod wide;

pub use contribution::Contribution;
pub use error::ValueError;
pub use exemplars::Exemplars;
pub use histogram::HistogramContribution;
pub use repeated_histogram::RepeatedHistogram;
pub use state::{Absorbed, State};
pub use summary::SummaryContribution;
pub use untyped::UntypedMode;
