//! A view of everything, and how families, series and the end are written in it: the one place that tells the
//! formats from each other.

use std::borrow::Cow;

use crate::exposition::names::Escaping;
use crate::exposition::negotiation::Format;
use crate::exposition::{LabelTemplate, Name, openmetrics, protobuf, text};
use crate::gateway::SeriesView;
use crate::model::{Exemplar, Label, MetricType, Stamp, Value, is_label_name, is_pushable_label_name};

/// What a reader gets to see, the moment aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct View {
    /// The format.
    pub(super) format: Format,
    /// What becomes of names that are not legacy names.
    pub(super) escaping: Escaping,
    /// Whether OpenMetrics says when series began.
    pub(super) with_created: bool,
}

/// What a series has beside labels and value, as far as the view shows it.
#[derive(Debug, Default)]
pub(super) struct Extras {
    /// Its exemplars; there are nearly always none.
    pub(super) exemplars: Vec<Exemplar>,
    /// When it began, if that is known.
    pub(super) created: Option<Stamp>,
}

impl View {
    /// The name that a family's lines begin with.
    pub(super) fn name(self, name: &str, metric_type: MetricType) -> Cow<'_, str> {
        let shown = self.escaping.metric_name(name);
        match (self.format, shown) {
            (Format::Text | Format::Protobuf, shown) => shown,
            (Format::OpenMetrics, Cow::Borrowed(name)) => {
                Cow::Borrowed(openmetrics::family_name(name, metric_type))
            }
            (Format::OpenMetrics, Cow::Owned(name)) => {
                Cow::Owned(openmetrics::family_name(&name, metric_type).to_owned())
            }
        }
    }

    /// The names of a family's samples, less the [name](Self::name) that they begin with, and what else no other
    /// family may have.
    pub(super) fn claimed_suffixes(self, metric_type: MetricType) -> &'static [&'static str] {
        match (self.format, metric_type) {
            (Format::OpenMetrics, metric_type) => openmetrics::claimed_suffixes(metric_type),
            (Format::Text | Format::Protobuf, MetricType::Histogram | MetricType::GaugeHistogram) => {
                &["_bucket", "_sum", "_count"]
            }
            (Format::Text | Format::Protobuf, MetricType::Summary) => &["_sum", "_count"],
            (
                Format::Text | Format::Protobuf,
                MetricType::Counter
                | MetricType::Gauge
                | MetricType::Untyped
                | MetricType::Info
                | MetricType::StateSet,
            ) => &[],
        }
    }

    /// Whether a family of this name can be shown at all: that of a state set is the name of a label, too.
    pub(super) fn has_place_for(self, name: &str, metric_type: MetricType) -> bool {
        metric_type != MetricType::StateSet
            || self.escaping == Escaping::AllowUtf8
            || is_pushable_label_name(name)
    }

    /// What of a series is shown beside labels and value.
    pub(super) fn extras(self, series: &SeriesView<'_>) -> Extras {
        match self.format {
            Format::Text => Extras::default(),
            Format::OpenMetrics | Format::Protobuf => {
                Extras { exemplars: series.exemplars().cloned().collect(), created: Some(series.created()) }
            }
        }
    }

    /// Appends what stands before a family's series.
    pub(super) fn write_header(
        self,
        out: &mut Vec<u8>,
        name: &str,
        help: Option<&str>,
        metric_type: MetricType,
        unit: Option<&str>,
    ) {
        match self.format {
            Format::OpenMetrics => openmetrics::write_header(out, name, help, metric_type, unit),
            Format::Protobuf => out.extend_from_slice(&protobuf::header(name, help, metric_type, unit)),
            Format::Text => text::write_header(out, name, help, metric_type),
        }
    }

    /// Appends a series, its labels as they were pushed.
    pub(super) fn write_series<'l>(
        self,
        out: &mut Vec<u8>,
        name: &str,
        labels: impl Iterator<Item = Label<'l>> + Clone,
        value: &Value,
        extras: &Extras,
    ) {
        if self.escaping == Escaping::AllowUtf8 || labels.clone().all(|label| is_label_name(label.name)) {
            return self.write_shown(out, name, labels, value, extras);
        }
        let names: Vec<_> = labels.clone().map(|label| self.escaping.label_name(label.name)).collect();
        let shown = names.iter().zip(labels).map(|(name, label)| Label { name, ..label });
        self.write_shown(out, name, shown, value, extras);
    }

    fn write_shown<'l>(
        self,
        out: &mut Vec<u8>,
        name: &str,
        labels: impl Iterator<Item = Label<'l>>,
        value: &Value,
        extras: &Extras,
    ) {
        match self.format {
            Format::OpenMetrics => {
                openmetrics::write_series(out, name, labels, value, &self.openmetrics(extras));
            }
            Format::Protobuf => {
                protobuf::write_metric(out, name, labels, value, &extras.exemplars, extras.created);
            }
            Format::Text => text::write_series(out, name, labels, value),
        }
    }

    /// Appends a series whose labels are `own` in the template, and all of them `labels`, as they were pushed.
    #[allow(clippy::too_many_arguments, reason = "a series, and how far its labels are written already")]
    pub(super) fn write_templated<'v>(
        self,
        out: &mut Vec<u8>,
        name: Name<'_>,
        template: &LabelTemplate,
        own: impl Iterator<Item = &'v str>,
        labels: impl Iterator<Item = Label<'v>> + Clone,
        value: &Value,
        extras: &Extras,
    ) {
        let write_labels = |out: &mut Vec<u8>| template.write(out, own);
        match self.format {
            Format::OpenMetrics => {
                openmetrics::write_series_with(out, name, write_labels, value, &self.openmetrics(extras));
            }
            Format::Protobuf => self.write_series(out, name.text(), labels, value, extras),
            Format::Text => text::write_series_with(out, name, write_labels, value),
        }
    }

    fn openmetrics(self, extras: &Extras) -> openmetrics::Extras<'_> {
        openmetrics::Extras {
            exemplars: &extras.exemplars,
            created: extras.created.filter(|_| self.with_created).map(Stamp::as_seconds),
            escaping: self.escaping,
        }
    }

    /// Whether a series with this value is one line that ends with the value, and begins with what does not change.
    pub(super) fn ends_with_value(self, value: &Value) -> bool {
        match (self.format, value) {
            (Format::Text, Value::Counter(_))
            | (Format::Text | Format::OpenMetrics, Value::Gauge(_) | Value::Untyped(_)) => true,
            (Format::OpenMetrics | Format::Protobuf, Value::Counter(_))
            | (Format::Protobuf, Value::Gauge(_) | Value::Untyped(_))
            | (
                _,
                Value::Histogram(_)
                | Value::Summary(_)
                | Value::GaugeHistogram(_)
                | Value::Info
                | Value::StateSet(_),
            ) => false,
        }
    }

    /// What stands before a family's header and series, which have so many bytes together.
    pub(super) fn prefix(self, bytes: usize) -> Vec<u8> {
        match self.format {
            Format::Protobuf => protobuf::length_prefix(bytes),
            Format::Text | Format::OpenMetrics => Vec::new(),
        }
    }

    /// What stands at the end.
    pub(super) fn end(self) -> &'static [u8] {
        match self.format {
            Format::OpenMetrics => openmetrics::EOF,
            Format::Text | Format::Protobuf => b"",
        }
    }
}
