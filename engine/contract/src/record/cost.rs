//! What a run cost: one row a call, one charge an attempt, and the limits that were passed (`run-cost.json`).
//!
//! Everything can be recomputed: a charge with basis `usage` costs
//! `ceil((input × in_price + cached × cached_price + output × out_price + reasoning × reasoning_price) / 1000)`
//! micro-dollars at the prices of its model; with basis `reservation` it costs `reserved_cost_usd`, which is the same
//! formula over `reserved_input_tokens` at the dearer input price and `reserved_output_tokens` at the dearer output
//! price; with basis `nothing` it costs 0.

use serde::{Deserialize, Serialize};

use crate::money::MicroUsd;
use crate::record::Record;

/// `run-cost.json`. Totals repeat what the rows say, for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunCost {
    /// Calls that made at least one attempt: a cache hit and a refused call are none.
    pub total_calls: u64,
    /// Sum of all charges.
    pub total_cost_usd: MicroUsd,
    /// Sum of the latencies of all calls.
    pub total_latency_ms: u64,
    /// Tokens of all charges: of a charge by usage its four counts, by reservation the reserved ones.
    pub total_tokens: u64,
    /// Attempts beyond the first of each call.
    pub total_retries: u64,
    /// From the start of the run to this report.
    pub duration_ms: u64,
    /// `fail` when there is any violation.
    pub budget_verdict: BudgetVerdict,
    /// Every limit that was passed, or would have been passed by a call that was refused.
    pub violations: Vec<Violation>,
    /// One row a call, ordered by `call_index`.
    pub calls: Vec<CallRow>,
}

/// The engine's own word about its budget. Judges derive theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BudgetVerdict {
    /// No violation.
    Pass,
    /// At least one.
    Fail,
}

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationKind {
    /// `max_per_call_usd` of the model; micro-dollars, over all attempts of the call.
    CostPerCall,
    /// `max_per_run_usd` of the model, or `MAX_COST_PER_RUN_USD`; micro-dollars.
    CostPerRun,
    /// `max_call_latency_ms`; milliseconds, over all attempts of the call.
    LatencyPerCall,
    /// `max_run_latency_ms` over the latencies of all calls, or `MAX_DURATION_PER_RUN_MS` over the run; milliseconds.
    LatencyPerRun,
    /// `MAX_TOKENS_PER_RUN`; tokens.
    TokensPerRun,
    /// `MAX_RETRIES_PER_RUN`; retries.
    RetriesPerRun,
    /// A reply that was accepted came without usage; value 1, limit 0.
    UsageMissing,
}

/// A limit that was passed, or would have been passed by the call that was refused for it. `value > limit` always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Violation {
    /// Which limit.
    #[serde(rename = "type")]
    pub kind: ViolationKind,
    /// What was reached or asked for, in the unit of the kind (money in micro-dollars).
    pub value: u64,
    /// The limit, in the same unit.
    pub limit: u64,
    /// The call that passed it; absent where the run as a whole did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub call_index: Option<u64>,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallRow {
    /// Place of the call in its run, from 0, without gaps, whatever the order in which calls ended.
    pub call_index: u64,
    /// Name of the call in its run.
    pub call_key: String,
    /// The scene that asked.
    pub scene_id: String,
    /// The model, by its name in the price list.
    pub model: String,
    /// `ok`, or the word of the error that the call ended with.
    pub outcome: String,
    /// Whether the reply came from the cache: then there is no charge.
    pub cached: bool,
    /// Age of the cached reply.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cached_age_ms: Option<u64>,
    /// Sum of the latencies of its charges: time with the provider, without waits between attempts.
    pub latency_ms: u64,
    /// Sum of its charges.
    pub cost_usd: MicroUsd,
    /// One an attempt, in order.
    pub charges: Vec<Charge>,
}

/// What decided the cost of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChargeBasis {
    /// The provider reported usage.
    Usage,
    /// It did not, and the request may have been worked on: the reservation stands.
    Reservation,
    /// The server answered with an error status and no usage.
    Nothing,
}

/// What one attempt cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// From 1.
    pub attempt: u32,
    /// Whether its reply passed validation and became the answer of the call.
    pub accepted: bool,
    /// What decided the cost.
    pub basis: ChargeBasis,
    /// Reported usage; 0 without.
    pub input_tokens: u64,
    /// Reported usage; 0 without.
    pub cached_input_tokens: u64,
    /// Reported usage; 0 without.
    pub output_tokens: u64,
    /// Reported usage; 0 without.
    pub reasoning_tokens: u64,
    /// Estimate of the input, before the attempt.
    pub reserved_input_tokens: u64,
    /// Most output that was asked for.
    pub reserved_output_tokens: u64,
    /// Cost of the reservation.
    pub reserved_cost_usd: MicroUsd,
    /// Cost of the attempt.
    pub cost_usd: MicroUsd,
    /// From the moment the rate limiter let it through to its end.
    pub latency_ms: u64,
}

impl Record for RunCost {
    const SCHEMA: &'static str = "proofhouse.run-cost/1";
}

impl Charge {
    /// Tokens that count against the limit of the run.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        let counts = match self.basis {
            ChargeBasis::Usage => {
                [self.input_tokens, self.cached_input_tokens, self.output_tokens, self.reasoning_tokens]
            }
            ChargeBasis::Reservation => [self.reserved_input_tokens, self.reserved_output_tokens, 0, 0],
            ChargeBasis::Nothing => [0; 4],
        };
        counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}
