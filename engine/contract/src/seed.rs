//! Seeds: the only source of randomness, derived so that run `i` is the same on one machine and on sixty-four.

use std::fmt;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A 64-bit seed. Written as 16 lower-case hex digits, because JSON integers end at 2^53.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seed(pub u64);

impl Seed {
    /// The seed of run `index` of `gate`: the first 8 bytes, big-endian, of
    /// SHA-256(`proofhouse/seed/1` NUL, master as u64 big-endian, gate id in ASCII, NUL, index as u64 big-endian).
    #[must_use]
    pub fn derive(self, gate: &str, index: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"proofhouse/seed/1\0");
        hash.update(self.0.to_be_bytes());
        hash.update(gate.as_bytes());
        hash.update([0]);
        hash.update(index.to_be_bytes());
        Self::leading(&hash.finalize())
    }

    /// A named stream inside one run, so that two consumers of one run never share draws.
    #[must_use]
    pub fn stream(self, label: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"proofhouse/stream/1\0");
        hash.update(self.0.to_be_bytes());
        hash.update(label.as_bytes());
        Self::leading(&hash.finalize())
    }

    /// The counter-based generator of this seed: ChaCha8, the same words on every platform.
    #[must_use]
    pub fn rng(self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.0)
    }

    /// The 64-bit word at place `counter` of this seed's stream. Counter-based: a place can be asked for in any order.
    #[must_use]
    pub fn word(self, counter: u64) -> u64 {
        let mut rng = self.rng();
        rng.set_word_pos(u128::from(counter) * 2);
        rng.next_u64()
    }

    /// The word at place `counter` as a number in [0, 1), with 53 bits.
    #[must_use]
    pub fn unit(self, counter: u64) -> f64 {
        (self.word(counter) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Reads what a user may type: decimal, or hex behind `0x`.
    ///
    /// # Errors
    /// The sentence to show when `text` is neither.
    pub fn parse_user(text: &str) -> Result<Self, String> {
        let parsed = match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => text.parse(),
        };
        parsed
            .map(Self)
            .map_err(|_| format!("`{text}` is no seed: give a decimal number below 2^64 or 0x and up to 16 hex digits"))
    }

    fn leading(bytes: &[u8]) -> Self {
        Self(bytes.iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte)))
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seed({self})")
    }
}

impl Serialize for Seed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Seed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let hex = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match u64::from_str_radix(&text, 16) {
            Ok(word) if hex => Ok(Self(word)),
            _ => Err(serde::de::Error::custom("a seed is 16 lower-case hex digits")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sta_43_vectors() {
        for (master, gate, index, expected) in [
            (0x2a, "pr-g4", 0, 0x2c1a_b173_4b24_37fb),
            (0x2a, "pr-g4", 17, 0x2af4_51f1_322c_46e0),
            (0x2a, "pr-g1", 0, 0x52e6_f215_f9e1_bba6),
            (u64::MAX, "pr-g5", 9999, 0x8cef_b388_1566_da25),
        ] {
            assert_eq!(Seed(master).derive(gate, index), Seed(expected), "{gate} {index}");
        }
    }

    #[test]
    fn words_by_counter_are_the_stream() {
        let mut rng = Seed(42).rng();
        let in_order: Vec<u64> = (0..20).map(|_| rng.next_u64()).collect();
        let backwards: Vec<u64> = (0..20).rev().map(|counter| Seed(42).word(counter)).collect();
        assert!(in_order.iter().eq(backwards.iter().rev()));
        assert!((0..1000).all(|counter| (0.0..1.0).contains(&Seed(7).unit(counter))));
    }

    #[test]
    fn user_forms() {
        assert_eq!(Seed::parse_user("42"), Ok(Seed(42)));
        assert_eq!(Seed::parse_user("0x2a"), Ok(Seed(42)));
        for bad in ["", "-1", "2a", "0x", "18446744073709551616"] {
            assert!(Seed::parse_user(bad).is_err(), "{bad}");
        }
    }
}
