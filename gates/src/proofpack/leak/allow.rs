//! The allow-list of the pack: exact counts of reviewed findings; one that nothing uses is an error (PPK-40, A47).

use std::collections::BTreeMap;
use std::fmt;

use contract::canonical;
use serde::Deserialize;

use crate::proofpack::codes::{Code, Fault, Reason};

use super::{Finding, Literals, RULES, Rule};

/// A reviewed allow-list, `policy/leak-allow.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(BTreeMap<(String, Rule), u64>);

/// Why an allow-list cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowError(
    /// Place and reason, as a fragment.
    pub String,
);

impl fmt::Display for AllowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "leak allow-list: {}", self.0)
    }
}

impl std::error::Error for AllowError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    count: u64,
    path: String,
    reason: String,
    rule: String,
}

const REASON_BYTES_MAX: usize = 200;

impl AllowList {
    /// Reads `[{count,path,reason,rule}]`.
    ///
    /// # Errors
    /// JSON that is not strict, an unknown field or rule, a count of 0, an empty or long reason, two entries for one
    /// path and rule.
    pub fn parse(bytes: &[u8]) -> Result<Self, AllowError> {
        let entries = canonical::parse_evidence(bytes).map_err(|error| AllowError(error.to_string()))?;
        let entries: Vec<Entry> = serde_json::from_value(entries).map_err(|error| AllowError(error.to_string()))?;
        let mut list = Self::default();
        for (index, entry) in entries.into_iter().enumerate() {
            let refuse = |reason: &str| AllowError(format!("/{index}: {reason}"));
            let rule = Rule::parse(&entry.rule)
                .ok_or_else(|| refuse(&format!("rule is none of {}", RULES.map(|(_, name, _)| name).join(" "))))?;
            if entry.count == 0 {
                return Err(refuse("count is 0"));
            }
            if entry.reason.trim().is_empty() || entry.reason.len() > REASON_BYTES_MAX {
                return Err(refuse("reason is not 1 to 200 bytes"));
            }
            if list.0.insert((entry.path, rule), entry.count).is_some() {
                return Err(refuse("a second entry for one path and rule"));
            }
        }
        Ok(list)
    }
}

/// What is wrong after the allow-list was applied; both are `E_LEAK`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeakFault {
    /// Findings that no entry covers, the first few of a path and rule.
    Found {
        /// Member path.
        path: String,
        /// One finding.
        finding: Finding,
    },
    /// An entry whose count is not what was found.
    Stale {
        /// Member path of the entry.
        path: String,
        /// Rule of the entry.
        rule: Rule,
        /// Count in the entry.
        allowed: u64,
        /// Count found.
        found: u64,
    },
}

impl fmt::Display for LeakFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found { path, finding: Finding { rule, offset, masked_context } } => {
                write!(f, "{path}: {rule} ({}) at byte {offset}: {masked_context}", rule.summary())
            }
            Self::Stale { path, rule, allowed, found } => {
                write!(f, "{path}: {rule} is allowed {allowed} times but found {found} times")
            }
        }
    }
}

impl From<LeakFault> for Fault {
    fn from(fault: LeakFault) -> Self {
        match fault {
            LeakFault::Found { path, finding: Finding { rule, offset, masked_context } } => {
                let found = format!("{rule} ({}) in {masked_context}", rule.summary());
                Self::new(Code::Leak, Reason::Found).at(path).offset(offset).found(found)
            }
            LeakFault::Stale { path, rule, allowed, found } => Self::new(Code::Leak, Reason::Stale)
                .at(path)
                .expected(format!("{rule} {allowed} times"))
                .found(format!("{found} times")),
        }
    }
}

impl From<AllowError> for Fault {
    fn from(error: AllowError) -> Self {
        Self::new(Code::Leak, Reason::Field).at("policy/leak-allow.json").found(error.0)
    }
}

/// How many findings of one path and rule are kept to be shown; all are counted.
const SHOWN_MAX: usize = 5;

/// Counts the findings of a pack and settles them against an allow-list.
#[derive(Debug)]
pub struct Tally {
    counts: BTreeMap<(String, Rule), (u64, Vec<Finding>)>,
    searched_literals: bool,
}

impl Tally {
    /// `literals` are those that the scans use: without them entries for L5 cannot be stale.
    #[must_use]
    pub fn new(literals: &Literals) -> Self {
        Self { counts: BTreeMap::new(), searched_literals: !literals.is_empty() }
    }

    /// Adds the findings of one scan of `path`; a row file is scanned row by row, and `base` is where the row begins.
    pub fn add(&mut self, path: &str, base: u64, findings: Vec<Finding>) {
        for mut finding in findings {
            finding.offset = finding.offset.saturating_add(base);
            let (count, shown) = self.counts.entry((path.to_owned(), finding.rule)).or_default();
            *count += 1;
            if shown.len() < SHOWN_MAX {
                shown.push(finding);
            }
        }
    }

    /// All faults, ordered by path and rule; none means that the leak lint passes.
    #[must_use]
    pub fn settle(&self, allowed: &AllowList) -> Vec<LeakFault> {
        let mut faults = Vec::new();
        for ((path, rule), allowed) in &allowed.0 {
            let found = self.counts.get(&(path.clone(), *rule)).map_or(0, |(count, _)| *count);
            let was_searched = *rule != Rule::L5 || self.searched_literals;
            if was_searched && found != *allowed {
                faults.push(LeakFault::Stale { path: path.clone(), rule: *rule, allowed: *allowed, found });
            }
        }
        for (key, (_, shown)) in &self.counts {
            if !allowed.0.contains_key(key) {
                let found = |finding: &Finding| LeakFault::Found { path: key.0.clone(), finding: finding.clone() };
                faults.extend(shown.iter().map(found));
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(offset: u64) -> Finding {
        Finding { rule: Rule::L1, offset, masked_context: "<masked>".into() }
    }

    fn list(text: &str) -> AllowList {
        AllowList::parse(text.as_bytes()).expect("the list of this test is valid")
    }

    #[test]
    fn a47_counts_are_exact_and_an_unused_entry_is_stale() {
        let allow = list(r#"[{"count":2,"path":"a","reason":"r","rule":"L1"}]"#);
        let mut tally = Tally::new(&Literals::none());
        let stale = |found| LeakFault::Stale { path: "a".into(), rule: Rule::L1, allowed: 2, found };
        assert_eq!(tally.settle(&allow), [stale(0)]);
        tally.add("a", 0, vec![finding(1)]);
        assert_eq!(tally.settle(&allow), [stale(1)]);
        tally.add("a", 100, vec![finding(1)]);
        assert_eq!(tally.settle(&allow), []);
        tally.add("a", 200, vec![finding(1)]);
        assert_eq!(tally.settle(&allow), [stale(3)]);
    }

    #[test]
    fn an_uncovered_finding_is_reported_with_its_offset() {
        let mut tally = Tally::new(&Literals::none());
        tally.add("a", 100, vec![finding(7)]);
        let faults = tally.settle(&AllowList::default());
        assert_eq!(faults, [LeakFault::Found { path: "a".into(), finding: finding(107) }]);
        assert_eq!(faults[0].to_string(), "a: L1 (POSIX path of a machine) at byte 107: <masked>");
    }

    #[test]
    fn entries_for_words_of_a_machine_need_that_machine() {
        let allow = list(r#"[{"count":1,"path":"a","reason":"r","rule":"L5"}]"#);
        assert_eq!(Tally::new(&Literals::none()).settle(&allow), []);
        assert_eq!(Tally::new(&Literals::new(["orion"], [])).settle(&allow).len(), 1);
    }

    #[test]
    fn a_bad_list_is_refused() {
        for (text, reason) in [
            ("{}", "invalid type"),
            (r#"[{"count":1,"path":"a","reason":"r","rule":"L8"}]"#, "/0: rule"),
            (r#"[{"count":0,"path":"a","reason":"r","rule":"L1"}]"#, "/0: count"),
            (r#"[{"count":1,"path":"a","reason":" ","rule":"L1"}]"#, "/0: reason"),
            (r#"[{"count":1,"path":"a","rule":"L1"}]"#, "missing field `reason`"),
            (r#"[{"count":1,"path":"a","reason":"r","rule":"L1","x":1}]"#, "unknown field `x`"),
            (r#"[{"count":1,"count":1,"path":"a","reason":"r","rule":"L1"}]"#, "duplicate key"),
            (
                r#"[{"count":1,"path":"a","reason":"r","rule":"L1"},{"count":2,"path":"a","reason":"r","rule":"L1"}]"#,
                "/1: a second entry",
            ),
        ] {
            let error = AllowList::parse(text.as_bytes()).expect_err(text);
            assert!(error.to_string().contains(reason), "{text}: {error}");
        }
    }
}
