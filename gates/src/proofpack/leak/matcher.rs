//! One pass over a view: stops at the few bytes that a leak can start with, and asks the rule for that byte.

use super::view::View;
use super::{Literals, Rule, paths, secrets};

/// A match in a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) rule: Rule,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What each rule sees.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) has_escapes: bool,
}

impl Text<'_> {
    /// The byte at a position; past either end there is none.
    pub(super) fn at(self, position: usize) -> Option<u8> {
        self.bytes.get(position).copied()
    }

    /// The byte before a position.
    pub(super) fn before(self, position: usize) -> Option<u8> {
        position.checked_sub(1).and_then(|index| self.at(index))
    }

    /// Whether `word` ends just before `position`.
    pub(super) fn ends_with(self, position: usize, word: &[u8]) -> bool {
        self.bytes.get(..position).is_some_and(|text| text.ends_with(word))
    }

    /// Whether `word` starts at `position`.
    pub(super) fn starts_with(self, position: usize, word: &[u8]) -> bool {
        self.bytes.get(position..).is_some_and(|text| text.starts_with(word))
    }

    /// End of the run of bytes that `is_inside` accepts.
    pub(super) fn run(self, from: usize, is_inside: impl Fn(u8) -> bool) -> usize {
        let mut end = from;
        while self.at(end).is_some_and(&is_inside) {
            end += 1;
        }
        end
    }
}

/// Which rule may match at a byte. Rare bytes are chosen, because this table is asked for every byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trigger {
    None,
    Slash,
    Backslash,
    Colon,
    Secret,
}

const TRIGGERS: [Trigger; 256] = {
    let mut table = [Trigger::None; 256];
    table[b'/' as usize] = Trigger::Slash;
    table[b'\\' as usize] = Trigger::Backslash;
    table[b':' as usize] = Trigger::Colon;
    let mut at = 0;
    while at < secrets::TRIGGERS.len() {
        table[secrets::TRIGGERS[at] as usize] = Trigger::Secret;
        at += 1;
    }
    table
};

/// All matches of rules L1 to L6, ordered by rule family and position.
pub(super) fn matches(view: &View<'_>, literals: &Literals) -> Vec<Hit> {
    let text = Text { bytes: &view.bytes, has_escapes: view.has_escapes };
    let mut hits = Vec::new();
    let mut at = 0;
    let mut url_end = 0;
    while let Some(&byte) = text.bytes.get(at) {
        let trigger = TRIGGERS[byte as usize];
        if trigger == Trigger::None {
            at += 1;
            continue;
        }
        let in_url = at < url_end;
        let hit = match trigger {
            Trigger::Slash if !in_url => paths::posix(text, at),
            Trigger::Backslash if !in_url => paths::unc(text, at),
            Trigger::Colon if !in_url && matches!(text.at(at + 1), Some(b'/' | b'\\')) => {
                paths::file_url(text, at).or_else(|| paths::drive(text, at))
            }
            // A key and its value may also be split by a colon: `"token": "..."`.
            Trigger::Colon if !in_url => secrets::keyed(text, at),
            Trigger::Secret => secrets::prefixed(text, at).or_else(|| secrets::keyed(text, at)),
            _ => None,
        };
        at = match hit {
            Some(hit) => {
                hits.push(hit);
                hit.end.max(at + 1)
            }
            None => {
                if trigger == Trigger::Colon && !in_url {
                    url_end = paths::url_end(text, at).unwrap_or(0);
                }
                // Separators come in runs, and a rule has looked at the whole run.
                let is_run = matches!(trigger, Trigger::Slash | Trigger::Backslash);
                if is_run { text.run(at, |next| next == byte) } else { at + 1 }
            }
        };
    }
    hits.extend(literal_hits(text, literals));
    hits
}

/// Rule L5. Overlapping words (the user inside the home folder) count once.
fn literal_hits(text: Text<'_>, literals: &Literals) -> Vec<Hit> {
    let mut hits = Vec::new();
    for literal in &literals.0 {
        let length = literal.finder.needle().len();
        for start in literal.finder.find_iter(text.bytes) {
            let end = start + length;
            let opens = if literal.is_path { paths::token_start(text, start) } else { !is_word(text.before(start)) };
            if opens && !is_word(text.at(end)) {
                hits.push(Hit { rule: Rule::L5, start, end });
            }
        }
    }
    hits.sort_by_key(|hit| (hit.start, std::cmp::Reverse(hit.end)));
    let mut covered = 0;
    hits.retain(|hit| {
        let is_new = hit.start >= covered;
        covered = covered.max(hit.end);
        is_new
    });
    hits
}

fn is_word(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
