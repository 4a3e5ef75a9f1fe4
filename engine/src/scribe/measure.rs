//! Measures the prose of a scene against the constraints of its story: what was counted and found, and every rule that is
//! broken. Pure functions: the same prose and limits give the same answer.

#[cfg(test)]
mod accuracy;
#[cfg(test)]
mod behaviour;
mod dialogue;
mod judge;
mod lexicon;
mod phrases;
mod pov;
pub mod rules;
mod segment;
mod tense;
mod text;

use serde::{Deserialize, Serialize};

use super::style::{Language, Pov, PovChoice, Tense, TenseChoice};
use phrases::Phrases;
use rules::Violation;
pub use text::paragraphs;

/// The constraints of a story that one scene can be measured for.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The language of the prose.
    pub language: Language,
    /// The point of view asked for.
    pub pov: PovChoice,
    /// The tense asked for.
    pub tense: TenseChoice,
    /// Words and phrases that may not occur.
    pub banned_words: Vec<String>,
    /// Phrases that should not occur.
    pub forbidden_cliches: Vec<String>,
    /// The greatest share of words in dialogue, 0 to 1. 0: not one word.
    pub max_dialogue_ratio: f64,
    /// The least number of words that appeal to a sense.
    pub min_sensory_anchors: u64,
    /// How far a scene's length may be from its target, as a share of the target, 0 to 1.
    pub word_count_tolerance: f64,
}

/// Limits that no scene can be measured for.
#[derive(Clone, Debug, PartialEq)]
pub enum LimitsError {
    /// A share is not a number from 0 to 1.
    Share {
        /// The field of the constraints.
        field: &'static str,
        /// What it holds.
        value: f64,
    },
    /// A phrase has no letter and no digit, and so could never be found.
    EmptyPhrase {
        /// The field of the constraints.
        field: &'static str,
        /// Its place in the list.
        index: usize,
    },
}

impl std::fmt::Display for LimitsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Share { field, value } => write!(f, "{field}: {value} is not a share from 0 to 1"),
            Self::EmptyPhrase { field, index } => write!(f, "{field}/{index}: a phrase without a word is never found"),
        }
    }
}

impl std::error::Error for LimitsError {}

/// What was measured in one scene.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SceneMeasure {
    /// Words by Unicode segmentation: tokens with at least one letter or digit.
    pub word_count: u64,
    /// Sentences by Unicode segmentation.
    pub sentence_count: u64,
    /// The person of the narration; absent when no person leads.
    pub pov_detected: Option<Pov>,
    /// The tense of the narration; absent when neither leads.
    pub tense_detected: Option<Tense>,
    /// Words that appeal to one of five senses.
    pub sensory_anchor_count: u64,
    /// Words in dialogue, as a share of all words; 0 without words.
    pub dialogue_ratio: f64,
    /// Occurrences of banned words and phrases, in the order of the text, as written in the constraints.
    pub banned_word_hits: Vec<String>,
    /// Occurrences of clichés, likewise.
    pub cliche_hits: Vec<String>,
    /// Every broken rule.
    pub violations: Vec<Violation>,
}

/// Limits made ready once, to measure many scenes.
#[derive(Clone, Debug)]
pub struct Yardstick {
    limits: Limits,
    banned: Phrases,
    cliches: Phrases,
}

impl Yardstick {
    /// Prepares limits.
    ///
    /// # Errors
    /// A share outside 0 to 1 (or no number), a phrase without a word.
    pub fn new(limits: Limits) -> Result<Self, LimitsError> {
        for (field, value) in
            [("max_dialogue_ratio", limits.max_dialogue_ratio), ("word_count_tolerance", limits.word_count_tolerance)]
        {
            if !(0.0..=1.0).contains(&value) {
                return Err(LimitsError::Share { field, value });
            }
        }
        let phrases = |field, written: &[String]| {
            Phrases::new(written, limits.language).map_err(|index| LimitsError::EmptyPhrase { field, index })
        };
        let banned = phrases("banned_words", &limits.banned_words)?;
        let cliches = phrases("forbidden_cliches", &limits.forbidden_cliches)?;
        Ok(Self { limits, banned, cliches })
    }

    /// The limits that this was made of.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The fewest and the most words that a scene of this target may have.
    #[must_use]
    pub fn word_range(&self, target_word_count: u64) -> (u64, u64) {
        // Millionths, because in binary 100 · (1 + 0.1) is above 110 and its ceiling would be 111.
        const ONE: u128 = 1_000_000;
        let tolerance = (self.limits.word_count_tolerance * ONE as f64).round() as u128;
        let target = u128::from(target_word_count);
        let narrow = |words: u128| u64::try_from(words).unwrap_or(u64::MAX);
        (narrow(target * (ONE - tolerance) / ONE), narrow((target * (ONE + tolerance)).div_ceil(ONE)))
    }

    /// Measures a scene. Prose without a word is a missing scene, and breaks every HARD rule (SCR-11).
    #[must_use]
    pub fn measure<S: AsRef<str>>(&self, scene_id: &str, paragraphs: &[S], target_word_count: u64) -> SceneMeasure {
        let language = self.limits.language;
        let folded = text::fold(paragraphs);
        let reading = text::read(&folded.lower, language);
        let narration = text::narration(&reading.parts);
        let senses = reading.parts.iter().filter(|part| part.marks.any(&lexicon::SENSES));
        let mut measure = SceneMeasure {
            word_count: reading.words as u64,
            sentence_count: segment::sentences(&folded.cased) as u64,
            pov_detected: pov::detect(&narration, language),
            tense_detected: tense::detect(&narration, language),
            sensory_anchor_count: senses.count() as u64,
            dialogue_ratio: reading.spoken_words as f64 / reading.words.max(1) as f64,
            banned_word_hits: self.banned.hits(&reading.parts),
            cliche_hits: self.cliches.hits(&reading.parts),
            violations: Vec::new(),
        };
        measure.violations = judge::violations(&judge::Case {
            limits: &self.limits,
            found: &measure,
            narrated: (reading.words - reading.spoken_words) as u64,
            scene_id,
            target: target_word_count,
            range: self.word_range(target_word_count),
        });
        measure
    }

    /// What a scene without prose measures.
    #[must_use]
    pub fn missing(&self, scene_id: &str, target_word_count: u64) -> SceneMeasure {
        self.measure::<&str>(scene_id, &[], target_word_count)
    }
}

/// Hands the narration of a text to a test of the detectors.
#[cfg(test)]
fn narration_of<T>(prose: &str, language: Language, look: impl FnOnce(&[text::Part<'_>]) -> T) -> T {
    let folded = text::fold(&[prose]);
    look(&text::narration(&text::read(&folded.lower, language).parts))
}
