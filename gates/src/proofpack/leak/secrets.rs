//! Rule L6: credentials with a known shape, and values of keys that are named like one.

use super::Rule;
use super::matcher::{Hit, Text};

/// A credential that starts with fixed letters.
struct Prefixed {
    prefix: &'static str,
    /// How many letters of `is_body` must follow: exactly, or at least.
    body_bytes: Count,
    is_body: fn(u8) -> bool,
}

enum Count {
    Exactly(usize),
    AtLeast(usize),
}

const fn at_least(prefix: &'static str, is_body: fn(u8) -> bool) -> Prefixed {
    // Real ones are far longer; fewer letters are somebody writing about the prefix.
    Prefixed { prefix, body_bytes: Count::AtLeast(16), is_body }
}

const PREFIXED: [Prefixed; 12] = [
    Prefixed {
        prefix: "AKIA",
        body_bytes: Count::Exactly(16),
        is_body: |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit(),
    },
    at_least("ghp_", is_base62),
    at_least("gho_", is_base62),
    at_least("ghu_", is_base62),
    at_least("ghs_", is_base62),
    at_least("ghr_", is_base62),
    at_least("github_pat_", |byte| is_base62(byte) || byte == b'_'),
    at_least("xoxa-", is_dashed),
    at_least("xoxb-", is_dashed),
    at_least("xoxp-", is_dashed),
    at_least("xoxr-", is_dashed),
    at_least("xoxs-", is_dashed),
];

/// Names of keys whose values are secret, alone or after `_` or `-` (`OPENAI_API_KEY`).
const KEYS: [&str; 6] = ["password", "secret", "token", "api_key", "api-key", "apikey"];
const KEY_BYTES_MAX: usize = 64;
const VALUE_BYTES_JUDGED: usize = 64;

/// Bytes at which [`prefixed`] or [`keyed`] looks: the last of each prefix that is rare in prose, `J` of a JWT, `B` of
/// a key header, and the equals sign.
pub(super) const TRIGGERS: [u8; 6] = [b'A', b'_', b'-', b'J', b'B', b'='];

/// A credential whose prefix ends at `at` (or, for a header, whose second word starts there).
pub(super) fn prefixed(text: Text<'_>, at: usize) -> Option<Hit> {
    match text.at(at)? {
        b'J' => token(text, at),
        b'B' => key_header(text, at),
        b'=' => None,
        _ => PREFIXED.iter().find_map(|kind| kind.hit(text, at + 1)),
    }
}

impl Prefixed {
    fn hit(&self, text: Text<'_>, body: usize) -> Option<Hit> {
        if !text.ends_with(body, self.prefix.as_bytes()) {
            return None;
        }
        let start = body - self.prefix.len();
        // Asked first: a run that starts inside another is never read again.
        if text.before(start).is_some_and(is_base62) {
            return None;
        }
        let end = text.run(body, self.is_body);
        let is_long = match self.body_bytes {
            Count::Exactly(bytes) => end - body == bytes && !text.at(end).is_some_and(is_base62),
            Count::AtLeast(bytes) => end - body >= bytes,
        };
        is_long.then_some(Hit { rule: Rule::L6, start, end })
    }
}

/// A JSON web token: three parts of base64url, the first two JSON objects, which start with `eyJ`.
fn token(text: Text<'_>, at: usize) -> Option<Hit> {
    // Only at the start of its run of letters: else `eyJeyJeyJ...` would be read once for every `J`.
    let start = at.checked_sub(2).filter(|&start| text.starts_with(start, b"eyJ"))?;
    if text.before(start).is_some_and(is_dashed) {
        return None;
    }
    let part = |from: usize| Some(text.run(from, is_dashed)).filter(|&end| end > from);
    let payload = part(start).filter(|&end| text.starts_with(end, b".eyJ"))? + 1;
    let signature = part(payload).filter(|&end| text.at(end) == Some(b'.'))? + 1;
    part(signature).map(|end| Hit { rule: Rule::L6, start, end })
}

/// The first line of a private key in any armour.
fn key_header(text: Text<'_>, at: usize) -> Option<Hit> {
    const KIND_BYTES_MAX: usize = 40;
    let (opening, closing) = (b"-----", b"PRIVATE KEY-----");
    if !text.starts_with(at, b"BEGIN ") || !text.ends_with(at, opening) {
        return None;
    }
    let line = text.bytes.get(at..text.bytes.len().min(at + KIND_BYTES_MAX))?;
    let end = line.windows(closing.len()).position(|window| window == closing)? + closing.len();
    Some(Hit { rule: Rule::L6, start: at - opening.len(), end: at + end })
}

/// The value behind `key=` or `"key":`, where the separator is at `at`.
///
/// A quoted key with a quoted value is data and always counts. Unquoted text is prose or code as often as a setting,
/// so there the value must look random: eight or more letters of a credential, with a letter and a digit among them.
pub(super) fn keyed(text: Text<'_>, at: usize) -> Option<Hit> {
    let is_quote = |byte: u8| matches!(byte, b'"' | b'\'');
    let is_data = match text.at(at)? {
        b':' => true,
        b'=' => false,
        _ => return None,
    };
    // Nearly every colon of a row comes this far, and nearly none belongs to one of the few keys.
    let is_last = |byte: u8| matches!(byte | 0x20, b'd' | b't' | b'n' | b'y');
    if is_data && text.before(at).is_some_and(is_quote) && !text.before(at - 1).is_some_and(is_last) {
        return None;
    }
    let mut name_end = at;
    while is_data && text.before(name_end) == Some(b' ') && at - name_end < 4 {
        name_end -= 1;
    }
    if is_data {
        name_end = name_end.checked_sub(1).filter(|&quote| text.at(quote).is_some_and(is_quote))?;
    }
    let earliest = name_end.saturating_sub(KEY_BYTES_MAX);
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let name_start = (earliest..name_end).rev().take_while(|&index| is_name(&text.bytes[index])).last()?;
    if !is_secret_name(&text.bytes[name_start..name_end]) {
        return None;
    }
    let value = text.run(at + 1, |byte| is_data && byte == b' ');
    let quoted = text.at(value).is_some_and(is_quote);
    let start = value + usize::from(quoted);
    if is_data && quoted {
        let end = text.run(start, |byte| !is_quote(byte) && byte != b'\n');
        return (end > start && text.at(start) != Some(b'<')).then_some(Hit { rule: Rule::L6, start, end });
    }
    let is_value = |byte: u8| is_dashed(byte) || matches!(byte, b'+' | b'/' | b'.' | b'~' | b'=');
    let rest = text.bytes.get(start..).unwrap_or(&[]);
    // Judged by its first letters, because a value may hold the next key: `token=token=...`.
    let head = rest.iter().take(VALUE_BYTES_JUDGED).copied().take_while(|&byte| is_value(byte)).collect::<Vec<_>>();
    let is_random = head.len() >= 8 && head.iter().any(u8::is_ascii_digit) && head.iter().any(u8::is_ascii_alphabetic);
    is_random.then(|| Hit { rule: Rule::L6, start, end: text.run(start, is_value) })
}

fn is_secret_name(name: &[u8]) -> bool {
    KEYS.iter().any(|key| {
        let split = name.len().checked_sub(key.len());
        split.is_some_and(|split| {
            let (front, back) = name.split_at(split);
            back.eq_ignore_ascii_case(key.as_bytes()) && front.last().is_none_or(|byte| matches!(byte, b'_' | b'-'))
        })
    })
}

fn is_base62(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// Base64url, which is also what chat tokens are made of.
fn is_dashed(byte: u8) -> bool {
    is_base62(byte) || matches!(byte, b'-' | b'_')
}
