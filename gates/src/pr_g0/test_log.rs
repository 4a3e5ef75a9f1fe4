//! Reads what a Rust test runner printed: names, outcomes, and the closing line of each binary.

use std::collections::BTreeMap;

/// What happened to a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Ran and passed.
    Passed,
    /// Ran and failed.
    Failed,
    /// Was not run.
    Ignored,
}

/// A parsed log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestLog {
    /// Outcome of each test, by `<binary>::<path>`.
    pub tests: BTreeMap<String, Outcome>,
    /// Binaries with a closing line.
    pub binaries: u64,
    /// Where closing lines and names contradict each other.
    pub contradiction: Option<String>,
}

impl TestLog {
    /// Names with this outcome.
    pub fn named(&self, outcome: Outcome) -> impl Iterator<Item = &String> {
        self.tests.iter().filter(move |(_, seen)| **seen == outcome).map(|(name, _)| name)
    }

    /// How many tests had this outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.named(outcome).count() as u64
    }
}

/// Parses the output of `cargo test`: `Running … (…/deps/<binary>-<hash>)` and `Doc-tests <crate>` open a binary,
/// `test <path> ... <outcome>` names a test, `test result: …` closes the binary with its totals.
#[must_use]
pub fn parse(log: &str) -> TestLog {
    let mut out = TestLog::default();
    let mut binary = String::new();
    let mut counted = [0_u64; 3];
    let mut open = false;
    for line in log.lines() {
        if let Some(name) = opened(line) {
            if open {
                out.contradiction.get_or_insert(format!("{binary} has no closing line"));
            }
            (binary, counted, open) = (name, [0; 3], true);
        } else if let Some((path, outcome)) = named(line) {
            counted[outcome as usize] += 1;
            if out.tests.insert(format!("{binary}::{path}"), outcome).is_some() {
                out.contradiction.get_or_insert(format!("{binary}::{path} is named twice"));
            }
        } else if let Some(totals) = closed(line) {
            out.binaries += 1;
            open = false;
            if totals != counted {
                out.contradiction.get_or_insert(format!(
                    "{binary} names {counted:?} passed, failed, ignored and closes with {totals:?}"
                ));
            }
        }
    }
    if open {
        out.contradiction.get_or_insert(format!("{binary} has no closing line"));
    }
    out
}

/// `     Running unittests src/lib.rs (target/debug/deps/gates-0123)` or `   Doc-tests gates`. The kind of target keeps
/// the library and a binary of one package apart.
fn opened(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(package) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{}(doc)", package.trim()));
    }
    let (target, path) = line.strip_prefix("Running ")?.split_once(" (")?;
    let file = path.trim_end_matches(')').rsplit(['/', '\\']).next()?;
    let name = file.rsplit_once('-').map_or(file, |(name, _)| name);
    let source = target.trim_start_matches("unittests ").rsplit(['/', '\\']).next()?.trim_end_matches(".rs");
    Some(if source == "lib" || source == name { name.to_owned() } else { format!("{name}({source})") })
}

/// `test a::b ... ok`; a doc test is `test src/lib.rs - a::b (line 3) ... ok`. The reason of an ignored test follows a comma.
fn named(line: &str) -> Option<(&str, Outcome)> {
    let (path, outcome) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let path = path.strip_suffix(" - should panic").unwrap_or(path);
    match outcome.split([',', ' ']).next()? {
        "ok" => Some((path, Outcome::Passed)),
        "FAILED" => Some((path, Outcome::Failed)),
        "ignored" => Some((path, Outcome::Ignored)),
        _ => None,
    }
}

/// `test result: ok. 26 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.03s`
fn closed(line: &str) -> Option<[u64; 3]> {
    let rest = line.strip_prefix("test result: ")?;
    let number = |word: &str| {
        let (before, _) = rest.split_once(word)?;
        before.rsplit([' ', ';']).find(|part| !part.is_empty())?.parse().ok()
    };
    Some([number(" passed")?, number(" failed")?, number(" ignored")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "
     Running unittests src/lib.rs (target/debug/deps/gates-a6)
running 3 tests
test check::a ... ok
test check::b ... FAILED
test check::c - should panic ... ok
test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
     Running tests/tools.rs (target/debug/deps/tools-77)
test unzip ... ignored, slow
test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
   Doc-tests gates
test gates/src/lib.rs - (line 3) ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn names_and_outcomes() {
        let log = parse(LOG);
        assert_eq!((log.binaries, log.contradiction.clone()), (3, None));
        let names: Vec<&str> = log.tests.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "gates(doc)::gates/src/lib.rs - (line 3)",
                "gates::check::a",
                "gates::check::b",
                "gates::check::c",
                "tools::unzip"
            ]
        );
        assert_eq!((log.count(Outcome::Passed), log.count(Outcome::Failed), log.count(Outcome::Ignored)), (3, 1, 1));
    }

    #[test]
    fn a_vanished_name_or_closing_line_contradicts() {
        let without_name = LOG.replace("test check::a ... ok\n", "");
        assert!(parse(&without_name).contradiction.is_some());
        let without_end = LOG.rsplit_once("test result").expect("three closing lines").0;
        assert!(parse(without_end).contradiction.expect("open").contains("no closing line"));
    }
}
