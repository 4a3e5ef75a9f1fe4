//! Rules L1 to L4: what an absolute path of some machine looks like, and what only resembles one.

use super::Rule;
use super::matcher::{Hit, Text};

/// Roots under which people, builds and mounts live. System folders (`usr`, `etc`) are the same everywhere.
const ROOTS: [&str; 17] = [
    "home",
    "root",
    "Users",
    "mnt",
    "media",
    "work",
    "workspace",
    "tmp",
    "private",
    "var",
    "opt",
    "srv",
    "data",
    "build",
    "builds",
    "github",
    "runner",
];
const ROOT_BYTES_MAX: usize = 9;

/// What `scrub` writes in place of a path: a path below it is relative, so no leak.
pub(super) const PLACEHOLDERS: [&str; 5] = ["<workspace>", "<home>", "<target>", "<tmp>", "<masked>"];

/// L1, asked at the first slash of a run.
pub(super) fn posix(text: Text<'_>, at: usize) -> Option<Hit> {
    if !token_start(text, at) {
        return None;
    }
    let name = text.run(at, |byte| byte == b'/');
    // Bounded, or a run of letters would be read once for every slash in front of it.
    let name_end = text.bytes.len().min(name + ROOT_BYTES_MAX + 1);
    let length = text.bytes.get(name..name_end)?.iter().position(|&byte| byte == b'/')?;
    let root = &text.bytes[name..name + length];
    let below = text.run(name + length, |byte| byte == b'/');
    let is_leak = ROOTS.iter().any(|known| known.as_bytes() == root) && opens_component(text, below);
    is_leak.then(|| Hit { rule: Rule::L1, start: at, end: token_end(text, below) })
}

/// L2, asked at a colon.
pub(super) fn drive(text: Text<'_>, at: usize) -> Option<Hit> {
    let start = at.checked_sub(1).filter(|&letter| text.at(letter).is_some_and(|byte| byte.is_ascii_alphabetic()))?;
    if text.before(start).is_some_and(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let below = text.run(at + 1, is_separator);
    let is_path = below > at + 1 && opens_component(text, below) && !is_escape(text, at + 1, below);
    is_path.then(|| Hit { rule: Rule::L2, start, end: token_end(text, below) })
}

/// L3, asked at the first backslash of a run: two and then one, or both doubled in source code.
pub(super) fn unc(text: Text<'_>, at: usize) -> Option<Hit> {
    if !token_start(text, at) {
        return None;
    }
    let host = text.run(at, |byte| byte == b'\\');
    let host_end = text.run(host, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'?'));
    let share = text.run(host_end, is_separator);
    let is_doubled = match host - at {
        2 => share - host_end == 1,
        4 => (1..=2).contains(&(share - host_end)),
        _ => false,
    };
    // A host of one letter is a pair of escapes; the device prefixes `?` and `.` are no hosts but name paths.
    let is_host = host_end - host >= 2 || matches!(text.at(host), Some(b'?' | b'.'));
    (is_doubled && is_host && opens_component(text, share)).then(|| Hit {
        rule: Rule::L3,
        start: at,
        end: token_end(text, share),
    })
}

/// L4, asked at a colon.
pub(super) fn file_url(text: Text<'_>, at: usize) -> Option<Hit> {
    let start = at.checked_sub(4)?;
    if !text.bytes[start..at].eq_ignore_ascii_case(b"file")
        || text.before(start).is_some_and(|byte| byte.is_ascii_alphanumeric())
    {
        return None;
    }
    let below = text.run(at + 1, is_separator);
    (below > at + 1 && opens_component(text, below)).then(|| Hit {
        rule: Rule::L4,
        start,
        end: text.run(below, is_url),
    })
}

/// Where a URL ends whose `://` is at `at`; what lies inside it is no path.
pub(super) fn url_end(text: Text<'_>, at: usize) -> Option<usize> {
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-');
    let has_scheme = at >= 2 && text.bytes[at - 2..at].iter().all(|&byte| is_scheme(byte));
    (has_scheme && text.starts_with(at, b"://")).then(|| text.run(at, is_url))
}

/// Whether a path may start here: nothing before it that would make it the rest of something else.
pub(super) fn token_start(text: Text<'_>, at: usize) -> bool {
    match text.before(at) {
        None | Some(0..=b' ' | 0x7f) => true,
        Some(
            b'"' | b'\'' | b'`' | b'=' | b':' | b',' | b';' | b'(' | b'[' | b'{' | b'<' | b'|' | b'&' | b'!' | b'@',
        ) => true,
        Some(b'>') => !PLACEHOLDERS.iter().any(|placeholder| text.ends_with(at, placeholder.as_bytes())),
        // `-L/x`, `-I/x`: a flag of one letter with its value.
        Some(letter) if letter.is_ascii_alphabetic() => {
            text.before(at - 1) == Some(b'-') && text.before(at - 2).is_none_or(|byte| byte <= b' ' || byte == b'"')
        }
        Some(0x80..) => !ends_in_letter(text.bytes, at),
        Some(_) => false,
    }
}

/// Whether the UTF-8 character before `at` is a letter or digit; broken UTF-8 is none.
fn ends_in_letter(bytes: &[u8], at: usize) -> bool {
    let tail = bytes.get(at.saturating_sub(4)..at).unwrap_or(&[]);
    let start = tail.iter().rposition(|byte| byte & 0xc0 != 0x80).unwrap_or(0);
    let symbol = std::str::from_utf8(&tail[start..]).ok().and_then(|text| text.chars().next_back());
    symbol.is_some_and(char::is_alphanumeric)
}

/// A name starts here, not a placeholder, an ellipsis or the end.
fn opens_component(text: Text<'_>, at: usize) -> bool {
    let is_name =
        |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80);
    let marks = text.at(at).is_some_and(|byte| matches!(byte, b'.' | b'-' | b'+' | b'@' | b'~' | b'%' | b'$' | b'#'));
    is_name(text.at(at)) || (marks && is_name(text.at(at + 1)))
}

/// `e:\n` in source code is the end of a line; one or two backslashes and one letter of an escape make that.
fn is_escape(text: Text<'_>, separator: usize, below: usize) -> bool {
    let is_short = text.has_escapes && text.at(separator) == Some(b'\\') && below <= separator + 2;
    let ends = text
        .at(below + 1)
        .is_none_or(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'\\' | b'/' | b'_' | b'.'));
    is_short && matches!(text.at(below), Some(b'n' | b'r' | b't' | b'0')) && ends
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

fn token_end(text: Text<'_>, from: usize) -> usize {
    text.run(from, |byte| {
        !matches!(
            byte,
            0..=b' '
                | 0x7f
                | b'"'
                | b'\''
                | b'`'
                | b'<'
                | b'>'
                | b'|'
                | b','
                | b';'
                | b':'
                | b'('
                | b')'
                | b'['
                | b']'
                | b'{'
                | b'}'
                | b'*'
                | b'?'
                | b'&'
        )
    })
}

fn is_url(byte: u8) -> bool {
    !matches!(
        byte,
        0..=b' '
            | 0x7f
            | b'"'
            | b'\''
            | b'`'
            | b'<'
            | b'>'
            | b'|'
            | b'\\'
            | b'^'
            | b'{'
            | b'}'
            | b','
            | b';'
            | b')'
            | b']'
    )
}
