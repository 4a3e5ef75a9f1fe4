//! How a run ended: one exit code, one reason word, one sentence.

use contract::exit::engine as exit;
use contract::record::cost::Violation;
use serde::Serialize;

use crate::pipeline::attempt::sentence;
use crate::scribe::flow::{Ended, Outcome};
use crate::scribe::measure::rules::Severity;

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Exit code of the command.
    pub exit: u8,
    /// One word, stable: `pass`, `hard_violation`, a kind of budget violation, a provider error, `store`, `interrupted`.
    pub reason: String,
    /// What happened, for people.
    pub sentence: String,
    /// Whether something that was planned could not be done.
    pub partial: bool,
}

impl Ending {
    /// The end of a run: interruption before storage, budget, provider and rules, in this order.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        let missing = outcome.scenes.iter().filter(|scene| scene.draft.is_missing()).count();
        let ending = |exit, reason: &str, sentence: String| Self {
            exit,
            reason: reason.into(),
            sentence,
            partial: missing > 0 && exit != exit::GOOD,
        };
        match &outcome.ended {
            Some(Ended::Interrupted) => return ending(exit::INTERRUPTED, "interrupted", "stopped by the user".into()),
            Some(Ended::Store { detail }) => return ending(exit::UNAVAILABLE, "store", detail.clone()),
            _ => {}
        }
        if let Some(violation) = first_budget_violation(outcome) {
            return ending(exit::FAILURE, &word(&violation.kind), sentence(violation));
        }
        if let Some(Ended::Provider { word, detail }) = &outcome.ended {
            return ending(exit::UNAVAILABLE, word, detail.clone());
        }
        let unwritten = outcome.scenes.iter().filter(|scene| scene.draft.is_missing());
        if let Some((scene, (word, detail))) =
            unwritten.filter_map(|scene| Some((scene, outcome.failures.get(&scene.scene_id)?))).next()
        {
            return ending(exit::UNAVAILABLE, word, format!("scene {} is missing: {detail}", scene.scene_id));
        }
        let of_scenes = outcome.scenes.iter().flat_map(|scene| &scene.draft.measure.violations);
        let mut hard = outcome.story_violations.iter().chain(of_scenes).filter(|it| it.severity == Severity::Hard);
        match hard.next() {
            Some(first) => {
                let place = first.scene_id.as_ref().map_or_else(String::new, |scene| format!("scene {scene}: "));
                let more = outcome.score.hard_violations.saturating_sub(1);
                ending(exit::FAILURE, "hard_violation", format!("{place}{}, and {more} more", first.message))
            }
            None => ending(exit::GOOD, "pass", format!("{} scenes hold every HARD rule", outcome.scenes.len())),
        }
    }
}

/// The refusal that stopped the run, else the first limit that was passed.
fn first_budget_violation(outcome: &Outcome) -> Option<&Violation> {
    match &outcome.ended {
        Some(Ended::Budget(violation)) => Some(violation),
        _ => outcome.record.cost.violations.first(),
    }
}

/// The word that a plain enum has in JSON.
pub(crate) fn word(name: &impl Serialize) -> String {
    match serde_json::to_value(name) {
        Ok(serde_json::Value::String(word)) => word,
        other => format!("{other:?}"),
    }
}
