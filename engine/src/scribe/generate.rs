//! Stories from a seed (SCR-27): scenes, point of view, tense, limits and language vary, so that many runs have many
//! inputs. The same seed gives the same story.

use contract::digest::Digest;
use contract::draw::Draws;
use contract::seed::Seed;

use crate::scribe::generate::words::Words;
use crate::scribe::intent::{
    self, Aim, Canon, CanonEntry, Category, Constraints, Emotion, Genome, Intent, Metadata, Waypoint,
};
use crate::scribe::plan::{self, Arc, Beat, ConflictType, Plan, PlotSeed, Scene, Subtext};
use crate::scribe::style::{Language, PovChoice, TenseChoice};

mod words;

/// A story that holds every rule of its two files.
#[must_use]
pub fn story(seed: Seed) -> (Intent, Plan) {
    let mut draws = seed.stream("scribe/generate").draws();
    let language = if draws.chance(0.35) { Language::Fr } else { Language::En };
    let words = Words::of(language);
    let scenes = draws.between(3, 6);
    let targets: Vec<u64> = (0..scenes).map(|_| 5 * draws.between(12, 28) as u64).collect();
    let intent = intent_of(seed, language, words, &targets, &mut draws);
    let plan = plan_of(words, &targets, &mut draws);
    let bound = plan.bind(&intent).expect("numbers of a generated story are short decimals, all finite");
    (intent, bound)
}

/// A share with two decimals, so that JSON keeps it exactly.
fn share(draws: &mut Draws, least: usize, most: usize) -> f64 {
    draws.between(least, most) as f64 / 100.0
}

fn text(draws: &mut Draws, list: &[&str]) -> String {
    draws.pick(list).copied().unwrap_or("-").to_owned()
}

/// Some different entries of a list, in its order.
fn some(draws: &mut Draws, list: &[&str], least: usize, most: usize) -> Vec<String> {
    let mut wanted = draws.between(least, most);
    let mut chosen = Vec::new();
    for (at, entry) in list.iter().enumerate() {
        // Selection sampling (Knuth, The Art of Computer Programming, volume 2, algorithm S).
        if draws.below(list.len() - at) < wanted {
            chosen.push((*entry).to_owned());
            wanted -= 1;
        }
    }
    chosen
}

fn intent_of(seed: Seed, language: Language, words: &Words, targets: &[u64], draws: &mut Draws) -> Intent {
    let scenes = targets.len() as u64;
    let hero = text(draws, words.heroes);
    let place = text(draws, words.places);
    let object = text(draws, words.objects);
    Intent {
        schema: intent::SCHEMA.into(),
        intent: Aim {
            title: Words::title(&object, &place),
            premise: words.premise(&hero, &object, &place),
            core_emotion: text(draws, words.emotions),
            target_audience: text(draws, words.audiences),
            message: text(draws, words.messages),
            themes: some(draws, words.themes, 1, 3),
            target_word_count: targets.iter().sum(),
            language,
        },
        canon: Canon { entries: canon(words, &hero, &place, &object, draws) },
        constraints: Constraints {
            pov: *draws.pick(&POVS).unwrap_or(&PovChoice::ThirdLimited),
            tense: *draws.pick(&TENSES).unwrap_or(&TenseChoice::Past),
            banned_words: some(draws, words.banned, 1, 4),
            banned_topics: some(draws, words.topics, 0, 2),
            forbidden_cliches: some(draws, words.cliches, 1, 4),
            max_dialogue_ratio: if draws.chance(0.25) { 0.0 } else { share(draws, 10, 50) },
            min_sensory_anchors_per_scene: draws.between(0, 3) as u64,
            min_scenes: draws.between(1, targets.len()) as u64,
            max_scenes: scenes + draws.below(4) as u64,
            word_count_tolerance: share(draws, 15, 50),
        },
        genome: Genome {
            target_burstiness: share(draws, 20, 80),
            target_lexical_richness: share(draws, 40, 90),
            target_dialogue_ratio: share(draws, 0, 40),
            target_description_density: share(draws, 20, 80),
            target_avg_sentence_length: draws.between(8, 20) as f64,
            signature_traits: some(draws, words.traits, 1, 3),
        },
        emotion: Emotion {
            arc_emotion: text(draws, words.emotions),
            resolution_emotion: text(draws, words.emotions),
            climax_position: share(draws, 55, 90),
            waypoints: waypoints(words, draws.between(2, 5), draws),
        },
        metadata: Metadata {
            pack_id: format!("generated-{seed}"),
            pack_version: "1.0.0".into(),
            author: "story generator".into(),
            description: String::new(),
            created_at: "2026-01-01T00:00:00Z".into(),
        },
    }
}

const POVS: [PovChoice; 5] =
    [PovChoice::First, PovChoice::Second, PovChoice::ThirdLimited, PovChoice::ThirdOmniscient, PovChoice::Mixed];
/// Fixed tenses twice as often as a free one.
const TENSES: [TenseChoice; 5] =
    [TenseChoice::Past, TenseChoice::Past, TenseChoice::Present, TenseChoice::Present, TenseChoice::Mixed];

fn canon(words: &Words, hero: &str, place: &str, object: &str, draws: &mut Draws) -> Vec<CanonEntry> {
    let statements = [
        (Category::Character, hero, words.hero_facts),
        (Category::World, place, words.place_facts),
        (Category::Rule, object, words.object_facts),
    ];
    let count = draws.between(1, statements.len());
    let entry = |(at, (category, subject, facts)): (usize, (Category, &str, &[&str]))| CanonEntry {
        id: format!("canon-{}", at + 1),
        category,
        statement: format!("{subject} {}", text(draws, facts)),
        immutable: draws.chance(0.5),
    };
    statements.into_iter().take(count).enumerate().map(entry).collect()
}

/// Feelings at even distances from the beginning to the end.
fn waypoints(words: &Words, count: usize, draws: &mut Draws) -> Vec<Waypoint> {
    (0..count)
        .map(|at| Waypoint {
            position: (at * 100 / (count - 1).max(1)) as f64 / 100.0,
            emotion: text(draws, words.emotions),
            intensity: share(draws, 10, 100),
        })
        .collect()
}

fn plan_of(words: &Words, targets: &[u64], draws: &mut Draws) -> Plan {
    let scenes: Vec<Scene> =
        targets.iter().enumerate().map(|(at, target)| scene(words, at + 1, *target, draws)).collect();
    let seed_registry = plot_seed(words, scenes.len(), draws);
    let beat_count = scenes.iter().map(|scene| scene.beats.len() as u64).sum();
    let mut arcs = vec![arc(words, 1, scenes, draws)];
    let first = &mut arcs[0].scenes;
    if first.len() >= 4 && draws.chance(0.5) {
        let rest = first.split_off(first.len() / 2);
        arcs.push(arc(words, 2, rest, draws));
    }
    for arc in &mut arcs {
        for scene in &mut arc.scenes {
            scene.arc_id.clone_from(&arc.arc_id);
            for seed in &seed_registry {
                if seed.planted_in == scene.scene_id {
                    scene.seeds_planted.push(seed.id.clone());
                }
                if seed.blooms_in == scene.scene_id {
                    scene.seeds_bloomed.push(seed.id.clone());
                }
            }
        }
    }
    let unbound = Digest::of(b"");
    Plan {
        schema: plan::SCHEMA.into(),
        version: plan::VERSION.into(),
        plan_id: None,
        plan_hash: None,
        intent_hash: unbound,
        canon_hash: unbound,
        constraints_hash: unbound,
        genome_hash: unbound,
        emotion_hash: unbound,
        arcs,
        seed_registry,
        tension_curve: targets.iter().map(|_| share(draws, 0, 100)).collect(),
        emotion_trajectory: waypoints(words, targets.len(), draws),
        scene_count: targets.len() as u64,
        beat_count,
        estimated_word_count: targets.iter().sum(),
    }
}

fn arc(words: &Words, number: usize, scenes: Vec<Scene>, draws: &mut Draws) -> Arc {
    Arc {
        arc_id: format!("arc-{number}"),
        theme: text(draws, words.themes),
        progression: text(draws, words.progressions),
        justification: text(draws, words.messages),
        scenes,
    }
}

fn scene(words: &Words, number: usize, target: u64, draws: &mut Draws) -> Scene {
    let beats = draws.between(1, 4);
    Scene {
        scene_id: format!("scene-{number}"),
        arc_id: String::new(),
        objective: text(draws, words.objectives),
        conflict: text(draws, words.conflicts),
        conflict_type: *draws.pick(&CONFLICTS).unwrap_or(&ConflictType::Internal),
        emotion_target: text(draws, words.emotions),
        emotion_intensity: share(draws, 10, 100),
        seeds_planted: Vec::new(),
        seeds_bloomed: Vec::new(),
        subtext: Subtext {
            character_thinks: text(draws, words.thoughts),
            reader_knows: text(draws, words.thoughts),
            implied_emotion: text(draws, words.emotions),
            tension_type: text(draws, words.tensions),
        },
        sensory_anchor: text(draws, words.anchors),
        constraints: Vec::new(),
        beats: (1..=beats).map(|beat| self::beat(words, number, beat, draws)).collect(),
        target_word_count: target,
        justification: text(draws, words.messages),
    }
}

const CONFLICTS: [ConflictType; 5] = [
    ConflictType::Internal,
    ConflictType::External,
    ConflictType::Relational,
    ConflictType::Societal,
    ConflictType::Existential,
];

fn beat(words: &Words, scene: usize, number: usize, draws: &mut Draws) -> Beat {
    Beat {
        beat_id: format!("beat-{scene}-{number}"),
        action: text(draws, words.acts),
        intention: text(draws, words.objectives),
        pivot: draws.chance(0.25),
        tension_delta: *draws.pick(&[-1, 0, 1]).unwrap_or(&0),
        information_revealed: some(draws, words.thoughts, 0, 1),
        information_withheld: some(draws, words.thoughts, 0, 1),
    }
}

/// Something planted in one scene and blooming in a later one; a story of one scene has none.
fn plot_seed(words: &Words, scenes: usize, draws: &mut Draws) -> Vec<PlotSeed> {
    let planted = draws.between(1, scenes.saturating_sub(1).max(1));
    let blooms = draws.between(planted + 1, scenes.max(planted + 1));
    if blooms > scenes {
        return Vec::new();
    }
    vec![PlotSeed {
        id: "seed-1".into(),
        kind: "object".into(),
        description: text(draws, words.objects),
        planted_in: format!("scene-{planted}"),
        blooms_in: format!("scene-{blooms}"),
    }]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::scribe::validate::Story;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn every_generated_story_holds_every_rule(seed: u64) {
            let (intent, plan) = story(Seed(seed));
            let checked = Story::from_parts(&intent, &plan);
            prop_assert!(checked.is_ok(), "{:?}", checked.err());
            prop_assert_eq!(story(Seed(seed)), (intent, plan));
        }
    }

    #[test]
    fn a_thousand_seeds_are_a_thousand_inputs_of_every_kind() {
        let stories: Vec<_> = (0..1000).map(|seed| story(Seed(42).derive("any", seed))).collect();
        // The pack id alone must not be what makes inputs distinct.
        let distinct: BTreeSet<String> = stories
            .iter()
            .map(|(intent, plan)| format!("{:?}{:?}{:?}", intent.constraints, intent.intent, plan.arcs))
            .collect();
        assert_eq!(distinct.len(), 1000);
        for pov in POVS {
            assert!(stories.iter().filter(|(intent, _)| intent.constraints.pov == pov).count() > 120, "{pov:?}");
        }
        for language in [Language::En, Language::Fr] {
            assert!(stories.iter().filter(|(intent, _)| intent.intent.language == language).count() > 250);
        }
        for count in 3..=6 {
            assert!(stories.iter().filter(|(_, plan)| plan.scene_count == count).count() > 150, "{count} scenes");
        }
        assert!(stories.iter().filter(|(intent, _)| intent.constraints.max_dialogue_ratio == 0.0).count() > 180);
    }
}
