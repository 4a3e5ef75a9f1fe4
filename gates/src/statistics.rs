//! What a number in a gate claims: bounds with a stated error, the three-way decision on them, and why it is undecided.
//!
//! Every method here returns [`Bounds`], never a bare estimate, because an observed rate or mean alone decides nothing
//! (STA-1). A bound that does not exist yet is [`Bound::Missing`] with the runs it waits for, so too small a sample can
//! only ever be inconclusive. Distributions come from statrs; what is built on them is ours (STA-46).

pub mod merge;
pub mod proportion;
pub mod quantile;
pub mod shift;
pub mod spread;
pub mod trend;

use std::cmp::Ordering;
use std::fmt;
use std::ops::RangeInclusive;

use statrs::distribution::{Continuous, ContinuousCDF, Normal};

/// The error probability of one one-sided bound or of one alarm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alpha(f64);

impl Alpha {
    /// # Errors
    /// [`StatisticsError::Alpha`] unless 0 < alpha < 0.5: from one half on, a "lower" bound lies above the estimate.
    pub fn new(alpha: f64) -> Result<Self, StatisticsError> {
        if alpha > 0.0 && alpha < 0.5 { Ok(Self(alpha)) } else { Err(StatisticsError::Alpha(alpha)) }
    }

    /// The probability itself.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// What each end of a two-sided interval of this total error may use.
    #[must_use]
    pub fn halved(self) -> Self {
        Self(self.0 / 2.0)
    }

    /// z of 1 - alpha.
    fn z(self) -> f64 {
        // The lower tail keeps the digits that 1 - alpha would round away.
        -normal_quantile(self.0)
    }
}

/// One end of a confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// No bound of the wanted confidence exists before `runs` more runs.
    Missing {
        /// The smallest number of further runs after which the bound exists.
        runs: u64,
    },
    /// An observed value or a closed constant: every platform has the same bits.
    Exact(f64),
    /// Went through a transcendental function: undecided within 1e-9 relative of a limit (STA-7).
    Computed(f64),
}

impl Bound {
    /// The value, or `None` while the bound is missing.
    #[must_use]
    pub fn value(self) -> Option<f64> {
        match self {
            Self::Missing { .. } => None,
            Self::Exact(value) | Self::Computed(value) => Some(value),
        }
    }

    /// On which side of `limit` the bound lies, or `None` where that is not decided.
    fn side_of(self, limit: f64) -> Option<Ordering> {
        match self {
            Self::Computed(value) if (value - limit).abs() <= 1e-9 * value.abs().max(limit.abs()) => None,
            Self::Missing { .. } => None,
            Self::Exact(value) | Self::Computed(value) => value.partial_cmp(&limit),
        }
    }
}

/// An estimate with its two one-sided bounds and the number of distinct inputs behind them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    estimate: f64,
    lower: Bound,
    upper: Bound,
    n: u64,
}

impl Bounds {
    /// # Errors
    /// [`StatisticsError::NotFinite`] for a NaN or infinite number, [`StatisticsError::Disordered`] if lower > upper.
    pub fn new(estimate: f64, lower: Bound, upper: Bound, n: u64) -> Result<Self, StatisticsError> {
        for (index, value) in [Some(estimate), lower.value(), upper.value()].into_iter().enumerate() {
            if let Some(value) = value.filter(|value| !value.is_finite()) {
                return Err(StatisticsError::NotFinite { index, value });
            }
        }
        match (lower.value(), upper.value()) {
            (Some(lower), Some(upper)) if lower > upper => Err(StatisticsError::Disordered { lower, upper }),
            // An interval of zero width is exact, however it was computed (STA-7).
            (Some(low), Some(high)) if low == high => {
                Ok(Self { estimate, lower: Bound::Exact(low), upper: Bound::Exact(high), n })
            }
            _ => Ok(Self { estimate, lower, upper, n }),
        }
    }

    /// The point estimate: shown, never decisive.
    #[must_use]
    pub fn estimate(&self) -> f64 {
        self.estimate
    }

    /// The one-sided lower bound.
    #[must_use]
    pub fn lower(&self) -> Bound {
        self.lower
    }

    /// The one-sided upper bound.
    #[must_use]
    pub fn upper(&self) -> Bound {
        self.upper
    }

    /// The distinct inputs behind the bounds.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// PASS if the interval lies inside the limits, FAIL if it lies wholly outside one of them, else undecided (STA-1).
    #[must_use]
    pub fn decide(&self, limit: Limit) -> Decision {
        let above_min = limit.min.map(|min| (self.lower.side_of(min), self.upper.side_of(min)));
        let below_max = limit.max.map(|max| (self.upper.side_of(max), self.lower.side_of(max)));
        let fails = matches!(above_min, Some((_, Some(Ordering::Less))))
            || matches!(below_max, Some((_, Some(Ordering::Greater))));
        let min_holds = matches!(above_min, None | Some((Some(Ordering::Greater | Ordering::Equal), _)));
        let max_holds = matches!(below_max, None | Some((Some(Ordering::Less | Ordering::Equal), _)));
        if fails {
            return Decision::Fail;
        }
        if min_holds && max_holds {
            return Decision::Pass;
        }
        let toward_min = limit.min.filter(|_| !min_holds).map(|min| self.more(self.lower, self.estimate - min));
        let toward_max = limit.max.filter(|_| !max_holds).map(|max| self.more(self.upper, max - self.estimate));
        Decision::Inconclusive { more: toward_min.max(toward_max) }
    }

    /// How many more runs would bring `bound` clear of a limit `distance` inside of which the estimate lies.
    fn more(&self, bound: Bound, distance: f64) -> More {
        let half_width = match bound {
            Bound::Missing { runs } => return More::Exact(runs),
            Bound::Exact(value) | Bound::Computed(value) => (self.estimate - value).abs(),
        };
        More::about(self.n, half_width, distance)
    }
}

/// What a bound is held against; at least one end is there, and both are finite and in order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    min: Option<f64>,
    max: Option<f64>,
}

impl Limit {
    /// # Errors
    /// [`StatisticsError::Limit`] if `min` is not finite.
    pub fn at_least(min: f64) -> Result<Self, StatisticsError> {
        Self::checked(Some(min), None)
    }

    /// # Errors
    /// [`StatisticsError::Limit`] if `max` is not finite.
    pub fn at_most(max: f64) -> Result<Self, StatisticsError> {
        Self::checked(None, Some(max))
    }

    /// # Errors
    /// [`StatisticsError::Limit`] if an end is not finite or `min` > `max`.
    pub fn between(min: f64, max: f64) -> Result<Self, StatisticsError> {
        if min > max {
            return Err(StatisticsError::Limit { limit: min, reason: "min lies above max" });
        }
        Self::checked(Some(min), Some(max))
    }

    fn checked(min: Option<f64>, max: Option<f64>) -> Result<Self, StatisticsError> {
        match [min, max].into_iter().flatten().find(|end| !end.is_finite()) {
            Some(limit) => Err(StatisticsError::Limit { limit, reason: "not finite" }),
            None => Ok(Self { min, max }),
        }
    }
}

/// What the bounds prove about a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The claim is proved.
    Pass,
    /// Its opposite is proved.
    Fail,
    /// Neither is; blocks like a failure.
    Inconclusive {
        /// What would decide it, where that can be said.
        more: Option<More>,
    },
}

/// How many more runs would help an undecided check. Ordered: of two ends, a bound that does not exist yet speaks before an
/// estimate, and hopelessness before both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum More {
    /// An estimate: `n` times the square of half width over distance to the limit (STA-3).
    About(u64),
    /// The smallest number after which the bound exists or, if all of them pass, clears its limit.
    Exact(u64),
    /// The estimate lies outside the limits, or the number is beyond any budget.
    UnlikelyToHelp,
}

impl More {
    fn about(n: u64, half_width: f64, distance: f64) -> Self {
        let runs = (n as f64 * (half_width / distance).powi(2)).ceil();
        if distance > 0.0 && runs < MOST_RUNS as f64 { Self::About((runs as u64).max(1)) } else { Self::UnlikelyToHelp }
    }
}

impl fmt::Display for More {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::About(runs) => write!(f, "run about {runs} more"),
            Self::Exact(runs) => write!(f, "run {runs} more"),
            Self::UnlikelyToHelp => f.write_str("more runs are unlikely to help"),
        }
    }
}

/// Why no number was given: the input was not one that the method is defined for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StatisticsError {
    /// A sample without values.
    Empty,
    /// A NaN or infinite value, in the input or from overflow; `index` counts from 0.
    NotFinite {
        /// Where in the input.
        index: usize,
        /// What stood there.
        value: f64,
    },
    /// A value of zero or less where its logarithm is needed; `index` counts from 0.
    NotPositive {
        /// Where in the input.
        index: usize,
        /// What stood there.
        value: f64,
    },
    /// A column that must rise strictly does not; `index` counts from 0.
    NotIncreasing {
        /// The first value that is not above the one before.
        index: usize,
    },
    /// An error probability outside (0, 0.5).
    Alpha(f64),
    /// A quantile or probability outside its range.
    Probability(f64),
    /// More passes than inputs, no input at all, or a table too large to sum.
    Counts {
        /// The counted inputs.
        passes: u64,
        /// All inputs.
        n: u64,
    },
    /// A limit that no sample can be held against.
    Limit {
        /// The limit as given.
        limit: f64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A lower bound above its upper bound.
    Disordered {
        /// The lower bound.
        lower: f64,
        /// The upper bound.
        upper: f64,
    },
    /// The method has no answer for this sample.
    NoAnswer(&'static str),
}

impl fmt::Display for StatisticsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the sample is empty"),
            Self::NotFinite { index, value } => write!(f, "value {index} of the sample is {value}"),
            Self::NotPositive { index, value } => write!(f, "value {index} of the sample is {value}, not above 0"),
            Self::NotIncreasing { index } => write!(f, "value {index} does not rise above the one before"),
            Self::Alpha(alpha) => write!(f, "the error probability {alpha} is not between 0 and 0.5"),
            Self::Probability(p) => write!(f, "{p} is no probability this method takes"),
            Self::Counts { passes, n } => write!(f, "{passes} of {n} is no proportion"),
            Self::Limit { limit, reason } => write!(f, "the limit {limit} cannot be judged: {reason}"),
            Self::Disordered { lower, upper } => write!(f, "the lower bound {lower} lies above the upper one {upper}"),
            Self::NoAnswer(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for StatisticsError {}

/// Beyond this many runs no budget reaches; also keeps counts exact as floats.
const MOST_RUNS: u64 = 1 << 40;

/// Refuses an empty sample and one with a NaN or infinite value.
fn finite(sample: &[f64]) -> Result<(), StatisticsError> {
    if sample.is_empty() {
        return Err(StatisticsError::Empty);
    }
    match sample.iter().enumerate().find(|(_, value)| !value.is_finite()) {
        Some((index, &value)) => Err(StatisticsError::NotFinite { index, value }),
        None => Ok(()),
    }
}

/// Refuses what is no quantile: 0, 1 and everything outside, where statrs would panic (STA-47).
fn inner_probability(p: f64) -> Result<f64, StatisticsError> {
    if p > 0.0 && p < 1.0 { Ok(p) } else { Err(StatisticsError::Probability(p)) }
}

/// The standard normal quantile of a `p` inside (0, 1).
fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

/// The quantile of a `p` inside (0, 1), where statrs finds it through the incomplete beta function.
fn polished_quantile(distribution: &(impl ContinuousCDF<f64, f64> + Continuous<f64, f64>), p: f64) -> f64 {
    let start = distribution.inverse_cdf(p);
    // statrs stops at an absolute step of 3e-8, which for a rate of 1e-5 leaves five digits. Newton doubles them twice.
    (0..2).fold(start, |x, _| {
        let next = x - (distribution.cdf(x) - p) / distribution.pdf(x);
        if next > distribution.min() && next < distribution.max() { next } else { x }
    })
}

/// The smallest number of `range` from which on `holds` is true, or `None`.
fn least(range: RangeInclusive<u64>, holds: impl Fn(u64) -> bool) -> Option<u64> {
    let (mut low, mut high) = range.into_inner();
    if low > high || !holds(high) {
        return None;
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    Some(low)
}

/// A float as an integer in the same order, which is cheaper to sort and can be bisected.
fn ordinal(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// The float of an [`ordinal`].
fn float(ordinal: u64) -> f64 {
    f64::from_bits(if ordinal >> 63 == 1 { ordinal & !(1 << 63) } else { !ordinal })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(estimate: f64, lower: f64, upper: f64) -> Bounds {
        Bounds::new(estimate, Bound::Computed(lower), Bound::Computed(upper), 100).expect("finite and in order")
    }

    fn at_most(max: f64) -> Limit {
        Limit::at_most(max).expect("finite")
    }

    fn at_least(min: f64) -> Limit {
        Limit::at_least(min).expect("finite")
    }

    #[test]
    fn sta_1_only_bounds_decide() {
        let interval = bounds(5.0, 4.0, 6.0);
        assert_eq!(interval.decide(at_least(3.0)), Decision::Pass);
        assert_eq!(interval.decide(at_least(7.0)), Decision::Fail);
        assert_eq!(interval.decide(at_most(7.0)), Decision::Pass);
        assert_eq!(interval.decide(at_most(3.0)), Decision::Fail);
        assert!(matches!(interval.decide(at_least(4.5)), Decision::Inconclusive { .. }));
        assert!(matches!(interval.decide(at_most(5.5)), Decision::Inconclusive { .. }));
        let inside = |min, max| interval.decide(Limit::between(min, max).expect("in order"));
        assert_eq!(inside(3.0, 7.0), Decision::Pass);
        assert_eq!(inside(6.5, 7.0), Decision::Fail);
        assert_eq!(inside(1.0, 3.5), Decision::Fail);
        assert!(matches!(inside(4.5, 7.0), Decision::Inconclusive { .. }));
    }

    #[test]
    fn sta_3_more_runs_by_half_width_over_distance() {
        let undecided = |limit| match bounds(5.0, 4.0, 6.0).decide(limit) {
            Decision::Inconclusive { more: Some(more) } => more.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(undecided(at_most(5.5)), "run about 400 more");
        assert_eq!(undecided(at_least(4.2)), "run about 157 more");
        assert_eq!(undecided(at_most(4.5)), "more runs are unlikely to help");
        assert_eq!(undecided(at_least(5.0)), "more runs are unlikely to help");
        assert_eq!(undecided(Limit::between(4.2, 5.5).expect("in order")), "run about 400 more");
    }

    #[test]
    fn a_missing_bound_never_passes_and_says_what_it_waits_for() {
        let missing = Bounds::new(5.0, Bound::Exact(4.0), Bound::Missing { runs: 7 }, 50).expect("finite");
        assert_eq!(missing.decide(at_most(1e300)), Decision::Inconclusive { more: Some(More::Exact(7)) });
        assert_eq!(missing.decide(at_most(3.0)), Decision::Fail);
        assert_eq!(missing.decide(at_least(4.0)), Decision::Pass);
    }

    #[test]
    fn sta_7_a_computed_bound_at_its_limit_is_undecided() {
        let near = 4.0 * (1.0 + 5e-10);
        for limit in [at_least(4.0), at_most(4.0)] {
            let undecided =
                |lower, upper| matches!(bounds(5.0, lower, upper).decide(limit), Decision::Inconclusive { .. });
            assert!(undecided(near, 6.0) && undecided(2.0, near), "{limit:?}");
        }
        let exact = |lower, upper| Bounds::new(5.0, Bound::Exact(lower), Bound::Exact(upper), 9).expect("in order");
        assert_eq!(exact(4.0, 6.0).decide(at_least(4.0)), Decision::Pass, "an observed value is the same everywhere");
        assert_eq!(bounds(4.0, 4.0, 4.0).decide(at_most(4.0)), Decision::Pass, "zero width is exact");
        assert_eq!(bounds(0.0, 0.0, 0.0).decide(at_most(0.0)), Decision::Pass, "0 is a limit like any other");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(matches!(finite(&[1.0, bad]), Err(StatisticsError::NotFinite { index: 1, .. })));
            assert!(Bounds::new(bad, Bound::Exact(0.0), Bound::Exact(1.0), 1).is_err());
            assert!(Bounds::new(0.0, Bound::Computed(bad), Bound::Exact(1.0), 1).is_err());
            assert!(Limit::at_least(bad).is_err() && Limit::at_most(bad).is_err() && Limit::between(0.0, bad).is_err());
            assert!(Alpha::new(bad).is_err());
        }
        assert_eq!(finite(&[]), Err(StatisticsError::Empty));
        assert!(Limit::between(2.0, 1.0).is_err());
        assert!(Bounds::new(0.0, Bound::Exact(1.0), Bound::Exact(0.0), 1).is_err());
        for bad in [0.0, 0.5, 1.0, -0.1] {
            assert!(Alpha::new(bad).is_err(), "{bad}");
        }
    }
}
