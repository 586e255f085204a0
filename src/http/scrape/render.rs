//! Writing all families as text, in chunks.
//!
//! Invariant: a family that cannot be written is left out whole and counted; it never touches another one.

use std::cmp;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;

use super::kept::{Kept, Update};
use super::walks::{Source, Walk};
use crate::exposition::text;
use crate::gateway::{self, FamilyView, Gateway, Snapshot};
use crate::model::MetricType;
use crate::telemetry::{Family, Metrics};

/// A chunk is closed once it has this many bytes.
const CHUNK_BYTES: usize = 128 << 10;

/// A chunk that one long series has made larger than this is split.
const CHUNK_BYTES_MAX: usize = 256 << 10;

/// Kept parts that are smaller than this are copied together.
const SHARED_BYTES_MIN: usize = 8 << 10;

/// A whole exposition; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Rendered(Arc<Alive>);

/// How many bytes of expositions are alive: clients that read slowly may each hold another one.
pub(super) type BytesAlive = Arc<AtomicU64>;

#[derive(Debug)]
struct Alive {
    chunks: Vec<Bytes>,
    bytes: u64,
    total: BytesAlive,
}

impl Rendered {
    /// The exposition that consists of these chunks, counted among `alive` for as long as somebody holds it.
    pub(super) fn new(chunks: Vec<Bytes>, alive: &BytesAlive) -> Self {
        let bytes = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        alive.fetch_add(bytes, Ordering::Relaxed);
        Self(Arc::new(Alive { chunks, bytes, total: Arc::clone(alive) }))
    }

    /// Its parts, in order; none is empty.
    pub(super) fn chunks(&self) -> &[Bytes] {
        &self.0.chunks
    }

    /// How many bytes they have.
    pub(super) fn bytes(&self) -> u64 {
        self.0.bytes
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The source of scrapes: what is committed, and the gateway's own metrics.
pub(super) struct Stored {
    gateway: Gateway,
    metrics: Arc<Metrics>,
    alive: BytesAlive,
    kept: Arc<Mutex<Kept>>,
    kept_bytes_max: usize,
}

impl Stored {
    /// What this gateway holds, with these metrics of its own. Between two walks at most `kept_bytes_max`
    /// bytes of text are kept.
    pub(super) fn new(
        gateway: Gateway,
        metrics: Arc<Metrics>,
        alive: BytesAlive,
        kept_bytes_max: usize,
    ) -> Self {
        Self { gateway, metrics, alive, kept: Arc::default(), kept_bytes_max }
    }
}

impl Source for Stored {
    fn revision(&self) -> u64 {
        self.gateway.revision()
    }

    fn begin(&self) -> Walk {
        let snapshot = self.gateway.snapshot();
        let revision = snapshot.revision();
        let (metrics, alive) = (Arc::clone(&self.metrics), Arc::clone(&self.alive));
        let (kept, kept_bytes_max) = (Arc::clone(&self.kept), self.kept_bytes_max);
        let render = move || {
            // Walks come one after the other. What one that fails has taken is not put back.
            let mut own = std::mem::take(&mut *kept.lock());
            let chunks = render(&snapshot, &metrics, &mut own, kept_bytes_max);
            *kept.lock() = own;
            Rendered::new(chunks, &alive)
        };
        Walk { revision, render: Box::new(render) }
    }
}

/// A family that is not the gateway's own metric.
enum Held<'s> {
    /// It was pushed.
    Pushed(Arc<gateway::Family>),
    /// It says something of each group.
    OfGroups(FamilyView<'s>),
}

impl Held<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Pushed(family) => &family.name,
            Self::OfGroups(family) => family.name,
        }
    }

    fn metric_type(&self) -> MetricType {
        match self {
            Self::Pushed(family) => family.metric_type,
            Self::OfGroups(family) => family.metric_type,
        }
    }
}

/// One family of the exposition: the gateway's own metric, or another, or one name on both sides, of one
/// type.
struct Shown<'s> {
    own: Option<Family>,
    held: Option<Held<'s>>,
}

fn render(snapshot: &Snapshot, metrics: &Metrics, kept: &mut Kept, kept_bytes_max: usize) -> Vec<Bytes> {
    let start = Instant::now();
    let mut writer = Writer::default();
    let mut update = kept.update(snapshot, kept_bytes_max);
    update.prepare();
    let pushed = update.families().into_iter().map(Held::Pushed);
    let mut held: Vec<Held<'_>> =
        pushed.chain(snapshot.push_times().into_iter().map(Held::OfGroups)).collect();
    held.sort_by(|a, b| a.name().cmp(b.name()));
    let (families, clashing) = merge(metrics.families(), held);
    let failed = families.iter().filter(|family| !writer.family(family, &mut update)).count();
    update.finish();
    metrics.families_left_out.add((failed + clashing) as u64);
    metrics.scrape_seconds.observe(start.elapsed().as_secs_f64());
    writer.finish()
}

/// Both lists as one, by name; and how many of the gateway's own families were left out because another
/// one of that name is of another type.
fn merge(own: Vec<Family>, held: Vec<Held<'_>>) -> (Vec<Shown<'_>>, usize) {
    let mut merged = Vec::with_capacity(own.len() + held.len());
    let mut clashing = 0;
    let (mut own, mut held) = (own.into_iter().peekable(), held.into_iter().peekable());
    loop {
        let order = match (own.peek(), held.peek()) {
            (None, None) => return (merged, clashing),
            (Some(_), None) => cmp::Ordering::Less,
            (None, Some(_)) => cmp::Ordering::Greater,
            (Some(own), Some(held)) => own.name.cmp(held.name()),
        };
        let mut next_own = if order.is_le() { own.next() } else { None };
        let next_held = if order.is_ge() { held.next() } else { None };
        if let (Some(own), Some(held)) = (&next_own, &next_held)
            && own.metric_type != held.metric_type()
        {
            clashing += 1;
            next_own = None;
        }
        merged.push(Shown { own: next_own, held: next_held });
    }
}

/// The exposition as far as it is written.
#[derive(Default)]
struct Writer {
    chunks: Vec<Bytes>,
    open: Vec<u8>,
}

impl Writer {
    /// Writes a family; if that panics it is taken back whole, and the answer is false.
    fn family(&mut self, family: &Shown<'_>, update: &mut Update<'_, '_>) -> bool {
        let with_header = family.own.is_none();
        let text = match &family.held {
            Some(Held::Pushed(pushed)) => update.text(pushed, with_header),
            Some(Held::OfGroups(_)) | None => Ok(Vec::new()),
        };
        let Ok(text) = text else { return false };
        self.whole_or_not_at_all(|writer| {
            if let Some(own) = &family.own {
                writer.own(own);
            }
            if let Some(Held::OfGroups(family)) = &family.held {
                writer.of_groups(family, with_header);
            }
            for chunk in text {
                writer.share(chunk);
            }
        })
    }

    fn own(&mut self, family: &Family) {
        text::write_header(&mut self.open, family.name, Some(family.help), family.metric_type);
        for (labels, value) in &family.series {
            text::write_series(&mut self.open, family.name, labels.iter(), value);
            self.close_if_full();
        }
    }

    fn of_groups(&mut self, family: &FamilyView<'_>, with_header: bool) {
        if with_header {
            text::write_header(&mut self.open, family.name, family.help.as_deref(), family.metric_type);
        }
        for series in family.series() {
            text::write_series(&mut self.open, family.name, series.labels(), &series.value());
            self.close_if_full();
        }
    }

    /// Adds a part that is kept; a small one is copied, so that it need not be sent alone.
    fn share(&mut self, mut chunk: Bytes) {
        if chunk.len() < SHARED_BYTES_MIN {
            self.open.extend_from_slice(&chunk);
            self.close_if_full();
            return;
        }
        self.close();
        while chunk.len() > CHUNK_BYTES_MAX {
            self.chunks.push(chunk.split_to(CHUNK_BYTES));
        }
        self.chunks.push(chunk);
    }

    fn whole_or_not_at_all(&mut self, write: impl FnOnce(&mut Self)) -> bool {
        let (chunks_before, open_before) = (self.chunks.len(), self.open.len());
        let outcome = catch_unwind(AssertUnwindSafe(|| write(self)));
        if outcome.is_err() {
            if self.chunks.len() > chunks_before {
                // What was open before is now the start of the first chunk closed since.
                self.open = self.chunks[chunks_before].slice(..open_before).to_vec();
                self.chunks.truncate(chunks_before);
            } else {
                self.open.truncate(open_before);
            }
        }
        outcome.is_ok()
    }

    fn close_if_full(&mut self) {
        if self.open.len() >= CHUNK_BYTES {
            self.close();
        }
    }

    fn close(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let mut rest = Bytes::from(std::mem::take(&mut self.open));
        while rest.len() > CHUNK_BYTES_MAX {
            self.chunks.push(rest.split_to(CHUNK_BYTES));
        }
        self.chunks.push(rest);
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.close();
        self.chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Label, LabelSet, Value};

    fn text_of(writer: Writer) -> String {
        String::from_utf8(writer.finish().concat()).unwrap()
    }

    fn one_series(writer: &mut Writer, name: &str, label_bytes: usize) {
        let label = "x".repeat(label_bytes);
        let labels = [Label { name: "l", value: &label }];
        text::write_series(&mut writer.open, name, labels.into_iter(), &Value::Gauge(1.0));
        writer.close_if_full();
    }

    #[test]
    fn a_family_that_fails_is_taken_back_whole_however_far_it_got() {
        for (before, series) in [(0, 0), (0, 1), (10, 1), (10, 40), (CHUNK_BYTES / 10_000, 100)] {
            let mut writer = Writer::default();
            (0..before).for_each(|_| one_series(&mut writer, "good", 10_000));
            let failed = !writer.whole_or_not_at_all(|writer| {
                (0..series).for_each(|_| one_series(writer, "bad", 10_000));
                // A panic, but without its message among the output of the tests.
                std::panic::resume_unwind(Box::new("cannot be written"));
            });
            assert!(failed);
            assert!(writer.whole_or_not_at_all(|writer| one_series(writer, "last", 1)));
            let text = text_of(writer);
            assert_eq!(text.matches("good{").count(), before);
            assert_eq!(text.matches("bad").count(), 0);
            assert_eq!(text.lines().count(), before + 1);
        }
    }

    #[test]
    fn chunks_are_neither_empty_nor_larger_than_allowed() {
        let mut writer = Writer::default();
        let sizes = [1, CHUNK_BYTES, CHUNK_BYTES_MAX, 3 * CHUNK_BYTES_MAX + 7, 5];
        for size in sizes {
            one_series(&mut writer, "m", size);
        }
        let chunks = writer.finish();
        assert!(chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK_BYTES_MAX));
        assert_eq!(String::from_utf8(chunks.concat()).unwrap().lines().count(), sizes.len());
        assert!(Writer::default().finish().is_empty());
    }

    fn own(name: &'static str, metric_type: MetricType) -> Family {
        Family { name, help: "Own.", metric_type, series: vec![(LabelSet::default(), Value::Gauge(1.0))] }
    }

    #[test]
    fn own_families_alone_keep_their_order() {
        let families = vec![own("a", MetricType::Gauge), own("b", MetricType::Counter)];
        let (merged, clashing) = merge(families, Vec::new());
        let names: Vec<_> = merged.iter().map(|shown| shown.own.as_ref().map(|own| own.name)).collect();
        assert_eq!((names, clashing), (vec![Some("a"), Some("b")], 0));
        assert!(merged.iter().all(|shown| shown.held.is_none()));
    }
}
