//! What was done with a finished pack, one row a step (`pr-g5/steps.jsonl` of a run folder). The rows lie beside the
//! evidence and never in a pack, which cannot hold the check of itself.

use serde::{Deserialize, Serialize};

use crate::record::Record;

/// One step. Which of the texts a step fills in is said at its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealStep {
    /// What was done.
    pub step: Step,
    /// What it was done with, unique within its kind.
    pub name: String,
    /// The program and its arguments, without folders of the machine; empty where no process ran.
    pub command: Vec<String>,
    /// Exit code of that process; absent when no process ran, or a signal ended it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit_code: Option<i32>,
    /// What has to come out.
    pub expected: String,
    /// What came out.
    pub found: String,
    /// Why the step could not be made; the other fields then say nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_run: Option<String>,
}

/// A kind of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A gate of this run: `name` its id, `expected` the policy digest of the run, `found` that of its plan and, behind a
    /// space, its word.
    Gate,
    /// A member: `name` its path, `expected` the SHA-256 of the file in the run folder (empty for one that only the pack
    /// has), `found` that of the member (empty for a file that the pack lacks).
    Member,
    /// A build of the same run under other circumstances: `found` the SHA-256 of the whole pack.
    Build,
    /// A check of the pack by our verifier or by another tool: `found` its last line.
    Verify,
    /// The leak lint over every member: `found` each finding.
    Leak,
    /// A mutant of the self-attack: `name` row and attack, `expected` the code that must refuse it, `found` the first
    /// code that did.
    Mutant,
    /// A pack that the self-attack must see accepted: `found` what refused it.
    Control,
    /// The packed evidence judged again in a process of its own: `expected` the SHA-256 of the packed verdict, `found`
    /// that of the derived one.
    Judge,
}

impl Record for SealStep {
    const SCHEMA: &'static str = "proofhouse.seal-step/1";
}
