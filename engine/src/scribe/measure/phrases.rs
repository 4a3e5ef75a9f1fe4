//! Finds banned words and clichés: as whole words, whatever their case, accents' encoding, or inflected apostrophe.

use std::collections::BTreeMap;

use super::text::{Gap, Part, parts};
use crate::scribe::style::Language;

/// Phrases ready to be looked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Phrases {
    /// As written in the constraints, in their order.
    written: Vec<String>,
    /// First word of a phrase to the phrases that begin with it: the rest of their words, and their place in `written`.
    by_first: BTreeMap<String, Vec<(Vec<String>, usize)>>,
}

impl Phrases {
    /// Compiles phrases. The error is the index of the first phrase without a word, which could never be found.
    pub(super) fn new(written: &[String], language: Language) -> Result<Self, usize> {
        let mut phrases = Self { written: written.to_vec(), by_first: BTreeMap::new() };
        for (index, phrase) in written.iter().enumerate() {
            let mut words = parts(phrase, language).into_iter();
            let first = words.next().ok_or(index)?;
            phrases.by_first.entry(first).or_default().push((words.collect(), index));
        }
        Ok(phrases)
    }

    /// Every occurrence, in the order of the text, as written in the constraints. The words of a phrase may be parted by
    /// a comma or a hyphen, not by the end of a sentence.
    pub(super) fn hits(&self, parts: &[Part<'_>]) -> Vec<String> {
        if self.by_first.is_empty() {
            return Vec::new();
        }
        let continues = |rest: &[String], after: &[Part<'_>]| {
            after.len() >= rest.len()
                && rest.iter().zip(after).all(|(word, part)| part.gap < Gap::Stop && part.text == word)
        };
        let mut hits = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            for (rest, index) in self.by_first.get(part.text).into_iter().flatten() {
                if continues(rest, &parts[at + 1..]) {
                    hits.push(self.written[*index].clone());
                }
            }
        }
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::{fold, read};
    use super::*;

    #[track_caller]
    fn check(language: Language, banned: &str, text: &str, expected: usize) {
        let phrases = Phrases::new(&[banned.to_owned()], language).expect("the phrase has a word");
        let folded = fold(&[text]);
        assert_eq!(phrases.hits(&read(&folded.lower, language).parts).len(), expected, "{banned:?} in {text:?}");
    }

    #[test]
    fn only_whole_words_are_hits() {
        check(Language::En, "very", "A discovery, every delivery.", 0);
        check(Language::En, "very", "Very, very well. VERY!", 3);
        check(Language::En, "cat", "The cat's paw; concatenate; cats.", 1);
        check(Language::En, "don", "I don't.", 0);
        check(Language::Fr, "homme", "L’homme, un gentilhomme.", 1);
        check(Language::Fr, "hui", "aujourd'hui", 0);
    }

    #[test]
    fn accents_count_and_their_encoding_does_not() {
        check(Language::Fr, "été", "L'E\u{301}TE\u{301} fut long.", 1);
        check(Language::Fr, "ete", "L'été fut long.", 0);
        check(Language::Fr, "e\u{301}te\u{301}", "Un été.", 1);
    }

    #[test]
    fn phrases_keep_their_order_and_their_sentence() {
        check(Language::En, "dark and stormy night", "It was a Dark,\u{a0}and stormy\tnight.", 1);
        check(Language::En, "dark night", "It was dark. Night fell.", 0);
        check(Language::En, "it's over", "It’s over, it is over.", 1);
        check(Language::Fr, "l'amour fou", "L’amour fou ; amour fou.", 1);
        check(Language::En, "to to", "to to to", 2);
    }

    #[test]
    fn invisible_characters_do_not_hide_a_word() {
        check(Language::En, "very", "ve\u{200B}ry v\u{AD}ery", 2);
    }

    #[test]
    fn a_phrase_without_a_word_is_refused() {
        assert_eq!(Phrases::new(&["a".into(), "…".into()], Language::En).err(), Some(1));
    }
}
