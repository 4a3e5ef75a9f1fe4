//! Tells speech from narration: text inside “…”, "…", «…», and paragraphs opened by a dash.

/// Where a reader is, paragraph by paragraph.
#[derive(Debug)]
pub(super) struct Speech {
    state: State,
    /// Nothing but space since the paragraph began.
    at_start: bool,
    /// A word stands directly before: a straight quote there closes or is an inch mark, and opens nothing.
    after_word: bool,
}

#[derive(Debug, PartialEq)]
enum State {
    Narration,
    /// Opened by `"` or `“`.
    Double,
    /// Opened by `„`: closed by `“` or `”`.
    Low,
    /// Opened by `«`.
    Guillemets,
    /// The paragraph began with a dash: all of it is speech.
    Dash,
}

impl Default for Speech {
    fn default() -> Self {
        Self { state: State::Narration, at_start: true, after_word: false }
    }
}

impl Speech {
    /// Whether the reader is inside speech.
    pub(super) fn is_open(&self) -> bool {
        self.state != State::Narration
    }

    /// A word was read.
    pub(super) fn word(&mut self) {
        (self.at_start, self.after_word) = (false, true);
    }

    /// A sign that belongs to no word was read, and `rest` of the text follows it.
    pub(super) fn sign(&mut self, sign: char, rest: &str) {
        // A quote that was never closed ends with its paragraph, so that one slip does not swallow the scene.
        if sign == '\n' {
            *self = Self::default();
            return;
        }
        let next_is_space = rest.chars().next().is_none_or(char::is_whitespace);
        match (&self.state, sign) {
            (State::Narration, '—' | '–' | '―') if self.at_start => self.state = State::Dash,
            (State::Narration, '-') if self.at_start && next_is_space => self.state = State::Dash,
            (State::Narration, '"') if !self.after_word && !next_is_space => self.state = State::Double,
            (State::Narration, '“' | '‟') => self.state = State::Double,
            (State::Narration, '„') => self.state = State::Low,
            (State::Narration, '«') => self.state = State::Guillemets,
            (State::Double, '"' | '”') | (State::Low, '“' | '”' | '"') | (State::Guillemets, '»') => {
                self.state = State::Narration;
            }
            _ => {}
        }
        self.at_start &= sign.is_whitespace();
        self.after_word = false;
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::{fold, read};
    use crate::scribe::style::Language;

    #[track_caller]
    fn check(paragraphs: &[&str], spoken: &str) {
        let folded = fold(paragraphs);
        let reading = read(&folded.lower, Language::En);
        let found: Vec<&str> = reading.parts.iter().filter(|part| part.spoken).map(|part| part.text).collect();
        assert_eq!(found.join(" "), spoken, "{paragraphs:?}");
        assert_eq!(reading.spoken_words, found.len());
    }

    #[test]
    fn every_style_of_quotation_is_speech() {
        check(&["\"Come in,\" she said. \"Sit.\""], "come in sit");
        check(&["“Come in,” she said. “Sit.”"], "come in sit");
        check(&["« Entrez », dit-elle. «Ici.»"], "entrez ici");
        check(&["„Komm“, sagte sie."], "komm");
        check(&["— Come in.", "– You?", "- Me.", "She sat."], "come in you me");
        check(&["“He said «no» twice,” she said."], "he said no twice");
    }

    #[test]
    fn an_unbalanced_quote_ends_with_its_paragraph() {
        check(&["“Come in, she said.", "He sat."], "come in she said");
        check(&["\"Come in, she said.", "He sat."], "come in she said");
        check(&["« Entrez.\nIl entra."], "entrez");
        check(&["Come in,” she said."], "");
    }

    #[test]
    fn a_dash_inside_a_paragraph_opens_nothing() {
        check(&["She sat — at last — down.", "-5 degrees.", "A 6\" nail and a 7\" nail."], "");
    }
}
