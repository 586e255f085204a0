//! Exemplars and timestamps, both ways.

use crate::model::{self, ExemplarPlace, LabelSet, NameScheme, Stamp};

use super::error::{Failure, ParseErrorKind};
use super::label;
use super::messages::{Exemplar, LabelPair, Timestamp};

/// The characters that the labels of an exemplar may have together, by the specification of `OpenMetrics`.
const LABEL_CHARS_MAX: usize = 128;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// An exemplar of `place`.
pub(super) fn read(
    exemplar: &Exemplar,
    place: ExemplarPlace,
    scheme: NameScheme,
) -> Result<model::Exemplar, Failure> {
    let mut labels = Vec::new();
    let mut found = 0;
    for pair in &exemplar.label {
        let name = label::name(pair.name.as_deref().unwrap_or_default(), scheme)?;
        let value = label::value(pair.value.as_deref().unwrap_or_default())?;
        if labels.iter().any(|(other, _)| *other == name) {
            return Err(ParseErrorKind::DuplicateLabelName(format!("{name:?}")).into());
        }
        labels.push((name, value));
        // Looked at as it goes on, so that there are never many to compare with.
        found += name.chars().count() + value.chars().count();
        if found > LABEL_CHARS_MAX {
            return Err(ParseErrorKind::LongExemplar { found, max: LABEL_CHARS_MAX }.into());
        }
    }
    Ok(model::Exemplar {
        place,
        labels: LabelSet::new(labels),
        value: exemplar.value.unwrap_or(0.0),
        timestamp: exemplar.timestamp.as_ref().map(|time| seconds(time, "exemplar's")).transpose()?,
    })
}

/// The message that says it.
pub(super) fn message(exemplar: &model::Exemplar) -> Exemplar {
    let pair = |label: model::Label<'_>| LabelPair {
        name: Some(label.name.as_bytes().to_vec()),
        value: Some(label.value.as_bytes().to_vec()),
    };
    Exemplar {
        label: exemplar.labels.iter().map(pair).collect(),
        value: Some(exemplar.value),
        timestamp: exemplar.timestamp.and_then(of_seconds),
    }
}

/// Checks a created timestamp, of which nothing is kept.
pub(super) fn check_created(created: Option<&Timestamp>) -> Result<(), Failure> {
    created.map_or(Ok(()), |created| seconds(created, "created").map(|_| ()))
}

/// Seconds since the Unix epoch.
#[allow(clippy::cast_precision_loss, reason = "seconds as a floating-point number are what the model has")]
fn seconds(timestamp: &Timestamp, what: &'static str) -> Result<f64, Failure> {
    let nanos = timestamp.nanos.unwrap_or(0);
    if !(0..NANOS_PER_SECOND).contains(&u64::try_from(nanos).unwrap_or(u64::MAX)) {
        return Err(ParseErrorKind::Nanoseconds(what, nanos).into());
    }
    Ok(timestamp.seconds.unwrap_or(0) as f64 + f64::from(nanos) / NANOS_PER_SECOND as f64)
}

/// The timestamp that is so many seconds after the Unix epoch; `None` of what is no time.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "what does not fit becomes the nearest that does"
)]
fn of_seconds(seconds: f64) -> Option<Timestamp> {
    if !seconds.is_finite() {
        return None;
    }
    let whole = seconds.floor();
    let nanos = ((seconds - whole) * NANOS_PER_SECOND as f64).round() as i32;
    let (carried, nanos) = if nanos == 1_000_000_000 { (1.0, 0) } else { (0.0, nanos) };
    Some(Timestamp { seconds: Some((whole + carried) as i64), nanos: Some(nanos) })
}

/// The timestamp of a stamp.
pub(super) fn of_stamp(stamp: Stamp) -> Timestamp {
    let part = |number: u64| i64::try_from(number).expect("it is less than 2^64 divided by 10^9");
    let nanos = i32::try_from(stamp.0 % NANOS_PER_SECOND).expect("it is less than 10^9");
    Timestamp { seconds: Some(part(stamp.0 / NANOS_PER_SECOND)), nanos: Some(nanos) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn timestamp(seconds: i64, nanos: i32) -> Timestamp {
        Timestamp { seconds: Some(seconds), nanos: Some(nanos) }
    }

    #[test]
    fn seconds_have_their_fraction() {
        assert_eq!(seconds(&timestamp(3, 500_000_000), "created").unwrap(), 3.5);
        assert_eq!(of_seconds(3.5), Some(timestamp(3, 500_000_000)));
        assert_eq!(of_seconds(-0.25), Some(timestamp(-1, 750_000_000)));
        assert_eq!(of_seconds(0.999_999_999_9), Some(timestamp(1, 0)));
        assert_eq!(of_seconds(f64::NAN), None);
        assert_eq!(of_seconds(f64::INFINITY), None);
        assert_eq!(of_stamp(Stamp(1_700_000_000_123_456_789)), timestamp(1_700_000_000, 123_456_789));
        assert_eq!(of_stamp(Stamp(u64::MAX)).nanos, Some(709_551_615));
    }

    #[test]
    fn a_second_has_so_many_nanoseconds() {
        for nanos in [-1, 1_000_000_000, i32::MIN, i32::MAX] {
            let error = seconds(&timestamp(0, nanos), "created").unwrap_err();
            assert!(error.to_string().contains("nanoseconds"), "{error}");
        }
        assert_eq!(check_created(None), Ok(()));
        assert!(check_created(Some(&timestamp(1, -1))).is_err());
    }

    #[test]
    fn the_labels_of_an_exemplar_are_valid_and_few() {
        let read_with = |pairs: &[(&str, &str)]| {
            let label = pairs
                .iter()
                .map(|(name, value)| LabelPair {
                    name: Some(name.as_bytes().to_vec()),
                    value: Some(value.as_bytes().to_vec()),
                })
                .collect();
            let exemplar = Exemplar { label, value: Some(1.0), timestamp: None };
            read(&exemplar, ExemplarPlace::Series, NameScheme::Legacy).map_err(|failure| failure.to_string())
        };
        let fits = "x".repeat(LABEL_CHARS_MAX - 2);
        assert_eq!(read_with(&[("id", &fits)]).unwrap().labels.get("id"), Some(&*fits));
        assert!(read_with(&[("id", &"é".repeat(LABEL_CHARS_MAX - 2))]).is_ok(), "characters, not bytes");
        for (pairs, text) in [
            (&[("id", &*format!("{fits}x"))][..], "129 characters"),
            (&[("a", "1"), ("a", "1")], "same name"),
            (&[("", "1")], "label name"),
            (&[("a.b", "1")], "label name"),
        ] {
            let error = read_with(pairs).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }

    proptest! {
        #[test]
        fn times_survive_being_written(whole in any::<i64>(), nanos in 0..1_000_000_000_i32) {
            let once = seconds(&timestamp(whole, nanos), "created").unwrap();
            let again = seconds(&of_seconds(once).unwrap(), "created").unwrap();
            prop_assert_eq!(once, again);
        }

        #[test]
        fn times_of_this_century_survive_being_written(whole in 0..4_000_000_000_i64, nanos in 0..1_000_000_000_i32) {
            let once = seconds(&timestamp(whole, nanos), "created").unwrap();
            let again = seconds(&of_seconds(once).unwrap(), "created").unwrap();
            prop_assert_eq!(once, again);
        }
    }
}
