//! Money as integer micro-dollars, so that "exactly at the limit" has a meaning.

use std::fmt;
use std::iter::Sum;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Micro-dollars: one millionth of a US dollar. Written in JSON as dollars with at most six decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MicroUsd(pub u64);

impl MicroUsd {
    /// Parses dollars; `None` for a negative, non-finite or over-precise amount, or one above a billion dollars.
    #[must_use]
    pub fn from_usd(usd: f64) -> Option<Self> {
        let micro = usd * 1e6;
        let whole = micro.round();
        // A decimal with six places is two roundings away from `micro`; up to a billion dollars these stay below one half.
        let exact = (micro - whole).abs() <= (1e-15 * whole).max(1e-9);
        (usd.is_finite() && usd >= 0.0 && exact && whole <= 1e15).then_some(Self(whole as u64))
    }

    /// Dollars, for reports.
    #[must_use]
    pub fn usd(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// The sum; saturates, because an amount that large is over every limit anyway.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for MicroUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self(0), Self::plus)
    }
}

impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

impl Serialize for MicroUsd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.usd())
    }
}

impl<'de> Deserialize<'de> for MicroUsd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let usd = f64::deserialize(deserializer)?;
        Self::from_usd(usd)
            .ok_or_else(|| serde::de::Error::custom(format!("{usd} is no amount in dollars with six decimals")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_no_amount() {
        for bad in [-0.01, f64::NAN, f64::INFINITY, 0.000_000_5, 1e10] {
            assert_eq!(MicroUsd::from_usd(bad), None, "{bad}");
        }
        assert_eq!(MicroUsd::from_usd(0.000_15), Some(MicroUsd(150)));
        assert_eq!(MicroUsd(5_000_000).to_string(), "5.000000");
    }

    proptest! {
        #[test]
        fn dollars_and_back_is_exact(micro in 0..=1_000_000_000_000_000_u64) {
            prop_assert_eq!(MicroUsd::from_usd(MicroUsd(micro).usd()), Some(MicroUsd(micro)));
        }
    }
}
