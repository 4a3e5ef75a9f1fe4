//! Draws from a seed in order: integers, shares, choices. One place for the few lines that are easy to get biased.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;

use crate::seed::Seed;

/// A sequence of draws. The same seed gives the same sequence on every platform.
#[derive(Clone, Debug)]
pub struct Draws(ChaCha8Rng);

impl Seed {
    /// The draws of this seed, from the first.
    #[must_use]
    pub fn draws(self) -> Draws {
        Draws(self.rng())
    }
}

impl Draws {
    /// A number in [0, 1) with 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether an event of this probability happens: never at 0, always at 1.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// An integer in `0..count`, 0 when `count` is 0. The bias of the multiplication is below 2^-32 for counts below 2^32.
    pub fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.0.next_u64()) * count as u128) >> 64) as usize
    }

    /// An integer from `least` to `most`, both included; `least` when they are the wrong way round.
    pub fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// One of `items`; `None` when there is none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_reached_and_kept() {
        let mut draws = Seed(1).draws();
        let mut seen = [0; 4];
        for _ in 0..400 {
            seen[draws.between(2, 5) - 2] += 1;
            assert!(!draws.chance(0.0) && draws.chance(1.0));
        }
        assert!(seen.iter().all(|count| (60..=140).contains(count)), "{seen:?}");
        assert_eq!((draws.below(0), draws.between(7, 3), draws.pick::<u8>(&[])), (0, 7, None));
    }

    #[test]
    fn same_seed_same_draws() {
        let take = |seed: u64| -> Vec<usize> {
            let mut draws = Seed(seed).draws();
            (0..50).map(|_| draws.below(1000)).collect()
        };
        assert_eq!(take(7), take(7));
        assert_ne!(take(7), take(8));
    }
}
