//! Commits of pages of 3 KB: durable on sled and on redb, against memory.
//!
//! What an engine with files costs here is mostly the sync; the figures belong to the disk of the machine.

use divan::{Bencher, black_box};
use tallygate::storage::{Batch, Engine, MemoryEngine, RedbEngine, RedbOptions, SledEngine, SledOptions};

const PAGES: [usize; 3] = [1, 10, 100];
const PAGE_BYTES: usize = 3_000;
/// As many pages as a store of about 100,000 series has; every batch overwrites some of them.
const STORE_PAGES: usize = 1_000;

fn main() {
    divan::main();
}

/// A batch of `pages` pages that lie apart, each time others.
fn batch(pages: usize, turn: &mut usize) -> Batch {
    let mut batch = Batch::default();
    for page in 0..pages {
        *turn += 1;
        let number = (*turn * 7 + page * (STORE_PAGES / pages)) % STORE_PAGES;
        let fill = u8::try_from(*turn % 251).expect("a remainder of 251 is a byte");
        batch.put(format!("page/{number:08}").into_bytes(), vec![fill; PAGE_BYTES]);
    }
    batch
}

fn fill(engine: &mut dyn Engine) {
    for start in (0..STORE_PAGES).step_by(100) {
        let mut batch = Batch::default();
        for number in start..start + 100 {
            batch.put(format!("page/{number:08}").into_bytes(), vec![0; PAGE_BYTES]);
        }
        engine.commit(&batch).expect("the bench's disk has room");
    }
}

fn run(bencher: Bencher<'_, '_>, engine: &mut dyn Engine, pages: usize) {
    fill(engine);
    let mut turn = 0;
    bencher.counter(divan::counter::BytesCount::new(pages * PAGE_BYTES)).bench_local(|| {
        let batch = batch(pages, &mut turn);
        black_box(engine.commit(&batch)).expect("the bench's disk has room");
    });
}

#[divan::bench(args = PAGES)]
fn commit_to_memory(bencher: Bencher<'_, '_>, pages: usize) {
    run(bencher, &mut MemoryEngine::default(), pages);
}

#[divan::bench(args = PAGES)]
fn commit_to_sled(bencher: Bencher<'_, '_>, pages: usize) {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let mut engine =
        SledEngine::open(&dir.path().join("store"), &SledOptions::default()).expect("a new store");
    run(bencher, &mut engine, pages);
}

#[divan::bench(args = PAGES)]
fn commit_to_redb(bencher: Bencher<'_, '_>, pages: usize) {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let mut engine =
        RedbEngine::open(&dir.path().join("store"), &RedbOptions::default()).expect("a new store");
    run(bencher, &mut engine, pages);
}
