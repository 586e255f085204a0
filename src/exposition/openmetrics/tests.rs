//! Tests of OpenMetrics: what is read, what is refused and with which words, what is written, round trips.

#![allow(clippy::float_cmp, reason = "what is read must be the very number")]

mod properties;
mod reading;
mod refusing;
mod writing;

use crate::exposition::ReadLimits;
use crate::model::{Families, Label, NameScheme};

use super::{EOF, Extras, ParseError, family_name, parse_up_to, write_header, write_series};

fn parse(body: &str) -> Result<Families<'_>, ParseError> {
    parse_up_to(body.as_bytes(), NameScheme::Legacy, ReadLimits::NONE)
}

/// A body of these lines.
fn with_eof(lines: &str) -> String {
    format!("{lines}# EOF\n")
}

/// All families, written in the order in which they are held.
fn written(families: &Families<'_>) -> String {
    let mut out = Vec::new();
    for family in &families.families {
        let name = family_name(&family.name, family.metric_type);
        write_header(&mut out, name, family.help.as_deref(), family.metric_type, family.unit.as_deref());
        for series in &family.series {
            let labels = families.labels_of(series).iter();
            let labels = labels.map(|label| Label { name: label.name, value: &label.value });
            let exemplars = series.exemplars.as_ref().map_or(&[][..], |exemplars| exemplars);
            let extras = Extras { exemplars, ..Extras::default() };
            write_series(&mut out, name, labels, &series.value, &extras);
        }
    }
    out.extend_from_slice(EOF);
    String::from_utf8(out).unwrap()
}
