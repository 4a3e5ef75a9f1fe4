//! Growth over runs: the Theil-Sen slope with limits that no few outliers can move (STA-36).

use std::collections::HashMap;

use super::{Alpha, Bound, Bounds, StatisticsError, finite, float, ordinal};

/// Samples that must remain after the warm-up was dropped.
const LEAST_KEPT: usize = 60;

/// The growth of `values` per unit of `at`, both ends one-sided at `alpha`, without the first third as warm-up; both ends
/// are missing until 60 samples remain. For memory: `at` is the run index, `values` live bytes, the slope bytes per run.
///
/// # Errors
/// As [`theil_sen`].
pub fn growth(at: &[f64], values: &[f64], alpha: Alpha) -> Result<Bounds, StatisticsError> {
    let warm_up = at.len() / 3;
    // Checked whole: a NaN in the warm-up is still broken evidence.
    check(at, values)?;
    let kept = at.len() - warm_up;
    let slope = theil_sen(&at[warm_up..], &values[warm_up..], alpha)?;
    if kept >= LEAST_KEPT {
        return Ok(slope);
    }
    // Of every third run the kept part gains two; 59 of 88 and 60 of 89 are kept.
    let enough = (at.len()..).find(|n| n - n / 3 >= LEAST_KEPT).unwrap_or(usize::MAX);
    let bound = Bound::Missing { runs: (enough - at.len()) as u64 };
    Bounds::new(slope.estimate(), bound, bound, kept as u64)
}

/// The median slope over all pairs of points, with limits that are slopes too, each one-sided at `alpha`. Time and memory
/// grow with the square of the points: 1,000 points are half a million slopes, 10,000 are 400 MB.
///
/// # Errors
/// [`StatisticsError::Empty`], [`StatisticsError::NoAnswer`] for one point alone, [`StatisticsError::Counts`] if the columns differ in length,
/// [`StatisticsError::NotFinite`], or [`StatisticsError::NotIncreasing`] where `x` does not rise.
pub fn theil_sen(x: &[f64], y: &[f64], alpha: Alpha) -> Result<Bounds, StatisticsError> {
    check(x, y)?;
    if x.len() < 2 {
        return Err(StatisticsError::NoAnswer("one point alone has no slope"));
    }
    let mut slopes = pair_slopes(x, y);
    let pairs = slopes.len();
    let spread = alpha.z() * kendall_variance(y).sqrt();
    let low = (((pairs as f64 - spread) / 2.0).round_ties_even() - 1.0).max(0.0) as usize;
    let high = (((pairs as f64 + spread) / 2.0).round_ties_even() as usize).min(pairs - 1);
    // Selecting a few ranks costs far less than sorting millions of slopes.
    let mut of_rank = |rank: usize| float(*slopes.select_nth_unstable(rank).1);
    let [lower, middle, next, upper] = [low, (pairs - 1) / 2, pairs / 2, high].map(&mut of_rank);
    let median = middle + (next - middle) / 2.0;
    Bounds::new(median, Bound::Exact(lower), Bound::Exact(upper), x.len() as u64)
}

fn check(x: &[f64], y: &[f64]) -> Result<(), StatisticsError> {
    if x.len() != y.len() {
        return Err(StatisticsError::Counts { passes: y.len() as u64, n: x.len() as u64 });
    }
    finite(x)?;
    finite(y)?;
    match x.windows(2).position(|pair| pair[1] <= pair[0]) {
        Some(index) => Err(StatisticsError::NotIncreasing { index: index + 1 }),
        None => Ok(()),
    }
}

fn pair_slopes(x: &[f64], y: &[f64]) -> Vec<u64> {
    let mut slopes = Vec::with_capacity(x.len() * (x.len() - 1) / 2);
    for later in 1..x.len() {
        for earlier in 0..later {
            slopes.push(ordinal((y[later] - y[earlier]) / (x[later] - x[earlier])));
        }
    }
    slopes
}

/// The variance of Kendall's S under no trend, with ties in `y`.
fn kendall_variance(y: &[f64]) -> f64 {
    let mut counts = HashMap::new();
    for value in y {
        // Adding 0 makes -0 the same key as 0.
        *counts.entry((value + 0.0).to_bits()).or_insert(0_u64) += 1;
    }
    // Summed in integers: the order of a hash map must not show in the last digit.
    let term = |t: u64| t * (t - 1) * (2 * t + 5);
    let ties: u64 = counts.into_values().map(term).sum();
    (term(y.len() as u64) - ties) as f64 / 18.0
}

#[cfg(test)]
mod tests {
    use contract::seed::Seed;
    use proptest::prelude::*;

    use super::super::{Decision, Limit, More, normal_quantile};
    use super::*;

    const FIVE_PERCENT: Alpha = Alpha(0.05);

    fn runs(n: u32) -> Vec<f64> {
        (0..n).map(f64::from).collect()
    }

    /// Normal noise of unit variance in which each value keeps `phi` of the one before.
    fn noise(seed: u64, n: usize, phi: f64) -> Vec<f64> {
        let mut last = 0.0;
        let draw = |i: usize| ((Seed(seed).derive("noise", i as u64).0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        (0..n)
            .map(|i| {
                last = phi * last + (1.0 - phi * phi).sqrt() * normal_quantile(draw(i));
                last
            })
            .collect()
    }

    fn judge(values: &[f64], budget: f64) -> Decision {
        let at = runs(values.len() as u32);
        let slope = growth(&at, values, FIVE_PERCENT).expect("finite");
        slope.decide(Limit::at_most(budget).expect("finite"))
    }

    fn live_bytes(leak: f64, phi: f64) -> Vec<f64> {
        let noise = noise(9, 300, phi);
        noise.iter().enumerate().map(|(run, noise)| 1e6 + leak * run as f64 + 2000.0 * noise).collect()
    }

    #[test]
    fn s29_a_leak_of_a_kibibyte_a_run_fails() {
        assert_eq!(judge(&live_bytes(1024.0, 0.0), 256.0), Decision::Fail);
        assert_eq!(judge(&live_bytes(0.0, 0.0), 256.0), Decision::Pass);
    }

    #[test]
    fn s30_a_flat_series_with_sticky_noise_does_not_fail() {
        for budget in [256.0, 16.0] {
            assert_ne!(judge(&live_bytes(0.0, 0.7), budget), Decision::Fail, "{budget}");
        }
    }

    #[test]
    fn a_warm_up_is_not_growth() {
        let values: Vec<f64> = (0..120).map(|run| 5e5 + 1e4 * f64::from(run.min(39))).collect();
        assert_eq!(judge(&values, 0.0), Decision::Pass, "a flat rest is exactly 0");
        let (at, all) = (runs(120), theil_sen(&runs(120), &values, FIVE_PERCENT).expect("finite"));
        assert!(all.upper().value() > Some(0.0), "{at:?} with the warm-up grows");
    }

    #[test]
    fn sixty_samples_must_remain() {
        assert_eq!(judge(&[1.0; 88], 256.0), Decision::Inconclusive { more: Some(More::Exact(1)) });
        assert_eq!(judge(&[1.0; 89], 256.0), Decision::Pass);
        assert_eq!(judge(&[1.0; 2], 256.0), Decision::Inconclusive { more: Some(More::Exact(87)) });
    }

    #[test]
    fn one_wild_sample_in_ten_moves_nothing() {
        let mut values: Vec<f64> = (0..100).map(|run| 3.0 * f64::from(run)).collect();
        for wild in (5..100).step_by(10) {
            values[wild] = 1e12;
        }
        assert_eq!(theil_sen(&runs(100), &values, FIVE_PERCENT).expect("finite").estimate(), 3.0);
    }

    #[test]
    fn equal_values_narrow_the_law_of_s() {
        // 6 values: 6*5*17 - 2*1*9 for the pair - 3*2*11 for the triple, over 18. The two zeros are one value.
        assert_eq!(kendall_variance(&[1.0, 0.0, -0.0, 3.0, 3.0, 3.0]), 426.0 / 18.0);
        assert_eq!(kendall_variance(&[1.0; 5]), 0.0);
    }

    #[test]
    fn what_has_no_slope_is_refused() {
        let slope = |x: &[f64], y: &[f64]| theil_sen(x, y, FIVE_PERCENT);
        assert_eq!(slope(&[], &[]), Err(StatisticsError::Empty));
        assert!(matches!(slope(&[1.0], &[1.0]), Err(StatisticsError::NoAnswer(_))));
        assert!(matches!(slope(&[1.0, 2.0], &[1.0]), Err(StatisticsError::Counts { .. })));
        assert!(matches!(slope(&[1.0, f64::NAN], &[1.0, 1.0]), Err(StatisticsError::NotFinite { index: 1, .. })));
        assert_eq!(slope(&[1.0, 1.0], &[1.0, 2.0]), Err(StatisticsError::NotIncreasing { index: 1 }));
        assert!(matches!(slope(&[1.0, 2.0], &[-1e308, 1e308]), Err(StatisticsError::NotFinite { .. })), "overflow");
        let mut values = vec![1.0; 100];
        values[0] = f64::NAN;
        assert!(growth(&runs(100), &values, FIVE_PERCENT).is_err(), "also in the warm-up");
    }

    proptest! {
        #[test]
        fn adding_a_line_adds_its_slope(values in prop::collection::vec(-1000i32..1000, 20..60), slope in -50i32..50) {
            let at = runs(values.len() as u32);
            let level: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
            let tilted: Vec<f64> = level.iter().zip(&at).map(|(value, at)| value + f64::from(slope) * at).collect();
            let [level, tilted] = [level, tilted].map(|y| theil_sen(&at, &y, FIVE_PERCENT).expect("finite"));
            prop_assert!((tilted.estimate() - level.estimate() - f64::from(slope)).abs() < 1e-9);
            let inside = |bounds: &Bounds| {
                bounds.lower().value() <= Some(bounds.estimate()) && Some(bounds.estimate()) <= bounds.upper().value()
            };
            prop_assert!(inside(&level) && inside(&tilted));
        }
    }
}
