//! Which of two samples lies higher, and by how much: Mann-Whitney and Hodges-Lehmann, by ranks alone (STA-29, STA-31).
//!
//! Mann-Whitney is our own because the exact path of statrs returns the complement when n1 <= n2 (STA-30): an alarm built
//! on it would stay silent. A test pins that wrong value, so that a repair is noticed.

use statrs::distribution::{ContinuousCDF, Normal};

use super::super::{StatisticsError, finite, float, ordinal};
use super::Alternative;

/// The largest side for which p is counted out instead of approximated.
const EXACT_SIDE: usize = 50;
/// How p was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// All arrangements were counted.
    Exact,
    /// Normal approximation with ties and continuity correction.
    Normal,
}

/// The outcome of a Mann-Whitney test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MannWhitney {
    /// Pairs with x > y, plus half of the ties.
    pub u: f64,
    /// The probability of such a `u` or a more extreme one if both samples have one law.
    pub p: f64,
    /// How `p` was found.
    pub method: Method,
}

/// Compares `x` with `y`: exact without ties and with at most 50 values a side, else by the normal law (STA-29).
///
/// # Errors
/// [`StatisticsError::Empty`] or [`StatisticsError::NotFinite`] for either sample.
pub fn mann_whitney(x: &[f64], y: &[f64], alternative: Alternative) -> Result<MannWhitney, StatisticsError> {
    let ranks = RankSum::of(x, y)?;
    let small = x.len().max(y.len()) <= EXACT_SIDE;
    let method = if small && ranks.ties == 0 { Method::Exact } else { Method::Normal };
    Ok(ranks.test(x.len(), y.len(), alternative, method))
}

/// As [`mann_whitney`], by the normal law at every size.
///
/// # Errors
/// As [`mann_whitney`].
pub fn mann_whitney_normal(x: &[f64], y: &[f64], alternative: Alternative) -> Result<MannWhitney, StatisticsError> {
    Ok(RankSum::of(x, y)?.test(x.len(), y.len(), alternative, Method::Normal))
}

/// The rank statistics of two samples, in integers.
struct RankSum {
    /// Twice U, since ties count half.
    twice_u: u64,
    /// Sum of t^3 - t over groups of t equal values.
    ties: u128,
}

impl RankSum {
    fn of(x: &[f64], y: &[f64]) -> Result<Self, StatisticsError> {
        finite(x)?;
        finite(y)?;
        let mut pooled: Vec<(f64, bool)> = x.iter().map(|&v| (v, true)).chain(y.iter().map(|&v| (v, false))).collect();
        pooled.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let (mut twice_ranks, mut ties, mut before) = (0, 0, 0);
        for group in pooled.chunk_by(|a, b| a.0 == b.0) {
            let (size, of_x) = (group.len() as u64, group.iter().filter(|(_, from_x)| *from_x).count() as u64);
            // Ranks before+1 ..= before+size share their mean.
            twice_ranks += of_x * (2 * before + size + 1);
            ties += u128::from(size).pow(3) - u128::from(size);
            before += size;
        }
        let n1 = x.len() as u64;
        Ok(Self { twice_u: twice_ranks - n1 * (n1 + 1), ties })
    }

    fn test(&self, n1: usize, n2: usize, alternative: Alternative, method: Method) -> MannWhitney {
        let twice_mirrored = 2 * (n1 * n2) as u64 - self.twice_u;
        // P(U >= u) for either direction: that of a small U is that of its mirror image.
        let tail = |twice_u: u64| match method {
            Method::Exact => exact_tail(n1, n2, twice_u / 2),
            Method::Normal => normal_tail(n1 as f64, n2 as f64, twice_u as f64 / 2.0, self.ties as f64),
        };
        let p = match alternative {
            Alternative::Less => tail(twice_mirrored),
            Alternative::Greater => tail(self.twice_u),
            Alternative::TwoSided => 2.0 * tail(self.twice_u.max(twice_mirrored)),
        };
        MannWhitney { u: self.twice_u as f64 / 2.0, p: p.min(1.0), method }
    }
}

/// P(U >= u) by counting arrangements: the largest value belongs to x and beats all j of y, or it belongs to y.
fn exact_tail(n1: usize, n2: usize, u: u64) -> f64 {
    // counts[j][v]: arrangements of i x-values and j y-values with U = v; C(100, 50) fits 97 bits.
    let mut counts: Vec<Vec<u128>> = vec![vec![1]; n2 + 1];
    for i in 1..=n1 {
        let mut next: Vec<Vec<u128>> = vec![vec![1]];
        for j in 1..=n2 {
            let mut row = vec![0; i * j + 1];
            for (v, count) in counts[j].iter().enumerate() {
                row[v + j] += count;
            }
            for (v, count) in next[j - 1].iter().enumerate() {
                row[v] += count;
            }
            next.push(row);
        }
        counts = next;
    }
    let law = &counts[n2];
    let above: u128 = law.iter().skip(u as usize).sum();
    above as f64 / law.iter().sum::<u128>() as f64
}

fn normal_tail(n1: f64, n2: f64, u: f64, ties: f64) -> f64 {
    let n = n1 + n2;
    let variance = n1 * n2 / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)));
    // All values equal: nothing speaks for any alternative.
    if variance <= 0.0 { 1.0 } else { Normal::standard().sf((u - n1 * n2 / 2.0 - 0.5) / variance.sqrt()) }
}

/// The Hodges-Lehmann shift: the median of all differences `to` - `from`.
///
/// # Errors
/// [`StatisticsError::Empty`] or [`StatisticsError::NotFinite`], also when a difference overflows.
pub fn hodges_lehmann(from: &[f64], to: &[f64]) -> Result<f64, StatisticsError> {
    finite(from)?;
    finite(to)?;
    let sorted = |sample: &[f64]| {
        let mut sorted = sample.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    };
    let (from, to) = (sorted(from), sorted(to));
    let extremes = [to[0] - from[from.len() - 1], to[to.len() - 1] - from[0]];
    finite(&extremes)?;
    let pairs = from.len() as u64 * to.len() as u64;
    let [low, high] = [pairs.div_ceil(2), pairs / 2 + 1].map(|rank| difference_of_rank(&from, &to, rank));
    Ok(low + (high - low) / 2.0)
}

/// The difference of 1-based `rank`, by bisection over the floats: no list of pairs is ever built, and the answer is the
/// very difference that sorting the list would give.
fn difference_of_rank(from: &[f64], to: &[f64], rank: u64) -> f64 {
    let (mut low, mut high) = (ordinal(to[0] - from[from.len() - 1]), ordinal(to[to.len() - 1] - from[0]));
    while low < high {
        let middle = low + (high - low) / 2;
        if count_up_to(from, to, float(middle)) >= rank { high = middle } else { low = middle + 1 }
    }
    float(low)
}

/// How many differences are at most `limit`. A larger `from` lets more of `to` in, so one pointer sweeps each sample.
fn count_up_to(from: &[f64], to: &[f64], limit: f64) -> u64 {
    let mut reach = 0;
    let mut count = 0;
    for &start in from {
        while reach < to.len() && to[reach] - start <= limit {
            reach += 1;
        }
        count += reach as u64;
    }
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use statrs::stats_tests::Alternative as StatrsAlternative;
    use statrs::stats_tests::mannwhitneyu::{MannWhitneyUMethod, mannwhitneyu};

    use super::*;

    const A: [f64; 8] = [12.1, 11.8, 12.4, 12.0, 11.9, 12.3, 12.2, 11.7];
    const B: [f64; 8] = [12.6, 12.9, 12.5, 12.35, 13.0, 12.7, 12.15, 12.8];
    const C: [f64; 10] = [1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 5.0, 5.0, 6.0];
    const D: [f64; 10] = [2.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0, 6.0, 7.0, 7.0];

    fn test(x: &[f64], y: &[f64], alternative: Alternative) -> MannWhitney {
        mann_whitney(x, y, alternative).expect("finite")
    }

    #[test]
    fn sta_49_u() {
        assert_eq!(test(&A, &B, Alternative::Less).u, 4.0);
        assert_eq!(test(&C, &D, Alternative::Less).u, 30.5);
    }

    #[test]
    fn s21_less_mirrors_greater_at_all_sizes_to_8() {
        for (n1, n2) in (1..=8).flat_map(|n1| (1..=8).map(move |n2| (n1, n2))) {
            // Interleavings that put x low, high and between y, without ties and with them.
            for (step, offset) in [(1.0, 0.25), (3.0, -4.5), (0.5, 3.75), (1.0, 0.0)] {
                let x: Vec<f64> = (0..n1).map(|i| f64::from(i) * step + offset).collect();
                let y: Vec<f64> = (0..n2).map(f64::from).collect();
                let (less, greater) = (test(&x, &y, Alternative::Less), test(&y, &x, Alternative::Greater));
                assert_eq!((less.p, less.method), (greater.p, greater.method), "{n1} {n2} {step} {offset}");
                assert_eq!(less.u + greater.u, f64::from(n1 * n2));
            }
        }
    }

    /// Every choice of which pooled ranks belong to x, counted one by one.
    fn by_enumeration(n1: u32, n2: u32, u: u64) -> f64 {
        let chosen = (0_u32..1 << (n1 + n2)).filter(|set| set.count_ones() == n1);
        let larger_pairs = |set: u32| -> u64 {
            let (mut pairs, mut of_y) = (0, 0);
            for place in 0..n1 + n2 {
                if set >> place & 1 == 1 { pairs += of_y } else { of_y += 1 }
            }
            pairs
        };
        let (all, above) =
            chosen.fold((0_u32, 0_u32), |(all, above), set| (all + 1, above + u32::from(larger_pairs(set) >= u)));
        f64::from(above) / f64::from(all)
    }

    #[test]
    fn the_exact_tail_equals_enumeration() {
        for (n1, n2) in [(1, 1), (1, 7), (3, 4), (4, 3), (6, 6), (8, 5)] {
            for u in 0..=u64::from(n1 * n2) {
                let counted = exact_tail(n1 as usize, n2 as usize, u);
                assert!((counted - by_enumeration(n1, n2, u)).abs() < 1e-15, "{n1} {n2} {u}");
            }
        }
    }

    #[test]
    fn exact_up_to_50_a_side_then_normal_and_both_agree_there() {
        let side = |n: usize, offset: f64| (0..n).map(|i| i as f64 + offset).collect::<Vec<f64>>();
        let (x, y) = (side(50, 0.5), side(50, 6.0));
        let exact = test(&x, &y, Alternative::Less);
        let normal = mann_whitney_normal(&x, &y, Alternative::Less).expect("finite");
        assert_eq!((exact.method, normal.method), (Method::Exact, Method::Normal));
        assert!((exact.p / normal.p - 1.0).abs() < 0.01, "{exact:?} {normal:?}");
        assert_eq!(test(&x, &side(51, 6.25), Alternative::Less).method, Method::Normal);
        assert_eq!(test(&x, &side(50, 0.5), Alternative::Less).method, Method::Normal, "ties");
        assert_eq!(test(&[1.0; 5], &[1.0; 7], Alternative::TwoSided).p, 1.0, "nothing to tell apart");
    }

    #[test]
    fn s22_the_wrong_value_of_statrs_is_pinned() {
        let (x, y) = ([1, 2, 3], [4, 5, 6, 7]);
        let theirs = |alternative| {
            let (_, p) = mannwhitneyu(&x, &y, MannWhitneyUMethod::Automatic, alternative).expect("comparable");
            (p * 1e4).round() / 1e4
        };
        // Right would be 0.0286 and 0.0571. If this fails, statrs was repaired: reconsider the module, see STA-30.
        assert_eq!((theirs(StatrsAlternative::Less), theirs(StatrsAlternative::TwoSided)), (0.9714, 1.0));
        let ours = |alternative| (test(&x.map(f64::from), &y.map(f64::from), alternative).p * 1e4).round() / 1e4;
        assert_eq!((ours(Alternative::Less), ours(Alternative::TwoSided)), (0.0286, 0.0571));
    }

    #[test]
    fn what_cannot_be_ranked_is_refused() {
        let refused = |x: &[f64], y: &[f64]| {
            mann_whitney(x, y, Alternative::Less).is_err()
                && mann_whitney_normal(x, y, Alternative::Less).is_err()
                && hodges_lehmann(x, y).is_err()
        };
        assert!(refused(&[], &[1.0]) && refused(&[1.0], &[]));
        assert!(refused(&[1.0, f64::NAN], &[1.0, 2.0]) && refused(&[1.0, 2.0], &[1.0, f64::INFINITY]));
        assert!(hodges_lehmann(&[-1e308], &[1e308]).is_err(), "overflow");
    }

    proptest! {
        #[test]
        fn hodges_lehmann_is_the_median_of_all_differences(
            from in prop::collection::vec(-1e3..1e3, 1..40), to in prop::collection::vec(-1e3..1e3, 1..40),
        ) {
            let mut all: Vec<f64> = to.iter().flat_map(|t| from.iter().map(move |f| t - f)).collect();
            all.sort_unstable_by(f64::total_cmp);
            let (low, high) = (all[(all.len() - 1) / 2], all[all.len() / 2]);
            prop_assert_eq!(hodges_lehmann(&from, &to), Ok(low + (high - low) / 2.0));
        }

        #[test]
        fn the_two_tails_overlap_in_the_observed_value(
            x in prop::collection::vec(0i32..40, 1..12), y in prop::collection::vec(0i32..40, 1..12),
        ) {
            let [x, y] = [x, y].map(|side| side.into_iter().map(f64::from).collect::<Vec<_>>());
            let (less, greater) = (test(&x, &y, Alternative::Less), test(&x, &y, Alternative::Greater));
            prop_assert!(less.p + greater.p >= 1.0 - 1e-12);
            let larger = x.iter().flat_map(|x| y.iter().map(move |y| if x > y { 1.0 } else { f64::from(u8::from(x == y)) / 2.0 }));
            prop_assert_eq!(less.u, larger.sum::<f64>());
        }
    }
}
