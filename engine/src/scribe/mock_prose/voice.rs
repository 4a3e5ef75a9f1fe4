//! Who tells a scene of mock prose, and when: turns phrases of the grammar into sentences of one person and tense.

use std::cell::Cell;

use contract::draw::Draws;

use crate::scribe::mock_prose::grammar::{Grammar, POSSESSIVES, Phrase, Piece};
use crate::scribe::style::{Language, Pov, Tense};

/// A person and a tense, in one language.
pub(super) struct Voice<'a> {
    grammar: &'a Grammar,
    language: Language,
    pov: Pov,
    tense: Tense,
    /// The pronoun and the name of the third person.
    third: (&'a str, &'a str),
    /// How often the pronoun has stood for the subject.
    pronouns: Cell<usize>,
}

impl<'a> Voice<'a> {
    pub(super) fn new(grammar: &'a Grammar, language: Language, pov: Pov, tense: Tense, draws: &mut Draws) -> Self {
        let (pronoun, name) = draws.pick(&grammar.names).map_or(("", ""), |(pronoun, name)| (pronoun, name));
        Self { grammar, language, pov, tense, third: (pronoun, name), pronouns: Cell::new(0) }
    }

    /// A sentence with a capital letter; `word` goes into the slot for a banned word.
    pub(super) fn sentence(&self, phrase: &Phrase, word: &str, draws: &mut Draws) -> String {
        let mut text = String::with_capacity(96);
        self.render(phrase, word, draws, &mut text);
        capitalised(text)
    }

    /// A spoken line with its tag, as a paragraph: “…,” she said. / Elle murmura : « … ».
    pub(super) fn spoken(&self, line: &str, tag: &Phrase, draws: &mut Draws) -> String {
        let mut said = String::with_capacity(32);
        self.render(tag, "", draws, &mut said);
        match self.language {
            Language::En => {
                let comma = line.strip_suffix('.').map_or_else(|| line.to_owned(), |line| format!("{line},"));
                format!("“{comma}” {said}")
            }
            Language::Fr => capitalised(format!("{said} « {line} »")),
        }
    }

    fn render(&self, phrase: &Phrase, word: &str, draws: &mut Draws, text: &mut String) {
        let person = match self.pov {
            Pov::First => 0,
            Pov::Second => 1,
            Pov::Third => 2,
        };
        for piece in phrase {
            match piece {
                Piece::Text(part) => text.push_str(part),
                Piece::Subject(verb) => self.subject(self.form(*verb, person), draws, text),
                Piece::Verb(verb) => text.push_str(self.form(*verb, person)),
                Piece::Third(verb) => text.push_str(self.form(*verb, 2)),
                Piece::ThirdPlural(verb) => text.push_str(self.form(*verb, 3)),
                Piece::Possessive(which) => {
                    let feminine = matches!(self.third.0, "she" | "elle");
                    let column = if person == 2 && feminine { 3 } else { person };
                    text.push_str(POSSESSIVES[*which].1[column]);
                }
                Piece::Slot(list) => {
                    if let Some(phrase) = self.grammar.slots.get(*list).and_then(|list| draws.pick(list)) {
                        self.render(phrase, word, draws, text);
                    }
                }
                Piece::Word => text.push_str(word),
            }
        }
    }

    fn form(&self, verb: usize, person: usize) -> &'a str {
        let column = person + if self.tense == Tense::Past { 4 } else { 0 };
        self.grammar.verbs.get(verb).and_then(|forms| forms.get(column)).map_or("", String::as_str)
    }

    fn subject(&self, verb: &str, draws: &mut Draws, text: &mut String) {
        let elided = verb.starts_with(['a', 'e', 'é', 'ê', 'è', 'i', 'o', 'u', 'y', 'h']);
        let subject = match (self.language, self.pov) {
            (Language::En, Pov::First) => "I ",
            (Language::En, Pov::Second) => "you ",
            (Language::Fr, Pov::First) if elided => "j'",
            (Language::Fr, Pov::First) => "je ",
            (Language::Fr, Pov::Second) => "tu ",
            (_, Pov::Third) => {
                // Mostly the pronoun, and always at first: a name says nothing about the point of view.
                let by_name = self.pronouns.get() >= 2 && draws.chance(0.3);
                text.push_str(if by_name { self.third.1 } else { self.third.0 });
                self.pronouns.set(self.pronouns.get() + usize::from(!by_name));
                " "
            }
        };
        text.push_str(subject);
        text.push_str(verb);
    }
}

fn capitalised(text: String) -> String {
    match text.chars().next() {
        Some(first) if first.is_lowercase() => {
            let rest = text.get(first.len_utf8()..).unwrap_or("");
            first.to_uppercase().chain(rest.chars()).collect()
        }
        _ => text,
    }
}
