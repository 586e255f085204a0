//! The state of one output series.

use serde::{Deserialize, Serialize};

use crate::model::{MetricType, Stamp, Value};

use super::contribution::Contribution;
use super::counter::Counter;
use super::error::ValueError;
use super::gauge::Gauge;
use super::gauge_histogram::GaugeHistogram;
use super::histogram::Histogram;
use super::native_histogram::NativeHistogram;
use super::state_set::StateSet;
use super::summary::Summary;
use super::untyped::Untyped;

/// The state of one output series: an element of a commutative monoid. There is one for each series in
/// memory, so what is large is boxed.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum State {
    /// A counter.
    Counter(Counter),
    /// A gauge.
    Gauge(Gauge),
    /// An untyped metric.
    Untyped(Untyped),
    /// A classic histogram.
    Histogram(Box<Histogram>),
    /// A summary.
    Summary(Box<Summary>),
    /// A histogram with a native part. One that was classic so far becomes one when such a push comes.
    Native(Box<NativeHistogram>),
    /// A gauge histogram.
    GaugeHistogram(Box<GaugeHistogram>),
    /// An info, whose labels say all.
    Info,
    /// A state set.
    StateSet(Box<StateSet>),
}

impl Clone for State {
    fn clone(&self) -> Self {
        match self {
            Self::Counter(counter) => Self::Counter(counter.clone()),
            Self::Gauge(gauge) => Self::Gauge(*gauge),
            Self::Untyped(untyped) => Self::Untyped(untyped.clone()),
            Self::Histogram(histogram) => Self::Histogram(histogram.clone()),
            Self::Summary(summary) => Self::Summary(summary.clone()),
            Self::Native(native) => Self::Native(native.clone()),
            Self::GaugeHistogram(histogram) => Self::GaugeHistogram(histogram.clone()),
            Self::Info => Self::Info,
            Self::StateSet(states) => Self::StateSet(states.clone()),
        }
    }

    /// Allocates nothing where both are histograms with as many buckets.
    #[inline]
    fn clone_from(&mut self, source: &Self) {
        match (self, source) {
            (Self::Histogram(own), Self::Histogram(source)) => own.clone_from(source),
            (Self::Counter(own), Self::Counter(source)) => own.clone_from(source),
            (Self::Native(own), Self::Native(source)) => own.clone_from(source),
            (own, source) => *own = source.clone(),
        }
    }
}

/// What absorbing a contribution has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Absorbed {
    /// Whether a total has reached the largest number that can be shown.
    pub saturated: bool,
    /// Whether what is shown from now on is a new series to Prometheus, as if the old one had been reset: a
    /// native histogram has other custom bounds than before, or a total that was not finite has given way. It needs a
    /// new created timestamp.
    pub restarted: bool,
}

impl State {
    /// The state of a series that holds one contribution.
    pub fn new(settled: MetricType, first: &Contribution, stamp: Stamp) -> Self {
        let mut state = match (settled, first) {
            (MetricType::Counter, _) => Self::Counter(Counter::default()),
            (MetricType::Gauge, Contribution::Set(value)) => Self::Gauge(Gauge::new(*value, stamp)),
            (MetricType::Untyped, Contribution::Set(value)) => Self::Untyped(Untyped::last(*value, stamp)),
            (MetricType::Untyped, _) => Self::Untyped(Untyped::sum()),
            // What is absorbed says all there is to say of an empty state.
            (MetricType::Histogram, Contribution::Native(pushed)) => return Self::Native(pushed.clone()),
            (MetricType::Histogram, _) => Self::Histogram(Box::default()),
            (MetricType::Summary, _) => Self::Summary(Box::default()),
            (MetricType::GaugeHistogram, Contribution::GaugeHistogram(pushed)) => {
                Self::GaugeHistogram(Box::new(GaugeHistogram::new(pushed, stamp)))
            }
            (MetricType::Info, _) => Self::Info,
            (MetricType::StateSet, Contribution::StateSet(pushed)) => {
                Self::StateSet(Box::new(StateSet::new(pushed, stamp)))
            }
            (MetricType::Gauge | MetricType::GaugeHistogram | MetricType::StateSet, contribution) => {
                mismatch(settled, contribution)
            }
        };
        state.absorb(first, stamp);
        state
    }

    /// Its type.
    pub fn metric_type(&self) -> MetricType {
        match self {
            Self::Counter(_) => MetricType::Counter,
            Self::Gauge(_) => MetricType::Gauge,
            Self::Untyped(_) => MetricType::Untyped,
            Self::Histogram(_) | Self::Native(_) => MetricType::Histogram,
            Self::Summary(_) => MetricType::Summary,
            Self::GaugeHistogram(_) => MetricType::GaugeHistogram,
            Self::Info => MetricType::Info,
            Self::StateSet(_) => MetricType::StateSet,
        }
    }

    /// Whether it is a state that this code makes, as against one that only a store could hold.
    pub fn is_sound(&self) -> bool {
        match self {
            Self::Counter(counter) => counter.is_sound(),
            Self::Gauge(_) | Self::Info => true,
            Self::Untyped(untyped) => untyped.is_sound(),
            Self::Histogram(histogram) => histogram.is_sound(),
            Self::Summary(summary) => summary.is_sound(),
            Self::Native(native) => native.is_sound(),
            Self::GaugeHistogram(histogram) => histogram.is_sound(),
            Self::StateSet(states) => states.is_sound(),
        }
    }

    /// Roughly the bytes that it takes.
    pub fn weight(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Counter(_) | Self::Gauge(_) | Self::Untyped(_) | Self::Info => 0,
                Self::Histogram(histogram) => histogram.weight(),
                Self::Summary(summary) => summary.weight(),
                Self::Native(native) => native.weight(),
                Self::GaugeHistogram(histogram) => histogram.weight(),
                Self::StateSet(states) => states.weight(),
            }
    }

    /// Whether a contribution can be absorbed: a histogram may have so many distinct bounds and no more, and a
    /// native one keeps to one kind of buckets and few zero thresholds.
    pub fn check(&self, contribution: &Contribution, bounds_max: usize) -> Result<(), ValueError> {
        match (self, contribution) {
            (Self::Histogram(own), Contribution::Histogram(pushed)) => own.check(pushed, bounds_max),
            (Self::Histogram(own), Contribution::Native(pushed)) => pushed.check_onto(own, bounds_max),
            (Self::Native(own), Contribution::Histogram(pushed)) => own.check_classic(pushed, bounds_max),
            (Self::Native(own), Contribution::Native(pushed)) => own.check(pushed, bounds_max),
            _ => Ok(()),
        }
    }

    /// Takes in a contribution, which was made for this type.
    pub fn absorb(&mut self, contribution: &Contribution, stamp: Stamp) -> Absorbed {
        let saturated = match (&mut *self, contribution) {
            (Self::Counter(counter), Contribution::Add(value)) => return counter.absorb(*value),
            (Self::Untyped(untyped), Contribution::Add(value)) => untyped.add(*value),
            (Self::Histogram(histogram), Contribution::Histogram(pushed)) => histogram.absorb(pushed),
            (Self::Summary(summary), Contribution::Summary(pushed)) => summary.absorb(pushed),
            (Self::Native(native), Contribution::Histogram(pushed)) => native.absorb_classic(pushed),
            (Self::Native(native), Contribution::Native(pushed)) => return native.combine(pushed),
            (Self::Histogram(histogram), Contribution::Native(pushed)) => {
                let mut native = pushed.clone();
                let saturated = native.combine_classic(histogram);
                *self = Self::Native(native);
                saturated
            }
            _ => {
                self.replace(contribution, stamp);
                false
            }
        };
        Absorbed { saturated, restarted: false }
    }

    /// Takes in what replaces what was there, if it is newer.
    fn replace(&mut self, contribution: &Contribution, stamp: Stamp) {
        match (self, contribution) {
            (Self::Gauge(gauge), Contribution::Set(value)) => gauge.absorb(*value, stamp),
            (Self::Untyped(untyped), Contribution::Set(value)) => untyped.set(*value, stamp),
            (Self::GaugeHistogram(own), Contribution::GaugeHistogram(pushed)) => own.absorb(pushed, stamp),
            (Self::Info, Contribution::Info) => {}
            (Self::StateSet(own), Contribution::StateSet(pushed)) => own.absorb(pushed, stamp),
            (state, contribution) => mismatch(state.metric_type(), contribution),
        }
    }

    /// Takes in another state of the same series, as another gateway may hold it.
    pub fn combine(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Counter(own), Self::Counter(other)) => own.combine(other),
            (Self::Gauge(own), Self::Gauge(other)) => own.combine(other),
            (Self::Untyped(own), Self::Untyped(other)) => own.combine(other),
            (Self::Histogram(own), Self::Histogram(other)) => {
                own.combine(other);
            }
            (Self::Histogram(own), Self::Native(other)) => {
                let mut native = other.clone();
                native.combine_classic(own);
                *self = Self::Native(native);
            }
            (Self::Native(own), Self::Histogram(other)) => {
                own.combine_classic(other);
            }
            (Self::Native(own), Self::Native(other)) => {
                own.combine(other);
            }
            (Self::Summary(own), Self::Summary(other)) => own.combine(other),
            (Self::GaugeHistogram(own), Self::GaugeHistogram(other)) => own.combine(other),
            (Self::Info, Self::Info) => {}
            (Self::StateSet(own), Self::StateSet(other)) => own.combine(other),
            (own, other) => {
                unreachable!("a {} was to be combined with a {}", own.metric_type(), other.metric_type())
            }
        }
    }

    /// What is shown of it.
    pub fn expose(&self) -> Value {
        match self {
            Self::Counter(counter) => counter.expose(),
            Self::Gauge(gauge) => gauge.expose(),
            Self::Untyped(untyped) => untyped.expose(),
            Self::Histogram(histogram) => histogram.expose(),
            Self::Summary(summary) => summary.expose(),
            Self::Native(native) => native.expose(),
            Self::GaugeHistogram(histogram) => histogram.expose(),
            Self::Info => Value::Info,
            Self::StateSet(states) => states.expose(),
        }
    }
}

fn mismatch<T>(metric_type: MetricType, contribution: &Contribution) -> T {
    unreachable!("a contribution is made for its family's type: {contribution:?} for a {metric_type}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::untyped::UntypedMode;
    use super::*;

    #[test]
    fn it_is_small() {
        assert!(size_of::<State>() <= 32, "{}", size_of::<State>());
    }

    #[test]
    fn too_many_bounds_are_refused_before_anything_is_added() {
        let histogram = |bound: f64| {
            let buckets = vec![crate::model::Bucket { upper_bound: bound, cumulative_count: 1.0 }];
            let value = crate::model::Histogram { buckets, count: Some(1.0), ..Default::default() };
            let value = Value::Histogram(Box::new(value));
            Contribution::new(&value, MetricType::Histogram, "h", UntypedMode::Sum).unwrap()
        };
        let state = State::new(MetricType::Histogram, &histogram(1.0), Stamp(1));
        assert_eq!(state.check(&histogram(2.0), 3), Ok(()));
        assert_eq!(state.check(&histogram(2.0), 2), Err(ValueError::TooManyBounds { found: 3, max: 2 }));
    }

    fn any_contribution(settled: MetricType) -> BoxedStrategy<Contribution> {
        let value = prop_oneof![any::<f64>(), (0_u32..1000).prop_map(f64::from)];
        match settled {
            MetricType::Counter => value
                .prop_filter("finite", |value| value.is_finite())
                .prop_map(|value| Contribution::Add(value.abs()))
                .boxed(),
            MetricType::Gauge => {
                value.prop_map(|value| Contribution::Set(super::super::gauge::contribution(value))).boxed()
            }
            _ => {
                unreachable!("tested beside the types")
            }
        }
    }

    fn any_pushes() -> impl Strategy<Value = (MetricType, Vec<Contribution>)> {
        prop_oneof![Just(MetricType::Counter), Just(MetricType::Gauge)].prop_flat_map(|settled| {
            (Just(settled), proptest::collection::vec(any_contribution(settled), 2..10))
        })
    }

    proptest! {
        #[test]
        fn any_order_and_partition_gives_the_same_state(
            (settled, pushes) in any_pushes(),
            cut in any::<prop::sample::Index>(),
        ) {
            let stamped: Vec<_> = pushes.iter().zip((1..).map(Stamp)).collect();
            let of = |part: &[(&Contribution, Stamp)]| {
                let mut state = State::new(settled, part[0].0, part[0].1);
                for (contribution, stamp) in &part[1..] {
                    state.absorb(contribution, *stamp);
                }
                state
            };
            let whole = of(&stamped);
            let reversed: Vec<_> = stamped.iter().rev().copied().collect();
            prop_assert_eq!(&of(&reversed), &whole);
            let (left, right) = stamped.split_at(1 + cut.index(stamped.len() - 1));
            let mut combined = of(right);
            combined.combine(&of(left));
            prop_assert_eq!(&combined, &whole);
            let bytes = postcard::to_stdvec(&whole).unwrap();
            prop_assert_eq!(postcard::from_bytes::<State>(&bytes).unwrap(), whole);
        }
    }
}
