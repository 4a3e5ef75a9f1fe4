//! The grammatical person of narration, by counting pronouns (SCR-30).

use super::lexicon::Mark;
use super::text::Part;
use crate::scribe::style::{Language, Pov};

/// A person is detected when it has more than this many times the pronouns of the next.
const LEAD: usize = 2;

/// The person of the narration, or `None` when no person leads.
///
/// `it`, `its` and French `on` are not counted: they stand for weather, for things and for `we` as often as for anybody.
pub(super) fn detect(narration: &[Part<'_>], language: Language) -> Option<Pov> {
    let count = |mark| {
        let pronouns = narration.iter().enumerate().filter(|(_, part)| part.marks.has(mark));
        pronouns.filter(|&(at, _)| language == Language::En || !is_impersonal(narration, at)).count()
    };
    let mut counts = [
        (count(Mark::FirstPerson), Pov::First),
        (count(Mark::SecondPerson), Pov::Second),
        (count(Mark::ThirdPerson), Pov::Third),
    ];
    counts.sort_by_key(|&(count, _)| std::cmp::Reverse(count));
    let [(most, pov), (next, _), _] = counts;
    (most > LEAD * next).then_some(pov)
}

/// Whether the French `il` or `s'` at this place stands for nobody: `il y avait`, `il faut`, `il s'agit`.
fn is_impersonal(narration: &[Part<'_>], at: usize) -> bool {
    let mut after = narration[at + 1..].iter().filter(|part| !matches!(part.text, "ne" | "n'"));
    let (next, over) = (after.next(), after.next());
    let has = |part: Option<&Part<'_>>, mark| part.is_some_and(|part| part.marks.has(mark));
    let next_text = next.map_or("", |part| part.text);
    match narration[at].text {
        "il" => {
            has(next, Mark::Impersonal)
                || (next_text == "y" && has(over, Mark::ImpersonalThere))
                || (next_text == "s'" && has(over, Mark::ImpersonalReflexive))
        }
        // `s'il`: the elided word is `si`.
        "s'" => has(next, Mark::ImpersonalReflexive) || matches!(next_text, "il" | "ils"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::narration_of;
    use super::*;
    use Language::{En, Fr};

    #[track_caller]
    fn check(language: Language, text: &str, expected: Option<Pov>) {
        assert_eq!(narration_of(text, language, |narration| detect(narration, language)), expected, "{text}");
    }

    #[test]
    fn capitalised_pronouns_count() {
        check(En, "He sat. She stood. They waited.", Some(Pov::Third));
        check(Fr, "Il attend. Elle attend. Ils attendent.", Some(Pov::Third));
        check(En, "I sat. My hat fell. We waited.", Some(Pov::First));
    }

    #[test]
    fn second_person_is_detected() {
        check(En, "You open the door. Your hand shakes.", Some(Pov::Second));
        check(Fr, "Tu ouvres la porte. Ta main tremble.", Some(Pov::Second));
        check(Fr, "Vous ouvrez la porte, votre main tremble.", Some(Pov::Second));
    }

    #[test]
    fn an_i_in_speech_is_not_the_narrators() {
        check(En, "“I know, I know, I told my mother,” he said.", Some(Pov::Third));
        check(Fr, "« Je sais, je sais, j'ai ma clé », dit-elle.", Some(Pov::Third));
        check(Fr, "— Je sais, moi.\nElle rit.", Some(Pov::Third));
    }

    #[test]
    fn elisions_count() {
        check(Fr, "J’attends. L’heure m’échappe, qu’importe.", Some(Pov::First));
        check(Fr, "Je crois qu'il sait qu'elle vient et qu'ils partent.", Some(Pov::Third));
        check(En, "I'm late. I've lost it; I'd run.", Some(Pov::First));
    }

    #[test]
    fn an_il_that_stands_for_nobody_is_nobody() {
        check(Fr, "Il y avait du vent. Il n'y a rien. Il faut partir. Il ne fallait rien. Il s'agit de la mer.", None);
        check(Fr, "S'il pleut, je reste.", Some(Pov::First));
    }

    #[test]
    fn twice_the_next_is_not_enough() {
        check(En, "I saw him. I left.", None);
        check(En, "I saw him. I left. I ran.", Some(Pov::First));
        check(En, "Rain on the roof.", None);
    }
}
