//! The records of the store: their keys and how they are written. `docs/storage-format.md` describes them.
//!
//! Every key begins with the number of the node that owns the record, so that several gateways can share
//! one store some day; every value begins with a version. What is written is always an absolute state, of
//! a whole page or of some of its slots, and never a difference.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

use crate::aggregation::{Exemplars, State};
use crate::model::{GroupingKey, LabelSet, MetricType, Stamp};

use super::family::{Family, FamilyId, Texts};
use super::group::{GroupId, PushTimes};
use super::layout::PageLayout;
use super::page::Page;
use super::slot_set::SlotSet;

/// The version that values begin with. In version 1 the times of a group's last push stood in the group's
/// record alone. Version 2 had no patches. Version 3 had neither vacant slots, nor exemplars, nor the stamps of
/// the families on a page.
const VERSION: u8 = 4;

/// The node that owns the records; there is only one so far.
const NODE: u32 = 0;

/// The kinds of records, in the order of the keys: what is needed to understand a record comes before it.
mod kind {
    pub(super) const FAMILY: u8 = 1;
    pub(super) const GROUP: u8 = 2;
    pub(super) const LAYOUT: u8 = 3;
    pub(super) const PAGE: u8 = 4;
    pub(super) const FAILURE: u8 = 5;
    pub(super) const PATCH: u8 = 6;
}

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RecordKey {
    /// Name, type, HELP and unit of a family. The name is not part of the key.
    Family(FamilyId, Arc<str>),
    /// Grouping key and push time of a group. Without it what else there is of a group is stale.
    Group(GroupId),
    /// Whose values stand on a page.
    Layout(GroupId, usize),
    /// The values of a page, and the times of a push.
    Page(GroupId, usize),
    /// When a push to this group was last refused.
    Failure(Arc<GroupingKey>),
    /// The values of a few slots of a page that are newer than its own record, and the times of a push.
    Patch(GroupId, usize),
}

impl RecordKey {
    /// The key's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32);
        bytes.extend(NODE.to_be_bytes());
        match self {
            Self::Family(id, _) => {
                bytes.push(kind::FAMILY);
                bytes.extend(id.0.to_be_bytes());
            }
            Self::Group(id) => {
                bytes.push(kind::GROUP);
                bytes.extend(id.0.to_be_bytes());
            }
            Self::Layout(id, page) => encode_page_key(&mut bytes, kind::LAYOUT, *id, *page),
            Self::Page(id, page) => encode_page_key(&mut bytes, kind::PAGE, *id, *page),
            Self::Patch(id, page) => encode_page_key(&mut bytes, kind::PATCH, *id, *page),
            // Hashed, since keys are short in every store, and whoever pushes chooses the labels. Two keys of
            // one hash would share a record, and no more than a failure time would be lost.
            Self::Failure(key) => {
                bytes.push(kind::FAILURE);
                let labels = to_bytes(&pairs(key.labels()));
                bytes.extend(XxHash3_128::oneshot(&labels).to_be_bytes());
            }
        }
        bytes
    }
}

fn encode_page_key(bytes: &mut Vec<u8>, kind: u8, group: GroupId, page: usize) {
    bytes.push(kind);
    bytes.extend(group.0.to_be_bytes());
    bytes.extend(u32::try_from(page).expect("pages per group are limited").to_be_bytes());
}

/// A record as read from the store.
#[derive(Debug, PartialEq)]
pub(crate) enum Record {
    Family(FamilyId, FamilyRecord),
    Group(GroupId, GroupRecord),
    Layout(GroupId, usize, LayoutRecord),
    Page(GroupId, usize, PageRecord),
    Failure(GroupingKey, Stamp),
    Patch(GroupId, usize, PatchRecord),
}

/// A family's record.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FamilyRecord {
    pub(crate) name: String,
    pub(crate) metric_type: MetricType,
    pub(crate) help: Option<String>,
    pub(crate) unit: Option<String>,
}

/// A group's record.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) times: PushTimes,
}

/// The record of a page's values.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PageRecord {
    /// Those of the push that changed the page last, or of a later one. The group's are the newest in its
    /// records: so a push need not write the group's record beside the pages that it changes.
    pub(crate) times: PushTimes,
    /// How much older than the stamp of `times` those of the last pushes to the families are; see
    /// [`Touched`](super::touched::Touched).
    pub(crate) ages: Vec<u64>,
    /// The slots that hold no series, in ascending order.
    pub(crate) vacant: Vec<u8>,
    /// By slot, in ascending order, where there are any.
    pub(crate) exemplars: Vec<(u8, Exemplars)>,
    /// Of the slots that are not vacant.
    pub(crate) values: Vec<State>,
}

/// The record of the slots of a page that have changed since the page's own record was written.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PatchRecord {
    /// As in the page's record, and newer than there.
    pub(crate) times: PushTimes,
    /// As in the page's record, for all families of the page.
    pub(crate) ages: Vec<u64>,
    /// All exemplars of the slots below.
    pub(crate) exemplars: Vec<(u8, Exemplars)>,
    /// Slots, in ascending order, with their states.
    pub(crate) slots: Vec<(u8, State)>,
}

/// The record of a page's layout.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LayoutRecord {
    pub(crate) slots: Vec<SlotRecord>,
}

/// One slot of a layout.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SlotRecord {
    pub(crate) family: FamilyId,
    pub(crate) created: Stamp,
    pub(crate) labels: Vec<(String, String)>,
}

/// Why a record cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    /// It was written by a newer version of the program.
    #[error("a record has version {found}, and this program reads versions up to {VERSION}")]
    Newer { found: u8 },
    /// It is not what any version writes.
    #[error("a record cannot be read: {what}")]
    Malformed { what: &'static str },
}

/// The record of a family that has these texts.
pub(crate) fn encode_family(family: &Family, texts: &Texts) -> Vec<u8> {
    let text = |text: &Option<Arc<str>>| text.as_deref().map(ToOwned::to_owned);
    versioned(&FamilyRecord {
        name: family.name.to_string(),
        metric_type: family.metric_type,
        help: text(&texts.help),
        unit: text(&texts.unit),
    })
}

pub(crate) fn encode_group(key: &GroupingKey, times: PushTimes) -> Vec<u8> {
    versioned(&(pairs(key.labels()), times))
}

pub(crate) fn encode_layout(layout: &PageLayout) -> Vec<u8> {
    let slots = (0..layout.len()).map(|slot| {
        let labels: Vec<(&str, &str)> = layout.labels(slot).map(|label| (label.name, label.value)).collect();
        (layout.family(slot).id, layout.created(slot), labels)
    });
    versioned(&slots.collect::<Vec<_>>())
}

pub(crate) fn encode_page(page: &Page, times: PushTimes) -> Vec<u8> {
    let bytes_max = page.values.iter().map(State::weight).sum::<usize>() + page.exemplars.weight();
    let ages = page.touched.ages(times.last_stamp);
    let vacant: Vec<u8> = page.vacant.iter().map(number).collect();
    let exemplars: Vec<(u8, &Exemplars)> = page.exemplars.iter().collect();
    let mut bytes = versioned_with_capacity(bytes_max, &(times, ages, vacant, exemplars, page.series()));
    if page.vacant.is_empty() {
        page.values.iter().for_each(|state| state.encode(&mut bytes));
    } else {
        page.held_slots().for_each(|slot| page.values[slot].encode(&mut bytes));
    }
    bytes
}

/// The record of some slots of a page, none of which is vacant.
pub(crate) fn encode_patch(page: &Page, slots: &SlotSet, times: PushTimes) -> Vec<u8> {
    let ages = page.touched.ages(times.last_stamp);
    let exemplars: Vec<(u8, &Exemplars)> =
        page.exemplars.iter().filter(|(slot, _)| slots.contains((*slot).into())).collect();
    let slots: Vec<(u8, &State)> = slots.iter().map(|slot| (number(slot), &page.values[slot])).collect();
    let bytes_max = slots.iter().map(|(_, state)| state.weight()).sum();
    versioned_with_capacity(bytes_max, &(times, ages, exemplars, slots))
}

fn number(slot: usize) -> u8 {
    u8::try_from(slot).expect("a page has at most 256 slots")
}

pub(crate) fn encode_failure(key: &GroupingKey, time: Stamp) -> Vec<u8> {
    versioned(&(pairs(key.labels()), time))
}

/// Reads a record.
pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<Record, RecordError> {
    let malformed = |what| RecordError::Malformed { what };
    let (node, rest) = key.split_first_chunk::<4>().ok_or(malformed("its key is too short"))?;
    if u32::from_be_bytes(*node) != NODE {
        return Err(malformed("it belongs to another node"));
    }
    let (kind, id) = rest.split_first().ok_or(malformed("its key is too short"))?;
    match *kind {
        kind::FAMILY => Ok(Record::Family(FamilyId(decode_id(id)?), decode_value(value)?)),
        kind::GROUP => Ok(Record::Group(GroupId(decode_id(id)?), decode_value(value)?)),
        kind::LAYOUT => {
            let (group, page) = decode_page_key(id)?;
            Ok(Record::Layout(group, page, decode_value(value)?))
        }
        kind::PAGE => {
            let (group, page) = decode_page_key(id)?;
            Ok(Record::Page(group, page, decode_page(value)?))
        }
        kind::FAILURE => {
            let (labels, time): (Vec<(String, String)>, Stamp) = decode_value(value)?;
            let key = grouping_key(&labels).ok_or(malformed("its grouping key has no job"))?;
            Ok(Record::Failure(key, time))
        }
        kind::PATCH => {
            let (group, page) = decode_page_key(id)?;
            Ok(Record::Patch(group, page, decode_patch(value)?))
        }
        _ => Err(malformed("its key is of an unknown kind")),
    }
}

fn decode_page(value: &[u8]) -> Result<PageRecord, RecordError> {
    let (times, values) = match value.first() {
        Some(1) => (PushTimes::default(), decode_value(value)?),
        Some(2 | 3) => decode_value(value)?,
        _ => return decode_value(value),
    };
    Ok(PageRecord { times, ages: Vec::new(), vacant: Vec::new(), exemplars: Vec::new(), values })
}

fn decode_patch(value: &[u8]) -> Result<PatchRecord, RecordError> {
    if value.first() != Some(&3) {
        return decode_value(value);
    }
    let (times, slots) = decode_value(value)?;
    Ok(PatchRecord { times, ages: Vec::new(), exemplars: Vec::new(), slots })
}

/// Whether a value is of the version that is written today.
pub(crate) fn is_current(value: &[u8]) -> bool {
    value.first() == Some(&VERSION)
}

/// The grouping key of these labels; `None` if there is no job among them.
pub(crate) fn grouping_key(labels: &[(String, String)]) -> Option<GroupingKey> {
    GroupingKey::from_labels(LabelSet::new(labels.iter().map(|(name, value)| (&**name, &**value))))
}

fn decode_id(bytes: &[u8]) -> Result<u64, RecordError> {
    let bytes =
        bytes.try_into().map_err(|_| RecordError::Malformed { what: "its key has a wrong length" })?;
    Ok(u64::from_be_bytes(bytes))
}

fn decode_page_key(bytes: &[u8]) -> Result<(GroupId, usize), RecordError> {
    let malformed = RecordError::Malformed { what: "its key has a wrong length" };
    let (group, page) = bytes.split_first_chunk::<8>().ok_or(malformed.clone())?;
    let page = u32::from_be_bytes(page.try_into().map_err(|_| malformed)?);
    Ok((GroupId(u64::from_be_bytes(*group)), page as usize))
}

fn decode_value<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T, RecordError> {
    let malformed = |what| RecordError::Malformed { what };
    let (version, value) = value.split_first().ok_or(malformed("it is empty"))?;
    if *version > VERSION {
        return Err(RecordError::Newer { found: *version });
    }
    match postcard::take_from_bytes(value) {
        Ok((record, [])) => Ok(record),
        Ok(_) => Err(malformed("it is longer than what it says")),
        Err(_) => Err(malformed("its value does not fit its kind")),
    }
}

fn versioned(value: &impl Serialize) -> Vec<u8> {
    versioned_with_capacity(64, value)
}

/// The same, where it is known about how many bytes it takes.
fn versioned_with_capacity(bytes: usize, value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(bytes);
    bytes.push(VERSION);
    postcard::to_extend(value, bytes).expect("writing to a vector cannot fail")
}

fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("writing to a vector cannot fail")
}

fn pairs(labels: &LabelSet) -> Vec<(&str, &str)> {
    labels.iter().map(|label| (label.name, label.value)).collect()
}
