//! Tests that mock prose is what it claims to be: measured without a fault where none was planted, and with exactly the
//! planted one elsewhere (SCR-26).

use contract::seed::Seed;

use crate::scribe::generate;
use crate::scribe::measure::Yardstick;
use crate::scribe::measure::rules::{Rule, Severity};
use crate::scribe::mock_prose::{MockProse, write};
use crate::scribe::prompt::{Brief, Prompt, mock_ask};
use crate::scribe::validate::Story;

/// Calls `look` with each scene's yardstick, target, prose and violated rules.
fn each_scene(stories: u64, defect_rate: f64, mut look: impl FnMut(&str, MockProse, Vec<Rule>)) {
    for seed in 0..stories {
        let seed = Seed(42).derive("mock", seed);
        let (intent, plan) = generate::story(seed);
        let story = Story::from_parts(&intent, &plan).expect("generated stories hold every rule");
        let yardstick: &Yardstick = &story.yardstick;
        for scene in story.plan.scenes() {
            let brief = Brief { story: &story, scene, before: None, next: None, repair: None };
            let prompt = Prompt::of(&brief).expect("a checked story is JSON");
            let ask = mock_ask(&prompt.user, defect_rate).expect("the prompt holds our data");
            let prose = write(&ask, seed.stream(&scene.scene_id));
            let measure = yardstick.measure(&scene.scene_id, &prose.paragraphs, scene.target_word_count);
            let rules = measure.violations.iter().map(|violation| violation.rule).collect();
            look(&format!("{ask:#?}\n{measure:#?}"), prose, rules);
        }
    }
}

fn hard(rules: &[Rule]) -> Vec<Rule> {
    rules.iter().copied().filter(|rule| rule.severity() == Severity::Hard).collect()
}

#[test]
fn without_defects_every_scene_is_clean() {
    let mut scenes = 0;
    each_scene(120, 0.0, |facts, prose, rules| {
        scenes += 1;
        assert!(
            rules.is_empty() && prose.planted.is_empty(),
            "{rules:?} in {facts}\n{}",
            prose.paragraphs.join("\n\n")
        );
    });
    assert!(scenes >= 400, "{scenes} scenes");
}

#[test]
fn each_planted_defect_is_measured_alone() {
    let (mut scenes, mut planted) = (0, 0);
    each_scene(120, 0.5, |facts, prose, rules| {
        scenes += 1;
        planted += prose.planted.len();
        let claimed: Vec<Rule> = prose.planted.iter().map(|defect| defect.rule).collect();
        assert_eq!(rules, claimed, "{facts}\n{}", prose.paragraphs.join("\n\n"));
        assert_eq!(hard(&rules), hard(&claimed));
    });
    assert!(scenes >= 400 && planted >= 150, "{planted} defects in {scenes} scenes");
}
