//! Engines and disks that misbehave on command, for this crate's tests and its users'.
//!
//! Nothing of the gateway itself uses them.

mod failing;
mod frozen;
mod power;

pub use failing::{FailingEngine, Fate};
pub use frozen::{Freezer, FrozenEngine};
pub use power::{Cut, LosingDisk};
