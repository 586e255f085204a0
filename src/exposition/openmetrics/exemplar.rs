//! Exemplars at the end of a sample's line: ` # {labels} value [timestamp]`.

use super::write::write_seconds;
use crate::exposition::names::Escaping;
use crate::exposition::number;
use crate::exposition::sample::write_labels;
use crate::model::{Exemplar, Label};

/// The labels of an exemplar have at most so many characters, names and values together.
pub(super) const CHARACTERS_MAX: usize = 128;

/// How many characters the names and values of these labels have.
pub(super) fn characters<'l>(labels: impl Iterator<Item = Label<'l>>) -> usize {
    labels.map(|label| label.name.chars().count() + label.value.chars().count()).sum()
}

/// Appends an exemplar, if it is one that may be shown.
pub(super) fn write_exemplar(out: &mut Vec<u8>, exemplar: &Exemplar, escaping: Escaping) {
    let names: Vec<_> = exemplar.labels.iter().map(|label| escaping.label_name(label.name)).collect();
    let values = exemplar.labels.iter().map(|label| label.value);
    let labels = names.iter().zip(values).map(|(name, value)| Label { name, value });
    let has_twice = names.iter().enumerate().any(|(at, name)| names[..at].contains(name));
    if has_twice || characters(labels.clone()) > CHARACTERS_MAX {
        return;
    }
    out.extend_from_slice(b" # ");
    if names.is_empty() {
        out.push(b'{');
    }
    write_labels(out, labels);
    out.extend_from_slice(b"} ");
    number::write(out, exemplar.value);
    if let Some(timestamp) = exemplar.timestamp.filter(|timestamp| timestamp.is_finite()) {
        out.push(b' ');
        write_seconds(out, timestamp);
    }
}
