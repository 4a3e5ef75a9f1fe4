//! Ways to read the bytes of one file: as they are, with JSON escapes or percent signs decoded, as UTF-16.

use std::borrow::Cow;

use memchr::{memchr, memmem};

/// A decoded text and, for each position in it, where that came from.
pub(super) struct View<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// Escapes of source code may still be in it, so a backslash may not be a separator.
    pub(super) has_escapes: bool,
    kind: Kind,
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// What a reader of the file sees.
    Plain,
    /// Percent signs decoded; positions without a decoded byte were seen in the plain view already.
    Percent,
    /// Every second byte.
    Wide,
}

/// From `view` on, positions run along with `source` (by one, in a wide view by two), until the next piece.
#[derive(Clone, Copy)]
struct Piece {
    view: usize,
    source: usize,
    decoded: bool,
}

impl View<'_> {
    pub(super) fn is_plain(&self) -> bool {
        self.kind == Kind::Plain
    }

    /// Where position `at` (which may be the end) of the view lies in the file.
    pub(super) fn source(&self, at: usize) -> usize {
        let after = self.pieces.partition_point(|piece| piece.view <= at);
        let Some(piece) = after.checked_sub(1).and_then(|index| self.pieces.get(index)) else { return at };
        let step = match (piece.decoded, self.kind) {
            (true, _) => 0,
            (false, Kind::Wide) => 2,
            (false, _) => 1,
        };
        piece.source + (at - piece.view) * step
    }

    /// Whether decoding changed anything between two positions.
    pub(super) fn is_altered(&self, start: usize, end: usize) -> bool {
        let from = self.pieces.partition_point(|piece| piece.view < start);
        let inside = self.pieces.iter().skip(from).take_while(|piece| piece.view < end);
        self.kind == Kind::Wide || inside.into_iter().any(|piece| piece.decoded)
    }
}

/// All readings of a file that can hide a leak.
pub(super) fn views<'a>(path: &str, bytes: &'a [u8]) -> Vec<View<'a>> {
    let identity = |has_escapes| View { bytes: Cow::Borrowed(bytes), has_escapes, kind: Kind::Plain, pieces: vec![] };
    let mut views = Vec::new();
    if path.ends_with(".json") || path.ends_with(".jsonl") {
        views.push(json(bytes).unwrap_or_else(|| identity(false)));
    } else {
        views.push(identity(true));
        // JSON under another name (a tool's log): worth a second reading only if it hides separators.
        if memmem::find(bytes, b"\\/").is_some() || memmem::find(bytes, b"\\u00").is_some() {
            views.extend(json(bytes));
        }
    }
    let decoded = views.iter().filter_map(percent).collect::<Vec<_>>();
    views.extend(decoded);
    if memchr(0, bytes).is_some() {
        views.extend([(0, true), (0, false), (1, true), (1, false)].map(|(from, little)| wide(bytes, from, little)));
    }
    views
}

/// Collects decoded bytes with their sources.
struct Builder {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
}

impl Builder {
    fn new(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity), pieces: vec![Piece { view: 0, source: 0, decoded: false }] }
    }

    fn copied(&mut self, from: &[u8], source: usize) {
        self.pieces.push(Piece { view: self.bytes.len(), source, decoded: false });
        self.bytes.extend_from_slice(from);
    }

    fn decoded(&mut self, to: &[u8], source: usize) {
        self.pieces.push(Piece { view: self.bytes.len(), source, decoded: true });
        self.bytes.extend_from_slice(to);
    }
}

/// JSON escapes decoded, `None` if there are none. A backslash is legal only inside strings, so strings need not be
/// told from the rest; an escape that JSON does not know stays as it is.
fn json(bytes: &[u8]) -> Option<View<'_>> {
    memchr(b'\\', bytes)?;
    let mut out = Builder::new(bytes.len());
    let mut at = 0;
    while let Some(offset) = memchr(b'\\', bytes.get(at..).unwrap_or(&[])) {
        let escape = at + offset;
        out.copied(&bytes[at..escape], at);
        let mut utf8 = [0; 4];
        let (text, length): (&[u8], usize) = match bytes.get(escape + 1) {
            Some(b'n') => (b"\n", 2),
            Some(b'r') => (b"\r", 2),
            Some(b't') => (b"\t", 2),
            Some(b'b' | b'f') => (b" ", 2),
            Some(plain @ (b'"' | b'\\' | b'/')) => (std::slice::from_ref(plain), 2),
            Some(b'u') => match unicode(&bytes[escape..]) {
                Some((symbol, length)) => (symbol.encode_utf8(&mut utf8).as_bytes(), length),
                None => (b"\\", 1),
            },
            _ => (b"\\", 1),
        };
        out.decoded(text, escape);
        at = escape + length;
    }
    out.copied(bytes.get(at..).unwrap_or(&[]), at);
    Some(View { bytes: Cow::Owned(out.bytes), has_escapes: false, kind: Kind::Plain, pieces: out.pieces })
}

/// `\uXXXX`, or a pair of them, with its length in bytes; a lone surrogate becomes U+FFFD.
fn unicode(escape: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let hex = escape.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
    };
    let first = unit(0)?;
    let pair = char::decode_utf16([Some(first), unit(6)].into_iter().flatten()).next()?;
    match pair {
        Ok(symbol) => Some((symbol, if symbol.len_utf16() == 2 { 12 } else { 6 })),
        Err(_) => Some((char::REPLACEMENT_CHARACTER, 6)),
    }
}

/// Percent signs decoded once, `None` if none of them is an escape; positions lead to the file, not to the view it was made from.
fn percent(from: &View<'_>) -> Option<View<'static>> {
    let bytes: &[u8] = &from.bytes;
    memchr(b'%', bytes)?;
    let mut out = Builder::new(bytes.len());
    let mut at = 0;
    while let Some(offset) = memchr(b'%', bytes.get(at..).unwrap_or(&[])) {
        let sign = at + offset;
        copy_through(from, at, sign, &mut out);
        let hex = bytes.get(sign + 1..sign + 3).filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let byte = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match byte {
            Some(byte) => out.decoded(&[byte], from.source(sign)),
            None => out.copied(b"%", from.source(sign)),
        }
        at = sign + if byte.is_some() { 3 } else { 1 };
    }
    copy_through(from, at, bytes.len(), &mut out);
    // A percent sign in prose decodes nothing, and then this view is the one it was made from.
    out.pieces.iter().any(|piece| piece.decoded).then_some(())?;
    let View { has_escapes, .. } = *from;
    Some(View { bytes: Cow::Owned(out.bytes), has_escapes, kind: Kind::Percent, pieces: out.pieces })
}

/// Copies a stretch of a view piece by piece, so that positions stay exact across decoded escapes.
fn copy_through(from: &View<'_>, start: usize, end: usize, out: &mut Builder) {
    let mut at = start;
    let mut next = from.pieces.partition_point(|piece| piece.view <= start);
    while at < end {
        let until = from.pieces.get(next).map_or(end, |piece| piece.view.min(end));
        if until > at {
            out.copied(&from.bytes[at..until], from.source(at));
            at = until;
        }
        next += 1;
    }
}

/// Scripts in use outside ASCII below this; above it, ASCII text read in the wrong byte order looks like ideographs.
const WIDE_LETTER_MAX: u16 = 0x3000;

/// ASCII of a UTF-16 text, other letters as one byte that no rule knows, everything else as NUL.
fn wide(bytes: &[u8], from: usize, little: bool) -> View<'_> {
    let has_mark = |mark: [u8; 2]| bytes.starts_with(&mark);
    let is_marked = from == 0 && has_mark(if little { [0xff, 0xfe] } else { [0xfe, 0xff] });
    let mut out = Vec::with_capacity(bytes.len() / 2);
    for pair in bytes.get(from..).unwrap_or(&[]).chunks_exact(2) {
        let unit = if little { u16::from_le_bytes([pair[0], pair[1]]) } else { u16::from_be_bytes([pair[0], pair[1]]) };
        out.push(match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => byte,
            _ if is_marked || unit < WIDE_LETTER_MAX => 0xff,
            _ => 0,
        });
    }
    // A letter's place is that of its visible byte, so both byte orders give one place to one letter.
    let pieces = vec![Piece { view: 0, source: from + usize::from(!little), decoded: false }];
    View { bytes: Cow::Owned(out), has_escapes: false, kind: Kind::Wide, pieces }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_lead_back_to_the_file() {
        let text = br#"a\u002fb\\%2Fc"#;
        let view = json(text).expect("has escapes");
        assert_eq!(&*view.bytes, b"a/b\\%2Fc");
        assert_eq!([0, 1, 2, 3, 4, 8].map(|at| view.source(at)), [0, 1, 7, 8, 10, 14]);
        let view = percent(&view).expect("has a percent sign");
        assert_eq!(&*view.bytes, b"a/b\\/c");
        assert_eq!([0, 1, 2, 3, 4, 5, 6].map(|at| view.source(at)), [0, 1, 7, 8, 10, 13, 14]);
        assert!(view.is_altered(4, 5) && !view.is_altered(0, 4));
    }

    #[test]
    fn odd_escapes_stay() {
        for (text, decoded) in [
            (r"\x \u00g0 \", r"\x \u00g0 \"),
            (r"\ud83d\ude00", "\u{1f600}"),
            (r"\ud83dx", "\u{fffd}x"),
            (r"\ud83d\u0041", "\u{fffd}A"),
        ] {
            assert_eq!(json(text.as_bytes()).expect("has a backslash").bytes.as_ref(), decoded.as_bytes(), "{text}");
        }
    }
}
