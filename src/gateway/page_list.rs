//! Numbers of pages; nearly always there is one.

/// Numbers of pages, each once, in no order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum PageList {
    #[default]
    None,
    One(u32),
    #[allow(
        clippy::box_collection,
        reason = "there is a list for each family of each group, and a box is small"
    )]
    Many(Box<Vec<u32>>),
}

impl PageList {
    /// Adds a page, unless it is there.
    pub(crate) fn add(&mut self, page: usize) {
        let page = u32::try_from(page).expect("pages per group are limited");
        match self {
            Self::None => *self = Self::One(page),
            Self::One(own) if *own == page => {}
            Self::One(own) => *self = Self::Many(Box::new(vec![*own, page])),
            // The one that was added last is asked for most.
            Self::Many(own) if own.last() == Some(&page) || own.contains(&page) => {}
            Self::Many(own) => own.push(page),
        }
    }

    /// The pages.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        let pages: &[u32] = match self {
            Self::None => &[],
            Self::One(page) => std::slice::from_ref(page),
            Self::Many(pages) => pages.as_slice(),
        };
        pages.iter().map(|page| *page as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_there_once() {
        let mut list = PageList::default();
        for page in [3, 3, 1, 3, 7, 1, 7] {
            list.add(page);
        }
        assert_eq!(list.iter().collect::<Vec<_>>(), [3, 1, 7]);
        assert!(size_of::<PageList>() <= 16);
    }
}
