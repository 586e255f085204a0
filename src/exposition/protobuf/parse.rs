//! Reading a body: its messages, their metrics and the labels of these.
//!
//! Names and label values are read where they stand, so that they borrow from the body and a body with too many
//! series or labels is not read to its end. What is bounded besides: the bytes of one value, and the buckets,
//! quantiles and exemplars of all of them (`value`); the depth of what is unknown (`wire`).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use crate::exposition::limits::Parts;
use crate::exposition::text::Excerpt;
use crate::exposition::{ReadLimits, TooManyLabels};
use crate::model::{BorrowedLabel, Exemplar, Families, MetricFamily, MetricType, NameScheme, Series, Value};

use super::error::{Failure, ParseError, ParseErrorKind, Place, excerpt};
use super::label;
use super::messages::{family, label_pair, metric};
use super::value::{self, Slot};
use super::wire::{self, Fields, Malformed, NoVarint};

/// Up to so many labels are compared with each other one by one, more by hash.
const FEW_LABELS: usize = 16;

/// Reads a body of delimited `MetricFamily` messages.
///
/// Where a name stands on two of them, the last one is the family. A family without metrics is left out, as is
/// every field that the schema does not have.
///
/// Checked is what a message says by itself: names by the scheme, types, that each metric holds the value of
/// its family's type and no other, labels, that texts are UTF-8, that the parts of a native histogram fit
/// together. Not checked: whether a series stands twice, whether names are reserved, whether counts make
/// sense, whether timestamps are allowed; these are noted ([`Series::has_timestamp`]) or plain to see.
/// [`Series::line`] is the number of the metric among those of the body, from 1.
///
/// The error is the first thing wrong with the body.
pub fn parse(body: &[u8], scheme: NameScheme) -> Result<Families<'_>, ParseError> {
    parse_up_to(body, scheme, ReadLimits::NONE)
}

/// Reads a body like [`parse`], as far as `limits` allow: a result with more series than they say is incomplete,
/// and to be refused for its size.
pub fn parse_up_to(body: &[u8], scheme: NameScheme, limits: ReadLimits) -> Result<Families<'_>, ParseError> {
    let mut parser = Parser::new(scheme, limits);
    let in_message = |number, kind| ParseError { place: Place::Message { number }, kind };
    // Labels and metrics are counted in 32 bits, and there are at most as many as bytes.
    if body.len() >= u32::MAX as usize {
        return Err(in_message(1, ParseErrorKind::TooLong));
    }
    let mut rest = body;
    let mut number = 0;
    while !rest.is_empty() && parser.series <= limits.series_max {
        number += 1;
        let message = delimited(&mut rest).map_err(|kind| in_message(number, kind))?;
        parser.family(number, message)?;
    }
    Ok(parser.finish())
}

/// Takes a message with its length off the front of `body`.
fn delimited<'a>(body: &mut &'a [u8]) -> Result<&'a [u8], ParseErrorKind> {
    let length = wire::take_varint(body).map_err(|error| match error {
        NoVarint::End => ParseErrorKind::UnexpectedEnd,
        NoVarint::TooLong => Malformed("the length of a message does not fit 64 bits").into(),
    })?;
    wire::take(body, length).ok_or(ParseErrorKind::UnexpectedEnd)
}

/// What a family says of itself, apart from its metrics.
struct Head<'a> {
    /// As it stands in the body; empty if it is missing.
    name: &'a [u8],
    help: Option<&'a [u8]>,
    unit: Option<&'a [u8]>,
    metric_type: u64,
}

impl<'a> Head<'a> {
    /// Of fields that stand several times the last one counts.
    fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut head = Self { name: b"", help: None, unit: None, metric_type: 0 };
        let mut fields = Fields(message);
        while let Some((number, field)) = fields.advance()? {
            match number {
                family::NAME => head.name = field.bytes()?,
                family::HELP => head.help = Some(field.bytes()?),
                family::TYPE => head.metric_type = field.varint()?,
                family::UNIT => head.unit = Some(field.bytes()?),
                _ => {}
            }
        }
        Ok(head)
    }

    /// The family without its metrics, if it can be one.
    fn family(&self, name: &'a str, scheme: NameScheme) -> Result<MetricFamily<'a>, Failure> {
        if !scheme.is_metric_name(name) {
            return Err(ParseErrorKind::MetricName.into());
        }
        let text = |bytes: Option<&'a [u8]>, what| bytes.map(|bytes| label::text(bytes, what)).transpose();
        Ok(MetricFamily {
            name: Cow::Borrowed(name),
            metric_type: value::metric_type(self.metric_type)
                .ok_or(ParseErrorKind::UnknownType(self.metric_type))?,
            type_is_declared: true,
            help: text(self.help, "the HELP")?.map(Cow::Borrowed),
            unit: text(self.unit, "the unit")?.map(Cow::Borrowed),
            series: Vec::new(),
        })
    }
}

/// The families of a body, as far as it has been read.
struct Parser<'a> {
    scheme: NameScheme,
    limits: ReadLimits,
    families: Vec<MetricFamily<'a>>,
    /// Where in `families` the family of a name is.
    places: HashMap<&'a str, usize>,
    labels: Vec<BorrowedLabel<'a>>,
    /// The label names of the metric being read, where there are many.
    label_names: HashSet<&'a str>,
    /// Metrics read so far, those of families that were replaced included.
    metrics: u32,
    /// Series in all families.
    series: usize,
    parts: Parts,
}

impl<'a> Parser<'a> {
    fn new(scheme: NameScheme, limits: ReadLimits) -> Self {
        Self {
            scheme,
            limits,
            families: Vec::new(),
            places: HashMap::new(),
            labels: Vec::new(),
            label_names: HashSet::new(),
            metrics: 0,
            series: 0,
            parts: Parts::new(limits),
        }
    }

    fn finish(mut self) -> Families<'a> {
        self.families.retain(|family| !family.series.is_empty());
        Families { families: self.families, labels: self.labels }
    }

    /// Reads a family, which takes the place of an earlier one of its name.
    fn family(&mut self, number: u32, message: &'a [u8]) -> Result<(), ParseError> {
        let unnamed = |kind| ParseError { place: Place::Message { number }, kind };
        let head = Head::read(message).map_err(|malformed| unnamed(malformed.into()))?;
        if head.name.is_empty() {
            return Err(unnamed(ParseErrorKind::NoMetricName));
        }
        let named = |kind| ParseError { place: Place::Family { name: excerpt(head.name) }, kind };
        let name = label::text(head.name, "the metric name").map_err(|failure| named(*failure))?;
        let family = head.family(name, self.scheme).map_err(|failure| named(*failure))?;
        let place = *self.places.entry(name).or_insert(self.families.len());
        match self.families.get_mut(place) {
            Some(replaced) => {
                self.series -= replaced.series.len();
                *replaced = family;
            }
            None => self.families.push(family),
        }
        let mut fields = Fields(message);
        let max = self.limits.series_max;
        while let Some((number, field)) = fields.advance().map_err(|malformed| named(malformed.into()))? {
            if number == family::METRIC {
                let bytes = field.bytes().map_err(|malformed| named(malformed.into()))?;
                self.metric(place, bytes)?;
                if self.series > max {
                    return Ok(());
                }
                // The labels of what was replaced are still there.
                if self.metrics as usize > max {
                    return Err(named(ParseErrorKind::TooManyReplaced { max }));
                }
            }
        }
        // Families without a metric are dropped in the end, and until then they take room.
        if self.families.len() > self.series.saturating_add(max) {
            return Err(named(ParseErrorKind::TooManyFamilies { max }));
        }
        Ok(())
    }

    /// Reads a metric of the family at `place`.
    fn metric(&mut self, place: usize, message: &'a [u8]) -> Result<(), ParseError> {
        self.metrics += 1;
        let first_label = self.labels.len();
        match self.series(place, message, first_label) {
            Ok(series) => {
                self.families[place].series.push(series);
                self.series += 1;
                Ok(())
            }
            Err(kind) => Err(ParseError {
                place: Place::Metric {
                    number: self.metrics,
                    family: excerpt(self.families[place].name.as_bytes()),
                    labels: shown(&self.labels[first_label..]),
                },
                kind: *kind,
            }),
        }
    }

    fn series(&mut self, place: usize, message: &'a [u8], first_label: usize) -> Result<Series, Failure> {
        let metric_type = self.families[place].metric_type;
        let mut held: Option<(Slot, &'a [u8])> = None;
        let mut has_timestamp = false;
        let mut fields = Fields(message);
        while let Some((number, field)) = fields.advance()? {
            match number {
                metric::LABEL => {
                    self.label(field.bytes()?, metric_type, first_label)?;
                    self.check_label_count(place, first_label)?;
                }
                metric::TIMESTAMP_MS => {
                    field.varint()?;
                    has_timestamp = true;
                }
                number => {
                    let Some(slot) = Slot::of(number) else { continue };
                    let bytes = field.bytes()?;
                    if let Some((first, _)) = held {
                        let (first, second) = (first.name(), slot.name());
                        return Err(ParseErrorKind::SeveralValues { first, second }.into());
                    }
                    held = Some((slot, bytes));
                }
            }
        }
        let (value, exemplars) = self.value(held, metric_type)?;
        Ok(Series {
            labels: index(first_label)..index(self.labels.len()),
            value,
            line: self.metrics,
            has_timestamp,
            exemplars: if exemplars.is_empty() { None } else { Some(Box::new(exemplars)) },
        })
    }

    fn value(
        &mut self,
        held: Option<(Slot, &'a [u8])>,
        metric_type: MetricType,
    ) -> Result<(Value, Vec<Exemplar>), Failure> {
        value::read(held, metric_type, self.scheme, &mut self.parts)
    }

    /// Reads a label of the metric whose labels begin at `first_label`.
    fn label(
        &mut self,
        message: &'a [u8],
        metric_type: MetricType,
        first_label: usize,
    ) -> Result<(), Failure> {
        let (mut name, mut value): (&[u8], &[u8]) = (b"", b"");
        let mut fields = Fields(message);
        while let Some((number, field)) = fields.advance()? {
            match number {
                label_pair::NAME => name = field.bytes()?,
                label_pair::VALUE => value = field.bytes()?,
                _ => {}
            }
        }
        let name = label::name(name, self.scheme)?;
        let reserved = reserved_label(metric_type).filter(|label| *label == name);
        if let Some(label) = reserved {
            return Err(ParseErrorKind::ReservedLabel { metric_type, label }.into());
        }
        if !self.is_new(name, first_label) {
            return Err(ParseErrorKind::DuplicateLabelName(excerpt(name.as_bytes())).into());
        }
        let value = Cow::Borrowed(label::value(value)?);
        self.labels.push(BorrowedLabel { name, value });
        Ok(())
    }

    /// Checks that the metric whose labels begin at `first_label` has no more of them than it may.
    fn check_label_count(&self, place: usize, first_label: usize) -> Result<(), Failure> {
        let (found, max) = (self.labels.len() - first_label, self.limits.labels_max);
        if found <= max {
            return Ok(());
        }
        let metric = Excerpt::new(self.families[place].name.as_bytes());
        Err(ParseErrorKind::from(TooManyLabels { metric, found, max }).into())
    }

    /// Whether the metric whose labels begin at `first_label` has no label of this name yet.
    fn is_new(&mut self, name: &'a str, first_label: usize) -> bool {
        let labels = &self.labels[first_label..];
        if labels.len() < FEW_LABELS {
            return labels.iter().all(|label| label.name != name);
        }
        if labels.len() == FEW_LABELS {
            // To clear a set takes as long as it is large.
            if self.label_names.capacity() > 16 * FEW_LABELS {
                self.label_names = HashSet::default();
            }
            self.label_names.clear();
            self.label_names.extend(labels.iter().map(|label| label.name));
        }
        self.label_names.insert(name)
    }
}

/// The label that stands for what metrics of this type have a field for.
fn reserved_label(metric_type: MetricType) -> Option<&'static str> {
    match metric_type {
        MetricType::Histogram | MetricType::GaugeHistogram => Some("le"),
        MetricType::Summary => Some("quantile"),
        MetricType::Counter
        | MetricType::Gauge
        | MetricType::Untyped
        | MetricType::Info
        | MetricType::StateSet => None,
    }
}

/// The labels as they stand in a message: the first of them, where they are many.
fn shown(labels: &[BorrowedLabel<'_>]) -> String {
    const LABELS_MAX: usize = 8;
    let mut text = String::from("{");
    for (i, label) in labels.iter().take(LABELS_MAX).enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let name: String = label.name.chars().take(64).collect();
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{name}={}", excerpt(label.value.as_bytes()));
    }
    text.push_str(if labels.len() > LABELS_MAX { ",...}" } else { "}" });
    text
}

/// An index of a label: there are fewer labels than bytes, whose number fits 32 bits.
fn index(index: usize) -> u32 {
    u32::try_from(index).expect("a body is not read that has so many bytes")
}
