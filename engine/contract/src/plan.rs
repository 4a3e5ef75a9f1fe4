//! The plan of one gate: what will be run, with which seeds, before anything is run.

use serde::{Deserialize, Serialize};

use crate::canonical::{self, JsonError};
use crate::digest::Digest;
use crate::record::Stamp;
use crate::seed::Seed;

/// `plan.json` of a gate. Its digest is stamped into every row; it names neither shard nor time, so that one machine and
/// sixty-four have the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`Plan::SCHEMA`].
    pub schema: String,
    /// Gate id, such as `pr-g4`.
    pub gate: String,
    /// Profile name.
    pub profile: String,
    /// Commit that is judged; empty outside git.
    pub commit: String,
    /// Its tree; empty outside git.
    pub tree: String,
    /// The policy digest.
    pub policy: Digest,
    /// First line of `rustc -vV`.
    pub toolchain: String,
    /// Master seed; run `i` uses `master_seed.derive(gate, i)`.
    pub master_seed: Seed,
    /// The drills, in the order in which they run.
    pub drills: Vec<DrillPlan>,
}

/// One drill of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillPlan {
    /// Subcommand of `drill`.
    pub drill: String,
    /// What it exercises, such as a workload; empty where there is only one thing.
    pub scenario: String,
    /// Indices 0..runs; 0 for a drill without an index.
    pub runs: u64,
}

impl Plan {
    /// The value of `schema`.
    pub const SCHEMA: &'static str = "proofhouse.plan/1";

    /// Parses a plan file.
    ///
    /// # Errors
    /// What is wrong, in one sentence.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let value = canonical::parse_evidence(bytes).map_err(|error| error.to_string())?;
        let plan: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        if plan.schema == Self::SCHEMA {
            Ok(plan)
        } else {
            Err(format!("schema `{}` is not `{}`", plan.schema, Self::SCHEMA))
        }
    }

    /// The stamp of every row under this plan: plan digest (SHA-256 of the canonical JSON) and policy digest.
    ///
    /// # Errors
    /// Never for a plan that was parsed; typed all the same.
    pub fn stamp(&self) -> Result<Stamp, JsonError> {
        Ok(Stamp { plan: canonical::digest(self)?, policy: self.policy })
    }

    /// How many runs the plan has for this drill and scenario; `None` when it is not planned.
    #[must_use]
    pub fn runs(&self, drill: &str, scenario: &str) -> Option<u64> {
        self.drills
            .iter()
            .find(|planned| planned.drill == drill && planned.scenario == scenario)
            .map(|planned| planned.runs)
    }

    /// Seed of run `index`.
    #[must_use]
    pub fn seed(&self, index: u64) -> Seed {
        self.master_seed.derive(&self.gate, index)
    }
}
