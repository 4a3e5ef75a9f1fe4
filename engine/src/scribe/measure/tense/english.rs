//! English: auxiliaries, irregular pasts, `-ed` and `-s` after a subject.

use super::{BETWEEN_MAX, Evidence, STRONG, Seen, WEAK, is_noun_like};
use crate::scribe::measure::lexicon::Mark;
use crate::scribe::measure::text::{Gap, Part};
use crate::scribe::style::Tense::{Past, Present};

/// What the word at `at` says about the tense.
pub(super) fn weigh(narration: &[Part<'_>], at: usize, seen: Seen) -> Evidence {
    let part = &narration[at];
    // The second half of `nut-brown` or `left-handed` is no verb.
    if part.gap == Gap::Hyphen {
        return None;
    }
    let before = Before::of(narration, at);
    let marks = part.marks;
    if marks.has(Mark::PastAuxiliary) {
        return (!is_condition(narration, at)).then_some((Past, STRONG));
    }
    if marks.has(Mark::PresentAuxiliary) {
        return Some((Present, STRONG));
    }
    if part.text == "'s" {
        return before.is(Mark::PronounHost).then_some((Present, STRONG));
    }
    if marks.has(Mark::BareAuxiliary) {
        return (!is_infinitive(narration, &before)).then_some((Present, STRONG));
    }
    if marks.has(Mark::PresentModal) {
        return Some((Present, WEAK));
    }
    if marks.any(&[Mark::Preterite, Mark::PreteriteOrParticiple]) {
        return preterite(narration, at, &before);
    }
    if marks.any(&[Mark::Function, Mark::Adverb, Mark::Invariant]) {
        return None;
    }
    if part.text.ends_with("ed") {
        return regular_past(narration, at, &before, seen);
    }
    present(narration, at, &before, seen)
}

/// What governs a word: the part before it, adverbs skipped.
struct Before<'p, 't> {
    part: Option<&'p Part<'t>>,
    /// Where that part stands.
    place: usize,
    /// The widest gap on the way there.
    gap: Gap,
}

impl<'p, 't> Before<'p, 't> {
    fn of(narration: &'p [Part<'t>], at: usize) -> Self {
        let (mut place, mut gap) = (at, narration[at].gap);
        while place > at.saturating_sub(BETWEEN_MAX) && gap < Gap::Stop {
            place -= 1;
            let part = &narration[place];
            if gap == Gap::Mark || !is_adverb(part) {
                return Self { part: Some(part), place, gap };
            }
            gap = gap.max(part.gap);
        }
        Self { part: None, place: 0, gap: Gap::Stop }
    }

    fn is(&self, mark: Mark) -> bool {
        self.gap <= Gap::Hyphen && self.part.is_some_and(|part| part.marks.has(mark))
    }

    fn is_noun(&self) -> bool {
        self.gap <= Gap::Hyphen && self.part.is_some_and(is_noun_like)
    }

    /// The word goes on after a comma or a conjunction, and so may repeat the tense of a verb before.
    fn continues(&self) -> bool {
        self.part.is_some_and(|part| self.gap == Gap::Mark || part.marks.has(Mark::Conjunction))
    }
}

fn preterite(narration: &[Part<'_>], at: usize, before: &Before<'_, '_>) -> Evidence {
    let only_past = narration[at].marks.has(Mark::Preterite);
    let participle = !only_past && (before.is(Mark::PerfectAuxiliary) || is_passive(narration, at));
    if is_condition(narration, at) || before.is(Mark::Modal) || participle {
        return None;
    }
    // `the thought`, `a saw`, `her left hand`.
    let governed = before.is(Mark::Function) && !before.is(Mark::Subject) && !before.is(Mark::Conjunction);
    match () {
        () if before.is(Mark::Subject) || narration[at].after_speech => Some((Past, STRONG)),
        () if governed => None,
        () if only_past || before.is_noun() => Some((Past, STRONG)),
        () => Some((Past, WEAK)),
    }
}

fn regular_past(narration: &[Part<'_>], at: usize, before: &Before<'_, '_>, seen: Seen) -> Evidence {
    let participle = before.is(Mark::PerfectAuxiliary) || before.is(Mark::Modal) || is_passive(narration, at);
    if narration[at].marks.has(Mark::EdNotPast) || participle || is_condition(narration, at) {
        return None;
    }
    match () {
        () if before.is(Mark::Subject) => Some((Past, STRONG)),
        () if narration[at].after_speech || before.is_noun() => Some((Past, WEAK)),
        () if before.continues() && seen.past => Some((Past, WEAK)),
        () => None,
    }
}

fn present(narration: &[Part<'_>], at: usize, before: &Before<'_, '_>, seen: Seen) -> Evidence {
    let part = &narration[at];
    let (listed_s, listed_base) = (part.marks.has(Mark::PresentS), part.marks.has(Mark::PresentBase));
    let third = part.text.ends_with('s') && !part.text.ends_with("ss") && !part.marks.has(Mark::SNotVerb);
    let bare = !third && !part.text.ends_with("ing");
    let subject = before.is(Mark::Subject) && !is_infinitive(narration, before);
    match () {
        () if subject && third && before.is(Mark::SubjectThird) => Some((Present, STRONG)),
        () if subject && bare && before.is(Mark::SubjectPlural) => Some((Present, STRONG)),
        () if subject && listed_base && !before.is(Mark::SubjectThird) => Some((Present, STRONG)),
        () if listed_s && (subject || before.is_noun() || part.after_speech) => Some((Present, WEAK)),
        () if (listed_s || listed_base) && before.continues() && seen.present => Some((Present, WEAK)),
        () => None,
    }
}

/// `the house built by the river`.
fn is_passive(narration: &[Part<'_>], at: usize) -> bool {
    narration.get(at + 1).is_some_and(|next| next.text == "by")
}

/// `if it were`, `as though he had`: a past form that tells no past.
fn is_condition(narration: &[Part<'_>], at: usize) -> bool {
    let same_clause = |&back: &usize| back <= at && narration[at - back + 1].gap <= Gap::Hyphen;
    (1..=3).take_while(same_clause).any(|back| {
        let part = &narration[at - back];
        let as_though = at > back && narration[at - back - 1].text == "as";
        part.marks.has(Mark::Condition) && (part.text != "though" || as_though)
    })
}

/// Whether a modal or `to` governs a word, a subject between them or not: `did not have`, `could you see`.
fn is_infinitive(narration: &[Part<'_>], before: &Before<'_, '_>) -> bool {
    if before.is(Mark::Modal) {
        return true;
    }
    let over = Before::of(narration, before.place);
    before.is(Mark::Subject) && (over.is(Mark::Modal) || over.is(Mark::PerfectAuxiliary))
}

fn is_adverb(part: &Part<'_>) -> bool {
    part.marks.has(Mark::Adverb) || (part.text.len() > 4 && part.text.ends_with("ly"))
}

#[cfg(test)]
mod tests {
    use super::super::detect;
    use crate::scribe::measure::narration_of;
    use crate::scribe::style::{Language, Tense};

    #[track_caller]
    fn check(text: &str, expected: Option<Tense>) {
        let found = narration_of(text, Language::En, |narration| detect(narration, Language::En));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn ed_is_past_only_after_a_subject() {
        check("She walked. The door opened. He slowly turned.", Some(Tense::Past));
        check("A red bed, a crooked hundred, the tired old need. Naked seed.", None);
        check("The house built by the river. A painted wall.", None);
    }

    #[test]
    fn a_participle_is_no_past() {
        check("She has walked far and is tired.", Some(Tense::Present));
        check("They have found it, and it is made of tin.", Some(Tense::Present));
    }

    #[test]
    fn a_noun_that_looks_like_a_past_is_none() {
        check("The thought of a saw. Her left hand.", None);
    }

    #[test]
    fn a_question_or_a_denial_keeps_its_auxiliary() {
        check("Did you have it? She did not have it. Could they see it? He could not go.", Some(Tense::Past));
        check("Do you have it? She does not know. They don't sleep.", Some(Tense::Present));
    }

    #[test]
    fn tags_after_speech_count() {
        check("“Go,” asked the man. “Now,” said Tom.", Some(Tense::Past));
        check("“Go,” says Tom. “Now,” asks the man.", Some(Tense::Present));
    }

    #[test]
    fn an_unreal_past_is_no_past() {
        check("She stands as if she were alone, as though they had gone.", Some(Tense::Present));
    }

    #[test]
    fn possessive_and_verb_are_told_apart() {
        check("Tom's hat, the dog's bone.", None);
        check("It's late. She's gone.", Some(Tense::Present));
    }

    #[test]
    fn as_much_of_both_is_undetermined() {
        check("She was here. She is gone.", None);
    }
}
