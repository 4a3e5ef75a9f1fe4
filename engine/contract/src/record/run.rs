//! Runs of a workload: what each did, whether it comes out the same at any concurrency and in another process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::record::Record;
use crate::seed::Seed;

/// One run of a workload (`stress-<workload>.jsonl`, ordered by index). Judges recount everything from `exit_code`,
/// `violations` and the counts; the engine's own words and scores are there to be contradicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// `scribe` or `command`.
    pub workload: String,
    /// Index of the run, from 0.
    pub index: u64,
    /// 0 for the first execution of this index, 1 for the repeat at the end, and so on.
    pub repeat: u64,
    /// `Seed::derive(master, gate, index)`.
    pub seed: Seed,
    /// Digest of what a user supplies, without the seed (for `command`: of the line on stdin, seed included).
    pub input_digest: Digest,
    /// Digest of what came out, without fields of real time.
    pub output_digest: Digest,
    /// The exit code that `engine` gives for this run, or that the foreign program gave.
    pub exit_code: u8,
    /// Planned scenes; 0 for a foreign program.
    pub planned: u64,
    /// Scenes without prose that came from a good attempt.
    pub missing: u64,
    /// Rules that were violated, by rule name.
    pub violations: BTreeMap<String, RuleCount>,
    /// The engine's own word: no HARD violation.
    pub hard_pass: bool,
    /// The engine's own word: no SOFT violation.
    pub soft_pass: bool,
    /// Scores by metric name: `hard_score` and `soft_score`, or what a foreign program printed.
    pub scores: BTreeMap<String, f64>,
    /// Calls asked for.
    pub calls: u64,
    /// Attempts made, faults included.
    pub attempts: u64,
    /// Attempts beyond the first of each call.
    pub retries: u64,
    /// Calls answered from the cache.
    pub cached: u64,
    /// Input plus output tokens charged.
    pub tokens: u64,
    /// Money charged, in micro-dollars.
    pub cost_micro_usd: u64,
    /// Duration on the run's own clock, in milliseconds: simulated where time is.
    pub duration_ms: u64,
    /// Which worker ran it.
    pub worker: u64,
    /// Start on the real monotonic clock of the drill process, in nanoseconds.
    pub start_ns: u64,
    /// End on the same clock.
    pub end_ns: u64,
}

/// How often a rule was violated, and how much that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCount {
    /// Whether the rule decides.
    pub severity: Severity,
    /// Number of violations.
    pub count: u64,
}

/// Whether a rule decides a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Decides.
    Hard,
    /// Is reported.
    Soft,
}

/// The result of one run as another execution must give it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Digest of what came out.
    pub output_digest: Digest,
    /// Attempts made.
    pub attempts: u64,
    /// Money charged, in micro-dollars.
    pub cost_micro_usd: u64,
}

/// One index executed at one number of workers (`equivalence.jsonl`): equal indices must have equal outcomes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Equivalence {
    /// The workload.
    pub workload: String,
    /// Index of the run.
    pub index: u64,
    /// Seed of the run.
    pub seed: Seed,
    /// How many workers shared the work: 1, 2 or 8.
    pub workers: u64,
    /// What came out; texts and counts are compared exactly.
    pub outcome: Outcome,
    /// Numbers that are compared within the tolerances of the policy, by name.
    pub scores: BTreeMap<String, f64>,
}

/// One index of a drill repeated through the built `engine` in its own process (`repeats.jsonl`, written by xtask).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeat {
    /// The drill, such as `stress`.
    pub drill: String,
    /// Which part of the drill: a workload, or `<profile>/<seed>`.
    pub scenario: String,
    /// Index of the run.
    pub index: u64,
    /// Seed of the run.
    pub seed: Seed,
    /// What the drill wrote down.
    pub inside: Outcome,
    /// What the built program gave; absent when it gave nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub built: Option<Outcome>,
    /// Its exit code; absent when a signal ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub built_exit: Option<u8>,
    /// Why there is no outcome; empty when there is one.
    pub note: String,
}

/// Every defect that the mock planted in one scene, beside what was measured there (`planted.jsonl`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planted {
    /// Index of the run.
    pub index: u64,
    /// Seed of the run.
    pub seed: Seed,
    /// The scene.
    pub scene_id: String,
    /// HARD rules that the mock broke on purpose in the prose of the first attempt, sorted.
    pub planted: Vec<String>,
    /// HARD rules that the measuring code found violated in that same prose, sorted.
    pub measured: Vec<String>,
}

/// Live memory after a run (`memory.jsonl`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The workload.
    pub workload: String,
    /// Index of the run.
    pub index: u64,
    /// Bytes allocated and not yet freed after this run, by a counting allocator, with one worker.
    pub live_bytes: u64,
    /// Resident set of the process, in bytes.
    pub resident_bytes: u64,
}

impl Record for Run {
    const SCHEMA: &'static str = "proofhouse.run/1";
}

impl Record for Equivalence {
    const SCHEMA: &'static str = "proofhouse.equivalence/1";
}

impl Record for Repeat {
    const SCHEMA: &'static str = "proofhouse.repeat/1";
}

impl Record for Planted {
    const SCHEMA: &'static str = "proofhouse.planted/1";
}

impl Record for Memory {
    const SCHEMA: &'static str = "proofhouse.memory/1";
}
