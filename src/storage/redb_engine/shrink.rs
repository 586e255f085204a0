//! Copying a store whose file is out of proportion into a new generation, when it is opened.
//!
//! redb uses the room of what was deleted again, and gives back a free end of its file, but no more. A store is copied
//! before it is in use, so nothing is committed meanwhile. The file in use is only read; the copy takes over
//! with the marker, once it is complete, compared and durable.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use super::handle::{self, Open};
use super::rows::{self, Found};
use super::{FILE, RedbOptions, marker};
use crate::storage::Disk;
use crate::storage::directory::disk::sync_tree;
use crate::storage::directory::fault::Fault;
use crate::storage::directory::guard::guarded;
use crate::storage::directory::layout;
use crate::storage::directory::room::allocated_bytes;

/// Bytes of rows that go into one transaction of a copy.
const STEP_BYTES: usize = 1 << 20;

/// Room that is left to others while a copy is made, in bytes.
const SPARE_BYTES: u64 = 16 << 20;

/// When a store's file is out of proportion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proportion {
    /// A file that takes up to this many bytes is never copied.
    pub file_bytes_min: u64,
    /// A file of up to this many times the bytes of the records is in proportion.
    pub times_live: u64,
}

impl Default for Proportion {
    fn default() -> Self {
        Proportion { file_bytes_min: 64 << 20, times_live: 6 }
    }
}

impl Proportion {
    /// Whether a generation's files are larger than its records warrant.
    pub(super) fn is_exceeded(self, dir: &Path, live_bytes: u64) -> bool {
        allocated_bytes(dir) > self.file_bytes_min.max(live_bytes.saturating_mul(self.times_live))
    }
}

/// Makes the next generation from the open one, complete and durable with its name. Where that fails, what was
/// begun is removed, and nothing has changed.
pub(super) fn copy(
    store: &Path,
    generation: u64,
    open: &Open,
    found: Found,
    options: &RedbOptions,
) -> Result<(), Fault> {
    let next = layout::generation_dir(store, generation + 1);
    let copied = demand_room(store, found, &*options.disk).and_then(|()| fill(&next, open, found, options));
    let sealed = copied.and_then(|()| {
        sync_tree(&*options.disk, &next)?;
        Ok(options.disk.sync_dir(store)?)
    });
    if sealed.is_err() {
        layout::remove(&next)?;
    }
    sealed
}

/// Makes the marker name the copy. After an error it names the one or the other, and both are sound.
pub(super) fn switch(store: &Path, generation: u64, disk: &Arc<dyn Disk>) -> io::Result<()> {
    layout::write_marker(store, marker(generation + 1), &**disk)
}

fn fill(next: &Path, open: &Open, found: Found, options: &RedbOptions) -> Result<(), Fault> {
    layout::remove(next)?;
    fs::DirBuilder::new().mode(0o700).create(next)?;
    let copy = Open::begin(next, super::cache_bytes(options), &options.disk)?;
    guarded(|| rows::copy(open.db(), copy.db(), STEP_BYTES))?;
    copy.close();
    let copied = handle::check(next, super::cache_bytes(options), &mut |_, _| {})?;
    if copied != found {
        return Err(Fault::Damaged(format!("the copy in {FILE} is not what was copied")));
    }
    Ok(())
}

fn demand_room(store: &Path, found: Found, disk: &dyn Disk) -> Result<(), Fault> {
    let needed = found.live_bytes.saturating_mul(3).saturating_add(SPARE_BYTES);
    let available = disk.available_bytes(store)?;
    if available < needed {
        let text = format!("{needed} bytes must be free, and {available} are");
        return Err(Fault::Io(io::Error::new(io::ErrorKind::StorageFull, text)));
    }
    Ok(())
}
