//! From what was counted in a scene to the rules that it breaks.

use super::rules::{Amount, Rule, Violation};
use super::{Limits, SceneMeasure};
use crate::scribe::style::{PovChoice, TenseChoice};

/// Narration up to this many words may leave its person and its tense open.
const UNDETERMINED_WORDS_MAX: u64 = 50;

/// The HARD rules of a scene, all of them broken by a scene without prose.
const HARD_OF_A_SCENE: [Rule; 5] =
    [Rule::MissingScene, Rule::WordCountRange, Rule::BannedWords, Rule::PovConformity, Rule::TenseConformity];

/// A measured scene and what it is held to.
pub(super) struct Case<'a> {
    pub(super) limits: &'a Limits,
    pub(super) found: &'a SceneMeasure,
    /// Words of narration.
    pub(super) narrated: u64,
    pub(super) scene_id: &'a str,
    /// Words asked for.
    pub(super) target: u64,
    /// The fewest and the most words allowed.
    pub(super) range: (u64, u64),
}

/// Every rule that the scene breaks, in the order of the rules.
pub(super) fn violations(case: &Case<'_>) -> Vec<Violation> {
    if case.found.word_count == 0 {
        let missing = |rule| case.broken(rule, "the scene has no prose".to_owned(), Amount::Count(0), Amount::Count(1));
        return HARD_OF_A_SCENE.into_iter().map(missing).collect();
    }
    let broken = [
        length(case),
        phrases(case, Rule::BannedWords, "banned words occur", &case.found.banned_word_hits),
        pov(case),
        tense(case),
        sensory_anchors(case),
        dialogue(case),
        phrases(case, Rule::ForbiddenCliches, "forbidden clichés occur", &case.found.cliche_hits),
    ];
    broken.into_iter().flatten().collect()
}

impl Case<'_> {
    fn broken(&self, rule: Rule, message: String, value: Amount, threshold: Amount) -> Violation {
        Violation::of_scene(self.scene_id, rule, message, value, threshold)
    }
}

fn length(case: &Case<'_>) -> Option<Violation> {
    let (words, (least, most)) = (case.found.word_count, case.range);
    // Too short and too long are different words, because repair tells the provider what to do.
    let (message, limit) = match words {
        _ if words < least => (format!("too short: {words} words, at least {least} wanted"), least),
        _ if words > most => (format!("too long: {words} words, at most {most} wanted"), most),
        _ => return None,
    };
    let message = format!("{message} (target {})", case.target);
    Some(case.broken(Rule::WordCountRange, message, Amount::Count(words), Amount::Count(limit)))
}

fn phrases(case: &Case<'_>, rule: Rule, what: &str, hits: &[String]) -> Option<Violation> {
    let message = || format!("{what}: {}", hits.join(", "));
    (!hits.is_empty()).then(|| case.broken(rule, message(), Amount::Count(hits.len() as u64), Amount::Count(0)))
}

fn pov(case: &Case<'_>) -> Option<Violation> {
    let wanted = case.limits.pov;
    let fits = case.found.pov_detected.map(|found| (found.name(), wanted.accepts(found)));
    let open = wanted != PovChoice::Mixed;
    style(case, [Rule::PovConformity, Rule::PovUndetermined], "point of view", fits, wanted.name(), open)
}

fn tense(case: &Case<'_>) -> Option<Violation> {
    let wanted = case.limits.tense;
    let fits = case.found.tense_detected.map(|found| (found.name(), wanted.accepts(found)));
    let open = wanted != TenseChoice::Mixed;
    style(case, [Rule::TenseConformity, Rule::TenseUndetermined], "tense", fits, wanted.name(), open)
}

/// Holds a detected name to the wanted one. `must_lead` is false for what was asked to be mixed: no lead is then no fault.
fn style(
    case: &Case<'_>,
    [conformity, undetermined]: [Rule; 2],
    what: &str,
    found: Option<(&str, bool)>,
    wanted: &str,
    must_lead: bool,
) -> Option<Violation> {
    let text = |name: &str| Amount::Text(name.to_owned());
    match found {
        Some((_, true)) => None,
        Some((name, false)) => {
            let message = format!("the {what} of the narration is {name}, not {wanted}");
            Some(case.broken(conformity, message, text(name), text(wanted)))
        }
        None if must_lead && case.narrated > UNDETERMINED_WORDS_MAX => {
            let message = format!("the {what} of {} words of narration could not be determined", case.narrated);
            Some(case.broken(undetermined, message, text("undetermined"), text(wanted)))
        }
        None => None,
    }
}

fn sensory_anchors(case: &Case<'_>) -> Option<Violation> {
    let (anchors, fewest) = (case.found.sensory_anchor_count, case.limits.min_sensory_anchors);
    let message = || format!("{anchors} sensory words, at least {fewest} wanted");
    let amounts = (Amount::Count(anchors), Amount::Count(fewest));
    (anchors < fewest).then(|| case.broken(Rule::SensoryAnchors, message(), amounts.0, amounts.1))
}

fn dialogue(case: &Case<'_>) -> Option<Violation> {
    let (ratio, highest) = (case.found.dialogue_ratio, case.limits.max_dialogue_ratio);
    let message = || format!("{ratio:.3} of the words are dialogue, at most {highest} wanted");
    (ratio > highest).then(|| case.broken(Rule::DialogueRatio, message(), Amount::Ratio(ratio), Amount::Ratio(highest)))
}
