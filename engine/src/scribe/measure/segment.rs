//! Words and sentences by Unicode segmentation (UAX 29), with a short cut for the characters that Western prose is made of.
//!
//! Measuring ten thousand stories is mostly segmentation, and the general tables cost several times what Latin text
//! needs. Text with any other character takes the general road; property tests hold the two roads equal.

use unicode_segmentation::UnicodeSegmentation;

/// Calls `each` with every segment of `text` in order, and where it starts.
pub(super) fn words<'t>(text: &'t str, mut each: impl FnMut(usize, &'t str)) {
    if !is_plain(text) {
        return text.split_word_bound_indices().for_each(|(start, segment)| each(start, segment));
    }
    let mut rest = text;
    while !rest.is_empty() {
        let (segment, after) = rest.split_at(plain_word(rest));
        each(text.len() - rest.len(), segment);
        rest = after;
    }
}

/// How many sentences of `text` have a letter or a digit.
pub(super) fn sentences(text: &str) -> usize {
    if !is_plain(text) {
        return text.unicode_sentences().count();
    }
    let (mut count, mut has_word) = (0, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        has_word |= c.is_alphanumeric();
        let before = &text[..text.len() - rest.len()];
        rest = &rest[c.len_utf8()..];
        let end = match c {
            '\n' | '\r' => Some(rest),
            '.' | '!' | '?' => plain_sentence_end(before, c, rest),
            _ => None,
        };
        if let Some(after) = end {
            count += usize::from(has_word);
            (has_word, rest) = (false, after);
        }
    }
    count + usize::from(has_word)
}

/// Characters whose classes are spelled out below: ASCII but rare controls, Latin letters, general punctuation.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~'))
        || text.chars().all(|c| {
            matches!(c, '\n' | '\t' | ' '..='~' | '\u{A0}' | '«' | '»' | 'À'..='Ö' | 'Ø'..='ö' | 'ø'..='\u{17F}'
                | '‐'..='—' | '“'..='„' | '…')
        })
}

/// The length of the first segment of plain text that is not empty.
fn plain_word(text: &str) -> usize {
    let first = text.chars().next().map_or(0, char::len_utf8);
    let mut characters = text.char_indices().peekable();
    let mut end = 0;
    let mut last = None;
    while let Some((at, c)) = characters.next() {
        if is_wordy(c) {
            (end, last) = (at + c.len_utf8(), Some(c));
            continue;
        }
        // WB6, WB7, WB11, WB12: one sign inside a word or a number joins what is on both sides of it.
        let next = characters.peek().map(|&(_, next)| next);
        let joins = match (last, next) {
            (Some(last), Some(next)) if last.is_alphabetic() && next.is_alphabetic() => matches!(c, '\'' | '.' | ':'),
            (Some(last), Some(next)) if last.is_ascii_digit() && next.is_ascii_digit() => {
                matches!(c, '\'' | '.' | ',' | ';')
            }
            _ => false,
        };
        if !joins {
            break;
        }
    }
    match end {
        // WB3d: white space keeps together; a no-break space is none.
        0 if text.starts_with(' ') => text.len() - text.trim_start_matches(' ').len(),
        0 => first,
        end => end,
    }
}

fn is_wordy(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What follows the sentence that the terminator ends, or `None` when it ends none.
fn plain_sentence_end<'t>(before: &str, terminator: char, after: &'t str) -> Option<&'t str> {
    let next = after.chars().next();
    if terminator == '.' {
        let between_capitals =
            before.chars().next_back().is_some_and(char::is_alphabetic) && next.is_some_and(char::is_uppercase);
        // SB6, SB7: `3.14`, `U.S.`
        if next.is_some_and(|next| next.is_ascii_digit()) || between_capitals {
            return None;
        }
    }
    let closed = after.trim_start_matches(['(', ')', '[', ']', '{', '}', '"', '\'', '«', '»', '“', '”', '„', '‟']);
    let spaced = closed.trim_start_matches([' ', '\t', '\u{A0}']);
    // SB8: `etc.) and so on`
    if terminator == '.' {
        let stop = spaced.chars().find(|&c| c.is_alphabetic() || matches!(c, '\n' | '.' | '!' | '?'));
        if stop.is_some_and(char::is_lowercase) {
            return None;
        }
    }
    match spaced.chars().next() {
        // SB8a
        Some(',' | ':' | ';' | '-' | '–' | '—' | '.' | '!' | '?') => None,
        Some('\n') => Some(&spaced[1..]),
        _ => Some(spaced),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_short_cut_is_unicode_segmentation(
            text in prop_oneof!["[aB1.,:;'\"! \n_é(\u{A0}—-]{0,16}", "[ -~\n\t\u{A0}«»À-ÖØ-öø-ſ‐-—“-„…]{0,24}"],
        ) {
            prop_assert!(is_plain(&text));
            let mut found = Vec::new();
            words(&text, |start, segment| found.push((start, segment)));
            prop_assert_eq!(found, text.split_word_bound_indices().collect::<Vec<_>>());
            prop_assert_eq!(sentences(&text), text.unicode_sentences().count(), "{:?}", text);
        }

        #[test]
        fn any_other_text_takes_the_general_road(text in any::<String>()) {
            let mut found = Vec::new();
            words(&text, |start, segment| found.push((start, segment)));
            prop_assert_eq!(found, text.split_word_bound_indices().collect::<Vec<_>>());
            prop_assert_eq!(sentences(&text), text.unicode_sentences().count());
        }
    }

    #[test]
    fn every_plain_letter_is_classed_as_unicode_does() {
        for c in (0..0x3000).filter_map(char::from_u32).filter(|c| is_plain(&c.to_string())) {
            for text in [
                format!("a{c}b"),
                format!("1{c}2"),
                format!("A.{c} b"),
                format!("a.{c}B"),
                format!("a{c}.B c"),
                format!("a. {c}b"),
            ] {
                let mut found = Vec::new();
                words(&text, |_, segment| found.push(segment));
                assert_eq!(found, text.split_word_bounds().collect::<Vec<_>>(), "{text:?}");
                assert_eq!(sentences(&text), text.unicode_sentences().count(), "{text:?}");
            }
        }
    }
}
