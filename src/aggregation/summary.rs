//! Summaries: count and sum add up. Quantiles cannot be merged: they are shown while one push is all
//! there is.

use serde::{Deserialize, Serialize};

use crate::model::{Defect, Quantile, Summary as Pushed, Value};

use super::error::{ValueError, count, finite};
use super::exact_sum::ExactSum;

/// The observations of one push.
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryContribution {
    /// By quantile, each once.
    quantiles: Vec<Quantile>,
    count: u64,
    sum: f64,
}

impl SummaryContribution {
    /// Checks a pushed summary. A missing count or sum adds 0.
    pub(super) fn new(pushed: &Pushed) -> Result<Self, ValueError> {
        if let Some(defect) = pushed.defect {
            return Err(of_defect(defect));
        }
        let mut quantiles = pushed.quantiles.clone();
        for quantile in &mut quantiles {
            if !(0.0..=1.0).contains(&quantile.quantile) {
                return Err(ValueError::QuantileOutOfRange { quantile: quantile.quantile });
            }
            *quantile = Quantile {
                quantile: quantile.quantile + 0.0,
                value: if quantile.value.is_nan() { f64::NAN } else { quantile.value },
            };
        }
        quantiles.sort_by(|a, b| a.quantile.total_cmp(&b.quantile));
        if let Some(pair) = quantiles.windows(2).find(|pair| pair[0].quantile == pair[1].quantile) {
            return Err(ValueError::QuantileTwice { quantile: pair[0].quantile });
        }
        let sum = finite("_sum", pushed.sum.unwrap_or(0.0))?;
        Ok(Self { quantiles, count: count("_count", pushed.count.unwrap_or(0.0))?, sum })
    }

    /// Like [`Self::new`], with any sum.
    pub(super) fn with_any_sum(pushed: &Pushed) -> Result<Self, ValueError> {
        let checked = Self::new(&Pushed { sum: None, ..pushed.clone() })?;
        Ok(Self { sum: pushed.sum.unwrap_or(0.0), ..checked })
    }

    /// How many quantiles it has.
    pub(super) fn quantiles(&self) -> usize {
        self.quantiles.len()
    }
}

fn of_defect(defect: Defect) -> ValueError {
    match defect {
        Defect::BareSample => ValueError::BareSample {
            metric_type: "summary",
            expected: "quantiles with the label \"quantile\", _sum and _count",
        },
        Defect::BucketWithoutLe => ValueError::BucketWithoutLe,
        Defect::SecondSum => ValueError::Twice { what: "_sum" },
        Defect::SecondCount => ValueError::Twice { what: "_count" },
    }
}

/// All observations so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    /// How many pushes have contributed: none, one or several.
    pushes: Pushes,
    /// Those of the only push; none once there are several.
    quantiles: Vec<Quantile>,
    count: u64,
    sum: ExactSum,
}

/// How many pushes have contributed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Pushes {
    #[default]
    None,
    One,
    Several,
}

/// Bit for bit, so that a state with a quantile that is not a number equals itself.
impl PartialEq for Summary {
    fn eq(&self, other: &Self) -> bool {
        let bits = |summary: &Self| -> Vec<(u64, u64)> {
            let quantiles = summary.quantiles.iter();
            quantiles.map(|quantile| (quantile.quantile.to_bits(), quantile.value.to_bits())).collect()
        };
        (self.pushes, self.count, &self.sum) == (other.pushes, other.count, &other.sum)
            && bits(self) == bits(other)
    }
}

impl Summary {
    /// Whether it is what this code makes, as against what a store could hold.
    pub(super) fn is_sound(&self) -> bool {
        self.sum.is_sound() && (self.pushes == Pushes::One || self.quantiles.is_empty())
    }

    /// Roughly the bytes that it takes.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.quantiles.len() * size_of::<Quantile>()
    }

    /// Adds the observations of a push. True if a total is now beyond what can be shown.
    pub(super) fn absorb(&mut self, contribution: &SummaryContribution) -> bool {
        let saturated = self.count.checked_add(contribution.count).is_none();
        self.count = self.count.saturating_add(contribution.count);
        self.sum.add(contribution.sum);
        self.join(Pushes::One, &contribution.quantiles);
        saturated || self.sum.is_saturated()
    }

    pub(super) fn combine(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum.combine(&other.sum);
        self.join(other.pushes, &other.quantiles);
    }

    fn join(&mut self, pushes: Pushes, quantiles: &[Quantile]) {
        match (self.pushes, pushes) {
            (_, Pushes::None) => {}
            (Pushes::None, pushes) => {
                self.pushes = pushes;
                self.quantiles = quantiles.to_vec();
            }
            (Pushes::One | Pushes::Several, Pushes::One | Pushes::Several) => {
                self.pushes = Pushes::Several;
                self.quantiles = Vec::new();
            }
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "the exposition format has floating-point numbers")]
    pub(super) fn expose(&self) -> Value {
        Value::Summary(Box::new(Pushed {
            quantiles: self.quantiles.clone(),
            sum: Some(self.sum.value()),
            count: Some(self.count as f64),
            defect: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(quantiles: &[(f64, f64)], count: Option<f64>, sum: Option<f64>) -> Pushed {
        let quantiles = quantiles.iter().map(|&(quantile, value)| Quantile { quantile, value }).collect();
        Pushed { quantiles, sum, count, defect: None }
    }

    fn contribution(quantiles: &[(f64, f64)], count: f64, sum: f64) -> SummaryContribution {
        SummaryContribution::new(&pushed(quantiles, Some(count), Some(sum))).unwrap()
    }

    fn shown(summary: &Summary) -> Pushed {
        let Value::Summary(shown) = summary.expose() else { unreachable!() };
        *shown
    }

    #[test]
    fn quantiles_are_shown_while_one_push_is_all_there_is() {
        let mut summary = Summary::default();
        summary.absorb(&contribution(&[(0.9, 2.0), (0.5, 1.0)], 3.0, 4.0));
        assert_eq!(shown(&summary), pushed(&[(0.5, 1.0), (0.9, 2.0)], Some(3.0), Some(4.0)));
        summary.absorb(&contribution(&[(0.5, 1.0)], 1.0, -1.0));
        assert_eq!(shown(&summary), pushed(&[], Some(4.0), Some(3.0)));
    }

    #[test]
    fn what_is_missing_adds_nothing() {
        let nothing = SummaryContribution::new(&pushed(&[(0.5, f64::NAN)], None, None)).unwrap();
        let mut summary = Summary::default();
        summary.absorb(&nothing);
        assert_eq!((shown(&summary).count, shown(&summary).sum), (Some(0.0), Some(0.0)));
        assert_eq!(summary, summary.clone());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused =
            |quantiles, count, sum| SummaryContribution::new(&pushed(quantiles, count, sum)).unwrap_err();
        assert!(matches!(refused(&[(1.5, 1.0)], None, None), ValueError::QuantileOutOfRange { .. }));
        assert!(matches!(refused(&[(f64::NAN, 1.0)], None, None), ValueError::QuantileOutOfRange { .. }));
        assert_eq!(
            refused(&[(0.5, 1.0), (0.5, 2.0)], None, None),
            ValueError::QuantileTwice { quantile: 0.5 }
        );
        assert!(matches!(refused(&[], Some(-1.0), None), ValueError::Negative { .. }));
        assert!(matches!(refused(&[], None, Some(f64::NAN)), ValueError::NotFinite { .. }));
    }

    #[test]
    fn order_and_grouping_do_not_matter() {
        let parts = [
            contribution(&[(0.5, 1.0)], 1.0, 0.1),
            contribution(&[(0.5, 2.0)], 2.0, 0.2),
            contribution(&[], 3.0, 0.3),
        ];
        let of = |order: &[usize]| {
            let mut summary = Summary::default();
            for &i in order {
                summary.absorb(&parts[i]);
            }
            summary
        };
        let whole = of(&[0, 1, 2]);
        assert_eq!(of(&[2, 1, 0]), whole);
        let mut combined = of(&[2]);
        combined.combine(&of(&[1, 0]));
        combined.combine(&Summary::default());
        assert_eq!(combined, whole);
        let mut alone = Summary::default();
        alone.combine(&of(&[1]));
        assert_eq!(alone, of(&[1]));
    }
}
