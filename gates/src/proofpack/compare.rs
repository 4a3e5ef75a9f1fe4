//! Compares a stored verdict report with a derived one: words and integers exactly, floats within 1e-9 (step 10).

use contract::canonical::pointer_push;
use serde_json::Value;

/// Largest relative difference between two floats that count as equal.
const RELATIVE: f64 = 1e-9;

/// A place where two reports differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// RFC 6901 pointer.
    pub pointer: String,
    /// What the pack says; `None` when it says nothing.
    pub stored: Option<Value>,
    /// What follows from the evidence; `None` when nothing does.
    pub derived: Option<Value>,
}

/// Every difference, in document order.
#[must_use]
pub fn differences(stored: &Value, derived: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", Some(stored), Some(derived), &mut found);
    found
}

fn walk(pointer: &str, stored: Option<&Value>, derived: Option<&Value>, found: &mut Vec<Difference>) {
    match (stored, derived) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let mut keys: Vec<&String> = left.keys().chain(right.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            keys.iter().for_each(|key| walk(&pointer_push(pointer, key), left.get(*key), right.get(*key), found));
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) => {
            for at in 0..left.len().max(right.len()) {
                walk(&format!("{pointer}/{at}"), left.get(at), right.get(at), found);
            }
        }
        (Some(left), Some(right)) if same(left, right) => {}
        _ => found.push(Difference { pointer: pointer.to_owned(), stored: stored.cloned(), derived: derived.cloned() }),
    }
}

fn same(left: &Value, right: &Value) -> bool {
    let (Value::Number(a), Value::Number(b)) = (left, right) else { return left == right };
    if !a.is_f64() && !b.is_f64() {
        return a == b;
    }
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b || (a - b).abs() <= RELATIVE * a.abs().max(b.abs()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ppk_18_step_10_what_counts_as_equal() {
        let stored = json!({"a": 1, "b": [true, "PASS", 0.1], "c": null});
        let near = json!({"a": 1, "b": [true, "PASS", 0.100_000_000_01], "c": null});
        assert_eq!(differences(&stored, &near), []);
        for (derived, pointer) in [
            (json!({"a": 2, "b": [true, "PASS", 0.1], "c": null}), "/a"),
            (json!({"a": 1, "b": [false, "PASS", 0.1], "c": null}), "/b/0"),
            (json!({"a": 1, "b": [true, "FAIL", 0.1], "c": null}), "/b/1"),
            (json!({"a": 1, "b": [true, "PASS", 0.100_000_001], "c": null}), "/b/2"),
            (json!({"a": 1, "b": [true, "PASS"], "c": null}), "/b/2"),
            (json!({"a": 1, "b": [true, "PASS", 0.1]}), "/c"),
            (json!({"a": 1, "b": [true, "PASS", 0.1], "c": null, "d/e": 0}), "/d~1e"),
            (json!({"a": "1", "b": [true, "PASS", 0.1], "c": null}), "/a"),
        ] {
            let found = differences(&stored, &derived);
            assert_eq!(found.iter().map(|d| d.pointer.as_str()).collect::<Vec<_>>(), [pointer]);
        }
    }
}
