//! Exemplars: the newest for each place of a series.
//!
//! Which they are depends on what was pushed and on nothing else: not on the order, and not on how the pushes
//! were spread over parts that are combined later.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::model::{Exemplar, ExemplarPlace, LabelSet, MetricType, Stamp};

/// The exemplars of one series: the newest for each classic bucket, and so many of the newest for the series
/// as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Exemplars(
    /// By place; of one place the newest first, and none twice.
    Vec<Kept>,
);

/// An exemplar, and which push it came with last.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    stamp: Stamp,
    exemplar: Exemplar,
}

impl Exemplars {
    /// How many are kept for a series of this type as a whole: ten of a histogram, for its native part, as
    /// client libraries keep by default; one of any other.
    pub fn of_series_max(metric_type: MetricType) -> usize {
        match metric_type {
            MetricType::Histogram | MetricType::GaugeHistogram => 10,
            MetricType::Counter
            | MetricType::Gauge
            | MetricType::Summary
            | MetricType::Untyped
            | MetricType::Info
            | MetricType::StateSet => 1,
        }
    }

    /// Takes in what came with a push. Newer is what was pushed later; of one push, what was observed later. Of
    /// the place [`ExemplarPlace::Series`], `of_series_max` are kept, which must always be the same for one
    /// series. An exemplar that is pushed again is kept once.
    pub fn absorb(&mut self, pushed: &[Exemplar], stamp: Stamp, of_series_max: usize) {
        for exemplar in pushed {
            self.insert(Kept { stamp, exemplar: canonical(exemplar) }, of_series_max);
        }
    }

    /// Takes in those of another part of the same series.
    pub fn combine(&mut self, other: &Self, of_series_max: usize) {
        for kept in &other.0 {
            self.insert(kept.clone(), of_series_max);
        }
    }

    /// The exemplars, by place: the series as a whole first, then by bound. Of one place the newest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Exemplar> + Clone {
        self.0.iter().map(|kept| &kept.exemplar)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Roughly the bytes that they take.
    pub fn weight(&self) -> usize {
        let texts = |labels: &LabelSet| -> usize {
            labels.iter().map(|label| size_of::<[Box<str>; 2]>() + label.name.len() + label.value.len()).sum()
        };
        let of_one = |kept: &Kept| size_of::<Kept>() + texts(&kept.exemplar.labels);
        size_of::<Self>() + self.0.iter().map(of_one).sum::<usize>()
    }

    /// Whether they are what this code makes, as against what a store could hold.
    pub fn is_sound(&self) -> bool {
        let ascends = |a: &Kept, b: &Kept| a.by_place(b).then_with(|| b.by_age(a)) == Ordering::Less;
        self.0.is_sorted_by(ascends) && self.0.iter().all(Kept::is_sound)
    }

    fn insert(&mut self, new: Kept, of_series_max: usize) {
        let max = match new.exemplar.place {
            ExemplarPlace::Series => of_series_max,
            ExemplarPlace::Bucket(_) => 1,
        };
        let start = self.0.partition_point(|own| own.by_place(&new) == Ordering::Less);
        let mut end = start + self.0[start..].partition_point(|own| own.by_place(&new) == Ordering::Equal);
        if let Some(at) = self.0[start..end].iter().position(|own| own.is_again(&new)) {
            if self.0[start + at].stamp >= new.stamp {
                return;
            }
            self.0.remove(start + at);
            end -= 1;
        }
        let at = start + self.0[start..end].partition_point(|own| own.by_age(&new) == Ordering::Greater);
        if at < start + max {
            self.0.insert(at, new);
            end += 1;
        }
        if end > start + max {
            self.0.drain(start + max..end);
        }
    }
}

impl Kept {
    fn by_place(&self, other: &Self) -> Ordering {
        match (self.exemplar.place, other.exemplar.place) {
            (ExemplarPlace::Series, ExemplarPlace::Series) => Ordering::Equal,
            (ExemplarPlace::Series, ExemplarPlace::Bucket(_)) => Ordering::Less,
            (ExemplarPlace::Bucket(_), ExemplarPlace::Series) => Ordering::Greater,
            (ExemplarPlace::Bucket(own), ExemplarPlace::Bucket(other)) => own.total_cmp(&other),
        }
    }

    /// The newer is the greater.
    fn by_age(&self, other: &Self) -> Ordering {
        self.stamp.cmp(&other.stamp).then_with(|| self.by_content(other))
    }

    /// By the time observed, then by anything that does not depend on who is asked first.
    fn by_content(&self, other: &Self) -> Ordering {
        let (own, other) = (&self.exemplar, &other.exemplar);
        let times = match (own.timestamp, other.timestamp) {
            (Some(own), Some(other)) => own.total_cmp(&other),
            (own, other) => own.is_some().cmp(&other.is_some()),
        };
        times.then_with(|| own.value.total_cmp(&other.value)).then_with(|| own.labels.cmp(&other.labels))
    }

    /// Whether it is the same exemplar, pushed again.
    fn is_again(&self, other: &Self) -> bool {
        self.by_content(other) == Ordering::Equal
    }

    fn is_sound(&self) -> bool {
        let exemplar = &self.exemplar;
        let labels: Vec<_> = exemplar.labels.iter().collect();
        labels.is_sorted_by(|a, b| a.name < b.name)
            && labels.iter().all(|label| !label.value.is_empty())
            && exemplar.timestamp.is_none_or(f64::is_finite)
            && !matches!(exemplar.place, ExemplarPlace::Bucket(bound) if bound.is_nan())
    }
}

/// Bit for bit, so that one with a value that is not a number equals itself.
impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.by_place(other).then_with(|| self.by_age(other)) == Ordering::Equal
    }
}

/// With one bit pattern for all values that are not a number, no time that is not finite, and one zero among
/// the bounds and the times.
fn canonical(exemplar: &Exemplar) -> Exemplar {
    Exemplar {
        place: match exemplar.place {
            ExemplarPlace::Series => ExemplarPlace::Series,
            ExemplarPlace::Bucket(bound) => ExemplarPlace::Bucket(bound + 0.0),
        },
        labels: exemplar.labels.clone(),
        value: if exemplar.value.is_nan() { f64::NAN } else { exemplar.value },
        timestamp: exemplar.timestamp.filter(|time| time.is_finite()).map(|time| time + 0.0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    fn exemplar(place: ExemplarPlace, trace: &str, value: f64, timestamp: Option<f64>) -> Exemplar {
        Exemplar { place, labels: LabelSet::new([("trace_id", trace)]), value, timestamp }
    }

    fn of_series(trace: &str) -> Exemplar {
        exemplar(ExemplarPlace::Series, trace, 1.0, None)
    }

    fn traces(exemplars: &Exemplars) -> Vec<&str> {
        exemplars.iter().map(|exemplar| exemplar.labels.get("trace_id").unwrap()).collect()
    }

    #[test]
    fn the_newest_of_a_counter_is_kept() {
        let mut exemplars = Exemplars::default();
        assert!(exemplars.is_empty());
        exemplars.absorb(&[of_series("a")], Stamp(2), 1);
        exemplars.absorb(&[of_series("b")], Stamp(1), 1);
        assert_eq!(traces(&exemplars), ["a"]);
        exemplars.absorb(&[of_series("c")], Stamp(3), 1);
        exemplars.absorb(&[], Stamp(4), 1);
        assert_eq!(traces(&exemplars), ["c"]);
        assert!(!exemplars.is_empty() && exemplars.weight() > size_of::<Exemplars>());
    }

    #[test]
    fn of_one_push_the_one_observed_later_is_the_newer() {
        let mut exemplars = Exemplars::default();
        let at = |trace, timestamp| exemplar(ExemplarPlace::Series, trace, 1.0, timestamp);
        exemplars.absorb(
            &[at("late", Some(2.0)), at("early", Some(1.0)), at("some time", None)],
            Stamp(1),
            2,
        );
        assert_eq!(traces(&exemplars), ["late", "early"]);
    }

    #[test]
    fn every_bucket_has_its_own() {
        let mut exemplars = Exemplars::default();
        let of = |bound, trace| exemplar(ExemplarPlace::Bucket(bound), trace, 1.0, None);
        exemplars.absorb(&[of(f64::INFINITY, "c"), of(-0.0, "a"), of(1.0, "b")], Stamp(1), 10);
        exemplars.absorb(&[of(0.0, "d"), of_series("e")], Stamp(2), 10);
        assert_eq!(traces(&exemplars), ["e", "d", "b", "c"]);
    }

    #[test]
    fn a_native_histogram_has_ten_and_one_that_is_pushed_again_takes_one_place() {
        let max = Exemplars::of_series_max(MetricType::Histogram);
        let mut exemplars = Exemplars::default();
        for stamp in 0..20 {
            exemplars.absorb(&[of_series("again"), of_series(&format!("{stamp}"))], Stamp(stamp), max);
        }
        assert_eq!(traces(&exemplars), ["again", "19", "18", "17", "16", "15", "14", "13", "12", "11"]);
    }

    #[test]
    fn what_a_store_must_not_hold_is_noticed() {
        let kept = |exemplar| Kept { stamp: Stamp(1), exemplar };
        let sound = |kept: Vec<Kept>| Exemplars(kept).is_sound();
        assert!(sound(vec![kept(of_series("b")), kept(of_series("a"))]));
        assert!(!sound(vec![kept(of_series("a")), kept(of_series("b"))]));
        assert!(!sound(vec![kept(of_series("a")), kept(of_series("a"))]));
        assert!(!sound(vec![kept(exemplar(ExemplarPlace::Bucket(f64::NAN), "a", 1.0, None))]));
        assert!(!sound(vec![kept(exemplar(ExemplarPlace::Series, "a", 1.0, Some(f64::INFINITY)))]));
    }

    fn any_exemplar() -> impl Strategy<Value = Exemplar> {
        let place = prop_oneof![
            2 => Just(ExemplarPlace::Series),
            1 => prop::sample::select(vec![-0.0, 0.0, 1.0, f64::INFINITY]).prop_map(ExemplarPlace::Bucket),
        ];
        let value = prop::sample::select(vec![1.0, -0.0, f64::NAN, f64::from_bits(0x7ff0_0000_0000_0002)]);
        let timestamp = prop::sample::select(vec![None, Some(1.0), Some(2.0), Some(f64::NAN)]);
        (place, "[ab]", value, timestamp)
            .prop_map(|(place, trace, value, timestamp)| exemplar(place, &trace, value, timestamp))
    }

    proptest! {
        #[test]
        fn any_order_and_any_partition_gives_the_same(
            pushes in vec((vec(any_exemplar(), 0..4), (0_u64..5).prop_map(Stamp)), 1..10),
            picks in vec(any::<Index>(), 10),
            cut in any::<Index>(),
            max in 1_usize..4,
        ) {
            let of = |pushes: &[(Vec<Exemplar>, Stamp)]| {
                let mut exemplars = Exemplars::default();
                for (pushed, stamp) in pushes {
                    exemplars.absorb(pushed, *stamp, max);
                }
                exemplars
            };
            let whole = of(&pushes);
            prop_assert!(whole.is_sound());
            let mut permuted = pushes.clone();
            for i in (1..permuted.len()).rev() {
                permuted.swap(i, picks[i].index(i + 1));
            }
            prop_assert_eq!(&of(&permuted), &whole);
            let (left, right) = permuted.split_at(cut.index(permuted.len() + 1));
            let mut combined = of(right);
            combined.combine(&of(left), max);
            prop_assert_eq!(&combined, &whole);
            let bytes = postcard::to_stdvec(&whole).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Exemplars>(&bytes).unwrap(), whole);
        }
    }
}
