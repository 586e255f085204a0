//! Tests of the text format: tables of what each rule accepts and refuses, and properties.

#![allow(clippy::float_cmp, reason = "what is read must be the very number")]
#![allow(clippy::format_collect, reason = "bodies are built once per test, shortly rather than fast")]

mod folding;
mod properties;
mod reading;
mod refusing;
mod writing;

use crate::model::{Families, Label};

use super::{parse, write_header, write_series};

/// What is read from a body that must be accepted.
fn read(body: &[u8]) -> Families<'_> {
    match parse(body) {
        Ok(families) => families,
        Err(error) => panic!("{error} in {:?}", String::from_utf8_lossy(body)),
    }
}

/// The labels of the family's series, written `a=1,b=2`.
fn labels(families: &Families<'_>, family: usize, series: usize) -> String {
    let series = &families.families[family].series[series];
    let labels = families.labels_of(series).iter();
    labels.map(|label| format!("{}={}", label.name, label.value)).collect::<Vec<_>>().join(",")
}

/// All families, written in the order in which they are held.
fn written(families: &Families<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for family in &families.families {
        write_header(&mut out, &family.name, family.help.as_deref(), family.metric_type);
        for series in &family.series {
            let labels = families.labels_of(series).iter();
            let labels = labels.map(|label| Label { name: label.name, value: &label.value });
            write_series(&mut out, &family.name, labels, &series.value);
        }
    }
    out
}
