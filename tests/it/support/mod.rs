//! What the tests speak with: a gateway in this process or in one of its own, and engines that fail on
//! purpose.

pub mod bodies;
pub mod certificates;
pub mod engines;
pub mod in_process;
pub mod neighbour;
pub mod process;
pub mod records;
pub mod samples;
pub mod wire;
pub mod workload;
