//! What the mock provider writes: varied prose of the asked length, point of view and tense, and now and then a planted
//! defect, so that measuring and repair have something true to find.

mod grammar;
#[cfg(test)]
mod measured;
mod voice;

use contract::draw::Draws;
use contract::seed::Seed;
use serde::{Deserialize, Serialize};

use crate::scribe::measure::rules::Rule;
use crate::scribe::mock_prose::grammar::{CLOSE_LEAST, CLOSE_MOST, Grammar, Phrase};
use crate::scribe::mock_prose::voice::Voice;
use crate::scribe::style::{Language, Pov, PovChoice, Tense, TenseChoice};

/// What a prompt asks of the mock provider. Read from the prompt's data block by [`crate::scribe::prompt::mock_ask`].
#[derive(Clone, Debug, PartialEq)]
pub struct MockAsk {
    /// The language of the prose.
    pub language: Language,
    /// Who tells.
    pub pov: PovChoice,
    /// When it happens.
    pub tense: TenseChoice,
    /// Words to aim at.
    pub target_words: usize,
    /// Fewest words that are accepted.
    pub min_words: usize,
    /// Most words that are accepted.
    pub max_words: usize,
    /// Most dialogue words / words.
    pub max_dialogue_ratio: f64,
    /// Least words of sense.
    pub min_sensory_anchors: usize,
    /// Words and phrases to avoid.
    pub banned_words: Vec<String>,
    /// Clichés to avoid.
    pub forbidden_cliches: Vec<String>,
    /// Probability of a planted defect, from 0 to 1.
    pub defect_rate: f64,
}

/// A scene of mock prose.
#[derive(Clone, Debug, PartialEq)]
pub struct MockProse {
    /// One or more.
    pub paragraphs: Vec<String>,
    /// None, or the one rule that was broken on purpose.
    pub planted: Vec<PlantedDefect>,
}

/// A rule that the mock broke on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlantedDefect {
    /// The rule.
    pub rule: Rule,
}

impl MockAsk {
    /// What is asked where a prompt has no data block: sixty words of English, third person, past tense, no defect.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            language: Language::En,
            pov: PovChoice::ThirdLimited,
            tense: TenseChoice::Past,
            target_words: 60,
            min_words: 30,
            max_words: 90,
            max_dialogue_ratio: 0.5,
            min_sensory_anchors: 1,
            banned_words: Vec::new(),
            forbidden_cliches: Vec::new(),
            defect_rate: 0.0,
        }
    }
}

/// Writes the prose of one scene. The same ask and seed give the same prose.
#[must_use]
pub fn write(ask: &MockAsk, seed: Seed) -> MockProse {
    let mut draws = seed.draws();
    let defect = if draws.chance(ask.defect_rate) { choose_defect(ask, &mut draws) } else { None };
    let mut pov = match ask.pov {
        PovChoice::First => Pov::First,
        PovChoice::Second => Pov::Second,
        PovChoice::ThirdLimited | PovChoice::ThirdOmniscient => Pov::Third,
        PovChoice::Mixed => *draws.pick(&[Pov::First, Pov::Second, Pov::Third]).unwrap_or(&Pov::Third),
    };
    let mut tense = match ask.tense {
        TenseChoice::Past => Tense::Past,
        TenseChoice::Present => Tense::Present,
        TenseChoice::Mixed => *draws.pick(&[Tense::Past, Tense::Present]).unwrap_or(&Tense::Past),
    };
    let mut words = aim(ask, &mut draws);
    match defect {
        Some(Rule::PovConformity) => pov = if pov == Pov::Third { Pov::First } else { Pov::Third },
        Some(Rule::TenseConformity) => tense = if tense == Tense::Past { Tense::Present } else { Tense::Past },
        Some(Rule::WordCountRange) => words = aim_outside(ask, &mut draws),
        _ => {}
    }
    let grammar = Grammar::of(ask.language);
    let voice = Voice::new(grammar, ask.language, pov, tense, &mut draws);
    let paragraphs = Writer::new(ask, grammar, voice, defect, draws).write(words);
    MockProse { paragraphs, planted: defect.into_iter().map(|rule| PlantedDefect { rule }).collect() }
}

/// One of the rules that this scene can break without breaking another.
fn choose_defect(ask: &MockAsk, draws: &mut Draws) -> Option<Rule> {
    let possible: Vec<Rule> = [
        (Rule::WordCountRange, true),
        (Rule::BannedWords, !ask.banned_words.is_empty()),
        (Rule::PovConformity, ask.pov != PovChoice::Mixed),
        (Rule::TenseConformity, ask.tense != TenseChoice::Mixed),
        // Half as much again goes into tags; what is left must hold the sentences that other rules ask for.
        (
            Rule::DialogueRatio,
            ask.target_words as f64 * (0.75 - 1.5 * ask.max_dialogue_ratio) >= owed_words(ask) as f64,
        ),
        (Rule::ForbiddenCliches, !ask.forbidden_cliches.is_empty()),
    ]
    .into_iter()
    .filter_map(|(rule, possible)| possible.then_some(rule))
    .collect();
    draws.pick(&possible).copied()
}

/// A length inside the tolerance, near the target but not always on it.
fn aim(ask: &MockAsk, draws: &mut Draws) -> usize {
    let spread = (ask.max_words - ask.target_words.min(ask.max_words)).min(ask.target_words / 8);
    let least = ask.target_words.saturating_sub(spread).max(ask.min_words);
    draws.between(least, (ask.target_words + spread).min(ask.max_words)).max(CLOSE_LEAST)
}

/// Words that hold the sentences which other rules than the length ask for: one of 14 words for each.
fn owed_words(ask: &MockAsk) -> usize {
    14 * (ask.min_sensory_anchors + ACTS_LEAST) + CLOSE_MOST
}

/// A length outside the tolerance: too short where the words of sense still fit, else too long.
fn aim_outside(ask: &MockAsk, draws: &mut Draws) -> usize {
    let least = owed_words(ask);
    if ask.min_words > least && draws.chance(0.5) {
        draws.between(least, ask.min_words - 1)
    } else {
        ask.max_words + draws.between(4, 20)
    }
}

struct Writer<'a> {
    ask: &'a MockAsk,
    grammar: &'a Grammar,
    voice: Voice<'a>,
    draws: Draws,
    /// Lower-case phrases that may not occur.
    avoid: Vec<String>,
    paragraphs: Vec<String>,
    /// The paragraph that is being written, and the sentences it still takes.
    paragraph: String,
    room: usize,
    sense_left: usize,
    /// Sentences with the subject in it that are still owed: without them the point of view would stay open.
    acts_left: usize,
    /// Dialogue words that may still be spoken; where the defect is too much dialogue, that must be.
    speech_left: usize,
    defect: Option<Rule>,
    decks: [Deck; 4],
}

/// Goes through a list in an order of its own, so that no phrase comes twice before all have come once.
#[derive(Clone, Copy)]
struct Deck {
    at: usize,
    step: usize,
}

impl Deck {
    fn next(&mut self, count: usize) -> usize {
        self.at += self.step;
        self.at % count.max(1)
    }
}

/// Sentences with the subject in it that each scene has.
const ACTS_LEAST: usize = 2;

/// Whether a sentence of so many words leaves nothing, or enough for a closing sentence.
fn fits(words: usize, left: usize) -> bool {
    words == left || words + CLOSE_LEAST <= left
}

impl<'a> Writer<'a> {
    fn new(ask: &'a MockAsk, grammar: &'a Grammar, voice: Voice<'a>, defect: Option<Rule>, mut draws: Draws) -> Self {
        let avoid = ask.banned_words.iter().chain(&ask.forbidden_cliches).map(|phrase| phrase.to_lowercase()).collect();
        // Steps without a common divisor with any list's length (lists have fewer than 31 entries).
        let decks = [(); 4].map(|()| Deck { at: draws.below(1000), step: [31, 37, 41, 43][draws.below(4)] });
        let room = draws.between(3, 5);
        Self {
            ask,
            grammar,
            voice,
            draws,
            avoid,
            paragraphs: Vec::new(),
            paragraph: String::new(),
            room,
            sense_left: ask.min_sensory_anchors,
            acts_left: ACTS_LEAST,
            speech_left: 0,
            defect,
            decks,
        }
    }

    fn write(mut self, words: usize) -> Vec<String> {
        self.speech_left = match self.defect {
            Some(Rule::DialogueRatio) => (words as f64 * (self.ask.max_dialogue_ratio + 0.15)) as usize,
            // Well below the limit, because a line is not cut to fit.
            _ => (words as f64 * (self.ask.max_dialogue_ratio * 0.75).min(0.3)) as usize,
        };
        let mut left = words - self.plant_phrase().min(words);
        // A draw that does not fit gives no words; after some of them the rest is left to closing sentences.
        let mut misses = 0;
        while left > CLOSE_MOST && misses < 8 {
            let used = self.sentence(left);
            misses = if used == 0 { misses + 1 } else { 0 };
            left -= used;
        }
        self.close(left);
        self.end_paragraph();
        self.paragraphs
    }

    /// One sentence or one spoken line of at most `left` words; gives its words, 0 where none was written.
    fn sentence(&mut self, left: usize) -> usize {
        if self.defect == Some(Rule::DialogueRatio) && self.speech_left > 0 {
            return self.speak(left);
        }
        let owed = self.sense_left + self.acts_left;
        if left <= 14 * owed + CLOSE_MOST {
            return self.narrate(usize::from(self.acts_left >= self.sense_left), left);
        }
        if self.speech_left >= 9 && self.draws.chance(0.3) {
            return self.speak(left);
        }
        let turn = self.draws.below(10);
        let list = if self.sense_left > 0 && turn < 6 { 0 } else { [1, 1, 1, 1, 1, 2, 2, 2, 0, 0][turn] };
        self.narrate(list, left)
    }

    /// One sentence of the lists sense, action, inner.
    fn narrate(&mut self, list: usize, left: usize) -> usize {
        let phrases = [&self.grammar.sense, &self.grammar.action, &self.grammar.inner][list];
        let sentence = self.drawn(list, phrases);
        let words = count_words(&sentence);
        if !fits(words, left) {
            return 0;
        }
        match list {
            0 => self.sense_left = self.sense_left.saturating_sub(1),
            _ => self.acts_left = self.acts_left.saturating_sub(1),
        }
        self.add(&sentence)
    }

    /// The next phrase of a list that holds nothing forbidden; the last one tried where all do.
    fn drawn(&mut self, deck: usize, phrases: &[Phrase]) -> String {
        let mut sentence = String::new();
        for _ in 0..phrases.len() + 4 {
            let next = self.decks[deck].next(phrases.len());
            if let Some(phrase) = phrases.get(next) {
                sentence = self.voice.sentence(phrase, "", &mut self.draws);
            }
            if self.is_allowed(&sentence) {
                break;
            }
        }
        sentence
    }

    fn is_allowed(&self, sentence: &str) -> bool {
        if self.avoid.is_empty() {
            return true;
        }
        let lower = sentence.to_lowercase();
        // Coarser than whole words: what is merely near a banned word is avoided too.
        self.avoid.iter().all(|phrase| !lower.contains(phrase.as_str()))
    }

    /// A spoken line as a paragraph of its own; 0 words where the line drawn does not fit.
    fn speak(&mut self, left: usize) -> usize {
        let next = self.decks[3].next(self.grammar.speech.len());
        let Some(line) = self.grammar.speech.get(next) else { return 0 };
        let Some(tag) = self.draws.pick(&self.grammar.tag) else { return 0 };
        let spoken = self.voice.spoken(line, tag, &mut self.draws);
        self.speech_left = self.speech_left.saturating_sub(count_words(line));
        let words = count_words(&spoken);
        if !self.is_allowed(&spoken) || !fits(words, left) {
            return 0;
        }
        self.end_paragraph();
        self.paragraphs.push(spoken);
        words
    }

    /// A banned word or a cliché, where that is the defect.
    fn plant_phrase(&mut self) -> usize {
        let phrases = match self.defect {
            Some(Rule::BannedWords) => &self.ask.banned_words,
            Some(Rule::ForbiddenCliches) => &self.ask.forbidden_cliches,
            _ => return 0,
        };
        let (Some(word), Some(phrase)) = (self.draws.pick(phrases), self.draws.pick(&self.grammar.banned)) else {
            return 0;
        };
        let sentence = self.voice.sentence(phrase, word, &mut self.draws);
        self.add(&sentence)
    }

    /// Fills exactly `left` words with closing sentences, or none where fewer are left than the shortest has.
    fn close(&mut self, mut left: usize) {
        while left >= CLOSE_LEAST {
            let most = left.min(CLOSE_MOST);
            let length = match left {
                left if left <= CLOSE_MOST => left,
                // What stays must again be long enough for a closing sentence.
                left => self.draws.between(CLOSE_LEAST + 2, most.min(left - CLOSE_LEAST)),
            };
            let Some(phrases) = self.grammar.close.get(length) else { return };
            let start = self.draws.below(phrases.len());
            let rotated = phrases.iter().cycle().skip(start).take(phrases.len());
            let mut sentence = String::new();
            for phrase in rotated {
                sentence = self.voice.sentence(phrase, "", &mut self.draws);
                if self.is_allowed(&sentence) && !self.paragraph.contains(&sentence) {
                    break;
                }
            }
            left -= self.add(&sentence).min(left);
        }
    }

    fn add(&mut self, sentence: &str) -> usize {
        if !self.paragraph.is_empty() {
            self.paragraph.push(' ');
        }
        self.paragraph.push_str(sentence);
        self.room = self.room.saturating_sub(1);
        if self.room == 0 {
            self.end_paragraph();
        }
        count_words(sentence)
    }

    fn end_paragraph(&mut self) {
        if !self.paragraph.is_empty() {
            self.paragraphs.push(std::mem::take(&mut self.paragraph));
        }
        self.room = self.draws.between(3, 5);
    }
}

/// Words as measuring counts them, for text of our grammar: no hyphens, and every word has a letter.
fn count_words(text: &str) -> usize {
    text.split([' ', '\u{a0}']).filter(|token| token.chars().any(char::is_alphanumeric)).count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn ask(language: Language, words: usize) -> MockAsk {
        let banned_words = vec!["verybanned".into()];
        MockAsk { language, target_words: words, min_words: words, max_words: words, banned_words, ..MockAsk::plain() }
    }

    fn words(prose: &MockProse) -> usize {
        prose.paragraphs.iter().map(|paragraph| count_words(paragraph)).sum()
    }

    proptest! {
        #[test]
        fn an_exact_length_is_met_exactly(seed: u64, length in 3_usize..400, french: bool) {
            let language = if french { Language::Fr } else { Language::En };
            let prose = write(&ask(language, length), Seed(seed));
            prop_assert_eq!(words(&prose), length, "{:#?}", prose.paragraphs);
            prop_assert!(prose.planted.is_empty());
        }

        #[test]
        fn same_ask_and_seed_same_prose(seed: u64) {
            let ask = MockAsk { defect_rate: 0.5, ..ask(Language::En, 120) };
            prop_assert_eq!(write(&ask, Seed(seed)), write(&ask, Seed(seed)));
        }
    }

    #[test]
    fn prose_is_varied() {
        for language in [Language::En, Language::Fr] {
            let mut sentences = Vec::new();
            for seed in 0..50 {
                let prose = write(&ask(language, 200), Seed(seed));
                assert!(prose.paragraphs.len() >= 3, "{:?}", prose.paragraphs);
                sentences.extend(prose.paragraphs.join(" ").split(". ").map(str::to_owned).collect::<Vec<_>>());
            }
            let distinct: BTreeSet<&String> = sentences.iter().collect();
            let share = distinct.len() as f64 / sentences.len() as f64;
            assert!(share > 0.6, "{language:?}: {share:.2} of {} sentences differ", sentences.len());
        }
    }

    #[test]
    fn a_banned_word_of_the_grammar_is_avoided_and_a_planted_one_is_there() {
        let banned = MockAsk { banned_words: vec!["bell".into(), "Harbour".into()], ..ask(Language::En, 150) };
        for seed in 0..40 {
            let prose = write(&banned, Seed(seed)).paragraphs.join(" ").to_lowercase();
            assert!(!prose.contains("bell") && !prose.contains("harbour"), "{prose}");
        }
        let planting = MockAsk { defect_rate: 1.0, ..ask(Language::En, 150) };
        let all: Vec<MockProse> = (0..200).map(|seed| write(&planting, Seed(seed))).collect();
        assert!(all.iter().all(|prose| prose.planted.len() == 1));
        for prose in all.iter().filter(|prose| prose.planted[0].rule == Rule::BannedWords) {
            assert!(prose.paragraphs.join(" ").contains("verybanned"));
        }
        let rules: BTreeSet<Rule> = all.iter().map(|prose| prose.planted[0].rule).collect();
        let possible = [Rule::WordCountRange, Rule::BannedWords, Rule::PovConformity, Rule::TenseConformity];
        assert_eq!(rules, BTreeSet::from(possible));
    }
}
