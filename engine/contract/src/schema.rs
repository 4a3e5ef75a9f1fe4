//! A small schema language for policy files: one table says what every leaf is, in which range, and which way is looser.

use serde_json::Value;

use crate::canonical::pointer_push;
use crate::money::MicroUsd;

/// What a value must be.
#[derive(Debug)]
pub enum Kind {
    /// An integer in the closed range.
    Int(u64, u64),
    /// A finite number in the closed range.
    Real(f64, f64),
    /// Dollars with at most six decimals.
    Usd,
    /// Non-empty text.
    Text,
    /// An RFC 3339 time in whole seconds UTC, such as `2026-01-01T00:00:00Z`.
    Time,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Each item is one of these words; at least one.
    Words(&'static [&'static str]),
    /// Any number of texts.
    Texts,
    /// An object with exactly these fields.
    Object(&'static [Field]),
    /// An object with any non-empty names, every value of one kind.
    Map(&'static Kind),
}

/// One field of an object.
#[derive(Debug)]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Which way the value is looser (leaves only).
    pub looser: Looser,
    /// Whether it may be absent. A present null is refused all the same.
    pub optional: bool,
}

/// Which change of a leaf makes a rule easier to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looser {
    /// A higher value is looser: an upper limit.
    Higher,
    /// A lower value is looser: a lower limit.
    Lower,
    /// Any change is looser: something that defines what is measured.
    AnyChange,
    /// A smaller sample than the profile's is looser.
    SmallerSize,
    /// No rule becomes easier.
    Neither,
}

/// One thing that is wrong with a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What, with the stable words `CALIBRATION_NULL` in front for a null.
    pub reason: String,
}

impl std::fmt::Display for PolicyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.reason == NULL {
            write!(f, "{NULL}: {}", self.pointer)
        } else {
            write!(f, "{}: {}", if self.pointer.is_empty() { "document" } else { &self.pointer }, self.reason)
        }
    }
}

/// The word for a null in a policy file.
pub const NULL: &str = "CALIBRATION_NULL";

impl Field {
    /// A required field.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind, looser: Looser) -> Self {
        Self { name, kind, looser, optional: false }
    }

    /// A field that may be absent.
    #[must_use]
    pub const fn optional(name: &'static str, kind: Kind, looser: Looser) -> Self {
        Self { name, kind, looser, optional: true }
    }
}

impl Kind {
    /// Everything that is wrong with `value`, in document order.
    #[must_use]
    pub fn check(&self, value: &Value) -> Vec<PolicyError> {
        let mut errors = Vec::new();
        self.walk(value, "", &mut errors);
        errors
    }

    /// The kind and looser direction of the leaf that `path` leads to; `Err` names the nearest valid name.
    ///
    /// # Errors
    /// A sentence that names the first unknown step and what is valid there.
    pub fn find(&'static self, path: &[&str]) -> Result<(&'static Self, Looser), String> {
        let mut kind = self;
        let mut looser = Looser::Neither;
        for (depth, name) in path.iter().enumerate() {
            match kind {
                Self::Object(fields) => match fields.iter().find(|field| field.name == *name) {
                    Some(field) => (kind, looser) = (&field.kind, field.looser),
                    None => return Err(unknown(name, fields)),
                },
                Self::Map(inner) => kind = inner,
                _ => return Err(format!("`{}` has nothing inside it", path.get(..depth).unwrap_or(&[]).join("."))),
            }
        }
        Ok((kind, looser))
    }

    /// Whether a value of this kind is replaced as a whole when layers are laid over each other.
    #[must_use]
    pub fn is_leaf(&self) -> bool {
        !matches!(self, Self::Object(_) | Self::Map(_))
    }

    fn walk(&self, value: &Value, pointer: &str, errors: &mut Vec<PolicyError>) {
        let mut fail = |reason: String| errors.push(PolicyError { pointer: pointer.to_owned(), reason });
        match (self, value) {
            (_, Value::Null) => fail(NULL.into()),
            (Self::Int(min, max), _) => match value.as_u64() {
                Some(n) if (min..=max).contains(&&n) => {}
                _ => fail(format!("{value} is no integer from {min} to {max}")),
            },
            (Self::Real(min, max), _) => match value.as_f64() {
                Some(n) if n.is_finite() && (*min..=*max).contains(&n) => {}
                _ => fail(format!("{value} is no number from {min} to {max}")),
            },
            (Self::Usd, _) => {
                if value.as_f64().and_then(MicroUsd::from_usd).is_none() {
                    fail(format!("{value} is no amount in dollars with at most six decimals"));
                }
            }
            (Self::Text, _) => {
                if value.as_str().is_none_or(str::is_empty) {
                    fail(format!("{value} is no non-empty text"));
                }
            }
            (Self::Time, _) => {
                if value.as_str().and_then(parse_utc_seconds).is_none() {
                    fail(format!("{value} is no time such as 2026-01-01T00:00:00Z"));
                }
            }
            (Self::Word(words), _) => {
                if value.as_str().is_none_or(|word| !words.contains(&word)) {
                    fail(format!("{value} is none of {}", words.join(", ")));
                }
            }
            (Self::Words(words), Value::Array(items)) => {
                if items.is_empty() {
                    fail("the list is empty".into());
                }
                for (index, item) in items.iter().enumerate() {
                    Self::Word(words).walk(item, &pointer_push(pointer, &index.to_string()), errors);
                }
            }
            (Self::Texts, Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    Self::Text.walk(item, &pointer_push(pointer, &index.to_string()), errors);
                }
            }
            (Self::Object(fields), Value::Object(entries)) => {
                for (name, inner) in entries {
                    match fields.iter().find(|field| field.name == name) {
                        Some(field) => field.kind.walk(inner, &pointer_push(pointer, name), errors),
                        None => errors
                            .push(PolicyError { pointer: pointer_push(pointer, name), reason: unknown(name, fields) }),
                    }
                }
                for field in fields.iter().filter(|field| !field.optional && !entries.contains_key(field.name)) {
                    errors
                        .push(PolicyError { pointer: pointer_push(pointer, field.name), reason: "is missing".into() });
                }
            }
            (Self::Map(inner), Value::Object(entries)) => {
                for (name, value) in entries {
                    if name.is_empty() {
                        errors.push(PolicyError {
                            pointer: pointer_push(pointer, name),
                            reason: "the name is empty".into(),
                        });
                    }
                    inner.walk(value, &pointer_push(pointer, name), errors);
                }
            }
            (Self::Words(_) | Self::Texts, _) => fail(format!("{value} is no list")),
            (Self::Object(_) | Self::Map(_), _) => fail(format!("{value} is no object")),
        }
    }
}

/// Seconds since 1970 of `YYYY-MM-DDTHH:MM:SSZ`; `None` for anything else, impossible dates included.
#[must_use]
pub fn parse_utc_seconds(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let shape = bytes.len() == 20
        && bytes.iter().zip(b"0000-00-00T00:00:00Z").all(|(byte, like)| match like {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        });
    if !shape {
        return None;
    }
    let part = |from: usize, to: usize| text.get(from..to).and_then(|digits| digits.parse::<u64>().ok());
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days_in = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let in_month = *days_in.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    if year < 1970 || day == 0 || day > in_month || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let before = |year: u64| (1970..year).map(|y| 365 + u64::from(leap(y))).sum::<u64>();
    let days = before(year) + days_in.iter().take(usize::try_from(month - 1).ok()?).sum::<u64>() + day - 1;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// The nearest of `names` to what was typed, for "did you mean".
#[must_use]
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names.into_iter().min_by_key(|name| distance(&typed.to_ascii_lowercase(), &name.to_ascii_lowercase()))
}

fn unknown(name: &str, fields: &[Field]) -> String {
    match nearest(name, fields.iter().map(|field| field.name)) {
        Some(near) => format!("unknown key `{name}`; the nearest valid name is `{near}`"),
        None => format!("unknown key `{name}`"),
    }
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replace = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(parse_utc_seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_utc_seconds("2026-01-01T00:00:00Z"), Some(1_767_225_600));
        assert_eq!(parse_utc_seconds("2024-02-29T23:59:59Z"), Some(1_709_251_199));
        for bad in [
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01",
            "2026-01-01t00:00:00Z",
        ] {
            assert_eq!(parse_utc_seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn near_names() {
        assert_eq!(nearest("STRES_N", ["LOCK_SLEEP_MS", "STRESS_N"]), Some("STRESS_N"));
    }
}
