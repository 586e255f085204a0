//! One group of a snapshot, with what it holds: for those who ask by group and not by family.

use crate::model::{GroupingKey, Stamp};

use super::snapshot::{self, FamilyView, HeldGroup};

/// One group of a snapshot.
#[derive(Clone, Copy)]
pub struct GroupView<'s> {
    group: &'s HeldGroup,
}

/// What a group holds of one family.
pub struct GroupFamily<'s> {
    /// The family, with those of its series that are in the group.
    pub view: FamilyView<'s>,
    /// The last push to the family in this group: a stamp is the time of its push, unless the clock had stepped
    /// back. For the push times it is their own value.
    pub last_push: Stamp,
}

impl<'s> GroupView<'s> {
    pub(super) fn new(group: &'s HeldGroup) -> Self {
        Self { group }
    }

    /// Its grouping key, which has its labels and the path under which it is pushed and deleted.
    pub fn key(&self) -> &'s GroupingKey {
        &self.group.key
    }

    /// When a push to it last succeeded; the epoch if none ever did.
    pub fn push_time(&self) -> Stamp {
        self.group.times.push_time
    }

    /// When a push to it was last refused; the epoch if none ever was.
    pub fn push_failure_time(&self) -> Stamp {
        self.group.failure_time
    }

    /// Whether the last push that was judged was not refused.
    pub fn last_push_succeeded(&self) -> bool {
        self.push_failure_time() <= self.push_time()
    }

    /// What it holds, by the names of the families; the two push times are among them.
    pub fn families(&self) -> Vec<GroupFamily<'s>> {
        let families = snapshot::families(std::slice::from_ref(self.group)).into_iter();
        families.map(|view| GroupFamily { last_push: view.last_push(), view }).collect()
    }
}
