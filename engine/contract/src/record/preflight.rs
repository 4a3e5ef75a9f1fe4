//! What xtask saw of the source, the toolchain and the tests before anything was judged (`PR_PREFLIGHT.json`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::record::Record;

/// `PR_PREFLIGHT.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preflight {
    /// Branch name; `HEAD` when detached; empty outside git.
    pub branch: String,
    /// Commit id; empty outside git.
    pub head: String,
    /// Tree id; empty outside git.
    pub tree: String,
    /// Lines that `git status --porcelain` printed, scrubbed.
    pub dirty: Vec<String>,
    /// What was asked of the toolchain and what it answered.
    pub toolchain: ToolchainFacts,
    /// The tools that were run, by id: `build`, `fmt`, `clippy`, `test`.
    pub tools: BTreeMap<String, ToolRun>,
    /// Totals of the test run, counted from the runner's own output; judges count again from the log.
    pub tests: TestTotals,
    /// Files of `inventory.json` with their digests; null digest: the file is not there.
    pub inventory: BTreeMap<String, Option<Digest>>,
    /// How many tracked text files were searched for paths.
    pub files_searched: u64,
    /// Places in tracked text files where a path rule matched: never the text.
    pub path_findings: Vec<PathFinding>,
    /// Outcome of each pattern of `code-audit.json`.
    pub audit: Vec<AuditOutcome>,
    /// The crates that xtask pulls in, itself included, as `name version`, sorted.
    pub xtask_crates: Vec<String>,
    /// Steps of the smoke run.
    pub smoke: Vec<SmokeStep>,
}

/// The pinned toolchain and the one that answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolchainFacts {
    /// `channel` of `rust-toolchain.toml`.
    pub pinned: String,
    /// Lines of `rustc -vV`.
    pub rustc: Vec<String>,
    /// `cargo -V`.
    pub cargo: String,
    /// Digest of `Cargo.lock` before the build.
    pub lock_before: Digest,
    /// Digest of `Cargo.lock` after all tools ran.
    pub lock_after: Digest,
}

/// One run of a tool whose log is evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolRun {
    /// The command, without paths.
    pub command: Vec<String>,
    /// Exit code; null when a signal ended it or its time ran out.
    pub exit: Option<i32>,
    /// Warnings counted in its machine-readable output.
    pub warnings: u64,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
    /// The log beside this file.
    pub log: String,
    /// Replacements made in the log so that it names no path of the machine.
    pub scrubbed: u64,
}

/// Totals of a test run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestTotals {
    /// Ran and passed.
    pub passed: u64,
    /// Ran and failed.
    pub failed: u64,
    /// Were not run.
    pub ignored: u64,
    /// Names in the accepted baseline; 0 until there is one.
    pub baseline: u64,
}

/// A place where a path rule matched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PathFinding {
    /// Tracked file.
    pub file: String,
    /// 1-based line.
    pub line: u64,
    /// Rule, `L1` to `L7`.
    pub rule: String,
}

/// What the search for one pattern of the code audit found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditOutcome {
    /// Id of the pattern.
    pub id: String,
    /// Places where it matched, as `file:line`.
    pub found: Vec<String>,
    /// Whether it matched the sample that must trip it.
    pub sample_tripped: bool,
}

/// One step of the smoke run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmokeStep {
    /// What was tried, such as `story:en-third-past`.
    pub step: String,
    /// Exit code of the built program; null when a signal ended it.
    pub exit: Option<i32>,
    /// HARD violations in its report; null when there is no report.
    pub hard_violations: Option<u64>,
}

impl Record for Preflight {
    const SCHEMA: &'static str = "proofhouse.preflight/1";
}
