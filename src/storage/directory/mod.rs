//! What every engine with files has around it: the directory with its lock and its marker, the head that adds
//! up all records, the witness of the last acknowledged commit, and the one place that syncs.
//!
//! Knows nothing of any engine's own files but that they live in a directory per generation.
//! `docs/storage-format.md` describes what is on disk.

pub(super) mod disk;
pub(super) mod fault;
pub(super) mod guard;
pub(super) mod head;
pub(super) mod layout;
pub(super) mod room;
pub(super) mod witness;
