//! `prosepack.json` and `prose.txt`: the final prose with everything that was measured in it.

use contract::canonical::{self, JsonError};
use contract::digest::Digest;
use contract::seed::Seed;
use serde::Serialize;
use serde_json::Value;

use crate::scribe::flow::{Options, Outcome, SceneResult};
use crate::scribe::intent::Constraints;
use crate::scribe::measure::SceneMeasure;
use crate::scribe::measure::rules::Violation;
use crate::scribe::score::Score;
use crate::scribe::time::rfc3339;
use crate::scribe::validate::Story;

/// The schema name of a pack.
pub(super) const SCHEMA: &str = "proofhouse.prosepack/1";

#[derive(Serialize)]
struct Pack<'a> {
    schema: &'static str,
    meta: Meta<'a>,
    constraints: &'a Constraints,
    scenes: Vec<Scene<'a>>,
    story_violations: &'a [Violation],
    score: PackScore<'a>,
    total_words: u64,
    total_sentences: u64,
    total_paragraphs: usize,
}

#[derive(Serialize)]
struct Meta<'a> {
    run_id: String,
    plan_id: &'a str,
    plan_hash: Digest,
    prose_hash: Digest,
    model: &'a str,
    provider_mode: &'a str,
    temperature: f64,
    seed: Seed,
    policy_digest: Digest,
    created_utc: String,
}

#[derive(Serialize)]
struct Scene<'a> {
    scene_id: &'a str,
    arc_id: &'a str,
    status: &'static str,
    paragraphs: &'a [String],
    target_word_count: u64,
    #[serde(flatten)]
    measure: &'a SceneMeasure,
    attempts: u64,
    cached: bool,
}

#[derive(Serialize)]
struct PackScore<'a> {
    /// A pack that does not hold its schema is never written.
    schema_ok: bool,
    #[serde(flatten)]
    score: &'a Score,
}

/// A pack and its digests.
pub(super) struct Built {
    /// `prosepack.json` as a value.
    pub(super) value: Value,
    /// `prose.txt`.
    pub(super) prose: String,
    /// Digest of the canonical pack without `created_utc`.
    pub(super) output_digest: Digest,
}

/// Builds the pack of a run.
pub(super) fn build(story: &Story, options: &Options, provider: &str, outcome: &Outcome) -> Result<Built, JsonError> {
    let prose = prose_text(&outcome.scenes);
    let measures = || outcome.scenes.iter().map(|scene| &scene.draft.measure);
    let pack = Pack {
        schema: SCHEMA,
        meta: Meta {
            run_id: run_id(story, options)?,
            plan_id: &story.plan_id,
            plan_hash: story.plan_hash,
            prose_hash: Digest::of(prose.as_bytes()),
            model: &options.model,
            provider_mode: provider,
            temperature: options.temperature,
            seed: options.seed,
            policy_digest: options.policy,
            created_utc: rfc3339(outcome.period.1),
        },
        constraints: &story.intent.constraints,
        scenes: outcome.scenes.iter().map(scene).collect(),
        story_violations: &outcome.story_violations,
        score: PackScore { schema_ok: true, score: &outcome.score },
        total_words: measures().map(|measure| measure.word_count).sum(),
        total_sentences: measures().map(|measure| measure.sentence_count).sum(),
        total_paragraphs: outcome.scenes.iter().map(|scene| scene.draft.paragraphs.len()).sum(),
    };
    let value = canonical::to_value(&pack)?;
    let output_digest = output_digest(&value)?;
    Ok(Built { value, prose, output_digest })
}

fn scene(result: &SceneResult) -> Scene<'_> {
    Scene {
        scene_id: &result.scene_id,
        arc_id: &result.arc_id,
        status: if result.draft.is_missing() { "missing" } else { "written" },
        paragraphs: &result.draft.paragraphs,
        target_word_count: result.target_word_count,
        measure: &result.draft.measure,
        attempts: result.attempts,
        cached: result.draft.cached,
    }
}

/// Digest of a pack without the one field of real time.
///
/// # Errors
/// When a number has no canonical form.
pub fn output_digest(pack: &Value) -> Result<Digest, JsonError> {
    let mut pack = pack.clone();
    if let Some(meta) = pack.get_mut("meta").and_then(Value::as_object_mut) {
        meta.remove("created_utc");
    }
    canonical::digest(&pack)
}

/// `run-` and 16 hex digits over input, policy and seed: the same run has the same name.
fn run_id(story: &Story, options: &Options) -> Result<String, JsonError> {
    let digest = canonical::digest(&(story.input_digest, options.policy, options.seed))?.to_string();
    Ok(format!("run-{digest:.16}"))
}

/// Scenes in order, an empty line between paragraphs, a rule between scenes. A missing scene has no text.
fn prose_text(scenes: &[SceneResult]) -> String {
    let texts: Vec<String> = scenes.iter().map(|scene| scene.draft.paragraphs.join("\n\n")).collect();
    texts.join("\n\n* * *\n\n") + "\n"
}
