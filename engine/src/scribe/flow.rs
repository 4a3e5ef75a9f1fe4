//! From a story to a measured pack of prose: ask for each scene in order, measure, repair, score.
//!
//! No file is read or written here, so that drills run the same code ten thousand times in one process.

pub(in crate::scribe) mod calls;
mod draft;

use std::collections::BTreeMap;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;

use contract::digest::Digest;
use contract::money::MicroUsd;
use contract::record::cost::ViolationKind;
use contract::seed::Seed;

use crate::clock::{Clock, UtcMillis};
use crate::pipeline::{Pipeline, RunRecord};
use crate::scribe::flow::calls::Calls;
pub use crate::scribe::flow::calls::{Ended, call_key};
pub use crate::scribe::flow::draft::Draft;
use crate::scribe::measure::Yardstick;
use crate::scribe::measure::rules::{Amount, Rule, Severity, Violation};
use crate::scribe::plan::Scene;
use crate::scribe::prompt::Brief;
use crate::scribe::repair::{self, RepairReport};
use crate::scribe::score::{Score, score};
use crate::scribe::validate::Story;

/// What a run is asked to do, beside its story.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides what the mock writes; reaches every provider that takes a seed.
    pub seed: Seed,
    /// Place of the run among those of a drill; 0 for a run by itself.
    pub index: u64,
    /// The model, by its name in the price list.
    pub model: String,
    /// Sampling temperature.
    pub temperature: f64,
    /// Repair calls a scene at most.
    pub repair_attempts: u64,
    /// Whether SOFT violations are repaired too.
    pub repair_soft: bool,
    /// Digest of the calibration.
    pub policy: Digest,
}

/// Resolves when the user wants to stop.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a run tells while it goes on.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The scene, from 1.
    pub scene: usize,
    /// Scenes in the plan.
    pub scenes: usize,
    /// Its id.
    pub scene_id: &'a str,
    /// 0 while writing, the number of the attempt while repairing.
    pub repair: u64,
    /// Whether there is prose.
    pub written: bool,
    /// Words of the prose.
    pub words: u64,
    /// Charged so far.
    pub spent: MicroUsd,
}

/// One scene at the end of a run.
#[derive(Clone, Debug)]
pub struct SceneResult {
    /// Its id.
    pub scene_id: String,
    /// The arc that holds it.
    pub arc_id: String,
    /// Words asked for.
    pub target_word_count: u64,
    /// The best prose and what was measured in it.
    pub draft: Draft,
    /// HARD rules that the first reply broke; `None` without a first reply.
    pub first_hard: Option<Vec<Rule>>,
    /// Attempts of all its calls.
    pub attempts: u64,
}

/// Everything that a run gives.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// In the order of the plan.
    pub scenes: Vec<SceneResult>,
    /// Violations of the story as a whole.
    pub story_violations: Vec<Violation>,
    /// What all violations are worth.
    pub score: Score,
    /// What was repaired, and how.
    pub repair: RepairReport,
    /// Cost, faults and attempts.
    pub record: RunRecord,
    /// Scenes that no provider could write, with the word and the sentence of the last error.
    pub failures: BTreeMap<String, (String, String)>,
    /// Why the run stopped before its plan was done, if it did.
    pub ended: Option<Ended>,
    /// Start and end on the run's clock.
    pub period: (UtcMillis, UtcMillis),
}

/// Runs a story through a pipeline.
pub async fn run(
    story: &Story,
    options: &Options,
    pipeline: &Pipeline,
    clock: Clock,
    stop: Stop,
    progress: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Outcome {
    let started = clock.now();
    let mut story_violations = story_violations(story);
    let mut calls = Calls::new(story, options, pipeline, stop);
    if story_violations.iter().any(|violation| violation.severity == Severity::Hard) {
        calls.end(Ended::StoryRefused);
    }
    let mut scenes = write_scenes(story, &mut calls, progress).await;
    let repair = repair::run(story, options, &mut calls, &mut scenes, progress).await;
    let (attempts, failures, ended) = calls.finish();
    for scene in &mut scenes {
        scene.attempts = attempts.get(&scene.scene_id).copied().unwrap_or(0);
    }
    let record = pipeline.record();
    story_violations.extend(usage_missing(&record));
    let violations = scenes.iter().flat_map(|scene| &scene.draft.measure.violations).chain(&story_violations);
    // A checked plan has at least one scene.
    let planned = NonZeroUsize::new(scenes.len()).unwrap_or(NonZeroUsize::MIN);
    let score = score(planned, violations);
    Outcome { scenes, story_violations, score, repair, record, failures, ended, period: (started, clock.now()) }
}

/// Asks for every scene in the order of the plan, and stores each reply under the scene that asked for it (SCR-10).
async fn write_scenes(
    story: &Story,
    calls: &mut Calls<'_>,
    progress: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Vec<SceneResult> {
    let planned: Vec<&Scene> = story.plan.scenes().collect();
    let mut replies: BTreeMap<&str, Draft> = BTreeMap::new();
    let mut before = None;
    for (at, scene) in planned.iter().enumerate() {
        let next = planned.get(at + 1).copied();
        let brief = Brief { story, scene, before: before.as_deref(), next, repair: None };
        let reply = calls.ask(&brief, 0).await;
        before = reply.as_ref().and_then(|reply| reply.last_sentences());
        progress(Progress {
            scene: at + 1,
            scenes: planned.len(),
            scene_id: &scene.scene_id,
            repair: 0,
            written: reply.is_some(),
            words: reply.as_ref().map_or(0, |reply| reply.measure.word_count),
            spent: calls.spent(),
        });
        let Some(reply) = reply else { continue };
        if crate::sabotage!("scene-attribution-shifted") {
            let owner = planned[(at + 1) % planned.len()];
            replies.insert(&owner.scene_id, reply.measured_for(&story.yardstick, owner));
        } else {
            replies.insert(&scene.scene_id, reply);
        }
    }
    planned.iter().map(|scene| result(scene, replies.remove(scene.scene_id.as_str()), &story.yardstick)).collect()
}

fn result(scene: &Scene, reply: Option<Draft>, yardstick: &Yardstick) -> SceneResult {
    let first_hard = reply.as_ref().map(Draft::hard_rules);
    SceneResult {
        scene_id: scene.scene_id.clone(),
        arc_id: scene.arc_id.clone(),
        target_word_count: scene.target_word_count,
        draft: reply.unwrap_or_else(|| Draft::missing(yardstick, scene)),
        first_hard,
        attempts: 0,
    }
}

/// What is wrong with the story before any scene is written (SCR-2, SCR-3).
#[must_use]
pub fn story_violations(story: &Story) -> Vec<Violation> {
    let mut found = Vec::new();
    let (constraints, scenes) = (&story.intent.constraints, story.plan.scene_count);
    let (least, most) = (constraints.min_scenes, constraints.max_scenes);
    if scenes < least || scenes > most {
        let message = format!("the plan has {scenes} scenes, the intent allows {least} to {most}");
        let limit = Amount::Count(if scenes < least { least } else { most });
        found.push(Violation::of_story(Rule::SceneCount, message, Amount::Count(scenes), limit));
    }
    let (planned, target) = (story.plan.estimated_word_count, story.intent.intent.target_word_count);
    let (fewest, most) = story.yardstick.word_range(target);
    if planned < fewest || planned > most {
        let message = format!("{planned} words are planned, the intent asks for {target}");
        let limit = Amount::Count(if planned < fewest { fewest } else { most });
        found.push(Violation::of_story(Rule::PlannedWords, message, Amount::Count(planned), limit));
    }
    for place in &story.hidden_controls {
        let message = format!("{place} holds characters that a reader does not see");
        found.push(Violation::of_story(Rule::HiddenCharacters, message, Amount::Text(place.clone()), Amount::Count(0)));
    }
    found
}

fn usage_missing(record: &RunRecord) -> Vec<Violation> {
    let missing = record.cost.violations.iter().filter(|violation| violation.kind == ViolationKind::UsageMissing);
    let scene_of = |index: Option<u64>| record.cost.calls.iter().find(|call| Some(call.call_index) == index);
    missing
        .filter_map(|violation| scene_of(violation.call_index))
        .map(|call| {
            let message = format!("{} was answered without usage and is charged at its reservation", call.call_key);
            Violation::of_scene(&call.scene_id, Rule::UsageMissing, message, Amount::Count(1), Amount::Count(0))
        })
        .collect()
}
