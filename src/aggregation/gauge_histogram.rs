//! Gauge histograms: the newest push counts.

use serde::{Deserialize, Serialize};

use crate::model::{Bucket, Counts, Histogram as Pushed, NativeCounts, NativeHistogram, Stamp, Value};

use super::error::{ValueError, increment};
use super::gauge;
use super::histogram::{cumulative, of_defect};
use super::native_histogram::canonical;
use super::newest::Newest;

/// What one push says is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GaugeHistogramContribution {
    /// By bound, each bound once, `+Inf` last; cumulative. None if there is only a native part.
    buckets: Vec<Bucket>,
    count: f64,
    /// Any number, with one bit pattern for all that are none.
    sum: f64,
    native: Option<Box<NativeHistogram>>,
}

/// The sum bit for bit, so that one that is not a number equals itself.
impl PartialEq for GaugeHistogramContribution {
    fn eq(&self, other: &Self) -> bool {
        (&self.buckets, self.count, self.sum.to_bits(), &self.native)
            == (&other.buckets, other.count, other.sum.to_bits(), &other.native)
    }
}

impl GaugeHistogramContribution {
    /// Checks a pushed gauge histogram. Its counts need not be whole, and a missing sum is 0.
    pub(super) fn new(pushed: &Pushed) -> Result<Self, ValueError> {
        if let Some(defect) = pushed.defect {
            return Err(match of_defect(defect) {
                ValueError::BareSample { .. } => ValueError::BareSample {
                    metric_type: "gaugehistogram",
                    expected: "_bucket, _gsum and _gcount",
                },
                error => error,
            });
        }
        let sum = gauge::contribution(pushed.sum.unwrap_or(0.0));
        let native = pushed.native.as_deref().map(|part| canonical(part, sum)).transpose()?;
        let count = match (native.as_ref().map(NativeHistogram::count), pushed.count) {
            (Some(native), Some(count)) if native != count => {
                return Err(ValueError::PartsContradiction { count, native });
            }
            (native, count) => native.or(count),
        };
        let buckets = if native.is_some() && pushed.buckets.is_empty() {
            Vec::new()
        } else {
            rising(cumulative(&pushed.buckets, count)?)?
        };
        let infinite = buckets.last().map(|bucket| bucket.cumulative_count);
        let count = count.or(infinite).expect("there is a count or the bucket +Inf");
        Ok(Self { buckets, count: count + 0.0, sum, native: native.map(Box::new) })
    }

    /// How many bounds it has, `+Inf` included.
    pub(super) fn bounds(&self) -> usize {
        self.buckets.len().max(self.native.as_ref().map_or(0, |native| native.custom_bounds.len() + 1))
    }

    fn is_sound(&self) -> bool {
        let buckets_are_sound = if self.buckets.is_empty() {
            self.native.is_some()
        } else {
            cumulative(&self.buckets, Some(self.count))
                .and_then(rising)
                .is_ok_and(|buckets| buckets == self.buckets)
        };
        let native = self.native.as_deref();
        buckets_are_sound && native.is_none_or(|native| native_is_sound(native, self.sum))
    }

    fn weight(&self) -> usize {
        /// A bucket with its index, as large as one on its own can be.
        const BUCKET: usize = size_of::<(i32, u64)>();
        let native = self.native.as_deref().map_or(0, |native| {
            size_of::<NativeHistogram>()
                + native.custom_bounds.len() * size_of::<f64>()
                + native.populated() * BUCKET
        });
        self.buckets.len() * size_of::<Bucket>() + native
    }
}

/// Whether a stored native part is as [`canonical`] makes it. A count that is not whole may be a little off its
/// buckets, and by rounding them it may have come a little further: so it is judged by itself.
fn native_is_sound(native: &NativeHistogram, sum: f64) -> bool {
    let NativeCounts::Float(counts) = &native.counts else {
        return canonical(native, sum).as_ref() == Ok(native);
    };
    let sides = counts.positive.iter().chain(&counts.negative);
    let total = sides.map(|(_, count)| count).sum::<f64>() + counts.zero;
    let mut adding_up = native.clone();
    adding_up.counts = NativeCounts::Float(Counts { count: total.min(f64::MAX), ..counts.clone() });
    increment("the count", counts.count).is_ok() && canonical(&adding_up, sum).as_ref() == Ok(&adding_up)
}

/// Refuses counts that are none, and counts that fall.
fn rising(mut buckets: Vec<Bucket>) -> Result<Vec<Bucket>, ValueError> {
    let mut below = 0.0;
    for bucket in &mut buckets {
        let count = increment("the count of a bucket", bucket.cumulative_count)? + 0.0;
        if count < below {
            return Err(ValueError::FallingBuckets { bound: bucket.upper_bound, count, below });
        }
        bucket.cumulative_count = count;
        below = count;
    }
    Ok(buckets)
}

/// A gauge histogram; the newest push counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GaugeHistogram(Newest<GaugeHistogramContribution>);

impl GaugeHistogram {
    pub(super) fn new(pushed: &GaugeHistogramContribution, stamp: Stamp) -> Self {
        Self(Newest::new(pushed, stamp))
    }

    pub(super) fn absorb(&mut self, pushed: &GaugeHistogramContribution, stamp: Stamp) {
        self.0.absorb(pushed, stamp);
    }

    pub(super) fn combine(&mut self, other: &Self) {
        self.0.combine(&other.0);
    }

    /// Whether it is what this code makes, as against what a store could hold.
    pub(super) fn is_sound(&self) -> bool {
        self.0.value().is_sound()
    }

    /// Roughly the bytes that it takes.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.0.value().weight()
    }

    pub(super) fn expose(&self) -> Value {
        let GaugeHistogramContribution { buckets, count, sum, native } = self.0.value().clone();
        Value::GaugeHistogram(Box::new(Pushed {
            buckets,
            sum: Some(sum),
            count: Some(count),
            defect: None,
            native,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Defect;

    const INF: f64 = f64::INFINITY;

    fn pushed(buckets: &[(f64, f64)], count: Option<f64>) -> Pushed {
        let buckets = buckets
            .iter()
            .map(|&(upper_bound, cumulative_count)| Bucket { upper_bound, cumulative_count })
            .collect();
        Pushed { buckets, sum: Some(1.5), count, defect: None, native: None }
    }

    fn native(count: f64) -> NativeHistogram {
        NativeHistogram {
            schema: 0,
            zero_threshold: 1.5,
            custom_bounds: Vec::new(),
            counts: NativeCounts::Float(Counts {
                count,
                zero: 0.5,
                positive: vec![(1, 1.0), (3, count - 1.5)],
                negative: Vec::new(),
            }),
            sum: None,
        }
    }

    /// The zero bucket swallows the first of these, and rounds it.
    #[test]
    fn what_is_accepted_at_the_edge_of_the_slack_is_sound() {
        let part = NativeHistogram {
            schema: 0,
            zero_threshold: 4.0,
            custom_bounds: Vec::new(),
            counts: NativeCounts::Float(Counts {
                count: 1.0,
                zero: 0.0,
                positive: vec![(0, 1.0), (1, 9.999_999_939_225_29e-10)],
                negative: Vec::new(),
            }),
            sum: None,
        };
        let pushed = Pushed { sum: Some(1.5), native: Some(Box::new(part)), ..Pushed::default() };
        let mut contribution = GaugeHistogramContribution::new(&pushed).unwrap();
        assert!(GaugeHistogram::new(&contribution, Stamp(1)).is_sound());
        let native = contribution.native.as_mut().unwrap();
        let NativeCounts::Float(counts) = &mut native.counts else { unreachable!() };
        counts.zero = -1.0;
        assert!(!GaugeHistogram::new(&contribution, Stamp(1)).is_sound());
    }

    fn shown(state: &GaugeHistogram) -> Pushed {
        let Value::GaugeHistogram(shown) = state.expose() else { unreachable!() };
        *shown
    }

    #[test]
    fn it_may_fall_and_need_not_be_whole() {
        let shown_of = |pushed: &Pushed| {
            shown(&GaugeHistogram::new(&GaugeHistogramContribution::new(pushed).unwrap(), Stamp(1)))
        };
        let buckets = [(-0.0, 0.5), (1.0, 0.5), (INF, 2.5)];
        assert_eq!(shown_of(&pushed(&buckets, None)), pushed(&buckets, Some(2.5)));
        let not_a_number =
            Pushed { sum: Some(f64::from_bits(0x7ff0_0000_0000_0002)), ..pushed(&buckets, None) };
        assert_eq!(shown_of(&not_a_number).sum.map(f64::to_bits), Some(f64::NAN.to_bits()));
    }

    #[test]
    fn its_native_part_is_checked_and_shown_resolved() {
        let with = |count, of_both| {
            let pushed = Pushed { native: Some(Box::new(native(count))), ..pushed(&[], of_both) };
            GaugeHistogramContribution::new(&pushed).map(|pushed| GaugeHistogram::new(&pushed, Stamp(1)))
        };
        let state = with(4.5, Some(4.5)).unwrap();
        let of_state = shown(&state);
        assert_eq!((of_state.buckets.len(), of_state.count), (0, Some(4.5)));
        let part = *of_state.native.unwrap();
        assert_eq!(part.zero_threshold, 2.0, "it was inside of a bucket");
        let counts = Counts { count: 4.5, zero: 1.5, positive: vec![(3, 3.0)], negative: vec![] };
        assert_eq!(part.counts, NativeCounts::Float(counts));
        assert!(state.is_sound());
        assert!(matches!(with(4.5, Some(4.0)), Err(ValueError::PartsContradiction { .. })));
        assert!(with(1.0, None).is_err(), "a bucket would hold less than nothing");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused = |pushed: &Pushed| GaugeHistogramContribution::new(pushed).unwrap_err();
        assert!(matches!(
            refused(&pushed(&[(1.0, 2.0), (INF, 1.0)], None)),
            ValueError::FallingBuckets { .. }
        ));
        assert!(matches!(refused(&pushed(&[(INF, -1.0)], None)), ValueError::Negative { .. }));
        assert!(matches!(refused(&pushed(&[(INF, INF)], None)), ValueError::NotFinite { .. }));
        assert_eq!(refused(&pushed(&[(1.0, 2.0)], None)), ValueError::CountMissing);
        let bare = Pushed { defect: Some(Defect::BareSample), ..pushed(&[(INF, 1.0)], None) };
        assert!(refused(&bare).to_string().contains("_gcount"), "{}", refused(&bare));
    }

    #[test]
    fn what_a_store_must_not_hold_is_noticed() {
        let state = |change: &dyn Fn(&mut GaugeHistogramContribution)| {
            let both = Pushed { native: Some(Box::new(native(3.0))), ..pushed(&[(1.0, 2.0)], None) };
            let mut newest = GaugeHistogramContribution::new(&both).unwrap();
            change(&mut newest);
            GaugeHistogram::new(&newest, Stamp(1)).is_sound()
        };
        assert!(state(&|_| {}));
        assert!(!state(&|newest| newest.count = 4.0));
        assert!(!state(&|newest| newest.buckets[0].cumulative_count = f64::NAN));
        assert!(!state(&|newest| newest.buckets.reverse()));
        assert!(!state(&|newest| newest.native.as_mut().unwrap().schema = 100));
        assert!(!state(&|newest| {
            newest.buckets.clear();
            newest.native = None;
        }));
    }
}
