//! Pass rates: Clopper-Pearson bounds, the decision on them, and the exact number of runs that would settle it.

use statrs::distribution::Beta;

use super::{Alpha, Bound, Bounds, Decision, Limit, More, StatisticsError, least, polished_quantile};

/// The most inputs of one rate. Far beyond it (seen at 2^40) the inverse beta function of statrs does not come to an end.
const MOST_INPUTS: u64 = 10_000_000;

/// `passes` among `n` distinct inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proportion {
    passes: u64,
    n: u64,
}

impl Proportion {
    /// # Errors
    /// [`StatisticsError::Empty`] for `n` 0, [`StatisticsError::Counts`] if `passes` > `n` or `n` is above ten million.
    pub fn new(passes: u64, n: u64) -> Result<Self, StatisticsError> {
        match n {
            0 => Err(StatisticsError::Empty),
            _ if passes > n || n > MOST_INPUTS => Err(StatisticsError::Counts { passes, n }),
            _ => Ok(Self { passes, n }),
        }
    }

    /// The Clopper-Pearson lower bound at `alpha`, one-sided (STA-10).
    #[must_use]
    pub fn lower(self, alpha: Alpha) -> Bound {
        let (k, n) = (self.passes as f64, self.n as f64);
        match self.passes {
            0 => Bound::Exact(0.0),
            // The inverse of Beta(n, 1) loses digits of 1 - L (STA-47).
            passes if passes == self.n => Bound::Computed(alpha.get().powf(1.0 / n)),
            _ => Bound::Computed(beta_quantile(alpha.get(), k, n - k + 1.0)),
        }
    }

    /// The Clopper-Pearson upper bound at `alpha`, one-sided (STA-10).
    #[must_use]
    pub fn upper(self, alpha: Alpha) -> Bound {
        let (k, n) = (self.passes as f64, self.n as f64);
        match self.passes {
            passes if passes == self.n => Bound::Exact(1.0),
            // 1 - alpha^(1/n) without the cancellation.
            0 => Bound::Computed(-(alpha.get().ln() / n).exp_m1()),
            _ => Bound::Computed(beta_quantile(1.0 - alpha.get(), k + 1.0, n - k)),
        }
    }

    /// The observed rate with both bounds, each one-sided at `alpha` (STA-2).
    ///
    /// # Errors
    /// [`StatisticsError::NotFinite`] if the Beta quantile gives no number.
    pub fn bounds(self, alpha: Alpha) -> Result<Bounds, StatisticsError> {
        Bounds::new(self.passes as f64 / self.n as f64, self.lower(alpha), self.upper(alpha), self.n)
    }

    /// The two-sided interval of total error `alpha`: each end at half of it.
    ///
    /// # Errors
    /// As [`Self::bounds`].
    pub fn two_sided(self, alpha: Alpha) -> Result<Bounds, StatisticsError> {
        self.bounds(alpha.halved())
    }

    /// Judges a rate. An undecided one-sided limit says exactly how many more runs settle it if all of them pass.
    ///
    /// # Errors
    /// [`StatisticsError::Limit`] for a limit that no finite sample can prove: "always" is an invariant (STA-10).
    pub fn decide(self, limit: Limit, alpha: Alpha) -> Result<Decision, StatisticsError> {
        check_rate(limit)?;
        let decision = self.bounds(alpha)?.decide(limit);
        let against = match (limit.min, limit.max) {
            (Some(_), None) => self.n - self.passes,
            (None, Some(_)) => self.passes,
            _ => return Ok(decision),
        };
        Ok(match decision {
            Decision::Inconclusive { .. } => {
                let further = runs_needed(limit, against, alpha)?.and_then(|runs| runs.checked_sub(self.n));
                Decision::Inconclusive { more: Some(further.map_or(More::UnlikelyToHelp, More::Exact)) }
            }
            decided => decided,
        })
    }
}

/// The smallest n that proves the one-sided `limit` with `against` inputs on its wrong side (failures of an "at least",
/// hits of an "at most") and all others on its right side; `None` beyond ten million runs or for a limit with two ends.
///
/// # Errors
/// [`StatisticsError::Limit`] as for [`Proportion::decide`].
pub fn runs_needed(limit: Limit, against: u64, alpha: Alpha) -> Result<Option<u64>, StatisticsError> {
    check_rate(limit)?;
    let proves = |n: u64| {
        let passes = if limit.min.is_some() { n - against } else { against };
        let bounds = Proportion { passes, n }.bounds(alpha);
        bounds.is_ok_and(|bounds| bounds.decide(limit) == Decision::Pass)
    };
    // Doubling first keeps the Beta quantile among sizes like the answer.
    let start = against.max(1);
    let enough = std::iter::successors(Some(start), |n| n.checked_mul(2)).take_while(|&n| n <= MOST_INPUTS);
    let one_sided = limit.min.is_some() != limit.max.is_some();
    Ok(enough.filter(|_| one_sided).find(|&n| proves(n)).and_then(|n| least(start..=n, proves)))
}

fn check_rate(limit: Limit) -> Result<(), StatisticsError> {
    let refuse = |limit, reason| Err(StatisticsError::Limit { limit, reason });
    match (limit.min, limit.max) {
        (Some(min), _) if min >= 1.0 => refuse(min, "a rate of 1 is never proved by a sample; declare an invariant"),
        (_, Some(max)) if max <= 0.0 => refuse(max, "a rate of 0 is never proved by a sample; declare an invariant"),
        (Some(min), _) if min < 0.0 => refuse(min, "a rate lies between 0 and 1"),
        (_, Some(max)) if max > 1.0 => refuse(max, "a rate lies between 0 and 1"),
        _ => Ok(()),
    }
}

/// NaN where statrs refuses its arguments, so that [`Bounds::new`] turns it into an error.
fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    Beta::new(a, b).map_or(f64::NAN, |beta| polished_quantile(&beta, p))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use statrs::function::beta::beta_reg;

    use super::*;

    const FIVE_PERCENT: Alpha = Alpha(0.05);

    fn judge(passes: u64, n: u64, limit: Limit) -> Decision {
        let proportion = Proportion::new(passes, n).expect("passes of n");
        proportion.decide(limit, FIVE_PERCENT).expect("a limit below 1")
    }

    fn at_least(p0: f64) -> Limit {
        Limit::at_least(p0).expect("finite")
    }

    fn at_most(p0: f64) -> Limit {
        Limit::at_most(p0).expect("finite")
    }

    #[test]
    fn s2_to_s5_and_s7() {
        let more = |runs| Decision::Inconclusive { more: Some(More::Exact(runs)) };
        let all = Proportion::new(100, 100).expect("passes of n").lower(FIVE_PERCENT).value().expect("exists");
        assert_eq!((all * 1e4).floor(), 9704.0);
        for (passes, n, expected) in [
            (100, 100, Decision::Pass),
            (98, 100, more(24)),
            (95, 100, more(108)),
            (90, 100, Decision::Fail),
            (1, 1, more(58)),
        ] {
            assert_eq!(judge(passes, n, at_least(0.95)), expected, "S: {passes} of {n}");
            assert_eq!(judge(n - passes, n, at_most(0.05)), expected, "the mirror of {passes} of {n}");
        }
    }

    #[test]
    fn sta_11_table_of_least_runs() {
        for (p0, row) in [
            (0.90, [29, 46, 61, 76]),
            (0.95, [59, 93, 124, 153]),
            (0.99, [299, 473, 628, 773]),
            (0.999, [2995, 4742, 6294, 7752]),
        ] {
            let found = [0, 1, 2, 3].map(|failures| runs_needed(at_least(p0), failures, FIVE_PERCENT));
            assert_eq!(found, row.map(|n| Ok(Some(n))), "{p0}");
        }
        for (n, pass_from, fail_to) in [(100, 99, 90), (1000, 962, 937), (10_000, 9537, 9463)] {
            assert_eq!(judge(pass_from, n, at_least(0.95)), Decision::Pass);
            assert_eq!(judge(fail_to, n, at_least(0.95)), Decision::Fail);
            for undecided in [pass_from - 1, fail_to + 1] {
                assert!(
                    matches!(judge(undecided, n, at_least(0.95)), Decision::Inconclusive { .. }),
                    "{undecided}/{n}"
                );
            }
        }
    }

    #[test]
    fn sta_10_always_and_never_are_refused() {
        let one = Proportion::new(1, 1).expect("passes of n");
        for limit in [at_least(1.0), at_most(0.0), at_least(1.5), at_least(-0.1), at_most(1.1)] {
            assert!(matches!(one.decide(limit, FIVE_PERCENT), Err(StatisticsError::Limit { .. })), "{limit:?}");
        }
        assert_eq!(judge(0, 3, at_least(0.0)), Decision::Pass, "0 is a limit, not a gap");
        assert_eq!(judge(3, 3, at_most(1.0)), Decision::Pass);
    }

    #[test]
    fn what_is_no_proportion_is_refused() {
        assert_eq!(Proportion::new(0, 0), Err(StatisticsError::Empty));
        assert!(matches!(Proportion::new(2, 1), Err(StatisticsError::Counts { .. })));
        assert!(matches!(Proportion::new(0, u64::MAX), Err(StatisticsError::Counts { .. })));
    }

    #[test]
    fn sta_7_a_limit_at_the_bound_itself_is_undecided_and_one_more_run_settles_it() {
        let bound = Proportion::new(100, 100).expect("passes of n").lower(FIVE_PERCENT).value().expect("exists");
        assert_eq!(judge(100, 100, at_least(bound)), Decision::Inconclusive { more: Some(More::Exact(1)) });
        assert_eq!(judge(101, 101, at_least(bound)), Decision::Pass);
    }

    #[test]
    fn an_unreachable_limit_says_so() {
        let limit = at_least(1.0 - 1e-15);
        assert_eq!(judge(5, 5, limit), Decision::Inconclusive { more: Some(More::UnlikelyToHelp) });
        for failures in [0, 3, MOST_INPUTS / 2, MOST_INPUTS, u64::MAX] {
            assert_eq!(runs_needed(limit, failures, FIVE_PERCENT), Ok(None), "{failures}");
        }
    }

    #[test]
    fn bounds_solve_their_own_equation() {
        // P(X >= k) under the lower bound and P(X <= k) under the upper one are alpha, by definition.
        for n in [2_u64, 7, 60, 1000, 6000, 100_000, 1_000_000] {
            for k in [1, 2, n / 3, n / 2, n - n / 20, n - 2, n - 1].into_iter().filter(|&k| 0 < k && k < n) {
                for alpha in [0.05, 0.025, 0.01, 0.0005] {
                    let proportion = Proportion::new(k, n).expect("passes of n");
                    let (a, b) = (k as f64, (n - k) as f64);
                    let low = proportion.lower(Alpha(alpha)).value().expect("exists");
                    let high = proportion.upper(Alpha(alpha)).value().expect("exists");
                    let at_low = beta_reg(a, b + 1.0, low) / alpha;
                    let at_high = beta_reg(b, a + 1.0, 1.0 - high) / alpha;
                    // Next to 1 the floats themselves are coarser than 1e-9 of what is left.
                    let off = |ratio: f64, bound: f64| (ratio - 1.0).abs() > 1e-9 + 1e-15 / (1.0 - bound);
                    assert!(!off(at_low, low), "lower of {k}/{n} at {alpha}: {at_low}");
                    assert!(!off(at_high, high), "upper of {k}/{n} at {alpha}: {at_high}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn more_passes_never_lower_a_bound(n in 1u64..3000, k in 0u64..3000, alpha in 0.001..0.2) {
            let k = k % n;
            let at = |passes| Proportion { passes, n }.bounds(Alpha(alpha)).expect("finite");
            let (fewer, more) = (at(k), at(k + 1));
            prop_assert!(fewer.lower().value() < more.lower().value() && fewer.upper().value() < more.upper().value());
            let rate = Some(fewer.estimate());
            prop_assert!(fewer.lower().value() <= rate && rate <= fewer.upper().value());
        }

        #[test]
        fn the_runs_asked_for_are_the_fewest(failures in 0u64..20, p0 in 0.5..0.99) {
            let limit = at_least(p0);
            let n = runs_needed(limit, failures, FIVE_PERCENT).expect("a limit below 1").expect("reachable");
            prop_assert_eq!(judge(n - failures, n, limit), Decision::Pass);
            prop_assert_ne!(judge((n - 1).saturating_sub(failures), n - 1, limit), Decision::Pass);
        }
    }
}
