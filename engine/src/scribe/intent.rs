//! `intent.json`: what the story should be. Its shape as a table, its rules, and its type.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::scribe::problem::{Problems, Word};
use crate::scribe::schema::{ANY, Kind, MANY, may, must};
use crate::scribe::style::{Language, PovChoice, TenseChoice};

/// The schema name that an `intent.json` carries.
pub const SCHEMA: &str = "proofhouse.intent/1";

/// A whole intent. Read from a file only after every rule has held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// What the story is about.
    pub intent: Aim,
    /// What is true in its world.
    pub canon: Canon,
    /// What the prose must obey; measured.
    pub constraints: Constraints,
    /// What the prose should feel like.
    pub genome: Genome,
    /// The course of feeling.
    pub emotion: Emotion,
    /// Who made this file.
    pub metadata: Metadata,
}

/// What the story is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the documentation: free text by the author of the story")]
pub struct Aim {
    pub title: String,
    pub premise: String,
    pub core_emotion: String,
    pub target_audience: String,
    pub message: String,
    pub themes: Vec<String>,
    /// Words of the whole story.
    pub target_word_count: u64,
    /// The language of the prose.
    #[serde(default = "english")]
    pub language: Language,
}

fn english() -> Language {
    Language::En
}

/// What is true in the story's world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Canon {
    /// At least one.
    pub entries: Vec<CanonEntry>,
}

/// One fact of the story's world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CanonEntry {
    /// Unique in the canon.
    pub id: String,
    /// What the fact is about.
    pub category: Category,
    /// The fact.
    pub statement: String,
    /// Whether the story may not change it.
    pub immutable: bool,
}

/// What a fact of the canon is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Category {
    Character,
    World,
    Event,
    Rule,
    Relationship,
}

/// What the prose must obey.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constraints {
    /// Who tells.
    pub pov: PovChoice,
    /// When it happens.
    pub tense: TenseChoice,
    /// Words and phrases that may not occur.
    pub banned_words: Vec<String>,
    /// Topics to stay away from; told to the provider, not measured.
    pub banned_topics: Vec<String>,
    /// Phrases that should not occur.
    pub forbidden_cliches: Vec<String>,
    /// Most dialogue words / words; 0 means none at all.
    pub max_dialogue_ratio: f64,
    /// Least words of sense in each scene.
    pub min_sensory_anchors_per_scene: u64,
    /// Least scenes.
    pub min_scenes: u64,
    /// Most scenes.
    pub max_scenes: u64,
    /// How far a scene's words may be from its target, as a share of the target.
    #[serde(default = "half")]
    pub word_count_tolerance: f64,
}

fn half() -> f64 {
    0.5
}

/// What the prose should feel like; told to the provider, not measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the documentation: shares from 0 to 1")]
pub struct Genome {
    pub target_burstiness: f64,
    pub target_lexical_richness: f64,
    pub target_dialogue_ratio: f64,
    pub target_description_density: f64,
    /// Words.
    pub target_avg_sentence_length: f64,
    pub signature_traits: Vec<String>,
}

/// The course of feeling over the story.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Emotion {
    /// Over the whole.
    pub arc_emotion: String,
    /// At the end.
    pub resolution_emotion: String,
    /// Where in the story the climax lies, from 0 to 1.
    pub climax_position: f64,
    /// At least two, in order.
    pub waypoints: Vec<Waypoint>,
}

/// A feeling at a place in the story.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waypoint {
    /// From 0, the beginning, to 1, the end.
    pub position: f64,
    /// The feeling.
    pub emotion: String,
    /// From 0 to 1.
    pub intensity: f64,
}

/// Who made the intent, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub struct Metadata {
    pub pack_id: String,
    pub pack_version: String,
    pub author: String,
    pub description: String,
    /// RFC 3339.
    pub created_at: String,
}

const AIM: Kind = Kind::Object(&[
    must("title", Kind::FullText),
    must("premise", Kind::FullText),
    must("core_emotion", Kind::FullText),
    must("target_audience", Kind::FullText),
    must("message", Kind::FullText),
    must("themes", Kind::Items(1, ANY, &Kind::FullText)),
    must("target_word_count", Kind::Whole(1, MANY)),
    may("language", Kind::Choice(&["en", "fr"])),
]);

const CANON_ENTRY: Kind = Kind::Object(&[
    must("id", Kind::FullText),
    must("category", Kind::Choice(&["character", "world", "event", "rule", "relationship"])),
    must("statement", Kind::FullText),
    must("immutable", Kind::Bool),
]);

const CONSTRAINTS: Kind = Kind::Object(&[
    must("pov", Kind::Choice(&["first", "second", "third-limited", "third-omniscient", "mixed"])),
    must("tense", Kind::Choice(&["past", "present", "mixed"])),
    must("banned_words", Kind::Items(0, ANY, &Kind::FullText)),
    must("banned_topics", Kind::Items(0, ANY, &Kind::FullText)),
    must("forbidden_cliches", Kind::Items(0, ANY, &Kind::FullText)),
    must("max_dialogue_ratio", Kind::Fraction),
    must("min_sensory_anchors_per_scene", Kind::Whole(0, MANY)),
    must("min_scenes", Kind::Whole(1, MANY)),
    must("max_scenes", Kind::Whole(1, MANY)),
    may("word_count_tolerance", Kind::Fraction),
]);

const GENOME: Kind = Kind::Object(&[
    must("target_burstiness", Kind::Fraction),
    must("target_lexical_richness", Kind::Fraction),
    must("target_dialogue_ratio", Kind::Fraction),
    must("target_description_density", Kind::Fraction),
    must("target_avg_sentence_length", Kind::Positive),
    must("signature_traits", Kind::Items(1, ANY, &Kind::FullText)),
]);

/// A feeling at a place, in both input files.
pub(crate) const WAYPOINT: Kind = Kind::Object(&[
    must("position", Kind::Fraction),
    must("emotion", Kind::FullText),
    must("intensity", Kind::Fraction),
]);

const EMOTION: Kind = Kind::Object(&[
    must("arc_emotion", Kind::FullText),
    must("resolution_emotion", Kind::FullText),
    must("climax_position", Kind::Fraction),
    must("waypoints", Kind::Items(2, ANY, &WAYPOINT)),
]);

const METADATA: Kind = Kind::Object(&[
    must("pack_id", Kind::FullText),
    must("pack_version", Kind::FullText),
    must("author", Kind::FullText),
    must("description", Kind::Text),
    must("created_at", Kind::Time),
]);

/// The shape of the whole file.
pub(crate) const SHAPE: Kind = Kind::Object(&[
    must("schema", Kind::Exactly(SCHEMA)),
    must("intent", AIM),
    must("canon", Kind::Object(&[must("entries", Kind::Items(1, ANY, &CANON_ENTRY))])),
    must("constraints", CONSTRAINTS),
    must("genome", GENOME),
    must("emotion", EMOTION),
    must("metadata", METADATA),
]);

/// The rules that tie fields together. They look at whatever is there, so that they speak even when the shape is broken.
pub(crate) fn check_rules(intent: &Value, problems: &mut Problems) {
    let entries = items(intent, "/canon/entries");
    unique(entries.iter().enumerate().map(|(i, entry)| (format!("/canon/entries/{i}/id"), &entry["id"])), problems);
    let scenes = |name: &str| intent.pointer("/constraints").and_then(|part| part[name].as_i64());
    if let (Some(least), Some(most)) = (scenes("min_scenes"), scenes("max_scenes"))
        && most < least
    {
        problems.add("/constraints/max_scenes", Word::Order, format!("{most} is below min_scenes {least}"));
    }
    for list in ["/constraints/banned_words", "/constraints/forbidden_cliches"] {
        for (index, phrase) in items(intent, list).iter().enumerate() {
            if phrase
                .as_str()
                .is_some_and(|phrase| !phrase.trim().is_empty() && !phrase.contains(char::is_alphanumeric))
            {
                problems.add(format!("{list}/{index}"), Word::Empty, "a phrase without a word is never found");
            }
        }
    }
    check_waypoints(intent, "/emotion/waypoints", problems);
}

/// Positions of waypoints never go back.
pub(crate) fn check_waypoints(document: &Value, pointer: &str, problems: &mut Problems) {
    let positions: Vec<_> = items(document, pointer).iter().map(|waypoint| waypoint["position"].as_f64()).collect();
    for (index, pair) in positions.windows(2).enumerate() {
        if let [Some(before), Some(after)] = pair
            && after < before
        {
            let place = format!("{pointer}/{}/position", index + 1);
            problems.add(place, Word::Order, format!("{after} comes after {before}"));
        }
    }
}

/// Each text value occurs once.
pub(crate) fn unique<'a>(ids: impl Iterator<Item = (String, &'a Value)>, problems: &mut Problems) {
    let mut seen = std::collections::BTreeMap::new();
    for (place, id) in ids {
        let Some(id) = id.as_str() else { continue };
        if let Some(first) = seen.get(id) {
            problems.add(place, Word::Duplicate, format!("{id:?} is already the id at {first}"));
        } else {
            seen.insert(id, place);
        }
    }
}

/// The items of an array, none when there is no array.
pub(crate) fn items<'a>(document: &'a Value, pointer: &str) -> &'a [Value] {
    document.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
