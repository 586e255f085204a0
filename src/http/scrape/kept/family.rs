//! The text of one family, in chunks that are handed out as they are.
//!
//! Invariant: after an update the text is that which would be written from nothing.

use bytes::{Bytes, BytesMut};

use crate::exposition::text;
use crate::gateway::Family;
use crate::model::{Label, MetricType, Value, is_label_name};

use super::super::twins;
use super::super::view::View;
use super::lines::{Lines, Written};
use super::pages::{At, Seen};

/// A chunk has at most this many bytes, unless it is one series. Allocators have blocks of this size; the next
/// larger ones would stay partly empty.
const CHUNK_BYTES: usize = 64 << 10;

/// A line counts at least so many bytes. One that is empty just now may be as long as others later.
const LINE_BYTES_MIN: usize = 32;

/// If more than one in so many series is new, all are put in order anew.
const NEW_ONE_IN: usize = 32;

/// The text of a family, header included.
#[derive(Debug)]
pub(super) struct FamilyText {
    /// At least one, which begins with the header.
    chunks: Vec<Chunk>,
    header_bytes: usize,
    /// Whether the name of any label is not shown as it was pushed.
    has_escaped_labels: bool,
}

/// Some lines of a family.
#[derive(Debug)]
struct Chunk {
    text: Bytes,
    series: Box<[Place]>,
}

/// A series of a chunk, and where its lines end.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: At,
    end: u32,
}

/// A line that is to be put in.
struct NewLine<'l> {
    chunk: usize,
    /// The series in the chunk that it comes before.
    index: usize,
    at: At,
    line: &'l [u8],
}

impl FamilyText {
    /// Writes a family that has these series, given page by page.
    pub(super) fn new(
        view: View,
        family: &Family,
        seen: &Seen<'_>,
        series: &[At],
        written: &mut Written,
    ) -> Self {
        let header = header(view, family);
        let name = view.name(&family.name, family.metric_type);
        let lines = Lines::write(view, &name, seen, series, written);
        let mut packer = Packer::new(&header);
        lines.in_order().for_each(|(at, line)| packer.push(at, line));
        let (chunks, header_bytes) = (packer.finish(), header.len());
        Self { chunks, header_bytes, has_escaped_labels: written.has_escaped_labels }
    }

    /// Makes it show the snapshot; what is gone is removed already. `new` are the series that it has not
    /// shown before, page by page; `is_touched` says whether any of its pages has changed.
    pub(super) fn update(
        &mut self,
        view: View,
        family: &Family,
        seen: &Seen<'_>,
        new: &[At],
        is_touched: bool,
        written: &mut Written,
    ) {
        if new.len() * NEW_ONE_IN > self.series() || self.is_scattered() {
            let known = self.places().map(|place| place.at);
            let mut all: Vec<At> = known.chain(new.iter().copied()).collect();
            all.sort_unstable();
            // Two of them at a time would take twice the memory.
            self.chunks.clear();
            *self = Self::new(view, family, seen, &all, written);
            return;
        }
        self.set_header(&header(view, family));
        let name = view.name(&family.name, family.metric_type);
        if !new.is_empty() {
            self.insert(&Lines::write(view, &name, seen, new, written), seen);
            self.has_escaped_labels |= written.has_escaped_labels;
        }
        if is_touched {
            self.refresh(view, &name, seen);
        }
    }

    /// How many series it shows.
    pub(super) fn series(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.series.len()).sum()
    }

    /// Leaves out the series that cannot be told from others in this view. How many that were.
    pub(super) fn tell_apart(
        &mut self,
        view: View,
        family: &Family,
        seen: &Seen<'_>,
        written: &mut Written,
    ) -> usize {
        // The states of a state set are the values of a label, too.
        let states =
            (family.metric_type == MetricType::StateSet).then_some(Label { name: &family.name, value: "" });
        if !self.has_escaped_labels && states.is_none_or(|states| is_label_name(states.name)) {
            return 0;
        }
        let labels_of = |at: At| seen.series(at).labels().chain(states);
        let names = self.places().flat_map(|place| labels_of(place.at)).map(|label| label.name);
        if !twins::are_confused(view, names) {
            return 0;
        }
        let all: Vec<At> = self.places().map(|place| place.at).collect();
        let left_out = twins::left_out(view, all.len(), |series| labels_of(all[series]));
        if left_out.is_empty() {
            return 0;
        }
        let is_shown = |(index, at): (usize, At)| (!left_out.contains(&index)).then_some(at);
        let mut shown: Vec<At> = all.into_iter().enumerate().filter_map(is_shown).collect();
        shown.sort_unstable();
        *self = Self::new(view, family, seen, &shown, written);
        left_out.len()
    }

    /// Roughly the bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        let of = |chunk: &Chunk| size_of::<Chunk>() + chunk.text.len() + size_of_val(&*chunk.series);
        self.chunks.iter().map(of).sum()
    }

    /// Its text, in order, with or without the header.
    pub(super) fn chunks(&self, with_header: bool) -> impl Iterator<Item = Bytes> {
        let mut skip = if with_header { 0 } else { self.header_bytes };
        self.chunks.iter().map(move |chunk| chunk.text.slice(std::mem::take(&mut skip)..))
    }

    fn places(&self) -> impl Iterator<Item = &Place> + Clone {
        self.chunks.iter().flat_map(|chunk| &chunk.series)
    }

    /// Whether it stands in many more chunks than it would if it was written anew.
    fn is_scattered(&self) -> bool {
        let bytes: usize = self.chunks.iter().map(Chunk::counted).sum();
        self.chunks.len() > 16 + 4 * bytes / CHUNK_BYTES
    }

    /// How many bytes of a chunk are header.
    fn header_of(&self, chunk: usize) -> usize {
        if chunk == 0 { self.header_bytes } else { 0 }
    }

    fn set_header(&mut self, header: &[u8]) {
        let first = &self.chunks[0];
        if first.text[..self.header_bytes] == *header {
            return;
        }
        let mut packer = Packer::new(header);
        first.lines(self.header_bytes).for_each(|(at, line)| packer.push(at, line));
        let chunks = packer.finish();
        self.chunks.splice(..1, chunks);
        self.header_bytes = header.len();
    }

    /// Removes the series whose pages are gone.
    pub(super) fn remove_gone(&mut self, seen: &Seen<'_>) {
        for index in 0..self.chunks.len() {
            let chunk = &self.chunks[index];
            if chunk.series.iter().all(|place| seen.has(place.at)) {
                continue;
            }
            let header_bytes = self.header_of(index);
            let living = chunk.lines(header_bytes).filter(|(at, _)| seen.has(*at));
            self.chunks[index] = Chunk::of(&chunk.text[..header_bytes], &living.collect::<Vec<_>>());
        }
        // The first one has the header. The lines of others may be empty, if their values cannot be shown just now.
        let mut is_first = true;
        self.chunks.retain(|chunk| std::mem::take(&mut is_first) || !chunk.series.is_empty());
    }

    /// Puts new lines where they belong.
    fn insert(&mut self, new: &Lines<'_>, seen: &Seen<'_>) {
        let new: Vec<NewLine<'_>> = new.in_order().map(|(at, line)| self.place_for(at, line, seen)).collect();
        let mut new = new.chunk_by(|a, b| a.chunk == b.chunk).peekable();
        let before = std::mem::take(&mut self.chunks);
        for (index, chunk) in before.into_iter().enumerate() {
            match new.next_if(|new| new[0].chunk == index) {
                Some(new) => self.chunks.extend(chunk.with(self.header_of(index), new)),
                None => self.chunks.push(chunk),
            }
        }
    }

    fn place_for<'l>(&self, at: At, line: &'l [u8], seen: &Seen<'_>) -> NewLine<'l> {
        let series = seen.series(at);
        let is_before = |place: &Place| seen.series(place.at).compare(&series).is_lt();
        // Only the first chunk may be without series.
        let chunk = self.chunks[1..].partition_point(|chunk| is_before(&chunk.series[0]));
        let index = self.chunks[chunk].series.partition_point(is_before);
        NewLine { chunk, index, at, line }
    }

    /// Writes the lines of changed pages anew.
    fn refresh(&mut self, view: View, name: &str, seen: &Seen<'_>) {
        let mut scratch = Vec::new();
        for index in 0..self.chunks.len() {
            let header_bytes = self.header_of(index);
            self.chunks[index].refresh(header_bytes, view, name, seen, &mut scratch);
        }
    }
}

impl Chunk {
    /// A chunk of these lines, behind `head`.
    fn of(head: &[u8], lines: &[(At, &[u8])]) -> Self {
        // Exactly as large as it needs to be: it may be kept for long.
        let bytes = head.len() + lines.iter().map(|(_, line)| line.len()).sum::<usize>();
        let mut text = Vec::with_capacity(bytes);
        text.extend_from_slice(head);
        let mut series = Vec::with_capacity(lines.len());
        for &(at, line) in lines {
            text.extend_from_slice(line);
            series.push(Place { at, end: end(text.len()) });
        }
        Self { text: text.into(), series: series.into_boxed_slice() }
    }

    /// The bytes that its lines count together, but for a factor below two.
    fn counted(&self) -> usize {
        self.text.len().max(self.series.len() * LINE_BYTES_MIN)
    }

    /// Its series with their lines; the first `head` bytes belong to none.
    fn lines(&self, head: usize) -> impl Iterator<Item = (At, &[u8])> {
        let mut start = head;
        self.series.iter().map(move |place| {
            let line = start..place.end as usize;
            start = line.end;
            (place.at, &self.text[line])
        })
    }

    /// Itself with new lines among its own; more than one chunk if it grew large.
    fn with(&self, head: usize, new: &[NewLine<'_>]) -> Vec<Self> {
        let mut packer = Packer::new(&self.text[..head]);
        let grown = self.counted() + new.iter().map(|new| counted(new.line)).sum::<usize>();
        // Half full ones are left with room, so that not every line that is added splits a chunk.
        packer.chunk_bytes = if grown > 2 * CHUNK_BYTES { CHUNK_BYTES } else { usize::MAX };
        let mut new = new.iter().peekable();
        for (index, (at, line)) in self.lines(head).enumerate() {
            while let Some(new) = new.next_if(|new| new.index == index) {
                packer.push(new.at, new.line);
            }
            packer.push(at, line);
        }
        new.for_each(|new| packer.push(new.at, new.line));
        packer.finish()
    }

    /// Writes the lines of changed pages anew; `scratch` is overwritten.
    fn refresh(&mut self, head: usize, view: View, name: &str, seen: &Seen<'_>, scratch: &mut Vec<u8>) {
        scratch.clear();
        let mut changed: Vec<(usize, usize)> = Vec::new();
        let mut is_same_length = true;
        for (index, place) in self.series.iter().enumerate() {
            if seen.is_changed(place.at) {
                let old = self.line(head, index);
                let start = scratch.len();
                write_again(scratch, view, name, seen, place.at, &self.text[old.clone()]);
                is_same_length &= scratch.len() - start == old.len();
                changed.push((index, scratch.len()));
            }
        }
        if changed.is_empty() {
            return;
        }
        if is_same_length {
            self.overwrite(head, &changed, scratch);
        } else {
            self.replace(head, &changed, scratch);
        }
    }

    fn line(&self, head: usize, index: usize) -> std::ops::Range<usize> {
        let start = if index == 0 { head } else { self.series[index - 1].end as usize };
        start..self.series[index].end as usize
    }

    /// Puts lines of the same lengths into the place of others; `changed` says which, and where each ends
    /// in `new`.
    fn overwrite(&mut self, head: usize, changed: &[(usize, usize)], new: &[u8]) {
        // A copy only if somebody is still reading it.
        let text = std::mem::take(&mut self.text);
        let mut text = text.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&*shared));
        let mut start = 0;
        for &(index, end) in changed {
            text[self.line(head, index)].copy_from_slice(&new[start..end]);
            start = end;
        }
        self.text = text.freeze();
    }

    /// Puts lines of other lengths into the place of others.
    fn replace(&mut self, head: usize, changed: &[(usize, usize)], new: &[u8]) {
        let mut changed = changed.iter().peekable();
        let mut start = 0;
        let lines = self.lines(head).enumerate().map(|(index, (at, line))| {
            match changed.next_if(|changed| changed.0 == index) {
                Some(&(_, end)) => (at, &new[std::mem::replace(&mut start, end)..end]),
                None => (at, line),
            }
        });
        *self = Self::of(&self.text[..head], &lines.collect::<Vec<_>>());
    }
}

/// Appends the lines of a series as they are now, given those from before.
fn write_again(out: &mut Vec<u8>, view: View, name: &str, seen: &Seen<'_>, at: At, before: &[u8]) {
    let value = seen.page(at).value(at.slot());
    match value {
        Value::Counter(number) | Value::Gauge(number) | Value::Untyped(number)
            if view.ends_with_value(&value) =>
        {
            let labels = memchr::memrchr(b' ', before).expect("a blank stands before the value");
            out.extend_from_slice(&before[..=labels]);
            text::write_value(out, number);
        }
        value => {
            let series = seen.series(at);
            view.write_series(out, name, series.labels(), &value, &view.extras(&series));
        }
    }
}

fn header(view: View, family: &Family) -> Vec<u8> {
    let mut header = Vec::new();
    let name = view.name(&family.name, family.metric_type);
    let (help, unit) = (family.help(), family.unit());
    view.write_header(&mut header, &name, help.as_deref(), family.metric_type, unit.as_deref());
    header
}

fn end(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("the lines of a few series are less than 4 GiB")
}

/// The bytes that a line counts in its chunk.
fn counted(line: &[u8]) -> usize {
    line.len().max(LINE_BYTES_MIN)
}

/// Puts lines into chunks.
struct Packer<'l> {
    chunks: Vec<Chunk>,
    head: &'l [u8],
    lines: Vec<(At, &'l [u8])>,
    bytes: usize,
    chunk_bytes: usize,
}

impl<'l> Packer<'l> {
    /// No lines yet; the first chunk begins with `head`.
    fn new(head: &'l [u8]) -> Self {
        Self { chunks: Vec::new(), head, lines: Vec::new(), bytes: head.len(), chunk_bytes: CHUNK_BYTES }
    }

    fn push(&mut self, at: At, line: &'l [u8]) {
        let counted = counted(line);
        if self.bytes + counted > self.chunk_bytes && !self.lines.is_empty() {
            self.close();
        }
        self.lines.push((at, line));
        self.bytes += counted;
    }

    fn close(&mut self) {
        if self.bytes > 0 || !self.lines.is_empty() {
            self.chunks.push(Chunk::of(std::mem::take(&mut self.head), &self.lines));
            self.lines.clear();
            self.bytes = 0;
        }
    }

    fn finish(mut self) -> Vec<Chunk> {
        self.close();
        self.chunks.shrink_to_fit();
        self.chunks
    }
}
