//! The grammar: what may stand in a line, and in which order.
//!
//! A line is read once from left to right, and the first thing wrong with it is the error. Names in quotes are
//! judged by the scheme that is asked for, all others are legacy names.

use crate::exposition::limits::Parts;
use crate::exposition::{ReadLimits, TooManyLabels, number};
use crate::model::{BorrowedLabel, Families, MetricType, NameScheme};

use super::collect::{Collector, Line, Target};
use super::cursor::{Cursor, NameKind, QuotedError};
use super::error::{Excerpt, Failure, FoundByte, ParseError, ParseErrorKind};

/// The label name that stands for the metric's own name.
const METRIC_NAME_LABEL: &str = "__name__";

/// Reads a body. Lines end with a line feed, the last one too; samples of one family may stand anywhere.
///
/// Checked is what can be seen in a line and in the HELP and TYPE lines before it. Not checked: whether a
/// series stands twice, whether names are reserved, whether counts make sense, whether timestamps are
/// allowed; these are noted ([`Series::has_timestamp`](crate::model::Series),
/// [`Defect`](crate::model::Defect)) or plain to see.
///
/// The error is the first thing wrong with the body. Names are legacy names.
pub fn parse(body: &[u8]) -> Result<Families<'_>, ParseError> {
    parse_up_to(body, NameScheme::Legacy, ReadLimits::NONE)
}

/// Reads a body like [`parse`], whose names are judged by `scheme`, as far as `limits` allow: a result with more
/// series than they say is incomplete, and to be refused for its size.
pub fn parse_up_to(body: &[u8], scheme: NameScheme, limits: ReadLimits) -> Result<Families<'_>, ParseError> {
    // Lines, labels and series are counted in 32 bits, and there is at most one line more than bytes.
    if body.len() >= u32::MAX as usize {
        return Err(ParseError { line: 1, kind: ParseErrorKind::TooLong });
    }
    let mut parser = Parser {
        cursor: Cursor::new(body),
        collector: Collector::default(),
        line: 1,
        template: None,
        scheme,
        limits,
        parts: Parts::new(limits),
    };
    match parser.lines() {
        Ok(()) => Ok(parser.collector.finish()),
        Err(kind) => Err(ParseError { line: parser.line, kind: *kind }),
    }
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    collector: Collector<'a>,
    /// The 1-based line that is read.
    line: u32,
    /// If the last sample was a bucket or a quantile and its bound was its last label: the line up to and
    /// with the bound's opening quote, and where the sample belonged.
    template: Option<(&'a [u8], Target)>,
    scheme: NameScheme,
    limits: ReadLimits,
    parts: Parts,
}

/// What was found in place of a label name.
enum LabelOrName<'a> {
    /// A label name, the equals sign behind it read.
    Label(&'a str),
    /// A metric name; what ends it not read.
    Name(&'a str),
}

impl<'a> Parser<'a> {
    fn lines(&mut self) -> Result<(), Failure> {
        loop {
            self.cursor.skip_blanks();
            // Only here may the body end.
            if self.cursor.is_at_end() {
                return Ok(());
            }
            match self.cursor.peek()? {
                b'\n' => self.cursor.advance(),
                b'#' => self.comment()?,
                _ => self.sample()?,
            }
            if self.collector.series() > self.limits.series_max {
                return Ok(());
            }
            // Names without a sample are dropped in the end, and until then they take room.
            let max = self.limits.series_max;
            if self.collector.families() > self.collector.series().saturating_add(max) {
                return Err(ParseErrorKind::TooManyNames { max }.into());
            }
            self.line += 1;
        }
    }

    /// Reads a line that begins with a hash, to its end.
    fn comment(&mut self) -> Result<(), Failure> {
        self.cursor.advance();
        self.cursor.skip_blanks();
        let is_help = match self.cursor.word()? {
            b"HELP" => true,
            b"TYPE" => false,
            _ => return self.cursor.skip_line(),
        };
        self.cursor.skip_blanks();
        let name = self.commented_name()?;
        match self.cursor.peek()? {
            // A name alone says nothing.
            b'\n' => return self.cursor.skip_line(),
            b' ' | b'\t' => self.cursor.skip_blanks(),
            _ => return Err(ParseErrorKind::MetricNameInComment.into()),
        }
        let target = self.collector.resolve(name.map_err(ParseErrorKind::MetricName)?);
        if self.cursor.peek()? != b'\n' {
            if is_help { self.help(target)? } else { self.metric_type(target)? }
        }
        self.cursor.skip_line()
    }

    /// The metric name in a comment; empty if there is none.
    fn commented_name(&mut self) -> Result<Result<&'a str, Excerpt>, Failure> {
        if self.cursor.peek()? == b'"' {
            Ok(self.cursor.quoted_name(NameKind::Metric, self.scheme).map_err(in_metric_name)?)
        } else {
            self.cursor.bare_name(NameKind::Metric).map(Ok)
        }
    }

    fn help(&mut self, target: Target) -> Result<(), Failure> {
        let family = self.collector.family(target);
        if family.help.is_some() {
            return Err(ParseErrorKind::SecondHelp(excerpt(&family.name)).into());
        }
        let help = self.cursor.help()?;
        self.collector.family(target).help = Some(help);
        Ok(())
    }

    fn metric_type(&mut self, target: Target) -> Result<(), Failure> {
        let family = self.collector.family(target);
        if family.type_is_declared || !family.series.is_empty() {
            return Err(ParseErrorKind::SecondType(excerpt(&family.name)).into());
        }
        let word = self.cursor.rest_of_line()?;
        let metric_type = metric_type(word).ok_or_else(|| ParseErrorKind::UnknownType(Excerpt::new(word)))?;
        let family = self.collector.family(target);
        family.metric_type = metric_type;
        family.type_is_declared = true;
        Ok(())
    }

    /// Reads a sample, to the end of its line.
    fn sample(&mut self) -> Result<(), Failure> {
        if self.sample_like_the_last()? {
            return Ok(());
        }
        let start = self.cursor.position();
        let first_label = self.collector.label_count();
        let target = match self.cursor.peek()? {
            b'{' => None,
            b'"' => {
                let name = self.cursor.quoted_name(NameKind::Metric, self.scheme).map_err(in_metric_name)?;
                Some(self.named(name)?)
            }
            _ => {
                let name = self.cursor.bare_name(NameKind::Metric)?;
                Some(self.named(Ok(name))?)
            }
        };
        self.cursor.skip_blanks();
        let target = if self.cursor.peek()? == b'{' {
            self.cursor.advance();
            self.labels(target, first_label)?
        } else {
            target
        };
        let target = target.ok_or(ParseErrorKind::NoMetricName)?;
        let bound = self.collector.take_bound(target, first_label)?;
        self.check_label_count(Some(target), first_label, self.limits.labels_max)?;
        self.parts.spend(usize::from(bound.is_some())).map_err(ParseErrorKind::from)?;
        if bound.is_some_and(|bound| bound.was_last_label) {
            self.template = up_to_last_value(self.cursor.since(start)).map(|before| (before, target));
        }
        self.cursor.skip_blanks();
        let value = self.value()?;
        let has_timestamp = self.timestamp()?;
        let line = Line { number: self.line, first_label, has_timestamp };
        self.collector.add(target, line, bound.map(|bound| bound.value), value);
        Ok(())
    }

    /// Reads a sample that differs from the last bucket or quantile only in its bound and value, as nearly
    /// all buckets do; whether it is one. Nothing is read if it is not.
    #[inline]
    fn sample_like_the_last(&mut self) -> Result<bool, Failure> {
        let Some((text, target)) = self.template else { return Ok(false) };
        let Some(bound) = self.cursor.bound_after(text) else {
            self.template = None;
            return Ok(false);
        };
        self.cursor.skip_blanks();
        let value = self.value()?;
        let has_timestamp = self.timestamp()?;
        self.parts.spend(1).map_err(ParseErrorKind::from)?;
        self.collector.add_to_last(target, has_timestamp, bound, value);
        Ok(true)
    }

    /// The family that a sample of this name belongs to.
    fn named(&mut self, name: Result<&'a str, Excerpt>) -> Result<Target, Failure> {
        match name {
            Ok("") => Err(ParseErrorKind::NoMetricName.into()),
            Ok(name) => Ok(self.collector.resolve(name)),
            // An empty name in quotes is missing rather than wrong.
            Err(name) if name.is_empty() => Err(ParseErrorKind::NoMetricName.into()),
            Err(name) => Err(ParseErrorKind::MetricName(name).into()),
        }
    }

    /// Reads what stands between the braces, up to and with the closing one. The metric's name may be among
    /// it unless it came before (`outer`).
    fn labels(&mut self, outer: Option<Target>, first_label: u32) -> Result<Option<Target>, Failure> {
        let mut target = outer;
        loop {
            self.cursor.skip_blanks();
            if self.cursor.peek()? == b'}' {
                self.cursor.advance();
                return Ok(target);
            }
            match self.label_or_name(target, outer.is_some())? {
                LabelOrName::Label(name) => {
                    if name == METRIC_NAME_LABEL {
                        return Err(ParseErrorKind::ReservedLabelName.into());
                    }
                    self.collector.check_label_name(name, first_label).map_err(|()| {
                        ParseErrorKind::DuplicateLabelName { metric: self.metric_so_far(target) }
                    })?;
                    self.label_value(name)?;
                    // One of them may be a bound, which does not count.
                    let max = self.limits.labels_max.saturating_add(1);
                    self.check_label_count(target, first_label, max)?;
                }
                LabelOrName::Name(name) => target = Some(self.collector.resolve(name)),
            }
            if self.cursor.peek()? == b',' {
                self.cursor.advance();
            }
        }
    }

    /// Reads a label name with its equals sign, or a metric name.
    #[inline]
    fn label_or_name(
        &mut self,
        target: Option<Target>,
        name_is_outside: bool,
    ) -> Result<LabelOrName<'a>, Failure> {
        if self.cursor.peek()? != b'"' {
            let name = self.cursor.bare_name(NameKind::Label)?;
            if name.is_empty() {
                return Err(ParseErrorKind::NoLabelName { metric: self.metric_so_far(target) }.into());
            }
            self.cursor.skip_blanks();
            if self.cursor.peek()? == b'=' {
                self.cursor.advance();
                return Ok(LabelOrName::Label(name));
            }
            return self.inner_name(Ok(name), target, name_is_outside);
        }
        // What it must be valid as is known only from the byte behind it.
        let quoted = self.cursor.quoted_name(NameKind::Metric, self.scheme).map_err(|error| match error {
            QuotedError::Newline(beginning) => ParseErrorKind::NewlineInLabelName(beginning).into(),
            QuotedError::Other(kind) => kind,
        })?;
        if quoted.as_ref().is_err_and(Excerpt::is_empty) {
            return Err(ParseErrorKind::NoLabelName { metric: self.metric_so_far(target) }.into());
        }
        self.cursor.skip_blanks();
        if self.cursor.peek()? == b'=' {
            self.cursor.advance();
            let name = quoted.map_err(ParseErrorKind::LabelName)?;
            if !self.scheme.is_label_name(name) {
                return Err(ParseErrorKind::LabelName(excerpt(name)).into());
            }
            return Ok(LabelOrName::Label(name));
        }
        self.inner_name(quoted, target, name_is_outside)
    }

    /// Takes a name without an equals sign behind it for the metric's, if that may stand there.
    fn inner_name(
        &self,
        name: Result<&'a str, Excerpt>,
        target: Option<Target>,
        name_is_outside: bool,
    ) -> Result<LabelOrName<'a>, Failure> {
        let found = self.cursor.peek()?;
        if name_is_outside {
            return Err(ParseErrorKind::NoEqualsSign(FoundByte(found)).into());
        }
        if target.is_some() {
            return Err(ParseErrorKind::SecondMetricName(self.metric_so_far(target)).into());
        }
        if !matches!(found, b',' | b'}') {
            return Err(ParseErrorKind::AfterMetricName(FoundByte(found)).into());
        }
        name.map(LabelOrName::Name).map_err(|name| ParseErrorKind::MetricName(name).into())
    }

    /// Reads a label value and steps to the comma or brace behind it.
    #[inline]
    fn label_value(&mut self, name: &'a str) -> Result<(), Failure> {
        self.cursor.skip_blanks();
        let found = self.cursor.peek()?;
        if found != b'"' {
            return Err(ParseErrorKind::NoOpeningQuote(FoundByte(found)).into());
        }
        let quoted = self.cursor.quoted().map_err(|error| match error {
            QuotedError::Newline(beginning) => ParseErrorKind::NewlineInLabelValue(beginning).into(),
            QuotedError::Other(kind) => kind,
        })?;
        let value = self.cursor.text_of(quoted).map_err(ParseErrorKind::LabelValue)?;
        self.cursor.skip_blanks();
        if !matches!(self.cursor.peek()?, b',' | b'}') {
            return Err(ParseErrorKind::AfterLabelValue(excerpt(&value)).into());
        }
        self.collector.push_label(BorrowedLabel { name, value });
        Ok(())
    }

    /// Checks that the sample whose labels begin at `first_label` has no more than `max` of them so far.
    #[inline]
    fn check_label_count(&self, target: Option<Target>, first_label: u32, max: usize) -> Result<(), Failure> {
        let found = (self.collector.label_count() - first_label) as usize;
        if found <= max {
            return Ok(());
        }
        let over = TooManyLabels { metric: self.metric_so_far(target), found, max: self.limits.labels_max };
        Err(ParseErrorKind::from(over).into())
    }

    #[inline]
    fn value(&mut self) -> Result<f64, Failure> {
        let word = self.cursor.word()?;
        number::parse(word).ok_or_else(|| ParseErrorKind::Value(Excerpt::new(word)).into())
    }

    /// Reads what follows the value, to the end of the line; whether that is a timestamp.
    #[inline]
    fn timestamp(&mut self) -> Result<bool, Failure> {
        if self.cursor.peek()? == b'\n' {
            self.cursor.advance();
            return Ok(false);
        }
        self.cursor.skip_blanks();
        let word = self.cursor.word()?;
        if !is_integer(word) {
            return Err(ParseErrorKind::Timestamp(Excerpt::new(word)).into());
        }
        let behind = self.cursor.rest_of_line()?;
        if !behind.is_empty() {
            return Err(ParseErrorKind::AfterTimestamp(Excerpt::new(behind)).into());
        }
        self.cursor.advance();
        Ok(true)
    }

    /// The metric's name, as far as it is known, for a message.
    #[cold]
    fn metric_so_far(&self, target: Option<Target>) -> Excerpt {
        target.map_or_else(|| Excerpt::new(b""), |target| excerpt(self.collector.family_name(target)))
    }
}

/// The sample up to and with the opening quote of its last label's value, given all up to the closing
/// brace; `None` where it is laid out in an unusual way.
fn up_to_last_value(text: &[u8]) -> Option<&[u8]> {
    let value_start = memchr::memrchr(b'"', text.strip_suffix(b"\"}")?)? + 1;
    let before = &text[..value_start];
    before.ends_with(b"=\"").then_some(before)
}

fn in_metric_name(error: QuotedError) -> ParseErrorKind {
    match error {
        QuotedError::Newline(beginning) => ParseErrorKind::NewlineInMetricName(beginning),
        QuotedError::Other(kind) => *kind,
    }
}

fn excerpt(text: &str) -> Excerpt {
    Excerpt::new(text.as_bytes())
}

/// Whether the word is an integer of 64 bits, with or without a sign.
fn is_integer(word: &[u8]) -> bool {
    std::str::from_utf8(word).is_ok_and(|word| word.parse::<i64>().is_ok())
}

/// The type of that name, in any case. A gauge histogram is none of the classic types; like Pushgateway's newer
/// versions we know it by both of its names.
fn metric_type(word: &[u8]) -> Option<MetricType> {
    let types = [
        MetricType::Counter,
        MetricType::Gauge,
        MetricType::Histogram,
        MetricType::Summary,
        MetricType::Untyped,
        MetricType::GaugeHistogram,
    ];
    let word =
        if word.eq_ignore_ascii_case(b"gauge_histogram") { b"gaugehistogram".as_slice() } else { word };
    types.into_iter().find(|metric_type| metric_type.as_str().as_bytes().eq_ignore_ascii_case(word))
}
