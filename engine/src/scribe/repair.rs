//! Repair: scenes that break a rule are asked for again, each time told what is wrong; the best prose seen wins.
//!
//! Repair can never make a scene worse, because a candidate only replaces a draft that ranks behind it, and it never
//! touches the text itself.

use serde::Serialize;

use crate::scribe::flow::calls::Calls;
use crate::scribe::flow::{Draft, Options, Progress, SceneResult};
use crate::scribe::measure::rules::{Rule, Severity};
use crate::scribe::plan::Scene;
use crate::scribe::prompt::{self, Brief};
use crate::scribe::validate::Story;

/// `repair-report.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RepairReport {
    /// Always `proofhouse.repair-report/1`.
    pub schema: &'static str,
    /// Scenes in the plan.
    pub total_scenes: usize,
    /// Scenes in scope before any repair.
    pub scenes_needing_repair: usize,
    /// Of these, scenes out of scope afterwards.
    pub scenes_repaired: usize,
    /// Of these, scenes still in scope.
    pub scenes_still_failing: usize,
    /// One entry for each scene in scope.
    pub repairs: Vec<SceneRepair>,
}

/// The repair of one scene.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SceneRepair {
    /// The scene.
    pub scene_id: String,
    /// What was wrong before.
    pub reason: Vec<String>,
    /// The candidates, in order.
    pub attempts: Vec<Attempt>,
    /// The candidate that was kept, from 1; 0 for the first prose.
    pub kept_attempt: u64,
    /// Whether the scene is still in scope.
    pub still_failing: bool,
}

/// One candidate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attempt {
    /// Rules that it breaks.
    pub violations: Vec<Rule>,
    /// Its words.
    pub word_count: u64,
    /// Whether it is the prose of the scene at the end.
    pub kept: bool,
    /// Whether there was no candidate, because the call failed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}

/// Repairs every scene in scope, in the order of the plan.
pub(super) async fn run(
    story: &Story,
    options: &Options,
    calls: &mut Calls<'_>,
    scenes: &mut [SceneResult],
    progress: &mut (dyn FnMut(Progress<'_>) + Send),
) -> RepairReport {
    let in_scope = |draft: &Draft| needs_repair(draft, options.repair_soft);
    let planned: Vec<&Scene> = story.plan.scenes().collect();
    let total_scenes = scenes.len();
    let mut repairs = Vec::new();
    for at in 0..total_scenes {
        // The prose before a scene may itself have been repaired: the prompt gets what will be in the pack.
        let before = at.checked_sub(1).and_then(|at| scenes[at].draft.last_sentences());
        let (Some(result), Some(scene)) = (scenes.get_mut(at), planned.get(at).copied()) else { continue };
        if !in_scope(&result.draft) {
            continue;
        }
        let reason = messages(&result.draft);
        let mut attempts = Vec::new();
        let mut kept_attempt = 0;
        for number in 1..=options.repair_attempts {
            if calls.has_ended() || !in_scope(&result.draft) {
                break;
            }
            let order =
                prompt::Repair { problems: messages(&result.draft), draft: result.draft.paragraphs.join("\n\n") };
            let next = planned.get(at + 1).copied();
            let brief = Brief { story, scene, before: before.as_deref(), next, repair: Some(&order) };
            let candidate = calls.ask(&brief, number).await;
            progress(Progress {
                scene: at + 1,
                scenes: total_scenes,
                scene_id: &scene.scene_id,
                repair: number,
                written: candidate.is_some(),
                words: candidate.as_ref().map_or(0, |draft| draft.measure.word_count),
                spent: calls.spent(),
            });
            attempts.push(attempt_row(candidate.as_ref()));
            // SCR-42: a failed call keeps the best so far.
            if let Some(candidate) = candidate
                && is_better(&candidate, &result.draft, scene.target_word_count)
            {
                result.draft = candidate;
                kept_attempt = number;
            }
        }
        for (number, attempt) in (1..).zip(&mut attempts) {
            attempt.kept = number == kept_attempt;
        }
        let still_failing = in_scope(&result.draft);
        repairs.push(SceneRepair { scene_id: result.scene_id.clone(), reason, attempts, kept_attempt, still_failing });
    }
    let scenes_still_failing = repairs.iter().filter(|repair| repair.still_failing).count();
    RepairReport {
        schema: "proofhouse.repair-report/1",
        total_scenes,
        scenes_needing_repair: repairs.len(),
        scenes_repaired: repairs.len() - scenes_still_failing,
        scenes_still_failing,
        repairs,
    }
}

/// SCR-40.
fn needs_repair(draft: &Draft, soft_too: bool) -> bool {
    draft.count(Severity::Hard) > 0 || (soft_too && draft.count(Severity::Soft) > 0)
}

/// SCR-41: fewest HARD, then fewest SOFT, then nearest to the target, then the earlier. Prose beats none.
fn is_better(candidate: &Draft, best: &Draft, target: u64) -> bool {
    let rank = |draft: &Draft| {
        let distance = draft.measure.word_count.abs_diff(target);
        (draft.is_missing(), draft.count(Severity::Hard), draft.count(Severity::Soft), distance)
    };
    rank(candidate) < rank(best)
}

fn messages(draft: &Draft) -> Vec<String> {
    draft.measure.violations.iter().map(|violation| violation.message.clone()).collect()
}

fn attempt_row(candidate: Option<&Draft>) -> Attempt {
    Attempt {
        violations: candidate
            .map_or_else(Vec::new, |draft| draft.measure.violations.iter().map(|violation| violation.rule).collect()),
        word_count: candidate.map_or(0, |draft| draft.measure.word_count),
        kept: false,
        failed: candidate.is_none(),
    }
}
