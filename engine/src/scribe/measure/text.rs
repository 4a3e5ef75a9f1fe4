//! Turns prose into words: normal form, paragraphs, speech and narration, and the parts that grammar sees in a word.
//!
//! Everything downstream compares plain strings, so all the ways of writing the same text are folded here and only here:
//! composed and decomposed accents, curly and straight apostrophes, capitals, invisible characters inside a word.

use unicode_normalization::UnicodeNormalization;

use super::dialogue::Speech;
use super::lexicon::{Marks, marks};
use super::segment;
use crate::scribe::style::Language;

/// Prose in the form that is compared: NFC, apostrophes and straight quotes folded, no invisible characters.
pub(super) struct Folded {
    /// With capitals, which sentence segmentation needs.
    pub(super) cased: String,
    /// In lower case, which every lexicon is.
    pub(super) lower: String,
}

/// What stands between two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gap {
    /// Space, or nothing: an elision or a clitic.
    Space,
    /// A hyphen.
    Hyphen,
    /// A comma, a dash, a quotation mark: anything inside a sentence.
    Mark,
    /// The end of a sentence or of a paragraph.
    Stop,
}

/// A word, or the part of a word that grammar treats as a word: `l'` and `homme`, `it` and `'s`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'t> {
    /// In lower case.
    pub(super) text: &'t str,
    /// What stands before it.
    pub(super) gap: Gap,
    /// Inside dialogue.
    pub(super) spoken: bool,
    /// In narration: the first word after speech.
    pub(super) after_speech: bool,
    /// The word lists it is on.
    pub(super) marks: Marks,
}

/// Prose as words.
pub(super) struct Reading<'t> {
    /// Every part in order.
    pub(super) parts: Vec<Part<'t>>,
    /// Words by Unicode segmentation: tokens with at least one letter or digit.
    pub(super) words: usize,
    /// Those inside dialogue.
    pub(super) spoken_words: usize,
}

/// Splits a text into paragraphs: every line break ends one, and a line without text is none. Generated prose is not
/// hard-wrapped, and a quote that is never closed then ends with its line instead of swallowing the scene.
#[must_use]
pub fn paragraphs(text: &str) -> Vec<String> {
    let is_break = |c| matches!(c, '\n' | '\r' | '\u{0B}' | '\u{0C}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    text.split(is_break).map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Folds paragraphs into one text in which each is a line.
pub(super) fn fold<S: AsRef<str>>(paragraphs: &[S]) -> Folded {
    let length = paragraphs.iter().map(|paragraph| paragraph.as_ref().len() + 1).sum();
    let mut folded = Folded { cased: String::with_capacity(length), lower: String::with_capacity(length) };
    for paragraph in paragraphs {
        let text = paragraph.as_ref();
        if text.chars().all(is_settled) {
            // Runs of ASCII are copied whole.
            for run in text.split_inclusive(|c: char| !c.is_ascii() || c.is_ascii_control()) {
                let plain = run.trim_end_matches(|c: char| !c.is_ascii() || c.is_ascii_control());
                folded.push_ascii(plain);
                folded.extend(run[plain.len()..].chars());
            }
        } else {
            folded.extend(text.chars().filter(|&c| !is_hidden(c)).nfc());
        }
        folded.push('\n');
    }
    folded
}

/// Reads folded text as words of `language`.
pub(super) fn read(lower: &str, language: Language) -> Reading<'_> {
    let mut reading = Reading { parts: Vec::with_capacity(lower.len() / 5), words: 0, spoken_words: 0 };
    let mut speech = Speech::default();
    let mut gap = Gap::Stop;
    segment::words(lower, |start, segment| {
        if segment.chars().any(char::is_alphanumeric) {
            speech.word();
            reading.words += 1;
            reading.spoken_words += usize::from(speech.is_open());
            split(segment, language, |text| {
                let spoken = speech.is_open();
                reading.parts.push(Part { text, gap, spoken, after_speech: false, marks: marks(text, language) });
                gap = Gap::Space;
            });
        } else {
            for sign in segment.chars() {
                speech.sign(sign, &lower[start + segment.len()..]);
                gap = gap.max(width(sign));
            }
        }
    });
    reading
}

/// The parts outside speech. Speech between two of them parts their sentences.
pub(super) fn narration<'t>(parts: &[Part<'t>]) -> Vec<Part<'t>> {
    let mut narration = Vec::with_capacity(parts.len());
    let mut after_speech = false;
    for part in parts {
        if !part.spoken {
            let gap = if after_speech { Gap::Stop } else { part.gap };
            narration.push(Part { gap, after_speech, ..*part });
        }
        after_speech = part.spoken;
    }
    narration
}

/// The parts of a word, with the folded form that lexicons and phrases are written in.
pub(super) fn parts(word: &str, language: Language) -> Vec<String> {
    let folded = fold(&[word]);
    read(&folded.lower, language).parts.iter().map(|part| part.text.to_owned()).collect()
}

impl Folded {
    fn extend(&mut self, characters: impl Iterator<Item = char>) {
        characters.for_each(|c| self.push(c));
    }

    fn push_ascii(&mut self, run: &str) {
        self.cased.push_str(run);
        let start = self.lower.len();
        self.lower.push_str(run);
        self.lower[start..].make_ascii_lowercase();
    }

    fn push(&mut self, c: char) {
        let c = match c {
            '‘' | '’' | '‛' | 'ʼ' | '＇' => '\'',
            '＂' => '"',
            // Inside a paragraph a line break is a paragraph's end for quotes too (`paragraphs`).
            '\r' | '\u{0B}' | '\u{0C}' | '\u{85}' | '\u{2028}' | '\u{2029}' => '\n',
            other => other,
        };
        self.cased.push(c);
        if c.is_ascii() { self.lower.push(c.to_ascii_lowercase()) } else { self.lower.extend(c.to_lowercase()) }
    }
}

/// Characters that normalisation leaves alone wherever they stand, and that are visible: the fast path of real prose.
fn is_settled(c: char) -> bool {
    matches!(c, '\0'..='\u{AC}' | '\u{AE}'..='\u{2FF}' | '\u{2010}'..='\u{2027}')
}

/// Characters that change no word for a reader, and would hide one from a comparison.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}')
}

fn width(sign: char) -> Gap {
    match sign {
        '.' | '!' | '?' | '…' | '\n' => Gap::Stop,
        '-' | '\u{2010}' | '\u{2011}' => Gap::Hyphen,
        _ if sign.is_whitespace() => Gap::Space,
        _ => Gap::Mark,
    }
}

/// French elisions: what can stand before an apostrophe and is a word of its own. `aujourd'hui` is one word.
const ELIDED: [&str; 13] = ["c", "d", "j", "jusqu", "l", "lorsqu", "m", "n", "puisqu", "qu", "quoiqu", "s", "t"];

/// English clitics. `n't` is left on its verb: `don't` is looked up whole.
const CLITICS: [&str; 6] = ["'d", "'ll", "'m", "'re", "'s", "'ve"];

fn split<'t>(word: &'t str, language: Language, mut part: impl FnMut(&'t str)) {
    let mut rest = word;
    match language {
        Language::Fr => {
            while let Some(at) = rest.find('\'')
                && ELIDED.contains(&&rest[..at])
                && at + 1 < rest.len()
            {
                part(&rest[..=at]);
                rest = &rest[at + 1..];
            }
        }
        Language::En => {
            if let Some(at) = rest.rfind('\'')
                && at > 0
                && CLITICS.contains(&&rest[at..])
            {
                part(&rest[..at]);
                rest = &rest[at..];
            }
        }
    }
    part(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(language: Language, text: &str, expected: &str) {
        assert_eq!(parts(text, language).join(" "), expected);
    }

    #[test]
    fn apostrophes_part_what_grammar_parts() {
        check(Language::En, "Don't, it’s Tom's; they'd've", "don't it 's tom 's they'd 've");
        check(Language::Fr, "L’homme qu'il a vu aujourd’hui", "l' homme qu' il a vu aujourd'hui");
        check(Language::Fr, "D'aujourd'hui jusqu'à s'il", "d' aujourd'hui jusqu' à s' il");
        check(Language::Fr, "presqu'île, entr'ouvrir, dit-il", "presqu'île entr'ouvrir dit il");
    }

    #[test]
    fn invisible_characters_hide_no_word() {
        check(Language::En, "ve\u{200B}ry\u{202E} ba\u{AD}d\u{FEFF} wo\u{2060}rd", "very bad word");
    }

    #[test]
    fn decomposed_accents_are_composed() {
        check(Language::Fr, "e\u{301}te\u{301} e\u{200D}\u{301}", "été é");
    }

    #[test]
    fn a_word_has_a_letter_or_a_digit() {
        let folded = fold(&["Two — 2 ... *** 3.14 l'homme"]);
        assert_eq!(read(&folded.lower, Language::Fr).words, 4);
    }

    #[test]
    fn every_line_break_ends_a_paragraph() {
        assert_eq!(paragraphs("\u{2028}a\r\n\r\n b \nc\u{85}"), ["a", "b", "c"]);
    }
}
