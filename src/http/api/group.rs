//! `/api/v1/metrics`: every group with its families and their series.

use super::super::time::rfc3339;
use super::stream::{Gone, Stream};
use super::{json, series};
use crate::gateway::{GroupFamily, GroupView, Snapshot};
use crate::model::Stamp;

/// The key of a group's labels.
const LABELS: &str = "labels";

/// The key that says how the last push to a group went.
const LAST_PUSH_SUCCESSFUL: &str = "last_push_successful";

/// What stands under a key of a group.
enum Member<'s> {
    Labels,
    LastPushSuccessful,
    Family(GroupFamily<'s>),
}

/// Writes the whole answer.
pub(super) fn write_all(stream: &mut Stream, snapshot: &Snapshot) -> Result<(), Gone> {
    stream.out.extend_from_slice(br#"{"status":"success","data":["#);
    for (at, group) in snapshot.groups().into_iter().enumerate() {
        stream.out.extend_from_slice(if at > 0 { b",{" } else { b"{" });
        write_group(stream, group)?;
        stream.out.push(b'}');
    }
    stream.out.extend_from_slice(b"]}");
    Ok(())
}

/// The members of a group by their keys: its families, and what is said of the group itself. A family named as
/// one of the latter is left out; a key must not stand there twice, and who reads it expects the group's.
fn members(group: GroupView<'_>) -> Vec<(&str, Member<'_>)> {
    let of_the_group = [(LABELS, Member::Labels), (LAST_PUSH_SUCCESSFUL, Member::LastPushSuccessful)];
    let families = group.families().into_iter().map(|family| (family.view.name, Member::Family(family)));
    let mut members: Vec<_> = families
        .filter(|(name, _)| ![LABELS, LAST_PUSH_SUCCESSFUL].contains(name))
        .chain(of_the_group)
        .collect();
    members.sort_by_key(|(name, _)| *name);
    members
}

fn write_group(stream: &mut Stream, group: GroupView<'_>) -> Result<(), Gone> {
    for (at, (key, member)) in members(group).into_iter().enumerate() {
        if at > 0 {
            stream.out.push(b',');
        }
        match member {
            Member::Labels => series::write_labels(&mut stream.out, group.key().iter()),
            Member::LastPushSuccessful => {
                let text = format!("\"{key}\":{}", group.last_push_succeeded());
                stream.out.extend_from_slice(text.as_bytes());
            }
            Member::Family(family) => write_family(stream, group, &family)?,
        }
    }
    Ok(())
}

fn write_family(stream: &mut Stream, group: GroupView<'_>, family: &GroupFamily<'_>) -> Result<(), Gone> {
    let view = &family.view;
    let out = &mut stream.out;
    json::string(out, view.name);
    out.extend_from_slice(br#":{"time_stamp":"#);
    json::string(out, &rfc3339(set_at(group, family).0));
    out.extend_from_slice(br#","type":"#);
    json::string(out, series::type_name(view.metric_type));
    if let Some(help) = view.help.as_deref().filter(|help| !help.is_empty()) {
        out.extend_from_slice(br#","help":"#);
        json::string(out, help);
    }
    out.extend_from_slice(br#","metrics":["#);
    let mut comma: &[u8] = b"";
    for one in view.stored_series() {
        let before = stream.out.len();
        stream.out.extend_from_slice(comma);
        if series::write(&mut stream.out, view.name, one.labels(), &one.value()) {
            comma = b",";
        } else {
            stream.out.truncate(before);
        }
        stream.pass_on_if_full()?;
    }
    stream.out.extend_from_slice(b"]}");
    Ok(())
}

/// When the family was last set. A push time that has never been set shows the other one, which came with it.
fn set_at(group: GroupView<'_>, family: &GroupFamily<'_>) -> Stamp {
    if family.last_push == Stamp::default() {
        group.push_time().max(group.push_failure_time())
    } else {
        family.last_push
    }
}
