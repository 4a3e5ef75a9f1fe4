//! One version of a scene's prose, with what was measured in it.

use unicode_segmentation::UnicodeSegmentation;

use crate::scribe::measure::rules::{Rule, Severity};
use crate::scribe::measure::{SceneMeasure, Yardstick, paragraphs};
use crate::scribe::plan::Scene;

/// Prose of a scene; without paragraphs where there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// In order; none of them empty.
    pub paragraphs: Vec<String>,
    /// Whether it came from the cache.
    pub cached: bool,
    /// What was measured.
    pub measure: SceneMeasure,
}

impl Draft {
    /// A reply, measured for the scene that asked.
    #[must_use]
    pub fn of(text: &str, cached: bool, yardstick: &Yardstick, scene: &Scene) -> Self {
        let paragraphs = paragraphs(text);
        let measure = yardstick.measure(&scene.scene_id, &paragraphs, scene.target_word_count);
        Self { paragraphs, cached, measure }
    }

    /// A scene without prose.
    #[must_use]
    pub fn missing(yardstick: &Yardstick, scene: &Scene) -> Self {
        let measure = yardstick.missing(&scene.scene_id, scene.target_word_count);
        Self { paragraphs: Vec::new(), cached: false, measure }
    }

    /// The same prose, measured as that of another scene.
    #[must_use]
    pub(super) fn measured_for(self, yardstick: &Yardstick, scene: &Scene) -> Self {
        let measure = yardstick.measure(&scene.scene_id, &self.paragraphs, scene.target_word_count);
        Self { measure, ..self }
    }

    /// Whether there is no prose.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.measure.word_count == 0
    }

    /// Broken rules of one severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.measure.violations.iter().filter(|violation| violation.rule.severity() == severity).count()
    }

    /// The HARD rules that it breaks, sorted.
    #[must_use]
    pub fn hard_rules(&self) -> Vec<Rule> {
        let hard = self.measure.violations.iter().map(|violation| violation.rule);
        let mut rules: Vec<Rule> = hard.filter(|rule| rule.severity() == Severity::Hard).collect();
        rules.sort_unstable();
        rules
    }

    /// The last two sentences, which the next scene is told.
    #[must_use]
    pub fn last_sentences(&self) -> Option<String> {
        let last = self.paragraphs.last()?;
        let sentences: Vec<&str> = last.unicode_sentences().map(str::trim).collect();
        let two = sentences.get(sentences.len().saturating_sub(2)..)?.join(" ");
        (!two.is_empty()).then_some(two)
    }
}
