//! pr-g3 chaos: faults are retried within bounds or reported; none becomes a silent success.

use contract::plan::DrillPlan;

use crate::check::{Check, Family, Judged, Unjudged};
use crate::evidence::Policy;
use crate::gate::Gate;

mod bounds;
mod decisions;
mod storm;
mod wire;

/// The gate.
pub static GATE: Gate = Gate {
    id: "pr-g3",
    name: "chaos",
    claim: "faults are retried within bounds or reported; none becomes a silent success",
    checks: CHECKS,
    drills,
};

const STORMS: &str = "<profile>/<seed>/<part>/{run-report.json, chaos-log.json, attempts.jsonl}";

const CHECKS: &[Check] = &[
    Check {
        id: "injection-rate",
        requirement: "INV-FAILCLOSED-01",
        family: Family::Proof,
        evidence: &[STORMS],
        rule: "the exact interval of injected/attempts contains CHAOS_RATE and excludes half and twice of it",
        judge: decisions::injection_rate,
    },
    Check {
        id: "modes-covered",
        requirement: "INV-FAILCLOSED-01",
        family: Family::Invariant,
        evidence: &[STORMS],
        rule: "every failure mode of the profile occurs, and nothing outside it",
        judge: decisions::modes_covered,
    },
    Check {
        id: "chaos-deterministic",
        requirement: "INV-REPLAY-01",
        family: Family::Invariant,
        evidence: &[STORMS, "repeats.jsonl"],
        rule: "the same (call, attempt) gets the same decision at concurrency 1, 2 and 8, and the built engine gives the same result",
        judge: decisions::deterministic,
    },
    Check {
        id: "bounded-retry",
        requirement: "INV-RETRY-BOUND-01",
        family: Family::Invariant,
        evidence: &[STORMS],
        rule: "attempts, retries and waits stay within MAX_RETRIES, MAX_RETRIES_PER_RUN, back-off and Retry-After",
        judge: bounds::bounded_retry,
    },
    Check {
        id: "fail-closed",
        requirement: "INV-FAILCLOSED-01",
        family: Family::Invariant,
        evidence: &[STORMS],
        rule: "every injected fault ends in a later good attempt or in a failed call; no empty, truncated or invalid reply is accepted",
        judge: bounds::fail_closed,
    },
    Check {
        id: "reconciled",
        requirement: "INV-FAILCLOSED-01",
        family: Family::Invariant,
        evidence: &[STORMS, "wire.jsonl", "wire-journal/*/{attempts.jsonl, arrived.jsonl}"],
        rule: "attempts without an injected fault equal the requests that arrived at the counterpart, count by count",
        judge: wire::reconciled,
    },
    Check {
        id: "chaos-log-valid",
        requirement: "INV-FAILCLOSED-01",
        family: Family::Invariant,
        evidence: &[STORMS],
        rule: "one entry an attempt, in order, call_index without a gap, failure_type iff injected",
        judge: decisions::chaos_log_valid,
    },
    Check {
        id: "real-wire",
        requirement: "INV-FAILCLOSED-01",
        family: Family::Invariant,
        evidence: &["wire.jsonl"],
        rule: "all six modes over real HTTP against a server process, for both protocols",
        judge: wire::real_wire,
    },
    Check {
        id: "plausible-pr-g3",
        requirement: "INV-EVIDENCE-01",
        family: Family::Invariant,
        evidence: &[STORMS],
        rule: "the storms could have happened: seeds derive, indices are whole, times do not run backwards",
        judge: storm::plausible,
    },
];

type Outcome = Result<Vec<Judged>, Unjudged>;

/// Each index is a seed under which every profile storms.
fn drills(policy: &Policy) -> Vec<DrillPlan> {
    vec![DrillPlan { drill: "chaos".into(), scenario: String::new(), runs: policy.values.chaos_seeds }]
}
