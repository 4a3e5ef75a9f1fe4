//! The tense of narration, by weighing finite verbs (SCR-31).

mod english;
mod french;

use super::lexicon::Mark;
use super::text::{Gap, Part};
use crate::scribe::style::{Language, Tense};

/// What one word says about the tense.
type Evidence = Option<(Tense, u32)>;

/// A form that is a finite verb wherever it stands, or stands right after its subject.
const STRONG: u32 = 2;
/// A form that is a finite verb in most such places.
const WEAK: u32 = 1;

/// The most words looked over between a verb and its subject or participle. Grammar needs fewer; a text of a million
/// adverbs must not be read a million times.
const BETWEEN_MAX: usize = 8;

/// What a sentence has shown before the word in question: coordinated verbs share their tense.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    past: bool,
    present: bool,
}

/// The tense of the narration, or `None` when neither has more than 1.5 times the evidence of the other.
pub(super) fn detect(narration: &[Part<'_>], language: Language) -> Option<Tense> {
    let weigh = match language {
        Language::En => english::weigh,
        Language::Fr => french::weigh,
    };
    let (mut past, mut present) = (0, 0);
    let mut seen = Seen::default();
    for at in 0..narration.len() {
        if narration[at].gap == Gap::Stop {
            seen = Seen::default();
        }
        match weigh(narration, at, seen) {
            Some((Tense::Past, weight)) => {
                past += weight;
                seen.past = true;
            }
            Some((Tense::Present, weight)) => {
                present += weight;
                seen.present = true;
            }
            None => {}
        }
    }
    match (past, present) {
        _ if 2 * past > 3 * present => Some(Tense::Past),
        _ if 2 * present > 3 * past => Some(Tense::Present),
        _ => None,
    }
}

/// The part before `at`, if nothing but space is between.
fn neighbour<'p, 't>(narration: &'p [Part<'t>], at: usize) -> Option<&'p Part<'t>> {
    if narration[at].gap > Gap::Hyphen { None } else { at.checked_sub(1).map(|before| &narration[before]) }
}

/// Whether a word can be a noun, a name or an adjective, for all that the lists know.
fn is_noun_like(part: &Part<'_>) -> bool {
    !part.marks.any(&[Mark::Function, Mark::Subject, Mark::Adverb, Mark::Clitic, Mark::Determiner])
        && part.text.chars().all(|c| c.is_alphabetic() || c == '\'')
}
