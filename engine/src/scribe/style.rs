//! The choices of narration that an intent makes and that prose is measured for: language, point of view, tense.

use serde::{Deserialize, Serialize};

/// The language of a story.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// French.
    Fr,
}

/// A grammatical person, as found in narration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pov {
    /// I, we; je, nous.
    First,
    /// You; tu, vous.
    Second,
    /// He, she, they; il, elle, ils, elles.
    Third,
}

/// A narrative tense, as found in narration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tense {
    /// Preterite and its kin; imparfait, passé simple, passé composé.
    Past,
    /// Present; présent.
    Present,
}

/// The point of view that an intent asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PovChoice {
    /// First person.
    First,
    /// Second person.
    Second,
    /// Third person, inside one head.
    ThirdLimited,
    /// Third person, inside any head.
    ThirdOmniscient,
    /// Any.
    Mixed,
}

impl PovChoice {
    /// Whether narration found to be in `pov` is what was asked for. Which heads a third-person narrator looks into is
    /// beyond what counting pronouns can tell, so both third-person choices accept any third person.
    #[must_use]
    pub const fn accepts(self, pov: Pov) -> bool {
        matches!(
            (self, pov),
            (Self::Mixed, _)
                | (Self::First, Pov::First)
                | (Self::Second, Pov::Second)
                | (Self::ThirdLimited | Self::ThirdOmniscient, Pov::Third)
        )
    }

    /// The name used in intents and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
            Self::ThirdLimited => "third-limited",
            Self::ThirdOmniscient => "third-omniscient",
            Self::Mixed => "mixed",
        }
    }
}

/// The tense that an intent asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TenseChoice {
    /// Past.
    Past,
    /// Present.
    Present,
    /// Any.
    Mixed,
}

impl TenseChoice {
    /// Whether narration found to be in `tense` is what was asked for.
    #[must_use]
    pub const fn accepts(self, tense: Tense) -> bool {
        matches!((self, tense), (Self::Mixed, _) | (Self::Past, Tense::Past) | (Self::Present, Tense::Present))
    }

    /// The name used in intents and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Past => "past",
            Self::Present => "present",
            Self::Mixed => "mixed",
        }
    }
}

impl Pov {
    /// The name used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
            Self::Third => "third",
        }
    }
}

impl Tense {
    /// The name used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Past => "past",
            Self::Present => "present",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_accepts_all_and_each_third_accepts_third() {
        for pov in [Pov::First, Pov::Second, Pov::Third] {
            assert!(PovChoice::Mixed.accepts(pov));
            assert_eq!(PovChoice::ThirdLimited.accepts(pov), pov == Pov::Third);
            assert_eq!(PovChoice::ThirdOmniscient.accepts(pov), pov == Pov::Third);
            assert_eq!(PovChoice::First.accepts(pov), pov == Pov::First);
            assert_eq!(PovChoice::Second.accepts(pov), pov == Pov::Second);
        }
        for tense in [Tense::Past, Tense::Present] {
            assert!(TenseChoice::Mixed.accepts(tense));
            assert_eq!(TenseChoice::Past.accepts(tense), tense == Tense::Past);
            assert_eq!(TenseChoice::Present.accepts(tense), tense == Tense::Present);
        }
    }

    #[test]
    fn names_are_those_of_serde() {
        use PovChoice::{First, Mixed, Second, ThirdLimited, ThirdOmniscient};
        for choice in [First, Second, ThirdLimited, ThirdOmniscient, Mixed] {
            assert_eq!(serde_json::json!(choice), choice.name());
        }
        for choice in [TenseChoice::Past, TenseChoice::Present, TenseChoice::Mixed] {
            assert_eq!(serde_json::json!(choice), choice.name());
        }
        for pov in [Pov::First, Pov::Second, Pov::Third] {
            assert_eq!(serde_json::json!(pov), pov.name());
        }
        for tense in [Tense::Past, Tense::Present] {
            assert_eq!(serde_json::json!(tense), tense.name());
        }
    }
}
