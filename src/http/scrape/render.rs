//! Writing all families, in chunks.
//!
//! Invariant: a family that cannot be written is left out whole and counted; it never touches another one.

use std::cmp;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;

use super::clashes::{self, Claim};
use super::kept::{Kept, Update};
use super::shelf::Shelf;
use super::twins;
use super::view::{Extras, View};
use super::walks::{Source, Walk};
use crate::exposition::negotiation::Format;
use crate::gateway::{self, FamilyView, Gateway, SeriesView, Snapshot};
use crate::model::MetricType;
use crate::telemetry::{Family, LeftOut, Metrics};

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
    view: View,
    shelf: Arc<Shelf>,
}

impl Stored {
    /// What this gateway holds, with these metrics of its own, in this view. What is kept between two walks is on
    /// the shelf.
    pub(super) fn new(
        gateway: Gateway,
        metrics: Arc<Metrics>,
        alive: BytesAlive,
        view: View,
        shelf: Arc<Shelf>,
    ) -> Self {
        Self { gateway, metrics, alive, view, shelf }
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
        let (view, kept_views) = (self.view, Arc::clone(&self.shelf));
        let render = move || {
            let chunks = kept_views.update(view, Instant::now(), |kept, bytes_max| {
                render(&snapshot, &metrics, view, kept, bytes_max)
            });
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

impl Shown<'_> {
    fn claim(&self) -> Claim<'_> {
        let (name, metric_type) = match (&self.own, &self.held) {
            (Some(own), _) => (own.name, own.metric_type),
            (None, Some(held)) => (held.name(), held.metric_type()),
            (None, None) => unreachable!("a family is the gateway's own, or another, or both"),
        };
        Claim { name, metric_type, is_own: self.own.is_some() }
    }
}

/// Everything in this view, and how many bytes of it are kept.
fn render(
    snapshot: &Snapshot,
    metrics: &Metrics,
    view: View,
    kept: &mut Kept,
    kept_bytes_max: usize,
) -> (Vec<Bytes>, usize) {
    let start = Instant::now();
    let mut writer = Writer::new(view);
    let mut update = kept.update(snapshot, kept_bytes_max);
    update.prepare();
    let pushed = update.families().into_iter().map(Held::Pushed);
    let mut held: Vec<Held<'_>> =
        pushed.chain(snapshot.push_times().into_iter().map(Held::OfGroups)).collect();
    held.sort_by(|a, b| a.name().cmp(b.name()));
    let (families, clashing) = merge(metrics.families(), held);
    metrics.families_left_out.of(LeftOut::Type).add(clashing as u64);
    let left_out = clashes::left_out(view, &families.iter().map(Shown::claim));
    for (family, is_left_out) in families.iter().zip(left_out) {
        let written =
            if is_left_out { family.leave_out(&mut update) } else { writer.family(family, &mut update) };
        if let Err(reason) = written {
            metrics.families_left_out.of(reason).increment();
            tracing::debug!(family = family.claim().name, reason = reason.as_str(), "left out of a scrape");
        }
    }
    let series_left_out = update.series_left_out() + writer.series_left_out;
    metrics.series_left_out.add(series_left_out as u64);
    let kept_bytes = update.finish();
    metrics.scrape_seconds.observe(start.elapsed().as_secs_f64());
    (writer.finish(), kept_bytes)
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

impl Shown<'_> {
    /// Does not show it, since it shares a name with another one.
    fn leave_out(&self, update: &mut Update<'_, '_>) -> Result<(), LeftOut> {
        if let Some(Held::Pushed(pushed)) = &self.held {
            update.leave_out(pushed);
        }
        Err(LeftOut::Name)
    }
}

/// The exposition as far as it is written.
struct Writer {
    view: View,
    chunks: Vec<Bytes>,
    open: Vec<u8>,
    /// Series of groups that are left out, since they look like others.
    series_left_out: usize,
}

impl Writer {
    fn new(view: View) -> Self {
        Self { view, chunks: Vec::new(), open: Vec::new(), series_left_out: 0 }
    }

    /// Writes a family; if that is not possible nothing of it stays.
    fn family(&mut self, family: &Shown<'_>, update: &mut Update<'_, '_>) -> Result<(), LeftOut> {
        let with_header = family.own.is_none();
        let (mut kept, mut of_groups) = (Vec::new(), None);
        match &family.held {
            Some(Held::Pushed(pushed)) => kept = update.text(pushed, with_header)?,
            Some(Held::OfGroups(family)) => {
                let mut series = family.series();
                let names = series.iter().flat_map(SeriesView::labels).map(|label| label.name);
                if twins::are_confused(self.view, names) {
                    let left_out = twins::left_out(self.view, series.len(), |at| series[at].labels());
                    let mut index = 0..;
                    series.retain(|_| index.next().is_none_or(|index| !left_out.contains(&index)));
                    self.series_left_out += left_out.len();
                }
                of_groups = Some((family, series));
            }
            None => {}
        }
        self.whole_or_not_at_all(|writer| {
            let write = |writer: &mut Self| {
                if let Some(own) = &family.own {
                    writer.own(own);
                }
                if let Some((family, series)) = &of_groups {
                    writer.of_groups(family, series, with_header);
                }
            };
            if writer.view.format == Format::Protobuf {
                // The length stands in front.
                let mut beside = Self::new(writer.view);
                write(&mut beside);
                let chunks: Vec<Bytes> = beside.finish().into_iter().chain(kept).collect();
                let prefix = writer.view.prefix(chunks.iter().map(Bytes::len).sum());
                writer.open.extend_from_slice(&prefix);
                for chunk in chunks {
                    writer.share(chunk);
                }
            } else {
                write(writer);
                for chunk in kept {
                    writer.share(chunk);
                }
            }
        })
    }

    fn own(&mut self, family: &Family) {
        let name = self.view.name(family.name, family.metric_type);
        self.view.write_header(&mut self.open, &name, Some(family.help), family.metric_type, None);
        for (labels, value) in &family.series {
            self.view.write_series(&mut self.open, &name, labels.iter(), value, &Extras::default());
            self.close_if_full();
        }
    }

    fn of_groups(&mut self, family: &FamilyView<'_>, series: &[SeriesView<'_>], with_header: bool) {
        let name = self.view.name(family.name, family.metric_type);
        if with_header {
            let help = family.help.as_deref();
            self.view.write_header(&mut self.open, &name, help, family.metric_type, None);
        }
        for series in series {
            let value = series.value();
            self.view.write_series(&mut self.open, &name, series.labels(), &value, &Extras::default());
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

    fn whole_or_not_at_all(&mut self, write: impl FnOnce(&mut Self)) -> Result<(), LeftOut> {
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
        outcome.map_err(|_| LeftOut::Failed)
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
        self.open.extend_from_slice(self.view.end());
        self.close();
        self.chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::text;
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
            let mut writer = Writer::new(View::default());
            (0..before).for_each(|_| one_series(&mut writer, "good", 10_000));
            let failed = writer.whole_or_not_at_all(|writer| {
                (0..series).for_each(|_| one_series(writer, "bad", 10_000));
                // A panic, but without its message among the output of the tests.
                std::panic::resume_unwind(Box::new("cannot be written"));
            });
            assert_eq!(failed, Err(LeftOut::Failed));
            assert_eq!(writer.whole_or_not_at_all(|writer| one_series(writer, "last", 1)), Ok(()));
            let text = text_of(writer);
            assert_eq!(text.matches("good{").count(), before);
            assert_eq!(text.matches("bad").count(), 0);
            assert_eq!(text.lines().count(), before + 1);
        }
    }

    #[test]
    fn chunks_are_neither_empty_nor_larger_than_allowed() {
        let mut writer = Writer::new(View::default());
        let sizes = [1, CHUNK_BYTES, CHUNK_BYTES_MAX, 3 * CHUNK_BYTES_MAX + 7, 5];
        for size in sizes {
            one_series(&mut writer, "m", size);
        }
        let chunks = writer.finish();
        assert!(chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK_BYTES_MAX));
        assert_eq!(String::from_utf8(chunks.concat()).unwrap().lines().count(), sizes.len());
        assert!(Writer::new(View::default()).finish().is_empty());
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
