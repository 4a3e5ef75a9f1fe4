//! French: imparfait, passé simple and passé composé against présent.

use super::{BETWEEN_MAX, Evidence, STRONG, Seen, WEAK, is_noun_like, neighbour};
use crate::scribe::measure::lexicon::Mark;
use crate::scribe::measure::text::{Gap, Part};
use crate::scribe::style::Tense::{Past, Present};

/// What the word at `at` says about the tense.
pub(super) fn weigh(narration: &[Part<'_>], at: usize, seen: Seen) -> Evidence {
    let marks = narration[at].marks;
    let before = Before::of(narration, at);
    if marks.has(Mark::Conditional) {
        return None;
    }
    if marks.any(&[Mark::PastAuxiliary, Mark::PasseSimple]) {
        return Some((Past, STRONG));
    }
    if marks.has(Mark::PasseSimpleJe) && before.subject_is(Mark::SubjectFirst) {
        return Some((Past, STRONG));
    }
    if marks.any(&[Mark::Avoir, Mark::Etre]) {
        return auxiliary(narration, at, &before);
    }
    // `le mets`, `un court`: after an article a form is a noun, unless the article is a pronoun after a subject.
    if marks.has(Mark::Present) {
        return (!before.is_determined()).then_some((Present, STRONG));
    }
    if marks.any(&[Mark::Function, Mark::Adverb]) {
        return None;
    }
    past_ending(narration, at, &before).or_else(|| present_ending(narration, at, &before, seen))
}

/// What stands before a verb: the pronouns that cling to it, and its subject before them.
struct Before<'p, 't> {
    /// The part right before, whatever it is.
    nearest: Option<&'p Part<'t>>,
    /// The part before the clinging pronouns.
    subject: Option<&'p Part<'t>>,
    /// `ne`, `se`: only a verb follows.
    verbal: bool,
    /// An inverted pronoun follows: `demande-t-il`.
    inverted: bool,
}

impl<'p, 't> Before<'p, 't> {
    fn of(narration: &'p [Part<'t>], at: usize) -> Self {
        let (mut place, mut verbal) = (at, false);
        let mut subject = None;
        while at - place < BETWEEN_MAX
            && let Some(part) = neighbour(narration, place)
        {
            place -= 1;
            subject = Some(part);
            verbal |= part.marks.has(Mark::VerbClitic);
            // `nous` and `vous` cling or are subjects: they are subjects when nothing before them is.
            let over = neighbour(narration, place).is_some_and(|over| over.marks.has(Mark::Subject));
            if !part.marks.has(Mark::Clitic) || (part.marks.has(Mark::Subject) && !over) {
                break;
            }
        }
        let follows = |offset: usize| narration.get(at + offset).filter(|part| part.gap == Gap::Hyphen);
        let pronoun = |offset| follows(offset).is_some_and(|part: &Part<'_>| part.marks.has(Mark::Subject));
        let inverted = pronoun(1) || (follows(1).is_some_and(|part| part.text == "t") && pronoun(2));
        Self { nearest: neighbour(narration, at), subject, verbal, inverted }
    }

    fn subject_is(&self, mark: Mark) -> bool {
        self.subject.is_some_and(|part| part.marks.has(mark))
    }

    fn has_subject(&self) -> bool {
        self.verbal || self.inverted || self.subject_is(Mark::Subject)
    }

    fn has_noun(&self) -> bool {
        self.subject.is_some_and(is_noun_like)
    }

    /// An article, a possessive or a preposition stands right before, and no subject before that.
    fn is_determined(&self) -> bool {
        self.nearest.is_some_and(|part| part.marks.has(Mark::Determiner)) && !self.has_subject() && !self.has_noun()
    }
}

/// `avoir` and `être` in the present: a passé composé when a participle follows, else a présent.
fn auxiliary(narration: &[Part<'_>], at: usize, before: &Before<'_, '_>) -> Evidence {
    let part = &narration[at];
    let avoir = part.marks.has(Mark::Avoir);
    // `A` that opens a sentence is `À`; `l'est` is the east; `as` without `tu` is a card.
    let doubtful = match part.text {
        "a" => before.nearest.is_none() && !before.inverted,
        "est" => before.nearest.is_some_and(|near| matches!(near.text, "l'" | "d'")) && !before.has_subject(),
        "as" => !before.subject_is(Mark::SubjectSecond) && !before.inverted,
        _ => false,
    };
    if doubtful {
        return None;
    }
    let skipped = |part: &&Part<'_>| {
        part.gap <= Gap::Hyphen && (part.marks.any(&[Mark::Adverb, Mark::Subject]) || part.text == "t")
    };
    let next =
        narration[at + 1..].iter().take(BETWEEN_MAX).find(|part| !skipped(part)).filter(|part| part.gap <= Gap::Hyphen);
    let reflexive = before
        .nearest
        .is_some_and(|near| matches!(near.text, "me" | "m'" | "te" | "t'" | "se" | "s'" | "nous" | "vous"))
        && before.subject_is(Mark::Subject);
    let perfect = next.is_some_and(|next| match avoir {
        true => is_participle(next),
        false => next.marks.has(Mark::EtreParticiple) || (reflexive && is_participle(next)),
    });
    Some((if perfect { Past } else { Present }, STRONG))
}

fn is_participle(part: &Part<'_>) -> bool {
    let regular = ["é", "ée", "és", "ées"].iter().any(|ending| part.text.ends_with(ending));
    part.marks.any(&[Mark::Participle, Mark::EtreParticiple]) || (regular && part.text.chars().count() > 3)
}

fn past_ending(narration: &[Part<'_>], at: usize, before: &Before<'_, '_>) -> Evidence {
    let Part { text, marks, .. } = narration[at];
    let ends = |endings: &[&str]| endings.iter().any(|ending| text.ends_with(ending));
    let long = text.chars().count() >= 4;
    let nous = before.subject.is_some_and(|part| part.text == "nous");
    let vous = before.subject.is_some_and(|part| part.text == "vous");
    match () {
        () if !long || before.is_determined() => None,
        () if ends(&["ait", "aient"]) => {
            (!marks.has(Mark::AitNotVerb) && !ends(&["erait", "eraient"])).then_some((Past, STRONG))
        }
        () if ends(&["ais"]) => {
            let first_or_second = before.subject_is(Mark::SubjectFirst) || before.subject_is(Mark::SubjectSecond);
            (first_or_second && !marks.has(Mark::AisNotVerb) && !ends(&["erais"])).then_some((Past, STRONG))
        }
        () if ends(&["ions"]) && nous => {
            (!marks.has(Mark::IonsPresent) && !ends(&["erions"])).then_some((Past, STRONG))
        }
        () if ends(&["iez"]) && vous => (!ends(&["eriez"])).then_some((Past, STRONG)),
        () if ends(&["èrent", "inrent"]) => Some((Past, STRONG)),
        () if ends(&["irent"]) => (!marks.has(Mark::IrentPresent)).then_some((Past, STRONG)),
        () if ends(&["urent"]) && !ends(&["eurent"]) => (!marks.has(Mark::UrentPresent)).then_some((Past, STRONG)),
        () if ends(&["âmes", "îmes", "ûmes"]) && nous => Some((Past, STRONG)),
        () if ends(&["a"]) && is_passe_simple(text, marks.has(Mark::IraPast)) && !marks.has(Mark::ANotVerb) => {
            match () {
                () if before.has_subject() || narration[at].after_speech => Some((Past, STRONG)),
                () => before.has_noun().then_some((Past, WEAK)),
            }
        }
        () if ends(&["ai"]) && before.subject_is(Mark::SubjectFirst) => {
            (!marks.has(Mark::AiNotVerb) && is_passe_simple(&text[..text.len() - 1], false)).then_some((Past, STRONG))
        }
        () => None,
    }
}

/// Whether a form in `-a` is no future: futures end in `-ra` after the infinitive's `e`, `i`, `d`, `v`, `tt`, `rr`.
fn is_passe_simple(text: &str, listed_ira: bool) -> bool {
    let future = ["era", "ira", "dra", "vra", "ttra", "îtra", "rra", "aura"];
    listed_ira || !future.iter().any(|ending| text.ends_with(ending))
}

fn present_ending(narration: &[Part<'_>], at: usize, before: &Before<'_, '_>, seen: Seen) -> Evidence {
    let Part { text, marks, after_speech, .. } = narration[at];
    let ends = |endings: &[&str]| endings.iter().any(|ending| text.ends_with(ending));
    let third = ends(&["e", "rt", "oit", "eut", "aut", "aît", "end", "ond", "ord", "et"]);
    let plural = ends(&["ent"]) && !marks.has(Mark::EntNotVerb);
    let bare = !marks.has(Mark::NotAfterSubject) && !ends(&["é", "ant", "er", "ir"]);
    let plural_noun = before.has_noun() && before.subject.is_some_and(|part| part.text.ends_with(['s', 'x']));
    match () {
        () if !bare || before.is_determined() => None,
        () if before.subject_is(Mark::SubjectFirst) => {
            let first = ends(&["e", "ois", "ens", "ers", "ors", "urs", "ends", "onds", "ets", "eux", "ains", "eins"]);
            first.then_some((Present, STRONG))
        }
        () if before.subject_is(Mark::SubjectSecond) => {
            ends(&["es", "ois", "ens", "ends", "eux", "ets", "ors", "ers"]).then_some((Present, STRONG))
        }
        () if before.subject_is(Mark::SubjectPlural) && plural => Some((Present, STRONG)),
        () if before.subject_is(Mark::SubjectThird) && third => Some((Present, STRONG)),
        () if before.subject.is_some_and(|part| part.text == "nous") && ends(&["ons"]) => Some((Present, STRONG)),
        () if before.subject.is_some_and(|part| part.text == "vous") && ends(&["ez"]) => Some((Present, STRONG)),
        () if (before.verbal || before.inverted) && (third || plural) => Some((Present, STRONG)),
        () if marks.has(Mark::PresentEr) && (before.has_noun() || after_speech) => Some((Present, WEAK)),
        () if plural && plural_noun && !ends(&["ment"]) => Some((Present, WEAK)),
        () if marks.has(Mark::PresentEr) && seen.present => Some((Present, WEAK)),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::detect;
    use crate::scribe::measure::narration_of;
    use crate::scribe::style::{Language, Tense};

    #[track_caller]
    fn check(text: &str, expected: Option<Tense>) {
        let found = narration_of(text, Language::Fr, |narration| detect(narration, Language::Fr));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn forms_of_etre_tell_the_tense() {
        for past in ["était", "étaient", "fut", "furent", "étais"] {
            check(past, Some(Tense::Past));
        }
        for present in ["est", "sont", "suis", "sommes"] {
            check(present, Some(Tense::Present));
        }
    }

    #[test]
    fn a_noun_that_looks_like_a_verb_decides_nothing() {
        check("La porte, une porte, les portes de la maison, cette marche, le vent.", None);
        check("Un portrait, du lait, jamais de palais frais. Le mets. Vers l'est.", None);
        check("Elle porte un manteau et il marche.", Some(Tense::Present));
    }

    #[test]
    fn the_passe_simple_is_past_and_the_future_is_not() {
        check("Elle chanta, il entra, ils parlèrent, nous arrivâmes.", Some(Tense::Past));
        check("Elle chantera, il viendra, ils parleront, j'irai.", None);
        check("J'entrai. Je fis un pas. Je pris la lampe.", Some(Tense::Past));
    }

    #[test]
    fn the_passe_compose_is_past_and_the_perfect_state_is_not() {
        check("J'ai ouvert la porte. Elle est partie. Nous nous sommes assis.", Some(Tense::Past));
        check("Elle est fatiguée. J'ai faim. Il a une clé.", Some(Tense::Present));
    }

    #[test]
    fn the_conditional_is_neither() {
        check("Il serait riche. Elle chanterait, ils pourraient.", None);
    }

    #[test]
    fn inverted_tags_count() {
        check("« Où ? » demande-t-il. « Là », murmure-t-elle.", Some(Tense::Present));
        check("« Où ? » demanda-t-il. « Là », murmura la vieille.", Some(Tense::Past));
    }
}
