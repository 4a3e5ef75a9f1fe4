//! One pass over strict JSON that writes it again with sorted keys, no spaces and number tokens unchanged.
//!
//! Both canonical members (PPK-3) and normalised evidence (PPK-13) are defined by "decode and encode again". A value
//! tree would lose number tokens and cost most of a verify run, so the encoder copies from the text, and moves bytes
//! only where keys were out of order or a member is left out.

use std::ops::Range;

/// What is wrong, and at which byte of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonFault {
    /// Byte offset in the document.
    pub offset: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl std::fmt::Display for JsonFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}", self.what, self.offset)
    }
}

/// Which documents are accepted.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Most nested arrays and objects; a scalar at the top has depth 0.
    pub depth: usize,
    /// Only printable ASCII in strings and only integers up to 2^53 - 1 (PPK-3).
    pub canonical: bool,
}

/// Evidence and policy: any strict JSON.
pub const STRICT: Rules = Rules { depth: 100, canonical: false };
/// Members that must be canonical.
pub const CANONICAL: Rules = Rules { depth: 16, canonical: true };

/// The largest integer of a canonical document, 2^53 - 1, as its digits.
const INTEGER_MAX: &[u8] = b"9007199254740991";

/// The encoder; reused from row to row so that a row costs no allocation.
#[derive(Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
    /// Decoded keys of the objects that are open.
    keys: Vec<u8>,
    members: Vec<Member>,
    spare: Vec<u8>,
    schema: Option<String>,
}

#[derive(Clone, Debug)]
struct Member {
    key: Range<usize>,
    /// Where `"key":value` lies in the output; empty when it was left out.
    text: Range<usize>,
}

impl Encoder {
    /// Encodes one document without the members named in `leave_out`, at any depth; no line end is added.
    ///
    /// # Errors
    /// The first byte that is not strict JSON, is a duplicate key, or breaks `rules`.
    pub fn encode(&mut self, text: &[u8], rules: Rules, leave_out: &[&str]) -> Result<&[u8], JsonFault> {
        if let Err(error) = std::str::from_utf8(text) {
            return Err(JsonFault { offset: error.valid_up_to(), what: "not UTF-8" });
        }
        self.out.clear();
        self.keys.clear();
        self.members.clear();
        self.schema = None;
        let mut pass = Pass { text, at: 0, depth: 0, rules, leave_out, to: self };
        pass.value()?;
        pass.space();
        if pass.at < text.len() {
            return Err(pass.fault("bytes after the document"));
        }
        Ok(&self.out)
    }

    /// The document last encoded, once more.
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        &self.out
    }

    /// The text member `schema` at the top of the document last encoded.
    #[must_use]
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }
}

/// The canonical form of a document with its final LF, or why it has none.
///
/// # Errors
/// The first byte that breaks PPK-3.
pub fn canonical(text: &[u8]) -> Result<Vec<u8>, JsonFault> {
    let mut encoder = Encoder::default();
    encoder.encode(text, CANONICAL, &[])?;
    let mut out = encoder.out;
    out.push(b'\n');
    Ok(out)
}

/// Whether `text` is canonical byte for byte.
///
/// # Errors
/// The first byte that breaks PPK-3, or that the canonical form has otherwise.
pub fn check_canonical(text: &[u8]) -> Result<(), JsonFault> {
    let canonical = canonical(text)?;
    if canonical == text {
        return Ok(());
    }
    let offset = canonical.iter().zip(text).take_while(|(a, b)| a == b).count();
    Err(JsonFault { offset, what: "not the canonical spelling" })
}

/// One pass over one document.
struct Pass<'t, 'e> {
    text: &'t [u8],
    at: usize,
    depth: usize,
    rules: Rules,
    leave_out: &'e [&'e str],
    to: &'e mut Encoder,
}

impl Pass<'_, '_> {
    fn fault(&self, what: &'static str) -> JsonFault {
        JsonFault { offset: self.at, what }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8, what: &'static str) -> Result<(), JsonFault> {
        if self.peek() != Some(byte) {
            return Err(self.fault(what));
        }
        self.at += 1;
        self.to.out.push(byte);
        Ok(())
    }

    fn value(&mut self) -> Result<(), JsonFault> {
        self.space();
        match self.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => Err(self.fault("no JSON value")),
        }
    }

    fn word(&mut self, word: &'static [u8]) -> Result<(), JsonFault> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(self.fault("no JSON value"));
        }
        self.at += word.len();
        self.to.out.extend_from_slice(word);
        Ok(())
    }

    fn enter(&mut self) -> Result<(), JsonFault> {
        if self.depth >= self.rules.depth {
            return Err(self.fault("nested too deep"));
        }
        self.depth += 1;
        Ok(())
    }

    fn array(&mut self) -> Result<(), JsonFault> {
        self.enter()?;
        self.eat(b'[', "no array")?;
        self.space();
        if self.peek() != Some(b']') {
            loop {
                self.value()?;
                self.space();
                if self.peek() != Some(b',') {
                    break;
                }
                self.eat(b',', "no comma")?;
            }
        }
        self.depth -= 1;
        self.eat(b']', "no comma or end of array")
    }

    fn object(&mut self) -> Result<(), JsonFault> {
        self.enter()?;
        self.eat(b'{', "no object")?;
        let (first_member, first_key, body) = (self.to.members.len(), self.to.keys.len(), self.to.out.len());
        self.space();
        if self.peek() != Some(b'}') {
            loop {
                self.member(body)?;
                self.space();
                if self.peek() != Some(b',') {
                    break;
                }
                self.at += 1;
            }
        }
        self.to.sort(first_member, body).map_err(|()| self.fault("duplicate key in the object that ends here"))?;
        self.to.members.truncate(first_member);
        self.to.keys.truncate(first_key);
        self.depth -= 1;
        self.eat(b'}', "no comma or end of object")
    }

    fn member(&mut self, body: usize) -> Result<(), JsonFault> {
        self.space();
        let before = self.to.out.len();
        if before > body {
            self.to.out.push(b',');
        }
        let start = self.to.out.len();
        if self.peek() != Some(b'"') {
            return Err(self.fault("no key"));
        }
        let key = self.key()?;
        self.space();
        self.eat(b':', "no colon")?;
        self.space();
        let (value, opened) = (self.to.out.len(), self.peek());
        self.value()?;
        let name = self.to.keys.get(key.clone()).unwrap_or(&[]);
        if self.depth == 1 && name == b"schema" && opened == Some(b'"') {
            // A schema name with an escape in it matches no known one, so the encoded text will do.
            let text = self.to.out.get(value + 1..self.to.out.len() - 1).unwrap_or(&[]);
            self.to.schema = std::str::from_utf8(text).ok().map(str::to_owned);
        }
        let left_out = self.leave_out.iter().any(|gone| gone.as_bytes() == name);
        if left_out {
            self.to.out.truncate(before);
        }
        let text = if left_out { before..before } else { start..self.to.out.len() };
        self.to.members.push(Member { key, text });
        Ok(())
    }

    /// A string as a key: encoded to the output, decoded to the list of keys.
    fn key(&mut self) -> Result<Range<usize>, JsonFault> {
        let (from, to) = (self.at + 1, self.to.out.len() + 1);
        self.string()?;
        let start = self.to.keys.len();
        let raw = self.text.get(from..self.at - 1).unwrap_or(&[]);
        if raw.contains(&b'\\') {
            let encoded = self.to.out.get(to..self.to.out.len() - 1).unwrap_or(&[]).to_vec();
            decode_own(&encoded, &mut self.to.keys);
        } else {
            self.to.keys.extend_from_slice(raw);
        }
        Ok(start..self.to.keys.len())
    }

    fn string(&mut self) -> Result<(), JsonFault> {
        self.eat(b'"', "no string")?;
        loop {
            let plain = self.text.get(self.at..).unwrap_or(&[]);
            let length = plain.iter().take_while(|&&byte| is_plain(byte)).count();
            self.to.out.extend_from_slice(plain.get(..length).unwrap_or(&[]));
            self.at += length;
            match self.peek() {
                Some(b'"') => return self.eat(b'"', "no string"),
                Some(b'\\') => self.escape()?,
                Some(0x7f..) if !self.rules.canonical => {
                    let rest = self.text.get(self.at..).unwrap_or(&[]);
                    let length = rest.iter().take_while(|&&byte| byte >= 0x7f).count();
                    self.to.out.extend_from_slice(rest.get(..length).unwrap_or(&[]));
                    self.at += length;
                }
                Some(0x7f..) => return Err(self.fault("not printable ASCII")),
                Some(_) => return Err(self.fault("control character in a string")),
                None => return Err(self.fault("string without end")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonFault> {
        let letter = self.text.get(self.at + 1).copied();
        let decoded = match letter {
            Some(b'"' | b'\\' | b'/') => letter.map_or('/', char::from),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.fault("unknown escape")),
        };
        self.put(decoded)?;
        self.at += 2;
        Ok(())
    }

    fn unicode_escape(&mut self) -> Result<(), JsonFault> {
        let high = self.hex_unit(self.at).ok_or(self.fault("escape without four hex digits"))?;
        let (code, length) = match high {
            0xd800..=0xdbff => match self.hex_unit(self.at + 6) {
                Some(low @ 0xdc00..=0xdfff) => (0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00), 12),
                _ => return Err(self.fault("lone surrogate")),
            },
            _ => (high, 6),
        };
        let decoded = char::from_u32(code).ok_or(self.fault("lone surrogate"))?;
        self.put(decoded)?;
        self.at += length;
        Ok(())
    }

    /// The four hex digits of `\uXXXX` at `at`.
    fn hex_unit(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
    }

    /// Writes a decoded character the one way it is spelled in a string.
    fn put(&mut self, decoded: char) -> Result<(), JsonFault> {
        if self.rules.canonical && !(' '..='~').contains(&decoded) {
            return Err(self.fault("not printable ASCII"));
        }
        let short = match decoded {
            '"' | '\\' => decoded,
            '\u{8}' => 'b',
            '\u{c}' => 'f',
            '\n' => 'n',
            '\r' => 'r',
            '\t' => 't',
            '\0'..='\u{1f}' => {
                self.to.out.extend_from_slice(format!("\\u{:04x}", u32::from(decoded)).as_bytes());
                return Ok(());
            }
            _ => {
                self.to.out.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
        };
        self.to.out.push(b'\\');
        self.to.out.extend_from_slice(short.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonFault> {
        let start = self.at;
        let digits_at = start + usize::from(self.peek() == Some(b'-'));
        self.at = digits_at;
        let text = self.text;
        self.digits()?;
        let whole = text.get(digits_at..self.at).unwrap_or(&[]);
        if whole.len() > 1 && whole.starts_with(b"0") {
            return Err(self.fault("number with a leading zero"));
        }
        let whole_end = self.at;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        if self.rules.canonical {
            let too_large = whole.len() > INTEGER_MAX.len() || whole.len() == INTEGER_MAX.len() && whole > INTEGER_MAX;
            if self.at > whole_end || too_large || digits_at > start && whole == b"0" {
                return Err(self.fault("not an integer up to 2^53 - 1"));
            }
        }
        self.to.out.extend_from_slice(self.text.get(start..self.at).unwrap_or(&[]));
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonFault> {
        let rest = self.text.get(self.at..).unwrap_or(&[]);
        let length = rest.iter().take_while(|digit| digit.is_ascii_digit()).count();
        if length == 0 {
            return Err(self.fault("number without digits"));
        }
        self.at += length;
        Ok(())
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\'
}

/// Decodes a string that [`Pass::put`] has written.
fn decode_own(encoded: &[u8], to: &mut Vec<u8>) {
    let mut bytes = encoded.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            to.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'b') => to.push(8),
            Some(b'f') => to.push(12),
            Some(b'n') => to.push(b'\n'),
            Some(b'r') => to.push(b'\r'),
            Some(b't') => to.push(b'\t'),
            // Only controls below 0x20 are written as \u00xx.
            Some(b'u') => {
                let digits = bytes.by_ref().take(4);
                to.push(digits.fold(0, |unit, digit| unit << 4 | hex_value(digit)));
            }
            Some(byte) => to.push(byte),
            None => {}
        }
    }
}

fn hex_value(digit: u8) -> u8 {
    if digit.is_ascii_digit() { digit - b'0' } else { digit.wrapping_sub(b'a').wrapping_add(10) }
}

impl Encoder {
    /// Puts the members from `first` on into byte order of their keys; the object's content starts at `body`.
    fn sort(&mut self, first: usize, body: usize) -> Result<(), ()> {
        let keys = &self.keys;
        let key = |member: &Member| keys.get(member.key.clone()).unwrap_or(&[]);
        let Some(members) = self.members.get_mut(first..) else { return Ok(()) };
        if members.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])) {
            return Ok(());
        }
        members.sort_by(|a, b| key(a).cmp(key(b)));
        if members.windows(2).any(|pair| key(&pair[0]) == key(&pair[1])) {
            return Err(());
        }
        self.spare.clear();
        for member in members.iter().filter(|member| !member.text.is_empty()) {
            if !self.spare.is_empty() {
                self.spare.push(b',');
            }
            self.spare.extend_from_slice(self.out.get(member.text.clone()).unwrap_or(&[]));
        }
        self.out.truncate(body);
        self.out.extend_from_slice(&self.spare);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
