//! What the lines of text 0.0.4 and of OpenMetrics have in common: names, labels, escapes, numbers, state sets.
//!
//! Whatever strings are given, a line stays one line and a value stays one
//! value.

use memchr::memchr3;

use crate::exposition::number;
use crate::model::{Label, StateSet, is_label_name, is_metric_name};

/// A metric's name as it is written: one that is no legacy name stands in quotes, between the braces.
#[derive(Clone, Copy, Debug)]
pub struct Name<'n> {
    text: &'n str,
    is_quoted: bool,
}

impl<'n> Name<'n> {
    /// The name, in the form that it needs.
    pub fn new(text: &'n str) -> Self {
        Self { text, is_quoted: !is_metric_name(text) }
    }

    /// The name itself.
    pub fn text(self) -> &'n str {
        self.text
    }

    /// Appends the name as it stands in a comment.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        if self.is_quoted {
            self.write_quoted(out, "");
        } else {
            out.extend_from_slice(self.text.as_bytes());
        }
    }

    fn write_quoted(self, out: &mut Vec<u8>, suffix: &str) {
        out.push(b'"');
        write_escaped(out, self.text);
        out.extend_from_slice(suffix.as_bytes());
        out.push(b'"');
    }

    /// Appends what stands before the value of a sample without labels of its own, labels and the blank
    /// included. `labels` appends the labels: each as `write_label` does, the first after `{`, the others after
    /// `,`, without a `}` behind them; or nothing where there is none.
    pub(super) fn write_once(self, out: &mut Vec<u8>, suffix: &str, labels: impl FnOnce(&mut Vec<u8>)) {
        if self.is_quoted {
            out.push(b'{');
            self.write_quoted(out, suffix);
        } else {
            out.extend_from_slice(self.text.as_bytes());
            out.extend_from_slice(suffix.as_bytes());
        }
        let before = out.len();
        labels(out);
        let has_labels = out.len() > before;
        if self.is_quoted && has_labels {
            // The brace is there already.
            out[before] = b',';
        }
        let end: &[u8] = if has_labels || self.is_quoted { b"} " } else { b" " };
        out.extend_from_slice(end);
    }
}

/// What all samples of a series have in common.
pub(super) struct SeriesStart<'n> {
    name: Name<'n>,
    labels: Vec<u8>,
}

impl<'n> SeriesStart<'n> {
    /// The name, and the labels as for [`Name::write_once`].
    pub(super) fn new(name: Name<'n>, labels: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut text = Vec::new();
        labels(&mut text);
        Self { name, labels: text }
    }

    pub(super) fn name(&self) -> Name<'n> {
        self.name
    }

    /// Appends what stands before the value of a sample.
    pub(super) fn write(&self, out: &mut Vec<u8>, suffix: &str) {
        self.name.write_once(out, suffix, |out| out.extend_from_slice(&self.labels));
    }

    /// The same with a further label, whose value `value` appends, escaped.
    pub(super) fn write_with(
        &self,
        out: &mut Vec<u8>,
        suffix: &str,
        label: &str,
        value: impl FnOnce(&mut Vec<u8>),
    ) {
        self.name.write_once(out, suffix, |out| {
            out.extend_from_slice(&self.labels);
            begin_label(out, self.labels.is_empty(), label);
            value(out);
            out.push(b'"');
        });
    }
}

/// Appends the value of a sample and the end of its line.
pub fn write_value(out: &mut Vec<u8>, value: f64) {
    number::write(out, value);
    out.push(b'\n');
}

/// Appends a sample for each state, with a label that is named as the family.
pub(super) fn write_state_set(out: &mut Vec<u8>, start: &SeriesStart<'_>, set: &StateSet) {
    for (state, is_on) in &set.states {
        start.write_with(out, "", start.name().text(), |out| write_escaped(out, state));
        write_value(out, f64::from(u8::from(*is_on)));
    }
}

/// Appends labels as [`Name::write_once`] wants them.
pub(super) fn write_labels<'l>(out: &mut Vec<u8>, labels: impl Iterator<Item = Label<'l>>) {
    let mut is_first = true;
    for label in labels {
        begin_label(out, std::mem::take(&mut is_first), label.name);
        write_escaped(out, label.value);
        out.push(b'"');
    }
}

/// Appends a label up to its value's opening quote.
pub(super) fn begin_label(out: &mut Vec<u8>, is_first: bool, name: &str) {
    out.push(if is_first { b'{' } else { b',' });
    if is_label_name(name) {
        out.extend_from_slice(name.as_bytes());
    } else {
        out.push(b'"');
        write_escaped(out, name);
        out.push(b'"');
    }
    out.extend_from_slice(b"=\"");
}

/// Appends what stands in quotes: the value of a label, or a name.
pub(super) fn write_escaped(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    // Most values are short, and looking at each byte costs less than a call.
    if rest.len() <= 32 && !rest.iter().any(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
        out.extend_from_slice(rest);
        return;
    }
    while let Some(place) = memchr3(b'\\', b'"', b'\n', rest) {
        rest = write_up_to_special(out, rest, place);
    }
    out.extend_from_slice(rest);
}

/// Appends the bytes before the special one at `place`, then that one escaped; what is left follows it.
pub(super) fn write_up_to_special<'t>(out: &mut Vec<u8>, text: &'t [u8], place: usize) -> &'t [u8] {
    out.extend_from_slice(&text[..place]);
    out.push(b'\\');
    out.push(if text[place] == b'\n' { b'n' } else { text[place] });
    &text[place + 1..]
}
