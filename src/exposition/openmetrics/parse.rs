//! Families, line by line.
//!
//! Strict: what the specification demands of a body and can be seen without knowing other pushes is demanded here.
//! Invariant: a body that is cut short anywhere is refused, since its `# EOF` is missing.

use std::borrow::Cow;
use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::error::{ParseError, ParseErrorKind};
use super::exemplar::{CHARACTERS_MAX, characters};
use super::lexer::{Failure, Lexer, excerpt, unescape};
use super::series::{OpenSeries, Part, Sample, suffixes};
use super::taken::Taken;
use super::write::{claimed_suffixes, has_unit};
use crate::exposition::limits::{EXEMPLAR_PARTS, Parts};
use crate::exposition::{ReadLimits, TooManyLabels};
use crate::model::{
    BorrowedLabel, Exemplar, ExemplarPlace, Families, Label, LabelSet, MetricFamily, MetricType, NameScheme,
    Series,
};

/// The last line, without its line feed.
const EOF: &str = "# EOF";

/// Up to so many series a table that was used is cleared, which takes as long as it is large, and not made anew.
const FEW_SERIES: usize = 256;

/// Reads a body whose names are judged by `scheme`, as far as `limits` allow: a result with more series than they
/// say is incomplete, and to be refused for its size.
///
/// Not checked: whether names are reserved, whether counts make sense, whether timestamps are allowed; the latter
/// are noted ([`Series::has_timestamp`]). `_created` samples are checked and dropped.
///
/// The error is the first thing wrong with the body.
pub fn parse_up_to(body: &[u8], scheme: NameScheme, limits: ReadLimits) -> Result<Families<'_>, ParseError> {
    // Lines, labels and series are counted in 32 bits, and there is at most one line more than bytes.
    if body.len() >= u32::MAX as usize {
        return Err(ParseError { line: 1, kind: ParseErrorKind::TooLong });
    }
    let text = str::from_utf8(body).map_err(|error| {
        let before = &body[..error.valid_up_to()];
        let line = 1 + index(memchr::memchr_iter(b'\n', before).count());
        ParseError { line, kind: ParseErrorKind::NotUtf8 }
    })?;
    let mut parser = Parser::new(scheme, limits);
    match parser.lines(text) {
        Ok(()) => Ok(parser.families),
        Err(kind) => Err(ParseError { line: parser.line, kind: *kind }),
    }
}

struct Parser<'a> {
    scheme: NameScheme,
    limits: ReadLimits,
    parts: Parts,
    families: Families<'a>,
    /// Series in all families that are whole.
    series: usize,
    /// The names that whole families have taken.
    taken: Taken<'a>,
    /// Families begun, those without a sample included.
    begun: usize,
    family: Option<OpenFamily<'a>>,
    /// The series of the open family, by their labels.
    by_labels: HashTable<(u64, u32)>,
    hasher: DefaultHashBuilder,
    /// The 1-based line that is read, or that an error is about.
    line: u32,
}

/// The family whose lines are being read.
struct OpenFamily<'a> {
    name: &'a str,
    metric_type: Option<MetricType>,
    help: Option<Cow<'a, str>>,
    unit: Option<(&'a str, u32)>,
    first_line: u32,
    /// The name in text 0.0.4, once a sample has said it.
    model_name: Option<&'a str>,
    series: Vec<Series>,
    open: Option<OpenSeries>,
}

impl OpenFamily<'_> {
    fn metric_type(&self) -> MetricType {
        self.metric_type.unwrap_or(MetricType::Untyped)
    }

    fn has_samples(&self) -> bool {
        self.open.is_some() || !self.series.is_empty()
    }
}

impl<'a> Parser<'a> {
    fn new(scheme: NameScheme, limits: ReadLimits) -> Self {
        Self {
            scheme,
            limits,
            parts: Parts::new(limits),
            families: Families::default(),
            series: 0,
            taken: Taken::default(),
            begun: 0,
            family: None,
            by_labels: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            line: 0,
        }
    }

    fn lines(&mut self, text: &'a str) -> Result<(), Failure> {
        let mut rest = text;
        while !rest.is_empty() {
            self.line += 1;
            let (line, behind) = rest.split_once('\n').unwrap_or((rest, ""));
            if line == EOF {
                if !behind.is_empty() {
                    self.line += 1;
                    return Err(ParseErrorKind::AfterEof.into());
                }
                return self.close_family();
            }
            match line.as_bytes().first() {
                None => return Err(ParseErrorKind::BlankLine.into()),
                Some(b'#') => self.comment(line)?,
                Some(_) => self.sample(line)?,
            }
            let open = self.family.as_ref().map_or(0, |family| family.series.len());
            if self.series + open > self.limits.series_max {
                return self.close_family();
            }
            rest = behind;
        }
        self.line = self.line.max(1);
        Err(ParseErrorKind::NoEof.into())
    }

    /// Reads a line of the form `# TYPE name word`.
    fn comment(&mut self, line: &'a str) -> Result<(), Failure> {
        let mut lexer = Lexer::new(line, self.scheme);
        let word = ["TYPE", "HELP", "UNIT"]
            .into_iter()
            .find(|word| line.strip_prefix("# ").is_some_and(|line| line.starts_with(word)));
        let Some(word) = word.filter(|word| lexer.take("# ") && lexer.take(word) && lexer.take(" ")) else {
            return Err(ParseErrorKind::Comment(excerpt(line)).into());
        };
        let name = lexer.metric_name()?;
        lexer.expect(" ", "a blank behind the metric's name")?;
        let text = lexer.rest();
        let line = self.line;
        let family = self.family_for(name, word)?;
        let is_second = match word {
            "TYPE" => {
                let metric_type =
                    metric_type(text).ok_or_else(|| ParseErrorKind::UnknownType(excerpt(text)))?;
                family.metric_type.replace(metric_type).is_some()
            }
            "HELP" => family.help.replace(unescape(text)).is_some(),
            _ => family.unit.replace((text, line)).is_some(),
        };
        if is_second {
            return Err(ParseErrorKind::SecondMetadata { word, family: excerpt(name) }.into());
        }
        Ok(())
    }

    /// The family that a comment is about.
    fn family_for(&mut self, name: &'a str, word: &'static str) -> Result<&mut OpenFamily<'a>, Failure> {
        let open = self.family.as_ref().filter(|family| family.name == name);
        if open.is_some_and(OpenFamily::has_samples) {
            return Err(ParseErrorKind::MetadataAfterSamples { word, family: excerpt(name) }.into());
        }
        if open.is_none() {
            self.begin_family(name)?;
        }
        Ok(self.family.as_mut().expect("it is open or was begun"))
    }

    fn begin_family(&mut self, name: &'a str) -> Result<(), Failure> {
        let line = self.line;
        self.close_family()?;
        self.line = line;
        if self.taken.contains(name) {
            return Err(ParseErrorKind::NameTaken(excerpt(name)).into());
        }
        // Families without a sample are dropped in the end, and until then they take room.
        let max = self.limits.series_max;
        self.begun += 1;
        if self.begun > self.series.saturating_add(max) {
            return Err(ParseErrorKind::TooManyFamilies { max }.into());
        }
        if self.by_labels.capacity() > FEW_SERIES {
            self.by_labels = HashTable::new();
        }
        self.by_labels.clear();
        self.family = Some(OpenFamily {
            name,
            metric_type: None,
            help: None,
            unit: None,
            first_line: line,
            model_name: None,
            series: Vec::new(),
            open: None,
        });
        Ok(())
    }

    /// Ends the open family. An error is about an earlier line than the one that is read.
    fn close_family(&mut self) -> Result<(), Failure> {
        self.close_series()?;
        let Some(family) = self.family.take() else { return Ok(()) };
        let metric_type = family.metric_type();
        if let Some((unit, line)) = family.unit
            && !has_unit(family.name, metric_type, unit)
        {
            self.line = line;
            let (unit, family) = (excerpt(unit), excerpt(family.name));
            return Err(ParseErrorKind::Unit { unit, metric_type, family }.into());
        }
        if let Err(suffix) = self.taken.take(family.name, claimed_suffixes(metric_type)) {
            self.line = family.first_line;
            let name = excerpt(&format!("{}{suffix}", family.name));
            return Err(ParseErrorKind::NameTaken(name).into());
        }
        if !family.series.is_empty() {
            self.series += family.series.len();
            self.families.families.push(MetricFamily {
                name: Cow::Borrowed(family.model_name.unwrap_or(family.name)),
                metric_type,
                type_is_declared: family.metric_type.is_some(),
                help: family.help,
                unit: family.unit.map(|(unit, _)| Cow::Borrowed(unit)),
                series: family.series,
            });
        }
        Ok(())
    }

    fn close_series(&mut self) -> Result<(), Failure> {
        let Some(family) = &mut self.family else { return Ok(()) };
        let Some(open) = family.open.take() else { return Ok(()) };
        let line = open.line();
        match open.finish(family.name) {
            Ok(series) => {
                family.series.push(series);
                Ok(())
            }
            Err(failure) => {
                self.line = line;
                Err(failure)
            }
        }
    }

    /// Reads a sample.
    fn sample(&mut self, line: &'a str) -> Result<(), Failure> {
        let mut lexer = Lexer::new(line, self.scheme);
        let first_label = self.families.labels.len();
        let name = if line.starts_with('{') { None } else { Some(lexer.metric_name()?) };
        let inner = if lexer.take("{") {
            // One of them may be the sample's own, which does not count.
            let max = self.limits.labels_max.saturating_add(1);
            let inner = lexer.labels(&mut self.families.labels, name.is_none(), max)?;
            self.check_label_count(name.or(inner), first_label, max)?;
            inner
        } else {
            None
        };
        let name = name.or(inner).ok_or(ParseErrorKind::NoMetricName)?;
        let value = lexer.value()?;
        let has_timestamp = !lexer.rest().is_empty() && !lexer.rest().starts_with(" #");
        if has_timestamp {
            lexer.timestamp()?;
        }
        let exemplar = if lexer.rest().is_empty() { None } else { Some(exemplar(&mut lexer)?) };
        let part = self.part(name)?;
        let own_label = self.take_own_label(part, name, first_label)?;
        self.check_label_count(Some(name), first_label, self.limits.labels_max)?;
        let parts = part.parts() + if exemplar.is_some() { EXEMPLAR_PARTS } else { 0 };
        self.parts.spend(parts).map_err(ParseErrorKind::from)?;
        let sample = Sample { part, name, value, own_label: own_label.as_deref(), exemplar, has_timestamp };
        self.series_at(first_label, name)?.add(sample)
    }

    /// What a sample of this name is to its family, which is the open one or a new one without a type.
    fn part(&mut self, name: &'a str) -> Result<Part, Failure> {
        if let Some(family) = &mut self.family
            && let Some(suffix) = name.strip_prefix(family.name)
        {
            let metric_type = family.metric_type();
            if let Some(part) = Part::of(metric_type, suffix) {
                if part == Part::Value {
                    family.model_name = Some(name);
                }
                return Ok(part);
            }
            if suffix.is_empty() {
                let (sample, suffixes) = (excerpt(name), suffixes(metric_type));
                return Err(ParseErrorKind::NoSuffix { sample, metric_type, suffixes }.into());
            }
        }
        self.begin_family(name)?;
        Ok(Part::Value)
    }

    /// Checks that the sample whose labels begin at `first_label` has no more than `max` of them so far.
    fn check_label_count(&self, name: Option<&str>, first_label: usize, max: usize) -> Result<(), Failure> {
        let found = self.families.labels.len() - first_label;
        if found <= max {
            return Ok(());
        }
        let metric = excerpt(name.map_or("", |name| self.metric_of(name)));
        let over = TooManyLabels { metric, found, max: self.limits.labels_max };
        Err(ParseErrorKind::from(over).into())
    }

    /// The metric, by its name in text 0.0.4, that a sample of this name belongs to.
    fn metric_of<'n>(&'n self, sample: &'n str) -> &'n str {
        let part =
            |family: &OpenFamily<'_>| Part::of(family.metric_type(), sample.strip_prefix(family.name)?);
        match &self.family {
            Some(family) if part(family).is_some_and(|part| part != Part::Value) => {
                family.model_name.unwrap_or(family.name)
            }
            _ => sample,
        }
    }

    /// Takes the label out of a sample that tells it from others of its series.
    fn take_own_label(
        &mut self,
        part: Part,
        sample: &str,
        first_label: usize,
    ) -> Result<Option<Cow<'a, str>>, Failure> {
        let family = self.family.as_ref().expect("every sample has a family");
        let Some(label) = part.own_label(family.name) else { return Ok(None) };
        let labels = &mut self.families.labels;
        let Some(place) = labels[first_label..].iter().rposition(|own| own.name == label) else {
            return Err(ParseErrorKind::NoBound { sample: excerpt(sample), label: excerpt(label) }.into());
        };
        Ok(Some(labels.remove(first_label + place).value))
    }

    /// The series of the open family that has the labels from `first_label` on: the one before, or a new one.
    fn series_at(&mut self, first_label: usize, sample: &str) -> Result<&mut OpenSeries, Failure> {
        let labels = &mut self.families.labels;
        let open = self.family.as_ref().and_then(|family| family.open.as_ref());
        if open.is_some_and(|open| is_same_set(&labels[open.labels()], &labels[first_label..])) {
            labels.truncate(first_label);
        } else {
            self.begin_series(first_label, sample)?;
        }
        let family = self.family.as_mut().expect("every sample has a family");
        Ok(family.open.as_mut().expect("it is open or was begun"))
    }

    fn begin_series(&mut self, first_label: usize, sample: &str) -> Result<(), Failure> {
        self.close_series()?;
        let labels = &self.families.labels;
        let new = &labels[first_label..];
        let hash = self.hash(new);
        let family = self.family.as_mut().expect("every sample has a family");
        let labels_of = |at: u32| {
            let range = &family.series[at as usize].labels;
            &labels[range.start as usize..range.end as usize]
        };
        let is_it = |&(own, at): &(u64, u32)| own == hash && is_same_set(labels_of(at), new);
        if self.by_labels.find(hash, is_it).is_some() {
            return Err(ParseErrorKind::Repeated(excerpt(sample)).into());
        }
        self.by_labels.insert_unique(hash, (hash, index(family.series.len())), |(hash, _)| *hash);
        let range = index(first_label)..index(labels.len());
        family.open = Some(OpenSeries::new(family.metric_type(), range, self.line));
        Ok(())
    }

    /// A hash of a set of labels, whatever their order.
    fn hash(&self, labels: &[BorrowedLabel<'_>]) -> u64 {
        // Equal sets have equal sums; the sum is hashed again so that it spreads over all bits.
        let sum = present(labels)
            .map(|label| self.hasher.hash_one((label.name, &*label.value)))
            .fold(0_u64, u64::wrapping_add);
        self.hasher.hash_one(sum)
    }
}

/// Reads an exemplar, to the end of the line. Its place is not known here.
fn exemplar(lexer: &mut Lexer<'_>) -> Result<Exemplar, Failure> {
    lexer.expect(" # {", "the end of the line or an exemplar, ' # {...} value'")?;
    let mut labels = Vec::new();
    // Each has a character at least, so that more are refused below.
    lexer.labels(&mut labels, false, CHARACTERS_MAX)?;
    let found = characters(labels.iter().map(|label| Label { name: label.name, value: &label.value }));
    if found > CHARACTERS_MAX {
        return Err(ParseErrorKind::ExemplarLabels { found }.into());
    }
    let value = lexer.value()?;
    let timestamp = if lexer.rest().is_empty() { None } else { Some(lexer.timestamp()?) };
    if !lexer.rest().is_empty() {
        return Err(lexer.not_found("the end of the line"));
    }
    let labels = LabelSet::new(labels.iter().map(|label| (label.name, &*label.value)));
    Ok(Exemplar { place: ExemplarPlace::Series, labels, value, timestamp })
}

/// The type of that name.
fn metric_type(word: &str) -> Option<MetricType> {
    let metric_type = match word {
        "counter" => MetricType::Counter,
        "gauge" => MetricType::Gauge,
        "histogram" => MetricType::Histogram,
        "gaugehistogram" => MetricType::GaugeHistogram,
        "summary" => MetricType::Summary,
        "info" => MetricType::Info,
        "stateset" => MetricType::StateSet,
        "unknown" => MetricType::Untyped,
        _ => return None,
    };
    Some(metric_type)
}

/// The labels that count: an empty value means that there is no label.
fn present<'l, 'a>(labels: &'l [BorrowedLabel<'a>]) -> impl Iterator<Item = &'l BorrowedLabel<'a>> {
    labels.iter().filter(|label| !label.value.is_empty())
}

/// Whether both are the same set of labels, each name standing at most once in each.
fn is_same_set(one: &[BorrowedLabel<'_>], other: &[BorrowedLabel<'_>]) -> bool {
    let is_same_shape = one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.name == b.name);
    if is_same_shape {
        return one.iter().zip(other).all(|(a, b)| a.value == b.value);
    }
    let sorted = |labels| {
        let mut pairs: Vec<(&str, &str)> = present(labels).map(|label| (label.name, &*label.value)).collect();
        pairs.sort_unstable();
        pairs
    };
    present(one).count() == present(other).count() && sorted(one) == sorted(other)
}

fn index(len: usize) -> u32 {
    u32::try_from(len).expect("there are fewer labels and series than bytes, and those fit 32 bits")
}
