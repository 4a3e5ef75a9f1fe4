//! pr-g2 budget: no run spends more than it may, and every cent is accounted for.

use contract::plan::DrillPlan;

use crate::check::{Check, Family, Judged, Unjudged};
use crate::evidence::Context;
use crate::gate::Gate;

mod limits;
mod recompute;
mod refusals;
mod scenario;
mod shared;

/// The gate.
pub static GATE: Gate = Gate {
    id: "pr-g2",
    name: "budget",
    claim: "no run spends more than it may, and every cent is accounted for",
    checks: CHECKS,
    drills: |_| vec![DrillPlan { drill: "budget".into(), scenario: String::new(), runs: 0 }],
};

/// Every check of this gate is an invariant of the budget.
const fn check(
    id: &'static str,
    evidence: &'static [&'static str],
    rule: &'static str,
    judge: fn(&Context<'_>) -> Outcome,
) -> Check {
    Check { id, requirement: "INV-BUDGET-01", family: Family::Invariant, evidence, rule, judge }
}

const MATRIX: &str = "budget-matrix.jsonl";
const FOLDERS: &str = "scenarios/*/{run-cost.json, ledger.jsonl, calibration.json}";

const CHECKS: &[Check] = &[
    check(
        "within-budget-passes",
        &[MATRIX, FOLDERS],
        "runs inside every limit exit 0 without a violation",
        limits::within,
    ),
    check(
        "over-budget-fails",
        &[MATRIX, FOLDERS],
        "one unit over each limit exits 1 with that kind of violation",
        limits::over,
    ),
    check(
        "boundary-exact",
        &[MATRIX, FOLDERS],
        "exactly at each limit passes, and the rows reach it",
        limits::boundary,
    ),
    Check {
        requirement: "INV-POLICY-01",
        ..check(
            "null-calibration",
            &[MATRIX],
            "each leaf of the calibration as null is refused before any call",
            refusals::null_calibration,
        )
    },
    check(
        "unknown-model",
        &[MATRIX],
        "a model without a price is refused before any money is spent",
        refusals::unknown_model,
    ),
    check(
        "usage-missing",
        &[MATRIX, FOLDERS],
        "a reply without usage is charged at its reservation and is a violation",
        refusals::usage_missing,
    ),
    check(
        "concurrent-overspend",
        &[MATRIX, FOLDERS],
        "processes that share one budget never hold more than it, settled and reserved together",
        shared::concurrent_overspend,
    ),
    check(
        "crash-charged",
        &[MATRIX, FOLDERS],
        "a process killed between reserve and settle leaves its reservation spent",
        shared::crash_charged,
    ),
    check(
        "cost-recomputed",
        &[FOLDERS],
        "every run-cost.json and ledger equals the recomputation from rows and prices",
        recompute::cost_recomputed,
    ),
];

type Outcome = Result<Vec<Judged>, Unjudged>;
