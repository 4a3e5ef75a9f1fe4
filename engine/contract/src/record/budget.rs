//! Runs against limits (`drill budget`): `budget-matrix.jsonl`, one row a scenario, and for each scenario that ran a
//! folder `scenarios/<scenario>/` with
//! - `run-cost.json` ([`super::cost::RunCost`], stamped; of a shared run one file a process, `run-cost-<k>.json`),
//! - `ledger.jsonl` ([`super::ledger`]; its chain carries no stamp),
//! - `calibration.json` (what the run was given: the resolved calibration with the one key of the scenario changed; for
//!   processes that share a run the rate limit is lifted too).
//!
//! Rows of refused runs (`null_calibration`, `unknown_model`) have no folder.
//!
//! Scenarios of [`Claim::At`] and [`Claim::Over`] come in pairs `<limit>-at` and `<limit>-over`: the same script, with the
//! limit exactly at what the script reaches or asks for, and one unit (micro-dollar, token, millisecond, retry) below.
//! So in the second the violation of kind `kind` has `value == limit + 1`, and in the first the rows reach `limit`:
//!
//! | kind | what reaches the limit |
//! |---|---|
//! | cost_per_call | most, over attempts of a call, of the call's charges before plus `reserved_cost_usd` of the attempt |
//! | cost_per_run | most, along `ledger.jsonl`, of charges settled plus reservations open (of the model, where its limit is the one changed) |
//! | tokens_per_run | the same, in tokens |
//! | retries_per_run | reservations in `ledger.jsonl` with `attempt` above 1 |
//! | latency_per_call | `latency_ms` of a call |
//! | latency_per_run | sum of `latency_ms` over calls, or `duration_ms` of the run, by `key` |

use serde::{Deserialize, Serialize};

use crate::record::Record;
use crate::record::cost::ViolationKind;

/// One scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetCase {
    /// Name, unique in the file; for scenarios that ran also that of the folder.
    pub scenario: String,
    /// What it is about.
    pub claim: Claim,
    /// The kind of limit that it meets; absent where it is about none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kind: Option<ViolationKind>,
    /// JSON pointer of the key of the calibration that the scenario changed; absent where it changed none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// Exit code: of the process where `process` is set, else the code that `engine` gives for this run. Absent when a
    /// signal ended it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit_code: Option<u8>,
    /// Whether this ran in a process of its own.
    pub process: bool,
    /// Attempts that arrived at the provider, by its own count. Refused runs share one server: each row has its whole count.
    /// Of shared runs: the reservations in the ledger.
    pub arrived: u64,
    /// Processes that shared the run; 1 for a run of one.
    pub processes: u64,
    /// What the process wrote on stderr, or the sentence of the refusal; empty when it was silent.
    pub said: String,
    /// Why the scenario could not be made; the other fields then say nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_run: Option<String>,
}

/// What a scenario is about, and what is so when the engine is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// Inside every limit: exit 0, no violation.
    Within,
    /// A limit exactly reached: exit 0, no violation.
    At,
    /// The same limit one unit lower: exit 1, a violation of `kind`.
    Over,
    /// The built `engine` under a limit far too low: exit 1, a violation of `kind`; no exact value is claimed.
    OverBuilt,
    /// The leaf `key` of the calibration is null: exit 2, a line of `said` ends with `CALIBRATION_NULL: <key>`, nothing
    /// arrived.
    NullCalibration,
    /// A model without a price: exit 2, `said` names it, nothing arrived.
    UnknownModel,
    /// An accepted reply without usage: exit 1, its charge is its reservation, a violation `usage_missing`.
    UsageMissing,
    /// Several processes spend from one ledger until it refuses each of them: the total charged is at most the limit, and
    /// reservations never stood above it.
    ConcurrentOverspend,
    /// A process was killed (SIGKILL) while its reservation was open; a second process then joined the ledger and spent
    /// until it was refused. The open reservation still counts: it has no settling row, and the total with it is at most
    /// the limit.
    CrashCharged,
}

impl Record for BudgetCase {
    const SCHEMA: &'static str = "proofhouse.budget-case/1";
}
