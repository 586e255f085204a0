//! Writing series of a family, page by page, and putting them in order afterwards: pages are read from
//! their beginning to their end, whatever the order of the exposition is.

use crate::exposition::text::LabelTemplate;
use crate::gateway::PageView;
use crate::model::Label;

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
}

impl Written {
    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.keys.clear();
    }
}

impl<'a> Lines<'a> {
    /// Writes these series of the family `name` in the place of what was written before. They are best given
    /// page by page.
    pub(super) fn write(name: &str, seen: &Seen<'_>, series: &'a [At], written: &'a mut Written) -> Self {
        written.clear();
        let mut shape = Shape::default();
        for of_page in series.chunk_by(|a, b| a.place() == b.place()) {
            let page = seen.page(of_page[0]);
            shape.labels.clear();
            for &at in of_page {
                shape.fit(&page, at);
                let own = page.own_labels(at.slot());
                written.keys.push(shape.labels(own.clone()));
                let own = own.map(|label| label.value);
                shape.template.write_series(&mut written.text, name, own, &page.value(at.slot()));
                written.ends.push(written.text.len());
            }
        }
        let tie = |a: u32, b: u32| seen.series(series[a as usize]).compare(&seen.series(series[b as usize]));
        written.keys.put_in_order(tie);
        Self { series, written }
    }

    /// The series with their lines, in the order of the exposition.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (At, &'a [u8])> {
        let (series, Written { text, ends, keys }) = (self.series, self.written);
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
            // A name is either the group's or the series' own.
            if own.next_if(|own| own.name == label.name).is_some() {
                self.labels.push(ShapeLabel::Own(label.name));
                self.template.push_open(label.name);
            } else {
                self.labels.push(ShapeLabel::OfGroup(label));
                self.template.push_fixed(label);
            }
        }
    }

    /// All labels of a series that it fits.
    fn labels<'a>(
        &'a self,
        mut own: impl Iterator<Item = Label<'s>> + 'a,
    ) -> impl ExactSizeIterator<Item = Label<'s>> {
        self.labels.iter().map(move |label| match label {
            ShapeLabel::OfGroup(label) => *label,
            ShapeLabel::Own(_) => own.next().expect("it has the labels that the shape has"),
        })
    }
}
