//! Absolute paths in tracked text files: rows for the preflight gate, and its reviewed allow-list.

use std::collections::BTreeSet;
use std::fmt;

use contract::canonical;
use memchr::memchr_iter;
use serde::{Deserialize, Serialize};

use super::{Literals, Rule, scan};

/// Where an absolute path stands. It never holds the text found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathRow {
    /// Repository path, with `/`.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Rule name, `L1` to `L4` or `L7`.
    pub rule: String,
}

/// How much of a file decides whether it is text, as git does it.
const TEXT_PROBE_BYTES: usize = 8000;

/// Rows of one tracked file; a binary file (a NUL near its start, no UTF-16 mark) has none.
#[must_use]
pub fn rows(file: &str, bytes: &[u8]) -> Vec<PathRow> {
    let is_wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let probe = bytes.get(..TEXT_PROBE_BYTES).unwrap_or(bytes);
    if !is_wide && memchr::memchr(0, probe).is_some() {
        return Vec::new();
    }
    let ends = memchr_iter(b'\n', bytes).collect::<Vec<_>>();
    let row = |finding: super::Finding| PathRow {
        file: file.to_owned(),
        line: ends.partition_point(|&end| (end as u64) < finding.offset) as u64 + 1,
        rule: finding.rule.name().to_owned(),
    };
    // Secrets are for the leak lint; this check is about paths.
    let paths = scan(file, bytes, &Literals::none()).into_iter().filter(|finding| finding.rule != Rule::L6);
    let rows: BTreeSet<PathRow> = paths.map(row).collect();
    rows.into_iter().collect()
}

/// The reviewed exceptions, `policy/path-allow.json`: `[{file, rule, reason}]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathAllow(BTreeSet<(String, String)>);

/// Why the list of exceptions cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathAllowError(
    /// Place and reason, as a fragment.
    pub String,
);

impl fmt::Display for PathAllowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "path allow-list: {}", self.0)
    }
}

impl std::error::Error for PathAllowError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    file: String,
    rule: String,
    reason: String,
}

/// Rows against the exceptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Rows that no entry covers.
    pub uncovered: Vec<PathRow>,
    /// Entries (file, rule) that cover nothing.
    pub stale: Vec<(String, String)>,
}

impl PathAllow {
    /// Reads the list.
    ///
    /// # Errors
    /// JSON that is not strict, an unknown field or rule, no reason, two entries for one file and rule.
    pub fn parse(bytes: &[u8]) -> Result<Self, PathAllowError> {
        let entries = canonical::parse_evidence(bytes).map_err(|error| PathAllowError(error.to_string()))?;
        let entries: Vec<Entry> = serde_json::from_value(entries).map_err(|error| PathAllowError(error.to_string()))?;
        let mut list = Self::default();
        for (index, entry) in entries.into_iter().enumerate() {
            let refuse = |reason: &str| PathAllowError(format!("/{index}: {reason}"));
            if Rule::parse(&entry.rule).is_none_or(|rule| matches!(rule, Rule::L5 | Rule::L6)) {
                return Err(refuse("rule is none of L1 L2 L3 L4 L7"));
            }
            if entry.reason.trim().is_empty() {
                return Err(refuse("reason is empty"));
            }
            if !list.0.insert((entry.file, entry.rule)) {
                return Err(refuse("a second entry for one file and rule"));
            }
        }
        Ok(list)
    }

    /// Splits rows into those without an entry, and entries without a row.
    #[must_use]
    pub fn settle(&self, rows: &[PathRow]) -> Settled {
        let key = |row: &PathRow| (row.file.clone(), row.rule.clone());
        let found: BTreeSet<_> = rows.iter().map(key).collect();
        let uncovered = rows.iter().filter(|row| !self.0.contains(&key(row))).cloned().collect();
        Settled { uncovered, stale: self.0.difference(&found).cloned().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: u64, rule: &str) -> PathRow {
        PathRow { file: "docs/a.md".into(), line, rule: rule.into() }
    }

    #[test]
    fn rows_name_line_and_rule_only() {
        let text = crate::proofpack::leak::real("fine\n@home@bob@x and @tmp@y\n\nC:^x\np=#2Fhome#2Fbob\n");
        assert_eq!(rows("docs/a.md", text.as_bytes()), [row(2, "L1"), row(4, "L2"), row(5, "L7")]);
        assert_eq!(rows("docs/a.md", b"\0\x01/\x02"), []);
        let secret = ["token=abcdefgh", "12345678"].concat();
        assert_eq!(rows("docs/a.md", secret.as_bytes()), [], "secrets are not this check's");
    }

    #[test]
    fn exceptions_are_by_file_and_rule_and_must_be_used() {
        let list =
            r#"[{"file":"docs/a.md","rule":"L1","reason":"shows a report"},{"file":"b","rule":"L1","reason":"r"}]"#;
        let allow = PathAllow::parse(list.as_bytes()).expect("valid list");
        let settled = allow.settle(&[row(2, "L1"), row(4, "L2")]);
        assert_eq!(settled.uncovered, [row(4, "L2")]);
        assert_eq!(settled.stale, [("b".to_owned(), "L1".to_owned())]);
    }

    #[test]
    fn a_bad_list_is_refused() {
        for (text, reason) in [
            (r#"[{"file":"a","rule":"L6","reason":"r"}]"#, "/0: rule"),
            (r#"[{"file":"a","rule":"L1","reason":""}]"#, "/0: reason"),
            (r#"[{"file":"a","rule":"L1"}]"#, "missing field"),
            (r#"[{"file":"a","rule":"L1","reason":"r"},{"file":"a","rule":"L1","reason":"r"}]"#, "/1: a second"),
        ] {
            let error = PathAllow::parse(text.as_bytes()).expect_err(text);
            assert!(error.to_string().contains(reason), "{text}: {error}");
        }
    }
}
