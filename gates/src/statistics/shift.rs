//! Change against a baseline: the alarm of one comparison, Holm over many of them, Fisher for rates (STA-28, STA-32).

mod rank;

use std::f64::consts::PI;

use statrs::stats_tests::{Alternative as StatrsAlternative, fishers_exact};

pub use rank::{MannWhitney, Method, hodges_lehmann, mann_whitney, mann_whitney_normal};

use super::merge::Moments;
use super::{Alpha, Decision, More, StatisticsError, finite, normal_quantile};

/// The power at which the least detectable change is stated.
const POWER: f64 = 0.8;

/// Which deviation a test looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alternative {
    /// The first sample is stochastically smaller; for tables, the first cell is.
    Less,
    /// The first sample is stochastically larger; for tables, the first cell is.
    Greater,
    /// Either.
    TwoSided,
}

/// Which direction of a metric is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worse {
    /// Times, costs: larger is worse.
    Higher,
    /// Scores, rates: smaller is worse.
    Lower,
}

/// What one comparison with the baseline saw, before it is corrected for the other looks of its gate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alarm {
    /// The one-sided Mann-Whitney p toward the bad direction, unadjusted.
    pub p: f64,
    /// By how much the candidate is worse, as a ratio - 1: the Hodges-Lehmann shift of the logarithms. Negative is better.
    pub worsening: f64,
    /// The least worsening that is found with probability 0.8.
    pub detectable: f64,
    /// The smaller side.
    pub n: u64,
}

impl Alarm {
    /// Compares a candidate with its baseline; all values must be above 0, since an effect is a ratio.
    ///
    /// # Errors
    /// [`StatisticsError::Empty`], [`StatisticsError::NotFinite`], [`StatisticsError::NotPositive`], or
    /// [`StatisticsError::NoAnswer`] for one value alone on a side.
    pub fn measure(baseline: &[f64], candidate: &[f64], worse: Worse, alpha: Alpha) -> Result<Self, StatisticsError> {
        let (from, to) = (logarithms(baseline)?, logarithms(candidate)?);
        let (a, b) = (Moments::of(&from)?, Moments::of(&to)?);
        let (Some(var_a), Some(var_b)) = (a.variance(), b.variance()) else {
            return Err(StatisticsError::NoAnswer("one value alone has no spread"));
        };
        // Within the sides: a pooled std would count the very shift that is looked for as noise.
        let weight = |n: u64| (n - 1) as f64;
        let log_std = ((weight(a.n()) * var_a + weight(b.n()) * var_b) / (weight(a.n()) + weight(b.n()))).sqrt();
        let (alternative, sign) = match worse {
            Worse::Higher => (Alternative::Greater, 1.0),
            Worse::Lower => (Alternative::Less, -1.0),
        };
        Ok(Self {
            p: mann_whitney(candidate, baseline, alternative)?.p,
            worsening: (sign * hodges_lehmann(&from, &to)?).exp_m1(),
            detectable: least_detectable_ratio(log_std, a.n(), b.n(), alpha)?,
            n: a.n().min(b.n()),
        })
    }

    /// Guard 1 of STA-28: FAIL if the Holm-adjusted p is below `alpha` and the worsening above `effect` (a ratio - 1);
    /// INCONCLUSIVE if it is silent without the power to find `effect`; else PASS.
    ///
    /// # Errors
    /// [`StatisticsError::Probability`] for a p outside 0 to 1, [`StatisticsError::Limit`] unless `effect` > 0.
    pub fn decide(&self, adjusted_p: f64, effect: f64, alpha: Alpha) -> Result<Decision, StatisticsError> {
        if !(0.0..=1.0).contains(&adjusted_p) {
            return Err(StatisticsError::Probability(adjusted_p));
        }
        if !(effect > 0.0 && effect.is_finite()) {
            return Err(StatisticsError::Limit { limit: effect, reason: "an effect is a ratio above 0" });
        }
        Ok(if adjusted_p < alpha.get() && self.worsening > effect {
            Decision::Fail
        } else if self.detectable > effect {
            Decision::Inconclusive { more: Some(More::about(self.n, self.detectable.ln_1p(), effect.ln_1p())) }
        } else {
            Decision::Pass
        })
    }
}

fn logarithms(sample: &[f64]) -> Result<Vec<f64>, StatisticsError> {
    finite(sample)?;
    match sample.iter().enumerate().find(|(_, value)| **value <= 0.0) {
        Some((index, &value)) => Err(StatisticsError::NotPositive { index, value }),
        None => Ok(sample.iter().map(|value| value.ln()).collect()),
    }
}

/// Holm's adjustment: p values that may each be held against alpha although they are looked at together (STA-40).
///
/// # Errors
/// [`StatisticsError::Empty`], or [`StatisticsError::Probability`] for a value outside 0 to 1.
pub fn holm(p: &[f64]) -> Result<Vec<f64>, StatisticsError> {
    if p.is_empty() {
        return Err(StatisticsError::Empty);
    }
    if let Some(&bad) = p.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(StatisticsError::Probability(bad));
    }
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut largest = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        largest = largest.max(((p.len() - rank) as f64 * p[index]).min(1.0));
        adjusted[index] = largest;
    }
    Ok(adjusted)
}

/// Fisher's exact p for two pass rates; `Less` asks whether `a` passes less often than `b`. Each is (passes, failures).
///
/// # Errors
/// [`StatisticsError::Empty`] if a side has no input, [`StatisticsError::Counts`] beyond 2^40 inputs.
pub fn fisher(a: (u64, u64), b: (u64, u64), alternative: Alternative) -> Result<f64, StatisticsError> {
    for (passes, failures) in [a, b] {
        match passes.checked_add(failures) {
            Some(0) => return Err(StatisticsError::Empty),
            Some(n) if n <= super::MOST_RUNS => {}
            _ => return Err(StatisticsError::Counts { passes, n: passes.saturating_add(failures) }),
        }
    }
    let alternative = match alternative {
        Alternative::Less => StatrsAlternative::Less,
        Alternative::Greater => StatrsAlternative::Greater,
        Alternative::TwoSided => StatrsAlternative::TwoSided,
    };
    fishers_exact(&[a.0, a.1, b.0, b.1], alternative)
        .map_err(|_| StatisticsError::NoAnswer("the table has no hypergeometric law"))
}

/// The least ratio - 1 that is found with probability 0.8 at `alpha`, from the std of the logarithms (STA-32).
///
/// # Errors
/// [`StatisticsError::Empty`] if a side is empty, [`StatisticsError::NotFinite`] if `log_std` is not a finite number.
pub fn least_detectable_ratio(log_std: f64, n1: u64, n2: u64, alpha: Alpha) -> Result<f64, StatisticsError> {
    finite(&[log_std])?;
    if n1 == 0 || n2 == 0 {
        return Err(StatisticsError::Empty);
    }
    let sizes = (PI / 3.0 * (1.0 / n1 as f64 + 1.0 / n2 as f64)).sqrt();
    Ok(((alpha.z() + normal_quantile(POWER)) * log_std * sizes).exp_m1())
}

#[cfg(test)]
mod tests {
    use contract::seed::Seed;

    use super::*;

    const ONE_PERCENT: Alpha = Alpha(0.01);

    /// `n` values whose logarithms are normal with this mean and std.
    fn lognormal(seed: u64, n: u64, mean: f64, std: f64) -> Vec<f64> {
        let uniform = |i| ((Seed(seed).derive("lognormal", i).0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        (0..n).map(|i| (mean + std * normal_quantile(uniform(i))).exp()).collect()
    }

    fn alarm(baseline: &[f64], candidate: &[f64]) -> Alarm {
        Alarm::measure(baseline, candidate, Worse::Higher, ONE_PERCENT).expect("positive")
    }

    fn judge(alarm: Alarm, effect: f64) -> Decision {
        alarm.decide(alarm.p, effect, ONE_PERCENT).expect("a probability and an effect")
    }

    #[test]
    fn s38_holm() {
        let p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205];
        let expected = [0.008, 0.056, 0.234, 0.234, 0.234, 0.234, 0.234, 0.234];
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(close(&holm(&p).expect("probabilities"), &expected));
        let reversed: Vec<f64> = p.iter().rev().copied().collect();
        let back: Vec<f64> = holm(&reversed).expect("probabilities").into_iter().rev().collect();
        assert!(close(&back, &expected), "each value keeps its place");
        assert_eq!(holm(&[0.9, 0.8]), Ok(vec![1.0, 1.0]));
        assert_eq!(holm(&[]), Err(StatisticsError::Empty));
        for bad in [f64::NAN, -0.1, 1.1] {
            assert!(matches!(holm(&[0.5, bad]), Err(StatisticsError::Probability(_))), "{bad}");
        }
    }

    #[test]
    fn s37_twenty_null_alarms_seldom_fire_together() {
        let gates = 150_u64;
        let (mut with_holm, mut without) = (0, 0);
        for gate in 0..gates {
            let p: Vec<f64> = (0..20_u64)
                .map(|check| {
                    let sample = |side| lognormal(2 * (20 * gate + check) + side, 60, 0.0, 0.2);
                    mann_whitney(&sample(0), &sample(1), Alternative::Greater).expect("finite").p
                })
                .collect();
            let fires = |p: &[f64]| p.iter().any(|p| *p < 0.05);
            with_holm += u32::from(fires(&holm(&p).expect("probabilities")));
            without += u32::from(fires(&p));
        }
        let rate = |count: u32| f64::from(count) / gates as f64;
        assert!(rate(with_holm) <= 0.05, "{with_holm} of {gates}");
        assert!(rate(without) > 0.5, "the correction is what keeps it quiet: {without} of {gates}");
    }

    #[test]
    fn sta_32_least_detectable_ratio() {
        let percent = |n| (least_detectable_ratio(0.2, n, n, ONE_PERCENT).expect("finite") * 1000.0).round() / 10.0;
        assert_eq!([30, 100, 300].map(percent), [18.2, 9.6, 5.4]);
        assert!(least_detectable_ratio(f64::NAN, 30, 30, ONE_PERCENT).is_err());
        assert_eq!(least_detectable_ratio(0.2, 0, 30, ONE_PERCENT), Err(StatisticsError::Empty));
    }

    #[test]
    fn s23_ten_percent_slower_fails_and_equal_passes() {
        let baseline = lognormal(1, 300, 0.0, 0.19);
        assert_eq!(judge(alarm(&baseline, &lognormal(2, 300, 0.10, 0.19)), 0.06), Decision::Fail);
        assert_eq!(judge(alarm(&baseline, &lognormal(3, 300, 0.0, 0.19)), 0.06), Decision::Pass);
        assert_eq!(judge(alarm(&baseline, &lognormal(4, 300, -0.10, 0.19)), 0.06), Decision::Pass, "faster is fine");
    }

    #[test]
    fn s24_significant_but_below_the_effect_is_no_alarm() {
        let small = alarm(&lognormal(1, 300, 0.0, 0.02), &lognormal(2, 300, 0.01, 0.02));
        assert!(small.p < 1e-3 && small.worsening > 0.005, "{small:?}");
        assert_eq!(judge(small, 0.06), Decision::Pass);
        assert_eq!(judge(small, 0.004), Decision::Fail);
        let silent = small.decide(0.02, 0.005, ONE_PERCENT).expect("a probability and an effect");
        assert_ne!(silent, Decision::Fail, "the adjusted p counts, not the raw one");
    }

    #[test]
    fn s25_without_power_silence_is_inconclusive() {
        let weak = alarm(&lognormal(1, 30, 0.0, 0.2), &lognormal(2, 30, 0.0, 0.2));
        assert!(weak.detectable > 0.1, "{weak:?}");
        assert!(matches!(judge(weak, 0.1), Decision::Inconclusive { more: Some(More::About(_)) }));
    }

    #[test]
    fn a_score_is_worse_when_lower() {
        let (high, low) = (lognormal(1, 100, 0.0, 0.05), lognormal(2, 100, -0.2, 0.05));
        let drop = Alarm::measure(&high, &low, Worse::Lower, ONE_PERCENT).expect("positive");
        assert!((drop.worsening - 0.2_f64.exp_m1()).abs() < 0.03, "{drop:?}");
        assert_eq!(judge(drop, 0.1), Decision::Fail);
        assert_eq!(
            judge(Alarm::measure(&low, &high, Worse::Lower, ONE_PERCENT).expect("positive"), 0.1),
            Decision::Pass
        );
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let measure = |x: &[f64], y: &[f64]| Alarm::measure(x, y, Worse::Higher, ONE_PERCENT);
        assert!(matches!(measure(&[1.0, 0.0], &[1.0, 2.0]), Err(StatisticsError::NotPositive { index: 1, .. })));
        assert!(measure(&[], &[1.0, 2.0]).is_err() && measure(&[1.0, f64::NAN], &[1.0, 2.0]).is_err());
        assert!(matches!(measure(&[1.0], &[1.0, 2.0]), Err(StatisticsError::NoAnswer(_))), "one value has no spread");
        let alarm = measure(&[1.0, 2.0], &[1.0, 2.0]).expect("positive");
        for (p, effect) in [(f64::NAN, 0.1), (1.5, 0.1), (0.5, 0.0), (0.5, f64::NAN), (0.5, f64::INFINITY)] {
            assert!(alarm.decide(p, effect, ONE_PERCENT).is_err(), "{p} {effect}");
        }
    }

    #[test]
    fn fisher_takes_every_small_table_and_refuses_empty_sides() {
        for cells in 0..7_u64.pow(4) {
            let [a, b, c, d] = [1, 7, 49, 343].map(|place| cells / place % 7);
            let p = |alternative| fisher((a, b), (c, d), alternative);
            if a + b == 0 || c + d == 0 {
                assert_eq!(p(Alternative::Less), Err(StatisticsError::Empty));
                continue;
            }
            for alternative in [Alternative::Less, Alternative::Greater, Alternative::TwoSided] {
                assert!((0.0..=1.0).contains(&p(alternative).expect("a table")), "{a} {b} {c} {d} {alternative:?}");
            }
        }
        assert!(matches!(fisher((u64::MAX, 1), (1, 1), Alternative::Less), Err(StatisticsError::Counts { .. })));
    }
}
