//! The shape of an input file as a table, and the one walker that holds a document against it.
//!
//! The walker never stops at the first problem, so a writer mends a file in one go.

use std::fmt::Write as _;

use contract::canonical::pointer_push;
use contract::digest::Digest;
use serde_json::Value;

use crate::scribe::problem::{Problems, Word};
use crate::scribe::time::is_rfc3339;

/// What a value must be.
pub(crate) enum Kind {
    /// Any string without NUL.
    Text,
    /// A string with something besides white space in it.
    FullText,
    /// Exactly this string.
    Exactly(&'static str),
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// 64 lower-case hex digits.
    Digest,
    /// An RFC 3339 time.
    Time,
    /// `true` or `false`.
    Bool,
    /// A number from 0 to 1.
    Fraction,
    /// A number above 0.
    Positive,
    /// Any finite number.
    Number,
    /// An integer in this range, both ends included.
    Whole(i64, i64),
    /// An array with at least and at most this many items of one kind.
    Items(usize, usize, &'static Kind),
    /// An object with these fields and no others.
    Object(&'static [Field]),
}

/// The largest count a document may state: far above any story, far below a float's last exact integer.
pub(crate) const MANY: i64 = 1_000_000_000;

/// No upper bound on the number of items but the size of the file.
pub(crate) const ANY: usize = usize::MAX;

/// One field of an object.
pub(crate) struct Field {
    name: &'static str,
    required: bool,
    kind: Kind,
}

/// A field that must be there.
pub(crate) const fn must(name: &'static str, kind: Kind) -> Field {
    Field { name, required: true, kind }
}

/// A field that may be absent; `null` is not absent.
pub(crate) const fn may(name: &'static str, kind: Kind) -> Field {
    Field { name, required: false, kind }
}

/// Adds every way in which `value` is not of `kind`.
pub(crate) fn check(value: &Value, kind: &Kind, problems: &mut Problems) {
    check_at(value, kind, &mut String::new(), problems);
}

/// `pointer` is one buffer for the whole walk: most values are good, and a place that is never told costs nothing.
fn check_at(value: &Value, kind: &Kind, pointer: &mut String, problems: &mut Problems) {
    if value.is_null() {
        return problems.add(pointer.as_str(), Word::Null, format!("null where {} is needed", wanted(kind)));
    }
    match (kind, value) {
        (Kind::Object(fields), Value::Object(_)) => check_object(value, fields, pointer, problems),
        (Kind::Items(least, most, kind), Value::Array(items)) => {
            check_length(items.len(), *least, *most, pointer, problems);
            for (index, item) in items.iter().enumerate() {
                let length = pointer.len();
                // Writing to a string cannot fail.
                let _ = write!(pointer, "/{index}");
                check_at(item, kind, pointer, problems);
                pointer.truncate(length);
            }
        }
        (Kind::Bool, Value::Bool(_)) => {}
        (Kind::Fraction | Kind::Positive | Kind::Number | Kind::Whole(..), Value::Number(number)) => {
            if !in_range(number, kind) {
                problems.add(pointer.as_str(), Word::Range, format!("{number} is not {}", wanted(kind)));
            }
        }
        (
            Kind::Text | Kind::FullText | Kind::Exactly(_) | Kind::Choice(_) | Kind::Digest | Kind::Time,
            Value::String(text),
        ) => check_text(text, kind, pointer, problems),
        _ => problems.add(pointer.as_str(), Word::Type, format!("{} where {} is needed", named(value), wanted(kind))),
    }
}

fn check_object(value: &Value, fields: &[Field], pointer: &mut String, problems: &mut Problems) {
    let Some(object) = value.as_object() else { return };
    for field in fields {
        let length = pointer.len();
        // Names of tables hold neither `~` nor `/`.
        pointer.push('/');
        pointer.push_str(field.name);
        match object.get(field.name) {
            Some(value) => check_at(value, &field.kind, pointer, problems),
            None if field.required => {
                problems.add(pointer.as_str(), Word::Missing, format!("{} is required", wanted(&field.kind)));
            }
            None => {}
        }
        pointer.truncate(length);
    }
    for name in object.keys().filter(|name| fields.iter().all(|field| field.name != name.as_str())) {
        problems.add(pointer_push(pointer, name), Word::Unknown, "no such field is known here");
    }
}

fn check_length(length: usize, least: usize, most: usize, pointer: &str, problems: &mut Problems) {
    if length < least {
        problems.add(pointer, Word::Empty, format!("{length} items, at least {least} are needed"));
    }
    if length > most {
        problems.add(pointer, Word::TooMany, format!("{length} items, at most {most} are allowed"));
    }
}

fn check_text(text: &str, kind: &Kind, pointer: &str, problems: &mut Problems) {
    if text.contains('\0') {
        return problems.add(pointer, Word::Nul, "text with a NUL");
    }
    let (good, word) = match kind {
        Kind::FullText => (!text.trim().is_empty(), Word::Empty),
        Kind::Exactly(only) => (text == *only, Word::Choice),
        Kind::Choice(words) => (words.contains(&text), Word::Choice),
        Kind::Digest => (Digest::parse(text).is_some(), Word::Form),
        Kind::Time => (is_rfc3339(text), Word::Form),
        _ => (true, Word::Type),
    };
    if !good {
        problems.add(pointer, word, format!("{:?} is not {}", shortened(text), wanted(kind)));
    }
}

fn in_range(number: &serde_json::Number, kind: &Kind) -> bool {
    match (kind, number.as_f64()) {
        (Kind::Whole(least, most), _) => number.as_i64().is_some_and(|whole| (*least..=*most).contains(&whole)),
        (Kind::Fraction, Some(number)) => (0.0..=1.0).contains(&number),
        (Kind::Positive, Some(number)) => number > 0.0,
        (_, number) => number.is_some(),
    }
}

fn wanted(kind: &Kind) -> String {
    match kind {
        Kind::Text => "a string".into(),
        Kind::FullText => "a non-empty string".into(),
        Kind::Exactly(only) => format!("the string {only:?}"),
        Kind::Choice(words) => format!("one of {}", words.join(", ")),
        Kind::Digest => "a digest of 64 lower-case hex digits".into(),
        Kind::Time => "an RFC 3339 time".into(),
        Kind::Bool => "true or false".into(),
        Kind::Fraction => "a number from 0 to 1".into(),
        Kind::Positive => "a number above 0".into(),
        Kind::Number => "a number".into(),
        Kind::Whole(least, most) if *most == MANY => format!("an integer of at least {least}"),
        Kind::Whole(least, most) => format!("an integer from {least} to {most}"),
        Kind::Items(least, ..) => format!("an array of at least {least} items"),
        Kind::Object(_) => "an object".into(),
    }
}

fn named(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Hostile text may be long: a message shows its beginning.
fn shortened(text: &str) -> &str {
    let end = text.char_indices().nth(60).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scribe::problem::File;

    const SHAPE: Kind = Kind::Object(&[
        must("name", Kind::FullText),
        may("share", Kind::Fraction),
        may("steps", Kind::Items(1, 2, &Kind::Whole(-1, 1))),
        may("kind", Kind::Choice(&["a", "b"])),
    ]);

    fn words(value: &Value) -> Vec<(String, Word)> {
        let mut problems = Problems::of(File::Intent);
        check(value, &SHAPE, &mut problems);
        problems.into_inner().into_iter().map(|problem| (problem.pointer, problem.word)).collect()
    }

    #[test]
    fn all_problems_at_once_each_with_its_place() {
        let value = json!({"name": " ", "share": 1.5, "steps": [0, 2, 0.5], "kind": "c", "a/b": 1});
        let expected = [
            ("/name", Word::Empty),
            ("/share", Word::Range),
            ("/steps", Word::TooMany),
            ("/steps/1", Word::Range),
            ("/steps/2", Word::Range),
            ("/kind", Word::Choice),
            ("/a~1b", Word::Unknown),
        ];
        assert_eq!(words(&value), expected.map(|(place, word)| (place.to_owned(), word)));
    }

    #[test]
    fn null_and_absent_are_different_and_both_refused() {
        assert_eq!(words(&json!({"name": null})), [("/name".to_owned(), Word::Null)]);
        assert_eq!(words(&json!({"share": null})), [("/name".into(), Word::Missing), ("/share".into(), Word::Null)]);
        assert_eq!(words(&json!([])), [(String::new(), Word::Type)]);
    }

    #[test]
    fn nul_in_text() {
        assert_eq!(words(&json!({"name": "a\0b"})), [("/name".to_owned(), Word::Nul)]);
    }
}
