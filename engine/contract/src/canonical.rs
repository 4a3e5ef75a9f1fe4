//! Strict JSON in, canonical JSON out: one value has one spelling, and a damaged file is never half read.
//!
//! Canonical means RFC 8785 for digests (sorted keys, shortest numbers, no white space) and, for files that people
//! read, the same order with indent 2, LF and a final newline.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, Serialize};
use serde_json::{Map, Number, Value};

use crate::digest::Digest;

/// The largest integer that every JSON reader keeps exactly: 2^53 - 1.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// What is wrong with a document, and where (RFC 6901 pointer; empty for the whole document).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What, as a fragment that reads after the pointer.
    pub reason: String,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "document" } else { &self.pointer };
        write!(f, "{place}: {}", self.reason)
    }
}

impl std::error::Error for JsonError {}

/// How large and deep a document may be. Sizes are in bytes; a scalar at the top has depth 0.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Whole document.
    pub document_bytes: usize,
    /// One string, keys included.
    pub string_bytes: usize,
    /// Nested arrays and objects.
    pub depth: usize,
}

impl Limits {
    /// For evidence and policy: generous, but never unbounded.
    pub const EVIDENCE: Self = Self { document_bytes: 1 << 28, string_bytes: 1 << 24, depth: 100 };
}

/// Parses one strict JSON document: no duplicate keys, no integers beyond 2^53, no lone surrogates, nothing after it.
///
/// # Errors
/// The first problem, with the pointer to it.
pub fn parse(bytes: &[u8], limits: Limits) -> Result<Value, JsonError> {
    let whole = |reason: String| JsonError { pointer: String::new(), reason };
    if bytes.len() > limits.document_bytes {
        return Err(whole(format!("{} bytes are over the limit of {}", bytes.len(), limits.document_bytes)));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(whole("starts with a byte order mark".into()));
    }
    let text =
        std::str::from_utf8(bytes).map_err(|error| whole(format!("is not UTF-8 at byte {}", error.valid_up_to())))?;
    let mut fault = None;
    let mut reader = serde_json::Deserializer::from_str(text);
    let seed = Strict { pointer: String::new(), depth: 0, limits, fault: &mut fault };
    let parsed = seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    parsed.map_err(|error| fault.unwrap_or_else(|| whole(error.to_string())))
}

/// Parses with the limits of evidence and policy.
///
/// # Errors
/// As [`parse`].
pub fn parse_evidence(bytes: &[u8]) -> Result<Value, JsonError> {
    parse(bytes, Limits::EVIDENCE)
}

/// RFC 8785 bytes of any value, without a final newline.
///
/// # Errors
/// With the pointer, when the value holds a non-finite number or an integer beyond 2^53.
pub fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>, JsonError> {
    let value = to_value(value)?;
    serde_json_canonicalizer::to_vec(&value)
        .map_err(|error| JsonError { pointer: String::new(), reason: error.to_string() })
}

/// The same order and numbers as [`to_bytes`], for people: indent 2, LF, final newline.
///
/// # Errors
/// As [`to_bytes`].
pub fn to_pretty(value: &impl Serialize) -> Result<Vec<u8>, JsonError> {
    // The canonical text fixes key order and number spelling; re-reading it keeps both.
    let canonical = to_bytes(value)?;
    let mut out = Vec::with_capacity(canonical.len() * 2);
    indent(&canonical, &mut out);
    out.push(b'\n');
    Ok(out)
}

/// SHA-256 of the canonical bytes.
///
/// # Errors
/// As [`to_bytes`].
pub fn digest(value: &impl Serialize) -> Result<Digest, JsonError> {
    to_bytes(value).map(|bytes| Digest::of(&bytes))
}

/// Turns any serialisable value into a JSON value that has a canonical form.
///
/// # Errors
/// With the pointer, when the value holds a non-finite number or an integer beyond 2^53.
pub fn to_value(value: &impl Serialize) -> Result<Value, JsonError> {
    value.serialize(crate::finite::Finite)
}

/// One step further into a document; `~` and `/` are escaped as RFC 6901 says.
#[must_use]
pub fn pointer_push(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Refuses numbers that do not survive every JSON reader.
pub(crate) fn check_number(number: &Number) -> Result<(), String> {
    let too_large = match (number.as_u64(), number.as_i64()) {
        (Some(n), _) => n > MAX_SAFE_INTEGER,
        (None, Some(n)) => n.unsigned_abs() > MAX_SAFE_INTEGER,
        // An integer token too long for u64 is read as a float; beyond 2^53 no float is trusted as an integer.
        (None, None) => number.as_f64().is_none_or(|n| !n.is_finite()),
    };
    if too_large { Err(format!("{number} is beyond 2^53 or not finite")) } else { Ok(()) }
}

struct Strict<'a> {
    pointer: String,
    depth: usize,
    limits: Limits,
    /// The typed error: serde_json's own error type could only carry text.
    fault: &'a mut Option<JsonError>,
}

impl Strict<'_> {
    fn fail<E: serde::de::Error>(&mut self, pointer: String, reason: impl Into<String>) -> E {
        let error = JsonError { pointer, reason: reason.into() };
        let text = error.to_string();
        *self.fault = Some(error);
        E::custom(text)
    }

    fn child(&mut self, key: &str) -> Strict<'_> {
        let pointer = pointer_push(&self.pointer, key);
        Strict { pointer, depth: self.depth + 1, limits: self.limits, fault: self.fault }
    }

    fn text<E: serde::de::Error>(&mut self, text: &str) -> Result<(), E> {
        if text.len() > self.limits.string_bytes {
            let reason = format!("a string of {} bytes is over the limit of {}", text.len(), self.limits.string_bytes);
            return Err(self.fail(self.pointer.clone(), reason));
        }
        Ok(())
    }

    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.depth >= self.limits.depth {
            let reason = format!("nested deeper than {}", self.limits.depth);
            return Err(self.fail(self.pointer.clone(), reason));
        }
        Ok(())
    }

    fn number<E: serde::de::Error>(&mut self, number: Number) -> Result<Value, E> {
        match check_number(&number) {
            Ok(()) => Ok(Value::Number(number)),
            Err(reason) => Err(self.fail(self.pointer.clone(), reason)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strict JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(mut self, value: u64) -> Result<Value, E> {
        self.number(value.into())
    }

    fn visit_i64<E: serde::de::Error>(mut self, value: i64) -> Result<Value, E> {
        self.number(value.into())
    }

    fn visit_f64<E: serde::de::Error>(mut self, value: f64) -> Result<Value, E> {
        match Number::from_f64(value) {
            Some(number) => self.number(number),
            None => Err(self.fail(self.pointer.clone(), "is not a finite number")),
        }
    }

    fn visit_str<E: serde::de::Error>(mut self, value: &str) -> Result<Value, E> {
        self.text(value)?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut out = Vec::new();
        loop {
            let child = self.child(&out.len().to_string());
            match items.next_element_seed(child)? {
                Some(value) => out.push(value),
                None => return Ok(Value::Array(out)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut out = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.text::<A::Error>(&key)?;
            if out.contains_key(&key) {
                let pointer = pointer_push(&self.pointer, &key);
                self.fail::<A::Error>(pointer, "duplicate key");
                return Err(A::Error::custom("duplicate key"));
            }
            let value = entries.next_value_seed(self.child(&key))?;
            out.insert(key, value);
        }
        Ok(Value::Object(out))
    }
}

/// Lays canonical bytes out over lines; strings pass through untouched.
fn indent(canonical: &[u8], out: &mut Vec<u8>) {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    let new_line = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b' ', depth * 2));
    };
    for (at, &byte) in canonical.iter().enumerate() {
        if in_string {
            out.push(byte);
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'{' | b'[' => {
                out.push(byte);
                let empty = matches!(canonical.get(at + 1), Some(b'}' | b']'));
                if !empty {
                    depth += 1;
                    new_line(out, depth);
                }
            }
            b'}' | b']' => {
                let empty = at > 0 && matches!(canonical.get(at - 1), Some(b'{' | b'['));
                if !empty {
                    depth -= 1;
                    new_line(out, depth);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                new_line(out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            _ => {
                in_string = byte == b'"';
                out.push(byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn refused(text: &str) -> JsonError {
        parse_evidence(text.as_bytes()).expect_err(text)
    }

    #[test]
    fn refuses_with_the_place() {
        for (text, pointer) in [
            (r#"{"a":{"b":1,"b":2}}"#, "/a/b"),
            (r#"{"a":[0,9007199254740992]}"#, "/a/1"),
            (r#"{"a/b":{"c~d":-9007199254740992}}"#, "/a~1b/c~0d"),
            (r#"{"a":1e999}"#, ""),
            (r#"{"a":NaN}"#, ""),
            (r#"{"a":"\ud800"}"#, ""),
            ("{} {}", ""),
            ("\u{feff}{}", ""),
            ("", ""),
        ] {
            assert_eq!(refused(text).pointer, pointer, "{text}");
        }
    }

    #[test]
    fn limits_are_exact() {
        let limits = Limits { document_bytes: 12, string_bytes: 3, depth: 2 };
        assert!(parse(br#"[["abc"]]"#, limits).is_ok());
        assert_eq!(parse(br#"["abcd"]"#, limits).expect_err("long string").pointer, "/0");
        assert_eq!(parse(b"[[[0]]]", limits).expect_err("deep").pointer, "/0/0");
        assert!(parse(br#"["ab","cd" ]  "#, limits).is_err(), "over 12 bytes");
    }

    #[test]
    fn canonical_and_pretty() {
        let value = json!({"b": [1.0, 1e21, {}], "a": "x:{,\"", "é": []});
        let bytes = to_bytes(&value).expect("finite");
        assert_eq!(String::from_utf8_lossy(&bytes), r#"{"a":"x:{,\"","b":[1,1e+21,{}],"é":[]}"#);
        let pretty = to_pretty(&value).expect("finite");
        assert_eq!(
            String::from_utf8_lossy(&pretty),
            "{\n  \"a\": \"x:{,\\\"\",\n  \"b\": [\n    1,\n    1e+21,\n    {}\n  ],\n  \"é\": []\n}\n"
        );
    }

    #[test]
    fn non_finite_is_refused_with_its_path() {
        #[derive(Serialize)]
        struct Row {
            scores: Vec<f64>,
        }
        let error = to_bytes(&Row { scores: vec![0.5, f64::NAN] }).expect_err("NaN");
        assert_eq!(error.pointer, "/scores/1");
        assert_eq!(to_bytes(&u64::MAX).expect_err("too large").pointer, "");
    }

    proptest! {
        #[test]
        fn writing_and_reading_is_the_identity(keys in proptest::collection::btree_map(".*", any::<i32>(), 0..8), text in ".*", x in -1e300..1e300f64) {
            let value = json!({"keys": keys, "text": text, "x": x});
            let bytes = to_bytes(&value).expect("finite");
            let again = parse_evidence(&bytes).expect("canonical bytes are strict JSON");
            prop_assert_eq!(to_bytes(&again).expect("finite"), bytes.clone());
            let pretty = to_pretty(&value).expect("finite");
            prop_assert_eq!(to_bytes(&parse_evidence(&pretty).expect("strict")).expect("finite"), bytes);
        }
    }
}
