//! The labels of many series that have the same names, some of them with the same values.
//!
//! What the series have in common is put together once; for each of them only its own values are put in.

use crate::model::Label;

use super::sample::{begin_label, write_escaped};

/// Labels of which some have a fixed value and the others differ from series to series.
#[derive(Debug, Default)]
pub struct LabelTemplate {
    /// What stands before, between and after the values that differ.
    text: Vec<u8>,
    /// Where each part of `text` ends but the last.
    ends: Vec<usize>,
}

impl LabelTemplate {
    /// Forgets all labels.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Adds a label that all series have with the same value.
    pub fn push_fixed(&mut self, label: Label<'_>) {
        let is_first = self.text.is_empty();
        begin_label(&mut self.text, is_first, label.name);
        write_escaped(&mut self.text, label.value);
        self.text.push(b'"');
    }

    /// Adds a label of which each series has a value of its own.
    pub fn push_open(&mut self, name: &str) {
        let is_first = self.text.is_empty();
        begin_label(&mut self.text, is_first, name);
        self.ends.push(self.text.len());
        self.text.push(b'"');
    }

    /// Appends the labels of a series, given its own values for the open ones, in their order; in the form that
    /// the writers of text 0.0.4 and of OpenMetrics want them.
    pub fn write<'v>(&self, out: &mut Vec<u8>, own: impl Iterator<Item = &'v str>) {
        let mut start = 0;
        for (&end, value) in self.ends.iter().zip(own) {
            out.extend_from_slice(&self.text[start..end]);
            write_escaped(out, value);
            start = end;
        }
        out.extend_from_slice(&self.text[start..]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::Name;
    use super::super::text::{write_series, write_series_with};
    use super::*;
    use crate::model::Value;

    #[test]
    fn a_template_writes_what_the_labels_would() {
        let label = |name, value| Label { name, value };
        let labels = [label("a", "1\n"), label("b.b", "x\"y"), label("c", ""), label("d", "\\")];
        for open in 0..1 << labels.len() {
            let is_open = |at: usize| open >> at & 1 == 1;
            let mut template = LabelTemplate::default();
            for (at, label) in labels.iter().enumerate() {
                if is_open(at) { template.push_open(label.name) } else { template.push_fixed(*label) }
            }
            let own = (0..labels.len()).filter(|&at| is_open(at)).map(|at| labels[at].value);
            let (mut ours, mut plain) = (Vec::new(), Vec::new());
            let value = Value::Gauge(1.5);
            write_series_with(&mut ours, Name::new("m"), |out| template.write(out, own), &value);
            write_series(&mut plain, "m", labels.into_iter(), &value);
            assert_eq!(str::from_utf8(&ours), str::from_utf8(&plain));
        }
    }
}
