//! Room on disk: how much a store takes, whether there is any, and writing again what a failed sync has left.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// Room that must be there before a store that ran out of it is opened again, in bytes.
const HEADROOM_BYTES: usize = 4 << 20;

/// Fails where there is no room: a store that is opened again on a full disk fails with its first commit.
pub(in crate::storage) fn probe(path: &Path) -> io::Result<()> {
    let written = File::create(path).and_then(|mut file| {
        // Not zeros: some file systems store those in no room at all.
        let block: Vec<u8> = (0..4096_u32).map(|n| n.wrapping_mul(0x9E37_79B1).to_le_bytes()[3]).collect();
        for _ in 0..HEADROOM_BYTES / block.len() {
            file.write_all(&block)?;
        }
        file.sync_all()
    });
    let removed = fs::remove_file(path);
    written.and(removed)
}

/// Whether something failed for want of room: on the disk, in a quota, under a limit on file sizes.
pub(in crate::storage) fn is_out_of_room(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// Writes the file's bytes over themselves. After a failed sync the kernel takes the pages for clean, and
/// a later sync would succeed without writing them; this makes them dirty again.
pub(in crate::storage) fn write_again(path: &Path) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let mut block = vec![0; 1 << 20];
    let mut offset = 0;
    loop {
        let length = file.read_at(&mut block, offset)?;
        if length == 0 {
            return Ok(());
        }
        file.write_all_at(&block[..length], offset)?;
        offset += length as u64;
    }
}

/// Bytes that the files below a directory take; what cannot be looked at counts as nothing.
pub(in crate::storage) fn allocated_bytes(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => allocated_bytes(&entry.path()),
            Ok(metadata) => metadata.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}
