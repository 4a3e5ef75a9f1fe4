//! What a story is worth: two scores in [0, 1] and two verdicts, from the violations of its scenes.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use super::measure::rules::{Rule, Severity, Violation};

/// HARD rules that one scene can break. A scene without prose breaks them all (SCR-11).
const WEIGHT_PER_SCENE: usize = 5;

/// The score of a story. Monotone: one violation more never raises a score and never turns a verdict to true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// The same as `hard_score`, under the name that readers of packs know.
    pub constraint_satisfaction: f64,
    /// 1 − HARD / (5 · scenes planned), at least 0; a missing scene counts 5.
    pub hard_score: f64,
    /// 1 − SOFT / (5 · scenes planned), at least 0.
    pub soft_score: f64,
    /// No HARD violation.
    pub hard_pass: bool,
    /// No SOFT violation.
    pub soft_pass: bool,
    /// HARD and SOFT violations.
    pub total_violations: usize,
    /// HARD violations.
    pub hard_violations: usize,
    /// SOFT violations.
    pub soft_violations: usize,
}

/// Scores the violations of a story of which `planned` scenes were asked for.
#[must_use]
pub fn score<'a>(planned: NonZeroUsize, violations: impl IntoIterator<Item = &'a Violation>) -> Score {
    let (mut soft, mut hard) = (0_usize, 0_usize);
    // Per scene (none: the story), the HARD violations and whether one of them is that there is no prose.
    let mut scenes: BTreeMap<Option<&str>, (usize, bool)> = BTreeMap::new();
    for violation in violations {
        // The severity is the rule's: a forged field of a record cannot make a breach cheaper.
        match violation.rule.severity() {
            Severity::Hard => {
                hard += 1;
                let scene = scenes.entry(violation.scene_id.as_deref()).or_default();
                scene.0 += 1;
                scene.1 |= violation.rule == Rule::MissingScene;
            }
            Severity::Soft => soft += 1,
        }
    }
    // A missing scene costs the whole scene, whether its record names one broken rule or all of them.
    let weight = |&(count, missing): &(usize, bool)| if missing { count.max(WEIGHT_PER_SCENE) } else { count };
    let hard_weight = scenes.values().map(weight).sum();
    let share = |weight: usize| {
        let most = planned.get().saturating_mul(WEIGHT_PER_SCENE);
        (1.0 - weight as f64 / most as f64).max(0.0)
    };
    Score {
        constraint_satisfaction: share(hard_weight),
        hard_score: share(hard_weight),
        soft_score: share(soft),
        hard_pass: hard == 0,
        soft_pass: soft == 0,
        total_violations: hard + soft,
        hard_violations: hard,
        soft_violations: soft,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::measure::rules::Amount;
    use super::*;

    fn broken(rule: Rule) -> Violation {
        Violation::of_scene("scene-1", rule, "broken".to_owned(), Amount::Count(1), Amount::Count(0))
    }

    fn scenes(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).expect("the tests plan at least one scene")
    }

    #[test]
    fn a_clean_story_is_worth_one() {
        let clean = score(scenes(3), &[]);
        assert_eq!((clean.hard_score, clean.soft_score, clean.hard_pass, clean.soft_pass), (1.0, 1.0, true, true));
    }

    #[test]
    fn a_missing_scene_costs_five_of_five_times_planned() {
        let story = score(scenes(4), &[broken(Rule::MissingScene)]);
        assert_eq!(story.hard_score, 0.75);
        assert_eq!(story.constraint_satisfaction, story.hard_score);
        assert!(!story.hard_pass);
        let all =
            [Rule::MissingScene, Rule::WordCountRange, Rule::BannedWords, Rule::PovConformity, Rule::TenseConformity];
        let story = score(scenes(4), &all.map(broken));
        assert_eq!((story.hard_score, story.hard_violations), (0.75, 5));
    }

    #[test]
    fn soft_violations_leave_the_hard_score_alone() {
        let story = score(scenes(2), &[broken(Rule::DialogueRatio), broken(Rule::SensoryAnchors)]);
        assert_eq!((story.hard_score, story.soft_score), (1.0, 0.8));
        assert_eq!((story.hard_pass, story.soft_pass), (true, false));
    }

    #[test]
    fn a_forged_severity_does_not_soften_a_breach() {
        let mut forged = broken(Rule::BannedWords);
        forged.severity = Severity::Soft;
        assert!(!score(scenes(1), &[forged]).hard_pass);
    }

    #[test]
    fn scores_have_a_floor() {
        let many: Vec<Violation> = Rule::ALL.iter().cycle().take(100).map(|&rule| broken(rule)).collect();
        let story = score(scenes(1), &many);
        assert_eq!((story.hard_score, story.soft_score), (0.0, 0.0));
    }

    proptest! {
        #[test]
        fn one_violation_more_never_raises_a_score(
            planned in 1_usize..40,
            rules in proptest::collection::vec(proptest::sample::select(&Rule::ALL[..]), 0..60),
            extra in proptest::sample::select(&Rule::ALL[..]),
        ) {
            let mut violations: Vec<Violation> = rules.into_iter().map(broken).collect();
            let before = score(scenes(planned), &violations);
            violations.push(broken(extra));
            let after = score(scenes(planned), &violations);
            prop_assert!(after.hard_score <= before.hard_score && after.soft_score <= before.soft_score);
            prop_assert!(after.constraint_satisfaction <= before.constraint_satisfaction);
            prop_assert!(before.hard_pass >= after.hard_pass && before.soft_pass >= after.soft_pass);
            prop_assert!((0.0..=1.0).contains(&after.hard_score) && (0.0..=1.0).contains(&after.soft_score));
            prop_assert_eq!(after.total_violations, before.total_violations + 1);
        }
    }
}
