//! Keys of providers: from the environment only, shown to nobody (SCR-23).

use std::fmt;

/// A key. It has no `Display`, and `Debug` does not show it.
#[derive(Clone)]
pub struct Secret(String);

/// What stands where a key stood.
const MASK: &str = "<key>";

impl Secret {
    /// Reads a key from the environment.
    ///
    /// # Errors
    /// A sentence that names the variable when it is absent, empty, or holds what no header can carry.
    pub fn from_env(variable: &str) -> Result<Self, String> {
        let text = std::env::var(variable).map_err(|_| format!("set {variable} to the provider's key"))?;
        Self::new(text.trim()).ok_or_else(|| format!("{variable} holds no usable key: printable ASCII is expected"))
    }

    /// Wraps a key; `None` when no header could carry it.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let usable = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        usable.then(|| Self(text.to_owned()))
    }

    /// The key itself, for the header of a request and for nothing else.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// Takes the key out of what a server or program said: some put it into their error messages.
    pub(super) fn redact(&self, bytes: Vec<u8>) -> Vec<u8> {
        let key = self.0.as_bytes();
        if !bytes.windows(key.len()).any(|window| window == key) {
            return bytes;
        }
        let mut out = Vec::with_capacity(bytes.len());
        let mut rest = bytes.as_slice();
        while let Some(byte) = rest.first() {
            if rest.starts_with(key) {
                out.extend_from_slice(MASK.as_bytes());
                rest = &rest[key.len()..];
            } else {
                out.push(*byte);
                rest = &rest[1..];
            }
        }
        out
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_out_wherever_it_stands() {
        let key = Secret::new("sk-canary").expect("printable");
        let redacted = key.redact(b"sk-canary: no, sk-sk-canarysk-canar".to_vec());
        assert_eq!(String::from_utf8_lossy(&redacted), "<key>: no, sk-<key>sk-canar");
        assert_eq!(key.redact(b"nothing".to_vec()), b"nothing");
        assert_eq!(format!("{key:?}"), "Secret(…)");
        for bad in ["", "two words", "line\n", "schlüssel"] {
            assert!(Secret::new(bad).is_none(), "{bad:?}");
        }
    }
}
