//! Writing series of a family, page by page, and putting them in order afterwards: pages are read from
//! their beginning to their end, whatever the order of the exposition is.

use std::borrow::Cow;

use crate::exposition::names::Escaping;
use crate::exposition::{LabelTemplate, Name};
use crate::gateway::PageView;
use crate::model::Label;

use super::super::view::View;
use super::order::Keys;
use super::pages::{At, Seen};

/// The lines of some series.
pub(super) struct Lines<'a> {
    series: &'a [At],
    written: &'a Written,
}

/// What is written of one family, in memory that the next one uses again: that of a large family is more than
/// the system likes to give and take back ten times in a scrape.
#[derive(Default)]
pub(super) struct Written {
    text: Vec<u8>,
    /// Where the lines of each series end.
    ends: Vec<usize>,
    keys: Keys,
    /// Whether the name of any label is not shown as it was pushed.
    pub(super) has_escaped_labels: bool,
}

impl Written {
    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.keys.clear();
        self.has_escaped_labels = false;
    }
}

impl<'a> Lines<'a> {
    /// Writes these series of the family that the view shows as `name` in the place of what was written before.
    /// They are best given page by page.
    pub(super) fn write(
        view: View,
        name: &str,
        seen: &Seen<'_>,
        series: &'a [At],
        written: &'a mut Written,
    ) -> Self {
        written.clear();
        let name = Name::new(name);
        let mut shape = Shape { escaping: view.escaping, ..Shape::default() };
        for of_page in series.chunk_by(|a, b| a.place() == b.place()) {
            let page = seen.page(of_page[0]);
            shape.labels.clear();
            for &at in of_page {
                shape.fit(&page, at);
                let own = page.own_labels(at.slot());
                written.keys.push(shape.labels(own.clone()));
                let own = own.map(|label| label.value);
                let value = page.value(at.slot());
                let extras = view.extras(&page.at(at.slot()));
                let labels = shape.labels(page.own_labels(at.slot()));
                let out = &mut written.text;
                view.write_templated(out, name, &shape.template, own, labels, &value, &extras);
                written.ends.push(written.text.len());
            }
        }
        written.has_escaped_labels = shape.has_escaped;
        let tie = |a: u32, b: u32| seen.series(series[a as usize]).compare(&seen.series(series[b as usize]));
        written.keys.put_in_order(tie);
        Self { series, written }
    }

    /// The series with their lines, in the order of the exposition.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (At, &'a [u8])> {
        let (series, Written { text, ends, keys, .. }) = (self.series, self.written);
        keys.in_order().map(move |index| {
            let index = index as usize;
            let start = if index == 0 { 0 } else { ends[index - 1] };
            (series[index], &text[start..ends[index]])
        })
    }
}

/// The labels of a series that stay the same for its neighbours on the page.
#[derive(Default)]
struct Shape<'s> {
    /// In the order of the exposition; what differs from series to series has a name only.
    labels: Vec<ShapeLabel<'s>>,
    template: LabelTemplate,
    escaping: Escaping,
    /// Whether the name of any label, of this shape or one before, is not shown as it was pushed.
    has_escaped: bool,
}

#[derive(Clone, Copy)]
enum ShapeLabel<'s> {
    OfGroup(Label<'s>),
    Own(&'s str),
}

impl<'s> Shape<'s> {
    /// Makes it fit a series of the page that it was made for, or any if it is empty.
    fn fit(&mut self, page: &PageView<'s>, at: At) {
        if self.labels.is_empty() || !self.fits(page.own_labels(at.slot())) {
            self.become_of(page, at);
        }
    }

    fn fits(&self, mut own: impl ExactSizeIterator<Item = Label<'s>>) -> bool {
        let names = self.labels.iter().filter_map(|label| match label {
            ShapeLabel::OfGroup(_) => None,
            ShapeLabel::Own(name) => Some(*name),
        });
        for name in names {
            if own.next().is_none_or(|label| label.name != name) {
                return false;
            }
        }
        own.next().is_none()
    }

    fn become_of(&mut self, page: &PageView<'s>, at: At) {
        self.labels.clear();
        self.template.clear();
        let mut own = page.own_labels(at.slot()).peekable();
        for label in page.at(at.slot()).labels() {
            let name = self.escaping.label_name(label.name);
            self.has_escaped |= matches!(name, Cow::Owned(_));
            // A name is either the group's or the series' own.
            if own.next_if(|own| own.name == label.name).is_some() {
                self.labels.push(ShapeLabel::Own(label.name));
                self.template.push_open(&name);
            } else {
                self.labels.push(ShapeLabel::OfGroup(label));
                self.template.push_fixed(Label { name: &name, ..label });
            }
        }
    }

    /// All labels of a series that it fits.
    fn labels<'a>(
        &'a self,
        mut own: impl Iterator<Item = Label<'s>> + Clone + 'a,
    ) -> impl ExactSizeIterator<Item = Label<'s>> + Clone {
        self.labels.iter().map(move |label| match label {
            ShapeLabel::OfGroup(label) => *label,
            ShapeLabel::Own(_) => own.next().expect("it has the labels that the shape has"),
        })
    }
}
