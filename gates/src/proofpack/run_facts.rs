//! `run.json`: what a gate run says about itself, so that `build` never has to look at the working tree.
//!
//! The gate command writes it into the run folder as its last act; it is read by `build` and not packed. A run folder
//! holds beside it the members at the paths they have in the pack: `evidence/**` with `evidence/verdict.json`,
//! `policy/gate.json`, `policy/leak-allow.json`, `environment.json`, `toolchain.json` and `sbom.cdx.json`.
//! `README.txt`, the scripts, `MANIFEST.json` and `SHA256SUMS.txt` are made by `build`.

use contract::seed::Seed;
use serde::{Deserialize, Serialize};

use super::manifest::{Level, Part, Subject, Tool};

/// Schema name of this version.
pub const SCHEMA: &str = "proofhouse.run/1";
/// Name of the file in the run folder.
pub const FILE: &str = "run.json";

/// What a run recorded about itself. Unknown fields are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFacts {
    /// [`SCHEMA`].
    pub schema: String,
    /// How the run ended; only a complete one can be packed.
    pub state: RunState,
    /// The gates that were judged, by id, without pr-g5; a BLOCKED gate stands as `NO_EVIDENCE` (GAT-1).
    pub parts: Vec<Part>,
    /// Rules version of the judge that gave these verdicts.
    pub rules: u64,
    /// What was judged.
    pub subject: Subject,
    /// Whether the subject is a program of its own (`--workload command`), and not this workspace.
    pub foreign: bool,
    /// Committer time of the commit, in seconds since 1970.
    pub source_date_epoch: u64,
    /// `dev`, `ci`, `release` or `soak`.
    pub profile: String,
    /// The master seed.
    pub seed: Seed,
    /// Every value that was set by flag or environment, as `KEY=VALUE`, in the order to repeat them.
    pub set: Vec<String>,
    /// What a replay needs beside the argument list.
    pub replay: ReplayFacts,
    /// The executable that ran the gate.
    pub tool: Tool,
    /// Policy keys that were made easier to meet (GAT-6); such a run is not packed.
    pub loosened: Vec<String>,
    /// Flags that took something out of the run: `--only`, `--index`, `--shard`, `--workload` (a foreign subject apart);
    /// such a run is not packed.
    pub narrowed: Vec<String>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RunState {
    /// Every selected gate was judged.
    Complete,
    /// A shard, an index, or a loosened limit.
    Partial,
    /// Interrupted.
    Aborted,
}

/// What a replay needs beside the argument list, which `build` derives from profile, seed and set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayFacts {
    /// Environment names that are passed on: a subset of [`super::manifest::ENV_ALLOWED`], ascending.
    pub env_allow: Vec<String>,
    /// Lowest accepted result.
    pub expect: Level,
    /// Limit in seconds.
    pub timeout_s: u64,
}
