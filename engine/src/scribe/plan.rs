//! `plan.json`: the scenes and beats of a story. Its shape as a table, its rules, and its type.

use std::collections::HashMap;

use contract::canonical;
use contract::digest::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::scribe::intent::{WAYPOINT, Waypoint, check_waypoints, items, unique};
use crate::scribe::problem::{Problems, Word};
use crate::scribe::schema::{ANY, Kind, MANY, may, must};

/// The schema name that a `plan.json` carries.
pub const SCHEMA: &str = "proofhouse.story-plan/1";

/// The version of the plan format.
pub const VERSION: &str = "1.0.0";

/// The parts of an intent that a plan is bound to, each with the plan's field that holds its digest.
pub(crate) const PARTS: [(&str, &str); 5] = [
    ("intent", "intent_hash"),
    ("canon", "canon_hash"),
    ("constraints", "constraints_hash"),
    ("genome", "genome_hash"),
    ("emotion", "emotion_hash"),
];

/// A whole plan. Read from a file only after every rule has held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Always [`VERSION`].
    pub version: String,
    /// `GPLAN-` and 16 hex digits over the five input digests; verified when present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<String>,
    /// Digest of the plan without this field; verified when present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<Digest>,
    /// Digest of `intent` in the intent.
    pub intent_hash: Digest,
    /// Digest of `canon` in the intent.
    pub canon_hash: Digest,
    /// Digest of `constraints` in the intent.
    pub constraints_hash: Digest,
    /// Digest of `genome` in the intent.
    pub genome_hash: Digest,
    /// Digest of `emotion` in the intent.
    pub emotion_hash: Digest,
    /// At least one.
    pub arcs: Vec<Arc>,
    /// What is planted early and blooms later.
    pub seed_registry: Vec<PlotSeed>,
    /// One tension a scene.
    pub tension_curve: Vec<f64>,
    /// One feeling a scene.
    pub emotion_trajectory: Vec<Waypoint>,
    /// Scenes in all arcs.
    pub scene_count: u64,
    /// Beats in all scenes.
    pub beat_count: u64,
    /// Sum of the scenes' target words.
    pub estimated_word_count: u64,
}

/// A run of scenes with one theme.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the documentation: free text by the author of the plan")]
pub struct Arc {
    pub arc_id: String,
    pub theme: String,
    pub progression: String,
    pub justification: String,
    /// At least one.
    pub scenes: Vec<Scene>,
}

/// What one scene has to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the documentation: free text by the author of the plan")]
pub struct Scene {
    /// Unique in the plan.
    pub scene_id: String,
    /// The arc that holds it.
    pub arc_id: String,
    pub objective: String,
    pub conflict: String,
    pub conflict_type: ConflictType,
    pub emotion_target: String,
    /// From 0 to 1.
    pub emotion_intensity: f64,
    /// Ids of the registry.
    pub seeds_planted: Vec<String>,
    /// Ids of the registry.
    pub seeds_bloomed: Vec<String>,
    pub subtext: Subtext,
    pub sensory_anchor: String,
    pub constraints: Vec<String>,
    /// 1 to 12.
    pub beats: Vec<Beat>,
    /// Words, at least 50.
    pub target_word_count: u64,
    pub justification: String,
}

/// Between whom a conflict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum ConflictType {
    Internal,
    External,
    Relational,
    Societal,
    Existential,
}

/// What is meant and not said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the documentation: free text by the author of the plan")]
pub struct Subtext {
    pub character_thinks: String,
    pub reader_knows: String,
    pub implied_emotion: String,
    pub tension_type: String,
}

/// One step of a scene.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the documentation: free text by the author of the plan")]
pub struct Beat {
    /// Unique in the plan.
    pub beat_id: String,
    pub action: String,
    pub intention: String,
    /// Whether the scene turns here.
    pub pivot: bool,
    /// -1, 0 or 1.
    pub tension_delta: i8,
    pub information_revealed: Vec<String>,
    pub information_withheld: Vec<String>,
}

/// Something that is planted in one scene and blooms in a later one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlotSeed {
    /// Unique in the registry.
    pub id: String,
    /// What kind of thing.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is.
    pub description: String,
    /// A scene id.
    pub planted_in: String,
    /// The id of a later scene.
    pub blooms_in: String,
}

impl Plan {
    /// The digests of the five parts of the intent, in the order of [`PARTS`].
    pub(crate) fn part_digests(&self) -> [Digest; 5] {
        [self.intent_hash, self.canon_hash, self.constraints_hash, self.genome_hash, self.emotion_hash]
    }

    /// Scenes in the order of the story.
    pub fn scenes(&self) -> impl Iterator<Item = &Scene> {
        self.arcs.iter().flat_map(|arc| &arc.scenes)
    }
}

const SUBTEXT: Kind = Kind::Object(&[
    must("character_thinks", Kind::Text),
    must("reader_knows", Kind::Text),
    must("implied_emotion", Kind::Text),
    must("tension_type", Kind::Text),
]);

const BEAT: Kind = Kind::Object(&[
    must("beat_id", Kind::FullText),
    must("action", Kind::FullText),
    must("intention", Kind::Text),
    must("pivot", Kind::Bool),
    must("tension_delta", Kind::Whole(-1, 1)),
    must("information_revealed", Kind::Items(0, ANY, &Kind::Text)),
    must("information_withheld", Kind::Items(0, ANY, &Kind::Text)),
]);

const SCENE: Kind = Kind::Object(&[
    must("scene_id", Kind::FullText),
    must("arc_id", Kind::FullText),
    must("objective", Kind::FullText),
    must("conflict", Kind::FullText),
    must("conflict_type", Kind::Choice(&["internal", "external", "relational", "societal", "existential"])),
    must("emotion_target", Kind::FullText),
    must("emotion_intensity", Kind::Fraction),
    must("seeds_planted", Kind::Items(0, ANY, &Kind::FullText)),
    must("seeds_bloomed", Kind::Items(0, ANY, &Kind::FullText)),
    must("subtext", SUBTEXT),
    must("sensory_anchor", Kind::Text),
    must("constraints", Kind::Items(0, ANY, &Kind::Text)),
    must("beats", Kind::Items(1, 12, &BEAT)),
    must("target_word_count", Kind::Whole(50, MANY)),
    must("justification", Kind::Text),
]);

const ARC: Kind = Kind::Object(&[
    must("arc_id", Kind::FullText),
    must("theme", Kind::FullText),
    must("progression", Kind::Text),
    must("justification", Kind::Text),
    must("scenes", Kind::Items(1, ANY, &SCENE)),
]);

const PLOT_SEED: Kind = Kind::Object(&[
    must("id", Kind::FullText),
    must("type", Kind::FullText),
    must("description", Kind::Text),
    must("planted_in", Kind::FullText),
    must("blooms_in", Kind::FullText),
]);

/// The shape of the whole file.
pub(crate) const SHAPE: Kind = Kind::Object(&[
    must("schema", Kind::Exactly(SCHEMA)),
    must("version", Kind::Exactly(VERSION)),
    may("plan_id", Kind::Text),
    may("plan_hash", Kind::Digest),
    must("intent_hash", Kind::Digest),
    must("canon_hash", Kind::Digest),
    must("constraints_hash", Kind::Digest),
    must("genome_hash", Kind::Digest),
    must("emotion_hash", Kind::Digest),
    must("arcs", Kind::Items(1, ANY, &ARC)),
    must("seed_registry", Kind::Items(0, ANY, &PLOT_SEED)),
    must("tension_curve", Kind::Items(1, ANY, &Kind::Number)),
    must("emotion_trajectory", Kind::Items(1, ANY, &WAYPOINT)),
    must("scene_count", Kind::Whole(1, MANY)),
    must("beat_count", Kind::Whole(1, MANY)),
    must("estimated_word_count", Kind::Whole(1, MANY)),
]);

/// The rules that tie fields together. They look at whatever is there, so that they speak even when the shape is broken.
pub(crate) fn check_rules(plan: &Value, problems: &mut Problems) {
    let arcs = items(plan, "/arcs");
    let scenes: Vec<(String, &Value)> = arcs
        .iter()
        .enumerate()
        .flat_map(|(a, arc)| {
            items(arc, "/scenes").iter().enumerate().map(move |(s, scene)| (format!("/arcs/{a}/scenes/{s}"), scene))
        })
        .collect();
    let beats = scenes.iter().flat_map(|(place, scene)| {
        items(scene, "/beats").iter().enumerate().map(move |(b, beat)| (format!("{place}/beats/{b}"), beat))
    });
    let seeds = items(plan, "/seed_registry");

    unique(arcs.iter().enumerate().map(|(a, arc)| (format!("/arcs/{a}/arc_id"), &arc["arc_id"])), problems);
    unique(scenes.iter().map(|(place, scene)| (format!("{place}/scene_id"), &scene["scene_id"])), problems);
    unique(beats.clone().map(|(place, beat)| (format!("{place}/beat_id"), &beat["beat_id"])), problems);
    unique(seeds.iter().enumerate().map(|(i, seed)| (format!("/seed_registry/{i}/id"), &seed["id"])), problems);
    check_arc_ids(arcs, problems);
    check_seeds(seeds, &scenes, problems);
    check_waypoints(plan, "/emotion_trajectory", problems);

    let words = scenes.iter().filter_map(|(_, scene)| scene["target_word_count"].as_u64()).sum();
    check_count(plan, "scene_count", scenes.len() as u64, problems);
    check_count(plan, "beat_count", beats.count() as u64, problems);
    check_count(plan, "estimated_word_count", words, problems);
    for curve in ["tension_curve", "emotion_trajectory"] {
        let length = plan[curve].as_array().map(Vec::len);
        if length.is_some_and(|length| length != scenes.len()) {
            let message = format!("{} entries for {} scenes", length.unwrap_or(0), scenes.len());
            problems.add(format!("/{curve}"), Word::Count, message);
        }
    }
}

fn check_arc_ids(arcs: &[Value], problems: &mut Problems) {
    for (a, arc) in arcs.iter().enumerate() {
        for (s, scene) in items(arc, "/scenes").iter().enumerate() {
            if let (Some(stated), Some(holder)) = (scene["arc_id"].as_str(), arc["arc_id"].as_str())
                && stated != holder
            {
                let place = format!("/arcs/{a}/scenes/{s}/arc_id");
                problems.add(place, Word::Reference, format!("{stated:?} is not the arc that holds it, {holder:?}"));
            }
        }
    }
}

fn check_seeds(seeds: &[Value], scenes: &[(String, &Value)], problems: &mut Problems) {
    let order: HashMap<&str, usize> =
        scenes.iter().enumerate().filter_map(|(at, (_, scene))| Some((scene["scene_id"].as_str()?, at))).collect();
    for (i, seed) in seeds.iter().enumerate() {
        let [planted, blooms] = ["planted_in", "blooms_in"].map(|end| {
            let scene = seed[end].as_str()?;
            let found = order.get(scene).copied();
            if found.is_none() {
                problems.add(format!("/seed_registry/{i}/{end}"), Word::Reference, format!("no scene {scene:?}"));
            }
            found
        });
        if let (Some(planted), Some(blooms)) = (planted, blooms)
            && blooms <= planted
        {
            problems.add(format!("/seed_registry/{i}/blooms_in"), Word::Order, "blooms before or where it is planted");
        }
    }
    for (place, scene) in scenes {
        for list in ["seeds_planted", "seeds_bloomed"] {
            for (i, id) in scene[list].as_array().into_iter().flatten().enumerate() {
                if id.is_string() && seeds.iter().all(|seed| seed["id"] != *id) {
                    problems.add(format!("{place}/{list}/{i}"), Word::Reference, format!("no seed {id} is registered"));
                }
            }
        }
    }
}

fn check_count(plan: &Value, name: &str, actual: u64, problems: &mut Problems) {
    if let Some(stated) = plan[name].as_u64()
        && stated != actual
    {
        problems.add(format!("/{name}"), Word::Count, format!("{stated} is stated, the scenes have {actual}"));
    }
}

/// Checks that the plan was made for this intent, and that its own id and digest hold.
pub(crate) fn check_hashes(intent: &Value, plan: &Value, problems: &mut Problems) {
    let stated = |field: &str| plan[field].as_str().and_then(Digest::parse);
    let digests = PARTS.map(|(part, field)| {
        // A value that strict parsing accepted has a digest; an absent part is already reported.
        let actual = canonical::digest(intent.get(part)?).ok()?;
        if stated(field).is_some_and(|stated| stated != actual) {
            let message = format!("plan does not belong to this intent: {part} has the digest {actual}");
            problems.add(format!("/{field}"), Word::Hash, message);
        }
        Some(actual)
    });
    if let [Some(a), Some(b), Some(c), Some(d), Some(e)] = digests
        && let Some(id) = plan["plan_id"].as_str()
        && id != plan_id([a, b, c, d, e])
    {
        let message = format!("the five input digests give {}", plan_id([a, b, c, d, e]));
        problems.add("/plan_id", Word::Hash, message);
    }
    if let Some(stated) = stated("plan_hash")
        && let Ok(actual) = plan_hash(plan)
        && stated != actual
    {
        problems.add("/plan_hash", Word::Hash, format!("the plan without plan_hash has the digest {actual}"));
    }
}

/// `GPLAN-` and the first 16 hex digits of the SHA-256 of the five digests' 64-digit texts, one after the other in the
/// order intent, canon, constraints, genome, emotion.
pub(crate) fn plan_id(digests: [Digest; 5]) -> String {
    let text: String = digests.iter().map(Digest::to_string).collect();
    format!("GPLAN-{:.16}", Digest::of(text.as_bytes()).to_string())
}

/// The digest of a plan document without its field `plan_hash`.
pub(crate) fn plan_hash(plan: &Value) -> Result<Digest, canonical::JsonError> {
    let mut plan = plan.clone();
    if let Some(fields) = plan.as_object_mut() {
        fields.remove("plan_hash");
    }
    canonical::digest(&plan)
}

impl Plan {
    /// Fills in the five digests, the id and the digest of the plan, so that it belongs to `intent`.
    ///
    /// # Errors
    /// When one of them holds a number without canonical form.
    pub fn bind(mut self, intent: &crate::scribe::intent::Intent) -> Result<Self, canonical::JsonError> {
        self.intent_hash = canonical::digest(&intent.intent)?;
        self.canon_hash = canonical::digest(&intent.canon)?;
        self.constraints_hash = canonical::digest(&intent.constraints)?;
        self.genome_hash = canonical::digest(&intent.genome)?;
        self.emotion_hash = canonical::digest(&intent.emotion)?;
        self.plan_id = Some(plan_id(self.part_digests()));
        self.plan_hash = None;
        self.plan_hash = Some(canonical::digest(&self)?);
        Ok(self)
    }
}
