//! Percentiles: bounds that are order statistics of the sample, free of any assumption on its shape (STA-23).

use statrs::distribution::{Binomial, DiscreteCDF};

use super::{Alpha, Bound, Bounds, MOST_RUNS, StatisticsError, finite, inner_probability, least};

/// A binomial sum this close to its level counts as equal to it, so that every platform finds the same rank.
const TIE: f64 = 1e-12;

/// The 1-based rank whose value bounds quantile `q` from above: the smallest r with P(Bin(n, q) <= r - 1) >= 1 - alpha;
/// `None` while `n` is too small.
///
/// # Errors
/// [`StatisticsError::Probability`] unless 0 < q < 1.
pub fn upper_rank(n: u64, q: f64, alpha: Alpha) -> Result<Option<u64>, StatisticsError> {
    let below = binomial(n, q)?;
    Ok(least(1..=n, |rank| below.sf(rank - 1) <= alpha.get() + TIE))
}

/// The 1-based rank whose value bounds quantile `q` from below: the largest r with P(Bin(n, q) <= r - 1) <= alpha;
/// `None` while `n` is too small.
///
/// # Errors
/// [`StatisticsError::Probability`] unless 0 < q < 1.
pub fn lower_rank(n: u64, q: f64, alpha: Alpha) -> Result<Option<u64>, StatisticsError> {
    let below = binomial(n, q)?;
    let first_too_high = least(1..=n, |rank| below.cdf(rank - 1) > alpha.get() + TIE);
    Ok(Some(first_too_high.map_or(n, |rank| rank - 1)).filter(|&rank| rank > 0))
}

/// The least n with an upper bound for `q`: 59 for .95 and 299 for .99 at alpha .05. A lower bound for `q` exists from
/// the same n as an upper one for 1 - q. `None` beyond 2^40.
///
/// # Errors
/// [`StatisticsError::Probability`] unless 0 < q < 1.
pub fn least_n(q: f64, alpha: Alpha) -> Result<Option<u64>, StatisticsError> {
    inner_probability(q)?;
    // The highest rank is the first to qualify: all n values lie below the quantile with probability q^n.
    let exists = |n: u64| (n as f64 * q.ln()).exp() <= alpha.get() + TIE;
    Ok(least(1..=MOST_RUNS, exists))
}

/// Quantile `q` of `sample` with both bounds, each one-sided at `alpha`. The estimate is the nearest rank, ceil(q n).
///
/// # Errors
/// [`StatisticsError::Empty`], [`StatisticsError::NotFinite`] or [`StatisticsError::Probability`].
pub fn bounds(sample: &[f64], q: f64, alpha: Alpha) -> Result<Bounds, StatisticsError> {
    finite(sample)?;
    inner_probability(q)?;
    let mut sorted = sample.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len() as u64;
    let value = |rank: u64| sorted[rank as usize - 1];
    let end = |rank: Option<u64>, least_n: Option<u64>| match rank {
        Some(rank) => Bound::Exact(value(rank)),
        None => Bound::Missing { runs: least_n.unwrap_or(MOST_RUNS).saturating_sub(n) },
    };
    let lower = end(lower_rank(n, q, alpha)?, least_n(1.0 - q, alpha)?);
    let upper = end(upper_rank(n, q, alpha)?, least_n(q, alpha)?);
    // 0.07 * 100 is a little above 7 in floats; the rank is not.
    let nearest = (q * n as f64 - 1e-9).ceil().clamp(1.0, n as f64) as u64;
    Bounds::new(value(nearest), lower, upper, n)
}

/// The value that a share `p` of all runs scores above: the lower bound for quantile 1 - p. The minimum of 59 runs proves
/// a share of .95, that of 299 one of .99.
///
/// # Errors
/// As [`bounds`].
pub fn share_above(sample: &[f64], p: f64, alpha: Alpha) -> Result<Bound, StatisticsError> {
    bounds(sample, 1.0 - inner_probability(p)?, alpha).map(|bounds| bounds.lower())
}

fn binomial(n: u64, q: f64) -> Result<Binomial, StatisticsError> {
    Binomial::new(inner_probability(q)?, n).map_err(|_| StatisticsError::Probability(q))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Decision, Limit, More};
    use super::*;

    const FIVE_PERCENT: Alpha = Alpha(0.05);

    fn ranks(n: u64, q: f64, alpha: Alpha) -> (Option<u64>, Option<u64>) {
        (lower_rank(n, q, alpha).expect("a quantile"), upper_rank(n, q, alpha).expect("a quantile"))
    }

    fn rising(n: u32) -> Vec<f64> {
        (1..=n).map(f64::from).collect()
    }

    #[test]
    #[rustfmt::skip]
    fn s17_ranks_equal_the_table() {
        let sizes = [100, 300, 1000, 3000, 10_000];
        for (q, least, row) in [
            (0.50, 5, [(42, Some(59)), (136, Some(165)), (474, Some(527)), (1455, Some(1546)), (4918, Some(5083))]),
            (0.90, 29, [(85, Some(96)), (261, Some(279)), (884, Some(916)), (2673, Some(2728)), (8950, Some(9050))]),
            (0.95, 59, [(91, Some(99)), (279, Some(292)), (938, Some(962)), (2830, Some(2870)), (9464, Some(9537))]),
            (0.99, 299, [(97, None), (294, Some(300)), (985, Some(996)), (2961, Some(2980)), (9883, Some(9917))]),
            (0.999, 2995, [(99, None), (299, None), (997, None), (2994, Some(3000)), (9985, Some(9996))]),
        ] {
            assert_eq!(least_n(q, FIVE_PERCENT), Ok(Some(least)), "least n of {q}");
            for (n, (lower, upper)) in sizes.into_iter().zip(row) {
                assert_eq!(ranks(n, q, FIVE_PERCENT), (Some(lower), upper), "{q} at {n}");
            }
        }
    }

    #[test]
    fn sta_49_two_sided_ranks_of_p95() {
        assert_eq!(ranks(100, 0.95, FIVE_PERCENT.halved()), (Some(90), Some(100)));
        assert_eq!(ranks(1000, 0.95, FIVE_PERCENT.halved()), (Some(936), Some(964)));
    }

    #[test]
    fn s16_a_p99_of_298_waits_for_one_run() {
        let limit = Limit::at_most(1e9).expect("finite");
        let judged = |n| bounds(&rising(n), 0.99, FIVE_PERCENT).expect("finite").decide(limit);
        assert_eq!(judged(298), Decision::Inconclusive { more: Some(More::Exact(1)) });
        assert_eq!(judged(299), Decision::Pass);
        let low = Limit::at_most(10.0).expect("finite");
        assert_eq!(
            bounds(&rising(298), 0.99, FIVE_PERCENT).expect("finite").decide(low),
            Decision::Fail,
            "too slow is"
        );
    }

    #[test]
    fn the_order_of_the_sample_is_free_and_an_observed_value_may_touch_its_limit() {
        let mut sample = rising(100);
        sample.reverse();
        let p95 = bounds(&sample, 0.95, FIVE_PERCENT).expect("finite");
        assert_eq!((p95.lower(), p95.estimate(), p95.upper()), (Bound::Exact(91.0), 95.0, Bound::Exact(99.0)));
        assert_eq!(p95.decide(Limit::at_most(99.0).expect("finite")), Decision::Pass);
        assert_eq!(bounds(&sample, 0.07, FIVE_PERCENT).expect("finite").estimate(), 7.0);
    }

    #[test]
    fn the_minimum_of_59_proves_a_share_of_95_percent() {
        assert_eq!(share_above(&rising(59), 0.95, FIVE_PERCENT), Ok(Bound::Exact(1.0)));
        assert_eq!(share_above(&rising(58), 0.95, FIVE_PERCENT), Ok(Bound::Missing { runs: 1 }));
        assert_eq!(share_above(&rising(299), 0.99, FIVE_PERCENT), Ok(Bound::Exact(1.0)));
    }

    #[test]
    fn a_sum_that_equals_its_level_counts() {
        // P(Bin(4, .5) <= 3) is exactly 1 - 1/16.
        assert_eq!(ranks(4, 0.5, Alpha(0.0625)), (Some(1), Some(4)));
        assert_eq!(least_n(0.5, Alpha(0.0625)), Ok(Some(4)));
    }

    #[test]
    fn what_has_no_quantile_is_refused() {
        assert_eq!(bounds(&[], 0.5, FIVE_PERCENT), Err(StatisticsError::Empty));
        assert!(matches!(
            bounds(&[1.0, f64::NAN], 0.5, FIVE_PERCENT),
            Err(StatisticsError::NotFinite { index: 1, .. })
        ));
        for q in [0.0, 1.0, -0.5, 1.5, f64::NAN] {
            assert!(matches!(bounds(&[1.0], q, FIVE_PERCENT), Err(StatisticsError::Probability(_))), "{q}");
            assert!(least_n(q, FIVE_PERCENT).is_err() && upper_rank(9, q, FIVE_PERCENT).is_err(), "{q}");
            assert!(lower_rank(9, q, FIVE_PERCENT).is_err() && share_above(&[1.0], q, FIVE_PERCENT).is_err(), "{q}");
        }
    }

    proptest! {
        #[test]
        fn ranks_keep_their_promise_and_are_the_tightest(n in 1u64..2000, q in 0.01..0.999, alpha in 0.001..0.2) {
            let alpha = Alpha(alpha);
            let (lower, upper) = ranks(n, q, alpha);
            let below = binomial(n, q).expect("a quantile");
            let all_below = |rank: u64| below.cdf(rank - 1);
            if let Some(rank) = upper {
                prop_assert!(all_below(rank) >= 1.0 - alpha.get() - 1e-9);
                prop_assert!(rank == 1 || all_below(rank - 1) < 1.0 - alpha.get() + 1e-9);
            }
            if let Some(rank) = lower {
                prop_assert!(all_below(rank) <= alpha.get() + 1e-9);
                prop_assert!(rank == n || all_below(rank + 1) > alpha.get() - 1e-9);
            }
            prop_assert_eq!(upper.is_some(), least_n(q, alpha).expect("a quantile").is_some_and(|least| least <= n));
            prop_assert_eq!(lower.is_some(), least_n(1.0 - q, alpha).expect("a quantile").is_some_and(|least| least <= n));
        }
    }
}
