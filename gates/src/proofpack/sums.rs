//! `SHA256SUMS.txt`: the list that `sha256sum -c` reads, and whose own digest is the root (PPK-4, PPK-15).

use contract::digest::Digest;

use super::codes::{Code, Fault, Reason};
use super::layout::{MEMBERS_MAX, SUMS};
use super::names;

/// One line: digest, two spaces, path, LF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// SHA-256 of the member.
    pub sha256: Digest,
    /// Its path.
    pub path: String,
}

/// Bytes before the path: 64 hex digits and two spaces.
const LEAD: usize = 66;

/// Reads a hash list. Grammar comes before anything is believed.
///
/// # Errors
/// `E_SUMS` with the offset of the line, or `E_LIMIT members`.
pub fn parse(bytes: &[u8]) -> Result<Vec<Line>, Fault> {
    let fault = |reason, offset: usize| Fault::new(Code::Sums, reason).at(SUMS).offset(offset as u64);
    if bytes.is_empty() {
        return Err(fault(Reason::Empty, 0));
    }
    let mut lines: Vec<Line> = Vec::new();
    let mut offset = 0;
    for raw in bytes.split_inclusive(|&byte| byte == b'\n') {
        let line = parse_line(raw).ok_or_else(|| fault(Reason::Grammar, offset))?;
        if lines.len() >= MEMBERS_MAX {
            return Err(Fault::new(Code::Limit, Reason::Members).at(SUMS).offset(offset as u64));
        }
        match lines.last().map(|last| last.path.as_str().cmp(&line.path)) {
            Some(std::cmp::Ordering::Equal) => return Err(fault(Reason::Duplicate, offset)),
            Some(std::cmp::Ordering::Greater) => return Err(fault(Reason::Order, offset)),
            Some(std::cmp::Ordering::Less) | None => lines.push(line),
        }
        offset += raw.len();
    }
    Ok(lines)
}

fn parse_line(raw: &[u8]) -> Option<Line> {
    let line = std::str::from_utf8(raw.strip_suffix(b"\n")?).ok()?;
    let (lead, path) = line.split_at_checked(LEAD)?;
    let sha256 = Digest::parse(lead.strip_suffix("  ")?)?;
    let path = names::check(path.as_bytes()).ok()?.to_owned();
    Some(Line { sha256, path })
}

/// Writes a hash list; `lines` are in ascending order.
#[must_use]
pub fn render(lines: &[Line]) -> Vec<u8> {
    lines.iter().flat_map(|line| format!("{}  {}\n", line.sha256, line.path).into_bytes()).collect()
}

/// The root: the SHA-256 of the hash list.
#[must_use]
pub fn root(list: &[u8]) -> Digest {
    Digest::of(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn reason(list: &str) -> Option<(Code, Reason)> {
        parse(list.as_bytes()).err().map(|fault| (fault.code, fault.reason))
    }

    #[test]
    fn ppk_4_row_25_grammar() {
        let good = format!("{A}  a\n{A}  b/c\n");
        assert_eq!(parse(good.as_bytes()).map(|lines| render(&lines)), Ok(good.clone().into_bytes()));
        let md5 = &A[..32];
        for bad in [
            format!("{md5}  a\n"),
            format!("{}  a\n", &A[..40]),
            format!("SHA1 (a) = {}\n", &A[..40]),
            format!("SHA256 (a) = {A}\n"),
            format!("{A} *a\n"),
            format!("{A} a\n"),
            format!("{A}   a\n"),
            format!("{A}\ta\n"),
            format!("\\{A}  a\n"),
            format!("{}  a\n", A.to_uppercase()),
            format!("{A}  a\r\n"),
            format!("\u{feff}{A}  a\n"),
            format!("{A}  a"),
            format!("{A}  a\n\n"),
            format!("\n{A}  a\n"),
            format!("{A}  \n"),
            format!("{A}  ../a\n"),
            format!("{A}  /a\n"),
            format!("{A}  a\0\n"),
            format!("{A}  caf\u{e9}\n"),
            format!("# {A}  a\n"),
            "a".repeat(65) + "\u{e9}a\n",
        ] {
            assert_eq!(reason(&bad), Some((Code::Sums, Reason::Grammar)), "{bad:?}");
        }
        assert_eq!(reason(&format!("{A}  b\n{A}  a\n")), Some((Code::Sums, Reason::Order)));
        assert_eq!(reason(&format!("{A}  a\n{A}  a\n")), Some((Code::Sums, Reason::Duplicate)));
        assert_eq!(reason(""), Some((Code::Sums, Reason::Empty)));
    }

    #[test]
    fn ppk_12_row_19_too_many_lines() {
        let list = |count: usize| (0..count).map(|index| format!("{A}  m{index:05}\n")).collect::<String>();
        assert_eq!(reason(&list(20_000)), None);
        assert_eq!(reason(&list(20_001)), Some((Code::Limit, Reason::Members)));
    }

    proptest! {
        #[test]
        fn ppk_4_what_parses_is_written_the_same(list in "([0-9a-f]{64}  [a-z]{1,3}\n){0,3}[0-9a-f]{0,64} {0,2}[a-z\n]{0,3}") {
            if let Ok(lines) = parse(list.as_bytes()) {
                prop_assert_eq!(render(&lines), list.into_bytes());
            }
        }
    }
}
