//! The rules that prose and story are held to, how grave each is, and what a broken one looks like in a report.

use serde::{Deserialize, Serialize};

/// A rule of the scribe workload. The names in reports are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A scene has no prose.
    MissingScene,
    /// A scene is further from its target length than the tolerance.
    WordCountRange,
    /// A banned word or phrase occurs.
    BannedWords,
    /// The narration's point of view is known, and is not the one asked for.
    PovConformity,
    /// The narration's tense is known, and is not the one asked for.
    TenseConformity,
    /// The plan has fewer scenes than the least, or more than the most.
    SceneCount,
    /// The words planned over all scenes are further from the intent's target than the tolerance.
    PlannedWords,
    /// Too few words that appeal to a sense.
    SensoryAnchors,
    /// Too great a share of the words is spoken.
    DialogueRatio,
    /// A forbidden cliché occurs.
    ForbiddenCliches,
    /// More than 50 words of narration, and no point of view.
    PovUndetermined,
    /// More than 50 words of narration, and no tense.
    TenseUndetermined,
    /// A provider did not say what a call used, so the reservation was charged.
    UsageMissing,
    /// Zero-width or bidirectional control characters in free text of the input.
    HiddenCharacters,
}

impl Rule {
    /// Every rule, in the order of reports.
    pub const ALL: [Self; 14] = [
        Self::MissingScene,
        Self::WordCountRange,
        Self::BannedWords,
        Self::PovConformity,
        Self::TenseConformity,
        Self::SceneCount,
        Self::PlannedWords,
        Self::SensoryAnchors,
        Self::DialogueRatio,
        Self::ForbiddenCliches,
        Self::PovUndetermined,
        Self::TenseUndetermined,
        Self::UsageMissing,
        Self::HiddenCharacters,
    ];

    /// How grave a breach of this rule is. One rule has one severity: nothing in a story can soften it.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::MissingScene
            | Self::WordCountRange
            | Self::BannedWords
            | Self::PovConformity
            | Self::TenseConformity
            | Self::SceneCount => Severity::Hard,
            Self::PlannedWords
            | Self::SensoryAnchors
            | Self::DialogueRatio
            | Self::ForbiddenCliches
            | Self::PovUndetermined
            | Self::TenseUndetermined
            | Self::UsageMissing
            | Self::HiddenCharacters => Severity::Soft,
        }
    }
}

/// Whether a breach fails the run or only lowers a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Fails the run.
    Hard,
    /// Lowers the soft score.
    Soft,
}

/// What was measured, or what was allowed: a number where the rule counts, a text where it names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Amount {
    /// A count of words, hits, scenes.
    Count(u64),
    /// A ratio.
    Ratio(f64),
    /// A point of view, a tense, a range, a list of words.
    Text(String),
}

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Violation {
    /// The scene; absent for a rule of the whole story.
    pub scene_id: Option<String>,
    /// The rule.
    pub rule: Rule,
    /// The rule's severity, repeated so that a reader of the file need not know the rules.
    pub severity: Severity,
    /// One sentence for a human.
    pub message: String,
    /// What was measured.
    pub value: Amount,
    /// What the rule allows.
    pub threshold: Amount,
}

impl Violation {
    /// A violation of a rule by one scene.
    #[must_use]
    pub fn of_scene(scene_id: &str, rule: Rule, message: String, value: Amount, threshold: Amount) -> Self {
        Self { scene_id: Some(scene_id.to_owned()), rule, severity: rule.severity(), message, value, threshold }
    }

    /// A violation of a rule by the whole story.
    #[must_use]
    pub fn of_story(rule: Rule, message: String, value: Amount, threshold: Amount) -> Self {
        Self { scene_id: None, rule, severity: rule.severity(), message, value, threshold }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_severities_are_those_of_the_reports() {
        let shown: Vec<String> = Rule::ALL
            .iter()
            .map(|rule| serde_json::to_string(&(rule, rule.severity())).expect("a rule is plain data"))
            .collect();
        assert_eq!(
            shown,
            [
                r#"["missing_scene","HARD"]"#,
                r#"["word_count_range","HARD"]"#,
                r#"["banned_words","HARD"]"#,
                r#"["pov_conformity","HARD"]"#,
                r#"["tense_conformity","HARD"]"#,
                r#"["scene_count","HARD"]"#,
                r#"["planned_words","SOFT"]"#,
                r#"["sensory_anchors","SOFT"]"#,
                r#"["dialogue_ratio","SOFT"]"#,
                r#"["forbidden_cliches","SOFT"]"#,
                r#"["pov_undetermined","SOFT"]"#,
                r#"["tense_undetermined","SOFT"]"#,
                r#"["usage_missing","SOFT"]"#,
                r#"["hidden_characters","SOFT"]"#,
            ]
        );
    }
}
