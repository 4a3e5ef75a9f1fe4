//! The phrase grammar of the mock provider, read from data: verbs with their forms, and lists of phrases with slots.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::scribe::style::Language;

/// One language's grammar, compiled.
#[derive(Debug)]
pub(super) struct Grammar {
    /// Eight forms each: present I, you, he, they; past I, you, he, they.
    pub(super) verbs: Vec<[String; 8]>,
    /// Lists of phrases that slots draw from.
    pub(super) slots: Vec<Vec<Phrase>>,
    /// Sentences in which somebody acts.
    pub(super) action: Vec<Phrase>,
    /// Sentences in which somebody thinks.
    pub(super) inner: Vec<Phrase>,
    /// Sentences with at least one word of sense.
    pub(super) sense: Vec<Phrase>,
    /// Spoken lines, without quotation marks.
    pub(super) speech: Vec<String>,
    /// What stands beside a spoken line to say who speaks.
    pub(super) tag: Vec<Phrase>,
    /// Sentences of a fixed number of words, by that number.
    pub(super) close: [Vec<Phrase>; CLOSE_MOST + 1],
    /// A pronoun and a name for the third person.
    pub(super) names: Vec<(String, String)>,
    /// Sentences around a word that is banned.
    pub(super) banned: Vec<Phrase>,
}

/// Fewest words of a closing sentence; each number up to the most has at least one.
pub(super) const CLOSE_LEAST: usize = 3;
/// Most words of a closing sentence.
pub(super) const CLOSE_MOST: usize = 12;

/// A sentence or a part of one.
pub(super) type Phrase = Vec<Piece>;

/// One piece of a phrase.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// As it stands.
    Text(String),
    /// The subject with its verb.
    Subject(usize),
    /// A further verb of the subject.
    Verb(usize),
    /// A verb in the third person singular.
    Third(usize),
    /// A verb in the third person plural.
    ThirdPlural(usize),
    /// The subject's possessive: the place in [`POSSESSIVES`].
    Possessive(usize),
    /// A phrase of a list.
    Slot(usize),
    /// The word that is banned.
    Word,
}

/// Slot names of possessives with their forms for I, you, he, she.
pub(super) const POSSESSIVES: [(&str, [&str; 4]); 4] = [
    ("my", ["my", "your", "his", "her"]),
    ("mon", ["mon", "ton", "son", "son"]),
    ("ma", ["ma", "ta", "sa", "sa"]),
    ("mes", ["mes", "tes", "ses", "ses"]),
];

impl Grammar {
    /// The grammar of a language, compiled once.
    pub(super) fn of(language: Language) -> &'static Self {
        static ENGLISH: OnceLock<Grammar> = OnceLock::new();
        static FRENCH: OnceLock<Grammar> = OnceLock::new();
        let (cell, text, slots): (_, _, &[&str]) = match language {
            Language::En => {
                (&ENGLISH, include_str!("../../../data/grammar/en.txt"), &["place", "thing", "time", "way", "person"])
            }
            Language::Fr => {
                (&FRENCH, include_str!("../../../data/grammar/fr.txt"), &["lieu", "chose", "temps", "manière", "gens"])
            }
        };
        cell.get_or_init(|| Self::parse(text, slots).expect("the tests parse the grammars that are compiled in"))
    }

    /// Reads a grammar; `slots` are the sections that phrases may draw from.
    fn parse(text: &str, slots: &[&str]) -> Result<Self, String> {
        let mut sections: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut current = "";
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                Some(name) => current = name,
                None => sections.entry(current).or_default().push(line),
            }
        }
        let lines = |name: &str| sections.get(name).cloned().ok_or(format!("no section [{name}]"));
        let mut verbs = Vec::new();
        let mut verb_names = HashMap::new();
        for line in lines("verb")? {
            let (name, forms) = line.split_once(": ").ok_or(format!("no verb: {line}"))?;
            verb_names.insert(name, verbs.len());
            verbs.push(verb_forms(forms).ok_or(format!("three or eight forms are needed: {line}"))?);
        }
        let words = Words { verbs: &verb_names, slots };
        let phrases = |name: &str| lines(name)?.into_iter().map(|line| words.phrase(line)).collect::<Result<_, _>>();
        let mut close: [Vec<Phrase>; CLOSE_MOST + 1] = Default::default();
        for line in lines("close")? {
            // Each slot of a closing sentence becomes exactly one word.
            let bucket = close.get_mut(line.split(' ').count()).ok_or(format!("too long to close with: {line}"))?;
            bucket.push(words.phrase(line)?);
        }
        Ok(Self {
            slots: slots.iter().map(|name| phrases(name)).collect::<Result<_, _>>()?,
            action: phrases("action")?,
            inner: phrases("inner")?,
            sense: phrases("sense")?,
            speech: lines("speech")?.into_iter().map(str::to_owned).collect(),
            tag: phrases("tag")?,
            names: lines("name")?
                .into_iter()
                .map(|line| line.split_once(' ').map(|(pronoun, name)| (pronoun.to_owned(), name.to_owned())))
                .collect::<Option<_>>()
                .ok_or("a name needs its pronoun")?,
            banned: phrases("banned")?,
            verbs,
            close,
        })
    }
}

/// Eight forms as they stand, or English base, third person and past.
fn verb_forms(forms: &str) -> Option<[String; 8]> {
    let forms: Vec<&str> = forms.split(' ').collect();
    let eight: [&str; 8] = match forms[..] {
        [base, third, past] => [base, base, third, base, past, past, past, past],
        _ => forms.try_into().ok()?,
    };
    Some(eight.map(str::to_owned))
}

struct Words<'a> {
    verbs: &'a HashMap<&'a str, usize>,
    slots: &'a [&'a str],
}

impl Words<'_> {
    fn phrase(&self, line: &str) -> Result<Phrase, String> {
        let mut pieces = Vec::new();
        let mut rest = line;
        while let Some((before, after)) = rest.split_once('{') {
            let (slot, after) = after.split_once('}').ok_or(format!("an open slot: {line}"))?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(self.slot(slot).ok_or(format!("unknown slot {{{slot}}}: {line}"))?);
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(pieces)
    }

    fn slot(&self, slot: &str) -> Option<Piece> {
        if slot == "word" {
            return Some(Piece::Word);
        }
        if let Some((kind, verb)) = slot.split_once(':') {
            let verb = *self.verbs.get(verb)?;
            return match kind {
                "S" => Some(Piece::Subject(verb)),
                "v" => Some(Piece::Verb(verb)),
                "3" => Some(Piece::Third(verb)),
                "3p" => Some(Piece::ThirdPlural(verb)),
                _ => None,
            };
        }
        let possessive = POSSESSIVES.iter().position(|(name, _)| *name == slot).map(Piece::Possessive);
        possessive.or_else(|| self.slots.iter().position(|name| *name == slot).map(Piece::Slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_grammars_parse_and_every_closing_length_is_there() {
        for language in [Language::En, Language::Fr] {
            let grammar = Grammar::of(language);
            for length in CLOSE_LEAST..=CLOSE_MOST {
                let count = grammar.close.get(length).map_or(0, Vec::len);
                assert!(count >= 2, "{language:?}: {count} closing sentences of {length} words");
            }
            assert!(grammar.action.len() >= 20 && grammar.sense.len() >= 12 && grammar.inner.len() >= 10);
        }
    }

    #[test]
    fn a_broken_grammar_names_the_line() {
        let text = "[verb]\nbe: am is\n";
        assert_eq!(Grammar::parse(text, &[]).expect_err("two forms"), "three or eight forms are needed: be: am is");
        let text = "[verb]\nbe: be is was\n[close]\nA {3:bee} here.\n";
        assert_eq!(Grammar::parse(text, &[]).expect_err("no such verb"), "unknown slot {3:bee}: A {3:bee} here.");
    }
}
