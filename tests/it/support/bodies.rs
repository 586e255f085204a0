//! Bodies in the formats that say more than text 0.0.4, and what a scrape in protobuf says.

use std::collections::BTreeMap;

use tallygate::exposition::{openmetrics, protobuf};
use tallygate::model::{Exemplar, Label, MetricType, NameScheme, Value};

/// The format of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    Text,
    OpenMetrics,
    Protobuf,
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => protobuf::CONTENT_TYPE,
        }
    }
}

/// A series of a push.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The family, as text 0.0.4 calls it.
    pub name: String,
    pub metric_type: MetricType,
    pub labels: Vec<(String, String)>,
    pub value: Value,
    pub exemplars: Vec<Exemplar>,
}

/// The pieces as one body, each family once.
pub fn body(format: Format, pieces: &[Piece]) -> Vec<u8> {
    let mut families = BTreeMap::<&str, Vec<&Piece>>::new();
    for piece in pieces {
        families.entry(&piece.name).or_default().push(piece);
    }
    let mut body = Vec::new();
    for (name, pieces) in families {
        match format {
            Format::Text => unreachable!("it has no words for all of them"),
            Format::OpenMetrics => in_openmetrics(&mut body, name, &pieces),
            Format::Protobuf => in_protobuf(&mut body, name, &pieces),
        }
    }
    if format == Format::OpenMetrics {
        body.extend_from_slice(openmetrics::EOF);
    }
    body
}

fn labels(piece: &Piece) -> impl Iterator<Item = Label<'_>> + Clone {
    piece.labels.iter().map(|(name, value)| Label { name, value })
}

fn in_openmetrics(body: &mut Vec<u8>, name: &str, pieces: &[&Piece]) {
    let name = openmetrics::family_name(name, pieces[0].metric_type);
    openmetrics::write_header(body, name, None, pieces[0].metric_type, None);
    for piece in pieces {
        let extras = openmetrics::Extras { exemplars: &piece.exemplars, ..openmetrics::Extras::default() };
        openmetrics::write_series(body, name, labels(piece), &piece.value, &extras);
    }
}

fn in_protobuf(body: &mut Vec<u8>, name: &str, pieces: &[&Piece]) {
    let mut message = protobuf::header(name, None, pieces[0].metric_type, None);
    for piece in pieces {
        protobuf::write_metric(&mut message, name, labels(piece), &piece.value, &piece.exemplars, None);
    }
    body.extend(protobuf::length_prefix(message.len()));
    body.extend(message);
}

/// All series of a scrape in protobuf with their exemplars, by name and labels, less the gateway's own.
pub fn series(scrape: &[u8]) -> BTreeMap<String, (Value, Vec<Exemplar>)> {
    const OWN: [&str; 5] = ["tallygate_", "pushgateway_", "process_", "push_time_", "push_failure_time_"];
    let read = protobuf::parse(scrape, NameScheme::Legacy).expect("a scrape can be read");
    let pushed = read.families.iter().filter(|family| !OWN.iter().any(|own| family.name.starts_with(own)));
    let mut all = BTreeMap::new();
    for (family, series) in pushed.flat_map(|family| family.series.iter().map(move |one| (family, one))) {
        let labels = read.labels_of(series).iter().filter(|label| !label.value.is_empty());
        let labels: Vec<String> = labels.map(|label| format!("{}={:?}", label.name, label.value)).collect();
        let exemplars = series.exemplars.as_deref().cloned().unwrap_or_default();
        let before =
            all.insert(format!("{}{{{}}}", family.name, labels.join(",")), (series.value.clone(), exemplars));
        assert!(before.is_none(), "{} stands twice", family.name);
    }
    all
}
