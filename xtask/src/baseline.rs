//! `cargo xtask baseline accept`: the tests that passed in a run become the tests that must pass from now on.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use contract::canonical;
use contract::exit;
use gates::pr_g0::test_log::{self, Outcome, TestLog};
use serde_json::{Value, json};

use crate::cli;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::runs;
use crate::workspace::Workspace;

/// Below the workspace.
const FILE: &str = "gates/policy/baseline.json";
/// Below the run folder.
const LOG: &str = "evidence/pr-g0/cargo-test.log";

/// `cargo xtask baseline …`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Baseline {
    /// Make the tests that passed in the last run the ones that must pass
    Accept(Accept),
}

/// `cargo xtask baseline accept`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Accept {
    /// The folder of the run; none means the latest
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
}

impl Baseline {
    /// Runs the command.
    ///
    /// # Errors
    /// As [`Accept::run`].
    pub(crate) fn run(self) -> Result<u8, Failure> {
        match self {
            Self::Accept(accept) => accept.run(),
        }
    }
}

impl Accept {
    /// Writes the baseline, and says what was added and removed.
    ///
    /// # Errors
    /// There is no run or log, the log contradicts itself, or a test in it failed.
    fn run(self) -> Result<u8, Failure> {
        let space = Workspace::find(&mut Progress::new(true, false, 0))?;
        let run = self.run.map_or_else(|| runs::latest(&space.gates_folder()), Ok)?;
        let path = run.join(LOG);
        let log = std::fs::read_to_string(&path).map_err(|error| {
            Failure::usage(format!("cannot read {}: {error}", path.display()))
                .hint("`cargo xtask gate pr-g0` runs the tests and keeps their log")
        })?;
        let names = passed(&test_log::parse(&log))?;
        let target = space.root.join(FILE);
        let before = match std::fs::read(&target) {
            Ok(bytes) => tests_of(&bytes)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(Failure::file("cannot read", &target, &error)),
        };
        let baseline = json!({"schema": "proofhouse.baseline/1", "accepted": true, "tests": names, "ignored": []});
        let bytes = canonical::to_pretty(&baseline).map_err(|error| Failure::internal(error.to_string()))?;
        std::fs::write(&target, bytes).map_err(|error| Failure::file("cannot write", &target, &error))?;
        cli::print(&told(&before, &names))
    }
}

/// Names of the tests that passed, when nothing else happened.
fn passed(log: &TestLog) -> Result<BTreeSet<String>, Failure> {
    let refused = |code, message: String| Err(Failure { code, message, hint: None });
    if let Some(contradiction) = &log.contradiction {
        return refused(exit::gate::INTEGRITY, format!("the log contradicts itself: {contradiction}"));
    }
    let failed: Vec<&String> = log.named(Outcome::Failed).collect();
    if let Some(first) = failed.first() {
        return refused(exit::gate::FAIL, format!("{} tests failed, the first: {first}", failed.len()));
    }
    let names: BTreeSet<String> = log.named(Outcome::Passed).cloned().collect();
    if names.is_empty() {
        return refused(exit::gate::NO_EVIDENCE, "no test ran".into());
    }
    Ok(names)
}

fn tests_of(bytes: &[u8]) -> Result<BTreeSet<String>, Failure> {
    let refused = |reason: String| Failure::usage(format!("{FILE}: {reason}"));
    let value = canonical::parse_evidence(bytes).map_err(|error| refused(error.to_string()))?;
    let tests = value.get("tests").and_then(Value::as_array).ok_or_else(|| refused("no list `tests`".into()))?;
    let name = |test: &Value| test.as_str().map(str::to_owned).ok_or_else(|| refused("a name is no text".into()));
    tests.iter().map(name).collect()
}

fn told(before: &BTreeSet<String>, after: &BTreeSet<String>) -> String {
    let (added, removed) = (after.difference(before), before.difference(after));
    let (plus, minus) = (added.clone().count(), removed.clone().count());
    let lines = added.map(|name| format!("+ {name}\n")).chain(removed.map(|name| format!("- {name}\n")));
    lines.collect::<String>() + &format!("{FILE}: {} tests, {plus} added, {minus} removed\n", after.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "     Running unittests src/lib.rs (target/debug/deps/gates-a6)\n\
        test a ... ok\ntest b ... ok\n\
        test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";

    #[test]
    fn only_a_log_without_failure_is_accepted() {
        let names = passed(&test_log::parse(LOG)).expect("two tests passed");
        assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), ["gates::a", "gates::b"]);
        let red = LOG
            .replace("test b ... ok", "test b ... FAILED")
            .replace("ok. 2 passed; 0 failed", "FAILED. 1 passed; 1 failed");
        assert_eq!(passed(&test_log::parse(&red)).expect_err("one failed").code, exit::gate::FAIL);
        assert_eq!(passed(&test_log::parse("")).expect_err("nothing ran").code, exit::gate::NO_EVIDENCE);
        let torn = LOG.replace("test b ... ok\n", "");
        assert_eq!(passed(&test_log::parse(&torn)).expect_err("it closes with two").code, exit::gate::INTEGRITY);
    }

    #[test]
    fn what_changed_is_said() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(
            told(&set(&["a", "b"]), &set(&["b", "c"])),
            "+ c\n- a\ngates/policy/baseline.json: 2 tests, 1 added, 1 removed\n"
        );
    }
}
