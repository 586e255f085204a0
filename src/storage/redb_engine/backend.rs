//! What redb reads and writes through, in place of its own access to files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use redb::StorageBackend;

use crate::storage::Disk;
use crate::storage::directory::disk::sync_in_use;

/// Bytes of a block that an [`Overlay`] keeps.
const BLOCK_BYTES: u64 = 4096;

/// The file itself; what redb syncs goes through the engine's [`Disk`].
#[derive(Debug)]
pub(super) struct OnDisk {
    path: PathBuf,
    file: File,
    disk: Arc<dyn Disk>,
    seal: Seal,
}

/// Ends all writing of a backend, so that dropping a handle leaves the file as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Seal(Arc<AtomicBool>);

impl Seal {
    /// From now on whatever would change the file fails.
    pub(super) fn close(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::SeqCst) { Err(io::Error::other("the file is let go of")) } else { Ok(()) }
    }
}

impl OnDisk {
    /// Reads and writes `file`, which is at `path`, until `seal` is closed.
    pub(super) fn new(path: PathBuf, file: File, disk: Arc<dyn Disk>, seal: Seal) -> OnDisk {
        OnDisk { path, file, disk, seal }
    }
}

impl StorageBackend for OnDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.seal.check()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.seal.check()?;
        sync_in_use(&*self.disk, &self.path, &self.file)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.seal.check()?;
        self.file.write_all_at(data, offset)
    }
}

/// A file of which nothing is changed: what is written is kept in memory, above it.
#[derive(Debug)]
pub(super) struct Overlay {
    file: File,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    /// Bytes of the file that are still part of it. Where it was cut and has grown again, zeros follow.
    of_file: u64,
    /// Whole blocks, by their number.
    blocks: BTreeMap<u64, Box<[u8]>>,
}

impl Overlay {
    /// Looks at a file that is open for reading.
    pub(super) fn new(file: File) -> io::Result<Overlay> {
        let len = file.metadata()?.len();
        let written = Written { len, of_file: len, blocks: BTreeMap::new() };
        Ok(Overlay { file, written: Mutex::new(written) })
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written.lock().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written.lock();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > written.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        written.read_file(&self.file, offset, out)?;
        written.read_blocks(offset, out);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.written.lock();
        written.of_file = written.of_file.min(len);
        if len < written.len {
            written.blocks.split_off(&len.div_ceil(BLOCK_BYTES));
            let (number, kept) = (len / BLOCK_BYTES, position(len % BLOCK_BYTES));
            if let Some(block) = written.blocks.get_mut(&number) {
                block[kept..].fill(0);
            }
        }
        written.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written.lock();
        written.len = written.len.max(offset + data.len() as u64);
        for (number, start, piece) in pieces(offset, data.len()) {
            if !written.blocks.contains_key(&number) {
                let mut block = vec![0; position(BLOCK_BYTES)].into_boxed_slice();
                written.read_file(&self.file, number * BLOCK_BYTES, &mut block)?;
                written.blocks.insert(number, block);
            }
            if let Some(block) = written.blocks.get_mut(&number) {
                block[start..start + piece.len()].copy_from_slice(&data[piece]);
            }
        }
        Ok(())
    }
}

impl Written {
    /// Fills `out` from the file; where it has ended, with zeros.
    fn read_file(&self, file: &File, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let left = self.of_file.saturating_sub(offset).min(out.len() as u64);
        let (from_file, beyond) = out.split_at_mut(position(left));
        beyond.fill(0);
        file.read_exact_at(from_file, offset)
    }

    fn read_blocks(&self, offset: u64, out: &mut [u8]) {
        for (number, start, piece) in pieces(offset, out.len()) {
            if let Some(block) = self.blocks.get(&number) {
                let length = piece.len();
                out[piece].copy_from_slice(&block[start..start + length]);
            }
        }
    }
}

/// The blocks that so many bytes from an offset lie in: the block's number, where they begin in it, and which
/// of the bytes they are.
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == length {
            return None;
        }
        let place = offset + done as u64;
        let start = position(place % BLOCK_BYTES);
        let end = length.min(done + position(BLOCK_BYTES) - start);
        let piece = done..end;
        done = end;
        Some((place / BLOCK_BYTES, start, piece))
    })
}

/// A place in something that is in memory.
fn position(bytes: u64) -> usize {
    usize::try_from(bytes).expect("it is no longer than something in memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chance with a seed.
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }

    #[test]
    fn an_overlay_is_like_the_file_and_leaves_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let bytes: Vec<u8> = (0..30_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
        std::fs::write(&path, &bytes).unwrap();
        let overlay = Overlay::new(File::open(&path).unwrap()).unwrap();
        let mut expected = bytes.clone();
        let mut state = 5;
        for round in 0..600 {
            let place = usize::try_from(next(&mut state) % 40_000).unwrap();
            let length = usize::try_from(next(&mut state) % 9_000).unwrap();
            if round % 7 == 0 {
                overlay.set_len(place as u64).unwrap();
                expected.resize(place, 0);
            } else if round % 2 == 0 {
                let data = vec![u8::try_from(round % 251).unwrap(); length];
                overlay.write(place as u64, &data).unwrap();
                expected.resize(expected.len().max(place + length), 0);
                expected[place..place + length].copy_from_slice(&data);
            } else {
                let mut found = vec![1; length];
                let outcome = overlay.read(place as u64, &mut found);
                match expected.get(place..place + length) {
                    Some(expected) => assert!(found == expected, "round {round}"),
                    None => assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::UnexpectedEof),
                }
            }
            assert_eq!(overlay.len().unwrap(), expected.len() as u64);
        }
        assert!(std::fs::read(&path).unwrap() == bytes);
    }
}
